// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where a new vdev goes: on the device that was named, or on the best of those that were described.
 *
 * The module knows class, memory and promises of this moment, infinid's inventory vendors and pools.
 */
#include "where.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const infini_class_words[] = { "gpu", "npu", "cpu", "other", "any" };
static const uint32_t infini_classes[] = {
	INFINI_CLASS_GPU, INFINI_CLASS_NPU, INFINI_CLASS_CPU, INFINI_CLASS_OTHER,
	INFINI_PLACEMENT_ANY_CLASS,
};

#define NR_CLASSES	(sizeof(infini_classes) / sizeof(*infini_classes))

/* ---- options ---- */

bool infini_device_class_parse(const char *word, uint32_t *device_class)
{
	for (size_t i = 0; i < NR_CLASSES; i++)
		if (!strcmp(word, infini_class_words[i])) {
			*device_class = infini_classes[i];
			return true;
		}
	return false;
}

bool infini_where_option(struct infini_where_words *words, int option, const char *word)
{
	uint32_t device_class;

	switch (option) {
	case 'c':
		if (!infini_device_class_parse(word, &device_class))
			return false;
		words->device_class = word;
		return true;
	case 'd':
		words->device = word;
		return true;
	case 'B':
		words->backend = word;
		return true;
	case 'V':
		words->vendor = word;
		return true;
	case 'P':
		words->pool = word;
		return true;
	case 'k':
		words->kind = word;
		return true;
	case 'S':
		words->spread = true;
		return true;
	case 'p':
		words->pack = true;
		return true;
	case 'i':
		words->inventory = word;
		return true;
	}
	return false;
}

static const char *infini_where_described(const struct infini_where_words *words)
{
	return words->device_class ? "--class" : words->backend ? "--backend" :
	       words->vendor ? "--vendor" : words->pool ? "--pool" :
	       words->kind ? "--memory-kind" : words->spread ? "--spread" :
	       words->pack ? "--pack" : NULL;
}

static int infini_where_parse(struct infini_ctl *ctl, const struct infini_where_words *words,
			      struct infini_placement_request *request)
{
	const char *described = infini_where_described(words);

	if (words->device && described)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--device names the device and %s describes one: give one of both",
				   described);
	if (words->spread && words->pack)
		return infini_fail(ctl, INFINI_EXIT_USAGE, "--spread and --pack exclude each other");
	if (words->vendor && !*words->vendor)
		return infini_fail(ctl, INFINI_EXIT_USAGE, "--vendor: the name is empty");
	request->device_class = INFINI_PLACEMENT_ANY_CLASS;
	if (words->device_class)
		infini_device_class_parse(words->device_class, &request->device_class);
	request->backend = words->backend;
	request->vendor = words->vendor;
	request->pool = words->pool;
	request->order = words->pack ? INFINI_PLACEMENT_PACK : INFINI_PLACEMENT_SPREAD;
	if (!words->kind)
		return 0;
	if (!strcmp(words->kind, "unified"))
		request->kind = INFINI_PLACEMENT_UNIFIED;
	else if (!strcmp(words->kind, "discrete"))
		request->kind = INFINI_PLACEMENT_DISCRETE;
	else
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--memory-kind %s: must be unified or discrete", words->kind);
	return 0;
}

/* ---- finding it ---- */

/* What infinid has found and could not register, the module knows nothing of. */
static void infini_where_unregistered(const struct infini_where *where)
{
	struct infini_hardware_found found;
	size_t known;

	for (size_t i = 0; i < infini_hardware_nr_found(&where->hardware); i++) {
		if (!infini_hardware_useless(&where->hardware, i, &found))
			continue;
		for (known = 0; known < where->nr; known++)
			if (!strcmp(where->candidates[known].device->name, found.device))
				break;
		if (known == where->nr)
			fprintf(stderr, "infinictl: %s: not registered: %s: %s\n", found.device,
				found.backend, found.why);
	}
}

/* A line for each device, and for what infinid found and could not register. */
static int infini_where_nowhere(struct infini_ctl *ctl, const char *name, const struct infini_where *where)
{
	char noun[256];

	for (size_t i = 0; i < where->nr; i++) {
		fprintf(stderr, "infinictl: %s: ", where->candidates[i].device->name);
		infini_where_why(where, &where->candidates[i], stderr);
		putc('\n', stderr);
	}
	infini_where_unregistered(where);
	return infini_fail(ctl, INFINI_EXIT_FAILURE, "vdev \"%s\": none of %zu devices fits: asked for %s",
			   name, where->nr, infini_where_noun(where, false, noun, sizeof(noun)));
}

/* When nothing was said: the only device there is. */
static int infini_where_only(struct infini_ctl *ctl, struct infini_where *where)
{
	const struct infini_devices *devices = &where->devices;

	where->named = true;
	if (!devices->nr)
		return infini_fail_unknown_device(ctl, "");
	if (devices->nr > 1)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "there are %zu devices: choose one with --device (%s, %s%s), or describe it: --class gpu",
				   devices->nr, devices->device[0].name, devices->device[1].name,
				   devices->nr > 2 ? ", ..." : "");
	return 0;
}

static int infini_where_named(struct infini_ctl *ctl, const char *word, struct infini_where *where)
{
	struct infini_admin_device *device = calloc(1, sizeof(*device));

	where->named = true;
	where->devices.device = device;
	if (!device)
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for a device");
	where->devices.nr = 1;
	return infini_device_lookup(ctl, word, device);
}

static int infini_where_pool(struct infini_ctl *ctl, const struct infini_hardware *hardware,
			     const char *pool)
{
	char *pools = infini_hardware_all_pools(hardware);
	int status = 0;

	if (!pools)
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "--pool %s: infinid tells no pools in %s: is it running? (systemctl start infinid)",
				   pool, hardware->path);
	if (!infini_placement_pool_has(pools, pool))
		status = infini_fail_unknown_pool(ctl, pool, pools);
	free(pools);
	return status;
}

