/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Program format "ggml": one ggml compute graph, and the questions a ggml backend answers.
 *
 * A program is one struct infini_ggml_program followed by its tensors and its node list, in the
 * byte order of the machine. Tensors name memory as {binding, offset}; addresses never travel.
 * The executor trusts nothing in it: see daemon/backends/ggml_validate.c for the rules.
 */
#ifndef _UAPI_INFINI_GGML_H
#define _UAPI_INFINI_GGML_H

#include <linux/types.h>

#define INFINI_GGML_MAGIC	0x4c4d4747U	/* "GGML" */
#define INFINI_GGML_VERSION	1

#define INFINI_GGML_TENSORS_MAX	65536
#define INFINI_GGML_SRC_MAX	10	/* GGML_MAX_SRC */
#define INFINI_GGML_DIMS	4	/* GGML_MAX_DIMS */
#define INFINI_GGML_PARAMS	16	/* GGML_MAX_OP_PARAMS / 4 */
#define INFINI_GGML_NAME_MAX	64	/* GGML_MAX_NAME */
#define INFINI_GGML_NONE	0xffffffffU

/**
 * struct infini_ggml_tensor - one tensor of a graph
 * @type: enum ggml_type
 * @op: enum ggml_op; GGML_OP_NONE for a leaf
 * @flags: GGML_TENSOR_FLAG_*
 * @binding: which binding holds the data; INFINI_GGML_NONE only in questions
 * @offset: of the data in that binding, bytes
 * @ne: elements per dimension
 * @nb: strides in bytes
 * @op_params: as in struct ggml_tensor
 * @src: indices of tensors that stand before this one, or INFINI_GGML_NONE
 * @view_src: index of the tensor this is a view of, or INFINI_GGML_NONE
 * @pad: 0
 * @view_offs: bytes
 * @name: for people and for the recognition of tokens
 */
struct infini_ggml_tensor {
	__u32 type;
	__u32 op;
	__u32 flags;
	__u32 binding;
	__aligned_u64 offset;
	__aligned_u64 ne[INFINI_GGML_DIMS];
	__aligned_u64 nb[INFINI_GGML_DIMS];
	__s32 op_params[INFINI_GGML_PARAMS];
	__u32 src[INFINI_GGML_SRC_MAX];
	__u32 view_src;
	__u32 pad;
	__aligned_u64 view_offs;
	__u8 name[INFINI_GGML_NAME_MAX];
};

/**
 * struct infini_ggml_program - header
 * @magic: INFINI_GGML_MAGIC
 * @version: INFINI_GGML_VERSION
 * @ops: GGML_OP_COUNT of the writer; the numbering of ops and types must be the executor's
 * @types: GGML_TYPE_COUNT of the writer
 * @nr_tensors: struct infini_ggml_tensor[] directly behind this header, sources before users
 * @nr_nodes: __u32[] directly behind the tensors: the nodes in the order they are computed
 * @nr_bindings: how many bindings a job must bring
 * @pad: 0
 */
struct infini_ggml_program {
	__u32 magic;
	__u32 version;
	__u32 ops;
	__u32 types;
	__u32 nr_tensors;
	__u32 nr_nodes;
	__u32 nr_bindings;
	__u32 pad;
};

/**
 * struct infini_ggml_run - arguments of a PROGRAM job
 * @threads: CPU threads wanted, honoured up to the vdev's limit; 0 for the backend's default
 * @pad: 0
 *
 * The request_id of the job, when not 0, names in its lower 32 bits the context that runs the graph
 * and in the upper ones its process: so the executor knows a draft model from the one it serves.
 */
struct infini_ggml_run {
	__u32 threads;
	__u32 pad;
};

/* Questions, INFINI_OP_ASK with program_format INFINI_FORMAT_GGML. */
enum infini_ggml_question {
	/* Does the device compute tensors[0]? value: 0 or 1. Sources follow it in @tensors; a
	 * tensor's @binding is here the memory kind its buffer would have, or INFINI_GGML_NONE
	 * for no buffer yet. */
	INFINI_GGML_ASK_SUPPORTS	= 1,
	/* value: bytes that tensors[0] takes in a buffer of memory kind @kind. */
	INFINI_GGML_ASK_ALLOC_SIZE	= 2,
	/* Write a whole tensor: tensors[0] lies at {binding 0, offset}; its data are @bytes at
	 * @offset of binding 1. The only way to fill memory with INFINI_MEMORY_F_WEIGHTS. */
	INFINI_GGML_ASK_TENSOR_SET	= 3,
	/* value: the ggml_backend_dev_caps the executor's device has, as INFINI_GGML_CAP_*. */
	INFINI_GGML_ASK_CAPS		= 4,
};

#define INFINI_GGML_CAP_UNIFIED	(1 << 0)	/* kind 0 is module pages */

/**
 * struct infini_ggml_ask - arguments of a question; tensors follow directly
 * @magic: INFINI_GGML_MAGIC
 * @version: INFINI_GGML_VERSION
 * @ops: GGML_OP_COUNT of the writer
 * @types: GGML_TYPE_COUNT of the writer
 * @question: enum infini_ggml_question
 * @nr_tensors: struct infini_ggml_tensor[] behind this header, 0..1 + INFINI_GGML_SRC_MAX;
 *	here tensors[0] is the one asked about and its @src are indices behind it
 * @kind: memory kind
 * @pad: 0
 * @offset: bytes
 * @bytes: how many
 */
struct infini_ggml_ask {
	__u32 magic;
	__u32 version;
	__u32 ops;
	__u32 types;
	__u32 question;
	__u32 nr_tensors;
	__u32 kind;
	__u32 pad;
	__aligned_u64 offset;
	__aligned_u64 bytes;
};

#endif /* _UAPI_INFINI_GGML_H */
