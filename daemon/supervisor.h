/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The daemon proper: devices online, a worker for every vdev in use. */
#ifndef INFINI_DAEMON_SUPERVISOR_H
#define INFINI_DAEMON_SUPERVISOR_H

#include "config.h"

struct infini_supervisor_setup {
	struct infini_config *config;		/* replaced on SIGHUP */
	const char *config_path;		/* read again on SIGHUP */
	bool config_required;			/* it may not be missing */
	void (*ready)(void *arg);		/* once, when all devices are registered */
	void *arg;
};

/*
 * Run until SIGTERM or SIGINT. 0 after a clean stop; -errno when it could not start or go on,
 * with one line logged.
 */
int infini_supervisor_run(const struct infini_supervisor_setup *setup);

#endif /* INFINI_DAEMON_SUPERVISOR_H */
