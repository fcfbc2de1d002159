// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rows of batches grouped into sequences, with masks as llama.cpp makes them. A case is a story of
 * a cache: batches one after the other, and what each of them should count.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "ggml_sequences.h"
#include "program.h"

#define CELLS	64
#define ROWS	16
#define STEPS	8

/*
 * A row: the sequences it belongs to as a set of bits, its position, and whether its logits are
 * wanted.
 */
struct row {
	uint8_t sequences;
	uint8_t position;
	bool wanted;
};

struct step {
	struct row rows[ROWS];		/* up to one without a sequence */
	uint8_t cut_sequence;		/* before: take rows of this sequence away ... */
	uint8_t cut_from;		/* ... from this position on */
	uint8_t copy_to;		/* before: these sequences get all rows of sequence 1, too */
	uint32_t streams;		/* 0 for 1: else sequence 1, 2, 4 ... lies in a stream of its own */
	struct infini_ggml_counts want;
};

struct story {
	const char *name;
	struct step steps[STEPS];	/* up to one without rows */
};

/* What each cell of the cache holds. */
struct cell {
	uint8_t sequences;
	uint8_t position;
};

static struct cell cache[CELLS];

static void cut(const struct step *step)
{
	int i;

	for (i = 0; i < CELLS; i++) {
		if (cache[i].position >= step->cut_from)
			cache[i].sequences &= ~step->cut_sequence;
		if (cache[i].sequences & 1)
			cache[i].sequences |= step->copy_to;
	}
}

static uint32_t stream_of(const struct step *step, const struct row *row)
{
	return step->streams < 2 ? 0 : (uint32_t)__builtin_ctz(row->sequences);
}

/* The first free cell of the row's stream, as llama.cpp takes it. */
static int64_t place(const struct step *step, const struct row *row)
{
	uint32_t part = CELLS / (step->streams ? step->streams : 1);
	uint32_t i = stream_of(step, row) * part;

	while (cache[i].sequences)
		i++;
	cache[i] = (struct cell){ row->sequences, row->position };
	return i;
}

static bool visible(const struct row *row, int64_t cell)
{
	return (cache[cell].sequences & row->sequences) && cache[cell].position <= row->position;
}

static void fill(const struct infini_ggml_batch *batch, const struct step *step, void *mask)
{
	int64_t at = 0, i;
	uint32_t r;

	for (r = 0; r < batch->nr; r++) {
		const struct row *row = &step->rows[r];

		for (i = 0; i < batch->columns; i++, at++) {
			bool seen = visible(row, i + batch->first + stream_of(step, row) *
						 batch->distance);

			if (batch->half)
				((uint16_t *)mask)[at] = seen ? 0 : 0xfc00;
			else
				((float *)mask)[at] = seen ? 0 : -INFINITY;
		}
	}
}

static void play_step(const struct step *step, bool half, struct infini_ggml_ends *ends)
{
	uint32_t streams = step->streams ? step->streams : 1, nr = 0;
	uint8_t wanted[ROWS];
	int64_t cells[ROWS];
	float mask[ROWS * CELLS];
	struct infini_ggml_counts got;
	struct infini_ggml_batch batch = {
		.nr_streams = streams,
		.cells = cells,
		.wanted = wanted,
		.mask = (char *)mask,
		.half = half,
		.columns = CELLS / streams,
		.row_bytes = CELLS / streams * (half ? 2 : 4),
		.distance = CELLS / streams,
	};

	cut(step);
	for (; nr < ROWS && step->rows[nr].sequences; nr++) {
		cells[nr] = place(step, &step->rows[nr]);
		wanted[nr] = step->rows[nr].wanted;
	}
	batch.nr = nr;
	batch.stream_bytes = nr / streams * batch.row_bytes;
	fill(&batch, step, mask);
	CHECK(!infini_ggml_sequences_count(&batch, ends, &got));
	CHECK(got.generated == step->want.generated);
	CHECK(got.prompts == step->want.prompts);
	CHECK(got.scored == step->want.scored);
}

#define ROW(sequence, position)		{ sequence, position, false }
#define OUT(sequence, position)		{ sequence, position, true }
#define WANT(g, p, s)			.want = { g, p, s, false }

