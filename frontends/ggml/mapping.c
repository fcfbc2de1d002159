// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The file behind addresses of this process: ggml hands over a pointer, a FILE buffer wants a
 * descriptor.
 *
 * /proc/self/maps gives a path, and what is there now need not be what was mapped. A device and
 * inode number from there cannot be compared with fstat()'s either, since overlayfs and btrfs tell
 * other ones. So the file is mapped too, and the two mappings are compared: while both stand, an
 * inode number is one file's, except on btrfs, where each subvolume numbers its own, and overlayfs
 * without xino, where each layer does. So some of the contents are compared too.
 */
#include "frontend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define INFINI_MAPPING_SAMPLES		8
#define INFINI_MAPPING_SAMPLE_BYTES	4096	/* a pipe takes them at once */

/* What is read up to is @delimiter, and is skipped. */
static bool infini_mapping_number(char **at, int base, char delimiter, unsigned long *number)
{
	char *from = *at;

	*number = strtoul(from, at, base);
	return *at != from && *(*at)++ == delimiter;
}

/* A line of /proc/self/maps. There are hundreds, and sscanf() is slow. */
static bool infini_mapping_parse(char *line, struct infini_mapping *map)
{
	unsigned long end, major, minor;
	const char *access;

	if (!infini_mapping_number(&line, 16, '-', &map->start) ||
	    !infini_mapping_number(&line, 16, ' ', &end))
		return false;
	access = line;
	line += strcspn(line, " ");
	if (line - access != 4 || !infini_mapping_number(&line, 16, ' ', &map->offset) ||
	    !infini_mapping_number(&line, 16, ':', &major) ||
	    !infini_mapping_number(&line, 16, ' ', &minor) ||
	    !infini_mapping_number(&line, 10, ' ', &map->inode))
		return false;
	line += strspn(line, " ");
	line[strcspn(line, "\n")] = '\0';
	map->bytes = end - map->start;
	map->device = (uint64_t)major << 32 | minor;
	map->is_writable = access[1] == 'w';
	map->is_shared = access[3] == 's';
	map->path = line;
	return true;
}

bool infini_mapping_same_file(const struct infini_mapping *a, const struct infini_mapping *b)
{
	return a->inode && a->inode == b->inode && a->device == b->device &&
	       a->is_shared == b->is_shared;
}

static bool infini_mapping_covers(const struct infini_mapping *map, unsigned long addr,
				  size_t bytes)
{
	return addr >= map->start && addr - map->start <= map->bytes &&
	       bytes <= map->bytes - (addr - map->start);
}

/* Advice about a part of a mapping makes several of one. */
static bool infini_mapping_goes_on(const struct infini_mapping *map,
				   const struct infini_mapping *next)
{
	return infini_mapping_same_file(map, next) && next->start == map->start + map->bytes &&
	       next->offset == map->offset + map->bytes;
}

static int infini_mapping_keep(struct infini_mapping *found, const struct infini_mapping *map)
{
	free(found->path);
	*found = *map;
	found->path = strdup(map->path);
	return found->path ? 0 : -ENOMEM;
}

/*
 * The whole mapping, or row of mappings of one file, that has the @bytes at @addr. Its path is to
 * be freed. -ENXIO: there is none that has them all.
 */
int infini_mapping_find(const void *addr, size_t bytes, struct infini_mapping *found)
{
	unsigned long at = (unsigned long)addr;
	FILE *maps = fopen("/proc/self/maps", "re");
	struct infini_mapping map;
	char *line = NULL;
	size_t room = 0;
	int err = 0;

	if (!maps)
		return -errno;
	*found = (struct infini_mapping){ 0 };
	while (!err && getline(&line, &room, maps) > 0) {
		if (!infini_mapping_parse(line, &map))
			continue;
		if (found->path && infini_mapping_goes_on(found, &map))
			found->bytes += map.bytes;
		else if (map.start > at)
			break;
		else
			err = infini_mapping_keep(found, &map);
	}
	free(line);
	fclose(maps);
	if (!err && !infini_mapping_covers(found, at, bytes))
		err = -ENXIO;
	if (err)
		free(found->path);
	return err;
}

