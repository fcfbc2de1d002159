// SPDX-License-Identifier: GPL-2.0-or-later
/* Who may open a vdev, register a device, and what an open file is worth. */
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

#define OWNER	1001
#define GROUP	1002
#define OTHER	1003

static struct world world;

static uint32_t owned_vdev(const char *name, uint32_t mode)
{
	struct genl_request request;
	uint32_t id = world_vdev(name, world.device_name, MIB, mode);

	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, id);
	genl_put_u32(&request, INFINI_A_VDEV_UID, OWNER);
	genl_put_u32(&request, INFINI_A_VDEV_GID, GROUP);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), 0);
	return id;
}

static int try_open(void *arg)
{
	return world_try_open(*(uint32_t *)arg);
}

static void modes(void)
{
	static const struct {
		uint32_t mode;
		int owner, group, other;
	} rows[] = {
		{ 0600, 0, -EACCES, -EACCES },
		{ 0660, 0, 0, -EACCES },
		{ 0666, 0, 0, 0 },
		{ 0000, -EACCES, -EACCES, -EACCES },
		{ 0400, -EACCES, -EACCES, -EACCES },
		{ 0200, -EACCES, -EACCES, -EACCES },
		{ 0060, -EACCES, 0, -EACCES },
		{ 0066, -EACCES, 0, 0 },
		{ 0606, 0, -EACCES, 0 },
	};
	char name[32];
	size_t i;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t id;

		snprintf(name, sizeof(name), "mode-%o", rows[i].mode);
		id = owned_vdev(name, rows[i].mode);
		test_row_err(name, test_as_user(OWNER, try_open, &id), rows[i].owner);
		test_row_err(name, test_as_user(GROUP, try_open, &id), rows[i].group);
		test_row_err(name, test_as_user(OTHER, try_open, &id), rows[i].other);
		test_row_err("root", try_open(&id), 0);
	}
}

/* Uid 0 of a user namespace of one's own is still oneself. */
static int try_open_as_own_root(void *arg)
{
	if (unshare(CLONE_NEWUSER))
		return -ENOSYS;
	return try_open(arg);
}

static void user_namespaces(void)
{
	uint32_t id;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	id = owned_vdev("ns", 0600);
	CHECK_ERR(test_as_user(OTHER, try_open_as_own_root, &id), -EACCES);
	CHECK_ERR(test_as_user(OWNER, try_open_as_own_root, &id), 0);
}

static int try_register(void *arg)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_device_register reg;
	int fd = infini_open(NULL);

	(void)arg;
	if (fd < 0)
		return -EIO;
	world_device(&reg, kinds, "mine");
	return infini_device_register(fd, &reg);
}

static void registering(void)
{
	CHECK_ERR(geteuid() ? try_register(NULL) : test_as_user(OTHER, try_register, NULL), -EPERM);
}

static int try_query(void *arg)
{
	struct infini_query query = { 0 };
	int fd = infini_open(NULL);

	(void)arg;
	return fd < 0 ? fd : infini_query(fd, &query);
}

static void everybody_may_ask(void)
{
	struct stat stat_buf;

	test_need_root();
	CHECK_EQ(stat("/dev/infini", &stat_buf), 0);
	CHECK_EQ(stat_buf.st_mode & 0777, 0666);
	CHECK_ERR(test_as_user(OTHER, try_query, NULL), 0);
}

/* An open file is a capability: it survives a change of owner, also in other hands. */
static int use_file(void *arg)
{
	struct infini_queue_create create = { .depth = 1 };

	return infini_queue_create(*(int *)arg, &create);
}

static void open_files_stay(void)
{
	uint32_t id;

	test_need_root();
	world_make(&world, &(struct setup){ .mode = 0666 });
	id = world.vdev;
	CHECK_ERR(test_as_user(OTHER, try_open, &id), 0);
	{
		struct genl_request request;

		genl_begin(&request, INFINI_CMD_VDEV_SET);
		genl_put_u32(&request, INFINI_A_VDEV_ID, id);
		genl_put_u32(&request, INFINI_A_VDEV_MODE, 0);
		CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), 0);
	}
	CHECK_ERR(test_as_user(OTHER, try_open, &id), -EACCES);
	CHECK_ERR(test_as_user(OTHER, use_file, &world.client), 0);
}

static const struct test tests[] = {
	{ "owner, group and mode", modes },
	{ "root of a user namespace of one's own", user_namespaces },
	{ "registering a device needs CAP_SYS_ADMIN", registering },
	{ "the control node is everybody's", everybody_may_ask },
	{ "an open file stays open", open_files_stay },
};

TEST_MAIN(tests)
