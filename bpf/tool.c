// SPDX-License-Identifier: GPL-2.0-only
/* What the tools share. */
#include "tool.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "infini-admin.h"

#define PIN_ROOT	"/sys/fs/bpf"
#define PINS		PIN_ROOT "/infini"

int tool_fail(int status, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	return status;
}

/* ---- options ---- */

int tool_option(int argc, char **argv, const struct option *options)
{
	int at = optind ? optind : 1, option;

	opterr = 0;
	option = getopt_long(argc, argv, ":h", options, NULL);
	if (option == ':') {
		tool_fail(TOOL_USAGE, "option \"%s\" needs a value", argv[optind - 1]);
		return TOOL_OPTION_BAD;
	}
	if (option == '?') {
		tool_fail(TOOL_USAGE, "unknown option \"%s\": see %s --help",
			  argv[optind > at ? optind - 1 : at], program_invocation_short_name);
		return TOOL_OPTION_BAD;
	}
	if (option < 0 && optind < argc) {
		tool_fail(TOOL_USAGE, "\"%s\" is not an option: see %s --help", argv[optind],
			  program_invocation_short_name);
		return TOOL_OPTION_BAD;
	}
	return option;
}

static double tool_unit(const char *unit)
{
	static const struct {
		const char *name;
		double ns;
	} units[] = {
		{ "", 1e9 }, { "ns", 1 }, { "us", 1e3 }, { "ms", 1e6 },
		{ "s", 1e9 }, { "m", 60e9 }, { "h", 3600e9 },
	};

	for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
		if (!strcmp(unit, units[i].name))
			return units[i].ns;
	return 0;
}

bool tool_duration(const char *option, const char *text, uint64_t min_ns, uint64_t max_ns,
		   uint64_t *ns)
{
	char *unit;
	double value = strtod(text, &unit), scale = tool_unit(unit);

	if (unit == text || !scale || !(value >= 0)) {
		tool_fail(TOOL_USAGE, "--%s \"%s\": not a duration such as 500ms, 2s or 1m", option,
			  text);
		return false;
	}
	value *= scale;
	if (value < min_ns || value > max_ns) {
		tool_fail(TOOL_USAGE, "--%s %s: must be from %g to %g s", option, text,
			  min_ns / 1e9, max_ns / 1e9);
		return false;
	}
	*ns = value;
	return true;
}

bool tool_number(const char *option, const char *text, uint64_t max, uint64_t *number)
{
	char *end;

	errno = 0;
	*number = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && !errno && *number <= max)
		return true;
	tool_fail(TOOL_USAGE, "--%s \"%s\": not a number from 0 to %llu", option, text,
		  (unsigned long long)max);
	return false;
}

/* ---- loading ---- */

static bool tool_typed(void)
{
	return !access("/sys/kernel/btf/vmlinux", R_OK) && !access("/sys/kernel/btf/infini", R_OK);
}

/* Without BTF of the module only the tracepoint's own record can be read. */
static int tool_choose(struct bpf_object *object)
{
	bool typed = tool_typed();
	struct bpf_program *program;

	if (!typed && access("/sys/kernel/tracing/events/infini", F_OK) &&
	    access("/sys/kernel/debug/tracing/events/infini", F_OK))
		return tool_fail(TOOL_FAILED,
				 "no BTF of the module and no tracefs: mount -t tracefs tracefs /sys/kernel/tracing");
	bpf_object__for_each_program(program, object) {
		enum bpf_prog_type type = bpf_program__type(program);

		if (type == (typed ? BPF_PROG_TYPE_TRACEPOINT : BPF_PROG_TYPE_TRACING))
			bpf_program__set_autoload(program, false);
	}
	return 0;
}

/* Maps of ours that are used, not those that hold a program's variables. */
static bool tool_pinnable(const struct bpf_map *map)
{
	return bpf_map__autocreate(map) && !strchr(bpf_map__name(map), '.');
}

static void tool_pin_path(char *path, size_t size, const struct bpf_map *map)
{
	snprintf(path, size, PINS "/%s/%s", program_invocation_short_name, bpf_map__name(map));
}

void tool_unpin(struct bpf_object *object)
{
	struct bpf_map *map;
	char path[128];

	bpf_object__for_each_map(map, object) {
		tool_pin_path(path, sizeof(path), map);
		if (tool_pinnable(map) && bpf_map__is_pinned(map))
			unlink(path);
	}
	snprintf(path, sizeof(path), PINS "/%s", program_invocation_short_name);
	rmdir(path);
	rmdir(PINS);
}

/* Pins that a killed tool left are replaced. */
static int tool_pin(struct bpf_object *object)
{
	struct bpf_map *map;
	char path[128];
	int err;

	snprintf(path, sizeof(path), PINS "/%s", program_invocation_short_name);
	if ((mkdir(PINS, 0700) && errno != EEXIST) || (mkdir(path, 0700) && errno != EEXIST))
		return tool_fail(TOOL_FAILED, "%s: %s; is bpffs mounted at " PIN_ROOT "?", path,
				 strerror(errno));
	bpf_object__for_each_map(map, object) {
		if (!tool_pinnable(map))
			continue;
		tool_pin_path(path, sizeof(path), map);
		unlink(path);
		err = bpf_map__pin(map, path);
		if (err)
			return tool_fail(TOOL_FAILED, "%s: %s", path, strerror(-err));
	}
	return 0;
}

int tool_start(struct bpf_object *object, struct bpf_object_skeleton *skeleton, bool pin)
{
	int status = tool_choose(object), err;

	if (status)
		return status;
	err = bpf_object__load_skeleton(skeleton);
	if (err)
		return tool_fail(TOOL_FAILED, "the kernel refuses the BPF programs: %s",
				 strerror(-err));
	if (pin)
		status = tool_pin(object);
	if (status)
		return status;
	err = bpf_object__attach_skeleton(skeleton);
	if (err)
		return tool_fail(TOOL_FAILED, "cannot attach to the module's tracepoints: %s",
				 strerror(-err));
	return 0;
}

/* ---- time ---- */

uint64_t tool_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * UINT64_C(1000000000) + now.tv_nsec;
}

static void tool_end_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
}

bool tool_wait(uint64_t until_ns)
{
	bool ended = false;

	while (!ended) {
		uint64_t now = tool_now_ns(), left;
		struct timespec timeout;
		sigset_t set;

		if (now >= until_ns)
			return true;
		left = until_ns - now;
		timeout.tv_sec = left / 1000000000;
		timeout.tv_nsec = left % 1000000000;
		tool_end_signals(&set);
		ended = sigtimedwait(&set, NULL, &timeout) > 0;
	}
	return false;
}

/* ---- the beginning ---- */

/* Blocked, and taken where we wait, so that none is missed between a look and a wait. */
static void tool_signals(void)
{
	sigset_t set;

	tool_end_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

int tool_open(struct infini_admin **admin)
{
	int err;

	if (geteuid())
		return tool_fail(TOOL_FAILED, "must be run as root to load BPF programs");
	if (access("/sys/module/infini", F_OK))
		return tool_fail(TOOL_FAILED, "the infini module is not loaded: modprobe infini");
	tool_signals();
	err = infini_admin_open(admin);
	if (err)
		return tool_fail(TOOL_FAILED, "the infini module does not answer: %s",
				 strerror(-err));
	libbpf_set_print(NULL);
	return 0;
}
