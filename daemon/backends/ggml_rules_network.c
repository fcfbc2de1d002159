// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rules for matrix products, row selection, attention, positions, sorting, convolutions and states.
 */
#include <stdlib.h>
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
	/* Equal small floats meet vec_dot_type; everything else is converted from f32. */
	DEMAND(is_f32(b) || (infini_ggml_small_float(a) && b->type == a->type),
	       "type of the second factor");
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
	DEMAND(b->ne[2] % a->ne[2] == 0 && b->ne[3] % a->ne[3] == 0, "batches do not match");
	DEMAND(is_f32(t) && infini_ggml_packed(t), "result type or layout");
	DEMAND(infini_ggml_shape(t, a->ne[1], b->ne[1], b->ne[2], b->ne[3]), "shape");
	DEMAND(is_prec(t->op_params[0]) && is_prec(t->op_params[2]) && is_prec(t->op_params[3]),
	       "precision");
	DEMAND(t->op_params[1] == 0 || t->op_params[1] == GGML_HINT_SRC0_IS_HADAMARD, "hint");
	if (t->op_params[1] == GGML_HINT_SRC0_IS_HADAMARD) {
		/* The kernel writes rows as long as those it reads. */
		DEMAND(is_f32(b) && (b->ne[0] & (b->ne[0] - 1)) == 0, "not a Hadamard product");
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

	DEMAND(is_f32(a) && is_f32(b) && is_f32(t), "type");
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
	DEMAND(b->ne[1] == c->ne[0] && b->ne[2] % c->ne[1] == 0 && b->ne[3] % c->ne[2] == 0 &&
	       c->ne[3] == 1, "indices do not match");
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

/* How many steps a window of @k takes over @n; 0 when the parameters make no sense. */
static int64_t conv_steps(int64_t n, int64_t k, int32_t stride, int32_t pad, int32_t dilation)
{
	int64_t room;

	if (stride <= 0 || pad < 0 || dilation <= 0)
		return 0;
	/* All below 2^31: nothing can overflow. */
	room = n + 2LL * pad - (int64_t)dilation * (k - 1) - 1;
	return room < 0 ? 0 : room / stride + 1;
}

static const char *check_im2col(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	const int32_t *p = t->op_params;
	int64_t ow = conv_steps(b->ne[0], a->ne[0], p[0], p[2], p[4]), oh;

	DEMAND((is_f32(b) && is_f32(t)) || (t->type == GGML_TYPE_F16 &&
					    (is_f32(b) || b->type == GGML_TYPE_F16)), "type");
	DEMAND(infini_ggml_packed(b) && infini_ggml_packed(t), "not contiguous");
	DEMAND(b->nb[3] <= INT32_MAX, "image is too large");
	DEMAND(ow > 0, "window");
	if (p[6] == 1) {
		oh = conv_steps(b->ne[1], a->ne[1], p[1], p[3], p[5]);
		DEMAND(oh > 0, "window");
		DEMAND(a->ne[2] == b->ne[2], "channels differ");
		DEMAND(infini_ggml_shape(t, a->ne[0] * a->ne[1] * a->ne[2], ow, oh, b->ne[3]),
		       "shape");
		return NULL;
	}
	DEMAND(p[6] == 0 && a->ne[1] == b->ne[1] && b->ne[3] == 1, "channels differ");
	DEMAND(infini_ggml_shape(t, a->ne[0] * a->ne[1], ow, b->ne[2], 1), "shape");
	return NULL;
}

static const char *check_conv_transpose_1d(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	int32_t stride = t->op_params[0];

	DEMAND((is_f32(a) || a->type == GGML_TYPE_F16) && is_f32(b) && is_f32(t), "type");
	DEMAND(ggml_is_matrix(b) && a->ne[3] == 1 && a->ne[2] == b->ne[1], "channels differ");
	DEMAND(stride > 0 && t->op_params[1] == 0 && t->op_params[2] == 1, "window");
	DEMAND(ggml_nelements(a) <= INT32_MAX && ggml_nelements(b) <= INT32_MAX, "too large");
	DEMAND(infini_ggml_shape(t, (b->ne[0] - 1) * stride + a->ne[0], a->ne[1], 1, 1), "shape");
	DEMAND(is_rows(a) && is_rows(b) && infini_ggml_packed(t), "layout");
	return NULL;
}

static const char *check_pool(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];
	bool two = t->op == GGML_OP_POOL_2D;
	int i, last = two ? 6 : 3;

	DEMAND(is_f32(t) && (is_f32(a) || a->type == GGML_TYPE_F16), "type");
	DEMAND(t->op_params[0] == GGML_OP_POOL_MAX || t->op_params[0] == GGML_OP_POOL_AVG,
	       "no such pooling");
	/* Windows are clipped to the source; only their count must stay within int. */
	for (i = 1; i <= last; i++)
		DEMAND(t->op_params[i] >= (i <= (two ? 4 : 2)) && t->op_params[i] <= 1 << 14,
		       "window");
	DEMAND(t->ne[0] <= 1 << 16 && t->ne[1] <= INT32_MAX, "too large");
	DEMAND(!two || t->ne[1] <= 1 << 16, "too large");
	DEMAND(two || t->ne[1] == a->ne[1], "shape");
	DEMAND(t->ne[2] == a->ne[2] && t->ne[3] == a->ne[3], "shape");
	DEMAND(infini_ggml_packed(a) && infini_ggml_packed(t), "not contiguous");
	return NULL;
}

