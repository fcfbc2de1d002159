// SPDX-License-Identifier: GPL-2.0-only
/* Queues: ordered streams of jobs, their timelines, and how they end. */

#include <linux/eventfd.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "infini.h"
#include "wait.h"

/* ---- life ---- */

static void infini_queue_free(struct infini_queue *queue)
{
	struct infini_client *client = queue->client;
	u32 i;

	for (i = 0; i < queue->depth; i++) {
		kvfree(queue->jobs[i].payload);
		kvfree(queue->jobs[i].buffers);
	}
	infini_vdev_uncharge(client->vdev, queue->charged_bytes);
	atomic_dec(&client->vdev->nr_queues);
	if (queue->eventfd)
		eventfd_ctx_put(queue->eventfd);
	kvfree(queue->jobs);
	free_page((unsigned long)queue->timeline);
	kfree(queue);
	infini_client_put(client);
}

/* Process context. */
void infini_queue_put(struct infini_queue *queue)
{
	if (refcount_dec_and_test(&queue->refs))
		infini_queue_free(queue);
}

/**
 * infini_queue_new - a queue that is in no table yet
 * @client: whose
 * @depth: 1..INFINI_QUEUE_DEPTH_MAX
 * @weight: checked by the caller
 * @eventfd: consumed on success, or NULL
 *
 * Return: the queue with one reference, or an error pointer.
 */
struct infini_queue *infini_queue_new(struct infini_client *client, u32 depth, u32 weight,
				      struct eventfd_ctx *eventfd)
{
	struct infini_queue *queue;
	size_t bytes = size_add(array_size(depth, sizeof(*queue->jobs)), sizeof(*queue) + PAGE_SIZE);
	u32 i;
	int err;

	err = infini_vdev_charge(client->vdev, bytes);
	if (err)
		return ERR_PTR(err);
	err = -ENOMEM;
	queue = kzalloc(sizeof(*queue), GFP_KERNEL_ACCOUNT);
	if (!queue)
		goto err_charge;
	queue->jobs = kvcalloc(depth, sizeof(*queue->jobs), GFP_KERNEL_ACCOUNT);
	if (!queue->jobs)
		goto err_queue;
	queue->timeline = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!queue->timeline)
		goto err_jobs;
	for (i = 0; i < depth; i++) {
		queue->jobs[i].queue = queue;
		INIT_LIST_HEAD(&queue->jobs[i].link);
	}
	refcount_set(&queue->refs, 1);
	refcount_inc(&client->refs);
	queue->client = client;
	queue->depth = depth;
	queue->next = 1;
	queue->eventfd = eventfd;
	queue->charged_bytes = bytes;
	mutex_init(&queue->submit_lock);
	INIT_LIST_HEAD(&queue->link);
	infini_sched_queue_init(&queue->sched, weight);
	atomic_inc(&client->vdev->nr_queues);
	return queue;

err_jobs:
	kvfree(queue->jobs);
err_queue:
	kfree(queue);
err_charge:
	infini_vdev_uncharge(client->vdev, bytes);
	return ERR_PTR(err);
}

struct infini_queue *infini_queue_find(struct infini_client *client, u32 handle)
{
	struct infini_queue *queue;

	xa_lock(&client->queues);
	queue = xa_load(&client->queues, handle);
	if (queue)
		refcount_inc(&queue->refs);
	xa_unlock(&client->queues);
	return queue;
}

/* End every job that is not with an executor. */
static void infini_queue_cancel_waiting_locked(struct infini_queue *queue, int status, u64 now,
					       struct infini_wakeups *wakeups)
{
	u64 seqno;

	lockdep_assert_held(&queue->client->vdev->device->lock);
	for (seqno = queue->next; seqno <= queue->submitted; seqno++) {
		struct infini_kjob *job = &queue->jobs[seqno % queue->depth];

		if (job->state != INFINI_JOB_QUEUED)
			continue;
		infini_job_step_locked(job, INFINI_JOB_EV_CANCEL);
		infini_job_end_locked(job, status, now, wakeups);
	}
	infini_queue_update_locked(queue, now);
	infini_device_schedule_locked(queue->client->vdev->device, now);
}

/*
 * Give up the handle's reference: what waits is cancelled, what runs is asked to yield, both under
 * one lock, or a job could be handed out between the two and run to its end.
 */
