/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the module says about all devices and vdevs, as near to one moment as two lists can be. */
#ifndef INFINI_DAEMON_SAMPLE_H
#define INFINI_DAEMON_SAMPLE_H

#include <infini-admin.h>

struct infini_sample {
	struct infini_admin_device *devices;
	size_t nr_devices;
	struct infini_admin_vdev *vdevs;
	size_t nr_vdevs;
};

/* 0 or -errno, with *@sample empty then. */
int infini_sample_take(struct infini_sample *sample, struct infini_admin *admin);
/* One that was deleted since, as it was then. 0, or -ENOMEM. */
int infini_sample_add_gone(struct infini_sample *sample, const struct infini_admin_vdev *vdev);
void infini_sample_free(struct infini_sample *sample);

/* NULL when there is none. */
const struct infini_admin_device *infini_sample_device(const struct infini_sample *sample,
						       uint32_t id);

#endif /* INFINI_DAEMON_SAMPLE_H */
