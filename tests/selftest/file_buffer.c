// SPDX-License-Identifier: GPL-2.0-or-later
/* FILE buffers: which files, which part of them, how an executor gets them, and that nobody writes. */
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "infini.h"
#include "world.h"

#define PAGE	4096

/* ---- files ---- */

static int reopened(int fd, int flags)
{
	char path[32];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, flags | O_CLOEXEC);
	CHECK(again >= 0);
	return again;
}

/* In memory; page @i is full of the byte 'a' + @i. */
static int writable_file(unsigned int pages)
{
	int fd = memfd_create("weights", MFD_CLOEXEC);
	char page[PAGE];
	unsigned int i;

	CHECK(fd >= 0);
	for (i = 0; i < pages; i++) {
		memset(page, 'a' + (int)i, sizeof(page));
		CHECK_EQ(pwrite(fd, page, sizeof(page), i * PAGE), PAGE);
	}
	return fd;
}

static int file_of(unsigned int pages)
{
	int fd = writable_file(pages), again = reopened(fd, O_RDONLY);

	close(fd);
	return again;
}

static int import(int client, int fd, uint64_t offset, uint64_t bytes, uint32_t *handle)
{
	struct infini_buffer_create create = {
		.type = INFINI_BUFFER_FILE, .bytes = bytes, .fd = fd, .file_offset = offset,
	};
	int err = infini_buffer_create(client, &create);

	if (!err)
		CHECK_EQ(create.map_offset, 0);
	if (handle)
		*handle = create.handle;
	return err;
}

static uint32_t import_one(int client, int fd, uint64_t offset, uint64_t bytes)
{
	uint32_t handle;

	CHECK_ERR(import(client, fd, offset, bytes, &handle), 0);
	return handle;
}

/* ---- tests ---- */

static void buffer_undo(int fd, void *arg)
{
	const struct infini_buffer_create *create = arg;

	destroy(fd, INFINI_IOC_BUFFER_DESTROY, create->handle);
}

static void contract(void)
{
	struct infini_buffer_create valid = {
		.size = sizeof(valid), .type = INFINI_BUFFER_FILE, .bytes = 2 * PAGE,
	};
	const struct command command = {
		"BUFFER_CREATE of FILE", INFINI_IOC_BUFFER_CREATE, &valid, sizeof(valid),
		offsetof(struct infini_buffer_create, file_offset), 0, buffer_undo
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_buffer_create, kind, WORLD_KIND_HELD, -EOPNOTSUPP),
		WRONG(infini_buffer_create, kind, WORLD_KIND_SMALL, -EOPNOTSUPP),
		WRONG(infini_buffer_create, kind, WORLD_KINDS, -EINVAL),
		WRONG(infini_buffer_create, fd, -1, -EBADF),
		WRONG(infini_buffer_create, fd, 100000, -EBADF),
		WRONG(infini_buffer_create, bytes, 0, -EINVAL),
		WRONG(infini_buffer_create, bytes, 1, 0),
		WRONG(infini_buffer_create, bytes, 3 * PAGE, 0),
		WRONG(infini_buffer_create, bytes, 3 * PAGE + 1, -EINVAL),
		WRONG(infini_buffer_create, bytes, 1ULL << 40, -ENOSPC),
		WRONG(infini_buffer_create, bytes, UINT64_MAX, -ENOSPC),
		WRONG(infini_buffer_create, file_offset, PAGE, 0),
		WRONG(infini_buffer_create, file_offset, 2 * PAGE, -EINVAL),
		WRONG(infini_buffer_create, file_offset, 1, -EINVAL),
		WRONG(infini_buffer_create, file_offset, 1ULL << 63, -EINVAL),
		WRONG(infini_buffer_create, file_offset, UINT64_MAX - 4095, -EINVAL),
	};
	struct infini_vdev_stats stats;
	struct world world;

	world_make(&world, &(struct setup){ 0 });
	valid.fd = file_of(3);
	test_command(world.client, &command);
	test_wrong_fields(world.client, &command, wrong, ARRAY_SIZE(wrong));
	stats_get(world.client, &stats);
	CHECK_EQ(stats.buffers, 0);
	CHECK_EQ(stats.file_bytes, 0);
}

