// SPDX-License-Identifier: GPL-2.0-or-later
/* Buckets of the wait histogram: named waits, and every bucket's two edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "rows.h"
#include "hist.h"

struct hist_case {
	const char *name;
	u64 ns;
	u32 bucket;
};

static const struct hist_case hist_cases[] = {
	{ "no wait", 0, 0 },
	{ "1 ns", 1, 0 },
	{ "2 ns", 2, 4 },
	{ "3 ns", 3, 6 },
	{ "4 ns", 4, 8 },
	{ "7 ns", 7, 11 },
	{ "just under a power of two", 1023, 39 },
	{ "a power of two", 1024, 40 },
	{ "1 ms", 1000000, 79 },
	{ "1 s", 1000000000, 119 },
	{ "last ns of the last octave", (1ull << 40) - 1, 159 },
	{ "beyond the last octave", 1ull << 40, 159 },
	{ "for ever", U64_MAX, 159 },
};

static void test_named(void **state)
{
	const struct hist_case *c = *state;

	assert_int_equal(infini_hist_bucket(c->ns), c->bucket);
}

/* The rule as the uapi header states it: bucket i begins at 2^o * (4 + s) / 4. */
static void test_edges(void **state)
{
	u32 i;

	(void)state;
	for (i = 8; i < INFINI_HIST_BUCKETS; i++) {
		u64 first = (1ull << (i / 4)) / 4 * (4 + i % 4);

		assert_int_equal(infini_hist_bucket(first), i);
		assert_int_equal(infini_hist_bucket(first - 1), i - (i == 8 ? 2 : 1));
	}
}

int main(void)
{
	return ROWS_RUN("hist", hist_cases, test_named, "every bucket's first wait",
			test_edges);
}
