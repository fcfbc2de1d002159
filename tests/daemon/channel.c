// SPDX-License-Identifier: GPL-2.0-or-later
/* A kernel channel for tests. */
#include "channel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct channel channel;

int __wrap_infini_exchange(int fd, struct infini_exchange *exchange);
int __wrap_infini_program_read(int fd, uint64_t program, uint64_t offset, void *data,
			       size_t bytes);
int __wrap_infini_executor_map(int fd, uint64_t map_offset, size_t bytes, void **addr);
int __wrap_infini_buffer_receive(int fd, uint64_t buffer, uint64_t *offset);
int __wrap_infini_file_map(int fd, uint64_t offset, size_t bytes, const void **addr);
int __wrap_infini_unmap(const void *addr, size_t bytes);

void channel_open(void)
{
	memset(&channel, 0, sizeof(channel));
	channel.next_dispatch = 1;
	channel.end = -ENODEV;
}

void channel_close(void)
{
	for (int i = 0; i < CHANNEL_BUFFERS_MAX; i++) {
		assert(!channel.mapped[i]);
		free(channel.memory[i]);
	}
	memset(&channel, 0, sizeof(channel));
}

struct channel_job *channel_push(uint32_t op)
{
	struct channel_job *job = &channel.jobs[channel.nr_jobs++];

	assert(channel.nr_jobs <= CHANNEL_JOBS_MAX);
	job->dispatch.op = op;
	if (op != INFINI_OP_BUFFER_FREE && op != INFINI_OP_PROGRAM_FREE)
		job->dispatch.dispatch = channel.next_dispatch++;
	return job;
}

struct infini_dispatch_binding channel_shared(uint32_t index, uint64_t bytes)
{
	struct infini_dispatch_binding binding = {
		.buffer = index + 1,
		.bytes = bytes,
		.map_offset = (index + 1) * 4096ULL,
		.type = INFINI_BUFFER_SHARED,
		.access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE,
	};

	if (!channel.memory[index]) {
		channel.memory[index] = calloc(1, bytes);
		channel.memory_bytes[index] = bytes;
	}
	return binding;
}

struct infini_dispatch_binding channel_held(uint64_t id, uint64_t bytes)
{
	struct infini_dispatch_binding binding = {
		.buffer = id,
		.bytes = bytes,
		.type = INFINI_BUFFER_DEVICE,
		.kind = 1,
		.access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE,
	};

	return binding;
}

struct infini_dispatch_binding channel_file(uint64_t id, uint64_t bytes)
{
	struct infini_dispatch_binding binding = {
		.buffer = id,
		.bytes = bytes,
		.type = INFINI_BUFFER_FILE,
		.access = INFINI_ACCESS_READ,
	};

	return binding;
}

void channel_bind(struct channel_job *job, struct infini_dispatch_binding binding)
{
	job->bindings[job->dispatch.nr_bindings++] = binding;
}

void channel_input(struct channel_job *job, uint32_t binding, uint64_t offset, const void *data,
		   uint32_t bytes)
{
	struct infini_input *input = &job->inputs[job->dispatch.nr_inputs++];
	uint64_t at = 16 * (job->dispatch.nr_inputs - 1);

	assert(bytes <= 16);
	memcpy(job->input_bytes + at, data, bytes);
	*input = (struct infini_input){ binding, bytes, offset, at };
}

void channel_output(struct channel_job *job, uint32_t src, uint64_t src_offset, uint32_t dst,
		    uint64_t dst_offset, uint64_t bytes)
{
	job->outputs[job->dispatch.nr_outputs++] =
		(struct infini_output){ src, dst, src_offset, dst_offset, bytes };
}

static uint64_t lay(uint8_t *payload, uint64_t *at, const void *data, size_t bytes)
{
	uint64_t offset = *at;

	memcpy(payload + offset, data, bytes);
	*at += (bytes + 7) & ~7ULL;
	assert(*at <= CHANNEL_PAYLOAD_BYTES);
	return offset;
}

