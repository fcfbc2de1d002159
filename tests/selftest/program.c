// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs: upload, charge, run, and what becomes of one that is not good. */
#include <infini/null.h>
#include <stdlib.h>
#include <unistd.h>

#include "infini.h"
#include "world.h"

static void program_undo(int fd, void *arg)
{
	const struct infini_program_create *create = arg;

	destroy(fd, INFINI_IOC_PROGRAM_DESTROY, create->handle);
}

static void contract(void)
{
	static const uint8_t data[100];
	const struct infini_program_create valid = {
		.size = sizeof(valid), .format = INFINI_FORMAT_NULL, .data = (uintptr_t)data,
		.bytes = sizeof(data),
	};
	const struct command command = {
		"PROGRAM_CREATE", INFINI_IOC_PROGRAM_CREATE, &valid, sizeof(valid), sizeof(valid),
		0, program_undo
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_program_create, format, 0, -EINVAL),
		/* Formats are the executor's business. */
		WRONG(infini_program_create, format, 4711, 0),
		WRONG(infini_program_create, data, 0, -EFAULT),
		WRONG(infini_program_create, data, 8, -EFAULT),
		WRONG(infini_program_create, data, UINT64_MAX - 8, -EFAULT),
		WRONG(infini_program_create, bytes, 0, -EINVAL),
		WRONG(infini_program_create, bytes, (64 << 20) + 1, -ENOSPC),
		WRONG(infini_program_create, bytes, UINT64_MAX, -ENOSPC),
	};
	const struct infini_handle none = { .size = sizeof(none), .handle = 77 };
	const struct command destroy_command = {
		"PROGRAM_DESTROY", INFINI_IOC_PROGRAM_DESTROY, &none, sizeof(none), sizeof(none),
		-ENOENT, NULL
	};
	struct infini_vdev_stats stats;
	struct world world;

	world_make(&world, &(struct setup){ 0 });
	test_command(world.client, &command);
	test_wrong_fields(world.client, &command, wrong, ARRAY_SIZE(wrong));
	test_command(world.client, &destroy_command);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.programs, 0);
	CHECK_EQ(stats.memory_used_bytes, 0);
}

static void charged(void)
{
	struct infini_vdev_stats stats;
	struct world world;
	uint32_t a, b;
	void *data = calloc(1, 3 * MIB);

	world_make(&world, &(struct setup){ .memory = 4 * MIB });
	CHECK_ERR(infini_program_create(world.client, 1, data, 3 * MIB, &a), 0);
	CHECK_ERR(infini_program_create(world.client, 1, data, 3 * MIB, &b), -ENOSPC);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, 3 * MIB);
	CHECK_EQ(stats.programs, 1);
	CHECK_ERR(destroy(world.client, INFINI_IOC_PROGRAM_DESTROY, a), 0);
	CHECK_ERR(infini_program_create(world.client, 1, data, 3 * MIB, &b), 0);
	CHECK_ERR(destroy(world.client, INFINI_IOC_PROGRAM_DESTROY, b), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, 0);
}

static void runs_many_times(void)
{
	struct infini_binding binding = { .access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE };
	struct infini_job job;
	struct world world;
	uint32_t queue;
	uint64_t *count, value;
	int i;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	binding.buffer = buffer_make_mapped(world.client, 4096, (uint8_t **)&count);
	job = job_program(program_make(world.client, INFINI_NULL_F_COUNT, 5, 0));
	job.nr_bindings = 1;
	job.bindings = (uintptr_t)&binding;
	for (i = 1; i <= 20; i++) {
		CHECK_ERR(submit_wait(world.client, queue, &job, &value), 0);
		CHECK_EQ(value, 5);
		CHECK_EQ(*count, 5 * i);
	}
}

