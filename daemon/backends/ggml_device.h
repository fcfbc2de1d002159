/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One device of libggml: its kinds of memory, its threads, and the state of the opened backend.
 */
#ifndef INFINI_DAEMON_GGML_DEVICE_H
#define INFINI_DAEMON_GGML_DEVICE_H

#include <ggml.h>
#include <ggml-backend.h>
#include <ggml-cpu.h>

#include "../backend.h"
#include "ggml_drafts.h"

struct infini_ggml_kind {
	struct infini_memory_kind info;
	ggml_backend_buffer_type_t type;
	/* Rows of a matrix lie where they would lie in memory, each in its group of adjacent ones. */
	bool keeps_rows;
	/* Of no size, for questions about tensors that would lie in this kind. */
	ggml_backend_buffer_t blank;
};

/* Functions of the CPU's plugin, which is loaded at run time; NULL on other devices. */
struct infini_ggml_threads {
	ggml_backend_set_n_threads_t set;
	void (*use)(ggml_backend_t backend, struct ggml_threadpool *pool);
	struct ggml_threadpool *(*create)(struct ggml_threadpool_params *params);
	void (*destroy)(struct ggml_threadpool *pool);
	struct ggml_threadpool *pool;
	bool pool_opened;		/* or tried to */
	uint32_t most;
	uint32_t current;
};

struct infini_backend {
	infini_backend_log_fn log;
	ggml_backend_dev_t device;
	ggml_backend_t stream;
	bool is_cpu;
	bool is_remote;
	uint64_t segment_ns;		/* what a plan may take for a segment; 0: not a CPU */
	uint32_t nr_kinds;
	struct infini_ggml_kind kinds[INFINI_MEMORY_KINDS_MAX];
	struct infini_ggml_threads threads;
	uint64_t held_bytes;		/* by loaded programs */
	void *scratch;			/* for what is read back from a device */
	size_t scratch_bytes;
	void *formed;			/* columns in the form of a matrix, see ggml_form.h */
	size_t formed_bytes;
	struct infini_ggml_drafts drafts;
};

/* Says @format in at most 200 bytes. */
void infini_ggml_log(infini_backend_log_fn log, int priority, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* ops->probe, ops->probe_remote, ops->open and ops->close */
int infini_ggml_device_probe(infini_backend_found_fn found, void *arg, infini_backend_log_fn log);
int infini_ggml_device_probe_remote(const struct infini_backend_remote *remote,
				    infini_backend_found_fn found, void *arg,
				    infini_backend_log_fn log);
int infini_ggml_device_open(const struct infini_backend_open *open,
			    struct infini_backend **backend);
void infini_ggml_device_close(struct infini_backend *backend);

/* Whether the device computes @op, which has been validated. */
bool infini_ggml_device_supports(const struct infini_backend *backend, const struct ggml_tensor *op);

/* From here on @threads compute, bounded by what the vdev may use; 0 for as many as that. Until then one does. */
void infini_ggml_threads_set(struct infini_backend *backend, uint32_t threads);

#endif /* INFINI_DAEMON_GGML_DEVICE_H */
