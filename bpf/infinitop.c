// SPDX-License-Identifier: GPL-2.0-only
/* infinitop: whose tokens the machine is making, live. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "infinitop.skel.h"
#include "tool.h"
#include "top.h"
#include "top_llama.h"
#include "top_screen.h"

#define INTERVAL_MIN_NS	50000000ull
#define DAY_NS		86400000000000ull
#define KEY_WAIT_NS	100000000ull	/* how long a key may go unseen */
#define ROWS_TOTAL	32768		/* for all processors: some 100 MB */
#define ROWS_MIN	256
#define ROWS_MAX	4096

struct options {
	bool batch;
	bool json;
	bool pin;
	uint64_t interval_ns;
	uint64_t duration_ns;
	struct top_llama llama;
};

static int help(void)
{
	puts("usage: infinitop [OPTION]...\n"
	     "Shows tokens, latencies and shares of vdevs, control groups or processes.\n\n"
	     "  -b, --batch          print tables instead of using the whole screen\n"
	     "      --json           print one line of JSON per interval\n"
	     "      --by WHAT        vdev (default), cgroup or process\n"
	     "      --sort COLUMN    generated (default), prompt, occupancy, wait, memory, name\n"
	     "      --vdev NAME      only this vdev\n"
	     "      --pid PID        only this process\n"
	     "      --interval TIME  between two looks, such as 500ms (default 1s)\n"
	     "      --duration TIME  end after so long\n"
	     "      --uprobe[=PATH]  also count processes that run llama.cpp past Infini\n"
	     "      --metrics SOCKET infinid's, which tells of energy\n"
	     "      --pin            show the maps in /sys/fs/bpf/infini while it runs\n"
	     "  -h, --help           show this\n"
	     "      --version        show the version");
	return 0;
}

static bool choose(const char *option, const char *word, const char *const *names, int nr,
		   int *choice)
{
	for (*choice = 0; *choice < nr; (*choice)++)
		if (!strcmp(names[*choice], word))
			return true;
	tool_fail(TOOL_USAGE, "--%s \"%s\": see infinitop --help", option, word);
	return false;
}

