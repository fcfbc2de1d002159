// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Empty jobs, one by one, each waited for in the call that hands it in: from the client to the
 * worker and back. empty VDEV BATCHES JOBS prints the nanoseconds that each batch took.
 */
#include <errno.h>
#include <infini.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static _Noreturn void die(const char *what, int err)
{
	fprintf(stderr, "empty: %s: %s\n", what, strerror(-err));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void jobs(int fd, uint32_t queue, unsigned long nr)
{
	struct infini_job job = { .op = INFINI_OP_NOP };

	while (nr--) {
		struct infini_submit submit = {
			.flags = INFINI_SUBMIT_F_WAIT,
			.queue = queue,
			.nr_jobs = 1,
			.jobs = (uintptr_t)&job,
			.jobs_stride = sizeof(job),
			.deadline_ns = INFINI_FOREVER,
		};
		int err = infini_submit(fd, &submit);

		if (err || submit.status)
			die("submit", err ? err : submit.status);
	}
}

int main(int argc, char **argv)
{
	struct infini_queue_create queue = { .depth = 1 };
	unsigned long batches, nr;
	int fd, err;

	if (argc != 4) {
		fprintf(stderr, "usage: empty VDEV BATCHES JOBS\n");
		return 2;
	}
	batches = strtoul(argv[2], NULL, 10);
	nr = strtoul(argv[3], NULL, 10);
	fd = infini_client_open(NULL, argv[1]);
	if (fd < 0)
		die(argv[1], fd);
	err = infini_queue_create(fd, &queue);
	if (err)
		die("queue", err);
	/* The first starts the worker, and its way is not yet paved. */
	jobs(fd, queue.handle, nr);
	while (batches--) {
		uint64_t began_ns = now_ns();

		jobs(fd, queue.handle, nr);
		printf("%" PRIu64 "\n", now_ns() - began_ns);
	}
	return fflush(stdout) ? 1 : 0;
}
