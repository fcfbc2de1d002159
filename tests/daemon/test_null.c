// SPDX-License-Identifier: GPL-2.0-or-later
/* The null backend: what it offers, how long it is busy, where it stops. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend.h"

#include <errno.h>
#include <infini/null.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MS	1000000ULL

extern const struct infini_backend_ops infini_backend_ops;
static const struct infini_backend_ops *const ops = &infini_backend_ops;
static struct infini_backend *backend;
static char said[128];

static void note(int priority, const char *message)
{
	(void)priority;
	strncpy(said, message, sizeof(said) - 1);
}

static int setup(void **state)
{
	const struct infini_backend_open open = {
		.device = "null0", .threads_max = 1, .log = note,
	};

	(void)state;
	said[0] = '\0';
	return ops->open(&open, &backend);
}

static int teardown(void **state)
{
	(void)state;
	ops->close(backend);
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* ---- devices ----------------------------------------------------------------------- */

static int keep(const struct infini_backend_device *device, void *arg)
{
	struct infini_backend_device **next = arg;

	*(*next)++ = *device;
	return 0;
}

static void offers_two_devices(void **state)
{
	struct infini_backend_device devices[4], *next = devices;
	static const uint32_t slots[] = { 1, 2 };
	static const char *const names[] = { "null0", "null1" };

	(void)state;
	assert_int_equal(ops->probe(keep, &next, note), 0);
	assert_int_equal(next - devices, 2);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(devices[i].name, names[i]);
		assert_int_equal(devices[i].slots, slots[i]);
		assert_int_equal(devices[i].device_class, INFINI_CLASS_OTHER);
		assert_int_equal(devices[i].level, INFINI_LEVEL_SEGMENT);
		assert_int_equal(devices[i].memory_bytes, 1ULL << 30);
		assert_int_equal(devices[i].nr_kinds, 2);
		assert_string_equal((char *)devices[i].kinds[0].name, "null");
		assert_int_equal(devices[i].kinds[0].flags,
				 INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_FILE);
		assert_string_equal((char *)devices[i].kinds[1].name, "null-held");
		assert_int_equal(devices[i].kinds[1].flags, 0);
	}
}

static void unknown_device_is_refused(void **state)
{
	const struct infini_backend_open open = {
		.device = "null2", .threads_max = 1, .log = note,
	};
	struct infini_backend *other;

	(void)state;
	assert_int_equal(ops->open(&open, &other), -ENODEV);
}

/* ---- programs ---------------------------------------------------------------------- */

#define GOOD .magic = INFINI_NULL_MAGIC, .segments = 1
#define OLD offsetof(struct infini_null_program, prompts)
#define NEW sizeof(struct infini_null_program)

static const struct {
	const char *name;
	struct infini_null_program code;
	size_t bytes;
	int ret;
	const char *said;
} loads[] = {
	{ "the smallest", { GOOD }, OLD, 0, "" },
	{ "the largest",
	  { .magic = INFINI_NULL_MAGIC, .flags = 15, .segments = INFINI_NULL_SEGMENTS_MAX,
	    .segment_ns = INFINI_NULL_SEGMENT_NS_MAX, .tokens_evaluated = 2, .tokens_generated = 1,
	    .prompts = 1, .tokens_scored = 1, .tokens_embedded = 1 }, NEW, 0, "" },
	{ "a short one", { GOOD }, OLD - 1, -EINVAL, "null program: wrong size" },
	{ "one between two sizes", { GOOD }, OLD + 4, -EINVAL, "null program: wrong size" },
	{ "a long one", { GOOD }, NEW + 1, -EINVAL, "null program: wrong size" },
	{ "another magic", { .magic = 1, .segments = 1 }, NEW, -EINVAL,
	  "null program: wrong magic number" },
	{ "an unknown flag", { GOOD, .flags = 16 }, NEW, -EINVAL, "null program: unknown flag" },
	{ "padding", { GOOD, .pad = 1 }, NEW, -EINVAL, "null program: padding set" },
	{ "more prompts than tokens", { GOOD, .prompts = 1 }, NEW, -EINVAL,
	  "null program: more tokens of a kind than tokens" },
	{ "more kinds than tokens", { GOOD, .tokens_evaluated = 1, .tokens_scored = 1,
	  .tokens_embedded = 1 }, NEW, -EINVAL,
	  "null program: more tokens of a kind than tokens" },
	{ "no segment", { .magic = INFINI_NULL_MAGIC }, NEW, -EINVAL,
	  "null program: segments out of range" },
	{ "too many segments",
	  { .magic = INFINI_NULL_MAGIC, .segments = INFINI_NULL_SEGMENTS_MAX + 1 }, NEW,
	  -EINVAL, "null program: segments out of range" },
	{ "too long segments", { GOOD, .segment_ns = INFINI_NULL_SEGMENT_NS_MAX + 1 }, NEW,
	  -EINVAL, "null program: segment_ns out of range" },
};

