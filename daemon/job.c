// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One dispatch: from the kernel's description of it to its result.
 *
 * The kernel has checked every range against its buffer. It is checked here once more, because
 * this process writes memory on its word, and a check costs a nanosecond.
 */
#include "job.h"

#include "log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ERRNO_MAX	4095

static bool should_yield(const struct infini_backend_run *run)
{
	return infini_yield_covers(run->yield_ctx);
}

/* @count elements of @element_bytes at @offset of the payload, or NULL. */
static const void *payload_at(const struct infini_job_context *ctx, uint64_t offset,
			      uint64_t count, size_t element_bytes, size_t alignment)
{
	if (offset > ctx->payload_bytes || offset % alignment ||
	    count > (ctx->payload_bytes - offset) / element_bytes)
		return NULL;
	return ctx->payload + offset;
}

/* Writing where a file is mapped would end this process. */
static bool is_writable(const struct infini_backend_buffer *buffer)
{
	return buffer->type != INFINI_BUFFER_FILE;
}

static bool range_inside(const struct infini_backend_buffer *buffer, uint64_t offset,
			 uint64_t bytes)
{
	return offset <= buffer->bytes && bytes <= buffer->bytes - offset;
}

static bool range_writable(const struct infini_backend_buffer *buffer, uint64_t offset,
			   uint64_t bytes)
{
	return is_writable(buffer) && range_inside(buffer, offset, bytes);
}

uint32_t infini_job_bindings_max(size_t payload_bytes)
{
	size_t max = payload_bytes / sizeof(struct infini_dispatch_binding);

	return max > UINT32_MAX ? UINT32_MAX : (uint32_t)max;
}

/* ---- bindings, inputs, outputs ----------------------------------------------------- */

static int bindings_resolve(struct infini_job_context *ctx, const struct infini_dispatch *dispatch)
{
	const struct infini_dispatch_binding *from;
	int ret;

	from = payload_at(ctx, dispatch->bindings, dispatch->nr_bindings, sizeof(*from),
			  _Alignof(struct infini_dispatch_binding));
	if (!from || dispatch->nr_bindings > ctx->max_bindings)
		return -EPROTO;
	for (uint32_t i = 0; i < dispatch->nr_bindings; i++) {
		ret = infini_objects_buffer_get(ctx->objects, &from[i], &ctx->bindings[i].buffer);
		if (ret)
			return ret;
		ctx->bindings[i].access = from[i].access;
		if ((from[i].access & INFINI_ACCESS_WRITE) && !is_writable(ctx->bindings[i].buffer))
			return -EPROTO;
	}
	return 0;
}

static int inputs_apply(const struct infini_job_context *ctx,
			const struct infini_dispatch *dispatch)
{
	struct infini_objects *objects = ctx->objects;
	struct infini_backend_buffer *buffer;
	const struct infini_input *input;
	const void *data;
	int ret;

	input = payload_at(ctx, dispatch->inputs, dispatch->nr_inputs, sizeof(*input),
			   _Alignof(struct infini_input));
	if (!input)
		return -EPROTO;
	for (uint32_t i = 0; i < dispatch->nr_inputs; i++, input++) {
		data = payload_at(ctx, input->data, input->bytes, 1, 1);
		if (!data || input->binding >= dispatch->nr_bindings)
			return -EPROTO;
		buffer = ctx->bindings[input->binding].buffer;
		if (!range_writable(buffer, input->offset, input->bytes))
			return -EPROTO;
		ret = objects->ops->write(objects->backend, buffer, input->offset, data,
					  input->bytes);
		if (ret)
			return ret;
	}
	return 0;
}

static int outputs_apply(const struct infini_job_context *ctx,
			 const struct infini_dispatch *dispatch)
{
	struct infini_objects *objects = ctx->objects;
	struct infini_backend_buffer *dst, *src;
	const struct infini_output *output;
	int ret;

	output = payload_at(ctx, dispatch->outputs, dispatch->nr_outputs, sizeof(*output),
			    _Alignof(struct infini_output));
	if (!output)
		return -EPROTO;
	for (uint32_t i = 0; i < dispatch->nr_outputs; i++, output++) {
		if (output->src_binding >= dispatch->nr_bindings ||
		    output->dst_binding >= dispatch->nr_bindings)
			return -EPROTO;
		src = ctx->bindings[output->src_binding].buffer;
		dst = ctx->bindings[output->dst_binding].buffer;
		if (!range_inside(src, output->src_offset, output->bytes) ||
		    !range_writable(dst, output->dst_offset, output->bytes))
			return -EPROTO;
		ret = objects->ops->copy(objects->backend, dst, output->dst_offset, src,
					 output->src_offset, output->bytes);
		if (ret)
			return ret;
	}
	return 0;
}

/* ---- operations -------------------------------------------------------------------- */

/*
 * Run @bytes in chunks, @chunk at a time, from the chunk that @result->segment says. @backward:
 * the last chunk first, which a copy to a higher address within one buffer needs.
 */
