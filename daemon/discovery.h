/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices that the supervisor offers: a probe asks each backend for this machine's, and each remote machine for its own. */
#ifndef INFINI_DAEMON_DISCOVERY_H
#define INFINI_DAEMON_DISCOVERY_H

#include "supervisor_state.h"

#include <sys/types.h>

/* Asks every backend; the supervisor is ready when all have answered or failed. */
void infini_discovery_start(struct supervisor *s);
void infini_discovery_read(struct supervisor *s, struct infini_probe *probe);
/* @pid has ended with @status and was a probe. */
void infini_discovery_reap(struct supervisor *s, pid_t pid, int status);

/* Asks the remote machines that it is time to ask. */
void infini_discovery_start_remotes(struct supervisor *s);
void infini_discovery_read_remote(struct supervisor *s, struct infini_remote *remote);
/* True when @pid was the probe of one. */
bool infini_discovery_reap_remote(struct supervisor *s, pid_t pid);

/* Ends what still asks. */
void infini_discovery_stop(struct supervisor *s);

#endif /* INFINI_DAEMON_DISCOVERY_H */
