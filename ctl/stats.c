// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl stats */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "json.h"
#include "table.h"
#include "units.h"

#define INTERVAL_MIN_NS		50000000ull
#define INTERVAL_MAX_NS		3600000000000ull
#define INTERVAL_DEFAULT_NS	1000000000ull
#define ENERGY_MAX		64
#define CLEAR_SCREEN		"\033[H\033[2J"

/**
 * struct infini_stats - one run of the command
 * @metrics: where infinid tells of energy
 * @words: vdevs to show, all when there are none
 * @interval_ns: measure over this long; 0 for totals
 */
struct infini_stats {
	const char *metrics;
	char **words;
	size_t nr_words;
	bool json;
	bool watch;
	uint64_t interval_ns;
};

/* Everything at one moment. */
struct infini_sample {
	uint64_t time_ns;
	struct infini_vdevs vdevs;
	struct infini_devices devices;
	struct infini_admin_energy energy[ENERGY_MAX];
	size_t nr_energy;
};

/* What a vdev did between two samples: its part of the device's time, and of what all used of it. */
struct infini_rate {
	double device_percent;
	double share_percent;
	uint64_t occupancy_ns;
	uint64_t jobs;
	uint64_t tokens_evaluated;
	uint64_t tokens_generated;
	uint64_t tokens_prompt;
	uint64_t tokens_scored;
	uint64_t tokens_embedded;
	uint64_t preemptions;
	double joules_per_token;	/* 0 where it is not known */
	uint64_t wait_hist[INFINI_HIST_BUCKETS];
	uint64_t ttft_hist[INFINI_HIST_BUCKETS];
	uint64_t itl_hist[INFINI_HIST_BUCKETS];
};

static void infini_sample_free(struct infini_sample *sample)
{
	free(sample->vdevs.vdev);
	free(sample->devices.device);
}

/* Without infinid, or where nothing measures it, there is no energy. */
static int infini_sample_take(struct infini_ctl *ctl, const struct infini_stats *stats,
			      struct infini_sample *sample)
{
	struct timespec now;
	int status;

	memset(sample, 0, sizeof(*sample));
	clock_gettime(CLOCK_MONOTONIC, &now);
	sample->time_ns = now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
	if (infini_admin_energy_read(stats->metrics, sample->energy, ENERGY_MAX, &sample->nr_energy))
		sample->nr_energy = 0;
	status = infini_vdevs_load(ctl, &sample->vdevs);
	return status ? status : infini_devices_load(ctl, &sample->devices);
}

static bool infini_stats_wants(const struct infini_stats *stats,
			       const struct infini_admin_vdev *vdev)
{
	char id[16];

	snprintf(id, sizeof(id), "%u", vdev->id);
	for (size_t i = 0; i < stats->nr_words; i++)
		if (!strcmp(stats->words[i], vdev->name) || !strcmp(stats->words[i], id))
			return true;
	return !stats->nr_words;
}

static const struct infini_admin_vdev *infini_sample_vdev(const struct infini_sample *sample,
							  const struct infini_admin_vdev *like)
{
	for (size_t i = 0; i < sample->vdevs.nr; i++)
		if (sample->vdevs.vdev[i].id == like->id &&
		    !strcmp(sample->vdevs.vdev[i].name, like->name))
			return &sample->vdevs.vdev[i];
	return NULL;
}

static const struct infini_admin_device *infini_sample_device(const struct infini_sample *sample,
							      uint32_t id)
{
	for (size_t i = 0; i < sample->devices.nr; i++)
		if (sample->devices.device[i].id == id)
			return &sample->devices.device[i];
	return NULL;
}

/* What the vdevs of a device used of it between the samples, deleted ones included. */
static double infini_device_used(const struct infini_sample *before,
				 const struct infini_sample *now, uint32_t id)
{
	const struct infini_admin_device *a = infini_sample_device(before, id);
	const struct infini_admin_device *b = infini_sample_device(now, id);

	return b && b->occupancy_ns > (a ? a->occupancy_ns : 0) ?
	       b->occupancy_ns - (a ? a->occupancy_ns : 0) : 0;
}

static void infini_hist_since(uint64_t *hist, const uint64_t *now, const uint64_t *old)
{
	for (int i = 0; i < INFINI_HIST_BUCKETS; i++)
		hist[i] = now[i] - old[i];
}

