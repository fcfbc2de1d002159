/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tokens of processes that run llama.cpp past the module, counted where they call libllama (x86-64).
 * A thread is in one call at a time; what is known of it is kept until it returns. A call in which
 * its thread hands the module a job is the module's to count.
 */
#ifndef INFINI_BPF_LLAMA_H
#define INFINI_BPF_LLAMA_H

#include <linux/ptrace.h>

#include "stream.bpf.h"

#define LLAMA_PROCESS_DECODE	1
#define LLAMA_BATCH_MAX		(1 << 20)	/* rows looked at */
#define LLAMA_CHUNK		64

/* struct llama_batch of llama.h, which llama_decode() gets by value: behind the return address. */
struct llama_batch {
	s32 n_tokens;
	u32 zero;
	u64 token;
	u64 embd;
	u64 pos;
	u64 n_seq_id;
	u64 seq_id;
	u64 logits;
};

struct llama_call {
	u64 context;
	u64 began_ns;
	u32 tokens;
	u32 outputs;
	u32 submitted;
	u32 unknown;
};

/* By thread. One that dies in a call is forgotten in its turn. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct llama_call);
} llama_calls SEC(".maps");

static __always_inline struct llama_call *llama_call(void)
{
	u64 thread = bpf_get_current_pid_tgid();

	return bpf_map_lookup_elem(&llama_calls, &thread);
}

static __always_inline void llama_begin(struct llama_call *call, u64 context)
{
	u64 thread = bpf_get_current_pid_tgid();

	call->context = context;
	call->began_ns = bpf_ktime_get_ns();
	bpf_map_update_elem(&llama_calls, &thread, call, BPF_ANY);
}

static __always_inline void llama_submitted(void)
{
	struct llama_call *call = llama_call();

	if (call)
		call->submitted = 1;
}

/* ---- llama_decode(context, batch) ---- */

struct llama_flags {
	u64 at;
	u32 left;
	u32 set;
	u32 failed;
};

/* Bytes that are not 0 in a word: each leaves its highest bit, and the product adds them up. */
static __always_inline u32 llama_nonzero(u64 word)
{
	u64 low = 0x7f7f7f7f7f7f7f7full;

	word = (((word & low) + low) | word) & ~low;
	return ((word >> 7) * 0x0101010101010101ull) >> 56;
}

static long llama_count(u32 index, struct llama_flags *flags)
{
	u64 words[LLAMA_CHUNK / 8] = {};
	u32 bytes = flags->left < LLAMA_CHUNK ? flags->left : LLAMA_CHUNK;

	if (bpf_probe_read_user(words, bytes, (void *)flags->at)) {
		flags->failed = 1;
		return 1;
	}
	for (int i = 0; i < LLAMA_CHUNK / 8; i++)
		flags->set += llama_nonzero(words[i]);
	flags->at += bytes;
	flags->left -= bytes;
	return !flags->left;
}

SEC("uprobe")
int top_llama_decode(struct pt_regs *regs)
{
	struct llama_call call = {};
	struct llama_batch batch;

	if (bpf_probe_read_user(&batch, sizeof(batch), (void *)(PT_REGS_SP(regs) + sizeof(u64)))) {
		call.unknown = 1;
	} else if (batch.n_tokens > 0 && batch.n_tokens <= LLAMA_BATCH_MAX) {
		struct llama_flags flags = { .at = batch.logits, .left = batch.n_tokens };

		call.tokens = batch.n_tokens;
		/* Without flags, llama.cpp wants the last row. */
		if (batch.logits)
			bpf_loop(LLAMA_BATCH_MAX / LLAMA_CHUNK, llama_count, &flags, 0);
		else
			flags.set = 1;
		call.outputs = flags.set;
		call.unknown = flags.failed;
	}
	llama_begin(&call, PT_REGS_PARM1(regs));
	return 0;
}

/* ---- llama_process(context, type, batch): a private batch, of which llama.cpp tells itself ---- */

SEC("uprobe")
int top_llama_process(struct pt_regs *regs)
{
	struct llama_call call = {};

	if ((u32)PT_REGS_PARM2(regs) == LLAMA_PROCESS_DECODE)
		llama_begin(&call, PT_REGS_PARM1(regs));
	return 0;
}

SEC("uretprobe")
int top_llama_tokens(struct pt_regs *regs)
{
	struct llama_call *call = llama_call();

	if (call)
		call->tokens = PT_REGS_RC(regs);
	return 0;
}

SEC("uretprobe")
int top_llama_outputs(struct pt_regs *regs)
{
	struct llama_call *call = llama_call();

	if (call)
		call->outputs = PT_REGS_RC(regs);
	return 0;
}

#endif /* INFINI_BPF_LLAMA_H */
