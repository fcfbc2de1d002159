/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The calls of CUDA's driver API that are needed, in our own words: NVIDIA's cuda.h is not free to be
 * copied, and this part of the interface is stable. Types and numbers are those that the public
 * documentation of the driver API gives.
 */
#ifndef INFINI_DAEMON_BACKENDS_CUDA_DRIVER_H
#define INFINI_DAEMON_BACKENDS_CUDA_DRIVER_H

#include "../backend.h"

typedef int cuda_result;
typedef int cuda_device;
typedef uint64_t cuda_address;
typedef struct cuda_context *cuda_context;
typedef struct cuda_stream *cuda_stream;
typedef struct cuda_event *cuda_event;
typedef struct cuda_module *cuda_module;
typedef struct cuda_function *cuda_function;

enum {
	CUDA_SUCCESS			= 0,
	CUDA_INVALID_VALUE		= 1,
	CUDA_OUT_OF_MEMORY		= 2,
	CUDA_NO_DEVICE			= 100,
	CUDA_INVALID_IMAGE		= 200,
	CUDA_NO_BINARY_FOR_GPU		= 209,
	CUDA_INVALID_PTX		= 218,
	CUDA_JIT_COMPILER_NOT_FOUND	= 221,
	CUDA_UNSUPPORTED_PTX_VERSION	= 222,
	CUDA_JIT_COMPILATION_DISABLED	= 223,
	CUDA_UNSUPPORTED_DEVICE_SYNC	= 225,
	CUDA_INVALID_SOURCE		= 300,
	CUDA_SHARED_SYMBOL_NOT_FOUND	= 302,
	CUDA_SHARED_INIT_FAILED		= 303,
	CUDA_OPERATING_SYSTEM		= 304,
	CUDA_NOT_FOUND			= 500,
	CUDA_NOT_READY			= 600,
	CUDA_LAUNCH_OUT_OF_RESOURCES	= 701,
	CUDA_HOST_MEMORY_REGISTERED	= 712,
	CUDA_NOT_PERMITTED		= 800,
	CUDA_NOT_SUPPORTED		= 801,
	CUDA_LAUNCHES_NOT_SUPPORTED	= 811,	/* by kernels */
	CUDA_LAUNCHES_VERSION_MISMATCH	= 812,
	CUDA_INVALID_CLUSTER_SIZE	= 912,
};

enum {
	CUDA_DEVICE_THREADS_PER_BLOCK	= 1,
	CUDA_DEVICE_BLOCK_X		= 2,	/* y and z follow */
	CUDA_DEVICE_GRID_X		= 5,	/* y and z follow */
	CUDA_DEVICE_SHARED_PER_BLOCK	= 8,
	CUDA_DEVICE_MULTIPROCESSORS	= 16,
	CUDA_DEVICE_COMPUTE_MODE	= 20,
	CUDA_DEVICE_THREADS_PER_SM	= 39,
	CUDA_DEVICE_MAJOR		= 75,
	CUDA_DEVICE_MINOR		= 76,
	CUDA_DEVICE_SHARED_OPTIN	= 97,
};

enum { CUDA_COMPUTE_DEFAULT = 0, CUDA_COMPUTE_PROHIBITED = 2, CUDA_COMPUTE_EXCLUSIVE = 3 };

enum {
	CUDA_FUNCTION_THREADS_PER_BLOCK	= 0,
	CUDA_FUNCTION_SHARED_BYTES	= 1,
	CUDA_FUNCTION_LOCAL_BYTES	= 3,
	CUDA_FUNCTION_DYNAMIC_SHARED	= 8,
};

enum { CUDA_JIT_ERROR_LOG = 5, CUDA_JIT_ERROR_LOG_BYTES = 6 };

#define CUDA_CONTEXT_BLOCKING_SYNC	0x04
#define CUDA_STREAM_NON_BLOCKING	0x01
#define CUDA_EVENT_BLOCKING_SYNC	0x01
#define CUDA_REGISTER_DEVICEMAP		0x02

/* The parameters of a launch in one buffer. */
#define CUDA_LAUNCH_END			((void *)0)
#define CUDA_LAUNCH_BUFFER		((void *)1)
#define CUDA_LAUNCH_BUFFER_BYTES	((void *)2)

