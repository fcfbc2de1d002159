/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Takes from a worker all it does not need to run its backend. */
#ifndef INFINI_DAEMON_SANDBOX_H
#define INFINI_DAEMON_SANDBOX_H

#include <linux/infini.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct infini_sandbox_filter;

struct infini_sandbox {
	uid_t uid;
	gid_t gid;
	const char *pci;		/* of the device: of NVIDIA's nodes the worker keeps its own */
	/*
	 * enum infini_device_class of the worker's device. A GPU's or NPU's user-space driver
	 * generates code and talks to its kernel driver: it keeps executable mappings, ioctls of
	 * other types and its device nodes. Every other worker loses them.
	 */
	uint32_t device_class;
	/*
	 * NULL, or the directory of a worker that compiles what clients write: it may write there, keeps
	 * executable mappings, and may run the linker, and through the dynamic loader what else is in
	 * /usr, all under the same list of system calls. Landlock sees to that: without it no such worker.
	 */
	const char *scratch;
	/* It is another machine's: the worker keeps the connection that it has, and makes none. */
	bool is_remote;
	/* Its list of system calls by infini_sandbox_calls_compile(), or NULL, and it is made when it is entered. */
	const struct infini_sandbox_filter *filter;
};

/* What a worker needs, in tables of what it keeps. */
#define INFINI_SANDBOX_ACCELERATOR	(1U << 0)	/* this machine's GPU or NPU */
#define INFINI_SANDBOX_COMPILER		(1U << 1)
#define INFINI_SANDBOX_REMOTE		(1U << 2)

/* Whether the worker is all of @needs and none of @lacks. */
bool infini_sandbox_has(const struct infini_sandbox *sandbox, unsigned int needs,
			unsigned int lacks);

/* Told for each resource limit. */
typedef void (*infini_sandbox_limit_fn)(const char *name, uint64_t value, void *arg);
void infini_sandbox_limits_each(const struct infini_sandbox *sandbox, infini_sandbox_limit_fn told,
				void *arg);

/*
 * For good: user and group, no capabilities, no_new_privs, no core dumps, no ptrace from others,
 * Landlock where the kernel has it, and a list of system calls. The user and the list hold for
 * threads that a backend has made already, too; Landlock holds for this thread and those that it makes.
 * 0 or -errno, with a sentence in @why.
 */
int infini_sandbox_enter(const struct infini_sandbox *sandbox, char *why, size_t why_bytes);

/* The N of /dev/nvidiaN, by what the driver says of a GPU in /proc; -1 when it does not say. */
int infini_sandbox_nvidia_minor(const char *information);

#endif /* INFINI_DAEMON_SANDBOX_H */
