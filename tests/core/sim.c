// SPDX-License-Identifier: GPL-2.0-or-later
/* Discrete-event simulation of one device around the scheduling core. */
#include <stdlib.h>

#include "sim.h"

/* xorshift64* (Vigna, 2016): the same numbers from the same seed on every machine. */
u64 sim_random(u64 *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 2685821657736338717ull;
}

u64 sim_between(u64 *state, u64 low, u64 high)
{
	return low + sim_random(state) % (high - low + 1);
}

void sim_fault(struct sim *sim, const char *what)
{
	if (sim->fault)
		return;
	sim->fault = what;
	sim->fault_ns = sim->now_ns;
}

static u64 spread(struct sim *sim, const struct sim_client *c, u64 ns)
{
	u64 half = ns * c->spec->spread_ppm / 1000000;

	return half ? ns - half + sim_random(&sim->random) % (2 * half + 1) : ns;
}

/* ---- counting ---- */

static u64 jobs_waiting(const struct sim_vdev *v)
{
	return v->jobs - v->nr_held;
}

/* Does it wait for a slot that it may have? */
static void vdev_watch(struct sim *sim, struct sim_vdev *v)
{
	bool waiting = v->sched.online && jobs_waiting(v) && !v->place && !v->sched.throttled;

	if (waiting && !v->waiting)
		v->waiting_ns = sim->now_ns;
	if (v->waiting)
		v->wait_max_ns = max_t(u64, v->wait_max_ns, sim->now_ns - v->waiting_ns);
	v->waiting = waiting;
}

static void due_watch(struct sim *sim, struct sim_vdev *v)
{
	u64 due_ns;

	if (!v->waiting || !v->sched.in_floors)
		return;
	due_ns = max_t(u64, (u64)v->sched.floor_node.key, v->waiting_ns);
	if (due_ns < sim->now_ns)
		v->due_max_ns = max_t(u64, v->due_max_ns, sim->now_ns - due_ns);
}

static void wait_record(struct sim_vdev *v, u64 ns)
{
	if (v->nr_waits == v->room_waits) {
		v->room_waits = v->room_waits ? 2 * v->room_waits : 16;
		v->waits_ns = realloc(v->waits_ns, v->room_waits * sizeof(v->waits_ns[0]));
		assert(v->waits_ns);
	}
	v->waits_ns[v->nr_waits++] = ns;
}

static int wait_compare(const void *a, const void *b)
{
	u64 left = *(const u64 *)a, right = *(const u64 *)b;

	return (left > right) - (left < right);
}

u64 sim_wait_quantile(struct sim_vdev *v, u32 ppm)
{
	if (!v->nr_waits)
		return 0;
	qsort(v->waits_ns, v->nr_waits, sizeof(v->waits_ns[0]), wait_compare);
	return v->waits_ns[min_t(u64, v->nr_waits * ppm / 1000000, v->nr_waits - 1)];
}

/* Count the time to @until_ns, in which nothing changes. */
static void sim_pass(struct sim *sim, u64 until_ns)
{
	u64 ns = until_ns - sim->now_ns;
	bool together = sim->nr_busy == sim->nr_vdevs;
	u32 slots = sim->sched.slots, i;

	for (i = 0; i < sim->nr_running; i++) {
		struct sim_vdev *v = sim->running[i];

		v->total_ns += ns;
		v->occupancy_ns += ns;
		v->useful_ns += v->nr_held ? ns : 0;
		v->together_ns += together ? ns : 0;
	}
	sim->total_ns += ns * sim->nr_running;
	sim->busy_ns += ns * sim->nr_running;
	sim->together_ns += together ? ns : 0;
	if (sim->nr_running < slots)
		sim->idle_ns += ns * min_t(u32, slots - sim->nr_running, sim->sched.nr_waiting);
	sim->now_ns = until_ns;
}

/* ---- clients ---- */

