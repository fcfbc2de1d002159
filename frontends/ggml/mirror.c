// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Ranges whose contents came back with the last graph: a read of one is a copy in this process.
 */
#include "frontend.h"

#define INFINI_MIRROR_ALIGN	64

/* Where the bytes of @range lie now, or NULL. */
const void *infini_mirror_find_locked(struct infini_link *link, struct infini_range range)
{
	unsigned int i;

	for (i = 0; i < link->nr_mirrors; i++) {
		const struct infini_mirror *mirror = &link->mirrors[i];

		if (mirror->range.area == range.area && mirror->range.offset <= range.offset &&
		    range.offset + range.bytes <= mirror->range.offset + mirror->range.bytes)
			return link->stage.base + mirror->offset +
			       (range.offset - mirror->range.offset);
	}
	return NULL;
}

static uint64_t infini_mirror_align(uint64_t bytes)
{
	return (bytes + INFINI_MIRROR_ALIGN - 1) & ~(uint64_t)(INFINI_MIRROR_ALIGN - 1);
}

/* The room that they take together. */
uint64_t infini_mirror_bytes(const struct infini_range *ranges, unsigned int nr)
{
	uint64_t bytes = 0;

	while (nr)
		bytes += infini_mirror_align(ranges[--nr].bytes);
	return bytes;
}

/* Reserve room for @range; returns its place in the staging buffer, or 0 when there is none. */
uint64_t infini_mirror_add_locked(struct infini_link *link, struct infini_range range)
{
	struct infini_stage *stage = &link->stage;
	uint64_t half = stage->bytes / 2, offset = half + stage->mirrored;

	if (link->nr_mirrors == INFINI_MIRRORS || range.bytes > half - stage->mirrored)
		return 0;
	link->mirrors[link->nr_mirrors++] = (struct infini_mirror){
		.range = range,
		.offset = offset,
	};
	stage->mirrored += infini_mirror_align(range.bytes);
	if (stage->mirrored > half)
		stage->mirrored = half;
	return offset;
}

/* @range is being written. */
void infini_mirror_stale_locked(struct infini_link *link, struct infini_range range)
{
	unsigned int i, kept = 0;

	for (i = 0; i < link->nr_mirrors; i++) {
		if (!infini_range_overlaps(&link->mirrors[i].range, &range))
			link->mirrors[kept++] = link->mirrors[i];
	}
	link->nr_mirrors = kept;
}

void infini_mirror_clear_locked(struct infini_link *link)
{
	link->nr_mirrors = 0;
	link->stage.mirrored = 0;
}

void infini_mirror_forget_locked(struct infini_link *link, const struct infini_area *area)
{
	struct infini_range all = {
		.area = (struct infini_area *)area,
		.bytes = area->bytes,
	};

	infini_mirror_stale_locked(link, all);
}
