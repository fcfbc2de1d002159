// SPDX-License-Identifier: GPL-2.0-or-later
/* WAIT: deadlines, signals, destruction, what is remembered. */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

#include "infini.h"
#include "world.h"

static struct world world;
static _Atomic int begun;

static void contract(void)
{
	struct infini_wait valid = {
		.size = sizeof(valid), .seqno = 1, .deadline_ns = INFINI_FOREVER,
	};
	const struct command command = {
		"WAIT", INFINI_IOC_WAIT, &valid, sizeof(valid), sizeof(valid), 0, NULL
	};
	const struct wrong_field wrong[] = {
		WRONG(infini_wait, queue, 77, -ENOENT),
		WRONG(infini_wait, queue, 0, -ENOENT),
		WRONG(infini_wait, seqno, 2, -EINVAL),
		WRONG(infini_wait, seqno, UINT64_MAX, -EINVAL),
		WRONG(infini_wait, deadline_ns, 1ULL << 63, -EINVAL),
		WRONG(infini_wait, deadline_ns, 0, 0),
	};
	struct infini_job job = job_nop();

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	valid.queue = queue_make(world.client, 2);
	CHECK_ERR(submit_wait(world.client, valid.queue, &job, NULL), 0);
	test_command(world.client, &command);
	test_wrong_fields(world.client, &command, wrong, ARRAY_SIZE(wrong));
}

static void deadlines(void)
{
	struct infini_job job = job_nop();
	uint32_t queue;
	uint64_t seqno;
	int64_t until;

	world_make(&world, &(struct setup){ 0 });
	queue = queue_make(world.client, 2);
	seqno = submit_one(world.client, queue, &job);
	CHECK_ERR(wait_for(world.client, queue, seqno, 0, NULL), -ETIMEDOUT);
	CHECK_ERR(wait_for(world.client, queue, seqno, 1, NULL), -ETIMEDOUT);
	until = test_deadline(SECOND / 10);
	CHECK_ERR(wait_for(world.client, queue, seqno, until, NULL), -ETIMEDOUT);
	CHECK(test_now_ns() >= until);
}

/* More jobs ago than are remembered, the status is 0; within, it is what it was. */
static void remembered(void)
{
	struct infini_job job = job_nop();
	uint32_t queue;
	int i, status;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	world.fake->status = -EIO;
	for (i = 0; i < 100; i++)
		CHECK_ERR(submit_wait(world.client, queue, &job, NULL), -EIO);
	CHECK_ERR(wait_for(world.client, queue, 100, 0, &status), 0);
	CHECK_EQ(status, -EIO);
	CHECK_ERR(wait_for(world.client, queue, 37, 0, &status), 0);
	CHECK_EQ(status, -EIO);
	CHECK_ERR(wait_for(world.client, queue, 36, 0, &status), 0);
	CHECK_EQ(status, 0);
}

struct waiter {
	pthread_t thread;
	uint32_t queue;
	uint64_t seqno;
	int err, status;
};

static void *waiter_run(void *arg)
{
	struct waiter *waiter = arg;

	begun++;
	waiter->err = wait_for(world.client, waiter->queue, waiter->seqno, INFINI_FOREVER,
			       &waiter->status);
	return NULL;
}

static void waiter_start(struct waiter *waiter, uint32_t queue, uint64_t seqno)
{
	int before = begun;

	*waiter = (struct waiter){ .queue = queue, .seqno = seqno };
	CHECK_EQ(pthread_create(&waiter->thread, NULL, waiter_run, waiter), 0);
	AWAIT(begun > before);
	test_sleep_ms(20);
}

static void many_waiters(void)
{
	struct infini_job job = job_nop();
	struct waiter waiters[8];
	uint32_t queue;
	int i;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	world.fake->hold = 1;
	queue = queue_make(world.client, 8);
	for (i = 0; i < 8; i++)
		waiter_start(&waiters[i], queue, submit_one(world.client, queue, &job));
	world.fake->hold = 0;
	for (i = 0; i < 8; i++) {
		CHECK_EQ(pthread_join(waiters[i].thread, NULL), 0);
		CHECK_ERR(waiters[i].err, 0);
		CHECK_EQ(waiters[i].status, 0);
	}
}

/* Jobs that wait are cancelled, so a waiter hears so; one that runs is left behind. */
static void destroyed(void)
{
	struct infini_job job = job_nop();
	struct waiter waiter, running;
	uint32_t queue;

	world_make(&world, &(struct setup){ 0 });
	queue = queue_make(world.client, 2);
	waiter_start(&waiter, queue, submit_one(world.client, queue, &job));
	CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, queue), 0);
	CHECK_EQ(pthread_join(waiter.thread, NULL), 0);
	CHECK(waiter.err == -ECANCELED || (!waiter.err && waiter.status == -ECANCELED));

	world.process = world_executor_start(&world, world.vdev, 1, &world.fake);
	world.fake->hold = world.fake->deaf = 1;
	queue = queue_make(world.client, 2);
	waiter_start(&running, queue, submit_one(world.client, queue, &job));
	AWAIT(world.fake->held);
	CHECK_ERR(destroy(world.client, INFINI_IOC_QUEUE_DESTROY, queue), 0);
	CHECK_EQ(pthread_join(running.thread, NULL), 0);
	CHECK_ERR(running.err, -ECANCELED);
	world.fake->hold = 0;
}

