// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The example backend with one thing broken, which BROKEN names: the suite has to notice each.
 * What is broken and which case notices stands in check-suite.
 */
#include "../../daemon/backend.h"
#include "../../daemon/backends/example.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the example exports, by another name. */
extern const struct infini_backend_ops sound_ops;

static bool broken(const char *what)
{
	const char *name = getenv("BROKEN");

	return name && !strcmp(name, what);
}

/* ---- the device -------------------------------------------------------------------- */

static struct {
	infini_backend_found_fn found;
	void *arg;
} asker;

static int rename_found(const struct infini_backend_device *device, void *arg)
{
	static unsigned int times;
	struct infini_backend_device other = *device;

	(void)arg;
	if (broken("name") && times++)
		strcpy(other.name, "example1");
	if (broken("alignment"))
		other.kinds[0].alignment = 3;
	if (broken("probe-goes-on"))
		asker.found(&other, asker.arg);
	return asker.found(&other, asker.arg);
}

static int broken_probe(infini_backend_found_fn found, void *arg, infini_backend_log_fn log)
{
	asker.found = found;
	asker.arg = arg;
	return sound_ops.probe(rename_found, NULL, log);
}

static int broken_open(const struct infini_backend_open *open, struct infini_backend **backend)
{
	struct infini_backend_open any = *open;

	if (broken("open"))
		any.device = "example0";
	return sound_ops.open(&any, backend);
}

static uint64_t broken_held_bytes(struct infini_backend *backend)
{
	static uint64_t asked;

	(void)backend;
	return broken("held") ? asked++ : 0;
}

/* ---- memory ------------------------------------------------------------------------ */

static uint8_t *at(const struct infini_backend_buffer *buffer, uint64_t offset)
{
	return (uint8_t *)buffer->addr + offset;
}

static int broken_buffer_add(struct infini_backend *backend, struct infini_backend_buffer *buffer)
{
	if (broken("dirty") && buffer->addr)
		at(buffer, 0)[buffer->bytes - 1] = 1;
	return broken("kind") ? 0 : sound_ops.buffer_add(backend, buffer);
}

static int broken_write(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			uint64_t offset, const void *data, uint64_t bytes)
{
	return sound_ops.write(backend, buffer, offset, data,
			       broken("write") ? bytes & ~3ULL : bytes);
}

static int broken_fill(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		       uint64_t offset, uint8_t value, uint64_t bytes)
{
	return sound_ops.fill(backend, buffer, offset, value, broken("fill") ? bytes & ~3ULL : bytes);
}

static int broken_copy(struct infini_backend *backend, struct infini_backend_buffer *dst,
		       uint64_t dst_offset, struct infini_backend_buffer *src, uint64_t src_offset,
		       uint64_t bytes)
{
	if (!broken("copy"))
		return sound_ops.copy(backend, dst, dst_offset, src, src_offset, bytes);
	for (uint64_t i = 0; i < bytes; i++)
		*at(dst, dst_offset + i) = *at(src, src_offset + i);
	return 0;
}

/* ---- programs ---------------------------------------------------------------------- */

static int broken_load(struct infini_backend *backend, const void *data, size_t bytes,
		       struct infini_backend_program **program)
{
	struct example_program padded = { 0 };

	if (broken("size"))
		bytes = sizeof(struct example_program);
	if (broken("prefix") && bytes < sizeof(padded) && bytes > 16) {
		memcpy(&padded, data, bytes);
		return sound_ops.program_load(backend, &padded, sizeof(padded), program);
	}
	if (broken("mute"))
		return bytes == sizeof(padded) && !memcmp(data, "EMPL", 4) ?
		       sound_ops.program_load(backend, data, bytes, program) : -EINVAL;
	return sound_ops.program_load(backend, data, bytes, program);
}

static void broken_free(struct infini_backend *backend, struct infini_backend_program *program)
{
	if (!broken("leak"))
		sound_ops.program_free(backend, program);
}

static bool never(const struct infini_backend_run *run)
{
	(void)run;
	return false;
}

/* Where the last run of whatever program stopped: state that belongs to the run. */
static uint64_t stopped_at;

static int broken_run(struct infini_backend *backend, struct infini_backend_program *program,
		      struct infini_backend_run *run)
{
	struct infini_backend_binding bindings[2];
	struct infini_backend_run changed = *run;
	int ret;

	for (uint32_t i = 0; broken("rights") && i < run->nr_bindings && i < 2; i++) {
		bindings[i] = run->bindings[i];
		bindings[i].access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE;
		changed.bindings = bindings;
	}
	if (broken("arguments"))
		changed.args_bytes = 0;
	if (broken("deaf"))
		changed.should_yield = never;
	if (broken("skips") && changed.segment)
		changed.segment++;
	if (broken("global") && changed.segment)
		changed.segment = stopped_at;
	ret = sound_ops.program_run(backend, program, &changed);
	if (ret == INFINI_BACKEND_PREEMPTED && !broken("stays"))
		run->segment = stopped_at = changed.segment;
	run->value = broken("value") && changed.segment ? 0 : changed.value;
	if (!ret && broken("overrun"))
		at(run->bindings[1].buffer, changed.value)[0] ^= 1;
	return ret;
}

__attribute__((visibility("default")))
struct infini_backend_ops infini_backend_ops;

__attribute__((constructor)) static void copy_ops(void)
{
	infini_backend_ops = sound_ops;
	infini_backend_ops.probe = broken_probe;
	infini_backend_ops.open = broken_open;
	infini_backend_ops.buffer_add = broken_buffer_add;
	infini_backend_ops.program_load = broken_load;
	infini_backend_ops.program_free = broken_free;
	infini_backend_ops.program_run = broken_run;
	infini_backend_ops.write = broken_write;
	infini_backend_ops.copy = broken_copy;
	infini_backend_ops.fill = broken_fill;
	infini_backend_ops.held_bytes = broken_held_bytes;
}
