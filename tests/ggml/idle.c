// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A worker between two jobs must leave the CPU to others: loads infinid-ggml.so as a worker does
 * and counts the CPU time of pauses between runs on two threads. The threads may spin for a moment,
 * and how long a moment of spinning is depends on the machine, so each pause is looked at from its
 * second half on.
 *
 *	idle infinid-ggml.so
 */
#include <dlfcn.h>
#include <ggml.h>
#include <infini/ggml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../daemon/backend.h"

#define WIDTH	256
#define RUNS	20
#define SETTLE_NS	5000000
#define REST_NS		10000000
#define SPENT_MAX	0.05	/* of the pauses; threads that spin spend all of them */

static struct {
	struct infini_ggml_program head;
	struct infini_ggml_tensor tensors[3];
	uint32_t nodes[1];
} __attribute__((packed)) program;

static void say(int priority, const char *message)
{
	(void)priority;
	printf("# %s\n", message);
}

static void tensor(uint32_t i, uint64_t offset)
{
	struct infini_ggml_tensor t = { .type = GGML_TYPE_F32, .offset = offset,
					.view_src = INFINI_GGML_NONE };

	t.ne[0] = t.ne[1] = WIDTH;
	t.ne[2] = t.ne[3] = 1;
	t.nb[0] = 4;
	t.nb[1] = 4 * WIDTH;
	t.nb[2] = t.nb[3] = 4 * WIDTH * WIDTH;
	memset(t.src, 0xff, sizeof(t.src));
	if (i == 2) {
		t.op = GGML_OP_MUL_MAT;
		t.flags = GGML_TENSOR_FLAG_COMPUTE;
		t.src[0] = 0;
		t.src[1] = 1;
	}
	memcpy(&program.tensors[i], &t, sizeof(t));
}

static double cpu_seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* CPU seconds of the second halves of the pauses behind RUNS runs, or -1 */
static double spend(const struct infini_backend_ops *ops, struct infini_backend *backend,
		    struct infini_backend_program *loaded, struct infini_backend_binding *binding)
{
	struct infini_backend_run run = { .bindings = binding, .nr_bindings = 1 };
	const struct timespec settle = { .tv_nsec = SETTLE_NS };
	const struct timespec rest = { .tv_nsec = REST_NS };
	double before, sum = 0;
	int i;

	for (i = 0; i < RUNS; i++) {
		run.segment = 0;
		if (ops->program_run(backend, loaded, &run))
			return -1;
		nanosleep(&settle, NULL);
		before = cpu_seconds();
		nanosleep(&rest, NULL);
		sum += cpu_seconds() - before;
	}
	return sum;
}

int main(int argc, char **argv)
{
	struct infini_backend_buffer buffer = { .type = INFINI_BUFFER_DEVICE,
						.bytes = 3 * 4 * WIDTH * WIDTH };
	struct infini_backend_binding binding = {
		.buffer = &buffer,
		.access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE,
	};
	struct infini_backend_open open = {
		.device = "cpu0",
		.threads_max = 2,
		.segment_us = 400,
		.log = say,
	};
	void *module = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	const struct infini_backend_ops *ops = module ? dlsym(module, INFINI_BACKEND_SYMBOL) : NULL;
	struct infini_backend_program *loaded;
	struct infini_backend *backend;
	double rested, limit = SPENT_MAX * RUNS * REST_NS / 1e9;
	uint32_t i;

	if (!ops || ops->open(&open, &backend)) {
		printf("Bail out! no backend: %s\n", module ? "it does not open" : dlerror());
		return 1;
	}
	program.head = (struct infini_ggml_program){
		.magic = INFINI_GGML_MAGIC,
		.version = INFINI_GGML_VERSION,
		.ops = GGML_OP_COUNT,
		.types = GGML_TYPE_COUNT,
		.nr_tensors = 3,
		.nr_nodes = 1,
		.nr_bindings = 1,
	};
	program.nodes[0] = 2;
	for (i = 0; i < 3; i++)
		tensor(i, i * 4 * WIDTH * WIDTH);
	buffer.addr = aligned_alloc(4096, buffer.bytes);
	memset(buffer.addr, 0, buffer.bytes);
	if (ops->buffer_add(backend, &buffer) ||
	    ops->program_load(backend, &program, sizeof(program), &loaded)) {
		printf("Bail out! the program is not taken\n");
		return 1;
	}
	/* Others on the machine can only add to it: the least of some tries counts. */
	rested = spend(ops, backend, loaded, &binding);
	for (i = 0; i < 4 && rested >= 0; i++) {
		double again = spend(ops, backend, loaded, &binding);

		rested = again < rested ? again : rested;
	}
	printf("# %d pauses of %d ms took %.1f ms of CPU\n", RUNS, REST_NS / 1000000, rested * 1e3);
	/* Left alone, libgomp's threads spin through all of them. */
	printf("%sok 1 - threads sleep between runs\n1..1\n",
	       rested >= 0 && rested < limit ? "" : "not ");
	ops->program_free(backend, loaded);
	ops->buffer_remove(backend, &buffer);
	ops->close(backend);
	free(buffer.addr);
	return rested >= 0 && rested < limit ? 0 : 1;
}
