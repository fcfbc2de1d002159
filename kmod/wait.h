/* SPDX-License-Identifier: GPL-2.0-only */
/* Waiting until an absolute time, interruptible and freezable. */
#ifndef INFINI_WAIT_H
#define INFINI_WAIT_H

#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/sched.h>
#include <linux/wait.h>

/**
 * infini_wait_event - wait for a condition
 * @wq: wait queue head
 * @condition: evaluated after each wake-up
 * @deadline_ns: CLOCK_MONOTONIC; 0 does not wait, INFINI_FOREVER has no end
 *
 * Return: 0 when @condition holds, -ETIMEDOUT, or -ERESTARTSYS after a signal.
 */
#define infini_wait_event(wq, condition, deadline_ns)					\
({											\
	s64 __deadline = (deadline_ns);							\
	ktime_t __until = ns_to_ktime(__deadline);					\
	bool __late = __deadline <= 0;							\
	long __err = 0;									\
											\
	if (!(condition)) {								\
		if (!__late)								\
			__err = ___wait_event(wq, (condition) || __late,		\
				(TASK_INTERRUPTIBLE | TASK_FREEZABLE), 0, 0,		\
				if (!schedule_hrtimeout(__deadline == INFINI_FOREVER ?	\
							NULL : &__until,		\
							HRTIMER_MODE_ABS))		\
					__late = true);					\
		if (!__err && __late && !(condition))					\
			__err = -ETIMEDOUT;						\
	}										\
	(int)__err;									\
})

#endif /* INFINI_WAIT_H */
