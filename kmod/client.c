// SPDX-License-Identifier: GPL-2.0-only
/* Clients: an open vdev, its file operations, and what happens when the file is closed. */

#include <linux/file.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "infini.h"

static atomic_t infini_client_ids = ATOMIC_INIT(0);

/* ---- life ---- */

/* Under the lock that links a client, so that nobody comes in past a change of who may. */
static int infini_client_refusal_locked(struct infini_vdev *vdev)
{
	int err = infini_vdev_may_open_locked(vdev);

	if (err)
		return err;
	if (vdev->dead)
		return -ENODEV;
	if (vdev->exclusive && vdev->nr_clients)
		return -EBUSY;
	return vdev->nr_clients < INFINI_CLIENTS_MAX ? 0 : -ENOSPC;
}

int infini_client_create(struct infini_vdev *vdev, struct infini_client **out)
{
	struct infini_client *client;
	bool full;
	int err;

	client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);
	if (!client)
		return -ENOMEM;
	err = infini_mapper_init(&client->mapper, true);
	if (err)
		goto err_free;
	refcount_set(&client->refs, 1);
	client->id = atomic_inc_return(&infini_client_ids);
	mutex_init(&client->lock);
	INIT_LIST_HEAD(&client->queue_list);
	xa_init_flags(&client->queues, XA_FLAGS_ALLOC1);
	xa_init_flags(&client->buffers, XA_FLAGS_ALLOC1);
	xa_init_flags(&client->programs, XA_FLAGS_ALLOC1);
	init_waitqueue_head(&client->wait);
	client->pid = task_tgid_nr(current);
	get_task_comm(client->comm, current);
	client->cgroup_id = infini_cgroup_current();

	mutex_lock(&vdev->lock);
	err = infini_client_refusal_locked(vdev);
	if (err) {
		/* Who comes to a full vdev comes again and again. */
		full = err == -ENOSPC && !vdev->full_told;
		vdev->full_told |= full;
		mutex_unlock(&vdev->lock);
		if (err == -EACCES || full)
			infini_refused(full ? "one client more of vdev" : "opening vdev",
				       vdev->name);
		goto err_inode;
	}
	client->vdev = infini_vdev_get(vdev);
	list_add_tail(&client->link, &vdev->clients);
	vdev->nr_clients++;
	mutex_unlock(&vdev->lock);

	infini_vdev_want_executor(vdev);
	*out = client;
	return 0;

err_inode:
	infini_mapper_fini(&client->mapper);
err_free:
	kfree(client);
	return err;
}

/* A client on a file of its own, for those who cannot or need not name the vdev's node. */
int infini_client_open_file(struct infini_vdev *vdev, struct file **file)
{
	struct infini_client *client;
	int err;

	err = infini_client_create(vdev, &client);
	if (err)
		return err;
	ihold(client->mapper.inode);
	err = infini_file_new("[infini-vdev]", client->mapper.inode, &infini_client_fops, client,
			      file);
	if (err) {
		iput(client->mapper.inode);
		infini_client_release(client);
	}
	return err;
}

void infini_client_put(struct infini_client *client)
{
	if (!refcount_dec_and_test(&client->refs))
		return;
	infini_mapper_fini(&client->mapper);
	infini_vdev_put(client->vdev);
	kfree(client);
}

/* The file is gone: nobody waits any more, and everything it owned is let go. */
int infini_client_release(struct infini_client *client)
{
	struct infini_vdev *vdev = client->vdev;
	struct infini_program *program;
	struct infini_buffer *buffer;
	struct infini_queue *queue;
	unsigned long handle;

	xa_for_each(&client->queues, handle, queue) {
		xa_erase(&client->queues, handle);
		infini_queue_destroy(queue, -ECANCELED);
	}
	if (client->alloc_queue)
		infini_queue_destroy(client->alloc_queue, -ECANCELED);
	xa_for_each(&client->programs, handle, program) {
		xa_erase(&client->programs, handle);
		infini_program_put_now(program);
	}
	xa_for_each(&client->buffers, handle, buffer) {
		xa_erase(&client->buffers, handle);
		infini_buffer_put_now(buffer);
	}
	xa_destroy(&client->queues);
	xa_destroy(&client->programs);
	xa_destroy(&client->buffers);

	mutex_lock(&vdev->lock);
	list_del(&client->link);
	if (!--vdev->nr_clients)
		vdev->full_told = false;
	mutex_unlock(&vdev->lock);
	infini_client_put(client);
	return 0;
}

