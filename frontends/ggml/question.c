// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the real device can do and how much room it needs: asked once, then remembered.
 *
 * A question is known by all that its answer may depend on: the op with its parameters, and type,
 * shape, strides and kind of memory of the tensor and of its sources. ggml asks thousands before its
 * first token, of which a hundred differ, so what is sent is only written for those.
 */
#include "frontend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INFINI_ANSWERS_LEAST	1024

struct infini_question {
	struct infini_ggml_ask ask;
	struct infini_ggml_tensor tensors[1 + INFINI_GGML_SRC_MAX];
};

#define INFINI_KEY_TENSOR	(1 + 2 * GGML_MAX_DIMS)
#define INFINI_KEY_PARAMS	(GGML_MAX_OP_PARAMS / sizeof(uint64_t))
#define INFINI_KEY_MOST		(2 + INFINI_KEY_PARAMS + (1 + INFINI_GGML_SRC_MAX) * INFINI_KEY_TENSOR)

void infini_question_header(struct infini_ggml_ask *ask, uint32_t question, uint32_t nr_tensors)
{
	*ask = (struct infini_ggml_ask){
		.magic = INFINI_GGML_MAGIC,
		.version = INFINI_GGML_VERSION,
		.ops = GGML_OP_COUNT,
		.types = GGML_TYPE_COUNT,
		.question = question,
		.nr_tensors = nr_tensors,
	};
}

/* The kind of memory a tensor is in or is to be in; a buffer of no size names a kind too. */
static uint32_t infini_question_kind(const struct ggml_tensor *tensor)
{
	ggml_backend_buffer_t buffer = tensor->view_src && tensor->view_src->buffer ?
				       tensor->view_src->buffer : tensor->buffer;
	uint32_t kind;

	return buffer && infini_device_kind(buffer->buft, &kind) ? kind : INFINI_GGML_NONE;
}

/* A tensor by itself: no sources, no view, no place. */
void infini_question_tensor(struct infini_ggml_tensor *out, const struct ggml_tensor *tensor)
{
	int i;

	memset(out, 0, sizeof(*out));
	out->type = tensor->type;
	out->op = GGML_OP_NONE;
	out->binding = infini_question_kind(tensor);
	out->view_src = INFINI_GGML_NONE;
	for (i = 0; i < GGML_MAX_DIMS; i++) {
		out->ne[i] = (uint64_t)tensor->ne[i];
		out->nb[i] = tensor->nb[i];
	}
	for (i = 0; i < INFINI_GGML_SRC_MAX; i++)
		out->src[i] = INFINI_GGML_NONE;
}

static uint64_t *infini_question_key_tensor(uint64_t *to, const struct ggml_tensor *tensor)
{
	*to++ = (uint64_t)infini_question_kind(tensor) << 32 | tensor->type;
	memcpy(to, tensor->ne, sizeof(tensor->ne));
	to += GGML_MAX_DIMS;
	memcpy(to, tensor->nb, sizeof(tensor->nb));
	return to + GGML_MAX_DIMS;
}

static void infini_question_key(uint64_t key[2], const struct infini_ggml_ask *what,
				const struct ggml_tensor *op)
{
	uint64_t words[INFINI_KEY_MOST], *to = words + 2, sources = 0;
	int i;

	memcpy(to, op->op_params, sizeof(op->op_params));
	to = infini_question_key_tensor(to + INFINI_KEY_PARAMS, op);
	for (i = 0; i < INFINI_GGML_SRC_MAX; i++) {
		if (!op->src[i])
			continue;
		sources |= 1ULL << i;
		to = infini_question_key_tensor(to, op->src[i]);
	}
	words[0] = (uint64_t)what->question << 32 | what->kind;
	words[1] = sources << 32 | op->op;
	infini_hash(key, words, (size_t)(to - words) * sizeof(*to));
}

/* Returns its bytes. */
static size_t infini_question_fill(struct infini_question *question, const struct infini_ggml_ask *what,
				   const struct ggml_tensor *op)
{
	uint32_t i, nr = 1;

	infini_question_tensor(&question->tensors[0], op);
	question->tensors[0].op = op->op;
	memcpy(question->tensors[0].op_params, op->op_params,
	       sizeof(question->tensors[0].op_params));
	for (i = 0; i < INFINI_GGML_SRC_MAX; i++) {
		if (!op->src[i])
			continue;
		question->tensors[0].src[i] = nr;
		infini_question_tensor(&question->tensors[nr++], op->src[i]);
	}
	infini_question_header(&question->ask, what->question, nr);
	question->ask.kind = what->kind;
	return sizeof(question->ask) + nr * sizeof(question->tensors[0]);
}

