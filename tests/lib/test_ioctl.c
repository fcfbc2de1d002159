// SPDX-License-Identifier: GPL-2.0-or-later
/* libinfini's ioctls: one call each, sizes set, fields passed both ways, every errno handed back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake.h"
#include "infini.h"

#define FD	77

static int call_query(void)
{
	struct infini_query query = { .flags = 0 };

	return infini_query(FD, &query);
}

static int call_vdev_open(void)
{
	return infini_vdev_open(FD, "a", 0);
}

static int call_device_register(void)
{
	struct infini_device_register reg = { .slots = 1 };

	return infini_device_register(FD, &reg);
}

static int call_vdev_info(void)
{
	struct infini_vdev_info info = { .flags = 0 };

	return infini_vdev_info(FD, &info);
}

static int call_vdev_stats(void)
{
	struct infini_vdev_stats stats = { .flags = 0 };

	return infini_vdev_stats(FD, &stats);
}

static int call_queue_create(void)
{
	struct infini_queue_create create = { .depth = 4 };

	return infini_queue_create(FD, &create);
}

static int call_queue_destroy(void)
{
	return infini_queue_destroy(FD, 3);
}

static int call_buffer_create(void)
{
	struct infini_buffer_create create = { .bytes = 4096 };

	return infini_buffer_create(FD, &create);
}

static int call_buffer_destroy(void)
{
	return infini_buffer_destroy(FD, 3);
}

static int call_program_create(void)
{
	uint32_t handle;

	return infini_program_create(FD, INFINI_FORMAT_NULL, "x", 1, &handle);
}

static int call_program_destroy(void)
{
	return infini_program_destroy(FD, 3);
}

static int call_submit(void)
{
	struct infini_submit submit = { .queue = 1 };

	return infini_submit(FD, &submit);
}

static int call_wait(void)
{
	struct infini_wait wait = { .queue = 1 };

	return infini_wait(FD, &wait);
}

static int call_executor_create(void)
{
	return infini_executor_create(FD, 1);
}

static int call_executor_attach(void)
{
	struct infini_executor_attach attach = { .window = 1 };

	return infini_executor_attach(FD, &attach);
}

static int call_exchange(void)
{
	struct infini_exchange exchange = { .nr_results = 0 };

	return infini_exchange(FD, &exchange);
}

static int call_program_read(void)
{
	char data[4];

	return infini_program_read(FD, 1, 0, data, sizeof(data));
}

static int call_buffer_receive(void)
{
	uint64_t offset;

	return infini_buffer_receive(FD, 1, &offset);
}

static int call_end_reason(void)
{
	return infini_end_reason(FD, "gone");
}

static const struct row {
	const char *name;
	int (*call)(void);
	unsigned long cmd;
	uint32_t size;
} rows[] = {
	{ "query", call_query, INFINI_IOC_QUERY, sizeof(struct infini_query) },
	{ "vdev_open", call_vdev_open, INFINI_IOC_VDEV_OPEN, sizeof(struct infini_vdev_open) },
	{ "device_register", call_device_register, INFINI_IOC_DEVICE_REGISTER,
	  sizeof(struct infini_device_register) },
	{ "vdev_info", call_vdev_info, INFINI_IOC_VDEV_INFO, sizeof(struct infini_vdev_info) },
	{ "vdev_stats", call_vdev_stats, INFINI_IOC_VDEV_STATS, sizeof(struct infini_vdev_stats) },
	{ "queue_create", call_queue_create, INFINI_IOC_QUEUE_CREATE,
	  sizeof(struct infini_queue_create) },
	{ "queue_destroy", call_queue_destroy, INFINI_IOC_QUEUE_DESTROY,
	  sizeof(struct infini_handle) },
	{ "buffer_create", call_buffer_create, INFINI_IOC_BUFFER_CREATE,
	  sizeof(struct infini_buffer_create) },
	{ "buffer_destroy", call_buffer_destroy, INFINI_IOC_BUFFER_DESTROY,
	  sizeof(struct infini_handle) },
	{ "program_create", call_program_create, INFINI_IOC_PROGRAM_CREATE,
	  sizeof(struct infini_program_create) },
	{ "program_destroy", call_program_destroy, INFINI_IOC_PROGRAM_DESTROY,
	  sizeof(struct infini_handle) },
	{ "submit", call_submit, INFINI_IOC_SUBMIT, sizeof(struct infini_submit) },
	{ "wait", call_wait, INFINI_IOC_WAIT, sizeof(struct infini_wait) },
	{ "executor_create", call_executor_create, INFINI_IOC_EXECUTOR_CREATE,
	  sizeof(struct infini_executor_create) },
	{ "executor_attach", call_executor_attach, INFINI_IOC_EXECUTOR_ATTACH,
	  sizeof(struct infini_executor_attach) },
	{ "exchange", call_exchange, INFINI_IOC_EXCHANGE, sizeof(struct infini_exchange) },
	{ "buffer_receive", call_buffer_receive, INFINI_IOC_BUFFER_RECEIVE,
	  sizeof(struct infini_buffer_receive) },
	{ "end_reason", call_end_reason, INFINI_IOC_END_REASON,
	  sizeof(struct infini_end_reason) },
	{ "program_read", call_program_read, INFINI_IOC_PROGRAM_READ,
	  sizeof(struct infini_program_read) },
};

#define NR_ROWS	(sizeof(rows) / sizeof(*rows))

/* The errno contract of <linux/infini.h>. */
static const int errnos[] = {
	ENOTTY, E2BIG, EINVAL, EFAULT, EOPNOTSUPP, ENOENT, EACCES, EPERM, ENOSPC, ENOMEM, EDQUOT,
	EBUSY, EEXIST, EAGAIN, EINTR, ETIMEDOUT, ECANCELED, EHOSTDOWN, EOWNERDEAD, ENODEV, ESTALE,
	EPROTO, EBADF, ENODATA,
};

