// SPDX-License-Identifier: GPL-2.0-or-later
/* An opened device as a worker has it, buffers of every kind it offers, and runs of programs. */
#include "world.h"

#include "../../daemon/backend_load.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE		4096ULL

char said[256];
char *skip_reason;
const char *scratch_dir;
const struct infini_backend_remote *remote;

void said_nothing(void)
{
	said[0] = '\0';
}

static void remember(int priority, const char *message)
{
	(void)priority;
	snprintf(said, sizeof(said), "%s", message);
}

static void say(const char *format, va_list args)
{
	char line[512];
	char *at, *rest = NULL;

	vsnprintf(line, sizeof(line), format, args);
	for (at = strtok_r(line, "\n", &rest); at; at = strtok_r(NULL, "\n", &rest))
		printf("# %s\n", at);
	fflush(stdout);
}

void remark(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say(format, args);
	va_end(args);
}

void fail_at(const char *file, int line, const char *what, const char *format, ...)
{
	va_list args;

	remark("%s:%d: %s does not hold", file, line, what);
	va_start(args, format);
	say(format, args);
	va_end(args);
	remark("the backend said: %s", said[0] ? said : "nothing");
	_exit(1);
}

void skip(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(skip_reason, SKIP_BYTES, format, args);
	va_end(args);
	fflush(stdout);
	_exit(77);
}

size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

size_t allocated_bytes(void)
{
	return __sanitizer_get_current_allocated_bytes ?
	       __sanitizer_get_current_allocated_bytes() : 0;
}

uint32_t next_random(uint64_t *seed)
{
	/* Knuth's MMIX constants; the upper half is the better one. */
	*seed = *seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (uint32_t)(*seed >> 33);
}

/* ---- a device ---- */

static void memories_of(struct world *world)
{
	const struct infini_backend_device *device = &world->device;
	struct memory *memory = world->memories;

	for (uint32_t i = 0; i < device->nr_kinds; i++, memory++)
		*memory = (struct memory){
			.name = (const char *)device->kinds[i].name,
			.type = INFINI_BUFFER_DEVICE,
			.kind = i,
			.max_bytes = device->kinds[i].max_bytes,
			.is_mapped = device->kinds[i].flags & INFINI_MEMORY_F_UNIFIED,
			.is_weights = device->kinds[i].flags & INFINI_MEMORY_F_WEIGHTS,
		};
	*memory = (struct memory){
		.name = "shared pages", .type = INFINI_BUFFER_SHARED, .is_mapped = true,
	};
	world->nr_memories = device->nr_kinds + 1;
}

void world_load(struct world *world, const char *dir)
{
	char why[512];
	int ret = infini_backend_load(dir, backend_kit.name, &world->ops, why, sizeof(why));

	CHECK(!ret, "%s", why);
	memories_of(world);
}

int world_probe(const struct world *world, infini_backend_found_fn found, void *arg,
		infini_backend_log_fn log)
{
	if (!remote)
		return world->ops->probe(found, arg, log);
	CHECK(world->ops->probe_remote, "the backend has no devices of other machines");
	return world->ops->probe_remote(remote, found, arg, log);
}

void world_open(struct world *world)
{
	const struct infini_backend_open open = {
		.device = world->device.name,
		.pci = world->device.pci,
		.library = world->device.library,
		.threads_max = 1,
		.segment_us = 1,
		.remote = remote,
		.scratch = world->device.needs & INFINI_BACKEND_NEEDS_COMPILER ? scratch_dir : NULL,
		.log = remember,
	};
	int ret;

	said_nothing();
	ret = world->ops->open(&open, &world->backend);
	CHECK(!ret, "open %s: %s", world->device.name, strerror(-ret));
	world->held_bytes = world->ops->held_bytes(world->backend);
}

void world_close(struct world *world)
{
	world->ops->close(world->backend);
	world->backend = NULL;
}

int finished(struct world *world, int ret)
{
	int late = world->ops->finish ? world->ops->finish(world->backend) : 0;

	CHECK(ret != INFINI_BACKEND_LOST && late <= 0, "the device is lost");
	return ret < 0 ? ret : late ? late : ret;
}

void world_is_as_before(struct world *world)
{
	uint64_t held = world->ops->held_bytes(world->backend);

	CHECK(held >= world->held_bytes && held <= world->held_bytes + backend_kit.scratch_bytes,
	      "%llu bytes are held, %llu were after opening", (unsigned long long)held,
	      (unsigned long long)world->held_bytes);
}

/* ---- buffers ---- */

