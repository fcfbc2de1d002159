// SPDX-License-Identifier: GPL-2.0-only
/* Buffers: memory of a vdev, its charge, and how it is mapped by client and executor. */

#include <linux/file.h>
#include <linux/mm.h>
#include <linux/nospec.h>
#include <linux/overflow.h>
#include <linux/slab.h>

#include "infini.h"
#include "trace.h"

/* Where a program asks for buffer @id, and where its mappings are then. */
u64 infini_buffer_map_offset(u32 id)
{
	return (u64)id << PAGE_SHIFT;
}

u64 infini_buffer_range(u32 id)
{
	return (u64)id << INFINI_MMAP_BUFFER_SHIFT;
}

/* Its contents die with the executor. */
bool infini_buffer_executor_held(const struct infini_buffer *buffer)
{
	return !buffer->pages && !buffer->file;
}

static void infini_buffer_free_pages(struct infini_buffer *buffer)
{
	unsigned long i;

	if (!buffer->pages)
		return;
	for (i = 0; i < buffer->nr_pages && buffer->pages[i]; i++) {
		put_page(buffer->pages[i]);
		cond_resched();
	}
	kvfree(buffer->pages);
	buffer->pages = NULL;
}

/*
 * Populated now, in the caller's own system call, so that its cgroup pays and a fault never has to
 * allocate. RETRY_MAYFAIL: a cgroup at its limit gets ENOMEM, not an OOM kill.
 */
static int infini_buffer_alloc_pages(struct infini_buffer *buffer)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_ZERO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	unsigned long i;

	buffer->pages = kvcalloc(buffer->nr_pages, sizeof(*buffer->pages),
				 GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN);
	if (!buffer->pages)
		return -ENOMEM;
	for (i = 0; i < buffer->nr_pages; i++) {
		buffer->pages[i] = alloc_page(gfp);
		if (!buffer->pages[i] || (!(i % 1024) && fatal_signal_pending(current))) {
			int err = buffer->pages[i] ? -EINTR : -ENOMEM;

			infini_buffer_free_pages(buffer);
			return err;
		}
		cond_resched();
	}
	return 0;
}

/* Last step: the id may be used again and the memory is back. */
void infini_buffer_end(struct infini_buffer *buffer)
{
	struct infini_vdev *vdev = buffer->vdev;

	xa_erase(&vdev->buffers, buffer->id);
	if (buffer->type == INFINI_BUFFER_FILE) {
		infini_buffer_file_uncount(vdev, buffer->bytes);
	} else {
		trace_infini_buffer_charge(vdev, buffer, -(s64)buffer->bytes);
		infini_vdev_uncharge(vdev, buffer->bytes);
	}
	atomic_dec(&vdev->nr_buffers);
	kfree_rcu(buffer, rcu);
	infini_vdev_put(vdev);
}

/* First step: nobody uses it any more. Pages go now; an executor that knows it must be told. */
static void infini_buffer_release(struct infini_buffer *buffer)
{
	struct infini_vdev *vdev = buffer->vdev;
	struct infini_executor *executor;
	unsigned long flags;

	if (buffer->file)
		fput(buffer->file);
	if (buffer->pages) {
		spin_lock_irqsave(&vdev->device->lock, flags);
		executor = vdev->executor;
		if (executor)
			refcount_inc(&executor->refs);
		spin_unlock_irqrestore(&vdev->device->lock, flags);
		if (executor) {
			/* A fault that still holds a reference has inserted its pages by now. */
			infini_mapper_zap(&executor->mapper, infini_buffer_range(buffer->id),
					  buffer->bytes);
			infini_executor_put(executor);
		}
		infini_buffer_free_pages(buffer);
	}
	if (!infini_notice_post(vdev, &buffer->notice, buffer->known_generation))
		infini_buffer_end(buffer);
}

static void infini_buffer_release_work(struct work_struct *work)
{
	infini_buffer_release(container_of(work, struct infini_buffer, notice.work));
}

