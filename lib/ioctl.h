/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the sources of libinfini share: a system call's result as -errno. */
#ifndef INFINI_LIB_IOCTL_H
#define INFINI_LIB_IOCTL_H

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "infini.h"

static inline int infini_ioctl(int fd, unsigned long cmd, void *arg)
{
	return ioctl(fd, cmd, arg) < 0 ? -errno : 0;
}

/* A NUL-terminated copy for a fixed field; the rest of the field is zero. */
static inline int infini_name_copy(__u8 *field, const char *name)
{
	size_t len = strnlen(name, INFINI_NAME_MAX);

	if (len == INFINI_NAME_MAX)
		return -ENAMETOOLONG;
	memset(field, 0, INFINI_NAME_MAX);
	memcpy(field, name, len);
	return 0;
}

#endif /* INFINI_LIB_IOCTL_H */
