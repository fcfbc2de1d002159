// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Devices of another machine, behind ggml's RPC server.
 */
#include "ggml_remote.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <syslog.h>

#include "ggml_device.h"

/* A worker has at most so many files: see the sandbox. */
#define FILES_MAX	256

/* A silent machine is asked after so many seconds, this many times, so many seconds apart. */
#define SILENT_S	15
#define QUESTIONS	3
#define QUESTION_S	5

ggml_backend_reg_t infini_ggml_remote_connect(const struct infini_backend_remote *remote,
					      infini_backend_log_fn log)
{
	ggml_backend_reg_t rpc = ggml_backend_reg_by_name("RPC"), found;
	ggml_backend_reg_t (*add)(const char *endpoint) = NULL;

	if (rpc)
		*(void **)&add = ggml_backend_reg_get_proc_address(rpc,
								   "ggml_backend_rpc_add_server");
	if (!add) {
		infini_ggml_log(log, LOG_ERR, "libggml has no RPC backend here: install it "
				"(libggml0-backend-rpc)");
		return NULL;
	}
	found = add(remote->endpoint);
	if (!found)
		infini_ggml_log(log, LOG_ERR, "the server at %s offers no device",
				remote->endpoint);
	return found;
}

bool infini_ggml_remote_name(const struct infini_backend_remote *remote, size_t index, char *name,
			     size_t bytes)
{
	if (!index)
		return (size_t)snprintf(name, bytes, "%s", remote->name) < bytes;
	return (size_t)snprintf(name, bytes, "%s.%zu", remote->name, index) < bytes;
}

static void watch_socket(int fd)
{
	const int on = 1, silent = SILENT_S, times = QUESTIONS, apart = QUESTION_S;
	const unsigned int limit_ms = 1000 * (SILENT_S + QUESTIONS * QUESTION_S);

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &silent, sizeof(silent));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &times, sizeof(times));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &apart, sizeof(apart));
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &limit_ms, sizeof(limit_ms));
}

/* libggml does not say which its sockets are; nobody else here has one of TCP. */
void infini_ggml_remote_watch(void)
{
	struct sockaddr_in peer;
	socklen_t bytes;
	int fd;

	for (fd = 0; fd < FILES_MAX; fd++) {
		bytes = sizeof(peer);
		if (!getpeername(fd, (struct sockaddr *)&peer, &bytes) &&
		    peer.sin_family == AF_INET)
			watch_socket(fd);
	}
}

bool infini_ggml_remote_supports(const struct ggml_tensor *op)
{
	ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);

	return cpu && ggml_backend_dev_supports_op(cpu, op);
}
