/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time to the first token and between tokens. A stream is one request id of one client; with
 * llama.cpp that is a context. A prompt arrives with the first job handed in since the stream's
 * last tokens, and goes on until a job generates; then each job that generates is a decode.
 * All events of a stream come under its device's lock, so none is lost to another.
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
 * @arrived_ns: first job handed in since the last tokens, 0 for none
 * @prompt_ns: arrival of the prompt that is being worked on, 0 for none
 * @decoded_ns: when it last generated
 */
struct stream {
	u64 arrived_ns;
	u64 prompt_ns;
	u64 decoded_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct stream_key);
	__type(value, struct stream);
} streams SEC(".maps");

/* What tokens brought: time to the first or since the last, or 0. */
struct stream_times {
	u64 ttft_ns;
	u64 itl_ns;
};

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

static __always_inline void stream_tokens(const struct event *e, struct stream_times *times)
{
	struct stream *stream = stream_of(e);

	times->ttft_ns = 0;
	times->itl_ns = 0;
	if (!stream)
		return;
	if (e->evaluated > e->generated && !stream->prompt_ns)
		stream->prompt_ns = stream->arrived_ns;
	stream->arrived_ns = 0;
	if (!e->generated)
		return;
	if (stream->prompt_ns)
		times->ttft_ns = e->now - stream->prompt_ns;
	else if (stream->decoded_ns)
		times->itl_ns = e->now - stream->decoded_ns;
	stream->prompt_ns = 0;
	stream->decoded_ns = e->now;
}

#endif /* INFINI_BPF_STREAM_H */
