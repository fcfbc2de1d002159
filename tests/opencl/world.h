/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The OpenCL backend as a worker has it: one device, buffers, programs, jobs. */
#ifndef INFINI_TESTS_OPENCL_WORLD_H
#define INFINI_TESTS_OPENCL_WORLD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <infini-kernel.h>

#include "backend.h"

#define BUFFERS_MAX	4

/* What a buffer may be made of. */
enum place { PLACE_SHARED, PLACE_UNIFIED, PLACE_OWN, PLACES };

struct world {
	const struct infini_backend_ops *ops;
	struct infini_backend_device device;
	struct infini_backend *backend;
	char scratch[64];
};

/* The last thing that the backend said. */
extern char said[1024];

/* cmocka's group setup and teardown: the first device there is. */
int world_start(void **state);
int world_stop(void **state);
extern struct world world;

/* Open the device anew, with segments of @segment_us. */
void world_reopen(uint32_t segment_us);

/* ---- buffers: zeroed, or the test fails ---- */

struct buffer {
	struct infini_backend_buffer buffer;
	uint8_t *pages;			/* where the worker brings them */
};

void buffer_make(struct buffer *buffer, enum place place, uint64_t bytes);
void buffer_drop(struct buffer *buffer);
void buffer_put(struct buffer *buffer, const void *data, uint64_t bytes);
void buffer_get(struct buffer *buffer, void *data, uint64_t bytes);

/* ---- programs and jobs ---- */

/* The bytes of @kernel as libinfini uploads them. The caller frees. */
uint8_t *program_bytes(const struct infini_kernel *kernel, size_t *bytes);

/* Load it, or the test fails with what the backend said. */
struct infini_backend_program *program_load(const struct infini_kernel *kernel);
/* What program_load() of the backend says of the same. */
int program_try(const struct infini_kernel *kernel);

enum yielding { NEVER, ALWAYS };

/*
 * Run it on @buffers with every right, again and again until it is done. Returns what the last run
 * said; @dispatches counts them and may be NULL.
 */
int job_run(struct infini_backend_program *program, const struct infini_kernel *kernel,
	    const struct infini_kernel_run *range, const void *const *scalars,
	    struct buffer *buffers, uint32_t nr_buffers, enum yielding yielding,
	    unsigned int *dispatches);

#endif /* INFINI_TESTS_OPENCL_WORLD_H */
