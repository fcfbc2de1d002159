// SPDX-License-Identifier: GPL-2.0-or-later
/* Deaths: of a client, an executor, a vdev, a device, at every moment; nothing stays behind. */
#include <infini/null.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

#define MS	1000000ULL

static struct infini_vdev_stats stats;

/* In a child: make everything, leave jobs running and waiting, and be killed. */
static pid_t busy_client(struct world *world)
{
	struct infini_job job;
	uint8_t *at;
	pid_t pid;
	int i;

	fflush(NULL);
	pid = fork();
	CHECK(pid >= 0);
	if (pid)
		return pid;
	close(world->client);
	world->client = world_client(world);
	buffer_make_mapped(world->client, MIB, &at);
	memset(at, 1, MIB);
	job = job_program(program_make(world->client, 0, 1000000, MS));
	for (i = 0; i < 3; i++) {
		uint32_t queue = queue_make(world->client, 4);

		submit_one(world->client, queue, &job);
		submit_one(world->client, queue, &job);
	}
	for (;;)
		pause();
}

static void kill_and_wait(pid_t pid)
{
	int status;

	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
}

static void client_killed(void)
{
	struct infini_job job = job_nop();
	struct world world;
	uint32_t queue;
	pid_t pid;
	int i;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	for (i = 1; i <= 5; i++) {
		pid = busy_client(&world);
		AWAIT((stats_get(world.client, &stats), stats.jobs_submitted == i * 6 + i - 1u));
		AWAIT(world.fake->held);
		kill_and_wait(pid);
		CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
		AWAIT((stats_get(world.client, &stats), stats.clients == 1 && stats.queues == 1 &&
		       !stats.buffers && !stats.programs));
	}
	CHECK_EQ(stats.jobs_failed, 30);
	CHECK_EQ(world.fake->generation, 1);
}

/* Closing is not enough while a mapping lives: the pages stay charged, then are back. */
static void closed_but_mapped(void)
{
	struct world world;
	uint8_t *at;
	int fd;

	world_make(&world, &(struct setup){ 0 });
	fd = world_client(&world);
	buffer_make_mapped(fd, MIB, &at);
	at[0] = 7;
	close(fd);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, MIB);
	CHECK_EQ(stats.clients, 2);
	CHECK_EQ(at[0], 7);
	CHECK_ERR(infini_unmap(at, MIB), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, 0);
	CHECK_EQ(stats.clients, 1);
}

static void executor_killed(void)
{
	struct infini_job job, nop = job_nop();
	struct world world;
	uint32_t queue;
	int i, status;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 8);
	job = job_program(program_make(world.client, 0, 1000000, MS));
	for (i = 1; i <= 5; i++) {
		uint64_t first = submit_one(world.client, queue, &job);

		submit_one(world.client, queue, &nop);
		AWAIT(world.fake->held);
		kill_and_wait(world.process);
		CHECK_ERR(wait_for(world.client, queue, first, INFINI_FOREVER, &status), 0);
		CHECK_ERR(status, -EOWNERDEAD);
		CHECK_ERR(wait_for(world.client, queue, first + 1, 0, &status), -ETIMEDOUT);
		world.process = world_executor_start(&world, world.vdev, 1, &world.fake);
		CHECK_EQ(world.fake->generation, i + 1);
		CHECK_ERR(wait_for(world.client, queue, first + 1, INFINI_FOREVER, &status), 0);
		CHECK_ERR(status, 0);
	}
}

static void executor_crashes(void)
{
	struct infini_job job;
	struct world world;
	uint32_t queue;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 8);
	job = job_program(program_make(world.client, INFINI_NULL_F_CRASH, 1, 0));
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), -EOWNERDEAD);
}

