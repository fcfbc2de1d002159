// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl run: what becomes of the words of the command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ctl.h"

#define VDEV	"infini.dev/vdev=job"
#define WORDS	16

static const struct row {
	const char *command;
	const char *want;
	bool cdi;
} rows[] = {
	{ "llama-completion -m model.gguf", "llama-completion -m model.gguf", false },
	{ "podman run IMAGE echo hello",
	  "podman run --cgroups=split --device=" VDEV " IMAGE echo hello", true },
	{ "/usr/bin/podman --log-level debug container run -d IMAGE",
	  "/usr/bin/podman --log-level debug container run --cgroups=split --device=" VDEV
	  " -d IMAGE", true },
	/* Who says where the vdev goes needs the group all the same. */
	{ "podman run --device {} IMAGE", "podman run --cgroups=split --device " VDEV " IMAGE", true },
	{ "podman run --cgroups=no-conmon IMAGE",
	  "podman run --cgroups=split --device=" VDEV " --cgroups=no-conmon IMAGE", true },
	{ "podman run --cgroup-parent {cgroup} IMAGE",
	  "podman run --device=" VDEV " --cgroup-parent infini/job IMAGE", true },
	{ "podman run --cgroup-parent={cgroup} --device={} IMAGE",
	  "podman run --cgroup-parent=infini/job --device=" VDEV " IMAGE", true },
	{ "podman ps", "podman ps", false },
	{ "podman exec box run", "podman exec box run", false },
	{ "podman", "podman", false },
	{ "docker run --device {} --cgroup-parent {cgroup} IMAGE",
	  "docker run --device " VDEV " --cgroup-parent infini/job IMAGE", true },
	{ "sh -c x={}{}:{cgroup}{", "sh -c x=" VDEV VDEV ":infini/job{", true },
};

static void split(char *text, char **words)
{
	int nr = 0;

	for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
		assert_true(nr < WORDS - 1);
		words[nr++] = word;
	}
	words[nr] = NULL;
}

static void test_words(void **state)
{
	char text[256], got[512], *argv[WORDS], **words;
	bool cdi;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		strcpy(text, rows[i].command);
		split(text, argv);
		words = infini_run_words(argv, "job", "infini/job", &cdi);
		assert_non_null(words);
		got[0] = '\0';
		for (int w = 0; words[w]; w++) {
			strcat(got, w ? " " : "");
			strcat(got, words[w]);
			if (strstr(words[w], VDEV) || strstr(words[w], "infini/job"))
				free(words[w]);
		}
		if (strcmp(got, rows[i].want))
			fail_msg("\"%s\" is \"%s\"", rows[i].command, got);
		assert_int_equal(cdi, rows[i].cdi);
		free(words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