/* Two cells: the median and the 99th percentile, or dashes when there were none. */
static void infini_hist_cells(struct infini_table *table, const uint64_t *hist)
{
	static const uint32_t quantiles_ppm[] = { 500000, 990000 };

	for (int i = 0; i < 2; i++) {
		uint64_t ns = infini_hist_quantile(hist, quantiles_ppm[i]);

		infini_table_cell(table, "%s", ns ? infini_duration_text(ns).s : "-");
	}
}

static const uint64_t *infini_sample_uj(const struct infini_sample *sample, const char *device)
{
	for (size_t i = 0; i < sample->nr_energy; i++)
		if (!strcmp(sample->energy[i].device, device))
			return &sample->energy[i].uj;
	return NULL;
}

/* The vdev's part of its device's energy, by how long it held it, for each token; 0 if not known. */
static double infini_rate_joules(const struct infini_sample *before,
				 const struct infini_sample *now,
				 const struct infini_admin_vdev *vdev, const struct infini_rate *rate)
{
	const uint64_t *a = infini_sample_uj(before, vdev->device_name);
	const uint64_t *b = infini_sample_uj(now, vdev->device_name);

	if (!a || !b || *b < *a || !rate->tokens_generated)
		return 0;
	return (*b - *a) / 1e6 * rate->share_percent / 100 / rate->tokens_generated;
}

/* A vdev that was not there before began at zero. */
static void infini_rate_measure(const struct infini_sample *before,
				const struct infini_sample *now,
				const struct infini_admin_vdev *vdev, struct infini_rate *rate)
{
	static const struct infini_admin_vdev nothing;
	const struct infini_admin_vdev *old = infini_sample_vdev(before, vdev);
	const struct infini_admin_device *device = infini_sample_device(now, vdev->device_id);
	double used = infini_device_used(before, now, vdev->device_id);
	double room = (double)(now->time_ns - before->time_ns) * (device ? device->slots : 1);

	if (!old)
		old = &nothing;
	infini_hist_since(rate->wait_hist, vdev->queue_wait_hist, old->queue_wait_hist);
	infini_hist_since(rate->ttft_hist, vdev->ttft.hist, old->ttft.hist);
	infini_hist_since(rate->itl_hist, vdev->itl.hist, old->itl.hist);
	rate->occupancy_ns = vdev->stats.occupancy_ns - old->stats.occupancy_ns;
	rate->device_percent = room > 0 ? 100.0 * rate->occupancy_ns / room : 0;
	rate->share_percent = used > 0 ? 100.0 * rate->occupancy_ns / used : 0;
	rate->jobs = vdev->stats.jobs_completed - old->stats.jobs_completed;
	rate->tokens_evaluated = vdev->stats.tokens_evaluated - old->stats.tokens_evaluated;
	rate->tokens_generated = vdev->stats.tokens_generated - old->stats.tokens_generated;
	rate->tokens_prompt = vdev->stats.tokens_prompt - old->stats.tokens_prompt;
	rate->tokens_scored = vdev->stats.tokens_scored - old->stats.tokens_scored;
	rate->tokens_embedded = vdev->stats.tokens_embedded - old->stats.tokens_embedded;
	rate->preemptions = vdev->stats.preemptions - old->stats.preemptions;
	/* Two look-ups at two moments: never more than everything. */
	if (rate->share_percent > 100)
		rate->share_percent = 100;
	rate->joules_per_token = infini_rate_joules(before, now, vdev, rate);
}

