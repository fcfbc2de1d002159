// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A backend to start from: one "byte engine" that adds or exclusive-ors. docs/backends.md goes through
 * it. It passes tests/backends, and is built for that alone: it is not in BACKENDS of ../Makefile.
 */
#include "../backend.h"
#include "example.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

/* What the engine does in a microsecond, about: a segment is to last @segment_us. */
#define BYTES_PER_US	1024

/* All state of an opened device is here, none is global: tests open several. */
struct infini_backend {
	infini_backend_log_fn log;
	uint64_t segment_bytes;
};

struct infini_backend_program {
	struct example_program code;
};

/* ---- the device: a real backend asks its vendor's library --------------------------- */

static int example_probe(infini_backend_found_fn found, void *arg, infini_backend_log_fn log)
{
	/* UNIFIED: the engine computes on the module's pages, so it has no memory of its own. */
	static const struct infini_backend_device device = {
		.name = "example0",
		.description = "byte engine in software",
		.device_class = INFINI_CLASS_OTHER,
		.level = INFINI_LEVEL_SEGMENT,
		.slots = 1,
		.memory_bytes = 1ULL << 30,
		.nr_kinds = 1,
		.kinds = { { .name = "example", .flags = INFINI_MEMORY_F_UNIFIED, .alignment = 1 } },
	};

	(void)log;
	found(&device, arg);
	return 0;
}

static int example_open(const struct infini_backend_open *open, struct infini_backend **backend)
{
	if (strcmp(open->device, "example0"))
		return -ENODEV;
	*backend = malloc(sizeof(**backend));
	if (!*backend)
		return -ENOMEM;
	(*backend)->log = open->log;
	(*backend)->segment_bytes = (uint64_t)open->segment_us * BYTES_PER_US;
	return 0;
}

static void example_close(struct infini_backend *backend)
{
	free(backend);
}

/* ---- memory: mapped already, so there is little to do ------------------------------- */

static int example_buffer_add(struct infini_backend *backend, struct infini_backend_buffer *buffer)
{
	(void)backend;
	return buffer->addr ? 0 : -EINVAL;
}

static void example_buffer_remove(struct infini_backend *backend,
				  struct infini_backend_buffer *buffer)
{
	(void)backend;
	(void)buffer;
}

static uint8_t *at(const struct infini_backend_buffer *buffer, uint64_t offset)
{
	return (uint8_t *)buffer->addr + offset;
}

static int example_write(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			 uint64_t offset, const void *data, uint64_t bytes)
{
	(void)backend;
	memcpy(at(buffer, offset), data, bytes);
	return 0;
}

static int example_read(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			uint64_t offset, void *data, uint64_t bytes)
{
	(void)backend;
	memcpy(data, at(buffer, offset), bytes);
	return 0;
}

static int example_copy(struct infini_backend *backend, struct infini_backend_buffer *dst,
			uint64_t dst_offset, struct infini_backend_buffer *src, uint64_t src_offset,
			uint64_t bytes)
{
	(void)backend;
	memmove(at(dst, dst_offset), at(src, src_offset), bytes);
	return 0;
}

static int example_fill(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			uint64_t offset, uint8_t value, uint64_t bytes)
{
	(void)backend;
	memset(at(buffer, offset), value, bytes);
	return 0;
}

static uint64_t example_held_bytes(struct infini_backend *backend)
{
	(void)backend;
	return 0;
}

/* ---- programs: everything in them is a stranger's ----------------------------------- */

static int example_program_load(struct infini_backend *backend, const void *data, size_t bytes,
				struct infini_backend_program **program)
{
	static const uint8_t no_pad[sizeof(((struct example_program *)0)->pad)];
	struct example_program code;

	if (bytes == sizeof(code))
		memcpy(&code, data, bytes);
	if (bytes != sizeof(code) || code.magic != EXAMPLE_MAGIC || !code.bytes ||
	    (code.op != EXAMPLE_ADD && code.op != EXAMPLE_XOR) ||
	    memcmp(code.pad, no_pad, sizeof(no_pad))) {
		backend->log(LOG_WARNING, "example program: no sound struct example_program");
		return -EINVAL;
	}
	*program = malloc(sizeof(**program));
	if (!*program)
		return -ENOMEM;
	(*program)->code = code;
	return 0;
}

static void example_program_free(struct infini_backend *backend,
				 struct infini_backend_program *program)
{
	(void)backend;
	free(program);
}

static bool binding_suits(const struct infini_backend_run *run, uint32_t i, uint32_t access,
			  uint64_t bytes)
{
	return i < run->nr_bindings && run->bindings[i].access & access &&
	       run->bindings[i].buffer->bytes >= bytes;
}

/* Segment n is bytes n * segment_bytes and on: each is computed once, however often it stops. */
static int example_program_run(struct infini_backend *backend,
			       struct infini_backend_program *program,
			       struct infini_backend_run *run)
{
	const struct example_program *code = &program->code;
	uint64_t nr = (code->bytes - 1) / backend->segment_bytes + 1;

	if (!binding_suits(run, 0, INFINI_ACCESS_READ, code->bytes) ||
	    !binding_suits(run, 1, INFINI_ACCESS_WRITE, code->bytes) || run->args_bytes ||
	    run->segment >= nr) {
		backend->log(LOG_WARNING, "example program: wrong bindings, arguments or segment");
		return -EINVAL;
	}
	for (uint64_t i = run->segment; i < nr; i++) {
		uint64_t from = i * backend->segment_bytes, left = code->bytes - from;
		const uint8_t *in = at(run->bindings[0].buffer, from);
		uint8_t *out = at(run->bindings[1].buffer, from);

		if (i > run->segment && run->should_yield(run)) {
			run->segment = i;
			return INFINI_BACKEND_PREEMPTED;
		}
		for (uint64_t j = 0; j < left && j < backend->segment_bytes; j++)
			out[j] = code->op == EXAMPLE_ADD ? (uint8_t)(in[j] + code->operand) :
							   in[j] ^ code->operand;
	}
	run->value = code->bytes;
	return 0;
}

__attribute__((visibility("default")))
const struct infini_backend_ops infini_backend_ops = {
	.abi = INFINI_BACKEND_ABI,
	.name = "example",
	.format = EXAMPLE_FORMAT,
	.probe = example_probe,
	.open = example_open,
	.close = example_close,
	.buffer_add = example_buffer_add,
	.buffer_remove = example_buffer_remove,
	.program_load = example_program_load,
	.program_free = example_program_free,
	.program_run = example_program_run,
	.write = example_write,
	.read = example_read,
	.copy = example_copy,
	.fill = example_fill,
	.held_bytes = example_held_bytes,
};
