// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The CUDA backend, on the driver of tests/cuda that needs no GPU; "make CUDA_LIBRARY=libcuda.so.1" takes
 * the real one. The kernels are the examples.
 */
#include "kit.h"

#include <infini/kernel.h>
#include <math.h>
#include <string.h>

/* In the program, since a worker's sandbox has no files. */
#define TEXT(name) \
	__asm__(".section .rodata\n" #name "_ptx: .incbin \"" EXAMPLES "/" #name ".ptx\"\n" \
		#name "_end: .byte 0\n.previous\n"); \
	extern const char name##_ptx[], name##_end[]

TEXT(saxpy);
TEXT(sgemm);

#define R	INFINI_ACCESS_READ
#define W	INFINI_ACCESS_WRITE

static size_t put(uint8_t *data, const char *kernel, const char *text, const char *end,
		  uint32_t nr_bindings, const struct infini_kernel_param *params,
		  uint32_t nr_params)
{
	struct infini_kernel_program *head = (struct infini_kernel_program *)data;
	uint8_t *at = data + sizeof(*head) + nr_params * sizeof(*params);

	*head = (struct infini_kernel_program){
		.magic = INFINI_KERNEL_MAGIC, .version = INFINI_KERNEL_VERSION,
		.flags = INFINI_KERNEL_F_CUTTABLE, .nr_params = nr_params,
		.nr_bindings = nr_bindings, .text_bytes = (uint32_t)(end - text),
	};
	strcpy((char *)head->name, kernel);
	memcpy(head + 1, params, nr_params * sizeof(*params));
	memcpy(at, text, head->text_bytes);
	return (size_t)(at + head->text_bytes - data);
}

static void fill_floats(uint32_t i, uint8_t *bytes, uint64_t count)
{
	for (uint64_t j = 0; j < count; j++)
		((float *)bytes)[j] = (float)((j * 37 + 11 * i) % 101) / 50 - 1;
}

/* ---- a x + y ----------------------------------------------------------------------- */

#define N	5000U
#define FACTOR	0.5F

struct saxpy_args {
	struct infini_kernel_run range;
	float a;
	uint32_t n;
};

static const struct saxpy_args saxpy_args = {
	.range = { .groups = { (N + 127) / 128, 1, 1 }, .items = { 128, 1, 1 } },
	.a = FACTOR, .n = N,
};

static size_t make_saxpy(uint8_t *data)
{
	static const struct infini_kernel_param params[] = {
		{ INFINI_KERNEL_BUFFER, 0, 4 * N, R },
		{ INFINI_KERNEL_BUFFER, 1, 4 * N, R | W },
		{ INFINI_KERNEL_SCALAR, 0, 4, 0 },
		{ INFINI_KERNEL_SCALAR, 4, 4, 0 },
		{ INFINI_KERNEL_OFFSET, 0, 0, 0 },
	};

	return put(data, "saxpy", saxpy_ptx, saxpy_end, 2, params, 5);
}

static void fill_saxpy(uint32_t i, uint8_t *bytes)
{
	fill_floats(i, bytes, N);
}

static const char *wrong_saxpy(uint8_t *const *before, uint8_t *const *after)
{
	const float *x = (const float *)before[0], *y = (const float *)before[1];
	const float *out = (const float *)after[1];

	for (uint32_t i = 0; i < N; i++)
		if (out[i] != fmaf(FACTOR, x[i], y[i]))
			return "an element is wrong";
	return NULL;
}

/* ---- a matrix product -------------------------------------------------------------- */

#define ROWS	170U
#define COLUMNS	20U
#define DEPTH	24U

struct sgemm_args {
	struct infini_kernel_run range;
	uint32_t m, n, k, pad;
};

/* Eleven rows of blocks, which may be cut apart. */
static const struct sgemm_args sgemm_args = {
	.range = { .groups = { (COLUMNS + 15) / 16, (ROWS + 15) / 16, 1 },
		   .items = { 16, 16, 1 } },
	.m = ROWS, .n = COLUMNS, .k = DEPTH,
};

static size_t make_sgemm(uint8_t *data)
{
	static const struct infini_kernel_param params[] = {
		{ INFINI_KERNEL_BUFFER, 0, 4 * ROWS * DEPTH, R },
		{ INFINI_KERNEL_BUFFER, 1, 4 * DEPTH * COLUMNS, R },
		{ INFINI_KERNEL_BUFFER, 2, 4 * ROWS * COLUMNS, W },
		{ INFINI_KERNEL_SCALAR, 0, 4, 0 },
		{ INFINI_KERNEL_SCALAR, 4, 4, 0 },
		{ INFINI_KERNEL_SCALAR, 8, 4, 0 },
		{ INFINI_KERNEL_OFFSET, 0, 0, 0 },
	};

	return put(data, "sgemm", sgemm_ptx, sgemm_end, 3, params, 7);
}

static void fill_sgemm(uint32_t i, uint8_t *bytes)
{
	if (i < 2)
		fill_floats(i, bytes, i ? DEPTH * COLUMNS : ROWS * DEPTH);
}

static const char *wrong_sgemm(uint8_t *const *before, uint8_t *const *after)
{
	const float *a = (const float *)before[0], *b = (const float *)before[1];
	const float *c = (const float *)after[2];
	double sum;

	for (uint32_t i = 0; i < ROWS * COLUMNS; i++) {
		sum = 0;
		for (uint32_t k = 0; k < DEPTH; k++)
			sum += (double)a[i / COLUMNS * DEPTH + k] * b[k * COLUMNS + i % COLUMNS];
		if (fabs(sum - c[i]) > 1e-4)
			return "an element is wrong";
	}
	return NULL;
}

/* ---- the kit ----------------------------------------------------------------------- */

static const struct kit_program programs[] = {
	{ .name = "a x + y", .make = make_saxpy, .fill = fill_saxpy, .wrong = wrong_saxpy,
	  .args = &saxpy_args, .args_bytes = sizeof(saxpy_args),
	  .bindings = { { 4 * N, R }, { 4 * N, R | W } }, .nr_bindings = 2 },
	{ .name = "a matrix product", .make = make_sgemm, .fill = fill_sgemm,
	  .wrong = wrong_sgemm, .args = &sgemm_args, .args_bytes = sizeof(sgemm_args),
	  .segments_min = 11,
	  .bindings = { { 4 * ROWS * DEPTH, R }, { 4 * DEPTH * COLUMNS, R },
			{ 4 * ROWS * COLUMNS, W } }, .nr_bindings = 3 },
};

static const char *const environment[] = { "INFINI_CUDA_LIBRARY", CUDA_LIBRARY, NULL };

const struct backend_kit backend_kit = {
	.name = "cuda",
	.format = INFINI_FORMAT_PTX,
	.environment = environment,
	.programs = programs,
	.nr_programs = sizeof(programs) / sizeof(programs[0]),
	.scratch_bytes = 4 << 20,		/* for copies within a buffer */
};
