// SPDX-License-Identifier: GPL-2.0-or-later
/* SUBMIT: what a job may say, batches, strides, waiting in the same call. */
#include <infini/null.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "infini.h"
#include "world.h"

#define HANDLE_NONE	77

/* What the rows below refer to; made once per test. */
static struct {
	struct world world;
	uint32_t queue, buffer, program;
} at;

static void setup(enum world_executor executor)
{
	world_make(&at.world, &(struct setup){ .executor = executor });
	at.queue = queue_make(at.world.client, 8);
	at.buffer = buffer_make(at.world.client, INFINI_BUFFER_SHARED, 0, 4096);
	at.program = program_make(at.world.client, 0, 1, 0);
}

static void contract(void)
{
	const struct infini_job job = job_nop();
	struct infini_submit valid = {
		.size = sizeof(valid), .nr_jobs = 1, .jobs = (uintptr_t)&job,
		.jobs_stride = sizeof(job),
		.flags = INFINI_SUBMIT_F_WAIT | INFINI_SUBMIT_F_RATE_NOWAIT,
		.deadline_ns = INFINI_FOREVER,
	};
	const struct command command = {
		"SUBMIT", INFINI_IOC_SUBMIT, &valid, sizeof(valid), sizeof(valid), 0, NULL
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_submit, queue, HANDLE_NONE, -ENOENT),
		WRONG(infini_submit, queue, 0, -ENOENT),
		WRONG(infini_submit, nr_jobs, 0, -EINVAL),
		WRONG(infini_submit, nr_jobs, 65, -EINVAL),
		WRONG(infini_submit, nr_jobs, UINT32_MAX, -EINVAL),
		WRONG(infini_submit, jobs, 0, -EFAULT),
		WRONG(infini_submit, jobs, 8, -EFAULT),
		WRONG(infini_submit, jobs_stride, 0, -EINVAL),
		WRONG(infini_submit, jobs_stride, sizeof(job) - 8, -EINVAL),
		WRONG(infini_submit, jobs_stride, 8192, -EINVAL),
		WRONG(infini_submit, deadline_ns, 1ULL << 63, -EINVAL),
		/* A deadline without waiting. */
		WRONG(infini_submit, flags, 0, -EINVAL),
		WRONG(infini_submit, flags, INFINI_SUBMIT_F_RATE_NOWAIT, -EINVAL),
		WRONG(infini_submit, pad, 1, -EINVAL),
	};

	setup(WORLD_PROCESS);
	valid.queue = at.queue;
	test_command(at.world.client, &command);
	test_wrong_fields(at.world.client, &command, wrong, ARRAY_SIZE(wrong));
}

struct job_row {
	const char *name;
	struct infini_job job;
	int want;
};

static void job_rows(const struct job_row *rows, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		struct infini_job job = rows[i].job;
		uint64_t seqno;
		int err;

		if (job.dst == 1)
			job.dst = at.buffer;
		if (job.src == 1)
			job.src = at.buffer;
		if (job.program == 1)
			job.program = at.program;
		err = submit(at.world.client, at.queue, &job, 1, NULL, &seqno);
		test_row_err(rows[i].name, err, rows[i].want);
		if (!err)
			wait_for(at.world.client, at.queue, seqno, INFINI_FOREVER, NULL);
	}
}

