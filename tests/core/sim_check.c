// SPDX-License-Identifier: GPL-2.0-or-later
/* What must hold of the scheduler at any moment: its books against ours. */
#include <stdlib.h>

#include "sim.h"

#define MUST(condition, what) \
	do { \
		if (!(condition)) \
			sim_fault(sim, what); \
	} while (0)

/* The books of one level: who counts, their weight, and what they are owed. */
struct sum {
	u32 active;
	u32 queued;
	u64 load;
	s64 owed;
};

static void sum_add(struct sim *sim, struct sum *sum, const struct infini_sched_level *level,
		    const struct infini_sched_entity *se)
{
	MUST(se->remainder < se->weight, "a remainder is no smaller than the weight");
	MUST(se->active || !se->queued, "who is passive can be picked");
	if (!se->active)
		return;
	sum->active++;
	sum->queued += se->queued;
	sum->load += se->weight;
	sum->owed -= infini_level_lag(level, se) * (s64)se->weight;
	MUST(infini_vtime_before(se->vruntime, se->deadline), "a deadline has passed");
}

static void sum_check(struct sim *sim, const struct sum *sum,
		      const struct infini_sched_level *level)
{
	MUST(sum->active == level->nr_active, "a level counts its active wrong");
	MUST(sum->queued == level->tree.nr, "a level counts its queued wrong");
	MUST(sum->load == level->load, "a level adds up weights wrong");
	MUST(sum->owed == level->rest, "lags do not add up to zero");
	MUST(!level->load || (level->rest >= 0 && (u64)level->rest < level->load),
	     "a level's time has not been carried");
}

static void check_clients(struct sim *sim)
{
	struct sum *sums = sim->books;
	u32 i;

	memset(sums, 0, sim->nr_vdevs * sizeof(*sums));
	for (i = 0; i < sim->nr_clients; i++) {
		const struct sim_client *c = sim->clients[i];

		sum_add(sim, &sums[c->vdev->index], &c->vdev->sched.queues, &c->queue.se);
		MUST(c->queue.ready == !!c->jobs.nr, "a queue is not ready though it has a job");
		MUST(c->submitted == c->done + c->failed + c->jobs.nr + c->held, "a job is lost");
	}
	for (i = 0; i < sim->nr_vdevs; i++) {
		const struct infini_sched_vdev *v = &sim->vdevs[i]->sched;

		sum_check(sim, &sums[i], &v->queues);
		MUST(sums[i].active == v->nr_ready, "a vdev counts its ready queues wrong");
	}
}

static void check_vdev(struct sim *sim, const struct sim_vdev *v)
{
	const struct infini_sched_vdev *sched = &v->sched;
	bool ready = sched->online && sched->nr_ready;

	MUST(sched->running == !!v->place, "who runs is not who was picked");
	MUST(sched->se.active == (sched->running || (ready && !sched->throttled)),
	     "active without work, or passive with it");
	MUST(sched->se.queued == (sched->se.active && !sched->running),
	     "queued and running, or neither");
	MUST(sched->in_floors == (sched->se.queued && sched->limits.floor_ppm),
	     "who waits with a floor is not among them");
	MUST(sched->in_throttled == (ready && sched->throttled && !sched->running),
	     "who is throttled is not among them");
	MUST(!sched->throttled || sched->limits.cap_ppm < INFINI_PPM || sched->limits.rate,
	     "throttled without a limit");
	MUST(sched->occupancy_ns == v->total_ns, "occupancy is not the slot time it had");
	MUST(!v->waiting || sim->nr_running == sim->sched.slots,
	     "a slot stands idle while a vdev waits");
}

