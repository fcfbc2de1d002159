// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What happens around a graph: indices, bindings, memory kinds, questions, tokens.
 */
#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define READ_WRITE	(INFINI_ACCESS_READ | INFINI_ACCESS_WRITE)

static const struct infini_backend_ops *ops = &infini_backend_ops;
static struct infini_backend *backend;

/* A program of one context, its memory, and what is bound. */
struct scene {
	struct ggml_context *ctx;
	struct program program;
	struct arena arena;
	struct infini_backend_buffer buffer;
	struct infini_backend_binding binding;
	struct infini_backend_run run;
	struct infini_backend_program *loaded;
};

static bool always(const struct infini_backend_run *run)
{
	(void)run;
	return true;
}

static int scene_open(struct scene *s, struct ggml_context *ctx)
{
	memset(s, 0, sizeof(*s));
	s->ctx = ctx;
	program_make(&s->program, ctx);
	arena_make(&s->arena, s->program.arena_bytes);
	fill_leaves(&s->program, s->arena.base, 1);
	s->buffer.id = 1;
	s->buffer.type = INFINI_BUFFER_DEVICE;
	s->buffer.bytes = s->arena.bytes;
	s->buffer.addr = s->arena.base;
	s->binding.buffer = &s->buffer;
	s->binding.access = READ_WRITE;
	s->run.bindings = &s->binding;
	s->run.nr_bindings = 1;
	CHECK(!ops->buffer_add(backend, &s->buffer));
	return ops->program_load(backend, s->program.data, s->program.bytes, &s->loaded);
}

static void *scene_at(struct scene *s, struct ggml_tensor *t)
{
	return s->arena.base + program_offset(&s->program, s->ctx, t);
}

static int scene_run(struct scene *s)
{
	s->run.segment = 0;
	return ops->program_run(backend, s->loaded, &s->run);
}

static void scene_close(struct scene *s)
{
	if (s->loaded)
		ops->program_free(backend, s->loaded);
	ops->buffer_remove(backend, &s->buffer);
	arena_free(&s->arena);
	program_free(&s->program);
	ggml_free(s->ctx);
}

/* ---- indices ---- */

static void indices_are_checked(void)
{
	struct ggml_context *c = context_make();
	struct ggml_tensor *rows = ggml_new_tensor_2d(c, GGML_TYPE_F32, 8, 4);
	struct ggml_tensor *ids = ggml_new_tensor_1d(c, GGML_TYPE_I32, 3);
	struct scene s;

	ggml_get_rows(c, rows, ids);
	CHECK(!scene_open(&s, c));
	CHECK(scene_run(&s) == 0);
	((int32_t *)scene_at(&s, ids))[2] = 4;
	CHECK(scene_run(&s) == -EINVAL && strstr(last_message, "outside of 0..3"));
	((int32_t *)scene_at(&s, ids))[2] = -1;
	CHECK(scene_run(&s) == -EINVAL);
	((int32_t *)scene_at(&s, ids))[2] = 3;
	CHECK(scene_run(&s) == 0);
	s.buffer.type = INFINI_BUFFER_SHARED;
	CHECK(scene_run(&s) == -EINVAL && strstr(last_message, "SHARED"));
	scene_close(&s);
	row_done("indices are checked at each run, and not taken from SHARED memory");
}

/* The indices are written by the graph itself, from a float that the client chose. */
static void computed_indices_are_checked(void)
{
	struct ggml_context *c = context_make();
	struct ggml_tensor *rows = ggml_new_tensor_2d(c, GGML_TYPE_F32, 8, 4);
	struct ggml_tensor *from = ggml_new_tensor_1d(c, GGML_TYPE_F32, 3);
	struct ggml_tensor *ids = ggml_cpy(c, from, ggml_new_tensor_1d(c, GGML_TYPE_I32, 3));
	struct scene s;
	int i;

	ggml_get_rows(c, rows, ids);
	CHECK(!scene_open(&s, c));
	for (i = 0; i < 3; i++)
		((float *)scene_at(&s, from))[i] = (float)i;
	CHECK(scene_run(&s) == 0);
	((float *)scene_at(&s, from))[1] = 4;
	CHECK(scene_run(&s) == -EINVAL);
	s.run.should_yield = always;
	CHECK(scene_run(&s) == INFINI_BACKEND_PREEMPTED && s.run.segment == 1);
	CHECK(ops->program_run(backend, s.loaded, &s.run) == -EINVAL);
	scene_close(&s);
	row_done("indices that the graph computes are checked before they are used");
}

