// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rules for elementwise, copying, reducing and reshaping operations, and what all rules share.
 */
#include <string.h>

#include "ggml_rules.h"

#define DEMAND INFINI_GGML_DEMAND

bool infini_ggml_is_matrix_type(enum ggml_type type)
{
	if (type == GGML_TYPE_Q8_1 || type == GGML_TYPE_Q8_K)
		return false;
	return type == GGML_TYPE_F32 || type == GGML_TYPE_F16 || type == GGML_TYPE_BF16 ||
	       ggml_is_quantized(type);
}

bool infini_ggml_is_writable_type(enum ggml_type type)
{
	switch (type) {
	case GGML_TYPE_IQ2_XXS:
	case GGML_TYPE_IQ2_XS:
	case GGML_TYPE_IQ2_S:
	case GGML_TYPE_IQ3_XXS:
	case GGML_TYPE_IQ3_S:
	case GGML_TYPE_IQ1_S:
	case GGML_TYPE_IQ1_M:
		return false;
	default:
		return infini_ggml_is_matrix_type(type);
	}
}

static const char *check_none(const struct ggml_tensor *t)
{
	(void)t;
	return NULL;
}

static const char *check_reshape(const struct ggml_tensor *t)
{
	DEMAND(ggml_nelements(t) == ggml_nelements(t->src[0]), "number of elements changes");
	DEMAND(t->type == t->src[0]->type, "type changes");
	return NULL;
}

static const char *check_copied(const struct ggml_tensor *t, const struct ggml_tensor *a)
{
	enum ggml_type from = a->type, to = t->type;

	DEMAND(ggml_nelements(t) == ggml_nelements(a), "number of elements differs");
	/* The kernels count elements in int. */
	DEMAND(ggml_nelements(t) <= INT32_MAX, "more elements than the kernel can count");
	if (from == to)
		return NULL;
	if (infini_ggml_plain_float(a) && infini_ggml_plain_float(t))
		return NULL;
	if ((from == GGML_TYPE_F32 && to == GGML_TYPE_I32) ||
	    (from == GGML_TYPE_I32 && to == GGML_TYPE_F32))
		return NULL;
	if (ggml_is_quantized(from) && to == GGML_TYPE_F32) {
		DEMAND(infini_ggml_is_matrix_type(from), "type cannot be read");
		DEMAND(infini_ggml_rows(t), "rows have gaps");
		DEMAND(t->ne[0] % ggml_blck_size(from) == 0 || ggml_is_contiguous(t),
		       "rows do not hold whole blocks");
		/* It reads the shape of src[1], which a DUP or CONT does not have. */
		DEMAND(t->src[1], "this conversion needs CPY");
		return NULL;
	}
	DEMAND(infini_ggml_plain_float(a) && infini_ggml_is_writable_type(to),
	       "no conversion between these types");
	DEMAND(infini_ggml_contiguous(t) && infini_ggml_rows(a), "conversion of scattered data");
	DEMAND(a->ne[0] == t->ne[0], "conversion changes the row length");
	return NULL;
}

static const char *check_dup(const struct ggml_tensor *t)
{
	DEMAND(t->op != GGML_OP_CONT || infini_ggml_contiguous(t), "result is not contiguous");
	DEMAND(t->op != GGML_OP_DUP || ggml_are_same_shape(t, t->src[0]), "shape differs");
	return check_copied(t, t->src[0]);
}

static const char *check_cpy(const struct ggml_tensor *t)
{
	const struct ggml_tensor *b = t->src[1];

	DEMAND(ggml_are_same_shape(t, b) && ggml_are_same_stride(t, b) && t->type == b->type,
	       "result does not look like the destination");
	return check_copied(t, t->src[0]);
}

