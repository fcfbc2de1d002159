/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the supervisor's parts share: supervisor.c has the loop, discovery.c the devices, metering.c what is counted. */
#ifndef INFINI_DAEMON_SUPERVISOR_STATE_H
#define INFINI_DAEMON_SUPERVISOR_STATE_H

#include "crew.h"
#include "energy.h"
#include "inventory_watch.h"
#include "ledger.h"
#include "lifetime.h"
#include "metrics_http.h"
#include "probe.h"
#include "remote.h"
#include "roster.h"
#include "sample.h"
#include "supervisor.h"

/* What the loop waits for; a probe or remote machine adds its index. */
enum source { SOURCE_SIGNALS, SOURCE_EVENTS, SOURCE_METRICS, SOURCE_LIFETIME, SOURCE_HOTPLUG,
	      SOURCE_INHERITED, SOURCE_PROBES, SOURCE_REMOTES = SOURCE_PROBES + INFINI_CONFIG_BACKENDS_MAX };

struct supervisor {
	const struct infini_supervisor_setup *setup;
	struct infini_config *config;
	int pidfile_fd;
	int control_fd;
	int signal_fd;
	int epoll_fd;
	struct infini_admin *admin;
	struct infini_admin *events;
	struct infini_roster roster;
	struct infini_crew crew;
	struct infini_metrics_http *metrics;	/* NULL when it could not listen */
	struct infini_metrics_places places;	/* the service manager's; the others are the configuration's */
	struct infini_lifetime lifetime;
	struct infini_energy energy;
	struct infini_ledger *ledger;		/* NULL when it could not be opened */
	struct infini_sample gone;	/* vdevs deleted since the last entry */
	int64_t ledger_ns;		/* when an interval ends */
	char epoch[INFINI_LEDGER_EPOCH_BYTES];
	struct infini_probe probes[INFINI_CONFIG_BACKENDS_MAX];
	unsigned int nr_probes;		/* of these running */
	struct infini_remotes remotes;
	struct infini_inventory_watch hardware;
	bool ready;
	bool stopping;
	bool reload_wanted;		/* SIGHUP came */
	bool reloading;			/* and its probes run */
	bool spec_wanted;		/* vdevs came or went since it was written */
	int64_t spec_ns;		/* and not before then */
	int64_t rescan_ns;		/* when to list the vdevs */
	int64_t settle_ns;		/* list once more then, if later than now */
	char run_dir[PATH_MAX];		/* where the pidfile is, whatever a reload says */
};

/* The loop waits for @fd, too. 0 or -errno. */
int infini_supervisor_watch(struct supervisor *s, int fd, uint32_t source);

#endif /* INFINI_DAEMON_SUPERVISOR_STATE_H */
