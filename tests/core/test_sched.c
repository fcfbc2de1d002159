// SPDX-License-Identifier: GPL-2.0-or-later
/* What the scheduler promises, each promise a row: who wants what, and what they must get. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sim.h"

#define US	1000ull
#define TENTH	100000		/* in ppm */

/**
 * struct scenario - a run and what must come of it
 * @name: what a reader calls it
 * @slots: 0 for 1
 * @seconds: how long; 0 for 10
 * @from_ms: measured from here on
 * @vdev: those with a weight take part; a quantum of 0 is the default
 * @client: those with a job length take part
 * @share: expected parts of occupancy, vdev by vdev; 0 is not compared
 * @error_ppm: how far each part may be off; 0 for 1 %
 * @lag_max_us: no vdev is ever owed, or owes, more service than this
 * @wait_max_us: no vdev of non-zero share with work is ever without a slot for longer
 * @asked_max: vdevs are asked to yield at most so often per second
 */
struct scenario {
	const char *name;
	u32 slots;
	u64 seconds;
	u64 from_ms;
	struct {
		u32 weight;
		u64 quantum_ns;
	} vdev[6];
	struct sim_client_spec client[12];
	u32 share[6];
	u32 error_ppm;
	u64 lag_max_us;
	u64 wait_max_us;
	u64 asked_max;
};

/* A backlog: the next job is there when the last ends. */
#define BACKLOG(v, job_us, segment_us) \
	{ .vdev = (v), .job_ns = (job_us) * US, .segment_ns = (segment_us) * US, \
	  .spread_ppm = TENTH }
/* A client that waits for its answer and then thinks. */
#define LOOP(v, job_us, segment_us, think_us) \
	{ .vdev = (v), .job_ns = (job_us) * US, .segment_ns = (segment_us) * US, \
	  .think_ns = (think_us) * US, .spread_ppm = TENTH }
/* Requests that come when they come. */
#define OPEN(v, job_us, segment_us, every_us) \
	{ .vdev = (v), .job_ns = (job_us) * US, .segment_ns = (segment_us) * US, \
	  .period_ns = (every_us) * US, .spread_ppm = TENTH }

