// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A small product of quantised weights, against what the plan takes it for. An emulated CPU is
 * some fifty times slower than a real one, and its segments would be that much longer. Many
 * products between two looks at the clock: in a virtual machine it may take longer than one.
 */
#include "ggml_speed.h"

#include <string.h>
#include <time.h>

#include "ggml_plan.h"

#define SIDE		256
#define PRODUCTS	16
#define RUNS		4
#define SLOWNESS_MAX	256

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* The shortest of some runs: whatever else the machine does only makes them longer. */
static uint64_t measure(ggml_backend_t stream, struct ggml_cgraph *graph)
{
	uint64_t begin, spent, least = UINT64_MAX;
	int i;

	for (i = 0; i < RUNS; i++) {
		begin = now_ns();
		if (ggml_backend_graph_compute(stream, graph) != GGML_STATUS_SUCCESS)
			return 0;
		spent = now_ns() - begin;
		if (spent < least)
			least = spent;
	}
	return least;
}

uint32_t infini_ggml_speed_slowness(struct infini_backend *backend)
{
	struct ggml_init_params params = {
		.mem_size = (2 + PRODUCTS) * (ggml_tensor_overhead() + SIDE * sizeof(float)) +
			    ggml_graph_overhead_custom(2 * PRODUCTS, false) +
			    ggml_row_size(GGML_TYPE_Q8_0, SIDE * SIDE),
	};
	struct ggml_context *ctx = ggml_init(params);
	struct ggml_tensor *matrix, *vector, *product = NULL;
	struct ggml_cgraph *graph;
	uint32_t slowness = 1;
	uint64_t expected, real;
	int i;

	if (!ctx)
		return 1;
	matrix = ggml_new_tensor_2d(ctx, GGML_TYPE_Q8_0, SIDE, SIDE);
	vector = ggml_new_tensor_1d(ctx, GGML_TYPE_F32, SIDE);
	memset(matrix->data, 0, ggml_nbytes(matrix));
	memset(vector->data, 0, ggml_nbytes(vector));
	graph = ggml_new_graph_custom(ctx, 2 * PRODUCTS, false);
	for (i = 0; i < PRODUCTS; i++) {
		product = ggml_mul_mat(ctx, matrix, vector);
		ggml_build_forward_expand(graph, product);
	}
	real = measure(backend->stream, graph);
	expected = PRODUCTS * infini_ggml_plan_cost(product);
	ggml_free(ctx);
	/* Rounded: a little more or less should not make other segments. */
	while (slowness < SLOWNESS_MAX && real > expected * slowness * 3 / 2)
		slowness *= 2;
	return slowness;
}
