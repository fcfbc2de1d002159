// SPDX-License-Identifier: GPL-2.0-or-later
/* Which container a control group belongs to: what runtimes call theirs, and what looks like it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "container.h"
#include "printable.h"

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct row {
	const char *path;
	const char *name;		/* NULL: no container */
} rows[] = {
	{ "/libpod_parent/libpod-" ID, "libpod 0123456789ab" },
	{ "/machine.slice/libpod-" ID ".scope/container", "libpod 0123456789ab" },
	{ "/infini/run-0badcafe/libpod-payload-" ID, "libpod-payload 0123456789ab" },
	{ "/system.slice/docker-" ID ".scope", "docker 0123456789ab" },
	{ "/docker/" ID, "container 0123456789ab" },
	{ "/k8s.io/" ID, "container 0123456789ab" },
	{ "/kubepods.slice/kubepods-besteffort.slice/cri-containerd-" ID ".scope",
	  "cri-containerd 0123456789ab" },
	{ "/kubepods/besteffort/pod1/crio-" ID, "crio 0123456789ab" },
	{ "/libpod-" ID "/inner/libpod-fedcba9876543210" ID, "libpod 0123456789ab" },
	{ "/", NULL },
	{ "", NULL },
	{ "//", NULL },
	{ "/user.slice/user-0.slice/session-3.scope", NULL },
	{ "/libpod-0123456789abcdef", NULL },
	{ "/libpod-" ID "0", NULL },
	{ "/x" ID, NULL },
	{ "/-", NULL },
	{ "/a-/-b", NULL },
};

static void test_names(void **state)
{
	char name[64];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bool found = container_name(rows[i].path, name, sizeof(name));

		if (found != !!rows[i].name || (found && strcmp(name, rows[i].name)))
			fail_msg("\"%s\" is \"%s\"", rows[i].path, found ? name : "none");
	}
}

static void test_short_room(void **state)
{
	char name[8];

	(void)state;
	assert_true(container_name("/libpod-" ID, name, sizeof(name)));
	assert_string_equal(name, "libpod ");
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
		cmocka_unit_test(test_short_room),
		cmocka_unit_test(test_printable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
