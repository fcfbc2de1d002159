/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps the inventory true while the daemon runs: looks when hardware changes, reads its sensors. */
#ifndef INFINI_DAEMON_INVENTORY_WATCH_H
#define INFINI_DAEMON_INVENTORY_WATCH_H

#include "crew.h"
#include "hotplug.h"
#include "inventory.h"
#include "roster.h"

struct infini_inventory_watch {
	struct infini_inventory inventory;
	struct infini_roster *roster;
	const struct infini_crew *crew;
	const struct infini_config *config;
	struct infini_hotplug *hotplug;	/* NULL when there is none */
	int64_t scan_ns;		/* when to look for hardware */
	int64_t round_ns;		/* when to read its sensors */
	bool came;			/* hardware that no backend was asked about */
	bool failing;			/* the file cannot be written */
	char path[PATH_MAX];		/* of the file */
};

/* Look for the first time. What is there counts even if changes cannot be noticed, which is logged. */
void infini_inventory_watch_start(struct infini_inventory_watch *watch, const char *run_dir,
				  struct infini_roster *roster, const struct infini_crew *crew,
				  const struct infini_config *config);

/* Readable when infini_inventory_watch_event() is wanted; -1 for never. */
int infini_inventory_watch_fd(const struct infini_inventory_watch *watch);
void infini_inventory_watch_event(struct infini_inventory_watch *watch);

/* Look now. Devices whose hardware is gone go off line. */
void infini_inventory_watch_look(struct infini_inventory_watch *watch);

/* Do what is due. While backends are @asked half of what they report is there: that can wait. */
void infini_inventory_watch_run(struct infini_inventory_watch *watch, bool asked);
int64_t infini_inventory_watch_next_ns(const struct infini_inventory_watch *watch, bool asked);

/* Backends have been asked: write the file. */
void infini_inventory_watch_write(struct infini_inventory_watch *watch);

void infini_inventory_watch_stop(struct infini_inventory_watch *watch);

#endif /* INFINI_DAEMON_INVENTORY_WATCH_H */
