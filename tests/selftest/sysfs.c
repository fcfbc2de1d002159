// SPDX-License-Identifier: GPL-2.0-or-later
/* What sysfs and uevents say of vdevs, and to whom. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

#define UEVENTS		1	/* the kernel's own group */

static struct world world;
static struct genl_request request;
static char text[8192];

static int read_attr(uint32_t vdev, const char *name)
{
	char path[128];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/sys/class/infini/infini%u/%s", vdev, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got < 0)
		return -errno;
	text[got] = 0;
	return 0;
}

static void row(uint32_t vdev, const char *name, const char *want)
{
	int err = read_attr(vdev, name);

	test_row_err(name, err, 0);
	if (err || !strcmp(text, want))
		return;
	printf("# %s is %s", name, text);
	test_row(name, 0, 1);
}

static void attributes(void)
{
	uint32_t id;

	test_need_root();
	world_make(&world, &(struct setup){ .memory = 7 * MIB });
	id = world.vdev;
	row(id, "name", "testvdev\n");
	row(id, "device_name", "testdev\n");
	row(id, "memory_limit_bytes", "7340032\n");
	row(id, "class", "normal\n");
	row(id, "weight", "100\n");
	row(id, "quantum_ns", "2000000\n");
	row(id, "cap_ppm", "1000000\n");
	row(id, "floor_ppm", "0\n");
	row(id, "tokens_per_s", "0\n");
	row(id, "token_burst", "0\n");
	row(id, "uid", "0\n");
	row(id, "gid", "0\n");
	row(id, "mode", "0600\n");
	row(id, "exclusive", "0\n");
	row(id, "cgroup_id", "0\n");
	CHECK_ERR(read_attr(id, "uuid"), 0);
	CHECK_EQ(strlen(text), 37);
	CHECK_EQ(text[14], '4');
}

static void changes_show(void)
{
	const uint8_t exclusive = 1;
	uint32_t id;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	id = world.vdev;
	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, id);
	genl_put_u32(&request, INFINI_A_VDEV_WEIGHT, 7);
	genl_put_u32(&request, INFINI_A_VDEV_CLASS, INFINI_VDEV_CLASS_BATCH);
	genl_put_u32(&request, INFINI_A_VDEV_UID, 1001);
	genl_put_u32(&request, INFINI_A_VDEV_GID, 1002);
	genl_put_u32(&request, INFINI_A_VDEV_MODE, 0640);
	genl_put(&request, INFINI_A_VDEV_EXCLUSIVE, &exclusive, 1);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), 0);
	row(id, "weight", "7\n");
	row(id, "class", "batch\n");
	row(id, "uid", "1001\n");
	row(id, "gid", "1002\n");
	row(id, "mode", "0640\n");
	row(id, "exclusive", "1\n");
}

/* Nothing of it can be written, by root either. */
static void read_only(void)
{
	struct dirent *entry;
	struct stat found;
	unsigned int nr = 0;
	char path[400];
	DIR *dir;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	snprintf(path, sizeof(path), "/sys/class/infini/infini%u", world.vdev);
	dir = opendir(path);
	CHECK(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_type != DT_REG || !strcmp(entry->d_name, "uevent"))
			continue;
		snprintf(path, sizeof(path), "/sys/class/infini/infini%u/%s", world.vdev,
			 entry->d_name);
		CHECK_EQ(stat(path, &found), 0);
		test_row(entry->d_name, found.st_mode & 0777, 0444);
		nr++;
	}
	closedir(dir);
	CHECK_EQ(nr, 17);	/* with "dev" */
}

static void gone(void)
{
	char path[64];
	uint32_t id;
	int fd;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	id = world_vdev("brief", world.device_name, MIB, 0600);
	snprintf(path, sizeof(path), "/sys/class/infini/infini%u/weight", id);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_ERR(genl_vdev_delete(world_genl(), id, false), 0);
	CHECK_EQ(read(fd, text, 16), -1);
	CHECK_EQ(errno, ENODEV);
	CHECK_ERR(read_attr(id, "weight"), -ENOENT);
	close(fd);
}

