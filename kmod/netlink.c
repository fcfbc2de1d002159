// SPDX-License-Identifier: GPL-2.0-only
/* The generic netlink family: devices, vdevs, statistics and events for administrators. */

#include <linux/capability.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>
#include <net/genetlink.h>

#include "infini.h"
#include "netlink-policy.h"

/* Room for a vdev, whose three histograms alone do not fit into the default of a small page. */
#define INFINI_NETLINK_BYTES	7424

/* A dump goes on at the first id that did not fit. */
struct infini_netlink_dump {
	unsigned long next;
};

static_assert(sizeof(struct infini_netlink_dump) <= sizeof_field(struct netlink_callback, ctx));
static_assert(INFINI_VDEV_WEIGHT_MIN == INFINI_WEIGHT_MIN);
static_assert(INFINI_VDEV_WEIGHT_MAX == INFINI_WEIGHT_MAX);
static_assert(INFINI_VDEV_WEIGHT_DEFAULT == INFINI_WEIGHT_DEFAULT);
static_assert(INFINI_VDEV_QUANTUM_MIN_NS == INFINI_QUANTUM_MIN_NS);
static_assert(INFINI_VDEV_QUANTUM_MAX_NS == INFINI_QUANTUM_MAX_NS);
static_assert(INFINI_VDEV_QUANTUM_DEFAULT_NS == INFINI_QUANTUM_DEFAULT_NS);
static_assert(INFINI_VDEV_PPM_MAX == INFINI_PPM);
static_assert(INFINI_VDEV_RATE_MAX == INFINI_RATE_MAX);
static_assert(INFINI_VDEV_BURST_MAX == INFINI_BURST_MAX);
static_assert(INFINI_VDEV_CLASS_LATENCY == (int)INFINI_SCHED_LATENCY);
static_assert(INFINI_VDEV_CLASS_NORMAL == (int)INFINI_SCHED_NORMAL);
static_assert(INFINI_VDEV_CLASS_BATCH == (int)INFINI_SCHED_BATCH);
static_assert(INFINI_NAME_MAX == INFINI_NAME_LEN_MAX + 1);

static struct genl_family infini_netlink_family;

/* GENL_ADMIN_PERM would ask for CAP_NET_ADMIN, which has nothing to do with devices. */
static int infini_netlink_allowed(struct sk_buff *skb, struct netlink_ext_ack *extack)
{
	if (netlink_capable(skb, CAP_SYS_ADMIN))
		return 0;
	infini_refused("administration", NULL);
	NL_SET_ERR_MSG(extack, "needs CAP_SYS_ADMIN in the initial user namespace");
	return -EPERM;
}

static void infini_netlink_explain(struct netlink_ext_ack *extack,
				   const struct infini_reason *reason)
{
	if (reason->text[0])
		infini_ext_ack(extack, reason->plain, reason->text);
}

