// SPDX-License-Identifier: GPL-2.0-only
/*
 * Jobs: how a submission is checked and copied once into a preallocated slot, in the very layout
 * in which the executor gets it, and how a job ends.
 */

#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "infini.h"
#include "trace.h"
#include "wait.h"

/* ---- state ---- */

void infini_job_step_locked(struct infini_kjob *job, enum infini_job_event event)
{
	int next = infini_job_next(job->state, event);

	lockdep_assert_held(&job->queue->client->vdev->device->lock);
	if (WARN_ONCE(next < 0, "infini: job event %d in state %d\n", event, job->state))
		return;
	/* Pairs with infini_queue_slot(): what is IDLE is not looked at here any more. */
	smp_store_release(&job->state, next);
}

static void infini_job_drop_objects(struct infini_kjob *job)
{
	u32 i;

	for (i = 0; i < job->nr_bindings; i++)
		infini_buffer_put(job->buffers[i]);
	job->nr_bindings = 0;
	if (job->program)
		infini_program_put(job->program);
	job->program = NULL;
}

/* Let the timeline advance over every job that is done. */
static void infini_job_publish_locked(struct infini_queue *queue)
{
	struct infini_timeline *timeline = queue->timeline;
	u64 completed = queue->completed;

	while (completed < queue->submitted) {
		struct infini_kjob *job = &queue->jobs[(completed + 1) % queue->depth];
		u32 at;

		if (job->state != INFINI_JOB_DONE)
			break;
		completed++;
		at = completed % INFINI_TIMELINE_RECORDS;
		queue->values[at] = job->result;
		queue->statuses[at] = job->status;
		timeline->records[at] = (struct infini_completion){
			.seqno = completed,
			.value = job->result,
			.occupancy_ns = job->occupancy_ns,
			.status = job->status,
		};
		infini_job_step_locked(job, INFINI_JOB_EV_RECYCLE);
	}
	/*
	 * Pairs with the acquire load of a client that has mapped the page: who sees the seqno sees the
	 * record and all that the job wrote.
	 */
	smp_store_release(&timeline->completed, completed);
	/* Pairs with infini_queue_reached(): likewise, for who waits in a call. */
	smp_store_release(&queue->completed, completed);
}

static void infini_job_count_times_locked(struct infini_kjob *job, u64 now)
{
	struct infini_client *client = job->queue->client;
	struct infini_stream_tokens tokens = {
		.request = job->request_id,
		.prompt = job->tokens_prompt,
		.prompts = job->prompts,
		.decoded = job->tokens_generated - min(job->tokens_generated, job->prompts),
	};

	lockdep_assert_held(&client->vdev->device->lock);
	infini_stream_tokens(&client->streams, &tokens, now, &job->times);
	infini_token_times_add(&client->vdev->count.times, &job->times);
}

/**
 * infini_job_end_locked - a job that has become DONE
 * @job: it
 * @status: 0 or -errno
 * @now: time
 * @wakeups: takes note of the queue
 */
void infini_job_end_locked(struct infini_kjob *job, int status, u64 now,
			   struct infini_wakeups *wakeups)
{
	struct infini_queue *queue = job->queue;
	struct infini_vdev *vdev = queue->client->vdev;
	struct infini_vdev_counters *count = &vdev->count;

	lockdep_assert_held(&vdev->device->lock);
	job->status = status;
	if (status) {
		job->result = 0;
		count->jobs_failed++;
		count->jobs_timed_out += status == -ETIMEDOUT;
	} else {
		count->jobs_completed++;
		count->tokens_evaluated += job->tokens_evaluated;
		count->tokens_generated += job->tokens_generated;
		count->tokens_prompt += job->tokens_prompt;
		count->tokens_scored += job->tokens_scored;
		count->tokens_embedded += job->tokens_embedded;
		count->prompts += job->prompts;
		count->bytes_in += job->bytes_in;
		count->bytes_out += job->bytes_out;
		if (job->tokens_evaluated || job->tokens_generated) {
			infini_job_count_times_locked(job, now);
			trace_infini_tokens(job, now);
		}
	}
	trace_infini_job_complete(job, now);
	infini_job_drop_objects(job);
	infini_job_publish_locked(queue);
	/* In this order: whoever wakes in our stead must wake to what is published. */
	infini_wakeups_add_locked(wakeups, queue);
	/* The reference taken when the queue got its first job in flight. */
	if (queue->completed == queue->submitted)
		refcount_dec(&queue->refs);
}

