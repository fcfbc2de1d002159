/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading the histograms of hist.h. */
#ifndef INFINI_BPF_QUANTILE_H
#define INFINI_BPF_QUANTILE_H

#include <stdint.h>

#include "hist.h"

/* The shortest duration of a bucket; of HIST_BUCKETS, the end of the last. */
uint64_t hist_floor_ns(unsigned int bucket);

uint64_t hist_count(const uint32_t *hist);

/* The duration below which @ppm of the million fall, within a sixteenth; 0 of an empty one. */
uint64_t hist_quantile_ns(const uint32_t *hist, uint32_t ppm);

/* "870us" or "1.25s" into @text; three digits, "-" for 0. */
#define HIST_TEXT	16
const char *hist_text(uint64_t ns, char text[HIST_TEXT]);

#endif /* INFINI_BPF_QUANTILE_H */