static void test_one_call(void **state)
{
	const struct row *row = *state;

	fake_reset();
	assert_true(row->call() >= 0);
	assert_int_equal(fake.nr_ioctls, 1);
	assert_int_equal(fake.ioctls[0].fd, FD);
	assert_int_equal(fake.ioctls[0].cmd, row->cmd);
	assert_int_equal(fake.ioctls[0].size, row->size);
}

static void test_errnos(void **state)
{
	const struct row *row = *state;

	for (size_t i = 0; i < sizeof(errnos) / sizeof(*errnos); i++) {
		fake_reset();
		fake.ioctl_errno = errnos[i];
		assert_int_equal(row->call(), -errnos[i]);
		assert_int_equal(fake.nr_ioctls, 1);
	}
}

static void fill_outputs(unsigned long cmd, void *arg)
{
	if (cmd == INFINI_IOC_VDEV_OPEN)
		((struct infini_vdev_open *)arg)->fd = 12;
	if (cmd == INFINI_IOC_EXECUTOR_CREATE)
		((struct infini_executor_create *)arg)->fd = 13;
	if (cmd == INFINI_IOC_PROGRAM_CREATE)
		((struct infini_program_create *)arg)->handle = 14;
	if (cmd == INFINI_IOC_BUFFER_RECEIVE) {
		((struct infini_buffer_receive *)arg)->fd = 16;
		((struct infini_buffer_receive *)arg)->offset = 1ull << 40;
	}
	if (cmd == INFINI_IOC_SUBMIT)
		((struct infini_submit *)arg)->last_seqno = 15;
	if (cmd == INFINI_IOC_WAIT)
		((struct infini_wait *)arg)->status = -ECANCELED;
}

static void test_vdev_open_by_name(void **state)
{
	const struct infini_vdev_open *in = (void *)fake.ioctls[0].arg;

	(void)state;
	fake_reset();
	fake.fill = fill_outputs;
	assert_int_equal(infini_vdev_open(FD, "tenant-a", 9), 12);
	assert_string_equal((const char *)in->name, "tenant-a");
	for (size_t i = strlen("tenant-a"); i < INFINI_NAME_MAX; i++)
		assert_int_equal(in->name[i], 0);
	assert_int_equal(in->flags, 0);
}

