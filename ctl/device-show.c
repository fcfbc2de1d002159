// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl device show */
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "hardware.h"
#include "json.h"
#include "units.h"

static void infini_device_show_kind(const struct infini_memory_kind *kind)
{
	printf("memory kind  %s%s%s%s, aligned to %s", (const char *)kind->name,
	       kind->flags & INFINI_MEMORY_F_UNIFIED ? ", unified" : "",
	       kind->flags & INFINI_MEMORY_F_WEIGHTS ? ", for weights" : "",
	       kind->flags & INFINI_MEMORY_F_FILE ? ", files in place" : "",
	       infini_bytes_text(kind->alignment).s);
	if (kind->max_bytes)
		printf(", at most %s a buffer", infini_bytes_text(kind->max_bytes).s);
	putchar('\n');
}

static void infini_device_show_hardware(struct json_object *node)
{
	if (!node)
		return;
	printf("hardware     %s, %s at %s\n", infini_hardware_text(node, "vendor"),
	       infini_hardware_text(node, "model"), infini_hardware_text(node, "pci"));
	printf("driver       %s %s, %s\n", infini_hardware_text(node, "driver"),
	       infini_hardware_text(node, "driver_version"), infini_hardware_text(node, "node"));
	printf("own memory   %s\n", infini_hardware_memory(node).s);
	printf("utilisation  %s, by infinid's workers\n", infini_hardware_utilisation(node).s);
	printf("temperature  %s\n", infini_hardware_temperature(node).s);
	printf("power        %s\n", infini_hardware_power(node).s);
}

static void infini_device_show_text(const struct infini_admin_device *d)
{
	printf("name         %s\n", d->name);
	printf("id           %u\n", d->id);
	printf("description  %s\n", d->description);
	printf("class        %s\n", infini_admin_device_class_word(d->device_class));
	printf("backend      %s\n", d->backend);
	printf("state        %s\n", d->online ? "online" : "offline");
	printf("yields       %s level\n", infini_admin_level_word(d->level));
	printf("slots        %u\n", d->slots);
	printf("vdevs        %u\n", d->nr_vdevs);
	printf("memory       %s, %s promised to vdevs%s, %s used\n",
	       infini_bytes_text(d->memory_bytes).s, infini_bytes_text(d->memory_promised_bytes).s,
	       d->memory_promised_bytes > d->memory_bytes ? " (overcommitted)" : "",
	       infini_bytes_text(d->memory_used_bytes).s);
	printf("floors       %s promised to vdevs\n", infini_percent_text(d->floors_ppm).s);
	printf("occupancy    %s\n", infini_duration_text(d->occupancy_ns).s);
	for (uint32_t i = 0; i < d->nr_kinds; i++)
		infini_device_show_kind(&d->kinds[i]);
}

/* What infinid knows of it beside its hardware. */
static void infini_device_show_known(const struct infini_hardware *hardware,
				     const struct infini_admin_device *device)
{
	const char *vendor = infini_hardware_vendor(hardware, device);
	const char *why = infini_hardware_why(hardware, device->name);
	char *pools = infini_hardware_pools(hardware, device->name);

	if (vendor)
		printf("vendor       %s\n", vendor);
	if (pools && *pools)
		printf("pools        %s\n", pools);
	if (why)
		printf("of no use    %s\n", why);
	free(pools);
}

static int infini_device_show_print(struct infini_ctl *ctl,
				    const struct infini_admin_device *device, bool json)
{
	struct infini_hardware hardware;
	struct json_object *object;
	int status = 0;

	infini_hardware_load(&hardware, INFINI_HARDWARE_PATH);
	if (json) {
		object = infini_json_device(device);
		infini_hardware_json_add(&hardware, device, object);
		status = infini_json_print(ctl, object);
	} else {
		infini_device_show_text(device);
		infini_device_show_known(&hardware, device);
		infini_device_show_hardware(infini_hardware_of(&hardware, device->name));
		infini_hardware_note(&hardware);
	}
	infini_hardware_free(&hardware);
	return status;
}

static int infini_device_show_run(struct infini_ctl *ctl, int argc, char **argv)
{
	struct infini_admin_device device;
	bool json;
	int status;

	if (!infini_options_json(ctl, argc, argv, &json, &status))
		return status;
	status = infini_options_words(ctl, argc, 1, "the name of one device");
	if (!status)
		status = infini_ctl_connect(ctl);
	if (!status)
		status = infini_device_lookup(ctl, argv[optind], &device);
	if (status)
		return status;
	return infini_device_show_print(ctl, &device, json);
}

const struct infini_command infini_device_show_command = {
	.name = "device show",
	.args = "DEVICE [--json]",
	.summary = "Show one accelerator",
	.run = infini_device_show_run,
};