/* ---- building a job ---- */

/* More memory for a slot; what it keeps for the next job is charged like any other memory. */
static void *infini_job_memory(struct infini_kjob *job, size_t had, size_t bytes)
{
	struct infini_queue *queue = job->queue;
	struct infini_vdev *vdev = queue->client->vdev;
	void *memory;
	int err;

	lockdep_assert_held(&queue->submit_lock);
	err = infini_vdev_charge(vdev, bytes - had);
	if (err)
		return ERR_PTR(err);
	/* Zeroed: the gaps between a payload's parts go to the executor too. */
	memory = kvzalloc(bytes, GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!memory) {
		infini_vdev_uncharge(vdev, bytes - had);
		return ERR_PTR(-ENOMEM);
	}
	queue->charged_bytes += bytes - had;
	return memory;
}

static int infini_job_reserve(struct infini_kjob *job, size_t bytes)
{
	size_t room = bytes <= PAGE_SIZE ? roundup_pow_of_two(max_t(size_t, bytes, 256)) :
					   PAGE_ALIGN(bytes);
	void *payload;

	if (bytes <= job->payload_room)
		return 0;
	payload = infini_job_memory(job, job->payload_room, room);
	if (IS_ERR(payload))
		return PTR_ERR(payload);
	kvfree(job->payload);
	job->payload = payload;
	job->payload_room = room;
	return 0;
}

/* Before the first of @nr bindings is added. */
static int infini_job_reserve_bindings(struct infini_kjob *job, u32 nr)
{
	const size_t each = sizeof(*job->buffers) + sizeof(*job->access);
	u32 room = roundup_pow_of_two(max(nr, 4u));
	void *memory;

	if (nr <= job->bindings_room)
		return 0;
	memory = infini_job_memory(job, job->bindings_room * each, room * each);
	if (IS_ERR(memory))
		return PTR_ERR(memory);
	kvfree(job->buffers);
	job->buffers = memory;
	job->access = memory + room * sizeof(*job->buffers);
	job->bindings_room = room;
	return 0;
}

static int infini_job_add_buffer(struct infini_kjob *job, struct infini_client *client,
				 u32 handle, u32 access)
{
	struct infini_buffer *buffer = infini_buffer_find(client, handle);

	if (!buffer)
		return -ENOENT;
	if (buffer->type == INFINI_BUFFER_FILE && (access & INFINI_ACCESS_WRITE)) {
		infini_buffer_put_now(buffer);
		return -EACCES;
	}
	job->access[job->nr_bindings] = access;
	job->buffers[job->nr_bindings++] = buffer;
	return 0;
}

/* The buffer behind binding @index as the client gave it, or NULL. */
static const struct infini_buffer *infini_job_binding(const struct infini_kjob *job, u32 index)
{
	if (index >= job->nr_bindings)
		return NULL;
	return job->buffers[array_index_nospec(index, job->nr_bindings)];
}

static bool infini_range_inside(u64 offset, u64 bytes, const struct infini_buffer *buffer)
{
	u64 end;

	return !check_add_overflow(offset, bytes, &end) && end <= buffer->bytes;
}

static void infini_job_write_bindings(struct infini_kjob *job)
{
	struct infini_dispatch_binding *binding = job->payload;
	u32 i;

	for (i = 0; i < job->nr_bindings; i++, binding++) {
		struct infini_buffer *buffer = job->buffers[i];

		*binding = (struct infini_dispatch_binding){
			.buffer = buffer->id,
			.bytes = buffer->bytes,
			.map_offset = buffer->pages ? infini_buffer_map_offset(buffer->id) : 0,
			.type = buffer->type,
			.kind = buffer->kind,
			.access = job->access[i],
		};
	}
}