static void plain_jobs(void)
{
	static const struct job_row rows[] = {
		{ "NOP", { .op = INFINI_OP_NOP }, 0 },
		{ "a flag", { .op = INFINI_OP_NOP, .flags = 1 }, -EINVAL },
		{ "padding", { .op = INFINI_OP_NOP, .pad = 1 }, -EINVAL },
		{ "an unknown operation", { .op = 5 }, -EINVAL },
		{ "ALLOC, which only dispatches have", { .op = INFINI_OP_ALLOC }, -EINVAL },
		{ "BUFFER_FREE, likewise", { .op = INFINI_OP_BUFFER_FREE }, -EINVAL },
		{ "the largest operation", { .op = UINT32_MAX }, -EINVAL },
		{ "NOP with a program", { .op = INFINI_OP_NOP, .program = 1 }, -EINVAL },
		{ "NOP with a format", { .op = INFINI_OP_NOP, .program_format = 1 }, -EINVAL },
		{ "NOP with bindings", { .op = INFINI_OP_NOP, .nr_bindings = 1 }, -EINVAL },
		{ "NOP with inputs", { .op = INFINI_OP_NOP, .nr_inputs = 1 }, -EINVAL },
		{ "NOP with outputs", { .op = INFINI_OP_NOP, .nr_outputs = 1 }, -EINVAL },
		{ "NOP with arguments", { .op = INFINI_OP_NOP, .args_bytes = 1 }, -EINVAL },
		{ "NOP with a pointer", { .op = INFINI_OP_NOP, .bindings = 8 }, -EINVAL },
		{ "NOP with a destination", { .op = INFINI_OP_NOP, .dst = 1 }, -EINVAL },
		{ "NOP with a source", { .op = INFINI_OP_NOP, .src = 1 }, -EINVAL },
		{ "NOP with bytes", { .op = INFINI_OP_NOP, .bytes = 1 }, -EINVAL },
		{ "NOP with a value", { .op = INFINI_OP_NOP, .value = 1 }, -EINVAL },
		{ "NOP with tokens", { .op = INFINI_OP_NOP, .tokens_generated = 5 }, 0 },
		{ "more tokens than there are",
		  { .op = INFINI_OP_NOP, .tokens_generated = UINT32_MAX }, -EINVAL },
		{ "the longest timeout", { .op = INFINI_OP_NOP, .timeout_ns = 600000000000 }, 0 },
		{ "a longer timeout",
		  { .op = INFINI_OP_NOP, .timeout_ns = 600000000001 }, -EINVAL },
		{ "FILL", { .op = INFINI_OP_FILL, .dst = 1, .bytes = 4096, .value = 255 }, 0 },
		{ "FILL of nothing", { .op = INFINI_OP_FILL, .dst = 1 }, 0 },
		{ "FILL at the end", { .op = INFINI_OP_FILL, .dst = 1, .dst_offset = 4096 }, 0 },
		{ "FILL behind the end",
		  { .op = INFINI_OP_FILL, .dst = 1, .dst_offset = 4096, .bytes = 1 }, -EINVAL },
		{ "FILL that wraps",
		  { .op = INFINI_OP_FILL, .dst = 1, .dst_offset = 16, .bytes = UINT64_MAX },
		  -EINVAL },
		{ "FILL with value 256",
		  { .op = INFINI_OP_FILL, .dst = 1, .bytes = 1, .value = 256 }, -EINVAL },
		{ "FILL with a source", { .op = INFINI_OP_FILL, .dst = 1, .src = 1 }, -EINVAL },
		{ "FILL of no buffer", { .op = INFINI_OP_FILL, .bytes = 1 }, -ENOENT },
		{ "COPY", { .op = INFINI_OP_COPY, .dst = 1, .src = 1, .bytes = 2048 }, 0 },
		{ "COPY from behind the end",
		  { .op = INFINI_OP_COPY, .dst = 1, .src = 1, .src_offset = 4096, .bytes = 1 },
		  -EINVAL },
		{ "COPY to behind the end",
		  { .op = INFINI_OP_COPY, .dst = 1, .src = 1, .dst_offset = 4095, .bytes = 2 },
		  -EINVAL },
		{ "COPY with a value",
		  { .op = INFINI_OP_COPY, .dst = 1, .src = 1, .value = 1 }, -EINVAL },
		{ "COPY from no buffer",
		  { .op = INFINI_OP_COPY, .dst = 1, .src = HANDLE_NONE }, -ENOENT },
	};

	setup(WORLD_PROCESS);
	job_rows(rows, ARRAY_SIZE(rows));
}