static const char *check_upscale(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];
	uint32_t mode = (uint32_t)t->op_params[0];
	int i;

	DEMAND(is_f32(a) && is_f32(t), "type");
	DEMAND((mode & 0xff) < GGML_SCALE_MODE_COUNT, "no such mode");
	DEMAND(!(mode & GGML_SCALE_FLAG_ANTIALIAS) || (mode & 0xff) == GGML_SCALE_MODE_BILINEAR,
	       "no such mode");
	/* The kernel divides in float: its last index must still be inside. */
	for (i = 0; i < GGML_MAX_DIMS; i++) {
		float factor = (float)t->ne[i] / a->ne[i];

		if (i < 2 && (mode & GGML_SCALE_FLAG_ALIGN_CORNERS) && t->ne[i] > 1 && a->ne[i] > 1)
			factor = (float)(t->ne[i] - 1) / (a->ne[i] - 1);
		DEMAND((int64_t)((t->ne[i] - 1) / factor) < a->ne[i], "factor");
	}
	return NULL;
}

static const char *check_pad(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];
	const int32_t *p = t->op_params;
	int i;

	DEMAND(is_f32(a) && is_f32(t), "type");
	DEMAND(p[8] == 0 || p[8] == 1, "flags");
	DEMAND(infini_ggml_packed(t), "result is not contiguous");
	for (i = 0; i < GGML_MAX_DIMS; i++) {
		DEMAND(p[2 * i] >= 0 && p[2 * i + 1] >= 0, "negative padding");
		DEMAND(t->ne[i] == a->ne[i] + p[2 * i] + p[2 * i + 1], "shape");
		/* Circular padding wraps once. */
		DEMAND(!p[8] || (p[2 * i] <= a->ne[i] && p[2 * i + 1] <= a->ne[i]), "padding");
	}
	return NULL;
}

static const char *check_pad_reflect(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];
	int32_t left = t->op_params[0], right = t->op_params[1];

	DEMAND(is_f32(a) && is_f32(t), "type");
	DEMAND(left >= 0 && left < a->ne[0] && right >= 0 && right < a->ne[0], "padding");
	DEMAND(infini_ggml_shape(t, a->ne[0] + left + right, a->ne[1], a->ne[2], a->ne[3]),
	       "shape");
	DEMAND(is_rows(a) && is_rows(t), "rows have gaps");
	return NULL;
}

