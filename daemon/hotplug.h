/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells when an accelerator's node comes or goes. */
#ifndef INFINI_DAEMON_HOTPLUG_H
#define INFINI_DAEMON_HOTPLUG_H

#include <stdbool.h>

struct infini_hotplug;

/*
 * Listen to udev, or to the kernel alone where no udev runs. 0 or -errno, as in a container: then
 * nothing is told.
 */
int infini_hotplug_start(struct infini_hotplug **hotplug);

/* Readable when infini_hotplug_read() has something to read. */
int infini_hotplug_fd(const struct infini_hotplug *hotplug);

/* Take what waits: true when a node came or went, or may have. */
bool infini_hotplug_read(struct infini_hotplug *hotplug);

void infini_hotplug_stop(struct infini_hotplug *hotplug);

#endif /* INFINI_DAEMON_HOTPLUG_H */
