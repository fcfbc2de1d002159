// SPDX-License-Identifier: GPL-2.0-or-later
/* The tree against a plain array that is searched from end to end, over random insertions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rows.h"
#include "tree.h"

#define NODES	256

struct model {
	struct infini_tree tree;
	struct infini_tree_node node[NODES];
	bool in[NODES];
	u64 inserted[NODES];
	u64 clock;
	u64 random;
};

static u32 draw(struct model *m, u32 below)
{
	m->random = m->random * 6364136223846793005ull + 1442695040888963407ull;
	return (m->random >> 33) % below;
}

/* Depth-first over at most 1.45 * log2(NODES) levels; returns the height. */
static u32 check_shape(const struct infini_tree_node *node, const struct infini_tree_node *parent)
{
	u32 left, right;
	s64 least;
	int i;

	if (!node)
		return 0;
	assert_ptr_equal(node->parent, parent);
	left = check_shape(node->child[0], node);
	right = check_shape(node->child[1], node);
	assert_true(left <= right + 1 && right <= left + 1);
	assert_int_equal(node->height, (left > right ? left : right) + 1);
	least = node->value;
	for (i = 0; i < 2; i++)
		if (node->child[i] && infini_vtime_before(node->child[i]->min_value, least))
			least = node->child[i]->min_value;
	assert_true(node->min_value == least);
	return node->height;
}

static bool model_before(const struct model *m, int a, int b)
{
	if (m->node[a].key != m->node[b].key)
		return infini_vtime_before(m->node[a].key, m->node[b].key);
	return m->inserted[a] < m->inserted[b];
}

static int model_first_upto(const struct model *m, s64 limit)
{
	int i, best = -1;

	for (i = 0; i < NODES; i++) {
		if (!m->in[i] || infini_vtime_before(limit, m->node[i].value))
			continue;
		if (best < 0 || model_before(m, i, best))
			best = i;
	}
	return best;
}

static void check_order(const struct model *m)
{
	const struct infini_tree_node *node, *last = NULL;
	u32 nr = 0;

	for (node = infini_tree_first(&m->tree); node; node = infini_tree_next(node)) {
		if (last)
			assert_true(model_before(m, last - m->node, node - m->node));
		last = node;
		nr++;
	}
	assert_int_equal(nr, m->tree.nr);
}

static void toggle(struct model *m, int i, s64 base, u32 spread)
{
	if (m->in[i]) {
		infini_tree_remove(&m->tree, &m->node[i]);
	} else {
		infini_tree_insert(&m->tree, &m->node[i], (s64)((u64)base + draw(m, spread)),
				   (s64)((u64)base + draw(m, spread)));
		m->inserted[i] = m->clock++;
	}
	m->in[i] = !m->in[i];
}

struct tree_case {
	const char *name;
	s64 base;
	u32 spread;
	u32 nodes;
};

static const struct tree_case tree_cases[] = {
	{ "all keys equal", 0, 1, NODES },
	{ "few keys", -3, 7, NODES },
	{ "many keys", 1000, 1u << 30, NODES },
	{ "over the wrap of virtual time", S64_MAX - 50, 100, NODES },
	{ "hardly any nodes", S64_MAX - 2, 5, 4 },
};

static void test_random(void **state)
{
	const struct tree_case *c = *state;
	static struct model model;
	struct infini_tree_node *got;
	u32 step;

	memset(&model, 0, sizeof(model));
	infini_tree_init(&model.tree);
	assert_null(infini_tree_first(&model.tree));
	assert_null(infini_tree_least(&model.tree));
	for (step = 0; step < 20000; step++) {
		s64 limit = (s64)((u64)c->base + draw(&model, c->spread));
		int want;

		toggle(&model, draw(&model, c->nodes), c->base, c->spread);
		check_shape(model.tree.root, NULL);
		want = model_first_upto(&model, limit);
		got = infini_tree_first_upto(&model.tree, limit);
		assert_ptr_equal(got, want < 0 ? NULL : &model.node[want]);
		if (model.tree.root) {
			want = model_first_upto(&model, model.tree.root->min_value);
			assert_ptr_equal(infini_tree_least(&model.tree), &model.node[want]);
		}
		if (step % 64 == 0)
			check_order(&model);
	}
}

/* Keys in rising order are the worst that a tree without balance can meet. */
static void test_height(void **state)
{
	enum { NR = 1 << 16 };
	struct infini_tree_node *node = calloc(NR, sizeof(*node));
	struct infini_tree tree;
	u32 i;

	(void)state;
	assert_non_null(node);
	infini_tree_init(&tree);
	for (i = 0; i < NR; i++)
		infini_tree_insert(&tree, &node[i], i, NR - i);
	assert_true(tree.root->height <= 24);
	for (i = 0; i < NR; i++) {
		assert_ptr_equal(infini_tree_first(&tree), &node[i]);
		infini_tree_remove(&tree, &node[i]);
	}
	assert_null(tree.root);
	free(node);
}

int main(void)
{
	return ROWS_RUN("tree", tree_cases, test_random, "height of the worst order of keys",
			test_height);
}
