// SPDX-License-Identifier: GPL-2.0-or-later
/* Executors: creating, attaching, whose file it is, what it may map, registering devices. */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

static void close_executor(int fd, void *arg)
{
	const struct infini_executor_create *create = arg;

	(void)fd;
	close(create->fd);
}

static void create_contract(void)
{
	struct infini_executor_create valid = { .size = sizeof(valid) };
	const struct command command = {
		"EXECUTOR_CREATE", INFINI_IOC_EXECUTOR_CREATE, &valid, sizeof(valid),
		sizeof(valid), 0, close_executor
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_executor_create, vdev_id, 0, -ENOENT),
		WRONG(infini_executor_create, vdev_id, 1000, -ENOENT),
		WRONG(infini_executor_create, vdev_id, UINT32_MAX, -ENOENT),
	};
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_device_register reg;
	struct world world;
	int fd;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	valid.vdev_id = world.vdev;
	test_command(world.device, &command);
	test_wrong_fields(world.device, &command, wrong, ARRAY_SIZE(wrong));
	fd = infini_executor_create(world.device, world.vdev);
	CHECK(fd >= 0);
	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_ERR(infini_executor_create(world.device, world.vdev), -EBUSY);
	close(fd);
	/* Another device's vdev is none of this one's. */
	world_device(&reg, kinds, "other");
	CHECK_ERR(infini_device_register(world.control, &reg), 0);
	CHECK_ERR(infini_executor_create(reg.fd, world.vdev), -ENOENT);
}

static void attach_contract(void)
{
	struct infini_executor_attach valid = {
		.size = sizeof(valid), .protocol = INFINI_PROTOCOL_VERSION, .window = 1,
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_executor_attach, protocol, 0, -EPROTO),
		WRONG(infini_executor_attach, protocol, 2, -EPROTO),
		WRONG(infini_executor_attach, window, 0, -EINVAL),
		WRONG(infini_executor_attach, window, 17, -EINVAL),
		WRONG(infini_executor_attach, pad, 1, -EINVAL),
	};
	struct command command = {
		"EXECUTOR_ATTACH", INFINI_IOC_EXECUTOR_ATTACH, &valid, sizeof(valid),
		sizeof(valid), -EBUSY, NULL
	};
	struct infini_exchange exchange = { 0 };
	struct world world;
	int fd;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	fd = infini_executor_create(world.device, world.vdev);
	CHECK(fd >= 0);
	test_wrong_fields(fd, &command, wrong, ARRAY_SIZE(wrong));
	/* Nobody's so far. */
	CHECK_ERR(infini_exchange(fd, &exchange), -EPERM);
	CHECK_ERR(infini_executor_attach(fd, &valid), 0);
	CHECK_EQ(valid.generation, 1);
	CHECK_EQ(valid.vdev_id, world.vdev);
	CHECK(valid.payload_bytes > 1 << 20);
	CHECK_ERR(infini_exchange(fd, &exchange), 0);
	valid.generation = 0;
	test_command(fd, &command);
	close(fd);
	fd = infini_executor_create(world.device, world.vdev);
	CHECK_ERR(infini_executor_attach(fd, &valid), 0);
	CHECK_EQ(valid.generation, 2);
}

static int exchange_elsewhere(void *arg)
{
	struct infini_exchange exchange = { 0 };

	return infini_exchange(*(int *)arg, &exchange);
}

static int read_elsewhere(void *arg)
{
	uint64_t data;

	return infini_program_read(*(int *)arg, 1, 0, &data, 8);
}

static int map_elsewhere(void *arg)
{
	void *at;

	return infini_executor_map(*(int *)arg, 4096, 4096, &at);
}

static int reason_elsewhere(void *arg)
{
	return infini_end_reason(*(int *)arg, "mine");
}

/* The file in another process, even one of the same user, is of no use. */
static void another_process(void)
{
	static const struct {
		const char *name;
		int (*fn)(void *arg);
	} rows[] = {
		{ "EXCHANGE", exchange_elsewhere },
		{ "PROGRAM_READ", read_elsewhere },
		{ "mmap", map_elsewhere },
		{ "END_REASON", reason_elsewhere },
	};
	struct infini_dispatch dispatch;
	struct infini_job job = job_nop();
	struct world world;
	uint32_t queue;
	size_t i;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		test_row_err(rows[i].name, test_as_user(0, rows[i].fn, &world.executor), -EPERM);
	/* The end of those processes was not the end of the executor. */
	queue = queue_make(world.client, 1);
	submit_one(world.client, queue, &job);
	hand_take(&world, &dispatch);
	CHECK_ERR(hand_give(&world, dispatch.dispatch, 0, 0), 0);
}

static int map(int fd, uint64_t offset, size_t bytes, int prot, int flags)
{
	void *at = mmap(NULL, bytes, prot, flags, fd, offset);

	if (at == MAP_FAILED)
		return -errno;
	munmap(at, bytes);
	return 0;
}

