/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One dispatch: from the kernel's description of it to its result. */
#ifndef INFINI_DAEMON_JOB_H
#define INFINI_DAEMON_JOB_H

#include "objects.h"

/* COPY and FILL look at the yield word this often. Their segments count MiB. */
#define INFINI_JOB_CHUNK_BYTES	(4ULL << 20)
#define INFINI_JOB_SEGMENT_SHIFT 20

/* What should_yield() compares. A signal handler sets @dispatch to 0 to stop the running job. */
struct infini_yield {
	const uint64_t *word;		/* the kernel's, mapped read-only */
	uint64_t dispatch;		/* of the job that runs; 0 is always covered */
};

/* All that running a dispatch needs; lives as long as the worker. */
struct infini_job_context {
	struct infini_objects *objects;
	struct infini_yield *yield;
	const uint8_t *payload;
	size_t payload_bytes;
	struct infini_backend_binding *bindings;	/* room for @max_bindings */
	uint32_t max_bindings;
	bool lost;			/* the backend can do nothing more */
};

/* How many bindings fit into a payload area; no dispatch can have more. */
uint32_t infini_job_bindings_max(size_t payload_bytes);

/* A notice: something is gone. */
void infini_job_notice(struct infini_job_context *ctx, const struct infini_dispatch *dispatch);

/* Run it, and fill @result. The caller has set ctx->yield->dispatch. */
void infini_job_run(struct infini_job_context *ctx, const struct infini_dispatch *dispatch,
		    struct infini_result *result);

/* The result of a job that is given back without having begun. */
void infini_job_give_back(const struct infini_dispatch *dispatch, struct infini_result *result);

static inline bool infini_yield_covers(const struct infini_yield *yield)
{
	return __atomic_load_n(yield->word, __ATOMIC_ACQUIRE) >=
	       __atomic_load_n(&yield->dispatch, __ATOMIC_RELAXED);
}

#endif /* INFINI_DAEMON_JOB_H */
