// SPDX-License-Identifier: GPL-2.0-or-later
/* Asks a backend for its devices, in a child: vendor libraries stay out of the supervisor. */
#include "probe.h"

#include "backend_load.h"
#include "child.h"
#include "log.h"
#include "scratch.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* A report is written whole. */
_Static_assert(sizeof(struct infini_probe_report) <= PIPE_BUF, "a report may be torn");

static int send_report(const struct infini_probe_report *report, int fd)
{
	return write(fd, report, sizeof(*report)) == (ssize_t)sizeof(*report) ? 0 : -EPIPE;
}

static int send_device(const struct infini_backend_device *device, void *arg)
{
	const struct infini_probe_report report = { .device = *device };

	return send_report(&report, *(int *)arg);
}

static void send_end(const char *why, int fd)
{
	struct infini_probe_report report = { .end = true };

	snprintf(report.why, sizeof(report.why), "%s", why);
	send_report(&report, fd);
}

/* What a library said last, should it end the process: whole, since the handler may format nothing. */
static struct infini_probe_report last_words = { .end = true };
static int last_words_fd;

static void keep_and_log(int priority, const char *message)
{
	if (priority <= LOG_ERR)
		snprintf(last_words.why, sizeof(last_words.why), "%s", message);
	infini_log_limited(priority, message);
}

static void on_abort(int signal)
{
	(void)signal;
	if (last_words.why[0])
		send_report(&last_words, last_words_fd);
	_exit(1);
}

static int ask(const struct infini_backend_ops *ops, const struct infini_config_remote *remote,
	       int fd)
{
	struct infini_backend_remote server;

	if (!remote)
		return ops->probe(send_device, &fd, keep_and_log);
	if (!ops->probe_remote)
		return -EOPNOTSUPP;
	server = (struct infini_backend_remote){
		.name = remote->name,
		.endpoint = remote->endpoints[0],
		.device_class = remote->device_class,
	};
	return ops->probe_remote(&server, send_device, &fd, keep_and_log);
}

static int probe_backend(const struct infini_config *config, const char *backend,
			 const struct infini_config_remote *remote, int fd)
{
	const struct infini_backend_ops *ops;
	char why[512], scratch[PATH_MAX];
	int ret;

	/* Drivers compile and cache when they start; without a place of their own they use root's. */
	if (infini_scratch_make(config->run_dir, getuid(), getgid(), scratch, sizeof(scratch), why,
				sizeof(why)))
		infini_debug("probe of %s: %s", backend, why);
	infini_config_tell_backend(config, backend);
	ret = infini_backend_load(config->backend_dir, backend, &ops, why, sizeof(why));
	if (ret) {
		infini_warn("%s", why);
		send_end(why, fd);
		return ret;
	}
	last_words_fd = fd;
	signal(SIGABRT, on_abort);
	ret = ask(ops, remote, fd);
	why[0] = '\0';
	if (ret && remote && last_words.why[0]) {
		snprintf(why, sizeof(why), "%s", last_words.why);
	} else if (ret) {
		infini_warn("backend %s cannot look for devices: %s", backend, strerror(-ret));
		snprintf(why, sizeof(why), "cannot look for devices: %s", strerror(-ret));
	}
	send_end(why, fd);
	return ret;
}

/* ---- a server's port ---- */

static int wait_connected(int fd)
{
	struct pollfd wait = { .fd = fd, .events = POLLOUT };
	socklen_t bytes = sizeof(int);
	int error = 0, n = poll(&wait, 1, INFINI_PROBE_CONNECT_S * 1000);

	if (n < 0)
		return -errno;
	if (!n)
		return -ETIMEDOUT;
	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &bytes) ? -errno : -error;
}

static int connect_to(const struct addrinfo *address)
{
	int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), ret = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, address->ai_addr, address->ai_addrlen))
		ret = errno == EINPROGRESS ? wait_connected(fd) : -errno;
	close(fd);
	return ret;
}

/* Nothing is said, so the server sees a client that left. False with a sentence in @why. */
static bool reach(const char *endpoint, char *why, size_t bytes)
{
	const struct addrinfo wanted = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM };
	const char *colon = strchr(endpoint, ':');
	char host[INFINI_CONFIG_ENDPOINT_BYTES];
	struct addrinfo *address;
	int ret;

	snprintf(host, sizeof(host), "%.*s", (int)(colon - endpoint), endpoint);
	ret = getaddrinfo(host, colon + 1, &wanted, &address);
	if (ret) {
		snprintf(why, bytes, "server %s cannot be found: %s", endpoint, gai_strerror(ret));
		return false;
	}
	ret = connect_to(address);
	freeaddrinfo(address);
	if (ret)
		snprintf(why, bytes, "server %s cannot be reached: %s", endpoint, strerror(-ret));
	return !ret;
}

/* ---- the child ---- */

static void settle_in(const char *whom, unsigned int seconds, int fd)
{
	char title[64];

	infini_child_signals(SIG_DFL);
	alarm(seconds);
	snprintf(title, sizeof(title), "infinid: probe %s", whom);
	infini_child_settle(title, fd);
}

