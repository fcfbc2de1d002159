// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl device list with what infinid knows of hardware: there, old, missing and damaged. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "capture.h"
#include "fake_admin.h"

#define INVENTORY									\
	"{ \"time\": 1700000000, \"nodes\": ["						\
	"{ \"node\": \"/dev/dri/renderD128\", \"kind\": \"render\", \"driver\": \"amdgpu\","	\
	"  \"driver_version\": \"3.57.0\", \"pci\": \"0000:03:00.0\","				\
	"  \"pci_id\": \"1002:744c\", \"vendor\": \"AMD\", \"model\": \"Navi 31\","		\
	"  \"memory_bytes\": 25769803776, \"utilisation_ppm\": 305000,"			\
	"  \"workers_memory_bytes\": 1024, \"temperature_mc\": 54000,"			\
	"  \"power_uw\": 87500000, \"device\": \"gpu0\", \"backend\": \"ggml\","		\
	"  \"why\": null },"								\
	"{ \"node\": \"/dev/accel/accel0\", \"kind\": \"accel\", \"driver\": \"intel_vpu\","	\
	"  \"driver_version\": null, \"pci\": \"0000:00:0b.0\", \"pci_id\": \"8086:7d1d\","	\
	"  \"vendor\": null, \"model\": null, \"memory_bytes\": null,"			\
	"  \"utilisation_ppm\": null, \"workers_memory_bytes\": null,"			\
	"  \"temperature_mc\": null, \"power_uw\": null, \"device\": null,"			\
	"  \"backend\": null, \"why\": \"no backend drives it\" } ] }\n"

static char dir[] = "/tmp/infinictl-hardware-XXXXXX";
static char path[64], pidfile[64];
static pid_t keeper;

