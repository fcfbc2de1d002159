// SPDX-License-Identifier: GPL-2.0-or-later
/* Takes from a worker all it does not need to run its backend. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/landlock.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sched.h>
#include <unistd.h>

#define NOFILE_MAX	256
#define TASKS_MAX	2048	/* of all workers' user together */

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static bool is_accelerator(const struct infini_sandbox *sandbox)
{
	return !sandbox->is_remote && (sandbox->device_class == INFINI_CLASS_GPU ||
				       sandbox->device_class == INFINI_CLASS_NPU);
}

/* ---- limits, user, capabilities ---------------------------------------------------- */

static int limit_resources(const struct infini_sandbox *sandbox)
{
	const struct rlimit core = { 0, 0 }, files = { NOFILE_MAX, NOFILE_MAX };
	const struct rlimit tasks = { TASKS_MAX, TASKS_MAX };

	if (setrlimit(RLIMIT_CORE, &core) != 0 || setrlimit(RLIMIT_NOFILE, &files) != 0)
		return -errno;
	/* Clients' own code may start threads: not so many that infinid can start no worker. */
	if (sandbox->scratch && setrlimit(RLIMIT_NPROC, &tasks) != 0)
		return -errno;
	return 0;
}

/* While still root, or the bounding set stays. */
static int drop_bounding_set(void)
{
	for (cap_value_t cap = 0; cap_get_bound(cap) >= 0; cap++) {
		if (cap_drop_bound(cap) != 0)
			return -errno;
	}
	return cap_reset_ambient() ? -errno : 0;
}

static int drop_user(const struct infini_sandbox *sandbox)
{
	if (setgroups(0, NULL) != 0 ||
	    setresgid(sandbox->gid, sandbox->gid, sandbox->gid) != 0 ||
	    setresuid(sandbox->uid, sandbox->uid, sandbox->uid) != 0)
		return -errno;
	return 0;
}

static int drop_capabilities(void)
{
	cap_t none = cap_init();
	int ret;

	if (!none)
		return -ENOMEM;
	ret = cap_set_proc(none) ? -errno : 0;
	cap_free(none);
	return ret;
}

/* ---- Landlock: kernel documentation, userspace-api/landlock.rst -------------------- */

/* The header of an older distribution lacks the later members; the kernel takes zeroes for them. */
struct ruleset_attr {
	__u64 handled_access_fs;
	__u64 handled_access_net;
	__u64 scoped;
};

#define FS_READ		(LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | \
			 LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE	(1ULL << 1)	/* LANDLOCK_ACCESS_FS_WRITE_FILE */
#define FS_TRUNCATE	(1ULL << 14)	/* ABI 3 */
#define FS_IOCTL_DEV	(1ULL << 15)	/* ABI 5 */

static struct ruleset_attr ruleset_of(int abi)
{
	struct ruleset_attr attr = { .handled_access_fs = (1ULL << 13) - 1 };

	if (abi >= 2)
		attr.handled_access_fs |= LANDLOCK_ACCESS_FS_REFER;
	if (abi >= 3)
		attr.handled_access_fs |= FS_TRUNCATE;
	if (abi >= 4)
		attr.handled_access_net = 3;	/* bind and connect TCP */
	if (abi >= 5)
		attr.handled_access_fs |= FS_IOCTL_DEV;
	if (abi >= 6)
		attr.scoped = 3;		/* abstract sockets, signals */
	return attr;
}

static void ruleset_allow(int ruleset, const char *path, __u64 access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access };

	/* What is not there cannot be reached either. */
	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0)
		return;
	syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
	close(rule.parent_fd);
}

/* What a compiler in a worker may run: the linker, and what the kernel starts it with. */
static void ruleset_allow_compiler(int ruleset, const char *scratch, __u64 handled)
{
	static const char *const programs[] = {
		"/usr/bin/ld", "/usr/bin/ld.lld", "/lib64/ld-linux-x86-64.so.2",
		"/lib/ld-linux-aarch64.so.1", "/lib/ld-linux-riscv64-lp64d.so.1",
		"/lib64/ld64.so.2",
	};

	for (size_t i = 0; i < COUNT(programs); i++)
		ruleset_allow(ruleset, programs[i], LANDLOCK_ACCESS_FS_EXECUTE);
	ruleset_allow(ruleset, scratch, handled & ~(__u64)(LANDLOCK_ACCESS_FS_EXECUTE |
							   FS_IOCTL_DEV));
}

int infini_sandbox_nvidia_minor(const char *information)
{
	static const char key[] = "\nDevice Minor:";
	const char *at = strstr(information, key);
	unsigned int minor;

	return at && sscanf(at + sizeof(key) - 1, "%u", &minor) == 1 && minor <= 255 ?
		(int)minor : -1;
}

