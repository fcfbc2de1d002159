// SPDX-License-Identifier: GPL-2.0-or-later
/* Starting, restarting and retiring workers, with processes that only exit. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "crew.h"
#include "fdstore.h"
#include "log.h"
#include "worker.h"

#include <errno.h>
#include <fcntl.h>
#include <infini.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS	1000000LL

static struct infini_crew crew;
static struct infini_roster roster;
static struct infini_config config;

/* What stands for libinfini and for the worker. */
static int create_error;
static unsigned int creates;
static enum { EXIT_WITH, DIE_OF, WAIT_FOR_SIGNAL, BE_ALONE } behaviour;
static int behaviour_value;
static unsigned int *waiting;		/* workers that came to wait for a signal, in memory they share */
static struct infini_device_register registered;
static int register_error;
static unsigned int names_taken;	/* how often a name is still another file's */
static char told[INFINI_END_REASON_MAX];

int infini_executor_create(int fd, uint32_t vdev_id)
{
	assert_int_equal(fd, roster.devices[0].fd);
	assert_true(vdev_id == 5 || vdev_id == 6);
	creates++;
	return create_error ? create_error : open("/dev/null", O_RDWR | O_CLOEXEC);
}

int infini_device_register(int fd, struct infini_device_register *reg)
{
	assert_int_equal(fd, 33);
	registered = *reg;
	if (names_taken) {
		names_taken--;
		return -EEXIST;
	}
	if (register_error)
		return register_error;
	reg->fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	reg->id = 7;
	return 0;
}

int __real_mkdir(const char *path, mode_t mode);
int __wrap_mkdir(const char *path, mode_t mode);

