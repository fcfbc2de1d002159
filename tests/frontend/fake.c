// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kernel's half of the fake: handles, limits, the rules of the job contract, the timeline.
 */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <infini.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FAKE_BUFFERS	1024
#define FAKE_PROGRAMS	256
#define FAKE_PAGE	4096

struct infini_fake_settings infini_fake;
struct infini_fake_counts infini_fake_counts;

static struct infini_fake_program {
	void *data;
	uint64_t bytes;
} fake_programs[FAKE_PROGRAMS];

static struct infini_fake_buffer fake_buffers[FAKE_BUFFERS];
static struct infini_timeline fake_timeline;
static uint32_t fake_depth;
static uint64_t fake_waits;
static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;

static int fake_broken(const char *rule)
{
	infini_fake_counts.broken_rules++;
	fprintf(stderr, "fake: contract broken: %s\n", rule);
	return -EINVAL;
}

static uint64_t fake_or(uint64_t set, uint64_t otherwise)
{
	return set ? set : otherwise;
}

static uint64_t fake_env(const char *name)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : 0;
}

static uint64_t fake_max_timeout(void)
{
	return fake_or(infini_fake.max_timeout_ns, 600ULL * 1000000000);
}

/* So that unmodified programs can be run over the fake. */
static void fake_settings_from_env(void)
{
	if (getenv("INFINI_FAKE_LIMIT"))
		infini_fake.memory_limit_bytes = fake_env("INFINI_FAKE_LIMIT");
	if (getenv("INFINI_FAKE_REPACK"))
		infini_fake.repack = fake_env("INFINI_FAKE_REPACK");
	if (getenv("INFINI_FAKE_FILES")) {
		/* The first is the frontend's own trial. */
		infini_fake.files = true;
		infini_fake.take_files = 1;
		infini_fake.refuse_files = fake_env("INFINI_FAKE_REFUSED_FILES");
	}
	if (getenv("INFINI_FAKE_FAIL_OP")) {
		infini_fake.fail_op = fake_env("INFINI_FAKE_FAIL_OP");
		infini_fake.fail_after = fake_env("INFINI_FAKE_FAIL_AFTER");
		infini_fake.fail_err = -(int)fake_env("INFINI_FAKE_FAIL_ERRNO");
	}
	if (getenv("INFINI_FAKE_INTERRUPT"))
		infini_fake.interrupt_every = fake_env("INFINI_FAKE_INTERRUPT");
}

int infini_client_open(const char *path, const char *vdev)
{
	(void)path;
	(void)vdev;
	infini_fake_counts.calls++;
	fake_settings_from_env();
	if (infini_fake.open_err)
		return infini_fake.open_err;
	/* A real descriptor, because the client closes it. */
	return dup(STDERR_FILENO);
}

int infini_query(int fd, struct infini_query *query)
{
	(void)fd;
	infini_fake_counts.calls++;
	*query = (struct infini_query){
		.size = sizeof(*query),
		.features = ~0ULL,
		.role = INFINI_ROLE_CLIENT,
		.protocol = INFINI_PROTOCOL_VERSION,
		.max_queues = 4,
		.max_buffers = FAKE_BUFFERS - 1,
		.max_programs = fake_or(infini_fake.max_programs, 64),
		.max_queue_depth = fake_or(infini_fake.max_queue_depth, 64),
		.max_batch = 16,
		.max_bindings = fake_or(infini_fake.max_bindings, 32),
		.max_copies = 64,
		.max_clients = 4,
		.max_inline_bytes = fake_or(infini_fake.max_inline_bytes, 64 << 10),
		.max_program_bytes = 16 << 20,
		.max_timeout_ns = fake_max_timeout(),
		.default_timeout_ns = 10ULL * 1000000000,
		.size_job = sizeof(struct infini_job),
		.size_completion = sizeof(struct infini_completion),
	};
	return 0;
}

static uint64_t fake_limit(void)
{
	return fake_or(infini_fake.memory_limit_bytes, 4ULL << 30);
}