static void jobs_grow(struct sim_jobs *jobs)
{
	u32 room = jobs->room ? 2 * jobs->room : 1, i;
	u64 *at_ns = malloc(room * sizeof(*at_ns));

	assert(at_ns);
	for (i = 0; i < jobs->nr; i++)
		at_ns[i] = jobs->at_ns[(jobs->head + i) % jobs->room];
	free(jobs->at_ns);
	*jobs = (struct sim_jobs){ .at_ns = at_ns, .nr = jobs->nr, .room = room };
}

static void jobs_push(struct sim_jobs *jobs, u64 at_ns)
{
	if (jobs->nr == jobs->room)
		jobs_grow(jobs);
	jobs->at_ns[(jobs->head + jobs->nr++) % jobs->room] = at_ns;
}

static void jobs_push_front(struct sim_jobs *jobs, u64 at_ns)
{
	if (jobs->nr == jobs->room)
		jobs_grow(jobs);
	jobs->head = (jobs->head + jobs->room - 1) % jobs->room;
	jobs->at_ns[jobs->head] = at_ns;
	jobs->nr++;
}

static u64 jobs_pop(struct sim_jobs *jobs)
{
	u64 at_ns = jobs->at_ns[jobs->head];

	jobs->head = (jobs->head + 1) % jobs->room;
	jobs->nr--;
	return at_ns;
}

static void client_ready(struct sim *sim, struct sim_client *c)
{
	infini_sched_queue_ready(&sim->sched, &c->vdev->sched, &c->queue, c->jobs.nr > 0,
				 sim->now_ns);
}

static void client_queue_init(struct sim_client *c)
{
	infini_sched_queue_init(&c->queue, c->spec->weight ? c->spec->weight :
				INFINI_WEIGHT_DEFAULT);
}

static bool client_stopped(const struct sim *sim, const struct sim_client *c)
{
	return sim->stopped || (c->spec->stop_ns && sim->now_ns >= c->spec->stop_ns);
}

static void client_submit(struct sim *sim, struct sim_client *c, u32 jobs)
{
	struct sim_vdev *v = c->vdev;

	if (c->spec->fresh && !c->jobs.nr && !c->held)
		client_queue_init(c);
	if (!v->jobs) {
		sim->nr_busy++;
		if (v->window && v->rest_ns != sim->now_ns)
			window_work(v->window, sim->now_ns);
	}
	v->jobs += jobs;
	c->submitted += jobs;
	while (jobs--)
		jobs_push(&c->jobs, sim->now_ns);
	client_ready(sim, c);
	vdev_watch(sim, v);
}

/* Its time has come. */
static void client_come(struct sim *sim, struct sim_client *c)
{
	const struct sim_client_spec *spec = c->spec;
	u64 pause_ns = spec->period_ns ? spec->period_ns : spec->think_ns;
	bool refused;

	if (client_stopped(sim, c))
		return;
	refused = spec->nowait && infini_sched_over_rate(&c->vdev->sched, sim->now_ns);
	if (spec->period_ns || refused)
		sim_agenda_put(&sim->agenda, &c->submit,
			       sim->now_ns + max_t(u64, spread(sim, c, pause_ns), 1));
	if (refused) {
		c->refused++;
		c->vdev->refused++;
		return;
	}
	client_submit(sim, c, spec->depth && (spec->period_ns || !c->submitted) ? spec->depth : 1);
}

/* One of its jobs is over. */
static void client_job_over(struct sim *sim, struct sim_client *c)
{
	u64 pause_ns;

	c->held--;
	c->left_ns = 0;
	if (!--c->vdev->jobs) {
		sim->nr_busy--;
		c->vdev->rest_ns = sim->now_ns;
	}
	if (c->spec->period_ns || client_stopped(sim, c))
		return;
	pause_ns = spread(sim, c, c->spec->think_ns);
	if (pause_ns)
		sim_agenda_put(&sim->agenda, &c->submit, sim->now_ns + pause_ns);
	else
		client_come(sim, c);
}

/* ---- executors ---- */

static void run_link(struct sim *sim, struct sim_vdev *v)
{
	sim->running[sim->nr_running++] = v;
	v->place = sim->nr_running;
}

