// SPDX-License-Identifier: LGPL-2.1-or-later
/* The commands of a client: queues, buffers, programs, jobs. */
#include "ioctl.h"

int infini_vdev_info(int fd, struct infini_vdev_info *info)
{
	info->size = sizeof(*info);
	return infini_ioctl(fd, INFINI_IOC_VDEV_INFO, info);
}

int infini_vdev_stats(int fd, struct infini_vdev_stats *stats)
{
	stats->size = sizeof(*stats);
	return infini_ioctl(fd, INFINI_IOC_VDEV_STATS, stats);
}

static int infini_handle_destroy(int fd, unsigned long cmd, uint32_t handle)
{
	struct infini_handle destroy = { .size = sizeof(destroy), .handle = handle };

	return infini_ioctl(fd, cmd, &destroy);
}

int infini_queue_create(int fd, struct infini_queue_create *create)
{
	create->size = sizeof(*create);
	return infini_ioctl(fd, INFINI_IOC_QUEUE_CREATE, create);
}

int infini_queue_destroy(int fd, uint32_t handle)
{
	return infini_handle_destroy(fd, INFINI_IOC_QUEUE_DESTROY, handle);
}

int infini_buffer_create(int fd, struct infini_buffer_create *create)
{
	create->size = sizeof(*create);
	return infini_ioctl(fd, INFINI_IOC_BUFFER_CREATE, create);
}

int infini_buffer_destroy(int fd, uint32_t handle)
{
	return infini_handle_destroy(fd, INFINI_IOC_BUFFER_DESTROY, handle);
}

int infini_program_create(int fd, uint32_t format, const void *data, size_t bytes,
			  uint32_t *handle)
{
	struct infini_program_create create = {
		.size = sizeof(create),
		.format = format,
		.data = (uintptr_t)data,
		.bytes = bytes,
	};
	int err = infini_ioctl(fd, INFINI_IOC_PROGRAM_CREATE, &create);

	if (!err)
		*handle = create.handle;
	return err;
}

int infini_program_destroy(int fd, uint32_t handle)
{
	return infini_handle_destroy(fd, INFINI_IOC_PROGRAM_DESTROY, handle);
}

int infini_submit(int fd, struct infini_submit *submit)
{
	submit->size = sizeof(*submit);
	return infini_ioctl(fd, INFINI_IOC_SUBMIT, submit);
}

int infini_wait(int fd, struct infini_wait *wait)
{
	wait->size = sizeof(*wait);
	return infini_ioctl(fd, INFINI_IOC_WAIT, wait);
}
