// SPDX-License-Identifier: GPL-2.0-or-later
/* Time to the first token and between tokens, for sequences of jobs as llama.cpp makes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rows.h"
#include "stream.h"

#define STEPS_MAX	12

/* A job of @request: handed in, or done with tokens; and what should come of it. */
struct step {
	bool submit;
	u64 now;
	u64 request;
	u32 prompt;
	u32 prompts;
	u32 decoded;
	u64 ttft_ns, itl_ns;	/* what the sums grow by */
	u64 firsts, others;	/* and by how many counts */
};

struct stream_case {
	const char *name;
	struct step steps[STEPS_MAX];
};

#define SUBMIT(_now, _request)	{ .submit = true, .now = (_now), .request = (_request) }
#define DONE(_now, _request, _prompt, _prompts, _decoded, ...)			\
	{ false, (_now), (_request), (_prompt), (_prompts), (_decoded), __VA_ARGS__ }
#define NOTHING			.ttft_ns = 0
#define FIRST(_ns, _nr)		.ttft_ns = (_ns) * (_nr), .firsts = (_nr)
#define NEXT(_ns, _nr)		.itl_ns = (_ns) * (_nr), .others = (_nr)

static const struct stream_case stream_cases[] = {
	{ "a request: copies are jobs too, and the first of them is the arrival", {
		SUBMIT(100, 1), SUBMIT(110, 1), DONE(500, 1, 16, 1, 0, FIRST(400, 1)),
		SUBMIT(510, 1), DONE(600, 1, 0, 0, 1, NEXT(100, 1)),
		SUBMIT(610, 1), DONE(720, 1, 0, 0, 1, NEXT(120, 1)) } },
	{ "a prompt in parts", {
		SUBMIT(100, 1), DONE(300, 1, 512, 0, 0, NOTHING),
		SUBMIT(310, 1), DONE(500, 1, 512, 0, 0, NOTHING),
		SUBMIT(510, 1), DONE(700, 1, 100, 1, 0, FIRST(600, 1)),
		SUBMIT(710, 1), DONE(800, 1, 0, 0, 1, NEXT(100, 1)) } },
	{ "the next request of a context waits for nobody", {
		SUBMIT(100, 1), DONE(200, 1, 8, 1, 0, FIRST(100, 1)),
		SUBMIT(210, 1), DONE(300, 1, 0, 0, 1, NEXT(100, 1)),
		SUBMIT(9000, 1), DONE(9500, 1, 8, 1, 0, FIRST(500, 1)),
		SUBMIT(9510, 1), DONE(9600, 1, 0, 0, 1, NEXT(100, 1)) } },
	{ "one token each: what was never begun is not measured", {
		SUBMIT(100, 1), DONE(200, 1, 8, 1, 0, FIRST(100, 1)),
		SUBMIT(500, 1), DONE(900, 1, 8, 1, 0, FIRST(400, 1)),
		SUBMIT(910, 1), DONE(930, 1, 0, 0, 1, NEXT(30, 1)) } },
	{ "two contexts side by side", {
		SUBMIT(100, 1), SUBMIT(150, 2), DONE(300, 1, 8, 1, 0, FIRST(200, 1)),
		DONE(450, 2, 8, 1, 0, FIRST(300, 1)), DONE(460, 1, 0, 0, 1, NEXT(160, 1)),
		DONE(500, 2, 0, 0, 1, NEXT(50, 1)) } },
	{ "slots of a server: a job goes on with two sequences and ends a prompt", {
		SUBMIT(100, 1), DONE(300, 1, 20, 2, 0, FIRST(200, 2)),
		SUBMIT(310, 1), DONE(350, 1, 0, 0, 2, NEXT(50, 2)),
		SUBMIT(360, 1), DONE(390, 1, 0, 0, 2, NEXT(40, 2)),
		SUBMIT(400, 1), DONE(600, 1, 30, 1, 2, .ttft_ns = 200, .firsts = 1,
				     .itl_ns = 2 * 210, .others = 2),
		/* The new one since its first token, the others since their last. */
		SUBMIT(610, 1), DONE(640, 1, 0, 0, 3, NEXT(40, 3)) } },
	{ "embeddings end no prompt", {
		SUBMIT(100, 1), DONE(200, 1, 0, 0, 0, NOTHING),
		SUBMIT(300, 1), DONE(400, 1, 0, 0, 0, NOTHING) } },
	{ "a job of nobody's request", {
		SUBMIT(100, 0), DONE(200, 0, 8, 1, 0, NOTHING), DONE(300, 0, 0, 0, 1, NOTHING) } },
	{ "begun before it could be seen", {
		DONE(500, 1, 16, 1, 0, NOTHING), SUBMIT(510, 1),
		DONE(600, 1, 0, 0, 1, NEXT(100, 1)) } },
	{ "a request too many takes a place, and no time is made up", {
		SUBMIT(100, 1), SUBMIT(200, 1 + INFINI_STREAMS_MAX),
		DONE(300, 1, 8, 1, 0, NOTHING), SUBMIT(310, 1),
		DONE(400, 1, 0, 0, 1, NEXT(100, 1)) } },
};

static void test_played(void **state)
{
	const struct stream_case *c = *state;
	struct infini_token_times times = { 0 };
	struct infini_streams streams = { 0 };
	struct infini_stream_times found;
	u64 firsts = 0, others = 0, ttft_ns = 0, itl_ns = 0;

	for (const struct step *s = c->steps; s < c->steps + STEPS_MAX && s->now; s++) {
		const struct infini_stream_tokens tokens = {
			.request = s->request, .prompt = s->prompt, .prompts = s->prompts,
			.decoded = s->decoded,
		};
		u64 counted[2] = { 0 };

		if (s->submit) {
			infini_stream_submitted(&streams, s->request, s->now);
			continue;
		}
		infini_stream_tokens(&streams, &tokens, s->now, &found);
		infini_token_times_add(&times, &found);
		firsts += s->firsts;
		others += s->others;
		ttft_ns += s->ttft_ns;
		itl_ns += s->itl_ns;
		for (u32 i = 0; i < INFINI_HIST_BUCKETS; i++) {
			counted[0] += times.ttft.hist[i];
			counted[1] += times.itl.hist[i];
		}
		assert_int_equal(counted[0], firsts);
		assert_int_equal(counted[1], others);
		assert_int_equal(times.ttft.sum_ns, ttft_ns);
		assert_int_equal(times.itl.sum_ns, itl_ns);
	}
}

static void test_times_are_in_their_buckets(void **state)
{
	struct infini_token_times times = { 0 };
	struct infini_streams streams = { 0 };
	struct infini_stream_tokens tokens = { .request = 7, .prompt = 5, .prompts = 1 };
	struct infini_stream_times found;

	(void)state;
	infini_stream_submitted(&streams, 7, 1000);
	infini_stream_tokens(&streams, &tokens, 1001000, &found);
	infini_token_times_add(&times, &found);
	tokens.prompt = tokens.prompts = 0;
	tokens.decoded = 1;
	infini_stream_tokens(&streams, &tokens, 1002024, &found);
	infini_token_times_add(&times, &found);
	assert_int_equal(times.ttft.hist[79], 1);
	assert_int_equal(times.itl.hist[40], 1);
}

int main(void)
{
	return ROWS_RUN("stream", stream_cases, test_played, "times are in their buckets",
			test_times_are_in_their_buckets);
}
