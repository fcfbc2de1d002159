// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The ggml frontend over the fake /dev/infini: each case is a process of its own. Prints TAP.
 */
#include "fake.h"
#include "frontend.h"

#include <errno.h>
#include <fcntl.h>
#include <ggml-alloc.h>
#include <ggml-cpu.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

ggml_backend_reg_t ggml_backend_init(void);

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: %s\n", __func__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

/* What is said on stderr from here to said_end(). */
static int said_pipes[2], said_stderr;

static void said_begin(void)
{
	said_stderr = dup(STDERR_FILENO);
	CHECK(!pipe(said_pipes));
	dup2(said_pipes[1], STDERR_FILENO);
	close(said_pipes[1]);
}

static void said_end(char *said, size_t bytes)
{
	ssize_t n;

	dup2(said_stderr, STDERR_FILENO);
	close(said_stderr);
	n = read(said_pipes[0], said, bytes - 1);
	close(said_pipes[0]);
	said[n > 0 ? n : 0] = '\0';
}

static void check_said(const char *what)
{
	char said[1024];

	said_end(said, sizeof(said));
	fputs(said, stderr);
	CHECK(strstr(said, what));
}

static ggml_backend_dev_t open_device(void)
{
	ggml_backend_reg_t reg = ggml_backend_init();

	CHECK(reg);
	CHECK(ggml_backend_reg_dev_count(reg) == 1);
	return ggml_backend_reg_dev_get(reg, 0);
}

static struct ggml_context *new_context(void)
{
	struct ggml_init_params params = {
		.mem_size = 256 * ggml_tensor_overhead() + 8 * ggml_graph_overhead(),
		.no_alloc = true,
	};
	struct ggml_context *ctx = ggml_init(params);

	CHECK(ctx);
	return ctx;
}

static ggml_backend_buffer_t place(struct ggml_context *ctx, ggml_backend_dev_t dev)
{
	ggml_backend_buffer_t buffer =
		ggml_backend_alloc_ctx_tensors_from_buft(ctx, ggml_backend_dev_buffer_type(dev));

	CHECK(buffer);
	return buffer;
}

static void pattern(uint8_t *bytes, size_t nr, uint32_t seed)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		seed = seed * 1664525 + 1013904223;
		bytes[i] = seed >> 24;
	}
}

/* y = x * factor, as a graph. */
struct scaling {
	ggml_backend_dev_t dev;
	ggml_backend_t backend;
	struct ggml_context *ctx;
	ggml_backend_buffer_t buffer;
	struct ggml_tensor *x, *y;
	struct ggml_cgraph *graph;
};

static void scaling_open(struct scaling *s, int64_t n, float factor)
{
	static uint64_t uid = 1000;

	s->dev = open_device();
	s->backend = ggml_backend_dev_init(s->dev, NULL);
	CHECK(s->backend);
	s->ctx = new_context();
	s->x = ggml_new_tensor_1d(s->ctx, GGML_TYPE_F32, n);
	s->y = ggml_scale(s->ctx, s->x, factor);
	ggml_set_output(s->y);
	s->graph = ggml_new_graph(s->ctx);
	ggml_build_forward_expand(s->graph, s->y);
	uid++;
	memcpy((char *)s->graph + INFINI_ABI_UID_OFFSET, &uid, sizeof(uid));
	s->buffer = place(s->ctx, s->dev);
}

static void scaling_close(struct scaling *s)
{
	ggml_backend_buffer_free(s->buffer);
	ggml_free(s->ctx);
	ggml_backend_free(s->backend);
}

static enum ggml_status scaling_run(struct scaling *s, float x, float *y)
{
	enum ggml_status status;

	ggml_backend_tensor_set(s->x, &x, 0, sizeof(x));
	status = ggml_backend_graph_compute(s->backend, s->graph);
	ggml_backend_tensor_get(s->y, y, 0, sizeof(*y));
	return status;
}

static void test_round_trips(void)
{
	static const size_t sizes[] = {
		1, 4, 4095, 65528, 65529, 65536, 1 << 20, (1 << 20) + 4, 20 << 20,
	};
	ggml_backend_dev_t dev = open_device();
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct ggml_context *ctx = new_context();
		struct ggml_tensor *t = ggml_new_tensor_1d(ctx, GGML_TYPE_I8, (int64_t)sizes[i]);
		ggml_backend_buffer_t buffer = place(ctx, dev);
		uint8_t *in = malloc(sizes[i]), *out = malloc(sizes[i]);

		pattern(in, sizes[i], (uint32_t)i);
		ggml_backend_tensor_set(t, in, 0, sizes[i]);
		ggml_backend_tensor_get(t, out, 0, sizes[i]);
		CHECK(!memcmp(in, out, sizes[i]));
		free(in);
		free(out);
		ggml_backend_buffer_free(buffer);
		ggml_free(ctx);
	}
	/* Only the staging buffer stays. */
	CHECK(infini_fake_counts.buffers == 1);
}

#define MODEL_BYTES	(3 << 19)

/* Two areas and what they should hold. */
struct model {
	ggml_backend_t backend;
	struct ggml_context *ctx;
	struct ggml_tensor *areas[2];
	uint8_t *holds[2];
	uint8_t *scratch;
};

static uint32_t model_random(uint32_t *seed, uint32_t below)
{
	*seed = *seed * 1664525 + 1013904223;
	return (uint32_t)(((uint64_t)(*seed >> 8) * below) >> 24);
}

static struct ggml_tensor *model_view(struct model *m, struct ggml_context *ctx, int area,
				      size_t offset, size_t bytes)
{
	return ggml_view_1d(ctx, m->areas[area], (int64_t)bytes / 4, offset);
}

static void model_copy(struct model *m, uint32_t *seed, bool by_graph)
{
	struct ggml_context *ctx = new_context();
	size_t bytes = 4 * (1 + model_random(seed, 4096));
	size_t from = 4 * model_random(seed, (MODEL_BYTES - bytes) / 4);
	size_t to = 4 * model_random(seed, (MODEL_BYTES - bytes) / 4);
	int src = (int)model_random(seed, 2), dst = 1 - src;
	struct ggml_tensor *a = model_view(m, ctx, src, from, bytes);
	struct ggml_tensor *b = model_view(m, ctx, dst, to, bytes);
	struct ggml_cgraph *graph = ggml_new_graph(ctx);
	struct ggml_tensor *copy;

	ggml_backend_view_init(a);
	ggml_backend_view_init(b);
	if (by_graph) {
		copy = ggml_cpy(ctx, a, b);
		ggml_backend_view_init(copy);
		if (model_random(seed, 2))
			ggml_set_output(copy);
		ggml_build_forward_expand(graph, copy);
		CHECK(ggml_backend_graph_compute(m->backend, graph) == GGML_STATUS_SUCCESS);
	} else {
		ggml_backend_tensor_copy(a, b);
	}
	memcpy(m->holds[dst] + to, m->holds[src] + from, bytes);
	ggml_free(ctx);
}

