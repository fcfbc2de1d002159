// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a job costs the scheduler, for callgrind to count: its queue becomes ready, its vdev and
 * queue are picked, it is charged and its slot given back, while all other queues wait, or none
 * does. Started and read by tests/core/cost and tests/bench/dispatch.py.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <valgrind/callgrind.h>

#include "sched.h"

#define JOBS	2000u

struct bench {
	struct infini_sched sched;
	struct infini_sched_vdev *vdevs;
	struct infini_sched_queue *queues;
	u32 nr_vdevs;
	u32 nr_queues;		/* of each */
	u64 now_ns;
	u64 random;
};

static u64 draw(struct bench *b, u64 below)
{
	b->random = b->random * 6364136223846793005ull + 1442695040888963407ull;
	return (b->random >> 33) % below;
}

/* Half of the device is promised by floors, and a cap is seldom used up. */
static void limits_set(struct infini_sched_limits *limits, u32 vdevs)
{
	limits->cap_ppm = INFINI_PPM / 2;
	limits->floor_ppm = INFINI_PPM / 2 / vdevs;
	limits->rate = INFINI_RATE_MAX;
}

static void bench_init(struct bench *b, u32 vdevs, u32 queues, bool limited, bool idle)
{
	struct infini_sched_limits limits;
	u32 i;

	*b = (struct bench){ .nr_vdevs = vdevs, .nr_queues = queues, .random = 1 };
	b->vdevs = calloc(vdevs, sizeof(*b->vdevs));
	b->queues = calloc((size_t)vdevs * queues, sizeof(*b->queues));
	assert(b->vdevs && b->queues);
	infini_limits_default(&limits);
	if (limited)
		limits_set(&limits, vdevs);
	infini_sched_init(&b->sched, 1);
	for (i = 0; i < vdevs; i++) {
		limits.weight = 1 + draw(b, 1000);
		infini_sched_vdev_init(&b->sched, &b->vdevs[i], &limits);
		infini_sched_vdev_online(&b->sched, &b->vdevs[i], true, 0);
	}
	for (i = 0; i < vdevs * queues; i++)
		infini_sched_queue_init(&b->queues[i], 1 + draw(b, 1000));
	for (i = 0; i < (idle ? 1 : vdevs * queues); i++)
		infini_sched_queue_ready(&b->sched, &b->vdevs[i / queues], &b->queues[i], true, 0);
	/* So that they stand apart in their trees, as they do after a while. */
	for (i = 0; i < vdevs * queues; i++)
		infini_sched_queue_charge(&b->vdevs[i / queues], &b->queues[i],
					  draw(b, INFINI_QUANTUM_DEFAULT_NS));
}

/* The calls that the module makes for a job. */
static void bench_job(struct bench *b, u64 job_ns)
{
	struct infini_sched_vdev *v = infini_sched_pick(&b->sched, b->now_ns);
	struct infini_sched_queue *q = infini_sched_queue_pick(v);

	infini_sched_begin(&b->sched, v, b->now_ns);
	infini_sched_queue_ready(&b->sched, v, q, false, b->now_ns);
	while (infini_sched_preempt(&b->sched, b->now_ns))
		;
	infini_sched_next_event(&b->sched, b->now_ns);
	b->now_ns += job_ns;
	infini_sched_charge(&b->sched, v, b->now_ns);
	infini_sched_queue_charge(v, q, job_ns);
	infini_sched_tokens(&b->sched, v, 1, b->now_ns);
	infini_sched_put(&b->sched, v, b->now_ns);
	infini_sched_queue_ready(&b->sched, v, q, true, b->now_ns);
}

static void bench_jobs(struct bench *b)
{
	u32 i;

	for (i = 0; i < JOBS; i++)
		bench_job(b, 10000 + draw(b, 2000000));
}

/* Arguments: vdevs, queues of each, 1 for caps, floors and rates; "idle": only one queue has jobs. */
int main(int argc, char **argv)
{
	struct bench b;

	if (argc != 4 && (argc != 5 || strcmp(argv[4], "idle"))) {
		fprintf(stderr, "usage: bench VDEVS QUEUES LIMITS [idle]\n");
		return 2;
	}
	bench_init(&b, strtoul(argv[1], NULL, 10), strtoul(argv[2], NULL, 10),
		   strtoul(argv[3], NULL, 10), argc == 5);
	bench_jobs(&b);
	CALLGRIND_START_INSTRUMENTATION;
	bench_jobs(&b);
	CALLGRIND_DUMP_STATS;
	CALLGRIND_STOP_INSTRUMENTATION;
	printf("%u\n", JOBS);
	free(b.vdevs);
	free(b.queues);
	return 0;
}
