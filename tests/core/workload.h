/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A workload as a table: who is there, who submits what, and what an operator changes when. */
#ifndef INFINI_TESTS_CORE_WORKLOAD_H
#define INFINI_TESTS_CORE_WORKLOAD_H

#include <stdio.h>

#include "sim.h"

#define SIM_VDEV_ROWS	8
#define SIM_CLIENT_ROWS	24
#define SIM_CHANGE_ROWS	24

enum sim_change_kind {
	SIM_SET,		/* new limits */
	SIM_OFFLINE,		/* the executor dies */
	SIM_ONLINE		/* and comes */
};

/**
 * struct sim_change - what happens to the vdevs of a row
 * @at_ns: when; 0 ends a table
 * @vdev: the row
 * @kind: what
 * @to: with SIM_SET; its @count is not looked at
 */
struct sim_change {
	u64 at_ns;
	u32 vdev;
	enum sim_change_kind kind;
	struct sim_vdev_spec to;
};

/**
 * struct sim_workload - a run
 * @slots: 0 for 1
 * @no_yield: executors do not look at the yield word
 * @seed: of what varies
 * @until_ns: how long
 * @vdev: ends with a weight of 0, or full
 * @client: ends with a job length of 0, or full
 * @change: ends with a time of 0, or full
 */
struct sim_workload {
	u32 slots;
	bool no_yield;
	u64 seed;
	u64 until_ns;
	struct sim_vdev_spec vdev[SIM_VDEV_ROWS];
	struct sim_client_spec client[SIM_CLIENT_ROWS];
	struct sim_change change[SIM_CHANGE_ROWS];
};

/* Rows in use. */
u32 workload_vdevs(const struct sim_workload *load);
u32 workload_clients(const struct sim_workload *load);
u32 workload_changes(const struct sim_workload *load);

/* Why an administrator could not have asked for this, or NULL. */
const char *workload_fault(const struct sim_workload *load);

/* Make the device and all on it; @load must stay. Vdevs of a row stand beside each other. */
void workload_load(struct sim *sim, const struct sim_workload *load);

/* The first vdev of a row, in sim->vdevs. */
u32 workload_vdev(const struct sim_workload *load, u32 row);

/* As it would stand in a table of this source. */
void workload_print(FILE *to, const struct sim_workload *load);

#endif /* INFINI_TESTS_CORE_WORKLOAD_H */
