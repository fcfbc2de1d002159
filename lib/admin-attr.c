// SPDX-License-Identifier: LGPL-2.1-or-later
/* Netlink messages of the module as the structs of infini-admin.h. */
#include <stddef.h>
#include <string.h>

#include "admin.h"

void infini_attr_u32(const struct nlattr *attr, uint32_t *value)
{
	if (attr)
		*value = nla_get_u32(attr);
}

void infini_attr_u64(const struct nlattr *attr, uint64_t *value)
{
	if (attr)
		*value = nla_get_u64(attr);
}

void infini_attr_string(const struct nlattr *attr, char *field, size_t size)
{
	if (attr)
		nla_strlcpy(field, attr, size);
}

static struct nla_policy infini_kind_policy[INFINI_A_KIND_MAX + 1] = {
	[INFINI_A_KIND_NAME] = { .type = NLA_STRING },
	[INFINI_A_KIND_FLAGS] = { .type = NLA_U32 },
	[INFINI_A_KIND_ALIGNMENT] = { .type = NLA_U64 },
	[INFINI_A_KIND_MAX_BYTES] = { .type = NLA_U64 },
};

static int infini_kind_parse(struct nlattr *attr, struct infini_memory_kind *kind)
{
	struct nlattr *tb[INFINI_A_KIND_MAX + 1];
	uint64_t alignment = 0, max_bytes = 0;

	if (nla_parse_nested(tb, INFINI_A_KIND_MAX, attr, infini_kind_policy) < 0)
		return -EBADMSG;
	infini_attr_string(tb[INFINI_A_KIND_NAME], (char *)kind->name, sizeof(kind->name));
	infini_attr_u32(tb[INFINI_A_KIND_FLAGS], &kind->flags);
	infini_attr_u64(tb[INFINI_A_KIND_ALIGNMENT], &alignment);
	infini_attr_u64(tb[INFINI_A_KIND_MAX_BYTES], &max_bytes);
	kind->alignment = alignment;
	kind->max_bytes = max_bytes;
	return 0;
}

/* The attribute comes once per kind, which a table of attributes cannot hold. */
static int infini_kinds_parse(const struct nlmsghdr *reply, struct infini_admin_device *device)
{
	struct genlmsghdr *head = genlmsg_hdr((struct nlmsghdr *)reply);
	struct nlattr *attr;
	int rest;

	nla_for_each_attr(attr, genlmsg_attrdata(head, 0), genlmsg_attrlen(head, 0), rest) {
		if (nla_type(attr) != INFINI_A_DEVICE_KIND)
			continue;
		if (device->nr_kinds == INFINI_MEMORY_KINDS_MAX)
			return -EBADMSG;
		if (infini_kind_parse(attr, &device->kinds[device->nr_kinds]))
			return -EBADMSG;
		device->nr_kinds++;
	}
	return 0;
}

static struct nla_policy infini_device_policy[INFINI_A_DEVICE_MAX + 1] = {
	[INFINI_A_DEVICE_ID] = { .type = NLA_U32 },
	[INFINI_A_DEVICE_NAME] = { .type = NLA_STRING },
	[INFINI_A_DEVICE_BACKEND] = { .type = NLA_STRING },
	[INFINI_A_DEVICE_DESCRIPTION] = { .type = NLA_STRING },
	[INFINI_A_DEVICE_CLASS] = { .type = NLA_U32 },
	[INFINI_A_DEVICE_LEVEL] = { .type = NLA_U32 },
	[INFINI_A_DEVICE_SLOTS] = { .type = NLA_U32 },
	[INFINI_A_DEVICE_NR_VDEVS] = { .type = NLA_U32 },
	[INFINI_A_DEVICE_ONLINE] = { .type = NLA_U8 },
	[INFINI_A_DEVICE_MEMORY_BYTES] = { .type = NLA_U64 },
	[INFINI_A_DEVICE_MEMORY_PROMISED_BYTES] = { .type = NLA_U64 },
	[INFINI_A_DEVICE_MEMORY_USED_BYTES] = { .type = NLA_U64 },
	[INFINI_A_DEVICE_OCCUPANCY_NS] = { .type = NLA_U64 },
	[INFINI_A_DEVICE_KIND] = { .type = NLA_NESTED },
	[INFINI_A_DEVICE_FLOORS_PPM] = { .type = NLA_U32 },
};