/* NOP, COPY, FILL: fixed shape, no arrays. */
static int infini_job_build_plain(struct infini_kjob *job, struct infini_client *client,
				  const struct infini_job *cmd)
{
	bool copy = cmd->op == INFINI_OP_COPY;
	int err;

	if (cmd->program || cmd->program_format || cmd->nr_bindings || cmd->nr_inputs ||
	    cmd->nr_outputs || cmd->args_bytes || cmd->bindings || cmd->inputs || cmd->outputs ||
	    cmd->args || (!copy && (cmd->src || cmd->src_offset)) || cmd->value > 255 ||
	    (cmd->op != INFINI_OP_FILL && cmd->value))
		return -EINVAL;
	if (cmd->op == INFINI_OP_NOP)
		return cmd->dst || cmd->dst_offset || cmd->bytes ? -EINVAL : 0;

	err = infini_job_reserve_bindings(job, copy ? 2 : 1);
	if (!err)
		err = infini_job_add_buffer(job, client, cmd->dst, INFINI_ACCESS_WRITE);
	if (!err && copy)
		err = infini_job_add_buffer(job, client, cmd->src, INFINI_ACCESS_READ);
	if (err)
		return err;
	if (!infini_range_inside(cmd->dst_offset, cmd->bytes, job->buffers[0]) ||
	    (copy && !infini_range_inside(cmd->src_offset, cmd->bytes, job->buffers[1])))
		return -EINVAL;
	job->dst_offset = cmd->dst_offset;
	job->src_offset = cmd->src_offset;
	job->bytes = cmd->bytes;
	job->value = cmd->value;
	if (copy && job->buffers[1]->type != INFINI_BUFFER_DEVICE)
		job->bytes_in = cmd->bytes;
	if (copy && job->buffers[0]->type == INFINI_BUFFER_SHARED)
		job->bytes_out = cmd->bytes;
	err = infini_job_reserve(job, job->nr_bindings * sizeof(struct infini_dispatch_binding));
	if (err)
		return err;
	job->payload_bytes = job->nr_bindings * sizeof(struct infini_dispatch_binding);
	infini_job_write_bindings(job);
	return 0;
}

static int infini_job_read_bindings(struct infini_kjob *job, struct infini_client *client,
				    const struct infini_job *cmd)
{
	struct infini_binding __user *from = u64_to_user_ptr(cmd->bindings);
	struct infini_binding binding;
	u32 i;
	int err;

	err = infini_job_reserve_bindings(job, cmd->nr_bindings);
	if (err)
		return err;
	for (i = 0; i < cmd->nr_bindings; i++) {
		if (copy_from_user(&binding, from + i, sizeof(binding)))
			return -EFAULT;
		if (!binding.access ||
		    (binding.access & ~(INFINI_ACCESS_READ | INFINI_ACCESS_WRITE)))
			return -EINVAL;
		err = infini_job_add_buffer(job, client, binding.buffer, binding.access);
		if (err)
			return err;
	}
	return 0;
}

/*
 * Where the parts of the payload lie: bindings, inputs, outputs, arguments, input bytes. The
 * inputs are in place (at job->inputs_at); their data pointers become payload offsets.
 */
static int infini_job_read_inputs(struct infini_kjob *job, u32 data_at)
{
	struct infini_input *input = job->payload + job->inputs_at;
	u32 i;

	for (i = 0; i < job->nr_inputs; i++, input++) {
		if (copy_from_user(job->payload + data_at, u64_to_user_ptr(input->data),
				   input->bytes))
			return -EFAULT;
		input->data = data_at;
		data_at += ALIGN(input->bytes, 8);
		job->bytes_in += input->bytes;
	}
	return 0;
}

/* Check the inputs where they lie; returns the room their bytes need, or -errno. */
static int infini_job_check_inputs(struct infini_kjob *job)
{
	struct infini_input *input = job->payload + job->inputs_at;
	u32 i, room = 0;

	for (i = 0; i < job->nr_inputs; i++, input++) {
		const struct infini_buffer *buffer = infini_job_binding(job, input->binding);

		if (!buffer || input->bytes > INFINI_INLINE_MAX ||
		    !infini_range_inside(input->offset, input->bytes, buffer))
			return -EINVAL;
		if (buffer->type == INFINI_BUFFER_FILE)
			return -EACCES;
		room += ALIGN(input->bytes, 8);
		if (room > INFINI_INLINE_MAX)
			return -ENOSPC;
	}
	return room;
}

