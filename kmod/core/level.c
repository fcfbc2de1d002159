// SPDX-License-Identifier: GPL-2.0-only
/* One level of weighted fair sharing: virtual times, deadlines, who is next. */
#include "level.h"

static s64 vtime_add(s64 vtime, s64 delta)
{
	return (s64)((u64)vtime + (u64)delta);
}

static s64 vtime_sub(s64 a, s64 b)
{
	return (s64)((u64)a - (u64)b);
}

static u32 weight_clamp(u32 weight)
{
	return min_t(u32, max_t(u32, weight, INFINI_WEIGHT_MIN), INFINI_WEIGHT_MAX);
}

static s64 debt_max(const struct infini_sched_entity *se)
{
	return infini_level_vtime(se, INFINI_LEVEL_DEBT_MAX_NS);
}

static void request_begin(struct infini_sched_entity *se)
{
	s64 length = infini_level_vtime(se, se->slice_ns);

	se->deadline = vtime_add(se->vruntime, max_t(s64, length, 1));
}

static void breath_set(struct infini_sched_entity *se)
{
	u64 quarter_ns = (se->left_ns - se->joined_ns) >> 2;

	quarter_ns = max_t(u64, quarter_ns, se->slice_ns * INFINI_LEVEL_BREATH_MIN_SLICES);
	se->breath_ns = min_t(u64, quarter_ns, se->slice_ns * INFINI_LEVEL_BREATH_MAX_SLICES);
}

/* Carry whole steps of @rest over to @vtime; returns the steps. */
static s64 level_carry(struct infini_sched_level *level)
{
	s64 load = level->load;
	s64 steps = div64_s64(level->rest, load);

	level->rest -= steps * load;
	if (level->rest < 0) {
		level->rest += load;
		steps--;
	}
	level->vtime = vtime_add(level->vtime, steps);
	return steps;
}

/*
 * Count an entity at its place in the mean, or no longer. Its place is within hours of service of
 * the mean (see the bounds in level.h), so the product holds: 3.6e12 ns * INFINI_WEIGHT_UNIT is
 * 3.6e16.
 */
static void level_add(struct infini_sched_level *level, struct infini_sched_entity *se)
{
	if (!level->load) {
		level->vtime = se->vruntime;
		level->rest = 0;
	}
	level->rest += vtime_sub(se->vruntime, level->vtime) * (s64)se->weight;
	level->load += se->weight;
	level_carry(level);
}

static void level_sub(struct infini_sched_level *level, struct infini_sched_entity *se)
{
	level->rest -= vtime_sub(se->vruntime, level->vtime) * (s64)se->weight;
	level->load -= se->weight;
	level->last_weight = se->weight;
	if (level->load) {
		level_carry(level);
	} else {
		level->vtime = se->vruntime;
		level->rest = 0;
	}
}

/*
 * Where a sleeper stands now. After a breath it stands where it stood, as if it had waited. After
 * a sleep its credit has moved along with the service of others, or it would earn by sleeping,
 * while its debt has stood still until the others reached it.
 */
static s64 level_place(const struct infini_sched_level *level,
		       const struct infini_sched_entity *se, u64 now_ns)
{
	u64 others = level->load ? level->load : level->last_weight;
	u64 slept_ns = now_ns > se->left_ns ? now_ns - se->left_ns : 0;
	s64 lag, credit_max;
	u64 credit_ns;

	lag = infini_level_lag(level, se);
	/* Who left last is where the level is. */
	if (!lag || !se->known || slept_ns >= INFINI_LEVEL_FORGET_NS)
		return level->vtime;
	if (lag < 0)
		return vtime_sub(level->vtime, max_t(s64, lag, -debt_max(se)));
	credit_ns = se->slice_ns * INFINI_LEVEL_CREDIT_SLICES;
	if (slept_ns <= se->breath_ns) {
		credit_ns += slept_ns;
	} else {
		lag -= vtime_sub(level->served, se->served_left);
		lag = max_t(s64, lag, 0);
	}
	/* The bound is on the lag with itself in the mean; this one is against the others' mean. */
	credit_max = mul_u64_u64_div_u64(infini_level_vtime(se, credit_ns), others + se->weight,
					 others);
	return vtime_sub(level->vtime, min_t(s64, lag, credit_max));
}

