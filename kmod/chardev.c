// SPDX-License-Identifier: GPL-2.0-only
/* Nodes: /dev/infini, which everybody may open, and /dev/infiniN of each vdev; ioctl dispatch. */

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fault-inject-usercopy.h>
#include <linux/file.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/nsproxy.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <net/net_namespace.h>

#include "infini.h"

#define INFINI_IOCTL_BYTES_MAX	512	/* largest ioctl struct; checked at build time */

static dev_t infini_devt;
static struct cdev infini_cdev;

/* ---- structs from and to userspace ---- */

/* They are some words long: moving these takes less than calling for memory of any length. */
static bool infini_is_words(const void __user *user, size_t bytes)
{
	return IS_ALIGNED((unsigned long)user | bytes, sizeof(u64));
}

static int infini_words_from_user(u64 *to, const u64 __user *from, size_t bytes)
{
	size_t nr = bytes / sizeof(*to);

	might_fault();
	if (should_fail_usercopy() || !user_read_access_begin(from, bytes))
		return -EFAULT;
	for (; nr >= 4; nr -= 4, to += 4, from += 4) {
		unsafe_get_user(to[0], &from[0], fault);
		unsafe_get_user(to[1], &from[1], fault);
		unsafe_get_user(to[2], &from[2], fault);
		unsafe_get_user(to[3], &from[3], fault);
	}
	for (; nr; nr--, to++, from++)
		unsafe_get_user(*to, from, fault);
	user_read_access_end();
	return 0;

fault:
	user_read_access_end();
	return -EFAULT;
}

static int infini_words_to_user(u64 __user *to, const u64 *from, size_t bytes)
{
	size_t nr = bytes / sizeof(*from);

	might_fault();
	if (should_fail_usercopy() || !user_write_access_begin(to, bytes))
		return -EFAULT;
	for (; nr >= 4; nr -= 4, to += 4, from += 4) {
		unsafe_put_user(from[0], &to[0], fault);
		unsafe_put_user(from[1], &to[1], fault);
		unsafe_put_user(from[2], &to[2], fault);
		unsafe_put_user(from[3], &to[3], fault);
	}
	for (; nr; nr--, to++, from++)
		unsafe_put_user(*from, to, fault);
	user_write_access_end();
	return 0;

fault:
	user_write_access_end();
	return -EFAULT;
}

/* A struct of @size bytes that may be older or newer on the other side. */
static int infini_struct_from_user(void *to, size_t size, const void __user *from, size_t user_size)
{
	if (user_size == size && infini_is_words(from, size))
		return infini_words_from_user(to, from, size);
	return copy_struct_from_user(to, size, from, user_size);
}

static int infini_struct_to_user(void __user *to, const void *from, size_t bytes)
{
	if (infini_is_words(to, bytes))
		return infini_words_to_user(to, from, bytes);
	return copy_to_user(to, from, bytes) ? -EFAULT : 0;
}

/* Copy what the caller's struct has room for back to it. */
int infini_ucmd_respond(struct infini_ucmd *ucmd)
{
	u32 size = min_t(u32, ucmd->user_size, INFINI_IOCTL_BYTES_MAX);

	return infini_struct_to_user(ucmd->user, ucmd->cmd, size);
}

/* Element @index of a user array whose elements may be older or newer than ours. */
int infini_copy_array(void *to, u64 from, u32 stride, size_t size, u32 index)
{
	return infini_struct_from_user(to, size, u64_to_user_ptr(from) + (u64)stride * index,
				       stride);
}

int infini_copy_array_back(u64 to, u32 stride, const void *from, size_t size, u32 index)
{
	return infini_struct_to_user(u64_to_user_ptr(to) + (u64)stride * index, from,
				     min_t(size_t, stride, size));
}

/* ---- ioctls ---- */

static const struct infini_ioctl *infini_ioctl_find(const struct infini_ioctl *table,
						    unsigned int nr, unsigned int cmd)
{
	unsigned int i;

	if (_IOC_TYPE(cmd) != INFINI_IOC_TYPE || _IOC_DIR(cmd) != _IOC_NONE || _IOC_SIZE(cmd))
		return NULL;
	for (i = 0; i < nr; i++)
		if (table[i].nr == _IOC_NR(cmd))
			return &table[i];
	return NULL;
}

/**
 * infini_ioctl - the way in of every command on every kind of file
 * @file: the file
 * @cmd: as userspace gave it
 * @arg: pointer to a struct that starts with its size
 * @table: commands of this kind of file
 * @nr: how many
 *
 * Return: 0 or -errno; -ENOTTY for a command that is not in @table.
 */
