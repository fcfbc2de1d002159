// SPDX-License-Identifier: GPL-2.0-or-later
/* What the module says about all devices and vdevs, as near to one moment as two lists can be. */
#include "sample.h"

#include <errno.h>
#include <stdlib.h>

static int add_device(const struct infini_admin_device *device, void *arg)
{
	struct infini_sample *sample = arg;
	struct infini_admin_device *more = reallocarray(sample->devices, sample->nr_devices + 1,
							sizeof(*more));

	if (!more)
		return -ENOMEM;
	sample->devices = more;
	more[sample->nr_devices++] = *device;
	return 0;
}

static int add_vdev(const struct infini_admin_vdev *vdev, void *arg)
{
	struct infini_sample *sample = arg;
	struct infini_admin_vdev *more = reallocarray(sample->vdevs, sample->nr_vdevs + 1,
						      sizeof(*more));

	if (!more)
		return -ENOMEM;
	sample->vdevs = more;
	more[sample->nr_vdevs++] = *vdev;
	return 0;
}

int infini_sample_take(struct infini_sample *sample, struct infini_admin *admin)
{
	int ret;

	*sample = (struct infini_sample){ 0 };
	ret = infini_admin_device_list(admin, add_device, sample);
	if (!ret)
		ret = infini_admin_vdev_list(admin, add_vdev, sample);
	if (ret)
		infini_sample_free(sample);
	return ret;
}

int infini_sample_add_gone(struct infini_sample *sample, const struct infini_admin_vdev *vdev)
{
	return add_vdev(vdev, sample);
}

void infini_sample_free(struct infini_sample *sample)
{
	free(sample->devices);
	free(sample->vdevs);
	*sample = (struct infini_sample){ 0 };
}

const struct infini_admin_device *infini_sample_device(const struct infini_sample *sample,
						       uint32_t id)
{
	for (size_t i = 0; i < sample->nr_devices; i++) {
		if (sample->devices[i].id == id)
			return &sample->devices[i];
	}
	return NULL;
}
