// SPDX-License-Identifier: GPL-2.0-or-later
/* Answers GET /metrics: on a UNIX socket, on a port of this machine alone, and on sockets that are passed. */
#include "metrics_http.h"

#include "clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/infini.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Enough for a few collectors; whoever only holds a connection loses it. */
#define CONNECTIONS_MAX		16
#define CONNECTION_TIMEOUT_S	10
#define CONNECTION_BYTES	(16 * 1024)

#define TYPE_OPENMETRICS	"application/openmetrics-text; version=1.0.0; charset=utf-8"
#define TYPE_PROMETHEUS		"text/plain; version=0.0.4; charset=utf-8"
#define TYPE_WORDS		"text/plain; charset=utf-8"

enum listener { LISTENER_UNIX, LISTENER_TCP, LISTENER_PASSED,
		NR_LISTENERS = LISTENER_PASSED + INFINI_METRICS_PASSED_MAX };

struct infini_metrics_http {
	infini_metrics_page_fn page;
	void *arg;
	int epoll_fd;
	struct MHD_Daemon *daemons[NR_LISTENERS];
	char path[INFINI_METRICS_SOCKET_BYTES];
};

/* ---- answers ----------------------------------------------------------------------- */

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned int status,
			      const char *type, char *text, size_t length,
			      enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(length, text, mode);
	enum MHD_Result result;

	if (!response) {
		if (mode == MHD_RESPMEM_MUST_FREE)
			free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_words(struct MHD_Connection *connection, unsigned int status,
				    const char *words)
{
	return answer(connection, status, TYPE_WORDS, (char *)words, strlen(words),
		      MHD_RESPMEM_PERSISTENT);
}

/* OpenMetrics unless the client names plain text and not it. */
static bool wants_prometheus(struct MHD_Connection *connection)
{
	const char *accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_ACCEPT);

	return accept && strcasestr(accept, "text/plain") &&
	       !strcasestr(accept, "application/openmetrics-text");
}

static const char *const urls[INFINI_METRICS_NR_PAGES] = {
	[INFINI_METRICS_ALL] = "/metrics",
	[INFINI_METRICS_ENERGY] = "/metrics/energy",
};

static enum MHD_Result handle(void *arg, struct MHD_Connection *connection, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_bytes, void **state)
{
	struct infini_metrics_http *http = arg;
	bool prometheus = wants_prometheus(connection);
	enum infini_metrics_page page = INFINI_METRICS_ALL;
	size_t length;
	char *text;

	(void)version;
	(void)upload;
	/* The first call comes before the body has been read, and nobody needs one. */
	if (!*state) {
		*state = http;
		return MHD_YES;
	}
	if (*upload_bytes) {
		*upload_bytes = 0;
		return MHD_YES;
	}
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return answer_words(connection, MHD_HTTP_METHOD_NOT_ALLOWED,
				    "infinid answers GET and HEAD\n");
	while (page < INFINI_METRICS_NR_PAGES && strcmp(url, urls[page]))
		page++;
	if (page == INFINI_METRICS_NR_PAGES)
		return answer_words(connection, MHD_HTTP_NOT_FOUND,
				    "infinid has only /metrics and /metrics/energy\n");
	if (http->page(page, prometheus, &text, &length, http->arg))
		return answer_words(connection, MHD_HTTP_SERVICE_UNAVAILABLE,
				    "the kernel module does not answer; see infinid's log\n");
	return answer(connection, MHD_HTTP_OK, prometheus ? TYPE_PROMETHEUS : TYPE_OPENMETRICS,
		      text, length, MHD_RESPMEM_MUST_FREE);
}

/* ---- sockets ----------------------------------------------------------------------- */

static int bind_and_listen(int fd, const struct sockaddr *address, socklen_t bytes)
{
	if (bind(fd, address, bytes) || listen(fd, CONNECTIONS_MAX))
		return -errno;
	return 0;
}

/* What a daemon that was killed left behind is removed; a file that is no socket is not. */
static int remove_stale(const char *path)
{
	struct stat info;

	if (lstat(path, &info))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(info.st_mode))
		return -EEXIST;
	return unlink(path) ? -errno : 0;
}

static int open_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, ret = remove_stale(path);
	mode_t mask;

	if (ret)
		return ret;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	memcpy(address.sun_path, path, strlen(path) + 1);
	mask = umask(0177);
	ret = bind_and_listen(fd, (const struct sockaddr *)&address, sizeof(address));
	umask(mask);
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

