// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Loading, running and preempting programs.
 */
#include "ggml_program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "ggml_build.h"
#include "ggml_content.h"
#include "ggml_kinds.h"
#include "ggml_plan.h"
#include "ggml_tokens.h"

struct infini_backend_program {
	struct infini_ggml_graph graph;
	struct infini_ggml_plan plan;
	struct infini_ggml_tokens tokens;
	struct infini_ggml_counts counts;	/* of the run that began last */
	struct infini_ggml_build build;
	bool is_built;
	uint64_t bytes;			/* of host memory, without the build */
};

static int refused(struct infini_backend *backend, int ret, const struct infini_ggml_why *why)
{
	infini_ggml_log(backend->log, LOG_WARNING, "ggml program refused: %s", why->text);
	return ret;
}

int infini_ggml_program_load(struct infini_backend *backend, const void *data, size_t bytes,
			     struct infini_backend_program **program)
{
	struct infini_backend_program *p = calloc(1, sizeof(*p));
	struct infini_ggml_why why;
	int ret;

	if (!p)
		return -ENOMEM;
	ret = infini_ggml_graph_parse(data, bytes, &p->graph, &why);
	if (ret) {
		free(p);
		return refused(backend, ret, &why);
	}
	ret = infini_ggml_plan_make(&p->graph, backend->segment_ns, &p->plan);
	if (!ret)
		ret = infini_ggml_tokens_count(&p->graph, &p->tokens);
	if (ret) {
		infini_ggml_plan_free(&p->plan);
		infini_ggml_graph_free(&p->graph);
		free(p);
		return ret;
	}
	p->bytes = sizeof(*p) + p->graph.nr_tensors * (sizeof(*p->graph.tensors) +
						       sizeof(*p->graph.places));
	backend->held_bytes += p->bytes;
	*program = p;
	return 0;
}

static void unbuild(struct infini_backend *backend, struct infini_backend_program *p)
{
	if (!p->is_built)
		return;
	backend->held_bytes -= p->build.bytes;
	infini_ggml_build_free(&p->build);
	p->is_built = false;
}

void infini_ggml_program_free(struct infini_backend *backend,
			      struct infini_backend_program *program)
{
	unbuild(backend, program);
	backend->held_bytes -= program->bytes;
	infini_ggml_plan_free(&program->plan);
	infini_ggml_graph_free(&program->graph);
	free(program);
}

/* ---- a run ---- */

static int read_threads(const struct infini_backend_run *run, uint32_t *threads)
{
	struct infini_ggml_run args = { 0 };

	if (run->args_bytes) {
		if (run->args_bytes != sizeof(args))
			return -EINVAL;
		memcpy(&args, run->args, sizeof(args));
	}
	if (args.pad)
		return -EINVAL;
	*threads = args.threads;
	return 0;
}

static int check_bindings(const struct infini_backend_program *p,
			  const struct infini_backend_run *run, struct infini_ggml_why *why)
{
	uint32_t i;

	if (run->nr_bindings < p->graph.nr_bindings) {
		infini_ggml_why_set(why, "%u bindings, the program names %u", run->nr_bindings,
				    p->graph.nr_bindings);
		return -EINVAL;
	}
	for (i = 0; i < p->graph.nr_bindings; i++) {
		const struct infini_ggml_need *need = &p->graph.needs[i];
		const struct infini_backend_binding *binding = &run->bindings[i];

		if (binding->buffer->bytes < need->bytes)
			infini_ggml_why_set(why, "binding %u has %llu bytes, the program uses %llu",
					    i, (unsigned long long)binding->buffer->bytes,
					    (unsigned long long)need->bytes);
		else if (need->access & ~binding->access)
			infini_ggml_why_set(why, "binding %u lacks access 0x%x", i,
					    need->access & ~binding->access);
		else if (need->contents && binding->buffer->type != INFINI_BUFFER_DEVICE)
			/* The client, or who may write the file, could change an index after the check. */
			infini_ggml_why_set(why, "binding %u is %s and holds indices", i,
					    binding->buffer->type == INFINI_BUFFER_FILE ?
					    "a FILE" : "SHARED");
		else
			continue;
		return -EINVAL;
	}
	return 0;
}

static bool is_current(const struct infini_backend_program *p,
		       const struct infini_backend_run *run)
{
	uint32_t i;

	if (!p->is_built)
		return false;
	for (i = 0; i < p->graph.nr_bindings; i++)
		if (((struct infini_ggml_buffer *)run->bindings[i].buffer->priv)->serial !=
		    p->build.serials[i])
			return false;
	return true;
}

