// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every allocation and every copy inside a system call fails once, by the kernel's fault injection:
 * the first, the second, ... until the call succeeds with none left to fail. The call says so, and
 * nothing of the attempt remains. How many places there were is printed for each.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

#define FAULTS_MAX	300

static struct world world;
static int nth_fd;
static uint32_t queue;

/* A second vdev, whose executor is this process, by hand. */
static struct world other;
static uint32_t handle;		/* what a call made, to be given back */
static void *mapped;
static uint64_t map_offset;
static struct infini_dispatch given;

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		test_skip("%s: %s", path, strerror(errno));
	CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

/* Allocations that may sleep are spared unless asked for. */
static void faults_prepare(void)
{
	test_need_root();
	write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/failslab/verbose", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	write_file("/sys/kernel/debug/fail_usercopy/verbose", "0");
	nth_fd = open("/proc/self/fail-nth", O_RDWR | O_CLOEXEC);
	if (nth_fd < 0)
		test_skip("/proc/self/fail-nth: %s", strerror(errno));
}

static void arm(int nth)
{
	char text[16];
	int bytes = snprintf(text, sizeof(text), "%d", nth);

	CHECK_EQ(pwrite(nth_fd, text, bytes, 0), bytes);
}

/* Did the failure come to pass? If not it may strike the very calls that ask and disarm. */
static bool disarm(void)
{
	char text[16] = "";
	ssize_t got = pread(nth_fd, text, sizeof(text) - 1, 0);

	while (pwrite(nth_fd, "0", 1, 0) != 1)
		;
	return got > 0 && !atoi(text);
}

/* ---- what is tried; each gives back what it made ---- */

/* The fault may strike the giving back; it strikes once. */
static int give_back(int (*destroy)(int fd, uint32_t handle), uint32_t handle)
{
	int err = destroy(world.client, handle);

	if (err)
		destroy(world.client, handle);
	return err;
}

static int try_query(void)
{
	struct infini_query query = { 0 };

	return infini_query(world.client, &query);
}

static int try_vdev_open(void)
{
	int fd = infini_vdev_open(world.control, NULL, world.vdev);

	return fd < 0 ? fd : close(fd);
}

static int try_node_open(void)
{
	char path[32];
	int fd;

	snprintf(path, sizeof(path), "/dev/infini%u", world.vdev);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : close(fd);
}

static int try_register(void)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_device_register reg;
	int err;

	world_device(&reg, kinds, "fault");
	err = infini_device_register(world.control, &reg);
	return err ? err : close(reg.fd);
}

static int try_info(void)
{
	struct infini_memory_kind kinds[WORLD_KINDS];
	struct infini_vdev_info info = {
		.kinds = (uintptr_t)kinds, .kinds_capacity = WORLD_KINDS,
		.kinds_stride = sizeof(kinds[0]),
	};

	return infini_vdev_info(world.client, &info);
}

static int try_stats(void)
{
	uint64_t hist[INFINI_HIST_BUCKETS];
	struct infini_vdev_stats stats = { .queue_wait_hist = (uintptr_t)hist };

	return infini_vdev_stats(world.client, &stats);
}

static int try_queue(void)
{
	struct infini_queue_create create = { .depth = 32 };
	int err = infini_queue_create(world.client, &create);

	return err ? err : give_back(infini_queue_destroy, create.handle);
}

static int try_buffer(uint32_t type, uint32_t kind)
{
	struct infini_buffer_create create = { .type = type, .kind = kind, .bytes = 32768 };
	int err = infini_buffer_create(world.client, &create);

	return err ? err : give_back(infini_buffer_destroy, create.handle);
}

static int try_shared(void)
{
	return try_buffer(INFINI_BUFFER_SHARED, 0);
}

static int try_unified(void)
{
	return try_buffer(INFINI_BUFFER_DEVICE, WORLD_KIND_UNIFIED);
}

static int try_held(void)
{
	return try_buffer(INFINI_BUFFER_DEVICE, WORLD_KIND_HELD);
}

static int try_program(void)
{
	static const uint8_t data[9000];
	uint32_t handle;
	int err = infini_program_create(world.client, 1, data, sizeof(data), &handle);

	return err ? err : give_back(infini_program_destroy, handle);
}

