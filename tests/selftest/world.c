// SPDX-License-Identifier: GPL-2.0-or-later
/* A device, a vdev, a client, and the steps of each side. */
#include <fcntl.h>
#include <infini/null.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

/* ---- making ---- */

struct genl *world_genl(void)
{
	static struct genl genl;
	static pid_t opened_by;

	if (opened_by != getpid())
		CHECK_ERR(genl_open(&genl), 0);
	opened_by = getpid();
	return &genl;
}

void world_device(struct infini_device_register *reg, struct infini_memory_kind *kinds,
		  const char *name)
{
	memset(kinds, 0, WORLD_KINDS * sizeof(*kinds));
	strcpy((char *)kinds[WORLD_KIND_UNIFIED].name, "CPU");
	kinds[WORLD_KIND_UNIFIED].flags = INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_FILE;
	kinds[WORLD_KIND_UNIFIED].alignment = 64;
	strcpy((char *)kinds[WORLD_KIND_HELD].name, "Held");
	kinds[WORLD_KIND_HELD].alignment = 256;
	strcpy((char *)kinds[WORLD_KIND_SMALL].name, "Small");
	kinds[WORLD_KIND_SMALL].flags = INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_WEIGHTS;
	kinds[WORLD_KIND_SMALL].alignment = 1;
	kinds[WORLD_KIND_SMALL].max_bytes = 65536;
	*reg = (struct infini_device_register){
		.size = sizeof(*reg),
		.device_class = INFINI_CLASS_CPU,
		.level = INFINI_LEVEL_SEGMENT,
		.slots = 1,
		.nr_kinds = WORLD_KINDS,
		.memory_bytes = 1024 * MIB,
		.kinds = (uintptr_t)kinds,
		.kinds_stride = sizeof(*kinds),
		.backend = "null",
		.description = "a device that is a test",
	};
	snprintf((char *)reg->name, sizeof(reg->name), "%s", name);
}

uint32_t world_vdev(const char *name, const char *device, uint64_t memory, uint32_t mode)
{
	uint32_t id = 0;

	CHECK_ERR(genl_vdev_create(world_genl(), name, device, memory,
				   test_as_nobody ? SELFTEST_NOBODY : 0, mode, &id), 0);
	CHECK(id);
	return id;
}

static struct fake *fake_make(void)
{
	struct fake *fake = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				 -1, 0);

	CHECK(fake != MAP_FAILED);
	return fake;
}

pid_t world_executor_start(struct world *world, uint32_t vdev, uint32_t window, struct fake **fake)
{
	int fd = infini_executor_create(world->device, vdev);
	pid_t pid;

	if (fd < 0)
		CHECK_ERR(fd, 0);
	*fake = fake_make();
	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(world->device);
		close(world->control);
		if (world->client >= 0)
			close(world->client);
		executor_serve(fd, window, *fake);
	}
	CHECK(pid > 0);
	close(fd);
	AWAIT((*fake)->generation || (*fake)->ended);
	CHECK_EQ((*fake)->ended, 0);
	return pid;
}