/* Which of /dev/nvidiaN belongs to the GPU at @pci. False where it is none of NVIDIA's. */
static bool nvidia_node(const char *pci, char *path, size_t bytes)
{
	char information[4096];
	ssize_t got = -1;
	int minor, fd;

	if (!pci || !pci[0])
		return false;
	snprintf(path, bytes, "/proc/driver/nvidia/gpus/%s/information", pci);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		got = read(fd, information, sizeof(information) - 1);
		close(fd);
	}
	if (got < 0)
		return false;
	information[got] = '\0';
	minor = infini_sandbox_nvidia_minor(information);
	snprintf(path, bytes, "/dev/nvidia%d", minor);
	return minor >= 0;
}

static void ruleset_allow_node(int ruleset, const char *path, __u64 access)
{
	/* A directory takes the right to list it, a file refuses that right. */
	ruleset_allow(ruleset, path, access);
	ruleset_allow(ruleset, path, LANDLOCK_ACCESS_FS_READ_DIR);
}

static int ruleset_make(const struct infini_sandbox *sandbox)
{
	static const char *const trees[] = {
		"/usr", "/lib", "/lib32", "/lib64", "/opt", "/sys", "/proc/self",
		"/etc/vulkan", "/etc/OpenCL", "/etc/glvnd",
	};
	static const char *const files[] = {
		"/etc/ld.so.cache", "/etc/localtime", "/proc/cpuinfo", "/proc/meminfo",
		"/dev/urandom", "/dev/zero",
	};
	static const char *const nodes[] = {
		"/dev/dri", "/dev/accel", "/dev/kfd", "/dev/nvidiactl", "/dev/nvidia-uvm",
		"/dev/nvidia-modeset",
	};
	char nvidia[64];
	struct ruleset_attr attr;
	__u64 node_access = FS_WRITE | LANDLOCK_ACCESS_FS_READ_FILE, tree_access = FS_READ;
	int abi, fd;

	abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
	if (abi < 0)
		return -errno;
	attr = ruleset_of(abi);
	fd = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		return -errno;
	if (sandbox->scratch) {
		tree_access &= ~(__u64)LANDLOCK_ACCESS_FS_EXECUTE;
		ruleset_allow_compiler(fd, sandbox->scratch, attr.handled_access_fs);
	}
	for (size_t i = 0; i < COUNT(trees); i++)
		ruleset_allow(fd, trees[i], tree_access);
	for (size_t i = 0; i < COUNT(files); i++)
		ruleset_allow(fd, files[i], LANDLOCK_ACCESS_FS_READ_FILE);
	ruleset_allow(fd, "/dev/null", node_access);
	if (!is_accelerator(sandbox))
		return fd;
	node_access |= attr.handled_access_fs & FS_IOCTL_DEV;
	for (size_t i = 0; i < COUNT(nodes); i++)
		ruleset_allow_node(fd, nodes[i], node_access);
	if (nvidia_node(sandbox->pci, nvidia, sizeof(nvidia)))
		ruleset_allow_node(fd, nvidia, node_access);
	return fd;
}

static int ruleset_enforce(int ruleset)
{
	int ret = syscall(SYS_landlock_restrict_self, ruleset, 0) ? -errno : 0;

	close(ruleset);
	return ret;
}

/* ---- seccomp ----------------------------------------------------------------------- */

/* What libc, threads, a CPU backend and the worker's loop call. */
static const int calls_for_all[] = {
	SCMP_SYS(read), SCMP_SYS(readv), SCMP_SYS(pread64), SCMP_SYS(write), SCMP_SYS(writev),
	SCMP_SYS(close), SCMP_SYS(lseek), SCMP_SYS(fstat), SCMP_SYS(stat),
	SCMP_SYS(lstat), SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(fstatfs),
	SCMP_SYS(statfs), SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(readlink),
	SCMP_SYS(readlinkat), SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
	SCMP_SYS(getdents64), SCMP_SYS(getcwd), SCMP_SYS(dup),
	SCMP_SYS(pipe2), SCMP_SYS(eventfd2), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	SCMP_SYS(mincore), SCMP_SYS(msync), SCMP_SYS(brk), SCMP_SYS(get_mempolicy),
	SCMP_SYS(set_mempolicy), SCMP_SYS(mbind), SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(futex),
	SCMP_SYS(futex_waitv), SCMP_SYS(set_robust_list), SCMP_SYS(get_robust_list),
	SCMP_SYS(rseq), SCMP_SYS(membarrier), SCMP_SYS(set_tid_address), SCMP_SYS(exit),
	SCMP_SYS(exit_group), SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid),
	SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid), SCMP_SYS(getegid),
	SCMP_SYS(sched_yield), SCMP_SYS(sched_getaffinity),
	SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
	SCMP_SYS(sched_get_priority_max), SCMP_SYS(sched_get_priority_min),
	SCMP_SYS(getcpu), SCMP_SYS(getpriority), SCMP_SYS(nanosleep),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(times), SCMP_SYS(getrandom),
	SCMP_SYS(getrlimit), SCMP_SYS(getrusage), SCMP_SYS(sysinfo), SCMP_SYS(uname),
	SCMP_SYS(arch_prctl),
};

