// SPDX-License-Identifier: GPL-2.0-or-later
/* The shrinker, on properties broken on purpose: it must find the one cause in the crowd. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "property.h"
#include "shrink.h"

#define TRIES	2000

/* Eight vdevs, twenty-four clients, limits and changes; what fails is somewhere in it. */
static void draw_crowd(struct sim_workload *load, u64 seed)
{
	u64 random = seed * 0x9e3779b97f4a7c15ull + 1;
	u32 i;

	load->slots = 2;
	load->seed = seed;
	load->until_ns = 1234567 * US;
	for (i = 0; i < SIM_VDEV_ROWS; i++)
		load->vdev[i] = (struct sim_vdev_spec){
			.weight = sim_between(&random, 2, 9999), .rank = i % 3 - 1,
			.quantum_ns = sim_between(&random, 100, 7777) * US,
			.cap_ppm = 500001 + i, .floor_ppm = 11111, .window = 3,
		};
	for (i = 0; i < SIM_CLIENT_ROWS; i++)
		load->client[i] = (struct sim_client_spec){
			.vdev = i % SIM_VDEV_ROWS, .job_ns = sim_between(&random, 100, 2900) * US,
			.segment_ns = 123 * US, .think_ns = sim_between(&random, 1, 999) * US,
			.spread_ppm = 98765, .start_ns = i * 333 * US,
		};
	load->client[17].job_ns = 7654321;
	for (i = 0; i < 10; i++)
		load->change[i] = (struct sim_change){
			.at_ns = (i + 1) * 98765 * US, .vdev = i % SIM_VDEV_ROWS,
			.to = load->vdev[i % 3],
		};
}

/* Broken: "no client has jobs of 3 ms". */
static bool no_long_job(const struct sim_workload *load, char *why)
{
	u32 i;

	for (i = 0; i < workload_clients(load); i++) {
		if (load->client[i].job_ns < 3 * SIM_MS)
			continue;
		snprintf(why, PROPERTY_WHY, "a job of %llu ns",
			 (unsigned long long)load->client[i].job_ns);
		return false;
	}
	return true;
}

/* Broken: "nobody is ever preempted". */
static bool nobody_preempted(const struct sim_workload *load, char *why)
{
	struct sim sim;
	u64 preempted;

	workload_load(&sim, load);
	sim_run(&sim, load->until_ns);
	preempted = sim.preempted;
	sim_free(&sim);
	snprintf(why, PROPERTY_WHY, "somebody was");
	return !preempted;
}

/* Broken: it falls over an operator who sets a floor while anybody has a window. */
static bool falls_over(const struct sim_workload *load, char *why)
{
	u32 i, j;

	(void)why;
	for (i = 0; i < workload_changes(load); i++)
		for (j = 0; j < workload_vdevs(load); j++)
			if (load->change[i].to.floor_ppm && load->vdev[j].window > 1)
				abort();
	return true;
}

static const struct property long_job = { "no long job", draw_crowd, no_long_job };
static const struct property preempted = { "nobody preempted", draw_crowd, nobody_preempted };
static const struct property falls = { "does not fall over", draw_crowd, falls_over };

static struct sim_workload shrunk(const struct property *property, const char *why)
{
	struct property_result result = property_search(property, 1, 10, 60);
	struct sim_workload load = { 0 };

	assert_false(result.held);
	assert_int_equal(result.seed, 1);
	property->draw(&load, result.seed);
	assert_null(workload_fault(&load));
	result = property_shrink(property, &load, TRIES);
	assert_false(result.held);
	assert_string_equal(result.why, why);
	return load;
}

/* Printed as it would be pasted. */
static void assert_table(const struct sim_workload *load, const char *table)
{
	char *text = NULL;
	size_t size = 0;
	FILE *to = open_memstream(&text, &size);

	workload_print(to, load);
	fclose(to);
	assert_string_equal(text, table);
	free(text);
}

static void test_one_number(void **state)
{
	struct sim_workload load = shrunk(&long_job, "a job of 3000000 ns");

	(void)state;
	assert_table(&load,
		     "{\n"
		     "\t.seed = 1, .until_ns = 1,\n"
		     "\t.vdev = {\n"
		     "\t\t{ .weight = 1, },\n"
		     "\t},\n"
		     "\t.client = {\n"
		     "\t\t{ .vdev = 0, .job_ns = 3 * SIM_MS, },\n"
		     "\t},\n"
		     "}\n");
}

/* Two who want the one slot, one of whom can be made to yield: less does not do it. */
static void test_a_run(void **state)
{
	struct sim_workload load = shrunk(&preempted, "somebody was");

	(void)state;
	workload_print(stdout, &load);
	assert_int_equal(workload_vdevs(&load), 2);
	assert_int_equal(workload_clients(&load), 2);
	assert_int_equal(workload_changes(&load), 0);
	assert_int_equal(load.slots, 0);
	assert_true(!!load.client[0].segment_ns != !!load.client[1].segment_ns);
	assert_int_equal(load.vdev[0].cap_ppm | load.vdev[1].cap_ppm, 0);
	assert_int_equal(load.vdev[0].window | load.vdev[1].window, 0);
}

static void test_a_crash(void **state)
{
	struct sim_workload load = shrunk(&falls, "died of signal 6");

	(void)state;
	assert_table(&load,
		     "{\n"
		     "\t.seed = 1, .until_ns = 1,\n"
		     "\t.vdev = {\n"
		     "\t\t{ .weight = 1, .window = 3, },\n"
		     "\t},\n"
		     "\t.client = {\n"
		     "\t},\n"
		     "\t.change = {\n"
		     "\t\t{ .at_ns = 1, .vdev = 0, .kind = SIM_SET, .to = { .weight = 1,"
		     " .floor_ppm = 1, } },\n"
		     "\t},\n"
		     "}\n");
}

/* What holds is not touched, and what may not be tried is not. */
static bool always_fails(const struct sim_workload *load, void *context)
{
	u32 *calls = context;

	assert_null(workload_fault(load));
	++*calls;
	return true;
}

static void test_tries(void **state)
{
	struct sim_workload load = { 0 };
	u32 calls = 0;

	(void)state;
	draw_crowd(&load, 1);
	assert_int_equal(workload_shrink(&load, always_fails, &calls, 7), 7);
	assert_int_equal(calls, 7);
	calls = 0;
	assert_true(workload_shrink(&load, always_fails, &calls, TRIES) < TRIES);
	assert_int_equal(workload_vdevs(&load) + workload_clients(&load) + workload_changes(&load),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ .name = "one number in a crowd", .test_func = test_one_number },
		{ .name = "a run, down to two", .test_func = test_a_run },
		{ .name = "a crash", .test_func = test_a_crash },
		{ .name = "no more tries than allowed", .test_func = test_tries },
	};

	return cmocka_run_group_tests_name("shrink", tests, NULL, NULL);
}
