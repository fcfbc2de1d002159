// SPDX-License-Identifier: GPL-2.0-or-later
/* The ggml backend: graphs, written down as the frontend writes them. Needs ggml's header alone. */
#include "kit.h"

#include <ggml.h>
#include <infini/ggml.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

/*
 * A damaged graph may well copy a tensor onto itself: ggml then calls memcpy() on ranges that
 * overlap, which garbles the client's own data and nothing else.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "replace_intrin=0";
}

/* ---- graphs ------------------------------------------------------------------------ */

#define TENSORS_MAX	256

struct graph {
	struct infini_ggml_tensor tensors[TENSORS_MAX];
	uint32_t nr_tensors;
	uint32_t nr_bindings;
};

/* @ne0 x @ne1 packed elements at @offset of @binding. Returns its index. */
static uint32_t leaf(struct graph *graph, uint32_t type, uint64_t ne0, uint64_t ne1,
		     uint32_t binding, uint64_t offset)
{
	struct infini_ggml_tensor *t = &graph->tensors[graph->nr_tensors];

	/* F32 and I32 both have four bytes. */
	*t = (struct infini_ggml_tensor){
		.type = type,
		.op = GGML_OP_NONE,
		.binding = binding,
		.offset = offset,
		.ne = { ne0, ne1, 1, 1 },
		.nb = { 4, 4 * ne0, 4 * ne0 * ne1, 4 * ne0 * ne1 },
		.view_src = INFINI_GGML_NONE,
	};
	for (int i = 0; i < INFINI_GGML_SRC_MAX; i++)
		t->src[i] = INFINI_GGML_NONE;
	if (binding >= graph->nr_bindings)
		graph->nr_bindings = binding + 1;
	return graph->nr_tensors++;
}

static uint32_t node(struct graph *graph, uint32_t op, uint32_t src0, uint32_t src1, uint64_t ne0,
		     uint64_t ne1, uint32_t binding, uint64_t offset)
{
	uint32_t index = leaf(graph, GGML_TYPE_F32, ne0, ne1, binding, offset);
	struct infini_ggml_tensor *t = &graph->tensors[index];

	t->op = op;
	t->flags = GGML_TENSOR_FLAG_COMPUTE;
	t->src[0] = src0;
	t->src[1] = src1;
	return index;
}

static size_t put(uint8_t *data, struct graph *graph)
{
	struct infini_ggml_program *head = (struct infini_ggml_program *)data;
	struct infini_ggml_tensor *tensors = (struct infini_ggml_tensor *)(head + 1);
	uint32_t *nodes = (uint32_t *)(tensors + graph->nr_tensors);

	*head = (struct infini_ggml_program){
		.magic = INFINI_GGML_MAGIC,
		.version = INFINI_GGML_VERSION,
		.ops = GGML_OP_COUNT,
		.types = GGML_TYPE_COUNT,
		.nr_tensors = graph->nr_tensors,
		.nr_bindings = graph->nr_bindings,
	};
	memcpy(tensors, graph->tensors, graph->nr_tensors * sizeof(*tensors));
	for (uint32_t i = 0; i < graph->nr_tensors; i++)
		if (tensors[i].op != GGML_OP_NONE)
			nodes[head->nr_nodes++] = i;
	return (size_t)((uint8_t *)(nodes + head->nr_nodes) - data);
}

/* ---- data -------------------------------------------------------------------------- */

static void fill_floats(uint32_t i, uint8_t *bytes, uint64_t nr)
{
	uint64_t seed = 100 + i;
	float value;

	/* 0..1, so that repeated norms and sums stay where they are. */
	for (uint64_t j = 0; j < nr; j++) {
		value = (float)next_random(&seed) / (1u << 31);
		memcpy(bytes + 4 * j, &value, 4);
	}
}

static const float *floats(const uint8_t *bytes)
{
	return (const float *)bytes;
}

/* Devices compute with what precision they like: so many parts of a thousand are the same. */
static const char *far_off(uint64_t at, double found, double expected)
{
	static char text[100];

	if (fabs(found - expected) <= 2e-3 * (1 + fabs(expected)))
		return NULL;
	snprintf(text, sizeof(text), "element %llu is %g, not %g", (unsigned long long)at, found,
		 expected);
	return text;
}

