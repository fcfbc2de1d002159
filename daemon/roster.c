// SPDX-License-Identifier: GPL-2.0-or-later
/* The devices this daemon has registered with the module, and keeps online. */
#include "roster.h"

#include "clock.h"
#include "log.h"

#include <errno.h>
#include <infini.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* In which a service manager closes what it has let go of. */
#define CLOSE_NS	(5 * INFINI_NS_PER_S)
#define MIB(bytes)	((unsigned long long)(bytes) >> 20)

/* nr_devices when there is none. */
static uint32_t index_of(const struct infini_roster *roster, const char *name)
{
	uint32_t i = 0;

	while (i < roster->nr_devices && strcmp(roster->devices[i].name, name))
		i++;
	return i;
}

static struct infini_roster_device *find_name(struct infini_roster *roster, const char *name)
{
	uint32_t i = index_of(roster, name);

	return i < roster->nr_devices ? &roster->devices[i] : NULL;
}

const struct infini_roster_device *infini_roster_find_name(const struct infini_roster *roster,
							   const char *name)
{
	uint32_t i = index_of(roster, name);

	return i < roster->nr_devices ? &roster->devices[i] : NULL;
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
		infini_notice("device %s: its new memory or slots count once it has been off line",
			      known->name);
}

static bool same_kinds(const struct infini_roster_device *known,
		       const struct infini_backend_device *wanted)
{
	if (known->nr_kinds != wanted->nr_kinds)
		return false;
	for (uint32_t i = 0; i < known->nr_kinds; i++) {
		if (strncmp((const char *)known->kinds[i].name, (const char *)wanted->kinds[i].name,
			    sizeof(known->kinds[i].name)) ||
		    known->kinds[i].flags != wanted->kinds[i].flags ||
		    known->kinds[i].alignment != wanted->kinds[i].alignment)
			return false;
	}
	return true;
}

/*
 * What a device has become that an earlier supervisor registered, or NULL. What a backend says of memory
 * may change by itself, as in a virtual machine; what the operator says may not.
 */
