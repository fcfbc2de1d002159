// SPDX-License-Identifier: GPL-2.0-or-later
/* The worker's loop against a channel that stands for the kernel. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "channel.h"
#include "exchange.h"
#include "file_map.h"
#include "refusal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

#define MIB	(1ULL << 20)
#define FORMAT	7

/* ---- a backend that does what a test says, and tells what was done ----------------- */

struct infini_backend {
	uint64_t raise_at_segment;	/* raise the yield word in this segment; 0: never */
	uint64_t raise_after_chunks;	/* raise it in the nth copy or fill; 0: never */
	uint64_t segments;		/* of every program */
	uint64_t first_segment;		/* where the last run began */
	uint32_t runs, asks, loads, frees, adds, removes, chunks;
	int load_error, run_error, write_error, add_error, finish_error;
	uint32_t finishes;
	uint64_t write_order;		/* inputs seen when the run began */
	uint64_t writes;
	uint64_t held;
	void (*in_run)(void);
};

static struct infini_backend backend;
static const volatile uint8_t *read_in_run;	/* the last binding */

static uint8_t *bytes_of(const struct infini_backend_buffer *buffer)
{
	return buffer->addr ? buffer->addr : buffer->priv;
}

static int fake_buffer_add(struct infini_backend *b, struct infini_backend_buffer *buffer)
{
	b->adds++;
	if (b->add_error)
		return b->add_error;
	if (!buffer->addr)
		buffer->priv = calloc(1, buffer->bytes);
	return 0;
}

static void fake_buffer_remove(struct infini_backend *b, struct infini_backend_buffer *buffer)
{
	b->removes++;
	free(buffer->priv);
}

static int fake_program_load(struct infini_backend *b, const void *data, size_t bytes,
			     struct infini_backend_program **program)
{
	assert_memory_equal(data, channel.program, bytes);
	b->loads++;
	if (!b->load_error)
		*program = (struct infini_backend_program *)data;
	return b->load_error;
}

static void fake_program_free(struct infini_backend *b, struct infini_backend_program *program)
{
	(void)program;
	b->frees++;
}

static int fake_program_run(struct infini_backend *b, struct infini_backend_program *program,
			    struct infini_backend_run *run)
{
	assert_non_null(program);
	b->runs++;
	if (run->nr_bindings)
		read_in_run = run->bindings[run->nr_bindings - 1].buffer->addr;
	b->write_order = b->writes;
	b->first_segment = run->segment;
	if (b->in_run)
		b->in_run();
	if (b->run_error)
		return b->run_error;
	for (uint64_t s = run->segment; s < b->segments; s++) {
		if (s > run->segment && run->should_yield(run)) {
			run->segment = s;
			return INFINI_BACKEND_PREEMPTED;
		}
		if (b->raise_at_segment == s + 1)
			channel.word = UINT64_MAX - 1;
		if (run->nr_bindings)
			bytes_of(run->bindings[0].buffer)[0]++;
	}
	run->value = 1000 + b->segments;
	run->tokens_evaluated = 5;
	run->tokens_generated = 2;
	return 0;
}

static int fake_ask(struct infini_backend *b, struct infini_backend_run *run)
{
	b->asks++;
	run->value = run->args_bytes ? *(const uint8_t *)run->args : 0;
	return b->run_error;
}

static int fake_write(struct infini_backend *b, struct infini_backend_buffer *buffer,
		      uint64_t offset, const void *data, uint64_t bytes)
{
	b->writes++;
	memcpy(bytes_of(buffer) + offset, data, bytes);
	return b->write_error;
}

static int fake_read(struct infini_backend *b, struct infini_backend_buffer *buffer,
		     uint64_t offset, void *data, uint64_t bytes)
{
	(void)b;
	memcpy(data, bytes_of(buffer) + offset, bytes);
	return 0;
}

static void count_chunk(struct infini_backend *b)
{
	if (++b->chunks == b->raise_after_chunks)
		channel.word = UINT64_MAX - 1;
}

static int fake_copy(struct infini_backend *b, struct infini_backend_buffer *dst,
		     uint64_t dst_offset, struct infini_backend_buffer *src, uint64_t src_offset,
		     uint64_t bytes)
{
	count_chunk(b);
	memmove(bytes_of(dst) + dst_offset, bytes_of(src) + src_offset, bytes);
	return 0;
}

static int fake_fill(struct infini_backend *b, struct infini_backend_buffer *buffer,
		     uint64_t offset, uint8_t value, uint64_t bytes)
{
	count_chunk(b);
	memset(bytes_of(buffer) + offset, value, bytes);
	return 0;
}

static int fake_finish(struct infini_backend *b)
{
	b->finishes++;
	return b->finish_error;
}

static uint64_t fake_held_bytes(struct infini_backend *b)
{
	return b->held;
}

static struct infini_backend_ops fake_ops = {
	.abi = INFINI_BACKEND_ABI,
	.name = "fake",
	.format = FORMAT,
	.buffer_add = fake_buffer_add,
	.buffer_remove = fake_buffer_remove,
	.program_load = fake_program_load,
	.program_free = fake_program_free,
	.program_run = fake_program_run,
	.ask = fake_ask,
	.write = fake_write,
	.read = fake_read,
	.copy = fake_copy,
	.fill = fake_fill,
	.held_bytes = fake_held_bytes,
};

/* ---- running ----------------------------------------------------------------------- */

static struct infini_exchanger exchanger;
static uint32_t window;
/* Buffers live until release: tests look at them before. */
static void (*before_release)(void);

static int setup(void **state)
{
	(void)state;
	channel_open();
	memset(&backend, 0, sizeof(backend));
	backend.segments = 1;
	fake_ops.ask = fake_ask;
	fake_ops.finish = NULL;
	window = 1;
	before_release = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	channel_close();
	return 0;
}

