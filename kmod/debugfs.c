// SPDX-License-Identifier: GPL-2.0-only
/* What is stuck: a dump for debugging, and each client's fdinfo. */

#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "infini.h"

static struct dentry *infini_debugfs;

static const char *const infini_job_states[] = {
	[INFINI_JOB_IDLE] = "idle",
	[INFINI_JOB_QUEUED] = "queued",
	[INFINI_JOB_DISPATCHED] = "dispatched",
	[INFINI_JOB_DOOMED] = "doomed",
	[INFINI_JOB_DONE] = "done",
};

static const char *const infini_executor_states[] = {
	[INFINI_EXECUTOR_FREE] = "free",
	[INFINI_EXECUTOR_SERVING] = "serving",
	[INFINI_EXECUTOR_REVOKED] = "quarantined",
	[INFINI_EXECUTOR_GONE] = "gone",
};

const char *const infini_class_words[] = {
	[INFINI_SCHED_LATENCY] = "latency",
	[INFINI_SCHED_NORMAL] = "normal",
	[INFINI_SCHED_BATCH] = "batch",
};

/* A text of bounded size, made under the device lock and shown without it. */
struct infini_dump {
	char *text;
	size_t size;
	size_t used;
};

static __printf(2, 3) void infini_dump_add(struct infini_dump *dump, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	dump->used += vscnprintf(dump->text + dump->used, dump->size - dump->used, format, args);
	va_end(args);
}

static void infini_dump_queue(struct infini_dump *dump, struct infini_queue *queue, u64 now)
{
	u64 seqno;

	lockdep_assert_held(&queue->client->vdev->device->lock);
	infini_dump_add(dump, "    queue %u: submitted %llu completed %llu held %u spin_us %lu%s\n",
			queue->handle, queue->submitted, queue->completed, queue->nr_held,
			READ_ONCE(queue->spin.window_ns) / NSEC_PER_USEC,
			queue->dead ? " destroyed" : "");
	for (seqno = queue->completed + 1; seqno <= queue->submitted; seqno++) {
		struct infini_kjob *job = &queue->jobs[seqno % queue->depth];

		infini_dump_add(dump,
				"      job %llu: op %u %s segment %llu occupancy_us %llu waiting_us %llu\n",
				seqno, job->op, infini_job_states[job->state], job->segment,
				job->occupancy_ns / NSEC_PER_USEC,
				(now - job->queued_ns) / NSEC_PER_USEC);
	}
}

static void infini_dump_client(struct infini_dump *dump, struct infini_client *client)
{
	struct infini_device *device = client->vdev->device;
	struct infini_queue *queue;
	unsigned long flags;

	infini_dump_add(dump, "  client %u: pid %d (%s)\n", client->id, client->pid, client->comm);
	mutex_lock(&client->lock);
	list_for_each_entry(queue, &client->queue_list, link) {
		spin_lock_irqsave(&device->lock, flags);
		infini_dump_queue(dump, queue, ktime_get_ns());
		spin_unlock_irqrestore(&device->lock, flags);
	}
	mutex_unlock(&client->lock);
}

static void infini_dump_limits(struct infini_dump *dump, struct infini_vdev *vdev, u64 now)
{
	const struct infini_sched_vdev *sched = &vdev->sched;
	const struct infini_sched_limits *limits = &sched->limits;

	lockdep_assert_held(&vdev->device->lock);
	infini_dump_add(dump, "  class %s weight %u cap %u floor %u rate %llu burst %llu\n",
			infini_class_words[limits->sched_class], limits->weight, limits->cap_ppm,
			limits->floor_ppm, limits->rate, limits->burst);
	infini_dump_add(dump, "  throttled %llu times for %llu us%s\n", sched->throttles,
			infini_sched_throttled_ns(sched, now) / NSEC_PER_USEC,
			sched->in_throttled ? ", now too" : "");
}

