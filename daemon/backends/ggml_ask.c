// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * INFINI_OP_ASK for ggml.
 */
#include "ggml_ask.h"

#include <errno.h>
#include <string.h>
#include <syslog.h>

#include "ggml_buffer.h"
#include "ggml_validate.h"

#define TENSORS_MAX	(1 + INFINI_GGML_SRC_MAX)

struct question {
	struct infini_ggml_ask ask;
	struct infini_ggml_tensor in[TENSORS_MAX];
	struct ggml_tensor tensors[TENSORS_MAX];
	uint64_t bytes[TENSORS_MAX];
	struct infini_ggml_why why;
};

static int parse_header(const struct infini_backend_run *run, struct question *q)
{
	if (run->args_bytes < sizeof(q->ask))
		return -EINVAL;
	memcpy(&q->ask, run->args, sizeof(q->ask));
	if (q->ask.magic != INFINI_GGML_MAGIC || q->ask.version != INFINI_GGML_VERSION ||
	    q->ask.ops != GGML_OP_COUNT || q->ask.types != GGML_TYPE_COUNT || q->ask.pad ||
	    q->ask.nr_tensors > TENSORS_MAX ||
	    run->args_bytes != sizeof(q->ask) + q->ask.nr_tensors * sizeof(q->in[0]))
		return -EINVAL;
	memcpy(q->in, (const char *)run->args + sizeof(q->ask),
	       q->ask.nr_tensors * sizeof(q->in[0]));
	return 0;
}

static int parse_tensors(struct infini_backend *backend, struct question *q)
{
	uint32_t i, src;
	int j, ret;

	for (i = 0; i < q->ask.nr_tensors; i++) {
		ret = infini_ggml_tensor_parse(&q->in[i], &q->tensors[i], &q->bytes[i], &q->why);
		if (ret)
			return ret;
		if (q->ask.question == INFINI_GGML_ASK_TENSOR_SET ||
		    q->in[i].binding == INFINI_GGML_NONE)
			continue;
		if (q->in[i].binding >= backend->nr_kinds)
			return -EINVAL;
		q->tensors[i].buffer = backend->kinds[q->in[i].binding].blank;
	}
	for (j = 0; q->ask.nr_tensors && j < INFINI_GGML_SRC_MAX; j++) {
		src = q->in[0].src[j];
		if (src == INFINI_GGML_NONE)
			continue;
		if (src >= q->ask.nr_tensors)
			return -EINVAL;
		q->tensors[0].src[j] = &q->tensors[src];
	}
	return 0;
}

/* Weights in a layout of the backend's own are only ever a matrix to multiply with. */
static bool weights_fit(const struct infini_backend *backend, const struct question *q)
{
	const struct ggml_tensor *t = &q->tensors[0];
	uint32_t kind;
	int i;

	for (i = 0; i < GGML_MAX_SRC; i++) {
		if (!t->src[i])
			continue;
		kind = q->in[t->src[i] - q->tensors].binding;
		if (kind == INFINI_GGML_NONE ||
		    !(backend->kinds[kind].info.flags & INFINI_MEMORY_F_WEIGHTS))
			continue;
		if (i || (t->op != GGML_OP_MUL_MAT && t->op != GGML_OP_MUL_MAT_ID))
			return false;
	}
	return true;
}

static bool supports(struct infini_backend *backend, struct question *q)
{
	const struct ggml_tensor *t = &q->tensors[0];

	if (ggml_is_empty(t))
		return true;
	return !infini_ggml_node_check(t, &q->why) && weights_fit(backend, q) &&
	       (infini_ggml_is_view_op(t->op) ||
		infini_ggml_device_supports(backend, t));
}

