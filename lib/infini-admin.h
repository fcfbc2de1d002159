/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libinfini-admin: devices, vdevs, statistics and events over generic netlink (family "infini",
 * uapi/netlink/infini.yaml). Needs CAP_SYS_ADMIN in the initial user namespace, initial network
 * namespace. Links libnl, so that libinfini itself needs nothing.
 *
 * A handle belongs to one thread at a time. Functions return 0 or -errno; after an error
 * infini_admin_error() has the module's own sentence about it (extended ack), or "". After a
 * success it has what the module said all the same, such as that a new memory limit is below what
 * is in use, as a rule "".
 */
#ifndef INFINI_ADMIN_H
#define INFINI_ADMIN_H

#include <linux/infini.h>
#include <linux/infini_netlink.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct infini_admin;

/* -ENOENT: the module is not loaded. */
int infini_admin_open(struct infini_admin **admin);
void infini_admin_close(struct infini_admin *admin);
const char *infini_admin_error(const struct infini_admin *admin);

/* A device as the module knows it. Strings are NUL-terminated and belong to the caller's copy. */
struct infini_admin_device {
	uint32_t id;
	uint32_t device_class;		/* enum infini_device_class */
	uint32_t level;			/* enum infini_yield_level */
	uint32_t slots;
	uint32_t nr_vdevs;
	uint32_t nr_kinds;
	bool online;
	uint64_t memory_bytes;
	uint64_t memory_promised_bytes;	/* sum of the limits of its vdevs */
	uint64_t memory_used_bytes;
	uint32_t floors_ppm;		/* sum of the floors of its vdevs, in millionths */
	uint64_t occupancy_ns;		/* of all its vdevs, deleted ones included */
	char name[INFINI_NAME_MAX];
	char backend[INFINI_NAME_MAX];
	char description[64];
	struct infini_memory_kind kinds[INFINI_MEMORY_KINDS_MAX];	/* the first @nr_kinds */
};

/* Times in nanoseconds; @hist is as queue_wait_hist, all 0 from a module that does not tell. */
struct infini_admin_times {
	uint64_t sum_ns;
	uint64_t hist[INFINI_HIST_BUCKETS];
};

struct infini_admin_vdev {
	uint32_t id;
	uint32_t device_id;
	uint32_t weight;
	uint32_t vdev_class;		/* enum infini_vdev_class */
	uint32_t cap_ppm;		/* of the device's time; INFINI_VDEV_PPM_MAX for no cap */
	uint32_t floor_ppm;		/* 0 for none */
	uint32_t uid, gid, mode;
	int32_t minor;			/* of /dev/infini<id>; -1 without a node */
	uint32_t executor;		/* enum infini_vdev_executor */
	uint32_t executor_pid;
	bool exclusive;			/* one opener at a time */
	uint8_t uuid[INFINI_VDEV_UUID_BYTES];
	uint64_t cgroup_id;		/* who opens it must be in that cgroup (v2); 0 for anybody */
	uint64_t quantum_ns;
	uint64_t tokens_per_s;		/* 0 for no limit */
	uint64_t token_burst;		/* 0 for one second's */
	uint64_t memory_limit_bytes;
	char name[INFINI_NAME_MAX];
	char device_name[INFINI_NAME_MAX];
	struct infini_vdev_stats stats;	/* queue_wait_hist is 0; see @queue_wait_hist */
	uint64_t queue_wait_hist[INFINI_HIST_BUCKETS];
	struct infini_admin_times ttft;	/* to the first token of each prompt that ended */
	struct infini_admin_times itl;	/* from token to token, counted for each that came then */
	uint32_t nr_client_cgroups;
	/* Where its clients were when they opened it: the first @nr_client_cgroups, each once. */
	uint64_t client_cgroups[INFINI_VDEV_CLIENT_CGROUPS_MAX];
};

typedef int (*infini_admin_device_fn)(const struct infini_admin_device *device, void *arg);
typedef int (*infini_admin_vdev_fn)(const struct infini_admin_vdev *vdev, void *arg);

/* Call @fn for each; a non-zero return ends the walk and is returned. */
int infini_admin_device_list(struct infini_admin *admin, infini_admin_device_fn fn, void *arg);
int infini_admin_vdev_list(struct infini_admin *admin, infini_admin_vdev_fn fn, void *arg);

/* By name, or by id when @name is NULL. */
int infini_admin_device_get(struct infini_admin *admin, const char *name, uint32_t id,
			    struct infini_admin_device *device);
int infini_admin_vdev_get(struct infini_admin *admin, const char *name, uint32_t id,
			  struct infini_admin_vdev *vdev);

