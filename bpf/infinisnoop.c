// SPDX-License-Identifier: GPL-2.0-only
/* infinisnoop: a line for each job, or for each request, once it has ended. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infinisnoop.skel.h"
#include "snoop.h"
#include "tool.h"

#define DAY_NS		86400000000000ull
#define LOOK_NS		50000000ull	/* how long a line may be late */
#define SWEEP_NS	500000000ull	/* and the last line of a request */
#define BUFFER_MIN_KIB	4		/* a page */
#define BUFFER_MAX_KIB	(1 << 20)

struct options {
	bool requests;
	bool pin;
	const char *vdev;
	uint64_t pid;
	uint64_t buffer_kib;
	uint64_t duration_ns;
};

static int help(void)
{
	puts("usage: infinisnoop [OPTION]...\n"
	     "Prints a line for each job once it has ended: when it came, how long it waited and ran,\n"
	     "its tokens, yields and status.\n\n"
	     "      --requests          a line for each request instead\n"
	     "      --vdev NAME         only this vdev\n"
	     "      --pid PID           only this process\n"
	     "      --slower-than TIME  only what took at least so long from arrival to end\n"
	     "      --json              print objects, one per line\n"
	     "      --duration TIME     end after so long; else with Ctrl-C\n"
	     "      --idle TIME         a request has ended when nothing has come of it for so long\n"
	     "                          (default 5s)\n"
	     "      --buffer KIB        room for jobs that are still to be printed (default 4096)\n"
	     "      --pin               show the maps in /sys/fs/bpf/infini while it runs\n"
	     "  -h, --help              show this\n"
	     "      --version           show the version");
	return 0;
}

static bool parse_buffer(const char *text, uint64_t *kib)
{
	if (!tool_number("buffer", text, BUFFER_MAX_KIB, kib))
		return false;
	if (*kib >= BUFFER_MIN_KIB)
		return true;
	tool_fail(TOOL_USAGE, "--buffer %s: must be at least %d KiB", text, BUFFER_MIN_KIB);
	return false;
}

