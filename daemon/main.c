// SPDX-License-Identifier: GPL-2.0-or-later
/* infinid: options, the check of the configuration, and going to the background. */
#include "backend_load.h"
#include "config.h"
#include "log.h"
#include "proctitle.h"
#include "sandbox_show.h"
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef INFINI_VERSION
#define INFINI_VERSION	"0.1"
#endif

enum { EXIT_USAGE = 2 };

struct options {
	bool foreground;
	bool check;
	bool show_sandbox;
	bool json;
	const char *only;		/* device or backend whose sandbox to show, or NULL */
	bool config_given;
	const char *config;
};

static void print_usage(FILE *to)
{
	fputs("usage: infinid [--foreground] [--check] [--config FILE]\n"
	      "       infinid --show-sandbox [--json] [--config FILE] [DEVICE|BACKEND|REMOTE]\n"
	      "\n"
	      "Brings accelerators to the infini kernel module and runs the work of virtual devices.\n"
	      "\n"
	      "  -f, --foreground   stay in the foreground and log to stderr\n"
	      "  -k, --check        validate the configuration, print each problem, and exit\n"
	      "  -c, --config FILE  read FILE instead of " INFINI_CONFIG_PATH "\n"
	      "  -s, --show-sandbox print what workers may do: user, limits, files, system calls\n"
	      "  -j, --json         with --show-sandbox: as JSON\n"
	      "  -V, --version      print the version and exit\n"
	      "  -h, --help         print this and exit\n"
	      "\n"
	      "Exit status: 0 stopped as asked or nothing to complain about, 1 failed, 2 usage.\n"
	      "SIGHUP reads the configuration again; SIGTERM and SIGINT stop the daemon.\n", to);
}

/* -1: go on; else the exit status. */
static int parse_options(int argc, char **argv, struct options *options)
{
	static const struct option known[] = {
		{ "foreground", no_argument, NULL, 'f' },
		{ "check", no_argument, NULL, 'k' },
		{ "config", required_argument, NULL, 'c' },
		{ "show-sandbox", no_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "fkc:sjVh", known, NULL)) != -1) {
		switch (option) {
		case 'f':
			options->foreground = true;
			break;
		case 'k':
			options->check = true;
			break;
		case 'c':
			options->config = optarg;
			options->config_given = true;
			break;
		case 's':
			options->show_sandbox = true;
			break;
		case 'j':
			options->json = true;
			break;
		case 'V':
			puts("infinid " INFINI_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			print_usage(stdout);
			return EXIT_SUCCESS;
		default:
			print_usage(stderr);
			return EXIT_USAGE;
		}
	}
	if (options->show_sandbox && optind < argc)
		options->only = argv[optind++];
	if (options->json && !options->show_sandbox) {
		fputs("infinid: --json goes with --show-sandbox\n", stderr);
		print_usage(stderr);
		return EXIT_USAGE;
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "infinid: unexpected argument \"%s\"\n", argv[optind]);
	print_usage(stderr);
	return EXIT_USAGE;
}

/* ---- configuration ----------------------------------------------------------------- */

static void print_problem(const char *problem, void *arg)
{
	unsigned int *count = arg;

	(*count)++;
	fprintf(stderr, "%s\n", problem);
}

/* A missing file at the usual place is no problem: everything has a default. */
static int read_config(const struct options *options, struct infini_config *config,
		       unsigned int *problems)
{
	int ret = infini_config_load(config, options->config, print_problem, problems);

	if (ret == -ENOENT && !options->config_given && access(options->config, F_OK) != 0)
		ret = infini_config_defaults(config);
	if (ret && ret != -EINVAL)
		fprintf(stderr, "infinid: %s: %s\n", options->config, strerror(-ret));
	return ret;
}

