// SPDX-License-Identifier: GPL-2.0-or-later
/* Generic netlink by hand. */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/infini_netlink.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "genl.h"

bool genl_has_sentences(void)
{
	unsigned int major, minor;
	struct utsname name;

	return !uname(&name) && sscanf(name.release, "%u.%u", &major, &minor) == 2 &&
	       (major > 6 || (major == 6 && minor >= 2));
}

/* ---- building ---- */

void genl_begin(struct genl_request *request, uint8_t cmd)
{
	struct nlmsghdr *head = (struct nlmsghdr *)request->bytes;
	struct genlmsghdr *genl = (struct genlmsghdr *)(head + 1);

	memset(request->bytes, 0, sizeof(*head) + sizeof(*genl));
	genl->cmd = cmd;
	genl->version = INFINI_GENL_VERSION;
	request->used = sizeof(*head) + sizeof(*genl);
}

void genl_put(struct genl_request *request, uint16_t type, const void *data, size_t bytes)
{
	struct nlattr *attr = (struct nlattr *)(request->bytes + request->used);

	attr->nla_type = type;
	attr->nla_len = sizeof(*attr) + bytes;
	memcpy(attr + 1, data, bytes);
	memset((uint8_t *)(attr + 1) + bytes, 0, NLA_ALIGN(bytes) - bytes);
	request->used += NLA_ALIGN(attr->nla_len);
}

void genl_put_u32(struct genl_request *request, uint16_t type, uint32_t value)
{
	genl_put(request, type, &value, sizeof(value));
}

void genl_put_u64(struct genl_request *request, uint16_t type, uint64_t value)
{
	genl_put(request, type, &value, sizeof(value));
}

void genl_put_string(struct genl_request *request, uint16_t type, const char *value)
{
	genl_put(request, type, value, strlen(value) + 1);
}

/* ---- reading ---- */

/* The attribute at *@at, which moves on behind it; its type, or -1 when there is none. */
static int next_attr(const uint8_t **at, size_t *bytes, struct genl_attr *found)
{
	struct nlattr attr;
	size_t step;

	if (*bytes < sizeof(attr))
		return -1;
	memcpy(&attr, *at, sizeof(attr));
	if (attr.nla_len < sizeof(attr) || attr.nla_len > *bytes)
		return -1;
	*found = (struct genl_attr){ *at + sizeof(attr), attr.nla_len - sizeof(attr) };
	step = NLA_ALIGN(attr.nla_len);
	if (step > *bytes)
		step = *bytes;
	*at += step;
	*bytes -= step;
	return attr.nla_type & NLA_TYPE_MASK;
}

void genl_parse(const void *from, size_t bytes, struct genl_attr *attrs)
{
	const uint8_t *at = from;
	struct genl_attr attr;
	int type;

	memset(attrs, 0, GENL_ATTRS * sizeof(*attrs));
	while ((type = next_attr(&at, &bytes, &attr)) >= 0)
		if (type < GENL_ATTRS)
			attrs[type] = attr;
}

struct genl_attr genl_nth(const struct genl *genl, uint16_t type, unsigned int nth)
{
	size_t bytes = genl->answer_bytes;
	const uint8_t *at = genl->answer;
	struct genl_attr attr;
	int found;

	while ((found = next_attr(&at, &bytes, &attr)) >= 0)
		if (found == type && !nth--)
			return attr;
	return (struct genl_attr){ NULL, 0 };
}

uint32_t genl_u32(const struct genl_attr *attr)
{
	uint32_t value = 0;

	if (attr->bytes == sizeof(value))
		memcpy(&value, attr->data, sizeof(value));
	return value;
}

uint64_t genl_u64(const struct genl_attr *attr)
{
	uint64_t value = 0;

	if (attr->bytes == sizeof(value))
		memcpy(&value, attr->data, sizeof(value));
	return value;
}

static int read_error(struct genl *genl, const struct nlmsghdr *head)
{
	const struct nlmsgerr *error = (const struct nlmsgerr *)(head + 1);
	struct genl_attr attrs[GENL_ATTRS];
	size_t skip = sizeof(*head) + sizeof(*error);

	if (!(head->nlmsg_flags & NLM_F_ACK_TLVS))
		return error->error;
	if (!(head->nlmsg_flags & NLM_F_CAPPED))
		skip += error->msg.nlmsg_len - sizeof(error->msg);
	if (skip < head->nlmsg_len) {
		genl_parse((const uint8_t *)head + skip, head->nlmsg_len - skip, attrs);
		if (attrs[NLMSGERR_ATTR_MSG].data)
			snprintf(genl->message, sizeof(genl->message), "%.*s",
				 (int)attrs[NLMSGERR_ATTR_MSG].bytes,
				 (const char *)attrs[NLMSGERR_ATTR_MSG].data);
	}
	return error->error;
}