int infini_vdev_info(int fd, struct infini_vdev_info *info)
{
	const struct infini_memory_kind kinds[] = {
		{ .name = "CPU", .flags = INFINI_MEMORY_F_UNIFIED |
					  (infini_fake.files ? INFINI_MEMORY_F_FILE : 0),
		  .alignment = 64 },
		{ .name = "CPU_REPACK", .flags = INFINI_MEMORY_F_WEIGHTS, .alignment = 64 },
	};
	uint32_t nr = infini_fake.repack ? 2 : 1, i;

	(void)fd;
	infini_fake_counts.calls++;
	for (i = 0; i < nr && i < info->kinds_capacity; i++)
		memcpy((char *)(uintptr_t)info->kinds + i * info->kinds_stride, &kinds[i],
		       sizeof(kinds[i]));
	info->nr_kinds = nr;
	info->device_online = !infini_fake.offline;
	info->memory_limit_bytes = fake_limit();
	info->memory_used_bytes = infini_fake_counts.bytes;
	strcpy((char *)info->name, "fake");
	strcpy((char *)info->device_name, "cpu0");
	strcpy((char *)info->backend, infini_fake.backend ? infini_fake.backend : "ggml");
	strcpy((char *)info->description, "CPU in this process");
	return 0;
}

int infini_queue_create(int fd, struct infini_queue_create *create)
{
	(void)fd;
	infini_fake_counts.calls++;
	if (create->flags || create->weight || create->eventfd || !create->depth ||
	    create->depth > INFINI_TIMELINE_RECORDS)
		return fake_broken("QUEUE_CREATE arguments");
	memset(&fake_timeline, 0, sizeof(fake_timeline));
	fake_depth = create->depth;
	create->handle = 1;
	create->map_offset = FAKE_PAGE;
	return 0;
}

int infini_queue_destroy(int fd, uint32_t handle)
{
	(void)fd;
	infini_fake_counts.calls++;
	return handle == 1 ? 0 : -ENOENT;
}

int infini_timeline_map(int fd, uint64_t map_offset, const struct infini_timeline **timeline)
{
	(void)fd;
	infini_fake_counts.calls++;
	*timeline = &fake_timeline;
	return map_offset == FAKE_PAGE ? 0 : -EINVAL;
}

/* As the kernel checks it; what it refuses for the file system's sake is up to the test. */
static int fake_file_open(const struct infini_buffer_create *create, struct infini_fake_buffer *buffer)
{
	struct stat stat;
	void *base;

	if (!infini_fake.files)
		return -EOPNOTSUPP;
	if (fstat(create->fd, &stat) < 0)
		return -EBADF;
	if ((fcntl(create->fd, F_GETFL) & O_ACCMODE) != O_RDONLY)
		return -EACCES;
	if (infini_fake.take_files) {
		infini_fake.take_files--;
	} else if (infini_fake.refuse_files) {
		infini_fake.refuse_files--;
		return infini_fake.refuse_err ? infini_fake.refuse_err : -EOPNOTSUPP;
	}
	if (!S_ISREG(stat.st_mode) || create->file_offset % FAKE_PAGE ||
	    create->file_offset + create->bytes > (uint64_t)stat.st_size)
		return -EINVAL;
	base = mmap(NULL, buffer->bytes, PROT_READ, MAP_SHARED, create->fd,
		    (off_t)create->file_offset);
	if (base == MAP_FAILED)
		return -errno;
	buffer->base = base;
	infini_fake_counts.file_bytes += buffer->bytes;
	return 0;
}

static int fake_charge(uint64_t bytes)
{
	if (bytes > fake_limit() || infini_fake_counts.bytes > fake_limit() - bytes)
		return -ENOSPC;
	infini_fake_counts.bytes += bytes;
	return 0;
}