static bool binary_types(enum ggml_type a, enum ggml_type b, enum ggml_type t)
{
	if (a == GGML_TYPE_F32)
		return b == a && t == a;
	if (a != GGML_TYPE_F16 && a != GGML_TYPE_BF16)
		return false;
	return (b == a && t == a) || (b == GGML_TYPE_F32 && (t == a || t == GGML_TYPE_F32));
}

static const char *check_binary(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];

	DEMAND(ggml_are_same_shape(a, t), "shape differs from the first source");
	DEMAND(infini_ggml_rows(a) && infini_ggml_rows(t), "rows have gaps");
	if (t->op == GGML_OP_ADD && ggml_is_quantized(a->type)) {
		DEMAND(ggml_are_same_shape(a, b), "quantised addition cannot broadcast");
		DEMAND(infini_ggml_f32(b) && infini_ggml_rows(b), "second source must be f32 rows");
		DEMAND(infini_ggml_is_matrix_type(a->type), "type cannot be read");
		DEMAND(infini_ggml_f32(t) || (t->type == a->type &&
					      infini_ggml_is_writable_type(t->type)),
		       "result type");
		DEMAND(infini_ggml_rising(t), "result is permuted");
		return NULL;
	}
	DEMAND(ggml_can_repeat(b, a), "second source cannot be repeated over the first");
	DEMAND(binary_types(a->type, b->type, t->type), "combination of types");
	return NULL;
}

static const char *check_add_id(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1], *ids = t->src[2];

	DEMAND(infini_ggml_f32(a) && infini_ggml_f32(b) && infini_ggml_f32(t), "types");
	DEMAND(ids->type == GGML_TYPE_I32, "ids must be i32");
	DEMAND(ggml_are_same_shape(a, t), "shape differs from the first source");
	DEMAND(a->ne[0] == b->ne[0] && a->ne[1] == ids->ne[0] && a->ne[2] == ids->ne[1],
	       "shapes do not match");
	DEMAND(a->ne[3] == 1 && b->ne[2] == 1 && b->ne[3] == 1 && ids->ne[2] == 1 &&
	       ids->ne[3] == 1, "too many dimensions");
	DEMAND(infini_ggml_rows(a) && infini_ggml_rows(b) && infini_ggml_rows(t) &&
	       infini_ggml_rows(ids), "rows have gaps");
	return NULL;
}

static const char *check_add1(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(infini_ggml_f32(a) && infini_ggml_f32(t->src[1]) && infini_ggml_f32(t), "types");
	DEMAND(ggml_is_scalar(t->src[1]), "second source is not a scalar");
	DEMAND(ggml_are_same_shape(a, t), "shape differs from the first source");
	DEMAND(infini_ggml_rows(a) && infini_ggml_rows(t), "rows have gaps");
	return NULL;
}

/* ACC and SET lay src[1] over the result with the strides and offset in op_params. */
static const char *check_overlay(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	uint64_t reach = ggml_type_size(t->type);
	int i;

	DEMAND(t->type == a->type && t->type == b->type, "types differ");
	DEMAND(infini_ggml_f32(t) || (t->op == GGML_OP_SET && t->type == GGML_TYPE_I32), "type");
	DEMAND(ggml_are_same_shape(a, t), "shape differs from the first source");
	DEMAND(infini_ggml_packed(a) && infini_ggml_packed(t), "first source is not contiguous");
	DEMAND(infini_ggml_rows(b), "rows have gaps");
	DEMAND(ggml_nelements(b) <= ggml_nelements(a), "second source is larger");
	for (i = 0; i < 4; i++)
		DEMAND(t->op_params[i] >= 0 && t->op_params[i] % 4 == 0, "stride or offset");
	/* Each factor is below 2^31: the sum of four products cannot overflow. */
	reach += (uint64_t)t->op_params[3] + (uint64_t)(b->ne[0] - 1) * 4;
	for (i = 0; i < 3; i++)
		reach += (uint64_t)(b->ne[i + 1] - 1) * (uint64_t)t->op_params[i];
	DEMAND(reach <= ggml_nbytes(t), "second source leaves the result");
	return NULL;
}

