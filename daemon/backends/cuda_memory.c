// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Buffers of a GPU, and of pages that it shares with the client.
 *
 * Copies between the two are queued on the stream, as kernels are, and the job waits once, at its end.
 * What this process does itself, with shared pages on both sides, waits for the stream before.
 */
#include "cuda_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

struct cuda_buffer {
	cuda_address address;
};

/* Copies from pages that are not pinned are slower and no more; kernels cannot be given them. */
static int pin(struct infini_backend *b, const struct infini_backend_buffer *buffer,
	       struct cuda_buffer *own)
{
	cuda_result error;
	int ret;

	error = b->driver->host_register(buffer->addr, buffer->bytes, CUDA_REGISTER_DEVICEMAP);
	if (!error) {
		error = b->driver->host_address(&own->address, buffer->addr, 0);
		if (error)
			b->driver->host_unregister(buffer->addr);
	}
	if (error)
		own->address = 0;
	/* Pages that the system does not pin are the client's choice, and harm no context. */
	if (error == CUDA_OPERATING_SYSTEM)
		error = CUDA_NOT_SUPPORTED;
	ret = cuda_device_check(b, "pinning shared pages", error);
	return ret == INFINI_BACKEND_LOST ? ret : 0;
}

static int allocate(struct infini_backend *b, const struct infini_backend_buffer *buffer,
		    struct cuda_buffer *own)
{
	int ret;

	ret = cuda_device_check(b, "memory of a buffer",
				b->driver->alloc(&own->address, buffer->bytes));
	if (ret)
		return ret;
	/* Another vdev's contents may be in it. */
	ret = cuda_device_check(b, "zeroing memory",
				b->driver->fill(own->address, 0, buffer->bytes, b->stream));
	if (!ret) {
		b->queued = true;
		ret = cuda_device_finish(b);
	}
	if (ret)
		b->driver->free(own->address);
	return ret;
}

int cuda_buffer_add(struct infini_backend *b, struct infini_backend_buffer *buffer)
{
	struct cuda_buffer *own;
	int ret = cuda_device_enter(b);

	if (ret)
		return ret;
	if (!buffer->bytes || (!buffer->addr && (buffer->type != INFINI_BUFFER_DEVICE ||
						 buffer->kind)))
		return -EINVAL;
	own = calloc(1, sizeof(*own));
	if (!own)
		return -ENOMEM;
	ret = buffer->addr ? pin(b, buffer, own) : allocate(b, buffer, own);
	if (ret)
		free(own);
	else
		buffer->priv = own;
	return ret;
}

void cuda_buffer_remove(struct infini_backend *b, struct infini_backend_buffer *buffer)
{
	struct cuda_buffer *own = buffer->priv;

	/* A lost context's memory goes with it, and pages may be unpinned all the same. */
	if (!cuda_device_enter(b))
		cuda_device_finish(b);
	if (buffer->addr && own->address)
		b->driver->host_unregister(buffer->addr);
	else if (!buffer->addr && !b->lost)
		b->driver->free(own->address);
	free(own);
	buffer->priv = NULL;
}

cuda_address cuda_buffer_address(const struct infini_backend_buffer *buffer)
{
	const struct cuda_buffer *own = buffer->priv;

	return own->address;
}

/* ---- copies ------------------------------------------------------------------------ */

static uint8_t *host(const struct infini_backend_buffer *buffer, uint64_t offset)
{
	return (uint8_t *)buffer->addr + offset;
}

/* What was begun on the stream has to be done before this process touches shared pages. */
static int enter_host(struct infini_backend *b)
{
	int ret = cuda_device_enter(b);

	return ret ? ret : cuda_device_finish(b);
}

static int queued(struct infini_backend *b, const char *what, cuda_result error, uint64_t bytes)
{
	int ret = cuda_device_check(b, what, error);

	return ret ? ret : cuda_device_queued(b, bytes);
}

