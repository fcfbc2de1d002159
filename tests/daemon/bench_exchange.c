// SPDX-License-Identifier: GPL-2.0-or-later
/* What a worker adds to a job: its loop against a channel that costs nothing. */
#include "exchange.h"

#include <errno.h>
#include <infini.h>
#include <infini/null.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define JOBS	2000000ULL

extern const struct infini_backend_ops infini_backend_ops;

static struct {
	struct infini_dispatch job;
	struct infini_dispatch_binding bindings[4];
	struct infini_input input;
	struct infini_output output;
	uint8_t input_bytes[64];
	uint64_t left;
	uint64_t dispatch;
	uint8_t memory[4][65536];
} channel;

int infini_exchange(int fd, struct infini_exchange *e)
{
	struct infini_dispatch *to = (void *)(uintptr_t)e->dispatches;
	uint8_t *payload = (void *)(uintptr_t)e->payload;

	(void)fd;
	e->accepted = e->nr_results;
	for (; e->returned < e->nr_dispatches && channel.left; channel.left--) {
		*to = channel.job;
		to->dispatch = ++channel.dispatch;
		memcpy(payload, channel.bindings, sizeof(channel.bindings));
		memcpy(payload + 256, &channel.input, sizeof(channel.input));
		memcpy(payload + 320, &channel.output, sizeof(channel.output));
		memcpy(payload + 384, channel.input_bytes, sizeof(channel.input_bytes));
		to++;
		e->returned++;
	}
	return e->returned || !e->nr_dispatches ? 0 : -ENODEV;
}

int infini_program_read(int fd, uint64_t program, uint64_t offset, void *data, size_t bytes)
{
	const struct infini_null_program code = { .magic = INFINI_NULL_MAGIC, .segments = 1 };

	(void)fd;
	(void)program;
	(void)offset;
	memcpy(data, &code, bytes);
	return 0;
}

int infini_executor_map(int fd, uint64_t map_offset, size_t bytes, void **addr)
{
	(void)fd;
	(void)bytes;
	*addr = channel.memory[map_offset / 4096 - 1];
	return 0;
}

int infini_unmap(const void *addr, size_t bytes)
{
	(void)addr;
	(void)bytes;
	return 0;
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void prepare(uint32_t op, uint32_t nr_bindings)
{
	memset(&channel, 0, sizeof(channel));
	channel.left = JOBS;
	channel.job = (struct infini_dispatch){
		.op = op,
		.nr_bindings = nr_bindings,
		.inputs = 256,
		.outputs = 320,
		.object = 3,
		.program_format = INFINI_FORMAT_NULL,
		.program_bytes = sizeof(struct infini_null_program),
		.bytes = 64,
	};
	for (uint32_t i = 0; i < 4; i++)
		channel.bindings[i] = (struct infini_dispatch_binding){
			.buffer = 17 + i,
			.bytes = 65536,
			.map_offset = 4096 * (i + 1),
			.access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE,
		};
	channel.input = (struct infini_input){ .binding = 0, .bytes = 64, .data = 384 };
	channel.output = (struct infini_output){ .src_binding = 1, .dst_binding = 2, .bytes = 64 };
}

static void measure(const char *name, uint32_t window)
{
	const struct infini_backend_open open = { .device = "null0", .threads_max = 1, .segment_us = 400 };
	struct infini_exchanger exchanger;
	struct infini_backend *backend;
	struct infini_objects objects;
	uint64_t word = 0;
	double start;
	int ret;

	if (infini_backend_ops.open(&open, &backend) ||
	    infini_objects_init(&objects, 0, &infini_backend_ops, backend, 4096) ||
	    infini_exchanger_init(&exchanger, 0, window, 65536, &word, &objects))
		exit(1);
	start = now_s();
	ret = infini_exchanger_serve(&exchanger);
	printf("%-44s window %u %8.1f ns/job\n", name, window, (now_s() - start) * 1e9 / JOBS);
	infini_exchanger_release(&exchanger);
	infini_objects_release(&objects);
	infini_backend_ops.close(backend);
	if (ret != -ENODEV)
		exit(1);
}

int main(void)
{
	static const uint32_t windows[] = { 1, 8 };

	for (int i = 0; i < 2; i++) {
		prepare(INFINI_OP_NOP, 0);
		measure("nop", windows[i]);
		prepare(INFINI_OP_COPY, 2);
		measure("copy of 64 bytes", windows[i]);
		prepare(INFINI_OP_PROGRAM, 4);
		channel.job.nr_inputs = 1;
		channel.job.nr_outputs = 1;
		measure("program, 4 bindings, 1 input, 1 output", windows[i]);
	}
	return 0;
}
