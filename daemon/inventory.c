// SPDX-License-Identifier: GPL-2.0-or-later
/* The nodes there are, and whose devices they are. */
#include "inventory.h"

#include "log.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xf86drm.h>

struct list {
	const struct infini_inventory_where *where;
	uint32_t nr_nodes;
	struct infini_inventory_node *nodes;
};

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static struct infini_inventory_node *find(struct infini_inventory_node *nodes, uint32_t nr,
					  const char *name)
{
	for (uint32_t i = 0; i < nr; i++) {
		if (!strcmp(nodes[i].node, name))
			return &nodes[i];
	}
	return NULL;
}

/* ---- finding nodes ----------------------------------------------------------------- */

/* Of the object in sysfs: its number is never given twice. */
static uint64_t identity(const struct infini_inventory_where *where,
			 const struct infini_inventory_node *node)
{
	char path[PATH_MAX];
	struct stat info;

	snprintf(path, sizeof(path), "%s/class/%s/%s", where->sysfs,
		 node->accel ? "accel" : "drm", base(node->node));
	return stat(path, &info) ? 0 : info.st_ino;
}

static void add(struct list *list, const char *name, bool accel, const char *pci)
{
	struct infini_inventory_node *node;

	if (find(list->nodes, list->nr_nodes, name))
		return;
	if (list->nr_nodes == INFINI_INVENTORY_NODES_MAX) {
		infini_warn("%s is left out of the inventory: more than %d nodes", name,
			    INFINI_INVENTORY_NODES_MAX);
		return;
	}
	node = &list->nodes[list->nr_nodes++];
	*node = (struct infini_inventory_node){ .accel = accel };
	snprintf(node->node, sizeof(node->node), "%s", name);
	snprintf(node->pci, sizeof(node->pci), "%s", pci);
	node->identity = identity(list->where, node);
}

static void add_drm(struct list *list, const drmDevice *device)
{
	const drmPciBusInfo *bus = device->businfo.pci;
	char pci[INFINI_PCI_BYTES] = "";

	if (!(device->available_nodes & 1 << DRM_NODE_RENDER))
		return;
	if (device->bustype == DRM_BUS_PCI)
		snprintf(pci, sizeof(pci), "%04x:%02x:%02x.%x", bus->domain, bus->bus, bus->dev,
			 bus->func);
	add(list, device->nodes[DRM_NODE_RENDER], false, pci);
}

/* A machine without any is one where libdrm finds no folder; that is no error. */
static int list_drm(struct list *list)
{
	int nr = drmGetDevices2(0, NULL, 0);
	drmDevicePtr *devices;

	if (nr <= 0)
		return 0;
	devices = calloc((size_t)nr, sizeof(*devices));
	if (!devices)
		return -ENOMEM;
	nr = drmGetDevices2(0, devices, nr);
	for (int i = 0; i < nr; i++)
		add_drm(list, devices[i]);
	if (nr > 0)
		drmFreeDevices(devices, nr);
	free(devices);
	return 0;
}

/* What libdrm does not list: accelerators that are no GPUs, and buses that it does not know. */
static int list_class(struct list *list, const char *pattern, const char *folder, bool accel)
{
	char path[PATH_MAX];
	glob_t found;
	int ret;

	snprintf(path, sizeof(path), "%s/class/%s", list->where->sysfs, pattern);
	ret = glob(path, 0, NULL, &found);
	if (ret)
		return ret == GLOB_NOSPACE ? -ENOMEM : 0;
	for (size_t i = 0; i < found.gl_pathc; i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", list->where->dev, folder,
			 base(found.gl_pathv[i]));
		add(list, path, accel, "");
	}
	globfree(&found);
	return 0;
}

static bool same(const struct infini_inventory_node *a, const struct infini_inventory_node *b)
{
	return a && !strcmp(a->node, b->node) && a->identity == b->identity;
}

static void tell(const struct infini_inventory_node *node)
{
	infini_info("%s: %s%s%s, driver %s%s%s", node->node,
		    node->model[0] ? node->model : "unknown hardware", node->pci[0] ? " at " : "",
		    node->pci, node->driver[0] ? node->driver : "unknown",
		    node->version[0] ? " " : "", node->version);
}

int infini_inventory_scan(struct infini_inventory *inventory,
			  const struct infini_inventory_where *where, infini_inventory_fn gone,
			  infini_inventory_fn come, void *arg)
{
	struct infini_inventory_node *known;
	struct list list = { .where = where };
	int ret;

	infini_inventory_cpu_read(&inventory->cpu, where);
	list.nodes = calloc(INFINI_INVENTORY_NODES_MAX, sizeof(*list.nodes));
	if (!list.nodes)
		return -ENOMEM;
	ret = list_drm(&list);
	if (!ret)
		ret = list_class(&list, "drm/renderD*", "dri", false);
	if (!ret)
		ret = list_class(&list, "accel/accel[0-9]*", "accel", true);
	if (ret)
		goto out;
	for (uint32_t i = 0; i < inventory->nr_nodes; i++) {
		known = &inventory->nodes[i];
		if (same(find(list.nodes, list.nr_nodes, known->node), known))
			continue;
		infini_info("%s is gone", known->node);
		gone(known, arg);
	}
	for (uint32_t i = 0; i < list.nr_nodes; i++) {
		known = find(inventory->nodes, inventory->nr_nodes, list.nodes[i].node);
		if (same(known, &list.nodes[i])) {
			list.nodes[i] = *known;
			continue;
		}
		infini_inventory_node_read(&list.nodes[i], where);
		tell(&list.nodes[i]);
		come(&list.nodes[i], arg);
	}
	memcpy(inventory->nodes, list.nodes, list.nr_nodes * sizeof(*list.nodes));
	inventory->nr_nodes = list.nr_nodes;
out:
	free(list.nodes);
	return ret;
}