static int infini_netlink_put_kind(struct sk_buff *skb, const struct infini_memory_kind *kind)
{
	struct nlattr *nest = nla_nest_start(skb, INFINI_A_DEVICE_KIND);

	if (!nest)
		return -EMSGSIZE;
	if (nla_put_string(skb, INFINI_A_KIND_NAME, (const char *)kind->name) ||
	    nla_put_u32(skb, INFINI_A_KIND_FLAGS, kind->flags) ||
	    nla_put_u64_64bit(skb, INFINI_A_KIND_ALIGNMENT, kind->alignment, INFINI_A_KIND_PAD) ||
	    nla_put_u64_64bit(skb, INFINI_A_KIND_MAX_BYTES, kind->max_bytes, INFINI_A_KIND_PAD))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* What the vdevs of a device used of its time, together. */
static u64 infini_netlink_occupancy_locked(struct infini_device *device,
					   struct infini_vdev_snapshot *snap)
{
	struct infini_vdev *vdev;
	unsigned long id;
	u64 occupancy;

	lockdep_assert_held(&infini_registry_lock);
	spin_lock_irq(&device->lock);
	occupancy = device->past_occupancy_ns;
	spin_unlock_irq(&device->lock);
	xa_for_each(&infini_vdevs, id, vdev) {
		if (vdev->device != device)
			continue;
		infini_vdev_snapshot(vdev, snap);
		occupancy += snap->stats.occupancy_ns;
	}
	return occupancy;
}

static int infini_netlink_put_device_locked(struct sk_buff *skb, struct infini_device *device,
					    struct infini_vdev_snapshot *snap)
{
	u32 i;

	if (nla_put_u32(skb, INFINI_A_DEVICE_ID, device->id) ||
	    nla_put_string(skb, INFINI_A_DEVICE_NAME, device->name) ||
	    nla_put_string(skb, INFINI_A_DEVICE_BACKEND, device->backend) ||
	    nla_put_string(skb, INFINI_A_DEVICE_DESCRIPTION, device->description) ||
	    nla_put_u32(skb, INFINI_A_DEVICE_CLASS, device->device_class) ||
	    nla_put_u32(skb, INFINI_A_DEVICE_LEVEL, device->level) ||
	    nla_put_u32(skb, INFINI_A_DEVICE_SLOTS, device->sched.slots) ||
	    nla_put_u32(skb, INFINI_A_DEVICE_NR_VDEVS, device->nr_vdevs) ||
	    nla_put_u8(skb, INFINI_A_DEVICE_ONLINE, device->online) ||
	    nla_put_u64_64bit(skb, INFINI_A_DEVICE_MEMORY_BYTES, device->memory_bytes,
			      INFINI_A_DEVICE_PAD) ||
	    nla_put_u64_64bit(skb, INFINI_A_DEVICE_MEMORY_PROMISED_BYTES, device->promised_bytes,
			      INFINI_A_DEVICE_PAD) ||
	    nla_put_u64_64bit(skb, INFINI_A_DEVICE_MEMORY_USED_BYTES,
			      atomic64_read(&device->memory_used_bytes), INFINI_A_DEVICE_PAD) ||
	    nla_put_u64_64bit(skb, INFINI_A_DEVICE_OCCUPANCY_NS,
			      infini_netlink_occupancy_locked(device, snap), INFINI_A_DEVICE_PAD) ||
	    nla_put_u32(skb, INFINI_A_DEVICE_FLOORS_PPM, device->floors_ppm))
		return -EMSGSIZE;
	for (i = 0; i < device->nr_kinds; i++)
		if (infini_netlink_put_kind(skb, &device->kinds[i]))
			return -EMSGSIZE;
	return 0;
}

/* Where each counter goes. */
static const struct {
	int attr;
	size_t offset;
} infini_netlink_stats[] = {
#define FIELD(_attr, _member)						\
	{ INFINI_A_STATS_##_attr, offsetof(struct infini_vdev_stats, _member) }
	FIELD(OCCUPANCY_NS, occupancy_ns),
	FIELD(RUNNABLE_NS, runnable_ns),
	FIELD(QUEUE_WAIT_NS, queue_wait_ns),
	FIELD(JOBS_SUBMITTED, jobs_submitted),
	FIELD(JOBS_COMPLETED, jobs_completed),
	FIELD(JOBS_FAILED, jobs_failed),
	FIELD(JOBS_TIMED_OUT, jobs_timed_out),
	FIELD(DISPATCHES, dispatches),
	FIELD(SLICES, slices),
	FIELD(PREEMPTIONS, preemptions),
	FIELD(TOKENS_EVALUATED, tokens_evaluated),
	FIELD(TOKENS_GENERATED, tokens_generated),
	FIELD(BYTES_IN, bytes_in),
	FIELD(BYTES_OUT, bytes_out),
	FIELD(MEMORY_USED_BYTES, memory_used_bytes),
	FIELD(MEMORY_PEAK_BYTES, memory_peak_bytes),
	FIELD(MEMORY_FAILED, memory_failed),
	FIELD(CLIENTS, clients),
	FIELD(QUEUES, queues),
	FIELD(BUFFERS, buffers),
	FIELD(PROGRAMS, programs),
	FIELD(EXECUTOR_GENERATION, executor_generation),
	FIELD(THROTTLED_NS, throttled_ns),
	FIELD(THROTTLES, throttles),
	FIELD(TOKENS_PROMPT, tokens_prompt),
	FIELD(TOKENS_SCORED, tokens_scored),
	FIELD(TOKENS_EMBEDDED, tokens_embedded),
	FIELD(PROMPTS, prompts),
	FIELD(FILE_BYTES, file_bytes),
#undef FIELD
};

/* The sum of some times, and their histogram. */
static int infini_netlink_put_times(struct sk_buff *skb, int sum_attr, int hist_attr,
				    const struct infini_times *times)
{
	return nla_put_u64_64bit(skb, sum_attr, times->sum_ns, INFINI_A_STATS_PAD) ?:
	       nla_put(skb, hist_attr, sizeof(times->hist), times->hist);
}

static int infini_netlink_put_stats(struct sk_buff *skb, const struct infini_vdev_snapshot *snap)
{
	struct nlattr *nest = nla_nest_start(skb, INFINI_A_VDEV_STATS);
	size_t i;

	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < ARRAY_SIZE(infini_netlink_stats); i++) {
		const void *field = (const void *)&snap->stats + infini_netlink_stats[i].offset;

		if (nla_put_u64_64bit(skb, infini_netlink_stats[i].attr, *(const u64 *)field,
				      INFINI_A_STATS_PAD))
			return -EMSGSIZE;
	}
	if (nla_put(skb, INFINI_A_STATS_QUEUE_WAIT_HIST, sizeof(snap->queue_wait_hist),
		    snap->queue_wait_hist) ||
	    infini_netlink_put_times(skb, INFINI_A_STATS_TTFT_NS, INFINI_A_STATS_TTFT_HIST,
				     &snap->times.ttft) ||
	    infini_netlink_put_times(skb, INFINI_A_STATS_ITL_NS, INFINI_A_STATS_ITL_HIST,
				     &snap->times.itl))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int infini_netlink_put_limits(struct sk_buff *skb,
				     const struct infini_sched_limits *limits)
{
	if (nla_put_u32(skb, INFINI_A_VDEV_WEIGHT, limits->weight) ||
	    nla_put_u64_64bit(skb, INFINI_A_VDEV_QUANTUM_NS, limits->quantum_ns,
			      INFINI_A_VDEV_PAD) ||
	    nla_put_u32(skb, INFINI_A_VDEV_CLASS, limits->sched_class) ||
	    nla_put_u32(skb, INFINI_A_VDEV_CAP_PPM, limits->cap_ppm) ||
	    nla_put_u32(skb, INFINI_A_VDEV_FLOOR_PPM, limits->floor_ppm) ||
	    nla_put_u64_64bit(skb, INFINI_A_VDEV_TOKENS_PER_S, limits->rate, INFINI_A_VDEV_PAD) ||
	    nla_put_u64_64bit(skb, INFINI_A_VDEV_TOKEN_BURST, limits->burst, INFINI_A_VDEV_PAD))
		return -EMSGSIZE;
	return 0;
}

static int infini_netlink_put_clients(struct sk_buff *skb, const struct infini_vdev_snapshot *snap)
{
	u32 i;

	for (i = 0; i < snap->nr_client_cgroups; i++)
		if (nla_put_u64_64bit(skb, INFINI_A_VDEV_CLIENT_CGROUP_ID,
				      snap->client_cgroups[i], INFINI_A_VDEV_PAD))
			return -EMSGSIZE;
	return 0;
}

static int infini_netlink_put_vdev(struct sk_buff *skb, struct infini_vdev *vdev,
				   struct infini_vdev_snapshot *snap)
{
	infini_vdev_snapshot(vdev, snap);
	if (nla_put_u32(skb, INFINI_A_VDEV_ID, snap->id) ||
	    nla_put_string(skb, INFINI_A_VDEV_NAME, vdev->name) ||
	    nla_put_u32(skb, INFINI_A_VDEV_DEVICE_ID, snap->device_id) ||
	    nla_put_string(skb, INFINI_A_VDEV_DEVICE_NAME, vdev->device->name) ||
	    infini_netlink_put_limits(skb, &snap->limits) ||
	    nla_put_u64_64bit(skb, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, snap->memory_limit_bytes,
			      INFINI_A_VDEV_PAD) ||
	    nla_put_u32(skb, INFINI_A_VDEV_UID, from_kuid_munged(&init_user_ns, snap->uid)) ||
	    nla_put_u32(skb, INFINI_A_VDEV_GID, from_kgid_munged(&init_user_ns, snap->gid)) ||
	    nla_put_u32(skb, INFINI_A_VDEV_MODE, snap->mode) ||
	    nla_put_s32(skb, INFINI_A_VDEV_MINOR, snap->has_node ? (s32)snap->id : -1) ||
	    nla_put_u32(skb, INFINI_A_VDEV_EXECUTOR, snap->executor) ||
	    nla_put_u32(skb, INFINI_A_VDEV_EXECUTOR_PID, snap->executor_pid) ||
	    nla_put(skb, INFINI_A_VDEV_UUID, sizeof(vdev->uuid), &vdev->uuid) ||
	    nla_put_u8(skb, INFINI_A_VDEV_EXCLUSIVE, snap->exclusive) ||
	    nla_put_u64_64bit(skb, INFINI_A_VDEV_CGROUP_ID, snap->cgroup_id, INFINI_A_VDEV_PAD) ||
	    infini_netlink_put_clients(skb, snap))
		return -EMSGSIZE;
	return infini_netlink_put_stats(skb, snap);
}

/* One answer to a request, begun; NULL without memory. */
static struct sk_buff *infini_netlink_reply_new(struct genl_info *info, u8 cmd, void **head)
{
	struct sk_buff *reply = genlmsg_new(INFINI_NETLINK_BYTES, GFP_KERNEL);

	if (!reply)
		return NULL;
	*head = genlmsg_put_reply(reply, info, &infini_netlink_family, 0, cmd);
	if (*head)
		return reply;
	nlmsg_free(reply);
	return NULL;
}

/* Send it when it was filled without an error, else drop it. */
static int infini_netlink_reply_end(struct genl_info *info, struct sk_buff *reply, void *head,
				    int err)
{
	if (err) {
		nlmsg_free(reply);
		return err;
	}
	genlmsg_end(reply, head);
	return genlmsg_reply(reply, info);
}

/* The name and id that a request gives; a name goes before an id. */
static int infini_netlink_key(struct genl_info *info, int name_attr, int id_attr,
			      const char **name, u32 *id)
{
	*name = NULL;
	*id = 0;
	if (info->attrs[name_attr]) {
		*name = nla_data(info->attrs[name_attr]);
	} else if (info->attrs[id_attr]) {
		*id = nla_get_u32(info->attrs[id_attr]);
	} else {
		NL_SET_ERR_MSG(info->extack, "neither a name nor an id was given");
		return -EINVAL;
	}
	return 0;
}

static int infini_netlink_unknown(struct genl_info *info, const char *noun, const char *name,
				  u32 id)
{
	if (name)
		NL_SET_ERR_MSG_FMT(info->extack, "no %s is called \"%s\"", noun, name);
	else
		NL_SET_ERR_MSG_FMT(info->extack, "no %s has id %u", noun, id);
	return -ENOENT;
}

/* The vdev that a request names, with a reference. */
static struct infini_vdev *infini_netlink_vdev(struct sk_buff *skb, struct genl_info *info)
{
	struct infini_vdev *vdev;
	const char *name;
	u32 id;
	int err;

	err = infini_netlink_allowed(skb, info->extack);
	if (!err)
		err = infini_netlink_key(info, INFINI_A_VDEV_NAME, INFINI_A_VDEV_ID, &name, &id);
	if (err)
		return ERR_PTR(err);
	vdev = infini_vdev_find(name, id);
	return vdev ?: ERR_PTR(infini_netlink_unknown(info, "vdev", name, id));
}

int infini_nl_device_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct infini_vdev_snapshot *snap = NULL;
	struct infini_device *device;
	struct sk_buff *reply;
	const char *name;
	void *head;
	u32 id;
	int err;

	err = infini_netlink_allowed(skb, info->extack);
	if (!err)
		err = infini_netlink_key(info, INFINI_A_DEVICE_NAME, INFINI_A_DEVICE_ID, &name,
					 &id);
	if (err)
		return err;
	device = infini_device_find(name, id);
	if (!device)
		return infini_netlink_unknown(info, "device", name, id);
	reply = infini_netlink_reply_new(info, INFINI_CMD_DEVICE_GET, &head);
	if (reply)
		snap = kmalloc(sizeof(*snap), GFP_KERNEL);
	if (!snap) {
		err = -ENOMEM;
		nlmsg_free(reply);
		goto out;
	}
	mutex_lock(&infini_registry_lock);
	err = infini_netlink_put_device_locked(reply, device, snap);
	mutex_unlock(&infini_registry_lock);
	err = infini_netlink_reply_end(info, reply, head, err);
	kfree(snap);
out:
	infini_device_put(device);
	return err;
}

int infini_nl_vdev_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct infini_vdev *vdev = infini_netlink_vdev(skb, info);
	struct infini_vdev_snapshot *snap = NULL;
	struct sk_buff *reply;
	void *head;
	int err;

	if (IS_ERR(vdev))
		return PTR_ERR(vdev);
	reply = infini_netlink_reply_new(info, INFINI_CMD_VDEV_GET, &head);
	if (reply)
		snap = kmalloc(sizeof(*snap), GFP_KERNEL);
	if (!snap) {
		err = -ENOMEM;
		nlmsg_free(reply);
		goto out;
	}
	err = infini_netlink_put_vdev(reply, vdev, snap);
	err = infini_netlink_reply_end(info, reply, head, err);
	kfree(snap);
out:
	infini_vdev_put(vdev);
	return err;
}

