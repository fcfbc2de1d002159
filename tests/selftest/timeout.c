// SPDX-License-Identifier: GPL-2.0-or-later
/* Job timeouts: asked for, limited by the administrator, answered, not answered. */
#include <sys/wait.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

#define MS	1000000ULL

static struct infini_job long_job(struct world *world, uint64_t timeout_ns)
{
	struct infini_job job = job_program(program_make(world->client, 0, 1000000, MS));

	job.timeout_ns = timeout_ns;
	return job;
}

static void answered(void)
{
	struct infini_vdev_stats stats;
	struct infini_job job, nop = job_nop();
	struct world world;
	uint32_t queue;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	job = long_job(&world, 50 * MS);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), -ETIMEDOUT);
	CHECK_ERR(submit_wait(world.client, queue, &nop, NULL), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.jobs_timed_out, 1);
	CHECK_EQ(stats.jobs_failed, 1);
	CHECK_EQ(stats.preemptions, 0);
	CHECK_EQ(world.fake->generation, 1);
}

/* Nobody answers within the grace: the executor is killed, another serves on. */
static void not_answered(void)
{
	struct infini_vdev_stats stats;
	struct infini_job job, nop = job_nop();
	struct world world;
	uint32_t queue;
	int status;

	test_need_root();
	test_param_set("grace_ms", 100);
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	world.fake->deaf = 1;
	job = long_job(&world, 50 * MS);
	submit_one(world.client, queue, &job);
	submit_one(world.client, queue, &nop);
	CHECK_ERR(wait_for(world.client, queue, 1, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, -ETIMEDOUT);
	CHECK_EQ(waitpid(world.process, &status, 0), world.process);
	CHECK(WIFSIGNALED(status));
	world.process = world_executor_start(&world, world.vdev, 1, &world.fake);
	CHECK_EQ(world.fake->generation, 2);
	CHECK_ERR(wait_for(world.client, queue, 2, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.jobs_timed_out, 1);
}

/* A cancelled job that the executor does not give back is bounded as well. */
static void cancelled_and_deaf(void)
{
	struct infini_job job;
	struct world world;
	uint32_t queue;
	int status;

	test_need_root();
	test_param_set("grace_ms", 100);
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	world.fake->deaf = 1;
	job = long_job(&world, 200 * MS);
	submit_one(world.client, queue, &job);
	AWAIT(world.fake->held);
	close(world.client);
	world.client = -1;
	CHECK_EQ(waitpid(world.process, &status, 0), world.process);
	CHECK(WIFSIGNALED(status));
}

/* Time in which another vdev has the slot does not count, be it twice the timeout. */
static void occupancy_only(void)
{
	struct infini_job job, other_job;
	struct infini_vdev_stats stats;
	struct world world, other;
	uint32_t queue, other_queue;
	struct fake *fake;
	int status;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	other = world;
	other.vdev = world_vdev("other", world.device_name, 64 * MIB, 0600);
	world_executor_start(&world, other.vdev, 1, &fake);
	other.client = world_client(&other);
	queue = queue_make(world.client, 1);
	other_queue = queue_make(other.client, 1);
	job = job_program(program_make(world.client, 0, 2, 0));
	job.timeout_ns = SECOND;
	other_job = job_program(program_make(other.client, 0, 2, 0));
	/* The first is asked to yield once the second waits; the second stays for two seconds. */
	world.fake->hold = 1;
	fake->hold = fake->deaf = 1;
	submit_one(world.client, queue, &job);
	AWAIT(world.fake->held);
	submit_one(other.client, other_queue, &other_job);
	AWAIT(fake->held);
	world.fake->hold = 0;
	test_sleep_ms(2000);
	fake->hold = 0;
	CHECK_ERR(wait_for(other.client, other_queue, 1, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, 0);
	CHECK_ERR(wait_for(world.client, queue, 1, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, 0);
	stats_get(world.client, &stats);
	CHECK(stats.preemptions);
	CHECK(stats.slices > 1);
}

static void limits(void)
{
	struct infini_job job = job_nop();
	struct infini_query query = { 0 };
	struct world world;
	uint32_t queue;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	test_param_set("max_timeout_ms", 1000);
	CHECK_ERR(infini_query(world.client, &query), 0);
	CHECK_EQ(query.max_timeout_ns, SECOND);
	job.timeout_ns = SECOND + 1;
	CHECK_ERR(submit(world.client, queue, &job, 1, NULL, NULL), -EINVAL);
	job.timeout_ns = SECOND;
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	/* A default above the ceiling is the ceiling. */
	job = job_program(program_make(world.client, 0, 1000000, MS));
	test_param_set("max_timeout_ms", 50);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), -ETIMEDOUT);
}

/* It is cleared, which takes the longer the more it is. */
static void much_memory(void)
{
	struct infini_buffer_create little = { .type = INFINI_BUFFER_DEVICE,
					       .kind = WORLD_KIND_HELD, .bytes = MIB };
	struct infini_buffer_create much = { .type = INFINI_BUFFER_DEVICE,
					     .kind = WORLD_KIND_HELD, .bytes = 256 * MIB };
	struct world world;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS, .memory = 768 * MIB });
	test_param_set("default_timeout_ms", 50);
	world.fake->alloc_ms = 500;
	CHECK_ERR(infini_buffer_create(world.client, &little), -ETIMEDOUT);
	CHECK_ERR(infini_buffer_create(world.client, &much), 0);
	test_param_set("max_timeout_ms", 50);
	CHECK_ERR(infini_buffer_create(world.client, &much), -ETIMEDOUT);
}

static const struct test tests[] = {
	{ "a job that is given back in time", answered },
	{ "a job that is not given back", not_answered },
	{ "a cancelled job that is not given back", cancelled_and_deaf },
	{ "only the time in a slot counts", occupancy_only },
	{ "the administrator's ceiling", limits },
	{ "allocating much memory may take longer", much_memory },
};

TEST_MAIN(tests)
