// SPDX-License-Identifier: GPL-2.0-only
/* What an operator may ask of a vdev, and whether a device can promise it. */
#include "limits.h"

/**
 * infini_limits_default - what a vdev gets that is not asked for
 * @limits: out
 */
void infini_limits_default(struct infini_sched_limits *limits)
{
	*limits = (struct infini_sched_limits){
		.weight = INFINI_WEIGHT_DEFAULT,
		.sched_class = INFINI_SCHED_NORMAL,
		.quantum_ns = INFINI_QUANTUM_DEFAULT_NS,
		.cap_ppm = INFINI_PPM,
	};
}

static bool outside(u64 value, u64 low, u64 high, struct infini_limits_range *range)
{
	if (value >= low && value <= high)
		return false;
	range->value = value;
	range->low = low;
	range->high = high;
	return true;
}

/* A cap is kept over any second, so a second of it must hold a quantum. */
static u64 cap_low(const struct infini_sched_limits *limits, u32 slots)
{
	u64 per_ppm_ns = 1000ull * slots;

	return min_t(u64, max_t(u64, div64_u64(limits->quantum_ns + per_ppm_ns - 1, per_ppm_ns),
				1), INFINI_PPM);
}

/* One executor holds one slot. */
static u64 floor_high(const struct infini_sched_limits *limits, u32 slots)
{
	return min_t(u64, limits->cap_ppm, INFINI_PPM / slots);
}

/**
 * infini_limits_check - is it allowed, and can it be promised?
 * @limits: asked for
 * @slots: of the device, at least 1
 * @floors_ppm: promised to the device's other vdevs
 * @range: out, when not: what would have been right; of floors that are promised away, the most
 *	that is left
 *
 * Return: INFINI_LIMITS_OK or the first thing that is wrong.
 */
enum infini_limits_fault infini_limits_check(const struct infini_sched_limits *limits, u32 slots,
					     u32 floors_ppm, struct infini_limits_range *range)
{
	u32 left_ppm = INFINI_PPM - min_t(u32, floors_ppm, INFINI_PPM);

	if (outside(limits->weight, INFINI_WEIGHT_MIN, INFINI_WEIGHT_MAX, range))
		return INFINI_LIMITS_WEIGHT;
	if (outside(limits->sched_class, 0, INFINI_SCHED_CLASSES - 1, range))
		return INFINI_LIMITS_CLASS;
	if (outside(limits->quantum_ns, INFINI_QUANTUM_MIN_NS, INFINI_QUANTUM_MAX_NS, range))
		return INFINI_LIMITS_QUANTUM;
	if (outside(limits->cap_ppm, cap_low(limits, slots), INFINI_PPM, range))
		return INFINI_LIMITS_CAP;
	if (outside(limits->floor_ppm, 0, floor_high(limits, slots), range))
		return INFINI_LIMITS_FLOOR;
	if (outside(limits->floor_ppm, 0, left_ppm, range))
		return INFINI_LIMITS_FLOOR_LEFT;
	if (outside(limits->rate, 0, INFINI_RATE_MAX, range))
		return INFINI_LIMITS_RATE;
	if (outside(limits->burst, 0, limits->rate ? INFINI_BURST_MAX : 0, range))
		return INFINI_LIMITS_BURST;
	return INFINI_LIMITS_OK;
}
