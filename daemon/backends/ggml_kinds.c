// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Of which kinds the tokens of a run are.
 */
#include "ggml_kinds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ggml_cache.h"
#include "ggml_content.h"

/*
 * Without a mask: llama.cpp runs at most so many sequences at once, each of which generates from
 * one row, and who evaluates more than it wants has a prompt.
 */
#define SEQUENCES_MAX	256

/* Read back from a device for each run: more is not worth it. */
#define MASK_BYTES_MAX	(32u << 20)

static void count_shape(const struct infini_ggml_tokens *tokens, struct infini_ggml_counts *counts)
{
	memset(counts, 0, sizeof(*counts));
	if (tokens->embeds)
		return;
	if (tokens->wanted > SEQUENCES_MAX) {
		counts->scored = tokens->evaluated;
		return;
	}
	counts->generated = tokens->wanted;
	counts->prompts = tokens->wanted && tokens->evaluated > tokens->wanted;
}

struct inputs {
	struct infini_backend *backend;
	const struct infini_ggml_graph *graph;
	const struct infini_backend_run *run;
};

static int read_input(const struct inputs *in, uint32_t tensor, const char **data)
{
	return infini_ggml_content_read(in->backend, &in->graph->places[tensor], in->run->bindings, data);
}

/* Numbers of a leaf, taken over: a client could change them under our eyes. */
static int read_numbers(const struct inputs *in, uint32_t tensor, int64_t *numbers)
{
	const struct ggml_tensor *t = &in->graph->tensors[tensor];
	const char *data;
	int32_t number;
	int64_t i;
	int ret;

	ret = read_input(in, tensor, &data);
	if (ret)
		return ret;
	if (t->type == GGML_TYPE_I64) {
		memcpy(numbers, data, (size_t)t->ne[0] * sizeof(*numbers));
		return 0;
	}
	for (i = 0; i < t->ne[0]; i++) {
		memcpy(&number, data + (size_t)i * sizeof(number), sizeof(number));
		numbers[i] = number;
	}
	return 0;
}

/* @numbers has room for as many as there are rows. */
static int read_wanted(const struct inputs *in, const struct infini_ggml_tokens *tokens,
		       int64_t *numbers, uint8_t *wanted)
{
	uint32_t i;
	int ret;

	if (tokens->attention.ids == INFINI_GGML_NONE) {
		memset(wanted, tokens->wanted != 0, tokens->evaluated);
		return 0;
	}
	ret = read_numbers(in, tokens->attention.ids, numbers);
	if (ret)
		return ret;
	memset(wanted, 0, tokens->evaluated);
	for (i = 0; i < tokens->wanted; i++)
		if (numbers[i] >= 0 && numbers[i] < tokens->evaluated)
			wanted[numbers[i]] = 1;
	return 0;
}

static int check_mask(const struct inputs *in, uint32_t mask)
{
	const struct infini_ggml_place *place = &in->graph->places[mask];
	bool in_place = in->run->bindings[place->binding].buffer->addr;

	return in_place || place->bytes <= MASK_BYTES_MAX ? 0 : -E2BIG;
}

/* The mask is read last: it stays where it was read to. */
static int count_batch(const struct inputs *in, const struct infini_ggml_tokens *tokens,
		       int64_t *cells, uint8_t *wanted, struct infini_ggml_counts *counts)
{
	const struct infini_ggml_attention *a = &tokens->attention;
	const struct ggml_tensor *mask = &in->graph->tensors[a->mask];
	const struct infini_ggml_place *cache = &in->graph->places[a->cache];
	struct infini_ggml_batch batch = {
		.nr = tokens->evaluated,
		.nr_streams = (uint32_t)mask->ne[3],
		.cells = cells,
		.wanted = wanted,
		.half = mask->type == GGML_TYPE_F16,
		.columns = mask->ne[0],
		.row_bytes = mask->nb[1],
		.stream_bytes = mask->nb[3],
		.first = a->first,
		.distance = a->distance,
	};
	struct infini_ggml_ends *ends;
	int ret;

	ret = check_mask(in, a->mask);
	if (!ret)
		ret = read_wanted(in, tokens, cells, wanted);
	if (!ret)
		ret = read_numbers(in, a->cells, cells);
	if (!ret)
		ret = read_input(in, a->mask, &batch.mask);
	if (ret)
		return ret;
	ends = infini_ggml_cache_ends(in->backend, in->run->bindings[cache->binding].buffer->priv,
				      cache->offset, in->graph->tensors[a->cache].nb[1]);
	return ends ? infini_ggml_sequences_count(&batch, ends, counts) : -ENOMEM;
}

/* FNV-1a */
static uint64_t hash(const char *data, uint64_t bytes)
{
	uint64_t value = 0xcbf29ce484222325;

	while (bytes--)
		value = (value ^ (uint8_t)*data++) * 0x100000001b3;
	return value;
}

/* What a draft model generates is for the one that verifies it. */
static void count_draft(const struct inputs *in, const struct infini_ggml_tokens *tokens,
			struct infini_ggml_counts *counts)
{
	uint32_t steps = counts->generated - counts->prompts;
	struct infini_ggml_seen batch = {
		.context = in->run->request,
		.nr = tokens->evaluated,
		.goes_on = steps || counts->scored,
		.text = counts->text,
	};
	uint32_t positions = tokens->attention.positions;
	const char *data;

	if (!batch.context || positions == INFINI_GGML_NONE || read_input(in, positions, &data))
		return;
	batch.places = hash(data, in->graph->places[positions].bytes);
	if (infini_ggml_drafts_see(&in->backend->drafts, &batch))
		*counts = (struct infini_ggml_counts){ .scored = tokens->evaluated };
}

void infini_ggml_kinds_count(struct infini_backend *backend, const struct infini_ggml_graph *graph,
			     const struct infini_ggml_tokens *tokens,
			     const struct infini_backend_run *run,
			     struct infini_ggml_counts *counts)
{
	const struct inputs in = { backend, graph, run };
	int64_t *cells;
	uint8_t *wanted;
	int ret = -ENOMEM;

	if (!tokens->attends || tokens->evaluated > INFINI_GGML_ROWS_MAX) {
		count_shape(tokens, counts);
		return;
	}
	cells = malloc(tokens->evaluated * sizeof(*cells));
	wanted = malloc(tokens->evaluated);
	if (cells && wanted)
		ret = count_batch(&in, tokens, cells, wanted, counts);
	free(cells);
	free(wanted);
	if (ret)
		count_shape(tokens, counts);
	else
		count_draft(&in, tokens, counts);
}
