// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl vdev list */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "json.h"
#include "table.h"
#include "units.h"

static int infini_vdev_list_json(struct infini_ctl *ctl, const struct infini_vdevs *vdevs)
{
	struct json_object *array = json_object_new_array();

	for (size_t i = 0; i < vdevs->nr; i++)
		json_object_array_add(array, infini_json_vdev(&vdevs->vdev[i], false));
	return infini_json_print(ctl, array);
}

static void infini_vdev_list_row(struct infini_table *table, const struct infini_admin_vdev *v)
{
	char owner[96];

	infini_owner_text(v->uid, v->gid, owner, sizeof(owner));
	infini_table_cell(table, "%s", v->name);
	infini_table_cell(table, "%u", v->id);
	infini_table_cell(table, "%s", v->device_name);
	infini_table_cell(table, "%s", infini_admin_vdev_class_word(v->vdev_class));
	infini_table_cell(table, "%u", v->weight);
	infini_table_cell(table, "%s", infini_cap_text(v->cap_ppm).s);
	infini_table_cell(table, "%s", infini_floor_text(v->floor_ppm).s);
	infini_table_cell(table, "%s", infini_rate_text(v->tokens_per_s).s);
	infini_table_cell(table, "%s", infini_bytes_text(v->stats.memory_used_bytes).s);
	infini_table_cell(table, "%s", infini_bytes_text(v->memory_limit_bytes).s);
	infini_table_cell(table, "%s", owner);
	if (v->minor < 0)
		infini_table_cell(table, "-");
	else
		infini_table_cell(table, "/dev/infini%u", v->id);
	infini_table_cell(table, "%s", infini_admin_executor_word(v->executor));
	infini_table_cell(table, "%" PRIu64, (uint64_t)v->stats.clients);
	infini_table_cell(table, "%" PRIu64, (uint64_t)v->stats.tokens_generated);
}

static int infini_vdev_list_table(struct infini_ctl *ctl, const struct infini_vdevs *vdevs)
{
	static const char *const columns[] = {
		"NAME", ">ID", "DEVICE", "CLASS", ">WEIGHT",
		">CAP", ">FLOOR", ">RATE",
		">MEMORY", ">LIMIT", "OWNER", "NODE",
		"EXECUTOR", ">CLIENTS", ">TOKENS",
	};
	struct infini_table table = INFINI_TABLE(columns);

	if (!vdevs->nr) {
		infini_vdevs_none_print();
		return 0;
	}
	for (size_t i = 0; i < vdevs->nr; i++)
		infini_vdev_list_row(&table, &vdevs->vdev[i]);
	if (infini_table_print(&table, stdout))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the table");
	return 0;
}

static int infini_vdev_list_run(struct infini_ctl *ctl, int argc, char **argv)
{
	struct infini_vdevs vdevs;
	bool json;
	int status;

	if (!infini_options_json(ctl, argc, argv, &json, &status))
		return status;
	status = infini_options_words(ctl, argc, 0, "nothing");
	if (!status)
		status = infini_ctl_connect(ctl);
	if (!status)
		status = infini_vdevs_load(ctl, &vdevs);
	if (status)
		return status;
	status = json ? infini_vdev_list_json(ctl, &vdevs) : infini_vdev_list_table(ctl, &vdevs);
	free(vdevs.vdev);
	return status;
}

const struct infini_command infini_vdev_list_command = {
	.name = "vdev list",
	.args = "[--json]",
	.summary = "List the vdevs",
	.help = "CAP and FLOOR are the most and the least of the device's time, RATE tokens per second,\n"
		"MEMORY what a vdev uses now, TOKENS what it has generated since it was created.\n"
		"infinictl vdev show has the rest.\n",
	.run = infini_vdev_list_run,
};
