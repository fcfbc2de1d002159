// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Small writes that wait for the next graph, to ride inside its submission.
 *
 * They come after every job collected so far and before the next graph. Whatever must come after
 * one of them turns them all into COPY jobs first; what touches other bytes may overtake them.
 */
#include "frontend.h"

#include <string.h>

bool infini_range_overlaps(const struct infini_range *a, const struct infini_range *b)
{
	return a->area == b->area && a->offset < b->offset + b->bytes &&
	       b->offset < a->offset + a->bytes;
}

static uint32_t infini_defer_room(const struct infini_link *link)
{
	uint64_t room = link->query.max_inline_bytes;

	if (room > sizeof(link->inline_bytes))
		room = sizeof(link->inline_bytes);
	return room > sizeof(struct infini_ggml_run) ? room - sizeof(struct infini_ggml_run) : 0;
}

static unsigned int infini_defer_count(const struct infini_link *link)
{
	return link->query.max_copies < INFINI_LINK_COPIES ? link->query.max_copies :
							      INFINI_LINK_COPIES;
}

/* The same bytes written again replace what waits, unless something in between touches them. */
static bool infini_defer_replace(struct infini_link *link, const struct infini_range *range,
				 const void *data, bool *overlaps)
{
	struct infini_deferred *same = NULL;
	unsigned int i, touching = 0;

	for (i = 0; i < link->nr_deferred; i++) {
		struct infini_deferred *deferred = &link->deferred[i];

		if (!infini_range_overlaps(&deferred->range, range))
			continue;
		touching++;
		if (deferred->range.offset == range->offset &&
		    deferred->range.bytes == range->bytes)
			same = deferred;
	}
	*overlaps = touching;
	if (!same || touching != 1)
		return false;
	memcpy(link->inline_bytes + same->data, data, range->bytes);
	return true;
}

/* False: too large to ride along, write it another way. */
bool infini_defer_write_locked(struct infini_link *link, struct infini_range range,
			       const void *data)
{
	uint32_t padded = (range.bytes + 7) & ~7ULL;
	bool overlaps;

	if (range.bytes > infini_defer_room(link) || padded > infini_defer_room(link) ||
	    !infini_defer_count(link))
		return false;
	if (infini_defer_replace(link, &range, data, &overlaps))
		return true;
	if (overlaps || link->nr_deferred >= infini_defer_count(link) ||
	    link->inline_used + padded > infini_defer_room(link))
		infini_defer_flush_locked(link);
	link->deferred[link->nr_deferred++] = (struct infini_deferred){
		.range = range,
		.data = link->inline_used,
	};
	memcpy(link->inline_bytes + link->inline_used, data, range.bytes);
	link->inline_used += padded;
	range.area->written = true;
	return true;
}

void infini_defer_flush_locked(struct infini_link *link)
{
	unsigned int i, nr = link->nr_deferred;

	link->nr_deferred = 0;
	link->inline_used = 0;
	for (i = 0; i < nr; i++)
		infini_stage_write_locked(link, link->deferred[i].range,
					  link->inline_bytes + link->deferred[i].data);
}

void infini_defer_flush_overlap_locked(struct infini_link *link, struct infini_range range)
{
	unsigned int i;

	for (i = 0; i < link->nr_deferred; i++) {
		if (infini_range_overlaps(&link->deferred[i].range, &range)) {
			infini_defer_flush_locked(link);
			return;
		}
	}
}

/* The area goes: nobody will see what was to be written there. */
void infini_defer_forget_locked(struct infini_link *link, const struct infini_area *area)
{
	unsigned int i, kept = 0;

	for (i = 0; i < link->nr_deferred; i++) {
		if (link->deferred[i].range.area != area)
			link->deferred[kept++] = link->deferred[i];
	}
	link->nr_deferred = kept;
	if (!kept)
		link->inline_used = 0;
}
