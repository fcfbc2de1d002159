// SPDX-License-Identifier: GPL-2.0-or-later
/* Options of a command, and clear words about wrong ones. */
#include <string.h>

#include "ctl.h"

static const char *infini_options_near(const char *word, const struct option *options)
{
	size_t best = infini_near_bound(word), distance;
	const char *near = NULL;

	for (; options->name; options++) {
		distance = infini_near_distance(word, options->name);
		if (distance >= best)
			continue;
		best = distance;
		near = options->name;
	}
	return near;
}

static int infini_options_unknown(struct infini_ctl *ctl, const char *word,
				  const struct option *options)
{
	const char *command = ctl->command->name, *near = NULL;
	char name[64];

	if (!strncmp(word, "--", 2)) {
		size_t len = strcspn(word + 2, "=");

		if (len < sizeof(name)) {
			memcpy(name, word + 2, len);
			name[len] = '\0';
			near = infini_options_near(name, options);
		}
	}
	if (near)
		infini_fail(ctl, INFINI_EXIT_USAGE,
			    "%s: unknown option \"%s\": did you mean \"--%s\"?", command, word, near);
	else
		infini_fail(ctl, INFINI_EXIT_USAGE,
			    "%s: unknown option \"%s\": see infinictl help %s", command, word,
			    command);
	return INFINI_OPTIONS_FAILED;
}

int infini_options_next(struct infini_ctl *ctl, int argc, char **argv, const struct option *options)
{
	int at = optind ? optind : 1;
	int option;

	opterr = 0;
	option = getopt_long(argc, argv, ":h", options, NULL);
	if (option == ':') {
		infini_fail(ctl, INFINI_EXIT_USAGE, "%s: option \"%s\" needs a value",
			    ctl->command->name, argv[optind - 1]);
		return INFINI_OPTIONS_FAILED;
	}
	if (option == '?')
		return infini_options_unknown(ctl, argv[optind > at ? optind - 1 : at], options);
	return option;
}

bool infini_options_json(struct infini_ctl *ctl, int argc, char **argv, bool *json, int *status)
{
	static const struct option options[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, INFINI_OPTION_HELP },
		{ 0 }
	};
	int option;

	*json = false;
	*status = 0;
	while ((option = infini_options_next(ctl, argc, argv, options)) >= 0) {
		if (option == INFINI_OPTION_HELP) {
			*status = infini_help_print(ctl);
			return false;
		}
		*json = true;
	}
	if (option == INFINI_OPTIONS_FAILED)
		*status = INFINI_EXIT_USAGE;
	return !*status;
}

int infini_options_words(struct infini_ctl *ctl, int argc, int nr, const char *what)
{
	int got = argc - optind;

	if (got == nr)
		return 0;
	if (!nr)
		return infini_fail(ctl, INFINI_EXIT_USAGE, "%s takes no arguments: see infinictl help %s",
				   ctl->command->name, ctl->command->name);
	return infini_fail(ctl, INFINI_EXIT_USAGE, "%s takes %s, %s: see infinictl help %s",
			   ctl->command->name, what, got < nr ? "which is missing" : "no more",
			   ctl->command->name);
}
