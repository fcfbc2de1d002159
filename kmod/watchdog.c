// SPDX-License-Identifier: GPL-2.0-only
/*
 * What time does to jobs and executors: the quantum, job timeouts, the grace after them, and the
 * end of an executor, revoked or dead.
 */

#include <linux/hrtimer.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>

#include "infini.h"
#include "trace.h"

/* ---- the device's timer ---- */

static struct infini_kjob *infini_executor_head(struct infini_executor *executor)
{
	return list_first_entry_or_null(&executor->held, struct infini_kjob, link);
}

/* When the running job of @executor will have used its timeout. */
static u64 infini_watchdog_expiry(struct infini_executor *executor, struct infini_kjob *job)
{
	u64 left = job->timeout_ns > job->occupancy_ns ? job->timeout_ns - job->occupancy_ns : 0;

	return executor->head_since_ns + left;
}

/*
 * When an executor that was given a slot must have come for a job, or NEVER. A process that is
 * stopped sleeps in EXCHANGE as a living one does, and would keep everybody from the slot.
 */
static u64 infini_watchdog_absence(struct infini_executor *executor)
{
	if (!executor->granted || !list_empty(&executor->held))
		return INFINI_SCHED_NEVER;
	return executor->head_since_ns + (u64)READ_ONCE(infini_grace_ms) * NSEC_PER_MSEC;
}

/* The next moment at which something must be looked at. */
static u64 infini_watchdog_next_locked(struct infini_device *device, u64 now)
{
	struct infini_executor *executor;
	u64 next = INFINI_SCHED_NEVER;

	if (!infini_sched_quiet(&device->sched))
		next = infini_sched_next_event(&device->sched, now);
	list_for_each_entry(executor, &device->running, running_link) {
		struct infini_kjob *job = infini_executor_head(executor);

		if (executor->state != INFINI_EXECUTOR_SERVING || executor->ending)
			continue;
		if (executor->grace_until_ns)
			next = min(next, executor->grace_until_ns);
		else if (job)
			next = min(next, infini_watchdog_expiry(executor, job));
		else
			next = min(next, infini_watchdog_absence(executor));
	}
	return next;
}

void infini_watchdog_arm_locked(struct infini_device *device, u64 now)
{
	u64 next = infini_watchdog_next_locked(device, now);

	lockdep_assert_held(&device->lock);
	if (next == INFINI_SCHED_NEVER)
		return;
	/* A timer that fires early finds nothing to do and arms itself anew. */
	if (hrtimer_is_queued(&device->timer) &&
	    ktime_to_ns(hrtimer_get_expires(&device->timer)) <= (s64)next)
		return;
	hrtimer_start(&device->timer, ns_to_ktime(next), HRTIMER_MODE_ABS);
}

static void infini_watchdog_look_locked(struct infini_executor *executor, u64 now)
{
	struct infini_kjob *job = infini_executor_head(executor);

	if (executor->state != INFINI_EXECUTOR_SERVING || executor->ending)
		return;
	/* A cancelled job is bounded too: whoever runs it may not look at the yield word. */
	if (job && !executor->grace_until_ns && now >= infini_watchdog_expiry(executor, job)) {
		if (job->state == INFINI_JOB_DISPATCHED)
			trace_infini_job_timeout(job, now);
		infini_executor_doom_locked(executor, job, -ETIMEDOUT, INFINI_JOB_EV_EXPIRE);
		executor->grace_until_ns = now + (u64)infini_grace_ms * NSEC_PER_MSEC;
	}
	if (!executor->grace_until_ns && now >= infini_watchdog_absence(executor))
		executor->grace_until_ns = now;
	if (executor->grace_until_ns && now >= executor->grace_until_ns) {
		executor->grace_until_ns = 0;
		executor->ending = true;
		refcount_inc(&executor->refs);
		if (!queue_work(infini_wq, &executor->revoke_work))
			refcount_dec(&executor->refs);
	}
}

static enum hrtimer_restart infini_watchdog_fire(struct hrtimer *timer)
{
	struct infini_device *device = container_of(timer, struct infini_device, timer);
	struct infini_executor *executor;
	unsigned long flags;
	u64 now;

	spin_lock_irqsave(&device->lock, flags);
	now = ktime_get_ns();
	list_for_each_entry(executor, &device->running, running_link)
		infini_watchdog_look_locked(executor, now);
	infini_device_schedule_locked(device, now);
	spin_unlock_irqrestore(&device->lock, flags);
	return HRTIMER_NORESTART;
}

