// SPDX-License-Identifier: GPL-2.0-only
/* infinitop: counts jobs, tokens and times of each process on each vdev. */
#include "event.bpf.h"
#include "stream.bpf.h"
#include "infinitop.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct top_key);
	__type(value, struct top_row);
} top_rows SEC(".maps");

static struct top_row nothing;
__u64 top_lost;	/* events of processes for which top_rows had no room */

static __always_inline struct top_row *row_of(const struct event *e)
{
	struct top_key key = {
		.cgroup = e->cgroup,
		.device = e->device,
		.vdev = e->vdev,
		.pid = e->pid,
	};

	return row_get(&top_rows, &key, &nothing, &top_lost);
}

JOB_EVENT(top, submit)
{
	stream_submitted(e);
}

JOB_EVENT(top, dispatch)
{
	struct top_row *row = row_of(e);

	if (!row)
		return;
	row->dispatches++;
	row->wait_ns += e->wait_ns;
	hist_add(row->wait, e->wait_ns);
}

JOB_EVENT(top, preempt)
{
	struct top_row *row = row_of(e);

	if (row)
		row->preemptions++;
}

JOB_EVENT(top, complete)
{
	struct top_row *row = row_of(e);

	if (!row)
		return;
	row->jobs += !e->status;
	row->failed += !!e->status;
	row->occupancy_ns += e->occupancy_ns;
}

TOKENS_EVENT(top)
{
	struct top_row *row = row_of(e);
	struct stream_times times;

	if (!row)
		return;
	stream_tokens(e, &times);
	stream_count(&times, row->ttft, row->itl);
	row->ttft_ns += times.ttft_ns * times.firsts;
	row->itl_ns += stream_itl_ns(&times);
	row->evaluated += e->evaluated;
	row->generated += e->generated;
	row->prompt += e->prompt;
	row->prompts += e->prompts;
	row->scored += e->scored;
	row->embedded += e->embedded;
}
