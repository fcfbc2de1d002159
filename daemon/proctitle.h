/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What ps shows for a process that forked without exec. */
#ifndef INFINI_DAEMON_PROCTITLE_H
#define INFINI_DAEMON_PROCTITLE_H

/*
 * To be called once, first thing in main(): moves the environment away, so that its room can be
 * written over. 0 or -ENOMEM.
 */
int infini_proctitle_init(int argc, char **argv);

/* Cut to the room there is; the thread's name takes the first 15 bytes. */
void infini_proctitle_set(const char *title);

#endif /* INFINI_DAEMON_PROCTITLE_H */