static int infini_client_file_release(struct inode *inode, struct file *file)
{
	/* Its inode may go with the client, a moment before the file does. */
	file->f_mapping = inode->i_mapping;
	return infini_client_release(file->private_data);
}

/* ---- reading and waiting ---- */

static bool infini_client_gone(struct infini_client *client)
{
	return READ_ONCE(client->vdev->dead) || !READ_ONCE(client->vdev->device->online);
}

static ssize_t infini_client_read(struct file *file, char __user *to, size_t bytes, loff_t *pos)
{
	struct infini_client *client = file->private_data;
	u64 ended;
	int err;

	if (bytes < sizeof(ended))
		return -EINVAL;
	for (;;) {
		ended = atomic64_xchg(&client->ended, 0);
		if (ended)
			break;
		if (infini_client_gone(client))
			return -ENODEV;
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		err = wait_event_freezable(client->wait, atomic64_read(&client->ended) ||
					   infini_client_gone(client));
		if (err)
			return err;
	}
	return copy_to_user(to, &ended, sizeof(ended)) ? -EFAULT : sizeof(ended);
}

static __poll_t infini_client_poll(struct file *file, poll_table *table)
{
	struct infini_client *client = file->private_data;
	__poll_t events = 0;

	poll_wait(file, &client->wait, table);
	if (atomic64_read(&client->ended))
		events |= EPOLLIN | EPOLLRDNORM;
	if (infini_client_gone(client))
		events |= EPOLLERR | EPOLLHUP;
	return events;
}

/* ---- mappings ---- */

static void infini_client_vma_open(struct vm_area_struct *vma)
{
	struct infini_buffer *buffer = vma->vm_private_data;

	refcount_inc(&buffer->refs);
}

static void infini_client_vma_close(struct vm_area_struct *vma)
{
	infini_buffer_put_now(vma->vm_private_data);
}

static vm_fault_t infini_client_fault(struct vm_fault *vmf)
{
	struct infini_client *client = vmf->vma->vm_file->private_data;
	struct infini_buffer *buffer = vmf->vma->vm_private_data;

	return infini_mapper_insert(&client->mapper, vmf, buffer->pages, buffer->nr_pages,
				    vmf->pgoff & INFINI_MMAP_PAGE_MASK);
}

static const struct vm_operations_struct infini_client_buffer_vm_ops = {
	.open = infini_client_vma_open,
	.close = infini_client_vma_close,
	.fault = infini_client_fault,
};

static void infini_client_timeline_open(struct vm_area_struct *vma)
{
	struct infini_queue *queue = vma->vm_private_data;

	refcount_inc(&queue->refs);
}

static void infini_client_timeline_close(struct vm_area_struct *vma)
{
	infini_queue_put(vma->vm_private_data);
}

static vm_fault_t infini_client_timeline_fault(struct vm_fault *vmf)
{
	struct infini_client *client = vmf->vma->vm_file->private_data;
	struct infini_queue *queue = vmf->vma->vm_private_data;
	struct page *page = virt_to_page(queue->timeline);

	return infini_mapper_insert(&client->mapper, vmf, &page, 1, 0);
}

static const struct vm_operations_struct infini_client_timeline_vm_ops = {
	.open = infini_client_timeline_open,
	.close = infini_client_timeline_close,
	.fault = infini_client_timeline_fault,
};

