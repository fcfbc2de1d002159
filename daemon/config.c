// SPDX-License-Identifier: GPL-2.0-or-later
/* infinid.conf: what the operator wants, parsed, checked, and nothing acted upon. */
#include "config.h"

#include <cdi.h>
#include <errno.h>
#include <fnmatch.h>
#include <ini.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>
#include <unistd.h>

#ifndef INFINI_BACKEND_DIR
#define INFINI_BACKEND_DIR	"/usr/lib/infini"
#endif

#ifndef INFINI_LIBRARY
#define INFINI_LIBRARY		"/usr/lib/libinfini.so.0"
#endif

#define SYNTAX_ERRORS_MAX	32
#define KEYS_MAX		512
#define PATTERN_BLANKS		" \t,"

/* A key seen before, to refuse a second one: the later would silently win. */
struct seen_key {
	char section[64];
	char key[32];
	unsigned int line;
};

struct parser {
	struct infini_config *config;
	const char *path;
	infini_config_problem_fn problem;
	void *arg;
	FILE *file;
	unsigned int line;		/* the handler is called for the line read last */
	unsigned int nr_problems;
	unsigned int syntax[SYNTAX_ERRORS_MAX];
	unsigned int nr_syntax;
	unsigned int nr_seen;
	struct seen_key seen[KEYS_MAX];
};

static void __attribute__((format(printf, 3, 4)))
report(struct parser *p, unsigned int line, const char *format, ...)
{
	char sentence[512], text[PATH_MAX + 600];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof(sentence), format, args);
	va_end(args);
	if (line)
		snprintf(text, sizeof(text), "%s:%u: %s", p->path, line, sentence);
	else
		snprintf(text, sizeof(text), "%s: %s", p->path, sentence);
	p->nr_problems++;
	p->problem(text, p->arg);
}

bool infini_config_name_valid(const char *name)
{
	size_t length = strlen(name);

	return length && length < INFINI_NAME_MAX &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
			    "0123456789._-") == length;
}

/* ---- values ------------------------------------------------------------------------ */

static void parse_bool(struct parser *p, const char *key, const char *value, bool *out)
{
	static const char *const yes[] = { "yes", "true", "on", "1" };
	static const char *const no[] = { "no", "false", "off", "0" };

	for (size_t i = 0; i < 4; i++) {
		if (!strcasecmp(value, yes[i])) {
			*out = true;
			return;
		}
		if (!strcasecmp(value, no[i])) {
			*out = false;
			return;
		}
	}
	report(p, p->line, "%s = \"%s\": must be yes or no", key, value);
}

static void parse_u32(struct parser *p, const char *key, const char *value, uint32_t min,
		      uint32_t max, uint32_t *out)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(value, &end, 10);
	if (errno || *end || end == value || value[0] < '0' || value[0] > '9' || number < min ||
	    number > max) {
		report(p, p->line, "%s = \"%s\": must be a number from %u to %u", key, value, min,
		       max);
		return;
	}
	*out = (uint32_t)number;
}

static void parse_bytes(struct parser *p, const char *key, const char *value, uint64_t *out)
{
	static const char units[] = "KMGT";
	unsigned long long number;
	unsigned int shift = 0;
	const char *unit;
	char *end;

	errno = 0;
	number = strtoull(value, &end, 10);
	if (errno || end == value || value[0] < '0' || value[0] > '9')
		goto bad;
	unit = *end ? strchr(units, *end) : NULL;
	if (unit) {
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
		if (!strcmp(end, "iB") || !strcmp(end, "B"))
			end = strchr(end, '\0');
	}
	if (*end || !number || number > (UINT64_MAX >> shift))
		goto bad;
	*out = (uint64_t)number << shift;
	return;
bad:
	report(p, p->line, "%s = \"%s\": must be a size such as 512M, 8G or a number of bytes", key,
	       value);
}

