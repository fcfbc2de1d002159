// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rules for matrix products, row selection, attention, positions and sorting.
 */
#include <string.h>

#include "ggml_rules.h"

#define DEMAND INFINI_GGML_DEMAND

/* Rows that MUL_MAT_ID may sort by expert: 8 bytes of scratch each, 2 GiB together. */
#define EXPERT_ROWS_MAX	(1LL << 28)

static bool is_f32(const struct ggml_tensor *t)
{
	return infini_ggml_f32(t);
}

static bool is_rows(const struct ggml_tensor *t)
{
	return infini_ggml_rows(t);
}

/* GGML_PREC_*: the numbers have gaps. */
static bool is_prec(int32_t prec)
{
	return prec == 0 || prec == 10 || prec == 15 || prec == 20 || prec == 30 || prec == 40;
}

static const char *check_factors(const struct ggml_tensor *a, const struct ggml_tensor *b)
{
	DEMAND(infini_ggml_is_matrix_type(a->type), "type of the matrix");
	DEMAND(a->ne[0] == b->ne[0], "row lengths differ");
	DEMAND(is_rows(a) && is_rows(b), "rows have gaps");
	DEMAND(a->nb[0] <= a->nb[1], "matrix is transposed");
	return NULL;
}

static const char *check_mul_mat(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	const char *why = check_factors(a, b);

	if (why)
		return why;
	/* Equal small floats meet vec_dot_type; others are widened to f32, or converted from it. */
	DEMAND(is_f32(b) || (infini_ggml_small_float(b) && (is_f32(a) || b->type == a->type)),
	       "type of the second factor");
	DEMAND(b->ne[2] % a->ne[2] == 0 && b->ne[3] % a->ne[3] == 0, "batches do not match");
	DEMAND(is_f32(t) && infini_ggml_packed(t), "result type or layout");
	DEMAND(infini_ggml_shape(t, a->ne[1], b->ne[1], b->ne[2], b->ne[3]), "shape");
	DEMAND(is_prec(t->op_params[0]) && is_prec(t->op_params[2]) && is_prec(t->op_params[3]),
	       "precision");
	DEMAND(t->op_params[1] == 0 || t->op_params[1] == GGML_HINT_SRC0_IS_HADAMARD, "hint");
	if (t->op_params[1] == GGML_HINT_SRC0_IS_HADAMARD) {
		/* The kernel writes rows as long as those it reads. */
		DEMAND((is_f32(b) || b->type == GGML_TYPE_F16) &&
		       (b->ne[0] & (b->ne[0] - 1)) == 0, "not a Hadamard product");
		DEMAND(a->ne[1] == a->ne[0], "matrix is not square");
	}
	return NULL;
}

static const char *check_mul_mat_id(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1], *ids = t->src[2];
	const char *why = check_factors(a, b);
	int64_t rows;

	if (why)
		return why;
	DEMAND(is_f32(b) || (infini_ggml_small_float(a) && b->type == a->type),
	       "type of the second factor");
	DEMAND(ids->type == GGML_TYPE_I32 && is_rows(ids), "ids must be rows of i32");
	DEMAND(a->ne[3] == 1 && b->ne[3] == 1 && ids->ne[2] == 1 && ids->ne[3] == 1,
	       "too many dimensions");
	DEMAND(ids->ne[1] == b->ne[2], "ids do not match the second factor");
	DEMAND(ids->ne[0] % b->ne[1] == 0, "ids cannot be broadcast");
	DEMAND(is_f32(t) && infini_ggml_packed(t), "result type or layout");
	DEMAND(infini_ggml_shape(t, a->ne[1], ids->ne[0], b->ne[2], 1), "shape");
	DEMAND(is_prec(t->op_params[0]) && t->op_params[1] == 0 && is_prec(t->op_params[2]) &&
	       is_prec(t->op_params[3]), "precision");
	DEMAND(!__builtin_mul_overflow(a->ne[2], ids->ne[0], &rows) &&
	       !__builtin_mul_overflow(rows, ids->ne[1], &rows) && rows <= EXPERT_ROWS_MAX,
	       "more rows than can be sorted by expert");
	return NULL;
}

static const char *check_out_prod(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];

	DEMAND(is_f32(b) && is_f32(t), "type");
	DEMAND(is_f32(a) || ((a->type == GGML_TYPE_F16 || ggml_is_quantized(a->type)) &&
			     infini_ggml_is_matrix_type(a->type) && a->ne[2] == b->ne[2] &&
			     a->ne[3] == b->ne[3]), "type of the matrix");
	DEMAND(a->ne[1] == b->ne[1], "inner dimensions differ");
	DEMAND(b->ne[2] % a->ne[2] == 0 && b->ne[3] % a->ne[3] == 0, "batches do not match");
	DEMAND(infini_ggml_shape(t, a->ne[0], b->ne[0], b->ne[2], b->ne[3]), "shape");
	DEMAND(is_rows(a) && infini_ggml_packed(t), "layout");
	return NULL;
}

