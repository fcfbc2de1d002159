// SPDX-License-Identifier: GPL-2.0-only
/* infinitop: the table as text and as JSON. */
#include "top.h"

#include <errno.h>
#include <json-c/json.h>
#include <string.h>

#include "quantile.h"

double top_per_s(const struct top *top, uint64_t count)
{
	return top->interval_ns ? count * 1e9 / top->interval_ns : 0;
}

const char *top_spark(const struct top_line *line, char text[TOP_SPARK])
{
	static const char *const bars[] = { " ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█" };
	uint64_t most = 0;

	for (int i = 0; i < TOP_HISTORY; i++)
		if (line->generated[i] > most)
			most = line->generated[i];
	text[0] = '\0';
	for (int i = 0; i < TOP_HISTORY; i++)
		strcat(text, bars[most ? (line->generated[i] * 8 + most - 1) / most : 0]);
	return text;
}

static const char *top_bytes(uint64_t bytes, char text[HIST_TEXT])
{
	static const char *const units[] = { "", "K", "M", "G", "T", "P" };
	double value = bytes;
	size_t unit = 0;

	while (unit < 5 && value >= 1000) {
		value /= 1024;
		unit++;
	}
	snprintf(text, HIST_TEXT, "%.*f%s", unit && value < 9.95 ? 1 : 0, value, units[unit]);
	return text;
}

static void top_print_line(const struct top *top, const struct top_line *line, FILE *file)
{
	const struct top_row *row = &line->last;
	char text[8][HIST_TEXT], spark[TOP_SPARK];

	fprintf(file, "%-12.12s ", line->vdev);
	if (top->by != TOP_BY_VDEV)
		fprintf(file, "%-20.20s ", line->who);
	fprintf(file, "%8.1f %s %8.1f %7s %7s %7s %7s %7s %7s ",
		top_per_s(top, row->generated), top_spark(line, spark),
		top_per_s(top, row->prompt),
		hist_text(hist_quantile_ns(row->ttft, 500000), text[0]),
		hist_text(hist_quantile_ns(row->ttft, 990000), text[1]),
		hist_text(hist_quantile_ns(row->itl, 500000), text[2]),
		hist_text(hist_quantile_ns(row->itl, 990000), text[3]),
		hist_text(hist_quantile_ns(row->wait, 500000), text[4]),
		hist_text(hist_quantile_ns(row->wait, 990000), text[5]));
	/* Of what runs past the module nobody knows where, nor for how long. */
	if (!line->key.vdev)
		fprintf(file, "%5s %7s\n", "-", "-");
	if (!line->key.vdev)
		return;
	fprintf(file, "%5.1f", line->occupancy_percent);
	if (line->joules_per_token > 0)
		fprintf(file, " %7.3g", line->joules_per_token);
	else
		fprintf(file, " %7s", "-");
	if (top->by == TOP_BY_VDEV)
		fprintf(file, " %5.1f %5s/%s", line->throttled_percent,
			top_bytes(line->memory_used_bytes, text[6]),
			top_bytes(line->memory_limit_bytes, text[7]));
	fputc('\n', file);
}

void top_print(const struct top *top, FILE *file)
{
	fprintf(file, "%-12s ", "VDEV");
	if (top->by != TOP_BY_VDEV)
		fprintf(file, "%-20s ", top->by == TOP_BY_CGROUP ? "CGROUP" : "PROCESS");
	fprintf(file, "%8s %-*s %8s %7s %7s %7s %7s %7s %7s %5s %7s%s\n", "GEN/S", TOP_HISTORY, "",
		"PROMPT/S", "TTFT50", "TTFT99", "ITL50", "ITL99", "WAIT50", "WAIT99", "OCC%", "J/TOKEN",
		top->by == TOP_BY_VDEV ? "  THR% MEMORY/LIMIT" : "");
	for (size_t i = 0; i < top->nr_lines; i++)
		top_print_line(top, &top->line[i], file);
	if (top->lost)
		fprintf(file, "%llu events not counted: too many processes\n",
			(unsigned long long)top->lost);
}

/* ---- JSON ---- */

