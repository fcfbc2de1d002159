// SPDX-License-Identifier: GPL-2.0-only
/* A bucket that fills at a constant rate and is paid from after the fact. */
#include "bucket.h"

/**
 * infini_bucket_init - a full bucket
 * @bucket: any memory
 * @rate: units per ns
 * @brim: most that is in it
 * @now_ns: the time
 */
void infini_bucket_init(struct infini_bucket *bucket, u64 rate, s64 brim, u64 now_ns)
{
	bucket->rate = rate;
	bucket->brim = min_t(s64, brim, INFINI_BUCKET_MAX);
	bucket->level = bucket->brim;
	bucket->at_ns = now_ns;
}

/**
 * infini_bucket_set - change rate and brim
 * @bucket: what is in it stays, as far as it fits
 * @rate: units per ns, from now on
 * @brim: most that is in it
 * @now_ns: the time
 */
void infini_bucket_set(struct infini_bucket *bucket, u64 rate, s64 brim, u64 now_ns)
{
	infini_bucket_fill(bucket, now_ns);
	bucket->rate = rate;
	bucket->brim = min_t(s64, brim, INFINI_BUCKET_MAX);
	bucket->level = min_t(s64, bucket->level, bucket->brim);
	bucket->at_ns = now_ns;
}

/**
 * infini_bucket_fill - bring the level up to now
 * @bucket: which
 * @now_ns: the time
 */
void infini_bucket_fill(struct infini_bucket *bucket, u64 now_ns)
{
	u64 passed_ns;

	if (now_ns <= bucket->at_ns)
		return;
	passed_ns = now_ns - bucket->at_ns;
	bucket->at_ns = now_ns;
	if (!bucket->rate || bucket->level >= bucket->brim)
		return;
	/* The division says whether it is full without a product that might not fit. */
	if (passed_ns > div64_u64(bucket->brim - bucket->level, bucket->rate))
		bucket->level = bucket->brim;
	else
		bucket->level += passed_ns * bucket->rate;
}

/**
 * infini_bucket_take - pay from it
 * @bucket: filled up to now
 * @units: how much; it may not be there
 */
void infini_bucket_take(struct infini_bucket *bucket, u64 units)
{
	u64 room = bucket->level + INFINI_BUCKET_MAX;

	bucket->level -= (s64)min_t(u64, units, room);
}

/**
 * infini_bucket_when - when will there be so much?
 * @bucket: which
 * @level: at most the brim
 *
 * Return: a time, or INFINI_BUCKET_NEVER.
 */
u64 infini_bucket_when(const struct infini_bucket *bucket, s64 level)
{
	if (bucket->level >= level)
		return bucket->at_ns;
	if (!bucket->rate || level > bucket->brim)
		return INFINI_BUCKET_NEVER;
	return bucket->at_ns + div64_u64(level - bucket->level + bucket->rate - 1, bucket->rate);
}
