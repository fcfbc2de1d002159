// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The vdev as a ggml device, and its kinds of memory as buffer types.
 */
#include "frontend.h"

#include <stdio.h>
#include <string.h>

/* One device per process: ggml never frees what a plugin registers. */
static struct infini_device {
	struct ggml_backend_device ggml;
	struct ggml_backend_buffer_type types[INFINI_MEMORY_KINDS_MAX];
	char names[INFINI_MEMORY_KINDS_MAX][sizeof(INFINI_DEVICE_NAME) + INFINI_NAME_MAX];
	ggml_backend_buffer_type_t extra[INFINI_MEMORY_KINDS_MAX + 1];
	char description[128];
} infini_device;

static struct infini_link *infini_device_link(ggml_backend_dev_t dev)
{
	return dev->context;
}

/* False when @type is another device's. */
bool infini_device_kind(ggml_backend_buffer_type_t type, uint32_t *kind)
{
	const struct ggml_backend_buffer_type *first = infini_device.types;

	if (type < first || type >= first + INFINI_MEMORY_KINDS_MAX)
		return false;
	*kind = (uint32_t)(type - first);
	return true;
}

static uint32_t infini_type_kind(ggml_backend_buffer_type_t type)
{
	uint32_t kind = 0;

	infini_device_kind(type, &kind);
	return kind;
}

static struct infini_link *infini_type_link(ggml_backend_buffer_type_t type)
{
	return infini_device_link(type->device);
}

static const char *infini_type_name(ggml_backend_buffer_type_t type)
{
	return infini_device.names[infini_type_kind(type)];
}

static ggml_backend_buffer_t infini_type_alloc(ggml_backend_buffer_type_t type, size_t size)
{
	struct infini_area *area;

	area = infini_area_create(infini_type_link(type), infini_type_kind(type), size);
	return area ? infini_area_buffer(type, area, area->base, size) : NULL;
}

static size_t infini_type_alignment(ggml_backend_buffer_type_t type)
{
	uint64_t alignment = infini_type_link(type)->kinds[infini_type_kind(type)].alignment;

	return alignment ? alignment : 1;
}

static size_t infini_type_max_size(ggml_backend_buffer_type_t type)
{
	uint64_t most = infini_type_link(type)->kinds[infini_type_kind(type)].max_bytes;

	return most ? most : SIZE_MAX;
}

static size_t infini_type_alloc_size(ggml_backend_buffer_type_t type,
				     const struct ggml_tensor *tensor)
{
	return infini_question_alloc_size(infini_type_link(type), infini_type_kind(type), tensor);
}

static bool infini_type_is_host(ggml_backend_buffer_type_t type)
{
	(void)type;
	return false;
}

static const struct ggml_backend_buffer_type_i infini_type_iface = {
	.get_name = infini_type_name,
	.alloc_buffer = infini_type_alloc,
	.get_alignment = infini_type_alignment,
	.get_max_size = infini_type_max_size,
	.get_alloc_size = infini_type_alloc_size,
	.is_host = infini_type_is_host,
};

static const char *infini_device_name(ggml_backend_dev_t dev)
{
	(void)dev;
	return INFINI_DEVICE_NAME;
}

static const char *infini_device_description(ggml_backend_dev_t dev)
{
	(void)dev;
	return infini_device.description;
}

/* True free memory: less what our own staging buffer and queue may still take. */
static void infini_device_memory(ggml_backend_dev_t dev, size_t *free, size_t *total)
{
	struct infini_link *link = infini_device_link(dev);
	struct infini_vdev_info info = { 0 };
	uint64_t taken = 0;

	*free = 0;
	*total = 0;
	pthread_mutex_lock(&link->lock);
	if (!infini_link_open_locked(link) && !infini_link_info_locked(link, &info)) {
		taken = info.memory_used_bytes;
		if (link->started)
			taken += link->stage.most - link->stage.bytes;
		else
			taken += infini_stage_bytes(info.memory_limit_bytes) + INFINI_LINK_BYTES;
		*total = info.memory_limit_bytes;
		if (taken < info.memory_limit_bytes)
			*free = info.memory_limit_bytes - taken;
	}
	pthread_mutex_unlock(&link->lock);
}

static enum ggml_backend_dev_type infini_device_type(ggml_backend_dev_t dev)
{
	(void)dev;
	return GGML_BACKEND_DEVICE_TYPE_GPU;
}

