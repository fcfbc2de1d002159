// SPDX-License-Identifier: GPL-2.0-only
/* infinitop: counts jobs, tokens and times of each process on each vdev. */
#include "event.bpf.h"
#include "llama.bpf.h"
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

/* Loaded only if calls of libllama are counted too. */
JOB_EVENT(top, submit)
{
	llama_submitted();
}

/* A job is back with the module. Its run is 0 if it never was with the worker. */
static __always_inline void count_stay(struct top_row *row, const struct event *e)
{
	if (!e->run_ns)
		return;
	row->dispatches++;
	row->wait_ns += e->wait_ns;
	hist_add(row->wait, e->wait_ns);
}

JOB_EVENT(top, preempt)
{
	struct top_row *row = row_of(e);

	if (!row)
		return;
	count_stay(row, e);
	row->preemptions++;
}

static __always_inline void count_tokens(struct top_row *row, const struct event *e)
{
	const struct token_times *times = &e->times;

	times_count(times, row->ttft, row->itl);
	row->ttft_ns += times->ttft_ns * times->ttft_tokens;
	row->itl_ns += times->itl_first_ns * times->itl_first_tokens +
		       times->itl_ns * times->itl_tokens;
	row->evaluated += e->evaluated;
	row->generated += e->generated;
	row->prompt += e->prompt;
	row->prompts += e->prompts;
	row->scored += e->scored;
	row->embedded += e->embedded;
}

JOB_EVENT(top, complete)
{
	struct top_row *row = row_of(e);

	if (!row)
		return;
	count_stay(row, e);
	row->occupancy_ns += e->occupancy_ns;
	if (e->status) {
		row->failed++;
		return;
	}
	row->jobs++;
	if (e->evaluated || e->generated)
		count_tokens(row, e);
}

/* A call of libllama is over. Its row has no vdev. */
static __always_inline void count_call(const struct llama_call *call, int status)
{
	struct event e = {
		.now = call->began_ns,
		.cgroup = bpf_get_current_cgroup_id(),
		.pid = bpf_get_current_pid_tgid() >> 32,
		.client = bpf_get_current_pid_tgid() >> 32,
		.request = call->context,
		.evaluated = call->tokens,
		.generated = call->outputs,
	};
	struct top_row *row = row_of(&e);

	if (!row)
		return;
	row->jobs += !status;
	row->failed += !!status;
	if (status)
		return;
	if (call->unknown)
		__sync_fetch_and_add(&top_lost, 1);
	/* What a batch leaves unwanted is the prompt, whose last row is wanted. */
	if (call->tokens > call->outputs) {
		e.prompts = call->outputs != 0;
		e.prompt = call->tokens - call->outputs + e.prompts;
	}
	stream_submitted(&e);
	e.now = bpf_ktime_get_ns();
	stream_tokens(&e, &e.times);
	count_tokens(row, &e);
}

SEC("uretprobe")
int top_llama_return(struct pt_regs *regs)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct llama_call *call = llama_call();

	if (!call)
		return 0;
	if (!call->submitted)
		count_call(call, PT_REGS_RC(regs));
	bpf_map_delete_elem(&llama_calls, &thread);
	return 0;
}
