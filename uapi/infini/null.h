/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * Program format "null": a program that says how long to be busy in how many segments. It is
 * the scheduler's test load and touches no memory, except that it can leave a mark.
 */
#ifndef _UAPI_INFINI_NULL_H
#define _UAPI_INFINI_NULL_H

#include <linux/types.h>

#define INFINI_NULL_MAGIC		0x4c4c554eU	/* "NULL" */
#define INFINI_NULL_SEGMENTS_MAX	1000000ULL
#define INFINI_NULL_SEGMENT_NS_MAX	10000000000ULL

#define INFINI_NULL_F_SPIN	(1 << 0)	/* burn CPU; else sleep */
#define INFINI_NULL_F_DEAF	(1 << 1)	/* do not look at the yield word: a hung kernel */
#define INFINI_NULL_F_CRASH	(1 << 2)	/* the worker dies in the first segment */
#define INFINI_NULL_F_COUNT	(1 << 3)	/* add 1 per segment to the __u64 at the start of
						 * binding 0: shows what ran, once and in order */

/**
 * struct infini_null_program - the whole program
 * @magic: INFINI_NULL_MAGIC
 * @flags: INFINI_NULL_F_*
 * @segments: 1..INFINI_NULL_SEGMENTS_MAX
 * @segment_ns: how long each is busy, up to INFINI_NULL_SEGMENT_NS_MAX
 * @tokens_evaluated: what the backend reports
 * @tokens_generated: likewise
 * @prompts: likewise
 * @tokens_scored: likewise
 * @tokens_embedded: likewise
 * @pad: 0
 *
 * A program may end behind @tokens_generated: then what follows is 0.
 * The job's value is the number of segments that ran, all dispatches together.
 * A job may carry one __u64 as arguments, which replaces @segment_ns for that run.
 */
struct infini_null_program {
	__u32 magic;
	__u32 flags;
	__aligned_u64 segments;
	__aligned_u64 segment_ns;
	__u32 tokens_evaluated;
	__u32 tokens_generated;
	__u32 prompts;
	__u32 tokens_scored;
	__u32 tokens_embedded;
	__u32 pad;
};

/*
 * The null backend answers one question (INFINI_OP_ASK): its arguments, up to 4096 bytes, are
 * copied to the start of binding 0 when there is one, and their byte sum is the value.
 */

#endif /* _UAPI_INFINI_NULL_H */
