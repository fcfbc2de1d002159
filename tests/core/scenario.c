// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs a scenario, prints what it measures, and asserts what it promises. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scenario.h"

/* Beyond, looking at everybody after every event takes too long. */
#define CHECK_CLIENTS	64
#define CHECK_NS	(100 * SIM_SECOND)

static const struct {
	const char *name;
	const char *unit;
	double scale;
} kinds[] = {
	[WANT_PART] = { "part of the device", "%", 1e-4 },
	[WANT_USEFUL] = { "useful part, all together", "%", 1e-4 },
	[WANT_SECOND_MOST] = { "most in any second", "ms", 1e-3 },
	[WANT_SECOND_LEAST] = { "least in any second", "ms", 1e-3 },
	[WANT_WAIT_MAX] = { "longest without a slot", "ms", 1e-3 },
	[WANT_DUE_MAX] = { "longest that a due floor waited", "ms", 1e-3 },
	[WANT_JOB_P99] = { "wait of a job, p99", "ms", 1e-3 },
	[WANT_JOB_MAX] = { "wait of a job, longest", "ms", 1e-3 },
	[WANT_TOKENS] = { "tokens", "", 1 },
	[WANT_DONE] = { "jobs done", "", 1 },
	[WANT_REFUSED] = { "jobs refused", "", 1 },
};

void scenario_assert_sound(const struct sim *sim)
{
	if (sim->fault)
		fail_msg("at %llu ns: %s", (unsigned long long)sim->fault_ns, sim->fault);
	assert_true(sim->idle_ns == 0);
}

/* The vdevs of a row: the first, and the one after the last. */
static void row_range(const struct sim *sim, const struct scenario *c, u32 row, u32 *from, u32 *to)
{
	*from = workload_vdev(&c->load, row);
	*to = row + 1 < workload_vdevs(&c->load) ? workload_vdev(&c->load, row + 1) :
	      sim->nr_vdevs;
}

static u64 row_occupancy(const struct sim *sim, const struct scenario *c, u32 row)
{
	u64 sum = 0;
	u32 i, to;

	for (row_range(sim, c, row, &i, &to); i < to; i++)
		sum += sim->vdevs[i]->occupancy_ns;
	return sum;
}

static void check_shares(const struct sim *sim, const struct scenario *c)
{
	u32 rows = workload_vdevs(&c->load), error_ppm = c->error_ppm ? c->error_ppm : 10000, i;
	u64 total = 0, parts = 0;

	for (i = 0; i < rows; i++) {
		total += c->share[i] ? row_occupancy(sim, c, i) : 0;
		parts += c->share[i];
	}
	for (i = 0; i < rows; i++) {
		double want = (double)total * c->share[i] / parts;
		double error = row_occupancy(sim, c, i) / want - 1;

		if (!c->share[i])
			continue;
		print_message("#   row %u: %.3f ms, share off by %+.4f %%\n", i,
			      row_occupancy(sim, c, i) / 1e6, error * 100);
		assert_true(error * 1000000 <= error_ppm && -error * 1000000 <= error_ppm);
	}
}

static void check_bounds(const struct sim *sim, const struct scenario *c)
{
	u64 passed_ns = sim->now_ns - sim->since_ns, lag_ns, wait_ns;
	u32 rows = workload_vdevs(&c->load), row, i, to;

	print_message("#   asked %.1f/s, timers %.1f/s\n", (double)sim->asked * 1e9 / passed_ns,
		      (double)sim->timers * 1e9 / passed_ns);
	assert_true(c->asked_max == U64_MAX ||
		    sim->asked * SIM_SECOND <= c->asked_max * passed_ns + SIM_SECOND);
	for (row = 0; row < rows; row++) {
		lag_ns = 0;
		wait_ns = 0;
		for (row_range(sim, c, row, &i, &to); i < to; i++) {
			lag_ns = max_t(u64, lag_ns, sim->vdevs[i]->lag_max_ns);
			wait_ns = max_t(u64, wait_ns, sim->vdevs[i]->wait_max_ns);
		}
		print_message("#   row %u: lag up to %.3f ms, wait up to %.3f ms\n", row,
			      lag_ns / 1e6, wait_ns / 1e6);
		assert_true(!c->lag_max_us || lag_ns <= c->lag_max_us * US);
		assert_true(!c->wait_max_us || !c->share[row] || wait_ns <= c->wait_max_us * US);
	}
}