int cuda_buffer_write(struct infini_backend *b, struct infini_backend_buffer *buffer,
		      uint64_t offset, const void *data, uint64_t bytes)
{
	int ret = buffer->addr ? enter_host(b) : cuda_device_enter(b);

	if (ret || !bytes)
		return ret;
	if (buffer->addr) {
		memcpy(host(buffer, offset), data, bytes);
		return 0;
	}
	return queued(b, "an input", b->driver->copy_in(cuda_buffer_address(buffer) + offset, data,
							bytes, b->stream), bytes);
}

int cuda_buffer_read(struct infini_backend *b, struct infini_backend_buffer *buffer,
		     uint64_t offset, void *data, uint64_t bytes)
{
	int ret = enter_host(b);

	if (ret || !bytes)
		return ret;
	if (buffer->addr) {
		memcpy(data, host(buffer, offset), bytes);
		return 0;
	}
	ret = queued(b, "reading", b->driver->copy_out(data, cuda_buffer_address(buffer) + offset,
							bytes, b->stream), bytes);
	return ret ? ret : cuda_device_finish(b);
}

/*
 * Overlapping ranges of one buffer, piece by piece over memory of its own: from the end where the
 * target comes behind the source.
 */
static int move(struct infini_backend *b, cuda_address dst, cuda_address src, uint64_t bytes)
{
	uint64_t piece, at = 0;
	cuda_result error = 0;
	int ret;

	if (!b->bounce) {
		ret = cuda_device_check(b, "memory for a copy",
					b->driver->alloc(&b->bounce, CUDA_BOUNCE_BYTES));
		if (ret)
			return ret;
	}
	for (uint64_t done = 0; !error && done < bytes; done += piece) {
		piece = bytes - done < CUDA_BOUNCE_BYTES ? bytes - done : CUDA_BOUNCE_BYTES;
		at = dst > src ? bytes - done - piece : done;
		error = b->driver->copy(b->bounce, src + at, piece, b->stream);
		if (!error)
			error = b->driver->copy(dst + at, b->bounce, piece, b->stream);
	}
	return queued(b, "a copy", error, bytes);
}

static bool overlap(uint64_t a, uint64_t b, uint64_t bytes)
{
	return a < b ? b - a < bytes : a - b < bytes;
}

int cuda_buffer_copy(struct infini_backend *b, struct infini_backend_buffer *dst,
		     uint64_t dst_offset, struct infini_backend_buffer *src, uint64_t src_offset,
		     uint64_t bytes)
{
	cuda_address to = cuda_buffer_address(dst) + dst_offset;
	cuda_address from = cuda_buffer_address(src) + src_offset;
	cuda_result error;
	int ret;

	ret = dst->addr && src->addr ? enter_host(b) : cuda_device_enter(b);
	if (ret || !bytes)
		return ret;
	if (dst->addr && src->addr) {
		memmove(host(dst, dst_offset), host(src, src_offset), bytes);
		return 0;
	}
	if (dst == src && overlap(dst_offset, src_offset, bytes))
		return move(b, to, from, bytes);
	if (dst->addr)
		error = b->driver->copy_out(host(dst, dst_offset), from, bytes, b->stream);
	else if (src->addr)
		error = b->driver->copy_in(to, host(src, src_offset), bytes, b->stream);
	else
		error = b->driver->copy(to, from, bytes, b->stream);
	return queued(b, "a copy", error, bytes);
}

int cuda_buffer_fill(struct infini_backend *b, struct infini_backend_buffer *buffer,
		     uint64_t offset, uint8_t value, uint64_t bytes)
{
	int ret = buffer->addr ? enter_host(b) : cuda_device_enter(b);

	if (ret || !bytes)
		return ret;
	if (buffer->addr) {
		memset(host(buffer, offset), value, bytes);
		return 0;
	}
	return queued(b, "a fill", b->driver->fill(cuda_buffer_address(buffer) + offset, value,
						   bytes, b->stream), bytes);
}
