// SPDX-License-Identifier: GPL-2.0-or-later
/* A GPU of the CUDA driver: how it is found, opened and lost. */
#include "cuda_device.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#define CUDA_ALIGNMENT		256		/* of what cuMemAlloc returns */
#define CUDA_QUEUED_BYTES_MAX	(32ULL << 20)
#define CUDA_RESERVED_PART	16		/* of the memory, for the driver's own */
#define CUDA_POLL_NS		20000		/* short work is not worth a sleep */

/* ---- finding ----------------------------------------------------------------------- */

static const char *compute_mode_refusal(const struct cuda_driver *driver, cuda_device device)
{
	int mode;

	if (driver->device_attribute(&mode, CUDA_DEVICE_COMPUTE_MODE, device))
		return NULL;
	if (mode == CUDA_COMPUTE_PROHIBITED)
		return "its compute mode is Prohibited";
	if (mode == CUDA_COMPUTE_EXCLUSIVE)
		return "its compute mode lets one process use it, and every vdev has its own";
	return NULL;
}

static void lower_case(char *text)
{
	for (; *text; text++) {
		if (*text >= 'A' && *text <= 'F')
			*text = (char)(*text - 'A' + 'a');
	}
}

static int describe(const struct cuda_driver *driver, int ordinal, cuda_device *id,
		    struct infini_backend_device *device)
{
	int major = 0, minor = 0;
	char name[64] = "";
	size_t bytes;

	memset(device, 0, sizeof(*device));
	if (driver->device_get(id, ordinal) || driver->device_bytes(&bytes, *id) ||
	    driver->device_name(name, sizeof(name), *id))
		return -EIO;
	/* Energy and the inventory go by the address; without one the GPU works all the same. */
	if (driver->device_pci(device->pci, sizeof(device->pci), *id))
		device->pci[0] = '\0';
	lower_case(device->pci);
	driver->device_attribute(&major, CUDA_DEVICE_MAJOR, *id);
	driver->device_attribute(&minor, CUDA_DEVICE_MINOR, *id);
	snprintf(device->name, sizeof(device->name), "cuda%d", ordinal);
	snprintf(device->description, sizeof(device->description), "%.40s, compute %d.%d", name,
		 major, minor);
	device->device_class = INFINI_CLASS_GPU;
	device->level = INFINI_LEVEL_LAUNCH;
	device->slots = 1;
	/*
	 * Contexts and code take memory that nobody can be charged with: how much, the driver says only
	 * of the whole GPU, where others come and go.
	 */
	device->memory_bytes = bytes - bytes / CUDA_RESERVED_PART;
	device->nr_kinds = 1;
	strcpy((char *)device->kinds[0].name, "CUDA");
	device->kinds[0].alignment = CUDA_ALIGNMENT;
	return 0;
}

int cuda_device_probe(infini_backend_found_fn found, void *arg, infini_backend_log_fn log)
{
	const struct cuda_driver *driver;
	struct infini_backend_device device;
	char message[160];
	const char *why;
	cuda_device id;
	int count, ret;

	ret = cuda_driver_load(&driver, log);
	if (ret)
		return ret == -ENODEV ? 0 : ret;
	if (driver->device_count(&count))
		return -EIO;
	for (int i = 0; i < count; i++) {
		why = describe(driver, i, &id, &device) ? "the driver does not describe it" :
			compute_mode_refusal(driver, id);
		if (why) {
			snprintf(message, sizeof(message), "cuda%d is left out: %s%s", i, why,
				 strstr(why, "mode") ? "; see nvidia-smi -c" : "");
			log(LOG_WARNING, message);
		} else if (found(&device, arg)) {
			break;
		}
	}
	return 0;
}

/* ---- opening ----------------------------------------------------------------------- */

/* Numbers change when a GPU is added or fails, addresses do not. */
static int find(const struct cuda_driver *driver, const struct infini_backend_open *open,
		cuda_device *id)
{
	struct infini_backend_device device;
	int count;

	if (driver->device_count(&count))
		return -EIO;
	for (int i = 0; i < count; i++) {
		if (describe(driver, i, id, &device))
			continue;
		if (open->pci[0] ? !strcmp(open->pci, device.pci) :
				   !strcmp(open->device, device.name))
			return 0;
	}
	return -ENODEV;
}

static int read_limit(const struct cuda_driver *driver, cuda_device id, int attribute,
		      uint32_t *limit)
{
	int value;

	if (driver->device_attribute(&value, attribute, id) || value < 0)
		return -EIO;
	*limit = (uint32_t)value;
	return 0;
}

