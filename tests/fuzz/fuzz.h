/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every fuzz target here has: libFuzzer's functions, and seeds that it makes itself. */
#ifndef INFINI_TESTS_FUZZ_H
#define INFINI_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* libFuzzer's. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t bytes, size_t room);
const char *__asan_default_options(void);

/* The target's: what it needs before the first input, and fuzz_seed() for each sound input. */
void fuzz_begin(void);
void fuzz_seeds(void);
/* One more file in the folder of seeds. */
void fuzz_seed(const void *data, size_t bytes);

/* What was computed is needed, so the compiler keeps it. */
static inline void fuzz_use(unsigned int value)
{
	__asm__ volatile("" : : "r"(value));
}

#endif /* INFINI_TESTS_FUZZ_H */
