// SPDX-License-Identifier: GPL-2.0-or-later
/* infinid.conf: what good files mean, and the very words said about bad ones. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

struct problems {
	uint32_t count;
	char text[4096];
};

static struct infini_config config;
static char path[] = "/tmp/infinid-conf-XXXXXX";

static void note(const char *problem, void *arg)
{
	struct problems *problems = arg;

	assert_memory_equal(problem, path, strlen(path));
	snprintf(problems->text + strlen(problems->text),
		 sizeof(problems->text) - strlen(problems->text), "%s\n", problem + strlen(path));
	problems->count++;
}

static int load(const char *content, struct problems *problems)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(content, file) >= 0);
	assert_int_equal(fclose(file), 0);
	memset(problems, 0, sizeof(*problems));
	return infini_config_load(&config, path, note, problems);
}

/* ---- good files -------------------------------------------------------------------- */

static void empty_file_means_defaults(void **state)
{
	struct problems problems;

	(void)state;
	assert_int_equal(load("", &problems), 0);
	assert_int_equal(problems.count, 0);
	assert_string_equal(config.backend_dir, "/usr/local/lib/infini");
	assert_string_equal(config.run_dir, "/run/infini");
	assert_string_equal(config.metrics_socket, "/run/infini/metrics.sock");
	assert_int_equal(config.metrics_port, 0);
	assert_string_equal(config.ledger, "/var/lib/infini/ledger.db");
	assert_int_equal(config.ledger_interval_s, 10);
	assert_string_equal(config.tariff.currency, "");
	assert_true(config.cdi);
	assert_string_equal(config.cdi_dir, "/var/run/cdi");
	assert_string_equal(config.cdi_plugin, "/usr/local/lib/infini/libggml-infini.so");
	assert_string_equal(config.cdi_library, "/usr/local/lib/libinfini.so.0");
	assert_int_equal(config.threads_max, sysconf(_SC_NPROCESSORS_ONLN));
	assert_int_equal(config.segment_us, 400);
	assert_int_equal(config.window, 1);
	assert_int_equal(config.idle_exit_s, 60);
	assert_true(config.preload);
	assert_int_equal(config.worker_memory, 1ULL << 30);
	assert_int_equal(config.log_level, LOG_INFO);
	assert_true(config.uid != 0);
	assert_true(infini_config_backend_find(&config, "ggml")->enabled);
	/* The test device is no device that anybody asked for. */
	assert_null(infini_config_backend_find(&config, "null"));
}

