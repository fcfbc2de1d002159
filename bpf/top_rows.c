// SPDX-License-Identifier: GPL-2.0-only
/* infinitop: from the kernel's counters to lines of the table. */
#include "top.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "process.h"
#include "quantile.h"
#include "tool.h"

const char *const top_by_names[] = { "vdev", "cgroup", "process" };
const char *const top_sort_names[] = {
	"generated", "prompt", "occupancy", "wait", "memory", "name",
};

/* ---- sums ---- */

/* Counters are 64 bits up to the histograms, 32 bits from there. */
#define TOP_COUNTERS	(offsetof(struct top_row, ttft) / sizeof(__u64))
#define TOP_BUCKETS	(3 * HIST_BUCKETS)

static void top_row_add(struct top_row *sum, const struct top_row *row)
{
	__u64 *to = &sum->jobs;
	const __u64 *from = &row->jobs;

	for (size_t i = 0; i < TOP_COUNTERS; i++)
		to[i] += from[i];
	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		sum->ttft[i] += row->ttft[i];
		sum->itl[i] += row->itl[i];
		sum->wait[i] += row->wait[i];
	}
}

static void top_row_sub(struct top_row *row, const struct top_row *before)
{
	__u64 *to = &row->jobs;
	const __u64 *from = &before->jobs;

	for (size_t i = 0; i < TOP_COUNTERS; i++)
		to[i] -= from[i];
	for (size_t i = 0; i < HIST_BUCKETS; i++) {
		row->ttft[i] -= before->ttft[i];
		row->itl[i] -= before->itl[i];
		row->wait[i] -= before->wait[i];
	}
}

/* ---- lines ---- */

/* Until the module says how they are called. */
static void top_name_vdev(struct top_line *line)
{
	if (!line->key.vdev) {
		strcpy(line->vdev, TOP_DIRECT);
		strcpy(line->device, "-");
		return;
	}
	snprintf(line->vdev, sizeof(line->vdev), "#%u", line->key.vdev);
	snprintf(line->device, sizeof(line->device), "#%u", line->key.device);
}

static struct top_line *top_line_of(struct top *top, const struct top_key *key)
{
	struct top_key own = { .device = key->device, .vdev = key->vdev };
	char comm[PROCESS_NAME];
	struct top_line *line;

	if (top->by == TOP_BY_CGROUP)
		own.cgroup = key->cgroup;
	if (top->by == TOP_BY_PROCESS)
		own.pid = key->pid;
	for (size_t i = 0; i < top->nr_lines; i++)
		if (!memcmp(&top->line[i].key, &own, sizeof(own)))
			return &top->line[i];
	line = realloc(top->line, (top->nr_lines + 1) * sizeof(*line));
	if (!line)
		return NULL;
	top->line = line;
	line += top->nr_lines++;
	memset(line, 0, sizeof(*line));
	line->key = own;
	top_name_vdev(line);
	if (top->by == TOP_BY_CGROUP)
		infini_cgroup_name(key->cgroup, line->who, sizeof(line->who));
	if (top->by == TOP_BY_PROCESS)
		snprintf(line->who, sizeof(line->who), "%d %s", key->pid,
			 process_name(key->pid, comm));
	return line;
}

int top_add(struct top *top, const struct top_key *key, const struct top_row *rows)
{
	struct top_line *line;

	if (top->pid && key->pid != top->pid)
		return 0;
	line = top_line_of(top, key);
	if (!line)
		return -ENOMEM;
	for (int cpu = 0; cpu < top->nr_cpus; cpu++)
		top_row_add(&line->total, &rows[cpu]);
	return 0;
}

/* Until the additions, @last holds what @total was. */
static void top_begin(struct top *top)
{
	for (size_t i = 0; i < top->nr_lines; i++) {
		top->line[i].last = top->line[i].total;
		memset(&top->line[i].total, 0, sizeof(top->line[i].total));
	}
}

static double top_rank(const struct top *top, const struct top_line *line)
{
	switch (top->sort) {
	case TOP_SORT_GENERATED:
		return line->last.generated;
	case TOP_SORT_PROMPT:
		return line->last.prompt;
	case TOP_SORT_OCCUPANCY:
		return line->occupancy_percent;
	case TOP_SORT_WAIT:
		return hist_quantile_ns(line->last.wait, 990000);
	case TOP_SORT_MEMORY:
		return line->memory_used_bytes;
	case TOP_SORT_NAME:
		break;
	}
	return 0;
}

static int top_compare(const void *a, const void *b, void *arg)
{
	const struct top_line *one = a, *other = b;
	double rank = top_rank(arg, one), than = top_rank(arg, other);
	int order;

	if (rank != than)
		return rank < than ? 1 : -1;
	order = strcmp(one->vdev, other->vdev);
	return order ? order : strcmp(one->who, other->who);
}