static void read_all(uint32_t vdev)
{
	static const char *const names[] = {
		"name", "uuid", "device_name", "weight", "cgroup_id", "uid", "uevent",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		read_attr(vdev, names[i]);
}

/* Reading while vdevs come and go: the sanitizer would see what is read too late. */
static void gone_race(void)
{
	uint32_t ids[4] = { 0 }, newest = 0, i, j;
	pid_t readers[2];

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	fflush(stdout);
	for (i = 0; i < ARRAY_SIZE(readers); i++) {
		readers[i] = fork();
		if (readers[i])
			continue;
		for (j = 0;; j = (j + 1) % 300)
			read_all(world.vdev + j);
	}
	for (i = 0; i < 60; i++) {
		char name[32];

		snprintf(name, sizeof(name), "brief-%u", i);
		if (ids[i % 4])
			CHECK_ERR(genl_vdev_delete(world_genl(), ids[i % 4], true), 0);
		ids[i % 4] = newest = world_vdev(name, world.device_name, MIB, 0600);
	}
	CHECK_ERR(read_attr(newest, "name"), 0);
	CHECK(!strncmp(text, "brief-59", 8));
}

/* ---- uevents ---- */

static int uevents_open(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = UEVENTS };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)))
		return -errno;
	return fd;
}

/* The next uevent of the class into @text, its strings ended by newlines; false without one. */
static bool uevent_next(int fd)
{
	ssize_t got, i;

	do {
		got = recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT);
		if (got < 0)
			return false;
		for (i = 0; i < got; i++)
			if (!text[i])
				text[i] = '\n';
		text[got] = 0;
	} while (!strstr(text, "SUBSYSTEM=infini\n"));
	return true;
}

static void uevents(void)
{
	char expected[64], uuid[64];
	uint32_t id;
	int fd;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	fd = uevents_open();
	CHECK(fd >= 0);
	id = world_vdev("seen", world.device_name, MIB, 0600);
	CHECK_ERR(read_attr(id, "uuid"), 0);
	snprintf(uuid, sizeof(uuid), "INFINI_VDEV_UUID=%.37s", text);
	snprintf(expected, sizeof(expected), "DEVNAME=infini%u\n", id);
	AWAIT(uevent_next(fd));
	CHECK(strstr(text, "ACTION=add\n"));
	CHECK(strstr(text, expected));
	CHECK(strstr(text, "DEVMODE=0666\n"));
	CHECK(strstr(text, "INFINI_VDEV_NAME=seen\n"));
	CHECK(strstr(text, "INFINI_DEVICE_NAME=testdev\n"));
	CHECK(strstr(text, uuid));
	CHECK_ERR(genl_vdev_delete(world_genl(), id, false), 0);
	AWAIT(uevent_next(fd));
	CHECK(strstr(text, "ACTION=remove\n"));
	CHECK(strstr(text, "INFINI_VDEV_NAME=seen\n"));
}

/* ---- another network namespace, as a container has one ---- */

static int list_of_another(void)
{
	struct dirent *entry;
	int nr = 0;
	DIR *dir;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("sysfs", "/mnt", "sysfs", 0, NULL))
		return -errno;
	dir = opendir("/mnt/class/infini");
	while (dir && (entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	return nr;
}

static int seen_from_another(int ready, int go)
{
	int fd, nr;
	char byte;

	if (unshare(CLONE_NEWNET | CLONE_NEWNS))
		return 77;
	fd = uevents_open();
	nr = list_of_another();
	if (fd < 0 || nr < 0 || write(ready, "", 1) != 1 || read(go, &byte, 1) != 1)
		return 78;
	return nr + uevent_next(fd);
}

static void other_network(void)
{
	int ready[2], go[2], status;
	char byte;
	pid_t pid;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	CHECK_EQ(pipe(ready), 0);
	CHECK_EQ(pipe(go), 0);
	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(seen_from_another(ready[1], go[0]));
	close(ready[1]);
	if (read(ready[0], &byte, 1) == 1) {
		world_vdev("unseen", world.device_name, MIB, 0600);
		CHECK_EQ(write(go[1], "", 1), 1);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		test_skip("no network namespaces here");
	CHECK_EQ(WEXITSTATUS(status), 0);
}

static const struct test tests[] = {
	{ "a vdev's attributes", attributes },
	{ "attributes follow changes", changes_show },
	{ "attributes are read only", read_only },
	{ "attributes go with the vdev", gone },
	{ "attributes are read while vdevs come and go", gone_race },
	{ "uevents carry name, uuid and device", uevents },
	{ "nothing in another network namespace", other_network },
};

TEST_MAIN(tests)
