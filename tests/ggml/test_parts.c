// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Matrix products that are computed in parts: the bits of the whole product, for every type and
 * kind of memory, for one column and for many, with one thread and with two, at one go and with another
 * product computed between any two parts.
 */
#include "program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHTS_BYTES	(1 << 20)

static const struct infini_backend_ops *ops = &infini_backend_ops;

static const enum ggml_type types[] = {
	GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q4_0, GGML_TYPE_Q4_1,
	GGML_TYPE_Q5_0, GGML_TYPE_Q5_1, GGML_TYPE_Q8_0, GGML_TYPE_Q2_K, GGML_TYPE_Q3_K,
	GGML_TYPE_Q4_K, GGML_TYPE_Q5_K, GGML_TYPE_Q6_K, GGML_TYPE_IQ4_NL, GGML_TYPE_IQ4_XS,
	GGML_TYPE_MXFP4,
};

static const struct shape {
	int64_t inner, rows, columns;
	bool whole;			/* cannot be cut */
} shapes[] = {
	{ 256, 64, 1, false },
	{ 512, 208, 1, false },
	{ 256, 64, 3, false },
	{ 256, 64, 70, false },
	{ 256, 160, 129, false },
	{ 256, 72, 100, false },	/* columns only */
	{ 256, 72, 5, true },
};

/* A product, and where it is computed. */
struct product {
	struct ggml_context *ctx;
	struct ggml_tensor *w, *x, *y;
	struct program program;
	struct arena arena;
};

static void fill(struct product *p, uint64_t seed)
{
	int64_t i, n = ggml_nelements(p->w);
	float *from = malloc((size_t)n * sizeof(float));
	unsigned char *w = p->arena.base + program_offset(&p->program, p->ctx, p->w);
	float *x = (float *)(p->arena.base + program_offset(&p->program, p->ctx, p->x));

	for (i = 0; i < n; i++)
		from[i] = (float)next_random(&seed) / (1u << 30) - 1;
	if (p->w->type == GGML_TYPE_F32)
		memcpy(w, from, (size_t)n * sizeof(float));
	else
		ggml_quantize_chunk(p->w->type, from, w, 0, p->w->ne[1], p->w->ne[0], NULL);
	free(from);
	for (i = 0; i < ggml_nelements(p->x); i++)
		x[i] = (float)next_random(&seed) / (1u << 30) - 1;
}

static void product_open(struct product *p, enum ggml_type type, const struct shape *shape)
{
	p->ctx = context_make();
	p->w = ggml_new_tensor_2d(p->ctx, type, shape->inner, shape->rows);
	p->x = ggml_new_tensor_2d(p->ctx, GGML_TYPE_F32, shape->inner, shape->columns);
	p->y = ggml_mul_mat(p->ctx, p->w, p->x);
	program_make(&p->program, p->ctx);
	arena_make(&p->arena, p->program.arena_bytes);
	fill(p, 17);
}

static void product_close(struct product *p)
{
	arena_free(&p->arena);
	program_free(&p->program);
	ggml_free(p->ctx);
}

static bool always(const struct infini_backend_run *run)
{
	(void)run;
	return true;
}

static int lay_weights(struct infini_backend *backend, const struct product *p,
		       struct infini_backend_buffer *weights, struct infini_backend_buffer *memory)
{
	struct infini_backend_buffer staging = *memory;
	struct infini_backend_binding bindings[2] = {
		{ weights, INFINI_ACCESS_WRITE }, { &staging, INFINI_ACCESS_READ },
	};
	struct {
		struct infini_ggml_ask ask;
		struct infini_ggml_tensor tensor;
	} q = { .ask = {
			.magic = INFINI_GGML_MAGIC,
			.version = INFINI_GGML_VERSION,
			.ops = GGML_OP_COUNT,
			.types = GGML_TYPE_COUNT,
			.question = INFINI_GGML_ASK_TENSOR_SET,
			.nr_tensors = 1,
			.kind = weights->kind,
			.offset = program_tensor(&p->program, 0)->offset,
			.bytes = ggml_nbytes(p->w),
		} };
	struct infini_backend_run run = {
		.bindings = bindings,
		.nr_bindings = 2,
		.args = &q,
		.args_bytes = sizeof(q),
	};
	int ret;

	q.tensor = *program_tensor(&p->program, 0);
	q.tensor.binding = 0;
	q.tensor.offset = 0;
	staging.type = INFINI_BUFFER_SHARED;
	CHECK(!ops->buffer_add(backend, &staging));
	ret = ops->ask(backend, &run);
	ops->buffer_remove(backend, &staging);
	return ret;
}

/* A product that others are interrupted for. */
static struct interloper {
	struct product product;
	struct infini_backend_buffer memory;
	struct infini_backend_binding binding;
	struct infini_backend_program *loaded;
} interloper;

static void interloper_load(struct infini_backend *backend)
{
	static const struct shape shape = { 256, 64, 70, false };
	struct interloper *i = &interloper;

	product_open(&i->product, GGML_TYPE_Q8_0, &shape);
	i->memory = (struct infini_backend_buffer){
		.id = 3,
		.type = INFINI_BUFFER_DEVICE,
		.bytes = i->product.arena.bytes,
		.addr = i->product.arena.base,
	};
	i->binding = (struct infini_backend_binding){
		&i->memory, INFINI_ACCESS_READ | INFINI_ACCESS_WRITE
	};
	CHECK(!ops->buffer_add(backend, &i->memory));
	CHECK(!ops->program_load(backend, i->product.program.data, i->product.program.bytes, &i->loaded));
}

