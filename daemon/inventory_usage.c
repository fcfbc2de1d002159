// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What our workers do on a device, by the fdinfo of their open files (drm-usage-stats.rst of the
 * kernel). Other users of the device are not in it.
 */
#include "inventory.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One open file of a DRM driver. */
struct client {
	char pci[INFINI_PCI_BYTES];
	uint64_t id;
	uint64_t memory_bytes;
	bool has_memory;
	uint32_t nr_engines;
	struct infini_inventory_engine engines[INFINI_INVENTORY_ENGINES_MAX];
};

/* What follows @key in @line, or NULL. */
static const char *after(const char *line, const char *key)
{
	size_t length = strlen(key);

	return strncmp(line, key, length) ? NULL : line + length;
}

static struct infini_inventory_engine *engine(struct infini_inventory_engine *engines,
					      uint32_t *nr, const char *name, int length)
{
	struct infini_inventory_engine *new = &engines[*nr];

	for (uint32_t i = 0; i < *nr; i++) {
		if ((int)strlen(engines[i].name) == length &&
		    !strncmp(engines[i].name, name, (size_t)length))
			return &engines[i];
	}
	if (*nr == INFINI_INVENTORY_ENGINES_MAX || length >= (int)sizeof(new->name))
		return NULL;
	(*nr)++;
	*new = (struct infini_inventory_engine){ .capacity = 1 };
	memcpy(new->name, name, (size_t)length);
	return new;
}

/* "NAME: NUMBER ..." into the member at @offset of the engine NAME. */
static void take_engine(struct client *client, const char *name, size_t offset)
{
	const char *colon = strchr(name, ':');
	struct infini_inventory_engine *found;

	if (!colon)
		return;
	found = engine(client->engines, &client->nr_engines, name, (int)(colon - name));
	if (found)
		*(uint64_t *)((char *)found + offset) = strtoull(colon + 1, NULL, 10);
}

static void take_memory(struct client *client, const char *rest)
{
	const char *colon = strchr(rest, ':');
	uint64_t bytes;
	char *unit;

	if (!colon)
		return;
	bytes = strtoull(colon + 1, &unit, 10);
	if (strstr(unit, "KiB"))
		bytes <<= 10;
	else if (strstr(unit, "MiB"))
		bytes <<= 20;
	client->memory_bytes += bytes;
	client->has_memory = true;
}

static void take_line(struct client *client, const char *line)
{
	static const struct {
		const char *key;
		size_t member;
	} engine_keys[] = {
		{ "drm-engine-capacity-", offsetof(struct infini_inventory_engine, capacity) },
		{ "drm-engine-", offsetof(struct infini_inventory_engine, busy_ns) },
		{ "drm-cycles-", offsetof(struct infini_inventory_engine, cycles) },
		{ "drm-total-cycles-", offsetof(struct infini_inventory_engine, total_cycles) },
	};
	const char *rest;

	for (size_t i = 0; i < sizeof(engine_keys) / sizeof(engine_keys[0]); i++) {
		rest = after(line, engine_keys[i].key);
		if (rest) {
			take_engine(client, rest, engine_keys[i].member);
			return;
		}
	}
	if ((rest = after(line, "drm-pdev:")))
		sscanf(rest, "%15s", client->pci);
	else if ((rest = after(line, "drm-client-id:")))
		client->id = strtoull(rest, NULL, 10);
	else if ((rest = after(line, "drm-total-")))
		take_memory(client, rest);
}

static bool read_client(const char *path, struct client *client)
{
	FILE *file = fopen(path, "re");
	char line[256];

	*client = (struct client){ 0 };
	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		take_line(client, line);
	fclose(file);
	return client->pci[0] && (client->nr_engines || client->has_memory);
}

static bool first_time(struct infini_inventory *inventory, uint32_t node, uint64_t id)
{
	for (uint32_t i = 0; i < inventory->nr_clients; i++) {
		if (inventory->clients[i].node == node && inventory->clients[i].id == id)
			return false;
	}
	if (inventory->nr_clients == INFINI_INVENTORY_CLIENTS_MAX)
		return false;
	inventory->clients[inventory->nr_clients].node = node;
	inventory->clients[inventory->nr_clients++].id = id;
	return true;
}

