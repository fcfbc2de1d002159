/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells the service manager how the supervisor is: sd_notify(3), by hand. */
#ifndef INFINI_DAEMON_NOTIFY_H
#define INFINI_DAEMON_NOTIFY_H

#include <stdbool.h>

/* Whether a service manager has started this process. */
bool infini_notify_managed(void);

/*
 * Send @format, lines of VARIABLE=VALUE, to $NOTIFY_SOCKET. 0 also when there is no service
 * manager, else -errno: a daemon goes on without.
 */
int infini_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same with a copy of @fd. */
int infini_notify_fd(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Wait until all that was sent has been done; -ETIMEDOUT after @timeout_ms. */
int infini_notify_barrier(int timeout_ms);

#endif /* INFINI_DAEMON_NOTIFY_H */
