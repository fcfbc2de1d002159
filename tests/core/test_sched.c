// SPDX-License-Identifier: GPL-2.0-or-later
/* The scheduler moved by hand: two vdevs, and what each call must answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sched.h"

#define US	1000ull
#define MS	1000000ull
#define SECOND	(1000 * MS)
/* Two vdevs and a queue each, moved by hand. */
struct pair {
	struct infini_sched s;
	struct infini_sched_vdev a, b;
	struct infini_sched_queue qa, qb;
	u64 now_ns;
};

static struct infini_sched_limits limits_of(u32 weight)
{
	struct infini_sched_limits limits;

	infini_limits_default(&limits);
	limits.weight = weight;
	return limits;
}

static void pair_init_limits(struct pair *p, const struct infini_sched_limits *a,
			     const struct infini_sched_limits *b)
{
	memset(p, 0, sizeof(*p));
	infini_sched_init(&p->s, 1);
	infini_sched_vdev_init(&p->s, &p->a, a);
	infini_sched_vdev_init(&p->s, &p->b, b);
	infini_sched_queue_init(&p->qa, INFINI_WEIGHT_DEFAULT);
	infini_sched_queue_init(&p->qb, INFINI_WEIGHT_DEFAULT);
	infini_sched_vdev_online(&p->s, &p->a, true, 0);
	infini_sched_vdev_online(&p->s, &p->b, true, 0);
}

static void pair_init(struct pair *p, u32 weight_a, u32 weight_b)
{
	struct infini_sched_limits a = limits_of(weight_a), b = limits_of(weight_b);

	pair_init_limits(p, &a, &b);
}

static void ready(struct pair *p, struct infini_sched_vdev *v, bool on)
{
	infini_sched_queue_ready(&p->s, v, v == &p->a ? &p->qa : &p->qb, on, p->now_ns);
}

/* Run @v, which must be the one picked, for @ns. */
static void run_for(struct pair *p, struct infini_sched_vdev *v, u64 ns)
{
	assert_ptr_equal(infini_sched_pick(&p->s, p->now_ns), v);
	p->now_ns += ns;
	infini_sched_put(&p->s, v, p->now_ns);
}

static s64 owed_ns(const struct pair *p, const struct infini_sched_vdev *v)
{
	const struct infini_sched_level *level = &p->s.tiers[v->limits.sched_class].level;

	return infini_level_lag(level, &v->se) * v->se.weight / INFINI_WEIGHT_UNIT;
}

static void assert_near(s64 got, s64 want, s64 by)
{
	if (llabs(got - want) > by)
		fail_msg("%lld instead of %lld", (long long)got, (long long)want);
}

/* A sleeps with 1 ms of credit, B runs on; what is A owed when it is back? */
struct sleep_case {
	const char *name;
	u64 before_us;		/* B ran so long while A waited: half of it is A's credit */
	u64 sleep_us;
	s64 owed_us;
};

static const struct sleep_case sleep_cases[] = {
	{ "no sleep at all keeps the credit", 2000, 0, 1000 },
	{ "a breath counts as waiting", 2000, 1000, 1500 },
	{ "so does one of up to two quanta", 2000, 4000, 3000 },
	{ "a longer pause is sleep", 2000, 4001, 1000 },
	{ "a long sleep keeps the credit and earns nothing", 2000, 5000000, 1000 },
	{ "credit after a breath is bounded to two quanta and the breath", 100000, 2000, 6000 },
	{ "credit is bounded to two quanta", 100000, 5000000, 4000 },
	{ "an hour asleep forgets the credit", 2000, 3700000000, 0 },
};

static void test_credit(void **state)
{
	const struct sleep_case *c = *state;
	struct pair p;

	pair_init(&p, 100, 100);
	ready(&p, &p.b, true);
	assert_ptr_equal(infini_sched_pick(&p.s, 0), &p.b);
	ready(&p, &p.a, true);
	p.now_ns += c->before_us * US;
	ready(&p, &p.a, false);
	p.now_ns += c->sleep_us * US;
	ready(&p, &p.a, true);
	assert_near(owed_ns(&p, &p.a), c->owed_us * (s64)US, 2);
	assert_near(owed_ns(&p, &p.b), -c->owed_us * (s64)US, 2);
}

