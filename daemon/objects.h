/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a worker knows of its vdev: buffers and loaded programs, by the kernel's ids. */
#ifndef INFINI_DAEMON_OBJECTS_H
#define INFINI_DAEMON_OBJECTS_H

#include "backend.h"

/* Part of every object; chained in its bucket. */
struct infini_object {
	uint64_t id;
	struct infini_object *next;
};

/* A hash table that grows and never shrinks; looking up allocates nothing. */
struct infini_object_table {
	struct infini_object **buckets;
	uint32_t nr_buckets;		/* a power of two */
	uint32_t nr_objects;
};

struct infini_objects {
	int fd;				/* the executor file */
	const struct infini_backend_ops *ops;
	struct infini_backend *backend;
	uint64_t max_program_bytes;
	uint64_t program_bytes;		/* of the programs loaded, this process's copies */
	struct infini_object_table buffers;
	struct infini_object_table programs;
};

int infini_objects_init(struct infini_objects *objects, int fd,
			const struct infini_backend_ops *ops, struct infini_backend *backend,
			uint64_t max_program_bytes);

/* Give everything back to the backend and unmap it. */
void infini_objects_release(struct infini_objects *objects);

/*
 * The buffer of a binding, mapped and made known to the backend when it is new. -EOWNERDEAD: its
 * memory was held by an executor that is gone; -EPROTO: the binding contradicts what was said of
 * the same id before.
 */
int infini_objects_buffer_get(struct infini_objects *objects,
			      const struct infini_dispatch_binding *binding,
			      struct infini_backend_buffer **buffer);

/* A FILE buffer whose file was truncated, or cannot be read: what was computed with it is wrong. */
bool infini_objects_buffer_is_lost(const struct infini_backend_buffer *buffer);

/* Have the backend allocate the executor's side of a new buffer. */
int infini_objects_buffer_alloc(struct infini_objects *objects,
				const struct infini_dispatch_binding *binding);

/* The buffer is gone; unknown ids were never used here. */
void infini_objects_buffer_drop(struct infini_objects *objects, uint64_t id);

/*
 * The program of a dispatch, fetched and loaded when it is new. A refusal is remembered, so that
 * a bad program is read and validated once.
 */
int infini_objects_program_get(struct infini_objects *objects,
			       const struct infini_dispatch *dispatch,
			       struct infini_backend_program **program);
void infini_objects_program_drop(struct infini_objects *objects, uint64_t id);

#endif /* INFINI_DAEMON_OBJECTS_H */
