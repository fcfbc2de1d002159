// SPDX-License-Identifier: GPL-2.0-only
/* What may be asked of a vdev, what of it is promised, and how it is kept. */
#include "world.h"

#define MS	WORLD_MS
#define MIB	(1ull << 20)

static const struct infini_vdev_config nothing;

/* @device_floors_ppm is promised to another vdev. */
struct row {
	const char *name;
	u32 slots;
	u32 device_floors_ppm;
	struct infini_vdev_config config;
	int want;
	const char *words;
};

#define SLOT(...)	1, 0, { __VA_ARGS__ }
#define ASK(_what)	((struct infini_vdev_config){ _what })
#define A_WEIGHT(_value)	.set = INFINI_VDEV_HAS_WEIGHT, .weight = (_value)
#define A_CLASS(_value)	.set = INFINI_VDEV_HAS_CLASS, .sched_class = (_value)
#define A_QUANTUM(_value)	.set = INFINI_VDEV_HAS_QUANTUM, .quantum_ns = (_value)
#define A_CAP(_value)	.set = INFINI_VDEV_HAS_CAP, .cap_ppm = (_value)
#define A_FLOOR(_value)	.set = INFINI_VDEV_HAS_FLOOR, .floor_ppm = (_value)
#define A_RATE(_value)	.set = INFINI_VDEV_HAS_RATE, .tokens_per_s = (_value)
#define A_BURST(_value)	.set = INFINI_VDEV_HAS_BURST, .token_burst = (_value)
#define A_MODE(_value)	.set = INFINI_VDEV_HAS_MODE, .mode = (_value)
#define A_MEMORY(_value)	.set = INFINI_VDEV_HAS_MEMORY, .memory_limit_bytes = (_value)

