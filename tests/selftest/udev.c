// SPDX-License-Identifier: GPL-2.0-or-later
/* The rules and the group that are installed, in front of a real udevd. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

#define UDEVD	"/usr/lib/systemd/systemd-udevd"
#define CONTROL	"/run/udev/control"

static struct world world;

static void shell(const char *command)
{
	int status = system(command);

	if (status)
		test_fail(__FILE__, __LINE__, "status %d: %s", status, command);
}

static pid_t udevd_start(void)
{
	pid_t pid;

	test_need_root();
	if (access(UDEVD, X_OK) || access("/usr/bin/systemd-sysusers", X_OK))
		test_skip("no udev here");
	shell("systemd-sysusers packaging/sysusers.d/infini.conf");
	shell("mkdir -p /run/udev/rules.d && cp packaging/udev/rules.d/60-infini.rules /run/udev/rules.d/");
	unlink(CONTROL);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl(UDEVD, UDEVD, (char *)NULL);
		_exit(127);
	}
	AWAIT(!access(CONTROL, F_OK) || waitpid(pid, NULL, WNOHANG));
	/* The socket is there before it hears of devices. */
	shell("udevadm control --ping --timeout=60");
	return pid;
}

/* The group's number in /etc/group, whatever libraries a 32-bit program finds. */
static gid_t group_id(const char *name)
{
	FILE *file = fopen("/etc/group", "re");
	char line[256], *colon;
	gid_t gid = 0;

	CHECK(file);
	while (!gid && fgets(line, sizeof(line), file)) {
		colon = strchr(line, ':');
		if (colon && !strncmp(line, name, colon - line) && !name[colon - line])
			sscanf(colon, ":%*[^:]:%u", &gid);
	}
	fclose(file);
	return gid;
}

/* The link by uuid, as sysfs says the uuid. */
static void by_uuid(uint32_t id, char *path, size_t size)
{
	char attr[64], uuid[37] = "";
	FILE *file;

	snprintf(attr, sizeof(attr), "/sys/class/infini/infini%u/uuid", id);
	file = fopen(attr, "re");
	CHECK(file && fread(uuid, 1, sizeof(uuid) - 1, file) == sizeof(uuid) - 1);
	fclose(file);
	snprintf(path, size, "/dev/infini-by-uuid/%s", uuid);
}

static void links(void)
{
	char target[32] = "", want[32], node[32], path[80];
	struct stat found, linked;
	pid_t udevd = udevd_start();
	uint32_t id;

	world_make(&world, &(struct setup){ 0 });
	id = world_vdev("named", world.device_name, MIB, 0600);
	AWAIT(readlink("/dev/infini-by-name/named", target, sizeof(target) - 1) > 0);
	snprintf(want, sizeof(want), "../infini%u", id);
	CHECK(!strcmp(target, want));
	snprintf(node, sizeof(node), "/dev/infini%u", id);
	AWAIT(!stat(node, &found) && found.st_gid == group_id("infini"));
	CHECK(found.st_gid);
	CHECK_EQ(found.st_mode & 0777, 0666);
	by_uuid(id, path, sizeof(path));
	AWAIT(!stat(path, &linked));
	CHECK_EQ(linked.st_rdev, found.st_rdev);
	CHECK_ERR(genl_vdev_delete(world_genl(), id, false), 0);
	CHECK_ERR(genl_vdev_delete(world_genl(), world.vdev, true), 0);
	AWAIT(access("/dev/infini-by-name", F_OK) && access("/dev/infini-by-uuid", F_OK));
	kill(udevd, SIGTERM);
	CHECK_EQ(waitpid(udevd, NULL, 0), udevd);
}

static const struct test tests[] = {
	{ "a link by name and by uuid, a group, a mode", links },
};

TEST_MAIN(tests)
