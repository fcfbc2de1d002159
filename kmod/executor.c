// SPDX-License-Identifier: GPL-2.0-only
/*
 * Executors: a worker's channel. One EXCHANGE hands results in and takes jobs out; a job is the
 * executor's from the EXCHANGE that returns it until the EXCHANGE that reports it, or until the
 * executor's death.
 */

#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "infini.h"
#include "trace.h"
#include "wait.h"

/* ---- life ---- */

void infini_executor_put(struct infini_executor *executor)
{
	if (!refcount_dec_and_test(&executor->refs))
		return;
	put_pid(executor->tgid);
	infini_mapper_fini(&executor->mapper);
	free_page((unsigned long)executor->word);
	kvfree(executor->bounce);
	infini_vdev_put(executor->vdev);
	kfree(executor);
}

static void infini_executor_revoke_work(struct work_struct *work)
{
	struct infini_executor *executor = container_of(work, struct infini_executor, revoke_work);

	infini_executor_revoke(executor);
	infini_executor_put(executor);
}

static struct infini_executor *infini_executor_new(struct infini_vdev *vdev)
{
	struct infini_executor *executor;
	int err = -ENOMEM;

	executor = kzalloc(sizeof(*executor), GFP_KERNEL_ACCOUNT);
	if (!executor)
		return ERR_PTR(-ENOMEM);
	executor->word = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!executor->word)
		goto err_free;
	executor->bounce = kvzalloc(sizeof(*executor->bounce), GFP_KERNEL_ACCOUNT);
	if (!executor->bounce)
		goto err_word;
	err = infini_mapper_init(&executor->mapper, false);
	if (err)
		goto err_bounce;
	refcount_set(&executor->refs, 1);
	executor->vdev = infini_vdev_get(vdev);
	mutex_init(&executor->lock);
	init_waitqueue_head(&executor->wait);
	INIT_LIST_HEAD(&executor->held);
	INIT_LIST_HEAD(&executor->running_link);
	INIT_LIST_HEAD(&executor->told);
	INIT_WORK(&executor->revoke_work, infini_executor_revoke_work);
	executor->next_dispatch = 1;
	return executor;

err_bounce:
	kvfree(executor->bounce);
err_word:
	free_page((unsigned long)executor->word);
err_free:
	kfree(executor);
	return ERR_PTR(err);
}

/* "Yield every dispatch up to the last one." */
void infini_executor_raise_locked(struct infini_executor *executor)
{
	lockdep_assert_held(&executor->vdev->device->lock);
	WRITE_ONCE(*executor->word, executor->next_dispatch - 1);
	if (trace_infini_job_yield_enabled() && !list_empty(&executor->held))
		trace_infini_job_yield(list_first_entry(&executor->held, struct infini_kjob, link),
				       ktime_get_ns());
}

/* The outcome of a job that the executor holds is settled; it ends once it is back. */
void infini_executor_doom_locked(struct infini_executor *executor, struct infini_kjob *job,
				 int status, enum infini_job_event event)
{
	if (job->state == INFINI_JOB_DISPATCHED)
		job->status = status;
	infini_job_step_locked(job, event);
	infini_executor_raise_locked(executor);
}

/* ---- results ---- */

static struct infini_kjob *infini_executor_held_job(struct infini_executor *executor, u64 dispatch)
{
	struct infini_kjob *job;

	list_for_each_entry(job, &executor->held, link)
		if (job->dispatch == dispatch)
			return job;
	return NULL;
}

/* The job leaves the executor: charge what it ran. Only the oldest held job has run. */
static void infini_executor_take_back_locked(struct infini_executor *executor,
					     struct infini_kjob *job, u64 now)
{
	struct infini_queue *queue = job->queue;
	u64 ran = 0;

	if (list_first_entry(&executor->held, struct infini_kjob, link) == job) {
		ran = now - executor->head_since_ns;
		executor->head_since_ns = now;
		/* The grace was for this one. */
		executor->grace_until_ns = 0;
	}
	job->occupancy_ns += ran;
	infini_sched_queue_charge(&executor->vdev->sched, &queue->sched, ran);
	list_del_init(&job->link);
	executor->nr_held--;
	queue->nr_held--;
}

static void infini_executor_requeue_locked(struct infini_kjob *job, u64 now)
{
	struct infini_queue *queue = job->queue;

	infini_job_step_locked(job, INFINI_JOB_EV_PREEMPT);
	trace_infini_job_preempt(job, now);
	job->queued_ns = now;
	queue->next = min(queue->next, job->seqno);
}