/* Between two segments somebody else writes the indices of the second. */
static void indices_are_checked_again(void)
{
	struct ggml_context *c = context_make();
	struct ggml_tensor *rows = ggml_new_tensor_2d(c, GGML_TYPE_F32, 1024, 1024);
	struct ggml_tensor *x = ggml_new_tensor_2d(c, GGML_TYPE_F32, 1024, 32);
	struct ggml_tensor *ids = ggml_new_tensor_1d(c, GGML_TYPE_I32, 3);
	struct scene s;

	ggml_mul_mat(c, rows, x);
	ggml_get_rows(c, rows, ids);
	CHECK(!scene_open(&s, c));
	s.run.should_yield = always;
	CHECK(scene_run(&s) == INFINI_BACKEND_PREEMPTED);
	((int32_t *)scene_at(&s, ids))[0] = 1024;
	CHECK(ops->program_run(backend, s.loaded, &s.run) == -EINVAL);
	((int32_t *)scene_at(&s, ids))[0] = 1023;
	s.run.should_yield = NULL;
	CHECK(ops->program_run(backend, s.loaded, &s.run) == 0);
	scene_close(&s);
	row_done("indices are checked again after a preemption");
}

/* An optimiser's step changes its momenta, which here are the indices of the next node. */
static void changed_sources_are_known(void)
{
	struct ggml_context *c = context_make();
	struct ggml_tensor *t[4], *parameters = ggml_new_tensor_1d(c, GGML_TYPE_F32, 7);
	struct ggml_tensor *rows = ggml_new_tensor_2d(c, GGML_TYPE_F32, 8, 4);
	struct ggml_tensor *ids = ggml_new_tensor_1d(c, GGML_TYPE_I32, 3);
	struct infini_backend_binding twice[2];
	struct infini_backend_buffer other;
	struct arena more;
	struct scene s;
	size_t m;
	int i;

	for (i = 0; i < 4; i++)
		t[i] = ggml_new_tensor_1d(c, GGML_TYPE_F32, 3);
	ggml_set_param(t[0]);
	ggml_opt_step_adamw(c, t[0], t[1], t[2], t[3], parameters);
	ggml_get_rows(c, rows, ids);
	CHECK(!scene_open(&s, c));
	CHECK(scene_run(&s) == 0);

	/* The momenta lie where the indices do. */
	ops->program_free(backend, s.loaded);
	m = program_offset(&s.program, c, ids);
	program_tensor(&s.program, 5)->offset = m;
	CHECK(!ops->program_load(backend, s.program.data, s.program.bytes, &s.loaded));
	memset(s.arena.base + m, 0, 12);
	CHECK(scene_run(&s) == -EINVAL && strstr(last_message, "outside of 0..3"));

	/* They lie in memory that may only be read. */
	ops->program_free(backend, s.loaded);
	arena_make(&more, 4096);
	other = s.buffer;
	other.id = 2;
	other.bytes = more.bytes;
	other.addr = more.base;
	CHECK(!ops->buffer_add(backend, &other));
	program_head(&s.program)->nr_bindings = 2;
	program_tensor(&s.program, 5)->binding = 1;
	program_tensor(&s.program, 5)->offset = 0;
	CHECK(!ops->program_load(backend, s.program.data, s.program.bytes, &s.loaded));
	twice[0] = s.binding;
	twice[1] = (struct infini_backend_binding){ &other, INFINI_ACCESS_READ };
	s.run.bindings = twice;
	s.run.nr_bindings = 2;
	memset(s.arena.base + m, 0, 12);
	CHECK(scene_run(&s) == -EINVAL && strstr(last_message, "access"));
	twice[1].access = READ_WRITE;
	CHECK(scene_run(&s) == 0);
	ops->buffer_remove(backend, &other);
	arena_free(&more);
	scene_close(&s);
	row_done("sources that an operation changes count as written");
}

