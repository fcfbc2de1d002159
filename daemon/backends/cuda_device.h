/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A GPU of the CUDA driver: how it is found, opened and lost. */
#ifndef INFINI_DAEMON_BACKENDS_CUDA_DEVICE_H
#define INFINI_DAEMON_BACKENDS_CUDA_DEVICE_H

#include "cuda_driver.h"

/* What a launch may ask for. */
struct cuda_limits {
	uint32_t items[3];		/* threads of a block along x, y and z */
	uint32_t groups[3];		/* blocks of a grid */
	uint32_t group_items;		/* threads of a block */
	uint32_t shared_bytes;		/* of a block, without its being asked for in advance */
	uint32_t shared_bytes_max;
	uint64_t resident_items;	/* threads that the GPU runs at once */
};

struct infini_backend {
	infini_backend_log_fn log;
	const struct cuda_driver *driver;
	cuda_context context;
	cuda_stream stream;		/* all work, in order */
	cuda_event begun, done;		/* around a part of a cut launch; after all that is queued */
	struct cuda_limits limits;
	uint32_t segment_us;
	bool lost;
	uint64_t queued_bytes;		/* copied and filled since the last wait */
	bool queued;			/* anything since the last wait */
	cuda_address bounce;		/* for copies within a buffer, or 0 */
	uint64_t program_bytes;		/* variables of programs, and the most that one needs to run */
	uint64_t local_bytes;
};

int cuda_device_probe(infini_backend_found_fn found, void *arg, infini_backend_log_fn log);
int cuda_device_open(const struct infini_backend_open *open, struct infini_backend **backend);
void cuda_device_close(struct infini_backend *backend);

/* Before every call: 0, or INFINI_BACKEND_LOST. */
int cuda_device_enter(struct infini_backend *backend);

/* 0 for success, else what @error means to the worker, logged as the end of "cuda: @what: …". */
int cuda_device_check(struct infini_backend *backend, const char *what, cuda_result error);

/* Wait for what is queued: the errors of all that was begun come out here. */
int cuda_device_finish(struct infini_backend *backend);

/* @bytes more are queued. Waits when that gets so long that a yield would come too late. */
int cuda_device_queued(struct infini_backend *backend, uint64_t bytes);

#endif /* INFINI_DAEMON_BACKENDS_CUDA_DEVICE_H */