static void program_jobs(void)
{
	static const struct job_row rows[] = {
		{ "PROGRAM", { .op = INFINI_OP_PROGRAM, .program = 1 }, 0 },
		{ "no program", { .op = INFINI_OP_PROGRAM }, -ENOENT },
		{ "an unknown program",
		  { .op = INFINI_OP_PROGRAM, .program = HANDLE_NONE }, -ENOENT },
		{ "PROGRAM with a format",
		  { .op = INFINI_OP_PROGRAM, .program = 1, .program_format = 1 }, -EINVAL },
		{ "PROGRAM with a destination",
		  { .op = INFINI_OP_PROGRAM, .program = 1, .dst = 1 }, -EINVAL },
		{ "PROGRAM with a value",
		  { .op = INFINI_OP_PROGRAM, .program = 1, .value = 1 }, -EINVAL },
		{ "65 bindings",
		  { .op = INFINI_OP_PROGRAM, .program = 1, .nr_bindings = 65 }, -EINVAL },
		{ "65 inputs", { .op = INFINI_OP_PROGRAM, .program = 1, .nr_inputs = 65 },
		  -EINVAL },
		{ "65 outputs", { .op = INFINI_OP_PROGRAM, .program = 1, .nr_outputs = 65 },
		  -EINVAL },
		{ "too many arguments",
		  { .op = INFINI_OP_PROGRAM, .program = 1, .args_bytes = (1 << 20) + 1 },
		  -EINVAL },
		{ "bindings from nowhere",
		  { .op = INFINI_OP_PROGRAM, .program = 1, .nr_bindings = 1, .bindings = 8 },
		  -EFAULT },
		{ "inputs from nowhere",
		  { .op = INFINI_OP_PROGRAM, .program = 1, .nr_inputs = 1, .inputs = 8 },
		  -EFAULT },
		{ "outputs from nowhere",
		  { .op = INFINI_OP_PROGRAM, .program = 1, .nr_outputs = 1, .outputs = 8 },
		  -EFAULT },
		{ "arguments from nowhere",
		  { .op = INFINI_OP_PROGRAM, .program = 1, .args_bytes = 8, .args = 8 },
		  -EFAULT },
		{ "ASK", { .op = INFINI_OP_ASK, .program_format = INFINI_FORMAT_NULL }, 0 },
		{ "ASK without a format", { .op = INFINI_OP_ASK }, -EINVAL },
		{ "ASK with a program",
		  { .op = INFINI_OP_ASK, .program_format = 1, .program = 1 }, -EINVAL },
	};

	setup(WORLD_PROCESS);
	job_rows(rows, ARRAY_SIZE(rows));
}

static int submit_parts(const struct infini_binding *binding, const struct infini_input *input,
			const struct infini_output *output)
{
	struct infini_job job = job_program(at.program);
	uint64_t seqno;
	int err;

	job.nr_bindings = !!binding;
	job.bindings = (uintptr_t)binding;
	job.nr_inputs = !!input;
	job.inputs = (uintptr_t)input;
	job.nr_outputs = !!output;
	job.outputs = (uintptr_t)output;
	err = submit(at.world.client, at.queue, &job, 1, NULL, &seqno);
	if (!err)
		wait_for(at.world.client, at.queue, seqno, INFINI_FOREVER, NULL);
	return err;
}

static void parts_of_jobs(void)
{
	static const char data[8] = "abcdefg";
	static const struct {
		const char *name;
		struct infini_binding binding;
		struct infini_input input;
		struct infini_output output;
		int want;
	} rows[] = {
		{ "all as it should be", { 1, 3 }, { .bytes = 8, .offset = 4088 },
		  { .bytes = 8, .dst_offset = 4088 }, 0 },
		{ "no access", { 1, 0 }, { .bytes = 8 }, { .bytes = 8 }, -EINVAL },
		{ "unknown access", { 1, 4 }, { .bytes = 8 }, { .bytes = 8 }, -EINVAL },
		{ "unknown buffer", { HANDLE_NONE, 1 }, { .bytes = 8 }, { .bytes = 8 }, -ENOENT },
		{ "input of binding 1", { 1, 3 }, { .binding = 1 }, { 0 }, -EINVAL },
		{ "input behind the end", { 1, 3 }, { .bytes = 8, .offset = 4089 }, { 0 },
		  -EINVAL },
		{ "input that wraps", { 1, 3 }, { .bytes = 8, .offset = UINT64_MAX - 4 }, { 0 },
		  -EINVAL },
		{ "input that is too long", { 1, 3 }, { .bytes = UINT32_MAX }, { 0 }, -EINVAL },
		{ "output from binding 1", { 1, 3 }, { 0 }, { .src_binding = 1 }, -EINVAL },
		{ "output to binding 1", { 1, 3 }, { 0 }, { .dst_binding = 1 }, -EINVAL },
		{ "output from behind the end", { 1, 3 }, { 0 },
		  { .src_offset = 4090, .bytes = 7 }, -EINVAL },
		{ "output to behind the end", { 1, 3 }, { 0 },
		  { .dst_offset = 4090, .bytes = 7 }, -EINVAL },
		{ "output that wraps", { 1, 3 }, { 0 },
		  { .src_offset = 8, .bytes = UINT64_MAX }, -EINVAL },
	};
	struct infini_vdev_stats before, stats;
	size_t i;

	setup(WORLD_PROCESS);
	stats_get(at.world.client, &before);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct infini_binding binding = rows[i].binding;
		struct infini_input input = rows[i].input;

		if (binding.buffer == 1)
			binding.buffer = at.buffer;
		input.data = (uintptr_t)data;
		test_row_err(rows[i].name, submit_parts(&binding, &input, &rows[i].output),
			     rows[i].want);
	}
	/* What was refused holds nothing: the buffer can go at once. */
	CHECK_ERR(destroy(at.world.client, INFINI_IOC_BUFFER_DESTROY, at.buffer), 0);
	AWAIT((stats_get(at.world.client, &stats), stats.buffers == before.buffers - 1));
}