/* The slot of @key, or the free one where it belongs. There always is a free one. */
static struct infini_answer *infini_answers_slot(const struct infini_answers *answers,
						 const uint64_t key[2])
{
	size_t at = key[0] & (answers->capacity - 1);

	while (answers->slots[at].key[0] | answers->slots[at].key[1]) {
		if (answers->slots[at].key[0] == key[0] && answers->slots[at].key[1] == key[1])
			break;
		at = (at + 1) & (answers->capacity - 1);
	}
	return &answers->slots[at];
}

static int infini_answers_grow(struct infini_answers *answers)
{
	struct infini_answers bigger = {
		.capacity = answers->capacity ? answers->capacity * 2 : INFINI_ANSWERS_LEAST,
		.nr = answers->nr,
	};
	size_t i;

	bigger.slots = calloc(bigger.capacity, sizeof(bigger.slots[0]));
	if (!bigger.slots)
		return -ENOMEM;
	for (i = 0; i < answers->capacity; i++) {
		if (answers->slots[i].key[0] | answers->slots[i].key[1])
			*infini_answers_slot(&bigger, answers->slots[i].key) = answers->slots[i];
	}
	free(answers->slots);
	*answers = bigger;
	return 0;
}

void infini_answers_free(struct infini_answers *answers)
{
	free(answers->slots);
	memset(answers, 0, sizeof(*answers));
}

/* Forgetting an answer for want of memory only costs asking again. */
static void infini_answers_keep(struct infini_answers *answers, const uint64_t key[2],
				uint64_t value)
{
	if ((answers->nr + 1) * 2 > answers->capacity && infini_answers_grow(answers))
		return;
	*infini_answers_slot(answers, key) = (struct infini_answer){
		.key = { key[0], key[1] },
		.value = value,
	};
	answers->nr++;
}

static int infini_question_put_locked(struct infini_link *link, const struct infini_ggml_ask *what,
				      const struct ggml_tensor *op, uint64_t *value)
{
	struct infini_question question;
	struct infini_job *job;
	int err = infini_link_start_locked(link);

	if (err)
		return err;
	job = infini_submit_job_locked(link);
	job->op = INFINI_OP_ASK;
	job->program_format = INFINI_FORMAT_GGML;
	job->args = (uintptr_t)&question;
	job->args_bytes = infini_question_fill(&question, what, op);
	infini_trace_add(INFINI_TRACE_ASKED, 1);
	err = infini_submit_last_locked(link, value);
	/* A refusal is an answer; anything else would come back with each of 4,000 questions. */
	if (err && err != -EINVAL && err != -EOPNOTSUPP)
		infini_submit_break_locked(link, err, "asking the executor");
	return err;
}

/* @what: only question and kind are looked at. */
static int infini_question_ask(struct infini_link *link, const struct infini_ggml_ask *what,
			       const struct ggml_tensor *op, uint64_t *value)
{
	const struct infini_answer *known;
	uint64_t key[2];
	int err = 0;

	infini_question_key(key, what, op);
	pthread_mutex_lock(&link->lock);
	known = link->answers.capacity ? infini_answers_slot(&link->answers, key) : NULL;
	if (known && (known->key[0] | known->key[1])) {
		*value = known->value;
		infini_trace_add(INFINI_TRACE_REMEMBERED, 1);
	} else {
		err = infini_question_put_locked(link, what, op, value);
		if (!err)
			infini_answers_keep(&link->answers, key, *value);
	}
	pthread_mutex_unlock(&link->lock);
	return err;
}

bool infini_question_supports(struct infini_link *link, const struct ggml_tensor *op)
{
	const struct infini_ggml_ask what = { .question = INFINI_GGML_ASK_SUPPORTS };
	uint64_t value;

	return !infini_question_ask(link, &what, op, &value) && value;
}

/* Only these can need more room than their bytes: ggml checks it. */
static bool infini_question_may_expand(const struct ggml_tensor *tensor)
{
	return tensor->op == GGML_OP_NONE || ggml_is_quantized(tensor->type) ||
	       !ggml_op_alloc_size_may_expand || ggml_op_alloc_size_may_expand(tensor->op);
}

size_t infini_question_alloc_size(struct infini_link *link, uint32_t kind,
				  const struct ggml_tensor *tensor)
{
	const struct infini_ggml_ask what = { .question = INFINI_GGML_ASK_ALLOC_SIZE, .kind = kind };
	size_t least = ggml_nbytes(tensor);
	uint64_t value;

	if (!infini_question_may_expand(tensor) ||
	    infini_question_ask(link, &what, tensor, &value) || value < least)
		return least;
	return value;
}