/* False when there is nothing more to do than to exit with @status. */
static bool parse(int argc, char **argv, struct options *options, struct snoop *snoop, int *status)
{
	static const struct option words[] = {
		{ "requests", no_argument, NULL, 'r' }, { "vdev", required_argument, NULL, 'v' },
		{ "pid", required_argument, NULL, 'p' },
		{ "slower-than", required_argument, NULL, 's' },
		{ "json", no_argument, NULL, 'j' }, { "duration", required_argument, NULL, 'd' },
		{ "idle", required_argument, NULL, 'i' },
		{ "buffer", required_argument, NULL, 'b' },
		{ "pin", no_argument, NULL, 'P' }, { "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' }, { 0 }
	};
	bool good = true;
	int option;

	*status = 0;
	while (good && (option = tool_option(argc, argv, words)) >= 0) {
		switch (option) {
		case 'r':
			options->requests = true;
			break;
		case 'v':
			options->vdev = optarg;
			break;
		case 'p':
			good = tool_number("pid", optarg, INT32_MAX, &options->pid);
			break;
		case 's':
			good = tool_duration("slower-than", optarg, 0, DAY_NS, &snoop->slower_ns);
			break;
		case 'j':
			snoop->json = true;
			break;
		case 'd':
			good = tool_duration("duration", optarg, LOOK_NS, 366 * DAY_NS,
					     &options->duration_ns);
			break;
		case 'i':
			good = tool_duration("idle", optarg, LOOK_NS, DAY_NS, &snoop->idle_ns);
			break;
		case 'b':
			good = parse_buffer(optarg, &options->buffer_kib);
			break;
		case 'P':
			options->pin = true;
			break;
		case 'h':
			help();
			return false;
		case 'V':
			puts("infinisnoop " INFINI_VERSION);
			return false;
		default:
			good = false;
		}
	}
	*status = good ? 0 : TOOL_USAGE;
	return good;
}

/* ---- the run ---- */

static int take_job(void *arg, void *data, size_t size)
{
	(void)size;
	snoop_print_job(arg, data);
	return 0;
}

static int take_request(void *arg, void *data, size_t size)
{
	(void)size;
	return snoop_requests_add(arg, data);
}

/* Print what has come. */
static int look(struct ring_buffer *jobs)
{
	int taken = ring_buffer__consume(jobs);

	if (taken < 0)
		return tool_fail(TOOL_FAILED, "%s", strerror(-taken));
	if (fflush(stdout))
		return tool_fail(TOOL_FAILED, "standard output: %s", strerror(errno));
	return 0;
}

static int watch(const struct options *options, struct snoop *snoop, struct ring_buffer *jobs)
{
	uint64_t end_ns = options->duration_ns ? snoop->began_ns + options->duration_ns : UINT64_MAX;
	uint64_t now_ns = snoop->began_ns, sweep_ns = now_ns + SWEEP_NS;
	bool go_on = true;
	int status = 0;

	snoop_print_head(snoop, options->requests);
	while (!status && go_on && now_ns < end_ns) {
		status = look(jobs);
		if (now_ns >= sweep_ns) {
			snoop_requests_end(snoop, now_ns);
			sweep_ns = now_ns + SWEEP_NS;
		}
		go_on = tool_wait(end_ns - now_ns > LOOK_NS ? now_ns + LOOK_NS : end_ns);
		now_ns = tool_now_ns();
	}
	return status;
}

/* Once nothing more can come: what is left. */
static int finish(struct snoop *snoop, struct infinisnoop *skeleton, struct ring_buffer *jobs)
{
	int status;

	infinisnoop__detach(skeleton);
	status = look(jobs);
	snoop_requests_end(snoop, UINT64_MAX);
	snoop_print_end(snoop, skeleton->bss->snoop_lost);
	return status ? status : look(jobs);
}

/* The kernel wants a power of two. */
static uint32_t buffer_bytes(uint64_t kib)
{
	uint32_t bytes = BUFFER_MIN_KIB << 10;

	while (bytes >> 10 < kib)
		bytes <<= 1;
	return bytes;
}

static int run(const struct options *options, struct snoop *snoop, struct infinisnoop *skeleton)
{
	struct infini_admin_vdev vdev = { 0 };
	struct ring_buffer *jobs;
	int status;

	if (options->vdev && infini_admin_vdev_get(snoop->admin, options->vdev, 0, &vdev))
		return tool_fail(TOOL_FAILED, "there is no vdev \"%s\"", options->vdev);
	skeleton->rodata->snoop_vdev = vdev.id;
	skeleton->rodata->snoop_pid = options->pid;
	skeleton->rodata->snoop_slower_ns = options->requests ? 0 : snoop->slower_ns;
	bpf_map__set_max_entries(skeleton->maps.snoop_jobs, buffer_bytes(options->buffer_kib));
	status = tool_start(skeleton->obj, skeleton->skeleton, options->pin);
	if (status)
		return status;
	jobs = ring_buffer__new(bpf_map__fd(skeleton->maps.snoop_jobs),
				options->requests ? take_request : take_job, snoop, NULL);
	if (!jobs)
		return tool_fail(TOOL_FAILED, "cannot map the buffer: %s", strerror(errno));
	snoop->began_ns = tool_now_ns();
	status = watch(options, snoop, jobs);
	if (!status)
		status = finish(snoop, skeleton, jobs);
	ring_buffer__free(jobs);
	return status;
}

int main(int argc, char **argv)
{
	static struct snoop snoop = { .idle_ns = 5000000000 };
	struct options options = { .buffer_kib = 4096 };
	struct infinisnoop *skeleton;
	int status;

	if (!parse(argc, argv, &options, &snoop, &status))
		return status;
	status = tool_open(&snoop.admin);
	if (status)
		return status;
	skeleton = infinisnoop__open();
	if (skeleton)
		status = run(&options, &snoop, skeleton);
	else
		status = tool_fail(TOOL_FAILED, "cannot open the BPF programs: %s",
				   strerror(errno));
	if (skeleton && options.pin)
		tool_unpin(skeleton->obj);
	infinisnoop__destroy(skeleton);
	infini_admin_close(snoop.admin);
	return status;
}
