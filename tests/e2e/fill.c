// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Takes memory of the device on the vdev in $INFINI_VDEV, a step at a time, each filled by the device,
 * until it is refused or has enough; says how much it got, and how it was refused or "done".
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <infini.h>

#include "job.h"

/* Device memory that is written is there. */
static int take(int fd, uint32_t queue, uint64_t bytes)
{
	struct infini_buffer_create create = { .type = INFINI_BUFFER_DEVICE, .bytes = bytes };
	struct infini_job job = { .op = INFINI_OP_FILL, .bytes = bytes, .value = 0x5a };
	int err = infini_buffer_create(fd, &create), status = 0;

	job.dst = create.handle;
	if (!err)
		err = job_run(fd, queue, &job, &status);
	return err ? err : status;
}

int main(int argc, char **argv)
{
	struct infini_queue_create queue = { .depth = 1 };
	uint64_t step, most = UINT64_MAX, got = 0;
	int fd, err;

	if (argc != 2 && argc != 3) {
		fprintf(stderr, "usage: fill STEP-BYTES [MOST-BYTES]\n");
		return 2;
	}
	step = strtoull(argv[1], NULL, 10);
	if (argc == 3)
		most = strtoull(argv[2], NULL, 10);
	fd = infini_client_open(NULL, NULL);
	err = fd < 0 ? fd : infini_queue_create(fd, &queue);
	if (err) {
		fprintf(stderr, "fill: %s\n", strerror(-err));
		return 1;
	}
	while (got < most && !(err = take(fd, queue.handle, step)))
		got += step;
	printf("%llu %s\n", (unsigned long long)got, err ? strerrorname_np(-err) : "done");
	return 0;
}