/* One element of a dump; -EMSGSIZE when it must go into the next message. */
static int infini_netlink_dump_one(struct sk_buff *skb, struct netlink_callback *cb, u8 cmd,
				   void *object, struct infini_vdev_snapshot *snap)
{
	void *head = genlmsg_put(skb, NETLINK_CB(cb->skb).portid, cb->nlh->nlmsg_seq,
				 &infini_netlink_family, NLM_F_MULTI, cmd);
	int err;

	if (!head)
		return -EMSGSIZE;
	if (cmd == INFINI_CMD_DEVICE_GET)
		err = infini_netlink_put_device_locked(skb, object, snap);
	else
		err = infini_netlink_put_vdev(skb, object, snap);
	if (err) {
		genlmsg_cancel(skb, head);
		return err;
	}
	genlmsg_end(skb, head);
	return 0;
}

static int infini_netlink_dump(struct sk_buff *skb, struct netlink_callback *cb,
			       struct xarray *objects, u8 cmd)
{
	struct infini_netlink_dump *dump = (void *)cb->ctx;
	struct infini_vdev_snapshot *snap;
	unsigned long id;
	void *object;
	int err;

	err = infini_netlink_allowed(cb->skb, cb->extack);
	if (err)
		return err;
	snap = kmalloc(sizeof(*snap), GFP_KERNEL);
	if (!snap)
		return -ENOMEM;
	mutex_lock(&infini_registry_lock);
	xa_for_each_start(objects, id, object, dump->next) {
		err = infini_netlink_dump_one(skb, cb, cmd, object, snap);
		if (err)
			break;
		dump->next = id + 1;
	}
	mutex_unlock(&infini_registry_lock);
	kfree(snap);
	/* An element that does not fit behind others goes first into the next message. */
	return skb->len ?: err;
}

