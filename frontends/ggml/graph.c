// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The graphs of this process that the kernel keeps as programs, least recently used thrown out.
 *
 * ggml names a graph by a uid that stays while the graph is reused. A uid is a hint: before a
 * program is run again, every tensor of the graph is compared with what it was built from. A
 * graph that is new as an object may still have the contents of a program: they are hashed.
 */
#include "frontend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define INFINI_GRAPHS_MAX	64

/* All of a tensor but its name and what belongs to backends: type, place, shape, op, sources. */
#define INFINI_GRAPH_TENSOR_BYTES	offsetof(struct ggml_tensor, name)

struct infini_graphs {
	struct infini_graph *entries[INFINI_GRAPHS_MAX];
	unsigned int nr;
	unsigned int most;
	uint64_t clock;
	struct infini_graph *last;	/* the one whose results are being read */
};

int infini_graphs_create_locked(struct infini_link *link)
{
	struct infini_graphs *graphs = calloc(1, sizeof(*graphs));

	if (!graphs)
		return -ENOMEM;
	graphs->most = link->query.max_programs < INFINI_GRAPHS_MAX ? link->query.max_programs :
								       INFINI_GRAPHS_MAX;
	if (!graphs->most) {
		free(graphs);
		return -ENOSPC;
	}
	link->graphs = graphs;
	return 0;
}

static void infini_graph_forget_source(struct infini_graph *graph)
{
	free(graph->tensors);
	free(graph->copies);
	free(graph->nodes);
	graph->tensors = NULL;
	graph->copies = NULL;
	graph->nodes = NULL;
	graph->known = false;
	graph->uid = 0;
}

static void infini_graph_destroy(struct infini_link *link, struct infini_graph *graph)
{
	if (link->graphs->last == graph)
		link->graphs->last = NULL;
	infini_trace_add(INFINI_TRACE_SYSCALLS, 1);
	infini_program_destroy(link->fd, graph->program);
	infini_graph_forget_source(graph);
	free(graph);
}

void infini_graphs_destroy_locked(struct infini_link *link)
{
	struct infini_graphs *graphs = link->graphs;

	while (graphs->nr)
		infini_graph_destroy(link, graphs->entries[--graphs->nr]);
	free(graphs);
	link->graphs = NULL;
}

static void infini_graphs_evict(struct infini_link *link)
{
	struct infini_graphs *graphs = link->graphs;
	unsigned int i, oldest = 0;

	for (i = 1; i < graphs->nr; i++) {
		if (graphs->entries[i]->used < graphs->entries[oldest]->used)
			oldest = i;
	}
	infini_graph_destroy(link, graphs->entries[oldest]);
	graphs->entries[oldest] = graphs->entries[--graphs->nr];
}

static uint64_t infini_graph_uid(const struct ggml_cgraph *cgraph)
{
	uint64_t uid;

	memcpy(&uid, (const char *)cgraph + INFINI_ABI_UID_OFFSET, sizeof(uid));
	return uid;
}

static bool infini_graph_tensor_same(const struct infini_graph *graph, uint32_t index)
{
	return !memcmp(graph->copies + index * INFINI_GRAPH_TENSOR_BYTES, graph->tensors[index],
		       INFINI_GRAPH_TENSOR_BYTES);
}

/*
 * Nodes first: only once they are what they were is it known that the leaves they lead to still
 * exist.
 */
static bool infini_graph_same(const struct infini_graph *graph, struct ggml_cgraph *cgraph)
{
	struct ggml_tensor **nodes = ggml_graph_nodes(cgraph);
	uint32_t i;

	if (!graph->known || ggml_graph_n_nodes(cgraph) != (int)graph->nr_nodes)
		return false;
	for (i = 0; i < graph->nr_nodes; i++) {
		if (nodes[i] != graph->tensors[graph->nodes[i]] ||
		    !infini_graph_tensor_same(graph, graph->nodes[i]))
			return false;
	}
	for (i = 0; i < graph->nr_tensors; i++) {
		if (!infini_graph_tensor_same(graph, i))
			return false;
	}
	return true;
}

/* Take over from @build what the next look at the same graph compares with. */
static void infini_graph_learn(struct infini_graph *graph, struct infini_build *build,
			       struct ggml_cgraph *cgraph)
{
	uint32_t i;

	infini_graph_forget_source(graph);
	memcpy(graph->areas, build->areas, sizeof(graph->areas));
	memcpy(graph->access, build->access, sizeof(graph->access));
	graph->nr_bindings = build->nr_bindings;
	/* Nodes that were left out are not compared, so such a graph is built each time. */
	if (build->nr_nodes != (uint32_t)ggml_graph_n_nodes(cgraph))
		return;
	graph->copies = malloc(build->nr_tensors * INFINI_GRAPH_TENSOR_BYTES);
	if (!graph->copies)
		return;
	for (i = 0; i < build->nr_tensors; i++)
		memcpy(graph->copies + i * INFINI_GRAPH_TENSOR_BYTES, build->tensors[i],
		       INFINI_GRAPH_TENSOR_BYTES);
	graph->tensors = build->tensors;
	graph->nodes = build->nodes;
	graph->nr_tensors = build->nr_tensors;
	graph->nr_nodes = build->nr_nodes;
	build->tensors = NULL;
	build->nodes = NULL;
	graph->uid = infini_graph_uid(cgraph);
	graph->known = true;
}

