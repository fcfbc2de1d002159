// SPDX-License-Identifier: GPL-2.0-or-later
/* QUERY on every kind of file. */
#include <unistd.h>

#include "infini.h"
#include "world.h"

static const struct infini_query valid = { .size = sizeof(valid) };
static const struct command query = {
	"QUERY", INFINI_IOC_QUERY, &valid, sizeof(valid), offsetofend(struct infini_query, flags),
	0, NULL
};

static void check_answer(const char *who, int fd, uint32_t role)
{
	struct infini_query answer = { 0 };

	CHECK_ERR(infini_query(fd, &answer), 0);
	test_row(who, answer.role, role);
	CHECK_EQ(answer.size, sizeof(answer));
	CHECK_EQ(answer.protocol, INFINI_PROTOCOL_VERSION);
	CHECK_EQ(answer.features, INFINI_FEAT_SHARED_BUFFER | INFINI_FEAT_DEVICE_BUFFER |
		 INFINI_FEAT_SUBMIT_WAIT | INFINI_FEAT_EVENTFD | INFINI_FEAT_TIMELINE_PAGE |
		 INFINI_FEAT_INLINE_INPUTS | INFINI_FEAT_OUTPUTS | INFINI_FEAT_ASK |
		 INFINI_FEAT_LIMITS | INFINI_FEAT_RATE_NOWAIT |
		 INFINI_FEAT_TOKEN_KINDS | INFINI_FEAT_END_REASON |
		 INFINI_FEAT_FILE_BUFFER);
	CHECK_EQ(answer.size_job, sizeof(struct infini_job));
	CHECK_EQ(answer.size_completion, sizeof(struct infini_completion));
	CHECK_EQ(answer.size_dispatch, sizeof(struct infini_dispatch));
	CHECK_EQ(answer.size_result, sizeof(struct infini_result));
	CHECK(answer.max_queues && answer.max_buffers && answer.max_programs && answer.max_batch);
	CHECK(answer.max_bindings && answer.max_copies && answer.max_clients);
	CHECK(answer.max_queue_depth <= INFINI_TIMELINE_RECORDS);
	CHECK(answer.max_inline_bytes && answer.max_program_bytes);
	CHECK(answer.default_timeout_ns <= answer.max_timeout_ns);
}

static void control(void)
{
	int fd = infini_open(NULL);

	CHECK(fd >= 0);
	check_answer("control", fd, INFINI_ROLE_CONTROL);
	test_command(fd, &query);
}

static void all_files(void)
{
	struct world world;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	check_answer("client", world.client, INFINI_ROLE_CLIENT);
	check_answer("device", world.device, INFINI_ROLE_DEVICE);
	check_answer("executor", world.executor, INFINI_ROLE_EXECUTOR);
	test_command(world.client, &query);
	test_command(world.device, &query);
	test_command(world.executor, &query);
}

/* A command of another kind of file is unknown, whoever asks. */
static void wrong_files(void)
{
	static const struct {
		const char *name;
		unsigned long nr;
		bool control, client, device, executor;
	} rows[] = {
		{ "VDEV_OPEN", INFINI_IOC_VDEV_OPEN, true, false, false, false },
		{ "DEVICE_REGISTER", INFINI_IOC_DEVICE_REGISTER, true, false, false, false },
		{ "VDEV_INFO", INFINI_IOC_VDEV_INFO, false, true, false, false },
		{ "VDEV_STATS", INFINI_IOC_VDEV_STATS, false, true, false, false },
		{ "QUEUE_CREATE", INFINI_IOC_QUEUE_CREATE, false, true, false, false },
		{ "QUEUE_DESTROY", INFINI_IOC_QUEUE_DESTROY, false, true, false, false },
		{ "BUFFER_CREATE", INFINI_IOC_BUFFER_CREATE, false, true, false, false },
		{ "BUFFER_DESTROY", INFINI_IOC_BUFFER_DESTROY, false, true, false, false },
		{ "PROGRAM_CREATE", INFINI_IOC_PROGRAM_CREATE, false, true, false, false },
		{ "PROGRAM_DESTROY", INFINI_IOC_PROGRAM_DESTROY, false, true, false, false },
		{ "SUBMIT", INFINI_IOC_SUBMIT, false, true, false, false },
		{ "WAIT", INFINI_IOC_WAIT, false, true, false, false },
		{ "EXECUTOR_CREATE", INFINI_IOC_EXECUTOR_CREATE, false, false, true, false },
		{ "EXECUTOR_ATTACH", INFINI_IOC_EXECUTOR_ATTACH, false, false, false, true },
		{ "EXCHANGE", INFINI_IOC_EXCHANGE, false, false, false, true },
		{ "PROGRAM_READ", INFINI_IOC_PROGRAM_READ, false, false, false, true },
		{ "END_REASON", INFINI_IOC_END_REASON, false, false, true, true },
	};
	uint32_t tiny[64] = { 4 };
	struct world world;
	size_t i;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		const unsigned long nr = rows[i].nr;

		/* A size of 4 is EINVAL to a file that knows the command. */
		test_row_err(rows[i].name, test_ioctl(world.control, nr, tiny),
			     rows[i].control ? -EINVAL : -ENOTTY);
		test_row_err(rows[i].name, test_ioctl(world.client, nr, tiny),
			     rows[i].client ? -EINVAL : -ENOTTY);
		test_row_err(rows[i].name, test_ioctl(world.device, nr, tiny),
			     rows[i].device ? -EINVAL : -ENOTTY);
		test_row_err(rows[i].name, test_ioctl(world.executor, nr, tiny),
			     rows[i].executor ? -EINVAL : -ENOTTY);
	}
}

static const struct test tests[] = {
	{ "the control file answers", control },
	{ "client, device and executor files answer", all_files },
	{ "a command of another kind of file is ENOTTY", wrong_files },
};

TEST_MAIN(tests)
