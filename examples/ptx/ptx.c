// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Kernels in PTX on a virtual device, checked: "ptx saxpy 1000000", "ptx sgemm 512", or "ptx run FILE
 * KERNEL" for a kernel without parameters. What the kernels read and write is on the device; copies in,
 * the kernel and the copy out are one batch.
 */
#include <errno.h>
#include <infini-kernel.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUFFERS		3
#define BLOCK		128
#define TILE		16
#define SGEMM_MAX	8192
#define TEXT_BYTES_MAX	(1 << 20)

static int fd;
static uint32_t queue;
static struct {
	float *pages;			/* what this process sees */
	uint32_t shared, device;
	size_t bytes;
} buffers[BUFFERS];

static void need(int err, const char *what)
{
	if (!err)
		return;
	fprintf(stderr, "%s: %s%s\n", what, strerror(-err), err == -EINVAL ?
		" (the log of infinid has the reason)" : "");
	exit(1);
}

static void open_vdev(void)
{
	struct infini_queue_create create = { .depth = 2 * BUFFERS };
	struct infini_vdev_info info = { 0 };

	fd = infini_client_open(NULL, NULL);
	need(fd < 0 ? fd : 0, "cannot open the vdev (INFINI_VDEV=NAME)");
	need(infini_vdev_info(fd, &info), "cannot ask what the vdev is");
	if (strcmp((const char *)info.backend, "cuda")) {
		fprintf(stderr, "the device of vdev %s runs %s, not PTX\n", info.name, info.backend);
		exit(1);
	}
	printf("vdev %s on %s: %s\n", info.name, info.device_name, info.description);
	need(infini_queue_create(fd, &create), "cannot make a queue");
	queue = create.handle;
}

/* One on the device, and one in pages that are copied to and from it. */
static float *make_buffer(int i, size_t bytes)
{
	struct infini_buffer_create shared = { .type = INFINI_BUFFER_SHARED, .bytes = bytes };
	struct infini_buffer_create device = { .type = INFINI_BUFFER_DEVICE, .bytes = bytes };
	void *addr;

	need(infini_buffer_create(fd, &shared), "cannot make a buffer");
	need(infini_buffer_map(fd, shared.map_offset, bytes, &addr), "cannot map a buffer");
	need(infini_buffer_create(fd, &device), "cannot make a buffer on the device");
	buffers[i].shared = shared.handle;
	buffers[i].device = device.handle;
	buffers[i].bytes = bytes;
	return buffers[i].pages = addr;
}

