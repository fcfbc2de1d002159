/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A server on the loopback that stands for another machine, one for each case. */
#ifndef INFINI_TESTS_BACKENDS_SERVER_H
#define INFINI_TESTS_BACKENDS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

struct server {
	pid_t pid;			/* 0: none runs */
	char endpoint[32];		/* "127.0.0.1:port" */
	char log[128];			/* what it says */
};

/* Runs @program with an endpoint, and waits until it listens. False with a remark. */
bool server_start(struct server *server, const char *program, const char *dir);
/* Ends it. False with remarks when it had ended before: no client may do that to it. */
bool server_end(struct server *server);

#endif /* INFINI_TESTS_BACKENDS_SERVER_H */