void top_settle(struct top *top)
{
	for (size_t i = 0; i < top->nr_lines; i++) {
		struct top_line *line = &top->line[i];
		struct top_row before = line->last;

		line->last = line->total;
		top_row_sub(&line->last, &before);
		memmove(line->generated, line->generated + 1,
			(TOP_HISTORY - 1) * sizeof(*line->generated));
		line->generated[TOP_HISTORY - 1] = line->last.generated;
		line->joules_per_token =
			top_energy_joules(&top->energy, line->device, line->last.occupancy_ns,
					  line->last.generated);
		if (!line->known && top->interval_ns)
			line->occupancy_percent = 100.0 * line->last.occupancy_ns /
						  top->interval_ns;
	}
	qsort_r(top->line, top->nr_lines, sizeof(*top->line), top_compare, top);
}

/* ---- what the module says ---- */

struct top_asked {
	struct top *top;
	const struct infini_admin_device *device;
	size_t nr_devices;
	int err;
};

static uint32_t top_slots(const struct top_asked *asked, uint32_t id)
{
	for (size_t i = 0; i < asked->nr_devices; i++)
		if (asked->device[i].id == id && asked->device[i].slots)
			return asked->device[i].slots;
	return 1;
}

static double top_percent(const struct top *top, uint64_t ns, uint64_t before_ns, uint32_t slots)
{
	return top->interval_ns && ns > before_ns ?
	       100.0 * (ns - before_ns) / top->interval_ns / slots : 0;
}

static int top_vdev(const struct infini_admin_vdev *vdev, void *arg)
{
	struct top_asked *asked = arg;
	struct top *top = asked->top;
	const struct top_key key = { .device = vdev->device_id, .vdev = vdev->id };

	if (top->by == TOP_BY_VDEV && !top->pid && !top_line_of(top, &key)) {
		asked->err = -ENOMEM;
		return 1;
	}
	for (size_t i = 0; i < top->nr_lines; i++) {
		struct top_line *line = &top->line[i];

		if (line->key.vdev != vdev->id || line->key.device != vdev->device_id)
			continue;
		snprintf(line->vdev, sizeof(line->vdev), "%s", vdev->name);
		snprintf(line->device, sizeof(line->device), "%s", vdev->device_name);
		if (top->by != TOP_BY_VDEV)
			continue;
		if (line->known) {
			line->occupancy_percent =
				top_percent(top, vdev->stats.occupancy_ns, line->occupancy_ns,
					    top_slots(asked, vdev->device_id));
			line->throttled_percent =
				top_percent(top, vdev->stats.throttled_ns, line->throttled_ns, 1);
		}
		line->known = true;
		line->occupancy_ns = vdev->stats.occupancy_ns;
		line->throttled_ns = vdev->stats.throttled_ns;
		line->memory_used_bytes = vdev->stats.memory_used_bytes;
		line->memory_limit_bytes = vdev->memory_limit_bytes;
	}
	return 0;
}

static int top_device(const struct infini_admin_device *device, void *arg)
{
	struct top_asked *asked = arg;
	struct infini_admin_device *more =
		realloc((void *)asked->device, (asked->nr_devices + 1) * sizeof(*more));

	if (!more) {
		asked->err = -ENOMEM;
		return 1;
	}
	more[asked->nr_devices++] = *device;
	asked->device = more;
	return 0;
}

static int top_ask(struct top *top)
{
	struct top_asked asked = { .top = top };
	int err = infini_admin_device_list(top->admin, top_device, &asked);

	if (!err)
		err = infini_admin_vdev_list(top->admin, top_vdev, &asked);
	if (!err)
		top_energy_look(&top->energy, asked.device, asked.nr_devices);
	free((void *)asked.device);
	return asked.err ? asked.err : err;
}

/* ---- a look ---- */

static int top_read(struct top *top)
{
	struct top_key key, next;
	struct top_row *rows = calloc(top->nr_cpus, sizeof(*rows));
	bool first = true;
	int err = rows ? 0 : -ENOMEM;

	while (!err && !bpf_map_get_next_key(top->map_fd, first ? NULL : &key, &next)) {
		first = false;
		key = next;
		if (!bpf_map_lookup_elem(top->map_fd, &key, rows))
			err = top_add(top, &key, rows);
	}
	free(rows);
	return err;
}

/* Only those of the one vdev, once names are known. */
static void top_filter(struct top *top)
{
	size_t kept = 0;

	for (size_t i = 0; i < top->nr_lines; i++)
		if (!top->vdev || !strcmp(top->line[i].vdev, top->vdev))
			top->line[kept++] = top->line[i];
	top->nr_lines = kept;
}

int top_look(struct top *top)
{
	uint64_t now = tool_now_ns();
	int err;

	top->interval_ns = top->time_ns ? now - top->time_ns : 0;
	top->time_ns = now;
	top_begin(top);
	err = top_read(top);
	if (!err)
		err = top_ask(top);
	if (err)
		return err;
	top_filter(top);
	top_settle(top);
	return 0;
}

void top_regroup(struct top *top, enum top_by by)
{
	top->by = by;
	top->nr_lines = 0;
}

void top_free(struct top *top)
{
	free(top->line);
	infini_admin_close(top->admin);
}
