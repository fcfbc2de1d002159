/* SPDX-License-Identifier: GPL-2.0-or-later */
/* infinid.conf: what the operator wants, parsed, checked, and nothing acted upon. */
#ifndef INFINI_DAEMON_CONFIG_H
#define INFINI_DAEMON_CONFIG_H

#include <limits.h>
#include <linux/infini.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define INFINI_CONFIG_PATH		"/etc/infini/infinid.conf"
#define INFINI_CONFIG_LEDGER		"/var/lib/infini/ledger.db"
#define INFINI_CONFIG_BACKENDS_MAX	16
#define INFINI_CONFIG_DEVICES_MAX	64
#define INFINI_CONFIG_POOLS_MAX		32
#define INFINI_CONFIG_REMOTES_MAX	16
#define INFINI_CONFIG_ENDPOINTS_MAX	8
#define INFINI_CONFIG_ENDPOINT_BYTES	128	/* "host:port" */
#define INFINI_CONFIG_DEVICES_BYTES	512	/* a list of patterns */

/* Worker windows: the module takes up to 16, more than 8 only delays a yield. */
#define INFINI_CONFIG_WINDOW_MAX	8
#define INFINI_CONFIG_THREADS_MAX	1024
#define INFINI_CONFIG_SEGMENT_MAX_US	1000000
#define INFINI_CONFIG_IDLE_MAX_S	86400
#define INFINI_CONFIG_LEDGER_MAX_S	3600
#define INFINI_CONFIG_WORKER_MEMORY	(1ULL << 30)
#define INFINI_CONFIG_LIBRARY_BYTES	256
#define INFINI_CONFIG_RETRY_MAX_S	3600
#define INFINI_CONFIG_PCI_BYTES		16
#define INFINI_CONFIG_CURRENCY_BYTES	8
#define INFINI_CONFIG_SOCKET_BYTES	108	/* what fits into struct sockaddr_un */

struct infini_config_backend {
	char name[INFINI_NAME_MAX];
	bool enabled;
	char devices[INFINI_CONFIG_DEVICES_BYTES];	/* shell patterns between blanks; "": all */
	char library[INFINI_CONFIG_LIBRARY_BYTES];	/* cuda: of the driver, or "" */
};

struct infini_config_device {
	char name[INFINI_NAME_MAX];
	uint64_t memory_bytes;		/* 0: what the backend says */
	uint32_t slots;			/* 0: what the backend says */
	char pci[INFINI_CONFIG_PCI_BYTES];	/* where its energy is measured, or "" */
};

/* Devices that the operator puts together, to be asked for by one name. */
struct infini_config_pool {
	char name[INFINI_NAME_MAX];
	char devices[INFINI_CONFIG_DEVICES_BYTES];	/* shell patterns between blanks */
};

/*
 * Another machine's device, behind one ggml-rpc server or more. A server has one client at a time, so
 * there can be as many workers as endpoints.
 */
struct infini_config_remote {
	char name[INFINI_NAME_MAX];
	uint32_t nr_endpoints;
	char endpoints[INFINI_CONFIG_ENDPOINTS_MAX][INFINI_CONFIG_ENDPOINT_BYTES];
	uint32_t device_class;		/* enum infini_device_class: its server does not say */
	uint32_t retry_s;		/* between two looks whether it answers */
};

/* Prices in millionths of the currency. */
struct infini_config_tariff {
	char currency[INFINI_CONFIG_CURRENCY_BYTES];
	uint64_t per_kwh;
	uint64_t per_million_tokens;
};

struct infini_config {
	char user[33];			/* whom workers run as */
	uid_t uid;			/* of workers */
	gid_t gid;
	bool user_is_fallback;		/* there is no user "infini": workers run as nobody */
	uint32_t threads_max;		/* CPU threads of one worker */
	uint32_t segment_us;		/* what a CPU segment may take, by the backend's estimate */
	uint32_t window;		/* jobs a worker holds at once */
	uint64_t worker_memory;		/* bytes of a worker beside its vdev's */
	uint32_t idle_exit_s;		/* a worker without clients stops after this; 0: never */
	bool preload;			/* workers are forked from who has their backend open */
	int log_level;			/* LOG_ERR .. LOG_DEBUG */
	char backend_dir[PATH_MAX];
	char run_dir[PATH_MAX];
	char ledger[PATH_MAX];
	uint32_t ledger_interval_s;
	struct infini_config_tariff tariff;
	bool cdi;			/* tell container runtimes about vdevs */
	char cdi_dir[PATH_MAX];
	char cdi_plugin[PATH_MAX];
	char cdi_library[PATH_MAX];
	char metrics_socket[INFINI_CONFIG_SOCKET_BYTES];
	uint32_t metrics_port;		/* of 127.0.0.1; 0: none */
	uint32_t nr_backends;
	uint32_t nr_devices;
	uint32_t nr_pools;
	uint32_t nr_remotes;
	struct infini_config_backend backends[INFINI_CONFIG_BACKENDS_MAX];
	struct infini_config_device devices[INFINI_CONFIG_DEVICES_MAX];
	struct infini_config_pool pools[INFINI_CONFIG_POOLS_MAX];
	struct infini_config_remote remotes[INFINI_CONFIG_REMOTES_MAX];
};

/* Told once per problem: "FILE:LINE: sentence", or "FILE: sentence". */
typedef void (*infini_config_problem_fn)(const char *problem, void *arg);

/*
 * Read @path over the defaults. 0; -EINVAL when @problem was called at least once; -ENOENT and
 * other errors of open(), without a call. *@config is complete only after 0.
 */
int infini_config_load(struct infini_config *config, const char *path,
		       infini_config_problem_fn problem, void *arg);

/* What counts when there is no file. 0, or -ENOENT when not even the user nobody exists. */
int infini_config_defaults(struct infini_config *config);

/* NULL when @config does not mention it. */
const struct infini_config_backend *
infini_config_backend_find(const struct infini_config *config, const char *name);
const struct infini_config_device *
infini_config_device_find(const struct infini_config *config, const char *name);
const struct infini_config_remote *
infini_config_remote_find(const struct infini_config *config, const char *name);

/* Tell the backend @name, in this process, what is configured for it alone: by its environment. */
void infini_config_tell_backend(const struct infini_config *config, const char *name);

/* Whether @backend is to offer the device @name. */
bool infini_config_device_allowed(const struct infini_config_backend *backend, const char *name);

/* Whether the device @name belongs to @pool. */
bool infini_config_pool_has(const struct infini_config_pool *pool, const char *name);

/* What names of devices, backends and pools look like: [A-Za-z0-9._-]+, shorter than INFINI_NAME_MAX. */
bool infini_config_name_valid(const char *name);

#endif /* INFINI_DAEMON_CONFIG_H */
