// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The executor's half of the fake by infinid's own backend: $INFINI_FAKE_WORKER names the shared
 * object, $INFINI_FAKE_YIELD says at each how-many-eth look a segment is to be the last.
 */
#include "fake.h"

#include "../../daemon/backend.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct infini_backend_ops *worker;
static struct infini_backend *worker_backend;
static struct infini_backend_device worker_device;
static unsigned long worker_yield, worker_looks;

static void worker_log(int priority, const char *message)
{
	fprintf(stderr, "worker: <%d> %s\n", priority, message);
}

static int worker_found(const struct infini_backend_device *device, void *arg)
{
	(void)arg;
	if (device->device_class != INFINI_CLASS_CPU)
		return 0;
	worker_device = *device;
	return 1;
}

static void worker_load(const char *path)
{
	struct infini_backend_open open = {
		.device = worker_device.name,
		.threads_max = 4,
		.log = worker_log,
	};
	const char *yield = getenv("INFINI_FAKE_YIELD");
	void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);

	worker = object ? dlsym(object, INFINI_BACKEND_SYMBOL) : NULL;
	if (!worker || worker->probe(worker_found, NULL, worker_log) != 1 ||
	    worker->open(&open, &worker_backend)) {
		fprintf(stderr, "worker: %s cannot be used\n", path);
		exit(99);
	}
	worker_yield = yield ? strtoul(yield, NULL, 0) : 0;
}

bool infini_fake_worker(void)
{
	const char *path = getenv("INFINI_FAKE_WORKER");

	if (path && !worker)
		worker_load(path);
	return path;
}

uint32_t infini_fake_worker_kinds(struct infini_memory_kind *kinds)
{
	memcpy(kinds, worker_device.kinds, sizeof(worker_device.kinds));
	return worker_device.nr_kinds;
}

int infini_fake_worker_memory(struct infini_fake_buffer *buffer)
{
	static uint64_t ids;
	struct infini_backend_buffer *b = calloc(1, sizeof(*b));
	bool weights = worker_device.kinds[buffer->kind].flags & INFINI_MEMORY_F_WEIGHTS;

	*b = (struct infini_backend_buffer){
		.id = ++ids,
		.type = buffer->type,
		.kind = buffer->kind,
		.bytes = buffer->bytes,
	};
	buffer->worker = b;
	buffer->base = aligned_alloc(4096, weights ? 4096 : buffer->bytes);
	if (!weights) {
		memset(buffer->base, 0, buffer->bytes);
		b->addr = buffer->base;
	}
	return worker->buffer_add(worker_backend, b);
}

void infini_fake_worker_memory_free(struct infini_fake_buffer *buffer)
{
	worker->buffer_remove(worker_backend, buffer->worker);
	free(buffer->worker);
	free(buffer->base);
}

static bool worker_should_yield(const struct infini_backend_run *run)
{
	(void)run;
	return worker_yield && ++worker_looks % worker_yield == 0;
}

static void worker_bind(struct infini_backend_binding *to, const struct infini_binding *from,
			struct infini_fake_buffer **buffers, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++)
		to[i] = (struct infini_backend_binding){ buffers[i]->worker, from[i].access };
}

int infini_fake_worker_run(const struct infini_fake_work *work)
{
	struct infini_backend_binding bindings[64];
	struct infini_backend_run run = {
		.bindings = bindings,
		.nr_bindings = work->nr_bindings,
		.args = work->args,
		.args_bytes = work->args_bytes,
		.should_yield = worker_should_yield,
	};
	struct infini_backend_program *program;
	int err;

	worker_bind(bindings, work->access, work->buffers, work->nr_bindings);
	err = worker->program_load(worker_backend, work->program, work->program_bytes, &program);
	if (err)
		return err;
	do {
		err = worker->program_run(worker_backend, program, &run);
	} while (err == INFINI_BACKEND_PREEMPTED);
	worker->program_free(worker_backend, program);
	return err;
}

int infini_fake_worker_ask(const struct infini_fake_work *work, uint64_t *value)
{
	struct infini_backend_binding bindings[64];
	struct infini_backend_run run = {
		.bindings = bindings,
		.nr_bindings = work->nr_bindings,
		.args = work->args,
		.args_bytes = work->args_bytes,
		.should_yield = worker_should_yield,
	};
	int err;

	worker_bind(bindings, work->access, work->buffers, work->nr_bindings);
	err = worker->ask(worker_backend, &run);
	*value = run.value;
	return err;
}