static void top_json_u64(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static void top_json_double(struct json_object *object, const char *key, double value)
{
	char text[32];

	snprintf(text, sizeof(text), "%.3f", value);
	json_object_object_add(object, key, json_object_new_double_s(value, text));
}

static uint64_t top_mean_ns(uint64_t ns, const uint32_t *hist)
{
	uint64_t count = hist_count(hist);

	return count ? ns / count : 0;
}

static void top_json_times(struct json_object *object, const struct top_row *row)
{
	top_json_u64(object, "ttft_mean_ns", top_mean_ns(row->ttft_ns, row->ttft));
	top_json_u64(object, "itl_mean_ns", top_mean_ns(row->itl_ns, row->itl));
	top_json_u64(object, "ttft_p50_ns", hist_quantile_ns(row->ttft, 500000));
	top_json_u64(object, "ttft_p99_ns", hist_quantile_ns(row->ttft, 990000));
	top_json_u64(object, "itl_p50_ns", hist_quantile_ns(row->itl, 500000));
	top_json_u64(object, "itl_p99_ns", hist_quantile_ns(row->itl, 990000));
	top_json_u64(object, "queue_wait_p50_ns", hist_quantile_ns(row->wait, 500000));
	top_json_u64(object, "queue_wait_p99_ns", hist_quantile_ns(row->wait, 990000));
}

static struct json_object *top_json_total(const struct top_row *row)
{
	struct json_object *total = json_object_new_object();

	top_json_u64(total, "jobs_completed", row->jobs);
	top_json_u64(total, "jobs_failed", row->failed);
	top_json_u64(total, "tokens_evaluated", row->evaluated);
	top_json_u64(total, "tokens_generated", row->generated);
	top_json_u64(total, "tokens_prompt", row->prompt);
	top_json_u64(total, "tokens_scored", row->scored);
	top_json_u64(total, "tokens_embedded", row->embedded);
	top_json_u64(total, "prompts", row->prompts);
	top_json_u64(total, "dispatches", row->dispatches);
	top_json_u64(total, "preemptions", row->preemptions);
	top_json_u64(total, "queue_wait_ns", row->wait_ns);
	top_json_u64(total, "occupancy_ns", row->occupancy_ns);
	top_json_times(total, row);
	return total;
}

static struct json_object *top_json_line(const struct top *top, const struct top_line *line)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "vdev", json_object_new_string(line->vdev));
	json_object_object_add(object, "device", json_object_new_string(line->device));
	top_json_u64(object, "vdev_id", line->key.vdev);
	json_object_object_add(object, "counted_at", json_object_new_string(
			       line->key.vdev ? "module" : "libllama"));
	if (top->by != TOP_BY_VDEV)
		json_object_object_add(object, top_by_names[top->by],
				       json_object_new_string(line->who));
	if (top->by == TOP_BY_CGROUP)
		top_json_u64(object, "cgroup_id", line->key.cgroup);
	if (top->by == TOP_BY_PROCESS)
		top_json_u64(object, "pid", line->key.pid);
	top_json_double(object, "generated_per_s", top_per_s(top, line->last.generated));
	top_json_double(object, "prompt_per_s", top_per_s(top, line->last.prompt));
	top_json_double(object, "jobs_per_s", top_per_s(top, line->last.jobs));
	top_json_double(object, "occupancy_percent", line->occupancy_percent);
	json_object_object_add(object, "joules_per_token", line->joules_per_token > 0 ?
			       json_object_new_double(line->joules_per_token) : NULL);
	top_json_times(object, &line->last);
	if (line->known) {
		top_json_double(object, "throttled_percent", line->throttled_percent);
		top_json_u64(object, "memory_used_bytes", line->memory_used_bytes);
		top_json_u64(object, "memory_limit_bytes", line->memory_limit_bytes);
	}
	json_object_object_add(object, "total", top_json_total(&line->total));
	return object;
}

int top_print_json(const struct top *top, FILE *file)
{
	struct json_object *object = json_object_new_object();
	struct json_object *rows = json_object_new_array();
	const char *text;

	top_json_u64(object, "time_ns", top->time_ns);
	top_json_u64(object, "interval_ns", top->interval_ns);
	top_json_u64(object, "since_ns", top->time_ns - top->began_ns);
	top_json_u64(object, "lost", top->lost);
	for (size_t i = 0; i < top->nr_lines; i++)
		json_object_array_add(rows, top_json_line(top, &top->line[i]));
	json_object_object_add(object, "rows", rows);
	text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN);
	if (text)
		fprintf(file, "%s\n", text);
	json_object_put(object);
	return text ? 0 : -ENOMEM;
}
