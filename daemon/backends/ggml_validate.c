// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Validation of ggml programs; see ggml_validate.h for what it promises, ggml_rules.h for the
 * operations.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/infini.h>

#include "ggml_rules.h"
#include "ggml_validate.h"

_Static_assert(INFINI_GGML_SRC_MAX == GGML_MAX_SRC, "sources");
_Static_assert(INFINI_GGML_DIMS == GGML_MAX_DIMS, "dimensions");
_Static_assert(INFINI_GGML_PARAMS * 4 == GGML_MAX_OP_PARAMS, "parameters");
_Static_assert(INFINI_GGML_NAME_MAX == GGML_MAX_NAME, "names");

#define KNOWN_FLAGS	(GGML_TENSOR_FLAG_INPUT | GGML_TENSOR_FLAG_OUTPUT | \
			 GGML_TENSOR_FLAG_PARAM | GGML_TENSOR_FLAG_LOSS | GGML_TENSOR_FLAG_COMPUTE)
/* The others are for training, and PARAM makes ggml take a leaf for a node. */
#define KEPT_FLAGS	(GGML_TENSOR_FLAG_INPUT | GGML_TENSOR_FLAG_OUTPUT | \
			 GGML_TENSOR_FLAG_COMPUTE)

void infini_ggml_why_set(struct infini_ggml_why *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why->text, sizeof(why->text), format, args);
	va_end(args);
}

bool infini_ggml_is_view_op(enum ggml_op op)
{
	return op == GGML_OP_NONE || op == GGML_OP_RESHAPE || op == GGML_OP_VIEW ||
	       op == GGML_OP_PERMUTE || op == GGML_OP_TRANSPOSE;
}

/* Prefixes the reason with the tensor it is about. */
static int refuse(struct infini_ggml_why *why, uint32_t index, const char *format, ...)
{
	struct infini_ggml_why reason;
	va_list args;

	va_start(args, format);
	vsnprintf(reason.text, sizeof(reason.text), format, args);
	va_end(args);
	infini_ggml_why_set(why, "tensor %u: %.130s", index, reason.text);
	return -EINVAL;
}

/* ---- one tensor ---- */

static int check_shape(const struct infini_ggml_tensor *in, struct infini_ggml_why *why)
{
	uint64_t elements = 1;
	int i;

	/* ggml's kernels keep lengths and numbers of rows in int, and add their threads to it. */
	for (i = 0; i < INFINI_GGML_DIMS; i++) {
		if (in->ne[i] > INT32_MAX) {
			infini_ggml_why_set(why, "dimension %d of %llu exceeds %d", i,
					    (unsigned long long)in->ne[i], INT32_MAX);
			return -EINVAL;
		}
		if (i && __builtin_mul_overflow(elements, in->ne[i], &elements))
			elements = UINT64_MAX;
		if (elements > INT32_MAX - GGML_MAX_N_THREADS) {
			infini_ggml_why_set(why, "more than %d rows",
					    INT32_MAX - GGML_MAX_N_THREADS);
			return -EINVAL;
		}
	}
	return 0;
}

static bool is_empty(const struct infini_ggml_tensor *in)
{
	return !in->ne[0] || !in->ne[1] || !in->ne[2] || !in->ne[3];
}

/* The bytes from the first element to behind the last one, as ggml_nbytes() counts them. */
static int check_strides(const struct infini_ggml_tensor *in, uint64_t *bytes,
			 struct infini_ggml_why *why)
{
	uint64_t size = ggml_type_size(in->type), block = (uint64_t)ggml_blck_size(in->type);
	uint64_t span, total = size;
	int i;

