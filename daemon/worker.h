/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The process that runs one vdev's work on one device. */
#ifndef INFINI_DAEMON_WORKER_H
#define INFINI_DAEMON_WORKER_H

#include "backend.h"
#include "config.h"
#include "roster.h"
#include "sandbox_calls.h"

struct infini_worker {
	int executor_fd;
	const struct infini_config *config;
	const char *vdev_name;
	const char *backend;
	const char *device;
	const char *pci;		/* of the device, or "" */
	const char *library;		/* that drives it, or "" */
	uint32_t device_class;
	uint32_t needs;			/* of the device, INFINI_BACKEND_NEEDS_* */
	const struct infini_backend_remote *remote;	/* whose device it is, or NULL */
	const struct infini_backend_ops *ops;		/* by infini_worker_open(), or NULL */
	struct infini_backend *opened;			/* by it, or NULL */
	struct infini_sandbox_filter filter;		/* by it */
};

/*
 * Exit codes of a worker. Anything else, or a signal, is a crash. The supervisor starts a worker
 * again, after a pause when it crashed, as soon as the kernel wants one.
 */
enum infini_worker_exit {
	INFINI_WORKER_STOPPED	= 0,	/* was told to stop, or retired */
	INFINI_WORKER_FAILED	= 1,	/* could not start, or the protocol broke */
	INFINI_WORKER_GONE	= 3,	/* the vdev or the device is gone */
};

/* SIGTERM: give back what runs and stop. This one: stop if the vdev has no buffer. */
#define INFINI_WORKER_RETIRE_SIGNAL	SIGUSR1

/* One on @device; which vdev's, and by which server, is not said yet. It points into both. */
static inline struct infini_worker infini_worker_on(const struct infini_roster_device *device,
						    const struct infini_config *config)
{
	return (struct infini_worker){
		.executor_fd = -1,
		.config = config,
		.backend = device->backend,
		.device = device->name,
		.pci = device->pci,
		.library = device->library,
		.device_class = device->device_class,
		.needs = device->needs,
	};
}

/* Load the backend and open the device for workers that are forked from this process. 0 or -errno, logged. */
int infini_worker_open(struct infini_worker *worker);

/* Be the worker, in a process of its own, and end it. */
_Noreturn void infini_worker_main(const struct infini_worker *worker);

#endif /* INFINI_DAEMON_WORKER_H */
