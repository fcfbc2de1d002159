// SPDX-License-Identifier: GPL-2.0-or-later
/* Workers' control groups, in folders that hold the files of groups. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "worker_cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define MIB	(1ULL << 20)

static char root[] = "/tmp/infinid-cgroup-XXXXXX";
static long fs_type = CGROUP2_SUPER_MAGIC;
static bool managed;
static const char *missing;		/* a file that new groups do not have */

static const char *const files[] = {
	"cgroup.procs", "cgroup.subtree_control", "memory.max", "memory.current",
	"memory.swap.max", "memory.oom.group", "memory.events", "pids.max",
};

int __real_mkdir(const char *path, mode_t mode);
int __real_rmdir(const char *path);
int __wrap_statfs(const char *path, struct statfs *fs);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_rmdir(const char *path);

int __wrap_statfs(const char *path, struct statfs *fs)
{
	assert_string_equal(path, root);
	*fs = (struct statfs){ .f_type = fs_type };
	return 0;
}

static void path_to(char *path, const char *group, const char *name)
{
	snprintf(path, PATH_MAX, "%s%s/%s", root, group, name);
}

static void put(const char *group, const char *name, const char *text)
{
	char path[PATH_MAX];
	FILE *file;

	path_to(path, group, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void fill(const char *group)
{
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		if (!missing || strcmp(files[i], missing))
			put(group, files[i], "");
	}
}

/* A new group has its files, an empty one goes with them. */
int __wrap_mkdir(const char *path, mode_t mode)
{
	int ret = __real_mkdir(path, mode);

	if (!ret)
		fill(path + strlen(root));
	return ret;
}

int __wrap_rmdir(const char *path)
{
	char file[PATH_MAX + 32];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(file, sizeof(file), "%s/%s", path, files[i]);
		unlink(file);
	}
	return __real_rmdir(path);
}

static const char *got(const char *group, const char *name)
{
	static char text[256];
	char path[PATH_MAX];
	size_t length;
	FILE *file;

	path_to(path, group, name);
	file = fopen(path, "r");
	if (!file)
		return "no file";
	length = fread(text, 1, sizeof(text) - 1, file);
	text[length] = '\0';
	fclose(file);
	return text;
}

static int setup(void **state)
{
	char path[PATH_MAX];

	(void)state;
	strcpy(root + strlen(root) - 6, "XXXXXX");
	missing = NULL;
	managed = false;
	fs_type = CGROUP2_SUPER_MAGIC;
	if (!mkdtemp(root))
		return -1;
	fill("");
	path_to(path, "", "a.slice");
	mkdir(path, 0755);
	path_to(path, "/a.slice", "b.service");
	mkdir(path, 0755);
	return 0;
}

static int teardown(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

static int open_with(struct infini_worker_cgroups *groups, const char *membership)
{
	char why[256] = "";
	int ret = infini_worker_cgroups_open(groups, root, membership, managed, why, sizeof(why));

	assert_true(!ret == !why[0]);
	assert_true(!ret == !!groups->base[0]);
	return ret;
}

/* ---- cases ------------------------------------------------------------------------- */

static void groups_go_below_their_supervisors(void **state)
{
	static const struct {
		const char *membership, *base, *supervisor;
	} rows[] = {
		{ "0::/\n", "/infinid", NULL },
		{ "0::/a.slice/b.service\n", "/a.slice/b.service", "/a.slice/b.service/supervisor" },
		{ "0::/a.slice/b.service/supervisor\n", "/a.slice/b.service", NULL },
		{ "4:misc:/x\n1:name=systemd:/y\n0::/a.slice\n", "/a.slice", "/a.slice/supervisor" },
	};
	struct infini_worker_cgroups groups;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(open_with(&groups, rows[i].membership), 0);
		assert_string_equal(groups.base + strlen(root), rows[i].base);
		assert_string_equal(got(rows[i].base, "cgroup.subtree_control"), "+memory +pids");
		if (rows[i].supervisor)
			assert_string_equal(got(rows[i].supervisor, "cgroup.procs"), "0");
	}
	/* Nobody but the root needs its controllers passed down. */
	assert_string_equal(got("", "cgroup.subtree_control"), "+memory +pids");
	assert_string_equal(got("/a.slice", "cgroup.procs"), "");
}

/* As another process finds out. */
static void groups_are_there_once_infinid_made_them(void **state)
{
	static const struct {
		const char *before, *after;
	} rows[] = {
		{ "0::/\n", "0::/\n" },
		{ "0::/a.slice/b.service\n", "0::/a.slice/b.service/supervisor\n" },
	};
	struct infini_worker_cgroups groups;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_false(infini_worker_cgroups_there(root, rows[i].after));
		assert_int_equal(open_with(&groups, rows[i].before), 0);
		assert_true(infini_worker_cgroups_there(root, rows[i].after));
	}
	assert_false(infini_worker_cgroups_there(root, "0::/a.slice\n"));
	assert_false(infini_worker_cgroups_there(root, "1:name=systemd:/y\n"));
	put("/a.slice/b.service", "cgroup.subtree_control", "pids\n");
	assert_false(infini_worker_cgroups_there(root, rows[1].after));
}

