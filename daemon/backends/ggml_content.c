// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Checking index tensors.
 */
#include "ggml_content.h"

#include <errno.h>
#include <stdlib.h>

int infini_ggml_content_read(struct infini_backend *backend, const struct infini_ggml_place *place,
			     const struct infini_backend_binding *bindings, const char **data)
{
	struct infini_backend_buffer *buffer = bindings[place->binding].buffer;
	void *grown;

	if (buffer->addr) {
		*data = (const char *)buffer->addr + place->offset;
		return 0;
	}
	if (backend->scratch_bytes < place->bytes) {
		grown = realloc(backend->scratch, place->bytes);
		if (!grown)
			return -ENOMEM;
		backend->scratch = grown;
		backend->scratch_bytes = place->bytes;
	}
	*data = backend->scratch;
	return infini_ggml_buffer_read(backend, buffer, place->offset, backend->scratch,
				       place->bytes);
}

static bool in_range(const char *at, enum ggml_type type, int64_t limit)
{
	int64_t value = type == GGML_TYPE_I64 ? *(const int64_t *)at : *(const int32_t *)at;

	return value >= 0 && value < limit;
}

static bool row_is_sound(const struct ggml_tensor *t, const char *row,
			 const struct infini_ggml_demand *d)
{
	int64_t i;

	for (i = 0; i < t->ne[0]; i++, row += t->nb[0]) {
		if (d->content == INFINI_GGML_CONTENT_INDEX) {
			if (!in_range(row, t->type, d->limit))
				return false;
		} else if (__builtin_isnan(*(const float *)row)) {
			return false;
		}
	}
	return true;
}

int infini_ggml_content_check(struct infini_backend *backend,
			      const struct infini_ggml_graph *graph, uint32_t index,
			      const struct infini_backend_binding *bindings,
			      struct infini_ggml_why *why)
{
	const struct ggml_tensor *node = &graph->tensors[index], *t;
	struct infini_ggml_demand d = infini_ggml_rule_demand(node);
	int64_t i1, i2, i3;
	const char *data;
	int ret;

	t = node->src[d.src];
	ret = infini_ggml_content_read(backend, &graph->places[t - graph->tensors], bindings, &data);
	if (ret)
		return ret;
	for (i3 = 0; i3 < t->ne[3]; i3++)
		for (i2 = 0; i2 < t->ne[2]; i2++)
			for (i1 = 0; i1 < t->ne[1]; i1++)
				if (!row_is_sound(t, data + i3 * t->nb[3] + i2 * t->nb[2] +
						  i1 * t->nb[1], &d))
					goto unsound;
	return 0;
unsound:
	if (d.content == INFINI_GGML_CONTENT_INDEX)
		infini_ggml_why_set(why, "tensor %u: %s: an index is outside of 0..%lld", index,
				    ggml_op_name(node->op), (long long)d.limit - 1);
	else
		infini_ggml_why_set(why, "tensor %u: %s: what is to be sorted is not a number",
				    index, ggml_op_name(node->op));
	return -EINVAL;
}
