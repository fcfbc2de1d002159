/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a backend is: one shared object, infinid-<name>.so, that exports infini_backend_ops and
 * drives one family of chips. It sees memory as addresses, programs as bytes of a hostile
 * stranger, and nothing of the kernel channel, other vdevs or the daemon.
 *
 * A worker loads one backend, opens one device and calls from one thread. The supervisor loads it
 * only in children: a short-lived one, to probe, and for devices that may be forked one that workers
 * are forked from.
 */
#ifndef INFINI_DAEMON_BACKEND_H
#define INFINI_DAEMON_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/infini.h>

#define INFINI_BACKEND_ABI	7
#define INFINI_BACKEND_SYMBOL	"infini_backend_ops"
#define INFINI_PCI_BYTES	16		/* "0000:03:00.0" */
#define INFINI_LIBRARY_BYTES	256

/*
 * What a worker of a device has to have beside what its class has: it makes machine code of what
 * clients write, with a compiler that writes files and may run the linker. Its worker gets a
 * directory of its own for them, and is the first process of a process namespace.
 */
#define INFINI_BACKEND_NEEDS_COMPILER	(1U << 0)

/* A device a backend can drive, as probe() reports it. */
struct infini_backend_device {
	char name[INFINI_NAME_MAX];		/* "cpu0", "vulkan0": stable over restarts */
	char description[64];
	char pci[INFINI_PCI_BYTES];		/* "0000:03:00.0"; "" elsewhere or where not known */
	char remote[INFINI_NAME_MAX];		/* name of the remote machine it belongs to, or "" */
	char library[INFINI_LIBRARY_BYTES];	/* file of the vendor's library that drives it, or "" */
	uint32_t device_class;			/* enum infini_device_class */
	uint32_t level;				/* enum infini_yield_level */
	uint32_t slots;
	uint32_t needs;				/* INFINI_BACKEND_NEEDS_* */
	/*
	 * What open() makes may be forked, and used in each process that comes of it: it starts no threads, has
	 * no connections, and keeps nothing that two may not share. Threads begin with a call after that.
	 */
	bool forks;
	uint64_t memory_bytes;			/* total */
	uint32_t nr_kinds;
	struct infini_memory_kind kinds[INFINI_MEMORY_KINDS_MAX];
};

/* A server on another machine, as the operator names it. */
struct infini_backend_remote {
	const char *name;
	const char *endpoint;			/* "host:port" */
	uint32_t device_class;			/* of its devices, where the server does not say */
};

/* Returning non-zero ends the probe. */
typedef int (*infini_backend_found_fn)(const struct infini_backend_device *device, void *arg);

/* Never called with user data in the format: messages are the backend's own words. */
typedef void (*infini_backend_log_fn)(int priority, const char *message);

struct infini_backend_open {
	const char *device;			/* a name probe() gave */
	const char *pci;			/* and the address with it, which may be "" */
	const char *library;			/* and the file, which may be "" or gone */
	const struct infini_backend_remote *remote;	/* whose device it is; NULL: this machine's */
	uint32_t threads_max;			/* CPU threads this vdev may use; at least 1 */
	uint32_t segment_us;			/* how long a CPU segment may take, about; at least 1 */
	const char *scratch;			/* with NEEDS_COMPILER: a directory; else NULL */
	infini_backend_log_fn log;
};

/* A buffer of the vdev. The worker owns the struct; @priv is the backend's. */
struct infini_backend_buffer {
	uint64_t id;
	uint32_t type;				/* enum infini_buffer_type */
	uint32_t kind;
	uint64_t bytes;
	void *addr;				/* SHARED and UNIFIED: where it is mapped; else NULL */
	void *priv;
};

struct infini_backend_binding {
	struct infini_backend_buffer *buffer;
	uint32_t access;			/* INFINI_ACCESS_* */
};

/* One run of a program, or one question. Pointers live until the call returns. */
struct infini_backend_run {
	const struct infini_backend_binding *bindings;
	uint32_t nr_bindings;
	const void *args;
	uint32_t args_bytes;
	uint64_t request;			/* what the client calls one request, or 0 */
	uint64_t segment;			/* in: where to start; out, PREEMPTED: where to go on */
	uint64_t value;				/* out */
	uint32_t tokens_evaluated;		/* out */
	uint32_t tokens_generated;		/* out */
	uint32_t prompts;			/* out: as in struct infini_result, like those below */
	uint32_t tokens_scored;
	uint32_t tokens_embedded;
	/* True when this dispatch should stop at the next segment boundary. Cheap: one load. */
	bool (*should_yield)(const struct infini_backend_run *run);
	const void *yield_ctx;
};

