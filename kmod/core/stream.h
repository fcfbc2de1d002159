/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Time to the first token and between tokens. A stream is one request id of one client; with
 * llama.cpp that is a context, which may hold several sequences. A prompt arrives with the first
 * job handed in since the stream's last tokens, and goes on until it ends. A sequence that goes on
 * had its token before in the last job in which any did, or its first one when a prompt ended since.
 */
#ifndef INFINI_CORE_STREAM_H
#define INFINI_CORE_STREAM_H

#include "hist.h"

/* Of one client at once; a request more takes the place of another, whose times are lost. */
#define INFINI_STREAMS_MAX	32

/**
 * struct infini_times - times, each counted once for every token it brought
 * @sum_ns: all of them
 * @hist: in buckets of infini_hist_bucket()
 */
struct infini_times {
	u64 sum_ns;
	u64 hist[INFINI_HIST_BUCKETS];
};

/**
 * struct infini_token_times - of a vdev; the caller's lock guards them
 * @ttft: to the first token of each prompt that ended
 * @itl: from token to token of each sequence that went on
 */
struct infini_token_times {
	struct infini_times ttft;
	struct infini_times itl;
};

/**
 * struct infini_stream_times - what the tokens of a job brought
 * @ttft_ns: time to the first token, of each of @ttft_tokens
 * @itl_first_ns: time since a first token, of each of @itl_first_tokens
 * @itl_ns: time since a later one, of each of @itl_tokens
 * @ttft_tokens: 0 where the beginning was not seen; likewise @itl_tokens
 * @itl_first_tokens: second ones
 */
struct infini_stream_times {
	u64 ttft_ns;
	u64 itl_first_ns;
	u64 itl_ns;
	u32 ttft_tokens;
	u32 itl_first_tokens;
	u32 itl_tokens;
};

/**
 * struct infini_stream - where a stream is
 * @request: whose it is; 0 for nobody's
 * @arrived_ns: first job handed in since the last tokens, 0 for none
 * @prompt_ns: arrival of the prompt that is being worked on, 0 for none
 * @ended_ns: when a prompt last ended
 * @decoded_ns: when sequences last went on, 0 for never
 * @ended: prompts that ended since then
 */
struct infini_stream {
	u64 request;
	u64 arrived_ns;
	u64 prompt_ns;
	u64 ended_ns;
	u64 decoded_ns;
	u64 ended;
};

/* Of a client; all zero before the first job. */
struct infini_streams {
	struct infini_stream streams[INFINI_STREAMS_MAX];
};

/**
 * struct infini_stream_tokens - what a job brought that is done
 * @request: the client's word
 * @prompt: rows of prompts
 * @prompts: prompts that ended
 * @decoded: sequences that went on by a token
 */
struct infini_stream_tokens {
	u64 request;
	u32 prompt;
	u32 prompts;
	u32 decoded;
};

void infini_stream_submitted(struct infini_streams *streams, u64 request, u64 now);
void infini_stream_tokens(struct infini_streams *streams, const struct infini_stream_tokens *tokens,
			  u64 now, struct infini_stream_times *times);
void infini_token_times_add(struct infini_token_times *sums,
			    const struct infini_stream_times *times);

#endif /* INFINI_CORE_STREAM_H */
