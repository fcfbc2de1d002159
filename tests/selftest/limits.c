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

static int set_u64(uint16_t type, uint64_t value)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, world.vdev);
	genl_put_u64(&request, type, value);
	return genl_talk(world_genl(), &request, false, NULL, NULL);
}

static int set_u32(uint16_t type, uint32_t value)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, world.vdev);
	genl_put_u32(&request, type, value);
	return genl_talk(world_genl(), &request, false, NULL, NULL);
}

/* A limit that falls below what is used refuses more, and takes nothing away. */
static void lowered(void)
{
	struct infini_buffer_create create = { .bytes = 4 * MIB };
	uint8_t *at;

	test_need_root();
	world_make(&world, &(struct setup){ .memory = 8 * MIB });
	buffer_make_mapped(world.client, 4 * MIB, &at);
	CHECK_ERR(set_u64(INFINI_A_VDEV_MEMORY_LIMIT_BYTES, MIB), 0);
	/* It was done, and this is what it means. */
	CHECK(world_genl()->message[0]);
	if (genl_has_sentences())
		CHECK(!strcmp(world_genl()->message,
			      "memory limit 1.00 MiB is below the 4.00 MiB in use: no further allocation"));
	create.bytes = 4096;
	CHECK_ERR(infini_buffer_create(world.client, &create), -ENOSPC);
	at[4 * MIB - 1] = 1;
	CHECK_ERR(set_u64(INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 8 * MIB), 0);
	CHECK(!world_genl()->message[0]);
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

static void take_id(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	(void)cmd;
	*(uint32_t *)arg = genl_u32(&attrs[INFINI_A_VDEV_ID]);
}

static int vdev_overcommitted(const char *name, uint64_t memory, uint32_t *id)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_VDEV_NEW);
	genl_put_string(&request, INFINI_A_VDEV_NAME, name);
	genl_put_string(&request, INFINI_A_VDEV_DEVICE_NAME, world.device_name);
	genl_put_u64(&request, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, memory);
	genl_put(&request, INFINI_A_VDEV_OVERCOMMIT, NULL, 0);
	return genl_talk(world_genl(), &request, false, take_id, id);
}

struct device_memory {
	uint64_t bytes, promised, used;
};

static void take_memory(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	struct device_memory *memory = arg;

	(void)cmd;
	memory->bytes = genl_u64(&attrs[INFINI_A_DEVICE_MEMORY_BYTES]);
	memory->promised = genl_u64(&attrs[INFINI_A_DEVICE_MEMORY_PROMISED_BYTES]);
	memory->used = genl_u64(&attrs[INFINI_A_DEVICE_MEMORY_USED_BYTES]);
}

static void device_memory(struct device_memory *memory)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_DEVICE_GET);
	genl_put_u32(&request, INFINI_A_DEVICE_ID, world.device_id);
	CHECK_ERR(genl_talk(world_genl(), &request, false, take_memory, memory), 0);
}

