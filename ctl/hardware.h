/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What infinid has written down of this machine's hardware, which the module knows nothing of. */
#ifndef INFINI_CTL_HARDWARE_H
#define INFINI_CTL_HARDWARE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "infini-admin.h"
#include "units.h"

#define INFINI_HARDWARE_PATH	"/run/infini/inventory.json"

/**
 * struct infini_hardware - infinid's inventory
 * @path: of the file
 * @file: all of it, NULL when there is none
 * @nodes: its DRM and accel nodes, NULL like @file
 * @devices: what backends have reported, and @pools: names; NULL when it says nothing of them
 * @cpu: this machine's processor, likewise
 * @remotes: machines whose devices it offers here, or NULL
 * @time_s: when it was written
 * @running: infinid runs, so it is kept true
 */
struct infini_hardware {
	const char *path;
	struct json_object *file;
	struct json_object *nodes;
	struct json_object *devices;
	struct json_object *pools;
	struct json_object *cpu;
	struct json_object *remotes;
	int64_t time_s;
	bool running;
};

/* A file that is not there or cannot be read is an empty inventory. */
void infini_hardware_load(struct infini_hardware *hardware, const char *path);
void infini_hardware_free(struct infini_hardware *hardware);

/* Say on standard error what is wrong with it, if anything. */
void infini_hardware_note(const struct infini_hardware *hardware);

/* ---- a registered device ---- */

/* Its node, or NULL. */
struct json_object *infini_hardware_of(const struct infini_hardware *hardware, const char *device);
/* All of it into @object, a device for --json: "vendor", "pools", "why", "hardware". */
void infini_hardware_json_add(const struct infini_hardware *hardware,
			      const struct infini_admin_device *device, struct json_object *object);

/* Who made it, the number by which PCI knows it, why it is of no use: NULL when that is not known. */
const char *infini_hardware_vendor(const struct infini_hardware *hardware,
				   const struct infini_admin_device *device);
const char *infini_hardware_pci_id(const struct infini_hardware *hardware, const char *device);
const char *infini_hardware_why(const struct infini_hardware *hardware, const char *device);
/* Names between blanks, of its pools and of all there are, for the caller to free; or NULL. */
char *infini_hardware_pools(const struct infini_hardware *hardware, const char *device);
char *infini_hardware_all_pools(const struct infini_hardware *hardware);

/* Whether a node has this address, which may be NULL. */
bool infini_hardware_has_node(const struct infini_hardware *hardware, const char *pci);

/* ---- what backends have found ---- */

struct infini_hardware_found {
	const char *device, *backend, *pci, *why;
};

size_t infini_hardware_nr_found(const struct infini_hardware *hardware);
/* True when the @i-th is of no use, and then why. Only its address may be NULL. */
bool infini_hardware_useless(const struct infini_hardware *hardware, size_t i,
			     struct infini_hardware_found *found);

/* ---- a node ---- */

/* A member of a node as people read it, "-" where it is not known. @node may be NULL. */
const char *infini_hardware_text(struct json_object *node, const char *key);
struct infini_text infini_hardware_memory(struct json_object *node);
struct infini_text infini_hardware_utilisation(struct json_object *node);
struct infini_text infini_hardware_temperature(struct json_object *node);
struct infini_text infini_hardware_power(struct json_object *node);

#endif /* INFINI_CTL_HARDWARE_H */