static struct json_object *infini_rate_json(const struct infini_admin_vdev *vdev,
					    const struct infini_rate *rate, double seconds)
{
	struct json_object *object = json_object_new_object();

	infini_json_set_string(object, "name", vdev->name);
	infini_json_set_u64(object, "id", vdev->id);
	infini_json_set_string(object, "device", vdev->device_name);
	infini_json_set_u64(object, "weight", vdev->weight);
	infini_json_set_u64(object, "occupancy_ns", rate->occupancy_ns);
	json_object_object_add(object, "device_percent",
			       json_object_new_double(rate->device_percent));
	json_object_object_add(object, "share_percent",
			       json_object_new_double(rate->share_percent));
	infini_json_set_u64(object, "jobs_completed", rate->jobs);
	infini_json_set_u64(object, "tokens_evaluated", rate->tokens_evaluated);
	infini_json_set_u64(object, "tokens_generated", rate->tokens_generated);
	infini_json_set_u64(object, "tokens_prompt", rate->tokens_prompt);
	infini_json_set_u64(object, "tokens_scored", rate->tokens_scored);
	infini_json_set_u64(object, "tokens_embedded", rate->tokens_embedded);
	json_object_object_add(object, "tokens_per_s",
			       json_object_new_double(rate->tokens_generated / seconds));
	infini_json_set_u64(object, "preemptions", rate->preemptions);
	infini_json_set_quantiles(object, "queue_wait", rate->wait_hist);
	infini_json_set_quantiles(object, "ttft", rate->ttft_hist);
	infini_json_set_quantiles(object, "itl", rate->itl_hist);
	json_object_object_add(object, "joules_per_token", rate->joules_per_token > 0 ?
			       json_object_new_double(rate->joules_per_token) : NULL);
	infini_json_set_u64(object, "memory_used_bytes", vdev->stats.memory_used_bytes);
	return object;
}

static int infini_rates_json(struct infini_ctl *ctl, const struct infini_stats *stats,
			     const struct infini_sample *before, const struct infini_sample *now)
{
	struct json_object *line = json_object_new_object();
	struct json_object *vdevs = json_object_new_array();
	double seconds = (now->time_ns - before->time_ns) / 1e9;

	infini_json_set_u64(line, "time_ns", now->time_ns);
	infini_json_set_u64(line, "interval_ns", now->time_ns - before->time_ns);
	for (size_t i = 0; i < now->vdevs.nr; i++) {
		const struct infini_admin_vdev *vdev = &now->vdevs.vdev[i];
		struct infini_rate rate;

		if (!infini_stats_wants(stats, vdev))
			continue;
		infini_rate_measure(before, now, vdev, &rate);
		json_object_array_add(vdevs, infini_rate_json(vdev, &rate, seconds));
	}
	json_object_object_add(line, "vdevs", vdevs);
	return infini_json_print_line(ctl, line);
}

static int infini_rates_table(struct infini_ctl *ctl, const struct infini_stats *stats,
			      const struct infini_sample *before, const struct infini_sample *now)
{
	static const char *const columns[] = {
		"VDEV", "DEVICE", ">WEIGHT", ">DEVICE%",
		">SHARE%", ">TOKENS/S", ">J/TOKEN", ">PROMPT/S", ">EVAL/S", ">JOBS/S",
		">YIELDS/S", ">WAIT-P50", ">WAIT-P99", ">TTFT-P50", ">TTFT-P99", ">ITL-P50",
		">ITL-P99",
		">MEMORY", ">LIMIT",
	};
	struct infini_table table = INFINI_TABLE(columns);
	double seconds = (now->time_ns - before->time_ns) / 1e9;

	for (size_t i = 0; i < now->vdevs.nr; i++) {
		const struct infini_admin_vdev *v = &now->vdevs.vdev[i];
		struct infini_rate rate;

		if (!infini_stats_wants(stats, v))
			continue;
		infini_rate_measure(before, now, v, &rate);
		infini_table_cell(&table, "%s", v->name);
		infini_table_cell(&table, "%s", v->device_name);
		infini_table_cell(&table, "%u", v->weight);
		infini_table_cell(&table, "%.1f", rate.device_percent);
		infini_table_cell(&table, "%.1f", rate.share_percent);
		infini_table_cell(&table, "%.1f", rate.tokens_generated / seconds);
		if (rate.joules_per_token > 0)
			infini_table_cell(&table, "%.3g", rate.joules_per_token);
		else
			infini_table_cell(&table, "-");
		infini_table_cell(&table, "%.1f", rate.tokens_prompt / seconds);
		infini_table_cell(&table, "%.1f", rate.tokens_evaluated / seconds);
		infini_table_cell(&table, "%.1f", rate.jobs / seconds);
		infini_table_cell(&table, "%.1f", rate.preemptions / seconds);
		infini_hist_cells(&table, rate.wait_hist);
		infini_hist_cells(&table, rate.ttft_hist);
		infini_hist_cells(&table, rate.itl_hist);
		infini_table_cell(&table, "%s", infini_bytes_text(v->stats.memory_used_bytes).s);
		infini_table_cell(&table, "%s", infini_bytes_text(v->memory_limit_bytes).s);
	}
	if (infini_table_print(&table, stdout))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the table");
	return 0;
}

