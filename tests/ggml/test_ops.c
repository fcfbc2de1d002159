// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every operation: accepted, computed bit for bit as ggml itself does, whether the run is stopped
 * after each segment or not, and answered for by SUPPORTS.
 */
#include "program.h"

#include <ggml-backend.h>
#include <ggml-cpu.h>
#include <stdlib.h>
#include <string.h>

static bool always(const struct infini_backend_run *run)
{
	(void)run;
	return true;
}

/* The same bytes through ggml alone, in a graph of its own making. */
static void compute_directly(struct ggml_context *ctx, const struct program *program,
			     struct arena *arena)
{
	ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
	ggml_backend_t backend = ggml_backend_dev_init(device, NULL);
	ggml_backend_buffer_t buffer = ggml_backend_cpu_buffer_from_ptr(arena->base, arena->bytes);
	struct ggml_cgraph *graph = ggml_new_graph_custom(ctx, 512, false);
	ggml_backend_set_n_threads_t set = (ggml_backend_set_n_threads_t)
		ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device),
						  "ggml_backend_set_n_threads");
	struct ggml_tensor *t;

	set(backend, 1);
	for (t = ggml_get_first_tensor(ctx); t; t = ggml_get_next_tensor(ctx, t)) {
		t->data = arena->base + program_offset(program, ctx, t);
		t->buffer = buffer;
		if (t->op != GGML_OP_NONE)
			ggml_build_forward_expand(graph, t);
	}
	ggml_backend_graph_compute(backend, graph);
	ggml_backend_buffer_free(buffer);
	ggml_backend_free(backend);
}

static int compute(struct infini_backend *backend, const struct program *program,
		   struct arena *arena, bool stop, uint32_t *stops)
{
	const struct infini_backend_ops *ops = &infini_backend_ops;
	struct infini_backend_buffer buffer = {
		.id = 1,
		.type = INFINI_BUFFER_DEVICE,
		.bytes = arena->bytes,
		.addr = arena->base,
	};
	struct infini_backend_binding binding = {
		.buffer = &buffer,
		.access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE,
	};
	struct infini_ggml_run args = { .threads = 1 };
	struct infini_backend_run run = {
		.bindings = &binding,
		.nr_bindings = 1,
		.args = &args,
		.args_bytes = sizeof(args),
		.should_yield = stop ? always : NULL,
	};
	struct infini_backend_program *loaded;
	int ret;

	ret = ops->program_load(backend, program->data, program->bytes, &loaded);
	if (ret)
		return ret;
	CHECK(!ops->buffer_add(backend, &buffer));
	*stops = 0;
	while ((ret = ops->program_run(backend, loaded, &run)) == INFINI_BACKEND_PREEMPTED)
		++*stops;
	ops->buffer_remove(backend, &buffer);
	ops->program_free(backend, loaded);
	return ret;
}

static uint64_t ask_supports(struct infini_backend *backend, const struct program *program)
{
	struct {
		struct infini_ggml_ask ask;
		struct infini_ggml_tensor tensors[1 + INFINI_GGML_SRC_MAX];
	} q = { .ask = {
			.magic = INFINI_GGML_MAGIC,
			.version = INFINI_GGML_VERSION,
			.ops = GGML_OP_COUNT,
			.types = GGML_TYPE_COUNT,
			.question = INFINI_GGML_ASK_SUPPORTS,
			.nr_tensors = 1,
		} };
	struct infini_backend_run run = { .args = &q };
	uint32_t last = program_head(program)->nr_tensors - 1;
	int i;

	q.tensors[0] = *program_tensor(program, last);
	q.tensors[0].binding = INFINI_GGML_NONE;
	for (i = 0; i < INFINI_GGML_SRC_MAX; i++) {
		struct infini_ggml_tensor *to = &q.tensors[q.ask.nr_tensors];

		if (q.tensors[0].src[i] == INFINI_GGML_NONE)
			continue;
		*to = *program_tensor(program, q.tensors[0].src[i]);
		to->binding = INFINI_GGML_NONE;
		to->op = GGML_OP_NONE;
		q.tensors[0].src[i] = q.ask.nr_tensors++;
	}
	run.args_bytes = sizeof(q.ask) + q.ask.nr_tensors * sizeof(q.tensors[0]);
	return infini_backend_ops.ask(backend, &run) ? 0 : run.value;
}

static void one_case(struct infini_backend *backend, unsigned int i, const char *name,
		     struct ggml_context *ctx)
{
	struct arena expected, whole, stopped;
	struct program program;
	uint32_t stops;

	program_make(&program, ctx);
	CHECK(ask_supports(backend, &program) == 1);
	arena_make(&expected, program.arena_bytes);
	arena_make(&whole, program.arena_bytes);
	arena_make(&stopped, program.arena_bytes);
	fill_leaves(&program, expected.base, i);
	memcpy(whole.base, expected.base, expected.bytes);
	memcpy(stopped.base, expected.base, expected.bytes);
	CHECK(compute(backend, &program, &whole, false, &stops) == 0 && !stops);
	CHECK(compute(backend, &program, &stopped, true, &stops) == 0);
	compute_directly(ctx, &program, &expected);
	CHECK(!memcmp(expected.base, whole.base, expected.bytes));
	CHECK(!memcmp(expected.base, stopped.base, expected.bytes));
	arena_free(&expected);
	arena_free(&whole);
	arena_free(&stopped);
	program_free(&program);
	row_done(name);
}

int main(void)
{
	struct infini_backend *backend = backend_open("cpu0", 2);
	struct ggml_context *ctx;
	const char *name;
	unsigned int i;

	for (i = 0; ; i++) {
		ctx = context_make();
		if (!case_build(ctx, i, &name))
			break;
		one_case(backend, i, name, ctx);
		ggml_free(ctx);
	}
	ggml_free(ctx);
	infini_backend_ops.close(backend);
	return tests_done();
}
