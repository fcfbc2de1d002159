// SPDX-License-Identifier: LGPL-2.1-or-later
/* Enums of the contracts as words, for tables, JSON and metrics. */
#include "infini-admin.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof(*(a)))

static const char *infini_word(const char *const *words, size_t nr, uint32_t value)
{
	return value < nr && words[value] ? words[value] : "unknown";
}

const char *infini_admin_device_class_word(uint32_t device_class)
{
	static const char *const words[] = {
		[INFINI_CLASS_CPU] = "cpu",
		[INFINI_CLASS_GPU] = "gpu",
		[INFINI_CLASS_NPU] = "npu",
		[INFINI_CLASS_OTHER] = "other",
	};

	return infini_word(words, ARRAY_SIZE(words), device_class);
}

const char *infini_admin_vdev_class_word(uint32_t vdev_class)
{
	static const char *const words[] = {
		[INFINI_VDEV_CLASS_LATENCY] = "latency",
		[INFINI_VDEV_CLASS_NORMAL] = "normal",
		[INFINI_VDEV_CLASS_BATCH] = "batch",
	};

	return infini_word(words, ARRAY_SIZE(words), vdev_class);
}

const char *infini_admin_level_word(uint32_t level)
{
	static const char *const words[] = {
		[INFINI_LEVEL_LAUNCH] = "launch",
		[INFINI_LEVEL_SEGMENT] = "segment",
		[INFINI_LEVEL_INTERRUPT] = "interrupt",
	};

	return infini_word(words, ARRAY_SIZE(words), level);
}

const char *infini_admin_executor_word(uint32_t executor)
{
	static const char *const words[] = {
		[INFINI_EXECUTOR_NONE] = "none",
		[INFINI_EXECUTOR_WANTED] = "wanted",
		[INFINI_EXECUTOR_CREATED] = "created",
		[INFINI_EXECUTOR_ATTACHED] = "attached",
		[INFINI_EXECUTOR_QUARANTINED] = "quarantined",
	};

	return infini_word(words, ARRAY_SIZE(words), executor);
}

const char *infini_admin_event_word(uint32_t type)
{
	static const char *const words[] = {
		[INFINI_EVENT_DEVICE_ONLINE] = "device-online",
		[INFINI_EVENT_DEVICE_OFFLINE] = "device-offline",
		[INFINI_EVENT_VDEV_CREATED] = "vdev-created",
		[INFINI_EVENT_VDEV_CHANGED] = "vdev-changed",
		[INFINI_EVENT_VDEV_DELETED] = "vdev-deleted",
		[INFINI_EVENT_EXECUTOR_WANTED] = "executor-wanted",
		[INFINI_EVENT_EXECUTOR_ATTACHED] = "executor-attached",
		[INFINI_EVENT_EXECUTOR_LOST] = "executor-lost",
		[INFINI_EVENT_JOB_TIMEOUT] = "job-timeout",
	};

	return infini_word(words, ARRAY_SIZE(words), type);
}
