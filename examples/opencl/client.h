/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the examples share: a vdev, buffers that the client and the device see, one kernel at a time. */
#ifndef INFINI_EXAMPLE_CLIENT_H
#define INFINI_EXAMPLE_CLIENT_H

#include <infini-kernel.h>

#define CLIENT_BUFFERS_MAX	4

struct client {
	int fd;
	uint32_t queue;
	uint32_t nr_buffers;
	uint32_t buffers[CLIENT_BUFFERS_MAX];	/* handles; a job's bindings, in this order */
};

/* Every function ends the program with a sentence when it fails. */

/* A client of the vdev in $INFINI_VDEV, or in the container; its device must run OpenCL C. */
void client_open(struct client *client);

/* SHARED memory: the pages that this program writes are those that the kernel reads. */
void *client_buffer(struct client *client, size_t bytes);

/* Run @kernel over @range on all buffers and wait. */
void client_run(struct client *client, const struct infini_kernel *kernel,
		const struct infini_kernel_run *range, const void *const *scalars);

#endif /* INFINI_EXAMPLE_CLIENT_H */
