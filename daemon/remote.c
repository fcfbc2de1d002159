// SPDX-License-Identifier: GPL-2.0-or-later
/* Other machines' devices: when to look whether their servers answer, and what came of it. */
#include "remote.h"

#include "clock.h"
#include "log.h"

#include <infini.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

/* A server that is reached and says nothing for so long has somebody else to talk to. */
#define SILENT_NS	(10 * INFINI_NS_PER_S)

static void end_probe(struct infini_remote *remote)
{
	if (!remote->probe.pid)
		return;
	kill(remote->probe.pid, SIGKILL);
	waitpid(remote->probe.pid, NULL, 0);
	infini_probe_end(&remote->probe);
}

void infini_remotes_stop(struct infini_remotes *remotes)
{
	for (uint32_t i = 0; i < remotes->nr_remotes; i++)
		end_probe(&remotes->remotes[i]);
	remotes->nr_remotes = 0;
}

void infini_remotes_configure(struct infini_remotes *remotes, const struct infini_config *config)
{
	infini_remotes_stop(remotes);
	remotes->nr_remotes = config->nr_remotes;
	for (uint32_t i = 0; i < config->nr_remotes; i++) {
		remotes->remotes[i] = (struct infini_remote){ .silent_ns = INFINI_FOREVER };
		snprintf(remotes->remotes[i].name, INFINI_NAME_MAX, "%s", config->remotes[i].name);
	}
}

int64_t infini_remotes_next_ns(const struct infini_remotes *remotes)
{
	int64_t next = INFINI_FOREVER, due;

	for (uint32_t i = 0; i < remotes->nr_remotes; i++) {
		due = remotes->remotes[i].probe.pid ? remotes->remotes[i].silent_ns :
						      remotes->remotes[i].look_ns;
		if (due < next)
			next = due;
	}
	return next;
}

static int64_t next_look_ns(const struct infini_config_remote *config)
{
	return infini_clock_ns() + config->retry_s * INFINI_NS_PER_S;
}

/* Said once, until something else is to be said. */
static void of_no_use(struct infini_remote *remote, const struct infini_config_remote *config,
		      const char *why)
{
	if (strcmp(remote->why, why))
		infini_warn("remote machine %s: %s; looking again every %u s", remote->name, why,
			    config->retry_s);
	snprintf(remote->why, sizeof(remote->why), "%s", why);
}

static void start(struct infini_remote *remote, const struct infini_config *config,
		  const struct infini_config_remote *server, bool reach_only,
		  int (*started)(struct infini_remote *remote, void *arg), void *arg)
{
	int ret = infini_probe_start_remote(&remote->probe, config, INFINI_REMOTE_BACKEND, server,
					    reach_only);

	if (!ret) {
		remote->silent_ns = infini_clock_ns() + SILENT_NS;
		ret = started(remote, arg);
		if (ret)
			end_probe(remote);
	}
	if (ret)
		of_no_use(remote, server, strerror(-ret));
	remote->look_ns = next_look_ns(server);
}

void infini_remotes_start(struct infini_remotes *remotes, const struct infini_config *config,
			  const struct infini_roster *roster, const struct infini_crew *crew,
			  int (*started)(struct infini_remote *remote, void *arg), void *arg)
{
	const struct infini_config_remote *server;
	int64_t now = infini_clock_ns();
	struct infini_remote *remote;
	char why[INFINI_INVENTORY_WHY_BYTES];
	bool on_line;

	for (uint32_t i = 0; i < remotes->nr_remotes; i++) {
		remote = &remotes->remotes[i];
		server = infini_config_remote_find(config, remote->name);
		if (!server)
			continue;
		if (remote->probe.pid && remote->silent_ns <= now) {
			remote->silent_ns = INFINI_FOREVER;
			snprintf(why, sizeof(why), "server %s does not answer; it may have another "
				 "client", server->endpoints[0]);
			of_no_use(remote, server, why);
		}
		if (remote->probe.pid || remote->look_ns > now)
			continue;
		on_line = infini_roster_has_remote(roster, remote->name);
		if (on_line && !remote->suspect && infini_crew_on_remote(crew, remote->name, 0)) {
			remote->look_ns = next_look_ns(server);
			continue;
		}
		remote->suspect = false;
		start(remote, config, server, on_line, started, arg);
	}
}

void infini_remotes_end(struct infini_remote *remote, const struct infini_config *config,
			struct infini_roster *roster)
{
	const struct infini_config_remote *server = infini_config_remote_find(config, remote->name);
	char why[INFINI_INVENTORY_WHY_BYTES];

	snprintf(why, sizeof(why), "%s", remote->probe.why);
	infini_probe_end(&remote->probe);
	remote->look_ns = server ? next_look_ns(server) : INFINI_FOREVER;
	if (!why[0]) {
		remote->why[0] = '\0';
		return;
	}
	if (server)
		of_no_use(remote, server, why);
	infini_roster_lost(roster, remote->name, why);
}

void infini_remotes_worker_ended(struct infini_remotes *remotes, const struct infini_crew *crew,
				 pid_t pid, int status)
{
	for (uint32_t i = 0; i < remotes->nr_remotes; i++) {
		if (!infini_crew_failed_on(crew, remotes->remotes[i].name, pid, status))
			continue;
		remotes->remotes[i].suspect = true;
		remotes->remotes[i].look_ns = 0;
	}
}

bool infini_remotes_list(const struct infini_remotes *remotes, const struct infini_config *config,
			 struct infini_inventory *inventory)
{
	bool changed = inventory->nr_remotes != remotes->nr_remotes;
	const struct infini_config_remote *server;
	struct infini_inventory_remote entry;

	for (uint32_t i = 0; i < remotes->nr_remotes; i++) {
		server = infini_config_remote_find(config, remotes->remotes[i].name);
		entry = (struct infini_inventory_remote){ .name = "" };
		snprintf(entry.name, sizeof(entry.name), "%s", remotes->remotes[i].name);
		snprintf(entry.endpoint, sizeof(entry.endpoint), "%s",
			 server ? server->endpoints[0] : "");
		snprintf(entry.why, sizeof(entry.why), "%s", remotes->remotes[i].why);
		changed |= memcmp(&entry, &inventory->remotes[i], sizeof(entry)) != 0;
		inventory->remotes[i] = entry;
	}
	inventory->nr_remotes = remotes->nr_remotes;
	return changed;
}
