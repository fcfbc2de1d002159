// SPDX-License-Identifier: GPL-2.0-or-later
/* The manual page of a command, shown by man(1) to people at a terminal. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"

#define SECTION	"8"

/* The words of a command are joined by dashes in the name of its page: infinictl-vdev-create. */
static void infini_manual_name(const char *command, char *name, size_t size)
{
	snprintf(name, size, "infinictl-%s", command);
	for (; *name; name++)
		if (*name == ' ')
			*name = '-';
}

/* man with @argv, without a word of its own when @quiet; whether it ended with 0. */
static bool infini_manual_run(char *const *argv, bool quiet)
{
	pid_t child = fork();
	int status, null;

	if (!child) {
		null = quiet ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
		if (null >= 0) {
			dup2(null, STDOUT_FILENO);
			dup2(null, STDERR_FILENO);
		}
		execvp("man", argv);
		_exit(127);
	}
	return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

bool infini_manual_show(const char *command)
{
	char name[64];

	if (!isatty(fileno(stdout)))
		return false;
	infini_manual_name(command, name, sizeof(name));
	return infini_manual_run((char *[]){ "man", "-w", SECTION, name, NULL }, true) &&
	       infini_manual_run((char *[]){ "man", SECTION, name, NULL }, false);
}