static const struct scenario scenarios[] = {
	{
		.name = "3:1 both backlogged",
		.vdev = { { 300, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 1000, 250), BACKLOG(1, 1000, 250) },
		.share = { 3, 1 },
		.lag_max_us = 2500, .wait_max_us = 12000, .asked_max = 500,
	}, {
		.name = "3:1 both backlogged, jobs far longer than the quantum",
		.vdev = { { 300, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 500000, 250), BACKLOG(1, 70000, 250) },
		.share = { 3, 1 },
		.lag_max_us = 2500, .wait_max_us = 12000, .asked_max = 500,
	}, {
		.name = "3:1 both backlogged, segments longer than the quantum",
		.vdev = { { 300, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 50000, 5000), BACKLOG(1, 50000, 8000) },
		.share = { 3, 1 },
		.lag_max_us = 9000, .wait_max_us = 35000, .asked_max = 500,
	}, {
		.name = "3:1 both backlogged, jobs of 20 us",
		.vdev = { { 300, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 20, 0), BACKLOG(1, 20, 0) },
		.share = { 3, 1 },
		.lag_max_us = 2500, .wait_max_us = 12000, .asked_max = 500,
	}, {
		.name = "3:1 with unlike quanta",
		.vdev = { { 300, 500 * US }, { 100, 4000 * US } },
		.client = { BACKLOG(0, 5000, 100), BACKLOG(1, 5000, 100) },
		.share = { 3, 1 },
		.lag_max_us = 4500, .wait_max_us = 16000, .asked_max = 2000,
	}, {
		.name = "weights 1, 10, 100, 1000, 10000 for 400 s",
		.seconds = 400,
		.vdev = { { 1, 100 * US }, { 10, 100 * US }, { 100, 200 * US }, { 1000, 500 * US },
			  { 10000, 0 } },
		.client = { BACKLOG(0, 50, 0), BACKLOG(1, 50, 0), BACKLOG(2, 100, 0),
			    BACKLOG(3, 100, 0), BACKLOG(4, 2000, 500) },
		.share = { 1, 10, 100, 1000, 10000 },
		.lag_max_us = 3000, .wait_max_us = 4000000, .asked_max = 700,
	}, {
		.name = "six equals",
		.vdev = { { 1, 0 }, { 1, 0 }, { 1, 0 }, { 1, 0 }, { 1, 0 }, { 1, 0 } },
		.client = { BACKLOG(0, 300, 100), BACKLOG(1, 5000, 200), BACKLOG(2, 700, 0),
			    BACKLOG(3, 60000, 500), BACKLOG(4, 50, 0), BACKLOG(5, 2000, 300) },
		.share = { 1, 1, 1, 1, 1, 1 },
		.lag_max_us = 3000, .wait_max_us = 25000, .asked_max = 500,
	}, {
		.name = "closed loops 10% asleep, 3:1",
		.vdev = { { 300, 0 }, { 100, 0 } },
		.client = { LOOP(0, 5000, 250, 500), LOOP(1, 5000, 250, 500) },
		.share = { 3, 1 },
		.lag_max_us = 4000, .wait_max_us = 12000, .asked_max = 700,
	}, {
		.name = "closed loops 10% asleep, 3:1, jobs of 1 ms",
		.vdev = { { 300, 0 }, { 100, 0 } },
		.client = { LOOP(0, 1000, 250, 100), LOOP(1, 1000, 250, 100) },
		.share = { 3, 1 },
		.lag_max_us = 3000, .wait_max_us = 12000, .asked_max = 1300,
	}, {
		.name = "closed loops 10% asleep, 3:1, jobs of 50 ms",
		.seconds = 60,
		.vdev = { { 300, 0 }, { 100, 0 } },
		.client = { LOOP(0, 50000, 500, 5000), LOOP(1, 50000, 500, 5000) },
		.share = { 3, 1 },
		.lag_max_us = 12000, .wait_max_us = 40000, .asked_max = 700,
	}, {
		.name = "closed loops 10% asleep, 1:1 and 1:1.5",
		.vdev = { { 100, 0 }, { 100, 0 }, { 150, 0 } },
		.client = { LOOP(0, 5000, 250, 500), LOOP(1, 1000, 100, 100),
			    LOOP(2, 20000, 500, 2000) },
		.share = { 2, 2, 3 },
		.lag_max_us = 5000, .wait_max_us = 16000, .asked_max = 900,
	}, {
		.name = "two completions on each of two vdevs, 3:1",
		.vdev = { { 3, 0 }, { 1, 0 } },
		.client = { LOOP(0, 8000, 300, 800), LOOP(0, 8000, 300, 800),
			    LOOP(1, 8000, 300, 800), LOOP(1, 8000, 300, 800) },
		.share = { 3, 1 },
		.lag_max_us = 3000, .wait_max_us = 12000, .asked_max = 700,
	}, {
		.name = "closed loop against a hog",
		.vdev = { { 300, 0 }, { 100, 0 } },
		.client = { LOOP(0, 5000, 250, 500), BACKLOG(1, 100000, 250) },
		.share = { 3, 1 },
		.lag_max_us = 4000, .wait_max_us = 12000, .asked_max = 700,
	}, {
		.name = "hog vs interactive wakes: it is served within a quantum and a segment",
		.vdev = { { 100, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 1000000, 250), OPEN(1, 1000, 250, 20000) },
		.share = { 95, 5 }, .error_ppm = 15000,
		.lag_max_us = 2500, .wait_max_us = 2300, .asked_max = 160,
	}, {
		.name = "hog vs heavy interactive wakes: it is served within two segments",
		.vdev = { { 100, 0 }, { 1000, 0 } },
		.client = { BACKLOG(0, 1000000, 250), OPEN(1, 1000, 250, 20000) },
		.share = { 0, 1 },
		.lag_max_us = 4500, .wait_max_us = 500, .asked_max = 110,
	}, {
		.name = "light loads get all they ask for beside two hogs",
		.vdev = { { 100, 0 }, { 100, 0 }, { 100, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 1000000, 250), BACKLOG(1, 1000000, 250),
			    OPEN(2, 500, 250, 10000), OPEN(3, 2000, 250, 20000) },
		.share = { 425, 425, 50, 100 }, .error_ppm = 20000,
		.lag_max_us = 3000, .wait_max_us = 12000, .asked_max = 900,
	}, {
		.name = "many queues in one vdev buy it nothing",
		.vdev = { { 100, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 900, 300), BACKLOG(1, 900, 300), BACKLOG(1, 900, 300),
			    BACKLOG(1, 900, 300), BACKLOG(1, 900, 300), BACKLOG(1, 900, 300),
			    BACKLOG(1, 900, 300), BACKLOG(1, 900, 300), BACKLOG(1, 900, 300) },
		.share = { 1, 1 },
		.lag_max_us = 2500, .wait_max_us = 5000, .asked_max = 500,
	}, {
		.name = "late joiner gets no back pay",
		.seconds = 6, .from_ms = 5000,
		.vdev = { { 100, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 3000, 250),
			    { .vdev = 1, .job_ns = 3000 * US, .segment_ns = 250 * US,
			      .start_ns = 5 * SIM_SECOND } },
		.share = { 1, 1 },
		.lag_max_us = 2500, .wait_max_us = 5000, .asked_max = 500,
	}, {
		.name = "two slots three vdevs",
		.slots = 2,
		.vdev = { { 100, 0 }, { 100, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 3000, 250), BACKLOG(1, 3000, 250), BACKLOG(2, 3000, 250) },
		.share = { 1, 1, 1 },
		.lag_max_us = 5000, .wait_max_us = 12000, .asked_max = 1000,
	}, {
		.name = "two slots three vdevs, 2:1:1",
		.slots = 2,
		.vdev = { { 200, 0 }, { 100, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 3000, 250), BACKLOG(1, 3000, 250), BACKLOG(2, 3000, 250) },
		.share = { 2, 1, 1 },
		.lag_max_us = 5000, .wait_max_us = 12000, .asked_max = 1000,
	}, {
		.name = "a share larger than a slot leaves the other slot to the others",
		.slots = 2,
		.vdev = { { 10000, 0 }, { 100, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 3000, 250), BACKLOG(1, 3000, 250), BACKLOG(2, 3000, 250) },
		.share = { 2, 1, 1 },
		.lag_max_us = 5000, .wait_max_us = 12000, .asked_max = 1000,
	}, {
		.name = "who comes after a share larger than a slot waits for nobody's arrears",
		.slots = 2, .seconds = 11, .from_ms = 10000,
		.vdev = { { 10000, 0 }, { 100, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 3000, 250), BACKLOG(1, 3000, 250),
			    { .vdev = 2, .job_ns = 3000 * US, .segment_ns = 250 * US,
			      .start_ns = 10 * SIM_SECOND } },
		.share = { 2, 1, 1 },
		.lag_max_us = 5000, .wait_max_us = 12000, .asked_max = 1000,
	}, {
		.name = "four slots two vdevs: both run all the time, nobody is asked",
		.slots = 4,
		.vdev = { { 300, 0 }, { 100, 0 } },
		.client = { BACKLOG(0, 3000, 250), BACKLOG(1, 3000, 250) },
		.share = { 1, 1 },
		.lag_max_us = 5000, .wait_max_us = 1, .asked_max = 0,
	}, {
		.name = "alone: never asked",
		.vdev = { { 1, 0 } },
		.client = { BACKLOG(0, 1000000, 250) },
		.share = { 1 },
		.lag_max_us = 1, .wait_max_us = 1, .asked_max = 0,
	},
};

