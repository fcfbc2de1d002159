/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One job of a client that waits for it. */
#ifndef INFINI_TESTS_E2E_JOB_H
#define INFINI_TESTS_E2E_JOB_H

#include <infini.h>

/* 0, and how the job ended in *@status; or -errno of the submission. */
static inline int job_run(int fd, uint32_t queue, const struct infini_job *job, int *status)
{
	struct infini_submit submit = {
		.flags = INFINI_SUBMIT_F_WAIT,
		.queue = queue,
		.nr_jobs = 1,
		.jobs = (uintptr_t)job,
		.jobs_stride = sizeof(*job),
		.deadline_ns = INFINI_FOREVER,
	};
	int err = infini_submit(fd, &submit);

	*status = submit.status;
	return err;
}

#endif /* INFINI_TESTS_E2E_JOB_H */