static int try_submit(void)
{
	static const uint8_t args[9000];
	struct infini_job job = {
		.op = INFINI_OP_ASK, .program_format = INFINI_FORMAT_NULL,
		.args = (uintptr_t)args, .args_bytes = sizeof(args),
	};
	struct infini_submit arg = {
		.flags = INFINI_SUBMIT_F_WAIT, .queue = queue, .nr_jobs = 1,
		.jobs = (uintptr_t)&job, .jobs_stride = sizeof(job),
		.deadline_ns = INFINI_FOREVER,
	};

	return infini_submit(world.client, &arg);
}

static int try_eventfd(void)
{
	struct infini_queue_create create = {
		.depth = 1, .flags = INFINI_QUEUE_F_EVENTFD, .eventfd = eventfd(0, EFD_CLOEXEC),
	};
	int err = create.eventfd < 0 ? -errno : infini_queue_create(world.client, &create);

	if (create.eventfd >= 0)
		close(create.eventfd);
	return err ? err : give_back(infini_queue_destroy, create.handle);
}

static int try_wait(void)
{
	struct infini_wait arg = { .queue = queue, .seqno = 1 };

	return infini_wait(world.client, &arg);
}

static int try_poll(void)
{
	struct pollfd one = { .fd = world.client, .events = POLLIN };

	return poll(&one, 1, 0) < 0 ? -errno : 0;
}

static void prepare_read(void)
{
	struct infini_job nop = job_nop();

	CHECK_ERR(submit_wait(world.client, queue, &nop, NULL), 0);
}

static int try_read(void)
{
	uint64_t ended;

	return read(world.client, &ended, sizeof(ended)) < 0 ? -errno : 0;
}

static int try_fdinfo(void)
{
	char path[48], text[4096];
	int fd, err;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", world.client);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = read(fd, text, sizeof(text)) < 0 ? -errno : 0;
	close(fd);
	return err;
}

/* ---- destroying: what fails is done again ---- */

static void prepare_queue(void)
{
	handle = queue_make(world.client, 8);
}

static int try_queue_destroy(void)
{
	return infini_queue_destroy(world.client, handle);
}

static void undo_queue(void)
{
	infini_queue_destroy(world.client, handle);
}

static void prepare_buffer(void)
{
	struct infini_buffer_create create = { .bytes = 32768 };

	CHECK_ERR(infini_buffer_create(world.client, &create), 0);
	handle = create.handle;
	map_offset = create.map_offset;
	mapped = NULL;
}

static int try_buffer_destroy(void)
{
	return infini_buffer_destroy(world.client, handle);
}

static void undo_buffer(void)
{
	if (mapped)
		infini_unmap(mapped, 32768);
	infini_buffer_destroy(world.client, handle);
}

static void prepare_program(void)
{
	handle = program_make(world.client, 0, 1, 0);
}

static int try_program_destroy(void)
{
	return infini_program_destroy(world.client, handle);
}

static void undo_program(void)
{
	infini_program_destroy(world.client, handle);
}

/* ---- mappings ---- */

static int try_buffer_map(void)
{
	return infini_buffer_map(world.client, map_offset, 32768, &mapped);
}

static void prepare_timeline(void)
{
	struct infini_queue_create create = { .depth = 1 };

	CHECK_ERR(infini_queue_create(world.client, &create), 0);
	handle = create.handle;
	map_offset = create.map_offset;
	mapped = NULL;
}

static int try_timeline_map(void)
{
	return infini_timeline_map(world.client, map_offset,
				   (const struct infini_timeline **)&mapped);
}

static void undo_timeline(void)
{
	if (mapped)
		infini_unmap(mapped, 4096);
	infini_queue_destroy(world.client, handle);
}

/* ---- an executor ---- */

static void prepare_nothing_attached(void)
{
	other.executor = -1;
}

static int try_executor_create(void)
{
	other.executor = infini_executor_create(other.device, other.vdev);
	return other.executor < 0 ? other.executor : 0;
}

static void undo_executor(void)
{
	if (other.executor >= 0)
		close(other.executor);
	other.executor = -1;
}

static void prepare_executor(void)
{
	CHECK_ERR(try_executor_create(), 0);
}