	if (in->ne[0] % block) {
		infini_ggml_why_set(why, "rows of %llu are no multiple of blocks of %llu",
				    (unsigned long long)in->ne[0], (unsigned long long)block);
		return -EINVAL;
	}
	if (block > 1 && in->nb[0] != size) {
		infini_ggml_why_set(why, "blocks of %llu bytes stand %llu apart",
				    (unsigned long long)size, (unsigned long long)in->nb[0]);
		return -EINVAL;
	}
	if (block > 1)
		total = in->ne[0] / block * size;
	for (i = 0; i < INFINI_GGML_DIMS; i++) {
		/* Elements of whole types must stay aligned, whatever the view. */
		if (block == 1 && in->nb[i] % size) {
			infini_ggml_why_set(why, "stride %d of %llu splits elements of %llu", i,
					    (unsigned long long)in->nb[i],
					    (unsigned long long)size);
			return -EINVAL;
		}
		if (i == 0 && block > 1)
			continue;
		if (__builtin_mul_overflow(in->ne[i] - 1, in->nb[i], &span) ||
		    __builtin_add_overflow(total, span, &total) || total > INT64_MAX) {
			infini_ggml_why_set(why, "strides span more than memory can");
			return -EINVAL;
		}
	}
	*bytes = total;
	return 0;
}

int infini_ggml_tensor_parse(const struct infini_ggml_tensor *in, struct ggml_tensor *out,
			     uint64_t *bytes, struct infini_ggml_why *why)
{
	int i, ret;

	if (in->type >= GGML_TYPE_COUNT || !ggml_blck_size(in->type) || !ggml_type_size(in->type)) {
		infini_ggml_why_set(why, "no such type %u", in->type);
		return -EINVAL;
	}
	if (in->op >= GGML_OP_COUNT) {
		infini_ggml_why_set(why, "no such operation %u", in->op);
		return -EINVAL;
	}
	if (in->flags & ~KNOWN_FLAGS || in->pad) {
		infini_ggml_why_set(why, "unknown flags 0x%x", in->flags);
		return -EINVAL;
	}
	ret = check_shape(in, why);
	*bytes = 0;
	if (!ret && !is_empty(in))
		ret = check_strides(in, bytes, why);
	if (ret)
		return ret;
	memset(out, 0, sizeof(*out));
	out->type = in->type;
	out->op = in->op;
	out->flags = in->flags & KEPT_FLAGS;
	for (i = 0; i < INFINI_GGML_DIMS; i++) {
		out->ne[i] = (int64_t)in->ne[i];
		out->nb[i] = in->nb[i];
	}
	memcpy(out->op_params, in->op_params, sizeof(out->op_params));
	memcpy(out->name, in->name, sizeof(out->name) - 1);
	return 0;
}

int infini_ggml_node_check(const struct ggml_tensor *t, struct infini_ggml_why *why)
{
	const struct infini_ggml_rule *rule = infini_ggml_rule_get(t->op);
	const char *problem;
	int i;

	if (!rule) {
		infini_ggml_why_set(why, "%s is not run here", ggml_op_name(t->op));
		return -EOPNOTSUPP;
	}
	for (i = 0; i < GGML_MAX_SRC; i++) {
		if (!t->src[i] && (rule->need & (1 << i))) {
			infini_ggml_why_set(why, "%s lacks source %d", ggml_op_name(t->op), i);
			return -EINVAL;
		}
		if (t->src[i] && !((rule->need | rule->may) & (1 << i))) {
			infini_ggml_why_set(why, "%s has a source %d", ggml_op_name(t->op), i);
			return -EINVAL;
		}
		if (t->src[i] && ggml_is_empty(t->src[i]) && !infini_ggml_is_view_op(t->op) &&
		    !(rule->empty & (1 << i))) {
			infini_ggml_why_set(why, "%s: source %d is empty", ggml_op_name(t->op), i);
			return -EINVAL;
		}
	}
	problem = rule->check(t);
	if (problem) {
		infini_ggml_why_set(why, "%s: %s", ggml_op_name(t->op), problem);
		return -EINVAL;
	}
	return 0;
}

/* ---- the program around them ---- */

struct parser {
	const struct infini_ggml_tensor *in;
	const uint32_t *order;
	uint32_t nr_order;
	struct infini_ggml_graph *graph;
	struct infini_ggml_why *why;
};

