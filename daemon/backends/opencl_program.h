/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs of format opencl-c: checked, compiled and run. */
#ifndef INFINI_OPENCL_PROGRAM_H
#define INFINI_OPENCL_PROGRAM_H

#include "kernel_layout.h"
#include "opencl_device.h"

struct infini_backend_program {
	struct kernel_layout layout;
	cl_program built;
	cl_kernel entry;
	uint32_t items[INFINI_KERNEL_DIMS];	/* of the last run's groups: for others it is compiled anew */
	uint64_t group_ps;		/* what a work-group took lately, in 10^-12 s; 0: not known */
};

int infini_opencl_program_load(struct infini_backend *backend, const void *data, size_t bytes,
			       struct infini_backend_program **program);
void infini_opencl_program_free(struct infini_backend *backend,
				struct infini_backend_program *program);
int infini_opencl_program_run(struct infini_backend *backend,
			      struct infini_backend_program *program,
			      struct infini_backend_run *run);

#endif /* INFINI_OPENCL_PROGRAM_H */
