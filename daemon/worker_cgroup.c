// SPDX-License-Identifier: GPL-2.0-or-later
/* Workers' control groups: see worker_cgroup.h. */
#include "worker_cgroup.h"

#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What a worker that holds more than its new limit may take besides. */
#define HELD_MARGIN	(64ULL << 20)
/* Threads of the library, the driver and the C library, besides those that compute. */
#define TASKS_BESIDES	64

const struct infini_worker_cgroup_fixed infini_worker_cgroup_fixed[] = {
	/* A worker without the linker that it runs, or the other way round, is of no use. */
	{ "memory.oom.group", "1", false },
	/* It is not swapped out for others, nor without a limit. */
	{ "memory.swap.max", "0", true },
	{ NULL, NULL, false },
};

__attribute__((format(printf, 3, 4)))
static int path_of(char *path, size_t bytes, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(path, bytes, format, args);
	va_end(args);
	return length < 0 || (size_t)length >= bytes ? -ENAMETOOLONG : 0;
}

static int read_file(const char *dir, const char *name, char *text, size_t bytes)
{
	char path[PATH_MAX];
	int fd, ret = path_of(path, sizeof(path), "%s/%s", dir, name);
	ssize_t got;

	if (ret)
		return ret;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, text, bytes - 1);
	ret = got < 0 ? -errno : 0;
	text[got < 0 ? 0 : got] = '\0';
	close(fd);
	return ret;
}

/* ---- where they go ----------------------------------------------------------------- */

/* The line "0::/path" of version 2. */
static int own_path(const char *membership, char *path, size_t bytes)
{
	const char *line = membership;
	size_t length;

	while (line && strncmp(line, "0::/", 4)) {
		line = strchr(line, '\n');
		line = line ? line + 1 : NULL;
	}
	if (!line)
		return -ENOENT;
	length = strcspn(line + 3, "\n");
	while (length && line[3 + length - 1] == '/')
		length--;
	if (length >= bytes)
		return -ENAMETOOLONG;
	memcpy(path, line + 3, length);
	path[length] = '\0';
	return 0;
}

static int make_group(const char *path)
{
	return mkdir(path, 0755) && errno != EEXIST ? -errno : 0;
}

/* infinid goes into a group of its own, or back. */
static int move_to(const char *path)
{
	return infini_cgroup_write(path, "cgroup.procs", "0");
}

static int delegate_controllers(const char *path)
{
	return infini_cgroup_write(path, "cgroup.subtree_control", "+memory +pids");
}

/* At the root processes and groups may be side by side. */
static int open_below_root(struct infini_worker_cgroups *groups, const char *root)
{
	int ret = delegate_controllers(root);

	if (!ret)
		ret = path_of(groups->base, sizeof(groups->base), "%s/" INFINI_CGROUP_WORKERS, root);
	if (!ret)
		ret = make_group(groups->base);
	return ret ? ret : delegate_controllers(groups->base);
}

static int open_below_own(struct infini_worker_cgroups *groups, const char *root, const char *own,
			  bool managed)
{
	const char *last = strrchr(own, '/') + 1;
	char supervisor[PATH_MAX];
	int ret;

	/* The service manager has done it. */
	if (!strcmp(last, INFINI_CGROUP_SUPERVISOR)) {
		ret = path_of(groups->base, sizeof(groups->base), "%s%.*s", root,
			      (int)(last - 1 - own), own);
		return ret ? ret : delegate_controllers(groups->base);
	}
	if (managed)
		return -EXDEV;
	ret = path_of(groups->base, sizeof(groups->base), "%s%s", root, own);
	if (!ret)
		ret = path_of(supervisor, sizeof(supervisor), "%s/" INFINI_CGROUP_SUPERVISOR,
			      groups->base);
	if (!ret)
		ret = make_group(supervisor);
	if (ret)
		return ret;
	ret = move_to(supervisor);
	if (!ret)
		ret = delegate_controllers(groups->base);
	if (ret) {
		move_to(groups->base);
		rmdir(supervisor);
	}
	return ret;
}

static const char *sentence(int error)
{
	switch (error) {
	case -ENOTSUP:
		return "there is no cgroup v2 at this place";
	case -ENOENT:
		return "the controllers memory and pids are not there";
	case -EXDEV:
		return "the service manager does not start infinid in a group of its own below that of "
		       "the service (DelegateSubgroup=, systemd 254)";
	case -EBUSY:
		return "other processes are in the group that infinid was started in, which the "
		       "service manager has to delegate (Delegate=)";
	case -EACCES:
	case -EPERM:
	case -EROFS:
		return "its control group is not delegated to infinid (Delegate=)";
	default:
		return strerror(-error);
	}
}

