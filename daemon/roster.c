// SPDX-License-Identifier: GPL-2.0-or-later
/* The devices this daemon has registered with the module, and keeps online. */
#include "roster.h"

#include "log.h"

#include <errno.h>
#include <infini.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MIB(bytes)	((unsigned long long)(bytes) >> 20)

const struct infini_roster_device *infini_roster_find_name(const struct infini_roster *roster,
							   const char *name)
{
	for (uint32_t i = 0; i < roster->nr_devices; i++) {
		if (!strcmp(roster->devices[i].name, name))
			return &roster->devices[i];
	}
	return NULL;
}

const struct infini_roster_device *infini_roster_find_pci(const struct infini_roster *roster,
							  const char *backend, const char *pci)
{
	for (uint32_t i = 0; pci[0] && i < roster->nr_devices; i++) {
		if (!strcmp(roster->devices[i].pci, pci) &&
		    !strcmp(roster->devices[i].backend, backend))
			return &roster->devices[i];
	}
	return NULL;
}

const struct infini_roster_device *infini_roster_find(const struct infini_roster *roster,
						      uint32_t id)
{
	for (uint32_t i = 0; i < roster->nr_devices; i++) {
		if (roster->devices[i].id == id)
			return &roster->devices[i];
	}
	return NULL;
}

/* What the backend says, under what the operator says. */
static struct infini_backend_device configured(const struct infini_config *config,
					       const struct infini_backend_device *device)
{
	const struct infini_config_device *override;
	struct infini_backend_device wanted = *device;

	override = infini_config_device_find(config, device->name);
	if (override && override->memory_bytes)
		wanted.memory_bytes = override->memory_bytes;
	if (override && override->slots)
		wanted.slots = override->slots;
	return wanted;
}

static void note_change(const struct infini_roster_device *known,
			const struct infini_backend_device *wanted)
{
	if (known->memory_bytes != wanted->memory_bytes || known->slots != wanted->slots)
		infini_notice("device %s: new memory or slots count after a restart of infinid",
			      known->name);
}

static int do_register(int control_fd, const char *backend,
		       const struct infini_backend_device *device,
		       struct infini_device_register *reg)
{
	*reg = (struct infini_device_register){
		.device_class = device->device_class,
		.level = device->level,
		.slots = device->slots,
		.nr_kinds = device->nr_kinds,
		.memory_bytes = device->memory_bytes,
		.kinds = (uintptr_t)device->kinds,
		.kinds_stride = sizeof(device->kinds[0]),
		.fd = -1,
	};
	snprintf((char *)reg->name, sizeof(reg->name), "%s", device->name);
	snprintf((char *)reg->backend, sizeof(reg->backend), "%s", backend);
	snprintf((char *)reg->description, sizeof(reg->description), "%s", device->description);
	return infini_device_register(control_fd, reg);
}

static void explain(const struct infini_backend_device *device, int error)
{
	if (error == -EEXIST)
		infini_err("device %s: the name is online already; another backend or program "
			   "registered it", device->name);
	else if (error == -ENOSPC)
		infini_err("device %s: its virtual devices were promised more than %llu MiB; raise "
			   "memory under [device %s] or make them smaller", device->name,
			   MIB(device->memory_bytes), device->name);
	else
		infini_err("device %s: the module does not take it: %s", device->name,
			   strerror(-error));
}

int infini_roster_add(struct infini_roster *roster, int control_fd,
		      const struct infini_config *config, const char *backend,
		      const struct infini_backend_device *device)
{
	const struct infini_backend_device wanted = configured(config, device);
	const struct infini_roster_device *known = infini_roster_find_name(roster, device->name);
	struct infini_roster_device *entry;
	struct infini_device_register reg;
	int ret;

	if (known) {
		note_change(known, &wanted);
		return 0;
	}
	if (roster->nr_devices == INFINI_CONFIG_DEVICES_MAX) {
		infini_err("device %s: more than %d devices", wanted.name,
			   INFINI_CONFIG_DEVICES_MAX);
		return -ENOSPC;
	}
	ret = do_register(control_fd, backend, &wanted, &reg);
	if (ret) {
		explain(&wanted, ret);
		return ret;
	}
	entry = &roster->devices[roster->nr_devices++];
	*entry = (struct infini_roster_device){
		.fd = reg.fd,
		.id = reg.id,
		.device_class = wanted.device_class,
		.slots = wanted.slots,
		.needs = wanted.needs,
		.memory_bytes = wanted.memory_bytes,
	};
	snprintf(entry->name, sizeof(entry->name), "%s", wanted.name);
	snprintf(entry->backend, sizeof(entry->backend), "%s", backend);
	snprintf(entry->pci, sizeof(entry->pci), "%s", wanted.pci);
	snprintf(entry->remote, sizeof(entry->remote), "%s", wanted.remote);
	infini_info("device %u: %s (%s), backend %s, %llu MiB, %u slot%s", entry->id, entry->name,
		    wanted.description, backend, MIB(wanted.memory_bytes), wanted.slots,
		    wanted.slots == 1 ? "" : "s");
	return 0;
}

static void take_off_line(struct infini_roster *roster, struct infini_roster_device *device,
			  const char *why)
{
	infini_warn("device %u: %s goes off line: %s", device->id, device->name, why);
	infini_end_reason(device->fd, why);
	close(device->fd);
	*device = roster->devices[--roster->nr_devices];
}

void infini_roster_gone(struct infini_roster *roster, const char *name)
{
	const struct infini_roster_device *known = infini_roster_find_name(roster, name);

	if (known)
		take_off_line(roster, &roster->devices[known - roster->devices],
			      "its hardware is gone");
}

void infini_roster_lost(struct infini_roster *roster, const char *remote, const char *why)
{
	for (uint32_t i = roster->nr_devices; i > 0; i--) {
		if (!strcmp(roster->devices[i - 1].remote, remote))
			take_off_line(roster, &roster->devices[i - 1], why);
	}
}

bool infini_roster_has_remote(const struct infini_roster *roster, const char *remote)
{
	for (uint32_t i = 0; i < roster->nr_devices; i++) {
		if (!strcmp(roster->devices[i].remote, remote))
			return true;
	}
	return false;
}

/* A remote machine's device stands in a section of its own, and "devices" is about this machine's. */
static bool allowed(const struct infini_config *config, const struct infini_roster_device *device)
{
	const struct infini_config_backend *backend;

	if (device->remote[0])
		return infini_config_remote_find(config, device->remote);
	backend = infini_config_backend_find(config, device->backend);
	return backend && backend->enabled && infini_config_device_allowed(backend, device->name);
}

void infini_roster_filter(struct infini_roster *roster, const struct infini_config *config)
{
	struct infini_roster_device *device;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < roster->nr_devices; i++) {
		device = &roster->devices[i];
		if (allowed(config, device)) {
			roster->devices[kept++] = *device;
			continue;
		}
		infini_notice("device %u: %s goes off line, as configured", device->id,
			      device->name);
		close(device->fd);
	}
	roster->nr_devices = kept;
}

void infini_roster_clear(struct infini_roster *roster)
{
	for (uint32_t i = 0; i < roster->nr_devices; i++)
		close(roster->devices[i].fd);
	roster->nr_devices = 0;
}