/* A price such as 0.31 in millionths. */
static void parse_price(struct parser *p, const char *key, const char *value, uint64_t *out)
{
	static const char digits[] = "0123456789";
	size_t whole = strspn(value, digits), more = 0;
	const char *c = value + whole;
	uint64_t price = 0;

	if (*c == '.')
		more = strspn(++c, digits);
	if (!whole || whole > 9 || more > 6 || c[more] || (c > value + whole && !more)) {
		report(p, p->line, "%s = \"%s\": must be a price such as 0.31, with at most six "
		       "decimals", key, value);
		return;
	}
	for (size_t i = 0; i < whole; i++)
		price = price * 10 + (uint64_t)(value[i] - '0');
	for (size_t i = 0; i < 6; i++)
		price = price * 10 + (i < more ? (uint64_t)(c[i] - '0') : 0);
	*out = price;
}

static void parse_currency(struct parser *p, const char *key, const char *value)
{
	size_t length = strspn(value, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	if (length != 3 || value[length])
		report(p, p->line, "%s = \"%s\": must be three letters such as EUR", key, value);
	else
		memcpy(p->config->tariff.currency, value, length + 1);
}

/* As lspci -D prints it: domain:bus:device.function in hexadecimal. */
static void parse_pci(struct parser *p, const char *key, const char *value, char *out)
{
	static const char form[] = "xxxx:xx:xx.x";
	size_t i = 0;

	while (form[i] && (form[i] == 'x' ? strchr("0123456789abcdef", value[i]) && value[i] :
					    value[i] == form[i]))
		i++;
	if (form[i] || value[i])
		report(p, p->line, "%s = \"%s\": must be an address such as 0000:03:00.0 (lspci "
		       "-D)", key, value);
	else
		memcpy(out, value, sizeof(form));
}

static void parse_level(struct parser *p, const char *key, const char *value, int *out)
{
	static const struct {
		const char *name;
		int level;
	} levels[] = {
		{ "error", LOG_ERR },	{ "warning", LOG_WARNING }, { "notice", LOG_NOTICE },
		{ "info", LOG_INFO },	{ "debug", LOG_DEBUG },
	};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (!strcmp(value, levels[i].name)) {
			*out = levels[i].level;
			return;
		}
	}
	report(p, p->line, "%s = \"%s\": must be error, warning, notice, info or debug", key,
	       value);
}

static void parse_class(struct parser *p, const char *key, const char *value, uint32_t *out)
{
	static const char *const names[] = {
		[INFINI_CLASS_CPU] = "cpu", [INFINI_CLASS_GPU] = "gpu",
		[INFINI_CLASS_NPU] = "npu", [INFINI_CLASS_OTHER] = "other",
	};

	for (uint32_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!strcmp(value, names[i])) {
			*out = i;
			return;
		}
	}
	report(p, p->line, "%s = \"%s\": must be cpu, gpu, npu or other", key, value);
}

/* A host's name or IPv4 address, which is all that libggml takes, and a port. */
static bool endpoint_valid(const char *endpoint)
{
	const char *colon = strchr(endpoint, ':');
	size_t digits = colon ? strspn(colon + 1, "0123456789") : 0;
	unsigned long port = digits ? strtoul(colon + 1, NULL, 10) : 0;

	return digits && !colon[1 + digits] && port && port <= UINT16_MAX && colon > endpoint &&
	       strspn(endpoint, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				"0123456789._-") == (size_t)(colon - endpoint) &&
	       strlen(endpoint) < INFINI_CONFIG_ENDPOINT_BYTES;
}

static void parse_endpoints(struct parser *p, const char *key, const char *value,
			    struct infini_config_remote *remote)
{
	char *list = strdup(value), *rest = NULL, *endpoint;

	for (endpoint = list ? strtok_r(list, " \t,", &rest) : NULL; endpoint;
	     endpoint = strtok_r(NULL, " \t,", &rest)) {
		if (!endpoint_valid(endpoint)) {
			report(p, p->line, "%s: \"%s\" must be HOST:PORT, with a name or an IPv4 "
			       "address and a port from 1 to 65535", key, endpoint);
		} else if (remote->nr_endpoints == INFINI_CONFIG_ENDPOINTS_MAX) {
			report(p, p->line, "%s: more than %d", key, INFINI_CONFIG_ENDPOINTS_MAX);
			break;
		} else {
			snprintf(remote->endpoints[remote->nr_endpoints++],
				 INFINI_CONFIG_ENDPOINT_BYTES, "%s", endpoint);
		}
	}
	free(list);
}