static int infini_totals_json(struct infini_ctl *ctl, const struct infini_stats *stats,
			      const struct infini_vdevs *vdevs)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < vdevs->nr; i++)
		if (infini_stats_wants(stats, &vdevs->vdev[i]))
			json_object_array_add(array, infini_json_vdev(&vdevs->vdev[i], true));
	return infini_json_print(ctl, array);
}

static int infini_totals_table(struct infini_ctl *ctl, const struct infini_stats *stats,
			       const struct infini_vdevs *vdevs)
{
	static const char *const columns[] = {
		"VDEV", "DEVICE", ">WEIGHT", ">OCCUPANCY",
		">JOBS", ">FAILED", ">EVAL", ">PROMPT",
		">TOKENS", ">SCORED", ">EMBEDDED",
		">YIELDS", ">WAIT-P50", ">WAIT-P99", ">TTFT-P50", ">TTFT-P99", ">ITL-P50",
		">ITL-P99",
		">MEMORY", ">PEAK", ">LIMIT",
	};
	struct infini_table table = INFINI_TABLE(columns);

	for (size_t i = 0; i < vdevs->nr; i++) {
		const struct infini_admin_vdev *v = &vdevs->vdev[i];
		const struct infini_vdev_stats *s = &v->stats;

		if (!infini_stats_wants(stats, v))
			continue;
		infini_table_cell(&table, "%s", v->name);
		infini_table_cell(&table, "%s", v->device_name);
		infini_table_cell(&table, "%u", v->weight);
		infini_table_cell(&table, "%s", infini_duration_text(s->occupancy_ns).s);
		infini_table_cell(&table, "%" PRIu64, (uint64_t)s->jobs_completed);
		infini_table_cell(&table, "%" PRIu64, (uint64_t)s->jobs_failed);
		infini_table_cell(&table, "%" PRIu64, (uint64_t)s->tokens_evaluated);
		infini_table_cell(&table, "%" PRIu64, (uint64_t)s->tokens_prompt);
		infini_table_cell(&table, "%" PRIu64, (uint64_t)s->tokens_generated);
		infini_table_cell(&table, "%" PRIu64, (uint64_t)s->tokens_scored);
		infini_table_cell(&table, "%" PRIu64, (uint64_t)s->tokens_embedded);
		infini_table_cell(&table, "%" PRIu64, (uint64_t)s->preemptions);
		infini_hist_cells(&table, v->queue_wait_hist);
		infini_hist_cells(&table, v->ttft.hist);
		infini_hist_cells(&table, v->itl.hist);
		infini_table_cell(&table, "%s", infini_bytes_text(s->memory_used_bytes).s);
		infini_table_cell(&table, "%s", infini_bytes_text(s->memory_peak_bytes).s);
		infini_table_cell(&table, "%s", infini_bytes_text(v->memory_limit_bytes).s);
	}
	if (infini_table_print(&table, stdout))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the table");
	return 0;
}

static int infini_stats_totals(struct infini_ctl *ctl, const struct infini_stats *stats)
{
	struct infini_vdevs vdevs;
	int status = infini_vdevs_load(ctl, &vdevs);

	if (status)
		return status;
	if (!vdevs.nr && !stats->json)
		infini_vdevs_none_print();
	else
		status = stats->json ? infini_totals_json(ctl, stats, &vdevs) :
				       infini_totals_table(ctl, stats, &vdevs);
	free(vdevs.vdev);
	return status;
}

static int infini_stats_rates(struct infini_ctl *ctl, const struct infini_stats *stats,
			      const struct infini_sample *before, const struct infini_sample *now)
{
	int status;

	if (stats->watch && !stats->json && isatty(STDOUT_FILENO))
		fputs(CLEAR_SCREEN, stdout);
	status = stats->json ? infini_rates_json(ctl, stats, before, now) :
			       infini_rates_table(ctl, stats, before, now);
	if (stats->watch && !stats->json && !isatty(STDOUT_FILENO))
		putchar('\n');
	if (!status && fflush(stdout))
		status = infini_fail(ctl, INFINI_EXIT_FAILURE, "standard output: %s",
				     strerror(errno));
	return status;
}

