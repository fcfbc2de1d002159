/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device in virtual time: clients submit jobs, executors take them a window at a time, run them
 * in segments and answer a yield only between two, and the scheduling core that ships decides
 * everything else. What somebody gets is counted here, not asked of the core. A million queues
 * are fine: what happens costs no more than the logarithm of what there is, unless @check is set.
 */
#ifndef INFINI_TESTS_CORE_SIM_H
#define INFINI_TESTS_CORE_SIM_H

#include "agenda.h"
#include "sched.h"
#include "window.h"

#define US		1000ull
#define SIM_MS		1000000ull
#define SIM_SECOND	(1000 * SIM_MS)

#define SIM_WINDOW_MAX	16u

enum sim_event_kind {
	SIM_EV_SUBMIT,		/* a client submits */
	SIM_EV_EXECUTOR,	/* an executor comes for its slot, or stops at a boundary */
	SIM_EV_CHANGE		/* an operator does something */
};

/**
 * struct sim_vdev_spec - a vdev, or several alike
 * @weight: 0 ends a table
 * @rank: 1 for latency, 0 for normal, -1 for batch
 * @quantum_ns: 0 for the default
 * @cap_ppm: 0 for none
 * @floor_ppm: 0 for none
 * @rate: tokens per second; 0 for no limit
 * @burst: 0 for one second's
 * @window: jobs that its executor takes ahead, up to SIM_WINDOW_MAX; 0 for 1
 * @handover_ns: between being given the slot and coming for the first job
 * @count: 0 for 1
 */
struct sim_vdev_spec {
	u32 weight;
	s32 rank;
	u64 quantum_ns;
	u32 cap_ppm;
	u32 floor_ppm;
	u64 rate;
	u64 burst;
	u32 window;
	u64 handover_ns;
	u32 count;
};

/**
 * struct sim_client_spec - somebody who submits jobs to one queue of its own, or several alike
 * @vdev: its row in a table of vdevs; each vdev of that row gets @count
 * @count: 0 for 1
 * @weight: of its queue; 0 for the default
 * @job_ns: length of a job; 0 ends a table
 * @segment_ns: a yield is answered this often; 0 for only between jobs
 * @depth: jobs submitted at once: at the start, or in each period; 0 for 1
 * @think_ns: pause between the end of a job and the next; for a @depth of 1
 * @period_ns: submit every period, whatever has become of the last; 0 for a closed loop
 * @spread_ppm: lengths, pauses and periods vary evenly by up to this much to either side
 * @tokens: that a job turns over
 * @declared: that it says it does
 * @nowait: over its rate it is refused, and comes again after its pause
 * @fresh: makes a new queue for each job, to be nobody that owes anything
 * @start_ns: first job
 * @stop_ns: no job from here on; 0 for never
 */
struct sim_client_spec {
	u32 vdev;
	u32 count;
	u32 weight;
	u64 job_ns;
	u64 segment_ns;
	u32 depth;
	u64 think_ns;
	u64 period_ns;
	u32 spread_ppm;
	u32 tokens;
	u32 declared;
	bool nowait;
	bool fresh;
	u64 start_ns;
	u64 stop_ns;
};

/* Jobs that wait, oldest first: when each was submitted. */
struct sim_jobs {
	u64 *at_ns;
	u32 head;
	u32 nr;
	u32 room;
};

struct sim_vdev;

struct sim_client {
	struct infini_sched_queue queue;
	struct sim_event submit;
	const struct sim_client_spec *spec;
	struct sim_vdev *vdev;
	struct sim_jobs jobs;
	u64 left_ns;		/* of the oldest job; 0 before it first runs */
	u64 occupancy_ns;
	u64 submitted;
	u64 done;
	u64 failed;		/* lost with the executor */
	u64 refused;		/* over the rate; not among those submitted */
	u32 held;		/* with the executor */
};

/* A job that the executor has. */
struct sim_held {
	struct sim_client *client;
	u64 dispatch;
	u64 submitted_ns;
};

struct sim_vdev {
	struct infini_sched_vdev sched;
	struct sim_event event;
	struct sim_vdev_spec spec;
	u32 index;		/* in sim->vdevs */
	struct sim_held held[SIM_WINDOW_MAX];	/* the first runs */
	u32 nr_held;
	bool fresh;		/* has the slot and has not come for it */
	u64 next_dispatch;
	u64 yield_upto;		/* the yield word */
	u64 run_ns;		/* since when the first runs */
	u64 span_ns;		/* since when it has the slot, or its window was told */
	u32 place;		/* among those that run, from 1 */
	u64 jobs;		/* submitted and not finished */
	u64 rest_ns;		/* when it had none last */
	u64 piece_ns;		/* longest that its clients run without looking at the yield word */
	u64 set_ns;		/* when its limits were last set */
	u64 set_tokens;		/* how many it had turned over then */
	u32 window_max;		/* jobs that its executor ever took ahead */
	u32 job_tokens;		/* most that a job of its clients turns over */

