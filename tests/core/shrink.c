// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Shrinking by greed: every step that leaves something smaller and still failing is kept, and all
 * is tried again until no step helps.
 */
#include "shrink.h"

struct shrinker {
	struct sim_workload *load;
	shrink_fails fails;
	void *context;
	u32 left;
};

/* Does it fail like this, too? Then this is it. */
static bool keep(struct shrinker *s, const struct sim_workload *candidate)
{
	if (!s->left || workload_fault(candidate))
		return false;
	s->left--;
	if (!s->fails(candidate, s->context))
		return false;
	*s->load = *candidate;
	return true;
}

/* ---- rows ---- */

/* Take row @i of @nr out of an array; the last one becomes empty. */
static void row_remove(void *rows, size_t size, u32 nr, u32 i)
{
	char *at = (char *)rows + i * size;

	memmove(at, at + size, (nr - i - 1) * size);
	memset((char *)rows + (nr - 1) * size, 0, size);
}

static void change_remove(struct sim_workload *load, u32 i)
{
	row_remove(load->change, sizeof(load->change[0]), workload_changes(load), i);
}

static void client_remove(struct sim_workload *load, u32 i)
{
	row_remove(load->client, sizeof(load->client[0]), workload_clients(load), i);
}

/* With all that names it. */
static void vdev_remove(struct sim_workload *load, u32 row)
{
	u32 i;

	for (i = workload_clients(load); i-- > 0;)
		if (load->client[i].vdev == row)
			client_remove(load, i);
	for (i = workload_changes(load); i-- > 0;)
		if (load->change[i].vdev == row)
			change_remove(load, i);
	for (i = 0; i < workload_clients(load); i++)
		load->client[i].vdev -= load->client[i].vdev > row;
	for (i = 0; i < workload_changes(load); i++)
		load->change[i].vdev -= load->change[i].vdev > row;
	row_remove(load->vdev, sizeof(load->vdev[0]), workload_vdevs(load), row);
}

static bool rows_shrink(struct shrinker *s, u32 (*rows)(const struct sim_workload *),
			void (*remove)(struct sim_workload *, u32))
{
	struct sim_workload candidate;
	bool smaller = false;
	u32 i;

	for (i = rows(s->load); i-- > 0;) {
		candidate = *s->load;
		remove(&candidate, i);
		smaller = keep(s, &candidate) || smaller;
	}
	return smaller;
}

/* ---- numbers ---- */

/* A member of a row: where, how wide, and the least that makes sense. */
struct number {
	size_t offset;
	size_t size;
	u64 least;
};

#define NUMBER(type, member, least) \
	{ offsetof(struct type, member), sizeof(((struct type *)0)->member), least }

static const struct number vdev_numbers[] = {
	NUMBER(sim_vdev_spec, count, 0), NUMBER(sim_vdev_spec, weight, 1),
	NUMBER(sim_vdev_spec, quantum_ns, 0), NUMBER(sim_vdev_spec, cap_ppm, 0),
	NUMBER(sim_vdev_spec, floor_ppm, 0), NUMBER(sim_vdev_spec, burst, 0),
	NUMBER(sim_vdev_spec, rate, 0), NUMBER(sim_vdev_spec, window, 0),
	NUMBER(sim_vdev_spec, handover_ns, 0),
};

static const struct number client_numbers[] = {
	NUMBER(sim_client_spec, count, 0), NUMBER(sim_client_spec, weight, 0),
	NUMBER(sim_client_spec, spread_ppm, 0), NUMBER(sim_client_spec, start_ns, 0),
	NUMBER(sim_client_spec, stop_ns, 0), NUMBER(sim_client_spec, depth, 0),
	NUMBER(sim_client_spec, tokens, 0), NUMBER(sim_client_spec, declared, 0),
	NUMBER(sim_client_spec, think_ns, 0), NUMBER(sim_client_spec, period_ns, 0),
	NUMBER(sim_client_spec, segment_ns, 0), NUMBER(sim_client_spec, job_ns, US),
	NUMBER(sim_client_spec, nowait, 0), NUMBER(sim_client_spec, fresh, 0),
};

