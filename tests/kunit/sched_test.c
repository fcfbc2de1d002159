// SPDX-License-Identifier: GPL-2.0-only
/* The scheduler under loads that are rows of a table, with time moved by hand. */
#include <kunit/test.h>
#include <linux/slab.h>

#include "core/sched.h"

#define SCHED_MS	((u64)NSEC_PER_MSEC)
#define SCHED_US	((u64)NSEC_PER_USEC)
#define SCHED_SEGMENT	(100 * SCHED_US)
#define SCHED_VDEVS	4

/* What a vdev does: computes @run_ns, then thinks for @sleep_ns; 0 always computes. */
struct load {
	u32 weight;
	u64 run_ns;
	u64 sleep_ns;
	u32 sched_class;	/* 0 latency */
	u32 cap_ppm;		/* 0 for none */
	u32 floor_ppm;
	u64 rate;		/* every segment turns over a token */
};

struct row {
	const char *name;
	u32 slots;
	u64 seconds;
	struct load loads[SCHED_VDEVS];
	u32 share_permille[SCHED_VDEVS];	/* of the slots' time; 0 is not looked at */
};

static const struct row rows[] = {
	{ "equal weights", 1, 2, { { 100 }, { 100 } }, { 500, 500 } },
	{ "three to one", 1, 4, { { 300 }, { 100 } }, { 750, 250 } },
	{ "a hundred to one", 1, 10, { { 10000 }, { 100 } }, { 990, 10 } },
	{ "four of them", 1, 10, { { 100 }, { 200 }, { 300 }, { 400 } }, { 100, 200, 300, 400 } },
	{ "alone", 1, 1, { { 100 } }, { 1000 } },
	{ "alone, capped", 1, 4, { { .weight = 100, .cap_ppm = 200000 } }, { 200 } },
	{ "capped beside a hog", 1, 4, { { .weight = 900, .cap_ppm = 200000 }, { 100 } },
	  { 200, 800 } },
	{ "capped above its weight", 1, 4, { { .weight = 100, .cap_ppm = 800000 }, { 300 } },
	  { 250, 750 } },
	{ "capped on one of two slots", 2, 4, { { .weight = 100, .cap_ppm = 250000 }, { 100 } },
	  { 250, 500 } },
	{ "a floor against three hogs", 1, 4,
	  { { .weight = 1, .floor_ppm = 300000 }, { 1000 }, { 1000 }, { 1000 } },
	  { 300, 233, 233, 233 } },
	{ "floors of batch against latency", 1, 4,
	  { { .weight = 100, .floor_ppm = 400000, .sched_class = INFINI_SCHED_BATCH },
	    { .weight = 100 } }, { 400, 600 } },
	{ "a batch vdev starves slowly", 1, 4,
	  { { .weight = 100, .sched_class = INFINI_SCHED_BATCH }, { .weight = 100 } },
	  { 48, 952 } },
	{ "a thousand tokens a second", 1, 4, { { .weight = 100, .rate = 1000 }, { 100 } },
	  { 100, 900 } },
	{ "two slots for two", 2, 1, { { 900 }, { 100 } }, { 500, 500 } },
	{ "two slots for three", 2, 4, { { 100 }, { 100 }, { 100 } }, { 333, 333, 333 } },
	{ "hog and one that breathes", 1, 4,
	  { { 100 }, { 300, 900 * SCHED_US, 100 * SCHED_US } }, { 250, 750 } },
};

static void row_name(const struct row *row, char *name)
{
	strscpy(name, row->name, KUNIT_PARAM_DESC_SIZE);
}
KUNIT_ARRAY_PARAM(row, rows, row_name);

struct sim_vdev {
	struct infini_sched_vdev vdev;
	struct infini_sched_queue queue;
	const struct load *load;
	u64 burst_ns;		/* computed since it woke */
	u64 wake_ns;		/* 0: awake */
};

struct sim {
	struct infini_sched sched;
	struct sim_vdev vdevs[SCHED_VDEVS];
	u64 now_ns;
	u64 changes;
};

