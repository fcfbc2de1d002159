// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Answers and events of the module, as libinfini-admin reads them. Input: what follows a generic
 * netlink header, the command first.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "admin.h"

#define ROOM	16384

void fuzz_begin(void)
{
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct infini_admin_device device;
	struct infini_admin_event event;
	struct infini_admin_vdev vdev;
	struct nlmsghdr *head;
	size_t whole;

	if (!bytes || bytes > ROOM)
		return 0;
	whole = NLMSG_LENGTH(GENL_HDRLEN) + bytes - 1;
	head = calloc(1, whole);
	head->nlmsg_len = (uint32_t)whole;
	*(struct genlmsghdr *)NLMSG_DATA(head) = (struct genlmsghdr){
		.cmd = data[0],
		.version = INFINI_GENL_VERSION,
	};
	memcpy((char *)NLMSG_DATA(head) + GENL_HDRLEN, data + 1, bytes - 1);
	if (!infini_device_parse(head, &device))
		fuzz_use((unsigned int)strlen(device.name) + device.nr_kinds);
	if (!infini_vdev_parse(head, &vdev))
		fuzz_use((unsigned int)strlen(vdev.name));
	if (!infini_event_parse(head, &event))
		fuzz_use((unsigned int)strlen(event.name));
	free(head);
	return 0;
}

static void put(struct nl_msg *msg, int cmd)
{
	unsigned char *seed;
	size_t bytes = nlmsg_datalen(nlmsg_hdr(msg));

	seed = malloc(bytes + 1);
	seed[0] = (unsigned char)cmd;
	memcpy(seed + 1, nlmsg_data(nlmsg_hdr(msg)), bytes);
	fuzz_seed(seed, bytes + 1);
	free(seed);
	nlmsg_free(msg);
}

void fuzz_seeds(void)
{
	struct nl_msg *msg = nlmsg_alloc();
	struct nlattr *nest;

	nla_put_u32(msg, INFINI_A_DEVICE_ID, 2);
	nla_put_string(msg, INFINI_A_DEVICE_NAME, "cpu0");
	nest = nla_nest_start(msg, INFINI_A_DEVICE_KIND);
	nla_put_string(msg, INFINI_A_KIND_NAME, "CPU");
	nla_nest_end(msg, nest);
	put(msg, INFINI_CMD_DEVICE_GET);
	msg = nlmsg_alloc();
	nla_put_u32(msg, INFINI_A_VDEV_ID, 2);
	nla_put_string(msg, INFINI_A_VDEV_NAME, "a");
	nla_put_u64(msg, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 1 << 20);
	put(msg, INFINI_CMD_VDEV_GET);
}
