// SPDX-License-Identifier: GPL-2.0-only
/*
 * The class "infini", what it says of each vdev to people and to udev, and who sees it.
 *
 * The class belongs to the initial network namespace, as administration does: a sysfs that was
 * mounted in another one, as containers have it, shows no vdev, and no uevent gets there.
 */

#include <linux/device.h>
#include <linux/err.h>
#include <linux/kobject.h>
#include <linux/netdevice.h>
#include <linux/sysfs.h>
#include <net/net_namespace.h>

#include "infini.h"

/* Name, uuid and device never change; a file is gone before its vdev is. */
#define INFINI_VDEV_ATTR(_name, _format, _args...)				\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	struct infini_vdev *vdev = dev_get_drvdata(dev);			\
										\
	return sysfs_emit(buf, _format "\n", _args);				\
}										\
static DEVICE_ATTR_RO(_name)

INFINI_VDEV_ATTR(name, "%s", vdev->name);
INFINI_VDEV_ATTR(uuid, "%pU", &vdev->uuid);
INFINI_VDEV_ATTR(device_name, "%s", vdev->device->name);
INFINI_VDEV_ATTR(memory_limit_bytes, "%llu", READ_ONCE(vdev->memory_limit_bytes));
INFINI_VDEV_ATTR(cgroup_id, "%llu", READ_ONCE(vdev->cgroup_id));
INFINI_VDEV_ATTR(exclusive, "%u", READ_ONCE(vdev->exclusive));
INFINI_VDEV_ATTR(uid, "%u", from_kuid_munged(current_user_ns(), READ_ONCE(vdev->uid)));
INFINI_VDEV_ATTR(gid, "%u", from_kgid_munged(current_user_ns(), READ_ONCE(vdev->gid)));
INFINI_VDEV_ATTR(mode, "%04o", READ_ONCE(vdev->mode));

/* What the scheduler keeps changes as a whole, under the device's lock. */
#define INFINI_VDEV_LIMIT_ATTR(_name, _format, _value)				\
static ssize_t _name##_show(struct device *dev, struct device_attribute *attr,	\
			    char *buf)						\
{										\
	struct infini_sched_limits limits;					\
										\
	infini_vdev_limits(dev_get_drvdata(dev), &limits);			\
	return sysfs_emit(buf, _format "\n", _value);				\
}										\
static DEVICE_ATTR_RO(_name)

INFINI_VDEV_LIMIT_ATTR(class, "%s", infini_class_words[limits.sched_class]);
INFINI_VDEV_LIMIT_ATTR(weight, "%u", limits.weight);
INFINI_VDEV_LIMIT_ATTR(quantum_ns, "%llu", limits.quantum_ns);
INFINI_VDEV_LIMIT_ATTR(cap_ppm, "%u", limits.cap_ppm);
INFINI_VDEV_LIMIT_ATTR(floor_ppm, "%u", limits.floor_ppm);
INFINI_VDEV_LIMIT_ATTR(tokens_per_s, "%llu", limits.rate);
INFINI_VDEV_LIMIT_ATTR(token_burst, "%llu", limits.burst);

static struct attribute *infini_vdev_attrs[] = {
	&dev_attr_name.attr,
	&dev_attr_uuid.attr,
	&dev_attr_device_name.attr,
	&dev_attr_memory_limit_bytes.attr,
	&dev_attr_cgroup_id.attr,
	&dev_attr_exclusive.attr,
	&dev_attr_uid.attr,
	&dev_attr_gid.attr,
	&dev_attr_mode.attr,
	&dev_attr_class.attr,
	&dev_attr_weight.attr,
	&dev_attr_quantum_ns.attr,
	&dev_attr_cap_ppm.attr,
	&dev_attr_floor_ppm.attr,
	&dev_attr_tokens_per_s.attr,
	&dev_attr_token_burst.attr,
	NULL
};
ATTRIBUTE_GROUPS(infini_vdev);

/* Who may open what is decided at open, by the module; the node's mode does not get in the way. */
static char *infini_devnode(infini_devnode_device *dev, umode_t *mode)
{
	if (mode)
		*mode = 0666;
	return NULL;
}

static int infini_uevent(infini_uevent_device *dev, struct kobj_uevent_env *env)
{
	const struct infini_vdev *vdev = dev_get_drvdata(dev);

	/* The control node's. */
	if (!vdev)
		return 0;
	return add_uevent_var(env, "INFINI_VDEV_NAME=%s", vdev->name) ?:
	       add_uevent_var(env, "INFINI_VDEV_UUID=%pU", &vdev->uuid) ?:
	       add_uevent_var(env, "INFINI_DEVICE_NAME=%s", vdev->device->name);
}

static infini_class_namespace *infini_namespace(infini_namespace_device *dev)
{
	return infini_init_namespace;
}

static struct class infini_class = {
	.name = "infini",
	.devnode = infini_devnode,
	.dev_uevent = infini_uevent,
	.ns_type = &net_ns_type_operations,
	.namespace = infini_namespace,
};

/* The node of @vdev, or the control node for NULL. */
struct device *infini_sysfs_add(struct infini_vdev *vdev, dev_t devt)
{
	if (!vdev)
		return device_create(&infini_class, NULL, devt, NULL, "infini");
	return device_create_with_groups(&infini_class, NULL, devt, vdev, infini_vdev_groups,
					 "infini%u", vdev->id);
}

/* Files that are being read are waited for. */
void infini_sysfs_remove(dev_t devt)
{
	device_destroy(&infini_class, devt);
}

int infini_sysfs_init(void)
{
	return class_register(&infini_class);
}

void infini_sysfs_exit(void)
{
	class_unregister(&infini_class);
}