long infini_ioctl(struct file *file, unsigned int cmd, unsigned long arg,
		  const struct infini_ioctl *table, unsigned int nr)
{
	const struct infini_ioctl *op = infini_ioctl_find(table, nr, cmd);
	/* As much of it as is used is written below. */
	u64 buffer[INFINI_IOCTL_BYTES_MAX / sizeof(u64)] __uninitialized;
	struct infini_ucmd ucmd = {
		.file = file,
		.user = (void __user *)arg,
		.cmd = buffer,
	};
	int err;

	if (!op)
		return -ENOTTY;
	if (get_user(ucmd.user_size, (u32 __user *)ucmd.user))
		return -EFAULT;
	if (ucmd.user_size < op->min_size)
		return -EINVAL;
	if (ucmd.user_size > PAGE_SIZE)
		return -E2BIG;
	err = infini_struct_from_user(buffer, op->size, ucmd.user, ucmd.user_size);
	if (err)
		return err;
	/* What responds must not write behind the struct that both sides know. */
	ucmd.user_size = min(ucmd.user_size, op->size);
	return op->execute(&ucmd);
}

int infini_query_fill(struct infini_query *query, enum infini_role role)
{
	u32 size = query->size;

	if (query->flags)
		return -EINVAL;
	*query = (struct infini_query){
		.size = size,
		.features = INFINI_FEAT_SHARED_BUFFER | INFINI_FEAT_DEVICE_BUFFER |
			    INFINI_FEAT_SUBMIT_WAIT | INFINI_FEAT_EVENTFD |
			    INFINI_FEAT_TIMELINE_PAGE | INFINI_FEAT_INLINE_INPUTS |
			    INFINI_FEAT_OUTPUTS | INFINI_FEAT_ASK | INFINI_FEAT_LIMITS |
			    INFINI_FEAT_RATE_NOWAIT | INFINI_FEAT_TOKEN_KINDS |
			    INFINI_FEAT_END_REASON | INFINI_FEAT_FILE_BUFFER,
		.role = role,
		.protocol = INFINI_PROTOCOL_VERSION,
		.max_queues = INFINI_QUEUES_MAX,
		.max_buffers = INFINI_BUFFERS_MAX,
		.max_programs = INFINI_PROGRAMS_MAX,
		.max_queue_depth = INFINI_QUEUE_DEPTH_MAX,
		.max_batch = INFINI_BATCH_MAX,
		.max_bindings = INFINI_BINDINGS_MAX,
		.max_copies = INFINI_COPIES_MAX,
		.max_clients = INFINI_CLIENTS_MAX,
		.max_inline_bytes = INFINI_INLINE_MAX,
		.max_program_bytes = INFINI_PROGRAM_MAX,
		.max_timeout_ns = (u64)READ_ONCE(infini_max_timeout_ms) * NSEC_PER_MSEC,
		.default_timeout_ns = (u64)READ_ONCE(infini_default_timeout_ms) * NSEC_PER_MSEC,
		.size_job = sizeof(struct infini_job),
		.size_completion = sizeof(struct infini_completion),
		.size_dispatch = sizeof(struct infini_dispatch),
		.size_result = sizeof(struct infini_result),
		.max_file_bytes = INFINI_FILE_BYTES_MAX,
	};
	return 0;
}

/* Words of the daemon, which administrators read on their terminals. */
int infini_end_reason_check(const struct infini_end_reason *cmd)
{
	size_t len = strnlen((const char *)cmd->reason, sizeof(cmd->reason));
	size_t i;

	if (cmd->flags || !len || len == sizeof(cmd->reason) ||
	    memchr_inv(cmd->reason + len, 0, sizeof(cmd->reason) - len))
		return -EINVAL;
	for (i = 0; i < len; i++)
		if (cmd->reason[i] < 0x20 || cmd->reason[i] > 0x7e)
			return -EINVAL;
	return 0;
}

static int infini_control_query(struct infini_ucmd *ucmd)
{
	int err = infini_query_fill(ucmd->cmd, INFINI_ROLE_CONTROL);

	return err ?: infini_ucmd_respond(ucmd);
}

/*
 * As for netlink: who is not in the network namespace of the administrator, as in most containers,
 * learns nothing of vdevs that are not his, and not which names there are.
 */
static int infini_control_refusal(int err)
{
	return err == -EACCES && !net_eq(current->nsproxy->net_ns, &init_net) ? -ENOENT : err;
}

