// SPDX-License-Identifier: GPL-2.0-or-later
/* What infinid tells a monitoring system: see metrics.h. */
#include "metrics.h"

#include "count.h"

#include <cgroup.h>
#include <container.h>
#include <limits.h>
#include <stddef.h>
#include <string.h>

#ifndef INFINI_VERSION
#define INFINI_VERSION	"0.1"
#endif

#define ONE		1ull
#define PER_MILLION	1000000ull
#define NANOSECONDS	1000000000ull

/* A family with one value per vdev or device, taken from a member of its struct. */
struct member_family {
	struct infini_metric_family family;
	size_t offset;
	size_t bytes;			/* of the member: 1, 4 or 8 */
	uint64_t scale;
};

#define MEMBER(_struct, _member, _name, _type, _unit, _scale, _help) {		\
	.family = { (_name), INFINI_METRIC_##_type, (_unit), (_help) },		\
	.offset = offsetof(_struct, _member),					\
	.bytes = sizeof(((_struct *)0)->_member),				\
	.scale = (_scale) }
#define VDEV(_member, _name, _type, _unit, _scale, _help) \
	MEMBER(struct infini_admin_vdev, _member, "infini_vdev_" _name, _type, _unit, _scale, _help)
#define DEVICE(_member, _name, _type, _unit, _scale, _help) \
	MEMBER(struct infini_admin_device, _member, "infini_device_" _name, _type, _unit, _scale, \
	       _help)

static const struct member_family vdev_families[] = {
	VDEV(stats.tokens_evaluated, "evaluated_tokens", COUNTER, "tokens", ONE,
	     "Tokens evaluated, those of prompts included."),
	VDEV(stats.tokens_generated, "generated_tokens", COUNTER, "tokens", ONE,
	     "Tokens generated."),
	VDEV(stats.tokens_prompt, "prompt_tokens", COUNTER, "tokens", ONE,
	     "Tokens of prompts that were evaluated."),
	VDEV(stats.tokens_scored, "scored_tokens", COUNTER, "tokens", ONE,
	     "Tokens evaluated to score a text or to verify drafted tokens."),
	VDEV(stats.tokens_embedded, "embedded_tokens", COUNTER, "tokens", ONE,
	     "Tokens evaluated into embeddings."),
	VDEV(stats.prompts, "prompts", COUNTER, NULL, ONE,
	     "Prompts evaluated to their end, of which each made a first token."),
	VDEV(stats.jobs_submitted, "submitted_jobs", COUNTER, "jobs", ONE,
	     "Jobs submitted by clients."),
	VDEV(stats.dispatches, "dispatches", COUNTER, NULL, ONE,
	     "Jobs handed to the device, again after each preemption."),
	VDEV(stats.preemptions, "preemptions", COUNTER, NULL, ONE,
	     "Jobs that gave the device up before their end."),
	VDEV(stats.occupancy_ns, "occupancy_seconds", COUNTER, "seconds", NANOSECONDS,
	     "Time for which the vdev held a slot of its device."),
	VDEV(stats.runnable_ns, "runnable_seconds", COUNTER, "seconds", NANOSECONDS,
	     "Time for which the vdev had work, running or not."),
	VDEV(stats.throttled_ns, "throttled_seconds", COUNTER, "seconds", NANOSECONDS,
	     "Time for which a cap or a token rate kept the vdev from running."),
	VDEV(stats.throttles, "throttles", COUNTER, NULL, ONE,
	     "How often a cap or a token rate began to keep the vdev from running."),
	VDEV(stats.bytes_in, "input_bytes", COUNTER, "bytes", ONE,
	     "Bytes copied from clients to the device."),
	VDEV(stats.bytes_out, "output_bytes", COUNTER, "bytes", ONE,
	     "Bytes copied from the device to clients."),
	VDEV(stats.memory_used_bytes, "memory_used_bytes", GAUGE, "bytes", ONE,
	     "Device memory in use."),
	VDEV(memory_limit_bytes, "memory_limit_bytes", GAUGE, "bytes", ONE,
	     "Device memory that the vdev may use."),
	VDEV(stats.file_bytes, "file_bytes", GAUGE, "bytes", ONE,
	     "Of files that stand behind buffers; no part of the memory in use."),
	VDEV(stats.memory_failed, "refused_allocations", COUNTER, NULL, ONE,
	     "Allocations refused by the limit or for lack of room on the device."),
	VDEV(stats.clients, "clients", GAUGE, NULL, ONE, "Processes that have the vdev open."),
	VDEV(stats.executor_generation, "executors", COUNTER, NULL, ONE,
	     "Workers that have served the vdev so far."),
	VDEV(weight, "weight", GAUGE, NULL, ONE, "Share among the vdevs of its class."),
	VDEV(cap_ppm, "cap_ratio", GAUGE, "ratio", PER_MILLION,
	     "Most of the device's time that the vdev may have; 1 for no cap."),
	VDEV(floor_ppm, "floor_ratio", GAUGE, "ratio", PER_MILLION,
	     "Least of the device's time that the vdev is promised; 0 for none."),
};

