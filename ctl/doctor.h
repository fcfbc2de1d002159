/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What "infinictl doctor" looks at. */
#ifndef INFINI_CTL_DOCTOR_H
#define INFINI_CTL_DOCTOR_H

#include <limits.h>

#include "ctl.h"

/* WARNING: something will not work that not everybody needs. */
enum infini_health { INFINI_HEALTH_OK, INFINI_HEALTH_WARNING, INFINI_HEALTH_WRONG };

/**
 * struct infini_finding - what one look found
 * @found: in words
 * @advice: what to do, empty when nothing
 */
struct infini_finding {
	enum infini_health health;
	char found[160];
	char advice[240];
};

/**
 * struct infini_patient - the machine, as far as it can be asked
 * @root: "" or a folder that stands for /
 * @run_dir: of infinid
 * @connect_err: of the netlink family; when 0 @devices and @vdevs are filled
 */
struct infini_patient {
	const char *root;
	const char *run_dir;
	int connect_err;
	struct infini_devices devices;
	struct infini_vdevs vdevs;
};

struct infini_check {
	const char *name;
	void (*look)(const struct infini_patient *patient, struct infini_finding *finding);
};

/* In the order in which one thing needs the other; the last has no name. */
extern const struct infini_check infini_checks[];

#endif /* INFINI_CTL_DOCTOR_H */
