// SPDX-License-Identifier: GPL-2.0-only
/* infinilat: histograms of what takes time, of each control group on each vdev. */
#include "event.bpf.h"
#include "stream.bpf.h"
#include "infinilat.h"

char LICENSE[] SEC("license") = "GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct lat_key);
	__type(value, struct lat_row);
} lat_rows SEC(".maps");

/* When a vdev's worker was asked to yield; until something of it is back. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1024);
	__type(key, u32);
	__type(value, u64);
} lat_yields SEC(".maps");

static struct lat_row nothing;
__u64 lat_lost;	/* durations for which lat_rows had no room */
static u64 lat_asked;	/* entries of lat_yields */

static __always_inline struct lat_row *row_of(const struct event *e)
{
	struct lat_key key = { .cgroup = e->cgroup, .device = e->device, .vdev = e->vdev };

	return row_get(&lat_rows, &key, &nothing, &lat_lost);
}

JOB_EVENT(lat, submit)
{
	stream_submitted(e);
}

JOB_EVENT(lat, dispatch)
{
	struct lat_row *row = row_of(e);

	if (row)
		hist_add(row->wait, e->wait_ns);
}

JOB_EVENT(lat, yield)
{
	u32 vdev = e->vdev;
	u64 now = e->now;

	if (!bpf_map_update_elem(&lat_yields, &vdev, &now, BPF_NOEXIST))
		__sync_fetch_and_add(&lat_asked, 1);
}

/* A job is back with the module. Its run is 0 if it never was with the worker. */
static __always_inline void back(const struct event *e)
{
	u32 vdev = e->vdev;
	struct lat_row *row;
	u64 *asked;

	if (!e->run_ns)
		return;
	row = row_of(e);
	if (row)
		hist_add(row->run, e->run_ns);
	if (!lat_asked)
		return;
	asked = bpf_map_lookup_elem(&lat_yields, &vdev);
	if (!asked)
		return;
	if (row)
		hist_add(row->yield, e->now - *asked);
	if (!bpf_map_delete_elem(&lat_yields, &vdev))
		__sync_fetch_and_sub(&lat_asked, 1);
}

JOB_EVENT(lat, preempt)
{
	back(e);
}

JOB_EVENT(lat, complete)
{
	back(e);
}

TOKENS_EVENT(lat)
{
	struct lat_row *row = row_of(e);
	struct stream_times times;

	stream_tokens(e, &times);
	if (row)
		stream_count(&times, row->ttft, row->itl);
}
