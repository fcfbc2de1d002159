// SPDX-License-Identifier: GPL-2.0-or-later
/* A workload as a table: its rows, whether they can be asked for, and how they are printed. */
#include <stdlib.h>

#include "workload.h"

u32 workload_vdevs(const struct sim_workload *load)
{
	u32 i = 0;

	while (i < SIM_VDEV_ROWS && load->vdev[i].weight)
		i++;
	return i;
}

u32 workload_clients(const struct sim_workload *load)
{
	u32 i = 0;

	while (i < SIM_CLIENT_ROWS && load->client[i].job_ns)
		i++;
	return i;
}

u32 workload_changes(const struct sim_workload *load)
{
	u32 i = 0;

	while (i < SIM_CHANGE_ROWS && load->change[i].at_ns)
		i++;
	return i;
}

static u32 slots_of(const struct sim_workload *load)
{
	return load->slots ? load->slots : 1;
}

static u32 count_of(u32 count)
{
	return count ? count : 1;
}

u32 workload_vdev(const struct sim_workload *load, u32 row)
{
	u32 i, first = 0;

	for (i = 0; i < row; i++)
		first += count_of(load->vdev[i].count);
	return first;
}

/* Everything but the sum of floors; others are taken to have promised nothing. */
static bool limits_fault(const struct sim_vdev_spec *spec, u32 slots)
{
	struct infini_sched_limits limits = sim_limits(spec);
	struct infini_limits_range range;

	return infini_limits_check(&limits, slots, 0, &range) != INFINI_LIMITS_OK;
}

/* As they stand at any time: a floor that a change frees is not given out again. */
static u64 floors_of(const struct sim_workload *load, u32 row)
{
	u32 changes = workload_changes(load), most = load->vdev[row].floor_ppm, i;

	for (i = 0; i < changes; i++)
		if (load->change[i].vdev == row && load->change[i].kind == SIM_SET)
			most = max_t(u32, most, load->change[i].to.floor_ppm);
	return (u64)most * count_of(load->vdev[row].count);
}

const char *workload_fault(const struct sim_workload *load)
{
	u32 vdevs = workload_vdevs(load), clients = workload_clients(load), i;
	u32 changes = workload_changes(load), slots = slots_of(load);
	u64 floors_ppm = 0;

	for (i = 0; i < vdevs; i++) {
		floors_ppm += floors_of(load, i);
		if (limits_fault(&load->vdev[i], slots))
			return "limits of a vdev";
		if (load->vdev[i].window > SIM_WINDOW_MAX)
			return "window";
	}
	if (floors_ppm > INFINI_PPM)
		return "floors";
	for (i = 0; i < clients; i++)
		if (load->client[i].vdev >= vdevs)
			return "vdev of a client";
	for (i = 0; i < changes; i++) {
		if (load->change[i].vdev >= vdevs)
			return "vdev of a change";
		if (load->change[i].kind == SIM_SET &&
		    (!load->change[i].to.weight || limits_fault(&load->change[i].to, slots)))
			return "limits of a change";
	}
	return NULL;
}

void workload_load(struct sim *sim, const struct sim_workload *load)
{
	u32 vdevs = workload_vdevs(load), clients = workload_clients(load);
	u32 changes = workload_changes(load), i, j, k, first;

	assert(!workload_fault(load));
	sim_init(sim, slots_of(load), load->seed);
	sim->no_yield = load->no_yield;
	sim->load = load;
	for (i = 0; i < vdevs; i++)
		for (j = 0; j < count_of(load->vdev[i].count); j++)
			sim_vdev_add(sim, &load->vdev[i]);
	for (i = 0; i < clients; i++) {
		const struct sim_client_spec *spec = &load->client[i];

		first = workload_vdev(load, spec->vdev);
		for (j = 0; j < count_of(load->vdev[spec->vdev].count); j++)
			for (k = 0; k < count_of(spec->count); k++)
				sim_client_add(sim, sim->vdevs[first + j], spec);
	}
	sim->changes = calloc(changes + 1, sizeof(sim->changes[0]));
	assert(sim->changes);
	for (i = 0; i < changes; i++) {
		sim->changes[i].kind = SIM_EV_CHANGE;
		sim_agenda_put(&sim->agenda, &sim->changes[i], load->change[i].at_ns);
	}
}

