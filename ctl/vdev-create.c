// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl vdev create */
#include <stdio.h>
#include <string.h>

#include "ctl.h"
#include "json.h"
#include "where.h"

bool infini_vdev_name_valid(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return *name && *name != '-' && *name != '.' && !name[strspn(name, letters)] &&
	       name[strspn(name, "0123456789")] && strlen(name) <= INFINI_NAME_LEN_MAX;
}

/**
 * struct infini_vdev_create - what was asked for, and what came of it
 * @id: of the vdev
 * @dry: only say where it would go
 */
struct infini_vdev_create {
	const char *name;
	struct infini_where_words words;
	struct infini_admin_vdev_config config;
	struct infini_where where;
	uint32_t id;
	bool dry, json;
};

/* ---- what is printed ---- */

static void infini_vdev_create_print(const struct infini_vdev_create *create)
{
	if (create->dry) {
		infini_where_print(&create->where, "would be placed", stdout);
		return;
	}
	printf("vdev \"%s\" (id %u) created on device %s%s", create->name, create->id,
	       infini_where_device(&create->where)->name,
	       create->config.no_node ? ", without a node\n" : "");
	if (!create->config.no_node)
		printf(": /dev/infini%u\n", create->id);
	infini_where_print(&create->where, "placed", stdout);
}

/* Also when it is nowhere, to tell of each device why. */
static int infini_vdev_create_json(struct infini_ctl *ctl, const struct infini_vdev_create *create,
				   bool created)
{
	struct json_object *object = json_object_new_object();
	bool found = create->where.at < create->where.nr_fit;
	char node[32];

	snprintf(node, sizeof(node), "/dev/infini%u", create->id);
	infini_json_set_string(object, "name", create->name);
	json_object_object_add(object, "id", created ? json_object_new_uint64(create->id) : NULL);
	json_object_object_add(object, "device", found ?
			       json_object_new_string(infini_where_device(&create->where)->name) : NULL);
	json_object_object_add(object, "node", created && !create->config.no_node ?
			       json_object_new_string(node) : NULL);
	json_object_object_add(object, "placement",
			       create->where.named ? NULL : infini_where_json(&create->where));
	return infini_json_print(ctl, object);
}

/* ---- doing it ---- */

static int infini_vdev_create(struct infini_ctl *ctl, struct infini_vdev_create *create)
{
	bool created = false;
	int status = infini_where_find(ctl, create->name, &create->words, &create->config, &create->where);

	if (!status && create->dry && create->where.named)
		status = infini_fail(ctl, INFINI_EXIT_USAGE,
				     "--dry-run says where a vdev would go: describe the device, as with --class gpu");
	if (!status && !create->dry) {
		status = infini_where_make(ctl, create->name, &create->config, &create->where, &create->id);
		created = !status;
	}
	if (create->json && (!status || create->where.judged))
		return infini_vdev_create_json(ctl, create, created) ? INFINI_EXIT_FAILURE : status;
	if (!status)
		infini_vdev_create_print(create);
	return status;
}

/* The options that it does not share; what is left of words is the caller's. */
static int infini_vdev_create_options(struct infini_ctl *ctl, int argc, char **argv,
				      struct infini_vdev_create *create,
				      struct infini_config_words *words, const char **uuid)
{
	static const struct option options[] = {
		INFINI_WHERE_OPTIONS,
		{ "dry-run", no_argument, NULL, 'D' },
		INFINI_CONFIG_OPTIONS,
		{ "no-node", no_argument, NULL, 'n' },
		{ "uuid", required_argument, NULL, 'u' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, INFINI_OPTION_HELP },
		{ 0 }
	};
	int option;

	while ((option = infini_options_next(ctl, argc, argv, options)) >= 0) {
		if (option == INFINI_OPTION_HELP)
			break;
		if (option == 'D')
			create->dry = true;
		else if (option == 'n')
			create->config.no_node = true;
		else if (option == 'u')
			*uuid = optarg;
		else if (option == 'j')
			create->json = true;
		else if (!infini_where_option(&create->words, option, optarg))
			infini_config_option(words, option, optarg);
	}
	return option;
}

static int infini_vdev_create_run(struct infini_ctl *ctl, int argc, char **argv)
{
	struct infini_vdev_create create = { 0 };
	struct infini_config_words words = { 0 };
	const char *uuid = NULL;
	int status;

	switch (infini_vdev_create_options(ctl, argc, argv, &create, &words, &uuid)) {
	case INFINI_OPTION_HELP:
		return infini_help_print(ctl);
	case INFINI_OPTIONS_FAILED:
		return INFINI_EXIT_USAGE;
	}
	status = infini_options_words(ctl, argc, 1, "one name for the vdev");
	if (!status)
		status = infini_config_parse(ctl, &words, &create.config);
	if (!status && uuid) {
		status = infini_uuid_parse(ctl, uuid, create.config.uuid);
		create.config.set |= INFINI_VDEV_SET_UUID;
	}
	if (status)
		return status;
	create.name = argv[optind];
	if (!infini_vdev_name_valid(create.name))
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "vdev name \"%s\": use 1 to %d letters, digits and \"._-\", not digits alone, and begin with a letter, digit or \"_\"",
				   create.name, INFINI_NAME_LEN_MAX);
	status = infini_vdev_create(ctl, &create);
	infini_where_free(&create.where);
	return status;
}

const struct infini_command infini_vdev_create_command = {
	.name = "vdev create",
	.args = "NAME --memory SIZE [OPTION...]",
	.summary = "Create a vdev, a slice of a device",
	.help = INFINI_WHERE_HELP
		"  --dry-run             say where it would go, and create nothing\n"
		INFINI_CONFIG_HELP
		"  --no-node             give it no /dev/infiniN of its own\n"
		"  --uuid UUID           what it is known by elsewhere (default: a random one)\n"
		"  --json                print JSON: where, why, and of each device why not\n",
	.run = infini_vdev_create_run,
};
