// SPDX-License-Identifier: GPL-2.0-or-later
/* Discrete-event simulation of one device around the scheduling core. */
#include <stdlib.h>

#include "sim.h"

/* xorshift64* (Vigna, 2016): the same numbers from the same seed on every machine. */
u64 sim_random(struct sim *sim)
{
	sim->random ^= sim->random >> 12;
	sim->random ^= sim->random << 25;
	sim->random ^= sim->random >> 27;
	return sim->random * 2685821657736338717ull;
}

static u64 sim_spread(struct sim *sim, const struct sim_client *c, u64 ns)
{
	u64 half = ns * c->spec.spread_ppm / 1000000;

	return half ? ns - half + sim_random(sim) % (2 * half + 1) : ns;
}

void sim_init(struct sim *sim, u32 slots, u64 seed)
{
	memset(sim, 0, sizeof(*sim));
	infini_sched_init(&sim->sched, slots);
	sim->random = seed * 0x9e3779b97f4a7c15ull + 1;
}

u32 sim_vdev_add(struct sim *sim, u32 weight, u64 quantum_ns)
{
	struct sim_vdev *v = &sim->vdevs[sim->nr_vdevs];

	assert(sim->nr_vdevs < SIM_VDEVS);
	infini_sched_vdev_init(&v->sched, weight, quantum_ns);
	infini_sched_vdev_online(&sim->sched, &v->sched, true, sim->now_ns);
	return sim->nr_vdevs++;
}

struct sim_client *sim_client_add(struct sim *sim, const struct sim_client_spec *spec)
{
	struct sim_client *c = &sim->clients[sim->nr_clients++];

	assert(sim->nr_clients <= SIM_CLIENTS && spec->vdev < sim->nr_vdevs);
	c->spec = *spec;
	infini_sched_queue_init(&c->queue, spec->weight ? spec->weight : INFINI_WEIGHT_DEFAULT);
	c->next_ns = spec->start_ns;
	return c;
}

static void client_ready(struct sim *sim, struct sim_client *c)
{
	if (!c->queue.ready && c->jobs)
		c->ready_since_ns = sim->now_ns;
	infini_sched_queue_ready(&sim->sched, &sim->vdevs[c->spec.vdev].sched, &c->queue,
				 c->jobs > 0, sim->now_ns);
}

static void client_submit(struct sim *sim, struct sim_client *c)
{
	c->next_ns = INFINI_SCHED_NEVER;
	if (c->spec.stop_ns && sim->now_ns >= c->spec.stop_ns)
		return;
	if (c->spec.period_ns)
		c->next_ns = sim->now_ns + max_t(u64, sim_spread(sim, c, c->spec.period_ns), 1);
	c->jobs++;
	client_ready(sim, c);
}

static void segment_start(struct sim *sim, struct sim_vdev *v)
{
	struct sim_client *c = v->client;
	u64 ns = c->left_ns;

	if (c->spec.segment_ns)
		ns = min_t(u64, ns, c->spec.segment_ns);
	v->segment_end_ns = sim->now_ns + ns;
}

/* Take the head job of the next queue to the executor; false if the vdev has none. */
static bool job_start(struct sim *sim, struct sim_vdev *v)
{
	struct infini_sched_queue *q = infini_sched_queue_pick(&v->sched);
	struct sim_client *c;

	if (!q)
		return false;
	c = container_of(q, struct sim_client, queue);
	c->wait_max_ns = max_t(u64, c->wait_max_ns, sim->now_ns - c->ready_since_ns);
	c->jobs--;
	c->ready_since_ns = sim->now_ns;
	client_ready(sim, c);
	if (!c->left_ns)
		c->left_ns = max_t(u64, sim_spread(sim, c, c->spec.job_ns), 1);
	v->client = c;
	segment_start(sim, v);
	return true;
}

static void slice_end(struct sim *sim, struct sim_vdev *v)
{
	v->client = NULL;
	infini_sched_put(&sim->sched, &v->sched, sim->now_ns);
}

