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
 * What the program may still write to is not copied, as what it writes later would not arrive.
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
 * An area that has the mapping up to the end of the @bytes at @addr already. Its buffers want their
 * memory to stay mapped, so what is at the same addresses is the same mapping.
 */
static struct infini_area *infini_import_known(struct infini_link *link,
					       const struct infini_mapping *map, const void *addr,
					       size_t bytes)
{
	uint64_t need = (unsigned long)addr - map->start + bytes;
	struct infini_area *area;

	pthread_mutex_lock(&link->lock);
	for (area = link->imports; area; area = area->next) {
		const struct infini_mapping *of = &area->mapping;

		if (infini_mapping_same_file(of, map) && map->start >= of->start &&
		    map->start - of->start == map->offset - of->offset &&
		    map->start - of->start + need <= area->bytes)
			break;
	}
	/* A copy that was made for what is only read in the mapping. */
	if (area && area->copy >= 0 && infini_mapping_writable(addr, bytes))
		area = NULL;
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
static int infini_import_try_locked(struct infini_link *link)
{
	struct infini_buffer_create create = {
		.type = INFINI_BUFFER_FILE,
		.bytes = (uint64_t)sysconf(_SC_PAGESIZE),
	};
	int copy, err;

	if (!(link->query.features & INFINI_FEAT_FILE_BUFFER) ||
	    !(link->kinds[0].flags & INFINI_MEMORY_F_FILE))
		return -EOPNOTSUPP;
	create.fd = infini_import_memfd(create.bytes, &copy);
	err = create.fd < 0 ? create.fd : infini_buffer_create(link->fd, &create);
	infini_trace_add(INFINI_TRACE_SYSCALLS, 2);
	if (!err)
		infini_buffer_destroy(link->fd, create.handle);
	if (create.fd >= 0)
		close(create.fd);
	if (copy >= 0)
		close(copy);
	return err;
}

/* Anything else that fails, as for want of memory, may succeed the next time. */
static bool infini_import_is_answer(int err)
{
	return !err || err == -EOPNOTSUPP || err == -EACCES || err == -EPERM || err == -EINVAL;
}

/* Whether programs on this device read files in place, and one of ours. */
bool infini_import_offered(struct infini_link *link)
{
	bool offered;
	int err;

	pthread_mutex_lock(&link->lock);
	if (!link->imports_tried && !infini_link_open_locked(link)) {
		err = infini_import_try_locked(link);
		link->imports_tried = infini_import_is_answer(err);
		link->imports_work = !err;
	}
	offered = link->imports_work;
	pthread_mutex_unlock(&link->lock);
	return offered;
}

/*
 * Each area is a binding of the graphs that use it. A quarter of what a job takes is kept for all
 * that is no weights: past that the program had better not load the model at all.
 */
static bool infini_import_room(struct infini_link *link)
{
	unsigned int nr = 0, most = link->query.max_bindings;
	struct infini_area *area;

	if (most > INFINI_LINK_BINDINGS)
		most = INFINI_LINK_BINDINGS;
	pthread_mutex_lock(&link->lock);
	for (area = link->imports; area; area = area->next)
		nr++;
	pthread_mutex_unlock(&link->lock);
	if (nr < most - most / 4)
		return true;
	infini_say("vdev \"%s\": weights are in more than %u files, and a job takes %u buffers: "
		   "use --load-mode none, or a model in fewer files", infini_link_name(link),
		   nr, most);
	return false;
}

/* Whether what is at @addr can be copied: it stays as it is. Says itself why not. */
static bool infini_import_copyable(struct infini_link *link, const void *addr, size_t bytes,
				   int why)
{
	int writable = infini_mapping_writable(addr, bytes);

	if (!writable)
		return true;
	if (writable < 0)
		infini_say("vdev \"%s\": cannot tell whether memory is only read: %s",
			   infini_link_name(link), strerror(-writable));
	else
		infini_say("vdev \"%s\": %zu bytes at %p are no buffer: %s, and the program may "
			   "still write to them, which a copy would miss; mprotect them to "
			   "PROT_READ first, or upload tensors (llama.cpp: --load-mode none)",
			   infini_link_name(link), bytes, addr, infini_import_reason(why));
	return false;
}

/* For the @bytes at @addr. Says itself what is wrong. */
static struct infini_area *infini_import_new(struct infini_link *link,
					     const struct infini_mapping *map, const void *addr,
					     size_t bytes)
{
	uint64_t need = (unsigned long)addr - map->start + bytes;
	struct infini_area *area;
	int err, why;

	if (!infini_import_room(link))
		return NULL;
	area = infini_area_new(link, 0, map->bytes);
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
	if (!infini_import_copyable(link, addr, bytes, why)) {
		infini_area_delete(area);
		return NULL;
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
	int err = infini_mapping_find(addr, bytes, &map);

	if (!err && !map.inode)
		free(map.path);
	if (err || !map.inode)
		infini_import_range(addr, bytes, &map);
	area = infini_import_known(link, &map, addr, bytes);
	if (!area)
		area = infini_import_new(link, &map, addr, bytes);
	free(map.path);
	return area;
}

/* llama.cpp does not look at the status of a tensor's place: no graph may run without the data. */
static enum ggml_status infini_import_lost(struct infini_link *link,
					   const struct ggml_tensor *tensor, int err)
{
	char what[GGML_MAX_NAME + 32];

	snprintf(what, sizeof(what), "copying tensor \"%s\"", tensor->name);
	pthread_mutex_lock(&link->lock);
	/* The file in memory is full when the machine is: no limit of the vdev's. */
	infini_submit_break_locked(link, err == -ENOSPC ? -ENOMEM : err, what);
	pthread_mutex_unlock(&link->lock);
	return GGML_STATUS_ALLOC_FAILED;
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
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return infini_import_lost(area->link, tensor, n ? -errno : -EIO);
		done += (size_t)n;
	}
	infini_trace_add(INFINI_TRACE_COPIED_BYTES, bytes);
	return GGML_STATUS_SUCCESS;
}
