// SPDX-License-Identifier: GPL-2.0-or-later
/* Finding and opening the devices that the installed OpenCL drivers offer. */
#include "opencl_device.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "opencl_files.h"

#define PLATFORMS_MAX	16
#define DEVICES_MAX	64		/* of all platforms */
#define PLATFORM_NOT_FOUND_KHR	(-1001)

#ifndef CL_DEVICE_PCI_BUS_INFO_KHR
#define CL_DEVICE_PCI_BUS_INFO_KHR	0x410F
#endif

struct pci_bus_info {			/* cl_khr_pci_bus_info */
	cl_uint domain, bus, device, function;
};

void infini_opencl_log(infini_backend_log_fn log, int priority, const char *format, ...)
{
	char line[400];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* Drivers quote what clients wrote. */
	for (char *at = line; *at; at++) {
		if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7f)
			*at = '?';
	}
	log(priority, line);
}

/* ---- errors ------------------------------------------------------------------------ */

static const struct {
	cl_int error;
	const char *name;
	int meaning;
} errors[] = {
	{ CL_DEVICE_NOT_FOUND, "no such device", INFINI_BACKEND_LOST },
	{ CL_DEVICE_NOT_AVAILABLE, "the device is not available", INFINI_BACKEND_LOST },
	{ CL_COMPILER_NOT_AVAILABLE, "no compiler", -EOPNOTSUPP },
	{ CL_MEM_OBJECT_ALLOCATION_FAILURE, "out of device memory", -ENOMEM },
	{ CL_OUT_OF_RESOURCES, "out of resources", -ENOMEM },
	{ CL_OUT_OF_HOST_MEMORY, "out of host memory", -ENOMEM },
	{ CL_MAP_FAILURE, "mapping failed", -EIO },
	{ CL_INVALID_DEVICE, "the device is gone", INFINI_BACKEND_LOST },
	{ CL_INVALID_CONTEXT, "the context is gone", INFINI_BACKEND_LOST },
	{ CL_INVALID_COMMAND_QUEUE, "the queue is gone", INFINI_BACKEND_LOST },
	{ CL_INVALID_BUFFER_SIZE, "larger than a buffer may be", -ENOMEM },
	{ CL_INVALID_KERNEL_NAME, "no kernel of that name", -EINVAL },
	{ CL_INVALID_ARG_SIZE, "an argument of another size", -EINVAL },
	{ CL_INVALID_ARG_VALUE, "an argument of another kind", -EINVAL },
	{ CL_INVALID_KERNEL_ARGS, "arguments are missing", -EINVAL },
	{ CL_INVALID_WORK_GROUP_SIZE, "work-groups of a size that is not possible", -EINVAL },
	{ CL_INVALID_WORK_ITEM_SIZE, "work-groups too long", -EINVAL },
	{ CL_INVALID_GLOBAL_WORK_SIZE, "a range that is not possible", -EINVAL },
	{ CL_INVALID_GLOBAL_OFFSET, "a range that is not possible", -EINVAL },
};

int infini_opencl_error(const struct infini_backend *backend, const char *what, cl_int error)
{
	const char *name = "failed";
	int meaning = -EIO;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		if (errors[i].error != error)
			continue;
		name = errors[i].name;
		meaning = errors[i].meaning;
	}
	infini_opencl_log(backend->log, LOG_WARNING, "OpenCL: %s: %s (error %d)", what, name, error);
	return meaning;
}

int infini_opencl_finish(const struct infini_backend *backend, const char *what)
{
	cl_int error = clFinish(backend->queue);

	if (error == CL_SUCCESS)
		return 0;
	infini_opencl_error(backend, what, error);
	return INFINI_BACKEND_LOST;
}

/* ---- what a device is -------------------------------------------------------------- */

/* All devices of all platforms, in the loader's order: a device's number is its place here. */
static cl_uint list_devices(cl_device_id *devices, infini_backend_log_fn log)
{
	cl_platform_id platforms[PLATFORMS_MAX];
	cl_uint nr_platforms = 0, nr, found = 0;
	cl_int error = clGetPlatformIDs(PLATFORMS_MAX, platforms, &nr_platforms);

	if (error == PLATFORM_NOT_FOUND_KHR || (error == CL_SUCCESS && !nr_platforms))
		infini_opencl_log(log, LOG_NOTICE, "OpenCL: no driver is installed (none in "
				  "/etc/OpenCL/vendors); pocl-opencl-icd drives the CPU");
	else if (error != CL_SUCCESS)
		infini_opencl_log(log, LOG_WARNING, "OpenCL: the loader fails with %d", error);
	if (error != CL_SUCCESS)
		return 0;
	if (nr_platforms > PLATFORMS_MAX)
		nr_platforms = PLATFORMS_MAX;
	for (cl_uint i = 0; i < nr_platforms && found < DEVICES_MAX; i++) {
		nr = 0;
		error = clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, DEVICES_MAX - found,
				       devices + found, &nr);
		if (error != CL_SUCCESS)
			continue;
		found += nr < DEVICES_MAX - found ? nr : DEVICES_MAX - found;
	}
	return found;
}

