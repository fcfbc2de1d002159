// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs a table of tests, each in its own process, and prints TAP. */
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "genl.h"
#include "harness.h"

#define TEST_SECONDS	90
#define TEST_SKIPPED	77

bool test_as_nobody;
static bool test_rows_failed;
static const char *test_skip_file;

static const struct {
	const char *name;
	const char *value;
} test_params[] = {
	{ "default_timeout_ms", "10000" },
	{ "max_timeout_ms", "600000" },
	{ "grace_ms", "5000" },
	{ "executor_wait_ms", "5000" },
	{ "executor_start_ms", "60000" },
	{ "spin_us", "200" },
};

/* ---- inside a test ---- */

void test_fail(const char *file, int line, const char *format, ...)
{
	va_list args;

	printf("# %s:%d: ", file, line);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

void test_skip(const char *format, ...)
{
	FILE *file = fopen(test_skip_file, "w");
	va_list args;

	if (!file)
		test_fail(__FILE__, __LINE__, "%s: %s", test_skip_file, strerror(errno));
	va_start(args, format);
	vfprintf(file, format, args);
	va_end(args);
	fclose(file);
	fflush(stdout);
	_exit(TEST_SKIPPED);
}

static const char *error_name(long long err)
{
	const char *name;

	if (!err)
		return "success";
	name = err < 0 && err > -4096 ? strerrorname_np(-err) : NULL;
	return name ? name : "?";
}

void test_row(const char *row, long long got, long long want)
{
	if (got == want)
		return;
	printf("# %s: got %lld, not %lld\n", row, got, want);
	test_rows_failed = true;
}

void test_row_err(const char *row, int got, int want)
{
	if (got == want)
		return;
	printf("# %s: got %s (%d), not %s\n", row, error_name(got), got, error_name(want));
	test_rows_failed = true;
}

void test_check_err(const char *file, int line, const char *what, int got, int want)
{
	if (got != want)
		test_fail(file, line, "%s: got %s (%d), not %s", what, error_name(got), got,
			  error_name(want));
}

void test_check_eq(const char *file, int line, const char *what, long long got, long long want)
{
	if (got != want)
		test_fail(file, line, "%s: got %lld, not %lld", what, got, want);
}

void test_sleep_ms(unsigned int ms)
{
	struct timespec span = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };

	nanosleep(&span, NULL);
}

int64_t test_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SECOND + now.tv_nsec;
}

int64_t test_deadline(int64_t ns)
{
	return test_now_ns() + ns;
}

int test_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

void test_need_root(void)
{
	if (test_as_nobody || geteuid())
		test_skip("needs root");
}

static void param_write(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/module/infini/parameters/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, value, strlen(value)) < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
	close(fd);
}

void test_param_set(const char *name, unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	param_write(name, text);
}

void test_become(unsigned int id)
{
	if (setgroups(0, NULL) || setresgid(id, id, id) || setresuid(id, id, id))
		test_fail(__FILE__, __LINE__, "becoming user %u: %s", id, strerror(errno));
}

int test_as_user(unsigned int id, int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		test_become(id);
		_exit(-fn(arg));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		test_fail(__FILE__, __LINE__, "a child as user %u did not end well", id);
	return -WEXITSTATUS(status);
}

void *test_before_hole(size_t bytes)
{
	size_t page = sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
	char *at = mmap(NULL, room + page, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED || munmap(at + room, page))
		test_fail(__FILE__, __LINE__, "mmap: %s", strerror(errno));
	return at + room - bytes;
}

/* ---- around the tests ---- */

/* What the module still has, or NULL when it has everything back. */
static const char *left_behind(struct genl *genl)
{
	static char text[128];
	struct genl_list list;
	uint32_t i;
	int err;

	err = genl_vdevs(genl, &list);
	if (err) {
		snprintf(text, sizeof(text), "listing vdevs: %s", error_name(err));
		return text;
	}
	for (i = 0; i < list.nr; i++) {
		const struct genl_vdev *vdev = &list.vdevs[i];

		if (!vdev->clients && !vdev->queues && !vdev->buffers && !vdev->programs &&
		    !vdev->memory_used_bytes && vdev->executor <= INFINI_EXECUTOR_WANTED)
			continue;
		snprintf(text, sizeof(text),
			 "vdev %s: %u clients %u queues %u buffers %u programs %llu bytes executor %u",
			 vdev->name, vdev->clients, vdev->queues, vdev->buffers, vdev->programs,
			 (unsigned long long)vdev->memory_used_bytes, vdev->executor);
		return text;
	}
	return NULL;
}