static bool infini_executor_tokens_valid(const struct infini_result *result)
{
	return result->tokens_evaluated <= INFINI_TOKENS_MAX &&
	       result->tokens_generated <= INFINI_TOKENS_MAX &&
	       result->prompts <= result->tokens_generated &&
	       result->tokens_scored <= result->tokens_evaluated &&
	       result->tokens_embedded <= result->tokens_evaluated - result->tokens_scored;
}

static int infini_executor_check_result(const struct infini_executor *executor,
					const struct infini_kjob *job,
					const struct infini_result *result)
{
	if (!job)
		return result->dispatch && result->dispatch < executor->next_dispatch ?
		       -EPROTO : -ESTALE;
	if (result->state > INFINI_RESULT_PREEMPTED || result->status > 0 ||
	    result->status < -MAX_ERRNO || result->pad ||
	    !infini_executor_tokens_valid(result))
		return -EPROTO;
	if (result->state == INFINI_RESULT_PREEMPTED &&
	    (result->segment < job->segment || result->status))
		return -EPROTO;
	return 0;
}

/*
 * The larger of what the client said and what the backend counted; of what kind they are is the
 * backend's word alone. The last row of a prompt makes a token too, so it is none of the others.
 */
static void infini_executor_count_tokens(struct infini_kjob *job,
					 const struct infini_result *result)
{
	u32 other;

	job->tokens_evaluated = max(job->tokens_evaluated, result->tokens_evaluated);
	job->tokens_generated = max(job->tokens_generated, result->tokens_generated);
	job->prompts = result->prompts;
	job->tokens_scored = result->tokens_scored;
	job->tokens_embedded = result->tokens_embedded;
	other = job->tokens_scored + job->tokens_embedded + job->tokens_generated - job->prompts;
	job->tokens_prompt = job->tokens_evaluated - min(job->tokens_evaluated, other);
}

static void infini_executor_finish_locked(struct infini_executor *executor,
					  struct infini_kjob *job,
					  const struct infini_result *result, u64 now,
					  struct infini_wakeups *wakeups)
{
	bool doomed = job->state == INFINI_JOB_DOOMED;
	int status = doomed ? job->status : result->status;

	infini_job_step_locked(job, INFINI_JOB_EV_COMPLETE);
	if (job->op == INFINI_OP_ALLOC && !result->status)
		job->buffers[0]->held_generation = executor->generation;
	job->result = result->value;
	infini_executor_count_tokens(job, result);
	/*
	 * They are paid for even if nobody waits for them any more; once, since what was generated
	 * came out of what was evaluated.
	 */
	if (result->state == INFINI_RESULT_DONE && !result->status)
		infini_sched_tokens(&executor->vdev->device->sched, &executor->vdev->sched,
				    max(job->tokens_evaluated, job->tokens_generated), now);
	infini_job_end_locked(job, status, now, wakeups);
}

static int infini_executor_result_locked(struct infini_executor *executor,
					 const struct infini_result *result, u64 now,
					 struct infini_wakeups *wakeups)
{
	struct infini_kjob *job = infini_executor_held_job(executor, result->dispatch);
	struct infini_queue *queue;
	int err;

	err = infini_executor_check_result(executor, job, result);
	if (err)
		return err;
	queue = job->queue;
	infini_executor_take_back_locked(executor, job, now);
	if (result->state == INFINI_RESULT_PREEMPTED && job->state == INFINI_JOB_DISPATCHED) {
		job->segment = result->segment;
		executor->vdev->count.preemptions++;
		infini_executor_requeue_locked(job, now);
	} else {
		infini_executor_finish_locked(executor, job, result, now, wakeups);
	}
	infini_queue_update_locked(queue, now);
	return 0;
}

/* ---- dispatch ---- */

static bool infini_executor_memory_lost(const struct infini_executor *executor,
					const struct infini_kjob *job)
{
	u32 i;

	for (i = 0; i < job->nr_bindings; i++)
		if (infini_buffer_executor_held(job->buffers[i]) && job->op != INFINI_OP_ALLOC &&
		    job->buffers[i]->held_generation != executor->generation)
			return true;
	return false;
}

static void infini_executor_count_wait_locked(struct infini_vdev *vdev, u64 waited)
{
	vdev->count.queue_wait_ns += waited;
	vdev->count.queue_wait_hist[infini_hist_bucket(waited)]++;
	vdev->count.dispatches++;
}

/* Describe @job for the executor; payload offsets are still relative to the job's own payload. */
static void infini_executor_describe_locked(struct infini_executor *executor,
					    struct infini_kjob *job, struct infini_dispatch *to)
{
	u32 i;

