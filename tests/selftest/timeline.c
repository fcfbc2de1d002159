// SPDX-License-Identifier: GPL-2.0-or-later
/* The timeline page: what it shows, who may map it, how long it stays. */
#include <sys/mman.h>
#include <unistd.h>

#include "infini.h"
#include "world.h"

static void shows_jobs(void)
{
	const struct infini_timeline *timeline;
	struct infini_job job;
	struct world world;
	uint32_t queue;
	uint64_t seqno;
	int i;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make_mapped(world.client, 4, &timeline);
	job = job_program(program_make(world.client, 0, 2, 0));
	CHECK_EQ(timeline->completed, 0);
	CHECK_EQ(timeline->submitted, 0);
	for (i = 1; i <= 150; i++) {
		const struct infini_completion *record = &timeline->records[i % 64];

		world.fake->status = i % 10 ? 0 : -EIO;
		seqno = submit_one(world.client, queue, &job);
		CHECK_EQ(seqno, i);
		CHECK_EQ(timeline->submitted, i);
		AWAIT(__atomic_load_n(&timeline->completed, __ATOMIC_ACQUIRE) == seqno);
		CHECK_EQ(record->seqno, seqno);
		CHECK_EQ(record->status, i % 10 ? 0 : -EIO);
		CHECK_EQ(record->value, i % 10 ? 2 : 0);
		CHECK_EQ(record->flags, 0);
	}
	for (i = 0; i < 6; i++)
		CHECK_EQ(timeline->pad[i], 0);
	CHECK(infini_timeline_spin(timeline, 150, 0));
	CHECK(!infini_timeline_spin(timeline, 151, 1000));
}

static int map(int fd, uint64_t offset, size_t bytes, int prot, int flags)
{
	void *at = mmap(NULL, bytes, prot, flags, fd, offset);

	if (at == MAP_FAILED)
		return -errno;
	munmap(at, bytes);
	return 0;
}

static void mapping_rules(void)
{
	struct infini_queue_create create = { .depth = 2 };
	struct world world;
	uint64_t offset;
	void *at;
	int fd;

	world_make(&world, &(struct setup){ 0 });
	fd = world.client;
	CHECK_ERR(infini_queue_create(fd, &create), 0);
	offset = create.map_offset;
	CHECK_ERR(map(fd, offset, 4096, PROT_READ, MAP_SHARED), 0);
	CHECK_ERR(map(fd, offset, 4096, PROT_READ | PROT_WRITE, MAP_SHARED), -EACCES);
	CHECK_ERR(map(fd, offset, 4096, PROT_READ, MAP_PRIVATE), -EINVAL);
	CHECK_ERR(map(fd, offset, 8192, PROT_READ, MAP_SHARED), -EINVAL);
	CHECK_ERR(map(fd, offset + 4096, 4096, PROT_READ, MAP_SHARED), -ENOENT);
	CHECK(map(fd, offset + (1ULL << 32), 4096, PROT_READ, MAP_SHARED) < 0);
	CHECK(map(fd, offset + (1ULL << 43), 4096, PROT_READ, MAP_SHARED) < 0);
	at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, offset);
	CHECK(at != MAP_FAILED);
	CHECK_EQ(mprotect(at, 4096, PROT_READ | PROT_WRITE), -1);
	CHECK_EQ(errno, EACCES);
}

/* A page that is mapped outlives its queue, and the queue's memory stays charged. */
static void outlives_queue(void)
{
	const struct infini_timeline *timeline;
	struct infini_vdev_stats stats;
	struct infini_job job = job_nop();
	struct world world;
	uint32_t queue;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make_mapped(world.client, 4, &timeline);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, queue), 0);
	CHECK_EQ(timeline->completed, 1);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.queues, 1);
	CHECK(stats.memory_used_bytes);
	CHECK_ERR(infini_unmap(timeline, 4096), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.queues, 0);
	CHECK_EQ(stats.memory_used_bytes, 0);
}

static const struct test tests[] = {
	{ "shows submitted, completed and records", shows_jobs },
	{ "who may map it", mapping_rules },
	{ "outlives its queue", outlives_queue },
};

TEST_MAIN(tests)
