// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client: two threads that share open vdevs, queues, buffers, programs and mappings, and pull them
 * from under each other. What is taken out of a table to be destroyed is taken by one thread alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <infini/null.h>
#include <linux/infini.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actor.h"

#define FILES		4
#define QUEUES		6
#define BUFFERS		12
#define PROGRAMS	6
#define MAPS		16
#define MAP_MAX		(2 << 20)	/* bytes of one */
#define JOBS		8
#define LISTS		8
#define ARGS		16384

struct object {
	_Atomic uint32_t handle;
	_Atomic uint64_t offset;	/* for mmap */
	_Atomic uint64_t bytes;
	_Atomic uint64_t seqno;		/* of a queue, the last that was handed out */
	_Atomic bool is_file;		/* a buffer that can only be read */
};

static struct file {
	_Atomic int fd;			/* 0 for none */
	struct object queues[QUEUES];
	struct object buffers[BUFFERS];
	struct object programs[PROGRAMS];
} files[FILES];

/*
 * Mappings of whole pages: the address, and in the bits below a page how many there are. One word,
 * or a thread could take an address with the length of what the other has just put in its place, and
 * unmap what is not its own.
 */
static _Atomic uintptr_t maps[MAPS];
_Static_assert(MAP_MAX / PAGE < PAGE, "a mapping's pages are counted in the bits below one");

static struct {
	unsigned int index, turn;
} who;

static int control, event;
static pthread_t threads[2];
static uint8_t args[ARGS];

/* Mostly one that is open. */
static struct file *any_file(void)
{
	unsigned int tries = 6;
	struct file *file;

	do {
		file = &files[random_below(FILES)];
	} while (file->fd <= 0 && --tries);
	return file;
}

/* Mostly one of those that there are. */
static struct object *any_object(struct object *objects, unsigned int nr)
{
	unsigned int tries = 6;
	struct object *object;

	do {
		object = &objects[random_below(nr)];
	} while (!object->handle && --tries);
	return object;
}

static uint32_t any_handle(struct object *objects, unsigned int nr)
{
	return one_in(64) ? random_odd() : any_object(objects, nr)->handle;
}

/* ---- vdevs ---- */

static void file_forget(struct file *file)
{
	int fd = atomic_exchange(&file->fd, 0);

	if (fd > 0)
		CALL(CALL_CLOSE, close(fd));
	memset(file->queues, 0, sizeof(file->queues));
	memset(file->buffers, 0, sizeof(file->buffers));
	memset(file->programs, 0, sizeof(file->programs));
}

static int open_by_name(void)
{
	struct infini_vdev_open arg = { .id = shared->vdevs[random_below(VDEVS)] };

	if (one_in(2))
		snprintf((char *)arg.name, sizeof(arg.name), "v%u", random_below(VDEVS));
	return call_ioctl(CALL_VDEV_OPEN, control, INFINI_IOC_VDEV_OPEN, &arg, sizeof(arg)) ?
	       -1 : arg.fd;
}

static int open_node(void)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/infini%u", shared->vdevs[random_below(VDEVS)]);
	return CALL(CALL_NODE_OPEN, open(path, (one_in(8) ? O_RDONLY : O_RDWR) | O_CLOEXEC |
						 (one_in(2) ? O_NONBLOCK : 0)));
}

static void do_open(void)
{
	struct file *file = &files[random_below(FILES)];
	int fd = one_in(3) ? open_node() : open_by_name(), none = 0;

	if (fd <= 0)
		return;
	file_forget(file);
	if (!atomic_compare_exchange_strong(&file->fd, &none, fd))
		close(fd);
}

static void do_close(void)
{
	file_forget(any_file());
}

static void do_query(void)
{
	struct infini_query arg = { 0 };

	call_ioctl(CALL_QUERY, one_in(4) ? control : any_file()->fd, INFINI_IOC_QUERY, &arg,
		   sizeof(arg));
}

