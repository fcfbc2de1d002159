// SPDX-License-Identifier: GPL-2.0-or-later
/* What a worker knows of its vdev: buffers and loaded programs, by the kernel's ids. */
#include "objects.h"

#include "file_map.h"

#include <errno.h>
#include <infini.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BUCKETS_START	64

struct buffer_object {
	struct infini_object object;
	uint64_t map_offset;
	struct infini_file_map file;	/* of INFINI_BUFFER_FILE */
	struct infini_backend_buffer buffer;
};

struct program_object {
	struct infini_object object;
	struct infini_backend_program *program;	/* NULL when it was refused with @status */
	int status;
	size_t bytes;
	void *data;
};

/* ---- the table --------------------------------------------------------------------- */

static uint32_t bucket_of(const struct infini_object_table *table, uint64_t id)
{
	/* Fibonacci hashing: ids are small numbers in a row. */
	return (uint32_t)(id * 0x9e3779b97f4a7c15ULL >> 32) & (table->nr_buckets - 1);
}

static struct infini_object *table_find(const struct infini_object_table *table, uint64_t id)
{
	struct infini_object *object = table->buckets[bucket_of(table, id)];

	while (object && object->id != id)
		object = object->next;
	return object;
}

static void table_link(struct infini_object_table *table, struct infini_object *object)
{
	struct infini_object **bucket = &table->buckets[bucket_of(table, object->id)];

	object->next = *bucket;
	*bucket = object;
}

/* A table that cannot grow gets slower, not wrong. */
static void table_grow(struct infini_object_table *table)
{
	struct infini_object_table bigger = { .nr_buckets = table->nr_buckets * 2 };
	struct infini_object *object, *next;

	bigger.buckets = calloc(bigger.nr_buckets, sizeof(*bigger.buckets));
	if (!bigger.buckets)
		return;
	for (uint32_t i = 0; i < table->nr_buckets; i++) {
		for (object = table->buckets[i]; object; object = next) {
			next = object->next;
			table_link(&bigger, object);
		}
	}
	free(table->buckets);
	table->buckets = bigger.buckets;
	table->nr_buckets = bigger.nr_buckets;
}

static void table_insert(struct infini_object_table *table, struct infini_object *object)
{
	if (table->nr_objects >= table->nr_buckets && table->nr_buckets < (1u << 24))
		table_grow(table);
	table_link(table, object);
	table->nr_objects++;
}

static struct infini_object *table_remove(struct infini_object_table *table, uint64_t id)
{
	struct infini_object **link = &table->buckets[bucket_of(table, id)];
	struct infini_object *object;

	while (*link && (*link)->id != id)
		link = &(*link)->next;
	object = *link;
	if (object) {
		*link = object->next;
		table->nr_objects--;
	}
	return object;
}

static int table_init(struct infini_object_table *table)
{
	table->buckets = calloc(BUCKETS_START, sizeof(*table->buckets));
	table->nr_buckets = BUCKETS_START;
	table->nr_objects = 0;
	return table->buckets ? 0 : -ENOMEM;
}

int infini_objects_init(struct infini_objects *objects, int fd,
			const struct infini_backend_ops *ops, struct infini_backend *backend,
			uint64_t max_program_bytes)
{
	memset(objects, 0, sizeof(*objects));
	objects->fd = fd;
	objects->ops = ops;
	objects->backend = backend;
	objects->max_program_bytes = max_program_bytes;
	if (table_init(&objects->buffers))
		return -ENOMEM;
	if (table_init(&objects->programs)) {
		free(objects->buffers.buckets);
		return -ENOMEM;
	}
	return 0;
}

/* ---- buffers ----------------------------------------------------------------------- */

static int file_receive(struct infini_objects *objects, struct buffer_object *object)
{
	uint64_t offset = 0;
	int ret, fd = infini_buffer_receive(objects->fd, object->object.id, &offset);

	if (fd < 0)
		return fd;
	ret = infini_file_map_add(&object->file, fd, offset, object->buffer.bytes);
	close(fd);
	/* Nobody writes there: the kernel gives out FILE buffers for reading only. */
	object->buffer.addr = ret ? NULL : (void *)object->file.addr;
	return ret;
}

/* As the kernel has it; what only the backend has is its own to make. */
static int buffer_map(struct infini_objects *objects, struct buffer_object *object)
{
	if (object->buffer.type == INFINI_BUFFER_FILE)
		return file_receive(objects, object);
	if (!object->map_offset)
		return 0;
	return infini_executor_map(objects->fd, object->map_offset, object->buffer.bytes,
				   &object->buffer.addr);
}

static void buffer_unmap(struct buffer_object *object)
{
	if (object->buffer.type == INFINI_BUFFER_FILE)
		infini_file_map_remove(&object->file);
	else if (object->buffer.addr)
		infini_unmap(object->buffer.addr, object->buffer.bytes);
}

static int buffer_add(struct infini_objects *objects, const struct infini_dispatch_binding *binding)
{
	struct buffer_object *object;
	int ret;

	if (!binding->bytes || binding->bytes > PTRDIFF_MAX)
		return -EPROTO;
	object = calloc(1, sizeof(*object));
	if (!object)
		return -ENOMEM;
	object->object.id = binding->buffer;
	object->map_offset = binding->map_offset;
	object->buffer.id = binding->buffer;
	object->buffer.type = binding->type;
	object->buffer.kind = binding->kind;
	object->buffer.bytes = binding->bytes;
	ret = buffer_map(objects, object);
	if (ret)
		goto err_free;
	ret = objects->ops->buffer_add(objects->backend, &object->buffer);
	if (ret)
		goto err_unmap;
	table_insert(&objects->buffers, &object->object);
	return 0;

err_unmap:
	buffer_unmap(object);
err_free:
	free(object);
	return ret;
}

