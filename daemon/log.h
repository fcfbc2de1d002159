/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One line per event, to stderr in the journal's form or to syslog. */
#ifndef INFINI_DAEMON_LOG_H
#define INFINI_DAEMON_LOG_H

#include <stdbool.h>
#include <syslog.h>

/*
 * Where lines go from now on. @daemon: nobody reads stderr any more, use syslog. When stderr is
 * the journal itself, each line starts with its priority as in sd-daemon(3).
 */
void infini_log_open(bool daemon);

/* After a child has closed what it inherited. */
void infini_log_reopen(void);

/* Lines above @priority (LOG_ERR .. LOG_DEBUG) are dropped. */
void infini_log_level(int priority);

/* What every line of this process starts with, after the program's name; at most 63 bytes. */
void infini_log_prefix(const char *prefix);

void infini_log(int priority, const char *format, ...) __attribute__((format(printf, 2, 3)));

/*
 * A finished message about what a client did, from a backend for example. A client can do it as
 * often as it likes: more than 20 such lines in 10 seconds are counted, not written.
 */
void infini_log_limited(int priority, const char *message);

#define infini_err(...)		infini_log(LOG_ERR, __VA_ARGS__)
#define infini_warn(...)	infini_log(LOG_WARNING, __VA_ARGS__)
#define infini_notice(...)	infini_log(LOG_NOTICE, __VA_ARGS__)
#define infini_info(...)	infini_log(LOG_INFO, __VA_ARGS__)
#define infini_debug(...)	infini_log(LOG_DEBUG, __VA_ARGS__)

#endif /* INFINI_DAEMON_LOG_H */
