// SPDX-License-Identifier: GPL-2.0-only
/* The life of a job as a table: what is not listed cannot happen. */
#include "job.h"

/* State after the event plus one, so that 0 is "cannot happen". */
#define TO(state)	(INFINI_JOB_##state + 1)

static const u8 infini_job_table[INFINI_JOB_NR_STATES][INFINI_JOB_NR_EVENTS] = {
	[INFINI_JOB_IDLE] = {
		[INFINI_JOB_EV_SUBMIT] = TO(QUEUED),
	},
	[INFINI_JOB_QUEUED] = {
		[INFINI_JOB_EV_DISPATCH] = TO(DISPATCHED),
		[INFINI_JOB_EV_CANCEL] = TO(DONE),
		[INFINI_JOB_EV_EXPIRE] = TO(DONE),
	},
	[INFINI_JOB_DISPATCHED] = {
		[INFINI_JOB_EV_PREEMPT] = TO(QUEUED),
		[INFINI_JOB_EV_COMPLETE] = TO(DONE),
		[INFINI_JOB_EV_CANCEL] = TO(DOOMED),
		[INFINI_JOB_EV_EXPIRE] = TO(DOOMED),
		[INFINI_JOB_EV_LOST] = TO(DONE),
	},
	[INFINI_JOB_DOOMED] = {
		[INFINI_JOB_EV_PREEMPT] = TO(DONE),
		[INFINI_JOB_EV_COMPLETE] = TO(DONE),
		[INFINI_JOB_EV_CANCEL] = TO(DOOMED),
		[INFINI_JOB_EV_EXPIRE] = TO(DOOMED),
		[INFINI_JOB_EV_LOST] = TO(DONE),
	},
	[INFINI_JOB_DONE] = {
		[INFINI_JOB_EV_RECYCLE] = TO(IDLE),
	},
};

int infini_job_next(enum infini_job_state state, enum infini_job_event event)
{
	u8 to;

	if ((u32)state >= INFINI_JOB_NR_STATES || (u32)event >= INFINI_JOB_NR_EVENTS)
		return -EINVAL;
	to = infini_job_table[state][event];
	return to ? to - 1 : -EINVAL;
}
