// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Random devices under random load. The simulator itself finds fault with books that do not
 * balance, jobs that are lost, slots that stand idle, timers in the past, and caps, floors and
 * rates that are not kept (sim_check.c); here are the workloads, and what can only be said at the
 * end of a run. A failure is printed as the smallest workload that still shows it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "property.h"

/*
 * Stop before the machine's patience ends, however slow it is; a few seeds always run. Who has
 * more patience sets PROPERTY_SECONDS.
 */
#define SEEDS		10000000
#define SEEDS_MIN	30
#define BUDGET_SECONDS	"2"

/* ---- drawing ---- */

static u64 random_of(u64 seed)
{
	return seed * 0x9e3779b97f4a7c15ull + 1;
}

static bool one_in(u64 *random, u32 n)
{
	return sim_random(random) % n == 0;
}

static u32 draw_weight(u64 *random)
{
	static const u32 weights[] = { 1, 2, 3, 10, 50, 100, 100, 300, 1000, 10000 };

	return weights[sim_random(random) % ARRAY_SIZE(weights)];
}

/*
 * Any limits. Floors add up to nine tenths at most, whatever changes, and a cap leaves its floor
 * room; that they may meet is a row of test_rights.c.
 */
static struct sim_vdev_spec draw_vdev(u64 *random, u32 vdevs, u32 slots)
{
	struct sim_vdev_spec spec = {
		.weight = draw_weight(random),
		.rank = (s32)(sim_random(random) % 3) - 1,
		.quantum_ns = sim_between(random, 100, 8000) * US,
	};

	if (one_in(random, 3))
		spec.floor_ppm = sim_between(random, 1, min_t(u32, 900 / vdevs, 1000 / slots)) *
				 1000;
	else if (one_in(random, 3))
		spec.cap_ppm = sim_between(random, 10, 900) * 1000;
	if (one_in(random, 4)) {
		spec.rate = sim_between(random, 1, 2000);
		spec.burst = one_in(random, 2) ? sim_between(random, 1, 500) : 0;
	}
	if (one_in(random, 2))
		spec.window = sim_between(random, 1, SIM_WINDOW_MAX);
	if (one_in(random, 4))
		spec.handover_ns = sim_between(random, 1, 300) * US;
	return spec;
}

static struct sim_client_spec draw_client(u64 *random, u32 vdev)
{
	struct sim_client_spec spec = {
		.vdev = vdev,
		.weight = draw_weight(random),
		.job_ns = sim_between(random, 10, 20000) * US,
		.spread_ppm = sim_between(random, 0, 900000),
		.start_ns = sim_between(random, 0, 1000) * SIM_MS,
		.tokens = sim_between(random, 0, 20),
		.declared = one_in(random, 4) ? sim_between(random, 0, 40) : 0,
		.fresh = one_in(random, 6),
	};

	if (!one_in(random, 4))
		spec.segment_ns = sim_between(random, 50, 3000) * US;
	switch (sim_random(random) % 5) {
	case 0:
		break;
	case 1:
		spec.depth = sim_between(random, 2, 20);
		break;
	case 2:
		spec.think_ns = sim_between(random, 1, 1000) * US;
		spec.nowait = one_in(random, 4);
		break;
	case 3:
		spec.think_ns = sim_between(random, 1, 100) * SIM_MS;
		break;
	default:
		spec.period_ns = spec.job_ns * sim_between(random, 1, 20);
		spec.depth = one_in(random, 4) ? sim_between(random, 2, 20) : 0;
		break;
	}
	if (one_in(random, 8))
		spec.stop_ns = spec.start_ns + sim_between(random, 100, 2000) * SIM_MS;
	return spec;
}