static const struct member_family device_families[] = {
	DEVICE(online, "online", GAUGE, NULL, ONE, "1 while a daemon serves the device."),
	DEVICE(slots, "slots", GAUGE, NULL, ONE, "Vdevs that can run at once."),
	DEVICE(nr_vdevs, "vdevs", GAUGE, NULL, ONE, "Vdevs of the device."),
	DEVICE(occupancy_ns, "occupancy_seconds", COUNTER, "seconds", NANOSECONDS,
	       "Time for which vdevs held slots, those deleted since included."),
	DEVICE(memory_bytes, "memory_bytes", GAUGE, "bytes", ONE, "Memory that vdevs can have."),
	DEVICE(memory_promised_bytes, "memory_promised_bytes", GAUGE, "bytes", ONE,
	       "Sum of the limits of the device's vdevs."),
	DEVICE(memory_used_bytes, "memory_used_bytes", GAUGE, "bytes", ONE,
	       "Memory in use by the device's vdevs."),
	DEVICE(floors_ppm, "floors_ratio", GAUGE, "ratio", PER_MILLION,
	       "Part of the device's time that is promised to its vdevs."),
};

static uint64_t member(const void *object, const struct member_family *family)
{
	const char *at = (const char *)object + family->offset;
	uint64_t value;
	uint32_t word;

	if (family->bytes == sizeof(value)) {
		memcpy(&value, at, sizeof(value));
		return value;
	}
	if (family->bytes == sizeof(word)) {
		memcpy(&word, at, sizeof(word));
		return word;
	}
	return (uint8_t)*at;
}

/* ---- vdevs ------------------------------------------------------------------------- */

/* What every value of a vdev is labelled with; a caller may put one more behind. */
struct labels {
	struct infini_metric_label list[6];
};

static struct labels vdev_labels(const struct infini_admin_vdev *vdev)
{
	return (struct labels){ { { "vdev", vdev->name }, { "device", vdev->device_name } } };
}

static void render_vdev_info(struct infini_metrics_text *text, const struct infini_sample *sample)
{
	static const struct infini_metric_family family = {
		"infini_vdev", INFINI_METRIC_INFO, NULL, "The vdev and its class.",
	};

	infini_metrics_family(text, &family);
	for (size_t i = 0; i < sample->nr_vdevs; i++) {
		struct labels labels = vdev_labels(&sample->vdevs[i]);

		labels.list[2].name = "class";
		labels.list[2].value = infini_admin_vdev_class_word(sample->vdevs[i].vdev_class);
		infini_metrics_u64(text, labels.list, 1);
	}
}

