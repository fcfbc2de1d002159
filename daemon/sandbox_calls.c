// SPDX-License-Identifier: GPL-2.0-or-later
/* Which system calls a worker keeps: see sandbox_calls.h. Two tables, enforced and shown. */
#include "sandbox_calls.h"

#include "count.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* Whole calls. In @needs: INFINI_SANDBOX_*. */
static const struct {
	enum infini_sandbox_verdict verdict;
	const int *calls;
	size_t count;
	unsigned int needs;
} lists[] = {
	{ INFINI_CALL_ALLOWED, calls_for_all, COUNT(calls_for_all), 0 },
	{ INFINI_CALL_ALLOWED, calls_for_compilers, COUNT(calls_for_compilers),
	  INFINI_SANDBOX_COMPILER },
	{ INFINI_CALL_ALLOWED, calls_for_accelerators, COUNT(calls_for_accelerators),
	  INFINI_SANDBOX_ACCELERATOR },
	{ INFINI_CALL_KILLS, calls_that_kill, COUNT(calls_that_kill), 0 },
};

/* An argument that is this process, whose number is known when the filter is loaded. No process has this one. */
#define OWN_PID		0x7ffffff1

#define ALLOW(call, when, needs, lacks, ...) \
	{ INFINI_CALL_ALLOWED, SCMP_SYS(call), when, needs, lacks, { __VA_ARGS__ }, \
	  COUNT(((struct scmp_arg_cmp[]){ __VA_ARGS__ })) }
#define IS(arg, value)		{ arg, SCMP_CMP_EQ, (scmp_datum_t)(value), 0 }
#define BITS(arg, mask, value)	{ arg, SCMP_CMP_MASKED_EQ, mask, value }
#define COMMAND(name)		ALLOW(fcntl, #name, 0, 0, IS(1, name))
#define SETTING(name)		ALLOW(prctl, #name, 0, INFINI_SANDBOX_ACCELERATOR, IS(0, name))

/* Calls that depend on their arguments, or that some workers have and others must not try. */
static const struct {
	enum infini_sandbox_verdict verdict;
	int call;
	const char *when;
	unsigned int needs, lacks;
	struct scmp_arg_cmp args[2];
	unsigned int nr_args;
} rules[] = {
	/* To lock, to seal and to copy descriptors; not to have signals sent, to anybody. */
	COMMAND(F_DUPFD), COMMAND(F_DUPFD_CLOEXEC), COMMAND(F_GETFD), COMMAND(F_SETFD),
	COMMAND(F_GETFL), COMMAND(F_SETFL), COMMAND(F_GETLK), COMMAND(F_SETLK), COMMAND(F_SETLKW),
	COMMAND(F_OFD_GETLK), COMMAND(F_OFD_SETLK), COMMAND(F_OFD_SETLKW), COMMAND(F_ADD_SEALS),
	COMMAND(F_GET_SEALS), COMMAND(F_GETPIPE_SZ), COMMAND(F_SETPIPE_SZ),
	/* send() on what is connected already, which is the log; to no other address. */
	ALLOW(sendto, "to no address", 0, 0, IS(4, 0)),
	/* sendto() is how libc logs, too. */
	{ INFINI_CALL_ALLOWED, SCMP_SYS(recvfrom), NULL, INFINI_SANDBOX_REMOTE, 0, { { 0 } }, 0 },
	/* No new process, only threads; libc falls back to clone, whose flags can be seen. */
	{ INFINI_CALL_ABSENT, SCMP_SYS(clone3), NULL, 0, 0, { { 0 } }, 0 },
	ALLOW(clone, "threads", 0, 0, BITS(0, CLONE_THREAD, CLONE_THREAD)),
	/* As posix_spawn() does it, which is how libraries run the linker. */
	ALLOW(clone, "as posix_spawn() does", INFINI_SANDBOX_COMPILER, 0,
	      IS(0, CLONE_VM | CLONE_VFORK | SIGCHLD)),
	{ INFINI_CALL_ALLOWED, SCMP_SYS(execve), NULL, INFINI_SANDBOX_COMPILER, 0, { { 0 } }, 0 },
	{ INFINI_CALL_KILLS, SCMP_SYS(execve), NULL, 0, INFINI_SANDBOX_COMPILER, { { 0 } }, 0 },
	/* abort() and raise() signal this process; others of the same user are none of its business. */
	ALLOW(tgkill, "itself", 0, 0, IS(0, OWN_PID)),
	ALLOW(sched_setaffinity, "itself", 0, 0, IS(0, 0)),
	ALLOW(prlimit64, "itself, to read", 0, 0, IS(0, 0), IS(2, 0)),
	/* Without an accelerator and a compiler there is no reason to make code at run time. */
	ALLOW(mmap, "not executable", 0, INFINI_SANDBOX_ACCELERATOR | INFINI_SANDBOX_COMPILER,
	      BITS(2, PROT_EXEC, 0)),
	ALLOW(mprotect, "not executable", 0, INFINI_SANDBOX_ACCELERATOR | INFINI_SANDBOX_COMPILER,
	      BITS(2, PROT_EXEC, 0)),
	/* Without an accelerator there is no reason to talk to drivers. */
	ALLOW(ioctl, "of infini", 0, INFINI_SANDBOX_ACCELERATOR,
	      BITS(1, 0xffffff00, INFINI_IOC_TYPE << 8)),
	SETTING(PR_SET_NAME), SETTING(PR_GET_NAME), SETTING(PR_SET_TIMERSLACK),
};

