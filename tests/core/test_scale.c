// SPDX-License-Identifier: GPL-2.0-or-later
/* A thousand to a million queues, and vdevs: nobody is left out, nobody else notices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "scenario.h"

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

/* 1.45 * log2(nr), the bound of the tree's height, in integers and rounded up. */
static u32 height_max(u32 nr)
{
	return (145 * fls64(nr) + 99) / 100;
}

static void vdev_init(struct infini_sched *s, struct infini_sched_vdev *v)
{
	struct infini_sched_limits limits;

	infini_limits_default(&limits);
	infini_sched_vdev_init(s, v, &limits);
	infini_sched_vdev_online(s, v, true, 0);
}

/* A round-robin of equals: after two rounds each has had two turns of equal length. */
static void queues_at(u32 nr)
{
	struct infini_sched_queue *queues = calloc(nr, sizeof(*queues));
	struct infini_sched_vdev v;
	struct infini_sched s;
	u32 i;

	assert_non_null(queues);
	infini_sched_init(&s, 1);
	vdev_init(&s, &v);
	for (i = 0; i < nr; i++) {
		infini_sched_queue_init(&queues[i], 100);
		infini_sched_queue_ready(&s, &v, &queues[i], true, i);
	}
	assert_true(v.queues.tree.root->height <= height_max(nr));
	for (i = 0; i < 2 * nr; i++)
		infini_sched_queue_charge(&v, infini_sched_queue_pick(&v),
					  INFINI_QUANTUM_DEFAULT_NS);
	assert_true(v.queues.tree.root->height <= height_max(nr));
	for (i = 0; i < nr; i++)
		assert_true(infini_level_lag(&v.queues, &queues[i].se) == 0);
	for (i = 0; i < nr; i++)
		infini_sched_queue_ready(&s, &v, &queues[i], false, nr);
	assert_null(v.queues.tree.root);
	assert_int_equal(v.queues.load, 0);
	free(queues);
}

static void vdevs_at(u32 nr)
{
	struct infini_sched_vdev *vdevs = calloc(nr, sizeof(*vdevs)), *v;
	struct infini_sched_queue *queues = calloc(nr, sizeof(*queues));
	struct infini_sched s;
	u64 now_ns = 0;
	u32 i;

	assert_non_null(vdevs);
	assert_non_null(queues);
	infini_sched_init(&s, 1);
	for (i = 0; i < nr; i++) {
		vdev_init(&s, &vdevs[i]);
		infini_sched_queue_init(&queues[i], 100);
		infini_sched_queue_ready(&s, &vdevs[i], &queues[i], true, 0);
	}
	assert_true(s.tiers[INFINI_SCHED_NORMAL].level.tree.root->height <= height_max(nr));
	for (i = 0; i < 2 * nr; i++) {
		v = infini_sched_pick(&s, now_ns);
		now_ns = infini_sched_next_event(&s, now_ns);
		assert_ptr_equal(infini_sched_preempt(&s, now_ns), v);
		infini_sched_put(&s, v, now_ns);
	}
	for (i = 0; i < nr; i++)
		assert_int_equal(vdevs[i].slices, 2);
	free(queues);
	free(vdevs);
}

static void test_turns(void **state)
{
	(void)state;
	queues_at(1000);
	queues_at(100000);
	queues_at(1000000);
	vdevs_at(1000);
	vdevs_at(100000);
}

/*
 * A hog and a vdev of equal weight with @queues queues of tiny jobs: the hog has its half, and so
 * has, in proportion, each of the queues.
 */
static void crowd_run(u32 queues, u64 seconds)
{
	static const struct sim_vdev_spec spec = W(100);
	static const struct sim_client_spec hog = BACKLOG(0, 50000, 250);
	static const struct sim_client_spec tiny = { .job_ns = 100 * US };
	double start = seconds_now(), share;
	u64 least = U64_MAX, most = 0;
	struct sim sim;
	u32 i;

	sim_init(&sim, 1, 1);
	sim_client_add(&sim, sim_vdev_add(&sim, &spec), &hog);
	sim_vdev_add(&sim, &spec);
	for (i = 0; i < queues; i++)
		sim_client_add(&sim, sim.vdevs[1], &tiny);
	sim_run(&sim, seconds * SIM_SECOND);
	scenario_assert_sound(&sim);
	for (i = 1; i <= queues; i++) {
		least = min_t(u64, least, sim.clients[i]->done);
		most = max_t(u64, most, sim.clients[i]->done);
	}
	share = (double)sim.vdevs[0]->occupancy_ns / sim.now_ns;
	print_message("#   %u queues: the hog has %.4f %% of %llu s, the queues %llu to %llu jobs "
		      "each, in %.1f s\n", queues, share * 100, (unsigned long long)seconds,
		      (unsigned long long)least, (unsigned long long)most, seconds_now() - start);
	assert_true(share > 0.4999 && share < 0.5001);
	assert_true(most - least <= 1 && least > 0);
	assert_true(sim.vdevs[0]->wait_max_ns <= 2 * INFINI_QUANTUM_DEFAULT_NS + 600 * US);
	sim_free(&sim);
}

static void test_crowd(void **state)
{
	(void)state;
	crowd_run(10, 20);
	crowd_run(10000, 20);
	crowd_run(1000000, 240);
}

/* As many vdevs: each with its part, however small. */
static void test_vdevs(void **state)
{
	enum { VDEVS = 10000 };
	static const struct sim_vdev_spec hog = W(10000), one = W(1);
	static const struct sim_client_spec jobs = { .job_ns = 1 * SIM_MS };
	struct sim sim;
	u32 i;

	(void)state;
	sim_init(&sim, 1, 1);
	sim_client_add(&sim, sim_vdev_add(&sim, &hog), &jobs);
	for (i = 0; i < VDEVS; i++)
		sim_client_add(&sim, sim_vdev_add(&sim, &one), &jobs);
	sim_run(&sim, 400 * SIM_SECOND);
	scenario_assert_sound(&sim);
	assert_true(sim.vdevs[0]->occupancy_ns > 199 * SIM_SECOND);
	assert_true(sim.vdevs[0]->occupancy_ns < 201 * SIM_SECOND);
	for (i = 1; i <= VDEVS; i++)
		assert_true(sim.vdevs[i]->occupancy_ns == 20 * SIM_MS);
	sim_free(&sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ .name = "up to a million queues and vdevs take turns", .test_func = test_turns },
		{ .name = "a hog's share beside ten to a million queues", .test_func = test_crowd },
		{ .name = "a hog's share beside ten thousand vdevs", .test_func = test_vdevs },
	};

	return cmocka_run_group_tests_name("scale", tests, NULL, NULL);
}