/* The device has 64 MiB, of which the world's vdev has 16. */
static const struct row rows[] = {
	{ "nothing", SLOT(.set = 0), 0, "" },
	{ "weight 0", SLOT(A_WEIGHT(0)), -EINVAL, "weight 0 is not in 1..10000" },
	{ "weight 1", SLOT(A_WEIGHT(1)), 0, "" },
	{ "weight 10000", SLOT(A_WEIGHT(10000)), 0, "" },
	{ "weight 10001", SLOT(A_WEIGHT(10001)), -EINVAL, "weight 10001 is not in 1..10000" },
	{ "class 2", SLOT(A_CLASS(2)), 0, "" },
	{ "class 7", SLOT(A_CLASS(7)), -EINVAL, "class 7 is not in 0..2 (latency, normal, batch)" },
	{ "quantum 99999", SLOT(A_QUANTUM(99999)), -EINVAL,
	  "quantum 99999 is not in 100000..1000000000 ns" },
	{ "quantum 1 s", SLOT(A_QUANTUM(NSEC_PER_SEC)), 0, "" },
	{ "cap 0", SLOT(A_CAP(0)), -EINVAL,
	  "cap 0% is 0 ms a second, less than the quantum of 2 ms: at least 0.2%" },
	{ "cap 0.1%", SLOT(A_CAP(1000)), -EINVAL,
	  "cap 0.1% is 1 ms a second, less than the quantum of 2 ms: at least 0.2%" },
	{ "cap 0.2%", SLOT(A_CAP(2000)), 0, "" },
	{ "cap 0.1% of two slots", 2, 0, { A_CAP(1000) }, 0, "" },
	{ "cap 100%", SLOT(A_CAP(1000000)), 0, "" },
	{ "cap 100.0001%", SLOT(A_CAP(1000001)), -EINVAL, "cap 100.0001% is not in 0.2%..100%" },
	{ "cap beyond measure", SLOT(A_CAP(U32_MAX)), -EINVAL,
	  "cap 429496.7295% is not in 0.2%..100%" },
	{ "floor 100%", SLOT(A_FLOOR(1000000)), 0, "" },
	{ "floor 100.0001%", SLOT(A_FLOOR(1000001)), -EINVAL,
	  "floor 100.0001% is not in 0%..100%" },
	{ "floor above one slot", 4, 0, { A_FLOOR(300000) }, -EINVAL,
	  "floor 30% is more than one slot of 4 gives: at most 25%" },
	{ "floor above the cap", 1, 0,
	  { .set = INFINI_VDEV_HAS_FLOOR | INFINI_VDEV_HAS_CAP, .cap_ppm = 200000,
	    .floor_ppm = 200001 }, -EINVAL, "floor 20.0001% is above the cap of 20%" },
	{ "floor 40% beside 60%", 1, 600000, { A_FLOOR(400000) }, 0, "" },
	{ "floor 60% beside 60%", 1, 600000, { A_FLOOR(600000) }, -ENOSPC,
	  "floor 60% of device admitdev: 40% is left" },
	{ "rate 10000000", SLOT(A_RATE(10000000)), 0, "" },
	{ "rate 10000001", SLOT(A_RATE(10000001)), -EINVAL,
	  "token rate 10000001 is not in 0..10000000" },
	{ "rate -1", SLOT(A_RATE(U64_MAX)), -EINVAL,
	  "token rate 18446744073709551615 is not in 0..10000000" },
	{ "burst without a rate", SLOT(A_BURST(5)), -EINVAL, "token burst 5 without a token rate" },
	{ "burst too large", 1, 0,
	  { .set = INFINI_VDEV_HAS_RATE | INFINI_VDEV_HAS_BURST, .tokens_per_s = 1,
	    .token_burst = 1000000001 }, -EINVAL,
	  "token burst 1000000001 is not in 0..1000000000" },
	{ "mode 01000", SLOT(A_MODE(01000)), -EINVAL, "mode 01000 is not in 0..0777" },
	{ "a mode that only looks small", SLOT(A_MODE(0x10000)), -EINVAL,
	  "mode 0200000 is not in 0..0777" },
	{ "less than a page", SLOT(A_MEMORY(4095)), -EINVAL,
	  "memory limit 4095 is not in 4096..9223372036854775807 bytes" },
	{ "memory beyond measure", SLOT(A_MEMORY(U64_MAX)), -EINVAL,
	  "memory limit 18446744073709551615 is not in 4096..9223372036854775807 bytes" },
	{ "all the memory", SLOT(A_MEMORY(64 * MIB)), 0, "" },
	{ "more memory", SLOT(A_MEMORY(64 * MIB + 1)), -ENOSPC,
	  "memory 64.0 MiB of device admitdev: 64.0 MiB is left" },
	{ "more memory, overcommitted", 1, 0,
	  { A_MEMORY(65 * MIB), .overcommit = true }, -ENOSPC,
	  "memory 65.0 MiB of device admitdev: 64.0 MiB is all it has" },
};

static void row_name(const struct row *row, char *name)
{
	strscpy(name, row->name, KUNIT_PARAM_DESC_SIZE);
}
KUNIT_ARRAY_PARAM(row, rows, row_name);

