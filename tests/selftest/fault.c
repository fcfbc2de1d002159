// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every allocation and every copy inside a system call fails once, by the kernel's fault injection:
 * the first, the second, ... The call says so, and nothing of the attempt remains.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

#define FAULTS_MAX	300

static struct world world;
static int nth_fd;
static uint32_t queue;

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		test_skip("%s: %s", path, strerror(errno));
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Allocations that may sleep are spared unless asked for. */
static void faults_prepare(void)
{
	test_need_root();
	write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/failslab/verbose", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	write_file("/sys/kernel/debug/fail_usercopy/verbose", "0");
	nth_fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		test_skip("/proc/self/fail-nth: %s", strerror(errno));
}

static void arm(int nth)
{
	char text[16];
	int bytes = snprintf(text, sizeof(text), "%d", nth);

	CHECK_EQ(pwrite(nth_fd, text, bytes, 0), bytes);
}

/* Did the failure come to pass? If not it may strike the very calls that ask and disarm. */
static bool disarm(void)
{
	char text[16] = "";
	ssize_t got = pread(nth_fd, text, sizeof(text) - 1, 0);

	while (pwrite(nth_fd, "0", 1, 0) != 1)
		;
	return got > 0 && !atoi(text);
}

/* ---- what is tried; each gives back what it made ---- */

/* The fault may strike the giving back; it strikes once. */
static int give_back(int (*destroy)(int fd, uint32_t handle), uint32_t handle)
{
	int err = destroy(world.client, handle);

	if (err)
		destroy(world.client, handle);
	return err;
}

static int try_query(void)
{
	struct infini_query query = { 0 };

	return infini_query(world.client, &query);
}

static int try_vdev_open(void)
{
	int fd = infini_vdev_open(world.control, NULL, world.vdev);

	return fd < 0 ? fd : close(fd);
}

static int try_node_open(void)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/infini%u", world.vdev);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : close(fd);
}

static int try_register(void)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_device_register reg;
	int err;

	world_device(&reg, kinds, "fault");
	err = infini_device_register(world.control, &reg);
	return err ? err : close(reg.fd);
}

static int try_info(void)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_vdev_info info = {
		.kinds = (uintptr_t)kinds, .kinds_capacity = WORLD_KINDS,
		.kinds_stride = sizeof(kinds[0]),
	};

	return infini_vdev_info(world.client, &info);
}

static int try_stats(void)
{
	uint64_t hist[INFINI_HIST_BUCKETS];
	struct infini_vdev_stats stats = { .queue_wait_hist = (uintptr_t)hist };

	return infini_vdev_stats(world.client, &stats);
}

static int try_queue(void)
{
	struct infini_queue_create create = { .depth = 32 };
	int err = infini_queue_create(world.client, &create);

	return err ? err : give_back(infini_queue_destroy, create.handle);
}

static int try_buffer(uint32_t type, uint32_t kind)
{
	struct infini_buffer_create create = { .type = type, .kind = kind, .bytes = 32768 };
	int err = infini_buffer_create(world.client, &create);

	return err ? err : give_back(infini_buffer_destroy, create.handle);
}

static int try_shared(void)
{
	return try_buffer(INFINI_BUFFER_SHARED, 0);
}

static int try_held(void)
{
	return try_buffer(INFINI_BUFFER_DEVICE, WORLD_KIND_HELD);
}

static int try_program(void)
{
	static const uint8_t data[9000];
	uint32_t handle;
	int err = infini_program_create(world.client, 1, data, sizeof(data), &handle);

	return err ? err : give_back(infini_program_destroy, handle);
}

static int try_submit(void)
{
	static const uint8_t args[9000];
	struct infini_job job = {
		.op = INFINI_OP_ASK, .program_format = INFINI_FORMAT_NULL,
		.args = (uintptr_t)args, .args_bytes = sizeof(args),
	};
	struct infini_submit arg = {
		.flags = INFINI_SUBMIT_F_WAIT, .queue = queue, .nr_jobs = 1,
		.jobs = (uintptr_t)&job, .jobs_stride = sizeof(job),
		.deadline_ns = INFINI_FOREVER,
	};

	return infini_submit(world.client, &arg);
}

static int try_map(void)
{
	struct infini_queue_create create = { .depth = 1 };
	const struct infini_timeline *timeline;
	int err = infini_queue_create(world.client, &create);

	if (err)
		return err;
	err = infini_timeline_map(world.client, create.map_offset, &timeline);
	if (!err)
		infini_unmap(timeline, 4096);
	give_back(infini_queue_destroy, create.handle);
	return err;
}

static int try_vdev_new(void)
{
	uint32_t id;
	int err = genl_vdev_create(world_genl(), "fault", world.device_name, MIB, 0, 0600, &id);

	return err ? err : genl_vdev_delete(world_genl(), id, false);
}

static int try_list(void)
{
	struct genl_list list;

	return genl_vdevs(world_genl(), &list);
}

static const struct {
	const char *name;
	int (*run)(void);
} tries[] = {
	{ "QUERY", try_query },
	{ "VDEV_OPEN", try_vdev_open },
	{ "opening a node", try_node_open },
	{ "DEVICE_REGISTER", try_register },
	{ "VDEV_INFO", try_info },
	{ "VDEV_STATS", try_stats },
	{ "QUEUE_CREATE", try_queue },
	{ "BUFFER_CREATE, shared", try_shared },
	{ "BUFFER_CREATE, the executor's", try_held },
	{ "PROGRAM_CREATE", try_program },
	{ "SUBMIT", try_submit },
	{ "mmap", try_map },
	{ "VDEV_NEW", try_vdev_new },
	{ "VDEV_GET", try_list },
};

static bool expected(int err)
{
	return err == -ENOMEM || err == -EFAULT || err == -ENOBUFS;
}

/* A request whose answer was lost may have been carried out: that vdev is no leftover. */
static void forget_vdev(void)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_VDEV_DEL);
	genl_put_string(&request, INFINI_A_VDEV_NAME, "fault");
	genl_talk(world_genl(), &request, false, NULL, NULL);
}

static bool at_rest(void)
{
	struct infini_vdev_stats stats;

	stats_get(world.client, &stats);
	/* The queue on which memory was asked for stays. */
	return stats.clients == 1 && stats.queues <= 2 && !stats.buffers && !stats.programs;
}

static void every_fault(void)
{
	struct infini_job nop = job_nop();
	int nth, err = 0, failed, waited;
	size_t i;

	faults_prepare();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	world_genl();
	for (i = 0; i < ARRAY_SIZE(tries); i++) {
		for (nth = 1, failed = 0; nth < FAULTS_MAX; nth++) {
			arm(nth);
			err = tries[i].run();
			if (!disarm())
				break;
			if (err && !expected(err))
				test_row_err(tries[i].name, err, -ENOMEM);
			failed += !!err;
			forget_vdev();
		}
		test_row_err(tries[i].name, err, 0);
		test_row(tries[i].name, failed > 0 && nth < FAULTS_MAX, 1);
		/* Creations that could not be answered were given back. */
		for (waited = 0; !at_rest() && waited < 500; waited++)
			test_sleep_ms(10);
		if (!at_rest())
			test_fail(__FILE__, __LINE__, "%s left something", tries[i].name);
		CHECK_ERR(submit_wait(world.client, queue, &nop, NULL), 0);
	}
}

static const struct test tests[] = {
	{ "every allocation and copy fails once", every_fault },
};

TEST_MAIN(tests)
