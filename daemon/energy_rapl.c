// SPDX-License-Identifier: GPL-2.0-or-later
/* Energy of processors: the packages of RAPL in /sys/class/powercap, added up. */
#include "energy.h"
#include "energy_file.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PACKAGES_MAX	16

struct package {
	char path[PATH_MAX];		/* of energy_uj */
	uint64_t last_uj;
	uint64_t range_uj;		/* after which it begins at 0 again */
};

struct rapl {
	unsigned int nr_packages;
	uint64_t total_uj;
	struct package packages[PACKAGES_MAX];
};

/* Zones such as psys or dram contain packages, or are contained. */
static bool is_package(const char *zone)
{
	char path[PATH_MAX], name[64];

	snprintf(path, sizeof(path), "%s/name", zone);
	return !infini_energy_file_text(path, name, sizeof(name)) && !strncmp(name, "package-", 8);
}

static int add_package(struct rapl *rapl, const char *zone)
{
	struct package *package = &rapl->packages[rapl->nr_packages];
	char path[PATH_MAX];
	int ret;

	if (rapl->nr_packages == PACKAGES_MAX)
		return -E2BIG;
	if ((size_t)snprintf(path, sizeof(path), "%s/max_energy_range_uj", zone) >= sizeof(path))
		return -ENAMETOOLONG;
	ret = infini_energy_file_u64(path, &package->range_uj);
	if (ret)
		return ret;
	snprintf(package->path, sizeof(package->path), "%s/energy_uj", zone);
	ret = infini_energy_file_u64(package->path, &package->last_uj);
	if (!ret)
		rapl->nr_packages++;
	return ret;
}

static int rapl_open(const struct infini_energy_where *where, const char *pci, void **state)
{
	struct rapl *rapl = calloc(1, sizeof(*rapl));
	char pattern[PATH_MAX];
	glob_t zones;
	int ret = 0;

	(void)pci;
	if (!rapl)
		return -ENOMEM;
	snprintf(pattern, sizeof(pattern), "%s/class/powercap/intel-rapl:*", where->sysfs);
	if (!glob(pattern, 0, NULL, &zones)) {
		for (size_t i = 0; i < zones.gl_pathc && !ret; i++) {
			if (is_package(zones.gl_pathv[i]))
				ret = add_package(rapl, zones.gl_pathv[i]);
		}
		globfree(&zones);
	}
	if (!ret && !rapl->nr_packages)
		ret = -ENODEV;
	if (ret)
		free(rapl);
	else
		*state = rapl;
	return ret;
}

/* All or nothing: a package that cannot be read would be missing from the sum. */
static int rapl_read(void *state, uint64_t *uj)
{
	struct rapl *rapl = state;
	uint64_t now[PACKAGES_MAX];
	int ret;

	for (unsigned int i = 0; i < rapl->nr_packages; i++) {
		ret = infini_energy_file_u64(rapl->packages[i].path, &now[i]);
		if (ret)
			return ret;
	}
	for (unsigned int i = 0; i < rapl->nr_packages; i++) {
		struct package *package = &rapl->packages[i];

		rapl->total_uj += now[i] >= package->last_uj ? now[i] - package->last_uj :
				  package->range_uj - package->last_uj + now[i];
		package->last_uj = now[i];
	}
	*uj = rapl->total_uj;
	return 0;
}

const struct infini_energy_ops infini_energy_rapl = {
	.name = "rapl",
	.open = rapl_open,
	.read = rapl_read,
	.close = free,
};
