// SPDX-License-Identifier: GPL-2.0-only
/*
 * What buffers and programs have in common: an id on the vdev by which the executor knows them,
 * and an end in two steps. When the last reference is gone the object cannot be used any more;
 * if an executor has seen it, its id and its charge stay until that executor has been told.
 */

#include "infini.h"

void infini_notice_init(struct infini_notice *notice, u32 op, u64 id)
{
	INIT_LIST_HEAD(&notice->link);
	notice->op = op;
	notice->id = id;
}

/**
 * infini_notice_post - tell the present executor that an object is gone
 * @vdev: whose
 * @notice: of the object
 * @known_generation: newest executor that has seen the object
 *
 * Return: true when the notice is on its way and the object ends later; false when there is
 * nobody to tell and the caller should end it.
 */
bool infini_notice_post(struct infini_vdev *vdev, struct infini_notice *notice,
			u64 known_generation)
{
	struct infini_executor *executor;
	unsigned long flags;
	bool posted = false;

	spin_lock_irqsave(&vdev->device->lock, flags);
	executor = vdev->executor;
	if (executor && executor->state == INFINI_EXECUTOR_SERVING && known_generation &&
	    executor->generation == known_generation) {
		list_add_tail(&notice->link, &vdev->notices);
		wake_up(&executor->wait);
		posted = true;
	}
	spin_unlock_irqrestore(&vdev->device->lock, flags);
	return posted;
}

/* The executor knows, or is gone. The list is the caller's own. */
void infini_notices_done(struct list_head *notices)
{
	struct infini_notice *notice, *next;

	list_for_each_entry_safe(notice, next, notices, link) {
		list_del_init(&notice->link);
		if (notice->op == INFINI_OP_BUFFER_FREE)
			infini_buffer_end(container_of(notice, struct infini_buffer, notice));
		else
			infini_program_end(container_of(notice, struct infini_program, notice));
	}
}

/* A small id, unique among the live ones and not soon used again. */
int infini_object_id(struct xarray *xa, void *object, u32 *id, u32 *next)
{
	int err = xa_alloc_cyclic(xa, id, object, XA_LIMIT(1, INFINI_OBJECT_IDS - 1), next,
				  GFP_KERNEL_ACCOUNT);

	return err == -EBUSY ? -ENOSPC : min(err, 0);
}