/* From any context. */
void infini_buffer_put(struct infini_buffer *buffer)
{
	if (!refcount_dec_and_test(&buffer->refs))
		return;
	INIT_WORK(&buffer->notice.work, infini_buffer_release_work);
	queue_work(infini_wq, &buffer->notice.work);
}

/* From process context: memory is back when this returns, if it was the last reference. */
void infini_buffer_put_now(struct infini_buffer *buffer)
{
	if (refcount_dec_and_test(&buffer->refs))
		infini_buffer_release(buffer);
}

struct infini_buffer *infini_buffer_find(struct infini_client *client, u32 handle)
{
	struct infini_buffer *buffer;

	xa_lock(&client->buffers);
	buffer = xa_load(&client->buffers, handle);
	if (buffer)
		refcount_inc(&buffer->refs);
	xa_unlock(&client->buffers);
	return buffer;
}

struct infini_buffer *infini_buffer_find_id(struct infini_vdev *vdev, u32 id)
{
	struct infini_buffer *buffer;

	rcu_read_lock();
	buffer = xa_load(&vdev->buffers, id);
	if (buffer && !refcount_inc_not_zero(&buffer->refs))
		buffer = NULL;
	rcu_read_unlock();
	return buffer;
}

/* The kind of memory of a buffer that has one. */
static int infini_buffer_check_kind(struct infini_device *device, struct infini_buffer_create *cmd)
{
	struct infini_memory_kind *kind;

	if (cmd->kind >= device->nr_kinds)
		return -EINVAL;
	cmd->kind = array_index_nospec(cmd->kind, device->nr_kinds);
	kind = &device->kinds[cmd->kind];
	if (kind->max_bytes && cmd->bytes > kind->max_bytes)
		return -ENOSPC;
	if (cmd->type == INFINI_BUFFER_FILE && !(kind->flags & INFINI_MEMORY_F_FILE))
		return -EOPNOTSUPP;
	return 0;
}

static int infini_buffer_check(struct infini_vdev *vdev, struct infini_buffer_create *cmd)
{
	if (cmd->flags || cmd->type > INFINI_BUFFER_FILE || !cmd->bytes)
		return -EINVAL;
	if (cmd->type != INFINI_BUFFER_FILE && (cmd->fd || cmd->file_offset))
		return -EINVAL;
	if (cmd->type == INFINI_BUFFER_SHARED && cmd->kind)
		return -EINVAL;
	if (cmd->bytes > INFINI_BUFFER_BYTES_MAX - PAGE_SIZE)
		return -ENOSPC;
	return cmd->type == INFINI_BUFFER_SHARED ? 0 : infini_buffer_check_kind(vdev->device, cmd);
}

static bool infini_buffer_has_pages(const struct infini_buffer *buffer)
{
	return buffer->type == INFINI_BUFFER_SHARED ||
	       (buffer->type == INFINI_BUFFER_DEVICE &&
		(buffer->vdev->device->kinds[buffer->kind].flags & INFINI_MEMORY_F_UNIFIED));
}

/* What is behind it: pages, which are charged, a file, or what the executor will allocate. */
static int infini_buffer_back(struct infini_buffer *buffer, const struct infini_buffer_create *cmd)
{
	struct infini_vdev *vdev = buffer->vdev;
	int err;

	if (buffer->type == INFINI_BUFFER_FILE) {
		buffer->file = infini_buffer_file_open(cmd->fd, cmd->file_offset, cmd->bytes);
		if (IS_ERR(buffer->file))
			return PTR_ERR(buffer->file);
		buffer->file_offset = cmd->file_offset;
		err = infini_buffer_file_count(vdev, buffer->bytes);
		if (err)
			fput(buffer->file);
		return err;
	}
	err = infini_vdev_charge(vdev, buffer->bytes);
	if (err || !infini_buffer_has_pages(buffer))
		return err;
	err = infini_buffer_alloc_pages(buffer);
	if (err)
		infini_vdev_uncharge(vdev, buffer->bytes);
	return err;
}

