// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs the OpenCL C kernel "k" of a text, which takes one buffer of ints, on the vdev in $INFINI_VDEV,
 * and says how the job ended.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <infini-kernel.h>

#include "job.h"

static const struct infini_kernel_param params[] = {
	INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ | INFINI_ACCESS_WRITE),
};

static int run(int fd, const struct infini_kernel *kernel, uint64_t timeout_ns, int *status)
{
	const struct infini_kernel_run range = { .groups = { 1, 1, 1 }, .items = { 1, 1, 1 } };
	struct infini_buffer_create buffer = { .type = INFINI_BUFFER_SHARED, .bytes = 4096 };
	struct infini_binding binding = { .access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE };
	struct infini_queue_create queue = { .depth = 1 };
	struct infini_job job = {
		.op = INFINI_OP_PROGRAM,
		.nr_bindings = 1,
		.bindings = (uintptr_t)&binding,
		.args = (uintptr_t)&range,
		.args_bytes = sizeof(range),
		.timeout_ns = timeout_ns,
	};
	int err = infini_queue_create(fd, &queue);

	if (!err)
		err = infini_buffer_create(fd, &buffer);
	if (!err)
		err = infini_kernel_create(fd, kernel, &job.program);
	binding.buffer = buffer.handle;
	if (!err)
		err = job_run(fd, queue.handle, &job, status);
	return err;
}

int main(int argc, char **argv)
{
	struct infini_kernel kernel = {
		.format = INFINI_FORMAT_OPENCL_C,
		.name = "k",
		.params = params,
		.nr_params = 1,
	};
	int fd, err, status = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: send-kernel TEXT SECONDS\n");
		return 2;
	}
	kernel.text = argv[1];
	fd = infini_client_open(NULL, NULL);
	err = fd < 0 ? fd : run(fd, &kernel, strtoull(argv[2], NULL, 10) * 1000000000, &status);
	if (err) {
		fprintf(stderr, "send-kernel: %s\n", strerror(-err));
		return 1;
	}
	printf("%s\n", status ? strerrorname_np(-status) : "done");
	return 0;
}
