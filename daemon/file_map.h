/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files behind a client's buffers, mapped. Whoever may write such a file may cut it short while a thread of
 * the worker reads it, which the kernel answers with SIGBUS: the mapping then becomes zeros and is lost.
 */
#ifndef INFINI_DAEMON_FILE_MAP_H
#define INFINI_DAEMON_FILE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct infini_file_map {
	struct infini_file_map *next;	/* of this process, for the signal handler */
	const void *addr;
	size_t bytes;
	int lost;			/* by __atomic; never cleared */
};

/* Once, before a mapping is read. Other bus errors still end the process. 0 or -errno. */
int infini_file_maps_watch(void);

/*
 * @bytes of @fd from @offset, read-only. Mappings come and go while no other thread of the process reads
 * any. 0 or -errno; @fd stays the caller's.
 */
int infini_file_map_add(struct infini_file_map *map, int fd, uint64_t offset, size_t bytes);
void infini_file_map_remove(struct infini_file_map *map);

/* Part of it could not be read: since when is not known. */
bool infini_file_map_is_lost(const struct infini_file_map *map);

#endif /* INFINI_DAEMON_FILE_MAP_H */