/* ---- a sum ------------------------------------------------------------------------- */

#define SUM	1024ULL

static size_t make_sum(uint8_t *data)
{
	struct graph graph = { .nr_tensors = 0 };
	uint32_t a = leaf(&graph, GGML_TYPE_F32, SUM, 1, 0, 0);
	uint32_t b = leaf(&graph, GGML_TYPE_F32, SUM, 1, 1, 0);

	node(&graph, GGML_OP_ADD, a, b, SUM, 1, 2, 0);
	return put(data, &graph);
}

static void fill_sum(uint32_t i, uint8_t *bytes)
{
	if (i < 2)
		fill_floats(i, bytes, SUM);
}

static const char *wrong_sum(uint8_t *const *before, uint8_t *const *after)
{
	const float *a = floats(before[0]), *b = floats(before[1]), *c = floats(after[2]);
	const char *why = NULL;

	for (uint64_t i = 0; i < SUM && !why; i++)
		why = far_off(i, c[i], (double)a[i] + b[i]);
	return why;
}

/* ---- a matrix product -------------------------------------------------------------- */

#define DEPTH	64ULL
#define ROWS	96ULL
#define COLUMNS	5ULL

static size_t make_product(uint8_t *data)
{
	struct graph graph = { .nr_tensors = 0 };
	uint32_t w = leaf(&graph, GGML_TYPE_F32, DEPTH, ROWS, 0, 0);
	uint32_t x = leaf(&graph, GGML_TYPE_F32, DEPTH, COLUMNS, 1, 0);

	node(&graph, GGML_OP_MUL_MAT, w, x, ROWS, COLUMNS, 2, 0);
	return put(data, &graph);
}

static void fill_product(uint32_t i, uint8_t *bytes)
{
	if (i < 2)
		fill_floats(i, bytes, DEPTH * (i ? COLUMNS : ROWS));
}

static const char *wrong_product(uint8_t *const *before, uint8_t *const *after)
{
	const float *w = floats(before[0]), *x = floats(before[1]), *y = floats(after[2]);
	const char *why = NULL;

	for (uint64_t i = 0; i < ROWS * COLUMNS && !why; i++) {
		double sum = 0;

		for (uint64_t k = 0; k < DEPTH; k++)
			sum += (double)w[i % ROWS * DEPTH + k] * x[i / ROWS * DEPTH + k];
		why = far_off(i, y[i], sum);
	}
	return why;
}

/* ---- rows by their numbers --------------------------------------------------------- */

#define TABLE_ROWS	16ULL
#define PICKED		32ULL

static size_t make_rows(uint8_t *data)
{
	struct graph graph = { .nr_tensors = 0 };
	uint32_t table = leaf(&graph, GGML_TYPE_F32, DEPTH, TABLE_ROWS, 0, 0);
	uint32_t numbers = leaf(&graph, GGML_TYPE_I32, PICKED, 1, 1, 0);

	node(&graph, GGML_OP_GET_ROWS, table, numbers, DEPTH, PICKED, 2, 0);
	return put(data, &graph);
}

static void fill_rows(uint32_t i, uint8_t *bytes)
{
	if (!i)
		fill_floats(i, bytes, DEPTH * TABLE_ROWS);
	for (uint32_t j = 0; i == 1 && j < PICKED; j++)
		((int32_t *)bytes)[j] = (int32_t)(j * 7 % TABLE_ROWS);
}

static const char *wrong_rows(uint8_t *const *before, uint8_t *const *after)
{
	const int32_t *numbers = (const int32_t *)before[1];

	for (uint64_t i = 0; i < PICKED; i++)
		if (memcmp(after[2] + 4 * DEPTH * i,
			   before[0] + 4 * DEPTH * (uint64_t)numbers[i], 4 * DEPTH))
			return "a row is not the one of that number";
	return NULL;
}

/* ---- a hundred layers -------------------------------------------------------------- */

#define LAYERS		100
#define WIDTH		64ULL
#define TOKENS		8ULL
#define LAYER		(WIDTH * TOKENS)
#define EPSILON		1e-5f

