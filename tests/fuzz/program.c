// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs of format "ggml": validated and, when they are accepted, run by the CPU device in memory
 * that ends at a forbidden page. Input: a program and, in its last four bytes, how much memory its
 * one binding has.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "../ggml/program.h"

#define ARENA_MAX	(1U << 20)

static struct infini_backend *backend;

void fuzz_begin(void)
{
	backend = backend_open("cpu0", 1);
}

/* ggml copies a tensor onto itself with memcpy(): that garbles the client's own data alone. */
const char *__asan_default_options(void)
{
	return "replace_intrin=0:detect_leaks=0";
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct infini_backend_program *loaded;
	struct arena arena;
	uint32_t room;

	if (bytes < sizeof(room))
		return 0;
	bytes -= sizeof(room);
	memcpy(&room, data + bytes, sizeof(room));
	if (infini_backend_ops.program_load(backend, data, bytes, &loaded))
		return 0;
	if (!arena_make(&arena, room % ARENA_MAX)) {
		memset(arena.base, (int)(room & 1), arena.bytes);
		program_run(backend, loaded, &arena);
		arena_free(&arena);
	}
	infini_backend_ops.program_free(backend, loaded);
	return 0;
}

/* True when what the header counts is there, so that tensors can be changed by name. */
static bool is_whole(const struct program *program)
{
	const struct infini_ggml_program *head = program_head(program);
	uint64_t need = sizeof(*head);

	if (program->bytes < need)
		return false;
	need += head->nr_tensors * (uint64_t)sizeof(struct infini_ggml_tensor);
	need += head->nr_nodes * (uint64_t)sizeof(uint32_t);
	return head->nr_tensors && need <= program->bytes;
}

/* Half of the time by fields, which bytes alone would seldom hit well; never longer. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t bytes, size_t room, unsigned int seed)
{
	struct program program = { .bytes = bytes - sizeof(uint32_t) };
	uint64_t random = seed;

	if (bytes < sizeof(uint32_t) || next_random(&random) % 2)
		return LLVMFuzzerMutate(data, bytes, room);
	program.data = malloc(bytes);
	memcpy(program.data, data, bytes);
	if (is_whole(&program)) {
		program_change(&program, &random);
		memcpy(data, program.data, bytes);
	} else {
		bytes = LLVMFuzzerMutate(data, bytes, room);
	}
	free(program.data);
	return bytes;
}

/* One sound example of every operation. */
void fuzz_seeds(void)
{
	struct ggml_context *ctx = context_make();
	struct program program;
	const char *name;
	uint32_t room;

	for (unsigned int i = 0; case_build(ctx, i, &name); i++) {
		program_make(&program, ctx);
		room = (uint32_t)program.arena_bytes;
		program.data = realloc(program.data, program.bytes + sizeof(room));
		memcpy(program.data + program.bytes, &room, sizeof(room));
		fuzz_seed(program.data, program.bytes + sizeof(room));
		program_free(&program);
		ggml_free(ctx);
		ctx = context_make();
	}
	ggml_free(ctx);
}
