// SPDX-License-Identifier: GPL-2.0-or-later
/* Every count that QUERY reports can be reached, and not passed; all of it comes back. */
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

static struct world world;
static struct infini_query query;
static struct infini_vdev_stats stats;

static void setup(void)
{
	world_make(&world, &(struct setup){ .memory = 512 * MIB });
	CHECK_ERR(infini_query(world.client, &query), 0);
}

static void queues(void)
{
	struct infini_queue_create create = { .depth = 1 };
	uint32_t i;

	setup();
	for (i = 0; i < query.max_queues; i++)
		CHECK_ERR(infini_queue_create(world.client, &create), 0);
	CHECK_ERR(infini_queue_create(world.client, &create), -ENOSPC);
	CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, create.handle), 0);
	CHECK_ERR(infini_queue_create(world.client, &create), 0);
	create.depth = query.max_queue_depth + 1;
	CHECK_ERR(infini_queue_create(world.client, &create), -EINVAL);
}

static void buffers(void)
{
	struct infini_buffer_create create = { .bytes = 1 };
	uint32_t i;

	setup();
	for (i = 0; i < query.max_buffers; i++)
		CHECK_ERR(infini_buffer_create(world.client, &create), 0);
	CHECK_ERR(infini_buffer_create(world.client, &create), -ENOSPC);
	CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, 1), 0);
	CHECK_ERR(infini_buffer_create(world.client, &create), 0);
	close(world.client);
	world.client = world_client(&world);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.buffers, 0);
	CHECK_EQ(stats.memory_used_bytes, 0);
}

static void programs(void)
{
	uint32_t handle, i;

	setup();
	for (i = 0; i < query.max_programs; i++)
		CHECK_ERR(infini_program_create(world.client, 1, &i, sizeof(i), &handle), 0);
	CHECK_ERR(infini_program_create(world.client, 1, &i, sizeof(i), &handle), -ENOSPC);
	CHECK_ERR(destroy(world.client, INFINI_IOC_PROGRAM_DESTROY, 1), 0);
	CHECK_ERR(infini_program_create(world.client, 1, &i, sizeof(i), &handle), 0);
	close(world.client);
	world.client = world_client(&world);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.programs, 0);
	CHECK_EQ(stats.memory_used_bytes, 0);
}

static void clients(void)
{
	const struct rlimit limit = { 4096, 4096 };
	uint32_t i;

	setrlimit(RLIMIT_NOFILE, &limit);
	setup();
	for (i = 1; i < query.max_clients; i++)
		world_client(&world);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.clients, query.max_clients);
	CHECK_ERR(infini_vdev_open(world.control, NULL, world.vdev), -ENOSPC);
}

/* With no descriptor left nothing is left of the attempt either. */
static void descriptors(void)
{
	const struct rlimit limit = { 20, 20 };
	uint32_t i;
	int fd;

	setup();
	CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
	for (i = 0; i < 40; i++) {
		fd = infini_vdev_open(world.control, NULL, world.vdev);
		if (fd < 0)
			break;
	}
	CHECK_ERR(fd, -EMFILE);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.clients, i + 1);
}

/* A limit that falls below what is used refuses more, and takes nothing away. */
static void lowered(void)
{
	struct infini_buffer_create create = { .bytes = 4 * MIB };
	struct genl_request request;
	uint8_t *at;

	test_need_root();
	world_make(&world, &(struct setup){ .memory = 8 * MIB });
	buffer_make_mapped(world.client, 4 * MIB, &at);
	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, world.vdev);
	genl_put_u64(&request, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, MIB);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), 0);
	create.bytes = 4096;
	CHECK_ERR(infini_buffer_create(world.client, &create), -ENOSPC);
	at[4 * MIB - 1] = 1;
	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, world.vdev);
	genl_put_u64(&request, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 8 * MIB);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), 0);
	CHECK_ERR(infini_buffer_create(world.client, &create), 0);
}

/* What a job brings along is charged too: a queue's slots keep their room. */
static void payloads(void)
{
	static uint8_t data[1 << 20];
	struct infini_job job;
	uint32_t queue, taken = 0;
	int err;

	world_make(&world, &(struct setup){ .memory = 8 * MIB });
	queue = queue_make(world.client, 16);
	job = (struct infini_job){
		.op = INFINI_OP_ASK, .program_format = INFINI_FORMAT_NULL,
		.args = (uintptr_t)data, .args_bytes = sizeof(data),
	};
	while (!(err = submit(world.client, queue, &job, 1, NULL, NULL)))
		taken++;
	CHECK_ERR(err, -ENOSPC);
	CHECK_EQ(taken, 7);
	CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, queue), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, 0);
}

static const struct test tests[] = {
	{ "queues of a client", queues },
	{ "buffers of a client", buffers },
	{ "programs of a client", programs },
	{ "clients of a vdev", clients },
	{ "no descriptor left", descriptors },
	{ "a memory limit that is lowered", lowered },
	{ "what jobs bring along", payloads },
};

TEST_MAIN(tests)