static int read_message(struct genl *genl, const struct nlmsghdr *head, genl_fn fn, void *arg)
{
	const struct genlmsghdr *genl_head = (const struct genlmsghdr *)(head + 1);
	const size_t skip = sizeof(*head) + sizeof(*genl_head);
	struct genl_attr attrs[GENL_ATTRS];

	if (head->nlmsg_type == NLMSG_ERROR)
		return read_error(genl, head);
	if (head->nlmsg_type >= NLMSG_MIN_TYPE && fn) {
		genl->answer = (const uint8_t *)head + skip;
		genl->answer_bytes = head->nlmsg_len - skip;
		genl_parse(genl->answer, genl->answer_bytes, attrs);
		fn(genl_head->cmd, attrs, arg);
	}
	return 0;
}

static int read_answer(struct genl *genl, genl_fn fn, void *arg)
{
	static _Alignas(struct nlmsghdr) uint8_t bytes[65536];

	for (;;) {
		struct nlmsghdr *head = (struct nlmsghdr *)bytes;
		ssize_t got = recv(genl->fd, bytes, sizeof(bytes), 0);
		unsigned int left = got;

		if (got < 0)
			return -errno;
		for (; NLMSG_OK(head, left); head = NLMSG_NEXT(head, left)) {
			int err;

			if (head->nlmsg_seq != genl->seq)
				continue;
			if (head->nlmsg_type == NLMSG_DONE) {
				memcpy(&err, head + 1, sizeof(err));
				return err < 0 ? err : 0;
			}
			err = read_message(genl, head, fn, arg);
			if (head->nlmsg_type == NLMSG_ERROR)
				return err;
		}
	}
}

static int talk_to(struct genl *genl, uint16_t type, struct genl_request *request, bool dump,
		   genl_fn fn, void *arg)
{
	struct nlmsghdr *head = (struct nlmsghdr *)request->bytes;

	genl->message[0] = 0;
	head->nlmsg_len = request->used;
	head->nlmsg_type = type;
	head->nlmsg_flags = NLM_F_REQUEST | (dump ? NLM_F_DUMP : NLM_F_ACK);
	head->nlmsg_seq = ++genl->seq;
	if (send(genl->fd, request->bytes, request->used, 0) < 0)
		return -errno;
	return read_answer(genl, fn, arg);
}

int genl_talk(struct genl *genl, struct genl_request *request, bool dump, genl_fn fn, void *arg)
{
	return talk_to(genl, genl->family, request, dump, fn, arg);
}

/* ---- the family ---- */

static void take_family(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	struct genl_attr groups[GENL_ATTRS], group[GENL_ATTRS];
	struct genl *genl = arg;
	uint16_t family;

	(void)cmd;
	if (attrs[CTRL_ATTR_FAMILY_ID].bytes != sizeof(family))
		return;
	memcpy(&family, attrs[CTRL_ATTR_FAMILY_ID].data, sizeof(family));
	genl->family = family;
	genl_parse(attrs[CTRL_ATTR_MCAST_GROUPS].data, attrs[CTRL_ATTR_MCAST_GROUPS].bytes, groups);
	genl_parse(groups[1].data, groups[1].bytes, group);
	genl->group = genl_u32(&group[CTRL_ATTR_MCAST_GRP_ID]);
}

int genl_open(struct genl *genl)
{
	struct genl_request request;
	int on = 1, err;

	memset(genl, 0, sizeof(*genl));
	genl->fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC);
	if (genl->fd < 0)
		return -errno;
	setsockopt(genl->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
	setsockopt(genl->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
	genl_begin(&request, CTRL_CMD_GETFAMILY);
	genl_put_string(&request, CTRL_ATTR_FAMILY_NAME, INFINI_GENL_NAME);
	err = talk_to(genl, GENL_ID_CTRL, &request, false, take_family, genl);
	if (err)
		close(genl->fd);
	return err;
}

void genl_close(struct genl *genl)
{
	close(genl->fd);
}

static void take_id(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	(void)cmd;
	*(uint32_t *)arg = genl_u32(&attrs[INFINI_A_VDEV_ID]);
}

int genl_vdev_create(struct genl *genl, const char *name, const char *device, uint64_t memory,
		     uint32_t uid, uint32_t mode, uint32_t *id)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_VDEV_NEW);
	genl_put_string(&request, INFINI_A_VDEV_NAME, name);
	genl_put_string(&request, INFINI_A_VDEV_DEVICE_NAME, device);
	genl_put_u64(&request, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, memory);
	genl_put_u32(&request, INFINI_A_VDEV_UID, uid);
	genl_put_u32(&request, INFINI_A_VDEV_GID, uid);
	genl_put_u32(&request, INFINI_A_VDEV_MODE, mode);
	return genl_talk(genl, &request, false, take_id, id);
}

