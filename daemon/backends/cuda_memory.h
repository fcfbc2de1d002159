/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Buffers of a GPU, and of pages that it shares with the client. */
#ifndef INFINI_DAEMON_BACKENDS_CUDA_MEMORY_H
#define INFINI_DAEMON_BACKENDS_CUDA_MEMORY_H

#include "cuda_device.h"

/* Most of a copy within one buffer that is on its way at once. */
#define CUDA_BOUNCE_BYTES	(4ULL << 20)

int cuda_buffer_add(struct infini_backend *backend, struct infini_backend_buffer *buffer);
void cuda_buffer_remove(struct infini_backend *backend, struct infini_backend_buffer *buffer);

/* Where a kernel finds it, or 0 for shared pages that the GPU cannot reach. */
cuda_address cuda_buffer_address(const struct infini_backend_buffer *buffer);

int cuda_buffer_write(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		      uint64_t offset, const void *data, uint64_t bytes);
int cuda_buffer_read(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		     uint64_t offset, void *data, uint64_t bytes);
int cuda_buffer_copy(struct infini_backend *backend, struct infini_backend_buffer *dst,
		     uint64_t dst_offset, struct infini_backend_buffer *src, uint64_t src_offset,
		     uint64_t bytes);
int cuda_buffer_fill(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		     uint64_t offset, uint8_t value, uint64_t bytes);

#endif /* INFINI_DAEMON_BACKENDS_CUDA_MEMORY_H */
