// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Load on vdevs of the null, the CUDA or the OpenCL backend: tenants that submit, wait, think and lie as
 * they are told, and samples of the kernel's counters at set times.
 *
 * It never spins and never looks at the clock in a loop, so that it also runs where computing takes
 * no time and only sleep lets time pass.
 */
#include "load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define WARM_NS		(50 * NS_PER_MS)
#define EVENTS_AT_ONCE	64

static struct load load;

_Noreturn void die(const char *what, int err)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

void *must(void *memory)
{
	if (!memory)
		die("memory", ENOMEM);
	return memory;
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* ---- samples ---- */

static void sample_vdev(const struct tenant *tenant, uint64_t at_ns)
{
	struct infini_vdev_stats stats = { 0 };
	uint64_t segments = 0;
	int err = infini_vdev_stats(tenant->clients[0].fd, &stats);

	if (err)
		die("stats", err);
	for (size_t i = 0; i < load.nr_tenants; i++)
		if (!strcmp(load.tenants[i].vdev, tenant->vdev))
			segments += tenant_work_ns(&load.tenants[i]);
	printf("sample %" PRIu64 " %s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64
	       " %" PRIu64 " %" PRIu64 "\n", at_ns, tenant->vdev, (uint64_t)stats.occupancy_ns,
	       (uint64_t)stats.runnable_ns, segments, (uint64_t)stats.tokens_generated,
	       (uint64_t)stats.jobs_completed, (uint64_t)stats.preemptions,
	       (uint64_t)stats.slices);
}

/* One line per vdev, all of the same moment where computing takes no time. */
static void sample(uint64_t at_ns)
{
	for (size_t i = 0; i < load.nr_tenants; i++) {
		size_t first = 0;

		while (strcmp(load.tenants[first].vdev, load.tenants[i].vdev))
			first++;
		if (first == i)
			sample_vdev(&load.tenants[i], at_ns);
	}
}

static int compare_ns(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The wait of a job: from its submission to its end, without the time it had the slot. */
static void print_waits(struct tenant *tenant)
{
	size_t n = tenant->nr_waits;
	uint64_t sum = 0;

	qsort(tenant->waits, n, sizeof(*tenant->waits), compare_ns);
	for (size_t i = 0; i < n; i++)
		sum += tenant->waits[i];
	printf("waits %s %zu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
	       tenant->vdev, n, n ? sum / n : 0, n ? tenant->waits[n / 2] : 0,
	       n ? tenant->waits[n - 1 - n / 100] : 0, n ? tenant->waits[n - 1] : 0,
	       tenant->longest_ns);
}

/* ---- the loop ---- */

static void happen(const struct event *event)
{
	switch (event->kind) {
	case EVENT_SAMPLE:
		sample(event->at_ns - load.start_ns);
		if (event->at_ns + load.sample_ns <= load.start_ns + load.duration_ns)
			events_add(&load.events, (struct event){
				.at_ns = event->at_ns + load.sample_ns, .kind = EVENT_SAMPLE });
		break;
	case EVENT_COMMAND:
		if (system(event->command))
			die(event->command, EIO);
		printf("ran %" PRIu64 "\n", now_ns() - load.start_ns);
		break;
	case EVENT_START:
		tenant_start(event->tenant);
		break;
	case EVENT_SUBMIT:
		queue_submit(event->queue, 1, now_ns());
		break;
	}
}

static void wait_for_jobs(int epoll_fd, uint64_t until_ns)
{
	struct epoll_event events[EVENTS_AT_ONCE];
	uint64_t now = now_ns();
	uint64_t left = until_ns > now ? until_ns - now : 0;
	const struct timespec timeout = {
		.tv_sec = (time_t)(left / NS_PER_S),
		.tv_nsec = (long)(left % NS_PER_S),
	};
	int n = epoll_pwait2(epoll_fd, events, EVENTS_AT_ONCE, &timeout, NULL);

	if (n < 0 && errno != EINTR)
		die("epoll", errno);
	for (int i = 0; i < n; i++)
		client_look(events[i].data.ptr);
}

static void run(int epoll_fd)
{
	uint64_t end = load.start_ns + load.duration_ns;
	const struct event *next;

	for (;;) {
		next = events_first(&load.events);
		if (next && next->at_ns <= now_ns()) {
			struct event event = *next;

			events_remove_first(&load.events);
			happen(&event);
			continue;
		}
		/* A sample at the very end is still to be taken. */
		if (now_ns() >= end)
			return;
		wait_for_jobs(epoll_fd, next && next->at_ns < end ? next->at_ns : end);
	}
}

/* ---- options ---- */

static uint64_t number(const char *word, uint64_t scale)
{
	char *end;
	double value;

	errno = 0;
	value = strtod(word ? word : "", &end);
	if (errno || !word || end == word || *end || value < 0) {
		fprintf(stderr, "load: \"%s\" is not a number\n", word ? word : "");
		exit(2);
	}
	return (uint64_t)(value * (double)scale + 0.5);
}

static void parse_tenant(struct tenant *t, char *words)
{
	enum { VDEV, CLIENTS, QUEUES, INFLIGHT, SEGMENTS, SEGMENT, THINK, SPREAD, START, TOKENS,
	       CLAIMS, TIMEOUT, JOBS, PTX, CL, WHOLE, ENDS };
	static char *const names[] = { "vdev", "clients", "queues", "inflight", "segments",
				       "segment_us", "think_us", "spread", "start_ms", "tokens",
				       "claims", "timeout_ms", "jobs", "ptx", "cl", "whole",
				       "ends", NULL };
	char *value;

	*t = (struct tenant){ .nr_clients = 1, .nr_queues = 1, .inflight = 2, .segments = 1,
			      .segment_ns = NS_PER_MS, .random = 1 + load.nr_tenants };
	while (*words) {
		switch (getsubopt(&words, names, &value)) {
		case VDEV: t->vdev = value; break;
		case CLIENTS: t->nr_clients = number(value, 1); break;
		case QUEUES: t->nr_queues = number(value, 1); break;
		case INFLIGHT: t->inflight = (uint32_t)number(value, 1); break;
		case SEGMENTS: t->segments = number(value, 1); break;
		case SEGMENT: t->segment_ns = number(value, NS_PER_US); break;
		case THINK: t->think_ns = number(value, NS_PER_US); break;
		case SPREAD: t->spread_ppm = number(value, 10000); break;
		case START: t->start_ns = number(value, NS_PER_MS); break;
		case TOKENS: t->tokens = (uint32_t)number(value, 1); break;
		case CLAIMS: t->claims = (uint32_t)number(value, 1); break;
		case TIMEOUT: t->timeout_ns = number(value, NS_PER_MS); break;
		case JOBS: t->jobs = number(value, 1); break;
		case PTX: t->ptx = value; break;
		case CL: t->cl = value; break;
		case WHOLE: t->whole = number(value, 1); break;
		case ENDS: t->ends = number(value, 1); break;
		default:
			fprintf(stderr, "load: unknown: %s\n", value);
			exit(2);
		}
	}
	if (!t->vdev || !t->nr_clients || !t->nr_queues || !t->segments || !t->segment_ns ||
	    !t->inflight || t->inflight > INFINI_TIMELINE_RECORDS) {
		fprintf(stderr, "load: a tenant wants a vdev, and numbers above 0\n");
		exit(2);
	}
}

static void parse_command(char *word)
{
	char *colon = strchr(word, ':');

	if (!colon) {
		fprintf(stderr, "load: -x wants MS:COMMAND\n");
		exit(2);
	}
	*colon = '\0';
	events_add(&load.events, (struct event){ .at_ns = number(word, NS_PER_MS),
						 .kind = EVENT_COMMAND, .command = colon + 1 });
}

static void parse(int argc, char **argv)
{
	int option;

	load.duration_ns = NS_PER_S;
	load.tenants = must(calloc((size_t)argc, sizeof(*load.tenants)));
	while ((option = getopt(argc, argv, "d:s:x:t:")) != -1) {
		switch (option) {
		case 'd': load.duration_ns = number(optarg, NS_PER_MS); break;
		case 's': load.sample_ns = number(optarg, NS_PER_MS); break;
		case 'x': parse_command(optarg); break;
		case 't': parse_tenant(&load.tenants[load.nr_tenants++], optarg); break;
		default: exit(2);
		}
	}
	if (!load.nr_tenants) {
		fprintf(stderr, "usage: load [-d MS] [-s SAMPLE-MS] [-x MS:COMMAND]... "
			"-t vdev=NAME[,WORD=NUMBER]... [-t ...]\n");
		exit(2);
	}
	if (!load.sample_ns)
		load.sample_ns = load.duration_ns;
}

/* Thousands of open vdevs. */
static void raise_files(void)
{
	struct rlimit files;

	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int main(int argc, char **argv)
{
	int epoll_fd = epoll_create1(EPOLL_CLOEXEC);

	parse(argc, argv);
	raise_files();
	/* The default slack is 50 us. */
	prctl(PR_SET_TIMERSLACK, 1);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	for (size_t i = 0; i < load.nr_tenants; i++)
		tenant_open(&load.tenants[i], &load, epoll_fd);
	/* Until here workers have started and programs been loaded. */
	load.start_ns = now_ns() + WARM_NS;
	events_shift(&load.events, load.start_ns);
	events_add(&load.events, (struct event){ .at_ns = load.start_ns, .kind = EVENT_SAMPLE });
	for (size_t i = 0; i < load.nr_tenants; i++)
		events_add(&load.events, (struct event){
			.at_ns = load.start_ns + load.tenants[i].start_ns,
			.kind = EVENT_START, .tenant = &load.tenants[i] });
	run(epoll_fd);
	for (size_t i = 0; i < load.nr_tenants; i++)
		print_waits(&load.tenants[i]);
	return fflush(stdout) ? 1 : 0;
}
