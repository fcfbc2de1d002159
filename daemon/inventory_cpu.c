// SPDX-License-Identifier: GPL-2.0-or-later
/* Who made the processor: what a device that is the processor itself has for a vendor. */
#include "inventory.h"

#include <stdio.h>
#include <string.h>

/* "vendor_id\t: GenuineIntel\n": the value, when @line is about @key and nothing is known of it. */
static void take(const char *line, const char *key, char *value, size_t bytes)
{
	size_t length = strlen(key);
	const char *from;

	if (value[0] || strncmp(line, key, length))
		return;
	from = line + length + strspn(line + length, " \t");
	if (*from++ != ':')
		return;
	from += strspn(from, " \t");
	snprintf(value, bytes, "%.*s", (int)strcspn(from, "\n"), from);
}

void infini_inventory_cpu_read(struct infini_inventory_cpu *cpu,
			       const struct infini_inventory_where *where)
{
	char path[PATH_MAX], line[512];
	FILE *file;

	memset(cpu, 0, sizeof(*cpu));
	snprintf(path, sizeof(path), "%s/cpuinfo", where->proc);
	file = fopen(path, "re");
	if (!file)
		return;
	while ((!cpu->vendor[0] || !cpu->model[0]) && fgets(line, sizeof(line), file)) {
		take(line, "vendor_id", cpu->vendor, sizeof(cpu->vendor));
		take(line, "model name", cpu->model, sizeof(cpu->model));
	}
	fclose(file);
}