static void random_bytes(void)
{
	uint8_t noise[999];
	struct infini_job job;
	struct world world;
	uint32_t queue, handle;
	size_t i;

	for (i = 0; i < sizeof(noise); i++)
		noise[i] = i * 131 + 7;
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	CHECK_ERR(infini_program_create(world.client, INFINI_FORMAT_NULL, noise, sizeof(noise),
					&handle), 0);
	job = job_program(handle);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), -EINVAL);
	/* The executor has survived it. */
	job = job_nop();
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	CHECK_EQ(world.fake->generation, 1);
}

/* Destroyed while jobs with it wait: they still run, then it is gone. */
static void destroyed_in_use(void)
{
	struct infini_vdev_stats stats;
	struct infini_job job;
	struct world world;
	uint32_t queue, handle;
	uint64_t seqno = 0;
	int status, i;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 8);
	world.fake->hold = 1;
	handle = program_make(world.client, 0, 3, 0);
	job = job_program(handle);
	for (i = 0; i < 5; i++)
		seqno = submit_one(world.client, queue, &job);
	CHECK_ERR(destroy(world.client, INFINI_IOC_PROGRAM_DESTROY, handle), 0);
	CHECK_ERR(submit(world.client, queue, &job, 1, NULL, NULL), -ENOENT);
	world.fake->hold = 0;
	for (i = 1; i <= 5; i++) {
		CHECK_ERR(wait_for(world.client, queue, i, INFINI_FOREVER, &status), 0);
		CHECK_EQ(status, 0);
	}
	CHECK_EQ(seqno, 5);
	AWAIT(world.fake->programs_freed == 1);
	AWAIT((stats_get(world.client, &stats), !stats.programs));
}

struct counter {
	int client;
	uint32_t queue;
	const uint64_t *count;
};

/* A program that counts its segments, submitted on a queue of its own. */
static void counter_start(struct counter *counter, int client, uint64_t segments)
{
	struct infini_binding binding = { .access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE };
	struct infini_job job;

	counter->client = client;
	counter->queue = queue_make(client, 1);
	binding.buffer = buffer_make_mapped(client, 4096, (uint8_t **)&counter->count);
	job = job_program(program_make(client, INFINI_NULL_F_COUNT, segments, 200000));
	job.nr_bindings = 1;
	job.bindings = (uintptr_t)&binding;
	submit_one(client, counter->queue, &job);
}

/* Two vdevs take turns: however often each is preempted, every segment runs once. */
static void preempted_often(void)
{
	const uint64_t segments = 400;
	struct counter counters[2];
	struct infini_vdev_stats stats;
	struct world world, other;
	struct fake *fake;
	int i, status;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	other = world;
	other.vdev = world_vdev("other", world.device_name, 64 * MIB, 0600);
	world_executor_start(&world, other.vdev, 1, &fake);
	other.client = world_client(&other);
	/* Neither begins before both are there. */
	world.fake->hold = fake->hold = 1;
	counter_start(&counters[0], world.client, segments);
	counter_start(&counters[1], other.client, segments);
	AWAIT(world.fake->yielded && fake->yielded);
	world.fake->hold = fake->hold = 0;
	for (i = 0; i < 2; i++) {
		CHECK_ERR(wait_for(counters[i].client, counters[i].queue, 1, INFINI_FOREVER,
				   &status), 0);
		CHECK_ERR(status, 0);
		CHECK_EQ(*counters[i].count, segments);
		stats_get(counters[i].client, &stats);
		CHECK_EQ(stats.dispatches, stats.preemptions + 1);
		CHECK(stats.preemptions > 5);
	}
}

static const struct test tests[] = {
	{ "sizes, flags and fields", contract },
	{ "charged and refused by the vdev's limit", charged },
	{ "uploaded once, run many times", runs_many_times },
	{ "random bytes fail the job, not the executor", random_bytes },
	{ "destroyed while jobs use it", destroyed_in_use },
	{ "preempted often, every segment runs once", preempted_often },
};

TEST_MAIN(tests)