int infini_worker_cgroups_open(struct infini_worker_cgroups *groups, const char *root,
			       const char *membership, bool managed, char *why, size_t why_bytes)
{
	char own[PATH_MAX];
	struct statfs fs;
	int ret = 0;

	groups->base[0] = '\0';
	if (statfs(root, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC)
		ret = -ENOTSUP;
	if (!ret)
		ret = own_path(membership, own, sizeof(own));
	if (!ret)
		ret = own[0] ? open_below_own(groups, root, own, managed) :
			       open_below_root(groups, root);
	if (ret) {
		snprintf(why, why_bytes, "%s: %s", root, sentence(ret));
		groups->base[0] = '\0';
	}
	return ret;
}

bool infini_worker_cgroups_there(const char *root, const char *membership)
{
	char own[PATH_MAX], base[PATH_MAX], text[256];
	const char *last;
	int ret;

	if (own_path(membership, own, sizeof(own)))
		return false;
	last = strrchr(own, '/');
	if (last && strcmp(last + 1, INFINI_CGROUP_SUPERVISOR))
		return false;
	ret = last ? path_of(base, sizeof(base), "%s%.*s", root, (int)(last - own), own) :
		     path_of(base, sizeof(base), "%s/" INFINI_CGROUP_WORKERS, root);
	return !ret && !read_file(base, "cgroup.subtree_control", text, sizeof(text)) &&
	       strstr(text, "memory") && strstr(text, "pids");
}

void infini_worker_cgroups_close(struct infini_worker_cgroups *groups)
{
	if (groups->base[0])
		rmdir(groups->base);
	groups->base[0] = '\0';
}

/* ---- one worker's ------------------------------------------------------------------ */

uint32_t infini_worker_cgroup_tasks(uint32_t threads_max)
{
	long processors = sysconf(_SC_NPROCESSORS_CONF);

	/* Compilers and OpenCL on a CPU start a thread for each processor, whatever is configured. */
	return TASKS_BESIDES + threads_max + 2 * (uint32_t)(processors > 0 ? processors : 1);
}

static int group_of(const struct infini_worker_cgroups *groups, uint32_t vdev_id, char *path)
{
	return groups->base[0] ? path_of(path, PATH_MAX, "%s/worker-%u", groups->base, vdev_id) :
				 -ENOENT;
}

static int set_number(const char *path, const char *name, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	return infini_cgroup_write(path, name, text);
}

/* A limit below what is held would end the worker with its vdev's memory: the next has that one. */
static uint64_t room_for_held(const char *path, uint64_t limit)
{
	char text[32];
	uint64_t held;

	if (read_file(path, "memory.current", text, sizeof(text)))
		return limit;
	held = strtoull(text, NULL, 10) + HELD_MARGIN;
	return held > limit ? held : limit;
}

int infini_worker_cgroup_limit(const struct infini_worker_cgroups *groups, uint32_t vdev_id,
			       const struct infini_worker_cgroup_limits *limits)
{
	char path[PATH_MAX];
	int ret = group_of(groups, vdev_id, path);

	if (!ret)
		ret = set_number(path, "memory.max", room_for_held(path, limits->memory_bytes));
	return ret ? ret : set_number(path, "pids.max", limits->tasks);
}

int infini_worker_cgroup_make(const struct infini_worker_cgroups *groups, uint32_t vdev_id,
			      const struct infini_worker_cgroup_limits *limits)
{
	char path[PATH_MAX];
	int ret = group_of(groups, vdev_id, path);

	if (ret)
		return ret;
	/* What it counts begins anew, unless a process of the last worker is still ending there. */
	rmdir(path);
	ret = make_group(path);
	if (!ret)
		ret = infini_worker_cgroup_limit(groups, vdev_id, limits);
	for (size_t i = 0; !ret && infini_worker_cgroup_fixed[i].file; i++) {
		ret = infini_cgroup_write(path, infini_worker_cgroup_fixed[i].file,
					  infini_worker_cgroup_fixed[i].value);
		if (infini_worker_cgroup_fixed[i].optional)
			ret = 0;
	}
	if (ret)
		rmdir(path);
	return ret;
}

int infini_worker_cgroup_open(const struct infini_worker_cgroups *groups, uint32_t vdev_id)
{
	char path[PATH_MAX];
	int ret = group_of(groups, vdev_id, path);

	if (!ret)
		ret = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return ret == -1 ? -errno : ret;
}

int infini_worker_cgroup_enter(const struct infini_worker_cgroups *groups, uint32_t vdev_id)
{
	char path[PATH_MAX];
	int ret = group_of(groups, vdev_id, path);

	return ret ? ret : move_to(path);
}

bool infini_worker_cgroup_ran_out(const struct infini_worker_cgroups *groups, uint32_t vdev_id)
{
	char path[PATH_MAX], text[512];
	const char *count;

	if (group_of(groups, vdev_id, path) || read_file(path, "memory.events", text, sizeof(text)))
		return false;
	count = strstr(text, "oom_kill ");
	return count && strtoul(count + strlen("oom_kill "), NULL, 10);
}

void infini_worker_cgroup_remove(const struct infini_worker_cgroups *groups, uint32_t vdev_id)
{
	char path[PATH_MAX];

	if (!group_of(groups, vdev_id, path))
		rmdir(path);
}
