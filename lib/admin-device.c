// SPDX-License-Identifier: LGPL-2.1-or-later
/* Devices: list and get. */
#include "admin.h"

struct infini_device_walk {
	infini_admin_device_fn fn;
	void *arg;
};

static int infini_device_visit(const struct nlmsghdr *reply, void *arg)
{
	const struct infini_device_walk *walk = arg;
	struct infini_admin_device device;
	int err = infini_device_parse(reply, &device);

	return err ? err : walk->fn(&device, walk->arg);
}

int infini_admin_device_list(struct infini_admin *admin, infini_admin_device_fn fn, void *arg)
{
	struct nl_msg *msg = infini_request_new(admin, INFINI_CMD_DEVICE_GET, NLM_F_DUMP);
	struct infini_device_walk walk = { .fn = fn, .arg = arg };

	return msg ? infini_request_run(admin, msg, infini_device_visit, &walk) : -ENOMEM;
}

static int infini_device_take(const struct nlmsghdr *reply, void *arg)
{
	return infini_device_parse(reply, arg);
}

int infini_admin_device_get(struct infini_admin *admin, const char *name, uint32_t id,
			    struct infini_admin_device *device)
{
	struct nl_msg *msg = infini_request_new(admin, INFINI_CMD_DEVICE_GET, 0);
	int err;

	if (!msg)
		return -ENOMEM;
	err = infini_request_name(msg, INFINI_A_DEVICE_NAME, name, INFINI_A_DEVICE_ID, id);
	if (!err)
		return infini_request_run(admin, msg, infini_device_take, device);
	nlmsg_free(msg);
	return err;
}
