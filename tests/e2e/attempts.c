// SPDX-License-Identifier: GPL-2.0-or-later
/* What code that has taken over a worker could try: see attempts.h. None may be let, in any worker. */
#include "attempts.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/infini.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int error_of(long ret)
{
	return ret < 0 ? errno : 0;
}

/* A system call with these arguments. */
#define CALL(name, ...) static int name(pid_t target) \
	{ (void)target; return error_of(syscall(__VA_ARGS__)); }

/* ---- files ---- */

static int open_at(const char *path, int flags)
{
	return error_of(open(path, flags | O_CLOEXEC, 0600));
}

#define OPENS(name, path, flags) static int name(pid_t target) \
	{ (void)target; return open_at(path, flags); }

OPENS(passwd, "/etc/passwd", O_RDONLY)
OPENS(shadow, "/etc/shadow", O_RDONLY)
OPENS(root_directory, "/", O_RDONLY | O_DIRECTORY)
OPENS(home, "/root", O_RDONLY | O_DIRECTORY)
OPENS(temporary, "/tmp/rogue", O_WRONLY | O_CREAT)
OPENS(configuration, "/out/infinid.conf", O_RDONLY)
OPENS(output, "/out/infinid.conf", O_RDWR)
OPENS(ledger, "/var/lib/infini/ledger.db", O_RDONLY)
OPENS(library, "/usr/lib/os-release", O_WRONLY)
OPENS(control_node, "/dev/infini", O_RDWR)
OPENS(kernel_log, "/dev/kmsg", O_RDWR)
OPENS(terminal, "/dev/tty", O_RDWR)
OPENS(pseudo_terminal, "/dev/ptmx", O_RDWR)
OPENS(kernel_symbols, "/proc/kallsyms", O_RDONLY)
OPENS(sysctl, "/proc/sys/kernel/hostname", O_WRONLY)
OPENS(debugfs, "/sys/kernel/debug", O_RDONLY | O_DIRECTORY)
OPENS(tracefs, "/sys/kernel/tracing/trace", O_RDONLY)
OPENS(own_limit, "/sys/fs/cgroup/infinid/worker-rogue/memory.max", O_WRONLY)
OPENS(other_group, "/sys/fs/cgroup/infinid/cgroup.procs", O_WRONLY)
OPENS(init_memory, "/proc/1/mem", O_RDONLY)
OPENS(init_environment, "/proc/1/environ", O_RDONLY)

/* Of those that there are; one is its own. */
static int vdev_nodes(pid_t target)
{
	int ret = ENOENT, err;
	char path[32];

	(void)target;
	for (int id = 0; id < 256; id++) {
		snprintf(path, sizeof(path), "/dev/infini%d", id);
		err = open_at(path, O_RDWR);
		if (err != ENOENT)
			ret = err;
		if (!err)
			break;
	}
	return ret;
}

static int of_target(pid_t target, const char *file, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", target, file);
	return open_at(path, flags);
}

static int target_memory(pid_t target)
{
	return of_target(target, "mem", O_RDWR);
}

static int target_environment(pid_t target)
{
	return of_target(target, "environ", O_RDONLY);
}

static int target_files(pid_t target)
{
	return of_target(target, "fd", O_RDONLY | O_DIRECTORY);
}

static int parent_memory(pid_t target)
{
	(void)target;
	return of_target(getppid(), "mem", O_RDWR);
}

CALL(make_node, SYS_mknodat, AT_FDCWD, "/tmp/rogue-node", S_IFCHR | 0666, makedev(1, 1))
CALL(make_link, SYS_symlinkat, "/etc/shadow", AT_FDCWD, "/tmp/rogue-link")
CALL(by_handle, SYS_open_by_handle_at, AT_FDCWD, NULL, O_RDONLY)
CALL(watch_files, SYS_fanotify_init, 0, O_RDONLY)
CALL(set_attribute, SYS_setxattr, "/usr", "user.rogue", "", 0, 0)
CALL(take_ownership, SYS_fchownat, AT_FDCWD, "/usr", 65534, 65534, 0)

/* ---- the network ---- */

