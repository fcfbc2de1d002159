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
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define U64_MAX			UINT64_MAX
#define S64_MAX			INT64_MAX
#define U32_MAX			UINT32_MAX

#define INFINI_CORE_WARN_ON(cond)	({ bool __c = !!(cond); assert(!__c); __c; })

#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))

#define min_t(type, a, b)	((type)(a) < (type)(b) ? (type)(a) : (type)(b))
#define max_t(type, a, b)	((type)(a) > (type)(b) ? (type)(a) : (type)(b))

static inline int fls64(u64 x) { return x ? 64 - __builtin_clzll(x) : 0; }
static inline u64 div64_u64(u64 a, u64 b) { return a / b; }
static inline s64 div64_s64(s64 a, s64 b) { return a / b; }
static inline u64 mul_u64_u64_div_u64(u64 a, u64 mul, u64 div)
{
	return (u64)((unsigned __int128)a * mul / div);
}

#endif /* __KERNEL__ */

#endif /* INFINI_CORE_PORT_H */
