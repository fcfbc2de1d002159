// SPDX-License-Identifier: GPL-2.0-or-later
/* What a worker can still do in its sandbox, and what it cannot. Needs root. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sandbox_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOBODY	65534

/* Each returns 0 when it was let, else an errno. All run in a child inside the sandbox. */

static int try_memory(void)
{
	void *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	return memory == MAP_FAILED || munmap(memory, 1 << 20) ? errno : 0;
}

static int try_code(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? errno : 0;
}

static int try_mprotect_code(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return mprotect(memory, 4096, PROT_READ | PROT_EXEC) ? errno : 0;
}

static void *thread(void *arg)
{
	return arg;
}

static int try_thread(void)
{
	pthread_t id;
	int ret = pthread_create(&id, NULL, thread, NULL);

	return ret ? ret : pthread_join(id, NULL);
}

static int try_affinity(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) || sched_setaffinity(0, sizeof(set), &set) ?
	       errno : 0;
}

static int try_sleep(void)
{
	const struct timespec ms = { 0, 1000000 };

	return clock_nanosleep(CLOCK_MONOTONIC, 0, &ms, NULL);
}

static int try_open(const char *path, int flags)
{
	int fd = open(path, flags);

	return fd < 0 ? errno : 0;
}

static int try_cpuinfo(void)
{
	return try_open("/proc/cpuinfo", O_RDONLY);
}

static int try_library(void)
{
	return try_open("/usr/bin/env", O_RDONLY);
}

static int try_passwd(void)
{
	return try_open("/etc/passwd", O_RDONLY);
}

static int try_tmp(void)
{
	return try_open("/tmp/infinid-sandbox", O_RDWR | O_CREAT);
}

static int try_parents_memory(void)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/mem", getppid());
	return try_open(path, O_RDONLY);
}

static int try_node(void)
{
	return try_open("/dev/urandom", O_RDWR);
}

static int try_own_ioctl(void)
{
	/* Let through to the file, which does not know it. */
	return ioctl(0, _IO(INFINI_IOC_TYPE, 0), 0) && errno == EPERM ? EPERM : 0;
}

static int try_other_ioctl(void)
{
	int bytes;

	return ioctl(0, FIONREAD, &bytes) ? errno : 0;
}

static int try_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0) < 0 ? errno : 0;
}

/* Of the connection that it brought along; there is none here. */
static int try_receive(void)
{
	char byte;

	return recv(0, &byte, 1, 0) < 0 && errno == EPERM ? EPERM : 0;
}

static int try_connect(void)
{
	const struct sockaddr_in address = { .sin_family = AF_INET };

	return connect(0, (const struct sockaddr *)&address, sizeof(address)) && errno == EPERM ?
	       EPERM : 0;
}

static int try_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	return pid < 0 ? errno : 0;
}

static int try_root(void)
{
	return setresgid(0, 0, 0) ? errno : 0;
}

static int try_signal_others(void)
{
	return kill(getppid(), 0) ? errno : 0;
}

/* Without the filter the call itself would be refused for another reason. */
static int filtered(int ret)
{
	return ret < 0 && errno == EPERM ? EPERM : 0;
}

static int try_own_others(void)
{
	return filtered(fcntl(0, F_SETOWN, getppid()));
}

static int try_bind_by_number(void)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	return filtered(sched_setaffinity(getpid(), sizeof(set), &set));
}

static int try_address(void)
{
	const struct sockaddr to = { .sa_family = AF_UNIX };

	return filtered((int)sendto(0, "", 1, 0, &to, sizeof(to)));
}

static int try_connected(void)
{
	return filtered((int)send(0, "", 1, 0));
}

static int try_flags(void)
{
	return filtered(fcntl(0, F_SETFL, O_NONBLOCK));
}

static int try_dump(void)
{
	struct rlimit core;

	getrlimit(RLIMIT_CORE, &core);
	return core.rlim_max ? 0 : EPERM;
}