CALL(tcp, SYS_socket, AF_INET, SOCK_STREAM, 0)
CALL(tcp6, SYS_socket, AF_INET6, SOCK_STREAM, 0)
CALL(udp, SYS_socket, AF_INET, SOCK_DGRAM, 0)
CALL(raw_packets, SYS_socket, AF_PACKET, SOCK_RAW, 0)
CALL(local_socket, SYS_socket, AF_UNIX, SOCK_STREAM, 0)
CALL(netlink, SYS_socket, AF_NETLINK, SOCK_RAW, NETLINK_GENERIC)
CALL(virtual_socket, SYS_socket, 40 /* AF_VSOCK */, SOCK_STREAM, 0)

/* By a descriptor that it has, whatever it is. */
static int connect_again(pid_t target)
{
	const struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(22), .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};

	(void)target;
	return error_of(connect(2, (const struct sockaddr *)&to, sizeof(to)));
}

static int send_elsewhere(pid_t target)
{
	const struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "/run/infini/metrics.sock" };

	(void)target;
	return error_of(sendto(2, "", 1, 0, (const struct sockaddr *)&to, sizeof(to)));
}

CALL(listen_for_others, SYS_listen, 2, 1)

/* ---- other processes ---- */

static int trace(pid_t target)
{
	return error_of(ptrace(PTRACE_ATTACH, target, NULL, NULL));
}

static int read_process(pid_t target)
{
	return error_of(syscall(SYS_process_vm_readv, target, NULL, 0, NULL, 0, 0));
}

static int write_process(pid_t target)
{
	return error_of(syscall(SYS_process_vm_writev, target, NULL, 0, NULL, 0, 0));
}

static int signal_target(pid_t target)
{
	return error_of(kill(target, 0));
}

static int signal_all(pid_t target)
{
	(void)target;
	return error_of(kill(-1, 0));
}

static int signal_thread(pid_t target)
{
	return error_of(syscall(SYS_tgkill, target, target, 0));
}

static int queue_signal(pid_t target)
{
	siginfo_t info = { .si_code = SI_QUEUE };

	return error_of(syscall(SYS_rt_sigqueueinfo, target, SIGTERM, &info));
}

static int hold_process(pid_t target)
{
	return error_of(syscall(SYS_pidfd_open, target, 0));
}

CALL(take_descriptor, SYS_pidfd_getfd, 0, 0, 0)

static int limit_target(pid_t target)
{
	const struct rlimit none = { 0, 0 };

	return error_of(syscall(SYS_prlimit64, target, RLIMIT_NOFILE, &none, NULL));
}

static int move_target(pid_t target)
{
	return error_of(syscall(SYS_migrate_pages, target, 0, NULL, NULL));
}

static int bind_target(pid_t target)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	return error_of(sched_setaffinity(target, sizeof(set), &set));
}

/* ---- new programs and processes ---- */

static int shell(pid_t target)
{
	char *const argv[] = { "sh", "-c", "exit 0", NULL };

	(void)target;
	return error_of(execve("/bin/sh", argv, NULL));
}

static int program_in_memory(pid_t target)
{
	char *const argv[] = { "rogue", NULL };

	(void)target;
	return error_of(syscall(SYS_execveat, 2, "", argv, NULL, AT_EMPTY_PATH));
}

static int fork_self(pid_t target)
{
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);

	(void)target;
	if (!pid)
		_exit(0);
	return error_of(pid);
}

CALL(fork_by_vfork, SYS_clone, CLONE_VFORK | SIGCHLD, NULL, NULL, NULL, NULL)
CALL(clone_by_struct, SYS_clone3, NULL, 0)

/* ---- namespaces ---- */

CALL(user_namespace, SYS_unshare, CLONE_NEWUSER)
CALL(mount_namespace, SYS_unshare, CLONE_NEWNS)
CALL(cloned_namespace, SYS_clone, CLONE_NEWUSER | SIGCHLD, NULL, NULL, NULL, NULL)
CALL(enter_namespace, SYS_setns, 0, CLONE_NEWNET)
CALL(change_root, SYS_chroot, "/")
CALL(pivot, SYS_pivot_root, "/", "/")
CALL(mount_something, SYS_mount, "none", "/mnt", "tmpfs", 0, NULL)
CALL(new_mount, SYS_fsopen, "tmpfs", 0)
CALL(move_mounts, SYS_open_tree, AT_FDCWD, "/", 0)
CALL(unmount, SYS_umount2, "/run", 2 /* MNT_DETACH */)

