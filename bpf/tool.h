/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tools share: checks before a program is loaded, loading the programs that suit the
 * kernel, pins, options that are durations, and the end by signal or by time.
 */
#ifndef INFINI_BPF_TOOL_H
#define INFINI_BPF_TOOL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOOL_FAILED	1	/* exit status: something is missing or went wrong */
#define TOOL_USAGE	2	/* exit status: the words of the command */

struct bpf_object;
struct bpf_object_skeleton;
struct infini_admin;

/* Prints "name: reason" to standard error; returns @status. */
__attribute__((format(printf, 2, 3))) int tool_fail(int status, const char *format, ...);

/*
 * The next option as getopt_long() gives it; -1 at the end, TOOL_OPTION_BAD after one that does
 * not exist or lacks its value, which has been said.
 */
#define TOOL_OPTION_BAD	0x100
int tool_option(int argc, char **argv, const struct option *options);

/* "500ms", "2s", "3m" or seconds; false, and said, if it is not one in [@min_ns, @max_ns]. */
bool tool_duration(const char *option, const char *text, uint64_t min_ns, uint64_t max_ns,
		   uint64_t *ns);

/* A number in [0, @max]; false, and said, if it is none. */
bool tool_number(const char *option, const char *text, uint64_t max, uint64_t *number);

/*
 * Before anything is loaded: root, the module, its netlink in *@admin, and signals. 0, or the exit
 * status after a line that says why.
 */
int tool_open(struct infini_admin **admin);

/*
 * Choose between typed and classic programs, load, pin the maps under
 * /sys/fs/bpf/infini/TOOL when @pin, and attach. 0 or the exit status.
 */
int tool_start(struct bpf_object *object, struct bpf_object_skeleton *skeleton, bool pin);
void tool_unpin(struct bpf_object *object);

uint64_t tool_now_ns(void);

/* Wait until @until_ns of CLOCK_MONOTONIC; false when SIGINT or SIGTERM came. */
bool tool_wait(uint64_t until_ns);

#endif /* INFINI_BPF_TOOL_H */
