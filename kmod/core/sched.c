// SPDX-License-Identifier: GPL-2.0-only
/* Who runs next on a device, and for how long. */
#include "sched.h"

/* Service beyond its weight that a floor may put a vdev into debt for, in quanta. */
#define GRANT_DEBT_SLICES	2
/* So long at most is a class not helped for what it took when it was. */
#define NEED_DEBT_NS		10000000000ull
/* A floor can save up so much while its vdev waits: jobs of others that do not yield take long. */
#define FLOOR_BRIM_NS		1000000000ull

static struct infini_sched_vdev *vdev_of(struct infini_sched_entity *se)
{
	return container_of(se, struct infini_sched_vdev, se);
}

static struct infini_sched_tier *tier_of(struct infini_sched *s, const struct infini_sched_vdev *v)
{
	return &s->tiers[v->limits.sched_class];
}

static bool vdev_runnable(const struct infini_sched_vdev *v)
{
	return v->online && v->nr_ready;
}

static u32 slots_free(const struct infini_sched *s)
{
	return s->slots > s->nr_running ? s->slots - s->nr_running : 0;
}

/* Until when the slot of a vdev that was asked to yield is counted on. */
static u64 answer_due(const struct infini_sched_vdev *v)
{
	return v->asked_ns + v->se.slice_ns;
}

/*
 * Would somebody who waits still wait when all slots that are free or asked for are taken? Not all
 * who are asked answer, and others' slots must not depend on them.
 */
static bool slots_short(const struct infini_sched *s, u64 now_ns)
{
	u32 waiting = s->nr_waiting, coming = slots_free(s) + s->nr_asked;
	const struct infini_sched_vdev *v;

	for (v = s->running; v && waiting <= coming; v = v->run_next)
		coming -= v->yield_asked && now_ns >= answer_due(v);
	return waiting > coming;
}

static u64 quantum_end(const struct infini_sched_vdev *v)
{
	return v->slice_start_ns + v->se.slice_ns;
}

static bool quantum_over(const struct infini_sched_vdev *v, u64 now_ns)
{
	return now_ns >= quantum_end(v);
}

/* ---- buckets ---- */

static bool cap_is_set(const struct infini_sched_vdev *v)
{
	return v->limits.cap_ppm < INFINI_PPM;
}

static bool is_limited(const struct infini_sched_limits *limits)
{
	return limits->cap_ppm < INFINI_PPM || limits->rate;
}

static s64 quantum_units(const struct infini_sched_vdev *v)
{
	return v->se.slice_ns * INFINI_BUCKET_PER_NS;
}

/* What a vdev has emptied must be so full before it is picked again, or slices would be tiny. */
static s64 cap_enough(const struct infini_sched_vdev *v)
{
	return v->cap.brim / 2;
}

static s64 floor_brim(const struct infini_sched *s, const struct infini_sched_vdev *v)
{
	return max_t(s64, FLOOR_BRIM_NS * v->limits.floor_ppm * s->slots, quantum_units(v));
}

static s64 tokens_brim(const struct infini_sched_limits *limits)
{
	return (limits->burst ? limits->burst : limits->rate) * INFINI_BUCKET_PER_TOKEN;
}

static void buckets_set(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns)
{
	const struct infini_sched_limits *limits = &v->limits;

	infini_bucket_set(&v->cap, (u64)limits->cap_ppm * s->slots, quantum_units(v), now_ns);
	infini_bucket_set(&v->floor, (u64)limits->floor_ppm * s->slots, floor_brim(s, v), now_ns);
	infini_bucket_set(&v->tokens, limits->rate, tokens_brim(limits), now_ns);
}

/* Is it kept from running? If so, until when goes to @until_ns. */
static bool throttle_update(struct infini_sched_vdev *v, u64 now_ns, u64 *until_ns)
{
	bool capped = false, owes = false;
	u64 at_ns = now_ns;

	if (cap_is_set(v)) {
		infini_bucket_fill(&v->cap, now_ns);
		capped = v->cap.level <= 0 || (v->throttled && v->cap.level < cap_enough(v));
	}
	if (v->limits.rate) {
		infini_bucket_fill(&v->tokens, now_ns);
		owes = v->tokens.level < 0;
	}
	if (capped)
		at_ns = max_t(u64, at_ns, infini_bucket_when(&v->cap, cap_enough(v)));
	if (owes)
		at_ns = max_t(u64, at_ns, infini_bucket_when(&v->tokens, 0));
	v->throttled = capped || owes;
	*until_ns = at_ns;
	return v->throttled;
}