static void parse_dir(struct parser *p, const char *key, const char *value, char *out)
{
	if (value[0] != '/' || strlen(value) >= PATH_MAX)
		report(p, p->line, "%s = \"%s\": must be an absolute path", key, value);
	else
		snprintf(out, PATH_MAX, "%s", value);
}

static void parse_library(struct parser *p, const char *key, const char *value, char *out)
{
	if (value[0] != '/' || strlen(value) >= INFINI_CONFIG_LIBRARY_BYTES)
		report(p, p->line, "%s = \"%s\": must be an absolute path of at most %d bytes", key,
		       value, INFINI_CONFIG_LIBRARY_BYTES - 1);
	else
		strcpy(out, value);
}

static void parse_socket(struct parser *p, const char *key, const char *value, char *out)
{
	if (value[0] != '/' || strlen(value) >= INFINI_CONFIG_SOCKET_BYTES)
		report(p, p->line, "%s = \"%s\": must be an absolute path of at most %d bytes", key,
		       value, INFINI_CONFIG_SOCKET_BYTES - 1);
	else
		snprintf(out, INFINI_CONFIG_SOCKET_BYTES, "%s", value);
}

static void parse_patterns(struct parser *p, const char *key, const char *value, char *out)
{
	if (strlen(value) >= INFINI_CONFIG_DEVICES_BYTES)
		report(p, p->line, "%s: the list is longer than %d bytes", key,
		       INFINI_CONFIG_DEVICES_BYTES - 1);
	else
		snprintf(out, INFINI_CONFIG_DEVICES_BYTES, "%s", value);
}

static void parse_user(struct parser *p, const char *key, const char *value)
{
	const struct passwd *entry;

	if (strlen(value) >= sizeof(p->config->user)) {
		report(p, p->line, "%s = \"%s\": longer than 32 characters", key, value);
		return;
	}
	entry = getpwnam(value);
	if (!entry) {
		report(p, p->line, "%s = \"%s\": there is no such user; make one with \"useradd "
		       "--system %s\"", key, value, value);
	} else if (!entry->pw_uid || !entry->pw_gid) {
		report(p, p->line, "%s = \"%s\": workers may not run as root", key, value);
	} else {
		snprintf(p->config->user, sizeof(p->config->user), "%s", value);
		p->config->uid = entry->pw_uid;
		p->config->gid = entry->pw_gid;
		p->config->user_is_fallback = false;
	}
}

/* ---- sections ---------------------------------------------------------------------- */

static void unknown_key(struct parser *p, const char *section, const char *key, const char *known)
{
	report(p, p->line, "[%s] has no key \"%s\"; it knows: %s", section, key, known);
}

static void set_global(struct parser *p, const char *key, const char *value)
{
	struct infini_config *c = p->config;

	if (!strcmp(key, "user"))
		parse_user(p, key, value);
	else if (!strcmp(key, "threads_max"))
		parse_u32(p, key, value, 1, INFINI_CONFIG_THREADS_MAX, &c->threads_max);
	else if (!strcmp(key, "segment_us"))
		parse_u32(p, key, value, 1, INFINI_CONFIG_SEGMENT_MAX_US, &c->segment_us);
	else if (!strcmp(key, "window"))
		parse_u32(p, key, value, 1, INFINI_CONFIG_WINDOW_MAX, &c->window);
	else if (!strcmp(key, "idle_exit_s"))
		parse_u32(p, key, value, 0, INFINI_CONFIG_IDLE_MAX_S, &c->idle_exit_s);
	else if (!strcmp(key, "preload"))
		parse_bool(p, key, value, &c->preload);
	else if (!strcmp(key, "worker_memory"))
		parse_bytes(p, key, value, &c->worker_memory);
	else if (!strcmp(key, "log_level"))
		parse_level(p, key, value, &c->log_level);
	else if (!strcmp(key, "backend_dir"))
		parse_dir(p, key, value, c->backend_dir);
	else if (!strcmp(key, "run_dir"))
		parse_dir(p, key, value, c->run_dir);
	else if (!strcmp(key, "ledger"))
		parse_dir(p, key, value, c->ledger);
	else if (!strcmp(key, "ledger_interval_s"))
		parse_u32(p, key, value, 1, INFINI_CONFIG_LEDGER_MAX_S, &c->ledger_interval_s);
	else if (!strcmp(key, "metrics_socket"))
		parse_socket(p, key, value, c->metrics_socket);
	else if (!strcmp(key, "metrics_port"))
		parse_u32(p, key, value, 0, UINT16_MAX, &c->metrics_port);
	else
		unknown_key(p, "infinid", key,
			    "user threads_max segment_us window idle_exit_s preload worker_memory "
			    "log_level backend_dir run_dir ledger ledger_interval_s metrics_socket "
			    "metrics_port");
}