	bool waiting;		/* could run and has no slot */
	u64 waiting_ns;		/* since when */

	u64 total_ns;		/* occupancy, never forgotten */
	u64 occupancy_ns;
	u64 useful_ns;		/* the part inside jobs */
	u64 together_ns;	/* the part while all vdevs had work */
	u64 done;
	u64 failed;
	u64 refused;
	u64 tokens;
	u64 total_tokens;	/* never forgotten */
	u64 wait_max_ns;	/* longest that it could run and had no slot */
	u64 due_max_ns;		/* longest that its floor was due and it had no slot */
	u64 slice_max_ns;	/* longest slice while another vdev waited */
	u64 lag_max_ns;		/* most service that it was owed or owed; with @check */
	u64 *waits_ns;		/* of each job, from its submission until it ran */
	u64 nr_waits;
	u64 room_waits;
	struct window *window;	/* of those with a cap or floor */
	struct sim_vdev *next_limited;
};

struct sim {
	struct infini_sched sched;
	struct sim_agenda agenda;
	struct sim_vdev **vdevs;
	struct sim_client **clients;
	struct sim_vdev **running;
	struct sim_vdev *limited;	/* those whose state time alone may change */
	const struct sim_workload *load;	/* if it came from a table; see workload.h */
	struct sim_event *changes;
	u32 nr_vdevs;
	u32 room_vdevs;
	u32 nr_clients;
	u32 room_clients;
	u32 nr_running;
	u32 nr_busy;		/* vdevs with a job that is not finished */
	u64 now_ns;
	u64 random;
	bool no_yield;		/* executors do not look at the yield word */
	bool stopped;		/* clients submit no more */
	bool check;		/* run sim_check() after every event */
	void *books;		/* its scratch */

	u64 asked;		/* times that a vdev was asked to yield */
	u64 preempted;		/* jobs given back unfinished */
	u64 returned;		/* jobs given back before they began */
	u64 timers;		/* times that next_event fired */
	u64 total_ns;		/* slot time that was taken, never forgotten */
	u64 since_ns;		/* the rest is counted from here on */
	u64 busy_ns;		/* slot time that was taken */
	u64 together_ns;	/* time in which all vdevs had work */
	u64 idle_ns;		/* slot time that was free while somebody could run: must stay 0 */

	const char *fault;	/* the first thing that must not be, or NULL; the run ends there */
	u64 fault_ns;
};

void sim_init(struct sim *sim, u32 slots, u64 seed);
void sim_free(struct sim *sim);

/* Copies @spec; its @count is not looked at. Online from the start. */
struct sim_vdev *sim_vdev_add(struct sim *sim, const struct sim_vdev_spec *spec);

/* @spec must stay; its @vdev and @count are not looked at. */
struct sim_client *sim_client_add(struct sim *sim, struct sim_vdev *v,
				  const struct sim_client_spec *spec);

/* What the core is told of @spec. */
struct infini_sched_limits sim_limits(const struct sim_vdev_spec *spec);

/* New limits, window and hand-over of a live vdev. */
void sim_vdev_set(struct sim *sim, struct sim_vdev *v, const struct sim_vdev_spec *spec);

/* An executor comes, or dies with the jobs it holds. */
void sim_vdev_online(struct sim *sim, struct sim_vdev *v, bool online);

void sim_run(struct sim *sim, u64 until_ns);

/* Clients stop; run until nothing is left to do, but not beyond @until_ns. */
void sim_drain(struct sim *sim, u64 until_ns);

/* Forget what was counted so far, so that a run can be measured from its middle. */
void sim_reset_counters(struct sim *sim);

/* The wait that this part of @v's jobs did not exceed; 0 if there were none. */
u64 sim_wait_quantile(struct sim_vdev *v, u32 ppm);

/* Something is not as it must be. */
void sim_fault(struct sim *sim, const char *what);

/* Finds fault with what must hold of the scheduler at any moment; see sim_check.c. */
void sim_check(struct sim *sim);

/* A slice of @v, at its longest, until the next one begins. */
u64 sim_slice_max_ns(const struct sim *sim, const struct sim_vdev *v);

/* Finds fault with what @v got since its limits were set: its cap, its floor, its token rate. */
void sim_check_limits(struct sim *sim, const struct sim_vdev *v);

/* A row of the table of changes has come; see workload.c. */
void sim_change(struct sim *sim, struct sim_event *event);

/* One number of a sequence, and one between two. */
u64 sim_random(u64 *state);
u64 sim_between(u64 *state, u64 low, u64 high);

#endif /* INFINI_TESTS_CORE_SIM_H */