/* A control group has its files as soon as it is there. */
int __wrap_mkdir(const char *path, mode_t mode)
{
	static const char *const files[] = {
		"cgroup.procs", "memory.max", "memory.current", "memory.swap.max",
		"memory.oom.group", "memory.events", "pids.max",
	};
	int ret = __real_mkdir(path, mode);
	char file[PATH_MAX];

	for (size_t i = 0; !ret && i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(file, sizeof(file), "%s/%s", path, files[i]);
		close(open(file, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
	}
	return ret;
}

int infini_end_reason(int fd, const char *reason)
{
	assert_true(fd >= 0);
	snprintf(told, sizeof(told), "%s", reason);
	return 0;
}

static void leave(int signal)
{
	_exit(signal == SIGUSR1 ? 0 : 9);
}

int infini_worker_open(struct infini_worker *worker)
{
	return strcmp(worker->device, "null0") ? -ENODEV : 0;
}

_Noreturn void infini_worker_main(const struct infini_worker *worker)
{
	if (strcmp(worker->device, "null0") || strcmp(worker->backend, "null") ||
	    (strcmp(worker->vdev_name, "a") && strcmp(worker->vdev_name, "b")) ||
	    worker->device_class != INFINI_CLASS_OTHER)
		_exit(99);
	if (behaviour == EXIT_WITH)
		_exit(behaviour_value);
	if (behaviour == DIE_OF) {
		signal(behaviour_value, SIG_DFL);
		raise(behaviour_value);
	}
	if (behaviour == BE_ALONE)
		_exit(!(worker->needs & INFINI_BACKEND_NEEDS_COMPILER) ? 98 : getpid() == 1 ? 7 : 97);
	signal(SIGUSR1, leave);
	__atomic_add_fetch(waiting, 1, __ATOMIC_SEQ_CST);
	for (;;)
		pause();
}

static int share(void **state)
{
	(void)state;
	waiting = mmap(NULL, sizeof(*waiting), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return waiting == MAP_FAILED;
}

static int setup(void **state)
{
	struct infini_backend_device device = {
		.name = "null0", .description = "test", .device_class = INFINI_CLASS_OTHER,
		.level = INFINI_LEVEL_SEGMENT, .slots = 1, .memory_bytes = 1 << 20, .nr_kinds = 1,
		.kinds = { { .name = "null", .alignment = 64 } },
	};

	(void)state;
	infini_log_level(-1);
	memset(&crew, 0, sizeof(crew));
	memset(&roster, 0, sizeof(roster));
	assert_int_equal(infini_config_defaults(&config), 0);
	create_error = 0;
	creates = 0;
	register_error = 0;
	return infini_roster_add(&roster, 33, &config, "null", &device);
}

static int teardown(void **state)
{
	(void)state;
	infini_crew_clear(&crew);
	infini_roster_clear(&roster);
	return 0;
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 * MS + now.tv_nsec;
}

static void start(void)
{
	infini_crew_start_due(&crew, &roster, &config);
}

static void run_worker_to_its_end(void)
{
	pid_t pid = crew.members->pid;
	int status;

	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(infini_crew_reap(&crew, pid, status));
	assert_int_equal(crew.members->pid, 0);
	assert_int_equal(crew.nr_running, 0);
}

/* ---- cases ------------------------------------------------------------------------- */

static void compiling_worker_is_first_of_its_namespace(void **state)
{
	pid_t pid, other;
	int status;

	(void)state;
	if (geteuid())
		skip();
	behaviour = BE_ALONE;
	roster.devices[0].needs = INFINI_BACKEND_NEEDS_COMPILER;
	infini_crew_want(&crew, 5, 7, "a");
	start();
	pid = crew.members->pid;
	assert_true(pid > 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_true(infini_crew_reap(&crew, pid, status));
	/* The supervisor itself stays where it was: the namespace ended with its first process. */
	other = fork();
	if (!other)
		_exit(getpid() == 1);
	assert_true(other > 0);
	assert_int_equal(waitpid(other, &status, 0), other);
	assert_int_equal(status, 0);
}

static void wanted_worker_starts_once(void **state)
{
	pid_t pid;

	(void)state;
	behaviour = WAIT_FOR_SIGNAL;
	infini_crew_want(&crew, 5, 7, "a");
	infini_crew_want(&crew, 5, 7, "a");
	assert_true(infini_crew_next_ns(&crew) <= now_ns());
	start();
	pid = crew.members->pid;
	/* An event that was on its way when it started. */
	infini_crew_want(&crew, 5, 7, "a");
	start();
	assert_int_equal(crew.members->pid, pid);
	assert_null(crew.members->next);
	assert_int_equal(creates, 1);
	assert_int_equal(crew.nr_running, 1);
	assert_true(infini_crew_next_ns(&crew) == INFINI_FOREVER);
	infini_crew_signal(&crew, SIGKILL);
	run_worker_to_its_end();
	/* It was told: no crash. */
	assert_int_equal(crew.members->crashes, 0);
}

static void wait_for_waiting(unsigned int workers)
{
	int64_t deadline = now_ns() + 10000 * MS;

	while (__atomic_load_n(waiting, __ATOMIC_SEQ_CST) < workers && now_ns() < deadline)
		usleep(1000);
	assert_int_equal(*waiting, workers);
}

/* All there is to a worker is as without one. */
static void worker_is_forked_from_a_zygote(void **state)
{
	int64_t deadline = now_ns() + 10000 * MS;
	pid_t zygote;

	(void)state;
	behaviour = WAIT_FOR_SIGNAL;
	roster.devices[0].forks = true;
	infini_zygotes_tend(&crew.zygotes, &roster, &config);
	zygote = crew.zygotes.all[0].pid;
	assert_true(zygote > 0);
	while (!crew.zygotes.all[0].ready && now_ns() < deadline) {
		infini_crew_want(&crew, 5, 7, "a");
		start();
		infini_crew_signal(&crew, SIGKILL);
		run_worker_to_its_end();
	}
	assert_true(crew.zygotes.all[0].ready);
	*waiting = 0;
	infini_crew_want(&crew, 5, 7, "a");
	infini_crew_want(&crew, 6, 7, "b");
	start();
	assert_int_equal(crew.nr_running, 2);
	/* They were not there, or would not end, if the one who forked them had to reap them. */
	infini_zygotes_end(&crew.zygotes);
	wait_for_waiting(2);
	infini_crew_signal(&crew, SIGUSR1);
	for (struct infini_crew_member *member = crew.members; member; member = member->next) {
		pid_t pid = member->pid;
		int status;

		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(infini_crew_reap(&crew, pid, status));
		assert_int_equal(member->crashes, 0);
	}
	assert_int_equal(crew.nr_running, 0);
}

static const struct {
	const char *name;
	int behaviour, value;
	bool crash;
} ends[] = {
	{ "stopped", EXIT_WITH, INFINI_WORKER_STOPPED, false },
	{ "vdev gone", EXIT_WITH, INFINI_WORKER_GONE, false },
	{ "failed", EXIT_WITH, INFINI_WORKER_FAILED, true },
	{ "sanitizer", EXIT_WITH, 99, true },
	{ "abort", DIE_OF, SIGABRT, true },
	{ "killed by the module", DIE_OF, SIGKILL, true },
	{ "sandbox", DIE_OF, SIGSYS, true },
};

static void crashes_make_the_next_start_wait(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		int64_t pause;

		setup(NULL);
		behaviour = ends[i].behaviour;
		behaviour_value = ends[i].value;
		infini_crew_want(&crew, 5, 7, "a");
		start();
		run_worker_to_its_end();
		infini_crew_want(&crew, 5, 7, "a");
		pause = infini_crew_next_ns(&crew) - now_ns();
		if (ends[i].crash ? pause < 1 * MS || pause > 100 * MS : pause > 0)
			fail_msg("%s: pause of %lld ns", ends[i].name, (long long)pause);
		teardown(NULL);
	}
}

static void pauses_double_up_to_ten_seconds(void **state)
{
	int64_t pause, expected = 100 * MS;

	(void)state;
	behaviour = EXIT_WITH;
	behaviour_value = 1;
	for (int i = 0; i < 12; i++) {
		infini_crew_want(&crew, 5, 7, "a");
		crew.members->not_before_ns = 0;
		start();
		run_worker_to_its_end();
		pause = crew.members->not_before_ns - now_ns();
		assert_true(pause <= expected && pause > expected - 90 * MS);
		expected = expected * 2 > 10000 * MS ? 10000 * MS : expected * 2;
	}
	/* One that lived long enough starts the row again. */
	infini_crew_want(&crew, 5, 7, "a");
	crew.members->not_before_ns = 0;
	start();
	crew.members->started_ns -= 31000 * MS;
	run_worker_to_its_end();
	assert_int_equal(crew.members->crashes, 1);
}

static void worker_of_a_deleted_vdev_did_not_crash(void **state)
{
	(void)state;
	behaviour = WAIT_FOR_SIGNAL;
	infini_crew_want(&crew, 5, 7, "a");
	start();
	infini_crew_deleted(&crew, 5);
	infini_crew_deleted(&crew, 6);
	/* As the module does. */
	kill(crew.members->pid, SIGKILL);
	run_worker_to_its_end();
	assert_int_equal(crew.members->crashes, 0);
	assert_false(crew.members->wanted);
}

static void worker_that_gave_up_its_executor_is_ended(void **state)
{
	(void)state;
	behaviour = WAIT_FOR_SIGNAL;
	infini_crew_want(&crew, 5, 7, "a");
	start();
	/* Another's end is none of its. */
	infini_crew_lost(&crew, 5, (uint32_t)crew.members->pid + 1, "");
	infini_crew_lost(&crew, 6, (uint32_t)crew.members->pid, "");
	assert_int_equal(waitpid(crew.members->pid, NULL, WNOHANG), 0);
	infini_crew_lost(&crew, 5, (uint32_t)crew.members->pid, "");
	run_worker_to_its_end();
	assert_int_equal(crew.members->crashes, 1);
}

static void worker_whose_loss_was_not_heard_is_ended(void **state)
{
	struct infini_admin_vdev vdev = { .id = 5, .device_id = 7, .name = "a" };

	(void)state;
	behaviour = WAIT_FOR_SIGNAL;
	infini_crew_want(&crew, 5, 7, "a");
	start();
	vdev.executor = INFINI_EXECUTOR_NONE;
	infini_crew_observe(&crew, &vdev, &config);
	assert_int_equal(waitpid(crew.members->pid, NULL, WNOHANG), 0);
	/* It has had the time to attach. */
	crew.members->started_ns -= 31000 * MS;
	vdev.executor = INFINI_EXECUTOR_ATTACHED;
	infini_crew_observe(&crew, &vdev, &config);
	assert_int_equal(waitpid(crew.members->pid, NULL, WNOHANG), 0);
	vdev.executor = INFINI_EXECUTOR_NONE;
	infini_crew_observe(&crew, &vdev, &config);
	run_worker_to_its_end();
	assert_int_equal(crew.members->crashes, 1);
}

static void worker_that_its_sandbox_killed_crashed_whatever_came_after(void **state)
{
	(void)state;
	behaviour = DIE_OF;
	behaviour_value = SIGSYS;
	infini_crew_want(&crew, 5, 7, "a");
	start();
	infini_crew_deleted(&crew, 5);
	run_worker_to_its_end();
	assert_int_equal(crew.members->crashes, 1);
}

static void no_worker_starts_during_its_pause(void **state)
{
	(void)state;
	behaviour = EXIT_WITH;
	behaviour_value = 1;
	infini_crew_want(&crew, 5, 7, "a");
	start();
	run_worker_to_its_end();
	infini_crew_want(&crew, 5, 7, "a");
	start();
	assert_int_equal(creates, 1);
	assert_true(crew.members->wanted);
}

static const struct {
	const char *name;
	int error;
	bool still_wanted;
} refusals[] = {
	{ "slot in quarantine", -EBUSY, true },
	{ "vdev gone", -ENOENT, false },
	{ "device gone", -ENODEV, false },
	{ "no file left", -EMFILE, true },
};

static void refused_channels_are_tried_again_if_busy(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		setup(NULL);
		create_error = refusals[i].error;
		infini_crew_want(&crew, 5, 7, "a");
		start();
		if ((crew.members && crew.members->wanted) != refusals[i].still_wanted ||
		    crew.nr_running)
			fail_msg("%s", refusals[i].name);
		teardown(NULL);
	}
}

static void device_that_is_gone_starts_nobody(void **state)
{
	(void)state;
	infini_crew_want(&crew, 5, 8, "a");
	start();
	assert_int_equal(creates, 0);
	assert_null(crew.members);
}

static void listing_starts_and_retires(void **state)
{
	struct infini_admin_vdev vdev = {
		.id = 5, .device_id = 7, .name = "a", .executor = INFINI_EXECUTOR_WANTED,
	};

	(void)state;
	behaviour = WAIT_FOR_SIGNAL;
	config.idle_exit_s = 2;
	infini_crew_observe(&crew, &vdev, &config);
	start();
	assert_int_equal(crew.nr_running, 1);
	/* Long enough for the child to install its handler. */
	usleep(100000);
	vdev.executor = INFINI_EXECUTOR_ATTACHED;
	vdev.stats.clients = 1;
	infini_crew_observe(&crew, &vdev, &config);
	assert_int_equal(crew.members->idle_since_ns, 0);
	vdev.stats.clients = 0;
	infini_crew_observe(&crew, &vdev, &config);
	assert_true(crew.members->idle_since_ns != 0);
	assert_int_equal(waitpid(crew.members->pid, NULL, WNOHANG), 0);
	crew.members->idle_since_ns -= 2000 * MS;
	infini_crew_observe(&crew, &vdev, &config);
	run_worker_to_its_end();
	assert_int_equal(crew.members->crashes, 0);
}

static void foreign_children_are_nobody(void **state)
{
	(void)state;
	assert_false(infini_crew_reap(&crew, 1, 0));
}

static void old_members_are_forgotten(void **state)
{
	(void)state;
	behaviour = EXIT_WITH;
	behaviour_value = 0;
	infini_crew_want(&crew, 5, 7, "a");
	start();
	run_worker_to_its_end();
	start();
	assert_non_null(crew.members);
	crew.members->not_before_ns -= 61000 * MS;
	start();
	assert_null(crew.members);
}

/* ---- registering ------------------------------------------------------------------- */

static void operator_overrules_the_backend(void **state)
{
	struct infini_backend_device device = {
		.name = "big", .description = "d", .level = INFINI_LEVEL_LAUNCH, .slots = 1,
		.memory_bytes = 1 << 30, .nr_kinds = 1,
	};

	(void)state;
	config.nr_devices = 1;
	strcpy(config.devices[0].name, "big");
	config.devices[0].memory_bytes = 4096;
	config.devices[0].slots = 3;
	assert_int_equal(infini_roster_add(&roster, 33, &config, "null", &device), 0);
	assert_int_equal(registered.memory_bytes, 4096);
	assert_int_equal(registered.slots, 3);
	assert_string_equal((char *)registered.backend, "null");
	/* A second report of the same device registers nothing. */
	memset(&registered, 0, sizeof(registered));
	assert_int_equal(infini_roster_add(&roster, 33, &config, "null", &device), 0);
	assert_int_equal(registered.slots, 0);
	assert_int_equal(roster.nr_devices, 2);
}

static void who_goes_off_line_says_why(void **state)
{
	(void)state;
	strcpy(roster.devices[0].remote, "far");
	infini_roster_lost(&roster, "near", "it is here");
	assert_int_equal(roster.nr_devices, 1);
	infini_roster_lost(&roster, "far", "server far:50052 does not answer");
	assert_string_equal(told, "server far:50052 does not answer");
	assert_int_equal(roster.nr_devices, 0);
}

/* ---- another machine's device ---- */

static void make_it_remote(uint32_t nr_endpoints)
{
	config.nr_remotes = 1;
	strcpy(config.remotes[0].name, "far");
	config.remotes[0].nr_endpoints = nr_endpoints;
	strcpy(roster.devices[0].remote, "far");
}

static struct infini_crew_member *member_of(uint32_t vdev_id)
{
	struct infini_crew_member *member = crew.members;

	while (member && member->vdev_id != vdev_id)
		member = member->next;
	assert_non_null(member);
	return member;
}

static void each_worker_has_a_server_of_its_own(void **state)
{
	(void)state;
	make_it_remote(2);
	behaviour = WAIT_FOR_SIGNAL;
	infini_crew_want(&crew, 5, 7, "a");
	infini_crew_want(&crew, 6, 7, "b");
	start();
	assert_int_equal(crew.nr_running, 2);
	assert_int_equal(member_of(5)->endpoint + member_of(6)->endpoint, 1);
	assert_true(infini_crew_on_remote(&crew, "far", 0));
	assert_true(infini_crew_on_remote(&crew, "far", member_of(5)->pid));
	assert_false(infini_crew_on_remote(&crew, "far", getpid()));
	assert_false(infini_crew_on_remote(&crew, "other", 0));
	infini_crew_signal(&crew, SIGKILL);
	for (struct infini_crew_member *member = crew.members; member; member = member->next)
		waitpid(member->pid, NULL, 0);
}

static void second_worker_waits_for_the_only_server(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	make_it_remote(1);
	behaviour = WAIT_FOR_SIGNAL;
	infini_crew_want(&crew, 5, 7, "a");
	start();
	pid = member_of(5)->pid;
	infini_crew_want(&crew, 6, 7, "b");
	start();
	assert_int_equal(crew.nr_running, 1);
	assert_int_equal(creates, 1);
	assert_true(member_of(6)->waits && !member_of(6)->crashes);
	assert_true(member_of(6)->not_before_ns > now_ns());
	/* The first is asked to go; this one has nothing that keeps it. */
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(infini_crew_reap(&crew, pid, status));
	member_of(6)->not_before_ns = 0;
	start();
	assert_int_equal(crew.nr_running, 1);
	assert_true(member_of(6)->pid > 0 && !member_of(6)->waits);
	infini_crew_signal(&crew, SIGKILL);
	waitpid(member_of(6)->pid, NULL, 0);
}

static void another_server_is_tried_after_a_crash(void **state)
{
	(void)state;
	make_it_remote(2);
	behaviour = EXIT_WITH;
	behaviour_value = INFINI_WORKER_FAILED;
	infini_crew_want(&crew, 5, 7, "a");
	for (uint32_t i = 0; i < 3; i++) {
		start();
		assert_int_equal(member_of(5)->endpoint, i % 2);
		run_worker_to_its_end();
		crew.members->not_before_ns = 0;
		infini_crew_want(&crew, 5, 7, "a");
	}
}

static void remote_device_that_does_not_answer_goes_off_line(void **state)
{
	const struct infini_backend_device devices[] = {
		{ .name = "far", .remote = "far", .slots = 1, .memory_bytes = 4096 },
		{ .name = "far.1", .remote = "far", .slots = 1, .memory_bytes = 4096 },
		{ .name = "near", .remote = "near", .slots = 1, .memory_bytes = 4096 },
	};

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(infini_roster_add(&roster, 33, &config, "ggml", &devices[i]), 0);
	assert_true(infini_roster_has_remote(&roster, "far"));
	infini_roster_lost(&roster, "far", "test");
	assert_false(infini_roster_has_remote(&roster, "far"));
	assert_int_equal(roster.nr_devices, 2);
	assert_non_null(infini_roster_find_name(&roster, "near"));
	/* Nor does one stay whose section is gone. */
	infini_roster_filter(&roster, &config);
	assert_null(infini_roster_find_name(&roster, "near"));
}

static void disabled_backend_goes_off_line(void **state)
{
	(void)state;
	/* The default configuration has no [backend null]. */
	infini_roster_filter(&roster, &config);
	assert_int_equal(roster.nr_devices, 0);
}

static void refused_device_is_left_out(void **state)
{
	struct infini_backend_device device = { .name = "x", .slots = 1 };

	(void)state;
	register_error = -EEXIST;
	assert_int_equal(infini_roster_add(&roster, 33, &config, "null", &device), -EEXIST);
	assert_int_equal(roster.nr_devices, 1);
}

static void device_without_its_hardware_goes_off_line(void **state)
{
	const struct infini_backend_device gpus[] = {
		{ .name = "gpu0", .pci = "0000:03:00.0", .slots = 1, .memory_bytes = 4096 },
		{ .name = "gpu1", .pci = "0000:83:00.0", .slots = 1, .memory_bytes = 4096 },
	};
	const struct infini_roster_device *known;

	(void)state;
	assert_int_equal(infini_roster_add(&roster, 33, &config, "ggml", &gpus[0]), 0);
	assert_int_equal(infini_roster_add(&roster, 33, &config, "ggml", &gpus[1]), 0);
	infini_roster_gone(&roster, "gpu0");
	infini_roster_gone(&roster, "gpu0");
	assert_int_equal(roster.nr_devices, 2);
	assert_null(infini_roster_find_pci(&roster, "ggml", "0000:03:00.0"));
	known = infini_roster_find_pci(&roster, "ggml", "0000:83:00.0");
	assert_non_null(known);
	assert_string_equal(known->name, "gpu1");
	/* Of another backend, and of none that has an address. */
	assert_null(infini_roster_find_pci(&roster, "null", "0000:83:00.0"));
	assert_null(infini_roster_find_pci(&roster, "null", ""));
}

/* ---- what outlives the supervisor ---- */

/* A service manager that listens and does nothing; messages pile up to be looked at. */
static int manage(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char path[64];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(path, sizeof(path), "@infinid-crew-%ld", (long)getpid());
	strcpy(address.sun_path, path);
	address.sun_path[0] = '\0';
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))), 0);
	setenv("NOTIFY_SOCKET", path, 1);
	return fd;
}

