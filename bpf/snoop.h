/* SPDX-License-Identifier: GPL-2.0-only */
/* infinisnoop: jobs, the requests that they make up, whose they are, and how they are shown. */
#ifndef INFINI_SNOOP_H
#define INFINI_SNOOP_H

#include <infini-admin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "infinisnoop.h"
#include "process.h"

#define SNOOP_NAME	128
#define SNOOP_CLIENTS	256

/* Whose a job is, in words; asked for once for each client. */
struct snoop_client {
	uint32_t id;
	char vdev[SNOOP_NAME];
	char device[SNOOP_NAME];
	char cgroup[SNOOP_NAME];
	char comm[PROCESS_NAME];
};

/**
 * struct snoop_work - what a number of jobs took
 * @arrived_ns: when the first of them was handed in
 * @unseen_ns: of waits and runs that were over before the tool was attached
 */
struct snoop_work {
	uint64_t arrived_ns;
	uint64_t jobs;
	uint64_t wait_ns;
	uint64_t run_ns;
	uint64_t occupancy_ns;
	uint64_t unseen_ns;
	uint32_t preempted;
	uint32_t asked;
	int32_t status;
};

/**
 * struct snoop_request - a request: a prompt and what is generated after it
 * @next: in its chain of struct snoop
 * @last: the last job of its stream
 * @work: of its jobs up to the last that carried tokens or failed
 * @since: of those after that, which may belong to the next request
 * @in_prompt: a prompt has begun and not ended
 * @whole: it was seen from its arrival on
 * @first_ns: when its first token came
 * @token_ns: when its last one came
 * @last_ns: when a job of it last ended
 * @itls: how often there was a time between tokens
 */
struct snoop_request {
	struct snoop_request *next;
	struct snoop_job last;
	struct snoop_work work;
	struct snoop_work since;
	bool in_prompt;
	bool whole;
	uint64_t evaluated;
	uint64_t generated;
	uint64_t prompt;
	uint64_t prompts;
	uint64_t scored;
	uint64_t embedded;
	uint64_t first_ns;
	uint64_t token_ns;
	uint64_t last_ns;
	uint64_t itls;
	uint64_t itl_sum_ns;
	uint64_t itl_max_ns;
};

struct snoop {
	bool json;
	uint64_t began_ns;
	uint64_t slower_ns;
	uint64_t idle_ns;
	uint64_t shown;
	struct infini_admin *admin;
	struct snoop_client client[SNOOP_CLIENTS];
	struct snoop_request *requests[SNOOP_CLIENTS];
};

void snoop_print_head(const struct snoop *snoop, bool requests);
void snoop_print_job(struct snoop *snoop, const struct snoop_job *job);
void snoop_print_request(struct snoop *snoop, const struct snoop_request *request);
void snoop_print_end(const struct snoop *snoop, uint64_t lost);

/* Never NULL; valid until the next call. */
const struct snoop_client *snoop_client_of(struct snoop *snoop, const struct snoop_job *job);
struct snoop_work snoop_work_of(const struct snoop_job *job);

/* A job of a request has ended. 0 or -errno. */
int snoop_requests_add(struct snoop *snoop, const struct snoop_job *job);
/* Show and forget those that have ended as of @now_ns; UINT64_MAX for all. */
void snoop_requests_end(struct snoop *snoop, uint64_t now_ns);

#endif /* INFINI_SNOOP_H */
