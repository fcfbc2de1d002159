/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An opened OpenCL device, and what its errors mean. */
#ifndef INFINI_OPENCL_DEVICE_H
#define INFINI_OPENCL_DEVICE_H

#define CL_TARGET_OPENCL_VERSION 120
#include <CL/cl.h>

#include "../backend.h"

enum {
	INFINI_OPENCL_KIND_MAIN,	/* a CPU: module pages; else the device's own memory */
	INFINI_OPENCL_KIND_OWN,		/* of a CPU: what the OpenCL library allocates */
};

struct infini_backend {
	infini_backend_log_fn log;
	cl_device_id device;
	cl_context context;
	cl_command_queue queue;
	bool is_cpu;
	uint64_t segment_ns;
	size_t group_items_max;
	size_t items_max[3];
	uint64_t local_bytes;
	char scratch[256];		/* where the compiler may write, or "" */
	uint64_t held_bytes;		/* by its files there, which are memory */
};

int infini_opencl_device_probe(infini_backend_found_fn found, void *arg,
			       infini_backend_log_fn log);
int infini_opencl_device_open(const struct infini_backend_open *open,
			      struct infini_backend **backend);
void infini_opencl_device_close(struct infini_backend *backend);
uint64_t infini_opencl_device_held_bytes(struct infini_backend *backend);

void infini_opencl_log(infini_backend_log_fn log, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * What @error of @what means, logged: -ENOMEM, -EINVAL, -EIO, or INFINI_BACKEND_LOST when the device
 * is gone.
 */
int infini_opencl_error(const struct infini_backend *backend, const char *what, cl_int error);

/* Wait for what was enqueued. Work that fails on the device takes the context with it. */
int infini_opencl_finish(const struct infini_backend *backend, const char *what);

#endif /* INFINI_OPENCL_DEVICE_H */
