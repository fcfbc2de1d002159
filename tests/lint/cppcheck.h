/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Macros of libraries that cppcheck cannot parse, as something that it can. */
#ifndef TESTS_LINT_CPPCHECK_H
#define TESTS_LINT_CPPCHECK_H

#define LIBBPF_OPTS(type, name, ...)	struct type name = { __VA_ARGS__ }
#define json_object_object_foreach(object, key, value)		\
	char *key = next_key(object);				\
	for (struct json_object *value = next(object); value; value = next(object))

#endif /* TESTS_LINT_CPPCHECK_H */
