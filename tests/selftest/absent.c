// SPDX-License-Identifier: GPL-2.0-or-later
/* Executors that are there and do not come: what waits for them must not wait for ever. */
#include <fcntl.h>
#include <infini/null.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

#define MS	1000000ULL

/* A process that attaches and then does nothing but serve one job, after a byte in *@go. */
static pid_t attach_only(struct world *world, int *go)
{
	struct infini_dispatch dispatch;
	int fd = infini_executor_create(world->device, world->vdev);
	int ready[2], begin[2];
	char byte;
	pid_t pid;

	CHECK(fd >= 0);
	CHECK_EQ(pipe(ready), 0);
	CHECK_EQ(pipe(begin), 0);
	fflush(NULL);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(world->device);
		world_attach(world, fd, 1);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		if (read(begin[0], &byte, 1) == 1) {
			hand_take(world, &dispatch);
			CHECK_ERR(hand_give(world, dispatch.dispatch, 0, 0), 0);
		}
		for (;;)
			pause();
	}
	close(fd);
	CHECK_EQ(read(ready[0], &byte, 1), 1);
	close(begin[0]);
	*go = begin[1];
	return pid;
}

static void check_killed(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status));
	CHECK_EQ(WTERMSIG(status), SIGKILL);
}

/* An executor that has attached, and then a job for it. */
struct quiet {
	struct world world;
	pid_t process;
	int go;			/* a byte here, and it serves one job */
	uint32_t queue;
	uint64_t seqno;
};

static void quiet_make(struct quiet *quiet)
{
	struct infini_job job = job_nop();

	world_make(&quiet->world, &(struct setup){ 0 });
	quiet->process = attach_only(&quiet->world, &quiet->go);
	quiet->queue = queue_make(quiet->world.client, 8);
	quiet->seqno = submit_one(quiet->world.client, quiet->queue, &job);
}

