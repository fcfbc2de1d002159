// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl cdi generate, infinictl cdi remove */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cdi.h"
#include "ctl.h"

static int infini_cdi_generate_fail(struct infini_ctl *ctl, int err, const char *dir)
{
	if (*infini_admin_error(ctl->admin) || err == -EPERM)
		return infini_fail_request(ctl, err, "%s", dir);
	return infini_fail(ctl, INFINI_EXIT_FAILURE, "%s/" INFINI_CDI_FILE ": %s", dir,
			   strerror(-err));
}

static int infini_cdi_generate(struct infini_ctl *ctl, const struct infini_cdi *cdi)
{
	struct infini_cdi_result result;
	int status = infini_ctl_connect(ctl);
	int err;

	if (status)
		return status;
	err = infini_cdi_update(cdi, ctl->admin, &result);
	if (err)
		return infini_cdi_generate_fail(ctl, err, cdi->dir);
	if (!result.nr_vdevs) {
		printf("no vdev has a node: there is no %s/" INFINI_CDI_FILE "\n", cdi->dir);
		return 0;
	}
	printf("%s/" INFINI_CDI_FILE ": %u vdev%s%s\n", cdi->dir, result.nr_vdevs,
	       result.nr_vdevs == 1 ? "" : "s", result.changed ? "" : ", as before");
	if (result.nr_unnamed)
		fprintf(stderr,
			"infinictl: note: %u of them can be given to containers by id alone: a name there must begin and end with a letter or digit\n",
			result.nr_unnamed);
	return 0;
}

static int infini_cdi_absolute(struct infini_ctl *ctl, const char *option, const char *path)
{
	if (*path == '/')
		return 0;
	return infini_fail(ctl, INFINI_EXIT_USAGE, "%s %s: must be an absolute path", option, path);
}

static int infini_cdi_generate_run(struct infini_ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "plugin", required_argument, NULL, 'p' },
		{ "library", required_argument, NULL, 'l' },
		{ "help", no_argument, NULL, INFINI_OPTION_HELP },
		{ 0 }
	};
	struct infini_cdi cdi = {
		.dir = INFINI_CDI_DIR,
		.plugin = INFINI_LIBDIR "/infini/libggml-infini.so",
		.library = INFINI_LIBDIR "/libinfini.so.0",
	};
	int option, status;

	while ((option = infini_options_next(ctl, argc, argv, options)) >= 0) {
		if (option == INFINI_OPTION_HELP)
			return infini_help_print(ctl);
		if (option == 'd')
			cdi.dir = optarg;
		else if (option == 'p')
			cdi.plugin = optarg;
		else
			cdi.library = optarg;
	}
	if (option == INFINI_OPTIONS_FAILED)
		return INFINI_EXIT_USAGE;
	status = infini_options_words(ctl, argc, 0, "nothing");
	if (!status)
		status = infini_cdi_absolute(ctl, "--dir", cdi.dir);
	if (!status)
		status = infini_cdi_absolute(ctl, "--plugin", cdi.plugin);
	if (!status)
		status = infini_cdi_absolute(ctl, "--library", cdi.library);
	return status ? status : infini_cdi_generate(ctl, &cdi);
}

const struct infini_command infini_cdi_generate_command = {
	.name = "cdi generate",
	.args = "[--dir DIR] [--plugin FILE] [--library FILE]",
	.summary = "Write what container runtimes read to find the vdevs",
	.help = "Then: podman run --device infini.dev/vdev=NAME ... infinid does this by itself whenever\n"
		"a vdev comes or goes, unless told not to ([cdi] in infinid.conf).\n\n"
		"  --dir DIR             where runtimes look: /var/run/cdi (default) or /etc/cdi\n"
		"  --plugin FILE         the ggml plugin to show in containers\n"
		"                        (default " INFINI_LIBDIR "/infini/libggml-infini.so)\n"
		"  --library FILE        libinfini to show in containers\n"
		"                        (default " INFINI_LIBDIR "/libinfini.so.0)\n",
	.run = infini_cdi_generate_run,
};

static int infini_cdi_remove_run(struct infini_ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "help", no_argument, NULL, INFINI_OPTION_HELP },
		{ 0 }
	};
	const char *dir = INFINI_CDI_DIR;
	int err, option, status;

	while ((option = infini_options_next(ctl, argc, argv, options)) >= 0) {
		if (option == INFINI_OPTION_HELP)
			return infini_help_print(ctl);
		dir = optarg;
	}
	if (option == INFINI_OPTIONS_FAILED)
		return INFINI_EXIT_USAGE;
	status = infini_options_words(ctl, argc, 0, "nothing");
	if (!status)
		status = infini_cdi_absolute(ctl, "--dir", dir);
	if (status)
		return status;
	err = infini_cdi_remove(dir);
	if (err && err != -ENOENT)
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "%s/" INFINI_CDI_FILE ": %s", dir,
				   strerror(-err));
	printf("%s/" INFINI_CDI_FILE ": %s\n", dir, err ? "was not there" : "removed");
	return 0;
}

const struct infini_command infini_cdi_remove_command = {
	.name = "cdi remove",
	.args = "[--dir DIR]",
	.summary = "Take away what container runtimes read",
	.help = "Containers that run keep their vdev. infinid writes the file again when a vdev comes or\n"
		"goes, unless told not to ([cdi] in infinid.conf).\n\n"
		"  --dir DIR             where it is: /var/run/cdi (default) or /etc/cdi\n",
	.run = infini_cdi_remove_run,
};
