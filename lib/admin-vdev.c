// SPDX-License-Identifier: LGPL-2.1-or-later
/* Vdevs: list, get, create, set, delete. */
#include "admin.h"

struct infini_vdev_walk {
	infini_admin_vdev_fn fn;
	void *arg;
};

static int infini_vdev_visit(const struct nlmsghdr *reply, void *arg)
{
	const struct infini_vdev_walk *walk = arg;
	struct infini_admin_vdev vdev;
	int err = infini_vdev_parse(reply, &vdev);

	return err ? err : walk->fn(&vdev, walk->arg);
}

int infini_admin_vdev_list(struct infini_admin *admin, infini_admin_vdev_fn fn, void *arg)
{
	struct nl_msg *msg = infini_request_new(admin, INFINI_CMD_VDEV_GET, NLM_F_DUMP);
	struct infini_vdev_walk walk = { .fn = fn, .arg = arg };

	return msg ? infini_request_run(admin, msg, infini_vdev_visit, &walk) : -ENOMEM;
}

/* A request about one vdev; NULL and *@err otherwise. */
static struct nl_msg *infini_vdev_request(struct infini_admin *admin, int cmd, const char *name,
					  uint32_t id, int *err)
{
	struct nl_msg *msg = infini_request_new(admin, cmd, 0);

	*err = msg ? infini_request_name(msg, INFINI_A_VDEV_NAME, name, INFINI_A_VDEV_ID, id) :
		     -ENOMEM;
	if (!*err)
		return msg;
	nlmsg_free(msg);
	return NULL;
}

static int infini_vdev_take(const struct nlmsghdr *reply, void *arg)
{
	return infini_vdev_parse(reply, arg);
}

int infini_admin_vdev_get(struct infini_admin *admin, const char *name, uint32_t id,
			  struct infini_admin_vdev *vdev)
{
	int err;
	struct nl_msg *msg = infini_vdev_request(admin, INFINI_CMD_VDEV_GET, name, id, &err);

	return msg ? infini_request_run(admin, msg, infini_vdev_take, vdev) : err;
}

static int infini_vdev_limits_put(struct nl_msg *msg, const struct infini_admin_vdev_config *config)
{
	int err = 0;

	if (!err && config->set & INFINI_VDEV_SET_CLASS)
		err = nla_put_u32(msg, INFINI_A_VDEV_CLASS, config->vdev_class);
	if (!err && config->set & INFINI_VDEV_SET_CAP)
		err = nla_put_u32(msg, INFINI_A_VDEV_CAP_PPM, config->cap_ppm);
	if (!err && config->set & INFINI_VDEV_SET_FLOOR)
		err = nla_put_u32(msg, INFINI_A_VDEV_FLOOR_PPM, config->floor_ppm);
	if (!err && config->set & INFINI_VDEV_SET_RATE)
		err = nla_put_u64(msg, INFINI_A_VDEV_TOKENS_PER_S, config->tokens_per_s);
	if (!err && config->set & INFINI_VDEV_SET_BURST)
		err = nla_put_u64(msg, INFINI_A_VDEV_TOKEN_BURST, config->token_burst);
	return err;
}

static int infini_vdev_access_put(struct nl_msg *msg, const struct infini_admin_vdev_config *config)
{
	int err = 0;

	if (!err && config->set & INFINI_VDEV_SET_OWNER)
		err = nla_put_u32(msg, INFINI_A_VDEV_UID, config->uid);
	if (!err && config->set & INFINI_VDEV_SET_OWNER)
		err = nla_put_u32(msg, INFINI_A_VDEV_GID, config->gid);
	if (!err && config->set & INFINI_VDEV_SET_MODE)
		err = nla_put_u32(msg, INFINI_A_VDEV_MODE, config->mode);
	if (!err && config->set & INFINI_VDEV_SET_EXCLUSIVE)
		err = nla_put_u8(msg, INFINI_A_VDEV_EXCLUSIVE, config->exclusive);
	if (!err && config->set & INFINI_VDEV_SET_CGROUP)
		err = nla_put_s32(msg, INFINI_A_VDEV_CGROUP_FD, config->cgroup_fd);
	return err;
}

static int infini_vdev_config_put(struct nl_msg *msg, const struct infini_admin_vdev_config *config)
{
	int err = 0;

	if (!err && config->set & INFINI_VDEV_SET_WEIGHT)
		err = nla_put_u32(msg, INFINI_A_VDEV_WEIGHT, config->weight);
	if (!err && config->set & INFINI_VDEV_SET_QUANTUM)
		err = nla_put_u64(msg, INFINI_A_VDEV_QUANTUM_NS, config->quantum_ns);
	if (!err && config->set & INFINI_VDEV_SET_MEMORY)
		err = nla_put_u64(msg, INFINI_A_VDEV_MEMORY_LIMIT_BYTES,
				  config->memory_limit_bytes);
	if (!err && config->set & INFINI_VDEV_SET_UUID)
		err = nla_put(msg, INFINI_A_VDEV_UUID, sizeof(config->uuid), config->uuid);
	if (!err && config->no_node)
		err = nla_put_flag(msg, INFINI_A_VDEV_NO_NODE);
	if (!err && config->overcommit)
		err = nla_put_flag(msg, INFINI_A_VDEV_OVERCOMMIT);
	if (!err)
		err = infini_vdev_access_put(msg, config);
	if (!err)
		err = infini_vdev_limits_put(msg, config);
	return infini_nl_errno(err);
}

static int infini_vdev_take_id(const struct nlmsghdr *reply, void *arg)
{
	struct infini_admin_vdev vdev;
	uint32_t *id = arg;
	int err = infini_vdev_parse(reply, &vdev);

	if (!err)
		*id = vdev.id;
	return err;
}

int infini_admin_vdev_create(struct infini_admin *admin, const char *name, const char *device,
			     const struct infini_admin_vdev_config *config, uint32_t *id)
{
	struct nl_msg *msg;
	int err;

	if (!name || !device || !(config->set & INFINI_VDEV_SET_MEMORY))
		return -EINVAL;
	msg = infini_vdev_request(admin, INFINI_CMD_VDEV_NEW, name, 0, &err);
	if (!msg)
		return err;
	err = infini_request_name(msg, INFINI_A_VDEV_DEVICE_NAME, device, 0, 0);
	if (!err)
		err = infini_vdev_config_put(msg, config);
	if (!err)
		return infini_request_run(admin, msg, infini_vdev_take_id, id);
	nlmsg_free(msg);
	return err;
}

int infini_admin_vdev_set(struct infini_admin *admin, const char *name, uint32_t id,
			  const struct infini_admin_vdev_config *config)
{
	struct nl_msg *msg;
	int err;

	if (config->no_node || config->set & INFINI_VDEV_SET_UUID)
		return -EINVAL;
	msg = infini_vdev_request(admin, INFINI_CMD_VDEV_SET, name, id, &err);
	if (!msg)
		return err;
	err = infini_vdev_config_put(msg, config);
	if (!err)
		return infini_request_run(admin, msg, NULL, NULL);
	nlmsg_free(msg);
	return err;
}

int infini_admin_vdev_delete(struct infini_admin *admin, const char *name, uint32_t id, bool force)
{
	int err;
	struct nl_msg *msg = infini_vdev_request(admin, INFINI_CMD_VDEV_DEL, name, id, &err);

	if (!msg)
		return err;
	err = force ? infini_nl_errno(nla_put_flag(msg, INFINI_A_VDEV_FORCE)) : 0;
	if (!err)
		return infini_request_run(admin, msg, NULL, NULL);
	nlmsg_free(msg);
	return err;
}
