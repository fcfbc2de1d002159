// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl: find the command, run it, print why it failed. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

const struct infini_command *const infini_commands[] = {
	&infini_device_list_command,
	&infini_device_show_command,
	&infini_vdev_create_command,
	&infini_vdev_set_command,
	&infini_vdev_delete_command,
	&infini_vdev_list_command,
	&infini_vdev_show_command,
	&infini_run_command,
	&infini_cdi_generate_command,
	&infini_cdi_list_command,
	&infini_cdi_remove_command,
	&infini_stats_command,
	&infini_bill_command,
	&infini_events_command,
	&infini_doctor_command,
	&infini_help_command,
	NULL
};

/* How many words of @argv are @name; 0 when it is another command. */
static int infini_command_words(const char *name, int argc, char **argv)
{
	int words = 0;

	while (*name) {
		size_t len = strcspn(name, " ");

		if (words + 1 >= argc || strlen(argv[words + 1]) != len ||
		    strncmp(argv[words + 1], name, len))
			return 0;
		words++;
		name += len + (name[len] == ' ');
	}
	return words;
}

static bool infini_is_help(const char *word)
{
	return !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* Commands of two words begin with @word. */
static bool infini_is_group(const char *word)
{
	size_t len = strlen(word);

	for (const struct infini_command *const *c = infini_commands; *c; c++)
		if (!strncmp((*c)->name, word, len) && (*c)->name[len] == ' ')
			return true;
	return false;
}

static int infini_fail_unknown_command(struct infini_ctl *ctl, int argc, char **argv)
{
	const char *near = NULL;
	size_t best, distance;
	char typed[64];

	snprintf(typed, sizeof(typed), "%s%s%s", argv[1], argc > 2 ? " " : "",
		 argc > 2 ? argv[2] : "");
	best = infini_near_bound(typed);
	for (const struct infini_command *const *c = infini_commands; *c; c++) {
		bool two = strchr((*c)->name, ' ');

		distance = infini_near_distance(two ? typed : argv[1], (*c)->name);
		if (distance >= best)
			continue;
		best = distance;
		near = (*c)->name;
	}
	if (near)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "no command \"%s\": did you mean \"infinictl %s\"?", typed, near);
	return infini_fail(ctl, INFINI_EXIT_USAGE,
			   "no command \"%s\": infinictl help lists the commands", typed);
}

static int infini_ctl_run(struct infini_ctl *ctl, int argc, char **argv)
{
	if (argc < 2)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "say what to do: infinictl help lists the commands");
	if (!strcmp(argv[1], "--version")) {
		puts("infinictl " INFINI_VERSION);
		return 0;
	}
	if (infini_is_help(argv[1]))
		return infini_help_command.run(ctl, 1, argv);
	for (const struct infini_command *const *c = infini_commands; *c; c++) {
		int words = infini_command_words((*c)->name, argc, argv);

		if (!words)
			continue;
		ctl->command = *c;
		return (*c)->run(ctl, argc - words, argv + words);
	}
	if (infini_is_group(argv[1]) && argc == 2)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "%s: say what to do: see infinictl help %s", argv[1], argv[1]);
	if (infini_is_group(argv[1]) && infini_is_help(argv[2]))
		return infini_help_command.run(ctl, 2, argv);
	return infini_fail_unknown_command(ctl, argc, argv);
}

int main(int argc, char **argv)
{
	struct infini_ctl ctl = { 0 };
	int status = infini_ctl_run(&ctl, argc, argv);

	infini_admin_close(ctl.admin);
	if (!status && (fflush(stdout) || ferror(stdout)))
		status = infini_fail(&ctl, INFINI_EXIT_FAILURE, "standard output: write error");
	if (status)
		fprintf(stderr, "infinictl: %s\n", ctl.error);
	return status;
}
