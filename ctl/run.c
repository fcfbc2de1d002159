// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * infinictl run: a vdev for as long as a command lives.
 *
 * We enter a control group of our own, make a vdev that is bound to it, and become the command. The
 * group is what says that the command lives, all its children and containers included; infinid
 * removes the vdev when nobody is left in it, so it does not matter who is killed, and how.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "cdi.h"
#include "cgroup.h"
#include "ctl.h"
#include "where.h"

#define CGROUPS		"/sys/fs/cgroup"
#define RUNS		"/infini"	/* below it, one group for each command */
#define SPEC_WAIT_MS	5000
#define SPEC_POLL_MS	10
#define JOIN_ATTEMPTS	100

/**
 * struct infini_run - one command
 * @id: of its vdev
 * @group: path of its control group below CGROUPS
 * @argv: the command, NULL behind it
 */
struct infini_run {
	char name[INFINI_NAME_MAX];
	uint32_t id;
	char group[NAME_MAX];
	char **argv;
};

/* ---- the control group --------------------------------------------------------------- */

static int infini_run_write(const char *group, const char *file, const char *text)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), CGROUPS "%s", group);
	return infini_cgroup_write(path, file, text);
}

/* Runtimes set limits in groups below ours, with whatever controllers we were given. */
static void infini_run_controllers(void)
{
	static const char *const controllers[] = { "+cpuset", "+cpu", "+io", "+memory", "+pids" };

	for (size_t i = 0; i < sizeof(controllers) / sizeof(*controllers); i++)
		infini_run_write(RUNS, "cgroup.subtree_control", controllers[i]);
}

/* An empty group is infinid's to remove, so ours may be gone before we are in it. */
static int infini_run_join(const char *group)
{
	char path[PATH_MAX];
	int ret = -EAGAIN;

	snprintf(path, sizeof(path), CGROUPS "%s", group);
	for (int i = 0; i < JOIN_ATTEMPTS && ret; i++) {
		if (mkdir(path, 0755) && (errno != EEXIST || !i))
			return -errno;
		ret = infini_run_write(group, "cgroup.procs", "0");
		if (ret && ret != -ENOENT && ret != -ENODEV)
			return ret;
	}
	return ret;
}

static int infini_run_enter(struct infini_ctl *ctl, struct infini_run *run, int *fd)
{
	char path[PATH_MAX];
	struct statfs fs;
	int ret;

	if (statfs(CGROUPS, &fs) || fs.f_type != CGROUP2_SUPER_MAGIC)
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   CGROUPS " is not the unified hierarchy (cgroup v2), which run needs");
	if (mkdir(CGROUPS RUNS, 0755) && errno != EEXIST)
		return infini_fail(ctl, INFINI_EXIT_FAILURE, CGROUPS RUNS ": %s", strerror(errno));
	infini_run_controllers();
	snprintf(run->group, sizeof(run->group), RUNS "/%s", run->name);
	ret = infini_run_join(run->group);
	if (ret == -EEXIST)
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "--name %s: a command of that name runs already, or infinid has not yet "
				   "cleared up after one: choose another",
				   run->name);
	if (ret)
		return infini_fail(ctl, INFINI_EXIT_FAILURE, CGROUPS "%s: %s", run->group,
				   strerror(-ret));
	snprintf(path, sizeof(path), CGROUPS "%s", run->group);
	*fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *fd < 0 ? infini_fail(ctl, INFINI_EXIT_FAILURE, "%s: %s", path, strerror(errno)) : 0;
}

/* ---- the command --------------------------------------------------------------------- */

/* infinid has heard of the vdev as soon as we have, or almost. */
static int infini_run_wait_spec(struct infini_ctl *ctl, const struct infini_run *run)
{
	const struct timespec pause = { .tv_nsec = SPEC_POLL_MS * 1000000L };

	for (int ms = 0; ms < SPEC_WAIT_MS; ms += SPEC_POLL_MS) {
		if (infini_cdi_ready(run->name, run->id))
			return 0;
		nanosleep(&pause, NULL);
	}
	return infini_fail(ctl, INFINI_EXIT_FAILURE,
			   "container runtimes do not learn of vdev \"%s\": does infinid run, and with [cdi] enabled in infinid.conf?",
			   run->name);
}

static int infini_run_become(struct infini_ctl *ctl, const struct infini_run *run)
{
	char node[32];
	int status;

	snprintf(node, sizeof(node), "/dev/infini%u", run->id);
	if (setenv("INFINI_VDEV", run->name, 1) || setenv("INFINI_DEVICE", node, 1))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the environment");
	execvp(run->argv[0], run->argv);
	status = errno == ENOENT ? 127 : 126;
	return infini_fail(ctl, status, "%s: %s", run->argv[0], strerror(errno));
}

/* ---- options ------------------------------------------------------------------------- */

