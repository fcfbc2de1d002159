/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a graph is cut into segments, and what must be looked at before each of them.
 *
 * A plan depends on the graph, the device and the configuration alone, so a graph is always cut at
 * the same places, whether somebody waits or not: that is what keeps the bits the same.
 */
#ifndef INFINI_DAEMON_GGML_PLAN_H
#define INFINI_DAEMON_GGML_PLAN_H

#include "ggml_validate.h"

/* An operation whose index tensor is checked before it runs. */
struct infini_ggml_check {
	uint32_t tensor;		/* the operation, an index into graph->tensors */
	uint32_t segment;		/* that it is in */
	/* No node writes into the index tensor: one look per run is enough. */
	bool stable;
};

/**
 * struct infini_ggml_cut - one segment
 * @first: position in graph->nodes
 * @end: behind the last of them
 * @rows: not 0: a part of the one matrix product @first, these rows of its result...
 * @columns: ...and these columns
 */
struct infini_ggml_cut {
	uint32_t first;
	uint32_t end;
	uint32_t row;
	uint32_t rows;
	uint32_t column;
	uint32_t columns;
};

/**
 * struct infini_ggml_plan
 * @nr_segments: 0 for a graph in which nothing is computed
 * @cuts: by segment
 * @checks: in the order of segments
 */
struct infini_ggml_plan {
	uint32_t nr_segments;
	uint32_t nr_checks;
	struct infini_ggml_cut *cuts;
	struct infini_ggml_check *checks;
};

/*
 * Cut @graph so that a segment takes about @segment_ns on one slow CPU; 0 for devices whose
 * segments are counted in launches. 0 or -ENOMEM.
 */
int infini_ggml_plan_make(const struct infini_ggml_graph *graph, uint64_t segment_ns,
			  struct infini_ggml_plan *plan);
void infini_ggml_plan_free(struct infini_ggml_plan *plan);

/* What one CPU thread may need for @t, by arithmetic and memory traffic; nanoseconds. */
uint64_t infini_ggml_plan_cost(const struct ggml_tensor *t);

#endif /* INFINI_DAEMON_GGML_PLAN_H */