static int infini_client_mmap_timeline(struct infini_client *client, struct vm_area_struct *vma,
				       u32 handle)
{
	struct infini_queue *queue;

	if (vma->vm_flags & VM_WRITE)
		return -EACCES;
	if (vma->vm_end - vma->vm_start != PAGE_SIZE)
		return -EINVAL;
	queue = infini_queue_find(client, handle);
	if (!queue)
		return -ENOENT;
	vm_flags_clear(vma, VM_MAYWRITE);
	vma->vm_pgoff = (INFINI_MMAP_PAGE >> PAGE_SHIFT) + handle;
	vma->vm_private_data = queue;
	vma->vm_ops = &infini_client_timeline_vm_ops;
	return 0;
}

static int infini_client_mmap_buffer(struct infini_client *client, struct vm_area_struct *vma,
				     u32 handle)
{
	struct infini_buffer *buffer;

	buffer = infini_buffer_find(client, handle);
	if (!buffer)
		return -ENOENT;
	if (buffer->type != INFINI_BUFFER_SHARED) {
		infini_buffer_put_now(buffer);
		return -EACCES;
	}
	if (vma->vm_end - vma->vm_start > buffer->bytes) {
		infini_buffer_put_now(buffer);
		return -EINVAL;
	}
	vma->vm_pgoff = infini_buffer_range(handle) >> PAGE_SHIFT;
	vma->vm_private_data = buffer;
	vma->vm_ops = &infini_client_buffer_vm_ops;
	return 0;
}

static int infini_client_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct infini_client *client = file->private_data;
	unsigned long index = vma->vm_pgoff;
	int err;

	if (READ_ONCE(client->vdev->dead))
		return -ENODEV;
	if (!(vma->vm_flags & VM_SHARED))
		err = -EINVAL;
	else if (index < INFINI_MMAP_OWN)
		err = infini_client_mmap_buffer(client, vma, index);
	else if (index - INFINI_MMAP_OWN <= INFINI_QUEUES_MAX)
		err = infini_client_mmap_timeline(client, vma, index - INFINI_MMAP_OWN);
	else
		err = -ENOENT;
	if (!err)
		vm_flags_set(vma, VM_DONTCOPY | VM_DONTEXPAND | VM_DONTDUMP | VM_MIXEDMAP);
	else
		infini_client_refused(client, "mmap", err);
	return err;
}

/* ---- commands ---- */

static int infini_client_query(struct infini_ucmd *ucmd)
{
	int err = infini_query_fill(ucmd->cmd, INFINI_ROLE_CLIENT);

	return err ?: infini_ucmd_respond(ucmd);
}

static void infini_client_limits(struct infini_vdev *vdev, struct infini_vdev_info *info)
{
	struct infini_sched_limits limits;

	infini_vdev_limits(vdev, &limits);
	info->weight = limits.weight;
	info->quantum_ns = limits.quantum_ns;
	info->vdev_class = limits.sched_class;
	info->cap_ppm = limits.cap_ppm;
	info->floor_ppm = limits.floor_ppm;
	info->pad = 0;
	info->tokens_per_s = limits.rate;
	info->token_burst = limits.burst;
}

static int infini_client_info(struct infini_ucmd *ucmd)
{
	struct infini_client *client = ucmd->file->private_data;
	struct infini_vdev *vdev = client->vdev;
	struct infini_device *device = vdev->device;
	struct infini_vdev_info *info = ucmd->cmd;
	u32 i, nr = min(info->kinds_capacity, device->nr_kinds);

	if (info->flags || (nr && !info->kinds_stride))
		return -EINVAL;
	for (i = 0; i < nr && info->kinds; i++)
		if (infini_copy_array_back(info->kinds, info->kinds_stride, &device->kinds[i],
					   sizeof(device->kinds[i]), i))
			return -EFAULT;
	info->id = vdev->id;
	info->device_id = device->id;
	/* A device that comes back may be described otherwise. */
	mutex_lock(&infini_registry_lock);
	info->device_class = device->device_class;
	strscpy_pad((char *)info->description, device->description, sizeof(info->description));
	mutex_unlock(&infini_registry_lock);
	info->device_online = READ_ONCE(device->online);
	info->nr_kinds = device->nr_kinds;
	infini_client_limits(vdev, info);
	info->memory_limit_bytes = READ_ONCE(vdev->memory_limit_bytes);
	info->memory_used_bytes = atomic64_read(&vdev->memory_used_bytes);
	strscpy_pad((char *)info->name, vdev->name, sizeof(info->name));
	strscpy_pad((char *)info->device_name, device->name, sizeof(info->device_name));
	strscpy_pad((char *)info->backend, device->backend, sizeof(info->backend));
	return infini_ucmd_respond(ucmd);
}

