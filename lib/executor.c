// SPDX-License-Identifier: LGPL-2.1-or-later
/* The daemon's side: executors of a device, and the channel of one. */
#include "ioctl.h"

int infini_executor_create(int fd, uint32_t vdev_id)
{
	struct infini_executor_create create = { .size = sizeof(create), .vdev_id = vdev_id };
	int err = infini_ioctl(fd, INFINI_IOC_EXECUTOR_CREATE, &create);

	return err ? err : create.fd;
}

int infini_executor_attach(int fd, struct infini_executor_attach *attach)
{
	attach->size = sizeof(*attach);
	return infini_ioctl(fd, INFINI_IOC_EXECUTOR_ATTACH, attach);
}

int infini_exchange(int fd, struct infini_exchange *exchange)
{
	exchange->size = sizeof(*exchange);
	return infini_ioctl(fd, INFINI_IOC_EXCHANGE, exchange);
}

int infini_buffer_receive(int fd, uint64_t buffer, uint64_t *offset)
{
	struct infini_buffer_receive receive = { .size = sizeof(receive), .buffer = buffer };
	int err = infini_ioctl(fd, INFINI_IOC_BUFFER_RECEIVE, &receive);

	if (err)
		return err;
	*offset = receive.offset;
	return receive.fd;
}

int infini_end_reason(int fd, const char *reason)
{
	struct infini_end_reason end = { .size = sizeof(end) };
	size_t i;

	for (i = 0; i < sizeof(end.reason) - 1 && reason[i]; i++)
		end.reason[i] = reason[i] >= 0x20 && reason[i] < 0x7f ? (__u8)reason[i] : '?';
	return infini_ioctl(fd, INFINI_IOC_END_REASON, &end);
}

int infini_program_read(int fd, uint64_t program, uint64_t offset, void *data, size_t bytes)
{
	struct infini_program_read read = {
		.size = sizeof(read),
		.program = program,
		.offset = offset,
		.bytes = bytes,
		.data = (uintptr_t)data,
	};

	return infini_ioctl(fd, INFINI_IOC_PROGRAM_READ, &read);
}
