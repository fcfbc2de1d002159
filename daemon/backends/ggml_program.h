/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Loaded programs and their runs.
 */
#ifndef INFINI_DAEMON_GGML_PROGRAM_H
#define INFINI_DAEMON_GGML_PROGRAM_H

#include "ggml_buffer.h"

int infini_ggml_program_load(struct infini_backend *backend, const void *data, size_t bytes,
			     struct infini_backend_program **program);
void infini_ggml_program_free(struct infini_backend *backend,
			      struct infini_backend_program *program);
int infini_ggml_program_run(struct infini_backend *backend,
			    struct infini_backend_program *program,
			    struct infini_backend_run *run);

#endif /* INFINI_DAEMON_GGML_PROGRAM_H */