void world_attach(struct world *world, int executor, uint32_t window)
{
	struct infini_executor_attach attach = {
		.protocol = INFINI_PROTOCOL_VERSION,
		.window = window,
	};

	CHECK(executor >= 0);
	world->executor = executor;
	CHECK_ERR(infini_executor_attach(world->executor, &attach), 0);
	world->generation = attach.generation;
	world->payload_bytes = attach.payload_bytes;
	world->payload = mmap(NULL, attach.payload_bytes, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(world->payload != MAP_FAILED);
	CHECK_ERR(infini_yield_map(world->executor, attach.yield_offset, &world->yield_word), 0);
}

int world_client(struct world *world)
{
	int fd = infini_vdev_open(world->control, NULL, world->vdev);

	if (fd < 0)
		CHECK_ERR(fd, 0);
	return fd;
}

int world_try_open(uint32_t vdev)
{
	int node, fd, control = infini_open(NULL);
	char path[32];

	if (control < 0)
		return -EIO;
	snprintf(path, sizeof(path), "/dev/infini%u", vdev);
	node = open(path, O_RDWR | O_CLOEXEC);
	if (node >= 0)
		close(node);
	node = node < 0 ? -errno : 0;
	fd = infini_vdev_open(control, NULL, vdev);
	if (fd >= 0)
		close(fd);
	close(control);
	fd = fd < 0 ? fd : 0;
	return fd == node ? fd : -ENOTRECOVERABLE;
}

void world_make(struct world *world, const struct setup *setup)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_device_register reg;
	uint32_t window = setup->window ? setup->window : 1;

	if (geteuid())
		test_skip("needs root");
	memset(world, 0, sizeof(*world));
	world->executor = -1;
	world->client = -1;
	snprintf(world->device_name, sizeof(world->device_name), "testdev");
	snprintf(world->vdev_name, sizeof(world->vdev_name), "testvdev");
	world->control = infini_open(NULL);
	CHECK(world->control >= 0);
	world_device(&reg, kinds, world->device_name);
	reg.slots = setup->slots ? setup->slots : 1;
	if (setup->device_memory)
		reg.memory_bytes = setup->device_memory;
	CHECK_ERR(infini_device_register(world->control, &reg), 0);
	world->device = reg.fd;
	world->device_id = reg.id;
	world->vdev = world_vdev(world->vdev_name, world->device_name,
				 setup->memory ? setup->memory : 64 * MIB,
				 setup->mode ? setup->mode : 0600);
	if (setup->executor == WORLD_PROCESS)
		world->process = world_executor_start(world, world->vdev, window, &world->fake);
	if (setup->executor == WORLD_BY_HAND)
		world_attach(world, infini_executor_create(world->device, world->vdev), window);
	if (test_as_nobody)
		test_become(SELFTEST_NOBODY);
	world->client = world_client(world);
}

/* ---- a client's steps ---- */

uint32_t queue_make(int fd, uint32_t depth)
{
	struct infini_queue_create create = { .depth = depth };

	CHECK_ERR(infini_queue_create(fd, &create), 0);
	return create.handle;
}

uint32_t queue_make_mapped(int fd, uint32_t depth, const struct infini_timeline **timeline)
{
	struct infini_queue_create create = { .depth = depth };

	CHECK_ERR(infini_queue_create(fd, &create), 0);
	CHECK_ERR(infini_timeline_map(fd, create.map_offset, timeline), 0);
	return create.handle;
}

uint32_t buffer_make(int fd, uint32_t type, uint32_t kind, uint64_t bytes)
{
	struct infini_buffer_create create = { .type = type, .kind = kind, .bytes = bytes };

	CHECK_ERR(infini_buffer_create(fd, &create), 0);
	return create.handle;
}

uint32_t buffer_make_mapped(int fd, uint64_t bytes, uint8_t **at)
{
	struct infini_buffer_create create = { .type = INFINI_BUFFER_SHARED, .bytes = bytes };

	CHECK_ERR(infini_buffer_create(fd, &create), 0);
	CHECK_ERR(infini_buffer_map(fd, create.map_offset, bytes, (void **)at), 0);
	return create.handle;
}

uint32_t program_make(int fd, uint32_t flags, uint64_t segments, uint64_t segment_ns)
{
	const struct infini_null_program program = {
		.magic = INFINI_NULL_MAGIC,
		.flags = flags,
		.segments = segments,
		.segment_ns = segment_ns,
		.tokens_evaluated = 3,
		.tokens_generated = 1,
	};
	uint32_t handle = 0;

	CHECK_ERR(infini_program_create(fd, INFINI_FORMAT_NULL, &program, sizeof(program),
					&handle), 0);
	return handle;
}

int destroy(int fd, unsigned long cmd, uint32_t handle)
{
	struct infini_handle arg = { .size = sizeof(arg), .handle = handle };

	return test_ioctl(fd, cmd, &arg);
}

void stats_get(int fd, struct infini_vdev_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	CHECK_ERR(infini_vdev_stats(fd, stats), 0);
}

int submit(int fd, uint32_t queue, const struct infini_job *jobs, uint32_t nr, uint32_t *accepted,
	   uint64_t *seqno)
{
	struct infini_submit arg = {
		.queue = queue,
		.nr_jobs = nr,
		.jobs = (uintptr_t)jobs,
		.jobs_stride = sizeof(*jobs),
	};
	int err = infini_submit(fd, &arg);

	if (accepted)
		*accepted = arg.accepted;
	if (seqno)
		*seqno = arg.last_seqno;
	return err;
}

