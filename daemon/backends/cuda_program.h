/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs of format "ptx": loaded, launched, and cut where they allow it. */
#ifndef INFINI_DAEMON_BACKENDS_CUDA_PROGRAM_H
#define INFINI_DAEMON_BACKENDS_CUDA_PROGRAM_H

#include "cuda_device.h"

int cuda_program_load(struct infini_backend *backend, const void *data, size_t bytes,
		      struct infini_backend_program **program);
void cuda_program_free(struct infini_backend *backend, struct infini_backend_program *program);
int cuda_program_run(struct infini_backend *backend, struct infini_backend_program *program,
		     struct infini_backend_run *run);

#endif /* INFINI_DAEMON_BACKENDS_CUDA_PROGRAM_H */
