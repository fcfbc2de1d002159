// SPDX-License-Identifier: GPL-2.0-or-later
/* Vdevs that live as long as a command: see lifetime.h. */
#include "lifetime.h"

#include "log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#define VDEVS_AT_ONCE	16		/* "infinictl run" makes one */

/* One group that was seen empty, and vdevs that are bound to it. */
struct group {
	int fd;
	uint64_t id;
	const char *name;
	unsigned int nr_vdevs;
	uint32_t vdevs[VDEVS_AT_ONCE];
};

int infini_lifetime_open(struct infini_lifetime *lifetime, const char *root)
{
	*lifetime = (struct infini_lifetime){ .root = root, .fd = -1 };
	if (mkdir(root, 0755) && errno != EEXIST)
		return -errno;
	lifetime->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (lifetime->fd < 0)
		return -errno;
	if (inotify_add_watch(lifetime->fd, root, IN_CREATE | IN_ONLYDIR) < 0) {
		int err = -errno;

		infini_lifetime_close(lifetime);
		return err;
	}
	return 0;
}

void infini_lifetime_close(struct infini_lifetime *lifetime)
{
	if (lifetime->fd >= 0)
		close(lifetime->fd);
	lifetime->fd = -1;
}

/* What they say is seen by looking. */
static void drain(const struct infini_lifetime *lifetime)
{
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	while (read(lifetime->fd, events, sizeof(events)) > 0)
		;
}

/* Somebody is in the group or below it; what cannot be read is not taken for empty. */
static bool populated(int group)
{
	int fd = openat(group, "cgroup.events", O_RDONLY | O_CLOEXEC);
	char text[256];
	ssize_t length;

	if (fd < 0)
		return true;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length <= 0)
		return true;
	text[length] = '\0';
	return !strstr(text, "populated 0");
}

static int collect(const struct infini_admin_vdev *vdev, void *arg)
{
	struct group *group = arg;

	if (vdev->cgroup_id == group->id && group->nr_vdevs < VDEVS_AT_ONCE)
		group->vdevs[group->nr_vdevs++] = vdev->id;
	return 0;
}

static int delete_vdevs(const struct group *group, struct infini_admin *admin)
{
	int ret, err = 0;

	for (unsigned int i = 0; i < group->nr_vdevs; i++) {
		ret = infini_admin_vdev_delete(admin, NULL, group->vdevs[i], true);
		if (!ret || ret == -ENOENT) {
			infini_info("vdev %u: its command %s has ended; removed", group->vdevs[i],
				    group->name);
			continue;
		}
		infini_warn("vdev %u: its command %s has ended, but it cannot be removed: %s",
			    group->vdevs[i], group->name, strerror(-ret));
		err = ret;
	}
	return err;
}

/* Groups below it first: runtimes leave empty ones. */
static bool remove_tree(int parent, const char *name)
{
	int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && strcmp(entry->d_name, ".") &&
		    strcmp(entry->d_name, ".."))
			remove_tree(fd, entry->d_name);
	if (dir)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return !unlinkat(parent, name, AT_REMOVEDIR);
}

/*
 * A vdev that is bound to a group was made by a process in it. So who sees the vdev first and the
 * group empty afterwards knows that all has ended, and not that it has yet to begin. True when the
 * group is gone.
 */
static bool end_if_empty(struct infini_admin *admin, int root, struct group *group)
{
	struct stat status;

	if (populated(group->fd) || fstat(group->fd, &status))
		return false;
	group->id = status.st_ino;
	/* The group goes last: who looks again finds by it what is left. */
	do {
		group->nr_vdevs = 0;
		if (infini_admin_vdev_list(admin, collect, group) || populated(group->fd) ||
		    delete_vdevs(group, admin))
			return false;
	} while (group->nr_vdevs == VDEVS_AT_ONCE);
	return remove_tree(root, group->name);
}

static void look(const struct infini_lifetime *lifetime, struct infini_admin *admin, int root,
		 const char *name)
{
	struct group group = { .name = name };
	char events[PATH_MAX];
	int watch;

	group.fd = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (group.fd < 0)
		return;
	/* Before looking, so that no change falls between; again and again is the same watch. */
	snprintf(events, sizeof(events), "%s/%s/cgroup.events", lifetime->root, name);
	watch = inotify_add_watch(lifetime->fd, events, IN_MODIFY);
	if (watch < 0)
		infini_log_limited(LOG_WARNING, "the end of a command may go unnoticed: "
				   "no inotify watch is left (fs.inotify.max_user_watches)");
	/* A group that goes does not take its watch along. */
	if (end_if_empty(admin, root, &group) && watch >= 0)
		inotify_rm_watch(lifetime->fd, watch);
	close(group.fd);
}

void infini_lifetime_run(struct infini_lifetime *lifetime, struct infini_admin *admin)
{
	struct dirent *entry;
	DIR *dir;

	if (lifetime->fd < 0)
		return;
	drain(lifetime);
	dir = opendir(lifetime->root);
	if (!dir)
		return;
	while ((entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			look(lifetime, admin, dirfd(dir), entry->d_name);
	closedir(dir);
}