int infini_buffer_create(int fd, struct infini_buffer_create *create)
{
	bool file = create->type == INFINI_BUFFER_FILE;
	struct infini_fake_buffer *buffer = &fake_buffers[1];
	int err;

	(void)fd;
	infini_fake_counts.calls++;
	if (create->flags || (!file && (create->fd || create->file_offset)) || !create->bytes ||
	    create->kind > (infini_fake.repack ? 1 : 0) ||
	    (create->type != INFINI_BUFFER_DEVICE && create->kind))
		return fake_broken("BUFFER_CREATE arguments");
	while (buffer->base && ++buffer < &fake_buffers[FAKE_BUFFERS])
		;
	if (buffer == &fake_buffers[FAKE_BUFFERS])
		return -ENOSPC;
	*buffer = (struct infini_fake_buffer){
		.type = create->type,
		.kind = create->kind,
		.bytes = (create->bytes + FAKE_PAGE - 1) & ~(uint64_t)(FAKE_PAGE - 1),
	};
	err = file ? fake_file_open(create, buffer) : fake_charge(buffer->bytes);
	if (!err)
		err = infini_fake_memory(buffer);
	if (err)
		return err;
	infini_fake_counts.buffers++;
	create->handle = (uint32_t)(buffer - fake_buffers);
	create->map_offset = create->type == INFINI_BUFFER_SHARED ?
			     (uint64_t)create->handle << 32 : 0;
	return 0;
}

static struct infini_fake_buffer *fake_buffer(uint32_t handle)
{
	if (!handle || handle >= FAKE_BUFFERS || !fake_buffers[handle].base ||
	    fake_buffers[handle].destroyed)
		return NULL;
	return &fake_buffers[handle];
}

static void fake_buffer_put(struct infini_fake_buffer *buffer)
{
	if (!buffer->destroyed || buffer->mapped)
		return;
	if (buffer->type == INFINI_BUFFER_FILE)
		infini_fake_counts.file_bytes -= buffer->bytes;
	else
		infini_fake_counts.bytes -= buffer->bytes;
	infini_fake_counts.buffers--;
	infini_fake_memory_free(buffer);
	memset(buffer, 0, sizeof(*buffer));
}

int infini_buffer_destroy(int fd, uint32_t handle)
{
	struct infini_fake_buffer *buffer = fake_buffer(handle);

	(void)fd;
	infini_fake_counts.calls++;
	if (!buffer)
		return -ENOENT;
	buffer->destroyed = true;
	fake_buffer_put(buffer);
	return 0;
}

int infini_buffer_map(int fd, uint64_t map_offset, size_t bytes, void **addr)
{
	struct infini_fake_buffer *buffer = fake_buffer(map_offset >> 32);

	(void)fd;
	infini_fake_counts.calls++;
	if (!buffer || buffer->type != INFINI_BUFFER_SHARED || bytes > buffer->bytes)
		return fake_broken("mapping what is not a SHARED buffer");
	buffer->mapped = true;
	*addr = buffer->base;
	return 0;
}

int infini_unmap(const void *addr, size_t bytes)
{
	uint32_t i;

	(void)bytes;
	infini_fake_counts.calls++;
	for (i = 1; i < FAKE_BUFFERS; i++) {
		if (fake_buffers[i].mapped && fake_buffers[i].base == addr) {
			fake_buffers[i].mapped = false;
			fake_buffer_put(&fake_buffers[i]);
		}
	}
	return 0;
}

int infini_program_create(int fd, uint32_t format, const void *data, size_t bytes,
			  uint32_t *handle)
{
	uint32_t i;

	(void)fd;
	infini_fake_counts.calls++;
	if (format != INFINI_FORMAT_GGML || !bytes)
		return fake_broken("PROGRAM_CREATE arguments");
	if (infini_fake_counts.programs >= fake_or(infini_fake.max_programs, 64))
		return -ENOSPC;
	for (i = 1; fake_programs[i].data; i++)
		;
	fake_programs[i].data = malloc(bytes);
	fake_programs[i].bytes = bytes;
	memcpy(fake_programs[i].data, data, bytes);
	infini_fake_counts.programs++;
	*handle = i;
	return 0;
}

int infini_program_destroy(int fd, uint32_t handle)
{
	(void)fd;
	infini_fake_counts.calls++;
	if (!handle || handle >= FAKE_PROGRAMS || !fake_programs[handle].data)
		return -ENOENT;
	free(fake_programs[handle].data);
	fake_programs[handle].data = NULL;
	infini_fake_counts.programs--;
	return 0;
}

static bool fake_inside(const struct infini_fake_buffer *buffer, uint64_t offset, uint64_t bytes)
{
	return buffer && bytes && offset <= buffer->bytes && bytes <= buffer->bytes - offset;
}

