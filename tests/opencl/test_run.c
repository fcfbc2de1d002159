// SPDX-License-Identifier: GPL-2.0-or-later
/* What kernels compute: in every memory, cut or whole, stopped and resumed. */
#include "kernels.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SAXPY_N		4096

static void fill(float *values, size_t n, uint32_t seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		values[i] = (float)(int32_t)seed / 65536;
	}
}

/* ---- devices ----------------------------------------------------------------------- */

static void device_is_described(void **state)
{
	const struct infini_backend_device *d = &world.device;

	(void)state;
	assert_string_equal(d->name, "opencl0");
	assert_true(d->description[0]);
	assert_int_equal(d->level, INFINI_LEVEL_LAUNCH);
	assert_int_equal(d->needs, INFINI_BACKEND_NEEDS_COMPILER);
	assert_true(d->memory_bytes > 1 << 20);
	for (uint32_t i = 0; i < d->nr_kinds; i++) {
		assert_true(d->kinds[i].name[0]);
		assert_int_equal(d->kinds[i].alignment & (d->kinds[i].alignment - 1), 0);
	}
	assert_int_equal(!!(d->kinds[0].flags & INFINI_MEMORY_F_UNIFIED),
			 d->device_class == INFINI_CLASS_CPU);
}

/* ---- SAXPY, in every memory -------------------------------------------------------- */

static void saxpy_in(enum place place)
{
	const struct infini_kernel_run range = {
		.groups = { SAXPY_N / 64, 1, 1 }, .items = { 64, 1, 1 },
	};
	const struct infini_kernel kernel = cuttable(&kernel_saxpy, true);
	struct infini_backend_program *program = program_load(&kernel);
	float a = 2.5, x[SAXPY_N], y[SAXPY_N], got[SAXPY_N];
	const void *scalars[] = { &a };
	struct buffer buffers[2];

	fill(x, SAXPY_N, 1);
	fill(y, SAXPY_N, 2);
	buffer_make(&buffers[0], place, sizeof(x));
	buffer_make(&buffers[1], place, sizeof(y));
	buffer_put(&buffers[0], x, sizeof(x));
	buffer_put(&buffers[1], y, sizeof(y));
	assert_int_equal(job_run(program, &kernel, &range, scalars, buffers, 2, NEVER, NULL), 0);
	/* A second job reads what the first has written. */
	assert_int_equal(job_run(program, &kernel, &range, scalars, buffers, 2, NEVER, NULL), 0);
	buffer_get(&buffers[1], got, sizeof(got));
	for (size_t i = 0; i < SAXPY_N; i++)
		y[i] = fmaf(a, x[i], fmaf(a, x[i], y[i]));
	assert_memory_equal(got, y, sizeof(y));
	if (buffers[1].pages)
		assert_memory_equal(buffers[1].pages, y, sizeof(y));
	buffer_drop(&buffers[0]);
	buffer_drop(&buffers[1]);
	world.ops->program_free(world.backend, program);
}

static void saxpy_in_every_memory(void **state)
{
	(void)state;
	for (enum place place = 0; place < PLACES; place++)
		saxpy_in(place);
}

/* ---- memory ------------------------------------------------------------------------ */

