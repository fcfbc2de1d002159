/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Histograms of durations: eight buckets for each power of two of nanoseconds, from 1 us to half
 * an hour. Compiled into the BPF programs and into the tools.
 */
#ifndef INFINI_BPF_HIST_H
#define INFINI_BPF_HIST_H

#define HIST_FIRST_BIT	10		/* bucket 0: all below 1024 ns */
#define HIST_OCTAVES	31
#define HIST_PARTS	8		/* of an octave */
#define HIST_BUCKETS	(1 + HIST_OCTAVES * HIST_PARTS)

/* The highest bit set; BPF has no instruction for it. */
static inline __attribute__((always_inline)) unsigned int hist_log2(unsigned long long value)
{
	unsigned int bit = 0;

	if (value >> 32) {
		value >>= 32;
		bit += 32;
	}
	if (value >> 16) {
		value >>= 16;
		bit += 16;
	}
	if (value >> 8) {
		value >>= 8;
		bit += 8;
	}
	if (value >> 4) {
		value >>= 4;
		bit += 4;
	}
	if (value >> 2) {
		value >>= 2;
		bit += 2;
	}
	return bit + (value >> 1 != 0);
}

static inline __attribute__((always_inline)) unsigned int hist_bucket(unsigned long long ns)
{
	unsigned int bit, bucket;

	if (ns < 1ull << HIST_FIRST_BIT)
		return 0;
	bit = hist_log2(ns);
	bucket = 1 + (bit - HIST_FIRST_BIT) * HIST_PARTS + ((ns >> (bit - 3)) & (HIST_PARTS - 1));
	return bucket < HIST_BUCKETS ? bucket : HIST_BUCKETS - 1;
}

/* The verifier wants to see the bound. */
static inline __attribute__((always_inline)) void hist_add_times(unsigned int *hist,
								 unsigned long long ns,
								 unsigned int times)
{
	unsigned int bucket = hist_bucket(ns);

	if (bucket < HIST_BUCKETS)
		hist[bucket] += times;
}

static inline __attribute__((always_inline)) void hist_add(unsigned int *hist, unsigned long long ns)
{
	hist_add_times(hist, ns, 1);
}

#endif /* INFINI_BPF_HIST_H */
