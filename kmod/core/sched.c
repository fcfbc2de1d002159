// SPDX-License-Identifier: GPL-2.0-only
/* Who runs next on a device, and for how long. */
#include "sched.h"

static struct infini_sched_vdev *vdev_of(struct infini_sched_entity *se)
{
	return container_of(se, struct infini_sched_vdev, se);
}

static bool vdev_runnable(const struct infini_sched_vdev *v)
{
	return v->online && v->nr_ready;
}

static u32 slots_free(const struct infini_sched *s)
{
	return s->slots > s->nr_running ? s->slots - s->nr_running : 0;
}

/* Would somebody who waits still wait when all slots that are free or asked for are taken? */
static bool slots_short(const struct infini_sched *s)
{
	return s->level.tree.nr > slots_free(s) + s->nr_asked;
}

static bool quantum_over(const struct infini_sched_vdev *v, u64 now_ns)
{
	return now_ns - v->slice_start_ns >= v->se.slice_ns;
}

/*
 * Charge all that run up to now. What a vdev is owed cannot be made good faster than by one slot:
 * where several run at once, a share that is larger than a slot would be owed more and more, so
 * being owed does not grow while one runs.
 */
static void sched_sync(struct infini_sched *s, u64 now_ns)
{
	u64 ran_ns = now_ns - s->synced_ns;
	struct infini_sched_vdev *v;

	s->synced_ns = now_ns;
	if (!ran_ns)
		return;
	for (v = s->running; v; v = v->run_next) {
		v->occupancy_ns += ran_ns;
		infini_level_charge(&s->level, &v->se, ran_ns);
	}
	if (s->nr_running < 2)
		return;
	for (v = s->running; v; v = v->run_next) {
		infini_level_forgive(&s->level, &v->se, max_t(s64, v->synced_lag, 0));
		v->synced_lag = infini_level_lag(&s->level, &v->se);
	}
}

/* Bring the vdev's place in the level, and the count of its time with work, in line with it. */
static void vdev_settle(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns)
{
	bool work = v->running || vdev_runnable(v);
	bool active = v->running || (vdev_runnable(v) && !v->throttled);
	bool queued = active && !v->running;

	if (work && !v->has_work)
		v->runnable_since_ns = now_ns;
	else if (!work && v->has_work)
		v->runnable_ns += now_ns - v->runnable_since_ns;
	v->has_work = work;

	if (active && !v->se.active)
		infini_level_join(&s->level, &v->se, now_ns);
	if (queued && !v->se.queued)
		infini_level_enqueue(&s->level, &v->se);
	else if (!queued && v->se.queued)
		infini_level_dequeue(&s->level, &v->se);
	if (!active && v->se.active)
		infini_level_leave(&s->level, &v->se, now_ns);
}

static void run_link(struct infini_sched *s, struct infini_sched_vdev *v)
{
	v->run_prev = NULL;
	v->run_next = s->running;
	if (s->running)
		s->running->run_prev = v;
	s->running = v;
	s->nr_running++;
}

static void run_unlink(struct infini_sched *s, struct infini_sched_vdev *v)
{
	if (v->run_prev)
		v->run_prev->run_next = v->run_next;
	else
		s->running = v->run_next;
	if (v->run_next)
		v->run_next->run_prev = v->run_prev;
	v->run_next = NULL;
	v->run_prev = NULL;
	s->nr_running--;
}

static void yield_ask(struct infini_sched *s, struct infini_sched_vdev *v)
{
	v->yield_asked = true;
	s->nr_asked++;
}

static void yield_withdraw(struct infini_sched *s, struct infini_sched_vdev *v)
{
	if (v->yield_asked)
		s->nr_asked--;
	v->yield_asked = false;
}

/**
 * infini_sched_init - make a device's scheduler without vdevs
 * @s: any memory
 * @slots: executors that run at once
 */
