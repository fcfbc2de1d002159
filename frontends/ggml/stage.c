// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Data between this process and the device: every byte crosses the staging buffer as a COPY job.
 * It begins small, since weights that lie in a file do not cross, and grows with what does.
 *
 * None of these functions returns an error, because ggml's own calls do not: they break the link.
 */
#include "frontend.h"

#include <errno.h>
#include <string.h>

#define INFINI_STAGE_BYTES	(8 << 20)
#define INFINI_STAGE_FIRST	(128 << 10)
#define INFINI_STAGE_LEAST	(256 << 10)
#define INFINI_STAGE_SHARE	16	/* at most this part of a vdev's memory */
#define INFINI_STAGE_ALIGN	64
#define INFINI_STAGE_CRUMB	4096	/* a smaller rest of a segment is not worth a job */
#define INFINI_BOUNCE_ALIGN	(1 << 20)

/* At most. */
uint64_t infini_stage_bytes(uint64_t limit_bytes)
{
	uint64_t bytes = INFINI_STAGE_BYTES;

	if (limit_bytes && limit_bytes / INFINI_STAGE_SHARE < bytes)
		bytes = limit_bytes / INFINI_STAGE_SHARE & ~(uint64_t)(INFINI_STAGE_LEAST - 1);
	return bytes < INFINI_STAGE_LEAST ? INFINI_STAGE_LEAST : bytes;
}

/* At the beginning. */
uint64_t infini_stage_first_bytes(uint64_t limit_bytes)
{
	uint64_t most = infini_stage_bytes(limit_bytes);

	return most < INFINI_STAGE_FIRST ? most : INFINI_STAGE_FIRST;
}

static int infini_stage_shared(struct infini_link *link, uint64_t bytes, uint32_t *handle,
			       void **base)
{
	struct infini_buffer_create create = {
		.type = INFINI_BUFFER_SHARED,
		.bytes = bytes,
	};
	int err;

	infini_trace_add(INFINI_TRACE_SYSCALLS, 2);
	err = infini_buffer_create(link->fd, &create);
	if (err)
		return err;
	err = infini_buffer_map(link->fd, create.map_offset, bytes, base);
	if (err)
		infini_buffer_destroy(link->fd, create.handle);
	else
		*handle = create.handle;
	return err;
}

static void infini_stage_unshared(struct infini_link *link, uint32_t handle, void *base,
				  uint64_t bytes)
{
	infini_trace_add(INFINI_TRACE_SYSCALLS, 2);
	infini_unmap(base, bytes);
	infini_buffer_destroy(link->fd, handle);
}

static int infini_stage_create(struct infini_link *link, uint64_t bytes)
{
	struct infini_stage *stage = &link->stage;
	uint32_t handle;
	void *base;
	int err;

	err = infini_stage_shared(link, bytes, &handle, &base);
	if (err)
		return err;
	if (stage->bytes)
		infini_stage_unshared(link, stage->handle, stage->base, stage->bytes);
	stage->handle = handle;
	stage->base = base;
	stage->bytes = bytes;
	stage->segment_bytes = bytes / 2 / INFINI_STAGE_SEGMENTS;
	stage->segment = 0;
	return 0;
}

int infini_stage_create_locked(struct infini_link *link)
{
	uint64_t limit = link->vdev.memory_limit_bytes;

	memset(&link->stage, 0, sizeof(link->stage));
	link->stage.most = infini_stage_bytes(limit);
	return infini_stage_create(link, infini_stage_first_bytes(limit));
}

/*
 * To halves of @half bytes, or as large as it may become. One that cannot grow serves as it is: no
 * error, unless what it carries is lost.
 */
int infini_stage_grow_locked(struct infini_link *link, uint64_t half)
{
	struct infini_stage *stage = &link->stage;
	uint64_t bytes = stage->bytes;
	int err;

	while (bytes / 2 < half && bytes < stage->most)
		bytes *= 2;
	if (bytes == stage->bytes)
		return 0;
	err = infini_submit_flush_locked(link);
	if (!err)
		err = infini_submit_wait_locked(link, link->submitted);
	if (err) {
		infini_submit_break_locked(link, err, "waiting for transfers");
		return link->broken;
	}
	infini_stage_drained_locked(link);
	infini_mirror_clear_locked(link);
	if (infini_stage_create(link, bytes < stage->most ? bytes : stage->most))
		stage->most = stage->bytes;
	return link->broken;
}

static void infini_stage_unbounce(struct infini_link *link)
{
	struct infini_bounce *bounce = &link->bounce;

	if (bounce->base)
		infini_stage_unshared(link, bounce->handle, bounce->base, bounce->bytes);
	memset(bounce, 0, sizeof(*bounce));
}

