// SPDX-License-Identifier: GPL-2.0-or-later
/* Time to the first token and between tokens, for sequences of jobs as llama.cpp makes them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "stream.bpf.h"

#define STREAMS	4

static struct stream_key keys[STREAMS];
static struct stream values[STREAMS];
static int nr_streams;

void *bpf_map_lookup_elem(void *map, const void *key)
{
	(void)map;
	for (int i = 0; i < nr_streams; i++)
		if (!memcmp(&keys[i], key, sizeof(keys[i])))
			return &values[i];
	return NULL;
}

long bpf_map_update_elem(void *map, const void *key, const void *value, unsigned long long flags)
{
	(void)map;
	(void)flags;
	if (nr_streams == STREAMS)
		return -1;
	memcpy(&keys[nr_streams], key, sizeof(*keys));
	memcpy(&values[nr_streams], value, sizeof(*values));
	nr_streams++;
	return 0;
}

/* What a job is expected to bring: of times that were not counted, 0. */
struct want {
	u64 ttft_ns;
	u32 firsts;
	u64 second_ns;
	u32 seconds;
	u64 itl_ns;
	u32 others;
};

/* A job of stream @request: handed in, or done with tokens; and what should come of it. */
struct step {
	u64 now;
	u64 request;
	u32 prompt;
	u32 prompts;
	u32 decoded;
	struct want want;
};

#define SUBMIT(_now, _request)	{ .now = (_now), .request = (_request) }
#define DONE(_now, _request, _prompt, _prompts, _decoded, ...)			\
	{ (_now), (_request), (_prompt), (_prompts), (_decoded), { __VA_ARGS__ } }

static void play(const struct step *step, size_t nr)
{
	nr_streams = 0;
	for (; nr--; step++) {
		struct event e = {
			.now = step->now,
			.request = step->request,
			.vdev = 1,
			.evaluated = step->prompt + step->decoded,
			.generated = step->prompts + step->decoded,
			.prompt = step->prompt,
			.prompts = step->prompts,
		};
		const struct want *want = &step->want;
		struct token_times times;

		if (!step->prompt && !step->decoded) {
			stream_submitted(&e);
			continue;
		}
		stream_tokens(&e, &times);
		assert_int_equal(times.ttft_tokens, want->firsts);
		assert_int_equal(times.ttft_tokens ? times.ttft_ns : 0, want->ttft_ns);
		assert_int_equal(times.itl_first_tokens, want->seconds);
		assert_int_equal(times.itl_first_tokens ? times.itl_first_ns : 0, want->second_ns);
		assert_int_equal(times.itl_tokens, want->others);
		assert_int_equal(times.itl_tokens ? times.itl_ns : 0, want->itl_ns);
	}
}

#define PLAY(...)								\
	do {									\
		static const struct step steps[] = { __VA_ARGS__ };		\
										\
		(void)state;							\
		play(steps, sizeof(steps) / sizeof(*steps));			\
	} while (0)

#define FIRST(_ns, _nr)		.ttft_ns = (_ns), .firsts = (_nr)
#define SECOND(_ns, _nr)	.second_ns = (_ns), .seconds = (_nr)
#define OTHER(_ns, _nr)		.itl_ns = (_ns), .others = (_nr)

/* The copies of the inputs are jobs too: the first of them is the arrival. */
static void test_request(void **state)
{
	PLAY(SUBMIT(100, 1), SUBMIT(110, 1), DONE(500, 1, 16, 1, 0, FIRST(400, 1)),
	     SUBMIT(510, 1), DONE(600, 1, 0, 0, 1, SECOND(100, 1)),
	     SUBMIT(610, 1), DONE(720, 1, 0, 0, 1, OTHER(120, 1)));
}

static void test_prompt_in_parts(void **state)
{
	PLAY(SUBMIT(100, 1), DONE(300, 1, 512, 0, 0, 0), SUBMIT(310, 1), DONE(500, 1, 512, 0, 0, 0),
	     SUBMIT(510, 1), DONE(700, 1, 100, 1, 0, FIRST(600, 1)),
	     DONE(800, 1, 0, 0, 1, SECOND(100, 1)));
}