static void set_tariff(struct parser *p, const char *key, const char *value)
{
	struct infini_config_tariff *tariff = &p->config->tariff;

	if (!strcmp(key, "currency"))
		parse_currency(p, key, value);
	else if (!strcmp(key, "per_kwh"))
		parse_price(p, key, value, &tariff->per_kwh);
	else if (!strcmp(key, "per_million_tokens"))
		parse_price(p, key, value, &tariff->per_million_tokens);
	else
		unknown_key(p, "tariff", key, "currency per_kwh per_million_tokens");
}

static void set_cdi(struct parser *p, const char *key, const char *value)
{
	struct infini_config *c = p->config;

	if (!strcmp(key, "enabled"))
		parse_bool(p, key, value, &c->cdi);
	else if (!strcmp(key, "dir"))
		parse_dir(p, key, value, c->cdi_dir);
	else if (!strcmp(key, "plugin"))
		parse_dir(p, key, value, c->cdi_plugin);
	else if (!strcmp(key, "library"))
		parse_dir(p, key, value, c->cdi_library);
	else
		unknown_key(p, "cdi", key, "enabled dir plugin library");
}

static struct infini_config_backend *backend_slot(struct infini_config *c, const char *name)
{
	struct infini_config_backend *backend;

	backend = (struct infini_config_backend *)infini_config_backend_find(c, name);
	if (backend || c->nr_backends == INFINI_CONFIG_BACKENDS_MAX)
		return backend;
	backend = &c->backends[c->nr_backends++];
	snprintf(backend->name, sizeof(backend->name), "%s", name);
	return backend;
}

static void set_backend(struct parser *p, const char *section, const char *name, const char *key,
			const char *value)
{
	struct infini_config_backend *backend = backend_slot(p->config, name);

	if (!backend) {
		report(p, p->line, "[%s]: more than %d backends", section,
		       INFINI_CONFIG_BACKENDS_MAX);
	} else if (!strcmp(key, "enabled")) {
		parse_bool(p, key, value, &backend->enabled);
	} else if (!strcmp(key, "devices")) {
		parse_patterns(p, key, value, backend->devices);
	} else if (!strcmp(key, "library") && !strcmp(name, "cuda")) {
		parse_library(p, key, value, backend->library);
	} else {
		unknown_key(p, section, key, strcmp(name, "cuda") ? "enabled devices" :
			    "enabled devices library");
	}
}

static struct infini_config_device *device_slot(struct infini_config *c, const char *name)
{
	struct infini_config_device *device;

	device = (struct infini_config_device *)infini_config_device_find(c, name);
	if (device || c->nr_devices == INFINI_CONFIG_DEVICES_MAX)
		return device;
	device = &c->devices[c->nr_devices++];
	snprintf(device->name, sizeof(device->name), "%s", name);
	return device;
}

static void set_device(struct parser *p, const char *section, const char *name, const char *key,
		       const char *value)
{
	struct infini_config_device *device = device_slot(p->config, name);

	if (!device)
		report(p, p->line, "[%s]: more than %d devices", section,
		       INFINI_CONFIG_DEVICES_MAX);
	else if (!strcmp(key, "memory"))
		parse_bytes(p, key, value, &device->memory_bytes);
	else if (!strcmp(key, "slots"))
		parse_u32(p, key, value, 1, 64, &device->slots);
	else if (!strcmp(key, "pci"))
		parse_pci(p, key, value, device->pci);
	else
		unknown_key(p, section, key, "memory slots pci");
}

static struct infini_config_pool *pool_slot(struct infini_config *c, const char *name)
{
	struct infini_config_pool *pool = c->pools;

