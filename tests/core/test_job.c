// SPDX-License-Identifier: GPL-2.0-or-later
/* The life of a job: every event in every state, and what can never come about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "job.h"

#define NO	(-EINVAL)

/* Columns: submit dispatch preempt complete cancel expire lost recycle. */
static const int want[INFINI_JOB_NR_STATES][INFINI_JOB_NR_EVENTS] = {
	[INFINI_JOB_IDLE] = { INFINI_JOB_QUEUED, NO, NO, NO, NO, NO, NO, NO },
	[INFINI_JOB_QUEUED] = { NO, INFINI_JOB_DISPATCHED, NO, NO, INFINI_JOB_DONE,
				INFINI_JOB_DONE, NO, NO },
	[INFINI_JOB_DISPATCHED] = { NO, NO, INFINI_JOB_QUEUED, INFINI_JOB_DONE, INFINI_JOB_DOOMED,
				    INFINI_JOB_DOOMED, INFINI_JOB_DONE, NO },
	[INFINI_JOB_DOOMED] = { NO, NO, INFINI_JOB_DONE, INFINI_JOB_DONE, INFINI_JOB_DOOMED,
				INFINI_JOB_DOOMED, INFINI_JOB_DONE, NO },
	[INFINI_JOB_DONE] = { NO, NO, NO, NO, NO, NO, NO, INFINI_JOB_IDLE },
};

static void test_every_event(void **state)
{
	int s, e;

	(void)state;
	for (s = 0; s < INFINI_JOB_NR_STATES; s++) {
		for (e = 0; e < INFINI_JOB_NR_EVENTS; e++)
			assert_int_equal(infini_job_next((enum infini_job_state)s,
							 (enum infini_job_event)e), want[s][e]);
	}
}

static void test_out_of_range(void **state)
{
	(void)state;
	assert_int_equal(infini_job_next(INFINI_JOB_NR_STATES, INFINI_JOB_EV_SUBMIT), -EINVAL);
	assert_int_equal(infini_job_next(INFINI_JOB_IDLE, INFINI_JOB_NR_EVENTS), -EINVAL);
	assert_int_equal(infini_job_next((enum infini_job_state)-1, INFINI_JOB_EV_SUBMIT), -EINVAL);
	assert_int_equal(infini_job_next(INFINI_JOB_IDLE, (enum infini_job_event)-1), -EINVAL);
}

/* Once with an executor, a job ends only when the executor has let go of it or is gone. */
static void test_held_until_let_go(void **state)
{
	static const enum infini_job_event outside[] = {
		INFINI_JOB_EV_CANCEL, INFINI_JOB_EV_EXPIRE
	};
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_not_equal(infini_job_next(INFINI_JOB_DISPATCHED, outside[i]),
				     INFINI_JOB_DONE);
		assert_int_not_equal(infini_job_next(INFINI_JOB_DOOMED, outside[i]),
				     INFINI_JOB_DONE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		{ .name = "every event in every state", .test_func = test_every_event },
		{ .name = "no such state, no such event", .test_func = test_out_of_range },
		{ .name = "held until the executor lets go", .test_func = test_held_until_let_go },
	};

	return cmocka_run_group_tests_name("job", tests, NULL, NULL);
}