/* What a fresh vdev is asked to be, alone on a device or beside another's floor. */
static void admission(struct kunit *test)
{
	const struct row *row = test->param_value;
	struct infini_vdev_config config = {
		.set = INFINI_VDEV_HAS_MEMORY | INFINI_VDEV_HAS_FLOOR,
		.memory_limit_bytes = 4096, .floor_ppm = row->device_floors_ppm,
	};
	struct infini_vdev *other = NULL, *vdev;
	struct infini_reason reason = {};
	struct infini_device *device;
	struct file *file;
	int err;

	KUNIT_ASSERT_EQ(test, world_register(test->priv, "admitdev", row->slots, &file), 0);
	device = file->private_data;
	if (row->device_floors_ppm)
		KUNIT_ASSERT_EQ(test, infini_vdev_create("other", "admitdev", &config, &other,
							 &reason), 0);
	config = row->config;
	if (!(config.set & INFINI_VDEV_HAS_MEMORY)) {
		config.set |= INFINI_VDEV_HAS_MEMORY;
		config.memory_limit_bytes = MIB;
	}
	err = infini_vdev_create("asked", "admitdev", &config, &vdev, &reason);
	KUNIT_EXPECT_EQ(test, err, row->want);
	KUNIT_EXPECT_STREQ(test, reason.text, row->words);
	KUNIT_EXPECT_EQ(test, !!reason.plain, !!row->want);
	/* The kernel passes no more on. */
	KUNIT_EXPECT_LT(test, strlen(reason.text), 80);
	if (!err) {
		KUNIT_EXPECT_EQ(test, infini_vdev_delete(vdev, false, &reason), 0);
		infini_vdev_put(vdev);
	}
	if (other) {
		KUNIT_EXPECT_EQ(test, device->floors_ppm, row->device_floors_ppm);
		KUNIT_EXPECT_EQ(test, infini_vdev_delete(other, false, &reason), 0);
		infini_vdev_put(other);
	}
	KUNIT_EXPECT_EQ(test, device->floors_ppm, 0);
	KUNIT_EXPECT_EQ(test, device->promised_bytes, 0);
	__fput_sync(file);
}

/* A set with one thing that is wrong leaves everything as it was. */
static void nothing_half_way(struct kunit *test)
{
	static const struct infini_vdev_config bad[] = {
		{ A_CAP(1) }, { A_FLOOR(2000000) }, { A_CLASS(3) }, { A_RATE(U64_MAX) },
		{ A_MODE(01000) }, { A_QUANTUM(1) }, { A_MEMORY(100 * MIB) }, { A_MEMORY(1) },
	};
	struct world *world = test->priv;
	struct infini_vdev *vdev = world->vdev;
	struct infini_sched_limits before = vdev->sched.limits;
	u64 promised = world->device->promised_bytes;
	struct infini_vdev_config config;
	struct infini_reason reason;
	int i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		config = bad[i];
		config.set |= INFINI_VDEV_HAS_WEIGHT | INFINI_VDEV_HAS_OWNER;
		config.weight = 7;
		config.uid = KUIDT_INIT(12);
		config.gid = KGIDT_INIT(12);
		memset(&reason, 0, sizeof(reason));
		KUNIT_EXPECT_NE(test, infini_vdev_set(vdev, &config, &reason), 0);
		KUNIT_EXPECT_NE(test, reason.text[0], 0);
		KUNIT_EXPECT_MEMEQ(test, &vdev->sched.limits, &before, sizeof(before));
		KUNIT_EXPECT_EQ(test, vdev->memory_limit_bytes, WORLD_MEMORY);
		KUNIT_EXPECT_EQ(test, vdev->mode, 0600);
		KUNIT_EXPECT_TRUE(test, uid_eq(vdev->uid, GLOBAL_ROOT_UID));
		KUNIT_EXPECT_EQ(test, world->device->promised_bytes, promised);
		KUNIT_EXPECT_EQ(test, world->device->floors_ppm, 0);
	}
	KUNIT_EXPECT_EQ(test, mock_events[INFINI_EVENT_VDEV_CHANGED], 0);
}

static int set(struct infini_vdev *vdev, struct infini_vdev_config config)
{
	struct infini_reason reason = {};

	return infini_vdev_set(vdev, &config, &reason);
}

