/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Of which kinds the tokens of a run are: known once its inputs are there.
 */
#ifndef INFINI_DAEMON_GGML_KINDS_H
#define INFINI_DAEMON_GGML_KINDS_H

#include "ggml_buffer.h"
#include "ggml_sequences.h"
#include "ggml_tokens.h"

/* Just before the first segment. Where the inputs do not say it, the shape has to. */
void infini_ggml_kinds_count(struct infini_backend *backend, const struct infini_ggml_graph *graph,
			     const struct infini_ggml_tokens *tokens,
			     const struct infini_backend_run *run,
			     struct infini_ggml_counts *counts);

#endif /* INFINI_DAEMON_GGML_KINDS_H */
