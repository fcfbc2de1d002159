/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What must hold of every run, tried on random ones. Runs happen in a process of their own, so
 * that a crash, a failed assertion and a run without end are failures like others. One that fails
 * is shrunk, and printed as a table for test_weights.c or test_rights.c.
 */
#ifndef INFINI_TESTS_CORE_PROPERTY_H
#define INFINI_TESTS_CORE_PROPERTY_H

#include "workload.h"

#define PROPERTY_WHY	256

/**
 * struct property - what must hold
 * @name: what a reader calls it
 * @draw: a random workload of those it is about; the same for the same seed
 * @holds: run it; when it does not hold, say @why, of PROPERTY_WHY bytes
 */
struct property {
	const char *name;
	void (*draw)(struct sim_workload *load, u64 seed);
	bool (*holds)(const struct sim_workload *load, char *why);
};

/**
 * struct property_result - of one or of many runs
 * @held: always
 * @runs: how many
 * @endless: the one that failed did not end
 * @seed: of the one that failed
 * @why: it did
 */
struct property_result {
	bool held;
	bool endless;
	u64 runs;
	u64 seed;
	char why[PROPERTY_WHY];
};

/* One run, in a process of its own, quiet, and of so many seconds at most. */
struct property_result property_try(const struct property *property,
				    const struct sim_workload *load, u64 seconds);

/* Seeds from 1 to @seeds, but after @least of them no longer than for @seconds. */
struct property_result property_search(const struct property *property, u64 least, u64 seeds,
				       u64 seconds);

/* Make @load, which fails, smaller; at most @tries runs. Returns what it fails of. */
struct property_result property_shrink(const struct property *property, struct sim_workload *load,
				       u32 tries);

/* Search, and if one fails, shrink and print it. Returns whether all held. */
bool property_check(const struct property *property, u64 least, u64 seeds, u64 seconds);

#endif /* INFINI_TESTS_CORE_PROPERTY_H */