void sim_change(struct sim *sim, struct sim_event *event)
{
	const struct sim_change *change = &sim->load->change[event - sim->changes];
	u32 first = workload_vdev(sim->load, change->vdev), i;

	for (i = 0; i < count_of(sim->load->vdev[change->vdev].count); i++) {
		struct sim_vdev *v = sim->vdevs[first + i];

		if (change->kind == SIM_SET)
			sim_vdev_set(sim, v, &change->to);
		else if (v->sched.online != (change->kind == SIM_ONLINE))
			sim_vdev_online(sim, v, change->kind == SIM_ONLINE);
	}
}

/* ---- printing ---- */

/* A member that is not zero, as an initialiser. */
static void member(FILE *to, const char *name, u64 value)
{
	if (value)
		fprintf(to, " .%s = %llu,", name, (unsigned long long)value);
}

/* A time, in the largest unit that has it whole. */
static void member_ns(FILE *to, const char *name, u64 ns)
{
	unsigned long long value = ns;

	if (!ns)
		return;
	if (ns % SIM_SECOND == 0)
		fprintf(to, " .%s = %llu * SIM_SECOND,", name, value / SIM_SECOND);
	else if (ns % SIM_MS == 0)
		fprintf(to, " .%s = %llu * SIM_MS,", name, value / SIM_MS);
	else if (ns % US == 0)
		fprintf(to, " .%s = %llu * US,", name, value / US);
	else
		fprintf(to, " .%s = %llu,", name, value);
}

static void print_vdev(FILE *to, const struct sim_vdev_spec *spec)
{
	fputs("{", to);
	member(to, "weight", spec->weight);
	if (spec->rank)
		fprintf(to, " .rank = %d,", spec->rank);
	member_ns(to, "quantum_ns", spec->quantum_ns);
	member(to, "cap_ppm", spec->cap_ppm);
	member(to, "floor_ppm", spec->floor_ppm);
	member(to, "rate", spec->rate);
	member(to, "burst", spec->burst);
	member(to, "window", spec->window);
	member_ns(to, "handover_ns", spec->handover_ns);
	member(to, "count", spec->count);
	fputs(" }", to);
}

static void print_client(FILE *to, const struct sim_client_spec *spec)
{
	fprintf(to, "{ .vdev = %u,", spec->vdev);
	member(to, "count", spec->count);
	member(to, "weight", spec->weight);
	member_ns(to, "job_ns", spec->job_ns);
	member_ns(to, "segment_ns", spec->segment_ns);
	member(to, "depth", spec->depth);
	member_ns(to, "think_ns", spec->think_ns);
	member_ns(to, "period_ns", spec->period_ns);
	member(to, "spread_ppm", spec->spread_ppm);
	member(to, "tokens", spec->tokens);
	member(to, "declared", spec->declared);
	if (spec->nowait)
		fputs(" .nowait = true,", to);
	if (spec->fresh)
		fputs(" .fresh = true,", to);
	member_ns(to, "start_ns", spec->start_ns);
	member_ns(to, "stop_ns", spec->stop_ns);
	fputs(" }", to);
}

static void print_change(FILE *to, const struct sim_change *change)
{
	static const char *const kinds[] = { "SIM_SET", "SIM_OFFLINE", "SIM_ONLINE" };

	fputs("{", to);
	member_ns(to, "at_ns", change->at_ns);
	fprintf(to, " .vdev = %u, .kind = %s,", change->vdev, kinds[change->kind]);
	if (change->kind == SIM_SET) {
		fputs(" .to = ", to);
		print_vdev(to, &change->to);
	}
	fputs(" }", to);
}

void workload_print(FILE *to, const struct sim_workload *load)
{
	u32 i;

	fputs("{\n", to);
	if (load->slots)
		fprintf(to, "\t.slots = %u,\n", load->slots);
	if (load->no_yield)
		fputs("\t.no_yield = true,\n", to);
	fprintf(to, "\t.seed = %llu,", (unsigned long long)load->seed);
	member_ns(to, "until_ns", load->until_ns);
	fputs("\n\t.vdev = {\n", to);
	for (i = 0; i < workload_vdevs(load); i++) {
		fputs("\t\t", to);
		print_vdev(to, &load->vdev[i]);
		fputs(",\n", to);
	}
	fputs("\t},\n\t.client = {\n", to);
	for (i = 0; i < workload_clients(load); i++) {
		fputs("\t\t", to);
		print_client(to, &load->client[i]);
		fputs(",\n", to);
	}
	fputs("\t},\n", to);
	if (workload_changes(load)) {
		fputs("\t.change = {\n", to);
		for (i = 0; i < workload_changes(load); i++) {
			fputs("\t\t", to);
			print_change(to, &load->change[i]);
			fputs(",\n", to);
		}
		fputs("\t},\n", to);
	}
	fputs("}\n", to);
}