/* Everything there is, in company and over time. */
static void draw_any(struct sim_workload *load, u64 seed)
{
	u64 random = random_of(seed), at_ns = 0;
	u32 vdevs, clients, changes, i;

	load->seed = seed;
	load->slots = sim_between(&random, 1, 4);
	load->no_yield = one_in(&random, 10);
	vdevs = sim_between(&random, 1, SIM_VDEV_ROWS);
	clients = sim_between(&random, vdevs, SIM_CLIENT_ROWS);
	changes = sim_between(&random, 0, SIM_CHANGE_ROWS);
	for (i = 0; i < vdevs; i++)
		load->vdev[i] = draw_vdev(&random, vdevs, load->slots);
	for (i = 0; i < clients; i++)
		load->client[i] = draw_client(&random, i % vdevs);
	for (i = 0; i < changes; i++) {
		at_ns += sim_between(&random, 1, 100) * SIM_MS;
		load->change[i] = (struct sim_change){
			.at_ns = at_ns, .vdev = sim_random(&random) % vdevs,
			.kind = sim_random(&random) % 3,
		};
		if (load->change[i].kind == SIM_SET)
			load->change[i].to = draw_vdev(&random, vdevs, load->slots);
	}
	load->until_ns = at_ns + sim_between(&random, 1, 1000) * SIM_MS;
}

/* No changes, and long enough that every second of it counts. */
static void draw_steady(struct sim_workload *load, u64 seed)
{
	draw_any(load, seed);
	memset(load->change, 0, sizeof(load->change));
	load->until_ns = 4 * SIM_SECOND;
}

/* Hogs that differ in all but that; weights alone decide. The largest share fits into a slot. */
static void draw_hogs(struct sim_workload *load, u64 seed)
{
	u64 random = random_of(seed), total, most;
	u32 vdevs, i;

	load->seed = seed;
	load->until_ns = 10 * SIM_SECOND;
	load->slots = sim_between(&random, 1, 3);
	vdevs = sim_between(&random, load->slots, SIM_VDEV_ROWS);
	do {
		total = 0;
		most = 0;
		for (i = 0; i < vdevs; i++) {
			load->vdev[i] = (struct sim_vdev_spec){
				.weight = sim_between(&random, 1, 400),
				.quantum_ns = sim_between(&random, 200, 5000) * US,
				.window = sim_between(&random, 1, 4),
			};
			load->client[i] = (struct sim_client_spec){
				.vdev = i, .job_ns = sim_between(&random, 1, 50) * SIM_MS,
				.segment_ns = sim_between(&random, 50, 4000) * US,
				.depth = sim_between(&random, 4, 8), .spread_ppm = 500000,
			};
			total += load->vdev[i].weight;
			most = max_t(u64, most, load->vdev[i].weight);
		}
	} while (most * load->slots > total);
}

/* Weights of one magnitude, no caps, no rates, all classes: everybody's turn must come. */
static void draw_patient(struct sim_workload *load, u64 seed)
{
	u64 random = random_of(seed);
	u32 i;

	draw_any(load, seed);
	memset(load->change, 0, sizeof(load->change));
	load->no_yield = false;
	load->until_ns = 8 * SIM_SECOND;
	for (i = 0; i < SIM_VDEV_ROWS && load->vdev[i].weight; i++) {
		load->vdev[i].weight = sim_between(&random, 1, 4);
		load->vdev[i].quantum_ns = sim_between(&random, 500, 3000) * US;
		load->vdev[i].cap_ppm = 0;
		load->vdev[i].rate = 0;
		load->vdev[i].burst = 0;
		load->vdev[i].floor_ppm /= 2;
	}
	for (i = 0; i < SIM_CLIENT_ROWS && load->client[i].job_ns; i++)
		load->client[i].segment_ns = sim_between(&random, 50, 1000) * US;
}

/* ---- what must hold ---- */

static bool fails(char *why, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, PROPERTY_WHY, format, args);
	va_end(args);
	return false;
}

