// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random devices under random load: the books must balance after every event, no slot stands idle
 * while somebody waits, nobody starves, and backlogged vdevs get their shares.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "sim.h"

#define US		1000ull
#define SEEDS		300
/* Stop before the machine's patience ends, however slow it is; a few seeds always run. */
#define BUDGET_SECONDS	4
#define SEEDS_MIN	40

static struct sim the_sim;

static u64 seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

static u64 between(struct sim *sim, u64 low, u64 high)
{
	return low + sim_random(sim) % (high - low + 1);
}

static u32 random_weight(struct sim *sim)
{
	static const u32 weights[] = { 1, 2, 3, 10, 50, 100, 100, 300, 1000, 10000 };

	return weights[sim_random(sim) % ARRAY_SIZE(weights)];
}

static void random_client(struct sim *sim, u32 vdev)
{
	struct sim_client_spec spec = {
		.vdev = vdev,
		.weight = random_weight(sim),
		.job_ns = between(sim, 10, 20000) * US,
		.spread_ppm = between(sim, 0, 900000),
		.start_ns = between(sim, 0, 1000) * SIM_MS,
	};

	if (sim_random(sim) % 4)
		spec.segment_ns = between(sim, 50, 3000) * US;
	switch (sim_random(sim) % 4) {
	case 0:
		break;
	case 1:
		spec.think_ns = between(sim, 1, 1000) * US;
		break;
	case 2:
		spec.think_ns = between(sim, 1, 100) * SIM_MS;
		break;
	default:
		spec.period_ns = spec.job_ns * between(sim, 1, 20);
		break;
	}
	if (sim_random(sim) % 8 == 0)
		spec.stop_ns = spec.start_ns + between(sim, 100, 2000) * SIM_MS;
	sim_client_add(sim, &spec);
}

static void random_setup(struct sim *sim, u64 seed)
{
	u32 vdevs, clients, i;

	sim_init(sim, 1, seed);
	sim->sched.slots = between(sim, 1, 4);
	sim->check = true;
	vdevs = between(sim, 1, 8);
	clients = between(sim, vdevs, 24);
	for (i = 0; i < vdevs; i++)
		sim_vdev_add(sim, random_weight(sim), between(sim, 100, 8000) * US);
	for (i = 0; i < clients; i++)
		random_client(sim, i % vdevs);
}

static void random_event(struct sim *sim)
{
	u32 vdev = sim_random(sim) % sim->nr_vdevs;
	struct infini_sched_vdev *v = &sim->vdevs[vdev].sched;

	switch (sim_random(sim) % 4) {
	case 0:
		infini_sched_vdev_set(&sim->sched, v, random_weight(sim),
				      between(sim, 100, 8000) * US, sim->now_ns);
		break;
	case 1:
		sim_vdev_online(sim, vdev, !v->online);
		break;
	case 2:
		infini_sched_vdev_throttle(&sim->sched, v, !v->throttled, sim->now_ns);
		break;
	default:
		break;
	}
}

/* After the last change all are let run, and every job there is must get its turn. */
static void random_drain(struct sim *sim)
{
	u32 i;

	for (i = 0; i < sim->nr_vdevs; i++) {
		if (!sim->vdevs[i].sched.online)
			sim_vdev_online(sim, i, true);
		infini_sched_vdev_throttle(&sim->sched, &sim->vdevs[i].sched, false, sim->now_ns);
		infini_sched_vdev_set(&sim->sched, &sim->vdevs[i].sched, 100, 2000 * US,
				      sim->now_ns);
	}
	for (i = 0; i < sim->nr_clients; i++)
		sim->clients[i].spec.stop_ns = 1;
	sim_run(sim, sim->now_ns + 10000 * SIM_SECOND);
	for (i = 0; i < sim->nr_clients; i++) {
		assert_int_equal(sim->clients[i].jobs, 0);
		assert_int_equal(sim->clients[i].left_ns, 0);
	}
	for (i = 0; i < sim->nr_vdevs; i++) {
		assert_false(sim->vdevs[i].sched.running);
		assert_int_equal(sim->vdevs[i].sched.nr_ready, 0);
	}
	assert_null(sim->sched.level.tree.root);
	assert_int_equal(sim->sched.level.load, 0);
}