/* As much as may ride in one job, and a byte more. */
static void inline_limit(void)
{
	static uint8_t data[1 << 20];
	struct infini_binding binding = { .access = INFINI_ACCESS_WRITE };
	struct infini_input input = { .bytes = sizeof(data), .data = (uintptr_t)data };
	struct infini_job job;
	uint8_t *map;
	size_t i;

	setup(WORLD_PROCESS);
	for (i = 0; i < sizeof(data); i++)
		data[i] = i * 13 >> 3;
	binding.buffer = buffer_make_mapped(at.world.client, sizeof(data), &map);
	job = job_program(at.program);
	job.nr_bindings = 1;
	job.bindings = (uintptr_t)&binding;
	job.nr_inputs = 1;
	job.inputs = (uintptr_t)&input;
	CHECK_ERR(submit_wait(at.world.client, at.queue, &job, NULL), 0);
	CHECK(!memcmp(map, data, sizeof(data)));
	job.args = (uintptr_t)data;
	job.args_bytes = 1;
	CHECK_ERR(submit(at.world.client, at.queue, &job, 1, NULL, NULL), -ENOSPC);
}

static void batch(void)
{
	struct infini_job jobs[10];
	uint32_t accepted;
	uint64_t seqno;
	int i;

	setup(WORLD_NOBODY);
	for (i = 0; i < 10; i++)
		jobs[i] = job_nop();
	CHECK_ERR(submit(at.world.client, at.queue, jobs, 3, &accepted, &seqno), 0);
	CHECK_EQ(accepted, 3);
	CHECK_EQ(seqno, 3);
	/* A malformed job ends the batch before itself. */
	jobs[2].op = 99;
	CHECK_ERR(submit(at.world.client, at.queue, jobs, 4, &accepted, &seqno), 0);
	CHECK_EQ(accepted, 2);
	CHECK_EQ(seqno, 5);
	CHECK_ERR(submit(at.world.client, at.queue, jobs + 2, 1, &accepted, &seqno), -EINVAL);
	CHECK_EQ(accepted, 0);
	/* So does a full queue. */
	CHECK_ERR(submit(at.world.client, at.queue, jobs + 3, 7, &accepted, &seqno), 0);
	CHECK_EQ(accepted, 3);
	CHECK_EQ(seqno, 8);
	CHECK_ERR(submit(at.world.client, at.queue, jobs, 1, &accepted, &seqno), -EAGAIN);
}

/* Elements of another size: those of a newer program, with and without what we do not know. */
static void strides(void)
{
	struct {
		struct infini_job job;
		uint64_t newer;
	} jobs[3] = { 0 };
	struct infini_submit arg = {
		.nr_jobs = 3, .jobs = (uintptr_t)jobs, .jobs_stride = sizeof(jobs[0]),
	};

	setup(WORLD_NOBODY);
	arg.queue = at.queue;
	CHECK_ERR(infini_submit(at.world.client, &arg), 0);
	CHECK_EQ(arg.accepted, 3);
	jobs[1].newer = 1;
	CHECK_ERR(infini_submit(at.world.client, &arg), 0);
	CHECK_EQ(arg.accepted, 1);
	jobs[0].newer = 1;
	CHECK_ERR(infini_submit(at.world.client, &arg), -E2BIG);
}

/* A job whose element reaches into a hole is not taken; those before it are. */
static void array_into_a_hole(void)
{
	struct infini_job *jobs = test_before_hole(2 * sizeof(*jobs));
	uint32_t accepted;

	setup(WORLD_NOBODY);
	memset(jobs, 0, 2 * sizeof(*jobs));
	CHECK_ERR(submit(at.world.client, at.queue, jobs, 3, &accepted, NULL), 0);
	CHECK_EQ(accepted, 2);
	CHECK_ERR(submit(at.world.client, at.queue, jobs + 2, 1, &accepted, NULL), -EFAULT);
}

