// SPDX-License-Identifier: GPL-2.0-only
/* Time to the first token and between tokens, from jobs handed in and jobs done. */
#include "stream.h"

/* Requests are numbered in sequence as a rule, so their low bits tell those of one client apart. */
static struct infini_stream *infini_stream_of(struct infini_streams *streams, u64 request)
{
	struct infini_stream *stream = &streams->streams[request % INFINI_STREAMS_MAX];

	if (stream->request != request)
		*stream = (struct infini_stream){ .request = request };
	return stream;
}

static void infini_stream_decoded(struct infini_stream *stream, u32 nr, u64 now,
				  struct infini_stream_times *times)
{
	u32 seconds = min_t(u64, stream->ended, nr);

	if (seconds) {
		times->itl_first_ns = now - stream->ended_ns;
		times->itl_first_tokens = seconds;
	}
	if (nr > seconds && stream->decoded_ns) {
		times->itl_ns = now - stream->decoded_ns;
		times->itl_tokens = nr - seconds;
	}
	stream->decoded_ns = now;
	stream->ended = 0;
}

static void infini_stream_prompts(struct infini_stream *stream, u32 nr, u64 now,
				  struct infini_stream_times *times)
{
	if (stream->prompt_ns) {
		times->ttft_ns = now - stream->prompt_ns;
		times->ttft_tokens = nr;
	}
	stream->prompt_ns = 0;
	stream->ended_ns = now;
	stream->ended += nr;
}

/**
 * infini_stream_submitted - a job was handed in
 * @streams: of its client
 * @request: whose it is; 0 is nobody's
 * @now: time
 */
void infini_stream_submitted(struct infini_streams *streams, u64 request, u64 now)
{
	struct infini_stream *stream;

	if (!request)
		return;
	stream = infini_stream_of(streams, request);
	if (!stream->arrived_ns)
		stream->arrived_ns = now;
}

/**
 * infini_stream_tokens - a job is done that brought tokens
 * @streams: of its client
 * @tokens: which
 * @now: time
 * @times: gets theirs; where a beginning was not seen, none
 */
void infini_stream_tokens(struct infini_streams *streams, const struct infini_stream_tokens *tokens,
			  u64 now, struct infini_stream_times *times)
{
	struct infini_stream *stream;

	*times = (struct infini_stream_times){};
	if (!tokens->request)
		return;
	stream = infini_stream_of(streams, tokens->request);
	if (tokens->prompt && !stream->prompt_ns)
		stream->prompt_ns = stream->arrived_ns;
	stream->arrived_ns = 0;
	if (tokens->decoded)
		infini_stream_decoded(stream, tokens->decoded, now, times);
	if (tokens->prompts)
		infini_stream_prompts(stream, tokens->prompts, now, times);
}

static void infini_times_add(struct infini_times *times, u64 ns, u64 nr)
{
	if (!nr)
		return;
	times->sum_ns += ns * nr;
	times->hist[infini_hist_bucket(ns)] += nr;
}

/**
 * infini_token_times_add - count what a job brought
 * @sums: of its vdev
 * @times: of infini_stream_tokens()
 */
void infini_token_times_add(struct infini_token_times *sums,
			    const struct infini_stream_times *times)
{
	infini_times_add(&sums->ttft, times->ttft_ns, times->ttft_tokens);
	infini_times_add(&sums->itl, times->itl_first_ns, times->itl_first_tokens);
	infini_times_add(&sums->itl, times->itl_ns, times->itl_tokens);
}
