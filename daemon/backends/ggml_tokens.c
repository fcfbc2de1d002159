// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Recognising tokens by the shape of a graph.
 *
 * A transformer's hidden state is a matrix of one row per token. Every layer normalises it and
 * multiplies it with weights, which are leaves; the first layers see all tokens, the last may see
 * only those whose logits are wanted. Logits are the product of the normalised hidden state with
 * one more matrix of weights that nothing but a scaling or a cap uses further.
 *
 * Of its inputs, the mask of the first attention says which rows belong together, the indices with
 * which keys are written where each row lies, and the indices with which rows are picked for the
 * head whose logits are wanted. What they hold is looked at when the graph runs.
 *
 * A hostile graph can look like anything: counts are a service to honest clients and the basis
 * of rates together with what the client says; what binds everybody is occupancy.
 */
#include "ggml_tokens.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* One job cannot carry more, says the module. */
#define TOKENS_MAX	(1 << 20)

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

/* By its shape: nothing reads it, and a vocabulary is wider than the state. */
/* By its shape: nothing reads it, and a vocabulary is wider than the state. */
static bool is_head(const struct counter *c, const struct ggml_tensor *t,
		    const struct ggml_tensor *norm)
{
	return !c->used[index_of(c, t)] && t->ne[0] > norm->ne[0];
}

/* By its name: a sampler on the device reads it, or no row of it is wanted. */
static const struct ggml_tensor *named_head(const struct infini_ggml_graph *graph)
{
	const struct ggml_tensor *t = NULL;
	uint32_t i;
	int depth;

	for (i = 0; i < graph->nr_tensors && !t; i++)
		if (!strcmp(graph->tensors[i].name, "result_output"))
			t = &graph->tensors[i];
	for (depth = 0; t && depth < 8 && t->op != GGML_OP_MUL_MAT; depth++)
		t = t->src[0];
	return t && t->op == GGML_OP_MUL_MAT && is_matrix(t) ? t : NULL;
}

/* llama.cpp calls them so whether they are pooled or not. */
static bool has_embeddings(const struct infini_ggml_graph *graph)
{
	uint32_t at;

	for (at = 0; at < graph->nr_nodes; at++)
		if (!strcmp(graph->tensors[graph->nodes[at]].name, "result_embd_pooled"))
			return true;
	return false;
}

/* ---- attention ---- */

/* What @t was copied, cast or cut from. */
static const struct ggml_tensor *origin(const struct ggml_tensor *t)
{
	int depth;

	for (depth = 0; t && depth < 8; depth++) {
		switch (t->op) {
		case GGML_OP_CPY:
		case GGML_OP_DUP:
		case GGML_OP_CONT:
			t = t->src[0];
			break;
		default:
			return t;
		}
	}
	return NULL;
}

/* The keys behind the scores @t, or NULL. */
static const struct ggml_tensor *scored_keys(const struct ggml_tensor *t)
{
	int depth;

	for (depth = 0; t && depth < 8; depth++) {
		if (t->op == GGML_OP_MUL_MAT)
			return t->src[0];
		t = t->src[0];
	}
	return NULL;
}

static bool find_mask(const struct infini_ggml_graph *graph, const struct ggml_tensor **mask,
		      const struct ggml_tensor **keys)
{
	uint32_t at;

	*mask = *keys = NULL;
	for (at = 0; at < graph->nr_nodes && !*mask; at++) {
		const struct ggml_tensor *t = &graph->tensors[graph->nodes[at]];

		if (t->op == GGML_OP_FLASH_ATTN_EXT) {
			*mask = t->src[3];
			*keys = t->src[1];
		} else if (t->op == GGML_OP_SOFT_MAX) {
			*mask = t->src[1];
			*keys = scored_keys(t->src[0]);
		}
	}
	*mask = origin(*mask);
	*keys = origin(*keys);
	return *mask && *keys;
}

static const struct ggml_tensor *find_cache(const struct infini_ggml_graph *graph,
					    const struct ggml_tensor *keys)
{
	uint32_t at;

	for (at = 0; at < graph->nr_nodes; at++) {
		const struct ggml_tensor *t = &graph->tensors[graph->nodes[at]];

		if (t->op == GGML_OP_SET_ROWS && keys->nb[1] && t->nb[1] == keys->nb[1] &&
		    infini_ggml_places_overlap(&graph->places[graph->nodes[at]],
					       &graph->places[keys - graph->tensors]))
			return t;
	}
	return NULL;
}

