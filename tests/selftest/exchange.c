// SPDX-License-Identifier: GPL-2.0-or-later
/* EXCHANGE, step by step: order, windows, yielding, late and false results, payloads. */
#include <infini/null.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "infini.h"
#include "world.h"

#define WINDOW	4

static struct infini_job nop;

static void contract(void)
{
	static uint8_t payload[(1 << 20) + 65536];
	struct infini_dispatch dispatches[2];
	struct infini_result result = { 0 };
	struct infini_exchange valid = {
		.size = sizeof(valid),
		.dispatches = (uintptr_t)dispatches,
		.nr_dispatches = 2,
		.dispatches_stride = sizeof(dispatches[0]),
		.payload = (uintptr_t)payload,
		.payload_bytes = sizeof(payload),
	};
	const struct command command = {
		"EXCHANGE", INFINI_IOC_EXCHANGE, &valid, sizeof(valid), sizeof(valid), 0, NULL
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_exchange, nr_results, 17, -EINVAL),
		WRONG(infini_exchange, deadline_ns, 1ULL << 63, -EINVAL),
		WRONG(infini_exchange, dispatches_stride, 8, -EINVAL),
		WRONG(infini_exchange, dispatches_stride, 8192, -EINVAL),
		WRONG(infini_exchange, payload_bytes, 4096, -EINVAL),
		WRONG(infini_exchange, results_stride, 8192, -EINVAL),
		/* One result, but the stride is 0. */
		WRONG(infini_exchange, nr_results, 1, -EINVAL),
	};
	struct world world;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	CHECK(world.payload_bytes <= sizeof(payload));
	test_command(world.executor, &command);
	test_wrong_fields(world.executor, &command, wrong, ARRAY_SIZE(wrong));
	valid.nr_results = 1;
	valid.results_stride = sizeof(result);
	valid.results = 8;
	CHECK_ERR(test_ioctl(world.executor, INFINI_IOC_EXCHANGE, &valid), -EFAULT);
}

static void in_order(void)
{
	struct infini_dispatch dispatch;
	struct world world;
	uint32_t queue;
	uint64_t value;
	int i, status;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 8);
	for (i = 1; i <= 5; i++) {
		nop.request_id = 100 + i;
		CHECK_EQ(submit_one(world.client, queue, &nop), i);
	}
	for (i = 1; i <= 5; i++) {
		struct infini_wait wait = { .queue = queue, .seqno = i };

		hand_take(&world, &dispatch);
		CHECK_EQ(dispatch.request_id, 100 + i);
		CHECK_EQ(dispatch.dispatch, i);
		CHECK_EQ(dispatch.op, INFINI_OP_NOP);
		CHECK_ERR(wait_for(world.client, queue, i, 0, &status), -ETIMEDOUT);
		CHECK_ERR(hand_give(&world, dispatch.dispatch, i == 3 ? -EIO : 0, 1000 + i), 0);
		CHECK_ERR(infini_wait(world.client, &wait), 0);
		CHECK_EQ(wait.status, i == 3 ? -EIO : 0);
		value = i == 3 ? 0 : 1000 + i;
		CHECK_EQ(wait.value, value);
	}
	CHECK_EQ(hand_look(&world, &dispatch, 1), 0);
}

static void window(void)
{
	struct infini_dispatch dispatches[16];
	struct infini_result results[2] = { 0 };
	struct world world;
	uint32_t queue, returned;
	int i;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND, .window = WINDOW });
	queue = queue_make(world.client, 16);
	for (i = 0; i < 10; i++)
		submit_one(world.client, queue, &nop);
	CHECK_EQ(hand_look(&world, dispatches, 16), WINDOW);
	CHECK_EQ(hand_look(&world, dispatches, 16), 0);
	results[0].dispatch = 1;
	results[1].dispatch = 2;
	CHECK_ERR(hand_exchange(&world, results, 2, dispatches, 1, 0, &returned), 0);
	CHECK_EQ(returned, 1);
	CHECK_EQ(dispatches[0].dispatch, WINDOW + 1);
	CHECK_EQ(hand_look(&world, dispatches, 16), 1);
}