static void hand_out(struct channel_job *job, struct infini_dispatch *to, uint8_t *payload,
		     uint64_t *at)
{
	struct infini_input inputs[4];
	uint64_t data;

	*to = job->dispatch;
	data = lay(payload, at, job->input_bytes, sizeof(job->input_bytes));
	memcpy(inputs, job->inputs, sizeof(inputs));
	for (int i = 0; i < 4; i++)
		inputs[i].data += data;
	to->bindings = lay(payload, at, job->bindings, sizeof(job->bindings));
	to->inputs = lay(payload, at, inputs, sizeof(inputs));
	to->outputs = lay(payload, at, job->outputs, sizeof(job->outputs));
	to->args = lay(payload, at, job->args, sizeof(job->args));
	if (job->spoil)
		job->spoil(to, payload);
}

static void take_results(struct infini_exchange *e)
{
	const struct infini_result *results = (const void *)(uintptr_t)e->results;
	uint32_t n = e->nr_results;

	if (channel.accept_at_most && n > channel.accept_at_most)
		n = channel.accept_at_most;
	assert(e->results_stride == sizeof(*results));
	assert(channel.nr_results + n <= CHANNEL_JOBS_MAX);
	memcpy(channel.results + channel.nr_results, results, n * sizeof(*results));
	channel.nr_results += n;
	e->accepted = n;
}

int __wrap_infini_exchange(int fd, struct infini_exchange *e)
{
	struct infini_dispatch *dispatches = (void *)(uintptr_t)e->dispatches;
	uint8_t *payload = (void *)(uintptr_t)e->payload;
	uint32_t room = e->nr_dispatches;
	uint64_t at = 0;
	int ret = channel.fail_next;

	assert(fd == CHANNEL_FD);
	assert(e->payload_bytes == CHANNEL_PAYLOAD_BYTES);
	channel.calls++;
	channel.calls_without_room += !room;
	channel.last_held_bytes = e->held_bytes;
	channel.fail_next = 0;
	if (ret)
		return ret;
	take_results(e);
	if (channel.hand_out_at_most && room > channel.hand_out_at_most)
		room = channel.hand_out_at_most;
	while (e->returned < room && channel.next_job < channel.nr_jobs) {
		channel.results_before[channel.next_job] = channel.nr_results;
		hand_out(&channel.jobs[channel.next_job++], &dispatches[e->returned++], payload,
			 &at);
	}
	if (e->returned || !room)
		return 0;
	channel.last_deadline_ns = e->deadline_ns;
	if (channel.on_idle)
		channel.on_idle();
	return channel.end;
}

int __wrap_infini_program_read(int fd, uint64_t program, uint64_t offset, void *data, size_t bytes)
{
	assert(fd == CHANNEL_FD);
	assert(program);
	channel.program_reads++;
	if (channel.program_error)
		return channel.program_error;
	assert(offset + bytes <= sizeof(channel.program));
	memcpy(data, channel.program + offset, bytes);
	return 0;
}

int __wrap_infini_executor_map(int fd, uint64_t map_offset, size_t bytes, void **addr)
{
	uint64_t index = map_offset / 4096 - 1;

	assert(fd == CHANNEL_FD);
	if (channel.map_error)
		return channel.map_error;
	assert(index < CHANNEL_BUFFERS_MAX && channel.memory[index] && !channel.mapped[index]);
	assert(bytes == channel.memory_bytes[index]);
	channel.mapped[index] = true;
	*addr = channel.memory[index];
	return 0;
}

int __wrap_infini_buffer_receive(int fd, uint64_t buffer, uint64_t *offset)
{
	int copy;

	assert(fd == CHANNEL_FD && buffer);
	channel.receives++;
	if (channel.map_error)
		return channel.map_error;
	copy = dup(channel.file_fd);
	assert(copy >= 0);
	*offset = channel.file_offset;
	return copy;
}

int __wrap_infini_file_map(int fd, uint64_t offset, size_t bytes, const void **addr)
{
	*addr = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, (off_t)offset);
	assert(*addr != MAP_FAILED);
	return 0;
}

int __wrap_infini_unmap(const void *addr, size_t bytes)
{
	for (int i = 0; i < CHANNEL_BUFFERS_MAX; i++) {
		if (channel.memory[i] != addr)
			continue;
		assert(channel.mapped[i] && bytes == channel.memory_bytes[i]);
		channel.mapped[i] = false;
		return 0;
	}
	return munmap((void *)addr, bytes) ? -errno : 0;
}