static int end_management(void **state)
{
	unsetenv("NOTIFY_SOCKET");
	return teardown(state);
}

static void assert_told(int manager, const char *format, ...)
{
	char expected[512], text[512] = "";
	va_list args;

	va_start(args, format);
	vsnprintf(expected, sizeof(expected), format, args);
	va_end(args);
	assert_true(recv(manager, text, sizeof(text) - 1, 0) > 0);
	assert_string_equal(text, expected);
}

static void worker_is_kept_while_it_runs(void **state)
{
	int manager = manage();
	pid_t pid;

	(void)state;
	behaviour = WAIT_FOR_SIGNAL;
	infini_crew_want(&crew, 5, 7, "a");
	start();
	pid = crew.members->pid;
	assert_told(manager, "FDSTORE=1\nFDNAME=worker vdev=5 pid=%ld device=7 name=a remote= "
		    "endpoint=0\n", (long)pid);
	infini_crew_signal(&crew, SIGKILL);
	run_worker_to_its_end();
	assert_told(manager, "FDSTOREREMOVE=1\nFDNAME=worker vdev=5 pid=%ld device=7 name=a remote= "
		    "endpoint=0\n", (long)pid);
	close(manager);
}

/* A process that stands for an earlier supervisor's worker; not a child, or it would be ours. */
static struct infini_fdstore_file worker_left_behind(const char *more)
{
	struct infini_fdstore_file file;
	pid_t pid, middle;
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	middle = fork();
	if (!middle) {
		pid = fork();
		if (!pid) {
			signal(SIGUSR1, leave);
			for (;;)
				pause();
		}
		_exit(write(ends[1], &pid, sizeof(pid)) != sizeof(pid));
	}
	assert_int_equal(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
	waitpid(middle, NULL, 0);
	close(ends[0]);
	close(ends[1]);
	file.fd = pidfd_open(pid, 0);
	assert_true(file.fd >= 0);
	snprintf(file.name, sizeof(file.name), "worker vdev=5 pid=%ld device=7 name=a%s", (long)pid,
		 more);
	return file;
}

static void wait_for_its_end(void)
{
	for (int i = 0; i < 10000 && !infini_crew_ended(&crew); i++)
		usleep(1000);
	assert_ptr_equal(infini_crew_ended(&crew), crew.members);
}

static void worker_of_an_earlier_supervisor_goes_on(void **state)
{
	struct infini_fdstore_file file = worker_left_behind(" remote=far endpoint=1 newer=x");
	struct infini_admin_vdev vdev = { .id = 5, .device_id = 7, .name = "a",
					  .executor = INFINI_EXECUTOR_ATTACHED };
	struct infini_crew_member *member;

	(void)state;
	make_it_remote(2);
	member = infini_crew_inherit(&crew, &file);
	assert_non_null(member);
	assert_int_equal(crew.nr_running, 1);
	assert_string_equal(member->vdev_name, "a");
	assert_true(infini_crew_on_remote(&crew, "far", member->pid));
	/* It is in nobody's way: neither a second one nor its server's second client. */
	infini_crew_want(&crew, 5, 7, "a");
	infini_crew_want(&crew, 6, 7, "b");
	behaviour = WAIT_FOR_SIGNAL;
	start();
	assert_int_equal(creates, 1);
	assert_int_equal(member_of(6)->endpoint, 0);
	assert_null(infini_crew_ended(&crew));
	/* And is retired as any other. */
	config.idle_exit_s = 2;
	infini_crew_observe(&crew, &vdev, &config);
	member->idle_since_ns -= 2000 * MS;
	infini_crew_observe(&crew, &vdev, &config);
	for (int i = 0; i < 10000 && !infini_crew_ended(&crew); i++)
		usleep(1000);
	assert_ptr_equal(infini_crew_ended(&crew), member);
	assert_true(infini_crew_reap(&crew, member->pid, 256));
	assert_int_equal(member->crashes, 0);
	assert_int_equal(crew.nr_running, 1);
	infini_crew_signal(&crew, SIGKILL);
	waitpid(member_of(6)->pid, NULL, 0);
}

static void end_of_an_inherited_worker_is_noticed(void **state)
{
	struct infini_fdstore_file file = worker_left_behind("");
	pid_t pid;

	(void)state;
	assert_non_null(infini_crew_inherit(&crew, &file));
	pid = crew.members->pid;
	assert_null(infini_crew_ended(&crew));
	kill(pid, SIGKILL);
	wait_for_its_end();
	assert_true(infini_crew_reap(&crew, pid, 256));
	assert_int_equal(crew.nr_running, 0);
	assert_null(infini_crew_ended(&crew));
	/* The next one starts at once, and is our own. */
	behaviour = WAIT_FOR_SIGNAL;
	infini_crew_want(&crew, 5, 7, "a");
	start();
	assert_int_equal(creates, 1);
	assert_false(crew.members->inherited);
	infini_crew_signal(&crew, SIGKILL);
	run_worker_to_its_end();
}

/* The worker of one that was deleted has not ended when that of the next starts. */
static void vdevs_of_one_name_have_groups_of_their_own(void **state)
{
	static const char *const groups[] = { "worker-5", "worker-6" };
	struct infini_crew_member *member;
	char path[PATH_MAX + 64], command[64];

	(void)state;
	strcpy(crew.cgroups.base, "/tmp/infinid-crew-XXXXXX");
	assert_non_null(mkdtemp(crew.cgroups.base));
	behaviour = WAIT_FOR_SIGNAL;
	infini_crew_want(&crew, 5, 7, "a");
	start();
	infini_crew_deleted(&crew, 5);
	infini_crew_want(&crew, 6, 7, "a");
	start();
	assert_int_equal(crew.nr_running, 2);
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s/memory.max", crew.cgroups.base, groups[i]);
		if (access(path, F_OK))
			fail_msg("%s is not there", path);
	}
	infini_crew_signal(&crew, SIGKILL);
	for (member = crew.members; member; member = member->next)
		waitpid(member->pid, NULL, 0);
	snprintf(command, sizeof(command), "rm -r %.32s", crew.cgroups.base);
	assert_int_equal(system(command), 0);
}