/* What the user-space driver of a GPU or an NPU calls besides. */
static const int calls_for_accelerators[] = {
	SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(ioctl), SCMP_SYS(prctl),
	SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(flock),
	SCMP_SYS(pwrite64), SCMP_SYS(mlock), SCMP_SYS(munlock), SCMP_SYS(kcmp),
	SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime), SCMP_SYS(recvmsg),
	SCMP_SYS(sendmsg), SCMP_SYS(socketpair), SCMP_SYS(setpriority),
};

/* What a compiler calls besides, and the linker that it runs. */
static const int calls_for_compilers[] = {
	SCMP_SYS(mmap), SCMP_SYS(mprotect), SCMP_SYS(mkdir), SCMP_SYS(mkdirat), SCMP_SYS(rmdir),
	SCMP_SYS(rename), SCMP_SYS(renameat), SCMP_SYS(renameat2), SCMP_SYS(unlink),
	SCMP_SYS(unlinkat), SCMP_SYS(chmod), SCMP_SYS(fchmod), SCMP_SYS(fchmodat),
	SCMP_SYS(umask), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(fdatasync),
	SCMP_SYS(fsync), SCMP_SYS(flock), SCMP_SYS(pwrite64), SCMP_SYS(utimensat),
	SCMP_SYS(pipe), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(wait4), SCMP_SYS(waitid),
	SCMP_SYS(getdents),
};

/* A worker that asks for one of these has been taken over. */
static const int calls_that_kill[] = {
	SCMP_SYS(execveat), SCMP_SYS(ptrace), SCMP_SYS(process_vm_readv),
	SCMP_SYS(process_vm_writev), SCMP_SYS(pidfd_getfd), SCMP_SYS(bpf), SCMP_SYS(mount),
	SCMP_SYS(unshare), SCMP_SYS(setns), SCMP_SYS(pivot_root), SCMP_SYS(chroot),
	SCMP_SYS(init_module), SCMP_SYS(finit_module), SCMP_SYS(kexec_load),
	SCMP_SYS(perf_event_open), SCMP_SYS(userfaultfd), SCMP_SYS(io_uring_setup),
	SCMP_SYS(keyctl), SCMP_SYS(add_key), SCMP_SYS(request_key), SCMP_SYS(setuid),
	SCMP_SYS(setresuid),
};

static int filter_add_list(scmp_filter_ctx filter, uint32_t action, const int *calls, size_t count)
{
	int ret;

	for (size_t i = 0; i < count; i++) {
		ret = seccomp_rule_add(filter, action, calls[i], 0);
		/* Not every architecture has every call. */
		if (ret && ret != -EDOM)
			return ret;
	}
	return 0;
}

/* To lock, to seal and to copy descriptors; not to have signals sent, to anybody. */
static const int file_commands[] = {
	F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW,
	F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW, F_ADD_SEALS, F_GET_SEALS, F_GETPIPE_SZ, F_SETPIPE_SZ,
};

static int filter_add_files(scmp_filter_ctx filter)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < COUNT(file_commands); i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1,
				       SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)file_commands[i]));
	/* send() on what is connected already, which is the log; to no other address. */
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 1,
				       SCMP_A4(SCMP_CMP_EQ, 0));
	return ret;
}

/* Calls that are allowed with some arguments only, on every device. */
static int filter_add_threads(scmp_filter_ctx filter)
{
	const uint32_t allow = SCMP_ACT_ALLOW;
	int ret;

	/* No new process, only threads; libc falls back to clone, whose flags can be seen. */
	ret = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	if (!ret)
		ret = seccomp_rule_add(filter, allow, SCMP_SYS(clone), 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
	/* abort() and raise() signal this process; others of the same user are none of its business. */
	if (!ret)
		ret = seccomp_rule_add(filter, allow, SCMP_SYS(tgkill), 1,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid()));
	if (!ret)
		ret = seccomp_rule_add(filter, allow, SCMP_SYS(sched_setaffinity), 1,
				       SCMP_A0(SCMP_CMP_EQ, 0));
	if (!ret)
		ret = seccomp_rule_add(filter, allow, SCMP_SYS(prlimit64), 2,
				       SCMP_A0(SCMP_CMP_EQ, 0), SCMP_A2(SCMP_CMP_EQ, 0));
	return ret;
}