static void infini_device_props(ggml_backend_dev_t dev, struct ggml_backend_dev_props *props)
{
	*props = (struct ggml_backend_dev_props){
		.name = infini_device_name(dev),
		.description = infini_device_description(dev),
		.type = infini_device_type(dev),
	};
	infini_device_memory(dev, &props->memory_free, &props->memory_total);
	/* llama.cpp maps a model only if all its devices say that it may. */
	props->caps.buffer_from_host_ptr = infini_import_offered(infini_device_link(dev));
	props->caps.mmap_support = props->caps.buffer_from_host_ptr;
}

static ggml_backend_t infini_device_init(ggml_backend_dev_t dev, const char *params)
{
	(void)params;
	return infini_stream_create(dev, infini_device_link(dev));
}

static ggml_backend_buffer_type_t infini_device_default(ggml_backend_dev_t dev)
{
	(void)dev;
	return &infini_device.types[0];
}

static ggml_backend_buffer_t infini_device_import(ggml_backend_dev_t dev, void *addr, size_t size,
						  size_t max_tensor_size)
{
	struct infini_area *area = infini_import(infini_device_link(dev), addr, size);

	(void)max_tensor_size;
	return area ? infini_area_buffer(infini_device_default(dev), area, addr, size) : NULL;
}

/*
 * llama.cpp tries the buffer types of a GPU in order, the default one first, each time with a
 * weight in a buffer of no size, and takes the first that is supported. A weight that the executor
 * would rather lay out itself is therefore refused in that one place.
 */
static bool infini_device_steers(struct infini_link *link, const struct ggml_tensor *op)
{
	const struct ggml_tensor *weight = op->src[0];
	struct ggml_backend_buffer extra = { .size = 0 };
	struct ggml_tensor tried, tried_op;
	uint32_t kind, i;

	if ((op->op != GGML_OP_MUL_MAT && op->op != GGML_OP_MUL_MAT_ID) || !weight->buffer ||
	    weight->buffer->size || !infini_device_kind(weight->buffer->buft, &kind) || kind)
		return false;
	for (i = 0; infini_device.extra[i]; i++) {
		tried = *weight;
		tried_op = *op;
		extra.buft = infini_device.extra[i];
		tried.buffer = &extra;
		tried_op.src[0] = &tried;
		if (infini_question_supports(link, &tried_op))
			return true;
	}
	return false;
}

static bool infini_device_supports_op(ggml_backend_dev_t dev, const struct ggml_tensor *op)
{
	struct infini_link *link = infini_device_link(dev);

	return !infini_device_steers(link, op) && infini_question_supports(link, op);
}

static bool infini_device_supports_type(ggml_backend_dev_t dev, ggml_backend_buffer_type_t type)
{
	uint32_t kind;

	(void)dev;
	return infini_device_kind(type, &kind);
}

/* Weights that were left in host memory stay there: sending them each time costs more. */
static bool infini_device_offload(ggml_backend_dev_t dev, const struct ggml_tensor *op)
{
	(void)dev;
	(void)op;
	return false;
}

static const struct ggml_backend_device_i infini_device_iface = {
	.get_name = infini_device_name,
	.get_description = infini_device_description,
	.get_memory = infini_device_memory,
	.get_type = infini_device_type,
	.get_props = infini_device_props,
	.init_backend = infini_device_init,
	.get_buffer_type = infini_device_default,
	.buffer_from_host_ptr = infini_device_import,
	.supports_op = infini_device_supports_op,
	.supports_buft = infini_device_supports_type,
	.offload_op = infini_device_offload,
};

/* NULL-terminated: where llama.cpp may put weights that the executor lays out itself. */
ggml_backend_buffer_type_t *infini_device_extra_types(ggml_backend_dev_t dev)
{
	(void)dev;
	return infini_device.extra;
}

struct ggml_backend_device *infini_device_create(ggml_backend_reg_t reg, struct infini_link *link)
{
	struct infini_device *device = &infini_device;
	uint32_t kind, extra = 0;

	device->ggml = (struct ggml_backend_device){
		.iface = infini_device_iface,
		.reg = reg,
		.context = link,
	};
	snprintf(device->description, sizeof(device->description), "%s (vdev %s)",
		 (const char *)link->vdev.description, infini_link_name(link));
	for (kind = 0; kind < link->vdev.nr_kinds; kind++) {
		device->types[kind] = (struct ggml_backend_buffer_type){
			.iface = infini_type_iface,
			.device = &device->ggml,
		};
		snprintf(device->names[kind], sizeof(device->names[kind]), "%s%s%s",
			 INFINI_DEVICE_NAME, kind ? "_" : "",
			 kind ? (const char *)link->kinds[kind].name : "");
		if (kind && infini_link_weights_only(link, kind))
			device->extra[extra++] = &device->types[kind];
	}
	device->extra[extra] = NULL;
	return &device->ggml;
}