static const char *const no_workers[] = {
	"worker vdev=5 device=7", "worker pid=1", "worker vdev=x pid=1", "worker vdev=5 pid=0", "",
};

static void what_is_no_worker_is_not_inherited(void **state)
{
	struct infini_fdstore_file file = worker_left_behind("");

	(void)state;
	for (size_t i = 0; i < sizeof(no_workers) / sizeof(no_workers[0]); i++) {
		struct infini_fdstore_file other = { .fd = file.fd };

		strcpy(other.name, no_workers[i]);
		if (infini_crew_inherit(&crew, &other))
			fail_msg("\"%s\"", no_workers[i]);
	}
	/* Nor is one that ended meanwhile. */
	pidfd_send_signal(file.fd, SIGKILL, NULL, 0);
	crew.members = NULL;
	for (int i = 0; i < 10000; i++) {
		struct infini_crew_member *member = infini_crew_inherit(&crew, &file);

		if (!member)
			break;
		free(member);
		crew.members = NULL;
		crew.nr_running = 0;
		usleep(1000);
	}
	assert_null(crew.members);
	close(file.fd);
}

static void device_is_kept_with_what_the_next_must_know(void **state)
{
	const struct infini_backend_device device = {
		.name = "gpu0", .pci = "0000:03:00.0", .slots = 1, .memory_bytes = 4096, .needs = 1,
	};
	int manager = manage();

	(void)state;
	assert_int_equal(infini_roster_add(&roster, 33, &config, "ggml", &device), 0);
	assert_told(manager, "FDSTORE=1\nFDNAME=device name=gpu0 needs=1 pci=0000/03/00.0 remote=\n");
	/* The end of this supervisor is not the device's. */
	infini_roster_clear(&roster);
	assert_int_equal(recv(manager, (char[8]){ 0 }, 8, 0), -1);
	close(manager);
}

