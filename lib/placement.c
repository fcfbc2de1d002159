// SPDX-License-Identifier: LGPL-2.1-or-later
/* Where a new vdev may go: of all devices those that fit, best first, and why each other does not. */
#include "placement.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- does it fit ---- */

/* "1002" or "1002:744c". */
static bool pci_matches(const char *pci_id, const char *word)
{
	size_t length = strlen(word);

	return !strcasecmp(pci_id, word) || (length == 4 && !strncasecmp(pci_id, word, 4) &&
					     pci_id[4] == ':');
}

static bool vendor_matches(const struct infini_placement_candidate *c, const char *word)
{
	if (c->pci_id && pci_matches(c->pci_id, word))
		return true;
	return strcasestr(c->vendor ? c->vendor : c->device->description, word);
}

bool infini_placement_pool_has(const char *pools, const char *name)
{
	size_t length = strlen(name);

	while (pools && *pools) {
		size_t word = strcspn(pools, " ");

		if (word == length && !memcmp(pools, name, length))
			return true;
		pools += word + strspn(pools + word, " ");
	}
	return false;
}

static bool kind_matches(const struct infini_admin_device *device, enum infini_placement_kind kind)
{
	bool unified = device->nr_kinds && device->kinds[0].flags & INFINI_MEMORY_F_UNIFIED;

	return kind == INFINI_PLACEMENT_ANY_KIND || unified == (kind == INFINI_PLACEMENT_UNIFIED);
}

/* As the module counts: overcommitted, a vdev still gets no more than the device has. */
static bool memory_fits(const struct infini_admin_device *device,
			const struct infini_placement_request *request)
{
	uint64_t left = device->memory_bytes;

	if (!request->overcommit)
		left -= device->memory_promised_bytes < left ? device->memory_promised_bytes : left;
	return device->memory_bytes && request->memory_bytes <= left;
}

static bool floor_fits(const struct infini_admin_device *device, uint32_t floor_ppm)
{
	return !floor_ppm || (uint64_t)device->floors_ppm + floor_ppm <= INFINI_VDEV_PPM_MAX;
}

static enum infini_placement_verdict judge(const struct infini_placement_candidate *c,
					   const struct infini_placement_request *request)
{
	const struct infini_admin_device *device = c->device;

	if (request->device_class != INFINI_PLACEMENT_ANY_CLASS &&
	    request->device_class != device->device_class)
		return INFINI_PLACEMENT_CLASS;
	if (request->backend && strcmp(request->backend, device->backend))
		return INFINI_PLACEMENT_BACKEND;
	if (request->vendor && !vendor_matches(c, request->vendor))
		return INFINI_PLACEMENT_VENDOR;
	if (request->pool && !infini_placement_pool_has(c->pools, request->pool))
		return INFINI_PLACEMENT_POOL;
	if (!kind_matches(device, request->kind))
		return INFINI_PLACEMENT_KIND;
	if (!device->online)
		return INFINI_PLACEMENT_OFFLINE;
	if ((uint64_t)request->floor_ppm * device->slots > INFINI_VDEV_PPM_MAX)
		return INFINI_PLACEMENT_SLOT;
	if (!floor_fits(device, request->floor_ppm))
		return INFINI_PLACEMENT_FLOOR;
	return memory_fits(device, request) ? INFINI_PLACEMENT_FITS : INFINI_PLACEMENT_MEMORY;
}

/* ---- which first ---- */

/* The scarcer of the two promises counts, or a device with little memory left would look empty. */
static uint32_t full_ppm(const struct infini_admin_device *device,
			 const struct infini_placement_request *request)
{
	unsigned __int128 memory = device->memory_promised_bytes;
	uint64_t floors = (uint64_t)device->floors_ppm + request->floor_ppm;

	memory = (memory + request->memory_bytes) * INFINI_VDEV_PPM_MAX / device->memory_bytes;
	if (memory < floors)
		memory = floors;
	return memory < UINT32_MAX ? (uint32_t)memory : UINT32_MAX;
}

/* Vdevs to a slot, without a division: below 0 when @a has fewer. */
static int compare_vdevs(const struct infini_admin_device *a, const struct infini_admin_device *b)
{
	uint64_t left = (uint64_t)a->nr_vdevs * b->slots;
	uint64_t right = (uint64_t)b->nr_vdevs * a->slots;

	return (left > right) - (left < right);
}

/* Below 0 when @a is the emptier. */
static int compare_load(const struct infini_placement_candidate *a,
			const struct infini_placement_candidate *b)
{
	int load = (a->full_ppm > b->full_ppm) - (a->full_ppm < b->full_ppm);

	return load ? load : compare_vdevs(a->device, b->device);
}

static int compare(const void *left, const void *right, void *arg)
{
	const struct infini_placement_candidate *a = left, *b = right;
	const struct infini_placement_request *request = arg;
	bool a_fits = a->verdict == INFINI_PLACEMENT_FITS;
	bool b_fits = b->verdict == INFINI_PLACEMENT_FITS;
	int load = a_fits && b_fits ? compare_load(a, b) : 0;

	if (a_fits != b_fits)
		return a_fits ? -1 : 1;
	if (load)
		return request->order == INFINI_PLACEMENT_PACK ? -load : load;
	return strverscmp(a->device->name, b->device->name);
}

size_t infini_placement_sort(const struct infini_placement_request *request,
			     struct infini_placement_candidate *candidates, size_t nr)
{
	size_t fit = 0;

	for (size_t i = 0; i < nr; i++) {
		struct infini_placement_candidate *c = &candidates[i];

		c->verdict = judge(c, request);
		c->full_ppm = 0;
		if (c->verdict != INFINI_PLACEMENT_FITS)
			continue;
		c->full_ppm = full_ppm(c->device, request);
		fit++;
	}
	if (nr)
		qsort_r(candidates, nr, sizeof(*candidates), compare, (void *)request);
	return fit;
}

bool infini_placement_tied(const struct infini_placement_candidate *a,
			   const struct infini_placement_candidate *b)
{
	return !compare_load(a, b);
}