static void segment_end(struct sim *sim, struct sim_vdev *v)
{
	struct sim_client *c = v->client;
	u64 ran_ns = infini_sched_charge(&sim->sched, &v->sched, sim->now_ns);

	infini_sched_queue_charge(&v->sched, &c->queue, ran_ns);
	c->occupancy_ns += ran_ns;
	assert(ran_ns <= c->left_ns);
	c->left_ns -= ran_ns;
	if (infini_sched_waiting(&sim->sched))
		v->slice_max_ns = max_t(u64, v->slice_max_ns,
					sim->now_ns - v->sched.slice_start_ns);

	if (c->left_ns && !v->sched.yield_asked) {
		segment_start(sim, v);
		return;
	}
	if (c->left_ns) {
		sim->preempted++;
		c->jobs++;
		client_ready(sim, c);
		slice_end(sim, v);
		return;
	}
	c->jobs_done++;
	if (!c->spec.period_ns) {
		c->next_ns = sim->now_ns + sim_spread(sim, c, c->spec.think_ns);
		if (c->next_ns == sim->now_ns)
			client_submit(sim, c);
	}
	if (!infini_sched_may_continue(&sim->sched, &v->sched, sim->now_ns) ||
	    !job_start(sim, v))
		slice_end(sim, v);
}

/* What the module does after every change: fill the slots, then ask who must make room. */
static void sim_kick(struct sim *sim)
{
	struct infini_sched_vdev *picked;

	while ((picked = infini_sched_pick(&sim->sched, sim->now_ns))) {
		struct sim_vdev *v = container_of(picked, struct sim_vdev, sched);

		if (!job_start(sim, v))
			assert(!"picked a vdev without a job");
	}
	while (infini_sched_preempt(&sim->sched, sim->now_ns))
		sim->asked++;
}

static u64 sim_next(const struct sim *sim)
{
	u64 at_ns = infini_sched_next_event(&sim->sched, sim->now_ns);
	u32 i;

	assert(at_ns > sim->now_ns);
	for (i = 0; i < sim->nr_clients; i++)
		at_ns = min_t(u64, at_ns, sim->clients[i].next_ns);
	for (i = 0; i < sim->nr_vdevs; i++)
		if (sim->vdevs[i].client)
			at_ns = min_t(u64, at_ns, sim->vdevs[i].segment_end_ns);
	return at_ns;
}

/* Count the time to @until_ns, in which nothing changes. */
static void sim_pass(struct sim *sim, u64 until_ns)
{
	u64 ns = until_ns - sim->now_ns;
	bool together = true;
	u32 i;

	for (i = 0; i < sim->nr_vdevs; i++)
		together = together && sim->vdevs[i].sched.has_work;
	for (i = 0; i < sim->nr_vdevs; i++) {
		struct sim_vdev *v = &sim->vdevs[i];
		bool waiting = v->sched.has_work && !v->sched.running && !v->sched.throttled;

		if (together && v->sched.running)
			v->together_ns += ns;
		if (waiting && !v->waiting)
			v->waiting_since_ns = sim->now_ns;
		v->waiting = waiting;
		if (waiting)
			v->wait_max_ns = max_t(u64, v->wait_max_ns,
					       until_ns - v->waiting_since_ns);
		if (v->sched.se.active) {
			s64 lag = infini_level_lag(&sim->sched.level, &v->sched.se);
			u64 lag_ns = (u64)llabs(lag) * v->sched.se.weight / INFINI_WEIGHT_UNIT;

			v->lag_max_ns = max_t(u64, v->lag_max_ns, lag_ns);
		}
	}
	if (together)
		sim->together_ns += ns;
	if (infini_sched_waiting(&sim->sched) && sim->sched.nr_running < sim->sched.slots)
		sim->idle_ns += ns;
	sim->now_ns = until_ns;
}

void sim_vdev_online(struct sim *sim, u32 vdev, bool online)
{
	struct sim_vdev *v = &sim->vdevs[vdev];
	struct sim_client *c = v->client;

	infini_sched_vdev_online(&sim->sched, &v->sched, online, sim->now_ns);
	if (!online && c) {
		c->left_ns = 0;
		c->jobs++;
		client_ready(sim, c);
		slice_end(sim, v);
	}
}

