// SPDX-License-Identifier: GPL-2.0-or-later
/* Vdevs of commands, against folders that look like control groups and a module of two functions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "lifetime.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define VDEVS		40

/* What the module has: a vdev's place is its id; 0: there is none. */
static struct {
	uint64_t cgroups[VDEVS];
	unsigned int nr_deletes;
	unsigned int nr_lists;
	int list_err, delete_err;
	bool forced;
	const char *fills;		/* during the listing somebody enters this group */
	const char *empties;		/* a deletion takes the files of this group away */
} module;

static char root[] = "/tmp/infini-lifetime-XXXXXX";
static struct infini_lifetime lifetime;

/* As in a control group: a removed one's file lives on for who watches it. */
static void group_files_go(const char *name)
{
	char path[128], kept[128];

	snprintf(path, sizeof(path), "%s/%s/cgroup.events", root, name);
	snprintf(kept, sizeof(kept), "%s/kept", root);
	assert_int_equal(rename(path, kept), 0);
}

static void group_state(const char *name, const char *state)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s/cgroup.events", root, name);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs(state, file);
	fclose(file);
}

int infini_admin_vdev_list(struct infini_admin *admin, infini_admin_vdev_fn fn, void *arg)
{
	struct infini_admin_vdev vdev = { 0 };
	int ret = module.list_err;

	(void)admin;
	module.nr_lists++;
	for (uint32_t i = 1; i < VDEVS && !ret; i++) {
		vdev.id = i;
		vdev.cgroup_id = module.cgroups[i];
		ret = vdev.cgroup_id ? fn(&vdev, arg) : 0;
	}
	if (module.fills)
		group_state(module.fills, "populated 1\nfrozen 0\n");
	return ret;
}

int infini_admin_vdev_delete(struct infini_admin *admin, const char *name, uint32_t id, bool force)
{
	(void)admin;
	assert_null(name);
	module.nr_deletes++;
	if (module.empties)
		group_files_go(module.empties);
	module.forced = force;
	if (!module.delete_err)
		module.cgroups[id] = 0;
	return module.delete_err;
}

/* A group with vdev @id bound to it; 0: none. */
static void group(const char *name, const char *state, uint32_t id)
{
	char path[128];
	struct stat status;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0755), 0);
	group_state(name, state);
	assert_int_equal(stat(path, &status), 0);
	if (id)
		module.cgroups[id] = status.st_ino;
}

static void ungroup(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s/cgroup.events", root, name);
	unlink(path);
	snprintf(path, sizeof(path), "%s/%s", root, name);
	rmdir(path);
}

static int setup(void **state)
{
	(void)state;
	memset(&module, 0, sizeof(module));
	return infini_lifetime_open(&lifetime, root);
}

static int teardown(void **state)
{
	char kept[128];

	(void)state;
	infini_lifetime_close(&lifetime);
	ungroup("run-1");
	ungroup("run-2");
	snprintf(kept, sizeof(kept), "%s/kept", root);
	unlink(kept);
	return 0;
}

static void look(void)
{
	infini_lifetime_run(&lifetime, NULL);
}

static bool readable(void)
{
	struct pollfd wait = { .fd = lifetime.fd, .events = POLLIN };

	return poll(&wait, 1, 0) == 1;
}

static unsigned int watches(void)
{
	char path[64], line[256];
	unsigned int nr = 0;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", lifetime.fd);
	info = fopen(path, "re");
	assert_non_null(info);
	while (fgets(line, sizeof(line), info))
		nr += !strncmp(line, "inotify", 7);
	fclose(info);
	return nr;
}

static void an_empty_group_takes_its_vdev_along(void **state)
{
	(void)state;
	group("run-1", "populated 0\nfrozen 0\n", 1);
	group("run-2", "populated 1\nfrozen 0\n", 2);
	module.cgroups[3] = 4711;
	look();
	assert_int_equal(module.nr_deletes, 1);
	assert_true(module.forced);
	assert_int_equal(module.cgroups[1], 0);
	assert_int_not_equal(module.cgroups[2], 0);
	assert_int_equal(module.cgroups[3], 4711);
}

