/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Buffers of a vdev as OpenCL memory. */
#ifndef INFINI_OPENCL_BUFFER_H
#define INFINI_OPENCL_BUFFER_H

#include "opencl_device.h"

/* @priv of a buffer. Mapped pages belong to the host except while a kernel runs. */
struct infini_opencl_memory {
	cl_mem memory;
	bool lent;			/* to the device */
};

int infini_opencl_buffer_add(struct infini_backend *backend, struct infini_backend_buffer *buffer);
void infini_opencl_buffer_remove(struct infini_backend *backend,
				 struct infini_backend_buffer *buffer);
int infini_opencl_buffer_write(struct infini_backend *backend,
			       struct infini_backend_buffer *buffer, uint64_t offset,
			       const void *data, uint64_t bytes);
int infini_opencl_buffer_read(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			      uint64_t offset, void *data, uint64_t bytes);
int infini_opencl_buffer_copy(struct infini_backend *backend, struct infini_backend_buffer *dst,
			      uint64_t dst_offset, struct infini_backend_buffer *src,
			      uint64_t src_offset, uint64_t bytes);
int infini_opencl_buffer_fill(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			      uint64_t offset, uint8_t value, uint64_t bytes);

/* Let the device have the pages of a mapped buffer, and take them back. Others: nothing to do. */
int infini_opencl_buffer_lend(struct infini_backend *backend, struct infini_backend_buffer *buffer);
int infini_opencl_buffer_take_back(struct infini_backend *backend,
				   struct infini_backend_buffer *buffer);

#endif /* INFINI_OPENCL_BUFFER_H */