static void programs_are_validated(void **state)
{
	struct infini_backend_program *program;
	uint8_t data[64];

	(void)state;
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		int ret;

		said[0] = '\0';
		memset(data, 0, sizeof(data));
		memcpy(data, &loads[i].code, sizeof(loads[i].code));
		ret = ops->program_load(backend, data, loads[i].bytes, &program);
		if (ret != loads[i].ret || strcmp(said, loads[i].said))
			fail_msg("%s: %d, \"%s\"", loads[i].name, ret, said);
		if (!ret)
			ops->program_free(backend, program);
	}
}

/* The word covers the run from this call of should_yield() on; 0: never. */
static unsigned int yield_at_call, yield_calls;

static bool should_yield(const struct infini_backend_run *run)
{
	(void)run;
	return ++yield_calls == yield_at_call;
}

static int run_code(const struct infini_null_program *code, struct infini_backend_run *run)
{
	struct infini_backend_program *program;
	int ret;

	assert_int_equal(ops->program_load(backend, code, sizeof(*code), &program), 0);
	yield_calls = 0;
	run->should_yield = should_yield;
	ret = ops->program_run(backend, program, run);
	ops->program_free(backend, program);
	return ret;
}

static const struct {
	const char *name;
	uint32_t flags;
	uint64_t segments, start;
	unsigned int yield_at_call;
	int ret;
	uint64_t segment, value, counted;
} runs[] = {
	{ "runs through", 0, 5, 0, 0, 0, 0, 5, 5 },
	{ "goes on where it stopped", 0, 5, 3, 0, 0, 0, 5, 2 },
	{ "stops after one segment", 0, 5, 0, 1, INFINI_BACKEND_PREEMPTED, 1, 0, 1 },
	{ "stops before the last", 0, 5, 2, 2, INFINI_BACKEND_PREEMPTED, 4, 0, 2 },
	{ "deaf does not stop", INFINI_NULL_F_DEAF, 5, 0, 1, 0, 0, 5, 5 },
	{ "starts past its end", 0, 5, 5, 0, -EINVAL, 0, 0, 0 },
};

