// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Cutting a graph into segments.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ggml_plan.h"
#include "ggml_rules.h"

/* The rates are those of one slow core, so that real segments are shorter rather than longer. */
#define NODE_NS			500
#define CPU_OPS_PER_NS		8
#define CPU_BYTES_PER_NS	6

/*
 * A matrix product that would fill more than one segment is computed in parts. Elements of the
 * result do not depend on each other, but kernels take them in groups, and take another way for
 * few columns than for many: parts are multiples of all groups there are, and those of many
 * columns have many columns themselves, so that each element is computed as it would be anyway.
 * Columns are cut first, since every part brings its columns into the form of the matrix anew.
 */
#define PART_ROWS		16
#define PART_COLUMNS		32
#define PARTS_MAX		4096

/*
 * A prompt is a long job whatever is done. Its parts may be longer, so that several threads wait for
 * each other less often, but still shorter than the default quantum.
 */
#define PROMPT_SEGMENTS		4

/* A launch costs a GPU some 10 us of its queue: cut at layers, and not at small ones. */
#define SEGMENT_LAUNCHES	20

static uint64_t traffic(const struct ggml_tensor *t)
{
	uint64_t bytes = ggml_nbytes(t);
	int i;

	/* These touch the rows they name, not the whole of the table. */
	if (t->op == GGML_OP_GET_ROWS)
		return 2 * bytes;
	if (t->op == GGML_OP_SET_ROWS)
		return 2 * ggml_nbytes(t->src[0]);
	for (i = 0; i < GGML_MAX_SRC; i++)
		if (t->src[i])
			bytes += ggml_nbytes(t->src[i]);
	return bytes;
}

uint64_t infini_ggml_plan_cost(const struct ggml_tensor *t)
{
	double work = 0;
	uint64_t by_work, by_bytes;

	if (infini_ggml_is_view_op(t->op))
		return 0;
	switch (t->op) {
	case GGML_OP_MUL_MAT:
	case GGML_OP_MUL_MAT_ID:
	case GGML_OP_OUT_PROD:
		work = 2.0 * ggml_nelements(t) * t->src[0]->ne[t->op == GGML_OP_OUT_PROD];
		break;
	case GGML_OP_FLASH_ATTN_EXT:
		work = 4.0 * ggml_nelements(t->src[0]) * t->src[1]->ne[1];
		break;
	default:
		work = 4.0 * ggml_nelements(t);
	}
	/* Work above 2^62 ns is as long as any. */
	by_work = work < 1e18 ? (uint64_t)(work / CPU_OPS_PER_NS) : UINT64_MAX / 4;
	by_bytes = traffic(t) / CPU_BYTES_PER_NS;
	return NODE_NS + (by_work > by_bytes ? by_work : by_bytes);
}

/* @next reads what @t has made, perhaps through a view. */
static bool feeds(const struct ggml_tensor *t, const struct ggml_tensor *next)
{
	int i;

	for (i = 0; i < GGML_MAX_SRC; i++)
		if (next->src[i] && (next->src[i] == t || next->src[i]->view_src == t))
			return true;
	return false;
}

/*
 * Backends fuse runs of nodes. On the CPU that is a norm and the product after it; on others
 * additions, rotations with their store and the choice of experts as well, so there a segment
 * ends only where a layer or its attention begins with a norm, and after a store.
 */
static bool may_cut(const struct ggml_tensor *last, const struct ggml_tensor *next, bool is_cpu)
{
	if (is_cpu)
		return !((last->op == GGML_OP_RMS_NORM || last->op == GGML_OP_NORM) &&
			 feeds(last, next));
	return next->op == GGML_OP_RMS_NORM || next->op == GGML_OP_NORM ||
	       ((last->op == GGML_OP_SET_ROWS || last->op == GGML_OP_CPY) && !feeds(last, next));
}

/* ---- memory that nodes write ---- */

struct span {
	uint32_t binding;
	uint64_t from;
	uint64_t to;
};

static int compare_spans(const void *x, const void *y)
{
	const struct span *a = x, *b = y;

	if (a->binding != b->binding)
		return a->binding < b->binding ? -1 : 1;
	return a->from < b->from ? -1 : a->from > b->from;
}

#define WRITTEN_MAX	(1 + GGML_MAX_SRC)