static int serve(void)
{
	struct infini_objects objects;
	int ret;

	assert_int_equal(infini_objects_init(&objects, CHANNEL_FD, &fake_ops, &backend, 4096), 0);
	assert_int_equal(infini_exchanger_init(&exchanger, CHANNEL_FD, window,
					       CHANNEL_PAYLOAD_BYTES, &channel.word, &objects), 0);
	ret = infini_exchanger_serve(&exchanger);
	if (before_release)
		before_release();
	infini_exchanger_release(&exchanger);
	infini_objects_release(&objects);
	assert_int_equal(backend.frees, backend.loads - (backend.load_error ? backend.loads : 0));
	return ret;
}

static void stop_now(void)
{
	infini_exchanger_stop(&exchanger);
}

static void retire_now(void)
{
	infini_exchanger_retire(&exchanger);
}

static struct channel_job *push_program(void)
{
	struct channel_job *job = channel_push(INFINI_OP_PROGRAM);

	job->dispatch.object = 9;
	job->dispatch.program_bytes = 32;
	job->dispatch.program_format = FORMAT;
	return job;
}

static struct channel_job *push_copy(struct infini_dispatch_binding dst, uint64_t dst_offset,
				     struct infini_dispatch_binding src, uint64_t src_offset,
				     uint64_t bytes)
{
	struct channel_job *job = channel_push(INFINI_OP_COPY);

	channel_bind(job, dst);
	channel_bind(job, src);
	job->dispatch.dst_offset = dst_offset;
	job->dispatch.src_offset = src_offset;
	job->dispatch.bytes = bytes;
	return job;
}

static void push_notice(uint32_t op, uint64_t object)
{
	channel_push(op)->dispatch.object = object;
}

static void expect_result(uint32_t i, uint64_t dispatch, uint32_t state, int status,
			  uint64_t segment)
{
	assert_true(i < channel.nr_results);
	assert_int_equal(channel.results[i].dispatch, dispatch);
	assert_int_equal(channel.results[i].state, state);
	assert_int_equal(channel.results[i].status, status);
	assert_int_equal(channel.results[i].segment, segment);
}

static void expect_only_status(int status)
{
	assert_int_equal(serve(), -ENODEV);
	assert_int_equal(channel.nr_results, 1);
	expect_result(0, 1, INFINI_RESULT_DONE, status, 0);
}

/* ---- every operation --------------------------------------------------------------- */

static void nop_is_answered(void **state)
{
	(void)state;
	channel_push(INFINI_OP_NOP);
	expect_only_status(0);
	/* One EXCHANGE to get it, one to hand it back and hear of the end. */
	assert_int_equal(channel.calls, 2);
	assert_int_equal(channel.last_deadline_ns, INFINI_FOREVER);
}

static void check_copy(void)
{
	assert_memory_equal(channel.memory[0] + 2, "cde", 3);
	assert_int_equal(channel.memory[0][1], 0);
	assert_int_equal(channel.memory[0][5], 0);
}

static void copy_moves_the_range(void **state)
{
	struct infini_dispatch_binding dst = channel_shared(0, 16), src = channel_shared(1, 16);

	(void)state;
	memcpy(channel.memory[1], "abcdef", 6);
	push_copy(dst, 2, src, 2, 3);
	before_release = check_copy;
	expect_only_status(0);
}

static void check_fill(void)
{
	assert_memory_equal(channel.memory[0], "\0\0\xaa\xaa\xaa\0", 6);
}

static void fill_sets_the_range(void **state)
{
	struct infini_dispatch_binding dst = channel_shared(0, 16);
	struct channel_job *job = channel_push(INFINI_OP_FILL);

	(void)state;
	channel_bind(job, dst);
	job->dispatch.dst_offset = 2;
	job->dispatch.bytes = 3;
	job->dispatch.value = 0xaa;
	before_release = check_fill;
	expect_only_status(0);
}

static void check_program(void)
{
	assert_int_equal(channel.memory[0][0], 3);
	assert_memory_equal(channel.memory[0] + 8, "in", 2);
	assert_memory_equal(channel.memory[1] + 1, "in", 2);
}

static void program_has_inputs_before_and_outputs_after(void **state)
{
	struct channel_job *job = push_program();

	(void)state;
	backend.segments = 3;
	channel_bind(job, channel_shared(0, 64));
	channel_bind(job, channel_shared(1, 64));
	channel_input(job, 0, 8, "in", 2);
	channel_output(job, 0, 8, 1, 1, 2);
	before_release = check_program;
	expect_only_status(0);
	assert_int_equal(backend.write_order, 1);
	assert_int_equal(channel.results[0].value, 1003);
	assert_int_equal(channel.results[0].tokens_evaluated, 5);
	assert_int_equal(channel.results[0].tokens_generated, 2);
}

static void program_is_fetched_once(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++)
		push_program();
	backend.held = 100;
	assert_int_equal(serve(), -ENODEV);
	assert_int_equal(channel.nr_results, 5);
	assert_int_equal(channel.program_reads, 1);
	assert_int_equal(backend.loads, 1);
	assert_int_equal(backend.runs, 5);
	/* This process's copy counts against the vdev, with what the backend holds. */
	assert_int_equal(channel.last_held_bytes, 132);
}

static void freed_program_is_fetched_again(void **state)
{
	(void)state;
	push_program();
	push_notice(INFINI_OP_PROGRAM_FREE, 9);
	push_notice(INFINI_OP_PROGRAM_FREE, 4711);
	push_program();
	assert_int_equal(serve(), -ENODEV);
	assert_int_equal(channel.nr_results, 2);
	assert_int_equal(backend.loads, 2);
}

static void refused_program_is_validated_once(void **state)
{
	(void)state;
	backend.load_error = -EINVAL;
	push_program();
	push_program();
	assert_int_equal(serve(), -ENODEV);
	expect_result(0, 1, INFINI_RESULT_DONE, -EINVAL, 0);
	expect_result(1, 2, INFINI_RESULT_DONE, -EINVAL, 0);
	assert_int_equal(backend.loads, 1);
	assert_int_equal(channel.last_held_bytes, 0);
}

