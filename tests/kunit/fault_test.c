// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every allocation fails once: the first, the second, ... of each way of making something, by the
 * kernel's own fault injection. Each failure is answered and leaves nothing; ./run turns on that
 * allocations that may sleep fail too, and looks for leaks afterwards.
 */
#include <linux/sched.h>

#include "world.h"

#ifdef CONFIG_FAULT_INJECTION

#define FAULTS_MAX	200	/* more than any of them allocates */

static void fail_from(int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

/* Did the failure come to pass? */
static bool failed(void)
{
	bool left = READ_ONCE(current->fail_nth);

	WRITE_ONCE(current->fail_nth, 0);
	return !left;
}

static bool at_rest(struct world *world)
{
	flush_workqueue(infini_wq);
	return !atomic64_read(&world->vdev->memory_used_bytes) &&
	       !atomic_read(&world->vdev->nr_queues) && !atomic_read(&world->vdev->nr_buffers) &&
	       !atomic_read(&world->vdev->nr_programs) && world->vdev->nr_clients == 1 &&
	       !world->vdev->executor;
}

struct way {
	const char *name;
	int (*make)(struct kunit *test);	/* 0 or -errno; gives back what it made */
};

static int make_device(struct kunit *test)
{
	struct file *file;
	int err = world_register(test->priv, "fault", 1, &file);

	if (!err)
		__fput_sync(file);
	return err;
}

static int make_vdev(struct kunit *test)
{
	struct infini_vdev_config config = {
		.set = INFINI_VDEV_HAS_MEMORY, .memory_limit_bytes = 1 << 20,
	};
	struct infini_reason reason = {};
	struct infini_vdev *vdev;
	int err = infini_vdev_create("fault", "mockdev", &config, &vdev, &reason);

	if (err)
		return err;
	err = infini_vdev_delete(vdev, false, &reason);
	infini_vdev_put(vdev);
	return err;
}

static int make_client(struct kunit *test)
{
	struct world *world = test->priv;
	struct file *file;
	int err = infini_client_open_file(world->vdev, &file);

	if (!err)
		__fput_sync(file);
	return err;
}

static int make_handle(struct kunit *test, unsigned int create, unsigned int destroy, void *arg,
		       u32 *handle)
{
	struct world *world = test->priv;
	struct infini_handle gone = { .size = sizeof(gone) };
	int err = world_call(world->client_file, create, arg);

	if (err)
		return err;
	gone.handle = *handle;
	return world_call(world->client_file, destroy, &gone);
}

static int make_queue(struct kunit *test)
{
	struct infini_queue_create create = { .size = sizeof(create), .depth = 64 };

	return make_handle(test, INFINI_IOC_QUEUE_CREATE, INFINI_IOC_QUEUE_DESTROY, &create,
			   &create.handle);
}

static int make_buffer(struct kunit *test)
{
	struct infini_buffer_create create = { .size = sizeof(create), .bytes = 16 * PAGE_SIZE };

	return make_handle(test, INFINI_IOC_BUFFER_CREATE, INFINI_IOC_BUFFER_DESTROY, &create,
			   &create.handle);
}

static int make_program(struct kunit *test)
{
	static u8 data[20000];
	struct infini_program_create create = {
		.size = sizeof(create), .format = 1, .data = (uintptr_t)data,
		.bytes = sizeof(data),
	};

	return make_handle(test, INFINI_IOC_PROGRAM_CREATE, INFINI_IOC_PROGRAM_DESTROY, &create,
			   &create.handle);
}

static int make_executor(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_executor_create create = { .size = sizeof(create) };
	int err;

	create.vdev_id = world->vdev->id;
	err = world_call(world->device_file, INFINI_IOC_EXECUTOR_CREATE, &create);
	if (!err)
		__fput_sync(mock_file);
	return err;
}

/* A queue, a buffer, and a job with all that a job can bring. */
static int make_job(struct kunit *test)
{
	static u8 data[9000];
	struct world *world = test->priv;
	struct infini_queue_create queue = { .size = sizeof(queue), .depth = 2 };
	struct infini_buffer_create buffer = { .size = sizeof(buffer), .bytes = PAGE_SIZE };
	struct infini_handle gone = { .size = sizeof(gone) };
	struct infini_binding binding = { .access = INFINI_ACCESS_WRITE };
	struct infini_input input = { .bytes = 4096, .data = (uintptr_t)data };
	struct infini_job job = {
		.op = INFINI_OP_ASK, .program_format = 1, .nr_bindings = 1, .nr_inputs = 1,
		.bindings = (uintptr_t)&binding, .inputs = (uintptr_t)&input,
		.args = (uintptr_t)data, .args_bytes = sizeof(data),
	};
	int err;

	err = world_call(world->client_file, INFINI_IOC_QUEUE_CREATE, &queue);
	if (err)
		return err;
	err = world_call(world->client_file, INFINI_IOC_BUFFER_CREATE, &buffer);
	if (!err) {
		binding.buffer = buffer.handle;
		err = world_submit(world->client_file, queue.handle, &job, 1, NULL);
		gone.handle = buffer.handle;
		world_call(world->client_file, INFINI_IOC_BUFFER_DESTROY, &gone);
	}
	gone.handle = queue.handle;
	world_call(world->client_file, INFINI_IOC_QUEUE_DESTROY, &gone);
	return err;
}

static const struct way ways[] = {
	{ "device", make_device },
	{ "vdev", make_vdev },
	{ "client", make_client },
	{ "queue", make_queue },
	{ "buffer", make_buffer },
	{ "program", make_program },
	{ "executor", make_executor },
	{ "job", make_job },
};

static void way_name(const struct way *way, char *name)
{
	strscpy(name, way->name, KUNIT_PARAM_DESC_SIZE);
}
KUNIT_ARRAY_PARAM(way, ways, way_name);

static void every_allocation_fails(struct kunit *test)
{
	const struct way *way = test->param_value;
	struct world *world = test->priv;
	int nth, err, refused = 0;

	for (nth = 1; nth < FAULTS_MAX; nth++) {
		fail_from(nth);
		err = way->make(test);
		if (!failed())
			break;
		/* Some allocations have another way; an error is that there is no memory. */
		if (err)
			KUNIT_EXPECT_EQ_MSG(test, err, -ENOMEM, "allocation %d", nth);
		refused += !!err;
		KUNIT_EXPECT_TRUE_MSG(test, at_rest(world), "allocation %d", nth);
	}
	KUNIT_EXPECT_LT(test, nth, FAULTS_MAX);
	KUNIT_EXPECT_EQ(test, err, 0);
	KUNIT_EXPECT_TRUE(test, at_rest(world));
	if (nth == 1)
		kunit_skip(test, "allocations that may sleep do not fail here: run tests/kunit/run");
	KUNIT_EXPECT_GT(test, refused, 0);
	kunit_info(test, "%d allocations failed, %d were refused", nth - 1, refused);
}

#else

static void every_allocation_fails(struct kunit *test)
{
	kunit_skip(test, "a kernel without CONFIG_FAULT_INJECTION");
}

static const void *way_gen_params(const void *prev, char *desc)
{
	return NULL;
}

#endif

static struct kunit_case fault_cases[] = {
	KUNIT_CASE_PARAM(every_allocation_fails, way_gen_params),
	{}
};

static struct kunit_suite fault_suite = {
	.name = "infini_fault",
	.init = world_init,
	.exit = world_exit,
	.test_cases = fault_cases,
};
kunit_test_suite(fault_suite);
