// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs of a hostile stranger: validated, run on what was bound, and gone when they are freed. */
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void each_program(struct world *world,
			 void (*run)(struct world *world, const struct kit_program *from))
{
	world_open(world);
	for (uint32_t i = 0; i < backend_kit.nr_programs; i++)
		run(world, &backend_kit.programs[i]);
	world_is_as_before(world);
	world_close(world);
}

static void program_drop(struct world *world, struct infini_backend_program *program)
{
	if (world->ops->program_free)
		world->ops->program_free(world->backend, program);
}

/* ---- sound ones ---- */

static void right_with(struct world *world, const struct kit_program *from)
{
	struct job job;

	job_make(world, &job, from, &world->memories[0]);
	for (int i = 0; i < 3; i++) {
		int ret = job_run(world, &job, YIELD_NEVER);

		CHECK(!ret, "\"%s\", run %d: %s", from->name, i, strerror(-ret));
		job_is_right(world, &job);
		job_reset(world, &job);
	}
	job_drop(world, &job);
}

static void right(struct world *world)
{
	each_program(world, right_with);
}

/* Inputs, program and outputs of one job: nothing waits in between, and the end is told once. */
static void in_a_row_with(struct world *world, const struct kit_program *from)
{
	const struct memory *shared = &world->memories[world->nr_memories - 1];
	struct infini_backend_buffer out;
	struct job job;
	int ret;

	if (!from->nr_bindings)
		return;
	job_make(world, &job, from, &world->memories[0]);
	CHECK(!buffer_make(world, shared, job.buffers[from->nr_bindings - 1].bytes, &out),
	      "no shared pages");
	for (int i = 0; i < 3; i++) {
		const struct infini_backend_buffer *last = &job.buffers[from->nr_bindings - 1];

		job_reset(world, &job);
		memset(out.addr, 0xee, out.bytes);
		for (uint32_t j = 0; j < from->nr_bindings; j++) {
			ret = world->ops->write(world->backend, &job.buffers[j], 0, job.before[j],
						from->bindings[j].bytes);
			CHECK(!ret, "\"%s\", input %u: %s", from->name, j, strerror(-ret));
		}
		ret = job_begin(world, &job, YIELD_NEVER, 0);
		CHECK(!ret, "\"%s\": %s", from->name, strerror(-ret));
		ret = world->ops->copy(world->backend, &out, 0,
				       &job.buffers[from->nr_bindings - 1], 0, last->bytes);
		ret = finished(world, ret);
		CHECK(!ret, "\"%s\", output: %s", from->name, strerror(-ret));
		job_is_right(world, &job);
		CHECK(!memcmp(out.addr, job.after[from->nr_bindings - 1], last->bytes),
		      "\"%s\": the output is not what the program wrote", from->name);
	}
	buffer_drop(world, &out);
	job_drop(world, &job);
}

static void in_a_row(struct world *world)
{
	each_program(world, in_a_row_with);
}

/* A client may bind any memory it has; the backend may want another kind, and then says so. */
static void elsewhere_with(struct world *world, const struct kit_program *from)
{
	struct job job;
	int ret;

	for (uint32_t i = 1; i < world->nr_memories; i++) {
		if (world->memories[i].is_weights)
			continue;
		job_make(world, &job, from, &world->memories[i]);
		ret = job_run(world, &job, YIELD_NEVER);
		CHECK(!ret || ret == -EINVAL || ret == -EOPNOTSUPP, "\"%s\" in %s: %s", from->name,
		      world->memories[i].name, strerror(-ret));
		if (ret)
			job_is_untouched(world, &job);
		else
			job_is_right(world, &job);
		remark("\"%s\" in %s: %s", from->name, world->memories[i].name,
		       ret ? strerror(-ret) : "runs");
		job_drop(world, &job);
	}
}

static void elsewhere(struct world *world)
{
	each_program(world, elsewhere_with);
}