static void program_without_memory_is_tried_again(void **state)
{
	(void)state;
	backend.load_error = -ENOMEM;
	push_program();
	push_program();
	assert_int_equal(serve(), -ENODEV);
	expect_result(1, 2, INFINI_RESULT_DONE, -ENOMEM, 0);
	assert_int_equal(backend.loads, 2);
}

static void question_is_answered(void **state)
{
	struct channel_job *job = channel_push(INFINI_OP_ASK);

	(void)state;
	job->dispatch.program_format = FORMAT;
	job->dispatch.args_bytes = 1;
	job->args[0] = 42;
	expect_only_status(0);
	assert_int_equal(channel.results[0].value, 42);
	assert_int_equal(backend.asks, 1);
}

static void foreign_formats_and_ops_are_not_supported(void **state)
{
	struct channel_job *job;

	(void)state;
	push_program()->dispatch.program_format = FORMAT + 1;
	job = channel_push(INFINI_OP_ASK);
	job->dispatch.program_format = FORMAT + 1;
	channel_push(12);
	assert_int_equal(serve(), -ENODEV);
	for (uint32_t i = 0; i < 3; i++)
		expect_result(i, i + 1, INFINI_RESULT_DONE, -EOPNOTSUPP, 0);
	assert_int_equal(backend.runs + backend.asks + backend.loads, 0);
}

static void backend_without_questions(void **state)
{
	(void)state;
	fake_ops.ask = NULL;
	channel_push(INFINI_OP_ASK)->dispatch.program_format = FORMAT;
	expect_only_status(-EOPNOTSUPP);
}

/* ---- buffers ----------------------------------------------------------------------- */

static void check_zero(void)
{
	for (int i = 0; i < 32; i++)
		assert_int_equal(channel.memory[0][i], 0);
}

static void held_memory_starts_as_zeroes(void **state)
{
	struct infini_dispatch_binding held = channel_held(40, 32);

	(void)state;
	channel_bind(channel_push(INFINI_OP_ALLOC), held);
	push_copy(channel_shared(0, 32), 0, held, 0, 32);
	memset(channel.memory[0], 0xff, 32);
	before_release = check_zero;
	assert_int_equal(serve(), -ENODEV);
	expect_result(0, 1, INFINI_RESULT_DONE, 0, 0);
	expect_result(1, 2, INFINI_RESULT_DONE, 0, 0);
	assert_int_equal(backend.removes, 2);
}

static void held_memory_goes_with_its_notice(void **state)
{
	struct infini_dispatch_binding held = channel_held(40, 32);

	(void)state;
	channel_bind(channel_push(INFINI_OP_ALLOC), held);
	push_notice(INFINI_OP_BUFFER_FREE, 40);
	push_notice(INFINI_OP_BUFFER_FREE, 40);
	push_copy(held, 0, held, 16, 16);
	assert_int_equal(serve(), -ENODEV);
	assert_int_equal(channel.nr_results, 2);
	expect_result(1, 2, INFINI_RESULT_DONE, -EOWNERDEAD, 0);
	assert_int_equal(backend.removes, 1);
}

static void memory_of_a_dead_executor_is_lost(void **state)
{
	(void)state;
	channel_bind(channel_push(INFINI_OP_FILL), channel_held(40, 32));
	expect_only_status(-EOWNERDEAD);
}

static void allocation_can_fail(void **state)
{
	(void)state;
	backend.add_error = -ENOMEM;
	channel_bind(channel_push(INFINI_OP_ALLOC), channel_held(40, 32));
	expect_only_status(-ENOMEM);
	assert_int_equal(backend.removes, 0);
}

static void mapping_can_fail(void **state)
{
	(void)state;
	channel.map_error = -ENOENT;
	channel_bind(channel_push(INFINI_OP_FILL), channel_shared(0, 32));
	expect_only_status(-ENOENT);
	assert_int_equal(backend.adds, 0);
}

static void buffer_is_mapped_once_and_many_fit(void **state)
{
	(void)state;
	/* More than the table starts with, so that it grows. */
	for (uint64_t id = 1000; id < 1030; id++) {
		channel_bind(channel_push(INFINI_OP_ALLOC), channel_held(id, 8));
		push_copy(channel_held(id, 8), 0, channel_shared(0, 8), 0, 8);
	}
	assert_int_equal(serve(), -ENODEV);
	assert_int_equal(channel.nr_results, 60);
	for (uint32_t i = 0; i < 60; i++)
		assert_int_equal(channel.results[i].status, 0);
	assert_int_equal(backend.adds, 31);
	assert_int_equal(backend.removes, 31);
}

/* ---- files ------------------------------------------------------------------------- */

#define PAGE	4096

/* @pages of them, each of one letter; forgotten with the process. */
static void make_file(unsigned int pages)
{
	char page[PAGE];

	channel.file_fd = memfd_create("weights", MFD_CLOEXEC);
	assert_true(channel.file_fd >= 0);
	for (unsigned int i = 0; i < pages; i++) {
		memset(page, (int)('a' + i), sizeof(page));
		assert_int_equal(pwrite(channel.file_fd, page, sizeof(page), i * PAGE), PAGE);
	}
	assert_int_equal(infini_file_maps_watch(), 0);
}

static void cut_file(void)
{
	assert_int_equal(ftruncate(channel.file_fd, PAGE), 0);
}

static void check_second_page(void)
{
	assert_memory_equal(channel.memory[0], "bbbb", 4);
}

