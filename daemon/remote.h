/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Other machines' devices: when to look whether their servers answer, and what came of it.
 *
 * A server of ggml has one client at a time. So nothing is asked of one that a worker of ours is
 * connected to; that one tells by its end when the server is gone.
 */
#ifndef INFINI_DAEMON_REMOTE_H
#define INFINI_DAEMON_REMOTE_H

#include "crew.h"
#include "inventory.h"
#include "probe.h"
#include "roster.h"

#define INFINI_REMOTE_BACKEND	"ggml"

struct infini_remote {
	char name[INFINI_NAME_MAX];
	struct infini_probe probe;	/* one runs when its pid is not 0 */
	int64_t look_ns;		/* when to look, if none runs */
	int64_t silent_ns;		/* when one that runs has taken too long */
	bool suspect;			/* a worker there has ended badly */
	char why[INFINI_INVENTORY_WHY_BYTES];	/* it is of no use now, or "" */
};

struct infini_remotes {
	uint32_t nr_remotes;
	struct infini_remote remotes[INFINI_CONFIG_REMOTES_MAX];
};

/* Those that @config has, all to be looked at now. What runs is ended. */
void infini_remotes_configure(struct infini_remotes *remotes, const struct infini_config *config);

void infini_remotes_stop(struct infini_remotes *remotes);

/* When to call infini_remotes_start() next; INFINI_FOREVER for never. */
int64_t infini_remotes_next_ns(const struct infini_remotes *remotes);

/*
 * Start the probes that are due; @started is called for each, and says whether it can be listened to
 * (0 or -errno).
 */
void infini_remotes_start(struct infini_remotes *remotes, const struct infini_config *config,
			  const struct infini_roster *roster, const struct infini_crew *crew,
			  int (*started)(struct infini_remote *remote, void *arg), void *arg);

/* The probe of @remote has ended: its devices go off line if the server does not answer. */
void infini_remotes_end(struct infini_remote *remote, const struct infini_config *config,
			struct infini_roster *roster);

/* The worker @pid is about to be reaped, with @status. */
void infini_remotes_worker_ended(struct infini_remotes *remotes, const struct infini_crew *crew,
				 pid_t pid, int status);

/* For the inventory, whose list is replaced: true when it was another. */
bool infini_remotes_list(const struct infini_remotes *remotes, const struct infini_config *config,
			 struct infini_inventory *inventory);

#endif /* INFINI_DAEMON_REMOTE_H */
