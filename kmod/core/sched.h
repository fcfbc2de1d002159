/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who runs next on a device, and for how long: weighted fair sharing by virtual time with
 * virtual deadlines (the EEVDF family: Stoica and Abdel-Wahab, 1995), in two levels: the vdevs of
 * a device, then the queues of a vdev.
 *
 * Pure decisions: no lock (the caller holds the device's), no allocation (the caller embeds the
 * nodes), no clock (@now_ns never falls), no floating point. Every function is O(log n).
 *
 * Words: a vdev is *runnable* while it has a ready queue and its executor can take work. It is
 * *running* while its executor holds a slot: from infini_sched_pick() to infini_sched_put().
 * Virtual time of an entity advances by occupancy * INFINI_WEIGHT_UNIT / weight.
 */
#ifndef INFINI_CORE_SCHED_H
#define INFINI_CORE_SCHED_H

#include "port.h"
#include "tree.h"

#define INFINI_WEIGHT_MIN	1u
#define INFINI_WEIGHT_MAX	10000u
#define INFINI_WEIGHT_DEFAULT	100u
#define INFINI_WEIGHT_UNIT	10000u	/* keeps integer virtual time exact at every weight */
#define INFINI_QUANTUM_MIN_NS	100000ull
#define INFINI_QUANTUM_MAX_NS	1000000000ull
#define INFINI_QUANTUM_DEFAULT_NS 2000000ull
#define INFINI_SCHED_NEVER	U64_MAX

/**
 * struct infini_sched_entity - what one level shares time between
 * @node: in the tree of runnable entities that are not running
 * @weight: INFINI_WEIGHT_MIN..INFINI_WEIGHT_MAX
 * @slice_ns: what one virtual deadline is worth: the quantum
 * @vruntime: service received, in virtual time of the level
 * @deadline: virtual deadline of the present request
 * @lag: at the time the entity was last runnable: level's virtual time minus @vruntime
 * @vtime_left: the level's virtual time at that moment
 * @queued: in the tree
 * @active: counts in the level's load: queued or running
 */
struct infini_sched_entity {
	struct infini_tree_node node;
	u32 weight;
	u64 slice_ns;
	s64 vruntime;
	s64 deadline;
	s64 lag;
	s64 vtime_left;
	bool queued;
	bool active;
};

/**
 * struct infini_sched_level - entities that share one thing
 * @tree: runnable, not running, ordered so that the eligible entity with the earliest virtual
 *	deadline is found in O(log n)
 * @vtime: virtual time of the level, never falls
 * @load: sum of weights of active entities
 * @nr_active: how many
 */
struct infini_sched_level {
	struct infini_tree tree;
	s64 vtime;
	u64 load;
	u32 nr_active;
};

/**
 * struct infini_sched_vdev - a vdev as the scheduler sees it; embedded in the vdev
 * @se: on the device's level
 * @queues: its own level
 * @nr_ready: queues with a job that can be dispatched
 * @online: the executor can take work
 * @running: holds a slot
 * @yield_asked: has been told to yield in this slice
 * @throttled: may not be picked though runnable; the seam for caps and token rates
 * @slice_start_ns: when this slice began
 * @charged_ns: up to when it has been charged
 * @occupancy_ns: sum over all slices
 * @runnable_ns: time with work, running or not
 * @runnable_since_ns: start of the present stretch, 0 if none
 * @slices: how many
 * @run_link: in the scheduler's list of running vdevs
 */
struct infini_sched_vdev {
	struct infini_sched_entity se;
	struct infini_sched_level queues;
	u32 nr_ready;
	bool online;
	bool running;
	bool yield_asked;
	bool throttled;
	u64 slice_start_ns;
	u64 charged_ns;
	u64 occupancy_ns;
	u64 runnable_ns;
	u64 runnable_since_ns;
	u64 slices;
	struct infini_sched_vdev *run_next;
	struct infini_sched_vdev *run_prev;
};

/**
 * struct infini_sched_queue - a queue as the scheduler sees it; embedded in the queue
 * @se: on its vdev's level
 * @ready: has a job that can be dispatched
 */
struct infini_sched_queue {
	struct infini_sched_entity se;
	bool ready;
};

/**
 * struct infini_sched - one device
 * @level: its vdevs
 * @slots: executors that run at once
 * @nr_running: slots taken
 * @running: head of the list of running vdevs
 */
struct infini_sched {
	struct infini_sched_level level;
	u32 slots;
	u32 nr_running;
	struct infini_sched_vdev *running;
};

void infini_sched_init(struct infini_sched *s, u32 slots);
void infini_sched_vdev_init(struct infini_sched_vdev *v, u32 weight, u64 quantum_ns);
void infini_sched_queue_init(struct infini_sched_queue *q, u32 weight);

/* New weight or quantum of a live vdev; the lag it has is kept. Holds from the next pick. */
void infini_sched_vdev_set(struct infini_sched *s, struct infini_sched_vdev *v, u32 weight,
			   u64 quantum_ns, u64 now_ns);

/* The executor of @v can take work, or no longer can. Offline does not end a slice: put() does. */
void infini_sched_vdev_online(struct infini_sched *s, struct infini_sched_vdev *v, bool online,
			      u64 now_ns);

/* Queue @q of @v has a job that can be dispatched (@ready), or no more. Idempotent. */
void infini_sched_queue_ready(struct infini_sched *s, struct infini_sched_vdev *v,
			      struct infini_sched_queue *q, bool ready, u64 now_ns);

/*
 * Give a free slot to the eligible vdev with the earliest deadline. Returns NULL when there is no
 * free slot or nobody to run; otherwise the vdev runs, and its slice has begun.
 */
struct infini_sched_vdev *infini_sched_pick(struct infini_sched *s, u64 now_ns);

/* The queue of @v whose head job goes next; NULL if none is ready. Does not change state. */
struct infini_sched_queue *infini_sched_queue_pick(struct infini_sched_vdev *v);

/* @ran_ns of slot time went to @q's job. */
void infini_sched_queue_charge(struct infini_sched_vdev *v, struct infini_sched_queue *q,
			       u64 ran_ns);

/* Charge a running vdev up to now; returns the ns charged by this call. */
u64 infini_sched_charge(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns);

/* The slice of @v is over: charge it, free the slot, queue it again if it is still runnable. */
void infini_sched_put(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns);

/*
 * May @v, running, go on with another job in the same slice? False when its quantum is used up or
 * its yield was asked for, and somebody else could run instead.
 */
bool infini_sched_may_continue(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns);

/*
 * Which running vdev should be asked to yield now, because its quantum is up and another waits,
 * or because a waiting vdev with an earlier deadline woke up? Marks it asked. NULL for none; call
 * again until NULL.
 */
struct infini_sched_vdev *infini_sched_preempt(struct infini_sched *s, u64 now_ns);

/* When to call infini_sched_preempt() next if nothing else happens; INFINI_SCHED_NEVER for never. */
u64 infini_sched_next_event(const struct infini_sched *s, u64 now_ns);

/* Runnable time up to now (the counter itself stands still within a stretch). */
u64 infini_sched_runnable_ns(const struct infini_sched_vdev *v, u64 now_ns);

/* Is anybody runnable but not running? */
bool infini_sched_waiting(const struct infini_sched *s);

#endif /* INFINI_CORE_SCHED_H */