/* A leaves owing 1 ms; B, alone, pays for it by being served. */
static const struct sleep_case debt_cases[] = {
	{ "no sleep keeps the debt", 2000, 0, -1000 },
	{ "half of the debt is gone after half of the service", 2000, 1000, -500 },
	{ "the debt is gone, and nothing is earned", 2000, 5000, 0 },
	{ "a large debt outlives a short sleep", 2000000, 1000000, -500000 },
};

static void test_debt(void **state)
{
	const struct sleep_case *c = *state;
	struct pair p;

	pair_init(&p, 100, 100);
	ready(&p, &p.a, true);
	ready(&p, &p.b, true);
	run_for(&p, &p.a, c->before_us * US);
	ready(&p, &p.a, false);
	assert_ptr_equal(infini_sched_pick(&p.s, p.now_ns), &p.b);
	p.now_ns += c->sleep_us * US;
	ready(&p, &p.a, true);
	assert_near(owed_ns(&p, &p.a), c->owed_us * (s64)US, 2);
}

/* A debt does not shrink while nobody is served, however long nobody is. */
static void test_debt_over_idleness(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, 100, 100);
	ready(&p, &p.a, true);
	ready(&p, &p.b, true);
	run_for(&p, &p.a, 2000 * US);
	ready(&p, &p.a, false);
	ready(&p, &p.b, false);
	p.now_ns += SECOND;
	ready(&p, &p.a, true);
	ready(&p, &p.b, true);
	assert_near(owed_ns(&p, &p.b), 1000 * US, 2);
	run_for(&p, &p.b, 2000 * US);
}

static void test_weight_change_keeps_lag(void **state)
{
	static const u32 weights[] = { 1, 7, 100, 999, 10000 };
	struct pair p;
	size_t i, j;
	int asleep;

	(void)state;
	for (asleep = 0; asleep < 2; asleep++) {
		for (i = 0; i < ARRAY_SIZE(weights); i++) {
			for (j = 0; j < ARRAY_SIZE(weights); j++) {
				struct infini_sched_limits to = limits_of(weights[j]);
				s64 a, b;

				pair_init(&p, weights[i], 100);
				ready(&p, &p.a, true);
				assert_ptr_equal(infini_sched_pick(&p.s, 0), &p.a);
				ready(&p, &p.b, true);
				p.now_ns = 1500 * US;
				infini_sched_put(&p.s, &p.a, p.now_ns);
				a = owed_ns(&p, &p.a);
				b = owed_ns(&p, &p.b);
				assert_true(a < 0 && b > 0);
				if (asleep)
					ready(&p, &p.a, false);
				to.quantum_ns = 1000 * US;
				infini_sched_vdev_set(&p.s, &p.a, &to, p.now_ns);
				assert_int_equal(p.a.se.weight, weights[j]);
				if (asleep)
					ready(&p, &p.a, true);
				assert_near(owed_ns(&p, &p.a), a, 2 + 2 * asleep);
				assert_near(owed_ns(&p, &p.b), b, 2 + 2 * asleep);
			}
		}
	}
}

/* Service in crumbs must advance virtual time exactly as much as in one piece. */
static void test_charging_is_exact(void **state)
{
	static const u32 weights[] = { 1, 3, 7, 99, 9973, 10000 };
	struct infini_sched_level level;
	struct infini_sched_entity crumbs, piece;
	u64 total;
	size_t i;
	u32 n;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(weights); i++) {
		infini_level_init(&level);
		infini_level_entity_init(&crumbs, weights[i], 2000 * US);
		infini_level_entity_init(&piece, weights[i], 2000 * US);
		infini_level_join(&level, &crumbs, 0);
		infini_level_join(&level, &piece, 0);
		for (n = 0, total = 0; n < 100000; n++) {
			infini_level_charge(&level, &crumbs, 1 + n % 13);
			total += 1 + n % 13;
		}
		infini_level_charge(&level, &piece, total);
		assert_true(crumbs.vruntime == piece.vruntime);
		assert_int_equal(crumbs.remainder, piece.remainder);
		assert_true((u64)piece.vruntime == total * INFINI_WEIGHT_UNIT / weights[i]);
		assert_true(level.vtime == piece.vruntime);
	}
}

