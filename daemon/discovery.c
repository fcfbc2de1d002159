// SPDX-License-Identifier: GPL-2.0-or-later
/* Devices the supervisor offers: this machine's backends are asked, and other machines. */
#include "discovery.h"

#include "log.h"
#include "metering.h"
#include "notify.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>

/* ---- this machine's --------------------------------------------------------------- */

/* What a backend reports, for the inventory; an address of the operator's where it has none. */
static void claim(struct supervisor *s, const char *backend, const char *name, const char *pci,
		  const char *why)
{
	const struct infini_config_device *config = infini_config_device_find(s->config, name);

	infini_inventory_claim(&s->hardware.inventory, backend, name, !pci[0] && config ? config->pci : pci,
			       why);
}

/* What it uses is measured over there. */
static void add_remote_device(struct supervisor *s, const char *backend,
			      const struct infini_backend_device *device)
{
	const struct infini_roster_device *known = infini_roster_find_name(&s->roster, device->name);

	if (known && strcmp(known->remote, device->remote))
		infini_warn("remote machine %s: its device %s is left out: another device has that "
			    "name", device->remote, device->name);
	else if (!infini_roster_add(&s->roster, s->control_fd, s->config, backend, device))
		claim(s, backend, device->name, device->pci, "");
}

/* ggml numbers devices anew when one comes or goes: one that stands here keeps its name. */
static void add_device(struct supervisor *s, const char *backend,
		       const struct infini_backend_device *device)
{
	const struct infini_roster_device *known;
	const char *name = device->name;
	char why[INFINI_INVENTORY_WHY_BYTES] = "";
	bool is_new;
	int ret;

	if (device->remote[0]) {
		add_remote_device(s, backend, device);
		return;
	}
	known = infini_roster_find_pci(&s->roster, backend, device->pci);
	if (known && strcmp(known->name, name)) {
		infini_roster_confirm(&s->roster, known->name);
		claim(s, backend, known->name, device->pci, "");
		return;
	}
	known = infini_roster_find_name(&s->roster, name);
	is_new = !known || known->inherited;
	if (known && !strcmp(known->backend, backend) &&
	    (known->remote[0] || (!is_new && strcmp(known->pci, device->pci)))) {
		snprintf(why, sizeof(why), "its name %s is that of another device until infinid "
			 "starts again", name);
		infini_warn("the device %s is left out: %s", device->pci[0] ? device->pci : name,
			    why);
	} else {
		ret = infini_roster_add(&s->roster, s->control_fd, s->config, backend, device);
		if (ret)
			snprintf(why, sizeof(why), "the module does not take device %s: %s", name,
				 strerror(-ret));
		else if (is_new)
			infini_metering_add(s, device);
	}
	claim(s, backend, name, device->pci, why);
}

static void leave_out(struct supervisor *s, const char *backend,
		      const struct infini_backend_device *device)
{
	char why[INFINI_INVENTORY_WHY_BYTES];

	infini_info("device %s is left out, as configured", device->name);
	snprintf(why, sizeof(why), "\"devices\" under [backend %s] leaves %s out", backend,
		 device->name);
	claim(s, backend, device->name, device->pci, why);
}

static int found_device(const struct infini_backend_device *device, void *arg)
{
	struct supervisor *s = arg;
	const struct infini_config_backend *backend = NULL;
	const struct infini_probe *probe;

	for (unsigned int i = 0; i < INFINI_CONFIG_BACKENDS_MAX; i++) {
		probe = &s->probes[i];
		if (probe->pid && device == &probe->report.device)
			backend = infini_config_backend_find(s->config, probe->backend);
	}
	if (!backend || !backend->enabled)
		return 0;
	if (infini_config_device_allowed(backend, device->name))
		add_device(s, backend->name, device);
	else
		leave_out(s, backend->name, device);
	return 0;
}

/* One that its backend does not report any more is on line all the same. */
static void claim_roster(struct supervisor *s)
{
	const struct infini_roster_device *device = s->roster.devices;

	for (; device < s->roster.devices + s->roster.nr_devices; device++)
		claim(s, device->backend, device->name, device->pci, "");
}

static void probes_done(struct supervisor *s)
{
	if (s->stopping)
		return;
	claim_roster(s);
	infini_inventory_watch_write(&s->hardware);
	if (!s->roster.nr_devices && !s->remotes.nr_remotes)
		infini_warn("no device found; see [backend NAME] in the configuration");
	s->rescan_ns = 0;
	if (!s->ready) {
		s->ready = true;
		infini_notify("READY=1\nSTATUS=%u devices\n", s->roster.nr_devices);
		infini_info("ready: %u device%s", s->roster.nr_devices,
			    s->roster.nr_devices == 1 ? "" : "s");
		if (s->setup->ready)
			s->setup->ready(s->setup->arg);
	} else if (s->reloading) {
		infini_notify("READY=1\nSTATUS=%u devices\n", s->roster.nr_devices);
	}
	s->reloading = false;
}

static void end_probe(struct supervisor *s, struct infini_probe *probe)
{
	/* Closing is not enough: a child that was just forked may hold a copy for a moment. */
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, probe->fd, NULL);
	infini_inventory_backend(&s->hardware.inventory, probe->backend, probe->why);
	/* One that failed has told nothing of devices. */
	if (!probe->why[0])
		infini_roster_settle(&s->roster, probe->backend);
	infini_probe_end(probe);
	if (!--s->nr_probes)
		probes_done(s);
}