static const struct infini_admin_device left_device = {
	.id = 9, .name = "gpu0", .backend = "ggml", .slots = 1, .memory_bytes = 8192, .nr_kinds = 1,
	.kinds = { { .name = "k", .alignment = 64 } }, .online = true,
};

static const struct {
	const char *name;
	const char *backend, *pci;
	uint32_t slots;
	uint64_t memory_bytes, configured_bytes;
	uint32_t nr_kinds;
	const char *kind;
	uint32_t alignment;
	bool stays;
} reports[] = {
	{ "the same", "ggml", "0000:03:00.0", 1, 8192, 0, 1, "k", 64, true },
	{ "less memory by itself", "ggml", "0000:03:00.0", 1, 4096, 0, 1, "k", 64, true },
	{ "memory as it was configured", "ggml", "0000:03:00.0", 1, 4096, 8192, 1, "k", 64, true },
	{ "memory configured otherwise", "ggml", "0000:03:00.0", 1, 8192, 4096, 1, "k", 64, false },
	{ "more slots", "ggml", "0000:03:00.0", 2, 8192, 0, 1, "k", 64, false },
	{ "other hardware", "ggml", "0000:83:00.0", 1, 8192, 0, 1, "k", 64, false },
	{ "no kind", "ggml", "0000:03:00.0", 1, 8192, 0, 0, "k", 64, false },
	{ "another kind", "ggml", "0000:03:00.0", 1, 8192, 0, 1, "l", 64, false },
	{ "another alignment", "ggml", "0000:03:00.0", 1, 8192, 0, 1, "k", 128, false },
};

