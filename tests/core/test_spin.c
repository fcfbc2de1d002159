// SPDX-License-Identifier: GPL-2.0-or-later
/* How long one looks before sleeping: steps by name, and what it comes to after many waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rows.h"
#include "spin.h"

#define US	1000u
#define MAX_NS	(200 * US)

struct spin_case {
	const char *name;
	u32 window_ns;
	u32 max_ns;
	u64 waited_ns;
	u32 next_ns;
};

static const struct spin_case spin_cases[] = {
	{ "a first short wait", 0, MAX_NS, 5 * US, 10 * US },
	{ "found while looking", 40 * US, MAX_NS, 30 * US, 40 * US },
	{ "found at the very end", 40 * US, MAX_NS, 40 * US, 40 * US },
	{ "just missed", 40 * US, MAX_NS, 41 * US, 80 * US },
	{ "no longer than allowed", 150 * US, MAX_NS, 180 * US, MAX_NS },
	{ "as long as allowed", 150 * US, MAX_NS, 200 * US, MAX_NS },
	{ "too long to look for", 80 * US, MAX_NS, 200 * US + 1, 40 * US },
	{ "had not come for long", 80 * US, MAX_NS, U64_MAX, 40 * US },
	{ "little is nothing", 19 * US, MAX_NS, U64_MAX, 0 },
	{ "nothing stays nothing", 0, MAX_NS, U64_MAX, 0 },
	{ "no wait at all", 0, MAX_NS, 0, 0 },
	{ "less is allowed than before", 160 * US, 20 * US, 10 * US, 20 * US },
	{ "nothing is allowed any more", 160 * US, 0, 10 * US, 0 },
	{ "less is allowed than one begins with", 0, 3 * US, 2 * US, 3 * US },
	{ "the longest there may be", 1000000 * US, 1000000 * US, 1000000 * US, 1000000 * US },
};

static void test_step(void **state)
{
	const struct spin_case *c = *state;

	assert_int_equal(infini_spin_next(c->window_ns, c->max_ns, c->waited_ns), c->next_ns);
}

/* Waits of one length, and where the window ends up. */
static void test_settles(void **state)
{
	static const struct {
		u64 waited_ns;
		u32 window_ns;
	} rows[] = {
		{ 0, 0 }, { 1, 10 * US }, { 15 * US, 20 * US }, { 100 * US, 160 * US }, { 190 * US, MAX_NS },
		{ 300 * US, 0 }, { 3000000 * (u64)US, 0 },
	};
	size_t i;
	int n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		u32 low = 0, high = MAX_NS;

		for (n = 0; n < 10; n++) {
			low = infini_spin_next(low, MAX_NS, rows[i].waited_ns);
			high = infini_spin_next(high, MAX_NS, rows[i].waited_ns);
		}
		assert_int_equal(low, rows[i].window_ns);
		/* What was long enough is not shortened. */
		assert_int_equal(high, rows[i].waited_ns > MAX_NS ? 0 : MAX_NS);
	}
}

int main(void)
{
	return ROWS_RUN("spin", spin_cases, test_step, "what many waits of one length come to",
			test_settles);
}