/* As posix_spawn() does it, which is how libraries run the linker. */
static int filter_add_exec(scmp_filter_ctx filter, const struct infini_sandbox *sandbox)
{
	int ret;

	if (!sandbox->scratch)
		return seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, SCMP_SYS(execve), 0);
	ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(execve), 0);
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				       SCMP_A0(SCMP_CMP_EQ, CLONE_VM | CLONE_VFORK | SIGCHLD));
	return ret;
}

/* Without an accelerator and a compiler there is no reason to make code at run time. */
static int filter_add_mappings(scmp_filter_ctx filter)
{
	int ret;

	ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	if (!ret)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				       SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
	return ret;
}

/* Without an accelerator there is no reason to talk to drivers. */
static int filter_add_plain(scmp_filter_ctx filter)
{
	static const int names[] = { PR_SET_NAME, PR_GET_NAME, PR_SET_TIMERSLACK };
	int ret;

	ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			       SCMP_A1(SCMP_CMP_MASKED_EQ, 0xffffff00, INFINI_IOC_TYPE << 8));
	for (size_t i = 0; !ret && i < COUNT(names); i++)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				       SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)names[i]));
	return ret;
}

/* What depends on the device and on its backend. */
static int filter_add_by_need(scmp_filter_ctx filter, const struct infini_sandbox *sandbox)
{
	int ret = filter_add_exec(filter, sandbox);

	if (!ret && sandbox->scratch)
		ret = filter_add_list(filter, SCMP_ACT_ALLOW, calls_for_compilers,
				      COUNT(calls_for_compilers));
	if (!ret && is_accelerator(sandbox))
		return filter_add_list(filter, SCMP_ACT_ALLOW, calls_for_accelerators,
				       COUNT(calls_for_accelerators));
	if (!ret && !sandbox->scratch)
		ret = filter_add_mappings(filter);
	return ret ? ret : filter_add_plain(filter);
}

static int filter_load(const struct infini_sandbox *sandbox)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int ret;

	if (!filter)
		return -ENOMEM;
	ret = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
	/* A tree instead of a chain: the hot call, ioctl, is found in a few comparisons. */
	if (!ret)
		ret = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!ret)
		ret = filter_add_list(filter, SCMP_ACT_ALLOW, calls_for_all,
				      COUNT(calls_for_all));
	if (!ret)
		ret = filter_add_list(filter, SCMP_ACT_KILL_PROCESS, calls_that_kill,
				      COUNT(calls_that_kill));
	if (!ret)
		ret = filter_add_files(filter);
	if (!ret)
		ret = filter_add_threads(filter);
	if (!ret)
		ret = filter_add_by_need(filter, sandbox);
	/* sendto() is how libc logs, too. */
	if (!ret && sandbox->is_remote)
		ret = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(recvfrom), 0);
	if (!ret)
		ret = seccomp_load(filter);
	seccomp_release(filter);
	return ret;
}

int infini_sandbox_enter(const struct infini_sandbox *sandbox, char *why, size_t why_bytes)
{
	const char *step = "resource limits";
	int ret, ruleset;

	/* As root still: its paths may not be open to the worker's user. */
	ruleset = ruleset_make(sandbox);
	if (ruleset < 0 && ruleset != -ENOSYS && ruleset != -EOPNOTSUPP) {
		snprintf(why, why_bytes, "sandbox: Landlock: %s", strerror(-ruleset));
		return ruleset;
	}
	if (sandbox->scratch && ruleset < 0) {
		snprintf(why, why_bytes, "sandbox: this kernel has no Landlock (CONFIG_SECURITY_LANDLOCK, "
			 "and \"landlock\" in lsm=), without which no worker compiles what clients write");
		return ruleset;
	}
	ret = limit_resources(sandbox);
	if (!ret) {
		step = "capabilities";
		ret = drop_bounding_set();
	}
	if (!ret) {
		step = "user and group";
		ret = drop_user(sandbox);
	}
	if (!ret) {
		step = "capabilities";
		ret = drop_capabilities();
	}
	if (!ret) {
		step = "no_new_privs";
		ret = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0) ?
			-errno : 0;
	}
	if (!ret && ruleset >= 0) {
		step = "Landlock";
		ret = ruleset_enforce(ruleset);
		ruleset = -1;
	}
	if (!ret) {
		step = "seccomp";
		ret = filter_load(sandbox);
	}
	if (ruleset >= 0)
		close(ruleset);
	if (ret)
		snprintf(why, why_bytes, "sandbox: %s: %s", step, strerror(-ret));
	return ret;
}
