/* SPDX-License-Identifier: GPL-2.0-or-later */
/* In place of a backend whose device cannot be opened: what waits for it ends with EIO. */
#ifndef INFINI_DAEMON_REFUSAL_H
#define INFINI_DAEMON_REFUSAL_H

#include "backend.h"

/* For a copy that says the backend's format. Called without a backend. */
extern const struct infini_backend_ops infini_refusal_ops;

#endif /* INFINI_DAEMON_REFUSAL_H */