static void segments_are_counted_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		const struct infini_null_program code = {
			.magic = INFINI_NULL_MAGIC,
			.flags = runs[i].flags | INFINI_NULL_F_COUNT,
			.segments = runs[i].segments,
			.tokens_evaluated = 11,
			.tokens_generated = 3,
			.prompts = 2,
			.tokens_scored = 5,
			.tokens_embedded = 1,
		};
		uint64_t memory[2] = { 0, 0 };
		struct infini_backend_buffer buffer = { .bytes = sizeof(memory), .addr = memory };
		struct infini_backend_binding binding = { &buffer, INFINI_ACCESS_WRITE };
		struct infini_backend_run run = {
			.bindings = &binding, .nr_bindings = 1, .segment = runs[i].start,
		};
		int ret;

		yield_at_call = runs[i].yield_at_call;
		ret = run_code(&code, &run);
		if (ret != runs[i].ret || memory[0] != runs[i].counted ||
		    (ret == INFINI_BACKEND_PREEMPTED && run.segment != runs[i].segment) ||
		    (!ret && (run.value != runs[i].value || run.tokens_evaluated != 11 ||
			      run.tokens_generated != 3 || run.prompts != 2 ||
			      run.tokens_scored != 5 || run.tokens_embedded != 1)))
			fail_msg("%s: returned %d at %llu after %llu", runs[i].name, ret,
				 (unsigned long long)run.segment, (unsigned long long)memory[0]);
	}
	yield_at_call = 0;
}

static const struct {
	const char *name;
	uint32_t nr_bindings, access;
	uint64_t bytes;
} uncountable[] = {
	{ "no binding", 0, 0, 8 },
	{ "a binding to read", 1, INFINI_ACCESS_READ, 8 },
	{ "a binding too small", 1, INFINI_ACCESS_WRITE, 7 },
};

static void counting_needs_room(void **state)
{
	const struct infini_null_program code = {
		.magic = INFINI_NULL_MAGIC, .flags = INFINI_NULL_F_COUNT, .segments = 1,
	};

	(void)state;
	for (size_t i = 0; i < sizeof(uncountable) / sizeof(uncountable[0]); i++) {
		uint64_t memory = 0;
		struct infini_backend_buffer buffer = {
			.bytes = uncountable[i].bytes, .addr = &memory,
		};
		struct infini_backend_binding binding = { &buffer, uncountable[i].access };
		struct infini_backend_run run = {
			.bindings = &binding, .nr_bindings = uncountable[i].nr_bindings,
		};

		if (run_code(&code, &run) != -EINVAL || memory)
			fail_msg("%s", uncountable[i].name);
	}
}

static const struct {
	const char *name;
	uint32_t flags;
	uint64_t segment_ns, arg_ns;
	uint32_t args_bytes;
	int ret;
	uint64_t at_least_ns;
} durations[] = {
	{ "sleeps", 0, 5 * MS, 0, 0, 0, 15 * MS },
	{ "spins", INFINI_NULL_F_SPIN, 5 * MS, 0, 0, 0, 15 * MS },
	{ "takes its time from the arguments", 0, 0, 4 * MS, 8, 0, 12 * MS },
	{ "arguments of another size", 0, 0, 4 * MS, 4, -EINVAL, 0 },
	{ "arguments out of range", 0, 0, INFINI_NULL_SEGMENT_NS_MAX + 1, 8, -EINVAL, 0 },
};

static void segments_take_their_time(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
		const struct infini_null_program code = {
			.magic = INFINI_NULL_MAGIC, .flags = durations[i].flags, .segments = 3,
			.segment_ns = durations[i].segment_ns,
		};
		struct infini_backend_run run = {
			.args = &durations[i].arg_ns, .args_bytes = durations[i].args_bytes,
		};
		uint64_t start = now_ns(), took;
		int ret = run_code(&code, &run);

		took = now_ns() - start;
		/* Above, only what a busy machine may add. */
		if (ret != durations[i].ret || took < durations[i].at_least_ns ||
		    took > durations[i].at_least_ns + 2000 * MS)
			fail_msg("%s: %d after %llu ns", durations[i].name, ret,
				 (unsigned long long)took);
	}
}