static void run_unlink(struct sim *sim, struct sim_vdev *v)
{
	struct sim_vdev *last = sim->running[--sim->nr_running];

	sim->running[v->place - 1] = last;
	last->place = v->place;
	v->place = 0;
}

static void slice_end(struct sim *sim, struct sim_vdev *v)
{
	if (v->window)
		window_end(v->window, v->span_ns, sim->now_ns);
	run_unlink(sim, v);
	infini_sched_put(&sim->sched, &v->sched, sim->now_ns);
	vdev_watch(sim, v);
}

static void job_dispatch(struct sim *sim, struct sim_vdev *v, struct sim_client *c)
{
	v->held[v->nr_held++] = (struct sim_held){
		.client = c,
		.dispatch = v->next_dispatch++,
		.submitted_ns = jobs_pop(&c->jobs),
	};
	c->held++;
	client_ready(sim, c);
}

/* It goes back to the head of its queue. */
static void job_give_back(struct sim *sim, const struct sim_held *held)
{
	held->client->held--;
	jobs_push_front(&held->client->jobs, held->submitted_ns);
	client_ready(sim, held->client);
}

static void held_shift(struct sim_vdev *v)
{
	v->nr_held--;
	memmove(&v->held[0], &v->held[1], v->nr_held * sizeof(v->held[0]));
}

static void head_start(struct sim *sim, struct sim_vdev *v)
{
	struct sim_client *c = v->held[0].client;

	if (!c->left_ns) {
		c->left_ns = max_t(u64, spread(sim, c, c->spec->job_ns), 1);
		wait_record(v, sim->now_ns - v->held[0].submitted_ns);
	}
	v->run_ns = sim->now_ns;
	sim_agenda_put(&sim->agenda, &v->event, sim->now_ns + c->left_ns);
}

/* Hand jobs out until the window is full. */
static void window_fill(struct sim *sim, struct sim_vdev *v)
{
	u32 room = min_t(u32, max_t(u32, v->spec.window, 1), SIM_WINDOW_MAX);
	struct infini_sched_queue *q;

	while (v->nr_held < room && (q = infini_sched_queue_pick(&v->sched))) {
		if (v->fresh)
			infini_sched_begin(&sim->sched, &v->sched, sim->now_ns);
		v->fresh = false;
		job_dispatch(sim, v, container_of(q, struct sim_client, queue));
	}
}

/* The executor comes for work: with results, or for the first job of its slice. */
static void executor_exchange(struct sim *sim, struct sim_vdev *v)
{
	if (v->fresh || infini_sched_may_continue(&sim->sched, &v->sched, sim->now_ns))
		window_fill(sim, v);
	if (v->nr_held)
		head_start(sim, v);
	else
		slice_end(sim, v);
}

static void job_done(struct sim *sim, struct sim_vdev *v, struct sim_client *c)
{
	u32 tokens = max_t(u32, c->spec->tokens, c->spec->declared);

	held_shift(v);
	c->done++;
	v->done++;
	v->tokens += tokens;
	v->total_tokens += tokens;
	infini_sched_tokens(&sim->sched, &v->sched, tokens, sim->now_ns);
	client_job_over(sim, c);
}

/* The executor stops: its job has ended, or is at a boundary and was asked to yield. */
static void executor_stop(struct sim *sim, struct sim_vdev *v)
{
	struct sim_client *c = v->held[0].client;
	u64 ran_ns = sim->now_ns - v->run_ns;
	bool yields = !sim->no_yield && v->held[0].dispatch <= v->yield_upto;

	c->occupancy_ns += ran_ns;
	c->left_ns -= ran_ns;
	infini_sched_queue_charge(&v->sched, &c->queue, ran_ns);
	if (sim->sched.nr_waiting)
		v->slice_max_ns = max_t(u64, v->slice_max_ns,
					sim->now_ns - v->sched.slice_start_ns);
	if (c->left_ns)
		sim->preempted++;
	else
		job_done(sim, v, c);
	/* The last goes back first, so that each queue has its jobs in order again. */
	while (yields && v->nr_held) {
		sim->returned += v->nr_held > 1 || !v->held[0].client->left_ns;
		job_give_back(sim, &v->held[--v->nr_held]);
	}
}