/* Done out of order, the timeline waits for the first. */
static void out_of_order(void)
{
	const struct infini_timeline *timeline;
	struct infini_dispatch dispatches[WINDOW];
	struct world world;
	uint32_t queue;
	int i;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND, .window = WINDOW });
	queue = queue_make_mapped(world.client, 8, &timeline);
	for (i = 0; i < 3; i++)
		submit_one(world.client, queue, &nop);
	CHECK_EQ(hand_look(&world, dispatches, WINDOW), 3);
	CHECK_ERR(hand_give(&world, 3, 0, 3), 0);
	CHECK_ERR(hand_give(&world, 2, -EIO, 2), 0);
	CHECK_EQ(timeline->completed, 0);
	CHECK_ERR(hand_give(&world, 1, 0, 1), 0);
	CHECK_EQ(timeline->completed, 3);
	CHECK_EQ(timeline->records[1].value, 1);
	CHECK_EQ(timeline->records[2].status, -EIO);
	CHECK_EQ(timeline->records[3].value, 3);
}

static void preempted(void)
{
	struct infini_vdev_stats stats;
	struct infini_dispatch dispatch;
	struct infini_job job;
	struct world world;
	uint32_t queue, buffer, data = 7;
	struct infini_binding binding = { .access = INFINI_ACCESS_WRITE };
	struct infini_input input = { .bytes = 4, .data = (uintptr_t)&data };
	int status;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	buffer = buffer_make(world.client, INFINI_BUFFER_SHARED, 0, 4096);
	binding.buffer = buffer;
	job = job_program(program_make(world.client, 0, 10, 0));
	job.nr_bindings = 1;
	job.bindings = (uintptr_t)&binding;
	job.nr_inputs = 1;
	job.inputs = (uintptr_t)&input;
	submit_one(world.client, queue, &job);
	submit_one(world.client, queue, &nop);

	hand_take(&world, &dispatch);
	CHECK_EQ(dispatch.segment, 0);
	CHECK_EQ(dispatch.nr_inputs, 1);
	CHECK_ERR(hand_preempt(&world, dispatch.dispatch, 4), 0);
	hand_take(&world, &dispatch);
	CHECK_EQ(dispatch.op, INFINI_OP_PROGRAM);
	CHECK_EQ(dispatch.dispatch, 2);
	CHECK_EQ(dispatch.segment, 4);
	CHECK_ERR(hand_preempt(&world, dispatch.dispatch, 3), -EPROTO);
	CHECK_ERR(hand_preempt(&world, dispatch.dispatch, 4), 0);
	hand_take(&world, &dispatch);
	CHECK_EQ(dispatch.segment, 4);
	CHECK_ERR(hand_give(&world, dispatch.dispatch, 0, 10), 0);
	CHECK_ERR(wait_for(world.client, queue, 1, 0, &status), 0);
	CHECK_EQ(status, 0);
	hand_take(&world, &dispatch);
	CHECK_EQ(dispatch.op, INFINI_OP_NOP);
	CHECK_ERR(hand_give(&world, dispatch.dispatch, 0, 0), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.preemptions, 2);
	CHECK_EQ(stats.dispatches, 4);
	CHECK_EQ(stats.jobs_completed, 2);
}

