// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The conformance suite: any backend, against the contract of daemon/backend.h. TAP.
 *
 * Each case is a process that loads infinid-NAME.so as a worker does and opens the device itself,
 * so that a crash or a hang is that case's, and nothing is left for the next one.
 */
#include "server.h"
#include "world.h"

#include "../../daemon/sandbox.h"

#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEVICES_MAX	16
#define CASE_SECONDS	900		/* a hang, on however slow a machine */
#define NOBODY		65534
#define REMOTE_NAME	"remote"

/* What processes of cases leave: what a probe found, why a case was not run. */
struct probed {
	char reason[SKIP_BYTES];
	uint32_t nr;
	struct infini_backend_device devices[DEVICES_MAX];
};

static const char *dir = ".";
static const char *only_device, *only_case;
static const char *server_program;
static struct probed *probed;
static unsigned int rows, failed;

/* ---- in a worker's sandbox --------------------------------------------------------- */

static void enter_sandbox(const struct world *world)
{
	const struct infini_sandbox sandbox = {
		.uid = NOBODY, .gid = NOBODY, .device_class = world->device.device_class,
		.scratch = world->device.needs & INFINI_BACKEND_NEEDS_COMPILER ? scratch_dir : NULL,
		.is_remote = remote,
	};
	char why[256];

	CHECK(!sandbox.scratch || !chown(sandbox.scratch, NOBODY, NOBODY), "%s", sandbox.scratch);
	CHECK(!infini_sandbox_enter(&sandbox, why, sizeof(why)), "%s", why);
}

/* In the order of a worker: see daemon/worker.c. */
static void sandboxed(struct world *world)
{
	bool sandbox_first = world->device.needs & INFINI_BACKEND_NEEDS_COMPILER &&
			     world->device.device_class != INFINI_CLASS_GPU &&
			     world->device.device_class != INFINI_CLASS_NPU;
	struct job job;

	if (geteuid())
		skip("only root enters a worker's sandbox");
	if (sandbox_first)
		enter_sandbox(world);
	world_open(world);
	if (!sandbox_first)
		enter_sandbox(world);
	for (uint32_t i = 0; i < backend_kit.nr_programs; i++) {
		job_make(world, &job, &backend_kit.programs[i], &world->memories[0]);
		CHECK(!job_run(world, &job, YIELD_ALWAYS), "\"%s\" fails in the sandbox",
		      backend_kit.programs[i].name);
		job_is_right(world, &job);
		job_drop(world, &job);
	}
	world_is_as_before(world);
	/* A worker is killed or exits: what a library would do at its end it need not be able to. */
}

static const struct row sandbox_rows[] = {
	{ "programs run in a worker's sandbox", sandboxed },
	{ NULL, NULL },
};

/* ---- processes --------------------------------------------------------------------- */

static void set_environment(void)
{
	const char *const *at = backend_kit.environment;

	for (; at && *at; at += 2)
		setenv(at[0], at[1], 0);
}

static int keep(const struct infini_backend_device *device, void *arg)
{
	struct probed *found = arg;

	if (found->nr < DEVICES_MAX)
		found->devices[found->nr++] = *device;
	return 0;
}

static void quiet(int priority, const char *message)
{
	(void)priority;
	snprintf(said, sizeof(said), "%s", message);
}

static _Noreturn void child(const struct row *row, const struct infini_backend_device *device)
{
	struct world world = { 0 };

	alarm(CASE_SECONDS);
	set_environment();
	if (device)
		world.device = *device;
	world_load(&world, dir);
	if (row)
		row->run(&world);
	else
		CHECK(!world_probe(&world, keep, probed, quiet), "the probe fails");
	fflush(stdout);
	_exit(0);
}

