// SPDX-License-Identifier: GPL-2.0-only
/* Jobs on their way: slots, windows, order, preemption, cancellation, who is woken. */
#include <linux/eventfd.h>

#include "world.h"

static const struct infini_job nop = { .op = INFINI_OP_NOP };

static void submit(struct kunit *test, u32 queue, u32 nr)
{
	struct world *world = test->priv;
	struct infini_job jobs[8] = {};
	u32 accepted;

	KUNIT_ASSERT_EQ(test, world_submit(world->client_file, queue, jobs, nr, &accepted), 0);
	KUNIT_ASSERT_EQ(test, accepted, nr);
}

static void expect_states(struct kunit *test, struct infini_queue *queue, const char *want)
{
	static const char letters[] = "iqdxo";	/* idle queued dispatched doomed done */
	u64 seqno;

	for (seqno = 1; *want; seqno++, want++)
		KUNIT_EXPECT_EQ_MSG(test, letters[queue->jobs[seqno % queue->depth].state], *want,
				    "job %llu", seqno);
}

static void slots_are_reused(struct kunit *test)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	u32 handle = world_queue(test, world->client_file, 2), accepted;
	struct infini_queue *queue = world_queue_of(world->client_file, handle);
	u64 seqno;

	world_attach(test, world->vdev, 1, executor);
	for (seqno = 1; seqno <= 200; seqno += 2) {
		submit(test, handle, 2);
		KUNIT_EXPECT_EQ(test, world_submit(world->client_file, handle, &nop, 1, &accepted),
				-EAGAIN);
		KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 1), 0);
		KUNIT_ASSERT_EQ(test, executor->nr, 1);
		KUNIT_ASSERT_EQ(test, world_done(test, executor, seqno, 0), 0);
		KUNIT_EXPECT_EQ(test, queue->completed, seqno);
		KUNIT_EXPECT_EQ(test, world_status(world->client_file, handle, seqno), 0);
		KUNIT_EXPECT_EQ(test, world_status(world->client_file, handle, seqno + 1),
				-EINPROGRESS);
		KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 1), 0);
		KUNIT_ASSERT_EQ(test, world_done(test, executor, seqno + 1, -EIO), 0);
		KUNIT_EXPECT_EQ(test, world_status(world->client_file, handle, seqno + 1), -EIO);
	}
	KUNIT_EXPECT_EQ(test, queue->timeline->completed, 200);
	KUNIT_EXPECT_EQ(test, queue->timeline->submitted, 200);
	expect_states(test, queue, "ii");
	KUNIT_EXPECT_EQ(test, world->vdev->count.jobs_completed, 100);
	KUNIT_EXPECT_EQ(test, world->vdev->count.jobs_failed, 100);
}

static void window_and_order(struct kunit *test)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	u32 handle = world_queue(test, world->client_file, 8);
	struct infini_queue *queue = world_queue_of(world->client_file, handle);

	world_attach(test, world->vdev, 3, executor);
	submit(test, handle, 5);
	expect_states(test, queue, "qqqqq");
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 8), 0);
	KUNIT_EXPECT_EQ(test, executor->nr, 3);
	expect_states(test, queue, "dddqq");
	KUNIT_ASSERT_EQ(test, world_done(test, executor, 2, 0), 0);
	expect_states(test, queue, "dodqq");
	KUNIT_EXPECT_EQ(test, queue->completed, 0);
	KUNIT_ASSERT_EQ(test, world_done(test, executor, 1, 0), 0);
	expect_states(test, queue, "iidqq");
	KUNIT_EXPECT_EQ(test, queue->completed, 2);
	/* The third comes back unbegun; it goes before the fourth. */
	KUNIT_ASSERT_EQ(test, world_preempted(test, executor, 3, 0), 0);
	expect_states(test, queue, "iiqqq");
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 8), 0);
	KUNIT_EXPECT_EQ(test, executor->nr, 3);
	expect_states(test, queue, "iiddd");
	KUNIT_EXPECT_EQ(test, queue->jobs[3].dispatch, 4);
}