static void file_is_mapped_once_and_read_in_place(void **state)
{
	struct infini_dispatch_binding file = channel_file(50, 2 * PAGE);

	(void)state;
	make_file(3);
	channel.file_offset = PAGE;
	push_copy(channel_shared(0, 16), 0, file, 0, 4);
	push_copy(channel_shared(0, 16), 8, file, PAGE, 4);
	push_notice(INFINI_OP_BUFFER_FREE, 50);
	push_copy(channel_shared(0, 16), 8, file, 0, 4);
	before_release = check_second_page;
	assert_int_equal(serve(), -ENODEV);
	assert_int_equal(channel.nr_results, 3);
	for (uint32_t i = 0; i < 3; i++)
		expect_result(i, i + 1, INFINI_RESULT_DONE, 0, 0);
	assert_int_equal(channel.receives, 2);
	assert_int_equal(backend.adds, backend.removes);
	close(channel.file_fd);
}

static void file_that_is_not_handed_out_fails_its_job(void **state)
{
	(void)state;
	channel.map_error = -EMFILE;
	push_copy(channel_shared(0, 16), 0, channel_file(50, PAGE), 0, 4);
	channel.memory[0][0] = 1;
	expect_only_status(-EMFILE);
}

/* The kernel lets no client ask for it. */
static void file_is_never_written(void **state)
{
	struct infini_dispatch_binding file = channel_file(50, PAGE), written = file;
	struct channel_job *job;

	(void)state;
	make_file(1);
	written.access = INFINI_ACCESS_WRITE;
	channel_bind(channel_push(INFINI_OP_FILL), written);
	job = channel_push(INFINI_OP_FILL);
	channel_bind(job, file);
	job->dispatch.bytes = 1;
	push_copy(file, 0, channel_shared(0, 16), 0, 4);
	job = push_program();
	channel_bind(job, file);
	channel_input(job, 0, 0, "x", 1);
	job = push_program();
	channel_bind(job, channel_shared(0, 16));
	channel_bind(job, file);
	channel_output(job, 0, 0, 1, 0, 4);
	channel_bind(channel_push(INFINI_OP_ALLOC), file);
	assert_int_equal(serve(), -ENODEV);
	assert_int_equal(channel.nr_results, 6);
	for (uint32_t i = 0; i < 6; i++)
		expect_result(i, i + 1, INFINI_RESULT_DONE, -EPROTO, 0);
	close(channel.file_fd);
}

static void truncated_file_fails_its_jobs_only(void **state)
{
	struct infini_dispatch_binding file = channel_file(50, 3 * PAGE);
	struct infini_dispatch_binding other = channel_file(51, PAGE);

	(void)state;
	make_file(3);
	cut_file();
	push_copy(channel_shared(0, 16), 0, file, 0, 4);
	push_copy(channel_shared(0, 16), 0, file, 2 * PAGE, 4);
	push_copy(channel_shared(0, 16), 0, file, 0, 4);
	push_copy(channel_shared(0, 16), 0, other, 0, 4);
	assert_int_equal(serve(), -ENODEV);
	assert_int_equal(channel.nr_results, 4);
	/* What is there still can be read, until somebody has met the hole. */
	expect_result(0, 1, INFINI_RESULT_DONE, 0, 0);
	expect_result(1, 2, INFINI_RESULT_DONE, -ENODATA, 0);
	expect_result(2, 3, INFINI_RESULT_DONE, -ENODATA, 0);
	expect_result(3, 4, INFINI_RESULT_DONE, 0, 0);
	close(channel.file_fd);
}

static void cut_and_read(void)
{
	cut_file();
	(void)read_in_run[2 * PAGE];
}

/* Preempted or not: what it has computed so far is wrong. */
static void file_cut_under_a_program_that_yields(void **state)
{
	struct infini_file_map early;
	struct channel_job *job = push_program();

	(void)state;
	make_file(3);
	assert_int_equal(infini_file_map_add(&early, channel.file_fd, 0, 3 * PAGE), 0);
	infini_file_map_remove(&early);
	backend.segments = 10;
	backend.raise_at_segment = 4;
	backend.in_run = cut_and_read;
	channel_bind(job, channel_shared(0, 16));
	channel_bind(job, channel_file(50, 3 * PAGE));
	expect_only_status(-ENODATA);
	close(channel.file_fd);
}

/* Not a client's doing: a page of the kernel's that it has taken back, say. */
static void other_bus_errors_end_the_worker(void **state)
{
	int status = 0;
	pid_t pid;

	(void)state;
	make_file(2);
	pid = fork();
	if (!pid) {
		const volatile uint8_t *at = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED,
						  channel.file_fd, 0);

		cut_file();
		_exit(at[PAGE]);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
	close(channel.file_fd);
}

/* ---- yielding ---------------------------------------------------------------------- */

static void program_yields_at_a_segment(void **state)
{
	struct channel_job *job = push_program();

	(void)state;
	backend.segments = 10;
	backend.raise_at_segment = 4;
	channel_bind(job, channel_shared(0, 64));
	channel_bind(job, channel_shared(1, 64));
	channel_output(job, 0, 0, 1, 0, 8);
	assert_int_equal(serve(), -ENODEV);
	expect_result(0, 1, INFINI_RESULT_PREEMPTED, 0, 4);
	/* No count and no output before the last segment. */
	assert_int_equal(channel.results[0].tokens_evaluated, 0);
	assert_int_equal(channel.memory[1][0], 0);
}

static void resumed_program_takes_no_inputs_again(void **state)
{
	struct channel_job *job = push_program();

	(void)state;
	backend.segments = 10;
	channel_bind(job, channel_shared(0, 64));
	channel_bind(job, channel_shared(1, 64));
	channel_input(job, 0, 0, "x", 1);
	channel_output(job, 0, 0, 1, 0, 1);
	job->dispatch.segment = 4;
	expect_only_status(0);
	assert_int_equal(backend.first_segment, 4);
	assert_int_equal(backend.writes, 0);
	assert_int_equal(channel.memory[1][0], 6);
}