/* Both jobs of a window come back; the first goes on before the second begins. */
static void preempted_window(void)
{
	struct infini_dispatch dispatches[WINDOW];
	struct infini_result results[2] = {
		{ .dispatch = 1, .state = INFINI_RESULT_PREEMPTED, .segment = 5 },
		{ .dispatch = 2, .state = INFINI_RESULT_PREEMPTED },
	};
	struct infini_job job;
	struct world world;
	uint32_t queue, returned;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND, .window = WINDOW });
	queue = queue_make(world.client, 4);
	job = job_program(program_make(world.client, 0, 10, 0));
	submit_one(world.client, queue, &job);
	submit_one(world.client, queue, &nop);
	CHECK_EQ(hand_look(&world, dispatches, WINDOW), 2);
	/* While the second is still held the first is not begun again. */
	CHECK_ERR(hand_exchange(&world, results, 1, dispatches, WINDOW, 0, &returned), 0);
	CHECK_EQ(returned, 0);
	CHECK_ERR(hand_exchange(&world, results + 1, 1, dispatches, WINDOW, 0, &returned), 0);
	CHECK_EQ(returned, 2);
	CHECK_EQ(dispatches[0].op, INFINI_OP_PROGRAM);
	CHECK_EQ(dispatches[0].segment, 5);
	CHECK_EQ(dispatches[1].op, INFINI_OP_NOP);
}

/* What was asked for comes back before a later job of its queue goes out. */
static void asked_for_nobody(void)
{
	struct infini_dispatch dispatches[WINDOW];
	struct infini_result result = { .dispatch = 1 };
	struct world world;
	struct fake *fake;
	uint32_t queue, other_queue, other, returned;
	int client, status;
	pid_t process;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND, .window = WINDOW });
	queue = queue_make(world.client, 4);
	submit_one(world.client, queue, &nop);
	submit_one(world.client, queue, &nop);
	CHECK_EQ(hand_look(&world, dispatches, WINDOW), 2);

	/* Somebody wants the slot, and goes away without having got it. */
	other = world_vdev("other", world.device_name, 16 * MIB, 0600);
	process = world_executor_start(&world, other, 1, &fake);
	client = infini_vdev_open(world.control, "other", 0);
	CHECK(client >= 0);
	other_queue = queue_make(client, 4);
	submit_one(client, other_queue, &nop);
	AWAIT(*(volatile const uint64_t *)world.yield_word >= 2);
	CHECK_ERR(destroy(client, INFINI_IOC_QUEUE_DESTROY, other_queue), 0);

	submit_one(world.client, queue, &nop);
	CHECK_ERR(hand_exchange(&world, &result, 1, dispatches, WINDOW, 0, &returned), 0);
	CHECK_EQ(returned, 0);
	result = (struct infini_result){ .dispatch = 2, .state = INFINI_RESULT_PREEMPTED };
	CHECK_ERR(hand_exchange(&world, &result, 1, dispatches, WINDOW, 0, &returned), 0);
	CHECK_EQ(returned, 2);
	CHECK_ERR(hand_give(&world, dispatches[0].dispatch, -EIO, 0), 0);
	CHECK_ERR(hand_give(&world, dispatches[1].dispatch, 0, 0), 0);
	CHECK_ERR(wait_for(world.client, queue, 2, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, -EIO);
	CHECK_ERR(wait_for(world.client, queue, 3, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, 0);
	CHECK_EQ(kill(process, SIGKILL), 0);
	CHECK_EQ(waitpid(process, &status, 0), process);
}

static void false_results(void)
{
	static const struct {
		const char *name;
		struct infini_result result;
		int want;
	} rows[] = {
		{ "dispatch 0", { .dispatch = 0 }, -ESTALE },
		{ "a dispatch to come", { .dispatch = 2 }, -ESTALE },
		{ "state 2", { .dispatch = 1, .state = 2 }, -EPROTO },
		{ "a positive status", { .dispatch = 1, .status = 1 }, -EPROTO },
		{ "status -4096", { .dispatch = 1, .status = -4096 }, -EPROTO },
		{ "preempted with a status",
		  { .dispatch = 1, .state = INFINI_RESULT_PREEMPTED, .status = -EIO }, -EPROTO },
		{ "too many tokens evaluated",
		  { .dispatch = 1, .tokens_evaluated = UINT32_MAX }, -EPROTO },
		{ "too many tokens generated",
		  { .dispatch = 1, .tokens_generated = UINT32_MAX }, -EPROTO },
		{ "more prompts than tokens",
		  { .dispatch = 1, .tokens_evaluated = 9, .tokens_generated = 1, .prompts = 2 },
		  -EPROTO },
		{ "more scored than evaluated",
		  { .dispatch = 1, .tokens_evaluated = 8, .tokens_scored = 9 }, -EPROTO },
		{ "more scored and embedded than evaluated",
		  { .dispatch = 1, .tokens_evaluated = 8, .tokens_scored = 4, .tokens_embedded = 5 },
		  -EPROTO },
		{ "scored and embedded beyond 32 bits",
		  { .dispatch = 1, .tokens_evaluated = 8, .tokens_scored = 8,
		    .tokens_embedded = UINT32_MAX }, -EPROTO },
		{ "padding", { .dispatch = 1, .pad = 1 }, -EPROTO },
		{ "right at last", { .dispatch = 1 }, 0 },
		{ "a second time", { .dispatch = 1 }, -EPROTO },
	};
	struct infini_dispatch dispatch;
	struct world world;
	uint32_t queue;
	size_t i;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	submit_one(world.client, queue, &nop);
	hand_take(&world, &dispatch);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		test_row_err(rows[i].name,
			     hand_exchange(&world, &rows[i].result, 1, NULL, 0, 0, NULL),
			     rows[i].want);
}

/* A destroyed queue's job stays with the executor until it answers, then is dropped. */
static void late_result(void)
{
	struct infini_dispatch dispatch;
	struct infini_vdev_stats stats;
	struct world world;
	uint32_t queue;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	submit_one(world.client, queue, &nop);
	submit_one(world.client, queue, &nop);
	hand_take(&world, &dispatch);
	CHECK_EQ(*world.yield_word, 0);
	CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, queue), 0);
	CHECK_EQ(*world.yield_word, dispatch.dispatch);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.jobs_failed, 1);
	CHECK_ERR(hand_give(&world, dispatch.dispatch, 0, 0), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.jobs_failed, 2);
	CHECK_EQ(stats.jobs_completed, 0);
	CHECK_EQ(stats.queues, 0);
	CHECK_EQ(hand_look(&world, &dispatch, 1), 0);
}