/* The executor dies with its window; what it had not been given waits for the next. */
static void executor_dies(struct kunit *test)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	u32 handle = world_queue(test, world->client_file, 8);
	struct infini_queue *queue = world_queue_of(world->client_file, handle);

	world_attach(test, world->vdev, 2, executor);
	submit(test, handle, 4);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 8), 0);
	world_detach(executor);
	expect_states(test, queue, "iiqq");
	KUNIT_EXPECT_EQ(test, world_status(world->client_file, handle, 1), -EOWNERDEAD);
	KUNIT_EXPECT_EQ(test, mock_events[INFINI_EVENT_EXECUTOR_LOST], 1);
	KUNIT_EXPECT_EQ(test, mock_events[INFINI_EVENT_EXECUTOR_WANTED], 2);
	world_attach(test, world->vdev, 2, executor);
	KUNIT_EXPECT_EQ(test, executor->executor->generation, 2);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 8), 0);
	KUNIT_EXPECT_EQ(test, executor->nr, 2);
	expect_states(test, queue, "iidd");
}

/*
 * An answer for a job of an executor that died: nothing comes of it, neither by its file, which is
 * revoked, nor by that of the executor after it, which was never given that dispatch.
 */
static void late_answer(struct kunit *test)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	struct infini_job job = { .op = INFINI_OP_NOP };
	u32 handle = world_queue(test, world->client_file, 4);

	world_attach(test, world->vdev, 2, executor);
	submit(test, handle, 2);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 8), 0);
	KUNIT_ASSERT_EQ(test, executor->nr, 2);
	infini_executor_revoke(executor->executor);
	KUNIT_EXPECT_EQ(test, world_done(test, executor, 1, 0), -ENODEV);
	KUNIT_EXPECT_EQ(test, world_status(world->client_file, handle, 1), -EOWNERDEAD);
	world_detach(executor);
	world_attach(test, world->vdev, 2, executor);
	KUNIT_EXPECT_EQ(test, executor->executor->generation, 2);
	KUNIT_EXPECT_EQ(test, world_done(test, executor, 2, 0), -ESTALE);
	KUNIT_ASSERT_EQ(test, world_submit(world->client_file, handle, &job, 1, NULL), 0);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 8), 0);
	KUNIT_EXPECT_EQ(test, world_done(test, executor, 2, 0), -ESTALE);
	KUNIT_EXPECT_EQ(test, world_status(world->client_file, handle, 3), -EINPROGRESS);
	KUNIT_ASSERT_EQ(test, world_done(test, executor, 1, 0), 0);
	KUNIT_EXPECT_EQ(test, world_status(world->client_file, handle, 3), 0);
	KUNIT_EXPECT_EQ(test, world->vdev->count.jobs_completed, 1);
}

/* A destroyed queue: what waits ends now, what runs ends with the executor's answer. */
static void queue_destroyed(struct kunit *test)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	struct infini_handle handle = {
		.size = sizeof(handle), .handle = world_queue(test, world->client_file, 8),
	};
	struct infini_queue *queue = world_queue_of(world->client_file, handle.handle);

	world_attach(test, world->vdev, 2, executor);
	submit(test, handle.handle, 4);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 8), 0);
	refcount_inc(&queue->refs);
	KUNIT_EXPECT_EQ(test, *executor->executor->word, 0);
	KUNIT_ASSERT_EQ(test, world_call(world->client_file, INFINI_IOC_QUEUE_DESTROY, &handle),
			0);
	KUNIT_EXPECT_EQ(test, *executor->executor->word, 2);
	expect_states(test, queue, "xxoo");
	KUNIT_ASSERT_EQ(test, world_done(test, executor, 1, 0), 0);
	KUNIT_ASSERT_EQ(test, world_preempted(test, executor, 2, 7), 0);
	expect_states(test, queue, "iiii");
	KUNIT_EXPECT_EQ(test, refcount_read(&queue->refs), 1);
	KUNIT_EXPECT_EQ(test, world->vdev->count.jobs_failed, 4);
	infini_queue_put(queue);
	KUNIT_EXPECT_EQ(test, atomic_read(&world->vdev->nr_queues), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&world->vdev->memory_used_bytes), 0);
}