/* Not exit(): the destructors of vendor libraries have crashed others. */
static _Noreturn void child(const struct infini_config *config, const char *backend,
			    const struct infini_config_remote *remote, bool reach_only, int fd)
{
	char why[256] = "";

	if (!remote) {
		settle_in(backend, INFINI_PROBE_TIMEOUT_S, fd);
		_exit(probe_backend(config, backend, NULL, fd) ? 1 : 0);
	}
	settle_in(remote->name, INFINI_PROBE_REMOTE_TIMEOUT_S, fd);
	if (!reach(remote->endpoints[0], why, sizeof(why)) || reach_only) {
		send_end(why, fd);
		_exit(0);
	}
	_exit(probe_backend(config, backend, remote, fd) ? 1 : 0);
}

static int start(struct infini_probe *probe, const struct infini_config *config,
		 const char *backend, const struct infini_config_remote *remote, bool reach_only)
{
	int ends[2], ret;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) != 0)
		return -errno;
	pid = fork();
	if (!pid)
		child(config, backend, remote, reach_only, ends[1]);
	ret = pid < 0 ? -errno : 0;
	close(ends[1]);
	if (!ret && fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
		ret = -errno;
	if (ret) {
		close(ends[0]);
		return ret;
	}
	*probe = (struct infini_probe){ .pid = pid, .fd = ends[0] };
	snprintf(probe->backend, sizeof(probe->backend), "%s", backend);
	snprintf(probe->remote, sizeof(probe->remote), "%s", remote ? remote->name : "");
	return 0;
}

int infini_probe_start(struct infini_probe *probe, const struct infini_config *config,
		       const char *backend)
{
	return start(probe, config, backend, NULL, false);
}

int infini_probe_start_remote(struct infini_probe *probe, const struct infini_config *config,
			      const char *backend, const struct infini_config_remote *remote,
			      bool reach_only)
{
	return start(probe, config, backend, remote, reach_only);
}

static bool terminated(const void *text, size_t bytes)
{
	return memchr(text, '\0', bytes) != NULL;
}

static const char *kind_refusal(const struct infini_memory_kind *kind)
{
	if (!terminated(kind->name, sizeof(kind->name)) || !kind->name[0])
		return "a memory kind without a name";
	if (!kind->alignment || (kind->alignment & (kind->alignment - 1)))
		return "a memory kind whose alignment is no power of two";
	if (kind->flags & ~(uint32_t)(INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_WEIGHTS |
				      INFINI_MEMORY_F_FILE))
		return "a memory kind with an unknown flag";
	if ((kind->flags & INFINI_MEMORY_F_FILE) &&
	    kind->flags != (INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_FILE))
		return "a memory kind that takes files and is not UNIFIED and plain";
	return NULL;
}

const char *infini_probe_refusal(const struct infini_backend_device *device)
{
	const char *why;

	if (!terminated(device->name, sizeof(device->name)) ||
	    !infini_config_name_valid(device->name))
		return "a bad name";
	if (!terminated(device->description, sizeof(device->description)))
		return "a description without an end";
	if (!terminated(device->pci, sizeof(device->pci)))
		return "a PCI address without an end";
	if (!terminated(device->remote, sizeof(device->remote)))
		return "a remote machine without an end";
	if (!terminated(device->library, sizeof(device->library)))
		return "a library without an end";
	if (device->device_class > INFINI_CLASS_OTHER)
		return "an unknown class";
	if (device->level < INFINI_LEVEL_LAUNCH || device->level > INFINI_LEVEL_INTERRUPT)
		return "an unknown yield level";
	if (!device->slots || device->slots > 64)
		return "a number of slots that is not 1 to 64";
	if (!device->memory_bytes)
		return "no memory";
	if (!device->nr_kinds || device->nr_kinds > INFINI_MEMORY_KINDS_MAX)
		return "a number of memory kinds that is not 1 to 8";
	for (uint32_t i = 0; i < device->nr_kinds; i++) {
		why = kind_refusal(&device->kinds[i]);
		if (why)
			return why;
	}
	return NULL;
}

static void take_report(struct infini_probe *probe, infini_backend_found_fn found, void *arg)
{
	const struct infini_probe_report *report = &probe->report;
	const char *why;

	probe->filled = 0;
	if (report->end) {
		probe->ended = true;
		snprintf(probe->why, sizeof(probe->why), "%.255s", report->why);
		return;
	}
	why = infini_probe_refusal(&report->device);
	if (!why && strcmp(report->device.remote, probe->remote))
		why = "another remote machine than it was asked for";
	if (why)
		infini_warn("backend %s reports a device with %s; it is left out", probe->backend,
			    why);
	else
		found(&report->device, arg);
}

int infini_probe_read(struct infini_probe *probe, infini_backend_found_fn found, void *arg)
{
	ssize_t got;

	for (;;) {
		got = read(probe->fd, (char *)&probe->report + probe->filled,
			   sizeof(probe->report) - probe->filled);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			return 0;
		if (got <= 0)
			break;
		probe->filled += (size_t)got;
		if (probe->filled == sizeof(probe->report))
			take_report(probe, found, arg);
	}
	if (!probe->ended)
		snprintf(probe->why, sizeof(probe->why), "crashed or took more than %d s when asked "
			 "for devices", INFINI_PROBE_TIMEOUT_S);
	return 1;
}

void infini_probe_end(struct infini_probe *probe)
{
	close(probe->fd);
	*probe = (struct infini_probe){ .fd = -1 };
}