static void full_file_is_understood(void **state)
{
	struct problems problems;

	(void)state;
	assert_int_equal(load("# comment\n"
			      "[infinid]\n"
			      "user = nobody\n"
			      "threads_max = 4   ; and a comment\n"
			      "window=8\n"
			      "idle_exit_s = 0\n"
			      "preload = no\n"
			      "worker_memory = 96M\n"
			      "log_level = debug\n"
			      "backend_dir = /opt/backends\n"
			      "run_dir = /tmp/run\n"
			      "metrics_port = 9464\n"
			      "[backend null]\n"
			      "enabled = Yes\n"
			      "[backend ggml]\n"
			      "enabled = off\n"
			      "devices = cpu0, vulkan*\n"
			      "[device cpu0]\n"
			      "memory = 6G\n"
			      "slots = 2\n"
			      "[device vulkan0]\n"
			      "pci = 0000:03:00.0\n"
			      "[backend cuda]\n"
			      "library = /opt/libcuda.so.1\n"
			      "[pool lab]\n"
			      "devices = cpu0 vulkan[01], remote*\n"
			      "[remote far]\n"
			      "endpoint = 10.0.0.7:50052, box.lan:50053\n"
			      "class = cpu\n"
			      "retry_s = 3\n"
			      "[remote other]\n"
			      "endpoint = x:1\n"
			      "[cdi]\n"
			      "enabled = no\n"
			      "dir = /etc/cdi\n"
			      "plugin = /opt/plugin.so\n"
			      "library = /opt/library.so\n"
			      "[tariff]\n"
			      "currency = EUR\n"
			      "per_kwh = 0.31\n"
			      "per_million_tokens = 2\n", &problems), 0);
	assert_string_equal(config.user, "nobody");
	assert_false(config.user_is_fallback);
	assert_int_equal(config.threads_max, 4);
	assert_int_equal(config.window, 8);
	assert_int_equal(config.idle_exit_s, 0);
	assert_false(config.preload);
	assert_int_equal(config.worker_memory, 96ULL << 20);
	assert_int_equal(config.log_level, LOG_DEBUG);
	assert_string_equal(config.backend_dir, "/opt/backends");
	assert_string_equal(config.run_dir, "/tmp/run");
	/* It follows the folder unless it is configured. */
	assert_string_equal(config.metrics_socket, "/tmp/run/metrics.sock");
	assert_int_equal(config.metrics_port, 9464);
	assert_true(infini_config_backend_find(&config, "null")->enabled);
	assert_false(infini_config_backend_find(&config, "ggml")->enabled);
	assert_false(infini_config_backend_find(&config, "cuda")->enabled);
	infini_config_tell_backend(&config, "ggml");
	assert_null(getenv("INFINI_CUDA_LIBRARY"));
	infini_config_tell_backend(&config, "cuda");
	assert_string_equal(getenv("INFINI_CUDA_LIBRARY"), "/opt/libcuda.so.1");
	unsetenv("INFINI_CUDA_LIBRARY");
	assert_int_equal(infini_config_device_find(&config, "cpu0")->memory_bytes, 6ULL << 30);
	assert_int_equal(infini_config_device_find(&config, "cpu0")->slots, 2);
	assert_null(infini_config_device_find(&config, "cpu1"));
	assert_string_equal(infini_config_device_find(&config, "vulkan0")->pci, "0000:03:00.0");
	assert_int_equal(config.nr_pools, 1);
	assert_string_equal(config.pools[0].name, "lab");
	assert_true(infini_config_pool_has(&config.pools[0], "vulkan1"));
	assert_true(infini_config_pool_has(&config.pools[0], "remote-a"));
	assert_false(infini_config_pool_has(&config.pools[0], "vulkan2"));
	assert_int_equal(infini_config_remote_find(&config, "far")->nr_endpoints, 2);
	assert_string_equal(config.remotes[0].endpoints[0], "10.0.0.7:50052");
	assert_string_equal(config.remotes[0].endpoints[1], "box.lan:50053");
	assert_int_equal(config.remotes[0].device_class, INFINI_CLASS_CPU);
	assert_int_equal(config.remotes[0].retry_s, 3);
	assert_int_equal(infini_config_remote_find(&config, "other")->device_class, INFINI_CLASS_GPU);
	assert_int_equal(config.remotes[1].retry_s, 10);
	assert_null(infini_config_remote_find(&config, "none"));
	assert_false(config.cdi);
	assert_string_equal(config.cdi_dir, "/etc/cdi");
	assert_string_equal(config.cdi_plugin, "/opt/plugin.so");
	assert_string_equal(config.cdi_library, "/opt/library.so");
	assert_string_equal(config.tariff.currency, "EUR");
	assert_int_equal(config.tariff.per_kwh, 310000);
	assert_int_equal(config.tariff.per_million_tokens, 2000000);
}

static const struct {
	const char *text;
	uint64_t bytes;			/* 0: refused */
} sizes[] = {
	{ "1", 1 },
	{ "4096", 4096 },
	{ "512K", 512 << 10 },
	{ "512M", 512ULL << 20 },
	{ "8G", 8ULL << 30 },
	{ "8GiB", 8ULL << 30 },
	{ "8GB", 8ULL << 30 },
	{ "2T", 2ULL << 40 },
	{ "0", 0 },
	{ "-1", 0 },
	{ "8X", 0 },
	{ "8 G", 0 },
	{ "G", 0 },
	{ "1.5G", 0 },
	{ "16777216T", 0 },		/* 2^64 */
	{ "99999999999999999999", 0 },
};