/* ---- rights ---- */

CALL(user_root, SYS_setresuid, 0, 0, 0)
CALL(group_root, SYS_setresgid, 0, 0, 0)
CALL(other_groups, SYS_setgroups, 0, NULL)
CALL(capabilities, SYS_capset, NULL, NULL)
CALL(more_files, SYS_setrlimit, RLIMIT_NOFILE, NULL)
CALL(dumpable_by_number, SYS_prctl, PR_SET_MM, PR_SET_MM_START_CODE, 0, 0, 0)
CALL(another_filter, SYS_seccomp, 1, 0, NULL)
CALL(personality_change, SYS_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */)
CALL(another_landlock, SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION)

/* ---- interfaces of the kernel ---- */

CALL(programs_in_kernel, SYS_bpf, 0, NULL, 0)
CALL(counters, SYS_perf_event_open, NULL, 0, -1, -1, 0)
CALL(faults, SYS_userfaultfd, 0)
CALL(ring, SYS_io_uring_setup, 8, NULL)
CALL(keys, SYS_keyctl, 0, 0, 0, 0, 0)
CALL(new_key, SYS_add_key, "user", "rogue", "x", 1, 0)
CALL(load_module, SYS_init_module, NULL, 0, "")
CALL(load_module_file, SYS_finit_module, 0, "", 0)
CALL(next_kernel, SYS_kexec_load, 0, 0, NULL, 0)
CALL(restart, SYS_reboot, 0, 0, 0, NULL)
CALL(name_machine, SYS_sethostname, "rogue", 5)
CALL(set_clock, SYS_clock_settime, CLOCK_REALTIME, NULL)
CALL(read_log, SYS_syslog, 3, NULL, 0)
CALL(swap, SYS_swapon, "/tmp", 0)
CALL(quotas, SYS_quotactl, 0, "", 0, NULL)
CALL(accounting, SYS_acct, NULL)
CALL(shared_memory, SYS_shmget, 0, 4096, 01600)
CALL(message_queue, SYS_mq_open, "/rogue", O_CREAT | O_RDWR, 0600, NULL)
CALL(semaphores, SYS_semget, 0, 1, 01600)
CALL(real_time, SYS_sched_setscheduler, 0, SCHED_FIFO, NULL)
CALL(protection_keys, SYS_pkey_alloc, 0, 0)
CALL(secret_memory, SYS_memfd_secret, 0)
CALL(steal_input, SYS_ioctl, 0, 0x5412 /* TIOCSTI */, "x")
#ifdef SYS_ioperm
CALL(ports, SYS_ioperm, 0x70, 2, 1)
#endif
#ifdef SYS_modify_ldt
CALL(segments, SYS_modify_ldt, 1, NULL, 0)
#endif

/* ---- its channel ---- */

static int channel(void)
{
	struct infini_query query;

	for (int fd = 0; fd < 256; fd++) {
		query = (struct infini_query){ .size = sizeof(query) };
		if (!ioctl(fd, INFINI_IOC_QUERY, &query) && query.role == INFINI_ROLE_EXECUTOR)
			return fd;
	}
	return -1;
}

static int on_channel(unsigned long command, void *arg)
{
	int fd = channel();

	return fd < 0 ? 0 : error_of(ioctl(fd, command, arg));
}

static int attach_again(pid_t target)
{
	struct infini_executor_attach attach = {
		.size = sizeof(attach), .protocol = INFINI_PROTOCOL_VERSION, .window = 1,
	};

	(void)target;
	return on_channel(INFINI_IOC_EXECUTOR_ATTACH, &attach);
}

static int open_vdev(pid_t target)
{
	struct infini_vdev_open open = { .size = sizeof(open), .id = 1 };

	(void)target;
	return on_channel(INFINI_IOC_VDEV_OPEN, &open);
}

