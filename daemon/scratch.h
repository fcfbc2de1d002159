/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A directory in which a vendor's library may write: memory, seen by this process alone. */
#ifndef INFINI_DAEMON_SCRATCH_H
#define INFINI_DAEMON_SCRATCH_H

#include <stddef.h>
#include <sys/types.h>

#define INFINI_SCRATCH_BYTES_MAX	(64ULL << 20)

/*
 * Mount one below @run_dir, in a mount namespace that this process has from now on and that ends with
 * it, for @uid and @gid; $HOME, $TMPDIR and $XDG_CACHE_HOME name it. Before any thread is made. 0 or
 * -errno, with a sentence in @why.
 */
int infini_scratch_make(const char *run_dir, uid_t uid, gid_t gid, char *path, size_t bytes,
			char *why, size_t why_bytes);

#endif /* INFINI_DAEMON_SCRATCH_H */