/* The client closes with everything in flight; the last answer frees it all. */
static void client_closes(struct kunit *test)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	u32 a = world_queue(test, world->client_file, 4);
	u32 b = world_queue(test, world->client_file, 4);
	u64 first, second;

	world_attach(test, world->vdev, 2, executor);
	submit(test, a, 2);
	submit(test, b, 2);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 8), 0);
	KUNIT_ASSERT_EQ(test, executor->nr, 2);
	first = executor->dispatches[0].dispatch;
	second = executor->dispatches[1].dispatch;
	__fput_sync(world->client_file);
	world->client_file = NULL;
	KUNIT_EXPECT_EQ(test, world->vdev->nr_clients, 0);
	KUNIT_EXPECT_GT(test, atomic_read(&world->vdev->nr_queues), 0);
	KUNIT_ASSERT_EQ(test, world_done(test, executor, first, 0), 0);
	KUNIT_ASSERT_EQ(test, world_done(test, executor, second, 0), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&world->vdev->nr_queues), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&world->vdev->memory_used_bytes), 0);
}

/* One wake-up per queue, one signal per job. */
static void wakeups(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_wakeups wakeups = {};
	struct infini_queue *a, *b;

	a = infini_queue_new(world->client, 1, 100, NULL);
	b = infini_queue_new(world->client, 1, 100, NULL);
	KUNIT_ASSERT_FALSE(test, IS_ERR(a));
	KUNIT_ASSERT_FALSE(test, IS_ERR(b));
	a->handle = 1;
	spin_lock_irq(&world->vdev->device->lock);
	infini_wakeups_add_locked(&wakeups, a);
	infini_wakeups_add_locked(&wakeups, b);
	infini_wakeups_add_locked(&wakeups, a);
	spin_unlock_irq(&world->vdev->device->lock);
	KUNIT_EXPECT_PTR_EQ(test, wakeups.first, b);
	KUNIT_EXPECT_PTR_EQ(test, b->wake_next, a);
	KUNIT_EXPECT_PTR_EQ(test, a->wake_next, NULL);
	KUNIT_EXPECT_EQ(test, refcount_read(&a->refs), 2);
	KUNIT_EXPECT_EQ(test, atomic_read(&a->signals), 2);
	infini_wakeups_run(&wakeups);
	KUNIT_EXPECT_PTR_EQ(test, wakeups.first, NULL);
	KUNIT_EXPECT_EQ(test, atomic_read(&a->signals), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&a->refs), 1);
	/* The queue without a handle is the module's own: its jobs are none of the client's. */
	KUNIT_EXPECT_EQ(test, atomic64_read(&world->client->ended), 2);
	infini_queue_put(a);
	infini_queue_put(b);
}

/* Payloads that cannot be written: the jobs are back, in order, as if never handed out. */
static void unwritable(struct kunit *test)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	u32 handle = world_queue(test, world->client_file, 8);
	struct infini_queue *queue = world_queue_of(world->client_file, handle);
	struct infini_exchange exchange = {
		.size = sizeof(exchange), .dispatches = 8, .nr_dispatches = 4,
		.dispatches_stride = sizeof(struct infini_dispatch),
		.payload_bytes = INFINI_PAYLOAD_MAX,
	};

	exchange.payload = (uintptr_t)world->payload;
	world_attach(test, world->vdev, 3, executor);
	submit(test, handle, 4);
	KUNIT_EXPECT_EQ(test, world_call(executor->file, INFINI_IOC_EXCHANGE, &exchange), -EFAULT);
	expect_states(test, queue, "qqqq");
	KUNIT_EXPECT_EQ(test, queue->next, 1);
	KUNIT_EXPECT_FALSE(test, executor->executor->granted);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 8), 0);
	KUNIT_EXPECT_EQ(test, executor->nr, 3);
	expect_states(test, queue, "dddq");
}