static void do_info(void)
{
	struct infini_memory_kind kinds[4];
	struct infini_vdev_info arg = {
		.kinds = (uintptr_t)kinds, .kinds_capacity = random_below(5),
		.kinds_stride = sizeof(kinds[0]),
	};

	call_ioctl(CALL_VDEV_INFO, any_file()->fd, INFINI_IOC_VDEV_INFO, &arg, sizeof(arg));
}

static void do_stats(void)
{
	static _Thread_local uint64_t hist[INFINI_HIST_BUCKETS];
	struct infini_vdev_stats arg = { .queue_wait_hist = one_in(2) ? (uintptr_t)hist : 0 };

	memset(hist, 0, sizeof(hist));
	call_ioctl(CALL_VDEV_STATS, any_file()->fd, INFINI_IOC_VDEV_STATS, &arg, sizeof(arg));
}

/* ---- objects ---- */

static void destroy(struct file *file, struct object *object, enum call call, unsigned long nr)
{
	struct infini_handle arg = { .handle = atomic_exchange(&object->handle, 0) };

	if (arg.handle || one_in(8))
		call_ioctl(call, file->fd, nr, &arg, sizeof(arg));
}

static void queue_create(struct file *file)
{
	struct object *object = &file->queues[random_below(QUEUES)];
	struct infini_queue_create arg = {
		.depth = one_in(4) ? 1 + random_below(64) : 1 + random_below(8),
		.weight = one_in(2) ? 0 : 1 + random_below(10000),
	};

	if (one_in(4)) {
		arg.flags = INFINI_QUEUE_F_EVENTFD;
		arg.eventfd = one_in(16) ? control : event;
	}
	destroy(file, object, CALL_QUEUE_DESTROY, INFINI_IOC_QUEUE_DESTROY);
	if (call_ioctl(CALL_QUEUE_CREATE, file->fd, INFINI_IOC_QUEUE_CREATE, &arg, sizeof(arg)))
		return;
	object->seqno = 0;
	object->offset = arg.map_offset;
	object->handle = arg.handle;
}

static void do_queue_create(void)
{
	queue_create(any_file());
}

/* Of this program, for reading: it is there in every machine and longer than what is asked for. */
static int weights_fd(void)
{
	static _Thread_local int fd = -1;

	if (fd < 0)
		fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	return fd;
}

static void buffer_create(struct file *file)
{
	struct object *object = &file->buffers[random_below(BUFFERS)];
	struct infini_buffer_create arg = {
		.type = one_in(2),
		.bytes = one_in(16) ? random_odd() :
			 1 + random_below(one_in(8) ? 1 << 20 : 4 * PAGE),
	};

	if (arg.type == INFINI_BUFFER_DEVICE)
		arg.kind = random_below(3);
	if (one_in(3)) {
		arg.type = INFINI_BUFFER_FILE;
		arg.fd = one_in(16) ? file->fd : weights_fd();
		arg.kind = one_in(16) ? random_below(3) : 0;
		arg.file_offset = one_in(4) ? random_below(8) * PAGE : 0;
	}
	destroy(file, object, CALL_BUFFER_DESTROY, INFINI_IOC_BUFFER_DESTROY);
	if (call_ioctl(CALL_BUFFER_CREATE, file->fd, INFINI_IOC_BUFFER_CREATE, &arg, sizeof(arg)))
		return;
	object->bytes = arg.bytes;
	object->offset = arg.map_offset;
	object->is_file = arg.type == INFINI_BUFFER_FILE;
	object->handle = arg.handle;
}

static void do_buffer_create(void)
{
	buffer_create(any_file());
}

