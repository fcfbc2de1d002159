/* SPDX-License-Identifier: GPL-2.0-only */
/* What infinitop's programs count, per processor. */
#ifndef INFINITOP_H
#define INFINITOP_H

#include "hist.h"

/* A process on a vdev. */
struct top_key {
	__u64 cgroup;
	__u32 device;
	__u32 vdev;
	__s32 pid;
	__u32 zero;
};

/**
 * struct top_row - what it did since the tool was started
 * @prompt: evaluated tokens that belong to a prompt; likewise @scored and @embedded
 * @prompts: that came to their end
 * @dispatches: from which the job is back, and how long each had waited: @wait_ns together, @wait
 *	one by one; likewise @ttft_ns and @ttft of first tokens, @itl_ns and @itl of those after
 */
struct top_row {
	__u64 jobs;
	__u64 failed;
	__u64 evaluated;
	__u64 generated;
	__u64 prompt;
	__u64 prompts;
	__u64 scored;
	__u64 embedded;
	__u64 dispatches;
	__u64 preemptions;
	__u64 wait_ns;
	__u64 ttft_ns;
	__u64 itl_ns;
	__u64 occupancy_ns;
	__u32 ttft[HIST_BUCKETS];
	__u32 itl[HIST_BUCKETS];
	__u32 wait[HIST_BUCKETS];
};

#endif /* INFINITOP_H */
