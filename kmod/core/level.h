/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One level of weighted fair sharing: entities that share one thing by virtual time with virtual
 * deadlines (the EEVDF family: Stoica and Abdel-Wahab, 1995).
 *
 * An entity's virtual time (@vruntime) advances by service * INFINI_WEIGHT_UNIT / weight. The
 * level's virtual time is the weighted mean over its active entities, so that their lags, the
 * service each is owed, add up to zero at every moment. An entity is eligible while it is owed
 * (its virtual time is not after the level's); of the eligible, the earliest deadline goes first.
 *
 * Sleep. A pause that is short beside the time before it, a client that samples a token, is a
 * breath: the entity keeps its place in line as if it had waited, or a closed loop that pauses for
 * a tenth of its time would get 2.4 parts where it was promised 3. After a longer sleep it still
 * has what it was owed when it left, but has earned nothing since. Its credit is bounded to
 * INFINI_LEVEL_CREDIT_SLICES slices and the length of the breath. What it owes shrinks by what the
 * others get meanwhile, so that it is gone when it would have been its turn again. A breath is as
 * long as a quarter of the time that the entity was active before, within the bounds in slices
 * below.
 *
 * All virtual times wrap and are compared by the sign of their difference; debts are bounded to
 * INFINI_LEVEL_DEBT_MAX_NS and sleeps longer than INFINI_LEVEL_FORGET_NS count as for ever, which
 * keeps every difference that is compared far below S64_MAX.
 */
#ifndef INFINI_CORE_LEVEL_H
#define INFINI_CORE_LEVEL_H

#include "limits.h"
#include "port.h"
#include "tree.h"

#define INFINI_WEIGHT_UNIT	10000u	/* virtual ns per ns at weight 1 */

#define INFINI_LEVEL_BREATH_MIN_SLICES	2u
#define INFINI_LEVEL_BREATH_MAX_SLICES	16u
#define INFINI_LEVEL_CREDIT_SLICES	2u
#define INFINI_LEVEL_DEBT_MAX_NS	3600000000000ull	/* an hour of service */
#define INFINI_LEVEL_FORGET_NS		3600000000000ull	/* an hour asleep */

/**
 * struct infini_sched_entity - what one level shares time between
 * @node: in the level's tree: key is @deadline, value is @vruntime
 * @weight: INFINI_WEIGHT_MIN..INFINI_WEIGHT_MAX
 * @remainder: service * INFINI_WEIGHT_UNIT that is not yet in @vruntime; below @weight
 * @slice_ns: service that one request, and so one virtual deadline, is worth
 * @vruntime: service received, in virtual time of the level
 * @deadline: virtual deadline of the present request
 * @served_left: the level's @served when the entity last left
 * @joined_ns: when the entity last became active
 * @left_ns: when it last left
 * @breath_ns: a pause since then that is not longer counts as waiting
 * @known: has been active before, so the four above mean something
 * @queued: in the tree
 * @active: counts in the level's load: in the tree, or taken out of it to be served
 * @woken: became active and has not been served since
 */
struct infini_sched_entity {
	struct infini_tree_node node;
	u32 weight;
	u32 remainder;
	u64 slice_ns;
	s64 vruntime;
	s64 deadline;
	s64 served_left;
	u64 joined_ns;
	u64 left_ns;
	u64 breath_ns;
	bool known;
	bool queued;
	bool active;
	bool woken;
};

/**
 * struct infini_sched_level - entities that share one thing
 * @tree: active entities that may be picked
 * @vtime: virtual time of the level, rounded down; moves on with service, and to the new mean
 *	when an entity comes or goes
 * @rest: what was rounded off, times @load; below @load
 * @served: the part of @vtime's way that was service; never turns back
 * @load: sum of weights of active entities
 * @last_weight: weight of the entity that was active last, for when none is
 * @nr_active: how many
 */
struct infini_sched_level {
	struct infini_tree tree;
	s64 vtime;
	s64 rest;
	s64 served;
	u64 load;
	u32 last_weight;
	u32 nr_active;
};

void infini_level_init(struct infini_sched_level *level);
void infini_level_entity_init(struct infini_sched_entity *se, u32 weight, u64 slice_ns);

/* Make active or passive; an entity is in no tree when it leaves. */
void infini_level_join(struct infini_sched_level *level, struct infini_sched_entity *se,
		       u64 now_ns);
void infini_level_leave(struct infini_sched_level *level, struct infini_sched_entity *se,
			u64 now_ns);

/* Let an active entity be picked, or no longer. */
void infini_level_enqueue(struct infini_sched_level *level, struct infini_sched_entity *se);
void infini_level_dequeue(struct infini_sched_level *level, struct infini_sched_entity *se);

/* The queued entity to be served next; NULL if none is queued. */
struct infini_sched_entity *infini_level_pick(const struct infini_sched_level *level);

/* @se got @service_ns, active or not, queued or not. */
void infini_level_charge(struct infini_sched_level *level, struct infini_sched_entity *se,
			 u64 service_ns);

/*
 * @se got @service_ns by another right than its weight: it counts, but only until it owes
 * @debt_max_ns for it.
 */
void infini_level_grant(struct infini_sched_level *level, struct infini_sched_entity *se,
			u64 service_ns, u64 debt_max_ns);

/* New weight and slice; what it is owed or owes, in service, is kept. A new request begins. */
void infini_level_reweight(struct infini_sched_level *level, struct infini_sched_entity *se,
			   u32 weight, u64 slice_ns, u64 now_ns);

/* Forgive an active entity what it is owed above @limit of virtual time. */
void infini_level_forgive(struct infini_sched_level *level, struct infini_sched_entity *se,
			  s64 limit);

/* Service in virtual time of an entity, rounded down; 0 stays 0. */
static inline s64 infini_level_vtime(const struct infini_sched_entity *se, u64 service_ns)
{
	return div64_u64(service_ns * INFINI_WEIGHT_UNIT, se->weight);
}

/* What an active entity is owed, in virtual time; negative if it owes. */
static inline s64 infini_level_lag(const struct infini_sched_level *level,
				   const struct infini_sched_entity *se)
{
	return (s64)((u64)level->vtime - (u64)se->vruntime);
}

static inline bool infini_level_eligible(const struct infini_sched_level *level,
					 const struct infini_sched_entity *se)
{
	return infini_level_lag(level, se) >= 0;
}

#endif /* INFINI_CORE_LEVEL_H */