	for (i = 0; i < job->nr_bindings; i++)
		job->buffers[i]->known_generation = executor->generation;
	if (job->program)
		job->program->known_generation = executor->generation;
	*to = (struct infini_dispatch){
		.dispatch = job->dispatch,
		.op = job->op,
		.program_format = job->format,
		.object = job->program ? job->program->id : 0,
		.program_bytes = job->program ? job->program->bytes : 0,
		.segment = job->segment,
		.nr_bindings = job->nr_bindings,
		.nr_inputs = job->nr_inputs,
		.nr_outputs = job->nr_outputs,
		.args_bytes = job->args_bytes,
		.inputs = job->inputs_at,
		.outputs = job->outputs_at,
		.args = job->args_at,
		.dst_offset = job->dst_offset,
		.src_offset = job->src_offset,
		.bytes = job->bytes,
		.value = job->value,
		.request_id = job->request_id,
	};
}

/* Hand @job to the executor. */
static void infini_executor_dispatch_locked(struct infini_executor *executor,
					    struct infini_kjob *job, struct infini_dispatch *to,
					    u64 now)
{
	struct infini_queue *queue = job->queue;

	infini_job_step_locked(job, INFINI_JOB_EV_DISPATCH);
	job->dispatch = executor->next_dispatch++;
	job->started_ns = now;
	infini_executor_count_wait_locked(executor->vdev, now - job->queued_ns);
	if (list_empty(&executor->held))
		executor->head_since_ns = now;
	list_add_tail(&job->link, &executor->held);
	executor->nr_held++;
	queue->held_last = queue->nr_held ? max(queue->held_last, job->seqno) : job->seqno;
	queue->nr_held++;
	queue->next = job->seqno + 1;
	infini_executor_describe_locked(executor, job, to);
	trace_infini_job_dispatch(job, now);
	infini_queue_update_locked(queue, now);
}

/* Has it been asked for a job that it still holds? */
static bool infini_executor_asked_locked(struct infini_executor *executor)
{
	struct infini_kjob *oldest = list_first_entry_or_null(&executor->held, struct infini_kjob,
							      link);

	return oldest && oldest->dispatch <= READ_ONCE(*executor->word);
}

/*
 * Fill the executor's window while it holds a slot, in order. Payload room bounds it; the first job
 * always fits.
 */
static u32 infini_executor_fill_locked(struct infini_executor *executor, u32 room,
				       u64 payload_bytes, u64 now, struct infini_wakeups *wakeups)
{
	struct infini_bounce *bounce = executor->bounce;
	struct infini_vdev *vdev = executor->vdev;
	struct infini_sched_queue *picked;
	u32 nr = 0, ended = 0;
	u64 used = 0;

	/*
	 * A slice that should end gets no more work, so that the window can run dry; and what was
	 * asked for comes back first, even if nobody waits any more: handed out now, a later job of
	 * its queue would run before it.
	 */
	if (infini_executor_asked_locked(executor) ||
	    (executor->nr_held &&
	     !infini_sched_may_continue(&vdev->device->sched, &vdev->sched, now)))
		return 0;
	room = min(room, executor->window);
	/* Who has lost memory may have a million jobs to lose: so many at a time, under the lock. */
	while (executor->granted && nr < room && executor->nr_held < executor->window &&
	       ended < INFINI_WINDOW_MAX) {
		struct infini_queue *queue;
		struct infini_kjob *job;

		picked = infini_sched_queue_pick(&vdev->sched);
		if (!picked)
			break;
		queue = container_of(picked, struct infini_queue, sched);
		job = &queue->jobs[queue->next % queue->depth];
		if (used + job->payload_bytes > payload_bytes)
			break;
		if (infini_executor_memory_lost(executor, job)) {
			infini_job_step_locked(job, INFINI_JOB_EV_CANCEL);
			infini_job_end_locked(job, -EOWNERDEAD, now, wakeups);
			infini_queue_update_locked(queue, now);
			ended++;
			continue;
		}
		used += ALIGN(job->payload_bytes, 8);
		/* It may have been slow to come for its slot, and been asked to yield meanwhile. */
		if (executor->fresh)
			infini_sched_begin(&vdev->device->sched, &vdev->sched, now);
		executor->fresh = false;
		infini_executor_dispatch_locked(executor, job, &bounce->dispatches[nr], now);
		bounce->jobs[nr++] = job;
	}
	return nr;
}

