/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a child of the supervisor does first, since it goes on in the same program. */
#ifndef INFINI_DAEMON_CHILD_H
#define INFINI_DAEMON_CHILD_H

/* @on_term or SIG_DFL for SIGTERM, none blocked, and those that are the supervisor's to answer ignored. */
void infini_child_signals(void (*on_term)(int signal));

/* Be called @title, and have the log and @keep open, and nothing that the supervisor had. */
void infini_child_settle(const char *title, int keep);

/*
 * Go on when the supervisor knows of this process, and has written a byte: until the next supervisor could
 * find it, it is none, and ends when the other end of @gate is closed.
 */
void infini_child_pass(int gate);

#endif /* INFINI_DAEMON_CHILD_H */
