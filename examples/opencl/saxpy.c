// SPDX-License-Identifier: LGPL-2.1-or-later
/* y = a x + y on a virtual device, checked. */
#include "client.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ITEMS	64

static const struct infini_kernel_param params[] = {
	INFINI_PARAM_SCALAR(sizeof(float)),
	INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ),
	INFINI_PARAM_BUFFER(1, INFINI_ACCESS_READ | INFINI_ACCESS_WRITE),
};

/* It asks for its global id and nothing else of the range, so that the range may be cut. */
static const struct infini_kernel saxpy = {
	.format = INFINI_FORMAT_OPENCL_C,
	.flags = INFINI_KERNEL_F_CUTTABLE,
	.name = "saxpy",
	.text = "kernel void saxpy(float a, global const float *x, global float *y)\n"
		"{\n"
		"	size_t i = get_global_id(0);\n"
		"	y[i] = fma(a, x[i], y[i]);\n"
		"}\n",
	.params = params,
	.nr_params = sizeof(params) / sizeof(params[0]),
};

int main(int argc, char **argv)
{
	size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 1 << 20, wrong = 0;
	struct infini_kernel_run range = { .groups = { 0, 1, 1 }, .items = { ITEMS, 1, 1 } };
	const float a = 2.5;
	const void *scalars[] = { &a };
	struct client client;
	float *x, *y;

	n = n / ITEMS * ITEMS;
	if (!n || n / ITEMS > UINT32_MAX) {
		fprintf(stderr, "usage: saxpy [N], a multiple of %d\n", ITEMS);
		return 2;
	}
	client_open(&client);
	x = client_buffer(&client, n * sizeof(*x));
	y = client_buffer(&client, n * sizeof(*y));
	for (size_t i = 0; i < n; i++) {
		x[i] = (float)(i % 1000) / 8;
		y[i] = (float)(i % 77);
	}
	range.groups[0] = (uint32_t)(n / ITEMS);
	client_run(&client, &saxpy, &range, scalars);
	for (size_t i = 0; i < n; i++)
		wrong += y[i] != fmaf(a, x[i], (float)(i % 77));
	printf("saxpy of %zu: %zu wrong\n", n, wrong);
	return wrong != 0;
}
