// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The executor's half of the fake: programs and questions on ggml's CPU device. It trusts what it
 * gets, unlike the real one.
 */
#include "fake.h"

#include <errno.h>
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>
#include <infini/ggml.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static ggml_backend_dev_t fake_device(void)
{
	return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
}

static void *fake_proc(const char *name)
{
	return ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(fake_device()), name);
}

static ggml_backend_buffer_type_t fake_type(uint32_t kind)
{
	ggml_backend_dev_get_extra_bufts_t extra = fake_proc("ggml_backend_dev_get_extra_bufts");
	ggml_backend_buffer_type_t *types;

	if (!kind)
		return ggml_backend_cpu_buffer_type();
	for (types = extra(fake_device()); types && *types; types++) {
		if (!strcmp(ggml_backend_buft_name(*types), "CPU_REPACK"))
			return *types;
	}
	return ggml_backend_cpu_buffer_type();
}

int infini_fake_memory(struct infini_fake_buffer *buffer)
{
	if (buffer->type == INFINI_BUFFER_FILE) {
		buffer->ggml = ggml_backend_cpu_buffer_from_ptr(buffer->base, buffer->bytes);
		return 0;
	}
	if (buffer->kind) {
		buffer->ggml = ggml_backend_buft_alloc_buffer(fake_type(buffer->kind),
							      buffer->bytes);
		buffer->base = ggml_backend_buffer_get_base(buffer->ggml);
	} else {
		buffer->base = aligned_alloc(4096, buffer->bytes);
		buffer->ggml = ggml_backend_cpu_buffer_from_ptr(buffer->base, buffer->bytes);
	}
	if (!buffer->base)
		return -ENOMEM;
	memset(buffer->base, 0, buffer->bytes);
	return 0;
}

void infini_fake_memory_free(struct infini_fake_buffer *buffer)
{
	ggml_backend_buffer_free(buffer->ggml);
	if (buffer->type == INFINI_BUFFER_FILE)
		munmap(buffer->base, buffer->bytes);
	else if (!buffer->kind)
		free(buffer->base);
}

int infini_fake_write(struct infini_fake_buffer *buffer, uint64_t offset, const void *data,
		      uint64_t bytes)
{
	memmove((char *)buffer->base + offset, data, bytes);
	return 0;
}

static struct ggml_tensor *fake_tensor(struct ggml_context *ctx,
				       const struct infini_ggml_tensor *in)
{
	struct ggml_tensor *tensor = ggml_new_tensor(ctx, in->type, GGML_MAX_DIMS,
						     (const int64_t *)in->ne);
	int i;

	for (i = 0; i < GGML_MAX_DIMS; i++)
		tensor->nb[i] = in->nb[i];
	tensor->op = in->op;
	tensor->flags = (int32_t)in->flags;
	memcpy(tensor->op_params, in->op_params, sizeof(tensor->op_params));
	memcpy(tensor->name, in->name, sizeof(tensor->name));
	return tensor;
}

static void fake_sources(struct ggml_tensor **tensors, struct ggml_tensor *tensor,
			 const struct infini_ggml_tensor *in)
{
	uint32_t i;

	for (i = 0; i < INFINI_GGML_SRC_MAX; i++) {
		if (in->src[i] != INFINI_GGML_NONE)
			tensor->src[i] = tensors[in->src[i]];
	}
	if (in->view_src != INFINI_GGML_NONE) {
		tensor->view_src = tensors[in->view_src];
		tensor->view_offs = in->view_offs;
	}
}

static void fake_place(struct ggml_tensor *tensor, const struct infini_ggml_tensor *in,
		       struct infini_fake_buffer **bindings)
{
	tensor->buffer = bindings[in->binding]->ggml;
	tensor->data = (char *)bindings[in->binding]->base + in->offset;
	ggml_backend_buffer_init_tensor(tensor->buffer, tensor);
}

static ggml_backend_t fake_backend(uint32_t threads)
{
	static ggml_backend_t backend;
	ggml_backend_set_n_threads_t set = fake_proc("ggml_backend_set_n_threads");

	if (!backend)
		backend = ggml_backend_dev_init(fake_device(), NULL);
	set(backend, threads ? (int)threads : 1);
	return backend;
}

