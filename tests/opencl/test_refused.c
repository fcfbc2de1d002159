// SPDX-License-Identifier: GPL-2.0-or-later
/* What strangers may send: each damage is refused, with a reason in the log. */
#include "kernels.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

/* ---- programs that do not hold up -------------------------------------------------- */

struct parts {
	struct infini_kernel_program *head;
	struct infini_kernel_param *params;
	char *text;			/* options first */
	size_t bytes;
};

static void magic(struct parts *p) { p->head->magic++; }
static void version(struct parts *p) { p->head->version++; }
static void flag(struct parts *p) { p->head->flags = 1U << 31; }
static void name_empty(struct parts *p) { p->head->name[0] = 0; }
static void name_blank(struct parts *p) { p->head->name[1] = ' '; }
static void name_endless(struct parts *p) { memset(p->head->name, 'a', sizeof(p->head->name)); }
static void name_tail(struct parts *p) { p->head->name[INFINI_KERNEL_NAME_MAX - 1] = 'x'; }
static void name_other(struct parts *p) { p->head->name[0] = 'z'; }
static void params_many(struct parts *p) { p->head->nr_params = UINT32_MAX; }
static void params_fewer(struct parts *p) { p->head->nr_params--; }
static void bindings_many(struct parts *p) { p->head->nr_bindings = UINT32_MAX; }
static void bindings_none(struct parts *p) { p->head->nr_bindings = 0; }
static void shared(struct parts *p) { p->head->shared_bytes = 64; }
static void text_endless(struct parts *p) { p->head->text_bytes = UINT32_MAX; }
static void text_none(struct parts *p) { p->bytes -= p->head->text_bytes; p->head->text_bytes = 0; }
static void options_endless(struct parts *p) { p->head->options_bytes = UINT32_MAX; }
static void header_cut(struct parts *p) { p->bytes = sizeof(*p->head) - 1; }
static void tail_cut(struct parts *p) { p->bytes--; }
static void nothing(struct parts *p) { p->bytes = 0; }
static void nul(struct parts *p) { p->text[20] = 0; }
static void kind_unknown(struct parts *p) { p->params[0].kind = 0; }
static void kind_large(struct parts *p) { p->params[0].kind = 0x80000001; }
static void kind_offset(struct parts *p) { p->params[0] = (struct infini_kernel_param)INFINI_PARAM_OFFSET; }
static void scalar_empty(struct parts *p) { p->params[0].bytes = 0; }
static void scalar_large(struct parts *p) { p->params[0].bytes = UINT32_MAX; }
static void scalar_other(struct parts *p) { p->params[0].bytes = 8; }
static void scalar_access(struct parts *p) { p->params[0].access = 1; }
static void buffer_index(struct parts *p) { p->params[1].index = 2; }
static void buffer_access(struct parts *p) { p->params[1].access = 0; }
static void buffer_rights(struct parts *p) { p->params[1].access = 4; }
static void buffer_written(struct parts *p) { p->params[2].access = INFINI_ACCESS_READ; }
static void buffer_scalar(struct parts *p)
{
	p->params[1] = (struct infini_kernel_param)INFINI_PARAM_SCALAR(8);
}
static void scalar_buffer(struct parts *p)
{
	p->params[0] = (struct infini_kernel_param)INFINI_PARAM_BUFFER(0, 1);
}
static void local_buffer(struct parts *p)
{
	p->params[1] = (struct infini_kernel_param)INFINI_PARAM_LOCAL(64);
}
static void local_large(struct parts *p)
{
	p->params[1] = (struct infini_kernel_param)INFINI_PARAM_LOCAL(UINT32_MAX);
}

static const struct {
	const char *name;
	void (*damage)(struct parts *parts);
} damages[] = {
	{ "magic", magic }, { "version", version }, { "unknown flag", flag },
	{ "empty name", name_empty }, { "blank in the name", name_blank },
	{ "name without an end", name_endless }, { "something behind the name", name_tail },
	{ "no kernel of that name", name_other }, { "too many parameters", params_many },
	{ "a parameter too few", params_fewer }, { "too many bindings", bindings_many },
	{ "no bindings", bindings_none }, { "shared memory", shared },
	{ "text beyond the end", text_endless }, { "no text", text_none },
	{ "options beyond the end", options_endless }, { "half a header", header_cut },
	{ "a byte missing", tail_cut }, { "nothing", nothing }, { "NUL in the text", nul },
	{ "kind 0", kind_unknown }, { "kind beyond all", kind_large },
	{ "a kind of PTX", kind_offset }, { "empty scalar", scalar_empty },
	{ "endless scalar", scalar_large }, { "scalar of another size", scalar_other },
	{ "scalar with access", scalar_access }, { "binding that is not there", buffer_index },
	{ "buffer without access", buffer_access }, { "unknown access", buffer_rights },
	{ "read only, but not const", buffer_written },
	{ "scalar for a pointer", buffer_scalar }, { "pointer for a scalar", scalar_buffer },
	{ "local for global", local_buffer }, { "endless local memory", local_large },
};

