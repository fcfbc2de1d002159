/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A promise of the scheduler as a row: a workload, and what must come of it. */
#ifndef INFINI_TESTS_CORE_SCENARIO_H
#define INFINI_TESTS_CORE_SCENARIO_H

#include "workload.h"

#define SCENARIO_WANTS	10

enum want_kind {
	WANT_END,
	WANT_PART,		/* occupancy, ppm of the device's time */
	WANT_USEFUL,		/* the part inside jobs, of all vdevs together, ppm likewise */
	WANT_SECOND_MOST,	/* in any second, us of slot time */
	WANT_SECOND_LEAST,	/* in any second full of work, us of slot time */
	WANT_WAIT_MAX,		/* longest with work and without a slot, us */
	WANT_DUE_MAX,		/* longest that a due floor waited, us */
	WANT_JOB_P99,		/* wait of a job from submission until it ran, us */
	WANT_JOB_MAX,		/* the longest of them, us */
	WANT_TOKENS,		/* turned over */
	WANT_DONE,		/* jobs */
	WANT_REFUSED		/* jobs */
};

/**
 * struct want - what the vdevs of a row must measure
 * @kind: what
 * @row: of the table of vdevs; sums are of all its vdevs, extremes of each
 * @low: at least
 * @high: at most
 */
struct want {
	enum want_kind kind;
	u32 row;
	u64 low;
	u64 high;
};

#define PERCENT(p)		((u64)((p) * 10000 + 0.5))
#define PART(row, low, high)	{ WANT_PART, row, PERCENT(low), PERCENT(high) }
#define USEFUL(low)		{ WANT_USEFUL, 0, PERCENT(low), INFINI_PPM }
#define MOST(row, high)		{ WANT_SECOND_MOST, row, 0, high }
#define LEAST(row, low)		{ WANT_SECOND_LEAST, row, low, U64_MAX }
#define WAIT(row, high)		{ WANT_WAIT_MAX, row, 0, high }
#define DUE(row, high)		{ WANT_DUE_MAX, row, 0, high }
#define P99(row, low, high)	{ WANT_JOB_P99, row, low, high }
#define SLOWEST(row, high)	{ WANT_JOB_MAX, row, 0, high }
#define TOKENS(row, low, high)	{ WANT_TOKENS, row, low, high }
#define DONE(row, low, high)	{ WANT_DONE, row, low, high }
#define REFUSED(row, low, high)	{ WANT_REFUSED, row, low, high }

/**
 * struct scenario - a run and what must come of it
 * @name: what a reader calls it
 * @load: who wants what; an end of 0 is 10 s
 * @from_ns: measured from here on
 * @share: expected parts of occupancy, row by row; 0 is not compared
 * @error_ppm: how far each part may be off; 0 for 1 %
 * @lag_max_us: no vdev is ever owed, or owes, more service than this; 0 is not compared
 * @wait_max_us: no vdev of non-zero share with work is ever without a slot for longer; likewise
 * @asked_max: vdevs are asked to yield at most so often per second; U64_MAX is not compared
 * @want: and besides
 */
struct scenario {
	const char *name;
	struct sim_workload load;
	u64 from_ns;
	u32 share[SIM_VDEV_ROWS];
	u32 error_ppm;
	u64 lag_max_us;
	u64 wait_max_us;
	u64 asked_max;
	struct want want[SCENARIO_WANTS];
};

/* Rows of vdevs. */
#define W(w)			{ .weight = (w) }
#define WQ(w, q)		{ .weight = (w), .quantum_ns = (q) }

/* Rows of clients: a backlog, whose next job is there when the last ends. */
#define TENTH			100000	/* in ppm */
#define BACKLOG(v, job_us, segment_us) \
	{ .vdev = (v), .job_ns = (job_us) * US, .segment_ns = (segment_us) * US, \
	  .spread_ppm = TENTH }
/* One that waits for its answer and then thinks. */
#define LOOP(v, job_us, segment_us, think_us) \
	{ .vdev = (v), .job_ns = (job_us) * US, .segment_ns = (segment_us) * US, \
	  .think_ns = (think_us) * US, .spread_ppm = TENTH }
/* Requests that come when they come. */
#define OPEN(v, job_us, segment_us, every_us) \
	{ .vdev = (v), .job_ns = (job_us) * US, .segment_ns = (segment_us) * US, \
	  .period_ns = (every_us) * US, .spread_ppm = TENTH }

/* Runs it and asserts; a test function whose state is the scenario. */
void scenario_test(void **state);

/* Stop the test with the fault that the run has found, if any. */
void scenario_assert_sound(const struct sim *sim);

#endif /* INFINI_TESTS_CORE_SCENARIO_H */
