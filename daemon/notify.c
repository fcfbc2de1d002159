// SPDX-License-Identifier: GPL-2.0-or-later
/* Tells the service manager how the supervisor is: sd_notify(3), by hand. */
#include "notify.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* The length of the address, 0 when there is no service manager, or -errno. */
static int manager_address(struct sockaddr_un *address)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t length = path ? strlen(path) : 0;

	if (!length)
		return 0;
	/* '@' stands for an abstract address, whose first byte is NUL. */
	if ((path[0] != '/' && path[0] != '@') || length >= sizeof(address->sun_path))
		return -EINVAL;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(address->sun_path, path, length);
	if (path[0] == '@')
		address->sun_path[0] = '\0';
	return (int)(offsetof(struct sockaddr_un, sun_path) + length);
}

/* One datagram, with a copy of @fd unless that is -1. */
static int send_text(char *text, int fd)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET,
				  .cmsg_type = SCM_RIGHTS } };
	struct iovec data = { .iov_base = text, .iov_len = strlen(text) };
	struct sockaddr_un address;
	struct msghdr message = { .msg_name = &address, .msg_iov = &data, .msg_iovlen = 1 };
	int length = manager_address(&address), out, ret = 0;

	if (length <= 0)
		return length;
	message.msg_namelen = (socklen_t)length;
	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
	}
	out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (out < 0)
		return -errno;
	if (sendmsg(out, &message, MSG_NOSIGNAL) < 0)
		ret = -errno;
	close(out);
	return ret;
}

bool infini_notify_managed(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	return path && path[0];
}

int infini_notify(const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return send_text(text, -1);
}

int infini_notify_fd(int fd, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return send_text(text, fd);
}

/* The service manager closes its copy of a pipe's end when it comes to this message. */
int infini_notify_barrier(int timeout_ms)
{
	int64_t until = infini_clock_ns() + timeout_ms * INFINI_NS_PER_MS, left;
	struct pollfd end;
	int ends[2], ret;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	ret = infini_notify_fd(ends[1], "BARRIER=1");
	close(ends[1]);
	end = (struct pollfd){ .fd = ends[0] };
	while (!ret) {
		left = until - infini_clock_ns();
		ret = poll(&end, 1, left > 0 ? (int)(left / INFINI_NS_PER_MS) : 0);
		if (ret > 0) {
			ret = 0;
			break;
		}
		ret = !ret ? -ETIMEDOUT : errno == EINTR ? 0 : -errno;
	}
	close(ends[0]);
	return ret;
}
