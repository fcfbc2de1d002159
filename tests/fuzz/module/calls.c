// SPDX-License-Identifier: GPL-2.0-or-later
/* The calls by name, which errors they may end with, and the table of how they ended. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "actor.h"

/* Errors of uapi/linux/infini.h, and those of opening and passing files. */
static const int contract[] = {
	ENOTTY, E2BIG, EINVAL, EFAULT, EOPNOTSUPP, ENOENT, EACCES, EPERM, ENOSPC, ENOMEM, EDQUOT,
	EBUSY, EEXIST, EAGAIN, EINTR, ETIMEDOUT, ECANCELED, EHOSTDOWN, EOWNERDEAD, ENODEV, ESTALE,
	EPROTO, EBADF,
};

static const struct {
	const char *name;
	int also[4];		/* errors that are not of the contract */
	bool any;		/* an executor's word comes through, or all is the kernel's own */
	bool may_fail;		/* nothing that must succeed once */
} calls[CALLS] = {
	[CALL_QUERY] = { "QUERY" },
	[CALL_VDEV_OPEN] = { "VDEV_OPEN", { EMFILE } },
	[CALL_DEVICE_REGISTER] = { "DEVICE_REGISTER", { EMFILE } },
	[CALL_VDEV_INFO] = { "VDEV_INFO" },
	[CALL_VDEV_STATS] = { "VDEV_STATS" },
	[CALL_QUEUE_CREATE] = { "QUEUE_CREATE" },
	[CALL_QUEUE_DESTROY] = { "QUEUE_DESTROY" },
	[CALL_BUFFER_CREATE] = { "BUFFER_CREATE", .any = true },
	[CALL_BUFFER_DESTROY] = { "BUFFER_DESTROY" },
	[CALL_PROGRAM_CREATE] = { "PROGRAM_CREATE" },
	[CALL_PROGRAM_DESTROY] = { "PROGRAM_DESTROY" },
	[CALL_SUBMIT] = { "SUBMIT" },
	[CALL_WAIT] = { "WAIT" },
	[CALL_EXECUTOR_CREATE] = { "EXECUTOR_CREATE", { EMFILE } },
	[CALL_EXECUTOR_ATTACH] = { "EXECUTOR_ATTACH" },
	[CALL_EXCHANGE] = { "EXCHANGE" },
	[CALL_PROGRAM_READ] = { "PROGRAM_READ" },
	[CALL_BUFFER_RECEIVE] = { "BUFFER_RECEIVE", { EMFILE } },
	[CALL_END_REASON] = { "END_REASON" },
	[CALL_NODE_OPEN] = { "open of a node", { ENXIO, EMFILE, ENFILE } },
	[CALL_CLOSE] = { "close" },
	[CALL_READ] = { "read" },
	[CALL_POLL] = { "poll" },
	[CALL_FDINFO] = { "fdinfo" },
	[CALL_MMAP_BUFFER] = { "mmap of a buffer", { EOVERFLOW } },
	[CALL_MMAP_TIMELINE] = { "mmap of a timeline", { EOVERFLOW } },
	[CALL_MMAP_WORD] = { "mmap of a yield word", { EOVERFLOW } },
	[CALL_MMAP_EXECUTOR] = { "mmap by an executor", { EOVERFLOW } },
	[CALL_MUNMAP] = { "munmap" },
	[CALL_MPROTECT] = { "mprotect" },
	[CALL_MREMAP] = { "mremap" },
	[CALL_TOUCH] = { "touch of a mapping" },
	[CALL_FORK] = { "fork" },
	[CALL_SEND_FD] = { "SCM_RIGHTS, sent", { ENOBUFS, ETOOMANYREFS } },
	[CALL_RECV_FD] = { "SCM_RIGHTS, taken" },
	[CALL_NL_DEVICE_GET] = { "DEVICE_GET", { ENOBUFS } },
	[CALL_NL_DEVICE_LIST] = { "DEVICE_GET, all", { ENOBUFS } },
	[CALL_NL_VDEV_GET] = { "VDEV_GET", { ENOBUFS } },
	[CALL_NL_VDEV_LIST] = { "VDEV_GET, all", { ENOBUFS } },
	[CALL_NL_VDEV_NEW] = { "VDEV_NEW", { ENOBUFS, ENOTUNIQ, ERANGE } },
	[CALL_NL_VDEV_SET] = { "VDEV_SET", { ENOBUFS, ERANGE } },
	[CALL_NL_VDEV_DEL] = { "VDEV_DEL", { ENOBUFS, ERANGE } },
	[CALL_NL_EVENT] = { "events", { ENOBUFS } },
	[CALL_DEBUGFS] = { "debugfs" },
	[CALL_SYSFS] = { "sysfs" },
	[CALL_STRAY] = { "stray", .any = true, .may_fail = true },
};

const char *call_name(enum call call)
{
	return calls[call].name;
}

static bool in_contract(enum call call, int err)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(contract); i++)
		if (contract[i] == err)
			return true;
	for (i = 0; i < ARRAY_SIZE(calls[call].also); i++)
		if (calls[call].also[i] == err)
			return true;
	return calls[call].any && err < 512;
}

/* The errors of one call, the most frequent first, at most @room of them. */
static void print_errors(const struct outcome *outcome, unsigned int room)
{
	uint64_t last = UINT64_MAX;
	int last_err = 0;

	while (room--) {
		uint64_t best = 0;
		int err, found = 0;

		for (err = 1; err < ERRNOS; err++) {
			uint64_t n = outcome->failed[err];

			if (n > best && (n < last || (n == last && err > last_err))) {
				best = n;
				found = err;
			}
		}
		if (!best)
			return;
		printf(" %s %llu", strerrorname_np(found) ? strerrorname_np(found) : "?",
		       (unsigned long long)best);
		last = best;
		last_err = found;
	}
	printf(" ...");
}

void calls_print(void)
{
	unsigned int call;
	int err;

	printf("# %-21s %10s %10s  %s\n", "call", "made", "succeeded", "errors");
	for (call = 0; call < CALLS; call++) {
		const struct outcome *outcome = &shared->outcomes[call];
		uint64_t made = outcome->ok;

		for (err = 0; err < ERRNOS; err++)
			made += outcome->failed[err];
		printf("# %-21s %10llu %10llu ", calls[call].name, (unsigned long long)made,
		       (unsigned long long)outcome->ok);
		print_errors(outcome, 12);
		printf("\n");
	}
}

unsigned int calls_never_right(void)
{
	unsigned int call, never = 0;

	for (call = 0; call < CALLS; call++) {
		if (shared->outcomes[call].ok || calls[call].may_fail)
			continue;
		printf("# %s never succeeded\n", calls[call].name);
		never++;
	}
	return never;
}

unsigned int calls_strange(void)
{
	unsigned int call, strange = 0;
	int err;

	for (call = 0; call < CALLS; call++) {
		for (err = 1; err < ERRNOS; err++) {
			uint64_t n = shared->outcomes[call].failed[err];

			if (!n || in_contract(call, err))
				continue;
			printf("# %s: %s (%d), %llu times\n", calls[call].name,
			       strerrorname_np(err) ? strerrorname_np(err) : "no such error", err,
			       (unsigned long long)n);
			strange++;
		}
	}
	return strange;
}
