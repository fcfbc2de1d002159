// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The file for container runtimes: whatever vdevs and paths are called, it is JSON that says what there
 * is and nothing besides. Input: the length of the plugin's file name and the name, then vdevs.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdi.h"

#define VDEVS_MAX	32
#define PLAIN	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

struct record {
	uint32_t id;
	int32_t minor;
	char name[32];
};

static char folder[] = "/tmp/fuzz-cdi-XXXXXX";
static struct infini_admin_vdev vdevs[VDEVS_MAX];
static unsigned int nr_vdevs;

int infini_admin_vdev_list(struct infini_admin *admin,
			   int (*found)(const struct infini_admin_vdev *vdev, void *arg), void *arg)
{
	(void)admin;
	for (unsigned int i = 0; i < nr_vdevs; i++)
		found(&vdevs[i], arg);
	return 0;
}

static void must(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "SUMMARY: the file is wrong: %s\n", what);
	abort();
}

static void remove_folder(void)
{
	infini_cdi_remove(folder);
	unlinkat(AT_FDCWD, folder, AT_REMOVEDIR);
}

void fuzz_begin(void)
{
	must(!!mkdtemp(folder), "no folder");
	atexit(remove_folder);
}

static struct json_object *member(struct json_object *of, const char *key)
{
	struct json_object *value = NULL;

	must(json_object_object_get_ex(of, key, &value), key);
	return value;
}

/* One of two devices of @vdev. */
static void check_device(struct json_object *device, const struct infini_admin_vdev *vdev)
{
	struct json_object *edits = member(device, "containerEdits"), *env, *nodes;
	char want[64];

	must(json_object_object_length(device) == 2 && json_object_object_length(edits) == 2,
	     "members of a device");
	env = member(edits, "env");
	nodes = member(edits, "deviceNodes");
	snprintf(want, sizeof(want), "INFINI_VDEV=%s", vdev->name);
	must(json_object_array_length(env) == 1 &&
	     !strcmp(json_object_get_string(json_object_array_get_idx(env, 0)), want), "environment");
	must(json_object_array_length(nodes) == 2, "nodes");
	snprintf(want, sizeof(want), "/dev/infini%u", vdev->id);
	for (size_t i = 0; i < 2; i++) {
		struct json_object *node = json_object_array_get_idx(nodes, i);

		must(!strcmp(json_object_get_string(member(node, "hostPath")), want), "host's node");
	}
}

static void check_devices(struct json_object *file)
{
	struct json_object *devices = member(file, "devices"), *device;
	char id[16];
	size_t at = 0;

	for (unsigned int i = 0; i < nr_vdevs; i++) {
		const char *name = vdevs[i].name;

		if (vdevs[i].minor < 0 || !*name || name[strspn(name, PLAIN)])
			continue;
		snprintf(id, sizeof(id), "%u", vdevs[i].id);
		for (int by_name = 0; by_name <= infini_cdi_name_valid(name); by_name++) {
			device = json_object_array_get_idx(devices, at++);
			must(device && !strcmp(json_object_get_string(member(device, "name")),
					       by_name ? name : id), "name");
			check_device(device, &vdevs[i]);
		}
	}
	must(at == json_object_array_length(devices), "more devices than there are");
}

static void check_plugin(struct json_object *file, const char *plugin)
{
	struct json_object *edits, *mounts;

	edits = member(file, "containerEdits");
	mounts = member(edits, "mounts");
	must(json_object_array_length(mounts) == 1 &&
	     !strcmp(json_object_get_string(member(json_object_array_get_idx(mounts, 0), "hostPath")),
		     plugin), "mount");
}

static void check(const char *plugin)
{
	struct json_object *file;
	char path[PATH_MAX];

	infini_cdi_path(folder, path);
	file = json_object_from_file(path);
	must(!!file, json_util_get_last_err());
	must(json_object_object_length(file) == 3 + !!plugin, "members of the file");
	check_devices(file);
	if (plugin)
		check_plugin(file, plugin);
	json_object_put(file);
}

static void read_vdevs(const uint8_t *data, size_t bytes)
{
	struct record record;

	for (nr_vdevs = 0; nr_vdevs < VDEVS_MAX && bytes >= sizeof(record); nr_vdevs++) {
		memcpy(&record, data, sizeof(record));
		vdevs[nr_vdevs] = (struct infini_admin_vdev){ .id = record.id, .minor = record.minor };
		memcpy(vdevs[nr_vdevs].name, record.name, sizeof(vdevs->name) - 1);
		data += sizeof(record);
		bytes -= sizeof(record);
	}
}

/* A file of that name, where the system takes such a name. */
static int make_plugin(const uint8_t *name, size_t bytes, char path[PATH_MAX])
{
	int at = snprintf(path, PATH_MAX, "%s/", folder), fd;

	memcpy(path + at, name, bytes);
	path[at + (int)bytes] = '\0';
	if (!bytes || strchr(path + at, '/') || !strncmp(path + at, ".infini", 7))
		return -1;
	fd = open(path, O_CREAT | O_EXCL | O_RDONLY | O_CLOEXEC, 0644);
	if (fd >= 0)
		close(fd);
	return fd < 0 ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct infini_cdi_result result;
	struct infini_cdi cdi = { .dir = folder };
	char path[PATH_MAX];

	if (!bytes || data[0] >= bytes)
		return 0;
	read_vdevs(data + 1 + data[0], bytes - 1 - data[0]);
	if (!make_plugin(data + 1, data[0], path))
		cdi.plugin = path;
	must(!infini_cdi_update(&cdi, NULL, &result), "it cannot be written");
	if (result.nr_vdevs)
		check(cdi.plugin);
	if (cdi.plugin)
		unlink(path);
	return 0;
}

void fuzz_seeds(void)
{
	static const struct record seeds[] = {
		{ 1, 1, "chat" }, { 2, 2, "-" }, { 3, -1, "none" }, { 4, 4, "a\"b" },
	};
	uint8_t seed[1 + 9 + sizeof(seeds)] = { 9, 'p', '"', '\\', '\n', 0x7f, '.', 's', 'o', '}' };

	memcpy(seed + 10, seeds, sizeof(seeds));
	fuzz_seed(seed, sizeof(seed));
}