static void payload(void)
{
	const uint64_t args[2] = { 11, 12 };
	const char first[5] = "abcd", second[3] = "xy";
	struct infini_binding bindings[2] = {
		{ .access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE },
		{ .access = INFINI_ACCESS_READ },
	};
	struct infini_input inputs[2] = {
		{ .binding = 1, .bytes = 5, .offset = 8, .data = (uintptr_t)first },
		{ .binding = 0, .bytes = 3, .offset = 100, .data = (uintptr_t)second },
	};
	struct infini_output output = {
		.src_binding = 0, .dst_binding = 1, .src_offset = 1, .dst_offset = 2, .bytes = 3,
	};
	const struct infini_dispatch_binding *binding;
	const struct infini_output *out;
	const struct infini_input *in;
	struct infini_dispatch dispatch;
	struct infini_job job;
	struct world world;
	uint8_t *at;
	uint32_t queue;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	bindings[0].buffer = buffer_make(world.client, INFINI_BUFFER_SHARED, 0, 8192);
	bindings[1].buffer = buffer_make(world.client, INFINI_BUFFER_DEVICE, WORLD_KIND_UNIFIED,
					 4096);
	job = job_program(program_make(world.client, 0, 1, 0));
	job.nr_bindings = 2;
	job.bindings = (uintptr_t)bindings;
	job.nr_inputs = 2;
	job.inputs = (uintptr_t)inputs;
	job.nr_outputs = 1;
	job.outputs = (uintptr_t)&output;
	job.args = (uintptr_t)args;
	job.args_bytes = sizeof(args);
	submit_one(world.client, queue, &job);
	hand_take(&world, &dispatch);
	at = world.payload;
	binding = (const void *)(at + dispatch.bindings);
	in = (const void *)(at + dispatch.inputs);
	out = (const void *)(at + dispatch.outputs);
	CHECK_EQ(dispatch.nr_bindings, 2);
	CHECK_EQ(dispatch.program_format, INFINI_FORMAT_NULL);
	CHECK_EQ(dispatch.program_bytes, sizeof(struct infini_null_program));
	CHECK_EQ(binding[0].bytes, 8192);
	CHECK_EQ(binding[0].type, INFINI_BUFFER_SHARED);
	CHECK_EQ(binding[0].access, INFINI_ACCESS_READ | INFINI_ACCESS_WRITE);
	CHECK_EQ(binding[1].type, INFINI_BUFFER_DEVICE);
	CHECK(binding[0].map_offset && binding[1].map_offset);
	CHECK(binding[0].buffer != binding[1].buffer);
	CHECK_EQ(in[0].binding, 1);
	CHECK_EQ(in[0].offset, 8);
	CHECK(!memcmp(at + in[0].data, first, sizeof(first)));
	CHECK(!memcmp(at + in[1].data, second, sizeof(second)));
	CHECK_EQ(out->bytes, 3);
	CHECK_EQ(out->dst_offset, 2);
	CHECK_EQ(dispatch.args_bytes, sizeof(args));
	CHECK(!memcmp(at + dispatch.args, args, sizeof(args)));
}

