/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers GET /metrics: on a UNIX socket, on a port of this machine alone, and on sockets that are passed. */
#ifndef INFINI_DAEMON_METRICS_HTTP_H
#define INFINI_DAEMON_METRICS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The path of a socket with its NUL has to fit into struct sockaddr_un. */
#define INFINI_METRICS_SOCKET_BYTES	108
#define INFINI_METRICS_PASSED_MAX	4

struct infini_metrics_http;

/* What is asked for: the energy of devices is told apart too, in few lines for those who ask often. */
enum infini_metrics_page {
	INFINI_METRICS_ALL,		/* /metrics */
	INFINI_METRICS_ENERGY,		/* /metrics/energy */
	INFINI_METRICS_NR_PAGES
};

/*
 * A page: *@text, which is freed with free(), and its *@length. @prometheus: in the older format.
 * 0, or -errno for an answer that says that there is none now.
 */
typedef int (*infini_metrics_page_fn)(enum infini_metrics_page page, bool prometheus, char **text,
				      size_t *length, void *arg);

struct infini_metrics_places {
	const char *path;		/* which only root can connect to */
	uint32_t port;			/* of 127.0.0.1; 0: none */
	/* Sockets that somebody else listens on, and goes on with afterwards. */
	int passed[INFINI_METRICS_PASSED_MAX];
	unsigned int nr_passed;
};

/*
 * Answer at @places. Nothing runs by itself: see infini_metrics_http_run(). 0 or -errno with a sentence
 * in @why.
 */
int infini_metrics_http_start(struct infini_metrics_http **out,
			      const struct infini_metrics_places *places,
			      infini_metrics_page_fn page, void *arg, char *why, size_t why_bytes);

/* Whether @fd is a socket that can be passed. */
bool infini_metrics_http_accepts(int fd);

/* Readable when there is something to do. */
int infini_metrics_http_fd(const struct infini_metrics_http *http);
/* When there is something to do at the latest, of CLOCK_MONOTONIC; INFINI_FOREVER for never. */
int64_t infini_metrics_http_next_ns(const struct infini_metrics_http *http);
/* Do it, without waiting. */
void infini_metrics_http_run(struct infini_metrics_http *http);

/* Connections are cut; the socket's name is removed, those that were passed stay open. NULL is fine. */
void infini_metrics_http_stop(struct infini_metrics_http *http);

#endif /* INFINI_DAEMON_METRICS_HTTP_H */