static void sizes_have_units(void **state)
{
	struct problems problems;
	char content[128];

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		int expected = sizes[i].bytes ? 0 : -EINVAL;

		snprintf(content, sizeof(content), "[device d]\nmemory = %s\n", sizes[i].text);
		if (load(content, &problems) != expected)
			fail_msg("%s: %s", sizes[i].text, problems.text);
		if (!expected && config.devices[0].memory_bytes != sizes[i].bytes)
			fail_msg("%s became %llu", sizes[i].text,
				 (unsigned long long)config.devices[0].memory_bytes);
	}
}

static const struct {
	const char *devices, *name;
	bool allowed;
} filters[] = {
	{ "", "cpu0", true },
	{ "cpu0", "cpu0", true },
	{ "cpu0", "cpu1", false },
	{ "cpu* vulkan1", "cpu7", true },
	{ "cpu*, vulkan1", "vulkan1", true },
	{ "cpu*, vulkan1", "vulkan0", false },
	{ "vulkan[01]", "vulkan1", true },
};

static void devices_are_filtered_by_pattern(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		struct infini_config_backend backend = { .name = "ggml", .enabled = true };

		snprintf(backend.devices, sizeof(backend.devices), "%s", filters[i].devices);
		if (infini_config_device_allowed(&backend, filters[i].name) != filters[i].allowed)
			fail_msg("\"%s\" and %s", filters[i].devices, filters[i].name);
	}
}

/* ---- bad files --------------------------------------------------------------------- */

