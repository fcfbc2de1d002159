/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An event of a job, however it came. JOB_EVENT(lat, preempt) { ... } makes two programs for
 * infini_job_preempt, lat_preempt (typed) and lat_preempt_tp (classic), of which the tool loads
 * one; the body is given @e. Each program that runs costs the tenant, and so does each map that it
 * asks: what the end of a job or of a stay can tell is taken from there.
 */
#ifndef INFINI_BPF_EVENT_H
#define INFINI_BPF_EVENT_H

#include "hist.h"
#include "kernel.h"

/**
 * struct token_times - what tokens brought
 * @ttft_ns: time to the first token, of each of @ttft_tokens
 * @itl_first_ns: time since a first token, of each of @itl_first_tokens
 * @itl_ns: time since a later one, of each of @itl_tokens
 */
struct token_times {
	u64 ttft_ns;
	u64 itl_first_ns;
	u64 itl_ns;
	u32 ttft_tokens;
	u32 itl_first_tokens;
	u32 itl_tokens;
};

/* The fields of docs/tracepoints.md, and when. */
struct event {
	u64 now;
	u32 device;
	u32 vdev;
	u32 client;
	u32 queue;
	s32 pid;
	u32 op;
	s32 status;
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
	struct token_times times;
};

static __always_inline void event_typed(struct event *e, struct infini_kjob *job, u64 now)
{
	struct infini_queue *queue = job->queue;
	struct infini_client *client = queue->client;
	struct infini_vdev *vdev = client->vdev;
	u64 queued_ns = job->queued_ns, started_ns = job->started_ns;
	int ran = started_ns >= queued_ns;

	e->now = now;
	e->device = vdev->device->id;
	e->vdev = vdev->id;
	e->client = client->id;
	e->queue = queue->handle;
	e->pid = client->pid;
	e->op = job->op;
	e->status = job->status;
	e->evaluated = job->tokens_evaluated;
	e->generated = job->tokens_generated;
	e->seqno = job->seqno;
	e->request = job->request_id;
	e->dispatch = job->dispatch;
	e->segment = job->segment;
	e->cgroup = client->cgroup_id;
	e->wait_ns = (ran ? started_ns : now) - queued_ns;
	e->run_ns = ran ? now - started_ns : 0;
	e->occupancy_ns = job->occupancy_ns;
	e->total_ns = now - job->submitted_ns;
	e->prompt = job->tokens_prompt;
	e->prompts = job->prompts;
	e->scored = job->tokens_scored;
	e->embedded = job->tokens_embedded;
	e->times.ttft_ns = job->times.ttft_ns;
	e->times.itl_first_ns = job->times.itl_first_ns;
	e->times.itl_ns = job->times.itl_ns;
	e->times.ttft_tokens = job->times.ttft_tokens;
	e->times.itl_first_tokens = job->times.itl_first_tokens;
	e->times.itl_tokens = job->times.itl_tokens;
}

/* bpf_ktime_get_ns(), which the compiler leaves out where nobody wants to know. */
static __always_inline u64 event_now(void)
{
	u64 now;

	asm("call %[get]\n%[now] = r0"
	    : [now] "=r" (now)
	    : [get] "i" (BPF_FUNC_ktime_get_ns)
	    : "r0", "r1", "r2", "r3", "r4", "r5");
	return now;
}

static __always_inline void event_classic(struct event *e, const struct infini_job_entry *entry)
{
	e->now = event_now();
	e->device = entry->device;
	e->vdev = entry->vdev;
	e->client = entry->client;
	e->queue = entry->queue;
	e->pid = entry->pid;
	e->op = entry->op;
	e->status = entry->status;
	e->evaluated = entry->evaluated;
	e->generated = entry->generated;
	e->seqno = entry->seqno;
	e->request = entry->request;
	e->dispatch = entry->dispatch;
	e->segment = entry->segment;
	e->cgroup = entry->cgroup;
	e->wait_ns = entry->wait_ns;
	e->run_ns = entry->run_ns;
	e->occupancy_ns = entry->occupancy_ns;
	e->total_ns = entry->total_ns;
	e->prompt = entry->prompt;
	e->prompts = entry->prompts;
	e->scored = entry->scored;
	e->embedded = entry->embedded;
	e->times.ttft_ns = entry->ttft_ns;
	e->times.itl_first_ns = entry->itl_first_ns;
	e->times.itl_ns = entry->itl_ns;
	e->times.ttft_tokens = entry->ttft_tokens;
	e->times.itl_first_tokens = entry->itl_first_tokens;
	e->times.itl_tokens = entry->itl_tokens;
}

/* The row of @key, made from @nothing if it is new; NULL, and one more @lost, without room. */
static __always_inline void *row_get(void *map, const void *key, const void *nothing, u64 *lost)
{
	void *row = bpf_map_lookup_elem(map, key);

	if (row)
		return row;
	bpf_map_update_elem(map, key, nothing, BPF_NOEXIST);
	row = bpf_map_lookup_elem(map, key);
	if (!row)
		__sync_fetch_and_add(lost, 1);
	return row;
}

/* Counted into histograms of both. */
static __always_inline void times_count(const struct token_times *times, u32 *ttft, u32 *itl)
{
	if (times->ttft_tokens)
		hist_add_times(ttft, times->ttft_ns, times->ttft_tokens);
	if (times->itl_first_tokens)
		hist_add_times(itl, times->itl_first_ns, times->itl_first_tokens);
	if (times->itl_tokens)
		hist_add_times(itl, times->itl_ns, times->itl_tokens);
}

#define JOB_EVENT(tool, name)							\
	static __always_inline void tool##_##name##_event(const struct event *e); \
	SEC("tp_btf/infini_job_" #name)						\
	int BPF_PROG(tool##_##name, struct infini_kjob *job, u64 now)		\
	{									\
		struct event e = {};						\
										\
		if (!job)							\
			return 0;						\
		event_typed(&e, job, now);					\
		tool##_##name##_event(&e);					\
		return 0;							\
	}									\
	SEC("tracepoint/infini/infini_job_" #name)				\
	int tool##_##name##_tp(const struct infini_job_entry *entry)		\
	{									\
		struct event e = {};						\
										\
		event_classic(&e, entry);					\
		tool##_##name##_event(&e);					\
		return 0;							\
	}									\
	static __always_inline void tool##_##name##_event(const struct event *e)

#endif /* INFINI_BPF_EVENT_H */
