// SPDX-License-Identifier: GPL-2.0-only
/* What time does, moved by hand: quantum, shares, timeouts, grace, waiting for an executor. */
#include "world.h"

#define MS	WORLD_MS

static struct infini_job nop_for(u64 timeout_ns)
{
	return (struct infini_job){ .op = INFINI_OP_NOP, .timeout_ns = timeout_ns };
}

/* Two vdevs on one slot. */
struct pair {
	struct infini_vdev *vdev[2];
	struct file *client[2];
	struct world_executor executor[2];
	u32 queue[2];
};

static struct pair *pair_make(struct kunit *test, u32 weight)
{
	struct pair *pair = kunit_kzalloc(test, sizeof(*pair), GFP_KERNEL);
	struct world *world = test->priv;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, pair);
	pair->vdev[0] = world->vdev;
	pair->client[0] = world->client_file;
	pair->vdev[1] = world_vdev(test, "second", weight);
	pair->client[1] = world_client(test, pair->vdev[1]);
	for (i = 0; i < 2; i++) {
		world_attach(test, pair->vdev[i], 1, &pair->executor[i]);
		pair->queue[i] = world_queue(test, pair->client[i], 1);
	}
	return pair;
}

static void pair_end(struct pair *pair)
{
	world_detach(&pair->executor[0]);
	world_detach(&pair->executor[1]);
	__fput_sync(pair->client[1]);
	infini_vdev_put(pair->vdev[1]);
}

static void pair_submit(struct kunit *test, struct pair *pair, int i, u64 timeout_ns)
{
	struct infini_job job = nop_for(timeout_ns);

	KUNIT_ASSERT_EQ(test, world_submit(pair->client[i], pair->queue[i], &job, 1, NULL), 0);
}

/* Executor @i looks for work; how much it holds then. */
static u32 pair_take(struct kunit *test, struct pair *pair, int i)
{
	KUNIT_ASSERT_EQ(test, world_exchange(test, &pair->executor[i], NULL, 0, 1), 0);
	return pair->executor[i].executor->nr_held;
}

static bool pair_asked(struct pair *pair, int i)
{
	struct infini_executor *executor = pair->executor[i].executor;

	return *executor->word >= executor->next_dispatch - 1;
}

/* Asked to yield once the quantum is over, and not before; then the other runs. */
static void quantum(struct kunit *test)
{
	struct pair *pair = pair_make(test, 100);
	struct infini_executor *first = pair->executor[0].executor;

	pair_submit(test, pair, 0, 0);
	KUNIT_ASSERT_EQ(test, pair_take(test, pair, 0), 1);
	/* Alone it is not disturbed. */
	mock_advance(100 * MS);
	KUNIT_EXPECT_FALSE(test, pair_asked(pair, 0));
	KUNIT_ASSERT_EQ(test, world_preempted(test, &pair->executor[0], 1, 1), 0);
	KUNIT_ASSERT_EQ(test, pair_take(test, pair, 0), 1);
	pair_submit(test, pair, 1, 0);
	/* Nobody looks for the second's work yet: it cannot take any. */
	mock_advance(1 * MS);
	KUNIT_EXPECT_FALSE(test, pair_asked(pair, 0));
	KUNIT_EXPECT_EQ(test, first->granted, true);
	pair_end(pair);
}

/* By turns for one virtual second: occupancy in proportion to weight. */
static void shares(struct kunit *test)
{
	struct pair *pair = pair_make(test, 300);
	u64 begin = mock_now_ns, occupancy[2];
	int i, running;

	pair_submit(test, pair, 0, 600 * NSEC_PER_SEC);
	pair_submit(test, pair, 1, 600 * NSEC_PER_SEC);
	for (i = 0; i < 2; i++)
		pair_take(test, pair, i);
	while (mock_now_ns - begin < NSEC_PER_SEC) {
		running = pair->executor[0].executor->nr_held ? 0 : 1;
		KUNIT_ASSERT_EQ(test, pair->executor[running].executor->nr_held, 1);
		mock_advance(MS / 10);
		/* Who waits stays inside EXCHANGE, as a worker would. */
		spin_lock_irq(&pair->vdev[0]->device->lock);
		infini_sched_vdev_online(&pair->vdev[0]->device->sched,
					 &pair->vdev[!running]->sched, true, mock_now_ns);
		infini_device_schedule_locked(pair->vdev[0]->device, mock_now_ns);
		spin_unlock_irq(&pair->vdev[0]->device->lock);
		if (pair_asked(pair, running)) {
			struct infini_executor *executor = pair->executor[running].executor;

			KUNIT_ASSERT_EQ(test, world_preempted(test, &pair->executor[running],
							      executor->next_dispatch - 1, 0), 0);
		}
		for (i = 0; i < 2; i++)
			if (!pair->executor[!running].executor->nr_held &&
			    !pair->executor[running].executor->nr_held)
				pair_take(test, pair, i ? running : !running);
	}
	for (i = 0; i < 2; i++)
		occupancy[i] = pair->vdev[i]->sched.occupancy_ns;
	KUNIT_EXPECT_GE(test, occupancy[0] + occupancy[1], NSEC_PER_SEC - 20 * MS);
	KUNIT_EXPECT_LE_MSG(test, abs((s64)(occupancy[1] * 100 / (occupancy[0] + occupancy[1])) -
				      75), 3, "%llu of %llu", occupancy[1],
			    occupancy[0] + occupancy[1]);
	pair_end(pair);
}

