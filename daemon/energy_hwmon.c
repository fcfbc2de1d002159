// SPDX-License-Identifier: GPL-2.0-or-later
/* Energy of a GPU or NPU whose kernel driver counts it: energy1_input of its hwmon. */
#include "energy.h"
#include "energy_file.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

/* It has another number when the device went and came again, so it is looked for every time. */
static int hwmon_read(void *state, uint64_t *uj)
{
	int ret = -ENODEV;
	glob_t files;

	if (glob(state, 0, NULL, &files))
		return ret;
	/* Two of them would be two parts of the device, or one twice. */
	if (files.gl_pathc == 1)
		ret = infini_energy_file_u64(files.gl_pathv[0], uj);
	globfree(&files);
	return ret;
}

/* Whether there is one shows with the first reading. */
static int hwmon_open(const struct infini_energy_where *where, const char *pci, void **state)
{
	char *pattern;

	if (asprintf(&pattern, "%s/bus/pci/devices/%s/hwmon/hwmon*/energy1_input", where->sysfs,
		     pci) < 0)
		return -ENOMEM;
	*state = pattern;
	return 0;
}

const struct infini_energy_ops infini_energy_hwmon = {
	.name = "hwmon",
	.open = hwmon_open,
	.read = hwmon_read,
	.close = free,
};
