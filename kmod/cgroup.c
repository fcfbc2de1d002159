// SPDX-License-Identifier: GPL-2.0-only
/*
 * Control groups (v2) by id. Only the id is kept: it is never given to another group, and a vdev
 * that held its group would keep a removed one in memory.
 */

#include <linux/cgroup.h>
#include <linux/err.h>

#include "infini.h"

#ifdef CONFIG_CGROUPS

/* The caller's, as the inode of its directory says. */
u64 infini_cgroup_current(void)
{
	u64 id;

	rcu_read_lock();
	id = cgroup_id(task_dfl_cgroup(current));
	rcu_read_unlock();
	return id;
}

/* The caller is in the group @id or below it. A group that was removed has nobody. */
bool infini_cgroup_has_current(u64 id)
{
	struct cgroup *cgroup, *above;
	bool has = false;
	int level;

	rcu_read_lock();
	cgroup = task_dfl_cgroup(current);
	for (level = cgroup->level; level >= 0 && !has; level--) {
		above = cgroup_ancestor(cgroup, level);
		has = above && cgroup_id(above) == id;
	}
	rcu_read_unlock();
	return has;
}

static u64 infini_cgroup_of_fd(int fd)
{
	struct cgroup *cgroup = cgroup_get_from_fd(fd);
	u64 id;

	if (IS_ERR(cgroup))
		return 0;
	id = cgroup_id(cgroup);
	cgroup_put(cgroup);
	return id;
}

#else

u64 infini_cgroup_current(void)
{
	return 0;
}

bool infini_cgroup_has_current(u64 id)
{
	return false;
}

static u64 infini_cgroup_of_fd(int fd)
{
	return 0;
}

#endif

/**
 * infini_cgroup_from_fd - the id of the group whose directory the caller has open
 * @fd: the directory, or -1 for no group
 * @id: out: 0 for no group
 * @reason: out: words for a refusal
 *
 * Return: 0 or -EBADF.
 */
int infini_cgroup_from_fd(int fd, u64 *id, struct infini_reason *reason)
{
	*id = fd == -1 ? 0 : infini_cgroup_of_fd(fd);
	if (*id || fd == -1)
		return 0;
	infini_say(reason, "the cgroup descriptor is no directory of a live cgroup v2",
		   "cgroup descriptor %d is no directory of a live cgroup v2", fd);
	return -EBADF;
}