int infini_nl_device_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return infini_netlink_dump(skb, cb, &infini_devices, INFINI_CMD_DEVICE_GET);
}

/* Before the first message of a dump: none may be too small for one vdev. */
int infini_nl_vdev_start(struct netlink_callback *cb)
{
	cb->min_dump_alloc = INFINI_NETLINK_BYTES;
	return 0;
}

int infini_nl_vdev_get_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	return infini_netlink_dump(skb, cb, &infini_vdevs, INFINI_CMD_VDEV_GET);
}

static int infini_netlink_owner(struct genl_info *info, struct infini_vdev_config *config)
{
	struct nlattr *uid = info->attrs[INFINI_A_VDEV_UID];
	struct nlattr *gid = info->attrs[INFINI_A_VDEV_GID];

	if (!uid && !gid)
		return 0;
	if (!uid || !gid) {
		NL_SET_ERR_MSG(info->extack, "uid and gid must be given together");
		return -EINVAL;
	}
	config->uid = make_kuid(&init_user_ns, nla_get_u32(uid));
	config->gid = make_kgid(&init_user_ns, nla_get_u32(gid));
	if (!uid_valid(config->uid) || !gid_valid(config->gid)) {
		NL_SET_ERR_MSG_ATTR(info->extack, uid, "4294967295 is not a uid or gid");
		return -EINVAL;
	}
	config->set |= INFINI_VDEV_HAS_OWNER;
	return 0;
}