/* An executor that does not answer for years must not turn the order round when it does. */
static void test_stuck_for_years(void **state)
{
	u64 years_ns = 30ull * 365 * 86400 * SECOND;
	struct pair p;
	u32 steps, i;

	(void)state;
	/* Noticed in one step, and in a thousand. */
	for (steps = 1; steps <= 1000; steps += 999) {
		pair_init(&p, 1, 10000);
		ready(&p, &p.a, true);
		assert_ptr_equal(infini_sched_pick(&p.s, 0), &p.a);
		ready(&p, &p.b, true);
		for (i = 0; i < steps; i++) {
			p.now_ns += years_ns / steps;
			infini_sched_charge(&p.s, &p.a, p.now_ns);
		}
		infini_sched_put(&p.s, &p.a, p.now_ns);
		assert_true(p.a.occupancy_ns == years_ns);
		for (i = 0; i < 100; i++)
			run_for(&p, &p.b, SECOND);
	}
}

static void test_quantum(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, 100, 100);
	ready(&p, &p.a, true);
	assert_ptr_equal(infini_sched_pick(&p.s, 0), &p.a);
	assert_true(infini_sched_next_event(&p.s, 0) == INFINI_SCHED_NEVER);

	/* Nobody waits: the slice goes on as long as it likes. */
	p.now_ns = 10 * SECOND;
	assert_null(infini_sched_preempt(&p.s, p.now_ns));
	assert_true(infini_sched_may_continue(&p.s, &p.a, p.now_ns));

	/* Somebody wakes: the quantum is up at once, and is asked for once. */
	ready(&p, &p.b, true);
	assert_true(p.s.nr_waiting);
	assert_true(infini_sched_next_event(&p.s, p.now_ns) == p.now_ns);
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.a);
	assert_null(infini_sched_preempt(&p.s, p.now_ns));
	assert_true(infini_sched_next_event(&p.s, p.now_ns) == INFINI_SCHED_NEVER);
	assert_false(infini_sched_may_continue(&p.s, &p.a, p.now_ns));

	/* It has gone again: the asking no longer holds. */
	ready(&p, &p.b, false);
	assert_true(infini_sched_may_continue(&p.s, &p.a, p.now_ns));
	assert_false(p.a.yield_asked);
	ready(&p, &p.b, true);
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.a);
	infini_sched_put(&p.s, &p.a, p.now_ns);

	/* A fresh slice has its whole quantum. */
	assert_ptr_equal(infini_sched_pick(&p.s, p.now_ns), &p.b);
	assert_true(infini_sched_next_event(&p.s, p.now_ns) == p.now_ns + 2000 * US);
	assert_true(infini_sched_may_continue(&p.s, &p.b, p.now_ns + 1999 * US));
	assert_null(infini_sched_preempt(&p.s, p.now_ns + 1999 * US));
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns + 2000 * US), &p.b);

	/* Its executor comes only now: the quantum begins, and is asked for again when it is up. */
	p.now_ns += 3000 * US;
	infini_sched_begin(&p.s, &p.b, p.now_ns);
	assert_null(infini_sched_preempt(&p.s, p.now_ns));
	assert_true(infini_sched_next_event(&p.s, p.now_ns) == p.now_ns + 2000 * US);
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns + 2000 * US), &p.b);
}

