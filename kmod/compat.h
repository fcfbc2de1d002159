/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What differs between the kernels we support (6.1, 6.12, 7.3). Kbuild probes the headers and
 * defines INFINI_HAVE_*: version numbers lie, distributions backport.
 */
#ifndef INFINI_COMPAT_H
#define INFINI_COMPAT_H

#include <linux/device.h>
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/hrtimer.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/netlink.h>

/* Where the compiler would clear what is written anyway. */
#ifndef __uninitialized
#define __uninitialized
#endif

#ifndef INFINI_HAVE_VM_FLAGS_SET
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

#ifdef INFINI_HAVE_EVENTFD_SIGNAL_1
#define infini_eventfd_signal(ctx)	eventfd_signal(ctx)
#else
#define infini_eventfd_signal(ctx)	eventfd_signal(ctx, 1)
#endif

#ifndef INFINI_HAVE_HRTIMER_SETUP
static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock_id, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock_id, mode);
	timer->function = function;
}
#endif

#ifdef INFINI_HAVE_CONST_DEVNODE
#define infini_devnode_device	const struct device
#else
#define infini_devnode_device	struct device
#endif

#ifdef INFINI_HAVE_CONST_UEVENT
#define infini_uevent_device	const struct device
#else
#define infini_uevent_device	struct device
#endif

#ifdef INFINI_HAVE_CONST_NAMESPACE
#define infini_namespace_device	const struct device
#else
#define infini_namespace_device	struct device
#endif

#ifdef INFINI_HAVE_NS_COMMON
#define infini_class_namespace	const struct ns_common
#define infini_init_namespace	(&init_net.ns)
#else
#define infini_class_namespace	const void
#define infini_init_namespace	(&init_net)
#endif

#ifdef INFINI_HAVE_RECEIVE_FD_TELLS
#define infini_receive_fd(file, flags)	receive_fd(file, NULL, flags)
#else
#define infini_receive_fd(file, flags)	receive_fd(file, flags)
#endif

/* Before 6.2 an extended ack takes constant sentences only: @plain, or the errno must do. */
#ifdef NL_SET_ERR_MSG_FMT
#define infini_ext_ack(extack, plain, text)					\
	NL_SET_ERR_MSG_FMT(extack, "%.*s", NETLINK_MAX_FMTMSG_LEN - 1, text)
#else
#define NL_SET_ERR_MSG_FMT(extack, fmt, args...)	do { } while (0)
#define infini_ext_ack(extack, plain, text)	((extack)->_msg = (plain))
#endif

#endif /* INFINI_COMPAT_H */
