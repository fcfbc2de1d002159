/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What devices use in energy, where something measures it. Where nothing does there is no meter:
 * an estimate would be a guess.
 */
#ifndef INFINI_DAEMON_ENERGY_H
#define INFINI_DAEMON_ENERGY_H

#include <linux/infini.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INFINI_ENERGY_METERS_MAX	64
#define INFINI_ENERGY_PCI_BYTES		16	/* "0000:03:00.0" */

/* Where counters are looked for; tests put their own there. */
struct infini_energy_where {
	const char *sysfs;		/* "/sys" */
	const char *nvml;		/* "libnvidia-ml.so.1" */
};

/**
 * struct infini_energy_ops - one way to measure
 * @name: "rapl", "hwmon", "nvml"
 * @open: a counter for the device at @pci, or for the processors when it is ""; -ENODEV: has none
 * @read: microjoules since some moment; may wrap at or fall to 0
 * @close: free @state
 */
struct infini_energy_ops {
	const char *name;
	int (*open)(const struct infini_energy_where *where, const char *pci, void **state);
	int (*read)(void *state, uint64_t *uj);
	void (*close)(void *state);
};

extern const struct infini_energy_ops infini_energy_rapl;
extern const struct infini_energy_ops infini_energy_hwmon;
extern const struct infini_energy_ops infini_energy_nvml;

struct infini_energy_meter {
	const struct infini_energy_ops *ops;
	void *state;
	char device[INFINI_NAME_MAX];
	uint64_t last_uj;
	uint64_t total_uj;		/* since it was opened */
	bool failing;			/* the last reading failed */
};

struct infini_energy {
	uint32_t nr_meters;
	struct infini_energy_meter meters[INFINI_ENERGY_METERS_MAX];
};

/*
 * Look for a meter: RAPL for a CPU, hwmon and NVML by @pci for others. The meter, or NULL with the
 * reason in @why.
 */
struct infini_energy_meter *infini_energy_add(struct infini_energy *energy,
					      const struct infini_energy_where *where,
					      const char *device, uint32_t device_class,
					      const char *pci, char *why, size_t why_bytes);

/* NULL when nothing measures it. */
struct infini_energy_meter *infini_energy_find(struct infini_energy *energy, const char *device);

/* Bring total_uj up to now. 0 or -errno with total_uj as it was; the next one has it all. */
int infini_energy_read(struct infini_energy_meter *meter);

void infini_energy_clear(struct infini_energy *energy);

/*
 * Divide @total over @nr by @weights, in whole numbers that add up to it: largest remainders get
 * what rounding left, the first of equals first. False, and nothing divided, when all are 0.
 */
bool infini_energy_divide(uint64_t total, const uint64_t *weights, size_t nr, uint64_t *parts);

#endif /* INFINI_DAEMON_ENERGY_H */