static void sim_ready(struct sim *sim, struct sim_vdev *v, bool ready)
{
	infini_sched_queue_ready(&sim->sched, &v->vdev, &v->queue, ready, sim->now_ns);
}

static void sim_limits(const struct load *load, struct infini_sched_limits *limits)
{
	infini_limits_default(limits);
	limits->weight = load->weight;
	limits->sched_class = load->sched_class;
	limits->cap_ppm = load->cap_ppm ?: INFINI_PPM;
	limits->floor_ppm = load->floor_ppm;
	limits->rate = load->rate;
	/* No more than is due, so that the burst at the beginning does not count. */
	limits->burst = load->rate ? 1 : 0;
}

static void sim_init(struct sim *sim, const struct row *row)
{
	struct infini_sched_limits limits;
	int i;

	memset(sim, 0, sizeof(*sim));
	sim->now_ns = NSEC_PER_SEC;
	infini_sched_init(&sim->sched, row->slots);
	for (i = 0; i < SCHED_VDEVS; i++) {
		struct sim_vdev *v = &sim->vdevs[i];

		v->load = &row->loads[i];
		if (!v->load->weight)
			continue;
		sim_limits(v->load, &limits);
		infini_sched_vdev_init(&sim->sched, &v->vdev, &limits);
		infini_sched_queue_init(&v->queue, INFINI_WEIGHT_DEFAULT);
		infini_sched_vdev_online(&sim->sched, &v->vdev, true, sim->now_ns);
		sim_ready(sim, v, true);
	}
}

/* A segment has passed for @v: it sleeps, gives the slot up, or goes on. */
static void sim_boundary(struct sim *sim, struct sim_vdev *v)
{
	infini_sched_queue_charge(&v->vdev, &v->queue, SCHED_SEGMENT);
	infini_sched_tokens(&sim->sched, &v->vdev, 1, sim->now_ns);
	v->burst_ns += SCHED_SEGMENT;
	if (v->load->run_ns && v->burst_ns >= v->load->run_ns) {
		v->burst_ns = 0;
		v->wake_ns = sim->now_ns + v->load->sleep_ns;
		sim_ready(sim, v, false);
		infini_sched_put(&sim->sched, &v->vdev, sim->now_ns);
		sim->changes++;
	} else if (!infini_sched_may_continue(&sim->sched, &v->vdev, sim->now_ns)) {
		infini_sched_put(&sim->sched, &v->vdev, sim->now_ns);
		sim->changes++;
	}
}

static void sim_step(struct sim *sim)
{
	int i;

	while (infini_sched_pick(&sim->sched, sim->now_ns))
		;
	sim->now_ns += SCHED_SEGMENT;
	for (i = 0; i < SCHED_VDEVS; i++) {
		struct sim_vdev *v = &sim->vdevs[i];

		if (v->wake_ns && v->wake_ns <= sim->now_ns) {
			v->wake_ns = 0;
			sim_ready(sim, v, true);
		}
	}
	while (infini_sched_preempt(&sim->sched, sim->now_ns))
		;
	for (i = 0; i < SCHED_VDEVS; i++)
		if (sim->vdevs[i].vdev.running)
			sim_boundary(sim, &sim->vdevs[i]);
}

/* Nobody sleeps or is kept from running, and there is work for every slot. */
static bool sim_always_busy(const struct row *row)
{
	u32 nr = 0;
	int i;

	for (i = 0; i < SCHED_VDEVS; i++) {
		const struct load *load = &row->loads[i];

		if (load->run_ns || load->cap_ppm || load->rate || load->floor_ppm)
			return false;
		nr += !!load->weight;
	}
	return nr >= row->slots;
}