/* Results were taken, the answer could not be written: no slot is kept for nothing. */
static void unanswered(struct kunit *test)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	struct infini_result result = { .dispatch = 1 };
	u32 handle = world_queue(test, world->client_file, 8);

	world_attach(test, world->vdev, 1, executor);
	submit(test, handle, 2);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 1), 0);
	mock_respond_err = -EFAULT;
	KUNIT_EXPECT_EQ(test, world_exchange(test, executor, &result, 1, 1), -EFAULT);
	mock_respond_err = 0;
	KUNIT_EXPECT_FALSE(test, executor->executor->granted);
	KUNIT_EXPECT_FALSE(test, executor->executor->waiting);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, executor->nr, 1);
}

static void vdev_deleted(struct kunit *test)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	struct infini_job ask = {
		.op = INFINI_OP_ASK,
		.program_format = 1,
		.args = (u64)world->payload,
		.args_bytes = PAGE_SIZE,
	};
	struct infini_reason reason = {};
	u32 handle = world_queue(test, world->client_file, 8);
	s64 used;

	world_attach(test, world->vdev, 1, executor);
	submit(test, handle, 3);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, infini_vdev_delete(world->vdev, false, &reason), -EBUSY);
	KUNIT_EXPECT_TRUE(test, reason.text[0]);
	KUNIT_EXPECT_EQ(test, infini_vdev_delete(world->vdev, true, &reason), 0);
	KUNIT_EXPECT_EQ(test, infini_vdev_delete(world->vdev, true, &reason), -ENOENT);
	KUNIT_EXPECT_EQ(test, mock_kills, 1);
	KUNIT_EXPECT_EQ(test, world_status(world->client_file, handle, 1), -ECANCELED);
	KUNIT_EXPECT_EQ(test, world_status(world->client_file, handle, 3), -ECANCELED);
	KUNIT_EXPECT_EQ(test, world_submit(world->client_file, handle, &nop, 1, NULL), -ENODEV);
	/* What was its own is promised to others now: not even a refused job keeps some of it. */
	used = atomic64_read(&world->device->memory_used_bytes);
	KUNIT_EXPECT_EQ(test, world_submit(world->client_file, handle, &ask, 1, NULL), -ENODEV);
	KUNIT_EXPECT_EQ(test, atomic64_read(&world->device->memory_used_bytes), used);
	KUNIT_EXPECT_EQ(test, world_exchange(test, executor, NULL, 0, 1), -ENODEV);
	KUNIT_EXPECT_EQ(test, world->device->promised_bytes, 0);
}

static void device_goes(struct kunit *test)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	u32 handle = world_queue(test, world->client_file, 8);
	struct file *again;

	world_attach(test, world->vdev, 1, executor);
	submit(test, handle, 2);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, world_register(world, "mockdev", 1, &again), -EEXIST);
	__fput_sync(world->device_file);
	world->device_file = NULL;
	KUNIT_EXPECT_EQ(test, mock_events[INFINI_EVENT_DEVICE_OFFLINE], 1);
	KUNIT_EXPECT_EQ(test, world_status(world->client_file, handle, 1), -ENODEV);
	KUNIT_EXPECT_EQ(test, world_status(world->client_file, handle, 2), -ENODEV);
	KUNIT_EXPECT_EQ(test, world_submit(world->client_file, handle, &nop, 1, NULL), -ENODEV);
	world_detach(executor);
	KUNIT_ASSERT_EQ(test, world_register(world, "mockdev", 1, &world->device_file), 0);
	KUNIT_EXPECT_PTR_EQ(test, world->device_file->private_data, world->device);
	world_attach(test, world->vdev, 1, executor);
	submit(test, handle, 1);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, executor->nr, 1);
}

static struct kunit_case job_cases[] = {
	KUNIT_CASE(slots_are_reused),
	KUNIT_CASE(window_and_order),
	KUNIT_CASE(executor_dies),
	KUNIT_CASE(late_answer),
	KUNIT_CASE(queue_destroyed),
	KUNIT_CASE(client_closes),
	KUNIT_CASE(wakeups),
	KUNIT_CASE(unwritable),
	KUNIT_CASE(unanswered),
	KUNIT_CASE(vdev_deleted),
	KUNIT_CASE(device_goes),
	{}
};

static struct kunit_suite job_suite = {
	.name = "infini_job",
	.init = world_init,
	.exit = world_exit,
	.test_cases = job_cases,
};
kunit_test_suite(job_suite);
