// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A ggml graph as the bytes of a program: its tensors, sources before users, then its nodes.
 *
 * Tensors from outside the graph become leaves, whatever made them: only their place and shape
 * matter here. Nodes keep their flags, since ggml leaves some of them out of the computation.
 */
#include "frontend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INFINI_BUILD_LEAST	256

static size_t infini_build_slot(const struct infini_build *build, const struct ggml_tensor *tensor)
{
	size_t at = ((uintptr_t)tensor >> 4) * 0x9e3779b97f4a7c15ULL >> 20 & (build->nr_slots - 1);

	while (build->slots[at] && build->tensors[build->slots[at] - 1] != tensor)
		at = (at + 1) & (build->nr_slots - 1);
	return at;
}

static uint32_t infini_build_find(const struct infini_build *build,
				  const struct ggml_tensor *tensor)
{
	uint32_t index = build->slots[infini_build_slot(build, tensor)];

	return index ? index - 1 : INFINI_GGML_NONE;
}

/* The program has room for so many tensors behind its header, and for all nodes behind those. */
static size_t infini_build_bytes(const struct infini_build *build, uint32_t tensors)
{
	return sizeof(struct infini_ggml_program) + tensors * sizeof(build->out[0]) +
	       build->most_nodes * sizeof(build->nodes[0]);
}

/* Room for so many tensors, and slots at most half full. */
static int infini_build_make_room(struct infini_build *build, uint32_t capacity)
{
	uint32_t i, *slots;
	void *tensors, *data;

	tensors = realloc(build->tensors, capacity * sizeof(build->tensors[0]));
	if (tensors)
		build->tensors = tensors;
	data = realloc(build->data, infini_build_bytes(build, capacity));
	if (data)
		build->data = data;
	slots = calloc((size_t)capacity * 2, sizeof(slots[0]));
	if (!tensors || !data || !slots) {
		free(slots);
		return -ENOMEM;
	}
	build->out = (struct infini_ggml_tensor *)(build->data + sizeof(struct infini_ggml_program));
	free(build->slots);
	build->slots = slots;
	build->nr_slots = (size_t)capacity * 2;
	build->capacity = capacity;
	for (i = 0; i < build->nr_tensors; i++)
		build->slots[infini_build_slot(build, build->tensors[i])] = i + 1;
	return 0;
}

static int infini_build_fail(struct infini_build *build, const struct ggml_tensor *tensor,
			     const char *problem)
{
	build->problem = problem;
	build->culprit = tensor;
	return -EINVAL;
}

static int infini_build_bind(struct infini_build *build, struct infini_area *area,
			     uint32_t *binding)
{
	uint32_t i, most = build->link->query.max_bindings;

	for (i = 0; i < build->nr_bindings; i++) {
		if (build->areas[i] == area) {
			*binding = i;
			return 0;
		}
	}
	/* One binding is kept for the staging buffer that takes the outputs. */
	if (i + 1 >= most || i + 1 >= INFINI_LINK_BINDINGS)
		return -ENOSPC;
	build->areas[i] = area;
	build->access[i] = INFINI_ACCESS_READ;
	build->nr_bindings++;
	*binding = i;
	return 0;
}

/* A binding that nodes may write to, if there is one yet. */
static uint32_t infini_build_writable(const struct infini_build *build)
{
	uint32_t i;

	for (i = 0; i < build->nr_bindings; i++)
		if (!build->areas[i]->is_file)
			return i;
	return 0;
}

static int infini_build_place(struct infini_build *build, const struct ggml_tensor *tensor,
			      struct infini_ggml_tensor *out)
{
	struct infini_area *area = infini_area_of(tensor);
	size_t bytes = ggml_nbytes(tensor);
	uint64_t offset;

	if (!area || area->link != build->link) {
		/* Nothing of an empty tensor is ever touched: any place will do. */
		if (!bytes && build->nr_bindings) {
			out->binding = infini_build_writable(build);
			return 0;
		}
		return infini_build_fail(build, tensor, "is not in memory of this device");
	}
	offset = (uint64_t)((const uint8_t *)tensor->data - area->base);
	if (offset > area->bytes || bytes > area->bytes - offset)
		return infini_build_fail(build, tensor, "reaches out of its buffer");
	if (infini_build_bind(build, area, &out->binding))
		return infini_build_fail(build, tensor, "is in one buffer more than a job takes: use "
						 "--load-mode none, or a model in fewer files");
	out->offset = offset;
	return 0;
}

static int infini_build_add(struct infini_build *build, const struct ggml_tensor *tensor,
			    uint32_t *index)
{
	struct infini_ggml_tensor *out;
	int err = 0;

	if (build->nr_tensors == build->capacity)
		err = infini_build_make_room(build, build->capacity * 2);
	if (err)
		return err;
	if (build->nr_tensors == INFINI_GGML_TENSORS_MAX)
		return infini_build_fail(build, tensor, "is one tensor more than a program takes");
	out = &build->out[build->nr_tensors];
	infini_question_tensor(out, tensor);
	err = infini_build_place(build, tensor, out);
	if (err)
		return err;
	out->flags = (uint32_t)tensor->flags & (GGML_TENSOR_FLAG_INPUT | GGML_TENSOR_FLAG_OUTPUT);
	memcpy(out->name, tensor->name, strnlen(tensor->name, sizeof(out->name) - 1));
	build->tensors[build->nr_tensors] = tensor;
	build->slots[infini_build_slot(build, tensor)] = build->nr_tensors + 1;
	*index = build->nr_tensors++;
	return 0;
}