/* All five sets are empty, the bounding set too, and the user is nobody. */
static int try_capability(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	unsigned long long set;
	unsigned int empty = 0;
	char line[256];

	while (status && fgets(line, sizeof(line), status)) {
		if (!strncmp(line, "Cap", 3) && sscanf(line, "%*s %llx", &set) == 1 && !set)
			empty++;
	}
	return empty == 5 && getuid() == NOBODY && geteuid() == NOBODY && getgid() == NOBODY ?
	       EPERM : 0;
}

static int try_exec(void)
{
	char *const argv[] = { "true", NULL };

	return execve("/bin/true", argv, NULL) ? errno : 0;
}

static int try_ptrace(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) ? errno : 0;
}

static int try_namespace(void)
{
	return unshare(CLONE_NEWUSER) ? errno : 0;
}

static int try_abort(void)
{
	abort();
}

static char scratch[] = "/tmp/infinid-scratch-XXXXXX";

static int try_scratch(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/sub", scratch);
	if (mkdir(path, 0700) != 0)
		return errno;
	strcat(path, "/file");
	return try_open(path, O_RDWR | O_CREAT | O_EXCL) || rename(path, scratch) == 0 ||
	       unlink(path) ? errno : 0;
}

/* As PoCL does it in a thread. */
static int try_linker(void)
{
	char *const argv[] = { "ld", "--version", NULL };
	int status;
	pid_t pid;
	int ret = posix_spawn(&pid, "/usr/bin/ld", NULL, NULL, argv, NULL);

	if (ret)
		return ret;
	return waitpid(pid, &status, 0) != pid || status ? EPERM : 0;
}

/* What it wrote itself. */
static int try_own_program(void)
{
	/* If it is let, it ends with 0. */
	static const char script[] = "#!/usr/bin/ld --version\n";
	char *const argv[] = { "own", NULL };
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/own", scratch);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0700);
	if (fd < 0 || write(fd, script, sizeof(script) - 1) != sizeof(script) - 1 || close(fd))
		return errno;
	return execve(path, argv, NULL) ? errno : 0;
}

static int try_script(void)
{
	char *const argv[] = { "sh", "-c", ":", NULL };

	return execve("/bin/sh", argv, NULL) ? errno : 0;
}

enum outcome { LET, REFUSED, KILLED, ABORTED };

static const struct {
	const char *name;
	int (*attempt)(void);
	enum outcome plain, accelerator, compiler, remote;
} rows[] = {
	{ "maps memory", try_memory, LET, LET, LET, LET },
	{ "makes code", try_code, REFUSED, LET, LET, REFUSED },
	{ "makes memory executable", try_mprotect_code, REFUSED, LET, LET, REFUSED },
	{ "starts a thread", try_thread, LET, LET, LET, LET },
	{ "binds to a processor", try_affinity, LET, LET, LET, LET },
	{ "sleeps", try_sleep, LET, LET, LET, LET },
	{ "reads /proc/cpuinfo", try_cpuinfo, LET, LET, LET, LET },
	{ "reads a system library", try_library, LET, LET, LET, LET },
	{ "reads /etc/passwd", try_passwd, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "writes to /tmp", try_tmp, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "reads its parent's memory", try_parents_memory, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "writes to a device node", try_node, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "calls its channel", try_own_ioctl, LET, LET, LET, LET },
	{ "calls another driver", try_other_ioctl, REFUSED, LET, REFUSED, REFUSED },
	{ "opens a socket", try_socket, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "receives from a connection", try_receive, REFUSED, REFUSED, REFUSED, LET },
	{ "connects", try_connect, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "forks", try_fork, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "takes group root", try_root, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "signals another process", try_signal_others, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "has signals sent to another process", try_own_others, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "binds a process by its number", try_bind_by_number, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "sends to an address", try_address, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "sends on a connection", try_connected, LET, LET, LET, LET },
	{ "changes a descriptor's flags", try_flags, LET, LET, LET, LET },
	{ "dumps core", try_dump, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "has a capability", try_capability, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "runs a program", try_exec, KILLED, KILLED, REFUSED, KILLED },
	{ "writes to its scratch directory", try_scratch, REFUSED, REFUSED, LET, REFUSED },
	{ "runs the linker", try_linker, REFUSED, REFUSED, LET, REFUSED },
	{ "runs a shell", try_script, KILLED, KILLED, REFUSED, KILLED },
	{ "runs what it wrote", try_own_program, REFUSED, REFUSED, REFUSED, REFUSED },
	{ "traces its parent", try_ptrace, KILLED, KILLED, KILLED, KILLED },
	{ "makes a namespace", try_namespace, KILLED, KILLED, KILLED, KILLED },
	{ "aborts", try_abort, ABORTED, ABORTED, ABORTED, ABORTED },
};

