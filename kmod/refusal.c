// SPDX-License-Identifier: GPL-2.0-only
/* Who was refused what is not his, for the kernel's log. */

#include <linux/cred.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>
#include <linux/sched.h>
#include <linux/uidgid.h>
#include <linux/user_namespace.h>

#include "infini.h"

/*
 * Neither a name of the process nor anything else of its own choice is in what is said here. This
 * is for what belongs to somebody else, or to the administrator.
 */
void infini_refused(const char *what, const char *name)
{
	pr_notice_ratelimited("infini: refused to user %u, process %d: %s%s%s\n",
			      from_kuid_munged(&init_user_ns, current_uid()),
			      task_tgid_nr(current), what, name ? " " : "", name ?: "");
}

/* What no call of a working client comes to, whatever becomes of its jobs. */
static bool infini_refusal_tells(long err)
{
	switch (err) {
	case -EACCES:
	case -EFAULT:
	case -EINVAL:
	case -ENOENT:
	case -ENOSPC:
	case -ENOTTY:
	case -EOVERFLOW:
	case -EPERM:
	case -E2BIG:
		return true;
	default:
		return false;
	}
}

/**
 * infini_client_refused - a client's call that was refused, for the kernel's log
 * @client: whose; no lock of its own or its vdev's
 * @call: which
 * @err: what it got
 *
 * The first of a client only, and only so many of a vdev, because whoever makes them could fill the
 * log otherwise, and hide what others do.
 */
void infini_client_refused(struct infini_client *client, const char *call, long err)
{
	struct infini_vdev *vdev = client->vdev;

	if (!infini_refusal_tells(err) || xchg(&client->refusal_told, true) ||
	    !__ratelimit(&vdev->refusals))
		return;
	pr_notice("infini: refused to user %u, process %d: %s on vdev %s (error %ld)\n",
		  from_kuid_munged(&init_user_ns, current_uid()), task_tgid_nr(current), call,
		  vdev->name, -err);
}
