// SPDX-License-Identifier: GPL-2.0-or-later
/* What devices use in energy, where something measures it. */
#include "energy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static int open_meter(struct infini_energy_meter *meter, const struct infini_energy_ops *ops,
		      const struct infini_energy_where *where, const char *pci)
{
	int ret = ops->open(where, pci, &meter->state);

	if (ret)
		return ret;
	ret = ops->read(meter->state, &meter->last_uj);
	if (ret)
		ops->close(meter->state);
	else
		meter->ops = ops;
	return ret;
}

struct infini_energy_meter *infini_energy_add(struct infini_energy *energy,
					      const struct infini_energy_where *where,
					      const char *device, uint32_t device_class,
					      const char *pci, char *why, size_t why_bytes)
{
	bool cpu = device_class == INFINI_CLASS_CPU;
	struct infini_energy_meter *meter = &energy->meters[energy->nr_meters];

	if (energy->nr_meters == INFINI_ENERGY_METERS_MAX) {
		snprintf(why, why_bytes, "more than %d meters", INFINI_ENERGY_METERS_MAX);
		return NULL;
	}
	memset(meter, 0, sizeof(*meter));
	snprintf(meter->device, sizeof(meter->device), "%s", device);
	if (cpu) {
		for (uint32_t i = 0; i < energy->nr_meters; i++) {
			if (energy->meters[i].ops != &infini_energy_rapl)
				continue;
			snprintf(why, why_bytes, "that of the processors is counted for %s",
				 energy->meters[i].device);
			return NULL;
		}
		if (open_meter(meter, &infini_energy_rapl, where, "")) {
			snprintf(why, why_bytes, "the processors have no RAPL counter in powercap");
			return NULL;
		}
	} else if (!pci[0]) {
		snprintf(why, why_bytes, "set pci under [device %s]", device);
		return NULL;
	} else if (open_meter(meter, &infini_energy_hwmon, where, pci) &&
		   open_meter(meter, &infini_energy_nvml, where, pci)) {
		snprintf(why, why_bytes, "neither hwmon nor NVML has one for %s", pci);
		return NULL;
	}
	energy->nr_meters++;
	return meter;
}

struct infini_energy_meter *infini_energy_find(struct infini_energy *energy, const char *device)
{
	for (uint32_t i = 0; i < energy->nr_meters; i++) {
		if (!strcmp(energy->meters[i].device, device))
			return &energy->meters[i];
	}
	return NULL;
}

/* A counter that fell was set back with its driver: what it had counted by then is not known. */
int infini_energy_read(struct infini_energy_meter *meter)
{
	uint64_t uj;
	int ret = meter->ops->read(meter->state, &uj);

	meter->failing = ret;
	if (ret)
		return ret;
	if (uj > meter->last_uj)
		meter->total_uj += uj - meter->last_uj;
	meter->last_uj = uj;
	return 0;
}

void infini_energy_clear(struct infini_energy *energy)
{
	for (uint32_t i = 0; i < energy->nr_meters; i++)
		energy->meters[i].ops->close(energy->meters[i].state);
	energy->nr_meters = 0;
}

/* One unit of what is left goes to whoever lacks most, who then lacks nothing. */
bool infini_energy_divide(uint64_t total, const uint64_t *weights, size_t nr, uint64_t *parts)
{
	unsigned __int128 sum = 0, share, lacks, most;
	uint64_t left = total;
	size_t who;

	for (size_t i = 0; i < nr; i++)
		sum += weights[i];
	if (!sum)
		return false;
	for (size_t i = 0; i < nr; i++) {
		parts[i] = (uint64_t)((unsigned __int128)total * weights[i] / sum);
		left -= parts[i];
	}
	while (left--) {
		most = 0;
		who = nr;
		for (size_t i = 0; i < nr; i++) {
			share = (unsigned __int128)total * weights[i];
			if ((unsigned __int128)parts[i] * sum >= share)
				continue;
			lacks = share - (unsigned __int128)parts[i] * sum;
			if (lacks > most) {
				most = lacks;
				who = i;
			}
		}
		parts[who]++;
	}
	return true;
}
