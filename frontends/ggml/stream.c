// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A ggml backend: runs graphs, each with one SUBMIT that waits.
 */
#include "frontend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All of one submission but the job itself. */
struct infini_run {
	struct infini_ggml_run args;
	struct infini_binding bindings[INFINI_LINK_BINDINGS];
	struct infini_area *areas[INFINI_LINK_BINDINGS];
	uint32_t nr_bindings;
	struct infini_input inputs[INFINI_LINK_COPIES];
	uint32_t nr_inputs;
	struct infini_output outputs[INFINI_MIRRORS];
	uint32_t nr_outputs;
};

static const char *infini_stream_name(ggml_backend_t backend)
{
	(void)backend;
	return INFINI_DEVICE_NAME;
}

static uint32_t infini_run_most(const struct infini_link *link)
{
	return link->query.max_bindings < INFINI_LINK_BINDINGS ? link->query.max_bindings :
								  INFINI_LINK_BINDINGS;
}

/* The binding of @area, added if need be; the last one is left for the staging buffer. */
static bool infini_run_bind(struct infini_run *run, const struct infini_link *link,
			    struct infini_area *area, uint32_t access, uint32_t *binding)
{
	uint32_t i;

	for (i = 0; i < run->nr_bindings && run->areas[i] != area; i++)
		;
	if (i == run->nr_bindings) {
		if (i + 1 >= infini_run_most(link))
			return false;
		run->areas[i] = area;
		run->bindings[i] = (struct infini_binding){ .buffer = area->handle };
		run->nr_bindings++;
	}
	run->bindings[i].access |= access;
	*binding = i;
	return true;
}

/* Writes that wait ride along, unless they need more buffers than a job can name. */
static void infini_run_inputs(struct infini_run *run, struct infini_link *link)
{
	uint32_t bindings = run->nr_bindings, i;

	for (i = 0; i < link->nr_deferred; i++) {
		const struct infini_deferred *deferred = &link->deferred[i];
		struct infini_input *input = &run->inputs[i];

		if (!infini_run_bind(run, link, deferred->range.area, INFINI_ACCESS_WRITE,
				     &input->binding)) {
			run->nr_bindings = bindings;
			infini_defer_flush_locked(link);
			return;
		}
		input->bytes = deferred->range.bytes;
		input->offset = deferred->range.offset;
		input->data = (uintptr_t)(link->inline_bytes + deferred->data);
		infini_trace_add(INFINI_TRACE_INLINE_BYTES, input->bytes);
	}
	run->nr_inputs = link->nr_deferred;
	link->nr_deferred = 0;
	link->inline_used = 0;
}

/* What will be read comes along, as far as there is room. Only memory the job names can. */
static void infini_run_outputs(struct infini_run *run, struct infini_link *link,
			       const struct infini_graph *graph)
{
	uint32_t stage = run->nr_bindings, i;

	infini_mirror_clear_locked(link);
	infini_stage_grow_locked(link, infini_mirror_bytes(graph->reads, graph->nr_reads));
	run->bindings[stage] = (struct infini_binding){ link->stage.handle, INFINI_ACCESS_WRITE };
	for (i = 0; i < graph->nr_reads && run->nr_outputs < link->query.max_copies; i++) {
		const struct infini_range *range = &graph->reads[i];
		struct infini_output *output = &run->outputs[run->nr_outputs];
		uint32_t src;
		uint64_t at;

		for (src = 0; src < run->nr_bindings && run->areas[src] != range->area; src++)
			;
		if (src == run->nr_bindings)
			continue;
		at = infini_mirror_add_locked(link, *range);
		if (!at)
			continue;
		run->bindings[src].access |= INFINI_ACCESS_READ;
		*output = (struct infini_output){
			.src_binding = src,
			.dst_binding = stage,
			.src_offset = range->offset,
			.dst_offset = at,
			.bytes = range->bytes,
		};
		run->nr_outputs++;
	}
	if (run->nr_outputs)
		run->nr_bindings++;
}

