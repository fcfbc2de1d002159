// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Memory of ggml buffers: a DEVICE buffer of the vdev under reserved addresses for each, or a FILE
 * buffer under the addresses that the program has the file at, for all of them.
 */
#include "frontend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int infini_area_reserve(struct infini_area *area, uint64_t alignment)
{
	uintptr_t addr;

	area->reserved_bytes = area->bytes + alignment;
	area->reserved = mmap(NULL, area->reserved_bytes, PROT_NONE,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (area->reserved == MAP_FAILED) {
		area->reserved = NULL;
		return -errno;
	}
	addr = ((uintptr_t)area->reserved + alignment - 1) & ~(uintptr_t)(alignment - 1);
	area->base = (uint8_t *)addr;
	return 0;
}

static int infini_area_back_locked(struct infini_area *area, struct infini_buffer_create *create)
{
	struct infini_link *link = area->link;
	int err = infini_link_start_locked(link);

	if (err)
		return err;
	create->kind = area->kind;
	create->bytes = area->bytes;
	do {
		infini_trace_add(INFINI_TRACE_SYSCALLS, 1);
		err = infini_buffer_create(link->fd, create);
	} while (err == -EINTR);
	area->handle = create->handle;
	if (!err && area->is_file) {
		area->next = link->imports;
		link->imports = area;
	}
	return err;
}

static int infini_area_back(struct infini_area *area, struct infini_buffer_create *create)
{
	struct infini_link *link = area->link;
	int err;

	pthread_mutex_lock(&link->lock);
	infini_link_get_locked(link);
	err = infini_area_back_locked(area, create);
	if (err && !link->broken && create->type == INFINI_BUFFER_DEVICE)
		infini_link_no_memory(link, area->bytes, "a buffer", err);
	if (err)
		infini_link_put_locked(link);
	pthread_mutex_unlock(&link->lock);
	return err;
}

/* Without addresses or memory yet. */
struct infini_area *infini_area_new(struct infini_link *link, uint32_t kind, size_t bytes)
{
	struct infini_area *area = calloc(1, sizeof(*area));

	if (!area)
		return NULL;
	area->link = link;
	area->kind = kind;
	area->bytes = bytes;
	area->users = 1;
	area->copy = -1;
	return area;
}

/* Its memory is the file of @fd from @offset. */
int infini_area_open(struct infini_area *area, int fd, uint64_t offset)
{
	struct infini_buffer_create create = {
		.type = INFINI_BUFFER_FILE,
		.fd = fd,
		.file_offset = offset,
	};

	return infini_area_back(area, &create);
}

/* Whose memory is gone, or never was. */
void infini_area_delete(struct infini_area *area)
{
	if (area->reserved)
		munmap(area->reserved, area->reserved_bytes);
	if (area->copy >= 0)
		close(area->copy);
	free(area);
}

/* Says itself what is wrong. */
struct infini_area *infini_area_create(struct infini_link *link, uint32_t kind, size_t bytes)
{
	struct infini_buffer_create create = { .type = INFINI_BUFFER_DEVICE };
	struct infini_area *area = infini_area_new(link, kind, bytes);
	uint64_t alignment = link->kinds[kind].alignment;
	int err;

	if (!area)
		return NULL;
	err = infini_area_reserve(area, alignment ? alignment : 1);
	if (err)
		infini_say("cannot reserve %zu bytes of addresses: %s", bytes, strerror(-err));
	else
		err = infini_area_back(area, &create);
	if (!err)
		return area;
	infini_area_delete(area);
	return NULL;
}

static struct infini_area *infini_buffer_area(ggml_backend_buffer_t buffer)
{
	const struct infini_part *part = buffer->context;

	return part->area;
}

static void infini_area_end_locked(struct infini_area *area)
{
	struct infini_link *link = area->link;
	struct infini_area **at = &link->imports;

	while (*at && *at != area)
		at = &(*at)->next;
	if (*at)
		*at = area->next;
	infini_defer_forget_locked(link, area);
	infini_mirror_forget_locked(link, area);
	/* Jobs that name the buffer are handed over first; they keep it alive. */
	infini_submit_flush_locked(link);
	infini_trace_add(INFINI_TRACE_SYSCALLS, 1);
	infini_buffer_destroy(link->fd, area->handle);
	infini_link_put_locked(link);
}

static void infini_area_put(struct infini_area *area)
{
	struct infini_link *link = area->link;
	bool last;

	pthread_mutex_lock(&link->lock);
	/* Tensors that were there go also when others stay. */
	infini_graphs_forget_locked(link, area);
	last = !--area->users;
	if (last)
		infini_area_end_locked(area);
	pthread_mutex_unlock(&link->lock);
	if (last)
		infini_area_delete(area);
}

static void infini_area_free(ggml_backend_buffer_t buffer)
{
	struct infini_part *part = buffer->context;

	if (part)
		infini_area_put(part->area);
	free(part);
}

static void *infini_area_base(ggml_backend_buffer_t buffer)
{
	const struct infini_part *part = buffer->context;

	return part->base;
}

/* NULL when the tensor has no memory, or not ours. */
struct infini_area *infini_area_of(const struct ggml_tensor *tensor)
{
	ggml_backend_buffer_t buffer = tensor->view_src && tensor->view_src->buffer ?
				       tensor->view_src->buffer : tensor->buffer;

	if (!buffer || buffer->iface.free_buffer != infini_area_free)
		return NULL;
	return infini_buffer_area(buffer);
}

/* ggml has checked that @offset and @size lie within the tensor, not that it lies within @area. */
static bool infini_area_range(struct infini_area *area, const struct ggml_tensor *tensor,
			      size_t offset, size_t size, struct infini_range *range)
{
	uint64_t at = (uint64_t)((const uint8_t *)tensor->data - area->base) + offset;

	*range = (struct infini_range){ .area = area, .offset = at, .bytes = size };
	if (at <= area->bytes && size <= area->bytes - at)
		return true;
	infini_submit_break_locked(area->link, -ERANGE, "an access outside of its buffer");
	return false;
}

/* Whatever has found a file to write to has mistaken it for something else. */
static bool infini_area_refuses(struct infini_area *area)
{
	if (area->is_file)
		infini_submit_break_locked(area->link, -EACCES,
					   "writing weights that are read where they lie");
	return area->is_file;
}

static void infini_area_write_weights(struct infini_area *area, const struct ggml_tensor *tensor,
				      struct infini_range range, const void *data, size_t offset)
{
	if (offset || range.bytes != ggml_nbytes(tensor))
		infini_submit_break_locked(area->link, -EOPNOTSUPP,
					   "writing a part of a repacked tensor");
	else
		infini_stage_tensor_locked(area->link, range, tensor, data);
}

static void infini_area_set(ggml_backend_buffer_t buffer, struct ggml_tensor *tensor,
			    const void *data, size_t offset, size_t size)
{
	struct infini_area *area = infini_buffer_area(buffer);
	struct infini_link *link = area->link;
	struct infini_range range;

	pthread_mutex_lock(&link->lock);
	if (!infini_area_range(area, tensor, offset, size, &range) || link->broken ||
	    infini_area_refuses(area))
		goto unlock;
	infini_mirror_stale_locked(link, range);
	if (infini_link_weights_only(link, area->kind)) {
		infini_area_write_weights(area, tensor, range, data, offset);
	} else if (buffer->usage == GGML_BACKEND_BUFFER_USAGE_WEIGHTS ||
		   !infini_defer_write_locked(link, range, data)) {
		infini_defer_flush_overlap_locked(link, range);
		infini_stage_write_locked(link, range, data);
	}
unlock:
	pthread_mutex_unlock(&link->lock);
}

static void infini_area_get(ggml_backend_buffer_t buffer, const struct ggml_tensor *tensor,
			    void *data, size_t offset, size_t size)
{
	struct infini_area *area = infini_buffer_area(buffer);
	struct infini_link *link = area->link;
	struct infini_range range;
	const void *mirror;

	pthread_mutex_lock(&link->lock);
	if (!infini_area_range(area, tensor, offset, size, &range)) {
		memset(data, 0, size);
		goto unlock;
	}
	if (infini_link_weights_only(link, area->kind)) {
		infini_submit_break_locked(link, -EOPNOTSUPP, "reading a repacked tensor");
		memset(data, 0, size);
		goto unlock;
	}
	infini_graphs_read_locked(link, range);
	mirror = infini_mirror_find_locked(link, range);
	if (mirror) {
		memcpy(data, mirror, size);
		infini_trace_add(INFINI_TRACE_MIRROR_BYTES, size);
	} else {
		infini_defer_flush_overlap_locked(link, range);
		infini_stage_read_locked(link, range, data);
	}
unlock:
	pthread_mutex_unlock(&link->lock);
}

static void infini_area_fill_locked(struct infini_area *area, struct infini_range range,
				    uint8_t value)
{
	struct infini_link *link = area->link;

	if (infini_area_refuses(area) || (!value && !area->written))
		return;
	if (infini_link_weights_only(link, area->kind)) {
		infini_submit_break_locked(link, -EOPNOTSUPP, "filling a repacked tensor");
		return;
	}
	infini_mirror_stale_locked(link, range);
	infini_defer_flush_overlap_locked(link, range);
	infini_stage_fill_locked(link, range, value);
}

static void infini_area_memset(ggml_backend_buffer_t buffer, struct ggml_tensor *tensor,
			       uint8_t value, size_t offset, size_t size)
{
	struct infini_area *area = infini_buffer_area(buffer);
	struct infini_range range;

	pthread_mutex_lock(&area->link->lock);
	if (infini_area_range(area, tensor, offset, size, &range))
		infini_area_fill_locked(area, range, value);
	pthread_mutex_unlock(&area->link->lock);
}

static void infini_area_clear(ggml_backend_buffer_t buffer, uint8_t value)
{
	struct infini_area *area = infini_buffer_area(buffer);
	struct infini_range range = { .area = area, .bytes = area->bytes };

	pthread_mutex_lock(&area->link->lock);
	infini_area_fill_locked(area, range, value);
	pthread_mutex_unlock(&area->link->lock);
}

static bool infini_area_copy(ggml_backend_buffer_t buffer, const struct ggml_tensor *src,
			     struct ggml_tensor *dst)
{
	struct infini_area *to = infini_buffer_area(buffer), *from = infini_area_of(src);
	struct infini_link *link = to->link;
	struct infini_range dst_range, src_range;
	bool ours = from && from->link == link;

	if (!ours)
		return false;
	pthread_mutex_lock(&link->lock);
	if (infini_link_weights_only(link, to->kind) ||
	    infini_link_weights_only(link, from->kind)) {
		ours = false;
	} else if (!infini_area_refuses(to) &&
		   infini_area_range(to, dst, 0, ggml_nbytes(dst), &dst_range) &&
		   infini_area_range(from, src, 0, ggml_nbytes(dst), &src_range)) {
		infini_mirror_stale_locked(link, dst_range);
		infini_defer_flush_overlap_locked(link, dst_range);
		infini_defer_flush_overlap_locked(link, src_range);
		infini_stage_copy_locked(link, dst_range, src_range);
	}
	pthread_mutex_unlock(&link->lock);
	return ours;
}

static enum ggml_status infini_area_place(ggml_backend_buffer_t buffer, struct ggml_tensor *tensor)
{
	return infini_import_place(infini_buffer_area(buffer), tensor);
}

static const struct ggml_backend_buffer_i infini_area_iface = {
	.free_buffer = infini_area_free,
	.get_base = infini_area_base,
	.init_tensor = infini_area_place,
	.memset_tensor = infini_area_memset,
	.set_tensor = infini_area_set,
	.get_tensor = infini_area_get,
	.cpy_tensor = infini_area_copy,
	.clear = infini_area_clear,
};

/* @bytes of @area from @base; takes over a use of it. */
ggml_backend_buffer_t infini_area_buffer(ggml_backend_buffer_type_t type, struct infini_area *area,
					 uint8_t *base, size_t bytes)
{
	struct infini_part *part = malloc(sizeof(*part));

	if (!part) {
		infini_area_put(area);
		return NULL;
	}
	*part = (struct infini_part){ .area = area, .base = base };
	return ggml_backend_buffer_init(type, infini_area_iface, part, bytes);
}