static size_t make_layers(uint8_t *data)
{
	static struct graph graph;
	uint32_t x, b, norm;
	float epsilon = EPSILON;

	graph = (struct graph){ .nr_tensors = 0 };
	x = leaf(&graph, GGML_TYPE_F32, WIDTH, TOKENS, 0, 0);
	b = leaf(&graph, GGML_TYPE_F32, WIDTH, TOKENS, 0, 4 * LAYER);
	for (uint64_t i = 0; i < LAYERS; i++) {
		norm = node(&graph, GGML_OP_RMS_NORM, x, INFINI_GGML_NONE, WIDTH, TOKENS, 1,
			    8 * LAYER * i);
		memcpy(graph.tensors[norm].op_params, &epsilon, sizeof(epsilon));
		x = node(&graph, GGML_OP_ADD, norm, b, WIDTH, TOKENS, 1, 8 * LAYER * i + 4 * LAYER);
	}
	return put(data, &graph);
}

static void fill_layers(uint32_t i, uint8_t *bytes)
{
	if (!i)
		fill_floats(i, bytes, 2 * LAYER);
}

static const char *wrong_layers(uint8_t *const *before, uint8_t *const *after)
{
	const float *in = floats(before[0]), *out = floats(after[1]) + (2 * LAYERS - 1) * LAYER;
	const char *why = NULL;
	double x[LAYER], sum;

	for (uint64_t i = 0; i < LAYER; i++)
		x[i] = in[i];
	for (int layer = 0; layer < LAYERS; layer++) {
		for (uint64_t row = 0; row < TOKENS; row++) {
			sum = 0;
			for (uint64_t i = row * WIDTH; i < (row + 1) * WIDTH; i++)
				sum += x[i] * x[i];
			for (uint64_t i = row * WIDTH; i < (row + 1) * WIDTH; i++)
				x[i] = x[i] / sqrt(sum / WIDTH + EPSILON) + in[LAYER + i];
		}
	}
	for (uint64_t i = 0; i < LAYER && !why; i++)
		why = far_off(i, out[i], x[i]);
	return why;
}

/* ---- the kit ----------------------------------------------------------------------- */

#define R	INFINI_ACCESS_READ
#define W	INFINI_ACCESS_WRITE

static const struct infini_ggml_run one_thread = { .threads = 1 };

static const struct kit_program programs[] = {
	{ .name = "a sum", .make = make_sum, .fill = fill_sum, .wrong = wrong_sum,
	  .bindings = { { 4 * SUM, R }, { 4 * SUM, R }, { 4 * SUM, W } }, .nr_bindings = 3 },
	{ .name = "a matrix product", .make = make_product, .fill = fill_product,
	  .wrong = wrong_product, .args = &one_thread, .args_bytes = sizeof(one_thread),
	  .bindings = { { 4 * DEPTH * ROWS, R }, { 4 * DEPTH * COLUMNS, R },
			{ 4 * ROWS * COLUMNS, W } }, .nr_bindings = 3 },
	{ .name = "rows of a table", .make = make_rows, .fill = fill_rows, .wrong = wrong_rows,
	  .bindings = { { 4 * DEPTH * TABLE_ROWS, R }, { 4 * PICKED, R },
			{ 4 * DEPTH * PICKED, W } }, .nr_bindings = 3 },
	/* A GPU's segments are of 20 launches or so. */
	{ .name = "a hundred layers", .make = make_layers, .fill = fill_layers,
	  .wrong = wrong_layers, .segments_min = 10,
	  .bindings = { { 8 * LAYER, R }, { 8 * LAYER * LAYERS, R | W } }, .nr_bindings = 2 },
};

static bool may_run(const uint8_t *data, size_t bytes)
{
	(void)data;
	(void)bytes;
	return true;
}

/* ggml leaves Vulkan devices in software out unless they are asked for by number. */
static const char *const environment[] = { "GGML_VK_VISIBLE_DEVICES", "0", NULL };

const struct backend_kit backend_kit = {
	.name = "ggml",
	.format = INFINI_FORMAT_GGML,
	.environment = environment,
	.programs = programs,
	.nr_programs = sizeof(programs) / sizeof(programs[0]),
	.may_run = may_run,
	.slow = "vulkan",		/* in software it compiles a shader for seconds */
	.scratch_bytes = 4096,		/* where indices are looked at that the device holds */
};