static int infini_run_graph_locked(struct infini_stream *stream, const struct infini_graph *graph)
{
	struct infini_link *link = stream->link;
	struct infini_run run = { .args = { .threads = stream->threads } };
	struct infini_job *job;
	uint64_t value;
	uint32_t i, j;
	int err;

	for (i = 0; i < graph->nr_bindings; i++) {
		infini_run_bind(&run, link, graph->areas[i], graph->access[i], &j);
		if (graph->access[i] & INFINI_ACCESS_WRITE)
			graph->areas[i]->written = true;
	}
	infini_run_inputs(&run, link);
	infini_run_outputs(&run, link, graph);
	job = infini_submit_job_locked(link);
	job->op = INFINI_OP_PROGRAM;
	job->program = graph->program;
	job->nr_bindings = run.nr_bindings;
	job->nr_inputs = run.nr_inputs;
	job->nr_outputs = run.nr_outputs;
	job->args_bytes = sizeof(run.args);
	job->bindings = (uintptr_t)run.bindings;
	job->inputs = (uintptr_t)run.inputs;
	job->outputs = (uintptr_t)run.outputs;
	job->args = (uintptr_t)&run.args;
	job->timeout_ns = link->query.max_timeout_ns;
	job->request_id = stream->request_id;
	err = infini_submit_last_locked(link, &value);
	if (err)
		infini_mirror_clear_locked(link);
	return err;
}

/* A failed graph loses its inputs; if the memory itself is lost, no later one can be right. */
static void infini_stream_failed(struct infini_link *link, int err)
{
	if (err == -EOWNERDEAD || err == -ENODEV || err == -EHOSTDOWN || err == -ECANCELED)
		infini_submit_break_locked(link, err, "a graph");
	else if (!link->broken)
		infini_say("vdev \"%s\": a graph failed: %s", infini_link_name(link),
			   infini_link_reason(err));
}

static enum ggml_status infini_stream_compute(ggml_backend_t backend, struct ggml_cgraph *cgraph)
{
	struct infini_stream *stream = backend->context;
	struct infini_link *link = stream->link;
	struct infini_graph *graph;
	int err;

	if (!ggml_graph_n_nodes(cgraph))
		return GGML_STATUS_SUCCESS;
	infini_trace_add(INFINI_TRACE_GRAPHS, 1);
	pthread_mutex_lock(&link->lock);
	err = infini_link_start_locked(link);
	if (!err)
		err = infini_graphs_find_locked(link, cgraph, &graph);
	if (!err) {
		err = infini_run_graph_locked(stream, graph);
		infini_graphs_ran_locked(link, graph);
		if (err)
			infini_stream_failed(link, err);
	}
	pthread_mutex_unlock(&link->lock);
	return err ? GGML_STATUS_FAILED : GGML_STATUS_SUCCESS;
}

static void infini_stream_free(ggml_backend_t backend)
{
	struct infini_stream *stream = backend->context;

	pthread_mutex_lock(&stream->link->lock);
	infini_link_put_locked(stream->link);
	pthread_mutex_unlock(&stream->link->lock);
	free(stream);
	free(backend);
}

/* ggml tells every backend before each batch; 0 leaves it to the executor. */
void infini_stream_set_threads(ggml_backend_t backend, int threads)
{
	struct infini_stream *stream = backend->context;

	stream->threads = threads > 0 ? (uint32_t)threads : 0;
}

static const struct ggml_backend_i infini_stream_iface = {
	.get_name = infini_stream_name,
	.free = infini_stream_free,
	.graph_compute = infini_stream_compute,
};

static ggml_guid infini_stream_guid = {
	0x8d, 0x1f, 0x63, 0x5a, 0x70, 0xc4, 0x4e, 0x0b,
	0x9a, 0x27, 0x11, 0xbb, 0x6e, 0x66, 0x69, 0x42,
};

/* NULL when the vdev cannot be used; says why. */
ggml_backend_t infini_stream_create(ggml_backend_dev_t dev, struct infini_link *link)
{
	struct infini_stream *stream = calloc(1, sizeof(*stream));
	struct ggml_backend *backend = calloc(1, sizeof(*backend));
	int err = stream && backend ? 0 : -ENOMEM;

	pthread_mutex_lock(&link->lock);
	if (!err) {
		infini_link_get_locked(link);
		err = infini_link_start_locked(link);
		if (err)
			infini_link_put_locked(link);
	}
	if (!err) {
		stream->link = link;
		stream->request_id = (uint64_t)getpid() << 32 | ++link->streams;
	}
	pthread_mutex_unlock(&link->lock);
	if (err) {
		free(stream);
		free(backend);
		return NULL;
	}
	*backend = (struct ggml_backend){
		.guid = &infini_stream_guid,
		.iface = infini_stream_iface,
		.device = dev,
		.context = stream,
	};
	return backend;
}
