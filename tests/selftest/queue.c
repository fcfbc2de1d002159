// SPDX-License-Identifier: GPL-2.0-or-later
/* Queues: making and destroying them, with jobs waiting and running. */
#include <sys/eventfd.h>
#include <unistd.h>

#include "infini.h"
#include "world.h"

static void queue_undo(int fd, void *arg)
{
	const struct infini_queue_create *create = arg;

	destroy(fd, INFINI_IOC_QUEUE_DESTROY, create->handle);
}

static void contract(void)
{
	const struct infini_queue_create valid = { .size = sizeof(valid), .depth = 2 };
	const struct command command = {
		"QUEUE_CREATE", INFINI_IOC_QUEUE_CREATE, &valid, sizeof(valid), sizeof(valid), 0,
		queue_undo
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_queue_create, depth, 0, -EINVAL),
		WRONG(infini_queue_create, depth, 65, -EINVAL),
		WRONG(infini_queue_create, depth, UINT32_MAX, -EINVAL),
		WRONG(infini_queue_create, depth, 64, 0),
		WRONG(infini_queue_create, weight, 1, 0),
		WRONG(infini_queue_create, weight, 10000, 0),
		WRONG(infini_queue_create, weight, 10001, -EINVAL),
		WRONG(infini_queue_create, weight, UINT32_MAX, -EINVAL),
		/* An eventfd without its flag, the flag without an eventfd. */
		WRONG(infini_queue_create, eventfd, 1, -EINVAL),
	};
	const struct infini_handle none = { .size = sizeof(none), .handle = 77 };
	const struct command destroy_command = {
		"QUEUE_DESTROY", INFINI_IOC_QUEUE_DESTROY, &none, sizeof(none), sizeof(none),
		-ENOENT, NULL
	};
	const struct wrong_field destroy_wrong[] = {
		WRONG(infini_handle, pad, 1, -EINVAL),
		WRONG(infini_handle, handle, 0, -ENOENT),
		WRONG(infini_handle, handle, UINT32_MAX, -ENOENT),
	};
	struct world world;

	world_make(&world, &(struct setup){ 0 });
	test_command(world.client, &command);
	test_wrong_fields(world.client, &command, wrong, ARRAY_SIZE(wrong));
	test_command(world.client, &destroy_command);
	test_wrong_fields(world.client, &destroy_command, destroy_wrong,
			  ARRAY_SIZE(destroy_wrong));
}

static void bad_eventfd(void)
{
	struct infini_queue_create create = {
		.flags = INFINI_QUEUE_F_EVENTFD, .depth = 1, .eventfd = -1,
	};
	struct world world;

	world_make(&world, &(struct setup){ 0 });
	CHECK_ERR(infini_queue_create(world.client, &create), -EBADF);
	create.eventfd = world.client;
	CHECK_ERR(infini_queue_create(world.client, &create), -EINVAL);
}

static void many(void)
{
	struct infini_vdev_stats stats;
	struct infini_job job = job_nop();
	uint32_t queues[16], i, round;
	struct world world;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(queues); i++)
			queues[i] = queue_make(world.client, 1 + i);
		for (i = 0; i < ARRAY_SIZE(queues); i++)
			CHECK_ERR(submit_wait(world.client, queues[i], &job, NULL), 0);
		for (i = 0; i < ARRAY_SIZE(queues); i++)
			CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, queues[i]), 0);
		CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, queues[0]), -ENOENT);
	}
	stats_get(world.client, &stats);
	CHECK_EQ(stats.queues, 0);
	CHECK_EQ(stats.memory_used_bytes, 0);
	CHECK_EQ(stats.jobs_completed, 48);
}

/* A depth of 1 is used over and over: one slot, seqnos without gaps. */
static void one_slot(void)
{
	struct infini_job job = job_nop();
	struct world world;
	uint32_t queue, accepted;
	uint64_t seqno;
	int i;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 1);
	for (i = 1; i <= 200; i++) {
		CHECK_ERR(submit(world.client, queue, &job, 1, &accepted, &seqno), 0);
		CHECK_EQ(seqno, i);
		CHECK_ERR(wait_for(world.client, queue, seqno, INFINI_FOREVER, NULL), 0);
	}
}

static void destroyed_waiting(void)
{
	struct infini_job job = job_nop();
	struct infini_vdev_stats stats;
	struct world world;
	uint32_t queue;
	int i;

	world_make(&world, &(struct setup){ 0 });
	queue = queue_make(world.client, 8);
	for (i = 0; i < 8; i++)
		submit_one(world.client, queue, &job);
	CHECK_ERR(submit(world.client, queue, &job, 1, NULL, NULL), -EAGAIN);
	CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, queue), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.jobs_failed, 8);
	CHECK_EQ(stats.queues, 0);
	CHECK_EQ(stats.memory_used_bytes, 0);
}

static void destroyed_running(void)
{
	struct infini_vdev_stats stats;
	struct infini_job job;
	struct world world;
	uint32_t queue;
	int i;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	job = job_program(program_make(world.client, 0, 1000000, 1000000));
	for (i = 1; i <= 5; i++) {
		queue = queue_make(world.client, 2);
		submit_one(world.client, queue, &job);
		submit_one(world.client, queue, &job);
		AWAIT(world.fake->held);
		CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, queue), 0);
		AWAIT(!world.fake->held);
	}
	AWAIT((stats_get(world.client, &stats), !stats.queues));
	CHECK_EQ(stats.jobs_failed, 10);
	CHECK_EQ(world.fake->taken, 5);
	CHECK_EQ(world.fake->yielded, 5);
}

/* Weights of queues: over a run of equal jobs, three times the weight, three times the jobs. */
static void weights(void)
{
	struct infini_queue_create heavy = { .depth = 64, .weight = 300 };
	struct infini_queue_create light = { .depth = 64, .weight = 100 };
	struct infini_job job = job_nop();
	struct infini_dispatch dispatch;
	struct world world;
	int i, count = 0;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	CHECK_ERR(infini_queue_create(world.client, &heavy), 0);
	CHECK_ERR(infini_queue_create(world.client, &light), 0);
	for (i = 0; i < 32; i++) {
		job.request_id = 1;
		submit_one(world.client, heavy.handle, &job);
		job.request_id = 2;
		submit_one(world.client, light.handle, &job);
	}
	for (i = 0; i < 40; i++) {
		hand_take(&world, &dispatch);
		count += dispatch.request_id == 1;
		test_sleep_ms(3);
		CHECK_ERR(hand_give(&world, dispatch.dispatch, 0, 0), 0);
	}
	/* Only the order is asked for: the heavy one is ahead, the light one is not forgotten. */
	CHECK(count > 20 && count < 40);
}

static const struct test tests[] = {
	{ "sizes, flags and fields", contract },
	{ "an eventfd that is none", bad_eventfd },
	{ "many, again and again", many },
	{ "one slot is used over and over", one_slot },
	{ "destroyed with jobs waiting", destroyed_waiting },
	{ "destroyed with a job running", destroyed_running },
	{ "the heavier queue goes first", weights },
};

TEST_MAIN(tests)
