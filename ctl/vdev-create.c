// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl vdev create */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ctl.h"
#include "units.h"

/* The device to use when none was named: the only one. */
static int infini_device_only(struct infini_ctl *ctl, struct infini_admin_device *device)
{
	struct infini_devices devices;
	int status = infini_devices_load(ctl, &devices);

	if (status)
		return status;
	if (devices.nr == 1)
		*device = devices.device[0];
	else if (!devices.nr)
		status = infini_fail_unknown_device(ctl, "");
	else
		status = infini_fail(ctl, INFINI_EXIT_USAGE,
				     "there are %zu devices: choose one with --device (%s, %s%s)",
				     devices.nr, devices.device[0].name, devices.device[1].name,
				     devices.nr > 2 ? ", ..." : "");
	free(devices.device);
	return status;
}

static int infini_vdev_create_fail(struct infini_ctl *ctl, int err, const char *name,
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

int infini_vdev_device(struct infini_ctl *ctl, const char *name, const char *word,
		       const struct infini_admin_vdev_config *config,
		       struct infini_admin_device *device)
{
	int status = infini_ctl_connect(ctl);

	if (!status)
		status = word ? infini_device_lookup(ctl, word, device) :
				infini_device_only(ctl, device);
	if (!status && !(config->set & INFINI_VDEV_SET_MEMORY))
		status = infini_fail(ctl, INFINI_EXIT_USAGE,
				     "vdev \"%s\": say how much memory it may use: --memory SIZE (%s is left on device %s)",
				     name, infini_bytes_text(infini_memory_left(device, 0)).s,
				     device->name);
	return status;
}

int infini_vdev_make(struct infini_ctl *ctl, const char *name,
		     const struct infini_admin_device *device,
		     const struct infini_admin_vdev_config *config, uint32_t *id)
{
	int err = infini_admin_vdev_create(ctl->admin, name, device->name, config, id);

	if (err)
		return infini_vdev_create_fail(ctl, err, name, device, config);
	infini_note(ctl, "vdev \"%s\"", name);
	return 0;
}

static int infini_vdev_create(struct infini_ctl *ctl, const char *name, const char *device_word,
			      const struct infini_admin_vdev_config *config)
{
	struct infini_admin_device device;
	uint32_t id;
	int status = infini_vdev_device(ctl, name, device_word, config, &device);

	if (!status)
		status = infini_vdev_make(ctl, name, &device, config, &id);
	if (status)
		return status;
	printf("vdev \"%s\" (id %u) created on device %s%s", name, id, device.name,
	       config->no_node ? ", without a node\n" : "");
	if (!config->no_node)
		printf(": /dev/infini%u\n", id);
	return 0;
}

bool infini_vdev_name_valid(const char *name)
{
	static const char letters[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";

	return *name && *name != '-' && *name != '.' && !name[strspn(name, letters)] &&
	       name[strspn(name, "0123456789")] && strlen(name) <= INFINI_NAME_LEN_MAX;
}

static int infini_vdev_create_run(struct infini_ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		INFINI_CONFIG_OPTIONS,
		{ "no-node", no_argument, NULL, 'n' },
		{ "uuid", required_argument, NULL, 'u' },
		{ "help", no_argument, NULL, INFINI_OPTION_HELP },
		{ 0 }
	};
	struct infini_admin_vdev_config config = { 0 };
	struct infini_config_words words = { 0 };
	const char *device = NULL, *uuid = NULL;
	int option, status;

	while ((option = infini_options_next(ctl, argc, argv, options)) >= 0) {
		if (option == INFINI_OPTION_HELP)
			return infini_help_print(ctl);
		if (option == 'd')
			device = optarg;
		else if (option == 'n')
			config.no_node = true;
		else if (option == 'u')
			uuid = optarg;
		else
			infini_config_option(&words, option, optarg);
	}
	if (option == INFINI_OPTIONS_FAILED)
		return INFINI_EXIT_USAGE;
	status = infini_options_words(ctl, argc, 1, "one name for the vdev");
	if (!status)
		status = infini_config_parse(ctl, &words, &config);
	if (!status && uuid) {
		status = infini_uuid_parse(ctl, uuid, config.uuid);
		config.set |= INFINI_VDEV_SET_UUID;
	}
	if (status)
		return status;
	if (!infini_vdev_name_valid(argv[optind]))
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "vdev name \"%s\": use 1 to %d letters, digits and \"._-\", not digits alone, and begin with a letter, digit or \"_\"",
				   argv[optind], INFINI_NAME_LEN_MAX);
	return infini_vdev_create(ctl, argv[optind], device, &config);
}

const struct infini_command infini_vdev_create_command = {
	.name = "vdev create",
	.args = "NAME --memory SIZE [OPTION...]",
	.summary = "Create a vdev, a slice of a device",
	.help = "  --device DEVICE       where (not needed when there is only one device)\n"
		INFINI_CONFIG_HELP
		"  --no-node             give it no /dev/infiniN of its own\n"
		"  --uuid UUID           what it is known by elsewhere (default: a random one)\n",
	.run = infini_vdev_create_run,
};