static void other_buffers_with(struct world *world, const struct kit_program *from)
{
	struct job first, next;

	job_make(world, &first, from, &world->memories[0]);
	CHECK(!job_run(world, &first, YIELD_NEVER), "\"%s\"", from->name);
	job_drop_buffers(world, &first);
	for (int i = 0; i < 4; i++) {
		job_make_of(world, &next, from, first.program, &world->memories[0]);
		CHECK(!job_run(world, &next, YIELD_NEVER), "\"%s\", buffers %d", from->name, i);
		job_is_right(world, &next);
		job_drop(world, &next);
	}
	program_drop(world, first.program);
	free(first.data);
}

static void other_buffers(struct world *world)
{
	each_program(world, other_buffers_with);
}

/* ---- wrong bindings and arguments ---- */

static void refuse(struct world *world, struct job *job, const char *what, uint32_t which)
{
	int ret = job_run(world, job, YIELD_NEVER);

	CHECK(ret == -EINVAL, "\"%s\", %s %u: %s", job->from->name, what, which,
	      ret ? strerror(-ret) : "it runs");
	job_is_untouched(world, job);
}

static void wrong_bindings_with(struct world *world, const struct kit_program *from)
{
	uint64_t bytes;
	struct job job;

	job_make(world, &job, from, &world->memories[0]);
	for (uint32_t i = 0; i < from->nr_bindings; i++) {
		job.run.nr_bindings = i;
		refuse(world, &job, "bindings, only", i);
		job.run.nr_bindings = from->nr_bindings;

		bytes = job.buffers[i].bytes;
		job.buffers[i].bytes = from->bindings[i].bytes - 1;
		refuse(world, &job, "a byte less in binding", i);
		job.buffers[i].bytes = bytes;

		for (uint32_t right = 1; right <= INFINI_ACCESS_WRITE; right <<= 1) {
			if (!(from->bindings[i].access & right))
				continue;
			job.bindings[i].access &= ~right;
			refuse(world, &job, right == INFINI_ACCESS_READ ? "no right to read binding" :
			       "no right to write binding", i);
			job.bindings[i].access |= right;
		}
	}
	CHECK(!job_run(world, &job, YIELD_NEVER), "\"%s\" does not run after all that", from->name);
	job_is_right(world, &job);
	job_drop(world, &job);
}

static void wrong_bindings(struct world *world)
{
	each_program(world, wrong_bindings_with);
}

static void wrong_arguments_with(struct world *world, const struct kit_program *from)
{
	static const uint8_t bytes[4096];
	static const uint32_t sizes[] = { 1, 3, 4095 };
	struct job job;

	job_make(world, &job, from, &world->memories[0]);
	job.run.args = bytes;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		job.run.args_bytes = sizes[i];
		refuse(world, &job, "bytes of arguments,", sizes[i]);
	}
	job.run.args = from->args;
	job.run.args_bytes = from->args_bytes;
	job.run.segment = 1ULL << 40;
	refuse(world, &job, "a start at segment 2 to the power of", 40);
	job_drop(world, &job);
}

static void wrong_arguments(struct world *world)
{
	each_program(world, wrong_arguments_with);
}

/* Two names for one memory: refused, or whatever comes out of it. */
static void aliased_with(struct world *world, const struct kit_program *from)
{
	struct job job;
	uint32_t largest = 0;
	int ret;

	if (from->nr_bindings < 2)
		return;
	job_make(world, &job, from, &world->memories[0]);
	for (uint32_t i = 0; i < from->nr_bindings; i++)
		if (from->bindings[i].bytes > from->bindings[largest].bytes)
			largest = i;
	for (uint32_t i = 0; i < from->nr_bindings; i++)
		job.bindings[i].buffer = &job.buffers[largest];
	ret = job_run(world, &job, YIELD_NEVER);
	CHECK(!ret || ret == -EINVAL, "\"%s\": %s", from->name, strerror(-ret));
	job_drop(world, &job);
}

static void aliased(struct world *world)
{
	each_program(world, aliased_with);
}

/* ---- damaged ones ---- */

struct tally {
	uint32_t tried, refused, accepted, ran;
};

static void run_damaged(struct world *world, const struct kit_program *from,
			struct infini_backend_program *program)
{
	struct job job;
	int ret;

