// SPDX-License-Identifier: GPL-2.0-or-later
/* What surrounds the supervisor: loading backends, probing, the pidfile, the service manager. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend_load.h"
#include "log.h"
#include "notify.h"
#include "pidfile.h"
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/infinid-test-XXXXXX";

/* ---- loading ----------------------------------------------------------------------- */

/* Built by the Makefile beside this program. */
static const struct {
	const char *name;
	int ret;
	const char *why;		/* with %s for the folder of the backends */
} backends[] = {
	{ "null", 0, "" },
	{ "missing", -ENOENT, "backend missing: %s/infinid-missing.so: No such file or directory; "
	  "install it, or set \"enabled = no\" under [backend missing]" },
	{ "needy", -ENOENT, "backend needy: needs libvendor-absent.so.1, which is not installed" },
	{ "empty", -ENOEXEC, "backend empty: %s/infinid-empty.so exports no infini_backend_ops: it "
	  "is no backend" },
	{ "old", -EPROTO, "backend old: %s/infinid-old.so speaks backend ABI 4711, infinid 7; "
	  "install both from one build" },
	{ "partial", -ENOEXEC, "backend partial: %s/infinid-partial.so is not the backend "
	  "\"partial\" or lacks functions" },
	{ "text", -ENOEXEC, "backend text: %s/infinid-text.so: file too short" },
};

static void backends_are_loaded_or_explained(void **state)
{
	const char *folder = getenv("INFINI_TEST_BACKENDS");
	const struct infini_backend_ops *ops;
	char why[512], expected[1024];

	(void)state;
	assert_non_null(folder);
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++) {
		const char *mark = strstr(backends[i].why, "%s");
		int ret;

		why[0] = '\0';
		snprintf(expected, sizeof(expected), "%.*s%s%s",
			 mark ? (int)(mark - backends[i].why) : (int)strlen(backends[i].why),
			 backends[i].why, mark ? folder : "", mark ? mark + 2 : "");
		ret = infini_backend_load(folder, backends[i].name, &ops, why, sizeof(why));
		if (ret != backends[i].ret || strcmp(why, expected))
			fail_msg("%s: %d, \"%s\", not \"%s\"", backends[i].name, ret, why,
				 expected);
	}
}

/* ---- probing ----------------------------------------------------------------------- */

static int count(const struct infini_backend_device *device, void *arg)
{
	unsigned int *n = arg;

	assert_string_equal(device->name, *n ? "null1" : "null0");
	(*n)++;
	return 0;
}

static void probe_reports_from_a_child(void **state)
{
	static struct infini_config config;
	struct infini_probe probe;
	struct pollfd ready;
	unsigned int n = 0;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(infini_config_defaults(&config), 0);
	snprintf(config.backend_dir, sizeof(config.backend_dir), "%s",
		 getenv("INFINI_TEST_BACKENDS"));
	assert_int_equal(infini_probe_start(&probe, &config, "null"), 0);
	pid = probe.pid;
	ready = (struct pollfd){ .fd = probe.fd, .events = POLLIN };
	do
		assert_int_equal(poll(&ready, 1, 30000), 1);
	while (!infini_probe_read(&probe, count, &n));
	infini_probe_end(&probe);
	assert_int_equal(n, 2);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static int refuse(const struct infini_backend_device *device, void *arg)
{
	(void)arg;
	fail_msg("%s was reported", device->name);
	return 0;
}

static const char *reason_of(struct infini_probe *probe)
{
	struct infini_config *config = calloc(1, sizeof(*config));
	struct pollfd ready;
	int status;
	pid_t pid;

	assert_int_equal(infini_config_defaults(config), 0);
	snprintf(config->backend_dir, sizeof(config->backend_dir), "%s",
		 getenv("INFINI_TEST_BACKENDS"));
	assert_int_equal(infini_probe_start(probe, config, "needy"), 0);
	free(config);
	pid = probe->pid;
	ready = (struct pollfd){ .fd = probe->fd, .events = POLLIN };
	do
		assert_int_equal(poll(&ready, 1, 30000), 1);
	while (!infini_probe_read(probe, refuse, NULL));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	close(probe->fd);
	return probe->why;
}

/* ---- a server ---- */

/* It listens if @listens, and a client that connects is one that leaves. */
static int a_server(bool listens, char *endpoint, size_t bytes)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
	if (listens)
		assert_int_equal(listen(fd, 1), 0);
	snprintf(endpoint, bytes, "127.0.0.1:%u", ntohs(address.sin_port));
	return fd;
}