static const char *check_unary_types(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(ggml_are_same_shape(a, t), "shape differs");
	DEMAND(infini_ggml_rows(a) && infini_ggml_rows(t), "rows have gaps");
	DEMAND(infini_ggml_plain_float(a), "type");
	DEMAND(t->type == a->type || infini_ggml_f32(t), "result type");
	return NULL;
}

static const char *check_unary(const struct ggml_tensor *t)
{
	switch (t->op_params[0]) {
	case GGML_UNARY_OP_GELU:
	case GGML_UNARY_OP_GELU_ERF:
	case GGML_UNARY_OP_GELU_QUICK:
	case GGML_UNARY_OP_SILU:
		DEMAND(t->type == t->src[0]->type, "type");
		break;
	case GGML_UNARY_OP_XIELU:
		DEMAND(infini_ggml_flat(t->src[0]) && infini_ggml_flat(t), "rows have gaps");
		break;
	default:
		DEMAND(t->op_params[0] >= 0 && t->op_params[0] < GGML_UNARY_OP_COUNT,
		       "no such function");
	}
	return check_unary_types(t);
}

static const char *check_leaky_relu(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(a->type == t->type && (infini_ggml_f32(t) || t->type == GGML_TYPE_F16), "type");
	DEMAND(ggml_are_same_shape(a, t), "shape differs");
	DEMAND(infini_ggml_packed(a) && infini_ggml_packed(t), "not contiguous");
	return NULL;
}

static const char *check_glu(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];

	DEMAND(t->op_params[0] >= 0 && t->op_params[0] < GGML_GLU_OP_COUNT, "no such function");
	DEMAND(t->type == a->type && infini_ggml_plain_float(t), "type");
	if (t->op_params[0] == GGML_GLU_OP_SWIGLU_OAI ||
	    t->op_params[0] == GGML_GLU_OP_SWIGLU_CLAMP)
		DEMAND(t->type != GGML_TYPE_BF16, "type");
	DEMAND(infini_ggml_flat(a) && infini_ggml_flat(t), "rows have gaps");
	if (b) {
		DEMAND(ggml_are_same_shape(a, b) && b->type == a->type, "sources differ");
		DEMAND(infini_ggml_flat(b), "rows have gaps");
		DEMAND(ggml_are_same_shape(a, t), "shape differs");
		return NULL;
	}
	DEMAND(infini_ggml_shape(t, a->ne[0] / 2, a->ne[1], a->ne[2], a->ne[3]), "shape");
	return NULL;
}

static const char *check_same_f32(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(infini_ggml_f32(a) && infini_ggml_f32(t), "type");
	DEMAND(ggml_are_same_shape(a, t), "shape differs");
	DEMAND(infini_ggml_rows(a) && infini_ggml_rows(t), "rows have gaps");
	return NULL;
}

static const char *check_norm(const struct ggml_tensor *t)
{
	float eps;

	memcpy(&eps, &t->op_params[t->op == GGML_OP_GROUP_NORM ? 1 : 0], sizeof(eps));
	DEMAND(eps >= 0, "eps is negative");
	if (t->op == GGML_OP_GROUP_NORM)
		DEMAND(t->op_params[0] > 0 && t->op_params[0] <= t->src[0]->ne[2], "groups");
	if (t->op != GGML_OP_NORM && t->op != GGML_OP_L2_NORM)
		return check_same_f32(t);
	/* These two go by the strides of single elements where rows have gaps. */
	DEMAND(infini_ggml_f32(t) && infini_ggml_f32(t->src[0]), "type");
	DEMAND(ggml_are_same_shape(t, t->src[0]), "shape differs");
	return NULL;
}

static const char *check_scale(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(t->type == a->type && (infini_ggml_f32(t) || t->type == GGML_TYPE_BF16), "type");
	DEMAND(ggml_are_same_shape(a, t), "shape differs");
	DEMAND(infini_ggml_flat(a) && infini_ggml_flat(t), "rows have gaps");
	DEMAND(ggml_is_contiguous(a) && ggml_is_contiguous(t), "not contiguous");
	return NULL;
}

