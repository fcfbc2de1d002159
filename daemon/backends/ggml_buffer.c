// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Buffers of a vdev.
 */
#include "ggml_buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "ggml_cache.h"

#define PIECE_BYTES	(1 << 20)

static uint64_t last_serial;

static int allocate(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		    struct infini_ggml_buffer *b)
{
	struct infini_ggml_kind *kind = &backend->kinds[buffer->kind];

	b->is_weights = kind->info.flags & INFINI_MEMORY_F_WEIGHTS;
	b->keeps_rows = kind->keeps_rows;
	b->alignment = kind->info.alignment;
	if (kind->info.max_bytes && buffer->bytes > kind->info.max_bytes) {
		infini_ggml_log(backend->log, LOG_WARNING, "%llu bytes exceed the %llu that a "
				"buffer of %s may have", (unsigned long long)buffer->bytes,
				(unsigned long long)kind->info.max_bytes, kind->info.name);
		return -EINVAL;
	}
	b->ggml = ggml_backend_buft_alloc_buffer(kind->type, buffer->bytes);
	if (!b->ggml || ggml_backend_buffer_get_size(b->ggml) < buffer->bytes)
		return -ENOMEM;
	ggml_backend_buffer_clear(b->ggml, 0);
	return 0;
}

int infini_ggml_buffer_add(struct infini_backend *backend, struct infini_backend_buffer *buffer)
{
	struct infini_ggml_buffer *b;
	int ret = 0;

	if (buffer->type != INFINI_BUFFER_SHARED && buffer->kind >= backend->nr_kinds)
		return -EINVAL;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->serial = ++last_serial;
	b->alignment = backend->kinds[0].info.alignment;
	if (!buffer->addr) {
		ret = allocate(backend, buffer, b);
	} else if (backend->is_cpu) {
		/* Pages are aligned well enough for any type. */
		b->ggml = ggml_backend_dev_buffer_from_host_ptr(backend->device, buffer->addr,
								buffer->bytes, buffer->bytes);
		if (!b->ggml)
			ret = -ENOMEM;
	}
	buffer->priv = b;
	if (ret)
		infini_ggml_buffer_remove(backend, buffer);
	return ret;
}

void infini_ggml_buffer_remove(struct infini_backend *backend,
			       struct infini_backend_buffer *buffer)
{
	struct infini_ggml_buffer *b = buffer->priv;

	infini_ggml_cache_free(backend, b);
	ggml_backend_buffer_free(b->ggml);
	free(b->weights);
	free(b);
	buffer->priv = NULL;
}

void *infini_ggml_buffer_at(const struct infini_ggml_buffer *buffer, uint64_t offset)
{
	return (char *)ggml_backend_buffer_get_base(buffer->ggml) + offset;
}

/* ---- weights ---- */

