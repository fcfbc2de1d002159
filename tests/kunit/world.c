// SPDX-License-Identifier: GPL-2.0-only
/* A device, vdevs, clients and executors made of the module's own types. */
#include <linux/mm.h>
#include <linux/slab.h>

#include "world.h"

long world_call(struct file *file, unsigned int cmd, void *arg)
{
	return file->f_op->unlocked_ioctl(file, cmd, (unsigned long)arg);
}

int world_register(struct world *world, const char *name, u32 slots, struct file **file)
{
	struct infini_device_register reg = {
		.size = sizeof(reg),
		.level = INFINI_LEVEL_SEGMENT,
		.slots = slots,
		.nr_kinds = ARRAY_SIZE(world->kinds),
		.memory_bytes = 64ull << 20,
		.kinds = (uintptr_t)world->kinds,
		.kinds_stride = sizeof(world->kinds[0]),
		.backend = "mock",
	};
	struct infini_ucmd ucmd = { .cmd = &reg, .user_size = sizeof(reg) };
	int err;

	strscpy((char *)reg.name, name, sizeof(reg.name));
	err = infini_device_register_ioctl(&ucmd);
	*file = err ? NULL : mock_file;
	return err;
}

struct infini_vdev *world_vdev(struct kunit *test, const char *name, u32 weight)
{
	struct infini_vdev_config config = {
		.set = INFINI_VDEV_HAS_MEMORY | INFINI_VDEV_HAS_WEIGHT,
		.memory_limit_bytes = WORLD_MEMORY,
		.weight = weight,
	};
	struct infini_reason reason = {};
	struct infini_vdev *vdev;

	KUNIT_ASSERT_EQ_MSG(test, infini_vdev_create(name, "mockdev", &config, &vdev, &reason), 0,
			    "%s", reason.text);
	return vdev;
}

struct file *world_client(struct kunit *test, struct infini_vdev *vdev)
{
	struct file *file;

	KUNIT_ASSERT_EQ(test, infini_client_open_file(vdev, &file), 0);
	return file;
}

void world_attach(struct kunit *test, struct infini_vdev *vdev, u32 window,
		  struct world_executor *executor)
{
	struct world *world = test->priv;
	struct infini_executor_create create = { .size = sizeof(create), .vdev_id = vdev->id };
	struct infini_executor_attach attach = {
		.size = sizeof(attach), .protocol = INFINI_PROTOCOL_VERSION, .window = window,
	};

	memset(executor, 0, sizeof(*executor));
	KUNIT_ASSERT_EQ(test, world_call(world->device_file, INFINI_IOC_EXECUTOR_CREATE, &create),
			0);
	executor->file = mock_file;
	executor->executor = mock_file->private_data;
	KUNIT_ASSERT_EQ(test, world_call(executor->file, INFINI_IOC_EXECUTOR_ATTACH, &attach), 0);
}

void world_detach(struct world_executor *executor)
{
	if (executor->file)
		__fput_sync(executor->file);
	executor->file = NULL;
	executor->executor = NULL;
}

int world_init(struct kunit *test)
{
	struct world *world = kunit_kzalloc(test, sizeof(*world), GFP_KERNEL);
	int err;

	KUNIT_ASSERT_NOT_NULL(test, world);
	test->priv = world;
	world->payload = kvmalloc(INFINI_PAYLOAD_MAX, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, world->payload);
	strscpy((char *)world->kinds[0].name, "unified", INFINI_NAME_MAX);
	world->kinds[0].flags = INFINI_MEMORY_F_UNIFIED;
	world->kinds[0].alignment = 64;
	strscpy((char *)world->kinds[1].name, "held", INFINI_NAME_MAX);
	world->kinds[1].alignment = 64;
	mock_respond_err = 0;
	mock_kills = 0;
	memset(mock_events, 0, sizeof(mock_events));
	infini_grace_ms = 5000;
	infini_executor_wait_ms = 5000;
	err = world_register(world, "mockdev", 1, &world->device_file);
	if (err)
		return err;
	world->device = world->device_file->private_data;
	world->vdev = world_vdev(test, "mockvdev", 100);
	world->client_file = world_client(test, world->vdev);
	world->client = world_client_of(world->client_file);
	return 0;
}