static const char *check_clamp(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(t->type == a->type && (infini_ggml_f32(t) || t->type == GGML_TYPE_F16), "type");
	DEMAND(ggml_are_same_shape(a, t), "shape differs");
	DEMAND(infini_ggml_rows(a) && infini_ggml_rows(t), "rows have gaps");
	return NULL;
}

static const char *check_sum(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(infini_ggml_plain_float(a) && t->type == a->type, "type");
	DEMAND(ggml_is_scalar(t), "result is not a scalar");
	/* Of a permuted source the kernel makes a wrong sum. */
	DEMAND(infini_ggml_rows(a), "rows have gaps");
	return NULL;
}

/* SUM_ROWS and MEAN */
static const char *check_sum_rows(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(infini_ggml_f32(a) && infini_ggml_f32(t), "type");
	DEMAND(infini_ggml_shape(t, 1, a->ne[1], a->ne[2], a->ne[3]), "shape");
	DEMAND(infini_ggml_rows(a) && infini_ggml_rows(t), "rows have gaps");
	return NULL;
}

static const char *check_argmax(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(infini_ggml_f32(a) && t->type == GGML_TYPE_I32, "type");
	DEMAND(ggml_is_matrix(a), "source is not a matrix");
	DEMAND(infini_ggml_shape(t, a->ne[1], 1, 1, 1), "shape");
	DEMAND(infini_ggml_rows(a) && infini_ggml_rows(t), "rows have gaps");
	return NULL;
}

static const char *check_count_equal(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];

	DEMAND(a->type == GGML_TYPE_I32 && b->type == GGML_TYPE_I32 && t->type == GGML_TYPE_I64,
	       "type");
	DEMAND(ggml_are_same_shape(a, b), "shapes differ");
	DEMAND(ggml_is_scalar(t), "result is not a scalar");
	DEMAND(infini_ggml_rows(a) && infini_ggml_rows(b), "rows have gaps");
	return NULL;
}

static const char *check_repeat(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(ggml_can_repeat(a, t), "result is no multiple of the source");
	DEMAND(t->type == a->type, "type changes");
	DEMAND(infini_ggml_plain_float(a) || a->type == GGML_TYPE_I32 ||
	       a->type == GGML_TYPE_I16, "type");
	DEMAND(infini_ggml_rows(a) && infini_ggml_rows(t), "rows have gaps");
	return NULL;
}

static const char *check_concat(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	int dim = t->op_params[0], i;

	DEMAND(dim >= 0 && dim < GGML_MAX_DIMS, "no such dimension");
	DEMAND(a->type == b->type && a->type == t->type, "types differ");
	for (i = 0; i < GGML_MAX_DIMS; i++)
		if (i == dim)
			DEMAND(t->ne[i] == a->ne[i] + b->ne[i], "shape");
		else
			DEMAND(t->ne[i] == a->ne[i] && t->ne[i] == b->ne[i], "shape");
	return NULL;
}

static const char *check_diag(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(infini_ggml_f32(a) && infini_ggml_f32(t), "type");
	DEMAND(a->ne[1] == 1, "source is not a row");
	DEMAND(infini_ggml_shape(t, a->ne[0], a->ne[0], a->ne[2], a->ne[3]), "shape");
	DEMAND(infini_ggml_rows(a) && infini_ggml_rows(t), "rows have gaps");
	return NULL;
}

static const char *check_diag_mask(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(infini_ggml_f32(a) && infini_ggml_f32(t), "type");
	DEMAND(t->op_params[0] >= 0, "negative number of columns");
	DEMAND(ggml_are_same_shape(a, t), "shape differs");
	DEMAND(infini_ggml_packed(a) && infini_ggml_packed(t), "not contiguous");
	return NULL;
}

