/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What has to be known of a stranger's PTX before the driver's compiler sees it: that it is text, what
 * the kernel's parameters are, what memory it takes beside the vdev's buffers.
 */
#ifndef INFINI_DAEMON_BACKENDS_CUDA_PTX_H
#define INFINI_DAEMON_BACKENDS_CUDA_PTX_H

#include <stddef.h>
#include <stdint.h>

#define CUDA_PTX_PARAMS_MAX		64
#define CUDA_PTX_PARAM_BYTES_MAX	4096	/* of all, as every GPU takes them */
#define CUDA_PTX_STATIC_BYTES_MAX	(16ULL << 20)

struct cuda_ptx_param {
	uint32_t offset;			/* in the parameters, as they are handed over */
	uint32_t bytes;
};

struct cuda_ptx {
	uint32_t nr_params;
	uint32_t param_bytes;
	struct cuda_ptx_param params[CUDA_PTX_PARAMS_MAX];
	uint64_t static_bytes;			/* .global and .const variables */
};

/* Read @bytes of @text. NULL, or why it is refused. */
const char *cuda_ptx_read(const char *text, size_t bytes, const char *kernel,
			  struct cuda_ptx *ptx);

#endif /* INFINI_DAEMON_BACKENDS_CUDA_PTX_H */
