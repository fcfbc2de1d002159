// SPDX-License-Identifier: LGPL-2.1-or-later
/* What the examples share: a vdev, buffers that the client and the device see, one kernel at a time. */
#include "client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void need(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s%s\n", what, strerror(-err), err == -EINVAL ?
		" (the log of infinid has the reason)" : "");
	exit(1);
}

void client_open(struct client *client)
{
	struct infini_queue_create queue = { .depth = 1 };
	struct infini_vdev_info info = { 0 };

	client->fd = infini_client_open(NULL, NULL);
	need(client->fd < 0 ? client->fd : 0, "cannot open the vdev (INFINI_VDEV=NAME)");
	need(infini_vdev_info(client->fd, &info), "cannot ask what the vdev is");
	if (strcmp((const char *)info.backend, "opencl")) {
		fprintf(stderr, "the device of vdev %s runs %s, not OpenCL C\n", info.name,
			info.backend);
		exit(1);
	}
	printf("vdev %s on %s: %s\n", info.name, info.device_name, info.description);
	need(infini_queue_create(client->fd, &queue), "cannot make a queue");
	client->queue = queue.handle;
	client->nr_buffers = 0;
}

void *client_buffer(struct client *client, size_t bytes)
{
	struct infini_buffer_create create = { .type = INFINI_BUFFER_SHARED, .bytes = bytes };
	void *addr;

	if (client->nr_buffers == CLIENT_BUFFERS_MAX)
		need(-ENOSPC, "one buffer more");
	need(infini_buffer_create(client->fd, &create), "cannot make a buffer");
	need(infini_buffer_map(client->fd, create.map_offset, bytes, &addr), "cannot map a buffer");
	client->buffers[client->nr_buffers++] = create.handle;
	return addr;
}

void client_run(struct client *client, const struct infini_kernel *kernel,
		const struct infini_kernel_run *range, const void *const *scalars)
{
	struct infini_binding bindings[CLIENT_BUFFERS_MAX];
	struct infini_job job = {
		.op = INFINI_OP_PROGRAM,
		.nr_bindings = client->nr_buffers,
		.bindings = (uintptr_t)bindings,
		.args_bytes = (uint32_t)infini_kernel_args_bytes(kernel),
		/* The first job compiles. */
		.timeout_ns = 300ULL * 1000000000,
	};
	struct infini_submit submit = {
		.flags = INFINI_SUBMIT_F_WAIT,
		.queue = client->queue,
		.nr_jobs = 1,
		.jobs = (uintptr_t)&job,
		.jobs_stride = sizeof(job),
		.deadline_ns = INFINI_FOREVER,
	};
	void *args = malloc(job.args_bytes);

	need(args ? 0 : -ENOMEM, kernel->name);
	infini_kernel_args(kernel, range, scalars, args);
	job.args = (uintptr_t)args;
	for (uint32_t i = 0; i < client->nr_buffers; i++)
		bindings[i] = (struct infini_binding){ client->buffers[i],
						       INFINI_ACCESS_READ | INFINI_ACCESS_WRITE };
	need(infini_kernel_create(client->fd, kernel, &job.program), "cannot upload the kernel");
	need(infini_submit(client->fd, &submit), "cannot submit");
	need(submit.status, kernel->name);
	need(infini_program_destroy(client->fd, job.program), kernel->name);
	free(args);
}
