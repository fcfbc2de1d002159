// SPDX-License-Identifier: GPL-2.0-or-later
/* Files that outlive the supervisor, against a service manager that is a socket and a thread. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fdstore.h"
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/infinid-fdstore-XXXXXX", path[64];
static int manager = -1;

static int setup(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/notify", dir);
	strcpy(address.sun_path, path);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return bind(manager, (struct sockaddr *)&address, sizeof(address)) |
	       setenv("NOTIFY_SOCKET", path, 1);
}

static int teardown(void **state)
{
	(void)state;
	close(manager);
	unlink(path);
	return rmdir(dir);
}

/* The file that came along, or -1. */
static int receive(char *text, size_t bytes)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec data = { .iov_base = text, .iov_len = bytes - 1 };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	ssize_t length = recvmsg(manager, &message, MSG_CMSG_CLOEXEC);
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	int fd = -1;

	assert_true(length > 0);
	text[length] = '\0';
	if (header)
		memcpy(&fd, CMSG_DATA(header), sizeof(fd));
	return fd;
}

static bool same_file(int a, int b)
{
	struct stat first, second;

	return !fstat(a, &first) && !fstat(b, &second) && first.st_ino == second.st_ino &&
	       first.st_dev == second.st_dev;
}

static void file_is_kept_under_its_name(void **state)
{
	int ends[2], got;
	char text[512];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(infini_fdstore_put("device name=cpu0", ends[0]), 0);
	got = receive(text, sizeof(text));
	assert_string_equal(text, "FDSTORE=1\nFDNAME=device name=cpu0\n");
	assert_true(got >= 0 && same_file(got, ends[0]));
	close(got);
	close(ends[0]);
	close(ends[1]);
}

/* Answers a removal and its barrier, after a while. */
static void *let_go(void *arg)
{
	char text[512];
	int fd;

	(void)arg;
	fd = receive(text, sizeof(text));
	assert_int_equal(fd, -1);
	assert_string_equal(text, "FDSTOREREMOVE=1\nFDNAME=device name=cpu0\n");
	fd = receive(text, sizeof(text));
	assert_string_equal(text, "BARRIER=1");
	usleep(50000);
	*(int *)arg = 1;
	close(fd);
	return NULL;
}

static void removal_waits_until_it_is_done(void **state)
{
	volatile int done = 0;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, let_go, (void *)&done), 0);
	assert_int_equal(infini_fdstore_remove("device name=cpu0"), 0);
	assert_int_equal(done, 1);
	pthread_join(thread, NULL);
}

static void manager_that_does_not_answer_is_not_waited_for(void **state)
{
	char text[64];
	int fd;

	(void)state;
	assert_int_equal(infini_notify_barrier(1), -ETIMEDOUT);
	fd = receive(text, sizeof(text));
	assert_true(fd >= 0);
	close(fd);
}

static const struct {
	const char *name;
	const char *socket, *room;
	bool present;
} managers[] = {
	{ "none", NULL, NULL, false },
	{ "one that does not say how many files it keeps", path, NULL, true },
	{ "one that keeps files", path, "512", true },
	{ "one that keeps none", path, "0", false },
};

static void store_is_there_or_not(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(managers) / sizeof(managers[0]); i++) {
		unsetenv("NOTIFY_SOCKET");
		unsetenv("FDSTORE");
		if (managers[i].socket)
			setenv("NOTIFY_SOCKET", managers[i].socket, 1);
		if (managers[i].room)
			setenv("FDSTORE", managers[i].room, 1);
		if (infini_fdstore_present() != managers[i].present)
			fail_msg("%s", managers[i].name);
		/* Nothing to do is no error. */
		if (!managers[i].present && (infini_fdstore_put("x", 0) || infini_fdstore_remove("x")))
			fail_msg("%s: an error", managers[i].name);
	}
	setenv("NOTIFY_SOCKET", path, 1);
	unsetenv("FDSTORE");
}

/* ---- taking over ---- */

static const struct {
	const char *name;
	long pid;			/* 0: of the process itself */
	const char *count, *names;
	uint32_t nr;
	const char *first, *second;
} heritages[] = {
	{ "two files", 0, "2", "device name=a:worker vdev=1", 2, "device name=a", "worker vdev=1" },
	{ "more files than names", 0, "2", "device name=a", 2, "device name=a", "" },
	{ "no names", 0, "1", NULL, 1, "", NULL },
	{ "an empty name", 0, "2", ":b", 2, "", "b" },
	{ "for another process", 1, "2", "a:b", 0, NULL, NULL },
	{ "none", 0, "0", "", 0, NULL, NULL },
	{ "no number", 0, "2x", "a:b", 0, NULL, NULL },
	{ "too many", 0, "99999999", "a:b", 0, NULL, NULL },
	{ "no variable", 0, NULL, NULL, 0, NULL, NULL },
};

