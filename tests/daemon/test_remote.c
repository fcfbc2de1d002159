// SPDX-License-Identifier: GPL-2.0-or-later
/* Which ends of workers have infinid look after their remote machine. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "log.h"
#include "remote.h"
#include "worker.h"

#include <errno.h>
#include <infini.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#define PID	4711

/* Nobody is started here. */
int infini_executor_create(int fd, uint32_t vdev_id)
{
	(void)fd;
	(void)vdev_id;
	return -ENODEV;
}

int infini_device_register(int fd, struct infini_device_register *reg)
{
	(void)fd;
	(void)reg;
	return -ENODEV;
}

int infini_end_reason(int fd, const char *reason)
{
	(void)fd;
	(void)reason;
	return 0;
}

int infini_worker_open(struct infini_worker *worker)
{
	(void)worker;
	return -ENODEV;
}

_Noreturn void infini_worker_main(const struct infini_worker *worker)
{
	(void)worker;
	abort();
}

int infini_probe_start_remote(struct infini_probe *probe, const struct infini_config *config,
			      const char *backend, const struct infini_config_remote *remote,
			      bool reach_only)
{
	(void)probe;
	(void)config;
	(void)backend;
	(void)remote;
	(void)reach_only;
	return -ECHILD;
}

void infini_probe_end(struct infini_probe *probe)
{
	(void)probe;
}

static const struct {
	const char *name;
	bool inherited;
	int status;
	const char *said;		/* by the module, of its executor; NULL: nothing was heard */
	bool deleted, of_another, suspect;
} ends[] = {
	{ "retired", false, W_EXITCODE(INFINI_WORKER_STOPPED, 0), "", false, false, false },
	{ "its vdev is gone", false, W_EXITCODE(INFINI_WORKER_GONE, 0), "", false, false, false },
	{ "its vdev was deleted under a job", false, SIGKILL, "killed by signal 9", true, false, false },
	{ "failed", false, W_EXITCODE(INFINI_WORKER_FAILED, 0), "", false, false, true },
	{ "aborted", false, SIGABRT, "killed by signal 6", false, false, true },
	{ "killed", false, SIGKILL, "", false, false, true },
	{ "inherited, retired", true, W_EXITCODE(INFINI_WORKER_FAILED, 0), "", false, false, false },
	{ "inherited, failed", true, W_EXITCODE(INFINI_WORKER_FAILED, 0), "the device is lost", false, false,
	  true },
	{ "inherited, aborted", true, W_EXITCODE(INFINI_WORKER_FAILED, 0), "killed by signal 6", false, false,
	  true },
	{ "inherited, nothing was heard", true, W_EXITCODE(INFINI_WORKER_FAILED, 0), NULL, false, false, true },
	{ "inherited, another's end was heard", true, W_EXITCODE(INFINI_WORKER_FAILED, 0), "", false, true,
	  true },
};

static void only_bad_ends_are_looked_after(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		struct infini_remotes remotes = { .nr_remotes = 2, .remotes = {
			{ .name = "near", .look_ns = INFINI_FOREVER },
			{ .name = "far", .look_ns = INFINI_FOREVER } } };
		struct infini_crew_member member = { .vdev_id = 5, .pid = PID, .pidfd = -1,
						     .remote = "far", .inherited = ends[i].inherited };
		struct infini_crew crew = { .members = &member, .nr_running = 1 };

		if (ends[i].deleted)
			infini_crew_deleted(&crew, 5);
		if (ends[i].said)
			infini_crew_lost(&crew, 5, ends[i].of_another ? PID + 1 : PID, ends[i].said);
		infini_remotes_worker_ended(&remotes, &crew, PID, ends[i].status);
		if (remotes.remotes[1].suspect != ends[i].suspect ||
		    (remotes.remotes[1].look_ns == 0) != ends[i].suspect)
			fail_msg("%s: %s", ends[i].name, ends[i].suspect ? "no suspicion" : "suspect");
		assert_false(remotes.remotes[0].suspect);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_bad_ends_are_looked_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
