// SPDX-License-Identifier: GPL-2.0-or-later
/* The test backend: is busy for as long as a program says, segment by segment. */
#include "../backend.h"

#include <errno.h>
#include <infini/null.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <syslog.h>
#include <time.h>

#define NULL_MEMORY_BYTES	(1ULL << 30)
#define NULL_ALIGNMENT		64
#define NULL_ASK_BYTES_MAX	4096
#define NS_PER_S		1000000000ULL

enum { NULL_KIND_UNIFIED, NULL_KIND_HELD, NULL_KINDS };

struct infini_backend {
	infini_backend_log_fn log;
};

struct infini_backend_program {
	struct infini_null_program code;
};

/* ---- devices ----------------------------------------------------------------------- */

static const struct {
	const char *name;
	const char *description;
	uint32_t slots;
} null_devices[] = {
	{ "null0", "test device", 1 },
	{ "null1", "test device with two slots", 2 },
};

static void describe(size_t i, struct infini_backend_device *device)
{
	struct infini_memory_kind *kinds = device->kinds;

	memset(device, 0, sizeof(*device));
	strncpy(device->name, null_devices[i].name, sizeof(device->name) - 1);
	strncpy(device->description, null_devices[i].description,
		sizeof(device->description) - 1);
	device->device_class = INFINI_CLASS_OTHER;
	device->level = INFINI_LEVEL_SEGMENT;
	device->slots = null_devices[i].slots;
	device->memory_bytes = NULL_MEMORY_BYTES;
	device->nr_kinds = NULL_KINDS;
	strcpy((char *)kinds[NULL_KIND_UNIFIED].name, "null");
	kinds[NULL_KIND_UNIFIED].flags = INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_FILE;
	kinds[NULL_KIND_UNIFIED].alignment = NULL_ALIGNMENT;
	strcpy((char *)kinds[NULL_KIND_HELD].name, "null-held");
	kinds[NULL_KIND_HELD].alignment = NULL_ALIGNMENT;
}

static int null_probe(infini_backend_found_fn found, void *arg, infini_backend_log_fn log)
{
	struct infini_backend_device device;

	(void)log;
	for (size_t i = 0; i < sizeof(null_devices) / sizeof(null_devices[0]); i++) {
		describe(i, &device);
		if (found(&device, arg))
			break;
	}
	return 0;
}

static int null_open(const struct infini_backend_open *open, struct infini_backend **backend)
{
	for (size_t i = 0; i < sizeof(null_devices) / sizeof(null_devices[0]); i++) {
		if (strcmp(open->device, null_devices[i].name))
			continue;
		*backend = calloc(1, sizeof(**backend));
		if (!*backend)
			return -ENOMEM;
		(*backend)->log = open->log;
		/* A sleeping segment is to be as long as it says: the default slack is 50 us. */
		prctl(PR_SET_TIMERSLACK, 1);
		return 0;
	}
	return -ENODEV;
}

static void null_close(struct infini_backend *backend)
{
	free(backend);
}

/* ---- memory ------------------------------------------------------------------------ */

/* Mapped ones are the kernel's pages, others this process's. */
static uint8_t *bytes_of(const struct infini_backend_buffer *buffer)
{
	return buffer->addr ? buffer->addr : buffer->priv;
}

static int null_buffer_add(struct infini_backend *backend, struct infini_backend_buffer *buffer)
{
	(void)backend;
	if (buffer->addr)
		return 0;
	if (buffer->type != INFINI_BUFFER_DEVICE || buffer->kind != NULL_KIND_HELD)
		return -EINVAL;
	buffer->priv = calloc(1, buffer->bytes);
	return buffer->priv ? 0 : -ENOMEM;
}

static void null_buffer_remove(struct infini_backend *backend,
			       struct infini_backend_buffer *buffer)
{
	(void)backend;
	free(buffer->priv);
	buffer->priv = NULL;
}

static int null_write(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		      uint64_t offset, const void *data, uint64_t bytes)
{
	(void)backend;
	memcpy(bytes_of(buffer) + offset, data, bytes);
	return 0;
}

static int null_read(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		     uint64_t offset, void *data, uint64_t bytes)
{
	(void)backend;
	memcpy(data, bytes_of(buffer) + offset, bytes);
	return 0;
}

static int null_copy(struct infini_backend *backend, struct infini_backend_buffer *dst,
		     uint64_t dst_offset, struct infini_backend_buffer *src, uint64_t src_offset,
		     uint64_t bytes)
{
	(void)backend;
	memmove(bytes_of(dst) + dst_offset, bytes_of(src) + src_offset, bytes);
	return 0;
}

static int null_fill(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		     uint64_t offset, uint8_t value, uint64_t bytes)
{
	(void)backend;
	memset(bytes_of(buffer) + offset, value, bytes);
	return 0;
}

static uint64_t null_held_bytes(struct infini_backend *backend)
{
	(void)backend;
	return 0;
}

/* ---- programs ---------------------------------------------------------------------- */