void infini_sched_init(struct infini_sched *s, u32 slots)
{
	memset(s, 0, sizeof(*s));
	infini_level_init(&s->level);
	s->slots = slots;
}

/**
 * infini_sched_vdev_init - make a vdev without queues, offline
 * @v: any memory
 * @weight: forced into INFINI_WEIGHT_MIN..INFINI_WEIGHT_MAX
 * @quantum_ns: forced into INFINI_QUANTUM_MIN_NS..INFINI_QUANTUM_MAX_NS
 */
void infini_sched_vdev_init(struct infini_sched_vdev *v, u32 weight, u64 quantum_ns)
{
	memset(v, 0, sizeof(*v));
	infini_level_entity_init(&v->se, weight,
				 min_t(u64, max_t(u64, quantum_ns, INFINI_QUANTUM_MIN_NS),
				       INFINI_QUANTUM_MAX_NS));
	infini_level_init(&v->queues);
}

/**
 * infini_sched_queue_init - make a queue without ready jobs
 * @q: any memory
 * @weight: forced into INFINI_WEIGHT_MIN..INFINI_WEIGHT_MAX
 */
void infini_sched_queue_init(struct infini_sched_queue *q, u32 weight)
{
	memset(q, 0, sizeof(*q));
	infini_level_entity_init(&q->se, weight, INFINI_QUANTUM_DEFAULT_NS);
}

/**
 * infini_sched_vdev_set - change weight and quantum of a live vdev
 * @s: its device
 * @v: in any state
 * @weight: forced into INFINI_WEIGHT_MIN..INFINI_WEIGHT_MAX
 * @quantum_ns: forced into INFINI_QUANTUM_MIN_NS..INFINI_QUANTUM_MAX_NS
 * @now_ns: the time
 */
void infini_sched_vdev_set(struct infini_sched *s, struct infini_sched_vdev *v, u32 weight,
			   u64 quantum_ns, u64 now_ns)
{
	sched_sync(s, now_ns);
	quantum_ns = min_t(u64, max_t(u64, quantum_ns, INFINI_QUANTUM_MIN_NS),
			   INFINI_QUANTUM_MAX_NS);
	infini_level_reweight(&s->level, &v->se, weight, quantum_ns, now_ns);
	if (v->running)
		v->synced_lag = infini_level_lag(&s->level, &v->se);
}

/**
 * infini_sched_vdev_online - an executor came or went
 * @s: the device
 * @v: in any state
 * @online: it can take work
 * @now_ns: the time
 */
void infini_sched_vdev_online(struct infini_sched *s, struct infini_sched_vdev *v, bool online,
			      u64 now_ns)
{
	sched_sync(s, now_ns);
	v->online = online;
	vdev_settle(s, v, now_ns);
}

/**
 * infini_sched_vdev_throttle - forbid or allow picking a vdev
 * @s: its device
 * @v: in any state
 * @throttled: forbid
 * @now_ns: the time
 */
void infini_sched_vdev_throttle(struct infini_sched *s, struct infini_sched_vdev *v,
				bool throttled, u64 now_ns)
{
	sched_sync(s, now_ns);
	v->throttled = throttled;
	vdev_settle(s, v, now_ns);
}

/**
 * infini_sched_queue_ready - a queue has a job to dispatch, or no more
 * @s: the device
 * @v: the queue's vdev
 * @q: the queue
 * @ready: it has
 * @now_ns: the time
 */
void infini_sched_queue_ready(struct infini_sched *s, struct infini_sched_vdev *v,
			      struct infini_sched_queue *q, bool ready, u64 now_ns)
{
	if (q->ready == ready)
		return;
	q->ready = ready;
	if (ready) {
		infini_level_join(&v->queues, &q->se, now_ns);
		infini_level_enqueue(&v->queues, &q->se);
		v->nr_ready++;
	} else {
		infini_level_dequeue(&v->queues, &q->se);
		infini_level_leave(&v->queues, &q->se, now_ns);
		v->nr_ready--;
	}
	sched_sync(s, now_ns);
	vdev_settle(s, v, now_ns);
}

