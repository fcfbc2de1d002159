/* SPDX-License-Identifier: GPL-2.0-only */
/* What may happen to a job, and what it is then. */
#ifndef INFINI_CORE_JOB_H
#define INFINI_CORE_JOB_H

#include "port.h"

/**
 * enum infini_job_state - where a job is
 * @INFINI_JOB_IDLE: in its queue's pool, unused
 * @INFINI_JOB_QUEUED: accepted, waits to be dispatched
 * @INFINI_JOB_DISPATCHED: with an executor
 * @INFINI_JOB_DOOMED: with an executor, but its outcome is already known to be failure; it ends
 *	when the executor has let go of it
 * @INFINI_JOB_DONE: has its final status
 * @INFINI_JOB_NR_STATES: how many
 */
enum infini_job_state {
	INFINI_JOB_IDLE,
	INFINI_JOB_QUEUED,
	INFINI_JOB_DISPATCHED,
	INFINI_JOB_DOOMED,
	INFINI_JOB_DONE,
	INFINI_JOB_NR_STATES
};

/**
 * enum infini_job_event - what happens to a job
 * @INFINI_JOB_EV_SUBMIT: a client hands it in
 * @INFINI_JOB_EV_DISPATCH: an executor takes it
 * @INFINI_JOB_EV_PREEMPT: the executor gives it back unfinished
 * @INFINI_JOB_EV_COMPLETE: the executor gives it back finished, well or not
 * @INFINI_JOB_EV_CANCEL: its queue, client or vdev goes away
 * @INFINI_JOB_EV_EXPIRE: its timeout is over
 * @INFINI_JOB_EV_LOST: its executor is gone
 * @INFINI_JOB_EV_RECYCLE: its status has been delivered
 * @INFINI_JOB_NR_EVENTS: how many
 */
enum infini_job_event {
	INFINI_JOB_EV_SUBMIT,
	INFINI_JOB_EV_DISPATCH,
	INFINI_JOB_EV_PREEMPT,
	INFINI_JOB_EV_COMPLETE,
	INFINI_JOB_EV_CANCEL,
	INFINI_JOB_EV_EXPIRE,
	INFINI_JOB_EV_LOST,
	INFINI_JOB_EV_RECYCLE,
	INFINI_JOB_NR_EVENTS
};

/* The state (enum infini_job_state) after @event in @state, or -EINVAL if that cannot happen. */
int infini_job_next(enum infini_job_state state, enum infini_job_event event);

#endif /* INFINI_CORE_JOB_H */
