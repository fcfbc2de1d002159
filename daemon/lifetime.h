/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Vdevs that live as long as a command: "infinictl run" puts the command into a control group of its
 * own below one folder, and makes a vdev that is bound to that group. When nobody is left in the
 * group, whoever was killed and how, the vdev and the group go.
 *
 * The kernel keeps all there is to know, in the folder and in the vdevs, so nothing is lost when the
 * daemon ends.
 */
#ifndef INFINI_DAEMON_LIFETIME_H
#define INFINI_DAEMON_LIFETIME_H

#include <infini-admin.h>

#define INFINI_LIFETIME_ROOT	"/sys/fs/cgroup/infini"

/* @fd is readable when a group came or emptied; -1 when there is nothing to watch. */
struct infini_lifetime {
	const char *root;
	int fd;
};

/* Make and watch @root, which must outlive *@lifetime. -errno: there are no such groups here. */
int infini_lifetime_open(struct infini_lifetime *lifetime, const char *root);
void infini_lifetime_close(struct infini_lifetime *lifetime);

/* Look at all groups; take away those that are empty and their vdevs. */
void infini_lifetime_run(struct infini_lifetime *lifetime, struct infini_admin *admin);

#endif /* INFINI_DAEMON_LIFETIME_H */
