// SPDX-License-Identifier: GPL-2.0-or-later
/* libinfini-admin for tests of what infinid counts: devices and vdevs that a test wrote down. */
#include "counted.h"

#include <cgroup.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct counted counted;

static void add_device(const char *name, uint32_t device_class)
{
	struct infini_admin_device *device = &counted.devices[counted.nr_devices++];

	device->id = counted.nr_devices;
	device->device_class = device_class;
	device->slots = 1;
	device->online = true;
	device->memory_bytes = 8ull << 30;
	snprintf(device->name, sizeof(device->name), "%s", name);
	snprintf(device->backend, sizeof(device->backend), "ggml");
}

struct infini_admin_vdev *counted_add(const char *name)
{
	struct infini_admin_vdev *vdev = &counted.vdevs[counted.nr_vdevs++];

	vdev->id = counted.nr_vdevs;
	vdev->device_id = 1;
	vdev->weight = 100;
	vdev->vdev_class = INFINI_VDEV_CLASS_NORMAL;
	vdev->cap_ppm = INFINI_VDEV_PPM_MAX;
	vdev->memory_limit_bytes = 2ull << 30;
	snprintf(vdev->name, sizeof(vdev->name), "%s", name);
	snprintf(vdev->device_name, sizeof(vdev->device_name), "cpu0");
	counted.devices[0].nr_vdevs++;
	return vdev;
}

void counted_fill(void)
{
	struct infini_admin_vdev *alpha;

	memset(&counted, 0, sizeof(counted));
	add_device("cpu0", INFINI_CLASS_CPU);
	add_device("gpu0", INFINI_CLASS_GPU);
	counted.devices[0].occupancy_ns = 12500000000;
	alpha = counted_add("alpha");
	alpha->cap_ppm = 125000;
	alpha->stats.tokens_evaluated = 1300;
	alpha->stats.tokens_generated = 1007;
	alpha->stats.jobs_submitted = 12;
	alpha->stats.jobs_completed = 7;
	alpha->stats.jobs_failed = 5;
	alpha->stats.jobs_timed_out = 2;
	alpha->stats.occupancy_ns = 12000000001;
	alpha->stats.throttled_ns = 250000000;
	/* 1 ns, 1 us (from 896 ns up), 1.25 ms, and half an hour */
	alpha->queue_wait_hist[0] = 1;
	alpha->queue_wait_hist[39] = 2;
	alpha->queue_wait_hist[80] = 3;
	alpha->queue_wait_hist[INFINI_HIST_BUCKETS - 1] = 4;
	alpha->stats.queue_wait_ns = 7200003000000;
	/* Two prompts took 1.25 ms each, and ten tokens came 1.25 ms after the one before. */
	alpha->ttft.hist[80] = 2;
	alpha->ttft.sum_ns = 2500000;
	alpha->itl.hist[80] = 10;
	alpha->itl.sum_ns = 12500000;
	counted_add("beta");
}

int infini_admin_device_list(struct infini_admin *admin, infini_admin_device_fn fn, void *arg)
{
	int err = counted.err;

	(void)admin;
	for (unsigned int i = 0; i < counted.nr_devices && !err; i++)
		err = fn(&counted.devices[i], arg);
	return err;
}

int infini_admin_vdev_list(struct infini_admin *admin, infini_admin_vdev_fn fn, void *arg)
{
	int err = counted.err;

	(void)admin;
	for (unsigned int i = 0; i < counted.nr_vdevs && !err; i++)
		err = fn(&counted.vdevs[i], arg);
	return err;
}

int infini_cgroup_path(uint64_t id, char *path, size_t size, const char **below)
{
	const char *group = id && id <= INFINI_VDEV_CLIENT_CGROUPS_MAX ? counted.groups[id - 1] : NULL;

	if (!group)
		return -ESTALE;
	snprintf(path, size, "/mnt%s", group);
	*below = path + strlen("/mnt");
	return 0;
}
