// SPDX-License-Identifier: GPL-2.0-only
/* Devices: registration by the daemon, the device file that keeps one online, its slots. */

#include <linux/file.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "infini.h"
#include "trace.h"

DEFINE_XARRAY_ALLOC1(infini_devices);

void infini_device_get(struct infini_device *device)
{
	refcount_inc(&device->refs);
}

void infini_device_put(struct infini_device *device)
{
	if (!refcount_dec_and_test(&device->refs))
		return;
	infini_watchdog_stop(device);
	WARN_ON_ONCE(atomic64_read(&device->memory_used_bytes) || device->floors_ppm);
	kfree(device);
}

/* By name, or by id when @name is NULL. Takes a reference. */
struct infini_device *infini_device_find(const char *name, u32 id)
{
	struct infini_device *device, *found = NULL;
	unsigned long index;

	mutex_lock(&infini_registry_lock);
	if (!name) {
		found = xa_load(&infini_devices, id);
	} else {
		xa_for_each(&infini_devices, index, device)
			if (!strcmp(device->name, name))
				found = device;
	}
	if (found)
		infini_device_get(found);
	mutex_unlock(&infini_registry_lock);
	return found;
}

/* ---- slots ---- */

/*
 * Fill the free slots, then ask those to yield whose time is up. To be called whenever work came,
 * a slice ended or time passed.
 */
void infini_device_schedule_locked(struct infini_device *device, u64 now)
{
	struct infini_sched_vdev *picked;
	struct infini_executor *executor;

	lockdep_assert_held(&device->lock);
	while (!infini_sched_quiet(&device->sched) &&
	       (picked = infini_sched_pick(&device->sched, now))) {
		executor = container_of(picked, struct infini_vdev, sched)->executor;
		WRITE_ONCE(executor->granted, true);
		executor->fresh = true;
		executor->head_since_ns = now;
		list_add_tail(&executor->running_link, &device->running);
		/* Between calls it is busy, and looks before it sleeps. */
		if (wq_has_sleeper(&executor->wait))
			wake_up(&executor->wait);
	}
	while (!infini_sched_quiet(&device->sched) &&
	       (picked = infini_sched_preempt(&device->sched, now))) {
		executor = container_of(picked, struct infini_vdev, sched)->executor;
		infini_executor_raise_locked(executor);
	}
	infini_watchdog_arm_locked(device, now);
}

/* ---- coming and going ---- */

/* A device without vdevs is forgotten when it is offline. */
static void infini_device_forget_locked(struct infini_device *device)
{
	lockdep_assert_held(&infini_registry_lock);
	/* Its last vdev may have gone between going offline and being forgotten: only once. */
	if (device->online || device->nr_vdevs ||
	    xa_load(&infini_devices, device->id) != device)
		return;
	xa_erase(&infini_devices, device->id);
	infini_device_put(device);
}

void infini_device_vdev_gone(struct infini_device *device)
{
	mutex_lock(&infini_registry_lock);
	device->nr_vdevs--;
	infini_device_forget_locked(device);
	mutex_unlock(&infini_registry_lock);
}

static void infini_device_set_online(struct infini_device *device, bool online)
{
	unsigned long flags;

	lockdep_assert_held(&infini_registry_lock);
	spin_lock_irqsave(&device->lock, flags);
	WRITE_ONCE(device->online, online);
	spin_unlock_irqrestore(&device->lock, flags);
}

/* Its vdevs stay, and wait for the device to come back under its name. */
static void infini_device_offline(struct infini_device *device)
{
	char reason[INFINI_END_REASON_MAX];
	struct infini_vdev *vdev;
	unsigned long index;

	mutex_lock(&infini_registry_lock);
	infini_device_set_online(device, false);
	memcpy(reason, device->end_reason, sizeof(reason));
	xa_for_each(&infini_vdevs, index, vdev) {
		if (vdev->device != device)
			continue;
		infini_vdev_fail(vdev, -ENODEV);
	}
	mutex_unlock(&infini_registry_lock);

	infini_netlink_event_why(INFINI_EVENT_DEVICE_OFFLINE, device, NULL, 0, reason);
	mutex_lock(&infini_registry_lock);
	infini_device_forget_locked(device);
	mutex_unlock(&infini_registry_lock);
}

