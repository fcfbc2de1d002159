// SPDX-License-Identifier: GPL-2.0-only
/* Charges, ids, and the two steps in which buffers and programs end. */
#include "world.h"

static s64 used(struct world *world)
{
	return atomic64_read(&world->vdev->memory_used_bytes);
}

static void charge_limits(struct kunit *test)
{
	static const struct {
		const char *name;
		u64 limit, before, bytes;
		int want;
	} rows[] = {
		{ "nothing of nothing", 0, 0, 0, 0 },
		{ "one of nothing", 0, 0, 1, -ENOSPC },
		{ "all of it", 4096, 0, 4096, 0 },
		{ "one too many", 4096, 0, 4097, -ENOSPC },
		{ "the rest", 4096, 4000, 96, 0 },
		{ "more than the rest", 4096, 4000, 97, -ENOSPC },
		{ "a sum that would wrap", S64_MAX, 4096, S64_MAX, -ENOSPC },
		{ "more than a number holds", S64_MAX, 4096, U64_MAX, -ENOSPC },
		{ "over a lowered limit", 100, 4096, 1, -ENOSPC },
	};
	struct world *world = test->priv;
	struct infini_vdev *vdev = world->vdev;
	u64 device_bytes = world->device->memory_bytes;
	int i, failed = 0;

	/* A device that is never in the way. */
	world->device->memory_bytes = S64_MAX;
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		vdev->memory_limit_bytes = S64_MAX;
		KUNIT_ASSERT_EQ(test, infini_vdev_charge(vdev, rows[i].before), 0);
		vdev->memory_limit_bytes = rows[i].limit;
		KUNIT_EXPECT_EQ_MSG(test, infini_vdev_charge(vdev, rows[i].bytes), rows[i].want,
				    "%s", rows[i].name);
		failed += !!rows[i].want;
		infini_vdev_uncharge(vdev, rows[i].want ? 0 : rows[i].bytes);
		infini_vdev_uncharge(vdev, rows[i].before);
		KUNIT_EXPECT_EQ(test, used(world), 0);
		KUNIT_EXPECT_EQ(test, atomic64_read(&world->device->memory_used_bytes), 0);
	}
	KUNIT_EXPECT_EQ(test, atomic64_read(&vdev->memory_failed), failed);
	vdev->memory_limit_bytes = WORLD_MEMORY;
	world->device->memory_bytes = device_bytes;
}

static void charge_peak(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_vdev *vdev = world->vdev;

	KUNIT_ASSERT_EQ(test, infini_vdev_charge(vdev, 100), 0);
	KUNIT_ASSERT_EQ(test, infini_vdev_charge(vdev, 50), 0);
	infini_vdev_uncharge(vdev, 150);
	KUNIT_ASSERT_EQ(test, infini_vdev_charge(vdev, 120), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&vdev->memory_peak_bytes), 150);
	infini_vdev_uncharge(vdev, 120);
}

/* An id is not used again soon, and one that is taken is never handed out. */
static void object_ids(struct kunit *test)
{
	static int object;
	struct xarray xa;
	u32 next = INFINI_OBJECT_IDS - 3, id, last;

	xa_init_flags(&xa, XA_FLAGS_ALLOC1);
	KUNIT_ASSERT_EQ(test, infini_object_id(&xa, &object, &last, &next), 0);
	KUNIT_EXPECT_EQ(test, last, INFINI_OBJECT_IDS - 3);
	xa_erase(&xa, last);
	KUNIT_ASSERT_EQ(test, infini_object_id(&xa, &object, &id, &next), 0);
	KUNIT_EXPECT_EQ(test, id, last + 1);
	KUNIT_ASSERT_EQ(test, infini_object_id(&xa, &object, &id, &next), 0);
	KUNIT_ASSERT_EQ(test, infini_object_id(&xa, &object, &id, &next), 0);
	KUNIT_EXPECT_EQ(test, id, 1);
	xa_destroy(&xa);
}

static void buffer_without_executor(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_handle handle = { .size = sizeof(handle) };

	handle.handle = world_buffer(test, world->client_file, 5000);
	KUNIT_EXPECT_EQ(test, used(world), 8192);
	KUNIT_EXPECT_EQ(test, atomic_read(&world->vdev->nr_buffers), 1);
	KUNIT_EXPECT_EQ(test, world_call(world->client_file, INFINI_IOC_BUFFER_DESTROY, &handle),
			0);
	KUNIT_EXPECT_EQ(test, used(world), 0);
	KUNIT_EXPECT_TRUE(test, xa_empty(&world->vdev->buffers));
}

static struct infini_job fill_job(u32 buffer)
{
	return (struct infini_job){ .op = INFINI_OP_FILL, .dst = buffer, .bytes = 10 };
}

