/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What each ggml operation demands of its tensors so that ggml neither aborts nor leaves memory.
 */
#ifndef INFINI_DAEMON_GGML_RULES_H
#define INFINI_DAEMON_GGML_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ggml.h>

/**
 * struct infini_ggml_rule - one operation
 * @need: bit i is set when src[i] must be there
 * @may: bit i is set when src[i] may be there besides
 * @empty: bit i is set when src[i] may have no elements; @check must not divide by its dimensions
 * @writes: bit i is set when src[i] is changed besides the result
 * @check: NULL when sound, else the reason in words; strides, ranges and sources that @need asks
 *	for have been checked before
 *
 * The conditions are those of ggml 0.27's constructors (ggml.c) and of the CPU kernels, which
 * abort on what they do not take. Other devices are asked with supports_op besides.
 */
struct infini_ggml_rule {
	uint16_t need;
	uint16_t may;
	const char *(*check)(const struct ggml_tensor *t);
	uint16_t empty;
	uint16_t writes;
};

/* NULL for an operation that this backend does not run. */
const struct infini_ggml_rule *infini_ggml_rule_get(enum ggml_op op);

/* @t, of an operation that this backend runs, changes its source i. */
static inline bool infini_ggml_rule_writes(const struct ggml_tensor *t, int i)
{
	return infini_ggml_rule_get(t->op)->writes & (1 << i);
}

enum infini_ggml_content {
	INFINI_GGML_CONTENT_FREE	= 0,	/* any bytes will do */
	INFINI_GGML_CONTENT_INDEX	= 1,	/* integers in 0..limit-1 */
	INFINI_GGML_CONTENT_ORDERED	= 2,	/* floats without NaN: std::sort needs an order */
};

/* A source whose contents decide which memory the operation touches. */
struct infini_ggml_demand {
	enum infini_ggml_content content;
	int src;
	int64_t limit;
};

struct infini_ggml_demand infini_ggml_rule_demand(const struct ggml_tensor *t);

/* Bytes behind src[i]->data that the operation may read: some read past the last element. */
size_t infini_ggml_rule_reach(const struct ggml_tensor *t, int i);

/* ---- predicates that the rules are made of ---- */

/* The elements of a row are adjacent. */
static inline bool infini_ggml_rows(const struct ggml_tensor *t)
{
	return t->nb[0] == ggml_type_size(t->type);
}

/* Rows 0..nrows-1 stand nb[1] apart, whatever dimension they are in. */
static inline bool infini_ggml_flat(const struct ggml_tensor *t)
{
	return infini_ggml_rows(t) && ggml_is_contiguous_1(t);
}

/* No gaps, but dimensions of one element may have any stride. */
static inline bool infini_ggml_contiguous(const struct ggml_tensor *t)
{
	return infini_ggml_rows(t) && ggml_is_contiguous(t);
}

/* Exactly the strides of a new tensor. */
static inline bool infini_ggml_packed(const struct ggml_tensor *t)
{
	return infini_ggml_rows(t) && t->nb[1] == ggml_row_size(t->type, t->ne[0]) &&
	       t->nb[2] == t->nb[1] * t->ne[1] && t->nb[3] == t->nb[2] * t->ne[2];
}

static inline bool infini_ggml_rising(const struct ggml_tensor *t)
{
	return t->nb[0] <= t->nb[1] && t->nb[1] <= t->nb[2] && t->nb[2] <= t->nb[3];
}

static inline bool infini_ggml_shape(const struct ggml_tensor *t, int64_t ne0, int64_t ne1,
				     int64_t ne2, int64_t ne3)
{
	return t->ne[0] == ne0 && t->ne[1] == ne1 && t->ne[2] == ne2 && t->ne[3] == ne3;
}

static inline bool infini_ggml_f32(const struct ggml_tensor *t)
{
	return t->type == GGML_TYPE_F32;
}

static inline bool infini_ggml_small_float(const struct ggml_tensor *t)
{
	return t->type == GGML_TYPE_F16 || t->type == GGML_TYPE_BF16;
}

static inline bool infini_ggml_plain_float(const struct ggml_tensor *t)
{
	return infini_ggml_f32(t) || infini_ggml_small_float(t);
}

/* The CPU backend can multiply with it and take rows out of it. */
bool infini_ggml_is_matrix_type(enum ggml_type type);
/* The CPU backend can write it from floats. */
bool infini_ggml_is_writable_type(enum ggml_type type);

/* Refuse unless @cond holds. */
#define INFINI_GGML_DEMAND(cond, reason)	\
	do {					\
		if (!(cond))			\
			return reason;		\
	} while (0)

/* The tables of rules, one per file. */
const struct infini_ggml_rule *infini_ggml_rule_basic(enum ggml_op op);
const struct infini_ggml_rule *infini_ggml_rule_network(enum ggml_op op);
const struct infini_ggml_rule *infini_ggml_rule_image(enum ggml_op op);
const struct infini_ggml_rule *infini_ggml_rule_state(enum ggml_op op);
const struct infini_ggml_rule *infini_ggml_rule_train(enum ggml_op op);

#endif /* INFINI_DAEMON_GGML_RULES_H */