struct transfer {
	struct infini_backend_buffer *dst, *src;	/* @src NULL: fill */
	uint64_t dst_offset, src_offset, bytes;
	uint8_t value;
	bool backward;
};

static int transfer_chunk(struct infini_objects *objects, const struct transfer *t, uint64_t at,
			  uint64_t bytes)
{
	uint64_t offset = t->backward ? t->bytes - at - bytes : at;

	if (!t->src)
		return objects->ops->fill(objects->backend, t->dst, t->dst_offset + offset,
					  t->value, bytes);
	return objects->ops->copy(objects->backend, t->dst, t->dst_offset + offset, t->src,
				  t->src_offset + offset, bytes);
}

static int transfer_run(struct infini_job_context *ctx, const struct transfer *t,
			const struct infini_dispatch *dispatch, struct infini_result *result)
{
	uint64_t at, bytes;
	int ret;

	if (dispatch->segment > t->bytes >> INFINI_JOB_SEGMENT_SHIFT)
		return -EPROTO;
	for (at = dispatch->segment << INFINI_JOB_SEGMENT_SHIFT; at < t->bytes; at += bytes) {
		bytes = t->bytes - at;
		if (bytes > INFINI_JOB_CHUNK_BYTES)
			bytes = INFINI_JOB_CHUNK_BYTES;
		ret = transfer_chunk(ctx->objects, t, at, bytes);
		if (ret)
			return ret;
		if (at + bytes < t->bytes && infini_yield_covers(ctx->yield)) {
			result->segment = (at + bytes) >> INFINI_JOB_SEGMENT_SHIFT;
			return INFINI_BACKEND_PREEMPTED;
		}
	}
	return 0;
}

static int run_copy(struct infini_job_context *ctx, const struct infini_dispatch *dispatch,
		    struct infini_result *result)
{
	struct transfer t = {
		.dst_offset = dispatch->dst_offset,
		.src_offset = dispatch->src_offset,
		.bytes = dispatch->bytes,
	};

	if (dispatch->nr_bindings != 2)
		return -EPROTO;
	t.dst = ctx->bindings[0].buffer;
	t.src = ctx->bindings[1].buffer;
	if (!range_writable(t.dst, t.dst_offset, t.bytes) ||
	    !range_inside(t.src, t.src_offset, t.bytes))
		return -EPROTO;
	t.backward = t.dst == t.src && t.dst_offset > t.src_offset;
	return transfer_run(ctx, &t, dispatch, result);
}

static int run_fill(struct infini_job_context *ctx, const struct infini_dispatch *dispatch,
		    struct infini_result *result)
{
	struct transfer t = {
		.dst_offset = dispatch->dst_offset,
		.bytes = dispatch->bytes,
		.value = (uint8_t)dispatch->value,
	};

	if (dispatch->nr_bindings != 1)
		return -EPROTO;
	t.dst = ctx->bindings[0].buffer;
	if (!range_writable(t.dst, t.dst_offset, t.bytes))
		return -EPROTO;
	return transfer_run(ctx, &t, dispatch, result);
}

static int run_alloc(struct infini_job_context *ctx, const struct infini_dispatch *dispatch)
{
	const struct infini_dispatch_binding *binding;

	binding = payload_at(ctx, dispatch->bindings, 1, sizeof(*binding),
			     _Alignof(struct infini_dispatch_binding));
	if (!binding || dispatch->nr_bindings != 1)
		return -EPROTO;
	return infini_objects_buffer_alloc(ctx->objects, binding);
}

/* The part that programs and questions share; @program is NULL for a question. */
static int run_backend(struct infini_job_context *ctx, const struct infini_dispatch *dispatch,
		       struct infini_backend_program *program, struct infini_result *result)
{
	const struct infini_backend_ops *ops = ctx->objects->ops;
	struct infini_backend_run run = {
		.bindings = ctx->bindings,
		.nr_bindings = dispatch->nr_bindings,
		.args_bytes = dispatch->args_bytes,
		.request = dispatch->request_id,
		.segment = dispatch->segment,
		.should_yield = should_yield,
		.yield_ctx = ctx->yield,
	};
	int ret;

	run.args = payload_at(ctx, dispatch->args, dispatch->args_bytes, 1, _Alignof(uint64_t));
	if (!run.args)
		return -EPROTO;
	if (!dispatch->segment) {
		ret = inputs_apply(ctx, dispatch);
		if (ret)
			return ret;
	}
	if (program)
		ret = ops->program_run(ctx->objects->backend, program, &run);
	else
		ret = ops->ask(ctx->objects->backend, &run);
	if (ret == INFINI_BACKEND_PREEMPTED) {
		/* Going backwards would run a segment twice: the backend is broken. */
		if (!program || run.segment < dispatch->segment)
			return -EIO;
		result->segment = run.segment;
		return ret;
	}
	if (ret)
		return ret;
	result->value = run.value;
	result->tokens_evaluated = run.tokens_evaluated;
	result->tokens_generated = run.tokens_generated;
	result->prompts = run.prompts;
	result->tokens_scored = run.tokens_scored;
	result->tokens_embedded = run.tokens_embedded;
	return outputs_apply(ctx, dispatch);
}