/* When a quantum is the right of a vdev that waits. */
static u64 floor_due(struct infini_sched_vdev *v, u64 now_ns)
{
	infini_bucket_fill(&v->floor, now_ns);
	return infini_bucket_when(&v->floor, quantum_units(v));
}

/* ---- who runs, is charged ---- */

static u64 units_of(u64 ran_ns)
{
	return min_t(u64, ran_ns, INFINI_LEVEL_FORGET_NS / 2) * INFINI_BUCKET_PER_NS;
}

/* What of the last @ran_ns is its floor's: its quantum, and what it takes to give the slot back. */
static u64 floors_part(const struct infini_sched_vdev *v, u64 ran_ns, u64 now_ns)
{
	u64 start_ns = now_ns - ran_ns;

	if (!v->granted)
		return 0;
	if (v->yield_asked)
		return ran_ns;
	return start_ns < quantum_end(v) ? min_t(u64, ran_ns, quantum_end(v) - start_ns) : 0;
}

/*
 * The most that a floor puts a vdev into debt for. A slice that was kept for longer is owed in
 * full, or whoever does not yield would run for seconds by right and then share by weight as well.
 */
static u64 grant_debt_max(const struct infini_sched_vdev *v, u64 now_ns)
{
	u64 kept_ns = now_ns - v->slice_start_ns;

	return min_t(u64, max_t(u64, GRANT_DEBT_SLICES * v->se.slice_ns, kept_ns),
		     INFINI_LEVEL_DEBT_MAX_NS);
}

static u64 starve_ns(const struct infini_sched_vdev *v, u64 ran_ns)
{
	return mul_u64_u64_div_u64(min_t(u64, ran_ns, INFINI_LEVEL_FORGET_NS),
				   INFINI_SCHED_STARVE_NS, v->se.slice_ns);
}

/*
 * Its class does not starve so soon. Of a slice that it got because it did, what is beyond a second
 * quantum while somebody wants the slot is waited for, or whoever does not yield would have the
 * device by need.
 */
static void tier_serve(struct infini_sched_tier *tier, const struct infini_sched_vdev *v,
		       u64 ran_ns, u64 now_ns)
{
	u64 served_ns = tier->served_ns + starve_ns(v, ran_ns);
	u64 kept_from_ns = quantum_end(v) + v->se.slice_ns;

	tier->served_ns = max_t(u64, tier->served_ns, min_t(u64, served_ns, now_ns));
	if (v->needed && v->yield_asked && now_ns > kept_from_ns)
		tier->served_ns += starve_ns(v, min_t(u64, ran_ns, now_ns - kept_from_ns));
	tier->served_ns = min_t(u64, tier->served_ns, now_ns + NEED_DEBT_NS);
}

/* By right of its floor it owes little to its class, and by weight nothing to its floor. */
static void vdev_serve(struct infini_sched *s, struct infini_sched_vdev *v, u64 ran_ns,
		       u64 now_ns)
{
	struct infini_sched_tier *tier = tier_of(s, v);
	u64 granted_ns = floors_part(v, ran_ns, now_ns);
	u64 weighted_ns = ran_ns - granted_ns;

	v->occupancy_ns += ran_ns;
	if (cap_is_set(v)) {
		/* In this order: what flows into a full bucket while it is used is not lost. */
		infini_bucket_take(&v->cap, units_of(ran_ns));
		infini_bucket_fill(&v->cap, now_ns);
		v->throttled |= v->cap.level <= 0;
	}
	if (v->limits.floor_ppm)
		infini_bucket_fill(&v->floor, now_ns);
	if (granted_ns) {
		infini_level_grant(&tier->level, &v->se, granted_ns, grant_debt_max(v, now_ns));
		infini_bucket_take(&v->floor, units_of(granted_ns));
	}
	infini_level_charge(&tier->level, &v->se, weighted_ns);
	tier_serve(tier, v, weighted_ns, now_ns);
	if (v->limits.floor_ppm)
		infini_bucket_take(&v->floor, min_t(u64, units_of(weighted_ns),
						    max_t(s64, v->floor.level, 0)));
	if (quantum_over(v, now_ns))
		v->sheltered = false;
}

