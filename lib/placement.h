/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where a new vdev may go: of all devices those that fit, the one to ask for first in front, and of
 * each other the reason. What is known comes in as an argument and nothing is changed, so that the
 * same request and the same devices have the same answer. The module has the last word: its numbers
 * may have changed by the time it is asked.
 *
 * Compiled into infinictl; not part of the installed libinfini-admin.
 */
#ifndef INFINI_PLACEMENT_H
#define INFINI_PLACEMENT_H

#include "infini-admin.h"

#define INFINI_PLACEMENT_ANY_CLASS	UINT32_MAX

enum infini_placement_order {
	INFINI_PLACEMENT_SPREAD,	/* the emptiest first */
	INFINI_PLACEMENT_PACK,		/* the fullest first */
};

/* What memory of its own kind a device must have. */
enum infini_placement_kind {
	INFINI_PLACEMENT_ANY_KIND,
	INFINI_PLACEMENT_UNIFIED,	/* the host's pages */
	INFINI_PLACEMENT_DISCRETE,	/* the accelerator's own */
};

/* The first that holds, in this order. */
enum infini_placement_verdict {
	INFINI_PLACEMENT_FITS,
	INFINI_PLACEMENT_CLASS,
	INFINI_PLACEMENT_BACKEND,
	INFINI_PLACEMENT_VENDOR,
	INFINI_PLACEMENT_POOL,
	INFINI_PLACEMENT_KIND,
	INFINI_PLACEMENT_OFFLINE,
	INFINI_PLACEMENT_SLOT,		/* one slot gives less than the floor */
	INFINI_PLACEMENT_FLOOR,		/* the floors of others leave less */
	INFINI_PLACEMENT_MEMORY,	/* the limits of others leave less */
	INFINI_PLACEMENT_REFUSED,	/* for callers: the module did not take it */
};

struct infini_placement_request {
	uint32_t device_class;		/* enum infini_device_class, or _ANY_CLASS */
	enum infini_placement_kind kind;
	enum infini_placement_order order;
	bool overcommit;
	uint32_t floor_ppm;
	uint64_t memory_bytes;
	const char *backend;		/* which one drives it, and so which programs it takes; NULL: any */
	const char *vendor;		/* a part of its name, or a PCI id: "1002", "1002:744c"; NULL: any */
	const char *pool;		/* NULL: any */
};

/**
 * struct infini_placement_candidate - a device, and what comes of the request there
 * @device: by the module
 * @vendor: NULL when nobody knows; then the description is searched for the one asked for
 * @pci_id: "1002:744c", or NULL
 * @pools: names between blanks, or NULL
 * @verdict: out
 * @full_ppm: out, when it fits: the larger of the parts of its memory and of its time that are
 *	promised with the new vdev; above a million where it is overcommitted
 */
struct infini_placement_candidate {
	const struct infini_admin_device *device;
	const char *vendor;
	const char *pci_id;
	const char *pools;
	enum infini_placement_verdict verdict;
	uint32_t full_ppm;
};

/*
 * Judge and sort: those that fit, then the others by name. Of two that are as full the one with
 * fewer vdevs to a slot is the emptier, of two that are alike in that the first by name comes first.
 * Returns how many fit.
 */
size_t infini_placement_sort(const struct infini_placement_request *request,
			     struct infini_placement_candidate *candidates, size_t nr);

/* Whether @name is one of the words of @pools, which may be NULL. */
bool infini_placement_pool_has(const char *pools, const char *name);

/* Two that fit and differ in nothing but the name. */
bool infini_placement_tied(const struct infini_placement_candidate *a,
			   const struct infini_placement_candidate *b);

#endif /* INFINI_PLACEMENT_H */
