// SPDX-License-Identifier: GPL-2.0-or-later
/* Runs properties in child processes. */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "property.h"
#include "shrink.h"

/* A run takes milliseconds. */
#define RUN_SECONDS	20
/* Shrunk numbers may make a run long that was not: that is another failure. */
#define SHRINK_SECONDS	2
#define SHRINK_TRIES	3000
/* And then it is small enough. */
#define SHRINK_ALL_SECONDS 60

static u64 seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Seen by the child and by us after its death. */
static struct property_result *result_map(void)
{
	struct property_result *result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE,
					      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert(result != MAP_FAILED);
	return result;
}

/* What it left when it did not come to say it. */
static void result_of_status(struct property_result *result, int status)
{
	result->endless = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
	if (result->endless)
		snprintf(result->why, PROPERTY_WHY, "does not end");
	else if (WIFSIGNALED(status))
		snprintf(result->why, PROPERTY_WHY, "died of signal %d", WTERMSIG(status));
	else
		snprintf(result->why, PROPERTY_WHY, "exited with %d", WEXITSTATUS(status));
}

struct job {
	const struct property *property;
	const struct sim_workload *load;
	u64 least;
	u64 seeds;
	u64 seconds;	/* of all, or of the one run */
};

static void search(const struct job *job, struct property_result *result)
{
	u64 until = seconds_now() + job->seconds;
	struct sim_workload load;

	for (result->seed = 1; result->seed <= job->seeds; result->seed++) {
		if (result->seed > job->least && seconds_now() >= until)
			break;
		memset(&load, 0, sizeof(load));
		job->property->draw(&load, result->seed);
		alarm(RUN_SECONDS);
		if (!job->property->holds(&load, result->why))
			return;
		result->runs++;
	}
	result->held = true;
}

static void try_one(const struct job *job, struct property_result *result)
{
	int null = open("/dev/null", O_WRONLY);

	dup2(null, STDERR_FILENO);
	alarm(job->seconds);
	result->held = job->property->holds(job->load, result->why);
	result->runs = 1;
}

/* The test framework would take what is deadly for the end of its test, and go on with the next. */
static void signals_default(void)
{
	static const int deadly[] = { SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGSYS, SIGABRT };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(deadly); i++)
		signal(deadly[i], SIG_DFL);
}

/* Let a child do it. */
static struct property_result apart(const struct job *job,
				    void (*work)(const struct job *, struct property_result *))
{
	struct property_result *shared = result_map(), result;
	int status = 0;
	pid_t child;

	fflush(NULL);
	child = fork();
	assert(child >= 0);
	if (!child) {
		signals_default();
		work(job, shared);
		_exit(0);
	}
	while (waitpid(child, &status, 0) != child)
		;
	if (status) {
		shared->held = false;
		result_of_status(shared, status);
	}
	result = *shared;
	munmap(shared, sizeof(*shared));
	return result;
}

struct property_result property_try(const struct property *property,
				    const struct sim_workload *load, u64 seconds)
{
	struct job job = { .property = property, .load = load, .seconds = seconds };

	return apart(&job, try_one);
}

struct property_result property_search(const struct property *property, u64 least, u64 seeds,
				       u64 seconds)
{
	struct job job = {
		.property = property, .least = least, .seeds = seeds, .seconds = seconds,
	};

	return apart(&job, search);
}

struct failure {
	const struct property *property;
	bool endless;
	u64 until;
};

static bool still_fails(const struct sim_workload *load, void *context)
{
	const struct failure *failure = context;
	struct property_result result;

	if (seconds_now() >= failure->until)
		return false;
	result = property_try(failure->property, load,
			      failure->endless ? RUN_SECONDS : SHRINK_SECONDS);
	return !result.held && result.endless == failure->endless;
}

struct property_result property_shrink(const struct property *property, struct sim_workload *load,
				       u32 tries)
{
	struct failure failure = {
		.property = property, .until = seconds_now() + SHRINK_ALL_SECONDS,
	};

	failure.endless = property_try(property, load, RUN_SECONDS).endless;
	workload_shrink(load, still_fails, &failure, tries);
	return property_try(property, load, RUN_SECONDS);
}

bool property_check(const struct property *property, u64 least, u64 seeds, u64 seconds)
{
	struct property_result result = property_search(property, least, seeds, seconds);
	struct sim_workload load = { 0 };
	u64 seed = result.seed;

	if (result.held) {
		printf("# %s: %llu runs\n", property->name, (unsigned long long)result.runs);
		return true;
	}
	printf("# seed %llu: %s\n", (unsigned long long)seed, result.why);
	property->draw(&load, seed);
	result = property_shrink(property, &load, SHRINK_TRIES);
	printf("# the smallest that fails like it: %s\n", result.why);
	workload_print(stdout, &load);
	return false;
}