static int check_header(const struct infini_ggml_program *head, size_t bytes,
			struct infini_ggml_why *why)
{
	/* Each count is below 2^32: the sum cannot overflow 64 bits. */
	uint64_t want = sizeof(*head) +
			(uint64_t)head->nr_tensors * sizeof(struct infini_ggml_tensor) +
			(uint64_t)head->nr_nodes * sizeof(uint32_t);

	if (head->magic != INFINI_GGML_MAGIC || head->version != INFINI_GGML_VERSION) {
		infini_ggml_why_set(why, "magic 0x%x version %u are not those of a program, "
				    "0x%x version %u", head->magic, head->version,
				    INFINI_GGML_MAGIC, INFINI_GGML_VERSION);
	} else if (head->ops != GGML_OP_COUNT || head->types != GGML_TYPE_COUNT) {
		infini_ggml_why_set(why, "written for another ggml: %u operations and %u types, "
				    "here are %d and %d", head->ops, head->types, GGML_OP_COUNT,
				    GGML_TYPE_COUNT);
	} else if (head->pad) {
		infini_ggml_why_set(why, "padding is set");
	} else if (head->nr_tensors > INFINI_GGML_TENSORS_MAX || !head->nr_tensors) {
		infini_ggml_why_set(why, "%u tensors, 1..%u are possible", head->nr_tensors,
				    INFINI_GGML_TENSORS_MAX);
	} else if (head->nr_nodes > head->nr_tensors) {
		infini_ggml_why_set(why, "%u nodes among %u tensors", head->nr_nodes,
				    head->nr_tensors);
	} else if (head->nr_bindings > INFINI_GGML_BINDINGS_MAX) {
		infini_ggml_why_set(why, "%u bindings exceed %u", head->nr_bindings,
				    INFINI_GGML_BINDINGS_MAX);
	} else if (bytes != want) {
		infini_ggml_why_set(why, "%zu bytes, the counts say %llu", bytes,
				    (unsigned long long)want);
	} else {
		return 0;
	}
	return -EINVAL;
}

static int graph_alloc(struct infini_ggml_graph *graph, const struct infini_ggml_program *head)
{
	graph->nr_tensors = head->nr_tensors;
	graph->nr_bindings = head->nr_bindings;
	graph->tensors = calloc(head->nr_tensors, sizeof(*graph->tensors));
	graph->places = calloc(head->nr_tensors, sizeof(*graph->places));
	graph->nodes = calloc(head->nr_nodes + 1, sizeof(*graph->nodes));
	graph->needs = calloc(head->nr_bindings + 1, sizeof(*graph->needs));
	return graph->tensors && graph->places && graph->nodes && graph->needs ? 0 : -ENOMEM;
}

static int parse_order(struct parser *p)
{
	struct infini_ggml_graph *graph = p->graph;
	uint32_t i;

	for (i = 0; i < graph->nr_tensors; i++)
		graph->places[i].node = INFINI_GGML_NONE;
	for (i = 0; i < p->nr_order; i++) {
		if (p->order[i] >= graph->nr_tensors) {
			infini_ggml_why_set(p->why, "node %u is tensor %u of %u", i, p->order[i],
					    graph->nr_tensors);
			return -EINVAL;
		}
		if (graph->places[p->order[i]].node != INFINI_GGML_NONE)
			return refuse(p->why, p->order[i], "is a node twice");
		graph->places[p->order[i]].node = i;
	}
	return 0;
}

static int parse_place(struct parser *p, uint32_t index)
{
	const struct infini_ggml_tensor *in = &p->in[index];
	struct infini_ggml_place *place = &p->graph->places[index];
	uint64_t end;

	if (in->binding >= p->graph->nr_bindings)
		return refuse(p->why, index, "binding %u of %u", in->binding,
			      p->graph->nr_bindings);
	if (__builtin_add_overflow(in->offset, place->bytes, &end) || end > INT64_MAX)
		return refuse(p->why, index, "offset %llu", (unsigned long long)in->offset);
	if (ggml_blck_size(in->type) == 1 && in->offset % ggml_type_size(in->type))
		return refuse(p->why, index, "offset %llu splits elements of %zu",
			      (unsigned long long)in->offset, ggml_type_size(in->type));
	place->binding = in->binding;
	place->offset = in->offset;
	return 0;
}