	job_make_of(world, &job, from, program, &world->memories[0]);
	ret = job_dispatch(world, &job, YIELD_ALWAYS, 0);
	CHECK(ret > -4096, "it returned %d", ret);
	job_drop(world, &job);
}

/* @data has the exact size, so that one byte too far is seen. */
static int try_damaged(struct world *world, const struct kit_program *from, const uint8_t *data,
		       size_t bytes, struct tally *tally)
{
	struct infini_backend_program *program;
	int ret;

	said_nothing();
	ret = world->ops->program_load(world->backend, data, bytes, &program);
	tally->tried++;
	if (ret) {
		CHECK(ret == -EINVAL || ret == -EOPNOTSUPP || ret == -ENOMEM,
		      "\"%s\", damaged: %s", from->name, strerror(-ret));
		CHECK(ret == -ENOMEM || said[0], "\"%s\", damaged: refused without a word",
		      from->name);
		tally->refused++;
		return ret;
	}
	tally->accepted++;
	if (backend_kit.may_run && backend_kit.may_run(data, bytes)) {
		run_damaged(world, from, program);
		tally->ran++;
	}
	program_drop(world, program);
	return 0;
}

static void report(const struct kit_program *from, const char *what, const struct tally *tally)
{
	remark("\"%s\", %s: %u tried, %u refused, %u accepted, %u of those run", from->name, what,
	       tally->tried, tally->refused, tally->accepted, tally->ran);
}

static void cut_short_with(struct world *world, const struct kit_program *from)
{
	struct tally tally = { 0 };
	size_t bytes, step;
	uint8_t *data = program_bytes(from, &bytes), *part;

	/* Every length of a short program, a prime step in a long one. */
	step = bytes > 2000 ? bytes / 1000 | 1 : 1;
	for (size_t n = 1; n < bytes; n += step) {
		part = malloc(n);
		memcpy(part, data, n);
		try_damaged(world, from, part, n, &tally);
		free(part);
	}
	CHECK(tally.accepted <= backend_kit.prefixes_accepted, "\"%s\": %u prefixes are accepted",
	      from->name, tally.accepted);
	report(from, "cut short", &tally);
	free(data);
}

static void cut_short(struct world *world)
{
	each_program(world, cut_short_with);
}

static uint32_t odd_word(uint64_t *seed)
{
	static const uint32_t words[] = {
		0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff,
		0x80000000, 0xfffffffe, 0xffffffff,
	};

	return next_random(seed) % 2 ? next_random(seed) :
				       words[next_random(seed) % (sizeof(words) / 4)];
}

/* One to four bits, bytes, words or swaps. */
static void damage(uint8_t *data, size_t bytes, uint64_t *seed)
{
	uint32_t times = 1 + next_random(seed) % 4, word;
	size_t at, other;

	while (times--) {
		at = next_random(seed) % bytes;
		switch (next_random(seed) % 4) {
		case 0:
			data[at] ^= (uint8_t)(1 << next_random(seed) % 8);
			break;
		case 1:
			data[at] = (uint8_t)next_random(seed);
			break;
		case 2:
			if (at % 4 || at + 4 > bytes)
				break;
			word = odd_word(seed);
			memcpy(data + at, &word, 4);
			break;
		default:
			other = next_random(seed) % bytes;
			data[at] = data[other];
		}
	}
}

static uint32_t rounds_on(const struct infini_backend_device *device)
{
	uint32_t rounds = backend_kit.damaged ? backend_kit.damaged : 2000;
	const char *slow = backend_kit.slow;

	return slow && !strncmp(device->name, slow, strlen(slow)) ? rounds / 5 : rounds;
}

static void flipped_with(struct world *world, const struct kit_program *from)
{
	uint32_t rounds = rounds_on(&world->device);
	struct tally tally = { 0 };
	size_t bytes;
	uint8_t *data = program_bytes(from, &bytes), *copy;

	for (uint64_t i = 0; i < rounds; i++) {
		uint64_t seed = i;

		copy = malloc(bytes);
		memcpy(copy, data, bytes);
		damage(copy, bytes, &seed);
		try_damaged(world, from, copy, bytes, &tally);
		free(copy);
	}
	report(from, "damaged", &tally);
	free(data);
}

