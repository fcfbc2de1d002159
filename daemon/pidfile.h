/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One infinid per machine: a locked file that holds its process id. */
#ifndef INFINI_DAEMON_PIDFILE_H
#define INFINI_DAEMON_PIDFILE_H

#include <sys/types.h>

/*
 * Make @dir if it is missing and lock @dir/infinid.pid. Returns the descriptor, to be kept open,
 * or -errno; -EBUSY with *@owner the process that holds it. The lock is a POSIX record lock:
 * children do not inherit it, and it goes with the process however that ends.
 */
int infini_pidfile_lock(const char *dir, pid_t *owner);

/* The process that holds @dir/infinid.pid, or 0. */
pid_t infini_pidfile_owner(const char *dir);

/* Remove the file and give the lock back. */
void infini_pidfile_unlock(int fd, const char *dir);

#endif /* INFINI_DAEMON_PIDFILE_H */
