// SPDX-License-Identifier: GPL-2.0-or-later
/* poll(), read() and eventfd: hearing that jobs ended. */
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

static int polled(int fd, int ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, ms) > 0 ? poll_fd.revents : 0;
}

static void read_counts(void)
{
	struct infini_job job = job_nop();
	struct world world;
	uint64_t ended = 0;
	uint32_t queue;
	char few[4];
	int i;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 8);
	CHECK_EQ(polled(world.client, 0), 0);
	for (i = 0; i < 5; i++)
		CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	CHECK_EQ(polled(world.client, 10000), POLLIN);
	CHECK_EQ(read(world.client, few, sizeof(few)), -1);
	CHECK_EQ(errno, EINVAL);
	AWAIT((read(world.client, &ended, sizeof(ended)), i -= ended, i == 0));
	CHECK_EQ(polled(world.client, 0), 0);
	CHECK_EQ(fcntl(world.client, F_SETFL, O_NONBLOCK), 0);
	CHECK_EQ(read(world.client, &ended, sizeof(ended)), -1);
	CHECK_EQ(errno, EAGAIN);
}

static void read_blocks(void)
{
	struct infini_job job = job_program(0);
	struct world world;
	uint64_t ended = 0;
	uint32_t queue;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 8);
	job.program = program_make(world.client, 0, 1, 50000000);
	submit_one(world.client, queue, &job);
	CHECK_EQ(read(world.client, &ended, sizeof(ended)), sizeof(ended));
	CHECK_EQ(ended, 1);
}

static void bad_buffer(void)
{
	struct infini_job job = job_nop();
	struct world world;
	uint32_t queue;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 8);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	CHECK_EQ(polled(world.client, 10000), POLLIN);
	CHECK_EQ(read(world.client, test_before_hole(0), 8), -1);
	CHECK_EQ(errno, EFAULT);
}

/* A signal for every job, of the queue that asked for it only. */
static void eventfd_counts(void)
{
	struct infini_queue_create create = { .flags = INFINI_QUEUE_F_EVENTFD, .depth = 8 };
	struct infini_job job = job_nop();
	uint64_t count, sum = 0;
	struct world world;
	uint32_t other;
	int i;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	create.eventfd = eventfd(0, EFD_NONBLOCK);
	CHECK_ERR(infini_queue_create(world.client, &create), 0);
	other = queue_make(world.client, 8);
	for (i = 0; i < 7; i++) {
		CHECK_ERR(submit_wait(world.client, create.handle, &job, NULL), 0);
		CHECK_ERR(submit_wait(world.client, other, &job, NULL), 0);
	}
	AWAIT((sum += read(create.eventfd, &count, 8) == 8 ? count : 0, sum >= 7));
	CHECK_EQ(sum, 7);
	/* It outlives its queue, and its queue outlives it. */
	CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, create.handle), 0);
	CHECK_EQ(read(create.eventfd, &count, 8), -1);
	CHECK_ERR(infini_queue_create(world.client, &create), 0);
	close(create.eventfd);
	CHECK_ERR(submit_wait(world.client, create.handle, &job, NULL), 0);
}

static void cancelled_jobs_are_heard(void)
{
	struct infini_queue_create create = { .flags = INFINI_QUEUE_F_EVENTFD, .depth = 8 };
	struct infini_job job = job_nop();
	uint64_t count = 0, ended = 0;
	struct world world;
	int i;

	world_make(&world, &(struct setup){ 0 });
	create.eventfd = eventfd(0, EFD_NONBLOCK);
	CHECK_ERR(infini_queue_create(world.client, &create), 0);
	for (i = 0; i < 3; i++)
		submit_one(world.client, create.handle, &job);
	CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, create.handle), 0);
	CHECK_EQ(read(create.eventfd, &count, 8), 8);
	CHECK_EQ(count, 3);
	CHECK_EQ(read(world.client, &ended, 8), 8);
	CHECK_EQ(ended, 3);
}

/* A vdev that is gone: poll says so, read ends with ENODEV. */
static void hung_up(void)
{
	struct world world;
	uint64_t ended;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	CHECK_ERR(genl_vdev_delete(world_genl(), world.vdev, true), 0);
	CHECK_EQ(polled(world.client, 10000), POLLERR | POLLHUP);
	CHECK_EQ(read(world.client, &ended, sizeof(ended)), -1);
	CHECK_EQ(errno, ENODEV);
}

static const struct test tests[] = {
	{ "poll and read count ended jobs", read_counts },
	{ "read waits for a job", read_blocks },
	{ "a buffer that cannot be written", bad_buffer },
	{ "an eventfd is signalled once a job", eventfd_counts },
	{ "cancelled jobs are heard of too", cancelled_jobs_are_heard },
	{ "a deleted vdev hangs up", hung_up },
};

TEST_MAIN(tests)
