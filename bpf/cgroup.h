/* SPDX-License-Identifier: GPL-2.0-only */
/* Names of control groups. */
#ifndef INFINI_BPF_CGROUP_H
#define INFINI_BPF_CGROUP_H

#include <stddef.h>
#include <stdint.h>

/*
 * The container that the control group @id belongs to, or its path below /sys/fs/cgroup, or "#id" when
 * it is gone.
 */
void cgroup_name(uint64_t id, char *name, size_t size);

#endif /* INFINI_BPF_CGROUP_H */