static void word_of_earlier_dispatches_is_no_reason(void **state)
{
	(void)state;
	channel.next_dispatch = 100;
	channel.word = 99;
	backend.segments = 10;
	push_program();
	assert_int_equal(serve(), -ENODEV);
	expect_result(0, 100, INFINI_RESULT_DONE, 0, 0);
}

static void covered_job_is_not_begun(void **state)
{
	(void)state;
	channel.word = 1;
	push_program()->dispatch.segment = 5;
	assert_int_equal(serve(), -ENODEV);
	expect_result(0, 1, INFINI_RESULT_PREEMPTED, 0, 5);
	assert_int_equal(backend.runs, 0);
	assert_int_equal(channel.program_reads, 0);
}

static void rest_of_the_window_is_given_back(void **state)
{
	(void)state;
	window = 4;
	backend.segments = 10;
	backend.raise_at_segment = 2;
	push_program();
	push_notice(INFINI_OP_BUFFER_FREE, 3);
	push_program()->dispatch.segment = 7;
	channel_push(INFINI_OP_NOP);
	assert_int_equal(serve(), -ENODEV);
	assert_int_equal(channel.nr_results, 3);
	expect_result(0, 1, INFINI_RESULT_PREEMPTED, 0, 2);
	expect_result(1, 2, INFINI_RESULT_PREEMPTED, 0, 7);
	expect_result(2, 3, INFINI_RESULT_PREEMPTED, 0, 0);
	assert_int_equal(backend.runs, 1);
}

static void broken_backend_cannot_go_backwards(void **state)
{
	struct channel_job *job = push_program();

	(void)state;
	backend.run_error = 4711;
	job->dispatch.segment = 3;
	expect_only_status(-EIO);
}

static void backend_errors_reach_the_client(void **state)
{
	static const struct {
		int error, status;
	} rows[] = { { -EINVAL, -EINVAL }, { -4095, -4095 }, { -4096, -EIO }, { 3, -EIO } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(NULL);
		backend.run_error = rows[i].error;
		push_program();
		expect_only_status(rows[i].status);
		assert_int_equal(channel.results[0].value, 0);
		channel_close();
	}
}

/* ---- backends whose calls return before the work is done ------------------------------ */

static void what_a_job_began_is_finished_once(void **state)
{
	static const struct {
		uint32_t op;
		int run_error, finish_error, status;
	} rows[] = {
		{ INFINI_OP_PROGRAM, 0, 0, 0 },
		{ INFINI_OP_PROGRAM, 0, -ENOMEM, -ENOMEM },
		{ INFINI_OP_PROGRAM, -EINVAL, 0, -EINVAL },
		{ INFINI_OP_PROGRAM, -EINVAL, -ENOMEM, -EINVAL },
		{ INFINI_OP_NOP, 0, -ENOMEM, -ENOMEM },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(NULL);
		fake_ops.finish = fake_finish;
		backend.run_error = rows[i].run_error;
		backend.finish_error = rows[i].finish_error;
		if (rows[i].op == INFINI_OP_PROGRAM)
			push_program();
		else
			channel_push(rows[i].op);
		expect_only_status(rows[i].status);
		assert_int_equal(backend.finishes, 1);
		channel_close();
	}
}

static void preempted_job_is_finished_too(void **state)
{
	(void)state;
	fake_ops.finish = fake_finish;
	backend.segments = 10;
	backend.raise_at_segment = 2;
	push_program();
	assert_int_equal(serve(), -ENODEV);
	assert_int_equal(backend.finishes, 1);
	expect_result(0, 1, INFINI_RESULT_PREEMPTED, 0, 2);
}

static void lost_backend_ends_the_worker(void **state)
{
	static const struct {
		int run_error, finish_error;
	} rows[] = {
		{ INFINI_BACKEND_LOST, 0 }, { 0, INFINI_BACKEND_LOST },
		{ -EINVAL, INFINI_BACKEND_LOST },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(NULL);
		fake_ops.finish = fake_finish;
		window = 4;
		backend.run_error = rows[i].run_error;
		backend.finish_error = rows[i].finish_error;
		push_program();
		push_program()->dispatch.segment = 7;
		channel_push(INFINI_OP_NOP);
		assert_int_equal(serve(), -EIO);
		assert_int_equal(channel.nr_results, 3);
		expect_result(0, 1, INFINI_RESULT_DONE, -EIO, 0);
		expect_result(1, 2, INFINI_RESULT_PREEMPTED, 0, 7);
		expect_result(2, 3, INFINI_RESULT_PREEMPTED, 0, 0);
		assert_int_equal(backend.runs, 1);
		channel_close();
	}
}

static void backend_lost_in_an_allocation(void **state)
{
	(void)state;
	backend.add_error = INFINI_BACKEND_LOST;
	channel_bind(channel_push(INFINI_OP_ALLOC), channel_held(40, 32));
	assert_int_equal(serve(), -EIO);
	expect_result(0, 1, INFINI_RESULT_DONE, -EIO, 0);
}

static void what_waits_for_a_device_that_is_gone_ends(void **state)
{
	const struct infini_backend_ops kept = fake_ops;
	int ret;

	(void)state;
	window = 2;
	channel_bind(channel_push(INFINI_OP_ALLOC), channel_held(40, 32));
	push_copy(channel_shared(0, 64), 0, channel_shared(1, 64), 0, 8);
	push_program();
	channel_push(INFINI_OP_ASK)->dispatch.program_format = FORMAT;
	channel_bind(push_program(), channel_held(40, 32));
	/* As the worker does: what is there now, and no more. */
	channel.on_idle = retire_now;
	channel.end = 0;
	fake_ops = infini_refusal_ops;
	fake_ops.format = FORMAT;
	ret = serve();
	fake_ops = kept;
	assert_int_equal(ret, 0);
	assert_int_equal(channel.nr_results, 5);
	for (uint32_t i = 0; i < 4; i++)
		expect_result(i, i + 1, INFINI_RESULT_DONE, -EIO, 0);
	expect_result(4, 5, INFINI_RESULT_DONE, -EOWNERDEAD, 0);
}

