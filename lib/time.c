// SPDX-License-Identifier: LGPL-2.1-or-later
/* Deadlines, and the short look at a timeline before a wait. */
#include <time.h>

#include "infini.h"

#define INFINI_SPIN_LOOKS	64	/* at the timeline between two at the clock */

static int64_t infini_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

int64_t infini_deadline(int64_t ns)
{
	int64_t deadline;

	if (ns < 0 || __builtin_add_overflow(infini_now(), ns, &deadline))
		return INFINI_FOREVER;
	return deadline;
}

static inline void infini_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

static bool infini_timeline_reached(const struct infini_timeline *timeline, uint64_t seqno)
{
	return __atomic_load_n(&timeline->completed, __ATOMIC_ACQUIRE) >= seqno;
}

bool infini_timeline_spin(const struct infini_timeline *timeline, uint64_t seqno,
			  uint64_t spin_ns)
{
	uint64_t start;

	if (infini_timeline_reached(timeline, seqno))
		return true;
	if (!spin_ns)
		return false;
	start = infini_now();
	do {
		for (int i = 0; i < INFINI_SPIN_LOOKS; i++) {
			if (infini_timeline_reached(timeline, seqno))
				return true;
			infini_relax();
		}
	} while ((uint64_t)infini_now() - start < spin_ns);
	return false;
}