static void program_create(struct file *file)
{
	struct object *object = &file->programs[random_below(PROGRAMS)];
	struct infini_program_create arg = {
		.format = one_in(16) ? random_odd() : INFINI_FORMAT_NULL,
		.data = (uintptr_t)args,
		.bytes = one_in(8) ? 1 + random_below(ARGS) : sizeof(struct infini_null_program),
	};

	destroy(file, object, CALL_PROGRAM_DESTROY, INFINI_IOC_PROGRAM_DESTROY);
	if (call_ioctl(CALL_PROGRAM_CREATE, file->fd, INFINI_IOC_PROGRAM_CREATE, &arg, sizeof(arg)))
		return;
	object->bytes = arg.bytes;
	object->handle = arg.handle;
}

static void do_program_create(void)
{
	program_create(any_file());
}

static void do_queue_destroy(void)
{
	struct file *file = any_file();

	destroy(file, any_object(file->queues, QUEUES), CALL_QUEUE_DESTROY,
		INFINI_IOC_QUEUE_DESTROY);
}

static void do_buffer_destroy(void)
{
	struct file *file = any_file();

	destroy(file, any_object(file->buffers, BUFFERS), CALL_BUFFER_DESTROY,
		INFINI_IOC_BUFFER_DESTROY);
}

static void do_program_destroy(void)
{
	struct file *file = any_file();

	destroy(file, any_object(file->programs, PROGRAMS), CALL_PROGRAM_DESTROY,
		INFINI_IOC_PROGRAM_DESTROY);
}

/* ---- jobs ---- */

/* What the jobs of one SUBMIT point to. */
struct batch {
	struct infini_job jobs[JOBS];
	struct infini_binding bindings[JOBS][LISTS];
	struct infini_input inputs[JOBS][LISTS];
	struct infini_output outputs[JOBS][LISTS];
	uint64_t sizes[LISTS];
};

/* A range inside @bytes, as a rule. */
static void any_range(uint64_t bytes, uint64_t *offset, uint64_t *length)
{
	*offset = one_in(32) ? random_odd() : random_below(bytes ? bytes : 1);
	*length = one_in(32) ? random_odd() : random_below(bytes > *offset ? bytes - *offset : 1);
}

static void job_lists(struct file *file, struct batch *batch, unsigned int index)
{
	struct infini_job *job = &batch->jobs[index];
	struct infini_binding *bindings = batch->bindings[index];
	uint64_t length;
	uint32_t i;

	job->nr_bindings = random_below(4);
	for (i = 0; i < job->nr_bindings; i++) {
		struct object *buffer = any_object(file->buffers, BUFFERS);

		if (!buffer->handle && !one_in(32)) {
			job->nr_bindings = i;
			break;
		}
		bindings[i] = (struct infini_binding){
			buffer->handle,
			buffer->is_file && !one_in(8) ? INFINI_ACCESS_READ : 1 + random_below(3),
		};
		batch->sizes[i] = buffer->bytes;
	}
	if (job->nr_bindings && one_in(2))
		job->nr_inputs = random_below(3);
	for (i = 0; i < job->nr_inputs; i++) {
		struct infini_input *input = &batch->inputs[index][i];

		input->binding = random_below(job->nr_bindings);
		any_range(batch->sizes[input->binding], (uint64_t *)&input->offset, &length);
		input->bytes = length % 512;
		input->data = (uintptr_t)args;
	}
	if (job->nr_bindings && one_in(2))
		job->nr_outputs = random_below(3);
	for (i = 0; i < job->nr_outputs; i++) {
		struct infini_output *output = &batch->outputs[index][i];
		uint64_t small;

		output->src_binding = random_below(job->nr_bindings);
		output->dst_binding = random_below(job->nr_bindings);
		small = batch->sizes[output->src_binding] < batch->sizes[output->dst_binding] ?
			batch->sizes[output->src_binding] : batch->sizes[output->dst_binding];
		any_range(small, (uint64_t *)&output->src_offset, (uint64_t *)&output->bytes);
		output->dst_offset = output->src_offset;
	}
	job->bindings = (uintptr_t)bindings;
	job->inputs = (uintptr_t)batch->inputs[index];
	job->outputs = (uintptr_t)batch->outputs[index];
	job->args = (uintptr_t)args;
	job->args_bytes = one_in(16) ? random_below(ARGS) : random_below(64);
}

