// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs for tests.
 */
#include "program.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

char last_message[256];

static unsigned int rows, failed_rows, failed_checks;

void check_that(bool holds, const char *what, const char *file, int line)
{
	if (holds)
		return;
	failed_checks++;
	printf("# %s:%d: %s does not hold; the backend said: %s\n", file, line, what,
	       last_message);
}

void row_done(const char *name)
{
	printf("%sok %u - %s\n", failed_checks ? "not " : "", ++rows, name);
	fflush(stdout);
	if (failed_checks)
		failed_rows++;
	failed_checks = 0;
}

int tests_done(void)
{
	printf("1..%u\n", rows);
	return failed_rows ? 1 : 0;
}

int arena_make(struct arena *arena, size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);

	/* ggml wants buffers at multiples of 32. */
	arena->bytes = (bytes + 31) & ~(size_t)31;
	arena->map_bytes = (arena->bytes + page - 1) / page * page + page;
	arena->map = mmap(NULL, arena->map_bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (arena->map == MAP_FAILED)
		return -ENOMEM;
	mprotect((char *)arena->map + arena->map_bytes - page, page, PROT_NONE);
	arena->base = (unsigned char *)arena->map + arena->map_bytes - page - arena->bytes;
	return 0;
}

void arena_free(struct arena *arena)
{
	munmap(arena->map, arena->map_bytes);
}

struct infini_ggml_program *program_head(const struct program *program)
{
	return (struct infini_ggml_program *)program->data;
}

struct infini_ggml_tensor *program_tensor(const struct program *program, uint32_t index)
{
	return (struct infini_ggml_tensor *)(program_head(program) + 1) + index;
}

uint32_t *program_nodes(const struct program *program)
{
	return (uint32_t *)program_tensor(program, program_head(program)->nr_tensors);
}

struct ggml_context *context_make(void)
{
	struct ggml_init_params params = {
		.mem_size = 4096 * ggml_tensor_overhead() + ggml_graph_overhead_custom(4096, false),
		.no_alloc = true,
	};

	return ggml_init(params);
}

static uint32_t index_of(struct ggml_context *ctx, const struct ggml_tensor *wanted)
{
	struct ggml_tensor *t;
	uint32_t i = 0;

	for (t = ggml_get_first_tensor(ctx); t && t != wanted; t = ggml_get_next_tensor(ctx, t))
		i++;
	return t ? i : INFINI_GGML_NONE;
}

static void convert(struct program *program, struct ggml_context *ctx,
		    const struct ggml_tensor *t, struct infini_ggml_tensor *out)
{
	int i;

	memset(out, 0, sizeof(*out));
	out->type = t->type;
	out->op = t->op;
	out->flags = t->op == GGML_OP_NONE ? 0 : (uint32_t)t->flags | GGML_TENSOR_FLAG_COMPUTE;
	for (i = 0; i < GGML_MAX_DIMS; i++) {
		out->ne[i] = (uint64_t)t->ne[i];
		out->nb[i] = t->nb[i];
	}
	memcpy(out->op_params, t->op_params, sizeof(out->op_params));
	memcpy(out->name, t->name, sizeof(out->name));
	for (i = 0; i < GGML_MAX_SRC; i++)
		out->src[i] = t->src[i] ? index_of(ctx, t->src[i]) : INFINI_GGML_NONE;
	out->view_src = INFINI_GGML_NONE;
	if (t->view_src) {
		out->view_src = index_of(ctx, t->view_src);
		out->view_offs = t->view_offs;
		out->offset = program_tensor(program, out->view_src)->offset + t->view_offs;
		return;
	}
	out->offset = program->arena_bytes;
	program->arena_bytes += (ggml_nbytes(t) + 63) & ~(size_t)63;
}

void program_make(struct program *program, struct ggml_context *ctx)
{
	uint32_t nr = 0, nodes = 0;
	struct ggml_tensor *t;

	for (t = ggml_get_first_tensor(ctx); t; t = ggml_get_next_tensor(ctx, t)) {
		nr++;
		nodes += t->op != GGML_OP_NONE;
	}
	program->arena_bytes = 0;
	program->bytes = sizeof(struct infini_ggml_program) +
			 nr * sizeof(struct infini_ggml_tensor) + nodes * sizeof(uint32_t);
	program->data = calloc(1, program->bytes);
	*program_head(program) = (struct infini_ggml_program){
		.magic = INFINI_GGML_MAGIC,
		.version = INFINI_GGML_VERSION,
		.ops = GGML_OP_COUNT,
		.types = GGML_TYPE_COUNT,
		.nr_tensors = nr,
		.nr_nodes = nodes,
		.nr_bindings = 1,
	};
	nr = nodes = 0;
	for (t = ggml_get_first_tensor(ctx); t; t = ggml_get_next_tensor(ctx, t)) {
		convert(program, ctx, t, program_tensor(program, nr));
		if (t->op != GGML_OP_NONE)
			program_nodes(program)[nodes++] = nr;
		nr++;
	}
}