static void test_vdev_open_by_id(void **state)
{
	const struct infini_vdev_open *in = (void *)fake.ioctls[0].arg;

	(void)state;
	fake_reset();
	fake.fill = fill_outputs;
	assert_int_equal(infini_vdev_open(FD, NULL, 9), 12);
	assert_int_equal(in->id, 9);
	assert_int_equal(in->name[0], 0);
}

static void test_vdev_open_long_name(void **state)
{
	char name[INFINI_NAME_MAX + 1];

	(void)state;
	memset(name, 'x', INFINI_NAME_MAX);
	name[INFINI_NAME_MAX] = '\0';
	fake_reset();
	assert_int_equal(infini_vdev_open(FD, name, 0), -ENAMETOOLONG);
	assert_int_equal(fake.nr_ioctls, 0);
	name[INFINI_NAME_MAX - 1] = '\0';
	assert_true(infini_vdev_open(FD, name, 0) >= 0);
}

static void test_program_create_fields(void **state)
{
	const struct infini_program_create *in = (void *)fake.ioctls[0].arg;
	uint32_t handle = 0;

	(void)state;
	fake_reset();
	fake.fill = fill_outputs;
	assert_int_equal(infini_program_create(FD, INFINI_FORMAT_GGML, "abc", 3, &handle), 0);
	assert_int_equal(handle, 14);
	assert_int_equal(in->format, INFINI_FORMAT_GGML);
	assert_int_equal(in->bytes, 3);
	assert_memory_equal((const void *)(uintptr_t)in->data, "abc", 3);
}

static void test_program_create_failed(void **state)
{
	uint32_t handle = 5;

	(void)state;
	fake_reset();
	fake.ioctl_errno = ENOSPC;
	assert_int_equal(infini_program_create(FD, INFINI_FORMAT_GGML, "abc", 3, &handle),
			 -ENOSPC);
	assert_int_equal(handle, 5);
}

static void test_program_read_fields(void **state)
{
	const struct infini_program_read *in = (void *)fake.ioctls[0].arg;
	char data[16];

	(void)state;
	fake_reset();
	assert_int_equal(infini_program_read(FD, 1ull << 40, 4096, data, sizeof(data)), 0);
	assert_int_equal(in->program, 1ull << 40);
	assert_int_equal(in->offset, 4096);
	assert_int_equal(in->bytes, sizeof(data));
	assert_ptr_equal((void *)(uintptr_t)in->data, data);
}

static void test_end_reason_is_cut_and_printable(void **state)
{
	const struct infini_end_reason *in = (void *)fake.ioctls[0].arg;
	char text[2 * INFINI_END_REASON_MAX];

	(void)state;
	fake_reset();
	assert_int_equal(infini_end_reason(FD, "a\tb\xff"), 0);
	assert_string_equal((const char *)in->reason, "a?b?");
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	fake_reset();
	assert_int_equal(infini_end_reason(FD, text), 0);
	assert_int_equal(strlen((const char *)in->reason), INFINI_END_REASON_MAX - 1);
}

static void test_buffer_receive_fields(void **state)
{
	const struct infini_buffer_receive *in = (void *)fake.ioctls[0].arg;
	uint64_t offset = 5;

	(void)state;
	fake_reset();
	fake.fill = fill_outputs;
	assert_int_equal(infini_buffer_receive(FD, 1ull << 33, &offset), 16);
	assert_int_equal(in->buffer, 1ull << 33);
	assert_int_equal(offset, 1ull << 40);
	fake_reset();
	fake.ioctl_errno = ENOENT;
	assert_int_equal(infini_buffer_receive(FD, 1, &offset), -ENOENT);
	assert_int_equal(offset, 1ull << 40);
}