static int fake_copy(const struct infini_job *job)
{
	struct infini_fake_buffer *dst = fake_buffer(job->dst), *src = fake_buffer(job->src);

	if (!fake_inside(dst, job->dst_offset, job->bytes) ||
	    !fake_inside(src, job->src_offset, job->bytes))
		return fake_broken("COPY out of range");
	if (dst->kind || src->kind)
		return fake_broken("COPY of memory the backend lays out");
	if (dst->type == INFINI_BUFFER_FILE)
		return fake_broken("COPY to a FILE");
	return infini_fake_write(dst, job->dst_offset, (char *)src->base + job->src_offset,
				 job->bytes);
}

static int fake_fill(const struct infini_job *job)
{
	struct infini_fake_buffer *dst = fake_buffer(job->dst);

	if (!fake_inside(dst, job->dst_offset, job->bytes) || job->value > 255)
		return fake_broken("FILL out of range");
	if (dst->type == INFINI_BUFFER_FILE)
		return fake_broken("FILL of a FILE");
	memset((char *)dst->base + job->dst_offset, (int)job->value, job->bytes);
	return 0;
}

static int fake_inputs(const struct infini_job *job, const struct infini_binding *bindings,
		       struct infini_fake_buffer **buffers)
{
	const struct infini_input *inputs = (void *)(uintptr_t)job->inputs;
	uint64_t total = job->args_bytes;
	uint32_t i;

	for (i = 0; i < job->nr_inputs; i++) {
		if (inputs[i].binding >= job->nr_bindings ||
		    !(bindings[inputs[i].binding].access & INFINI_ACCESS_WRITE) ||
		    !fake_inside(buffers[inputs[i].binding], inputs[i].offset, inputs[i].bytes))
			return fake_broken("input out of range");
		total += inputs[i].bytes;
		if (infini_fake_write(buffers[inputs[i].binding], inputs[i].offset,
				      (void *)(uintptr_t)inputs[i].data, inputs[i].bytes))
			return fake_broken("input of memory the backend lays out");
	}
	return total <= fake_or(infini_fake.max_inline_bytes, 64 << 10) ? 0 :
	       fake_broken("more inline bytes than allowed");
}

static int fake_outputs(const struct infini_job *job, const struct infini_binding *bindings,
			struct infini_fake_buffer **buffers)
{
	const struct infini_output *outputs = (void *)(uintptr_t)job->outputs;
	uint32_t i;

	for (i = 0; i < job->nr_outputs; i++) {
		const struct infini_output *out = &outputs[i];

		if (out->src_binding >= job->nr_bindings || out->dst_binding >= job->nr_bindings ||
		    !(bindings[out->src_binding].access & INFINI_ACCESS_READ) ||
		    !(bindings[out->dst_binding].access & INFINI_ACCESS_WRITE) ||
		    !fake_inside(buffers[out->src_binding], out->src_offset, out->bytes) ||
		    !fake_inside(buffers[out->dst_binding], out->dst_offset, out->bytes))
			return fake_broken("output out of range");
		memmove((char *)buffers[out->dst_binding]->base + out->dst_offset,
			(char *)buffers[out->src_binding]->base + out->src_offset, out->bytes);
	}
	return 0;
}

/* PROGRAM and ASK. */
static int fake_work(const struct infini_job *job, uint64_t *value)
{
	const struct infini_binding *bindings = (void *)(uintptr_t)job->bindings;
	struct infini_fake_buffer *buffers[64];
	uint32_t i;
	int err;

	if (job->nr_bindings > fake_or(infini_fake.max_bindings, 32) || job->nr_inputs > 64 ||
	    job->nr_outputs > 64)
		return fake_broken("more bindings or copies than allowed");
	for (i = 0; i < job->nr_bindings; i++) {
		buffers[i] = fake_buffer(bindings[i].buffer);
		if (!buffers[i])
			return fake_broken("a binding without a buffer");
		if (buffers[i]->type == INFINI_BUFFER_FILE &&
		    (bindings[i].access & INFINI_ACCESS_WRITE))
			return fake_broken("a FILE bound for writing");
	}
	err = fake_inputs(job, bindings, buffers);
	if (err)
		return err;
	if (job->op == INFINI_OP_ASK)
		return infini_fake_ask((void *)(uintptr_t)job->args, job->args_bytes, buffers,
				       job->nr_bindings, value);
	if (!job->program || job->program >= FAKE_PROGRAMS || !fake_programs[job->program].data)
		return fake_broken("a job without its program");
	err = infini_fake_run(fake_programs[job->program].data, fake_programs[job->program].bytes,
			      buffers, job->nr_bindings, (void *)(uintptr_t)job->args,
			      job->args_bytes,
			      job->request_id);
	return err ? err : fake_outputs(job, bindings, buffers);
}

