// SPDX-License-Identifier: GPL-2.0-only
/* infinilat: histograms of waits, runs, yields and times between tokens. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <infini-admin.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroup.h"
#include "infinilat.h"
#include "infinilat.skel.h"
#include "quantile.h"
#include "tool.h"

#define DAY_NS		86400000000000ull
#define NAME		128
#define STARS		40

/**
 * struct lat_line - what is shown of one vdev or control group
 * @key: members that do not tell lines apart are 0
 */
struct lat_line {
	struct lat_key key;
	struct lat_row row;
	char name[NAME];
};

struct lat {
	bool json;
	bool pin;
	bool by_cgroup;
	const char *vdev;
	uint64_t interval_ns;
	uint64_t duration_ns;
	struct infini_admin *admin;
	struct lat_line *line;
	size_t nr_lines;
};

static const struct {
	const char *title;
	const char *key;
	size_t offset;
} kinds[LAT_KINDS] = {
	[LAT_WAIT] = { "queue wait", "queue_wait", offsetof(struct lat_row, wait) },
	[LAT_RUN] = { "run time", "run", offsetof(struct lat_row, run) },
	[LAT_YIELD] = { "yield latency", "yield", offsetof(struct lat_row, yield) },
	[LAT_TTFT] = { "time to first token", "ttft", offsetof(struct lat_row, ttft) },
	[LAT_ITL] = { "time between tokens", "itl", offsetof(struct lat_row, itl) },
};

static const uint32_t *lat_hist(const struct lat_line *line, int kind)
{
	return (const uint32_t *)((const char *)&line->row + kinds[kind].offset);
}

/* ---- options ---- */

static int help(void)
{
	puts("usage: infinilat [OPTION]...\n"
	     "Counts how long jobs wait and run, workers take to yield, and tokens take; prints\n"
	     "histograms when it ends.\n\n"
	     "      --by WHAT        vdev (default) or cgroup\n"
	     "      --vdev NAME      only this vdev\n"
	     "      --json           print one line of JSON instead of histograms\n"
	     "      --interval TIME  print every so often what has been counted until then\n"
	     "      --duration TIME  end after so long; else with Ctrl-C\n"
	     "      --pin            show the maps in /sys/fs/bpf/infini while it runs\n"
	     "  -h, --help           show this\n"
	     "      --version        show the version");
	return 0;
}

static bool choose_by(struct lat *lat, const char *word)
{
	lat->by_cgroup = !strcmp(word, "cgroup");
	if (lat->by_cgroup || !strcmp(word, "vdev"))
		return true;
	tool_fail(TOOL_USAGE, "--by \"%s\": see infinilat --help", word);
	return false;
}

