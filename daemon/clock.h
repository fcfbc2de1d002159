/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The supervisor's clock. */
#ifndef INFINI_DAEMON_CLOCK_H
#define INFINI_DAEMON_CLOCK_H

#include <stdint.h>
#include <time.h>

#define INFINI_NS_PER_MS	1000000LL
#define INFINI_NS_PER_S		1000000000LL

static inline int64_t infini_clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INFINI_NS_PER_S + now.tv_nsec;
}

#endif /* INFINI_DAEMON_CLOCK_H */
