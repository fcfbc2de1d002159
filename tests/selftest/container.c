// SPDX-License-Identifier: GPL-2.0-or-later
/* What somebody in a container could try, to reach a vdev that is not his. */
#include <fcntl.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

#define TENANT		1001
#define OTHER		1003
#define NO_NAMESPACES	77

static struct world world;
static uint32_t own, foreign;

static uint32_t vdev_of(const char *name, uint32_t owner)
{
	struct genl_request request;
	uint32_t id = world_vdev(name, world.device_name, MIB, 0600);

	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, id);
	genl_put_u32(&request, INFINI_A_VDEV_UID, owner);
	genl_put_u32(&request, INFINI_A_VDEV_GID, owner);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), 0);
	return id;
}

/* Two tenants' vdevs on one device. */
static void two_tenants(void)
{
	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	own = vdev_of("own", TENANT);
	foreign = vdev_of("foreign", OTHER);
}

static bool write_file(const char *path, const char *value)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool written = fd >= 0 && write(fd, value, strlen(value)) == (ssize_t)strlen(value);

	if (fd >= 0)
		close(fd);
	return written;
}

/* Root of a user namespace in which it is @id outside, in namespaces of its own. */
static bool enter_container(unsigned int id, int namespaces)
{
	char map[32];

	/* A process that changed its user does not own its files in /proc. */
	prctl(PR_SET_DUMPABLE, 1);
	snprintf(map, sizeof(map), "0 %u 1", id);
	return !unshare(CLONE_NEWUSER | namespaces) && write_file("/proc/self/setgroups", "deny") &&
	       write_file("/proc/self/uid_map", map) && write_file("/proc/self/gid_map", map) &&
	       !setuid(0) && !setgid(0);
}

static int open_node(uint32_t vdev)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/infini%u", vdev);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

static int open_control(const char *name, uint32_t id)
{
	int control = infini_open(NULL);
	int fd = control < 0 ? control : infini_vdev_open(control, name, id);

	close(control);
	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

/* Rows run where a test cannot go on: -1 tells that one has failed. */
static int rows_failed;

static void check(const char *row, int got, int want)
{
	test_row_err(row, got, want);
	if (got != want)
		rows_failed = -1;
	fflush(stdout);
}

static void run_as(unsigned int id, int (*fn)(void *arg), void *arg)
{
	int err = test_as_user(id, fn, arg);

	if (err == -NO_NAMESPACES)
		test_skip("no such namespaces here");
	CHECK_EQ(err, 0);
}

/* ---- nodes ---- */

static int mapped(void *arg)
{
	(void)arg;
	if (!enter_container(TENANT, 0))
		return -NO_NAMESPACES;
	check("one's own, as root who is the owner outside", world_try_open(own), 0);
	check("another's", world_try_open(foreign), -EACCES);
	check("root's, as root inside only", world_try_open(world.vdev), -EACCES);
	check("mknod", mknod("/dev/shm/infini-node", S_IFCHR | 0666, makedev(10, 1)) ? -errno : 0,
	      -EPERM);
	return rows_failed;
}

static void user_namespace(void)
{
	two_tenants();
	run_as(TENANT, mapped, NULL);
}

static int open_made(void *arg)
{
	int fd = open(arg, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : 0;
}

/* A node that somebody made elsewhere, open to all by its mode, is as good as the one in /dev. */
static void mknod_elsewhere(void)
{
	char path[] = "/dev/shm/infini-node";
	struct stat found;
	char node[32];

	two_tenants();
	snprintf(node, sizeof(node), "/dev/infini%u", foreign);
	CHECK_EQ(stat(node, &found), 0);
	unlink(path);
	CHECK_EQ(mknod(path, S_IFCHR | 0666, found.st_rdev), 0);
	CHECK_EQ(chmod(path, 0666), 0);
	CHECK_ERR(test_as_user(OTHER, open_made, path), 0);
	CHECK_ERR(test_as_user(TENANT, open_made, path), -EACCES);
	unlink(path);
	CHECK_EQ(mknod(path, S_IFCHR | 0666, makedev(major(found.st_rdev), 1023)), 0);
	CHECK_ERR(open_made(path), -ENODEV);
	unlink(path);
}

/* ---- the control node ---- */

static int in_other_network(void *arg)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_query query = { .size = sizeof(query) };
	struct infini_device_register reg;
	int control;

	(void)arg;
	if (!enter_container(TENANT, CLONE_NEWNET))
		return -NO_NAMESPACES;
	check("one's own by name", open_control("own", 0), 0);
	check("one's own by id", open_control(NULL, own), 0);
	check("another's by name", open_control("foreign", 0), -ENOENT);
	check("another's by id", open_control(NULL, foreign), -ENOENT);
	check("one that is none", open_control("none", 0), -ENOENT);
	check("another's node", open_node(foreign), -EACCES);
	control = infini_open(NULL);
	check("QUERY", infini_query(control, &query), 0);
	check("its role", query.role, INFINI_ROLE_CONTROL);
	world_device(&reg, kinds, "mine");
	check("DEVICE_REGISTER", infini_device_register(control, &reg), -EPERM);
	return rows_failed;
}

static void control_node(void)
{
	two_tenants();
	run_as(TENANT, in_other_network, NULL);
}

/* ---- netlink ---- */

static int join_by_number(uint32_t group)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC), on = 1;

	/* Refused or not: what counts is what arrives. */
	setsockopt(fd, SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, &on, sizeof(on));
	setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group));
	return fd;
}

struct listening {
	uint32_t group;
	int ready, go;
};

