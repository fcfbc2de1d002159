// SPDX-License-Identifier: GPL-2.0-or-later
/* An executor in a process of its own that does what the null backend does. */
#include <infini/null.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "infini.h"
#include "world.h"

#define WINDOW_MAX	16
#define OBJECTS_MAX	256

struct object {
	uint64_t id;
	uint64_t bytes;
	bool mapped;
	uint8_t *at;
};

struct executor {
	int fd;
	struct fake *fake;
	const uint64_t *word;
	uint8_t *payload;
	size_t payload_bytes;
	struct object buffers[OBJECTS_MAX];
	uint32_t window;
};

static void quit(struct executor *executor, int err)
{
	executor->fake->ended = err ? -err : -1;
	_exit(0);
}

static struct object *object_find(struct executor *executor, uint64_t id)
{
	int i;

	for (i = 0; i < OBJECTS_MAX; i++)
		if (executor->buffers[i].id == id)
			return &executor->buffers[i];
	return NULL;
}

static void object_forget(struct executor *executor, uint64_t id)
{
	struct object *object = object_find(executor, id);

	if (!object)
		return;
	if (object->mapped)
		munmap(object->at, object->bytes);
	else
		free(object->at);
	memset(object, 0, sizeof(*object));
}

static const struct infini_dispatch_binding *binding(const struct executor *executor,
						     const struct infini_dispatch *dispatch,
						     uint32_t index)
{
	const struct infini_dispatch_binding *bindings =
		(const void *)(executor->payload + dispatch->bindings);

	return &bindings[index];
}