static cl_ulong device_number(cl_device_id device, cl_device_info what, size_t bytes)
{
	union {
		cl_uint small;
		cl_ulong large;
	} value = { .large = 0 };

	if (clGetDeviceInfo(device, what, bytes, &value, NULL) != CL_SUCCESS)
		return 0;
	return bytes == sizeof(value.small) ? value.small : value.large;
}

static uint32_t class_of(cl_device_id device)
{
	cl_ulong type = device_number(device, CL_DEVICE_TYPE, sizeof(cl_device_type));

	if (type & CL_DEVICE_TYPE_GPU)
		return INFINI_CLASS_GPU;
	if (type & CL_DEVICE_TYPE_CPU)
		return INFINI_CLASS_CPU;
	return type & CL_DEVICE_TYPE_ACCELERATOR ? INFINI_CLASS_NPU : INFINI_CLASS_OTHER;
}

/* Why this device is not offered, or NULL. */
static const char *unfit(cl_device_id device)
{
	if (!device_number(device, CL_DEVICE_AVAILABLE, sizeof(cl_bool)))
		return "its driver says that it is not available";
	if (!device_number(device, CL_DEVICE_COMPILER_AVAILABLE, sizeof(cl_bool)))
		return "its driver has no compiler for OpenCL C";
	if (!device_number(device, CL_DEVICE_ENDIAN_LITTLE, sizeof(cl_bool)))
		return "its byte order is not this machine's";
	return NULL;
}

static void describe_kind(struct infini_memory_kind *kind, cl_device_id device, const char *name,
			  uint32_t flags)
{
	cl_ulong bits = device_number(device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(cl_uint));

	snprintf((char *)kind->name, sizeof(kind->name), "%s", name);
	kind->flags = flags;
	kind->alignment = 64;
	while (kind->alignment < bits / 8)
		kind->alignment *= 2;
	kind->max_bytes = device_number(device, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(cl_ulong));
}

/* "" where the driver does not tell. */
static void describe_pci(cl_device_id device, char *pci, size_t bytes)
{
	struct pci_bus_info at;

	if (clGetDeviceInfo(device, CL_DEVICE_PCI_BUS_INFO_KHR, sizeof(at), &at, NULL) ||
	    (size_t)snprintf(pci, bytes, "%04x:%02x:%02x.%x", at.domain, at.bus, at.device,
			     at.function) >= bytes)
		pci[0] = '\0';
}

static void describe(cl_device_id device, cl_uint number, struct infini_backend_device *out)
{
	char name[256] = "";

	memset(out, 0, sizeof(*out));
	snprintf(out->name, sizeof(out->name), "opencl%u", number);
	clGetDeviceInfo(device, CL_DEVICE_NAME, sizeof(name) - 1, name, NULL);
	snprintf(out->description, sizeof(out->description), "%.63s", name);
	describe_pci(device, out->pci, sizeof(out->pci));
	out->device_class = class_of(device);
	/* Only programs whose author says that they may be cut yield sooner. */
	out->level = INFINI_LEVEL_LAUNCH;
	out->needs = INFINI_BACKEND_NEEDS_COMPILER;
	out->slots = 1;
	out->memory_bytes = device_number(device, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(cl_ulong));
	out->nr_kinds = 1;
	if (out->device_class != INFINI_CLASS_CPU) {
		describe_kind(&out->kinds[INFINI_OPENCL_KIND_MAIN], device, "OpenCL", 0);
		return;
	}
	describe_kind(&out->kinds[INFINI_OPENCL_KIND_MAIN], device, "host",
		      INFINI_MEMORY_F_UNIFIED);
	describe_kind(&out->kinds[INFINI_OPENCL_KIND_OWN], device, "OpenCL", 0);
	out->nr_kinds = 2;
}

/* ---- probing ----------------------------------------------------------------------- */