/* The places that the node @t writes: its own, and those of sources that it changes. */
static uint32_t written_places(const struct infini_ggml_graph *graph, const struct ggml_tensor *t,
			       const struct infini_ggml_place **places)
{
	uint32_t nr = 0;
	int i;

	if (infini_ggml_is_view_op(t->op))
		return 0;
	places[nr++] = &graph->places[t - graph->tensors];
	for (i = 0; i < GGML_MAX_SRC; i++)
		if (t->src[i] && infini_ggml_rule_writes(t, i))
			places[nr++] = &graph->places[t->src[i] - graph->tensors];
	return nr;
}

/* All that the graph writes, as disjoint spans in order. */
static struct span *written_spans(const struct infini_ggml_graph *graph, uint32_t *nr)
{
	const struct infini_ggml_place *places[WRITTEN_MAX];
	uint32_t i, j, n = 0, out = 0;
	struct span *spans;

	for (i = 0; i < graph->nr_nodes; i++)
		n += written_places(graph, &graph->tensors[graph->nodes[i]], places);
	spans = calloc(n + 1, sizeof(*spans));
	if (!spans)
		return NULL;
	for (i = 0, n = 0; i < graph->nr_nodes; i++) {
		j = written_places(graph, &graph->tensors[graph->nodes[i]], places);
		while (j--)
			spans[n++] = (struct span){ places[j]->binding, places[j]->offset,
						    places[j]->offset + places[j]->bytes };
	}
	qsort(spans, n, sizeof(*spans), compare_spans);
	for (i = 0; i < n; i++) {
		if (out && spans[out - 1].binding == spans[i].binding &&
		    spans[i].from <= spans[out - 1].to) {
			if (spans[out - 1].to < spans[i].to)
				spans[out - 1].to = spans[i].to;
		} else {
			spans[out++] = spans[i];
		}
	}
	*nr = out;
	return spans;
}

static bool is_written(const struct span *spans, uint32_t nr, const struct infini_ggml_place *place)
{
	uint32_t low = 0, high = nr, mid;

	/* The last span that begins before the end of the place. */
	while (low < high) {
		mid = low + (high - low) / 2;
		if (spans[mid].binding < place->binding ||
		    (spans[mid].binding == place->binding &&
		     spans[mid].from < place->offset + place->bytes))
			low = mid + 1;
		else
			high = mid;
	}
	return low && spans[low - 1].binding == place->binding &&
	       spans[low - 1].to > place->offset;
}

/* ---- the cuts ---- */

struct planner {
	const struct infini_ggml_graph *graph;
	struct infini_ggml_plan *plan;
	const struct span *spans;
	uint32_t nr_spans;
	uint64_t segment_ns;		/* 0: not a CPU */
	uint32_t first;			/* node that the open segment began with */
	uint64_t cost;			/* of the open segment: nanoseconds or launches */
	uint32_t last;			/* last node in it that computes, or INFINI_GGML_NONE */
	uint32_t room;			/* in plan->cuts */
	bool failed;
};

/* A node of the open segment writes into @place. */
static bool written_here(const struct planner *p, uint32_t node,
			 const struct infini_ggml_place *place)
{
	const struct infini_ggml_place *places[WRITTEN_MAX];
	uint32_t i, nr;

	for (i = p->first; i < node; i++) {
		nr = written_places(p->graph, &p->graph->tensors[p->graph->nodes[i]], places);
		while (nr--)
			if (infini_ggml_places_overlap(places[nr], place))
				return true;
	}
	return false;
}

static void add_cut(struct planner *p, struct infini_ggml_cut cut)
{
	struct infini_ggml_plan *plan = p->plan;
	struct infini_ggml_cut *grown;

	if (plan->nr_segments == p->room && !p->failed) {
		grown = realloc(plan->cuts, (2 * p->room + 64) * sizeof(*grown));
		p->failed = !grown;
		if (grown) {
			plan->cuts = grown;
			p->room = 2 * p->room + 64;
		}
	}
	if (!p->failed)
		plan->cuts[plan->nr_segments++] = cut;
}

static void cut_before(struct planner *p, uint32_t node)
{
	add_cut(p, (struct infini_ggml_cut){ .first = p->first, .end = node });
	p->first = node;
	p->cost = 0;
	p->last = INFINI_GGML_NONE;
}

static uint32_t round_up(uint64_t n, uint32_t unit)
{
	return (uint32_t)((n + unit - 1) / unit * unit);
}

/* One matrix times one other: what each part of it computes, or false where it stays whole. */
static bool part_of(const struct planner *p, const struct ggml_tensor *t, uint64_t cost,
		    struct infini_ggml_cut *part)
{
	uint64_t rows = (uint64_t)t->ne[0], columns = (uint64_t)t->ne[1], nr, across = 1;
	uint64_t limit = p->segment_ns;