static int register_device(pid_t target)
{
	struct infini_device_register reg = { .size = sizeof(reg) };

	(void)target;
	return on_channel(INFINI_IOC_DEVICE_REGISTER, &reg);
}

static int make_executor(pid_t target)
{
	struct infini_executor_create create = { .size = sizeof(create), .vdev_id = 1 };

	(void)target;
	return on_channel(INFINI_IOC_EXECUTOR_CREATE, &create);
}

/* Programs of anybody by their ids: only those that it has a dispatch of. */
static int read_programs(pid_t target)
{
	struct rogue_program found;
	struct infini_program_read read = {
		.size = sizeof(read), .bytes = sizeof(found), .data = (uintptr_t)&found,
	};
	int fd = channel(), ret = 0;

	(void)target;
	for (read.program = 0; fd >= 0 && read.program < 1024; read.program++) {
		ret = error_of(ioctl(fd, INFINI_IOC_PROGRAM_READ, &read));
		if (!ret && found.magic == ROGUE_MAGIC && found.value == ROGUE_SECRET)
			return 0;
	}
	return ret ? ret : EACCES;
}

/* A result of a job that was never given. */
static int false_result(pid_t target)
{
	struct infini_result result = { .dispatch = 1ULL << 40 };
	struct infini_exchange exchange = {
		.size = sizeof(exchange), .results = (uintptr_t)&result, .nr_results = 1,
		.results_stride = sizeof(result),
	};

	(void)target;
	return on_channel(INFINI_IOC_EXCHANGE, &exchange);
}

static sigjmp_buf no_page;

static void on_fault(int signal)
{
	(void)signal;
	siglongjmp(no_page, 1);
}

/* 0: this page has what another vdev's memory is full of. */
static int look_into(const uint64_t *page)
{
	if (sigsetjmp(no_page, 1))
		return EFAULT;
	return *(const volatile uint64_t *)page == ROGUE_SECRET ? 0 : EACCES;
}

/* Every buffer there could be, by its number. */
static int map_buffers(pid_t target)
{
	const struct sigaction fault = { .sa_handler = on_fault };
	struct sigaction bus, segv;
	int fd = channel(), ret = EFAULT;
	void *page;

	(void)target;
	sigaction(SIGBUS, &fault, &bus);
	sigaction(SIGSEGV, &fault, &segv);
	for (uint64_t number = 0; ret && fd >= 0 && number < 4096; number++) {
		page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, (off_t)(number << 12));
		if (page == MAP_FAILED)
			continue;
		ret = look_into(page);
		munmap(page, 4096);
	}
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return fd < 0 ? 0 : ret;
}

static int write_yield_word(pid_t target)
{
	int fd = channel();
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
			  (off_t)(1ULL << 32));

	(void)target;
	return page == MAP_FAILED ? errno : 0;
}

/* ---- the table ---- */

