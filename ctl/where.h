/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a new vdev goes: on the device that was named, or on the best of those that were described. */
#ifndef INFINI_CTL_WHERE_H
#define INFINI_CTL_WHERE_H

#include <json-c/json.h>
#include <stdio.h>

#include "ctl.h"
#include "hardware.h"
#include "placement.h"

/* The options about it, of "vdev create" and "run". */
struct infini_where_words {
	const char *device;
	const char *device_class, *backend, *vendor, *pool, *kind;
	const char *inventory;
	bool spread, pack;
};

#define INFINI_WHERE_OPTIONS						\
	{ "device", required_argument, NULL, 'd' },			\
	{ "backend", required_argument, NULL, 'B' },			\
	{ "vendor", required_argument, NULL, 'V' },			\
	{ "pool", required_argument, NULL, 'P' },			\
	{ "memory-kind", required_argument, NULL, 'k' },		\
	{ "spread", no_argument, NULL, 'S' },				\
	{ "pack", no_argument, NULL, 'p' },				\
	{ "inventory", required_argument, NULL, 'i' }

#define INFINI_WHERE_HELP						\
	"  --device DEVICE       where (not needed when there is only one device), or:\n" \
	"  --class CLASS         on a device of this class: gpu, npu, cpu, other, any; a second\n" \
	"                        --class says who goes before whom, see below\n" \
	"  --backend BACKEND     that this backend drives, for its programs: ggml, opencl\n" \
	"  --vendor VENDOR       whose vendor has this in its name, or this PCI id: amd, 1002,\n" \
	"                        1002:744c; where no vendor is known the description is searched\n" \
	"  --pool POOL           of this pool of infinid.conf\n"	\
	"  --memory-kind KIND    with memory that is unified (the host's) or discrete (its own)\n" \
	"  --spread              of those that fit the emptiest (default); --pack: the fullest.\n" \
	"                        What counts is the part of memory or of time (floors) that is\n" \
	"                        promised, the larger of both, then vdevs, then the name\n" \
	"  --inventory FILE      another file than " INFINI_HARDWARE_PATH ", in which\n" \
	"                        infinid writes what it knows of vendors and pools\n"

/**
 * struct infini_where - devices in the order in which the module is asked
 * @devices: as the module told them
 * @hardware: what infinid knows of them
 * @request: what was described; of no meaning when a device was named
 * @candidates: in order; the first @nr_fit may be asked for
 * @sentences: of the module, to each that it refused
 * @at: of the one that took the vdev
 * @named: the device was named, so that there is no other
 * @judged: it was not, and @candidates say what there is to say
 */
struct infini_where {
	struct infini_devices devices;
	struct infini_hardware hardware;
	struct infini_placement_request request;
	struct infini_placement_candidate *candidates;
	char (*sentences)[128];
	size_t nr, nr_fit, at;
	bool named;
	bool judged;
};

/* True when @option was one of them; "--class" is for a class of devices only. */
bool infini_where_option(struct infini_where_words *words, int option, const char *word);

/*
 * Connect and find where vdev @name may go; @config must say how much memory. When it is nowhere,
 * that is printed with a line for each device. The caller frees @where in any case.
 */
int infini_where_find(struct infini_ctl *ctl, const char *name, const struct infini_where_words *words,
		      const struct infini_admin_vdev_config *config, struct infini_where *where);
void infini_where_free(struct infini_where *where);

/* The device that took the vdev; before, the one to ask first. */
const struct infini_admin_device *infini_where_device(const struct infini_where *where);

/*
 * Make vdev @name: another may have been quicker, so the module is asked for one device after the
 * other.
 */
int infini_where_make(struct infini_ctl *ctl, const char *name,
		      const struct infini_admin_vdev_config *config, struct infini_where *where,
		      uint32_t *id);

/* where-why.c: words */
/* What was described: "gpu of pool lab with 4G free", in @text. */
const char *infini_where_noun(const struct infini_where *where, bool many, char *text, size_t size);
/* Why not on @c, or when it fits how full it would be. */
void infini_where_why(const struct infini_where *where, const struct infini_placement_candidate *c,
		      FILE *out);
/* One line: why there, and why not on the others. Nothing when the device was named. */
void infini_where_print(const struct infini_where *where, const char *head, FILE *out);
struct json_object *infini_where_json(const struct infini_where *where);

#endif /* INFINI_CTL_WHERE_H */