/* A command may have made more, and bound them to its group. */
static void an_empty_group_takes_many_vdevs_along(void **state)
{
	(void)state;
	group("run-1", "populated 0\nfrozen 0\n", 1);
	for (uint32_t id = 2; id < VDEVS - 1; id++)
		module.cgroups[id] = module.cgroups[1];
	module.cgroups[VDEVS - 1] = 4711;
	look();
	assert_int_equal(module.nr_deletes, VDEVS - 2);
	for (uint32_t id = 1; id < VDEVS - 1; id++)
		assert_int_equal(module.cgroups[id], 0);
	assert_int_equal(module.cgroups[VDEVS - 1], 4711);
}

static void a_group_that_is_gone_is_not_watched(void **state)
{
	unsigned int before = watches();

	(void)state;
	group("run-1", "populated 0\n", 1);
	module.empties = "run-1";
	look();
	assert_int_equal(module.nr_deletes, 1);
	assert_int_equal(watches(), before);
}

static void a_group_at_work_costs_no_listing(void **state)
{
	(void)state;
	group("run-1", "populated 1\nfrozen 0\n", 1);
	look();
	assert_int_equal(module.nr_lists, 0);
	assert_int_equal(module.nr_deletes, 0);
}

/* "infinictl run" enters its group and makes the vdev between our two looks. */
static void a_group_that_fills_meanwhile_stays(void **state)
{
	(void)state;
	group("run-1", "populated 0\nfrozen 0\n", 1);
	module.fills = "run-1";
	look();
	assert_int_equal(module.nr_lists, 1);
	assert_int_equal(module.nr_deletes, 0);
}

static void what_cannot_be_read_is_not_empty(void **state)
{
	(void)state;
	group("run-1", "", 1);
	look();
	assert_int_equal(module.nr_deletes, 0);
	ungroup("run-1");
	group("run-1", "populated 0\n", 1);
	module.list_err = -EIO;
	look();
	assert_int_equal(module.nr_deletes, 0);
}

static void a_new_group_and_its_end_are_noticed(void **state)
{
	(void)state;
	look();
	assert_false(readable());
	group("run-1", "populated 1\nfrozen 0\n", 1);
	assert_true(readable());
	look();
	assert_false(readable());
	group_state("run-1", "populated 0\nfrozen 0\n");
	assert_true(readable());
	look();
	assert_int_equal(module.nr_deletes, 1);
}

/* A refusal is tried again when there is a reason to look. */
static void a_failed_removal_is_repeated(void **state)
{
	(void)state;
	group("run-1", "populated 0\n", 1);
	module.delete_err = -EIO;
	look();
	module.delete_err = 0;
	look();
	assert_int_equal(module.nr_deletes, 2);
	assert_int_equal(module.cgroups[1], 0);
}

static void a_vdev_that_is_gone_is_no_failure(void **state)
{
	(void)state;
	group("run-1", "populated 0\n", 1);
	module.delete_err = -ENOENT;
	look();
	assert_int_equal(module.nr_deletes, 1);
}

static void without_a_hierarchy_nothing_is_watched(void **state)
{
	struct infini_lifetime none;

	(void)state;
	assert_int_equal(infini_lifetime_open(&none, "/nonexistent/infini"), -ENOENT);
	assert_int_equal(none.fd, -1);
	infini_lifetime_run(&none, NULL);
	infini_lifetime_close(&none);
	assert_int_equal(module.nr_lists, 0);
}

#define CASE(f)	cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_empty_group_takes_its_vdev_along),
		CASE(an_empty_group_takes_many_vdevs_along),
		CASE(a_group_that_is_gone_is_not_watched),
		CASE(a_group_at_work_costs_no_listing),
		CASE(a_group_that_fills_meanwhile_stays),
		CASE(what_cannot_be_read_is_not_empty),
		CASE(a_new_group_and_its_end_are_noticed),
		CASE(a_failed_removal_is_repeated),
		CASE(a_vdev_that_is_gone_is_no_failure),
		CASE(without_a_hierarchy_nothing_is_watched),
	};
	int status;

	if (!mkdtemp(root))
		return 1;
	status = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(root);
	return status;
}