static void look_at(const struct infini_config_remote *remote, const char *backend, bool reach_only,
		    struct infini_probe *probe)
{
	struct infini_config *config = calloc(1, sizeof(*config));
	struct pollfd ready;
	int status;

	assert_int_equal(infini_config_defaults(config), 0);
	snprintf(config->backend_dir, sizeof(config->backend_dir), "%s",
		 getenv("INFINI_TEST_BACKENDS"));
	assert_int_equal(infini_probe_start_remote(probe, config, backend, remote, reach_only), 0);
	free(config);
	ready = (struct pollfd){ .fd = probe->fd, .events = POLLIN };
	do
		assert_int_equal(poll(&ready, 1, 30000), 1);
	while (!infini_probe_read(probe, refuse, NULL));
	assert_int_equal(waitpid(probe->pid, &status, 0), probe->pid);
	close(probe->fd);
}

static void server_is_reached_without_a_word(void **state)
{
	struct infini_config_remote remote = { .name = "far", .nr_endpoints = 1 };
	int server = a_server(true, remote.endpoints[0], sizeof(remote.endpoints[0])), client;
	struct infini_probe probe;
	char byte;

	(void)state;
	look_at(&remote, "missing", true, &probe);
	assert_string_equal(probe.why, "");
	client = accept(server, NULL, NULL);
	assert_true(client >= 0);
	assert_int_equal(read(client, &byte, 1), 0);
	close(client);
	close(server);
}

static void server_that_is_not_there_is_a_reason(void **state)
{
	struct infini_config_remote remote = { .name = "far", .nr_endpoints = 1 };
	int port = a_server(false, remote.endpoints[0], sizeof(remote.endpoints[0]));
	struct infini_probe probe;
	char expected[256];

	(void)state;
	snprintf(expected, sizeof(expected), "server %s cannot be reached: Connection refused",
		 remote.endpoints[0]);
	/* The backend is not even loaded. */
	look_at(&remote, "missing", false, &probe);
	assert_string_equal(probe.why, expected);
	strcpy(remote.endpoints[0], "no-such-host.invalid:1");
	look_at(&remote, "missing", false, &probe);
	assert_non_null(strstr(probe.why, "server no-such-host.invalid:1 cannot be found: "));
	close(port);
}

static void backend_may_have_no_remote_devices(void **state)
{
	struct infini_config_remote remote = { .name = "far", .nr_endpoints = 1 };
	int server = a_server(true, remote.endpoints[0], sizeof(remote.endpoints[0]));
	struct infini_probe probe;

	(void)state;
	look_at(&remote, "null", false, &probe);
	assert_string_equal(probe.why, "cannot look for devices: Operation not supported");
	close(server);
}

static void probe_says_why_there_can_be_no_device(void **state)
{
	struct infini_probe probe;

	(void)state;
	assert_string_equal(reason_of(&probe), "backend needy: needs "
			    "libvendor-absent.so.1, which is not installed");
	/* Whatever it had said before. */
	probe = (struct infini_probe){ .fd = open("/dev/null", O_RDONLY) };
	assert_int_equal(infini_probe_read(&probe, refuse, NULL), 1);
	assert_string_equal(probe.why, "crashed or took more than 120 s when asked for devices");
	infini_probe_end(&probe);
}

#define DEVICE(...) { .name = "d", .level = INFINI_LEVEL_LAUNCH, .slots = 1, .memory_bytes = 1, \
		      .nr_kinds = 1, .kinds = { { .name = "k", .alignment = 1 } }, __VA_ARGS__ }