static int run_process(const struct row *row, const struct infini_backend_device *device)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		child(row, device);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		printf("# no end within %d s\n", CASE_SECONDS);
	else if (WIFSIGNALED(status))
		printf("# died of signal %d, %s\n", WTERMSIG(status), strsignal(WTERMSIG(status)));
	else if (WEXITSTATUS(status) != 0 && WEXITSTATUS(status) != 1 && WEXITSTATUS(status) != 77)
		printf("# exit status %d: see what it wrote to stderr\n", WEXITSTATUS(status));
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The status of a case, or of the probe where @row is NULL; with a server of its own if there is one. */
static int run_in_child(const struct row *row, const struct infini_backend_device *device)
{
	struct infini_backend_remote machine = {
		.name = REMOTE_NAME, .device_class = INFINI_CLASS_GPU,
	};
	struct server server = { 0 };
	int status;

	if (!server_program)
		return run_process(row, device);
	if (!scratch_dir || !server_start(&server, server_program, scratch_dir))
		return -1;
	machine.endpoint = server.endpoint;
	remote = &machine;
	status = run_process(row, device);
	remote = NULL;
	return server_end(&server) ? status : -1;
}

static void one_row(const struct row *row, const struct infini_backend_device *device)
{
	int status;

	if (only_case && !strstr(row->name, only_case))
		return;
	status = run_in_child(row, device);
	printf("%sok %u - %s: %s%s%s\n", status == 0 || status == 77 ? "" : "not ", ++rows,
	       device->name, row->name, status == 77 ? " # SKIP " : "",
	       status == 77 ? probed->reason : "");
	fflush(stdout);
	failed += status != 0 && status != 77;
}

static void all_rows(const struct infini_backend_device *device)
{
	static const struct row *const tables[] = {
		device_rows, memory_rows, program_rows, yield_rows, sandbox_rows, remote_rows,
	};
	size_t n = sizeof(tables) / sizeof(tables[0]);

	for (size_t i = 0; i < (server_program ? n : n - 1); i++)
		for (const struct row *row = tables[i]; row->name; row++)
			one_row(row, device);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* For compilers; a case in the sandbox is nobody. */
static void scratch_make(char *path)
{
	if (mkdtemp(path) && !chmod(path, 0777))
		scratch_dir = path;
}

static void scratch_remove(void)
{
	if (scratch_dir)
		nftw(scratch_dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static bool probe(void)
{
	probed = mmap(NULL, sizeof(*probed), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (probed == MAP_FAILED)
		return false;
	skip_reason = probed->reason;
	return !run_in_child(NULL, NULL);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "device", required_argument, NULL, 'n' },
		{ "case", required_argument, NULL, 'c' },
		{ "server", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	static char scratch[] = "/tmp/backend-suite.XXXXXX";
	uint32_t tried = 0;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			dir = optarg;
			break;
		case 'n':
			only_device = optarg;
			break;
		case 'c':
			only_case = optarg;
			break;
		case 's':
			server_program = optarg;
			break;
		default:
			fprintf(stderr, "usage: suite [--dir DIR] [--device NAME] [--case WORDS] "
				"[--server PROGRAM]\n"
				"  DIR has infinid-%s.so; NAME is one of its devices, all by default; "
				"PROGRAM HOST:PORT serves devices, which are tested instead of this "
				"machine's\n", backend_kit.name);
			return 2;
		}
	}
	scratch_make(scratch);
	if (!probe()) {
		scratch_remove();
		printf("not ok 1 - infinid-%s.so is loaded and probed\n1..1\n", backend_kit.name);
		return 1;
	}
	for (uint32_t i = 0; i < probed->nr; i++) {
		if (only_device && strcmp(only_device, probed->devices[i].name))
			continue;
		all_rows(&probed->devices[i]);
		tried++;
	}
	scratch_remove();
	if (!tried)
		printf("ok %u - %s # SKIP the backend finds no device%s%s\n", ++rows,
		       backend_kit.name, only_device ? " " : "", only_device ? only_device : "");
	printf("1..%u\n", rows);
	return failed ? 1 : 0;
}