static void job_plain(struct file *file, struct infini_job *job)
{
	struct object *dst = any_object(file->buffers, BUFFERS);
	struct object *src = any_object(file->buffers, BUFFERS);
	uint64_t bytes = dst->bytes;

	job->dst = dst->handle;
	if (job->op == INFINI_OP_COPY) {
		job->src = src->handle;
		bytes = src->bytes < bytes ? src->bytes : bytes;
	} else {
		job->value = random_below(256);
	}
	any_range(bytes, (uint64_t *)&job->dst_offset, (uint64_t *)&job->bytes);
	if (job->op == INFINI_OP_COPY)
		job->src_offset = job->dst_offset;
}

/* One that could be right with the objects that there are. */
static uint32_t any_op(struct file *file)
{
	uint32_t op = random_below(INFINI_OP_ASK + 1);

	if ((op == INFINI_OP_COPY || op == INFINI_OP_FILL) &&
	    !any_object(file->buffers, BUFFERS)->handle)
		return INFINI_OP_NOP;
	if (op == INFINI_OP_PROGRAM && !any_object(file->programs, PROGRAMS)->handle)
		return INFINI_OP_ASK;
	return op;
}

static void job_make(struct file *file, struct batch *batch, unsigned int index)
{
	struct infini_job *job = &batch->jobs[index];

	*job = (struct infini_job){
		.op = one_in(64) ? random_odd() : any_op(file),
		.tokens_evaluated = one_in(2) ? random_below(8) : 0,
		.tokens_generated = one_in(4) ? random_below(4) : 0,
		.timeout_ns = one_in(8) ? random_below(50000000) : 0,
		.request_id = random_below(4),
	};
	if (job->op == INFINI_OP_COPY || job->op == INFINI_OP_FILL) {
		job_plain(file, job);
	} else if (job->op == INFINI_OP_PROGRAM || job->op == INFINI_OP_ASK) {
		job_lists(file, batch, index);
		if (job->op == INFINI_OP_PROGRAM)
			job->program = any_handle(file->programs, PROGRAMS);
		else
			job->program_format = INFINI_FORMAT_NULL;
	}
	if (one_in(32))
		mangle(job, sizeof(*job));
	if (one_in(64))
		mangle(batch->bindings[index], sizeof(batch->bindings[index]));
	if (one_in(64))
		mangle(batch->inputs[index], sizeof(batch->inputs[index]));
	if (one_in(64))
		mangle(batch->outputs[index], sizeof(batch->outputs[index]));
}

static void do_submit(void)
{
	static _Thread_local struct batch batch;
	struct file *file = any_file();
	struct object *queue = any_object(file->queues, QUEUES);
	struct infini_submit arg = {
		.queue = one_in(64) ? random_odd() : queue->handle,
		.nr_jobs = one_in(2) ? 1 : 1 + random_below(JOBS),
		.jobs = (uintptr_t)batch.jobs,
		.jobs_stride = sizeof(batch.jobs[0]),
	};
	unsigned int i;

	if (!arg.queue && !one_in(32)) {
		queue_create(file);
		return;
	}
	for (i = 0; i < arg.nr_jobs; i++)
		job_make(file, &batch, i);
	if (one_in(2)) {
		arg.flags = INFINI_SUBMIT_F_WAIT;
		arg.deadline_ns = random_deadline();
	}
	if (one_in(16))
		arg.flags |= INFINI_SUBMIT_F_RATE_NOWAIT;
	call_ioctl(CALL_SUBMIT, file->fd, INFINI_IOC_SUBMIT, &arg, sizeof(arg));
	if (arg.accepted)
		queue->seqno = arg.last_seqno;
}