/* 1 when some of the @bytes at @addr can be written to now, 0 when none can. */
int infini_mapping_writable(const void *addr, size_t bytes)
{
	unsigned long at = (unsigned long)addr;
	FILE *maps = fopen("/proc/self/maps", "re");
	struct infini_mapping map;
	char *line = NULL;
	int writable = 0;
	size_t room = 0;

	if (!maps)
		return -errno;
	while (!writable && getline(&line, &room, maps) > 0)
		writable = infini_mapping_parse(line, &map) && map.is_writable &&
			   map.start < at + bytes && at < map.start + map.bytes;
	free(line);
	fclose(maps);
	return writable;
}

/* Through a pipe, where what cannot be read is an error and no signal. */
static bool infini_mapping_read(const void *at, void *data, size_t bytes)
{
	ssize_t n = (ssize_t)bytes;
	int pipes[2];
	bool done;

	if (pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0)
		return false;
	done = write(pipes[1], at, bytes) == n && read(pipes[0], data, bytes) == n;
	close(pipes[0]);
	close(pipes[1]);
	return done;
}

static bool infini_mapping_sample(const struct infini_mapping *map, int fd, uint64_t offset)
{
	uint8_t is[INFINI_MAPPING_SAMPLE_BYTES], was[INFINI_MAPPING_SAMPLE_BYTES];
	ssize_t n = pread(fd, is, sizeof(is), (off_t)(map->offset + offset));

	return n > 0 && infini_mapping_read((const uint8_t *)map->start + offset, was, (size_t)n) &&
	       !memcmp(is, was, (size_t)n);
}

/* Samples of the file of @fd are what is mapped: the first, the last, and some between. */
static bool infini_mapping_has(const struct infini_mapping *map, int fd)
{
	uint64_t bytes = map->bytes, last;
	struct stat stat;
	unsigned int i;

	if (fstat(fd, &stat) < 0)
		return false;
	/* Not in what is mapped: nothing of it can be used, which the caller finds. */
	if ((uint64_t)stat.st_size <= map->offset)
		return true;
	if (bytes > (uint64_t)stat.st_size - map->offset)
		bytes = (uint64_t)stat.st_size - map->offset;
	last = (bytes - 1) / INFINI_MAPPING_SAMPLE_BYTES;
	for (i = 0; i < INFINI_MAPPING_SAMPLES; i++) {
		if (!infini_mapping_sample(map, fd, last * i / (INFINI_MAPPING_SAMPLES - 1) *
						    INFINI_MAPPING_SAMPLE_BYTES))
			return false;
	}
	return true;
}

/* Whether the file of @fd has the number of the one that is mapped. */
static bool infini_mapping_is_of(const struct infini_mapping *map, int fd)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *tried = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
	struct infini_mapping own;
	bool same;

	if (tried == MAP_FAILED)
		return false;
	same = !infini_mapping_find(tried, page, &own);
	if (same) {
		same = infini_mapping_same_file(map, &own);
		free(own.path);
	}
	munmap(tried, page);
	return same;
}

/*
 * The file, opened for reading. -ENXIO: what is mapped is no file, or not the file alone, since
 * pages of their own may have been written to. -ENOENT: it is not where it was. Or what open() says.
 */
int infini_mapping_open(const struct infini_mapping *map)
{
	int fd;

	if (!map->inode || !map->is_shared)
		return -ENXIO;
	/* What is there by now may be anything: a pipe must not keep us waiting. */
	fd = open(map->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (infini_mapping_is_of(map, fd) && infini_mapping_has(map, fd))
		return fd;
	close(fd);
	return -ENOENT;
}
