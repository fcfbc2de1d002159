/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: a job's way, tokens, memory, executors. Fields have fixed widths and stay; a BPF
 * program gets the objects themselves as arguments.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM infini

#if !defined(INFINI_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define INFINI_TRACE_H

#include <linux/tracepoint.h>

#include "infini.h"

/* What a job's tokens say of it; known when the job is done, before that what the client said. */
#ifndef INFINI_TRACE_PHASES
#define INFINI_TRACE_PHASES
enum infini_trace_phase {
	INFINI_PHASE_OTHER	= 0,	/* copies, foreign programs */
	INFINI_PHASE_PROMPT	= 1,	/* some are of a prompt */
	INFINI_PHASE_GENERATE	= 2,
	INFINI_PHASE_SCORE	= 3,
	INFINI_PHASE_EMBED	= 4,
};

static inline u32 infini_trace_phase(const struct infini_kjob *job)
{
	u32 known = job->tokens_generated + job->tokens_scored + job->tokens_embedded;

	if (job->tokens_prompt || job->tokens_evaluated > known)
		return INFINI_PHASE_PROMPT;
	if (job->tokens_generated)
		return INFINI_PHASE_GENERATE;
	if (job->tokens_scored)
		return INFINI_PHASE_SCORE;
	return job->tokens_embedded ? INFINI_PHASE_EMBED : INFINI_PHASE_OTHER;
}
#endif

/*
 * All events of a job have the same fields. @wait_ns: its last wait for the device; @run_ns: its
 * last stay with the worker, 0 when it never got there; @occupancy_ns: of all its stays, charged;
 * @total_ns: since it was submitted; the six from @ttft_ns: what its tokens brought, known when the
 * job is done.
 */
DECLARE_EVENT_CLASS(infini_job_class,
	TP_PROTO(struct infini_kjob *job, u64 now),
	TP_ARGS(job, now),
	TP_STRUCT__entry(
		__field(u32, device)
		__field(u32, vdev)
		__field(u32, client)
		__field(u32, queue)
		__field(s32, pid)
		__field(u32, op)
		__field(s32, status)
		__field(u32, phase)
		__field(u32, evaluated)
		__field(u32, generated)
		__field(u64, seqno)
		__field(u64, request)
		__field(u64, dispatch)
		__field(u64, segment)
		__field(u64, cgroup)
		__field(u64, wait_ns)
		__field(u64, run_ns)
		__field(u64, occupancy_ns)
		__field(u64, total_ns)
		__field(u32, prompt)
		__field(u32, prompts)
		__field(u32, scored)
		__field(u32, embedded)
		__field(u64, ttft_ns)
		__field(u64, itl_first_ns)
		__field(u64, itl_ns)
		__field(u32, ttft_tokens)
		__field(u32, itl_first_tokens)
		__field(u32, itl_tokens)
	),
	TP_fast_assign(
		const struct infini_client *client = job->queue->client;
		bool ran = job->started_ns >= job->queued_ns;

		__entry->device = client->vdev->device->id;
		__entry->vdev = client->vdev->id;
		__entry->client = client->id;
		__entry->queue = job->queue->handle;
		__entry->pid = client->pid;
		__entry->op = job->op;
		__entry->status = job->status;
		__entry->phase = infini_trace_phase(job);
		__entry->evaluated = job->tokens_evaluated;
		__entry->generated = job->tokens_generated;
		__entry->seqno = job->seqno;
		__entry->request = job->request_id;
		__entry->dispatch = job->dispatch;
		__entry->segment = job->segment;
		__entry->cgroup = client->cgroup_id;
		__entry->wait_ns = (ran ? job->started_ns : now) - job->queued_ns;
		__entry->run_ns = ran ? now - job->started_ns : 0;
		__entry->occupancy_ns = job->occupancy_ns;
		__entry->total_ns = now - job->submitted_ns;
		__entry->prompt = job->tokens_prompt;
		__entry->prompts = job->prompts;
		__entry->scored = job->tokens_scored;
		__entry->embedded = job->tokens_embedded;
		__entry->ttft_ns = job->times.ttft_ns;
		__entry->itl_first_ns = job->times.itl_first_ns;
		__entry->itl_ns = job->times.itl_ns;
		__entry->ttft_tokens = job->times.ttft_tokens;
		__entry->itl_first_tokens = job->times.itl_first_tokens;
		__entry->itl_tokens = job->times.itl_tokens;
	),
	TP_printk("device=%u vdev=%u client=%u queue=%u pid=%d op=%u status=%d phase=%u evaluated=%u generated=%u seqno=%llu request=%llu dispatch=%llu segment=%llu cgroup=%llu wait_ns=%llu run_ns=%llu occupancy_ns=%llu total_ns=%llu prompt=%u prompts=%u scored=%u embedded=%u ttft_ns=%llu itl_first_ns=%llu itl_ns=%llu ttft_tokens=%u itl_first_tokens=%u itl_tokens=%u",
		  __entry->device, __entry->vdev, __entry->client, __entry->queue, __entry->pid,
		  __entry->op, __entry->status, __entry->phase, __entry->evaluated,
		  __entry->generated, __entry->seqno, __entry->request, __entry->dispatch,
		  __entry->segment, __entry->cgroup, __entry->wait_ns, __entry->run_ns,
		  __entry->occupancy_ns, __entry->total_ns, __entry->prompt, __entry->prompts,
		  __entry->scored, __entry->embedded, __entry->ttft_ns, __entry->itl_first_ns,
		  __entry->itl_ns, __entry->ttft_tokens, __entry->itl_first_tokens,
		  __entry->itl_tokens)
);