	for (; pool < c->pools + c->nr_pools; pool++) {
		if (!strcmp(pool->name, name))
			return pool;
	}
	if (c->nr_pools == INFINI_CONFIG_POOLS_MAX)
		return NULL;
	c->nr_pools++;
	snprintf(pool->name, sizeof(pool->name), "%s", name);
	return pool;
}

static void set_pool(struct parser *p, const char *section, const char *name, const char *key,
		     const char *value)
{
	struct infini_config_pool *pool = pool_slot(p->config, name);

	if (!pool)
		report(p, p->line, "[%s]: more than %d pools", section, INFINI_CONFIG_POOLS_MAX);
	else if (strcmp(key, "devices"))
		unknown_key(p, section, key, "devices");
	else if (!value[strspn(value, PATTERN_BLANKS)])
		report(p, p->line, "%s: a pool needs at least one name or pattern", key);
	else
		parse_patterns(p, key, value, pool->devices);
}

static struct infini_config_remote *remote_slot(struct infini_config *c, const char *name)
{
	struct infini_config_remote *remote;

	remote = (struct infini_config_remote *)infini_config_remote_find(c, name);
	if (remote || c->nr_remotes == INFINI_CONFIG_REMOTES_MAX)
		return remote;
	remote = &c->remotes[c->nr_remotes++];
	*remote = (struct infini_config_remote){ .device_class = INFINI_CLASS_GPU, .retry_s = 10 };
	snprintf(remote->name, sizeof(remote->name), "%s", name);
	return remote;
}

static void set_remote(struct parser *p, const char *section, const char *name, const char *key,
		       const char *value)
{
	struct infini_config_remote *remote = remote_slot(p->config, name);

	if (!remote)
		report(p, p->line, "[%s]: more than %d remote machines", section,
		       INFINI_CONFIG_REMOTES_MAX);
	else if (!strcmp(key, "endpoint"))
		parse_endpoints(p, key, value, remote);
	else if (!strcmp(key, "class"))
		parse_class(p, key, value, &remote->device_class);
	else if (!strcmp(key, "retry_s"))
		parse_u32(p, key, value, 1, INFINI_CONFIG_RETRY_MAX_S, &remote->retry_s);
	else
		unknown_key(p, section, key, "endpoint class retry_s");
}

/* "backend ggml" -> the name, when @kind is its first word. */
static const char *section_name(const char *section, const char *kind)
{
	size_t length = strlen(kind);

	if (strncmp(section, kind, length) || (section[length] != ' ' && section[length] != '\t'))
		return NULL;
	section += length;
	return section + strspn(section, " \t");
}

static bool first_time(struct parser *p, const char *section, const char *key)
{
	struct seen_key *seen = p->seen;

	for (; seen < p->seen + p->nr_seen; seen++) {
		if (!strcmp(seen->section, section) && !strcmp(seen->key, key)) {
			report(p, p->line, "[%s] %s is set again; first on line %u", section, key,
			       seen->line);
			return false;
		}
	}
	if (p->nr_seen == KEYS_MAX) {
		report(p, p->line, "more than %d settings", KEYS_MAX);
		return false;
	}
	snprintf(seen->section, sizeof(seen->section), "%s", section);
	snprintf(seen->key, sizeof(seen->key), "%s", key);
	seen->line = p->line;
	p->nr_seen++;
	return true;
}

static int handle(void *arg, const char *section, const char *key, const char *value)
{
	const char *backend = section_name(section, "backend");
	const char *device = section_name(section, "device");
	const char *pool = section_name(section, "pool");
	const char *remote = section_name(section, "remote");
	const char *name = backend ? backend : device ? device : pool ? pool : remote;
	struct parser *p = arg;

	if (!section[0])
		report(p, p->line, "\"%s\" stands before any section; put it under [infinid]", key);
	else if (name && !infini_config_name_valid(name))
		report(p, p->line, "[%s]: a name is 1 to %d of A-Z a-z 0-9 . _ -", section,
		       INFINI_NAME_MAX - 1);
	else if (!name && strcmp(section, "infinid") && strcmp(section, "tariff") &&
		 strcmp(section, "cdi"))
		report(p, p->line, "[%s] is no section; there are [infinid], [cdi], [tariff], "
		       "[backend NAME], [device NAME], [pool NAME] and [remote NAME]", section);
	else if (!first_time(p, section, key))
		return 1;
	else if (backend)
		set_backend(p, section, backend, key, value);
	else if (device)
		set_device(p, section, device, key, value);
	else if (pool)
		set_pool(p, section, pool, key, value);
	else if (remote)
		set_remote(p, section, remote, key, value);
	else if (!strcmp(section, "tariff"))
		set_tariff(p, key, value);
	else if (!strcmp(section, "cdi"))
		set_cdi(p, key, value);
	else
		set_global(p, key, value);
	return 1;
}