static int infini_where_load(struct infini_ctl *ctl, const struct infini_where_words *words,
			     struct infini_where *where)
{
	int status;

	if (words->device)
		return infini_where_named(ctl, words->device, where);
	status = infini_devices_load(ctl, &where->devices);
	if (status || !infini_where_described(words))
		return status ? status : infini_where_only(ctl, where);
	if (!where->devices.nr)
		return infini_fail_unknown_device(ctl, "");
	infini_hardware_load(&where->hardware, words->inventory ? words->inventory : INFINI_HARDWARE_PATH);
	return words->pool ? infini_where_pool(ctl, &where->hardware, words->pool) : 0;
}

static int infini_where_candidates(struct infini_ctl *ctl, struct infini_where *where)
{
	where->nr = where->devices.nr;
	where->candidates = calloc(where->nr, sizeof(*where->candidates));
	where->sentences = calloc(where->nr, sizeof(*where->sentences));
	if (!where->candidates || !where->sentences)
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for %zu devices", where->nr);
	for (size_t i = 0; i < where->nr; i++)
		where->candidates[i] = (struct infini_placement_candidate){
			.device = &where->devices.device[i],
			.vendor = infini_hardware_vendor(&where->hardware, &where->devices.device[i]),
			.pci_id = infini_hardware_pci_id(&where->hardware, where->devices.device[i].name),
			.pools = infini_hardware_pools(&where->hardware, where->devices.device[i].name),
		};
	return 0;
}

static int infini_where_memory(struct infini_ctl *ctl, const char *name, const struct infini_where *where)
{
	const struct infini_admin_device *device = where->devices.device;

	if (!where->named)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "vdev \"%s\": say how much memory it may use: --memory SIZE", name);
	return infini_fail(ctl, INFINI_EXIT_USAGE,
			   "vdev \"%s\": say how much memory it may use: --memory SIZE (%s is left on device %s)",
			   name, infini_bytes_text(infini_memory_left(device, 0)).s, device->name);
}

int infini_where_find(struct infini_ctl *ctl, const char *name, const struct infini_where_words *words,
		      const struct infini_admin_vdev_config *config, struct infini_where *where)
{
	int status;

	*where = (struct infini_where){ 0 };
	status = infini_where_parse(ctl, words, &where->request);
	if (!status)
		status = infini_ctl_connect(ctl);
	if (!status)
		status = infini_where_load(ctl, words, where);
	if (!status && !(config->set & INFINI_VDEV_SET_MEMORY))
		status = infini_where_memory(ctl, name, where);
	if (!status)
		status = infini_where_candidates(ctl, where);
	if (status)
		return status;
	where->nr_fit = where->nr;
	if (where->named)
		return 0;
	where->request.memory_bytes = config->memory_limit_bytes;
	where->request.overcommit = config->overcommit;
	if (config->set & INFINI_VDEV_SET_FLOOR)
		where->request.floor_ppm = config->floor_ppm;
	where->judged = true;
	where->nr_fit = infini_placement_sort(&where->request, where->candidates, where->nr);
	return where->nr_fit ? 0 : infini_where_nowhere(ctl, name, where);
}

void infini_where_free(struct infini_where *where)
{
	for (size_t i = 0; where->candidates && i < where->nr; i++)
		free((char *)where->candidates[i].pools);
	free(where->candidates);
	free(where->sentences);
	free(where->devices.device);
	infini_hardware_free(&where->hardware);
	*where = (struct infini_where){ 0 };
}

const struct infini_admin_device *infini_where_device(const struct infini_where *where)
{
	return where->candidates[where->at].device;
}

/* ---- asking for it ---- */

static int infini_where_fail(struct infini_ctl *ctl, int err, const char *name,
			     const struct infini_admin_device *device,
			     const struct infini_admin_vdev_config *config)
{
	static const struct infini_admin_vdev nothing;

	switch (err) {
	case -EEXIST:
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "vdev \"%s\" exists already: change it with infinictl vdev set %s",
				   name, name);
	case -ENOTUNIQ:
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "vdev \"%s\": another vdev has that --uuid: infinictl vdev list shows which",
				   name);
	case -ENOSPC:
		return infini_fail_space(ctl, name, device->name, &nothing, config);
	default:
		return infini_fail_request(ctl, err, "vdev \"%s\"", name);
	}
}

/* What is about this device and not about the vdev: there may be a better one. */
static bool infini_where_goes_on(int err)
{
	return err == -ENOSPC || err == -ENODEV;
}

static void infini_where_refused(struct infini_ctl *ctl, int err, struct infini_where *where)
{
	const char *sentence = infini_admin_error(ctl->admin);

	where->candidates[where->at].verdict = INFINI_PLACEMENT_REFUSED;
	snprintf(where->sentences[where->at], sizeof(*where->sentences), "%s",
		 *sentence ? sentence : strerror(-err));
}

int infini_where_make(struct infini_ctl *ctl, const char *name,
		      const struct infini_admin_vdev_config *config, struct infini_where *where,
		      uint32_t *id)
{
	const struct infini_admin_device *device;
	int err;

	for (; where->at < where->nr_fit; where->at++) {
		device = infini_where_device(where);
		err = infini_admin_vdev_create(ctl->admin, name, device->name, config, id);
		if (!err) {
			infini_note(ctl, "vdev \"%s\"", name);
			return 0;
		}
		if (where->named || !infini_where_goes_on(err))
			return infini_where_fail(ctl, err, name, device, config);
		infini_where_refused(ctl, err, where);
	}
	return infini_where_nowhere(ctl, name, where);
}
