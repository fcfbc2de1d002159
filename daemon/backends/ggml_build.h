/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sound graph on real buffers: one ggml_cgraph per segment, ready to compute.
 */
#ifndef INFINI_DAEMON_GGML_BUILD_H
#define INFINI_DAEMON_GGML_BUILD_H

#include "ggml_buffer.h"
#include "ggml_plan.h"

/*
 * One segment. Those that compute parts of one product share one graph, which is aimed at the part
 * before it is computed.
 */
struct infini_ggml_segment {
	struct ggml_context *context;	/* of the first that uses it, else NULL */
	struct ggml_cgraph *graph;	/* NULL: an earlier part did it all */
	struct ggml_cgraph *form;	/* of a part: brings its columns into the matrix's form; or NULL */
	struct infini_ggml_cut aim;	/* of a part: its rows are not 0 */
};

/* @nr_segments of them; @serials tells on which buffers, by binding. */
struct infini_ggml_build {
	uint32_t nr_segments;
	struct infini_ggml_segment *segments;
	uint64_t *serials;
	uint64_t bytes;			/* of host memory that it takes */
};

/*
 * 0, -ENOMEM, -EINVAL where a tensor cannot lie, -EOPNOTSUPP for what the device does not compute.
 * The bindings are known to be large enough.
 */
int infini_ggml_build_make(struct infini_backend *backend, const struct infini_ggml_graph *graph,
			   const struct infini_ggml_plan *plan,
			   const struct infini_backend_binding *bindings,
			   struct infini_ggml_build *build, struct infini_ggml_why *why);
void infini_ggml_build_free(struct infini_ggml_build *build);

/*
 * What has to be computed before the graph of @segment, or NULL. @first: nothing was since the run began or
 * went on.
 */
struct ggml_cgraph *infini_ggml_build_form(struct infini_backend *backend, struct infini_ggml_build *build,
					   uint32_t segment, bool first);

/* The graph of @segment, to be computed before this is called again; NULL for no work. */
struct ggml_cgraph *infini_ggml_build_graph(struct infini_ggml_build *build, uint32_t segment);

#endif /* INFINI_DAEMON_GGML_BUILD_H */