static void infini_netlink_limits(struct nlattr **attrs, struct infini_vdev_config *config)
{
	if (attrs[INFINI_A_VDEV_WEIGHT]) {
		config->weight = nla_get_u32(attrs[INFINI_A_VDEV_WEIGHT]);
		config->set |= INFINI_VDEV_HAS_WEIGHT;
	}
	if (attrs[INFINI_A_VDEV_QUANTUM_NS]) {
		config->quantum_ns = nla_get_u64(attrs[INFINI_A_VDEV_QUANTUM_NS]);
		config->set |= INFINI_VDEV_HAS_QUANTUM;
	}
	if (attrs[INFINI_A_VDEV_CLASS]) {
		config->sched_class = nla_get_u32(attrs[INFINI_A_VDEV_CLASS]);
		config->set |= INFINI_VDEV_HAS_CLASS;
	}
	if (attrs[INFINI_A_VDEV_CAP_PPM]) {
		config->cap_ppm = nla_get_u32(attrs[INFINI_A_VDEV_CAP_PPM]);
		config->set |= INFINI_VDEV_HAS_CAP;
	}
	if (attrs[INFINI_A_VDEV_FLOOR_PPM]) {
		config->floor_ppm = nla_get_u32(attrs[INFINI_A_VDEV_FLOOR_PPM]);
		config->set |= INFINI_VDEV_HAS_FLOOR;
	}
	if (attrs[INFINI_A_VDEV_TOKENS_PER_S]) {
		config->tokens_per_s = nla_get_u64(attrs[INFINI_A_VDEV_TOKENS_PER_S]);
		config->set |= INFINI_VDEV_HAS_RATE;
	}
	if (attrs[INFINI_A_VDEV_TOKEN_BURST]) {
		config->token_burst = nla_get_u64(attrs[INFINI_A_VDEV_TOKEN_BURST]);
		config->set |= INFINI_VDEV_HAS_BURST;
	}
}