static void sched_shares(struct kunit *test)
{
	const struct row *row = test->param_value;
	struct sim *sim = kunit_kzalloc(test, sizeof(*sim), GFP_KERNEL);
	u64 all_ns = row->slots * row->seconds * NSEC_PER_SEC;
	u64 until, total = 0;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, sim);
	sim_init(sim, row);
	until = sim->now_ns + row->seconds * NSEC_PER_SEC;
	while (sim->now_ns < until)
		sim_step(sim);
	for (i = 0; i < SCHED_VDEVS; i++) {
		u64 share = div64_u64(sim->vdevs[i].vdev.occupancy_ns * 1000, all_ns);

		total += sim->vdevs[i].vdev.occupancy_ns;
		if (!row->share_permille[i])
			continue;
		KUNIT_EXPECT_LE_MSG(test, abs((s64)share - (s64)row->share_permille[i]), 10,
				    "vdev %d got %llu per mille, not %u", i, share,
				    row->share_permille[i]);
	}
	if (sim_always_busy(row)) {
		/* No slot was free while there was work. */
		KUNIT_EXPECT_GE(test, total, all_ns - SCHED_MS);
		/*
		 * And the slot changed hands no more often than once in a quantum of the ones that
		 * never sleep.
		 */
		KUNIT_EXPECT_LE(test, sim->changes, div64_u64(all_ns, INFINI_QUANTUM_DEFAULT_NS) +
						    row->slots);
	}
	/* Who is not kept from running was not throttled, and who is, was. */
	for (i = 0; i < SCHED_VDEVS; i++)
		if (!row->loads[i].cap_ppm && !row->loads[i].rate)
			KUNIT_EXPECT_EQ(test, sim->vdevs[i].vdev.throttles, 0);
}

/* A vdev that wakes while another is in the middle of its quantum has it asked to yield. */
static void sched_wakeup(struct kunit *test)
{
	static const struct row row = { "wake-up", 1, 1, { { 100 }, { 100 } } };
	struct sim *sim = kunit_kzalloc(test, sizeof(*sim), GFP_KERNEL);
	struct sim_vdev *hog, *waker;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, sim);
	sim_init(sim, &row);
	hog = &sim->vdevs[0];
	waker = &sim->vdevs[1];
	sim_ready(sim, waker, false);
	for (i = 0; i < 1000; i++)
		sim_step(sim);
	KUNIT_ASSERT_TRUE(test, hog->vdev.running);
	KUNIT_EXPECT_NULL(test, infini_sched_preempt(&sim->sched, sim->now_ns));
	sim_ready(sim, waker, true);
	while (infini_sched_preempt(&sim->sched, sim->now_ns))
		;
	if (!hog->vdev.yield_asked)
		KUNIT_EXPECT_LE(test, infini_sched_next_event(&sim->sched, sim->now_ns),
				sim->now_ns + INFINI_QUANTUM_DEFAULT_NS);
	for (i = 0; i < 25 && !waker->vdev.running; i++)
		sim_step(sim);
	KUNIT_EXPECT_TRUE(test, waker->vdev.slices > 0);
}

/* Weight and quantum of a live vdev change; the shares follow. */
static void sched_hot_update(struct kunit *test)
{
	static const struct row row = { "hot update", 1, 1, { { 100 }, { 100 } } };
	struct sim *sim = kunit_kzalloc(test, sizeof(*sim), GFP_KERNEL);
	struct infini_sched_limits limits;
	u64 before[2], got[2];
	int i;

	KUNIT_ASSERT_NOT_NULL(test, sim);
	sim_init(sim, &row);
	for (i = 0; i < 10000; i++)
		sim_step(sim);
	before[0] = sim->vdevs[0].vdev.occupancy_ns;
	before[1] = sim->vdevs[1].vdev.occupancy_ns;
	limits = sim->vdevs[0].vdev.limits;
	limits.weight = 900;
	limits.quantum_ns = INFINI_QUANTUM_MIN_NS;
	infini_sched_vdev_set(&sim->sched, &sim->vdevs[0].vdev, &limits, sim->now_ns);
	for (i = 0; i < 40000; i++)
		sim_step(sim);
	for (i = 0; i < 2; i++)
		got[i] = sim->vdevs[i].vdev.occupancy_ns - before[i];
	KUNIT_EXPECT_LE(test, abs((s64)div64_u64(got[0] * 1000, got[0] + got[1]) - 900), 10);
}