/*
 * What a vdev is owed cannot be made good faster than by one slot: where several of a class run at
 * once, a share that is larger than a slot would be owed more and more, so being owed does not
 * grow while one runs.
 */
static void vdev_bound_lag(struct infini_sched *s, struct infini_sched_vdev *v)
{
	struct infini_sched_tier *tier = tier_of(s, v);
	s64 limit = max_t(s64, v->synced_lag, 0);

	if (tier->nr_running < 2)
		return;
	v->saturated = infini_level_lag(&tier->level, &v->se) >= limit;
	infini_level_forgive(&tier->level, &v->se, limit);
	v->synced_lag = infini_level_lag(&tier->level, &v->se);
}

static void vdev_settle(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns);

/* Let those be picked again whose time has come. */
static void throttled_release(struct infini_sched *s, u64 now_ns)
{
	struct infini_tree_node *node;

	while (s->throttled.nr && (node = infini_tree_first(&s->throttled)) &&
	       !infini_vtime_before(now_ns, node->key))
		vdev_settle(s, container_of(node, struct infini_sched_vdev, throttle_node),
			    now_ns);
}

/* Bring everything that time moves up to now. */
static void sched_sync(struct infini_sched *s, u64 now_ns)
{
	u64 ran_ns = now_ns - s->synced_ns;
	struct infini_sched_vdev *v;
	u32 i;

	if (!ran_ns)
		return;
	s->synced_ns = now_ns;
	for (v = s->running; v; v = v->run_next)
		vdev_serve(s, v, ran_ns, now_ns);
	for (v = s->running; v; v = v->run_next)
		vdev_bound_lag(s, v);
	for (i = 0; i < INFINI_SCHED_CLASSES; i++)
		if (!s->tiers[i].level.nr_active)
			s->tiers[i].served_ns = max_t(u64, s->tiers[i].served_ns, now_ns);
	throttled_release(s, now_ns);
}

/* ---- where a vdev stands ---- */

static void stretch_update(struct infini_sched_vdev *v, bool work, u64 now_ns)
{
	if (work && !v->has_work)
		v->runnable_since_ns = now_ns;
	else if (!work && v->has_work)
		v->runnable_ns += now_ns - v->runnable_since_ns;
	v->has_work = work;
}

static void throttled_insert(struct infini_sched *s, struct infini_sched_vdev *v, u64 until_ns,
			     u64 now_ns)
{
	if (v->in_throttled)
		infini_tree_remove(&s->throttled, &v->throttle_node);
	else
		v->throttled_since_ns = now_ns;
	v->throttles += !v->in_throttled;
	v->in_throttled = true;
	infini_tree_insert(&s->throttled, &v->throttle_node, until_ns, 0);
}

static void throttled_remove(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns)
{
	if (!v->in_throttled)
		return;
	v->in_throttled = false;
	v->throttled_ns += now_ns - v->throttled_since_ns;
	infini_tree_remove(&s->throttled, &v->throttle_node);
}

/* After a sleep that was no breath, no more than a quantum of the floor is left of it. */
static void floor_after_sleep(struct infini_sched_vdev *v, u64 now_ns)
{
	infini_bucket_fill(&v->floor, now_ns);
	if (!v->se.known || now_ns - v->se.left_ns > v->se.breath_ns)
		v->floor.level = min_t(s64, v->floor.level, quantum_units(v));
}

static void vdev_join(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns)
{
	if (v->limits.floor_ppm)
		floor_after_sleep(v, now_ns);
	infini_level_join(&tier_of(s, v)->level, &v->se, now_ns);
}

static void vdev_enqueue(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns)
{
	v->queued_ns = now_ns;
	infini_level_enqueue(&tier_of(s, v)->level, &v->se);
	s->nr_waiting++;
	if (!v->limits.floor_ppm)
		return;
	infini_tree_insert(&s->floors, &v->floor_node, floor_due(v, now_ns), 0);
	v->in_floors = true;
}

static void vdev_dequeue(struct infini_sched *s, struct infini_sched_vdev *v)
{
	infini_level_dequeue(&tier_of(s, v)->level, &v->se);
	s->nr_waiting--;
	if (v->in_floors)
		infini_tree_remove(&s->floors, &v->floor_node);
	v->in_floors = false;
}

