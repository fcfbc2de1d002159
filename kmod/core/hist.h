/* SPDX-License-Identifier: GPL-2.0-only */
/* Which bucket of a histogram of waits a wait belongs to. */
#ifndef INFINI_CORE_HIST_H
#define INFINI_CORE_HIST_H

#include "port.h"

#define INFINI_HIST_BUCKETS	160

/**
 * infini_hist_bucket - the bucket that counts @ns
 * @ns: a wait in nanoseconds
 *
 * Four buckets of equal width to an octave: with o = i / 4 and s = i % 4, bucket i counts
 * [2^o * (4 + s) / 4, 2^o * (5 + s) / 4) ns. 0 counts as 1 ns; the last bucket also takes all
 * that is longer (2^40 ns are 18 minutes).
 *
 * Return: 0..INFINI_HIST_BUCKETS - 1
 */
static inline u32 infini_hist_bucket(u64 ns)
{
	u32 octave;

	if (!ns)
		return 0;
	octave = fls64(ns) - 1;
	if (octave >= INFINI_HIST_BUCKETS / 4)
		return INFINI_HIST_BUCKETS - 1;
	return octave * 4 + ((ns << 2 >> octave) & 3);
}

#endif /* INFINI_CORE_HIST_H */
