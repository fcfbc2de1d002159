/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions a client puts to the device, and whole weights it hands in.
 */
#ifndef INFINI_DAEMON_GGML_ASK_H
#define INFINI_DAEMON_GGML_ASK_H

#include "ggml_device.h"

int infini_ggml_ask(struct infini_backend *backend, struct infini_backend_run *run);

#endif /* INFINI_DAEMON_GGML_ASK_H */
