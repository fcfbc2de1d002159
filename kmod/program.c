// SPDX-License-Identifier: GPL-2.0-only
/* Programs: immutable bytes that a client uploads once and an executor reads once. */

#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "infini.h"

void infini_program_end(struct infini_program *program)
{
	struct infini_vdev *vdev = program->vdev;

	xa_erase(&vdev->programs, program->id);
	kfree_rcu(program, rcu);
	atomic_dec(&vdev->nr_programs);
	infini_vdev_put(vdev);
}

static void infini_program_release(struct infini_program *program)
{
	struct infini_vdev *vdev = program->vdev;

	kvfree(program->data);
	program->data = NULL;
	infini_vdev_uncharge(vdev, program->bytes);
	if (!infini_notice_post(vdev, &program->notice, program->known_generation))
		infini_program_end(program);
}

static void infini_program_release_work(struct work_struct *work)
{
	infini_program_release(container_of(work, struct infini_program, notice.work));
}

/* From any context. */
void infini_program_put(struct infini_program *program)
{
	if (!refcount_dec_and_test(&program->refs))
		return;
	INIT_WORK(&program->notice.work, infini_program_release_work);
	queue_work(infini_wq, &program->notice.work);
}

void infini_program_put_now(struct infini_program *program)
{
	if (refcount_dec_and_test(&program->refs))
		infini_program_release(program);
}

struct infini_program *infini_program_find(struct infini_client *client, u32 handle)
{
	struct infini_program *program;

	xa_lock(&client->programs);
	program = xa_load(&client->programs, handle);
	if (program)
		refcount_inc(&program->refs);
	xa_unlock(&client->programs);
	return program;
}

static int infini_program_new(struct infini_vdev *vdev, struct infini_program_create *cmd,
			      struct infini_program **out)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_RETRY_MAYFAIL | __GFP_NOWARN;
	struct infini_program *program;
	int err;

	program = kzalloc(sizeof(*program), GFP_KERNEL_ACCOUNT);
	if (!program)
		return -ENOMEM;
	refcount_set(&program->refs, 1);
	program->vdev = vdev;
	program->format = cmd->format;
	program->bytes = cmd->bytes;

	err = infini_vdev_charge(vdev, cmd->bytes);
	if (err)
		goto err_free;
	program->data = kvmalloc(cmd->bytes, gfp);
	if (!program->data) {
		err = -ENOMEM;
		goto err_charge;
	}
	if (copy_from_user(program->data, u64_to_user_ptr(cmd->data), cmd->bytes)) {
		err = -EFAULT;
		goto err_data;
	}
	err = infini_object_id(&vdev->programs, program, &program->id, &vdev->next_program);
	if (err)
		goto err_data;
	infini_notice_init(&program->notice, INFINI_OP_PROGRAM_FREE, program->id);
	infini_vdev_get(vdev);
	atomic_inc(&vdev->nr_programs);
	*out = program;
	return 0;

err_data:
	kvfree(program->data);
err_charge:
	infini_vdev_uncharge(vdev, cmd->bytes);
err_free:
	kfree(program);
	return err;
}

int infini_program_create_ioctl(struct infini_ucmd *ucmd)
{
	struct infini_client *client = ucmd->file->private_data;
	struct infini_program_create *cmd = ucmd->cmd;
	struct infini_program *program;
	u32 handle;
	int err;

	if (cmd->flags || !cmd->format || !cmd->bytes)
		return -EINVAL;
	if (cmd->bytes > INFINI_PROGRAM_MAX)
		return -ENOSPC;
	if (READ_ONCE(client->vdev->dead))
		return -ENODEV;
	if (atomic_inc_return(&client->nr_programs) > INFINI_PROGRAMS_MAX) {
		err = -ENOSPC;
		goto err_count;
	}
	err = infini_program_new(client->vdev, cmd, &program);
	if (err)
		goto err_count;
	err = xa_alloc(&client->programs, &handle, NULL, XA_LIMIT(1, INFINI_OBJECT_IDS - 1),
		       GFP_KERNEL_ACCOUNT);
	if (err) {
		err = err == -EBUSY ? -ENOSPC : err;
		goto err_program;
	}
	cmd->handle = handle;
	err = infini_ucmd_respond(ucmd);
	if (err)
		goto err_handle;
	xa_store(&client->programs, handle, program, GFP_KERNEL_ACCOUNT);
	return 0;

err_handle:
	xa_erase(&client->programs, handle);
err_program:
	infini_program_put_now(program);
err_count:
	atomic_dec(&client->nr_programs);
	return err;
}

int infini_program_destroy_ioctl(struct infini_ucmd *ucmd)
{
	struct infini_client *client = ucmd->file->private_data;
	struct infini_handle *cmd = ucmd->cmd;
	struct infini_program *program;

	if (cmd->flags || cmd->pad)
		return -EINVAL;
	xa_lock(&client->programs);
	program = xa_load(&client->programs, cmd->handle);
	if (program)
		__xa_erase(&client->programs, cmd->handle);
	xa_unlock(&client->programs);
	if (!program)
		return -ENOENT;
	atomic_dec(&client->nr_programs);
	infini_program_put_now(program);
	return 0;
}

/* On an executor file; the caller has been checked to be the attached process. */
int infini_program_read_ioctl(struct infini_ucmd *ucmd)
{
	struct infini_executor *executor = ucmd->file->private_data;
	struct infini_program_read *cmd = ucmd->cmd;
	struct infini_program *program;
	u64 end;
	int err = 0;

	if (cmd->flags || cmd->program >= INFINI_OBJECT_IDS ||
	    check_add_overflow(cmd->offset, cmd->bytes, &end))
		return -EINVAL;
	rcu_read_lock();
	program = xa_load(&executor->vdev->programs, cmd->program);
	if (program && !refcount_inc_not_zero(&program->refs))
		program = NULL;
	rcu_read_unlock();
	if (!program)
		return -ENOENT;
	if (end > program->bytes)
		err = -EINVAL;
	else if (copy_to_user(u64_to_user_ptr(cmd->data), program->data + cmd->offset, cmd->bytes))
		err = -EFAULT;
	infini_program_put_now(program);
	return err;
}
