/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What infinid has written down of this machine's hardware, which the module knows nothing of. */
#ifndef INFINI_CTL_HARDWARE_H
#define INFINI_CTL_HARDWARE_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "units.h"

#define INFINI_HARDWARE_PATH	"/run/infini/inventory.json"

/**
 * struct infini_hardware - infinid's inventory
 * @path: of the file
 * @file: all of it, NULL when there is none
 * @nodes: its DRM and accel nodes, NULL like @file
 * @time_s: when it was written
 * @running: infinid runs, so it is kept true
 */
struct infini_hardware {
	const char *path;
	struct json_object *file;
	struct json_object *nodes;
	int64_t time_s;
	bool running;
};

/* A file that is not there or cannot be read is an empty inventory. */
void infini_hardware_load(struct infini_hardware *hardware, const char *path);
void infini_hardware_free(struct infini_hardware *hardware);

/* Say on standard error what is wrong with it, if anything. */
void infini_hardware_note(const struct infini_hardware *hardware);

/* The node of a registered device, or NULL. */
struct json_object *infini_hardware_of(const struct infini_hardware *hardware, const char *device);
/* The same for --json, with the time it is of: a reference for the caller, or NULL. */
struct json_object *infini_hardware_json(const struct infini_hardware *hardware,
					 const char *device);

/* A member of a node as people read it, "-" where it is not known. @node may be NULL. */
const char *infini_hardware_text(struct json_object *node, const char *key);
struct infini_text infini_hardware_memory(struct json_object *node);
struct infini_text infini_hardware_utilisation(struct json_object *node);
struct infini_text infini_hardware_temperature(struct json_object *node);
struct infini_text infini_hardware_power(struct json_object *node);

#endif /* INFINI_CTL_HARDWARE_H */