static void mapping_rules(void)
{
	struct infini_executor_attach attach = {
		.protocol = INFINI_PROTOCOL_VERSION, .window = 1,
	};
	struct world world;
	uint64_t word;
	void *at;
	int fd;

	test_need_root();
	world_make(&world, &(struct setup){ 0 });
	fd = infini_executor_create(world.device, world.vdev);
	CHECK_ERR(map(fd, 4096, 4096, PROT_READ, MAP_SHARED), -EPERM);
	CHECK_ERR(infini_executor_attach(fd, &attach), 0);
	word = attach.yield_offset;
	CHECK_ERR(map(fd, word, 4096, PROT_READ, MAP_SHARED), 0);
	CHECK_ERR(map(fd, word, 4096, PROT_READ | PROT_WRITE, MAP_SHARED), -EACCES);
	CHECK_ERR(map(fd, word, 8192, PROT_READ, MAP_SHARED), -EINVAL);
	CHECK_ERR(map(fd, word, 4096, PROT_READ, MAP_PRIVATE), -EINVAL);
	CHECK_ERR(map(fd, word + 4096, 4096, PROT_READ, MAP_SHARED), -EINVAL);
	at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, word);
	CHECK(at != MAP_FAILED);
	CHECK_EQ(mprotect(at, 4096, PROT_READ | PROT_WRITE), -1);
}

/* A buffer's pages leave the executor when the buffer ends; touching them is its own fault. */
static void buffer_goes(void)
{
	struct infini_dispatch dispatch;
	const struct infini_dispatch_binding *binding;
	struct infini_job job;
	struct world world;
	uint32_t queue, buffer;
	uint8_t *mine, *theirs;
	int pipes[2];

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 1);
	buffer = buffer_make_mapped(world.client, 8192, &theirs);
	job = job_fill(buffer, 0, 1, 1);
	submit_one(world.client, queue, &job);
	hand_take(&world, &dispatch);
	binding = (const void *)((uint8_t *)world.payload + dispatch.bindings);
	CHECK_ERR(infini_executor_map(world.executor, binding->map_offset, 8192, (void **)&mine),
		  0);
	mine[8000] = 42;
	CHECK_EQ(theirs[8000], 42);
	CHECK_ERR(hand_give(&world, dispatch.dispatch, 0, 0), 0);
	CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, buffer), 0);
	/* The client's mapping still holds it. */
	CHECK_EQ(mine[8000], 42);
	CHECK_ERR(infini_unmap(theirs, 8192), 0);
	/* Looked at through a system call, which does not die of it. */
	CHECK_EQ(pipe(pipes), 0);
	CHECK_EQ(write(pipes[1], mine, 1), -1);
	CHECK_EQ(errno, EFAULT);
}

static void close_device(int fd, void *arg)
{
	const struct infini_device_register *reg = arg;

	(void)fd;
	close(reg->fd);
}

static void register_contract(void)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_device_register valid;
	const struct command command = {
		"DEVICE_REGISTER", INFINI_IOC_DEVICE_REGISTER, &valid, sizeof(valid),
		sizeof(valid), 0, close_device
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_device_register, device_class, 4, -EINVAL),
		WRONG(infini_device_register, level, 0, -EINVAL),
		WRONG(infini_device_register, level, 4, -EINVAL),
		WRONG(infini_device_register, slots, 0, -EINVAL),
		WRONG(infini_device_register, slots, 65, -EINVAL),
		WRONG(infini_device_register, slots, 64, 0),
		WRONG(infini_device_register, nr_kinds, 0, -EINVAL),
		WRONG(infini_device_register, nr_kinds, 9, -EINVAL),
		WRONG(infini_device_register, memory_bytes, 0, -EINVAL),
		WRONG(infini_device_register, memory_bytes, UINT64_MAX, -EINVAL),
		WRONG(infini_device_register, kinds, 8, -EFAULT),
		WRONG(infini_device_register, kinds_stride, 0, -EINVAL),
		WRONG(infini_device_register, pad, 1, -EINVAL),
		WRONG(infini_device_register, name, 0, -EINVAL),
		WRONG(infini_device_register, name, '/', -EINVAL),
		WRONG(infini_device_register, name, '7', -EINVAL),
		WRONG(infini_device_register, backend, '!', -EINVAL),
	};
	int fd;

	test_need_root();
	fd = infini_open(NULL);
	CHECK(fd >= 0);
	world_device(&valid, kinds, "contract");
	valid.size = sizeof(valid);
	test_command(fd, &command);
	test_wrong_fields(fd, &command, wrong, ARRAY_SIZE(wrong));
	memset(valid.name, 'x', sizeof(valid.name));
	CHECK_ERR(test_ioctl(fd, INFINI_IOC_DEVICE_REGISTER, &valid), -EINVAL);
	world_device(&valid, kinds, "contract");
	memset(valid.description, 'x', sizeof(valid.description));
	CHECK_ERR(test_ioctl(fd, INFINI_IOC_DEVICE_REGISTER, &valid), -EINVAL);
}

