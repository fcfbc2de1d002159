// SPDX-License-Identifier: GPL-2.0-only
/* The world outside the module's objects, and the parts of the module that are not tested here. */
#include <linux/module.h>
#include <linux/slab.h>
#include <kunit/test.h>

#include "infini.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

#define MOCK_TIMERS	8

u64 mock_now_ns = NSEC_PER_SEC;
int mock_respond_err;
struct file *mock_file;
unsigned int mock_kills;
unsigned int mock_events[16];

/* What main.c has. */
DEFINE_MUTEX(infini_registry_lock);
struct workqueue_struct *infini_wq;
unsigned int infini_default_timeout_ms = 10000;
unsigned int infini_max_timeout_ms = 600000;
unsigned int infini_grace_ms = 5000;
unsigned int infini_executor_wait_ms = 5000;
unsigned int infini_executor_start_ms = 60000;
unsigned int infini_spin_us;

static struct {
	struct hrtimer *timer;
	u64 at_ns;
} mock_timers[MOCK_TIMERS];

unsigned long mock_copy(void *to, const void *from, size_t bytes)
{
	if ((unsigned long)to < PAGE_SIZE || (unsigned long)from < PAGE_SIZE)
		return bytes;
	memcpy(to, from, bytes);
	return 0;
}

/* ---- time ---- */

void mock_timer_cancel(struct hrtimer *timer)
{
	int i;

	for (i = 0; i < MOCK_TIMERS; i++)
		if (mock_timers[i].timer == timer)
			mock_timers[i].timer = NULL;
}

void mock_timer_start(struct hrtimer *timer, u64 at_ns)
{
	int i;

	mock_timer_cancel(timer);
	for (i = 0; i < MOCK_TIMERS; i++) {
		if (mock_timers[i].timer)
			continue;
		mock_timers[i].timer = timer;
		mock_timers[i].at_ns = at_ns;
		return;
	}
	WARN_ON(1);
}

u64 mock_timer_expires(const struct hrtimer *timer)
{
	int i;

	for (i = 0; i < MOCK_TIMERS; i++)
		if (mock_timers[i].timer == timer)
			return mock_timers[i].at_ns;
	return U64_MAX;
}

bool mock_timer_queued(const struct hrtimer *timer)
{
	return mock_timer_expires(timer) != U64_MAX;
}

void mock_advance(u64 ns)
{
	u64 until = mock_now_ns + ns;
	int i, due;

	for (;;) {
		struct hrtimer *timer;

		for (i = 0, due = -1; i < MOCK_TIMERS; i++)
			if (mock_timers[i].timer && mock_timers[i].at_ns <= until &&
			    (due < 0 || mock_timers[i].at_ns < mock_timers[due].at_ns))
				due = i;
		if (due < 0)
			break;
		timer = mock_timers[due].timer;
		mock_now_ns = max(mock_now_ns, mock_timers[due].at_ns);
		mock_timers[due].timer = NULL;
		timer->function(timer);
	}
	mock_now_ns = until;
}

/* ---- processes and files ---- */

int mock_kill(struct pid *pid)
{
	mock_kills++;
	return 0;
}

void mock_fd_install(struct file *file)
{
	mock_file = file;
}

/* ---- chardev.c ---- */

int infini_ucmd_respond(struct infini_ucmd *ucmd)
{
	return mock_respond_err;
}

int infini_copy_array(void *to, u64 from, u32 stride, size_t size, u32 index)
{
	return mock_copy(to, (const void *)(uintptr_t)from + (u64)stride * index, size) ?
	       -EFAULT : 0;
}

int infini_copy_array_back(u64 to, u32 stride, const void *from, size_t size, u32 index)
{
	return mock_copy((void *)(uintptr_t)to + (u64)stride * index, from, size) ? -EFAULT : 0;
}

long infini_ioctl(struct file *file, unsigned int cmd, unsigned long arg,
		  const struct infini_ioctl *table, unsigned int nr)
{
	struct infini_ucmd ucmd = {
		.file = file,
		.user = (void __user *)arg,
		.cmd = (void *)arg,
	};
	unsigned int i;

	for (i = 0; i < nr; i++) {
		if (table[i].nr != _IOC_NR(cmd))
			continue;
		ucmd.user_size = table[i].size;
		return table[i].execute(&ucmd);
	}
	return -ENOTTY;
}

int infini_end_reason_check(const struct infini_end_reason *cmd)
{
	return -EOPNOTSUPP;
}

int infini_query_fill(struct infini_query *query, enum infini_role role)
{
	query->role = role;
	return 0;
}

struct device *infini_node_create(struct infini_vdev *vdev)
{
	return NULL;
}

void infini_node_destroy(struct infini_vdev *vdev)
{
}

/* ---- netlink.c, debugfs.c ---- */

void infini_netlink_event_why(enum infini_event type, const struct infini_device *device,
			      struct infini_vdev *vdev, pid_t pid, const char *reason)
{
	might_sleep();
	mock_events[type]++;
}

void infini_client_fdinfo(struct seq_file *m, struct file *file)
{
}

/* ---- the module ---- */

static int __init mock_init(void)
{
	int err;

	infini_wq = alloc_workqueue("infini_kunit", WQ_UNBOUND, 0);
	if (!infini_wq)
		return -ENOMEM;
	err = infini_fs_init();
	if (err)
		destroy_workqueue(infini_wq);
	return err;
}

static void __exit mock_exit(void)
{
	destroy_workqueue(infini_wq);
	infini_fs_exit();
	rcu_barrier();
}

module_init(mock_init);
module_exit(mock_exit);

MODULE_DESCRIPTION("KUnit suites of Infini");
MODULE_LICENSE("GPL");