/* Offline, a vdev is not picked; back again, it is. */
static void sched_offline(struct kunit *test)
{
	static const struct row row = { "alone", 1, 1, { { 100 } } };
	struct sim *sim = kunit_kzalloc(test, sizeof(*sim), GFP_KERNEL);
	struct infini_sched_vdev *v;

	KUNIT_ASSERT_NOT_NULL(test, sim);
	sim_init(sim, &row);
	v = &sim->vdevs[0].vdev;
	infini_sched_vdev_online(&sim->sched, v, false, sim->now_ns);
	KUNIT_EXPECT_NULL(test, infini_sched_pick(&sim->sched, sim->now_ns));
	infini_sched_vdev_online(&sim->sched, v, true, sim->now_ns);
	KUNIT_EXPECT_PTR_EQ(test, infini_sched_pick(&sim->sched, sim->now_ns), v);
	KUNIT_EXPECT_NULL(test, infini_sched_pick(&sim->sched, sim->now_ns));
	infini_sched_put(&sim->sched, v, sim->now_ns + 5);
	KUNIT_EXPECT_EQ(test, v->occupancy_ns, 5);
}

/*
 * A cap keeps a vdev from being picked until its bucket is half full: a quantum of 2 ms at 20 %
 * lasts 2.5 ms, for it fills meanwhile, and comes back after 5 ms.
 */
static void sched_capped(struct kunit *test)
{
	static const struct row row = {
		"capped", 1, 1, { { .weight = 100, .cap_ppm = 200000 } }
	};
	struct sim *sim = kunit_kzalloc(test, sizeof(*sim), GFP_KERNEL);
	struct infini_sched_vdev *v;
	u64 begin, over;

	KUNIT_ASSERT_NOT_NULL(test, sim);
	sim_init(sim, &row);
	v = &sim->vdevs[0].vdev;
	begin = sim->now_ns;
	KUNIT_ASSERT_PTR_EQ(test, infini_sched_pick(&sim->sched, begin), v);
	over = infini_sched_next_event(&sim->sched, begin);
	KUNIT_EXPECT_EQ(test, over, begin + 2500 * SCHED_US);
	KUNIT_EXPECT_NULL(test, infini_sched_preempt(&sim->sched, over - 1));
	KUNIT_EXPECT_TRUE(test, infini_sched_may_continue(&sim->sched, v, over - 1));
	KUNIT_EXPECT_PTR_EQ(test, infini_sched_preempt(&sim->sched, over), v);
	KUNIT_EXPECT_FALSE(test, infini_sched_may_continue(&sim->sched, v, over));
	KUNIT_EXPECT_EQ(test, v->throttles, 0);
	infini_sched_put(&sim->sched, v, over);
	KUNIT_EXPECT_EQ(test, v->throttles, 1);
	KUNIT_EXPECT_NULL(test, infini_sched_pick(&sim->sched, over));
	KUNIT_EXPECT_EQ(test, infini_sched_next_event(&sim->sched, over), over + 5 * SCHED_MS);
	KUNIT_EXPECT_NULL(test, infini_sched_pick(&sim->sched, over + 5 * SCHED_MS - 1));
	KUNIT_EXPECT_EQ(test, infini_sched_throttled_ns(v, over + SCHED_MS), SCHED_MS);
	KUNIT_EXPECT_PTR_EQ(test, infini_sched_pick(&sim->sched, over + 5 * SCHED_MS), v);
	KUNIT_EXPECT_EQ(test, infini_sched_throttled_ns(v, over + 9 * SCHED_MS), 5 * SCHED_MS);
	KUNIT_EXPECT_EQ(test, v->throttles, 1);
}

static struct kunit_case sched_cases[] = {
	KUNIT_CASE_PARAM(sched_shares, row_gen_params),
	KUNIT_CASE(sched_wakeup),
	KUNIT_CASE(sched_hot_update),
	KUNIT_CASE(sched_offline),
	KUNIT_CASE(sched_capped),
	{}
};

static struct kunit_suite sched_suite = {
	.name = "infini_sched",
	.test_cases = sched_cases,
};
kunit_test_suite(sched_suite);
