// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl help [topic]: what there is, and how to use it. */
#include <stdio.h>
#include <string.h>

#include "ctl.h"

static const char help_units[] =
	"Sizes are a number and a unit: K, M, G, T (or KiB, ...) count in 1024s, KB, MB, GB, TB\n"
	"in 1000s; without a unit a size is in bytes: 512M, 1.5GiB, 2GB.\n"
	"Times are a number and a unit: ns, us, ms, s, min: 250us, 2ms.\n"
	"Parts of a device's time are percentages of all its slots: 20%, 12.5%; none is none.\n"
	"Token rates are per second, each token counted once, prompts too: 100 or 100/s.\n"
	"Modes are octal: 0660. Owners are USER or USER:GROUP, by name or number.\n"
	"A vdev or device is named by its name, or by its id, which is all digits.\n";

static const char help_json[] =
	"--json prints what a listing shows, and more, as JSON: an array for a list, an object for\n"
	"one thing, and for events and stats --watch one object per line. Values are in the unit\n"
	"their names end with (_ns, _bytes, _ppm: millionths of the device's time, _mc: thousandths of\n"
	"a degree Celsius, _uw: microwatts); null is not known; counters count since the vdev was\n"
	"created; the waits in queue_wait_hist (vdev show, stats) are in four buckets to an octave:\n"
	"bucket i holds waits of at least 2^(i/4) * (4 + i%4) / 4 ns.\n";

static const struct {
	const char *name;
	const char *text;
} help_topics[] = {
	{ "units", help_units },
	{ "json", help_json },
};

static void infini_help_command_print(const struct infini_command *command)
{
	printf("usage: infinictl %s%s%s\n\n%s.\n", command->name, *command->args ? " " : "",
	       command->args, command->summary);
	if (command->help)
		printf("\n%s", command->help);
}

int infini_help_print(const struct infini_ctl *ctl)
{
	infini_help_command_print(ctl->command);
	return 0;
}

static int infini_help_overview(void)
{
	printf("usage: infinictl COMMAND [OPTION...]\n\n"
	       "Controls Infini: virtual devices, each a slice of an accelerator's memory and time.\n\n");
	for (const struct infini_command *const *c = infini_commands; *c; c++)
		printf("  %-14s %s\n", (*c)->name, (*c)->summary);
	printf("\nTopics:");
	for (size_t i = 0; i < sizeof(help_topics) / sizeof(*help_topics); i++)
		printf(" %s", help_topics[i].name);
	printf("\n\nA first vdev: infinictl vdev create a --memory 2G --weight 300\n");
	return 0;
}

/* The words of the topic as one: "vdev create". */
static void infini_help_join(int argc, char **argv, char *topic, size_t size)
{
	size_t len = 0;

	topic[0] = '\0';
	for (int i = 1; i < argc && len < size; i++)
		len += snprintf(topic + len, size - len, "%s%s", i > 1 ? " " : "", argv[i]);
}

static int infini_help_run(struct infini_ctl *ctl, int argc, char **argv)
{
	char topic[64];
	bool found = false;

	if (argc < 2)
		return infini_help_overview();
	infini_help_join(argc, argv, topic, sizeof(topic));
	for (size_t i = 0; i < sizeof(help_topics) / sizeof(*help_topics); i++)
		if (!strcmp(topic, help_topics[i].name)) {
			fputs(help_topics[i].text, stdout);
			return 0;
		}
	for (const struct infini_command *const *c = infini_commands; *c; c++) {
		size_t len = strlen(topic);

		if (strncmp((*c)->name, topic, len) || ((*c)->name[len] && (*c)->name[len] != ' '))
			continue;
		if (!(*c)->name[len] && infini_manual_show(topic))
			return 0;
		if (found)
			putchar('\n');
		infini_help_command_print(*c);
		found = true;
	}
	if (!found)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "no help on \"%s\": infinictl help lists what there is", topic);
	return 0;
}

const struct infini_command infini_help_command = {
	.name = "help",
	.args = "[COMMAND | TOPIC]",
	.summary = "Show what there is, or how to use it",
	.run = infini_help_run,
};
