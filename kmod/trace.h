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

DECLARE_EVENT_CLASS(infini_job_class,
	TP_PROTO(struct infini_kjob *job),
	TP_ARGS(job),
	TP_STRUCT__entry(
		__field(u32, device)
		__field(u32, vdev)
		__field(u32, client)
		__field(u32, queue)
		__field(u64, seqno)
		__field(u32, op)
		__field(s32, pid)
		__field(u64, request)
		__field(u64, dispatch)
		__field(u64, segment)
	),
	TP_fast_assign(
		__entry->device = job->queue->client->vdev->device->id;
		__entry->vdev = job->queue->client->vdev->id;
		__entry->client = job->queue->client->id;
		__entry->queue = job->queue->handle;
		__entry->seqno = job->seqno;
		__entry->op = job->op;
		__entry->pid = job->queue->client->pid;
		__entry->request = job->request_id;
		__entry->dispatch = job->dispatch;
		__entry->segment = job->segment;
	),
	TP_printk("device=%u vdev=%u client=%u queue=%u seqno=%llu op=%u pid=%d request=%llu dispatch=%llu segment=%llu",
		  __entry->device, __entry->vdev, __entry->client, __entry->queue,
		  __entry->seqno, __entry->op, __entry->pid, __entry->request,
		  __entry->dispatch, __entry->segment)
);

DEFINE_EVENT(infini_job_class, infini_job_submit,
	TP_PROTO(struct infini_kjob *job),
	TP_ARGS(job)
);

DEFINE_EVENT(infini_job_class, infini_job_yield,
	TP_PROTO(struct infini_kjob *job),
	TP_ARGS(job)
);

DECLARE_EVENT_CLASS(infini_job_time_class,
	TP_PROTO(struct infini_kjob *job, u64 now),
	TP_ARGS(job, now),
	TP_STRUCT__entry(
		__field(u32, device)
		__field(u32, vdev)
		__field(u32, client)
		__field(u32, queue)
		__field(u64, seqno)
		__field(u32, op)
		__field(s32, status)
		__field(u64, request)
		__field(u64, dispatch)
		__field(u64, wait_ns)
		__field(u64, occupancy_ns)
	),
	TP_fast_assign(
		__entry->device = job->queue->client->vdev->device->id;
		__entry->vdev = job->queue->client->vdev->id;
		__entry->client = job->queue->client->id;
		__entry->queue = job->queue->handle;
		__entry->seqno = job->seqno;
		__entry->op = job->op;
		__entry->status = job->status;
		__entry->request = job->request_id;
		__entry->dispatch = job->dispatch;
		__entry->wait_ns = now - job->queued_ns;
		__entry->occupancy_ns = job->occupancy_ns;
	),
	TP_printk("device=%u vdev=%u client=%u queue=%u seqno=%llu op=%u status=%d request=%llu dispatch=%llu wait_ns=%llu occupancy_ns=%llu",
		  __entry->device, __entry->vdev, __entry->client, __entry->queue,
		  __entry->seqno, __entry->op, __entry->status, __entry->request,
		  __entry->dispatch, __entry->wait_ns, __entry->occupancy_ns)
);

/* wait_ns: since the job was queued, or preempted, last. */
DEFINE_EVENT(infini_job_time_class, infini_job_dispatch,
	TP_PROTO(struct infini_kjob *job, u64 now),
	TP_ARGS(job, now)
);

/* wait_ns: since the job was queued last, its last stay in the slot included. */
DEFINE_EVENT(infini_job_time_class, infini_job_complete,
	TP_PROTO(struct infini_kjob *job, u64 now),
	TP_ARGS(job, now)
);

DEFINE_EVENT(infini_job_time_class, infini_job_timeout,
	TP_PROTO(struct infini_kjob *job, u64 now),
	TP_ARGS(job, now)
);

TRACE_EVENT(infini_tokens,
	TP_PROTO(struct infini_kjob *job),
	TP_ARGS(job),
	TP_STRUCT__entry(
		__field(u32, vdev)
		__field(u32, client)
		__field(s32, pid)
		__field(u32, evaluated)
		__field(u32, generated)
		__field(u64, request)
		__field(u64, occupancy_ns)
	),
	TP_fast_assign(
		__entry->vdev = job->queue->client->vdev->id;
		__entry->client = job->queue->client->id;
		__entry->pid = job->queue->client->pid;
		__entry->evaluated = job->tokens_evaluated;
		__entry->generated = job->tokens_generated;
		__entry->request = job->request_id;
		__entry->occupancy_ns = job->occupancy_ns;
	),
	TP_printk("vdev=%u client=%u pid=%d evaluated=%u generated=%u request=%llu occupancy_ns=%llu",
		  __entry->vdev, __entry->client, __entry->pid, __entry->evaluated,
		  __entry->generated, __entry->request, __entry->occupancy_ns)
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
		__entry->limit_bytes = vdev->memory_limit_bytes;
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
