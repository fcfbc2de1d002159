// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A 128-bit hash of bytes: two lanes of multiply and rotate, after MurmurHash3's x64 variant.
 */
#include "frontend.h"

#include <string.h>

static uint64_t infini_hash_rotate(uint64_t x, unsigned int n)
{
	return x << n | x >> (64 - n);
}

static uint64_t infini_hash_finish(uint64_t x)
{
	x ^= x >> 33;
	x *= 0xff51afd7ed558ccdULL;
	x ^= x >> 33;
	x *= 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

static void infini_hash_add(uint64_t lanes[2], const uint64_t k[2])
{
	uint64_t a = lanes[0], b = lanes[1];

	a ^= infini_hash_rotate(k[0] * 0x87c37b91114253d5ULL, 31) * 0x4cf5ad432745937fULL;
	a = (infini_hash_rotate(a, 27) + b) * 5 + 0x52dce729;
	b ^= infini_hash_rotate(k[1] * 0x4cf5ad432745937fULL, 33) * 0x87c37b91114253d5ULL;
	b = (infini_hash_rotate(b, 31) + a) * 5 + 0x38495ab5;
	lanes[0] = a;
	lanes[1] = b;
}

void infini_hash(uint64_t hash[2], const void *data, size_t bytes)
{
	uint64_t lanes[2] = { bytes, ~(uint64_t)bytes }, k[2];
	const uint8_t *p = data;
	uint64_t a, b;

	for (; bytes >= sizeof(k); bytes -= sizeof(k), p += sizeof(k)) {
		memcpy(k, p, sizeof(k));
		infini_hash_add(lanes, k);
	}
	if (bytes) {
		memset(k, 0, sizeof(k));
		memcpy(k, p, bytes);
		infini_hash_add(lanes, k);
	}
	a = lanes[0] + lanes[1];
	b = lanes[1] + a;
	a = infini_hash_finish(a);
	b = infini_hash_finish(b);
	hash[0] = a + b;
	hash[1] = hash[0] + b;
}
