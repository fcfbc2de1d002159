// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl vdev delete */
#include <errno.h>
#include <inttypes.h>

#include "ctl.h"

static int infini_vdev_delete(struct infini_ctl *ctl, const char *word, bool force)
{
	struct infini_admin_vdev vdev;
	int err;
	int status = infini_ctl_connect(ctl);

	if (!status)
		status = infini_vdev_lookup(ctl, word, &vdev);
	if (status)
		return status;
	err = infini_admin_vdev_delete(ctl->admin, NULL, vdev.id, force);
	if (err == -EBUSY)
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "vdev \"%s\" is in use (clients: %" PRIu64 "): stop them, or add --force, which ends their jobs",
				   vdev.name, (uint64_t)vdev.stats.clients);
	if (err == -ENOENT)
		return infini_fail_unknown_vdev(ctl, word);
	return err ? infini_fail_request(ctl, err, "vdev \"%s\"", vdev.name) : 0;
}

static int infini_vdev_delete_run(struct infini_ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{ "force", no_argument, NULL, 'f' },
		{ "help", no_argument, NULL, INFINI_OPTION_HELP },
		{ 0 }
	};
	bool force = false;
	int option, status;

	while ((option = infini_options_next(ctl, argc, argv, options)) >= 0) {
		if (option == INFINI_OPTION_HELP)
			return infini_help_print(ctl);
		force = true;
	}
	if (option == INFINI_OPTIONS_FAILED)
		return INFINI_EXIT_USAGE;
	status = infini_options_words(ctl, argc, 1, "the name of one vdev");
	return status ? status : infini_vdev_delete(ctl, argv[optind], force);
}

const struct infini_command infini_vdev_delete_command = {
	.name = "vdev delete",
	.args = "VDEV [--force]",
	.summary = "Delete a vdev",
	.help = "A vdev with clients is not deleted, unless --force is given: their jobs then end with\n"
		"ECANCELED, what they call next with ENODEV, and their mappings are gone.\n",
	.run = infini_vdev_delete_run,
};