static void do_wait(void)
{
	struct file *file = any_file();
	struct object *queue = any_object(file->queues, QUEUES);
	struct infini_wait arg = {
		.queue = queue->handle,
		.seqno = queue->seqno,
		.deadline_ns = random_deadline(),
	};

	if (!arg.queue && !one_in(32))
		return;
	if (one_in(4))
		arg.seqno = random_below(queue->seqno + 2);
	call_ioctl(CALL_WAIT, file->fd, INFINI_IOC_WAIT, &arg, sizeof(arg));
}

static void do_read(void)
{
	struct file *file = any_file();
	struct pollfd poll_one = { .fd = file->fd, .events = POLLIN };
	uint8_t bytes[16];

	CALL(CALL_POLL, poll(&poll_one, 1, random_below(2)));
	/* A read without events would wait for ever where there is no other thread's job. */
	if (poll_one.revents & (POLLIN | POLLERR) || fcntl(file->fd, F_GETFL) & O_NONBLOCK)
		CALL(CALL_READ, read(file->fd, one_in(16) ? NULL : bytes, random_below(16)));
}

/* ---- mappings ---- */

static uintptr_t map_word(void *at, size_t bytes)
{
	return at ? (uintptr_t)at | bytes / PAGE : 0;
}

static void *map_at(uintptr_t word, size_t *bytes)
{
	*bytes = word % PAGE * PAGE;
	return (void *)(word - word % PAGE);
}

/* A mapping that nobody else has until it is put back. */
static uint8_t *map_take(unsigned int index, size_t *bytes)
{
	return map_at(atomic_exchange(&maps[index], 0), bytes);
}

static void map_put(unsigned int index, void *at, size_t bytes)
{
	uintptr_t none = 0;

	if (!atomic_compare_exchange_strong(&maps[index], &none, map_word(at, bytes)))
		munmap(at, bytes);
}

static void map_keep(void *at, size_t bytes)
{
	unsigned int index = random_below(MAPS);
	size_t old_bytes;
	uint8_t *old = map_take(index, &old_bytes);

	if (old)
		CALL(CALL_MUNMAP, munmap(old, old_bytes));
	map_put(index, at, bytes);
}

static void map_new(enum call call, int fd, uint64_t offset, size_t bytes, int prot)
{
	int flags = one_in(32) ? MAP_PRIVATE : MAP_SHARED;
	long at;

	call_begin(call);
	at = (long)mmap(NULL, bytes, prot, flags | (one_in(8) ? MAP_POPULATE : 0), fd, offset);
	call_end(call, at == -1 ? -errno : 0);
	if (at != -1)
		map_keep((void *)at, bytes);
}

static void do_mmap(void)
{
	struct file *file = any_file();
	struct object *buffer = any_object(file->buffers, BUFFERS);
	size_t bytes = (buffer->bytes + PAGE - 1) & -(size_t)PAGE;

	if (one_in(16))
		bytes = PAGE * (1 + random_below(64));
	if (bytes && bytes <= MAP_MAX)
		map_new(CALL_MMAP_BUFFER, file->fd,
			one_in(16) ? random_odd() & -(uint64_t)PAGE : buffer->offset, bytes,
			one_in(4) ? PROT_READ : PROT_READ | PROT_WRITE);
}

static void do_mmap_timeline(void)
{
	struct file *file = any_file();
	struct object *queue = any_object(file->queues, QUEUES);

	if (!queue->handle && !one_in(32))
		return;
	map_new(CALL_MMAP_TIMELINE, file->fd, queue->offset, one_in(16) ? 2 * PAGE : PAGE,
		one_in(16) ? PROT_READ | PROT_WRITE : PROT_READ);
}

static void do_touch(void)
{
	unsigned int index = random_below(MAPS);
	size_t bytes;
	uint8_t *at = map_take(index, &bytes);

	if (!at)
		return;
	touch(at, bytes, one_in(2));
	map_put(index, at, bytes);
}

