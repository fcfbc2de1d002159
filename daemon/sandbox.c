// SPDX-License-Identifier: GPL-2.0-or-later
/* Takes from a worker all it does not need to run its backend. */
#include "sandbox.h"

#include "count.h"
#include "sandbox_calls.h"
#include "sandbox_paths.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static unsigned int kind_of(const struct infini_sandbox *sandbox)
{
	unsigned int kind = sandbox->scratch ? INFINI_SANDBOX_COMPILER : 0;

	if (sandbox->is_remote)
		kind |= INFINI_SANDBOX_REMOTE;
	else if (sandbox->device_class == INFINI_CLASS_GPU ||
		 sandbox->device_class == INFINI_CLASS_NPU)
		kind |= INFINI_SANDBOX_ACCELERATOR;
	return kind;
}

bool infini_sandbox_has(const struct infini_sandbox *sandbox, unsigned int needs, unsigned int lacks)
{
	unsigned int kind = kind_of(sandbox);

	return (kind & needs) == needs && !(kind & lacks);
}

/* ---- limits, user, capabilities ---------------------------------------------------- */

static const struct {
	const char *name;
	__rlimit_resource_t resource;
	rlim_t value;
	unsigned int needs;
} limits[] = {
	{ "RLIMIT_CORE", RLIMIT_CORE, 0, 0 },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE, 256, 0 },
	/*
	 * Of all workers' user together. Clients' own code may start threads: not so many that infinid can
	 * start no worker.
	 */
	{ "RLIMIT_NPROC", RLIMIT_NPROC, 2048, INFINI_SANDBOX_COMPILER },
};

static int limit_resources(const struct infini_sandbox *sandbox)
{
	for (size_t i = 0; i < COUNT(limits); i++) {
		const struct rlimit limit = { limits[i].value, limits[i].value };

		if (infini_sandbox_has(sandbox, limits[i].needs, 0) &&
		    setrlimit(limits[i].resource, &limit))
			return -errno;
	}
	return 0;
}

void infini_sandbox_limits_each(const struct infini_sandbox *sandbox, infini_sandbox_limit_fn told,
				void *arg)
{
	for (size_t i = 0; i < COUNT(limits); i++) {
		if (infini_sandbox_has(sandbox, limits[i].needs, 0))
			told(limits[i].name, limits[i].value, arg);
	}
}

/* While still root, or the bounding set stays. */
static int drop_bounding_set(void)
{
	for (cap_value_t cap = 0; cap_get_bound(cap) >= 0; cap++) {
		if (cap_drop_bound(cap) != 0)
			return -errno;
	}
	return cap_reset_ambient() ? -errno : 0;
}

static int drop_user(const struct infini_sandbox *sandbox)
{
	if (setgroups(0, NULL) != 0 ||
	    setresgid(sandbox->gid, sandbox->gid, sandbox->gid) != 0 ||
	    setresuid(sandbox->uid, sandbox->uid, sandbox->uid) != 0)
		return -errno;
	return 0;
}

static int drop_capabilities(void)
{
	cap_t none = cap_init();
	int ret;

	if (!none)
		return -ENOMEM;
	ret = cap_set_proc(none) ? -errno : 0;
	cap_free(none);
	return ret;
}

static int enforce_calls(const struct infini_sandbox *sandbox)
{
	struct infini_sandbox_filter filter;
	int ret;

	if (sandbox->filter)
		return infini_sandbox_calls_load(sandbox->filter);
	ret = infini_sandbox_calls_compile(sandbox, &filter);
	if (!ret)
		ret = infini_sandbox_calls_load(&filter);
	infini_sandbox_calls_free(&filter);
	return ret;
}

int infini_sandbox_enter(const struct infini_sandbox *sandbox, char *why, size_t why_bytes)
{
	const char *step = "resource limits";
	int ret, ruleset;

	/* As root still: its paths may not be open to the worker's user. */
	ruleset = infini_sandbox_paths_open(sandbox);
	if (ruleset < 0 && ruleset != -ENOSYS && ruleset != -EOPNOTSUPP) {
		snprintf(why, why_bytes, "sandbox: Landlock: %s", strerror(-ruleset));
		return ruleset;
	}
	if (sandbox->scratch && ruleset < 0) {
		snprintf(why, why_bytes, "sandbox: this kernel has no Landlock (CONFIG_SECURITY_LANDLOCK, "
			 "and \"landlock\" in lsm=), without which no worker compiles what clients write");
		return ruleset;
	}
	ret = limit_resources(sandbox);
	if (!ret) {
		step = "capabilities";
		ret = drop_bounding_set();
	}
	if (!ret) {
		step = "user and group";
		ret = drop_user(sandbox);
	}
	if (!ret) {
		step = "capabilities";
		ret = drop_capabilities();
	}
	if (!ret) {
		step = "no_new_privs";
		ret = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_DUMPABLE, 0) ?
			-errno : 0;
	}
	if (!ret && ruleset >= 0) {
		step = "Landlock";
		ret = infini_sandbox_paths_enforce(ruleset);
		ruleset = -1;
	}
	if (!ret) {
		step = "seccomp";
		ret = enforce_calls(sandbox);
	}
	if (ruleset >= 0)
		close(ruleset);
	if (ret)
		snprintf(why, why_bytes, "sandbox: %s: %s", step, strerror(-ret));
	return ret;
}