static void executor_event(struct sim *sim, struct sim_vdev *v)
{
	if (v->nr_held)
		executor_stop(sim, v);
	executor_exchange(sim, v);
}

static void executor_grant(struct sim *sim, struct sim_vdev *v)
{
	if (v->sched.limits.rate && infini_sched_over_rate(&v->sched, sim->now_ns))
		sim_fault(sim, "picked while it is over its token rate");
	run_link(sim, v);
	vdev_watch(sim, v);
	if (v->window)
		window_begin(v->window, sim->now_ns);
	v->span_ns = sim->now_ns;
	v->fresh = true;
	if (v->spec.handover_ns)
		sim_agenda_put(&sim->agenda, &v->event, sim->now_ns + v->spec.handover_ns);
	else
		executor_exchange(sim, v);
}

/* Raise the yield word: what runs stops at its next boundary. */
static void executor_ask(struct sim *sim, struct sim_vdev *v)
{
	u64 segment_ns, at_ns;

	sim->asked++;
	v->yield_upto = v->next_dispatch - 1;
	if (sim->no_yield || !v->nr_held)
		return;
	segment_ns = v->held[0].client->spec->segment_ns;
	if (!segment_ns)
		return;
	at_ns = v->run_ns + ((sim->now_ns - v->run_ns) / segment_ns + 1) * segment_ns;
	if (at_ns < v->event.at_ns)
		sim_agenda_put(&sim->agenda, &v->event, at_ns);
}

/* ---- the device ---- */

/* What the module does after every change: fill the slots, then ask who must make room. */
static void sim_kick(struct sim *sim)
{
	struct infini_sched_vdev *picked;
	struct sim_vdev *v;
	bool quiet;

	for (v = sim->limited; v; v = v->next_limited)
		due_watch(sim, v);
	quiet = infini_sched_quiet(&sim->sched);
	while ((picked = infini_sched_pick(&sim->sched, sim->now_ns))) {
		executor_grant(sim, container_of(picked, struct sim_vdev, sched));
		if (quiet)
			sim_fault(sim, "somebody is picked where all is quiet");
	}
	quiet = infini_sched_quiet(&sim->sched);
	while ((picked = infini_sched_preempt(&sim->sched, sim->now_ns))) {
		executor_ask(sim, container_of(picked, struct sim_vdev, sched));
		if (quiet)
			sim_fault(sim, "somebody has to yield where all is quiet");
	}
	for (v = sim->limited; v; v = v->next_limited)
		vdev_watch(sim, v);
}

static void sim_event(struct sim *sim, struct sim_event *event)
{
	switch (event->kind) {
	case SIM_EV_SUBMIT:
		client_come(sim, container_of(event, struct sim_client, submit));
		break;
	case SIM_EV_EXECUTOR:
		executor_event(sim, container_of(event, struct sim_vdev, event));
		break;
	case SIM_EV_CHANGE:
		sim_change(sim, event);
		break;
	}
}

/* Bring counters up to now that are otherwise brought up when something changes. */
static void vdev_settle(struct sim *sim, struct sim_vdev *v)
{
	vdev_watch(sim, v);
	if (!v->window)
		return;
	if (v->place)
		window_end(v->window, v->span_ns, sim->now_ns);
	else if (v->jobs && v->sched.online)
		window_begin(v->window, sim->now_ns);
	v->span_ns = sim->now_ns;
	sim_check_limits(sim, v);
}

static void sim_settle(struct sim *sim)
{
	u32 i;

	for (i = 0; i < sim->nr_vdevs; i++)
		vdev_settle(sim, sim->vdevs[i]);
}

