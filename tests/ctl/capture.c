// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl run inside the test, with what it prints. */
#include "capture.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX	40

int infinictl_main(int argc, char **argv);

char *out, *err;

int capture_run(const char *line)
{
	char words[640], *argv[WORDS_MAX], *rest = words;
	FILE *old_out = stdout, *old_err = stderr;
	size_t out_size, err_size;
	int argc = 0, status;

	free(out);
	free(err);
	snprintf(words, sizeof(words), "infinictl %s", line);
	while ((argv[argc] = strsep(&rest, " ")))
		if (*argv[argc])
			argc++;
	optind = 0;
	stdout = open_memstream(&out, &out_size);
	stderr = open_memstream(&err, &err_size);
	status = infinictl_main(argc, argv);
	fclose(stdout);
	fclose(stderr);
	stdout = old_out;
	stderr = old_err;
	return status;
}