static int try_attach(void)
{
	struct infini_executor_attach attach = {
		.protocol = INFINI_PROTOCOL_VERSION, .window = 4,
	};
	int err = infini_executor_attach(other.executor, &attach);

	map_offset = attach.yield_offset;
	other.payload_bytes = attach.payload_bytes;
	return err;
}

static void prepare_attached(void)
{
	prepare_executor();
	CHECK_ERR(try_attach(), 0);
	mapped = NULL;
}

static int try_end_reason(void)
{
	struct infini_end_reason arg = { .size = sizeof(arg), .reason = "a test" };

	return test_ioctl(other.executor, INFINI_IOC_END_REASON, &arg);
}

static int try_yield_map(void)
{
	return infini_yield_map(other.executor, map_offset, (const uint64_t **)&mapped);
}

static void undo_yield_map(void)
{
	if (mapped)
		infini_unmap(mapped, 4096);
	undo_executor();
}

/* A program with inputs and outputs waits for the executor. */
static void prepare_job(void)
{
	static uint8_t text[4096];
	struct infini_binding binding;
	struct infini_input input = { .bytes = sizeof(text), .data = (uintptr_t)text };
	struct infini_output output = { .bytes = 64, .dst_offset = 8192 };
	struct infini_job job;

	prepare_attached();
	other.client = world_client(&other);
	binding = (struct infini_binding){
		buffer_make(other.client, INFINI_BUFFER_SHARED, 0, 32768),
		INFINI_ACCESS_READ | INFINI_ACCESS_WRITE,
	};
	job = job_program(program_make(other.client, 0, 1, 0));
	job.bindings = (uintptr_t)&binding;
	job.inputs = (uintptr_t)&input;
	job.outputs = (uintptr_t)&output;
	job.nr_bindings = job.nr_inputs = job.nr_outputs = 1;
	submit_one(other.client, queue_make(other.client, 2), &job);
	memset(&given, 0, sizeof(given));
}

static int exchange(const struct infini_result *result)
{
	return hand_exchange(&other, result, !!result, &given, !result, 0, NULL);
}

/* Takes the job; what was not taken is still there for the next. */
static int try_exchange(void)
{
	int err = exchange(NULL);
	struct infini_result result = { .dispatch = given.dispatch };

	return err || !given.dispatch ? err : exchange(&result);
}

static void undo_job(void)
{
	close(other.client);
	if (mapped)
		infini_unmap(mapped, 32768);
	undo_executor();
}

static void prepare_taken(void)
{
	prepare_job();
	CHECK_ERR(exchange(NULL), 0);
	CHECK(given.dispatch);
}

static int try_program_read(void)
{
	uint8_t data[16];

	return infini_program_read(other.executor, given.object, 0, data, sizeof(data));
}

static int try_executor_map(void)
{
	const struct infini_dispatch_binding *binding =
		(const void *)((uint8_t *)other.payload + given.bindings);

	return infini_executor_map(other.executor, binding->map_offset, 32768, &mapped);
}

/* ---- netlink ---- */

/* A request whose answer was lost may have been carried out: that vdev is no leftover. */
static void forget_vdev(void)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_VDEV_DEL);
	genl_put_string(&request, INFINI_A_VDEV_NAME, "fault");
	genl_talk(world_genl(), &request, false, NULL, NULL);
}

static int try_vdev_new(void)
{
	uint32_t id;

	return genl_vdev_create(world_genl(), "fault", world.device_name, MIB, 0, 0600, &id);
}

static void prepare_vdev(void)
{
	CHECK_ERR(try_vdev_new(), 0);
}

static int talk(uint8_t cmd, uint16_t name_attr, const char *name, bool dump)
{
	struct genl_request request;

	genl_begin(&request, cmd);
	if (name)
		genl_put_string(&request, name_attr, name);
	if (cmd == INFINI_CMD_VDEV_SET) {
		genl_put_u32(&request, INFINI_A_VDEV_WEIGHT, 200);
		genl_put_u64(&request, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 2 * MIB);
	}
	return genl_talk(world_genl(), &request, dump, NULL, NULL);
}

static int try_vdev_set(void)
{
	return talk(INFINI_CMD_VDEV_SET, INFINI_A_VDEV_NAME, "fault", false);
}

static int try_vdev_del(void)
{
	return talk(INFINI_CMD_VDEV_DEL, INFINI_A_VDEV_NAME, "fault", false);
}

