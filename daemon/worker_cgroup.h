/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A control group (v2) for each worker, so that what it allocates ends it and nobody else. The kernel's
 * documentation is admin-guide/cgroup-v2.rst.
 */
#ifndef INFINI_DAEMON_WORKER_CGROUP_H
#define INFINI_DAEMON_WORKER_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INFINI_CGROUP_ROOT	"/sys/fs/cgroup"

struct infini_worker_cgroup_limits {
	uint64_t memory_bytes;
	uint32_t tasks;
};

/* What each worker's group is set to whatever its vdev; ends with a NULL. */
extern const struct infini_worker_cgroup_fixed {
	const char *file, *value;
	bool optional;			/* not every kernel has it */
} infini_worker_cgroup_fixed[];

/* The group that has those of the workers below it. */
struct infini_worker_cgroups {
	char base[PATH_MAX];		/* "": there is none */
};

/*
 * Make ready for workers' groups: below the group that this process is in by @membership, what
 * /proc/self/cgroup says; from the root of all groups, in one named infinid. 0 or -errno, with a
 * sentence in @why, and @groups has no base then.
 *
 * @managed: a service manager has started this process and will start the next one, while workers go on.
 * It can do so in a group below theirs (DelegateSubgroup=), never beside them.
 */
int infini_worker_cgroups_open(struct infini_worker_cgroups *groups, const char *root,
			       const char *membership, bool managed, char *why, size_t why_bytes);

/* Whether an infinid that is in its group by @membership has workers' groups below @root. */
bool infini_worker_cgroups_there(const char *root, const char *membership);

/* At the end; a group that is in use stays. */
void infini_worker_cgroups_close(struct infini_worker_cgroups *groups);

/* How many threads and processes a worker is let have, when it may compute with @threads_max. */
uint32_t infini_worker_cgroup_tasks(uint32_t threads_max);

/*
 * Make the group of the vdev's worker, or have it anew, with these limits. 0 or -errno. By its id: a worker
 * may outlive its vdev for a while, and the next vdev may have the same name.
 */
int infini_worker_cgroup_make(const struct infini_worker_cgroups *groups, uint32_t vdev_id,
			      const struct infini_worker_cgroup_limits *limits);

/* Other limits for a group that there is. 0 or -errno. */
int infini_worker_cgroup_limit(const struct infini_worker_cgroups *groups, uint32_t vdev_id,
			       const struct infini_worker_cgroup_limits *limits);

/* The group, to start a process in it: a descriptor that the caller closes, or -errno. */
int infini_worker_cgroup_open(const struct infini_worker_cgroups *groups, uint32_t vdev_id);

/* This process goes there. 0 or -errno. */
int infini_worker_cgroup_enter(const struct infini_worker_cgroups *groups, uint32_t vdev_id);

/* Whether the kernel has killed for want of memory in the group of the vdev's worker. */
bool infini_worker_cgroup_ran_out(const struct infini_worker_cgroups *groups, uint32_t vdev_id);

/* Nothing happens to a group that a process is in. */
void infini_worker_cgroup_remove(const struct infini_worker_cgroups *groups, uint32_t vdev_id);

#endif /* INFINI_DAEMON_WORKER_CGROUP_H */