static const char *check_get_rows(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];

	DEMAND(infini_ggml_is_matrix_type(a->type) || a->type == GGML_TYPE_I32, "type");
	DEMAND(t->type == (a->type == GGML_TYPE_I32 ? GGML_TYPE_I32 : GGML_TYPE_F32),
	       "result type");
	DEMAND(b->type == GGML_TYPE_I32, "indices must be i32");
	DEMAND(b->ne[3] == 1 && a->ne[2] == b->ne[1] && a->ne[3] == b->ne[2],
	       "indices do not match");
	DEMAND(infini_ggml_shape(t, a->ne[0], b->ne[0], b->ne[1], b->ne[2]), "shape");
	DEMAND(is_rows(a) && is_rows(t), "rows have gaps");
	return NULL;
}

static const char *check_set_rows(const struct ggml_tensor *t)
{
	const struct ggml_tensor *b = t->src[0], *c = t->src[1], *a = t->src[2];

	DEMAND(ggml_are_same_shape(t, a) && ggml_are_same_stride(t, a) && t->type == a->type,
	       "result does not look like the destination");
	DEMAND(infini_ggml_is_writable_type(t->type), "type cannot be written");
	DEMAND(is_f32(b) || b->type == GGML_TYPE_F16, "rows must be f32 or f16");
	DEMAND(c->type == GGML_TYPE_I64 || c->type == GGML_TYPE_I32, "indices must be integers");
	DEMAND(t->ne[0] == b->ne[0] && t->ne[2] == b->ne[2] && t->ne[3] == b->ne[3], "shape");
	/* There may be no rows at all. */
	DEMAND(b->ne[1] == c->ne[0] && c->ne[1] > 0 && b->ne[2] % c->ne[1] == 0 &&
	       c->ne[2] > 0 && b->ne[3] % c->ne[2] == 0 && c->ne[3] == 1,
	       "indices do not match");
	DEMAND(is_rows(b) && is_rows(t), "rows have gaps");
	return NULL;
}

static const char *check_soft_max(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *mask = t->src[1], *sinks = t->src[2];
	float max_bias;

	memcpy(&max_bias, &t->op_params[1], sizeof(max_bias));
	DEMAND(is_f32(a) && is_f32(t), "type");
	DEMAND(ggml_are_same_shape(a, t), "shape differs");
	DEMAND(infini_ggml_contiguous(a) && infini_ggml_contiguous(t), "not contiguous");
	DEMAND(max_bias >= 0 && (max_bias == 0 || mask), "bias without a mask");
	if (mask) {
		DEMAND(is_f32(mask) || mask->type == GGML_TYPE_F16, "mask type");
		DEMAND(infini_ggml_contiguous(mask), "mask is not contiguous");
		DEMAND(mask->ne[0] == a->ne[0] && mask->ne[1] >= a->ne[1] &&
		       a->ne[2] % mask->ne[2] == 0 && a->ne[3] % mask->ne[3] == 0, "mask shape");
	}
	if (sinks)
		DEMAND(is_f32(sinks) && is_rows(sinks) && sinks->ne[0] == a->ne[2], "sinks");
	return NULL;
}

static const char *check_rope_sections(const struct ggml_tensor *t)
{
	int64_t sum = 0;
	int i;

	for (i = 11; i < 15; i++) {
		DEMAND(t->op_params[i] >= 0, "negative section");
		sum += t->op_params[i];
	}
	DEMAND(sum > t->op_params[14] && sum <= t->ne[0], "sections");
	return NULL;
}

static const char *check_rope(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *pos = t->src[1], *freq = t->src[2];
	int32_t dims = t->op_params[1], mode = t->op_params[2], first = t->op_params[15];
	bool sections = mode & GGML_ROPE_TYPE_MROPE;

	DEMAND(mode == GGML_ROPE_TYPE_NORMAL || mode == GGML_ROPE_TYPE_NEOX ||
	       mode == GGML_ROPE_TYPE_MROPE || mode == GGML_ROPE_TYPE_IMROPE ||
	       mode == GGML_ROPE_TYPE_VISION, "no such mode");
	DEMAND(t->type == a->type && (is_f32(a) || a->type == GGML_TYPE_F16), "type");
	DEMAND(ggml_are_same_shape(a, t), "shape differs");
	DEMAND(is_rows(a) && is_rows(t), "rows have gaps");
	/* The kernels go by pairs, also over what they only copy. */
	DEMAND(t->ne[0] % 2 == 0, "odd row length");
	DEMAND(dims > 0 && dims % 2 == 0 && first >= 0 && first % 2 == 0 &&
	       (int64_t)dims + first <= t->ne[0], "rotated dimensions");
	DEMAND(pos->type == GGML_TYPE_I32 && is_rows(pos) && ggml_is_vector(pos), "positions");
	DEMAND(pos->ne[0] == a->ne[2] * (sections ? 4 : 1), "number of positions");
	if (mode == GGML_ROPE_TYPE_VISION)
		DEMAND(dims == t->ne[0] / 2 && first == 0, "rotated dimensions");
	if (freq)
		DEMAND(is_f32(freq) && is_rows(freq) && freq->ne[0] >= dims / 2,
		       "frequency factors");
	return sections ? check_rope_sections(t) : NULL;
}

