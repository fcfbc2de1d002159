// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl device list */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "hardware.h"
#include "json.h"
#include "table.h"
#include "units.h"

struct infini_device_list {
	bool all;
	bool json;
	const char *inventory;
	struct infini_devices devices;
	struct infini_hardware hardware;
};

/* ---- json ---- */

static struct json_object *infini_device_list_array(const struct infini_device_list *list)
{
	struct json_object *array = json_object_new_array(), *object;

	for (size_t i = 0; i < list->devices.nr; i++) {
		const struct infini_admin_device *device = &list->devices.device[i];

		object = infini_json_device(device);
		infini_hardware_json_add(&list->hardware, device, object);
		json_object_array_add(array, object);
	}
	return array;
}

static int infini_device_list_json(struct infini_ctl *ctl, const struct infini_device_list *list)
{
	const struct infini_hardware *hardware = &list->hardware;
	struct json_object *object;

	if (!list->all)
		return infini_json_print(ctl, infini_device_list_array(list));
	object = json_object_new_object();
	json_object_object_add(object, "devices", infini_device_list_array(list));
	json_object_object_add(object, "nodes", json_object_get(hardware->nodes));
	json_object_object_add(object, "remotes", json_object_get(hardware->remotes));
	json_object_object_add(object, "nodes_time",
			       hardware->file ? json_object_new_int64(hardware->time_s) : NULL);
	json_object_object_add(object, "infinid_running",
			       json_object_new_boolean(hardware->running));
	return infini_json_print(ctl, object);
}

/* ---- tables ---- */

static int infini_device_list_devices(struct infini_ctl *ctl, const struct infini_device_list *list)
{
	static const char *const columns[] = {
		"NAME", ">ID", "CLASS", "BACKEND", "LEVEL", "STATE", ">MEMORY", ">PROMISED", ">USED",
		">VDEVS", ">SLOTS", ">UTIL", ">TEMP", ">POWER", "VENDOR", "DESCRIPTION",
	};
	struct infini_table table = INFINI_TABLE(columns);

	for (size_t i = 0; i < list->devices.nr; i++) {
		const struct infini_admin_device *d = &list->devices.device[i];
		struct json_object *node = infini_hardware_of(&list->hardware, d->name);
		const char *vendor = infini_hardware_vendor(&list->hardware, d);

		infini_table_cell(&table, "%s", d->name);
		infini_table_cell(&table, "%u", d->id);
		infini_table_cell(&table, "%s", infini_admin_device_class_word(d->device_class));
		infini_table_cell(&table, "%s", d->backend);
		infini_table_cell(&table, "%s", infini_admin_level_word(d->level));
		infini_table_cell(&table, "%s", d->online ? "online" : "offline");
		infini_table_cell(&table, "%s", infini_bytes_text(d->memory_bytes).s);
		infini_table_cell(&table, "%s", infini_bytes_text(d->memory_promised_bytes).s);
		infini_table_cell(&table, "%s", infini_bytes_text(d->memory_used_bytes).s);
		infini_table_cell(&table, "%u", d->nr_vdevs);
		infini_table_cell(&table, "%u", d->slots);
		infini_table_cell(&table, "%s", infini_hardware_utilisation(node).s);
		infini_table_cell(&table, "%s", infini_hardware_temperature(node).s);
		infini_table_cell(&table, "%s", infini_hardware_power(node).s);
		infini_table_cell(&table, "%s", vendor ? vendor : "-");
		infini_table_cell(&table, "%s", d->description);
	}
	if (infini_table_print(&table, stdout))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the table");
	return 0;
}

/* What it is called; a number that a search finds where nobody has a name for it. */
static const char *infini_node_name(struct json_object *node)
{
	const char *model = infini_hardware_text(node, "model");

	return strcmp(model, "-") ? model : infini_hardware_text(node, "pci_id");
}

static void infini_device_list_node(struct infini_table *table, struct json_object *node)
{
	infini_table_cell(table, "%s", infini_hardware_text(node, "node"));
	infini_table_cell(table, "%s", infini_hardware_text(node, "driver"));
	infini_table_cell(table, "%s", infini_hardware_text(node, "driver_version"));
	infini_table_cell(table, "%s", infini_hardware_text(node, "pci"));
	infini_table_cell(table, "%s", infini_hardware_memory(node).s);
	infini_table_cell(table, "%s", infini_hardware_utilisation(node).s);
	infini_table_cell(table, "%s", infini_hardware_temperature(node).s);
	infini_table_cell(table, "%s", infini_hardware_power(node).s);
	infini_table_cell(table, "%s", infini_hardware_text(node, "vendor"));
	infini_table_cell(table, "%s", infini_node_name(node));
	infini_table_cell(table, "%s", infini_hardware_text(node, "device"));
	infini_table_cell(table, "%s", infini_hardware_text(node, "why"));
}

/* One that a backend reports, and that has no node in which the reason stands. */
static void infini_device_list_found(struct infini_table *table, const struct infini_hardware_found *found)
{
	for (int i = 0; i < 3; i++)
		infini_table_cell(table, "-");
	infini_table_cell(table, "%s", found->pci ? found->pci : "-");
	for (int i = 0; i < 6; i++)
		infini_table_cell(table, "-");
	infini_table_cell(table, "%s", found->device);
	infini_table_cell(table, "%s: %s", found->backend, found->why);
}

