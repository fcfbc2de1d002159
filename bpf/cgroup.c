// SPDX-License-Identifier: GPL-2.0-only
/* Names of control groups. */
#include "cgroup.h"
#include "container.h"
#include "printable.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FILEID_KERNFS	0xfe		/* the kernel's, since 5.9 */

/* The kernel opens a control group by its id; where that is, the link of the descriptor says. */
void cgroup_name(uint64_t id, char *name, size_t size)
{
	static const char root[] = "/sys/fs/cgroup";
	union {
		struct file_handle handle;
		char room[sizeof(struct file_handle) + sizeof(id)];
	} by = { .handle = { .handle_bytes = sizeof(id), .handle_type = FILEID_KERNFS } };
	char link[64], path[4096];
	ssize_t length = -1;
	int mount, fd = -1;

	memcpy(by.handle.f_handle, &id, sizeof(id));
	mount = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mount >= 0)
		fd = open_by_handle_at(mount, &by.handle, O_PATH | O_CLOEXEC);
	if (fd >= 0) {
		snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
		length = readlink(link, path, sizeof(path) - 1);
		close(fd);
	}
	if (mount >= 0)
		close(mount);
	if (length < (ssize_t)strlen(root)) {
		snprintf(name, size, "#%llu", (unsigned long long)id);
		return;
	}
	path[length] = '\0';
	if (!container_name(path + strlen(root), name, size))
		snprintf(name, size, "%.*s", (int)size - 1,
			 path[strlen(root)] ? path + strlen(root) : "/");
	printable(name);
}