/* ---- long copies ------------------------------------------------------------------- */

static void long_fill_yields_between_chunks(void **state)
{
	struct infini_dispatch_binding dst = channel_shared(0, 13 * MIB);
	struct channel_job *job;

	(void)state;
	backend.raise_after_chunks = 2;
	for (int i = 0; i < 2; i++) {
		job = channel_push(INFINI_OP_FILL);
		channel_bind(job, dst);
		job->dispatch.bytes = 13 * MIB;
		job->dispatch.value = 1 + i;
	}
	/* The second stands for the same job, dispatched again under a number above the word. */
	job->dispatch.dispatch = UINT64_MAX;
	job->dispatch.segment = 8;
	assert_int_equal(serve(), -ENODEV);
	expect_result(0, 1, INFINI_RESULT_PREEMPTED, 0, 8);
	expect_result(1, UINT64_MAX, INFINI_RESULT_DONE, 0, 0);
	assert_int_equal(backend.chunks, 4);
	assert_int_equal(channel.memory[0][8 * MIB - 1], 1);
	assert_int_equal(channel.memory[0][8 * MIB], 2);
	assert_int_equal(channel.memory[0][13 * MIB - 1], 2);
}

static void last_chunk_is_not_given_back(void **state)
{
	struct channel_job *job = channel_push(INFINI_OP_FILL);

	(void)state;
	backend.raise_after_chunks = 2;
	channel_bind(job, channel_shared(0, 8 * MIB));
	job->dispatch.bytes = 8 * MIB;
	expect_only_status(0);
}

static const struct {
	const char *name;
	uint64_t dst, src;
} overlaps[] = {
	{ "towards higher addresses", 3 * MIB + 5, 0 },
	{ "towards lower addresses", 0, 3 * MIB + 5 },
	{ "onto itself", 7, 7 },
};

static void overlapping_long_copies_keep_every_byte(void **state)
{
	const uint64_t bytes = 11 * MIB + 3, room = 15 * MIB;
	uint8_t *expected = malloc(room);

	(void)state;
	assert_non_null(expected);
	for (size_t i = 0; i < sizeof(overlaps) / sizeof(overlaps[0]); i++) {
		struct infini_dispatch_binding buffer;

		setup(NULL);
		buffer = channel_shared(0, room);
		for (uint64_t at = 0; at < room; at++)
			channel.memory[0][at] = (uint8_t)(at * 2654435761U >> 13);
		memcpy(expected, channel.memory[0], room);
		memmove(expected + overlaps[i].dst, expected + overlaps[i].src, bytes);
		push_copy(buffer, overlaps[i].dst, buffer, overlaps[i].src, bytes);
		/* Given back after the first chunk, and taken up again. */
		backend.raise_after_chunks = 1;
		push_copy(buffer, overlaps[i].dst, buffer, overlaps[i].src, bytes);
		channel.jobs[1].dispatch.dispatch = UINT64_MAX;
		channel.jobs[1].dispatch.segment = 4;
		assert_int_equal(serve(), -ENODEV);
		expect_result(0, 1, INFINI_RESULT_PREEMPTED, 0, 4);
		expect_result(1, UINT64_MAX, INFINI_RESULT_DONE, 0, 0);
		if (memcmp(channel.memory[0], expected, room))
			fail_msg("copy %s differs", overlaps[i].name);
		channel_close();
	}
	free(expected);
}

/* ---- what the kernel may not say --------------------------------------------------- */

static void far_bindings(struct infini_dispatch *d, uint8_t *payload)
{
	(void)payload;
	d->bindings = CHANNEL_PAYLOAD_BYTES - 8;
}

static void crooked_bindings(struct infini_dispatch *d, uint8_t *payload)
{
	(void)payload;
	d->bindings += 4;
}

static void wrapping_bindings(struct infini_dispatch *d, uint8_t *payload)
{
	(void)payload;
	d->bindings = UINT64_MAX - 7;
}

static void countless_bindings(struct infini_dispatch *d, uint8_t *payload)
{
	(void)payload;
	d->nr_bindings = UINT32_MAX;
}

static void far_inputs(struct infini_dispatch *d, uint8_t *payload)
{
	(void)payload;
	d->inputs = CHANNEL_PAYLOAD_BYTES;
	d->nr_inputs = 1;
}

static void far_input_data(struct infini_dispatch *d, uint8_t *payload)
{
	((struct infini_input *)(payload + d->inputs))->data = CHANNEL_PAYLOAD_BYTES - 1;
}

static void input_to_nowhere(struct infini_dispatch *d, uint8_t *payload)
{
	((struct infini_input *)(payload + d->inputs))->binding = 2;
}

static void input_past_the_buffer(struct infini_dispatch *d, uint8_t *payload)
{
	((struct infini_input *)(payload + d->inputs))->offset = UINT64_MAX;
}

static void countless_outputs(struct infini_dispatch *d, uint8_t *payload)
{
	(void)payload;
	d->nr_outputs = 1 << 20;
}

static void output_from_nowhere(struct infini_dispatch *d, uint8_t *payload)
{
	((struct infini_output *)(payload + d->outputs))->src_binding = 7;
}

static void output_past_the_source(struct infini_dispatch *d, uint8_t *payload)
{
	((struct infini_output *)(payload + d->outputs))->src_offset = 60;
}

static void output_past_the_target(struct infini_dispatch *d, uint8_t *payload)
{
	((struct infini_output *)(payload + d->outputs))->dst_offset = 60;
}

static void far_args(struct infini_dispatch *d, uint8_t *payload)
{
	(void)payload;
	d->args = CHANNEL_PAYLOAD_BYTES + 8;
}