/* Floors of several vdevs, changed and given back. */
static void floors(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_vdev *other = world_vdev(test, "other", 100);
	struct infini_reason reason = {};

	KUNIT_EXPECT_EQ(test, set(world->vdev, ASK(A_FLOOR(600000))), 0);
	KUNIT_EXPECT_EQ(test, set(other, ASK(A_FLOOR(400001))), -ENOSPC);
	KUNIT_EXPECT_EQ(test, set(other, ASK(A_FLOOR(400000))), 0);
	KUNIT_EXPECT_EQ(test, world->device->floors_ppm, 1000000);
	/* Its own does not stand in its way. */
	KUNIT_EXPECT_EQ(test, set(world->vdev, ASK(A_FLOOR(600000))), 0);
	KUNIT_EXPECT_EQ(test, set(world->vdev, ASK(A_FLOOR(600001))), -ENOSPC);
	KUNIT_EXPECT_EQ(test, set(world->vdev, ASK(A_CAP(500000))), -EINVAL);
	KUNIT_EXPECT_EQ(test, infini_vdev_delete(other, false, &reason), 0);
	KUNIT_EXPECT_EQ(test, world->device->floors_ppm, 600000);
	KUNIT_EXPECT_EQ(test, set(other, ASK(A_FLOOR(1))), -ENOENT);
	infini_vdev_put(other);
	KUNIT_EXPECT_EQ(test, set(world->vdev, ASK(A_FLOOR(1000000))), 0);
}

/* A rate that goes takes its burst along, unless the burst is said too. */
static void rates(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_sched_limits *limits = &world->vdev->sched.limits;
	struct infini_vdev_config both = {
		.set = INFINI_VDEV_HAS_RATE | INFINI_VDEV_HAS_BURST,
		.tokens_per_s = 100, .token_burst = 50,
	};

	KUNIT_EXPECT_EQ(test, set(world->vdev, both), 0);
	KUNIT_EXPECT_EQ(test, set(world->vdev, ASK(A_RATE(200))), 0);
	KUNIT_EXPECT_EQ(test, limits->burst, 50);
	both.tokens_per_s = 0;
	KUNIT_EXPECT_EQ(test, set(world->vdev, both), -EINVAL);
	KUNIT_EXPECT_EQ(test, limits->rate, 200);
	KUNIT_EXPECT_EQ(test, set(world->vdev, ASK(A_RATE(0))), 0);
	KUNIT_EXPECT_EQ(test, limits->rate, 0);
	KUNIT_EXPECT_EQ(test, limits->burst, 0);
}

/* ---- memory ---- */

static s64 on_device(struct world *world)
{
	return atomic64_read(&world->device->memory_used_bytes);
}

/* Overcommitted, the device holds what it has, whoever comes first; then it is full for all. */
static void overcommitted(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_vdev *vdev = world->vdev, *other = world_vdev(test, "other", 100);
	struct infini_vdev_config config = { A_MEMORY(64 * MIB), .overcommit = true };
	u64 failed;

	KUNIT_EXPECT_EQ(test, set(vdev, ASK(A_MEMORY(64 * MIB))), -ENOSPC);
	KUNIT_EXPECT_EQ(test, set(vdev, config), 0);
	KUNIT_EXPECT_EQ(test, set(other, config), 0);
	KUNIT_EXPECT_EQ(test, world->device->promised_bytes, 128 * MIB);
	/* Less than before is never too much. */
	KUNIT_EXPECT_EQ(test, set(other, ASK(A_MEMORY(63 * MIB))), 0);
	KUNIT_EXPECT_EQ(test, set(other, ASK(A_MEMORY(64 * MIB))), -ENOSPC);

	KUNIT_ASSERT_EQ(test, infini_vdev_charge(vdev, 40 * MIB), 0);
	KUNIT_ASSERT_EQ(test, infini_vdev_charge(other, 20 * MIB), 0);
	failed = atomic64_read(&other->memory_failed);
	KUNIT_EXPECT_EQ(test, infini_vdev_charge(other, 4 * MIB + 1), -ENOSPC);
	KUNIT_EXPECT_EQ(test, atomic64_read(&other->memory_failed), failed + 1);
	KUNIT_EXPECT_EQ(test, atomic64_read(&other->memory_used_bytes), 20 * MIB);
	KUNIT_EXPECT_EQ(test, atomic64_read(&other->memory_peak_bytes), 20 * MIB);
	KUNIT_EXPECT_EQ(test, on_device(world), 60 * MIB);
	KUNIT_EXPECT_EQ(test, infini_vdev_charge(other, 4 * MIB), 0);
	KUNIT_EXPECT_EQ(test, infini_vdev_charge(vdev, 1), -ENOSPC);
	infini_vdev_uncharge(other, 24 * MIB);
	KUNIT_EXPECT_EQ(test, infini_vdev_charge(vdev, 24 * MIB), 0);
	infini_vdev_uncharge(vdev, 64 * MIB);
	KUNIT_EXPECT_EQ(test, on_device(world), 0);
	infini_vdev_put(other);
}