static int pipe_end(void)
{
	int fds[2];

	CHECK_EQ(pipe(fds), 0);
	return fds[0];
}

static int closed(void)
{
	/* A number that no later row gets. */
	int fd = fcntl(file_of(1), F_DUPFD, 500);

	close(fd);
	return fd;
}

static void kinds_of_file(void)
{
	struct world world;
	int file, deleted;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	file = writable_file(1);
	deleted = open("/tmp", O_TMPFILE | O_RDWR, 0600);
	CHECK(deleted >= 0);
	CHECK_EQ(ftruncate(deleted, PAGE), 0);
	{
		const struct {
			const char *name;
			int fd;
			int want;
		} rows[] = {
			{ "open for reading", reopened(file, O_RDONLY), 0 },
			{ "without a name any more", reopened(deleted, O_RDONLY), 0 },
			{ "open for reading and writing", file, -EACCES },
			{ "open for writing", reopened(file, O_WRONLY), -EACCES },
			{ "O_PATH", reopened(file, O_PATH), -EBADF },
			{ "closed", closed(), -EBADF },
			{ "a directory", open("/", O_RDONLY), -EINVAL },
			{ "a pipe", pipe_end(), -EINVAL },
			{ "a socket", socket(AF_UNIX, SOCK_STREAM, 0), -EINVAL },
			{ "an eventfd", eventfd(0, 0), -EINVAL },
			{ "a character device", open("/dev/zero", O_RDONLY), -EINVAL },
			{ "a vdev", world.client, -EINVAL },
			{ "an executor", world.executor, -EINVAL },
			{ "of procfs", open("/proc/self/status", O_RDONLY), -EOPNOTSUPP },
			{ "of sysfs", open("/sys/kernel/notes", O_RDONLY), -EOPNOTSUPP },
		};
		size_t i;

		for (i = 0; i < ARRAY_SIZE(rows); i++)
			test_row_err(rows[i].name, import(world.client, rows[i].fd, 0, PAGE, NULL),
				     rows[i].want);
	}
}

/* What is behind the handle, by an executor that maps it. */
static void expect_contents(struct world *world, uint32_t queue, uint32_t buffer, const char *want,
			    uint32_t bytes)
{
	struct infini_job job;
	uint32_t shared;
	uint8_t *at;

	shared = buffer_make_mapped(world->client, bytes, &at);
	job = job_copy(shared, 0, buffer, 0, bytes);
	CHECK_ERR(submit_wait(world->client, queue, &job, NULL), 0);
	CHECK(!memcmp(at, want, bytes));
	CHECK_EQ(munmap(at, (bytes + PAGE - 1) / PAGE * PAGE), 0);
	CHECK_ERR(destroy(world->client, INFINI_IOC_BUFFER_DESTROY, shared), 0);
}

static void read_in_place(void)
{
	struct infini_vdev_stats before, stats;
	struct world world;
	uint32_t queue, buffer;
	int fd;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	fd = file_of(3);
	stats_get(world.client, &before);
	/* Rounded up to pages, and no memory of the vdev. */
	buffer = import_one(world.client, fd, PAGE, PAGE + 1);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.file_bytes, 2 * PAGE);
	CHECK_EQ(stats.buffers, before.buffers + 1);
	CHECK_EQ(stats.memory_used_bytes, before.memory_used_bytes);
	/* The handle holds the file by itself. */
	close(fd);
	expect_contents(&world, queue, buffer, "bbbb", 4);
	expect_contents(&world, queue, buffer, "bbbb", 4);
	CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, buffer), 0);
	AWAIT(world.fake->buffers_freed >= 1);
	AWAIT((stats_get(world.client, &stats), stats.file_bytes == 0));
}

/* On whatever the machine's programs are: an overlay, a server's, the host's. */
static void read_from_the_root(void)
{
	struct world world;
	uint32_t queue;
	int fd;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	expect_contents(&world, queue, import_one(world.client, fd, 0, PAGE), "\177ELF", 4);
}