static void not_a_number_is_not_sorted(void)
{
	struct ggml_context *c = context_make();
	struct ggml_tensor *x = ggml_new_tensor_2d(c, GGML_TYPE_F32, 64, 2);
	struct scene s;

	ggml_argsort(c, x, GGML_SORT_ORDER_ASC);
	CHECK(!scene_open(&s, c));
	CHECK(scene_run(&s) == 0);
	((uint32_t *)scene_at(&s, x))[77] = 0x7fc00000;
	CHECK(scene_run(&s) == -EINVAL && strstr(last_message, "not a number"));
	scene_close(&s);
	row_done("what is sorted is checked to have an order");
}

/* llama.cpp plans nodes that it does not want computed; their indices are garbage. */
static void inactive_nodes_rest(void)
{
	struct ggml_context *c = context_make();
	struct ggml_tensor *rows = ggml_new_tensor_2d(c, GGML_TYPE_F32, 8, 4);
	struct ggml_tensor *ids = ggml_new_tensor_1d(c, GGML_TYPE_I32, 3), *x;
	struct scene s;

	x = ggml_get_rows(c, rows, ids);
	ggml_scale(c, rows, 2);
	CHECK(!scene_open(&s, c));
	ops->program_free(backend, s.loaded);
	program_tensor(&s.program, 2)->flags = 0;
	CHECK(!ops->program_load(backend, s.program.data, s.program.bytes, &s.loaded));
	((int32_t *)scene_at(&s, ids))[0] = 1 << 30;
	((float *)scene_at(&s, x))[0] = 42;
	CHECK(scene_run(&s) == 0);
	CHECK(((float *)scene_at(&s, x))[0] == 42);
	scene_close(&s);
	row_done("inactive nodes are neither checked nor computed");
}

static void empty_nodes_rest(void)
{
	struct ggml_context *c = context_make();
	struct ggml_tensor *rows = ggml_new_tensor_2d(c, GGML_TYPE_F32, 8, 4);
	struct ggml_tensor *ids = ggml_new_tensor_1d(c, GGML_TYPE_I32, 0);
	struct scene s;

	ggml_mul_mat(c, rows, ggml_rms_norm(c, ggml_get_rows(c, rows, ids), 1e-5f));
	CHECK(!scene_open(&s, c));
	CHECK(scene_run(&s) == 0);
	scene_close(&s);
	row_done("nodes of no rows take no computing");
}

/* ---- bindings ---- */

static void bindings_must_fit(void)
{
	struct ggml_context *c = context_make();
	struct infini_backend_binding twice[2];
	struct scene s;

	ggml_add(c, ggml_new_tensor_1d(c, GGML_TYPE_F32, 64),
		 ggml_new_tensor_1d(c, GGML_TYPE_F32, 64));
	CHECK(!scene_open(&s, c));
	s.run.nr_bindings = 0;
	CHECK(scene_run(&s) == -EINVAL && strstr(last_message, "0 bindings"));
	s.run.nr_bindings = 1;
	s.binding.access = INFINI_ACCESS_READ;
	CHECK(scene_run(&s) == -EINVAL && strstr(last_message, "access"));
	s.binding.access = READ_WRITE;
	s.buffer.bytes -= 64;
	CHECK(scene_run(&s) == -EINVAL && strstr(last_message, "bytes"));
	s.buffer.bytes += 64;
	s.run.segment = 2;
	CHECK(ops->program_run(backend, s.loaded, &s.run) == -EINVAL);
	CHECK(scene_run(&s) == 0);
	ops->program_free(backend, s.loaded);
	program_head(&s.program)->nr_bindings = 2;
	program_tensor(&s.program, 1)->binding = 1;
	CHECK(!ops->program_load(backend, s.program.data, s.program.bytes, &s.loaded));
	twice[0] = twice[1] = s.binding;
	s.run.bindings = twice;
	s.run.nr_bindings = 2;
	CHECK(scene_run(&s) == -EINVAL && strstr(last_message, "one buffer"));
	scene_close(&s);
	row_done("bindings must be there, large enough, permitted and different");
}

