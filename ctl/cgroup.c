// SPDX-License-Identifier: GPL-2.0-or-later
/* Control groups (v2): a path into a descriptor, an id back into a path. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "ctl.h"

#define FILEID_KERNFS	0xfe	/* a handle of kernfs, which is the id alone */

/* Where the hierarchy is mounted; false when it is not. */
static bool infini_cgroup_mount(char *path, size_t size)
{
	FILE *mounts = setmntent("/proc/self/mounts", "re");
	struct mntent *entry;
	bool found = false;

	if (!mounts)
		return false;
	while (!found && (entry = getmntent(mounts))) {
		found = !strcmp(entry->mnt_type, "cgroup2") && strlen(entry->mnt_dir) < size;
		if (found)
			strcpy(path, entry->mnt_dir);
	}
	endmntent(mounts);
	return found;
}

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

static int infini_cgroup_open_id(const char *mount, uint64_t id)
{
	struct {
		struct file_handle handle;
		uint64_t id;
	} at = { .handle = { .handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS } };
	int root = open(mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (root < 0)
		return -errno;
	memcpy(at.handle.f_handle, &id, sizeof(id));
	fd = open_by_handle_at(root, &at.handle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		fd = -errno;
	close(root);
	return fd;
}

int infini_cgroup_path(uint64_t id, char *path, size_t size)
{
	char mount[PATH_MAX], link[32];
	struct stat found;
	ssize_t length;
	int fd;

	if (!infini_cgroup_mount(mount, sizeof(mount)))
		return -ENOENT;
	fd = infini_cgroup_open_id(mount, id);
	if (fd < 0)
		return fd;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, size - 1);
	close(fd);
	if (length < 0)
		return -errno;
	path[length] = '\0';
	/* Older kernels still find one that was removed while somebody holds it. */
	return !stat(path, &found) && found.st_ino == id ? 0 : -ESTALE;
}

void infini_cgroup_text(uint64_t id, char *text, size_t size)
{
	char path[PATH_MAX];
	int err = infini_cgroup_path(id, path, sizeof(path));

	if (!err)
		snprintf(text, size, "%s (id %" PRIu64 ")", path, id);
	else if (err == -ESTALE)
		snprintf(text, size, "id %" PRIu64 ", which is gone: nobody may open the vdev", id);
	else
		snprintf(text, size, "id %" PRIu64 " (its path is not known: %s)", id,
			 strerror(-err));
}
