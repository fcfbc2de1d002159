// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Rebuilding a graph, segment by segment.
 *
 * Each segment has tensors of its own: what it reads from others becomes a leaf. ggml expands a
 * graph from its nodes, marks all of them to be computed and counts their uses, by which it
 * decides what to fuse; so nodes are added in order, flags are put back afterwards, and what a
 * later segment reads is flagged OUTPUT lest a fusion skips writing it.
 *
 * A product that is computed in parts is the product of views: some rows of the matrix times some
 * columns of the other, into that corner of the result.
 */
#include "ggml_build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ggml_form.h"
#include "ggml_rules.h"

#define NO_SEGMENT	UINT32_MAX

struct builder {
	struct infini_backend *backend;
	const struct infini_ggml_graph *graph;
	const struct infini_ggml_plan *plan;
	const struct infini_backend_binding *bindings;
	struct infini_ggml_why *why;
	uint32_t *segment_of;		/* by tensor: of nodes */
	bool *read_later;		/* by tensor: in a segment after its own */
	struct ggml_tensor **copies;	/* by tensor, of the segment in work */
	uint32_t *made_in;		/* by tensor: segment whose copy copies[] holds */
	uint32_t segment;		/* in work */
	struct ggml_cgraph *product;	/* of the last product that is computed in parts */
	struct ggml_cgraph *form;	/* of its columns, or NULL */
	struct ggml_context *context;
};

static uint32_t index_of(const struct builder *b, const struct ggml_tensor *t)
{
	return (uint32_t)(t - b->graph->tensors);
}

static bool is_node_here(const struct builder *b, uint32_t index)
{
	return b->segment_of[index] == b->segment;
}

/* ---- what is read when ---- */

static void note_read(struct builder *b, const struct ggml_tensor *t, uint32_t segment)
{
	uint32_t index = index_of(b, t);

	if (b->segment_of[index] != NO_SEGMENT && b->segment_of[index] < segment)
		b->read_later[index] = true;
	if (t->view_src)
		note_read(b, t->view_src, segment);
}

static void note_reads(struct builder *b)
{
	uint32_t segment, at;
	int i;

	memset(b->segment_of, 0xff, b->graph->nr_tensors * sizeof(*b->segment_of));
	for (segment = 0; segment < b->plan->nr_segments; segment++)
		for (at = b->plan->cuts[segment].first; at < b->plan->cuts[segment].end; at++)
			b->segment_of[b->graph->nodes[at]] = segment;
	for (at = 0; at < b->graph->nr_nodes; at++) {
		const struct ggml_tensor *t = &b->graph->tensors[b->graph->nodes[at]];

		segment = b->segment_of[b->graph->nodes[at]];
		for (i = 0; i < GGML_MAX_SRC; i++)
			if (t->src[i])
				note_read(b, t->src[i], segment);
		if (t->view_src)
			note_read(b, t->view_src, segment);
	}
}

/* ---- where tensors lie ---- */

static int refuse(struct builder *b, uint32_t index, const char *reason)
{
	infini_ggml_why_set(b->why, "tensor %u: %s", index, reason);
	return -EINVAL;
}

static int check_place(struct builder *b, uint32_t index, const struct infini_ggml_buffer *buffer,
		       const struct ggml_tensor *t)
{
	const struct infini_ggml_place *place = &b->graph->places[index];
	size_t bytes;

	if (!buffer->ggml)
		return refuse(b, index, "the device does not compute on SHARED memory");
	if (buffer->is_weights) {
		if (is_node_here(b, index))
			return refuse(b, index, "memory of weights is not computed into");
		if (!infini_ggml_buffer_holds(buffer, place->offset, t))
			return refuse(b, index, "was not laid out like this in memory of weights");
	}
	if (t->view_src)
		return 0;
	bytes = ggml_backend_buffer_get_alloc_size(buffer->ggml, t);
	if (place->offset > ggml_backend_buffer_get_size(buffer->ggml) ||
	    bytes > ggml_backend_buffer_get_size(buffer->ggml) - place->offset)
		return refuse(b, index, "takes more room on the device than its buffer has left");
	return 0;
}