/* The leaf that picks the rows for the head. */
static const struct ggml_tensor *find_ids(const struct counter *c,
					  const struct infini_ggml_tokens *tokens)
{
	uint32_t at;

	/* Nodes alone: what is not computed was not checked, and may lack sources. */
	for (at = 0; at < c->graph->nr_nodes; at++) {
		const struct ggml_tensor *t = &c->graph->tensors[c->graph->nodes[at]];

		if (t->op == GGML_OP_GET_ROWS && t->src[0]->ne[1] == tokens->evaluated &&
		    !is_leaf(c, t->src[0]) && t->src[1]->op == GGML_OP_NONE &&
		    t->src[1]->type == GGML_TYPE_I32 && t->src[1]->ne[0] == tokens->wanted &&
		    ggml_is_vector(t->src[1]) && ggml_is_contiguous(t->src[1]))
			return t->src[1];
	}
	return NULL;
}

/* The leaf that turns keys and queries. */
static uint32_t find_positions(const struct counter *c, const struct infini_ggml_tokens *tokens)
{
	uint32_t at;

	for (at = 0; at < c->graph->nr_nodes; at++) {
		const struct ggml_tensor *t = &c->graph->tensors[c->graph->nodes[at]];

		if (t->op == GGML_OP_ROPE && is_leaf(c, t->src[1]) &&
		    t->src[1]->ne[0] % tokens->evaluated == 0)
			return index_of(c, t->src[1]);
	}
	return INFINI_GGML_NONE;
}

static bool fits_batch(const struct counter *c, const struct infini_ggml_tokens *tokens,
		       const struct ggml_tensor *mask, const struct ggml_tensor *cells)
{
	int64_t rows = tokens->evaluated, streams = mask->ne[3];

	return is_leaf(c, mask) && !ggml_is_empty(mask) && mask->ne[2] == 1 &&
	       rows % streams == 0 && mask->ne[1] >= rows / streams && ggml_is_contiguous(mask) &&
	       (mask->type == GGML_TYPE_F16 || mask->type == GGML_TYPE_F32) && is_leaf(c, cells) &&
	       (cells->type == GGML_TYPE_I64 || cells->type == GGML_TYPE_I32) &&
	       ggml_is_vector(cells) && ggml_is_contiguous(cells) && cells->ne[0] == rows;
}

static void find_attention(const struct counter *c, struct infini_ggml_tokens *tokens)
{
	struct infini_ggml_attention *a = &tokens->attention;
	const struct ggml_tensor *mask, *keys, *cache, *ids;
	int64_t bytes;

	if (!find_mask(c->graph, &mask, &keys))
		return;
	cache = find_cache(c->graph, keys);
	ids = find_ids(c, tokens);
	if (!cache || !fits_batch(c, tokens, mask, cache->src[1]) ||
	    (!ids && tokens->wanted && tokens->wanted < tokens->evaluated))
		return;
	a->mask = index_of(c, mask);
	a->cells = index_of(c, cache->src[1]);
	a->cache = index_of(c, cache);
	a->ids = ids && tokens->wanted ? index_of(c, ids) : INFINI_GGML_NONE;
	a->positions = find_positions(c, tokens);
	bytes = (int64_t)c->graph->places[index_of(c, keys)].offset -
		(int64_t)c->graph->places[a->cache].offset;
	a->first = bytes / (int64_t)keys->nb[1];
	a->distance = (int64_t)(keys->nb[3] / keys->nb[1]);
	tokens->attends = bytes >= 0;
}

/* ---- counting ---- */

static uint32_t bounded(int64_t rows)
{
	return rows < TOKENS_MAX ? (uint32_t)rows : TOKENS_MAX;
}

int infini_ggml_tokens_count(const struct infini_ggml_graph *graph,
			     struct infini_ggml_tokens *tokens)
{
	struct counter c = { .graph = graph, .used = calloc(graph->nr_tensors, 1) };
	const struct ggml_tensor *head = named_head(graph);
	int64_t evaluated = 0, wanted = head ? head->ne[1] : 0;
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
		if (!head && is_head(&c, t, norm))
			wanted = t->ne[1];
	}
	tokens->evaluated = bounded(evaluated);
	tokens->wanted = bounded(wanted < evaluated ? wanted : evaluated);
	tokens->embeds = evaluated && has_embeddings(graph);
	if (evaluated && !tokens->embeds)
		find_attention(&c, tokens);
	free(c.used);
	return 0;
}
