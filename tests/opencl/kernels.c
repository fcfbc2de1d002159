// SPDX-License-Identifier: GPL-2.0-or-later
/* Kernels that the tests run. */
#include "kernels.h"

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))
#define RW		(INFINI_ACCESS_READ | INFINI_ACCESS_WRITE)

static const struct infini_kernel_param saxpy_params[] = {
	INFINI_PARAM_SCALAR(sizeof(float)),
	INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ),
	INFINI_PARAM_BUFFER(1, RW),
};

const struct infini_kernel kernel_saxpy = {
	.format = INFINI_FORMAT_OPENCL_C,
	.name = "saxpy",
	.text = "kernel void saxpy(float a, global const float *x, global float *y)\n"
		"{\n"
		"	size_t i = get_global_id(0);\n"
		"	y[i] = fma(a, x[i], y[i]);\n"
		"}\n",
	.params = saxpy_params,
	.nr_params = COUNT(saxpy_params),
};

static const struct infini_kernel_param sgemm_params[] = {
	INFINI_PARAM_SCALAR(sizeof(uint32_t)),
	INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ),
	INFINI_PARAM_BUFFER(1, INFINI_ACCESS_READ),
	INFINI_PARAM_BUFFER(2, INFINI_ACCESS_WRITE),
	INFINI_PARAM_LOCAL(SGEMM_TILE * SGEMM_TILE * sizeof(float)),
	INFINI_PARAM_LOCAL(SGEMM_TILE * SGEMM_TILE * sizeof(float)),
};

const struct infini_kernel kernel_sgemm = {
	.format = INFINI_FORMAT_OPENCL_C,
	.name = "sgemm",
	.options = "-cl-std=CL1.2 -DTILE=8",
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
	.params = sgemm_params,
	.nr_params = COUNT(sgemm_params),
};

static const struct infini_kernel_param place_params[] = {
	INFINI_PARAM_SCALAR(sizeof(uint32_t)),
	INFINI_PARAM_SCALAR(sizeof(uint32_t)),
	INFINI_PARAM_BUFFER(0, RW),
};

const struct infini_kernel kernel_place = {
	.format = INFINI_FORMAT_OPENCL_C,
	.name = "place",
	.text = "kernel void place(uint width, uint height, global uint *out)\n"
		"{\n"
		"	uint x = get_global_id(0), y = get_global_id(1), z = get_global_id(2);\n"
		"	out[(z * height + y) * width + x] += 1 + x + 1000 * y + 1000000 * z +\n"
		"		100000000 * (get_local_id(0) + get_local_id(1) + get_local_id(2));\n"
		"}\n",
	.params = place_params,
	.nr_params = COUNT(place_params),
};

struct infini_kernel cuttable(const struct infini_kernel *kernel, bool cut)
{
	struct infini_kernel changed = *kernel;

	changed.flags = cut ? INFINI_KERNEL_F_CUTTABLE : 0;
	return changed;
}
