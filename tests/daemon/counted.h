/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libinfini-admin for tests of what infinid counts: devices and vdevs that a test wrote down. */
#ifndef TESTS_DAEMON_COUNTED_H
#define TESTS_DAEMON_COUNTED_H

#include "infini-admin.h"

#define COUNTED_MAX	300

/**
 * struct counted - what there is
 * @err: of every listing
 * @groups: paths of the control groups 1, 2 and so on; NULL for one that is gone
 */
struct counted {
	int err;
	struct infini_admin_device devices[2];
	unsigned int nr_devices;
	struct infini_admin_vdev vdevs[COUNTED_MAX];
	unsigned int nr_vdevs;
	const char *groups[INFINI_VDEV_CLIENT_CGROUPS_MAX];
};

extern struct counted counted;

/* A device "cpu0" with vdevs "alpha" and "beta", and a device "gpu0" with nothing. */
void counted_fill(void);
/* One more vdev of cpu0. */
struct infini_admin_vdev *counted_add(const char *name);

#endif /* TESTS_DAEMON_COUNTED_H */
