// SPDX-License-Identifier: GPL-2.0-or-later
/* libinfini's mappings, the spin on a timeline, and deadlines. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include <cmocka.h>

#include "fake.h"
#include "infini.h"

#define FD	77
#define OFFSET	((1ull << 61) + (1ull << 40) + 4096)	/* offsets are above 2^32 */

enum what { BUFFER, EXECUTOR, TIMELINE, YIELD, FILE_BUFFER };

static int map(enum what what, void **addr)
{
	switch (what) {
	case BUFFER:
		return infini_buffer_map(FD, OFFSET, 8192, addr);
	case EXECUTOR:
		return infini_executor_map(FD, OFFSET, 8192, addr);
	case FILE_BUFFER:
		return infini_file_map(FD, OFFSET, 8192, (const void **)addr);
	case TIMELINE:
		return infini_timeline_map(FD, OFFSET, (const struct infini_timeline **)addr);
	default:
		return infini_yield_map(FD, OFFSET, (const uint64_t **)addr);
	}
}

static const struct map_row {
	const char *name;
	enum what what;
	size_t bytes;
	int prot;
} map_rows[] = {
	{ "map: a buffer", BUFFER, 8192, PROT_READ | PROT_WRITE },
	{ "map: a buffer by its executor", EXECUTOR, 8192, PROT_READ | PROT_WRITE },
	{ "map: a file behind a buffer, read-only", FILE_BUFFER, 8192, PROT_READ },
	{ "map: a timeline, read-only", TIMELINE, sizeof(struct infini_timeline), PROT_READ },
	{ "map: a yield word, read-only", YIELD, sizeof(uint64_t), PROT_READ },
};

static void test_map(void **state)
{
	static const int errnos[] = { EACCES, EINVAL, ENODEV, ENOMEM, EPERM, EAGAIN };
	const struct map_row *row = *state;
	uint64_t page[8];
	void *addr = &addr;

	fake_reset();
	fake.map = page;
	assert_int_equal(map(row->what, &addr), 0);
	assert_ptr_equal(addr, page);
	assert_int_equal(fake.nr_maps, 1);
	assert_int_equal(fake.map_bytes, row->bytes);
	assert_int_equal(fake.map_prot, row->prot);
	assert_int_equal(fake.map_flags, MAP_SHARED);
	assert_int_equal(fake.map_fd, FD);
	assert_int_equal(fake.map_offset, (off_t)OFFSET);
	for (size_t i = 0; i < sizeof(errnos) / sizeof(*errnos); i++) {
		fake_reset();
		fake.mmap_errno = errnos[i];
		addr = &addr;
		assert_int_equal(map(row->what, &addr), -errnos[i]);
		assert_ptr_equal(addr, &addr);
		assert_int_equal(fake.nr_maps, 1);
	}
}

static void test_unmap(void **state)
{
	char page[16];

	(void)state;
	fake_reset();
	assert_int_equal(infini_unmap(page, sizeof(page)), 0);
	assert_ptr_equal(fake.unmap_addr, page);
	assert_int_equal(fake.unmap_bytes, sizeof(page));
	fake.munmap_errno = EINVAL;
	assert_int_equal(infini_unmap(page, 0), -EINVAL);
}

static int64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void test_spin_reached(void **state)
{
	struct infini_timeline timeline = { .completed = 7 };

	(void)state;
	assert_true(infini_timeline_spin(&timeline, 6, 0));
	assert_true(infini_timeline_spin(&timeline, 7, 0));
	assert_false(infini_timeline_spin(&timeline, 8, 0));
}

static void test_spin_gives_up(void **state)
{
	struct infini_timeline timeline = { .completed = 7 };
	int64_t start = now();

	(void)state;
	assert_false(infini_timeline_spin(&timeline, 8, 2000000));
	assert_true(now() - start >= 2000000);
}

static void *complete_later(void *arg)
{
	struct infini_timeline *timeline = arg;
	struct timespec pause = { .tv_nsec = 5000000 };

	nanosleep(&pause, NULL);
	__atomic_store_n(&timeline->completed, 8, __ATOMIC_RELEASE);
	return NULL;
}

static void test_spin_sees_another_thread(void **state)
{
	struct infini_timeline timeline = { .completed = 7 };
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, complete_later, &timeline), 0);
	assert_true(infini_timeline_spin(&timeline, 8, 60000000000));
	pthread_join(thread, NULL);
}

static void test_deadline(void **state)
{
	int64_t before = now(), deadline = infini_deadline(1000000000);

	(void)state;
	assert_true(deadline >= before + 1000000000);
	assert_true(deadline <= now() + 1000000000);
	assert_int_equal(infini_deadline(-1), INFINI_FOREVER);
	assert_int_equal(infini_deadline(INT64_MIN), INFINI_FOREVER);
	assert_int_equal(infini_deadline(INT64_MAX), INFINI_FOREVER);
	assert_true(infini_deadline(0) <= now());
}

#define NR_MAPS	(sizeof(map_rows) / sizeof(*map_rows))

static const struct CMUnitTest other_tests[] = {
	cmocka_unit_test(test_unmap),
	cmocka_unit_test(test_spin_reached),
	cmocka_unit_test(test_spin_gives_up),
	cmocka_unit_test(test_spin_sees_another_thread),
	cmocka_unit_test(test_deadline),
};

int main(void)
{
	struct CMUnitTest tests[NR_MAPS + sizeof(other_tests) / sizeof(*other_tests)];

	for (size_t i = 0; i < NR_MAPS; i++)
		tests[i] = (struct CMUnitTest){ map_rows[i].name, test_map, NULL, NULL,
						(void *)&map_rows[i] };
	memcpy(&tests[NR_MAPS], other_tests, sizeof(other_tests));
	return cmocka_run_group_tests_name("map", tests, NULL, NULL);
}
