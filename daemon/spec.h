/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What container runtimes are told about the vdevs, kept true while the daemon runs. */
#ifndef INFINI_DAEMON_SPEC_H
#define INFINI_DAEMON_SPEC_H

#include "config.h"

#include <infini-admin.h>

/*
 * Write the file anew if it says something else than what there is. A failure is logged, once until
 * it works again: the daemon does its work without.
 */
void infini_spec_refresh(const struct infini_config *config, struct infini_admin *admin);

#endif /* INFINI_DAEMON_SPEC_H */