static const struct story stories[] = {
	{ "a prompt and what follows",
	  { { { ROW(1, 0), ROW(1, 1), OUT(1, 2) }, WANT(1, 1, 0) },
	    { { OUT(1, 3) }, WANT(1, 0, 0) }, { { OUT(1, 4) }, WANT(1, 0, 0) } } },
	{ "a prompt in parts, the last of one token",
	  { { { ROW(1, 0), ROW(1, 1) }, WANT(0, 0, 0) }, { { ROW(1, 2), ROW(1, 3) }, WANT(0, 0, 0) },
	    { { OUT(1, 4) }, WANT(1, 1, 0) }, { { OUT(1, 5) }, WANT(1, 0, 0) } } },
	{ "a prompt of one token", { { { OUT(1, 0) }, WANT(1, 1, 0) }, { { OUT(1, 1) }, WANT(1, 0, 0) } } },
	{ "the same prompt again, but for its last token from the cache",
	  { { { ROW(1, 0), ROW(1, 1), OUT(1, 2) }, WANT(1, 1, 0) }, { { OUT(1, 3) }, WANT(1, 0, 0) },
	    { { OUT(1, 2) }, .cut_sequence = 1, .cut_from = 2, WANT(1, 1, 0) },
	    { { OUT(1, 3) }, WANT(1, 0, 0) } } },
	{ "a prompt that ends within the text generated before",
	  { { { ROW(1, 0), OUT(1, 1) }, WANT(1, 1, 0) }, { { OUT(1, 2) }, WANT(1, 0, 0) },
	    { { OUT(1, 3) }, WANT(1, 0, 0) },
	    { { OUT(1, 3) }, .cut_sequence = 1, .cut_from = 3, WANT(1, 1, 0) } } },
	{ "a chat goes on",
	  { { { ROW(1, 0), OUT(1, 1) }, WANT(1, 1, 0) }, { { OUT(1, 2) }, WANT(1, 0, 0) },
	    { { ROW(1, 3), ROW(1, 4), OUT(1, 5) }, WANT(1, 1, 0) }, { { OUT(1, 6) }, WANT(1, 0, 0) } } },
	{ "three slots: two prompts end in one batch, one is a part",
	  { { { ROW(1, 0), OUT(1, 1), ROW(2, 0), ROW(2, 1), OUT(2, 2), ROW(4, 0), ROW(4, 1) },
	      WANT(2, 2, 0) },
	    { { OUT(1, 2), OUT(2, 3), ROW(4, 2), OUT(4, 3) }, WANT(3, 1, 0) },
	    { { OUT(1, 3), OUT(2, 4), OUT(4, 4) }, WANT(3, 0, 0) } } },
	{ "neighbours in place are no neighbours in sequence",
	  { { { ROW(1, 0), OUT(1, 1) }, WANT(1, 1, 0) }, { { ROW(2, 0), ROW(2, 1), OUT(2, 2) }, WANT(1, 1, 0) },
	    { { OUT(1, 2), OUT(2, 3) }, WANT(2, 0, 0) } } },
	{ "streams: each sequence has a part of the cache",
	  { { { ROW(1, 0), OUT(1, 1), ROW(2, 0), OUT(2, 1) }, .streams = 2, WANT(2, 2, 0) },
	    { { OUT(1, 2), OUT(2, 2) }, .streams = 2, WANT(2, 0, 0) },
	    { { ROW(1, 3), OUT(1, 4), OUT(2, 3), OUT(2, 4) }, .streams = 2, WANT(1, 1, 2) } } },
	{ "a text is scored",
	  { { { ROW(1, 0), ROW(1, 1), OUT(1, 2), OUT(1, 3), ROW(2, 0), ROW(2, 1), OUT(2, 2),
		OUT(2, 3) }, WANT(0, 0, 8) } } },
	{ "a row of logits that is not the last",
	  { { { ROW(1, 0), OUT(1, 1), ROW(1, 2) }, WANT(0, 0, 3) } } },
	{ "drafted tokens: all kept, some kept, none kept",
	  { { { ROW(1, 0), OUT(1, 1) }, WANT(1, 1, 0) },
	    { { OUT(1, 2), OUT(1, 3), OUT(1, 4) }, WANT(0, 0, 3) },
	    { { OUT(1, 5), OUT(1, 6), OUT(1, 7) }, WANT(0, 0, 3) },
	    { { OUT(1, 7), OUT(1, 8) }, .cut_sequence = 1, .cut_from = 7, WANT(0, 0, 2) },
	    { { OUT(1, 8) }, .cut_sequence = 1, .cut_from = 8, WANT(1, 0, 0) },
	    { { OUT(1, 9) }, WANT(1, 0, 0) } } },
	{ "drafted tokens beside another slot's step",
	  { { { ROW(1, 0), OUT(1, 1), ROW(2, 0), OUT(2, 1) }, WANT(2, 2, 0) },
	    { { OUT(1, 2), OUT(1, 3), OUT(2, 2) }, WANT(1, 0, 2) } } },
	{ "drafted tokens apart from the row before them, and dropped",
	  { { { ROW(1, 0), OUT(1, 1) }, WANT(1, 1, 0) }, { { OUT(1, 2) }, WANT(1, 0, 0) },
	    { { OUT(1, 3), OUT(1, 4) }, WANT(0, 0, 2) },
	    { { OUT(1, 3) }, .cut_sequence = 1, .cut_from = 3, WANT(1, 0, 0) } } },
	{ "sequences made from one",
	  { { { ROW(1, 0), OUT(1, 1) }, WANT(1, 1, 0) },
	    { { OUT(1, 2), OUT(2, 2), OUT(4, 2) }, .copy_to = 6, WANT(3, 0, 0) } } },
	{ "a cell that held an end is taken by another sequence",
	  { { { ROW(1, 0), OUT(1, 1) }, WANT(1, 1, 0) },
	    { { ROW(2, 0), ROW(2, 1) }, .cut_sequence = 1, WANT(0, 0, 0) },
	    { { OUT(2, 2) }, WANT(1, 1, 0) } } },
};