static int parse_view(struct parser *p, uint32_t index)
{
	const struct infini_ggml_tensor *in = &p->in[index];
	struct infini_ggml_place *place = &p->graph->places[index], *base;
	struct ggml_tensor *t = &p->graph->tensors[index];

	if (in->view_src == INFINI_GGML_NONE)
		return in->view_offs ? refuse(p->why, index, "a view of nothing") : 0;
	if (in->view_src >= index)
		return refuse(p->why, index, "is a view of the later tensor %u", in->view_src);
	if (p->in[in->view_src].view_src != INFINI_GGML_NONE)
		return refuse(p->why, index, "is a view of a view");
	base = &p->graph->places[in->view_src];
	/* What is empty lies nowhere. */
	if (place->bytes && (place->binding != base->binding ||
			     in->view_offs > base->bytes ||
			     place->bytes > base->bytes - in->view_offs ||
			     place->offset != base->offset + in->view_offs))
		return refuse(p->why, index, "leaves the tensor %u that it is a view of",
			      in->view_src);
	t->view_src = &p->graph->tensors[in->view_src];
	t->view_offs = place->bytes ? in->view_offs : 0;
	return 0;
}

static int parse_sources(struct parser *p, uint32_t index)
{
	const struct infini_ggml_tensor *in = &p->in[index];
	uint32_t me = p->graph->places[index].node, src, at;
	int i;

	for (i = 0; i < INFINI_GGML_SRC_MAX; i++) {
		src = in->src[i];
		if (src == INFINI_GGML_NONE)
			continue;
		if (me == INFINI_GGML_NONE)
			return refuse(p->why, index, "is no node but has a source");
		/* ggml_cast() makes a CPY its own destination. */
		if (src > index || (src == index && (in->op != GGML_OP_CPY || i != 1)))
			return refuse(p->why, index, "source %d is the later tensor %u", i, src);
		at = p->graph->places[src].node;
		if (src != index && at != INFINI_GGML_NONE && at > me)
			return refuse(p->why, index, "source %d is computed later", i);
		p->graph->tensors[index].src[i] = &p->graph->tensors[src];
	}
	if (me == INFINI_GGML_NONE && in->op != GGML_OP_NONE)
		return refuse(p->why, index, "has an operation but is no node");
	return 0;
}