/* Promised more than there is: first come, first served, and the device is never overfull. */
static void overcommitted(void)
{
	struct infini_buffer_create create = { .type = INFINI_BUFFER_SHARED };
	static uint8_t program[2 * MIB];
	struct device_memory memory;
	uint32_t other, ten, five, handle;
	int client;

	test_need_root();
	world_make(&world, &(struct setup){ .memory = 12 * MIB, .device_memory = 16 * MIB });
	CHECK_ERR(genl_vdev_create(world_genl(), "other", world.device_name, 12 * MIB, 0, 0600,
				   &other), -ENOSPC);
	CHECK_ERR(vdev_overcommitted("other", 17 * MIB, &other), -ENOSPC);
	CHECK_ERR(vdev_overcommitted("other", 12 * MIB, &other), 0);
	client = infini_vdev_open(world.control, NULL, other);
	CHECK(client >= 0);
	ten = buffer_make(world.client, INFINI_BUFFER_SHARED, 0, 10 * MIB);
	create.bytes = 7 * MIB;
	CHECK_ERR(infini_buffer_create(client, &create), -ENOSPC);
	five = buffer_make(client, INFINI_BUFFER_SHARED, 0, 5 * MIB);
	CHECK_ERR(infini_program_create(client, 1, program, sizeof(program), &handle), -ENOSPC);
	stats_get(client, &stats);
	CHECK_EQ(stats.memory_used_bytes, 5 * MIB);
	CHECK_EQ(stats.memory_peak_bytes, 5 * MIB);
	CHECK_EQ(stats.memory_failed, 2);
	device_memory(&memory);
	CHECK_EQ(memory.bytes, 16 * MIB);
	CHECK_EQ(memory.promised, 24 * MIB);
	CHECK_EQ(memory.used, 15 * MIB);
	/* The other's memory is the way out, and the limit still holds. */
	CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, ten), 0);
	CHECK_ERR(infini_buffer_create(client, &create), 0);
	create.bytes = 4096;
	CHECK_ERR(infini_buffer_create(client, &create), -ENOSPC);
	CHECK_ERR(destroy(client, INFINI_IOC_BUFFER_DESTROY, five), 0);
	device_memory(&memory);
	CHECK_EQ(memory.used, 7 * MIB);
	/* What a client has of a vdev that is deleted is in use all the same. */
	CHECK_ERR(genl_vdev_delete(world_genl(), other, true), 0);
	device_memory(&memory);
	CHECK_EQ(memory.promised, 12 * MIB);
	CHECK_EQ(memory.used, 7 * MIB);
	close(client);
	AWAIT((device_memory(&memory), !memory.used));
}

/* A worker that says it holds everything takes nothing from what another vdev was promised. */
static void held_by_a_liar(void)
{
	struct infini_exchange arg = { .held_bytes = UINT64_MAX };
	struct device_memory memory;
	uint32_t other;
	int client;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND, .memory = 8 * MIB,
					    .device_memory = 16 * MIB });
	other = world_vdev("other", world.device_name, 8 * MIB, 0600);
	CHECK_ERR(infini_exchange(world.executor, &arg), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, 16 * MIB);
	device_memory(&memory);
	CHECK_EQ(memory.used, 8 * MIB);
	client = infini_vdev_open(world.control, NULL, other);
	CHECK(client >= 0);
	buffer_make(client, INFINI_BUFFER_SHARED, 0, 8 * MIB);
	arg.held_bytes = 0;
	CHECK_ERR(infini_exchange(world.executor, &arg), 0);
	device_memory(&memory);
	CHECK_EQ(memory.used, 8 * MIB);
	close(client);
}

static int submit_nowait(const struct infini_job *job, uint32_t queue)
{
	struct infini_submit arg = {
		.flags = INFINI_SUBMIT_F_RATE_NOWAIT, .queue = queue, .nr_jobs = 1,
		.jobs = (uintptr_t)job, .jobs_stride = sizeof(*job),
	};
	int err = infini_submit(world.client, &arg);

	CHECK_EQ(arg.accepted, !err);
	return err;
}

/*
 * One job of a thousand tokens is far more than one in a second: who does not want to wait hears
 * it at once, what waits is kept back, and goes on at once when the limit goes.
 */
