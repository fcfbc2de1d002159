// SPDX-License-Identifier: GPL-2.0-or-later
/* What a client's fdinfo and the debugfs dump say. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "infini.h"
#include "world.h"

static char text[65536];

static void read_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got, used = 0;

	if (fd < 0)
		test_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
	while ((got = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += got;
	CHECK_EQ(got, 0);
	text[used] = 0;
	close(fd);
}

static const char *field(const char *key)
{
	const char *at = strstr(text, key);

	if (!at)
		test_fail(__FILE__, __LINE__, "no %s in\n%s", key, text);
	at += strlen(key);
	return at + strspn(at, ":\t ");
}

static void fdinfo(void)
{
	struct infini_vdev_stats stats;
	struct infini_job job;
	struct world world;
	char path[64];
	uint32_t queue;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS, .memory = 8 * MIB });
	queue = queue_make(world.client, 2);
	buffer_make(world.client, INFINI_BUFFER_SHARED, 0, MIB);
	job = job_program(program_make(world.client, 0, 1, 0));
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	stats_get(world.client, &stats);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", world.client);
	read_file(path);
	CHECK(!strncmp(field("infini-vdev"), "testvdev\n", 9));
	CHECK(!strncmp(field("infini-device"), "testdev\n", 8));
	CHECK(atoi(field("infini-client-id")) > 0);
	CHECK_EQ(atoi(field("infini-client-queues")), 1);
	CHECK_EQ(atoi(field("infini-client-buffers")), 1);
	CHECK_EQ(atoll(field("infini-memory-total")), 8 * MIB >> 10);
	CHECK_EQ(atoll(field("infini-memory-used")), (long long)stats.memory_used_bytes >> 10);
	CHECK_EQ(atoi(field("infini-jobs")), 1);
	CHECK_EQ(atoi(field("infini-tokens-evaluated")), 3);
	CHECK_EQ(atoi(field("infini-tokens-generated")), 1);
	CHECK_EQ(atoi(field("infini-tokens-prompt")), 2);
	CHECK_EQ(atoi(field("infini-tokens-scored")), 0);
	CHECK_EQ(atoi(field("infini-tokens-embedded")), 0);
	CHECK(atoll(field("infini-occupancy")) > 0);
	CHECK(!strncmp(field("infini-class"), "normal\n", 7));
	CHECK_EQ(atoi(field("infini-weight")), 100);
	CHECK_EQ(atoi(field("infini-cap")), 1000000);
	CHECK_EQ(atoi(field("infini-floor")), 0);
	CHECK_EQ(atoi(field("infini-token-rate")), 0);
	CHECK_EQ(atoi(field("infini-token-burst")), 0);
	CHECK_EQ(atoi(field("infini-throttled")), 0);
	CHECK_EQ(atoi(field("infini-throttles")), 0);
}

static void debugfs(void)
{
	struct infini_job job = job_nop();
	struct world world;
	struct stat stat_buf;
	uint32_t queue;

	test_need_root();
	if (access("/sys/kernel/debug/infini/jobs", F_OK))
		test_skip("debugfs is not mounted");
	CHECK_EQ(stat("/sys/kernel/debug/infini/jobs", &stat_buf), 0);
	CHECK_EQ(stat_buf.st_mode & 0777, 0400);
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	world.fake->hold = world.fake->deaf = 1;
	submit_one(world.client, queue, &job);
	submit_one(world.client, queue, &job);
	AWAIT(world.fake->held);
	read_file("/sys/kernel/debug/infini/jobs");
	CHECK(strstr(text, "\"testvdev\" on device"));
	CHECK(strstr(text, "class normal weight 100 cap 1000000 floor 0 rate 0 burst 0"));
	CHECK(strstr(text, "throttled 0 times for 0 us\n"));
	CHECK(strstr(text, "submitted 2 completed 0 held 1"));
	CHECK(strstr(text, "job 1: op 0 dispatched"));
	CHECK(strstr(text, "job 2: op 0 queued"));
	CHECK(strstr(text, "serving has a slot"));
	world.fake->hold = 0;
	CHECK_ERR(wait_for(world.client, queue, 2, INFINI_FOREVER, NULL), 0);
	read_file("/sys/kernel/debug/infini/jobs");
	CHECK(strstr(text, "submitted 2 completed 2 held 0"));
	CHECK(!strstr(text, "job 1"));
}

static const struct test tests[] = {
	{ "fdinfo of a client", fdinfo },
	{ "debugfs shows what is stuck", debugfs },
};

TEST_MAIN(tests)