static const char *check_tri(const struct ggml_tensor *t)
{
	const char *why = check_same_f32(t);

	if (why)
		return why;
	DEMAND(t->op_params[0] >= GGML_TRI_TYPE_UPPER_DIAG &&
	       t->op_params[0] <= GGML_TRI_TYPE_LOWER, "no such triangle");
	DEMAND(t->ne[0] == t->ne[1], "not square");
	DEMAND(infini_ggml_packed(t) && infini_ggml_packed(t->src[0]), "not contiguous");
	return NULL;
}

static const char *check_fill(const struct ggml_tensor *t)
{
	/* The kernel is chosen by the source, whose contents do not matter. */
	DEMAND(t->type == t->src[0]->type && (infini_ggml_f32(t) || t->type == GGML_TYPE_F16),
	       "type");
	DEMAND(ggml_are_same_shape(t, t->src[0]), "shape differs");
	DEMAND(infini_ggml_packed(t), "not contiguous");
	return NULL;
}

static const char *check_arange(const struct ggml_tensor *t)
{
	float start, stop, step, steps;

	memcpy(&start, &t->op_params[0], sizeof(start));
	memcpy(&stop, &t->op_params[1], sizeof(stop));
	memcpy(&step, &t->op_params[2], sizeof(step));
	DEMAND(infini_ggml_f32(t) && infini_ggml_packed(t), "type");
	/* Written so that NaN fails too. */
	DEMAND(step > 0 && stop > start, "empty range");
	steps = __builtin_ceilf((stop - start) / step);
	DEMAND(steps >= 1 && steps < 1e9f && infini_ggml_shape(t, (int64_t)steps, 1, 1, 1),
	       "shape");
	return NULL;
}

static const struct infini_ggml_rule basic[GGML_OP_COUNT] = {
	[GGML_OP_NONE]		= { 0, 0, check_none },
	[GGML_OP_DUP]		= { 1, 0, check_dup },
	[GGML_OP_CONT]		= { 1, 0, check_dup },
	[GGML_OP_CPY]		= { 3, 0, check_cpy },
	[GGML_OP_RESHAPE]	= { 1, 0, check_reshape },
	[GGML_OP_VIEW]		= { 1, 0, check_none },
	[GGML_OP_PERMUTE]	= { 1, 0, check_reshape },
	[GGML_OP_TRANSPOSE]	= { 1, 0, check_reshape },
	[GGML_OP_ADD]		= { 3, 0, check_binary },
	[GGML_OP_SUB]		= { 3, 0, check_binary },
	[GGML_OP_MUL]		= { 3, 0, check_binary },
	[GGML_OP_DIV]		= { 3, 0, check_binary },
	[GGML_OP_ADD_ID]	= { 7, 0, check_add_id },
	[GGML_OP_ADD1]		= { 3, 0, check_add1 },
	[GGML_OP_ACC]		= { 3, 0, check_overlay },
	[GGML_OP_SET]		= { 3, 0, check_overlay },
	[GGML_OP_SQR]		= { 1, 0, check_unary_types },
	[GGML_OP_SQRT]		= { 1, 0, check_unary_types },
	[GGML_OP_LOG]		= { 1, 0, check_unary_types },
	[GGML_OP_SIN]		= { 1, 0, check_unary_types },
	[GGML_OP_COS]		= { 1, 0, check_unary_types },
	[GGML_OP_UNARY]		= { 1, 0, check_unary },
	[GGML_OP_LEAKY_RELU]	= { 1, 0, check_leaky_relu },
	[GGML_OP_GLU]		= { 1, 2, check_glu },
	[GGML_OP_NORM]		= { 1, 0, check_norm },
	[GGML_OP_RMS_NORM]	= { 1, 0, check_norm },
	[GGML_OP_L2_NORM]	= { 1, 0, check_norm },
	[GGML_OP_GROUP_NORM]	= { 1, 0, check_norm },
	[GGML_OP_SCALE]		= { 1, 0, check_scale },
	[GGML_OP_CLAMP]		= { 1, 0, check_clamp },
	[GGML_OP_SUM]		= { 1, 0, check_sum },
	[GGML_OP_SUM_ROWS]	= { 1, 0, check_sum_rows },
	[GGML_OP_MEAN]		= { 1, 0, check_sum_rows },
	[GGML_OP_CUMSUM]	= { 1, 0, check_same_f32 },
	[GGML_OP_ARGMAX]	= { 1, 0, check_argmax },
	[GGML_OP_COUNT_EQUAL]	= { 3, 0, check_count_equal },
	[GGML_OP_REPEAT]	= { 1, 0, check_repeat },
	[GGML_OP_CONCAT]	= { 3, 0, check_concat },
	[GGML_OP_DIAG]		= { 1, 0, check_diag },
	[GGML_OP_DIAG_MASK_INF]	= { 1, 0, check_diag_mask },
	[GGML_OP_DIAG_MASK_ZERO] = { 1, 0, check_diag_mask },
	[GGML_OP_TRI]		= { 1, 0, check_tri },
	[GGML_OP_FILL]		= { 1, 0, check_fill },
	[GGML_OP_ARANGE]	= { 0, 0, check_arange },
};

