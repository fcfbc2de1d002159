// SPDX-License-Identifier: GPL-2.0-or-later
/* Why a command failed, in one line that says what to do. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "infini.h"

int infini_fail(struct infini_ctl *ctl, int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(ctl->error, sizeof(ctl->error), fmt, args);
	va_end(args);
	return status;
}

int infini_fail_request(struct infini_ctl *ctl, int err, const char *fmt, ...)
{
	const char *sentence = ctl->admin ? infini_admin_error(ctl->admin) : "";
	char what[128];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	if (err == -EPERM)
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "%s: needs CAP_SYS_ADMIN on the host: run infinictl as root",
				   what);
	if (*sentence)
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "%s: %s", what, sentence);
	return infini_fail(ctl, INFINI_EXIT_FAILURE, "%s: %s", what, strerror(-err));
}

void infini_note(struct infini_ctl *ctl, const char *fmt, ...)
{
	const char *sentence = infini_admin_error(ctl->admin);
	va_list args;

	if (!*sentence)
		return;
	fputs("infinictl: note: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, ": %s\n", sentence);
}

int infini_fail_connect(struct infini_ctl *ctl, int err)
{
	if (err == -EPERM)
		return infini_fail_request(ctl, err, "netlink family \"%s\"", INFINI_GENL_NAME);
	if (err != -ENOENT)
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "netlink family \"%s\": %s",
				   INFINI_GENL_NAME, strerror(-err));
	if (access(INFINI_NODE, F_OK))
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "%s and netlink family missing: load the module (modprobe infini); infinictl doctor looks at the rest",
				   INFINI_NODE);
	return infini_fail(ctl, INFINI_EXIT_FAILURE,
			   "netlink family missing though there is %s: run infinictl on the host, in its initial network namespace",
			   INFINI_NODE);
}

int infini_ctl_connect(struct infini_ctl *ctl)
{
	int err = infini_admin_open(&ctl->admin);

	return err ? infini_fail_connect(ctl, err) : 0;
}
