// SPDX-License-Identifier: GPL-2.0-only
/*
 * infinisnoop: each job once it has ended. Its last event tells all of a job that never had to
 * yield; only of the others something is kept while they are in flight.
 */
#include "event.bpf.h"
#include "infinisnoop.h"

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 snoop_vdev;	/* only this one; 0 for all */
const volatile __s32 snoop_pid;
const volatile __u64 snoop_slower_ns;
__u64 snoop_lost;			/* jobs for which snoop_jobs had no room */

/* A job whose end is missed is forgotten in its turn. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct snoop_key);
	__type(value, struct snoop_stays);
} snoop_stays SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} snoop_jobs SEC(".maps");

static struct snoop_stays nothing;
static u64 snoop_kept;			/* entries of snoop_stays, with those forgotten */

static __always_inline int wanted(const struct event *e)
{
	return (!snoop_vdev || e->vdev == snoop_vdev) && (!snoop_pid || e->pid == snoop_pid);
}

static __always_inline struct snoop_key key_of(const struct event *e)
{
	return (struct snoop_key){ .seqno = e->seqno, .client = e->client, .queue = e->queue };
}

static __always_inline struct snoop_stays *stays_of(const struct event *e)
{
	struct snoop_key key = key_of(e);
	struct snoop_stays *stays = bpf_map_lookup_elem(&snoop_stays, &key);

	if (stays)
		return stays;
	if (!bpf_map_update_elem(&snoop_stays, &key, &nothing, BPF_NOEXIST))
		__sync_fetch_and_add(&snoop_kept, 1);
	return bpf_map_lookup_elem(&snoop_stays, &key);
}

JOB_EVENT(snoop, yield)
{
	struct snoop_stays *stays;

	if (!wanted(e))
		return;
	stays = stays_of(e);
	if (stays)
		stays->asked++;
}

JOB_EVENT(snoop, preempt)
{
	struct snoop_stays *stays;

	if (!wanted(e))
		return;
	stays = stays_of(e);
	if (!stays)
		return;
	if (e->wait_ns + e->run_ns == e->total_ns)
		stays->first_ns = e->wait_ns;
	stays->waited_ns += e->wait_ns;
	stays->ran_ns += e->run_ns;
	stays->preempted++;
}

static __always_inline void tell(const struct event *e, const struct snoop_stays *stays)
{
	/* The reader looks by itself: waking it up for each job would cost more than the job. */
	struct snoop_job *job = bpf_ringbuf_reserve(&snoop_jobs, sizeof(*job), 0);

	if (!job) {
		__sync_fetch_and_add(&snoop_lost, 1);
		return;
	}
	job->before = stays ? *stays : nothing;
	job->done_ns = e->now;
	job->total_ns = e->total_ns;
	job->wait_ns = e->wait_ns;
	job->run_ns = e->run_ns;
	job->occupancy_ns = e->occupancy_ns;
	job->request = e->request;
	job->seqno = e->seqno;
	job->cgroup = e->cgroup;
	job->device = e->device;
	job->vdev = e->vdev;
	job->client = e->client;
	job->queue = e->queue;
	job->pid = e->pid;
	job->op = e->op;
	job->status = e->status;
	/* Of a job that failed, the module counts none. */
	job->evaluated = e->status ? 0 : e->evaluated;
	job->generated = e->status ? 0 : e->generated;
	job->prompt = e->status ? 0 : e->prompt;
	job->prompts = e->status ? 0 : e->prompts;
	job->scored = e->status ? 0 : e->scored;
	job->embedded = e->status ? 0 : e->embedded;
	job->zero = 0;
	bpf_ringbuf_submit(job, BPF_RB_NO_WAKEUP);
}

JOB_EVENT(snoop, complete)
{
	struct snoop_key key = key_of(e);
	struct snoop_stays *stays = NULL;

	if (!wanted(e))
		return;
	if (snoop_kept)
		stays = bpf_map_lookup_elem(&snoop_stays, &key);
	if (e->total_ns >= snoop_slower_ns)
		tell(e, stays);
	if (stays && !bpf_map_delete_elem(&snoop_stays, &key))
		__sync_fetch_and_sub(&snoop_kept, 1);
}
