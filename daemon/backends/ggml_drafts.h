/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which contexts run a draft model. What such a one generates is not for the reader: it is proposed
 * to another context of the same process, which verifies it.
 *
 * llama.cpp has the draft model evaluate each batch of the other right after it: the prompt first,
 * so a context is known to draft before it has generated anything. Two rows or more in the very
 * places of a batch that another context of the process evaluated a moment ago are such a mirror; a
 * text that is none is of a context that writes for itself. A batch may be computed in several
 * pieces before the first of them is mirrored.
 */
#ifndef INFINI_DAEMON_GGML_DRAFTS_H
#define INFINI_DAEMON_GGML_DRAFTS_H

#include <stdbool.h>
#include <stdint.h>

#define INFINI_GGML_BATCHES_MAX	64
#define INFINI_GGML_DRAFTS_MAX	64

/**
 * struct infini_ggml_seen - a batch as it is compared
 * @context: request id of its jobs: the process in the upper half
 * @nr: rows
 * @places: hash of their positions
 * @goes_on: a sequence goes on in it, or drafted tokens are verified
 * @text: a sequence has several rows of a prompt in it
 * @age: batches in which its context has gone on since
 */
struct infini_ggml_seen {
	uint64_t context;
	uint32_t nr;
	uint64_t places;
	bool goes_on;
	bool text;
	uint32_t age;
};

/* The batches that may be mirrored, and the contexts that draft, the newest first. */
struct infini_ggml_drafts {
	struct infini_ggml_seen batches[INFINI_GGML_BATCHES_MAX];
	uint32_t nr_batches;
	uint64_t contexts[INFINI_GGML_DRAFTS_MAX];
	uint32_t nr_contexts;
};

/* Takes note of @batch; true if its context drafts. */
bool infini_ggml_drafts_see(struct infini_ggml_drafts *drafts,
			    const struct infini_ggml_seen *batch);

#endif /* INFINI_DAEMON_GGML_DRAFTS_H */
