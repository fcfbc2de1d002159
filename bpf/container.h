/* SPDX-License-Identifier: GPL-2.0-only */
/* Containers, as their runtimes call the control groups that they make. */
#ifndef INFINI_BPF_CONTAINER_H
#define INFINI_BPF_CONTAINER_H

#include <stdbool.h>
#include <stddef.h>

/*
 * The container that a path of control groups leads into, as "libpod 0123456789ab": who made it,
 * and what "podman ps" and its like show of its id. False when it leads into none.
 */
bool container_name(const char *path, char *name, size_t size);

#endif /* INFINI_BPF_CONTAINER_H */
