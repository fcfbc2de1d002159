/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Who runs next on a device, and for how long: weighted fair sharing by virtual time with
 * virtual deadlines (see level.h), in two levels: the vdevs of a device, then the queues of a
 * vdev.
 *
 * Pure decisions: no lock (the caller holds the device's), no allocation (the caller embeds the
 * nodes), no clock (@now_ns never falls), no floating point. Every function is O(log n) in vdevs
 * and queues, times the slots of the device.
 *
 * Words: a vdev is *runnable* while it has a ready queue and its executor can take work. It is
 * *running* while its executor holds a slot: from infini_sched_pick() to infini_sched_put().
 */
#ifndef INFINI_CORE_SCHED_H
#define INFINI_CORE_SCHED_H

#include "level.h"
#include "port.h"

#define INFINI_QUANTUM_MIN_NS	100000ull
#define INFINI_QUANTUM_MAX_NS	1000000000ull
#define INFINI_QUANTUM_DEFAULT_NS 2000000ull
#define INFINI_SCHED_NEVER	U64_MAX

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
 * @charged_ns: up to when infini_sched_charge() has reported
 * @occupancy_ns: sum over all slices
 * @runnable_ns: time with work, running or not, up to the present stretch
 * @runnable_since_ns: start of the present stretch
 * @has_work: in such a stretch
 * @slices: how many
 * @synced_lag: what it was owed when it was last synced, in virtual time
 * @run_next: in the scheduler's list of running vdevs
 * @run_prev: in the scheduler's list of running vdevs
 */
struct infini_sched_vdev {
	struct infini_sched_entity se;
	struct infini_sched_level queues;
	u32 nr_ready;
	bool online;
	bool running;
	bool yield_asked;
	bool throttled;
	bool has_work;
	u64 slice_start_ns;
	u64 charged_ns;
	u64 occupancy_ns;
	u64 runnable_ns;
	u64 runnable_since_ns;
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
 * struct infini_sched - one device
 * @level: its vdevs
 * @slots: executors that run at once
 * @nr_running: slots taken
 * @nr_asked: running vdevs that have been asked to yield
 * @synced_ns: up to when virtual times and occupancies are right
 * @running: head of the list of running vdevs
 */
struct infini_sched {
	struct infini_sched_level level;
	u32 slots;
	u32 nr_running;
	u32 nr_asked;
	u64 synced_ns;
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

/*
 * @v may not be picked although it is runnable, or may again; if it runs, infini_sched_preempt()
 * names it.
 */
void infini_sched_vdev_throttle(struct infini_sched *s, struct infini_sched_vdev *v,
				bool throttled, u64 now_ns);

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

/*
 * The executor of @v, running, comes for the first job of its slice only now. Its quantum counts
 * from here, and an earlier asking is withdrawn: it did not cover what runs next.
 */
void infini_sched_begin(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns);

/* @ran_ns of slot time went to @q's job. */
void infini_sched_queue_charge(struct infini_sched_vdev *v, struct infini_sched_queue *q,
			       u64 ran_ns);

/* Charge a running vdev up to now; returns the ns charged by this call. */
u64 infini_sched_charge(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns);

/* The slice of @v is over: charge it, free the slot, queue it again if it is still runnable. */
void infini_sched_put(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns);

/*
 * May @v, running, go on with another job in the same slice? False when its quantum is used up or
 * its yield was asked for, and somebody else could run instead; false when it is throttled. True
 * withdraws the asking: what runs next has not been asked.
 */
bool infini_sched_may_continue(struct infini_sched *s, struct infini_sched_vdev *v, u64 now_ns);

/*
 * Which running vdev should be asked to yield now, because its quantum is up and another waits,
 * or because a vdev that woke up is owed service and has an earlier deadline? Marks it asked.
 * NULL for none; call again until NULL. Two vdevs that never sleep thus change at most once in a
 * quantum: only who has slept can end another's quantum early.
 */
struct infini_sched_vdev *infini_sched_preempt(struct infini_sched *s, u64 now_ns);

/* When to call infini_sched_preempt() next if nothing else happens, or INFINI_SCHED_NEVER. */
u64 infini_sched_next_event(const struct infini_sched *s, u64 now_ns);

/* Runnable time up to now (the counter itself stands still within a stretch). */
u64 infini_sched_runnable_ns(const struct infini_sched_vdev *v, u64 now_ns);

/* Is anybody runnable but not running? */
bool infini_sched_waiting(const struct infini_sched *s);

#endif /* INFINI_CORE_SCHED_H */