void program_free(struct program *program)
{
	free(program->data);
	program->data = NULL;
}

size_t program_offset(const struct program *program, struct ggml_context *ctx,
		      const struct ggml_tensor *t)
{
	return program_tensor(program, index_of(ctx, t))->offset;
}

uint32_t next_random(uint64_t *seed)
{
	/* Knuth's MMIX constants; the upper half is the better one. */
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33);
}

static void fill_leaf(const struct infini_ggml_tensor *t, unsigned char *at, uint64_t *seed)
{
	uint64_t i, n = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];

	if (t->type == GGML_TYPE_F32) {
		for (i = 0; i < n; i++)
			((float *)at)[i] = (float)next_random(seed) / (1u << 30) - 1;
	} else if (t->type == GGML_TYPE_F16) {
		for (i = 0; i < n; i++)
			((ggml_fp16_t *)at)[i] = ggml_fp32_to_fp16(
				(float)next_random(seed) / (1u << 30) - 1);
	} else if (t->type == GGML_TYPE_I32) {
		for (i = 0; i < n; i++)
			((int32_t *)at)[i] = (int32_t)(next_random(seed) & 1);
	} else if (t->type == GGML_TYPE_I64) {
		for (i = 0; i < n; i++)
			((int64_t *)at)[i] = (int64_t)(next_random(seed) & 1);
	} else {
		n = n / (uint64_t)ggml_blck_size(t->type) * ggml_type_size(t->type);
		for (i = 0; i < n; i++)
			at[i] = (unsigned char)next_random(seed) & 0x3f;
	}
}

void fill_leaves(const struct program *program, unsigned char *base, uint64_t seed)
{
	uint32_t i;

	for (i = 0; i < program_head(program)->nr_tensors; i++) {
		const struct infini_ggml_tensor *t = program_tensor(program, i);

		if (t->op == GGML_OP_NONE && t->view_src == INFINI_GGML_NONE)
			fill_leaf(t, base + t->offset, &seed);
	}
}

int program_run(struct infini_backend *backend, struct infini_backend_program *loaded,
		struct arena *arena)
{
	const struct infini_backend_ops *ops = &infini_backend_ops;
	struct infini_backend_buffer buffer = {
		.id = 1,
		.type = INFINI_BUFFER_DEVICE,
		.bytes = arena->bytes,
		.addr = arena->base,
	};
	struct infini_backend_binding binding = {
		.buffer = &buffer,
		.access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE,
	};
	struct infini_backend_run run = { .bindings = &binding, .nr_bindings = 1 };
	int ret;

	CHECK(!ops->buffer_add(backend, &buffer));
	ret = ops->program_run(backend, loaded, &run);
	ops->buffer_remove(backend, &buffer);
	return ret;
}

int program_try(struct infini_backend *backend, const struct program *program,
		struct arena *arena)
{
	const struct infini_backend_ops *ops = &infini_backend_ops;
	struct infini_backend_program *loaded;
	int ret = ops->program_load(backend, program->data, program->bytes, &loaded);

	if (ret)
		return ret;
	ret = program_run(backend, loaded, arena);
	ops->program_free(backend, loaded);
	return ret;
}

static void remember(int priority, const char *message)
{
	(void)priority;
	snprintf(last_message, sizeof(last_message), "%s", message);
}

struct infini_backend *backend_open(const char *device, uint32_t threads)
{
	return backend_open_cut(device, threads, 400);
}

struct infini_backend *backend_open_cut(const char *device, uint32_t threads, uint32_t segment_us)
{
	struct infini_backend_open open = {
		.device = device,
		.threads_max = threads,
		.segment_us = segment_us,
		.log = remember,
	};
	struct infini_backend *backend;
	int ret = infini_backend_ops.open(&open, &backend);

	if (!ret)
		return backend;
	printf("Bail out! %s cannot be opened: %s: %s\n", device, strerror(-ret), last_message);
	exit(1);
}
