// SPDX-License-Identifier: GPL-2.0-only
/* Files that no path leads to, and inodes that keep each opener's mappings apart. */

#include <linux/file.h>
#include <linux/magic.h>
#include <linux/module.h>
#include <linux/mount.h>
#include <linux/nospec.h>
#include <linux/pseudo_fs.h>

#include "infini.h"

#define INFINI_FS_MAGIC	0x494e4649	/* "INFI" */
#define INFINI_FAULT_AROUND 64UL	/* pages mapped by one fault */

static struct vfsmount *infini_mnt;

static int infini_fs_init_context(struct fs_context *fc)
{
	return init_pseudo(fc, INFINI_FS_MAGIC) ? 0 : -ENOMEM;
}

/* No owner: the module mounts and unmounts it, and files hold the module through their fops. */
static struct file_system_type infini_fs_type = {
	.name = "infini",
	.init_fs_context = infini_fs_init_context,
	.kill_sb = kill_anon_super,
};

int infini_fs_init(void)
{
	infini_mnt = kern_mount(&infini_fs_type);
	return PTR_ERR_OR_ZERO(infini_mnt);
}

void infini_fs_exit(void)
{
	kern_unmount(infini_mnt);
}

struct inode *infini_inode_new(void)
{
	return alloc_anon_inode(infini_mnt->mnt_sb);
}

/**
 * infini_file_new - a file of ours that no path leads to
 * @name: for /proc/PID/fd
 * @inode: consumed on success only
 * @fops: with their owner, which the file holds
 * @priv: becomes file->private_data
 * @file: out
 *
 * Return: 0 or -errno.
 */
int infini_file_new(const char *name, struct inode *inode, const struct file_operations *fops,
		    void *priv, struct file **file)
{
	struct file *new;

	/* fput() drops the reference that an ordinary open would have taken on the owner. */
	if (!try_module_get(fops->owner))
		return -ENODEV;
	new = alloc_file_pseudo(inode, infini_mnt, name, O_RDWR | O_CLOEXEC, fops);
	if (IS_ERR(new)) {
		module_put(fops->owner);
		return PTR_ERR(new);
	}
	new->private_data = priv;
	*file = new;
	return 0;
}

/**
 * infini_mapper_init - a mapper with an inode of its own
 * @mapper: zeroed
 * @placeholder: after revocation show a page of the mapper's instead of raising SIGBUS, as DRM does
 *	after an unplug: a client whose vdev is deleted under it should live to say so
 *
 * Return: 0 or -ENOMEM.
 */
int infini_mapper_init(struct infini_mapper *mapper, bool placeholder)
{
	struct inode *inode = infini_inode_new();

	if (IS_ERR(inode))
		return PTR_ERR(inode);
	if (placeholder) {
		mapper->placeholder = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!mapper->placeholder) {
			iput(inode);
			return -ENOMEM;
		}
	}
	mapper->inode = inode;
	init_rwsem(&mapper->sem);
	return 0;
}

void infini_mapper_fini(struct infini_mapper *mapper)
{
	if (mapper->placeholder)
		put_page(mapper->placeholder);
	iput(mapper->inode);
}

/* No fault reaches an object from here on, and no page of one stays mapped. */
void infini_mapper_revoke(struct infini_mapper *mapper)
{
	down_write(&mapper->sem);
	mapper->revoked = true;
	up_write(&mapper->sem);
	unmap_mapping_range(mapper->inode->i_mapping, 0, 0, 1);
}

void infini_mapper_zap(struct infini_mapper *mapper, u64 offset, u64 bytes)
{
	unmap_mapping_range(mapper->inode->i_mapping, offset, bytes, 1);
}

/**
 * infini_mapper_insert - serve a fault
 * @mapper: whose mapping it is
 * @vmf: the fault
 * @pages: of the object; the caller holds a reference on it
 * @nr_pages: of the object
 * @index: which page was asked for
 *
 * Pages are inserted here rather than returned, so that revocation, which takes the semaphore for
 * writing before it zaps, cannot be overtaken by a fault that had already decided.
 *
 * Return: VM_FAULT_*.
 */
vm_fault_t infini_mapper_insert(struct infini_mapper *mapper, struct vm_fault *vmf,
				struct page **pages, unsigned long nr_pages, unsigned long index)
{
	struct vm_area_struct *vma = vmf->vma;
	unsigned long addr = vmf->address & PAGE_MASK;
	unsigned long nr;
	int err = -EFAULT;

	if (index >= nr_pages)
		return VM_FAULT_SIGBUS;
	index = array_index_nospec(index, nr_pages);
	nr = min3(INFINI_FAULT_AROUND, nr_pages - index, (vma->vm_end - addr) >> PAGE_SHIFT);

	down_read(&mapper->sem);
	if (!mapper->revoked)
		err = vm_insert_pages(vma, addr, pages + index, &nr);
	else if (mapper->placeholder)
		err = vm_insert_page(vma, addr, mapper->placeholder);
	up_read(&mapper->sem);
	/* -EBUSY: another thread was faster, here or further on. */
	if (!err || err == -EBUSY)
		return VM_FAULT_NOPAGE;
	return err == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
}