static void test_wake_up_preemption(void **state)
{
	struct pair p;

	(void)state;
	/* A heavy vdev that wakes has the earlier deadline. */
	pair_init(&p, 100, 1000);
	ready(&p, &p.a, true);
	assert_ptr_equal(infini_sched_pick(&p.s, 0), &p.a);
	p.now_ns = 300 * US;
	ready(&p, &p.b, true);
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.a);

	/* One that owes does not preempt before it has paid, and then at the time announced. */
	pair_init(&p, 100, 1000);
	ready(&p, &p.b, true);
	ready(&p, &p.a, true);
	run_for(&p, &p.b, 2000 * US);
	ready(&p, &p.b, false);
	assert_ptr_equal(infini_sched_pick(&p.s, p.now_ns), &p.a);
	ready(&p, &p.b, true);
	assert_null(infini_sched_preempt(&p.s, p.now_ns));
	assert_true(infini_sched_next_event(&p.s, p.now_ns) == p.now_ns + 200 * US);
	p.now_ns += 200 * US;
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.a);
}

/* Ask for what @limits say, now. */
static void set(struct pair *p, struct infini_sched_vdev *v,
		const struct infini_sched_limits *limits)
{
	infini_sched_vdev_set(&p->s, v, limits, p->now_ns);
}

/* Nothing to decide until @ns; then go there. */
static void assert_next(struct pair *p, u64 ns)
{
	if (infini_sched_next_event(&p->s, p->now_ns) != ns)
		fail_msg("next event at %llu ns instead of %llu",
			 (unsigned long long)infini_sched_next_event(&p->s, p->now_ns),
			 (unsigned long long)ns);
	p->now_ns = ns;
}

/* 20 % of one slot: a quantum, less what flows in meanwhile, then half a quantum at a time. */
static void test_cap(void **state)
{
	struct infini_sched_limits capped = limits_of(100), free = limits_of(100);
	struct pair p;
	int i;

	(void)state;
	capped.cap_ppm = 200000;
	pair_init_limits(&p, &capped, &free);
	ready(&p, &p.a, true);
	assert_ptr_equal(infini_sched_pick(&p.s, 0), &p.a);
	/* 2 ms at a rate of 1 - 0.2. */
	assert_next(&p, 2500 * US);
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.a);
	assert_false(infini_sched_may_continue(&p.s, &p.a, p.now_ns));
	assert_true(infini_sched_next_event(&p.s, p.now_ns) == INFINI_SCHED_NEVER);
	/* It stops a segment later, 0.5 ms, and owes four fifths of it. */
	p.now_ns += 500 * US;
	infini_sched_put(&p.s, &p.a, p.now_ns);
	assert_null(infini_sched_pick(&p.s, p.now_ns));
	assert_int_equal(p.s.nr_waiting, 0);
	assert_int_equal(p.a.throttles, 1);
	/* Half full again: 1.4 ms at 0.2. */
	assert_next(&p, 3000 * US + 7000 * US);
	for (i = 0; i < 3; i++) {
		assert_ptr_equal(infini_sched_pick(&p.s, p.now_ns), &p.a);
		assert_next(&p, p.now_ns + 1250 * US);
		assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.a);
		infini_sched_put(&p.s, &p.a, p.now_ns);
		assert_null(infini_sched_pick(&p.s, p.now_ns));
		assert_next(&p, p.now_ns + 5000 * US);
	}
	assert_true(infini_sched_throttled_ns(&p.a, p.now_ns) == 7000 * US + 3 * 5000 * US);
	assert_true(infini_sched_runnable_ns(&p.a, p.now_ns) == p.now_ns);
	assert_int_equal(p.a.throttles, 4);
}