static void never_written(void)
{
	struct infini_binding bindings[2] = { { .access = INFINI_ACCESS_READ },
					      { .access = INFINI_ACCESS_READ } };
	struct infini_job job, program;
	struct infini_output output = { .src_binding = 1, .bytes = 1 };
	uint32_t queue, file, shared, accepted;
	struct infini_input input = { .bytes = 1, .data = (uintptr_t)"x" };
	struct world world;
	uint64_t seqno;

	world_make(&world, &(struct setup){ 0 });
	queue = queue_make(world.client, 4);
	file = import_one(world.client, file_of(1), 0, PAGE);
	shared = buffer_make(world.client, INFINI_BUFFER_SHARED, 0, PAGE);
	bindings[0].buffer = file;
	bindings[1].buffer = shared;
	program = job_program(program_make(world.client, 0, 1, 0));
	program.bindings = (uintptr_t)bindings;
	program.nr_bindings = 2;

	job = job_fill(file, 0, 1, 7);
	CHECK_ERR(submit(world.client, queue, &job, 1, &accepted, &seqno), -EACCES);
	job = job_copy(file, 0, shared, 0, 1);
	CHECK_ERR(submit(world.client, queue, &job, 1, &accepted, &seqno), -EACCES);
	job = program;
	job.inputs = (uintptr_t)&input;
	job.nr_inputs = 1;
	CHECK_ERR(submit(world.client, queue, &job, 1, &accepted, &seqno), -EACCES);
	job = program;
	job.outputs = (uintptr_t)&output;
	job.nr_outputs = 1;
	CHECK_ERR(submit(world.client, queue, &job, 1, &accepted, &seqno), -EACCES);
	bindings[0].access |= INFINI_ACCESS_WRITE;
	CHECK_ERR(submit(world.client, queue, &program, 1, &accepted, &seqno), -EACCES);
	bindings[0].access = INFINI_ACCESS_READ;
	CHECK_ERR(submit(world.client, queue, &program, 1, &accepted, &seqno), 0);
}

static int receive_elsewhere(void *arg)
{
	uint64_t offset;

	return infini_buffer_receive(*(int *)arg, 1, &offset);
}

/* What the executor gets is a file of its own: no way to write, no position in common. */
static void received(void)
{
	struct infini_buffer_receive valid = { .size = sizeof(valid) };
	const struct wrong_field wrong[] = {
		WRONG(infini_buffer_receive, buffer, 0, -ENOENT),
		WRONG(infini_buffer_receive, buffer, 1000, -ENOENT),
		WRONG(infini_buffer_receive, buffer, 1 << 20, -EINVAL),
		WRONG(infini_buffer_receive, buffer, UINT64_MAX, -EINVAL),
		WRONG(infini_buffer_receive, pad, 1, -EINVAL),
	};
	const struct command command = {
		"BUFFER_RECEIVE", INFINI_IOC_BUFFER_RECEIVE, &valid, sizeof(valid), sizeof(valid),
		0, NULL
	};
	const struct infini_dispatch_binding *binding;
	struct infini_dispatch dispatch;
	struct infini_job job;
	uint32_t queue, file, shared;
	struct world world;
	uint64_t offset;
	int fd, own;
	char byte;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	fd = file_of(3);
	CHECK_EQ(lseek(fd, 5, SEEK_SET), 5);
	file = import_one(world.client, fd, PAGE, 2 * PAGE);
	shared = buffer_make(world.client, INFINI_BUFFER_SHARED, 0, PAGE);
	job = job_copy(shared, 0, file, 0, 1);
	submit_one(world.client, queue, &job);
	hand_take(&world, &dispatch);
	binding = (const void *)((const char *)world.payload + dispatch.bindings);
	CHECK_EQ(binding[1].type, INFINI_BUFFER_FILE);
	CHECK_EQ(binding[1].map_offset, 0);
	CHECK_EQ(binding[1].bytes, 2 * PAGE);
	CHECK_EQ(infini_buffer_receive(world.executor, binding[0].buffer, &offset), -EINVAL);

	own = infini_buffer_receive(world.executor, binding[1].buffer, &offset);
	CHECK(own >= 0);
	CHECK_EQ(offset, PAGE);
	CHECK_EQ(fcntl(own, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(fcntl(own, F_GETFL) & O_ACCMODE, O_RDONLY);
	CHECK_EQ(lseek(own, 0, SEEK_CUR), 0);
	CHECK_EQ(pread(own, &byte, 1, PAGE), 1);
	CHECK_EQ(byte, 'b');
	CHECK(pwrite(own, "x", 1, 0) < 0 && errno == EBADF);
	CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, own, 0) == MAP_FAILED);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 5);
	/* The mapping that other buffers are mapped by leads nowhere. */
	CHECK(infini_executor_map(world.executor, binding[1].buffer * PAGE, PAGE,
				  &(void *){ NULL }) == 0);
	valid.buffer = binding[1].buffer;
	test_command(world.executor, &command);
	test_wrong_fields(world.executor, &command, wrong, ARRAY_SIZE(wrong));
	CHECK_ERR(test_as_user(0, receive_elsewhere, &world.executor), -EPERM);
	CHECK_ERR(hand_give(&world, dispatch.dispatch, 0, 0), 0);
}

