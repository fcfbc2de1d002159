/* SPDX-License-Identifier: GPL-2.0-only */
/* The generic netlink family: registration, and events for those who listen. */
#ifndef INFINI_NETLINK_H
#define INFINI_NETLINK_H

#include <linux/infini_netlink.h>
#include <linux/types.h>

int infini_netlink_register(void);
void infini_netlink_unregister(void);

/*
 * Tell the group "events". @vdev_id is 0 for an event about a device, @pid 0 when no executor is
 * concerned; @name is the vdev's or the device's. Sleeps (GFP_KERNEL): process context, no
 * spinlock; any mutex may be held, for it takes none of the module's. Does nothing when nobody
 * listens, and loses the event when there is no memory: listeners that miss one list again.
 */
void infini_netlink_event(enum infini_event_type type, u32 device_id, u32 vdev_id, u32 pid,
			  const char *name);

#endif /* INFINI_NETLINK_H */