static void model_step(struct model *m, uint32_t *seed)
{
	static const size_t most[] = { 8, 64, 4096, 65536, MODEL_BYTES };
	int area = (int)model_random(seed, 2);
	size_t bytes = 1 + model_random(seed, (uint32_t)most[model_random(seed, 5)]);
	size_t offset = model_random(seed, (uint32_t)(MODEL_BYTES - bytes) + 1);
	uint32_t what = model_random(seed, 100);

	/* Crowd the first bytes, so that ranges meet. */
	if (offset > 4096 && bytes <= 4096 && model_random(seed, 2))
		offset %= 4096;
	if (what < 50) {
		pattern(m->scratch, bytes, *seed);
		ggml_backend_tensor_set(m->areas[area], m->scratch, offset, bytes);
		memcpy(m->holds[area] + offset, m->scratch, bytes);
	} else if (what < 60) {
		ggml_backend_tensor_memset(m->areas[area], (uint8_t)what, offset, bytes);
		memset(m->holds[area] + offset, (int)what, bytes);
	} else if (what < 62) {
		ggml_backend_buffer_clear(m->areas[area]->buffer, 0);
		memset(m->holds[0], 0, MODEL_BYTES);
		memset(m->holds[1], 0, MODEL_BYTES);
	} else if (what < 78) {
		ggml_backend_tensor_get(m->areas[area], m->scratch, offset, bytes);
		CHECK(!memcmp(m->scratch, m->holds[area] + offset, bytes));
	} else {
		model_copy(m, seed, what < 92);
	}
}

static void run_model(uint32_t seed, int steps)
{
	ggml_backend_dev_t dev = open_device();
	struct model m = { .backend = ggml_backend_dev_init(dev, NULL), .ctx = new_context() };
	ggml_backend_buffer_t buffer;
	int i;

	for (i = 0; i < 2; i++) {
		m.areas[i] = ggml_new_tensor_1d(m.ctx, GGML_TYPE_I32, MODEL_BYTES / 4);
		m.holds[i] = calloc(1, MODEL_BYTES);
	}
	m.scratch = malloc(MODEL_BYTES);
	buffer = place(m.ctx, dev);
	for (i = 0; i < steps; i++)
		model_step(&m, &seed);
	for (i = 0; i < 2; i++) {
		ggml_backend_tensor_get(m.areas[i], m.scratch, 0, MODEL_BYTES);
		CHECK(!memcmp(m.scratch, m.holds[i], MODEL_BYTES));
		free(m.holds[i]);
	}
	free(m.scratch);
	ggml_backend_buffer_free(buffer);
	ggml_free(m.ctx);
	ggml_backend_free(m.backend);
}

static void test_random_operations(void)
{
	uint32_t seed;

	for (seed = 1; seed <= 20; seed++)
		run_model(seed, 400);
}

static void test_random_operations_in_small_pieces(void)
{
	uint32_t seed;

	infini_fake.memory_limit_bytes = 8 << 20;
	infini_fake.max_inline_bytes = 4096;
	infini_fake.max_queue_depth = 4;
	infini_fake.max_programs = 2;
	infini_fake.interrupt_every = 3;
	infini_fake.accept_most = 3;
	for (seed = 100; seed <= 110; seed++)
		run_model(seed, 400);
}

static void test_step_is_one_call(void)
{
	struct scaling s;
	uint64_t calls;
	float y;
	int i;

	scaling_open(&s, 64, 3.0f);
	CHECK(scaling_run(&s, 1.0f, &y) == GGML_STATUS_SUCCESS && y == 3.0f);
	calls = infini_fake_counts.calls;
	for (i = 0; i < 100; i++)
		CHECK(scaling_run(&s, (float)i, &y) == GGML_STATUS_SUCCESS && y == 3.0f * i);
	CHECK(infini_fake_counts.calls == calls + 100);
	CHECK(infini_trace_read(INFINI_TRACE_GRAPH_SAME) == 100);
	CHECK(infini_fake_counts.jobs[INFINI_OP_COPY] == 0);
	scaling_close(&s);
}

static void test_unread_results_stay_away(void)
{
	float x = 2, y;
	struct scaling s;
	uint64_t calls;
	int i;

	scaling_open(&s, 64, 3.0f);
	for (i = 0; i < 3; i++) {
		ggml_backend_tensor_set(s.x, &x, 0, sizeof(x));
		CHECK(ggml_backend_graph_compute(s.backend, s.graph) == GGML_STATUS_SUCCESS);
	}
	calls = infini_fake_counts.calls;
	ggml_backend_tensor_get(s.y, &y, 0, sizeof(y));
	CHECK(y == 6.0f && infini_fake_counts.calls == calls + 1);
	CHECK(scaling_run(&s, 4.0f, &y) == GGML_STATUS_SUCCESS && y == 12.0f);
	CHECK(infini_fake_counts.calls == calls + 2);
	scaling_close(&s);
}

/* The uid stays, the graph does not: what it computes must follow. */
static void test_uid_is_only_a_hint(void)
{
	float factor = 5.0f, y;
	struct scaling s;

	scaling_open(&s, 64, 3.0f);
	CHECK(scaling_run(&s, 2.0f, &y) == GGML_STATUS_SUCCESS && y == 6.0f);
	memcpy(s.y->op_params, &factor, sizeof(factor));
	CHECK(scaling_run(&s, 2.0f, &y) == GGML_STATUS_SUCCESS && y == 10.0f);
	factor = 3.0f;
	memcpy(s.y->op_params, &factor, sizeof(factor));
	CHECK(scaling_run(&s, 2.0f, &y) == GGML_STATUS_SUCCESS && y == 6.0f);
	CHECK(infini_trace_read(INFINI_TRACE_GRAPH_NEW) == 2);
	CHECK(infini_trace_read(INFINI_TRACE_GRAPH_SAME) == 1);
	scaling_close(&s);
}

