// SPDX-License-Identifier: GPL-2.0-or-later
/* Workers that are forked from a process which has their device's backend open. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "clock.h"
#include "log.h"
#include "worker.h"
#include "zygote.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICE		7
#define PATIENCE_MS	10000

static struct infini_zygotes zygotes;
static struct infini_roster roster;
static struct infini_config config;

/* ---- what stands for the roster, the backend and the worker --------------------------- */

/* What all processes of a test see. */
static struct {
	unsigned int opened;		/* times that a device was */
	unsigned int served;		/* workers that ran */
} *seen;

static enum { OPENS, FAILS, NEVER_OPENS, STARTS_A_THREAD, LOADS_WHAT_IS_REPLACED } behaviour;
static char library[PATH_MAX];		/* what is loaded, or "" */

const struct infini_roster_device *infini_roster_find(const struct infini_roster *of, uint32_t id)
{
	return of->nr_devices && of->devices[0].id == id ? of->devices : NULL;
}

static void *wait_for_ever(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void copy(const char *from, const char *to)
{
	char command[512];

	snprintf(command, sizeof(command), "cp %s %s.new && mv %s.new %s", from, to, to, to);
	assert_int_equal(system(command), 0);
}

int infini_worker_open(struct infini_worker *worker)
{
	pthread_t thread;

	__atomic_add_fetch(&seen->opened, 1, __ATOMIC_SEQ_CST);
	if (behaviour == FAILS || strcmp(worker->device, "cpu0") || strcmp(worker->backend, "ggml") ||
	    worker->config != &config)
		return -EIO;
	if (behaviour == NEVER_OPENS)
		wait_for_ever(NULL);
	if (behaviour == STARTS_A_THREAD)
		pthread_create(&thread, NULL, wait_for_ever, NULL);
	if (library[0] && !dlopen(library, RTLD_NOW))
		return -ENOENT;
	if (behaviour == LOADS_WHAT_IS_REPLACED)
		copy(library, library);
	worker->opened = (struct infini_backend *)seen;
	return 0;
}

/* Says its name to the executor's file and ends. */
_Noreturn void infini_worker_main(const struct infini_worker *worker)
{
	size_t length = strlen(worker->vdev_name);

	__atomic_add_fetch(&seen->served, 1, __ATOMIC_SEQ_CST);
	if (worker->opened != (struct infini_backend *)seen)
		_exit(2);
	_exit(write(worker->executor_fd, worker->vdev_name, length) != (ssize_t)length);
}

/* ---- helpers ------------------------------------------------------------------------ */

static int setup(void **state)
{
	(void)state;
	infini_log_level(-1);
	seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(&zygotes, 0, sizeof(zygotes));
	memset(&config, 0, sizeof(config));
	config.preload = true;
	roster = (struct infini_roster){
		.nr_devices = 1,
		.devices = { { .id = DEVICE, .name = "cpu0", .backend = "ggml", .forks = true } },
	};
	behaviour = OPENS;
	library[0] = '\0';
	return seen == MAP_FAILED;
}

static int teardown(void **state)
{
	(void)state;
	infini_zygotes_end(&zygotes);
	return munmap(seen, sizeof(*seen));
}

static void tend(void)
{
	infini_zygotes_tend(&zygotes, &roster, &config);
}

struct newborn {
	pid_t pid;
	int told;			/* what it writes to its executor's file */
	int gate;
};

static struct newborn give_birth(const char *name)
{
	struct infini_zygote_birth birth = { .vdev_name = name, .cgroup = -1 };
	struct newborn newborn;
	int executor[2], gate[2];

	assert_int_equal(pipe2(executor, O_CLOEXEC), 0);
	assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
	birth.executor_fd = executor[1];
	birth.gate_fd = gate[0];
	newborn = (struct newborn){
		.pid = infini_zygotes_fork(&zygotes, DEVICE, "cpu0", &birth), .told = executor[0], .gate = gate[1],
	};
	close(executor[1]);
	close(gate[0]);
	return newborn;
}

static void forget(const struct newborn *newborn)
{
	close(newborn->told);
	close(newborn->gate);
}

/* When the zygote has its device open. */
static struct newborn wait_for_birth(const char *name)
{
	int64_t deadline = infini_clock_ns() + PATIENCE_MS * INFINI_NS_PER_MS;
	struct newborn newborn = give_birth(name);

	while (!newborn.pid && infini_clock_ns() < deadline) {
		forget(&newborn);
		poll(NULL, 0, 5);
		newborn = give_birth(name);
	}
	assert_true(newborn.pid > 0);
	return newborn;
}

/* Its exit code; what it said is in @text. */
static int let_run(const struct newborn *newborn, char text[static INFINI_NAME_MAX])
{
	ssize_t got;
	int status;

	assert_int_equal(write(newborn->gate, "", 1), 1);
	assert_int_equal(waitpid(newborn->pid, &status, 0), newborn->pid);
	assert_true(WIFEXITED(status));
	got = read(newborn->told, text, INFINI_NAME_MAX - 1);
	assert_true(got >= 0);
	text[got] = '\0';
	forget(newborn);
	return WEXITSTATUS(status);
}

/* It is reaped as the supervisor does it. */
static void reap_zygote(void)
{
	pid_t pid = zygotes.all[0].pid;
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_false(infini_zygotes_reap(&zygotes, pid + 1, status));
	assert_true(infini_zygotes_reap(&zygotes, pid, status));
	assert_int_equal(zygotes.all[0].pid, 0);
}

static void nobody_is_born(void)
{
	struct newborn newborn = give_birth("a");

	assert_int_equal(newborn.pid, 0);
	forget(&newborn);
}

/* ---- cases -------------------------------------------------------------------------- */

static void workers_find_their_device_open(void **state)
{
	struct newborn first, second;
	char text[INFINI_NAME_MAX];

	(void)state;
	tend();
	tend();
	assert_int_equal(zygotes.nr, 1);
	first = wait_for_birth("first");
	second = give_birth("second");
	assert_true(second.pid > 0 && second.pid != first.pid);
	assert_int_equal(let_run(&second, text), 0);
	assert_string_equal(text, "second");
	assert_int_equal(let_run(&first, text), 0);
	assert_string_equal(text, "first");
	assert_int_equal(seen->opened, 1);
	assert_int_equal(seen->served, 2);
	assert_true(infini_zygotes_next_ns(&zygotes) == INFINI_FOREVER);
}

static void worker_that_nobody_knows_of_ends_at_its_gate(void **state)
{
	struct newborn lost, next;
	char text[INFINI_NAME_MAX];
	int status;

	(void)state;
	tend();
	lost = wait_for_birth("lost");
	forget(&lost);
	assert_int_equal(waitpid(lost.pid, &status, 0), lost.pid);
	assert_int_equal(status, 0);
	assert_int_equal(seen->served, 0);
	next = give_birth("next");
	assert_int_equal(let_run(&next, text), 0);
}

static void workers_outlive_their_zygote(void **state)
{
	struct newborn newborn;
	char text[INFINI_NAME_MAX];

	(void)state;
	tend();
	newborn = wait_for_birth("a");
	infini_zygotes_end(&zygotes);
	assert_int_equal(zygotes.nr, 0);
	assert_int_equal(let_run(&newborn, text), 0);
	nobody_is_born();
}

static void zygote_ends_with_its_supervisor(void **state)
{
	(void)state;
	tend();
	/* As the kernel does when the supervisor ends. */
	close(zygotes.all[0].fd);
	zygotes.all[0].fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	reap_zygote();
}

static void device_that_is_not_open_yet_has_no_births(void **state)
{
	(void)state;
	behaviour = NEVER_OPENS;
	tend();
	nobody_is_born();
	assert_true(zygotes.all[0].pid > 0);
}

static void each_failure_makes_the_next_start_wait_longer(void **state)
{
	int64_t pause, last = 0, now;

	(void)state;
	behaviour = FAILS;
	for (int i = 0; i < 14; i++) {
		tend();
		assert_true(zygotes.all[0].pid > 0);
		reap_zygote();
		nobody_is_born();
		now = infini_clock_ns();
		pause = infini_zygotes_next_ns(&zygotes) - now;
		assert_true(pause > last || pause > 500 * INFINI_NS_PER_S);
		assert_true(pause <= 600 * INFINI_NS_PER_S);
		last = pause;
		/* Before its time there is none. */
		tend();
		assert_int_equal(zygotes.all[0].pid, 0);
		zygotes.all[0].not_before_ns = now;
	}
}

static void threads_are_not_forked(void **state)
{
	(void)state;
	behaviour = STARTS_A_THREAD;
	tend();
	reap_zygote();
	assert_true(infini_zygotes_next_ns(&zygotes) == INFINI_FOREVER);
	tend();
	assert_int_equal(zygotes.all[0].pid, 0);
	/* Until there is another configuration. */
	infini_zygotes_end(&zygotes);
	behaviour = OPENS;
	tend();
	assert_true(zygotes.all[0].pid > 0);
}

static void one_that_does_not_answer_is_replaced(void **state)
{
	struct newborn newborn;
	char text[INFINI_NAME_MAX];
	pid_t pid;

	(void)state;
	tend();
	newborn = wait_for_birth("a");
	assert_int_equal(let_run(&newborn, text), 0);
	pid = zygotes.all[0].pid;
	kill(pid, SIGSTOP);
	nobody_is_born();
	assert_int_equal(zygotes.all[0].pid, 0);
	assert_int_equal(kill(pid, 0), -1);
	zygotes.all[0].not_before_ns = 0;
	tend();
	newborn = wait_for_birth("b");
	assert_int_equal(let_run(&newborn, text), 0);
}

/* For the zygote to load, in a folder of its own; @from is where it comes from. */
static void install_library(char *dir, char *from, size_t bytes)
{
	const char *folder = getenv("INFINI_TEST_BACKENDS");

	assert_non_null(folder);
	assert_non_null(mkdtemp(dir));
	snprintf(from, bytes, "%.3000s/vendor.so", folder);
	snprintf(library, sizeof(library), "%s/vendor.so", dir);
	copy(from, library);
}

static void remove_library(const char *dir)
{
	unlink(library);
	rmdir(dir);
}

/* As a package manager does it; of all that a backend has loaded, not only of what the supervisor knows. */
static void workers_start_with_the_files_that_are_there_now(void **state)
{
	char dir[] = "/tmp/infini-zygote-XXXXXX", from[PATH_MAX], text[INFINI_NAME_MAX];
	struct newborn newborn;

	(void)state;
	install_library(dir, from, sizeof(from));
	tend();
	newborn = wait_for_birth("a");
	assert_int_equal(let_run(&newborn, text), 0);
	copy(from, library);
	nobody_is_born();
	/* Not at once: others may be about to be replaced. */
	assert_int_equal(zygotes.all[0].pid, 0);
	assert_true(infini_zygotes_next_ns(&zygotes) > infini_clock_ns() + INFINI_NS_PER_S);
	zygotes.all[0].not_before_ns = 0;
	tend();
	newborn = wait_for_birth("b");
	assert_int_equal(let_run(&newborn, text), 0);
	assert_int_equal(seen->opened, 2);
	remove_library(dir);
	nobody_is_born();
}

/* Between the load and the look at what was loaded. */
static void files_replaced_too_soon_are_noticed(void **state)
{
	char dir[] = "/tmp/infini-zygote-XXXXXX", from[PATH_MAX];

	(void)state;
	install_library(dir, from, sizeof(from));
	behaviour = LOADS_WHAT_IS_REPLACED;
	tend();
	reap_zygote();
	remove_library(dir);
}

static void library_that_has_moved_is_no_zygotes(void **state)
{
	(void)state;
	snprintf(roster.devices[0].library, sizeof(roster.devices[0].library), "/nowhere/libggml-cpu.so");
	tend();
	assert_int_equal(zygotes.all[0].pid, 0);
	assert_true(zygotes.all[0].failures == 1);
}

static void worker_that_is_made_ends_a_row_of_failures(void **state)
{
	struct newborn newborn;
	char text[INFINI_NAME_MAX];

	(void)state;
	behaviour = FAILS;
	tend();
	reap_zygote();
	assert_int_equal(zygotes.all[0].failures, 1);
	zygotes.all[0].not_before_ns = 0;
	behaviour = OPENS;
	tend();
	newborn = wait_for_birth("a");
	assert_int_equal(let_run(&newborn, text), 0);
	assert_int_equal(zygotes.all[0].failures, 0);
}

static void killed_one_is_replaced(void **state)
{
	(void)state;
	tend();
	kill(zygotes.all[0].pid, SIGKILL);
	reap_zygote();
	nobody_is_born();
	assert_true(infini_zygotes_next_ns(&zygotes) != INFINI_FOREVER);
	zygotes.all[0].not_before_ns = 0;
	tend();
	assert_true(zygotes.all[0].pid > 0);
}

static const struct {
	const char *name;
	struct infini_roster_device device;
	bool preload, has_zygote;
} devices[] = {
	{ "may be forked", { .id = DEVICE, .name = "cpu0", .forks = true }, true, true },
	{ "may not", { .id = DEVICE }, true, false },
	{ "not preloaded", { .id = DEVICE, .forks = true }, false, false },
	{ "another machine's", { .id = DEVICE, .forks = true, .remote = "far" }, true, false },
	{ "compiles", { .id = DEVICE, .forks = true, .needs = INFINI_BACKEND_NEEDS_COMPILER }, true, false },
	{ "another one in its place", { .id = DEVICE + 1, .forks = true }, true, true },
};

static void devices_have_one_where_they_may(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(devices) / sizeof(devices[0]); i++) {
		roster.devices[0] = (struct infini_roster_device){
			.id = DEVICE, .name = "cpu0", .backend = "ggml", .forks = true,
		};
		config.preload = true;
		tend();
		assert_int_equal(zygotes.nr, 1);
		roster.devices[0] = devices[i].device;
		config.preload = devices[i].preload;
		tend();
		if (zygotes.nr != devices[i].has_zygote || (zygotes.nr && zygotes.all[0].device_id != devices[i].device.id))
			fail_msg("%s: %u", devices[i].name, zygotes.nr);
	}
	roster.nr_devices = 0;
	tend();
	assert_int_equal(zygotes.nr, 0);
}

#define ZYGOTE_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ZYGOTE_TEST(workers_find_their_device_open),
		ZYGOTE_TEST(worker_that_nobody_knows_of_ends_at_its_gate),
		ZYGOTE_TEST(workers_outlive_their_zygote),
		ZYGOTE_TEST(zygote_ends_with_its_supervisor),
		ZYGOTE_TEST(device_that_is_not_open_yet_has_no_births),
		ZYGOTE_TEST(each_failure_makes_the_next_start_wait_longer),
		ZYGOTE_TEST(threads_are_not_forked),
		ZYGOTE_TEST(one_that_does_not_answer_is_replaced),
		ZYGOTE_TEST(killed_one_is_replaced),
		ZYGOTE_TEST(workers_start_with_the_files_that_are_there_now),
		ZYGOTE_TEST(files_replaced_too_soon_are_noticed),
		ZYGOTE_TEST(library_that_has_moved_is_no_zygotes),
		ZYGOTE_TEST(worker_that_is_made_ends_a_row_of_failures),
		ZYGOTE_TEST(devices_have_one_where_they_may),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