static void render_vdev_members(struct infini_metrics_text *text,
				const struct infini_sample *sample)
{
	for (size_t f = 0; f < COUNT(vdev_families); f++) {
		const struct member_family *family = &vdev_families[f];

		infini_metrics_family(text, &family->family);
		for (size_t i = 0; i < sample->nr_vdevs; i++) {
			struct labels labels = vdev_labels(&sample->vdevs[i]);

			infini_metrics_scaled(text, labels.list, member(&sample->vdevs[i], family),
					      family->scale);
		}
	}
}

static void render_outcome(struct infini_metrics_text *text, const struct infini_admin_vdev *vdev,
			   const char *outcome, uint64_t jobs)
{
	struct labels labels = vdev_labels(vdev);

	labels.list[2].name = "outcome";
	labels.list[2].value = outcome;
	infini_metrics_u64(text, labels.list, jobs);
}

static void render_jobs(struct infini_metrics_text *text, const struct infini_sample *sample)
{
	static const struct infini_metric_family family = {
		"infini_vdev_jobs", INFINI_METRIC_COUNTER, "jobs",
		"Jobs that ended: completed, timed_out, or failed in another way.",
	};

	infini_metrics_family(text, &family);
	for (size_t i = 0; i < sample->nr_vdevs; i++) {
		const struct infini_admin_vdev *vdev = &sample->vdevs[i];
		const struct infini_vdev_stats *stats = &vdev->stats;

		render_outcome(text, vdev, "completed", stats->jobs_completed);
		render_outcome(text, vdev, "timed_out", stats->jobs_timed_out);
		render_outcome(text, vdev, "failed", stats->jobs_failed - stats->jobs_timed_out);
	}
}

/* A histogram with one of each vdev: its buckets and its sum are members of the vdev. */
struct hist_family {
	struct infini_metric_family family;
	size_t hist;
	size_t sum_ns;
};

#define HIST(_hist, _sum, _name, _help) {					\
	.family = { (_name), INFINI_METRIC_HISTOGRAM, "seconds", (_help) },	\
	.hist = offsetof(struct infini_admin_vdev, _hist),			\
	.sum_ns = offsetof(struct infini_admin_vdev, _sum) }

/* Names of OpenTelemetry's conventions for generative AI, where they have one. */
static const struct hist_family hist_families[] = {
	HIST(queue_wait_hist, stats.queue_wait_ns, "infini_vdev_queue_wait_seconds",
	     "How long jobs waited for the device, from submission or preemption to dispatch."),
	HIST(ttft.hist, ttft.sum_ns, "gen_ai_server_time_to_first_token_seconds",
	     "From the arrival of a request's prompt to its first token."),
	HIST(itl.hist, itl.sum_ns, "gen_ai_server_time_per_output_token_seconds",
	     "From each token of a sequence to its next."),
};

static void render_hists(struct infini_metrics_text *text, const struct infini_sample *sample)
{
	for (size_t f = 0; f < COUNT(hist_families); f++) {
		const struct hist_family *family = &hist_families[f];

		infini_metrics_family(text, &family->family);
		for (size_t i = 0; i < sample->nr_vdevs; i++) {
			const char *vdev = (const char *)&sample->vdevs[i];
			struct labels labels = vdev_labels(&sample->vdevs[i]);

			infini_metrics_hist(text, labels.list,
					    (const uint64_t *)(vdev + family->hist),
					    *(const uint64_t *)(vdev + family->sum_ns));
		}
	}
}

/* ---- containers ---------------------------------------------------------------------- */

static bool listed(const struct infini_container *list, size_t nr,
		   const struct infini_container *container)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(list[i].id, container->id) &&
		    !strcmp(list[i].runtime, container->runtime) &&
		    !strcmp(list[i].cgroup, container->cgroup))
			return true;
	return false;
}

/* The containers that have @vdev open, each once, though it may have many groups. */
static size_t containers(const struct infini_admin_vdev *vdev, struct infini_container *list)
{
	char path[PATH_MAX];
	const char *below;
	size_t nr = 0;

	for (uint32_t i = 0; i < vdev->nr_client_cgroups; i++) {
		if (infini_cgroup_path(vdev->client_cgroups[i], path, sizeof(path), &below) ||
		    !infini_container_parse(below, &list[nr]))
			continue;
		nr += !listed(list, nr, &list[nr]);
	}
	return nr;
}

