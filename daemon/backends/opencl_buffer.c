// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Buffers of a vdev as OpenCL memory. Pages that are mapped here are used where they lie. OpenCL wants
 * to know who uses them: they are mapped for the host as a rule and unmapped while a kernel runs, which
 * a driver of a discrete device takes as the time to copy, and one of a CPU as nothing.
 */
#include "opencl_buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static cl_mem memory_of(const struct infini_backend_buffer *buffer)
{
	return ((const struct infini_opencl_memory *)buffer->priv)->memory;
}

static int make(struct infini_backend *backend, struct infini_backend_buffer *buffer)
{
	struct infini_opencl_memory *own = buffer->priv;
	const uint8_t zero = 0;
	cl_int error;

	own->memory = clCreateBuffer(backend->context, CL_MEM_READ_WRITE |
				     (buffer->addr ? CL_MEM_USE_HOST_PTR : 0), buffer->bytes,
				     buffer->addr, &error);
	if (!own->memory)
		return infini_opencl_error(backend, "a buffer", error);
	if (buffer->addr) {
		own->lent = true;
		return infini_opencl_buffer_take_back(backend, buffer);
	}
	error = clEnqueueFillBuffer(backend->queue, own->memory, &zero, 1, 0, buffer->bytes, 0,
				    NULL, NULL);
	if (error != CL_SUCCESS)
		return infini_opencl_error(backend, "clearing a buffer", error);
	return infini_opencl_finish(backend, "clearing a buffer");
}

int infini_opencl_buffer_add(struct infini_backend *backend, struct infini_backend_buffer *buffer)
{
	uint32_t own_kind = backend->is_cpu ? INFINI_OPENCL_KIND_OWN : INFINI_OPENCL_KIND_MAIN;
	int ret;

	if (!buffer->addr && (buffer->type != INFINI_BUFFER_DEVICE || buffer->kind != own_kind))
		return -EINVAL;
	buffer->priv = calloc(1, sizeof(struct infini_opencl_memory));
	if (!buffer->priv)
		return -ENOMEM;
	ret = make(backend, buffer);
	if (ret)
		infini_opencl_buffer_remove(backend, buffer);
	return ret;
}

void infini_opencl_buffer_remove(struct infini_backend *backend,
				 struct infini_backend_buffer *buffer)
{
	struct infini_opencl_memory *own = buffer->priv;

	if (own->memory) {
		infini_opencl_buffer_lend(backend, buffer);
		clFinish(backend->queue);
		clReleaseMemObject(own->memory);
	}
	free(own);
	buffer->priv = NULL;
}

/* ---- whose pages they are ---------------------------------------------------------- */

int infini_opencl_buffer_lend(struct infini_backend *backend, struct infini_backend_buffer *buffer)
{
	struct infini_opencl_memory *own = buffer->priv;
	cl_int error;

	if (!buffer->addr || own->lent)
		return 0;
	error = clEnqueueUnmapMemObject(backend->queue, own->memory, buffer->addr, 0, NULL, NULL);
	if (error != CL_SUCCESS)
		return infini_opencl_error(backend, "handing a buffer to the device", error);
	own->lent = true;
	return 0;
}

int infini_opencl_buffer_take_back(struct infini_backend *backend,
				   struct infini_backend_buffer *buffer)
{
	struct infini_opencl_memory *own = buffer->priv;
	cl_int error;

	if (!buffer->addr || !own->lent)
		return 0;
	clEnqueueMapBuffer(backend->queue, own->memory, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0,
			   buffer->bytes, 0, NULL, NULL, &error);
	if (error != CL_SUCCESS) {
		infini_opencl_error(backend, "taking a buffer from the device", error);
		return INFINI_BACKEND_LOST;
	}
	own->lent = false;
	return 0;
}

/* ---- moving bytes ------------------------------------------------------------------ */

