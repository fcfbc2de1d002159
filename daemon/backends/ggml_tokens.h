/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many tokens a graph of a language model carries.
 */
#ifndef INFINI_DAEMON_GGML_TOKENS_H
#define INFINI_DAEMON_GGML_TOKENS_H

#include "ggml_validate.h"

/**
 * struct infini_ggml_attention - where the first attention of a graph says who sees whom
 * @mask: leaf: by stream and row, the cells it sees
 * @cells: leaf: where each row is written in the cache of keys
 * @ids: leaf: the rows whose logits are wanted; INFINI_GGML_NONE for all
 * @positions: leaf: of the rows in their sequences, or INFINI_GGML_NONE
 * @cache: the cache of keys, as it is written
 * @first: cell of the mask's first column
 * @distance: cells from one stream to the next
 */
struct infini_ggml_attention {
	uint32_t mask;
	uint32_t cells;
	uint32_t ids;
	uint32_t positions;
	uint32_t cache;
	int64_t first;
	int64_t distance;
};

/**
 * struct infini_ggml_tokens - what the shape of a graph says
 * @evaluated: rows of the hidden state
 * @wanted: rows of logits
 * @embeds: its result are embeddings
 * @attends: @attention is known
 */
struct infini_ggml_tokens {
	uint32_t evaluated;
	uint32_t wanted;
	bool embeds;
	bool attends;
	struct infini_ggml_attention attention;
};

/* {0, 0} for a graph that is no language model's. 0 or -ENOMEM. */
int infini_ggml_tokens_count(const struct infini_ggml_graph *graph,
			     struct infini_ggml_tokens *tokens);

#endif /* INFINI_DAEMON_GGML_TOKENS_H */