static int place_copy(struct builder *b, uint32_t index, struct ggml_tensor *copy)
{
	const struct infini_ggml_place *place = &b->graph->places[index];
	const struct infini_ggml_buffer *buffer = b->bindings[place->binding].buffer->priv;
	enum ggml_status status;
	int ret = check_place(b, index, buffer, copy);

	if (ret)
		return ret;
	if (copy->view_src)
		status = ggml_backend_view_init(copy);
	else
		status = ggml_backend_tensor_alloc(buffer->ggml, copy,
						   infini_ggml_buffer_at(buffer, place->offset));
	return status == GGML_STATUS_SUCCESS ? 0 : -ENOMEM;
}

/*
 * Nothing is read or written at an empty tensor, and it has no place. But devices ask in which buffer it is:
 * it is at the beginning of one that is there.
 */
static int place_empty(struct builder *b, struct ggml_tensor *copy)
{
	enum ggml_status status = GGML_STATUS_SUCCESS;
	uint32_t i;

	for (i = 0; i < b->graph->nr_bindings; i++) {
		const struct infini_ggml_buffer *buffer = b->bindings[i].buffer->priv;

		if (!buffer->ggml || buffer->is_weights)
			continue;
		if (!copy->view_src)
			status = ggml_backend_tensor_alloc(buffer->ggml, copy,
							   infini_ggml_buffer_at(buffer, 0));
		else if (copy->view_src->buffer)
			status = ggml_backend_view_init(copy);
		break;
	}
	return status == GGML_STATUS_SUCCESS ? 0 : -ENOMEM;
}

/* ---- copies ---- */

static int copy_tensor(struct builder *b, uint32_t index, struct ggml_tensor **out);

static const struct infini_ggml_buffer *buffer_of(const struct builder *b, uint32_t index)
{
	return b->bindings[b->graph->places[index].binding].buffer->priv;
}

/* Source i of the node @copy; the sources of a leaf do not matter. */
static int copy_sources(struct builder *b, uint32_t index, struct ggml_tensor *copy)
{
	const struct ggml_tensor *t = &b->graph->tensors[index];
	int i, ret;

	for (i = 0; i < GGML_MAX_SRC; i++) {
		if (!t->src[i])
			continue;
		if (t->src[i] == t) {
			copy->src[i] = copy;
			continue;
		}
		if (infini_ggml_rule_writes(t, i) &&
		    buffer_of(b, index_of(b, t->src[i]))->is_weights)
			return refuse(b, index, "memory of weights is not computed into");
		ret = copy_tensor(b, index_of(b, t->src[i]), &copy->src[i]);
		if (ret)
			return ret;
	}
	return 0;
}

static int copy_tensor(struct builder *b, uint32_t index, struct ggml_tensor **out)
{
	const struct ggml_tensor *t = &b->graph->tensors[index];
	struct ggml_tensor *copy;
	int ret;

	if (b->made_in[index] == b->segment) {
		*out = b->copies[index];
		return 0;
	}
	copy = ggml_new_tensor(b->context, t->type, GGML_MAX_DIMS, t->ne);
	memcpy(copy->nb, t->nb, sizeof(copy->nb));
	/* Without a name ggml would print one for each. */
	copy->name[0] = 't';
	b->copies[index] = copy;
	b->made_in[index] = b->segment;
	if (t->view_src) {
		ret = copy_tensor(b, index_of(b, t->view_src), &copy->view_src);
		if (ret)
			return ret;
		copy->view_offs = t->view_offs;
	}
	if (is_node_here(b, index)) {
		copy->op = t->op;
		copy->flags = t->flags | (b->read_later[index] ? GGML_TENSOR_FLAG_OUTPUT : 0);
		memcpy(copy->op_params, t->op_params, sizeof(copy->op_params));
		ret = copy_sources(b, index, copy);
		if (ret)
			return ret;
	}
	*out = copy;
	return b->graph->places[index].bytes ? place_copy(b, index, copy) : place_empty(b, copy);
}

/* ---- segments ---- */

