/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device in virtual time: clients submit jobs, executors run them in segments and answer a
 * yield only between two, and the scheduling core that ships decides everything else.
 */
#ifndef INFINI_TESTS_CORE_SIM_H
#define INFINI_TESTS_CORE_SIM_H

#include "sched.h"

#define SIM_VDEVS	64
#define SIM_CLIENTS	256
#define SIM_MS		1000000ull
#define SIM_SECOND	(1000 * SIM_MS)

/**
 * struct sim_client_spec - somebody who submits jobs to one queue of its own
 * @vdev: index of its vdev
 * @weight: of its queue; 0 for the default
 * @job_ns: length of a job
 * @segment_ns: a yield is answered this often; 0 for only between jobs
 * @think_ns: pause between the end of a job and the next; ignored with @period_ns
 * @period_ns: submit one job every period, whatever has become of the last; 0 for a closed loop
 * @spread_ppm: lengths, pauses and periods vary evenly by up to this much to either side
 * @start_ns: first job
 * @stop_ns: no job from here on; 0 for never
 */
struct sim_client_spec {
	u32 vdev;
	u32 weight;
	u64 job_ns;
	u64 segment_ns;
	u64 think_ns;
	u64 period_ns;
	u32 spread_ppm;
	u64 start_ns;
	u64 stop_ns;
};

struct sim_client {
	struct sim_client_spec spec;
	struct infini_sched_queue queue;
	u64 next_ns;		/* next submission; INFINI_SCHED_NEVER for none */
	u64 left_ns;		/* of the head job; 0 before its first dispatch */
	u32 jobs;		/* submitted and not with the executor */
	u64 occupancy_ns;
	u64 jobs_done;
	u64 ready_since_ns;
	u64 wait_max_ns;	/* longest that a job waited for its first or next dispatch */
};

struct sim_vdev {
	struct infini_sched_vdev sched;
	struct sim_client *client;	/* whose job runs; NULL for none */
	u64 segment_end_ns;
	u64 waiting_since_ns;
	bool waiting;
	u64 wait_max_ns;	/* longest that it was runnable and had no slot */
	u64 together_ns;	/* occupancy while all vdevs had work */
	u64 lag_max_ns;		/* most service that it was owed or owed */
	u64 slice_max_ns;	/* longest slice while another vdev waited */
};

struct sim {
	struct infini_sched sched;
	struct sim_vdev vdevs[SIM_VDEVS];
	struct sim_client clients[SIM_CLIENTS];
	u32 nr_vdevs;
	u32 nr_clients;
	u64 now_ns;
	u64 random;
	u64 asked;		/* times that a vdev was asked to yield */
	u64 preempted;		/* jobs given back unfinished */
	u64 together_ns;	/* time in which all vdevs had work */
	u64 idle_ns;		/* slot time that was free while somebody waited: must stay 0 */
	u64 timers;		/* times that next_event fired */
	bool check;		/* run sim_check() after every event */
};

void sim_init(struct sim *sim, u32 slots, u64 seed);
u32 sim_vdev_add(struct sim *sim, u32 weight, u64 quantum_ns);
struct sim_client *sim_client_add(struct sim *sim, const struct sim_client_spec *spec);
void sim_run(struct sim *sim, u64 until_ns);

/* Forget what was counted so far, so that a run can be measured from its middle. */
void sim_reset_counters(struct sim *sim);

/* An executor comes, or dies with its job, which then starts again. */
void sim_vdev_online(struct sim *sim, u32 vdev, bool online);

/* Asserts what must hold of the scheduler at any moment. */
void sim_check(const struct sim *sim);

u64 sim_random(struct sim *sim);

#endif /* INFINI_TESTS_CORE_SIM_H */
