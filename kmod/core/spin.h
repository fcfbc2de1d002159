/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How long to look for what is waited for before going to sleep. What has lately come soon is worth
 * looking for: a wake-up costs more than a short wait. The rule is that of KVM's halt polling
 * (Documentation/virt/kvm/halt-polling.rst).
 */
#ifndef INFINI_CORE_SPIN_H
#define INFINI_CORE_SPIN_H

#include "port.h"

#define INFINI_SPIN_FIRST_NS	10000u

/**
 * struct infini_spin - what one who waits again and again has learned
 * @window_ns: how long it looks; has no lock, who waits at the same time may overwrite it
 */
struct infini_spin {
	u32 window_ns;
};

/**
 * infini_spin_next - how long to look the next time
 * @window_ns: for how long one would have looked this time, 0 for not at all
 * @max_ns: the longest that is allowed
 * @waited_ns: what it took until it came, or longer than @max_ns
 *
 * Return: nanoseconds, 0 or from INFINI_SPIN_FIRST_NS to @max_ns, which wins.
 */
static inline u32 infini_spin_next(u32 window_ns, u32 max_ns, u64 waited_ns)
{
	u64 next_ns = window_ns;

	if (waited_ns > max_ns)
		next_ns = window_ns / 2 < INFINI_SPIN_FIRST_NS ? 0 : window_ns / 2;
	else if (waited_ns > window_ns)
		next_ns = max_t(u64, 2 * next_ns, INFINI_SPIN_FIRST_NS);
	return (u32)min_t(u64, next_ns, max_ns);
}

#endif /* INFINI_CORE_SPIN_H */