int infini_opencl_device_probe(infini_backend_found_fn found, void *arg,
			       infini_backend_log_fn log)
{
	struct infini_backend_device out;
	cl_device_id devices[DEVICES_MAX];
	cl_uint nr = list_devices(devices, log);
	const char *problem;

	for (cl_uint i = 0; i < nr; i++) {
		problem = unfit(devices[i]);
		if (problem) {
			infini_opencl_log(log, LOG_INFO, "OpenCL device %u is left out: %s", i,
					  problem);
			continue;
		}
		describe(devices[i], i, &out);
		if (out.device_class == INFINI_CLASS_CPU)
			infini_opencl_log(log, LOG_WARNING, "%s: clients' kernels are native code of "
					  "this CPU: they may compute and take memory past what their "
					  "vdev is given, up to worker_memory of infinid.conf; for "
					  "tenants whom you trust so far", out.name);
		if (found(&out, arg))
			break;
	}
	return 0;
}

/* ---- opening ----------------------------------------------------------------------- */

/* PoCL reads these when it starts; other drivers do not know them. */
static void prepare_pocl(const struct infini_backend_open *open)
{
	char threads[16];

	snprintf(threads, sizeof(threads), "%u", open->threads_max);
	setenv("POCL_CPU_MAX_CU_COUNT", threads, 1);
	setenv("POCL_MAX_PTHREAD_COUNT", threads, 1);
	/* A program's files go with the program. */
	setenv("POCL_KERNEL_CACHE", "0", 1);
	if (open->scratch)
		setenv("POCL_CACHE_DIR", open->scratch, 1);
}

/* By address where there is one: numbers, and so names, move when a driver comes or goes. */
static cl_device_id find(const struct infini_backend_open *open)
{
	struct infini_backend_device out;
	cl_device_id devices[DEVICES_MAX];
	cl_uint nr = list_devices(devices, open->log);

	for (cl_uint i = 0; i < nr; i++) {
		if (unfit(devices[i]))
			continue;
		describe(devices[i], i, &out);
		if (open->pci && open->pci[0] && out.pci[0] ? !strcmp(out.pci, open->pci) :
		    !strcmp(out.name, open->device))
			return devices[i];
	}
	return NULL;
}

static void learn_limits(struct infini_backend *backend)
{
	clGetDeviceInfo(backend->device, CL_DEVICE_MAX_WORK_GROUP_SIZE,
			sizeof(backend->group_items_max), &backend->group_items_max, NULL);
	/* More dimensions than three would not fit: then nothing is written, and none allowed. */
	clGetDeviceInfo(backend->device, CL_DEVICE_MAX_WORK_ITEM_SIZES,
			sizeof(backend->items_max), backend->items_max, NULL);
	backend->local_bytes = device_number(backend->device, CL_DEVICE_LOCAL_MEM_SIZE,
					     sizeof(cl_ulong));
	backend->is_cpu = class_of(backend->device) == INFINI_CLASS_CPU;
}

int infini_opencl_device_open(const struct infini_backend_open *open,
			      struct infini_backend **backend)
{
	struct infini_backend *b = calloc(1, sizeof(*b));
	cl_int error = CL_SUCCESS;

	if (!b)
		return -ENOMEM;
	prepare_pocl(open);
	b->log = open->log;
	b->segment_ns = 1000ULL * open->segment_us;
	if (open->scratch)
		snprintf(b->scratch, sizeof(b->scratch), "%s", open->scratch);
	b->device = find(open);
	if (!b->device) {
		infini_opencl_log(open->log, LOG_ERR, "OpenCL has no device \"%s\" any more",
				  open->device);
		free(b);
		return -ENODEV;
	}
	learn_limits(b);
	b->context = clCreateContext(NULL, 1, &b->device, NULL, NULL, &error);
	if (b->context)
		b->queue = clCreateCommandQueue(b->context, b->device, 0, &error);
	if (!b->queue) {
		infini_opencl_error(b, "opening the device", error);
		infini_opencl_device_close(b);
		return -EIO;
	}
	infini_opencl_files_count(b);
	*backend = b;
	return 0;
}

void infini_opencl_device_close(struct infini_backend *backend)
{
	if (backend->queue)
		clReleaseCommandQueue(backend->queue);
	if (backend->context)
		clReleaseContext(backend->context);
	free(backend);
}

uint64_t infini_opencl_device_held_bytes(struct infini_backend *backend)
{
	return backend->held_bytes;
}