static int infini_job_check_outputs(struct infini_kjob *job)
{
	struct infini_output *output = job->payload + job->outputs_at;
	u32 i;

	for (i = 0; i < job->nr_outputs; i++, output++) {
		const struct infini_buffer *src = infini_job_binding(job, output->src_binding);
		const struct infini_buffer *dst = infini_job_binding(job, output->dst_binding);

		if (!src || !dst ||
		    !infini_range_inside(output->src_offset, output->bytes, src) ||
		    !infini_range_inside(output->dst_offset, output->bytes, dst))
			return -EINVAL;
		if (dst->type == INFINI_BUFFER_FILE)
			return -EACCES;
		job->bytes_out += output->bytes;
	}
	return 0;
}

/* Make room for the input bytes behind what is there already. */
static int infini_job_grow(struct infini_kjob *job, u32 have, u32 want)
{
	void *old = NULL;
	int err;

	if (want <= job->payload_room)
		return 0;
	old = kvmalloc(have, GFP_KERNEL_ACCOUNT);
	if (!old)
		return -ENOMEM;
	memcpy(old, job->payload, have);
	err = infini_job_reserve(job, want);
	if (!err)
		memcpy(job->payload, old, have);
	kvfree(old);
	return err;
}

/* PROGRAM and ASK: bindings, inline inputs, outputs, arguments. */
static int infini_job_build_program(struct infini_kjob *job, struct infini_client *client,
				    const struct infini_job *cmd)
{
	u32 fixed, args_room = ALIGN(cmd->args_bytes, 8);
	int room, err;

	if (cmd->dst || cmd->src || cmd->dst_offset || cmd->src_offset || cmd->bytes ||
	    cmd->value || cmd->nr_bindings > INFINI_BINDINGS_MAX ||
	    cmd->nr_inputs > INFINI_COPIES_MAX || cmd->nr_outputs > INFINI_COPIES_MAX ||
	    cmd->args_bytes > INFINI_INLINE_MAX)
		return -EINVAL;
	if (cmd->op == INFINI_OP_PROGRAM ? cmd->program_format != 0 :
					   cmd->program || !cmd->program_format)
		return -EINVAL;
	if (cmd->op == INFINI_OP_PROGRAM) {
		job->program = infini_program_find(client, cmd->program);
		if (!job->program)
			return -ENOENT;
		job->format = job->program->format;
	} else {
		job->format = cmd->program_format;
	}
	err = infini_job_read_bindings(job, client, cmd);
	if (err)
		return err;

	job->nr_inputs = cmd->nr_inputs;
	job->nr_outputs = cmd->nr_outputs;
	job->args_bytes = cmd->args_bytes;
	job->inputs_at = job->nr_bindings * sizeof(struct infini_dispatch_binding);
	job->outputs_at = job->inputs_at + job->nr_inputs * sizeof(struct infini_input);
	job->args_at = job->outputs_at + job->nr_outputs * sizeof(struct infini_output);
	fixed = job->args_at + args_room;
	err = infini_job_reserve(job, fixed);
	if (err)
		return err;
	infini_job_write_bindings(job);
	if (copy_from_user(job->payload + job->inputs_at, u64_to_user_ptr(cmd->inputs),
			   job->nr_inputs * sizeof(struct infini_input)) ||
	    copy_from_user(job->payload + job->outputs_at, u64_to_user_ptr(cmd->outputs),
			   job->nr_outputs * sizeof(struct infini_output)) ||
	    copy_from_user(job->payload + job->args_at, u64_to_user_ptr(cmd->args),
			   job->args_bytes))
		return -EFAULT;
	job->bytes_in = job->args_bytes;
	room = infini_job_check_inputs(job);
	if (room < 0)
		return room;
	if (args_room + room > INFINI_INLINE_MAX)
		return -ENOSPC;
	err = infini_job_check_outputs(job);
	if (err)
		return err;
	err = infini_job_grow(job, fixed, fixed + room);
	if (err)
		return err;
	job->payload_bytes = fixed + room;
	return infini_job_read_inputs(job, fixed);
}