uint64_t submit_one(int fd, uint32_t queue, const struct infini_job *job)
{
	uint64_t seqno = 0;

	CHECK_ERR(submit(fd, queue, job, 1, NULL, &seqno), 0);
	return seqno;
}

int submit_wait(int fd, uint32_t queue, const struct infini_job *job, uint64_t *value)
{
	struct infini_submit arg = {
		.flags = INFINI_SUBMIT_F_WAIT,
		.queue = queue,
		.nr_jobs = 1,
		.jobs = (uintptr_t)job,
		.jobs_stride = sizeof(*job),
		.deadline_ns = INFINI_FOREVER,
	};

	CHECK_ERR(infini_submit(fd, &arg), 0);
	CHECK_EQ(arg.accepted, 1);
	if (value)
		*value = arg.value;
	return arg.status;
}

int wait_for(int fd, uint32_t queue, uint64_t seqno, int64_t deadline, int *status)
{
	struct infini_wait arg = { .queue = queue, .seqno = seqno, .deadline_ns = deadline };
	int err = infini_wait(fd, &arg);

	if (status)
		*status = arg.status;
	return err;
}

struct infini_job job_nop(void)
{
	return (struct infini_job){ .op = INFINI_OP_NOP };
}

struct infini_job job_fill(uint32_t dst, uint64_t offset, uint64_t bytes, uint32_t value)
{
	return (struct infini_job){
		.op = INFINI_OP_FILL, .dst = dst, .dst_offset = offset, .bytes = bytes,
		.value = value,
	};
}

struct infini_job job_copy(uint32_t dst, uint64_t dst_offset, uint32_t src, uint64_t src_offset,
			   uint64_t bytes)
{
	return (struct infini_job){
		.op = INFINI_OP_COPY, .dst = dst, .dst_offset = dst_offset, .src = src,
		.src_offset = src_offset, .bytes = bytes,
	};
}

struct infini_job job_program(uint32_t program)
{
	return (struct infini_job){ .op = INFINI_OP_PROGRAM, .program = program };
}

/* ---- an executor's steps by hand ---- */

int hand_exchange(struct world *world, const struct infini_result *results, uint32_t nr_results,
		  struct infini_dispatch *dispatches, uint32_t room, int64_t deadline,
		  uint32_t *returned)
{
	struct infini_exchange arg = {
		.results = (uintptr_t)results,
		.nr_results = nr_results,
		.results_stride = sizeof(*results),
		.dispatches = (uintptr_t)dispatches,
		.nr_dispatches = room,
		.dispatches_stride = sizeof(*dispatches),
		.payload = (uintptr_t)world->payload,
		.payload_bytes = world->payload_bytes,
		.deadline_ns = deadline,
	};
	int err = infini_exchange(world->executor, &arg);

	if (returned)
		*returned = arg.returned;
	return err;
}

void hand_take(struct world *world, struct infini_dispatch *dispatch)
{
	uint32_t returned;

	do {
		CHECK_ERR(hand_exchange(world, NULL, 0, dispatch, 1, test_deadline(20 * SECOND),
					&returned), 0);
		CHECK_EQ(returned, 1);
	} while (!dispatch->dispatch);
}

uint32_t hand_look(struct world *world, struct infini_dispatch *dispatches, uint32_t room)
{
	uint32_t returned;

	CHECK_ERR(hand_exchange(world, NULL, 0, dispatches, room, 0, &returned), 0);
	return returned;
}

static int hand_result(struct world *world, const struct infini_result *result)
{
	return hand_exchange(world, result, 1, NULL, 0, 0, NULL);
}

int hand_give(struct world *world, uint64_t dispatch, int status, uint64_t value)
{
	const struct infini_result result = {
		.dispatch = dispatch, .status = status, .value = value,
	};

	return hand_result(world, &result);
}

int hand_preempt(struct world *world, uint64_t dispatch, uint64_t segment)
{
	const struct infini_result result = {
		.dispatch = dispatch, .state = INFINI_RESULT_PREEMPTED, .segment = segment,
	};

	return hand_result(world, &result);
}
