// SPDX-License-Identifier: GPL-2.0-or-later
/* What workers may do, in words: see sandbox_show.h. */
#include "sandbox_show.h"

#include "pidfile.h"
#include "probe.h"
#include "remote.h"
#include "sandbox.h"
#include "sandbox_calls.h"
#include "sandbox_paths.h"
#include "worker_cgroup.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define LINE_BYTES	100

static struct json_object *add_object(struct json_object *object, const char *key,
				      struct json_object *value)
{
	json_object_object_add(object, key, value);
	return value;
}

static void add_text(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, text ? json_object_new_string(text) : NULL);
}

static void add_number(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

/* ---- one worker -------------------------------------------------------------------- */

static void add_limit(const char *name, uint64_t value, void *arg)
{
	add_number(arg, name, value);
}

/* Paths by what may be done with them, as { "read": [ ... ] }. */
static void add_path(const char *path, const char *access, void *arg)
{
	struct json_object *list;

	if (!json_object_object_get_ex(arg, access, &list))
		list = add_object(arg, access, json_object_new_array());
	json_object_array_add(list, json_object_new_string(path));
}

static void add_denied(const char *what, void *arg)
{
	json_object_array_add(arg, json_object_new_string(what));
}

static const char *const verdicts[] = {
	[INFINI_CALL_ALLOWED] = "allowed",
	[INFINI_CALL_ABSENT] = "absent",
	[INFINI_CALL_KILLS] = "killing",
};

/* { "allowed": [ ... ], "allowed_if": { NAME: [ WHEN ... ] }, ... } */
static void add_call(enum infini_sandbox_verdict verdict, const char *name, const char *when,
		     void *arg)
{
	struct json_object *conditions, *list;

	if (!when) {
		json_object_object_get_ex(arg, verdicts[verdict], &list);
		json_object_array_add(list, json_object_new_string(name));
		return;
	}
	json_object_object_get_ex(arg, "allowed_if", &conditions);
	if (!json_object_object_get_ex(conditions, name, &list))
		list = add_object(conditions, name, json_object_new_array());
	json_object_array_add(list, json_object_new_string(when));
}

static struct json_object *describe_calls(const struct infini_sandbox *sandbox)
{
	struct json_object *calls = json_object_new_object();

	add_object(calls, "allowed", json_object_new_array());
	add_object(calls, "allowed_if", json_object_new_object());
	add_object(calls, "absent", json_object_new_array());
	add_object(calls, "killing", json_object_new_array());
	infini_sandbox_calls_each(sandbox, add_call, calls);
	add_text(calls, "others", strerrorname_np(INFINI_SANDBOX_REFUSAL));
	return calls;
}

/* Of an infinid that does not run it is not known: the limits are those that it will set. */
static bool has_cgroups(const struct infini_config *config)
{
	char path[64], membership[PATH_MAX] = "";
	pid_t pid = infini_pidfile_owner(config->run_dir);
	FILE *file;

	if (!pid)
		return true;
	snprintf(path, sizeof(path), "/proc/%ld/cgroup", (long)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	membership[fread(membership, 1, sizeof(membership) - 1, file)] = '\0';
	fclose(file);
	return infini_worker_cgroups_there(INFINI_CGROUP_ROOT, membership);
}

static struct json_object *describe_cgroup(const struct infini_config *config)
{
	struct json_object *group;

	if (!has_cgroups(config))
		return NULL;
	group = json_object_new_object();
	add_number(group, "worker_memory", config->worker_memory);
	for (size_t i = 0; infini_worker_cgroup_fixed[i].file; i++)
		add_text(group, infini_worker_cgroup_fixed[i].file,
			 infini_worker_cgroup_fixed[i].value);
	add_number(group, "pids.max", infini_worker_cgroup_tasks(config->threads_max));
	return group;
}

static struct json_object *describe_namespaces(const struct infini_sandbox *sandbox)
{
	struct json_object *list = json_object_new_array();

	if (sandbox->scratch) {
		json_object_array_add(list, json_object_new_string("pid"));
		json_object_array_add(list, json_object_new_string("mount"));
	}
	return list;
}

struct json_object *infini_sandbox_describe(const struct infini_config *config, const char *backend,
					    const char *device,
					    const struct infini_sandbox *sandbox)
{
	struct json_object *object = json_object_new_object();
	int abi = infini_sandbox_landlock_abi();

	add_text(object, "device", device);
	add_text(object, "backend", backend);
	add_text(object, "user", config->user);
	add_number(object, "uid", sandbox->uid);
	add_number(object, "gid", sandbox->gid);
	add_object(object, "groups", json_object_new_array());
	add_object(object, "capabilities", json_object_new_array());
	json_object_object_add(object, "no_new_privs", json_object_new_boolean(true));
	json_object_object_add(object, "dumpable", json_object_new_boolean(false));
	add_object(object, "namespaces", describe_namespaces(sandbox));
	infini_sandbox_limits_each(sandbox, add_limit,
				   add_object(object, "limits", json_object_new_object()));
	add_object(object, "cgroup", describe_cgroup(config));
	json_object_object_add(object, "landlock_abi", abi < 0 ? NULL : json_object_new_int(abi));
	infini_sandbox_paths_each(sandbox, add_path,
				  add_object(object, "files", json_object_new_object()));
	infini_sandbox_denied_each(abi, add_denied,
				   add_object(object, "landlock_denied", json_object_new_array()));
	add_object(object, "calls", describe_calls(sandbox));
	return object;
}

/* ---- as text ----------------------------------------------------------------------- */

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value;
}

static const char *text_of(struct json_object *object, const char *key)
{
	return json_object_get_string(get(object, key));
}

/* Words of a list, in lines that a terminal holds. */
static void print_word(const char *word, size_t *column)
{
	size_t length = strlen(word);

	if (*column + length + 1 > LINE_BYTES) {
		fputs("\n                   ", stdout);
		*column = 19;
	}
	printf(" %s", word);
	*column += length + 1;
}

static void print_list(const char *name, struct json_object *list)
{
	size_t column = 19;

	if (!list || !json_object_array_length(list))
		return;
	printf("  %-17s", name);
	for (size_t i = 0; i < json_object_array_length(list); i++)
		print_word(json_object_get_string(json_object_array_get_idx(list, i)), &column);
	putchar('\n');
}

static void print_pairs(const char *name, struct json_object *object)
{
	size_t column = 19;
	char word[160];

	printf("  %-17s", name);
	json_object_object_foreach(object, key, value) {
		snprintf(word, sizeof(word), "%s=%s", key, json_object_get_string(value));
		print_word(word, &column);
	}
	putchar('\n');
}

/* One call a line. */
static void print_conditions(struct json_object *conditions)
{
	const char *title = "with arguments";
	size_t column;

	json_object_object_foreach(conditions, name, list) {
		printf("  %-17s %s:", title, name);
		column = 21 + strlen(name);
		for (size_t i = 0; i < json_object_array_length(list); i++) {
			if (i)
				putchar(',');
			print_word(json_object_get_string(json_object_array_get_idx(list, i)),
				   &column);
		}
		putchar('\n');
		title = "";
	}
}

static void print_files(struct json_object *object)
{
	if (!get(object, "landlock_abi")) {
		puts("  files             as the user may: this kernel has no Landlock");
		return;
	}
	json_object_object_foreach(get(object, "files"), access, list)
		print_list(access, list);
	puts("  other files       none");
	for (size_t i = 0; i < json_object_array_length(get(object, "landlock_denied")); i++)
		printf("  %-17s %s\n", i ? "" : "refused", json_object_get_string(
		       json_object_array_get_idx(get(object, "landlock_denied"), i)));
}

static void print_text(struct json_object *object)
{
	struct json_object *calls = get(object, "calls");

	printf("device %s (backend %s)\n", text_of(object, "device"), text_of(object, "backend"));
	printf("  user              %s (uid %s, gid %s), no other group\n", text_of(object, "user"),
	       text_of(object, "uid"), text_of(object, "gid"));
	puts("  capabilities      none, in all sets; no_new_privs; not to be traced or dumped");
	print_list("namespaces", get(object, "namespaces"));
	print_pairs("limits", get(object, "limits"));
	if (get(object, "cgroup"))
		print_pairs("control group", get(object, "cgroup"));
	else
		puts("  control group     none, so nothing bounds its memory: infinictl doctor says why");
	print_files(object);
	print_list("system calls", get(calls, "allowed"));
	print_conditions(get(calls, "allowed_if"));
	print_list("end the worker", get(calls, "killing"));
	print_list("ENOSYS", get(calls, "absent"));
	printf("  all others        %s\n", text_of(calls, "others"));
}

/* ---- all workers ------------------------------------------------------------------- */

struct show {
	const struct infini_config *config;
	const struct infini_config_backend *backend;
	const char *only;
	struct json_object *list;
};

static bool wanted(const struct show *show, const char *backend, const char *device)
{
	return !show->only || !strcmp(show->only, backend) || !strcmp(show->only, device);
}

static int show_device(const struct infini_backend_device *device, void *arg)
{
	struct show *show = arg;
	const struct infini_config *config = show->config;
	char scratch[PATH_MAX + 16];
	const struct infini_sandbox sandbox = {
		.uid = config->uid,
		.gid = config->gid,
		.pci = device->pci,
		.device_class = device->device_class,
		.scratch = device->needs & INFINI_BACKEND_NEEDS_COMPILER ? scratch : NULL,
	};

	snprintf(scratch, sizeof(scratch), "%s/scratch", config->run_dir);
	if (infini_config_device_allowed(show->backend, device->name) &&
	    wanted(show, show->backend->name, device->name))
		json_object_array_add(show->list, infini_sandbox_describe(config,
				      show->backend->name, device->name, &sandbox));
	return 0;
}

static void show_backend(struct show *show)
{
	struct infini_probe probe = { 0 };
	int ret = infini_probe_start(&probe, show->config, show->backend->name);
	struct pollfd ready = { .fd = probe.fd, .events = POLLIN };

	if (ret) {
		fprintf(stderr, "infinid: backend %s: %s\n", show->backend->name, strerror(-ret));
		return;
	}
	while (!infini_probe_read(&probe, show_device, show))
		poll(&ready, 1, -1);
	waitpid(probe.pid, NULL, 0);
	if (probe.why[0])
		fprintf(stderr, "infinid: backend %s: %s\n", show->backend->name, probe.why);
	infini_probe_end(&probe);
}

static void show_remote(struct show *show, const struct infini_config_remote *remote)
{
	const struct infini_sandbox sandbox = {
		.uid = show->config->uid,
		.gid = show->config->gid,
		.device_class = remote->device_class,
		.is_remote = true,
	};

	if (wanted(show, INFINI_REMOTE_BACKEND, remote->name))
		json_object_array_add(show->list, infini_sandbox_describe(show->config,
				      INFINI_REMOTE_BACKEND, remote->name, &sandbox));
}

int infini_sandbox_show(const struct infini_config *config, const char *only, bool json)
{
	struct show show = { .config = config, .only = only, .list = json_object_new_array() };
	size_t count;

	for (uint32_t i = 0; i < config->nr_backends; i++) {
		show.backend = &config->backends[i];
		if (show.backend->enabled)
			show_backend(&show);
	}
	for (uint32_t i = 0; i < config->nr_remotes; i++)
		show_remote(&show, &config->remotes[i]);
	count = json_object_array_length(show.list);
	for (size_t i = 0; !json && i < count; i++)
		print_text(json_object_array_get_idx(show.list, i));
	if (json)
		puts(json_object_to_json_string_ext(show.list, JSON_C_TO_STRING_PRETTY |
						    JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(show.list);
	return count ? 0 : -ENOENT;
}
