/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The form in which a CPU's kernel takes the columns that it multiplies a quantised matrix by. Left to
 * itself, a kernel brings all of them into that form each time it is called. Where a product is computed
 * in parts, this does it once for all parts that have the same columns; the bits are the same.
 */
#ifndef INFINI_DAEMON_GGML_FORM_H
#define INFINI_DAEMON_GGML_FORM_H

#include "ggml_device.h"

#define INFINI_GGML_FORM_TENSORS	4

/*
 * Have @product take its columns, of which a part has up to @columns, in the form of its matrix.
 *
 * Return: the copy that brings them into that form, in @context, which has room for
 * INFINI_GGML_FORM_TENSORS more; NULL where the kernel may just as well do it. @product is unchanged then.
 */
struct ggml_tensor *infini_ggml_form_make(const struct infini_backend *backend, struct ggml_context *context,
					  struct ggml_tensor *product, uint32_t columns);

/* Memory for columns in any form, shared by all programs: what is in it lasts no longer than a run. 0 or -ENOMEM. */
int infini_ggml_form_reserve(struct infini_backend *backend, size_t bytes);

#endif /* INFINI_DAEMON_GGML_FORM_H */
