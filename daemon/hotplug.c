// SPDX-License-Identifier: GPL-2.0-or-later
/* Tells when an accelerator's node comes or goes. */
#include "hotplug.h"

#include <errno.h>
#include <libudev.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UDEV_RUNS	"/run/udev/control"

struct infini_hotplug {
	struct udev *udev;
	struct udev_monitor *monitor;
};

static int listen_to(struct infini_hotplug *hotplug, const char *source)
{
	int ret;

	hotplug->udev = udev_new();
	if (!hotplug->udev)
		return -ENOMEM;
	hotplug->monitor = udev_monitor_new_from_netlink(hotplug->udev, source);
	if (!hotplug->monitor)
		return -EPROTONOSUPPORT;
	ret = udev_monitor_filter_add_match_subsystem_devtype(hotplug->monitor, "drm", NULL);
	if (ret >= 0)
		ret = udev_monitor_filter_add_match_subsystem_devtype(hotplug->monitor, "accel",
								      NULL);
	return ret < 0 ? ret : udev_monitor_enable_receiving(hotplug->monitor);
}

int infini_hotplug_start(struct infini_hotplug **hotplug)
{
	struct infini_hotplug *new = calloc(1, sizeof(*new));
	int ret;

	*hotplug = NULL;
	if (!new)
		return -ENOMEM;
	/* udev tells when the node has its owner and mode; libudev is deaf to it where none runs. */
	ret = listen_to(new, access(UDEV_RUNS, F_OK) ? "kernel" : "udev");
	if (ret < 0) {
		infini_hotplug_stop(new);
		return ret;
	}
	*hotplug = new;
	return 0;
}

int infini_hotplug_fd(const struct infini_hotplug *hotplug)
{
	return udev_monitor_get_fd(hotplug->monitor);
}

/* Of a node that we list; cards and connectors come and go, too, and change. */
static bool concerns_us(struct udev_device *device)
{
	const char *action = udev_device_get_action(device);
	const char *name = udev_device_get_sysname(device);

	return action && name && (!strcmp(action, "add") || !strcmp(action, "remove")) &&
	       (!strncmp(name, "renderD", 7) || !strncmp(name, "accel", 5));
}

bool infini_hotplug_read(struct infini_hotplug *hotplug)
{
	struct udev_device *device;
	bool changed = false;

	for (;;) {
		errno = 0;
		device = udev_monitor_receive_device(hotplug->monitor);
		if (!device)
			return changed || errno == ENOBUFS;
		changed |= concerns_us(device);
		udev_device_unref(device);
	}
}

void infini_hotplug_stop(struct infini_hotplug *hotplug)
{
	if (!hotplug)
		return;
	if (hotplug->monitor)
		udev_monitor_unref(hotplug->monitor);
	if (hotplug->udev)
		udev_unref(hotplug->udev);
	free(hotplug);
}
