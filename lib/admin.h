/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the sources of libinfini-admin share: one request, and attributes turned into structs. */
#ifndef INFINI_LIB_ADMIN_H
#define INFINI_LIB_ADMIN_H

#include <errno.h>
#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/socket.h>

#include "infini-admin.h"

/* @family is the family's number; @error the module's last sentence, or a warning of it. */
struct infini_admin {
	struct nl_sock *sock;
	int family;
	char error[256];
};

/* Called for each reply; a non-zero return ends the exchange's interest and is returned. */
typedef int (*infini_reply_fn)(const struct nlmsghdr *reply, void *arg);

/* libnl's error as -errno, for the few calls that do not keep the kernel's own. */
int infini_nl_errno(int err);

/* A request for the module; NULL without memory. */
struct nl_msg *infini_request_new(struct infini_admin *admin, int cmd, int flags);

/* By name, or by id when @name is NULL. 0 or -errno. */
int infini_request_name(struct nl_msg *msg, int name_attr, const char *name, int id_attr,
			uint32_t id);

/* Send @msg, which is freed, and read until its end. 0, -errno, or what @reply returned. */
int infini_request_run(struct infini_admin *admin, struct nl_msg *msg, infini_reply_fn reply,
		       void *arg);

void infini_error_parse(struct infini_admin *admin, struct nlattr *attrs, int len);

/* Attributes that are absent leave the field as it is: zero. */
void infini_attr_u32(const struct nlattr *attr, uint32_t *value);
void infini_attr_u64(const struct nlattr *attr, uint64_t *value);
void infini_attr_string(const struct nlattr *attr, char *field, size_t size);

int infini_device_parse(const struct nlmsghdr *reply, struct infini_admin_device *device);
int infini_vdev_parse(const struct nlmsghdr *reply, struct infini_admin_vdev *vdev);
int infini_event_parse(const struct nlmsghdr *message, struct infini_admin_event *event);

#endif /* INFINI_LIB_ADMIN_H */