static int infini_netlink_uuid(struct genl_info *info, struct infini_vdev_config *config)
{
	struct nlattr *uuid = info->attrs[INFINI_A_VDEV_UUID];

	if (!uuid)
		return 0;
	import_uuid(&config->uuid, nla_data(uuid));
	if (uuid_is_null(&config->uuid)) {
		NL_SET_ERR_MSG_ATTR(info->extack, uuid, "a uuid of zeros is none");
		return -EINVAL;
	}
	config->set |= INFINI_VDEV_HAS_UUID;
	return 0;
}

/* Who may open it beside owner and mode. A descriptor is one of the caller's, who is sending. */
static int infini_netlink_access(struct genl_info *info, struct infini_vdev_config *config)
{
	struct nlattr *exclusive = info->attrs[INFINI_A_VDEV_EXCLUSIVE];
	struct nlattr *cgroup = info->attrs[INFINI_A_VDEV_CGROUP_FD];
	struct infini_reason reason = { };
	int err;

	if (exclusive) {
		if (nla_get_u8(exclusive) > 1) {
			NL_SET_ERR_MSG_ATTR(info->extack, exclusive, "exclusive is 0 or 1");
			return -EINVAL;
		}
		config->exclusive = nla_get_u8(exclusive);
		config->set |= INFINI_VDEV_HAS_EXCLUSIVE;
	}
	if (!cgroup)
		return 0;
	err = infini_cgroup_from_fd(nla_get_s32(cgroup), &config->cgroup_id, &reason);
	infini_netlink_explain(info->extack, &reason);
	config->set |= INFINI_VDEV_HAS_CGROUP;
	return err;
}

