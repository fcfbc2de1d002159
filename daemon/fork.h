/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A child that is born in a control group. */
#ifndef INFINI_DAEMON_FORK_H
#define INFINI_DAEMON_FORK_H

#include <sys/types.h>

/* This process becomes the parent of what its children leave behind (PR_SET_CHILD_SUBREAPER). 0 or -errno. */
int infini_fork_adopt(void);

/*
 * As fork(), but the child is in the group whose directory @cgroup is from its first page on, in this process's
 * if that is -1, and in new @namespaces (CLONE_NEW*). Its parent is the nearest process above it that adopts,
 * which may be this one. -1 where that cannot be; then fork() and a move are the way.
 *
 * A move waits until all processors have been elsewhere (RCU), ten milliseconds and more; this does not.
 */
pid_t infini_fork_into(int cgroup, int namespaces);

#endif /* INFINI_DAEMON_FORK_H */