static void on_alarm(int signal)
{
	(void)signal;
	begun++;
}

static void alarm_in(int flags, unsigned int ms)
{
	const struct sigaction action = { .sa_handler = on_alarm, .sa_flags = flags };
	const struct itimerval timer = { .it_value.tv_usec = ms * 1000,
					 .it_interval.tv_usec = flags ? 0 : ms * 1000 };

	/* Again and again, unless it is counted: the first may come before the wait. */
	begun = 0;
	CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
	CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static void *release_later(void *arg)
{
	(void)arg;
	AWAIT(begun);
	test_sleep_ms(20);
	world.fake->hold = 0;
	return NULL;
}

static void signals(void)
{
	struct infini_job job = job_nop();
	struct infini_submit arg = {
		.flags = INFINI_SUBMIT_F_WAIT, .nr_jobs = 1, .jobs = (uintptr_t)&job,
		.jobs_stride = sizeof(job), .deadline_ns = INFINI_FOREVER,
	};
	pthread_t thread;
	sigset_t set;
	uint32_t queue;
	int status;

	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	world.fake->hold = 1;
	submit_one(world.client, queue, &job);
	alarm_in(0, 50);
	CHECK_ERR(wait_for(world.client, queue, 1, INFINI_FOREVER, NULL), -EINTR);
	/* SUBMIT is not restarted, whatever the handler wants: the jobs are in. */
	arg.queue = queue;
	alarm_in(SA_RESTART, 50);
	CHECK_ERR(infini_submit(world.client, &arg), -EINTR);
	CHECK_EQ(arg.accepted, 1);
	CHECK_EQ(arg.last_seqno, 2);
	/* WAIT is. */
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	begun = 0;
	CHECK_EQ(pthread_create(&thread, NULL, release_later, NULL), 0);
	CHECK_EQ(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
	alarm_in(SA_RESTART, 50);
	CHECK_ERR(wait_for(world.client, queue, 2, INFINI_FOREVER, &status), 0);
	CHECK_EQ(status, 0);
	CHECK_EQ(begun, 1);
	CHECK_EQ(pthread_join(thread, NULL), 0);
}

static long slept(void)
{
	struct rusage usage;

	CHECK_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
	return usage.ru_nvcsw;
}

/* How often this thread slept in waiting for @nr jobs. */
static long sleeps(uint32_t queue, const struct infini_job *job, int nr)
{
	long before = slept();

	while (nr--)
		CHECK_ERR(submit_wait(world.client, queue, job, NULL), 0);
	return slept() - before;
}

/* The same for one that has not ended when its deadline comes, or a signal. */
static long sleeps_in_vain(uint32_t queue, uint64_t seqno, int64_t deadline, int want)
{
	long before = slept();

	CHECK_ERR(wait_for(world.client, queue, seqno, deadline, NULL), want);
	return slept() - before;
}

/* What comes soon is looked for, where there is a second processor for it to come from. */
static void looking(void)
{
	bool alone = sysconf(_SC_NPROCESSORS_ONLN) == 1;
	struct infini_job job = job_program(0);
	uint32_t queue;
	uint64_t seqno;

	test_need_root();
	world_make(&world, &(struct setup){ .executor = WORLD_PROCESS });
	queue = queue_make(world.client, 4);
	job.program = program_make(world.client, 0, 1, 3000000);
	/* A job may end before a busy host has let us come to waiting for it. */
	test_param_set("spin_us", 0);
	AWAIT(sleeps(queue, &job, 20) >= 20);
	test_param_set("spin_us", 1000000);
	if (alone) {
		AWAIT(sleeps(queue, &job, 20) >= 20);
		return;
	}
	/* It learns by waiting, and others may want the processor now and then. */
	AWAIT(sleeps(queue, &job, 20) < 10);

	/* Who looks for 80 ms has a deadline before that, and hears signals. */
	job.program = program_make(world.client, 0, 1, 80000000);
	sleeps(queue, &job, 8);
	AWAIT(!sleeps(queue, &job, 1));
	world.fake->hold = 1;
	seqno = submit_one(world.client, queue, &job);
	AWAIT(!sleeps_in_vain(queue, seqno, test_deadline(SECOND / 50), -ETIMEDOUT));
	alarm_in(0, 20);
	AWAIT(!sleeps_in_vain(queue, seqno, INFINI_FOREVER, -EINTR));
	alarm_in(SA_RESTART, 0);
	world.fake->hold = 0;
}

static const struct test tests[] = {
	{ "sizes, flags and fields", contract },
	{ "deadlines", deadlines },
	{ "what is remembered of old jobs", remembered },
	{ "many threads wait", many_waiters },
	{ "the queue is destroyed meanwhile", destroyed },
	{ "signals: WAIT is restarted, SUBMIT is not", signals },
	{ "what comes soon is looked for", looking },
};

TEST_MAIN(tests)