static const char *const outcomes[] = { "let", "refused", "killed", "aborted" };

/* Of workers: on a CPU, on an accelerator, one that compiles, on another machine's accelerator. */
enum worker { PLAIN, ACCELERATOR, COMPILER, REMOTE };

static struct infini_sandbox sandbox_of(enum worker worker)
{
	return (struct infini_sandbox){
		.uid = NOBODY, .gid = NOBODY, .is_remote = worker == REMOTE,
		.device_class = worker == ACCELERATOR || worker == REMOTE ? INFINI_CLASS_GPU :
									    INFINI_CLASS_CPU,
		.scratch = worker == COMPILER ? scratch : NULL,
	};
}

/* Made by the parent, or NULL. */
static const struct infini_sandbox_filter *made_before;

static _Noreturn void child(int (*attempt)(void), enum worker worker)
{
	struct infini_sandbox sandbox = sandbox_of(worker);
	int pipe_ends[2];
	char why[256];

	/* Descriptor 0 becomes a pipe, which answers FIONREAD. */
	signal(SIGABRT, SIG_DFL);
	sandbox.filter = made_before;
	if (pipe(pipe_ends) || dup2(pipe_ends[0], 0) < 0)
		_exit(77);
	if (infini_sandbox_enter(&sandbox, why, sizeof(why))) {
		fprintf(stderr, "%s\n", why);
		_exit(78);
	}
	_exit(attempt() ? REFUSED : LET);
}

static enum outcome run(int (*attempt)(void), enum worker worker)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		child(attempt, worker);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGSYS ? KILLED : ABORTED;
	if (WEXITSTATUS(status) > REFUSED)
		fail_msg("the sandbox failed: %d", WEXITSTATUS(status));
	return WEXITSTATUS(status);
}

static void check(enum worker worker)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const enum outcome expected[] = { rows[i].plain, rows[i].accelerator,
						  rows[i].compiler, rows[i].remote };
		enum outcome got = run(rows[i].attempt, worker);

		if (got != expected[worker])
			fail_msg("%s: %s, not %s", rows[i].name, outcomes[got],
				 outcomes[expected[worker]]);
	}
}

/* ---- every call there is ----------------------------------------------------------- */

#define CALLS	600			/* numbers on any architecture, and some more */

/* What is said of each number. */
static struct {
	bool named;
	bool kills;
} said[CALLS];

static int call_to_make;

static void note_call(enum infini_sandbox_verdict verdict, const char *name, const char *when,
		      void *arg)
{
	int call = seccomp_syscall_resolve_name(name);

	(void)when;
	(void)arg;
	assert_true(call >= 0 && call < CALLS);
	said[call].named = true;
	said[call].kills = verdict == INFINI_CALL_KILLS;
}

static int make_call(void)
{
	return syscall(call_to_make, 0, 0, 0, 0, 0, 0) ? errno : 0;
}

/* Calls of the kernel's own trampolines are asked of no filter, and end who calls them elsewhere. */
static bool is_trampoline(int call)
{
#ifdef __x86_64__
	return call == 335 || call == 336;	/* uretprobe, uprobe */
#else
	return call < 0;
#endif
}

