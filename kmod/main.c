// SPDX-License-Identifier: GPL-2.0-only
/* The module: parameters, what comes up in which order, and down again in reverse. */

#include <linux/module.h>
#include <linux/workqueue.h>

#include "infini.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

DEFINE_MUTEX(infini_registry_lock);
struct workqueue_struct *infini_wq;

unsigned int infini_default_timeout_ms = 10000;
module_param_named(default_timeout_ms, infini_default_timeout_ms, uint, 0644);
MODULE_PARM_DESC(default_timeout_ms, "occupancy a job may use that asks for no timeout (10000)");

unsigned int infini_max_timeout_ms = 600000;
module_param_named(max_timeout_ms, infini_max_timeout_ms, uint, 0644);
MODULE_PARM_DESC(max_timeout_ms, "longest timeout a job may ask for (600000)");

unsigned int infini_grace_ms = 5000;
module_param_named(grace_ms, infini_grace_ms, uint, 0644);
MODULE_PARM_DESC(grace_ms, "time an executor has to give a timed-out job back (5000)");

unsigned int infini_executor_wait_ms = 5000;
module_param_named(executor_wait_ms, infini_executor_wait_ms, uint, 0644);
MODULE_PARM_DESC(executor_wait_ms, "how long jobs wait for an executor to come (5000)");

unsigned int infini_executor_start_ms = 60000;
module_param_named(executor_start_ms, infini_executor_start_ms, uint, 0644);
MODULE_PARM_DESC(executor_start_ms, "how long jobs wait for one that attached to begin (60000)");

unsigned int infini_spin_us = 200;
module_param_named(spin_us, infini_spin_us, uint, 0644);
MODULE_PARM_DESC(spin_us, "longest that a wait looks before it sleeps, 0 for never (200)");

static int __init infini_init(void)
{
	int err;

	infini_wq = alloc_workqueue("infini", WQ_UNBOUND, 0);
	if (!infini_wq)
		return -ENOMEM;
	err = infini_fs_init();
	if (err)
		goto err_wq;
	err = infini_netlink_init();
	if (err)
		goto err_fs;
	infini_debugfs_init();
	err = infini_chardev_init();
	if (err)
		goto err_debugfs;
	return 0;

err_debugfs:
	infini_debugfs_exit();
	infini_netlink_exit();
err_fs:
	infini_fs_exit();
err_wq:
	destroy_workqueue(infini_wq);
	return err;
}

static void __exit infini_exit(void)
{
	infini_netlink_exit();
	infini_vdev_delete_all();
	infini_chardev_exit();
	infini_debugfs_exit();
	destroy_workqueue(infini_wq);
	infini_fs_exit();
	/* Objects that executors could look up are freed after a grace period. */
	rcu_barrier();
}

module_init(infini_init);
module_exit(infini_exit);

MODULE_DESCRIPTION("Accelerator virtualizer: partitions memory and time-slices compute");
MODULE_LICENSE("GPL");
