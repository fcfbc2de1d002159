/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A test for each row of a table, and one more. Behind cmocka.h. */
#ifndef CORE_TESTS_ROWS_H
#define CORE_TESTS_ROWS_H

#include "port.h"

/* Rows of @size bytes begin with their name; each is the state of a test by @each. Returns how many failed. */
static inline int rows_run(const char *group, const void *rows, size_t nr, size_t size, CMUnitTestFunction each,
			   const char *name, CMUnitTestFunction last)
{
	struct CMUnitTest tests[nr + 1];
	size_t i;

	memset(tests, 0, sizeof(tests));
	for (i = 0; i < nr; i++) {
		const char *row = (const char *)rows + i * size;

		tests[i].name = *(const char *const *)row;
		tests[i].test_func = each;
		tests[i].initial_state = (void *)row;
	}
	tests[nr].name = name;
	tests[nr].test_func = last;
	return cmocka_run_group_tests_name(group, tests, NULL, NULL);
}

#define ROWS_RUN(group, rows, each, name, last) \
	rows_run(group, rows, ARRAY_SIZE(rows), sizeof((rows)[0]), each, name, last)

#endif /* CORE_TESTS_ROWS_H */