static void memory_is_zero_moves_and_fills(void **state)
{
	uint8_t seen[256], bytes[256];
	struct buffer a, b;

	(void)state;
	for (enum place from = 0; from < PLACES; from++) {
		for (enum place to = 0; to < PLACES; to++) {
			buffer_make(&a, from, 4096);
			buffer_make(&b, to, 4096);
			buffer_get(&b, seen, sizeof(seen));
			for (size_t i = 0; i < sizeof(bytes); i++) {
				assert_int_equal(seen[i], 0);
				bytes[i] = (uint8_t)i;
			}
			buffer_put(&a, bytes, sizeof(bytes));
			assert_int_equal(world.ops->copy(world.backend, &b.buffer, 0, &a.buffer,
							 16, 240), 0);
			assert_int_equal(world.ops->fill(world.backend, &b.buffer, 1, 0xa5, 3), 0);
			/* Over itself, in both directions. */
			assert_int_equal(world.ops->copy(world.backend, &b.buffer, 8, &b.buffer, 0,
							 100), 0);
			assert_int_equal(world.ops->copy(world.backend, &b.buffer, 0, &b.buffer, 4,
							 100), 0);
			memmove(bytes, bytes + 16, 240);
			memset(bytes + 1, 0xa5, 3);
			memmove(bytes + 8, bytes, 100);
			memmove(bytes, bytes + 4, 100);
			buffer_get(&b, seen, 240);
			assert_memory_equal(seen, bytes, 240);
			buffer_drop(&a);
			buffer_drop(&b);
		}
	}
}

/* ---- cut and whole ----------------------------------------------------------------- */

static const struct {
	const char *name;
	struct infini_kernel_run range;
	unsigned int segments;
} ranges[] = {
	{ "a line", { .groups = { 100, 1, 1 }, .items = { 16, 1, 1 } }, 100 },
	{ "a plane", { .groups = { 3, 40, 1 }, .items = { 8, 2, 1 } }, 40 },
	{ "a room", { .groups = { 2, 3, 17 }, .items = { 4, 2, 3 } }, 17 },
	{ "a plane along x", { .groups = { 30, 1, 1 }, .items = { 4, 8, 1 } }, 30 },
	{ "one group", { .groups = { 1, 1, 1 }, .items = { 8, 2, 2 } }, 1 },
};

static uint32_t *place_of(const struct infini_kernel_run *range, bool cut, enum yielding yielding,
			  size_t *bytes, unsigned int *dispatches)
{
	const struct infini_kernel kernel = cuttable(&kernel_place, cut);
	struct infini_backend_program *program = program_load(&kernel);
	uint32_t width = range->groups[0] * range->items[0];
	uint32_t height = range->groups[1] * range->items[1], *out;
	const void *scalars[] = { &width, &height };
	struct buffer buffer;

	*bytes = sizeof(*out) * width * height * range->groups[2] * range->items[2];
	out = malloc(*bytes);
	assert_non_null(out);
	buffer_make(&buffer, PLACE_UNIFIED, *bytes);
	assert_int_equal(job_run(program, &kernel, range, scalars, &buffer, 1, yielding,
				 dispatches), 0);
	buffer_get(&buffer, out, *bytes);
	buffer_drop(&buffer);
	world.ops->program_free(world.backend, program);
	return out;
}

static void cut_and_whole_give_the_same(void **state)
{
	uint32_t *whole, *cut, *stopped;
	unsigned int dispatches;
	size_t bytes;

	(void)state;
	world_reopen(1);
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
		whole = place_of(&ranges[i].range, false, ALWAYS, &bytes, &dispatches);
		if (dispatches != 1)
			fail_msg("%s: stopped though it may not be cut", ranges[i].name);
		cut = place_of(&ranges[i].range, true, NEVER, &bytes, &dispatches);
		if (dispatches != 1 || memcmp(whole, cut, bytes))
			fail_msg("%s: cut, it gives something else", ranges[i].name);
		stopped = place_of(&ranges[i].range, true, ALWAYS, &bytes, &dispatches);
		if (memcmp(whole, stopped, bytes))
			fail_msg("%s: stopped and resumed, it gives something else",
				 ranges[i].name);
		/* The first part of a program that nothing is known of is the shortest. */
		if (ranges[i].segments > 1 ? dispatches < 2 || dispatches > ranges[i].segments :
					     dispatches != 1)
			fail_msg("%s: %u dispatches of %u segments", ranges[i].name, dispatches,
				 ranges[i].segments);
		free(whole);
		free(cut);
		free(stopped);
	}
	world_reopen(400);
}

/* ---- SGEMM, with local memory and a barrier ---------------------------------------- */

#define SGEMM_N	64

