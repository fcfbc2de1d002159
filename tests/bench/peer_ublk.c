// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A block device whose requests a process answers at once and empty-handed (ublk's null target), at
 * queue depth 1: a direct read of one sector by the client, one io_uring_enter() of the server that
 * hands the answer in and waits for the next. Needs the module ublk_drv.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/ublk_cmd.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"
#include "uring.h"

#define SECTOR		512
#define BUFFER_BYTES	65536

/* The device's number: a killed server's device stays behind it. */
static int id;
static int control = -1, fd = -1;
static void *sector;

static int ublk_make(void *own)
{
	(void)own;
	control = open("/dev/ublk-control", O_RDWR | O_CLOEXEC);
	if (control < 0)
		return -errno;
	id = getpid();
	return posix_memalign(&sector, 4096, 4096) ? -ENOMEM : 0;
}

static void command(struct uring *ring, uint32_t op, void *data, uint16_t bytes, uint64_t inline_data)
{
	struct ublksrv_ctrl_cmd cmd = {
		.dev_id = id,
		.queue_id = UINT16_MAX,
		.len = bytes,
		.addr = (uintptr_t)data,
		.data = { inline_data },
	};
	int err;

	uring_command(ring, control, op, &cmd, sizeof(cmd));
	err = uring_next(ring, 1);
	if (err)
		die("/dev/ublk-control", err);
}

static void device_add(struct uring *ring)
{
	struct ublksrv_ctrl_dev_info info = {
		.nr_hw_queues = 1,
		.queue_depth = 1,
		.max_io_buf_bytes = BUFFER_BYTES,
		.dev_id = id,
		.ublksrv_pid = getpid(),
		.flags = UBLK_F_CMD_IOCTL_ENCODE,
	};
	struct ublk_params params = {
		.len = sizeof(params),
		.types = UBLK_PARAM_TYPE_BASIC,
		.basic = {
			.logical_bs_shift = 9,
			.physical_bs_shift = 9,
			.io_opt_shift = 9,
			.io_min_shift = 9,
			.max_sectors = BUFFER_BYTES / SECTOR,
			.dev_sectors = 2048,
		},
	};

	command(ring, UBLK_U_CMD_ADD_DEV, &info, sizeof(info), 0);
	command(ring, UBLK_U_CMD_SET_PARAMS, &params, sizeof(params), 0);
}

static int node_open(char kind, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "/dev/ublk%c%d", kind, id);
	return open_soon(path, flags);
}

/* The requests of the only queue, of which there is only one at a time. */
static void *queue_serve(void *unused)
{
	struct uring ring;
	struct ublksrv_io_cmd io = { 0 };
	const struct ublksrv_io_desc *request;
	void *buffer;
	int queue = node_open('c', O_RDWR | O_CLOEXEC), err;

	(void)unused;
	if (queue < 0)
		die("/dev/ublkc", queue);
	err = uring_open(&ring, 4);
	if (err)
		die("io_uring", err);
	request = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_POPULATE, queue,
		       UBLKSRV_CMD_BUF_OFFSET);
	if (request == MAP_FAILED || posix_memalign(&buffer, 4096, BUFFER_BYTES))
		die("/dev/ublkc: memory", ENOMEM);
	io.addr = (uintptr_t)buffer;
	uring_command(&ring, queue, UBLK_U_IO_FETCH_REQ, &io, sizeof(io));
	for (;;) {
		err = uring_next(&ring, 1);
		if (err != UBLK_IO_RES_OK)
			die("/dev/ublkc", err);
		io.result = (int)request->nr_sectors * SECTOR;
		uring_command(&ring, queue, UBLK_U_IO_COMMIT_AND_FETCH_REQ, &io, sizeof(io));
	}
}

static void ublk_serve(void *own)
{
	struct uring ring;
	pthread_t thread;
	int err = uring_open(&ring, 4);

	(void)own;
	if (err)
		die("io_uring", err);
	device_add(&ring);
	err = pthread_create(&thread, NULL, queue_serve, NULL);
	if (err)
		die("thread", err);
	command(&ring, UBLK_U_CMD_START_DEV, NULL, 0, getpid());
	pthread_join(thread, NULL);
}

static int ublk_reach(void *own)
{
	(void)own;
	close(control);
	fd = node_open('b', O_RDONLY | O_DIRECT | O_CLOEXEC);
	return fd < 0 ? fd : 0;
}

static void ublk_trip(void *own)
{
	(void)own;
	if (pread(fd, sector, SECTOR, 0) != SECTOR)
		die("/dev/ublkb", errno);
}

static void ublk_end(void *own)
{
	(void)own;
	close(fd);
}

const struct peer peer_ublk = {
	.name = "ublk",
	.make = ublk_make,
	.serve = ublk_serve,
	.reach = ublk_reach,
	.trip = ublk_trip,
	.end = ublk_end,
};