int infini_device_parse(const struct nlmsghdr *reply, struct infini_admin_device *device)
{
	struct nlattr *tb[INFINI_A_DEVICE_MAX + 1];

	memset(device, 0, sizeof(*device));
	if (genlmsg_parse((struct nlmsghdr *)reply, 0, tb, INFINI_A_DEVICE_MAX,
			  infini_device_policy) < 0)
		return -EBADMSG;
	infini_attr_u32(tb[INFINI_A_DEVICE_ID], &device->id);
	infini_attr_u32(tb[INFINI_A_DEVICE_CLASS], &device->device_class);
	infini_attr_u32(tb[INFINI_A_DEVICE_LEVEL], &device->level);
	infini_attr_u32(tb[INFINI_A_DEVICE_SLOTS], &device->slots);
	infini_attr_u32(tb[INFINI_A_DEVICE_NR_VDEVS], &device->nr_vdevs);
	device->online = tb[INFINI_A_DEVICE_ONLINE] && nla_get_u8(tb[INFINI_A_DEVICE_ONLINE]);
	infini_attr_u64(tb[INFINI_A_DEVICE_MEMORY_BYTES], &device->memory_bytes);
	infini_attr_u64(tb[INFINI_A_DEVICE_MEMORY_PROMISED_BYTES], &device->memory_promised_bytes);
	infini_attr_u64(tb[INFINI_A_DEVICE_MEMORY_USED_BYTES], &device->memory_used_bytes);
	infini_attr_u64(tb[INFINI_A_DEVICE_OCCUPANCY_NS], &device->occupancy_ns);
	infini_attr_u32(tb[INFINI_A_DEVICE_FLOORS_PPM], &device->floors_ppm);
	infini_attr_string(tb[INFINI_A_DEVICE_NAME], device->name, sizeof(device->name));
	infini_attr_string(tb[INFINI_A_DEVICE_BACKEND], device->backend, sizeof(device->backend));
	infini_attr_string(tb[INFINI_A_DEVICE_DESCRIPTION], device->description,
			   sizeof(device->description));
	return infini_kinds_parse(reply, device);
}

