/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The test programs' common part: tests as rows of a table, each in a process of its own, TAP on
 * standard output, and a look after each whether the module has everything back.
 *
 * Options of every program: --nobody runs the clients as user nobody, who owns the vdev then.
 */
#ifndef SELFTEST_HARNESS_H
#define SELFTEST_HARNESS_H

#include <errno.h>
#include <linux/infini.h>
#include <linux/infini_netlink.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#define offsetofend(type, member) \
	(offsetof(type, member) + sizeof(((type *)0)->member))
#define SELFTEST_NOBODY		65534
#define MIB			(1ULL << 20)
#define SECOND			1000000000LL

struct test {
	const char *name;
	void (*run)(void);
};

int test_main(int argc, char **argv, const struct test *tests, size_t nr);

#define TEST_MAIN(tests)							\
	int main(int argc, char **argv)						\
	{									\
		return test_main(argc, argv, tests, ARRAY_SIZE(tests));		\
	}

extern bool test_as_nobody;

/* End the running test. */
void test_fail(const char *file, int line, const char *format, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void test_skip(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* One row of a table inside a test: says what differs and goes on; the test has failed then. */
void test_row(const char *row, long long got, long long want);
/* The same for 0 and -errno, printed by name. */
void test_row_err(const char *row, int got, int want);

void test_check_err(const char *file, int line, const char *what, int got, int want);
void test_check_eq(const char *file, int line, const char *what, long long got, long long want);

#define CHECK(condition) do {							\
	if (!(condition))							\
		test_fail(__FILE__, __LINE__, "%s", #condition);		\
} while (0)
#define CHECK_EQ(got, want)	test_check_eq(__FILE__, __LINE__, #got, got, want)
#define CHECK_ERR(got, want)	test_check_err(__FILE__, __LINE__, #got, got, want)

/* Wait until @condition holds; a machine that is slow enough to miss 30 s is broken. */
#define AWAIT(condition) do {							\
	int __i;								\
	for (__i = 0; !(condition); __i++) {					\
		if (__i > 15000)						\
			test_fail(__FILE__, __LINE__, "never: %s", #condition);	\
		test_sleep_ms(2);						\
	}									\
} while (0)

void test_sleep_ms(unsigned int ms);
int64_t test_now_ns(void);
/* A wait of the module's kind that begins now. */
int64_t test_deadline(int64_t ns);

/* ioctl() with -errno. */
int test_ioctl(int fd, unsigned long cmd, void *arg);

/* Ends the test as skipped unless it runs as root. */
void test_need_root(void);

/* Module parameters; put back after each test. */
void test_param_set(const char *name, unsigned int value);

/*
 * Run @fn in a child as user and group @id without capabilities; its return value, 0 or -errno,
 * comes back.
 */
int test_as_user(unsigned int id, int (*fn)(void *arg), void *arg);
void test_become(unsigned int id);

/* One page that is mapped, followed by one that is not; @bytes end where the hole begins. */
void *test_before_hole(size_t bytes);

/* ---- what every ioctl must refuse ---- */

/**
 * struct command - an ioctl with arguments that are right
 * @name: for people
 * @nr: the command
 * @valid: a struct that succeeds with @want, any number of times
 * @size: of the struct
 * @min: smallest size that is taken
 * @want: 0 or -errno of the valid struct
 * @undo: gives back what a success made, or NULL
 */
struct command {
	const char *name;
	unsigned long nr;
	const void *valid;
	size_t size;
	size_t min;
	int want;
	void (*undo)(int fd, void *arg);
};

/* Sizes, tails, pointers, flags, and the number itself. */
void test_command(int fd, const struct command *command);

/* One field that is wrong. */
struct wrong_field {
	const char *name;
	size_t offset;
	size_t bytes;
	uint64_t value;
	int want;
};

#define WRONG(_struct, _field, _value, _want)						\
	{ #_field " " #_value, offsetof(struct _struct, _field),			\
	  sizeof(((struct _struct *)0)->_field), _value, _want }

void test_wrong_fields(int fd, const struct command *command, const struct wrong_field *fields,
		       size_t nr);

#endif /* SELFTEST_HARNESS_H */
