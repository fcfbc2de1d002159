// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs of one kernel: what libinfini uploads, and the arguments of a job. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "infini-kernel.h"

static uint8_t uploaded[4096];
static size_t uploaded_bytes;
static uint32_t uploaded_format;

int infini_program_create(int fd, uint32_t format, const void *data, size_t bytes,
			  uint32_t *handle)
{
	if (fd != 5)
		return -EBADF;
	assert_true(bytes <= sizeof(uploaded));
	memcpy(uploaded, data, bytes);
	uploaded_bytes = bytes;
	uploaded_format = format;
	*handle = 9;
	return 0;
}

static const struct infini_kernel_param params[] = {
	INFINI_PARAM_SCALAR(4),
	INFINI_PARAM_BUFFER(2, INFINI_ACCESS_READ),
	INFINI_PARAM_SCALAR(12),
	INFINI_PARAM_LOCAL(256),
	INFINI_PARAM_SCALAR(8),
};

static const struct infini_kernel kernel = {
	.format = INFINI_FORMAT_OPENCL_C,
	.flags = INFINI_KERNEL_F_CUTTABLE,
	.name = "name",
	.text = "text",
	.options = "-w",
	.params = params,
	.nr_params = 5,
};

static void program_has_its_parts(void **state)
{
	const struct infini_kernel_program *head = (void *)uploaded;
	const struct infini_kernel_param *got = (void *)(uploaded + sizeof(*head));
	uint32_t handle = 0;

	(void)state;
	assert_int_equal(infini_kernel_create(5, &kernel, &handle), 0);
	assert_int_equal(handle, 9);
	assert_int_equal(uploaded_format, INFINI_FORMAT_OPENCL_C);
	assert_int_equal(uploaded_bytes, sizeof(*head) + sizeof(params) + 6);
	assert_int_equal(head->magic, INFINI_KERNEL_MAGIC);
	assert_int_equal(head->version, INFINI_KERNEL_VERSION);
	assert_int_equal(head->flags, INFINI_KERNEL_F_CUTTABLE);
	assert_int_equal(head->nr_params, 5);
	assert_int_equal(head->nr_bindings, 3);
	assert_int_equal(head->options_bytes, 2);
	assert_int_equal(head->text_bytes, 4);
	assert_string_equal((const char *)head->name, "name");
	/* Scalars have places of their own, each at a multiple of 8. */
	assert_int_equal(got[0].index, 0);
	assert_int_equal(got[1].index, 2);
	assert_int_equal(got[2].index, 8);
	assert_int_equal(got[3].index, 0);
	assert_int_equal(got[4].index, 24);
	assert_memory_equal(&got[5], "-wtext", 6);
}

static void arguments_have_their_places(void **state)
{
	const struct infini_kernel_run range = { .groups = { 1, 2, 3 }, .items = { 4, 5, 6 } };
	const uint32_t first = 0x11223344;
	const uint64_t last = 0x5566778899aabbcc;
	const void *scalars[] = { &first, "twelve bytes", &last };
	uint8_t args[sizeof(range) + 32];

	(void)state;
	assert_int_equal(infini_kernel_args_bytes(&kernel), sizeof(args));
	memset(args, 0xff, sizeof(args));
	infini_kernel_args(&kernel, &range, scalars, args);
	assert_memory_equal(args, &range, sizeof(range));
	assert_memory_equal(args + sizeof(range), &first, 4);
	assert_memory_equal(args + sizeof(range) + 8, "twelve bytes\0\0\0", 16);
	assert_memory_equal(args + sizeof(range) + 24, &last, 8);
	/* Between them there is nothing. */
	assert_memory_equal(args + sizeof(range) + 4, "\0\0\0", 4);
}

static void what_does_not_fit_is_refused(void **state)
{
	char name[INFINI_KERNEL_NAME_MAX + 1];
	struct infini_kernel other = kernel;
	uint32_t handle;

	(void)state;
	memset(name, 'a', sizeof(name));
	name[INFINI_KERNEL_NAME_MAX] = '\0';
	other.name = name;
	assert_int_equal(infini_kernel_create(5, &other, &handle), -ENAMETOOLONG);
	name[INFINI_KERNEL_NAME_MAX - 1] = '\0';
	assert_int_equal(infini_kernel_create(5, &other, &handle), 0);
	other.nr_params = INFINI_KERNEL_PARAMS_MAX + 1;
	assert_int_equal(infini_kernel_create(5, &other, &handle), -E2BIG);
	assert_int_equal(infini_kernel_create(6, &kernel, &handle), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(program_has_its_parts),
		cmocka_unit_test(arguments_have_their_places),
		cmocka_unit_test(what_does_not_fit_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
