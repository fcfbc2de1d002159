// SPDX-License-Identifier: GPL-2.0-only
/*
 * FILE buffers: which files may stand behind a buffer, and how the executor gets one.
 *
 * The executor is told nothing of a file's pages by us: it maps the file itself, and whoever may
 * write or cut the file does so under it. What we see to is that no page fault of an executor waits
 * for a tenant, and that no executor can write, or move the position of, what a client has open.
 */

#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/overflow.h>
#include <linux/pagemap.h>
#include <linux/user_namespace.h>

#include "infini.h"

/*
 * Pages come from the kernel, its disks, or a server that an administrator has mounted. FUSE, in all
 * its kinds, asks a process; in a user namespace anybody mounts it, or an overlay that gets its files
 * from there later. What tmpfs has is in memory, whoever has mounted it.
 */
static bool infini_super_fits(const struct super_block *super)
{
	switch (super->s_magic) {
	case TMPFS_MAGIC:
		return true;
	case FUSE_SUPER_MAGIC:
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
		return false;
	default:
		return super->s_user_ns == &init_user_ns;
	}
}

/* Of an overlay both the file that is seen and the one below count. */
static bool infini_file_system_fits(const struct file *file)
{
	const struct inode *real = d_real_inode(file->f_path.dentry);

	return infini_super_fits(file_inode(file)->i_sb) && infini_super_fits(real->i_sb) &&
	       (real->i_mapping->a_ops->read_folio || real->i_sb->s_magic == TMPFS_MAGIC);
}

static int infini_file_check(const struct file *file, u64 offset, u64 bytes)
{
	u64 end;

	if (!S_ISREG(file_inode(file)->i_mode))
		return -EINVAL;
	if ((file->f_mode & (FMODE_READ | FMODE_WRITE)) != FMODE_READ)
		return -EACCES;
	if (!infini_file_system_fits(file))
		return -EOPNOTSUPP;
	if (!PAGE_ALIGNED(offset) || check_add_overflow(offset, bytes, &end) ||
	    end > i_size_read(file_inode(file)))
		return -EINVAL;
	return 0;
}

/**
 * infini_buffer_file_open - what the caller has open, opened once more
 * @fd: of the caller
 * @offset: where the buffer begins
 * @bytes: how many are wanted from there
 *
 * Return: a file of our own, so that its position, flags and locks are not the caller's; or an error.
 */
struct file *infini_buffer_file_open(int fd, u64 offset, u64 bytes)
{
	struct file *file = fget(fd), *own;
	int err;

	if (!file)
		return ERR_PTR(-EBADF);
	err = infini_file_check(file, offset, bytes);
	own = err ? ERR_PTR(err) :
		    dentry_open(&file->f_path, O_RDONLY | O_LARGEFILE, current_cred());
	fput(file);
	return own;
}

/* Not memory of the vdev, but addresses of its worker. */
int infini_buffer_file_count(struct infini_vdev *vdev, u64 bytes)
{
	s64 before = atomic64_read(&vdev->file_bytes);

	do {
		if (before + bytes > INFINI_FILE_BYTES_MAX)
			return -ENOSPC;
	} while (!atomic64_try_cmpxchg(&vdev->file_bytes, &before, before + (s64)bytes));
	return 0;
}

void infini_buffer_file_uncount(struct infini_vdev *vdev, u64 bytes)
{
	atomic64_sub(bytes, &vdev->file_bytes);
}

/* On an executor file; the caller has been checked to be the attached process. */
int infini_buffer_receive_ioctl(struct infini_ucmd *ucmd)
{
	struct infini_executor *executor = ucmd->file->private_data;
	struct infini_buffer_receive *cmd = ucmd->cmd;
	struct infini_buffer *buffer;
	int err;

	if (cmd->flags || cmd->pad || cmd->buffer >= INFINI_OBJECT_IDS)
		return -EINVAL;
	buffer = infini_buffer_find_id(executor->vdev, cmd->buffer);
	if (!buffer)
		return -ENOENT;
	err = -EINVAL;
	if (!buffer->file)
		goto out;
	cmd->offset = buffer->file_offset;
	cmd->fd = infini_receive_fd(buffer->file, O_CLOEXEC);
	err = cmd->fd < 0 ? cmd->fd : 0;
	if (err)
		goto out;
	err = infini_ucmd_respond(ucmd);
	if (err)
		close_fd(cmd->fd);
out:
	infini_buffer_put_now(buffer);
	return err;
}
