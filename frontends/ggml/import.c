// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Host memory of the program as a buffer of the device: a model's file that it has mapped is read
 * by the executor where it lies, once for all that use it.
 *
 * llama.cpp asks for a buffer of each row of tensors that stay as they are in the file, dozens
 * where the others are repacked, and a job can name only so many. So the whole mapping is one area,
 * which the buffers share.
 *
 * llama.cpp cannot go on without such a buffer once a device has offered them, and the offer is
 * made before anybody knows the file. So what is not a file that the module takes is copied to one
 * in memory, tensor by tensor as they get their places: a mapping has other buffers' tensors too.
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

static const char *infini_import_reason(int err)
{
	switch (-err) {
	case ENXIO:
		return "they are not mapped as shared from a file";
	case ENOENT:
		return "their file is no longer where it was opened";
	case EOPNOTSUPP:
		return "their file system answers from user space, or a user mounted it";
	case EINVAL:
		return "they reach beyond the end of their file";
	default:
		return infini_link_reason(err);
	}
}

/*
 * An area that has the first @need bytes of the mapping already. For as long as it has the file, no
 * other has its inode number.
 */
static struct infini_area *infini_import_known(struct infini_link *link,
					       const struct infini_mapping *map, uint64_t need)
{
	struct infini_area *area;

	pthread_mutex_lock(&link->lock);
	for (area = link->imports; area; area = area->next) {
		const struct infini_mapping *of = &area->mapping;

		if (infini_mapping_same_file(of, map) && map->start >= of->start &&
		    map->start - of->start == map->offset - of->offset &&
		    map->start - of->start + need <= area->bytes)
			break;
	}
	if (area)
		area->users++;
	pthread_mutex_unlock(&link->lock);
	return area;
}

/* A mapping may end with a page of which the file has only a part. */
static int infini_import_file(struct infini_area *area, uint64_t need)
{
	const struct infini_mapping *map = &area->mapping;
	int err, fd = infini_mapping_open(map);
	struct stat stat;

	if (fd < 0)
		return fd;
	if (fstat(fd, &stat) < 0)
		err = -errno;
	else if ((uint64_t)stat.st_size < map->offset + need)
		err = -EINVAL;
	else
		err = 0;
	if (!err && (uint64_t)stat.st_size - map->offset < area->bytes)
		area->bytes = (uint64_t)stat.st_size - map->offset;
	if (!err)
		err = infini_area_open(area, fd, map->offset);
	close(fd);
	return err;
}

/*
 * A file in memory: *@copy is for writing, what is returned only reads, which is all that the module
 * takes. *@copy is the caller's in any case.
 */
static int infini_import_memfd(uint64_t bytes, int *copy)
{
	char path[32];
	int fd;

	*copy = memfd_create("infini-weights", MFD_CLOEXEC);
	if (*copy < 0 || ftruncate(*copy, (off_t)bytes) < 0)
		return -errno;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", *copy);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int infini_import_memory(struct infini_area *area)
{
	int err, fd = infini_import_memfd(area->mapping.bytes, &area->copy);

	if (fd < 0)
		return fd;
	area->bytes = area->mapping.bytes;
	err = infini_area_open(area, fd, 0);
	close(fd);
	return err;
}

/* What a copy needs: whether there is /proc, and no sandbox that is in the way. */
static bool infini_import_works_locked(struct infini_link *link)
{
	struct infini_buffer_create create = {
		.type = INFINI_BUFFER_FILE,
		.bytes = (uint64_t)sysconf(_SC_PAGESIZE),
	};
	int copy, err;

	create.fd = infini_import_memfd(create.bytes, &copy);
	err = create.fd < 0 ? create.fd : infini_buffer_create(link->fd, &create);
	infini_trace_add(INFINI_TRACE_SYSCALLS, 2);
	if (!err)
		infini_buffer_destroy(link->fd, create.handle);
	if (create.fd >= 0)
		close(create.fd);
	if (copy >= 0)
		close(copy);
	return !err;
}

/* Whether programs on this device read files in place, and one of ours: tried once. */
bool infini_import_offered(struct infini_link *link)
{
	pthread_mutex_lock(&link->lock);
	if (!link->imports_tried && !infini_link_open_locked(link)) {
		link->imports_tried = true;
		link->imports_work = (link->query.features & INFINI_FEAT_FILE_BUFFER) &&
				     (link->kinds[0].flags & INFINI_MEMORY_F_FILE) &&
				     infini_import_works_locked(link);
	}
	pthread_mutex_unlock(&link->lock);
	return link->imports_work;
}

/* NULL only when there is no memory, or no device; says so itself. */
static struct infini_area *infini_import_new(struct infini_link *link,
					     const struct infini_mapping *map, uint64_t need)
{
	struct infini_area *area = infini_area_new(link, 0, map->bytes);
	int err, why;

	if (!area)
		return NULL;
	area->base = (uint8_t *)map->start;
	area->mapping = *map;
	area->is_file = true;
	why = infini_import_file(area, need);
	area->mapping.path = NULL;
	if (!why) {
		infini_trace_add(INFINI_TRACE_MAPPED_BYTES, area->bytes);
		return area;
	}
	err = infini_import_memory(area);
	if (!err) {
		infini_say_once("vdev \"%s\": weights are copied, and not shared with other "
				"programs: %s", infini_link_name(link), infini_import_reason(why));
		return area;
	}
	if (!link->broken)
		infini_say("vdev \"%s\": weights of %.1f MiB: %s", infini_link_name(link),
			   map->bytes / (double)(1 << 20), infini_link_reason(err));
	infini_area_delete(area);
	return NULL;
}

/* Memory of several mappings, or of none that is known: it alone, and nobody else's. */
static void infini_import_range(const void *addr, size_t bytes, struct infini_mapping *map)
{
	unsigned long page = (unsigned long)sysconf(_SC_PAGESIZE);
	unsigned long start = (unsigned long)addr & -page;

	*map = (struct infini_mapping){
		.start = start,
		.bytes = (unsigned long)addr + bytes - start,
	};
}

/* An area that has the @bytes at @addr, which stay the program's and tell the places of tensors. */
struct infini_area *infini_import(struct infini_link *link, void *addr, size_t bytes)
{
	struct infini_mapping map;
	struct infini_area *area;
	uint64_t need;
	int err = infini_mapping_find(addr, bytes, &map);

	if (!err && !map.inode)
		free(map.path);
	if (err || !map.inode)
		infini_import_range(addr, bytes, &map);
	need = (unsigned long)addr - map.start + bytes;
	area = infini_import_known(link, &map, need);
	if (!area)
		area = infini_import_new(link, &map, need);
	free(map.path);
	return area;
}

/* ggml gives @tensor its place. Where the file itself is read there is nothing to do. */
enum ggml_status infini_import_place(const struct infini_area *area,
				     const struct ggml_tensor *tensor)
{
	size_t done = 0, bytes = ggml_nbytes(tensor);
	off_t at = (const uint8_t *)tensor->data - area->base;
	ssize_t n;

	if (area->copy < 0 || tensor->view_src)
		return GGML_STATUS_SUCCESS;
	while (done < bytes) {
		n = pwrite(area->copy, (const uint8_t *)tensor->data + done, bytes - done,
			   at + (off_t)done);
		if (n <= 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			infini_say("cannot copy tensor \"%s\" of %zu bytes: %s", tensor->name,
				   bytes, strerror(errno));
			return GGML_STATUS_ALLOC_FAILED;
		}
		done += (size_t)n;
	}
	infini_trace_add(INFINI_TRACE_COPIED_BYTES, bytes);
	return GGML_STATUS_SUCCESS;
}