/* The slice is over when nothing is held and somebody else is wanted, or nothing is left. */
static void infini_executor_settle_locked(struct infini_executor *executor, u64 now)
{
	struct infini_vdev *vdev = executor->vdev;
	struct infini_device *device = vdev->device;

	if (!executor->granted || !list_empty(&executor->held))
		return;
	/* Revoked, it may still be on the hardware: it holds the slot until it is gone. */
	if (executor->state != INFINI_EXECUTOR_SERVING)
		return;
	if (executor->waiting && vdev->sched.nr_ready &&
	    infini_sched_may_continue(&device->sched, &vdev->sched, now))
		return;
	WRITE_ONCE(executor->granted, false);
	list_del_init(&executor->running_link);
	infini_sched_put(&device->sched, &vdev->sched, now);
	infini_vdev_tell_throttle_locked(vdev);
}

static void infini_executor_set_waiting_locked(struct infini_executor *executor, bool waiting,
					       u64 now)
{
	struct infini_vdev *vdev = executor->vdev;

	if (executor->waiting == waiting)
		return;
	executor->waiting = waiting;
	infini_sched_vdev_online(&vdev->device->sched, &vdev->sched, waiting, now);
	infini_vdev_tell_throttle_locked(vdev);
}

/* ---- EXCHANGE ---- */

static int infini_exchange_check(const struct infini_executor *executor,
				 const struct infini_exchange *cmd)
{
	if (cmd->flags || cmd->nr_results > INFINI_WINDOW_MAX || cmd->deadline_ns < 0 ||
	    cmd->results_stride > PAGE_SIZE || cmd->dispatches_stride > PAGE_SIZE ||
	    (cmd->nr_results &&
	     cmd->results_stride < offsetofend(struct infini_result, tokens_generated)))
		return -EINVAL;
	if (cmd->nr_dispatches &&
	    (cmd->dispatches_stride < offsetofend(struct infini_dispatch, request_id) ||
	     cmd->payload_bytes < INFINI_PAYLOAD_MAX))
		return -EINVAL;
	return 0;
}

static int infini_exchange_results(struct infini_executor *executor, struct infini_exchange *cmd)
{
	struct infini_vdev *vdev = executor->vdev;
	struct infini_device *device = vdev->device;
	struct infini_result *results = executor->bounce->results;
	struct infini_wakeups wakeups = {};
	LIST_HEAD(told);
	unsigned long flags;
	u64 now, timed_out;
	int err = 0;
	u32 i;

	for (i = 0; i < cmd->nr_results; i++) {
		err = infini_copy_array(&results[i], cmd->results, cmd->results_stride,
					sizeof(results[i]), i);
		if (err)
			return err;
	}
	spin_lock_irqsave(&device->lock, flags);
	if (executor->state != INFINI_EXECUTOR_SERVING) {
		spin_unlock_irqrestore(&device->lock, flags);
		return -ENODEV;
	}
	executor->calls++;
	now = ktime_get_ns();
	timed_out = vdev->count.jobs_timed_out;
	list_splice_init(&executor->told, &told);
	for (i = 0; i < cmd->nr_results && !err; i++)
		err = infini_executor_result_locked(executor, &results[i], now, &wakeups);
	cmd->accepted = err ? i - 1 : i;
	infini_executor_set_waiting_locked(executor, cmd->nr_dispatches && !err, now);
	infini_executor_settle_locked(executor, now);
	infini_device_schedule_locked(device, now);
	timed_out = vdev->count.jobs_timed_out - timed_out;
	spin_unlock_irqrestore(&device->lock, flags);

	infini_wakeups_run(&wakeups);
	/* Should a client run at once, it has the next job here before we would come to sleep. */
	cond_resched();
	infini_notices_done(&told);
	if (timed_out)
		infini_netlink_event(INFINI_EVENT_JOB_TIMEOUT, device, vdev, pid_nr(executor->tgid));
	return err;
}

/* Take what is there: notices first, then jobs. Returns how many entries of bounce are filled. */
static u32 infini_exchange_take(struct infini_executor *executor, struct infini_exchange *cmd,
				u32 *nr_jobs)
{
	struct infini_vdev *vdev = executor->vdev;
	struct infini_device *device = vdev->device;
	u32 room = min_t(u32, cmd->nr_dispatches, INFINI_WINDOW_MAX);
	struct infini_wakeups wakeups = {};
	struct infini_notice *notice;
	unsigned long flags;
	u32 nr = 0;
	u64 now;

	*nr_jobs = 0;
	spin_lock_irqsave(&device->lock, flags);
	now = ktime_get_ns();
	while (nr < room && !list_empty(&vdev->notices)) {
		notice = list_first_entry(&vdev->notices, struct infini_notice, link);
		list_move_tail(&notice->link, &executor->told);
		executor->bounce->dispatches[nr++] = (struct infini_dispatch){
			.op = notice->op,
			.object = notice->id,
		};
	}
	if (!nr)
		nr = *nr_jobs = infini_executor_fill_locked(executor, room, cmd->payload_bytes, now,
							    &wakeups);
	if (nr || !list_empty(&executor->held))
		goto out;
	/* Granted, but every job ended without the executor. */
	infini_executor_settle_locked(executor, now);
out:
	infini_device_schedule_locked(device, now);
	spin_unlock_irqrestore(&device->lock, flags);
	infini_wakeups_run(&wakeups);
	return nr;
}

