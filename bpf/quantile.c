// SPDX-License-Identifier: GPL-2.0-only
/* Reading the histograms of hist.h. */
#include "quantile.h"

#include <stdio.h>
#include <string.h>

uint64_t hist_floor_ns(unsigned int bucket)
{
	unsigned int octave, part;

	if (!bucket)
		return 0;
	octave = (bucket - 1) / HIST_PARTS;
	part = (bucket - 1) % HIST_PARTS;
	return ((uint64_t)HIST_PARTS + part) << (HIST_FIRST_BIT - 3 + octave);
}

uint64_t hist_count(const uint32_t *hist)
{
	uint64_t count = 0;

	for (unsigned int i = 0; i < HIST_BUCKETS; i++)
		count += hist[i];
	return count;
}

/* Evenly spread within a bucket, as far as anybody knows. */
uint64_t hist_quantile_ns(const uint32_t *hist, uint32_t ppm)
{
	double wanted = hist_count(hist) * (ppm / 1e6), below = 0;
	uint64_t last = 0;

	for (unsigned int i = 0; i < HIST_BUCKETS; i++) {
		uint64_t from = hist_floor_ns(i), to = hist_floor_ns(i + 1);

		if (!hist[i])
			continue;
		if (below + hist[i] >= wanted)
			return from + (uint64_t)((to - from) * ((wanted - below) / hist[i]));
		below += hist[i];
		last = to;
	}
	return last;
}

const char *hist_text(uint64_t ns, char text[HIST_TEXT])
{
	static const char *const units[] = { "ns", "us", "ms", "s" };
	double value = ns;
	size_t unit = 0;

	if (!ns)
		return strcpy(text, "-");
	/* What would be printed as four digits belongs to the next unit. */
	while (unit < 3 && value >= 999.5) {
		value /= 1000;
		unit++;
	}
	snprintf(text, HIST_TEXT, "%.*f%s", !unit || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2,
		 value, units[unit]);
	return text;
}