/* Who clears memory, which takes a CPU some page faults, has by default a second more for 64 MiB. */
static int infini_job_timeout(u64 asked, u64 cleared_bytes, u64 *timeout_ns)
{
	u64 usual = (u64)READ_ONCE(infini_default_timeout_ms) * NSEC_PER_MSEC +
		    (cleared_bytes >> 26) * NSEC_PER_SEC;
	u64 max = (u64)READ_ONCE(infini_max_timeout_ms) * NSEC_PER_MSEC;

	*timeout_ns = asked ?: min(usual, max);
	return *timeout_ns > max ? -EINVAL : 0;
}

static void infini_job_reset(struct infini_kjob *job)
{
	job->op = INFINI_OP_NOP;
	job->format = 0;
	job->nr_inputs = 0;
	job->nr_outputs = 0;
	job->args_bytes = 0;
	job->payload_bytes = 0;
	job->inputs_at = 0;
	job->outputs_at = 0;
	job->args_at = 0;
	job->dst_offset = 0;
	job->src_offset = 0;
	job->bytes = 0;
	job->value = 0;
	job->request_id = 0;
	job->tokens_evaluated = 0;
	job->tokens_generated = 0;
	job->tokens_prompt = 0;
	job->tokens_scored = 0;
	job->tokens_embedded = 0;
	job->prompts = 0;
	job->times = (struct infini_stream_times){};
	job->segment = 0;
	job->dispatch = 0;
	job->status = 0;
	job->result = 0;
	job->occupancy_ns = 0;
	job->bytes_in = 0;
	job->bytes_out = 0;
}

static int infini_job_build(struct infini_kjob *job, struct infini_client *client,
			    const struct infini_job *cmd)
{
	int err;

	infini_job_reset(job);
	if (cmd->flags || cmd->pad || cmd->op > INFINI_OP_ASK ||
	    cmd->tokens_evaluated > INFINI_TOKENS_MAX || cmd->tokens_generated > INFINI_TOKENS_MAX)
		return -EINVAL;
	err = infini_job_timeout(cmd->timeout_ns, 0, &job->timeout_ns);
	if (err)
		return err;
	job->op = cmd->op;
	job->request_id = cmd->request_id;
	job->tokens_evaluated = cmd->tokens_evaluated;
	job->tokens_generated = cmd->tokens_generated;
	if (cmd->op == INFINI_OP_PROGRAM || cmd->op == INFINI_OP_ASK)
		err = infini_job_build_program(job, client, cmd);
	else
		err = infini_job_build_plain(job, client, cmd);
	if (err)
		infini_job_drop_objects(job);
	return err;
}

/* ---- handing jobs in ---- */

/* The slot of the seqno @ahead of the last one, or NULL when the queue is full. */
static struct infini_kjob *infini_queue_slot(struct infini_queue *queue, u32 ahead)
{
	struct infini_kjob *job;

	lockdep_assert_held(&queue->submit_lock);
	if (ahead > queue->depth)
		return NULL;
	job = &queue->jobs[(queue->submitted + ahead) % queue->depth];
	/* Pairs with infini_job_step_locked(): whoever freed the slot has done with it. */
	return smp_load_acquire(&job->state) == INFINI_JOB_IDLE ? job : NULL;
}

/*
 * Make @nr slots behind the last seqno visible to the scheduler. Returns -errno when there is
 * nobody to ever run them.
 */
static int infini_queue_enqueue(struct infini_queue *queue, u32 nr)
{
	struct infini_vdev *vdev = queue->client->vdev;
	struct infini_device *device = vdev->device;
	unsigned long flags;
	bool served;
	u64 now;
	u32 i;

	lockdep_assert_held(&queue->submit_lock);
	spin_lock_irqsave(&device->lock, flags);
	if (queue->dead || vdev->dead || !device->online) {
		spin_unlock_irqrestore(&device->lock, flags);
		return queue->dead ? -ECANCELED : -ENODEV;
	}
	now = ktime_get_ns();
	if (queue->completed == queue->submitted)
		refcount_inc(&queue->refs);
	for (i = 0; i < nr; i++) {
		u64 seqno = queue->submitted + 1;
		struct infini_kjob *job = &queue->jobs[seqno % queue->depth];

		job->seqno = seqno;
		job->submitted_ns = now;
		job->queued_ns = now;
		infini_job_step_locked(job, INFINI_JOB_EV_SUBMIT);
		WRITE_ONCE(queue->submitted, seqno);
		vdev->count.jobs_submitted++;
		infini_stream_submitted(&queue->client->streams, job->request_id, now);
		trace_infini_job_submit(job, now);
	}
	/* Pairs with a client's acquire load: what it sees handed out counts as submitted here. */
	smp_store_release(&queue->timeline->submitted, queue->submitted);
	infini_queue_update_locked(queue, now);
	infini_device_schedule_locked(device, now);
	served = infini_vdev_served_locked(vdev);
	spin_unlock_irqrestore(&device->lock, flags);

	if (!served)
		infini_vdev_expect_executor(vdev);
	return 0;
}

