// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Jobs on their way: collected, handed over in batches, waited for, and their results looked at.
 */
#include "frontend.h"

#include <errno.h>
#include <string.h>

/* Data were lost and the calls that lost them return void: the next graph fails. */
void infini_submit_break_locked(struct infini_link *link, int err, const char *what)
{
	if (link->broken)
		return;
	link->broken = err;
	infini_say("vdev \"%s\": %s failed: %s", infini_link_name(link), what,
		   infini_link_reason(err));
}

/* An empty slot for a job; taken by infini_submit_push_locked(). */
struct infini_job *infini_submit_job_locked(struct infini_link *link)
{
	struct infini_job *job = &link->jobs[link->nr_jobs];

	memset(job, 0, sizeof(*job));
	return job;
}

int infini_submit_push_locked(struct infini_link *link)
{
	link->nr_jobs++;
	infini_trace_add(INFINI_TRACE_JOBS, 1);
	if (link->nr_jobs < INFINI_LINK_DEPTH)
		return 0;
	return infini_submit_flush_locked(link);
}

/*
 * Results since the last look. A failed transfer breaks the link; the result of job @own, if it is
 * among them, goes to *@status and *@value.
 */
static void infini_submit_look(struct infini_link *link, uint64_t own, int *status, uint64_t *value)
{
	uint64_t completed = __atomic_load_n(&link->timeline->completed, __ATOMIC_ACQUIRE);

	if (completed > link->submitted)
		completed = link->submitted;
	for (; link->looked < completed; link->looked++) {
		uint64_t seqno = link->looked + 1;
		const struct infini_completion *record =
			&link->timeline->records[seqno % INFINI_TIMELINE_RECORDS];

		if (record->seqno != seqno)
			continue;
		if (seqno == own) {
			*status = record->status;
			*value = record->value;
		} else if (record->status) {
			infini_submit_break_locked(link, record->status, "a transfer");
		}
	}
}

static int infini_submit_wait_until(struct infini_link *link, uint64_t seqno)
{
	int err;

	do {
		struct infini_wait wait = {
			.queue = link->queue,
			.seqno = seqno,
			.deadline_ns = INFINI_FOREVER,
		};

		if (__atomic_load_n(&link->timeline->completed, __ATOMIC_ACQUIRE) >= seqno)
			return 0;
		infini_trace_add(INFINI_TRACE_SYSCALLS, 1);
		err = infini_wait(link->fd, &wait);
	} while (err == -EINTR);
	return err;
}

int infini_submit_wait_locked(struct infini_link *link, uint64_t seqno)
{
	int ignored = 0, err = infini_submit_wait_until(link, seqno);
	uint64_t value;

	infini_submit_look(link, 0, &ignored, &value);
	return err;
}

/* One SUBMIT: as many of the jobs from @first as the queue takes. */
static int infini_submit_some(struct infini_link *link, unsigned int first, unsigned int nr,
			      bool wait, unsigned int *taken)
{
	struct infini_submit submit = {
		.flags = wait ? INFINI_SUBMIT_F_WAIT : 0,
		.queue = link->queue,
		.nr_jobs = nr,
		.jobs = (uintptr_t)&link->jobs[first],
		.jobs_stride = sizeof(link->jobs[0]),
		.deadline_ns = wait ? INFINI_FOREVER : 0,
	};
	int err;

	infini_trace_add(INFINI_TRACE_SYSCALLS, 1);
	infini_trace_add(INFINI_TRACE_SUBMITS, 1);
	err = infini_submit(link->fd, &submit);
	*taken = submit.accepted;
	if (submit.accepted)
		link->submitted = submit.last_seqno;
	/* Interrupted after something was accepted: waiting goes on with WAIT. */
	if (err == -EINTR || (err == -ETIMEDOUT && submit.accepted))
		err = 0;
	return err;
}

/* True when jobs asked for more time than the administrator allows by now; they ask for less. */
static bool infini_submit_shorten(struct infini_link *link, unsigned int first, unsigned int nr)
{
	uint64_t was = link->query.max_timeout_ns;
	unsigned int i;

	infini_trace_add(INFINI_TRACE_SYSCALLS, 1);
	if (infini_query(link->fd, &link->query) || link->query.max_timeout_ns >= was)
		return false;
	for (i = first; i < nr; i++) {
		if (link->jobs[i].timeout_ns > link->query.max_timeout_ns)
			link->jobs[i].timeout_ns = link->query.max_timeout_ns;
	}
	return true;
}

/* All @nr collected jobs, in order. With @wait the last SUBMIT waits for the last of them. */
static int infini_submit_all(struct infini_link *link, unsigned int nr, bool wait)
{
	unsigned int done = 0, batch, taken;
	int err, ignored = 0;
	uint64_t value;

	while (done < nr) {
		/* Makes room in the memory of results, see INFINI_LINK_DEPTH. */
		infini_submit_look(link, 0, &ignored, &value);
		batch = nr - done < link->batch ? nr - done : link->batch;
		err = infini_submit_some(link, done, batch, wait && done + batch == nr, &taken);
		done += taken;
		if (err == -EAGAIN)
			err = infini_submit_wait_until(link, link->submitted);
		else if (err == -EINVAL && infini_submit_shorten(link, done, nr))
			err = 0;
		if (err)
			return err;
	}
	link->stage.seqno[link->stage.segment] = link->submitted;
	return 0;
}

/* Hand over what was collected, without waiting for it. */
int infini_submit_flush_locked(struct infini_link *link)
{
	unsigned int nr = link->nr_jobs;
	int err = link->broken;

	link->nr_jobs = 0;
	if (nr && !err)
		err = infini_submit_all(link, nr, false);
	if (err)
		infini_submit_break_locked(link, err, "a transfer");
	return err;
}

/*
 * Hand over what was collected and the job in the last slot, and wait for that one. Returns its
 * status, or why it could not run.
 */
int infini_submit_last_locked(struct infini_link *link, uint64_t *value)
{
	unsigned int nr = link->nr_jobs + 1;
	int err, status = 0;

	link->nr_jobs = 0;
	if (link->broken)
		return link->broken;
	infini_trace_add(INFINI_TRACE_JOBS, 1);
	err = infini_submit_all(link, nr, true);
	if (!err)
		err = infini_submit_wait_until(link, link->submitted);
	*value = 0;
	infini_submit_look(link, err ? 0 : link->submitted, &status, value);
	if (!err)
		infini_stage_drained_locked(link);
	return err ? err : link->broken ? link->broken : status;
}
