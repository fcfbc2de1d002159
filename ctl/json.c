// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices, vdevs and events as JSON. */
#include "json.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

#include "cgroup.h"

void infini_json_set_u64(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

void infini_json_set_string(struct json_object *object, const char *key, const char *value)
{
	json_object_object_add(object, key, json_object_new_string(value));
}

static struct json_object *infini_json_kind(const struct infini_memory_kind *kind)
{
	struct json_object *object = json_object_new_object();

	infini_json_set_string(object, "name", (const char *)kind->name);
	json_object_object_add(object, "unified",
			       json_object_new_boolean(kind->flags & INFINI_MEMORY_F_UNIFIED));
	json_object_object_add(object, "weights",
			       json_object_new_boolean(kind->flags & INFINI_MEMORY_F_WEIGHTS));
	json_object_object_add(object, "files",
			       json_object_new_boolean(kind->flags & INFINI_MEMORY_F_FILE));
	infini_json_set_u64(object, "alignment", kind->alignment);
	infini_json_set_u64(object, "max_bytes", kind->max_bytes);
	return object;
}

struct json_object *infini_json_device(const struct infini_admin_device *device)
{
	struct json_object *object = json_object_new_object();
	struct json_object *kinds = json_object_new_array();

	infini_json_set_u64(object, "id", device->id);
	infini_json_set_string(object, "name", device->name);
	infini_json_set_string(object, "backend", device->backend);
	infini_json_set_string(object, "description", device->description);
	infini_json_set_string(object, "class", infini_admin_device_class_word(device->device_class));
	infini_json_set_string(object, "yield_level", infini_admin_level_word(device->level));
	json_object_object_add(object, "online", json_object_new_boolean(device->online));
	infini_json_set_u64(object, "slots", device->slots);
	infini_json_set_u64(object, "vdevs", device->nr_vdevs);
	infini_json_set_u64(object, "memory_bytes", device->memory_bytes);
	infini_json_set_u64(object, "memory_promised_bytes", device->memory_promised_bytes);
	infini_json_set_u64(object, "memory_used_bytes", device->memory_used_bytes);
	infini_json_set_u64(object, "occupancy_ns", device->occupancy_ns);
	infini_json_set_u64(object, "floors_ppm", device->floors_ppm);
	for (uint32_t i = 0; i < device->nr_kinds; i++)
		json_object_array_add(kinds, infini_json_kind(&device->kinds[i]));
	json_object_object_add(object, "memory_kinds", kinds);
	return object;
}

void infini_json_set_quantiles(struct json_object *object, const char *name, const uint64_t *hist)
{
	char key[32];

	snprintf(key, sizeof(key), "%s_p50_ns", name);
	infini_json_set_u64(object, key, infini_hist_quantile(hist, 500000));
	snprintf(key, sizeof(key), "%s_p99_ns", name);
	infini_json_set_u64(object, key, infini_hist_quantile(hist, 990000));
}

/* NAME_ns, NAME_p50_ns, NAME_p99_ns and, with @whole, NAME_hist. */
static void infini_json_set_times(struct json_object *object, const char *name, uint64_t sum_ns,
				  const uint64_t *hist, bool whole)
{
	struct json_object *buckets;
	char key[32];

	snprintf(key, sizeof(key), "%s_ns", name);
	infini_json_set_u64(object, key, sum_ns);
	infini_json_set_quantiles(object, name, hist);
	if (!whole)
		return;
	buckets = json_object_new_array();
	for (int i = 0; i < INFINI_HIST_BUCKETS; i++)
		json_object_array_add(buckets, json_object_new_uint64(hist[i]));
	snprintf(key, sizeof(key), "%s_hist", name);
	json_object_object_add(object, key, buckets);
}

static struct json_object *infini_json_stats(const struct infini_admin_vdev *vdev, bool hist)
{
	const struct infini_vdev_stats *stats = &vdev->stats;
	struct json_object *object = json_object_new_object();

	infini_json_set_u64(object, "occupancy_ns", stats->occupancy_ns);
	infini_json_set_u64(object, "runnable_ns", stats->runnable_ns);
	infini_json_set_u64(object, "jobs_submitted", stats->jobs_submitted);
	infini_json_set_u64(object, "jobs_completed", stats->jobs_completed);
	infini_json_set_u64(object, "jobs_failed", stats->jobs_failed);
	infini_json_set_u64(object, "jobs_timed_out", stats->jobs_timed_out);
	infini_json_set_u64(object, "dispatches", stats->dispatches);
	infini_json_set_u64(object, "slices", stats->slices);
	infini_json_set_u64(object, "preemptions", stats->preemptions);
	infini_json_set_u64(object, "tokens_evaluated", stats->tokens_evaluated);
	infini_json_set_u64(object, "tokens_generated", stats->tokens_generated);
	infini_json_set_u64(object, "tokens_prompt", stats->tokens_prompt);
	infini_json_set_u64(object, "tokens_scored", stats->tokens_scored);
	infini_json_set_u64(object, "tokens_embedded", stats->tokens_embedded);
	infini_json_set_u64(object, "prompts", stats->prompts);
	infini_json_set_u64(object, "bytes_in", stats->bytes_in);
	infini_json_set_u64(object, "bytes_out", stats->bytes_out);
	infini_json_set_u64(object, "memory_used_bytes", stats->memory_used_bytes);
	infini_json_set_u64(object, "memory_peak_bytes", stats->memory_peak_bytes);
	infini_json_set_u64(object, "memory_failed", stats->memory_failed);
	infini_json_set_u64(object, "file_bytes", stats->file_bytes);
	infini_json_set_u64(object, "clients", stats->clients);
	infini_json_set_u64(object, "queues", stats->queues);
	infini_json_set_u64(object, "buffers", stats->buffers);
	infini_json_set_u64(object, "programs", stats->programs);
	infini_json_set_u64(object, "executor_generation", stats->executor_generation);
	infini_json_set_u64(object, "throttled_ns", stats->throttled_ns);
	infini_json_set_u64(object, "throttles", stats->throttles);
	infini_json_set_times(object, "queue_wait", stats->queue_wait_ns, vdev->queue_wait_hist,
			      hist);
	infini_json_set_times(object, "ttft", vdev->ttft.sum_ns, vdev->ttft.hist, hist);
	infini_json_set_times(object, "itl", vdev->itl.sum_ns, vdev->itl.hist, hist);
	return object;
}

static void infini_json_set_bool(struct json_object *object, const char *key, bool value)
{
	json_object_object_add(object, key, json_object_new_boolean(value));
}

/* Who may open it. */
static void infini_json_access(struct json_object *object, const struct infini_admin_vdev *vdev)
{
	char mode[16], path[PATH_MAX];
	int err = vdev->cgroup_id ? infini_cgroup_path(vdev->cgroup_id, path, sizeof(path), NULL) :
		  -ENOENT;

	infini_json_set_u64(object, "uid", vdev->uid);
	infini_json_set_u64(object, "gid", vdev->gid);
	snprintf(mode, sizeof(mode), "%04o", vdev->mode);
	infini_json_set_string(object, "mode", mode);
	infini_json_set_bool(object, "exclusive", vdev->exclusive);
	infini_json_set_u64(object, "cgroup_id", vdev->cgroup_id);
	json_object_object_add(object, "cgroup", err ? NULL : json_object_new_string(path));
	infini_json_set_bool(object, "cgroup_gone", err == -ESTALE);
}

struct json_object *infini_json_vdev(const struct infini_admin_vdev *vdev, bool hist)
{
	struct json_object *object = json_object_new_object();
	char text[32], uuid[INFINI_UUID_TEXT];

	infini_uuid_text(vdev->uuid, uuid);
	infini_json_set_u64(object, "id", vdev->id);
	infini_json_set_string(object, "name", vdev->name);
	infini_json_set_string(object, "uuid", uuid);
	infini_json_set_string(object, "device", vdev->device_name);
	infini_json_set_u64(object, "device_id", vdev->device_id);
	infini_json_set_string(object, "class", infini_admin_vdev_class_word(vdev->vdev_class));
	infini_json_set_u64(object, "weight", vdev->weight);
	infini_json_set_u64(object, "cap_ppm", vdev->cap_ppm);
	infini_json_set_u64(object, "floor_ppm", vdev->floor_ppm);
	infini_json_set_u64(object, "tokens_per_s", vdev->tokens_per_s);
	infini_json_set_u64(object, "token_burst", vdev->token_burst);
	infini_json_set_u64(object, "quantum_ns", vdev->quantum_ns);
	infini_json_set_u64(object, "memory_limit_bytes", vdev->memory_limit_bytes);
	infini_json_access(object, vdev);
	if (vdev->minor < 0) {
		json_object_object_add(object, "node", NULL);
	} else {
		snprintf(text, sizeof(text), "/dev/infini%u", vdev->id);
		infini_json_set_string(object, "node", text);
	}
	infini_json_set_string(object, "executor", infini_admin_executor_word(vdev->executor));
	infini_json_set_u64(object, "executor_pid", vdev->executor_pid);
	json_object_object_add(object, "stats", infini_json_stats(vdev, hist));
	return object;
}

struct json_object *infini_json_event(const struct infini_admin_event *event)
{
	struct json_object *object = json_object_new_object();

	infini_json_set_u64(object, "time_ns", event->time_ns);
	infini_json_set_string(object, "event", infini_admin_event_word(event->type));
	infini_json_set_string(object, event->vdev_id ? "vdev" : "device", event->name);
	infini_json_set_u64(object, "device_id", event->device_id);
	if (event->vdev_id)
		infini_json_set_u64(object, "vdev_id", event->vdev_id);
	if (event->pid)
		infini_json_set_u64(object, "pid", event->pid);
	if (event->reason[0])
		infini_json_set_string(object, "reason", event->reason);
	return object;
}

static int infini_json_put(struct infini_ctl *ctl, struct json_object *object, int flags)
{
	const char *text = json_object_to_json_string_ext(object, flags);

	if (text)
		puts(text);
	json_object_put(object);
	return text ? 0 : infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the JSON text");
}

int infini_json_print(struct infini_ctl *ctl, struct json_object *object)
{
	return infini_json_put(ctl, object, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
			       JSON_C_TO_STRING_NOSLASHESCAPE);
}

int infini_json_print_line(struct infini_ctl *ctl, struct json_object *object)
{
	return infini_json_put(ctl, object, JSON_C_TO_STRING_NOSLASHESCAPE);
}