static int infini_client_stats(struct infini_ucmd *ucmd)
{
	struct infini_client *client = ucmd->file->private_data;
	struct infini_vdev_stats *stats = ucmd->cmd;
	struct infini_vdev_snapshot *snap;
	u64 hist = stats->queue_wait_hist;
	u32 size = stats->size;
	int err = 0;

	if (stats->flags)
		return -EINVAL;
	snap = kvmalloc(sizeof(*snap), GFP_KERNEL_ACCOUNT);
	if (!snap)
		return -ENOMEM;
	infini_vdev_snapshot(client->vdev, snap);
	if (hist && copy_to_user(u64_to_user_ptr(hist), snap->queue_wait_hist,
				 sizeof(snap->queue_wait_hist)))
		err = -EFAULT;
	*stats = snap->stats;
	stats->size = size;
	stats->queue_wait_hist = hist;
	kvfree(snap);
	return err ?: infini_ucmd_respond(ucmd);
}

/* What is called for every job comes first. */
static const struct infini_ioctl infini_client_ioctls[] = {
	INFINI_IOCTL(INFINI_IOC_SUBMIT, infini_submit_ioctl, infini_submit, value),
	INFINI_IOCTL(INFINI_IOC_WAIT, infini_wait_ioctl, infini_wait, value),
	INFINI_IOCTL(INFINI_IOC_QUERY, infini_client_query, infini_query, flags),
	INFINI_IOCTL(INFINI_IOC_VDEV_INFO, infini_client_info, infini_vdev_info, kinds_stride),
	INFINI_IOCTL(INFINI_IOC_VDEV_STATS, infini_client_stats, infini_vdev_stats,
		     queue_wait_hist),
	INFINI_IOCTL(INFINI_IOC_QUEUE_CREATE, infini_queue_create_ioctl, infini_queue_create,
		     map_offset),
	INFINI_IOCTL(INFINI_IOC_QUEUE_DESTROY, infini_queue_destroy_ioctl, infini_handle, pad),
	INFINI_IOCTL(INFINI_IOC_BUFFER_CREATE, infini_buffer_create_ioctl, infini_buffer_create,
		     map_offset),
	INFINI_IOCTL(INFINI_IOC_BUFFER_DESTROY, infini_buffer_destroy_ioctl, infini_handle, pad),
	INFINI_IOCTL(INFINI_IOC_PROGRAM_CREATE, infini_program_create_ioctl,
		     infini_program_create, bytes),
	INFINI_IOCTL(INFINI_IOC_PROGRAM_DESTROY, infini_program_destroy_ioctl, infini_handle, pad),
};

static long infini_client_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	long err = infini_ioctl(file, cmd, arg, infini_client_ioctls,
				ARRAY_SIZE(infini_client_ioctls));
	char call[24];

	/* Anybody asks any file whether it is a terminal. */
	if (unlikely(err < 0) && _IOC_TYPE(cmd) == INFINI_IOC_TYPE) {
		snprintf(call, sizeof(call), "ioctl %#x", _IOC_NR(cmd));
		infini_client_refused(file->private_data, call, err);
	}
	return err;
}

const struct file_operations infini_client_fops = {
	.owner = THIS_MODULE,
	.read = infini_client_read,
	.poll = infini_client_poll,
	.mmap = infini_client_mmap,
	.unlocked_ioctl = infini_client_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = infini_client_file_release,
	.show_fdinfo = infini_client_fdinfo,
	.llseek = noop_llseek,
};
