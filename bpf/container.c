// SPDX-License-Identifier: GPL-2.0-only
/* Containers, as their runtimes call the control groups that they make. */
#include "container.h"

#include <stdio.h>
#include <string.h>

#define ID_DIGITS	64
#define ID_SHOWN	12

static bool is_id(const char *word)
{
	return strspn(word, "0123456789abcdef") == ID_DIGITS;
}

/*
 * Runtimes write MAKER-ID, MAKER-ID.scope or ID alone; the group above such a one has no id. What
 * lies deeper was made by the container itself.
 */
bool container_name(const char *path, char *name, size_t size)
{
	const char *word = path, *id, *last;

	for (; *word; word += strcspn(word, "/")) {
		word += *word == '/';
		id = word;
		last = word + strcspn(word, "/");
		while (id < last && !is_id(id))
			id += strcspn(id, "-/") + (id[strcspn(id, "-/")] == '-');
		if (id >= last)
			continue;
		if (id > word)
			snprintf(name, size, "%.*s %.*s", (int)(id - word - 1), word, ID_SHOWN, id);
		else
			snprintf(name, size, "container %.*s", ID_SHOWN, id);
		return true;
	}
	return false;
}