/**
 * infini_sched_pick - give a free slot to who is next
 * @s: the device
 * @now_ns: the time
 *
 * Return: the vdev that runs from now on, or NULL.
 */
struct infini_sched_vdev *infini_sched_pick(struct infini_sched *s, u64 now_ns)
{
	struct infini_sched_entity *se;
	struct infini_sched_vdev *v;

	sched_sync(s, now_ns);
	if (!slots_free(s))
		return NULL;
	se = infini_level_pick(&s->level);
	if (!se)
		return NULL;

	infini_level_dequeue(&s->level, se);
	se->woken = false;
	v = vdev_of(se);
	v->running = true;
	v->slice_start_ns = now_ns;
	v->charged_ns = now_ns;
	v->slices++;
	v->synced_lag = infini_level_lag(&s->level, se);
	run_link(s, v);
	return v;
}

/**
 * infini_sched_begin - the first job of a slice
 * @s: the device
 * @v: a running vdev
 * @now_ns: the time
 */
void infini_sched_begin(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns)
{
	if (!v->running)
		return;
	v->slice_start_ns = now_ns;
	yield_withdraw(s, v);
}

/**
 * infini_sched_queue_pick - whose job is next
 * @v: the vdev
 *
 * Return: a ready queue, or NULL.
 */
struct infini_sched_queue *infini_sched_queue_pick(struct infini_sched_vdev *v)
{
	struct infini_sched_entity *se = infini_level_pick(&v->queues);

	return se ? container_of(se, struct infini_sched_queue, se) : NULL;
}

/**
 * infini_sched_queue_charge - a queue's job has run
 * @v: the queue's vdev
 * @q: ready or not
 * @ran_ns: how long
 */
void infini_sched_queue_charge(struct infini_sched_vdev *v, struct infini_sched_queue *q,
			       u64 ran_ns)
{
	infini_level_charge(&v->queues, &q->se, ran_ns);
}

/**
 * infini_sched_charge - charge up to now
 * @s: the device
 * @v: a vdev; nothing happens if it does not run
 * @now_ns: the time
 *
 * Return: the part of the slice that no earlier call has returned.
 */
u64 infini_sched_charge(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns)
{
	u64 ran_ns;

	sched_sync(s, now_ns);
	if (!v->running)
		return 0;
	ran_ns = now_ns - v->charged_ns;
	v->charged_ns = now_ns;
	return ran_ns;
}

/**
 * infini_sched_put - a slice is over
 * @s: the device
 * @v: a vdev; nothing happens if it does not run
 * @now_ns: the time
 */
void infini_sched_put(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns)
{
	if (!v->running)
		return;
	sched_sync(s, now_ns);
	yield_withdraw(s, v);
	run_unlink(s, v);
	v->running = false;
	vdev_settle(s, v, now_ns);
}

/**
 * infini_sched_may_continue - another job in this slice?
 * @s: the device
 * @v: a running vdev
 * @now_ns: the time
 *
 * Return: whether.
 */
bool infini_sched_may_continue(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns)
{
	if (!v->running || v->throttled)
		return false;
	if ((v->yield_asked || quantum_over(v, now_ns)) && s->level.tree.nr > slots_free(s))
		return false;
	yield_withdraw(s, v);
	return true;
}

/* Of those that run and have not been asked, who has been in its slot for longest over quantum? */
static struct infini_sched_vdev *running_over(struct infini_sched *s, u64 now_ns)
{
	struct infini_sched_vdev *v, *found = NULL;
	u64 over_ns, most_ns = 0;

	for (v = s->running; v; v = v->run_next) {
		if (v->yield_asked || !quantum_over(v, now_ns))
			continue;
		over_ns = now_ns - v->slice_start_ns - v->se.slice_ns;
		if (!found || over_ns > most_ns) {
			found = v;
			most_ns = over_ns;
		}
	}
	return found;
}

