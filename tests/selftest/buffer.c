// SPDX-License-Identifier: GPL-2.0-or-later
/* Buffers: kinds, sizes, contents, charge, and who may map what. */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "infini.h"
#include "world.h"

static void buffer_undo(int fd, void *arg)
{
	const struct infini_buffer_create *create = arg;

	destroy(fd, INFINI_IOC_BUFFER_DESTROY, create->handle);
}

static void contract(void)
{
	const struct infini_buffer_create valid = { .size = sizeof(valid), .bytes = 4096 };
	const struct infini_buffer_create device = {
		.size = sizeof(device), .bytes = 4096, .type = INFINI_BUFFER_DEVICE,
	};
	const struct command command = {
		"BUFFER_CREATE", INFINI_IOC_BUFFER_CREATE, &valid, sizeof(valid),
		offsetof(struct infini_buffer_create, file_offset), 0, buffer_undo
	};
	const struct command device_command = {
		"BUFFER_CREATE of DEVICE", INFINI_IOC_BUFFER_CREATE, &device, sizeof(device),
		offsetof(struct infini_buffer_create, file_offset), 0, buffer_undo
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_buffer_create, type, 3, -EINVAL),
		WRONG(infini_buffer_create, type, UINT32_MAX, -EINVAL),
		WRONG(infini_buffer_create, kind, 1, -EINVAL),
		WRONG(infini_buffer_create, bytes, 0, -EINVAL),
		WRONG(infini_buffer_create, bytes, 1, 0),
		WRONG(infini_buffer_create, bytes, 4097, 0),
		WRONG(infini_buffer_create, bytes, 64 * MIB + 1, -ENOSPC),
		WRONG(infini_buffer_create, bytes, 1ULL << 40, -ENOSPC),
		WRONG(infini_buffer_create, bytes, UINT64_MAX, -ENOSPC),
		WRONG(infini_buffer_create, fd, 1, -EINVAL),
		WRONG(infini_buffer_create, file_offset, 4096, -EINVAL),
	};
	const struct wrong_field device_wrong[] = {
		WRONG(infini_buffer_create, kind, WORLD_KINDS, -EINVAL),
		WRONG(infini_buffer_create, kind, UINT32_MAX, -EINVAL),
		WRONG(infini_buffer_create, kind, WORLD_KIND_SMALL, 0),
	};
	const struct infini_handle none = { .size = sizeof(none), .handle = 77 };
	const struct command destroy_command = {
		"BUFFER_DESTROY", INFINI_IOC_BUFFER_DESTROY, &none, sizeof(none), sizeof(none),
		-ENOENT, NULL
	};
	struct infini_vdev_stats stats;
	struct world world;

	world_make(&world, &(struct setup){ 0 });
	test_command(world.client, &command);
	test_wrong_fields(world.client, &command, wrong, ARRAY_SIZE(wrong));
	test_command(world.client, &device_command);
	test_wrong_fields(world.client, &device_command, device_wrong, ARRAY_SIZE(device_wrong));
	test_command(world.client, &destroy_command);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, 0);
	CHECK_EQ(stats.buffers, 0);
}

static void kind_limit(void)
{
	struct infini_buffer_create create = {
		.type = INFINI_BUFFER_DEVICE, .kind = WORLD_KIND_SMALL, .bytes = 65537,
	};
	struct world world;

	world_make(&world, &(struct setup){ 0 });
	CHECK_ERR(infini_buffer_create(world.client, &create), -ENOSPC);
	create.bytes = 65536;
	CHECK_ERR(infini_buffer_create(world.client, &create), 0);
	CHECK_EQ(create.map_offset, 0);
}

