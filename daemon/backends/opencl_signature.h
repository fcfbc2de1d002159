/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Whether a compiled kernel's parameters are what its program says. */
#ifndef INFINI_OPENCL_SIGNATURE_H
#define INFINI_OPENCL_SIGNATURE_H

#include "opencl_program.h"

/* 0, or -EINVAL with the reason in @why. */
int infini_opencl_signature_check(const struct infini_backend_program *program, char *why,
				  size_t why_bytes);

#endif /* INFINI_OPENCL_SIGNATURE_H */
