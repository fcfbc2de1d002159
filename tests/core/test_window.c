// SPDX-License-Identifier: GPL-2.0-or-later
/* The sliding second against one that is added up anew at every tick. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim.h"

/* In ticks of 10 ms, so that a second is few of them. */
#define TICK_NS		(10 * SIM_MS)
#define SECOND_TICKS	(WINDOW_NS / TICK_NS)
#define TICKS		1000

struct model {
	bool served[TICKS];
	bool work[TICKS];
};

static u64 model_sum(const struct model *m, u32 from)
{
	u64 sum = 0;
	u32 i;

	for (i = from; i < from + SECOND_TICKS; i++)
		sum += m->served[i];
	return sum * TICK_NS;
}

static bool model_full(const struct model *m, u32 from)
{
	u32 i;

	for (i = from; i < from + SECOND_TICKS; i++)
		if (!m->work[i])
			return false;
	return true;
}

static void model_draw(struct model *m, u64 *random)
{
	u64 rest = sim_between(random, 1, 30), busy = sim_between(random, 1, 30);
	bool work = true, served = false;
	u32 i, left = 0;

	for (i = 0; i < TICKS; i++) {
		if (!left) {
			served = !served;
			left = sim_between(random, 1, served ? busy : rest);
			/* Work stops now and then, and only with service. */
			work = served || sim_random(random) % 20;
		}
		left--;
		m->served[i] = served;
		m->work[i] = work;
	}
}

/* Tell it what the model did. */
static void window_play(struct window *window, const struct model *m)
{
	u64 start_ns = 0;
	u32 i;

	window_reset(window, 0);
	for (i = 0; i <= TICKS; i++) {
		bool was = i && m->served[i - 1], is = i < TICKS && m->served[i];
		u64 now_ns = i * TICK_NS;

		if (i && i < TICKS && m->work[i] && !m->work[i - 1])
			window_work(window, now_ns);
		if (was && !is)
			window_end(window, start_ns, now_ns);
		if (is && !was) {
			window_begin(window, now_ns);
			start_ns = now_ns;
		}
		if (i == TICKS && !was && m->work[i - 1])
			window_begin(window, now_ns);
	}
}

static void test_any_second(void **state)
{
	u64 random = 42, most, least;
	static struct model m;
	struct window window;
	u32 run, i;

	(void)state;
	for (run = 0; run < 300; run++) {
		memset(&window, 0, sizeof(window));
		model_draw(&m, &random);
		window_play(&window, &m);
		most = 0;
		least = U64_MAX;
		for (i = 0; i + SECOND_TICKS <= TICKS; i++) {
			most = max_t(u64, most, model_sum(&m, i));
			if (model_full(&m, i))
				least = min_t(u64, least, model_sum(&m, i));
		}
		assert_true(window.most_ns == most);
		assert_true(window.least_ns == least);
		window_free(&window);
	}
}

/* What was before a reset is not known after it. */
static void test_reset(void **state)
{
	struct window window = { 0 };

	(void)state;
	window_reset(&window, 0);
	window_end(&window, 0, 900 * SIM_MS);
	assert_true(window.most_ns == 900 * SIM_MS);
	window_reset(&window, 950 * SIM_MS);
	window_end(&window, 940 * SIM_MS, 1000 * SIM_MS);
	assert_true(window.most_ns == 50 * SIM_MS);
	assert_true(window.least_ns == U64_MAX);
	window_begin(&window, 1949 * SIM_MS);
	assert_true(window.least_ns == U64_MAX);
	window_begin(&window, 1950 * SIM_MS);
	assert_true(window.least_ns == 50 * SIM_MS);
	window_free(&window);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ .name = "the most and the least of any second", .test_func = test_any_second },
		{ .name = "a reset", .test_func = test_reset },
	};

	return cmocka_run_group_tests_name("window", tests, NULL, NULL);
}
