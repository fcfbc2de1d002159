// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl device list */
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "json.h"
#include "table.h"
#include "units.h"

static int infini_device_list_json(struct infini_ctl *ctl, const struct infini_devices *devices)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < devices->nr; i++)
		json_object_array_add(array, infini_json_device(&devices->device[i]));
	return infini_json_print(ctl, array);
}

static int infini_device_list_table(struct infini_ctl *ctl, const struct infini_devices *devices)
{
	static const char *const columns[] = {
		"NAME", ">ID", "CLASS", "BACKEND", "STATE",
		">MEMORY", ">PROMISED", ">USED", ">VDEVS",
		">SLOTS", "DESCRIPTION",
	};
	struct infini_table table = INFINI_TABLE(columns);

	if (!devices->nr) {
		fputs("infinictl: no device is registered: is infinid running? (systemctl start infinid)\n",
		      stderr);
		return 0;
	}
	for (size_t i = 0; i < devices->nr; i++) {
		const struct infini_admin_device *d = &devices->device[i];

		infini_table_cell(&table, "%s", d->name);
		infini_table_cell(&table, "%u", d->id);
		infini_table_cell(&table, "%s", infini_admin_device_class_word(d->device_class));
		infini_table_cell(&table, "%s", d->backend);
		infini_table_cell(&table, "%s", d->online ? "online" : "offline");
		infini_table_cell(&table, "%s", infini_bytes_text(d->memory_bytes).s);
		infini_table_cell(&table, "%s", infini_bytes_text(d->memory_promised_bytes).s);
		infini_table_cell(&table, "%s", infini_bytes_text(d->memory_used_bytes).s);
		infini_table_cell(&table, "%u", d->nr_vdevs);
		infini_table_cell(&table, "%u", d->slots);
		infini_table_cell(&table, "%s", d->description);
	}
	if (infini_table_print(&table, stdout))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the table");
	return 0;
}

static int infini_device_list_run(struct infini_ctl *ctl, int argc, char **argv)
{
	struct infini_devices devices;
	bool json;
	int status;

	if (!infini_options_json(ctl, argc, argv, &json, &status))
		return status;
	status = infini_options_words(ctl, argc, 0, "nothing");
	if (!status)
		status = infini_ctl_connect(ctl);
	if (!status)
		status = infini_devices_load(ctl, &devices);
	if (status)
		return status;
	status = json ? infini_device_list_json(ctl, &devices) :
			infini_device_list_table(ctl, &devices);
	free(devices.device);
	return status;
}

const struct infini_command infini_device_list_command = {
	.name = "device list",
	.args = "[--json]",
	.summary = "List the accelerators that infinid has registered",
	.help = "PROMISED is the sum of the memory limits of the device's vdevs.\n",
	.run = infini_device_list_run,
};
