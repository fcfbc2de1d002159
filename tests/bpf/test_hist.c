// SPDX-License-Identifier: GPL-2.0-or-later
/* Histograms: every duration in the bucket that says so, quantiles within what is promised. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "quantile.h"

static void test_log2(void **state)
{
	(void)state;
	for (unsigned int bit = 0; bit < 64; bit++) {
		assert_int_equal(hist_log2(1ull << bit), bit);
		assert_int_equal(hist_log2((1ull << bit) | ((1ull << bit) - 1)), bit);
	}
}

static void test_bucket_edges(void **state)
{
	(void)state;
	assert_int_equal(hist_bucket(0), 0);
	assert_int_equal(hist_bucket(UINT64_MAX), HIST_BUCKETS - 1);
	for (unsigned int i = 1; i < HIST_BUCKETS; i++) {
		assert_int_equal(hist_bucket(hist_floor_ns(i)), i);
		assert_int_equal(hist_bucket(hist_floor_ns(i) - 1), i - 1);
	}
}

static void test_quantile_empty(void **state)
{
	uint32_t hist[HIST_BUCKETS] = { 0 };

	(void)state;
	assert_int_equal(hist_quantile_ns(hist, 500000), 0);
	assert_int_equal(hist_count(hist), 0);
}

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Against sorted samples, spread over all octaves; within a bucket's width, an eighth. */
static void test_quantile_exact(void **state)
{
	static const uint32_t ppm[] = { 10000, 500000, 900000, 990000, 1000000 };
	enum { SAMPLES = 20000 };
	uint32_t hist[HIST_BUCKETS] = { 0 };
	uint64_t *sample = calloc(SAMPLES, sizeof(*sample)), seed = 1;

	(void)state;
	assert_non_null(sample);
	for (int i = 0; i < SAMPLES; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		sample[i] = 2048 + (seed >> 40 << (seed >> 33) % 14);
		hist[hist_bucket(sample[i])]++;
	}
	qsort(sample, SAMPLES, sizeof(*sample), compare);
	assert_int_equal(hist_count(hist), SAMPLES);
	for (size_t i = 0; i < sizeof(ppm) / sizeof(*ppm); i++) {
		uint64_t exact = sample[(uint64_t)ppm[i] * (SAMPLES - 1) / 1000000];
		uint64_t got = hist_quantile_ns(hist, ppm[i]);

		assert_uint_in_range(got, exact - exact / 8, exact + exact / 8);
	}
	free(sample);
}

static void test_text(void **state)
{
	static const struct {
		uint64_t ns;
		const char *text;
	} rows[] = {
		{ 0, "-" }, { 1, "1ns" }, { 999, "999ns" }, { 1000, "1.00us" },
		{ 9994, "9.99us" }, { 9996, "10.0us" }, { 10000, "10.0us" },
		{ 99940, "99.9us" }, { 99960, "100us" }, { 999600, "1.00ms" },
		{ 1250000000, "1.25s" }, { 3600000000000, "3600s" },
	};
	char text[HIST_TEXT];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_string_equal(hist_text(rows[i].ns, text), rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log2), cmocka_unit_test(test_bucket_edges),
		cmocka_unit_test(test_quantile_empty), cmocka_unit_test(test_quantile_exact),
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
