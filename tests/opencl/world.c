// SPDX-License-Identifier: GPL-2.0-or-later
/* The OpenCL backend as a worker has it: one device, buffers, programs, jobs. */
#include "world.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct world world;
char said[1024];

static void keep_words(int priority, const char *message)
{
	(void)priority;
	snprintf(said, sizeof(said), "%s", message);
}

static int take_first(const struct infini_backend_device *device, void *arg)
{
	(void)arg;
	world.device = *device;
	return 1;
}

static int open_device(uint32_t segment_us)
{
	const struct infini_backend_open open = {
		.device = world.device.name,
		.pci = "",
		.threads_max = 2,
		.segment_us = segment_us,
		.scratch = world.scratch,
		.log = keep_words,
	};

	return world.ops->open(&open, &world.backend);
}

int world_start(void **state)
{
	const char *path = getenv("INFINI_TEST_BACKEND");
	void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;

	(void)state;
	if (!library) {
		fprintf(stderr, "# %s\n", path ? dlerror() : "INFINI_TEST_BACKEND is not set");
		return -1;
	}
	world.ops = dlsym(library, INFINI_BACKEND_SYMBOL);
	strcpy(world.scratch, "/tmp/infini-opencl-XXXXXX");
	if (!world.ops || !mkdtemp(world.scratch))
		return -1;
	world.ops->probe(take_first, NULL, keep_words);
	if (!world.device.name[0]) {
		fprintf(stderr, "# no OpenCL device: %s\n", said);
		return -1;
	}
	return open_device(400);
}

int world_stop(void **state)
{
	char command[128];

	(void)state;
	world.ops->close(world.backend);
	snprintf(command, sizeof(command), "rm -rf %s", world.scratch);
	return system(command);
}

void world_reopen(uint32_t segment_us)
{
	world.ops->close(world.backend);
	assert_int_equal(open_device(segment_us), 0);
}

/* ---- buffers ----------------------------------------------------------------------- */

void buffer_make(struct buffer *buffer, enum place place, uint64_t bytes)
{
	memset(buffer, 0, sizeof(*buffer));
	buffer->buffer.type = place == PLACE_SHARED ? INFINI_BUFFER_SHARED : INFINI_BUFFER_DEVICE;
	buffer->buffer.kind = place == PLACE_OWN ? world.device.nr_kinds - 1 : 0;
	buffer->buffer.bytes = bytes;
	if (place == PLACE_SHARED || (place == PLACE_UNIFIED &&
	    world.device.kinds[0].flags & INFINI_MEMORY_F_UNIFIED)) {
		buffer->pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		assert_ptr_not_equal(buffer->pages, MAP_FAILED);
		buffer->buffer.addr = buffer->pages;
	}
	assert_int_equal(world.ops->buffer_add(world.backend, &buffer->buffer), 0);
}

void buffer_drop(struct buffer *buffer)
{
	world.ops->buffer_remove(world.backend, &buffer->buffer);
	if (buffer->pages)
		munmap(buffer->pages, buffer->buffer.bytes);
}

void buffer_put(struct buffer *buffer, const void *data, uint64_t bytes)
{
	assert_int_equal(world.ops->write(world.backend, &buffer->buffer, 0, data, bytes), 0);
}

void buffer_get(struct buffer *buffer, void *data, uint64_t bytes)
{
	assert_int_equal(world.ops->read(world.backend, &buffer->buffer, 0, data, bytes), 0);
}

/* ---- programs and jobs ------------------------------------------------------------- */

static uint8_t *uploaded;
static size_t uploaded_bytes;

/* What libinfini's kernel.c calls to upload. */
int infini_program_create(int fd, uint32_t format, const void *data, size_t bytes,
			  uint32_t *handle)
{
	(void)fd;
	(void)handle;
	assert_int_equal(format, INFINI_FORMAT_OPENCL_C);
	uploaded = malloc(bytes);
	assert_non_null(uploaded);
	memcpy(uploaded, data, bytes);
	uploaded_bytes = bytes;
	return 0;
}

uint8_t *program_bytes(const struct infini_kernel *kernel, size_t *bytes)
{
	uint32_t handle;

	assert_int_equal(infini_kernel_create(-1, kernel, &handle), 0);
	*bytes = uploaded_bytes;
	return uploaded;
}

/* A program's bytes stay as long as it: here, until the test ends. */
static int load(const struct infini_kernel *kernel, struct infini_backend_program **program)
{
	size_t bytes;
	uint8_t *data = program_bytes(kernel, &bytes);
	int ret;

	said[0] = '\0';
	ret = world.ops->program_load(world.backend, data, bytes, program);
	if (ret)
		free(data);
	return ret;
}

struct infini_backend_program *program_load(const struct infini_kernel *kernel)
{
	struct infini_backend_program *program;

	if (load(kernel, &program))
		fail_msg("kernel %s: %s", kernel->name, said);
	return program;
}

int program_try(const struct infini_kernel *kernel)
{
	struct infini_backend_program *program;
	int ret = load(kernel, &program);

	if (!ret)
		world.ops->program_free(world.backend, program);
	return ret;
}

static bool never(const struct infini_backend_run *run)
{
	(void)run;
	return false;
}

static bool always(const struct infini_backend_run *run)
{
	(void)run;
	return true;
}

int job_run(struct infini_backend_program *program, const struct infini_kernel *kernel,
	    const struct infini_kernel_run *range, const void *const *scalars,
	    struct buffer *buffers, uint32_t nr_buffers, enum yielding yielding,
	    unsigned int *dispatches)
{
	struct infini_backend_binding bindings[BUFFERS_MAX];
	struct infini_backend_run run = {
		.bindings = bindings,
		.nr_bindings = nr_buffers,
		.args_bytes = (uint32_t)infini_kernel_args_bytes(kernel),
		.should_yield = yielding == ALWAYS ? always : never,
	};
	void *args = malloc(run.args_bytes);
	uint64_t before;
	int ret;

	assert_non_null(args);
	infini_kernel_args(kernel, range, scalars, args);
	run.args = args;
	for (uint32_t i = 0; i < nr_buffers; i++)
		bindings[i] = (struct infini_backend_binding){
			&buffers[i].buffer, INFINI_ACCESS_READ | INFINI_ACCESS_WRITE };
	if (dispatches)
		*dispatches = 0;
	do {
		before = run.segment;
		ret = world.ops->program_run(world.backend, program, &run);
		if (dispatches)
			++*dispatches;
	} while (ret == INFINI_BACKEND_PREEMPTED && run.segment > before);
	free(args);
	return ret;
}