static void missing_delegation_leaves_nothing(void **state)
{
	struct infini_worker_cgroups groups;
	char path[PATH_MAX];

	(void)state;
	assert_int_equal(open_with(&groups, "1:name=systemd:/y\n"), -ENOENT);
	fs_type = TMPFS_MAGIC;
	assert_int_equal(open_with(&groups, "0::/\n"), -ENOTSUP);
	fs_type = CGROUP2_SUPER_MAGIC;
	path_to(path, "/a.slice", "cgroup.subtree_control");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(open_with(&groups, "0::/a.slice\n"), -ENOENT);
	/* It is where it was. */
	assert_string_equal(got("/a.slice", "cgroup.procs"), "0");
	assert_string_equal(got("/a.slice/supervisor", "cgroup.procs"), "no file");
	assert_int_equal(infini_worker_cgroup_make(&groups, 5,
			 &(struct infini_worker_cgroup_limits){ 1, 1 }), -ENOENT);
	assert_false(infini_worker_cgroup_ran_out(&groups, 5));
}

/* Or the next infinid could not be started while a worker lives. */
static void service_manager_makes_the_supervisors_group(void **state)
{
	struct infini_worker_cgroups groups;

	(void)state;
	managed = true;
	assert_int_equal(open_with(&groups, "0::/a.slice/b.service\n"), -EXDEV);
	assert_string_equal(got("/a.slice/b.service", "cgroup.subtree_control"), "");
	assert_int_equal(open_with(&groups, "0::/a.slice/b.service/supervisor\n"), 0);
	assert_string_equal(got("/a.slice/b.service", "cgroup.subtree_control"), "+memory +pids");
}

static void worker_is_limited(void **state)
{
	struct infini_worker_cgroup_limits limits = { .memory_bytes = 96 * MIB, .tasks = 80 };
	static const char group[] = "/infinid/worker-5";
	struct infini_worker_cgroups groups;

	(void)state;
	assert_int_equal(open_with(&groups, "0::/\n"), 0);
	assert_int_equal(infini_worker_cgroup_make(&groups, 5, &limits), 0);
	assert_string_equal(got(group, "memory.max"), "100663296");
	assert_string_equal(got(group, "memory.swap.max"), "0");
	assert_string_equal(got(group, "memory.oom.group"), "1");
	assert_string_equal(got(group, "pids.max"), "80");
	assert_int_equal(infini_worker_cgroup_enter(&groups, 5), 0);
	assert_string_equal(got(group, "cgroup.procs"), "0");
	limits.memory_bytes = 0x1000000000000;
	assert_int_equal(infini_worker_cgroup_limit(&groups, 5, &limits), 0);
	assert_string_equal(got(group, "memory.max"), "281474976710656");
	/* One that holds more is not ended for it. */
	put(group, "memory.current", "209715200\n");
	put(group, "memory.max", "");
	limits.memory_bytes = 96 * MIB;
	assert_int_equal(infini_worker_cgroup_limit(&groups, 5, &limits), 0);
	assert_string_equal(got(group, "memory.max"), "276824064");
	put(group, "memory.current", "1048576\n");
	assert_int_equal(infini_worker_cgroup_limit(&groups, 5, &limits), 0);
	assert_string_equal(got(group, "memory.max"), "100663296");
	put(group, "memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 0\noom_group_kill 0\n");
	assert_false(infini_worker_cgroup_ran_out(&groups, 5));
	put(group, "memory.events", "low 0\nhigh 0\nmax 7\noom 1\noom_kill 2\noom_group_kill 1\n");
	assert_true(infini_worker_cgroup_ran_out(&groups, 5));
	/* The next one's count begins anew. */
	assert_int_equal(infini_worker_cgroup_make(&groups, 5, &limits), 0);
	assert_false(infini_worker_cgroup_ran_out(&groups, 5));
	infini_worker_cgroup_remove(&groups, 5);
	assert_string_equal(got(group, "cgroup.procs"), "no file");
	infini_worker_cgroups_close(&groups);
	assert_string_equal(got("/infinid", "cgroup.procs"), "no file");
}

static void half_a_group_is_none(void **state)
{
	const struct infini_worker_cgroup_limits limits = { .memory_bytes = MIB, .tasks = 8 };
	struct infini_worker_cgroups groups;

	(void)state;
	assert_int_equal(open_with(&groups, "0::/\n"), 0);
	missing = "memory.max";
	assert_int_equal(infini_worker_cgroup_make(&groups, 5, &limits), -ENOENT);
	assert_string_equal(got("/infinid/worker-5", "cgroup.procs"), "no file");
	/* A kernel without swap. */
	missing = "memory.swap.max";
	assert_int_equal(infini_worker_cgroup_make(&groups, 5, &limits), 0);
}

static void tasks_grow_with_threads(void **state)
{
	(void)state;
	assert_int_equal(infini_worker_cgroup_tasks(100) - infini_worker_cgroup_tasks(1), 99);
	assert_true(infini_worker_cgroup_tasks(1) > 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(groups_go_below_their_supervisors, setup, teardown),
		cmocka_unit_test_setup_teardown(groups_are_there_once_infinid_made_them, setup, teardown),
		cmocka_unit_test_setup_teardown(missing_delegation_leaves_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(service_manager_makes_the_supervisors_group, setup, teardown),
		cmocka_unit_test_setup_teardown(worker_is_limited, setup, teardown),
		cmocka_unit_test_setup_teardown(half_a_group_is_none, setup, teardown),
		cmocka_unit_test(tasks_grow_with_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