static int try_vdev_get(void)
{
	return talk(INFINI_CMD_VDEV_GET, INFINI_A_VDEV_NAME, world.vdev_name, false);
}

static int try_vdev_list(void)
{
	return talk(INFINI_CMD_VDEV_GET, 0, NULL, true);
}

static int try_device_get(void)
{
	return talk(INFINI_CMD_DEVICE_GET, INFINI_A_DEVICE_NAME, world.device_name, false);
}

static int try_device_list(void)
{
	return talk(INFINI_CMD_DEVICE_GET, 0, NULL, true);
}

/* @run is what may fail; before and after it nothing does. */
static const struct {
	const char *name;
	int (*run)(void);
	void (*prepare)(void);
	void (*undo)(void);
} tries[] = {
	{ .name = "QUERY", .run = try_query },
	{ .name = "VDEV_OPEN", .run = try_vdev_open },
	{ .name = "opening a node", .run = try_node_open },
	{ .name = "DEVICE_REGISTER", .run = try_register },
	{ .name = "VDEV_INFO", .run = try_info },
	{ .name = "VDEV_STATS", .run = try_stats },
	{ .name = "QUEUE_CREATE", .run = try_queue },
	{ .name = "QUEUE_CREATE, eventfd", .run = try_eventfd },
	{ .name = "QUEUE_DESTROY", .run = try_queue_destroy,
	  .prepare = prepare_queue, .undo = undo_queue },
	{ .name = "BUFFER_CREATE, shared", .run = try_shared },
	{ .name = "BUFFER_CREATE, unified", .run = try_unified },
	{ .name = "BUFFER_CREATE, the executor's", .run = try_held },
	{ .name = "BUFFER_DESTROY", .run = try_buffer_destroy,
	  .prepare = prepare_buffer, .undo = undo_buffer },
	{ .name = "PROGRAM_CREATE", .run = try_program },
	{ .name = "PROGRAM_DESTROY", .run = try_program_destroy,
	  .prepare = prepare_program, .undo = undo_program },
	{ .name = "SUBMIT", .run = try_submit },
	{ .name = "WAIT", .run = try_wait },
	{ .name = "read", .run = try_read, .prepare = prepare_read },
	{ .name = "poll", .run = try_poll },
	{ .name = "fdinfo", .run = try_fdinfo },
	{ .name = "mmap, buffer", .run = try_buffer_map,
	  .prepare = prepare_buffer, .undo = undo_buffer },
	{ .name = "mmap, timeline", .run = try_timeline_map,
	  .prepare = prepare_timeline, .undo = undo_timeline },
	{ .name = "EXECUTOR_CREATE", .run = try_executor_create,
	  .prepare = prepare_nothing_attached, .undo = undo_executor },
	{ .name = "EXECUTOR_ATTACH", .run = try_attach,
	  .prepare = prepare_executor, .undo = undo_executor },
	{ .name = "EXCHANGE", .run = try_exchange, .prepare = prepare_job, .undo = undo_job },
	{ .name = "PROGRAM_READ", .run = try_program_read,
	  .prepare = prepare_taken, .undo = undo_job },
	{ .name = "END_REASON", .run = try_end_reason, .prepare = prepare_attached,
	  .undo = undo_executor },
	{ .name = "mmap, yield word", .run = try_yield_map,
	  .prepare = prepare_attached, .undo = undo_yield_map },
	{ .name = "mmap, executor's", .run = try_executor_map,
	  .prepare = prepare_taken, .undo = undo_job },
	{ .name = "DEVICE_GET", .run = try_device_get },
	{ .name = "DEVICE_GET, all", .run = try_device_list },
	{ .name = "VDEV_GET", .run = try_vdev_get },
	{ .name = "VDEV_GET, all", .run = try_vdev_list },
	{ .name = "VDEV_NEW", .run = try_vdev_new, .undo = forget_vdev },
	{ .name = "VDEV_SET", .run = try_vdev_set, .prepare = prepare_vdev, .undo = forget_vdev },
	{ .name = "VDEV_DEL", .run = try_vdev_del, .prepare = prepare_vdev, .undo = forget_vdev },
};

static bool expected(int err)
{
	return err == -ENOMEM || err == -EFAULT || err == -ENOBUFS;
}

