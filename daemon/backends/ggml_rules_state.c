// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rules for recurrent states.
 */
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
	for (i = 1; i < 6; i++)
		DEMAND(i == 2 || i == 3 || t->src[i]->nb[1] == t->src[i]->ne[0] * sizeof(float),
		       "rows have gaps");
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

/*
 * RWKV_WKV6, RWKV_WKV7 and GATED_LINEAR_ATTN: sources of one vector per token and head, and
 * @state, a matrix per sequence and head. Of the first, src[3] is the same for all tokens.
 */
static const char *check_wkv(const struct ggml_tensor *t, const struct ggml_tensor *state)
{
	const struct ggml_tensor *v = t->src[1];
	int64_t size = v->ne[0], heads = v->ne[1], tokens = v->ne[2], seqs = state->ne[1], all;
	int i;

	for (i = 0; i < GGML_MAX_SRC && t->src[i]; i++) {
		DEMAND(is_f32(t->src[i]) && infini_ggml_packed(t->src[i]), "type or layout");
		if (t->src[i] == state)
			continue;
		if (t->op == GGML_OP_RWKV_WKV6 && i == 3)
			DEMAND(ggml_nelements(t->src[i]) == size * heads, "bonus");
		else
			DEMAND(infini_ggml_shape(t->src[i], size, heads, tokens, 1),
			       "shapes differ");
	}
	DEMAND(tokens % seqs == 0, "sequences of different lengths");
	DEMAND(!__builtin_mul_overflow(size * heads, size, &all) &&
	       !__builtin_mul_overflow(all, seqs, &all) && ggml_nelements(state) == all, "state");
	DEMAND(is_f32(t) && infini_ggml_packed(t), "result");
	DEMAND(infini_ggml_shape(t, size * heads, tokens + size * seqs, 1, 1), "shape");
	return NULL;
}

static const char *check_wkv6(const struct ggml_tensor *t)
{
	return check_wkv(t, t->src[5]);
}

static const char *check_wkv7(const struct ggml_tensor *t)
{
	/* The kernel goes by whole vectors, of up to 64 floats where they are longest. */
	DEMAND(t->src[1]->ne[0] % 64 == 0, "head size is no multiple of 64");
	return check_wkv(t, t->src[6]);
}

static const char *check_gated_attention(const struct ggml_tensor *t)
{
	return check_wkv(t, t->src[4]);
}

static const char *check_solve(const struct ggml_tensor *t)
{
	const struct ggml_tensor *a = t->src[0], *b = t->src[1];

	DEMAND(is_f32(a) && is_f32(b) && is_f32(t), "type");
	DEMAND(a->ne[0] == a->ne[1] && a->ne[1] == b->ne[1] && a->ne[2] == b->ne[2] &&
	       a->ne[3] == b->ne[3], "sources do not match");
	DEMAND(ggml_are_same_shape(b, t), "shape");
	DEMAND(infini_ggml_packed(a) && infini_ggml_packed(b) && infini_ggml_packed(t),
	       "not contiguous");
	return NULL;
}

static const struct infini_ggml_rule state[GGML_OP_COUNT] = {
	[GGML_OP_SSM_CONV]		= { 0x03, 0, check_ssm_conv },
	[GGML_OP_SSM_SCAN]		= { 0x7f, 0, check_ssm_scan },
	[GGML_OP_GATED_DELTA_NET]	= { 0x3f, 0, check_delta_net },
	[GGML_OP_RWKV_WKV6]		= { 0x3f, 0, check_wkv6 },
	[GGML_OP_RWKV_WKV7]		= { 0x7f, 0, check_wkv7 },
	[GGML_OP_GATED_LINEAR_ATTN]	= { 0x1f, 0, check_gated_attention },
	[GGML_OP_SOLVE_TRI]		= { 0x03, 0, check_solve },
};

const struct infini_ggml_rule *infini_ggml_rule_state(enum ggml_op op)
{
	return state[op].check ? &state[op] : NULL;
}