static int open_tcp(uint32_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int ret = 0, one = 1;

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)))
		ret = -errno;
	if (!ret)
		ret = bind_and_listen(fd, (const struct sockaddr *)&address, sizeof(address));
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/* Takes @fd in any case. */
static int start_daemon(struct infini_metrics_http *http, enum listener listener, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };
	const union MHD_DaemonInfo *info;
	struct MHD_Daemon *daemon;

	daemon = MHD_start_daemon(MHD_USE_EPOLL, 0, NULL, NULL, handle, http,
				  MHD_OPTION_LISTEN_SOCKET, fd,
				  MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
				  MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S,
				  MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_BYTES,
				  MHD_OPTION_END);
	if (!daemon) {
		close(fd);
		return -EIO;
	}
	http->daemons[listener] = daemon;
	info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info)
		return -EIO;
	return epoll_ctl(http->epoll_fd, EPOLL_CTL_ADD, info->epoll_fd, &event) ? -errno : 0;
}

static int __attribute__((format(printf, 4, 5)))
explain(char *why, size_t why_bytes, int error, const char *format, ...)
{
	size_t length;
	va_list args;

	va_start(args, format);
	vsnprintf(why, why_bytes, format, args);
	va_end(args);
	length = strlen(why);
	snprintf(why + length, why_bytes - length, ": %s",
		 error == -EEXIST ? "it is there and is no socket" : strerror(-error));
	return error;
}

bool infini_metrics_http_accepts(int fd)
{
	int listens = 0;
	socklen_t bytes = sizeof(listens);

	return !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &bytes) && listens;
}

/* Who passes a socket may have left it to block. */
static int start_passed(struct infini_metrics_http *http, enum listener listener, int passed)
{
	int fd = fcntl(passed, F_DUPFD_CLOEXEC, 0), flags = fcntl(passed, F_GETFL);

	if (fd < 0)
		return -errno;
	if (flags >= 0 && !fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return start_daemon(http, listener, fd);
	flags = -errno;
	close(fd);
	return flags;
}

static int start_listeners(struct infini_metrics_http *http, const struct infini_metrics_places *places,
			   char *why, size_t why_bytes)
{
	int ret = open_unix(places->path);

	if (ret >= 0) {
		snprintf(http->path, sizeof(http->path), "%s", places->path);
		ret = start_daemon(http, LISTENER_UNIX, ret);
	}
	if (ret < 0)
		return explain(why, why_bytes, ret, "%s", places->path);
	if (places->port) {
		ret = open_tcp(places->port);
		if (ret >= 0)
			ret = start_daemon(http, LISTENER_TCP, ret);
		if (ret < 0)
			return explain(why, why_bytes, ret, "127.0.0.1 port %u", places->port);
	}
	for (unsigned int i = 0; i < places->nr_passed; i++) {
		ret = start_passed(http, LISTENER_PASSED + i, places->passed[i]);
		if (ret < 0)
			return explain(why, why_bytes, ret, "socket %u of the service manager", i + 1);
	}
	return 0;
}

int infini_metrics_http_start(struct infini_metrics_http **out,
			      const struct infini_metrics_places *places,
			      infini_metrics_page_fn page, void *arg, char *why, size_t why_bytes)
{
	struct infini_metrics_http *http;
	int ret;

	*out = NULL;
	if (strlen(places->path) >= INFINI_METRICS_SOCKET_BYTES)
		return explain(why, why_bytes, -ENAMETOOLONG, "%s", places->path);
	http = calloc(1, sizeof(*http));
	if (!http)
		return explain(why, why_bytes, -ENOMEM, "%s", places->path);
	http->page = page;
	http->arg = arg;
	http->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (http->epoll_fd < 0)
		ret = explain(why, why_bytes, -errno, "epoll");
	else
		ret = start_listeners(http, places, why, why_bytes);
	if (ret)
		infini_metrics_http_stop(http);
	else
		*out = http;
	return ret;
}

int infini_metrics_http_fd(const struct infini_metrics_http *http)
{
	return http->epoll_fd;
}

int64_t infini_metrics_http_next_ns(const struct infini_metrics_http *http)
{
	int64_t next = INFINI_FOREVER, due;
	MHD_UNSIGNED_LONG_LONG ms;

	for (int i = 0; i < NR_LISTENERS; i++) {
		if (!http->daemons[i] || MHD_get_timeout(http->daemons[i], &ms) != MHD_YES)
			continue;
		due = infini_clock_ns() + (int64_t)ms * INFINI_NS_PER_MS;
		if (due < next)
			next = due;
	}
	return next;
}

/*
 * Twice: libmicrohttpd stops listening while it has all the connections it may have, and looks
 * whether it may listen again only when it begins to run.
 */
void infini_metrics_http_run(struct infini_metrics_http *http)
{
	for (int i = 0; i < NR_LISTENERS; i++) {
		if (!http->daemons[i])
			continue;
		MHD_run(http->daemons[i]);
		MHD_run(http->daemons[i]);
	}
}

void infini_metrics_http_stop(struct infini_metrics_http *http)
{
	if (!http)
		return;
	for (int i = 0; i < NR_LISTENERS; i++) {
		if (http->daemons[i])
			MHD_stop_daemon(http->daemons[i]);
	}
	if (http->path[0])
		unlink(http->path);
	if (http->epoll_fd >= 0)
		close(http->epoll_fd);
	free(http);
}
