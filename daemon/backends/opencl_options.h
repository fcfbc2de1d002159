/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which options a stranger may give to the OpenCL compiler. */
#ifndef INFINI_OPENCL_OPTIONS_H
#define INFINI_OPENCL_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#define INFINI_OPENCL_OPTIONS_MAX	1024

/*
 * @bytes of options with one blank between two. True, and @out what the compiler is given; false, and
 * @bad the first one that is refused.
 */
bool infini_opencl_options(const char *options, size_t bytes, char out[INFINI_OPENCL_OPTIONS_MAX],
			   char *bad, size_t bad_bytes);

#endif /* INFINI_OPENCL_OPTIONS_H */
