// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Does the ggml in this process look the way this plugin was built for?
 */
#include "abi.h"

#include <stdio.h>
#include <string.h>

#define INFINI_ABI_OBJECT_BYTES	32	/* struct ggml_object, part of ggml_tensor_overhead() */

/* Names that move when an enum gains a member in its middle. */
static const struct {
	enum ggml_op op;
	const char *name;
} infini_abi_ops[] = {
	{ GGML_OP_ADD, "ADD" },
	{ GGML_OP_MUL_MAT, "MUL_MAT" },
	{ GGML_OP_SET_ROWS, "SET_ROWS" },
	{ GGML_OP_FLASH_ATTN_EXT, "FLASH_ATTN_EXT" },
	{ GGML_OP_UNARY, "UNARY" },
	{ GGML_OP_GLU, "GLU" },
};

static const struct {
	enum ggml_type type;
	const char *name;
} infini_abi_types[] = {
	{ GGML_TYPE_F16, "f16" },
	{ GGML_TYPE_Q8_0, "q8_0" },
	{ GGML_TYPE_Q6_K, "q6_K" },
	{ GGML_TYPE_BF16, "bf16" },
};

static bool infini_abi_enums_match(void)
{
	size_t i;

	for (i = 0; i < sizeof(infini_abi_ops) / sizeof(infini_abi_ops[0]); i++) {
		if (strcmp(ggml_op_name(infini_abi_ops[i].op), infini_abi_ops[i].name) != 0)
			return false;
	}
	for (i = 0; i < sizeof(infini_abi_types) / sizeof(infini_abi_types[0]); i++) {
		if (strcmp(ggml_type_name(infini_abi_types[i].type), infini_abi_types[i].name) != 0)
			return false;
	}
	return true;
}

/* A fresh graph with one node tells where its counters, its nodes and its uid lie. */
static bool infini_abi_graph_matches(void)
{
	struct ggml_init_params params = {
		.mem_size = ggml_tensor_overhead() + ggml_graph_overhead_custom(1, false),
		.no_alloc = true,
	};
	struct ggml_context *ctx = ggml_init(params);
	struct ggml_cgraph *graph;
	struct ggml_tensor **nodes;
	int counts[2];
	uint64_t uid;
	bool match;

	if (!ctx)
		return false;
	graph = ggml_new_graph_custom(ctx, 1, false);
	ggml_graph_add_node(graph, ggml_new_tensor_1d(ctx, GGML_TYPE_F32, 1));
	memcpy(counts, graph, sizeof(counts));
	memcpy(&nodes, (const char *)graph + 16, sizeof(nodes));
	memcpy(&uid, (const char *)graph + INFINI_ABI_UID_OFFSET, sizeof(uid));
	match = counts[0] >= 1 && counts[1] == 1 && nodes == ggml_graph_nodes(graph) && !uid;
	ggml_free(ctx);
	return match;
}

const char *infini_abi_problem(char *text, size_t bytes)
{
	const char *version = ggml_version();

	if (strncmp(version, INFINI_ABI_GGML, strlen(INFINI_ABI_GGML)) != 0)
		snprintf(text, bytes, "ggml %s is loaded, this plugin was built for ggml %sx",
			 version, INFINI_ABI_GGML);
	else if (ggml_tensor_overhead() != INFINI_ABI_OBJECT_BYTES + sizeof(struct ggml_tensor))
		snprintf(text, bytes, "ggml %s has tensors of %zu bytes, expected %zu", version,
			 ggml_tensor_overhead(),
			 INFINI_ABI_OBJECT_BYTES + sizeof(struct ggml_tensor));
	else if (!infini_abi_enums_match())
		snprintf(text, bytes, "ggml %s numbers its ops or types differently", version);
	else if (!infini_abi_graph_matches())
		snprintf(text, bytes, "ggml %s lays out its graphs differently", version);
	else
		return NULL;
	return text;
}
