// SPDX-License-Identifier: GPL-2.0-or-later
/* Children that are born in a control group, where there is a hierarchy of version 2 to have one in. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "fork.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mntent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char group[PATH_MAX];

/* The name of the group, which is unlike those of others. */
static const char *name(void)
{
	return strrchr(group, '/') + 1;
}

static int make_group(void **state)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *mount;

	(void)state;
	while (mounts && !group[0] && (mount = getmntent(mounts)))
		if (!strcmp(mount->mnt_type, "cgroup2"))
			snprintf(group, sizeof(group), "%.3000s/infini-test-%ld", mount->mnt_dir, (long)getpid());
	if (mounts)
		endmntent(mounts);
	if (group[0] && mkdir(group, 0755))
		group[0] = '\0';
	return 0;
}

static int remove_group(void **state)
{
	(void)state;
	return group[0] && rmdir(group) ? -1 : 0;
}

static bool is_inside(void)
{
	char text[4096] = "", line[PATH_MAX];
	FILE *file = fopen("/proc/self/cgroup", "re");
	size_t length = file ? fread(text, 1, sizeof(text) - 1, file) : 0;

	snprintf(line, sizeof(line), "/%s\n", name());
	return length && strstr(text, "0::/") && strstr(text, line);
}

static void *nothing(void *arg)
{
	return arg;
}

static void heard(int number)
{
	(void)number;
}

/* What a worker does that the C library needs to know its thread's number for. */
static int child(pid_t self)
{
	pthread_mutexattr_t checks;
	pthread_mutex_t mutex;
	pthread_t thread;

	if (!is_inside())
		return 1;
	if (gettid() != self && self)
		return 2;
	signal(SIGUSR1, heard);
	if (raise(SIGUSR1) || pthread_kill(pthread_self(), SIGUSR1))
		return 3;
	if (pthread_create(&thread, NULL, nothing, NULL) || pthread_join(thread, NULL))
		return 4;
	pthread_mutexattr_init(&checks);
	pthread_mutexattr_settype(&checks, PTHREAD_MUTEX_ERRORCHECK);
	pthread_mutex_init(&mutex, &checks);
	if (pthread_mutex_lock(&mutex) || pthread_mutex_lock(&mutex) != EDEADLK || pthread_mutex_unlock(&mutex))
		return 5;
	return 0;
}

static void fork_or_skip(int namespaces, pid_t self)
{
	int fd = group[0] ? open(group, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1, status;
	pid_t pid;

	if (fd < 0)
		skip();
	fflush(NULL);
	assert_int_equal(infini_fork_adopt(), 0);
	pid = infini_fork_into(fd, namespaces);
	if (!pid)
		_exit(child(self));
	close(fd);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status)
		fail_msg("status 0x%x", status);
}

static void child_is_born_in_the_group(void **state)
{
	(void)state;
	fork_or_skip(0, 0);
}

static void first_of_a_namespace_too(void **state)
{
	(void)state;
	if (geteuid())
		skip();
	fork_or_skip(CLONE_NEWPID, 1);
}

static void without_a_group_it_is_in_its_parents(void **state)
{
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	assert_int_equal(infini_fork_adopt(), 0);
	pid = infini_fork_into(-1, 0);
	if (!pid)
		_exit(is_inside() ? 1 : 0);
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void no_group_is_no_child(void **state)
{
	int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)state;
	assert_int_equal(infini_fork_into(fd, 0), -1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(child_is_born_in_the_group),
		cmocka_unit_test(first_of_a_namespace_too),
		cmocka_unit_test(without_a_group_it_is_in_its_parents),
		cmocka_unit_test(no_group_is_no_child),
	};

	return cmocka_run_group_tests(tests, make_group, remove_group);
}
