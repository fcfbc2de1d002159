// SPDX-License-Identifier: LGPL-2.1-or-later
/* Mappings of buffers, timelines and yield words. */
#include <sys/mman.h>

#include "ioctl.h"

static int infini_map(int fd, uint64_t offset, size_t bytes, int prot, void **addr)
{
	void *map = mmap(NULL, bytes, prot, MAP_SHARED, fd, (off_t)offset);

	if (map == MAP_FAILED)
		return -errno;
	*addr = map;
	return 0;
}

int infini_buffer_map(int fd, uint64_t map_offset, size_t bytes, void **addr)
{
	return infini_map(fd, map_offset, bytes, PROT_READ | PROT_WRITE, addr);
}

int infini_executor_map(int fd, uint64_t map_offset, size_t bytes, void **addr)
{
	return infini_map(fd, map_offset, bytes, PROT_READ | PROT_WRITE, addr);
}

int infini_timeline_map(int fd, uint64_t map_offset, const struct infini_timeline **timeline)
{
	void *addr = NULL;
	int err = infini_map(fd, map_offset, sizeof(**timeline), PROT_READ, &addr);

	if (!err)
		*timeline = addr;
	return err;
}

int infini_yield_map(int fd, uint64_t yield_offset, const uint64_t **word)
{
	void *addr = NULL;
	int err = infini_map(fd, yield_offset, sizeof(**word), PROT_READ, &addr);

	if (!err)
		*word = addr;
	return err;
}

int infini_file_map(int fd, uint64_t offset, size_t bytes, const void **addr)
{
	void *map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, (off_t)offset);

	if (map == MAP_FAILED)
		return -errno;
	*addr = map;
	return 0;
}

int infini_unmap(const void *addr, size_t bytes)
{
	return munmap((void *)addr, bytes) < 0 ? -errno : 0;
}