/* Where each counter of a vdev goes. */
static const struct {
	int attr;
	size_t offset;
} infini_stats_fields[] = {
#define FIELD(attr, member)						\
	{ INFINI_A_STATS_##attr, offsetof(struct infini_vdev_stats, member) }
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

static int infini_hist_parse(struct nlattr *attr, uint64_t *hist)
{
	const int bytes = INFINI_HIST_BUCKETS * sizeof(*hist);

	if (attr && nla_len(attr) != bytes)
		return -EBADMSG;
	if (attr)
		memcpy(hist, nla_data(attr), bytes);
	return 0;
}

static int infini_stats_parse(struct nlattr *nest, struct infini_admin_vdev *vdev)
{
	struct nlattr *tb[INFINI_A_STATS_MAX + 1];
	uint64_t value;
	size_t i;

	if (nla_parse_nested(tb, INFINI_A_STATS_MAX, nest, NULL) < 0)
		return -EBADMSG;
	for (i = 0; i < sizeof(infini_stats_fields) / sizeof(*infini_stats_fields); i++) {
		struct nlattr *attr = tb[infini_stats_fields[i].attr];

		if (!attr)
			continue;
		if (nla_len(attr) != sizeof(value))
			return -EBADMSG;
		value = nla_get_u64(attr);
		memcpy((char *)&vdev->stats + infini_stats_fields[i].offset, &value, sizeof(value));
	}
	infini_attr_u64(tb[INFINI_A_STATS_TTFT_NS], &vdev->ttft.sum_ns);
	infini_attr_u64(tb[INFINI_A_STATS_ITL_NS], &vdev->itl.sum_ns);
	if (infini_hist_parse(tb[INFINI_A_STATS_QUEUE_WAIT_HIST], vdev->queue_wait_hist) ||
	    infini_hist_parse(tb[INFINI_A_STATS_TTFT_HIST], vdev->ttft.hist) ||
	    infini_hist_parse(tb[INFINI_A_STATS_ITL_HIST], vdev->itl.hist))
		return -EBADMSG;
	return 0;
}

/* As kinds of memory, once per cgroup. What a newer module has beyond our room is left out. */
static int infini_client_cgroups_parse(const struct nlmsghdr *reply, struct infini_admin_vdev *vdev)
{
	struct genlmsghdr *head = genlmsg_hdr((struct nlmsghdr *)reply);
	struct nlattr *attr;
	int rest;

	nla_for_each_attr(attr, genlmsg_attrdata(head, 0), genlmsg_attrlen(head, 0), rest) {
		if (nla_type(attr) != INFINI_A_VDEV_CLIENT_CGROUP_ID)
			continue;
		if (nla_len(attr) != sizeof(uint64_t))
			return -EBADMSG;
		if (vdev->nr_client_cgroups < INFINI_VDEV_CLIENT_CGROUPS_MAX)
			vdev->client_cgroups[vdev->nr_client_cgroups++] = nla_get_u64(attr);
	}
	return 0;
}

static struct nla_policy infini_vdev_policy[INFINI_A_VDEV_MAX + 1] = {
	[INFINI_A_VDEV_ID] = { .type = NLA_U32 },
	[INFINI_A_VDEV_NAME] = { .type = NLA_STRING },
	[INFINI_A_VDEV_DEVICE_ID] = { .type = NLA_U32 },
	[INFINI_A_VDEV_DEVICE_NAME] = { .type = NLA_STRING },
	[INFINI_A_VDEV_WEIGHT] = { .type = NLA_U32 },
	[INFINI_A_VDEV_QUANTUM_NS] = { .type = NLA_U64 },
	[INFINI_A_VDEV_MEMORY_LIMIT_BYTES] = { .type = NLA_U64 },
	[INFINI_A_VDEV_UID] = { .type = NLA_U32 },
	[INFINI_A_VDEV_GID] = { .type = NLA_U32 },
	[INFINI_A_VDEV_MODE] = { .type = NLA_U32 },
	[INFINI_A_VDEV_MINOR] = { .type = NLA_S32 },
	[INFINI_A_VDEV_EXECUTOR] = { .type = NLA_U32 },
	[INFINI_A_VDEV_EXECUTOR_PID] = { .type = NLA_U32 },
	[INFINI_A_VDEV_STATS] = { .type = NLA_NESTED },
	[INFINI_A_VDEV_UUID] = { .minlen = INFINI_VDEV_UUID_BYTES,
				 .maxlen = INFINI_VDEV_UUID_BYTES },
	[INFINI_A_VDEV_EXCLUSIVE] = { .type = NLA_U8 },
	[INFINI_A_VDEV_CGROUP_ID] = { .type = NLA_U64 },
	[INFINI_A_VDEV_CLASS] = { .type = NLA_U32 },
	[INFINI_A_VDEV_CAP_PPM] = { .type = NLA_U32 },
	[INFINI_A_VDEV_FLOOR_PPM] = { .type = NLA_U32 },
	[INFINI_A_VDEV_TOKENS_PER_S] = { .type = NLA_U64 },
	[INFINI_A_VDEV_TOKEN_BURST] = { .type = NLA_U64 },
};

int infini_vdev_parse(const struct nlmsghdr *reply, struct infini_admin_vdev *vdev)
{
	struct nlattr *tb[INFINI_A_VDEV_MAX + 1];

	memset(vdev, 0, sizeof(*vdev));
	vdev->minor = -1;
	/* What a module that knows no limits would say. */
	vdev->vdev_class = INFINI_VDEV_CLASS_NORMAL;
	vdev->cap_ppm = INFINI_VDEV_PPM_MAX;
	if (genlmsg_parse((struct nlmsghdr *)reply, 0, tb, INFINI_A_VDEV_MAX,
			  infini_vdev_policy) < 0)
		return -EBADMSG;
	infini_attr_u32(tb[INFINI_A_VDEV_ID], &vdev->id);
	infini_attr_u32(tb[INFINI_A_VDEV_DEVICE_ID], &vdev->device_id);
	infini_attr_u32(tb[INFINI_A_VDEV_WEIGHT], &vdev->weight);
	infini_attr_u32(tb[INFINI_A_VDEV_UID], &vdev->uid);
	infini_attr_u32(tb[INFINI_A_VDEV_GID], &vdev->gid);
	infini_attr_u32(tb[INFINI_A_VDEV_MODE], &vdev->mode);
	infini_attr_u32(tb[INFINI_A_VDEV_EXECUTOR], &vdev->executor);
	infini_attr_u32(tb[INFINI_A_VDEV_EXECUTOR_PID], &vdev->executor_pid);
	infini_attr_u64(tb[INFINI_A_VDEV_CGROUP_ID], &vdev->cgroup_id);
	infini_attr_u64(tb[INFINI_A_VDEV_QUANTUM_NS], &vdev->quantum_ns);
	infini_attr_u64(tb[INFINI_A_VDEV_MEMORY_LIMIT_BYTES], &vdev->memory_limit_bytes);
	infini_attr_u32(tb[INFINI_A_VDEV_CLASS], &vdev->vdev_class);
	infini_attr_u32(tb[INFINI_A_VDEV_CAP_PPM], &vdev->cap_ppm);
	infini_attr_u32(tb[INFINI_A_VDEV_FLOOR_PPM], &vdev->floor_ppm);
	infini_attr_u64(tb[INFINI_A_VDEV_TOKENS_PER_S], &vdev->tokens_per_s);
	infini_attr_u64(tb[INFINI_A_VDEV_TOKEN_BURST], &vdev->token_burst);
	infini_attr_string(tb[INFINI_A_VDEV_NAME], vdev->name, sizeof(vdev->name));
	infini_attr_string(tb[INFINI_A_VDEV_DEVICE_NAME], vdev->device_name,
			   sizeof(vdev->device_name));
	if (tb[INFINI_A_VDEV_UUID])
		memcpy(vdev->uuid, nla_data(tb[INFINI_A_VDEV_UUID]), sizeof(vdev->uuid));
	if (tb[INFINI_A_VDEV_EXCLUSIVE])
		vdev->exclusive = nla_get_u8(tb[INFINI_A_VDEV_EXCLUSIVE]);
	if (tb[INFINI_A_VDEV_MINOR])
		vdev->minor = nla_get_s32(tb[INFINI_A_VDEV_MINOR]);
	if (infini_client_cgroups_parse(reply, vdev))
		return -EBADMSG;
	return tb[INFINI_A_VDEV_STATS] ? infini_stats_parse(tb[INFINI_A_VDEV_STATS], vdev) : 0;
}

static struct nla_policy infini_event_policy[INFINI_A_EVENT_MAX + 1] = {
	[INFINI_A_EVENT_TYPE] = { .type = NLA_U32 },
	[INFINI_A_EVENT_DEVICE_ID] = { .type = NLA_U32 },
	[INFINI_A_EVENT_VDEV_ID] = { .type = NLA_U32 },
	[INFINI_A_EVENT_PID] = { .type = NLA_U32 },
	[INFINI_A_EVENT_TIME_NS] = { .type = NLA_U64 },
	[INFINI_A_EVENT_NAME] = { .type = NLA_STRING },
	[INFINI_A_EVENT_REASON] = { .type = NLA_STRING },
	[INFINI_A_EVENT_TOKENS_EVALUATED] = { .type = NLA_U64 },
	[INFINI_A_EVENT_TOKENS_GENERATED] = { .type = NLA_U64 },
	[INFINI_A_EVENT_OCCUPANCY_NS] = { .type = NLA_U64 },
};

int infini_event_parse(const struct nlmsghdr *message, struct infini_admin_event *event)
{
	struct nlattr *tb[INFINI_A_EVENT_MAX + 1];

	memset(event, 0, sizeof(*event));
	if (genlmsg_parse((struct nlmsghdr *)message, 0, tb, INFINI_A_EVENT_MAX,
			  infini_event_policy) < 0)
		return -EBADMSG;
	infini_attr_u32(tb[INFINI_A_EVENT_TYPE], &event->type);
	infini_attr_u32(tb[INFINI_A_EVENT_DEVICE_ID], &event->device_id);
	infini_attr_u32(tb[INFINI_A_EVENT_VDEV_ID], &event->vdev_id);
	infini_attr_u32(tb[INFINI_A_EVENT_PID], &event->pid);
	infini_attr_u64(tb[INFINI_A_EVENT_TIME_NS], &event->time_ns);
	infini_attr_string(tb[INFINI_A_EVENT_NAME], event->name, sizeof(event->name));
	infini_attr_string(tb[INFINI_A_EVENT_REASON], event->reason, sizeof(event->reason));
	infini_attr_u64(tb[INFINI_A_EVENT_TOKENS_EVALUATED], &event->tokens_evaluated);
	infini_attr_u64(tb[INFINI_A_EVENT_TOKENS_GENERATED], &event->tokens_generated);
	infini_attr_u64(tb[INFINI_A_EVENT_OCCUPANCY_NS], &event->occupancy_ns);
	return 0;
}
