// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Batches for infinitop --uprobe. Compiled twice: with LIBRARY into what looks like libllama, and
 * into the program that calls it in all the ways that there are to say which rows are wanted.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As in llama.h. */
struct llama_batch {
	int32_t n_tokens;
	int32_t *token;
	float *embd;
	int32_t *pos;
	int32_t *n_seq_id;
	int32_t **seq_id;
	int8_t *logits;
};

int32_t llama_decode(void *context, struct llama_batch batch);

#ifdef LIBRARY
/* The context is what to return. */
int32_t llama_decode(void *context, struct llama_batch batch)
{
	(void)batch;
	return (int32_t)(intptr_t)context;
}
#else
#define ROWS_MAX	5000

static int8_t flags[ROWS_MAX];

static void decode(const char *what, int32_t status, int32_t rows, int8_t *logits)
{
	struct llama_batch batch = { .n_tokens = rows, .logits = logits };

	if (llama_decode((void *)(intptr_t)status, batch) != status) {
		fprintf(stderr, "%s: wrong status\n", what);
		exit(1);
	}
}

int main(void)
{
	/* Evaluated and generated, added up: 8 and 1, */
	decode("a prompt whose last row is wanted", 0, 8, NULL);
	/* 1 and 1, */
	flags[0] = 1;
	decode("a step", 0, 1, flags);
	/* 63 and 2: behind the last row anything may stand, */
	memset(flags, 0, sizeof(flags));
	flags[0] = flags[62] = flags[63] = flags[64] = 1;
	decode("less than a chunk", 0, 63, flags);
	/* 5000 and 3: any value but 0, */
	memset(flags, 0, sizeof(flags));
	flags[0] = 1;
	flags[64] = -1;
	flags[ROWS_MAX - 1] = 127;
	decode("more than a page", 0, ROWS_MAX, flags);
	/* 512 and 0, */
	memset(flags, 0, sizeof(flags));
	decode("part of a prompt", 0, 512, flags);
	/* 256 and 256, */
	memset(flags, 1, sizeof(flags));
	decode("a text that is scored", 0, 256, flags);
	/* and nothing: no room, an error, no rows. */
	decode("no room", 1, 8, NULL);
	decode("an error", -1, 8, NULL);
	decode("no rows", 0, 0, NULL);
	return 0;
}
#endif
