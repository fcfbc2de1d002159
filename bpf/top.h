/* SPDX-License-Identifier: GPL-2.0-only */
/* infinitop: lines of the table, what they are made of, and how they are shown. */
#ifndef INFINI_TOP_H
#define INFINI_TOP_H

#include <infini-admin.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "infinitop.h"
#include "top_energy.h"

#define TOP_HISTORY	16		/* intervals of a sparkline */
#define TOP_NAME	128
#define TOP_DIRECT	"(direct)"

enum top_by { TOP_BY_VDEV, TOP_BY_CGROUP, TOP_BY_PROCESS };
enum top_sort { TOP_SORT_GENERATED, TOP_SORT_PROMPT, TOP_SORT_OCCUPANCY, TOP_SORT_WAIT,
		TOP_SORT_MEMORY, TOP_SORT_NAME };

extern const char *const top_by_names[3];
extern const char *const top_sort_names[6];

/**
 * struct top_line - a line of the table
 * @key: members that do not tell lines apart are 0
 * @total: since the tool was started
 * @last: in the last interval
 * @generated: of the last intervals, tokens each; the newest last
 * @vdev: its name; "#7" once it is gone, TOP_DIRECT of what runs past the module
 * @who: the process or control group
 * @known: the three below are: lines of vdevs
 */
struct top_line {
	struct top_key key;
	struct top_row total;
	struct top_row last;
	uint64_t generated[TOP_HISTORY];
	char vdev[TOP_NAME];
	char device[TOP_NAME];
	char who[TOP_NAME];
	bool known;
	uint64_t memory_used_bytes;
	uint64_t memory_limit_bytes;
	uint64_t throttled_ns;
	uint64_t occupancy_ns;
	double occupancy_percent;
	double throttled_percent;
	double joules_per_token;	/* in the last interval; 0 when it is not known */
};

/**
 * struct top - the tool's table
 * @vdev, @pid: show only this; NULL, 0 for all
 * @old: vdevs as they were at the last look
 */
struct top {
	enum top_by by;
	enum top_sort sort;
	const char *vdev;
	int32_t pid;
	int map_fd;
	int nr_cpus;
	uint64_t began_ns;
	uint64_t time_ns;
	uint64_t interval_ns;
	uint64_t lost;
	struct infini_admin *admin;
	struct top_energy energy;
	struct top_line *line;
	size_t nr_lines;
};

/* Read the counters, as of now. 0 or -errno. */
int top_look(struct top *top);
/* The counters of one process on all processors; the table gets them in its line. */
int top_add(struct top *top, const struct top_key *key, const struct top_row *rows);
/* After the last addition: what each line did in the interval, and the order. */
void top_settle(struct top *top);
/* Change what a line is; the table begins anew from what has been counted. */
void top_regroup(struct top *top, enum top_by by);
void top_free(struct top *top);

double top_per_s(const struct top *top, uint64_t count);

#define TOP_SPARK	(3 * TOP_HISTORY + 1)
const char *top_spark(const struct top_line *line, char text[TOP_SPARK]);

void top_print(const struct top *top, FILE *file);
int top_print_json(const struct top *top, FILE *file);

#endif /* INFINI_TOP_H */