/* One job's payload to @base of the payload area, its offsets made to count from there. */
static int infini_exchange_copy_payload(struct infini_kjob *job, struct infini_dispatch *dispatch,
					u64 payload, u64 base)
{
	struct infini_input *input = job->payload + job->inputs_at;
	struct infini_input __user *at = u64_to_user_ptr(payload + base + job->inputs_at);
	u32 i;

	if (job->payload_bytes &&
	    copy_to_user(u64_to_user_ptr(payload + base), job->payload, job->payload_bytes))
		return -EFAULT;
	for (i = 0; i < job->nr_inputs; i++)
		if (put_user(base + input[i].data, &at[i].data))
			return -EFAULT;
	dispatch->bindings = base;
	dispatch->inputs += base;
	dispatch->outputs += base;
	dispatch->args += base;
	return 0;
}

static int infini_exchange_copy(struct infini_executor *executor, struct infini_ucmd *ucmd,
				u32 nr_jobs, u32 nr)
{
	struct infini_bounce *bounce = executor->bounce;
	struct infini_exchange *cmd = ucmd->cmd;
	u64 base = 0;
	u32 i;
	int err;

	/* A held job ends only under executor->lock or after the process is gone: it is stable. */
	lockdep_assert_held(&executor->lock);
	for (i = 0; i < nr_jobs; i++) {
		err = infini_exchange_copy_payload(bounce->jobs[i], &bounce->dispatches[i],
						   cmd->payload, base);
		if (err)
			return err;
		base += ALIGN(bounce->jobs[i]->payload_bytes, 8);
	}
	for (i = 0; i < nr; i++) {
		err = infini_copy_array_back(cmd->dispatches, cmd->dispatches_stride,
					     &bounce->dispatches[i],
					     sizeof(bounce->dispatches[i]), i);
		if (err)
			return err;
	}
	cmd->returned = nr;
	return infini_ucmd_respond(ucmd);
}

/*
 * The caller never saw the jobs: take them back as if they had been preempted at once. Nor has it seen the
 * notices, which it would seem to confirm when it comes again.
 */
static void infini_exchange_undo(struct infini_executor *executor, u32 nr_jobs)
{
	struct infini_device *device = executor->vdev->device;
	struct infini_wakeups wakeups = {};
	struct infini_result none = { .status = -ECANCELED };
	unsigned long flags;
	u64 now;

	spin_lock_irqsave(&device->lock, flags);
	now = ktime_get_ns();
	while (nr_jobs--) {
		struct infini_kjob *job = executor->bounce->jobs[nr_jobs];
		struct infini_queue *queue = job->queue;

		infini_executor_take_back_locked(executor, job, now);
		if (job->state == INFINI_JOB_DISPATCHED)
			infini_executor_requeue_locked(job, now);
		else
			infini_executor_finish_locked(executor, job, &none, now, &wakeups);
		infini_queue_update_locked(queue, now);
	}
	list_splice_init(&executor->told, &executor->vdev->notices);
	infini_executor_set_waiting_locked(executor, false, now);
	infini_executor_settle_locked(executor, now);
	infini_device_schedule_locked(device, now);
	spin_unlock_irqrestore(&device->lock, flags);
	infini_wakeups_run(&wakeups);
}

/* Without the lock: who then takes what there is looks again. */
static bool infini_executor_has_news(struct infini_executor *executor)
{
	return READ_ONCE(executor->granted) || !list_empty(&executor->vdev->notices) ||
	       READ_ONCE(executor->state) != INFINI_EXECUTOR_SERVING;
}

/*
 * Sleep until there is news. Not with the lock: frozen, the process would keep it from revocation, and
 * whoever waits for that.
 */
static int infini_exchange_sleep(struct infini_executor *executor, s64 deadline_ns)
{
	int err;

	executor->asleep = true;
	mutex_unlock(&executor->lock);
	err = infini_wait_event(executor->wait, &executor->spin,
				infini_executor_has_news(executor), deadline_ns);
	mutex_lock(&executor->lock);
	executor->asleep = false;
	return err;
}

