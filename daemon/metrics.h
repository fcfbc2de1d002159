/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What infinid tells a monitoring system: families with a value per vdev or device, and one with a
 * value per container that has a vdev open.
 */
#ifndef INFINI_DAEMON_METRICS_H
#define INFINI_DAEMON_METRICS_H

#include "energy.h"
#include "metrics_text.h"
#include "sample.h"

/*
 * All of @sample, and the meters of @energy as they were read last. The number of values depends on
 * how many vdevs and devices there are, and on the containers that have vdevs open, of which a vdev
 * has INFINI_VDEV_CLIENT_CGROUPS_MAX at most. No label holds what a client chose, but for one who
 * may make control groups: he can name his so that it looks like a runtime's.
 */
void infini_metrics_render(struct infini_metrics_text *text, const struct infini_sample *sample,
			   const struct infini_energy *energy);
/* The meters alone. */
void infini_metrics_render_energy(struct infini_metrics_text *text,
				  const struct infini_energy *energy);

#endif /* INFINI_DAEMON_METRICS_H */
