/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The inside of the ggml frontend. A process has one link to its vdev; areas are the memory of
 * ggml buffers, streams are ggml backends, graphs are programs kept by the kernel.
 *
 * Everything behind struct infini_link is guarded by its lock: functions named *_locked want it
 * held, the others take it. All jobs go through one queue, so that what was handed in first
 * happens first, whichever thread it came from.
 */
#ifndef INFINI_GGML_FRONTEND_H
#define INFINI_GGML_FRONTEND_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <infini.h>
#include <infini/ggml.h>

#include "abi.h"

/*
 * Results are read from the timeline, which remembers INFINI_TIMELINE_RECORDS jobs. Between two
 * looks at it at most one depth of old jobs and one of new ones can end, so a depth is at most half
 * of that. It is less, because each job of the depth keeps room for inline bytes, which is charged.
 */
#define INFINI_LINK_DEPTH	16
#define INFINI_LINK_BINDINGS	64	/* of one job, at most; QUERY may say less */
#define INFINI_LINK_COPIES	64	/* likewise */
#define INFINI_LINK_INLINE	(32 << 10)
#define INFINI_LINK_BYTES	(INFINI_LINK_DEPTH * INFINI_LINK_INLINE)
#define INFINI_STAGE_SEGMENTS	4
#define INFINI_MIRRORS		16

/* Counted for INFINI_TRACE=1. */
enum infini_trace_counter {
	INFINI_TRACE_SYSCALLS,
	INFINI_TRACE_SUBMITS,
	INFINI_TRACE_JOBS,
	INFINI_TRACE_GRAPHS,
	INFINI_TRACE_GRAPH_SAME,	/* recognised by its tensors */
	INFINI_TRACE_GRAPH_EQUAL,	/* recognised by its contents */
	INFINI_TRACE_GRAPH_NEW,
	INFINI_TRACE_INLINE_BYTES,
	INFINI_TRACE_STAGED_BYTES,
	INFINI_TRACE_READ_BYTES,
	INFINI_TRACE_MIRROR_BYTES,
	INFINI_TRACE_ASKED,
	INFINI_TRACE_REMEMBERED,
	INFINI_TRACE_MAPPED_BYTES,	/* of files that the executor reads where they lie */
	INFINI_TRACE_COPIED_BYTES,	/* to memory in place of such a file */
	INFINI_TRACE_NR,
};

void infini_trace_add(enum infini_trace_counter counter, uint64_t n);
uint64_t infini_trace_read(enum infini_trace_counter counter);

