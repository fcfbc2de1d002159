// SPDX-License-Identifier: GPL-2.0-or-later
/* Which container a control group belongs to: what runtimes call theirs, and what looks like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "container.h"
#include "printable.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct row {
	const char *path;
	const char *name;		/* NULL: no container */
	const char *cgroup;		/* NULL: the whole path */
} rows[] = {
	{ "/libpod_parent/libpod-" ID, "libpod 0123456789ab", NULL },
	{ "/machine.slice/libpod-" ID ".scope/container", "libpod 0123456789ab",
	  "/machine.slice/libpod-" ID ".scope" },
	{ "/infini/run-0badcafe/libpod-payload-" ID, "libpod-payload 0123456789ab", NULL },
	{ "/system.slice/docker-" ID ".scope", "docker 0123456789ab", NULL },
	{ "/docker/" ID, "container 0123456789ab", NULL },
	{ "/k8s.io/" ID, "container 0123456789ab", NULL },
	{ "/-" ID, "container 0123456789ab", NULL },
	{ "/kubepods.slice/kubepods-besteffort.slice/cri-containerd-" ID ".scope",
	  "cri-containerd 0123456789ab", NULL },
	{ "/kubepods/besteffort/pod1/crio-" ID, "crio 0123456789ab", NULL },
	{ "/libpod-" ID "/inner/libpod-fedcba9876543210" ID, "libpod 0123456789ab",
	  "/libpod-" ID },
	{ "/libpod-" ID "/" ID, "libpod 0123456789ab", "/libpod-" ID },
	{ "/a\033[2J\n\377-" ID, "a?[2J?\? 0123456789ab", "/a?[2J?\?-" ID },
	{ "/", NULL, NULL },
	{ "", NULL, NULL },
	{ "//", NULL, NULL },
	{ "/user.slice/user-0.slice/session-3.scope", NULL, NULL },
	{ "/libpod-0123456789abcdef", NULL, NULL },
	{ "/libpod-" ID "0", NULL, NULL },
	{ "/x" ID, NULL, NULL },
	{ "/-", NULL, NULL },
	{ "/a-/-b", NULL, NULL },
};

static void test_names(void **state)
{
	struct infini_container container;
	char name[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct row *row = &rows[i];
		bool found = infini_container_parse(row->path, &container);

		if (found != !!row->name)
			fail_msg("\"%s\" is %s container", row->path, found ? "a" : "no");
		if (!found)
			continue;
		snprintf(name, sizeof(name), "%s %s", container.runtime, container.id);
		assert_string_equal(name, row->name);
		assert_string_equal(container.cgroup, row->cgroup ? row->cgroup : row->path);
	}
}

static void test_long_names(void **state)
{
	struct infini_container container;
	char path[1024];

	(void)state;
	snprintf(path, sizeof(path), "/%0300d/%0200d-" ID, 0, 0);
	assert_true(infini_container_parse(path, &container));
	assert_int_equal(strlen(container.runtime), sizeof(container.runtime) - 1);
	assert_int_equal(strlen(container.cgroup), sizeof(container.cgroup) - 1);
	assert_string_equal(container.id, "0123456789ab");
}

static void test_printable(void **state)
{
	char name[] = "a\033[2Jb\n\377";

	(void)state;
	printable(name);
	assert_string_equal(name, "a?[2Jb??");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