/* Another graph of the same shape at the same addresses is the same program. */
static void test_equal_graphs_share_a_program(void)
{
	struct scaling s;
	float y;
	int i;

	for (i = 1; i <= 5; i++) {
		scaling_open(&s, 64, 3.0f);
		CHECK(scaling_run(&s, (float)i, &y) == GGML_STATUS_SUCCESS && y == 3.0f * i);
		scaling_close(&s);
	}
	CHECK(infini_fake_counts.programs == 1);
	CHECK(infini_trace_read(INFINI_TRACE_GRAPH_EQUAL) == 4);
}

static void test_programs_are_thrown_out(void)
{
	struct scaling s[5];
	float y;
	int i;

	infini_fake.max_programs = 2;
	for (i = 0; i < 5; i++)
		scaling_open(&s[i], 64 + i, (float)i);
	for (i = 0; i < 50; i++) {
		CHECK(scaling_run(&s[i % 5], 2.0f, &y) == GGML_STATUS_SUCCESS);
		CHECK(y == 2.0f * (i % 5));
		CHECK(infini_fake_counts.programs <= 2);
	}
	for (i = 0; i < 5; i++)
		scaling_close(&s[i]);
}

static void test_memory_limit(void)
{
	ggml_backend_buffer_type_t type;
	ggml_backend_buffer_t buffer;
	ggml_backend_dev_t dev;
	size_t free, total;
	int i;

	infini_fake.memory_limit_bytes = 32 << 20;
	dev = open_device();
	type = ggml_backend_dev_buffer_type(dev);
	ggml_backend_dev_memory(dev, &free, &total);
	CHECK(total == 32 << 20 && free == (30 << 20) - INFINI_LINK_BYTES);
	for (i = 0; i < 100; i++)
		CHECK(!ggml_backend_buft_alloc_buffer(type, 32 << 20));
	buffer = ggml_backend_buft_alloc_buffer(type, free);
	CHECK(buffer);
	ggml_backend_dev_memory(dev, &free, &total);
	CHECK(free == INFINI_LINK_BYTES);
	/* What the staging buffer has not taken yet is kept for it, and given who wants it all the same. */
	CHECK(!ggml_backend_buft_alloc_buffer(type, free + (2 << 20)));
	ggml_backend_buffer_free(buffer);
	ggml_backend_dev_memory(dev, &free, &total);
	CHECK(free == 30 << 20);
}

static void upload(ggml_backend_buffer_type_t type, size_t bytes)
{
	struct ggml_context *ctx = new_context();
	struct ggml_tensor *t = ggml_new_tensor_1d(ctx, GGML_TYPE_I8, (int64_t)bytes);
	ggml_backend_buffer_t buffer = ggml_backend_alloc_ctx_tensors_from_buft(ctx, type);
	uint8_t *in = malloc(bytes), *out = malloc(bytes);

	CHECK(buffer);
	pattern(in, bytes, (uint32_t)bytes);
	ggml_backend_tensor_set(t, in, 0, bytes);
	ggml_backend_tensor_get(t, out, 0, bytes);
	CHECK(!memcmp(in, out, bytes));
	free(in);
	free(out);
	ggml_backend_buffer_free(buffer);
	ggml_free(ctx);
}

static const struct {
	const char *name;
	uint64_t limit_bytes;
	size_t upload_bytes, other_bytes;
	uint64_t first_bytes, then_bytes;
} stagings[] = {
	{ "what is small does not let it grow", 1 << 30, 4096, 0, 128 << 10, 128 << 10 },
	{ "an upload does", 1 << 30, 4 << 20, 0, 128 << 10, 8 << 20 },
	{ "to a sixteenth of the memory", 40 << 20, 4 << 20, 0, 128 << 10, 5 << 19 },
	{ "to half a MiB of eight", 8 << 20, 4 << 20, 0, 128 << 10, 512 << 10 },
	{ "and a quarter of less", 1 << 20, 64 << 10, 0, 128 << 10, 256 << 10 },
	{ "where the memory is taken it stays", 32 << 20, 1 << 20, 29 << 20, 128 << 10, 128 << 10 },
};

static void check_staging(size_t i)
{
	ggml_backend_buffer_type_t type;
	ggml_backend_buffer_t first, other;

	infini_fake.memory_limit_bytes = stagings[i].limit_bytes;
	type = ggml_backend_dev_buffer_type(open_device());
	first = ggml_backend_buft_alloc_buffer(type, 4096);
	CHECK(first && infini_fake_counts.bytes == stagings[i].first_bytes + 4096);
	other = ggml_backend_buft_alloc_buffer(type, stagings[i].other_bytes);
	upload(type, stagings[i].upload_bytes);
	CHECK(infini_fake_counts.bytes == stagings[i].then_bytes + 4096 + stagings[i].other_bytes);
	ggml_backend_buffer_free(other);
	ggml_backend_buffer_free(first);
}

/* Each in a process of its own: what has grown stays. */
static void test_staging_grows(void)
{
	size_t i;

	for (i = 0; i < sizeof(stagings) / sizeof(stagings[0]); i++) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			check_staging(i);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid);
		if (status)
			printf("# %s\n", stagings[i].name);
		CHECK(!status);
	}
}

static void test_lost_transfer_fails_graphs(void)
{
	struct scaling s;
	float y;
	int i;

	scaling_open(&s, 1 << 20, 3.0f);
	infini_fake.fail_op = INFINI_OP_COPY;
	infini_fake.fail_err = -EOWNERDEAD;
	ggml_backend_tensor_get(s.x, &y, 4096, sizeof(y));
	CHECK(y == 0.0f);
	for (i = 0; i < 1000; i++)
		CHECK(scaling_run(&s, 1.0f, &y) == GGML_STATUS_FAILED);
	scaling_close(&s);
	/* All that was lost has been given back: a new start. */
	infini_fake.fail_err = 0;
	scaling_open(&s, 64, 3.0f);
	CHECK(scaling_run(&s, 2.0f, &y) == GGML_STATUS_SUCCESS && y == 6.0f);
	scaling_close(&s);
	CHECK(infini_fake_counts.buffers == 1);
}