static int infini_submit_jobs(struct infini_queue *queue, struct infini_submit *cmd)
{
	struct infini_job job __uninitialized;
	u32 i, nr = 0;
	int err = 0;

	lockdep_assert_held(&queue->submit_lock);
	for (i = 0; i < cmd->nr_jobs; i++) {
		struct infini_kjob *slot = infini_queue_slot(queue, i + 1);

		if (!slot) {
			err = -EAGAIN;
			break;
		}
		err = infini_copy_array(&job, cmd->jobs, cmd->jobs_stride, sizeof(job), i);
		if (!err)
			err = infini_job_build(slot, queue->client, &job);
		if (err)
			break;
		nr++;
	}
	if (!nr)
		return err;
	err = infini_queue_enqueue(queue, nr);
	if (err) {
		for (i = 1; i <= nr; i++)
			infini_job_drop_objects(infini_queue_slot(queue, i));
		return err;
	}
	cmd->accepted = nr;
	cmd->last_seqno = queue->submitted;
	return 0;
}

static int infini_submit_wait(struct infini_queue *queue, struct infini_submit *cmd)
{
	u64 seqno = cmd->last_seqno - cmd->accepted + 1;
	int status = 0, err;
	u64 value = 0;

	/* Should the executor run at once, it may be done before we would come to sleep. */
	cond_resched();
	err = infini_queue_wait(queue, cmd->last_seqno, cmd->deadline_ns, &status, &value);
	if (err)
		return err == -ERESTARTSYS ? -EINTR : err;
	cmd->value = value;
	cmd->status = status;
	for (; seqno < cmd->last_seqno; seqno++) {
		err = infini_queue_wait(queue, seqno, 0, &status, &value);
		if (!err && status) {
			cmd->status = status;
			break;
		}
	}
	return 0;
}

int infini_submit_ioctl(struct infini_ucmd *ucmd)
{
	struct infini_client *client = ucmd->file->private_data;
	struct infini_submit *cmd = ucmd->cmd;
	struct infini_queue *queue;
	int err;

	if ((cmd->flags & ~(INFINI_SUBMIT_F_WAIT | INFINI_SUBMIT_F_RATE_NOWAIT)) || cmd->pad ||
	    !cmd->nr_jobs || cmd->nr_jobs > INFINI_BATCH_MAX || cmd->deadline_ns < 0 ||
	    (!(cmd->flags & INFINI_SUBMIT_F_WAIT) && cmd->deadline_ns) ||
	    cmd->jobs_stride < offsetofend(struct infini_job, request_id) ||
	    cmd->jobs_stride > PAGE_SIZE)
		return -EINVAL;
	if (READ_ONCE(client->vdev->dead))
		return -ENODEV;
	queue = infini_queue_find(client, cmd->queue);
	if (!queue)
		return -ENOENT;
	cmd->accepted = 0;
	cmd->last_seqno = 0;
	cmd->status = 0;
	cmd->value = 0;
	if ((cmd->flags & INFINI_SUBMIT_F_RATE_NOWAIT) && infini_vdev_over_rate(client->vdev)) {
		err = -EDQUOT;
		goto out;
	}
	err = mutex_lock_interruptible(&queue->submit_lock);
	if (err) {
		err = -EINTR;
		goto out;
	}
	err = infini_submit_jobs(queue, cmd);
	mutex_unlock(&queue->submit_lock);
	if (err)
		goto out;
	if (cmd->flags & INFINI_SUBMIT_F_WAIT)
		err = infini_submit_wait(queue, cmd);
	/* Whose waiting was cut short must know what he waited for. */
	err = infini_ucmd_respond(ucmd) ?: err;
out:
	infini_queue_put(queue);
	return err;
}