#define INFINI_BACKEND_PREEMPTED	1	/* run() stopped at run->segment */

/*
 * Any call: nothing more can be done in this process (a faulted context, a device that is gone). The job
 * ends with -EIO and the worker after it; the next worker opens the device anew. What the backend logged
 * last as a warning or worse is the reason that administrators are told.
 */
#define INFINI_BACKEND_LOST		2

struct infini_backend;				/* a backend's own state */
struct infini_backend_program;			/* a loaded program */

/**
 * struct infini_backend_ops - all a backend does; members marked optional may be NULL
 * @abi: INFINI_BACKEND_ABI
 * @name: what the device's "backend" says
 * @format: enum infini_program_format it takes
 * @probe: report devices; loads vendor libraries, may be slow. 0 or -errno
 * @probe_remote: report the devices of @remote alone, the first by its name. Optional: it has none
 * @open: open one device; called before privileges are dropped. 0 or -errno
 * @close: free everything left
 * @buffer_add: a buffer was bound for the first time. SHARED and UNIFIED ones are mapped at
 *	@buffer->addr; for others allocate zeroed memory of @buffer->kind. 0, -ENOMEM, -EINVAL
 * @buffer_remove: it is gone; nothing runs that uses it
 * @program_load: validate all of @data, which is the worker's own copy and stays until
 *	program_free. -EINVAL: refused, with a reason logged
 * @program_free: optional with no state
 * @program_run: run from @run->segment. 0 done, INFINI_BACKEND_PREEMPTED, or -errno
 * @ask: answer a question. 0 or -errno. Optional: then -EOPNOTSUPP
 * @write: copy @bytes of host memory to @offset of @buffer; ranges are checked by the worker
 * @read: the other way
 * @copy: between two buffers; ranges may overlap when @dst == @src
 * @fill: @bytes of @value
 * @finish: wait for all that write, program_run, copy and fill have begun; called once before a job's
 *	result is told, after errors too, and until then what write was given stays. Optional: then they
 *	have done their work when they return. 0 or -errno of what was begun
 * @held_bytes: memory held for the vdev beside its buffers
 */
struct infini_backend_ops {
	uint32_t abi;
	const char *name;
	uint32_t format;

	int (*probe)(infini_backend_found_fn found, void *arg, infini_backend_log_fn log);
	int (*probe_remote)(const struct infini_backend_remote *remote,
			    infini_backend_found_fn found, void *arg, infini_backend_log_fn log);
	int (*open)(const struct infini_backend_open *open, struct infini_backend **backend);
	void (*close)(struct infini_backend *backend);

	int (*buffer_add)(struct infini_backend *backend, struct infini_backend_buffer *buffer);
	void (*buffer_remove)(struct infini_backend *backend, struct infini_backend_buffer *buffer);

	int (*program_load)(struct infini_backend *backend, const void *data, size_t bytes,
			    struct infini_backend_program **program);
	void (*program_free)(struct infini_backend *backend, struct infini_backend_program *program);
	int (*program_run)(struct infini_backend *backend, struct infini_backend_program *program,
			   struct infini_backend_run *run);
	int (*ask)(struct infini_backend *backend, struct infini_backend_run *run);

	int (*write)(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		     uint64_t offset, const void *data, uint64_t bytes);
	int (*read)(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		    uint64_t offset, void *data, uint64_t bytes);
	int (*copy)(struct infini_backend *backend, struct infini_backend_buffer *dst,
		    uint64_t dst_offset, struct infini_backend_buffer *src, uint64_t src_offset,
		    uint64_t bytes);
	int (*fill)(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		    uint64_t offset, uint8_t value, uint64_t bytes);
	int (*finish)(struct infini_backend *backend);
	uint64_t (*held_bytes)(struct infini_backend *backend);
};

#endif /* INFINI_DAEMON_BACKEND_H */