static void test_destroy_fields(void **state)
{
	const struct infini_handle *in = (void *)fake.ioctls[0].arg;

	(void)state;
	fake_reset();
	assert_int_equal(infini_buffer_destroy(FD, 31), 0);
	assert_int_equal(in->handle, 31);
	assert_int_equal(in->flags, 0);
	assert_int_equal(in->pad, 0);
}

static void test_executor_create_fields(void **state)
{
	const struct infini_executor_create *in = (void *)fake.ioctls[0].arg;

	(void)state;
	fake_reset();
	fake.fill = fill_outputs;
	assert_int_equal(infini_executor_create(FD, 8), 13);
	assert_int_equal(in->vdev_id, 8);
}

static void test_submit_fields(void **state)
{
	struct infini_submit submit = {
		.flags = INFINI_SUBMIT_F_WAIT, .queue = 2, .nr_jobs = 3, .deadline_ns = 5,
	};
	const struct infini_submit *in = (void *)fake.ioctls[0].arg;

	(void)state;
	fake_reset();
	fake.fill = fill_outputs;
	assert_int_equal(infini_submit(FD, &submit), 0);
	assert_int_equal(in->flags, INFINI_SUBMIT_F_WAIT);
	assert_int_equal(in->queue, 2);
	assert_int_equal(in->nr_jobs, 3);
	assert_int_equal(in->deadline_ns, 5);
	assert_int_equal(submit.last_seqno, 15);
}

/* An interrupted SUBMIT has accepted jobs: what it wrote back must reach the caller. */
static void test_submit_interrupted(void **state)
{
	struct infini_submit submit = { .queue = 2 };

	(void)state;
	fake_reset();
	fake.ioctl_errno = EINTR;
	submit.accepted = 1;
	assert_int_equal(infini_submit(FD, &submit), -EINTR);
	assert_int_equal(submit.accepted, 1);
	assert_int_equal(fake.nr_ioctls, 1);
}

static void test_wait_status(void **state)
{
	struct infini_wait wait = { .queue = 2, .seqno = 7 };

	(void)state;
	fake_reset();
	fake.fill = fill_outputs;
	assert_int_equal(infini_wait(FD, &wait), 0);
	assert_int_equal(wait.status, -ECANCELED);
}

static const struct CMUnitTest field_tests[] = {
	cmocka_unit_test(test_vdev_open_by_name),
	cmocka_unit_test(test_vdev_open_by_id),
	cmocka_unit_test(test_vdev_open_long_name),
	cmocka_unit_test(test_program_create_fields),
	cmocka_unit_test(test_program_create_failed),
	cmocka_unit_test(test_program_read_fields),
	cmocka_unit_test(test_end_reason_is_cut_and_printable),
	cmocka_unit_test(test_buffer_receive_fields),
	cmocka_unit_test(test_destroy_fields),
	cmocka_unit_test(test_executor_create_fields),
	cmocka_unit_test(test_submit_fields),
	cmocka_unit_test(test_submit_interrupted),
	cmocka_unit_test(test_wait_status),
};

#define NR_FIELD_TESTS	(sizeof(field_tests) / sizeof(*field_tests))

int main(void)
{
	static char names[NR_ROWS][2][64];
	struct CMUnitTest tests[2 * NR_ROWS + NR_FIELD_TESTS];

	for (size_t i = 0; i < NR_ROWS; i++) {
		snprintf(names[i][0], sizeof(names[i][0]), "infini_%s is one call", rows[i].name);
		snprintf(names[i][1], sizeof(names[i][1]), "infini_%s hands back every errno",
			 rows[i].name);
		tests[2 * i] = (struct CMUnitTest){ names[i][0], test_one_call, NULL, NULL,
						    (void *)&rows[i] };
		tests[2 * i + 1] = (struct CMUnitTest){ names[i][1], test_errnos, NULL, NULL,
							(void *)&rows[i] };
	}
	memcpy(&tests[2 * NR_ROWS], field_tests, sizeof(field_tests));
	return cmocka_run_group_tests_name("ioctl", tests, NULL, NULL);
}