void sim_run(struct sim *sim, u64 until_ns)
{
	struct sim_event *event;
	u64 timer_ns, at_ns;

	while (!sim->fault) {
		sim_kick(sim);
		if (sim->check)
			sim_check(sim);
		timer_ns = infini_sched_next_event(&sim->sched, sim->now_ns);
		if (timer_ns <= sim->now_ns)
			sim_fault(sim, "the next event is not in the future");
		if (infini_sched_quiet(&sim->sched) && timer_ns != INFINI_SCHED_NEVER)
			sim_fault(sim, "time changes something where all is quiet");
		event = sim_agenda_first(&sim->agenda);
		at_ns = event ? min_t(u64, timer_ns, event->at_ns) : timer_ns;
		if (at_ns > until_ns)
			break;
		sim->timers += at_ns == timer_ns;
		sim_pass(sim, at_ns);
		while ((event = sim_agenda_first(&sim->agenda)) && event->at_ns <= at_ns) {
			sim_agenda_drop(&sim->agenda, event);
			sim_event(sim, event);
		}
	}
	sim_pass(sim, max_t(u64, until_ns, sim->now_ns));
	sim_settle(sim);
}

void sim_drain(struct sim *sim, u64 until_ns)
{
	sim->stopped = true;
	sim_run(sim, until_ns);
}

/* ---- making and changing ---- */

struct infini_sched_limits sim_limits(const struct sim_vdev_spec *spec)
{
	struct infini_sched_limits limits;

	infini_limits_default(&limits);
	limits.weight = spec->weight;
	limits.sched_class = (u32)(INFINI_SCHED_NORMAL - spec->rank);
	if (spec->quantum_ns)
		limits.quantum_ns = spec->quantum_ns;
	if (spec->cap_ppm)
		limits.cap_ppm = spec->cap_ppm;
	limits.floor_ppm = spec->floor_ppm;
	limits.rate = spec->rate;
	limits.burst = spec->burst;
	return limits;
}

void sim_init(struct sim *sim, u32 slots, u64 seed)
{
	memset(sim, 0, sizeof(*sim));
	infini_sched_init(&sim->sched, slots);
	sim->random = seed * 0x9e3779b97f4a7c15ull + 1;
	sim->running = calloc(slots, sizeof(sim->running[0]));
	assert(sim->running);
}

void sim_free(struct sim *sim)
{
	u32 i;

	for (i = 0; i < sim->nr_vdevs; i++) {
		if (sim->vdevs[i]->window)
			window_free(sim->vdevs[i]->window);
		free(sim->vdevs[i]->window);
		free(sim->vdevs[i]->waits_ns);
		free(sim->vdevs[i]);
	}
	for (i = 0; i < sim->nr_clients; i++) {
		free(sim->clients[i]->jobs.at_ns);
		free(sim->clients[i]);
	}
	free(sim->vdevs);
	free(sim->clients);
	free(sim->running);
	free(sim->changes);
	free(sim->books);
	sim_agenda_free(&sim->agenda);
	memset(sim, 0, sizeof(*sim));
}

/* Room for one more in an array of pointers. */
static void *array_grow(void *array, u32 nr, u32 *room)
{
	if (nr < *room)
		return array;
	*room = *room ? 2 * *room : 64;
	array = realloc(array, *room * sizeof(void *));
	assert(array);
	return array;
}

/* From now on it may be held back, or owed a floor. */
static void vdev_limited(struct sim *sim, struct sim_vdev *v)
{
	const struct sim_vdev_spec *spec = &v->spec;

	if (v->window || (!spec->cap_ppm && !spec->floor_ppm && !spec->rate))
		return;
	v->window = calloc(1, sizeof(*v->window));
	assert(v->window);
	window_reset(v->window, sim->now_ns);
	v->span_ns = sim->now_ns;
	v->next_limited = sim->limited;
	sim->limited = v;
}

struct sim_vdev *sim_vdev_add(struct sim *sim, const struct sim_vdev_spec *spec)
{
	struct infini_sched_limits limits = sim_limits(spec);
	struct sim_vdev *v = calloc(1, sizeof(*v));