static const struct number load_numbers[] = {
	NUMBER(sim_workload, slots, 0), NUMBER(sim_workload, no_yield, 0),
	NUMBER(sim_workload, seed, 1), NUMBER(sim_workload, until_ns, 1),
};

static const struct number change_numbers[] = { NUMBER(sim_change, at_ns, 1) };

static u64 number_get(const void *row, const struct number *number)
{
	u64 value = 0;

	memcpy(&value, (const char *)row + number->offset, number->size);
	return value;
}

static void number_set(void *row, const struct number *number, u64 value)
{
	memcpy((char *)row + number->offset, &value, number->size);
}

/* Rounded down to one digit. */
static u64 rounded(u64 value)
{
	u64 unit = 1;

	while (value / unit >= 10)
		unit *= 10;
	return value / unit * unit;
}

/* Try what is simpler, the simplest first: the least there is, half of it, a round number. */
static bool number_shrink(struct shrinker *s, size_t row, const struct number *number)
{
	u64 value = number_get((char *)s->load + row, number);
	u64 simpler[] = { number->least, rounded(value / 2), rounded(value) };
	struct sim_workload candidate;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(simpler); i++) {
		if (simpler[i] >= value || simpler[i] < number->least)
			continue;
		candidate = *s->load;
		number_set((char *)&candidate + row, number, simpler[i]);
		if (keep(s, &candidate))
			return true;
	}
	return false;
}

static bool numbers_shrink(struct shrinker *s, size_t row, const struct number *numbers, u32 nr)
{
	bool smaller = false;
	u32 i;

	for (i = 0; i < nr; i++)
		while (number_shrink(s, row, &numbers[i]))
			smaller = true;
	return smaller;
}

static bool rank_shrink(struct shrinker *s, size_t rank)
{
	struct sim_workload candidate = *s->load;
	s32 *at = (s32 *)((char *)&candidate + rank);

	if (!*at)
		return false;
	*at = 0;
	return keep(s, &candidate);
}

static size_t row_of(const struct sim_workload *load, const void *row)
{
	return (size_t)((const char *)row - (const char *)load);
}

static bool vdev_shrink(struct shrinker *s, struct sim_vdev_spec *spec)
{
	size_t row = row_of(s->load, spec);
	bool smaller = rank_shrink(s, row + offsetof(struct sim_vdev_spec, rank));

	return numbers_shrink(s, row, vdev_numbers, ARRAY_SIZE(vdev_numbers)) || smaller;
}

static bool all_numbers_shrink(struct shrinker *s)
{
	struct sim_workload *load = s->load;
	bool smaller = numbers_shrink(s, 0, load_numbers, ARRAY_SIZE(load_numbers));
	u32 i;

	for (i = 0; i < workload_vdevs(load); i++)
		smaller = vdev_shrink(s, &load->vdev[i]) || smaller;
	for (i = 0; i < workload_clients(load); i++)
		smaller = numbers_shrink(s, row_of(load, &load->client[i]), client_numbers,
					 ARRAY_SIZE(client_numbers)) || smaller;
	for (i = 0; i < workload_changes(load); i++) {
		smaller = numbers_shrink(s, row_of(load, &load->change[i]), change_numbers,
					 ARRAY_SIZE(change_numbers)) || smaller;
		if (load->change[i].kind == SIM_SET)
			smaller = vdev_shrink(s, &load->change[i].to) || smaller;
	}
	return smaller;
}

u32 workload_shrink(struct sim_workload *load, shrink_fails fails, void *context, u32 tries)
{
	struct shrinker s = {
		.load = load, .fails = fails, .context = context, .left = tries,
	};
	bool smaller = true;

	while (smaller && s.left) {
		smaller = rows_shrink(&s, workload_changes, change_remove);
		smaller = rows_shrink(&s, workload_vdevs, vdev_remove) || smaller;
		smaller = rows_shrink(&s, workload_clients, client_remove) || smaller;
		smaller = all_numbers_shrink(&s) || smaller;
	}
	return tries - s.left;
}