/* What the caller could not be given is as if it had never been dispatched. */
static void unwritable(void)
{
	struct infini_exchange arg = {
		.nr_dispatches = 1,
		.dispatches_stride = sizeof(struct infini_dispatch),
	};
	struct infini_dispatch dispatch;
	struct infini_job job;
	struct world world;
	uint32_t queue;
	int status;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	job = job_fill(buffer_make(world.client, INFINI_BUFFER_SHARED, 0, 4096), 0, 1, 1);
	submit_one(world.client, queue, &job);
	arg.payload_bytes = world.payload_bytes;
	arg.payload = (uintptr_t)world.payload;
	arg.dispatches = 8;
	CHECK_ERR(infini_exchange(world.executor, &arg), -EFAULT);
	arg.payload = 8;
	arg.dispatches = (uintptr_t)&dispatch;
	CHECK_ERR(infini_exchange(world.executor, &arg), -EFAULT);
	hand_take(&world, &dispatch);
	CHECK_EQ(dispatch.op, INFINI_OP_FILL);
	CHECK_ERR(hand_give(&world, dispatch.dispatch, 0, 0), 0);
	CHECK_ERR(wait_for(world.client, queue, 1, 0, &status), 0);
	CHECK_EQ(status, 0);
}

static void program_read(void)
{
	struct infini_null_program program;
	struct infini_program_read valid = { .size = sizeof(valid), .bytes = 8 };
	const struct command command = {
		"PROGRAM_READ", INFINI_IOC_PROGRAM_READ, &valid, sizeof(valid), sizeof(valid), 0,
		NULL
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_program_read, program, 0, -ENOENT),
		WRONG(infini_program_read, program, 77, -ENOENT),
		WRONG(infini_program_read, program, 1ULL << 32, -EINVAL),
		WRONG(infini_program_read, offset, sizeof(program) - 7, -EINVAL),
		WRONG(infini_program_read, offset, UINT64_MAX, -EINVAL),
		WRONG(infini_program_read, bytes, sizeof(program) + 1, -EINVAL),
		WRONG(infini_program_read, bytes, UINT64_MAX, -EINVAL),
		WRONG(infini_program_read, data, 8, -EFAULT),
	};
	struct infini_dispatch dispatch;
	struct infini_job job;
	struct world world;
	uint32_t queue, handle;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	handle = program_make(world.client, 0, 5, 6);
	job = job_program(handle);
	submit_one(world.client, queue, &job);
	hand_take(&world, &dispatch);
	valid.program = dispatch.object;
	valid.data = (uintptr_t)&program;
	CHECK_ERR(infini_program_read(world.executor, dispatch.object, 0, &program,
				      sizeof(program)), 0);
	CHECK_EQ(program.segments, 5);
	CHECK_ERR(infini_program_read(world.executor, dispatch.object, 16, &program.segments, 8),
		  0);
	CHECK_EQ(program.segments, 6);
	test_command(world.executor, &command);
	test_wrong_fields(world.executor, &command, wrong, ARRAY_SIZE(wrong));
	/* Held by the job, it can still be read. */
	CHECK_ERR(destroy(world.client, INFINI_IOC_PROGRAM_DESTROY, handle), 0);
	CHECK_ERR(infini_program_read(world.executor, dispatch.object, 0, &program, 8), 0);
	CHECK_ERR(hand_give(&world, dispatch.dispatch, 0, 0), 0);
	AWAIT(infini_program_read(world.executor, dispatch.object, 0, &program, 8) == -ENOENT);
}