static void do_munmap(void)
{
	unsigned int index = random_below(MAPS);
	size_t bytes, first;
	uint8_t *at = map_take(index, &bytes);

	if (!at)
		return;
	first = one_in(4) ? PAGE * random_below(bytes / PAGE) : 0;
	if (CALL(CALL_MUNMAP, munmap(at + first, bytes - first)) || first)
		map_put(index, at, first ? first : bytes);
}

static void do_mprotect(void)
{
	unsigned int index = random_below(MAPS);
	size_t bytes;
	uint8_t *at = map_take(index, &bytes);

	if (!at)
		return;
	CALL(CALL_MPROTECT, mprotect(at, one_in(2) ? PAGE : bytes,
				     random_below(4) | (one_in(8) ? PROT_EXEC : 0)));
	if (one_in(4))
		madvise(at, bytes, one_in(2) ? MADV_DONTNEED : MADV_DOFORK);
	map_put(index, at, bytes);
}

static void do_mremap(void)
{
	unsigned int index = random_below(MAPS);
	size_t bytes, want = PAGE * (1 + random_below(8));
	uint8_t *at = map_take(index, &bytes), *moved;

	if (!at)
		return;
	if (one_in(2))
		want = bytes;
	call_begin(CALL_MREMAP);
	moved = mremap(at, bytes, want, MREMAP_MAYMOVE);
	call_end(CALL_MREMAP, moved == MAP_FAILED ? -errno : 0);
	if (moved == MAP_FAILED)
		map_put(index, at, bytes);
	else
		map_put(index, moved, want);
}

/* ---- what is not a client's ---- */

static void do_mail(void)
{
	int fd;

	if (one_in(2)) {
		send_fd(one_in(8) ? control : any_file()->fd);
		return;
	}
	fd = receive_fd();
	if (fd < 0)
		return;
	if (one_in(2)) {
		struct file *file = any_file();
		int none = 0;

		file_forget(file);
		if (atomic_compare_exchange_strong(&file->fd, &none, fd))
			return;
	}
	CALL(CALL_CLOSE, close(fd));
}

/* Commands of other kinds of files, numbers that nobody knows. */
static void do_stray(void)
{
	static const unsigned char numbers[] = {
		0x00, 0x01, 0x02, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x20,
		0x21, 0x22, 0x23, 0x24,
	};
	unsigned long nr = _IO(INFINI_IOC_TYPE, one_in(4) ? random_below(256) :
			       numbers[random_below(sizeof(numbers))]);
	uint64_t arg[64];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(arg); i++)
		arg[i] = one_in(4) ? random_odd() : 0;
	if (one_in(8))
		nr = random_u64();
	arg[0] = random_below(sizeof(arg));
	/* No program that waits for ever for what nobody does, and no address of ours. */
	CALL(CALL_STRAY, ioctl(one_in(2) ? control : any_file()->fd, nr, arg));
}

static void do_fdinfo(void)
{
	char path[48], text[2048];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", any_file()->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	CALL(CALL_FDINFO, read(fd, text, sizeof(text)));
	close(fd);
}

/* Wake the other thread out of whatever it waits for. */
static void do_signal(void)
{
	pthread_kill(threads[one_in(2)], SIGUSR1);
}

static void do_something(bool forked);