static const char *refusal(const struct infini_null_program *code)
{
	const uint32_t known = INFINI_NULL_F_SPIN | INFINI_NULL_F_DEAF | INFINI_NULL_F_CRASH |
			       INFINI_NULL_F_COUNT;

	if (code->magic != INFINI_NULL_MAGIC)
		return "null program: wrong magic number";
	if (code->flags & ~known)
		return "null program: unknown flag";
	if (code->pad)
		return "null program: padding set";
	if (code->prompts > code->tokens_generated ||
	    code->tokens_scored > code->tokens_evaluated ||
	    code->tokens_embedded > code->tokens_evaluated - code->tokens_scored)
		return "null program: more tokens of a kind than tokens";
	if (!code->segments || code->segments > INFINI_NULL_SEGMENTS_MAX)
		return "null program: segments out of range";
	if (code->segment_ns > INFINI_NULL_SEGMENT_NS_MAX)
		return "null program: segment_ns out of range";
	return NULL;
}

static int null_program_load(struct infini_backend *backend, const void *data, size_t bytes,
			     struct infini_backend_program **program)
{
	struct infini_null_program code = { 0 };
	const char *why;

	if (bytes != sizeof(code) && bytes != offsetof(struct infini_null_program, prompts)) {
		backend->log(LOG_WARNING, "null program: wrong size");
		return -EINVAL;
	}
	memcpy(&code, data, bytes);
	why = refusal(&code);
	if (why) {
		backend->log(LOG_WARNING, why);
		return -EINVAL;
	}
	*program = malloc(sizeof(**program));
	if (!*program)
		return -ENOMEM;
	(*program)->code = code;
	return 0;
}

static void null_program_free(struct infini_backend *backend,
			      struct infini_backend_program *program)
{
	(void)backend;
	free(program);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static void be_busy(uint64_t ns, bool spin)
{
	const uint64_t end = now_ns() + ns;
	const struct timespec until = {
		.tv_sec = (time_t)(end / NS_PER_S),
		.tv_nsec = (long)(end % NS_PER_S),
	};

	if (spin) {
		while (now_ns() < end)
			;
		return;
	}
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
		;
}

/* Where INFINI_NULL_F_COUNT counts, or NULL when binding 0 cannot take it. */
static uint64_t *counter_of(const struct infini_backend_run *run)
{
	if (!run->nr_bindings || !(run->bindings[0].access & INFINI_ACCESS_WRITE) ||
	    run->bindings[0].buffer->bytes < sizeof(uint64_t))
		return NULL;
	return (uint64_t *)bytes_of(run->bindings[0].buffer);
}

static int null_program_run(struct infini_backend *backend, struct infini_backend_program *program,
			    struct infini_backend_run *run)
{
	const struct infini_null_program *code = &program->code;
	uint64_t segment, ns = code->segment_ns, *counter = NULL;

	if (run->args_bytes && run->args_bytes != sizeof(ns))
		return -EINVAL;
	if (run->args_bytes)
		memcpy(&ns, run->args, sizeof(ns));
	if (ns > INFINI_NULL_SEGMENT_NS_MAX || run->segment >= code->segments)
		return -EINVAL;
	if (code->flags & INFINI_NULL_F_COUNT) {
		counter = counter_of(run);
		if (!counter)
			return -EINVAL;
	}
	for (segment = run->segment; segment < code->segments; segment++) {
		if (segment > run->segment && !(code->flags & INFINI_NULL_F_DEAF) &&
		    run->should_yield(run)) {
			run->segment = segment;
			return INFINI_BACKEND_PREEMPTED;
		}
		if (!segment && (code->flags & INFINI_NULL_F_CRASH)) {
			backend->log(LOG_CRIT, "null program: aborts, as it says");
			abort();
		}
		if (ns)
			be_busy(ns, code->flags & INFINI_NULL_F_SPIN);
		if (counter)
			(*counter)++;
	}
	run->value = code->segments;
	run->tokens_evaluated = code->tokens_evaluated;
	run->tokens_generated = code->tokens_generated;
	run->prompts = code->prompts;
	run->tokens_scored = code->tokens_scored;
	run->tokens_embedded = code->tokens_embedded;
	return 0;
}

static int null_ask(struct infini_backend *backend, struct infini_backend_run *run)
{
	const uint8_t *args = run->args;
	struct infini_backend_buffer *answer;

	(void)backend;
	if (run->args_bytes > NULL_ASK_BYTES_MAX)
		return -EINVAL;
	if (run->nr_bindings) {
		answer = run->bindings[0].buffer;
		if (!(run->bindings[0].access & INFINI_ACCESS_WRITE) ||
		    answer->bytes < run->args_bytes)
			return -EINVAL;
		memcpy(bytes_of(answer), args, run->args_bytes);
	}
	run->value = 0;
	for (uint32_t i = 0; i < run->args_bytes; i++)
		run->value += args[i];
	return 0;
}

__attribute__((visibility("default")))
const struct infini_backend_ops infini_backend_ops = {
	.abi = INFINI_BACKEND_ABI,
	.name = "null",
	.format = INFINI_FORMAT_NULL,
	.probe = null_probe,
	.open = null_open,
	.close = null_close,
	.buffer_add = null_buffer_add,
	.buffer_remove = null_buffer_remove,
	.program_load = null_program_load,
	.program_free = null_program_free,
	.program_run = null_program_run,
	.ask = null_ask,
	.write = null_write,
	.read = null_read,
	.copy = null_copy,
	.fill = null_fill,
	.held_bytes = null_held_bytes,
};