static struct sim the_sim;

static void scenario_setup(struct sim *sim, const struct scenario *c)
{
	size_t i;

	sim->check = c->seconds <= 100;
	for (i = 0; i < ARRAY_SIZE(c->vdev) && c->vdev[i].weight; i++)
		sim_vdev_add(sim, c->vdev[i].weight, c->vdev[i].quantum_ns ?
			     c->vdev[i].quantum_ns : INFINI_QUANTUM_DEFAULT_NS);
	for (i = 0; i < ARRAY_SIZE(c->client) && c->client[i].job_ns; i++)
		sim_client_add(sim, &c->client[i]);
}

static void share_check(const struct sim *sim, const u32 *share, u32 error_ppm)
{
	u64 total = 0, parts = 0;
	u32 i;

	for (i = 0; i < sim->nr_vdevs; i++) {
		total += share[i] ? sim->vdevs[i].sched.occupancy_ns : 0;
		parts += share[i];
	}
	assert_true(total > 0);
	for (i = 0; i < sim->nr_vdevs; i++) {
		double want = (double)total * share[i] / parts;
		double error = sim->vdevs[i].sched.occupancy_ns / want - 1;

		if (!share[i])
			continue;
		print_message("#   vdev %u: %.3f ms, share off by %+.4f %%\n", i,
			      sim->vdevs[i].sched.occupancy_ns / 1e6, error * 100);
		assert_true(error * 1000000 <= error_ppm && -error * 1000000 <= error_ppm);
	}
}

