/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The worker's loop: take jobs from the kernel, run them, hand the results back. */
#ifndef INFINI_DAEMON_EXCHANGE_H
#define INFINI_DAEMON_EXCHANGE_H

#include "job.h"

#include <signal.h>

/* Everything is allocated before the loop starts; the loop allocates nothing of its own. */
struct infini_exchanger {
	int fd;				/* the executor file */
	uint32_t window;
	struct infini_exchange exchange;
	struct infini_dispatch *dispatches;	/* @window of them */
	struct infini_result *results;		/* room for twice @window */
	uint32_t nr_results;
	uint8_t *payload;
	struct infini_job_context job;
	struct infini_yield yield;
	volatile sig_atomic_t stop;	/* give back what has not ended, and leave */
	volatile sig_atomic_t retire;	/* leave if this worker holds nothing that would be lost */
};

/* @window and @payload_bytes as ATTACH agreed on them; @word is the mapped yield word. */
int infini_exchanger_init(struct infini_exchanger *x, int fd, uint32_t window,
			  size_t payload_bytes, const uint64_t *word,
			  struct infini_objects *objects);
void infini_exchanger_release(struct infini_exchanger *x);

/*
 * Serve until there is a reason not to. 0 after a stop or when retired; -ENODEV the vdev or its
 * device is gone; -EIO the backend is lost; any other -errno of EXCHANGE, which means that one side
 * is broken.
 */
int infini_exchanger_serve(struct infini_exchanger *x);

/* Both are safe in a signal handler, and no job or sleep is begun after them. */
void infini_exchanger_stop(struct infini_exchanger *x);
void infini_exchanger_retire(struct infini_exchanger *x);

#endif /* INFINI_DAEMON_EXCHANGE_H */
