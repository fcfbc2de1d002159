// SPDX-License-Identifier: GPL-2.0-or-later
/* One infinid per machine: a locked file that holds its process id. */
#include "pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int pidfile_path(const char *dir, char *path, size_t bytes)
{
	return (size_t)snprintf(path, bytes, "%s/infinid.pid", dir) < bytes ? 0 : -ENAMETOOLONG;
}

static int pidfile_acquire(int fd, pid_t *owner)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char text[24];
	int length;

	if (fcntl(fd, F_SETLK, &lock) != 0) {
		if (errno != EAGAIN && errno != EACCES)
			return -errno;
		if (fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
			*owner = lock.l_pid;
		return -EBUSY;
	}
	length = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) != 0)
		return -errno;
	return pwrite(fd, text, (size_t)length, 0) == length ? 0 : -EIO;
}

int infini_pidfile_lock(const char *dir, pid_t *owner)
{
	char path[PATH_MAX];
	int fd, ret;

	*owner = 0;
	ret = pidfile_path(dir, path, sizeof(path));
	if (ret)
		return ret;
	if (mkdir(dir, 0755) != 0 && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	ret = pidfile_acquire(fd, owner);
	if (ret) {
		close(fd);
		return ret;
	}
	return fd;
}

pid_t infini_pidfile_owner(const char *dir)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];
	int fd = pidfile_path(dir, path, sizeof(path)) ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	bool held;

	if (fd < 0)
		return 0;
	held = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
	close(fd);
	return held ? lock.l_pid : 0;
}

void infini_pidfile_unlock(int fd, const char *dir)
{
	char path[PATH_MAX];

	if (pidfile_path(dir, path, sizeof(path)) == 0)
		unlink(path);
	close(fd);
}