static void over_the_rate(void)
{
	struct infini_job job;
	uint32_t queue;
	uint64_t seqno;
	int status;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	job = job_program(program_make(world.client, 0, 1, 0));
	job.tokens_generated = 1000;
	CHECK_ERR(submit_nowait(&job, queue), 0);
	CHECK_ERR(wait_for(world.client, queue, 1, INFINI_FOREVER, &status), 0);
	/* The burst is a second's: the job turns over 1000 tokens, and what came before is free. */
	CHECK_ERR(set_u64(INFINI_A_VDEV_TOKENS_PER_S, 1), 0);
	CHECK_ERR(submit_nowait(&job, queue), 0);
	CHECK_ERR(wait_for(world.client, queue, 2, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, 0);
	CHECK_ERR(submit_nowait(&job, queue), -EDQUOT);
	seqno = submit_one(world.client, queue, &job);
	CHECK_EQ(seqno, 3);
	AWAIT((stats_get(world.client, &stats), stats.throttles > 0));
	CHECK_ERR(submit_nowait(&job, queue), -EDQUOT);
	CHECK_EQ(stats.jobs_completed, 2);
	CHECK_EQ(stats.tokens_generated, 2000);
	CHECK_EQ(stats.tokens_evaluated, 6);
	CHECK_ERR(wait_for(world.client, queue, seqno, test_deadline(SECOND / 10), NULL),
		  -ETIMEDOUT);
	CHECK_ERR(set_u64(INFINI_A_VDEV_TOKENS_PER_S, 0), 0);
	CHECK_ERR(wait_for(world.client, queue, seqno, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, 0);
	CHECK_ERR(submit_nowait(&job, queue), 0);
	CHECK_ERR(wait_for(world.client, queue, 4, INFINI_FOREVER, &status), 0);
	stats_get(world.client, &stats);
	CHECK(stats.throttled_ns >= SECOND / 10);
}

/* Alone on the device, a capped vdev is asked to yield and kept back; its work gets done. */
static void capped(void)
{
	struct infini_job job;
	uint64_t value;
	uint32_t queue;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	job = job_program(program_make(world.client, 0, 20, 1000000));
	CHECK_ERR(submit_wait(world.client, queue, &job, &value), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.throttles, 0);
	CHECK_ERR(set_u32(INFINI_A_VDEV_CAP_PPM, 500000), 0);
	CHECK_ERR(submit_wait(world.client, queue, &job, &value), 0);
	CHECK_EQ(value, 20);
	stats_get(world.client, &stats);
	CHECK(stats.throttles > 0);
	CHECK(stats.throttled_ns > 0);
	CHECK(stats.preemptions > 0);
	CHECK(stats.runnable_ns >= stats.occupancy_ns + stats.throttled_ns);
}

/* What an administrator sets is what a client reads. */
static void told(void)
{
	struct infini_vdev_info info = { 0 };

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	CHECK_ERR(set_u32(INFINI_A_VDEV_CLASS, INFINI_VDEV_CLASS_BATCH), 0);
	CHECK_ERR(set_u32(INFINI_A_VDEV_CAP_PPM, 123456), 0);
	CHECK_ERR(set_u32(INFINI_A_VDEV_FLOOR_PPM, 65432), 0);
	CHECK_ERR(set_u64(INFINI_A_VDEV_TOKENS_PER_S, 1234567), 0);
	CHECK_ERR(set_u64(INFINI_A_VDEV_TOKEN_BURST, 7654321), 0);
	CHECK_ERR(infini_vdev_info(world.client, &info), 0);
	CHECK_EQ(info.vdev_class, INFINI_VDEV_CLASS_BATCH);
	CHECK_EQ(info.cap_ppm, 123456);
	CHECK_EQ(info.floor_ppm, 65432);
	CHECK_EQ(info.tokens_per_s, 1234567);
	CHECK_EQ(info.token_burst, 7654321);
}

static const struct test tests[] = {
	{ "queues of a client", queues },
	{ "buffers of a client", buffers },
	{ "programs of a client", programs },
	{ "clients of a vdev", clients },
	{ "no descriptor left", descriptors },
	{ "a memory limit that is lowered", lowered },
	{ "a device that is overcommitted", overcommitted },
	{ "a worker that says it holds everything", held_by_a_liar },
	{ "over the token rate", over_the_rate },
	{ "a capped vdev", capped },
	{ "limits as a client reads them", told },
	{ "what jobs bring along", payloads },
};

TEST_MAIN(tests)
