/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libinfini: the ioctls of /dev/infini, one function and one system call each.
 *
 * Every function returns 0 or a file descriptor, or -errno; none prints, none keeps state, all
 * are thread-safe. Structs, units and errors are those of <linux/infini.h>; the caller fills the
 * fields that are inputs, the library sets the struct's size.
 */
#ifndef INFINI_H
#define INFINI_H

#include <linux/infini.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define INFINI_NODE	"/dev/infini"

/*
 * Open @path, or $INFINI_DEVICE, or /dev/infini when @path is NULL. Returns an O_CLOEXEC
 * descriptor. -ENOENT: the module is not loaded (or the container got no vdev).
 */
int infini_open(const char *path);

/*
 * A client of a vdev, the way every frontend should get one: opens like infini_open(); on the
 * host's control node it opens vdev @vdev by name or decimal id ($INFINI_VDEV when NULL); on a
 * vdev's own node @vdev must be NULL or empty. -EDESTADDRREQ: on the control node and no vdev named.
 */
int infini_client_open(const char *path, const char *vdev);

int infini_query(int fd, struct infini_query *query);

/* On the control file. */
int infini_vdev_open(int fd, const char *name, uint32_t id);
int infini_device_register(int fd, struct infini_device_register *reg);

/* On a client. */
int infini_vdev_info(int fd, struct infini_vdev_info *info);
int infini_vdev_stats(int fd, struct infini_vdev_stats *stats);
int infini_queue_create(int fd, struct infini_queue_create *create);
int infini_queue_destroy(int fd, uint32_t handle);
int infini_buffer_create(int fd, struct infini_buffer_create *create);
int infini_buffer_destroy(int fd, uint32_t handle);
int infini_program_create(int fd, uint32_t format, const void *data, size_t bytes,
			  uint32_t *handle);
int infini_program_destroy(int fd, uint32_t handle);
int infini_submit(int fd, struct infini_submit *submit);
int infini_wait(int fd, struct infini_wait *wait);

/* mmap() of a SHARED buffer, read-write, or of a queue's timeline, read-only. */
int infini_buffer_map(int fd, uint64_t map_offset, size_t bytes, void **addr);
int infini_timeline_map(int fd, uint64_t map_offset, const struct infini_timeline **timeline);
int infini_unmap(const void *addr, size_t bytes);

/*
 * Look at the timeline until @seqno has completed, at most @spin_ns. True when it has. No system
 * call.
 */
bool infini_timeline_spin(const struct infini_timeline *timeline, uint64_t seqno,
			  uint64_t spin_ns);

/* On a device file and on an executor file. */
int infini_executor_create(int fd, uint32_t vdev_id);
int infini_executor_attach(int fd, struct infini_executor_attach *attach);
int infini_exchange(int fd, struct infini_exchange *exchange);
int infini_program_read(int fd, uint64_t program, uint64_t offset, void *data, size_t bytes);
/*
 * Why @fd, a device or an executor, is about to be closed: told with the event of its end, as much of it
 * as there is room for, with '?' for what is not printable.
 */
int infini_end_reason(int fd, const char *reason);
int infini_yield_map(int fd, uint64_t yield_offset, const uint64_t **word);
int infini_executor_map(int fd, uint64_t map_offset, size_t bytes, void **addr);
/*
 * The file behind FILE buffer @buffer: an O_CLOEXEC descriptor, open for reading alone, and where in it the
 * buffer begins. infini_file_map() maps it: read-only, and SIGBUS where the file has come to end before.
 */
int infini_buffer_receive(int fd, uint64_t buffer, uint64_t *offset);
int infini_file_map(int fd, uint64_t offset, size_t bytes, const void **addr);

/* An absolute deadline @ns from now, saturating at INFINI_FOREVER; negative means forever. */
int64_t infini_deadline(int64_t ns);

#ifdef __cplusplus
}
#endif

#endif /* INFINI_H */