void infini_discovery_read(struct supervisor *s, struct infini_probe *probe)
{
	if (probe->pid && infini_probe_read(probe, found_device, s))
		end_probe(s, probe);
}

static struct infini_probe *free_probe(struct supervisor *s)
{
	for (unsigned int i = 0; i < INFINI_CONFIG_BACKENDS_MAX; i++) {
		if (!s->probes[i].pid)
			return &s->probes[i];
	}
	return NULL;
}

static int start_probe(struct supervisor *s, const char *backend)
{
	struct infini_probe *probe = free_probe(s);
	int ret;

	if (!probe)
		return -EBUSY;
	ret = infini_probe_start(probe, s->config, backend);
	if (ret)
		return ret;
	ret = infini_supervisor_watch(s, probe->fd, SOURCE_PROBES + (uint32_t)(probe - s->probes));
	if (ret)
		infini_probe_end(probe);
	else
		s->nr_probes++;
	return ret;
}

void infini_discovery_start(struct supervisor *s)
{
	const struct infini_config_backend *backend;
	int ret;

	s->hardware.came = false;
	infini_inventory_filter(&s->hardware.inventory, s->config);
	for (uint32_t i = 0; i < s->config->nr_backends; i++) {
		backend = &s->config->backends[i];
		infini_inventory_ask(&s->hardware.inventory, backend->name);
		if (!backend->enabled) {
			infini_inventory_backend(&s->hardware.inventory, backend->name,
						 "disabled in the configuration");
			continue;
		}
		ret = start_probe(s, backend->name);
		if (!ret)
			continue;
		infini_err("cannot probe backend %s: %s", backend->name, strerror(-ret));
		infini_inventory_backend(&s->hardware.inventory, backend->name, strerror(-ret));
	}
	if (!s->nr_probes)
		probes_done(s);
}

/* Not a worker, so a probe, whose report may have been read to its end already. */
void infini_discovery_reap(struct supervisor *s, pid_t pid, int status)
{
	struct infini_probe *probe = NULL;

	for (unsigned int i = 0; i < INFINI_CONFIG_BACKENDS_MAX; i++) {
		if (s->probes[i].pid == pid)
			probe = &s->probes[i];
	}
	/* Who was killed and is not known was between infinid and a worker that was to be. */
	if (WIFSIGNALED(status) && (probe || WTERMSIG(status) != SIGKILL))
		infini_err("backend %s: its probe was killed by SIG%s%s",
			   probe ? probe->backend : "unknown", sigabbrev_np(WTERMSIG(status)),
			   WTERMSIG(status) == SIGALRM ? ": it took too long" : "");
	if (!probe)
		return;
	infini_probe_read(probe, found_device, s);
	end_probe(s, probe);
}

/* ---- other machines' --------------------------------------------------------------- */

static int found_remote_device(const struct infini_backend_device *device, void *arg)
{
	struct supervisor *s = arg;

	add_remote_device(s, INFINI_REMOTE_BACKEND, device);
	/* Its vdevs may have waited for it. */
	s->rescan_ns = 0;
	return 0;
}

static int listen_to_remote(struct infini_remote *remote, void *arg)
{
	struct supervisor *s = arg;

	return infini_supervisor_watch(s, remote->probe.fd, SOURCE_REMOTES + (uint32_t)(remote - s->remotes.remotes));
}

static void write_remotes(struct supervisor *s)
{
	bool changed = infini_remotes_list(&s->remotes, s->config, &s->hardware.inventory);

	/* While this machine's backends are asked, the rest of it is not true. */
	if (changed && !s->nr_probes)
		infini_inventory_watch_write(&s->hardware);
}

void infini_discovery_start_remotes(struct supervisor *s)
{
	infini_remotes_start(&s->remotes, s->config, &s->roster, &s->crew, listen_to_remote, s);
	write_remotes(s);
}

static void end_remote(struct supervisor *s, struct infini_remote *remote)
{
	epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, remote->probe.fd, NULL);
	infini_remotes_end(remote, s->config, &s->roster);
	write_remotes(s);
}

void infini_discovery_read_remote(struct supervisor *s, struct infini_remote *remote)
{
	if (remote->probe.pid && infini_probe_read(&remote->probe, found_remote_device, s))
		end_remote(s, remote);
}

bool infini_discovery_reap_remote(struct supervisor *s, pid_t pid)
{
	struct infini_remote *remote = s->remotes.remotes;

	for (; remote < s->remotes.remotes + s->remotes.nr_remotes; remote++) {
		if (remote->probe.pid != pid)
			continue;
		infini_probe_read(&remote->probe, found_remote_device, s);
		end_remote(s, remote);
		return true;
	}
	return false;
}

void infini_discovery_stop(struct supervisor *s)
{
	for (unsigned int i = 0; i < INFINI_CONFIG_BACKENDS_MAX; i++) {
		if (!s->probes[i].pid)
			continue;
		kill(s->probes[i].pid, SIGKILL);
		waitpid(s->probes[i].pid, NULL, 0);
		infini_probe_end(&s->probes[i]);
	}
	infini_remotes_stop(&s->remotes);
}
