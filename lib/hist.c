// SPDX-License-Identifier: LGPL-2.1-or-later
/* Quantiles of the module's histograms of waits. */
#include "infini-admin.h"

#define INFINI_PPM	1000000u

/* Where bucket @i begins; it is a quarter of its octave wide. */
static double infini_hist_start(uint32_t i)
{
	return (double)(UINT64_C(1) << (i / 4)) * (4 + i % 4) / 4;
}

uint64_t infini_hist_quantile(const uint64_t *hist, uint32_t ppm)
{
	double total = 0, below = 0, rank, width;
	uint32_t i;

	for (i = 0; i < INFINI_HIST_BUCKETS; i++)
		total += hist[i];
	if (total == 0)
		return 0;
	rank = ppm < INFINI_PPM ? total * ppm / INFINI_PPM : total;
	/* Ends in a bucket that holds something, at the latest in the last such one. */
	for (i = 0; !hist[i] || below + hist[i] < rank; i++)
		below += hist[i];
	/* Waits are taken as spread evenly over their bucket. */
	width = (double)(UINT64_C(1) << (i / 4)) / 4;
	return infini_hist_start(i) + width * (rank - below) / hist[i];
}
