// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl: sizes, times, modes as people type and read them, and how near two words are. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl.h"
#include "units.h"

#define KIB	(1ull << 10)
#define MIB	(1ull << 20)
#define GIB	(1ull << 30)
#define TIB	(1ull << 40)

struct row {
	const char *text;
	int err;
	uint64_t value;
};

static const struct row byte_rows[] = {
	{ "0", 0, 0 },
	{ "3", 0, 3 },
	{ "17B", 0, 17 },
	{ "4K", 0, 4 * KIB },
	{ "4k", 0, 4 * KIB },
	{ "512M", 0, 512 * MIB },
	{ "2G", 0, 2 * GIB },
	{ "2g", 0, 2 * GIB },
	{ "2GiB", 0, 2 * GIB },
	{ "2GB", 0, 2000000000 },
	{ "1.5GiB", 0, GIB + 512 * MIB },
	{ "0.5K", 0, 512 },
	{ "1.999999999G", 0, 2147483646 },
	{ "1T", 0, TIB },
	{ "8388607T", 0, 8388607 * TIB },
	{ "8388608T", -ERANGE, 0 },
	{ "99999999999999999999", -ERANGE, 0 },
	{ "", -EINVAL, 0 },
	{ "G", -EINVAL, 0 },
	{ "-1G", -EINVAL, 0 },
	{ "+1G", -EINVAL, 0 },
	{ " 1G", -EINVAL, 0 },
	{ "1.G", -EINVAL, 0 },
	{ ".5G", -EINVAL, 0 },
	{ "0x10", -EDOM, 0 },
	{ "2X", -EDOM, 0 },
	{ "2 G", -EDOM, 0 },
	{ "2Gi", -EDOM, 0 },
	{ "1.5.5G", -EDOM, 0 },
	{ "1e9", -EDOM, 0 },
};

static const struct row time_rows[] = {
	{ "250us", 0, 250000 },
	{ "250\xc2\xb5s", 0, 250000 },
	{ "2ms", 0, 2000000 },
	{ "1.5ms", 0, 1500000 },
	{ "100ns", 0, 100 },
	{ "1s", 0, 1000000000 },
	{ "1min", 0, 60000000000 },
	{ "3", -EDOM, 0 },
	{ "3m", -EDOM, 0 },
	{ "3MS", -EDOM, 0 },
	{ "ms", -EINVAL, 0 },
	{ "", -EINVAL, 0 },
	{ "99999999999s", -ERANGE, 0 },
};

static const struct row number_rows[] = {
	{ "3", 0, 3 },
	{ "007", 0, 7 },
	{ "18446744073709551615", 0, UINT64_MAX },
	{ "18446744073709551616", -ERANGE, 0 },
	{ "3.0", 0, 3 },
	{ "3.5", -EINVAL, 0 },
	{ "3x", -EINVAL, 0 },
	{ "", -EINVAL, 0 },
	{ "-3", -EINVAL, 0 },
};

static const struct row mode_rows[] = {
	{ "0660", 0, 0660 },
	{ "660", 0, 0660 },
	{ "0", 0, 0 },
	{ "7777", 0, 07777 },
	{ "10000", -ERANGE, 0 },
	{ "999", -EINVAL, 0 },
	{ "rw-", -EINVAL, 0 },
	{ "", -EINVAL, 0 },
};

static const struct row percent_rows[] = {
	{ "0%", 0, 0 },
	{ "20%", 0, 200000 },
	{ "12.5%", 0, 125000 },
	{ "0.0001%", 0, 1 },
	{ "0.00009%", 0, 0 },
	{ "33.333333%", 0, 333333 },
	{ "100%", 0, 1000000 },
	{ "150%", 0, 1500000 },
	{ "429496.7295%", 0, UINT32_MAX },
	{ "429496.7296%", -ERANGE, 0 },
	{ "99999999999999999999%", -ERANGE, 0 },
	{ "20", -EDOM, 0 },
	{ "20 %", -EDOM, 0 },
	{ "20%%", -EDOM, 0 },
	{ "20percent", -EDOM, 0 },
	{ "-5%", -EINVAL, 0 },
	{ "%", -EINVAL, 0 },
	{ ".5%", -EINVAL, 0 },
	{ "", -EINVAL, 0 },
};

static const struct text_row {
	uint64_t value;
	const char *text;
} bytes_texts[] = {
	{ 0, "0" }, { 17, "17" }, { 999, "999" }, { 1000, "0.98K" }, { 1024, "1K" },
	{ 1536, "1.5K" }, { 64 * MIB, "64M" }, { GIB, "1G" }, { 12 * GIB + 300 * MIB, "12.3G" },
	{ 900 * TIB, "900T" }, { UINT64_MAX, "16384P" },
}, duration_texts[] = {
	{ 0, "0ns" }, { 999, "999ns" }, { 1000, "1us" }, { 250000, "250us" }, { 2000000, "2ms" },
	{ 1234567, "1.23ms" }, { 12345678, "12.3ms" }, { 1000000000, "1s" },
	{ 90000000000, "90s" }, { 3600000000000, "60min" },
}, percent_texts[] = {
	{ 0, "0%" }, { 1, "0.0001%" }, { 2000, "0.2%" }, { 125000, "12.5%" }, { 200000, "20%" },
	{ 333333, "33.3333%" }, { 999999, "99.9999%" }, { 1000000, "100%" },
};

