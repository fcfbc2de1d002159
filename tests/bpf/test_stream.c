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

/* A job of stream @request: handed in, or done with tokens; and what should come of it. */
struct step {
	u64 now;
	u64 request;
	u32 evaluated;
	u32 generated;
	u64 ttft_ns;
	u64 itl_ns;
};

static void play(const struct step *step, size_t nr)
{
	nr_streams = 0;
	for (; nr--; step++) {
		struct event e = {
			.now = step->now,
			.request = step->request,
			.vdev = 1,
			.evaluated = step->evaluated,
			.generated = step->generated,
		};
		struct stream_times times;

		if (!step->evaluated && !step->generated) {
			stream_submitted(&e);
			continue;
		}
		stream_tokens(&e, &times);
		assert_int_equal(times.ttft_ns, step->ttft_ns);
		assert_int_equal(times.itl_ns, step->itl_ns);
	}
}

#define PLAY(...)								\
	do {									\
		static const struct step steps[] = { __VA_ARGS__ };		\
										\
		(void)state;							\
		play(steps, sizeof(steps) / sizeof(*steps));			\
	} while (0)

/* The copies of the inputs are jobs too: the first of them is the arrival. */
static void test_request(void **state)
{
	PLAY({ 100, 1, 0, 0, 0, 0 }, { 110, 1, 0, 0, 0, 0 }, { 500, 1, 16, 1, 400, 0 },
	     { 510, 1, 0, 0, 0, 0 }, { 600, 1, 1, 1, 0, 100 },
	     { 610, 1, 0, 0, 0, 0 }, { 720, 1, 1, 1, 0, 120 });
}

static void test_prompt_in_parts(void **state)
{
	PLAY({ 100, 1, 0, 0, 0, 0 }, { 300, 1, 512, 0, 0, 0 }, { 310, 1, 0, 0, 0, 0 },
	     { 500, 1, 512, 0, 0, 0 }, { 510, 1, 0, 0, 0, 0 }, { 700, 1, 100, 1, 600, 0 },
	     { 800, 1, 1, 1, 0, 100 });
}

static void test_next_request(void **state)
{
	PLAY({ 100, 1, 0, 0, 0, 0 }, { 200, 1, 8, 1, 100, 0 }, { 300, 1, 1, 1, 0, 100 },
	     { 9000, 1, 0, 0, 0, 0 }, { 9500, 1, 8, 1, 500, 0 }, { 9600, 1, 1, 1, 0, 100 });
}

static void test_two_streams(void **state)
{
	PLAY({ 100, 1, 0, 0, 0, 0 }, { 150, 2, 0, 0, 0, 0 }, { 300, 1, 8, 1, 200, 0 },
	     { 450, 2, 8, 1, 300, 0 }, { 460, 1, 1, 1, 0, 160 }, { 500, 2, 1, 1, 0, 50 });
}

/* Attached in the middle: no time is made up. */
static void test_attached_late(void **state)
{
	PLAY({ 500, 1, 16, 1, 0, 0 }, { 600, 1, 1, 1, 0, 100 });
}

/* Rows of embeddings are a prompt that never ends, and no token. */
static void test_embeddings(void **state)
{
	PLAY({ 100, 1, 0, 0, 0, 0 }, { 200, 1, 64, 0, 0, 0 }, { 300, 1, 0, 0, 0, 0 },
	     { 400, 1, 64, 0, 0, 0 });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request), cmocka_unit_test(test_prompt_in_parts),
		cmocka_unit_test(test_next_request), cmocka_unit_test(test_two_streams),
		cmocka_unit_test(test_attached_late), cmocka_unit_test(test_embeddings),
	};

	return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