static const struct {
	const char *name, *content, *expected;
} bad[] = {
	{ "a word on its own", "[infinid]\nhello\n",
	  ":2: neither a [section] nor a \"key = value\"\n" },
	{ "two broken lines", "[infinid\n[infinid]\nx y\nwindow = 1\n",
	  ":1: neither a [section] nor a \"key = value\"\n"
	  ":3: neither a [section] nor a \"key = value\"\n" },
	{ "a key before any section", "window = 1\n",
	  ":1: \"window\" stands before any section; put it under [infinid]\n" },
	{ "an unknown section", "\n[backends]\nx = 1\n",
	  ":3: [backends] is no section; there are [infinid], [cdi], [tariff], [backend NAME], [device NAME], [pool NAME] and [remote NAME]\n" },
	{ "an unknown key", "[infinid]\ncolour = red\n",
	  ":2: [infinid] has no key \"colour\"; it knows: user threads_max segment_us window "
	  "idle_exit_s preload worker_memory log_level backend_dir run_dir ledger ledger_interval_s "
	  "metrics_socket metrics_port\n" },
	{ "an unknown key of a backend", "[backend null]\nspeed = 1\n",
	  ":2: [backend null] has no key \"speed\"; it knows: enabled devices\n" },
	{ "a driver of a backend that has none", "[backend null]\nlibrary = /opt/x.so\n",
	  ":2: [backend null] has no key \"library\"; it knows: enabled devices\n" },
	{ "a relative driver", "[backend cuda]\nlibrary = libcuda.so\n",
	  ":2: library = \"libcuda.so\": must be an absolute path of at most 255 bytes\n" },
	{ "an unknown key of a device", "[device cpu0]\nsize = 1\n",
	  ":2: [device cpu0] has no key \"size\"; it knows: memory slots pci\n" },
	{ "an unknown key of a pool", "[pool lab]\nmembers = cpu0\n",
	  ":2: [pool lab] has no key \"members\"; it knows: devices\n" },
	{ "a pool of nothing", "[pool lab]\ndevices = ,\n",
	  ":2: devices: a pool needs at least one name or pattern\n" },
	{ "a bad name of a pool", "[pool the lab]\ndevices = cpu0\n",
	  ":2: [pool the lab]: a name is 1 to 31 of A-Z a-z 0-9 . _ -\n" },
	{ "a bad name", "[device cpu 0]\nslots = 1\n",
	  ":2: [device cpu 0]: a name is 1 to 31 of A-Z a-z 0-9 . _ -\n" },
	{ "a path as name", "[backend ../x]\nenabled = yes\n",
	  ":2: [backend ../x]: a name is 1 to 31 of A-Z a-z 0-9 . _ -\n" },
	{ "the same key twice", "[infinid]\nwindow = 1\n[backend x]\nenabled = 1\n[infinid]\n"
	  "window = 2\n", ":6: [infinid] window is set again; first on line 2\n" },
	{ "no yes or no", "[backend null]\nenabled = perhaps\n",
	  ":2: enabled = \"perhaps\": must be yes or no\n" },
	{ "a number too small", "[infinid]\nthreads_max = 0\n",
	  ":2: threads_max = \"0\": must be a number from 1 to 1024\n" },
	{ "a number too large", "[infinid]\nwindow = 9\n",
	  ":2: window = \"9\": must be a number from 1 to 8\n" },
	{ "a number with a unit", "[infinid]\nidle_exit_s = 5m\n",
	  ":2: idle_exit_s = \"5m\": must be a number from 0 to 86400\n" },
	{ "a negative number", "[device a]\nslots = -1\n",
	  ":2: slots = \"-1\": must be a number from 1 to 64\n" },
	{ "an empty value", "[device a]\nslots =\n",
	  ":2: slots = \"\": must be a number from 1 to 64\n" },
	{ "an unknown level", "[infinid]\nlog_level = 7\n",
	  ":2: log_level = \"7\": must be error, warning, notice, info or debug\n" },
	{ "a relative path", "[infinid]\nbackend_dir = lib\n",
	  ":2: backend_dir = \"lib\": must be an absolute path\n" },
	{ "a price that is none", "[tariff]\ncurrency = EUR\nper_kwh = 0,31\n",
	  ":3: per_kwh = \"0,31\": must be a price such as 0.31, with at most six decimals\n" },
	{ "a price without decimals behind its point", "[tariff]\ncurrency = EUR\nper_kwh = 1.\n",
	  ":3: per_kwh = \"1.\": must be a price such as 0.31, with at most six decimals\n" },
	{ "a price without a currency", "[tariff]\nper_kwh = 0.31\n",
	  ": [tariff] has prices and no currency\n" },
	{ "a currency that is none", "[tariff]\ncurrency = euros\n",
	  ":2: currency = \"euros\": must be three letters such as EUR\n" },
	{ "an unknown key of the tariff", "[tariff]\nprice = 1\n",
	  ":2: [tariff] has no key \"price\"; it knows: currency per_kwh per_million_tokens\n" },
	{ "a relative folder for CDI", "[cdi]\ndir = cdi\n",
	  ":2: dir = \"cdi\": must be an absolute path\n" },
	{ "an unknown key of CDI", "[cdi]\nkind = x\n",
	  ":2: [cdi] has no key \"kind\"; it knows: enabled dir plugin library\n" },
	{ "no PCI address", "[device d]\npci = 03:00.0\n",
	  ":2: pci = \"03:00.0\": must be an address such as 0000:03:00.0 (lspci -D)\n" },
	{ "an endpoint without a port", "[remote far]\nendpoint = host\n",
	  ":2: endpoint: \"host\" must be HOST:PORT, with a name or an IPv4 address and a port from "
	  "1 to 65535\n: [remote far] has no endpoint = HOST:PORT\n" },
	{ "an endpoint of IPv6", "[remote far]\nendpoint = a:1 [::1]:50052\n",
	  ":2: endpoint: \"[::1]:50052\" must be HOST:PORT, with a name or an IPv4 address and a "
	  "port from 1 to 65535\n" },
	{ "an endpoint with a port that is none", "[remote far]\nendpoint = a:1 a:65536\n",
	  ":2: endpoint: \"a:65536\" must be HOST:PORT, with a name or an IPv4 address and a port "
	  "from 1 to 65535\n" },
	{ "nine endpoints", "[remote far]\nendpoint = a:1 a:2 a:3 a:4 a:5 a:6 a:7 a:8 a:9\n",
	  ":2: endpoint: more than 8\n" },
	{ "a remote machine without an endpoint", "[remote far]\nretry_s = 5\n",
	  ": [remote far] has no endpoint = HOST:PORT\n" },
	{ "a class that is none", "[remote far]\nendpoint = a:1\nclass = tpu\n",
	  ":3: class = \"tpu\": must be cpu, gpu, npu or other\n" },
	{ "an unknown key of a remote machine", "[remote far]\nendpoint = a:1\nport = 1\n",
	  ":3: [remote far] has no key \"port\"; it knows: endpoint class retry_s\n" },
	{ "a port that is none", "[infinid]\nmetrics_port = 65536\n",
	  ":2: metrics_port = \"65536\": must be a number from 0 to 65535\n" },
	{ "a relative socket", "[infinid]\nmetrics_socket = sock\n",
	  ":2: metrics_socket = \"sock\": must be an absolute path of at most 107 bytes\n" },
	{ "a user that is not there", "[infinid]\nuser = no-such-user\n",
	  ":2: user = \"no-such-user\": there is no such user; make one with \"useradd --system "
	  "no-such-user\"\n" },
	{ "root as user", "[infinid]\nuser = root\n",
	  ":2: user = \"root\": workers may not run as root\n" },
	{ "three mistakes at once", "[infinid]\nwindow = x\n[device d]\nmemory = big\n[y]\nz = 1\n",
	  ":2: window = \"x\": must be a number from 1 to 8\n"
	  ":4: memory = \"big\": must be a size such as 512M, 8G or a number of bytes\n"
	  ":6: [y] is no section; there are [infinid], [cdi], [tariff], [backend NAME], [device NAME], [pool NAME] and [remote NAME]\n" },
};