static void check(const struct row *row, int err, uint64_t value)
{
	if (err != row->err || value != row->value)
		fail_msg("\"%s\": got %d, %llu; wanted %d, %llu", row->text, err,
			 (unsigned long long)value, row->err, (unsigned long long)row->value);
}

#define EACH(_rows)	(size_t i = 0; i < sizeof(_rows) / sizeof(*(_rows)); i++)

static void test_bytes(void **state)
{
	(void)state;
	for EACH(byte_rows) {
		uint64_t value = 0;
		int err = infini_bytes_parse(byte_rows[i].text, &value);

		check(&byte_rows[i], err, value);
	}
}

static void test_times(void **state)
{
	uint64_t value;

	(void)state;
	for EACH(time_rows) {
		int err;

		value = 0;
		err = infini_duration_parse(time_rows[i].text, 0, &value);
		check(&time_rows[i], err, value);
	}
	assert_int_equal(infini_duration_parse("3", 1000000000, &value), 0);
	assert_int_equal(value, 3000000000);
	assert_int_equal(infini_duration_parse("0.5", 1000000000, &value), 0);
	assert_int_equal(value, 500000000);
}

static void test_numbers(void **state)
{
	(void)state;
	for EACH(number_rows) {
		uint64_t value = 0;
		int err = infini_number_parse(number_rows[i].text, &value);

		check(&number_rows[i], err, value);
	}
}

static void test_modes(void **state)
{
	(void)state;
	for EACH(mode_rows) {
		uint32_t value = 0;
		int err = infini_mode_parse(mode_rows[i].text, &value);

		check(&mode_rows[i], err, value);
	}
}

static void test_percents(void **state)
{
	(void)state;
	for EACH(percent_rows) {
		uint32_t value = 0;
		int err = infini_percent_parse(percent_rows[i].text, &value);

		check(&percent_rows[i], err, value);
	}
}

static void test_texts(void **state)
{
	(void)state;
	for EACH(bytes_texts)
		assert_string_equal(infini_bytes_text(bytes_texts[i].value).s,
				    bytes_texts[i].text);
	for EACH(duration_texts)
		assert_string_equal(infini_duration_text(duration_texts[i].value).s,
				    duration_texts[i].text);
	for EACH(percent_texts)
		assert_string_equal(infini_percent_text(percent_texts[i].value).s,
				    percent_texts[i].text);
}

/* What a table shows can be typed again: it means the same within what was rounded away. */
static void test_texts_parse(void **state)
{
	uint64_t value;

	(void)state;
	for (uint64_t bytes = 1; bytes < TIB; bytes = bytes * 17 / 7 + 1) {
		assert_int_equal(infini_bytes_parse(infini_bytes_text(bytes).s, &value), 0);
		assert_true(value >= bytes - bytes / 100 && value <= bytes + bytes / 100);
	}
	for (uint32_t ppm = 0; ppm <= INFINI_VDEV_PPM_MAX; ppm += 7) {
		uint32_t again;

		assert_int_equal(infini_percent_parse(infini_percent_text(ppm).s, &again), 0);
		assert_int_equal(again, ppm);
	}
}

static const struct near_row {
	const char *a, *b;
	size_t distance;
} near_rows[] = {
	{ "alpha", "alpha", 0 }, { "alpha", "alpah", 1 }, { "alpha", "lpha", 1 },
	{ "alpha", "alphas", 1 }, { "alpha", "alpna", 1 }, { "memory", "memroy", 1 },
	{ "weight", "wieght", 1 }, { "", "abc", 3 }, { "abc", "", 3 }, { "kitten", "sitting", 3 },
};

static void test_near(void **state)
{
	char word[200];

	(void)state;
	for EACH(near_rows) {
		assert_int_equal(infini_near_distance(near_rows[i].a, near_rows[i].b),
				 near_rows[i].distance);
		assert_int_equal(infini_near_distance(near_rows[i].b, near_rows[i].a),
				 near_rows[i].distance);
	}
	/* "a" is no slip of "b", "ab" may be one of "ac". */
	assert_int_equal(infini_near_bound("a"), 1);
	assert_int_equal(infini_near_bound("ab"), 2);
	assert_int_equal(infini_near_bound("weight"), 4);
	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = '\0';
	assert_int_equal(infini_near_distance(word, "x"), sizeof(word) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_percents),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_texts_parse),
		cmocka_unit_test(test_near),
	};

	return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