/* Nothing of the second vdev, and of the first what the test itself has. */
static bool at_rest(void)
{
	struct genl_list list;
	uint32_t i;

	CHECK_ERR(genl_vdevs(world_genl(), &list), 0);
	CHECK_EQ(list.nr, 2);
	for (i = 0; i < list.nr; i++) {
		const struct genl_vdev *vdev = &list.vdevs[i];
		bool second = vdev->id == other.vdev;

		/* The queue on which memory was asked for stays. */
		if (vdev->clients != !second || vdev->queues > (second ? 0 : 2) || vdev->buffers ||
		    vdev->programs || (second && vdev->memory_used_bytes) ||
		    (second && vdev->executor > INFINI_EXECUTOR_WANTED))
			return false;
	}
	return true;
}

/* How many places failed, by what the caller was told. */
struct places {
	unsigned int memory, copies, unnoticed;
};

/* One try in which the @nth place fails; false when there is none so far behind. */
static bool fail_once(size_t i, int nth, struct places *places, int *err)
{
	bool failed;

	if (tries[i].prepare)
		tries[i].prepare();
	arm(nth);
	*err = tries[i].run();
	failed = disarm();
	if (tries[i].undo)
		tries[i].undo();
	if (!failed)
		return false;
	if (*err && !expected(*err))
		test_row_err(tries[i].name, *err, -ENOMEM);
	if (!*err)
		places->unnoticed++;
	else if (*err == -EFAULT)
		places->copies++;
	else
		places->memory++;
	return true;
}

static void fail_each(size_t i)
{
	struct infini_job nop = job_nop();
	struct places places = { 0 };
	int nth = 1, err, waited;

	while (nth < FAULTS_MAX && fail_once(i, nth, &places, &err))
		nth++;
	test_row_err(tries[i].name, err, 0);
	test_row(tries[i].name, nth > 1 && nth < FAULTS_MAX, 1);
	/* Creations that could not be answered were given back. */
	for (waited = 0; !at_rest() && waited < 500; waited++)
		test_sleep_ms(10);
	if (!at_rest())
		test_fail(__FILE__, __LINE__, "%s left something", tries[i].name);
	CHECK_ERR(submit_wait(world.client, queue, &nop, NULL), 0);
	printf("# %-30s %3d places failed: %u allocations, %u copies, %u without harm\n",
	       tries[i].name, nth - 1, places.memory, places.copies, places.unnoticed);
}

static void every_fault(void)
{
	static struct genl events;
	size_t i;

	faults_prepare();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	other = world;
	other.vdev = world_vdev("other", world.device_name, 16 * MIB, 0600);
	other.payload = mmap(NULL, 4 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			     -1, 0);
	CHECK(other.payload != MAP_FAILED);
	/* Somebody listens, so events are made, and can fail to be. */
	CHECK_ERR(genl_open(&events), 0);
	CHECK_ERR(genl_join(&events), 0);
	for (i = 0; i < ARRAY_SIZE(tries); i++)
		fail_each(i);
	genl_close(&events);
}

static int change_weight(uint32_t weight)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, world.vdev);
	genl_put_u32(&request, INFINI_A_VDEV_WEIGHT, weight);
	return genl_talk(world_genl(), &request, false, NULL, NULL);
}

/* Who waits for events lists everything after ENOBUFS, and does nothing after silence. */
static void lost_event(void)
{
	struct genl events;
	uint32_t type, vdev, pid;
	int nth, err, got, lost = 0;
	bool struck = true;

	faults_prepare();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	world_genl();
	CHECK_ERR(genl_open(&events), 0);
	CHECK_ERR(genl_join(&events), 0);
	for (nth = 1; struck && nth < FAULTS_MAX; nth++) {
		arm(nth);
		err = change_weight(nth % 2 + 1);
		struck = disarm();
		got = genl_event(&events, &type, &vdev, &pid);
		if (!err && got && got != -ENOBUFS)
			test_fail(__FILE__, __LINE__, "allocation %d: no event, and no word of it", nth);
		lost += !err && got == -ENOBUFS;
	}
	CHECK(!struck);
	CHECK(lost > 0);
	genl_close(&events);
}

static const struct test tests[] = {
	{ "every allocation and copy fails once", every_fault },
	{ "an event that finds no memory is told as lost", lost_event },
};

TEST_MAIN(tests)
