/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What workers may do, in words, from the tables by which it is enforced. */
#ifndef INFINI_DAEMON_SANDBOX_SHOW_H
#define INFINI_DAEMON_SANDBOX_SHOW_H

#include "config.h"

#include <json-c/json.h>

struct infini_sandbox;

/*
 * What a worker of @device of @backend may do in @sandbox, as an object: device, backend, user, uid, gid,
 * namespaces, limits, cgroup (null: infinid runs, and has none for its workers), landlock_abi, files,
 * landlock_denied, calls.
 */
struct json_object *infini_sandbox_describe(const struct infini_config *config, const char *backend,
					    const char *device,
					    const struct infini_sandbox *sandbox);

/*
 * Print that for each device of the enabled backends and each remote machine, or for the device, backend
 * or remote machine @only, in text or as a JSON array. Devices are asked for by their backends, in
 * processes of their own. 0, or -ENOENT when there is none; what cannot be asked is told on stderr.
 */
int infini_sandbox_show(const struct infini_config *config, const char *only, bool json);

#endif /* INFINI_DAEMON_SANDBOX_SHOW_H */