static void render_containers(struct infini_metrics_text *text, const struct infini_sample *sample)
{
	static const struct infini_metric_family family = {
		"infini_vdev_container", INFINI_METRIC_INFO, NULL,
		"A container that has the vdev open.",
	};
	struct infini_container list[INFINI_VDEV_CLIENT_CGROUPS_MAX];

	infini_metrics_family(text, &family);
	for (size_t i = 0; i < sample->nr_vdevs; i++) {
		size_t nr = containers(&sample->vdevs[i], list);

		for (size_t c = 0; c < nr; c++) {
			struct labels labels = vdev_labels(&sample->vdevs[i]);

			labels.list[2] = (struct infini_metric_label){ "container", list[c].id };
			labels.list[3] = (struct infini_metric_label){ "runtime", list[c].runtime };
			labels.list[4] = (struct infini_metric_label){ "cgroup", list[c].cgroup };
			infini_metrics_u64(text, labels.list, 1);
		}
	}
}

/* ---- devices ----------------------------------------------------------------------- */

static void render_device_info(struct infini_metrics_text *text,
			       const struct infini_sample *sample)
{
	static const struct infini_metric_family family = {
		"infini_device", INFINI_METRIC_INFO, NULL, "The device, its class and its backend.",
	};

	infini_metrics_family(text, &family);
	for (size_t i = 0; i < sample->nr_devices; i++) {
		const struct infini_admin_device *device = &sample->devices[i];
		const struct infini_metric_label labels[] = {
			{ "device", device->name },
			{ "class", infini_admin_device_class_word(device->device_class) },
			{ "backend", device->backend },
			{ 0 },
		};

		infini_metrics_u64(text, labels, 1);
	}
}

static void render_device_members(struct infini_metrics_text *text,
				  const struct infini_sample *sample)
{
	for (size_t f = 0; f < COUNT(device_families); f++) {
		const struct member_family *family = &device_families[f];

		infini_metrics_family(text, &family->family);
		for (size_t i = 0; i < sample->nr_devices; i++) {
			const struct infini_metric_label labels[] = {
				{ "device", sample->devices[i].name },
				{ 0 },
			};

			infini_metrics_scaled(text, labels, member(&sample->devices[i], family),
					      family->scale);
		}
	}
}

/* A device that nothing measures has no value here. */
void infini_metrics_render_energy(struct infini_metrics_text *text,
				  const struct infini_energy *energy)
{
	static const struct infini_metric_family family = {
		"infini_device_energy_joules", INFINI_METRIC_COUNTER, "joules",
		"Energy used by the device since infinid started.",
	};

	if (energy->nr_meters)
		infini_metrics_family(text, &family);
	for (uint32_t i = 0; i < energy->nr_meters; i++) {
		const struct infini_energy_meter *meter = &energy->meters[i];
		const struct infini_metric_label labels[] = {
			{ "device", meter->device },
			{ "source", meter->ops->name },
			{ 0 },
		};

		infini_metrics_scaled(text, labels, meter->total_uj, PER_MILLION);
	}
}

void infini_metrics_render(struct infini_metrics_text *text, const struct infini_sample *sample,
			   const struct infini_energy *energy)
{
	static const struct infini_metric_family family = {
		"infini_build", INFINI_METRIC_INFO, NULL, "The release of infinid.",
	};
	static const struct infini_metric_label version[] = {
		{ "version", INFINI_VERSION }, { 0 },
	};

	infini_metrics_family(text, &family);
	infini_metrics_u64(text, version, 1);
	render_device_info(text, sample);
	render_device_members(text, sample);
	infini_metrics_render_energy(text, energy);
	render_vdev_info(text, sample);
	render_vdev_members(text, sample);
	render_jobs(text, sample);
	render_hists(text, sample);
	render_containers(text, sample);
}