/* The end of an object is told once, and its charge is back when that is confirmed. */
static void notices(void)
{
	struct infini_vdev_stats before, stats;
	struct infini_dispatch dispatch;
	struct infini_job job;
	struct world world;
	uint32_t queue, buffer;
	uint64_t id;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	stats_get(world.client, &before);
	buffer = buffer_make(world.client, INFINI_BUFFER_SHARED, 0, 4096);
	job = job_fill(buffer, 0, 1, 1);
	submit_one(world.client, queue, &job);
	hand_take(&world, &dispatch);
	id = ((struct infini_dispatch_binding *)((char *)world.payload + dispatch.bindings))->buffer;
	CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, buffer), 0);
	CHECK_EQ(hand_look(&world, &dispatch, 1), 0);
	CHECK_ERR(hand_give(&world, 1, 0, 0), 0);
	CHECK_ERR(hand_exchange(&world, NULL, 0, &dispatch, 1, test_deadline(20 * SECOND), NULL),
		  0);
	CHECK_EQ(dispatch.op, INFINI_OP_BUFFER_FREE);
	CHECK_EQ(dispatch.dispatch, 0);
	CHECK_EQ(dispatch.object, id);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.buffers, 1);
	CHECK_EQ(hand_look(&world, &dispatch, 1), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.buffers, 0);
}

/* Who could not be told has not been told: the next call does not confirm it. */
static void notices_unwritable(void)
{
	struct infini_exchange arg = {
		.nr_dispatches = 2,
		.dispatches_stride = sizeof(struct infini_dispatch),
	};
	struct infini_dispatch dispatches[3];
	struct infini_vdev_stats stats;
	struct infini_job job;
	struct world world;
	uint32_t queue, first, second, i;
	uint64_t ids[2];

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	first = buffer_make(world.client, INFINI_BUFFER_SHARED, 0, 4096);
	second = buffer_make(world.client, INFINI_BUFFER_SHARED, 0, 4096);
	job = job_copy(first, 0, second, 0, 1);
	submit_one(world.client, queue, &job);
	hand_take(&world, &dispatches[0]);
	for (i = 0; i < 2; i++)
		ids[i] = ((struct infini_dispatch_binding *)((char *)world.payload +
							     dispatches[0].bindings))[i].buffer;
	CHECK_ERR(hand_give(&world, 1, 0, 0), 0);
	CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, first), 0);
	CHECK_ERR(destroy(world.client, INFINI_IOC_BUFFER_DESTROY, second), 0);

	arg.payload_bytes = world.payload_bytes;
	arg.payload = (uintptr_t)world.payload;
	arg.dispatches = 8;
	arg.deadline_ns = test_deadline(20 * SECOND);
	for (i = 0; i < 2; i++) {
		CHECK_ERR(infini_exchange(world.executor, &arg), -EFAULT);
		CHECK_EQ(arg.returned, 0);
	}
	stats_get(world.client, &stats);
	CHECK_EQ(stats.buffers, 2);
	arg.dispatches = (uintptr_t)dispatches;
	CHECK_ERR(infini_exchange(world.executor, &arg), 0);
	CHECK_EQ(arg.returned, 2);
	for (i = 0; i < 2; i++) {
		CHECK_EQ(dispatches[i].op, INFINI_OP_BUFFER_FREE);
		CHECK_EQ(dispatches[i].object, ids[i]);
	}
	CHECK_EQ(hand_look(&world, dispatches, 3), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.buffers, 0);
}