static int infini_device_file_release(struct inode *inode, struct file *file)
{
	struct infini_device *device = file->private_data;

	infini_device_offline(device);
	infini_device_put(device);
	return 0;
}

static int infini_device_query(struct infini_ucmd *ucmd)
{
	int err = infini_query_fill(ucmd->cmd, INFINI_ROLE_DEVICE);

	return err ?: infini_ucmd_respond(ucmd);
}

static int infini_device_end_reason(struct infini_ucmd *ucmd)
{
	struct infini_device *device = ucmd->file->private_data;
	struct infini_end_reason *cmd = ucmd->cmd;
	int err;

	err = infini_end_reason_check(cmd);
	if (err)
		return err;
	mutex_lock(&infini_registry_lock);
	memcpy(device->end_reason, cmd->reason, sizeof(device->end_reason));
	mutex_unlock(&infini_registry_lock);
	return 0;
}

static const struct infini_ioctl infini_device_ioctls[] = {
	INFINI_IOCTL(INFINI_IOC_QUERY, infini_device_query, infini_query, flags),
	INFINI_IOCTL(INFINI_IOC_EXECUTOR_CREATE, infini_executor_create_ioctl,
		     infini_executor_create, fd),
	INFINI_IOCTL(INFINI_IOC_END_REASON, infini_device_end_reason, infini_end_reason, reason),
};

static long infini_device_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return infini_ioctl(file, cmd, arg, infini_device_ioctls,
			    ARRAY_SIZE(infini_device_ioctls));
}

static const struct file_operations infini_device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = infini_device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = infini_device_file_release,
	.llseek = noop_llseek,
};

/* ---- registration ---- */

static bool infini_string_valid(const u8 *string, size_t size)
{
	return strnlen((const char *)string, size) < size;
}

static int infini_device_check(const struct infini_device_register *cmd)
{
	if (cmd->flags || cmd->pad || cmd->device_class > INFINI_CLASS_OTHER ||
	    cmd->level < INFINI_LEVEL_LAUNCH || cmd->level > INFINI_LEVEL_INTERRUPT ||
	    !cmd->slots || cmd->slots > 64 || !cmd->nr_kinds ||
	    cmd->nr_kinds > INFINI_MEMORY_KINDS_MAX || !cmd->kinds_stride ||
	    cmd->kinds_stride > PAGE_SIZE ||
	    !cmd->memory_bytes || cmd->memory_bytes > S64_MAX)
		return -EINVAL;
	if (!infini_string_valid(cmd->name, sizeof(cmd->name)) ||
	    !infini_string_valid(cmd->backend, sizeof(cmd->backend)) ||
	    !infini_string_valid(cmd->description, sizeof(cmd->description)) ||
	    !infini_name_valid((const char *)cmd->name) ||
	    !infini_name_valid((const char *)cmd->backend))
		return -EINVAL;
	return 0;
}

/* Files are read in place where the device reads the module's pages, as they are. */
static bool infini_kind_flags_valid(u32 flags)
{
	const u32 known = INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_WEIGHTS | INFINI_MEMORY_F_FILE;

	return !(flags & ~known) &&
	       (!(flags & INFINI_MEMORY_F_FILE) ||
		(flags & known) == (INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_FILE));
}

static int infini_device_kinds(const struct infini_device_register *cmd,
			       struct infini_memory_kind *kinds)
{
	u32 i;
	int err;

	for (i = 0; i < cmd->nr_kinds; i++) {
		err = infini_copy_array(&kinds[i], cmd->kinds, cmd->kinds_stride,
					sizeof(kinds[i]), i);
		if (err)
			return err;
		if (!infini_string_valid(kinds[i].name, sizeof(kinds[i].name)) || kinds[i].pad ||
		    !infini_kind_flags_valid(kinds[i].flags) ||
		    !is_power_of_2(kinds[i].alignment))
			return -EINVAL;
	}
	return 0;
}

static struct infini_device *infini_device_new(void)
{
	struct infini_device *device = kzalloc(sizeof(*device), GFP_KERNEL_ACCOUNT);

	if (!device)
		return NULL;
	refcount_set(&device->refs, 1);
	spin_lock_init(&device->lock);
	INIT_LIST_HEAD(&device->running);
	infini_watchdog_init(device);
	return device;
}

