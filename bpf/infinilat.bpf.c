// SPDX-License-Identifier: GPL-2.0-only
/* infinilat: histograms of what takes time, of each control group on each vdev. */
#include "event.bpf.h"
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
__u64 lat_lost;	/* stays for which lat_rows had no room */
static u64 lat_asked;	/* entries of lat_yields */

static __always_inline struct lat_row *row_of(const struct event *e)
{
	struct lat_key key = { .cgroup = e->cgroup, .device = e->device, .vdev = e->vdev };

	return row_get(&lat_rows, &key, &nothing, &lat_lost);
}

JOB_EVENT(lat, yield)
{
	u32 vdev = e->vdev;
	u64 now = e->now;

	if (!bpf_map_update_elem(&lat_yields, &vdev, &now, BPF_NOEXIST))
		__sync_fetch_and_add(&lat_asked, 1);
}

/* Something of the vdev is back: had it to be? */
static __always_inline void yielded(const struct event *e, struct lat_row *row)
{
	u32 vdev = e->vdev;
	u64 *asked;

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

/* A job is back with the module. Its run is 0 if it never was with the worker. */
static __always_inline struct lat_row *back(const struct event *e)
{
	struct lat_row *row;

	if (!e->run_ns)
		return NULL;
	row = row_of(e);
	if (row) {
		hist_add(row->wait, e->wait_ns);
		hist_add(row->run, e->run_ns);
	}
	yielded(e, row);
	return row;
}

JOB_EVENT(lat, preempt)
{
	back(e);
}

JOB_EVENT(lat, complete)
{
	struct lat_row *row = back(e);

	if (row)
		times_count(&e->times, row->ttft, row->itl);
}
