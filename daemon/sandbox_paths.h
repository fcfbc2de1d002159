/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What of the file system a worker keeps, by Landlock: kernel documentation, userspace-api/landlock.rst. */
#ifndef INFINI_DAEMON_SANDBOX_PATHS_H
#define INFINI_DAEMON_SANDBOX_PATHS_H

#include "sandbox.h"

#include <linux/types.h>

/* The kernel's, or -errno: -ENOSYS or -EOPNOTSUPP without Landlock. */
int infini_sandbox_landlock_abi(void);

/* A ruleset for this worker, made as root, whom its paths are open to; or -errno. */
int infini_sandbox_paths_open(const struct infini_sandbox *sandbox);

/* Hold this thread to @ruleset, which is closed, for good. 0 or -errno. */
int infini_sandbox_paths_enforce(int ruleset);

/* Told for each path that there is, in the order of the table; @access in words. */
typedef void (*infini_sandbox_path_fn)(const char *path, const char *access, void *arg);
void infini_sandbox_paths_each(const struct infini_sandbox *sandbox, infini_sandbox_path_fn told,
			       void *arg);

/* Told for each thing that is refused beside paths by Landlock of @abi. */
typedef void (*infini_sandbox_denied_fn)(const char *what, void *arg);
void infini_sandbox_denied_each(int abi, infini_sandbox_denied_fn told, void *arg);

#endif /* INFINI_DAEMON_SANDBOX_PATHS_H */
