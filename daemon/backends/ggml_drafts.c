// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which contexts run a draft model.
 */
#include "ggml_drafts.h"

#include <string.h>

/* Sequences of different lengths are computed one after the other. */
#define PIECES_MAX	8

static void batch_remove(struct infini_ggml_drafts *d, uint32_t i)
{
	d->nr_batches--;
	memmove(&d->batches[i], &d->batches[i + 1], (d->nr_batches - i) * sizeof(d->batches[0]));
}

static void batch_add(struct infini_ggml_drafts *d, const struct infini_ggml_seen *batch)
{
	if (d->nr_batches == INFINI_GGML_BATCHES_MAX)
		d->nr_batches--;
	memmove(&d->batches[1], &d->batches[0], d->nr_batches * sizeof(d->batches[0]));
	d->batches[0] = *batch;
	d->nr_batches++;
}

/* Each batch is mirrored once. */
static bool is_mirror(struct infini_ggml_drafts *d, const struct infini_ggml_seen *batch)
{
	uint32_t i;

	for (i = 0; i < d->nr_batches; i++) {
		const struct infini_ggml_seen *other = &d->batches[i];

		if (other->context == batch->context ||
		    other->context >> 32 != batch->context >> 32 || other->nr != batch->nr ||
		    other->places != batch->places)
			continue;
		batch_remove(d, i);
		return true;
	}
	return false;
}

/* Those of @context are older by a step; what was not mirrored by now will not be. */
static void age_batches(struct infini_ggml_drafts *d, uint64_t context, uint32_t by)
{
	uint32_t i;

	for (i = d->nr_batches; i-- > 0; ) {
		if (d->batches[i].context != context)
			continue;
		d->batches[i].age += by;
		if (d->batches[i].age > PIECES_MAX)
			batch_remove(d, i);
	}
}

static bool context_remove(struct infini_ggml_drafts *d, uint64_t context)
{
	uint32_t i;

	for (i = 0; i < d->nr_contexts; i++) {
		if (d->contexts[i] != context)
			continue;
		d->nr_contexts--;
		memmove(&d->contexts[i], &d->contexts[i + 1],
			(d->nr_contexts - i) * sizeof(d->contexts[0]));
		return true;
	}
	return false;
}

static void context_add(struct infini_ggml_drafts *d, uint64_t context)
{
	if (d->nr_contexts == INFINI_GGML_DRAFTS_MAX)
		d->nr_contexts--;
	memmove(&d->contexts[1], &d->contexts[0], d->nr_contexts * sizeof(d->contexts[0]));
	d->contexts[0] = context;
	d->nr_contexts++;
}

bool infini_ggml_drafts_see(struct infini_ggml_drafts *d, const struct infini_ggml_seen *batch)
{
	bool drafts = context_remove(d, batch->context);

	if (batch->nr > 1 && is_mirror(d, batch))
		drafts = true;
	else if (batch->text)
		drafts = false;
	if (drafts) {
		age_batches(d, batch->context, PIECES_MAX + 1);
		context_add(d, batch->context);
		return true;
	}
	if (batch->goes_on)
		age_batches(d, batch->context, 1);
	if (batch->nr > 1)
		batch_add(d, batch);
	return false;
}
