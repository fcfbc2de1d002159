// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl run: the words of the command, with the vdev put in. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdi.h"
#include "ctl.h"

#define ADDED	2	/* words, at most */

static const char *infini_run_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static bool infini_run_has(char **argv, const char *part)
{
	for (int i = 1; argv[i]; i++)
		if (strstr(argv[i], part))
			return true;
	return false;
}

/* @text with every "{}" and "{cgroup}" in place; the text itself when there is none. */
static char *infini_run_expand(char *text, const char *name, const char *group)
{
	char *expanded = NULL;
	size_t length;
	FILE *out;

	if (!strstr(text, "{}") && !strstr(text, "{cgroup}"))
		return text;
	out = open_memstream(&expanded, &length);
	if (!out)
		return NULL;
	while (*text) {
		if (!strncmp(text, "{}", 2)) {
			fprintf(out, INFINI_CDI_KIND "=%s", name);
			text += 2;
		} else if (!strncmp(text, "{cgroup}", 8)) {
			fputs(group, out);
			text += 8;
		} else {
			putc(*text++, out);
		}
	}
	return fclose(out) ? NULL : expanded;
}

/* Where "podman run" has its "run"; 0 when it is something else. */
static int infini_run_podman(char **argv)
{
	int at = 1;

	if (strcmp(infini_run_base(argv[0]), "podman"))
		return 0;
	/* Past options, with a value each perhaps, and the word of "podman container run". */
	while (argv[at] && strcmp(argv[at], "run")) {
		if (argv[at][0] != '-' && argv[at - 1][0] != '-' && strcmp(argv[at], "container"))
			return 0;
		at++;
	}
	return argv[at] ? at : 0;
}

/*
 * podman is told to put the container and its monitor below the group it is in: elsewhere they
 * could not open the vdev, and would outlive it. An option that stands later goes before ours, but
 * for --cgroup-parent, which podman takes alone.
 */
static int infini_run_add(char **words, char **argv)
{
	static char split[] = "--cgroups=split", device[] = "--device={}";
	int nr = 0;

	if (!infini_run_has(argv, "--cgroup-parent"))
		words[nr++] = split;
	if (!infini_run_has(argv, "{}"))
		words[nr++] = device;
	return nr;
}

char **infini_run_words(char **argv, const char *name, const char *group, bool *cdi)
{
	int podman = infini_run_podman(argv), argc = 0, nr = 0;
	char **words;

	while (argv[argc])
		argc++;
	words = calloc(argc + ADDED + 1, sizeof(*words));
	if (!words)
		return NULL;
	*cdi = podman || infini_run_has(argv, "{}");
	for (int i = 0; i < argc; i++) {
		words[nr++] = argv[i];
		if (podman && i == podman)
			nr += infini_run_add(words + nr, argv);
	}
	for (int i = 0; i < nr; i++) {
		words[i] = infini_run_expand(words[i], name, group);
		if (!words[i])
			return NULL;
	}
	return words;
}