static int check(const struct options *options, struct infini_config *config)
{
	unsigned int problems = 0;
	char why[512];

	if (read_config(options, config, &problems))
		return EXIT_FAILURE;
	for (uint32_t i = 0; i < config->nr_backends; i++) {
		if (!config->backends[i].enabled ||
		    !infini_backend_present(config->backend_dir, config->backends[i].name, why,
					    sizeof(why)))
			continue;
		problems++;
		fprintf(stderr, "%s: %s\n", options->config, why);
	}
	if (problems)
		return EXIT_FAILURE;
	printf("%s: no problem found\n", options->config);
	return EXIT_SUCCESS;
}

static int show_sandbox(const struct options *options, struct infini_config *config)
{
	unsigned int problems = 0;

	if (read_config(options, config, &problems))
		return EXIT_FAILURE;
	if (!infini_sandbox_show(config, options->only, options->json))
		return EXIT_SUCCESS;
	if (options->only)
		fprintf(stderr, "infinid: there is no device, enabled backend or remote machine "
			"\"%s\"\n", options->only);
	else
		fputs("infinid: no enabled backend has a device\n", stderr);
	return EXIT_FAILURE;
}

/* ---- background -------------------------------------------------------------------- */

/* The parent stays until the daemon is ready or has failed, so that its exit status tells. */
static int wait_for_daemon(int fd, pid_t child)
{
	char byte;
	int status;

	if (read(fd, &byte, 1) == 1)
		return EXIT_SUCCESS;
	if (waitpid(child, &status, 0) == child && WIFEXITED(status))
		return WEXITSTATUS(status);
	return EXIT_FAILURE;
}

/* From here on nobody reads what is written to the terminal. */
static void leave_terminal(void *arg)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), fd = *(int *)arg;

	infini_log_open(true);
	for (int i = STDIN_FILENO; null >= 0 && i <= STDERR_FILENO; i++)
		dup2(null, i);
	close(null);
	if (write(fd, "", 1) != 1)
		infini_warn("the process that started infinid is gone");
	close(fd);
}

static int run_supervisor(const struct options *options, struct infini_config *config,
			  void (*ready)(void *), void *arg)
{
	const struct infini_supervisor_setup setup = {
		.config = config,
		.config_path = options->config,
		.config_required = options->config_given,
		.ready = ready,
		.arg = arg,
	};

	return infini_supervisor_run(&setup) ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int run_in_background(const struct options *options, struct infini_config *config)
{
	int ends[2], status;
	pid_t child;

	child = pipe2(ends, O_CLOEXEC) ? -1 : fork();
	if (child < 0) {
		infini_err("cannot go to the background: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	if (child) {
		close(ends[1]);
		status = wait_for_daemon(ends[0], child);
		close(ends[0]);
		return status;
	}
	close(ends[0]);
	if (setsid() < 0 || chdir("/") != 0) {
		infini_err("cannot leave the terminal: %s", strerror(errno));
		return EXIT_FAILURE;
	}
	return run_supervisor(options, config, leave_terminal, &ends[1]);
}

static int run(const struct options *options, struct infini_config *config)
{
	unsigned int problems = 0;

	if (read_config(options, config, &problems))
		return EXIT_FAILURE;
	infini_log_level(config->log_level);
	if (geteuid() != 0) {
		infini_err("needs to run as root: it registers devices and drops privileges itself");
		return EXIT_FAILURE;
	}
	if (options->foreground)
		return run_supervisor(options, config, NULL, NULL);
	return run_in_background(options, config);
}

int main(int argc, char **argv)
{
	struct options options = { .config = INFINI_CONFIG_PATH };
	struct infini_config *config;
	char *path;
	int status;

	status = parse_options(argc, argv, &options);
	if (status >= 0)
		return status;
	/* The title of a worker is written over argv, and a daemon's directory is "/". */
	path = realpath(options.config, NULL);
	if (!path)
		path = strdup(options.config);
	config = malloc(sizeof(*config));
	if (!path || !config || infini_proctitle_init(argc, argv)) {
		fputs("infinid: out of memory\n", stderr);
		return EXIT_FAILURE;
	}
	options.config = path;
	infini_log_open(false);
	status = options.check ? check(&options, config) :
		 options.show_sandbox ? show_sandbox(&options, config) : run(&options, config);
	free(config);
	free(path);
	return status;
}
