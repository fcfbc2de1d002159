// SPDX-License-Identifier: GPL-2.0-only
/*
 * infinisnoop: requests. A stream is one request id of one client, as in stream.bpf.h; a request in
 * it begins with a prompt and lasts until the next one begins.
 */
#include "snoop.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

/* ---- work ---- */

struct snoop_work snoop_work_of(const struct snoop_job *job)
{
	struct snoop_work work = {
		.arrived_ns = job->done_ns - job->total_ns,
		.jobs = 1,
		.wait_ns = job->before.waited_ns + job->wait_ns,
		.run_ns = job->before.ran_ns + job->run_ns,
		.occupancy_ns = job->occupancy_ns,
		.preempted = job->before.preempted,
		.asked = job->before.asked,
		.status = job->status,
	};

	if (job->total_ns > work.wait_ns + work.run_ns)
		work.unseen_ns = job->total_ns - work.wait_ns - work.run_ns;
	return work;
}

static void snoop_work_add(struct snoop_work *sum, const struct snoop_work *work)
{
	if (!sum->jobs || work->arrived_ns < sum->arrived_ns)
		sum->arrived_ns = work->arrived_ns;
	sum->jobs += work->jobs;
	sum->wait_ns += work->wait_ns;
	sum->run_ns += work->run_ns;
	sum->occupancy_ns += work->occupancy_ns;
	sum->unseen_ns += work->unseen_ns;
	sum->preempted += work->preempted;
	sum->asked += work->asked;
	if (!sum->status)
		sum->status = work->status;
}

/* What came since the last tokens becomes part of the request. */
static void snoop_request_take(struct snoop_request *request)
{
	snoop_work_add(&request->work, &request->since);
	request->since = (struct snoop_work){ 0 };
}

/* ---- streams ---- */

static struct snoop_request **snoop_chain(struct snoop *snoop, const struct snoop_job *job)
{
	return &snoop->requests[(job->client * 31 + job->request) % SNOOP_CLIENTS];
}

static struct snoop_request *snoop_request_of(struct snoop *snoop, const struct snoop_job *job)
{
	struct snoop_request **chain = snoop_chain(snoop, job), *request;

	for (request = *chain; request; request = request->next)
		if (request->last.client == job->client && request->last.request == job->request)
			return request;
	request = calloc(1, sizeof(*request));
	if (!request)
		return NULL;
	request->next = *chain;
	*chain = request;
	return request;
}

static void snoop_request_show(struct snoop *snoop, const struct snoop_request *request)
{
	if (!request->evaluated && !request->generated && !request->work.status)
		return;
	if (request->last_ns - request->work.arrived_ns >= snoop->slower_ns)
		snoop_print_request(snoop, request);
}

/* A prompt comes after what was generated: the stream's next request. */
static void snoop_request_next(struct snoop *snoop, struct snoop_request *request)
{
	struct snoop_request next = {
		.next = request->next, .last = request->last, .since = request->since,
	};

	snoop_request_show(snoop, request);
	*request = next;
}

/* Sequences that go on had their token before in the last job that generated. */
static void snoop_request_itl(struct snoop_request *request, const struct snoop_job *job)
{
	uint64_t itl_ns = job->done_ns - request->token_ns;

	if (job->generated > job->prompts && request->token_ns) {
		request->itls++;
		request->itl_sum_ns += itl_ns;
		if (itl_ns > request->itl_max_ns)
			request->itl_max_ns = itl_ns;
	}
	if (job->generated)
		request->token_ns = job->done_ns;
}

static void snoop_request_tokens(struct snoop *snoop, struct snoop_request *request,
				 const struct snoop_job *job)
{
	if (job->prompt && request->generated && !request->in_prompt)
		snoop_request_next(snoop, request);
	snoop_request_take(request);
	if (job->prompt && !request->evaluated)
		request->whole = request->work.arrived_ns >= snoop->began_ns;
	if (job->prompt)
		request->in_prompt = true;
	if (job->prompts)
		request->in_prompt = false;
	if (job->prompts && !request->first_ns)
		request->first_ns = job->done_ns;
	snoop_request_itl(request, job);
	request->evaluated += job->evaluated;
	request->generated += job->generated;
	request->prompt += job->prompt;
	request->prompts += job->prompts;
	request->scored += job->scored;
	request->embedded += job->embedded;
}

int snoop_requests_add(struct snoop *snoop, const struct snoop_job *job)
{
	struct snoop_request *request = snoop_request_of(snoop, job);
	const struct snoop_work work = snoop_work_of(job);
	bool tokens = !job->status && (job->evaluated || job->generated);

	if (!request)
		return -ENOMEM;
	/* While the process can still be asked. */
	snoop_client_of(snoop, job);
	request->last = *job;
	snoop_work_add(&request->since, &work);
	if (tokens)
		snoop_request_tokens(snoop, request, job);
	else if (job->status)
		snoop_request_take(request);
	if (tokens || job->status)
		request->last_ns = job->done_ns;
	return 0;
}

/* ---- ends ---- */

/* One that is being worked on may be silent for long. */
static bool snoop_request_over(const struct snoop *snoop, const struct snoop_request *request,
			       uint64_t now_ns)
{
	uint64_t silent_ns = now_ns > request->last.done_ns ? now_ns - request->last.done_ns : 0;

	if (now_ns == UINT64_MAX)
		return true;
	if (request->generated && !request->in_prompt && silent_ns > snoop->idle_ns)
		return true;
	return kill(request->last.pid, 0) && errno == ESRCH;
}

void snoop_requests_end(struct snoop *snoop, uint64_t now_ns)
{
	for (int i = 0; i < SNOOP_CLIENTS; i++) {
		struct snoop_request **link = &snoop->requests[i], *request;

		while ((request = *link)) {
			if (!snoop_request_over(snoop, request, now_ns)) {
				link = &request->next;
				continue;
			}
			snoop_request_show(snoop, request);
			*link = request->next;
			free(request);
		}
	}
}