/* A later initialiser overrides: that is what the rows are made of. */
#pragma GCC diagnostic ignored "-Woverride-init"
static const struct {
	struct infini_backend_device device;
	const char *refusal;
} reports[] = {
	{ DEVICE(.slots = 64), NULL },
	{ DEVICE(.name = ""), "a bad name" },
	{ DEVICE(.pci = "0000:03:00.0"), NULL },
	{ DEVICE(.pci = { [0 ... 15] = '0' }), "a PCI address without an end" },
	{ DEVICE(.library = "/usr/lib/libggml-cpu.so"), NULL },
	{ DEVICE(.library = { [0 ... 255] = '/' }), "a library without an end" },
	{ DEVICE(.name = "a b"), "a bad name" },
	{ DEVICE(.device_class = 4), "an unknown class" },
	{ DEVICE(.level = 0), "an unknown yield level" },
	{ DEVICE(.level = 4), "an unknown yield level" },
	{ DEVICE(.slots = 0), "a number of slots that is not 1 to 64" },
	{ DEVICE(.slots = 65), "a number of slots that is not 1 to 64" },
	{ DEVICE(.memory_bytes = 0), "no memory" },
	{ DEVICE(.nr_kinds = 0), "a number of memory kinds that is not 1 to 8" },
	{ DEVICE(.nr_kinds = 9), "a number of memory kinds that is not 1 to 8" },
	{ DEVICE(.nr_kinds = 2), "a memory kind without a name" },
	{ DEVICE(.kinds = { { .name = "k", .alignment = 3 } }),
	  "a memory kind whose alignment is no power of two" },
	{ DEVICE(.kinds = { { .name = "k", .alignment = 8, .flags = 8 } }),
	  "a memory kind with an unknown flag" },
	{ DEVICE(.kinds = { { .name = "k", .alignment = 8, .flags = INFINI_MEMORY_F_FILE } }),
	  "a memory kind that takes files and is not UNIFIED and plain" },
	{ DEVICE(.kinds = { { .name = "k", .alignment = 8,
			      .flags = INFINI_MEMORY_F_FILE | INFINI_MEMORY_F_UNIFIED } }), NULL },
};

static void reports_are_checked(void **state)
{
	struct infini_backend_device device = reports[0].device;

	(void)state;
	for (size_t i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
		const char *why = infini_probe_refusal(&reports[i].device);

		if (!why != !reports[i].refusal || (why && strcmp(why, reports[i].refusal)))
			fail_msg("row %zu: %s", i, why ? why : "taken");
	}
	memset(device.name, 'x', sizeof(device.name));
	assert_string_equal(infini_probe_refusal(&device), "a bad name");
}

/* ---- the pidfile ------------------------------------------------------------------- */

