// SPDX-License-Identifier: GPL-2.0-or-later
/* CUDA's driver API: the library, and what its errors mean. */
#include "cuda_driver.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>

#define CUDA_LIBRARY	"libcuda.so.1"

static int resolve(void *library, const char *symbol, void *member, infini_backend_log_fn log)
{
	char message[128];

	*(void **)member = dlsym(library, symbol);
	if (*(void **)member)
		return 0;
	snprintf(message, sizeof(message), "cuda: the driver is too old: it has no %s", symbol);
	log(LOG_WARNING, message);
	return -EPROTO;
}

static int load(struct cuda_driver *driver, infini_backend_log_fn log)
{
	const char *path = getenv(CUDA_LIBRARY_VARIABLE);
	char message[512];
	void *library;
	int ret = 0;

	library = dlopen(path && path[0] ? path : CUDA_LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library) {
		snprintf(message, sizeof(message), "cuda: no driver: %s", dlerror());
		log(LOG_WARNING, message);
		return -ENOENT;
	}
#define CUDA_RESOLVE(member, symbol, args) \
	if (!ret) \
		ret = resolve(library, symbol, &driver->member, log);
	CUDA_CALLS(CUDA_RESOLVE)
#undef CUDA_RESOLVE
#define CUDA_RESOLVE(member, symbol, args) *(void **)&driver->member = dlsym(library, symbol);
	CUDA_OPTIONAL_CALLS(CUDA_RESOLVE)
#undef CUDA_RESOLVE
	if (ret)
		dlclose(library);
	return ret;
}

static int initialise(const struct cuda_driver *driver, infini_backend_log_fn log)
{
	char message[128];
	cuda_result error;

	/* Numbers follow the bus, and code of one vdev stays out of a cache on disk. */
	setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID", 1);
	setenv("CUDA_CACHE_DISABLE", "1", 1);
	error = driver->init(0);
	if (error == CUDA_NO_DEVICE)
		return -ENODEV;
	if (!error)
		return 0;
	snprintf(message, sizeof(message), "cuda: the driver does not start: %s",
		 cuda_driver_error(driver, error));
	log(LOG_WARNING, message);
	return error == CUDA_OUT_OF_MEMORY ? -ENOMEM : -EIO;
}

int cuda_driver_load(const struct cuda_driver **driver, infini_backend_log_fn log)
{
	static struct cuda_driver loaded;
	static bool ready;
	int ret;

	if (!ready) {
		ret = load(&loaded, log);
		if (!ret)
			ret = initialise(&loaded, log);
		if (ret)
			return ret;
		ready = true;
	}
	*driver = &loaded;
	return 0;
}

const char *cuda_driver_error(const struct cuda_driver *driver, cuda_result error)
{
	const char *name = NULL;

	return driver->error_name(error, &name) || !name ? "an unknown error" : name;
}

int cuda_driver_errno(cuda_result error)
{
	switch (error) {
	case CUDA_SUCCESS:
		return 0;
	case CUDA_OUT_OF_MEMORY:
		return -ENOMEM;
	case CUDA_JIT_COMPILER_NOT_FOUND:
	case CUDA_JIT_COMPILATION_DISABLED:
	case CUDA_NOT_SUPPORTED:
	case CUDA_NOT_PERMITTED:
	case CUDA_HOST_MEMORY_REGISTERED:
	case CUDA_UNSUPPORTED_DEVICE_SYNC:
	case CUDA_LAUNCHES_NOT_SUPPORTED:
	case CUDA_LAUNCHES_VERSION_MISMATCH:
		return -EOPNOTSUPP;
	case CUDA_INVALID_VALUE:
	case CUDA_INVALID_IMAGE:
	case CUDA_NO_BINARY_FOR_GPU:
	case CUDA_INVALID_PTX:
	case CUDA_UNSUPPORTED_PTX_VERSION:
	case CUDA_INVALID_SOURCE:
	case CUDA_SHARED_SYMBOL_NOT_FOUND:
	case CUDA_SHARED_INIT_FAILED:
	case CUDA_NOT_FOUND:
	case CUDA_LAUNCH_OUT_OF_RESOURCES:
	case CUDA_INVALID_CLUSTER_SIZE:
		return -EINVAL;
	default:
		return INFINI_BACKEND_LOST;
	}
}
