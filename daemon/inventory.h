/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The accelerators that this machine's kernel drives: DRM render nodes and accel nodes, what is
 * known of their hardware, and why one is of no use to us.
 *
 * What is not known stays unknown: nothing here is estimated.
 */
#ifndef INFINI_DAEMON_INVENTORY_H
#define INFINI_DAEMON_INVENTORY_H

#include "backend.h"
#include "config.h"

#include <limits.h>
#include <sys/types.h>

#define INFINI_INVENTORY_NODES_MAX	64
#define INFINI_INVENTORY_CLAIMS_MAX	64
#define INFINI_INVENTORY_ENGINES_MAX	8
#define INFINI_INVENTORY_CLIENTS_MAX	256
#define INFINI_INVENTORY_WHY_BYTES	256
#define INFINI_INVENTORY_FILE		"inventory.json"	/* in run_dir */

/* Where to look; tests put their own there. */
struct infini_inventory_where {
	const char *sysfs;		/* "/sys" */
	const char *dev;		/* "/dev" */
	const char *proc;		/* "/proc" */
};

/* Which members of struct infini_inventory_reading are known. */
#define INFINI_READING_TEMPERATURE	(1u << 0)
#define INFINI_READING_POWER		(1u << 1)
#define INFINI_READING_UTILISATION	(1u << 2)
#define INFINI_READING_WORKERS_MEMORY	(1u << 3)

/* How the hardware does at one moment. */
struct infini_inventory_reading {
	uint32_t known;
	uint32_t utilisation_ppm;	/* by our workers, of its busiest kind of engine */
	uint64_t temperature_mc;	/* thousandths of a degree Celsius */
	uint64_t power_uw;
	uint64_t workers_memory_bytes;	/* as its driver counts it */
};

/* What one kind of engine of a node did for our workers. */
struct infini_inventory_engine {
	char name[16];
	uint64_t capacity;		/* engines of this kind */
	uint64_t busy_ns;		/* of the workers of this round */
	uint64_t last_ns;		/* of those of the round before */
	/* For drivers that count in cycles of the engine, and how many there have been. */
	uint64_t cycles, last_cycles;
	uint64_t total_cycles, last_total_cycles;
};

struct infini_inventory_node {
	char node[64];			/* "/dev/dri/renderD128" */
	bool accel;
	uint64_t identity;		/* another one when the device went and came again */
	char dir[PATH_MAX];		/* of the hardware, in sysfs */
	char driver[32];
	char version[32];		/* "", and below: not known */
	char pci[INFINI_PCI_BYTES];
	char pci_id[16];		/* "1002:744c" */
	char vendor[128];
	char model[128];
	uint64_t memory_bytes;		/* 0: not known */
	int error;			/* of opening it, or 0 */
	uint32_t nr_engines;
	struct infini_inventory_engine engines[INFINI_INVENTORY_ENGINES_MAX];
	uint64_t round_bytes;		/* workers' memory of this round */
	struct infini_inventory_reading reading;
};

/* A device that a backend has reported. */
struct infini_inventory_claim {
	char device[INFINI_NAME_MAX];
	char backend[INFINI_NAME_MAX];
	char pci[INFINI_PCI_BYTES];
	char why[INFINI_INVENTORY_WHY_BYTES];	/* it is not on line, or "" */
};

/* What has become of a backend of the configuration. */
struct infini_inventory_backend {
	char name[INFINI_NAME_MAX];
	char why[INFINI_INVENTORY_WHY_BYTES];	/* it reports nothing at all, or "" */
};

/* The processor of this machine, as it names itself; "" is not known. */
struct infini_inventory_cpu {
	char vendor[32];		/* "GenuineIntel" */
	char model[64];
};

/* Another machine whose devices are offered here. */
struct infini_inventory_remote {
	char name[INFINI_NAME_MAX];
	char endpoint[INFINI_CONFIG_ENDPOINT_BYTES];	/* the first of them */
	char why[INFINI_INVENTORY_WHY_BYTES];	/* it is of no use now, or "" */
};