/* A timeout is occupancy: raised at its end, ended by the executor's answer. */
static void timeout_answered(struct kunit *test)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	struct infini_job job = nop_for(50 * MS);
	u32 queue = world_queue(test, world->client_file, 2);

	world_attach(test, world->vdev, 1, executor);
	KUNIT_ASSERT_EQ(test, world_submit(world->client_file, queue, &job, 1, NULL), 0);
	/* Waiting is not occupancy. */
	mock_advance(200 * MS);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 1), 0);
	KUNIT_ASSERT_EQ(test, executor->nr, 1);
	mock_advance(30 * MS);
	KUNIT_ASSERT_EQ(test, world_preempted(test, executor, 1, 1), 0);
	/* Nor is the time between two stays. */
	mock_advance(200 * MS);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 1), 0);
	mock_advance(19 * MS);
	KUNIT_EXPECT_EQ(test, *executor->executor->word, 0);
	mock_advance(1 * MS);
	KUNIT_EXPECT_EQ(test, *executor->executor->word, 2);
	KUNIT_EXPECT_EQ(test, world_status(world->client_file, queue, 1), -EINPROGRESS);
	/* Too late to be good. */
	KUNIT_ASSERT_EQ(test, world_done(test, executor, 2, 0), 0);
	KUNIT_EXPECT_EQ(test, world_status(world->client_file, queue, 1), -ETIMEDOUT);
	KUNIT_EXPECT_EQ(test, world->vdev->count.jobs_timed_out, 1);
	KUNIT_EXPECT_EQ(test, mock_kills, 0);
	KUNIT_EXPECT_EQ(test, mock_events[INFINI_EVENT_JOB_TIMEOUT], 1);
}

/* Not answered within the grace: killed, the slot quarantined until the process is gone. */
static void timeout_unanswered(struct kunit *test, bool cancelled)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	struct infini_job job = nop_for(50 * MS);
	struct infini_handle handle = { .size = sizeof(handle) };
	struct infini_executor_create create = { .size = sizeof(create) };

	create.vdev_id = world->vdev->id;
	handle.handle = world_queue(test, world->client_file, 2);
	world_attach(test, world->vdev, 1, executor);
	KUNIT_ASSERT_EQ(test, world_submit(world->client_file, handle.handle, &job, 1, NULL), 0);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 1), 0);
	if (cancelled)
		KUNIT_ASSERT_EQ(test, world_call(world->client_file, INFINI_IOC_QUEUE_DESTROY,
						 &handle), 0);
	mock_advance(50 * MS);
	mock_advance(4999 * MS);
	flush_workqueue(infini_wq);
	KUNIT_EXPECT_EQ(test, mock_kills, 0);
	mock_advance(1 * MS);
	flush_workqueue(infini_wq);
	KUNIT_EXPECT_EQ(test, mock_kills, 1);
	KUNIT_EXPECT_EQ(test, executor->executor->state, INFINI_EXECUTOR_REVOKED);
	KUNIT_EXPECT_EQ(test, executor->executor->nr_held, 0);
	if (!cancelled)
		KUNIT_EXPECT_EQ(test, world_status(world->client_file, handle.handle, 1),
				-ETIMEDOUT);
	/* Its slot is not given to anybody as long as it may be on the hardware. */
	KUNIT_EXPECT_EQ(test, world->device->sched.nr_running, 1);
	KUNIT_EXPECT_EQ(test, world_call(world->device_file, INFINI_IOC_EXECUTOR_CREATE, &create),
			-EBUSY);
	KUNIT_EXPECT_EQ(test, world_exchange(test, executor, NULL, 0, 1), -ENODEV);
	KUNIT_EXPECT_EQ(test, world->device->sched.nr_running, 1);
	world_detach(executor);
	KUNIT_EXPECT_EQ(test, world->device->sched.nr_running, 0);
	world_attach(test, world->vdev, 1, executor);
}

static void timeout_revokes(struct kunit *test)
{
	timeout_unanswered(test, false);
}

static void cancelled_revokes(struct kunit *test)
{
	timeout_unanswered(test, true);
}

/* No executor comes within the time: what waits fails, and only that. */
static void nobody_comes(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_job job = nop_for(0);
	u32 queue = world_queue(test, world->client_file, 4);

	infini_executor_wait_ms = 1;
	KUNIT_ASSERT_EQ(test, world_submit(world->client_file, queue, &job, 1, NULL), 0);
	flush_delayed_work(&world->vdev->no_executor_work);
	KUNIT_EXPECT_EQ(test, world_status(world->client_file, queue, 1), -EHOSTDOWN);
	KUNIT_EXPECT_EQ(test, mock_events[INFINI_EVENT_EXECUTOR_WANTED], 1);
	/* The next job says so again. */
	infini_executor_wait_ms = 60000;
	KUNIT_ASSERT_EQ(test, world_submit(world->client_file, queue, &job, 1, NULL), 0);
	KUNIT_EXPECT_EQ(test, mock_events[INFINI_EVENT_EXECUTOR_WANTED], 2);
	/* One comes: it has its own time to begin. */
	world_attach(test, world->vdev, 1, &world->executor);
	KUNIT_EXPECT_TRUE(test, delayed_work_pending(&world->vdev->no_executor_work));
	KUNIT_ASSERT_EQ(test, world_exchange(test, &world->executor, NULL, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, world->executor.nr, 1);
}

static struct kunit_case time_cases[] = {
	KUNIT_CASE(quantum),
	KUNIT_CASE(shares),
	KUNIT_CASE(timeout_answered),
	KUNIT_CASE(timeout_revokes),
	KUNIT_CASE(cancelled_revokes),
	KUNIT_CASE(nobody_comes),
	{}
};

static struct kunit_suite time_suite = {
	.name = "infini_time",
	.init = world_init,
	.exit = world_exit,
	.test_cases = time_cases,
};
kunit_test_suite(time_suite);
