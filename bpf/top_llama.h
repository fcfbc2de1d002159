/* SPDX-License-Identifier: GPL-2.0-only */
/* infinitop: counting where processes call libllama. */
#ifndef INFINI_TOP_LLAMA_H
#define INFINI_TOP_LLAMA_H

#include <stdbool.h>

#define TOP_LLAMA_FILES	16

struct infinitop;

/**
 * struct top_llama - the files that are watched
 * @path: NULL for the libllama that the system's programs load
 */
struct top_llama {
	const char *path[TOP_LLAMA_FILES];
	int nr;
};

/* One more file; false, and said, if there are too many. */
bool top_llama_add(struct top_llama *llama, const char *path);
/* Before the programs are loaded: those that are wanted. */
void top_llama_prepare(const struct top_llama *llama, struct infinitop *skeleton);
/* Once they are: 0, or the exit status after a line that says why. */
int top_llama_attach(const struct top_llama *llama, struct infinitop *skeleton);
void top_llama_detach(void);

#endif /* INFINI_TOP_LLAMA_H */
