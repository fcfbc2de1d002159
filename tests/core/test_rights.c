// SPDX-License-Identifier: GPL-2.0-or-later
/* What is older than weight: caps, floors, classes and token rates, each promise a row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scenario.h"

/* A decode stream: steps of 1 ms, a token sampled between two. */
#define DECODE(v)	LOOP(v, 1000, 250, 200)
/* Prefill and worse. */
#define HOG(v)		BACKLOG(v, 50000, 250)

#define MANY(w, n)	{ .weight = (w), .count = (n) }
#define CAPPED(w, p)	{ .weight = (w), .cap_ppm = PERCENT(p) }
#define FLOORED(w, p)	{ .weight = (w), .floor_ppm = PERCENT(p) }
#define RATED(w, r)	{ .weight = (w), .rate = (r) }
#define LATENCY(w)	{ .weight = (w), .rank = 1 }
#define BATCH(w)	{ .weight = (w), .rank = -1 }
#define BATCHES(w, n)	{ .weight = (w), .rank = -1, .count = (n) }

static const struct scenario scenarios[] = {
	/* ---- caps ---- */
	{
		.name = "cap 20 % alone",
		.load.vdev = { CAPPED(100, 20) },
		.load.client = { HOG(0) },
		.want = { PART(0, 19.5, 20.5), MOST(0, 202250) },
		.asked_max = 300,
	}, {
		.name = "cap 20 % alone, segments longer than the quantum",
		.load.vdev = { CAPPED(100, 20) },
		.load.client = { BACKLOG(0, 50000, 5000) },
		.want = { PART(0, 19.5, 20.5), MOST(0, 207000) },
		.asked_max = 300,
	}, {
		.name = "cap 20 % alone, jobs of 50 ms that do not yield",
		.load.until_ns = 60 * SIM_SECOND,
		.load.vdev = { CAPPED(100, 20) },
		.load.client = { BACKLOG(0, 50000, 0) },
		.want = { PART(0, 19.5, 20.5), MOST(0, 257000) },
		.asked_max = 300,
	}, {
		.name = "cap 20 % alone, tiny jobs from a thousand queues",
		.load.vdev = { { .weight = 100, .cap_ppm = 200000, .window = 8 } },
		.load.client = { { .vdev = 0, .count = 1000, .job_ns = 20 * US, .fresh = true } },
		.want = { PART(0, 19.5, 20.5), MOST(0, 202100) },
		.asked_max = 300,
	}, {
		.name = "cap 20 % alone, rests whenever it has used what there is",
		.load.vdev = { CAPPED(100, 20) },
		.load.client = { { .vdev = 0, .job_ns = 2000 * US, .segment_ns = 100 * US,
				   .think_ns = 1000 * US } },
		.want = { PART(0, 19, 20.5), MOST(0, 202100) },
		.asked_max = 300,
	}, {
		.name = "cap 50 % after a wait with a full bucket: no more than a quantum at once",
		.load.vdev = { CAPPED(100, 50), LATENCY(100) },
		.load.client = { { .vdev = 0, .job_ns = 700 * SIM_MS, .segment_ns = 250 * US,
				   .depth = 2, .period_ns = 4 * SIM_SECOND,
				   .start_ns = 1 * SIM_MS },
				 { .vdev = 1, .job_ns = 30 * SIM_MS, .segment_ns = 250 * US,
				   .period_ns = 4 * SIM_SECOND } },
		.want = { MOST(0, 502250) },
		.asked_max = 300,
	}, {
		.name = "cap of one quantum a second",
		.load.until_ns = 100 * SIM_SECOND,
		.load.vdev = { { .weight = 100, .quantum_ns = 10 * SIM_MS, .cap_ppm = 10000 } },
		.load.client = { HOG(0) },
		.want = { PART(0, 0.97, 1.03), MOST(0, 20250) },
		.asked_max = 3,
	}, {
		.name = "cap 20 % beside a hog of its weight, which gets the rest",
		.load.vdev = { CAPPED(100, 20), W(100) },
		.load.client = { HOG(0), HOG(1) },
		.want = { PART(0, 19, 20.5), MOST(0, 202250), PART(1, 79.5, 81) },
		.asked_max = 700,
	}, {
		.name = "cap 60 % does not bind whose weight gives it half",
		.load.vdev = { CAPPED(100, 60), W(100) },
		.load.client = { HOG(0), HOG(1) },
		.share = { 1, 1 },
		.asked_max = 500,
	}, {
		.name = "cap 40 % and cap 40 %: the device rests for the rest",
		.load.vdev = { { .weight = 100, .cap_ppm = 400000, .count = 2 } },
		.load.client = { HOG(0) },
		.want = { PART(0, 78.5, 80.5), MOST(0, 402250) },
		.asked_max = 700,
	}, {
		.name = "cap 20 % of two slots is four tenths of one",
		.load.slots = 2,
		.load.vdev = { CAPPED(100, 20), W(100), W(100) },
		.load.client = { HOG(0), HOG(1), HOG(2) },
		.want = { PART(0, 19.3, 20.3), MOST(0, 402250), PART(1, 39, 41), PART(2, 39, 41) },
		.asked_max = 1200,
	}, {
		.name = "cap 80 % of two slots is more than one executor can use",
		.load.slots = 2,
		.load.vdev = { CAPPED(100, 80) },
		.load.client = { HOG(0) },
		.want = { PART(0, 50, 50) },
		.asked_max = 0,
	}, {
		.name = "capped latency vdev leaves the rest to batch",
		.load.vdev = { { .weight = 100, .rank = 1, .cap_ppm = 300000 },
			       BATCH(100) },
		.load.client = { HOG(0), HOG(1) },
		.want = { PART(0, 29, 30.5), MOST(0, 302250), PART(1, 69.5, 71) },
		.asked_max = 700,
	}, {
		.name = "cap changed live from 50 % to 10 %, seen within 100 ms",
		.load = {
			.until_ns = 5100 * SIM_MS,
			.vdev = { CAPPED(100, 50) },
			.client = { HOG(0) },
			.change = { { .at_ns = 5 * SIM_SECOND, .vdev = 0,
				      .to = CAPPED(100, 10) } },
		},
		.from_ns = 5 * SIM_SECOND,
		.want = { PART(0, 8, 12.3) },
		.asked_max = 300,
	}, {
		.name = "cap lifted live, seen at once",
		.load = {
			.until_ns = 5100 * SIM_MS,
			.vdev = { CAPPED(100, 1) },
			.client = { HOG(0) },
			.change = { { .at_ns = 5 * SIM_SECOND, .vdev = 0, .to = W(100) } },
		},
		.from_ns = 5 * SIM_SECOND,
		.want = { PART(0, 100, 100) },
		.asked_max = 1,
	},

	/* ---- floors ---- */
	{
		.name = "floor 30 % against ten hogs of its weight",
		.load.vdev = { FLOORED(100, 30), MANY(100, 10) },
		.load.client = { HOG(0), HOG(1) },
		.want = { PART(0, 29.7, 31), DUE(0, 2250), LEAST(0, 295000) },
		.asked_max = 700,
	}, {
		.name = "floor 30 % against ten hogs of a thousand times its weight",
		.load.vdev = { FLOORED(1, 30), MANY(1000, 10) },
		.load.client = { HOG(0), HOG(1) },
		.want = { PART(0, 29.7, 31), DUE(0, 2250), LEAST(0, 295000) },
		.asked_max = 700,
	}, {
		.name = "floor 30 % against ten hogs, segments longer than the quantum",
		.load.vdev = { FLOORED(100, 30), MANY(100, 10) },
		.load.client = { BACKLOG(0, 50000, 5000), BACKLOG(1, 50000, 5000) },
		.want = { PART(0, 29.7, 31.5), DUE(0, 10000), LEAST(0, 285000) },
		.asked_max = 700,
	}, {
		.name = "floor 30 % against ten hogs whose jobs of 50 ms do not yield",
		.load.until_ns = 60 * SIM_SECOND,
		.load.vdev = { FLOORED(100, 30), MANY(100, 10) },
		.load.client = { HOG(0), BACKLOG(1, 50000, 0) },
		.want = { PART(0, 29.7, 31.5) },
		.asked_max = 700,
	}, {
		.name = "floor 30 % of a client that thinks for a tenth of its time",
		.load.vdev = { FLOORED(1, 30), MANY(100, 10) },
		.load.client = { LOOP(0, 4500, 250, 500), HOG(1) },
		.want = { PART(0, 29.7, 31), DUE(0, 2250) },
		.asked_max = 700,
	}, {
		.name = "floor 30 % in batch against a latency hog",
		.load.vdev = { { .weight = 100, .rank = -1, .floor_ppm = 300000 },
			       LATENCY(100) },
		.load.client = { HOG(0), HOG(1) },
		.want = { PART(0, 29.7, 36), DUE(0, 2250), LEAST(0, 295000) },
		.asked_max = 700,
	}, {
		.name = "floors 30 %, 30 % and 40 % in three classes are the whole device",
		.load.vdev = { { .weight = 1, .rank = -1, .floor_ppm = 300000 },
			       FLOORED(10000, 30),
			       { .weight = 100, .rank = 1, .floor_ppm = 400000 } },
		.load.client = { HOG(0), HOG(1), HOG(2) },
		.want = { PART(0, 29.7, 31), PART(1, 29.7, 31), PART(2, 39.5, 41) },
		.asked_max = 700,
	}, {
		.name = "a floor is not a share: weight gives more, and the floor takes nothing",
		.load.vdev = { FLOORED(300, 20), MANY(100, 2) },
		.load.client = { HOG(0), HOG(1) },
		.share = { 3, 2 },
		.asked_max = 700,
	}, {
		.name = "a floor's vdev that keeps the slot for long jobs gets its weight",
		.load.until_ns = 400 * SIM_SECOND,
		.load.vdev = { FLOORED(100, 30), W(100) },
		.load.client = { LOOP(0, 1000000, 0, 15000), HOG(1) },
		.share = { 1, 1 },
		.error_ppm = 30000,
		.asked_max = 500,
	}, {
		.name = "so does one whose jobs are ten quanta",
		.load.until_ns = 100 * SIM_SECOND,
		.load.vdev = { FLOORED(100, 30), W(100) },
		.load.client = { LOOP(0, 20000, 0, 8000), HOG(1) },
		.share = { 1, 1 },
		.error_ppm = 30000,
		.asked_max = 500,
	}, {
		.name = "lent floor time is back within a quantum and a segment",
		.load.vdev = { FLOORED(1, 30), MANY(1000, 10) },
		.load.client = { OPEN(0, 100000, 250, 500000), HOG(1) },
		.want = { SLOWEST(0, 250), DUE(0, 2250), PART(0, 19.5, 20.5) },
		.asked_max = 700,
	}, {
		.name = "lent floor time is back while another floor has the slot",
		.load.vdev = { FLOORED(1, 30), FLOORED(1, 60),
			       MANY(1000, 10) },
		.load.client = { OPEN(0, 100000, 250, 500000), HOG(1), HOG(2) },
		.want = { SLOWEST(0, 2500), PART(1, 59.5, 61), PART(0, 19.5, 20.5) },
		.asked_max = 700,
	}, {
		.name = "lent floor time is back while three other floors wait",
		.load.vdev = { FLOORED(1, 20),
			       { .weight = 1, .floor_ppm = 200000, .count = 3 },
			       MANY(1000, 10) },
		.load.client = { OPEN(0, 50000, 250, 500000), HOG(1), HOG(2) },
		.want = { SLOWEST(0, 3 * 2250 + 250), PART(1, 59.5, 61) },
		.asked_max = 700,
	}, {
		.name = "idle floor time is lent out",
		.load.vdev = { FLOORED(100, 90), W(100) },
		.load.client = { OPEN(0, 1000, 250, 100000), HOG(1) },
		.want = { PART(1, 98.9, 99.1), SLOWEST(0, 250) },
		.asked_max = 100,
	}, {
		.name = "floor 30 % of two slots is six tenths of one",
		.load.slots = 2,
		.load.vdev = { FLOORED(1, 30), MANY(1000, 10) },
		.load.client = { HOG(0), HOG(1) },
		.want = { PART(0, 29.7, 31), DUE(0, 2250), LEAST(0, 594000) },
		.asked_max = 1500,
	}, {
		.name = "two slots: a floor does not wait for one who was asked and does not yield",
		.load.slots = 2,
		.load.until_ns = 60 * SIM_SECOND,
		.load.vdev = { W(100), W(100), FLOORED(1, 20) },
		.load.client = { BACKLOG(0, 1000000, 0), BACKLOG(1, 300000, 250),
				 OPEN(2, 1000, 250, 50000) },
		.want = { DUE(2, 2250) },
		.asked_max = 100,
	}, {
		.name = "a floor's vdev that had the device to itself owes its floor nothing",
		.load.until_ns = 11 * SIM_SECOND,
		.load.vdev = { FLOORED(1, 30), MANY(1000, 10) },
		.load.client = { { .vdev = 0, .job_ns = 20 * SIM_SECOND, .segment_ns = 250 * US },
				 { .vdev = 1, .job_ns = 50 * SIM_MS, .segment_ns = 250 * US,
				   .start_ns = 10 * SIM_SECOND } },
		.from_ns = 10 * SIM_SECOND,
		.want = { PART(0, 29.5, 31), DUE(0, 2250) },
		.asked_max = 700,
	}, {
		.name = "floor taken away live: its vdev owes no more than two quanta for it",
		.load = {
			.until_ns = 101 * SIM_SECOND,
			.vdev = { FLOORED(100, 30), MANY(100, 10) },
			.client = { BACKLOG(0, 50000, 1000), BACKLOG(1, 50000, 1000) },
			.change = { { .at_ns = 100 * SIM_SECOND, .vdev = 0, .to = W(100) } },
		},
		.from_ns = 100 * SIM_SECOND,
		.want = { PART(0, 8.3, 9.3), WAIT(0, 75000) },
		.asked_max = 700,
	}, {
		.name = "floor given live, kept from then on",
		.load = {
			.until_ns = 6 * SIM_SECOND,
			.vdev = { W(1), MANY(1000, 10) },
			.client = { HOG(0), HOG(1) },
			.change = { { .at_ns = 5 * SIM_SECOND, .vdev = 0,
				      .to = FLOORED(1, 30) } },
		},
		.from_ns = 5 * SIM_SECOND,
		.want = { PART(0, 29.5, 31), DUE(0, 2250) },
		.asked_max = 700,
	},

	/* ---- classes ---- */
	{
		.name = "latency steps wait a segment for batch hogs",
		.load.vdev = { LATENCY(100), BATCHES(100, 4) },
		.load.client = { DECODE(0), HOG(1) },
		.want = { P99(0, 0, 2250), SLOWEST(0, 2250), PART(0, 68, 84) },
		.asked_max = 1200,
	}, {
		.name = "latency steps wait for whole jobs of batch hogs that do not yield",
		.load.no_yield = true,
		.load.vdev = { LATENCY(100), BATCHES(100, 4) },
		.load.client = { DECODE(0), HOG(1) },
		.want = { P99(0, 40000, 60000) },
		.asked_max = 1200,
	}, {
		.name = "the same steps without a class wait for their turn",
		.load.vdev = { W(100), MANY(100, 4) },
		.load.client = { DECODE(0), HOG(1) },
		.want = { P99(0, 2250, 20000) },
		.asked_max = 1200,
	}, {
		.name = "latency steps now and then wait a segment at most",
		.load.vdev = { LATENCY(1), BATCHES(10000, 4) },
		.load.client = { OPEN(0, 1000, 250, 20000), HOG(1) },
		.want = { SLOWEST(0, 250) },
		.asked_max = 1200,
	}, {
		.name = "who waits below a latency hog gets a quantum every 40 ms",
		.load.vdev = { LATENCY(100), BATCH(100) },
		.load.client = { HOG(0), HOG(1) },
		.want = { PART(1, 4.5, 5.6), WAIT(1, 42500), PART(0, 94.4, 95.5) },
		.asked_max = 60,
	}, {
		.name = "so does each of two classes below it",
		.load.vdev = { LATENCY(100), W(100), BATCH(100) },
		.load.client = { HOG(0), HOG(1), HOG(2) },
		.want = { PART(1, 4.5, 5.6), WAIT(1, 44750), PART(2, 4.5, 5.6), WAIT(2, 44750) },
		.asked_max = 110,
	}, {
		.name = "tiny jobs of one do not use up what is for all of a class that starves",
		.load.vdev = { LATENCY(100), BATCH(100), BATCH(100) },
		.load.client = { HOG(0), LOOP(1, 1, 0, 1000), HOG(2) },
		.want = { PART(2, 4.5, 5.6), WAIT(2, 42500), PART(0, 94, 95.5) },
		.asked_max = 120,
	}, {
		.name = "those of a class that starves do not keep the slot by taking turns",
		.load.vdev = { LATENCY(100), BATCHES(100, 6) },
		.load.client = { HOG(0), LOOP(1, 1700, 100, 2000) },
		.want = { PART(0, 90, 95.5), PART(1, 4.5, 10) },
		.asked_max = 120,
	}, {
		.name = "nor when now and then a slot is free for them",
		.load.vdev = { LATENCY(100), BATCH(100), BATCH(100) },
		.load.client = { LOOP(0, 10000, 250, 10), LOOP(1, 1, 0, 1000), HOG(2) },
		.want = { PART(2, 4, 8), WAIT(2, 42500) },
		.asked_max = 200,
	}, {
		.name = "jobs of 50 ms that do not yield get no more of a latency hog than 5 %",
		.load.until_ns = 60 * SIM_SECOND,
		.load.vdev = { LATENCY(100), BATCH(100) },
		.load.client = { HOG(0), BACKLOG(1, 50000, 0) },
		.want = { PART(0, 94, 96), PART(1, 4, 6) },
		.asked_max = 60,
	}, {
		.name = "who was helped, and then had the device to itself, is helped again",
		.load.until_ns = 3 * SIM_SECOND,
		.load.vdev = { LATENCY(100), BATCH(100) },
		.load.client = { { .vdev = 0, .job_ns = 40100 * US, .segment_ns = 250 * US,
				   .period_ns = SIM_SECOND },
				 { .vdev = 0, .job_ns = 5 * SIM_MS, .segment_ns = 250 * US,
				   .start_ns = 2 * SIM_SECOND }, HOG(1) },
		.want = { WAIT(1, 42500) },
		.asked_max = 100,
	}, {
		.name = "a floor in a class is not what the rest of it gets",
		.load.vdev = { LATENCY(100), { .weight = 100, .rank = -1, .floor_ppm = 300000 },
			       BATCH(100) },
		.load.client = { HOG(0), HOG(1), HOG(2) },
		.want = { PART(1, 29.7, 33), PART(2, 2.2, 5.6) },
		.asked_max = 700,
	}, {
		.name = "batch gets what normal leaves, and more than its quanta",
		.load.vdev = { W(1), BATCH(10000) },
		.load.client = { OPEN(0, 10000, 250, 20000), HOG(1) },
		.want = { PART(0, 49.5, 50.5), PART(1, 49.5, 50.5) },
		.asked_max = 200,
	}, {
		.name = "weights hold within each class",
		.load.vdev = { { .weight = 3, .rank = 1, .cap_ppm = 300000 },
			       BATCH(3), BATCH(1) },
		.load.client = { HOG(0), HOG(1), HOG(2) },
		.share = { 0, 3, 1 },
		.want = { PART(0, 29, 30.5) },
		.asked_max = 700,
	}, {
		.name = "class changed live, seen within 100 ms",
		.load = {
			.until_ns = 5100 * SIM_MS,
			.vdev = { W(100), W(100) },
			.client = { HOG(0), HOG(1) },
			.change = { { .at_ns = 5 * SIM_SECOND, .vdev = 0,
				      .to = LATENCY(100) } },
		},
		.from_ns = 5 * SIM_SECOND,
		.want = { PART(0, 92, 98) },
		.asked_max = 100,
	}, {
		.name = "two slots: a latency vdev holds one, the rest share the other",
		.load.slots = 2,
		.load.vdev = { LATENCY(100), BATCHES(100, 3) },
		.load.client = { HOG(0), HOG(1) },
		.want = { PART(0, 50, 50), PART(1, 50, 50) },
		.asked_max = 700,
	},

	/* ---- token rates ---- */
	{
		.name = "100 tokens/s, one a job, after the burst",
		.load.until_ns = 12 * SIM_SECOND,
		.load.vdev = { RATED(100, 100) },
		.load.client = { { .vdev = 0, .job_ns = 1 * SIM_MS, .segment_ns = 250 * US,
				   .tokens = 1 } },
		.from_ns = 2 * SIM_SECOND,
		.want = { TOKENS(0, 999, 1001) },
	}, {
		.name = "100 tokens/s, 7 a job",
		.load.until_ns = 12 * SIM_SECOND,
		.load.vdev = { RATED(100, 100) },
		.load.client = { { .vdev = 0, .job_ns = 1 * SIM_MS, .tokens = 7 } },
		.from_ns = 2 * SIM_SECOND,
		.want = { TOKENS(0, 993, 1007) },
	}, {
		.name = "100 tokens/s, the burst comes first",
		.load.until_ns = 1 * SIM_SECOND,
		.load.vdev = { { .weight = 100, .rate = 100, .burst = 300 } },
		.load.client = { { .vdev = 0, .job_ns = 1 * SIM_MS, .tokens = 1 } },
		.want = { TOKENS(0, 399, 401) },
	}, {
		.name = "100 tokens/s beside a hog, which gets the rest",
		.load.until_ns = 12 * SIM_SECOND,
		.load.vdev = { RATED(100, 100), W(100) },
		.load.client = { { .vdev = 0, .job_ns = 1 * SIM_MS, .segment_ns = 250 * US,
				   .tokens = 1 }, HOG(1) },
		.from_ns = 2 * SIM_SECOND,
		.want = { TOKENS(0, 999, 1001), PART(1, 89, 91) },
		.asked_max = 700,
	}, {
		.name = "100 tokens/s over a window of several jobs from fifty queues",
		.load.until_ns = 12 * SIM_SECOND,
		.load.vdev = { { .weight = 100, .rate = 100, .window = 8 } },
		.load.client = { { .vdev = 0, .count = 50, .job_ns = 1 * SIM_MS, .tokens = 3 } },
		.from_ns = 2 * SIM_SECOND,
		.want = { TOKENS(0, 997 - 7 * 3, 1003 + 7 * 3) },
		.asked_max = 40,
	}, {
		.name = "100 tokens/s, of a client that declares none",
		.load.until_ns = 12 * SIM_SECOND,
		.load.vdev = { RATED(100, 100) },
		.load.client = { { .vdev = 0, .job_ns = 1 * SIM_MS, .tokens = 4, .declared = 0 } },
		.from_ns = 2 * SIM_SECOND,
		.want = { TOKENS(0, 996, 1004) },
	}, {
		.name = "100 tokens/s, of a client that declares more than there are: it pays",
		.load.until_ns = 12 * SIM_SECOND,
		.load.vdev = { RATED(100, 100) },
		.load.client = { { .vdev = 0, .job_ns = 1 * SIM_MS, .tokens = 1, .declared = 10 } },
		.from_ns = 2 * SIM_SECOND,
		.want = { TOKENS(0, 990, 1010), DONE(0, 99, 101) },
	}, {
		.name = "100 tokens/s, refused rather than kept waiting",
		.load.until_ns = 12 * SIM_SECOND,
		.load.vdev = { RATED(100, 100) },
		.load.client = { { .vdev = 0, .job_ns = 500 * US, .tokens = 1, .nowait = true,
				   .think_ns = 500 * US } },
		.from_ns = 2 * SIM_SECOND,
		.want = { TOKENS(0, 990, 1001), REFUSED(0, 1000, 20000), SLOWEST(0, 10) },
	}, {
		.name = "token rate changed live from 1000 to 10",
		.load = {
			.until_ns = 12 * SIM_SECOND,
			.vdev = { { .weight = 100, .rate = 1000, .burst = 1 } },
			.client = { { .vdev = 0, .job_ns = 200 * US, .tokens = 1 } },
			.change = { { .at_ns = 2 * SIM_SECOND, .vdev = 0,
				      .to = { .weight = 100, .rate = 10, .burst = 1 } } },
		},
		.from_ns = 2 * SIM_SECOND,
		.want = { TOKENS(0, 99, 102) },
	},

	/* ---- together ---- */
	{
		.name = "floor, cap and rate on one vdev: the tightest holds",
		.load.vdev = { { .weight = 100, .floor_ppm = 200000, .cap_ppm = 400000,
				 .rate = 50 },
			       MANY(100, 4) },
		.load.client = { { .vdev = 0, .job_ns = 1 * SIM_MS, .segment_ns = 250 * US,
				   .tokens = 1 }, HOG(1) },
		.from_ns = 2 * SIM_SECOND,
		.want = { TOKENS(0, 399, 401), PART(0, 4.9, 5.1), MOST(0, 402250) },
		.asked_max = 700,
	}, {
		.name = "floor and cap alike are a share that neither shrinks nor grows",
		.load.vdev = { { .weight = 1, .floor_ppm = 300000, .cap_ppm = 300000 },
			       MANY(1000, 4) },
		.load.client = { HOG(0), HOG(1) },
		.want = { PART(0, 29, 30.5), MOST(0, 302250), LEAST(0, 290000) },
		.asked_max = 700,
	}, {
		.name = "two slots: who comes after a share larger than a slot, often disturbed",
		.load.slots = 2,
		.load.until_ns = 101 * SIM_SECOND,
		.load.vdev = { LATENCY(10000), LATENCY(100), LATENCY(100),
			       { .weight = 1, .rank = -1, .floor_ppm = 100000 } },
		.load.client = { HOG(0), HOG(1),
				 { .vdev = 2, .job_ns = 50 * SIM_MS, .segment_ns = 250 * US,
				   .start_ns = 100 * SIM_SECOND }, HOG(3) },
		.from_ns = 100 * SIM_SECOND,
		.share = { 0, 1, 1 }, .error_ppm = 20000,
		.want = { WAIT(1, 12000) },
		.asked_max = 1500,
	}, {
		.name = "two slots: a floor, a cap and a rate, and hogs for the rest",
		.load.slots = 2,
		.load.vdev = { FLOORED(1, 25),
			       CAPPED(1000, 15),
			       RATED(1000, 100), MANY(1000, 3) },
		.load.client = { HOG(0), HOG(1),
				 { .vdev = 2, .job_ns = 1 * SIM_MS, .segment_ns = 250 * US,
				   .tokens = 1 }, HOG(3) },
		.from_ns = 2 * SIM_SECOND,
		.want = { PART(0, 24.7, 26), PART(1, 14, 15.3), MOST(1, 302250),
			  TOKENS(2, 799, 801), PART(3, 53, 57) },
		.asked_max = 1500,
	}, {
		.name = "three classes, a floor below and a cap above",
		.load.vdev = { { .weight = 100, .rank = 1, .cap_ppm = 500000 }, MANY(100, 2),
			       { .weight = 1, .rank = -1, .floor_ppm = 100000 } },
		.load.client = { HOG(0), HOG(1), HOG(2) },
		.want = { PART(0, 48.5, 50.5), MOST(0, 502250), PART(2, 9.9, 16), PART(1, 34, 41) },
		.asked_max = 900,
	},
};

int main(void)
{
	static struct CMUnitTest tests[ARRAY_SIZE(scenarios)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		tests[i] = (struct CMUnitTest){ .name = scenarios[i].name,
						.test_func = scenario_test,
						.initial_state = (void *)&scenarios[i] };
	return cmocka_run_group_tests_name("rights", tests, NULL, NULL);
}
