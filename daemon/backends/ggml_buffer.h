/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Buffers of a vdev as ggml buffers, and bytes in and out of them.
 */
#ifndef INFINI_DAEMON_GGML_BUFFER_H
#define INFINI_DAEMON_GGML_BUFFER_H

#include "ggml_device.h"

/* A tensor that the backend has laid out in its own way, in memory of F_WEIGHTS. */
struct infini_ggml_weight {
	uint64_t offset;
	uint64_t bytes;
	enum ggml_type type;
	int64_t ne[GGML_MAX_DIMS];
};

/* infini_backend_buffer.priv */
struct infini_ggml_buffer {
	ggml_backend_buffer_t ggml;	/* NULL: host memory that the device does not compute on */
	uint64_t serial;		/* unlike that of any other buffer of this process */
	bool is_weights;
	bool keeps_rows;		/* see struct infini_ggml_kind */
	uint64_t alignment;
	uint32_t nr_weights;
	uint32_t room;
	struct infini_ggml_weight *weights;	/* by offset, disjoint */
	struct infini_ggml_cache *caches;
};

int infini_ggml_buffer_add(struct infini_backend *backend, struct infini_backend_buffer *buffer);
void infini_ggml_buffer_remove(struct infini_backend *backend,
			       struct infini_backend_buffer *buffer);
int infini_ggml_buffer_write(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			     uint64_t offset, const void *data, uint64_t bytes);
int infini_ggml_buffer_read(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			    uint64_t offset, void *data, uint64_t bytes);
int infini_ggml_buffer_copy(struct infini_backend *backend, struct infini_backend_buffer *dst,
			    uint64_t dst_offset, struct infini_backend_buffer *src,
			    uint64_t src_offset, uint64_t bytes);
int infini_ggml_buffer_fill(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			    uint64_t offset, uint8_t value, uint64_t bytes);

/* The address ggml knows @offset of the buffer by. */
void *infini_ggml_buffer_at(const struct infini_ggml_buffer *buffer, uint64_t offset);

/* Memory of weights: @t lies at @offset as it was laid out there. */
bool infini_ggml_buffer_holds(const struct infini_ggml_buffer *buffer, uint64_t offset,
			      const struct ggml_tensor *t);

/* @bytes at @offset are about to be laid out as @t; whatever lay there is forgotten. */
int infini_ggml_buffer_lay(struct infini_ggml_buffer *buffer, uint64_t offset, uint64_t bytes,
			   const struct ggml_tensor *t);

#endif /* INFINI_DAEMON_GGML_BUFFER_H */
