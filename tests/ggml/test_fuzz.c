// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Sound programs with a few fields changed at random. Whatever is accepted is run on memory that
 * ends at a forbidden page: the backend must neither abort nor touch what lies behind.
 *
 *	test_fuzz [ROUNDS [SEED]]
 */
#include "program.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS	6000

/*
 * A changed program may well copy a tensor onto itself: ggml then calls memcpy() on ranges that
 * overlap, which garbles the client's own data and nothing else.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "replace_intrin=0:handle_segv=0:handle_abort=0:handle_sigbus=0:handle_sigfpe=0";
}

static uint64_t current_seed;
static const char *current_name;

/* Reading a 64-bit number with a base of its own keeps this usable in a signal handler. */
static void crashed(int number)
{
	char line[160];
	int n = snprintf(line, sizeof(line), "Bail out! signal %d in \"%s\", seed %llu; %s\n",
			 number, current_name, (unsigned long long)current_seed, last_message);

	if (write(STDOUT_FILENO, line, (size_t)n) < 0)
		_exit(2);
	_exit(1);
}

/* 1 when the changed program was accepted */
static int one_round(struct infini_backend *backend, struct ggml_context *ctx, uint64_t seed)
{
	struct infini_backend_program *loaded;
	struct program program;
	struct arena arena;
	int ret;

	program_make(&program, ctx);
	if (next_random(&seed) % 2)
		program_resize(&program, &seed);
	arena_make(&arena, program.arena_bytes);
	fill_leaves(&program, arena.base, seed);
	program_change(&program, &seed);
	if (next_random(&seed) % 8 == 0)
		memset(arena.base, 0xff, arena.bytes);
	ret = infini_backend_ops.program_load(backend, program.data, program.bytes, &loaded);
	if (!ret) {
		program_run(backend, loaded, &arena);
		infini_backend_ops.program_free(backend, loaded);
	}
	arena_free(&arena);
	program_free(&program);
	return !ret;
}

int main(int argc, char **argv)
{
	unsigned long rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : ROUNDS, i, accepted = 0;
	uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
	struct infini_backend *backend = backend_open("cpu0", 1);
	struct ggml_context *ctx;
	unsigned int which = 0;

	signal(SIGSEGV, crashed);
	signal(SIGBUS, crashed);
	signal(SIGFPE, crashed);
	signal(SIGABRT, crashed);
	for (i = 0; i < rounds; i++, which++) {
		ctx = context_make();
		if (!case_build(ctx, which, &current_name)) {
			ggml_free(ctx);
			ctx = context_make();
			which = 0;
			case_build(ctx, which, &current_name);
		}
		current_seed = seed + i;
		/* The seed chooses the case as well, so that one number repeats a crash. */
		if (argc > 3)
			which = (unsigned int)strtoul(argv[3], NULL, 0);
		accepted += (unsigned long)one_round(backend, ctx, current_seed);
		ggml_free(ctx);
	}
	infini_backend_ops.close(backend);
	printf("# %lu of %lu changed programs were accepted and run\n", accepted, rounds);
	CHECK(rounds < 1000 || accepted > rounds / 10);
	row_done("changed programs are refused or run within their memory");
	return tests_done();
}
