/* SPDX-License-Identifier: GPL-2.0-only */
/* infinitop: what tokens cost in energy, where infinid measures it. */
#ifndef INFINI_TOP_ENERGY_H
#define INFINI_TOP_ENERGY_H

#include <infini-admin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOP_METERS	64

/**
 * struct top_meter - a device whose energy is measured
 * @spent_uj: from the look before to the last one; 0 when not known
 * @held_ns: how long vdevs held it in that time, all together
 */
struct top_meter {
	char device[INFINI_NAME_MAX];
	uint64_t uj;
	uint64_t occupancy_ns;
	uint64_t spent_uj;
	uint64_t held_ns;
};

struct top_energy {
	const char *socket;		/* NULL for the usual one */
	size_t nr;
	struct top_meter meters[TOP_METERS];
};

/* Ask infinid. @devices: as the module says they are now. */
void top_energy_look(struct top_energy *energy, const struct infini_admin_device *devices,
		     size_t nr_devices);

/*
 * Of each of @tokens that came while @device was held for @occupancy_ns, by how long that is of all;
 * 0 when it is not known.
 */
double top_energy_joules(const struct top_energy *energy, const char *device,
			 uint64_t occupancy_ns, uint64_t tokens);

#endif /* INFINI_TOP_ENERGY_H */
