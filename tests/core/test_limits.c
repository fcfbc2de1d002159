// SPDX-License-Identifier: GPL-2.0-or-later
/* What an operator may ask of a vdev: every edge, and what he is told beyond it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "limits.h"

#define MS	1000000ull

/**
 * struct row - a question and its answer
 * @name: what a reader calls it
 * @limits: a weight of 0 and so on is 0; the first row shows the defaults
 * @slots: of the device
 * @floors_ppm: promised to others
 * @fault: expected
 * @low: expected with a fault
 * @high: expected with a fault
 */
struct row {
	const char *name;
	struct infini_sched_limits limits;
	u32 slots;
	u32 floors_ppm;
	enum infini_limits_fault fault;
	u64 low;
	u64 high;
};

#define LIMITS(...)	{ .weight = 100, .sched_class = INFINI_SCHED_NORMAL, \
			  .quantum_ns = 2 * MS, .cap_ppm = INFINI_PPM, __VA_ARGS__ }

/* The later of two settings of one field counts; that is what LIMITS() is made of. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
#ifdef __clang__
#pragma GCC diagnostic ignored "-Winitializer-overrides"
#endif
static const struct row rows[] = {
	{ "the defaults", LIMITS(), 1, 0, INFINI_LIMITS_OK, 0, 0 },
	{ "least weight", LIMITS(.weight = 1), 1, 0, INFINI_LIMITS_OK, 0, 0 },
	{ "most weight", LIMITS(.weight = 10000), 1, 0, INFINI_LIMITS_OK, 0, 0 },
	{ "weight 0", LIMITS(.weight = 0), 1, 0, INFINI_LIMITS_WEIGHT, 1, 10000 },
	{ "weight 10001", LIMITS(.weight = 10001), 1, 0, INFINI_LIMITS_WEIGHT, 1, 10000 },
	{ "last class", LIMITS(.sched_class = INFINI_SCHED_BATCH), 1, 0, INFINI_LIMITS_OK, 0, 0 },
	{ "no such class", LIMITS(.sched_class = 3), 1, 0, INFINI_LIMITS_CLASS, 0, 2 },
	{ "quantum of 99 us", LIMITS(.quantum_ns = 99000),
	  1, 0, INFINI_LIMITS_QUANTUM, 100000, 1000 * MS },
	{ "quantum above a second", LIMITS(.quantum_ns = 1000 * MS + 1),
	  1, 0, INFINI_LIMITS_QUANTUM, 100000, 1000 * MS },
	{ "a cap that holds just one quantum a second", LIMITS(.cap_ppm = 2000),
	  1, 0, INFINI_LIMITS_OK, 0, 0 },
	{ "a cap below one quantum a second", LIMITS(.cap_ppm = 1999),
	  1, 0, INFINI_LIMITS_CAP, 2000, INFINI_PPM },
	{ "the same cap on two slots", LIMITS(.cap_ppm = 1000), 2, 0, INFINI_LIMITS_OK, 0, 0 },
	{ "a cap of nothing", LIMITS(.cap_ppm = 0), 1, 0, INFINI_LIMITS_CAP, 2000, INFINI_PPM },
	{ "a cap above everything", LIMITS(.cap_ppm = INFINI_PPM + 1),
	  1, 0, INFINI_LIMITS_CAP, 2000, INFINI_PPM },
	{ "a quantum that outgrows the cap", LIMITS(.cap_ppm = 20000, .quantum_ns = 30 * MS),
	  1, 0, INFINI_LIMITS_CAP, 30000, INFINI_PPM },
	{ "a quantum of a second takes no cap", LIMITS(.quantum_ns = 1000 * MS),
	  1, 0, INFINI_LIMITS_OK, 0, 0 },
	{ "a floor of everything", LIMITS(.floor_ppm = INFINI_PPM), 1, 0, INFINI_LIMITS_OK, 0, 0 },
	{ "a floor above everything", LIMITS(.floor_ppm = INFINI_PPM + 1),
	  1, 0, INFINI_LIMITS_FLOOR, 0, INFINI_PPM },
	{ "a floor above the cap", LIMITS(.cap_ppm = 200000, .floor_ppm = 200001),
	  1, 0, INFINI_LIMITS_FLOOR, 0, 200000 },
	{ "a floor above one slot", LIMITS(.floor_ppm = 500001),
	  2, 0, INFINI_LIMITS_FLOOR, 0, 500000 },
	{ "what others left", LIMITS(.floor_ppm = 400000), 1, 600000, INFINI_LIMITS_OK, 0, 0 },
	{ "more than others left", LIMITS(.floor_ppm = 400001),
	  1, 600000, INFINI_LIMITS_FLOOR_LEFT, 0, 400000 },
	{ "all is promised", LIMITS(.floor_ppm = 1),
	  1, INFINI_PPM, INFINI_LIMITS_FLOOR_LEFT, 0, 0 },
	{ "no floor where all is promised", LIMITS(), 1, INFINI_PPM, INFINI_LIMITS_OK, 0, 0 },
	{ "highest rate and burst", LIMITS(.rate = 10000000, .burst = 1000000000),
	  1, 0, INFINI_LIMITS_OK, 0, 0 },
	{ "a rate beyond", LIMITS(.rate = 10000001), 1, 0, INFINI_LIMITS_RATE, 0, 10000000 },
	{ "minus one as a rate", LIMITS(.rate = U64_MAX), 1, 0, INFINI_LIMITS_RATE, 0, 10000000 },
	{ "a burst beyond", LIMITS(.rate = 1, .burst = 1000000001),
	  1, 0, INFINI_LIMITS_BURST, 0, 1000000000 },
	{ "a burst without a rate", LIMITS(.burst = 5), 1, 0, INFINI_LIMITS_BURST, 0, 0 },
};

#pragma GCC diagnostic pop

static void test_rows(void **state)
{
	u32 i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		struct infini_limits_range range = { 0 };
		enum infini_limits_fault fault;

		fault = infini_limits_check(&row->limits, row->slots, row->floors_ppm,
					    &range);
		if (fault != row->fault || range.low != row->low || range.high != row->high)
			fail_msg("%s: fault %d, %llu..%llu", row->name, fault,
				 (unsigned long long)range.low, (unsigned long long)range.high);
	}
}

static void test_default(void **state)
{
	struct infini_sched_limits limits;

	(void)state;
	infini_limits_default(&limits);
	assert_memory_equal(&limits, &rows[0].limits, sizeof(limits));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ .name = "what is allowed and what is not", .test_func = test_rows },
		{ .name = "the defaults", .test_func = test_default },
	};

	return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
