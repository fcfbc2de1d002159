// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Trips to another process and back, by each of the peers that are named, in turns.
 *
 * roundtrip ROUNDS TRIPS PEER... prints, ROUNDS times for each, "PEER NANOSECONDS" of TRIPS trips;
 * "PEER not here: WHY" for one that this machine has not got.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "peer.h"

static const struct peer *const peers[] = {
	&peer_infini, &peer_infinid, &peer_eventfd, &peer_pipe, &peer_socket, &peer_cuse, &peer_ublk,
};

#define NR_PEERS	(sizeof(peers) / sizeof(peers[0]))

struct running {
	const struct peer *peer;
	pid_t server;
};

_Noreturn void die(const char *what, int err)
{
	fprintf(stderr, "roundtrip: %s: %s\n", what, strerror(abs(err)));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int open_soon(const char *path, int flags)
{
	const struct timespec pause = { .tv_nsec = 1000000 };

	for (int i = 0; i < 10000; i++) {
		int fd = open(path, flags);

		/* A node that udev has not opened to us yet, or whose server is not quite there. */
		if (fd >= 0 || (errno != ENOENT && errno != ENXIO && errno != EACCES))
			return fd < 0 ? -errno : fd;
		nanosleep(&pause, NULL);
	}
	return -ETIMEDOUT;
}

static const struct peer *peer_find(const char *name)
{
	for (size_t i = 0; i < NR_PEERS; i++)
		if (!strcmp(peers[i]->name, name))
			return peers[i];
	fprintf(stderr, "roundtrip: no peer %s\n", name);
	exit(2);
}

/* False when this machine has not got it. */
static bool start(struct running *run, const struct peer *peer)
{
	int err = peer->make(peer->own);

	if (err) {
		printf("%s not here: %s\n", peer->name, strerror(-err));
		return false;
	}
	run->peer = peer;
	if (peer->serve) {
		fflush(stdout);
		run->server = fork();
		if (run->server < 0)
			die("fork", errno);
		if (!run->server) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			peer->serve(peer->own);
			exit(1);
		}
	}
	err = peer->reach(peer->own);
	if (err)
		die(peer->name, err);
	return true;
}

static void stop(const struct running *run)
{
	run->peer->end(run->peer->own);
	if (!run->server)
		return;
	kill(run->server, SIGKILL);
	waitpid(run->server, NULL, 0);
}

static void trips(const struct peer *peer, unsigned long nr)
{
	while (nr--)
		peer->trip(peer->own);
}

static void measure(const struct peer *peer, unsigned long nr)
{
	uint64_t began_ns;

	/* The way is paved anew: another peer's trips were between. */
	trips(peer, nr / 4 + 1);
	began_ns = now_ns();
	trips(peer, nr);
	printf("%s %" PRIu64 "\n", peer->name, now_ns() - began_ns);
}

int main(int argc, char **argv)
{
	struct running running[NR_PEERS] = { 0 };
	unsigned long rounds, nr;
	int found = 0;

	if (argc < 4 || argc > 3 + (int)NR_PEERS) {
		fprintf(stderr, "usage: roundtrip ROUNDS TRIPS PEER...\n");
		return 2;
	}
	rounds = strtoul(argv[1], NULL, 10);
	nr = strtoul(argv[2], NULL, 10);
	for (int i = 3; i < argc; i++)
		found += start(&running[found], peer_find(argv[i]));
	while (rounds--)
		for (int i = 0; i < found; i++)
			measure(running[i].peer, nr);
	while (found--)
		stop(&running[found]);
	return fflush(stdout) ? 1 : 0;
}
