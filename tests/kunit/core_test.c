// SPDX-License-Identifier: GPL-2.0-only
/* The pure parts: the life of a job, the histogram, the tree. */
#include <kunit/test.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include "core/hist.h"
#include "core/job.h"
#include "core/tree.h"

#define NO	(-EINVAL)

/* Columns: submit dispatch preempt complete cancel expire lost recycle. */
static const int job_table[INFINI_JOB_NR_STATES][INFINI_JOB_NR_EVENTS] = {
	[INFINI_JOB_IDLE] = { INFINI_JOB_QUEUED, NO, NO, NO, NO, NO, NO, NO },
	[INFINI_JOB_QUEUED] = { NO, INFINI_JOB_DISPATCHED, NO, NO, INFINI_JOB_DONE,
				INFINI_JOB_DONE, NO, NO },
	[INFINI_JOB_DISPATCHED] = { NO, NO, INFINI_JOB_QUEUED, INFINI_JOB_DONE, INFINI_JOB_DOOMED,
				    INFINI_JOB_DOOMED, INFINI_JOB_DONE, NO },
	[INFINI_JOB_DOOMED] = { NO, NO, INFINI_JOB_DONE, INFINI_JOB_DONE, INFINI_JOB_DOOMED,
				INFINI_JOB_DOOMED, INFINI_JOB_DONE, NO },
	[INFINI_JOB_DONE] = { NO, NO, NO, NO, NO, NO, NO, INFINI_JOB_IDLE },
};

static void job_machine(struct kunit *test)
{
	u32 state, event;

	for (state = 0; state < INFINI_JOB_NR_STATES; state++)
		for (event = 0; event < INFINI_JOB_NR_EVENTS; event++)
			KUNIT_EXPECT_EQ_MSG(test, infini_job_next(state, event),
					    job_table[state][event], "state %u event %u", state,
					    event);
	KUNIT_EXPECT_EQ(test, infini_job_next(INFINI_JOB_NR_STATES, 0), -EINVAL);
	KUNIT_EXPECT_EQ(test, infini_job_next(0, INFINI_JOB_NR_EVENTS), -EINVAL);
}

static void hist_buckets(struct kunit *test)
{
	static const struct {
		u64 ns;
		u32 bucket;
	} rows[] = {
		{ 0, 0 }, { 1, 0 }, { 2, 4 }, { 3, 6 }, { 4, 8 }, { 5, 9 }, { 7, 11 }, { 8, 12 },
		{ 1023, 39 }, { 1024, 40 }, { 1279, 40 }, { 1280, 41 },
		{ (1ull << 40) - 1, INFINI_HIST_BUCKETS - 1 },
		{ 1ull << 40, INFINI_HIST_BUCKETS - 1 }, { U64_MAX, INFINI_HIST_BUCKETS - 1 },
	};
	u32 i, last = 0;
	u64 ns;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		KUNIT_EXPECT_EQ_MSG(test, infini_hist_bucket(rows[i].ns), rows[i].bucket,
				    "%llu ns", rows[i].ns);
	for (ns = 1; ns < 1ull << 42; ns += ns / 8 + 1) {
		KUNIT_EXPECT_GE(test, infini_hist_bucket(ns), last);
		last = infini_hist_bucket(ns);
	}
}

#define TREE_NODES	300

struct tree_state {
	struct infini_tree tree;
	struct infini_tree_node nodes[TREE_NODES];
	bool in[TREE_NODES];
};

/* What the tree should answer, by looking at everything. */
static struct infini_tree_node *tree_slow_first_upto(struct tree_state *state, s64 limit)
{
	struct infini_tree_node *node;

	for (node = infini_tree_first(&state->tree); node; node = infini_tree_next(node))
		if (node->value <= limit)
			return node;
	return NULL;
}

static void tree_check(struct kunit *test, struct tree_state *state)
{
	struct infini_tree_node *node, *least = NULL;
	s64 limit;
	u32 nr = 0;

	for (node = infini_tree_first(&state->tree); node; node = infini_tree_next(node)) {
		if (infini_tree_next(node))
			KUNIT_EXPECT_LE(test, node->key, infini_tree_next(node)->key);
		if (!least || node->value < least->value)
			least = node;
		nr++;
	}
	KUNIT_EXPECT_EQ(test, nr, state->tree.nr);
	KUNIT_EXPECT_PTR_EQ(test, infini_tree_least(&state->tree), least);
	for (limit = -10; limit < 1100; limit += 97)
		KUNIT_EXPECT_PTR_EQ(test, infini_tree_first_upto(&state->tree, limit),
				    tree_slow_first_upto(state, limit));
}

static void tree_random(struct kunit *test)
{
	struct tree_state *state = kunit_kzalloc(test, sizeof(*state), GFP_KERNEL);
	struct rnd_state rnd;
	u32 i, step;

	KUNIT_ASSERT_NOT_NULL(test, state);
	prandom_seed_state(&rnd, 1);
	infini_tree_init(&state->tree);
	for (step = 0; step < 5000; step++) {
		i = prandom_u32_state(&rnd) % TREE_NODES;
		if (state->in[i])
			infini_tree_remove(&state->tree, &state->nodes[i]);
		else
			infini_tree_insert(&state->tree, &state->nodes[i],
					   prandom_u32_state(&rnd) % 1000,
					   prandom_u32_state(&rnd) % 1000);
		state->in[i] = !state->in[i];
		if (step % 50 == 0)
			tree_check(test, state);
	}
}

/* Virtual times wrap; order holds over the wrap. */
static void tree_wraps(struct kunit *test)
{
	struct infini_tree_node nodes[10] = {}, *node;
	struct infini_tree tree;
	int i;

	infini_tree_init(&tree);
	for (i = 9; i >= 0; i--)
		infini_tree_insert(&tree, &nodes[i], (s64)((u64)S64_MAX - 4 + i), i);
	node = infini_tree_first(&tree);
	for (i = 0; i < 10; i++, node = infini_tree_next(node))
		KUNIT_EXPECT_PTR_EQ(test, node, &nodes[i]);
	KUNIT_EXPECT_NULL(test, node);
}

static struct kunit_case core_cases[] = {
	KUNIT_CASE(job_machine),
	KUNIT_CASE(hist_buckets),
	KUNIT_CASE(tree_random),
	KUNIT_CASE(tree_wraps),
	{}
};

static struct kunit_suite core_suite = {
	.name = "infini_core",
	.test_cases = core_cases,
};
kunit_test_suite(core_suite);
