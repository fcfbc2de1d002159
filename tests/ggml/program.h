/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Programs for tests, made from ggml contexts, and memory to run them in.
 */
#ifndef INFINI_TESTS_GGML_PROGRAM_H
#define INFINI_TESTS_GGML_PROGRAM_H

#include <ggml.h>
#include <infini/ggml.h>

#include "../../daemon/backend.h"

extern const struct infini_backend_ops infini_backend_ops;

/* Memory whose last byte is followed by a page that nobody may touch. */
struct arena {
	unsigned char *base;
	size_t bytes;
	void *map;
	size_t map_bytes;
};

int arena_make(struct arena *arena, size_t bytes);
void arena_free(struct arena *arena);

struct program {
	unsigned char *data;
	size_t bytes;
	size_t arena_bytes;		/* what binding 0 must hold */
};

/* In program.data */
struct infini_ggml_program *program_head(const struct program *program);
struct infini_ggml_tensor *program_tensor(const struct program *program, uint32_t index);
uint32_t *program_nodes(const struct program *program);

/* All tensors of @ctx in order, in one binding; those with an operation are nodes. */
void program_make(struct program *program, struct ggml_context *ctx);
void program_free(struct program *program);
/* Where @t of @ctx lies in binding 0 of the program. */
size_t program_offset(const struct program *program, struct ggml_context *ctx,
		      const struct ggml_tensor *t);

struct ggml_context *context_make(void);

/* What a run of a loaded program in @arena says. */
int program_run(struct infini_backend *backend, struct infini_backend_program *loaded,
		struct arena *arena);

/* What a run of @program in @arena says, or its loading. */
int program_try(struct infini_backend *backend, const struct program *program,
		struct arena *arena);

/* One length becomes another in all tensors at once: a sound program of another size, often. */
void program_resize(struct program *program, uint64_t *seed);
/* Up to three fields, shapes or strides become something else. */
void program_change(const struct program *program, uint64_t *seed);

/* A number that depends on @seed alone; advances it. */
uint32_t next_random(uint64_t *seed);

/* Leaves: floats in -1..1, integers 0 or 1, quantised data any bytes. */
void fill_leaves(const struct program *program, unsigned char *base, uint64_t seed);

/* Small graphs, one operation each as a rule; NULL behind the last. */
struct ggml_tensor *case_build(struct ggml_context *ctx, unsigned int i, const char **name);

/* ---- the backend under test ---- */

struct infini_backend *backend_open(const char *device, uint32_t threads);
/* The same with segments of about @segment_us. */
struct infini_backend *backend_open_cut(const char *device, uint32_t threads, uint32_t segment_us);
/* What the backend said last. */
extern char last_message[256];

#define CHECK(cond) check_that(cond, #cond, __FILE__, __LINE__)
void check_that(bool holds, const char *what, const char *file, int line);
/* Ends a row of a table: prints "ok" or "not ok" with the name. */
void row_done(const char *name);
/* TAP's last line; the exit status. */
int tests_done(void);

#endif /* INFINI_TESTS_GGML_PROGRAM_H */
