/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time to the first token and between tokens of what runs past the module, which says them of its
 * own jobs. A stream is a context of llama.cpp, which may hold several sequences. A prompt arrives
 * with the first call since the stream's last tokens, and goes on until it ends. A sequence that goes
 * on had its token before in the last call in which any did, or its first one when a prompt ended
 * since. A context is in one call at a time, so no event of a stream is lost to another.
 */
#ifndef INFINI_BPF_STREAM_H
#define INFINI_BPF_STREAM_H

#include "event.bpf.h"

struct stream_key {
	u64 request;
	u32 vdev;
	u32 client;
};

/**
 * struct stream - where a stream is
 * @arrived_ns: first call since the last tokens, 0 for none
 * @prompt_ns: arrival of the prompt that is being worked on, 0 for none
 * @ended_ns: when a prompt last ended
 * @decoded_ns: when sequences last went on, 0 for never
 * @ended: prompts that ended since then
 */
struct stream {
	u64 arrived_ns;
	u64 prompt_ns;
	u64 ended_ns;
	u64 decoded_ns;
	u64 ended;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct stream_key);
	__type(value, struct stream);
} streams SEC(".maps");

static __always_inline struct stream *stream_of(const struct event *e)
{
	struct stream_key key = { .request = e->request, .vdev = e->vdev, .client = e->client };
	struct stream none = {}, *stream;

	stream = bpf_map_lookup_elem(&streams, &key);
	if (stream)
		return stream;
	bpf_map_update_elem(&streams, &key, &none, BPF_NOEXIST);
	return bpf_map_lookup_elem(&streams, &key);
}

static __always_inline void stream_submitted(const struct event *e)
{
	struct stream *stream = stream_of(e);

	if (stream && !stream->arrived_ns)
		stream->arrived_ns = e->now;
}

/* Prompts end with the call. */
static __always_inline void stream_prompts(struct stream *stream, const struct event *e,
					   struct token_times *times)
{
	if (stream->prompt_ns) {
		times->ttft_ns = e->now - stream->prompt_ns;
		times->ttft_tokens = e->prompts;
	}
	stream->prompt_ns = 0;
	stream->ended_ns = e->now;
	stream->ended += e->prompts;
}

/* Sequences, @nr of them, go on with the call. */
static __always_inline void stream_decoded(struct stream *stream, const struct event *e, u32 nr,
					   struct token_times *times)
{
	times->itl_first_tokens = stream->ended < nr ? stream->ended : nr;
	times->itl_first_ns = e->now - stream->ended_ns;
	if (stream->decoded_ns) {
		times->itl_tokens = nr - times->itl_first_tokens;
		times->itl_ns = e->now - stream->decoded_ns;
	}
	stream->decoded_ns = e->now;
	stream->ended = 0;
}

static __always_inline void stream_tokens(const struct event *e, struct token_times *times)
{
	u32 decoded = e->generated > e->prompts ? e->generated - e->prompts : 0;
	struct stream *stream = stream_of(e);

	__builtin_memset(times, 0, sizeof(*times));
	if (!stream)
		return;
	if (e->prompt && !stream->prompt_ns)
		stream->prompt_ns = stream->arrived_ns;
	stream->arrived_ns = 0;
	if (decoded)
		stream_decoded(stream, e, decoded, times);
	if (e->prompts)
		stream_prompts(stream, e, times);
}

#endif /* INFINI_BPF_STREAM_H */
