/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An opened device as a worker has it, buffers of every kind it offers, and runs of programs. */
#ifndef INFINI_TESTS_BACKENDS_WORLD_H
#define INFINI_TESTS_BACKENDS_WORLD_H

#include "../../daemon/backend.h"
#include "kit.h"

#define MEMORIES_MAX	(INFINI_MEMORY_KINDS_MAX + 1)

/* What a buffer may be made of: SHARED pages, or a memory kind of the device. */
struct memory {
	const char *name;
	uint32_t type;				/* enum infini_buffer_type */
	uint32_t kind;
	uint64_t max_bytes;
	bool is_mapped;				/* the worker brings the pages */
	bool is_weights;
};

struct world {
	const struct infini_backend_ops *ops;
	struct infini_backend_device device;
	struct infini_backend *backend;
	struct memory memories[MEMORIES_MAX];	/* the last one is SHARED */
	uint32_t nr_memories;
	uint64_t held_bytes;			/* after opening */
};

/* A case runs in a process of its own: the first thing that does not hold ends it. */
#define CHECK(cond, ...) \
	do { \
		if (!(cond)) \
			fail_at(__FILE__, __LINE__, #cond, __VA_ARGS__); \
	} while (0)
_Noreturn void fail_at(const char *file, int line, const char *what, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Why a case was not run goes to @skip_reason, which outlives the process. */
#define SKIP_BYTES 200
extern char *skip_reason;
_Noreturn void skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Remark on a row, printed in front of it. */
void remark(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* For compilers, as open() is told of it; set before the first case. */
extern const char *scratch_dir;
/* What the backend said last; "" when it said nothing since said_nothing(). */
extern char said[256];
void said_nothing(void);

/* The machine whose devices are tested; NULL: this one's. */
extern const struct infini_backend_remote *remote;

/* 0 or -errno, as for infinid; the library stays loaded. */
void world_load(struct world *world, const char *dir);
/* The devices of this machine, or of the other one. */
int world_probe(const struct world *world, infini_backend_found_fn found, void *arg,
		infini_backend_log_fn log);
void world_open(struct world *world);
void world_close(struct world *world);
/* What an operation of the backend came to when it has ended, as a job that has no other. */
int finished(struct world *world, int ret);
/* Everything is given back but what the backend had when it was opened. */
void world_is_as_before(struct world *world);

/* Bytes that this process has from malloc(), or 0 without the address sanitizer. */
size_t allocated_bytes(void);

/* A number that depends on @seed alone; advances it. */
uint32_t next_random(uint64_t *seed);

/* ---- buffers ---- */

/* Whole pages; where they are mapped, with one behind them that nobody may touch. 0 or -errno. */
int buffer_make(struct world *world, const struct memory *memory, uint64_t bytes,
		struct infini_backend_buffer *buffer);
void buffer_drop(struct world *world, struct infini_backend_buffer *buffer);
/* As a client and the worker do: SHARED pages directly, others through the backend. */
void buffer_put(struct world *world, struct infini_backend_buffer *buffer, uint64_t offset,
		const void *data, uint64_t bytes);
void buffer_get(struct world *world, struct infini_backend_buffer *buffer, uint64_t offset,
		void *data, uint64_t bytes);

/* ---- programs ---- */

/* The program of @from in memory of its exact size. */
uint8_t *program_bytes(const struct kit_program *from, size_t *bytes);

enum yield { YIELD_NEVER, YIELD_ALWAYS, YIELD_ONCE };

struct job {
	const struct kit_program *from;
	uint8_t *data;
	struct infini_backend_program *program;
	struct infini_backend_buffer buffers[KIT_BINDINGS_MAX];
	struct infini_backend_binding bindings[KIT_BINDINGS_MAX];
	uint32_t nr_bindings;
	uint8_t *before[KIT_BINDINGS_MAX], *after[KIT_BINDINGS_MAX];
	struct infini_backend_run run;
	uint32_t preemptions;
};

/* Loads the program; buffers of @memory with what the kit puts into them. */
void job_make(struct world *world, struct job *job, const struct kit_program *from,
	      const struct memory *memory);
/* The same with a program that is loaded already. */
void job_make_of(struct world *world, struct job *job, const struct kit_program *from,
		 struct infini_backend_program *program, const struct memory *memory);
/* What the kit puts into them, again. */
void job_reset(struct world *world, struct job *job);
/* What the backend returned, before anything was waited for. */
int job_begin(struct world *world, struct job *job, enum yield yield, uint32_t skip);
/* One dispatch, from where it stopped. YIELD_ONCE: asked after @skip boundaries. */
int job_dispatch(struct world *world, struct job *job, enum yield yield, uint32_t skip);
/* Until it has ended. */
int job_run(struct world *world, struct job *job, enum yield yield);
/* Its results are what the kit expects, and not a byte beside them was written. */
void job_is_right(struct world *world, struct job *job);
/* Nothing at all was written. */
void job_is_untouched(struct world *world, struct job *job);
/* @other has the same bits and the same words. */
void jobs_agree(struct world *world, struct job *job, struct job *other);
void job_drop(struct world *world, struct job *job);
void job_drop_buffers(struct world *world, struct job *job);

/* The program of the kit with the most segments; skips the case when the level has none. */
const struct kit_program *cuttable(const struct world *world);

/* ---- cases ---- */

struct row {
	const char *name;
	void (*run)(struct world *world);
};

extern const struct row device_rows[], memory_rows[], program_rows[], yield_rows[], remote_rows[];

#endif /* INFINI_TESTS_BACKENDS_WORLD_H */