void infini_queue_destroy(struct infini_queue *queue, int status)
{
	struct infini_client *client = queue->client;
	struct infini_device *device = client->vdev->device;
	struct infini_wakeups wakeups = {};
	struct infini_executor *executor;
	unsigned long flags;
	u64 seqno;

	mutex_lock(&client->lock);
	if (!list_empty(&queue->link)) {
		list_del_init(&queue->link);
		WRITE_ONCE(client->nr_queues, client->nr_queues - 1);
	}
	mutex_unlock(&client->lock);

	spin_lock_irqsave(&device->lock, flags);
	WRITE_ONCE(queue->dead, true);
	executor = client->vdev->executor;
	for (seqno = queue->completed + 1; executor && seqno <= queue->submitted; seqno++) {
		struct infini_kjob *job = &queue->jobs[seqno % queue->depth];

		if (job->state == INFINI_JOB_DISPATCHED)
			infini_executor_doom_locked(executor, job, status, INFINI_JOB_EV_CANCEL);
	}
	infini_queue_cancel_waiting_locked(queue, status, ktime_get_ns(), &wakeups);
	spin_unlock_irqrestore(&device->lock, flags);

	infini_wakeups_run(&wakeups);
	wake_up_all(&client->wait);
	infini_queue_put(queue);
}

/* ---- state ---- */

/* Tell the scheduler whether the head of the queue could be dispatched. */
void infini_queue_update_locked(struct infini_queue *queue, u64 now)
{
	struct infini_vdev *vdev = queue->client->vdev;
	bool ready;

	lockdep_assert_held(&vdev->device->lock);
	while (queue->next <= queue->submitted &&
	       queue->jobs[queue->next % queue->depth].state != INFINI_JOB_QUEUED)
		queue->next++;
	/* A preempted job waits until those behind it in the executor's window are back too. */
	ready = queue->next <= queue->submitted &&
		(!queue->nr_held || queue->held_last < queue->next);
	infini_sched_queue_ready(&vdev->device->sched, &vdev->sched, &queue->sched, ready, now);
	infini_vdev_tell_throttle_locked(vdev);
}

void infini_queue_cancel_waiting(struct infini_queue *queue, int status)
{
	struct infini_device *device = queue->client->vdev->device;
	struct infini_wakeups wakeups = {};
	unsigned long flags;

	refcount_inc(&queue->refs);
	spin_lock_irqsave(&device->lock, flags);
	infini_queue_cancel_waiting_locked(queue, status, ktime_get_ns(), &wakeups);
	spin_unlock_irqrestore(&device->lock, flags);
	infini_wakeups_run(&wakeups);
	infini_queue_put(queue);
}

/* ---- waiting ---- */

bool infini_queue_reached(struct infini_queue *queue, u64 seqno)
{
	/* Pairs with the release in infini_job_publish_locked(): what the job wrote is visible. */
	return smp_load_acquire(&queue->completed) >= seqno;
}

/*
 * Remember to wake whoever waits for @queue; once per queue, as often as its jobs end. If somebody
 * else has already remembered and not done it yet, he will: the count is fully ordered behind what
 * was published. The caller then has no reference from here, see infini_wakeups_put().
 */
void infini_wakeups_add_locked(struct infini_wakeups *wakeups, struct infini_queue *queue)
{
	lockdep_assert_held(&queue->client->vdev->device->lock);
	if (atomic_fetch_inc(&queue->signals))
		return;
	refcount_inc(&queue->refs);
	queue->wake_next = wakeups->first;
	wakeups->first = queue;
}

static void infini_queue_signal(struct infini_queue *queue)
{
	/*
	 * Fully ordered, as the count: from here on another may take @queue, and what he published
	 * before he counted is seen by those woken below.
	 */
	int nr = atomic_xchg(&queue->signals, 0);

	/* The client does not know of the queue that asks for memory. */
	if (queue->handle)
		atomic64_add(nr, &queue->client->ended);
	while (queue->eventfd && nr--)
		infini_eventfd_signal(queue->eventfd);
	wake_up_interruptible_all(&queue->client->wait);
}

/*
 * Others may have ended jobs of @queue and left it to us to wake its waiters: those hold device->lock,
 * and no reference. One of them that is not through holds up who marks the queue dead and then gives up
 * the handle's reference; a queue that is dead already is kept until the lock was free.
 */
static void infini_wakeups_put(struct infini_queue *queue)
{
	struct infini_device *device = queue->client->vdev->device;
	unsigned long flags;

	if (READ_ONCE(queue->dead)) {
		spin_lock_irqsave(&device->lock, flags);
		spin_unlock_irqrestore(&device->lock, flags);
	}
	infini_queue_put(queue);
}

