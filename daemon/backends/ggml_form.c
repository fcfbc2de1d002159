// SPDX-License-Identifier: GPL-2.0-or-later
/* Columns in the form of the matrix that they are multiplied by. */
#include "ggml_form.h"

#include <errno.h>
#include <stdlib.h>

#define ALIGNMENT	64

/* What kernels of quantised matrices take. Which of them, the device says: it multiplies by no other. */
static const enum ggml_type forms[INFINI_GGML_FORM_TENSORS - 1] = {
	GGML_TYPE_Q8_0, GGML_TYPE_Q8_1, GGML_TYPE_Q8_K,
};

struct ggml_tensor *infini_ggml_form_make(const struct infini_backend *backend, struct ggml_context *context,
					  struct ggml_tensor *product, uint32_t columns)
{
	struct ggml_tensor *plain = product->src[1], *formed, *copy;
	size_t i;

	/* One column is not worth it. */
	if (!backend->is_cpu || columns == 1 || !ggml_is_quantized(product->src[0]->type) ||
	    plain->type != GGML_TYPE_F32 || plain->nb[0] != sizeof(float))
		return NULL;
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		if (plain->ne[0] % ggml_blck_size(forms[i]))
			continue;
		formed = ggml_new_tensor_2d(context, forms[i], plain->ne[0], columns);
		product->src[1] = formed;
		if (!infini_ggml_device_supports(backend, product))
			continue;
		plain->ne[1] = columns;
		copy = ggml_cpy(context, plain, formed);
		if (infini_ggml_device_supports(backend, copy))
			return copy;
		break;
	}
	product->src[1] = plain;
	return NULL;
}

int infini_ggml_form_reserve(struct infini_backend *backend, size_t bytes)
{
	void *grown;

	if (bytes <= backend->formed_bytes)
		return 0;
	bytes = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	grown = aligned_alloc(ALIGNMENT, bytes);
	if (!grown)
		return -ENOMEM;
	free(backend->formed);
	backend->formed = grown;
	backend->formed_bytes = bytes;
	return 0;
}
