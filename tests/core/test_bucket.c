// SPDX-License-Identifier: GPL-2.0-or-later
/* Buckets: what comes in, what is taken, and when there will be enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bucket.h"

#define SECOND	1000000000ull
#define TOKEN	((s64)INFINI_BUCKET_PER_TOKEN)

/**
 * struct row - one bucket, one story
 * @name: what a reader calls it
 * @rate: units per ns
 * @brim: most that is in it
 * @take: taken at time 0 from the full bucket
 * @wait_ns: then so much time passes
 * @level: what is in it then
 */
struct row {
	const char *name;
	u64 rate;
	s64 brim;
	u64 take;
	u64 wait_ns;
	s64 level;
};

static const struct row rows[] = {
	{ "full from the start", 100, 50 * TOKEN, 0, 0, 50 * TOKEN },
	{ "never above the brim", 100, 50 * TOKEN, 0, SECOND, 50 * TOKEN },
	{ "100 tokens/s give 10 in 100 ms", 100, 50 * TOKEN, 50 * TOKEN, SECOND / 10, 10 * TOKEN },
	{ "paid after the fact", 100, 50 * TOKEN, 80 * TOKEN, 0, -30 * TOKEN },
	{ "a debt is filled up first", 100, 50 * TOKEN, 80 * TOKEN, SECOND / 10, -20 * TOKEN },
	{ "20 % of a millisecond", 200000, 2000000ll * INFINI_BUCKET_PER_NS,
	  2000000ull * INFINI_BUCKET_PER_NS, 1000000, 200000ll * INFINI_BUCKET_PER_NS },
	{ "a rate of nothing fills nothing", 0, 50 * TOKEN, 10 * TOKEN, 1000 * SECOND, 40 * TOKEN },
	{ "years at the highest rate do not overflow", 1ull << 32, INFINI_BUCKET_MAX,
	  INFINI_BUCKET_MAX, 1ull << 60, INFINI_BUCKET_MAX },
	{ "a debt has a bottom", 1, TOKEN, U64_MAX, 0, -INFINI_BUCKET_MAX },
};

static void test_levels(void **state)
{
	struct infini_bucket bucket;
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];

		infini_bucket_init(&bucket, row->rate, row->brim, 7);
		infini_bucket_take(&bucket, row->take);
		infini_bucket_fill(&bucket, 7 + row->wait_ns);
		if (bucket.level != row->level)
			fail_msg("%s: %lld, not %lld", row->name, (long long)bucket.level,
				 (long long)row->level);
	}
}

/* Whatever the steps, the same time brings the same: nothing is rounded away. */
static void test_small_steps(void **state)
{
	struct infini_bucket once, often;
	u64 now;

	(void)state;
	infini_bucket_init(&once, 333333, 1ll << 50, 0);
	infini_bucket_take(&once, 1ull << 50);
	often = once;
	for (now = 0; now < 1000000; now += 7)
		infini_bucket_fill(&often, now);
	infini_bucket_fill(&often, 1000000);
	infini_bucket_fill(&once, 1000000);
	assert_true(once.level == often.level);
}

/* At the time it names there is enough, a nanosecond before there is not. */
static void test_when(void **state)
{
	static const u64 rates[] = { 1, 3, 1000, 333333, 64000000 };
	struct infini_bucket bucket, before;
	s64 want;
	u32 i;
	u64 at;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rates); i++) {
		for (want = -5000; want <= 10000; want += 1250) {
			infini_bucket_init(&bucket, rates[i], 10000, 100);
			infini_bucket_take(&bucket, 20000);
			before = bucket;
			at = infini_bucket_when(&bucket, want);
			infini_bucket_fill(&bucket, at);
			infini_bucket_fill(&before, at - 1);
			assert_true(bucket.level >= want && before.level < want);
		}
	}
	infini_bucket_init(&bucket, 5, 100, 40);
	assert_true(infini_bucket_when(&bucket, 100) == 40);
	assert_true(infini_bucket_when(&bucket, 101) == INFINI_BUCKET_NEVER);
	infini_bucket_set(&bucket, 0, 100, 40);
	infini_bucket_take(&bucket, 1);
	assert_true(infini_bucket_when(&bucket, 100) == INFINI_BUCKET_NEVER);
}

static void test_set(void **state)
{
	struct infini_bucket bucket;

	(void)state;
	infini_bucket_init(&bucket, 10, 1000, 0);
	infini_bucket_set(&bucket, 10, 400, 0);
	assert_int_equal(bucket.level, 400);
	infini_bucket_set(&bucket, 10, 1000, 0);
	assert_int_equal(bucket.level, 400);
	/* What came in before the change came in at the old rate. */
	infini_bucket_set(&bucket, 1000, 1000, 30);
	assert_int_equal(bucket.level, 700);
	infini_bucket_take(&bucket, 900);
	infini_bucket_set(&bucket, 1, 50, 30);
	assert_int_equal(bucket.level, -200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ .name = "levels", .test_func = test_levels },
		{ .name = "small steps lose nothing", .test_func = test_small_steps },
		{ .name = "when there is enough", .test_func = test_when },
		{ .name = "a new rate and brim", .test_func = test_set },
	};

	return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
