/* SPDX-License-Identifier: GPL-2.0-only */
/* Waiting until an absolute time: looking for a while, then sleeping, interruptible and freezable. */
#ifndef INFINI_WAIT_H
#define INFINI_WAIT_H

#include <linux/cpumask.h>
#include <linux/freezer.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/wait.h>

#define INFINI_SPIN_US_MAX	USEC_PER_SEC

static inline u32 infini_spin_max_ns(void)
{
	return min_t(u32, READ_ONCE(infini_spin_us), INFINI_SPIN_US_MAX) * NSEC_PER_USEC;
}

/* When a wait began that is to be learned from; 0 where nobody else could bring about what is waited for. */
static inline u64 infini_spin_begin(void)
{
	return READ_ONCE(infini_spin_us) && num_online_cpus() > 1 ? ktime_get_ns() : 0;
}

/* Go on looking? Not when anybody else wants this processor. */
static inline bool infini_spin_on(const struct infini_spin *spin, u64 began_ns, s64 deadline_ns)
{
	u64 now;

	if (!began_ns || need_resched() || !single_task_running() || signal_pending(current))
		return false;
	cpu_relax();
	now = ktime_get_ns();
	return now - began_ns < min(READ_ONCE(spin->window_ns), infini_spin_max_ns()) &&
	       (s64)now < deadline_ns;
}

/* What was given up early tells nothing. */
static inline void infini_spin_end(struct infini_spin *spin, u64 began_ns, bool holds)
{
	u32 max_ns = infini_spin_max_ns();
	u64 waited_ns;

	if (!began_ns)
		return;
	waited_ns = ktime_get_ns() - began_ns;
	if (holds || waited_ns > max_ns)
		WRITE_ONCE(spin->window_ns,
			   infini_spin_next(READ_ONCE(spin->window_ns), max_ns, waited_ns));
}

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
 * @spin: what was learned from earlier waits
 * @condition: evaluated after each wake-up, and while looking
 * @deadline_ns: CLOCK_MONOTONIC; 0 does not wait, INFINI_FOREVER has no end
 *
 * Who looks is not on the list, so that nobody need wake him. Who is woken is off the list, and looks at
 * @condition before going back to it.
 *
 * Return: 0 when @condition holds, -ETIMEDOUT, or -ERESTARTSYS after a signal.
 */
#define infini_wait_event(wq, spin, condition, deadline_ns)				\
({											\
	s64 __deadline = (deadline_ns);							\
	bool __holds = (condition), __late = __deadline <= 0;				\
	struct infini_spin *__spin = (spin);						\
	struct wait_queue_entry __entry;						\
	long __err = 0;									\
	u64 __began;									\
											\
	if (!__holds && !__late) {							\
		__began = infini_spin_begin();						\
		while (!__holds && infini_spin_on(__spin, __began, __deadline))		\
			__holds = (condition);						\
		init_wait_entry(&__entry, 0);						\
		while (!__holds && !__late) {						\
			__err = prepare_to_wait_event(&(wq), &__entry,			\
					TASK_INTERRUPTIBLE | TASK_FREEZABLE);		\
			__holds = (condition);						\
			if (__holds || __err)						\
				break;							\
			__late = infini_wait_sleep(__deadline);				\
			__holds = (condition);						\
		}									\
		finish_wait(&(wq), &__entry);						\
		infini_spin_end(__spin, __began, __holds);				\
	}										\
	__holds ? 0 : __err ? (int)__err : -ETIMEDOUT;					\
})

#endif /* INFINI_WAIT_H */
