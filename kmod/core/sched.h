/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who runs next on a device, and for how long: weighted fair sharing by virtual time with
 * virtual deadlines (see level.h), in two levels: the vdevs of a device, class by class, then the
 * queues of a vdev. Around it stand three rights that are older than weight:
 *
 * Cap. A bucket of slot time that fills at the cap's rate and holds one quantum. A vdev that has
 * emptied its bucket is throttled until it is half full again.
 *
 * Floor. A bucket that fills at the floor's rate. Who waits with a quantum in it goes first,
 * whatever its class, and keeps the slot for a quantum. Only what a vdev gets by that right is
 * paid in full from this bucket; what it gets by weight empties the bucket but makes no debt, so
 * that time lent out by others is never held against it.
 *
 * Class. Latency goes before normal, normal before batch, and takes the slot from them at once.
 * A class that waits for INFINI_SCHED_STARVE_NS without being served gets a quantum, which goes
 * from one of its vdevs to the next until it is used up; what is beyond two the class waits for.
 *
 * A token rate is one more bucket: a vdev with less than nothing in it is throttled.
 *
 * Pure decisions: no lock (the caller holds the device's), no allocation (the caller embeds the
 * nodes), no clock (@now_ns never falls), no floating point. Every function is O(log n) in vdevs
 * and queues, times the slots of the device.
 *
 * Words: a vdev is *runnable* while it has a ready queue and its executor can take work. It is
 * *running* while its executor holds a slot: from infini_sched_pick() to infini_sched_put(). It is
 * *throttled* while a cap or a rate keeps it from being picked.
 */
#ifndef INFINI_CORE_SCHED_H
#define INFINI_CORE_SCHED_H

#include "bucket.h"
#include "level.h"
#include "limits.h"
#include "port.h"

#define INFINI_SCHED_NEVER	U64_MAX
#define INFINI_SCHED_STARVE_NS	40000000ull

/**
 * struct infini_sched_vdev - a vdev as the scheduler sees it; embedded in the vdev
 * @se: on the level of its class; has the weight and the quantum
 * @queues: its own level
 * @limits: what was asked for
 * @cap: slot time that it may use
 * @floor: slot time that is its right
 * @tokens: that it may use
 * @floor_node: in the scheduler's @floors while it waits; key: when a quantum is its right
 * @throttle_node: in the scheduler's @throttled; key: when it may be picked again
 * @nr_ready: queues with a job that can be dispatched
 * @online: the executor can take work
 * @running: holds a slot
 * @yield_asked: has been told to yield in this slice
 * @asked_ns: when, while @yield_asked
 * @throttled: may not be picked though runnable
 * @granted: this slice is its floor's
 * @needed: this slice is its class's, which starved
 * @sheltered: nobody takes the slot from it before its quantum is over
 * @saturated: being served beside others of its class makes up for nothing it is owed
 * @in_floors: @floor_node is in the tree
 * @in_throttled: @throttle_node is in the tree
 * @queued_ns: since when it waits for a slot, while it does
 * @slice_start_ns: when this slice began
 * @charged_ns: up to when infini_sched_charge() has reported
 * @occupancy_ns: sum over all slices
 * @runnable_ns: time with work, running or not, up to the present stretch
 * @runnable_since_ns: start of the present stretch
 * @has_work: in such a stretch
 * @throttled_ns: time with work that it was kept from, up to the present stretch
 * @throttled_since_ns: start of the present stretch, while @in_throttled
 * @throttles: such stretches
 * @slices: how many
 * @synced_lag: what it may be owed from when it was last synced on, in virtual time
 * @run_next: in the scheduler's list of running vdevs
 * @run_prev: in the scheduler's list of running vdevs
 */