/* What may be another when the device comes back. */
static void infini_device_describe(struct infini_device *device,
				   const struct infini_device_register *cmd)
{
	strscpy(device->description, (const char *)cmd->description, sizeof(device->description));
	device->device_class = cmd->device_class;
	device->level = cmd->level;
	WRITE_ONCE(device->memory_bytes, cmd->memory_bytes);
}

/* A device that comes back must be what its vdevs and their buffers were made on. */
static int infini_device_revive(struct infini_device *device,
				const struct infini_device_register *cmd,
				const struct infini_memory_kind *kinds)
{
	if (device->online)
		return -EEXIST;
	/* One that was overcommitted before may be so again. */
	if (cmd->memory_bytes < min(device->promised_bytes, device->memory_bytes))
		return -ENOSPC;
	if (cmd->nr_kinds != device->nr_kinds || cmd->slots != device->sched.slots ||
	    memcmp(kinds, device->kinds, sizeof(*kinds) * cmd->nr_kinds) ||
	    strcmp((const char *)cmd->backend, device->backend))
		return -EBUSY;
	infini_device_describe(device, cmd);
	return 0;
}

static int infini_device_add(const struct infini_device_register *cmd,
			     const struct infini_memory_kind *kinds, struct infini_device **out)
{
	struct infini_device *device, *found = NULL;
	unsigned long index;
	int err;

	lockdep_assert_held(&infini_registry_lock);
	xa_for_each(&infini_devices, index, device)
		if (!strcmp(device->name, (const char *)cmd->name))
			found = device;
	if (found) {
		*out = found;
		return infini_device_revive(found, cmd, kinds);
	}
	device = infini_device_new();
	if (!device)
		return -ENOMEM;
	strscpy(device->name, (const char *)cmd->name, sizeof(device->name));
	strscpy(device->backend, (const char *)cmd->backend, sizeof(device->backend));
	device->nr_kinds = cmd->nr_kinds;
	memcpy(device->kinds, kinds, sizeof(device->kinds));
	infini_device_describe(device, cmd);
	infini_sched_init(&device->sched, cmd->slots);
	err = xa_alloc(&infini_devices, &device->id, device, XA_LIMIT(1, INFINI_DEVICES_MAX),
		       GFP_KERNEL_ACCOUNT);
	if (err) {
		infini_device_put(device);
		return err == -EBUSY ? -ENOSPC : err;
	}
	*out = device;
	return 0;
}

/* The file and its number exist before the device does, so that nothing can fail after. */
int infini_device_register_ioctl(struct infini_ucmd *ucmd)
{
	struct infini_device_register *cmd = ucmd->cmd;
	struct infini_memory_kind kinds[INFINI_MEMORY_KINDS_MAX] = {};
	struct infini_device *device;
	struct inode *inode;
	struct file *file;
	int fd, err;

	if (!capable(CAP_SYS_ADMIN)) {
		infini_refused("registering a device", NULL);
		return -EPERM;
	}
	err = infini_device_check(cmd);
	if (err)
		return err;
	err = infini_device_kinds(cmd, kinds);
	if (err)
		return err;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	inode = infini_inode_new();
	if (IS_ERR(inode)) {
		err = PTR_ERR(inode);
		goto err_fd;
	}
	mutex_lock(&infini_registry_lock);
	err = infini_device_add(cmd, kinds, &device);
	if (err)
		goto err_locked;
	err = infini_file_new("[infini-device]", inode, &infini_device_fops, device, &file);
	if (err) {
		infini_device_forget_locked(device);
		goto err_locked;
	}
	infini_device_get(device);
	device->end_reason[0] = '\0';
	infini_device_set_online(device, true);
	mutex_unlock(&infini_registry_lock);

	cmd->id = device->id;
	cmd->fd = fd;
	err = infini_ucmd_respond(ucmd);
	if (err) {
		fput(file);
		goto err_fd;
	}
	infini_netlink_event(INFINI_EVENT_DEVICE_ONLINE, device, NULL, 0);
	fd_install(fd, file);
	return 0;

err_locked:
	mutex_unlock(&infini_registry_lock);
	iput(inode);
err_fd:
	put_unused_fd(fd);
	return err;
}
