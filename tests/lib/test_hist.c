// SPDX-License-Identifier: GPL-2.0-or-later
/* Quantiles of histograms of waits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "infini-admin.h"

/* @low..@high: where the answer must lie. */
static const struct row {
	const char *name;
	struct {
		uint32_t bucket;
		uint64_t count;
	} fill[3];
	uint32_t ppm;
	uint64_t low, high;
} rows[] = {
	{ "empty", { { 0, 0 } }, 990000, 0, 0 },
	{ "one wait of 1 ns", { { 0, 1 } }, 500000, 1, 1 },
	{ "all in 1024..1279 ns, half", { { 40, 1000 } }, 500000, 1150, 1154 },
	{ "all in 1024..1279 ns, everything", { { 40, 1000 } }, 1000000, 1280, 1280 },
	{ "all in 1024..1279 ns, nothing", { { 40, 1000 } }, 0, 1024, 1024 },
	{ "last quarter of an octave", { { 43, 8 } }, 1000000, 2048, 2048 },
	{ "99 fast, 1 slow: the median is fast", { { 40, 99 }, { 80, 1 } }, 500000, 1024, 1280 },
	{ "99 fast, 1 slow: p99 is fast", { { 40, 99 }, { 80, 1 } }, 990000, 1279, 1280 },
	{ "99 fast, 1 slow: p999 is slow", { { 40, 99 }, { 80, 1 } }, 999000, 1 << 20, 1310720 },
	{ "a gap at the rank goes to the lower bucket", { { 8, 5 }, { 100, 5 } }, 500000, 4, 5 },
	{ "longer than 18 minutes counts in the last bucket", { { 159, 3 } }, 1000000,
	  1ull << 40, 1ull << 40 },
	{ "ppm above a million is a million", { { 40, 4 } }, 2000000, 1280, 1280 },
	{ "counts near 2^64 do not wrap", { { 40, 1ull << 63 }, { 41, 1ull << 63 } }, 250000,
	  1150, 1154 },
};

static void test_quantile(void **state)
{
	const struct row *row = *state;
	uint64_t hist[INFINI_HIST_BUCKETS] = { 0 };
	uint64_t got;

	for (size_t i = 0; i < sizeof(row->fill) / sizeof(*row->fill); i++)
		hist[row->fill[i].bucket] += row->fill[i].count;
	got = infini_hist_quantile(hist, row->ppm);
	assert_true(got >= row->low);
	assert_true(got <= row->high);
}

static void test_never_falls(void **state)
{
	uint64_t hist[INFINI_HIST_BUCKETS];
	uint64_t last = 0, got;

	(void)state;
	srand(1);
	for (int i = 0; i < INFINI_HIST_BUCKETS; i++)
		hist[i] = rand() % 3 ? 0 : rand() % 1000;
	for (uint32_t ppm = 0; ppm <= 1000000; ppm += 100) {
		got = infini_hist_quantile(hist, ppm);
		assert_true(got >= last);
		last = got;
	}
}

#define NR_ROWS	(sizeof(rows) / sizeof(*rows))

int main(void)
{
	static char names[NR_ROWS][80];
	struct CMUnitTest tests[NR_ROWS + 1];

	for (size_t i = 0; i < NR_ROWS; i++) {
		snprintf(names[i], sizeof(names[i]), "quantile: %s", rows[i].name);
		tests[i] = (struct CMUnitTest){ names[i], test_quantile, NULL, NULL,
						(void *)&rows[i] };
	}
	tests[NR_ROWS] = (struct CMUnitTest)cmocka_unit_test(test_never_falls);
	return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