static void check_device(struct sim *sim)
{
	struct sum sums[INFINI_SCHED_CLASSES] = { 0 };
	u32 running[INFINI_SCHED_CLASSES] = { 0 }, granted[INFINI_SCHED_CLASSES] = { 0 };
	u32 asked = 0, floors = 0, throttled = 0, listed = 0, i;
	const struct infini_sched_vdev *v;
	u64 total_ns = 0;

	for (i = 0; i < sim->nr_vdevs; i++) {
		v = &sim->vdevs[i]->sched;
		check_vdev(sim, sim->vdevs[i]);
		sum_add(sim, &sums[v->limits.sched_class],
			&sim->sched.tiers[v->limits.sched_class].level, &v->se);
		running[v->limits.sched_class] += v->running;
		granted[v->limits.sched_class] += v->granted;
		asked += v->yield_asked;
		floors += v->in_floors;
		throttled += v->in_throttled;
		total_ns += v->occupancy_ns;
	}
	for (i = 0; i < INFINI_SCHED_CLASSES; i++) {
		sum_check(sim, &sums[i], &sim->sched.tiers[i].level);
		MUST(running[i] == sim->sched.tiers[i].nr_running &&
		     granted[i] == sim->sched.tiers[i].nr_granted,
		     "a class counts its running wrong");
	}
	for (v = sim->sched.running; v; v = v->run_next)
		listed++;
	MUST(listed == sim->nr_running && listed == sim->sched.nr_running,
	     "the list of those that run is wrong");
	MUST(listed <= sim->sched.slots, "more run than there are slots");
	MUST(asked == sim->sched.nr_asked, "those asked are counted wrong");
	MUST(floors == sim->sched.floors.nr, "those with floors are counted wrong");
	MUST(throttled == sim->sched.throttled.nr, "those throttled are counted wrong");
	MUST(total_ns == sim->total_ns, "occupancies do not add up to the slots' time");
}

static void lag_measure(struct sim *sim, struct sim_vdev *v)
{
	const struct infini_sched_entity *se = &v->sched.se;
	u64 lag;

	if (!se->active)
		return;
	lag = llabs(infini_level_lag(&sim->sched.tiers[v->sched.limits.sched_class].level, se));
	v->lag_max_ns = max_t(u64, v->lag_max_ns,
			      (u64)((__uint128_t)lag * se->weight / INFINI_WEIGHT_UNIT));
}

void sim_check(struct sim *sim)
{
	u32 i;

	if (!sim->books)
		sim->books = calloc(sim->nr_vdevs, sizeof(struct sum));
	assert(sim->books);
	check_clients(sim);
	check_device(sim);
	for (i = 0; i < sim->nr_vdevs; i++)
		lag_measure(sim, sim->vdevs[i]);
}

/* A slice of @v, at its longest, until the next one begins. */
u64 sim_slice_max_ns(const struct sim *sim, const struct sim_vdev *v)
{
	u64 pieces = sim->no_yield ? v->window_max : 1;

	return v->sched.limits.quantum_ns + v->piece_ns * pieces + v->spec.handover_ns;
}

static void check_cap(struct sim *sim, const struct sim_vdev *v)
{
	u64 cap_ns = (u64)v->sched.limits.cap_ppm * sim->sched.slots * (WINDOW_NS / INFINI_PPM);

	MUST(v->window->most_ns <= cap_ns + sim_slice_max_ns(sim, v),
	     "a cap is exceeded over a second by more than a quantum and a segment");
}

/*
 * What is due and not yet there: a quantum that is still filling and one that waits for its slot,
 * while all others may have a slice before it.
 */
static void check_floor(struct sim *sim, const struct sim_vdev *v)
{
	u64 floor_ns = (u64)v->sched.limits.floor_ppm * sim->sched.slots * (WINDOW_NS / INFINI_PPM);
	u64 late_ns = 2 * sim_slice_max_ns(sim, v);
	u32 i;

	for (i = 0; i < sim->nr_vdevs; i++)
		late_ns += sim->vdevs[i] == v ? 0 : sim_slice_max_ns(sim, sim->vdevs[i]);
	MUST(v->window->least_ns >= floor_ns || v->window->least_ns + late_ns >= floor_ns,
	     "a floor is not kept over a second full of work");
}

static void check_rate(struct sim *sim, const struct sim_vdev *v)
{
	const struct infini_sched_limits *limits = &v->sched.limits;
	u64 brim = limits->burst ? limits->burst : limits->rate;
	u64 ahead = (u64)v->job_tokens * v->window_max;
	u64 filled = (sim->now_ns - v->set_ns) / US * limits->rate / 1000000;

	MUST(v->total_tokens - v->set_tokens <= brim + ahead + filled + 1,
	     "a token rate is exceeded by more than what was under way");
}

void sim_check_limits(struct sim *sim, const struct sim_vdev *v)
{
	if (v->sched.limits.cap_ppm < INFINI_PPM)
		check_cap(sim, v);
	/* Who is held back by a limit of its own cannot have its floor. */
	else if (v->sched.limits.floor_ppm && !v->sched.limits.rate)
		check_floor(sim, v);
	if (v->sched.limits.rate)
		check_rate(sim, v);
}