static struct infini_backend_device report(size_t i)
{
	struct infini_backend_device device = {
		.name = "gpu0", .slots = reports[i].slots, .memory_bytes = reports[i].memory_bytes,
		.nr_kinds = reports[i].nr_kinds, .needs = 1,
		.kinds = { { .alignment = reports[i].alignment } },
	};

	strcpy(device.pci, reports[i].pci);
	strcpy((char *)device.kinds[0].name, reports[i].kind);
	return device;
}

static void device_that_has_changed_goes_off_line_first(void **state)
{
	struct infini_fdstore_file file = { .name = "device name=gpu0 needs=0 pci=0000/03/00.0 remote=" };
	const struct infini_roster_device *known;
	struct infini_backend_device device;

	(void)state;
	for (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
		setup(NULL);
		config.nr_devices = !!reports[i].configured_bytes;
		strcpy(config.devices[0].name, "gpu0");
		config.devices[0].memory_bytes = reports[i].configured_bytes;
		config.devices[0].slots = 0;
		file.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		assert_true(infini_roster_inherit(&roster, &file, &left_device));
		/* It is of use before its backend was asked. */
		known = infini_roster_find(&roster, 9);
		assert_non_null(known);
		assert_string_equal(known->pci, "0000:03:00.0");
		memset(&registered, 0, sizeof(registered));
		device = report(i);
		assert_int_equal(infini_roster_add(&roster, 33, &config, reports[i].backend, &device),
				 0);
		known = infini_roster_find_name(&roster, "gpu0");
		if (!known || (known->id == 9) != reports[i].stays ||
		    !registered.slots != reports[i].stays)
			fail_msg("%s", reports[i].name);
		assert_false(known->inherited);
		/* What only a backend knows is taken from it. */
		assert_int_equal(known->needs, 1);
		teardown(NULL);
	}
}

