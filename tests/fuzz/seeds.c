// SPDX-License-Identifier: GPL-2.0-or-later
/* The beginning of every target: with FUZZ_SEEDS=FOLDER it writes its seeds there and ends. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

static const char *folder;
static unsigned int nr_seeds;

void fuzz_seed(const void *data, size_t bytes)
{
	char path[4096];
	FILE *file;

	snprintf(path, sizeof(path), "%s/seed-%03u", folder, nr_seeds++);
	file = fopen(path, "w");
	if (!file || fwrite(data, 1, bytes, file) != bytes || fclose(file)) {
		perror(path);
		exit(1);
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	folder = getenv("FUZZ_SEEDS");
	if (folder) {
		fuzz_seeds();
		exit(0);
	}
	fuzz_begin();
	return 0;
}