/**
 * infini_level_init - make an empty level
 * @level: any memory
 */
void infini_level_init(struct infini_sched_level *level)
{
	memset(level, 0, sizeof(*level));
	infini_tree_init(&level->tree);
	level->last_weight = INFINI_WEIGHT_DEFAULT;
}

/**
 * infini_level_entity_init - make a passive entity that owes nothing
 * @se: any memory
 * @weight: forced into INFINI_WEIGHT_MIN..INFINI_WEIGHT_MAX
 * @slice_ns: service of one request
 */
void infini_level_entity_init(struct infini_sched_entity *se, u32 weight, u64 slice_ns)
{
	memset(se, 0, sizeof(*se));
	se->weight = weight_clamp(weight);
	se->slice_ns = slice_ns;
}

/**
 * infini_level_join - make an entity active
 * @level: where
 * @se: not active
 * @now_ns: the time
 *
 * A request that sleep interrupted goes on, with what is left of its deadline.
 */
void infini_level_join(struct infini_sched_level *level, struct infini_sched_entity *se,
		       u64 now_ns)
{
	s64 left = vtime_sub(se->deadline, se->vruntime);

	se->vruntime = level_place(level, se, now_ns);
	if (se->known && left > 0)
		se->deadline = vtime_add(se->vruntime, left);
	else
		request_begin(se);
	level_add(level, se);
	level->nr_active++;
	se->joined_ns = now_ns;
	se->known = true;
	se->active = true;
	se->woken = true;
}

/**
 * infini_level_leave - make an entity passive
 * @level: where it is active
 * @se: not queued
 * @now_ns: the time
 */
void infini_level_leave(struct infini_sched_level *level, struct infini_sched_entity *se,
			u64 now_ns)
{
	INFINI_CORE_WARN_ON(se->queued || !se->active);
	level_sub(level, se);
	level->nr_active--;
	se->served_left = level->served;
	se->left_ns = now_ns;
	breath_set(se);
	se->active = false;
	se->woken = false;
}

/**
 * infini_level_enqueue - let an entity be picked
 * @level: where it is active
 * @se: not queued
 */
void infini_level_enqueue(struct infini_sched_level *level, struct infini_sched_entity *se)
{
	infini_tree_insert(&level->tree, &se->node, se->deadline, se->vruntime);
	se->queued = true;
}

/**
 * infini_level_dequeue - take an entity out of the tree
 * @level: where it is active
 * @se: queued
 */
void infini_level_dequeue(struct infini_sched_level *level, struct infini_sched_entity *se)
{
	infini_tree_remove(&level->tree, &se->node);
	se->queued = false;
}

/**
 * infini_level_pick - who is next
 * @level: where
 *
 * When all that are owed are being served already, the one that owes least is next: nothing
 * stands idle for the sake of fairness.
 *
 * Return: a queued entity, or NULL if there is none.
 */
struct infini_sched_entity *infini_level_pick(const struct infini_sched_level *level)
{
	struct infini_tree_node *node = infini_tree_first_upto(&level->tree, level->vtime);

	if (!node)
		node = infini_tree_least(&level->tree);
	return node ? container_of(node, struct infini_sched_entity, node) : NULL;
}

/*
 * So much of @delta as does not take an entity further than @debt beyond the mean, which moves
 * along with it.
 */
static u64 level_bound(const struct infini_sched_level *level, const struct infini_sched_entity *se,
		       u64 delta, s64 debt)
{
	u64 room = max_t(s64, vtime_sub(vtime_add(level->vtime, debt), se->vruntime), 0);
	u64 others = level->load - se->weight;

	if (delta <= room || mul_u64_u64_div_u64(delta, others, level->load) <= room)
		return delta;
	return mul_u64_u64_div_u64(room, level->load, others);
}

/* Service to an active entity that is in no tree; returns the level's step. */
static s64 level_serve(struct infini_sched_level *level, struct infini_sched_entity *se,
		       u64 service_ns, s64 debt)
{
	u64 scaled, delta;
	s64 steps;

	scaled = min_t(u64, service_ns, INFINI_LEVEL_DEBT_MAX_NS) * INFINI_WEIGHT_UNIT +
		 se->remainder;
	delta = div64_u64(scaled, se->weight);
	se->remainder = scaled - delta * se->weight;
	delta = level_bound(level, se, delta, debt);

	se->vruntime = vtime_add(se->vruntime, delta);
	level->rest += delta * se->weight;
	steps = level_carry(level);
	level->served = vtime_add(level->served, steps);
	if (!infini_vtime_before(se->vruntime, se->deadline))
		request_begin(se);
	return steps;
}