struct waiting {
	struct world *world;
	struct infini_dispatch dispatch;
	uint32_t returned;
	int err;
};

static void *wait_inside(void *arg)
{
	struct waiting *waiting = arg;

	waiting->err = hand_exchange(waiting->world, NULL, 0, &waiting->dispatch, 1, INFINI_FOREVER,
				     &waiting->returned);
	return NULL;
}

/* A second thread does not wait behind the first one's waiting, and does not disturb it. */
static void two_threads(void)
{
	struct waiting waiting = { .err = 1 };
	struct infini_dispatch dispatch;
	struct world world;
	pthread_t thread;
	uint32_t queue;
	int i, status;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	waiting.world = &world;
	CHECK_EQ(pthread_create(&thread, NULL, wait_inside, &waiting), 0);
	AWAIT(hand_exchange(&world, NULL, 0, NULL, 0, 0, NULL) == -EBUSY);
	for (i = 0; i < 3; i++)
		CHECK_ERR(hand_exchange(&world, NULL, 0, &dispatch, 1, INFINI_FOREVER, NULL),
			  -EBUSY);
	submit_one(world.client, queue, &nop);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	CHECK_ERR(waiting.err, 0);
	CHECK_EQ(waiting.returned, 1);
	CHECK_ERR(hand_give(&world, waiting.dispatch.dispatch, 0, 0), 0);
	CHECK_ERR(wait_for(world.client, queue, 1, 0, &status), 0);
	CHECK_ERR(status, 0);
}

static void held_bytes(void)
{
	struct infini_exchange arg = { .held_bytes = 5 * MIB };
	struct infini_vdev_stats before, stats;
	struct world world;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	stats_get(world.client, &before);
	CHECK_ERR(infini_exchange(world.executor, &arg), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes - before.memory_used_bytes, 5 * MIB);
	arg.held_bytes = UINT64_MAX;
	CHECK_ERR(infini_exchange(world.executor, &arg), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes - before.memory_used_bytes, 1024 * MIB);
	arg.held_bytes = 0;
	CHECK_ERR(infini_exchange(world.executor, &arg), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.memory_used_bytes, before.memory_used_bytes);
}

/* Tokens: the larger of what the client said and what the backend counted. */
static void tokens(void)
{
	struct infini_result result = {
		.dispatch = 1, .tokens_evaluated = 4, .tokens_generated = 9,
	};
	struct infini_vdev_stats stats;
	struct infini_dispatch dispatch;
	struct infini_job job = job_nop();
	struct world world;
	uint32_t queue;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	job.tokens_evaluated = 5;
	job.tokens_generated = 8;
	submit_one(world.client, queue, &job);
	hand_take(&world, &dispatch);
	CHECK_ERR(hand_exchange(&world, &result, 1, NULL, 0, 0, NULL), 0);
	stats_get(world.client, &stats);
	CHECK_EQ(stats.tokens_evaluated, 5);
	CHECK_EQ(stats.tokens_generated, 9);
}

/*
 * One job each: what the client says, what the backend counts, and what of it belongs to prompts.
 * @stride: what the executor says that a result takes; 0 for all of it.
 */
