// SPDX-License-Identifier: GPL-2.0-or-later
/* A netlink family for libinfini-admin; linked with --wrap around what talks to the kernel. */
#include "fake_family.h"

#include <errno.h>
#include <netlink/genl/ctrl.h>
#include <netlink/handlers.h>
#include <netlink/socket.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

struct family family;

int __wrap_genl_connect(struct nl_sock *sock);
int __wrap_genl_ctrl_resolve(struct nl_sock *sock, const char *name);
int __wrap_genl_ctrl_resolve_grp(struct nl_sock *sock, const char *name, const char *group);
int __wrap_nl_send_auto(struct nl_sock *sock, struct nl_msg *msg);
struct nl_cb *__wrap_nl_cb_alloc(enum nl_cb_kind kind);
struct nl_cb *__real_nl_cb_alloc(enum nl_cb_kind kind);
int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len);
ssize_t __wrap_recvfrom(int fd, void *data, size_t bytes, int flags, struct sockaddr *from,
			socklen_t *len);

void family_reset(void)
{
	memset(&family, 0, sizeof(family));
}

int __wrap_genl_connect(struct nl_sock *sock)
{
	(void)sock;
	return family.connect_err;
}

int __wrap_genl_ctrl_resolve(struct nl_sock *sock, const char *name)
{
	(void)sock;
	assert_string_equal(name, "infini");
	return family.resolve_err ? family.resolve_err : FAMILY_ID;
}

int __wrap_genl_ctrl_resolve_grp(struct nl_sock *sock, const char *name, const char *group)
{
	(void)sock;
	assert_string_equal(name, "infini");
	assert_string_equal(group, "events");
	return family.group_err ? family.group_err : FAMILY_GROUP;
}

int __wrap_setsockopt(int fd, int level, int option, const void *value, socklen_t len)
{
	(void)fd;
	assert_int_equal(level, 270);	/* SOL_NETLINK */
	assert_int_equal(len, sizeof(int));
	if (option == NETLINK_EXT_ACK)
		family.ext_ack = true;
	if (option == NETLINK_CAP_ACK)
		family.cap_ack = true;
	if (option != NETLINK_ADD_MEMBERSHIP)
		return 0;
	memcpy(&family.joined, value, sizeof(int));
	errno = family.join_errno;
	return family.join_errno ? -1 : 0;
}

int __wrap_nl_send_auto(struct nl_sock *sock, struct nl_msg *msg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);

	if (family.send_err)
		return family.send_err;
	nl_complete_msg(sock, msg);
	assert_true(hdr->nlmsg_len <= sizeof(family.request));
	memcpy(family.request, hdr, hdr->nlmsg_len);
	family.request_len = hdr->nlmsg_len;
	return hdr->nlmsg_len;
}

/* Answers carry the number of the request, which is known by now. */
static void family_number(unsigned char *bytes, size_t len)
{
	uint32_t seq = ((struct nlmsghdr *)family.request)->nlmsg_seq;
	size_t at = 0;

	while (at < len) {
		struct nlmsghdr hdr;

		memcpy(&hdr, bytes + at, sizeof(hdr));
		hdr.nlmsg_seq = seq;
		memcpy(bytes + at, &hdr, sizeof(hdr));
		at += NLMSG_ALIGN(hdr.nlmsg_len);
	}
}

static int family_receive(struct nl_sock *sock, struct sockaddr_nl *from, unsigned char **data,
			  struct ucred **creds)
{
	size_t len;

	(void)sock;
	(void)creds;
	assert_true(family.next < family.nr_datagrams);
	len = family.datagrams[family.next].len;
	memset(from, 0, sizeof(*from));
	from->nl_family = AF_NETLINK;
	*data = malloc(len);
	assert_non_null(*data);
	memcpy(*data, family.datagrams[family.next].bytes, len);
	family_number(*data, len);
	family.next++;
	return len;
}

struct nl_cb *__wrap_nl_cb_alloc(enum nl_cb_kind kind)
{
	struct nl_cb *cb = __real_nl_cb_alloc(kind);

	if (cb)
		nl_cb_overwrite_recv(cb, family_receive);
	return cb;
}

ssize_t __wrap_recvfrom(int fd, void *data, size_t bytes, int flags, struct sockaddr *from,
			socklen_t *len)
{
	struct sockaddr_nl sender = { .nl_family = AF_NETLINK };
	size_t got;

	(void)fd;
	assert_true(flags & MSG_DONTWAIT);
	if (family.next >= family.nr_datagrams) {
		errno = family.recv_errno ? family.recv_errno : EAGAIN;
		return -1;
	}
	got = family.datagrams[family.next].len;
	assert_true(got <= bytes);
	memcpy(data, family.datagrams[family.next].bytes, got);
	sender.nl_pid = family.datagrams[family.next].from;
	assert_true(*len >= sizeof(sender));
	memcpy(from, &sender, sizeof(sender));
	*len = sizeof(sender);
	family.next++;
	return got;
}

void family_next(void)
{
	family.nr_datagrams++;
	assert_true(family.nr_datagrams <= FAMILY_DATAGRAMS);
}

void family_add(struct nl_msg *msg)
{
	struct nlmsghdr *hdr = nlmsg_hdr(msg);
	unsigned int at;

	if (!family.nr_datagrams)
		family_next();
	at = family.nr_datagrams - 1;
	assert_true(family.datagrams[at].len + NLMSG_ALIGN(hdr->nlmsg_len) <= FAMILY_BYTES);
	memcpy(family.datagrams[at].bytes + family.datagrams[at].len, hdr, hdr->nlmsg_len);
	family.datagrams[at].len += NLMSG_ALIGN(hdr->nlmsg_len);
	nlmsg_free(msg);
}

struct nl_msg *family_element(int cmd, int flags)
{
	struct nl_msg *msg = nlmsg_alloc_size(8192);

	assert_non_null(msg);
	assert_non_null(genlmsg_put(msg, 0, 0, FAMILY_ID, 0, flags, cmd, 1));
	return msg;
}

struct nl_msg *family_ack(int err, const char *sentence, bool capped)
{
	int flags = (capped ? NLM_F_CAPPED : 0) | (sentence ? NLM_F_ACK_TLVS : 0);
	struct nl_msg *msg = nlmsg_alloc_size(8192);
	struct nlmsgerr error = { .error = err, .msg.nlmsg_len = NLMSG_HDRLEN + (capped ? 0 : 40) };
	char payload[40] = "what the request carried";

	assert_non_null(msg);
	assert_non_null(nlmsg_put(msg, 0, 0, NLMSG_ERROR, 0, flags));
	assert_int_equal(nlmsg_append(msg, &error, sizeof(error), NLMSG_ALIGNTO), 0);
	if (!capped)
		assert_int_equal(nlmsg_append(msg, payload, sizeof(payload), NLMSG_ALIGNTO), 0);
	if (sentence)
		assert_int_equal(nla_put_string(msg, NLMSGERR_ATTR_MSG, sentence), 0);
	return msg;
}

struct nl_msg *family_done(int err, const char *sentence)
{
	int flags = NLM_F_MULTI | (sentence ? NLM_F_ACK_TLVS : 0);
	struct nl_msg *msg = nlmsg_alloc_size(8192);

	assert_non_null(msg);
	assert_non_null(nlmsg_put(msg, 0, 0, NLMSG_DONE, 0, flags));
	assert_int_equal(nlmsg_append(msg, &err, sizeof(err), NLMSG_ALIGNTO), 0);
	if (sentence)
		assert_int_equal(nla_put_string(msg, NLMSGERR_ATTR_MSG, sentence), 0);
	return msg;
}
