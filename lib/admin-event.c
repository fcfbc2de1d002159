// SPDX-License-Identifier: LGPL-2.1-or-later
/* Events: join the group, read one at a time. */
#include <netlink/genl/ctrl.h>
#include <sys/socket.h>

#include "admin.h"

#define INFINI_EVENT_BYTES	1024	/* an event is below 400 */

int infini_admin_events_open(struct infini_admin **events)
{
	struct infini_admin *new;
	int group, fd;
	int err = infini_admin_open(&new);

	if (err)
		return err;
	group = genl_ctrl_resolve_grp(new->sock, INFINI_GENL_NAME, INFINI_MCGRP_EVENTS);
	if (group < 0) {
		err = infini_nl_errno(group);
		goto out;
	}
	fd = nl_socket_get_fd(new->sock);
	if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)) < 0) {
		err = -errno;
		goto out;
	}
	*events = new;
	return 0;
out:
	infini_admin_close(new);
	return err;
}

int infini_admin_events_fd(const struct infini_admin *events)
{
	return nl_socket_get_fd(events->sock);
}

/* One datagram from the kernel; others may not speak for it. */
static ssize_t infini_event_receive(int fd, void *data, size_t bytes)
{
	struct sockaddr_nl from;
	ssize_t got;

	do {
		socklen_t len = sizeof(from);

		got = recvfrom(fd, data, bytes, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	} while (got >= 0 && from.nl_pid);
	return got < 0 ? -errno : got;
}

int infini_admin_event_read(struct infini_admin *events, struct infini_admin_event *event)
{
	char data[INFINI_EVENT_BYTES] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *message = (const struct nlmsghdr *)data;
	ssize_t got;

	do {
		got = infini_event_receive(nl_socket_get_fd(events->sock), data, sizeof(data));
		if (got < 0)
			return got;
		if (!nlmsg_ok(message, got) || !genlmsg_valid_hdr((struct nlmsghdr *)message, 0))
			return -EBADMSG;
	} while (message->nlmsg_type != events->family ||
		 genlmsg_hdr((struct nlmsghdr *)message)->cmd != INFINI_CMD_EVENT_NTF);
	return infini_event_parse(message, event);
}
