// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs of one kernel, formats "opencl-c" and "ptx", and their jobs, as far as no device is
 * needed. Input: bytes of a program, a NUL, and bytes of a job's arguments.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "../../daemon/backends/kernel_layout.h"

#define KINDS	(1U << INFINI_KERNEL_BUFFER | 1U << INFINI_KERNEL_SCALAR | \
		 1U << INFINI_KERNEL_LOCAL | 1U << INFINI_KERNEL_OFFSET)

/* Every byte that a checked program says it has is read. */
static unsigned int weigh(const void *at, size_t bytes)
{
	unsigned int sum = 0;

	for (size_t i = 0; i < bytes; i++)
		sum += ((const uint8_t *)at)[i];
	return sum;
}

static void run(const struct kernel_layout *layout, const void *args, size_t bytes)
{
	struct infini_backend_binding bindings[INFINI_KERNEL_PARAMS_MAX];
	struct infini_backend_buffer buffer = { .bytes = 4096 };
	struct infini_backend_run job = {
		.bindings = bindings,
		.nr_bindings = layout->head->nr_bindings,
		.args = args,
		.args_bytes = (uint32_t)bytes,
	};
	struct kernel_run out;

	for (uint32_t i = 0; i < job.nr_bindings; i++)
		bindings[i] = (struct infini_backend_binding){
			&buffer, INFINI_ACCESS_READ | (i % 2 ? INFINI_ACCESS_WRITE : 0),
		};
	if (kernel_layout_run(layout, &job, &out))
		return;
	for (uint32_t i = 0; i < layout->head->nr_params; i++) {
		const struct infini_kernel_param *p = &layout->params[i];

		if (p->kind == INFINI_KERNEL_SCALAR)
			fuzz_use(weigh(out.scalars + p->index, p->bytes));
		if (p->kind == INFINI_KERNEL_BUFFER)
			fuzz_use(bindings[p->index].access);
	}
}

void fuzz_begin(void)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	const struct infini_kernel_program *head = (const void *)data;
	size_t program = bytes;
	struct kernel_layout layout;
	void *copy, *args;

	/* The header says where the program ends; what is behind it are arguments. */
	if (bytes >= sizeof(*head)) {
		uint64_t says = sizeof(*head) + (uint64_t)head->options_bytes + head->text_bytes +
				head->nr_params * (uint64_t)sizeof(struct infini_kernel_param);

		program = says < bytes ? (size_t)says : bytes;
	}
	copy = malloc(program);
	args = malloc(bytes - program);
	memcpy(copy, data, program);
	memcpy(args, data + program, bytes - program);
	if (!kernel_layout_read(copy, program, KINDS, &layout)) {
		fuzz_use(weigh(layout.options, layout.head->options_bytes) +
			 weigh(layout.text, layout.head->text_bytes));
		run(&layout, args, bytes - program);
	}
	free(args);
	free(copy);
	return 0;
}

void fuzz_seeds(void)
{
	static const struct infini_kernel_param params[] = {
		{ .kind = INFINI_KERNEL_SCALAR, .bytes = 4 },
		{ .kind = INFINI_KERNEL_BUFFER, .index = 0, .access = INFINI_ACCESS_READ },
		{ .kind = INFINI_KERNEL_LOCAL, .bytes = 64 },
		{ .kind = INFINI_KERNEL_OFFSET },
	};
	static const char text[] = "kernel void saxpy(float a, global float *x) { x[0] *= a; }";
	struct {
		struct infini_kernel_program head;
		struct infini_kernel_param params[4];
		char text[sizeof(text) - 1];
		struct infini_kernel_run run;
		float a;
	} __attribute__((packed)) seed = {
		.head = {
			.magic = INFINI_KERNEL_MAGIC,
			.version = INFINI_KERNEL_VERSION,
			.nr_params = 4,
			.nr_bindings = 1,
			.text_bytes = sizeof(text) - 1,
			.name = "saxpy",
		},
		.run = { .groups = { 4, 1, 1 }, .items = { 64, 1, 1 } },
		.a = 2.0f,
	};

	memcpy(seed.params, params, sizeof(params));
	memcpy(seed.text, text, sizeof(text) - 1);
	fuzz_seed(&seed, sizeof(seed));
}
