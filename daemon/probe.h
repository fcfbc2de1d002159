/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Asks a backend for its devices, in a child: vendor libraries stay out of the supervisor. */
#ifndef INFINI_DAEMON_PROBE_H
#define INFINI_DAEMON_PROBE_H

#include "backend.h"
#include "config.h"

/* A probe that takes longer than this is killed. */
#define INFINI_PROBE_TIMEOUT_S	120
/* A server has one client at a time, and one that is killed while it waits may take it along. */
#define INFINI_PROBE_REMOTE_TIMEOUT_S	600
/* How long it may take to be connected. */
#define INFINI_PROBE_CONNECT_S	5

/* What the child says: a device, or at the end whether it could ask. */
struct infini_probe_report {
	bool end;
	char why[256];			/* at the end: why it could not, or "" */
	struct infini_backend_device device;
};

struct infini_probe {
	pid_t pid;			/* 0: none runs */
	int fd;				/* reports come in here */
	size_t filled;			/* bytes of @report that have come */
	struct infini_probe_report report;
	char backend[INFINI_NAME_MAX];
	char remote[INFINI_NAME_MAX];	/* whose devices it asks for, or "" */
	bool ended;			/* the child has said so */
	char why[256];			/* then: the backend could not be asked, or "" */
};

/* Start one. 0 or -errno. */
int infini_probe_start(struct infini_probe *probe, const struct infini_config *config,
		       const char *backend);

/*
 * Start one that asks @backend for the devices of @remote, once its server can be reached; with
 * @reach_only it is only seen whether it can. 0 or -errno.
 */
int infini_probe_start_remote(struct infini_probe *probe, const struct infini_config *config,
			      const char *backend, const struct infini_config_remote *remote,
			      bool reach_only);

/*
 * Take what the child has written, without waiting, and call @found for every device that holds
 * up. 1 when the child has closed its end, 0 while more may come. The caller reaps.
 */
int infini_probe_read(struct infini_probe *probe, infini_backend_found_fn found, void *arg);

/* Close the reading end and forget the child. */
void infini_probe_end(struct infini_probe *probe);

/* NULL, or what is wrong with a device that a backend reports. */
const char *infini_probe_refusal(const struct infini_backend_device *device);

#endif /* INFINI_DAEMON_PROBE_H */
