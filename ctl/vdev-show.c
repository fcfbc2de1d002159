// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl vdev show */
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>

#include "ctl.h"
#include "json.h"
#include "units.h"

static void infini_vdev_show_config(const struct infini_admin_vdev *v)
{
	char owner[96], uuid[INFINI_UUID_TEXT], cgroup[PATH_MAX + 64];

	infini_owner_text(v->uid, v->gid, owner, sizeof(owner));
	printf("name         %s\n", v->name);
	printf("id           %u\n", v->id);
	printf("device       %s\n", v->device_name);
	if (v->minor < 0)
		printf("node         none\n");
	else
		printf("node         /dev/infini%u\n", v->id);
	infini_uuid_text(v->uuid, uuid);
	printf("uuid         %s\n", uuid);
	printf("owner        %s, mode %04o\n", owner, v->mode);
	printf("openers      %s\n", v->exclusive ? "one at a time" : "several");
	if (v->cgroup_id)
		infini_cgroup_text(v->cgroup_id, cgroup, sizeof(cgroup));
	printf("cgroup       %s\n", v->cgroup_id ? cgroup : "any");
	printf("class        %s\n", infini_admin_vdev_class_word(v->vdev_class));
	printf("weight       %u\n", v->weight);
	printf("quantum      %s\n", infini_duration_text(v->quantum_ns).s);
	printf("cap          %s\n", infini_cap_text(v->cap_ppm).s);
	printf("floor        %s\n", infini_floor_text(v->floor_ppm).s);
	printf("token rate   %s", infini_rate_text(v->tokens_per_s).s);
	if (v->tokens_per_s)
		printf(", burst %" PRIu64, v->token_burst ? v->token_burst : v->tokens_per_s);
	putchar('\n');
	printf("executor     %s", infini_admin_executor_word(v->executor));
	if (v->executor_pid)
		printf(", pid %u", v->executor_pid);
	putchar('\n');
}

/* A vdev that generates nothing has none. */
static void infini_vdev_show_times(const char *what, const struct infini_admin_times *times)
{
	if (times->sum_ns)
		printf("%-11s  p50 %s, p99 %s\n", what,
		       infini_duration_text(infini_hist_quantile(times->hist, 500000)).s,
		       infini_duration_text(infini_hist_quantile(times->hist, 990000)).s);
}

static void infini_vdev_show_stats(const struct infini_admin_vdev *v)
{
	const struct infini_vdev_stats *s = &v->stats;

	printf("memory       %s of %s, at most %s so far, refused %" PRIu64 " times\n",
	       infini_bytes_text(s->memory_used_bytes).s,
	       infini_bytes_text(v->memory_limit_bytes).s,
	       infini_bytes_text(s->memory_peak_bytes).s, (uint64_t)s->memory_failed);
	if (s->file_bytes)
		printf("files        %s behind buffers, not counted as memory\n",
		       infini_bytes_text(s->file_bytes).s);
	printf("objects      %" PRIu64 " clients, %" PRIu64 " queues, %" PRIu64 " buffers, %" PRIu64
	       " programs\n", (uint64_t)s->clients, (uint64_t)s->queues, (uint64_t)s->buffers,
	       (uint64_t)s->programs);
	printf("jobs         %" PRIu64 " submitted, %" PRIu64 " completed, %" PRIu64
	       " failed, %" PRIu64 " of them timed out\n", (uint64_t)s->jobs_submitted,
	       (uint64_t)s->jobs_completed, (uint64_t)s->jobs_failed,
	       (uint64_t)s->jobs_timed_out);
	printf("tokens       %" PRIu64 " evaluated, %" PRIu64 " generated\n",
	       (uint64_t)s->tokens_evaluated, (uint64_t)s->tokens_generated);
	printf("prompts      %" PRIu64 " of %" PRIu64 " tokens; %" PRIu64 " tokens scored, %" PRIu64
	       " embedded\n", (uint64_t)s->prompts, (uint64_t)s->tokens_prompt,
	       (uint64_t)s->tokens_scored, (uint64_t)s->tokens_embedded);
	printf("occupancy    %s in %" PRIu64 " slices, of %s with work\n",
	       infini_duration_text(s->occupancy_ns).s, (uint64_t)s->slices,
	       infini_duration_text(s->runnable_ns).s);
	printf("throttled    %" PRIu64 " times, for %s\n", (uint64_t)s->throttles,
	       infini_duration_text(s->throttled_ns).s);
	printf("dispatches   %" PRIu64 ", preempted %" PRIu64 " times\n",
	       (uint64_t)s->dispatches, (uint64_t)s->preemptions);
	printf("queue wait   p50 %s, p99 %s\n",
	       infini_duration_text(infini_hist_quantile(v->queue_wait_hist, 500000)).s,
	       infini_duration_text(infini_hist_quantile(v->queue_wait_hist, 990000)).s);
	infini_vdev_show_times("first token", &v->ttft);
	infini_vdev_show_times("next token", &v->itl);
	printf("bytes        %s in, %s out\n", infini_bytes_text(s->bytes_in).s,
	       infini_bytes_text(s->bytes_out).s);
}

static int infini_vdev_show_run(struct infini_ctl *ctl, int argc, char **argv)
{
	struct infini_admin_vdev vdev;
	bool json;
	int status;

	if (!infini_options_json(ctl, argc, argv, &json, &status))
		return status;
	status = infini_options_words(ctl, argc, 1, "the name of one vdev");
	if (!status)
		status = infini_ctl_connect(ctl);
	if (!status)
		status = infini_vdev_lookup(ctl, argv[optind], &vdev);
	if (status)
		return status;
	if (json)
		return infini_json_print(ctl, infini_json_vdev(&vdev, true));
	infini_vdev_show_config(&vdev);
	infini_vdev_show_stats(&vdev);
	return 0;
}

const struct infini_command infini_vdev_show_command = {
	.name = "vdev show",
	.args = "VDEV [--json]",
	.summary = "Show one vdev and its counters",
	.run = infini_vdev_show_run,
};