int infini_opencl_buffer_write(struct infini_backend *backend,
			       struct infini_backend_buffer *buffer, uint64_t offset,
			       const void *data, uint64_t bytes)
{
	cl_int error;

	if (!bytes)
		return 0;
	if (buffer->addr) {
		memcpy((uint8_t *)buffer->addr + offset, data, bytes);
		return 0;
	}
	error = clEnqueueWriteBuffer(backend->queue, memory_of(buffer), CL_TRUE, offset, bytes,
				     data, 0, NULL, NULL);
	return error == CL_SUCCESS ? 0 : infini_opencl_error(backend, "writing", error);
}

int infini_opencl_buffer_read(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			      uint64_t offset, void *data, uint64_t bytes)
{
	cl_int error;

	if (!bytes)
		return 0;
	if (buffer->addr) {
		memcpy(data, (uint8_t *)buffer->addr + offset, bytes);
		return 0;
	}
	error = clEnqueueReadBuffer(backend->queue, memory_of(buffer), CL_TRUE, offset, bytes,
				    data, 0, NULL, NULL);
	return error == CL_SUCCESS ? 0 : infini_opencl_error(backend, "reading", error);
}

/* Ranges that overlap go through the host: OpenCL does not copy them. */
static int copy_overlapping(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			    uint64_t dst_offset, uint64_t src_offset, uint64_t bytes)
{
	void *between = malloc(bytes);
	int ret;

	if (!between)
		return -ENOMEM;
	ret = infini_opencl_buffer_read(backend, buffer, src_offset, between, bytes);
	if (!ret)
		ret = infini_opencl_buffer_write(backend, buffer, dst_offset, between, bytes);
	free(between);
	return ret;
}

static int copy_on_device(struct infini_backend *backend, struct infini_backend_buffer *dst,
			  uint64_t dst_offset, struct infini_backend_buffer *src,
			  uint64_t src_offset, uint64_t bytes)
{
	cl_int error;

	error = clEnqueueCopyBuffer(backend->queue, memory_of(src), memory_of(dst), src_offset,
				    dst_offset, bytes, 0, NULL, NULL);
	if (error != CL_SUCCESS)
		return infini_opencl_error(backend, "copying", error);
	return infini_opencl_finish(backend, "copying");
}

int infini_opencl_buffer_copy(struct infini_backend *backend, struct infini_backend_buffer *dst,
			      uint64_t dst_offset, struct infini_backend_buffer *src,
			      uint64_t src_offset, uint64_t bytes)
{
	uint64_t apart = dst_offset > src_offset ? dst_offset - src_offset :
						   src_offset - dst_offset;

	if (!bytes)
		return 0;
	if (dst->addr && src->addr) {
		memmove((uint8_t *)dst->addr + dst_offset, (uint8_t *)src->addr + src_offset,
			bytes);
		return 0;
	}
	if (src->addr)
		return infini_opencl_buffer_write(backend, dst, dst_offset,
						  (uint8_t *)src->addr + src_offset, bytes);
	if (dst->addr)
		return infini_opencl_buffer_read(backend, src, src_offset,
						 (uint8_t *)dst->addr + dst_offset, bytes);
	if (dst == src && apart < bytes)
		return copy_overlapping(backend, dst, dst_offset, src_offset, bytes);
	return copy_on_device(backend, dst, dst_offset, src, src_offset, bytes);
}

int infini_opencl_buffer_fill(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			      uint64_t offset, uint8_t value, uint64_t bytes)
{
	cl_int error;

	if (!bytes)
		return 0;
	if (buffer->addr) {
		memset((uint8_t *)buffer->addr + offset, value, bytes);
		return 0;
	}
	error = clEnqueueFillBuffer(backend->queue, memory_of(buffer), &value, 1, offset, bytes, 0,
				    NULL, NULL);
	if (error != CL_SUCCESS)
		return infini_opencl_error(backend, "filling", error);
	return infini_opencl_finish(backend, "filling");
}