static const char *check_attention(const struct ggml_tensor *t)
{
	const struct ggml_tensor *q = t->src[0], *k = t->src[1], *v = t->src[2];
	const struct ggml_tensor *mask = t->src[3], *sinks = t->src[4];
	float max_bias;

	memcpy(&max_bias, &t->op_params[1], sizeof(max_bias));
	DEMAND(is_f32(q) && is_f32(t), "type");
	DEMAND(infini_ggml_is_matrix_type(k->type) && infini_ggml_is_matrix_type(v->type),
	       "key or value type");
	DEMAND(is_rows(q) && is_rows(k) && is_rows(v), "rows have gaps");
	DEMAND(q->ne[0] == k->ne[0] && k->ne[1] == v->ne[1], "keys and values do not match");
	DEMAND(q->ne[2] % k->ne[2] == 0 && q->ne[2] % v->ne[2] == 0, "heads do not match");
	DEMAND(q->ne[3] == k->ne[3] && q->ne[3] == v->ne[3], "sequences do not match");
	DEMAND(infini_ggml_shape(t, v->ne[0], q->ne[2], q->ne[1], q->ne[3]), "shape");
	DEMAND(infini_ggml_packed(t), "result is not contiguous");
	DEMAND(max_bias >= 0 && (max_bias == 0 || mask), "bias without a mask");
	DEMAND(t->op_params[3] == 0 || t->op_params[3] == GGML_PREC_F32, "precision");
	/* A bound on finite mask entries that the mask does not keep would overrun scratch. */
	DEMAND(t->op_params[4] == 0, "sparse masks are not supported");
	if (mask) {
		DEMAND(mask->type == GGML_TYPE_F16 && infini_ggml_contiguous(mask), "mask type");
		DEMAND(mask->ne[0] >= k->ne[1] && mask->ne[1] >= q->ne[1] &&
		       q->ne[2] % mask->ne[2] == 0 && q->ne[3] % mask->ne[3] == 0, "mask shape");
	}
	if (sinks)
		DEMAND(is_f32(sinks) && is_rows(sinks) && sinks->ne[0] == q->ne[2], "sinks");
	return NULL;
}

static const char *check_indexer(const struct ggml_tensor *t)
{
	const struct ggml_tensor *q = t->src[0], *k = t->src[1], *w = t->src[2], *mask = t->src[3];

	DEMAND(is_f32(q) && is_f32(w) && is_f32(t) && mask->type == GGML_TYPE_F16, "type");
	DEMAND(infini_ggml_is_matrix_type(k->type), "key type");
	DEMAND(is_rows(q) && is_rows(k) && is_rows(w) && is_rows(mask) && is_rows(t),
	       "rows have gaps");
	DEMAND(k->ne[0] == q->ne[0] && k->ne[1] == 1 && k->ne[3] == q->ne[3], "keys");
	DEMAND(infini_ggml_shape(w, q->ne[1], q->ne[2], 1, q->ne[3]), "weights");
	DEMAND(mask->ne[0] == k->ne[2] && mask->ne[1] == q->ne[2] && mask->ne[2] == 1 &&
	       q->ne[3] % mask->ne[3] == 0, "mask shape");
	DEMAND(infini_ggml_shape(t, k->ne[2], q->ne[2], 1, q->ne[3]), "shape");
	return NULL;
}

/* Hyper-connections: a token has HYPER streams, and a mix of them in HYPER_MIX numbers. */
#define HYPER		4
#define HYPER_MIX	((2 + HYPER) * HYPER)
/* A model takes 20. Nobody can stop a node half-way. */
#define HYPER_ROUNDS	1024

static const char *check_hyper_comb(const struct ggml_tensor *t)
{
	const struct ggml_tensor *mixes = t->src[0], *scale = t->src[1], *base = t->src[2];

	DEMAND(is_f32(mixes) && is_f32(scale) && is_f32(base) && is_f32(t), "type");
	DEMAND(is_rows(mixes) && is_rows(scale) && is_rows(base) && infini_ggml_packed(t),
	       "layout");
	DEMAND(infini_ggml_shape(mixes, HYPER_MIX, mixes->ne[1], 1, 1), "mixes");
	DEMAND(ggml_is_vector(scale) && scale->ne[0] >= 3, "scale");
	DEMAND(infini_ggml_shape(base, HYPER_MIX, 1, 1, 1), "base");
	DEMAND(t->op_params[1] > 0 && t->op_params[1] <= HYPER_ROUNDS, "iterations");
	DEMAND(infini_ggml_shape(t, HYPER, HYPER, mixes->ne[1], 1), "shape");
	return NULL;
}

