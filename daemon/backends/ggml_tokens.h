/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How many tokens a graph of a language model carries.
 */
#ifndef INFINI_DAEMON_GGML_TOKENS_H
#define INFINI_DAEMON_GGML_TOKENS_H

#include "ggml_validate.h"

struct infini_ggml_tokens {
	uint32_t evaluated;		/* rows of the hidden state */
	uint32_t generated;		/* rows of logits */
};

/* {0, 0} for a graph that is no language model's. */
int infini_ggml_tokens_count(const struct infini_ggml_graph *graph,
			     struct infini_ggml_tokens *tokens);

#endif /* INFINI_DAEMON_GGML_TOKENS_H */