static void buffer_free(struct infini_objects *objects, struct infini_object *object)
{
	struct buffer_object *gone = (struct buffer_object *)object;

	objects->ops->buffer_remove(objects->backend, &gone->buffer);
	buffer_unmap(gone);
	free(gone);
}

int infini_objects_buffer_get(struct infini_objects *objects,
			      const struct infini_dispatch_binding *binding,
			      struct infini_backend_buffer **buffer)
{
	struct buffer_object *object;
	int ret;

	object = (struct buffer_object *)table_find(&objects->buffers, binding->buffer);
	if (!object) {
		if (!binding->map_offset && binding->type != INFINI_BUFFER_FILE)
			return -EOWNERDEAD;
		ret = buffer_add(objects, binding);
		if (ret)
			return ret;
		object = (struct buffer_object *)table_find(&objects->buffers, binding->buffer);
	}
	if (object->map_offset != binding->map_offset || object->buffer.bytes != binding->bytes ||
	    object->buffer.type != binding->type || object->buffer.kind != binding->kind)
		return -EPROTO;
	*buffer = &object->buffer;
	return 0;
}

bool infini_objects_buffer_is_lost(const struct infini_backend_buffer *buffer)
{
	const struct buffer_object *object =
		(const void *)((const char *)buffer - offsetof(struct buffer_object, buffer));

	return buffer->type == INFINI_BUFFER_FILE && infini_file_map_is_lost(&object->file);
}

int infini_objects_buffer_alloc(struct infini_objects *objects,
				const struct infini_dispatch_binding *binding)
{
	if (binding->map_offset || binding->type == INFINI_BUFFER_FILE ||
	    table_find(&objects->buffers, binding->buffer))
		return -EPROTO;
	return buffer_add(objects, binding);
}

void infini_objects_buffer_drop(struct infini_objects *objects, uint64_t id)
{
	struct infini_object *object = table_remove(&objects->buffers, id);

	if (object)
		buffer_free(objects, object);
}

/* ---- programs ---------------------------------------------------------------------- */

static int program_fetch(struct infini_objects *objects, const struct infini_dispatch *dispatch,
			 struct program_object *object)
{
	int ret;

	object->bytes = dispatch->program_bytes;
	object->data = malloc(object->bytes);
	if (!object->data)
		return -ENOMEM;
	ret = infini_program_read(objects->fd, dispatch->object, 0, object->data, object->bytes);
	if (!ret)
		ret = objects->ops->program_load(objects->backend, object->data, object->bytes,
						 &object->program);
	if (ret) {
		free(object->data);
		object->data = NULL;
		object->program = NULL;
		object->bytes = 0;
	}
	return ret;
}

static int program_add(struct infini_objects *objects, const struct infini_dispatch *dispatch)
{
	struct program_object *object;
	int ret;

	if (!dispatch->program_bytes || dispatch->program_bytes > objects->max_program_bytes)
		return -EPROTO;
	if (dispatch->program_format != objects->ops->format)
		return -EOPNOTSUPP;
	object = calloc(1, sizeof(*object));
	if (!object)
		return -ENOMEM;
	object->object.id = dispatch->object;
	ret = program_fetch(objects, dispatch, object);
	if (ret && ret != -EINVAL && ret != -EOPNOTSUPP) {
		free(object);
		return ret;
	}
	object->status = ret;
	objects->program_bytes += object->bytes;
	table_insert(&objects->programs, &object->object);
	return 0;
}

static void program_free(struct infini_objects *objects, struct infini_object *object)
{
	struct program_object *gone = (struct program_object *)object;

	if (gone->program && objects->ops->program_free)
		objects->ops->program_free(objects->backend, gone->program);
	objects->program_bytes -= gone->bytes;
	free(gone->data);
	free(gone);
}

int infini_objects_program_get(struct infini_objects *objects,
			       const struct infini_dispatch *dispatch,
			       struct infini_backend_program **program)
{
	struct program_object *object;
	int ret;

	object = (struct program_object *)table_find(&objects->programs, dispatch->object);
	if (!object) {
		ret = program_add(objects, dispatch);
		if (ret)
			return ret;
		object = (struct program_object *)table_find(&objects->programs,
							      dispatch->object);
	}
	*program = object->program;
	return object->status;
}

void infini_objects_program_drop(struct infini_objects *objects, uint64_t id)
{
	struct infini_object *object = table_remove(&objects->programs, id);

	if (object)
		program_free(objects, object);
}

void infini_objects_release(struct infini_objects *objects)
{
	struct infini_object *object, *next;

	for (uint32_t i = 0; i < objects->programs.nr_buckets; i++) {
		for (object = objects->programs.buckets[i]; object; object = next) {
			next = object->next;
			program_free(objects, object);
		}
	}
	for (uint32_t i = 0; i < objects->buffers.nr_buckets; i++) {
		for (object = objects->buffers.buckets[i]; object; object = next) {
			next = object->next;
			buffer_free(objects, object);
		}
	}
	free(objects->programs.buckets);
	free(objects->buffers.buckets);
	memset(objects, 0, sizeof(*objects));
}
