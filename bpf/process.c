// SPDX-License-Identifier: GPL-2.0-only
/* Names of processes. */
#include "process.h"
#include "printable.h"

#include <stdio.h>
#include <string.h>

const char *process_name(int pid, char name[PROCESS_NAME])
{
	char path[64];
	FILE *file;

	name[0] = '\0';
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	file = fopen(path, "re");
	if (file) {
		if (!fgets(name, PROCESS_NAME, file))
			name[0] = '\0';
		fclose(file);
	}
	name[strcspn(name, "\n")] = '\0';
	printable(name);
	return name[0] ? name : strcpy(name, "(ended)");
}
