// SPDX-License-Identifier: GPL-2.0-only
/* Height-balanced tree of virtual times with the least value of every subtree. */
#include "tree.h"

enum { LEFT, RIGHT };

static u32 tree_height(const struct infini_tree_node *node)
{
	return node ? node->height : 0;
}

/* Recompute what a node knows of its subtree; true if that changed. */
static bool tree_refresh(struct infini_tree_node *node)
{
	u32 old_height = node->height;
	s64 old_min = node->min_value;
	int side;

	node->height = 1 + max_t(u32, tree_height(node->child[LEFT]),
				 tree_height(node->child[RIGHT]));
	node->min_value = node->value;
	for (side = LEFT; side <= RIGHT; side++) {
		const struct infini_tree_node *child = node->child[side];

		if (child && infini_vtime_before(child->min_value, node->min_value))
			node->min_value = child->min_value;
	}
	return node->height != old_height || node->min_value != old_min;
}

/* Put @to where @from hangs. */
static void tree_replace(struct infini_tree *tree, struct infini_tree_node *from,
			 struct infini_tree_node *to)
{
	struct infini_tree_node *parent = from->parent;

	if (!parent)
		tree->root = to;
	else
		parent->child[parent->child[RIGHT] == from] = to;
	if (to)
		to->parent = parent;
}

/* Turn @node down towards @side; its other child takes its place and is returned. */
static struct infini_tree_node *tree_rotate(struct infini_tree *tree,
					    struct infini_tree_node *node, int side)
{
	struct infini_tree_node *up = node->child[!side];
	struct infini_tree_node *inner = up->child[side];

	tree_replace(tree, node, up);
	up->child[side] = node;
	node->parent = up;
	node->child[!side] = inner;
	if (inner)
		inner->parent = node;
	tree_refresh(node);
	tree_refresh(up);
	return up;
}

/* Restore balance and minima from @node up to the root, or to where nothing changes any more. */
static void tree_repair(struct infini_tree *tree, struct infini_tree_node *node)
{
	for (; node; node = node->parent) {
		bool changed = tree_refresh(node);
		struct infini_tree_node *high;
		int side;

		if (tree_height(node->child[LEFT]) > tree_height(node->child[RIGHT]) + 1)
			side = LEFT;
		else if (tree_height(node->child[RIGHT]) > tree_height(node->child[LEFT]) + 1)
			side = RIGHT;
		else if (changed)
			continue;
		else
			return;

		high = node->child[side];
		if (tree_height(high->child[!side]) > tree_height(high->child[side]))
			tree_rotate(tree, high, side);
		node = tree_rotate(tree, node, !side);
	}
}

/**
 * infini_tree_init - make an empty tree
 * @tree: any memory
 */
void infini_tree_init(struct infini_tree *tree)
{
	tree->root = NULL;
	tree->nr = 0;
}

/**
 * infini_tree_insert - add a node behind all of the same key
 * @tree: where
 * @node: in no tree now
 * @key: its place
 * @value: what infini_tree_first_upto() compares
 */
void infini_tree_insert(struct infini_tree *tree, struct infini_tree_node *node, s64 key,
			s64 value)
{
	struct infini_tree_node **link = &tree->root;
	struct infini_tree_node *parent = NULL;

	while (*link) {
		parent = *link;
		link = &parent->child[!infini_vtime_before(key, parent->key)];
	}
	node->parent = parent;
	node->child[LEFT] = NULL;
	node->child[RIGHT] = NULL;
	node->key = key;
	node->value = value;
	node->min_value = value;
	node->height = 1;
	*link = node;
	tree->nr++;
	tree_repair(tree, parent);
}

/**
 * infini_tree_remove - take a node out
 * @tree: where it is
 * @node: in @tree
 */
void infini_tree_remove(struct infini_tree *tree, struct infini_tree_node *node)
{
	struct infini_tree_node *next = NULL;
	struct infini_tree_node *from;

	if (!node->child[LEFT] || !node->child[RIGHT]) {
		from = node->parent;
		tree_replace(tree, node, node->child[!node->child[LEFT]]);
	} else {
		next = infini_tree_next(node);
		from = next->parent == node ? next : next->parent;
		tree_replace(tree, next, next->child[RIGHT]);
		next->child[LEFT] = node->child[LEFT];
		next->child[LEFT]->parent = next;
		next->child[RIGHT] = node->child[RIGHT];
		if (next->child[RIGHT])
			next->child[RIGHT]->parent = next;
		tree_replace(tree, node, next);
		/* What it knew is of its old place: make its refresh count as a change. */
		next->height = 0;
	}
	tree->nr--;
	tree_repair(tree, from);
	/* The way up may have ended below the new place, which still has to be put right. */
	if (next)
		tree_repair(tree, next);
}

/**
 * infini_tree_first_upto - earliest key among small enough values
 * @tree: where
 * @limit: greatest value that counts
 *
 * Return: the node, or NULL if no value is <= @limit.
 */
struct infini_tree_node *infini_tree_first_upto(const struct infini_tree *tree, s64 limit)
{
	struct infini_tree_node *node = tree->root;

	if (!node || infini_vtime_before(limit, node->min_value))
		return NULL;
	for (;;) {
		struct infini_tree_node *left = node->child[LEFT];

		if (left && !infini_vtime_before(limit, left->min_value)) {
			node = left;
			continue;
		}
		if (!infini_vtime_before(limit, node->value))
			return node;
		node = node->child[RIGHT];
	}
}

/**
 * infini_tree_least - earliest key among the least values
 * @tree: where
 *
 * Return: the node, or NULL if the tree is empty.
 */
struct infini_tree_node *infini_tree_least(const struct infini_tree *tree)
{
	return tree->root ? infini_tree_first_upto(tree, tree->root->min_value) : NULL;
}

/**
 * infini_tree_first - the node of the earliest key
 * @tree: where
 *
 * Return: the node, or NULL if the tree is empty.
 */
struct infini_tree_node *infini_tree_first(const struct infini_tree *tree)
{
	struct infini_tree_node *node = tree->root;

	while (node && node->child[LEFT])
		node = node->child[LEFT];
	return node;
}

/**
 * infini_tree_next - the node after another in key order
 * @node: in a tree
 *
 * Return: the node, or NULL if @node is the last.
 */
struct infini_tree_node *infini_tree_next(const struct infini_tree_node *node)
{
	if (node->child[RIGHT]) {
		node = node->child[RIGHT];
		while (node->child[LEFT])
			node = node->child[LEFT];
		return (struct infini_tree_node *)node;
	}
	while (node->parent && node->parent->child[RIGHT] == node)
		node = node->parent;
	return node->parent;
}