#define CUDA_CALLS(CALL) \
	CALL(init, "cuInit", (unsigned int flags)) \
	CALL(error_name, "cuGetErrorName", (cuda_result error, const char **name)) \
	CALL(device_count, "cuDeviceGetCount", (int *count)) \
	CALL(device_get, "cuDeviceGet", (cuda_device *device, int ordinal)) \
	CALL(device_name, "cuDeviceGetName", (char *name, int bytes, cuda_device device)) \
	CALL(device_bytes, "cuDeviceTotalMem_v2", (size_t *bytes, cuda_device device)) \
	CALL(device_pci, "cuDeviceGetPCIBusId", (char *pci, int bytes, cuda_device device)) \
	CALL(device_attribute, "cuDeviceGetAttribute", \
	     (int *value, int attribute, cuda_device device)) \
	CALL(context_create, "cuCtxCreate_v2", \
	     (cuda_context *context, unsigned int flags, cuda_device device)) \
	CALL(context_destroy, "cuCtxDestroy_v2", (cuda_context context)) \
	CALL(context_set, "cuCtxSetCurrent", (cuda_context context)) \
	CALL(stream_create, "cuStreamCreate", (cuda_stream *stream, unsigned int flags)) \
	CALL(stream_destroy, "cuStreamDestroy_v2", (cuda_stream stream)) \
	CALL(event_create, "cuEventCreate", (cuda_event *event, unsigned int flags)) \
	CALL(event_destroy, "cuEventDestroy_v2", (cuda_event event)) \
	CALL(event_record, "cuEventRecord", (cuda_event event, cuda_stream stream)) \
	CALL(event_query, "cuEventQuery", (cuda_event event)) \
	CALL(event_wait, "cuEventSynchronize", (cuda_event event)) \
	CALL(event_elapsed, "cuEventElapsedTime", \
	     (float *ms, cuda_event start, cuda_event end)) \
	CALL(alloc, "cuMemAlloc_v2", (cuda_address *address, size_t bytes)) \
	CALL(free, "cuMemFree_v2", (cuda_address address)) \
	CALL(host_register, "cuMemHostRegister_v2", \
	     (void *host, size_t bytes, unsigned int flags)) \
	CALL(host_unregister, "cuMemHostUnregister", (void *host)) \
	CALL(host_address, "cuMemHostGetDevicePointer_v2", \
	     (cuda_address *address, void *host, unsigned int flags)) \
	CALL(copy_in, "cuMemcpyHtoDAsync_v2", \
	     (cuda_address dst, const void *src, size_t bytes, cuda_stream stream)) \
	CALL(copy_out, "cuMemcpyDtoHAsync_v2", \
	     (void *dst, cuda_address src, size_t bytes, cuda_stream stream)) \
	CALL(copy, "cuMemcpyDtoDAsync_v2", \
	     (cuda_address dst, cuda_address src, size_t bytes, cuda_stream stream)) \
	CALL(fill, "cuMemsetD8Async", \
	     (cuda_address dst, unsigned char value, size_t bytes, cuda_stream stream)) \
	CALL(module_load, "cuModuleLoadDataEx", \
	     (cuda_module *module, const void *image, unsigned int nr_options, int *options, \
	      void **values)) \
	CALL(module_unload, "cuModuleUnload", (cuda_module module)) \
	CALL(module_function, "cuModuleGetFunction", \
	     (cuda_function *function, cuda_module module, const char *name)) \
	CALL(function_get, "cuFuncGetAttribute", \
	     (int *value, int attribute, cuda_function function)) \
	CALL(function_set, "cuFuncSetAttribute", \
	     (cuda_function function, int attribute, int value)) \
	CALL(launch, "cuLaunchKernel", \
	     (cuda_function function, unsigned int grid_x, unsigned int grid_y, \
	      unsigned int grid_z, unsigned int block_x, unsigned int block_y, \
	      unsigned int block_z, unsigned int shared_bytes, cuda_stream stream, \
	      void **params, void **extra))

/* Missing before CUDA 12.4. */
#define CUDA_OPTIONAL_CALLS(CALL) \
	CALL(function_param, "cuFuncGetParamInfo", \
	     (cuda_function function, size_t index, size_t *offset, size_t *bytes))

struct cuda_driver {
#define CUDA_MEMBER(member, symbol, args) cuda_result (*member) args;
	CUDA_CALLS(CUDA_MEMBER)
	CUDA_OPTIONAL_CALLS(CUDA_MEMBER)
#undef CUDA_MEMBER
};

/*
 * Load the library, once in a process, and initialise it: infinid's [backend cuda] says which, by the
 * environment variable CUDA_LIBRARY_VARIABLE. 0; -ENODEV without a GPU; or another -errno. All but
 * -ENODEV with a reason logged.
 */
#define CUDA_LIBRARY_VARIABLE	"INFINI_CUDA_LIBRARY"
int cuda_driver_load(const struct cuda_driver **driver, infini_backend_log_fn log);

/* CUDA_ERROR_OUT_OF_MEMORY and so on. */
const char *cuda_driver_error(const struct cuda_driver *driver, cuda_result error);

/*
 * -errno for what leaves the context as it was, INFINI_BACKEND_LOST for every other error: a fault
 * stays with its context for good, and a driver newer than this file may have more kinds of it.
 */
int cuda_driver_errno(cuda_result error);

#endif /* INFINI_DAEMON_BACKENDS_CUDA_DRIVER_H */
