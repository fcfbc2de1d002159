// SPDX-License-Identifier: GPL-2.0-or-later
/* A kernel for libinfini; linked with --wrap, so that only the library's own calls come here. */
#include "fake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

struct fake fake;

int __wrap_open(const char *path, int flags, ...);
int __wrap_close(int fd);
int __wrap_ioctl(int fd, unsigned long cmd, ...);
void *__wrap_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset);
int __wrap_munmap(void *addr, size_t bytes);

void fake_reset(void)
{
	memset(&fake, 0, sizeof(fake));
}

static int fake_fail(int err)
{
	errno = err;
	return -1;
}

int __wrap_open(const char *path, int flags, ...)
{
	snprintf(fake.path, sizeof(fake.path), "%s", path);
	fake.open_flags = flags;
	fake.nr_opens++;
	return fake.open_errno ? fake_fail(fake.open_errno) : FAKE_FD;
}

int __wrap_open64(const char *path, int flags, ...)
	__attribute__((alias("__wrap_open"), nothrow));

int __wrap_close(int fd)
{
	fake.nr_closes++;
	fake.closed_fd = fd;
	/* The errno of a successful close is anything: it must not leak into results. */
	errno = EIO;
	return 0;
}

int __wrap_ioctl(int fd, unsigned long cmd, ...)
{
	struct fake_ioctl *call = &fake.ioctls[fake.nr_ioctls % 8];
	va_list args;
	void *arg;

	va_start(args, cmd);
	arg = va_arg(args, void *);
	va_end(args);
	call->fd = fd;
	call->cmd = cmd;
	memcpy(&call->size, arg, sizeof(call->size));
	if (call->size <= sizeof(call->arg))
		memcpy(call->arg, arg, call->size);
	fake.nr_ioctls++;
	if (fake.ioctl_errno && (!fake.ioctl_errno_of || fake.ioctl_errno_of == cmd))
		return fake_fail(fake.ioctl_errno);
	if (fake.fill)
		fake.fill(cmd, arg);
	return 0;
}

void *__wrap_mmap(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset)
{
	(void)addr;
	fake.nr_maps++;
	fake.map_bytes = bytes;
	fake.map_prot = prot;
	fake.map_flags = flags;
	fake.map_fd = fd;
	fake.map_offset = offset;
	if (!fake.mmap_errno)
		return fake.map;
	errno = fake.mmap_errno;
	return MAP_FAILED;
}

void *__wrap_mmap64(void *addr, size_t bytes, int prot, int flags, int fd, off_t offset)
	__attribute__((alias("__wrap_mmap"), nothrow));

int __wrap_munmap(void *addr, size_t bytes)
{
	fake.nr_unmaps++;
	fake.unmap_addr = addr;
	fake.unmap_bytes = bytes;
	return fake.munmap_errno ? fake_fail(fake.munmap_errno) : 0;
}