static void kind_contract(void)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_device_register reg;
	int fd;

	test_need_root();
	fd = infini_open(NULL);
	CHECK(fd >= 0);
	world_device(&reg, kinds, "kinds");
	kinds[1].flags = 4;
	CHECK_ERR(infini_device_register(fd, &reg), -EINVAL);
	world_device(&reg, kinds, "kinds");
	kinds[1].pad = 1;
	CHECK_ERR(infini_device_register(fd, &reg), -EINVAL);
	world_device(&reg, kinds, "kinds");
	kinds[1].alignment = 0;
	CHECK_ERR(infini_device_register(fd, &reg), -EINVAL);
	kinds[1].alignment = 48;
	CHECK_ERR(infini_device_register(fd, &reg), -EINVAL);
	world_device(&reg, kinds, "kinds");
	memset(kinds[1].name, 'x', sizeof(kinds[1].name));
	CHECK_ERR(infini_device_register(fd, &reg), -EINVAL);
}

/* A device that comes back is the same: its id, its vdevs, their limits. */
static void comes_back(void)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_device_register reg;
	struct infini_job job = job_nop();
	struct infini_vdev_info info = { 0 };
	struct world world;
	uint32_t queue, id;
	uint64_t seqno;
	int status;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	world_device(&reg, kinds, world.device_name);
	CHECK_ERR(infini_device_register(world.control, &reg), -EEXIST);
	world.fake->hold = world.fake->deaf = 1;
	seqno = submit_one(world.client, queue, &job);
	AWAIT(world.fake->held);
	close(world.device);
	CHECK_ERR(wait_for(world.client, queue, seqno, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, -ENODEV);
	CHECK_ERR(submit(world.client, queue, &job, 1, NULL, NULL), -ENODEV);
	CHECK_ERR(infini_vdev_info(world.client, &info), 0);
	CHECK_EQ(info.device_online, 0);
	id = world.device_id;
	reg.memory_bytes = MIB;
	CHECK_ERR(infini_device_register(world.control, &reg), -ENOSPC);
	world_device(&reg, kinds, world.device_name);
	kinds[0].alignment = 128;
	CHECK_ERR(infini_device_register(world.control, &reg), -EBUSY);
	world_device(&reg, kinds, world.device_name);
	CHECK_ERR(infini_device_register(world.control, &reg), 0);
	CHECK_EQ(reg.id, id);
	world.device = reg.fd;
	AWAIT(waitpid(world.process, &status, WNOHANG) == world.process);
	world.process = world_executor_start(&world, world.vdev, 1, &world.fake);
	CHECK_EQ(world.fake->generation, 2);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
}

static void reason_contract(void)
{
	struct infini_end_reason valid = { .size = sizeof(valid), .reason = "as it should be" };
	const struct wrong_field wrong[] = {
		WRONG(infini_end_reason, flags, 1, -EINVAL),
		WRONG(infini_end_reason, reason[0], '\0', -EINVAL),
		WRONG(infini_end_reason, reason[3], '\0', -EINVAL),
		WRONG(infini_end_reason, reason[3], '\n', -EINVAL),
		WRONG(infini_end_reason, reason[3], 0x7f, -EINVAL),
		WRONG(infini_end_reason, reason[3], 0x80, -EINVAL),
		WRONG(infini_end_reason, reason[INFINI_END_REASON_MAX - 1], 'x', -EINVAL),
	};
	const struct command command = {
		"END_REASON", INFINI_IOC_END_REASON, &valid, sizeof(valid), sizeof(valid), 0, NULL
	};
	struct world world;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	test_command(world.executor, &command);
	test_wrong_fields(world.executor, &command, wrong, ARRAY_SIZE(wrong));
	test_command(world.device, &command);
	test_wrong_fields(world.device, &command, wrong, ARRAY_SIZE(wrong));
	memset(valid.reason, 'x', sizeof(valid.reason));
	CHECK_ERR(test_ioctl(world.device, INFINI_IOC_END_REASON, &valid), -EINVAL);
}

static const struct test tests[] = {
	{ "DEVICE_REGISTER: sizes, flags and fields", register_contract },
	{ "DEVICE_REGISTER: memory kinds", kind_contract },
	{ "EXECUTOR_CREATE: sizes, flags and fields", create_contract },
	{ "EXECUTOR_ATTACH: once, with the right protocol", attach_contract },
	{ "END_REASON: sizes, flags and text", reason_contract },
	{ "another process has no use of the file", another_process },
	{ "what it may map", mapping_rules },
	{ "a buffer's pages leave with the buffer", buffer_goes },
	{ "a device goes and comes back", comes_back },
};

TEST_MAIN(tests)