static void waiting_batch(void)
{
	struct infini_job jobs[4] = { job_nop(), job_nop(), job_nop(), job_nop() };
	struct infini_submit arg = {
		.flags = INFINI_SUBMIT_F_WAIT, .nr_jobs = 4, .jobs = (uintptr_t)jobs,
		.jobs_stride = sizeof(jobs[0]), .deadline_ns = INFINI_FOREVER,
	};

	setup(WORLD_PROCESS);
	arg.queue = at.queue;
	CHECK_ERR(infini_submit(at.world.client, &arg), 0);
	CHECK_EQ(arg.status, 0);
	CHECK_EQ(arg.last_seqno, 4);
	/* The first bad status, although the last is good. */
	jobs[1] = job_program(at.program);
	jobs[1].nr_bindings = 0;
	at.world.fake->status = -EIO;
	CHECK_ERR(infini_submit(at.world.client, &arg), 0);
	CHECK_EQ(arg.status, -EIO);
	at.world.fake->status = 0;
	/* Nobody answers in time: accepted all the same. */
	at.world.fake->hold = 1;
	arg.deadline_ns = test_deadline(SECOND / 20);
	CHECK_ERR(infini_submit(at.world.client, &arg), -ETIMEDOUT);
	CHECK_EQ(arg.accepted, 4);
	CHECK_EQ(arg.last_seqno, 12);
	at.world.fake->hold = 0;
	CHECK_ERR(wait_for(at.world.client, at.queue, 12, INFINI_FOREVER, NULL), 0);
}

static void ask(void)
{
	static const uint8_t question[5] = { 1, 2, 3, 4, 5 };
	struct infini_job job = {
		.op = INFINI_OP_ASK, .program_format = INFINI_FORMAT_NULL,
		.args = (uintptr_t)question, .args_bytes = sizeof(question),
	};
	uint64_t value;

	setup(WORLD_PROCESS);
	CHECK_ERR(submit_wait(at.world.client, at.queue, &job, &value), 0);
	CHECK_EQ(value, 15);
}

/* A slot is used again after a large job: nothing of it is seen by the next. */
static void slot_reuse(void)
{
	static uint8_t data[5000];
	struct infini_binding bindings[3];
	struct infini_dispatch dispatch;
	struct infini_job job, small;
	struct world *world = &at.world;
	uint32_t queue;
	int i;

	setup(WORLD_BY_HAND);
	queue = queue_make(world->client, 1);
	for (i = 0; i < 3; i++)
		bindings[i] = (struct infini_binding){ at.buffer, INFINI_ACCESS_READ };
	job = job_program(at.program);
	job.nr_bindings = 3;
	job.bindings = (uintptr_t)bindings;
	job.args = (uintptr_t)data;
	job.args_bytes = sizeof(data);
	job.request_id = 9;
	small = job_fill(at.buffer, 1, 2, 3);
	for (i = 0; i < 3; i++) {
		submit_one(world->client, queue, &job);
		hand_take(world, &dispatch);
		CHECK_EQ(dispatch.nr_bindings, 3);
		CHECK_EQ(dispatch.args_bytes, sizeof(data));
		CHECK_ERR(hand_give(world, dispatch.dispatch, 0, 0), 0);
		submit_one(world->client, queue, &small);
		hand_take(world, &dispatch);
		CHECK_EQ(dispatch.nr_bindings, 1);
		CHECK_EQ(dispatch.args_bytes, 0);
		CHECK_EQ(dispatch.object, 0);
		CHECK_EQ(dispatch.request_id, 0);
		CHECK_EQ(dispatch.value, 3);
		CHECK_ERR(hand_give(world, dispatch.dispatch, 0, 0), 0);
	}
}

static const struct test tests[] = {
	{ "sizes, flags and fields", contract },
	{ "NOP, FILL, COPY: right and wrong", plain_jobs },
	{ "PROGRAM, ASK: right and wrong", program_jobs },
	{ "bindings, inputs and outputs: right and wrong", parts_of_jobs },
	{ "as many inline bytes as there may be", inline_limit },
	{ "a batch ends before what is malformed or does not fit", batch },
	{ "newer and unknown elements", strides },
	{ "an array that reaches into a hole", array_into_a_hole },
	{ "waiting in the same call", waiting_batch },
	{ "a question to the backend", ask },
	{ "a slot that is used again", slot_reuse },
};

TEST_MAIN(tests)