/* Leaving without a job: not to be picked, and a slot that is held for nothing is given up. */
static void infini_exchange_leave(struct infini_executor *executor)
{
	struct infini_device *device = executor->vdev->device;
	unsigned long flags;
	u64 now;

	/* Jobs come and go only under executor->lock, or when the process is gone. */
	lockdep_assert_held(&executor->lock);
	if (executor->nr_held)
		return;
	spin_lock_irqsave(&device->lock, flags);
	now = ktime_get_ns();
	infini_executor_set_waiting_locked(executor, false, now);
	infini_executor_settle_locked(executor, now);
	infini_device_schedule_locked(device, now);
	spin_unlock_irqrestore(&device->lock, flags);
}

static int infini_exchange_wait(struct infini_executor *executor, struct infini_ucmd *ucmd)
{
	struct infini_exchange *cmd = ucmd->cmd;
	u32 nr = 0, nr_jobs = 0;
	int err;

	for (;;) {
		if (READ_ONCE(executor->state) != INFINI_EXECUTOR_SERVING)
			return -ENODEV;
		/* Who took the results in has filled the slots: without news there is nothing. */
		if (infini_executor_has_news(executor))
			nr = infini_exchange_take(executor, cmd, &nr_jobs);
		if (nr || executor->nr_held)
			break;
		err = infini_exchange_sleep(executor, cmd->deadline_ns);
		if (err)
			break;
	}
	err = infini_exchange_copy(executor, ucmd, nr_jobs, nr);
	if (err) {
		infini_exchange_undo(executor, nr_jobs);
		cmd->returned = 0;
	}
	return err;
}

static bool infini_executor_is_mine(struct infini_executor *executor)
{
	return READ_ONCE(executor->tgid) == task_tgid(current);
}

static bool infini_executor_refuses(struct infini_executor *executor)
{
	if (infini_executor_is_mine(executor))
		return false;
	infini_refused("the executor of vdev", executor->vdev->name);
	return true;
}

static int infini_executor_exchange(struct infini_ucmd *ucmd)
{
	struct infini_executor *executor = ucmd->file->private_data;
	struct infini_vdev *vdev = executor->vdev;
	struct infini_exchange *cmd = ucmd->cmd;
	int err;

	if (infini_executor_refuses(executor))
		return -EPERM;
	err = infini_exchange_check(executor, cmd);
	if (err)
		return err;
	if (mutex_lock_interruptible(&executor->lock))
		return -EINTR;
	if (executor->asleep) {
		mutex_unlock(&executor->lock);
		return -EBUSY;
	}
	cmd->accepted = 0;
	cmd->returned = 0;
	infini_vdev_charge_held(vdev, min(cmd->held_bytes, vdev->device->memory_bytes));
	err = infini_exchange_results(executor, cmd);
	if (!err && cmd->nr_dispatches)
		err = infini_exchange_wait(executor, ucmd);
	/* With what it has taken it has told already, while that could still be undone. */
	if (err || !cmd->nr_dispatches)
		err = infini_ucmd_respond(ucmd) ?: err;
	infini_exchange_leave(executor);
	mutex_unlock(&executor->lock);
	return err;
}

/* ---- attaching ---- */

static int infini_executor_attach(struct infini_ucmd *ucmd)
{
	struct infini_executor *executor = ucmd->file->private_data;
	struct infini_vdev *vdev = executor->vdev;
	struct infini_device *device = vdev->device;
	struct infini_executor_attach *cmd = ucmd->cmd;
	unsigned long flags;
	int err = 0;

	if (cmd->flags || cmd->pad || !cmd->window || cmd->window > INFINI_WINDOW_MAX)
		return -EINVAL;
	if (cmd->protocol != INFINI_PROTOCOL_VERSION)
		return -EPROTO;
	spin_lock_irqsave(&device->lock, flags);
	if (vdev->dead || !device->online || executor->state >= INFINI_EXECUTOR_REVOKED) {
		err = -ENODEV;
	} else if (executor->state != INFINI_EXECUTOR_FREE) {
		err = -EBUSY;
	} else {
		WRITE_ONCE(executor->tgid, get_pid(task_tgid(current)));
		executor->window = cmd->window;
		executor->generation = ++vdev->generation;
		WRITE_ONCE(executor->state, INFINI_EXECUTOR_SERVING);
	}
	spin_unlock_irqrestore(&device->lock, flags);
	if (err)
		return err;
	/* Should this one die, what waits then gets the whole time again for the next. */
	if (cancel_delayed_work(&vdev->no_executor_work))
		infini_vdev_put(vdev);
	if (infini_vdev_has_work(vdev))
		infini_vdev_expect_executor(vdev);
	trace_infini_executor_state(vdev, executor->generation, INFINI_EXECUTOR_SERVING);
	infini_netlink_event(INFINI_EVENT_EXECUTOR_ATTACHED, device, vdev, pid_nr(executor->tgid));
	cmd->generation = executor->generation;
	cmd->yield_offset = (u64)INFINI_MMAP_OWN << PAGE_SHIFT;
	cmd->payload_bytes = INFINI_PAYLOAD_MAX;
	cmd->vdev_id = vdev->id;
	return infini_ucmd_respond(ucmd);
}

