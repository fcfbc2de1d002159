// SPDX-License-Identifier: GPL-2.0-or-later
/* Ending a watch cleanly on Ctrl-C. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "ctl.h"

int infini_signals_open(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int infini_signals_wait(int signals, int fd, int timeout_ms)
{
	struct pollfd polled[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = fd, .events = POLLIN },
	};
	int ready;

	do {
		ready = poll(polled, 2, timeout_ms);
	} while (ready < 0 && errno == EINTR);
	if (ready < 0)
		return -errno;
	if (polled[0].revents)
		return -EINTR;
	return polled[1].revents ? 1 : 0;
}
