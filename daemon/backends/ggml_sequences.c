// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which rows of a batch belong to one sequence, and what the rows of each sequence are for.
 */
#include "ggml_sequences.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HALF_MINUS_INFINITY	0xfc00

/* llama.cpp runs at most so many sequences, so a row's sequence is met within so many rows. */
#define LOOK_BACK	256

/* The rows of one sequence. */
struct group {
	uint32_t first;
	uint32_t last;
	uint32_t nr;
	uint32_t nr_wanted;
};

struct grouping {
	const struct infini_ggml_batch *batch;
	struct group *groups;
	uint32_t nr;
	uint32_t *of;			/* by row: index of its group */
};

static bool sees(const struct infini_ggml_batch *batch, uint32_t row, int64_t cell)
{
	uint32_t in_stream = batch->nr / batch->nr_streams;
	uint32_t stream = row / in_stream;
	/* Of cells we know nothing: what wraps is out of range. */
	uint64_t column = (uint64_t)cell - (uint64_t)batch->first -
			  stream * (uint64_t)batch->distance;
	const char *at;
	uint16_t half;
	float value;

	if (column >= (uint64_t)batch->columns)
		return false;
	at = batch->mask + stream * batch->stream_bytes + row % in_stream * batch->row_bytes;
	if (batch->half) {
		memcpy(&half, at + column * sizeof(half), sizeof(half));
		return half != HALF_MINUS_INFINITY;
	}
	memcpy(&value, at + column * sizeof(value), sizeof(value));
	return value != -INFINITY;
}

/* The nearest row before @row that it sees, or @row itself. */
static uint32_t continued(const struct infini_ggml_batch *batch, uint32_t row)
{
	uint32_t in_stream = batch->nr / batch->nr_streams;
	uint32_t least = row - row % in_stream, i;

	if (row - least > LOOK_BACK)
		least = row - LOOK_BACK;
	for (i = row; i-- > least; )
		if (sees(batch, row, batch->cells[i]))
			return i;
	return row;
}

/* More sequences than llama.cpp runs are none of its, and asking on would take long. */
static int group_rows(struct grouping *g)
{
	const struct infini_ggml_batch *batch = g->batch;
	uint32_t row, before;
	struct group *group;

	for (row = 0; row < batch->nr; row++) {
		before = continued(batch, row);
		if (before == row && g->nr == LOOK_BACK)
			return -E2BIG;
		g->of[row] = before == row ? g->nr : g->of[before];
		group = &g->groups[g->of[row]];
		if (before == row) {
			*group = (struct group){ .first = row };
			g->nr++;
		}
		group->last = row;
		group->nr++;
		group->nr_wanted += batch->wanted[row];
	}
	return 0;
}

static bool is_scored(const struct infini_ggml_batch *batch, const struct group *group)
{
	return group->nr_wanted > 1 || (group->nr_wanted && !batch->wanted[group->last]);
}

/* ---- ends ---- */

static void end_remove(struct infini_ggml_ends *ends, uint32_t i)
{
	ends->nr--;
	memmove(&ends->cells[i], &ends->cells[i + 1], (ends->nr - i) * sizeof(ends->cells[0]));
}

static void end_add(struct infini_ggml_ends *ends, int64_t cell)
{
	if (ends->nr == INFINI_GGML_ENDS_MAX)
		end_remove(ends, 0);
	ends->cells[ends->nr++] = cell;
}

void infini_ggml_ends_forget(struct infini_ggml_ends *ends, int64_t first, int64_t nr)
{
	uint32_t i;

	for (i = ends->nr; i-- > 0; )
		if ((uint64_t)ends->cells[i] - (uint64_t)first < (uint64_t)nr)
			end_remove(ends, i);
}

/* Before any mask is asked about an end: a row of the batch may have taken its cell. */
static void forget_taken(const struct infini_ggml_batch *batch, struct infini_ggml_ends *ends)
{
	uint32_t row;

	for (row = 0; row < batch->nr && ends->nr; row++)
		infini_ggml_ends_forget(ends, batch->cells[row], 1);
}

/* Does @row continue an end? What it sees is marked in @seen. */
static bool see_ends(const struct infini_ggml_batch *batch, const struct infini_ggml_ends *ends,
		     uint32_t row, uint8_t *seen)
{
	bool any = false;
	uint32_t i;

	for (i = 0; i < ends->nr; i++) {
		if (!sees(batch, row, ends->cells[i]))
			continue;
		seen[i] = 1;
		any = true;
	}
	return any;
}

/* ---- counting ---- */

/*
 * Of drafted tokens any may be the last that is kept, so each is an end; what is not kept is not
 * seen any more.
 */
static void add_ends(const struct grouping *g, struct infini_ggml_ends *ends)
{
	uint32_t row;

	for (row = 0; row < g->batch->nr; row++)
		if (g->batch->wanted[row])
			end_add(ends, g->batch->cells[row]);
}

/* Sequences that were made from one continue the same end. */
static void count_groups(const struct grouping *g, struct infini_ggml_ends *ends,
			 struct infini_ggml_counts *counts)
{
	uint8_t seen[INFINI_GGML_ENDS_MAX] = { 0 };
	bool continues;
	uint32_t i;

	for (i = 0; i < g->nr; i++) {
		const struct group *group = &g->groups[i];

		/* Drafted tokens may be dropped: what is before them stays an end. */
		if (is_scored(g->batch, group)) {
			counts->scored += group->nr;
			continue;
		}
		continues = see_ends(g->batch, ends, group->first, seen);
		counts->text |= group->nr > 1;
		counts->generated += group->nr_wanted;
		counts->prompts += group->nr_wanted && (group->nr > 1 || !continues);
	}
	for (i = ends->nr; i-- > 0; )
		if (seen[i])
			end_remove(ends, i);
}

int infini_ggml_sequences_count(const struct infini_ggml_batch *batch,
				struct infini_ggml_ends *ends, struct infini_ggml_counts *counts)
{
	struct grouping g = { .batch = batch };
	int ret;

	memset(counts, 0, sizeof(*counts));
	if (!batch->nr)
		return 0;
	g.groups = malloc(batch->nr * sizeof(*g.groups));
	g.of = malloc(batch->nr * sizeof(*g.of));
	if (!g.groups || !g.of) {
		free(g.groups);
		free(g.of);
		return -ENOMEM;
	}
	forget_taken(batch, ends);
	ret = group_rows(&g);
	if (!ret) {
		count_groups(&g, ends, counts);
		add_ends(&g, ends);
	}
	free(g.groups);
	free(g.of);
	return ret;
}
