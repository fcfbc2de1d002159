// SPDX-License-Identifier: GPL-2.0-or-later
/* Energy of a GPU or NPU whose kernel driver counts it: energy1_input of its hwmon. */
#include "energy.h"
#include "energy_file.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int hwmon_open(const struct infini_energy_where *where, const char *pci, void **state)
{
	char pattern[PATH_MAX];
	int ret = -ENODEV;
	glob_t files;

	snprintf(pattern, sizeof(pattern), "%s/bus/pci/devices/%s/hwmon/hwmon*/energy1_input",
		 where->sysfs, pci);
	if (glob(pattern, 0, NULL, &files))
		return ret;
	/* Two of them would be two parts of the device, or one twice. */
	if (files.gl_pathc == 1) {
		*state = strdup(files.gl_pathv[0]);
		ret = *state ? 0 : -ENOMEM;
	}
	globfree(&files);
	return ret;
}

static int hwmon_read(void *state, uint64_t *uj)
{
	return infini_energy_file_u64(state, uj);
}

const struct infini_energy_ops infini_energy_hwmon = {
	.name = "hwmon",
	.open = hwmon_open,
	.read = hwmon_read,
	.close = free,
};
