// SPDX-License-Identifier: GPL-2.0-or-later
/* Sends a file as a ggml program to the vdev in $INFINI_VDEV and says how the job ended. */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <infini.h>

#include "job.h"

static void *read_file(const char *path, size_t *bytes)
{
	struct stat st;
	void *data;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st))
		return NULL;
	*bytes = st.st_size;
	data = malloc(*bytes);
	if (data && read(fd, data, *bytes) != (ssize_t)*bytes) {
		free(data);
		data = NULL;
	}
	close(fd);
	return data;
}

static int run_program(int fd, const void *data, size_t bytes, int *status)
{
	struct infini_queue_create queue = { .depth = 1 };
	struct infini_job job = { .op = INFINI_OP_PROGRAM };
	int err = infini_queue_create(fd, &queue);

	if (!err)
		err = infini_program_create(fd, INFINI_FORMAT_GGML, data, bytes, &job.program);
	if (!err)
		err = job_run(fd, queue.handle, &job, status);
	return err;
}

int main(int argc, char **argv)
{
	size_t bytes;
	void *data;
	int fd, err, status = 0;

	if (argc != 2) {
		fprintf(stderr, "usage: send-program FILE\n");
		return 2;
	}
	data = read_file(argv[1], &bytes);
	if (!data) {
		fprintf(stderr, "send-program: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	fd = infini_client_open(NULL, NULL);
	err = fd < 0 ? fd : run_program(fd, data, bytes, &status);
	free(data);
	if (err) {
		fprintf(stderr, "send-program: %s\n", strerror(-err));
		return 1;
	}
	printf("%s\n", status == -EINVAL ? "EINVAL" : strerror(-status));
	return 0;
}