static void buffers_may_change(void)
{
	struct ggml_context *c = context_make();
	struct ggml_tensor *x = ggml_new_tensor_1d(c, GGML_TYPE_F32, 64), *y = ggml_scale(c, x, 2);
	struct infini_backend_buffer other;
	struct arena arena;
	struct scene s;
	size_t at;

	CHECK(!scene_open(&s, c));
	CHECK(scene_run(&s) == 0);
	arena_make(&arena, s.arena.bytes);
	memcpy(arena.base, s.arena.base, arena.bytes);
	other = s.buffer;
	other.addr = arena.base;
	at = program_offset(&s.program, c, y);
	memset(arena.base + at, 0, 256);
	CHECK(!ops->buffer_add(backend, &other));
	s.binding.buffer = &other;
	CHECK(scene_run(&s) == 0);
	CHECK(!memcmp(arena.base + at, s.arena.base + at, 256));
	s.binding.buffer = &s.buffer;
	CHECK(scene_run(&s) == 0);
	ops->buffer_remove(backend, &other);
	arena_free(&arena);
	scene_close(&s);
	row_done("the same program runs on other buffers");
}

static void arguments_are_checked(void)
{
	struct ggml_context *c = context_make();
	struct infini_ggml_run args = { .threads = 100000 };
	struct scene s;

	ggml_scale(c, ggml_new_tensor_1d(c, GGML_TYPE_F32, 64), 2);
	CHECK(!scene_open(&s, c));
	s.run.args = &args;
	s.run.args_bytes = sizeof(args);
	CHECK(scene_run(&s) == 0);
	args.pad = 1;
	CHECK(scene_run(&s) == -EINVAL);
	s.run.args_bytes = 4;
	CHECK(scene_run(&s) == -EINVAL);
	scene_close(&s);
	row_done("arguments: threads are bounded, padding is refused");
}

/* ---- memory and questions ---- */

static struct infini_backend_device device;

static int keep_device(const struct infini_backend_device *found, void *name)
{
	if (!strcmp(found->name, name))
		device = *found;
	return 0;
}

static void no_message(int priority, const char *message)
{
	(void)priority;
	(void)message;
}

static void devices_are_described(void)
{
	CHECK(!ops->probe(keep_device, (char *)"cpu0", no_message));
	CHECK(device.device_class == INFINI_CLASS_CPU && device.level == INFINI_LEVEL_SEGMENT);
	CHECK(device.slots == 1 && device.memory_bytes > 1 << 20 && device.nr_kinds >= 1);
	CHECK(device.kinds[0].flags == (INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_FILE));
	CHECK(!strcmp((char *)device.kinds[0].name, "CPU"));
	CHECK(__builtin_popcountll(device.kinds[0].alignment) == 1);
	row_done("the CPU is offered with its memory");
}

struct question {
	struct infini_ggml_ask ask;
	struct infini_ggml_tensor tensors[3];
};

static void question_tensor(struct infini_ggml_tensor *t, enum ggml_type type, uint64_t ne0,
			    uint64_t ne1)
{
	int i;

	memset(t, 0, sizeof(*t));
	t->type = type;
	t->ne[0] = ne0;
	t->ne[1] = ne1;
	t->ne[2] = t->ne[3] = 1;
	t->nb[0] = ggml_type_size(type);
	t->nb[1] = ggml_row_size(type, (int64_t)ne0);
	t->nb[2] = t->nb[3] = t->nb[1] * ne1;
	t->binding = t->view_src = INFINI_GGML_NONE;
	for (i = 0; i < INFINI_GGML_SRC_MAX; i++)
		t->src[i] = INFINI_GGML_NONE;
}