/* Load it and run it to its end; a fault is said. */
static bool run(struct sim *sim, const struct sim_workload *load, char *why)
{
	workload_load(sim, load);
	sim->check = true;
	sim_run(sim, load->until_ns);
	if (sim->fault)
		return fails(why, "at %llu ns: %s", (unsigned long long)sim->fault_ns, sim->fault);
	if (sim->idle_ns)
		return fails(why, "%llu ns of a slot idle", (unsigned long long)sim->idle_ns);
	return true;
}

/* Clients stop, executors come back, limits fall: every job there is must get its turn. */
static bool drains(struct sim *sim, char *why)
{
	static const struct sim_vdev_spec plain = { .weight = 100 };
	u32 i;

	for (i = 0; i < sim->nr_vdevs; i++) {
		if (!sim->vdevs[i]->sched.online)
			sim_vdev_online(sim, sim->vdevs[i], true);
		sim_vdev_set(sim, sim->vdevs[i], &plain);
	}
	sim_drain(sim, sim->now_ns + 10000 * SIM_SECOND);
	if (sim->fault)
		return fails(why, "when drained: %s", sim->fault);
	for (i = 0; i < sim->nr_clients; i++)
		if (sim->clients[i]->jobs.nr || sim->clients[i]->held || sim->clients[i]->left_ns)
			return fails(why, "client %u has a job that never ends", i);
	for (i = 0; i < INFINI_SCHED_CLASSES; i++)
		if (sim->sched.tiers[i].level.tree.root || sim->sched.tiers[i].level.load)
			return fails(why, "class %u is not empty", i);
	if (sim->nr_busy || sim->nr_running || sim->sched.floors.root || sim->sched.throttled.root)
		return fails(why, "somebody is left over");
	return true;
}

static bool books_balance(const struct sim_workload *load, char *why)
{
	struct sim sim;
	bool held = run(&sim, load, why) && drains(&sim, why);

	sim_free(&sim);
	return held;
}

static bool limits_kept(const struct sim_workload *load, char *why)
{
	struct sim sim;
	bool held = run(&sim, load, why);

	sim_free(&sim);
	return held;
}

/* A slice of anybody, at its longest, until the next begins. */
static u64 longest_slice(const struct sim *sim)
{
	u64 longest_ns = 0;
	u32 i;

	for (i = 0; i < sim->nr_vdevs; i++)
		longest_ns = max_t(u64, longest_ns, sim_slice_max_ns(sim, sim->vdevs[i]));
	return longest_ns;
}

/* Is everybody backlogged, and no share larger than a slot? Otherwise weights are not all. */
static bool only_weights(const struct sim_workload *load)
{
	u32 vdevs = workload_vdevs(load), i;
	u64 total = 0, most = 0;

	if (vdevs < load->slots || workload_clients(load) != vdevs || load->no_yield)
		return false;
	for (i = 0; i < vdevs; i++) {
		total += load->vdev[i].weight;
		most = max_t(u64, most, load->vdev[i].weight);
		if (load->client[i].vdev != i || load->client[i].depth < load->vdev[i].window)
			return false;
	}
	return most * load->slots <= total;
}

/*
 * All backlogged: after any time each vdev's occupancy is within a few of the longest slices of
 * its share, so the error is a constant and not a rate. The bound is that of EEVDF, one longest
 * request to either side, for each slot.
 */
static bool shares_exact(const struct sim_workload *load, char *why)
{
	u64 weights = 0, slice_ns;
	struct sim sim;
	bool held;
	u32 i;

	if (!only_weights(load))
		return true;
	held = run(&sim, load, why);
	slice_ns = longest_slice(&sim);
	for (i = 0; i < sim.nr_vdevs; i++)
		weights += sim.vdevs[i]->spec.weight;
	for (i = 0; i < sim.nr_vdevs && held; i++) {
		double want = (double)sim.busy_ns * sim.vdevs[i]->spec.weight / weights;
		double off = sim.vdevs[i]->occupancy_ns - want;

		if (off > (double)slice_ns * sim.sched.slots ||
		    -off > (double)slice_ns * sim.sched.slots)
			held = fails(why, "vdev %u is off by %.3f ms after %.3f ms", i, off / 1e6,
				     sim.now_ns / 1e6);
	}
	if (held && sim.busy_ns != sim.now_ns * sim.sched.slots)
		held = fails(why, "the device was not busy all the time");
	sim_free(&sim);
	return held;
}

