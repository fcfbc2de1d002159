/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Caches of keys that a buffer holds: which of their rows are ends of sequences.
 */
#ifndef INFINI_DAEMON_GGML_CACHE_H
#define INFINI_DAEMON_GGML_CACHE_H

#include "ggml_buffer.h"
#include "ggml_sequences.h"

/* A cache whose cells, of @row_bytes each, begin at @offset of the buffer. */
struct infini_ggml_cache {
	struct infini_ggml_cache *next;
	uint64_t offset;
	uint64_t row_bytes;
	struct infini_ggml_ends ends;
};

/* The ends of a cache, none if it was not known. NULL without memory. */
struct infini_ggml_ends *infini_ggml_cache_ends(struct infini_backend *backend,
						struct infini_ggml_buffer *buffer,
						uint64_t offset, uint64_t row_bytes);

/* @bytes at @offset were written from outside: what ended there is gone. */
void infini_ggml_cache_written(struct infini_ggml_buffer *buffer, uint64_t offset, uint64_t bytes);

void infini_ggml_cache_free(struct infini_backend *backend, struct infini_ggml_buffer *buffer);

#endif /* INFINI_DAEMON_GGML_CACHE_H */