/* It is ended, the next one gets the job. */
static void attached_and_gone_quiet(void)
{
	struct quiet quiet;
	struct world *world = &quiet.world;
	int status;

	test_need_root();
	test_param_set("executor_start_ms", 200);
	quiet_make(&quiet);
	check_killed(quiet.process);
	world->process = world_executor_start(world, world->vdev, 1, &world->fake);
	CHECK_ERR(wait_for(world->client, quiet.queue, quiet.seqno, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, 0);
}

/* The job was there first; time begins when the executor attaches. */
static void attached_to_waiting_work(void)
{
	struct infini_job job = job_nop();
	struct world world;
	uint64_t seqno;
	uint32_t queue;
	int status, go;
	pid_t pid;

	test_need_root();
	test_param_set("executor_start_ms", 200);
	test_param_set("executor_wait_ms", 1000);
	world_make(&world, &(struct setup){ 0 });
	queue = queue_make(world.client, 8);
	seqno = submit_one(world.client, queue, &job);
	pid = attach_only(&world, &go);
	check_killed(pid);
	/* Nobody comes after it. */
	CHECK_ERR(wait_for(world.client, queue, seqno, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, -EHOSTDOWN);
}

/*
 * A job that is there before its first EXCHANGE waits as long as a vendor's library may need. What comes
 * after that does not.
 */
static void served_and_gone_quiet(void)
{
	struct infini_job job = job_nop();
	struct quiet quiet;
	uint64_t seqno;
	int status;

	test_need_root();
	test_param_set("executor_wait_ms", 300);
	quiet_make(&quiet);
	CHECK_EQ(write(quiet.go, "", 1), 1);
	CHECK_ERR(wait_for(quiet.world.client, quiet.queue, quiet.seqno, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, 0);
	seqno = submit_one(quiet.world.client, quiet.queue, &job);
	CHECK_ERR(wait_for(quiet.world.client, quiet.queue, seqno, test_deadline(30 * SECOND), &status),
		  0);
	CHECK_ERR(status, -EHOSTDOWN);
	check_killed(quiet.process);
}

/* A stopped process sleeps in EXCHANGE like any other: it is given the slot and never comes. */
static void stopped_with_a_slot(void)
{
	struct infini_job job = job_nop();
	struct fake *other_fake;
	struct world world;
	uint64_t seqno;
	uint32_t queue, other_queue, other;
	int status, client;
	pid_t process;

	test_need_root();
	test_param_set("grace_ms", 300);
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 8);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	other = world_vdev("other", world.device_name, 16 * MIB, 0600);
	process = world_executor_start(&world, other, 1, &other_fake);
	client = infini_vdev_open(world.control, "other", 0);
	CHECK(client >= 0);
	other_queue = queue_make(client, 8);

	CHECK_EQ(kill(world.process, SIGSTOP), 0);
	CHECK_EQ(waitpid(world.process, &status, WUNTRACED), world.process);
	seqno = submit_one(world.client, queue, &job);
	/* The only slot is taken; it is free again when the stopped process has been ended. */
	CHECK_ERR(submit_wait(client, other_queue, &job, NULL), 0);
	check_killed(world.process);

	world.process = world_executor_start(&world, world.vdev, 1, &world.fake);
	CHECK_ERR(wait_for(world.client, queue, seqno, INFINI_FOREVER, &status), 0);
	CHECK_ERR(status, 0);
	CHECK_EQ(kill(process, SIGKILL), 0);
	CHECK_EQ(waitpid(process, &status, 0), process);
}

#define FREEZER	"/run/infini-freezer"

static void freezer_write(const char *file, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), FREEZER "/test/%s", file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQ(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static bool freezer_is(const char *state)
{
	char text[16] = "";
	int fd = open(FREEZER "/test/freezer.state", O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	return !strncmp(text, state, strlen(state));
}

/* That of version 1, in which, as when the machine goes to sleep, processes stay in their calls. */
static void freezer_make(pid_t pid)
{
	char text[16];

	CHECK(!mkdir(FREEZER, 0700) || errno == EEXIST);
	if (mount("none", FREEZER, "cgroup", 0, "freezer"))
		test_skip("this kernel has no freezer of control groups, version 1");
	CHECK_EQ(mkdir(FREEZER "/test", 0700), 0);
	snprintf(text, sizeof(text), "%d", pid);
	freezer_write("cgroup.procs", text);
}

static void freezer_remove(void)
{
	AWAIT(!rmdir(FREEZER "/test"));
	CHECK_EQ(umount(FREEZER), 0);
	CHECK_EQ(rmdir(FREEZER), 0);
}

static char process_state(pid_t pid)
{
	char path[32], state = '?';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = fopen(path, "re");
	CHECK(file);
	CHECK_EQ(fscanf(file, "%*d %*s %c", &state), 1);
	fclose(file);
	return state;
}

/*
 * A frozen process cannot even be killed. It sleeps in EXCHANGE and keeps nothing there that others wait
 * for: what waits for it is let go.
 */
static void frozen_with_a_slot(void)
{
	struct infini_job job = job_nop();
	struct world world;
	uint64_t seqno;
	uint32_t queue;
	int status = 0, err;

	test_need_root();
	test_param_set("grace_ms", 300);
	test_param_set("executor_wait_ms", 300);
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 8);
	CHECK_ERR(submit_wait(world.client, queue, &job, NULL), 0);
	AWAIT(process_state(world.process) == 'S');
	freezer_make(world.process);
	freezer_write("freezer.state", "FROZEN");
	AWAIT(freezer_is("FROZEN"));
	seqno = submit_one(world.client, queue, &job);
	err = wait_for(world.client, queue, seqno, test_deadline(30 * SECOND), &status);
	freezer_write("freezer.state", "THAWED");
	check_killed(world.process);
	freezer_remove();
	CHECK_ERR(err, 0);
	CHECK_ERR(status, -EHOSTDOWN);
}

static const struct test tests[] = {
	{ "one that attaches and never comes is ended, the next one serves",
	  attached_and_gone_quiet },
	{ "one that attaches to waiting work has so long and no longer", attached_to_waiting_work },
	{ "one that served and comes no more has the usual time, not that of a start",
	  served_and_gone_quiet },
	{ "one that is stopped loses the slot it was given", stopped_with_a_slot },
	{ "one that is frozen keeps nobody waiting", frozen_with_a_slot },
};

TEST_MAIN(tests)
