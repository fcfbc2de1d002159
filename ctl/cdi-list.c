// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl cdi list */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdi.h"
#include "ctl.h"
#include "json.h"
#include "table.h"

/* Where runtimes look; what a later directory says about a device counts. */
static const char *const infini_cdi_dirs[] = { "/etc/cdi", INFINI_CDI_DIR };

struct infini_cdi_row {
	const char *file;
	const char *device;
	const char *node;
	const char *state;
};

static struct json_object *infini_cdi_member(struct json_object *object, const char *key,
					     enum json_type type)
{
	struct json_object *member;

	if (!json_object_is_type(object, json_type_object) ||
	    !json_object_object_get_ex(object, key, &member) ||
	    !json_object_is_type(member, type))
		return NULL;
	return member;
}

/* The host's node that @device puts first, or NULL. */
static const char *infini_cdi_node(struct json_object *device)
{
	struct json_object *edits = infini_cdi_member(device, "containerEdits", json_type_object);
	struct json_object *nodes = infini_cdi_member(edits, "deviceNodes", json_type_array);
	struct json_object *path;

	if (!nodes || !json_object_array_length(nodes))
		return NULL;
	path = infini_cdi_member(json_object_array_get_idx(nodes, 0), "hostPath", json_type_string);
	return path ? json_object_get_string(path) : NULL;
}

/* A name or an id that no vdev has any more, or that another node has now, is stale. */
static const char *infini_cdi_state(const struct infini_vdevs *vdevs, const char *name,
				    const char *node)
{
	char id[16], path[32];

	for (size_t i = 0; i < vdevs->nr; i++) {
		const struct infini_admin_vdev *v = &vdevs->vdev[i];

		snprintf(id, sizeof(id), "%u", v->id);
		if (strcmp(v->name, name) && strcmp(id, name))
			continue;
		snprintf(path, sizeof(path), "/dev/infini%u", v->id);
		if (v->minor >= 0 && !strcmp(path, node))
			return "ready";
	}
	return "stale";
}

static bool infini_cdi_file_ready(const char *dir, const char *name, const char *node)
{
	struct json_object *spec, *devices;
	char file[PATH_MAX];
	bool ready = false;

	infini_cdi_path(dir, file);
	spec = json_object_from_file(file);
	devices = infini_cdi_member(spec, "devices", json_type_array);
	for (size_t i = 0; devices && i < json_object_array_length(devices); i++) {
		struct json_object *device = json_object_array_get_idx(devices, i);
		struct json_object *word = infini_cdi_member(device, "name", json_type_string);
		const char *host = infini_cdi_node(device);

		ready |= word && host && !strcmp(json_object_get_string(word), name) &&
			 !strcmp(host, node);
	}
	json_object_put(spec);
	return ready;
}

bool infini_cdi_ready(const char *name, uint32_t id)
{
	char node[32];

	snprintf(node, sizeof(node), "/dev/infini%u", id);
	for (size_t i = 0; i < 2; i++)
		if (infini_cdi_file_ready(infini_cdi_dirs[i], name, node))
			return true;
	return false;
}

static void infini_cdi_table_row(struct infini_table *table, const struct infini_cdi_row *row)
{
	infini_table_cell(table, INFINI_CDI_KIND "=%s", row->device);
	infini_table_cell(table, "%s", row->node);
	infini_table_cell(table, "%s", row->state);
	infini_table_cell(table, "%s", row->file);
}

static void infini_cdi_json_row(struct json_object *array, const struct infini_cdi_row *row)
{
	struct json_object *object = json_object_new_object();
	char name[128];

	snprintf(name, sizeof(name), INFINI_CDI_KIND "=%s", row->device);
	infini_json_set_string(object, "device", name);
	infini_json_set_string(object, "node", row->node);
	infini_json_set_string(object, "state", row->state);
	infini_json_set_string(object, "file", row->file);
	json_object_array_add(array, object);
}

static int infini_cdi_rows(struct infini_ctl *ctl, const char *file, struct json_object *spec,
			   const struct infini_vdevs *vdevs, struct infini_table *table,
			   struct json_object *array)
{
	struct json_object *devices = infini_cdi_member(spec, "devices", json_type_array);
	struct infini_cdi_row row = { .file = file };

	if (!devices)
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "%s: is no specification of CDI: write it again with infinictl cdi generate",
				   file);
	for (size_t i = 0; i < json_object_array_length(devices); i++) {
		struct json_object *device = json_object_array_get_idx(devices, i);
		struct json_object *name = infini_cdi_member(device, "name", json_type_string);

		row.node = infini_cdi_node(device);
		if (!name || !row.node)
			continue;
		row.device = json_object_get_string(name);
		row.state = infini_cdi_state(vdevs, row.device, row.node);
		if (array)
			infini_cdi_json_row(array, &row);
		else
			infini_cdi_table_row(table, &row);
	}
	return 0;
}

static int infini_cdi_file(struct infini_ctl *ctl, const char *dir,
			   const struct infini_vdevs *vdevs, struct infini_table *table,
			   struct json_object *array)
{
	struct json_object *spec;
	char file[PATH_MAX];
	int status;

	if (infini_cdi_path(dir, file))
		return infini_fail(ctl, INFINI_EXIT_USAGE, "--dir %s: is too long", dir);
	errno = 0;
	spec = json_object_from_file(file);
	if (!spec && errno == ENOENT)
		return 0;
	status = infini_cdi_rows(ctl, file, spec, vdevs, table, array);
	json_object_put(spec);
	return status;
}

static int infini_cdi_list(struct infini_ctl *ctl, const char *dir, bool json)
{
	static const char *const columns[] = { "DEVICE", "NODE", "STATE", "FILE" };
	struct infini_table table = INFINI_TABLE(columns);
	struct json_object *array = json ? json_object_new_array() : NULL;
	struct infini_vdevs vdevs;
	int status = infini_vdevs_load(ctl, &vdevs);

	if (status) {
		json_object_put(array);
		return status;
	}
	if (dir)
		status = infini_cdi_file(ctl, dir, &vdevs, &table, array);
	for (size_t i = 0; !dir && !status && i < 2; i++)
		status = infini_cdi_file(ctl, infini_cdi_dirs[i], &vdevs, &table, array);
	free(vdevs.vdev);
	if (json && status)
		json_object_put(array);
	else if (json)
		status = infini_json_print(ctl, array);
	if (!json && infini_table_print(&table, stdout) && !status)
		status = infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the table");
	return status;
}

static int infini_cdi_list_run(struct infini_ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, INFINI_OPTION_HELP },
		{ 0 }
	};
	const char *dir = NULL;
	bool json = false;
	int option, status;

	while ((option = infini_options_next(ctl, argc, argv, options)) >= 0) {
		if (option == INFINI_OPTION_HELP)
			return infini_help_print(ctl);
		if (option == 'j')
			json = true;
		else
			dir = optarg;
	}
	if (option == INFINI_OPTIONS_FAILED)
		return INFINI_EXIT_USAGE;
	status = infini_options_words(ctl, argc, 0, "nothing");
	if (!status)
		status = infini_ctl_connect(ctl);
	return status ? status : infini_cdi_list(ctl, dir, json);
}

const struct infini_command infini_cdi_list_command = {
	.name = "cdi list",
	.args = "[--dir DIR] [--json]",
	.summary = "List what container runtimes are told about vdevs",
	.help = "STATE is ready, or stale when there is no such vdev any more: infinictl cdi generate.\n\n"
		"  --dir DIR             only this directory (default /etc/cdi and /var/run/cdi)\n",
	.run = infini_cdi_list_run,
};
