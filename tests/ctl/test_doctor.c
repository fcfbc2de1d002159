// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl doctor: every finding that there can be, in folders that stand for machines. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "capture.h"
#include "doctor.h"
#include "fake_admin.h"

static char root[] = "/tmp/infinictl-doctor-XXXXXX";

/* With the folders on the way. */
static void put(const char *path, const char *text)
{
	char whole[PATH_MAX];
	FILE *file;

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	for (char *at = whole + strlen(root) + 1; (at = strchr(at, '/')); at++) {
		*at = '\0';
		mkdir(whole, 0755);
		*at = '/';
	}
	file = fopen(whole, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void take(const char *path)
{
	char whole[PATH_MAX];

	snprintf(whole, sizeof(whole), "%s%s", root, path);
	unlink(whole);
	rmdir(whole);
}

/* A character device: what /dev/null is. */
static void put_node(void)
{
	char whole[PATH_MAX];

	put("/dev/other", "");
	snprintf(whole, sizeof(whole), "%s/dev/infini", root);
	assert_int_equal(symlink("/dev/null", whole), 0);
}

static void kernel_old(void)
{
	put("/proc/sys/kernel/osrelease", "5.15.0-91-generic\n");
}

static void kernel_new(void)
{
	put("/proc/sys/kernel/osrelease", "9.0.0-rc1\n");
}

static void kernel_unreadable(void)
{
	take("/proc/sys/kernel/osrelease");
}

static void no_module(void)
{
	take("/sys/module/infini/refcnt");
	take("/sys/module/infini");
}

static void no_node(void)
{
	take("/dev/infini");
}

static void node_is_file(void)
{
	no_node();
	put("/dev/infini", "");
}

static void no_btf(void)
{
	take("/sys/kernel/btf/vmlinux");
}

static void no_module_btf(void)
{
	take("/sys/kernel/btf/infini");
}

static void no_landlock(void)
{
	put("/sys/kernel/security/lsm", "capability,apparmor,notlandlock\n");
}

static void no_securityfs(void)
{
	take("/sys/kernel/security/lsm");
}

static void no_cgroups(void)
{
	take("/sys/fs/cgroup/cgroup.controllers");
}

static void no_memory_controller(void)
{
	put("/sys/fs/cgroup/cgroup.controllers", "cpuset cpu io hugetlb pids\n");
}

/* This process stands for infinid: it is looked for in the pid file of a parent. */
static void group_of_daemon(const char *group, const char *controllers)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/cgroup", (long)getppid());
	put(path, group);
	put("/sys/fs/cgroup/system.slice/infinid.service/cgroup.subtree_control", controllers);
	put("/sys/fs/cgroup/infinid/cgroup.subtree_control", controllers);
}

static void delegated(void)
{
	group_of_daemon("0::/system.slice/infinid.service/supervisor\n", "memory pids\n");
}

static void at_the_root(void)
{
	group_of_daemon("0::/\n", "memory pids\n");
}

static void not_delegated(void)
{
	group_of_daemon("0::/system.slice/infinid.service\n", "memory pids\n");
}

static void delegated_half(void)
{
	group_of_daemon("0::/system.slice/infinid.service/supervisor\n", "pids\n");
}

static void not_root(void)
{
	fake.open_err = -EPERM;
}

static void no_answer(void)
{
	fake.open_err = -ENOMEM;
}

static void no_devices(void)
{
	fake.nr_devices = 0;
}

static void one_offline(void)
{
	fake.devices[1].online = false;
}

static void all_offline(void)
{
	fake.devices[0].online = fake.devices[1].online = false;
}

static void no_nodes(void)
{
	fake.vdevs[0].minor = fake.vdevs[1].minor = -1;
}

static void nothing(void)
{
}

static const struct row {
	const char *name;
	void (*arrange)(void);
	const char *check;
	enum infini_health health;
	const char *found;
	bool daemon;
} rows[] = {
	{ "a kernel of today", nothing, "kernel", INFINI_HEALTH_OK, "6.12.95", false },
	{ "an old kernel", kernel_old, "kernel", INFINI_HEALTH_WRONG, "5.15.0-91-generic is too old", false },
	{ "a kernel of tomorrow", kernel_new, "kernel", INFINI_HEALTH_WARNING, "newer", false },
	{ "no proc", kernel_unreadable, "kernel", INFINI_HEALTH_WRONG, "cannot be read", false },
	{ "the module", nothing, "module", INFINI_HEALTH_OK, "loaded", false },
	{ "no module", no_module, "module", INFINI_HEALTH_WRONG, "not loaded", false },
	{ "no node", no_node, "module", INFINI_HEALTH_WRONG, "there is no /dev/infini", false },
	{ "a file for a node", node_is_file, "module", INFINI_HEALTH_WRONG, "there is no /dev/infini", false },
	{ "BTF", nothing, "btf", INFINI_HEALTH_OK, "there", false },
	{ "no BTF", no_btf, "btf", INFINI_HEALTH_WARNING, "the kernel has no BTF", false },
	{ "no BTF of the module", no_module_btf, "btf", INFINI_HEALTH_WARNING, "not the module's", false },
	{ "Landlock", nothing, "landlock", INFINI_HEALTH_OK, "on", false },
	{ "no Landlock", no_landlock, "landlock", INFINI_HEALTH_WARNING, "not on", false },
	{ "no securityfs", no_securityfs, "landlock", INFINI_HEALTH_WARNING, "not known", false },
	{ "cgroups", nothing, "cgroups", INFINI_HEALTH_OK, "v2, with memory", false },
	{ "no cgroups", no_cgroups, "cgroups", INFINI_HEALTH_WARNING, "no cgroup v2", false },
	{ "no memory controller", no_memory_controller, "cgroups", INFINI_HEALTH_WARNING, "without", false },
	{ "delegated", delegated, "cgroups", INFINI_HEALTH_OK, "v2, with memory", true },
	{ "infinid at the root", at_the_root, "cgroups", INFINI_HEALTH_OK, "v2, with memory", true },
	{ "not delegated", not_delegated, "cgroups", INFINI_HEALTH_WARNING, "none of their own", true },
	{ "delegated without memory", delegated_half, "cgroups", INFINI_HEALTH_WARNING,
	  "none of their own", true },
	{ "infinid", delegated, "daemon", INFINI_HEALTH_OK, "process ", true },
	{ "not root", not_root, "permissions", INFINI_HEALTH_WARNING, "may not ask the module", false },
	{ "no answer", no_answer, "permissions", INFINI_HEALTH_WRONG, "does not answer: Cannot alloc", false },
	{ "no infinid", nothing, "daemon", INFINI_HEALTH_WRONG, "infinid does not run", false },
	{ "devices", nothing, "devices", INFINI_HEALTH_OK, "2 online", false },
	{ "no devices", no_devices, "devices", INFINI_HEALTH_WRONG, "none", false },
	{ "one device offline", one_offline, "devices", INFINI_HEALTH_WARNING, "1 of 2 online", false },
	{ "all devices offline", all_offline, "devices", INFINI_HEALTH_WRONG, "2, none online", false },
	{ "devices unknown", not_root, "devices", INFINI_HEALTH_WARNING, "not known", false },
	{ "runtimes know nothing", nothing, "containers", INFINI_HEALTH_WARNING, "0 of 2", false },
	{ "vdevs without nodes", no_nodes, "containers", INFINI_HEALTH_OK, "0 of 0", false },
	{ "vdevs unknown", not_root, "containers", INFINI_HEALTH_WARNING, "not known", false },
};

/* A sound machine, but that infinid does not run and runtimes know nothing. */
static void arrange(void)
{
	take("/dev/infini");
	put_node();
	put("/proc/sys/kernel/osrelease", "6.12.95+deb12-amd64\n");
	put("/sys/module/infini/refcnt", "0\n");
	put("/sys/kernel/btf/vmlinux", "");
	put("/sys/kernel/btf/infini", "");
	put("/sys/kernel/security/lsm", "capability,landlock,bpf\n");
	put("/sys/fs/cgroup/cgroup.controllers", "cpu io memory pids\n");
	fake_fill();
	fake.devices[0].online = fake.devices[1].online = true;
	fake.vdevs[0].minor = 1;
	fake.vdevs[1].minor = 2;
}

static void look(const struct row *row, struct infini_finding *finding)
{
	struct infini_patient patient = {
		.root = root, .run_dir = "/run/infini", .connect_err = fake.open_err,
		.devices = { fake.devices, fake.nr_devices }, .vdevs = { fake.vdevs, fake.nr_vdevs },
	};
	const struct infini_check *check = infini_checks;

	while (strcmp(check->name, row->check))
		check++;
	check->look(&patient, finding);
}

/* In a child: a process does not see its own lock, so that the parent can stand for infinid. */
static void look_aside(const struct row *row, struct infini_finding *finding)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int ends[2], fd = -1, status;
	char path[PATH_MAX];
	pid_t pid;

	if (row->daemon) {
		put("/run/infini/infinid.pid", "");
		snprintf(path, sizeof(path), "%s/run/infini/infinid.pid", root);
		fd = open(path, O_RDWR);
		assert_int_equal(fcntl(fd, F_SETLK, &lock), 0);
	}
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		row->arrange();
		look(row, finding);
		_exit(write(ends[1], finding, sizeof(*finding)) != sizeof(*finding));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(read(ends[0], finding, sizeof(*finding)), sizeof(*finding));
	close(ends[0]);
	close(ends[1]);
	if (fd >= 0)
		close(fd);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		struct infini_finding finding = { 0 };

		arrange();
		look_aside(row, &finding);
		if (finding.health != row->health || !strstr(finding.found, row->found) ||
		    !finding.advice[0] != (row->health == INFINI_HEALTH_OK))
			fail_msg("%s: %d, \"%s\", \"%s\"", row->name, finding.health, finding.found,
				 finding.advice);
	}
}