static void count_tensor(struct builder *b, uint32_t index, uint32_t *nr)
{
	const struct ggml_tensor *t = &b->graph->tensors[index];
	int i;

	if (b->made_in[index] == ~b->segment)
		return;
	b->made_in[index] = ~b->segment;
	++*nr;
	if (t->view_src)
		count_tensor(b, index_of(b, t->view_src), nr);
	if (!is_node_here(b, index))
		return;
	for (i = 0; i < GGML_MAX_SRC; i++)
		if (t->src[i])
			count_tensor(b, index_of(b, t->src[i]), nr);
}

static int check_supported(struct builder *b, uint32_t index, const struct ggml_tensor *t)
{
	if (infini_ggml_is_view_op(t->op) || infini_ggml_device_supports(b->backend, t))
		return 0;
	infini_ggml_why_set(b->why, "tensor %u: the device does not compute this %s", index,
			    ggml_op_name(t->op));
	return -EOPNOTSUPP;
}

static int fill_segment(struct builder *b, struct ggml_cgraph *graph)
{
	uint32_t first = b->plan->cuts[b->segment].first, end = b->plan->cuts[b->segment].end, at;
	struct ggml_tensor *copy;
	int ret;

	for (at = first; at < end; at++) {
		uint32_t index = b->graph->nodes[at];

		ret = copy_tensor(b, index, &copy);
		if (ret)
			return ret;
		ret = check_supported(b, index, copy);
		if (ret)
			return ret;
		if (copy->op != GGML_OP_NONE)
			ggml_build_forward_expand(graph, copy);
	}
	for (at = first; at < end; at++) {
		uint32_t index = b->graph->nodes[at];

		copy = b->copies[index];
		copy->flags = b->graph->tensors[index].flags |
			      (b->read_later[index] ? GGML_TENSOR_FLAG_OUTPUT : 0);
	}
	return 0;
}

static int make_context(struct builder *b, uint32_t nr, uint32_t graphs,
			struct infini_ggml_segment *segment, uint64_t *bytes)
{
	struct ggml_init_params params = {
		.mem_size = nr * ggml_tensor_overhead() + graphs * ggml_graph_overhead_custom(nr, false),
		.no_alloc = true,
	};

	segment->context = ggml_init(params);
	if (!segment->context)
		return -ENOMEM;
	*bytes += params.mem_size;
	segment->graph = ggml_new_graph_custom(segment->context, nr, false);
	b->context = segment->context;
	return 0;
}

static int make_segment(struct builder *b, struct infini_ggml_segment *segment, uint64_t *bytes)
{
	uint32_t at, nr = 0;
	int ret;

	for (at = b->plan->cuts[b->segment].first; at < b->plan->cuts[b->segment].end; at++)
		count_tensor(b, b->graph->nodes[at], &nr);
	ret = make_context(b, nr, 1, segment, bytes);
	return ret ? ret : fill_segment(b, segment->graph);
}

/* ---- parts of a product ---- */

/* @part shows @rows by @columns of the tensor that it is a view of, from an offset on. */
static void aim_view(struct ggml_tensor *part, int64_t ne0, int64_t ne1, size_t offset)
{
	const struct ggml_tensor *whole = part->view_src;

	part->ne[0] = ne0;
	part->ne[1] = ne1;
	part->data = (char *)whole->data + part->view_offs + offset;
}

/* Some columns and, at @formed, their form, which the product takes for as long as it has these columns. */
static void aim_form(struct ggml_cgraph *graph, const struct infini_ggml_cut *cut, void *formed)
{
	struct ggml_tensor *copy = ggml_graph_node(graph, 0), *plain = copy->src[0];

	aim_view(plain, plain->ne[0], cut->columns, cut->column * plain->nb[1]);
	copy->view_src->data = formed;
	copy->view_src->ne[1] = cut->columns;
	aim_view(copy, copy->ne[0], cut->columns, 0);
}

/* @formed: its columns are where their form was aimed. */
static void aim(struct ggml_cgraph *graph, const struct infini_ggml_cut *cut, bool formed)
{
	struct ggml_tensor *t = ggml_graph_node(graph, 0), *a = t->src[0], *b = t->src[1];

	aim_view(a, a->ne[0], cut->rows, cut->row * a->nb[1]);
	if (!formed)
		aim_view(b, b->ne[0], cut->columns, cut->column * b->nb[1]);
	aim_view(t, cut->rows, cut->columns, cut->row * t->nb[0] + cut->column * t->nb[1]);
}

