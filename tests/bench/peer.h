/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ways for one process to have another do something and to learn that it is done. Each peer is a
 * client, the measuring process, and a server, forked from it; both do nothing but talk.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

/**
 * struct peer - a way there and back
 * @name: of one word
 * @own: what the functions are called with
 * @make: what both need, before the fork; 0 or -errno
 * @serve: the server, until it is killed; NULL when somebody else serves
 * @reach: the client's side, which may have to wait for the server's; 0 or -errno
 * @trip: there and back, once
 * @end: the client's side is gone, before the server is
 */
struct peer {
	const char *name;
	void *own;
	int (*make)(void *own);
	void (*serve)(void *own);
	int (*reach)(void *own);
	void (*trip)(void *own);
	void (*end)(void *own);
};

extern const struct peer peer_cuse;
extern const struct peer peer_eventfd;
extern const struct peer peer_infini;
extern const struct peer peer_infinid;
extern const struct peer peer_pipe;
extern const struct peer peer_socket;
extern const struct peer peer_ublk;

/* Ends the program, whichever side it is. */
_Noreturn void die(const char *what, int err);

/* Waits for the server to make @path, some seconds; opens it. A descriptor or -errno. */
int open_soon(const char *path, int flags);

#endif /* BENCH_PEER_H */