/* ---- its end ---- */

static int infini_executor_end_reason(struct infini_ucmd *ucmd)
{
	struct infini_executor *executor = ucmd->file->private_data;
	struct infini_device *device = executor->vdev->device;
	struct infini_end_reason *cmd = ucmd->cmd;
	unsigned long flags;
	int err;

	if (infini_executor_refuses(executor))
		return -EPERM;
	err = infini_end_reason_check(cmd);
	if (err)
		return err;
	/* Not executor->lock: EXCHANGE sleeps with it, and any thread may be the one that dies. */
	spin_lock_irqsave(&device->lock, flags);
	memcpy(executor->end_reason, cmd->reason, sizeof(executor->end_reason));
	spin_unlock_irqrestore(&device->lock, flags);
	return 0;
}

/*
 * The last thread of the process that attached is exiting. What it said itself may be what somebody
 * says who has taken it over, so that the signal stands before it.
 */
static void infini_executor_died(struct infini_executor *executor)
{
	int signal = current->exit_code & 0x7f;
	char said[sizeof(executor->end_reason)];

	memcpy(said, executor->end_reason, sizeof(said));
	if (signal)
		scnprintf(executor->end_reason, sizeof(executor->end_reason),
			  "killed by signal %d%s%s", signal, said[0] ? "; it said: " : "", said);
	infini_executor_lost(executor);
}

/* ---- mappings ---- */

static vm_fault_t infini_executor_fault(struct vm_fault *vmf)
{
	struct infini_executor *executor = vmf->vma->vm_file->private_data;
	struct infini_buffer *buffer;
	struct page *page;
	vm_fault_t ret;

	if (vmf->pgoff >= INFINI_MMAP_PAGE >> PAGE_SHIFT) {
		page = virt_to_page(executor->word);
		return infini_mapper_insert(&executor->mapper, vmf, &page, 1, 0);
	}
	buffer = infini_buffer_find_id(executor->vdev, vmf->pgoff >>
				       (INFINI_MMAP_BUFFER_SHIFT - PAGE_SHIFT));
	if (!buffer)
		return VM_FAULT_SIGBUS;
	ret = buffer->pages ?
	      infini_mapper_insert(&executor->mapper, vmf, buffer->pages, buffer->nr_pages,
				   vmf->pgoff & INFINI_MMAP_PAGE_MASK) : VM_FAULT_SIGBUS;
	infini_buffer_put(buffer);
	return ret;
}

static const struct vm_operations_struct infini_executor_vm_ops = {
	.fault = infini_executor_fault,
};

/* Buffers are found at fault time: a mapping does not keep one alive, it is zapped with it. */
static int infini_executor_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct infini_executor *executor = file->private_data;
	u64 bytes = vma->vm_end - vma->vm_start;

	if (infini_executor_refuses(executor))
		return -EPERM;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	if (vma->vm_pgoff == INFINI_MMAP_OWN) {
		if (bytes != PAGE_SIZE)
			return -EINVAL;
		if (vma->vm_flags & VM_WRITE)
			return -EACCES;
		vm_flags_clear(vma, VM_MAYWRITE);
		vma->vm_pgoff = INFINI_MMAP_PAGE >> PAGE_SHIFT;
	} else if (vma->vm_pgoff < INFINI_MMAP_OWN && bytes <= INFINI_BUFFER_BYTES_MAX) {
		vma->vm_pgoff = infini_buffer_range(vma->vm_pgoff) >> PAGE_SHIFT;
	} else {
		return -EINVAL;
	}
	vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP | VM_MIXEDMAP);
	vma->vm_ops = &infini_executor_vm_ops;
	return 0;
}

/* ---- the file ---- */

/*
 * Called for every close; the process that attached itself closes by exiting. A single thread that
 * exits with a file table of its own is not its end: another may be inside EXCHANGE.
 */
