/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Processes that have a device's backend open and do nothing but fork workers, which so start where loading
 * libraries and looking at the device is behind them. There is one for each device whose backend may be forked.
 * They know nothing of vdevs but the names, and a worker knows nothing of another's: what they share is what
 * was there before any of them, which beside infinid's memory is the libraries' data. The word is that of Android
 * and Chromium.
 */
#ifndef INFINI_DAEMON_ZYGOTE_H
#define INFINI_DAEMON_ZYGOTE_H

#include "roster.h"

#include <sys/types.h>

struct infini_zygote {
	uint32_t device_id;
	char device[INFINI_NAME_MAX];
	pid_t pid;			/* 0: none runs */
	int fd;				/* to ask it by */
	bool ready;			/* it has said that its backend is open */
	unsigned int failures;		/* since a worker was made */
	int64_t not_before_ns;		/* of the next start, of CLOCK_MONOTONIC */
};

struct infini_zygotes {
	uint32_t nr;
	struct infini_zygote all[INFINI_CONFIG_DEVICES_MAX];
};

/* What a worker is given. The caller keeps the files. */
struct infini_zygote_birth {
	const char *vdev_name;
	int executor_fd;
	int gate_fd;			/* for infini_child_pass() */
	int cgroup;			/* the directory of the group to be born in, or -1 */
};

/* Have one for each device in @roster that may have one; whatever else there is ends. */
void infini_zygotes_tend(struct infini_zygotes *zygotes, const struct infini_roster *roster,
			 const struct infini_config *config);

/* When infini_zygotes_tend() has something to do though nothing has changed; INFINI_FOREVER for never. */
int64_t infini_zygotes_next_ns(const struct infini_zygotes *zygotes);

/*
 * A worker of the device, as this process's child. Its pid; 0 when there is no zygote that is ready, or it
 * cannot, or the files that it has loaded have been replaced: then the worker is to be made without.
 */
pid_t infini_zygotes_fork(struct infini_zygotes *zygotes, uint32_t device_id, const char *device,
			  const struct infini_zygote_birth *birth);

/* A child has ended. False when it was no zygote. */
bool infini_zygotes_reap(struct infini_zygotes *zygotes, pid_t pid, int status);

/* All end, and have ended on return. Their workers go on. */
void infini_zygotes_end(struct infini_zygotes *zygotes);

#endif /* INFINI_DAEMON_ZYGOTE_H */
