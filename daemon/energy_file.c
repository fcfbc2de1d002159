// SPDX-License-Identifier: GPL-2.0-or-later
/* Files of sysfs that hold one line. */
#include "energy_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int infini_energy_file_text(const char *path, char *text, size_t bytes)
{
	FILE *file = fopen(path, "re");
	int ret = 0;

	if (!file)
		return -errno;
	if (!fgets(text, (int)bytes, file))
		ret = ferror(file) ? -EIO : -ENODATA;
	else
		text[strcspn(text, "\n")] = '\0';
	fclose(file);
	return ret;
}

int infini_energy_file_u64(const char *path, uint64_t *value)
{
	unsigned long long number;
	char text[32], *end;
	int ret = infini_energy_file_text(path, text, sizeof(text));

	if (ret)
		return ret;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (errno || *end || text[0] < '0' || text[0] > '9')
		return -EINVAL;
	*value = number;
	return 0;
}