static void damaged_programs_are_refused(void **state)
{
	struct infini_backend_program *program;
	struct parts parts;
	uint8_t *data, *exact;
	int ret;

	(void)state;
	for (size_t i = 0; i < COUNT(damages); i++) {
		data = program_bytes(&kernel_saxpy, &parts.bytes);
		parts.head = (struct infini_kernel_program *)data;
		parts.params = (struct infini_kernel_param *)(parts.head + 1);
		parts.text = (char *)(parts.params + parts.head->nr_params);
		damages[i].damage(&parts);
		/* In memory of its own size, where reading too far would be seen. */
		exact = malloc(parts.bytes ? parts.bytes : 1);
		assert_non_null(exact);
		memcpy(exact, data, parts.bytes);
		said[0] = '\0';
		ret = world.ops->program_load(world.backend, exact, parts.bytes, &program);
		if (ret != -EINVAL || !said[0])
			fail_msg("%s: %d, said \"%s\"", damages[i].name, ret, said);
		free(exact);
		free(data);
	}
}

/* ---- sources ----------------------------------------------------------------------- */

#define RW	(INFINI_ACCESS_READ | INFINI_ACCESS_WRITE)

static const struct {
	const char *name, *text, *options;
	struct infini_kernel_param param;
	const char *reason;		/* part of what is logged; NULL: it is taken */
} sources[] = {
	{ "a kernel", "kernel void k(global int *a) { a[0] = 1; }", NULL,
	  INFINI_PARAM_BUFFER(0, RW), NULL },
	{ "options", "kernel void k(global TYPE *a) { a[0] = LONG_NAME_1; }",
	  "-cl-std=CL1.2 -DTYPE=float -DLONG_NAME_1=1.5e-3 -cl-mad-enable -w",
	  INFINI_PARAM_BUFFER(0, RW), NULL },
	{ "a vector", "kernel void k(float4 a) { }", NULL, INFINI_PARAM_SCALAR(16), NULL },
	{ "a vector of three", "kernel void k(int3 a) { }", NULL, INFINI_PARAM_SCALAR(16), NULL },
	{ "constant memory", "kernel void k(constant int *a) { }", NULL,
	  INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ), NULL },
	{ "a syntax error", "kernel void k(global int *a) { a[0] = nonsense; }", NULL,
	  INFINI_PARAM_BUFFER(0, RW), "nonsense" },
	{ "SPIR-V", "\003\002#\007\001\001\001\001", NULL, INFINI_PARAM_BUFFER(0, RW), "SPIR-V" },
	{ "SPIR-V of another byte order", "\007#\002\003\001\001\001\001", NULL,
	  INFINI_PARAM_BUFFER(0, RW), "SPIR-V" },
	{ "control characters", "kernel void k(global int *a) { a[0] = \033[2J\a; }", NULL,
	  INFINI_PARAM_BUFFER(0, RW), "does not build" },
	{ "no program", "\n\n", NULL, INFINI_PARAM_BUFFER(0, RW), "" },
	{ "a sampler", "kernel void k(sampler_t a) { }", NULL, INFINI_PARAM_SCALAR(8), "sampler" },
	{ "an image", "kernel void k(read_only image2d_t a) { }", NULL, INFINI_PARAM_SCALAR(8),
	  "image" },
	{ "an image as a buffer", "kernel void k(read_only image2d_t a) { }", NULL,
	  INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ), "image" },
	{ "a sampler under another name",
	  "typedef sampler_t harmless;\nkernel void k(harmless a) { }", NULL,
	  INFINI_PARAM_SCALAR(8), "" },
	{ "a sampler that looks like a vector",
	  "typedef sampler_t float02;\nkernel void k(float02 a) { }", NULL,
	  INFINI_PARAM_SCALAR(8), "float02" },
	{ "a sampler that looks like a vector of many",
	  "typedef sampler_t int4294967298;\nkernel void k(int4294967298 a) { }", NULL,
	  INFINI_PARAM_SCALAR(8), "int4294967298" },
	{ "a structure", "struct s { int x; };\nkernel void k(struct s a) { }", NULL,
	  INFINI_PARAM_SCALAR(4), "struct" },
	{ "an option that names a file", "kernel void k(global int *a) { }", "-I/etc",
	  INFINI_PARAM_BUFFER(0, RW), "\"-I/etc\"" },
	{ "an option of the driver", "kernel void k(global int *a) { }", "-cl-mad-enable -Xclang",
	  INFINI_PARAM_BUFFER(0, RW), "\"-Xclang\"" },
	{ "an option of nothing", "kernel void k(global int *a) { }", "-cl-mad-enable  -w",
	  INFINI_PARAM_BUFFER(0, RW), "\"\"" },
	{ "a macro with a quote", "kernel void k(global int *a) { }", "-DA=\"x",
	  INFINI_PARAM_BUFFER(0, RW), "not allowed" },
	{ "a macro without a name", "kernel void k(global int *a) { }", "-D=1",
	  INFINI_PARAM_BUFFER(0, RW), "not allowed" },
	{ "an option with a newline", "kernel void k(global int *a) { }", "-w\n-I/etc",
	  INFINI_PARAM_BUFFER(0, RW), "not allowed" },
};

