// SPDX-License-Identifier: GPL-2.0-or-later
/* A server on the loopback that stands for another machine, one for each case. */
#include "server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "world.h"

#define STARTS_S	120		/* on however slow a machine */
#define LOOK_MS		10
#define LINES_MOST	4

static bool bind_loopback(int fd, struct sockaddr_in *address)
{
	socklen_t bytes = sizeof(*address);

	*address = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	return !bind(fd, (struct sockaddr *)address, bytes) &&
	       !getsockname(fd, (struct sockaddr *)address, &bytes);
}

/* One that nobody uses now. */
static bool find_port(struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool found = fd >= 0 && bind_loopback(fd, address);

	if (fd >= 0)
		close(fd);
	return found;
}

static bool listens(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool reached = fd >= 0 && !connect(fd, (const struct sockaddr *)address, sizeof(*address));

	if (fd >= 0)
		close(fd);
	return reached;
}

static _Noreturn void child(const struct server *server, const char *program)
{
	int log = open(server->log, O_WRONLY | O_CREAT | O_TRUNC, 0666);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	/* It has a CPU, and looks for no other device. */
	setenv("VK_LOADER_DRIVERS_DISABLE", "*", 1);
	execl(program, program, server->endpoint, (char *)NULL);
	dprintf(STDERR_FILENO, "%s cannot be run\n", program);
	_exit(1);
}

static bool ended(struct server *server, int *status)
{
	if (waitpid(server->pid, status, WNOHANG) != server->pid)
		return false;
	server->pid = 0;
	return true;
}

static void remark_log(const struct server *server)
{
	FILE *file = fopen(server->log, "r");
	char lines[LINES_MOST][200];
	unsigned int n = 0;

	if (!file)
		return;
	while (fgets(lines[n % LINES_MOST], sizeof(lines[0]), file))
		n++;
	for (unsigned int i = n > LINES_MOST ? n - LINES_MOST : 0; i < n; i++)
		remark("the server said: %s", lines[i % LINES_MOST]);
	fclose(file);
}

bool server_start(struct server *server, const char *program, const char *dir)
{
	const struct timespec pause = { .tv_nsec = LOOK_MS * 1000000L };
	struct sockaddr_in address;
	int status;

	if (!find_port(&address)) {
		remark("no port on the loopback");
		return false;
	}
	snprintf(server->endpoint, sizeof(server->endpoint), "127.0.0.1:%u", ntohs(address.sin_port));
	snprintf(server->log, sizeof(server->log), "%s/server.log", dir);
	server->pid = fork();
	if (!server->pid)
		child(server, program);
	for (int i = 0; server->pid > 0 && i < STARTS_S * 1000 / LOOK_MS; i++) {
		if (ended(server, &status))
			break;
		if (listens(&address))
			return true;
		nanosleep(&pause, NULL);
	}
	remark("%s does not listen at %s", program, server->endpoint);
	remark_log(server);
	if (server->pid > 0)
		server_end(server);
	return false;
}

bool server_end(struct server *server)
{
	int status;

	if (ended(server, &status)) {
		remark("the server has ended with %s %d", WIFSIGNALED(status) ? "signal" : "status",
		       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		remark_log(server);
		return false;
	}
	kill(server->pid, SIGKILL);
	waitpid(server->pid, &status, 0);
	server->pid = 0;
	return true;
}
