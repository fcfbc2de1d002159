// SPDX-License-Identifier: GPL-2.0-or-later
/* What infinid has written down of this machine's hardware, which the module knows nothing of. */
#include "ctl.h"
#include "hardware.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Its inventory stands in its folder. */
static bool infini_writer_runs(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[PATH_MAX];
	pid_t pid;

	snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
	return infini_daemon_runs(dir, &pid);
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
		.running = infini_writer_runs(path),
	};
	if (!hardware->file)
		return;
	hardware->nodes = infini_member(hardware->file, "nodes", json_type_array);
	hardware->devices = infini_member(hardware->file, "devices", json_type_array);
	hardware->pools = infini_member(hardware->file, "pools", json_type_array);
	hardware->cpu = infini_member(hardware->file, "cpu", json_type_object);
	hardware->remotes = infini_member(hardware->file, "remotes", json_type_array);
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
	hardware->devices = NULL;
	hardware->pools = NULL;
	hardware->cpu = NULL;
	hardware->remotes = NULL;
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

/* ---- a registered device ---- */

static const char *infini_text_of(struct json_object *object, const char *key)
{
	return json_object_get_string(infini_member(object, key, json_type_string));
}

/* Of @array the object whose @key is @value. */
static struct json_object *infini_find(struct json_object *array, const char *key, const char *value)
{
	for (size_t i = 0; array && i < json_object_array_length(array); i++) {
		struct json_object *object = json_object_array_get_idx(array, i);
		const char *text = infini_text_of(object, key);

		if (text && !strcmp(text, value))
			return object;
	}
	return NULL;
}

/* Two devices may stand for one node, which names one of them: both have its address. */
struct json_object *infini_hardware_of(const struct infini_hardware *hardware, const char *device)
{
	struct json_object *node = infini_find(hardware->nodes, "device", device);
	const char *pci = infini_text_of(infini_find(hardware->devices, "device", device), "pci");

	return node || !pci ? node : infini_find(hardware->nodes, "pci", pci);
}

/* A device that calls itself as the processor does is the processor. */
static bool infini_hardware_is_cpu(const struct infini_hardware *hardware,
				   const struct infini_admin_device *device)
{
	const char *model = infini_text_of(hardware->cpu, "model");

	return model && *model && device->device_class == INFINI_CLASS_CPU &&
	       (strstr(device->description, model) ||
		!strncmp(device->description, model, sizeof(device->description) - 1));
}

const char *infini_hardware_vendor(const struct infini_hardware *hardware,
				   const struct infini_admin_device *device)
{
	struct json_object *node = infini_hardware_of(hardware, device->name);

	if (node)
		return infini_text_of(node, "vendor");
	return infini_hardware_is_cpu(hardware, device) ? infini_text_of(hardware->cpu, "vendor") : NULL;
}

bool infini_hardware_has_node(const struct infini_hardware *hardware, const char *pci)
{
	return pci && infini_find(hardware->nodes, "pci", pci);
}

const char *infini_hardware_pci_id(const struct infini_hardware *hardware, const char *device)
{
	return infini_text_of(infini_hardware_of(hardware, device), "pci_id");
}

const char *infini_hardware_why(const struct infini_hardware *hardware, const char *device)
{
	return infini_text_of(infini_find(hardware->devices, "device", device), "why");
}

/* An array of strings as words. */
static char *infini_words_of(struct json_object *array)
{
	char *words = NULL;
	size_t length;
	FILE *out = array ? open_memstream(&words, &length) : NULL;

	if (!out)
		return NULL;
	for (size_t i = 0; i < json_object_array_length(array); i++)
		fprintf(out, "%s%s", i ? " " : "",
			json_object_get_string(json_object_array_get_idx(array, i)));
	fclose(out);
	return words;
}

char *infini_hardware_pools(const struct infini_hardware *hardware, const char *device)
{
	return infini_words_of(infini_member(infini_find(hardware->devices, "device", device), "pools",
					     json_type_array));
}

char *infini_hardware_all_pools(const struct infini_hardware *hardware)
{
	return infini_words_of(hardware->pools);
}

/* ---- its JSON ---- */

static struct json_object *infini_string(const char *text)
{
	return text ? json_object_new_string(text) : NULL;
}

static struct json_object *infini_hardware_json(const struct infini_hardware *hardware,
						const char *device)
{
	struct json_object *node = infini_hardware_of(hardware, device), *copy = NULL;

	if (!node || json_object_deep_copy(node, &copy, NULL))
		return NULL;
	json_object_object_add(copy, "time", json_object_new_int64(hardware->time_s));
	return copy;
}

void infini_hardware_json_add(const struct infini_hardware *hardware,
			      const struct infini_admin_device *device, struct json_object *object)
{
	struct json_object *found = infini_find(hardware->devices, "device", device->name);

	json_object_object_add(object, "vendor", infini_string(infini_hardware_vendor(hardware, device)));
	json_object_object_add(object, "pools",
			       json_object_get(infini_member(found, "pools", json_type_array)));
	json_object_object_add(object, "why", infini_string(infini_text_of(found, "why")));
	json_object_object_add(object, "hardware", infini_hardware_json(hardware, device->name));
}

/* ---- what backends have found ---- */

size_t infini_hardware_nr_found(const struct infini_hardware *hardware)
{
	return hardware->devices ? json_object_array_length(hardware->devices) : 0;
}

bool infini_hardware_useless(const struct infini_hardware *hardware, size_t i,
			     struct infini_hardware_found *found)
{
	struct json_object *object = json_object_array_get_idx(hardware->devices, i);

	*found = (struct infini_hardware_found){
		.device = infini_text_of(object, "device"),
		.backend = infini_text_of(object, "backend"),
		.pci = infini_text_of(object, "pci"),
		.why = infini_text_of(object, "why"),
	};
	return found->device && found->backend && found->why;
}

/* ---- a node ---- */

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
