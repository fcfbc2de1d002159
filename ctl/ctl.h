/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What infinictl's commands share: one file each, errors carried up and printed once. */
#ifndef INFINI_CTL_H
#define INFINI_CTL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "infini-admin.h"

#define INFINI_EXIT_FAILURE	1
#define INFINI_EXIT_USAGE	2

/**
 * struct infini_ctl - one run of infinictl
 * @admin: netlink handle, NULL until a command connects
 * @command: the command that runs
 * @error: why it failed, without a newline
 */
struct infini_ctl {
	struct infini_admin *admin;
	const struct infini_command *command;
	char error[512];
};

/**
 * struct infini_command - one subcommand
 * @name: words as typed, "vdev create"
 * @args: what follows them
 * @summary: one line
 * @help: paragraphs
 * @run: argv[0] is the command's last word. Returns an exit status; when it is not 0,
 *	ctl->error is set, or help was asked for
 */
struct infini_command {
	const char *name;
	const char *args;
	const char *summary;
	const char *help;
	int (*run)(struct infini_ctl *ctl, int argc, char **argv);
};

extern const struct infini_command infini_device_list_command;
extern const struct infini_command infini_device_show_command;
extern const struct infini_command infini_vdev_create_command;
extern const struct infini_command infini_vdev_set_command;
extern const struct infini_command infini_vdev_delete_command;
extern const struct infini_command infini_vdev_list_command;
extern const struct infini_command infini_vdev_show_command;
extern const struct infini_command infini_run_command;
extern const struct infini_command infini_cdi_generate_command;
extern const struct infini_command infini_cdi_list_command;
extern const struct infini_command infini_cdi_remove_command;
extern const struct infini_command infini_stats_command;
extern const struct infini_command infini_bill_command;
extern const struct infini_command infini_events_command;
extern const struct infini_command infini_doctor_command;
extern const struct infini_command infini_help_command;
extern const struct infini_command *const infini_commands[];

