/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Contents that decide which memory an operation touches: looked at just before it runs.
 */
#ifndef INFINI_DAEMON_GGML_CONTENT_H
#define INFINI_DAEMON_GGML_CONTENT_H

#include "ggml_buffer.h"
#include "ggml_rules.h"
#include "ggml_validate.h"

/*
 * The bytes of a place in host memory: in place on the CPU, else read back, until the next are.
 * 0, -ENOMEM, -EOPNOTSUPP
 */
int infini_ggml_content_read(struct infini_backend *backend, const struct infini_ggml_place *place,
			     const struct infini_backend_binding *bindings, const char **data);

/* The contents that tensor @index of @graph demands. 0, -EINVAL, -ENOMEM */
int infini_ggml_content_check(struct infini_backend *backend,
			      const struct infini_ggml_graph *graph, uint32_t index,
			      const struct infini_backend_binding *bindings,
			      struct infini_ggml_why *why);

#endif /* INFINI_DAEMON_GGML_CONTENT_H */