static void infini_dump_vdev(struct infini_dump *dump, struct infini_vdev *vdev)
{
	struct infini_device *device = vdev->device;
	struct infini_executor *executor;
	struct infini_client *client;
	unsigned long flags;

	infini_dump_add(dump, "vdev %u \"%s\" on device %u \"%s\"%s: memory %lld of %llu\n",
			vdev->id, vdev->name, device->id, device->name,
			device->online ? "" : " (offline)",
			(s64)atomic64_read(&vdev->memory_used_bytes), vdev->memory_limit_bytes);
	spin_lock_irqsave(&device->lock, flags);
	infini_dump_limits(dump, vdev, ktime_get_ns());
	executor = vdev->executor;
	if (executor)
		infini_dump_add(dump, "  executor %llu: %s%s%s holds %u yield %llu last %llu spin_us %lu\n",
				executor->generation, infini_executor_states[executor->state],
				executor->granted ? " has a slot" : "",
				executor->waiting ? " waiting" : "", executor->nr_held,
				*executor->word, executor->next_dispatch - 1,
				READ_ONCE(executor->spin.window_ns) / NSEC_PER_USEC);
	else
		infini_dump_add(dump, "  no executor%s\n", vdev->wanted ? ", one is wanted" : "");
	spin_unlock_irqrestore(&device->lock, flags);

	mutex_lock(&vdev->lock);
	list_for_each_entry(client, &vdev->clients, link)
		infini_dump_client(dump, client);
	mutex_unlock(&vdev->lock);
}

static int infini_dump_show(struct seq_file *m, void *unused)
{
	struct infini_dump dump = { .size = 1 << 20 };
	struct infini_vdev *vdev;
	unsigned long index;

	dump.text = kvmalloc(dump.size, GFP_KERNEL);
	if (!dump.text)
		return -ENOMEM;
	mutex_lock(&infini_registry_lock);
	xa_for_each(&infini_vdevs, index, vdev)
		infini_dump_vdev(&dump, vdev);
	mutex_unlock(&infini_registry_lock);
	seq_write(m, dump.text, dump.used);
	kvfree(dump.text);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(infini_dump);

void infini_debugfs_init(void)
{
	infini_debugfs = debugfs_create_dir("infini", NULL);
	debugfs_create_file("jobs", 0400, infini_debugfs, NULL, &infini_dump_fops);
}

void infini_debugfs_exit(void)
{
	debugfs_remove(infini_debugfs);
}

/* Key names follow the kernel's drm-usage-stats where they mean the same. */
void infini_client_fdinfo(struct seq_file *m, struct file *file)
{
	struct infini_client *client = file->private_data;
	struct infini_vdev *vdev = client->vdev;
	struct infini_vdev_snapshot *snap;

	snap = kvmalloc(sizeof(*snap), GFP_KERNEL);
	if (!snap)
		return;
	infini_vdev_snapshot(vdev, snap);
	seq_printf(m, "infini-vdev:\t%s\n", vdev->name);
	seq_printf(m, "infini-device:\t%s\n", vdev->device->name);
	seq_printf(m, "infini-client-id:\t%u\n", client->id);
	seq_printf(m, "infini-client-queues:\t%u\n", READ_ONCE(client->nr_queues));
	seq_printf(m, "infini-client-buffers:\t%d\n", atomic_read(&client->nr_buffers));
	seq_printf(m, "infini-occupancy:\t%llu ns\n", snap->stats.occupancy_ns);
	seq_printf(m, "infini-memory-total:\t%llu KiB\n", snap->memory_limit_bytes >> 10);
	seq_printf(m, "infini-memory-used:\t%llu KiB\n", snap->stats.memory_used_bytes >> 10);
	seq_printf(m, "infini-memory-files:\t%llu KiB\n", snap->stats.file_bytes >> 10);
	seq_printf(m, "infini-jobs:\t%llu\n", snap->stats.jobs_completed);
	seq_printf(m, "infini-tokens-evaluated:\t%llu\n", snap->stats.tokens_evaluated);
	seq_printf(m, "infini-tokens-generated:\t%llu\n", snap->stats.tokens_generated);
	seq_printf(m, "infini-tokens-prompt:\t%llu\n", snap->stats.tokens_prompt);
	seq_printf(m, "infini-tokens-scored:\t%llu\n", snap->stats.tokens_scored);
	seq_printf(m, "infini-tokens-embedded:\t%llu\n", snap->stats.tokens_embedded);
	seq_printf(m, "infini-class:\t%s\n", infini_class_words[snap->limits.sched_class]);
	seq_printf(m, "infini-weight:\t%u\n", snap->limits.weight);
	seq_printf(m, "infini-cap:\t%u ppm\n", snap->limits.cap_ppm);
	seq_printf(m, "infini-floor:\t%u ppm\n", snap->limits.floor_ppm);
	seq_printf(m, "infini-token-rate:\t%llu\n", snap->limits.rate);
	seq_printf(m, "infini-token-burst:\t%llu\n", snap->limits.burst);
	seq_printf(m, "infini-throttled:\t%llu ns\n", snap->stats.throttled_ns);
	seq_printf(m, "infini-throttles:\t%llu\n", snap->stats.throttles);
	kvfree(snap);
}
