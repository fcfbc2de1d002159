// SPDX-License-Identifier: LGPL-2.1-or-later
/* C = A B of square matrices on a virtual device, in tiles of local memory, checked. */
#include "client.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TILE	16
#define N_MAX	8192

static const struct infini_kernel_param params[] = {
	INFINI_PARAM_SCALAR(sizeof(uint32_t)),
	INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ),
	INFINI_PARAM_BUFFER(1, INFINI_ACCESS_READ),
	INFINI_PARAM_BUFFER(2, INFINI_ACCESS_WRITE),
	INFINI_PARAM_LOCAL(TILE * TILE * sizeof(float)),
	INFINI_PARAM_LOCAL(TILE * TILE * sizeof(float)),
};

static const struct infini_kernel sgemm = {
	.format = INFINI_FORMAT_OPENCL_C,
	.flags = INFINI_KERNEL_F_CUTTABLE,
	.name = "sgemm",
	.options = "-cl-std=CL1.2 -DTILE=16",
	.text = "kernel void sgemm(uint n, global const float *a, global const float *b,\n"
		"		  global float *c, local float *ta, local float *tb)\n"
		"{\n"
		"	uint x = get_local_id(0), y = get_local_id(1);\n"
		"	uint column = get_global_id(0), row = get_global_id(1);\n"
		"	float sum = 0;\n"
		"	for (uint t = 0; t < n; t += TILE) {\n"
		"		ta[y * TILE + x] = a[row * n + t + x];\n"
		"		tb[y * TILE + x] = b[(t + y) * n + column];\n"
		"		barrier(CLK_LOCAL_MEM_FENCE);\n"
		"		for (uint k = 0; k < TILE; k++)\n"
		"			sum = fma(ta[y * TILE + k], tb[k * TILE + x], sum);\n"
		"		barrier(CLK_LOCAL_MEM_FENCE);\n"
		"	}\n"
		"	c[row * n + column] = sum;\n"
		"}\n",
	.params = params,
	.nr_params = sizeof(params) / sizeof(params[0]),
};

/* The same sum in the same order: what the device gives is equal to the bit. */
static float reference(const float *a, const float *b, size_t n, size_t row, size_t column)
{
	float sum = 0;

	for (size_t k = 0; k < n; k++)
		sum = fmaf(a[row * n + k], b[k * n + column], sum);
	return sum;
}

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 256, wrong = 0;
	struct infini_kernel_run range = { .items = { TILE, TILE, 1 } };
	struct client client;
	uint32_t size = (uint32_t)n;
	const void *scalars[] = { &size };
	float *a, *b, *c;

	if (!n || n > N_MAX || n % TILE) {
		fprintf(stderr, "usage: sgemm [N], a multiple of %d up to %d\n", TILE, N_MAX);
		return 2;
	}
	client_open(&client);
	a = client_buffer(&client, n * n * sizeof(*a));
	b = client_buffer(&client, n * n * sizeof(*b));
	c = client_buffer(&client, n * n * sizeof(*c));
	for (size_t i = 0; i < n * n; i++) {
		a[i] = (float)(i * 7 % 31) / 16 - 1;
		b[i] = (float)(i * 5 % 29) / 16 - 1;
	}
	range.groups[0] = range.groups[1] = size / TILE;
	range.groups[2] = 1;
	client_run(&client, &sgemm, &range, scalars);
	for (size_t row = 0; row < n; row++) {
		for (size_t column = 0; column < n; column++)
			wrong += c[row * n + column] != reference(a, b, n, row, column);
	}
	printf("sgemm of %zu x %zu: %zu wrong\n", n, n, wrong);
	return wrong != 0;
}