static char *read_file(const char *path)
{
	static char text[TEXT_BYTES_MAX];
	FILE *file = fopen(path, "re");

	if (!file) {
		perror(path);
		exit(1);
	}
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

/* Where the kernels lie: beside this program's source, or where EXAMPLES says. */
static char *read_kernel(const char *name)
{
	const char *folder = getenv("EXAMPLES");
	char path[512];

	snprintf(path, sizeof(path), "%s/%s.ptx", folder ? folder : ".", name);
	return read_file(path);
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Copy the first @in buffers in, run, copy buffer @out back. */
static void run(const struct infini_kernel *kernel, const struct infini_kernel_run *range,
		const void *const *scalars, uint32_t nr, uint32_t in, uint32_t out)
{
	struct infini_binding bindings[BUFFERS];
	struct infini_job jobs[BUFFERS + 2] = { 0 };
	struct infini_submit submit = {
		.flags = INFINI_SUBMIT_F_WAIT,
		.queue = queue,
		.jobs = (uintptr_t)jobs,
		.jobs_stride = sizeof(jobs[0]),
		.deadline_ns = INFINI_FOREVER,
	};
	struct infini_job *job = jobs;
	double begin;
	void *args;

	for (uint32_t i = 0; i < in; i++)
		*job++ = (struct infini_job){ .op = INFINI_OP_COPY, .dst = buffers[i].device,
					      .src = buffers[i].shared, .bytes = buffers[i].bytes };
	for (uint32_t i = 0; i < nr; i++)
		bindings[i] = (struct infini_binding){ buffers[i].device, INFINI_ACCESS_READ |
						       INFINI_ACCESS_WRITE };
	job->op = INFINI_OP_PROGRAM;
	job->nr_bindings = nr;
	job->bindings = nr ? (uintptr_t)bindings : 0;
	job->args_bytes = (uint32_t)infini_kernel_args_bytes(kernel);
	args = malloc(job->args_bytes);
	need(args ? 0 : -ENOMEM, kernel->name);
	infini_kernel_args(kernel, range, scalars, args);
	job->args = (uintptr_t)args;
	need(infini_kernel_create(fd, kernel, &job->program), "cannot upload the kernel");
	job++;
	if (nr)
		*job++ = (struct infini_job){ .op = INFINI_OP_COPY, .dst = buffers[out].shared,
					      .src = buffers[out].device,
					      .bytes = buffers[out].bytes };
	submit.nr_jobs = (uint32_t)(job - jobs);
	begin = seconds();
	need(infini_submit(fd, &submit), "cannot submit");
	need(submit.status, kernel->name);
	printf("%s: %.1f ms with copies\n", kernel->name, (seconds() - begin) * 1e3);
	free(args);
}

static int saxpy(uint32_t n)
{
	static const struct infini_kernel_param params[] = {
		INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ),
		INFINI_PARAM_BUFFER(1, INFINI_ACCESS_READ | INFINI_ACCESS_WRITE),
		INFINI_PARAM_SCALAR(sizeof(float)), INFINI_PARAM_SCALAR(sizeof(uint32_t)),
		INFINI_PARAM_OFFSET,
	};
	const struct infini_kernel kernel = {
		.format = INFINI_FORMAT_PTX, .flags = INFINI_KERNEL_F_CUTTABLE, .name = "saxpy",
		.text = read_kernel("saxpy"), .params = params, .nr_params = 5,
	};
	const struct infini_kernel_run range = {
		.groups = { (n - 1) / BLOCK + 1, 1, 1 }, .items = { BLOCK, 1, 1 },
	};
	const float a = 2.5F;
	const void *scalars[] = { &a, &n };
	float *x = make_buffer(0, n * sizeof(float)), *y = make_buffer(1, n * sizeof(float));
	size_t wrong = 0;

	for (size_t i = 0; i < n; i++) {
		x[i] = (float)(i % 1000) / 8;
		y[i] = (float)(i % 77);
	}
	run(&kernel, &range, scalars, 2, 2, 1);
	for (size_t i = 0; i < n; i++)
		wrong += y[i] != fmaf(a, x[i], (float)(i % 77));
	printf("saxpy of %u: %zu wrong\n", n, wrong);
	return wrong != 0;
}

/* The same sum in the same order as the kernel's. */
static float dot(const float *a, const float *b, uint32_t n, size_t row, size_t column)
{
	float sum = 0;

	for (size_t k = 0; k < n; k++)
		sum = fmaf(a[row * n + k], b[k * n + column], sum);
	return sum;
}

static int sgemm(uint32_t n)
{
	static const struct infini_kernel_param params[] = {
		INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ),
		INFINI_PARAM_BUFFER(1, INFINI_ACCESS_READ),
		INFINI_PARAM_BUFFER(2, INFINI_ACCESS_WRITE),
		INFINI_PARAM_SCALAR(sizeof(uint32_t)), INFINI_PARAM_SCALAR(sizeof(uint32_t)),
		INFINI_PARAM_SCALAR(sizeof(uint32_t)), INFINI_PARAM_OFFSET,
	};
	const struct infini_kernel kernel = {
		.format = INFINI_FORMAT_PTX, .flags = INFINI_KERNEL_F_CUTTABLE, .name = "sgemm",
		.text = read_kernel("sgemm"), .params = params, .nr_params = 7,
	};
	const uint32_t blocks = (n - 1) / TILE + 1;
	const struct infini_kernel_run range = {
		.groups = { blocks, blocks, 1 }, .items = { TILE, TILE, 1 },
	};
	const void *scalars[] = { &n, &n, &n };
	const size_t count = (size_t)n * n;
	float *a = make_buffer(0, count * sizeof(float)), *b = make_buffer(1, count * sizeof(float));
	float *c = make_buffer(2, count * sizeof(float));
	size_t wrong = 0;

	for (size_t i = 0; i < count; i++) {
		a[i] = (float)(i * 37 % 101) / 50 - 1;
		b[i] = (float)(i * 53 % 97) / 48 - 1;
	}
	run(&kernel, &range, scalars, 3, 2, 2);
	for (size_t i = 0; i < count; i++)
		wrong += c[i] != dot(a, b, n, i / n, i % n);
	printf("sgemm of %u: %zu wrong\n", n, wrong);
	return wrong != 0;
}

static int run_file(const char *path, const char *name)
{
	const struct infini_kernel kernel = {
		.format = INFINI_FORMAT_PTX, .name = name, .text = read_file(path),
	};
	const struct infini_kernel_run range = { .groups = { 1, 1, 1 }, .items = { 1, 1, 1 } };

	run(&kernel, &range, NULL, 0, 0, 0);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned long n = argc > 2 ? strtoul(argv[2], NULL, 10) : 256;

	if (argc == 4 && !strcmp(argv[1], "run")) {
		open_vdev();
		return run_file(argv[2], argv[3]);
	}
	if (argc < 2 || argc > 3 || !n || n > (argv[1][1] == 'a' ? 1UL << 30 : SGEMM_MAX) ||
	    (strcmp(argv[1], "saxpy") && strcmp(argv[1], "sgemm"))) {
		fprintf(stderr, "usage: ptx saxpy|sgemm [N] | run FILE KERNEL; sgemm up to %d\n",
			SGEMM_MAX);
		return 2;
	}
	open_vdev();
	return argv[1][1] == 'a' ? saxpy((uint32_t)n) : sgemm((uint32_t)n);
}