/* Two names for one memory would hide what is written where. */
static bool is_aliased(const struct infini_backend_program *p,
		       const struct infini_backend_run *run)
{
	uint32_t i, j;

	for (i = 0; i < p->graph.nr_bindings; i++)
		for (j = 0; p->graph.needs[i].tensors && j < i; j++)
			if (p->graph.needs[j].tensors &&
			    run->bindings[i].buffer == run->bindings[j].buffer)
				return true;
	return false;
}

static int prepare(struct infini_backend *backend, struct infini_backend_program *p,
		   const struct infini_backend_run *run, struct infini_ggml_why *why)
{
	int ret;

	if (is_current(p, run))
		return 0;
	unbuild(backend, p);
	if (is_aliased(p, run)) {
		infini_ggml_why_set(why, "one buffer stands behind two bindings");
		return -EINVAL;
	}
	ret = infini_ggml_build_make(backend, &p->graph, &p->plan, run->bindings, &p->build, why);
	if (ret)
		return ret;
	p->is_built = true;
	backend->held_bytes += p->build.bytes;
	return 0;
}

/*
 * The checks of @segment. Index tensors that no node writes are all looked at when a run begins
 * or goes on: until it stops, nothing else can write them.
 */
static int check_contents(struct infini_backend *backend, struct infini_backend_program *p,
			  const struct infini_backend_run *run, uint32_t segment, bool begins,
			  struct infini_ggml_why *why)
{
	uint32_t i;
	int ret;

	for (i = 0; i < p->plan.nr_checks; i++) {
		const struct infini_ggml_check *check = &p->plan.checks[i];

		if (check->stable ? !begins || check->segment < segment :
				    check->segment != segment)
			continue;
		ret = infini_ggml_content_check(backend, &p->graph, check->tensor, run->bindings,
						why);
		if (ret)
			return ret;
	}
	return 0;
}

/* One segment, and what it needs before that. */
static enum ggml_status compute(struct infini_backend *backend, struct infini_ggml_build *build, uint32_t segment,
				bool first)
{
	struct ggml_cgraph *form = infini_ggml_build_form(backend, build, segment, first), *graph;
	enum ggml_status status = GGML_STATUS_SUCCESS;

	if (form)
		status = ggml_backend_graph_compute(backend->stream, form);
	if (status != GGML_STATUS_SUCCESS)
		return status;
	graph = infini_ggml_build_graph(build, segment);
	return graph ? ggml_backend_graph_compute(backend->stream, graph) : status;
}

static int run_segments(struct infini_backend *backend, struct infini_backend_program *p,
			struct infini_backend_run *run, struct infini_ggml_why *why)
{
	uint32_t first = (uint32_t)run->segment, i;
	enum ggml_status status;
	int ret;

	for (i = first; i < p->plan.nr_segments; i++) {
		if (i > first && run->should_yield && run->should_yield(run)) {
			run->segment = i;
			return INFINI_BACKEND_PREEMPTED;
		}
		ret = check_contents(backend, p, run, i, i == first, why);
		if (ret)
			return ret;
		status = compute(backend, &p->build, i, i == first);
		if (status != GGML_STATUS_SUCCESS) {
			infini_ggml_why_set(why, "segment %u of %u: %s", i, p->plan.nr_segments,
					    ggml_status_to_string(status));
			return status == GGML_STATUS_ALLOC_FAILED ? -ENOMEM : -EIO;
		}
	}
	return 0;
}

static void report_tokens(const struct infini_backend_program *p, struct infini_backend_run *run)
{
	run->tokens_evaluated = p->tokens.evaluated;
	run->tokens_generated = p->counts.generated;
	run->prompts = p->counts.prompts;
	run->tokens_scored = p->counts.scored;
	run->tokens_embedded = p->tokens.embeds ? p->tokens.evaluated : 0;
}

int infini_ggml_program_run(struct infini_backend *backend,
			    struct infini_backend_program *program,
			    struct infini_backend_run *run)
{
	struct infini_ggml_why why = { "" };
	uint32_t threads;
	int ret;

	ret = read_threads(run, &threads);
	if (ret) {
		infini_ggml_why_set(&why, "arguments are no struct infini_ggml_run");
		return refused(backend, ret, &why);
	}
	if (run->segment > program->plan.nr_segments) {
		infini_ggml_why_set(&why, "segment %llu of %u", (unsigned long long)run->segment,
				    program->plan.nr_segments);
		return refused(backend, -EINVAL, &why);
	}
	ret = check_bindings(program, run, &why);
	if (!ret)
		ret = prepare(backend, program, run, &why);
	if (ret)
		return refused(backend, ret, &why);
	infini_ggml_threads_set(backend, threads);
	if (!run->segment)
		infini_ggml_kinds_count(backend, &program->graph, &program->tokens, run,
					&program->counts);
	ret = run_segments(backend, program, run, &why);
	if (ret < 0)
		return refused(backend, ret, &why);
	if (!ret)
		report_tokens(program, run);
	return ret;
}