const struct infini_ggml_rule *infini_ggml_rule_basic(enum ggml_op op)
{
	return basic[op].check ? &basic[op] : NULL;
}

const struct infini_ggml_rule *infini_ggml_rule_get(enum ggml_op op)
{
	const struct infini_ggml_rule *rule = infini_ggml_rule_basic(op);

	if (!rule)
		rule = infini_ggml_rule_network(op);
	if (!rule)
		rule = infini_ggml_rule_image(op);
	if (!rule)
		rule = infini_ggml_rule_state(op);
	return rule ? rule : infini_ggml_rule_train(op);
}

static struct infini_ggml_demand demand_of(const struct ggml_tensor *t)
{
	struct infini_ggml_demand d = { INFINI_GGML_CONTENT_INDEX, 1, 0 };

	switch (t->op) {
	case GGML_OP_GET_ROWS:
		d.limit = t->src[0]->ne[1];
		return d;
	case GGML_OP_SET_ROWS:
	case GGML_OP_GET_ROWS_BACK:
		d.limit = t->ne[1];
		return d;
	case GGML_OP_ADD_ID:
		d.src = 2;
		d.limit = t->src[1]->ne[1];
		return d;
	case GGML_OP_MUL_MAT_ID:
		d.src = 2;
		d.limit = t->src[0]->ne[2];
		return d;
	case GGML_OP_SSM_SCAN:
		d.src = 6;
		d.limit = t->src[0]->ne[3];
		return d;
	case GGML_OP_ARGSORT:
	case GGML_OP_TOP_K:
		d.content = INFINI_GGML_CONTENT_ORDERED;
		d.src = 0;
		return d;
	default:
		d.content = INFINI_GGML_CONTENT_FREE;
		return d;
	}
}

struct infini_ggml_demand infini_ggml_rule_demand(const struct ggml_tensor *t)
{
	struct infini_ggml_demand d = demand_of(t);

	if (d.content != INFINI_GGML_CONTENT_FREE && ggml_is_empty(t->src[d.src]))
		d.content = INFINI_GGML_CONTENT_FREE;
	return d;
}

size_t infini_ggml_rule_reach(const struct ggml_tensor *t, int i)
{
	size_t bytes = ggml_nbytes(t->src[i]);

	/* The frequency table is read for the whole row, also where fewer dimensions rotate. */
	if (t->op == GGML_OP_ROPE && i == 2 && bytes < (size_t)t->ne[0] / 2 * sizeof(float))
		bytes = (size_t)t->ne[0] / 2 * sizeof(float);
	return bytes;
}