static void charged(void)
{
	struct infini_buffer_create create = { .bytes = 3 * MIB };
	struct infini_vdev_stats stats;
	struct world world;
	uint32_t first;

	world_make(&world, &(struct setup){ .memory = 4 * MIB });
	CHECK_ERR(infini_buffer_create(world.client, &create), 0);
	first = create.handle;
	CHECK_ERR(infini_buffer_create(world.client, &create), -ENOSPC);
	create.bytes = MIB;
	CHECK_ERR(infini_buffer_create(world.client, &create), 0);
	create.bytes = 1;
	CHECK_ERR(infini_buffer_create(world.client, &create), -ENOSPC);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, 4 * MIB);
	CHECK_EQ(stats.memory_failed, 2);
	CHECK_EQ(stats.buffers, 2);
	CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, first), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, MIB);
	CHECK_EQ(stats.memory_peak_bytes, 4 * MIB);
	create.bytes = 3 * MIB;
	CHECK_ERR(infini_buffer_create(world.client, &create), 0);
}

/* The charge follows the pages: a mapping without a handle still has them. */
static void mapped_without_handle(void)
{
	struct infini_vdev_stats stats;
	struct world world;
	uint32_t handle;
	uint8_t *at;

	world_make(&world, &(struct setup){ 0 });
	handle = buffer_make_mapped(world.client, MIB, &at);
	at[0] = 1;
	at[MIB - 1] = 2;
	CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, handle), 0);
	CHECK_EQ(at[0], 1);
	CHECK_EQ(at[MIB - 1], 2);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, MIB);
	CHECK_EQ(stats.buffers, 1);
	/* One half goes, the other still holds it. */
	CHECK_EQ(munmap(at, MIB / 2), 0);
	CHECK_EQ(at[MIB - 1], 2);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, MIB);
	CHECK_EQ(munmap(at + MIB / 2, MIB / 2), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, 0);
}

static void fresh_is_zero(void)
{
	struct world world;
	uint32_t handle;
	int round;
	size_t i;
	uint8_t *at;

	world_make(&world, &(struct setup){ 0 });
	for (round = 0; round < 4; round++) {
		handle = buffer_make_mapped(world.client, MIB, &at);
		for (i = 0; i < MIB; i++)
			if (at[i])
				test_fail(__FILE__, __LINE__, "byte %zu is %u", i, at[i]);
		memset(at, 0xaa, MIB);
		CHECK_EQ(munmap(at, MIB), 0);
		CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, handle), 0);
	}
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
	struct infini_buffer_create shared = { .bytes = 8192 };
	struct infini_buffer_create device = { .type = INFINI_BUFFER_DEVICE, .bytes = 8192 };
	struct world world;
	uint8_t *at;
	int fd;

	world_make(&world, &(struct setup){ 0 });
	fd = world.client;
	CHECK_ERR(infini_buffer_create(fd, &shared), 0);
	CHECK_ERR(infini_buffer_create(fd, &device), 0);
	CHECK_ERR(map(fd, shared.map_offset, 8192, PROT_READ | PROT_WRITE, MAP_SHARED), 0);
	CHECK_ERR(map(fd, shared.map_offset, 4096, PROT_READ, MAP_SHARED), 0);
	CHECK_ERR(map(fd, shared.map_offset, 8192, PROT_READ, MAP_PRIVATE), -EINVAL);
	CHECK_ERR(map(fd, shared.map_offset, 12288, PROT_READ, MAP_SHARED), -EINVAL);
	CHECK_ERR(map(fd, 0, 4096, PROT_READ, MAP_SHARED), -ENOENT);
	/* A DEVICE buffer has no offset of its own; one that is made up leads nowhere. */
	CHECK_EQ(device.map_offset, 0);
	CHECK(map(fd, shared.map_offset / shared.handle * device.handle, 4096, PROT_READ,
		  MAP_SHARED) < 0);
	at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, shared.map_offset);
	CHECK(at != MAP_FAILED);
	/* It may not grow beyond its buffer. */
	CHECK(mremap(at, 4096, 65536, MREMAP_MAYMOVE) == MAP_FAILED);
	CHECK_ERR(destroy(fd, INFINI_IOC_BUFFER_DESTROY, shared.handle), 0);
	CHECK_ERR(map(fd, shared.map_offset, 4096, PROT_READ, MAP_SHARED), -ENOENT);
	CHECK_EQ(at[0], 0);
}

