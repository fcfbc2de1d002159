/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The workers: who runs, who is wanted, and who has to wait before it is tried again. */
#ifndef INFINI_DAEMON_CREW_H
#define INFINI_DAEMON_CREW_H

#include "roster.h"
#include "worker_cgroup.h"
#include "zygote.h"

#include <infini-admin.h>

/* One per vdev that had a worker lately. Times are of CLOCK_MONOTONIC. */
struct infini_crew_member {
	struct infini_crew_member *next;
	uint32_t vdev_id;
	uint32_t device_id;
	char vdev_name[INFINI_NAME_MAX];
	uint64_t memory_bytes;		/* the vdev's limit; 0: not known yet */
	pid_t pid;			/* 0: none runs */
	int pidfd;			/* of it */
	bool inherited;			/* an earlier supervisor's child, so not ours to wait for */
	bool left_well;			/* the module said that it is gone, and no reason */
	char kept_as[INFINI_FDSTORE_NAME_BYTES];
	bool wanted;			/* the kernel wants one and none runs */
	char remote[INFINI_NAME_MAX];	/* whose device it runs on, or "" */
	uint32_t endpoint;		/* and by which of the remote's it is connected */
	bool waits;			/* until another vdev leaves one */
	bool told;			/* to stop, or its vdev was deleted: no crash */
	unsigned int crashes;		/* in a row */
	int64_t started_ns;
	int64_t not_before_ns;		/* of the next start */
	int64_t idle_since_ns;		/* 0: has clients */
};

struct infini_crew {
	struct infini_crew_member *members;
	uint32_t nr_running;
	struct infini_worker_cgroups cgroups;
	struct infini_zygotes zygotes;
};

/* The kernel wants a worker for this vdev. */
void infini_crew_want(struct infini_crew *crew, uint32_t vdev_id, uint32_t device_id,
		      const char *name);

/* The module has let go of the executor that process @pid had; @reason: "" when it left by itself. */
void infini_crew_lost(struct infini_crew *crew, uint32_t vdev_id, uint32_t pid, const char *reason);

/* The vdev is gone; the module ends its worker, if by force. */
void infini_crew_deleted(struct infini_crew *crew, uint32_t vdev_id);

/* Start whom the kernel wants and whose pause is over. */
void infini_crew_start_due(struct infini_crew *crew, const struct infini_roster *roster,
			   const struct infini_config *config);

/* When infini_crew_start_due() has something to do next; INFINI_FOREVER for never. */
int64_t infini_crew_next_ns(const struct infini_crew *crew);

/*
 * Take over @file, the pidfd of a worker that an earlier supervisor started. Its member, or NULL when
 * that worker has ended, or there is no memory.
 */
struct infini_crew_member *infini_crew_inherit(struct infini_crew *crew,
					       const struct infini_fdstore_file *file);

/* One that was inherited and has ended, for infini_crew_reap(), or NULL. */
struct infini_crew_member *infini_crew_ended(const struct infini_crew *crew);

/* Whether the worker @pid, of a device of @remote, has ended badly. @status says nothing of who was inherited. */
bool infini_crew_failed_on(const struct infini_crew *crew, const char *remote, pid_t pid, int status);

/* A child has ended, or who was inherited, with any @status. False when it was no worker. */
bool infini_crew_reap(struct infini_crew *crew, pid_t pid, int status);

/*
 * What the module says of a vdev: start what is wanted, retire who has had no client for long enough,
 * hold its worker to the memory that it may have now.
 */
void infini_crew_observe(struct infini_crew *crew, const struct infini_admin_vdev *vdev,
			 const struct infini_config *config);

/* Send @signal to all. */
void infini_crew_signal(struct infini_crew *crew, int signal);

/* A child is a worker on a device of the remote machine @remote, or any is if @pid is 0. */
bool infini_crew_on_remote(const struct infini_crew *crew, const char *remote, pid_t pid);

/* Forget all. Those that run go on. */
void infini_crew_clear(struct infini_crew *crew);

#endif /* INFINI_DAEMON_CREW_H */
