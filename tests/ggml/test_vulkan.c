// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A language model's operations on the first Vulkan device: close to what the CPU computes, with
 * the same bits whether the run is stopped after each segment or not.
 */
#include "program.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct infini_backend_ops *ops = &infini_backend_ops;

/* Mesa's software device takes seconds to compile each shader: no more than these. */
static const char *const chosen[] = {
	"add, broadcast", "copy to f16", "rms norm and gain", "mul mat, q4_0", "get rows",
	"set rows, f16", "soft max with mask", "rope, neox, partial", "convolution with an empty kernel",
};

static bool is_chosen(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(chosen) / sizeof(chosen[0]); i++)
		if (!strcmp(name, chosen[i]))
			return true;
	return false;
}

static bool always(const struct infini_backend_run *run)
{
	(void)run;
	return true;
}

/* Runs on @backend in memory of its own; the bytes of @arena go in and come out. */
static int compute(struct infini_backend *backend, const struct program *program,
		   struct arena *arena, bool stop)
{
	struct infini_backend_buffer buffer = {
		.id = 1,
		.type = INFINI_BUFFER_DEVICE,
		.bytes = arena->bytes,
	};
	struct infini_backend_binding binding = {
		.buffer = &buffer,
		.access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE,
	};
	struct infini_backend_run run = {
		.bindings = &binding,
		.nr_bindings = 1,
		.should_yield = stop ? always : NULL,
	};
	struct infini_backend_program *loaded;
	int ret;

	ret = ops->program_load(backend, program->data, program->bytes, &loaded);
	if (ret)
		return ret;
	CHECK(!ops->buffer_add(backend, &buffer));
	CHECK(!ops->write(backend, &buffer, 0, arena->base, arena->bytes));
	do {
		ret = ops->program_run(backend, loaded, &run);
	} while (ret == INFINI_BACKEND_PREEMPTED);
	CHECK(!ops->read(backend, &buffer, 0, arena->base, arena->bytes));
	ops->buffer_remove(backend, &buffer);
	ops->program_free(backend, loaded);
	return ret;
}

/* Squared error over squared size, of the last tensor when it is of floats. */
static double distance(const struct program *program, const struct arena *a, const struct arena *b)
{
	const struct infini_ggml_tensor *t =
		program_tensor(program, program_head(program)->nr_tensors - 1);
	const float *x = (const float *)(a->base + t->offset);
	const float *y = (const float *)(b->base + t->offset);
	uint64_t i, n = t->ne[0] * t->ne[1] * t->ne[2] * t->ne[3];
	double error = 0, size = 1e-9;

	if (t->type != GGML_TYPE_F32 || t->nb[1] != 4 * t->ne[0])
		return 0;
	for (i = 0; i < n; i++) {
		/* Logarithms and roots of negative numbers are no numbers anywhere. */
		if (!isfinite(x[i]) || !isfinite(y[i]))
			continue;
		error += (x[i] - y[i]) * (double)(x[i] - y[i]);
		size += x[i] * (double)x[i];
	}
	return error / size;
}

static void one_case(struct infini_backend *cpu, struct infini_backend *gpu, unsigned int i,
		     const char *name, struct ggml_context *ctx)
{
	struct arena expected, whole, stopped;
	struct program program;
	char line[128];
	int ret;

	program_make(&program, ctx);
	arena_make(&expected, program.arena_bytes);
	arena_make(&whole, program.arena_bytes);
	arena_make(&stopped, program.arena_bytes);
	fill_leaves(&program, expected.base, i);
	memcpy(whole.base, expected.base, expected.bytes);
	memcpy(stopped.base, expected.base, expected.bytes);
	ret = compute(gpu, &program, &whole, false);
	snprintf(line, sizeof(line), "%s%s", name,
		 ret == -EOPNOTSUPP ? " # SKIP the device does not compute it" : "");
	if (ret != -EOPNOTSUPP) {
		CHECK(ret == 0);
		CHECK(compute(gpu, &program, &stopped, true) == 0);
		CHECK(!memcmp(whole.base, stopped.base, whole.bytes));
		CHECK(compute(cpu, &program, &expected, false) == 0);
		CHECK(distance(&program, &expected, &whole) < 1e-3);
	}
	arena_free(&expected);
	arena_free(&whole);
	arena_free(&stopped);
	program_free(&program);
	row_done(line);
}

static int count(const struct infini_backend_device *found, void *nr)
{
	*(int *)nr += !strcmp(found->name, "vulkan0");
	return 0;
}

static void no_message(int priority, const char *message)
{
	(void)priority;
	(void)message;
}

int main(void)
{
	struct infini_backend *cpu, *gpu;
	struct ggml_context *ctx;
	const char *name;
	unsigned int i;
	int nr = 0;

	/* Mesa's software device is good enough here; ggml wants to be told. */
	setenv("GGML_VK_VISIBLE_DEVICES", "0", 0);
	ops->probe(count, &nr, no_message);
	if (!nr) {
		row_done("Vulkan # SKIP no Vulkan device, not even Mesa's lavapipe");
		return tests_done();
	}
	gpu = backend_open("vulkan0", 1);
	cpu = backend_open("cpu0", 1);
	for (i = 0; ; i++) {
		ctx = context_make();
		if (!case_build(ctx, i, &name))
			break;
		if (is_chosen(name))
			one_case(cpu, gpu, i, name, ctx);
		ggml_free(ctx);
	}
	ggml_free(ctx);
	ops->close(cpu);
	ops->close(gpu);
	return tests_done();
}