static void stories_are_told(void)
{
	struct infini_ggml_ends ends;
	const struct step *step;
	size_t i;
	int half;

	for (i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		for (half = 0; half < 2; half++) {
			memset(cache, 0, sizeof(cache));
			memset(&ends, 0, sizeof(ends));
			for (step = stories[i].steps; step < stories[i].steps + STEPS; step++)
				if (step->rows[0].sequences)
					play_step(step, half, &ends);
		}
		row_done(stories[i].name);
	}
}

/* Cells are any numbers a client likes, and sequences and ends are bounded. */
static void hostile_batches_are_harmless(void)
{
	static int64_t cells[2048];
	static uint8_t wanted[2048];
	static struct infini_ggml_ends ends;
	static uint16_t mask[2048];
	struct infini_ggml_counts counts;
	struct infini_ggml_batch batch = {
		.nr = 2048, .nr_streams = 1, .cells = cells, .wanted = wanted, .mask = (char *)mask,
		.half = true, .columns = 1, .row_bytes = 2, .first = 1 << 20, .distance = INT32_MAX,
	};
	uint32_t i;

	for (i = 0; i < 2048; i++) {
		cells[i] = i % 3 ? (int64_t)i : i % 2 ? INT64_MIN : INT64_MAX;
		wanted[i] = 1;
	}
	CHECK(infini_ggml_sequences_count(&batch, &ends, &counts) == -E2BIG && !ends.nr);
	row_done("more sequences than llama.cpp runs");
	for (batch.nr = 256; batch.cells < cells + 2048; batch.cells += 256)
		CHECK(!infini_ggml_sequences_count(&batch, &ends, &counts) &&
		      counts.generated == 256);
	CHECK(ends.nr == INFINI_GGML_ENDS_MAX);
	infini_ggml_ends_forget(&ends, 0, INT64_MAX);
	for (i = 0; i < ends.nr; i++)
		CHECK(ends.cells[i] < 0 || ends.cells[i] == INT64_MAX);
	row_done("cells beyond all bounds");
}

int main(void)
{
	stories_are_told();
	hostile_batches_are_harmless();
	return tests_done();
}