static void level_charge(struct infini_sched_level *level, struct infini_sched_entity *se,
			 u64 service_ns, s64 debt)
{
	bool queued = se->queued;

	if (!service_ns)
		return;
	if (se->active) {
		if (queued)
			infini_level_dequeue(level, se);
		level_serve(level, se, service_ns, debt);
		if (queued)
			infini_level_enqueue(level, se);
		return;
	}
	/*
	 * Its last work was under way when it left: it has not slept that long, and the step is not
	 * service of others that it slept through.
	 */
	se->left_ns += service_ns;
	breath_set(se);
	level_add(level, se);
	se->served_left = vtime_add(se->served_left, level_serve(level, se, service_ns,
								 debt));
	level_sub(level, se);
}

/**
 * infini_level_charge - an entity has been served
 * @level: where
 * @se: active or not, queued or not
 * @service_ns: how much
 */
void infini_level_charge(struct infini_sched_level *level, struct infini_sched_entity *se,
			 u64 service_ns)
{
	level_charge(level, se, service_ns, debt_max(se));
}

/**
 * infini_level_grant - an entity has been served by another right than its weight
 * @level: where
 * @se: active or not, queued or not
 * @service_ns: how much
 * @debt_max_ns: it does not come to owe more for it
 */
void infini_level_grant(struct infini_sched_level *level, struct infini_sched_entity *se,
			u64 service_ns, u64 debt_max_ns)
{
	level_charge(level, se, service_ns, infini_level_vtime(se, debt_max_ns));
}

/**
 * infini_level_reweight - change weight and slice
 * @level: where
 * @se: active or not, queued or not
 * @weight: forced into INFINI_WEIGHT_MIN..INFINI_WEIGHT_MAX
 * @slice_ns: service of one request
 * @now_ns: the time
 */
void infini_level_reweight(struct infini_sched_level *level, struct infini_sched_entity *se,
			   u32 weight, u64 slice_ns, u64 now_ns)
{
	bool queued = se->queued;
	s64 mean, lag, scaled;

	if (queued)
		infini_level_dequeue(level, se);
	if (!se->active) {
		se->vruntime = level_place(level, se, now_ns);
		se->served_left = level->served;
		level_add(level, se);
	}

	mean = level->vtime;
	lag = infini_level_lag(level, se);
	level_sub(level, se);
	weight = weight_clamp(weight);
	scaled = mul_u64_u64_div_u64(lag < 0 ? -lag : lag, se->weight, weight);
	se->vruntime = vtime_sub(mean, lag < 0 ? -scaled : scaled);
	se->weight = weight;
	se->remainder = min_t(u32, se->remainder, weight - 1);
	se->slice_ns = slice_ns;
	request_begin(se);
	level_add(level, se);

	if (!se->active)
		level_sub(level, se);
	if (queued)
		infini_level_enqueue(level, se);
}

/**
 * infini_level_forgive - bound what an entity is owed
 * @level: where
 * @se: active and not queued
 * @limit: most virtual time it may be owed from now on
 *
 * The others are told as if the rest had been served. They are owed in sum what this one owes, so
 * its place moves by more than the excess, because the mean moves with it.
 */
void infini_level_forgive(struct infini_sched_level *level, struct infini_sched_entity *se,
			  s64 limit)
{
	s64 excess = infini_level_lag(level, se) - limit;
	u64 step;

	if (excess <= 0 || level->load <= se->weight)
		return;
	step = mul_u64_u64_div_u64(min_t(u64, excess, debt_max(se)), level->load,
				   level->load - se->weight);
	step = min_t(u64, step, debt_max(se));
	se->vruntime = vtime_add(se->vruntime, step);
	level->rest += step * se->weight;
	level->served = vtime_add(level->served, level_carry(level));
	if (!infini_vtime_before(se->vruntime, se->deadline))
		request_begin(se);
}