static const char *check_roll(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];
	int i;

	DEMAND(is_f32(a) && is_f32(t), "type");
	DEMAND(ggml_are_same_shape(a, t), "shape differs");
	DEMAND(is_rows(a) && is_rows(t), "rows have gaps");
	for (i = 0; i < GGML_MAX_DIMS; i++)
		DEMAND(llabs(t->op_params[i]) < a->ne[i], "shift");
	return NULL;
}

static const char *check_timestep(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(is_f32(a) && is_f32(t), "type");
	DEMAND(t->op_params[0] > 0 && t->op_params[1] > 0, "dimension or period");
	DEMAND(infini_ggml_shape(t, t->op_params[0], a->ne[0], 1, 1), "shape");
	DEMAND(is_rows(a) && is_rows(t), "rows have gaps");
	return NULL;
}

static const char *check_ssm_conv(const struct ggml_tensor *t)
{
	const struct ggml_tensor *x = t->src[0], *c = t->src[1];

	DEMAND(is_f32(x) && is_f32(c) && is_f32(t), "type");
	DEMAND(x->ne[3] == 1 && ggml_is_matrix(c), "too many dimensions");
	DEMAND(x->ne[1] == c->ne[1] && x->ne[0] >= c->ne[0], "sources do not match");
	DEMAND(infini_ggml_shape(t, c->ne[1], x->ne[0] - c->ne[0] + 1, x->ne[2], 1), "shape");
	DEMAND(infini_ggml_packed(x) && infini_ggml_packed(c) && infini_ggml_packed(t),
	       "not contiguous");
	return NULL;
}

static const char *check_ssm_scan_layout(const struct ggml_tensor *t)
{
	const struct ggml_tensor *s = t->src[0], *ids = t->src[6];
	int i;

	for (i = 0; i < 6; i++)
		DEMAND(is_f32(t->src[i]) && is_rows(t->src[i]), "type");
	DEMAND(ids->type == GGML_TYPE_I32 && is_rows(ids) && ggml_is_vector(ids), "ids");
	/* The state of the result is addressed with the strides of the state read. */
	DEMAND(infini_ggml_packed(s) && infini_ggml_packed(t->src[2]) &&
	       infini_ggml_packed(t->src[3]) && infini_ggml_packed(t), "not contiguous");
	for (i = 1; i < 6; i += i == 1 ? 3 : 1)
		DEMAND(t->src[i]->nb[1] == t->src[i]->ne[0] * sizeof(float), "rows have gaps");
	return NULL;
}

static const char *check_ssm_scan(const struct ggml_tensor *t)
{
	const struct ggml_tensor *s = t->src[0], *x = t->src[1], *dt = t->src[2];
	const struct ggml_tensor *a = t->src[3], *b = t->src[4], *c = t->src[5];
	int64_t slots = t->op_params[0], state, size;

	DEMAND(is_f32(t) && slots >= 1, "type or slots");
	DEMAND(infini_ggml_shape(dt, x->ne[1], x->ne[2], x->ne[3], 1), "dt");
	DEMAND(s->ne[1] == x->ne[0] && s->ne[2] == x->ne[1], "state");
	DEMAND(a->ne[1] == x->ne[1] && ggml_is_matrix(a), "a");
	DEMAND(a->ne[0] == 1 || (a->ne[0] == s->ne[0] && slots == 1), "a");
	DEMAND(ggml_are_same_shape(b, c) && b->ne[0] == s->ne[0] && b->ne[2] == x->ne[2] &&
	       b->ne[3] == x->ne[3] && x->ne[1] % b->ne[1] == 0, "b or c");
	DEMAND(t->src[6]->ne[0] == x->ne[3], "ids");
	state = s->ne[0] * s->ne[1] * s->ne[2];
	DEMAND(!__builtin_mul_overflow(state, x->ne[3], &size) &&
	       !__builtin_mul_overflow(size, slots, &size) &&
	       !__builtin_add_overflow(size, ggml_nelements(x), &size) &&
	       infini_ggml_shape(t, size, 1, 1, 1), "shape");
	return check_ssm_scan_layout(t);
}