/* A copy of its file in another process does not keep a dead executor alive. */
static void executor_file_copied(void)
{
	struct infini_job job = job_nop();
	struct world world;
	uint32_t queue;
	int fd, status;
	pid_t pid;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	queue = queue_make(world.client, 8);
	fd = infini_executor_create(world.device, world.vdev);
	CHECK(fd >= 0);
	pid = fork();
	if (!pid) {
		struct infini_executor_attach attach = {
			.protocol = INFINI_PROTOCOL_VERSION, .window = 1,
		};
		struct infini_dispatch dispatch;

		world.executor = fd;
		if (infini_executor_attach(fd, &attach))
			_exit(1);
		world.payload_bytes = attach.payload_bytes;
		world.payload = calloc(1, attach.payload_bytes);
		hand_take(&world, &dispatch);
		_exit(0);
	}
	submit_one(world.client, queue, &job);
	CHECK_ERR(wait_for(world.client, queue, 1, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, -EOWNERDEAD);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	/* We still have the file; another executor is made all the same. */
	world.process = world_executor_start(&world, world.vdev, 1, &world.fake);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
}

/* Memory that only a dead executor had is lost, and jobs that name it hear so. */
static void memory_lost(void)
{
	struct infini_job job;
	struct world world;
	uint32_t queue, held, shared;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 8);
	shared = buffer_make(world.client, INFINI_BUFFER_SHARED, 0, 4096);
	held = buffer_make(world.client, INFINI_BUFFER_DEVICE, WORLD_KIND_HELD, 4096);
	job = job_fill(held, 0, 4096, 1);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	kill_and_wait(world.process);
	world.process = world_executor_start(&world, world.vdev, 1, &world.fake);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), -EOWNERDEAD);
	job = job_fill(shared, 0, 4096, 1);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, held), 0);
}

static void nobody_comes(void)
{
	struct infini_job job = job_nop();
	struct world world;
	uint32_t queue;
	int i;

	test_need_root();
	test_param_set("executor_wait_ms", 100);
	world_make(&world, &(struct setup){ 0 });
	queue = queue_make(world.client, 8);
	for (i = 0; i < 3; i++)
		CHECK_ERR(submit_wait(world.client, queue, &job, NULL), -EHOSTDOWN);
	world.process = world_executor_start(&world, world.vdev, 1, &world.fake);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
}

/* Deleting a vdev in use: refused, then by force. */
static void vdev_deleted(void)
{
	struct infini_job job, nop = job_nop();
	struct infini_buffer_create create = { .bytes = 4096 };
	struct world world;
	uint8_t *at;
	uint32_t queue, handle;
	int status;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 8);
	buffer_make_mapped(world.client, 4096, &at);
	at[0] = 1;
	job = job_program(program_make(world.client, 0, 1000000, MS));
	submit_one(world.client, queue, &job);
	submit_one(world.client, queue, &nop);
	AWAIT(world.fake->held);
	CHECK_ERR(genl_vdev_delete(world_genl(), world.vdev, false), -EBUSY);
	CHECK(world_genl()->message[0] || !genl_has_sentences());
	CHECK_ERR(genl_vdev_delete(world_genl(), world.vdev, true), 0);
	CHECK_ERR(wait_for(world.client, queue, 2, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, -ECANCELED);
	CHECK_ERR(wait_for(world.client, queue, 1, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, -ECANCELED);
	CHECK_ERR(submit(world.client, queue, &nop, 1, NULL, NULL), -ENODEV);
	CHECK_ERR(infini_buffer_create(world.client, &create), -ENODEV);
	CHECK_ERR(infini_program_create(world.client, 1, &job, sizeof(job), &handle), -ENODEV);
	/* Its mapping shows a page of nothing, so that it lives to hear ENODEV. */
	CHECK_EQ(at[0], 0);
	at[0] = 2;
	/* Its executor is dead, its name and its memory are free again. */
	CHECK_EQ(waitpid(world.process, &status, 0), world.process);
	CHECK_ERR(infini_vdev_open(world.control, world.vdev_name, 0), -ENOENT);
	world_vdev(world.vdev_name, world.device_name, 1024 * MIB, 0600);
}

struct storm {
	struct world *world;
	_Atomic int stop;
	pthread_t threads[4];
};

/* Everything a client can do, over and over, whatever comes back. */
static void *storm_run(void *arg)
{
	struct storm *storm = arg;
	struct infini_job jobs[4] = { job_nop(), job_nop(), job_nop(), job_nop() };

	while (!storm->stop) {
		int fd = infini_vdev_open(storm->world->control, NULL, storm->world->vdev);
		struct infini_queue_create queue = { .depth = 4 };
		struct infini_buffer_create buffer = { .bytes = 16384 };
		void *at;
		int i;

		if (fd < 0) {
			test_sleep_ms(1);
			continue;
		}
		for (i = 0; i < 5 && !storm->stop; i++) {
			uint64_t seqno;

			if (infini_queue_create(fd, &queue) || infini_buffer_create(fd, &buffer))
				break;
			if (!infini_buffer_map(fd, buffer.map_offset, 16384, &at))
				infini_unmap(at, 16384);
			jobs[1] = job_fill(buffer.handle, 0, 16384, i);
			if (!submit(fd, queue.handle, jobs, 4, NULL, &seqno))
				wait_for(fd, queue.handle, seqno, test_deadline(SECOND / 50),
					 NULL);
			if (i % 2)
				destroy(fd, INFINI_IOC_QUEUE_DESTROY, queue.handle);
			destroy(fd, INFINI_IOC_BUFFER_DESTROY, buffer.handle);
		}
		close(fd);
	}
	return NULL;
}

static void storm_start(struct storm *storm, struct world *world)
{
	size_t i;

	memset(storm, 0, sizeof(*storm));
	storm->world = world;
	for (i = 0; i < ARRAY_SIZE(storm->threads); i++)
		CHECK_EQ(pthread_create(&storm->threads[i], NULL, storm_run, storm), 0);
}

static void storm_stop(struct storm *storm)
{
	size_t i;

	storm->stop = 1;
	for (i = 0; i < ARRAY_SIZE(storm->threads); i++)
		CHECK_EQ(pthread_join(storm->threads[i], NULL), 0);
}

static void executors_die_in_a_storm(void)
{
	struct storm storm;
	struct world world;
	int i;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS, .window = 4 });
	storm_start(&storm, &world);
	for (i = 0; i < 15; i++) {
		test_sleep_ms(30);
		kill_and_wait(world.process);
		world.process = world_executor_start(&world, world.vdev, 4, &world.fake);
	}
	storm_stop(&storm);
}