static int read_limits(const struct cuda_driver *driver, cuda_device id, struct cuda_limits *l)
{
	uint32_t processors = 0, each = 0;
	int ret = 0;

	for (int i = 0; i < 3; i++) {
		ret |= read_limit(driver, id, CUDA_DEVICE_BLOCK_X + i, &l->items[i]);
		ret |= read_limit(driver, id, CUDA_DEVICE_GRID_X + i, &l->groups[i]);
	}
	ret |= read_limit(driver, id, CUDA_DEVICE_THREADS_PER_BLOCK, &l->group_items);
	ret |= read_limit(driver, id, CUDA_DEVICE_SHARED_PER_BLOCK, &l->shared_bytes);
	ret |= read_limit(driver, id, CUDA_DEVICE_MULTIPROCESSORS, &processors);
	ret |= read_limit(driver, id, CUDA_DEVICE_THREADS_PER_SM, &each);
	if (ret)
		return -EIO;
	if (read_limit(driver, id, CUDA_DEVICE_SHARED_OPTIN, &l->shared_bytes_max) ||
	    l->shared_bytes_max < l->shared_bytes)
		l->shared_bytes_max = l->shared_bytes;
	l->resident_items = (uint64_t)processors * each;
	return 0;
}

static int start(struct infini_backend *b, cuda_device id)
{
	const struct cuda_driver *d = b->driver;
	int ret;

	ret = cuda_device_check(b, "a context", d->context_create(&b->context,
								   CUDA_CONTEXT_BLOCKING_SYNC, id));
	if (!ret)
		ret = cuda_device_check(b, "a stream", d->stream_create(&b->stream,
									 CUDA_STREAM_NON_BLOCKING));
	if (!ret)
		ret = cuda_device_check(b, "an event", d->event_create(&b->begun,
									CUDA_EVENT_BLOCKING_SYNC));
	if (!ret)
		ret = cuda_device_check(b, "an event", d->event_create(&b->done,
									CUDA_EVENT_BLOCKING_SYNC));
	return ret == INFINI_BACKEND_LOST ? -EIO : ret;
}

int cuda_device_open(const struct infini_backend_open *open, struct infini_backend **backend)
{
	const struct cuda_driver *driver;
	struct cuda_limits limits = { 0 };
	struct infini_backend *b;
	cuda_device id;
	int ret;

	ret = cuda_driver_load(&driver, open->log);
	if (!ret)
		ret = find(driver, open, &id);
	if (!ret)
		ret = read_limits(driver, id, &limits);
	if (ret)
		return ret;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->log = open->log;
	b->driver = driver;
	b->limits = limits;
	b->segment_us = open->segment_us ? open->segment_us : 1;
	ret = start(b, id);
	if (ret)
		cuda_device_close(b);
	else
		*backend = b;
	return ret;
}

void cuda_device_close(struct infini_backend *b)
{
	const struct cuda_driver *d = b->driver;

	/* A lost context may still be destroyed, and then its memory is free. */
	if (b->context) {
		d->context_set(b->context);
		if (b->bounce)
			d->free(b->bounce);
		if (b->done)
			d->event_destroy(b->done);
		if (b->begun)
			d->event_destroy(b->begun);
		if (b->stream)
			d->stream_destroy(b->stream);
		d->context_destroy(b->context);
	}
	free(b);
}

/* ---- working ----------------------------------------------------------------------- */

int cuda_device_enter(struct infini_backend *b)
{
	if (b->lost)
		return INFINI_BACKEND_LOST;
	return cuda_device_check(b, "the context", b->driver->context_set(b->context));
}

int cuda_device_check(struct infini_backend *b, const char *what, cuda_result error)
{
	char message[160];
	int ret = cuda_driver_errno(error);

	if (!ret)
		return 0;
	if (ret == INFINI_BACKEND_LOST)
		b->lost = true;
	snprintf(message, sizeof(message), "cuda: %s: %s", what,
		 cuda_driver_error(b->driver, error));
	b->log(LOG_WARNING, message);
	return ret;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* Look for a short while, then sleep. */
static cuda_result await(const struct infini_backend *b)
{
	const uint64_t until = now_ns() + CUDA_POLL_NS;
	cuda_result error;

	do {
		error = b->driver->event_query(b->done);
		if (error != CUDA_NOT_READY)
			return error;
	} while (now_ns() < until);
	return b->driver->event_wait(b->done);
}

int cuda_device_finish(struct infini_backend *b)
{
	cuda_result error;

	if (b->lost)
		return INFINI_BACKEND_LOST;
	if (!b->queued)
		return 0;
	error = b->driver->event_record(b->done, b->stream);
	if (!error)
		error = await(b);
	b->queued = false;
	b->queued_bytes = 0;
	return cuda_device_check(b, "the work of a job", error);
}

int cuda_device_queued(struct infini_backend *b, uint64_t bytes)
{
	b->queued = true;
	b->queued_bytes += bytes;
	return b->queued_bytes > CUDA_QUEUED_BYTES_MAX ? cuda_device_finish(b) : 0;
}