/* A child has the files and none of the mappings. */
static void do_fork(void)
{
	unsigned int steps = random_below(8);
	pid_t pid = CALL(CALL_FORK, process_fork(who.index));

	if (!pid) {
		memset(maps, 0, sizeof(maps));
		me.fail_nth = -1;
		me.process = -1;
		while (steps--)
			do_something(true);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
}

/* ---- promises that hold whatever the others do ---- */

/* Behind all others: the number of a file that was closed may be in the other thread's hands still. */
#define OWN_FD	512

static int own_vdev(void)
{
	struct infini_vdev_open arg = { .id = shared->vdevs[random_below(VDEVS)] };
	int fd;

	if (call_ioctl_right(CALL_VDEV_OPEN, control, INFINI_IOC_VDEV_OPEN, &arg, sizeof(arg)))
		return -1;
	fd = fcntl(arg.fd, F_DUPFD_CLOEXEC, OWN_FD);
	close(arg.fd);
	return fd;
}

static bool all_zero(const uint8_t *at, size_t bytes)
{
	volatile bool zero = true;
	volatile size_t i;

	/* Its vdev may be deleted: then a page of zeros is there, or nothing. */
	if (!sigsetjmp(me.back, 1)) {
		me.touching = 1;
		for (i = 0; i < bytes; i += 64)
			zero &= !*(volatile const uint64_t *)(at + i);
	}
	me.touching = 0;
	return zero;
}

/* Fresh memory is zero, whoever had it before. */
static void promise_zero(int fd)
{
	struct infini_buffer_create arg = { .bytes = PAGE * (1 + random_below(16)) };
	uint8_t *at;

	if (call_ioctl_right(CALL_BUFFER_CREATE, fd, INFINI_IOC_BUFFER_CREATE, &arg, sizeof(arg)))
		return;
	call_begin(CALL_MMAP_BUFFER);
	at = mmap(NULL, arg.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, arg.map_offset);
	call_end(CALL_MMAP_BUFFER, at == MAP_FAILED ? -errno : 0);
	if (at == MAP_FAILED)
		return;
	if (!all_zero(at, arg.bytes))
		promise_broken("a fresh buffer of %llu bytes is not zero",
			       (unsigned long long)arg.bytes);
	touch(at, arg.bytes, true);
	munmap(at, arg.bytes);
}

/* What a timeline says of the job @seqno, in the order in which it was read. */
struct timeline_said {
	volatile uint64_t completed, record, submitted;
};

/* Deleted under us, the vdev shows a page of zeros, or none: then nothing is said. */
static bool timeline_says(const volatile struct infini_timeline *timeline, uint64_t seqno,
			  struct timeline_said *said)
{
	volatile bool readable = false;

	if (!sigsetjmp(me.back, 1)) {
		me.touching = 1;
		said->completed = timeline->completed;
		said->record = timeline->records[seqno % INFINI_TIMELINE_RECORDS].seqno;
		/* Last: it may have been deleted meanwhile. */
		said->submitted = timeline->submitted;
		readable = said->submitted;
	}
	me.touching = 0;
	return !readable || (said->completed >= seqno && said->record == seqno);
}

/* When SUBMIT says that its jobs ended, the timeline says so too. */
static void promise_timeline(int fd)
{
	struct infini_job jobs[3] = { { .op = INFINI_OP_NOP } };
	struct infini_queue_create create = { .depth = 4 };
	struct infini_submit arg = {
		.flags = INFINI_SUBMIT_F_WAIT, .nr_jobs = 3, .jobs = (uintptr_t)jobs,
		.jobs_stride = sizeof(jobs[0]), .deadline_ns = now_ns() + 50000000,
	};
	const struct infini_timeline *timeline;
	struct timeline_said said;
	int err;

	if (call_ioctl_right(CALL_QUEUE_CREATE, fd, INFINI_IOC_QUEUE_CREATE, &create,
			     sizeof(create)))
		return;
	call_begin(CALL_MMAP_TIMELINE);
	timeline = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, create.map_offset);
	call_end(CALL_MMAP_TIMELINE, timeline == MAP_FAILED ? -errno : 0);
	if (timeline == MAP_FAILED)
		return;
	arg.queue = create.handle;
	err = call_ioctl_right(CALL_SUBMIT, fd, INFINI_IOC_SUBMIT, &arg, sizeof(arg));
	/* One whose copying was made to fail ends the batch before itself. */
	if (!err && !timeline_says(timeline, arg.last_seqno, &said)) {
		struct infini_wait wait = { .queue = create.handle, .seqno = arg.last_seqno };

		err = call_ioctl_right(CALL_WAIT, fd, INFINI_IOC_WAIT, &wait, sizeof(wait));
		promise_broken("%llu jobs ended, and the timeline says %#llx of %#llx, record %#llx;"
			       " then %#llx; WAIT says %d",
			       (unsigned long long)arg.last_seqno,
			       (unsigned long long)said.completed,
			       (unsigned long long)said.submitted,
			       (unsigned long long)said.record,
			       (unsigned long long)timeline->completed, err);
	}
	munmap((void *)timeline, PAGE);
}