static void sources_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(sources); i++) {
		const struct infini_kernel kernel = {
			.format = INFINI_FORMAT_OPENCL_C,
			.name = "k",
			.text = sources[i].text,
			.options = sources[i].options,
			.params = &sources[i].param,
			.nr_params = 1,
		};
		int ret = program_try(&kernel);

		if (!sources[i].reason) {
			if (ret)
				fail_msg("%s: %d, %s", sources[i].name, ret, said);
			continue;
		}
		if (ret != -EINVAL || !said[0] || !strstr(said, sources[i].reason))
			fail_msg("%s: %d, said \"%s\"", sources[i].name, ret, said);
		if (strchr(said, '\033') || strchr(said, '\a'))
			fail_msg("%s: what is logged is not printable", sources[i].name);
	}
}

static void build_errors_have_a_line(void **state)
{
	const struct infini_kernel kernel = {
		.format = INFINI_FORMAT_OPENCL_C,
		.name = "k",
		.text = "kernel void k(void)\n{\n	undeclared = 1;\n}\n",
	};

	(void)state;
	assert_int_equal(program_try(&kernel), -EINVAL);
	if (!strstr(said, "does not build: error: ") || !strstr(said, "3:") ||
	    !strstr(said, "undeclared"))
		fail_msg("said \"%s\"", said);
}

/* ---- jobs -------------------------------------------------------------------------- */

struct attempt {
	struct infini_kernel_run range;
	struct infini_backend_binding bindings[3];
	uint32_t nr_bindings, args_bytes;
	uint64_t segment;
};

static void job_padding(struct attempt *a) { a->range.pad = 1; }
static void job_shared(struct attempt *a) { a->range.shared_bytes = 1; }
static void job_no_groups(struct attempt *a) { a->range.groups[2] = 0; }
static void job_no_items(struct attempt *a) { a->range.items[1] = 0; }
static void job_endless(struct attempt *a)
{
	for (int i = 0; i < INFINI_KERNEL_DIMS; i++)
		a->range.groups[i] = UINT32_MAX;
}
static void job_large_group(struct attempt *a) { a->range.items[0] = UINT32_MAX; }
static void job_full_group(struct attempt *a)
{
	for (int i = 0; i < INFINI_KERNEL_DIMS; i++)
		a->range.items[i] = 1024;
}
static void job_short(struct attempt *a) { a->args_bytes = sizeof(a->range) - 1; }
static void job_no_args(struct attempt *a) { a->args_bytes = 0; }
static void job_no_scalars(struct attempt *a) { a->args_bytes = sizeof(a->range); }
static void job_half_a_scalar(struct attempt *a) { a->args_bytes = sizeof(a->range) + 3; }
static void job_few_bindings(struct attempt *a) { a->nr_bindings = 1; }
static void job_no_bindings(struct attempt *a) { a->nr_bindings = 0; }
static void job_write_only(struct attempt *a) { a->bindings[0].access = INFINI_ACCESS_WRITE; }
static void job_read_only(struct attempt *a) { a->bindings[1].access = INFINI_ACCESS_READ; }
static void job_segment(struct attempt *a) { a->segment = 4; }
static void job_far_segment(struct attempt *a) { a->segment = UINT64_MAX; }