static void countless_args(struct infini_dispatch *d, uint8_t *payload)
{
	(void)payload;
	d->args_bytes = UINT32_MAX;
}

static void no_program_bytes(struct infini_dispatch *d, uint8_t *payload)
{
	(void)payload;
	d->program_bytes = 0;
}

static void countless_program_bytes(struct infini_dispatch *d, uint8_t *payload)
{
	(void)payload;
	d->program_bytes = 1ULL << 50;
}

static void endless_buffer(struct infini_dispatch *d, uint8_t *payload)
{
	((struct infini_dispatch_binding *)(payload + d->bindings))->bytes = UINT64_MAX;
}

static const struct {
	const char *name;
	void (*spoil)(struct infini_dispatch *d, uint8_t *payload);
} bad_payloads[] = {
	{ "bindings outside the payload", far_bindings },
	{ "bindings not aligned", crooked_bindings },
	{ "an offset that wraps", wrapping_bindings },
	{ "more bindings than fit", countless_bindings },
	{ "inputs outside the payload", far_inputs },
	{ "input data outside the payload", far_input_data },
	{ "an input to no binding", input_to_nowhere },
	{ "an input past its buffer", input_past_the_buffer },
	{ "more outputs than fit", countless_outputs },
	{ "an output from no binding", output_from_nowhere },
	{ "an output past its source", output_past_the_source },
	{ "an output past its target", output_past_the_target },
	{ "arguments outside the payload", far_args },
	{ "more arguments than fit", countless_args },
	{ "a program of no bytes", no_program_bytes },
	{ "a program larger than the module allows", countless_program_bytes },
	{ "a buffer of more bytes than there are", endless_buffer },
};

static void bad_payloads_fail_their_job_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_payloads) / sizeof(bad_payloads[0]); i++) {
		struct channel_job *job;

		setup(NULL);
		job = push_program();
		channel_bind(job, channel_shared(0, 64));
		channel_bind(job, channel_shared(1, 64));
		channel_input(job, 0, 8, "input", 5);
		channel_output(job, 0, 0, 1, 0, 8);
		job->dispatch.args_bytes = 8;
		job->spoil = bad_payloads[i].spoil;
		channel_push(INFINI_OP_NOP);
		assert_int_equal(serve(), -ENODEV);
		if (channel.nr_results != 2 || channel.results[0].status != -EPROTO ||
		    channel.results[1].status != 0)
			fail_msg("%s: %u results, status %d", bad_payloads[i].name,
				 channel.nr_results, channel.results[0].status);
		channel_close();
	}
}

static const struct {
	const char *name;
	uint32_t op;
	uint64_t dst_offset, src_offset, bytes, segment;
	uint32_t nr_bindings;
} bad_transfers[] = {
	{ "copy past the target", INFINI_OP_COPY, 60, 0, 8, 0, 2 },
	{ "copy past the source", INFINI_OP_COPY, 0, 60, 8, 0, 2 },
	{ "copy with an offset that wraps", INFINI_OP_COPY, UINT64_MAX, 0, 8, 0, 2 },
	{ "copy from nowhere", INFINI_OP_COPY, 0, 0, 8, 0, 1 },
	{ "copy from a segment it has not", INFINI_OP_COPY, 0, 0, 8, 1, 2 },
	{ "fill past the target", INFINI_OP_FILL, 64, 0, 1, 0, 1 },
	{ "fill to nowhere", INFINI_OP_FILL, 0, 0, 1, 0, 0 },
	{ "fill from a segment whose bytes wrap", INFINI_OP_FILL, 0, 0, 1, 1ULL << 44, 1 },
	{ "allocation of nothing", INFINI_OP_ALLOC, 0, 0, 0, 0, 0 },
	{ "allocation of what is mapped", INFINI_OP_ALLOC, 0, 0, 0, 0, 1 },
};

static void bad_transfers_fail(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_transfers) / sizeof(bad_transfers[0]); i++) {
		struct channel_job *job;

		setup(NULL);
		job = channel_push(bad_transfers[i].op);
		for (uint32_t n = 0; n < bad_transfers[i].nr_bindings; n++)
			channel_bind(job, channel_shared(n, 64));
		job->dispatch.dst_offset = bad_transfers[i].dst_offset;
		job->dispatch.src_offset = bad_transfers[i].src_offset;
		job->dispatch.bytes = bad_transfers[i].bytes;
		job->dispatch.segment = bad_transfers[i].segment;
		assert_int_equal(serve(), -ENODEV);
		if (channel.nr_results != 1 || channel.results[0].status != -EPROTO ||
		    backend.chunks)
			fail_msg("%s: status %d", bad_transfers[i].name,
				 channel.results[0].status);
		channel_close();
	}
}

static void buffer_cannot_change_under_its_id(void **state)
{
	struct infini_dispatch_binding first = channel_shared(0, 64), second = first;
	struct channel_job *job;

	(void)state;
	second.bytes = 65;
	for (int i = 0; i < 2; i++) {
		job = channel_push(INFINI_OP_FILL);
		channel_bind(job, i ? second : first);
		job->dispatch.bytes = 1;
	}
	assert_int_equal(serve(), -ENODEV);
	expect_result(0, 1, INFINI_RESULT_DONE, 0, 0);
	expect_result(1, 2, INFINI_RESULT_DONE, -EPROTO, 0);
}

/* ---- EXCHANGE itself --------------------------------------------------------------- */

static const struct {
	const char *name;
	int error;
} ends[] = {
	{ "vdev or device gone", -ENODEV },
	{ "not the attached process", -EPERM },
	{ "an answer to no dispatch", -ESTALE },
	{ "broken protocol", -EPROTO },
};

static void errors_end_the_loop(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		setup(NULL);
		channel_push(INFINI_OP_NOP);
		channel.end = ends[i].error;
		if (serve() != ends[i].error)
			fail_msg("%s: other error", ends[i].name);
		channel_close();
	}
}

