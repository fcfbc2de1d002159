// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The real ggml backend under the fake /dev/infini of tests/frontend: unmodified clients of
 * libggml run through the frontend and the backend in one process, without a kernel.
 *
 *	INFINI_LOOP_BACKEND	infinid-ggml.so
 *	INFINI_LOOP_DEVICE	which of its devices, "cpu0"
 *	INFINI_LOOP_SEGMENT_US	how long a CPU segment may take, 400
 *	INFINI_LOOP_YIELD	1: every run is asked to yield after each segment
 *	INFINI_LOOP_REPORT	file that gets one line of counters at exit
 *	INFINI_LOOP_SEGMENTS	file that gets a line for each run of a language model: how many
 *				tokens it evaluated, then how many nanoseconds each segment took
 *	INFINI_LOOP_TOKENS	file that gets a line for each run of a language model: which
 *				context, tokens evaluated, generated, prompts, tokens scored and
 *				embedded
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../daemon/backend.h"
#include "../frontend/fake.h"

struct loaded {
	struct loaded *next;
	struct infini_backend_program *program;
	uint64_t bytes;
	unsigned char data[];
};

static const struct infini_backend_ops *ops;
static struct infini_backend *backend;
static struct loaded *programs;
static bool yields;

static struct {
	uint64_t runs;
	uint64_t segments;
	uint64_t preemptions;
	uint64_t evaluated;
	uint64_t generated;
	uint64_t longest_ns;		/* segment */
	uint64_t run_ns;
} total;

static FILE *tokens;

/* Segments of the run in progress. */
static struct {
	FILE *file;
	uint64_t *ns;
	size_t nr;
	size_t room;
	uint64_t began_ns;
} lengths;

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void lengths_begin(void)
{
	lengths.nr = 0;
	lengths.began_ns = clock_ns(CLOCK_MONOTONIC);
}

static void lengths_add(void)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (lengths.nr == lengths.room) {
		lengths.room = 2 * lengths.room + 64;
		lengths.ns = realloc(lengths.ns, lengths.room * sizeof(*lengths.ns));
		if (!lengths.ns)
			abort();
	}
	lengths.ns[lengths.nr++] = now - lengths.began_ns;
	lengths.began_ns = clock_ns(CLOCK_MONOTONIC);
}

static void lengths_write(uint32_t evaluated)
{
	size_t i;

	fprintf(lengths.file, "%u ", evaluated);
	for (i = 0; i < lengths.nr; i++)
		fprintf(lengths.file, "%llu%c", (unsigned long long)lengths.ns[i],
			i + 1 < lengths.nr ? ' ' : '\n');
}

static FILE *opened(const char *variable)
{
	const char *path = getenv(variable);

	return path ? fopen(path, "ae") : NULL;
}

static void tokens_write(const struct infini_backend_run *run)
{
	fprintf(tokens, "%u %u %u %u %u %u\n", (uint32_t)run->request, run->tokens_evaluated,
		run->tokens_generated, run->prompts, run->tokens_scored, run->tokens_embedded);
	fflush(tokens);
}

static void say(int priority, const char *message)
{
	(void)priority;
	fprintf(stderr, "backend: %s\n", message);
}

static void report(void)
{
	const char *path = getenv("INFINI_LOOP_REPORT");
	FILE *file = path ? fopen(path, "a") : NULL;

	if (!file)
		return;
	fprintf(file, "runs %llu segments %llu preemptions %llu evaluated %llu generated %llu "
		"longest_us %llu mean_us %llu\n", (unsigned long long)total.runs,
		(unsigned long long)total.segments, (unsigned long long)total.preemptions,
		(unsigned long long)total.evaluated, (unsigned long long)total.generated,
		(unsigned long long)total.longest_ns / 1000,
		(unsigned long long)(total.segments ? total.run_ns / total.segments / 1000 : 0));
	fclose(file);
}

static void start(void)
{
	const char *path = getenv("INFINI_LOOP_BACKEND"), *device = getenv("INFINI_LOOP_DEVICE");
	const char *segment = getenv("INFINI_LOOP_SEGMENT_US");
	struct infini_backend_open open = {
		.device = device ? device : "cpu0",
		.threads_max = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN),
		.segment_us = segment ? (uint32_t)strtoul(segment, NULL, 10) : 400,
		.log = say,
	};
	void *module;

	if (backend)
		return;
	module = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	ops = module ? dlsym(module, INFINI_BACKEND_SYMBOL) : NULL;
	if (!ops || ops->open(&open, &backend)) {
		fprintf(stderr, "loop: no backend: %s\n", path ? dlerror() : "INFINI_LOOP_BACKEND");
		exit(1);
	}
	yields = getenv("INFINI_LOOP_YIELD") != NULL;
	lengths.file = opened("INFINI_LOOP_SEGMENTS");
	tokens = opened("INFINI_LOOP_TOKENS");
	atexit(report);
}