void infini_watchdog_init(struct infini_device *device)
{
	hrtimer_setup(&device->timer, infini_watchdog_fire, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
}

void infini_watchdog_stop(struct infini_device *device)
{
	hrtimer_cancel(&device->timer);
}

/* ---- the end of an executor ---- */

/* Every job it holds ends; nothing of what it still does can reach them any more. */
static void infini_executor_end_held(struct infini_executor *executor, int status)
{
	struct infini_device *device = executor->vdev->device;
	struct infini_wakeups wakeups = {};
	struct infini_kjob *job, *next;
	unsigned long flags;
	bool timed_out = false;
	u64 now;

	spin_lock_irqsave(&device->lock, flags);
	now = ktime_get_ns();
	list_for_each_entry_safe(job, next, &executor->held, link) {
		struct infini_queue *queue = job->queue;
		int end = job->state == INFINI_JOB_DOOMED ? job->status : status;

		timed_out |= end == -ETIMEDOUT;
		if (job == infini_executor_head(executor)) {
			job->occupancy_ns += now - executor->head_since_ns;
			executor->head_since_ns = now;
		}
		list_del_init(&job->link);
		executor->nr_held--;
		queue->nr_held--;
		infini_job_step_locked(job, INFINI_JOB_EV_LOST);
		infini_job_end_locked(job, end, now, &wakeups);
		infini_queue_update_locked(queue, now);
	}
	spin_unlock_irqrestore(&device->lock, flags);
	infini_wakeups_run(&wakeups);
	if (timed_out)
		infini_netlink_event(INFINI_EVENT_JOB_TIMEOUT, device, executor->vdev,
				     pid_nr(executor->tgid));
}

/**
 * infini_executor_revoke - end an executor that does not answer, or is not wanted any more
 * @executor: referenced by the caller
 *
 * Its process is killed and its mappings are gone before its jobs end, so that a late write cannot
 * land in memory that somebody else has been given. The slot stays taken until the process is
 * gone: it may still be on the hardware.
 */
void infini_executor_revoke(struct infini_executor *executor)
{
	struct infini_vdev *vdev = executor->vdev;
	struct infini_device *device = vdev->device;
	enum infini_executor_state was;
	unsigned long flags;

	spin_lock_irqsave(&device->lock, flags);
	was = executor->state;
	if (was < INFINI_EXECUTOR_REVOKED) {
		WRITE_ONCE(executor->state, INFINI_EXECUTOR_REVOKED);
		executor->grace_until_ns = 0;
		/* Not to be given a slot while it dies; the one it has it keeps until then. */
		executor->waiting = false;
		infini_sched_vdev_online(&device->sched, &vdev->sched, false, ktime_get_ns());
		infini_executor_raise_locked(executor);
	}
	spin_unlock_irqrestore(&device->lock, flags);
	if (was >= INFINI_EXECUTOR_REVOKED)
		return;
	trace_infini_executor_state(vdev, executor->generation, INFINI_EXECUTOR_REVOKED);
	if (executor->tgid)
		kill_pid(executor->tgid, SIGKILL, 1);
	infini_mapper_revoke(&executor->mapper);
	wake_up_all(&executor->wait);
	/* An EXCHANGE in progress may be copying a job out; the signal ends it. */
	mutex_lock(&executor->lock);
	infini_executor_end_held(executor, -EOWNERDEAD);
	mutex_unlock(&executor->lock);
	/* A process that does not die, on hardware without an answer, is not to be waited for. */
	if (infini_vdev_has_work(vdev))
		infini_vdev_expect_executor(vdev);
}

/* Take @executor off its vdev; false when it was off already. */
static bool infini_executor_detach(struct infini_executor *executor, struct list_head *notices)
{
	struct infini_vdev *vdev = executor->vdev;
	struct infini_device *device = vdev->device;
	unsigned long flags;
	bool mine;
	u64 now;

	spin_lock_irqsave(&device->lock, flags);
	now = ktime_get_ns();
	WRITE_ONCE(executor->state, INFINI_EXECUTOR_GONE);
	mine = vdev->executor == executor;
	if (mine) {
		infini_sched_vdev_online(&device->sched, &vdev->sched, false, now);
		executor->waiting = false;
		if (executor->granted) {
			WRITE_ONCE(executor->granted, false);
			list_del_init(&executor->running_link);
			infini_sched_put(&device->sched, &vdev->sched, now);
		}
		vdev->executor = NULL;
		/* Before the next executor can say what it holds. */
		infini_vdev_charge_held(vdev, 0);
		list_splice_init(&vdev->notices, notices);
		list_splice_tail_init(&executor->told, notices);
	}
	infini_device_schedule_locked(device, now);
	spin_unlock_irqrestore(&device->lock, flags);
	return mine;
}

/*
 * The process is gone, or the file is. Called from ->flush, which a copied file cannot delay, and
 * from ->release; the second call finds nothing to do.
 */
void infini_executor_lost(struct infini_executor *executor)
{
	struct infini_vdev *vdev = executor->vdev;
	bool clients;
	LIST_HEAD(notices);

	if (READ_ONCE(executor->state) == INFINI_EXECUTOR_GONE)
		return;
	infini_mapper_revoke(&executor->mapper);
	infini_executor_end_held(executor, -EOWNERDEAD);
	if (!infini_executor_detach(executor, &notices))
		return;
	infini_notices_done(&notices);
	trace_infini_executor_state(vdev, executor->generation, INFINI_EXECUTOR_GONE);
	/* Who could change the reason is gone. */
	infini_netlink_event_why(INFINI_EVENT_EXECUTOR_LOST, vdev->device, vdev,
				 executor->tgid ? pid_nr(executor->tgid) : 0,
				 executor->end_reason);
	mutex_lock(&vdev->lock);
	clients = vdev->nr_clients;
	mutex_unlock(&vdev->lock);
	if (infini_vdev_has_work(vdev))
		infini_vdev_expect_executor(vdev);
	else if (clients)
		infini_vdev_want_executor(vdev);
	infini_executor_put(executor);
}
