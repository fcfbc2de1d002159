/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the module's objects see in place of the world outside: a clock that is moved by hand, one
 * timer that fires when it is, user memory that is kernel memory, descriptors that are a variable.
 * Included in front of every source.
 */
#ifndef INFINI_KUNIT_MOCK_H
#define INFINI_KUNIT_MOCK_H

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <linux/types.h>
#include <linux/uaccess.h>

extern u64 mock_now_ns;
extern int mock_respond_err;		/* what answering a command comes to */
extern struct file *mock_file;		/* the last file that got a descriptor */
extern unsigned int mock_kills;
extern unsigned int mock_events[16];	/* by enum infini_event */

/* Pointers into the first page lead nowhere, as a user's would. */
unsigned long mock_copy(void *to, const void *from, size_t bytes);
void mock_timer_start(struct hrtimer *timer, u64 at_ns);
bool mock_timer_queued(const struct hrtimer *timer);
u64 mock_timer_expires(const struct hrtimer *timer);
void mock_timer_cancel(struct hrtimer *timer);
int mock_kill(struct pid *pid);
void mock_fd_install(struct file *file);

/* Time passes; timers that fall due fire at their time. */
void mock_advance(u64 ns);

#undef copy_from_user
#undef copy_to_user
#undef put_user
#undef kill_pid
#undef fd_install
#undef fput
#define ktime_get_ns()		mock_now_ns
#define copy_from_user(to, from, n)	mock_copy(to, (const void __force *)(from), n)
#define copy_to_user(to, from, n)	mock_copy((void __force *)(to), from, n)
#define put_user(value, to) ({							\
	typeof(*(to)) __value = (value);					\
	mock_copy((void __force *)(to), &__value, sizeof(__value)) ? -EFAULT : 0; })
#define hrtimer_start(timer, at, mode)	mock_timer_start(timer, ktime_to_ns(at))
#define hrtimer_is_queued(timer)	mock_timer_queued(timer)
#define hrtimer_get_expires(timer)	ns_to_ktime(mock_timer_expires(timer))
#define hrtimer_cancel(timer)		mock_timer_cancel(timer)
#define kill_pid(pid, sig, priv)	mock_kill(pid)
#define get_unused_fd_flags(flags)	(100)
#define put_unused_fd(fd)		((void)(fd))
#define fd_install(fd, file)		mock_fd_install(file)
#define fput(file)			__fput_sync(file)

#endif /* INFINI_KUNIT_MOCK_H */
