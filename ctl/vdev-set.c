// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl vdev set */
#include <errno.h>

#include "ctl.h"

static int infini_vdev_set(struct infini_ctl *ctl, const char *word,
			   const struct infini_admin_vdev_config *config)
{
	struct infini_admin_vdev vdev;
	int err;
	int status = infini_ctl_connect(ctl);

	if (!status)
		status = infini_vdev_lookup(ctl, word, &vdev);
	if (status)
		return status;
	err = infini_admin_vdev_set(ctl->admin, NULL, vdev.id, config);
	if (err == -ENOSPC)
		return infini_fail_space(ctl, vdev.name, vdev.device_name, &vdev, config);
	if (err == -ENOENT)
		return infini_fail_unknown_vdev(ctl, word);
	if (err)
		return infini_fail_request(ctl, err, "vdev \"%s\"", vdev.name);
	infini_note(ctl, "vdev \"%s\"", vdev.name);
	return 0;
}

static int infini_vdev_set_run(struct infini_ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		INFINI_CONFIG_OPTIONS,
		{ "help", no_argument, NULL, INFINI_OPTION_HELP },
		{ 0 }
	};
	struct infini_admin_vdev_config config = { 0 };
	struct infini_config_words words = { 0 };
	int option, status;

	while ((option = infini_options_next(ctl, argc, argv, options)) >= 0) {
		if (option == INFINI_OPTION_HELP)
			return infini_help_print(ctl);
		infini_config_option(&words, option, optarg);
	}
	if (option == INFINI_OPTIONS_FAILED)
		return INFINI_EXIT_USAGE;
	status = infini_options_words(ctl, argc, 1, "the name of one vdev");
	if (!status)
		status = infini_config_parse(ctl, &words, &config);
	if (status)
		return status;
	if (!config.set)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "vdev set: nothing to change: give one or more of the options in infinictl help vdev set");
	return infini_vdev_set(ctl, argv[optind], &config);
}

const struct infini_command infini_vdev_set_command = {
	.name = "vdev set",
	.args = "VDEV OPTION...",
	.summary = "Change a vdev while it runs",
	.help = INFINI_CONFIG_HELP
		"What is not given stays. A change holds from the next dispatch, allocation or open.\n"
		"A memory limit below what is in use takes nothing away: no further allocation.\n"
		"--rate none also forgets the burst. Who has it open keeps it, whatever of --owner,\n"
		"--mode, --cgroup and --exclusive changes.\n",
	.run = infini_vdev_set_run,
};
