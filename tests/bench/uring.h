/* SPDX-License-Identifier: GPL-2.0-or-later */
/* As much of io_uring as commands to a driver need: entries of 128 bytes, one after the other. */
#ifndef BENCH_URING_H
#define BENCH_URING_H

#include <linux/io_uring.h>
#include <stddef.h>
#include <stdint.h>

struct uring {
	int fd;
	uint8_t *entries;		/* 128 bytes each */
	uint32_t *sq_tail, *sq_mask, *sq_array;
	uint32_t *cq_head, *cq_tail, *cq_mask;
	struct io_uring_cqe *cqes;
};

/* 0 or -errno. */
int uring_open(struct uring *ring, unsigned int entries);

/* Puts a command for the driver of @fd into the ring, @bytes of it at @data. Nobody is told yet. */
void uring_command(struct uring *ring, int fd, uint32_t command, const void *data, size_t bytes);

/* Hands @nr commands in and waits for one completion, in one call; its result. */
int uring_next(struct uring *ring, unsigned int nr);

#endif /* BENCH_URING_H */
