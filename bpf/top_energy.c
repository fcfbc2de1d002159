// SPDX-License-Identifier: GPL-2.0-only
/* infinitop: what tokens cost in energy, where infinid measures it. */
#include "top_energy.h"

#include <string.h>

static const struct top_meter *top_meter(const struct top_meter *meters, size_t nr,
					 const char *device)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(meters[i].device, device))
			return &meters[i];
	return NULL;
}

static uint64_t top_occupancy(const struct infini_admin_device *devices, size_t nr,
			      const char *device)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(devices[i].name, device))
			return devices[i].occupancy_ns;
	return 0;
}

/* A count that fell is of an infinid that was started again: what it missed is not known. */
void top_energy_look(struct top_energy *energy, const struct infini_admin_device *devices,
		     size_t nr_devices)
{
	struct infini_admin_energy now[TOP_METERS];
	struct top_energy before = *energy;
	size_t nr;

	energy->nr = 0;
	if (infini_admin_energy_read(energy->socket, now, TOP_METERS, &nr))
		return;
	for (size_t i = 0; i < nr; i++) {
		const struct top_meter *old = top_meter(before.meters, before.nr, now[i].device);
		struct top_meter *meter = &energy->meters[energy->nr++];

		*meter = (struct top_meter){ .uj = now[i].uj };
		memcpy(meter->device, now[i].device, sizeof(meter->device));
		meter->occupancy_ns = top_occupancy(devices, nr_devices, meter->device);
		if (!old || old->uj > meter->uj || old->occupancy_ns > meter->occupancy_ns)
			continue;
		meter->spent_uj = meter->uj - old->uj;
		meter->held_ns = meter->occupancy_ns - old->occupancy_ns;
	}
}

double top_energy_joules(const struct top_energy *energy, const char *device,
			 uint64_t occupancy_ns, uint64_t tokens)
{
	const struct top_meter *meter = top_meter(energy->meters, energy->nr, device);
	double part;

	if (!meter || !meter->held_ns || !tokens)
		return 0;
	/* Two look-ups at two moments: never more than everything. */
	part = occupancy_ns < meter->held_ns ? (double)occupancy_ns / meter->held_ns : 1;
	return meter->spent_uj / 1e6 * part / tokens;
}