/* 0 if each that nobody speaks of is EPERM, before the kernel looks at it. */
static int try_unnamed(void)
{
	for (int call = 0; call < CALLS; call++) {
		if (said[call].named || is_trampoline(call))
			continue;
		if (syscall(call, 0, 0, 0, 0, 0, 0) != -1 || errno != EPERM) {
			fprintf(stderr, "system call %d is not refused\n", call);
			return EINVAL;
		}
	}
	return 0;
}

static void every_call_is_as_shown(void **state)
{
	(void)state;
	for (enum worker worker = PLAIN; worker <= REMOTE; worker++) {
		const struct infini_sandbox sandbox = sandbox_of(worker);

		/* No Landlock is asked of a directory that is not there. */
		if (worker == COMPILER)
			assert_non_null(mkdtemp(scratch));
		memset(said, 0, sizeof(said));
		infini_sandbox_calls_each(&sandbox, note_call, NULL);
		assert_true(said[SYS_read].named && said[SYS_ptrace].kills && !said[SYS_connect].named);
		assert_true(said[SYS_execve].kills == (worker != COMPILER));
		assert_int_equal(run(try_unnamed, worker), LET);
		for (call_to_make = 0; call_to_make < CALLS; call_to_make++) {
			if (said[call_to_make].kills && run(make_call, worker) != KILLED)
				fail_msg("system call %d does not kill", call_to_make);
		}
		if (worker != COMPILER)
			continue;
		assert_int_equal(rmdir(scratch), 0);
		strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
	}
}

/* ---- workers ----------------------------------------------------------------------- */

static void plain_worker(void **state)
{
	(void)state;
	check(PLAIN);
}

static void worker_whose_list_was_made_before_it(void **state)
{
	const struct infini_sandbox sandbox = sandbox_of(PLAIN);
	struct infini_sandbox_filter filter;

	(void)state;
	assert_int_equal(infini_sandbox_calls_compile(&sandbox, &filter), 0);
	made_before = &filter;
	check(PLAIN);
	made_before = NULL;
	infini_sandbox_calls_free(&filter);
}

static void accelerator_worker(void **state)
{
	(void)state;
	check(ACCELERATOR);
}

static void compiling_worker(void **state)
{
	char command[64];

	(void)state;
	assert_non_null(mkdtemp(scratch));
	assert_int_equal(chown(scratch, NOBODY, NOBODY), 0);
	check(COMPILER);
	snprintf(command, sizeof(command), "rm -r %s", scratch);
	assert_int_equal(system(command), 0);
	strcpy(scratch + strlen(scratch) - 6, "XXXXXX");
}

static void gpu_has_its_own_node(void **state)
{
	static const struct {
		const char *information;
		int minor;
	} rows[] = {
		{ "Model: \t\t NVIDIA H100\nIRQ:   \t\t 24\nDevice Minor: \t 3\nGPU Excluded:\t No\n", 3 },
		{ "Model: \t\t Device Minor: 3\n", -1 },
		{ "\nDevice Minor:\n", -1 },
		{ "\nDevice Minor: \t 256\n", -1 },
		{ "\nDevice Minor: \t -1\n", -1 },
		{ "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(infini_sandbox_nvidia_minor(rows[i].information), rows[i].minor);
}

static void remote_worker(void **state)
{
	(void)state;
	check(REMOTE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gpu_has_its_own_node),
		cmocka_unit_test(plain_worker),
		cmocka_unit_test(worker_whose_list_was_made_before_it),
		cmocka_unit_test(accelerator_worker),
		cmocka_unit_test(compiling_worker),
		cmocka_unit_test(remote_worker),
		cmocka_unit_test(every_call_is_as_shown),
	};

	if (geteuid() != 0) {
		puts("1..0 # SKIP dropping privileges needs root");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
