// SPDX-License-Identifier: GPL-2.0-or-later
/* Keeps the inventory true while the daemon runs: looks when hardware changes, reads its sensors. */
#include "inventory_watch.h"

#include "clock.h"
#include "log.h"

#include <stdio.h>
#include <string.h>

/* A driver's nodes come one by one, and udev sets their modes. */
#define SETTLE_NS	(500 * INFINI_NS_PER_MS)
/* How often sensors are read. */
#define ROUND_NS	(10 * INFINI_NS_PER_S)

static const struct infini_inventory_where where = {
	.sysfs = "/sys", .dev = "/dev", .proc = "/proc",
};

static void gone(const struct infini_inventory_node *node, void *arg)
{
	struct infini_inventory_watch *watch = arg;
	const struct infini_inventory_claim *claim;

	for (uint32_t i = 0; node->pci[0] && i < watch->inventory.nr_claims; i++) {
		claim = &watch->inventory.claims[i];
		if (!strcmp(claim->pci, node->pci) && !claim->why[0])
			infini_roster_gone(watch->roster, claim->device);
	}
}

static void come(const struct infini_inventory_node *node, void *arg)
{
	struct infini_inventory_watch *watch = arg;

	(void)node;
	watch->came = true;
}

void infini_inventory_watch_look(struct infini_inventory_watch *watch)
{
	watch->scan_ns = INFINI_FOREVER;
	if (infini_inventory_scan(&watch->inventory, &where, gone, come, watch))
		infini_log_limited(LOG_WARNING, "no memory to look for accelerators");
	watch->round_ns = infini_clock_ns();
}

void infini_inventory_watch_start(struct infini_inventory_watch *watch, const char *run_dir,
				  struct infini_roster *roster, const struct infini_crew *crew,
				  const struct infini_config *config)
{
	int ret = infini_hotplug_start(&watch->hotplug);

	watch->roster = roster;
	watch->crew = crew;
	watch->config = config;
	snprintf(watch->path, sizeof(watch->path), "%.*s/" INFINI_INVENTORY_FILE,
		 (int)(sizeof(watch->path) - sizeof("/" INFINI_INVENTORY_FILE)), run_dir);
	if (ret)
		infini_notice("accelerators that come or go are not noticed: %s", strerror(-ret));
	/* Events are listened to already: nothing falls between. */
	infini_inventory_watch_look(watch);
}

int infini_inventory_watch_fd(const struct infini_inventory_watch *watch)
{
	return watch->hotplug ? infini_hotplug_fd(watch->hotplug) : -1;
}

/* Events say when to look; a listing says what is true. */
void infini_inventory_watch_event(struct infini_inventory_watch *watch)
{
	if (infini_hotplug_read(watch->hotplug) && watch->scan_ns == INFINI_FOREVER)
		watch->scan_ns = infini_clock_ns() + SETTLE_NS;
}

/* Without the file infinictl knows little of hardware. */
void infini_inventory_watch_write(struct infini_inventory_watch *watch)
{
	int ret = infini_inventory_write(&watch->inventory, watch->config, watch->path);

	if (ret && !watch->failing)
		infini_warn("%s: %s", watch->path, strerror(-ret));
	watch->failing = ret;
}

static void read_sensors(struct infini_inventory_watch *watch)
{
	const struct infini_crew_member *member = watch->crew->members;

	for (; member; member = member->next) {
		if (member->pid)
			infini_inventory_count(&watch->inventory, &where, member->pid);
	}
	infini_inventory_refresh(&watch->inventory, infini_clock_ns());
	watch->round_ns = watch->inventory.nr_nodes ? infini_clock_ns() + ROUND_NS : INFINI_FOREVER;
	infini_inventory_watch_write(watch);
}

void infini_inventory_watch_run(struct infini_inventory_watch *watch, bool asked)
{
	if (asked)
		return;
	if (watch->scan_ns <= infini_clock_ns())
		infini_inventory_watch_look(watch);
	if (watch->round_ns <= infini_clock_ns() && !watch->came)
		read_sensors(watch);
}

int64_t infini_inventory_watch_next_ns(const struct infini_inventory_watch *watch, bool asked)
{
	if (asked)
		return INFINI_FOREVER;
	return watch->scan_ns < watch->round_ns ? watch->scan_ns : watch->round_ns;
}

void infini_inventory_watch_stop(struct infini_inventory_watch *watch)
{
	infini_hotplug_stop(watch->hotplug);
	watch->hotplug = NULL;
}