/* Bring the vdev's places, and the counts of its time, in line with what it is. */
static void vdev_settle(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns)
{
	u64 until_ns;
	bool throttled = throttle_update(v, now_ns, &until_ns);
	bool queued = vdev_runnable(v) && !throttled && !v->running;
	bool active = v->running || queued;

	stretch_update(v, v->running || vdev_runnable(v), now_ns);
	if (vdev_runnable(v) && throttled && !v->running)
		throttled_insert(s, v, until_ns, now_ns);
	else
		throttled_remove(s, v, now_ns);

	if (active && !v->se.active)
		vdev_join(s, v, now_ns);
	if (queued && !v->se.queued)
		vdev_enqueue(s, v, now_ns);
	else if (!queued && v->se.queued)
		vdev_dequeue(s, v);
	if (!active && v->se.active)
		infini_level_leave(&tier_of(s, v)->level, &v->se, now_ns);
}

static void run_link(struct infini_sched *s, struct infini_sched_vdev *v)
{
	v->run_prev = NULL;
	v->run_next = s->running;
	if (s->running)
		s->running->run_prev = v;
	s->running = v;
	s->nr_running++;
	s->nr_limited += is_limited(&v->limits);
	tier_of(s, v)->nr_running++;
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
	s->nr_limited -= is_limited(&v->limits);
	tier_of(s, v)->nr_running--;
}

static void yield_ask(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns)
{
	v->yield_asked = true;
	v->asked_ns = now_ns;
	s->nr_asked++;
}

static void yield_withdraw(struct infini_sched *s, struct infini_sched_vdev *v)
{
	if (v->yield_asked)
		s->nr_asked--;
	v->yield_asked = false;
}

/* ---- making and changing ---- */

/**
 * infini_sched_init - make a device's scheduler without vdevs
 * @s: any memory
 * @slots: executors that run at once
 */
void infini_sched_init(struct infini_sched *s, u32 slots)
{
	u32 i;

	memset(s, 0, sizeof(*s));
	for (i = 0; i < INFINI_SCHED_CLASSES; i++)
		infini_level_init(&s->tiers[i].level);
	infini_tree_init(&s->floors);
	infini_tree_init(&s->throttled);
	s->slots = slots;
}

/**
 * infini_sched_vdev_init - make a vdev without queues, offline
 * @s: its device
 * @v: any memory
 * @limits: checked
 */
