// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A directory in which a vendor's library may write. Compilers keep temporary files, objects and caches,
 * and look for a place in the environment. This one is memory of a limited size, nobody else sees it,
 * and nobody has to remove it.
 */
#include "scratch.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int mount_at(const char *path, uid_t uid, gid_t gid)
{
	char options[128];

	snprintf(options, sizeof(options), "mode=700,uid=%u,gid=%u,size=%llu,nr_inodes=8192",
		 (unsigned int)uid, (unsigned int)gid, INFINI_SCRATCH_BYTES_MAX);
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return -errno;
	if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
	    mount("infinid", path, "tmpfs", MS_NOSUID | MS_NODEV, options) != 0)
		return -errno;
	return 0;
}

int infini_scratch_make(const char *run_dir, uid_t uid, gid_t gid, char *path, size_t bytes,
			char *why, size_t why_bytes)
{
	static const char *const names[] = { "HOME", "TMPDIR", "XDG_CACHE_HOME" };
	int ret;

	if ((size_t)snprintf(path, bytes, "%s/scratch", run_dir) >= bytes) {
		snprintf(why, why_bytes, "the path of run_dir is too long");
		return -ENAMETOOLONG;
	}
	ret = mount_at(path, uid, gid);
	if (ret) {
		snprintf(why, why_bytes, "cannot mount a directory for temporary files at %s: %s",
			 path, strerror(-ret));
		return ret;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		setenv(names[i], path, 1);
	return 0;
}