static void sgemm_reference(const float *a, const float *b, float *c)
{
	for (size_t row = 0; row < SGEMM_N; row++) {
		for (size_t column = 0; column < SGEMM_N; column++) {
			c[row * SGEMM_N + column] = 0;
			for (size_t k = 0; k < SGEMM_N; k++)
				c[row * SGEMM_N + column] = fmaf(a[row * SGEMM_N + k],
								 b[k * SGEMM_N + column],
								 c[row * SGEMM_N + column]);
		}
	}
}

static void sgemm_is_right(void **state)
{
	static float a[SGEMM_N * SGEMM_N], b[SGEMM_N * SGEMM_N], c[SGEMM_N * SGEMM_N];
	static float got[SGEMM_N * SGEMM_N];
	const struct infini_kernel_run range = {
		.groups = { SGEMM_N / SGEMM_TILE, SGEMM_N / SGEMM_TILE, 1 },
		.items = { SGEMM_TILE, SGEMM_TILE, 1 },
	};
	const struct infini_kernel kernel = cuttable(&kernel_sgemm, true);
	struct infini_backend_program *program = program_load(&kernel);
	uint32_t n = SGEMM_N;
	const void *scalars[] = { &n };
	struct buffer buffers[3];
	unsigned int dispatches;

	(void)state;
	fill(a, SGEMM_N * SGEMM_N, 3);
	fill(b, SGEMM_N * SGEMM_N, 4);
	sgemm_reference(a, b, c);
	for (int i = 0; i < 3; i++)
		buffer_make(&buffers[i], PLACE_UNIFIED, sizeof(a));
	buffer_put(&buffers[0], a, sizeof(a));
	buffer_put(&buffers[1], b, sizeof(b));
	assert_int_equal(job_run(program, &kernel, &range, scalars, buffers, 3, ALWAYS,
				 &dispatches), 0);
	assert_true(dispatches > 1);
	buffer_get(&buffers[2], got, sizeof(got));
	/* In the same order with fused steps: to the bit. */
	assert_memory_equal(got, c, sizeof(c));
	for (int i = 0; i < 3; i++)
		buffer_drop(&buffers[i]);
	world.ops->program_free(world.backend, program);
}

/* ---- nothing is kept --------------------------------------------------------------- */

/* Files and directories below the scratch directory. */
static long files(void)
{
	char command[256];
	long nr = -1;
	FILE *pipe;

	snprintf(command, sizeof(command), "find %s | wc -l", world.scratch);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(fscanf(pipe, "%ld", &nr), 1);
	pclose(pipe);
	return nr;
}

static void leave_no_files(const char *behind, int expected)
{
	uint64_t held = 0;
	long before = -1;
	char text[256];

	for (int i = 0; i < 4; i++) {
		struct infini_kernel kernel = kernel_saxpy;

		snprintf(text, sizeof(text), "%s%s/* %d */", kernel_saxpy.text, behind, i);
		kernel.text = text;
		assert_int_equal(program_try(&kernel), expected);
		if (before < 0) {
			before = files();
			held = world.ops->held_bytes(world.backend);
		}
	}
	if (files() > before)
		fail_msg("files grow from %ld to %ld", before, files());
	assert_int_equal(world.ops->held_bytes(world.backend), held);
}

static void programs_leave_no_files(void **state)
{
	(void)state;
	leave_no_files("", 0);
}

static void failed_builds_leave_no_files(void **state)
{
	(void)state;
	leave_no_files("nonsense", -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(device_is_described),
		cmocka_unit_test(memory_is_zero_moves_and_fills),
		cmocka_unit_test(saxpy_in_every_memory),
		cmocka_unit_test(cut_and_whole_give_the_same),
		cmocka_unit_test(sgemm_is_right),
		cmocka_unit_test(programs_leave_no_files),
		cmocka_unit_test(failed_builds_leave_no_files),
	};

	return cmocka_run_group_tests(tests, world_start, world_stop);
}