static void question_make(struct question *q, uint32_t what, enum ggml_type type)
{
	memset(q, 0, sizeof(*q));
	q->ask.magic = INFINI_GGML_MAGIC;
	q->ask.version = INFINI_GGML_VERSION;
	q->ask.ops = GGML_OP_COUNT;
	q->ask.types = GGML_TYPE_COUNT;
	q->ask.question = what;
	q->ask.nr_tensors = 3;
	question_tensor(&q->tensors[0], GGML_TYPE_F32, 64, 3);
	question_tensor(&q->tensors[1], type, 256, 64);
	question_tensor(&q->tensors[2], GGML_TYPE_F32, 256, 3);
	q->tensors[0].op = GGML_OP_MUL_MAT;
	q->tensors[0].src[0] = 1;
	q->tensors[0].src[1] = 2;
}

static int question_put(struct question *q, uint64_t *value)
{
	struct infini_backend_run run = {
		.args = q,
		.args_bytes = (uint32_t)(sizeof(q->ask) +
					 q->ask.nr_tensors * sizeof(q->tensors[0])),
	};
	int ret = ops->ask(backend, &run);

	*value = run.value;
	return ret;
}

static void questions_are_answered(void)
{
	struct question q;
	uint64_t value;

	question_make(&q, INFINI_GGML_ASK_SUPPORTS, GGML_TYPE_Q4_0);
	CHECK(!question_put(&q, &value) && value == 1);
	q.tensors[0].op = GGML_OP_CUSTOM;
	CHECK(!question_put(&q, &value) && value == 0);
	q.tensors[0].op = GGML_OP_MUL_MAT;
	q.tensors[0].ne[1] = 4;
	CHECK(!question_put(&q, &value) && value == 0);
	q.tensors[0].src[0] = 3;
	CHECK(question_put(&q, &value) == -EINVAL);
	question_make(&q, INFINI_GGML_ASK_SUPPORTS, GGML_TYPE_Q4_0);
	q.tensors[1].binding = 77;
	CHECK(question_put(&q, &value) == -EINVAL);
	q.ask.ops++;
	CHECK(question_put(&q, &value) == -EINVAL);
	question_make(&q, INFINI_GGML_ASK_ALLOC_SIZE, GGML_TYPE_Q4_0);
	q.ask.nr_tensors = 1;
	q.tensors[0].src[0] = q.tensors[0].src[1] = INFINI_GGML_NONE;
	CHECK(!question_put(&q, &value) && value == 64 * 3 * 4);
	q.ask.kind = 77;
	CHECK(question_put(&q, &value) == -EINVAL);
	question_make(&q, INFINI_GGML_ASK_CAPS, GGML_TYPE_Q4_0);
	CHECK(!question_put(&q, &value) && value == INFINI_GGML_CAP_UNIFIED);
	q.ask.question = 99;
	CHECK(question_put(&q, &value) == -EOPNOTSUPP);
	row_done("questions are answered, and refused when malformed");
}