/* Which members of struct infini_admin_vdev_config count. */
#define INFINI_VDEV_SET_WEIGHT	(1u << 0)
#define INFINI_VDEV_SET_QUANTUM	(1u << 1)
#define INFINI_VDEV_SET_MEMORY	(1u << 2)
#define INFINI_VDEV_SET_OWNER	(1u << 3)	/* uid, gid */
#define INFINI_VDEV_SET_MODE	(1u << 4)
#define INFINI_VDEV_SET_CLASS	(1u << 5)
#define INFINI_VDEV_SET_CAP	(1u << 6)
#define INFINI_VDEV_SET_FLOOR	(1u << 7)
#define INFINI_VDEV_SET_RATE	(1u << 8)	/* none without a burst takes the burst away too */
#define INFINI_VDEV_SET_BURST	(1u << 9)
#define INFINI_VDEV_SET_UUID	(1u << 10)	/* create only */
#define INFINI_VDEV_SET_EXCLUSIVE (1u << 11)
#define INFINI_VDEV_SET_CGROUP	(1u << 12)	/* cgroup_fd */

struct infini_admin_vdev_config {
	uint32_t set;			/* INFINI_VDEV_SET_* */
	uint32_t weight;
	uint32_t vdev_class;
	uint32_t cap_ppm;
	uint32_t floor_ppm;
	uint32_t uid, gid, mode;
	bool no_node;			/* create only: no /dev/infini<id> */
	bool exclusive;			/* one opener at a time; who has it open keeps it */
	int cgroup_fd;			/* a directory of cgroup v2: openers must be in it or below;
					 * -1: no such bond any more */
	uint8_t uuid[INFINI_VDEV_UUID_BYTES];	/* big endian, as it is written */
	bool overcommit;		/* the device may come to promise more memory than it has */
	uint64_t quantum_ns;
	uint64_t tokens_per_s;
	uint64_t token_burst;
	uint64_t memory_limit_bytes;
};

/*
 * @memory_limit_bytes must be set. Default: class normal, weight 100, 2 ms, no cap, floor or token
 * rate, owner root, mode 0600, a random uuid. -ENOSPC: the device has less memory left, or less
 * floor; -EEXIST: the name is taken, -ENOTUNIQ: the uuid; -EBADF: @cgroup_fd is none.
 */
int infini_admin_vdev_create(struct infini_admin *admin, const char *name, const char *device,
			     const struct infini_admin_vdev_config *config, uint32_t *id);
/* What is not set stays; after an error everything has stayed. */
int infini_admin_vdev_set(struct infini_admin *admin, const char *name, uint32_t id,
			  const struct infini_admin_vdev_config *config);
/* Without @force a vdev with clients is -EBUSY. */
int infini_admin_vdev_delete(struct infini_admin *admin, const char *name, uint32_t id, bool force);

struct infini_admin_event {
	uint32_t type;			/* enum infini_event */
	uint32_t device_id;
	uint32_t vdev_id;		/* 0 for device events: vdev ids count from 1 */
	uint32_t pid;			/* of the executor, or 0 */
	uint64_t time_ns;		/* CLOCK_MONOTONIC */
	char name[INFINI_NAME_MAX];	/* of the vdev or device */
	/* Why a device went off line or an executor was lost; "" where nobody said: */
	char reason[INFINI_END_REASON_MAX];
	/* Of a vdev that was deleted, all in all: */
	uint64_t tokens_evaluated;
	uint64_t tokens_generated;
	uint64_t occupancy_ns;
};

/*
 * Join the event group; then the descriptor polls readable when an event waits. On -ENOBUFS events
 * were lost: list again.
 */
int infini_admin_events_open(struct infini_admin **events);
int infini_admin_events_fd(const struct infini_admin *events);
/* One event; -EAGAIN when none waits. */
int infini_admin_event_read(struct infini_admin *events, struct infini_admin_event *event);

#define INFINI_METRICS_SOCKET	"/run/infini/metrics.sock"

struct infini_admin_energy {
	char device[INFINI_NAME_MAX];
	uint64_t uj;			/* since infinid started: less than before after a restart */
};

/*
 * Ask infinid at @path (NULL: INFINI_METRICS_SOCKET) for the energy of every device that it can
 * measure: *@nr of them, at most @room. 0 or -errno: -ENOENT, -ECONNREFUSED no infinid, -EACCES not
 * root, -EPROTO not an infinid that tells, -ETIMEDOUT.
 */
int infini_admin_energy_read(const char *path, struct infini_admin_energy *energy, size_t room,
			     size_t *nr);

/*
 * Values of the contracts' enums as words that people and programs read; "unknown" for one that is
 * newer than the library.
 */
const char *infini_admin_device_class_word(uint32_t device_class);
const char *infini_admin_vdev_class_word(uint32_t vdev_class);
const char *infini_admin_level_word(uint32_t level);
const char *infini_admin_executor_word(uint32_t executor);
const char *infini_admin_event_word(uint32_t type);

/* The wait below which @ppm of the million fall, in ns, from a histogram; 0 when it is empty. */
uint64_t infini_hist_quantile(const uint64_t *hist, uint32_t ppm);

#ifdef __cplusplus
}
#endif

#endif /* INFINI_ADMIN_H */