static u64 of_device(const struct sim *sim, u64 ns)
{
	return (u64)((double)ns * INFINI_PPM / (sim->now_ns - sim->since_ns) / sim->sched.slots +
		     0.5);
}

static u64 measure_sum(const struct sim_vdev *v, enum want_kind kind)
{
	switch (kind) {
	case WANT_PART:
		return v->occupancy_ns;
	case WANT_TOKENS:
		return v->tokens;
	case WANT_DONE:
		return v->done;
	case WANT_REFUSED:
		return v->refused;
	default:
		return 0;
	}
}

static u64 measure_one(struct sim_vdev *v, enum want_kind kind)
{
	switch (kind) {
	case WANT_SECOND_MOST:
		return v->window->most_ns / US;
	case WANT_SECOND_LEAST:
		return v->window->least_ns / US;
	case WANT_WAIT_MAX:
		return v->wait_max_ns / US;
	case WANT_DUE_MAX:
		return v->due_max_ns / US;
	case WANT_JOB_P99:
		return sim_wait_quantile(v, 990000) / US;
	case WANT_JOB_MAX:
		return sim_wait_quantile(v, 1000000) / US;
	default:
		return 0;
	}
}

static u64 measure(struct sim *sim, const struct scenario *c, const struct want *want)
{
	u64 sum = 0, most = 0, least = U64_MAX, one;
	u32 i, to;

	if (want->kind == WANT_USEFUL) {
		for (i = 0; i < sim->nr_vdevs; i++)
			sum += sim->vdevs[i]->useful_ns;
		return of_device(sim, sum);
	}
	for (row_range(sim, c, want->row, &i, &to); i < to; i++) {
		sum += measure_sum(sim->vdevs[i], want->kind);
		one = measure_one(sim->vdevs[i], want->kind);
		most = max_t(u64, most, one);
		least = min_t(u64, least, one);
	}
	if (want->kind == WANT_PART)
		return of_device(sim, sum);
	if (want->kind == WANT_SECOND_LEAST)
		return least;
	return sum ? sum : most;
}

static void check_wants(struct sim *sim, const struct scenario *c)
{
	const struct want *want;

	for (want = c->want; want < c->want + SCENARIO_WANTS && want->kind; want++) {
		u64 got = measure(sim, c, want);

		print_message("#   row %u: %s: %.3f %s\n", want->row, kinds[want->kind].name,
			      got * kinds[want->kind].scale, kinds[want->kind].unit);
		if (got < want->low || got > want->high)
			fail_msg("row %u: %s: %llu, not in %llu..%llu", want->row,
				 kinds[want->kind].name, (unsigned long long)got,
				 (unsigned long long)want->low, (unsigned long long)want->high);
	}
}

void scenario_test(void **state)
{
	const struct scenario *c = *state;
	u64 until_ns = c->load.until_ns ? c->load.until_ns : 10 * SIM_SECOND;
	static struct sim sim;

	/* What a failed test has left. */
	sim_free(&sim);
	workload_load(&sim, &c->load);
	sim.check = sim.nr_clients <= CHECK_CLIENTS && until_ns <= CHECK_NS;
	if (c->from_ns) {
		sim_run(&sim, c->from_ns);
		sim_reset_counters(&sim);
	}
	sim_run(&sim, until_ns);
	scenario_assert_sound(&sim);
	check_bounds(&sim, c);
	check_shares(&sim, c);
	check_wants(&sim, c);
	sim_free(&sim);
}