static uint8_t *file_memory(struct executor *executor, const struct infini_dispatch_binding *from)
{
	uint64_t offset;
	int fd = infini_buffer_receive(executor->fd, from->buffer, &offset);
	void *at;

	if (fd < 0)
		return NULL;
	at = mmap(NULL, from->bytes, PROT_READ, MAP_SHARED, fd, offset);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

/* Where binding @index lies here; NULL when it cannot be had. */
static uint8_t *memory(struct executor *executor, const struct infini_dispatch *dispatch,
		       uint32_t index)
{
	const struct infini_dispatch_binding *from = binding(executor, dispatch, index);
	struct object *object = object_find(executor, from->buffer);

	if (object)
		return object->at;
	object = object_find(executor, 0);
	if (!object)
		return NULL;
	if (from->type == INFINI_BUFFER_FILE) {
		object->at = file_memory(executor, from);
		if (!object->at)
			return NULL;
	} else if (!from->map_offset) {
		object->at = calloc(1, from->bytes);
	} else if (infini_executor_map(executor->fd, from->map_offset, from->bytes,
				       (void **)&object->at)) {
		return NULL;
	}
	object->mapped = from->map_offset || from->type == INFINI_BUFFER_FILE;
	object->bytes = from->bytes;
	object->id = from->buffer;
	return object->at;
}

static void inputs(struct executor *executor, const struct infini_dispatch *dispatch)
{
	const struct infini_input *input = (const void *)(executor->payload + dispatch->inputs);
	uint32_t i;

	for (i = 0; i < dispatch->nr_inputs; i++)
		memcpy(memory(executor, dispatch, input[i].binding) + input[i].offset,
		       executor->payload + input[i].data, input[i].bytes);
}

static void outputs(struct executor *executor, const struct infini_dispatch *dispatch)
{
	const struct infini_output *output = (const void *)(executor->payload + dispatch->outputs);
	uint32_t i;

	for (i = 0; i < dispatch->nr_outputs; i++)
		memcpy(memory(executor, dispatch, output[i].dst_binding) + output[i].dst_offset,
		       memory(executor, dispatch, output[i].src_binding) + output[i].src_offset,
		       output[i].bytes);
}

static bool asked_to_yield(const struct executor *executor, const struct infini_dispatch *dispatch)
{
	return !executor->fake->deaf &&
	       __atomic_load_n(executor->word, __ATOMIC_ACQUIRE) >= dispatch->dispatch;
}

static void pause_ns(uint64_t ns)
{
	struct timespec span = { .tv_sec = ns / SECOND, .tv_nsec = ns % SECOND };

	nanosleep(&span, NULL);
}

static int run_program(struct executor *executor, const struct infini_dispatch *dispatch,
		       struct infini_result *result)
{
	struct infini_null_program program = { 0 };
	uint64_t segment = dispatch->segment, *counter = NULL;
	int err;

	if (dispatch->program_bytes != sizeof(program))
		return -EINVAL;
	err = infini_program_read(executor->fd, dispatch->object, 0, &program, sizeof(program));
	if (err)
		return err;
	if (program.magic != INFINI_NULL_MAGIC || !program.segments)
		return -EINVAL;
	if (program.flags & INFINI_NULL_F_COUNT)
		counter = (uint64_t *)memory(executor, dispatch, 0);
	if (!segment)
		inputs(executor, dispatch);
	while (segment < program.segments) {
		if (program.flags & INFINI_NULL_F_CRASH)
			abort();
		pause_ns(program.segment_ns);
		segment++;
		if (counter)
			++*counter;
		if (segment < program.segments && !(program.flags & INFINI_NULL_F_DEAF) &&
		    asked_to_yield(executor, dispatch)) {
			result->state = INFINI_RESULT_PREEMPTED;
			result->segment = segment;
			executor->fake->yielded++;
			return 0;
		}
	}
	outputs(executor, dispatch);
	result->value = segment;
	result->tokens_evaluated = program.tokens_evaluated;
	result->tokens_generated = program.tokens_generated;
	return 0;
}

static int run_ask(struct executor *executor, const struct infini_dispatch *dispatch,
		   struct infini_result *result)
{
	const uint8_t *args = executor->payload + dispatch->args;
	uint32_t i;

	for (i = 0; i < dispatch->args_bytes; i++)
		result->value += args[i];
	if (dispatch->nr_bindings)
		memcpy(memory(executor, dispatch, 0), args, dispatch->args_bytes);
	return 0;
}

static int run_plain(struct executor *executor, const struct infini_dispatch *dispatch)
{
	uint8_t *dst = memory(executor, dispatch, 0);

	if (!dst)
		return -ENOMEM;
	if (dispatch->op == INFINI_OP_FILL) {
		memset(dst + dispatch->dst_offset, dispatch->value, dispatch->bytes);
		return 0;
	}
	memmove(dst + dispatch->dst_offset,
		memory(executor, dispatch, 1) + dispatch->src_offset, dispatch->bytes);
	return 0;
}

static int run_job(struct executor *executor, const struct infini_dispatch *dispatch,
		   struct infini_result *result)
{
	if (executor->fake->status && dispatch->op != INFINI_OP_ALLOC)
		return executor->fake->status;
	switch (dispatch->op) {
	case INFINI_OP_NOP:
		return 0;
	case INFINI_OP_COPY:
	case INFINI_OP_FILL:
		return run_plain(executor, dispatch);
	case INFINI_OP_PROGRAM:
		return run_program(executor, dispatch, result);
	case INFINI_OP_ASK:
		return run_ask(executor, dispatch, result);
	case INFINI_OP_ALLOC:
		pause_ns(executor->fake->alloc_ms * 1000000ULL);
		if (executor->fake->alloc_status)
			return executor->fake->alloc_status;
		return memory(executor, dispatch, 0) ? 0 : -ENOMEM;
	}
	return -EOPNOTSUPP;
}

/* Held back by the test: not begun, but given back when asked. */
static bool held_back(struct executor *executor, const struct infini_dispatch *dispatch)
{
	while (executor->fake->hold && !asked_to_yield(executor, dispatch))
		pause_ns(1000000);
	return executor->fake->hold;
}

static bool take(struct executor *executor, const struct infini_dispatch *dispatch,
		 struct infini_result *result)
{
	struct fake *fake = executor->fake;

	if (dispatch->op == INFINI_OP_BUFFER_FREE) {
		object_forget(executor, dispatch->object);
		fake->buffers_freed++;
		return false;
	}
	if (dispatch->op == INFINI_OP_PROGRAM_FREE) {
		fake->programs_freed++;
		return false;
	}
	memset(result, 0, sizeof(*result));
	result->dispatch = dispatch->dispatch;
	fake->last_dispatch = dispatch->dispatch;
	fake->held++;
	fake->taken++;
	if (held_back(executor, dispatch)) {
		result->state = INFINI_RESULT_PREEMPTED;
		result->segment = dispatch->segment;
		fake->yielded++;
	} else {
		result->status = run_job(executor, dispatch, result);
	}
	fake->held--;
	return true;
}

static void attach(struct executor *executor, uint32_t window)
{
	struct infini_executor_attach arg = {
		.protocol = INFINI_PROTOCOL_VERSION,
		.window = window,
	};
	int err = infini_executor_attach(executor->fd, &arg);

	if (!err)
		err = infini_yield_map(executor->fd, arg.yield_offset, &executor->word);
	if (err)
		quit(executor, err);
	executor->payload_bytes = arg.payload_bytes;
	executor->payload = malloc(arg.payload_bytes);
	executor->fake->generation = arg.generation;
}

void executor_serve(int fd, uint32_t window, struct fake *fake)
{
	struct infini_dispatch dispatches[WINDOW_MAX];
	struct infini_result results[WINDOW_MAX];
	static struct executor executor;
	uint32_t nr_results = 0, i;
	int err;

	executor.fd = fd;
	executor.fake = fake;
	executor.window = window;
	attach(&executor, window);
	for (;;) {
		struct infini_exchange arg = {
			.results = (uintptr_t)results,
			.nr_results = nr_results,
			.results_stride = sizeof(results[0]),
			.dispatches = (uintptr_t)dispatches,
			.nr_dispatches = window,
			.dispatches_stride = sizeof(dispatches[0]),
			.payload = (uintptr_t)executor.payload,
			.payload_bytes = executor.payload_bytes,
			.deadline_ns = INFINI_FOREVER,
			.held_bytes = fake->held_bytes,
		};

		err = infini_exchange(fd, &arg);
		if (err)
			quit(&executor, err);
		for (i = nr_results = 0; i < arg.returned; i++)
			nr_results += take(&executor, &dispatches[i], &results[nr_results]);
	}
}
