// SPDX-License-Identifier: GPL-2.0-or-later
/* Peers that are two descriptors: write to one, read from the other. Four system calls a trip. */
#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "peer.h"

struct end {
	int read, write;
};

static struct fds {
	struct end client, server;
} eventfd_fds, pipe_fds, socket_fds;

static void fds_serve(void *own)
{
	const struct end *server = &((const struct fds *)own)->server;
	uint64_t word;

	for (;;)
		if (read(server->read, &word, sizeof(word)) != sizeof(word) ||
		    write(server->write, &word, sizeof(word)) != sizeof(word))
			die("server", errno);
}

static int fds_reach(void *own)
{
	(void)own;
	return 0;
}

static void fds_trip(void *own)
{
	const struct end *client = &((const struct fds *)own)->client;
	uint64_t word = 1;

	if (write(client->write, &word, sizeof(word)) != sizeof(word) ||
	    read(client->read, &word, sizeof(word)) != sizeof(word))
		die("client", errno);
}

static void fds_end(void *own)
{
	const struct fds *fds = own;

	close(fds->client.read);
	close(fds->client.write);
	close(fds->server.read);
	close(fds->server.write);
}

static int eventfd_make(void *own)
{
	struct fds *fds = own;

	fds->client.write = eventfd(0, EFD_CLOEXEC);
	fds->client.read = eventfd(0, EFD_CLOEXEC);
	if (fds->client.write < 0 || fds->client.read < 0)
		return -errno;
	fds->server.read = dup(fds->client.write);
	fds->server.write = dup(fds->client.read);
	return fds->server.read < 0 || fds->server.write < 0 ? -errno : 0;
}

static int pipe_make(void *own)
{
	struct fds *fds = own;
	int there[2], back[2];

	if (pipe(there) || pipe(back))
		return -errno;
	fds->client.write = there[1];
	fds->server.read = there[0];
	fds->client.read = back[0];
	fds->server.write = back[1];
	return 0;
}

static int socket_make(void *own)
{
	struct fds *fds = own;
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends))
		return -errno;
	fds->client.write = ends[0];
	fds->server.read = ends[1];
	fds->client.read = dup(ends[0]);
	fds->server.write = dup(ends[1]);
	return fds->client.read < 0 || fds->server.write < 0 ? -errno : 0;
}

#define FDS(name_)			\
	.name = #name_,			\
	.own = &name_##_fds,		\
	.make = name_##_make,		\
	.serve = fds_serve,		\
	.reach = fds_reach,		\
	.trip = fds_trip,		\
	.end = fds_end

const struct peer peer_eventfd = { FDS(eventfd) };
const struct peer peer_pipe = { FDS(pipe) };
const struct peer peer_socket = { FDS(socket) };
