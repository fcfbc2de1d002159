/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Runs PTX: the integer, f32, memory and barrier instructions that small kernels are made of, thread by
 * thread. It refuses what it does not know, as a compiler does.
 */
#ifndef INFINI_TESTS_CUDA_FAKE_PTX_H
#define INFINI_TESTS_CUDA_FAKE_PTX_H

#include <stddef.h>
#include <stdint.h>

#define FAKE_PTX_PARAMS_MAX	64

struct fake_ptx_param {
	char name[128];
	uint32_t offset, bytes;
};

struct fake_ptx_module;
struct fake_ptx_kernel {
	char name[128];
	uint32_t nr_params, param_bytes, shared_bytes, local_bytes;
	struct fake_ptx_param params[FAKE_PTX_PARAMS_MAX];
	struct fake_ptx_code *code;
	struct fake_ptx_kernel *next;
};

struct fake_ptx_grid {
	uint32_t groups[3], items[3], shared_bytes;
	const uint8_t *params;
	/* Where @bytes at @address of the GPU are, or NULL. */
	void *(*memory)(uint64_t address, uint64_t bytes);
};

enum { FAKE_PTX_DONE, FAKE_PTX_ILLEGAL_ADDRESS, FAKE_PTX_MISALIGNED, FAKE_PTX_TRAP };

/* The kernels of a text, or NULL with a compiler's sentence in @said. */
struct fake_ptx_kernel *fake_ptx_compile(const char *text, char *said, size_t said_bytes);
void fake_ptx_free(struct fake_ptx_kernel *kernels);
int fake_ptx_run(const struct fake_ptx_kernel *kernel, const struct fake_ptx_grid *grid);

#endif /* INFINI_TESTS_CUDA_FAKE_PTX_H */