static int infini_netlink_config(struct genl_info *info, struct infini_vdev_config *config)
{
	struct nlattr **attrs = info->attrs;
	int err;

	memset(config, 0, sizeof(*config));
	infini_netlink_limits(attrs, config);
	if (attrs[INFINI_A_VDEV_MEMORY_LIMIT_BYTES]) {
		config->memory_limit_bytes = nla_get_u64(attrs[INFINI_A_VDEV_MEMORY_LIMIT_BYTES]);
		config->set |= INFINI_VDEV_HAS_MEMORY;
	}
	if (attrs[INFINI_A_VDEV_MODE]) {
		config->mode = nla_get_u32(attrs[INFINI_A_VDEV_MODE]);
		config->set |= INFINI_VDEV_HAS_MODE;
	}
	config->no_node = nla_get_flag(attrs[INFINI_A_VDEV_NO_NODE]);
	config->overcommit = nla_get_flag(attrs[INFINI_A_VDEV_OVERCOMMIT]);
	err = infini_netlink_owner(info, config);
	if (!err)
		err = infini_netlink_uuid(info, config);
	return err ?: infini_netlink_access(info, config);
}

/* The answer is made first: a vdev that nobody hears of would be a leak. */
int infini_nl_vdev_new_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct infini_reason reason = { };
	struct infini_vdev_config config;
	struct infini_vdev *vdev;
	struct sk_buff *reply;
	void *head;
	int err;

	err = infini_netlink_allowed(skb, info->extack);
	if (!err)
		err = infini_netlink_config(info, &config);
	if (err)
		return err;
	if (!info->attrs[INFINI_A_VDEV_NAME] || !info->attrs[INFINI_A_VDEV_DEVICE_NAME] ||
	    !(config.set & INFINI_VDEV_HAS_MEMORY)) {
		NL_SET_ERR_MSG(info->extack, "a vdev needs a name, a device and a memory limit");
		return -EINVAL;
	}
	reply = infini_netlink_reply_new(info, INFINI_CMD_VDEV_NEW, &head);
	if (!reply)
		return -ENOMEM;
	err = infini_vdev_create(nla_data(info->attrs[INFINI_A_VDEV_NAME]),
				 nla_data(info->attrs[INFINI_A_VDEV_DEVICE_NAME]), &config, &vdev,
				 &reason);
	if (err) {
		infini_netlink_explain(info->extack, &reason);
	} else {
		err = nla_put_u32(reply, INFINI_A_VDEV_ID, vdev->id);
		infini_vdev_put(vdev);
	}
	return infini_netlink_reply_end(info, reply, head, err);
}

int infini_nl_vdev_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct infini_vdev *vdev = infini_netlink_vdev(skb, info);
	struct infini_reason reason = { };
	struct infini_vdev_config config;
	int err;

	if (IS_ERR(vdev))
		return PTR_ERR(vdev);
	err = infini_netlink_config(info, &config);
	if (!err)
		err = infini_vdev_set(vdev, &config, &reason);
	/* A success may carry a warning. */
	infini_netlink_explain(info->extack, &reason);
	infini_vdev_put(vdev);
	return err;
}

int infini_nl_vdev_del_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct infini_vdev *vdev = infini_netlink_vdev(skb, info);
	struct infini_reason reason = { };
	int err;

	if (IS_ERR(vdev))
		return PTR_ERR(vdev);
	err = infini_vdev_delete(vdev, nla_get_flag(info->attrs[INFINI_A_VDEV_FORCE]), &reason);
	if (err)
		infini_netlink_explain(info->extack, &reason);
	infini_vdev_put(vdev);
	return err;
}