static const char *check_hyper_pre(const struct ggml_tensor *t)
{
	const struct ggml_tensor *x = t->src[0], *w = t->src[1];

	DEMAND(is_f32(x) && is_f32(w) && is_f32(t), "type");
	DEMAND(is_rows(x) && is_rows(w) && infini_ggml_packed(t), "layout");
	DEMAND(x->ne[3] == 1, "too many dimensions");
	DEMAND(t->op_params[1] == 0 || t->op_params[1] == 1, "no such gate");
	if (t->op_params[1])
		DEMAND(ggml_are_same_shape(w, x), "gate");
	else
		DEMAND(infini_ggml_shape(w, x->ne[1], x->ne[2], 1, 1), "weights");
	DEMAND(infini_ggml_shape(t, x->ne[0], x->ne[2], 1, 1), "shape");
	return NULL;
}

static const char *check_hyper_post(const struct ggml_tensor *t)
{
	const struct ggml_tensor *x = t->src[0], *residual = t->src[1], *post = t->src[2];
	const struct ggml_tensor *comb = t->src[3];
	int64_t streams = residual->ne[1], tokens = x->ne[1];

	DEMAND(is_f32(x) && is_f32(residual) && is_f32(post) && is_f32(t), "type");
	DEMAND(is_rows(x) && is_rows(residual) && is_rows(post) && infini_ggml_packed(t),
	       "layout");
	DEMAND(ggml_is_matrix(x), "too many dimensions");
	DEMAND(infini_ggml_shape(residual, x->ne[0], streams, tokens, 1), "residual");
	DEMAND(infini_ggml_shape(post, streams, tokens, 1, 1), "post");
	if (comb)
		DEMAND(is_f32(comb) && is_rows(comb) &&
		       infini_ggml_shape(comb, streams, streams, tokens, 1), "comb");
	DEMAND(ggml_are_same_shape(t, residual), "shape");
	return NULL;
}

/* ARGSORT and TOP_K */
static const char *check_sort(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(is_f32(a) && t->type == GGML_TYPE_I32, "type");
	DEMAND(infini_ggml_packed(a) && infini_ggml_packed(t), "not contiguous");
	DEMAND(t->ne[0] <= a->ne[0] && (t->op == GGML_OP_TOP_K || t->ne[0] == a->ne[0]) &&
	       t->ne[1] == a->ne[1] && t->ne[2] == a->ne[2] && t->ne[3] == a->ne[3], "shape");
	if (t->op == GGML_OP_ARGSORT)
		DEMAND(t->op_params[0] == GGML_SORT_ORDER_ASC ||
		       t->op_params[0] == GGML_SORT_ORDER_DESC, "no such order");
	return NULL;
}

static const struct infini_ggml_rule network[GGML_OP_COUNT] = {
	[GGML_OP_MUL_MAT]		= { 0x03, 0, check_mul_mat },
	[GGML_OP_MUL_MAT_ID]		= { 0x07, 0, check_mul_mat_id },
	[GGML_OP_OUT_PROD]		= { 0x03, 0, check_out_prod },
	[GGML_OP_GET_ROWS]		= { 0x03, 0, check_get_rows },
	[GGML_OP_SET_ROWS]		= { 0x07, 0, check_set_rows, .empty = 0x03 },
	[GGML_OP_SOFT_MAX]		= { 0x01, 0x06, check_soft_max },
	[GGML_OP_ROPE]			= { 0x03, 0x04, check_rope },
	[GGML_OP_ROPE_BACK]		= { 0x03, 0x04, check_rope },
	[GGML_OP_FLASH_ATTN_EXT]	= { 0x07, 0x18, check_attention },
	[GGML_OP_LIGHTNING_INDEXER]	= { 0x0f, 0, check_indexer },
	[GGML_OP_DSV4_HC_COMB]		= { 0x07, 0, check_hyper_comb },
	[GGML_OP_DSV4_HC_PRE]		= { 0x03, 0, check_hyper_pre },
	[GGML_OP_DSV4_HC_POST]		= { 0x07, 0x08, check_hyper_post },
	[GGML_OP_ARGSORT]		= { 0x01, 0, check_sort },
	[GGML_OP_TOP_K]			= { 0x01, 0, check_sort },
};

const struct infini_ggml_rule *infini_ggml_rule_network(enum ggml_op op)
{
	return network[op].check ? &network[op] : NULL;
}
