// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Calls the module at random, from two clients, the owner of two devices, their executors and an
 * administrator at once, kills them now and then, and looks at what is left. TAP, and a table of
 * calls and how they ended: what never succeeds is not tested.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/infini_netlink.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../selftest/genl.h"
#include "actor.h"

/* A call that lasts longer than any timeout below hangs, on however slow a machine. */
#define HANGS_NS	(300 * SECOND)

static struct {
	uint64_t seed, calls, seconds;
	unsigned int kills;
	bool faults;
} options = { .seed = 1, .calls = 100000, .kills = 20 };

static struct process {
	pid_t pid;
	unsigned int turn;
} processes[PROCESSES];

static unsigned int kills_done, died, test_number;
static int64_t began_ns;

/* ---- before ---- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		fprintf(stderr, "fuzz-module: %s: %s\n", path, strerror(errno));
		exit(1);
	}
	close(fd);
}

/* Whoever does not answer is found out soon. */
static void timeouts_prepare(void)
{
	static const char *const params[][2] = {
		{ "default_timeout_ms", "100" }, { "max_timeout_ms", "1000" },
		{ "grace_ms", "50" }, { "executor_wait_ms", "100" }, { "executor_start_ms", "300" },
	};
	char path[96];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(params); i++) {
		snprintf(path, sizeof(path), "/sys/module/infini/parameters/%s", params[i][0]);
		write_file(path, params[i][1]);
	}
}

/* Allocations that may sleep are spared unless asked for. */
static void faults_prepare(void)
{
	write_file("/sys/kernel/debug/failslab/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/failslab/verbose", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N");
	write_file("/sys/kernel/debug/fail_page_alloc/min-order", "0");
	write_file("/sys/kernel/debug/fail_page_alloc/verbose", "0");
	write_file("/sys/kernel/debug/fail_usercopy/verbose", "0");
}

static void shared_prepare(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (shared == MAP_FAILED ||
	    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, shared->mail)) {
		perror("fuzz-module");
		exit(1);
	}
	shared->seed = options.seed;
	shared->faults = options.faults;
}

/* ---- while it runs ---- */

static void process_run(unsigned int index, unsigned int turn)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (index < 2)
		client_run(index, turn);
	else if (index == PROCESS_OWNER)
		owner_run(turn);
	else
		admin_run(turn);
	_exit(0);
}

static void process_kill(unsigned int index)
{
	if (!processes[index].pid || !process_trylock(index))
		return;
	kill(processes[index].pid, SIGKILL);
	process_unlock(index);
}

static void process_start(unsigned int index)
{
	struct process *process = &processes[index];
	pid_t pid;

	/* One that ended by itself may have forked meanwhile. */
	process_unlock(index);
	pid = fork();

	if (!pid)
		process_run(index, process->turn);
	process->turn++;
	process->pid = pid > 0 ? pid : 0;
}

static void processes_reap(bool restart)
{
	unsigned int i;
	int status;

	for (i = 0; i < PROCESSES; i++) {
		struct process *process = &processes[i];

		if (process->pid && waitpid(process->pid, &status, WNOHANG) == process->pid) {
			process->pid = 0;
			if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
				died++;
		}
		if (!process->pid && restart)
			process_start(i);
	}
}

/* Spread over the calls, so that as many happen on a slow machine. */
static void maybe_kill(void)
{
	uint64_t done = options.seconds ?
			(now_ns() - began_ns) * options.kills / (options.seconds * SECOND) :
			shared->calls * options.kills / options.calls;

	if (kills_done >= options.kills || done <= kills_done)
		return;
	kills_done++;
	if (one_in(2)) {
		shared->executor_kills++;
		return;
	}
	process_kill(random_below(PROCESSES));
}

static void print_file(const char *path)
{
	char line[256];
	FILE *file = fopen(path, "r");

	while (file && fgets(line, sizeof(line), file))
		printf("# %s", line);
	if (file)
		fclose(file);
}

/* The first call that hangs, said once. */
static bool something_hangs(void)
{
	char path[64];
	size_t i;

	for (i = 0; i < SLOTS; i++) {
		const struct slot *slot = &shared->slots[i];
		int64_t since = slot->since_ns;

		if (!since || now_ns() - since < HANGS_NS || kill(slot->pid, 0))
			continue;
		printf("# %s hangs in process %d\n", call_name(slot->call), slot->pid);
		snprintf(path, sizeof(path), "/proc/%d/stack", slot->pid);
		print_file(path);
		print_file("/sys/kernel/debug/infini/jobs");
		return true;
	}
	return false;
}

static bool finished(void)
{
	return options.seconds ? now_ns() - began_ns >= (int64_t)options.seconds * SECOND :
				 shared->calls >= options.calls;
}

static void progress(void)
{
	static int64_t last;
	int64_t now = now_ns();

	if (now - last < 10 * SECOND)
		return;
	if (last)
		printf("# %llu calls in %lld s\n", (unsigned long long)shared->calls,
		       (long long)((now - began_ns) / SECOND));
	fflush(stdout);
	last = now;
}

static bool anybody_left(void)
{
	unsigned int i, left = 0;

	processes_reap(false);
	for (i = 0; i < PROCESSES; i++)
		left += !!processes[i].pid;
	return left;
}

static bool run(void)
{
	struct timespec pause = { .tv_nsec = 20000000 };
	bool hangs = false;
	unsigned int i;

	began_ns = now_ns();
	while (!finished() && !hangs && !shared->wrong) {
		processes_reap(true);
		maybe_kill();
		progress();
		nanosleep(&pause, NULL);
		hangs = something_hangs();
	}
	shared->stop = true;
	/* Some leave of themselves, and some are in the middle of something. */
	while (anybody_left()) {
		for (i = 0; i < PROCESSES; i++)
			process_kill(i);
		nanosleep(&pause, NULL);
	}
	close(shared->mail[0]);
	close(shared->mail[1]);
	return hangs;
}

