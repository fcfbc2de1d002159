// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl help at a terminal: man's page where there is one, else the summary. */
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

int infinictl_main(int argc, char **argv);

static char shelf[] = "/tmp/infini-man-XXXXXX";
static char path[64];

/* A man that knows infinictl-vdev-create and prints what it was asked for. */
static int shelf_make(void **state)
{
	FILE *man;

	(void)state;
	if (!mkdtemp(shelf))
		return -1;
	snprintf(path, sizeof(path), "%s/man", shelf);
	man = fopen(path, "w");
	if (!man)
		return -1;
	fputs("#!/bin/sh\n[ \"$1\" = -w ] && shift\n[ \"$2\" = infinictl-vdev-create ] || exit 16\n"
	      "echo \"page $2($1)\"\n", man);
	fclose(man);
	return chmod(path, 0755);
}

static int shelf_remove(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(shelf);
}

/* What "infinictl @argv" shows at a terminal with @programs for PATH. */
static void at_terminal(char **argv, const char *programs, char *shown, size_t size)
{
	size_t len = 0;
	ssize_t got;
	int master, status, argc = 0;
	pid_t child = forkpty(&master, NULL, NULL, NULL);

	assert_true(child >= 0);
	while (argv[argc])
		argc++;
	if (!child) {
		setenv("PATH", programs, 1);
		status = infinictl_main(argc, argv);
		fflush(stdout);
		_exit(status);
	}
	while (len < size - 1 && (got = read(master, shown + len, size - 1 - len)) > 0)
		len += (size_t)got;
	shown[len] = '\0';
	close(master);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void page_of_command(void **state)
{
	char shown[4096];

	(void)state;
	at_terminal((char *[]){ "infinictl", "help", "vdev", "create", NULL }, shelf, shown, sizeof(shown));
	assert_string_equal(shown, "page infinictl-vdev-create(8)\r\n");
}

static void summary_without_page(void **state)
{
	char shown[4096];

	(void)state;
	at_terminal((char *[]){ "infinictl", "help", "vdev", "list", NULL }, shelf, shown, sizeof(shown));
	assert_non_null(strstr(shown, "usage: infinictl vdev list"));
}

static void summary_without_man(void **state)
{
	char shown[8192];

	(void)state;
	at_terminal((char *[]){ "infinictl", "help", "vdev", "create", NULL }, "/nowhere", shown, sizeof(shown));
	assert_non_null(strstr(shown, "usage: infinictl vdev create"));
}

static void summary_when_asked_for(void **state)
{
	char shown[8192];

	(void)state;
	at_terminal((char *[]){ "infinictl", "vdev", "create", "--help", NULL }, shelf, shown, sizeof(shown));
	assert_non_null(strstr(shown, "usage: infinictl vdev create"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(page_of_command),
		cmocka_unit_test(summary_without_page),
		cmocka_unit_test(summary_without_man),
		cmocka_unit_test(summary_when_asked_for),
	};

	return cmocka_run_group_tests_name("help at a terminal", tests, shelf_make, shelf_remove);
}
