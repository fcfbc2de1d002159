// SPDX-License-Identifier: LGPL-2.1-or-later
/* Control groups (v2): an id back into a path, and what is written to their files. */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/limits.h>
#include <linux/magic.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "container.h"
#include "printable.h"

#define FILEID_KERNFS	0xfe	/* a handle of kernfs, which is the id alone */

/* Where it is nearly everywhere, without reading all mounts. */
static bool infini_cgroup_mount_usual(char *path, size_t size)
{
	static const char usual[] = "/sys/fs/cgroup";
	struct statfs fs;

	if (statfs(usual, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC || sizeof(usual) > size)
		return false;
	strcpy(path, usual);
	return true;
}

bool infini_cgroup_mount(char *path, size_t size)
{
	struct mntent *entry;
	bool found = false;
	FILE *mounts;

	if (infini_cgroup_mount_usual(path, size))
		return true;
	mounts = setmntent("/proc/self/mounts", "re");
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

static int infini_cgroup_open_id(const char *mount, uint64_t id)
{
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(id)];
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

int infini_cgroup_path(uint64_t id, char *path, size_t size, const char **below)
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
	if (stat(path, &found) || found.st_ino != id)
		return -ESTALE;
	if (below)
		*below = (size_t)length > strlen(mount) ? path + strlen(mount) : "/";
	return 0;
}

void infini_cgroup_name(uint64_t id, char *name, size_t size)
{
	struct infini_container container;
	char path[PATH_MAX];
	const char *below;

	if (infini_cgroup_path(id, path, sizeof(path), &below))
		snprintf(name, size, "#%" PRIu64, id);
	else if (infini_container_parse(below, &container))
		snprintf(name, size, "%s %s", container.runtime, container.id);
	else
		snprintf(name, size, "%.*s", (int)size - 1, below);
	printable(name);
}

int infini_cgroup_write(const char *group, const char *file, const char *text)
{
	char path[PATH_MAX];
	int fd, ret;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", group, file) >= sizeof(path))
		return -ENAMETOOLONG;
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}