/* Of those that run and have not been asked, who has the latest deadline after that of @se? */
static struct infini_sched_vdev *running_after(const struct infini_sched *s,
					       const struct infini_sched_entity *se)
{
	struct infini_sched_vdev *v, *found = NULL;
	s64 latest = se->deadline;

	for (v = s->running; v; v = v->run_next) {
		if (v->yield_asked || !infini_vtime_before(latest, v->se.deadline))
			continue;
		found = v;
		latest = v->se.deadline;
	}
	return found;
}

static struct infini_sched_vdev *running_throttled(struct infini_sched *s)
{
	struct infini_sched_vdev *v;

	for (v = s->running; v; v = v->run_next)
		if (v->throttled && !v->yield_asked)
			return v;
	return NULL;
}

/**
 * infini_sched_preempt - ask a vdev to yield
 * @s: the device
 * @now_ns: the time
 *
 * Return: the vdev that has just been marked asked, or NULL.
 */
struct infini_sched_vdev *infini_sched_preempt(struct infini_sched *s, u64 now_ns)
{
	struct infini_sched_vdev *v;
	struct infini_sched_entity *se;

	sched_sync(s, now_ns);
	v = running_throttled(s);
	if (!v && slots_short(s)) {
		v = running_over(s, now_ns);
		se = infini_level_pick(&s->level);
		if (!v && se->woken && infini_level_eligible(&s->level, se))
			v = running_after(s, se);
	}
	if (v)
		yield_ask(s, v);
	return v;
}

/* When the one that owes least of those that wait could end a quantum early, having slept. */
static u64 eligible_at(const struct infini_sched *s)
{
	struct infini_tree_node *node = infini_tree_least(&s->level.tree);
	struct infini_sched_entity *se = container_of(node, struct infini_sched_entity, node);
	u64 rate = (u64)INFINI_WEIGHT_UNIT * s->nr_running;
	u64 load = s->level.load;
	s64 behind = -infini_level_lag(&s->level, se);

	if (behind <= 0 || !se->woken || !running_after(s, se))
		return INFINI_SCHED_NEVER;
	/* Beyond the longest quantum it does not matter; below, the product is small. */
	if ((u64)behind > div64_u64(INFINI_QUANTUM_MAX_NS * rate, load))
		return INFINI_SCHED_NEVER;
	return s->synced_ns + div64_u64(behind * load - s->level.rest + rate - 1, rate);
}

/**
 * infini_sched_next_event - when to look again
 * @s: the device
 * @now_ns: the time
 *
 * Return: a time not before @now_ns, or INFINI_SCHED_NEVER.
 */
u64 infini_sched_next_event(const struct infini_sched *s, u64 now_ns)
{
	const struct infini_sched_vdev *v;
	u64 at_ns;

	if (!slots_short(s) || !s->nr_running)
		return INFINI_SCHED_NEVER;
	at_ns = eligible_at(s);
	for (v = s->running; v; v = v->run_next)
		if (!v->yield_asked)
			at_ns = min_t(u64, at_ns, v->slice_start_ns + v->se.slice_ns);
	return max_t(u64, at_ns, now_ns);
}

/**
 * infini_sched_runnable_ns - time with work
 * @v: a vdev
 * @now_ns: the time
 *
 * Return: nanoseconds since it was made.
 */
u64 infini_sched_runnable_ns(const struct infini_sched_vdev *v, u64 now_ns)
{
	return v->runnable_ns + (v->has_work ? now_ns - v->runnable_since_ns : 0);
}

/**
 * infini_sched_waiting - does anybody wait for a slot?
 * @s: the device
 *
 * Return: whether a vdev is runnable, may be picked, and does not run.
 */
bool infini_sched_waiting(const struct infini_sched *s)
{
	return s->level.tree.nr > 0;
}