/* Who is throttled is let go at once when the operator lifts the cap, or the rate. */
static void test_limits_lifted(void **state)
{
	struct infini_sched_limits free = limits_of(100), tight = limits_of(100);
	struct pair p;

	(void)state;
	tight.cap_ppm = 200000;
	tight.rate = 10;
	pair_init_limits(&p, &tight, &free);
	ready(&p, &p.a, true);
	assert_ptr_equal(infini_sched_pick(&p.s, 0), &p.a);
	p.now_ns = 20 * MS;
	infini_sched_tokens(&p.s, &p.a, 20, p.now_ns);
	infini_sched_put(&p.s, &p.a, p.now_ns);
	assert_null(infini_sched_pick(&p.s, p.now_ns));
	tight.cap_ppm = INFINI_PPM;
	set(&p, &p.a, &tight);
	assert_null(infini_sched_pick(&p.s, p.now_ns));
	tight.rate = 0;
	set(&p, &p.a, &tight);
	assert_ptr_equal(infini_sched_pick(&p.s, p.now_ns), &p.a);
	assert_true(infini_sched_throttled_ns(&p.a, p.now_ns + SECOND) == 0);

	/* And one that runs is asked at once when it is put under one that it has used up. */
	tight.rate = 10;
	set(&p, &p.a, &tight);
	infini_sched_tokens(&p.s, &p.a, 11, p.now_ns);
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.a);
	assert_false(infini_sched_may_continue(&p.s, &p.a, p.now_ns));
}

/* Ten tokens a second and ten at once: paid after the fact, by whole jobs. */
static void test_rate(void **state)
{
	struct infini_sched_limits limited = limits_of(100), free = limits_of(100);
	struct pair p;

	(void)state;
	limited.rate = 10;
	pair_init_limits(&p, &limited, &free);
	ready(&p, &p.a, true);
	assert_ptr_equal(infini_sched_pick(&p.s, 0), &p.a);
	infini_sched_tokens(&p.s, &p.a, 10, 0);
	assert_false(infini_sched_over_rate(&p.a, 0));
	assert_true(infini_sched_may_continue(&p.s, &p.a, 0));
	assert_true(infini_sched_next_event(&p.s, 0) == INFINI_SCHED_NEVER);
	infini_sched_tokens(&p.s, &p.a, 3, 0);
	assert_true(infini_sched_over_rate(&p.a, 0));
	assert_false(infini_sched_may_continue(&p.s, &p.a, 0));
	infini_sched_put(&p.s, &p.a, 0);
	assert_null(infini_sched_pick(&p.s, 0));
	assert_next(&p, 300 * MS);
	assert_false(infini_sched_over_rate(&p.a, p.now_ns));
	assert_ptr_equal(infini_sched_pick(&p.s, p.now_ns), &p.a);
	assert_true(infini_sched_throttled_ns(&p.a, p.now_ns) == 300 * MS);
	infini_sched_put(&p.s, &p.a, p.now_ns);

	/* Without a rate there is nothing to count. */
	infini_sched_tokens(&p.s, &p.b, INFINI_BURST_MAX, p.now_ns);
	assert_false(infini_sched_over_rate(&p.b, p.now_ns));
}

/* A floor of 30 % and a weight of 1: a quantum every 2 ms / 0.3, from whoever has the slot. */
static void test_floor(void **state)
{
	struct infini_sched_limits poor = limits_of(1), rich = limits_of(10000);
	struct pair p;

	(void)state;
	poor.floor_ppm = 300000;
	poor.sched_class = INFINI_SCHED_BATCH;
	rich.sched_class = INFINI_SCHED_LATENCY;
	pair_init_limits(&p, &poor, &rich);
	ready(&p, &p.b, true);
	assert_ptr_equal(infini_sched_pick(&p.s, 0), &p.b);
	p.now_ns = 10 * MS;
	ready(&p, &p.a, true);
	/* It slept with a quantum to its name: at once, and then a whole quantum long. */
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.b);
	infini_sched_put(&p.s, &p.b, p.now_ns);
	assert_ptr_equal(infini_sched_pick(&p.s, p.now_ns), &p.a);
	assert_true(infini_sched_may_continue(&p.s, &p.a, p.now_ns + 1999 * US));
	assert_next(&p, 12 * MS);
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.a);
	infini_sched_put(&p.s, &p.a, p.now_ns);
	/* What flowed in meanwhile is still there: 0.6 ms of 2. */
	assert_ptr_equal(infini_sched_pick(&p.s, p.now_ns), &p.b);
	assert_next(&p, 12 * MS + (2000 - 600) * US * 10 / 3 + 1);
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.b);
}