void infini_stage_destroy_locked(struct infini_link *link)
{
	infini_stage_unbounce(link);
	infini_stage_unshared(link, link->stage.handle, link->stage.base, link->stage.bytes);
	memset(&link->stage, 0, sizeof(link->stage));
}

/* Nothing is in flight: the ring is empty, and loading is over if a bounce buffer was needed. */
void infini_stage_drained_locked(struct infini_link *link)
{
	link->stage.fill = 0;
	memset(link->stage.seqno, 0, sizeof(link->stage.seqno));
	link->bounce.seqno = 0;
}

/* On to the next segment, once the jobs that read it have ended; or the first of a larger buffer. */
static int infini_stage_turn(struct infini_link *link)
{
	struct infini_stage *stage = &link->stage;
	int err;

	if (stage->bytes < stage->most)
		return infini_stage_grow_locked(link, stage->most / 2);
	err = infini_submit_flush_locked(link);
	if (err)
		return err;
	stage->segment = (stage->segment + 1) % INFINI_STAGE_SEGMENTS;
	stage->fill = 0;
	err = infini_submit_wait_locked(link, stage->seqno[stage->segment]);
	if (err)
		infini_submit_break_locked(link, err, "waiting for transfers");
	return link->broken;
}

/* Room for at least @least bytes of the ring; *@bytes says how many there are. */
static int infini_stage_room(struct infini_link *link, uint64_t least, uint64_t *offset,
			     uint64_t *bytes)
{
	struct infini_stage *stage = &link->stage;
	int err;

	if (stage->segment_bytes - stage->fill < least) {
		err = infini_stage_turn(link);
		if (err)
			return err;
	}
	*offset = stage->segment * stage->segment_bytes + stage->fill;
	*bytes = stage->segment_bytes - stage->fill;
	return 0;
}

static void infini_stage_take(struct infini_link *link, uint64_t bytes)
{
	struct infini_stage *stage = &link->stage;

	stage->fill += (bytes + INFINI_STAGE_ALIGN - 1) & ~(uint64_t)(INFINI_STAGE_ALIGN - 1);
	if (stage->fill > stage->segment_bytes)
		stage->fill = stage->segment_bytes;
}

void infini_stage_write_locked(struct infini_link *link, struct infini_range range,
			       const void *data)
{
	const uint8_t *from = data;

	range.area->written = true;
	while (range.bytes && !link->broken) {
		uint64_t least = INFINI_STAGE_CRUMB, offset, n;
		struct infini_job *job;

		if (range.bytes < least)
			least = range.bytes;
		if (infini_stage_room(link, least, &offset, &n))
			return;
		if (n > range.bytes)
			n = range.bytes;
		memcpy(link->stage.base + offset, from, n);
		infini_stage_take(link, n);
		infini_trace_add(INFINI_TRACE_STAGED_BYTES, n);
		job = infini_submit_job_locked(link);
		job->op = INFINI_OP_COPY;
		job->dst = range.area->handle;
		job->dst_offset = range.offset;
		job->src = link->stage.handle;
		job->src_offset = offset;
		job->bytes = n;
		infini_submit_push_locked(link);
		from += n;
		range.offset += n;
		range.bytes -= n;
	}
}

/* The free part of the upper half; mirrors give way when a read is much larger than it. */
static uint64_t infini_stage_inbox(struct infini_link *link, uint64_t bytes, uint64_t *offset)
{
	struct infini_stage *stage = &link->stage;
	uint64_t half;

	infini_stage_grow_locked(link, stage->mirrored + bytes);
	half = stage->bytes / 2;
	if (half - stage->mirrored < bytes && stage->mirrored > half / 2)
		infini_mirror_clear_locked(link);
	*offset = half + stage->mirrored;
	return half - stage->mirrored;
}

void infini_stage_read_locked(struct infini_link *link, struct infini_range range, void *data)
{
	uint64_t at, n, value;
	uint8_t *to = data;
	struct infini_job *job;
	int err;

	infini_trace_add(INFINI_TRACE_READ_BYTES, range.bytes);
	while (range.bytes && !link->broken) {
		n = infini_stage_inbox(link, range.bytes, &at);
		if (n > range.bytes)
			n = range.bytes;
		job = infini_submit_job_locked(link);
		job->op = INFINI_OP_COPY;
		job->dst = link->stage.handle;
		job->dst_offset = at;
		job->src = range.area->handle;
		job->src_offset = range.offset;
		job->bytes = n;
		err = infini_submit_last_locked(link, &value);
		if (err) {
			infini_submit_break_locked(link, err, "reading a tensor");
			break;
		}
		memcpy(to, link->stage.base + at, n);
		to += n;
		range.offset += n;
		range.bytes -= n;
	}
	/* The caller cannot learn of the failure; it must not find another's old bytes. */
	memset(to, 0, range.bytes);
}

