// SPDX-License-Identifier: GPL-2.0-or-later
/* Opening a vdev, VDEV_INFO and VDEV_STATS. */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

static void close_fd(int fd, void *arg)
{
	const struct infini_vdev_open *open = arg;

	(void)fd;
	close(open->fd);
}

static void open_contract(void)
{
	struct infini_vdev_open valid = { .size = sizeof(valid) };
	const struct command command = {
		"VDEV_OPEN", INFINI_IOC_VDEV_OPEN, &valid, sizeof(valid), sizeof(valid), 0,
		close_fd
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_vdev_open, id, 0, -ENOENT),
		WRONG(infini_vdev_open, id, 1000, -ENOENT),
		WRONG(infini_vdev_open, id, UINT32_MAX, -ENOENT),
		WRONG(infini_vdev_open, name, 'x', -ENOENT),
	};
	struct world world;

	world_make(&world, &(struct setup){ 0 });
	valid.id = world.vdev;
	test_command(world.control, &command);
	test_wrong_fields(world.control, &command, wrong, ARRAY_SIZE(wrong));
	/* A name without an end. */
	memset(valid.name, 'x', sizeof(valid.name));
	CHECK_ERR(test_ioctl(world.control, INFINI_IOC_VDEV_OPEN, &valid), -EINVAL);
}

static void ways_in(void)
{
	struct infini_vdev_info info = { 0 };
	struct world world;
	char path[32];
	int fd;

	world_make(&world, &(struct setup){ 0 });
	fd = infini_vdev_open(world.control, world.vdev_name, 12345);
	CHECK(fd >= 0);
	CHECK_ERR(infini_vdev_info(fd, &info), 0);
	CHECK_EQ(info.id, world.vdev);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	snprintf(path, sizeof(path), "/dev/infini%u", world.vdev);
	fd = infini_client_open(path, NULL);
	CHECK(fd >= 0);
	CHECK_ERR(infini_vdev_info(fd, &info), 0);
	CHECK_EQ(info.id, world.vdev);
	close(fd);
	CHECK_ERR(infini_client_open(path, "testvdev"), -EINVAL);
	fd = infini_client_open(NULL, "testvdev");
	CHECK(fd >= 0);
	close(fd);
}

static void info(void)
{
	struct infini_memory_kind kinds[WORLD_KINDS + 1] = { 0 };
	struct infini_vdev_info info = {
		.kinds = (uintptr_t)kinds,
		.kinds_capacity = ARRAY_SIZE(kinds),
		.kinds_stride = sizeof(kinds[0]),
	};
	struct world world;

	world_make(&world, &(struct setup){ .memory = 7 * MIB });
	CHECK_ERR(infini_vdev_info(world.client, &info), 0);
	CHECK_EQ(info.id, world.vdev);
	CHECK_EQ(info.device_id, world.device_id);
	CHECK_EQ(info.device_class, INFINI_CLASS_CPU);
	CHECK_EQ(info.device_online, 1);
	CHECK_EQ(info.weight, 100);
	CHECK_EQ(info.quantum_ns, 2000000);
	CHECK_EQ(info.memory_limit_bytes, 7 * MIB);
	CHECK_EQ(info.vdev_class, INFINI_VDEV_CLASS_NORMAL);
	CHECK_EQ(info.cap_ppm, 1000000);
	CHECK_EQ(info.floor_ppm, 0);
	CHECK_EQ(info.tokens_per_s, 0);
	CHECK_EQ(info.token_burst, 0);
	CHECK_EQ(info.memory_used_bytes, 0);
	CHECK_EQ(info.nr_kinds, WORLD_KINDS);
	CHECK(!strcmp((char *)info.name, world.vdev_name));
	CHECK(!strcmp((char *)info.device_name, world.device_name));
	CHECK(!strcmp((char *)info.backend, "null"));
	CHECK(!strcmp((char *)info.description, "a device that is a test"));
	CHECK(!strcmp((char *)kinds[WORLD_KIND_HELD].name, "Held"));
	CHECK_EQ(kinds[WORLD_KIND_HELD].alignment, 256);
	CHECK_EQ(kinds[WORLD_KIND_SMALL].max_bytes, 65536);
	CHECK_EQ(kinds[WORLD_KIND_SMALL].flags, INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_WEIGHTS);
	CHECK_EQ(kinds[WORLD_KINDS].alignment, 0);
	/* Room for one kind, of a program that knows its name only. */
	memset(kinds, 0, sizeof(kinds));
	info.kinds_capacity = 1;
	info.kinds_stride = INFINI_NAME_MAX;
	CHECK_ERR(infini_vdev_info(world.client, &info), 0);
	CHECK(!strcmp((char *)kinds[0].name, "CPU"));
	CHECK_EQ(kinds[0].alignment, 0);
}

static void info_contract(void)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	const struct infini_vdev_info valid = {
		.size = sizeof(valid),
		.kinds = (uintptr_t)kinds,
		.kinds_capacity = WORLD_KINDS,
		.kinds_stride = sizeof(kinds[0]),
	};
	const struct command command = {
		"VDEV_INFO", INFINI_IOC_VDEV_INFO, &valid, sizeof(valid),
		offsetofend(struct infini_vdev_info, kinds_stride), 0, NULL
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_vdev_info, kinds, 8, -EFAULT),
		WRONG(infini_vdev_info, kinds_stride, 0, -EINVAL),
	};
	struct world world;

	world_make(&world, &(struct setup){ 0 });
	test_command(world.client, &command);
	test_wrong_fields(world.client, &command, wrong, ARRAY_SIZE(wrong));
}