int infini_wait_ioctl(struct infini_ucmd *ucmd)
{
	struct infini_client *client = ucmd->file->private_data;
	struct infini_wait *cmd = ucmd->cmd;
	struct infini_queue *queue;
	int err;

	if (cmd->flags || cmd->deadline_ns < 0)
		return -EINVAL;
	queue = infini_queue_find(client, cmd->queue);
	if (!queue)
		return -ENOENT;
	if (cmd->seqno > READ_ONCE(queue->submitted)) {
		err = -EINVAL;
	} else {
		err = infini_queue_wait(queue, cmd->seqno, cmd->deadline_ns, &cmd->status,
					&cmd->value);
		if (!err)
			err = infini_ucmd_respond(ucmd);
	}
	infini_queue_put(queue);
	return err;
}

/* ---- asking the executor for memory ---- */

static struct infini_queue *infini_alloc_queue(struct infini_client *client)
{
	struct infini_queue *queue;

	queue = READ_ONCE(client->alloc_queue);
	if (queue)
		return queue;
	queue = infini_queue_new(client, 1, INFINI_WEIGHT_DEFAULT, NULL);
	if (IS_ERR(queue))
		return queue;
	mutex_lock(&client->lock);
	if (client->alloc_queue) {
		mutex_unlock(&client->lock);
		infini_queue_put(queue);
		return client->alloc_queue;
	}
	list_add_tail(&queue->link, &client->queue_list);
	WRITE_ONCE(client->nr_queues, client->nr_queues + 1);
	WRITE_ONCE(client->alloc_queue, queue);
	mutex_unlock(&client->lock);
	return queue;
}

static int infini_alloc_build(struct infini_kjob *job, struct infini_buffer *buffer)
{
	int err;

	infini_job_reset(job);
	err = infini_job_timeout(0, buffer->bytes, &job->timeout_ns);
	if (!err)
		err = infini_job_reserve_bindings(job, 1);
	if (!err)
		err = infini_job_reserve(job, sizeof(struct infini_dispatch_binding));
	if (err)
		return err;
	job->op = INFINI_OP_ALLOC;
	refcount_inc(&buffer->refs);
	job->access[0] = INFINI_ACCESS_WRITE;
	job->buffers[0] = buffer;
	job->nr_bindings = 1;
	job->payload_bytes = sizeof(struct infini_dispatch_binding);
	infini_job_write_bindings(job);
	return 0;
}

static int infini_alloc_enqueue(struct infini_queue *queue, struct infini_buffer *buffer,
				u64 *seqno)
{
	struct infini_kjob *slot;
	int err;

	if (mutex_lock_interruptible(&queue->submit_lock))
		return -EINTR;
	slot = infini_queue_slot(queue, 1);
	err = slot ? infini_alloc_build(slot, buffer) : -EAGAIN;
	if (!err) {
		err = infini_queue_enqueue(queue, 1);
		if (err)
			infini_job_drop_objects(slot);
	}
	*seqno = queue->submitted;
	mutex_unlock(&queue->submit_lock);
	return err;
}

/**
 * infini_job_alloc_buffer - have the executor allocate its side of a buffer
 * @client: whose
 * @buffer: without pages
 *
 * Interrupted, the job goes on without us and drops the buffer when it ends.
 *
 * Return: 0 or -errno.
 */
int infini_job_alloc_buffer(struct infini_client *client, struct infini_buffer *buffer)
{
	struct infini_queue *queue = infini_alloc_queue(client);
	int status = 0, err;
	u64 seqno, value;

	if (IS_ERR(queue))
		return PTR_ERR(queue);
	do {
		err = infini_alloc_enqueue(queue, buffer, &seqno);
		if (err == -EAGAIN &&
		    infini_wait_event(client->wait, &queue->spin,
				      infini_queue_reached(queue, READ_ONCE(queue->submitted)),
				      INFINI_FOREVER))
			return -EINTR;
	} while (err == -EAGAIN);
	if (err)
		return err;
	err = infini_queue_wait(queue, seqno, INFINI_FOREVER, &status, &value);
	if (err)
		return err == -ERESTARTSYS ? -EINTR : err;
	/* The executor's word becomes a system call's result: no number that only kernels know. */
	return status <= -ERESTARTSYS ? -EIO : status;
}
