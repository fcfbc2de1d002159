/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Containers, as their runtimes call the control groups that they make. For infinid and the BPF
 * tools, which are linked with the archive; not part of the library's interface.
 */
#ifndef INFINI_LIB_CONTAINER_H
#define INFINI_LIB_CONTAINER_H

#include <stdbool.h>

/**
 * struct infini_container - a container; all of it is printable ASCII, and cut where it is too long
 * @runtime: who made the group, as its name says, such as "libpod"; "container" when it does not
 * @id: what "podman ps" and its like show of it
 * @cgroup: its control group, from the hierarchy's root on
 */
struct infini_container {
	char runtime[32];
	char id[13];
	char cgroup[256];
};

/*
 * The container that a path of control groups leads into: of containers in containers the outer
 * one. What lies deeper was made in it, and is left out. False when the path leads into none.
 */
bool infini_container_parse(const char *path, struct infini_container *container);

#endif /* INFINI_LIB_CONTAINER_H */
