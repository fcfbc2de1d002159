// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A graph with the attention of a language model, each time spoilt in one place that only the
 * counting of tokens looks at: the run is counted by its shape, or the program is refused.
 */
#include "program.h"

#include <errno.h>

#define WIDTH	64
#define ROWS	4
#define WANTED	2
#define CELLS	32

static struct program program;
static struct ggml_context *context;

/* What the rows of the table spoil. */
static struct ggml_tensor *mask, *cast, *ids, *cache, *stored, *keys, *idle;

static struct infini_ggml_tensor *at(const struct ggml_tensor *tensor)
{
	struct ggml_tensor *t = ggml_get_first_tensor(context);
	uint32_t i = 0;

	for (; t != tensor; t = ggml_get_next_tensor(context, t))
		i++;
	return program_tensor(&program, i);
}

static struct ggml_tensor *normed(struct ggml_context *c, struct ggml_tensor *x)
{
	return ggml_mul(c, ggml_rms_norm(c, x, 1e-5f),
			ggml_new_tensor_1d(c, GGML_TYPE_F32, WIDTH));
}

static struct ggml_tensor *times(struct ggml_context *c, int64_t out, struct ggml_tensor *x)
{
	return ggml_mul_mat(c, ggml_new_tensor_2d(c, GGML_TYPE_F16, WIDTH, out), x);
}

static struct ggml_tensor *attend(struct ggml_context *c, struct ggml_tensor *x)
{
	struct ggml_tensor *scores, *values = ggml_new_tensor_2d(c, GGML_TYPE_F16, CELLS, WIDTH);
	struct ggml_tensor *slots = ggml_new_tensor_1d(c, GGML_TYPE_I64, ROWS);

	cache = ggml_new_tensor_2d(c, GGML_TYPE_F16, WIDTH, CELLS);
	mask = ggml_new_tensor_2d(c, GGML_TYPE_F32, CELLS, ROWS);
	cast = ggml_cpy(c, mask, ggml_new_tensor_2d(c, GGML_TYPE_F16, CELLS, ROWS));
	stored = ggml_set_rows(c, cache, times(c, WIDTH, x), slots);
	keys = ggml_view_2d(c, cache, WIDTH, CELLS, cache->nb[1], 0);
	scores = ggml_mul_mat(c, keys, times(c, WIDTH, x));
	return ggml_mul_mat(c, values, ggml_soft_max_ext(c, scores, cast, 1, 0));
}

static void build(void)
{
	struct ggml_context *c = context = context_make();
	struct ggml_tensor *x = ggml_new_tensor_2d(c, GGML_TYPE_F32, WIDTH, ROWS), *y;

	ids = ggml_new_tensor_1d(c, GGML_TYPE_I32, WANTED);
	idle = ggml_get_rows(c, x, ids);
	y = attend(c, normed(c, x));
	x = ggml_add(c, ggml_get_rows(c, y, ids), ggml_get_rows(c, x, ids));
	times(c, 8 * WIDTH, normed(c, x));
	program_make(&program, c);
	at(idle)->flags &= ~GGML_TENSOR_FLAG_COMPUTE;
}

static void strides(const struct ggml_tensor *tensor, uint64_t row)
{
	at(tensor)->nb[1] = row;
}

/* By the mask all rows are one text that is scored; by the shape they end a prompt. */
#define BY_MASK		ROWS
#define BY_SHAPE	0

#define ROW(name, text, error, scored, ...) static void name(void) { __VA_ARGS__; }
#define TABLE \
	ROW(sound, "as it should be", 0, BY_MASK, (void)0) \
	ROW(no_sources, "a selection that nobody computes, without sources", 0, BY_MASK, \
	    at(idle)->src[0] = at(idle)->src[1] = INFINI_GGML_NONE) \
	ROW(one_number, "indices that are all in one place", 0, BY_SHAPE, at(ids)->nb[0] = 0) \
	ROW(far_numbers, "indices with gaps", 0, BY_SHAPE, at(ids)->nb[0] = 8) \
	ROW(no_mask, "an empty mask behind a copy that nobody makes", 0, BY_SHAPE, \
	    at(cast)->flags &= ~GGML_TENSOR_FLAG_COMPUTE; at(mask)->ne[3] = 0) \
	ROW(one_cell, "a cache whose cells are all in one place", EINVAL, 0, \
	    strides(cache, 0); strides(stored, 0); strides(keys, 0))
TABLE
#undef ROW

#define ROW(name, text, error, scored, ...) { text, error, scored, name },
static const struct {
	const char *name;
	int error;
	uint32_t scored;
	void (*spoil)(void);
} rows[] = { TABLE };

/* The program as it is now: what loading or running it says. */
static int count(struct infini_backend *backend, struct infini_backend_run *run)
{
	const struct infini_backend_ops *ops = &infini_backend_ops;
	struct infini_backend_buffer buffer = { .id = 1, .type = INFINI_BUFFER_DEVICE };
	struct infini_backend_binding binding = {
		.buffer = &buffer,
		.access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE,
	};
	struct infini_backend_program *loaded;
	struct arena arena;
	int ret;

	CHECK(!arena_make(&arena, program.arena_bytes));
	fill_leaves(&program, arena.base, 1);
	buffer.bytes = arena.bytes;
	buffer.addr = arena.base;
	CHECK(!ops->buffer_add(backend, &buffer));
	*run = (struct infini_backend_run){ .bindings = &binding, .nr_bindings = 1 };
	ret = ops->program_load(backend, program.data, program.bytes, &loaded);
	if (!ret) {
		ret = ops->program_run(backend, loaded, run);
		ops->program_free(backend, loaded);
	}
	ops->buffer_remove(backend, &buffer);
	arena_free(&arena);
	return ret;
}

static void unbuild(void)
{
	program_free(&program);
	ggml_free(context);
}

int main(void)
{
	struct infini_backend *backend = backend_open("cpu0", 1);
	struct infini_backend_run run;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		build();
		rows[i].spoil();
		CHECK(count(backend, &run) == -rows[i].error);
		CHECK(run.tokens_evaluated == (rows[i].error ? 0 : ROWS));
		CHECK(run.tokens_scored == rows[i].scored);
		unbuild();
		row_done(rows[i].name);
	}
	infini_backend_ops.close(backend);
	return tests_done();
}