static void bytes_move(void)
{
	struct infini_backend_buffer a = {
		.id = 1,
		.type = INFINI_BUFFER_DEVICE,
		.bytes = 3 << 20,
	};
	struct infini_backend_buffer b = a;
	uint8_t *want = malloc(a.bytes), *have = malloc(a.bytes);
	uint64_t seed = 3;
	size_t i;

	/* Memory of its own, as on a discrete device, and pages. */
	b.addr = aligned_alloc(4096, b.bytes);
	memset(b.addr, 0, b.bytes);
	CHECK(!ops->buffer_add(backend, &a) && !ops->buffer_add(backend, &b));
	CHECK(!ops->read(backend, &a, 0, have, a.bytes));
	memset(want, 0, a.bytes);
	CHECK(!memcmp(want, have, a.bytes));
	for (i = 0; i < a.bytes; i++)
		want[i] = (uint8_t)next_random(&seed);
	CHECK(!ops->write(backend, &a, 0, want, a.bytes));
	CHECK(!ops->copy(backend, &a, 5, &a, 0, a.bytes - 5));
	memmove(want + 5, want, a.bytes - 5);
	CHECK(!ops->copy(backend, &a, 0, &a, 77, a.bytes - 77));
	memmove(want, want + 77, a.bytes - 77);
	CHECK(!ops->fill(backend, &a, 1001, 0xab, (2 << 20) + 3));
	memset(want + 1001, 0xab, (2 << 20) + 3);
	CHECK(!ops->copy(backend, &b, 0, &a, 0, a.bytes));
	CHECK(!memcmp(want, b.addr, a.bytes));
	CHECK(!ops->read(backend, &a, 0, have, a.bytes));
	CHECK(!memcmp(want, have, a.bytes));
	ops->buffer_remove(backend, &a);
	ops->buffer_remove(backend, &b);
	free(b.addr);
	free(want);
	free(have);
	row_done("bytes are written, copied over themselves, filled and read");
}

/* ---- weights in a layout of the backend's own ---- */

struct weights_scene {
	struct infini_backend_buffer weights, staging, memory;
	struct infini_backend_binding set[2], bound[2];
	struct program program;
	struct arena arena;
	struct ggml_context *ctx;
	struct ggml_tensor *w, *y;
};

static int set_weights(struct weights_scene *s, uint32_t kind, uint64_t offset)
{
	struct question q;
	struct infini_backend_run run = {
		.bindings = s->set,
		.nr_bindings = 2,
		.args = &q,
		.args_bytes = sizeof(q.ask) + sizeof(q.tensors[0]),
	};

	question_make(&q, INFINI_GGML_ASK_TENSOR_SET, GGML_TYPE_Q4_0);
	q.ask.nr_tensors = 1;
	q.ask.kind = kind;
	q.ask.bytes = ggml_nbytes(s->w);
	q.tensors[0] = q.tensors[1];
	q.tensors[0].binding = 0;
	q.tensors[0].offset = offset;
	return ops->ask(backend, &run);
}

static int run_weights(struct weights_scene *s, float *result)
{
	struct infini_backend_run run = { .bindings = s->bound, .nr_bindings = 2 };
	struct infini_backend_program *loaded;
	int ret = ops->program_load(backend, s->program.data, s->program.bytes, &loaded);

	if (ret)
		return ret;
	ret = ops->program_run(backend, loaded, &run);
	ops->program_free(backend, loaded);
	memcpy(result, s->arena.base + program_offset(&s->program, s->ctx, s->y), 64 * 3 * 4);
	return ret;
}

static void weights_open(struct weights_scene *s, uint32_t kind)
{
	memset(s, 0, sizeof(*s));
	s->ctx = context_make();
	s->w = ggml_new_tensor_2d(s->ctx, GGML_TYPE_Q4_0, 256, 64);
	s->y = ggml_mul_mat(s->ctx, s->w, ggml_new_tensor_2d(s->ctx, GGML_TYPE_F32, 256, 3));
	program_make(&s->program, s->ctx);
	arena_make(&s->arena, s->program.arena_bytes);
	fill_leaves(&s->program, s->arena.base, 9);
	s->weights = (struct infini_backend_buffer){ .id = 1, .type = INFINI_BUFFER_DEVICE,
						     .kind = kind, .bytes = 65536 };
	s->memory = (struct infini_backend_buffer){ .id = 2, .type = INFINI_BUFFER_DEVICE,
						    .bytes = s->arena.bytes,
						    .addr = s->arena.base };
	s->staging = s->memory;
	s->staging.type = INFINI_BUFFER_SHARED;
	CHECK(!ops->buffer_add(backend, &s->weights) && !ops->buffer_add(backend, &s->memory) &&
	      !ops->buffer_add(backend, &s->staging));
	s->set[0] = (struct infini_backend_binding){ &s->weights, INFINI_ACCESS_WRITE };
	s->set[1] = (struct infini_backend_binding){ &s->staging, INFINI_ACCESS_READ };
	s->bound[0] = (struct infini_backend_binding){ &s->memory, READ_WRITE };
	s->bound[1] = (struct infini_backend_binding){ &s->weights, INFINI_ACCESS_READ };
}