/* What a worker says it holds is its vdev's whole, and the device's up to the vdev's limit. */
static void held_on_device(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_vdev *vdev = world->vdev;

	KUNIT_ASSERT_EQ(test, infini_vdev_charge(vdev, 10 * MIB), 0);
	infini_vdev_charge_held(vdev, 4 * MIB);
	KUNIT_EXPECT_EQ(test, on_device(world), 14 * MIB);
	infini_vdev_charge_held(vdev, 60 * MIB);
	KUNIT_EXPECT_EQ(test, atomic64_read(&vdev->memory_used_bytes), 70 * MIB);
	KUNIT_EXPECT_EQ(test, on_device(world), 16 * MIB);
	infini_vdev_charge_held(vdev, 60 * MIB);
	KUNIT_EXPECT_EQ(test, on_device(world), 16 * MIB);
	/* Pages go: what is held takes their place when it is said again. */
	infini_vdev_uncharge(vdev, 10 * MIB);
	KUNIT_EXPECT_EQ(test, on_device(world), 6 * MIB);
	infini_vdev_charge_held(vdev, 60 * MIB);
	KUNIT_EXPECT_EQ(test, on_device(world), 16 * MIB);
	/* Over its limit, the vdev gets nothing more. */
	KUNIT_EXPECT_EQ(test, infini_vdev_charge(vdev, 1), -ENOSPC);
	infini_vdev_charge_held(vdev, 0);
	KUNIT_EXPECT_EQ(test, on_device(world), 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&vdev->memory_used_bytes), 0);
}

/* A limit below what is used is accepted, and said. */
static void lowered(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_vdev_config config = { A_MEMORY(MIB) };
	struct infini_reason reason = {};

	KUNIT_ASSERT_EQ(test, infini_vdev_charge(world->vdev, 4 * MIB), 0);
	KUNIT_EXPECT_EQ(test, infini_vdev_set(world->vdev, &config, &reason), 0);
	KUNIT_EXPECT_STREQ(test, reason.text,
			   "memory limit 1.00 MiB is below the 4.00 MiB in use: no further allocation");
	KUNIT_EXPECT_NOT_NULL(test, reason.plain);
	KUNIT_EXPECT_EQ(test, infini_vdev_charge(world->vdev, 1), -ENOSPC);
	KUNIT_EXPECT_EQ(test, world->device->promised_bytes, MIB);
	infini_vdev_uncharge(world->vdev, 4 * MIB);
	KUNIT_EXPECT_EQ(test, infini_vdev_charge(world->vdev, MIB), 0);
	infini_vdev_uncharge(world->vdev, MIB);
	/* Only who asks about memory hears of it. */
	memset(&reason, 0, sizeof(reason));
	config = nothing;
	KUNIT_EXPECT_EQ(test, infini_vdev_set(world->vdev, &config, &reason), 0);
	KUNIT_EXPECT_EQ(test, reason.text[0], 0);
}

/* An overcommitted device comes back with what it had, and not with less than it promised then. */
static void overcommitted_comes_back(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_vdev_config config = { A_MEMORY(60 * MIB), .overcommit = true };
	struct infini_vdev *other = world_vdev(test, "other", 100);

	KUNIT_ASSERT_EQ(test, set(world->vdev, config), 0);
	KUNIT_ASSERT_EQ(test, set(other, config), 0);
	__fput_sync(world->device_file);
	KUNIT_ASSERT_EQ(test, world_register(world, "mockdev", 1, &world->device_file), 0);
	KUNIT_EXPECT_PTR_EQ(test, world->device_file->private_data, (void *)world->device);
	infini_vdev_put(other);
}