struct infini_sched_vdev {
	struct infini_sched_entity se;
	struct infini_sched_level queues;
	struct infini_sched_limits limits;
	struct infini_bucket cap;
	struct infini_bucket floor;
	struct infini_bucket tokens;
	struct infini_tree_node floor_node;
	struct infini_tree_node throttle_node;
	u32 nr_ready;
	bool online;
	bool running;
	bool yield_asked;
	bool throttled;
	bool granted;
	bool needed;
	bool sheltered;
	bool saturated;
	bool in_floors;
	bool in_throttled;
	bool has_work;
	u64 queued_ns;
	u64 asked_ns;
	u64 slice_start_ns;
	u64 charged_ns;
	u64 occupancy_ns;
	u64 runnable_ns;
	u64 runnable_since_ns;
	u64 throttled_ns;
	u64 throttled_since_ns;
	u64 throttles;
	u64 slices;
	s64 synced_lag;
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
 * struct infini_sched_tier - the vdevs of one class
 * @level: them
 * @nr_running: slots they hold
 * @nr_granted: of these, by right of their floors
 * @served_ns: it starves INFINI_SCHED_STARVE_NS later; a quantum of service by weight moves this on
 *	by as much, but not beyond now
 * @due_ns: when it last starved; it does until @served_ns is here
 */
struct infini_sched_tier {
	struct infini_sched_level level;
	u32 nr_running;
	u32 nr_granted;
	u64 served_ns;
	u64 due_ns;
};

/**
 * struct infini_sched - one device
 * @tiers: its vdevs, by class
 * @floors: vdevs with a floor that wait for a slot
 * @throttled: vdevs with work that may not run yet
 * @slots: executors that run at once
 * @nr_waiting: vdevs that may be picked and do not run
 * @nr_running: slots taken
 * @nr_asked: running vdevs that have been asked to yield
 * @nr_limited: running vdevs with a cap or a rate
 * @synced_ns: up to when virtual times, occupancies and buckets are right
 * @running: head of the list of running vdevs
 */
struct infini_sched {
	struct infini_sched_tier tiers[INFINI_SCHED_CLASSES];
	struct infini_tree floors;
	struct infini_tree throttled;
	u32 slots;
	u32 nr_waiting;
	u32 nr_running;
	u32 nr_asked;
	u32 nr_limited;
	u64 synced_ns;
	struct infini_sched_vdev *running;
};

void infini_sched_init(struct infini_sched *s, u32 slots);

/* @limits have passed infini_limits_check(). */
void infini_sched_vdev_init(struct infini_sched *s, struct infini_sched_vdev *v,
			    const struct infini_sched_limits *limits);
void infini_sched_queue_init(struct infini_sched_queue *q, u32 weight);

/*
 * New limits of a live vdev; they hold from the next pick. What it is owed is kept, unless its
 * class changes, and so is what is in its buckets, as far as it fits.
 */
void infini_sched_vdev_set(struct infini_sched *s, struct infini_sched_vdev *v,
			   const struct infini_sched_limits *limits, u64 now_ns);

/* The executor of @v can take work, or no longer can. Offline does not end a slice: put() does. */
void infini_sched_vdev_online(struct infini_sched *s, struct infini_sched_vdev *v, bool online,
			      u64 now_ns);

/* Queue @q of @v has a job that can be dispatched (@ready), or no more. Idempotent. */
void infini_sched_queue_ready(struct infini_sched *s, struct infini_sched_vdev *v,
			      struct infini_sched_queue *q, bool ready, u64 now_ns);

/*
 * Give a free slot to who is next: a floor that is due, a class that starves, then class by class
 * the eligible vdev with the earliest deadline. Returns NULL when there is no free slot or nobody
 * to run; otherwise the vdev runs, and its slice has begun.
 */
struct infini_sched_vdev *infini_sched_pick(struct infini_sched *s, u64 now_ns);

/* The queue of @v whose head job goes next; NULL if none is ready. Does not change state. */
struct infini_sched_queue *infini_sched_queue_pick(struct infini_sched_vdev *v);

/*
 * The executor of @v, running, comes for the first job of its slice only now. Its quantum counts
 * from here, and an earlier asking is withdrawn: it did not cover what runs next.
 */
void infini_sched_begin(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns);

/* @ran_ns of slot time went to @q's job. */
void infini_sched_queue_charge(struct infini_sched_vdev *v, struct infini_sched_queue *q,
			       u64 ran_ns);

/* A job of @v has turned @tokens over. */
void infini_sched_tokens(struct infini_sched *s, struct infini_sched_vdev *v, u64 tokens,
			 u64 now_ns);

/* Has @v used more tokens than its rate allows by now? */
bool infini_sched_over_rate(struct infini_sched_vdev *v, u64 now_ns);

/* Charge a running vdev up to now; returns the ns charged by this call. */
u64 infini_sched_charge(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns);

/* The slice of @v is over: charge it, free the slot, queue it again if it is still runnable. */
void infini_sched_put(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns);

/*
 * May @v, running, go on with another job in the same slice? False when its quantum is used up or
 * its yield was asked for, and somebody of its class or above could run instead; when somebody
 * has a better right to the slot; and when it is throttled. True withdraws the asking: what runs
 * next has not been asked.
 */
bool infini_sched_may_continue(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns);

/*
 * Which running vdev should be asked to yield now? One that is throttled; one whose quantum is up
 * while another of its class or above waits; one that holds the slot of a better right; one of
 * the same class with a later deadline than a vdev that woke up and is owed service. Marks it
 * asked. NULL for none; call again until NULL. Two vdevs of a class that never sleep thus change
 * at most once in a quantum: only who has slept can end another's quantum early.
 */
struct infini_sched_vdev *infini_sched_preempt(struct infini_sched *s, u64 now_ns);

/*
 * When to call infini_sched_pick() and infini_sched_preempt() next if nothing else happens, or
 * INFINI_SCHED_NEVER.
 */
u64 infini_sched_next_event(const struct infini_sched *s, u64 now_ns);

/*
 * True when nobody waits, nobody is throttled and nobody can come to be by running: then nobody is
 * picked or has to yield, and time changes nothing.
 */
static inline bool infini_sched_quiet(const struct infini_sched *s)
{
	return !s->nr_waiting && !s->nr_limited && !s->throttled.nr;
}

/* Up to now, runnable time and throttled time (the counters stand still within a stretch). */
u64 infini_sched_runnable_ns(const struct infini_sched_vdev *v, u64 now_ns);
u64 infini_sched_throttled_ns(const struct infini_sched_vdev *v, u64 now_ns);

#endif /* INFINI_CORE_SCHED_H */