static int infini_run_name(struct infini_ctl *ctl, struct infini_run *run, const char *name)
{
	uint32_t number;

	if (!name) {
		if (getrandom(&number, sizeof(number), 0) != sizeof(number))
			return infini_fail(ctl, INFINI_EXIT_FAILURE, "no random number: %s",
					   strerror(errno));
		snprintf(run->name, sizeof(run->name), "run-%08x", number);
		return 0;
	}
	if (!infini_vdev_name_valid(name) || !infini_cdi_name_valid(name))
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "--name %s: use 1 to %d letters, digits and \"._-\" that begin and end with a letter or digit, not digits alone",
				   name, INFINI_NAME_LEN_MAX);
	snprintf(run->name, sizeof(run->name), "%s", name);
	return 0;
}

/* Its vdev, where @words say. What there is to say goes to standard error: the other is the command's. */
static int infini_run_vdev(struct infini_ctl *ctl, struct infini_run *run,
			   const struct infini_where_words *words,
			   struct infini_admin_vdev_config *config, struct infini_where *where)
{
	int status = infini_where_find(ctl, run->name, words, config, where);

	if (!status && !infini_where_device(where)->online)
		status = infini_fail(ctl, INFINI_EXIT_FAILURE,
				     "device %s is offline: is infinid running? (systemctl start infinid)",
				     infini_where_device(where)->name);
	if (!status)
		status = infini_run_enter(ctl, run, &config->cgroup_fd);
	if (status)
		return status;
	config->set |= INFINI_VDEV_SET_CGROUP;
	status = infini_where_make(ctl, run->name, config, where, &run->id);
	close(config->cgroup_fd);
	if (!status)
		infini_where_print(where, "infinictl: placed", stderr);
	return status;
}

static int infini_run(struct infini_ctl *ctl, struct infini_run *run,
		      const struct infini_where_words *words, struct infini_admin_vdev_config *config)
{
	struct infini_where where;
	bool cdi;
	int status = infini_run_vdev(ctl, run, words, config, &where);

	infini_where_free(&where);
	if (!status) {
		run->argv = infini_run_words(run->argv, run->name, run->group, &cdi);
		if (!run->argv)
			status = infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the command");
	}
	if (!status && cdi)
		status = infini_run_wait_spec(ctl, run);
	if (status)
		return status;
	infini_admin_close(ctl->admin);
	ctl->admin = NULL;
	return infini_run_become(ctl, run);
}

/* The words up to "--" are ours. */
static int infini_run_split(struct infini_ctl *ctl, struct infini_run *run, int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--"))
			continue;
		run->argv = argv + i + 1;
		if (*run->argv)
			return i;
	}
	infini_fail(ctl, INFINI_EXIT_USAGE, "run: write the command behind \"--\": see infinictl help run");
	return -1;
}

static bool infini_run_asks_help(int argc, char **argv)
{
	return argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"));
}

static int infini_run_run(struct infini_ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		INFINI_WHERE_OPTIONS,
		{ "name", required_argument, NULL, 'N' },
		INFINI_CONFIG_OPTIONS,
		{ 0 }
	};
	struct infini_admin_vdev_config config = { 0 };
	struct infini_config_words words = { 0 };
	struct infini_where_words where = { 0 };
	const char *name = NULL;
	struct infini_run run = { 0 };
	int option, ours, status;

	if (infini_run_asks_help(argc, argv))
		return infini_help_print(ctl);
	ours = infini_run_split(ctl, &run, argc, argv);
	if (ours < 0)
		return INFINI_EXIT_USAGE;
	while ((option = infini_options_next(ctl, ours, argv, options)) >= 0) {
		if (option == 'N')
			name = optarg;
		else if (!infini_where_option(&where, option, optarg))
			infini_config_option(&words, option, optarg);
	}
	if (option == INFINI_OPTIONS_FAILED)
		return INFINI_EXIT_USAGE;
	status = infini_options_words(ctl, ours, 0, "nothing");
	if (!status && words.cgroup)
		status = infini_fail(ctl, INFINI_EXIT_USAGE,
				     "run: --cgroup %s: the vdev is bound to the command's own control group",
				     words.cgroup);
	if (!status)
		status = infini_config_parse(ctl, &words, &config);
	if (!status)
		status = infini_run_name(ctl, &run, name);
	return status ? status : infini_run(ctl, &run, &where, &config);
}

const struct infini_command infini_run_command = {
	.name = "run",
	.args = "--memory SIZE [OPTION...] -- COMMAND...",
	.summary = "Run a command with a vdev of its own",
	.help = "The vdev goes when the command, its children and its containers have ended, whoever was\n"
		"killed and how. Nobody else may open it. Into podman run it is put as --device; in other\n"
		"commands {} stands for its name in containers and {cgroup} for where they must be:\n\n"
		"  infinictl run --memory 2G -- podman run IMAGE llama-completion ...\n"
		"  infinictl run --memory 2G -- docker run --device {} --cgroup-parent {cgroup} IMAGE\n"
		"  infinictl run --memory 2G -- llama-completion -m model.gguf\n\n"
		"A command that is no container finds it by INFINI_DEVICE=/dev/infiniN.\n\n"
		"  --name NAME           of the vdev (default run- and a random number)\n"
		INFINI_WHERE_HELP
		INFINI_CONFIG_HELP,
	.run = infini_run_run,
};