/* Neither the end of an executor nor that of a child with the descriptor takes the contents. */
static void outlives(void)
{
	struct infini_job job = job_nop();
	struct world world;
	uint32_t queue, buffer;
	int status, fd;
	pid_t pid;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	fd = file_of(1);
	buffer = import_one(world.client, fd, 0, PAGE);
	close(fd);
	expect_contents(&world, queue, buffer, "aaaa", 4);
	fflush(NULL);
	pid = fork();
	if (!pid)
		_exit(0);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	CHECK_EQ(kill(world.process, SIGKILL), 0);
	CHECK_EQ(waitpid(world.process, &status, 0), world.process);
	world.process = world_executor_start(&world, world.vdev, 1, &world.fake);
	AWAIT(world.fake->generation == 2);
	expect_contents(&world, queue, buffer, "aaaa", 4);
}

/* Files without pages are large for nothing. */
static void limit(void)
{
	const uint64_t tib = 1ULL << 40;
	struct infini_query query = { 0 };
	struct infini_vdev_stats stats;
	struct world world;
	uint32_t first;
	int fd, large;

	world_make(&world, &(struct setup){ 0 });
	CHECK_ERR(infini_query(world.client, &query), 0);
	CHECK(query.features & INFINI_FEAT_FILE_BUFFER);
	CHECK_EQ(query.max_file_bytes, tib);
	fd = writable_file(0);
	CHECK_EQ(ftruncate(fd, (off_t)tib), 0);
	large = reopened(fd, O_RDONLY);
	first = import_one(world.client, large, 0, tib - PAGE);
	import_one(world.client, large, 0, PAGE);
	CHECK_ERR(import(world.client, large, 0, 1, NULL), -ENOSPC);
	CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, first), 0);
	CHECK_ERR(import(world.client, large, PAGE, 1, NULL), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.file_bytes, 2 * PAGE);
	CHECK_EQ(stats.memory_failed, 0);
}

/* ---- file systems that answer from user space, or may come to ---- */