static void test_scenario(void **state)
{
	const struct scenario *c = *state;
	u64 from_ns = c->from_ms * SIM_MS;
	u64 until_ns = (c->seconds ? c->seconds : 10) * SIM_SECOND;
	struct sim *sim = &the_sim;
	u32 i;

	sim_init(sim, c->slots ? c->slots : 1, 1);
	scenario_setup(sim, c);
	if (from_ns) {
		sim_run(sim, from_ns);
		sim_reset_counters(sim);
	}
	sim_run(sim, until_ns);

	print_message("#   asked %.1f/s, timers %.1f/s\n",
		      (double)sim->asked * SIM_SECOND / (until_ns - from_ns),
		      (double)sim->timers * SIM_SECOND / (until_ns - from_ns));
	for (i = 0; i < sim->nr_vdevs; i++) {
		const struct sim_vdev *v = &sim->vdevs[i];

		print_message("#   vdev %u: lag up to %.3f ms, wait up to %.3f ms\n", i,
			      v->lag_max_ns / 1e6, v->wait_max_ns / 1e6);
		assert_true(v->lag_max_ns <= c->lag_max_us * US);
		if (c->share[i])
			assert_true(v->wait_max_ns <= c->wait_max_us * US);
	}
	share_check(sim, c->share, c->error_ppm ? c->error_ppm : 10000);
	assert_int_equal(sim->idle_ns, 0);
	assert_true(sim->asked * SIM_SECOND <= c->asked_max * (until_ns - from_ns) + SIM_SECOND);
}

/* Two vdevs and a queue each, moved by hand. */
struct pair {
	struct infini_sched s;
	struct infini_sched_vdev a, b;
	struct infini_sched_queue qa, qb;
	u64 now_ns;
};

static void pair_init(struct pair *p, u32 weight_a, u32 weight_b)
{
	memset(p, 0, sizeof(*p));
	infini_sched_init(&p->s, 1);
	infini_sched_vdev_init(&p->a, weight_a, 2000 * US);
	infini_sched_vdev_init(&p->b, weight_b, 2000 * US);
	infini_sched_queue_init(&p->qa, INFINI_WEIGHT_DEFAULT);
	infini_sched_queue_init(&p->qb, INFINI_WEIGHT_DEFAULT);
	infini_sched_vdev_online(&p->s, &p->a, true, 0);
	infini_sched_vdev_online(&p->s, &p->b, true, 0);
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
	return infini_level_lag(&p->s.level, &v->se) * v->se.weight / INFINI_WEIGHT_UNIT;
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
	p.now_ns += SIM_SECOND;
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
				infini_sched_vdev_set(&p.s, &p.a, weights[j], 1000 * US,
						      p.now_ns);
				assert_int_equal(p.a.se.weight, weights[j]);
				if (asleep)
					ready(&p, &p.a, true);
				assert_near(owed_ns(&p, &p.a), a, 2 + 2 * asleep);
				assert_near(owed_ns(&p, &p.b), b, 2 + 2 * asleep);
			}
		}
	}
}