/* ---- after ---- */

/* What the module still has, or NULL. */
static const char *left_behind(struct genl *genl)
{
	static char text[160];
	struct genl_list list;
	uint32_t i, nr;
	int err = genl_vdevs(genl, &list);

	for (i = 0; !err && i < list.nr; i++) {
		const struct genl_vdev *vdev = &list.vdevs[i];

		if (vdev->clients || vdev->queues || vdev->buffers || vdev->programs ||
		    vdev->memory_used_bytes || vdev->executor > INFINI_EXECUTOR_WANTED) {
			snprintf(text, sizeof(text), "vdev %s: %u clients %u queues %u buffers %u programs %llu bytes executor %u",
				 vdev->name, vdev->clients, vdev->queues, vdev->buffers,
				 vdev->programs, (unsigned long long)vdev->memory_used_bytes,
				 vdev->executor);
			return text;
		}
		genl_vdev_delete(genl, vdev->id, false);
	}
	if (!err)
		err = genl_vdevs(genl, &list) ?: genl_devices(genl, &nr);
	if (!err && !list.nr && !nr)
		return NULL;
	snprintf(text, sizeof(text), "%u vdevs, %u devices (%d)", list.nr, nr, err);
	return text;
}

/* Executors die and files are closed a moment after their processes are waited for. */
static const char *left_at_last(void)
{
	struct timespec pause = { .tv_nsec = 10000000 };
	const char *left = "netlink does not answer";
	struct genl genl;
	int tries = 3000;

	if (genl_open(&genl))
		return left;
	while ((left = left_behind(&genl)) && tries--)
		nanosleep(&pause, NULL);
	genl_close(&genl);
	return left;
}

static bool tap(bool ok, const char *name)
{
	printf("%sok %u - module: %s\n", ok ? "" : "not ", ++test_number, name);
	fflush(stdout);
	return ok;
}

static bool report(bool hangs)
{
	double seconds = (now_ns() - began_ns) / 1e9;
	const char *left = left_at_last();
	char name[96];
	bool ok;

	calls_print();
	printf("# seed %llu: %llu calls in %.0f s, %.0f per second\n",
	       (unsigned long long)options.seed, (unsigned long long)shared->calls, seconds,
	       shared->calls / seconds);
	printf("# %llu mangled, %llu injected failures, %u kills, %llu jobs, %llu executors, of which %llu killed and %llu revoked, %u processes ended by themselves\n",
	       (unsigned long long)shared->mangled, (unsigned long long)shared->injected, kills_done,
	       (unsigned long long)shared->jobs, (unsigned long long)shared->executors,
	       (unsigned long long)shared->executors_killed, (unsigned long long)shared->revoked,
	       died);
	snprintf(name, sizeof(name), "%llu calls from seed %llu, none hangs",
		 (unsigned long long)shared->calls, (unsigned long long)options.seed);
	ok = tap(!hangs, name);
	ok &= tap(!calls_never_right(), "every call succeeds now and then");
	ok &= tap(!calls_strange(), "every error is one of the contract");
	if (shared->wrong)
		printf("# %s\n", shared->first_wrong);
	ok &= tap(!shared->wrong, "fresh memory is zero, timelines tell what ended");
	if (left)
		printf("# left behind: %s\n", left);
	ok &= tap(!left, "nothing is left of anybody");
	return ok;
}

static void usage(FILE *to)
{
	fprintf(to,
		"usage: fuzz-module [--seed N] [--calls N | --seconds N] [--kills N] [--faults]\n"
		"  --seed N     where the random numbers begin (default %llu)\n"
		"  --calls N    how many, all processes together (default %llu)\n"
		"  --seconds N  how long, instead\n"
		"  --kills N    how often a process is killed (default %u)\n"
		"  --faults     let allocations and copies fail (kernel with fault injection)\n",
		(unsigned long long)options.seed, (unsigned long long)options.calls, options.kills);
}

static uint64_t number(const char *option, const char *text)
{
	char *end;
	unsigned long long value;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *end || *text == '-') {
		fprintf(stderr, "fuzz-module: --%s %s: takes a number\n", option, text);
		exit(2);
	}
	return value;
}

static void parse(int argc, char **argv)
{
	static const struct option known[] = {
		{ "seed", required_argument, NULL, 's' }, { "calls", required_argument, NULL, 'c' },
		{ "seconds", required_argument, NULL, 't' }, { "kills", required_argument, NULL, 'k' },
		{ "faults", no_argument, NULL, 'f' }, { "help", no_argument, NULL, 'h' }, { 0 },
	};
	int option, index = 0;

	while ((option = getopt_long(argc, argv, "h", known, &index)) != -1) {
		switch (option) {
		case 's': options.seed = number("seed", optarg); break;
		case 'c': options.calls = number("calls", optarg); break;
		case 't': options.seconds = number("seconds", optarg); break;
		case 'k': options.kills = number("kills", optarg); break;
		case 'f': options.faults = true; break;
		case 'h': usage(stdout); exit(0);
		default: usage(stderr); exit(2);
		}
	}
	if (optind < argc || (!options.calls && !options.seconds)) {
		usage(stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	parse(argc, argv);
	timeouts_prepare();
	if (options.faults)
		faults_prepare();
	shared_prepare();
	me.random = options.seed;
	printf("TAP version 13\n1..5\n");
	return report(run()) ? 0 : 1;
}