static void bad_files_are_explained(void **state)
{
	struct problems problems;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		int ret = load(bad[i].content, &problems);

		if (ret != -EINVAL || strcmp(problems.text, bad[i].expected))
			fail_msg("%s: returned %d and said\n%s", bad[i].name, ret, problems.text);
	}
}

static void overlong_line_is_one_problem(void **state)
{
	struct problems problems;
	char content[2048];

	(void)state;
	snprintf(content, sizeof(content), "[infinid]\nrun_dir = /%01000d\nwindow = 2\n", 0);
	assert_int_equal(load(content, &problems), -EINVAL);
	assert_int_equal(problems.count, 1);
	assert_non_null(strstr(problems.text, ":2: the line is longer than "));
	assert_int_equal(config.window, 2);
}

static void too_many_devices_are_refused(void **state)
{
	static char content[64 * (INFINI_CONFIG_DEVICES_MAX + 1)];
	struct problems problems;
	size_t at = 0;

	(void)state;
	for (int i = 0; i <= INFINI_CONFIG_DEVICES_MAX; i++)
		at += (size_t)snprintf(content + at, sizeof(content) - at,
				       "[device d%d]\nslots = 1\n", i);
	assert_int_equal(load(content, &problems), -EINVAL);
	assert_string_equal(problems.text, ":130: [device d64]: more than 64 devices\n");
}

static void missing_file_is_told_apart(void **state)
{
	struct problems problems = { 0 };

	(void)state;
	assert_int_equal(infini_config_load(&config, "/nonexistent/infinid.conf", note, &problems),
			 -ENOENT);
	assert_int_equal(problems.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(empty_file_means_defaults),
		cmocka_unit_test(full_file_is_understood),
		cmocka_unit_test(sizes_have_units),
		cmocka_unit_test(devices_are_filtered_by_pattern),
		cmocka_unit_test(bad_files_are_explained),
		cmocka_unit_test(overlong_line_is_one_problem),
		cmocka_unit_test(too_many_devices_are_refused),
		cmocka_unit_test(missing_file_is_told_apart),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