static const char *delete_vdevs(struct genl *genl, bool force)
{
	static char text[128];
	struct genl_list list;
	uint32_t i, nr = 0;
	int err;

	err = genl_vdevs(genl, &list);
	for (i = 0; !err && i < list.nr; i++)
		err = genl_vdev_delete(genl, list.vdevs[i].id, force);
	if (!err)
		err = genl_devices(genl, &nr);
	if (!err && !nr)
		return NULL;
	snprintf(text, sizeof(text), "%u devices are left (%s)", nr, error_name(err));
	return text;
}

/* After a test: counters are back to zero, its vdevs can be deleted, its device is gone. */
static bool test_cleanup(void)
{
	const char *left = "?", *left_vdevs = "?";
	struct genl genl;
	size_t i;

	if (geteuid() || genl_open(&genl))
		return true;
	for (i = 0; i < ARRAY_SIZE(test_params); i++)
		param_write(test_params[i].name, test_params[i].value);
	for (i = 0; i < 1000 && left; i++) {
		test_sleep_ms(i ? 10 : 0);
		left = left_behind(&genl);
	}
	for (i = 0; i < 300 && left_vdevs; i++) {
		test_sleep_ms(i ? 10 : 0);
		left_vdevs = delete_vdevs(&genl, left);
	}
	if (left)
		printf("# left behind: %s\n", left);
	if (left_vdevs)
		printf("# left behind: %s\n", left_vdevs);
	genl_close(&genl);
	return !left && !left_vdevs;
}

static int test_child(const struct test *test)
{
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	alarm(TEST_SECONDS);
	test->run();
	fflush(stdout);
	return test_rows_failed;
}

static int test_one(const struct test *test)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(test_child(test));
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return 1;
	kill(-pid, SIGKILL);
	if (WIFSIGNALED(status))
		printf("# ended by signal %d%s\n", WTERMSIG(status),
		       WTERMSIG(status) == SIGALRM ? ": too slow" : "");
	if (!test_cleanup())
		return 1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static void print_skip(int index, const char *who, const char *name)
{
	char reason[256] = "";
	FILE *file = fopen(test_skip_file, "r");

	if (file) {
		if (!fgets(reason, sizeof(reason), file))
			reason[0] = 0;
		fclose(file);
	}
	printf("ok %d - %s: %s # SKIP %s\n", index, who, name, reason);
}

int test_main(int argc, char **argv, const struct test *tests, size_t nr)
{
	char path[] = "/tmp/infini-selftest-XXXXXX", who[64];
	size_t i, failed = 0, skipped = 0;
	int status, fd;

	test_as_nobody = argc == 2 && !strcmp(argv[1], "--nobody");
	if (argc > 1 && !test_as_nobody) {
		fprintf(stderr, "usage: %s [--nobody]\n", argv[0]);
		return 2;
	}
	fd = mkstemp(path);
	if (fd < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 1;
	}
	close(fd);
	test_skip_file = path;
	snprintf(who, sizeof(who), "%s%s%s", basename(argv[0]), sizeof(long) == 4 ? " (32 bit)" : "",
		 test_as_nobody ? " (nobody)" : "");
	printf("TAP version 13\n1..%zu\n", nr);
	for (i = 0; i < nr; i++) {
		status = test_one(&tests[i]);
		failed += status && status != TEST_SKIPPED;
		skipped += status == TEST_SKIPPED;
		if (status == TEST_SKIPPED)
			print_skip(i + 1, who, tests[i].name);
		else
			printf("%sok %zu - %s: %s\n", status ? "not " : "", i + 1, who,
			       tests[i].name);
		fflush(stdout);
	}
	unlink(path);
	return failed ? 1 : skipped == nr ? TEST_SKIPPED : 0;
}