/* False when there is nothing more to do than to exit with @status. */
static bool parse(int argc, char **argv, struct lat *lat, int *status)
{
	static const struct option words[] = {
		{ "by", required_argument, NULL, 'g' }, { "vdev", required_argument, NULL, 'v' },
		{ "json", no_argument, NULL, 'j' }, { "interval", required_argument, NULL, 'i' },
		{ "duration", required_argument, NULL, 'd' }, { "pin", no_argument, NULL, 'P' },
		{ "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { 0 }
	};
	bool good = true;
	int option;

	*status = 0;
	while (good && (option = tool_option(argc, argv, words)) >= 0) {
		switch (option) {
		case 'g':
			good = choose_by(lat, optarg);
			break;
		case 'v':
			lat->vdev = optarg;
			break;
		case 'j':
			lat->json = true;
			break;
		case 'i':
			good = tool_duration("interval", optarg, 50000000, DAY_NS,
					     &lat->interval_ns);
			break;
		case 'd':
			good = tool_duration("duration", optarg, 50000000, 366 * DAY_NS,
					     &lat->duration_ns);
			break;
		case 'P':
			lat->pin = true;
			break;
		case 'h':
			help();
			return false;
		case 'V':
			puts("infinilat " INFINI_VERSION);
			return false;
		default:
			good = false;
		}
	}
	*status = good ? 0 : TOOL_USAGE;
	return good;
}

/* ---- reading ---- */

static void lat_name(const struct lat *lat, struct lat_line *line)
{
	struct infini_admin_vdev vdev;

	if (lat->by_cgroup)
		infini_cgroup_name(line->key.cgroup, line->name, sizeof(line->name));
	else if (!infini_admin_vdev_get(lat->admin, NULL, line->key.vdev, &vdev))
		snprintf(line->name, sizeof(line->name), "%s", vdev.name);
	else
		snprintf(line->name, sizeof(line->name), "#%u", line->key.vdev);
}

static struct lat_line *lat_line_of(struct lat *lat, const struct lat_key *key)
{
	struct lat_key own = *key;
	struct lat_line *line;

	if (lat->by_cgroup)
		own = (struct lat_key){ .cgroup = key->cgroup };
	else
		own.cgroup = 0;
	for (size_t i = 0; i < lat->nr_lines; i++)
		if (!memcmp(&lat->line[i].key, &own, sizeof(own)))
			return &lat->line[i];
	line = realloc(lat->line, (lat->nr_lines + 1) * sizeof(*line));
	if (!line)
		return NULL;
	lat->line = line;
	line += lat->nr_lines++;
	memset(line, 0, sizeof(*line));
	line->key = own;
	lat_name(lat, line);
	return line;
}

static void lat_add(struct lat_line *line, const struct lat_row *row)
{
	for (int i = 0; i < HIST_BUCKETS; i++) {
		line->row.wait[i] += row->wait[i];
		line->row.run[i] += row->run[i];
		line->row.yield[i] += row->yield[i];
		line->row.ttft[i] += row->ttft[i];
		line->row.itl[i] += row->itl[i];
	}
}

/* The kernel keeps each processor's value at a multiple of 8 bytes. */
static int lat_read(struct lat *lat, int map_fd, uint32_t wanted)
{
	size_t stride = (sizeof(struct lat_row) + 7) / 8 * 8;
	int nr_cpus = libbpf_num_possible_cpus(), err = 0;
	char *rows = calloc(nr_cpus, stride);
	struct lat_key key, next;
	bool first = true;

	lat->nr_lines = 0;
	if (!rows)
		return -ENOMEM;
	while (!err && !bpf_map_get_next_key(map_fd, first ? NULL : &key, &next)) {
		struct lat_line *line;

		first = false;
		key = next;
		if ((wanted && key.vdev != wanted) || bpf_map_lookup_elem(map_fd, &key, rows))
			continue;
		line = lat_line_of(lat, &key);
		err = line ? 0 : -ENOMEM;
		for (int cpu = 0; line && cpu < nr_cpus; cpu++)
			lat_add(line, (const struct lat_row *)(rows + cpu * stride));
	}
	free(rows);
	return err;
}

/* ---- text ---- */

static unsigned long long lat_octave(const uint32_t *hist, int octave)
{
	unsigned long long count = 0;

	if (octave < 0)
		return hist[0];
	for (int i = 0; i < HIST_PARTS; i++)
		count += hist[1 + octave * HIST_PARTS + i];
	return count;
}

static void lat_print_hist(const uint32_t *hist)
{
	static const char stars[] = "****************************************";
	int first = HIST_OCTAVES, last = -2;
	unsigned long long most = 1;
	char from[HIST_TEXT], to[HIST_TEXT];

	for (int octave = -1; octave < HIST_OCTAVES; octave++) {
		unsigned long long count = lat_octave(hist, octave);

		if (!count)
			continue;
		first = octave < first ? octave : first;
		last = octave;
		most = count > most ? count : most;
	}
	for (int octave = first; octave <= last; octave++) {
		unsigned long long count = lat_octave(hist, octave);

		printf("  %8s .. %-8s %10llu |%-*.*s|\n",
		       hist_text(octave < 0 ? 0 : 1ull << (HIST_FIRST_BIT + octave), from),
		       hist_text(1ull << (HIST_FIRST_BIT + octave + 1), to), count, STARS,
		       (int)((count * STARS + most - 1) / most), stars);
	}
}

static void lat_print(const struct lat *lat)
{
	char p50[HIST_TEXT], p99[HIST_TEXT];

	for (size_t i = 0; i < lat->nr_lines; i++) {
		for (int kind = 0; kind < LAT_KINDS; kind++) {
			const uint32_t *hist = lat_hist(&lat->line[i], kind);

			if (!hist_count(hist))
				continue;
			printf("%s %s, %s: %llu, p50 %s, p99 %s\n",
			       lat->by_cgroup ? "cgroup" : "vdev", lat->line[i].name,
			       kinds[kind].title, (unsigned long long)hist_count(hist),
			       hist_text(hist_quantile_ns(hist, 500000), p50),
			       hist_text(hist_quantile_ns(hist, 990000), p99));
			lat_print_hist(hist);
		}
	}
}

/* ---- JSON ---- */

static struct json_object *lat_json_hist(const uint32_t *hist)
{
	struct json_object *object = json_object_new_object();
	struct json_object *buckets = json_object_new_array();

	json_object_object_add(object, "count", json_object_new_uint64(hist_count(hist)));
	json_object_object_add(object, "p50_ns",
			       json_object_new_uint64(hist_quantile_ns(hist, 500000)));
	json_object_object_add(object, "p99_ns",
			       json_object_new_uint64(hist_quantile_ns(hist, 990000)));
	for (int octave = -1; octave < HIST_OCTAVES; octave++) {
		struct json_object *bucket;

		if (!lat_octave(hist, octave))
			continue;
		bucket = json_object_new_object();
		json_object_object_add(bucket, "below_ns",
			json_object_new_uint64(1ull << (HIST_FIRST_BIT + octave + 1)));
		json_object_object_add(bucket, "count",
				       json_object_new_uint64(lat_octave(hist, octave)));
		json_object_array_add(buckets, bucket);
	}
	json_object_object_add(object, "buckets", buckets);
	return object;
}

static int lat_print_json(const struct lat *lat, uint64_t lost)
{
	struct json_object *object = json_object_new_object();
	struct json_object *rows = json_object_new_array();
	const char *text;

	json_object_object_add(object, "time_ns", json_object_new_uint64(tool_now_ns()));
	json_object_object_add(object, "lost", json_object_new_uint64(lost));
	for (size_t i = 0; i < lat->nr_lines; i++) {
		struct json_object *row = json_object_new_object();

		json_object_object_add(row, lat->by_cgroup ? "cgroup" : "vdev",
				       json_object_new_string(lat->line[i].name));
		for (int kind = 0; kind < LAT_KINDS; kind++)
			json_object_object_add(row, kinds[kind].key,
					       lat_json_hist(lat_hist(&lat->line[i], kind)));
		json_object_array_add(rows, row);
	}
	json_object_object_add(object, "rows", rows);
	text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	if (text)
		puts(text);
	json_object_put(object);
	return text ? 0 : tool_fail(TOOL_FAILED, "no memory");
}

/* ---- the run ---- */

static int show(struct lat *lat, const struct infinilat *skeleton, uint32_t wanted)
{
	int err = lat_read(lat, bpf_map__fd(skeleton->maps.lat_rows), wanted);
	uint64_t lost = skeleton->bss->lat_lost;

	if (err)
		return tool_fail(TOOL_FAILED, "%s", strerror(-err));
	if (lat->json) {
		err = lat_print_json(lat, lost);
	} else {
		lat_print(lat);
		if (lost)
			printf("%llu not counted: too many control groups\n",
			       (unsigned long long)lost);
	}
	if (!err && fflush(stdout))
		err = tool_fail(TOOL_FAILED, "standard output: %s", strerror(errno));
	return err;
}

static int run(struct lat *lat, struct infinilat *skeleton)
{
	uint64_t began_ns, next_ns, end_ns;
	struct infini_admin_vdev vdev = { 0 };
	bool go_on = true;
	int status;

	if (lat->vdev && infini_admin_vdev_get(lat->admin, lat->vdev, 0, &vdev))
		return tool_fail(TOOL_FAILED, "there is no vdev \"%s\"", lat->vdev);
	status = tool_start(skeleton->obj, skeleton->skeleton, lat->pin);
	began_ns = next_ns = tool_now_ns();
	end_ns = lat->duration_ns ? began_ns + lat->duration_ns : UINT64_MAX;
	while (!status && go_on) {
		next_ns = lat->interval_ns ? next_ns + lat->interval_ns : end_ns;
		if (next_ns > end_ns)
			next_ns = end_ns;
		go_on = tool_wait(next_ns) && next_ns < end_ns;
		status = show(lat, skeleton, vdev.id);
	}
	return status;
}

int main(int argc, char **argv)
{
	struct lat lat = { 0 };
	struct infinilat *skeleton;
	int status;

	if (!parse(argc, argv, &lat, &status))
		return status;
	status = tool_open(&lat.admin);
	if (status)
		return status;
	skeleton = infinilat__open();
	if (skeleton)
		status = run(&lat, skeleton);
	else
		status = tool_fail(TOOL_FAILED, "cannot open the BPF programs: %s",
				   strerror(errno));
	if (skeleton && lat.pin)
		tool_unpin(skeleton->obj);
	infinilat__destroy(skeleton);
	free(lat.line);
	infini_admin_close(lat.admin);
	return status;
}