static void vdevs_go_in_a_storm(void)
{
	struct storm storm;
	struct world world;
	int i, status;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS, .window = 4 });
	storm_start(&storm, &world);
	for (i = 0; i < 10; i++) {
		test_sleep_ms(30);
		CHECK_ERR(genl_vdev_delete(world_genl(), world.vdev, true), 0);
		CHECK_EQ(waitpid(world.process, &status, 0), world.process);
		world.vdev = world_vdev("again", world.device_name, 64 * MIB, 0600);
		world.process = world_executor_start(&world, world.vdev, 4, &world.fake);
	}
	storm_stop(&storm);
}

static void device_goes_in_a_storm(void)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_device_register reg;
	struct storm storm;
	struct world world;
	int i, status;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS, .window = 4 });
	storm_start(&storm, &world);
	for (i = 0; i < 10; i++) {
		test_sleep_ms(30);
		close(world.device);
		CHECK_EQ(waitpid(world.process, &status, 0), world.process);
		world_device(&reg, kinds, world.device_name);
		CHECK_ERR(infini_device_register(world.control, &reg), 0);
		world.device = reg.fd;
		world.process = world_executor_start(&world, world.vdev, 4, &world.fake);
	}
	storm_stop(&storm);
}

static const struct test tests[] = {
	{ "a client is killed with jobs running and waiting", client_killed },
	{ "a client's file is closed, its mapping lives", closed_but_mapped },
	{ "an executor is killed", executor_killed },
	{ "a program kills its executor", executor_crashes },
	{ "an executor dies, a copy of its file does not", executor_file_copied },
	{ "memory that died with an executor", memory_lost },
	{ "no executor comes", nobody_comes },
	{ "a vdev in use is deleted", vdev_deleted },
	{ "executors die under busy clients", executors_die_in_a_storm },
	{ "vdevs are deleted under busy clients", vdevs_go_in_a_storm },
	{ "the device goes under busy clients", device_goes_in_a_storm },
};

TEST_MAIN(tests)