static void flipped(struct world *world)
{
	each_program(world, flipped_with);
}

static void garbage(struct world *world)
{
	const struct kit_program *from = &backend_kit.programs[0];
	struct tally tally = { 0 };
	uint64_t seed = 7;

	world_open(world);
	for (int i = 0; i < 500; i++) {
		size_t bytes = 1 + next_random(&seed) % (i % 2 ? 64 : 4096);
		uint8_t *data = malloc(bytes);

		for (size_t j = 0; j < bytes; j++)
			data[j] = i % 5 ? (uint8_t)next_random(&seed) : (uint8_t)i;
		try_damaged(world, from, data, bytes, &tally);
		free(data);
	}
	CHECK(!tally.accepted, "%u heaps of garbage are programs", tally.accepted);
	world_is_as_before(world);
	world_close(world);
}

static void questions(struct world *world)
{
	struct infini_backend_run run = { 0 };
	uint64_t seed = 9;

	if (!world->ops->ask)
		skip("the backend answers no questions");
	world_open(world);
	for (int i = 0; i < 2000; i++) {
		uint32_t bytes = next_random(&seed) % 512;
		uint8_t *args = malloc(bytes + 1);
		int ret;

		for (uint32_t j = 0; j < bytes; j++)
			args[j] = (uint8_t)next_random(&seed);
		run = (struct infini_backend_run){ .args = args, .args_bytes = bytes };
		ret = world->ops->ask(world->backend, &run);
		CHECK(ret <= 0 && ret > -4096, "question %d of %u bytes: %d", i, bytes, ret);
		free(args);
	}
	world_is_as_before(world);
	world_close(world);
}

/* ---- many ---- */

/* Bytes that are kept of so many loads, as far as they are more than were there after the first tenth. */
static size_t kept_of(struct world *world, const struct kit_program *from, const uint8_t *data,
		      size_t bytes, uint32_t loads)
{
	struct infini_backend_program *program;
	size_t before = 0, after;
	uint64_t held = 0;
	int ret;

	for (uint32_t i = 0; i < loads; i++) {
		ret = world->ops->program_load(world->backend, data, bytes, &program);
		CHECK(!ret, "\"%s\", load %u: %s", from->name, i, strerror(-ret));
		if (i == loads / 10)
			held = world->ops->held_bytes(world->backend);
		CHECK(i < loads / 10 || held == world->ops->held_bytes(world->backend),
		      "\"%s\": load %u holds another number of bytes", from->name, i);
		program_drop(world, program);
		if (i == loads / 10)
			before = allocated_bytes();
	}
	after = allocated_bytes();
	return after > before ? after - before : 0;
}

/* A driver's thread that has just been started takes something for itself, once: a leak is there each time. */
static void no_growth_with(struct world *world, const struct kit_program *from)
{
	uint32_t loads = backend_kit.loads ? backend_kit.loads : 1000;
	size_t bytes, grown = SIZE_MAX;
	uint8_t *data = program_bytes(from, &bytes);

	for (int round = 0; round < 3 && grown > backend_kit.keeps_bytes; round++)
		grown = kept_of(world, from, data, bytes, loads);
	CHECK(grown <= backend_kit.keeps_bytes, "\"%s\": %zu bytes are kept of %u programs",
	      from->name, grown, loads);
	free(data);
}

static void no_growth(struct world *world)
{
	each_program(world, no_growth_with);
}

const struct row program_rows[] = {
	{ "programs compute what they should, again and again", right },
	{ "inputs, program and outputs follow each other at once", in_a_row },
	{ "programs run on other kinds of memory or refuse them", elsewhere },
	{ "a program runs on buffers that came after it", other_buffers },
	{ "too few, too small and forbidden bindings are refused", wrong_bindings },
	{ "wrong arguments are refused", wrong_arguments },
	{ "one buffer behind all bindings does no harm", aliased },
	{ "programs that are cut short are refused", cut_short },
	{ "damaged programs are refused or do no harm", flipped },
	{ "garbage is refused", garbage },
	{ "garbage is no question", questions },
	{ "many programs leave nothing", no_growth },
	{ NULL, NULL },
};
