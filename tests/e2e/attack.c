// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a tenant may try from his container: one attack, by its name, and what became of each of its
 * steps, a line each: "STEP: let" or "STEP: ERRNO". attacks.py says what should.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include <infini.h>
#include <infini/null.h>

#define MIB	(1UL << 20)
#define GUESSES	4096

static void step(const char *name, int err)
{
	printf("%s: %s\n", name, err ? strerrorname_np(err < 0 ? -err : err) : "let");
}

static int error_of(long ret)
{
	return ret < 0 ? errno : 0;
}

/* ---- what is not his ---- */

static void open_path(char **args)
{
	step("open", error_of(open(args[0], O_RDWR | O_CLOEXEC)));
}

static void make_node(char **args)
{
	dev_t device = makedev(atoi(args[0]), atoi(args[1]));

	if (mknod("/tmp/node", S_IFCHR | 0666, device)) {
		step("mknod", errno);
		return;
	}
	step("open", error_of(open("/tmp/node", O_RDWR | O_CLOEXEC)));
	unlink("/tmp/node");
}

static void open_by_name(char **args)
{
	int fd = infini_open(NULL), client = infini_vdev_open(fd, args[0], 0);

	step("open", client < 0 ? client : 0);
	client = infini_vdev_open(fd, "no-such-vdev", 0);
	step("open none", client < 0 ? client : 0);
}

static void register_device(char **args)
{
	struct infini_device_register reg = { .device_class = INFINI_CLASS_CPU };
	int fd = infini_open(NULL);

	(void)args;
	step("register", infini_device_register(fd, &reg));
}

static void look_at_process(char **args)
{
	static const char *const files[] = { "mem", "environ", "fd", "maps", "root" };
	char path[64];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%s/%s", args[0], files[i]);
		step(files[i], error_of(open(path, O_RDONLY | O_CLOEXEC)));
	}
	step("ptrace", error_of(ptrace(PTRACE_ATTACH, atoi(args[0]), NULL, NULL)));
}

static void send_signals(char **args)
{
	for (; *args; args++) {
		step("SIGKILL", error_of(kill(atoi(*args), SIGKILL)));
		step("SIGSTOP", error_of(kill(atoi(*args), SIGSTOP)));
	}
}

static void read_files(char **args)
{
	for (; *args; args++)
		step(*args, error_of(open(*args, O_RDONLY | O_CLOEXEC)));
}

static void connect_to(char **args)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(to.sun_path, sizeof(to.sun_path), "%s", args[0]);
	step("connect", error_of(connect(fd, (struct sockaddr *)&to, sizeof(to))));
}

static void plant_link(char **args)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/infini.dev-vdev.json.new", args[0]);
	step("symlink", error_of(symlink("/etc/shadow", path)));
	snprintf(path, sizeof(path), "%s/infini.dev-vdev.json", args[0]);
	step("remove", error_of(unlink(path)));
	step("write", error_of(open(path, O_WRONLY | O_CLOEXEC)));
}

/* ---- what is wrong ---- */

static int own_client(void)
{
	int fd = infini_client_open(NULL, NULL);

	if (fd >= 0)
		return fd;
	step("its own vdev", fd);
	exit(1);
}

static void executor_calls(char **args)
{
	struct infini_executor_attach attach = { .size = sizeof(attach), .window = 1 };
	struct infini_executor_create create = { .size = sizeof(create), .vdev_id = 1 };
	struct infini_exchange exchange = { .size = sizeof(exchange), .nr_results = 1 };
	struct infini_program_read read = { .size = sizeof(read), .program = 1 };
	int fd = own_client();

	(void)args;
	attach.protocol = INFINI_PROTOCOL_VERSION;
	step("create", error_of(ioctl(fd, INFINI_IOC_EXECUTOR_CREATE, &create)));
	step("attach", error_of(ioctl(fd, INFINI_IOC_EXECUTOR_ATTACH, &attach)));
	step("exchange", error_of(ioctl(fd, INFINI_IOC_EXCHANGE, &exchange)));
	step("program read", error_of(ioctl(fd, INFINI_IOC_PROGRAM_READ, &read)));
}

/* 0 as soon as one guess is taken. */
static int guess(int fd, int (*one)(int fd, uint32_t handle))
{
	int err = 0;

	for (uint32_t handle = 1; handle < GUESSES; handle++) {
		err = one(fd, handle);
		if (!err)
			break;
	}
	return err;
}

static uint32_t own_queue(int fd)
{
	struct infini_queue_create queue = { .depth = 4 };
	int err = infini_queue_create(fd, &queue);

	if (err) {
		step("its own queue", err);
		exit(1);
	}
	return queue.handle;
}

static uint32_t queue_of_copies;