static void files_are_taken_over_once(void **state)
{
	struct infini_fdstore_file *files;
	char pid[24];
	uint32_t nr;

	(void)state;
	for (size_t i = 0; i < sizeof(heritages) / sizeof(heritages[0]); i++) {
		snprintf(pid, sizeof(pid), "%ld", heritages[i].pid ? heritages[i].pid : (long)getpid());
		setenv("LISTEN_PID", pid, 1);
		if (heritages[i].count)
			setenv("LISTEN_FDS", heritages[i].count, 1);
		if (heritages[i].names)
			setenv("LISTEN_FDNAMES", heritages[i].names, 1);
		if (infini_fdstore_take(&files, &nr) || nr != heritages[i].nr)
			fail_msg("%s: %u files", heritages[i].name, nr);
		if (nr && (files[0].fd != 3 || strcmp(files[0].name, heritages[i].first)))
			fail_msg("%s: \"%s\"", heritages[i].name, files[0].name);
		if (nr > 1 && (files[1].fd != 4 || strcmp(files[1].name, heritages[i].second)))
			fail_msg("%s: then \"%s\"", heritages[i].name, files[1].name);
		free(files);
		/* Workers and probes are not to find them. */
		if (getenv("LISTEN_FDS") || getenv("LISTEN_PID") || getenv("LISTEN_FDNAMES"))
			fail_msg("%s: still in the environment", heritages[i].name);
	}
}

static void files_taken_over_end_with_exec(void **state)
{
	struct infini_fdstore_file *files;
	char pid[24];
	int status;
	uint32_t nr;
	pid_t child = fork();

	(void)state;
	if (!child) {
		snprintf(pid, sizeof(pid), "%ld", (long)getpid());
		setenv("LISTEN_PID", pid, 1);
		setenv("LISTEN_FDS", "1", 1);
		if (dup2(manager, 3) != 3 || fcntl(3, F_SETFD, 0) ||
		    infini_fdstore_take(&files, &nr) || nr != 1)
			_exit(1);
		_exit(fcntl(files[0].fd, F_GETFD) == FD_CLOEXEC ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static const struct {
	const char *name, *key;
	bool found;
	const char *text;
	bool is_number;
	uint32_t number;
} values[] = {
	{ "device name=cpu0 needs=1", "name", true, "cpu0", false, 0 },
	{ "device name=cpu0 needs=1", "needs", true, "1", true, 1 },
	{ "device name=cpu0 needs=", "needs", true, "", false, 0 },
	{ "device name=cpu0", "needs", false, "", false, 0 },
	{ "device rename=x name=y", "name", true, "y", false, 0 },
	{ "device needs=4294967296", "needs", true, "4294967296", false, 0 },
	{ "device needs=-1", "needs", true, "-1", false, 0 },
	{ "device needs=1a", "needs", true, "1a", false, 0 },
	{ "device name=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "name", false, "", false, 0 },
	{ "", "name", false, "", false, 0 },
};

static void names_say_what_a_file_is(void **state)
{
	char text[32];
	uint32_t number;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (infini_fdstore_text(values[i].name, values[i].key, text, sizeof(text)) !=
		    values[i].found || strcmp(text, values[i].text))
			fail_msg("%s: %s is \"%s\"", values[i].name, values[i].key, text);
		if (infini_fdstore_number(values[i].name, values[i].key, &number) !=
		    values[i].is_number || number != values[i].number)
			fail_msg("%s: %s is %u", values[i].name, values[i].key, number);
	}
	assert_true(infini_fdstore_is("device name=a", "device"));
	assert_true(infini_fdstore_is("device", "device"));
	assert_false(infini_fdstore_is("devices name=a", "device"));
	assert_false(infini_fdstore_is("", "device"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_is_kept_under_its_name),
		cmocka_unit_test(removal_waits_until_it_is_done),
		cmocka_unit_test(manager_that_does_not_answer_is_not_waited_for),
		cmocka_unit_test(store_is_there_or_not),
		cmocka_unit_test(files_are_taken_over_once),
		cmocka_unit_test(files_taken_over_end_with_exec),
		cmocka_unit_test(names_say_what_a_file_is),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
