/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds a backend's shared object and what it exports. */
#ifndef INFINI_DAEMON_BACKEND_LOAD_H
#define INFINI_DAEMON_BACKEND_LOAD_H

#include "backend.h"

/*
 * Load @dir/infinid-@name.so into this process, for good. 0 with *@ops, or -errno with a sentence
 * in @why: -ENOENT the file or a library it needs is not there; -ENOEXEC it is no backend;
 * -EPROTO it was built for another infinid.
 */
int infini_backend_load(const char *dir, const char *name, const struct infini_backend_ops **ops,
			char *why, size_t why_bytes);

/* Whether the file is there at all, for --check. 0 or -errno with a sentence in @why. */
int infini_backend_present(const char *dir, const char *name, char *why, size_t why_bytes);

#endif /* INFINI_DAEMON_BACKEND_LOAD_H */