static int submit_one(int fd, uint32_t queue, const struct infini_job *job, int *status)
{
	struct infini_submit submit = {
		.flags = status ? INFINI_SUBMIT_F_WAIT : 0,
		.queue = queue,
		.nr_jobs = 1,
		.jobs = (uintptr_t)job,
		.jobs_stride = sizeof(*job),
		.deadline_ns = status ? INFINI_FOREVER : 0,
	};
	int err = infini_submit(fd, &submit);

	if (!err && status)
		*status = submit.status;
	return err;
}

static int guess_copy(int fd, uint32_t handle)
{
	const struct infini_job job = {
		.op = INFINI_OP_FILL, .dst = handle, .bytes = 64,
	};

	return submit_one(fd, queue_of_copies, &job, NULL);
}

static int guess_program(int fd, uint32_t handle)
{
	const struct infini_job job = { .op = INFINI_OP_PROGRAM, .program = handle };

	return submit_one(fd, queue_of_copies, &job, NULL);
}

static int guess_map(int fd, uint32_t handle)
{
	void *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, (off_t)handle << 12);

	return page == MAP_FAILED ? errno : 0;
}

static void guess_handles(char **args)
{
	int fd = own_client();

	(void)args;
	step("buffer", guess(fd, infini_buffer_destroy));
	step("program", guess(fd, infini_program_destroy));
	step("queue", guess(fd, infini_queue_destroy));
	step("map", guess(fd, guess_map));
	queue_of_copies = own_queue(fd);
	step("fill", guess(fd, guess_copy));
	step("run", guess(fd, guess_program));
}

static void map_beyond(char **args)
{
	struct infini_buffer_create buffer = { .type = INFINI_BUFFER_SHARED, .bytes = MIB };
	struct infini_queue_create queue = { .depth = 1 };
	const struct infini_timeline *timeline;
	int fd = own_client();
	void *at;

	(void)args;
	infini_buffer_create(fd, &buffer);
	infini_queue_create(fd, &queue);
	step("beyond its end", infini_buffer_map(fd, buffer.map_offset, 2 * MIB, &at));
	step("far beyond", infini_buffer_map(fd, buffer.map_offset, 1UL << 46, &at));
	step("behind it", infini_buffer_map(fd, buffer.map_offset + MIB, MIB, &at));
	step("the timeline, to write", infini_buffer_map(fd, queue.map_offset, 4096, &at));
	step("the timeline", infini_timeline_map(fd, queue.map_offset, &timeline));
	step("write there after all", error_of(mprotect((void *)timeline, 4096,
							PROT_READ | PROT_WRITE)));
	step("its own buffer", infini_buffer_map(fd, buffer.map_offset, MIB, &at));
	step("grow", mremap(at, MIB, 2 * MIB, MREMAP_MAYMOVE) == MAP_FAILED ? errno : 0);
}

static void submit_nonsense(char **args)
{
	struct infini_job job = { .op = INFINI_OP_NOP };
	struct infini_submit submit = {
		.nr_jobs = 1, .jobs = (uintptr_t)&job, .jobs_stride = sizeof(job),
	};
	struct infini_submit wrong;
	int fd = own_client();

	(void)args;
	submit.queue = own_queue(fd);
	wrong = submit;
	wrong.nr_jobs = UINT32_MAX;
	step("a giant batch", infini_submit(fd, &wrong));
	wrong = submit;
	wrong.jobs = 0xffffffff81000000;
	step("the kernel's memory as a job", infini_submit(fd, &wrong));
	wrong = submit;
	wrong.jobs = UINTPTR_MAX - 8;
	step("a job around the end of memory", infini_submit(fd, &wrong));
	wrong = submit;
	wrong.jobs_stride = 1;
	step("jobs in each other", infini_submit(fd, &wrong));
	job.op = INFINI_OP_PROGRAM;
	job.nr_bindings = UINT32_MAX;
	step("countless bindings", infini_submit(fd, &submit));
	job.nr_bindings = 0;
	job.args_bytes = UINT32_MAX;
	step("endless arguments", infini_submit(fd, &submit));
	job = (struct infini_job){ .op = 0xffff };
	step("an operation that is none", infini_submit(fd, &submit));
}

/* ---- too much ---- */

static int take_all(int fd, int (*one)(int fd), unsigned int *count)
{
	int err = 0;

	for (*count = 0; !err && *count < 100000; (*count)++)
		err = one(fd);
	(*count)--;
	return err;
}

static int one_queue(int fd)
{
	struct infini_queue_create queue = { .depth = 1 };

	return infini_queue_create(fd, &queue);
}

static int one_buffer(int fd)
{
	struct infini_buffer_create buffer = { .type = INFINI_BUFFER_SHARED, .bytes = 4096 };

	return infini_buffer_create(fd, &buffer);
}

