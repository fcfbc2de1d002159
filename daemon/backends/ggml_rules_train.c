// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rules for the steps of training: gradients, losses, optimisers.
 */
#include <string.h>

#include "ggml_rules.h"

#define DEMAND INFINI_GGML_DEMAND

static bool is_f32(const struct ggml_tensor *t)
{
	return infini_ggml_f32(t);
}

static bool is_rows(const struct ggml_tensor *t)
{
	return infini_ggml_rows(t);
}

static const char *check_repeat_back(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0];

	DEMAND(is_f32(a) && is_f32(t), "type");
	DEMAND(ggml_can_repeat(t, a), "source is no multiple of the result");
	DEMAND(is_rows(a) && infini_ggml_packed(t), "layout");
	return NULL;
}

/* SILU_BACK, SOFT_MAX_BACK and RMS_NORM_BACK: two sources and a result of one shape. */
static const char *check_back(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];
	float bias;

	DEMAND(is_f32(a) && is_f32(b) && is_f32(t), "type");
	DEMAND(ggml_are_same_shape(a, t) && ggml_are_same_shape(b, t), "shapes differ");
	DEMAND(infini_ggml_packed(a) && infini_ggml_packed(b) && infini_ggml_packed(t),
	       "not contiguous");
	memcpy(&bias, &t->op_params[1], sizeof(bias));
	DEMAND(t->op != GGML_OP_SOFT_MAX_BACK || bias == 0, "bias");
	return NULL;
}

static const char *check_get_rows_back(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];

	DEMAND((is_f32(a) || a->type == GGML_TYPE_F16) && is_f32(t), "type");
	DEMAND(b->type == GGML_TYPE_I32 && is_rows(b) && ggml_is_vector(b),
	       "indices must be a vector of i32");
	DEMAND(ggml_is_matrix(a) && a->ne[1] >= b->ne[0], "more indices than rows");
	DEMAND(is_rows(a) && infini_ggml_packed(t), "layout");
	DEMAND(infini_ggml_shape(t, a->ne[0], t->ne[1], 1, 1), "shape");
	return NULL;
}

static const char *check_loss(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];

	DEMAND(is_f32(a) && is_f32(b) && is_f32(t), "type");
	DEMAND(ggml_are_same_shape(a, b), "shapes differ");
	DEMAND(infini_ggml_packed(a) && infini_ggml_packed(b), "not contiguous");
	DEMAND(ggml_is_scalar(t), "result is not a scalar");
	return NULL;
}

static const char *check_loss_back(const struct ggml_tensor *t)
{
	const struct ggml_tensor *grad = t->src[0], *a = t->src[1], *b = t->src[2];

	DEMAND(is_f32(grad) && is_f32(a) && is_f32(b) && is_f32(t), "type");
	DEMAND(ggml_is_scalar(grad), "gradient is not a scalar");
	DEMAND(ggml_are_same_shape(a, b) && ggml_are_same_shape(a, t), "shapes differ");
	DEMAND(infini_ggml_packed(grad) && infini_ggml_packed(a) && infini_ggml_packed(b) &&
	       infini_ggml_packed(t), "not contiguous");
	return NULL;
}

/*
 * One step of an optimiser: @states tensors of one shape, the first of them the weights, then
 * @numbers parameters. All are addressed with the strides of the weights, and what is written
 * are the sources.
 */
static const char *check_step(const struct ggml_tensor *t, int states, int64_t numbers)
{
	const struct ggml_tensor *parameters = t->src[states];
	int i;

	for (i = 0; i < states; i++) {
		DEMAND(is_f32(t->src[i]) && infini_ggml_packed(t->src[i]), "type or layout");
		DEMAND(ggml_are_same_shape(t->src[i], t), "shapes differ");
	}
	DEMAND(is_f32(t) && infini_ggml_packed(t), "result");
	DEMAND(is_f32(parameters) && infini_ggml_packed(parameters) &&
	       ggml_nelements(parameters) == numbers, "parameters");
	return NULL;
}

static const char *check_adamw(const struct ggml_tensor *t)
{
	return check_step(t, 4, 7);
}

static const char *check_sgd(const struct ggml_tensor *t)
{
	return check_step(t, 2, 2);
}

static const struct infini_ggml_rule train[GGML_OP_COUNT] = {
	[GGML_OP_REPEAT_BACK]		= { 0x01, 0, check_repeat_back },
	[GGML_OP_SILU_BACK]		= { 0x03, 0, check_back },
	[GGML_OP_SOFT_MAX_BACK]		= { 0x03, 0, check_back },
	[GGML_OP_RMS_NORM_BACK]		= { 0x03, 0, check_back },
	[GGML_OP_GET_ROWS_BACK]		= { 0x03, 0, check_get_rows_back },
	[GGML_OP_CROSS_ENTROPY_LOSS]	= { 0x03, 0, check_loss },
	[GGML_OP_CROSS_ENTROPY_LOSS_BACK] = { 0x07, 0, check_loss_back },
	[GGML_OP_OPT_STEP_ADAMW]	= { 0x1f, 0, check_adamw, .writes = 0x0d },
	[GGML_OP_OPT_STEP_SGD]		= { 0x07, 0, check_sgd, .writes = 0x01 },
};

const struct infini_ggml_rule *infini_ggml_rule_train(enum ggml_op op)
{
	return train[op].check ? &train[op] : NULL;
}