void infini_stage_fill_locked(struct infini_link *link, struct infini_range range, uint8_t value)
{
	struct infini_job *job;

	if (link->broken)
		return;
	range.area->written = true;
	job = infini_submit_job_locked(link);
	job->op = INFINI_OP_FILL;
	job->dst = range.area->handle;
	job->dst_offset = range.offset;
	job->bytes = range.bytes;
	job->value = value;
	infini_submit_push_locked(link);
}

void infini_stage_copy_locked(struct infini_link *link, struct infini_range dst,
			      struct infini_range src)
{
	struct infini_job *job;

	if (link->broken)
		return;
	dst.area->written = true;
	job = infini_submit_job_locked(link);
	job->op = INFINI_OP_COPY;
	job->dst = dst.area->handle;
	job->dst_offset = dst.offset;
	job->src = src.area->handle;
	job->src_offset = src.offset;
	job->bytes = dst.bytes;
	infini_submit_push_locked(link);
}

/* A bounce buffer of at least @bytes that no job reads any more. */
static int infini_stage_bounce(struct infini_link *link, uint64_t bytes)
{
	struct infini_bounce *bounce = &link->bounce;
	int err;

	if (bounce->base && bounce->bytes >= bytes)
		return infini_submit_wait_locked(link, bounce->seqno);
	infini_stage_unbounce(link);
	bytes = (bytes + INFINI_BOUNCE_ALIGN - 1) & ~(uint64_t)(INFINI_BOUNCE_ALIGN - 1);
	err = infini_stage_shared(link, bytes, &bounce->handle, &bounce->base);
	if (err) {
		bounce->base = NULL;
		infini_link_no_memory(link, bytes, "a buffer to upload a tensor", err);
		return err;
	}
	bounce->bytes = bytes;
	return 0;
}

static void infini_stage_ask_set(struct infini_link *link, struct infini_range range,
				 const struct ggml_tensor *tensor, uint32_t from, uint64_t offset)
{
	struct infini_pending_args *args = &link->args[link->nr_jobs];
	struct infini_binding *bindings = link->bindings[link->nr_jobs];
	struct infini_job *job = infini_submit_job_locked(link);

	infini_question_header(&args->ask, INFINI_GGML_ASK_TENSOR_SET, 1);
	args->ask.kind = range.area->kind;
	args->ask.offset = offset;
	args->ask.bytes = range.bytes;
	infini_question_tensor(&args->tensor, tensor);
	args->tensor.binding = 0;
	args->tensor.offset = range.offset;
	bindings[0] = (struct infini_binding){ range.area->handle, INFINI_ACCESS_WRITE };
	bindings[1] = (struct infini_binding){ from, INFINI_ACCESS_READ };
	job->op = INFINI_OP_ASK;
	job->program_format = INFINI_FORMAT_GGML;
	job->bindings = (uintptr_t)bindings;
	job->nr_bindings = 2;
	job->args = (uintptr_t)args;
	job->args_bytes = sizeof(*args);
	job->timeout_ns = link->query.max_timeout_ns;
	infini_submit_push_locked(link);
}

/* A whole tensor into memory that the backend lays out itself: never in pieces. */
void infini_stage_tensor_locked(struct infini_link *link, struct infini_range range,
				const struct ggml_tensor *tensor, const void *data)
{
	uint64_t offset, room;
	int err;

	if (link->broken)
		return;
	range.area->written = true;
	infini_trace_add(INFINI_TRACE_STAGED_BYTES, range.bytes);
	if (infini_stage_grow_locked(link, range.bytes * INFINI_STAGE_SEGMENTS))
		return;
	if (range.bytes <= link->stage.segment_bytes) {
		if (infini_stage_room(link, range.bytes, &offset, &room))
			return;
		memcpy(link->stage.base + offset, data, range.bytes);
		infini_stage_take(link, range.bytes);
		infini_stage_ask_set(link, range, tensor, link->stage.handle, offset);
		return;
	}
	err = infini_stage_bounce(link, range.bytes);
	if (err) {
		infini_submit_break_locked(link, err, "uploading weights");
		return;
	}
	memcpy(link->bounce.base, data, range.bytes);
	infini_stage_ask_set(link, range, tensor, link->bounce.handle, 0);
	if (!infini_submit_flush_locked(link))
		link->bounce.seqno = link->submitted;
}