/* ---- time and tokens on a live vdev ---- */

static const struct infini_job nop = { .op = INFINI_OP_NOP };

static int submit_nowait(struct file *client, u32 queue)
{
	struct infini_submit submit = {
		.size = sizeof(submit), .queue = queue, .nr_jobs = 1, .jobs = (uintptr_t)&nop,
		.jobs_stride = sizeof(nop), .flags = INFINI_SUBMIT_F_RATE_NOWAIT,
	};
	int err = world_call(client, INFINI_IOC_SUBMIT, &submit);

	return err ?: submit.accepted ? 0 : -EPROTO;
}

static void finish(struct kunit *test, u64 dispatch, u32 tokens, int status)
{
	struct world *world = test->priv;
	struct infini_result result = {
		.dispatch = dispatch, .status = status, .tokens_evaluated = tokens / 2,
		.tokens_generated = tokens,
	};

	KUNIT_ASSERT_EQ(test, world_exchange(test, &world->executor, &result, 1, 0), 0);
}

static u32 take(struct kunit *test)
{
	struct world *world = test->priv;

	KUNIT_ASSERT_EQ(test, world_exchange(test, &world->executor, NULL, 0, 1), 0);
	return world->executor.nr;
}

/* The executor waits inside EXCHANGE, as a worker would. */
static void stay(struct kunit *test)
{
	struct world *world = test->priv;

	spin_lock_irq(&world->device->lock);
	world->executor.executor->waiting = true;
	infini_sched_vdev_online(&world->device->sched, &world->vdev->sched, true, mock_now_ns);
	infini_device_schedule_locked(world->device, mock_now_ns);
	spin_unlock_irq(&world->device->lock);
}

/* Over its rate a vdev waits, or its client hears EDQUOT; the debt is paid by time. */
static void over_rate(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_vdev_config config = {
		.set = INFINI_VDEV_HAS_RATE | INFINI_VDEV_HAS_BURST,
		.tokens_per_s = 100, .token_burst = 10,
	};
	u32 queue = world_queue(test, world->client_file, 8);

	world_attach(test, world->vdev, 1, &world->executor);
	KUNIT_ASSERT_EQ(test, set(world->vdev, config), 0);
	KUNIT_EXPECT_EQ(test, submit_nowait(world->client_file, queue), 0);
	KUNIT_ASSERT_EQ(test, take(test), 1);
	/* Ten were free, ten are owed: a tenth of a second. */
	finish(test, 1, 20, 0);
	KUNIT_EXPECT_EQ(test, submit_nowait(world->client_file, queue), -EDQUOT);
	KUNIT_ASSERT_EQ(test, world_submit(world->client_file, queue, &nop, 1, NULL), 0);
	KUNIT_EXPECT_EQ(test, take(test), 0);
	stay(test);
	KUNIT_EXPECT_EQ(test, world->vdev->sched.throttles, 2);
	mock_advance(100 * MS - 1);
	KUNIT_EXPECT_FALSE(test, world->executor.executor->granted);
	KUNIT_EXPECT_EQ(test, submit_nowait(world->client_file, queue), -EDQUOT);
	mock_advance(1);
	KUNIT_EXPECT_TRUE(test, world->executor.executor->granted);
	KUNIT_EXPECT_EQ(test, submit_nowait(world->client_file, queue), 0);
	KUNIT_EXPECT_EQ(test, infini_sched_throttled_ns(&world->vdev->sched, mock_now_ns),
			100 * MS);
	KUNIT_EXPECT_EQ(test, world->vdev->throttles_told, 2);
}