/* A child that was not told gets nothing: fork does not copy the mapping. */
static void not_inherited(void)
{
	struct world world;
	int status;
	uint8_t *at;
	pid_t pid;

	world_make(&world, &(struct setup){ 0 });
	buffer_make_mapped(world.client, 4096, &at);
	at[0] = 1;
	pid = fork();
	if (!pid)
		_exit(at[0]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
}

static void contents_travel(void)
{
	struct world world;
	uint32_t queue, shared, device, i;
	struct infini_job job;
	uint8_t *at;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	shared = buffer_make_mapped(world.client, 65536, &at);
	device = buffer_make(world.client, INFINI_BUFFER_DEVICE, WORLD_KIND_UNIFIED, 65536);
	for (i = 0; i < 65536; i++)
		at[i] = i * 7;
	job = job_copy(device, 0, shared, 0, 65536);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	job = job_fill(device, 100, 50, 0xee);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	memset(at, 0, 65536);
	job = job_copy(shared, 0, device, 0, 65536);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	for (i = 0; i < 65536; i++)
		CHECK_EQ(at[i], i >= 100 && i < 150 ? 0xee : (uint8_t)(i * 7));
}

/* Memory that only the executor has: made by a job, freed by a notice, refused in its words. */
static void held_by_executor(void)
{
	struct infini_buffer_create create = {
		.type = INFINI_BUFFER_DEVICE, .kind = WORLD_KIND_HELD, .bytes = MIB,
	};
	struct infini_vdev_stats before, stats;
	struct infini_job job;
	struct world world;
	uint32_t queue, shared;
	uint8_t *at;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	shared = buffer_make_mapped(world.client, 4096, &at);
	stats_get(world.client, &before);
	CHECK_ERR(infini_buffer_create(world.client, &create), 0);
	stats_get(world.client, &stats);
	CHECK(stats.memory_used_bytes - before.memory_used_bytes >= MIB);
	at[0] = 99;
	job = job_copy(create.handle, MIB - 1, shared, 0, 1);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	job = job_copy(shared, 1, create.handle, MIB - 1, 1);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	CHECK_EQ(at[1], 99);
	CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, create.handle), 0);
	AWAIT(world.fake->buffers_freed == 1);
	AWAIT((stats_get(world.client, &stats), stats.buffers == before.buffers));
	world.fake->alloc_status = -ENOMEM;
	CHECK_ERR(infini_buffer_create(world.client, &create), -ENOMEM);
	/* A number that is no error of a program's does not come out of an ioctl. */
	world.fake->alloc_status = -512;
	CHECK_ERR(infini_buffer_create(world.client, &create), -EIO);
	AWAIT((stats_get(world.client, &stats), stats.buffers == before.buffers));
}

static void no_executor_allocates(void)
{
	struct infini_buffer_create create = {
		.type = INFINI_BUFFER_DEVICE, .kind = WORLD_KIND_HELD, .bytes = MIB,
	};
	struct infini_vdev_stats stats;
	struct world world;

	test_need_root();
	test_param_set("executor_wait_ms", 100);
	world_make(&world, &(struct setup){ 0 });
	CHECK_ERR(infini_buffer_create(world.client, &create), -EHOSTDOWN);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.buffers, 0);
}

static const struct test tests[] = {
	{ "sizes, flags and fields", contract },
	{ "the largest buffer of a kind", kind_limit },
	{ "charged and refused by the vdev's limit", charged },
	{ "pages stay charged while they are mapped", mapped_without_handle },
	{ "fresh memory is zero", fresh_is_zero },
	{ "who may map what", mapping_rules },
	{ "fork does not copy a mapping", not_inherited },
	{ "COPY and FILL", contents_travel },
	{ "memory that the executor allocates", held_by_executor },
	{ "memory that nobody comes to allocate", no_executor_allocates },
};

TEST_MAIN(tests)
