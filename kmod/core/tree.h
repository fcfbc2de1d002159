/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Intrusive height-balanced tree (Adelson-Velsky and Landis, 1962) in which every node also knows
 * the least @value of its subtree. It answers "first in key order whose value is not above a
 * limit" in one descent, which is what a virtual deadline scheduler asks.
 *
 * Keys and values are virtual times: they wrap, and are compared by the sign of their difference,
 * so all that sit in one tree at the same time must lie within S64_MAX of each other. Equal keys
 * stay in the order of their insertion. The height is at most 1.45 * log2(n), every function
 * loops over it, none recurses, none allocates. The caller locks and owns the nodes.
 */
#ifndef INFINI_CORE_TREE_H
#define INFINI_CORE_TREE_H

#include "port.h"

/**
 * struct infini_tree_node - embedded in what the tree holds
 * @parent: NULL at the root
 * @child: left (earlier keys) and right
 * @key: order
 * @value: what infini_tree_first_upto() filters by
 * @min_value: least @value of this node and all below it
 * @height: 1 for a leaf
 */
struct infini_tree_node {
	struct infini_tree_node *parent;
	struct infini_tree_node *child[2];
	s64 key;
	s64 value;
	s64 min_value;
	u32 height;
};

struct infini_tree {
	struct infini_tree_node *root;
	u32 nr;
};

/* Is virtual time @a before @b? Safe over a wrap of either. */
static inline bool infini_vtime_before(s64 a, s64 b)
{
	return (s64)((u64)a - (u64)b) < 0;
}

void infini_tree_init(struct infini_tree *tree);
void infini_tree_insert(struct infini_tree *tree, struct infini_tree_node *node, s64 key,
			s64 value);
void infini_tree_remove(struct infini_tree *tree, struct infini_tree_node *node);

/* The first node in key order with value <= @limit; NULL if there is none. */
struct infini_tree_node *infini_tree_first_upto(const struct infini_tree *tree, s64 limit);

/* The first node in key order among those with the least value; NULL if the tree is empty. */
struct infini_tree_node *infini_tree_least(const struct infini_tree *tree);

/* In key order: the first node, and the one after @node; NULL at the end. */
struct infini_tree_node *infini_tree_first(const struct infini_tree *tree);
struct infini_tree_node *infini_tree_next(const struct infini_tree_node *node);

#endif /* INFINI_CORE_TREE_H */