/* All of tensor @index, as a view that can be aimed at a part of it. */
static int part_view(struct builder *b, uint32_t index, struct ggml_tensor **out)
{
	struct ggml_tensor *whole, *view;
	int ret = copy_tensor(b, index, &whole);

	if (ret)
		return ret;
	view = ggml_new_tensor(b->context, whole->type, GGML_MAX_DIMS, whole->ne);
	memcpy(view->nb, whole->nb, sizeof(view->nb));
	view->name[0] = 'p';
	view->view_src = whole->view_src ? whole->view_src : whole;
	view->view_offs = whole->view_src ? whole->view_offs : 0;
	*out = view;
	return ggml_backend_view_init(view) == GGML_STATUS_SUCCESS ? 0 : -ENOMEM;
}

/* Three tensors, what they are views of, and a view of each; and those of a form, in a graph of its own. */
#define PART_TENSORS	(9 + INFINI_GGML_FORM_TENSORS)

/* Parts with the same columns bring them into the form of their matrix once. */
static int make_form(struct builder *b, struct ggml_tensor *part, struct infini_ggml_segment *segment)
{
	const struct infini_ggml_cut *cut = &b->plan->cuts[b->segment], *last = cut;
	const struct infini_ggml_cut *end = b->plan->cuts + b->plan->nr_segments;
	uint32_t columns = 0;
	struct ggml_tensor *copy;

	/* Memory of weights has kernels with forms of their own. */
	if (cut->rows == (uint64_t)part->ne[0] ||
	    buffer_of(b, index_of(b, b->graph->tensors[b->graph->nodes[cut->first]].src[0]))->is_weights)
		return 0;
	for (; last < end && last->first == cut->first; last++)
		if (last->columns > columns)
			columns = last->columns;
	copy = infini_ggml_form_make(b->backend, b->context, part, columns);
	if (!copy)
		return 0;
	segment->form = ggml_new_graph_custom(b->context, PART_TENSORS, false);
	ggml_build_forward_expand(segment->form, copy);
	return infini_ggml_form_reserve(b->backend, ggml_nbytes(copy));
}

/* The first segment of a product's: the graph that all of them use. */
static int make_parts(struct builder *b, struct infini_ggml_segment *segment, uint64_t *bytes)
{
	uint32_t index = b->graph->nodes[b->plan->cuts[b->segment].first];
	const struct ggml_tensor *t = &b->graph->tensors[index];
	struct ggml_tensor *part;
	int ret;

	if (buffer_of(b, index)->is_weights)
		return refuse(b, index, "memory of weights is not computed into");
	ret = make_context(b, PART_TENSORS, 2, segment, bytes);
	if (!ret)
		ret = part_view(b, index, &part);
	if (!ret)
		ret = part_view(b, index_of(b, t->src[0]), &part->src[0]);
	if (!ret)
		ret = part_view(b, index_of(b, t->src[1]), &part->src[1]);
	if (ret)
		return ret;
	part->op = t->op;
	memcpy(part->op_params, t->op_params, sizeof(part->op_params));
	ret = check_supported(b, index, part);
	if (!ret)
		ret = make_form(b, part, segment);
	if (ret)
		return ret;
	ggml_build_forward_expand(segment->graph, part);
	part->flags = t->flags | GGML_TENSOR_FLAG_OUTPUT;
	return 0;
}

/*
 * Not all memory of weights lets a product be cut. Then the first part does the work of others,
 * and those have none: kernels of repacked weights take the columns of a result for adjacent, so
 * several of them cannot be cut into rows, and unknown formats cannot be cut at all.
 */
static void aim_segment(const struct builder *b, const struct infini_ggml_cut *cut,
			struct infini_ggml_segment *segment)
{
	const struct ggml_tensor *t = &b->graph->tensors[b->graph->nodes[cut->first]];
	const struct infini_ggml_buffer *matrix = buffer_of(b, index_of(b, t->src[0]));
	bool whole_rows = matrix->is_weights && (cut->columns > 1 || !matrix->keeps_rows);
	bool whole_columns = matrix->is_weights && !matrix->keeps_rows;