static uint32_t weight_at(const struct infini_ggml_buffer *b, uint64_t offset)
{
	uint32_t low = 0, high = b->nr_weights, mid;

	while (low < high) {
		mid = low + (high - low) / 2;
		if (b->weights[mid].offset + b->weights[mid].bytes <= offset)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

bool infini_ggml_buffer_holds(const struct infini_ggml_buffer *buffer, uint64_t offset,
			      const struct ggml_tensor *t)
{
	uint32_t i = weight_at(buffer, offset);
	const struct infini_ggml_weight *w = &buffer->weights[i];

	return i < buffer->nr_weights && w->offset == offset && w->type == t->type &&
	       !memcmp(w->ne, t->ne, sizeof(w->ne)) && ggml_is_contiguous(t) && !t->view_src;
}

int infini_ggml_buffer_lay(struct infini_ggml_buffer *buffer, uint64_t offset, uint64_t bytes,
			   const struct ggml_tensor *t)
{
	uint32_t i = weight_at(buffer, offset), j = i;
	struct infini_ggml_weight *w;

	while (j < buffer->nr_weights && buffer->weights[j].offset < offset + bytes)
		j++;
	if (i == j && buffer->nr_weights == buffer->room) {
		w = realloc(buffer->weights, (buffer->room * 2 + 16) * sizeof(*w));
		if (!w)
			return -ENOMEM;
		buffer->weights = w;
		buffer->room = buffer->room * 2 + 16;
	}
	w = buffer->weights;
	memmove(&w[i + 1], &w[j], (buffer->nr_weights - j) * sizeof(*w));
	buffer->nr_weights += i + 1 - j;
	w[i] = (struct infini_ggml_weight){ .offset = offset, .bytes = bytes, .type = t->type };
	memcpy(w[i].ne, t->ne, sizeof(w[i].ne));
	return 0;
}

/* ---- bytes ---- */

/* Runs @move on a tensor of plain bytes over the range: ggml moves nothing but tensors. */
static int with_bytes(struct infini_ggml_buffer *buffer, uint64_t offset, uint64_t bytes,
		      void (*move)(struct ggml_tensor *t, void *arg), void *arg)
{
	struct ggml_init_params params = { .mem_size = ggml_tensor_overhead(), .no_alloc = true };
	struct ggml_context *ctx;
	struct ggml_tensor *t;
	int ret = -EIO;

	if (buffer->is_weights)
		return -EOPNOTSUPP;
	ctx = ggml_init(params);
	if (!ctx)
		return -ENOMEM;
	t = ggml_new_tensor_1d(ctx, GGML_TYPE_I8, (int64_t)bytes);
	if (ggml_backend_tensor_alloc(buffer->ggml, t, infini_ggml_buffer_at(buffer, offset)) ==
	    GGML_STATUS_SUCCESS) {
		move(t, arg);
		ret = 0;
	}
	ggml_free(ctx);
	return ret;
}

static void move_in(struct ggml_tensor *t, void *data)
{
	ggml_backend_tensor_set(t, data, 0, ggml_nbytes(t));
}

static void move_out(struct ggml_tensor *t, void *data)
{
	ggml_backend_tensor_get(t, data, 0, ggml_nbytes(t));
}

int infini_ggml_buffer_write(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			     uint64_t offset, const void *data, uint64_t bytes)
{
	(void)backend;
	if (!bytes)
		return 0;
	infini_ggml_cache_written(buffer->priv, offset, bytes);
	if (buffer->addr) {
		memcpy((char *)buffer->addr + offset, data, bytes);
		return 0;
	}
	return with_bytes(buffer->priv, offset, bytes, move_in, (void *)data);
}

int infini_ggml_buffer_read(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			    uint64_t offset, void *data, uint64_t bytes)
{
	(void)backend;
	if (!bytes)
		return 0;
	if (buffer->addr) {
		memcpy(data, (char *)buffer->addr + offset, bytes);
		return 0;
	}
	return with_bytes(buffer->priv, offset, bytes, move_out, data);
}

/* Where the bytes of a tensor come from. */
struct source {
	struct infini_ggml_buffer *buffer;
	uint64_t offset;
	int ret;
};

static void move_there(struct ggml_tensor *from, void *to)
{
	ggml_backend_tensor_copy(from, to);
}

static void move_from(struct ggml_tensor *to, void *arg)
{
	struct source *source = arg;

	source->ret = with_bytes(source->buffer, source->offset, ggml_nbytes(to), move_there, to);
}

/*
 * One piece, by the device: over the network there goes only that it is to be copied. A device that cannot
 * is sent the bytes by libggml, which has them here in between; it says nothing of ranges that overlap.
 */
static int copy_piece(struct infini_ggml_buffer *dst, uint64_t dst_offset,
		      struct infini_ggml_buffer *src, uint64_t src_offset, uint64_t bytes)
{
	struct source source = { .buffer = src, .offset = src_offset };
	int ret = with_bytes(dst, dst_offset, bytes, move_from, &source);

	return ret ? ret : source.ret;
}

/* A piece that overlaps itself. */
static int bounce_piece(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			uint64_t to, uint64_t from, void *data, uint64_t bytes)
{
	int ret = infini_ggml_buffer_read(backend, buffer, from, data, bytes);

	return ret ? ret : infini_ggml_buffer_write(backend, buffer, to, data, bytes);
}

/* Between two ranges of memory that only the device sees, a piece at a time. */
static int copy_there(struct infini_backend *backend, struct infini_backend_buffer *dst,
		      uint64_t dst_offset, struct infini_backend_buffer *src, uint64_t src_offset,
		      uint64_t bytes)
{
	/* Where ranges overlap, the far end goes first when data move up. */
	bool down = dst != src || dst_offset < src_offset;
	uint64_t most = bytes < PIECE_BYTES ? bytes : PIECE_BYTES;
	uint64_t apart = down ? src_offset - dst_offset : dst_offset - src_offset;
	bool overlap = dst == src && apart < most;
	void *data = overlap ? malloc(most) : NULL;
	uint64_t done, n, at;
	int ret = 0;

	if (overlap && !data)
		return -ENOMEM;
	for (done = 0; done < bytes && !ret; done += n) {
		n = bytes - done < most ? bytes - done : most;
		at = down ? done : bytes - done - n;
		if (overlap)
			ret = bounce_piece(backend, dst, dst_offset + at, src_offset + at, data, n);
		else
			ret = copy_piece(dst->priv, dst_offset + at, src->priv, src_offset + at, n);
	}
	free(data);
	return ret;
}

int infini_ggml_buffer_copy(struct infini_backend *backend, struct infini_backend_buffer *dst,
			    uint64_t dst_offset, struct infini_backend_buffer *src,
			    uint64_t src_offset, uint64_t bytes)
{
	infini_ggml_cache_written(dst->priv, dst_offset, bytes);
	if (dst->addr && src->addr) {
		memmove((char *)dst->addr + dst_offset, (char *)src->addr + src_offset, bytes);
		return 0;
	}
	if (src->addr)
		return infini_ggml_buffer_write(backend, dst, dst_offset,
						(char *)src->addr + src_offset, bytes);
	if (dst->addr)
		return infini_ggml_buffer_read(backend, src, src_offset,
					       (char *)dst->addr + dst_offset, bytes);
	return copy_there(backend, dst, dst_offset, src, src_offset, bytes);
}

int infini_ggml_buffer_fill(struct infini_backend *backend, struct infini_backend_buffer *buffer,
			    uint64_t offset, uint8_t value, uint64_t bytes)
{
	struct infini_ggml_buffer *b = buffer->priv;
	uint64_t piece = bytes < PIECE_BYTES ? bytes : PIECE_BYTES, done, n;
	void *data;
	int ret;

	infini_ggml_cache_written(b, offset, bytes);
	if (buffer->addr) {
		memset((char *)buffer->addr + offset, value, bytes);
		return 0;
	}
	/* What weights look like inside is the backend's: they can be cleared whole, no more. */
	if (b->is_weights) {
		if (offset || bytes != buffer->bytes || value)
			return -EOPNOTSUPP;
		ggml_backend_buffer_clear(b->ggml, 0);
		b->nr_weights = 0;
		return 0;
	}
	/* Of other values than zero some devices take words. */
	if (!offset && !value && bytes == ggml_backend_buffer_get_size(b->ggml)) {
		ggml_backend_buffer_clear(b->ggml, 0);
		return 0;
	}
	if (!bytes)
		return 0;
	data = malloc(piece);
	if (!data)
		return -ENOMEM;
	memset(data, value, piece);
	ret = infini_ggml_buffer_write(backend, buffer, offset, data, piece);
	free(data);
	/* The rest from the first piece. */
	for (done = piece; done < bytes && !ret; done += n) {
		n = bytes - done < piece ? bytes - done : piece;
		ret = copy_piece(b, offset + done, b, offset, n);
	}
	return ret;
}