/* A program built before classes and caps knows the struct up to the description. */
static void info_older(void)
{
	const size_t old_bytes = offsetofend(struct infini_vdev_info, description);
	struct infini_vdev_info *info = test_before_hole(old_bytes);
	struct world world;

	world_make(&world, &(struct setup){ .memory = 7 * MIB });
	memset(info, 0, old_bytes);
	info->size = old_bytes;
	CHECK_ERR(test_ioctl(world.client, INFINI_IOC_VDEV_INFO, info), 0);
	CHECK_EQ(info->weight, 100);
	CHECK_EQ(info->memory_limit_bytes, 7 * MIB);
	CHECK(!strcmp((char *)info->description, "a device that is a test"));
}

static void stats_contract(void)
{
	uint64_t hist[INFINI_HIST_BUCKETS];
	const struct infini_vdev_stats valid = {
		.size = sizeof(valid),
		.queue_wait_hist = (uintptr_t)hist,
	};
	const struct command command = {
		"VDEV_STATS", INFINI_IOC_VDEV_STATS, &valid, sizeof(valid),
		offsetofend(struct infini_vdev_stats, queue_wait_hist), 0, NULL
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_vdev_stats, queue_wait_hist, 8, -EFAULT),
	};
	struct world world;

	world_make(&world, &(struct setup){ 0 });
	test_command(world.client, &command);
	test_wrong_fields(world.client, &command, wrong, ARRAY_SIZE(wrong));
}

/* What is counted once three jobs went through, one of them failed. */
static void stats_count(void)
{
	uint64_t hist[INFINI_HIST_BUCKETS], waits = 0;
	struct infini_vdev_stats stats = { .queue_wait_hist = (uintptr_t)hist };
	struct infini_job job = job_nop();
	struct world world;
	uint32_t queue, a, b, i;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	a = buffer_make(world.client, INFINI_BUFFER_SHARED, 0, 8192);
	b = buffer_make(world.client, INFINI_BUFFER_DEVICE, WORLD_KIND_UNIFIED, 8192);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	job = job_copy(b, 0, a, 0, 1000);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	job = job_copy(a, 0, b, 0, 300);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	job = job_program(program_make(world.client, 0, 2, 0));
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	world.fake->status = -EIO;
	job = job_nop();
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), -EIO);
	CHECK_ERR(infini_vdev_stats(world.client, &stats), 0);
	for (i = 0; i < INFINI_HIST_BUCKETS; i++)
		waits += hist[i];
	CHECK_EQ(stats.jobs_submitted, 5);
	CHECK_EQ(stats.jobs_completed, 4);
	CHECK_EQ(stats.jobs_failed, 1);
	CHECK_EQ(stats.jobs_timed_out, 0);
	CHECK_EQ(stats.dispatches, 5);
	CHECK_EQ(waits, 5);
	CHECK_EQ(stats.preemptions, 0);
	CHECK_EQ(stats.bytes_in, 1000);
	CHECK_EQ(stats.bytes_out, 300);
	CHECK_EQ(stats.tokens_evaluated, 3);
	CHECK_EQ(stats.tokens_generated, 1);
	CHECK_EQ(stats.clients, 1);
	CHECK_EQ(stats.queues, 1);
	CHECK_EQ(stats.buffers, 2);
	CHECK_EQ(stats.programs, 1);
	CHECK_EQ(stats.executor_generation, 1);
	CHECK_EQ(stats.throttles, 0);
	CHECK_EQ(stats.throttled_ns, 0);
	CHECK(stats.occupancy_ns && stats.slices && stats.slices <= 5);
	CHECK(stats.runnable_ns >= stats.occupancy_ns);
	CHECK(stats.memory_used_bytes >= 16384);
	CHECK(stats.memory_peak_bytes >= stats.memory_used_bytes);
}

/* Jobs of another client of the vdev count for the vdev, not for the reader. */
static void two_clients(void)
{
	struct infini_vdev_stats stats;
	struct infini_job job = job_nop();
	struct world world;
	uint32_t queue;
	uint64_t ended;
	int other;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	other = world_client(&world);
	queue = queue_make(other, 4);
	CHECK_ERR(submit_wait(other, queue, &job, NULL), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.clients, 2);
	CHECK_EQ(stats.jobs_completed, 1);
	CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, queue), -ENOENT);
	CHECK_EQ(fcntl(world.client, F_SETFL, O_NONBLOCK), 0);
	CHECK_EQ(read(world.client, &ended, sizeof(ended)), -1);
	CHECK_EQ(errno, EAGAIN);
	close(other);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.clients, 1);
	CHECK_EQ(stats.queues, 0);
}

static const struct test tests[] = {
	{ "VDEV_OPEN: sizes, flags and fields", open_contract },
	{ "by name, by id, by node", ways_in },
	{ "VDEV_INFO describes vdev, device and memory", info },
	{ "VDEV_INFO: sizes, flags and fields", info_contract },
	{ "VDEV_INFO for an older program", info_older },
	{ "VDEV_STATS: sizes, flags and fields", stats_contract },
	{ "VDEV_STATS counts jobs, tokens, bytes and memory", stats_count },
	{ "two clients of a vdev", two_clients },
};

TEST_MAIN(tests)