static void device_that_has_changed_waits_for_its_name(void **state)
{
	struct infini_fdstore_file file = { .name = "device name=gpu0 needs=0 pci=0000/03/00.0 remote=" };
	struct infini_backend_device device = report(0);

	(void)state;
	device.slots = 2;
	file.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(infini_roster_inherit(&roster, &file, &left_device));
	names_taken = 3;
	assert_int_equal(infini_roster_add(&roster, 33, &config, "ggml", &device), 0);
	assert_int_equal(names_taken, 0);
	/* A new one whose name somebody has is not waited for. */
	names_taken = 1;
	strcpy((char *)device.name, "gpu1");
	assert_int_equal(infini_roster_add(&roster, 33, &config, "ggml", &device), -EEXIST);
}

static void device_that_another_backend_reports_first_stays(void **state)
{
	struct infini_fdstore_file file = { .name = "device name=gpu0 needs=0 pci=0000/03/00.0 remote=" };
	struct infini_backend_device device = report(0);

	(void)state;
	file.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_true(infini_roster_inherit(&roster, &file, &left_device));
	memset(&registered, 0, sizeof(registered));
	assert_int_equal(infini_roster_add(&roster, 33, &config, "cuda", &device), 0);
	assert_int_equal(registered.slots, 0);
	assert_true(infini_roster_find(&roster, 9)->inherited);
	/* Its own backend decides, and without it the other one's next report. */
	assert_int_equal(infini_roster_add(&roster, 33, &config, "ggml", &device), 0);
	assert_false(infini_roster_find(&roster, 9)->inherited);
}