static void test_books_and_progress(void **state)
{
	u64 until = seconds_now() + BUDGET_SECONDS;
	struct sim *sim = &the_sim;
	u64 seed;
	u32 step;

	(void)state;
	for (seed = 1; seed <= SEEDS; seed++) {
		if (seed > SEEDS_MIN && seconds_now() >= until)
			break;
		random_setup(sim, seed);
		for (step = 0; step < 40; step++) {
			sim_run(sim, sim->now_ns + between(sim, 1, 100) * SIM_MS);
			random_event(sim);
		}
		assert_int_equal(sim->idle_ns, 0);
		random_drain(sim);
	}
	print_message("# books: %llu seeds\n", (unsigned long long)(seed - 1));
}

/* The largest share must fit into a slot, or it is not to be had. */
static bool shares_fit(const struct sim *sim)
{
	u64 total = 0, most = 0;
	u32 i;

	for (i = 0; i < sim->nr_vdevs; i++) {
		total += sim->vdevs[i].sched.se.weight;
		most = max_t(u64, most, sim->vdevs[i].sched.se.weight);
	}
	return most * sim->sched.slots <= total;
}

/*
 * All backlogged: after any time each vdev's occupancy is within a few of the longest slices of
 * its share, so the error is a constant and not a rate. The bound is that of EEVDF, one longest
 * request to either side, for each slot.
 */
static void test_shares(void **state)
{
	u64 until = seconds_now() + BUDGET_SECONDS;
	struct sim *sim = &the_sim;
	u64 seed, runs = 0;
	double worst = 0;
	u32 i;

	(void)state;
	for (seed = 1; seed <= SEEDS; seed++) {
		u64 total_ns = 0, load = 0, slice_ns = 0, segment_ns;
		u32 slots, vdevs;

		if (seed > SEEDS_MIN && seconds_now() >= until)
			break;
		sim_init(sim, 1, seed);
		slots = between(sim, 1, 3);
		vdevs = between(sim, slots, 8);
		sim->sched.slots = slots;
		for (i = 0; i < vdevs; i++) {
			struct sim_client_spec hog = { .vdev = i, .spread_ppm = 500000 };
			u64 quantum_ns = between(sim, 200, 5000) * US;

			hog.job_ns = between(sim, 1, 50) * SIM_MS;
			segment_ns = between(sim, 50, 4000) * US;
			hog.segment_ns = segment_ns;
			sim_vdev_add(sim, between(sim, 1, 400), quantum_ns);
			sim_client_add(sim, &hog);
			slice_ns = max_t(u64, slice_ns, quantum_ns + segment_ns);
			load += sim->vdevs[i].sched.se.weight;
		}
		if (!shares_fit(sim))
			continue;
		sim_run(sim, 10 * SIM_SECOND);
		runs++;
		assert_int_equal(sim->idle_ns, 0);
		for (i = 0; i < vdevs; i++)
			total_ns += sim->vdevs[i].sched.occupancy_ns;
		assert_true(total_ns == slots * 10 * SIM_SECOND);
		for (i = 0; i < vdevs; i++) {
			double want = (double)total_ns * sim->vdevs[i].sched.se.weight / load;
			double off = sim->vdevs[i].sched.occupancy_ns - want;

			off = (off < 0 ? -off : off) / slice_ns;
			worst = off > worst ? off : worst;
			assert_true(off <= slots);
		}
		/* One question in a quantum and slot, and none for those that never slept. */
		assert_true(sim->asked <= slots * 10 * SIM_SECOND / (200 * US));
	}
	print_message("# shares: %llu runs, never off by more than %.2f longest slices\n",
		      (unsigned long long)runs, worst);
	assert_true(runs >= 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ .name = "books balance, nothing idles, nobody starves",
		  .test_func = test_books_and_progress },
		{ .name = "shares of backlogged vdevs", .test_func = test_shares },
	};

	return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