static const struct {
	const char *name;
	int err;
	bool lasts;		/* also without the cause, until all memory is given back */
} graph_failures[] = {
	{ "the executor dies", -EOWNERDEAD, true },
	{ "the device goes", -ENODEV, true },
	{ "nobody serves", -EHOSTDOWN, true },
	{ "it takes too long", -ETIMEDOUT, false },
	{ "a file is cut short", -ENODATA, false },
	{ "it is refused", -EINVAL, false },
};

static void test_failing_graphs(void)
{
	struct scaling s;
	size_t i;
	float y;

	for (i = 0; i < sizeof(graph_failures) / sizeof(graph_failures[0]); i++) {
		scaling_open(&s, 64, 3.0f);
		infini_fake.fail_op = INFINI_OP_PROGRAM;
		infini_fake.fail_err = graph_failures[i].err;
		CHECK(scaling_run(&s, 2.0f, &y) == GGML_STATUS_FAILED);
		infini_fake.fail_err = 0;
		CHECK((scaling_run(&s, 2.0f, &y) == GGML_STATUS_FAILED) ==
		      graph_failures[i].lasts);
		CHECK(graph_failures[i].lasts || y == 6.0f);
		scaling_close(&s);
	}
}

static void test_graph_in_too_many_buffers(void)
{
	enum ggml_status status;
	struct scaling s;
	float y;

	infini_fake.max_bindings = 1;
	scaling_open(&s, 64, 3.0f);
	said_begin();
	status = scaling_run(&s, 2.0f, &y);
	check_said("--load-mode none");
	CHECK(status == GGML_STATUS_FAILED);
	scaling_close(&s);
}

/* Writes to more buffers than one job can name still arrive, in order. */
static void test_writes_to_many_buffers(void)
{
	struct scaling s[12];
	float y;
	int i;

	infini_fake.max_bindings = 4;
	for (i = 0; i < 12; i++)
		scaling_open(&s[i], 64, (float)i);
	for (i = 0; i < 12; i++) {
		y = 2.0f;
		ggml_backend_tensor_set(s[i].x, &y, 0, sizeof(y));
	}
	for (i = 0; i < 12; i++) {
		CHECK(ggml_backend_graph_compute(s[i].backend, s[i].graph) ==
		      GGML_STATUS_SUCCESS);
		ggml_backend_tensor_get(s[i].y, &y, 0, sizeof(y));
		CHECK(y == 2.0f * i);
	}
	for (i = 0; i < 12; i++)
		scaling_close(&s[i]);
}

/* The administrator lowers the ceiling of timeouts under a running client. */
static void test_shorter_timeouts(void)
{
	struct scaling s;
	float y;

	scaling_open(&s, 64, 3.0f);
	CHECK(scaling_run(&s, 1.0f, &y) == GGML_STATUS_SUCCESS && y == 3.0f);
	infini_fake.max_timeout_ns = 1000000000;
	CHECK(scaling_run(&s, 2.0f, &y) == GGML_STATUS_SUCCESS && y == 6.0f);
	CHECK(scaling_run(&s, 3.0f, &y) == GGML_STATUS_SUCCESS && y == 9.0f);
	scaling_close(&s);
}

static void test_answers_are_remembered(void)
{
	struct scaling s;
	uint64_t calls;
	int i;

	scaling_open(&s, 64, 3.0f);
	CHECK(ggml_backend_dev_supports_op(s.dev, s.y));
	calls = infini_fake_counts.calls;
	for (i = 0; i < 1000; i++)
		CHECK(ggml_backend_dev_supports_op(s.dev, s.y));
	CHECK(infini_fake_counts.calls == calls);
	s.x->type = GGML_TYPE_I16;
	ggml_backend_dev_supports_op(s.dev, s.y);
	CHECK(infini_fake_counts.calls == calls + 1);
	s.x->type = GGML_TYPE_F32;
	scaling_close(&s);
}

/* A mul_mat whose weights the executor lays out itself, against ggml's CPU buffers. */
static void test_repacked_weights(void)
{
	static const int64_t k = 512, n = 8192;
	ggml_backend_buffer_type_t *extra;
	struct ggml_context *weights_ctx = new_context(), *ctx = new_context();
	struct ggml_tensor *w, *x, *y;
	ggml_backend_buffer_t weights, buffer;
	float *values = malloc((size_t)(k * n) * sizeof(float)), *got, expected, a, b;
	uint8_t *quantized, *unpacked;
	struct ggml_cgraph *graph;
	ggml_backend_dev_t dev;
	ggml_backend_t backend;
	int64_t i, j;

	infini_fake.repack = true;
	dev = open_device();
	extra = infini_device_extra_types(dev);
	CHECK(extra[0] && !extra[1]);
	backend = ggml_backend_dev_init(dev, NULL);
	w = ggml_new_tensor_2d(weights_ctx, GGML_TYPE_Q4_0, k, n);
	weights = ggml_backend_alloc_ctx_tensors_from_buft(weights_ctx, extra[0]);
	x = ggml_new_tensor_1d(ctx, GGML_TYPE_F32, k);
	y = ggml_mul_mat(ctx, w, x);
	graph = ggml_new_graph(ctx);
	ggml_build_forward_expand(graph, y);
	buffer = place(ctx, dev);

	for (i = 0; i < k * n; i++)
		values[i] = (float)(i * 7919 % 31) - 15.0f;
	quantized = malloc(ggml_nbytes(w));
	unpacked = malloc((size_t)(k * n) * sizeof(float));
	ggml_quantize_chunk(GGML_TYPE_Q4_0, values, quantized, 0, n, k, NULL);
	ggml_get_type_traits(GGML_TYPE_Q4_0)->to_float(quantized, (float *)unpacked, k * n);
	ggml_backend_tensor_set(w, quantized, 0, ggml_nbytes(w));
	ggml_backend_tensor_set(x, values, 0, ggml_nbytes(x));
	CHECK(ggml_backend_graph_compute(backend, graph) == GGML_STATUS_SUCCESS);
	got = calloc((size_t)n, sizeof(*got));
	ggml_backend_tensor_get(y, got, 0, ggml_nbytes(y));
	for (j = 0; j < n; j++) {
		for (i = 0, expected = 0, a = 0; i < k; i++) {
			memcpy(&b, unpacked + (j * k + i) * 4, sizeof(b));
			expected += b * values[i];
			a += fabsf(b * values[i]);
		}
		CHECK(fabsf(got[j] - expected) < 0.01f * a);
	}
	/* A piece of a tensor cannot be laid out: said so, and never computed with. */
	ggml_backend_tensor_set(w, quantized, 0, 18);
	CHECK(ggml_backend_graph_compute(backend, graph) == GGML_STATUS_FAILED);
	free(got);
	free(unpacked);
	free(quantized);
	free(values);
	ggml_backend_buffer_free(weights);
	ggml_backend_buffer_free(buffer);
	ggml_free(weights_ctx);
	ggml_free(ctx);
	ggml_backend_free(backend);
}

