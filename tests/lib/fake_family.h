/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A netlink family for libinfini-admin: answers that a test wrote down, requests recorded. */
#ifndef TESTS_LIB_FAKE_FAMILY_H
#define TESTS_LIB_FAKE_FAMILY_H

#include <netlink/attr.h>
#include <netlink/genl/genl.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FAMILY_ID	30
#define FAMILY_GROUP	5
#define FAMILY_DATAGRAMS 8
#define FAMILY_BYTES	16384

/**
 * struct family - what to answer, and what was asked
 * @connect_err: libnl error of genl_connect(); likewise the other three
 * @join_errno: of NETLINK_ADD_MEMBERSHIP
 * @datagrams: to be received, in order; receiving more fails the test
 * @from: sender of what recvfrom() gives; 0 is the kernel
 * @recv_errno: once the datagrams of recvfrom() are used up
 */
struct family {
	int connect_err;
	int resolve_err;
	int group_err;
	int send_err;
	int join_errno;
	struct {
		unsigned char bytes[FAMILY_BYTES];
		size_t len;
		uint32_t from;
	} datagrams[FAMILY_DATAGRAMS];
	unsigned int nr_datagrams;
	unsigned int next;
	int recv_errno;

	unsigned char request[4096] __attribute__((aligned(8)));
	size_t request_len;
	bool ext_ack, cap_ack;
	int joined;
};

extern struct family family;

void family_reset(void);

/* Put @msg, which is freed, behind what the present datagram holds, or begin the next one. */
void family_add(struct nl_msg *msg);
void family_next(void);

/* Messages to add: an element or event of @cmd; the ends that the kernel sends. */
struct nl_msg *family_element(int cmd, int flags);
struct nl_msg *family_ack(int err, const char *sentence, bool capped);
struct nl_msg *family_done(int err, const char *sentence);

#endif /* TESTS_LIB_FAKE_FAMILY_H */
