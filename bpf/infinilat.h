/* SPDX-License-Identifier: GPL-2.0-only */
/* What infinilat's programs count, per processor. */
#ifndef INFINILAT_H
#define INFINILAT_H

#include "hist.h"

enum lat_kind {
	LAT_WAIT,	/* before a dispatch */
	LAT_RUN,	/* of a job with the worker, from a dispatch until it is back */
	LAT_YIELD,	/* from the demand to yield until the first job is back */
	LAT_TTFT,
	LAT_ITL,
	LAT_KINDS
};

/* A control group on a vdev. */
struct lat_key {
	__u64 cgroup;
	__u32 device;
	__u32 vdev;
};

struct lat_row {
	__u32 wait[HIST_BUCKETS];
	__u32 run[HIST_BUCKETS];
	__u32 yield[HIST_BUCKETS];
	__u32 ttft[HIST_BUCKETS];
	__u32 itl[HIST_BUCKETS];
};

#endif /* INFINILAT_H */