/* Known to an executor, a buffer ends when that executor has confirmed; or is gone. */
static void buffer_notice(struct kunit *test, bool executor_dies)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	struct infini_handle handle = { .size = sizeof(handle) };
	u32 queue = world_queue(test, world->client_file, 1);
	struct infini_job job;
	s64 before = used(world);

	handle.handle = world_buffer(test, world->client_file, 4096);
	world_attach(test, world->vdev, 1, executor);
	job = fill_job(handle.handle);
	KUNIT_ASSERT_EQ(test, world_submit(world->client_file, queue, &job, 1, NULL), 0);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 1), 0);
	KUNIT_ASSERT_EQ(test, executor->nr, 1);
	KUNIT_ASSERT_EQ(test, world_call(world->client_file, INFINI_IOC_BUFFER_DESTROY, &handle),
			0);
	KUNIT_EXPECT_EQ(test, atomic_read(&world->vdev->nr_buffers), 1);
	KUNIT_ASSERT_EQ(test, world_done(test, executor, 1, 0), 0);
	flush_workqueue(infini_wq);
	KUNIT_EXPECT_EQ(test, atomic_read(&world->vdev->nr_buffers), 1);
	KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 1), 0);
	KUNIT_ASSERT_EQ(test, executor->nr, 1);
	KUNIT_EXPECT_EQ(test, executor->dispatches[0].op, INFINI_OP_BUFFER_FREE);
	KUNIT_EXPECT_EQ(test, executor->dispatches[0].dispatch, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&world->vdev->nr_buffers), 1);
	if (executor_dies)
		world_detach(executor);
	else
		KUNIT_ASSERT_EQ(test, world_exchange(test, executor, NULL, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&world->vdev->nr_buffers), 0);
	/* The slot keeps its room for a payload and for bindings. */
	KUNIT_EXPECT_EQ(test, used(world), before + 256 + 4 * (sizeof(struct infini_buffer *) + 1));
}

static void buffer_confirmed(struct kunit *test)
{
	buffer_notice(test, false);
}

static void buffer_executor_dies(struct kunit *test)
{
	buffer_notice(test, true);
}

/* What an executor has never seen is not told to it. */
static void buffer_unknown(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_handle handle = { .size = sizeof(handle) };

	world_attach(test, world->vdev, 1, &world->executor);
	handle.handle = world_buffer(test, world->client_file, 4096);
	KUNIT_ASSERT_EQ(test, world_call(world->client_file, INFINI_IOC_BUFFER_DESTROY, &handle),
			0);
	KUNIT_EXPECT_EQ(test, atomic_read(&world->vdev->nr_buffers), 0);
	KUNIT_ASSERT_EQ(test, world_exchange(test, &world->executor, NULL, 0, 1), 0);
	KUNIT_EXPECT_EQ(test, world->executor.nr, 0);
}

/* Creation whose answer cannot be written leaves nothing. */
static void create_unanswered(struct kunit *test)
{
	struct world *world = test->priv;
	struct file *file = world->client_file;
	struct infini_queue_create queue = { .size = sizeof(queue), .depth = 4 };
	struct infini_buffer_create buffer = { .size = sizeof(buffer), .bytes = 4096 };
	struct infini_program_create program = {
		.size = sizeof(program), .format = 1, .data = (uintptr_t)&queue, .bytes = 8,
	};
	struct infini_executor_create create = { .size = sizeof(create) };
	struct file *device;

	create.vdev_id = world->vdev->id;
	mock_respond_err = -EFAULT;
	KUNIT_EXPECT_EQ(test, world_call(file, INFINI_IOC_QUEUE_CREATE, &queue), -EFAULT);
	KUNIT_EXPECT_EQ(test, world_call(file, INFINI_IOC_BUFFER_CREATE, &buffer), -EFAULT);
	KUNIT_EXPECT_EQ(test, world_call(file, INFINI_IOC_PROGRAM_CREATE, &program), -EFAULT);
	KUNIT_EXPECT_EQ(test, world_call(world->device_file, INFINI_IOC_EXECUTOR_CREATE, &create),
			-EFAULT);
	KUNIT_EXPECT_EQ(test, world_register(world, "other", 1, &device), -EFAULT);
	mock_respond_err = 0;
	KUNIT_EXPECT_EQ(test, used(world), 0);
	KUNIT_EXPECT_NULL(test, world->vdev->executor);
	KUNIT_EXPECT_NULL(test, xa_load(&infini_devices, world->device->id + 1));
	KUNIT_EXPECT_EQ(test, world->client->nr_queues, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&world->client->nr_buffers), 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&world->client->nr_programs), 0);
}

static struct kunit_case charge_cases[] = {
	KUNIT_CASE(charge_limits),
	KUNIT_CASE(charge_peak),
	KUNIT_CASE(object_ids),
	KUNIT_CASE(buffer_without_executor),
	KUNIT_CASE(buffer_confirmed),
	KUNIT_CASE(buffer_executor_dies),
	KUNIT_CASE(buffer_unknown),
	KUNIT_CASE(create_unanswered),
	{}
};

static struct kunit_suite charge_suite = {
	.name = "infini_charge",
	.init = world_init,
	.exit = world_exit,
	.test_cases = charge_cases,
};
kunit_test_suite(charge_suite);
