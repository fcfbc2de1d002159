// SPDX-License-Identifier: GPL-2.0-or-later
/* Stopping between segments and going on. */
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void make_and_run(struct world *world, struct job *job, const struct kit_program *from)
{
	job_make(world, job, from, &world->memories[0]);
	CHECK(!job_run(world, job, YIELD_NEVER), "\"%s\" does not run", from->name);
}

/* Stopped wherever that can be: the same bits. */
static void every_boundary(struct world *world)
{
	struct job whole, cut;

	world_open(world);
	for (uint32_t i = 0; i < backend_kit.nr_programs; i++) {
		const struct kit_program *from = &backend_kit.programs[i];

		make_and_run(world, &whole, from);
		job_make(world, &cut, from, &world->memories[0]);
		CHECK(!job_run(world, &cut, YIELD_ALWAYS), "\"%s\" does not end", from->name);
		job_is_right(world, &cut);
		jobs_agree(world, &whole, &cut);
		CHECK(world->device.level < INFINI_LEVEL_SEGMENT ||
		      cut.preemptions + 1 >= from->segments_min,
		      "\"%s\" has %u segments, at least %u were wanted", from->name,
		      cut.preemptions + 1, from->segments_min);
		remark("\"%s\": %u preemptions", from->name, cut.preemptions);
		job_drop(world, &cut);
		job_drop(world, &whole);
	}
	world_is_as_before(world);
	world_close(world);
}

static void one_boundary(struct world *world)
{
	const struct kit_program *from = cuttable(world);
	struct job whole, cut;
	int ret;

	world_open(world);
	make_and_run(world, &whole, from);
	job_make(world, &cut, from, &world->memories[0]);
	for (uint32_t k = 0; k + 1 < from->segments_min && k < 32; k++) {
		job_reset(world, &cut);
		ret = job_dispatch(world, &cut, YIELD_ONCE, k);
		CHECK(ret == INFINI_BACKEND_PREEMPTED, "asked at boundary %u: %d", k, ret);
		CHECK(!job_run(world, &cut, YIELD_NEVER), "it does not go on from boundary %u", k);
		job_is_right(world, &cut);
		jobs_agree(world, &whole, &cut);
	}
	job_drop(world, &cut);
	job_drop(world, &whole);
	world_is_as_before(world);
	world_close(world);
}

/* The same program on other buffers, in between, and further. */
static void same_program_between(struct world *world)
{
	const struct kit_program *from = cuttable(world);
	struct job first, second;

	world_open(world);
	job_make(world, &first, from, &world->memories[0]);
	job_make_of(world, &second, from, first.program, &world->memories[0]);
	CHECK(job_dispatch(world, &first, YIELD_ONCE, 1) == INFINI_BACKEND_PREEMPTED,
	      "it does not stop");
	CHECK(job_dispatch(world, &second, YIELD_ONCE, 5) == INFINI_BACKEND_PREEMPTED,
	      "it does not stop on other buffers");
	CHECK(!job_run(world, &first, YIELD_NEVER), "it does not go on");
	CHECK(!job_run(world, &second, YIELD_NEVER), "it does not go on, on other buffers");
	job_is_right(world, &first);
	job_is_right(world, &second);
	jobs_agree(world, &first, &second);
	job_drop(world, &second);
	job_drop(world, &first);
	world_is_as_before(world);
	world_close(world);
}

/* All others in between, loaded and gone again. */
static void others_between(struct world *world)
{
	const struct kit_program *from = cuttable(world);
	struct job whole, cut, other;
	int ret;

	world_open(world);
	make_and_run(world, &whole, from);
	job_make(world, &cut, from, &world->memories[0]);
	for (uint32_t i = 0; ; i++) {
		ret = job_dispatch(world, &cut, YIELD_ALWAYS, 0);
		if (ret != INFINI_BACKEND_PREEMPTED)
			break;
		if (i >= 2 * backend_kit.nr_programs)
			continue;
		make_and_run(world, &other, &backend_kit.programs[i % backend_kit.nr_programs]);
		job_is_right(world, &other);
		job_drop(world, &other);
	}
	CHECK(!ret, "it does not end: %s", strerror(-ret));
	job_is_right(world, &cut);
	jobs_agree(world, &whole, &cut);
	job_drop(world, &cut);
	job_drop(world, &whole);
	world_is_as_before(world);
	world_close(world);
}

/* The next job of the queue copies into a buffer of the one that stopped, before that goes on. */
static void taken_away(struct world *world)
{
	const struct kit_program *from = cuttable(world);
	struct job job;

	world_open(world);
	job_make(world, &job, from, &world->memories[0]);
	CHECK(job_dispatch(world, &job, YIELD_ALWAYS, 0) == INFINI_BACKEND_PREEMPTED,
	      "it does not stop");
	for (uint32_t i = 0; i < from->nr_bindings; i++) {
		uint8_t *ones = malloc(from->bindings[i].bytes);

		memset(ones, 0xff, from->bindings[i].bytes);
		buffer_put(world, &job.buffers[i], 0, ones, from->bindings[i].bytes);
		free(ones);
	}
	/* Its results are nobody's business now, but it ends or says no. */
	CHECK(job_run(world, &job, YIELD_NEVER) <= 0, "it neither ends nor fails");
	job_reset(world, &job);
	CHECK(!job_run(world, &job, YIELD_NEVER), "it does not run again");
	job_is_right(world, &job);
	job_drop(world, &job);
	world_is_as_before(world);
	world_close(world);
}

const struct row yield_rows[] = {
	{ "a run that stops at every boundary has the same bits", every_boundary },
	{ "a run that stops at one boundary has the same bits", one_boundary },
	{ "a program runs on other buffers while it is stopped", same_program_between },
	{ "other programs run while one is stopped", others_between },
	{ "memory that changes while a program is stopped does no harm", taken_away },
	{ NULL, NULL },
};
