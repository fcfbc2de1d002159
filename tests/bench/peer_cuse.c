// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A character device whose ioctl a process answers: FUSE's protocol on /dev/cuse, without a
 * library between. Needs the module cuse.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "peer.h"

#define NAME		"bench-cuse"
#define REQUEST_MAX	(128 * 1024)

static int device = -1, fd = -1;
static char request[REQUEST_MAX] __attribute__((aligned(8)));

static int cuse_make(void *own)
{
	(void)own;
	device = open("/dev/cuse", O_RDWR | O_CLOEXEC);
	return device < 0 ? -errno : 0;
}

static void answer(const void *data, size_t bytes)
{
	const struct fuse_in_header *in = (void *)request;
	struct fuse_out_header out = { .len = sizeof(out) + bytes, .unique = in->unique };
	struct iovec parts[] = {
		{ .iov_base = &out, .iov_len = sizeof(out) },
		{ .iov_base = (void *)data, .iov_len = bytes },
	};

	if (writev(device, parts, bytes ? 2 : 1) != out.len)
		die("/dev/cuse: answer", errno);
}

static void answer_init(void)
{
	static const char name[] = "DEVNAME=" NAME;
	struct {
		struct cuse_init_out out;
		char name[sizeof(name)];
	} init = {
		.out.major = FUSE_KERNEL_VERSION,
		.out.minor = FUSE_KERNEL_MINOR_VERSION,
		.out.max_read = 4096,
		.out.max_write = 4096,
	};
	const struct cuse_init_in *in = (void *)(request + sizeof(struct fuse_in_header));

	/* The header here may be newer than the kernel. */
	init.out.minor = in->minor;
	memcpy(init.name, name, sizeof(name));
	answer(&init, offsetof(typeof(init), name) + sizeof(name));
}

static void cuse_serve(void *own)
{
	const struct fuse_in_header *in = (void *)request;
	static const struct fuse_open_out opened;
	static const struct fuse_ioctl_out done;

	(void)own;
	for (;;) {
		if (read(device, request, sizeof(request)) < (ssize_t)sizeof(*in))
			die("/dev/cuse: request", errno);
		switch (in->opcode) {
		case CUSE_INIT:
			answer_init();
			break;
		case FUSE_OPEN:
			answer(&opened, sizeof(opened));
			break;
		case FUSE_IOCTL:
			answer(&done, sizeof(done));
			break;
		default:
			answer(NULL, 0);
		}
	}
}

static int cuse_reach(void *own)
{
	(void)own;
	close(device);
	fd = open_soon("/dev/" NAME, O_RDWR | O_CLOEXEC);
	return fd < 0 ? fd : 0;
}

static void cuse_trip(void *own)
{
	(void)own;
	if (ioctl(fd, _IO('B', 0)))
		die("/dev/" NAME, errno);
}

static void cuse_end(void *own)
{
	(void)own;
	close(fd);
}

const struct peer peer_cuse = {
	.name = "cuse",
	.make = cuse_make,
	.serve = cuse_serve,
	.reach = cuse_reach,
	.trip = cuse_trip,
	.end = cuse_end,
};
