/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The devices this daemon has registered with the module, and keeps online. */
#ifndef INFINI_DAEMON_ROSTER_H
#define INFINI_DAEMON_ROSTER_H

#include "backend.h"
#include "config.h"
#include "fdstore.h"

#include <infini-admin.h>

struct infini_roster_device {
	int fd;				/* the device is online as long as this is open, or kept */
	uint32_t id;			/* the module's */
	uint32_t device_class;
	uint32_t slots;
	uint32_t needs;			/* as in struct infini_backend_device */
	bool forks;			/* as there; false until its backend has reported it */
	uint64_t memory_bytes;
	char name[INFINI_NAME_MAX];
	char backend[INFINI_NAME_MAX];
	char pci[INFINI_PCI_BYTES];	/* as in struct infini_backend_device, like remote and library */
	char remote[INFINI_NAME_MAX];
	char library[INFINI_LIBRARY_BYTES];
	char kept_as[INFINI_FDSTORE_NAME_BYTES];
	bool inherited;			/* and not reported yet by its backend */
	uint32_t nr_kinds;
	struct infini_memory_kind kinds[INFINI_MEMORY_KINDS_MAX];
};

struct infini_roster {
	uint32_t nr_devices;
	struct infini_roster_device devices[INFINI_CONFIG_DEVICES_MAX];
};

/*
 * Register what @backend reports, as the configuration has it; a device that stands here already
 * is left alone, unless an earlier supervisor registered it as something else: then it goes off line
 * first. Every outcome is logged. 0 or -errno.
 */
int infini_roster_add(struct infini_roster *roster, int control_fd,
		      const struct infini_config *config, const char *backend,
		      const struct infini_backend_device *device);

/*
 * Take over @file, of a device that an earlier supervisor registered and that is on line as @device.
 * False when @roster has no room for it.
 */
bool infini_roster_inherit(struct infini_roster *roster, const struct infini_fdstore_file *file,
			   const struct infini_admin_device *device);

/* The device @name, which may have been inherited, is what its backend calls by another name. */
void infini_roster_confirm(struct infini_roster *roster, const char *name);

/* @backend has reported all of its devices: those that were inherited and not among them are gone. */
void infini_roster_settle(struct infini_roster *roster, const char *backend);

const struct infini_roster_device *infini_roster_find(const struct infini_roster *roster,
						      uint32_t id);

/* The one that @backend drives at @pci, or NULL. */
const struct infini_roster_device *infini_roster_find_pci(const struct infini_roster *roster,
							  const char *backend, const char *pci);
const struct infini_roster_device *infini_roster_find_name(const struct infini_roster *roster,
							   const char *name);

/* Take @name off line: its hardware is gone. */
void infini_roster_gone(struct infini_roster *roster, const char *name);

/* Take the devices of the remote machine @remote off line, because of @why. */
void infini_roster_lost(struct infini_roster *roster, const char *remote, const char *why);

/* Whether one of them is on line. */
bool infini_roster_has_remote(const struct infini_roster *roster, const char *remote);

/* Take off line what @config does not allow any more. */
void infini_roster_filter(struct infini_roster *roster, const struct infini_config *config);

/* Let go of all: those that nobody keeps go off line. */
void infini_roster_clear(struct infini_roster *roster);

#endif /* INFINI_DAEMON_ROSTER_H */