static int listen_in_other_network(void *arg)
{
	const struct listening *listening = arg;
	struct genl genl;
	char bytes[64];
	int fd;

	if (!enter_container(TENANT, CLONE_NEWNET)) {
		close(listening->ready);
		return -NO_NAMESPACES;
	}
	check("the family", genl_open(&genl), -ENOENT);
	fd = join_by_number(listening->group);
	if (write(listening->ready, "", 1) != 1 || read(listening->go, bytes, 1) != 1)
		return -EIO;
	check("an event", recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) < 0 ? -errno : 0, -EAGAIN);
	return rows_failed;
}

/* With rights over its own network it may join a group of that number, where nobody speaks. */
static void netlink_events(void)
{
	struct listening listening;
	int ready[2], go[2], status;
	char byte;
	pid_t pid;

	two_tenants();
	CHECK_EQ(pipe(ready), 0);
	CHECK_EQ(pipe(go), 0);
	listening = (struct listening){ world_genl()->group, ready[1], go[0] };
	CHECK(listening.group);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		close(go[1]);
		test_become(TENANT);
		_exit(-listen_in_other_network(&listening));
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) == 1) {
		vdev_of("third", OTHER);
		CHECK_EQ(write(go[1], "", 1), 1);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == NO_NAMESPACES)
		test_skip("no such namespaces here");
	CHECK_EQ(WEXITSTATUS(status), 0);
}

/* ---- files ---- */

static int send_file(int to, int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec data = { "", 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	return sendmsg(to, &message, 0) == 1 ? 0 : -errno;
}

static int receive_file(int from)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	char byte;
	struct iovec data = { &byte, 1 };
	struct msghdr message = {
		.msg_iov = &data, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(from, &message, 0) != 1 || control.head.cmsg_type != SCM_RIGHTS)
		return -EIO;
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

/* It is worth its vdev, and nothing beside it. */
static int use_received(void *arg)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_vdev_info info = { 0 };
	struct infini_device_register reg;
	int fd = receive_file(*(int *)arg);

	if (fd < 0)
		return fd;
	if (!enter_container(TENANT, CLONE_NEWNET))
		return -NO_NAMESPACES;
	check("VDEV_INFO", infini_vdev_info(fd, &info), 0);
	check("which", info.id, foreign);
	check("VDEV_OPEN", infini_vdev_open(fd, NULL, own), -ENOTTY);
	world_device(&reg, kinds, "mine");
	check("DEVICE_REGISTER", infini_device_register(fd, &reg), -ENOTTY);
	check("opened anew", open_node(foreign), -EACCES);
	return rows_failed;
}

static void passed_file(void)
{
	int pair[2], fd;

	two_tenants();
	CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	fd = infini_vdev_open(world.control, NULL, foreign);
	CHECK(fd >= 0);
	CHECK_ERR(send_file(pair[0], fd), 0);
	run_as(TENANT, use_received, &pair[1]);
}

/* Numbers of another client's objects are nothing here, on another vdev or on the same. */
static void foreign_handles(void)
{
	struct infini_job job;
	uint32_t queue, buffer, program;
	uint64_t offset;
	uint8_t *at;
	int fds[2], i;

	two_tenants();
	queue = queue_make(world.client, 2);
	buffer = buffer_make_mapped(world.client, MIB, &at);
	program = program_make(world.client, 0, 1, 0);
	fds[0] = infini_vdev_open(world.control, NULL, foreign);
	fds[1] = world_client(&world);
	for (i = 0; i < 2; i++) {
		CHECK(fds[i] >= 0);
		job = job_fill(buffer, 0, 8, 1);
		test_row_err("submit", submit(fds[i], queue, &job, 1, NULL, NULL), -ENOENT);
		test_row_err("wait", wait_for(fds[i], queue, 1, 0, NULL), -ENOENT);
		for (offset = 0; offset < 64; offset++)
			if (mmap(NULL, 4096, PROT_READ, MAP_SHARED, fds[i], offset * 4096) !=
			    MAP_FAILED)
				test_row("mmap at page", offset, -1);
		queue_make(fds[i], 2);
		test_row_err("fill", submit(fds[i], 1, &job, 1, NULL, NULL), -ENOENT);
		job = job_program(program);
		test_row_err("run", submit(fds[i], 1, &job, 1, NULL, NULL), -ENOENT);
		test_row_err("destroy", destroy(fds[i], INFINI_IOC_BUFFER_DESTROY, buffer), -ENOENT);
	}
}

/* ---- what there is to read ---- */

struct victim {
	pid_t pid;
	int fd;
};

static int read_of_others(void *arg)
{
	const struct victim *victim = arg;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", victim->pid, victim->fd);
	check("fdinfo", open(path, O_RDONLY) < 0 ? -errno : 0, -EACCES);
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", victim->pid, victim->fd);
	check("the file itself", open(path, O_RDWR) < 0 ? -errno : 0, -EACCES);
	check("debugfs", open("/sys/kernel/debug/infini/jobs", O_RDONLY) < 0 ? -errno : 0, -EACCES);
	if (!enter_container(TENANT, CLONE_NEWNS))
		return -NO_NAMESPACES;
	check("debugfs mounted anew", mount("debugfs", "/mnt", "debugfs", 0, NULL) ? -errno : 0,
	      -EPERM);
	return rows_failed;
}

static void others(void)
{
	struct victim victim = { .pid = getpid() };

	two_tenants();
	victim.fd = world.client;
	run_as(TENANT, read_of_others, &victim);
}

static const struct test tests[] = {
	{ "user namespace: who one is outside counts", user_namespace },
	{ "a node made by mknod", mknod_elsewhere },
	{ "the control node opens one's own vdev only", control_node },
	{ "no event reaches another network namespace", netlink_events },
	{ "a file that was passed on is worth its vdev", passed_file },
	{ "another's handles are nothing", foreign_handles },
	{ "nothing to read about others", others },
};

TEST_MAIN(tests)
