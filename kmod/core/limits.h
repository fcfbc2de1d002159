/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an operator may ask of a vdev, and whether a device can promise it.
 *
 * Parts are in millionths (ppm) of the device's time: of a device with two slots, a vdev that
 * holds one of them all the time has 500000.
 */
#ifndef INFINI_CORE_LIMITS_H
#define INFINI_CORE_LIMITS_H

#include "port.h"

#define INFINI_PPM		1000000u
#define INFINI_WEIGHT_MIN	1u
#define INFINI_WEIGHT_MAX	10000u
#define INFINI_WEIGHT_DEFAULT	100u
#define INFINI_QUANTUM_MIN_NS	100000ull
#define INFINI_QUANTUM_MAX_NS	1000000000ull
#define INFINI_QUANTUM_DEFAULT_NS 2000000ull
#define INFINI_RATE_MAX		10000000ull	/* tokens per second */
#define INFINI_BURST_MAX	1000000000ull	/* tokens */

/**
 * enum infini_sched_class - who goes before whom; values are those of the netlink contract
 * @INFINI_SCHED_LATENCY: before all others
 * @INFINI_SCHED_NORMAL: before batch
 * @INFINI_SCHED_BATCH: when nobody else wants to run, and then and now (see sched.h)
 * @INFINI_SCHED_CLASSES: how many
 */
enum infini_sched_class {
	INFINI_SCHED_LATENCY,
	INFINI_SCHED_NORMAL,
	INFINI_SCHED_BATCH,
	INFINI_SCHED_CLASSES
};

/**
 * struct infini_sched_limits - what an operator asks of a vdev
 * @weight: share among those of its class, INFINI_WEIGHT_MIN..INFINI_WEIGHT_MAX
 * @sched_class: enum infini_sched_class
 * @quantum_ns: a longer slice is asked to yield
 * @cap_ppm: most of the device's time that it gets; INFINI_PPM for no cap
 * @floor_ppm: least that it gets while it has work; 0 for none
 * @rate: tokens per second; 0 for no limit
 * @burst: tokens beyond the rate, after a pause; 0 for one second's
 */
struct infini_sched_limits {
	u32 weight;
	u32 sched_class;
	u64 quantum_ns;
	u32 cap_ppm;
	u32 floor_ppm;
	u64 rate;
	u64 burst;
};

/* What is wrong, so that each caller can say it in its own words. */
enum infini_limits_fault {
	INFINI_LIMITS_OK,
	INFINI_LIMITS_WEIGHT,
	INFINI_LIMITS_CLASS,
	INFINI_LIMITS_QUANTUM,
	INFINI_LIMITS_CAP,		/* out of range, or less than one quantum in a second */
	INFINI_LIMITS_FLOOR,		/* above the cap, or above what one slot can give */
	INFINI_LIMITS_FLOOR_LEFT,	/* above what other vdevs' floors leave */
	INFINI_LIMITS_RATE,
	INFINI_LIMITS_BURST
};

/**
 * struct infini_limits_range - which values would have been right
 * @value: what was asked for
 * @low: least
 * @high: most
 */
struct infini_limits_range {
	u64 value;
	u64 low;
	u64 high;
};

void infini_limits_default(struct infini_sched_limits *limits);

/*
 * Can a device with @slots, of whose time @floors_ppm is promised to other vdevs, promise this?
 * @range is filled in when it cannot.
 */
enum infini_limits_fault infini_limits_check(const struct infini_sched_limits *limits, u32 slots,
					     u32 floors_ppm, struct infini_limits_range *range);

#endif /* INFINI_CORE_LIMITS_H */