static void crash_kills_the_process(void **state)
{
	const struct infini_null_program code = {
		.magic = INFINI_NULL_MAGIC, .flags = INFINI_NULL_F_CRASH, .segments = 2,
	};
	struct infini_backend_run run = { 0 };
	int status;
	pid_t pid;

	(void)state;
	pid = fork();
	if (!pid) {
		signal(SIGABRT, SIG_DFL);
		run_code(&code, &run);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
	/* Only the first segment crashes. */
	run.segment = 1;
	assert_int_equal(run_code(&code, &run), 0);
}

/* ---- questions and memory ---------------------------------------------------------- */

static const struct {
	const char *name;
	uint32_t nr_bindings, access, args_bytes;
	int ret;
	uint64_t value;
} questions[] = {
	{ "nothing asked", 0, 0, 0, 0, 0 },
	{ "the sum alone", 0, 0, 4, 0, 10 },
	{ "the sum and a copy", 1, INFINI_ACCESS_WRITE, 4, 0, 10 },
	{ "an answer that may not be written", 1, INFINI_ACCESS_READ, 4, -EINVAL, 0 },
	{ "an answer that does not fit", 1, INFINI_ACCESS_WRITE, 9, -EINVAL, 0 },
	{ "too long a question", 0, 0, 4097, -EINVAL, 0 },
};

static void questions_are_echoed(void **state)
{
	static const uint8_t args[5000] = { 1, 2, 3, 4 };

	(void)state;
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]); i++) {
		uint8_t memory[8] = { 0 };
		struct infini_backend_buffer buffer = { .bytes = sizeof(memory), .addr = memory };
		struct infini_backend_binding binding = { &buffer, questions[i].access };
		struct infini_backend_run run = {
			.bindings = &binding, .nr_bindings = questions[i].nr_bindings,
			.args = args, .args_bytes = questions[i].args_bytes,
		};
		int ret = ops->ask(backend, &run);

		if (ret != questions[i].ret || (!ret && run.value != questions[i].value) ||
		    memory[3] != (!ret && run.nr_bindings ? 4 : 0))
			fail_msg("%s: %d", questions[i].name, ret);
	}
}

static void held_buffers_are_zeroed_memory(void **state)
{
	struct infini_backend_buffer held = {
		.type = INFINI_BUFFER_DEVICE, .kind = 1, .bytes = 100,
	}, shared = { .type = INFINI_BUFFER_SHARED, .bytes = 100 };
	uint8_t memory[100], read[100];

	(void)state;
	memset(memory, 1, sizeof(memory));
	shared.addr = memory;
	assert_int_equal(ops->buffer_add(backend, &held), 0);
	assert_int_equal(ops->buffer_add(backend, &shared), 0);
	assert_int_equal(ops->copy(backend, &shared, 10, &held, 0, 20), 0);
	assert_int_equal(memory[9], 1);
	assert_int_equal(memory[10], 0);
	assert_int_equal(memory[30], 1);
	assert_int_equal(ops->fill(backend, &held, 1, 7, 2), 0);
	assert_int_equal(ops->write(backend, &held, 3, "\x08", 1), 0);
	assert_int_equal(ops->read(backend, &held, 0, read, 5), 0);
	assert_memory_equal(read, "\0\7\7\10\0", 5);
	ops->buffer_remove(backend, &held);
	ops->buffer_remove(backend, &shared);
}

static void unmapped_unified_buffer_is_refused(void **state)
{
	struct infini_backend_buffer unified = { .type = INFINI_BUFFER_DEVICE, .bytes = 64 };
	struct infini_backend_buffer shared = {
		.type = INFINI_BUFFER_SHARED, .kind = 1, .bytes = 64,
	};

	(void)state;
	assert_int_equal(ops->buffer_add(backend, &unified), -EINVAL);
	assert_int_equal(ops->buffer_add(backend, &shared), -EINVAL);
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(offers_two_devices),
		ROW(unknown_device_is_refused),
		ROW(programs_are_validated),
		ROW(segments_are_counted_once),
		ROW(counting_needs_room),
		ROW(segments_take_their_time),
		ROW(crash_kills_the_process),
		ROW(questions_are_echoed),
		ROW(held_buffers_are_zeroed_memory),
		ROW(unmapped_unified_buffer_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