static void signal_without_reason_changes_nothing(void **state)
{
	(void)state;
	channel.fail_next = -EINTR;
	channel_push(INFINI_OP_NOP);
	expect_only_status(0);
}

static void results_not_taken_are_handed_in_again(void **state)
{
	(void)state;
	window = 4;
	channel.accept_at_most = 1;
	for (int i = 0; i < 4; i++)
		channel_push(INFINI_OP_NOP);
	channel.end = 0;
	channel.on_idle = stop_now;
	assert_int_equal(serve(), 0);
	assert_int_equal(channel.nr_results, 4);
	for (uint32_t i = 0; i < 4; i++)
		expect_result(i, i + 1, INFINI_RESULT_DONE, 0, 0);
}

static void short_jobs_share_an_exchange(void **state)
{
	(void)state;
	window = 8;
	for (int i = 0; i < 16; i++)
		channel_push(INFINI_OP_NOP);
	assert_int_equal(serve(), -ENODEV);
	assert_int_equal(channel.nr_results, 16);
	assert_int_equal(channel.calls, 3);
}

static void program_of_a_window_is_answered_at_once(void **state)
{
	(void)state;
	window = 8;
	push_program();
	push_program();
	channel_push(INFINI_OP_NOP);
	assert_int_equal(serve(), -ENODEV);
	assert_int_equal(channel.nr_results, 3);
	assert_int_equal(channel.calls_without_room, 2);
}

/* ---- stopping ---------------------------------------------------------------------- */

static void stopped_job_is_given_back(void **state)
{
	(void)state;
	window = 2;
	backend.segments = 10;
	backend.in_run = stop_now;
	push_program();
	push_program()->dispatch.segment = 6;
	assert_int_equal(serve(), 0);
	assert_int_equal(channel.nr_results, 2);
	expect_result(0, 1, INFINI_RESULT_PREEMPTED, 0, 1);
	expect_result(1, 2, INFINI_RESULT_PREEMPTED, 0, 6);
	/* Nothing new was taken. */
	assert_int_equal(channel.calls, 1 + channel.calls_without_room);
}

static void stop_while_idle_ends_the_loop(void **state)
{
	(void)state;
	channel.end = 0;
	channel.on_idle = stop_now;
	channel_push(INFINI_OP_NOP);
	assert_int_equal(serve(), 0);
	assert_int_equal(channel.nr_results, 1);
}

static void worker_without_buffers_retires(void **state)
{
	(void)state;
	channel.end = 0;
	channel.on_idle = retire_now;
	push_program();
	assert_int_equal(serve(), 0);
	assert_int_equal(channel.nr_results, 1);
}

static void stop_at_the_third_idle(void)
{
	static int idle;

	if (++idle == 3)
		infini_exchanger_stop(&exchanger);
	else
		infini_exchanger_retire(&exchanger);
}

static void worker_with_buffers_stays(void **state)
{
	(void)state;
	channel.end = 0;
	channel.on_idle = stop_at_the_third_idle;
	channel_bind(channel_push(INFINI_OP_ALLOC), channel_held(40, 32));
	assert_int_equal(serve(), 0);
	assert_int_equal(channel.nr_results, 1);
	/* To be asked to retire twice did not end it. */
	assert_true(channel.calls >= 4);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(nop_is_answered),
		ROW(copy_moves_the_range),
		ROW(fill_sets_the_range),
		ROW(program_has_inputs_before_and_outputs_after),
		ROW(program_is_fetched_once),
		ROW(freed_program_is_fetched_again),
		ROW(refused_program_is_validated_once),
		ROW(program_without_memory_is_tried_again),
		ROW(question_is_answered),
		ROW(foreign_formats_and_ops_are_not_supported),
		ROW(backend_without_questions),
		ROW(held_memory_starts_as_zeroes),
		ROW(held_memory_goes_with_its_notice),
		ROW(memory_of_a_dead_executor_is_lost),
		ROW(allocation_can_fail),
		ROW(mapping_can_fail),
		ROW(buffer_is_mapped_once_and_many_fit),
		ROW(file_is_mapped_once_and_read_in_place),
		ROW(file_that_is_not_handed_out_fails_its_job),
		ROW(file_is_never_written),
		ROW(truncated_file_fails_its_jobs_only),
		ROW(file_cut_under_a_program_that_yields),
		ROW(other_bus_errors_end_the_worker),
		ROW(program_yields_at_a_segment),
		ROW(resumed_program_takes_no_inputs_again),
		ROW(word_of_earlier_dispatches_is_no_reason),
		ROW(covered_job_is_not_begun),
		ROW(rest_of_the_window_is_given_back),
		ROW(broken_backend_cannot_go_backwards),
		ROW(backend_errors_reach_the_client),
		ROW(what_a_job_began_is_finished_once),
		ROW(preempted_job_is_finished_too),
		ROW(lost_backend_ends_the_worker),
		ROW(backend_lost_in_an_allocation),
		ROW(what_waits_for_a_device_that_is_gone_ends),
		ROW(long_fill_yields_between_chunks),
		ROW(last_chunk_is_not_given_back),
		ROW(overlapping_long_copies_keep_every_byte),
		ROW(bad_payloads_fail_their_job_only),
		ROW(bad_transfers_fail),
		ROW(buffer_cannot_change_under_its_id),
		ROW(errors_end_the_loop),
		ROW(signal_without_reason_changes_nothing),
		ROW(results_not_taken_are_handed_in_again),
		ROW(short_jobs_share_an_exchange),
		ROW(program_of_a_window_is_answered_at_once),
		ROW(stopped_job_is_given_back),
		ROW(stop_while_idle_ends_the_loop),
		ROW(worker_without_buffers_retires),
		ROW(worker_with_buffers_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
