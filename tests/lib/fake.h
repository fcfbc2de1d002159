/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A kernel for libinfini: open, close, ioctl, mmap and munmap, each recorded and told what to say. */
#ifndef TESTS_LIB_FAKE_H
#define TESTS_LIB_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define FAKE_FD		1000	/* what open returns; no real descriptor is that high */
#define FAKE_ARG_MAX	512

/**
 * struct fake_ioctl - one call of ioctl()
 * @arg: the struct as the library passed it
 */
struct fake_ioctl {
	int fd;
	unsigned long cmd;
	uint32_t size;
	unsigned char arg[FAKE_ARG_MAX] __attribute__((aligned(8)));
};

/**
 * struct fake - what was asked, and what to answer
 * @open_errno: fail open with it; likewise the others
 * @ioctl_errno_of: fail this command only; 0 for all
 * @fill: writes the outputs of an ioctl that succeeds
 */
struct fake {
	int open_errno;
	int ioctl_errno;
	unsigned long ioctl_errno_of;
	int mmap_errno;
	int munmap_errno;
	void (*fill)(unsigned long cmd, void *arg);
	void *map;

	char path[128];
	int open_flags;
	unsigned int nr_opens;
	unsigned int nr_closes;
	int closed_fd;
	unsigned int nr_ioctls;
	struct fake_ioctl ioctls[8];
	unsigned int nr_maps;
	size_t map_bytes;
	int map_prot, map_flags, map_fd;
	off_t map_offset;
	unsigned int nr_unmaps;
	void *unmap_addr;
	size_t unmap_bytes;
};

extern struct fake fake;

void fake_reset(void);

#endif /* TESTS_LIB_FAKE_H */