static void second_daemon_is_told_the_first(void **state)
{
	char path[128], text[32] = "";
	int fd, file, status;
	pid_t owner, pid;

	(void)state;
	snprintf(path, sizeof(path), "%s/run", dir);
	fd = infini_pidfile_lock(path, &owner);
	assert_true(fd >= 0);
	pid = fork();
	if (!pid) {
		int ret = infini_pidfile_lock(path, &owner);

		_exit(ret == -EBUSY && owner == getppid() &&
		      infini_pidfile_owner(path) == owner ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	snprintf(path, sizeof(path), "%s/run/infinid.pid", dir);
	file = open(path, O_RDONLY);
	/* Another process reads it: this one would lose its lock by closing the file. */
	assert_true(read(file, text, sizeof(text) - 1) > 0);
	assert_int_equal(atoi(text), getpid());
	close(file);
	snprintf(path, sizeof(path), "%s/run", dir);
	infini_pidfile_unlock(fd, path);
	assert_int_equal(infini_pidfile_owner(path), 0);
	fd = infini_pidfile_lock(path, &owner);
	assert_true(fd >= 0);
	infini_pidfile_unlock(fd, path);
	assert_int_equal(rmdir(path), 0);
}

static void pidfile_needs_its_folder(void **state)
{
	pid_t owner;

	(void)state;
	assert_int_equal(infini_pidfile_lock("/nonexistent/run", &owner), -ENOENT);
}

/* ---- the service manager ----------------------------------------------------------- */

static const struct {
	const char *name;
	bool abstract;
} sockets[] = { { "a path", false }, { "an abstract name", true } };

static void service_manager_hears(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct sockaddr_un address = { .sun_family = AF_UNIX };
		int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		char text[64] = "";
		size_t length;

		length = (size_t)snprintf(address.sun_path, sizeof(address.sun_path), "%s%s/notify",
					  sockets[i].abstract ? "@" : "", dir);
		setenv("NOTIFY_SOCKET", address.sun_path, 1);
		if (sockets[i].abstract)
			address.sun_path[0] = '\0';
		assert_int_equal(bind(fd, (struct sockaddr *)&address,
				      (socklen_t)(offsetof(struct sockaddr_un, sun_path) +
						  length)), 0);
		assert_true(infini_notify_managed());
		assert_int_equal(infini_notify("READY=1\nSTATUS=%d devices\n", 3), 0);
		assert_true(recv(fd, text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
		if (strcmp(text, "READY=1\nSTATUS=3 devices\n"))
			fail_msg("%s: \"%s\"", sockets[i].name, text);
		close(fd);
		if (!sockets[i].abstract)
			unlink(address.sun_path);
	}
}

static void no_service_manager_is_fine(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(infini_notify("READY=1\n"), 0);
	assert_false(infini_notify_managed());
	setenv("NOTIFY_SOCKET", "", 1);
	assert_int_equal(infini_notify("READY=1\n"), 0);
	assert_false(infini_notify_managed());
	setenv("NOTIFY_SOCKET", "relative", 1);
	assert_int_equal(infini_notify("READY=1\n"), -EINVAL);
	setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
	assert_int_equal(infini_notify("READY=1\n"), -ENOENT);
}

/* ---- the log ----------------------------------------------------------------------- */

/* What a child that calls @speak writes to stderr. */
static void listen_to(void (*speak)(void), char *text, size_t bytes)
{
	int ends[2], status;
	size_t length = 0;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (!pid) {
		dup2(ends[1], STDERR_FILENO);
		speak();
		_exit(0);
	}
	close(ends[1]);
	while ((got = read(ends[0], text + length, bytes - 1 - length)) > 0)
		length += (size_t)got;
	text[length] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
}

static void speak_plainly(void)
{
	infini_log_open(false);
	infini_info("to people");
	infini_log_prefix("vdev a");
	infini_err("what %s", "broke");
	infini_debug("not at this level");
	infini_log_limited(LOG_WARNING, "two\nlines\033[2J");
}

static void lines_are_one_event_each(void **state)
{
	char text[1024];

	(void)state;
	unsetenv("JOURNAL_STREAM");
	listen_to(speak_plainly, text, sizeof(text));
	assert_string_equal(text, "infinid: to people\n"
				  "infinid: vdev a: error: what broke\n"
				  "infinid: vdev a: warning: two?lines?[2J\n");
}

static void speak_to_the_journal(void)
{
	struct stat st;
	char stream[64];

	fstat(STDERR_FILENO, &st);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev,
		 (unsigned long long)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	speak_plainly();
}

static void journal_gets_priorities(void **state)
{
	char text[1024];

	(void)state;
	listen_to(speak_to_the_journal, text, sizeof(text));
	assert_string_equal(text, "<6>to people\n"
				  "<3>vdev a: what broke\n"
				  "<4>vdev a: two?lines?[2J\n");
}

static void speak_too_much(void)
{
	infini_log_open(false);
	for (int i = 0; i < 1000; i++)
		infini_log_limited(LOG_WARNING, "bad program");
	infini_err("end");
}

static void hostile_client_cannot_fill_the_log(void **state)
{
	char text[65536];
	unsigned int lines = 0;

	(void)state;
	listen_to(speak_too_much, text, sizeof(text));
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	assert_int_equal(lines, 21);
	assert_non_null(strstr(text, "error: end\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(backends_are_loaded_or_explained),
		cmocka_unit_test(probe_reports_from_a_child),
		cmocka_unit_test(probe_says_why_there_can_be_no_device),
		cmocka_unit_test(server_is_reached_without_a_word),
		cmocka_unit_test(server_that_is_not_there_is_a_reason),
		cmocka_unit_test(backend_may_have_no_remote_devices),
		cmocka_unit_test(reports_are_checked),
		cmocka_unit_test(second_daemon_is_told_the_first),
		cmocka_unit_test(pidfile_needs_its_folder),
		cmocka_unit_test(service_manager_hears),
		cmocka_unit_test(no_service_manager_is_fine),
		cmocka_unit_test(lines_are_one_event_each),
		cmocka_unit_test(journal_gets_priorities),
		cmocka_unit_test(hostile_client_cannot_fill_the_log),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
