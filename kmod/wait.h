/* SPDX-License-Identifier: GPL-2.0-only */
/* Waiting until an absolute time, interruptible and freezable. */
#ifndef INFINI_WAIT_H
#define INFINI_WAIT_H

#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/sched.h>
#include <linux/wait.h>

/* Sleep in the state that was set; true when the deadline has passed. */
static inline bool infini_wait_sleep(s64 deadline_ns)
{
	ktime_t until = ns_to_ktime(deadline_ns);

	if (deadline_ns != INFINI_FOREVER)
		return !schedule_hrtimeout(&until, HRTIMER_MODE_ABS);
	schedule();
	return false;
}

/**
 * infini_wait_event - wait for a condition
 * @wq: wait queue head
 * @condition: evaluated after each wake-up
 * @deadline_ns: CLOCK_MONOTONIC; 0 does not wait, INFINI_FOREVER has no end
 *
 * Who is woken is off the list, and looks at @condition before going back to it.
 *
 * Return: 0 when @condition holds, -ETIMEDOUT, or -ERESTARTSYS after a signal.
 */
#define infini_wait_event(wq, condition, deadline_ns)					\
({											\
	s64 __deadline = (deadline_ns);							\
	bool __holds = (condition), __late = __deadline <= 0;				\
	struct wait_queue_entry __entry;						\
	long __err = 0;									\
											\
	if (!__holds && !__late) {							\
		init_wait_entry(&__entry, 0);						\
		do {									\
			__err = prepare_to_wait_event(&(wq), &__entry,			\
					TASK_INTERRUPTIBLE | TASK_FREEZABLE);		\
			__holds = (condition);						\
			if (__holds || __err)						\
				break;							\
			__late = infini_wait_sleep(__deadline);				\
			__holds = (condition);						\
		} while (!__holds && !__late);						\
		finish_wait(&(wq), &__entry);						\
	}										\
	__holds ? 0 : __err ? (int)__err : -ETIMEDOUT;					\
})

#endif /* INFINI_WAIT_H */
