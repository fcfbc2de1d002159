// SPDX-License-Identifier: LGPL-2.1-or-later
/* Containers, as their runtimes call the control groups that they make. */
#include "container.h"

#include <stdio.h>
#include <string.h>

#include "printable.h"

#define ID_DIGITS	64

static bool infini_container_is_id(const char *word)
{
	return strspn(word, "0123456789abcdef") == ID_DIGITS;
}

static void infini_container_set(struct infini_container *container, const char *path,
				 const char *word, const char *id, const char *end)
{
	/* Without the dash between. */
	int maker = id - word > 1 ? id - word - 1 : 0;

	snprintf(container->runtime, sizeof(container->runtime), "%.*s", maker, word);
	if (!maker)
		strcpy(container->runtime, "container");
	snprintf(container->id, sizeof(container->id), "%.*s", (int)sizeof(container->id) - 1, id);
	snprintf(container->cgroup, sizeof(container->cgroup), "%.*s", (int)(end - path), path);
	printable(container->runtime);
	printable(container->cgroup);
}

/* Runtimes write MAKER-ID, MAKER-ID.scope or ID alone; the group above such a one has no id. */
bool infini_container_parse(const char *path, struct infini_container *container)
{
	const char *word = path, *id, *end;

	for (; *word; word = end) {
		word += *word == '/';
		id = word;
		end = word + strcspn(word, "/");
		while (id < end && !infini_container_is_id(id))
			id += strcspn(id, "-/") + (id[strcspn(id, "-/")] == '-');
		if (id < end) {
			infini_container_set(container, path, word, id, end);
			return true;
		}
	}
	return false;
}
