/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Control groups (v2). For infinid, infinictl and the BPF tools, which are linked with the
 * archive; not part of the library's interface.
 */
#ifndef INFINI_LIB_CGROUP_H
#define INFINI_LIB_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where infinid goes, because a group that has groups below it holds no process; and where the workers'
 * groups are when infinid was started in the root of all groups.
 */
#define INFINI_CGROUP_SUPERVISOR	"supervisor"
#define INFINI_CGROUP_WORKERS		"infinid"

/* Where the hierarchy is mounted; false when it is not. */
bool infini_cgroup_mount(char *path, size_t size);

/*
 * The directory of the group @id; *@below, when asked for, is its part behind the mount point, such
 * as "/system.slice", and "/" for the root. 0; -ESTALE: the group was removed; another -errno: it
 * cannot be told. Needs CAP_DAC_READ_SEARCH.
 */
int infini_cgroup_path(uint64_t id, char *path, size_t size, const char **below);

/* Write @text to @file of the group whose directory is @group. 0 or -errno. */
int infini_cgroup_write(const char *group, const char *file, const char *text);

/* For people: the container that the group belongs to, or its path, or "#id" when it is gone. */
void infini_cgroup_name(uint64_t id, char *name, size_t size);

#endif /* INFINI_LIB_CGROUP_H */
