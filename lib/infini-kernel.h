/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libinfini: programs of one kernel, written in OpenCL C or PTX.
 *
 *	static const struct infini_kernel_param params[] = {
 *		INFINI_PARAM_SCALAR(sizeof(float)),
 *		INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ),
 *		INFINI_PARAM_BUFFER(1, INFINI_ACCESS_READ | INFINI_ACCESS_WRITE),
 *	};
 *
 * A job of it is INFINI_OP_PROGRAM with what infini_kernel_args() writes as its arguments. What the
 * executor refuses, a text that does not compile too, ends the first job with EINVAL; the reason is in
 * the log of infinid.
 */
#ifndef INFINI_KERNEL_H
#define INFINI_KERNEL_H

#include <infini.h>
#include <infini/kernel.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INFINI_PARAM_BUFFER(binding, rights) \
	{ .kind = INFINI_KERNEL_BUFFER, .index = (binding), .access = (rights) }
#define INFINI_PARAM_SCALAR(size)	{ .kind = INFINI_KERNEL_SCALAR, .bytes = (size) }
#define INFINI_PARAM_LOCAL(size)	{ .kind = INFINI_KERNEL_LOCAL, .bytes = (size) }
#define INFINI_PARAM_OFFSET		{ .kind = INFINI_KERNEL_OFFSET }

/*
 * @format: INFINI_FORMAT_OPENCL_C or INFINI_FORMAT_PTX. @text and @options end with a NUL; @options may
 * be NULL. @params: as many as the kernel has, in its order; where a scalar lies in the arguments is the
 * library's to say, so that its @index is 0 here. @flags: INFINI_KERNEL_F_*.
 */
struct infini_kernel {
	uint32_t format;
	uint32_t flags;
	const char *name;
	const char *text;
	const char *options;
	const struct infini_kernel_param *params;
	uint32_t nr_params;
	uint32_t shared_bytes;
};

/* Upload @kernel as a program of @fd, a client. -ENAMETOOLONG: its name; -E2BIG: its parts. */
int infini_kernel_create(int fd, const struct infini_kernel *kernel, uint32_t *handle);

/* How long the arguments of its jobs are. */
size_t infini_kernel_args_bytes(const struct infini_kernel *kernel);

/*
 * Write the arguments of one job to @args, which takes infini_kernel_args_bytes(): the range, and for
 * each scalar, in their order, the bytes that @scalars points to.
 */
void infini_kernel_args(const struct infini_kernel *kernel, const struct infini_kernel_run *range,
			const void *const *scalars, void *args);

#ifdef __cplusplus
}
#endif

#endif /* INFINI_KERNEL_H */
