// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Recognising tokens by the shape of a graph.
 *
 * A transformer's hidden state is a matrix of one row per token. Every layer normalises it and
 * multiplies it with weights, which are leaves; the first layers see all tokens, the last may see
 * only those whose logits are wanted. Logits are the product of the normalised hidden state with
 * one more matrix of weights that nothing but a scaling or a cap uses further.
 *
 * A hostile graph can look like anything: counts are a service to honest clients and the basis
 * of rates together with what the client says; what binds everybody is occupancy.
 */
#include "ggml_tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * llama.cpp runs at most 256 sequences at once, and each generates from one row. More rows of
 * logits than that are an evaluation, of perplexity say.
 */
#define SEQUENCES_MAX	256

struct counter {
	const struct infini_ggml_graph *graph;
	uint8_t *used;			/* by tensor: a computing node reads it */
};

static uint32_t index_of(const struct counter *c, const struct ggml_tensor *t)
{
	return (uint32_t)(t - c->graph->tensors);
}

static bool is_leaf(const struct counter *c, const struct ggml_tensor *t)
{
	return c->graph->places[index_of(c, t)].node == INFINI_GGML_NONE;
}

static bool is_matrix(const struct ggml_tensor *t)
{
	return t->ne[2] == 1 && t->ne[3] == 1;
}

/* Through shifts, gains and renamings back to the norm that made @t, or NULL. */
static const struct ggml_tensor *norm_of(const struct ggml_tensor *t)
{
	int depth;

	for (depth = 0; t && depth < 8; depth++) {
		switch (t->op) {
		case GGML_OP_NORM:
		case GGML_OP_RMS_NORM:
			return is_matrix(t) ? t : NULL;
		case GGML_OP_MUL:
		case GGML_OP_ADD:
		case GGML_OP_SCALE:
		case GGML_OP_RESHAPE:
		case GGML_OP_VIEW:
		case GGML_OP_CONT:
		case GGML_OP_GET_ROWS:
			t = t->src[0];
			break;
		default:
			return NULL;
		}
	}
	return NULL;
}

/* The hidden state times weights: the norm behind it, or NULL. */
static const struct ggml_tensor *projected(const struct counter *c, const struct ggml_tensor *t)
{
	const struct ggml_tensor *norm;

	if (t->op != GGML_OP_MUL_MAT || !is_matrix(t) || !is_leaf(c, t->src[0]) ||
	    !is_matrix(t->src[0]))
		return NULL;
	norm = norm_of(t->src[1]);
	return norm && norm->ne[0] == t->src[0]->ne[0] ? norm : NULL;
}

/* Nothing reads it but operations on single elements, which may stand behind the head. */
static void mark_used(struct counter *c)
{
	uint32_t at;
	int i;

	for (at = c->graph->nr_nodes; at-- > 0; ) {
		const struct ggml_tensor *t = &c->graph->tensors[c->graph->nodes[at]];
		bool passes = t->op == GGML_OP_SCALE || t->op == GGML_OP_UNARY ||
			      t->op == GGML_OP_CLAMP || t->op == GGML_OP_ADD;

		for (i = 0; i < GGML_MAX_SRC; i++) {
			if (!t->src[i])
				continue;
			if (i == 0 && passes && !c->used[c->graph->nodes[at]])
				continue;
			c->used[index_of(c, t->src[i])] = 1;
		}
	}
}

static bool is_head(const struct counter *c, const struct ggml_tensor *t,
		    const struct ggml_tensor *norm)
{
	if (c->used[index_of(c, t)])
		return false;
	/* A vocabulary is wider than the state, unless it is one of bytes and says so. */
	return t->ne[0] > norm->ne[0] || !strcmp(t->name, "result_output");
}

int infini_ggml_tokens_count(const struct infini_ggml_graph *graph,
			     struct infini_ggml_tokens *tokens)
{
	struct counter c = { .graph = graph, .used = calloc(graph->nr_tensors, 1) };
	int64_t evaluated = 0, generated = 0;
	uint32_t at;

	memset(tokens, 0, sizeof(*tokens));
	if (!c.used)
		return -ENOMEM;
	mark_used(&c);
	for (at = 0; at < graph->nr_nodes; at++) {
		const struct ggml_tensor *t = &graph->tensors[graph->nodes[at]];
		const struct ggml_tensor *norm = projected(&c, t);

		if (!norm)
			continue;
		if (norm->ne[1] > evaluated)
			evaluated = norm->ne[1];
		if (is_head(&c, t, norm))
			generated = t->ne[1];
	}
	free(c.used);
	tokens->evaluated = (uint32_t)evaluated;
	tokens->generated = generated <= SEQUENCES_MAX ? (uint32_t)generated : 0;
	return 0;
}
