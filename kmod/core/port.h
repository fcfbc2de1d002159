/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The one place where the scheduling core sees what it is compiled into: the kernel, or a host
 * program (tests, simulator, fuzzers, benchmark). Everything else in this folder is pure.
 */
#ifndef INFINI_CORE_PORT_H
#define INFINI_CORE_PORT_H

#ifdef __KERNEL__

#include <linux/bitops.h>
#include <linux/bug.h>
#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/types.h>

#define INFINI_CORE_WARN_ON(cond)	WARN_ON_ONCE(cond)

#else

#include <assert.h>
#include <errno.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#define U64_MAX			((u64)~0ull)
#define S64_MAX			((s64)(U64_MAX >> 1))
#define U32_MAX			((u32)~0u)

#define INFINI_CORE_WARN_ON(cond)	({ bool __c = !!(cond); assert(!__c); __c; })

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

#define min_t(type, a, b)	({ type __a = (a); type __b = (b); __a < __b ? __a : __b; })
#define max_t(type, a, b)	({ type __a = (a); type __b = (b); __a > __b ? __a : __b; })

static inline int fls64(u64 x)
{
	return x ? 64 - __builtin_clzll(x) : 0;
}

static inline u64 div64_u64(u64 a, u64 b)
{
	return a / b;
}

static inline s64 div64_s64(s64 a, s64 b)
{
	return a / b;
}

static inline u64 mul_u64_u64_div_u64(u64 a, u64 mul, u64 div)
{
	return (u64)((__uint128_t)a * mul / div);
}

#endif /* __KERNEL__ */

#endif /* INFINI_CORE_PORT_H */