static int infini_control_vdev_open(struct infini_ucmd *ucmd)
{
	struct infini_vdev_open *cmd = ucmd->cmd;
	struct infini_vdev *vdev;
	struct file *file;
	int fd, err;

	if (cmd->flags || strnlen(cmd->name, INFINI_NAME_MAX) == INFINI_NAME_MAX)
		return -EINVAL;
	vdev = infini_vdev_find(cmd->name[0] ? (char *)cmd->name : NULL, cmd->id);
	if (!vdev)
		return -ENOENT;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		err = fd;
		goto out_vdev;
	}
	err = infini_control_refusal(infini_client_open_file(vdev, &file));
	if (err)
		goto out_fd;
	cmd->fd = fd;
	err = infini_ucmd_respond(ucmd);
	if (err) {
		fput(file);
		goto out_fd;
	}
	fd_install(fd, file);
	infini_vdev_put(vdev);
	return 0;

out_fd:
	put_unused_fd(fd);
out_vdev:
	infini_vdev_put(vdev);
	return err;
}

static const struct infini_ioctl infini_control_ioctls[] = {
	INFINI_IOCTL(INFINI_IOC_QUERY, infini_control_query, infini_query, flags),
	INFINI_IOCTL(INFINI_IOC_VDEV_OPEN, infini_control_vdev_open, infini_vdev_open, name),
	INFINI_IOCTL(INFINI_IOC_DEVICE_REGISTER, infini_device_register_ioctl,
		     infini_device_register, description),
};

static long infini_control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	return infini_ioctl(file, cmd, arg, infini_control_ioctls,
			    ARRAY_SIZE(infini_control_ioctls));
}

static const struct file_operations infini_control_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = infini_control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

/* replace_fops() drops the old operations' hold on the module and expects one for the new. */
static void infini_node_become(struct file *file, const struct file_operations *fops)
{
	__module_get(THIS_MODULE);
	replace_fops(file, fops);
}

/* Minor 0 is the control node; any other is a vdev's. */
static int infini_node_open(struct inode *inode, struct file *file)
{
	unsigned int minor = iminor(inode);
	struct infini_client *client;
	struct infini_vdev *vdev;
	int err;

	if (!minor) {
		infini_node_become(file, &infini_control_fops);
		return 0;
	}
	vdev = infini_vdev_find(NULL, minor);
	if (!vdev)
		return -ENODEV;
	err = vdev->node ? infini_client_create(vdev, &client) : -ENODEV;
	infini_vdev_put(vdev);
	if (err)
		return err;
	file->private_data = client;
	file->f_mapping = client->mapper.inode->i_mapping;
	infini_node_become(file, &infini_client_fops);
	return 0;
}

static const struct file_operations infini_node_fops = {
	.owner = THIS_MODULE,
	.open = infini_node_open,
};

struct device *infini_node_create(struct infini_vdev *vdev)
{
	return infini_sysfs_add(vdev, MKDEV(MAJOR(infini_devt), vdev->id));
}

void infini_node_destroy(struct infini_vdev *vdev)
{
	infini_sysfs_remove(MKDEV(MAJOR(infini_devt), vdev->id));
}

int infini_chardev_init(void)
{
	struct device *control;
	int err;

	BUILD_BUG_ON(sizeof(struct infini_query) > INFINI_IOCTL_BYTES_MAX);
	BUILD_BUG_ON(sizeof(struct infini_vdev_info) > INFINI_IOCTL_BYTES_MAX);
	BUILD_BUG_ON(sizeof(struct infini_vdev_stats) > INFINI_IOCTL_BYTES_MAX);
	BUILD_BUG_ON(sizeof(struct infini_device_register) > INFINI_IOCTL_BYTES_MAX);
	BUILD_BUG_ON(sizeof(struct infini_exchange) > INFINI_IOCTL_BYTES_MAX);

	err = alloc_chrdev_region(&infini_devt, 0, INFINI_VDEVS_MAX + 1, "infini");
	if (err)
		return err;
	err = infini_sysfs_init();
	if (err)
		goto err_region;
	cdev_init(&infini_cdev, &infini_node_fops);
	infini_cdev.owner = THIS_MODULE;
	err = cdev_add(&infini_cdev, infini_devt, INFINI_VDEVS_MAX + 1);
	if (err)
		goto err_sysfs;
	control = infini_sysfs_add(NULL, infini_devt);
	if (IS_ERR(control)) {
		err = PTR_ERR(control);
		goto err_cdev;
	}
	return 0;

err_cdev:
	cdev_del(&infini_cdev);
err_sysfs:
	infini_sysfs_exit();
err_region:
	unregister_chrdev_region(infini_devt, INFINI_VDEVS_MAX + 1);
	return err;
}

void infini_chardev_exit(void)
{
	infini_sysfs_remove(infini_devt);
	cdev_del(&infini_cdev);
	infini_sysfs_exit();
	unregister_chrdev_region(infini_devt, INFINI_VDEVS_MAX + 1);
}