static void do_promise(void)
{
	int fd = own_vdev();

	if (fd < 0)
		return;
	if (one_in(2))
		promise_zero(fd);
	else
		promise_timeline(fd);
	CALL(CALL_CLOSE, close(fd));
}

/* ---- the whole ---- */

static const struct {
	void (*step)(void);
	unsigned int weight;
	bool not_forked;	/* needs the other thread, or would fork again */
} steps[] = {
	{ do_submit, 60, false }, { do_wait, 24, false }, { do_open, 6, false },
	{ do_close, 1, false }, { do_query, 6, false }, { do_info, 6, false },
	{ do_stats, 6, false }, { do_queue_create, 8, false }, { do_queue_destroy, 4, false },
	{ do_buffer_create, 14, false }, { do_buffer_destroy, 6, false },
	{ do_program_create, 8, false }, { do_program_destroy, 4, false }, { do_read, 6, false },
	{ do_mmap, 8, false }, { do_mmap_timeline, 6, false }, { do_touch, 8, false },
	{ do_munmap, 8, false }, { do_mprotect, 3, false }, { do_mremap, 4, false },
	{ do_mail, 2, false }, { do_stray, 3, false }, { do_fdinfo, 3, false },
	{ do_promise, 2, false }, { do_signal, 2, true }, { do_fork, 1, true },
};

static void do_something(bool forked)
{
	static unsigned int total;
	unsigned int i, at;

	if (!total)
		for (i = 0; i < ARRAY_SIZE(steps); i++)
			total += steps[i].weight;
	if (any_file()->fd <= 0)
		do_open();
	at = random_below(total);
	for (i = 0; at >= steps[i].weight; i++)
		at -= steps[i].weight;
	if (!forked || !steps[i].not_forked)
		steps[i].step();
}

/* Not while the other thread forks. */
static void leave(void)
{
	process_lock(who.index);
	_exit(0);
}

static void *thread_run(void *unused)
{
	(void)unused;
	actor_begin(ACTOR_CLIENT(who.index, 1), who.turn);
	me.process = who.index;
	while (!shared->stop)
		do_something(false);
	leave();
	return NULL;
}

static void become_nobody(void)
{
	if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		_exit(1);
	prctl(PR_SET_DUMPABLE, 1);
}

void client_run(unsigned int index, unsigned int turn)
{
	struct infini_null_program program = {
		.magic = INFINI_NULL_MAGIC, .segments = 2, .tokens_evaluated = 2,
		.tokens_generated = 1,
	};

	actor_begin(ACTOR_CLIENT(index, 0), turn);
	memcpy(args, &program, sizeof(program));
	control = open("/dev/infini", O_RDWR | O_CLOEXEC);
	event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (control < 0 || event < 0)
		_exit(1);
	if (index % 2)
		become_nobody();
	who.index = index;
	who.turn = turn;
	me.process = index;
	threads[0] = pthread_self();
	threads[1] = threads[0];
	if (pthread_create(&threads[1], NULL, thread_run, NULL))
		_exit(1);
	while (!shared->stop)
		do_something(false);
	leave();
}
