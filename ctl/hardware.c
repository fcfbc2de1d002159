// SPDX-License-Identifier: GPL-2.0-or-later
/* What infinid has written down of this machine's hardware, which the module knows nothing of. */
#include "hardware.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PIDFILE	"infinid.pid"

/* It locks the file beside its inventory as long as it lives. */
static bool infini_daemon_runs(const char *path)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	const char *slash = strrchr(path, '/');
	char pidfile[PATH_MAX];
	bool runs;
	int fd;

	snprintf(pidfile, sizeof(pidfile), "%.*s" PIDFILE, slash ? (int)(slash + 1 - path) : 0, path);
	fd = open(pidfile, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	runs = !fcntl(fd, F_GETLK, &lock) && lock.l_type != F_UNLCK;
	close(fd);
	return runs;
}

static struct json_object *infini_member(struct json_object *object, const char *key, enum json_type type)
{
	struct json_object *value;

	if (!json_object_object_get_ex(object, key, &value) || !json_object_is_type(value, type))
		return NULL;
	return value;
}

void infini_hardware_load(struct infini_hardware *hardware, const char *path)
{
	*hardware = (struct infini_hardware){
		.path = path,
		.file = access(path, R_OK) ? NULL : json_object_from_file(path),
		.running = infini_daemon_runs(path),
	};
	if (!hardware->file)
		return;
	hardware->nodes = infini_member(hardware->file, "nodes", json_type_array);
	hardware->time_s = json_object_get_int64(infini_member(hardware->file, "time",
							       json_type_int));
	if (!hardware->nodes)
		infini_hardware_free(hardware);
}

void infini_hardware_free(struct infini_hardware *hardware)
{
	json_object_put(hardware->file);
	hardware->file = NULL;
	hardware->nodes = NULL;
}

void infini_hardware_note(const struct infini_hardware *hardware)
{
	time_t seconds = hardware->time_s;
	char moment[32] = "";
	struct tm local;

	if (hardware->file && hardware->running)
		return;
	if (localtime_r(&seconds, &local))
		strftime(moment, sizeof(moment), "%Y-%m-%d %H:%M:%S", &local);
	if (!hardware->file)
		fprintf(stderr, "infinictl: nothing is known of the hardware: %s %s\n", hardware->path,
			access(hardware->path, F_OK) ? "is missing" :
						       "was not written by this release's infinid");
	else
		fprintf(stderr, "infinictl: infinid is not running: what is known of the hardware is of %s\n",
			moment);
}

struct json_object *infini_hardware_of(const struct infini_hardware *hardware, const char *device)
{
	struct json_object *node, *name;

	for (size_t i = 0; hardware->nodes && i < json_object_array_length(hardware->nodes); i++) {
		node = json_object_array_get_idx(hardware->nodes, i);
		name = infini_member(node, "device", json_type_string);
		if (name && !strcmp(json_object_get_string(name), device))
			return node;
	}
	return NULL;
}

struct json_object *infini_hardware_json(const struct infini_hardware *hardware,
					 const char *device)
{
	struct json_object *node = infini_hardware_of(hardware, device), *copy = NULL;

	if (!node || json_object_deep_copy(node, &copy, NULL))
		return NULL;
	json_object_object_add(copy, "time", json_object_new_int64(hardware->time_s));
	return copy;
}

const char *infini_hardware_text(struct json_object *node, const char *key)
{
	struct json_object *value = infini_member(node, key, json_type_string);

	return value ? json_object_get_string(value) : "-";
}

static bool infini_number_of(struct json_object *node, const char *key, uint64_t *number)
{
	struct json_object *value = infini_member(node, key, json_type_int);

	*number = json_object_get_uint64(value);
	return value;
}

struct infini_text infini_hardware_memory(struct json_object *node)
{
	uint64_t bytes;

	return infini_number_of(node, "memory_bytes", &bytes) ? infini_bytes_text(bytes) :
								(struct infini_text){ "-" };
}

struct infini_text infini_hardware_utilisation(struct json_object *node)
{
	uint64_t ppm;

	return infini_number_of(node, "utilisation_ppm", &ppm) ? infini_percent_text((uint32_t)ppm) :
								 (struct infini_text){ "-" };
}

struct infini_text infini_hardware_temperature(struct json_object *node)
{
	struct infini_text text = { "-" };
	uint64_t mc;

	if (infini_number_of(node, "temperature_mc", &mc))
		snprintf(text.s, sizeof(text.s), "%.0fC", (double)mc / 1e3);
	return text;
}

struct infini_text infini_hardware_power(struct json_object *node)
{
	struct infini_text text = { "-" };
	uint64_t uw;

	if (infini_number_of(node, "power_uw", &uw))
		snprintf(text.s, sizeof(text.s), "%.1fW", (double)uw / 1e6);
	return text;
}