struct infini_inventory {
	struct infini_inventory_cpu cpu;
	uint32_t nr_nodes;
	uint32_t nr_claims;
	uint32_t nr_backends;
	uint32_t nr_remotes;
	uint32_t nr_clients;
	int64_t round_ns;		/* when the last round ended; 0: there was none */
	struct infini_inventory_node nodes[INFINI_INVENTORY_NODES_MAX];
	struct infini_inventory_claim claims[INFINI_INVENTORY_CLAIMS_MAX];
	struct infini_inventory_backend backends[INFINI_CONFIG_BACKENDS_MAX];
	struct infini_inventory_remote remotes[INFINI_CONFIG_REMOTES_MAX];
	/* Of this round: a client that two workers' files lead to is counted once. */
	struct { uint32_t node; uint64_t id; } clients[INFINI_INVENTORY_CLIENTS_MAX];
};

typedef void (*infini_inventory_fn)(const struct infini_inventory_node *node, void *arg);

/*
 * Look again: @gone is called for every node that was there and is not, @come for every one that
 * was not. 0 or -ENOMEM with everything as it was.
 */
int infini_inventory_scan(struct infini_inventory *inventory,
			  const struct infini_inventory_where *where, infini_inventory_fn gone,
			  infini_inventory_fn come, void *arg);

/* ---- what backends make of it ---- */

/* @backend is asked anew. */
void infini_inventory_ask(struct infini_inventory *inventory, const char *backend);
/* It reports nothing, or not all, because of @why; "" is that it could be asked. */
void infini_inventory_backend(struct infini_inventory *inventory, const char *backend,
			      const char *why);
/* Backends that @config does not know any more are forgotten. */
void infini_inventory_filter(struct infini_inventory *inventory,
			     const struct infini_config *config);
/* @backend has reported a device, which is on line (@why is ""), or not. The first word counts. */
void infini_inventory_claim(struct infini_inventory *inventory, const char *backend,
			    const char *device, const char *pci, const char *why);
/* The device of a node, or NULL: one that is on line before one that is not. */
const struct infini_inventory_claim *
infini_inventory_claim_of(const struct infini_inventory *inventory,
			  const struct infini_inventory_node *node);
/* Why @node has no device on line, in @text; "" when it has one. */
void infini_inventory_why(const struct infini_inventory *inventory,
			  const struct infini_inventory_node *node, char *text, size_t bytes);

/* ---- inventory_node.c: one node ---- */

/* Fill the rest in, from its name, its class and, where known, its pci. */
void infini_inventory_node_read(struct infini_inventory_node *node,
				const struct infini_inventory_where *where);
/* Temperature and power of this moment. A device that sleeps is let sleep. */
void infini_inventory_node_sense(struct infini_inventory_node *node);

/* ---- inventory_cpu.c ---- */

void infini_inventory_cpu_read(struct infini_inventory_cpu *cpu,
			       const struct infini_inventory_where *where);

/* ---- inventory_names.c: vendor and model, by the hardware database of udev ---- */

void infini_inventory_names(const char *modalias, struct infini_inventory_node *node);

/* ---- inventory_usage.c: what our workers do there ---- */

/* Add what @pid's open files say to this round. */
void infini_inventory_count(struct infini_inventory *inventory,
			    const struct infini_inventory_where *where, pid_t pid);
/* End the round at @now_ns: utilisation is over the time since the last, sensors are read. */
void infini_inventory_refresh(struct infini_inventory *inventory, int64_t now_ns);

/* ---- inventory_json.c: for infinictl ---- */

/* Replace @path, world-readable, in one step; pools are those of @config. 0 or -errno. */
int infini_inventory_write(const struct infini_inventory *inventory,
			   const struct infini_config *config, const char *path);

#endif /* INFINI_DAEMON_INVENTORY_H */
