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
 * Of system calls that are wrong in themselves the caller hears, and nobody else: whoever makes them
 * would fill the log. This is for what belongs to somebody else, or to the administrator. Neither a
 * name of the process nor anything else of its own choice is in it.
 */
void infini_refused(const char *what, const char *name)
{
	pr_notice_ratelimited("infini: refused to user %u, process %d: %s%s%s\n",
			      from_kuid_munged(&init_user_ns, current_uid()),
			      task_tgid_nr(current), what, name ? " " : "", name ?: "");
}