static uint32_t action_of(enum infini_sandbox_verdict verdict)
{
	static const uint32_t actions[] = {
		[INFINI_CALL_ALLOWED] = SCMP_ACT_ALLOW,
		[INFINI_CALL_ABSENT] = SCMP_ACT_ERRNO(ENOSYS),
		[INFINI_CALL_KILLS] = SCMP_ACT_KILL_PROCESS,
	};

	return actions[verdict];
}

static int filter_add_list(scmp_filter_ctx filter, size_t list)
{
	int ret;

	for (size_t i = 0; i < lists[list].count; i++) {
		ret = seccomp_rule_add(filter, action_of(lists[list].verdict),
				       lists[list].calls[i], 0);
		/* Not every architecture has every call. */
		if (ret && ret != -EDOM)
			return ret;
	}
	return 0;
}

static int filter_add_rule(scmp_filter_ctx filter, size_t rule)
{
	return seccomp_rule_add_array(filter, action_of(rules[rule].verdict), rules[rule].call,
				      rules[rule].nr_args, rules[rule].args);
}

static int filter_fill(scmp_filter_ctx filter, const struct infini_sandbox *sandbox)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < COUNT(lists); i++) {
		if (infini_sandbox_has(sandbox, lists[i].needs, 0))
			ret = filter_add_list(filter, i);
	}
	for (size_t i = 0; !ret && i < COUNT(rules); i++) {
		if (infini_sandbox_has(sandbox, rules[i].needs, rules[i].lacks))
			ret = filter_add_rule(filter, i);
	}
	return ret;
}

/* libseccomp writes to a file only. */
static int read_code(int fd, struct infini_sandbox_filter *filter)
{
	struct stat stat;
	size_t bytes;

	if (fstat(fd, &stat))
		return -errno;
	bytes = (size_t)stat.st_size;
	if (bytes % sizeof(*filter->code) || bytes / sizeof(*filter->code) > BPF_MAXINSNS)
		return -E2BIG;
	filter->code = malloc(bytes);
	if (!filter->code)
		return -ENOMEM;
	filter->length = (unsigned short)(bytes / sizeof(*filter->code));
	return pread(fd, filter->code, bytes, 0) == (ssize_t)bytes ? 0 : -EIO;
}

static int export_code(scmp_filter_ctx context, struct infini_sandbox_filter *filter)
{
	int fd = memfd_create("filter", MFD_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = seccomp_export_bpf(context, fd);
	if (!ret)
		ret = read_code(fd, filter);
	close(fd);
	return ret;
}

/* There is one, or the list is not what it was taken for. */
static int find_own_pid(struct infini_sandbox_filter *filter)
{
	unsigned int found = 0;

	for (unsigned short i = 0; i < filter->length; i++) {
		if (filter->code[i].k != OWN_PID)
			continue;
		if (filter->code[i].code != (BPF_JMP | BPF_JEQ | BPF_K))
			return -EINVAL;
		filter->own_pid = i;
		found++;
	}
	return found == 1 ? 0 : -EINVAL;
}

int infini_sandbox_calls_compile(const struct infini_sandbox *sandbox,
				 struct infini_sandbox_filter *filter)
{
	scmp_filter_ctx context = seccomp_init(SCMP_ACT_ERRNO(INFINI_SANDBOX_REFUSAL));
	int ret;

	*filter = (struct infini_sandbox_filter){ 0 };
	if (!context)
		return -ENOMEM;
	/* A tree instead of a chain: the hot call, ioctl, is found in a few comparisons. */
	ret = seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!ret)
		ret = filter_fill(context, sandbox);
	if (!ret)
		ret = export_code(context, filter);
	seccomp_release(context);
	if (!ret)
		ret = find_own_pid(filter);
	if (ret)
		infini_sandbox_calls_free(filter);
	return ret;
}

void infini_sandbox_calls_free(struct infini_sandbox_filter *filter)
{
	free(filter->code);
	*filter = (struct infini_sandbox_filter){ 0 };
}

int infini_sandbox_calls_load(const struct infini_sandbox_filter *filter)
{
	const struct sock_fprog program = { .len = filter->length, .filter = filter->code };
	long ret;

	filter->code[filter->own_pid].k = (uint32_t)getpid();
	ret = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
	/* Or a thread that cannot follow. */
	return ret < 0 ? -errno : ret ? -ESRCH : 0;
}

/* ---- in words ---------------------------------------------------------------------- */

/* Those that this architecture has. */
static void tell(enum infini_sandbox_verdict verdict, int call, const char *when,
		 infini_sandbox_call_fn told, void *arg)
{
	char *name = call < 0 ? NULL : seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, call);

	if (name)
		told(verdict, name, when, arg);
	free(name);
}

void infini_sandbox_calls_each(const struct infini_sandbox *sandbox, infini_sandbox_call_fn told,
			       void *arg)
{
	for (size_t i = 0; i < COUNT(lists); i++) {
		if (!infini_sandbox_has(sandbox, lists[i].needs, 0))
			continue;
		for (size_t k = 0; k < lists[i].count; k++)
			tell(lists[i].verdict, lists[i].calls[k], NULL, told, arg);
	}
	for (size_t i = 0; i < COUNT(rules); i++) {
		if (infini_sandbox_has(sandbox, rules[i].needs, rules[i].lacks))
			tell(rules[i].verdict, rules[i].call, rules[i].when, told, arg);
	}
}