static void test_json(void **state)
{
	struct json_object *array, *value;
	size_t nr = 0;

	(void)state;
	arrange();
	assert_int_equal(capture_run("doctor --json --run-dir /nonexistent"), 1);
	array = json_tokener_parse(out);
	while (infini_checks[nr].name)
		nr++;
	assert_int_equal(json_object_array_length(array), nr);
	for (size_t i = 0; i < nr; i++) {
		json_object_object_get_ex(json_object_array_get_idx(array, i), "check", &value);
		assert_string_equal(json_object_get_string(value), infini_checks[i].name);
	}
	json_object_put(array);
	assert_non_null(strstr(err, "to be put right"));
}

static void test_table(void **state)
{
	(void)state;
	arrange();
	fake.open_err = -EPERM;
	assert_int_equal(capture_run("doctor --run-dir /nonexistent"), 1);
	assert_non_null(strstr(out, "\ndaemon       wrong"));
	assert_non_null(strstr(out, "\ndaemon: systemctl start infinid"));
	assert_int_equal(capture_run("doctor more"), 2);
	assert_int_equal(capture_run("doctor --nonsense"), 2);
}

static int begin(void **state)
{
	(void)state;
	return mkdtemp(root) ? 0 : -1;
}

static int end(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -r %s", root);
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