static int parse_tensors(struct parser *p)
{
	struct infini_ggml_graph *graph = p->graph;
	struct infini_ggml_why reason;
	uint32_t i;
	int ret;

	for (i = 0; i < graph->nr_tensors; i++) {
		ret = infini_ggml_tensor_parse(&p->in[i], &graph->tensors[i],
					       &graph->places[i].bytes, &reason);
		if (ret)
			return refuse(p->why, i, "%s", reason.text);
		ret = parse_place(p, i);
		if (!ret)
			ret = parse_view(p, i);
		if (!ret)
			ret = parse_sources(p, i);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- what it asks of memory ---- */

static void need(struct infini_ggml_graph *graph, uint32_t index, uint64_t bytes, uint32_t access)
{
	const struct infini_ggml_place *place = &graph->places[index];
	struct infini_ggml_need *of = &graph->needs[place->binding];

	if (!place->bytes)
		return;
	if (of->bytes < place->offset + bytes)
		of->bytes = place->offset + bytes;
	of->access |= access;
	of->tensors = true;
}

static int need_contents(struct parser *p, uint32_t index)
{
	struct infini_ggml_graph *graph = p->graph;
	struct infini_ggml_demand d = infini_ggml_rule_demand(&graph->tensors[index]);
	uint32_t src;

	if (d.content == INFINI_GGML_CONTENT_FREE)
		return 0;
	src = (uint32_t)(graph->tensors[index].src[d.src] - graph->tensors);
	/* Writing would change the indices between the check and the last use. */
	if (infini_ggml_places_overlap(&graph->places[index], &graph->places[src]))
		return refuse(p->why, index, "overwrites its own indices");
	graph->needs[graph->places[src].binding].contents = true;
	return 0;
}

/* @index is computed: check it and note what it reads and writes. */
static int accept_node(struct parser *p, uint32_t index)
{
	struct infini_ggml_graph *graph = p->graph;
	const struct ggml_tensor *t = &graph->tensors[index];
	struct infini_ggml_why reason;
	int i, ret;

	ret = infini_ggml_node_check(t, &reason);
	if (ret) {
		refuse(p->why, index, "%s", reason.text);
		return ret;
	}
	if (infini_ggml_is_view_op(t->op)) {
		need(graph, index, graph->places[index].bytes, 0);
		return 0;
	}
	need(graph, index, graph->places[index].bytes, INFINI_ACCESS_WRITE);
	for (i = 0; i < GGML_MAX_SRC; i++) {
		uint64_t bytes;
		uint32_t src;

		if (!t->src[i])
			continue;
		src = (uint32_t)(t->src[i] - graph->tensors);
		bytes = infini_ggml_rule_reach(t, i);
		if (bytes > INT64_MAX - graph->places[src].offset)
			return refuse(p->why, index, "source %d reaches too far", i);
		need(graph, src, bytes, INFINI_ACCESS_READ |
		     (infini_ggml_rule_writes(t, i) ? INFINI_ACCESS_WRITE : 0));
	}
	return need_contents(p, index);
}

/*
 * Nodes without the COMPUTE flag are there for the client's planning only, and an empty result
 * takes no computing: neither is run, so neither has to hold up.
 */
static int accept_nodes(struct parser *p)
{
	struct infini_ggml_graph *graph = p->graph;
	uint32_t i, index;
	int ret;

	for (i = 0; i < p->nr_order; i++) {
		index = p->order[i];
		if (!(graph->tensors[index].flags & GGML_TENSOR_FLAG_COMPUTE) ||
		    ggml_is_empty(&graph->tensors[index])) {
			graph->places[index].node = INFINI_GGML_NONE;
			continue;
		}
		ret = accept_node(p, index);
		if (ret)
			return ret;
		graph->places[index].node = graph->nr_nodes;
		graph->nodes[graph->nr_nodes++] = index;
	}
	for (i = 0; i < graph->nr_tensors; i++)
		need(graph, i, graph->places[i].bytes, 0);
	return 0;
}

int infini_ggml_graph_parse(const void *data, size_t bytes, struct infini_ggml_graph *graph,
			    struct infini_ggml_why *why)
{
	struct infini_ggml_program head;
	struct parser p = { .graph = graph, .why = why };
	int ret;

	memset(graph, 0, sizeof(*graph));
	if (bytes < sizeof(head)) {
		infini_ggml_why_set(why, "%zu bytes are no program", bytes);
		return -EINVAL;
	}
	memcpy(&head, data, sizeof(head));
	ret = check_header(&head, bytes, why);
	if (ret)
		return ret;
	p.in = (const void *)((const char *)data + sizeof(head));
	p.order = (const void *)(p.in + head.nr_tensors);
	p.nr_order = head.nr_nodes;
	ret = graph_alloc(graph, &head);
	if (ret)
		infini_ggml_why_set(why, "no memory for %u tensors", head.nr_tensors);
	else
		ret = parse_order(&p);
	if (!ret)
		ret = parse_tensors(&p);
	if (!ret)
		ret = accept_nodes(&p);
	if (ret)
		infini_ggml_graph_free(graph);
	return ret;
}

void infini_ggml_graph_free(struct infini_ggml_graph *graph)
{
	free(graph->tensors);
	free(graph->places);
	free(graph->nodes);
	free(graph->needs);
	memset(graph, 0, sizeof(*graph));
}
