// SPDX-License-Identifier: GPL-2.0-or-later
/* What ps shows for a process that forked without exec. */
#include "proctitle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* The kernel lays argv and the environment out as one run of strings: the title may fill it all. */
static struct {
	char *start;
	size_t room;
} title_area;

int infini_proctitle_init(int argc, char **argv)
{
	char **moved, *end;
	size_t n = 0;

	if (argc < 1)
		return 0;
	end = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
	while (environ[n])
		n++;
	moved = calloc(n + 1, sizeof(*moved));
	if (!moved)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		moved[i] = strdup(environ[i]);
		if (!moved[i]) {
			while (i--)
				free(moved[i]);
			free(moved);
			return -ENOMEM;
		}
		if (environ[i] == end)
			end += strlen(end) + 1;
	}
	environ = moved;
	title_area.start = argv[0];
	title_area.room = (size_t)(end - argv[0]);
	return 0;
}

void infini_proctitle_set(const char *title)
{
	prctl(PR_SET_NAME, title);
	if (!title_area.room)
		return;
	memset(title_area.start, 0, title_area.room);
	memcpy(title_area.start, title, strnlen(title, title_area.room - 1));
}