/* What ggml says will be read, for a graph that has not run yet. */
static void infini_graph_expect(struct infini_graph *graph, const struct infini_build *build)
{
	uint32_t i;

	for (i = 0; i < build->nr_nodes && graph->nr_reads < INFINI_MIRRORS; i++) {
		const struct infini_ggml_tensor *out = &build->out[build->nodes[i]];
		const struct ggml_tensor *tensor = build->tensors[build->nodes[i]];

		if (!(out->flags & GGML_TENSOR_FLAG_OUTPUT) || !ggml_nbytes(tensor))
			continue;
		graph->reads[graph->nr_reads++] = (struct infini_range){
			.area = build->areas[out->binding],
			.offset = out->offset,
			.bytes = ggml_nbytes(tensor),
		};
	}
}

static int infini_graphs_upload(struct infini_link *link, const struct infini_build *build,
				const uint64_t hash[2], struct infini_graph **graph)
{
	struct infini_graphs *graphs = link->graphs;
	struct infini_graph *new = calloc(1, sizeof(*new));
	int err;

	if (!new)
		return -ENOMEM;
	if (graphs->nr == graphs->most)
		infini_graphs_evict(link);
	do {
		infini_trace_add(INFINI_TRACE_SYSCALLS, 1);
		err = infini_program_create(link->fd, INFINI_FORMAT_GGML, build->data,
					    build->bytes, &new->program);
	} while (err == -EINTR);
	if (err) {
		free(new);
		return err;
	}
	memcpy(new->hash, hash, sizeof(new->hash));
	infini_graph_expect(new, build);
	graphs->entries[graphs->nr++] = new;
	*graph = new;
	return 0;
}

static struct infini_graph *infini_graphs_equal(struct infini_graphs *graphs, const uint64_t hash[2])
{
	unsigned int i;

	for (i = 0; i < graphs->nr; i++) {
		if (!memcmp(graphs->entries[i]->hash, hash, sizeof(graphs->entries[i]->hash)))
			return graphs->entries[i];
	}
	return NULL;
}

static int infini_graphs_build(struct infini_link *link, struct ggml_cgraph *cgraph,
			       struct infini_graph **graph)
{
	struct infini_build build = { .link = link };
	int err = infini_build_run(&build, cgraph);
	uint64_t hash[2];

	if (!err) {
		infini_hash(hash, build.data, build.bytes);
		*graph = infini_graphs_equal(link->graphs, hash);
		infini_trace_add(*graph ? INFINI_TRACE_GRAPH_EQUAL : INFINI_TRACE_GRAPH_NEW, 1);
		if (!*graph)
			err = infini_graphs_upload(link, &build, hash, graph);
	}
	if (!err)
		infini_graph_learn(*graph, &build, cgraph);
	else if (build.problem)
		infini_say("vdev \"%s\": graph cannot be run: tensor %s %s", infini_link_name(link),
			   build.culprit ? build.culprit->name : "table", build.problem);
	else
		infini_say("vdev \"%s\": a graph of %zu bytes cannot be uploaded: %s",
			   infini_link_name(link), build.bytes, infini_link_reason(err));
	infini_build_free(&build);
	return err;
}

/* The program of a graph, uploaded if it is a new one. Says itself what is wrong with a graph. */
int infini_graphs_find_locked(struct infini_link *link, struct ggml_cgraph *cgraph,
			      struct infini_graph **graph)
{
	struct infini_graphs *graphs = link->graphs;
	uint64_t uid = infini_graph_uid(cgraph);
	unsigned int i;
	int err;

	*graph = NULL;
	for (i = 0; i < graphs->nr && uid; i++) {
		if (graphs->entries[i]->uid == uid &&
		    infini_graph_same(graphs->entries[i], cgraph)) {
			*graph = graphs->entries[i];
			infini_trace_add(INFINI_TRACE_GRAPH_SAME, 1);
			break;
		}
	}
	err = *graph ? 0 : infini_graphs_build(link, cgraph, graph);
	if (!err)
		(*graph)->used = ++graphs->clock;
	return err;
}

/* An area goes, and its address may come back with other memory. */
void infini_graphs_forget_locked(struct infini_link *link, const struct infini_area *area)
{
	struct infini_graphs *graphs = link->graphs;
	unsigned int i, j;

	for (i = 0; graphs && i < graphs->nr; i++) {
		struct infini_graph *graph = graphs->entries[i];
		unsigned int kept = 0;

		for (j = 0; j < graph->nr_bindings; j++) {
			if (graph->areas[j] == area)
				infini_graph_forget_source(graph);
		}
		for (j = 0; j < graph->nr_reads; j++) {
			if (graph->reads[j].area != area)
				graph->reads[kept++] = graph->reads[j];
		}
		graph->nr_reads = kept;
	}
}

/* @graph has run: what is read from now on is what its next run should bring along. */
void infini_graphs_ran_locked(struct infini_link *link, struct infini_graph *graph)
{
	link->graphs->last = graph;
	graph->nr_reads = 0;
}

void infini_graphs_read_locked(struct infini_link *link, struct infini_range range)
{
	struct infini_graph *graph = link->graphs ? link->graphs->last : NULL;
	struct infini_range *read;
	unsigned int i;

	if (!graph)
		return;
	for (i = 0; i < graph->nr_reads; i++) {
		read = &graph->reads[i];
		if (read->area != range.area || range.offset < read->offset ||
		    range.offset > read->offset + read->bytes)
			continue;
		/* Within a range or right behind it: rows of one tensor, one after the other. */
		if (read->offset + read->bytes < range.offset + range.bytes)
			read->bytes = range.offset + range.bytes - read->offset;
		return;
	}
	if (graph->nr_reads < INFINI_MIRRORS)
		graph->reads[graph->nr_reads++] = range;
}