/* The backend's view of a fake buffer; the fake has one field left for it. */
static struct infini_backend_buffer *seen(struct infini_fake_buffer *buffer)
{
	return (struct infini_backend_buffer *)buffer->ggml;
}

int infini_fake_memory(struct infini_fake_buffer *buffer)
{
	static uint64_t last_id;
	struct infini_backend_buffer *b = calloc(1, sizeof(*b));
	int ret;

	start();
	if (!b)
		return -ENOMEM;
	b->id = ++last_id;
	b->type = buffer->type;
	b->kind = buffer->kind;
	b->bytes = buffer->bytes;
	if (!buffer->kind) {
		b->addr = aligned_alloc(4096, buffer->bytes);
		if (!b->addr)
			goto fail;
		memset(b->addr, 0, buffer->bytes);
	}
	ret = ops->buffer_add(backend, b);
	if (ret)
		goto fail;
	buffer->ggml = (struct ggml_backend_buffer *)b;
	/* Weights have no address; the fake only asks whether there is one. */
	buffer->base = b->addr ? b->addr : (void *)b;
	return 0;
fail:
	free(b->addr);
	free(b);
	return -ENOMEM;
}

void infini_fake_memory_free(struct infini_fake_buffer *buffer)
{
	struct infini_backend_buffer *b = seen(buffer);

	ops->buffer_remove(backend, b);
	free(b->addr);
	free(b);
}

/* The backend copies upwards: what overlaps goes through a buffer. */
int infini_fake_write(struct infini_fake_buffer *buffer, uint64_t offset, const void *data,
		      uint64_t bytes)
{
	void *copy = malloc(bytes);
	int ret = copy ? 0 : -ENOMEM;

	if (!ret) {
		memcpy(copy, data, bytes);
		ret = ops->write(backend, seen(buffer), offset, copy, bytes);
	}
	free(copy);
	return ret;
}

/* Of this thread: what else the machine does is not the segment's. */
static uint64_t now_ns(void)
{
	return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static uint64_t segment_began;

static bool should_yield(const struct infini_backend_run *run)
{
	uint64_t now = now_ns(), spent = now - segment_began;

	(void)run;
	lengths_add();
	total.segments++;
	total.run_ns += spent;
	if (spent > total.longest_ns)
		total.longest_ns = spent;
	segment_began = now_ns();
	return yields;
}

static int load(const void *data, uint64_t bytes, struct infini_backend_program **program)
{
	struct loaded *l;
	int ret;

	for (l = programs; l; l = l->next) {
		if (l->bytes == bytes && !memcmp(l->data, data, bytes)) {
			*program = l->program;
			return 0;
		}
	}
	l = malloc(sizeof(*l) + bytes);
	if (!l)
		return -ENOMEM;
	memcpy(l->data, data, bytes);
	l->bytes = bytes;
	ret = ops->program_load(backend, l->data, bytes, &l->program);
	if (ret) {
		free(l);
		return ret;
	}
	l->next = programs;
	programs = l;
	*program = l->program;
	return 0;
}

static struct infini_backend_binding *bind(struct infini_fake_buffer **buffers, uint32_t nr)
{
	struct infini_backend_binding *bindings = calloc(nr + 1, sizeof(*bindings));
	uint32_t i;

	for (i = 0; bindings && i < nr; i++) {
		bindings[i].buffer = seen(buffers[i]);
		bindings[i].access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE;
	}
	return bindings;
}

int infini_fake_run(const void *program, uint64_t bytes, struct infini_fake_buffer **bindings,
		    uint32_t nr_bindings, const void *args, uint32_t args_bytes, uint64_t request)
{
	struct infini_backend_program *p = NULL;
	struct infini_backend_run run = {
		.bindings = bind(bindings, nr_bindings),
		.nr_bindings = nr_bindings,
		.args = args,
		.args_bytes = args_bytes,
		.request = request,
		.should_yield = should_yield,
	};
	int ret = load(program, bytes, &p);

	segment_began = now_ns();
	lengths_begin();
	while (!ret) {
		ret = ops->program_run(backend, p, &run);
		if (ret != INFINI_BACKEND_PREEMPTED)
			break;
		total.preemptions++;
		ret = 0;
	}
	if (!ret)
		should_yield(&run);
	if (!ret && lengths.file && run.tokens_evaluated)
		lengths_write(run.tokens_evaluated);
	if (!ret && tokens && run.tokens_evaluated)
		tokens_write(&run);
	total.runs++;
	total.evaluated += run.tokens_evaluated;
	total.generated += run.tokens_generated;
	free((void *)run.bindings);
	return ret;
}

int infini_fake_ask(const void *args, uint32_t args_bytes, struct infini_fake_buffer **bindings,
		    uint32_t nr_bindings, uint64_t *value)
{
	struct infini_backend_run run = {
		.bindings = bind(bindings, nr_bindings),
		.nr_bindings = nr_bindings,
		.args = args,
		.args_bytes = args_bytes,
	};
	int ret;

	start();
	ret = ops->ask(backend, &run);
	*value = run.value;
	free((void *)run.bindings);
	return ret;
}
