/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the bytes of a stranger to a graph that is sound in itself.
 *
 * Sound means: every number is in range, every tensor lies inside what it claims of its binding,
 * nodes stand in an order in which they can be computed, and every operation is one that ggml
 * runs on these shapes, strides, types and parameters without aborting or leaving its tensors.
 * What is left to the time of the run: that the bindings are as large as the program needs, and
 * the contents of index tensors (see infini_ggml_rule_demand()).
 */
#ifndef INFINI_DAEMON_GGML_VALIDATE_H
#define INFINI_DAEMON_GGML_VALIDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <ggml.h>
#include <infini/ggml.h>

#define INFINI_GGML_BINDINGS_MAX	4096

/* Why something was refused: our words only, with numbers, never the stranger's bytes. */
struct infini_ggml_why {
	char text[160];
};

void infini_ggml_why_set(struct infini_ggml_why *why, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Where a tensor lies. */
struct infini_ggml_place {
	uint32_t binding;
	uint32_t node;			/* place in the order of nodes, or INFINI_GGML_NONE */
	uint64_t offset;
	uint64_t bytes;			/* 0 for an empty tensor, which lies nowhere */
};

/* What a program needs of one binding. */
struct infini_ggml_need {
	uint64_t bytes;
	uint32_t access;		/* INFINI_ACCESS_* */
	bool tensors;			/* holds at least one tensor */
	bool contents;			/* holds contents that are checked before they are used */
};

/**
 * struct infini_ggml_graph - a sound program
 * @tensors: without data and buffer; src and view_src point into this array
 * @names: as the stranger called them, NUL-terminated; for comparison only
 * @places: of @tensors
 * @nodes: indices of the nodes that are to be computed, in order: inactive and empty ones are
 *	left out
 * @needs: by binding
 */
struct infini_ggml_graph {
	uint32_t nr_tensors;
	uint32_t nr_nodes;
	uint32_t nr_bindings;
	struct ggml_tensor *tensors;
	struct infini_ggml_place *places;
	uint32_t *nodes;
	struct infini_ggml_need *needs;
};

/* 0, -EINVAL, -EOPNOTSUPP for an operation that is not run here, -ENOMEM */
int infini_ggml_graph_parse(const void *data, size_t bytes, struct infini_ggml_graph *graph,
			    struct infini_ggml_why *why);
void infini_ggml_graph_free(struct infini_ggml_graph *graph);

/* One tensor by itself: type, operation, flags, shape and strides. @bytes gets its extent. */
int infini_ggml_tensor_parse(const struct infini_ggml_tensor *in, struct ggml_tensor *out,
			     uint64_t *bytes, struct infini_ggml_why *why);

/* The operation of @t on its sources, all of them parsed before. */
int infini_ggml_node_check(const struct ggml_tensor *t, struct infini_ggml_why *why);

/* The operation only renames memory. */
bool infini_ggml_is_view_op(enum ggml_op op);

static inline bool infini_ggml_places_overlap(const struct infini_ggml_place *a,
					      const struct infini_ggml_place *b)
{
	return a->binding == b->binding && a->offset < b->offset + b->bytes &&
	       b->offset < a->offset + a->bytes;
}

#endif /* INFINI_DAEMON_GGML_VALIDATE_H */
