/* SPDX-License-Identifier: GPL-2.0-only */
/* What infinisnoop's programs tell of a job that has ended. */
#ifndef INFINISNOOP_H
#define INFINISNOOP_H

#include <linux/types.h>

/* A job in flight. */
struct snoop_key {
	__u64 seqno;
	__u32 client;
	__u32 queue;
};

/**
 * struct snoop_stays - its stays with the worker that are over, as far as they were seen
 * @first_ns: its wait before the first of all, if that was seen, else 0
 * @preempted: how often it came back unfinished
 * @asked: how often the worker was asked to yield while this was its oldest job
 */
struct snoop_stays {
	__u64 waited_ns;
	__u64 ran_ns;
	__u64 first_ns;
	__u32 preempted;
	__u32 asked;
};

/**
 * struct snoop_job - a job, once it has ended
 * @done_ns: when, CLOCK_MONOTONIC
 * @total_ns: since it was handed in. More than was waited and run together if some of its stays
 *	ended before the tool was attached
 * @wait_ns, @run_ns: of its last stay
 * @evaluated: tokens of a job that succeeded, and of which kinds they were
 */
struct snoop_job {
	struct snoop_stays before;
	__u64 done_ns;
	__u64 total_ns;
	__u64 wait_ns;
	__u64 run_ns;
	__u64 occupancy_ns;
	__u64 request;
	__u64 seqno;
	__u64 cgroup;
	__u32 device;
	__u32 vdev;
	__u32 client;
	__u32 queue;
	__s32 pid;
	__u32 op;
	__s32 status;
	__u32 evaluated;
	__u32 generated;
	__u32 prompt;
	__u32 prompts;
	__u32 scored;
	__u32 embedded;
	__u32 zero;
};

#endif /* INFINISNOOP_H */