void infini_wakeups_run(struct infini_wakeups *wakeups)
{
	struct infini_queue *queue;

	while ((queue = wakeups->first)) {
		wakeups->first = queue->wake_next;
		infini_queue_signal(queue);
		infini_wakeups_put(queue);
	}
}

/**
 * infini_queue_wait - wait until a queue has reached a seqno
 * @queue: referenced by the caller
 * @seqno: handed out
 * @deadline_ns: absolute, 0 for a look, INFINI_FOREVER
 * @status: out: how that job ended, 0 when the queue no longer remembers
 * @value: out
 *
 * Return: 0, -ETIMEDOUT, -ECANCELED, or -ERESTARTSYS.
 */
int infini_queue_wait(struct infini_queue *queue, u64 seqno, s64 deadline_ns, int *status,
		      u64 *value)
{
	u32 at = seqno % INFINI_TIMELINE_RECORDS;
	struct infini_device *device = queue->client->vdev->device;
	unsigned long flags;
	bool known;
	int err;

	err = infini_wait_event(queue->client->wait, &queue->spin,
				infini_queue_reached(queue, seqno) || READ_ONCE(queue->dead),
				deadline_ns);
	if (!infini_queue_reached(queue, seqno))
		return err ?: -ECANCELED;
	spin_lock_irqsave(&device->lock, flags);
	known = seqno && queue->completed - seqno < INFINI_TIMELINE_RECORDS;
	*status = known ? queue->statuses[at] : 0;
	*value = known ? queue->values[at] : 0;
	spin_unlock_irqrestore(&device->lock, flags);
	return 0;
}

/* ---- commands ---- */

int infini_queue_create_ioctl(struct infini_ucmd *ucmd)
{
	struct infini_client *client = ucmd->file->private_data;
	struct infini_queue_create *cmd = ucmd->cmd;
	u32 weight = cmd->weight ?: INFINI_WEIGHT_DEFAULT;
	struct eventfd_ctx *eventfd = NULL;
	struct infini_queue *queue;
	u32 handle;
	int err;

	if ((cmd->flags & ~INFINI_QUEUE_F_EVENTFD) || !cmd->depth ||
	    cmd->depth > INFINI_QUEUE_DEPTH_MAX || weight > INFINI_WEIGHT_MAX ||
	    (!(cmd->flags & INFINI_QUEUE_F_EVENTFD) && cmd->eventfd))
		return -EINVAL;
	if (READ_ONCE(client->vdev->dead))
		return -ENODEV;
	if (cmd->flags & INFINI_QUEUE_F_EVENTFD) {
		eventfd = eventfd_ctx_fdget(cmd->eventfd);
		if (IS_ERR(eventfd))
			return PTR_ERR(eventfd);
	}
	queue = infini_queue_new(client, cmd->depth, weight, eventfd);
	if (IS_ERR(queue)) {
		if (eventfd)
			eventfd_ctx_put(eventfd);
		return PTR_ERR(queue);
	}
	err = xa_alloc(&client->queues, &handle, NULL, XA_LIMIT(1, INFINI_QUEUES_MAX),
		       GFP_KERNEL_ACCOUNT);
	if (err) {
		err = err == -EBUSY ? -ENOSPC : err;
		goto err_queue;
	}
	queue->handle = handle;
	cmd->handle = handle;
	cmd->map_offset = ((u64)INFINI_MMAP_OWN + handle) << PAGE_SHIFT;
	err = infini_ucmd_respond(ucmd);
	if (err)
		goto err_handle;
	mutex_lock(&client->lock);
	list_add_tail(&queue->link, &client->queue_list);
	WRITE_ONCE(client->nr_queues, client->nr_queues + 1);
	mutex_unlock(&client->lock);
	xa_store(&client->queues, handle, queue, GFP_KERNEL_ACCOUNT);
	return 0;

err_handle:
	xa_erase(&client->queues, handle);
err_queue:
	infini_queue_put(queue);
	return err;
}

int infini_queue_destroy_ioctl(struct infini_ucmd *ucmd)
{
	struct infini_client *client = ucmd->file->private_data;
	struct infini_handle *cmd = ucmd->cmd;
	struct infini_queue *queue;

	if (cmd->flags || cmd->pad)
		return -EINVAL;
	xa_lock(&client->queues);
	queue = xa_load(&client->queues, cmd->handle);
	if (queue)
		__xa_erase(&client->queues, cmd->handle);
	xa_unlock(&client->queues);
	if (!queue)
		return -ENOENT;
	infini_queue_destroy(queue, -ECANCELED);
	return 0;
}