/* One line on stderr, "infini: ...". */
void infini_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Not the same line twice in a row, as programs look for backends more than once. */
void infini_say_once(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A range of an area. */
struct infini_range {
	struct infini_area *area;
	uint64_t offset;
	uint64_t bytes;
};

/* A write that waits for the next graph, to ride in its submission. */
struct infini_deferred {
	struct infini_range range;
	uint32_t data;			/* where in the link's inline bytes */
};

/* A range whose contents since the last graph lie in the staging buffer. */
struct infini_mirror {
	struct infini_range range;
	uint64_t offset;		/* in the staging buffer */
};

/* Arguments of a job that waits for its SUBMIT: one question about one tensor. */
struct infini_pending_args {
	struct infini_ggml_ask ask;
	struct infini_ggml_tensor tensor;
};

/*
 * The SHARED buffer that all data cross: the lower half is a ring of segments for writes, the
 * upper half takes what is read, mirrors first.
 */
struct infini_stage {
	uint32_t handle;
	uint8_t *base;
	uint64_t bytes;
	uint64_t most;					/* what it may grow to */
	uint64_t segment_bytes;
	unsigned int segment;				/* being filled */
	uint64_t fill;					/* of it */
	uint64_t seqno[INFINI_STAGE_SEGMENTS];		/* last job that reads it */
	uint64_t mirrored;				/* of the upper half */
};

/* A SHARED buffer for one whole tensor that does not fit a segment. */
struct infini_bounce {
	uint32_t handle;
	void *base;			/* NULL: none */
	uint64_t bytes;
	uint64_t seqno;			/* last job that reads it */
};

/* Answers the executor gave, by a 128-bit hash of the question. */
struct infini_answer {
	uint64_t key[2];		/* both 0: free */
	uint64_t value;
};

struct infini_answers {
	struct infini_answer *slots;
	size_t nr;
	size_t capacity;		/* a power of two */
};

struct infini_graphs;

struct infini_link {
	pthread_mutex_t lock;
	int fd;				/* -1: not open */
	bool started;			/* the queue and the staging buffer stand */
	int broken;			/* first error that lost data, until all users are gone */
	unsigned int users;		/* areas and streams */
	struct infini_area *imports;	/* areas that are files */
	bool imports_tried, imports_work;	/* of this opening */
	uint64_t streams;		/* created so far, for request ids */

	struct infini_query query;
	struct infini_vdev_info vdev;	/* as of the opening */
	struct infini_memory_kind kinds[INFINI_MEMORY_KINDS_MAX];

	uint32_t queue;
	unsigned int batch;		/* jobs in one SUBMIT */
	const struct infini_timeline *timeline;
	uint64_t submitted;		/* last seqno handed out */
	uint64_t looked;		/* results up to this seqno have been looked at */

	/* Jobs that wait for the next SUBMIT; the last slot is for a graph or a question. */
	struct infini_job jobs[INFINI_LINK_DEPTH + 1];
	struct infini_binding bindings[INFINI_LINK_DEPTH][2];
	struct infini_pending_args args[INFINI_LINK_DEPTH];
	unsigned int nr_jobs;

	struct infini_stage stage;
	struct infini_bounce bounce;

	struct infini_deferred deferred[INFINI_LINK_COPIES];
	unsigned int nr_deferred;
	uint8_t inline_bytes[INFINI_LINK_INLINE];
	uint32_t inline_used;

	struct infini_mirror mirrors[INFINI_MIRRORS];
	unsigned int nr_mirrors;

	struct infini_answers answers;
	struct infini_graphs *graphs;
};

/* Addresses of this process as /proc/self/maps has them: of a file, or else @inode is 0. */
struct infini_mapping {
	unsigned long start;
	unsigned long bytes;
	unsigned long offset;		/* in the file */
	unsigned long inode;
	uint64_t device;
	bool is_shared;
	bool is_writable;
	char *path;
};

/* Memory of the device. Its addresses are reserved, or the program's; it is not what is there. */
struct infini_area {
	struct infini_link *link;
	uint32_t handle;
	uint32_t kind;
	uint64_t bytes;
	uint8_t *base;
	uint8_t *reserved;		/* @base is this, aligned; NULL: @base is the program's */
	size_t reserved_bytes;
	unsigned int users;		/* ggml buffers */
	bool written;			/* fresh memory is zero: clearing it costs nothing */
	bool is_file;			/* read-only: a FILE buffer */
	int copy;			/* the file when it is one of ours in memory, else -1 */
	struct infini_mapping mapping;	/* of a file: what the addresses were when it was made */
	struct infini_area *next;	/* in the link's imports */
};

/* What a ggml buffer has of an area: all, or some of a mapped file. */
struct infini_part {
	struct infini_area *area;
	uint8_t *base;
};

/* One ggml backend (a stream of graphs). */
struct infini_stream {
	struct infini_link *link;
	uint64_t request_id;
	uint32_t threads;
};

/* link.c */
int infini_link_open_locked(struct infini_link *link);
int infini_link_start_locked(struct infini_link *link);
void infini_link_close_locked(struct infini_link *link);
int infini_link_info_locked(struct infini_link *link, struct infini_vdev_info *info);
const char *infini_link_name(const struct infini_link *link);
bool infini_link_weights_only(const struct infini_link *link, uint32_t kind);
const char *infini_link_reason(int err);
void infini_link_no_memory(struct infini_link *link, uint64_t bytes, const char *what, int err);
void infini_link_get_locked(struct infini_link *link);
void infini_link_put_locked(struct infini_link *link);

/* submit.c */
struct infini_job *infini_submit_job_locked(struct infini_link *link);
int infini_submit_push_locked(struct infini_link *link);
int infini_submit_flush_locked(struct infini_link *link);
int infini_submit_last_locked(struct infini_link *link, uint64_t *value);
int infini_submit_wait_locked(struct infini_link *link, uint64_t seqno);
void infini_submit_break_locked(struct infini_link *link, int err, const char *what);

/* stage.c */
int infini_stage_create_locked(struct infini_link *link);
void infini_stage_destroy_locked(struct infini_link *link);
int infini_stage_grow_locked(struct infini_link *link, uint64_t half);
uint64_t infini_stage_bytes(uint64_t limit_bytes);
uint64_t infini_stage_first_bytes(uint64_t limit_bytes);
void infini_stage_write_locked(struct infini_link *link, struct infini_range range,
			       const void *data);
void infini_stage_read_locked(struct infini_link *link, struct infini_range range, void *data);
void infini_stage_fill_locked(struct infini_link *link, struct infini_range range, uint8_t value);
void infini_stage_copy_locked(struct infini_link *link, struct infini_range dst,
			      struct infini_range src);
void infini_stage_tensor_locked(struct infini_link *link, struct infini_range range,
				const struct ggml_tensor *tensor, const void *data);
void infini_stage_drained_locked(struct infini_link *link);

/* defer.c */
bool infini_defer_write_locked(struct infini_link *link, struct infini_range range,
			       const void *data);
void infini_defer_flush_locked(struct infini_link *link);
void infini_defer_flush_overlap_locked(struct infini_link *link, struct infini_range range);
void infini_defer_forget_locked(struct infini_link *link, const struct infini_area *area);
bool infini_range_overlaps(const struct infini_range *a, const struct infini_range *b);

/* mirror.c */
const void *infini_mirror_find_locked(struct infini_link *link, struct infini_range range);
uint64_t infini_mirror_bytes(const struct infini_range *ranges, unsigned int nr);
uint64_t infini_mirror_add_locked(struct infini_link *link, struct infini_range range);
void infini_mirror_stale_locked(struct infini_link *link, struct infini_range range);
void infini_mirror_clear_locked(struct infini_link *link);
void infini_mirror_forget_locked(struct infini_link *link, const struct infini_area *area);

/* area.c */
struct infini_area *infini_area_new(struct infini_link *link, uint32_t kind, size_t bytes);
int infini_area_open(struct infini_area *area, int fd, uint64_t offset);
void infini_area_delete(struct infini_area *area);
struct infini_area *infini_area_create(struct infini_link *link, uint32_t kind, size_t bytes);
ggml_backend_buffer_t infini_area_buffer(ggml_backend_buffer_type_t type, struct infini_area *area,
					 uint8_t *base, size_t bytes);
struct infini_area *infini_area_of(const struct ggml_tensor *tensor);

/* mapping.c */
int infini_mapping_find(const void *addr, size_t bytes, struct infini_mapping *found);
bool infini_mapping_same_file(const struct infini_mapping *a, const struct infini_mapping *b);
int infini_mapping_writable(const void *addr, size_t bytes);
int infini_mapping_open(const struct infini_mapping *map);

/* import.c */
bool infini_import_offered(struct infini_link *link);
struct infini_area *infini_import(struct infini_link *link, void *addr, size_t bytes);
enum ggml_status infini_import_place(const struct infini_area *area,
				     const struct ggml_tensor *tensor);

/* question.c */
bool infini_question_supports(struct infini_link *link, const struct ggml_tensor *op);
size_t infini_question_alloc_size(struct infini_link *link, uint32_t kind,
				  const struct ggml_tensor *tensor);
void infini_question_tensor(struct infini_ggml_tensor *out, const struct ggml_tensor *tensor);
void infini_question_header(struct infini_ggml_ask *ask, uint32_t question, uint32_t nr_tensors);
void infini_answers_free(struct infini_answers *answers);

/* graph.c: programs, kept by what they compute */
struct infini_graph {
	uint64_t uid;
	uint64_t hash[2];
	uint64_t used;			/* the clock of the cache when it was last run */
	uint32_t program;
	uint32_t nr_bindings;
	struct infini_area *areas[INFINI_LINK_BINDINGS];
	uint32_t access[INFINI_LINK_BINDINGS];

	/* The ggml graph it was last built from; its tensors may be gone. */
	bool known;
	uint32_t nr_tensors;
	uint32_t nr_nodes;
	const struct ggml_tensor **tensors;
	uint8_t *copies;
	uint32_t *nodes;

	/* What was read after the last run, and so will be after the next. */
	struct infini_range reads[INFINI_MIRRORS];
	unsigned int nr_reads;
};

int infini_graphs_create_locked(struct infini_link *link);
void infini_graphs_destroy_locked(struct infini_link *link);
int infini_graphs_find_locked(struct infini_link *link, struct ggml_cgraph *cgraph,
			      struct infini_graph **graph);
void infini_graphs_forget_locked(struct infini_link *link, const struct infini_area *area);
void infini_graphs_ran_locked(struct infini_link *link, struct infini_graph *graph);
void infini_graphs_read_locked(struct infini_link *link, struct infini_range range);

/* build.c: a ggml graph as the bytes of a program */
struct infini_build {
	const struct infini_link *link;
	const char *problem;		/* what is wrong with the graph, when building failed */
	const struct ggml_tensor *culprit;
	uint8_t *data;			/* the program */
	size_t bytes;
	const struct ggml_tensor **tensors;
	struct infini_ggml_tensor *out;	/* in the program */
	uint32_t nr_tensors;
	uint32_t capacity;
	uint32_t most_nodes;
	uint32_t *nodes;
	uint32_t nr_nodes;
	uint32_t *slots;		/* of tensors by address; 0 is free */
	size_t nr_slots;
	struct infini_area *areas[INFINI_LINK_BINDINGS];
	uint32_t access[INFINI_LINK_BINDINGS];
	uint32_t nr_bindings;
};

int infini_build_run(struct infini_build *build, struct ggml_cgraph *cgraph);
void infini_build_free(struct infini_build *build);

/* hash.c */
void infini_hash(uint64_t hash[2], const void *data, size_t bytes);

/* stream.c */
ggml_backend_t infini_stream_create(ggml_backend_dev_t dev, struct infini_link *link);
void infini_stream_set_threads(ggml_backend_t backend, int threads);

/* device.c */
#define INFINI_DEVICE_NAME	"INFINI0"

struct ggml_backend_device *infini_device_create(ggml_backend_reg_t reg, struct infini_link *link);
ggml_backend_buffer_type_t *infini_device_extra_types(ggml_backend_dev_t dev);
bool infini_device_kind(ggml_backend_buffer_type_t type, uint32_t *kind);

#endif /* INFINI_GGML_FRONTEND_H */
