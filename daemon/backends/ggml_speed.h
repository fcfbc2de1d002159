/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How slow this CPU is, measured once per worker.
 */
#ifndef INFINI_DAEMON_GGML_SPEED_H
#define INFINI_DAEMON_GGML_SPEED_H

#include "ggml_device.h"

/* How many times slower than the rates of ggml_plan.c: a power of two, 1 at least. */
uint32_t infini_ggml_speed_slowness(struct infini_backend *backend);

#endif /* INFINI_DAEMON_GGML_SPEED_H */
