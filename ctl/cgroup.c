// SPDX-License-Identifier: GPL-2.0-or-later
/* Control groups (v2): a path into a descriptor, an id into a text. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cgroup.h"
#include "ctl.h"

static int infini_cgroup_open_path(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct statfs fs;

	if (fd < 0 || (!fstatfs(fd, &fs) && fs.f_type == CGROUP2_SUPER_MAGIC))
		return fd;
	close(fd);
	errno = ENOTDIR;
	return -1;
}

int infini_cgroup_open(struct infini_ctl *ctl, const char *word, int *fd)
{
	char mount[PATH_MAX / 2], path[PATH_MAX];

	*fd = -1;
	if (!strcmp(word, "none"))
		return 0;
	if (!infini_cgroup_mount(mount, sizeof(mount)))
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "--cgroup %s: no cgroup v2 hierarchy is mounted", word);
	if (*word == '/')
		*fd = infini_cgroup_open_path(word);
	snprintf(path, sizeof(path), "%s/%.*s", mount, PATH_MAX / 2 - 2, word);
	if (*fd < 0)
		*fd = infini_cgroup_open_path(path);
	if (*fd >= 0)
		return 0;
	return infini_fail(ctl, INFINI_EXIT_FAILURE,
			   "--cgroup %s: not a cgroup of %s: give the path of its directory, or none",
			   word, mount);
}

void infini_cgroup_text(uint64_t id, char *text, size_t size)
{
	char path[PATH_MAX];
	int err = infini_cgroup_path(id, path, sizeof(path), NULL);

	if (!err)
		snprintf(text, size, "%s (id %" PRIu64 ")", path, id);
	else if (err == -ESTALE)
		snprintf(text, size, "id %" PRIu64 ", which is gone: nobody may open the vdev", id);
	else
		snprintf(text, size, "id %" PRIu64 " (its path is not known: %s)", id,
			 strerror(-err));
}