static const struct {
	const char *name;
	void (*damage)(struct attempt *attempt);
} jobs[] = {
	{ "padding", job_padding }, { "shared memory", job_shared }, { "no groups", job_no_groups },
	{ "no items", job_no_items }, { "more items than can be counted", job_endless },
	{ "a group longer than any", job_large_group }, { "a group larger than any", job_full_group },
	{ "half a range", job_short }, { "no arguments", job_no_args },
	{ "no scalars", job_no_scalars }, { "half a scalar", job_half_a_scalar },
	{ "a binding too few", job_few_bindings }, { "no bindings", job_no_bindings },
	{ "binding that may not be read", job_write_only },
	{ "binding that may not be written", job_read_only },
	{ "segment behind the last", job_segment }, { "segment beyond all", job_far_segment },
};

static bool never(const struct infini_backend_run *run)
{
	(void)run;
	return false;
}

static int job_try(struct infini_backend_program *program, const struct infini_kernel *kernel,
		   const struct attempt *attempt)
{
	struct infini_backend_run run = {
		.bindings = attempt->bindings,
		.nr_bindings = attempt->nr_bindings,
		.args_bytes = attempt->args_bytes,
		.segment = attempt->segment,
		.should_yield = never,
	};
	const float a = 1;
	const void *scalars[] = { &a };
	uint8_t *args = malloc(infini_kernel_args_bytes(kernel)), *exact;
	int ret;

	assert_non_null(args);
	infini_kernel_args(kernel, &attempt->range, scalars, args);
	exact = malloc(run.args_bytes ? run.args_bytes : 1);
	assert_non_null(exact);
	memcpy(exact, args, run.args_bytes);
	run.args = exact;
	said[0] = '\0';
	ret = world.ops->program_run(world.backend, program, &run);
	free(exact);
	free(args);
	return ret;
}

static void damaged_jobs_are_refused(void **state)
{
	const struct infini_kernel kernel = cuttable(&kernel_saxpy, true);
	struct infini_backend_program *program = program_load(&kernel);
	struct attempt attempt, good = {
		.range = { .groups = { 4, 1, 1 }, .items = { 16, 1, 1 } },
		.nr_bindings = 2,
		.args_bytes = (uint32_t)infini_kernel_args_bytes(&kernel),
	};
	struct buffer buffers[2];
	int ret;

	(void)state;
	for (int i = 0; i < 2; i++) {
		buffer_make(&buffers[i], PLACE_UNIFIED, 4096);
		good.bindings[i] = (struct infini_backend_binding){ &buffers[i].buffer, RW };
	}
	for (size_t i = 0; i < COUNT(jobs); i++) {
		attempt = good;
		jobs[i].damage(&attempt);
		ret = job_try(program, &kernel, &attempt);
		if (ret != -EINVAL || !said[0])
			fail_msg("%s: %d, said \"%s\"", jobs[i].name, ret, said);
		/* And does no harm to the next one. */
		assert_int_equal(job_try(program, &kernel, &good), 0);
	}
	for (int i = 0; i < 2; i++)
		buffer_drop(&buffers[i]);
	world.ops->program_free(world.backend, program);
}

static void whole_programs_have_no_segments(void **state)
{
	struct infini_backend_program *program = program_load(&kernel_saxpy);
	struct attempt attempt = {
		.range = { .groups = { 4, 1, 1 }, .items = { 16, 1, 1 } },
		.nr_bindings = 2,
		.args_bytes = (uint32_t)infini_kernel_args_bytes(&kernel_saxpy),
		.segment = 1,
	};
	struct buffer buffers[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		buffer_make(&buffers[i], PLACE_UNIFIED, 4096);
		attempt.bindings[i] = (struct infini_backend_binding){ &buffers[i].buffer, RW };
	}
	assert_int_equal(job_try(program, &kernel_saxpy, &attempt), -EINVAL);
	for (int i = 0; i < 2; i++)
		buffer_drop(&buffers[i]);
	world.ops->program_free(world.backend, program);
}

static void memory_that_is_not_there(void **state)
{
	struct infini_backend_buffer buffer = {
		.type = INFINI_BUFFER_DEVICE, .kind = 7, .bytes = 4096,
	};

	(void)state;
	assert_int_equal(world.ops->buffer_add(world.backend, &buffer), -EINVAL);
	buffer.kind = world.device.nr_kinds - 1;
	buffer.bytes = 1ULL << 62;
	said[0] = '\0';
	assert_int_equal(world.ops->buffer_add(world.backend, &buffer), -ENOMEM);
	assert_true(said[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(damaged_programs_are_refused),
		cmocka_unit_test(sources_are_judged),
		cmocka_unit_test(build_errors_have_a_line),
		cmocka_unit_test(damaged_jobs_are_refused),
		cmocka_unit_test(whole_programs_have_no_segments),
		cmocka_unit_test(memory_that_is_not_there),
	};

	return cmocka_run_group_tests(tests, world_start, world_stop);
}
