/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Program formats "opencl-c" and "ptx": one kernel of a text, where its parameters come from, and in
 * the job the range it is launched over.
 *
 * A program is one struct infini_kernel_program, @nr_params of struct infini_kernel_param, @options_bytes
 * of compiler options and @text_bytes of text, with nothing between and nothing behind. A job's
 * arguments are one struct infini_kernel_run, and behind it the bytes that its scalars are taken from.
 * The executor trusts nothing in either.
 */
#ifndef _UAPI_INFINI_KERNEL_H
#define _UAPI_INFINI_KERNEL_H

#include <linux/types.h>

#define INFINI_KERNEL_MAGIC		0x4c4e524bU	/* "KRNL" */
#define INFINI_KERNEL_VERSION		1

#define INFINI_KERNEL_NAME_MAX		128	/* with the final NUL */
#define INFINI_KERNEL_PARAMS_MAX	64
#define INFINI_KERNEL_SCALAR_BYTES_MAX	256
#define INFINI_KERNEL_DIMS		3

/*
 * The launch may be cut into several, along the last dimension with more than one group, so that others
 * get their turn. ptx: see INFINI_KERNEL_OFFSET. opencl-c: get_global_id() is what it is in the whole, but
 * get_global_size(), get_global_offset(), get_group_id() and get_num_groups() are those of the part: a
 * kernel that asks for these, or whose groups wait for each other, may not say so.
 */
#define INFINI_KERNEL_F_CUTTABLE	(1 << 0)

enum infini_kernel_param_kind {
	INFINI_KERNEL_BUFFER	= 1,	/* the start of a binding */
	INFINI_KERNEL_SCALAR	= 2,	/* bytes of the job's arguments, in the machine's order */
	INFINI_KERNEL_LOCAL	= 3,	/* opencl-c: a pointer to local memory */
	INFINI_KERNEL_OFFSET	= 4,	/* ptx: __u32[3], the first block of this part of the grid:
					 * the kernel adds it to its block's number */
};

/**
 * struct infini_kernel_param - where one parameter of the kernel comes from, in their order
 * @kind: enum infini_kernel_param_kind
 * @index: BUFFER: which binding; SCALAR: where in the bytes behind struct infini_kernel_run; else 0
 * @bytes: BUFFER: how many the job's binding must have at least; SCALAR: 1 to
 *	INFINI_KERNEL_SCALAR_BYTES_MAX; LOCAL: how much; OFFSET: 0
 * @access: BUFFER: INFINI_ACCESS_* that the job's binding must have at least; else 0
 */
struct infini_kernel_param {
	__u32 kind;
	__u32 index;
	__u32 bytes;
	__u32 access;
};

/**
 * struct infini_kernel_program - header
 * @magic: INFINI_KERNEL_MAGIC
 * @version: INFINI_KERNEL_VERSION
 * @flags: INFINI_KERNEL_F_*
 * @nr_params: as many as the kernel has
 * @nr_bindings: how many bindings a job must bring
 * @shared_bytes: ptx: dynamic shared memory that a job may ask for; else 0
 * @options_bytes: opencl-c: of compiler options; else 0
 * @text_bytes: of text, without a final NUL
 * @name: of the kernel, NUL-terminated, the rest 0
 */
struct infini_kernel_program {
	__u32 magic;
	__u32 version;
	__u32 flags;
	__u32 nr_params;
	__u32 nr_bindings;
	__u32 shared_bytes;
	__u32 options_bytes;
	__u32 text_bytes;
	__u8 name[INFINI_KERNEL_NAME_MAX];
};

/**
 * struct infini_kernel_run - arguments of a PROGRAM job; the scalars' bytes follow
 * @groups: blocks (work-groups) along x, y and z, at least 1 each
 * @items: threads (work-items) of each block along x, y and z, at least 1 each
 * @shared_bytes: ptx: dynamic shared memory of each block; else 0
 * @pad: 0
 */
struct infini_kernel_run {
	__u32 groups[INFINI_KERNEL_DIMS];
	__u32 items[INFINI_KERNEL_DIMS];
	__u32 shared_bytes;
	__u32 pad;
};

#endif /* _UAPI_INFINI_KERNEL_H */