int infini_fake_run(const void *program, uint64_t bytes, struct infini_fake_buffer **bindings,
		    uint32_t nr_bindings, const void *args, uint32_t args_bytes, uint64_t request)
{
	const struct infini_ggml_program *header = program;
	const struct infini_ggml_tensor *in = (const void *)(header + 1);
	const uint32_t *nodes = (const void *)(in + header->nr_tensors);
	const struct infini_ggml_run *run = args;
	struct ggml_init_params params = {
		.mem_size = header->nr_tensors * ggml_tensor_overhead() +
			    ggml_graph_overhead_custom(header->nr_tensors, false),
		.no_alloc = true,
	};
	struct ggml_tensor **tensors;
	struct ggml_context *ctx;
	struct ggml_cgraph *graph;
	enum ggml_status status;
	uint32_t i;

	(void)request;
	if (header->magic != INFINI_GGML_MAGIC || header->ops != GGML_OP_COUNT ||
	    header->nr_bindings > nr_bindings || args_bytes != sizeof(*run) || run->pad ||
	    bytes != sizeof(*header) + header->nr_tensors * sizeof(*in) + header->nr_nodes * 4)
		return -EINVAL;
	ctx = ggml_init(params);
	tensors = calloc(header->nr_tensors, sizeof(tensors[0]));
	for (i = 0; i < header->nr_tensors; i++) {
		tensors[i] = fake_tensor(ctx, &in[i]);
		fake_sources(tensors, tensors[i], &in[i]);
		fake_place(tensors[i], &in[i], bindings);
	}
	graph = ggml_new_graph_custom(ctx, header->nr_tensors, false);
	for (i = 0; i < header->nr_nodes; i++)
		ggml_build_forward_expand(graph, tensors[nodes[i]]);
	for (i = 0; i < header->nr_nodes; i++)
		tensors[nodes[i]]->flags = (int32_t)in[nodes[i]].flags;
	status = ggml_backend_graph_compute(fake_backend(run->threads), graph);
	free(tensors);
	ggml_free(ctx);
	return status == GGML_STATUS_SUCCESS ? 0 : -EIO;
}

static int fake_ask_set(const struct infini_ggml_ask *ask, struct ggml_tensor *tensor,
			const struct infini_ggml_tensor *in, struct infini_fake_buffer **bindings,
			uint32_t nr_bindings)
{
	if (nr_bindings != 2 || in->binding || ask->bytes != ggml_nbytes(tensor) ||
	    ask->offset + ask->bytes > bindings[1]->bytes)
		return -EINVAL;
	fake_place(tensor, in, bindings);
	ggml_backend_tensor_set(tensor, (char *)bindings[1]->base + ask->offset, 0, ask->bytes);
	return 0;
}

int infini_fake_ask(const void *args, uint32_t args_bytes, struct infini_fake_buffer **bindings,
		    uint32_t nr_bindings, uint64_t *value)
{
	const struct infini_ggml_ask *ask = args;
	const struct infini_ggml_tensor *in = (const void *)(ask + 1);
	struct ggml_init_params params = {
		.mem_size = (1 + INFINI_GGML_SRC_MAX) * ggml_tensor_overhead(),
		.no_alloc = true,
	};
	struct ggml_tensor *tensors[1 + INFINI_GGML_SRC_MAX];
	ggml_backend_buffer_t dummies[2];
	struct ggml_context *ctx;
	uint32_t i;
	int err = 0;

	if (args_bytes != sizeof(*ask) + ask->nr_tensors * sizeof(*in) || !ask->nr_tensors ||
	    ask->nr_tensors > 1 + INFINI_GGML_SRC_MAX || ask->ops != GGML_OP_COUNT)
		return -EINVAL;
	ctx = ggml_init(params);
	for (i = 0; i < 2; i++)
		dummies[i] = ggml_backend_buft_alloc_buffer(fake_type(i), 0);
	for (i = 0; i < ask->nr_tensors; i++) {
		tensors[i] = fake_tensor(ctx, &in[i]);
		if (in[i].binding != INFINI_GGML_NONE)
			tensors[i]->buffer = dummies[in[i].binding];
	}
	fake_sources(tensors, tensors[0], &in[0]);
	if (ask->question == INFINI_GGML_ASK_SUPPORTS)
		*value = ggml_backend_dev_supports_op(fake_device(), tensors[0]);
	else if (ask->question == INFINI_GGML_ASK_ALLOC_SIZE)
		*value = ggml_backend_buft_get_alloc_size(fake_type(ask->kind), tensors[0]);
	else if (ask->question == INFINI_GGML_ASK_TENSOR_SET)
		err = fake_ask_set(ask, tensors[0], in, bindings, nr_bindings);
	else
		err = -EOPNOTSUPP;
	for (i = 0; i < 2; i++)
		ggml_backend_buffer_free(dummies[i]);
	ggml_free(ctx);
	return err;
}