	segment->aim = *cut;
	if (whole_rows)
		segment->aim.rows = (uint32_t)t->ne[0];
	if (whole_columns)
		segment->aim.columns = (uint32_t)t->ne[1];
	if ((whole_rows && cut->row) || (whole_columns && cut->column))
		segment->graph = NULL;
}

static int add_segment(struct builder *b, struct infini_ggml_build *build)
{
	const struct infini_ggml_cut *cut = &b->plan->cuts[b->segment];
	struct infini_ggml_segment *segment = &build->segments[b->segment];
	int ret;

	if (!cut->rows)
		return make_segment(b, segment, &build->bytes);
	if (!cut->row && !cut->column) {
		ret = make_parts(b, segment, &build->bytes);
		if (ret)
			return ret;
		b->product = segment->graph;
		b->form = segment->form;
	}
	segment->graph = b->product;
	segment->form = b->form;
	aim_segment(b, cut, segment);
	return 0;
}

static int make_segments(struct builder *b, struct infini_ggml_build *build)
{
	uint32_t i;
	int ret;

	note_reads(b);
	/* Far from every segment's number and from its complement. */
	memset(b->made_in, 0x7f, b->graph->nr_tensors * sizeof(*b->made_in));
	for (i = 0; i < b->plan->nr_segments; i++) {
		b->segment = i;
		build->nr_segments = i + 1;
		ret = add_segment(b, build);
		if (ret)
			return ret;
	}
	return 0;
}

int infini_ggml_build_make(struct infini_backend *backend, const struct infini_ggml_graph *graph,
			   const struct infini_ggml_plan *plan,
			   const struct infini_backend_binding *bindings,
			   struct infini_ggml_build *build, struct infini_ggml_why *why)
{
	struct builder b = { .backend = backend, .graph = graph, .plan = plan,
			     .bindings = bindings, .why = why };
	uint32_t i;
	int ret = -ENOMEM;

	memset(build, 0, sizeof(*build));
	infini_ggml_why_set(why, "no memory for the graph");
	build->segments = calloc(plan->nr_segments + 1, sizeof(*build->segments));
	build->serials = calloc(graph->nr_bindings + 1, sizeof(*build->serials));
	b.segment_of = calloc(graph->nr_tensors, sizeof(*b.segment_of));
	b.read_later = calloc(graph->nr_tensors, sizeof(*b.read_later));
	b.copies = calloc(graph->nr_tensors, sizeof(*b.copies));
	b.made_in = calloc(graph->nr_tensors, sizeof(*b.made_in));
	if (build->segments && build->serials && b.segment_of && b.read_later && b.copies &&
	    b.made_in)
		ret = make_segments(&b, build);
	for (i = 0; !ret && i < graph->nr_bindings; i++)
		build->serials[i] =
			((struct infini_ggml_buffer *)bindings[i].buffer->priv)->serial;
	free(b.segment_of);
	free(b.read_later);
	free(b.copies);
	free(b.made_in);
	if (ret)
		infini_ggml_build_free(build);
	return ret;
}

struct ggml_cgraph *infini_ggml_build_form(struct infini_backend *backend, struct infini_ggml_build *build,
					   uint32_t segment, bool first)
{
	const struct infini_ggml_segment *s = &build->segments[segment];

	/* The first of the parts that have these columns does it for the others. */
	if (!s->form || (s->aim.row && !first))
		return NULL;
	aim_form(s->form, &s->aim, backend->formed);
	return s->form;
}

struct ggml_cgraph *infini_ggml_build_graph(struct infini_ggml_build *build, uint32_t segment)
{
	const struct infini_ggml_segment *s = &build->segments[segment];

	if (s->graph && s->aim.rows)
		aim(s->graph, &s->aim, s->form);
	return s->graph;
}

void infini_ggml_build_free(struct infini_ggml_build *build)
{
	uint32_t i;

	for (i = 0; i < build->nr_segments; i++)
		if (build->segments[i].context)
			ggml_free(build->segments[i].context);
	free(build->segments);
	free(build->serials);
	memset(build, 0, sizeof(*build));
}