static int one_program(int fd)
{
	const struct infini_null_program code = { .magic = INFINI_NULL_MAGIC, .segments = 1 };
	uint32_t handle;

	return infini_program_create(fd, INFINI_FORMAT_NULL, &code, sizeof(code), &handle);
}

static void take_objects(char **args)
{
	unsigned int queues, buffers, programs;
	int fd = own_client();

	(void)args;
	step("queues", take_all(fd, one_queue, &queues));
	step("programs", take_all(fd, one_program, &programs));
	step("buffers", take_all(fd, one_buffer, &buffers));
	fprintf(stderr, "%u queues, %u programs, %u buffers\n", queues, programs, buffers);
}

static void take_memory(char **args)
{
	struct infini_buffer_create buffer = { .type = INFINI_BUFFER_SHARED };
	int err = 0, fd = own_client();

	(void)args;
	buffer.bytes = 1UL << 50;
	step("a giant buffer", infini_buffer_create(fd, &buffer));
	for (unsigned int i = 0; !err && i < 1000; i++) {
		buffer.bytes = MIB;
		err = infini_buffer_create(fd, &buffer);
	}
	step("one more", err);
}

static void open_often(char **args)
{
	const struct rlimit files = { 4096, 4096 };
	unsigned int count = 0;
	int fd;

	(void)args;
	setrlimit(RLIMIT_NOFILE, &files);
	do {
		fd = infini_client_open(NULL, NULL);
		count += fd >= 0;
	} while (fd >= 0 && count < 4000);
	step("one more", fd < 0 ? fd : 0);
	fprintf(stderr, "%u clients\n", count);
}

/* ---- work that means harm ---- */

static void run_program(const char *name, const void *code, size_t bytes, uint64_t timeout_ns)
{
	struct infini_job job = { .op = INFINI_OP_PROGRAM, .timeout_ns = timeout_ns };
	int status = 0, fd = own_client();
	uint32_t queue = own_queue(fd);
	int err = infini_program_create(fd, INFINI_FORMAT_NULL, code, bytes, &job.program);

	if (!err)
		err = submit_one(fd, queue, &job, &status);
	step(name, err ? err : status);
}

static void send_garbage(char **args)
{
	char garbage[sizeof(struct infini_null_program)];

	(void)args;
	/* What a log shows of it. */
	prctl(PR_SET_NAME, "\033[2J\nroot: \a");
	memset(garbage, 0x1b, sizeof(garbage));
	run_program("garbage", garbage, sizeof(garbage), 0);
}

static void crash_worker(char **args)
{
	const struct infini_null_program code = {
		.magic = INFINI_NULL_MAGIC, .flags = INFINI_NULL_F_CRASH, .segments = 1,
	};

	(void)args;
	run_program("crash", &code, sizeof(code), 0);
}

static void never_end(char **args)
{
	const struct infini_null_program code = {
		.magic = INFINI_NULL_MAGIC, .flags = INFINI_NULL_F_DEAF, .segments = 1000000,
		.segment_ns = INFINI_NULL_SEGMENT_NS_MAX,
	};

	(void)args;
	run_program("endless", &code, sizeof(code), 300000000);
}

/* What everybody may. */
static void work(char **args)
{
	const struct infini_null_program code = { .magic = INFINI_NULL_MAGIC, .segments = 1 };

	(void)args;
	run_program("work", &code, sizeof(code), 0);
}

static const struct {
	const char *name;
	void (*run)(char **args);
	int nr_args;
} attacks[] = {
	{ "open", open_path, 1 },
	{ "mknod", make_node, 2 },
	{ "name", open_by_name, 1 },
	{ "register", register_device, 0 },
	{ "process", look_at_process, 1 },
	{ "signals", send_signals, 1 },
	{ "files", read_files, 1 },
	{ "connect", connect_to, 1 },
	{ "link", plant_link, 1 },
	{ "executor", executor_calls, 0 },
	{ "handles", guess_handles, 0 },
	{ "map", map_beyond, 0 },
	{ "nonsense", submit_nonsense, 0 },
	{ "objects", take_objects, 0 },
	{ "memory", take_memory, 0 },
	{ "clients", open_often, 0 },
	{ "garbage", send_garbage, 0 },
	{ "crash", crash_worker, 0 },
	{ "endless", never_end, 0 },
	{ "work", work, 0 },
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		if (strcmp(argv[1], attacks[i].name) || argc - 2 < attacks[i].nr_args)
			continue;
		attacks[i].run(argv + 2);
		return 0;
	}
	fprintf(stderr, "usage: attack NAME [ARG...]\n");
	return 2;
}