static const char *check_delta_net(const struct ggml_tensor *t)
{
	const struct ggml_tensor *q = t->src[0], *k = t->src[1], *v = t->src[2];
	const struct ggml_tensor *g = t->src[3], *beta = t->src[4], *state = t->src[5];
	int64_t dim = v->ne[0], heads = v->ne[1], tokens = v->ne[2], seqs = v->ne[3];
	int64_t slots = t->op_params[0], rows;
	int i;

	for (i = 0; i < 6; i++)
		DEMAND(is_f32(t->src[i]) && is_rows(t->src[i]), "type");
	DEMAND(is_f32(t) && infini_ggml_packed(t) && slots >= 1, "result");
	DEMAND(ggml_are_same_shape(q, k) && q->ne[0] == dim && q->ne[2] == tokens &&
	       heads % q->ne[1] == 0 && seqs % q->ne[3] == 0, "q or k");
	DEMAND((g->ne[0] == 1 || g->ne[0] == dim) && g->ne[1] == heads && g->ne[2] == tokens &&
	       g->ne[3] == seqs && ggml_is_contiguous(g), "g");
	DEMAND(infini_ggml_shape(beta, 1, heads, tokens, seqs) && ggml_is_contiguous(beta), "beta");
	DEMAND(infini_ggml_shape(state, dim, dim, heads, seqs) && infini_ggml_packed(state),
	       "state");
	DEMAND(!__builtin_mul_overflow(slots, dim * seqs, &rows) &&
	       infini_ggml_shape(t, dim * heads, tokens * seqs + rows, 1, 1), "shape");
	return NULL;
}

static const struct infini_ggml_rule network[GGML_OP_COUNT] = {
	[GGML_OP_MUL_MAT]		= { 0x03, 0, check_mul_mat },
	[GGML_OP_MUL_MAT_ID]		= { 0x07, 0, check_mul_mat_id },
	[GGML_OP_OUT_PROD]		= { 0x03, 0, check_out_prod },
	[GGML_OP_GET_ROWS]		= { 0x03, 0, check_get_rows },
	[GGML_OP_SET_ROWS]		= { 0x07, 0, check_set_rows },
	[GGML_OP_SOFT_MAX]		= { 0x01, 0x06, check_soft_max },
	[GGML_OP_ROPE]			= { 0x03, 0x04, check_rope },
	[GGML_OP_ROPE_BACK]		= { 0x03, 0x04, check_rope },
	[GGML_OP_FLASH_ATTN_EXT]	= { 0x07, 0x18, check_attention },
	[GGML_OP_ARGSORT]		= { 0x01, 0, check_sort },
	[GGML_OP_TOP_K]			= { 0x01, 0, check_sort },
	[GGML_OP_IM2COL]		= { 0x03, 0, check_im2col },
	[GGML_OP_CONV_TRANSPOSE_1D]	= { 0x03, 0, check_conv_transpose_1d },
	[GGML_OP_POOL_1D]		= { 0x01, 0, check_pool },
	[GGML_OP_POOL_2D]		= { 0x01, 0, check_pool },
	[GGML_OP_UPSCALE]		= { 0x01, 0, check_upscale },
	[GGML_OP_PAD]			= { 0x01, 0, check_pad },
	[GGML_OP_PAD_REFLECT_1D]	= { 0x01, 0, check_pad_reflect },
	[GGML_OP_ROLL]			= { 0x01, 0, check_roll },
	[GGML_OP_TIMESTEP_EMBEDDING]	= { 0x01, 0, check_timestep },
	[GGML_OP_SSM_CONV]		= { 0x03, 0, check_ssm_conv },
	[GGML_OP_SSM_SCAN]		= { 0x7f, 0, check_ssm_scan },
	[GGML_OP_GATED_DELTA_NET]	= { 0x3f, 0, check_delta_net },
};

const struct infini_ggml_rule *infini_ggml_rule_network(enum ggml_op op)
{
	return network[op].check ? &network[op] : NULL;
}