/* What the kernel asks until a file is open. */
static void fuse_answer(int fd, const struct fuse_in_header *in)
{
	struct {
		struct fuse_out_header header;
		union {
			struct fuse_init_out init;
			struct fuse_entry_out entry;
			struct fuse_attr_out attr;
			struct fuse_open_out open;
		};
	} out = { .header = { .unique = in->unique } };
	const struct fuse_attr attr = {
		.ino = 2, .size = PAGE, .mode = S_IFREG | 0444, .nlink = 1,
	};
	size_t bytes = 0;

	switch (in->opcode) {
	case FUSE_INIT:
		out.init.major = FUSE_KERNEL_VERSION;
		out.init.minor = 26;
		out.init.max_write = PAGE;
		bytes = sizeof(out.init);
		break;
	case FUSE_LOOKUP:
		out.entry.nodeid = 2;
		out.entry.attr = attr;
		bytes = sizeof(out.entry);
		break;
	case FUSE_GETATTR:
		out.attr.attr = attr;
		if (in->nodeid == FUSE_ROOT_ID)
			out.attr.attr.mode = S_IFDIR | 0755;
		bytes = sizeof(out.attr);
		break;
	case FUSE_OPEN:
		bytes = sizeof(out.open);
		break;
	case FUSE_FORGET:
		return;
	default:
		out.header.error = -ENOSYS;
	}
	out.header.len = sizeof(out.header) + bytes;
	if (write(fd, &out, out.header.len) < 0)
		_exit(1);
}

static void fuse_serve(int fd)
{
	static uint64_t request[16384];

	while (read(fd, request, sizeof(request)) > 0)
		fuse_answer(fd, (const void *)request);
	_exit(0);
}

static void not_fuse(void)
{
	char dir[] = "/tmp/fuse-XXXXXX", path[64], options[96];
	struct world world;
	int server, fd;
	pid_t pid;

	test_need_root();
	server = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (server < 0 && (system("modprobe -q fuse") || (server = open("/dev/fuse", O_RDWR)) < 0))
		test_skip("this kernel has no FUSE");
	world_make(&world, &(struct setup){ 0 });
	CHECK(mkdtemp(dir));
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", server);
	CHECK_EQ(mount("test", dir, "fuse", MS_NODEV | MS_NOSUID, options), 0);
	fflush(NULL);
	pid = fork();
	if (!pid)
		fuse_serve(server);
	close(server);
	snprintf(path, sizeof(path), "%s/weights", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	test_row_err("a file of FUSE", import(world.client, fd, 0, PAGE, NULL), -EOPNOTSUPP);
	close(fd);
	umount2(dir, MNT_DETACH);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	rmdir(dir);
}

static int write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : close(fd);
}

/* Who has no ids of the mount's namespace makes no file there. */
static int map_root(void)
{
	return write_to("/proc/self/setgroups", "deny") ?:
	       write_to("/proc/self/uid_map", "0 0 1") ?: write_to("/proc/self/gid_map", "0 0 1");
}

/* Imports a file of its own mount of @type: 0, -errno, or 1 where no user may mount it. */
static int import_mounted(int client, const char *type)
{
	int fd;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) || map_root() || mount("test", "/tmp", type, 0, NULL))
		return 1;
	fd = open("/tmp/weights", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, PAGE))
		return 2;
	return import(client, reopened(fd, O_RDONLY), 0, PAGE, NULL);
}

static void mounted_by_a_user(void)
{
	static const struct {
		const char *type;
		int want;
	} rows[] = { { "ramfs", -EOPNOTSUPP }, { "tmpfs", 0 } };
	struct world world;
	int status;
	size_t i;
	pid_t pid;

	world_make(&world, &(struct setup){ 0 });
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		fflush(NULL);
		pid = fork();
		if (!pid)
			_exit(abs(import_mounted(world.client, rows[i].type)));
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
			test_skip("users mount no %s here", rows[i].type);
		test_row(rows[i].type, WIFEXITED(status) ? -WEXITSTATUS(status) : 1, rows[i].want);
	}
}

static const struct test tests[] = {
	{ "fields, sizes and the part of a file", contract },
	{ "which descriptors may stand behind a buffer", kinds_of_file },
	{ "read in place, and no memory of the vdev", read_in_place },
	{ "a file of the machine's root", read_from_the_root },
	{ "nobody writes to one", never_written },
	{ "what the executor receives", received },
	{ "outlives descriptors, children and executors", outlives },
	{ "how much of files one vdev may have", limit },
	{ "a file system in user space is refused", not_fuse },
	{ "what a user has mounted is refused, unless it is memory", mounted_by_a_user },
};

TEST_MAIN(tests)