/* What nobody can ask for any more. */
static int infini_netlink_put_final(struct sk_buff *skb, struct infini_vdev *vdev)
{
	struct infini_vdev_snapshot *snap = kmalloc(sizeof(*snap), GFP_KERNEL);
	int err = 0;

	/* That it is gone matters more. */
	if (!snap)
		return 0;
	infini_vdev_snapshot(vdev, snap);
	if (nla_put_u64_64bit(skb, INFINI_A_EVENT_TOKENS_EVALUATED, snap->stats.tokens_evaluated,
			      INFINI_A_EVENT_PAD) ||
	    nla_put_u64_64bit(skb, INFINI_A_EVENT_TOKENS_GENERATED, snap->stats.tokens_generated,
			      INFINI_A_EVENT_PAD) ||
	    nla_put_u64_64bit(skb, INFINI_A_EVENT_OCCUPANCY_NS, snap->stats.occupancy_ns,
			      INFINI_A_EVENT_PAD))
		err = -EMSGSIZE;
	kfree(snap);
	return err;
}

static int infini_netlink_put_event(struct sk_buff *skb, enum infini_event type,
				    const struct infini_device *device, struct infini_vdev *vdev,
				    pid_t pid, const char *reason)
{
	if (nla_put_u32(skb, INFINI_A_EVENT_TYPE, type) ||
	    nla_put_u32(skb, INFINI_A_EVENT_DEVICE_ID, device->id) ||
	    (vdev && nla_put_u32(skb, INFINI_A_EVENT_VDEV_ID, vdev->id)) ||
	    (pid && nla_put_u32(skb, INFINI_A_EVENT_PID, pid)) ||
	    nla_put_u64_64bit(skb, INFINI_A_EVENT_TIME_NS, ktime_get_ns(), INFINI_A_EVENT_PAD) ||
	    nla_put_string(skb, INFINI_A_EVENT_NAME, vdev ? vdev->name : device->name) ||
	    (reason && reason[0] && nla_put_string(skb, INFINI_A_EVENT_REASON, reason)))
		return -EMSGSIZE;
	return type == INFINI_EVENT_VDEV_DELETED ? infini_netlink_put_final(skb, vdev) : 0;
}

/* Without memory the event is lost, and who listens is told so: ENOBUFS, as with a full queue. */
void infini_netlink_event_why(enum infini_event type, const struct infini_device *device,
			      struct infini_vdev *vdev, pid_t pid, const char *reason)
{
	struct sk_buff *skb;
	void *head;

	might_sleep();
	if (!genl_has_listeners(&infini_netlink_family, &init_net, INFINI_NLGRP_EVENTS))
		return;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!skb)
		goto lost;
	head = genlmsg_put(skb, 0, 0, &infini_netlink_family, 0, INFINI_CMD_EVENT_NTF);
	if (!head || infini_netlink_put_event(skb, type, device, vdev, pid, reason)) {
		nlmsg_free(skb);
		goto lost;
	}
	genlmsg_end(skb, head);
	genlmsg_multicast(&infini_netlink_family, skb, 0, INFINI_NLGRP_EVENTS, GFP_KERNEL);
	return;

lost:
	genl_set_err(&infini_netlink_family, &init_net, 0, INFINI_NLGRP_EVENTS, -ENOBUFS);
}

/*
 * parallel_ops: deleting a vdev by force may wait, and other families must not wait with it. Our
 * own locks order what must be ordered. Not netnsok: initial network namespace only.
 */
static struct genl_family infini_netlink_family __ro_after_init = {
	.name		= INFINI_GENL_NAME,
	.version	= INFINI_GENL_VERSION,
	.module		= THIS_MODULE,
	.parallel_ops	= true,
	.ops		= infini_nl_ops,
	.n_ops		= ARRAY_SIZE(infini_nl_ops),
	.mcgrps		= infini_nl_groups,
	.n_mcgrps	= ARRAY_SIZE(infini_nl_groups),
};

int __init infini_netlink_init(void)
{
	return genl_register_family(&infini_netlink_family);
}

void infini_netlink_exit(void)
{
	genl_unregister_family(&infini_netlink_family);
}