int genl_vdev_delete(struct genl *genl, uint32_t id, bool force)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_VDEV_DEL);
	genl_put_u32(&request, INFINI_A_VDEV_ID, id);
	if (force)
		genl_put(&request, INFINI_A_VDEV_FORCE, NULL, 0);
	return genl_talk(genl, &request, false, NULL, NULL);
}

static void take_vdev(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	struct genl_attr stats[GENL_ATTRS];
	struct genl_list *list = arg;
	struct genl_vdev *vdev = &list->vdevs[list->nr];

	(void)cmd;
	if (list->nr == sizeof(list->vdevs) / sizeof(list->vdevs[0]))
		return;
	genl_parse(attrs[INFINI_A_VDEV_STATS].data, attrs[INFINI_A_VDEV_STATS].bytes, stats);
	vdev->id = genl_u32(&attrs[INFINI_A_VDEV_ID]);
	vdev->minor = genl_u32(&attrs[INFINI_A_VDEV_MINOR]);
	vdev->executor = genl_u32(&attrs[INFINI_A_VDEV_EXECUTOR]);
	vdev->executor_pid = genl_u32(&attrs[INFINI_A_VDEV_EXECUTOR_PID]);
	vdev->clients = genl_u64(&stats[INFINI_A_STATS_CLIENTS]);
	vdev->queues = genl_u64(&stats[INFINI_A_STATS_QUEUES]);
	vdev->buffers = genl_u64(&stats[INFINI_A_STATS_BUFFERS]);
	vdev->programs = genl_u64(&stats[INFINI_A_STATS_PROGRAMS]);
	vdev->memory_used_bytes = genl_u64(&stats[INFINI_A_STATS_MEMORY_USED_BYTES]);
	snprintf(vdev->name, sizeof(vdev->name), "%.*s", (int)attrs[INFINI_A_VDEV_NAME].bytes,
		 (const char *)attrs[INFINI_A_VDEV_NAME].data);
	list->nr++;
}

int genl_vdevs(struct genl *genl, struct genl_list *list)
{
	struct genl_request request;

	list->nr = 0;
	genl_begin(&request, INFINI_CMD_VDEV_GET);
	return genl_talk(genl, &request, true, take_vdev, list);
}

static void count_one(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	(void)cmd;
	(void)attrs;
	++*(uint32_t *)arg;
}

int genl_devices(struct genl *genl, uint32_t *nr)
{
	struct genl_request request;

	*nr = 0;
	genl_begin(&request, INFINI_CMD_DEVICE_GET);
	return genl_talk(genl, &request, true, count_one, nr);
}

/* ---- events ---- */

int genl_join(struct genl *genl)
{
	return setsockopt(genl->fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &genl->group,
			  sizeof(genl->group)) ? -errno : 0;
}

int genl_event(struct genl *genl, uint32_t *type, uint32_t *vdev, uint32_t *pid)
{
	const size_t skip = sizeof(struct nlmsghdr) + sizeof(struct genlmsghdr);
	_Alignas(struct nlmsghdr) uint8_t bytes[4096];
	struct genl_attr attrs[GENL_ATTRS];
	ssize_t got = recv(genl->fd, bytes, sizeof(bytes), MSG_DONTWAIT);

	if (got < 0)
		return -errno;
	genl_parse(bytes + skip, got - skip, attrs);
	*type = genl_u32(&attrs[INFINI_A_EVENT_TYPE]);
	*vdev = genl_u32(&attrs[INFINI_A_EVENT_VDEV_ID]);
	*pid = genl_u32(&attrs[INFINI_A_EVENT_PID]);
	snprintf(genl->reason, sizeof(genl->reason), "%s", attrs[INFINI_A_EVENT_REASON].data ?
		 (const char *)attrs[INFINI_A_EVENT_REASON].data : "");
	return 0;
}
