/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Kernels that the tests run. */
#ifndef INFINI_TESTS_OPENCL_KERNELS_H
#define INFINI_TESTS_OPENCL_KERNELS_H

#include "world.h"

extern const struct infini_kernel kernel_saxpy;	/* a, x: read, y */
extern const struct infini_kernel kernel_sgemm;	/* n, a: read, b: read, c: write, two tiles */
extern const struct infini_kernel kernel_place;	/* out: where each work-item of 3 dimensions is */

#define SGEMM_TILE	8

/* @kernel, and whether it may be cut. */
struct infini_kernel cuttable(const struct infini_kernel *kernel, bool cut);

#endif /* INFINI_TESTS_OPENCL_KERNELS_H */