static void weights_close(struct weights_scene *s)
{
	ops->buffer_remove(backend, &s->weights);
	ops->buffer_remove(backend, &s->memory);
	ops->buffer_remove(backend, &s->staging);
	arena_free(&s->arena);
	program_free(&s->program);
	ggml_free(s->ctx);
}

static void weights_are_repacked(void)
{
	float plain[64 * 3], packed[64 * 3];
	struct weights_scene s;
	uint32_t kind;
	int i;

	for (kind = 1; kind < device.nr_kinds; kind++)
		if (!strcmp((char *)device.kinds[kind].name, "CPU_REPACK"))
			break;
	if (kind >= device.nr_kinds) {
		row_done("weights in a layout of the backend's own # SKIP this CPU has none");
		return;
	}
	weights_open(&s, kind);
	CHECK(run_weights(&s, plain) == 0);
	program_head(&s.program)->nr_bindings = 2;
	program_tensor(&s.program, 0)->binding = 1;
	program_tensor(&s.program, 0)->offset = 4096;
	CHECK(run_weights(&s, packed) == -EINVAL && strstr(last_message, "laid out"));
	CHECK(set_weights(&s, kind, 60000) == -EINVAL);
	CHECK(set_weights(&s, kind, 4096 + 4) == -EINVAL);
	CHECK(set_weights(&s, kind, 4096) == 0);
	CHECK(run_weights(&s, packed) == 0);
	for (i = 0; i < 64 * 3; i++)
		CHECK(plain[i] - packed[i] < 1e-2f && packed[i] - plain[i] < 1e-2f);
	CHECK(ops->write(backend, &s.weights, 0, plain, 4) == -EOPNOTSUPP);
	CHECK(ops->fill(backend, &s.weights, 0, 1, 64) == -EOPNOTSUPP);
	CHECK(set_weights(&s, kind, 4096 + 64) == 0);
	CHECK(run_weights(&s, packed) == -EINVAL);
	program_tensor(&s.program, 2)->binding = 1;
	s.bound[1].access = READ_WRITE;
	CHECK(run_weights(&s, packed) == -EINVAL);
	weights_close(&s);
	row_done("weights in a layout of the backend's own");
}

/* ---- tokens ---- */

struct model {
	int layers;
	int64_t tokens, outputs, vocab, width;
	bool cap;			/* logits are scaled and squashed */
	bool head;
	const char *result;		/* what the last norm is called */
};

static struct ggml_tensor *weight(struct ggml_context *c, int64_t in, int64_t out)
{
	return ggml_new_tensor_2d(c, GGML_TYPE_F16, in, out);
}

static struct ggml_tensor *normed(struct ggml_context *c, struct ggml_tensor *x)
{
	return ggml_mul(c, ggml_rms_norm(c, x, 1e-5f),
			ggml_new_tensor_1d(c, GGML_TYPE_F32, x->ne[0]));
}

/* The shape of llama.cpp's graphs: the last layer keeps only the rows whose logits are wanted. */
static void model_build(struct ggml_context *c, const struct model *m)
{
	struct ggml_tensor *x = ggml_new_tensor_2d(c, GGML_TYPE_F32, m->width, m->tokens), *n;
	struct ggml_tensor *ids = ggml_new_tensor_1d(c, GGML_TYPE_I32, m->outputs);
	int i;

	for (i = 0; i < m->layers; i++) {
		n = ggml_mul_mat(c, weight(c, m->width, m->width), normed(c, x));
		if (i == m->layers - 1 && m->outputs != m->tokens) {
			n = ggml_get_rows(c, n, ids);
			x = ggml_get_rows(c, x, ids);
		}
		x = ggml_add(c, n, x);
		n = ggml_silu(c, ggml_mul_mat(c, weight(c, m->width, 3 * m->width), normed(c, x)));
		x = ggml_add(c, ggml_mul_mat(c, weight(c, 3 * m->width, m->width), n), x);
	}
	x = normed(c, x);
	if (m->result)
		ggml_set_name(x, m->result);
	if (!m->head)
		return;
	x = ggml_mul_mat(c, weight(c, m->width, m->vocab), x);
	if (m->cap)
		ggml_scale(c, ggml_tanh(c, ggml_scale(c, x, 0.1f)), 10);
	else if (m->vocab <= m->width)
		ggml_set_name(x, "result_output");
}