/* Latency takes the slot from batch at once, is not asked by it, and lets it in after 40 ms. */
static void test_classes(void **state)
{
	struct infini_sched_limits batch = limits_of(10000), latency = limits_of(1);
	struct pair p;

	(void)state;
	batch.sched_class = INFINI_SCHED_BATCH;
	latency.sched_class = INFINI_SCHED_LATENCY;
	pair_init_limits(&p, &batch, &latency);
	ready(&p, &p.a, true);
	assert_ptr_equal(infini_sched_pick(&p.s, 0), &p.a);
	p.now_ns = 100 * US;
	ready(&p, &p.b, true);
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.a);
	assert_false(infini_sched_may_continue(&p.s, &p.a, p.now_ns));
	infini_sched_put(&p.s, &p.a, p.now_ns);
	assert_ptr_equal(infini_sched_pick(&p.s, p.now_ns), &p.b);
	assert_true(infini_sched_may_continue(&p.s, &p.b, p.now_ns + 39 * MS));
	assert_next(&p, 100 * US + INFINI_SCHED_STARVE_NS);
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.b);
	assert_false(infini_sched_may_continue(&p.s, &p.b, p.now_ns));
	infini_sched_put(&p.s, &p.b, p.now_ns);
	/* A quantum that is nobody else's, and not a moment more. */
	assert_ptr_equal(infini_sched_pick(&p.s, p.now_ns), &p.a);
	assert_null(infini_sched_preempt(&p.s, p.now_ns));
	assert_next(&p, p.now_ns + 2000 * US);
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.a);
	infini_sched_put(&p.s, &p.a, p.now_ns);
	assert_ptr_equal(infini_sched_pick(&p.s, p.now_ns), &p.b);
}

/* A vdev that changes its class is at once who it is there, whatever it was doing. */
static void test_class_changed(void **state)
{
	struct infini_sched_limits batch = limits_of(100), normal = limits_of(100);
	struct pair p;

	(void)state;
	batch.sched_class = INFINI_SCHED_BATCH;
	pair_init(&p, 100, 100);
	ready(&p, &p.a, true);
	ready(&p, &p.b, true);
	assert_ptr_equal(infini_sched_pick(&p.s, 0), &p.a);
	p.now_ns = 500 * US;
	/* While it runs: the other now goes before it. */
	set(&p, &p.a, &batch);
	assert_ptr_equal(infini_sched_preempt(&p.s, p.now_ns), &p.a);
	infini_sched_put(&p.s, &p.a, p.now_ns);
	assert_ptr_equal(infini_sched_pick(&p.s, p.now_ns), &p.b);
	/* While it waits: equals again, and neither owes the other anything. */
	set(&p, &p.a, &normal);
	assert_near(owed_ns(&p, &p.a), 0, 1);
	assert_near(owed_ns(&p, &p.b), 0, 1);
	/* While it sleeps. */
	ready(&p, &p.a, false);
	set(&p, &p.a, &batch);
	ready(&p, &p.a, true);
	assert_int_equal(p.s.tiers[INFINI_SCHED_BATCH].level.nr_active, 1);
	assert_int_equal(p.s.tiers[INFINI_SCHED_NORMAL].level.nr_active, 1);
	assert_int_equal(p.s.tiers[INFINI_SCHED_NORMAL].nr_running, 1);
}

