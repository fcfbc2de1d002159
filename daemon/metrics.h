/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What infinid tells a monitoring system: families with a value per vdev or device. */
#ifndef INFINI_DAEMON_METRICS_H
#define INFINI_DAEMON_METRICS_H

#include "energy.h"
#include "metrics_text.h"
#include "sample.h"

/*
 * All of @sample, and the meters of @energy as they were read last. The number of values depends on
 * how many vdevs and devices there are and on nothing else: no label holds what a client chose.
 */
void infini_metrics_render(struct infini_metrics_text *text, const struct infini_sample *sample,
			   const struct infini_energy *energy);
/* The meters alone. */
void infini_metrics_render_energy(struct infini_metrics_text *text,
				  const struct infini_energy *energy);

#endif /* INFINI_DAEMON_METRICS_H */