static void token_kinds(void)
{
	enum { OLD = offsetof(struct infini_result, prompts) };
	static const struct {
		const char *name;
		struct infini_result result;
		uint32_t evaluated, generated, prompt, prompts, scored, embedded, stride;
	} rows[] = {
		{ "part of a prompt", { .tokens_evaluated = 512 }, .prompt = 512 },
		{ "its end", { .tokens_evaluated = 88, .tokens_generated = 1, .prompts = 1 },
		  .prompt = 88, .prompts = 1 },
		{ "a prompt of one token", { .tokens_evaluated = 1, .tokens_generated = 1, .prompts = 1 },
		  .prompt = 1, .prompts = 1 },
		{ "a token", { .tokens_evaluated = 1, .tokens_generated = 1 }, .prompt = 0 },
		{ "two prompts and three sequences",
		  { .tokens_evaluated = 23, .tokens_generated = 5, .prompts = 2 },
		  .prompt = 20, .prompts = 2 },
		{ "a text scored", { .tokens_evaluated = 64, .tokens_scored = 64 }, .scored = 64 },
		{ "embeddings", { .tokens_evaluated = 7, .tokens_embedded = 7 }, .embedded = 7 },
		{ "of everything",
		  { .tokens_evaluated = 40, .tokens_generated = 3, .prompts = 1, .tokens_scored = 5,
		    .tokens_embedded = 6 }, .prompt = 27, .prompts = 1, .scored = 5, .embedded = 6 },
		{ "the client says more evaluated",
		  { .tokens_evaluated = 4, .tokens_generated = 1, .prompts = 1 },
		  .evaluated = 10, .prompt = 10, .prompts = 1 },
		{ "the client says more generated", { .tokens_evaluated = 4, .tokens_scored = 4 },
		  .generated = 3, .prompt = 0, .scored = 4 },
		{ "an executor of old", { .tokens_evaluated = 16, .tokens_generated = 1, .prompts = 1 },
		  .prompt = 15, .prompts = 0, .stride = OLD },
	};
	struct infini_vdev_stats before, stats;
	struct infini_dispatch dispatch;
	struct world world;
	uint32_t queue;
	size_t i;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		struct infini_result result = rows[i].result;
		struct infini_exchange arg = {
			.results = (uintptr_t)&result, .nr_results = 1,
			.results_stride = rows[i].stride ? rows[i].stride : sizeof(result),
		};
		struct infini_job job = job_nop();

		stats_get(world.client, &before);
		job.tokens_evaluated = rows[i].evaluated;
		job.tokens_generated = rows[i].generated;
		submit_one(world.client, queue, &job);
		hand_take(&world, &dispatch);
		result.dispatch = dispatch.dispatch;
		test_row_err(rows[i].name, infini_exchange(world.executor, &arg), 0);
		stats_get(world.client, &stats);
		test_row(rows[i].name, stats.tokens_prompt - before.tokens_prompt,
			    rows[i].prompt);
		test_row(rows[i].name, stats.prompts - before.prompts, rows[i].prompts);
		test_row(rows[i].name, stats.tokens_scored - before.tokens_scored,
			    rows[i].scored);
		test_row(rows[i].name, stats.tokens_embedded - before.tokens_embedded,
			    rows[i].embedded);
	}
}

static const struct test tests[] = {
	{ "sizes, flags and fields", contract },
	{ "jobs come in order and end with their status", in_order },
	{ "never more than the window", window },
	{ "out of order, the timeline waits for the first", out_of_order },
	{ "a preempted job goes on where it was", preempted },
	{ "a preempted window begins again from the first", preempted_window },
	{ "what was asked for comes back before the next goes out", asked_for_nobody },
	{ "false results are refused", false_results },
	{ "a result for a destroyed queue is dropped", late_result },
	{ "the payload has bindings, inputs, outputs and arguments", payload },
	{ "jobs survive an area that cannot be written", unwritable },
	{ "PROGRAM_READ", program_read },
	{ "the end of a buffer is told and confirmed", notices },
	{ "an end that could not be told is told again", notices_unwritable },
	{ "one thread waits, a second one is refused", two_threads },
	{ "memory the worker holds is the vdev's", held_bytes },
	{ "tokens are the larger of two counts", tokens },
	{ "tokens of prompts, scored and embedded ones are told apart", token_kinds },
};

TEST_MAIN(tests)
