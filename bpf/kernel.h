/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the BPF programs read of the module. A typed program gets the objects, and where their
 * members are is found out when it is loaded, from the module's BTF; a classic one gets the fields
 * of docs/tracepoints.md, which stay where they are.
 */
#ifndef INFINI_BPF_KERNEL_H
#define INFINI_BPF_KERNEL_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __s32 s32;
typedef __u64 u64;

#define __relocated __attribute__((preserve_access_index))

struct infini_device {
	u32 id;
} __relocated;

struct infini_vdev {
	u32 id;
	struct infini_device *device;
} __relocated;

struct infini_client {
	u32 id;
	struct infini_vdev *vdev;
	int pid;
	u64 cgroup_id;
} __relocated;

struct infini_queue {
	struct infini_client *client;
	u32 handle;
} __relocated;

struct infini_stream_times {
	u64 ttft_ns;
	u64 itl_first_ns;
	u64 itl_ns;
	u32 ttft_tokens;
	u32 itl_first_tokens;
	u32 itl_tokens;
} __relocated;

struct infini_kjob {
	struct infini_queue *queue;
	u64 seqno;
	u32 op;
	u64 request_id;
	u32 tokens_evaluated;
	u32 tokens_generated;
	u32 tokens_prompt;
	u32 tokens_scored;
	u32 tokens_embedded;
	u32 prompts;
	struct infini_stream_times times;
	u64 segment;
	u64 dispatch;
	int status;
	u64 submitted_ns;
	u64 queued_ns;
	u64 started_ns;
	u64 occupancy_ns;
} __relocated;

/* A record of the class infini_job_class. */
struct infini_job_entry {
	u64 common;
	u32 device;
	u32 vdev;
	u32 client;
	u32 queue;
	s32 pid;
	u32 op;
	s32 status;
	u32 phase;
	u32 evaluated;
	u32 generated;
	u64 seqno;
	u64 request;
	u64 dispatch;
	u64 segment;
	u64 cgroup;
	u64 wait_ns;
	u64 run_ns;
	u64 occupancy_ns;
	u64 total_ns;
	u32 prompt;
	u32 prompts;
	u32 scored;
	u32 embedded;
	u64 ttft_ns;
	u64 itl_first_ns;
	u64 itl_ns;
	u32 ttft_tokens;
	u32 itl_first_tokens;
	u32 itl_tokens;
};

#endif /* INFINI_BPF_KERNEL_H */
