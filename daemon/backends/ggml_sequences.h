/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which rows of a batch belong to one sequence, and what the rows of each sequence are for.
 *
 * A row is written into one cell of a cache of keys, and its mask says which cells it sees: those
 * of its own sequence, as far as they stand before it. Thus a row that sees an earlier row of the
 * batch continues it. A sequence without a row of logits is a part of a prompt; with one, its last,
 * it is the end of a prompt or one step of generation; with more it is scored: the text of a
 * perplexity, or drafted tokens that are verified.
 *
 * A single row is a step of generation if it continues a row whose logits were wanted and that
 * nothing has continued yet: an end. Else it is a prompt of one token, or what is left of a prompt
 * that was in the cache. A prompt of one token that continues an end cannot be told from a step.
 */
#ifndef INFINI_DAEMON_GGML_SEQUENCES_H
#define INFINI_DAEMON_GGML_SEQUENCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INFINI_GGML_ROWS_MAX	4096	/* of a batch; llama.cpp takes 512 at once as a rule */
#define INFINI_GGML_ENDS_MAX	1024

/**
 * struct infini_ggml_ends - rows of logits in one cache that nothing has continued yet
 * @cells: where they are, the oldest first
 */
struct infini_ggml_ends {
	uint32_t nr;
	int64_t cells[INFINI_GGML_ENDS_MAX];
};

/**
 * struct infini_ggml_batch - the rows that one graph evaluates
 * @nr: up to INFINI_GGML_ROWS_MAX
 * @nr_streams: parts of the cache, with an equal number of rows each; divides @nr
 * @cells: of each row
 * @wanted: of each row: its logits are
 * @mask: by stream, row of it and cell; what is not minus infinity is seen
 * @half: its values are 16 bits wide, else 32
 * @columns: cells of a stream that the mask covers
 * @row_bytes: of the mask; likewise @stream_bytes
 * @first: cell of the first column
 * @distance: cells from one stream to the next
 */
struct infini_ggml_batch {
	uint32_t nr;
	uint32_t nr_streams;
	const int64_t *cells;
	const uint8_t *wanted;
	const char *mask;
	bool half;
	int64_t columns;
	size_t row_bytes;
	size_t stream_bytes;
	int64_t first;
	int64_t distance;
};

/* @text: a sequence has several rows of a prompt */
struct infini_ggml_counts {
	uint32_t generated;
	uint32_t prompts;
	uint32_t scored;
	bool text;
};

/* Counts @batch and notes in @ends what it continues and where it ends. 0, -ENOMEM, or
 * -E2BIG for more sequences than llama.cpp runs. */
int infini_ggml_sequences_count(const struct infini_ggml_batch *batch,
				struct infini_ggml_ends *ends, struct infini_ggml_counts *counts);

/* Cells from @first, @nr of them, hold something else now. */
void infini_ggml_ends_forget(struct infini_ggml_ends *ends, int64_t first, int64_t nr);

#endif /* INFINI_DAEMON_GGML_SEQUENCES_H */