/* ---- what backends make of it ------------------------------------------------------ */

static struct infini_inventory_backend *find_backend(struct infini_inventory *inventory,
						     const char *name)
{
	for (uint32_t i = 0; i < inventory->nr_backends; i++) {
		if (!strcmp(inventory->backends[i].name, name))
			return &inventory->backends[i];
	}
	return NULL;
}

static void forget_claims(struct infini_inventory *inventory, const char *backend)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < inventory->nr_claims; i++) {
		if (strcmp(inventory->claims[i].backend, backend))
			inventory->claims[kept++] = inventory->claims[i];
	}
	inventory->nr_claims = kept;
}

void infini_inventory_backend(struct infini_inventory *inventory, const char *backend,
			      const char *why)
{
	struct infini_inventory_backend *entry = find_backend(inventory, backend);
	size_t length = strlen(backend);

	/* "backend NAME: ..." is how the log begins. */
	if (!strncmp(why, "backend ", 8) && !strncmp(why + 8, backend, length) &&
	    !strncmp(why + 8 + length, ": ", 2))
		why += 8 + length + 2;
	if (!entry && inventory->nr_backends < INFINI_CONFIG_BACKENDS_MAX)
		entry = &inventory->backends[inventory->nr_backends++];
	if (!entry)
		return;
	snprintf(entry->name, sizeof(entry->name), "%s", backend);
	snprintf(entry->why, sizeof(entry->why), "%s", why);
}

void infini_inventory_ask(struct infini_inventory *inventory, const char *backend)
{
	forget_claims(inventory, backend);
	infini_inventory_backend(inventory, backend, "");
}

void infini_inventory_filter(struct infini_inventory *inventory,
			     const struct infini_config *config)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < inventory->nr_backends; i++) {
		if (infini_config_backend_find(config, inventory->backends[i].name))
			inventory->backends[kept++] = inventory->backends[i];
		else
			forget_claims(inventory, inventory->backends[i].name);
	}
	inventory->nr_backends = kept;
}

void infini_inventory_claim(struct infini_inventory *inventory, const char *backend,
			    const char *device, const char *pci, const char *why)
{
	struct infini_inventory_claim *claim = inventory->claims;

	for (; claim < inventory->claims + inventory->nr_claims; claim++) {
		if (!strcmp(claim->device, device) && !strcmp(claim->backend, backend))
			return;
	}
	if (inventory->nr_claims == INFINI_INVENTORY_CLAIMS_MAX)
		return;
	inventory->nr_claims++;
	snprintf(claim->device, sizeof(claim->device), "%s", device);
	snprintf(claim->backend, sizeof(claim->backend), "%s", backend);
	snprintf(claim->pci, sizeof(claim->pci), "%s", pci);
	snprintf(claim->why, sizeof(claim->why), "%s", why);
}

const struct infini_inventory_claim *
infini_inventory_claim_of(const struct infini_inventory *inventory,
			  const struct infini_inventory_node *node)
{
	const struct infini_inventory_claim *claim, *refused = NULL;

	for (uint32_t i = 0; node->pci[0] && i < inventory->nr_claims; i++) {
		claim = &inventory->claims[i];
		if (strcmp(claim->pci, node->pci))
			continue;
		if (!claim->why[0])
			return claim;
		refused = refused ? refused : claim;
	}
	return refused;
}

/* A node on another bus may be a device that is on line: who knows. */
static void nobody_drives_it(const struct infini_inventory *inventory,
			     const struct infini_inventory_node *node, FILE *out)
{
	const struct infini_inventory_backend *backend;
	const char *between = ": ";

	fputs(node->pci[0] ? "no backend drives it" :
			     "on no PCI bus, by which backends tell their devices", out);
	for (uint32_t i = 0; i < inventory->nr_backends; i++) {
		backend = &inventory->backends[i];
		if (!node->pci[0] && !backend->why[0])
			continue;
		fprintf(out, "%s%s: ", between, backend->name);
		if (backend->why[0])
			fputs(backend->why, out);
		else
			fprintf(out, "no device at %s", node->pci);
		between = "; ";
	}
	if (!inventory->nr_backends)
		fputs(": none is configured", out);
}

void infini_inventory_why(const struct infini_inventory *inventory,
			  const struct infini_inventory_node *node, char *text, size_t bytes)
{
	const struct infini_inventory_claim *claim = infini_inventory_claim_of(inventory, node);
	FILE *out = fmemopen(text, bytes, "w");

	text[0] = '\0';
	if (!out)
		return;
	if (claim)
		fputs(claim->why, out);
	else if (node->error == -EACCES || node->error == -EPERM)
		fprintf(out, "no permission: %s", strerror(-node->error));
	else if (node->error)
		fprintf(out, "cannot be opened: %s", strerror(-node->error));
	else
		nobody_drives_it(inventory, node, out);
	fclose(out);
	text[bytes - 1] = '\0';
}