void sim_reset_counters(struct sim *sim)
{
	u32 i;

	for (i = 0; i < sim->nr_vdevs; i++) {
		struct sim_vdev *v = &sim->vdevs[i];

		v->sched.occupancy_ns = 0;
		v->wait_max_ns = 0;
		v->waiting_since_ns = sim->now_ns;
		v->together_ns = 0;
		v->lag_max_ns = 0;
		v->slice_max_ns = 0;
	}
	for (i = 0; i < sim->nr_clients; i++) {
		sim->clients[i].occupancy_ns = 0;
		sim->clients[i].jobs_done = 0;
		sim->clients[i].wait_max_ns = 0;
	}
	sim->asked = 0;
	sim->preempted = 0;
	sim->together_ns = 0;
	sim->timers = 0;
}

/* The books of one level: who counts, their weight, and that what they are owed adds up to 0. */
struct sim_sum {
	u32 active;
	u32 queued;
	u64 load;
	s64 owed;
};

static void sum_add(struct sim_sum *sum, const struct infini_sched_level *level,
		    const struct infini_sched_entity *se)
{
	assert(se->remainder < INFINI_WEIGHT_MAX);
	assert(se->active || !se->queued);
	if (!se->active)
		return;
	sum->active++;
	sum->queued += se->queued;
	sum->load += se->weight;
	sum->owed -= infini_level_lag(level, se) * (s64)se->weight;
	assert(infini_vtime_before(se->vruntime, se->deadline));
}

static void sum_check(const struct sim_sum *sum, const struct infini_sched_level *level)
{
	assert(sum->active == level->nr_active);
	assert(sum->queued == level->tree.nr);
	assert(sum->load == level->load);
	assert(sum->owed == level->rest);
	assert(!level->load || (level->rest >= 0 && (u64)level->rest < level->load));
}

void sim_check(const struct sim *sim)
{
	struct sim_sum sum = { 0 }, queues;
	u32 running = 0, asked = 0, listed = 0, i, j;
	const struct infini_sched_vdev *r;

	for (i = 0; i < sim->nr_vdevs; i++) {
		const struct sim_vdev *v = &sim->vdevs[i];

		memset(&queues, 0, sizeof(queues));
		for (j = 0; j < sim->nr_clients; j++)
			if (sim->clients[j].spec.vdev == i)
				sum_add(&queues, &v->sched.queues, &sim->clients[j].queue.se);
		sum_check(&queues, &v->sched.queues);
		assert(queues.active == v->sched.nr_ready);

		sum_add(&sum, &sim->sched.level, &v->sched.se);
		assert(v->sched.se.queued == (v->sched.se.active && !v->sched.running));
		assert(v->sched.running == !!v->client);
		running += v->sched.running;
		asked += v->sched.yield_asked;
	}
	sum_check(&sum, &sim->sched.level);
	for (r = sim->sched.running; r; r = r->run_next)
		listed++;
	assert(running == sim->sched.nr_running && running == listed);
	assert(running <= sim->sched.slots && asked == sim->sched.nr_asked);
}

void sim_run(struct sim *sim, u64 until_ns)
{
	u32 i;

	for (;;) {
		u64 at_ns;

		sim_kick(sim);
		if (sim->check)
			sim_check(sim);
		at_ns = sim_next(sim);
		if (at_ns > until_ns)
			break;
		sim->timers += at_ns == infini_sched_next_event(&sim->sched, sim->now_ns);
		sim_pass(sim, at_ns);
		for (i = 0; i < sim->nr_vdevs; i++)
			if (sim->vdevs[i].client && sim->vdevs[i].segment_end_ns <= at_ns)
				segment_end(sim, &sim->vdevs[i]);
		for (i = 0; i < sim->nr_clients; i++)
			if (sim->clients[i].next_ns <= at_ns)
				client_submit(sim, &sim->clients[i]);
	}
	sim_pass(sim, until_ns);
	for (i = 0; i < sim->nr_vdevs; i++)
		infini_sched_charge(&sim->sched, &sim->vdevs[i].sched, until_ns);
}