const struct attempt attempts[] = {
	{ "reads /etc/passwd", passwd },
	{ "reads /etc/shadow", shadow },
	{ "lists /", root_directory },
	{ "lists /root", home },
	{ "writes to /tmp", temporary },
	{ "reads infinid.conf", configuration },
	{ "writes to infinid.conf", output },
	{ "reads the ledger", ledger },
	{ "writes below /usr", library },
	{ "opens /dev/infini", control_node },
	{ "opens /dev/infiniN", vdev_nodes },
	{ "opens /dev/kmsg", kernel_log },
	{ "opens its terminal", terminal },
	{ "opens a pseudo terminal", pseudo_terminal },
	{ "reads /proc/kallsyms", kernel_symbols },
	{ "writes to /proc/sys", sysctl },
	{ "lists debugfs", debugfs },
	{ "reads the trace", tracefs },
	{ "raises its control group's limit", own_limit },
	{ "leaves its control group", other_group },
	{ "reads the memory of process 1", init_memory },
	{ "reads the environment of process 1", init_environment },
	{ "opens another worker's memory", target_memory },
	{ "reads another worker's environment", target_environment },
	{ "lists another worker's files", target_files },
	{ "opens its parent's memory", parent_memory },
	{ "makes a device node", make_node },
	{ "makes a symbolic link", make_link },
	{ "opens a file by its handle", by_handle },
	{ "watches files", watch_files },
	{ "sets an attribute of a file", set_attribute },
	{ "takes a file's ownership", take_ownership },
	{ "makes a TCP socket", tcp },
	{ "makes a TCP socket of version 6", tcp6 },
	{ "makes a UDP socket", udp },
	{ "makes a packet socket", raw_packets },
	{ "makes a local socket", local_socket },
	{ "makes a netlink socket", netlink },
	{ "makes a socket to the host of its machine", virtual_socket },
	{ "connects", connect_again },
	{ "sends to the metrics' socket", send_elsewhere },
	{ "listens", listen_for_others },
	{ "traces another worker", trace },
	{ "reads another worker by process_vm_readv", read_process },
	{ "writes to another worker by process_vm_writev", write_process },
	{ "signals another worker", signal_target },
	{ "signals every process of its user", signal_all },
	{ "signals another worker's thread", signal_thread },
	{ "queues a signal for another worker", queue_signal },
	{ "opens another worker as a descriptor", hold_process },
	{ "takes another worker's descriptor", take_descriptor },
	{ "limits another worker", limit_target },
	{ "moves another worker's pages", move_target },
	{ "binds another worker to a processor", bind_target },
	{ "runs a shell", shell },
	{ "runs a program from a descriptor", program_in_memory },
	{ "forks", fork_self },
	{ "forks as vfork() does", fork_by_vfork },
	{ "forks by clone3", clone_by_struct },
	{ "makes a user namespace", user_namespace },
	{ "makes a mount namespace", mount_namespace },
	{ "forks into a user namespace", cloned_namespace },
	{ "enters a namespace", enter_namespace },
	{ "changes its root", change_root },
	{ "pivots its root", pivot },
	{ "mounts", mount_something },
	{ "mounts the new way", new_mount },
	{ "copies the tree of mounts", move_mounts },
	{ "unmounts", unmount },
	{ "becomes user root", user_root },
	{ "becomes group root", group_root },
	{ "sets its groups", other_groups },
	{ "sets its capabilities", capabilities },
	{ "raises a resource limit", more_files },
	{ "changes what the kernel knows of its memory", dumpable_by_number },
	{ "loads another seccomp filter", another_filter },
	{ "changes its personality", personality_change },
	{ "makes a ruleset of Landlock", another_landlock },
	{ "calls bpf", programs_in_kernel },
	{ "opens a performance counter", counters },
	{ "handles its page faults itself", faults },
	{ "makes an io_uring", ring },
	{ "asks for keys", keys },
	{ "adds a key", new_key },
	{ "loads a module", load_module },
	{ "loads a module from a file", load_module_file },
	{ "loads a kernel", next_kernel },
	{ "reboots", restart },
	{ "names the machine", name_machine },
	{ "sets the clock", set_clock },
	{ "reads the kernel's log", read_log },
	{ "turns swap on", swap },
	{ "sets quotas", quotas },
	{ "turns accounting on", accounting },
	{ "makes System V shared memory", shared_memory },
	{ "makes a message queue", message_queue },
	{ "makes semaphores", semaphores },
	{ "becomes a real-time process", real_time },
	{ "allocates a protection key", protection_keys },
	{ "makes secret memory", secret_memory },
	{ "types into its terminal", steal_input },
#ifdef SYS_ioperm
	{ "asks for I/O ports", ports },
#endif
#ifdef SYS_modify_ldt
	{ "changes its segments", segments },
#endif
	{ "attaches its channel again", attach_again },
	{ "opens a vdev by its channel", open_vdev },
	{ "registers a device by its channel", register_device },
	{ "makes an executor by its channel", make_executor },
	{ "reads another vdev's programs", read_programs },
	{ "answers for a job that it was not given", false_result },
	{ "maps another vdev's buffers", map_buffers },
	{ "maps the yield word to write", write_yield_word },
};

const unsigned int nr_attempts = sizeof(attempts) / sizeof(attempts[0]);