static void test_offline_and_counters(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, 100, 100);
	ready(&p, &p.a, true);
	ready(&p, &p.a, true);
	assert_int_equal(p.a.nr_ready, 1);
	assert_ptr_equal(infini_sched_queue_pick(&p.a), &p.qa);
	assert_ptr_equal(infini_sched_pick(&p.s, 100), &p.a);
	assert_null(infini_sched_pick(&p.s, 100));
	assert_true(infini_sched_charge(&p.s, &p.a, 150) == 50);
	infini_sched_vdev_online(&p.s, &p.a, false, 160);
	assert_true(p.a.running);
	assert_true(infini_sched_charge(&p.s, &p.a, 170) == 20);
	infini_sched_put(&p.s, &p.a, 180);
	assert_true(infini_sched_charge(&p.s, &p.a, 190) == 0);
	assert_null(infini_sched_pick(&p.s, 190));
	assert_true(p.a.occupancy_ns == 80);
	assert_true(infini_sched_runnable_ns(&p.a, 200) == 180);
	assert_int_equal(p.a.slices, 1);
	infini_sched_vdev_online(&p.s, &p.a, true, 210);
	assert_ptr_equal(infini_sched_pick(&p.s, 210), &p.a);
}

/*
 * A queue whose jobs are all with the executor is not ready while they run. That is no sleep, even
 * when more service is charged than time has passed since: it comes back behind the others.
 */
static void test_queue_served_while_not_ready(void **state)
{
	struct infini_sched_queue other;
	struct pair p;

	(void)state;
	pair_init(&p, 100, 100);
	infini_sched_queue_init(&other, INFINI_WEIGHT_DEFAULT);
	infini_sched_queue_ready(&p.s, &p.a, &other, true, 0);
	ready(&p, &p.a, true);
	p.now_ns = 10 * MS;
	ready(&p, &p.a, false);
	infini_sched_queue_charge(&p.a, &p.qa, 30 * MS);
	p.now_ns = 20 * MS;
	ready(&p, &p.a, true);
	assert_ptr_equal(infini_sched_queue_pick(&p.a), &other);
	infini_sched_queue_charge(&p.a, &other, 29 * MS);
	assert_ptr_equal(infini_sched_queue_pick(&p.a), &other);
	infini_sched_queue_charge(&p.a, &other, 2 * MS);
	assert_ptr_equal(infini_sched_queue_pick(&p.a), &p.qa);
}

static const struct CMUnitTest single[] = {
	{ .name = "a debt outlasts idleness", .test_func = test_debt_over_idleness },
	{ .name = "a new weight keeps the lag", .test_func = test_weight_change_keeps_lag },
	{ .name = "charging is exact at every weight", .test_func = test_charging_is_exact },
	{ .name = "an executor stuck for years", .test_func = test_stuck_for_years },
	{ .name = "the quantum, alone and in company", .test_func = test_quantum },
	{ .name = "wake-up preemption", .test_func = test_wake_up_preemption },
	{ .name = "a cap, from full to empty and back", .test_func = test_cap },
	{ .name = "a cap or rate that is lifted", .test_func = test_limits_lifted },
	{ .name = "a token rate, paid after the fact", .test_func = test_rate },
	{ .name = "a floor, whatever weight and class", .test_func = test_floor },
	{ .name = "classes, and 40 ms of patience", .test_func = test_classes },
	{ .name = "a new class, while it runs, waits and sleeps", .test_func = test_class_changed },
	{ .name = "executors come and go; counters", .test_func = test_offline_and_counters },
	{ .name = "a queue is served while it is not ready",
	  .test_func = test_queue_served_while_not_ready },
};

#define TESTS	(ARRAY_SIZE(sleep_cases) + ARRAY_SIZE(debt_cases) + ARRAY_SIZE(single))

int main(void)
{
	static struct CMUnitTest tests[TESTS];
	struct CMUnitTest *test = tests;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sleep_cases); i++)
		*test++ = (struct CMUnitTest){ .name = sleep_cases[i].name,
					       .test_func = test_credit,
					       .initial_state = (void *)&sleep_cases[i] };
	for (i = 0; i < ARRAY_SIZE(debt_cases); i++)
		*test++ = (struct CMUnitTest){ .name = debt_cases[i].name,
					       .test_func = test_debt,
					       .initial_state = (void *)&debt_cases[i] };
	memcpy(test, single, sizeof(single));
	return cmocka_run_group_tests_name("sched", tests, NULL, NULL);
}