static int infini_build_source(struct infini_build *build, const struct ggml_tensor *tensor,
			       uint32_t *index)
{
	*index = infini_build_find(build, tensor);
	return *index != INFINI_GGML_NONE ? 0 : infini_build_add(build, tensor, index);
}

static bool infini_build_writes(const struct ggml_tensor *node)
{
	switch (node->op) {
	case GGML_OP_NONE:
	case GGML_OP_RESHAPE:
	case GGML_OP_VIEW:
	case GGML_OP_PERMUTE:
	case GGML_OP_TRANSPOSE:
		return false;
	default:
		return true;
	}
}

/* An optimiser's step changes the weights and their momenta in place. */
static bool infini_build_changes(const struct ggml_tensor *node, int src)
{
	switch (node->op) {
	case GGML_OP_OPT_STEP_ADAMW:
		return src == 0 || src == 2 || src == 3;
	case GGML_OP_OPT_STEP_SGD:
		return src == 0;
	default:
		return false;
	}
}

static int infini_build_write(struct infini_build *build, const struct ggml_tensor *tensor,
			      uint32_t binding)
{
	if (build->areas[binding]->is_file)
		return infini_build_fail(build, tensor,
					 "would be written to a file that is only read: use --load-mode none");
	build->access[binding] |= INFINI_ACCESS_WRITE;
	return 0;
}

static int infini_build_node(struct infini_build *build, const struct ggml_tensor *node)
{
	uint32_t src[INFINI_GGML_SRC_MAX], view = INFINI_GGML_NONE, index;
	struct infini_ggml_tensor *out;
	int i, err = 0;

	if (infini_build_find(build, node) != INFINI_GGML_NONE && node->op != GGML_OP_NONE)
		return infini_build_fail(build, node, "is used before it is computed");
	for (i = 0; i < INFINI_GGML_SRC_MAX && !err; i++) {
		src[i] = INFINI_GGML_NONE;
		if (node->src[i])
			err = infini_build_source(build, node->src[i], &src[i]);
	}
	if (!err && node->view_src)
		err = infini_build_source(build, node->view_src, &view);
	if (!err)
		err = infini_build_source(build, node, &index);
	if (err)
		return err;
	out = &build->out[index];
	out->op = node->op;
	out->flags = (uint32_t)node->flags;
	memcpy(out->op_params, node->op_params, sizeof(out->op_params));
	memcpy(out->src, src, sizeof(out->src));
	out->view_src = view;
	out->view_offs = node->view_offs;
	build->nodes[build->nr_nodes++] = index;
	if (infini_build_writes(node))
		err = infini_build_write(build, node, out->binding);
	for (i = 0; i < INFINI_GGML_SRC_MAX && !err; i++)
		if (infini_build_changes(node, i))
			err = infini_build_write(build, node->src[i], build->out[src[i]].binding);
	return err;
}

static int infini_build_finish(struct infini_build *build)
{
	struct infini_ggml_program header = {
		.magic = INFINI_GGML_MAGIC,
		.version = INFINI_GGML_VERSION,
		.ops = GGML_OP_COUNT,
		.types = GGML_TYPE_COUNT,
		.nr_tensors = build->nr_tensors,
		.nr_nodes = build->nr_nodes,
		.nr_bindings = build->nr_bindings,
	};
	size_t nodes = build->nr_nodes * sizeof(build->nodes[0]);

	build->bytes = sizeof(header) + build->nr_tensors * sizeof(build->out[0]) + nodes;
	if (build->bytes > build->link->query.max_program_bytes)
		return infini_build_fail(build, NULL, "is larger than a program may be");
	memcpy(build->data, &header, sizeof(header));
	memcpy(&build->out[build->nr_tensors], build->nodes, nodes);
	return 0;
}

/* 0, -ENOMEM, or -EINVAL with @build->problem. The caller frees @build either way. */
int infini_build_run(struct infini_build *build, struct ggml_cgraph *cgraph)
{
	int i, err, nr = ggml_graph_n_nodes(cgraph);
	struct ggml_tensor **nodes = ggml_graph_nodes(cgraph);
	uint32_t capacity = INFINI_BUILD_LEAST;

	build->most_nodes = (uint32_t)nr;
	build->nodes = malloc((size_t)nr * sizeof(build->nodes[0]));
	if (!build->nodes)
		return -ENOMEM;
	/* A node comes with less than one tensor from outside. */
	while (capacity / 2 < build->most_nodes)
		capacity *= 2;
	err = infini_build_make_room(build, capacity);
	for (i = 0; i < nr && !err; i++) {
		/* Left out of the computation and without memory: nothing to say about it. */
		if (!nodes[i]->data && !(nodes[i]->flags & GGML_TENSOR_FLAG_COMPUTE))
			continue;
		err = infini_build_node(build, nodes[i]);
	}
	return err ? err : infini_build_finish(build);
}

void infini_build_free(struct infini_build *build)
{
	free(build->data);
	free(build->tensors);
	free(build->nodes);
	free(build->slots);
}