/* False when there is nothing more to do than to exit with @status. */
static bool parse(int argc, char **argv, struct options *options, struct top *top, int *status)
{
	static const struct option words[] = {
		{ "batch", no_argument, NULL, 'b' }, { "json", no_argument, NULL, 'j' },
		{ "by", required_argument, NULL, 'g' }, { "sort", required_argument, NULL, 's' },
		{ "vdev", required_argument, NULL, 'v' }, { "pid", required_argument, NULL, 'p' },
		{ "interval", required_argument, NULL, 'i' },
		{ "duration", required_argument, NULL, 'd' },
		{ "uprobe", optional_argument, NULL, 'u' },
		{ "metrics", required_argument, NULL, 'm' },
		{ "pin", no_argument, NULL, 'P' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { 0 }
	};
	uint64_t number;
	int option, choice;
	bool good = true;

	*status = 0;
	while (good && (option = tool_option(argc, argv, words)) >= 0) {
		switch (option) {
		case 'b':
			options->batch = true;
			break;
		case 'j':
			options->json = true;
			break;
		case 'g':
			good = choose("by", optarg, top_by_names, 3, &choice);
			top->by = choice;
			break;
		case 's':
			good = choose("sort", optarg, top_sort_names, 6, &choice);
			top->sort = choice;
			break;
		case 'v':
			top->vdev = optarg;
			break;
		case 'p':
			good = tool_number("pid", optarg, INT32_MAX, &number);
			top->pid = number;
			break;
		case 'i':
			good = tool_duration("interval", optarg, INTERVAL_MIN_NS, DAY_NS,
					     &options->interval_ns);
			break;
		case 'd':
			good = tool_duration("duration", optarg, INTERVAL_MIN_NS, 366 * DAY_NS,
					     &options->duration_ns);
			break;
		case 'u':
			good = top_llama_add(&options->llama, optarg);
			break;
		case 'm':
			top->energy.socket = optarg;
			break;
		case 'P':
			options->pin = true;
			break;
		case 'h':
			help();
			return false;
		case 'V':
			puts("infinitop " INFINI_VERSION);
			return false;
		default:
			good = false;
		}
	}
	*status = good ? 0 : TOOL_USAGE;
	return good;
}

/* Show the table; non-zero ends the tool. */
static int show(const struct options *options, const struct top *top, bool screen)
{
	if (screen) {
		top_screen_draw(top);
		return 0;
	}
	if (options->json && top_print_json(top, stdout))
		return tool_fail(TOOL_FAILED, "no memory");
	if (!options->json) {
		top_print(top, stdout);
		putchar('\n');
	}
	if (fflush(stdout))
		return tool_fail(TOOL_FAILED, "standard output: %s", strerror(errno));
	return 0;
}

/* Wait for the next look; false when the user has had enough. */
static bool pause_until(uint64_t until_ns, struct top *top, bool screen)
{
	while (screen && tool_now_ns() < until_ns) {
		uint64_t next_ns = tool_now_ns() + KEY_WAIT_NS;

		if (!tool_wait(next_ns < until_ns ? next_ns : until_ns))
			return false;
		switch (top_screen_key()) {
		case TOP_KEY_QUIT:
			return false;
		case TOP_KEY_GROUP:
			top_regroup(top, (top->by + 1) % 3);
			return true;
		case TOP_KEY_SORT:
			top->sort = (top->sort + 1) % 6;
			top_screen_draw(top);
			break;
		case TOP_KEY_DRAW:
			top_screen_draw(top);
			break;
		case TOP_KEY_NONE:
			break;
		}
	}
	return tool_wait(until_ns);
}

static int look(struct top *top, const struct infinitop *skeleton)
{
	top->lost = skeleton->bss->top_lost;
	return top_look(top);
}

/* The last look is at the end, so that totals are complete. Exit status, or -errno of a look. */
static int watch(const struct options *options, struct top *top, const struct infinitop *skeleton,
		 bool screen)
{
	uint64_t end_ns = options->duration_ns ? top->began_ns + options->duration_ns : UINT64_MAX;
	uint64_t next_ns = top->began_ns;
	bool go_on = true;
	int status = look(top, skeleton);

	while (!status && go_on) {
		next_ns += options->interval_ns;
		if (next_ns > end_ns)
			next_ns = end_ns;
		go_on = pause_until(next_ns, top, screen) && next_ns < end_ns;
		status = look(top, skeleton);
		if (!status)
			status = show(options, top, screen);
	}
	return status;
}

static int run(const struct options *options, struct top *top, struct infinitop *skeleton)
{
	bool screen = !options->batch && !options->json && isatty(STDOUT_FILENO);
	int rows = ROWS_TOTAL / top->nr_cpus, status;

	rows = rows < ROWS_MIN ? ROWS_MIN : rows > ROWS_MAX ? ROWS_MAX : rows;
	bpf_map__set_max_entries(skeleton->maps.top_rows, rows);
	top_llama_prepare(&options->llama, skeleton);
	status = tool_start(skeleton->obj, skeleton->skeleton, options->pin);
	if (!status)
		status = top_llama_attach(&options->llama, skeleton);
	if (status)
		return status;
	top->map_fd = bpf_map__fd(skeleton->maps.top_rows);
	top->began_ns = tool_now_ns();
	if (screen && !top_screen_open())
		return tool_fail(TOOL_FAILED, "cannot use this terminal: try --batch");
	status = watch(options, top, skeleton, screen);
	if (screen)
		top_screen_close();
	if (status < 0)
		return tool_fail(TOOL_FAILED, "%s: %s", infini_admin_error(top->admin),
				 strerror(-status));
	return status;
}

int main(int argc, char **argv)
{
	struct options options = { .interval_ns = 1000000000 };
	struct top top = { .nr_cpus = libbpf_num_possible_cpus() };
	struct infinitop *skeleton;
	int status;

	if (!parse(argc, argv, &options, &top, &status))
		return status;
	status = tool_open(&top.admin);
	if (status)
		return status;
	skeleton = infinitop__open();
	if (skeleton)
		status = run(&options, &top, skeleton);
	else
		status = tool_fail(TOOL_FAILED, "cannot open the BPF programs: %s",
				   strerror(errno));
	if (skeleton && options.pin)
		tool_unpin(skeleton->obj);
	top_llama_detach();
	infinitop__destroy(skeleton);
	top_free(&top);
	return status;
}
