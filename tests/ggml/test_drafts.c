// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which contexts draft: batches of several contexts as llama.cpp's programs make them.
 */
#include <string.h>

#include "ggml_drafts.h"
#include "program.h"

#define STEPS	24

/* Contexts: of one process T the target, D the draft, E a third; of another one O. */
enum { END, T, D, E, O };

static const uint64_t contexts[] = { 0, 7ULL << 32 | 1, 7ULL << 32 | 2, 7ULL << 32 | 3, 8ULL << 32 | 2 };

struct step {
	int context;
	char kind;			/* p prompt, g goes on, v verifies, - nothing of these */
	uint32_t nr;
	uint64_t places;
	bool drafts;
};

static const struct {
	const char *name;
	struct step steps[STEPS];
} stories[] = {
	{ "a target and its draft",
	  { { T, 'p', 9, 100, false }, { D, 'p', 9, 100, true }, { D, 'g', 1, 9, true },
	    { D, 'g', 1, 10, true }, { T, 'v', 3, 101, false }, { D, 'p', 3, 101, true },
	    { D, 'g', 1, 12, true }, { T, 'g', 1, 13, false }, { D, 'g', 1, 13, true } } },
	{ "several slots draft at once",
	  { { T, 'p', 9, 100, false }, { D, 'p', 9, 100, true }, { D, 'g', 3, 9, true },
	    { T, 'v', 12, 101, false }, { D, '-', 12, 101, true }, { D, 'g', 3, 10, true } } },
	{ "a batch in pieces before the first is mirrored",
	  { { T, 'p', 512, 1, false }, { T, 'p', 512, 2, false }, { T, 'p', 100, 3, false },
	    { D, 'p', 512, 1, true }, { D, 'p', 512, 2, true }, { D, 'p', 100, 3, true },
	    { T, 'v', 9, 4, false }, { T, 'g', 2, 5, false }, { D, 'v', 9, 4, true },
	    { D, 'g', 2, 5, true } } },
	{ "two models, each with a prompt of its own",
	  { { T, 'p', 9, 100, false }, { E, 'p', 8, 99, false }, { T, 'g', 1, 9, false },
	    { E, 'g', 1, 8, false } } },
	{ "two models, one after the other with prompts of one length",
	  { { T, 'p', 9, 100, false }, { T, 'g', 1, 9, false }, { T, 'g', 1, 10, false },
	    { T, 'g', 1, 11, false }, { T, 'g', 1, 12, false }, { T, 'g', 1, 13, false },
	    { T, 'g', 1, 14, false }, { T, 'g', 1, 15, false }, { T, 'g', 1, 16, false },
	    { T, 'g', 1, 17, false }, { E, 'p', 9, 100, false }, { E, 'g', 1, 9, false } } },
	{ "a context that warmed up like the other, then writes for itself",
	  { { T, 'p', 2, 1, false }, { E, 'p', 2, 1, true }, { E, 'p', 8, 99, false },
	    { E, 'g', 1, 8, false } } },
	{ "the same places in another process",
	  { { T, 'p', 9, 100, false }, { O, 'p', 9, 100, false } } },
	{ "the same prompt twice in one context",
	  { { T, 'p', 9, 100, false }, { T, 'p', 9, 100, false } } },
	{ "a prompt of one token tells nothing",
	  { { T, 'p', 1, 1, false }, { E, 'p', 1, 1, false } } },
	{ "each batch is mirrored once",
	  { { T, 'p', 9, 100, false }, { D, 'p', 9, 100, true }, { E, 'p', 9, 100, false } } },
};

static void stories_are_told(void)
{
	static struct infini_ggml_drafts drafts;
	const struct step *step;
	size_t i;

	for (i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		memset(&drafts, 0, sizeof(drafts));
		for (step = stories[i].steps; step < stories[i].steps + STEPS; step++) {
			const struct infini_ggml_seen batch = {
				.context = contexts[step->context],
				.nr = step->nr,
				.places = step->places,
				.goes_on = step->kind == 'g' || step->kind == 'v',
				.text = step->kind == 'p' && step->nr > 1,
			};

			if (step->context == END)
				break;
			CHECK(infini_ggml_drafts_see(&drafts, &batch) == step->drafts);
		}
		row_done(stories[i].name);
	}
}

static void many_are_bounded(void)
{
	static struct infini_ggml_drafts drafts;
	struct infini_ggml_seen batch = { .nr = 2, .text = true };
	uint32_t i;

	memset(&drafts, 0, sizeof(drafts));
	for (i = 0; i < 1000; i++) {
		batch.places = i;
		batch.context = 2 * i + 1;
		CHECK(!infini_ggml_drafts_see(&drafts, &batch));
		batch.context = 2 * i + 2;
		CHECK(infini_ggml_drafts_see(&drafts, &batch));
	}
	for (; i < 2000; i++) {
		batch.places = i;
		CHECK(!infini_ggml_drafts_see(&drafts, &batch));
	}
	CHECK(drafts.nr_batches == INFINI_GGML_BATCHES_MAX);
	CHECK(drafts.nr_contexts <= INFINI_GGML_DRAFTS_MAX);
	row_done("more contexts and batches than are remembered");
}

int main(void)
{
	stories_are_told();
	many_are_bounded();
	return tests_done();
}