static uint64_t pages(uint64_t bytes)
{
	return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* The module rounds up to pages what a client wants. */
int buffer_make(struct world *world, const struct memory *memory, uint64_t bytes,
		struct infini_backend_buffer *buffer)
{
	static uint64_t last_id;
	uint8_t *map = NULL;
	int ret;

	*buffer = (struct infini_backend_buffer){
		.id = ++last_id, .type = memory->type, .kind = memory->kind, .bytes = pages(bytes),
	};
	if (memory->is_mapped) {
		map = mmap(NULL, pages(bytes) + PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		CHECK(map != MAP_FAILED, "no memory for a buffer of %llu bytes",
		      (unsigned long long)bytes);
		mprotect(map + pages(bytes), PAGE, PROT_NONE);
		buffer->addr = map;
	}
	ret = world->ops->buffer_add(world->backend, buffer);
	CHECK(ret <= 0, "buffer_add() returned %d", ret);
	if (ret && map)
		munmap(map, pages(bytes) + PAGE);
	return ret;
}

void buffer_drop(struct world *world, struct infini_backend_buffer *buffer)
{
	world->ops->buffer_remove(world->backend, buffer);
	if (buffer->addr)
		munmap(buffer->addr, pages(buffer->bytes) + PAGE);
}

void buffer_put(struct world *world, struct infini_backend_buffer *buffer, uint64_t offset,
		const void *data, uint64_t bytes)
{
	int ret = finished(world, 0);

	if (!ret && buffer->type == INFINI_BUFFER_SHARED)
		memcpy((uint8_t *)buffer->addr + offset, data, bytes);
	else if (!ret)
		ret = finished(world, world->ops->write(world->backend, buffer, offset, data,
							bytes));
	CHECK(!ret, "write of %llu bytes at %llu: %s", (unsigned long long)bytes,
	      (unsigned long long)offset, strerror(-ret));
}

void buffer_get(struct world *world, struct infini_backend_buffer *buffer, uint64_t offset,
		void *data, uint64_t bytes)
{
	int ret = finished(world, 0);

	if (!ret && buffer->type == INFINI_BUFFER_SHARED)
		memcpy(data, (uint8_t *)buffer->addr + offset, bytes);
	else if (!ret)
		ret = world->ops->read(world->backend, buffer, offset, data, bytes);
	CHECK(!ret, "read of %llu bytes at %llu: %s", (unsigned long long)bytes,
	      (unsigned long long)offset, strerror(-ret));
}

/* ---- programs ---- */

uint8_t *program_bytes(const struct kit_program *from, size_t *bytes)
{
	uint8_t *room = calloc(1, KIT_PROGRAM_BYTES), *data;

	*bytes = from->make(room);
	CHECK(*bytes && *bytes <= KIT_PROGRAM_BYTES, "\"%s\" has %zu bytes", from->name, *bytes);
	data = malloc(*bytes);
	memcpy(data, room, *bytes);
	free(room);
	return data;
}

void job_make_of(struct world *world, struct job *job, const struct kit_program *from,
		 struct infini_backend_program *program, const struct memory *memory)
{
	*job = (struct job){ .from = from, .program = program, .nr_bindings = from->nr_bindings };
	for (uint32_t i = 0; i < job->nr_bindings; i++) {
		uint64_t bytes = from->bindings[i].bytes;
		int ret = buffer_make(world, memory, bytes, &job->buffers[i]);

		CHECK(!ret, "\"%s\", a buffer of %llu bytes in %s: %s", from->name,
		      (unsigned long long)bytes, memory->name, strerror(-ret));
		job->bindings[i].buffer = &job->buffers[i];
		job->bindings[i].access = from->bindings[i].access;
		job->before[i] = calloc(1, pages(bytes));
		job->after[i] = calloc(1, pages(bytes));
		if (from->fill)
			from->fill(i, job->before[i]);
	}
	job_reset(world, job);
}

void job_make(struct world *world, struct job *job, const struct kit_program *from,
	      const struct memory *memory)
{
	struct infini_backend_program *program;
	size_t bytes;
	uint8_t *data = program_bytes(from, &bytes);
	int ret;

	said_nothing();
	ret = world->ops->program_load(world->backend, data, bytes, &program);
	CHECK(!ret, "\"%s\" is refused: %s", from->name, strerror(-ret));
	job_make_of(world, job, from, program, memory);
	job->data = data;
}

void job_reset(struct world *world, struct job *job)
{
	for (uint32_t i = 0; i < job->nr_bindings; i++)
		buffer_put(world, &job->buffers[i], 0, job->before[i], job->buffers[i].bytes);
	job->run = (struct infini_backend_run){
		.bindings = job->bindings,
		.nr_bindings = job->nr_bindings,
		.args = job->from->args,
		.args_bytes = job->from->args_bytes,
	};
	job->preemptions = 0;
}

struct asked {
	enum yield yield;
	uint32_t skip;
};

static bool should_yield(const struct infini_backend_run *run)
{
	struct asked *asked = (struct asked *)run->yield_ctx;

	if (asked->yield == YIELD_ONCE && asked->skip) {
		asked->skip--;
		return false;
	}
	return asked->yield != YIELD_NEVER;
}

int job_begin(struct world *world, struct job *job, enum yield yield, uint32_t skip)
{
	struct asked asked = { yield, skip };
	uint64_t segment = job->run.segment;
	int ret;

	job->run.should_yield = should_yield;
	job->run.yield_ctx = &asked;
	said_nothing();
	ret = world->ops->program_run(world->backend, job->program, &job->run);
	CHECK(ret > -4096 && ret <= INFINI_BACKEND_PREEMPTED, "\"%s\" returned %d",
	      job->from->name, ret);
	if (ret == INFINI_BACKEND_PREEMPTED) {
		job->preemptions++;
		CHECK(yield != YIELD_NEVER, "\"%s\" stopped, and nobody asked", job->from->name);
		/* Without it a busy device would run the same segment for ever. */
		CHECK(job->run.segment > segment, "\"%s\" went from segment %llu to %llu",
		      job->from->name, (unsigned long long)segment,
		      (unsigned long long)job->run.segment);
	}
	return ret;
}

int job_dispatch(struct world *world, struct job *job, enum yield yield, uint32_t skip)
{
	return finished(world, job_begin(world, job, yield, skip));
}

int job_run(struct world *world, struct job *job, enum yield yield)
{
	int ret;

	do
		ret = job_dispatch(world, job, yield, 0);
	while (ret == INFINI_BACKEND_PREEMPTED);
	return ret;
}

static void job_read(struct world *world, struct job *job)
{
	for (uint32_t i = 0; i < job->nr_bindings; i++)
		buffer_get(world, &job->buffers[i], 0, job->after[i], job->buffers[i].bytes);
}

void job_is_right(struct world *world, struct job *job)
{
	const struct kit_program *from = job->from;
	const char *wrong;

	job_read(world, job);
	for (uint32_t i = 0; i < job->nr_bindings; i++) {
		bool writes = job->bindings[i].access & INFINI_ACCESS_WRITE;
		uint64_t end = writes ? from->bindings[i].bytes : 0;

		CHECK(!memcmp(job->before[i] + end, job->after[i] + end,
			      job->buffers[i].bytes - end),
		      "\"%s\" wrote to binding %u%s", from->name, i,
		      writes ? " behind its end" : "");
	}
	wrong = from->wrong ? from->wrong(job->before, job->after) : NULL;
	CHECK(!wrong, "\"%s\": %s", from->name, wrong);
	CHECK(job->run.value == from->value, "\"%s\": value %llu, not %llu", from->name,
	      (unsigned long long)job->run.value, (unsigned long long)from->value);
}

void job_is_untouched(struct world *world, struct job *job)
{
	job_read(world, job);
	for (uint32_t i = 0; i < job->nr_bindings; i++)
		CHECK(!memcmp(job->before[i], job->after[i], job->buffers[i].bytes),
		      "\"%s\" was refused and wrote to binding %u", job->from->name, i);
}

void jobs_agree(struct world *world, struct job *job, struct job *other)
{
	const struct infini_backend_run *a = &job->run, *b = &other->run;

	job_read(world, job);
	job_read(world, other);
	for (uint32_t i = 0; i < job->nr_bindings; i++)
		CHECK(!memcmp(job->after[i], other->after[i], job->buffers[i].bytes),
		      "\"%s\": binding %u has other bits after %u preemptions", job->from->name,
		      i, other->preemptions);
	CHECK(a->value == b->value && a->tokens_evaluated == b->tokens_evaluated &&
	      a->tokens_generated == b->tokens_generated && a->prompts == b->prompts &&
	      a->tokens_scored == b->tokens_scored && a->tokens_embedded == b->tokens_embedded,
	      "\"%s\": other numbers after %u preemptions", job->from->name, other->preemptions);
}

void job_drop_buffers(struct world *world, struct job *job)
{
	for (uint32_t i = 0; i < job->from->nr_bindings; i++) {
		buffer_drop(world, &job->buffers[i]);
		free(job->before[i]);
		free(job->after[i]);
	}
}

static void program_drop(struct world *world, struct infini_backend_program *program)
{
	if (world->ops->program_free)
		world->ops->program_free(world->backend, program);
}

void job_drop(struct world *world, struct job *job)
{
	job_drop_buffers(world, job);
	if (!job->data)
		return;
	program_drop(world, job->program);
	free(job->data);
}

const struct kit_program *cuttable(const struct world *world)
{
	const struct kit_program *best = &backend_kit.programs[0];

	if (world->device.level < INFINI_LEVEL_SEGMENT)
		skip("the device yields between jobs, no sooner");
	for (uint32_t i = 1; i < backend_kit.nr_programs; i++)
		if (backend_kit.programs[i].segments_min > best->segments_min)
			best = &backend_kit.programs[i];
	CHECK(best->segments_min >= 10, "the kit has no program of ten segments");
	return best;
}