	if (columns >= PART_COLUMNS)
		limit *= PROMPT_SEGMENTS;
	if (!limit || cost <= limit || t->op != GGML_OP_MUL_MAT || t->op_params[1] ||
	    !ggml_is_matrix(t->src[0]) || !ggml_is_matrix(t->src[1]))
		return false;
	nr = (cost + limit - 1) / limit;
	if (nr > PARTS_MAX)
		nr = PARTS_MAX;
	part->columns = (uint32_t)columns;
	if (columns >= 2 * PART_COLUMNS) {
		part->columns = round_up((columns + nr - 1) / nr, PART_COLUMNS);
		across = (columns + part->columns - 1) / part->columns;
		nr = (nr + across - 1) / across;
	}
	part->rows = (uint32_t)rows;
	if (nr > 1 && rows % PART_ROWS == 0)
		part->rows = round_up((rows + nr - 1) / nr, PART_ROWS);
	return part->rows < rows || part->columns < columns;
}

static void cut_parts(struct planner *p, uint32_t node, const struct ggml_tensor *t,
		      const struct infini_ggml_cut *part)
{
	uint32_t rows = (uint32_t)t->ne[0], left = (uint32_t)t->ne[1];
	struct infini_ggml_cut cut = { .first = node, .end = node + 1 };

	if (p->first < node)
		cut_before(p, node);
	for (cut.column = 0; left; cut.column += cut.columns, left -= cut.columns) {
		cut.columns = left < part->columns + PART_COLUMNS ? left : part->columns;
		for (cut.row = 0; cut.row < rows; cut.row += part->rows) {
			cut.rows = rows - cut.row < part->rows ? rows - cut.row : part->rows;
			add_cut(p, cut);
		}
	}
	p->first = node + 1;
	p->cost = 0;
	p->last = INFINI_GGML_NONE;
}

static void plan_node(struct planner *p, uint32_t node)
{
	const struct infini_ggml_graph *graph = p->graph;
	const struct ggml_tensor *t = &graph->tensors[graph->nodes[node]];
	struct infini_ggml_demand d = infini_ggml_rule_demand(t);
	uint64_t cost, limit = p->segment_ns ? p->segment_ns : SEGMENT_LAUNCHES;
	struct infini_ggml_check *check = NULL;
	struct infini_ggml_cut part;
	bool may;

	if (infini_ggml_is_view_op(t->op))
		return;
	cost = p->segment_ns ? infini_ggml_plan_cost(t) : 1;
	may = p->last == INFINI_GGML_NONE ||
	      may_cut(&graph->tensors[graph->nodes[p->last]], t, p->segment_ns);
	if (may && part_of(p, t, cost, &part)) {
		cut_parts(p, node, t, &part);
		return;
	}
	if (may && p->last != INFINI_GGML_NONE && p->cost + (p->segment_ns ? cost : 0) >= limit)
		cut_before(p, node);
	if (d.content != INFINI_GGML_CONTENT_FREE) {
		const struct infini_ggml_place *src =
			&graph->places[t->src[d.src] - graph->tensors];

		check = &p->plan->checks[p->plan->nr_checks++];
		check->tensor = graph->nodes[node];
		check->stable = !is_written(p->spans, p->nr_spans, src);
		if (!check->stable && written_here(p, node, src))
			cut_before(p, node);
		check->segment = p->plan->nr_segments;
	}
	p->cost += cost;
	p->last = node;
}

int infini_ggml_plan_make(const struct infini_ggml_graph *graph, uint64_t segment_ns,
			  struct infini_ggml_plan *plan)
{
	struct planner p = { .graph = graph, .plan = plan, .segment_ns = segment_ns,
			     .last = INFINI_GGML_NONE };
	struct span *spans = written_spans(graph, &p.nr_spans);
	uint32_t i;

	memset(plan, 0, sizeof(*plan));
	plan->checks = calloc(graph->nr_nodes + 1, sizeof(*plan->checks));
	p.failed = !spans || !plan->checks;
	p.spans = spans;
	for (i = 0; i < graph->nr_nodes && !p.failed; i++)
		plan_node(&p, i);
	if (p.first < graph->nr_nodes)
		cut_before(&p, graph->nr_nodes);
	free(spans);
	if (!p.failed)
		return 0;
	infini_ggml_plan_free(plan);
	return -ENOMEM;
}

void infini_ggml_plan_free(struct infini_ggml_plan *plan)
{
	free(plan->cuts);
	free(plan->checks);
	memset(plan, 0, sizeof(*plan));
}