DEFINE_EVENT(infini_job_class, infini_job_submit,
	TP_PROTO(struct infini_kjob *job, u64 now),
	TP_ARGS(job, now)
);

DEFINE_EVENT(infini_job_class, infini_job_dispatch,
	TP_PROTO(struct infini_kjob *job, u64 now),
	TP_ARGS(job, now)
);

/* The worker is asked to give back everything; the job is the oldest that it holds. */
DEFINE_EVENT(infini_job_class, infini_job_yield,
	TP_PROTO(struct infini_kjob *job, u64 now),
	TP_ARGS(job, now)
);

/* It came back unfinished and waits again. */
DEFINE_EVENT(infini_job_class, infini_job_preempt,
	TP_PROTO(struct infini_kjob *job, u64 now),
	TP_ARGS(job, now)
);

DEFINE_EVENT(infini_job_class, infini_job_complete,
	TP_PROTO(struct infini_kjob *job, u64 now),
	TP_ARGS(job, now)
);

DEFINE_EVENT(infini_job_class, infini_job_timeout,
	TP_PROTO(struct infini_kjob *job, u64 now),
	TP_ARGS(job, now)
);

/* Just before the completion of a job that succeeded and carried any. */
DEFINE_EVENT(infini_job_class, infini_tokens,
	TP_PROTO(struct infini_kjob *job, u64 now),
	TP_ARGS(job, now)
);

/* until_ns: when it may run again, as things stand. over_rate: it owes tokens, else its cap. */
TRACE_EVENT(infini_vdev_throttle,
	TP_PROTO(struct infini_vdev *vdev),
	TP_ARGS(vdev),
	TP_STRUCT__entry(
		__field(u32, device)
		__field(u32, vdev)
		__field(u64, throttles)
		__field(u64, since_ns)
		__field(u64, until_ns)
		__field(u32, over_rate)
	),
	TP_fast_assign(
		__entry->device = vdev->device->id;
		__entry->vdev = vdev->id;
		__entry->throttles = vdev->sched.throttles;
		__entry->since_ns = vdev->sched.throttled_since_ns;
		__entry->until_ns = vdev->sched.throttle_node.key;
		__entry->over_rate = vdev->sched.limits.rate && vdev->sched.tokens.level < 0;
	),
	TP_printk("device=%u vdev=%u throttles=%llu since_ns=%llu until_ns=%llu over_rate=%u",
		  __entry->device, __entry->vdev, __entry->throttles, __entry->since_ns,
		  __entry->until_ns, __entry->over_rate)
);

TRACE_EVENT(infini_buffer_charge,
	TP_PROTO(struct infini_vdev *vdev, struct infini_buffer *buffer, s64 bytes),
	TP_ARGS(vdev, buffer, bytes),
	TP_STRUCT__entry(
		__field(u32, vdev)
		__field(u32, buffer)
		__field(u32, type)
		__field(u32, kind)
		__field(s64, bytes)
		__field(u64, used_bytes)
		__field(u64, limit_bytes)
	),
	TP_fast_assign(
		__entry->vdev = vdev->id;
		__entry->buffer = buffer->id;
		__entry->type = buffer->type;
		__entry->kind = buffer->kind;
		__entry->bytes = bytes;
		__entry->used_bytes = atomic64_read(&vdev->memory_used_bytes);
		__entry->limit_bytes = READ_ONCE(vdev->memory_limit_bytes);
	),
	TP_printk("vdev=%u buffer=%u type=%u kind=%u bytes=%lld used_bytes=%llu limit_bytes=%llu",
		  __entry->vdev, __entry->buffer, __entry->type, __entry->kind, __entry->bytes,
		  __entry->used_bytes, __entry->limit_bytes)
);

TRACE_EVENT(infini_executor_state,
	TP_PROTO(struct infini_vdev *vdev, u64 generation, u32 state),
	TP_ARGS(vdev, generation, state),
	TP_STRUCT__entry(
		__field(u32, device)
		__field(u32, vdev)
		__field(u64, generation)
		__field(u32, state)
	),
	TP_fast_assign(
		__entry->device = vdev->device->id;
		__entry->vdev = vdev->id;
		__entry->generation = generation;
		__entry->state = state;
	),
	TP_printk("device=%u vdev=%u generation=%llu state=%u", __entry->device, __entry->vdev,
		  __entry->generation, __entry->state)
);

#endif /* INFINI_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
