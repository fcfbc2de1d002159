/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which system calls a worker keeps, by seccomp. */
#ifndef INFINI_DAEMON_SANDBOX_CALLS_H
#define INFINI_DAEMON_SANDBOX_CALLS_H

#include "sandbox.h"

enum infini_sandbox_verdict {
	INFINI_CALL_ALLOWED,
	INFINI_CALL_ABSENT,		/* ENOSYS: libc has another way */
	INFINI_CALL_KILLS,
	/* and INFINI_SANDBOX_REFUSAL for all that no rule names */
};

/* What all other calls end with. */
#define INFINI_SANDBOX_REFUSAL	EPERM

/* Hold all threads of this process to the calls of this worker, for good. 0 or -errno. */
int infini_sandbox_calls_load(const struct infini_sandbox *sandbox);

/* Told for each rule, by name; @when: which arguments it is for, or NULL: all. */
typedef void (*infini_sandbox_call_fn)(enum infini_sandbox_verdict verdict, const char *name,
				       const char *when, void *arg);
void infini_sandbox_calls_each(const struct infini_sandbox *sandbox, infini_sandbox_call_fn told,
			       void *arg);

#endif /* INFINI_DAEMON_SANDBOX_CALLS_H */