static int infini_stats_measure(struct infini_ctl *ctl, const struct infini_stats *stats)
{
	struct infini_sample before = { 0 }, now = { 0 };
	int signals = infini_signals_open();
	int status;

	if (signals < 0)
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "signals: %s", strerror(-signals));
	status = infini_sample_take(ctl, stats, &before);
	while (!status && !infini_signals_wait(signals, -1, stats->interval_ns / 1000000)) {
		status = infini_sample_take(ctl, stats, &now);
		if (!status)
			status = infini_stats_rates(ctl, stats, &before, &now);
		infini_sample_free(&before);
		before = now;
		now = (struct infini_sample){ 0 };
		if (!stats->watch)
			break;
	}
	infini_sample_free(&before);
	close(signals);
	return status;
}

static int infini_interval_parse(struct infini_ctl *ctl, const char *word, uint64_t *ns)
{
	if (infini_duration_parse(word, 1000000000, ns))
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--interval %s: not a time: write seconds, or a number and ms, s or min",
				   word);
	if (*ns < INTERVAL_MIN_NS || *ns > INTERVAL_MAX_NS)
		return infini_fail(ctl, INFINI_EXIT_USAGE, "--interval %s: must be %s to %s", word,
				   infini_duration_text(INTERVAL_MIN_NS).s,
				   infini_duration_text(INTERVAL_MAX_NS).s);
	return 0;
}

/* Words that name nothing are a mistake, not an empty table. */
static int infini_stats_check(struct infini_ctl *ctl, const struct infini_stats *stats)
{
	struct infini_admin_vdev vdev;
	int status = 0;

	for (size_t i = 0; i < stats->nr_words && !status; i++)
		status = infini_vdev_lookup(ctl, stats->words[i], &vdev);
	return status;
}

static int infini_stats_run(struct infini_ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{ "watch", no_argument, NULL, 'w' },
		{ "interval", required_argument, NULL, 'i' },
		{ "metrics", required_argument, NULL, 'm' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, INFINI_OPTION_HELP },
		{ 0 }
	};
	struct infini_stats stats = { 0 };
	int option, status = 0;

	while (!status && (option = infini_options_next(ctl, argc, argv, options)) >= 0) {
		if (option == INFINI_OPTION_HELP)
			return infini_help_print(ctl);
		stats.watch |= option == 'w';
		stats.json |= option == 'j';
		if (option == 'm')
			stats.metrics = optarg;
		if (option == 'i')
			status = infini_interval_parse(ctl, optarg, &stats.interval_ns);
	}
	if (status || option == INFINI_OPTIONS_FAILED)
		return INFINI_EXIT_USAGE;
	if (stats.watch && !stats.interval_ns)
		stats.interval_ns = INTERVAL_DEFAULT_NS;
	stats.words = argv + optind;
	stats.nr_words = argc - optind;
	status = infini_ctl_connect(ctl);
	if (!status)
		status = infini_stats_check(ctl, &stats);
	if (status)
		return status;
	return stats.interval_ns ? infini_stats_measure(ctl, &stats) :
				   infini_stats_totals(ctl, &stats);
}

const struct infini_command infini_stats_command = {
	.name = "stats",
	.args = "[--watch] [--interval TIME] [--metrics SOCKET] [--json] [VDEV...]",
	.summary = "Show counters of vdevs, or rates over an interval",
	.help = "  --watch          show rates again and again, until Ctrl-C\n"
		"  --interval TIME  measure over this long (default with --watch: 1s); without --watch\n"
		"                   the rates are shown once\n"
		"  --metrics SOCKET infinid's, if not " INFINI_METRICS_SOCKET "\n"
		"  --json           JSON; with --watch one object per line\n"
		"Without --watch and --interval: totals since each vdev was created. EVAL counts tokens\n"
		"evaluated, for whatever: those of prompts (PROMPT), the one before each token that is\n"
		"generated (TOKENS), those that score a text or verify drafted tokens (SCORED) and\n"
		"those that become embeddings (EMBEDDED). DEVICE% is the part of the device's time\n"
		"that the vdev held, SHARE% its part of what all vdevs of the device held together.\n"
		"TTFT is the time to the first token of a prompt, ITL from token to token. J/TOKEN is\n"
		"SHARE% of the device's energy for each token generated, where infinid measures it.\n",
	.run = infini_stats_run,
};
