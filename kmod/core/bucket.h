/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bucket that fills at a constant rate up to a brim, and is paid from after the fact: it may go
 * below zero, and then has to fill up again first. Caps, floors and token rates are buckets.
 *
 * The unit is the caller's: @rate units come in per nanosecond. For a part of time, a unit is a
 * millionth of a nanosecond and the rate is parts per million; for tokens, a unit is a billionth
 * of a token and the rate is tokens per second. So neither needs a division to fill.
 */
#ifndef INFINI_CORE_BUCKET_H
#define INFINI_CORE_BUCKET_H

#include "port.h"

#define INFINI_BUCKET_PER_NS	1000000u	/* units of a nanosecond, for parts of time */
#define INFINI_BUCKET_PER_TOKEN	1000000000ull	/* units of a token */
#define INFINI_BUCKET_MAX	(1ll << 61)	/* most that is in one, or owed to it */
#define INFINI_BUCKET_NEVER	U64_MAX

/**
 * struct infini_bucket - see above
 * @rate: units per ns; at most 2^32
 * @brim: most that is in it
 * @level: what is in it as of @at_ns
 * @at_ns: the time up to which @level is right
 */
struct infini_bucket {
	u64 rate;
	s64 brim;
	s64 level;
	u64 at_ns;
};

/* Full, as of @now_ns. */
void infini_bucket_init(struct infini_bucket *bucket, u64 rate, s64 brim, u64 now_ns);

/* New rate and brim; what is in it stays, as far as it fits. */
void infini_bucket_set(struct infini_bucket *bucket, u64 rate, s64 brim, u64 now_ns);

/* Fill it up to now. Time that turns back does nothing. */
void infini_bucket_fill(struct infini_bucket *bucket, u64 now_ns);

/* Take @units out of it; never below -INFINI_BUCKET_MAX. */
void infini_bucket_take(struct infini_bucket *bucket, u64 units);

/* When there will be @level in it if nobody takes anything; in the past if there is already. */
u64 infini_bucket_when(const struct infini_bucket *bucket, s64 level);

#endif /* INFINI_CORE_BUCKET_H */
