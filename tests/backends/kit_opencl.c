// SPDX-License-Identifier: GPL-2.0-or-later
/* Kernels in OpenCL C, on every device that an installed driver offers. */
#include "kit.h"

#include <infini/kernel.h>
#include <math.h>
#include <string.h>

#define GROUP	8U
#define FEW	24U
#define MANY	320U

static const char saxpy[] =
	"kernel void saxpy(float a, global const float *x, global float *y)\n"
	"{\n"
	"	y[get_global_id(0)] = fma(a, x[get_global_id(0)], y[get_global_id(0)]);\n"
	"}\n";

static const char turn[] =
	"kernel void turn(global const uint *from, global uint *to, local uint *tile)\n"
	"{\n"
	"	tile[get_local_id(0)] = from[get_global_id(0)];\n"
	"	barrier(CLK_LOCAL_MEM_FENCE);\n"
	"	to[get_global_id(0)] = tile[get_local_size(0) - 1 - get_local_id(0)];\n"
	"}\n";

static size_t put(uint8_t *data, const struct infini_kernel_program *head, const char *name,
		  const struct infini_kernel_param *params, const char *text)
{
	struct infini_kernel_program program = *head;
	size_t at = sizeof(program), bytes = program.nr_params * sizeof(*params);

	program.magic = INFINI_KERNEL_MAGIC;
	program.version = INFINI_KERNEL_VERSION;
	program.text_bytes = (uint32_t)strlen(text);
	strcpy((char *)program.name, name);
	memcpy(data, &program, at);
	memcpy(data + at, params, bytes);
	memcpy(data + at + bytes, text, program.text_bytes);
	return at + bytes + program.text_bytes;
}

static size_t make_saxpy(uint8_t *data)
{
	const struct infini_kernel_program head = {
		.flags = INFINI_KERNEL_F_CUTTABLE, .nr_params = 3, .nr_bindings = 2,
	};
	const struct infini_kernel_param params[] = {
		{ .kind = INFINI_KERNEL_SCALAR, .bytes = sizeof(float) },
		{ .kind = INFINI_KERNEL_BUFFER, .index = 0, .access = INFINI_ACCESS_READ,
		  .bytes = MANY * sizeof(float) },
		{ .kind = INFINI_KERNEL_BUFFER, .index = 1, .bytes = MANY * sizeof(float),
		  .access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE },
	};

	return put(data, &head, "saxpy", params, saxpy);
}

static size_t make_turn(uint8_t *data)
{
	const struct infini_kernel_program head = { .nr_params = 3, .nr_bindings = 2 };
	const struct infini_kernel_param params[] = {
		{ .kind = INFINI_KERNEL_BUFFER, .index = 0, .access = INFINI_ACCESS_READ,
		  .bytes = FEW * sizeof(uint32_t) },
		{ .kind = INFINI_KERNEL_BUFFER, .index = 1, .access = INFINI_ACCESS_WRITE,
		  .bytes = FEW * sizeof(uint32_t) },
		{ .kind = INFINI_KERNEL_LOCAL, .bytes = GROUP * sizeof(uint32_t) },
	};

	return put(data, &head, "turn", params, turn);
}

static void fill_floats(uint32_t i, uint8_t *bytes)
{
	float *values = (float *)bytes;

	for (uint32_t j = 0; j < MANY; j++)
		values[j] = (float)(j * (i + 3) % 101) / 7;
}

static void fill_numbers(uint32_t i, uint8_t *bytes)
{
	uint32_t *values = (uint32_t *)bytes;

	for (uint32_t j = 0; !i && j < FEW; j++)
		values[j] = j * 2654435761U;
}

static const struct {
	struct infini_kernel_run range;
	float a;
} saxpy_args = { { .groups = { MANY / GROUP, 1, 1 }, .items = { GROUP, 1, 1 } }, 2.5 };

static const struct infini_kernel_run turn_args = {
	.groups = { FEW / GROUP, 1, 1 }, .items = { GROUP, 1, 1 },
};

static const char *wrong_saxpy(uint8_t *const *before, uint8_t *const *after)
{
	const float *x = (const float *)before[0], *y = (const float *)before[1];
	const float *got = (const float *)after[1];

	for (uint32_t j = 0; j < MANY; j++)
		if (got[j] != fmaf(saxpy_args.a, x[j], y[j]))
			return "a number is not a x + y";
	return NULL;
}

static const char *wrong_turn(uint8_t *const *before, uint8_t *const *after)
{
	const uint32_t *from = (const uint32_t *)before[0], *to = (const uint32_t *)after[1];

	for (uint32_t j = 0; j < FEW; j++)
		if (to[j] != from[j / GROUP * GROUP + GROUP - 1 - j % GROUP])
			return "a group is not turned";
	return NULL;
}

static const struct kit_program programs[] = {
	{ .name = "saxpy", .make = make_saxpy, .fill = fill_floats, .wrong = wrong_saxpy,
	  .args = &saxpy_args, .args_bytes = sizeof(saxpy_args), .segments_min = MANY / GROUP,
	  .bindings = { { MANY * sizeof(float), INFINI_ACCESS_READ },
			{ MANY * sizeof(float), INFINI_ACCESS_READ | INFINI_ACCESS_WRITE } },
	  .nr_bindings = 2 },
	{ .name = "turn", .make = make_turn, .fill = fill_numbers, .wrong = wrong_turn,
	  .args = &turn_args, .args_bytes = sizeof(turn_args),
	  .bindings = { { FEW * sizeof(uint32_t), INFINI_ACCESS_READ },
			{ FEW * sizeof(uint32_t), INFINI_ACCESS_WRITE } },
	  .nr_bindings = 2 },
};

const struct backend_kit backend_kit = {
	.name = "opencl",
	.format = INFINI_FORMAT_OPENCL_C,
	.programs = programs,
	.nr_programs = sizeof(programs) / sizeof(programs[0]),
	/* Each that is not refused at once is compiled. */
	.damaged = 200,
	.loads = 20,
	.keeps_bytes = 20 * 64,			/* PoCL loses 16 of each program */
	.scratch_bytes = 1 << 20,		/* PoCL compiles its own kernels when it first needs them */
};