static bool fake_zero_where_it_must(const struct infini_job *job)
{
	bool work = job->op == INFINI_OP_PROGRAM || job->op == INFINI_OP_ASK;
	bool copy = job->op == INFINI_OP_COPY, fill = job->op == INFINI_OP_FILL;

	return !job->flags && !job->pad && !(job->program && job->op != INFINI_OP_PROGRAM) &&
	       !(job->program_format && job->op != INFINI_OP_ASK) &&
	       (work || !(job->nr_bindings | job->nr_inputs | job->nr_outputs | job->args_bytes |
			  job->bindings | job->inputs | job->outputs | job->args)) &&
	       (copy || fill || !(job->dst | job->dst_offset | job->bytes)) &&
	       (copy || !(job->src | job->src_offset)) && (fill || !job->value);
}

static int fake_job(const struct infini_job *job, uint64_t *value)
{
	uint64_t nr;

	if (job->op > INFINI_OP_ASK || !fake_zero_where_it_must(job))
		return fake_broken("a field that does not belong to the operation");
	nr = infini_fake_counts.jobs[job->op]++;
	if (infini_fake.fail_err && job->op == infini_fake.fail_op && nr >= infini_fake.fail_after)
		return infini_fake.fail_err;
	switch (job->op) {
	case INFINI_OP_COPY:
		return fake_copy(job);
	case INFINI_OP_FILL:
		return fake_fill(job);
	case INFINI_OP_NOP:
		return 0;
	default:
		return fake_work(job, value);
	}
}

static bool fake_interrupts(void)
{
	return infini_fake.interrupt_every && ++fake_waits % infini_fake.interrupt_every == 0;
}

static int fake_submit_locked(struct infini_submit *submit)
{
	uint32_t i, most = fake_or(infini_fake.accept_most, submit->nr_jobs);

	if (!submit->nr_jobs || submit->nr_jobs > 16 || submit->nr_jobs > fake_depth ||
	    submit->queue != 1 || submit->jobs_stride < sizeof(struct infini_job))
		return fake_broken("SUBMIT arguments");
	for (i = 0; i < submit->nr_jobs && i < most; i++) {
		const struct infini_job *job = (void *)(uintptr_t)(submit->jobs +
								   i * submit->jobs_stride);
		struct infini_completion *record;
		uint64_t seqno, value = 0;
		int status;

		/* Malformed by no fault of the client: the ceiling may have moved. */
		if (job->timeout_ns > fake_max_timeout())
			return submit->accepted ? 0 : -EINVAL;
		seqno = ++fake_timeline.submitted;
		record = &fake_timeline.records[seqno % INFINI_TIMELINE_RECORDS];
		status = fake_job(job, &value);
		*record = (struct infini_completion){
			.seqno = seqno,
			.status = status,
			.value = value,
		};
		__atomic_store_n(&fake_timeline.completed, seqno, __ATOMIC_RELEASE);
		submit->accepted++;
		submit->last_seqno = seqno;
		submit->value = value;
		if (status && !submit->status)
			submit->status = status;
	}
	return 0;
}

int infini_submit(int fd, struct infini_submit *submit)
{
	int err;

	(void)fd;
	pthread_mutex_lock(&fake_lock);
	infini_fake_counts.calls++;
	infini_fake_counts.submits++;
	submit->accepted = 0;
	err = fake_submit_locked(submit);
	if (!err && (submit->flags & INFINI_SUBMIT_F_WAIT) && fake_interrupts())
		err = -EINTR;
	pthread_mutex_unlock(&fake_lock);
	return err;
}

int infini_wait(int fd, struct infini_wait *wait)
{
	(void)fd;
	infini_fake_counts.calls++;
	if (!wait->seqno || wait->seqno > fake_timeline.submitted)
		return fake_broken("WAIT for a seqno not handed out");
	return fake_interrupts() ? -EINTR : 0;
}