void infini_sched_vdev_init(struct infini_sched *s, struct infini_sched_vdev *v,
			    const struct infini_sched_limits *limits)
{
	memset(v, 0, sizeof(*v));
	v->limits = *limits;
	infini_level_entity_init(&v->se, limits->weight, limits->quantum_ns);
	infini_level_init(&v->queues);
	buckets_set(s, v, 0);
	v->cap.level = v->cap.brim;
	v->floor.level = quantum_units(v);
	v->tokens.level = v->tokens.brim;
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

/* What it was owed in its old class means nothing in the new one. */
static void vdev_reclass(struct infini_sched *s, struct infini_sched_vdev *v, u32 sched_class,
			 u64 now_ns)
{
	bool active = v->se.active;

	if (active)
		infini_level_leave(&tier_of(s, v)->level, &v->se, now_ns);
	tier_of(s, v)->nr_running -= v->running;
	tier_of(s, v)->nr_granted -= v->granted;
	v->limits.sched_class = sched_class;
	tier_of(s, v)->nr_running += v->running;
	tier_of(s, v)->nr_granted += v->granted;
	v->se.known = false;
	if (active)
		infini_level_join(&tier_of(s, v)->level, &v->se, now_ns);
}

/**
 * infini_sched_vdev_set - change the limits of a live vdev
 * @s: its device
 * @v: in any state
 * @limits: checked
 * @now_ns: the time
 */
void infini_sched_vdev_set(struct infini_sched *s, struct infini_sched_vdev *v,
			   const struct infini_sched_limits *limits, u64 now_ns)
{
	bool rate_begins = limits->rate && !v->limits.rate;
	bool floor_begins = limits->floor_ppm && !v->limits.floor_ppm;

	sched_sync(s, now_ns);
	if (v->se.queued)
		vdev_dequeue(s, v);
	if (limits->sched_class != v->limits.sched_class)
		vdev_reclass(s, v, limits->sched_class, now_ns);
	if (v->running)
		s->nr_limited += is_limited(limits) - is_limited(&v->limits);
	v->limits = *limits;
	infini_level_reweight(&tier_of(s, v)->level, &v->se, limits->weight, limits->quantum_ns,
			      now_ns);
	buckets_set(s, v, now_ns);
	if (rate_begins)
		v->tokens.level = v->tokens.brim;
	/* Nobody has counted what it used before. */
	if (floor_begins && v->slices)
		v->floor.level = min_t(s64, v->floor.level, 0);
	if (v->running)
		v->synced_lag = infini_level_lag(&tier_of(s, v)->level, &v->se);
	vdev_settle(s, v, now_ns);
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
	/* To who runs in any case, and is not limited, it makes no difference. */
	bool matters = !v->running || is_limited(&v->limits);

	if (q->ready == ready)
		return;
	if (matters)
		sched_sync(s, now_ns);
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
	if (matters)
		vdev_settle(s, v, now_ns);
}

/* ---- who is next ---- */

/**
 * struct candidate - who would be picked
 * @v: the vdev; NULL for nobody
 * @by_floor: by right of its floor
 * @by_need: its class starves
 */
struct candidate {
	struct infini_sched_vdev *v;
	bool by_floor;
	bool by_need;
};

static u64 starves_at(const struct infini_sched_tier *tier)
{
	if (!tier->level.tree.nr || tier->nr_running > tier->nr_granted)
		return INFINI_SCHED_NEVER;
	if (tier->served_ns < tier->due_ns)
		return tier->due_ns;
	return tier->served_ns + INFINI_SCHED_STARVE_NS;
}

/* Whoever of the class is served first, it is helped until they had a quantum together. */
static void tier_help(struct infini_sched_tier *tier, u64 now_ns)
{
	if (tier->served_ns < tier->due_ns)
		return;
	tier->served_ns = now_ns - INFINI_SCHED_STARVE_NS;
	tier->due_ns = now_ns;
}

static struct candidate next_up(const struct infini_sched *s, u64 now_ns)
{
	struct infini_tree_node *due = s->floors.nr ? infini_tree_first(&s->floors) : NULL;
	struct candidate next = { .v = NULL };
	struct infini_sched_entity *se = NULL;
	u32 i;

	if (due && !infini_vtime_before(now_ns, due->key)) {
		next.v = container_of(due, struct infini_sched_vdev, floor_node);
		next.by_floor = true;
		return next;
	}
	for (i = INFINI_SCHED_LATENCY + 1; i < INFINI_SCHED_CLASSES && !se; i++) {
		if (now_ns < starves_at(&s->tiers[i]))
			continue;
		se = infini_level_pick(&s->tiers[i].level);
		next.by_need = true;
	}
	for (i = 0; i < INFINI_SCHED_CLASSES && !se; i++)
		if (s->tiers[i].level.tree.nr)
			se = infini_level_pick(&s->tiers[i].level);
	if (se)
		next.v = vdev_of(se);
	return next;
}

/*
 * What @v, which waited, may still be owed while it runs beside others of its class. If its last
 * slice did not make up for anything, its share is larger than a slot: then it is what it missed by
 * waiting, but not what was left before, or each disturbance would add to arrears without end.
 */
static s64 lag_carried(struct infini_sched *s, const struct infini_sched_vdev *v, u64 now_ns)
{
	u64 missed_ns = INFINI_LEVEL_CREDIT_SLICES * v->se.slice_ns + now_ns - v->queued_ns;
	s64 lag = infini_level_lag(&tier_of(s, v)->level, &v->se);

	if (!v->saturated)
		return lag;
	return min_t(s64, lag,
		     infini_level_vtime(&v->se, min_t(u64, missed_ns, INFINI_LEVEL_DEBT_MAX_NS)));
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
	struct infini_sched_vdev *v;
	struct candidate next;

	sched_sync(s, now_ns);
	if (!slots_free(s) || !s->nr_waiting)
		return NULL;
	next = next_up(s, now_ns);
	v = next.v;
	if (INFINI_CORE_WARN_ON(!v))
		return NULL;

	v->synced_lag = lag_carried(s, v, now_ns);
	vdev_dequeue(s, v);
	/* What flowed in while it waited is no more than the bucket holds. */
	if (cap_is_set(v))
		infini_bucket_fill(&v->cap, now_ns);
	v->se.woken = false;
	v->running = true;
	v->granted = next.by_floor;
	v->needed = next.by_need;
	tier_of(s, v)->nr_granted += v->granted;
	if (v->needed)
		tier_help(tier_of(s, v), now_ns);
	v->sheltered = next.by_floor || next.by_need;
	v->slice_start_ns = now_ns;
	v->charged_ns = now_ns;
	v->slices++;
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
 * infini_sched_tokens - a job has turned tokens over
 * @s: the device
 * @v: in any state
 * @tokens: how many
 * @now_ns: the time
 */
void infini_sched_tokens(struct infini_sched *s, struct infini_sched_vdev *v, u64 tokens,
			 u64 now_ns)
{
	if (!v->limits.rate || !tokens)
		return;
	sched_sync(s, now_ns);
	infini_bucket_fill(&v->tokens, now_ns);
	infini_bucket_take(&v->tokens, min_t(u64, tokens, INFINI_BURST_MAX) *
				       INFINI_BUCKET_PER_TOKEN);
	vdev_settle(s, v, now_ns);
}

/**
 * infini_sched_over_rate - has it used more tokens than its rate allows?
 * @v: in any state
 * @now_ns: the time
 *
 * Return: whether.
 */
bool infini_sched_over_rate(struct infini_sched_vdev *v, u64 now_ns)
{
	if (!v->limits.rate)
		return false;
	infini_bucket_fill(&v->tokens, now_ns);
	return v->tokens.level < 0;
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
	tier_of(s, v)->nr_granted -= v->granted;
	v->granted = false;
	v->needed = false;
	v->sheltered = false;
	vdev_settle(s, v, now_ns);
}

/* ---- who must make room ---- */

/* Is who is next of @v's class or above, or in a right of its own? */
static bool as_good(const struct candidate *next, const struct infini_sched_vdev *v)
{
	return next->by_floor || next->by_need ||
	       next->v->limits.sched_class <= v->limits.sched_class;
}

/* Has who is next a better right to the slot than @v, which runs? */
static bool outranks(struct infini_sched *s, const struct candidate *next,
		     const struct infini_sched_vdev *v, u64 now_ns)
{
	const struct infini_sched_vdev *w = next->v;

	if (!as_good(next, v))
		return false;
	if (quantum_over(v, now_ns))
		return true;
	if (v->sheltered)
		return false;
	if (next->by_floor || next->by_need || w->limits.sched_class < v->limits.sched_class)
		return true;
	return w->se.woken && infini_level_eligible(&tier_of(s, w)->level, &w->se) &&
	       infini_vtime_before(w->se.deadline, v->se.deadline);
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
	struct candidate next;

	sched_sync(s, now_ns);
	if (!v->running || v->throttled)
		return false;
	if (s->nr_waiting > slots_free(s)) {
		next = next_up(s, now_ns);
		if (outranks(s, &next, v, now_ns) || (v->yield_asked && as_good(&next, v)))
			return false;
	}
	yield_withdraw(s, v);
	return true;
}

/* Of two that could make room: the lower class, the longer over its quantum, the later deadline. */
static bool rather(const struct infini_sched_vdev *v, const struct infini_sched_vdev *than,
		   u64 now_ns)
{
	if (v->limits.sched_class != than->limits.sched_class)
		return v->limits.sched_class > than->limits.sched_class;
	if (quantum_over(v, now_ns) || quantum_over(than, now_ns))
		return infini_vtime_before(quantum_end(v), quantum_end(than));
	return infini_vtime_before(than->se.deadline, v->se.deadline);
}

static struct infini_sched_vdev *running_outranked(struct infini_sched *s, u64 now_ns)
{
	struct candidate next = next_up(s, now_ns);
	struct infini_sched_vdev *v, *found = NULL;

	for (v = s->running; v; v = v->run_next)
		if (!v->yield_asked && outranks(s, &next, v, now_ns) &&
		    (!found || rather(v, found, now_ns)))
			found = v;
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

	sched_sync(s, now_ns);
	v = running_throttled(s);
	if (!v && slots_short(s, now_ns))
		v = running_outranked(s, now_ns);
	if (v)
		yield_ask(s, v, now_ns);
	return v;
}

/* ---- when to look again ---- */

/* When a running vdev will have used up its cap. */
static u64 cap_used_at(const struct infini_sched *s, const struct infini_sched_vdev *v)
{
	u64 drain;

	if (!cap_is_set(v) || v->throttled || v->cap.rate >= INFINI_BUCKET_PER_NS)
		return INFINI_SCHED_NEVER;
	drain = INFINI_BUCKET_PER_NS - v->cap.rate;
	return s->synced_ns + div64_u64(v->cap.level + drain - 1, drain);
}

/*
 * When the one of @v's class that owes least of those that wait could end its quantum early,
 * having slept.
 */
static u64 eligible_at(const struct infini_sched *s, const struct infini_sched_vdev *v)
{
	const struct infini_sched_tier *tier = &s->tiers[v->limits.sched_class];
	struct infini_tree_node *node = infini_tree_least(&tier->level.tree);
	u64 rate = (u64)INFINI_WEIGHT_UNIT * tier->nr_running;
	struct infini_sched_entity *se;
	s64 behind;

	if (!node)
		return INFINI_SCHED_NEVER;
	se = container_of(node, struct infini_sched_entity, node);
	behind = -infini_level_lag(&tier->level, se);
	if (behind <= 0 || !se->woken || !infini_vtime_before(se->deadline, v->se.deadline))
		return INFINI_SCHED_NEVER;
	/* Beyond the longest quantum it does not matter; below, the product is small. */
	if ((u64)behind > div64_u64(INFINI_QUANTUM_MAX_NS * rate, tier->level.load))
		return INFINI_SCHED_NEVER;
	return s->synced_ns + div64_u64(behind * tier->level.load - tier->level.rest + rate - 1,
					rate);
}

/* When somebody who waits in a right of its own may come for a slot. */
static u64 right_at(const struct infini_sched *s)
{
	struct infini_tree_node *due = infini_tree_first(&s->floors);
	u64 at_ns = due ? (u64)due->key : INFINI_SCHED_NEVER;
	u32 i;

	for (i = INFINI_SCHED_LATENCY + 1; i < INFINI_SCHED_CLASSES; i++)
		at_ns = min_t(u64, at_ns, starves_at(&s->tiers[i]));
	return at_ns;
}

/* When @v, which runs and was not asked, may have to make room for one of those that wait. */
static u64 outranked_at(const struct infini_sched *s, const struct infini_sched_vdev *v)
{
	u64 at_ns = right_at(s);
	u32 i;

	for (i = 0; i <= v->limits.sched_class; i++)
		if (s->tiers[i].level.tree.nr)
			at_ns = min_t(u64, at_ns, quantum_end(v));
	if (v->sheltered)
		return max_t(u64, at_ns, quantum_end(v));
	return min_t(u64, at_ns, eligible_at(s, v));
}

/**
 * infini_sched_next_event - when time alone changes something
 * @s: the device
 * @now_ns: the time
 *
 * Return: when, or INFINI_SCHED_NEVER.
 */
u64 infini_sched_next_event(const struct infini_sched *s, u64 now_ns)
{
	struct infini_tree_node *node = infini_tree_first(&s->throttled);
	u64 at_ns = node ? (u64)node->key : INFINI_SCHED_NEVER;
	const struct infini_sched_vdev *v;
	bool full = slots_short(s, now_ns);
	bool others = s->nr_waiting > slots_free(s) && s->nr_running > s->nr_asked;

	for (v = s->running; v; v = v->run_next) {
		if (v->yield_asked) {
			if (others && now_ns < answer_due(v))
				at_ns = min_t(u64, at_ns, answer_due(v));
			continue;
		}
		at_ns = min_t(u64, at_ns, cap_used_at(s, v));
		if (full)
			at_ns = min_t(u64, at_ns, outranked_at(s, v));
	}
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
 * infini_sched_throttled_ns - time with work that a cap or a rate kept it from
 * @v: a vdev
 * @now_ns: the time
 *
 * Return: nanoseconds since it was made.
 */
u64 infini_sched_throttled_ns(const struct infini_sched_vdev *v, u64 now_ns)
{
	return v->throttled_ns + (v->in_throttled ? now_ns - v->throttled_since_ns : 0);
}