#define POOLED "result_embd_pooled"

static const struct {
	const char *name;
	struct model model;
	uint32_t evaluated, generated, prompts, scored, embedded;
} token_rows[] = {
	{ "one decode step", { 2, 1, 1, 512, 64, false, true, NULL }, 1, 1, 0, 0, 0 },
	{ "a prompt", { 2, 40, 1, 512, 64, false, true, NULL }, 40, 1, 1, 0, 0 },
	{ "a part of a prompt", { 2, 40, 0, 512, 64, false, true, NULL }, 40, 0, 0, 0, 0 },
	{ "prompts and decodes of several slots", { 3, 23, 4, 512, 64, false, true, NULL },
	  23, 4, 1, 0, 0 },
	{ "capped logits", { 2, 7, 2, 512, 64, true, true, NULL }, 7, 2, 1, 0, 0 },
	{ "a vocabulary of bytes", { 2, 7, 2, 64, 128, false, true, NULL }, 7, 2, 1, 0, 0 },
	{ "a state without logits", { 2, 7, 7, 0, 64, false, false, NULL }, 7, 0, 0, 0, 0 },
	{ "embeddings", { 2, 7, 7, 0, 64, false, false, POOLED }, 7, 0, 0, 0, 7 },
	{ "embeddings before logits", { 2, 7, 7, 512, 64, false, true, POOLED }, 7, 0, 0, 0, 7 },
	{ "perplexity", { 2, 300, 300, 512, 64, false, true, NULL }, 300, 0, 0, 300, 0 },
};

static void tokens_are_counted(void)
{
	struct ggml_context *c;
	struct scene s;
	size_t i;

	for (i = 0; i < sizeof(token_rows) / sizeof(token_rows[0]); i++) {
		c = context_make();
		model_build(c, &token_rows[i].model);
		CHECK(!scene_open(&s, c));
		CHECK(scene_run(&s) == 0);
		CHECK(s.run.tokens_evaluated == token_rows[i].evaluated);
		CHECK(s.run.tokens_generated == token_rows[i].generated);
		CHECK(s.run.prompts == token_rows[i].prompts);
		CHECK(s.run.tokens_scored == token_rows[i].scored);
		CHECK(s.run.tokens_embedded == token_rows[i].embedded);
		scene_close(&s);
		row_done(token_rows[i].name);
	}
	c = context_make();
	ggml_mul_mat(c, weight(c, 64, 512), ggml_new_tensor_2d(c, GGML_TYPE_F32, 64, 9));
	CHECK(!scene_open(&s, c) && !scene_run(&s));
	CHECK(!s.run.tokens_evaluated && !s.run.tokens_generated);
	scene_close(&s);
	row_done("a product is no language model");
}

int main(void)
{
	devices_are_described();
	backend = backend_open("cpu0", 2);
	indices_are_checked();
	computed_indices_are_checked();
	indices_are_checked_again();
	changed_sources_are_known();
	not_a_number_is_not_sorted();
	inactive_nodes_rest();
	empty_nodes_rest();
	bindings_must_fit();
	buffers_may_change();
	arguments_are_checked();
	questions_are_answered();
	bytes_move();
	weights_are_repacked();
	tokens_are_counted();
	CHECK(ops->held_bytes(backend) == 0);
	row_done("nothing is held at the end");
	ops->close(backend);
	return tests_done();
}