/* infinid holds the lock as long as it lives; a lock of this process would not be seen by itself. */
static void daemon_runs(void)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int ready[2], fd;
	char byte;

	assert_int_equal(pipe(ready), 0);
	keeper = fork();
	if (!keeper) {
		fd = open(pidfile, O_RDWR | O_CREAT, 0644);
		if (fd < 0 || fcntl(fd, F_SETLK, &lock) || write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
}

static void daemon_dies(void)
{
	if (!keeper)
		return;
	kill(keeper, SIGKILL);
	waitpid(keeper, NULL, 0);
	keeper = 0;
}

static void put(const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int start(void **state)
{
	(void)state;
	fake_fill();
	unlink(path);
	setenv("TZ", "UTC", 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	daemon_dies();
	return 0;
}

static int list(const char *more)
{
	char line[160];

	snprintf(line, sizeof(line), "device list --inventory %s%s", path, more);
	return capture_run(line);
}

/* Of the output: the line that begins with @start, without blanks repeated. */
static const char *row(const char *text, const char *beginning)
{
	static char line[512];
	const char *from = text;
	size_t n = 0;

	while (strncmp(from, beginning, strlen(beginning))) {
		from = strchr(from, '\n');
		assert_non_null(from);
		from++;
	}
	for (; *from && *from != '\n' && n < sizeof(line) - 1; from++) {
		if (*from != ' ' || from[1] != ' ')
			line[n++] = *from;
	}
	line[n] = '\0';
	return line;
}

static void readings_stand_beside_the_module_s(void **state)
{
	(void)state;
	put(INVENTORY);
	daemon_runs();
	assert_int_equal(list(""), 0);
	assert_string_equal(err, "");
	assert_string_equal(row(out, "gpu0"), "gpu0 2 gpu ggml segment online 24G 0 0 0 1 30.5% 54C "
			    "87.5W AMD the gpu0 of a test");
	assert_string_equal(row(out, "cpu0"), "cpu0 1 cpu ggml segment online 8G 4G 0 2 1 - - - - the "
			    "cpu0 of a test");
	assert_null(strstr(out, "accel0"));
}

static void all_has_nodes_and_reasons(void **state)
{
	(void)state;
	put(INVENTORY);
	daemon_runs();
	assert_int_equal(list(" --all"), 0);
	assert_string_equal(err, "");
	assert_string_equal(row(out, "/dev/dri/renderD128"), "/dev/dri/renderD128 amdgpu 3.57.0 "
			    "0000:03:00.0 24G 30.5% 54C 87.5W AMD Navi 31 gpu0 -");
	assert_string_equal(row(out, "/dev/accel/accel0"), "/dev/accel/accel0 intel_vpu - "
			    "0000:00:0b.0 - - - - - 8086:7d1d - no backend drives it");
}

#define MORE											\
	"{ \"time\": 1700000000, \"cpu\": { \"vendor\": \"GenuineIntel\","			\
	"  \"model\": \"the cpu0 of a test\" }, \"nodes\": [ {"				\
	"  \"node\": \"/dev/dri/renderD128\", \"pci\": \"0000:03:00.0\", \"vendor\": \"AMD\","	\
	"  \"device\": null, \"power_uw\": 7000000, \"why\": \"lost\" } ],"			\
	"  \"devices\": [ { \"device\": \"gpu0\", \"backend\": \"ggml\","			\
	"  \"pci\": \"0000:03:00.0\", \"why\": \"lost\", \"pools\": [ \"lab\", \"b\" ] },"	\
	"  { \"device\": \"cl0\", \"backend\": \"opencl\", \"pci\": null,"			\
	"  \"why\": \"left out\", \"pools\": [] }, { \"device\": 7 } ] }\n"

/* The processor's maker, hardware by its address, and what has no node. */
static void devices_that_backends_report(void **state)
{
	(void)state;
	put(MORE);
	daemon_runs();
	assert_int_equal(list(" --all"), 0);
	assert_string_equal(err, "");
	assert_string_equal(row(out, "cpu0"), "cpu0 1 cpu ggml segment online 8G 4G 0 2 1 - - - "
			    "GenuineIntel the cpu0 of a test");
	assert_string_equal(row(out, "gpu0"), "gpu0 2 gpu ggml segment online 24G 0 0 0 1 - - 7.0W AMD the "
			    "gpu0 of a test");
	assert_string_equal(row(out, "/dev/dri"), "/dev/dri/renderD128 - - 0000:03:00.0 - - - 7.0W AMD - - "
			    "lost");
	assert_string_equal(row(out, "- "), "- - - - - - - - - - cl0 opencl: left out");
}

static void all_without_a_device_has_nodes_all_the_same(void **state)
{
	(void)state;
	fake.nr_devices = 0;
	put(INVENTORY);
	daemon_runs();
	assert_int_equal(list(" --all"), 0);
	assert_non_null(strstr(err, "no device is registered"));
	row(out, "/dev/accel/accel0");
	put("{ \"time\": 1700000000, \"nodes\": [] }\n");
	assert_int_equal(list(" --all"), 0);
	assert_string_equal(out, "no DRM render node or accel node\n");
}

static void daemon_that_is_down_is_named_with_the_time(void **state)
{
	(void)state;
	put(INVENTORY);
	daemon_runs();
	daemon_dies();
	assert_int_equal(list(""), 0);
	assert_string_equal(err, "infinictl: infinid is not running: what is known of the hardware is of "
			    "2023-11-14 22:13:20\n");
	assert_non_null(strstr(row(out, "gpu0"), "54C"));
}

static const struct {
	const char *what, *text, *why;
} useless[] = {
	{ "missing", NULL, "is missing" },
	{ "empty", "", "was not written by this release's infinid" },
	{ "damaged", "{ \"time\": 17", "was not written by this release's infinid" },
	{ "something else", "[ 1, 2 ]\n", "was not written by this release's infinid" },
	{ "without nodes", "{ \"time\": 1 }\n", "was not written by this release's infinid" },
};

static void useless_file_leaves_columns_unknown(void **state)
{
	char want[160];

	daemon_runs();
	for (size_t i = 0; i < sizeof(useless) / sizeof(useless[0]); i++) {
		start(state);
		if (useless[i].text)
			put(useless[i].text);
		snprintf(want, sizeof(want), "infinictl: nothing is known of the hardware: %s %s\n", path,
			 useless[i].why);
		assert_int_equal(list(" --all"), 0);
		if (strcmp(err, want))
			fail_msg("%s: %s", useless[i].what, err);
		assert_string_equal(row(out, "gpu0"), "gpu0 2 gpu ggml segment online 24G 0 0 0 1 - - - - "
				    "the gpu0 of a test");
	}
}

static void nodes_of_odd_types_are_unknown(void **state)
{
	(void)state;
	put("{ \"time\": 1, \"nodes\": [ 7, null, { \"device\": 3 }, { \"device\": \"gpu0\","
	    " \"temperature_mc\": \"hot\", \"power_uw\": [], \"utilisation_ppm\": {} } ] }\n");
	daemon_runs();
	assert_int_equal(list(" --all"), 0);
	assert_non_null(strstr(row(out, "gpu0"), "1 - - - -"));
}

static struct json_object *member(struct json_object *object, const char *key)
{
	struct json_object *value;

	assert_true(json_object_object_get_ex(object, key, &value));
	return value;
}

static void json_has_it_too(void **state)
{
	struct json_object *array, *hardware;

	(void)state;
	put(INVENTORY);
	assert_int_equal(list(" --json"), 0);
	assert_string_equal(err, "");
	array = json_tokener_parse(out);
	assert_null(member(json_object_array_get_idx(array, 0), "hardware"));
	hardware = member(json_object_array_get_idx(array, 1), "hardware");
	assert_int_equal(json_object_get_int64(member(hardware, "temperature_mc")), 54000);
	assert_int_equal(json_object_get_int64(member(hardware, "time")), 1700000000);
	assert_null(member(json_object_array_get_idx(array, 1), "pools"));
	json_object_put(array);
	put(MORE);
	assert_int_equal(list(" --json"), 0);
	array = json_tokener_parse(out);
	assert_string_equal(json_object_get_string(member(json_object_array_get_idx(array, 0), "vendor")),
			    "GenuineIntel");
	assert_string_equal(json_object_get_string(member(json_object_array_get_idx(array, 1), "pools")),
			    "[ \"lab\", \"b\" ]");
	assert_string_equal(json_object_get_string(member(json_object_array_get_idx(array, 1), "why")),
			    "lost");
	json_object_put(array);
}

static void json_of_all(void **state)
{
	struct json_object *object, *nodes;

	(void)state;
	put(INVENTORY);
	daemon_runs();
	assert_int_equal(list(" --all --json"), 0);
	object = json_tokener_parse(out);
	assert_int_equal(json_object_array_length(member(object, "devices")), 2);
	nodes = member(object, "nodes");
	assert_string_equal(json_object_get_string(member(json_object_array_get_idx(nodes, 1), "why")),
			    "no backend drives it");
	assert_int_equal(json_object_get_int64(member(object, "nodes_time")), 1700000000);
	assert_true(json_object_get_boolean(member(object, "infinid_running")));
	json_object_put(object);
	daemon_dies();
	unlink(path);
	assert_int_equal(list(" --all --json"), 0);
	assert_string_equal(err, "");
	object = json_tokener_parse(out);
	assert_null(member(object, "nodes"));
	assert_null(member(object, "nodes_time"));
	assert_false(json_object_get_boolean(member(object, "infinid_running")));
	json_object_put(object);
}

static void words_and_options(void **state)
{
	(void)state;
	assert_int_equal(list(" gpu0"), 2);
	assert_int_equal(capture_run("device list --inventory"), 2);
	assert_int_equal(capture_run("device list --every"), 2);
	assert_int_equal(capture_run("device list --help"), 0);
	assert_non_null(strstr(out, "--all"));
}

#define ROW(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(readings_stand_beside_the_module_s),
		ROW(all_has_nodes_and_reasons),
		ROW(devices_that_backends_report),
		ROW(all_without_a_device_has_nodes_all_the_same),
		ROW(daemon_that_is_down_is_named_with_the_time),
		ROW(useless_file_leaves_columns_unknown),
		ROW(nodes_of_odd_types_are_unknown),
		ROW(json_has_it_too),
		ROW(json_of_all),
		ROW(words_and_options),
	};
	int status;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/inventory.json", dir);
	snprintf(pidfile, sizeof(pidfile), "%s/infinid.pid", dir);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	unlink(pidfile);
	rmdir(dir);
	free(out);
	free(err);
	return status;
}