static int infini_executor_flush(struct file *file, fl_owner_t id)
{
	struct infini_executor *executor = file->private_data;

	if ((current->flags & PF_EXITING) && !atomic_read(&current->signal->live) &&
	    infini_executor_is_mine(executor))
		infini_executor_died(executor);
	return 0;
}

static int infini_executor_release(struct inode *inode, struct file *file)
{
	struct infini_executor *executor = file->private_data;

	infini_executor_lost(executor);
	infini_executor_put(executor);
	return 0;
}

static int infini_executor_query(struct infini_ucmd *ucmd)
{
	int err = infini_query_fill(ucmd->cmd, INFINI_ROLE_EXECUTOR);

	return err ?: infini_ucmd_respond(ucmd);
}

static int infini_executor_program_read(struct infini_ucmd *ucmd)
{
	if (infini_executor_refuses(ucmd->file->private_data))
		return -EPERM;
	return infini_program_read_ioctl(ucmd);
}

static int infini_executor_buffer_receive(struct infini_ucmd *ucmd)
{
	if (infini_executor_refuses(ucmd->file->private_data))
		return -EPERM;
	return infini_buffer_receive_ioctl(ucmd);
}

static const struct infini_ioctl infini_executor_ioctls[] = {
	INFINI_IOCTL(INFINI_IOC_EXCHANGE, infini_executor_exchange, infini_exchange, returned),
	INFINI_IOCTL(INFINI_IOC_PROGRAM_READ, infini_executor_program_read, infini_program_read,
		     data),
	INFINI_IOCTL(INFINI_IOC_BUFFER_RECEIVE, infini_executor_buffer_receive,
		     infini_buffer_receive, pad),
	INFINI_IOCTL(INFINI_IOC_EXECUTOR_ATTACH, infini_executor_attach, infini_executor_attach,
		     pad),
	INFINI_IOCTL(INFINI_IOC_END_REASON, infini_executor_end_reason, infini_end_reason, reason),
	INFINI_IOCTL(INFINI_IOC_QUERY, infini_executor_query, infini_query, flags),
};

static long infini_executor_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return infini_ioctl(file, cmd, arg, infini_executor_ioctls,
			    ARRAY_SIZE(infini_executor_ioctls));
}

static const struct file_operations infini_executor_fops = {
	.owner = THIS_MODULE,
	.mmap = infini_executor_mmap,
	.unlocked_ioctl = infini_executor_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.flush = infini_executor_flush,
	.release = infini_executor_release,
	.llseek = noop_llseek,
};

/* ---- creation, on the device file ---- */

static int infini_executor_install(struct infini_vdev *vdev, struct infini_executor *executor)
{
	struct infini_device *device = vdev->device;
	unsigned long flags;
	int err = 0;

	spin_lock_irqsave(&device->lock, flags);
	if (vdev->dead || !device->online) {
		err = -ENODEV;
	} else if (vdev->executor) {
		err = -EBUSY;
	} else {
		refcount_inc(&executor->refs);
		vdev->executor = executor;
		vdev->wanted = false;
	}
	spin_unlock_irqrestore(&device->lock, flags);
	return err;
}

int infini_executor_create_ioctl(struct infini_ucmd *ucmd)
{
	struct infini_device *device = ucmd->file->private_data;
	struct infini_executor_create *cmd = ucmd->cmd;
	struct infini_executor *executor;
	struct infini_vdev *vdev;
	struct file *file;
	int fd, err;

	if (cmd->flags)
		return -EINVAL;
	vdev = infini_vdev_find(NULL, cmd->vdev_id);
	if (!vdev)
		return -ENOENT;
	err = -ENOENT;
	if (vdev->device != device)
		goto out_vdev;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		err = fd;
		goto out_vdev;
	}
	executor = infini_executor_new(vdev);
	if (IS_ERR(executor)) {
		err = PTR_ERR(executor);
		goto out_fd;
	}
	ihold(executor->mapper.inode);
	err = infini_file_new("[infini-executor]", executor->mapper.inode, &infini_executor_fops,
			      executor, &file);
	if (err) {
		iput(executor->mapper.inode);
		infini_executor_put(executor);
		goto out_fd;
	}
	/* From here on the file's release undoes everything. */
	err = infini_executor_install(vdev, executor);
	if (!err) {
		cmd->fd = fd;
		err = infini_ucmd_respond(ucmd);
	}
	if (err) {
		fput(file);
		goto out_fd;
	}
	fd_install(fd, file);
	infini_vdev_put(vdev);
	return 0;

out_fd:
	put_unused_fd(fd);
out_vdev:
	infini_vdev_put(vdev);
	return err;
}