static void device_that_is_not_reported_again_goes_off_line(void **state)
{
	struct infini_fdstore_file file = { .name = "device name=gpu0 needs=0 pci= remote=" };
	struct infini_fdstore_file far = { .name = "device name=far needs=0 pci= remote=far" };
	struct infini_admin_device remote = left_device;

	(void)state;
	file.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	far.fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	strcpy(remote.name, "far");
	assert_true(infini_roster_inherit(&roster, &file, &left_device));
	assert_false(infini_roster_inherit(&roster, &file, &left_device));
	assert_true(infini_roster_inherit(&roster, &far, &remote));
	infini_roster_settle(&roster, "cuda");
	assert_non_null(infini_roster_find_name(&roster, "gpu0"));
	infini_roster_settle(&roster, "ggml");
	assert_null(infini_roster_find_name(&roster, "gpu0"));
	/* Another machine is not asked while a worker is connected to it. */
	assert_non_null(infini_roster_find_name(&roster, "far"));
	assert_non_null(infini_roster_find_name(&roster, "null0"));
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(wanted_worker_starts_once),
		ROW(compiling_worker_is_first_of_its_namespace),
		ROW(worker_is_forked_from_a_zygote),
		cmocka_unit_test(crashes_make_the_next_start_wait),
		ROW(pauses_double_up_to_ten_seconds),
		ROW(worker_of_a_deleted_vdev_did_not_crash),
		ROW(worker_that_gave_up_its_executor_is_ended),
		ROW(worker_whose_loss_was_not_heard_is_ended),
		ROW(worker_that_its_sandbox_killed_crashed_whatever_came_after),
		ROW(no_worker_starts_during_its_pause),
		cmocka_unit_test(refused_channels_are_tried_again_if_busy),
		ROW(device_that_is_gone_starts_nobody),
		ROW(listing_starts_and_retires),
		ROW(foreign_children_are_nobody),
		ROW(old_members_are_forgotten),
		ROW(operator_overrules_the_backend),
		ROW(who_goes_off_line_says_why),
		ROW(each_worker_has_a_server_of_its_own),
		ROW(second_worker_waits_for_the_only_server),
		ROW(another_server_is_tried_after_a_crash),
		ROW(remote_device_that_does_not_answer_goes_off_line),
		ROW(disabled_backend_goes_off_line),
		ROW(refused_device_is_left_out),
		ROW(device_without_its_hardware_goes_off_line),
		cmocka_unit_test_setup_teardown(worker_is_kept_while_it_runs, setup, end_management),
		ROW(worker_of_an_earlier_supervisor_goes_on),
		ROW(end_of_an_inherited_worker_is_noticed),
		ROW(what_is_no_worker_is_not_inherited),
		ROW(vdevs_of_one_name_have_groups_of_their_own),
		cmocka_unit_test_setup_teardown(device_is_kept_with_what_the_next_must_know, setup,
						end_management),
		cmocka_unit_test(device_that_has_changed_goes_off_line_first),
		ROW(device_that_has_changed_waits_for_its_name),
		ROW(device_that_another_backend_reports_first_stays),
		ROW(device_that_is_not_reported_again_goes_off_line),
	};

	return cmocka_run_group_tests(tests, share, NULL);
}
