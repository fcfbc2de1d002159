// SPDX-License-Identifier: GPL-2.0-or-later
/* The inventory as a file: what infinictl shows of hardware, since the module knows none of it. */
#include "inventory.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static void set_text(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, text[0] ? json_object_new_string(text) : NULL);
}

static void set_number(struct json_object *object, const char *key, bool known, uint64_t value)
{
	json_object_object_add(object, key, known ? json_object_new_uint64(value) : NULL);
}

static struct json_object *node_object(const struct infini_inventory *inventory,
				       const struct infini_inventory_node *node)
{
	const struct infini_inventory_claim *claim = infini_inventory_claim_of(inventory, node);
	const struct infini_inventory_reading *reading = &node->reading;
	struct json_object *object = json_object_new_object();
	char why[2 * INFINI_INVENTORY_WHY_BYTES];

	infini_inventory_why(inventory, node, why, sizeof(why));
	set_text(object, "node", node->node);
	set_text(object, "kind", node->accel ? "accel" : "render");
	set_text(object, "driver", node->driver);
	set_text(object, "driver_version", node->version);
	set_text(object, "pci", node->pci);
	set_text(object, "pci_id", node->pci_id);
	set_text(object, "vendor", node->vendor);
	set_text(object, "model", node->model);
	set_number(object, "memory_bytes", node->memory_bytes, node->memory_bytes);
	set_number(object, "utilisation_ppm", reading->known & INFINI_READING_UTILISATION,
		   reading->utilisation_ppm);
	set_number(object, "workers_memory_bytes", reading->known & INFINI_READING_WORKERS_MEMORY,
		   reading->workers_memory_bytes);
	set_number(object, "temperature_mc", reading->known & INFINI_READING_TEMPERATURE,
		   reading->temperature_mc);
	set_number(object, "power_uw", reading->known & INFINI_READING_POWER, reading->power_uw);
	set_text(object, "device", claim && !claim->why[0] ? claim->device : "");
	set_text(object, "backend", claim ? claim->backend : "");
	set_text(object, "why", why);
	return object;
}

/* Of a device that a backend has reported: what stands in no node, and who may ask for it by pool. */
static struct json_object *claim_object(const struct infini_inventory_claim *claim,
					const struct infini_config *config)
{
	struct json_object *object = json_object_new_object();
	struct json_object *pools = json_object_new_array();

	for (uint32_t i = 0; i < config->nr_pools; i++) {
		if (infini_config_pool_has(&config->pools[i], claim->device))
			json_object_array_add(pools, json_object_new_string(config->pools[i].name));
	}
	set_text(object, "device", claim->device);
	set_text(object, "backend", claim->backend);
	set_text(object, "pci", claim->pci);
	set_text(object, "why", claim->why);
	json_object_object_add(object, "pools", pools);
	return object;
}

static struct json_object *cpu_object(const struct infini_inventory_cpu *cpu)
{
	struct json_object *object = json_object_new_object();

	set_text(object, "vendor", cpu->vendor);
	set_text(object, "model", cpu->model);
	return object;
}

static struct json_object *remotes_array(const struct infini_inventory *inventory)
{
	struct json_object *remotes = json_object_new_array(), *object;
	const struct infini_inventory_remote *remote = inventory->remotes;

	for (; remote < inventory->remotes + inventory->nr_remotes; remote++) {
		object = json_object_new_object();
		set_text(object, "name", remote->name);
		set_text(object, "endpoint", remote->endpoint);
		set_text(object, "why", remote->why);
		json_object_array_add(remotes, object);
	}
	return remotes;
}

static struct json_object *inventory_object(const struct infini_inventory *inventory,
					    const struct infini_config *config)
{
	struct json_object *object = json_object_new_object();
	struct json_object *nodes = json_object_new_array();
	struct json_object *devices = json_object_new_array();
	struct json_object *pools = json_object_new_array();

	for (uint32_t i = 0; i < inventory->nr_nodes; i++)
		json_object_array_add(nodes, node_object(inventory, &inventory->nodes[i]));
	for (uint32_t i = 0; i < inventory->nr_claims; i++)
		json_object_array_add(devices, claim_object(&inventory->claims[i], config));
	for (uint32_t i = 0; i < config->nr_pools; i++)
		json_object_array_add(pools, json_object_new_string(config->pools[i].name));
	json_object_object_add(object, "time", json_object_new_int64(time(NULL)));
	json_object_object_add(object, "cpu", cpu_object(&inventory->cpu));
	json_object_object_add(object, "nodes", nodes);
	json_object_object_add(object, "remotes", remotes_array(inventory));
	json_object_object_add(object, "devices", devices);
	json_object_object_add(object, "pools", pools);
	return object;
}

static int replace(const char *path, const char *text)
{
	char new[PATH_MAX];
	FILE *file;
	int ret = 0;

	if ((size_t)snprintf(new, sizeof(new), "%s.new", path) >= sizeof(new))
		return -ENAMETOOLONG;
	file = fopen(new, "we");
	if (!file)
		return -errno;
	if (fprintf(file, "%s\n", text) < 0 || fchmod(fileno(file), 0644))
		ret = -errno;
	if (fclose(file) && !ret)
		ret = -errno;
	if (!ret && rename(new, path))
		ret = -errno;
	if (ret)
		unlink(new);
	return ret;
}

int infini_inventory_write(const struct infini_inventory *inventory,
			   const struct infini_config *config, const char *path)
{
	struct json_object *object = inventory_object(inventory, config);
	const char *text;
	int ret;

	text = json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
					      JSON_C_TO_STRING_NOSLASHESCAPE);
	ret = text ? replace(path, text) : -ENOMEM;
	json_object_put(object);
	return ret;
}
