// SPDX-License-Identifier: GPL-2.0-or-later
/* A thousand to a million queues, and vdevs: cost grows with the logarithm, nobody is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "sim.h"

static u64 now_real_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * SIM_SECOND + now.tv_nsec;
}

/* 1.45 * log2(nr), the bound of the tree's height, in integers and rounded up. */
static u32 height_max(u32 nr)
{
	return (145 * fls64(nr) + 99) / 100;
}

static void queues_at(u32 nr)
{
	struct infini_sched_queue *queues = calloc(nr, sizeof(*queues));
	u64 start, made, ended, rounds = 2ull * nr, i;
	struct infini_sched_vdev v;
	struct infini_sched s;

	assert_non_null(queues);
	infini_sched_init(&s, 1);
	infini_sched_vdev_init(&v, 100, INFINI_QUANTUM_DEFAULT_NS);
	infini_sched_vdev_online(&s, &v, true, 0);
	start = now_real_ns();
	for (i = 0; i < nr; i++) {
		infini_sched_queue_init(&queues[i], 100);
		infini_sched_queue_ready(&s, &v, &queues[i], true, i);
	}
	assert_true(v.queues.tree.root->height <= height_max(nr));
	made = now_real_ns();
	for (i = 0; i < rounds; i++) {
		struct infini_sched_queue *q = infini_sched_queue_pick(&v);

		infini_sched_queue_charge(&v, q, INFINI_QUANTUM_DEFAULT_NS);
	}
	ended = now_real_ns();
	assert_true(v.queues.tree.root->height <= height_max(nr));
	/* All have had two turns of equal length: none three, none one. */
	for (i = 0; i < nr; i++)
		assert_true(infini_level_lag(&v.queues, &queues[i].se) == 0);
	print_message("# %u queues: %.0f ns to become ready, %.0f ns for a pick and a charge\n",
		      nr, (double)(made - start) / nr, (double)(ended - made) / rounds);
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
	u64 start, ended, rounds = 2ull * nr, now_ns = 0, i;
	struct infini_sched s;

	assert_non_null(vdevs);
	assert_non_null(queues);
	infini_sched_init(&s, 1);
	for (i = 0; i < nr; i++) {
		infini_sched_vdev_init(&vdevs[i], 100, INFINI_QUANTUM_DEFAULT_NS);
		infini_sched_queue_init(&queues[i], 100);
		infini_sched_vdev_online(&s, &vdevs[i], true, 0);
		infini_sched_queue_ready(&s, &vdevs[i], &queues[i], true, 0);
	}
	assert_true(s.level.tree.root->height <= height_max(nr));
	start = now_real_ns();
	for (i = 0; i < rounds; i++) {
		v = infini_sched_pick(&s, now_ns);
		now_ns = infini_sched_next_event(&s, now_ns);
		if (nr > 1)
			assert_ptr_equal(infini_sched_preempt(&s, now_ns), v);
		infini_sched_put(&s, v, now_ns);
	}
	ended = now_real_ns();
	for (i = 0; i < nr; i++)
		assert_int_equal(vdevs[i].slices, 2);
	print_message("# %u vdevs: %.0f ns for a slice: pick, timer, preempt, put\n", nr,
		      (double)(ended - start) / rounds);
	free(queues);
	free(vdevs);
}

static void test_queues(void **state)
{
	(void)state;
	queues_at(1000);
	queues_at(100000);
	queues_at(1000000);
}

static void test_vdevs(void **state)
{
	(void)state;
	vdevs_at(1000);
	vdevs_at(100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ .name = "a thousand to a million queues", .test_func = test_queues },
		{ .name = "a thousand to a hundred thousand vdevs", .test_func = test_vdevs },
	};

	return cmocka_run_group_tests_name("scale", tests, NULL, NULL);
}
