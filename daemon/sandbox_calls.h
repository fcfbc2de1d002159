/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which system calls a worker keeps, by seccomp. */
#ifndef INFINI_DAEMON_SANDBOX_CALLS_H
#define INFINI_DAEMON_SANDBOX_CALLS_H

#include "sandbox.h"

#include <linux/filter.h>

enum infini_sandbox_verdict {
	INFINI_CALL_ALLOWED,
	INFINI_CALL_ABSENT,		/* ENOSYS: libc has another way */
	INFINI_CALL_KILLS,
	/* and INFINI_SANDBOX_REFUSAL for all that no rule names */
};

/* What all other calls end with. */
#define INFINI_SANDBOX_REFUSAL	EPERM

/* The list as the kernel takes it. Made before a fork, it need not be made by each child. */
struct infini_sandbox_filter {
	struct sock_filter *code;
	unsigned short length;
	unsigned short own_pid;		/* the instruction that compares with the number of this process */
};

/* To be freed. 0 or -errno. */
int infini_sandbox_calls_compile(const struct infini_sandbox *sandbox,
				 struct infini_sandbox_filter *filter);
void infini_sandbox_calls_free(struct infini_sandbox_filter *filter);

/* Hold all threads of this process to it, for good; no_new_privs is set. 0 or -errno. */
int infini_sandbox_calls_load(const struct infini_sandbox_filter *filter);

/* Told for each rule, by name; @when: which arguments it is for, or NULL: all. */
typedef void (*infini_sandbox_call_fn)(enum infini_sandbox_verdict verdict, const char *name,
				       const char *when, void *arg);
void infini_sandbox_calls_each(const struct infini_sandbox *sandbox, infini_sandbox_call_fn told,
			       void *arg);

#endif /* INFINI_DAEMON_SANDBOX_CALLS_H */