static void infini_buffer_unback(struct infini_buffer *buffer)
{
	if (buffer->file) {
		infini_buffer_file_uncount(buffer->vdev, buffer->bytes);
		fput(buffer->file);
		return;
	}
	infini_buffer_free_pages(buffer);
	infini_vdev_uncharge(buffer->vdev, buffer->bytes);
}

static int infini_buffer_new(struct infini_client *client, const struct infini_buffer_create *cmd,
			     struct infini_buffer **out)
{
	struct infini_vdev *vdev = client->vdev;
	struct infini_buffer *buffer;
	int err;

	buffer = kzalloc(sizeof(*buffer), GFP_KERNEL_ACCOUNT);
	if (!buffer)
		return -ENOMEM;
	refcount_set(&buffer->refs, 1);
	buffer->vdev = vdev;
	buffer->type = cmd->type;
	buffer->kind = cmd->kind;
	buffer->bytes = PAGE_ALIGN(cmd->bytes);
	buffer->nr_pages = buffer->bytes >> PAGE_SHIFT;

	err = infini_buffer_back(buffer, cmd);
	if (err)
		goto err_free;
	err = infini_object_id(&vdev->buffers, buffer, &buffer->id, &vdev->next_buffer);
	if (err)
		goto err_back;
	infini_notice_init(&buffer->notice, INFINI_OP_BUFFER_FREE, buffer->id);
	infini_vdev_get(vdev);
	atomic_inc(&vdev->nr_buffers);
	if (!buffer->file)
		trace_infini_buffer_charge(vdev, buffer, buffer->bytes);
	*out = buffer;
	return 0;

err_back:
	infini_buffer_unback(buffer);
err_free:
	kfree(buffer);
	return err;
}

int infini_buffer_create_ioctl(struct infini_ucmd *ucmd)
{
	struct infini_client *client = ucmd->file->private_data;
	struct infini_buffer_create *cmd = ucmd->cmd;
	struct infini_buffer *buffer;
	u32 handle;
	int err;

	err = infini_buffer_check(client->vdev, cmd);
	if (err)
		return err;
	if (READ_ONCE(client->vdev->dead))
		return -ENODEV;
	if (atomic_inc_return(&client->nr_buffers) > INFINI_BUFFERS_MAX) {
		err = -ENOSPC;
		goto err_count;
	}
	err = infini_buffer_new(client, cmd, &buffer);
	if (err)
		goto err_count;
	if (infini_buffer_executor_held(buffer)) {
		err = infini_job_alloc_buffer(client, buffer);
		if (err)
			goto err_buffer;
	}
	/* A handle that holds no object yet is found by nobody. */
	err = xa_alloc(&client->buffers, &handle, NULL, XA_LIMIT(1, INFINI_OBJECT_IDS - 1),
		       GFP_KERNEL_ACCOUNT);
	if (err) {
		err = err == -EBUSY ? -ENOSPC : err;
		goto err_buffer;
	}
	cmd->handle = handle;
	cmd->map_offset = cmd->type == INFINI_BUFFER_SHARED ? infini_buffer_map_offset(handle) : 0;
	err = infini_ucmd_respond(ucmd);
	if (err)
		goto err_handle;
	xa_store(&client->buffers, handle, buffer, GFP_KERNEL_ACCOUNT);
	return 0;

err_handle:
	xa_erase(&client->buffers, handle);
err_buffer:
	infini_buffer_put_now(buffer);
err_count:
	atomic_dec(&client->nr_buffers);
	return err;
}

int infini_buffer_destroy_ioctl(struct infini_ucmd *ucmd)
{
	struct infini_client *client = ucmd->file->private_data;
	struct infini_handle *cmd = ucmd->cmd;
	struct infini_buffer *buffer;

	if (cmd->flags || cmd->pad)
		return -EINVAL;
	xa_lock(&client->buffers);
	buffer = xa_load(&client->buffers, cmd->handle);
	if (buffer)
		__xa_erase(&client->buffers, cmd->handle);
	xa_unlock(&client->buffers);
	if (!buffer)
		return -ENOENT;
	atomic_dec(&client->nr_buffers);
	infini_buffer_put_now(buffer);
	return 0;
}