static int infini_device_list_nodes(struct infini_ctl *ctl, const struct infini_device_list *list)
{
	static const char *const columns[] = {
		"NODE", "DRIVER", "VERSION", "PCI", ">MEMORY", ">UTIL", ">TEMP", ">POWER", "VENDOR",
		"NAME", "DEVICE", "WHY NOT",
	};
	const struct infini_hardware *hardware = &list->hardware;
	struct infini_table table = INFINI_TABLE(columns);
	struct infini_hardware_found found;

	if (!hardware->nodes)
		return 0;
	for (size_t i = 0; i < json_object_array_length(hardware->nodes); i++)
		infini_device_list_node(&table, json_object_array_get_idx(hardware->nodes, i));
	for (size_t i = 0; i < infini_hardware_nr_found(hardware); i++)
		if (infini_hardware_useless(hardware, i, &found) &&
		    !infini_hardware_has_node(hardware, found.pci))
			infini_device_list_found(&table, &found);
	if (!json_object_array_length(hardware->nodes))
		puts("no DRM render node or accel node");
	if (table.nr_cells && infini_table_print(&table, stdout))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the table");
	return 0;
}

static int infini_device_list_remotes(struct infini_ctl *ctl, const struct infini_device_list *list)
{
	static const char *const columns[] = { "REMOTE", "ENDPOINT", "WHY NOT" };
	struct json_object *remotes = list->hardware.remotes, *remote;
	struct infini_table table = INFINI_TABLE(columns);

	if (!remotes || !json_object_array_length(remotes))
		return 0;
	for (size_t i = 0; i < json_object_array_length(remotes); i++) {
		remote = json_object_array_get_idx(remotes, i);
		infini_table_cell(&table, "%s", infini_hardware_text(remote, "name"));
		infini_table_cell(&table, "%s", infini_hardware_text(remote, "endpoint"));
		infini_table_cell(&table, "%s", infini_hardware_text(remote, "why"));
	}
	putchar('\n');
	if (infini_table_print(&table, stdout))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the table");
	return 0;
}

static int infini_device_list_tables(struct infini_ctl *ctl, const struct infini_device_list *list)
{
	int status = 0;

	if (list->devices.nr)
		status = infini_device_list_devices(ctl, list);
	else
		fputs("infinictl: no device is registered: is infinid running? (systemctl start infinid)\n",
		      stderr);
	if (list->devices.nr || list->all)
		infini_hardware_note(&list->hardware);
	if (status || !list->all)
		return status;
	if (list->devices.nr && list->hardware.nodes)
		putchar('\n');
	status = infini_device_list_nodes(ctl, list);
	return status ? status : infini_device_list_remotes(ctl, list);
}

/* ---- the command ---- */

/* True when the command should go on. */
static bool infini_device_list_options(struct infini_ctl *ctl, int argc, char **argv,
				       struct infini_device_list *list, int *status)
{
	static const struct option options[] = {
		{ "all", no_argument, NULL, 'a' },
		{ "json", no_argument, NULL, 'j' },
		{ "inventory", required_argument, NULL, 'i' },
		{ "help", no_argument, NULL, INFINI_OPTION_HELP },
		{ 0 }
	};
	int option;

	*status = 0;
	while ((option = infini_options_next(ctl, argc, argv, options)) >= 0) {
		if (option == INFINI_OPTION_HELP) {
			*status = infini_help_print(ctl);
			return false;
		}
		if (option == 'a')
			list->all = true;
		else if (option == 'j')
			list->json = true;
		else
			list->inventory = optarg;
	}
	if (option == INFINI_OPTIONS_FAILED)
		*status = INFINI_EXIT_USAGE;
	else
		*status = infini_options_words(ctl, argc, 0, "nothing");
	return !*status;
}

static int infini_device_list_run(struct infini_ctl *ctl, int argc, char **argv)
{
	struct infini_device_list list = { .inventory = INFINI_HARDWARE_PATH };
	int status;

	if (!infini_device_list_options(ctl, argc, argv, &list, &status))
		return status;
	status = infini_ctl_connect(ctl);
	if (!status)
		status = infini_devices_load(ctl, &list.devices);
	if (status)
		return status;
	infini_hardware_load(&list.hardware, list.inventory);
	status = list.json ? infini_device_list_json(ctl, &list) :
			     infini_device_list_tables(ctl, &list);
	infini_hardware_free(&list.hardware);
	free(list.devices.device);
	return status;
}

const struct infini_command infini_device_list_command = {
	.name = "device list",
	.args = "[--all] [--json] [--inventory FILE]",
	.summary = "List the accelerators that infinid has registered",
	.help = "  --all             also every GPU and accelerator of this machine, and what backends\n"
		"                    report of others, that no device stands for, and why, and the remote\n"
		"                    machines of the configuration\n"
		"  --json            print JSON\n"
		"  --inventory FILE  another file than " INFINI_HARDWARE_PATH ", in which\n"
		"                    infinid writes what it knows of hardware\n"
		"PROMISED is the sum of the memory limits of the device's vdevs. UTIL is what infinid's\n"
		"workers use of its busiest kind of engine. What the hardware's driver does not tell is \"-\".\n",
	.run = infini_device_list_run,
};