static void add(struct infini_inventory_node *node, const struct client *client)
{
	const struct infini_inventory_engine *from = client->engines;
	struct infini_inventory_engine *to;

	node->round_bytes += client->memory_bytes;
	if (client->has_memory)
		node->reading.known |= INFINI_READING_WORKERS_MEMORY;
	for (; from < client->engines + client->nr_engines; from++) {
		to = engine(node->engines, &node->nr_engines, from->name, (int)strlen(from->name));
		if (!to)
			continue;
		to->busy_ns += from->busy_ns;
		to->cycles += from->cycles;
		/* The same clock for all. */
		if (from->total_cycles > to->total_cycles)
			to->total_cycles = from->total_cycles;
		if (from->capacity > 1)
			to->capacity = from->capacity;
	}
}

static void count_file(struct infini_inventory *inventory, const char *path)
{
	struct client client;

	if (!read_client(path, &client))
		return;
	for (uint32_t i = 0; i < inventory->nr_nodes; i++) {
		if (!strcmp(inventory->nodes[i].pci, client.pci) &&
		    first_time(inventory, i, client.id))
			add(&inventory->nodes[i], &client);
	}
}

void infini_inventory_count(struct infini_inventory *inventory,
			    const struct infini_inventory_where *where, pid_t pid)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/%ld/fdinfo", where->proc, (long)pid);
	dir = opendir(path);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%ld/fdinfo/%s", where->proc, (long)pid,
			 entry->d_name);
		count_file(inventory, path);
	}
	closedir(dir);
}

/* A worker that ended takes its time with it: the sum may fall, and that round counts as idle. */
static uint64_t progress(uint64_t now, uint64_t last)
{
	return now > last ? now - last : 0;
}

static uint32_t share_ppm(const struct infini_inventory_engine *engine, int64_t ns)
{
	uint64_t span = engine->last_total_cycles ?
			progress(engine->total_cycles, engine->last_total_cycles) : 0;
	uint64_t busy = span ? progress(engine->cycles, engine->last_cycles) :
			       progress(engine->busy_ns, engine->last_ns);
	uint64_t ppm = (uint64_t)((unsigned __int128)busy * 1000000 / (span ? span : (uint64_t)ns) /
				  (engine->capacity ? engine->capacity : 1));

	return ppm > 1000000 ? 1000000 : (uint32_t)ppm;
}

static void begin_anew(struct infini_inventory_engine *engine)
{
	engine->last_ns = engine->busy_ns;
	engine->last_cycles = engine->cycles;
	/* With no worker it stands still, and what follows is one long round. */
	if (engine->total_cycles)
		engine->last_total_cycles = engine->total_cycles;
	engine->busy_ns = 0;
	engine->cycles = 0;
	engine->total_cycles = 0;
}

static void end_round(struct infini_inventory_node *node, int64_t ns)
{
	uint32_t most = 0, ppm;

	for (uint32_t i = 0; i < node->nr_engines; i++) {
		ppm = ns > 0 ? share_ppm(&node->engines[i], ns) : 0;
		most = ppm > most ? ppm : most;
		begin_anew(&node->engines[i]);
	}
	node->reading.known &= ~INFINI_READING_UTILISATION;
	if (node->nr_engines && ns > 0)
		node->reading.known |= INFINI_READING_UTILISATION;
	node->reading.utilisation_ppm = most;
	node->reading.workers_memory_bytes = node->round_bytes;
	node->round_bytes = 0;
}

void infini_inventory_refresh(struct infini_inventory *inventory, int64_t now_ns)
{
	int64_t ns = inventory->round_ns ? now_ns - inventory->round_ns : 0;

	for (uint32_t i = 0; i < inventory->nr_nodes; i++) {
		end_round(&inventory->nodes[i], ns);
		infini_inventory_node_sense(&inventory->nodes[i]);
	}
	inventory->nr_clients = 0;
	inventory->round_ns = now_ns;
}