/* ---- the file ---------------------------------------------------------------------- */

/* Lines known to be no INI are blanked, so that one more of them can be found in the next pass. */
static char *read_line(char *buffer, int bytes, void *arg)
{
	struct parser *p = arg;
	size_t length;
	int c;

	if (!fgets(buffer, bytes, p->file))
		return NULL;
	p->line++;
	length = strlen(buffer);
	if (length == (size_t)bytes - 1 && buffer[length - 1] != '\n') {
		report(p, p->line, "the line is longer than %d bytes", bytes - 3);
		while ((c = fgetc(p->file)) != EOF && c != '\n')
			;
		buffer[0] = '\0';
	}
	for (unsigned int i = 0; i < p->nr_syntax; i++) {
		if (p->syntax[i] == p->line)
			buffer[0] = '\0';
	}
	return buffer;
}

static void ignore_problem(const char *problem, void *arg)
{
	(void)problem;
	(void)arg;
}

/*
 * inih tells only the first line it cannot read. Go through the file again with that line blank
 * until it can read them all.
 */
static int find_syntax_errors(struct parser *parent)
{
	struct parser *p = malloc(sizeof(*p));
	struct infini_config *scratch = malloc(sizeof(*scratch));
	int line, ret = -ENOMEM;

	if (!p || !scratch)
		goto out;
	*p = *parent;
	p->config = scratch;
	p->problem = ignore_problem;
	do {
		*scratch = *parent->config;
		p->line = 0;
		p->nr_seen = 0;
		rewind(p->file);
		line = ini_parse_stream(read_line, p, handle, p);
		if (line > 0)
			p->syntax[p->nr_syntax++] = (unsigned int)line;
	} while (line > 0 && p->nr_syntax < SYNTAX_ERRORS_MAX);
	ret = line < 0 ? -ENOMEM : 0;
	memcpy(parent->syntax, p->syntax, sizeof(p->syntax));
	parent->nr_syntax = p->nr_syntax;
out:
	free(scratch);
	free(p);
	return ret;
}

/* What is not configured and depends on what is. False when it does not fit. */
static bool complete(struct infini_config *config)
{
	static const char name[] = "/metrics.sock";
	size_t length = strlen(config->run_dir);

	if (config->metrics_socket[0])
		return true;
	if (length + sizeof(name) > sizeof(config->metrics_socket))
		return false;
	memcpy(config->metrics_socket, config->run_dir, length);
	memcpy(config->metrics_socket + length, name, sizeof(name));
	return true;
}

static int parse_file(struct parser *p)
{
	int ret = find_syntax_errors(p);

	if (ret)
		return ret;
	for (unsigned int i = 0; i < p->nr_syntax; i++)
		report(p, p->syntax[i], "neither a [section] nor a \"key = value\"");
	p->line = 0;
	rewind(p->file);
	if (ini_parse_stream(read_line, p, handle, p) < 0)
		return -ENOMEM;
	if (ferror(p->file))
		return -EIO;
	if ((p->config->tariff.per_kwh || p->config->tariff.per_million_tokens) &&
	    !p->config->tariff.currency[0])
		report(p, 0, "[tariff] has prices and no currency");
	for (uint32_t i = 0; i < p->config->nr_remotes; i++) {
		if (!p->config->remotes[i].nr_endpoints)
			report(p, 0, "[remote %s] has no endpoint = HOST:PORT",
			       p->config->remotes[i].name);
	}
	if (!complete(p->config))
		report(p, 0, "run_dir is too long for a socket in it; set metrics_socket");
	return p->nr_problems ? -EINVAL : 0;
}