/* Whatever a test left is closed; nothing may remain of it. */
void world_exit(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_vdev *vdev = world->vdev;
	int i;

	if (world->client_file)
		__fput_sync(world->client_file);
	world_detach(&world->executor);
	if (world->device_file)
		__fput_sync(world->device_file);
	flush_workqueue(infini_wq);
	if (vdev) {
		KUNIT_EXPECT_EQ(test, vdev->nr_clients, 0);
		KUNIT_EXPECT_EQ(test, atomic64_read(&vdev->memory_used_bytes), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&vdev->nr_queues), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&vdev->nr_buffers), 0);
		KUNIT_EXPECT_EQ(test, atomic_read(&vdev->nr_programs), 0);
		infini_vdev_put(vdev);
	}
	infini_vdev_delete_all();
	flush_workqueue(infini_wq);
	KUNIT_EXPECT_TRUE(test, xa_empty(&infini_vdevs));
	KUNIT_EXPECT_TRUE(test, xa_empty(&infini_devices));
	for (i = 0; i < INFINI_EVENT_JOB_TIMEOUT + 1; i++)
		mock_events[i] = 0;
	kvfree(world->payload);
}

/* ---- a client ---- */

u32 world_queue(struct kunit *test, struct file *client, u32 depth)
{
	struct infini_queue_create create = { .size = sizeof(create), .depth = depth };

	KUNIT_ASSERT_EQ(test, world_call(client, INFINI_IOC_QUEUE_CREATE, &create), 0);
	return create.handle;
}

u32 world_buffer(struct kunit *test, struct file *client, u64 bytes)
{
	struct infini_buffer_create create = { .size = sizeof(create), .bytes = bytes };

	KUNIT_ASSERT_EQ(test, world_call(client, INFINI_IOC_BUFFER_CREATE, &create), 0);
	return create.handle;
}

int world_submit(struct file *client, u32 queue, const struct infini_job *jobs, u32 nr,
		 u32 *accepted)
{
	struct infini_submit submit = {
		.size = sizeof(submit), .queue = queue, .nr_jobs = nr, .jobs = (uintptr_t)jobs,
		.jobs_stride = sizeof(*jobs),
	};
	int err = world_call(client, INFINI_IOC_SUBMIT, &submit);

	if (accepted)
		*accepted = submit.accepted;
	return err;
}

int world_status(struct file *client, u32 queue, u64 seqno)
{
	struct infini_wait wait = { .size = sizeof(wait), .queue = queue, .seqno = seqno };
	int err = world_call(client, INFINI_IOC_WAIT, &wait);

	if (err == -ETIMEDOUT)
		return -EINPROGRESS;
	return err ?: wait.status;
}

struct infini_queue *world_queue_of(struct file *client, u32 handle)
{
	return xa_load(&world_client_of(client)->queues, handle);
}

/* ---- an executor ---- */

int world_exchange(struct kunit *test, struct world_executor *executor,
		   const struct infini_result *results, u32 nr_results, u32 room)
{
	struct world *world = test->priv;
	struct infini_exchange exchange = {
		.size = sizeof(exchange),
		.results = (uintptr_t)results,
		.nr_results = nr_results,
		.results_stride = sizeof(*results),
		.dispatches = (uintptr_t)executor->dispatches,
		.nr_dispatches = room,
		.dispatches_stride = sizeof(executor->dispatches[0]),
		.payload = (uintptr_t)world->payload,
		.payload_bytes = INFINI_PAYLOAD_MAX,
	};
	int err = world_call(executor->file, INFINI_IOC_EXCHANGE, &exchange);

	executor->nr = err ? 0 : exchange.returned;
	return err;
}

int world_done(struct kunit *test, struct world_executor *executor, u64 dispatch, int status)
{
	struct infini_result result = { .dispatch = dispatch, .status = status };

	return world_exchange(test, executor, &result, 1, 0);
}

int world_preempted(struct kunit *test, struct world_executor *executor, u64 dispatch,
		    u64 segment)
{
	struct infini_result result = {
		.dispatch = dispatch, .state = INFINI_RESULT_PREEMPTED, .segment = segment,
	};

	return world_exchange(test, executor, &result, 1, 0);
}