static void *thread_scales(void *arg)
{
	struct scaling *s = arg;
	float y, factor;
	int i;

	memcpy(&factor, s->y->op_params, sizeof(factor));
	for (i = 0; i < 200; i++)
		CHECK(scaling_run(s, (float)i, &y) == GGML_STATUS_SUCCESS && y == factor * i);
	return NULL;
}

static void test_threads(void)
{
	struct scaling s[4];
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++)
		scaling_open(&s[i], 64, (float)(i + 2));
	for (i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, thread_scales, &s[i]));
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < 4; i++)
		scaling_close(&s[i]);
}

/* ---- weights that the program has mapped ---- */

#define PAGE		4096
#define WEIGHTS_BYTES	(5 * PAGE + 96)	/* and so no multiple of a page */

static char weights_path[] = "/tmp/infini-weights-XXXXXX";
static uint8_t weights[WEIGHTS_BYTES];

static int weights_file(void)
{
	int fd = mkstemp(weights_path);

	CHECK(fd >= 0);
	pattern(weights, sizeof(weights), 17);
	CHECK(write(fd, weights, sizeof(weights)) == sizeof(weights));
	return fd;
}

static uint8_t *weights_mapping(int fd, int access, int flags)
{
	uint8_t *at = mmap(NULL, sizeof(weights), access, flags, fd, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

static uint8_t *mapped_for_reading(void)
{
	int fd = weights_file();
	uint8_t *at = weights_mapping(fd, PROT_READ, MAP_SHARED);

	close(fd);
	return at;
}

/* As many mappings as advice about single pages makes of one. */
static uint8_t *mapped_in_pieces(void)
{
	uint8_t *at = mapped_for_reading();

	CHECK(!madvise(at + 2 * PAGE, PAGE, MADV_RANDOM));
	CHECK(!madvise(at + 4 * PAGE, PAGE, MADV_SEQUENTIAL));
	return at;
}

static uint8_t *mapped_and_deleted(void)
{
	uint8_t *at = mapped_for_reading();

	unlink(weights_path);
	return at;
}

static uint8_t *mapped_and_replaced(void)
{
	uint8_t *at = mapped_and_deleted();
	int fd = open(weights_path, O_RDWR | O_CREAT | O_EXCL, 0600);
	uint8_t other[WEIGHTS_BYTES] = { 0 };

	CHECK(write(fd, other, sizeof(other)) == sizeof(other));
	close(fd);
	return at;
}

static uint8_t *mapped_and_now_a_pipe(void)
{
	uint8_t *at = mapped_and_deleted();

	CHECK(!mkfifo(weights_path, 0600));
	return at;
}

/* What is in memory is no longer what is in the file. */
static uint8_t *mapped_and_changed_privately(void)
{
	int fd = weights_file();
	uint8_t *at = weights_mapping(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);

	close(fd);
	weights[3 * PAGE] ^= 1;
	at[3 * PAGE] ^= 1;
	CHECK(!mprotect(at, sizeof(weights), PROT_READ));
	return at;
}

static uint8_t *mapped_from_two_files(void)
{
	int fd = weights_file(), other;
	uint8_t *at = weights_mapping(fd, PROT_READ, MAP_SHARED);

	unlink(weights_path);
	strcpy(strrchr(weights_path, '-'), "-XXXXXX");
	other = weights_file();
	CHECK(mmap(at + 2 * PAGE, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, other, 2 * PAGE) != MAP_FAILED);
	return at;
}

static uint8_t *mapped_for_writing(int flags)
{
	int fd = weights_file();
	uint8_t *at = weights_mapping(fd, PROT_READ | PROT_WRITE, flags);

	close(fd);
	return at;
}

static uint8_t *mapped_shared_for_writing(void)
{
	return mapped_for_writing(MAP_SHARED);
}

static uint8_t *mapped_privately_for_writing(void)
{
	return mapped_for_writing(MAP_PRIVATE);
}

/* Memory of no file, with a page more than there are weights, of which some cannot be written. */
static uint8_t *memory(int first, int nr)
{
	uint8_t *at = mmap(NULL, 7 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			   -1, 0);

	CHECK(at != MAP_FAILED);
	pattern(weights, sizeof(weights), 18);
	memcpy(at, weights, sizeof(weights));
	CHECK(!mprotect(at + first * PAGE, (size_t)nr * PAGE, PROT_READ));
	return at;
}

static uint8_t *memory_for_reading(void)
{
	return memory(0, 6);
}

static uint8_t *memory_in_pieces(void)
{
	uint8_t *at = memory(0, 6);

	CHECK(!madvise(at + 2 * PAGE, PAGE, MADV_RANDOM));
	return at;
}

static uint8_t *memory_for_writing(void)
{
	return memory(6, 1);
}

static uint8_t *memory_of_which_some_is_for_writing(void)
{
	return memory(0, 3);
}

enum outcome { IN_PLACE, COPIED, REFUSED };

static const struct {
	const char *name;
	uint8_t *(*map)(void);
	enum outcome outcome;
	uint32_t refused;
} mappings[] = {
	{ "a file", mapped_for_reading, IN_PLACE, 0 },
	{ "in pieces", mapped_in_pieces, IN_PLACE, 0 },
	{ "of a file for writing", mapped_shared_for_writing, IN_PLACE, 0 },
	{ "of a file system that is refused", mapped_for_reading, COPIED, 1 },
	{ "of a deleted file", mapped_and_deleted, COPIED, 0 },
	{ "of a replaced file", mapped_and_replaced, COPIED, 0 },
	{ "of a file that is now a pipe", mapped_and_now_a_pipe, COPIED, 0 },
	{ "changed privately", mapped_and_changed_privately, COPIED, 0 },
	{ "of two files", mapped_from_two_files, COPIED, 0 },
	{ "of no file", memory_for_reading, COPIED, 0 },
	{ "of no file, in pieces", memory_in_pieces, COPIED, 0 },
	{ "of a refused file for writing", mapped_shared_for_writing, REFUSED, 1 },
	{ "of a private file for writing", mapped_privately_for_writing, REFUSED, 0 },
	{ "of no file, for writing", memory_for_writing, REFUSED, 0 },
	{ "of no file, some for writing", memory_of_which_some_is_for_writing, REFUSED, 0 },
};

/* Of a file of its own. */
static ggml_backend_buffer_t file_buffer(ggml_backend_dev_t dev)
{
	ggml_backend_buffer_t buffer;
	uint8_t *at;

	strcpy(strrchr(weights_path, '-'), "-XXXXXX");
	at = mapped_for_reading();
	buffer = ggml_backend_dev_buffer_from_host_ptr(dev, at, WEIGHTS_BYTES, WEIGHTS_BYTES);
	unlink(weights_path);
	return buffer;
}

static struct ggml_tensor *weights_tensor(struct ggml_context *ctx, ggml_backend_buffer_t buffer,
					  const uint8_t *at, size_t first, size_t bytes)
{
	struct ggml_tensor *t = ggml_new_tensor_1d(ctx, GGML_TYPE_I8, (int64_t)bytes);

	CHECK(ggml_backend_tensor_alloc(buffer, t, (void *)(at + first)) == GGML_STATUS_SUCCESS);
	return t;
}

/* Two tensors of a range that begins and ends within pages, as llama.cpp hands it over. */
static void weights_round_trip(ggml_backend_buffer_t buffer, const uint8_t *at)
{
	static const struct { size_t first, bytes; } parts[] = {
		{ 96, 3 * PAGE }, { 4 * PAGE + 32, WEIGHTS_BYTES - 4 * PAGE - 32 },
	};
	struct ggml_context *ctx = new_context();
	uint8_t got[WEIGHTS_BYTES];
	struct ggml_tensor *t;
	size_t i;

	CHECK(buffer && !ggml_backend_buffer_is_host(buffer));
	for (i = 0; i < 2; i++) {
		t = weights_tensor(ctx, buffer, at, parts[i].first, parts[i].bytes);
		ggml_backend_tensor_get(t, got, 0, parts[i].bytes);
		CHECK(!memcmp(got, weights + parts[i].first, parts[i].bytes));
	}
	ggml_backend_buffer_free(buffer);
	ggml_free(ctx);
}

static bool offers_mapping(ggml_backend_dev_t dev)
{
	struct ggml_backend_dev_props props;

	ggml_backend_dev_get_props(dev, &props);
	CHECK(props.caps.buffer_from_host_ptr == props.caps.mmap_support);
	return props.caps.mmap_support;
}

static void check_mapping(size_t i)
{
	ggml_backend_dev_t dev = open_device();
	enum outcome outcome = mappings[i].outcome;
	ggml_backend_buffer_t buffer;
	uint64_t charged;
	uint8_t *at;

	CHECK(offers_mapping(dev));
	at = mappings[i].map();
	charged = infini_fake_counts.bytes;
	infini_fake.refuse_files = mappings[i].refused;
	said_begin();
	buffer = ggml_backend_dev_buffer_from_host_ptr(dev, at + 96, WEIGHTS_BYTES - 96, 3 * PAGE);
	check_said(outcome == REFUSED ? "may still write" : outcome == COPIED ? "are copied" : "");
	unlink(weights_path);
	if (outcome == REFUSED)
		CHECK(!buffer);
	else
		weights_round_trip(buffer, at);
	CHECK(!!infini_trace_read(INFINI_TRACE_COPIED_BYTES) == (outcome == COPIED));
	CHECK(!!infini_trace_read(INFINI_TRACE_MAPPED_BYTES) == (outcome == IN_PLACE));
	/* All that is charged is what the frontend itself needs. */
	CHECK(infini_fake_counts.bytes - charged <= infini_stage_bytes(4ULL << 30));
	CHECK(!infini_fake_counts.file_bytes);
}

static void test_mapped_weights(void)
{
	size_t i, nr = sizeof(mappings) / sizeof(mappings[0]);
	int status;
	pid_t pid;

	infini_fake.files = true;
	for (i = 0; i < nr; i++) {
		pid = fork();
		if (!pid) {
			check_mapping(i);
			exit(infini_fake_counts.broken_rules ? 1 : 0);
		}
		waitpid(pid, &status, 0);
		if (status)
			fprintf(stderr, "weights %s: see above\n", mappings[i].name);
		CHECK(!status);
	}
}

/* A copy of what is only read is none of what lies next to it. */
static void test_mapping_half_for_writing(void)
{
	ggml_backend_buffer_t buffer;
	ggml_backend_dev_t dev;
	uint8_t *at;

	infini_fake.files = true;
	dev = open_device();
	at = mapped_privately_for_writing();
	unlink(weights_path);
	CHECK(!mprotect(at, 2 * PAGE, PROT_READ));
	buffer = ggml_backend_dev_buffer_from_host_ptr(dev, at, 2 * PAGE, PAGE);
	CHECK(buffer);
	CHECK(!ggml_backend_dev_buffer_from_host_ptr(dev, at + 2 * PAGE, PAGE, PAGE));
	ggml_backend_buffer_free(buffer);
}

/* llama.cpp asks for one buffer for each row of tensors that are not repacked. */
static void test_many_parts_of_a_file(bool in_place)
{
	enum { PARTS = 100 };
	struct ggml_context *weights_ctx = new_context(), *ctx = new_context();
	ggml_backend_buffer_t buffers[PARTS], buffer;
	ggml_backend_dev_t dev;
	ggml_backend_t backend;
	struct ggml_cgraph *graph;
	struct ggml_tensor *sum, *t;
	char path[] = "/tmp/infini-weights-XXXXXX";
	int fd = mkstemp(path), i;
	float value, x = 0.5f;
	uint8_t *at;

	infini_fake.files = true;
	infini_fake.refuse_files = !in_place;
	dev = open_device();
	backend = ggml_backend_dev_init(dev, NULL);
	sum = ggml_new_tensor_1d(ctx, GGML_TYPE_F32, 1);
	t = sum;
	for (i = 0; i < PARTS; i++) {
		value = (float)i;
		CHECK(pwrite(fd, &value, sizeof(value), (i + 1) * PAGE - 4) == sizeof(value));
	}
	at = mmap(NULL, PARTS * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	for (i = 0; i < PARTS; i++) {
		struct ggml_tensor *part = ggml_new_tensor_1d(weights_ctx, GGML_TYPE_F32, 1);

		buffers[i] = ggml_backend_dev_buffer_from_host_ptr(dev, at + (i + 1) * PAGE - 4, 4, 4);
		CHECK(ggml_backend_tensor_alloc(buffers[i], part, at + (i + 1) * PAGE - 4) ==
		      GGML_STATUS_SUCCESS);
		sum = ggml_add(ctx, sum, part);
	}
	unlink(path);
	CHECK(infini_fake_counts.file_bytes == PARTS * PAGE);
	graph = ggml_new_graph(ctx);
	ggml_build_forward_expand(graph, sum);
	buffer = place(ctx, dev);
	ggml_backend_tensor_set(t, &x, 0, sizeof(x));
	CHECK(ggml_backend_graph_compute(backend, graph) == GGML_STATUS_SUCCESS);
	ggml_backend_tensor_get(sum, &value, 0, sizeof(value));
	CHECK(value == 0.5f + PARTS * (PARTS - 1) / 2);
	for (i = 0; i < PARTS; i++)
		ggml_backend_buffer_free(buffers[i]);
	CHECK(!infini_fake_counts.file_bytes);
	ggml_backend_buffer_free(buffer);
	ggml_free(weights_ctx);
	ggml_free(ctx);
	ggml_backend_free(backend);
}

static void test_many_parts_in_place(void)
{
	test_many_parts_of_a_file(true);
}

static void test_many_parts_copied(void)
{
	test_many_parts_of_a_file(false);
}

/* A model in more files than a job can name would load, and then nothing would run. */
static void test_too_many_files(void)
{
	enum { MOST = 48 };
	ggml_backend_buffer_t buffers[MOST + 1];
	ggml_backend_dev_t dev;
	int i;

	infini_fake.files = true;
	infini_fake.max_bindings = 64;
	dev = open_device();
	for (i = 0; i < MOST; i++) {
		buffers[i] = file_buffer(dev);
		CHECK(buffers[i]);
	}
	said_begin();
	buffers[MOST] = file_buffer(dev);
	check_said("--load-mode none");
	CHECK(!buffers[MOST]);
	ggml_backend_buffer_free(buffers[7]);
	buffers[7] = file_buffer(dev);
	CHECK(buffers[7]);
	for (i = 0; i < MOST; i++)
		ggml_backend_buffer_free(buffers[i]);
}

/* llama.cpp does not look at what becomes of a tensor's place: the graphs must fail. */
static void test_weights_that_cannot_be_copied(void)
{
	struct ggml_context *ctx = new_context();
	struct ggml_tensor *t = ggml_new_tensor_1d(ctx, GGML_TYPE_I8, WEIGHTS_BYTES);
	ggml_backend_buffer_t buffer;
	enum ggml_status status;
	struct scaling s;
	uint8_t *at;
	float y;

	infini_fake.files = true;
	infini_fake.refuse_files = 1;
	scaling_open(&s, 64, 3.0f);
	at = mapped_for_reading();
	buffer = ggml_backend_dev_buffer_from_host_ptr(s.dev, at, WEIGHTS_BYTES, WEIGHTS_BYTES);
	CHECK(buffer && !truncate(weights_path, PAGE));
	unlink(weights_path);
	said_begin();
	status = ggml_backend_tensor_alloc(buffer, t, at);
	check_said("cannot be read");
	CHECK(status != GGML_STATUS_SUCCESS);
	CHECK(scaling_run(&s, 2.0f, &y) == GGML_STATUS_FAILED);
	ggml_backend_buffer_free(buffer);
	scaling_close(&s);
	scaling_open(&s, 64, 3.0f);
	CHECK(scaling_run(&s, 2.0f, &y) == GGML_STATUS_SUCCESS && y == 6.0f);
	scaling_close(&s);
	ggml_free(ctx);
}

/* Two files of a file system can have one number: subvolumes of btrfs, overlayfs without xino. */
static void test_other_file_with_the_same_number(void)
{
	static const size_t places[] = { 0, 2 * PAGE + 7, WEIGHTS_BYTES - 1 };
	uint8_t *at = mapped_for_reading(), *other = memory(6, 1);
	struct infini_mapping map;
	size_t i;
	int fd;

	CHECK(!infini_mapping_find(at, WEIGHTS_BYTES, &map));
	fd = infini_mapping_open(&map);
	CHECK(fd >= 0);
	close(fd);
	map.start = (unsigned long)other;
	memcpy(other, at, WEIGHTS_BYTES);
	fd = infini_mapping_open(&map);
	CHECK(fd >= 0);
	close(fd);
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		other[places[i]] ^= 1;
		CHECK(infini_mapping_open(&map) == -ENOENT);
		other[places[i]] ^= 1;
	}
	/* One that ends before the other does is no reason for a SIGBUS. */
	CHECK(!mprotect(other + PAGE, PAGE, PROT_NONE));
	CHECK(infini_mapping_open(&map) == -ENOENT);
	unlink(weights_path);
	free(map.path);
}

/* Whoever takes such a buffer for one to write to is told, and gets no results. */
static void test_mapped_weights_are_only_read(void)
{
	struct scaling s;
	struct ggml_context *ctx = new_context();
	ggml_backend_buffer_t buffer;
	struct ggml_tensor *t;
	uint8_t *at, byte = 1;
	float y;

	infini_fake.files = true;
	scaling_open(&s, 64, 3.0f);
	at = mapped_for_reading();
	buffer = ggml_backend_dev_buffer_from_host_ptr(s.dev, at, WEIGHTS_BYTES, WEIGHTS_BYTES);
	t = weights_tensor(ctx, buffer, at, 0, PAGE);
	CHECK(scaling_run(&s, 2.0f, &y) == GGML_STATUS_SUCCESS && y == 6.0f);
	ggml_backend_tensor_set(t, &byte, 0, 1);
	CHECK(scaling_run(&s, 2.0f, &y) == GGML_STATUS_FAILED);
	unlink(weights_path);
	ggml_backend_buffer_free(buffer);
	ggml_free(ctx);
	scaling_close(&s);
}

static void test_no_files_no_mapping(void)
{
	CHECK(!offers_mapping(open_device()));
}

/* A moment's failure is no answer. */
static void test_mapping_is_tried_again(void)
{
	ggml_backend_dev_t dev;

	infini_fake.files = true;
	infini_fake.refuse_files = 1;
	infini_fake.refuse_err = -ENOMEM;
	dev = open_device();
	CHECK(!offers_mapping(dev));
	CHECK(offers_mapping(dev));
}

/* Another client may get another answer. */
static void test_mapping_is_tried_by_each_client(void)
{
	struct scaling s;
	float y;

	infini_fake.files = true;
	infini_fake.refuse_files = 1;
	scaling_open(&s, 64, 3.0f);
	CHECK(!offers_mapping(s.dev) && !offers_mapping(s.dev));
	infini_fake.fail_op = INFINI_OP_COPY;
	infini_fake.fail_err = -EOWNERDEAD;
	ggml_backend_tensor_get(s.x, &y, 0, sizeof(y));
	CHECK(!offers_mapping(s.dev));
	scaling_close(&s);
	infini_fake.fail_err = 0;
	scaling_open(&s, 64, 3.0f);
	CHECK(offers_mapping(s.dev));
	scaling_close(&s);
}

/* What was offered must hold, whatever the file. */
static void test_refused_files_no_mapping(void)
{
	ggml_backend_dev_t dev;

	infini_fake.files = true;
	infini_fake.refuse_files = 1;
	dev = open_device();
	CHECK(!offers_mapping(dev) && !offers_mapping(dev) && !infini_fake.refuse_files);
}

static const struct {
	const char *name;
	struct infini_fake_settings settings;
	const char *says;
} unusable[] = {
	{ "nobody chose", { .open_err = -EDESTADDRREQ }, "set INFINI_VDEV" },
	{ "no module", { .open_err = -ENOENT }, "load the module" },
	{ "not yours", { .open_err = -EACCES }, "not yours" },
	{ "crowded", { .open_err = -ENOSPC }, "as many clients" },
	{ "going away", { .open_err = -ENODEV }, "being deleted" },
	{ "no daemon", { .offline = true }, "is infinid running" },
	{ "another backend", { .backend = "null" }, "not driven by the ggml backend" },
};

/* What ggml_backend_init() says when it fails with @settings. */
static void unusable_output(const struct infini_fake_settings *settings, char *said, size_t bytes)
{
	ggml_backend_reg_t reg;

	infini_fake = *settings;
	setenv("INFINI_VDEV", "a", 1);
	said_begin();
	reg = ggml_backend_init();
	said_end(said, bytes);
	CHECK(!reg);
}

static void test_unusable_vdevs(void)
{
	char said[1024], *newline;
	size_t i;

	for (i = 0; i < sizeof(unusable) / sizeof(unusable[0]); i++) {
		unusable_output(&unusable[i].settings, said, sizeof(said));
		newline = strchr(said, '\n');
		if (!newline || newline[1] || !strstr(said, unusable[i].says)) {
			fprintf(stderr, "%s: said \"%s\"\n", unusable[i].name, said);
			exit(1);
		}
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{ "what is written is read back, whatever its size", test_round_trips },
	{ "any order of operations gives the right bytes", test_random_operations },
	{ "also with tight limits and interruptions", test_random_operations_in_small_pieces },
	{ "a step is one call", test_step_is_one_call },
	{ "results nobody reads do not come along", test_unread_results_stay_away },
	{ "a graph changed under its uid is noticed", test_uid_is_only_a_hint },
	{ "equal graphs share a program", test_equal_graphs_share_a_program },
	{ "programs are thrown out at their limit", test_programs_are_thrown_out },
	{ "the memory limit is told and kept", test_memory_limit },
	{ "the staging buffer grows with what crosses it", test_staging_grows },
	{ "a lost transfer fails graphs until all is freed", test_lost_transfer_fails_graphs },
	{ "graphs fail cleanly", test_failing_graphs },
	{ "a graph in too many buffers is refused", test_graph_in_too_many_buffers },
	{ "writes to many buffers arrive", test_writes_to_many_buffers },
	{ "a lowered ceiling of timeouts is followed", test_shorter_timeouts },
	{ "answers are remembered", test_answers_are_remembered },
	{ "repacked weights", test_repacked_weights },
	{ "weights are read in the very file that is mapped, or copied", test_mapped_weights },
	{ "of a mapping half for writing the other is copied", test_mapping_half_for_writing },
	{ "a hundred parts of one file are one buffer", test_many_parts_in_place },
	{ "also when they are copied", test_many_parts_copied },
	{ "weights in more files than a job can name are refused", test_too_many_files },
	{ "weights that cannot be copied fail graphs", test_weights_that_cannot_be_copied },
	{ "a file with the number of the mapped one is not mistaken for it",
	  test_other_file_with_the_same_number },
	{ "weights in a file are only read", test_mapped_weights_are_only_read },
	{ "a device that takes no files offers no mapping", test_no_files_no_mapping },
	{ "nor does one that refuses a file in memory", test_refused_files_no_mapping },
	{ "one that failed for a moment is asked again", test_mapping_is_tried_again },
	{ "and so is one by a new client", test_mapping_is_tried_by_each_client },
	{ "threads do not disturb each other", test_threads },
	{ "each unusable vdev is told in one line", test_unusable_vdevs },
};

/* A case must also have kept the contract of the device. */
static void run_case(size_t i)
{
	const char *backends = getenv("GGML_BACKENDS");

	ggml_backend_load_all_from_path(backends);
	cases[i].run();
	CHECK(!infini_fake_counts.broken_rules);
	exit(0);
}

int main(int argc, char **argv)
{
	size_t i, nr = sizeof(cases) / sizeof(cases[0]);
	int status, failed = 0;
	pid_t pid;

	printf("TAP version 13\n1..%zu\n", nr);
	for (i = 0; i < nr; i++) {
		if (argc > 1 && strtoul(argv[1], NULL, 10) != i + 1)
			continue;
		fflush(stdout);
		pid = fork();
		if (!pid)
			run_case(i);
		waitpid(pid, &status, 0);
		printf("%s %zu - %s\n", status ? "not ok" : "ok", i + 1, cases[i].name);
		failed += !!status;
	}
	return failed ? 1 : 0;
}
