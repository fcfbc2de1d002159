// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Caches of keys that a buffer holds.
 */
#include "ggml_cache.h"

#include <stdlib.h>

#define CACHES_MAX	4	/* of a buffer; a context has one, or two with sliding windows */

struct infini_ggml_ends *infini_ggml_cache_ends(struct infini_backend *backend,
						struct infini_ggml_buffer *buffer,
						uint64_t offset, uint64_t row_bytes)
{
	struct infini_ggml_cache **at = &buffer->caches, *cache;
	unsigned int nr = 0;

	for (; *at && ((*at)->offset != offset || (*at)->row_bytes != row_bytes); nr++) {
		if (nr + 1 == CACHES_MAX)
			break;
		at = &(*at)->next;
	}
	cache = *at;
	if (!cache) {
		cache = calloc(1, sizeof(*cache));
		if (!cache)
			return NULL;
		backend->held_bytes += sizeof(*cache);
	} else {
		*at = cache->next;
	}
	if (cache->offset != offset || cache->row_bytes != row_bytes)
		*cache = (struct infini_ggml_cache){ .offset = offset, .row_bytes = row_bytes };
	/* The one used last stands first, the one that gives way last. */
	cache->next = buffer->caches;
	buffer->caches = cache;
	return &cache->ends;
}

void infini_ggml_cache_written(struct infini_ggml_buffer *buffer, uint64_t offset, uint64_t bytes)
{
	struct infini_ggml_cache *cache;
	uint64_t first, last;

	for (cache = buffer->caches; cache; cache = cache->next) {
		if (!bytes || offset + bytes <= cache->offset)
			continue;
		first = offset > cache->offset ? (offset - cache->offset) / cache->row_bytes : 0;
		last = (offset + bytes - 1 - cache->offset) / cache->row_bytes;
		infini_ggml_ends_forget(&cache->ends, (int64_t)first, (int64_t)(last - first + 1));
	}
}

void infini_ggml_cache_free(struct infini_backend *backend, struct infini_ggml_buffer *buffer)
{
	struct infini_ggml_cache *cache;

	while ((cache = buffer->caches)) {
		buffer->caches = cache->next;
		backend->held_bytes -= sizeof(*cache);
		free(cache);
	}
}