static int run_program(struct infini_job_context *ctx, const struct infini_dispatch *dispatch,
		       struct infini_result *result)
{
	struct infini_backend_program *program = NULL;
	int ret;

	ret = infini_objects_program_get(ctx->objects, dispatch, &program);
	return ret ? ret : run_backend(ctx, dispatch, program, result);
}

static int run_ask(struct infini_job_context *ctx, const struct infini_dispatch *dispatch,
		   struct infini_result *result)
{
	const struct infini_backend_ops *ops = ctx->objects->ops;

	if (!ops->ask || dispatch->program_format != ops->format)
		return -EOPNOTSUPP;
	return run_backend(ctx, dispatch, NULL, result);
}

static int run_op(struct infini_job_context *ctx, const struct infini_dispatch *dispatch,
		  struct infini_result *result)
{
	int ret;

	if (dispatch->op == INFINI_OP_ALLOC)
		return run_alloc(ctx, dispatch);
	ret = bindings_resolve(ctx, dispatch);
	if (ret)
		return ret;
	switch (dispatch->op) {
	case INFINI_OP_NOP:
		return 0;
	case INFINI_OP_COPY:
		return run_copy(ctx, dispatch, result);
	case INFINI_OP_FILL:
		return run_fill(ctx, dispatch, result);
	case INFINI_OP_PROGRAM:
		return run_program(ctx, dispatch, result);
	case INFINI_OP_ASK:
		return run_ask(ctx, dispatch, result);
	default:
		return -EOPNOTSUPP;
	}
}

void infini_job_notice(struct infini_job_context *ctx, const struct infini_dispatch *dispatch)
{
	switch (dispatch->op) {
	case INFINI_OP_BUFFER_FREE:
		infini_objects_buffer_drop(ctx->objects, dispatch->object);
		break;
	case INFINI_OP_PROGRAM_FREE:
		infini_objects_program_drop(ctx->objects, dispatch->object);
		break;
	default:
		infini_warn("the kernel sent a notice %u that this infinid does not know",
			    dispatch->op);
	}
}

void infini_job_give_back(const struct infini_dispatch *dispatch, struct infini_result *result)
{
	*result = (struct infini_result){
		.dispatch = dispatch->dispatch,
		.state = INFINI_RESULT_PREEMPTED,
		.segment = dispatch->segment,
	};
}

/* @ret: of what began the work. The first error counts, except that nothing outdoes a loss. */
static int finish(struct infini_job_context *ctx, int ret)
{
	const struct infini_backend_ops *ops = ctx->objects->ops;
	int late = 0;

	if (ops->finish && ret != INFINI_BACKEND_LOST)
		late = ops->finish(ctx->objects->backend);
	if (late && (late == INFINI_BACKEND_LOST || ret >= 0))
		ret = late;
	if (ret != INFINI_BACKEND_LOST)
		return ret;
	ctx->lost = true;
	infini_err("the device failed this worker, which ends; memory on the device goes with it");
	return -EIO;
}

/* Whether the job has, or may have, computed with zeros instead of what was in a file. */
static bool lost_a_file(const struct infini_job_context *ctx,
			const struct infini_dispatch *dispatch)
{
	char line[96];

	if (dispatch->op == INFINI_OP_ALLOC)
		return false;
	for (uint32_t i = 0; i < dispatch->nr_bindings; i++) {
		if (!infini_objects_buffer_is_lost(ctx->bindings[i].buffer))
			continue;
		snprintf(line, sizeof(line), "the file behind buffer %llu was truncated or cannot be "
			 "read: its jobs fail", (unsigned long long)ctx->bindings[i].buffer->id);
		infini_log_limited(LOG_WARNING, line);
		return true;
	}
	return false;
}

void infini_job_run(struct infini_job_context *ctx, const struct infini_dispatch *dispatch,
		    struct infini_result *result)
{
	int ret;

	*result = (struct infini_result){ .dispatch = dispatch->dispatch };
	ret = finish(ctx, run_op(ctx, dispatch, result));
	if (ret >= 0 && lost_a_file(ctx, dispatch))
		ret = -ENODATA;
	if (ret == INFINI_BACKEND_PREEMPTED) {
		result->state = INFINI_RESULT_PREEMPTED;
		return;
	}
	result->segment = 0;
	result->state = INFINI_RESULT_DONE;
	result->status = ret > 0 || ret < -ERRNO_MAX ? -EIO : ret;
	if (result->status)
		result->value = 0;
	if (ret == -EPROTO)
		infini_err("dispatch %llu of the kernel, op %u, contradicts itself",
			   (unsigned long long)dispatch->dispatch, dispatch->op);
}