static int set_defaults(struct infini_config *config)
{
	const struct passwd *entry = getpwnam("infini");
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	memset(config, 0, sizeof(*config));
	config->user_is_fallback = !entry || !entry->pw_uid || !entry->pw_gid;
	if (config->user_is_fallback)
		entry = getpwnam("nobody");
	if (!entry)
		return -ENOENT;
	snprintf(config->user, sizeof(config->user), "%s", entry->pw_name);
	config->uid = entry->pw_uid;
	config->gid = entry->pw_gid;
	config->threads_max = cpus < 1 ? 1 : (uint32_t)cpus;
	if (config->threads_max > INFINI_CONFIG_THREADS_MAX)
		config->threads_max = INFINI_CONFIG_THREADS_MAX;
	config->segment_us = 400;
	config->window = 1;
	config->idle_exit_s = 60;
	config->preload = true;
	config->worker_memory = INFINI_CONFIG_WORKER_MEMORY;
	config->log_level = LOG_INFO;
	snprintf(config->backend_dir, sizeof(config->backend_dir), "%s", INFINI_BACKEND_DIR);
	snprintf(config->run_dir, sizeof(config->run_dir), "/run/infini");
	snprintf(config->ledger, sizeof(config->ledger), INFINI_CONFIG_LEDGER);
	config->ledger_interval_s = 10;
	config->cdi = true;
	snprintf(config->cdi_dir, sizeof(config->cdi_dir), INFINI_CDI_DIR);
	snprintf(config->cdi_plugin, sizeof(config->cdi_plugin),
		 INFINI_BACKEND_DIR "/libggml-infini.so");
	snprintf(config->cdi_library, sizeof(config->cdi_library), INFINI_LIBRARY);
	backend_slot(config, "ggml")->enabled = true;
	return 0;
}

int infini_config_defaults(struct infini_config *config)
{
	int ret = set_defaults(config);

	if (!ret)
		complete(config);
	return ret;
}

int infini_config_load(struct infini_config *config, const char *path,
		       infini_config_problem_fn problem, void *arg)
{
	struct parser *p;
	int ret = set_defaults(config);

	if (ret)
		return ret;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->config = config;
	p->path = path;
	p->problem = problem;
	p->arg = arg;
	p->file = fopen(path, "re");
	if (!p->file) {
		ret = -errno;
	} else {
		ret = parse_file(p);
		fclose(p->file);
	}
	free(p);
	return ret;
}

const struct infini_config_backend *
infini_config_backend_find(const struct infini_config *config, const char *name)
{
	for (uint32_t i = 0; i < config->nr_backends; i++) {
		if (!strcmp(config->backends[i].name, name))
			return &config->backends[i];
	}
	return NULL;
}

const struct infini_config_device *
infini_config_device_find(const struct infini_config *config, const char *name)
{
	for (uint32_t i = 0; i < config->nr_devices; i++) {
		if (!strcmp(config->devices[i].name, name))
			return &config->devices[i];
	}
	return NULL;
}

const struct infini_config_remote *
infini_config_remote_find(const struct infini_config *config, const char *name)
{
	for (uint32_t i = 0; i < config->nr_remotes; i++) {
		if (!strcmp(config->remotes[i].name, name))
			return &config->remotes[i];
	}
	return NULL;
}

static bool matches(const char *patterns, const char *name)
{
	char list[INFINI_CONFIG_DEVICES_BYTES], *rest = NULL, *pattern;

	snprintf(list, sizeof(list), "%s", patterns);
	for (pattern = strtok_r(list, PATTERN_BLANKS, &rest); pattern;
	     pattern = strtok_r(NULL, PATTERN_BLANKS, &rest)) {
		if (!fnmatch(pattern, name, 0))
			return true;
	}
	return false;
}

void infini_config_tell_backend(const struct infini_config *config, const char *name)
{
	const struct infini_config_backend *backend = infini_config_backend_find(config, name);

	if (backend && backend->library[0])
		setenv("INFINI_CUDA_LIBRARY", backend->library, 1);
}

bool infini_config_device_allowed(const struct infini_config_backend *backend, const char *name)
{
	return !backend->devices[0] || matches(backend->devices, name);
}

bool infini_config_pool_has(const struct infini_config_pool *pool, const char *name)
{
	return matches(pool->devices, name);
}