static const char *difference(const struct infini_roster_device *known,
			      const struct infini_config *config,
			      const struct infini_backend_device *wanted)
{
	const struct infini_config_device *override = infini_config_device_find(config, wanted->name);

	if (known->pci[0] && strcmp(known->pci, wanted->pci))
		return "its name is that of other hardware now";
	if (known->slots != wanted->slots)
		return "it has another number of slots now";
	if (override && override->memory_bytes && known->memory_bytes != wanted->memory_bytes)
		return "its memory is configured otherwise now";
	if (!same_kinds(known, wanted))
		return "its kinds of memory are others now";
	return NULL;
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

/* Its name is free when the service manager has closed its copy, which it may put off a little. */
static int register_again(int control_fd, const char *backend,
			  const struct infini_backend_device *device,
			  struct infini_device_register *reg)
{
	const struct timespec pause = { .tv_nsec = 20 * INFINI_NS_PER_MS };
	int64_t until = infini_clock_ns() + CLOSE_NS;
	int ret;

	while ((ret = do_register(control_fd, backend, device, reg)) == -EEXIST &&
	       infini_clock_ns() < until)
		nanosleep(&pause, NULL);
	return ret;
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

static void end(struct infini_roster *roster, struct infini_roster_device *device, const char *why,
		int (*let_go)(const char *name))
{
	int ret;

	infini_warn("device %u: %s goes off line: %s", device->id, device->name, why);
	infini_end_reason(device->fd, why);
	ret = let_go(device->kept_as);
	if (ret)
		infini_warn("device %s: the service manager does not let go of it: %s", device->name,
			    strerror(-ret));
	close(device->fd);
	*device = roster->devices[--roster->nr_devices];
}

/* As the module lets go of it: at once, or when the service manager has let go of it. */
static void take_off_line(struct infini_roster *roster, struct infini_roster_device *device,
			  const char *why)
{
	end(roster, device, why, infini_fdstore_forget);
}

/* Without it a later supervisor has to do without the device's clients. */
static void keep(struct infini_roster_device *entry)
{
	char name[INFINI_FDSTORE_NAME_BYTES], pci[INFINI_PCI_BYTES], *colon;
	int ret;

	/* Service managers separate names by colons. */
	snprintf(pci, sizeof(pci), "%s", entry->pci);
	while ((colon = strchr(pci, ':')))
		*colon = '/';
	snprintf(name, sizeof(name), "device name=%s needs=%u pci=%s remote=%s", entry->name,
		 entry->needs, pci, entry->remote);
	memcpy(entry->kept_as, name, sizeof(name));
	ret = infini_fdstore_put(entry->kept_as, entry->fd);
	if (ret)
		infini_warn("device %s: the service manager does not keep it: %s", entry->name,
			    strerror(-ret));
}

/* Whether a device that an earlier supervisor registered is the one that is reported now. */
static bool still_the_same(struct infini_roster *roster, struct infini_roster_device *known,
			   const struct infini_config *config,
			   const struct infini_backend_device *wanted)
{
	const char *why = difference(known, config, wanted);

	if (why) {
		end(roster, known, why, infini_fdstore_remove);
		return false;
	}
	known->inherited = false;
	known->needs = wanted->needs;
	known->forks = wanted->forks;
	memcpy(known->library, wanted->library, sizeof(known->library));
	return true;
}

/* Two backends may report one name: which answers first this time must not take a device off line. */
static bool is_of_another(const struct infini_roster_device *known, const char *backend,
			  const struct infini_backend_device *wanted)
{
	return strcmp(known->backend, backend) || strcmp(known->remote, wanted->remote);
}

int infini_roster_add(struct infini_roster *roster, int control_fd,
		      const struct infini_config *config, const char *backend,
		      const struct infini_backend_device *device)
{
	const struct infini_backend_device wanted = configured(config, device);
	struct infini_roster_device *known = find_name(roster, device->name), *entry;
	struct infini_device_register reg;
	int ret;

	if (known && known->inherited && is_of_another(known, backend, &wanted)) {
		infini_info("device %s is left to backend %s, which has it since an earlier infinid",
			    known->name, known->backend);
		return 0;
	}
	if (known && (!known->inherited || still_the_same(roster, known, config, &wanted))) {
		note_change(known, &wanted);
		return 0;
	}
	if (roster->nr_devices == INFINI_CONFIG_DEVICES_MAX) {
		infini_err("device %s: more than %d devices", wanted.name,
			   INFINI_CONFIG_DEVICES_MAX);
		return -ENOSPC;
	}
	ret = (known ? register_again : do_register)(control_fd, backend, &wanted, &reg);
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
		.forks = wanted.forks,
		.memory_bytes = wanted.memory_bytes,
		.nr_kinds = wanted.nr_kinds,
	};
	snprintf(entry->name, sizeof(entry->name), "%s", wanted.name);
	snprintf(entry->backend, sizeof(entry->backend), "%s", backend);
	snprintf(entry->pci, sizeof(entry->pci), "%s", wanted.pci);
	snprintf(entry->remote, sizeof(entry->remote), "%s", wanted.remote);
	memcpy(entry->library, wanted.library, sizeof(entry->library));
	memcpy(entry->kinds, wanted.kinds, sizeof(entry->kinds));
	keep(entry);
	infini_info("device %u: %s (%s), backend %s, %llu MiB, %u slot%s", entry->id, entry->name,
		    wanted.description, backend, MIB(wanted.memory_bytes), wanted.slots,
		    wanted.slots == 1 ? "" : "s");
	return 0;
}

bool infini_roster_inherit(struct infini_roster *roster, const struct infini_fdstore_file *file,
			   const struct infini_admin_device *device)
{
	struct infini_roster_device *entry = &roster->devices[roster->nr_devices];
	char *slash;

	if (roster->nr_devices == INFINI_CONFIG_DEVICES_MAX ||
	    infini_roster_find_name(roster, device->name))
		return false;
	*entry = (struct infini_roster_device){
		.fd = file->fd,
		.id = device->id,
		.device_class = device->device_class,
		.slots = device->slots,
		.memory_bytes = device->memory_bytes,
		.inherited = true,
		.nr_kinds = device->nr_kinds,
	};
	snprintf(entry->name, sizeof(entry->name), "%s", device->name);
	snprintf(entry->backend, sizeof(entry->backend), "%s", device->backend);
	snprintf(entry->kept_as, sizeof(entry->kept_as), "%s", file->name);
	memcpy(entry->kinds, device->kinds, sizeof(entry->kinds));
	infini_fdstore_number(file->name, "needs", &entry->needs);
	infini_fdstore_text(file->name, "pci", entry->pci, sizeof(entry->pci));
	infini_fdstore_text(file->name, "remote", entry->remote, sizeof(entry->remote));
	while ((slash = strchr(entry->pci, '/')))
		*slash = ':';
	roster->nr_devices++;
	infini_info("device %u: %s (%s), backend %s, is on line since an earlier infinid", entry->id,
		    entry->name, device->description, entry->backend);
	return true;
}

void infini_roster_confirm(struct infini_roster *roster, const char *name)
{
	struct infini_roster_device *device = find_name(roster, name);

	if (device)
		device->inherited = false;
}

void infini_roster_settle(struct infini_roster *roster, const char *backend)
{
	struct infini_roster_device *device;

	for (uint32_t i = roster->nr_devices; i > 0; i--) {
		device = &roster->devices[i - 1];
		/* Another machine's may have one client at a time, which is not asked. */
		if (device->inherited && !device->remote[0] && !strcmp(device->backend, backend))
			take_off_line(roster, device, "its backend does not report it any more");
	}
}

void infini_roster_gone(struct infini_roster *roster, const char *name)
{
	struct infini_roster_device *known = find_name(roster, name);

	if (known)
		take_off_line(roster, known, "its hardware is gone");
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
	for (uint32_t i = roster->nr_devices; i > 0; i--) {
		if (!allowed(config, &roster->devices[i - 1]))
			take_off_line(roster, &roster->devices[i - 1], "as configured");
	}
}

void infini_roster_clear(struct infini_roster *roster)
{
	for (uint32_t i = 0; i < roster->nr_devices; i++)
		close(roster->devices[i].fd);
	roster->nr_devices = 0;
}