static void test_weight_changed_live(void **state)
{
	static const u32 even[] = { 1, 1 }, three[] = { 3, 1 }, third[] = { 1, 3 };
	struct sim *sim = &the_sim;
	struct sim_client_spec hog = { .job_ns = 3 * SIM_MS, .segment_ns = 200 * US };

	(void)state;
	sim_init(sim, 1, 1);
	sim->check = true;
	for (hog.vdev = 0; hog.vdev < 2; hog.vdev++) {
		sim_vdev_add(sim, 100, INFINI_QUANTUM_DEFAULT_NS);
		sim_client_add(sim, &hog);
	}
	sim_run(sim, 5 * SIM_SECOND);
	share_check(sim, even, 10000);
	infini_sched_vdev_set(&sim->sched, &sim->vdevs[0].sched, 300, INFINI_QUANTUM_DEFAULT_NS,
			      sim->now_ns);
	sim_reset_counters(sim);
	sim_run(sim, 6 * SIM_SECOND);
	share_check(sim, three, 10000);
	infini_sched_vdev_set(&sim->sched, &sim->vdevs[0].sched, 10, 5 * SIM_MS, sim->now_ns);
	infini_sched_vdev_set(&sim->sched, &sim->vdevs[1].sched, 30, 1 * SIM_MS, sim->now_ns);
	sim_reset_counters(sim);
	sim_run(sim, 8 * SIM_SECOND);
	share_check(sim, third, 10000);
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

/* The same run, begun just before virtual time wraps and after decades of uptime. */
static void test_wrap_and_uptime(void **state)
{
	u64 occupancy[2][3];
	int late;
	u32 i;

	(void)state;
	for (late = 0; late < 2; late++) {
		struct sim *sim = &the_sim;
		u64 start_ns = late ? 40ull * 365 * 86400 * SIM_SECOND : 0;
		struct sim_client_spec loop = {
			.job_ns = 3 * SIM_MS, .segment_ns = 200 * US, .think_ns = 200 * US,
			.spread_ppm = TENTH, .start_ns = start_ns,
		};

			sim_init(sim, 1, 5);
		sim->now_ns = start_ns;
		sim->sched.level.vtime = late ? S64_MAX - 1000 * (s64)SIM_SECOND : 0;
		sim->sched.level.served = late ? S64_MAX - 2000 * (s64)SIM_SECOND : 0;
		for (loop.vdev = 0; loop.vdev < 3; loop.vdev++) {
			sim_vdev_add(sim, 1 + loop.vdev, INFINI_QUANTUM_DEFAULT_NS);
			sim_client_add(sim, &loop);
		}
		sim_run(sim, start_ns + 5 * SIM_SECOND);
		if (late)
			assert_true(sim->sched.level.vtime < 0);
		for (i = 0; i < 3; i++)
			occupancy[late][i] = sim->vdevs[i].sched.occupancy_ns;
		}
	assert_memory_equal(occupancy[0], occupancy[1], sizeof(occupancy[0]));
}

/* An executor that does not answer for years must not turn the order round when it does. */
static void test_stuck_for_years(void **state)
{
	u64 years_ns = 30ull * 365 * 86400 * SIM_SECOND;
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
			run_for(&p, &p.b, SIM_SECOND);
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
	p.now_ns = 10 * SIM_SECOND;
	assert_null(infini_sched_preempt(&p.s, p.now_ns));
	assert_true(infini_sched_may_continue(&p.s, &p.a, p.now_ns));

	/* Somebody wakes: the quantum is up at once, and is asked for once. */
	ready(&p, &p.b, true);
	assert_true(infini_sched_waiting(&p.s));
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

static void test_throttle(void **state)
{
	struct pair p;

	(void)state;
	pair_init(&p, 100, 100);
	ready(&p, &p.a, true);
	infini_sched_vdev_throttle(&p.s, &p.a, true, 0);
	assert_null(infini_sched_pick(&p.s, 0));
	assert_false(infini_sched_waiting(&p.s));
	assert_true(infini_sched_runnable_ns(&p.a, 5) == 5);
	infini_sched_vdev_throttle(&p.s, &p.a, false, 10);
	assert_ptr_equal(infini_sched_pick(&p.s, 10), &p.a);
	infini_sched_vdev_throttle(&p.s, &p.a, true, 20);
	assert_ptr_equal(infini_sched_preempt(&p.s, 20), &p.a);
	assert_false(infini_sched_may_continue(&p.s, &p.a, 20));
	infini_sched_put(&p.s, &p.a, 20);
	assert_null(infini_sched_pick(&p.s, 20));
	assert_true(p.a.occupancy_ns == 10);
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
	p.now_ns = 10 * SIM_MS;
	ready(&p, &p.a, false);
	infini_sched_queue_charge(&p.a, &p.qa, 30 * SIM_MS);
	p.now_ns = 20 * SIM_MS;
	ready(&p, &p.a, true);
	assert_ptr_equal(infini_sched_queue_pick(&p.a), &other);
	infini_sched_queue_charge(&p.a, &other, 29 * SIM_MS);
	assert_ptr_equal(infini_sched_queue_pick(&p.a), &other);
	infini_sched_queue_charge(&p.a, &other, 2 * SIM_MS);
	assert_ptr_equal(infini_sched_queue_pick(&p.a), &p.qa);
}

/* Many queues in one vdev: each gets by weight, whatever the length of its jobs. */
static void test_queues(void **state)
{
	enum { QUEUES = 100 };
	struct sim *sim = &the_sim;
	u64 total_ns = 0;
	u32 i, weights = 0;

	(void)state;
	sim_init(sim, 1, 3);
	sim_vdev_add(sim, 100, INFINI_QUANTUM_DEFAULT_NS);
	for (i = 0; i < QUEUES; i++) {
		struct sim_client_spec spec = {
			.weight = 100 + i % 4 * 100,
			.job_ns = (100 + i * 37 % 2000) * US, .spread_ppm = TENTH,
		};

		sim_client_add(sim, &spec);
		weights += spec.weight;
	}
	sim_run(sim, 100 * SIM_SECOND);
	for (i = 0; i < QUEUES; i++)
		total_ns += sim->clients[i].occupancy_ns;
	assert_true(total_ns > 99 * SIM_SECOND);
	for (i = 0; i < QUEUES; i++) {
		double want = (double)total_ns * sim->clients[i].spec.weight / weights;
		double error = sim->clients[i].occupancy_ns / want - 1;

		assert_true(error < 0.01 && error > -0.01);
	}
}

static const struct CMUnitTest single[] = {
	{ .name = "a debt outlasts idleness", .test_func = test_debt_over_idleness },
	{ .name = "a new weight keeps the lag", .test_func = test_weight_change_keeps_lag },
	{ .name = "weight changed live", .test_func = test_weight_changed_live },
	{ .name = "charging is exact at every weight", .test_func = test_charging_is_exact },
	{ .name = "virtual time wraps", .test_func = test_wrap_and_uptime },
	{ .name = "an executor stuck for years", .test_func = test_stuck_for_years },
	{ .name = "the quantum, alone and in company", .test_func = test_quantum },
	{ .name = "wake-up preemption", .test_func = test_wake_up_preemption },
	{ .name = "throttled vdevs are not picked", .test_func = test_throttle },
	{ .name = "executors come and go; counters", .test_func = test_offline_and_counters },
	{ .name = "a queue is served while it is not ready",
	  .test_func = test_queue_served_while_not_ready },
	{ .name = "many queues in one vdev", .test_func = test_queues },
};

#define TESTS	(ARRAY_SIZE(scenarios) + ARRAY_SIZE(sleep_cases) + ARRAY_SIZE(debt_cases) + \
		 ARRAY_SIZE(single))

int main(void)
{
	static struct CMUnitTest tests[TESTS];
	struct CMUnitTest *test = tests;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		*test++ = (struct CMUnitTest){ .name = scenarios[i].name,
					       .test_func = test_scenario,
					       .initial_state = (void *)&scenarios[i] };
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