/*
 * Longest without a slot. A round is one quantum of @v's, and of the others of its class what
 * weight gives them meanwhile, slice by slice; a class below has one slice of a round in
 * INFINI_SCHED_STARVE_NS, beside what floors (half of the device at most) and the other class that
 * starves take. Four times that, since deadlines may put two slices two rounds apart and clients
 * come and go.
 */
static u64 patience_ns(const struct sim *sim, const struct sim_vdev *v)
{
	u64 slice_ns = longest_slice(sim), slices = 0;
	u32 i;

	for (i = 0; i < sim->nr_vdevs; i++) {
		const struct sim_vdev *w = sim->vdevs[i];

		if (w->spec.rank == v->spec.rank)
			slices += 1 + w->spec.weight * v->sched.limits.quantum_ns /
				      v->spec.weight / w->sched.limits.quantum_ns;
	}
	if (v->spec.rank < 1)
		slice_ns = 3 * slice_ns + INFINI_SCHED_STARVE_NS;
	return 4 * slices * slice_ns;
}

static bool nobody_starves(const struct sim_workload *load, char *why)
{
	struct sim sim;
	bool held = run(&sim, load, why);
	u32 i;

	for (i = 0; i < sim.nr_vdevs && held; i++)
		if (sim.vdevs[i]->wait_max_ns > patience_ns(&sim, sim.vdevs[i]))
			held = fails(why, "vdev %u waits for %.3f ms, %.3f are its due", i,
				     sim.vdevs[i]->wait_max_ns / 1e6,
				     patience_ns(&sim, sim.vdevs[i]) / 1e6);
	sim_free(&sim);
	return held;
}

/*
 * What a vdev is owed, or owes, does not grow with time: a longest slice of everybody, and the
 * breath that counted as waiting.
 */
static bool lag_bounded(const struct sim_workload *load, char *why)
{
	struct sim sim;
	bool held = run(&sim, load, why);
	u64 bound_ns;
	u32 i;

	bound_ns = longest_slice(&sim) * (sim.nr_vdevs + INFINI_LEVEL_BREATH_MAX_SLICES +
					  INFINI_LEVEL_CREDIT_SLICES);
	for (i = 0; i < sim.nr_vdevs && held; i++)
		if (sim.vdevs[i]->lag_max_ns > bound_ns)
			held = fails(why, "vdev %u has a lag of %.3f ms", i,
				     sim.vdevs[i]->lag_max_ns / 1e6);
	sim_free(&sim);
	return held;
}

static const struct property properties[] = {
	{ "books balance, nothing idles, no job is lost", draw_any, books_balance },
	{ "caps, floors and rates are kept over any second", draw_steady, limits_kept },
	{ "shares of backlogged vdevs are exact", draw_hogs, shares_exact },
	{ "nobody starves", draw_patient, nobody_starves },
	{ "lag is bounded", draw_patient, lag_bounded },
};

static void test_property(void **state)
{
	const char *seconds = getenv("PROPERTY_SECONDS");

	assert_true(property_check(*state, SEEDS_MIN, SEEDS,
				   strtoull(seconds ? seconds : BUDGET_SECONDS, NULL, 10)));
}

int main(void)
{
	static struct CMUnitTest tests[ARRAY_SIZE(properties)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(properties); i++)
		tests[i] = (struct CMUnitTest){ .name = properties[i].name,
						.test_func = test_property,
						.initial_state = (void *)&properties[i] };
	return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