/* A job that failed in the worker costs no tokens; one that was cancelled under it does. */
static void tokens_are_paid(struct kunit *test)
{
	struct world *world = test->priv;
	struct infini_handle handle = {
		.size = sizeof(handle), .handle = world_queue(test, world->client_file, 8),
	};

	world_attach(test, world->vdev, 1, &world->executor);
	KUNIT_ASSERT_EQ(test, set(world->vdev, ASK(A_RATE(100))), 0);
	KUNIT_ASSERT_EQ(test, world_submit(world->client_file, handle.handle, &nop, 1, NULL), 0);
	KUNIT_ASSERT_EQ(test, take(test), 1);
	finish(test, 1, 500, -EIO);
	KUNIT_EXPECT_FALSE(test, infini_vdev_over_rate(world->vdev));
	KUNIT_ASSERT_EQ(test, world_submit(world->client_file, handle.handle, &nop, 1, NULL), 0);
	KUNIT_ASSERT_EQ(test, take(test), 1);
	KUNIT_ASSERT_EQ(test, world_call(world->client_file, INFINI_IOC_QUEUE_DESTROY, &handle),
			0);
	finish(test, 2, 500, 0);
	KUNIT_EXPECT_TRUE(test, infini_vdev_over_rate(world->vdev));
	/* Counted for the client is only what it got. */
	KUNIT_EXPECT_EQ(test, world->vdev->count.tokens_generated, 0);
	KUNIT_ASSERT_EQ(test, set(world->vdev, ASK(A_RATE(0))), 0);
	KUNIT_EXPECT_FALSE(test, infini_vdev_over_rate(world->vdev));
}

/* A capped job is asked to yield when the cap is used up, though it is alone. */
static void capped(struct kunit *test)
{
	struct world *world = test->priv;
	struct world_executor *executor = &world->executor;
	u32 queue = world_queue(test, world->client_file, 8);

	world_attach(test, world->vdev, 1, executor);
	KUNIT_ASSERT_EQ(test, set(world->vdev, ASK(A_CAP(200000))), 0);
	KUNIT_ASSERT_EQ(test, world_submit(world->client_file, queue, &nop, 1, NULL), 0);
	KUNIT_ASSERT_EQ(test, take(test), 1);
	/* 2 ms of quantum at 20 %: it fills meanwhile. */
	mock_advance(2 * MS);
	KUNIT_EXPECT_EQ(test, *executor->executor->word, 0);
	mock_advance(MS / 2);
	KUNIT_EXPECT_EQ(test, *executor->executor->word, 1);
	KUNIT_ASSERT_EQ(test, world_preempted(test, executor, 1, 1), 0);
	KUNIT_EXPECT_FALSE(test, executor->executor->granted);
	KUNIT_EXPECT_EQ(test, take(test), 0);
	stay(test);
	mock_advance(5 * MS - 1);
	KUNIT_EXPECT_FALSE(test, executor->executor->granted);
	mock_advance(1);
	KUNIT_EXPECT_TRUE(test, executor->executor->granted);
	/* Without the cap it goes on as long as it likes. */
	KUNIT_ASSERT_EQ(test, take(test), 1);
	KUNIT_ASSERT_EQ(test, set(world->vdev, ASK(A_CAP(1000000))), 0);
	mock_advance(50 * MS);
	KUNIT_EXPECT_LT(test, *executor->executor->word, 2);
}

static struct kunit_case limits_cases[] = {
	KUNIT_CASE_PARAM(admission, row_gen_params),
	KUNIT_CASE(nothing_half_way),
	KUNIT_CASE(floors),
	KUNIT_CASE(rates),
	KUNIT_CASE(overcommitted),
	KUNIT_CASE(held_on_device),
	KUNIT_CASE(lowered),
	KUNIT_CASE(overcommitted_comes_back),
	KUNIT_CASE(over_rate),
	KUNIT_CASE(tokens_are_paid),
	KUNIT_CASE(capped),
	{}
};

static struct kunit_suite limits_suite = {
	.name = "infini_limits",
	.init = world_init,
	.exit = world_exit,
	.test_cases = limits_cases,
};
kunit_test_suite(limits_suite);