static void test_prompt_of_one_token(void **state)
{
	PLAY(SUBMIT(100, 1), DONE(150, 1, 1, 1, 0, FIRST(50, 1)), SUBMIT(160, 1),
	     DONE(190, 1, 0, 0, 1, SECOND(40, 1)));
}

static void test_next_request(void **state)
{
	PLAY(SUBMIT(100, 1), DONE(200, 1, 8, 1, 0, FIRST(100, 1)),
	     DONE(300, 1, 0, 0, 1, SECOND(100, 1)), SUBMIT(9000, 1),
	     DONE(9500, 1, 8, 1, 0, FIRST(500, 1)), DONE(9600, 1, 0, 0, 1, SECOND(100, 1)));
}

/* A first token and no second. */
static void test_one_token_each(void **state)
{
	PLAY(SUBMIT(100, 1), DONE(200, 1, 8, 1, 0, FIRST(100, 1)), SUBMIT(500, 1),
	     DONE(900, 1, 8, 1, 0, FIRST(400, 1)), DONE(930, 1, 0, 0, 1, SECOND(30, 1)));
}

static void test_two_streams(void **state)
{
	PLAY(SUBMIT(100, 1), SUBMIT(150, 2), DONE(300, 1, 8, 1, 0, FIRST(200, 1)),
	     DONE(450, 2, 8, 1, 0, FIRST(300, 1)), DONE(460, 1, 0, 0, 1, SECOND(160, 1)),
	     DONE(500, 2, 0, 0, 1, SECOND(50, 1)));
}

/* A server's slots: one job ends two prompts, or goes on with one sequence and ends a prompt. */
static void test_slots(void **state)
{
	PLAY(SUBMIT(100, 1), DONE(300, 1, 20, 2, 0, FIRST(200, 2)),
	     SUBMIT(310, 1), DONE(350, 1, 0, 0, 2, SECOND(50, 2)),
	     SUBMIT(360, 1), DONE(390, 1, 0, 0, 2, OTHER(40, 2)),
	     SUBMIT(400, 1), DONE(600, 1, 30, 1, 2, FIRST(200, 1), OTHER(210, 2)),
	     SUBMIT(610, 1), DONE(640, 1, 0, 0, 3, SECOND(40, 1), OTHER(40, 2)));
}

/* A long prompt between the steps of another sequence: only that one's next token is late. */
static void test_prompt_between(void **state)
{
	PLAY(SUBMIT(10, 1), DONE(50, 1, 4, 1, 0, FIRST(40, 1)),
	     SUBMIT(60, 1), DONE(100, 1, 0, 0, 1, SECOND(50, 1)),
	     SUBMIT(110, 1), DONE(400, 1, 512, 0, 0, 0), DONE(500, 1, 90, 1, 0, FIRST(390, 1)),
	     SUBMIT(510, 1), DONE(540, 1, 0, 0, 2, SECOND(40, 1), OTHER(440, 1)));
}

/* Attached in the middle: no time is made up. */
static void test_attached_late(void **state)
{
	PLAY(DONE(500, 1, 16, 1, 0, 0), DONE(600, 1, 0, 0, 1, SECOND(100, 1)));
	PLAY(DONE(500, 1, 0, 0, 2, 0), DONE(600, 1, 0, 0, 2, OTHER(100, 2)));
}

/* Rows that are scored or embedded are no tokens of a sequence. */
static void test_embeddings(void **state)
{
	struct event e = { .now = 200, .request = 1, .evaluated = 64, .embedded = 40, .scored = 24 };
	struct token_times times;

	(void)state;
	nr_streams = 0;
	stream_submitted(&(struct event){ .now = 100, .request = 1 });
	stream_tokens(&e, &times);
	assert_int_equal(times.ttft_tokens + times.itl_first_tokens + times.itl_tokens, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request), cmocka_unit_test(test_prompt_in_parts),
		cmocka_unit_test(test_prompt_of_one_token), cmocka_unit_test(test_next_request),
		cmocka_unit_test(test_one_token_each), cmocka_unit_test(test_two_streams),
		cmocka_unit_test(test_slots), cmocka_unit_test(test_prompt_between),
		cmocka_unit_test(test_attached_late), cmocka_unit_test(test_embeddings),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