/* init_tensor() tells whether the backend has a layout for the tensor: it hangs it on ->extra. */
static int lay_out(struct infini_ggml_buffer *buffer, struct question *q, const void *data)
{
	struct ggml_init_params params = { .mem_size = ggml_tensor_overhead(), .no_alloc = true };
	uint64_t size = ggml_backend_buffer_get_size(buffer->ggml), offset = q->in[0].offset, bytes;
	struct ggml_context *ctx = ggml_init(params);
	struct ggml_tensor *t;
	int ret = -EINVAL;

	if (!ctx)
		return -ENOMEM;
	t = ggml_new_tensor(ctx, q->tensors[0].type, GGML_MAX_DIMS, q->tensors[0].ne);
	bytes = ggml_backend_buffer_get_alloc_size(buffer->ggml, t);
	if (offset % buffer->alignment || offset > size || bytes > size - offset) {
		infini_ggml_why_set(&q->why, "%llu bytes at %llu leave the buffer of %llu",
				    (unsigned long long)bytes, (unsigned long long)offset,
				    (unsigned long long)size);
	} else if (ggml_backend_tensor_alloc(buffer->ggml, t,
					     infini_ggml_buffer_at(buffer, offset)) ||
		   !t->extra) {
		infini_ggml_why_set(&q->why, "this memory has no layout for %s of these dimensions",
				    ggml_type_name(t->type));
	} else {
		ret = infini_ggml_buffer_lay(buffer, offset, bytes, t);
		if (!ret)
			ggml_backend_tensor_set(t, data, 0, ggml_nbytes(t));
	}
	ggml_free(ctx);
	return ret;
}

static int tensor_set(struct infini_backend *backend, struct infini_backend_run *run,
		      struct question *q)
{
	const struct ggml_tensor *t = &q->tensors[0];
	struct infini_backend_buffer *to, *from;
	struct infini_ggml_buffer *buffer;

	if (q->ask.nr_tensors != 1 || run->nr_bindings != 2 || q->in[0].binding ||
	    !q->bytes[0] || q->bytes[0] != q->ask.bytes || !ggml_is_contiguous(t)) {
		infini_ggml_why_set(&q->why, "a tensor is set whole, from the second binding");
		return -EINVAL;
	}
	to = run->bindings[0].buffer;
	from = run->bindings[1].buffer;
	buffer = to->priv;
	if (!(run->bindings[0].access & INFINI_ACCESS_WRITE) ||
	    !(run->bindings[1].access & INFINI_ACCESS_READ) || !from->addr ||
	    q->ask.offset > from->bytes || q->ask.bytes > from->bytes - q->ask.offset) {
		infini_ggml_why_set(&q->why, "the data cannot be read from binding 1");
		return -EINVAL;
	}
	if (!buffer->is_weights) {
		if (q->in[0].offset > to->bytes || q->ask.bytes > to->bytes - q->in[0].offset)
			return -EINVAL;
		return infini_ggml_buffer_copy(backend, to, q->in[0].offset, from, q->ask.offset,
					       q->ask.bytes);
	}
	return lay_out(buffer, q, (const char *)from->addr + q->ask.offset);
}

int infini_ggml_ask(struct infini_backend *backend, struct infini_backend_run *run)
{
	struct question q;	/* 7 KiB, of which most questions need little */
	int ret;

	q.why = (struct infini_ggml_why){ "malformed" };
	ret = parse_header(run, &q);
	if (!ret)
		ret = parse_tensors(backend, &q);
	if (ret)
		goto refuse;
	switch (q.ask.question) {
	case INFINI_GGML_ASK_CAPS:
		run->value = backend->is_cpu ? INFINI_GGML_CAP_UNIFIED : 0;
		return 0;
	case INFINI_GGML_ASK_SUPPORTS:
		ret = q.ask.nr_tensors ? 0 : -EINVAL;
		if (!ret)
			run->value = supports(backend, &q);
		break;
	case INFINI_GGML_ASK_ALLOC_SIZE:
		ret = q.ask.nr_tensors && q.ask.kind < backend->nr_kinds ? 0 : -EINVAL;
		if (!ret)
			run->value = ggml_backend_buft_get_alloc_size(
				backend->kinds[q.ask.kind].type, &q.tensors[0]);
		break;
	case INFINI_GGML_ASK_TENSOR_SET:
		ret = tensor_set(backend, run, &q);
		break;
	default:
		infini_ggml_why_set(&q.why, "no such question %u", q.ask.question);
		ret = -EOPNOTSUPP;
	}
	if (!ret)
		return 0;
refuse:
	infini_ggml_log(backend->log, LOG_WARNING, "ggml question refused: %s", q.why.text);
	return ret;
}
