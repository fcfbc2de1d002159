// SPDX-License-Identifier: GPL-2.0-or-later
/* libinfini's way to a client: paths, environment, roles. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"
#include "infini.h"

#define CLIENT	55

static const struct open_row {
	const char *name;
	const char *path, *env;
	int err;
	const char *opened;
} open_rows[] = {
	{ "open: the path given", "/dev/infini3", "/dev/infini7", 0, "/dev/infini3" },
	{ "open: $INFINI_DEVICE", NULL, "/dev/infini7", 0, "/dev/infini7" },
	{ "open: an empty $INFINI_DEVICE is none", NULL, "", 0, "/dev/infini" },
	{ "open: /dev/infini", NULL, NULL, 0, "/dev/infini" },
	{ "open: module not loaded", NULL, NULL, ENOENT, "/dev/infini" },
	{ "open: not allowed", NULL, NULL, EACCES, "/dev/infini" },
	{ "open: interrupted", NULL, NULL, EINTR, "/dev/infini" },
};

static void environment(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

static void test_open(void **state)
{
	const struct open_row *row = *state;

	fake_reset();
	fake.open_errno = row->err;
	environment("INFINI_DEVICE", row->env);
	assert_int_equal(infini_open(row->path), row->err ? -row->err : FAKE_FD);
	assert_string_equal(fake.path, row->opened);
	assert_int_equal(fake.nr_opens, 1);
	assert_int_equal(fake.open_flags & (O_ACCMODE | O_CLOEXEC), O_RDWR | O_CLOEXEC);
}

/* @by: what VDEV_OPEN gets, "#7" for an id; NULL when it must not be called. */
static const struct client_row {
	const char *name;
	uint32_t role;
	const char *vdev, *env;
	const char *by;
	int fail;
	unsigned long fail_cmd;
	int result;
} client_rows[] = {
	{ "client: by name", INFINI_ROLE_CONTROL, "a", "b", "a", 0, 0, CLIENT },
	{ "client: by id", INFINI_ROLE_CONTROL, "7", NULL, "#7", 0, 0, CLIENT },
	{ "client: a name that begins with a digit", INFINI_ROLE_CONTROL, "7b", NULL, "7b", 0, 0,
	  CLIENT },
	{ "client: $INFINI_VDEV", INFINI_ROLE_CONTROL, NULL, "b", "b", 0, 0, CLIENT },
	{ "client: none named", INFINI_ROLE_CONTROL, NULL, NULL, NULL, 0, 0, -EDESTADDRREQ },
	{ "client: an empty $INFINI_VDEV is none", INFINI_ROLE_CONTROL, NULL, "", NULL, 0, 0,
	  -EDESTADDRREQ },
	{ "client: an empty name is none", INFINI_ROLE_CONTROL, "", "b", NULL, 0, 0,
	  -EDESTADDRREQ },
	{ "client: an id too large", INFINI_ROLE_CONTROL, "4294967296", NULL, NULL, 0, 0,
	  -ENOENT },
	{ "client: an id of forty digits", INFINI_ROLE_CONTROL,
	  "1111111111111111111111111111111111111111", NULL, NULL, 0, 0, -ENOENT },
	{ "client: unknown vdev", INFINI_ROLE_CONTROL, "a", NULL, "a", ENOENT,
	  INFINI_IOC_VDEV_OPEN, -ENOENT },
	{ "client: somebody else's vdev", INFINI_ROLE_CONTROL, "a", NULL, "a", EACCES,
	  INFINI_IOC_VDEV_OPEN, -EACCES },
	{ "client: a vdev's own node", INFINI_ROLE_CLIENT, NULL, "b", NULL, 0, 0, FAKE_FD },
	{ "client: a vdev's own node, empty name", INFINI_ROLE_CLIENT, "", NULL, NULL, 0, 0,
	  FAKE_FD },
	{ "client: a vdev's own node and a name", INFINI_ROLE_CLIENT, "a", NULL, NULL, 0, 0,
	  -EINVAL },
	{ "client: an executor file", INFINI_ROLE_EXECUTOR, "a", NULL, NULL, 0, 0, -EINVAL },
	{ "client: not a node of Infini", INFINI_ROLE_CONTROL, "a", NULL, NULL, ENOTTY,
	  INFINI_IOC_QUERY, -ENOTTY },
};

static uint32_t role;

static void fill_client(unsigned long cmd, void *arg)
{
	if (cmd == INFINI_IOC_QUERY)
		((struct infini_query *)arg)->role = role;
	if (cmd == INFINI_IOC_VDEV_OPEN)
		((struct infini_vdev_open *)arg)->fd = CLIENT;
}

static void test_client(void **state)
{
	const struct client_row *row = *state;
	const struct infini_vdev_open *in = (void *)fake.ioctls[1].arg;

	fake_reset();
	role = row->role;
	fake.fill = fill_client;
	fake.ioctl_errno = row->fail;
	fake.ioctl_errno_of = row->fail_cmd;
	environment("INFINI_DEVICE", NULL);
	environment("INFINI_VDEV", row->env);
	assert_int_equal(infini_client_open(NULL, row->vdev), row->result);
	assert_int_equal(fake.nr_ioctls, row->by ? 2 : 1);
	if (row->by && *row->by == '#') {
		assert_int_equal(in->id, atoi(row->by + 1));
		assert_int_equal(in->name[0], 0);
	} else if (row->by) {
		assert_string_equal((const char *)in->name, row->by);
	}
	/* The control file is closed whatever came of it; a client is not. */
	assert_int_equal(fake.nr_closes, row->result == FAKE_FD ? 0 : 1);
	if (fake.nr_closes)
		assert_int_equal(fake.closed_fd, FAKE_FD);
}

static void test_client_no_module(void **state)
{
	(void)state;
	fake_reset();
	fake.open_errno = ENOENT;
	assert_int_equal(infini_client_open(NULL, "a"), -ENOENT);
	assert_int_equal(fake.nr_ioctls, 0);
	assert_int_equal(fake.nr_closes, 0);
}

#define NR_OPEN		(sizeof(open_rows) / sizeof(*open_rows))
#define NR_CLIENT	(sizeof(client_rows) / sizeof(*client_rows))

int main(void)
{
	struct CMUnitTest tests[NR_OPEN + NR_CLIENT + 1];

	for (size_t i = 0; i < NR_OPEN; i++)
		tests[i] = (struct CMUnitTest){ open_rows[i].name, test_open, NULL, NULL,
						(void *)&open_rows[i] };
	for (size_t i = 0; i < NR_CLIENT; i++)
		tests[NR_OPEN + i] = (struct CMUnitTest){ client_rows[i].name, test_client, NULL,
							  NULL, (void *)&client_rows[i] };
	tests[NR_OPEN + NR_CLIENT] = (struct CMUnitTest)cmocka_unit_test(test_client_no_module);
	return cmocka_run_group_tests_name("open", tests, NULL, NULL);
}