	assert(v);
	v->spec = *spec;
	v->window_max = max_t(u32, spec->window, 1);
	v->index = sim->nr_vdevs;
	v->event.kind = SIM_EV_EXECUTOR;
	v->next_dispatch = 1;
	vdev_limited(sim, v);
	infini_sched_vdev_init(&sim->sched, &v->sched, &limits);
	infini_sched_vdev_online(&sim->sched, &v->sched, true, sim->now_ns);
	sim->vdevs = array_grow(sim->vdevs, sim->nr_vdevs, &sim->room_vdevs);
	sim->vdevs[sim->nr_vdevs++] = v;
	return v;
}

struct sim_client *sim_client_add(struct sim *sim, struct sim_vdev *v,
				  const struct sim_client_spec *spec)
{
	struct sim_client *c = calloc(1, sizeof(*c));
	u64 piece_ns;

	assert(c);
	c->spec = spec;
	c->vdev = v;
	c->submit.kind = SIM_EV_SUBMIT;
	client_queue_init(c);
	sim_agenda_put(&sim->agenda, &c->submit, max_t(u64, spec->start_ns, sim->now_ns));
	piece_ns = spec->job_ns + spec->job_ns * spec->spread_ppm / 1000000;
	if (spec->segment_ns && !sim->no_yield)
		piece_ns = min_t(u64, piece_ns, spec->segment_ns);
	v->piece_ns = max_t(u64, v->piece_ns, piece_ns);
	v->job_tokens = max_t(u32, v->job_tokens, max_t(u32, spec->tokens, spec->declared));
	sim->clients = array_grow(sim->clients, sim->nr_clients, &sim->room_clients);
	sim->clients[sim->nr_clients++] = c;
	return c;
}

void sim_vdev_set(struct sim *sim, struct sim_vdev *v, const struct sim_vdev_spec *spec)
{
	struct infini_sched_limits limits = sim_limits(spec);

	/* What was allowed before says nothing about the new limits. */
	vdev_settle(sim, v);
	v->spec = *spec;
	v->window_max = max_t(u32, v->window_max, spec->window);
	vdev_limited(sim, v);
	if (v->window)
		window_reset(v->window, sim->now_ns);
	v->set_ns = sim->now_ns;
	v->set_tokens = v->total_tokens;
	infini_sched_vdev_set(&sim->sched, &v->sched, &limits, sim->now_ns);
	vdev_watch(sim, v);
}

void sim_vdev_online(struct sim *sim, struct sim_vdev *v, bool online)
{
	struct sim_client *c;

	infini_sched_vdev_online(&sim->sched, &v->sched, online, sim->now_ns);
	if (online && v->window)
		window_work(v->window, sim->now_ns);
	if (!online && v->place) {
		sim_agenda_drop(&sim->agenda, &v->event);
		while (v->nr_held) {
			c = v->held[0].client;
			held_shift(v);
			c->failed++;
			v->failed++;
			client_job_over(sim, c);
		}
		slice_end(sim, v);
	}
	vdev_watch(sim, v);
}

void sim_reset_counters(struct sim *sim)
{
	u32 i;

	for (i = 0; i < sim->nr_vdevs; i++) {
		struct sim_vdev *v = sim->vdevs[i];

		v->occupancy_ns = 0;
		v->useful_ns = 0;
		v->together_ns = 0;
		v->done = 0;
		v->failed = 0;
		v->refused = 0;
		v->tokens = 0;
		v->wait_max_ns = 0;
		v->due_max_ns = 0;
		v->slice_max_ns = 0;
		v->lag_max_ns = 0;
		v->nr_waits = 0;
		v->waiting_ns = sim->now_ns;
		if (v->window) {
			v->window->most_ns = 0;
			v->window->least_ns = U64_MAX;
		}
	}
	for (i = 0; i < sim->nr_clients; i++)
		sim->clients[i]->occupancy_ns = 0;
	sim->asked = 0;
	sim->preempted = 0;
	sim->returned = 0;
	sim->timers = 0;
	sim->since_ns = sim->now_ns;
	sim->busy_ns = 0;
	sim->together_ns = 0;
}