static void interloper_run(struct infini_backend *backend)
{
	struct infini_ggml_run args = { .threads = 1 };
	struct infini_backend_run run = {
		.bindings = &interloper.binding,
		.nr_bindings = 1,
		.args = &args,
		.args_bytes = sizeof(args),
	};

	CHECK(!ops->program_run(backend, interloper.loaded, &run));
}

static void interloper_free(struct infini_backend *backend)
{
	ops->program_free(backend, interloper.loaded);
	ops->buffer_remove(backend, &interloper.memory);
	product_close(&interloper.product);
}

/*
 * The product, into @y, interrupted after each part or not at all; how often it was, or -1 where this memory
 * does not take the matrix.
 */
static int compute(struct infini_backend *backend, const struct product *p, uint32_t kind,
		   uint32_t threads, bool interrupted, float *y)
{
	struct infini_backend_buffer memory = {
		.id = 1,
		.type = INFINI_BUFFER_DEVICE,
		.bytes = p->arena.bytes,
		.addr = p->arena.base,
	};
	struct infini_backend_buffer weights = {
		.id = 2,
		.type = INFINI_BUFFER_DEVICE,
		.kind = kind,
		.bytes = WEIGHTS_BYTES,
	};
	struct infini_backend_binding bindings[2] = {
		{ &memory, INFINI_ACCESS_READ | INFINI_ACCESS_WRITE },
		{ &weights, INFINI_ACCESS_READ },
	};
	struct infini_ggml_run args = { .threads = threads };
	struct infini_backend_run run = {
		.bindings = bindings,
		.nr_bindings = kind ? 2 : 1,
		.args = &args,
		.args_bytes = sizeof(args),
		.should_yield = interrupted ? always : NULL,
	};
	struct infini_backend_program *loaded;
	struct program *program = (struct program *)&p->program;
	struct infini_ggml_tensor plain = *program_tensor(program, 0);
	int stops = -1, ret;

	CHECK(!ops->buffer_add(backend, &memory));
	if (kind) {
		CHECK(!ops->buffer_add(backend, &weights));
		if (lay_weights(backend, p, &weights, &memory))
			goto out;
		program_head(program)->nr_bindings = 2;
		program_tensor(program, 0)->binding = 1;
		program_tensor(program, 0)->offset = 0;
	}
	memset(p->arena.base + program_offset(program, p->ctx, p->y), 0xff, ggml_nbytes(p->y));
	CHECK(!ops->program_load(backend, program->data, program->bytes, &loaded));
	for (stops = 0; ; stops++) {
		ret = ops->program_run(backend, loaded, &run);
		if (ret != INFINI_BACKEND_PREEMPTED)
			break;
		interloper_run(backend);
	}
	CHECK(ret == 0);
	ops->program_free(backend, loaded);
	memcpy(y, p->arena.base + program_offset(program, p->ctx, p->y), ggml_nbytes(p->y));
	program_head(program)->nr_bindings = 1;
	*program_tensor(program, 0) = plain;
out:
	ops->buffer_remove(backend, &memory);
	if (kind)
		ops->buffer_remove(backend, &weights);
	return stops;
}

static void one_row(struct infini_backend *whole, struct infini_backend *parts,
		    enum ggml_type type, const struct shape *shape, uint32_t kind)
{
	struct product p;
	uint32_t threads;
	float *want, *have;
	int stops = 0;
	char name[120];

	product_open(&p, type, shape);
	want = malloc(ggml_nbytes(p.y));
	have = malloc(ggml_nbytes(p.y));
	for (threads = 1; threads <= 2 && stops >= 0; threads++) {
		stops = compute(whole, &p, kind, threads, false, want);
		CHECK(stops <= 0);
		if (stops < 0)
			break;
		CHECK(!compute(parts, &p, kind, threads, false, have));
		CHECK(!memcmp(want, have, ggml_nbytes(p.y)));
		stops = compute(parts, &p, kind, threads, true, have);
		CHECK(shape->whole ? !stops : stops > 0);
		CHECK(!memcmp(want, have, ggml_nbytes(p.y)));
	}
	if (stops >= 0) {
		snprintf(name, sizeof(name), "%s%s, %lld x %lld by %lld: %d stops",
			 ggml_type_name(type), kind ? ", repacked" : "", (long long)shape->inner,
			 (long long)shape->rows, (long long)shape->columns, stops);
		row_done(name);
	}
	free(want);
	free(have);
	product_close(&p);
}

static struct infini_backend_device device;

static int describe(const struct infini_backend_device *found, void *arg)
{
	(void)arg;
	if (!strcmp(found->name, "cpu0"))
		device = *found;
	return 0;
}

static void no_message(int priority, const char *message)
{
	(void)priority;
	(void)message;
}

int main(void)
{
	struct infini_backend *whole, *parts;
	uint32_t kind;
	size_t i, j;

	setenv("VK_LOADER_DRIVERS_DISABLE", "*", 1);
	ops->probe(describe, NULL, no_message);
	whole = backend_open_cut("cpu0", 2, 1000000);
	parts = backend_open_cut("cpu0", 2, 1);
	interloper_load(parts);
	for (kind = 0; kind < device.nr_kinds; kind++)
		for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
			for (j = 0; j < sizeof(shapes) / sizeof(shapes[0]); j++)
				one_row(whole, parts, types[i], &shapes[j], kind);
	interloper_free(parts);
	ops->close(parts);
	ops->close(whole);
	return tests_done();
}