/* error.c */
/* Remember why; returns @status. */
int infini_fail(struct infini_ctl *ctl, int status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* A request about what @fmt names was refused with @err: the module's sentence, or errno's. */
int infini_fail_request(struct infini_ctl *ctl, int err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Print what the module had to say about what @fmt names though it did it. */
void infini_note(struct infini_ctl *ctl, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int infini_ctl_connect(struct infini_ctl *ctl);
/* For a failed infini_admin_open() or infini_admin_events_open(). */
int infini_fail_connect(struct infini_ctl *ctl, int err);

/* options.c */
#define INFINI_OPTION_HELP	'h'
#define INFINI_OPTIONS_END	(-1)
#define INFINI_OPTIONS_FAILED	(-2)
/* getopt_long() that explains itself; INFINI_OPTIONS_END or _FAILED (ctl->error is set). */
int infini_options_next(struct infini_ctl *ctl, int argc, char **argv, const struct option *options);
/* For a command whose only options are --json and --help: true when it should go on. */
bool infini_options_json(struct infini_ctl *ctl, int argc, char **argv, bool *json, int *status);
/* Exactly @nr words behind the options, which @what names. */
int infini_options_words(struct infini_ctl *ctl, int argc, int nr, const char *what);

/* help.c */
/* For commands: print the help of the one that runs; 0. */
int infini_help_print(const struct infini_ctl *ctl);

/* manual.c */
/* Let man(1) show the page of @command; false where there is no terminal, no page or no man. */
bool infini_manual_show(const char *command);

/* lookup.c */
struct infini_devices {
	struct infini_admin_device *device;
	size_t nr;
};

struct infini_vdevs {
	struct infini_admin_vdev *vdev;
	size_t nr;
};

/* Everything there is, by id; the caller frees the array. 0 or -errno. */
int infini_devices_list(struct infini_ctl *ctl, struct infini_devices *devices);
int infini_vdevs_list(struct infini_ctl *ctl, struct infini_vdevs *vdevs);
/* The same; 0 or an exit status. */
int infini_devices_load(struct infini_ctl *ctl, struct infini_devices *devices);
int infini_vdevs_load(struct infini_ctl *ctl, struct infini_vdevs *vdevs);
/* In place of an empty table, to people. */
void infini_vdevs_none_print(void);
/* A word of digits is an id, else a name; *@name is NULL for an id. */
int infini_key_parse(struct infini_ctl *ctl, const char *noun, const char *word, const char **name,
		     uint32_t *id);
int infini_device_lookup(struct infini_ctl *ctl, const char *word,
			 struct infini_admin_device *device);
int infini_vdev_lookup(struct infini_ctl *ctl, const char *word, struct infini_admin_vdev *vdev);
/* infinid locks its file in @run_dir as long as it lives; *@pid is 0 in another pid namespace. */
bool infini_daemon_runs(const char *run_dir, pid_t *pid);
/* There is no such thing: say so and name what comes near. */
int infini_fail_unknown_device(struct infini_ctl *ctl, const char *word);
int infini_fail_unknown_vdev(struct infini_ctl *ctl, const char *word);
/* @pools: those there are, between blanks; it is cut up. */
int infini_fail_unknown_pool(struct infini_ctl *ctl, const char *word, char *pools);

/* near.c */
/* Letters to change, add, drop or swap to get from @a to @b. */
size_t infini_near_bound(const char *word);
size_t infini_near_distance(const char *a, const char *b);

/* config.c: the options that "vdev create" and "vdev set" share */
struct infini_config_words {
	const char *memory, *weight, *quantum, *owner, *mode;
	const char *vdev_class, *cap, *floor, *rate, *burst;
	const char *cgroup;
	bool overcommit, exclusive, shared;
};

#define INFINI_CONFIG_OPTIONS						\
	{ "memory", required_argument, NULL, 'm' },			\
	{ "weight", required_argument, NULL, 'w' },			\
	{ "quantum", required_argument, NULL, 'q' },			\
	{ "owner", required_argument, NULL, 'o' },			\
	{ "mode", required_argument, NULL, 'M' },			\
	{ "class", required_argument, NULL, 'c' },			\
	{ "cap", required_argument, NULL, 'C' },			\
	{ "floor", required_argument, NULL, 'f' },			\
	{ "rate", required_argument, NULL, 'r' },			\
	{ "burst", required_argument, NULL, 'b' },			\
	{ "overcommit", no_argument, NULL, 'O' },			\
	{ "cgroup", required_argument, NULL, 'g' },			\
	{ "exclusive", no_argument, NULL, 'x' },			\
	{ "shared", no_argument, NULL, 's' }

#define INFINI_CONFIG_HELP						\
	"  --memory SIZE         memory limit: 512M, 1.5G\n"		\
	"  --overcommit          limits may add up to more than the device has; when it is\n" \
	"                        full, allocations fail: first come, first served\n" \
	"  --class CLASS         latency, normal (default), batch: who goes before whom\n" \
	"  --weight N            share among vdevs of its class, 1..10000 (default 100)\n" \
	"  --cap PART            at most this part of the device's time: 20%, none (default)\n" \
	"  --floor PART          at least this part while it has work: 30%, none (default)\n" \
	"  --rate N              at most N tokens a second, prompts included: 100/s, none (default)\n" \
	"  --burst N             tokens beyond the rate after a pause (default: a second's)\n" \
	"  --quantum TIME        longest turn on the device, 100us..1s (default 2ms)\n"	\
	"  --owner USER[:GROUP]  who may open it (default root)\n"	\
	"  --mode MODE           what owner, group and others may, octal (default 0600); the module\n" \
	"                        checks it, whatever ls shows for the node\n" \
	"  --cgroup PATH         only processes in this cgroup (v2) or below may open it, root\n" \
	"                        included: a directory, or a path within the hierarchy; none\n" \
	"                        (default): all that owner and mode allow\n" \
	"  --exclusive           one opener at a time; --shared (default): several\n"

/* True when @option was one of them. */
bool infini_config_option(struct infini_config_words *words, int option, const char *word);
int infini_config_parse(struct infini_ctl *ctl, const struct infini_config_words *words,
			struct infini_admin_vdev_config *config);

/* where.c: "gpu", "any"; see where.h for what it is to a vdev */
bool infini_device_class_parse(const char *word, uint32_t *device_class);

/* limits.c: those of them about time and tokens, and what a device can promise */
int infini_limits_parse(struct infini_ctl *ctl, const struct infini_config_words *words,
			struct infini_admin_vdev_config *config);
/* Memory that is promised to no vdev but to one that has @before. */
uint64_t infini_memory_left(const struct infini_admin_device *device, uint64_t before);
/*
 * What @config asks for did not fit (-ENOSPC): with numbers when the device can be asked. @before
 * is the vdev as it was, all zero for a new one.
 */
int infini_fail_space(struct infini_ctl *ctl, const char *vdev, const char *device,
		      const struct infini_admin_vdev *before,
		      const struct infini_admin_vdev_config *config);

/* vdev-create.c */
bool infini_vdev_name_valid(const char *name);

/* cdi-list.c */
/* Runtimes are told that vdev @name is node @id. */
bool infini_cdi_ready(const char *name, uint32_t id);

/* owner.c */
int infini_owner_parse(struct infini_ctl *ctl, const char *text, uint32_t *uid, uint32_t *gid);
void infini_owner_text(uint32_t uid, uint32_t gid, char *text, size_t size);

/* cgroup.c */
/* Open the directory that "--cgroup @word" names; *@fd is -1 for none. 0 or an exit status. */
int infini_cgroup_open(struct infini_ctl *ctl, const char *word, int *fd);
/* To people: its path and id, or that it is gone. */
void infini_cgroup_text(uint64_t id, char *text, size_t size);

/* run-words.c */
/*
 * The command @argv, ended by NULL, as it is run: "{}" and "{cgroup}" in place, and for "podman run" the
 * vdev and its group. *@cdi: it names the vdev as container runtimes do. NULL without memory.
 */
char **infini_run_words(char **argv, const char *name, const char *group, bool *cdi);

/* uuid.c */
#define INFINI_UUID_TEXT	37
int infini_uuid_parse(struct infini_ctl *ctl, const char *word, uint8_t *uuid);
void infini_uuid_text(const uint8_t *uuid, char *text);

/* signal.c */
/* A descriptor that is readable after SIGINT or SIGTERM; -errno. */
int infini_signals_open(void);
/* Wait for @fd, or none (-1), or @timeout_ms: 1 readable, 0 timeout, -EINTR time to end. */
int infini_signals_wait(int signals, int fd, int timeout_ms);

#endif /* INFINI_CTL_H */
