// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl as people call it, in front of a fake module: what it prints, asks for and ends with. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "capture.h"
#include "ctl.h"
#include "fake_admin.h"

#define GIB		(1ull << 30)

static int run(const char *line)
{
	sigset_t interrupt;
	int status;

	sigemptyset(&interrupt);
	sigaddset(&interrupt, SIGINT);
	status = capture_run(line);
	/* A process would have ended; here the signal is still pending. */
	sigtimedwait(&interrupt, NULL, &(struct timespec){ 0 });
	return status;
}

/* @text: what must be in standard output after a success, in standard error after a failure. */
struct row {
	const char *name;
	const char *line;
	int status;
	const char *text;
	void (*arrange)(void);
};

static void no_module(void)
{
	fake.open_err = -ENOENT;
}

static void not_root(void)
{
	fake.list_err = -EPERM;
	fake.sentence = "needs CAP_SYS_ADMIN in the initial user namespace";
}

static void not_root_events(void)
{
	fake.open_err = -EPERM;
}

static void no_devices(void)
{
	fake.nr_devices = 0;
}

static void one_device(void)
{
	fake.nr_devices = 1;
}

static void offline(void)
{
	fake.devices[0].online = false;
}

static void no_vdevs(void)
{
	fake.nr_vdevs = 0;
}

static void busy(void)
{
	fake.change_err = -EBUSY;
	fake.vdevs[0].stats.clients = 2;
}

static void taken(void)
{
	fake.change_err = -EEXIST;
}

static void uuid_taken(void)
{
	fake.change_err = -ENOTUNIQ;
}

static void full(void)
{
	fake.change_err = -ENOSPC;
}

static void limited(void)
{
	struct infini_admin_vdev *beta = &fake.vdevs[1];

	beta->vdev_class = INFINI_VDEV_CLASS_BATCH;
	beta->cap_ppm = 200000;
	beta->floor_ppm = 125000;
	beta->tokens_per_s = 100;
	beta->token_burst = 250;
	beta->stats.throttles = 7;
	beta->stats.throttled_ns = 1500000000;
	fake.devices[0].floors_ppm = 125000;
}

static void rated(void)
{
	fake.vdevs[1].tokens_per_s = 100;
}

static void limited_full(void)
{
	limited();
	fake.change_err = -ENOSPC;
	fake.sentence = "the module's own words";
}

static void overcommitted(void)
{
	fake.devices[0].memory_promised_bytes = 12 * GIB;
	fake.change_err = -ENOSPC;
}

static void burst_alone(void)
{
	fake.change_err = -EINVAL;
	fake.sentence = "token burst 5 without a token rate";
}

static void capped(void)
{
	fake.change_err = -EINVAL;
	fake.sentence =
		"cap 0.1% is 1 ms a second, less than the quantum of 2 ms: at least 0.2%";
}

static void refused(void)
{
	fake.change_err = -EINVAL;
	fake.sentence = "the module's own words";
}

static void silent(void)
{
	fake.change_err = -EIO;
}

static const struct row rows[] = {
	{ "nothing", "", 2, "say what to do: infinictl help", NULL },
	{ "version", "--version", 0, "infinictl 0.1", NULL },
	{ "help", "--help", 0, "vdev create", NULL },
	{ "help of a command", "help vdev create", 0, "--memory SIZE", NULL },
	{ "help of a group", "help device", 0, "device show", NULL },
	{ "help of a topic", "help units", 0, "count in 1024s", NULL },
	{ "help of nothing", "help frobnicate", 2, "no help on \"frobnicate\"", NULL },
	{ "--help of a command", "stats --help", 0, "usage: infinictl stats", NULL },
	{ "-h of a command", "vdev set -h", 0, "usage: infinictl vdev set", NULL },
	{ "--help of a group", "vdev --help", 0, "usage: infinictl vdev show", NULL },
	{ "-h of a group", "device -h", 0, "usage: infinictl device list", NULL },
	{ "half a command", "vdev", 2, "vdev: say what to do: see infinictl help vdev", NULL },
	{ "a command with a slip", "vdev lsit", 2, "did you mean \"infinictl vdev list\"?", NULL },
	{ "an unknown command", "frobnicate", 2, "infinictl help lists the commands", NULL },

	{ "no module", "device list", 1,
	  "load the module (modprobe infini)", no_module },
	{ "no module, events", "events", 1, "load the module (modprobe infini)", no_module },
	{ "not root", "vdev list", 1, "needs CAP_SYS_ADMIN on the host: run infinictl as root",
	  not_root },
	{ "not root, events", "events", 1, "run infinictl as root", not_root_events },
	{ "daemon not running, create", "vdev create a --memory 1G", 1,
	  "no device is registered: is infinid running? (systemctl start infinid)", no_devices },
	{ "daemon not running, create on a device", "vdev create a --memory 1G --device cpu0", 1,
	  "is infinid running?", no_devices },
	{ "daemon not running, show", "device show cpu0", 1, "is infinid running?", no_devices },

	{ "list devices", "device list", 0, "gpu0   2  gpu    ggml", NULL },
	{ "list devices, a word too many", "device list cpu0", 2, "device list takes no arguments",
	  NULL },
	{ "show a device", "device show gpu0", 0, "memory       24G", NULL },
	{ "show a device by id", "device show 2", 0, "name         gpu0", NULL },
	{ "show an unknown device", "device show gpu1", 1,
	  "no device \"gpu1\": did you mean \"gpu0\"? (devices: cpu0, gpu0)", NULL },
	{ "show an unknown id", "device show 7", 1, "no device \"7\"", NULL },
	{ "show an id that is too large", "device show 4294967296", 1,
	  "no device has id 4294967296", NULL },

	{ "list vdevs", "vdev list", 0,
	  "alpha   1  cpu0    normal     300  none   none  none", NULL },
	{ "list vdevs with limits", "vdev list", 0,
	  "beta    2  cpu0    batch      100   20%  12.5%  100/s", limited },
	{ "show a vdev", "vdev show beta", 0, "node         /dev/infini2", NULL },
	{ "show a vdev without limits", "vdev show alpha", 0,
	  "class        normal\nweight       300\nquantum      2ms\ncap          none\n"
	  "floor        none\ntoken rate   none\n", NULL },
	{ "show a vdev with limits", "vdev show beta", 0,
	  "class        batch\nweight       100\nquantum      2ms\ncap          20%\n"
	  "floor        12.5%\ntoken rate   100/s, burst 250\n", limited },
	{ "show a vdev with a rate alone", "vdev show beta", 0,
	  "token rate   100/s, burst 100\n", rated },
	{ "show what throttled a vdev", "vdev show beta", 0,
	  "throttled    7 times, for 1.5s\n", limited },
	{ "show floors of a device", "device show cpu0", 0,
	  "floors       12.5% promised to vdevs\n", limited },
	{ "show an overcommitted device", "device show cpu0", 0,
	  "memory       8G, 12G promised to vdevs (overcommitted), 0 used\n", overcommitted },
	{ "show none", "vdev show", 2, "takes the name of one vdev, which is missing", NULL },
	{ "show two", "vdev show alpha beta", 2, "takes the name of one vdev, no more", NULL },
	{ "show an unknown vdev", "vdev show alhpa", 1,
	  "no vdev \"alhpa\": did you mean \"alpha\"? (vdevs: alpha, beta)", NULL },
	{ "show an unknown vdev of one letter", "vdev show b", 1,
	  "no vdev \"b\" (vdevs: alpha, beta)", NULL },
	{ "show something else", "vdev show something", 1,
	  "no vdev \"something\" (vdevs: alpha, beta)", NULL },
	{ "show a vdev where there is none", "vdev show a", 1, "there are none yet", no_vdevs },
	{ "a name too long", "vdev show 0123456789abcdef0123456789abcdef", 2,
	  "a name has at most 31 characters", NULL },

	{ "create", "vdev create c --device cpu0 --memory 2G", 0,
	  "vdev \"c\" (id 3) created on device cpu0: /dev/infini3", NULL },
	{ "create on the only device", "vdev create c --memory 2G", 0, "created on device cpu0",
	  one_device },
	{ "create without a node", "vdev create c --device cpu0 --memory 2G --no-node", 0,
	  "without a node", NULL },
	{ "create without a device", "vdev create c --memory 2G", 2,
	  "there are 2 devices: choose one with --device (cpu0, gpu0)", NULL },
	{ "create without memory", "vdev create c --device cpu0", 2,
	  "say how much memory it may use: --memory SIZE (4G is left on device cpu0)", NULL },
	{ "create without a name", "vdev create --memory 2G", 2, "one name for the vdev", NULL },
	{ "create with a number for a name", "vdev create 7 --memory 2G", 2,
	  "not digits alone", NULL },
	{ "create with a slash in the name", "vdev create a/b --memory 2G", 2,
	  "vdev name \"a/b\"", NULL },
	{ "create with too much memory", "vdev create c --device cpu0 --memory 12G", 1,
	  "vdev \"c\": memory 12G exceeds the 4G left of 8G on device cpu0: ask for less, shrink "
	  "another vdev, or add --overcommit", full },
	{ "create overcommitted", "vdev create c --device cpu0 --memory 6G --overcommit", 0,
	  "created on device cpu0", NULL },
	{ "create with more than the device has",
	  "vdev create c --device cpu0 --memory 12G --overcommit", 1,
	  "vdev \"c\": memory 12G exceeds the 8G that device cpu0 has: ask for less", full },
	{ "create where all is overcommitted", "vdev create c --device cpu0 --memory 1G", 1,
	  "vdev \"c\": memory 1G exceeds the 0 left of 8G on device cpu0", overcommitted },
	{ "create without memory where all is overcommitted", "vdev create c --device cpu0", 2,
	  "(0 is left on device cpu0)", overcommitted },
	{ "create with too much floor", "vdev create c --device cpu0 --memory 1G --floor 90%", 1,
	  "vdev \"c\": floor 90% exceeds the 87.5% left on device cpu0: ask for less, or lower the "
	  "floor of another vdev", limited_full },
	{ "create with a burst but no rate", "vdev create c --device cpu0 --memory 1G --burst 5", 1,
	  "vdev \"c\": token burst 5 without a token rate", burst_alone },
	{ "create one too many", "vdev create c --device cpu0 --memory 1G", 1,
	  "the module has no id left", full },
	{ "create what exists", "vdev create alpha --device cpu0 --memory 1G", 1,
	  "exists already: change it with infinictl vdev set alpha", taken },
	{ "create, refused with words", "vdev create c --device cpu0 --memory 1G", 1,
	  "vdev \"c\": the module's own words", refused },
	{ "create, refused without words", "vdev create c --device cpu0 --memory 1G", 1,
	  "vdev \"c\": Input/output error", silent },

	{ "run without a command", "run --memory 1G", 2,
	  "run: write the command behind \"--\": see infinictl help run", NULL },
	{ "run with nothing behind the dashes", "run --memory 1G --", 2,
	  "run: write the command behind \"--\"", NULL },
	{ "run with a word before the dashes", "run true --memory 1G -- true", 2,
	  "run takes no arguments", NULL },
	{ "run without memory", "run --device cpu0 -- true", 2,
	  "say how much memory it may use: --memory SIZE (4G is left on device cpu0)", NULL },
	{ "run without a device", "run --memory 1G -- true", 2, "choose one with --device", NULL },
	{ "run while infinid is down", "run --memory 1G --device cpu0 -- true", 1,
	  "device cpu0 is offline: is infinid running?", offline },
	{ "run with a name that containers cannot have", "run --memory 1G --name a. -- true", 2,
	  "--name a.: use 1 to 31 letters", NULL },
	{ "run with a number for a name", "run --memory 1G --name 7 -- true", 2,
	  "not digits alone", NULL },
	{ "run with a control group", "run --memory 1G --cgroup /x -- true", 2,
	  "the vdev is bound to the command's own control group", NULL },
	{ "run, options of the command are its own", "run --memroy 1G -- podman run --rm", 2,
	  "did you mean \"--memory\"?", NULL },
	{ "help of run", "run --help", 0, "infinictl run --memory 2G -- podman run IMAGE", NULL },

	{ "an option with a slip", "vdev create c --memroy 2G", 2,
	  "unknown option \"--memroy\": did you mean \"--memory\"?", NULL },
	{ "an unknown option", "vdev create c --frobnicate", 2,
	  "unknown option \"--frobnicate\": see infinictl help vdev create", NULL },
	{ "an unknown letter", "vdev list -x", 2, "unknown option \"-x\"", NULL },
	{ "an option without its value", "vdev create c --memory", 2,
	  "option \"--memory\" needs a value", NULL },
	{ "a size without a number", "vdev create c --memory lots", 2,
	  "--memory lots: not a size", NULL },
	{ "a size with an unknown unit", "vdev create c --memory 2X", 2,
	  "--memory 2X: unknown unit", NULL },
	{ "a size too small", "vdev create c --memory 1K", 2, "the least is one page, 4K", NULL },
	{ "a size too large", "vdev create c --memory 9999999999T", 2, "more than 8 EiB", NULL },
	{ "a weight of 0", "vdev create c --memory 1G --weight 0", 2,
	  "--weight 0: must be a whole number, 1 to 10000", NULL },
	{ "a weight of 10001", "vdev set alpha --weight 10001", 2, "1 to 10000", NULL },
	{ "a quantum without a unit", "vdev set alpha --quantum 2", 2, "needs a unit", NULL },
	{ "a quantum too short", "vdev set alpha --quantum 99us", 2,
	  "--quantum 99us: must be 100us to 1s", NULL },
	{ "a quantum too long", "vdev set alpha --quantum 2s", 2, "must be 100us to 1s", NULL },
	{ "a mode that is not octal", "vdev set alpha --mode 0888", 2, "must be octal", NULL },
	{ "a mode with more than permissions", "vdev set alpha --mode 4755", 2, "0 to 0777", NULL },
	{ "an unknown owner", "vdev set alpha --owner no-such-user-here", 1,
	  "no user \"no-such-user-here\"", NULL },
	{ "an unknown group", "vdev set alpha --owner root:no-such-group-here", 1,
	  "no group \"no-such-group-here\"", NULL },
	{ "an owner without a name", "vdev set alpha --owner :root", 2, "USER or USER:GROUP", NULL },
	{ "an owner of a number that nobody has", "vdev set alpha --owner 3999999999", 1,
	  "write 3999999999:GROUP", NULL },

	{ "exclusive and shared", "vdev set alpha --exclusive --shared", 2,
	  "--exclusive and --shared exclude each other", NULL },
	{ "a cgroup that is none", "vdev set alpha --cgroup /no/such/cgroup", 1,
	  "--cgroup /no/such/cgroup: ", NULL },
	{ "a uuid that is short", "vdev create c --memory 1G --uuid 01234567-89ab-cdef-0123", 2,
	  "--uuid 01234567-89ab-cdef-0123: write 32 hexadecimal digits as 8-4-4-4-12", NULL },
	{ "a uuid without dashes",
	  "vdev create c --memory 1G --uuid 0123456789abcdef0123456789abcdef0123", 2,
	  "write 32 hexadecimal digits", NULL },
	{ "a uuid that is too long",
	  "vdev create c --memory 1G --uuid 01234567-89ab-cdef-0123-456789abcdef0", 2,
	  "write 32 hexadecimal digits", NULL },
	{ "a uuid with a letter",
	  "vdev create c --memory 1G --uuid 01234567-89ab-cdef-0123-456789abcdeg", 2,
	  "write 32 hexadecimal digits", NULL },
	{ "a uuid cannot be changed", "vdev set alpha --uuid x", 2, "unknown option \"--uuid\"",
	  NULL },
	{ "a uuid that is taken",
	  "vdev create c --device cpu0 --memory 1G --uuid 01234567-89ab-cdef-0123-456789abcdef", 1,
	  "vdev \"c\": another vdev has that --uuid", uuid_taken },

	{ "an unknown class", "vdev set alpha --class fast", 2,
	  "--class fast: must be latency, normal or batch", NULL },
	{ "a class in capitals", "vdev set alpha --class Batch", 2, "latency, normal or batch",
	  NULL },
	{ "a class by number", "vdev set alpha --class 2", 2, "latency, normal or batch", NULL },
	{ "a cap of nothing", "vdev set alpha --cap 0%", 2,
	  "--cap 0%: must be 0.0001% to 100%, as in 12.5%, or none", NULL },
	{ "a cap of almost nothing", "vdev set alpha --cap 0.00009%", 2, "must be 0.0001% to 100%",
	  NULL },
	{ "a cap below nothing", "vdev set alpha --cap -5%", 2,
	  "--cap -5%: not a part: write 0.0001% to 100%, as in 12.5%, or none", NULL },
	{ "a cap above everything", "vdev set alpha --cap 150%", 2,
	  "--cap 150%: must be 0.0001% to 100%", NULL },
	{ "a cap just above everything", "vdev set alpha --cap 100.0001%", 2, "to 100%", NULL },
	{ "a cap beyond measure", "vdev set alpha --cap 99999999999999999999%", 2, "to 100%",
	  NULL },
	{ "a cap that is a word", "vdev set alpha --cap abc", 2, "--cap abc: not a part", NULL },
	{ "a cap without its sign", "vdev set alpha --cap 20", 2,
	  "--cap 20: needs a percent sign, as in 12.5%", NULL },
	{ "a cap with two signs", "vdev set alpha --cap 20%%", 2, "needs a percent sign", NULL },
	{ "a floor of nothing", "vdev set alpha --floor 0%", 2,
	  "--floor 0%: must be 0.0001% to 100%, as in 12.5%, or none", NULL },
	{ "a floor above everything", "vdev set alpha --floor 101%", 2, "--floor 101%: must be",
	  NULL },
	{ "a floor that is a word", "vdev set alpha --floor much", 2, "--floor much: not a part",
	  NULL },
	{ "a negative rate", "vdev set alpha --rate -5", 2,
	  "--rate -5: must be 1 to 10000000 tokens per second, as in 100/s, or none", NULL },
	{ "a rate of 0", "vdev set alpha --rate 0", 2, "--rate 0: must be 1 to 10000000", NULL },
	{ "a huge rate", "vdev set alpha --rate 10000001", 2, "must be 1 to 10000000", NULL },
	{ "a rate beyond measure", "vdev set alpha --rate 9999999999999999999999999999999999", 2,
	  "must be 1 to 10000000", NULL },
	{ "a rate by the minute", "vdev set alpha --rate 100/min", 2, "as in 100/s", NULL },
	{ "a rate of a unit", "vdev set alpha --rate /s", 2, "as in 100/s", NULL },
	{ "half a token", "vdev set alpha --rate 0.5/s", 2, "must be 1 to 10000000", NULL },
	{ "a burst of 0", "vdev set alpha --burst 0", 2,
	  "--burst 0: must be 1 to 1000000000 tokens, as in 200, or default", NULL },
	{ "a negative burst", "vdev set alpha --burst -1", 2, "must be 1 to 1000000000", NULL },
	{ "a huge burst", "vdev set alpha --burst 1000000001", 2, "must be 1 to 1000000000", NULL },
	{ "an overcommit with a value", "vdev set alpha --overcommit=yes", 2, "--overcommit",
	  NULL },

	{ "set", "vdev set alpha --weight 5", 0, "", NULL },
	{ "set nothing", "vdev set alpha", 2, "nothing to change", NULL },
	{ "set nothing but overcommit", "vdev set alpha --overcommit", 2, "nothing to change",
	  NULL },
	{ "set too much floor", "vdev set alpha --floor 88%", 1,
	  "vdev \"alpha\": floor 88% exceeds the 87.5% left on device cpu0", limited_full },
	{ "set a floor that has come to fit", "vdev set beta --floor 100%", 1,
	  "vdev \"beta\": the module's own words", limited_full },
	{ "set a cap below a quantum", "vdev set alpha --cap 0.1%", 1,
	  "vdev \"alpha\": cap 0.1% is 1 ms a second, less than the quantum of 2 ms: at least 0.2%",
	  capped },
	{ "set an unknown vdev", "vdev set gamma --weight 5", 1, "no vdev \"gamma\"", NULL },
	{ "set too much memory", "vdev set alpha --memory 7G", 1,
	  "vdev \"alpha\": memory 7G exceeds the 6G left of 8G on device cpu0", full },

	{ "delete", "vdev delete alpha", 0, "", NULL },
	{ "delete by id", "vdev delete 2", 0, "", NULL },
	{ "delete an unknown vdev", "vdev delete bet", 1, "did you mean \"beta\"?", NULL },
	{ "delete a vdev in use", "vdev delete alpha", 1,
	  "vdev \"alpha\" is in use (clients: 2): stop them, or add --force", busy },

	{ "stats", "stats", 0, "beta   cpu0       100", NULL },
	{ "stats of one", "stats beta", 0, "VDEV  DEVICE", NULL },
	{ "stats of an unknown vdev", "stats gamma", 1, "no vdev \"gamma\"", NULL },
	{ "stats over an interval", "stats --interval 50ms", 0, "SHARE%", NULL },
	{ "an interval too short", "stats --interval 1ms", 2, "must be 50ms to 60min", NULL },
	{ "an interval that is none", "stats --interval soon", 2, "not a time", NULL },
};

#define NR_ROWS	(sizeof(rows) / sizeof(*rows))

static void test_row(void **state)
{
	const struct row *row = *state;
	const char *text;
	int status;

	fake_fill();
	if (row->arrange)
		row->arrange();
	status = run(row->line);
	text = status ? err : out;
	if (status != row->status || !strstr(text, row->text))
		fail_msg("infinictl %s: status %d, \"%s\"; wanted %d, \"%s\"", row->line, status,
			 text, row->status, row->text);
	/* An error is one line, and begins with who says it. */
	if (status) {
		assert_string_equal(strchr(err, '\n'), "\n");
		assert_memory_equal(err, "infinictl: ", strlen("infinictl: "));
		assert_string_equal(out, "");
	}
}

static void test_create_asks(void **state)
{
	(void)state;
	fake_fill();
	assert_int_equal(run("vdev create c --device gpu0 --memory 1.5G --weight 3 --quantum 4ms"
			     " --owner root:0 --mode 0660 --no-node --class latency --cap 20%"
			     " --floor 12.5% --rate 100/s --burst 200 --overcommit"), 0);
	assert_int_equal(fake.nr_changes, 1);
	assert_string_equal(fake.name, "c");
	assert_string_equal(fake.device, "gpu0");
	assert_int_equal(fake.config.set, INFINI_VDEV_SET_MEMORY | INFINI_VDEV_SET_WEIGHT |
			 INFINI_VDEV_SET_QUANTUM | INFINI_VDEV_SET_OWNER | INFINI_VDEV_SET_MODE |
			 INFINI_VDEV_SET_CLASS | INFINI_VDEV_SET_CAP | INFINI_VDEV_SET_FLOOR |
			 INFINI_VDEV_SET_RATE | INFINI_VDEV_SET_BURST);
	assert_int_equal(fake.config.memory_limit_bytes, 3 * GIB / 2);
	assert_int_equal(fake.config.weight, 3);
	assert_int_equal(fake.config.quantum_ns, 4000000);
	assert_int_equal(fake.config.uid, 0);
	assert_int_equal(fake.config.gid, 0);
	assert_int_equal(fake.config.mode, 0660);
	assert_true(fake.config.no_node);
	assert_true(fake.config.overcommit);
	assert_int_equal(fake.config.vdev_class, INFINI_VDEV_CLASS_LATENCY);
	assert_int_equal(fake.config.cap_ppm, 200000);
	assert_int_equal(fake.config.floor_ppm, 125000);
	assert_int_equal(fake.config.tokens_per_s, 100);
	assert_int_equal(fake.config.token_burst, 200);
}

static void test_create_access(void **state)
{
	static const uint8_t uuid[] = {
		0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
		0xcd, 0xef,
	};

	(void)state;
	fake_fill();
	assert_int_equal(run("vdev create c --device cpu0 --memory 1G --exclusive --cgroup none"
			     " --uuid 01234567-89AB-cdef-0123-456789abcdef"), 0);
	assert_int_equal(fake.config.set, INFINI_VDEV_SET_MEMORY | INFINI_VDEV_SET_EXCLUSIVE |
			 INFINI_VDEV_SET_CGROUP | INFINI_VDEV_SET_UUID);
	assert_true(fake.config.exclusive);
	assert_int_equal(fake.config.cgroup_fd, -1);
	assert_memory_equal(fake.config.uuid, uuid, sizeof(uuid));
	assert_int_equal(run("vdev set alpha --shared"), 0);
	assert_int_equal(fake.config.set, INFINI_VDEV_SET_EXCLUSIVE);
	assert_false(fake.config.exclusive);
}

/* What each word comes to; everything else stays. */
static void test_set_limits(void **state)
{
	static const struct {
		const char *option;
		uint32_t set;
		uint64_t value;
	} words[] = {
		{ "--class latency", INFINI_VDEV_SET_CLASS, INFINI_VDEV_CLASS_LATENCY },
		{ "--class normal", INFINI_VDEV_SET_CLASS, INFINI_VDEV_CLASS_NORMAL },
		{ "--class batch", INFINI_VDEV_SET_CLASS, INFINI_VDEV_CLASS_BATCH },
		{ "--cap 20%", INFINI_VDEV_SET_CAP, 200000 },
		{ "--cap 0.0001%", INFINI_VDEV_SET_CAP, 1 },
		{ "--cap 100%", INFINI_VDEV_SET_CAP, 1000000 },
		{ "--cap none", INFINI_VDEV_SET_CAP, 1000000 },
		{ "--floor 30%", INFINI_VDEV_SET_FLOOR, 300000 },
		{ "--floor=99.9999%", INFINI_VDEV_SET_FLOOR, 999999 },
		{ "--floor none", INFINI_VDEV_SET_FLOOR, 0 },
		{ "--rate 100", INFINI_VDEV_SET_RATE, 100 },
		{ "--rate 100/s", INFINI_VDEV_SET_RATE, 100 },
		{ "--rate 10000000/s", INFINI_VDEV_SET_RATE, 10000000 },
		{ "--rate none", INFINI_VDEV_SET_RATE, 0 },
		{ "--burst 1", INFINI_VDEV_SET_BURST, 1 },
		{ "--burst 1000000000", INFINI_VDEV_SET_BURST, 1000000000 },
		{ "--burst default", INFINI_VDEV_SET_BURST, 0 },
	};
	char line[64];

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		fake_fill();
		snprintf(line, sizeof(line), "vdev set beta %s", words[i].option);
		assert_int_equal(run(line), 0);
		assert_string_equal(err, "");
		assert_int_equal(fake.config.set, words[i].set);
		assert_int_equal(fake.config.vdev_class + fake.config.cap_ppm +
				 fake.config.floor_ppm + fake.config.tokens_per_s +
				 fake.config.token_burst, words[i].value);
		assert_false(fake.config.overcommit);
	}
}

/* What the module did but had to say something about is a note, and no failure. */
static void test_note(void **state)
{
	(void)state;
	fake_fill();
	fake.sentence = "memory limit 1.00 GiB is below the 2.00 GiB in use: no further allocation";
	assert_int_equal(run("vdev set beta --memory 1G"), 0);
	assert_string_equal(out, "");
	assert_string_equal(err, "infinictl: note: vdev \"beta\": memory limit 1.00 GiB is below "
			    "the 2.00 GiB in use: no further allocation\n");
}

static void test_set_asks(void **state)
{
	(void)state;
	fake_fill();
	assert_int_equal(run("vdev set beta --weight 7 --owner 3999999999:3999999998"), 0);
	assert_int_equal(fake.id, 2);
	assert_int_equal(fake.config.set, INFINI_VDEV_SET_WEIGHT | INFINI_VDEV_SET_OWNER);
	assert_int_equal(fake.config.weight, 7);
	assert_int_equal(fake.config.uid, 3999999999);
	assert_int_equal(fake.config.gid, 3999999998);
}

static void test_delete_asks(void **state)
{
	(void)state;
	fake_fill();
	assert_int_equal(run("vdev delete beta --force"), 0);
	assert_int_equal(fake.id, 2);
	assert_true(fake.force);
	assert_int_equal(run("vdev delete beta"), 0);
	assert_false(fake.force);
}

static void assert_empty_array(void)
{
	struct json_object *array = json_tokener_parse(out);

	assert_int_equal(json_object_get_type(array), json_type_array);
	assert_int_equal(json_object_array_length(array), 0);
	json_object_put(array);
}

static void test_nothing_there(void **state)
{
	(void)state;
	fake_fill();
	fake.nr_devices = 0;
	fake.nr_vdevs = 0;
	assert_int_equal(run("device list"), 0);
	assert_string_equal(out, "");
	assert_non_null(strstr(err, "is infinid running?"));
	assert_int_equal(run("device list --json"), 0);
	assert_empty_array();
	assert_string_equal(err, "");
	assert_int_equal(run("vdev list"), 0);
	assert_non_null(strstr(err, "infinictl vdev create"));
	assert_int_equal(run("vdev list --json"), 0);
	assert_empty_array();
	assert_int_equal(run("stats"), 0);
	assert_string_equal(out, "");
	assert_non_null(strstr(err, "infinictl vdev create"));
	assert_int_equal(run("stats --json"), 0);
	assert_string_equal(err, "");
}

static uint64_t number(struct json_object *object, const char *key)
{
	struct json_object *value;

	assert_true(json_object_object_get_ex(object, key, &value));
	return json_object_get_uint64(value);
}

static void test_vdev_json(void **state)
{
	struct json_object *array, *vdev, *stats, *hist;

	(void)state;
	fake_fill();
	limited();
	fake.vdevs[1].stats.tokens_generated = 1ull << 40;
	fake.vdevs[1].queue_wait_hist[40] = 4;
	fake.vdevs[1].ttft.hist[44] = 1;
	fake.vdevs[1].ttft.sum_ns = 2100;
	fake.vdevs[1].itl.hist[36] = 9;
	fake.vdevs[1].minor = -1;
	fake.vdevs[1].exclusive = true;
	fake.vdevs[1].uuid[0] = 0xfe;
	fake.vdevs[1].uuid[15] = 1;
	assert_int_equal(run("vdev list --json"), 0);
	array = json_tokener_parse(out);
	assert_int_equal(json_object_array_length(array), 2);
	vdev = json_object_array_get_idx(array, 1);
	assert_string_equal(json_object_get_string(json_object_object_get(vdev, "name")), "beta");
	assert_null(json_object_object_get(vdev, "node"));
	assert_string_equal(json_object_get_string(json_object_object_get(vdev, "mode")), "0600");
	assert_string_equal(json_object_get_string(json_object_object_get(vdev, "uuid")),
			    "fe000000-0000-0000-0000-000000000001");
	assert_true(json_object_get_boolean(json_object_object_get(vdev, "exclusive")));
	assert_int_equal(number(vdev, "cgroup_id"), 0);
	assert_null(json_object_object_get(vdev, "cgroup"));
	assert_false(json_object_get_boolean(json_object_object_get(vdev, "cgroup_gone")));
	assert_int_equal(number(vdev, "weight"), 100);
	assert_string_equal(json_object_get_string(json_object_object_get(vdev, "class")), "batch");
	assert_int_equal(number(vdev, "cap_ppm"), 200000);
	assert_int_equal(number(vdev, "floor_ppm"), 125000);
	assert_int_equal(number(vdev, "tokens_per_s"), 100);
	assert_int_equal(number(vdev, "token_burst"), 250);
	stats = json_object_object_get(vdev, "stats");
	assert_int_equal(number(stats, "tokens_generated"), 1ull << 40);
	assert_int_equal(number(stats, "throttles"), 7);
	assert_int_equal(number(stats, "throttled_ns"), 1500000000);
	assert_int_equal(number(stats, "queue_wait_p50_ns"), 1152);
	assert_int_equal(number(stats, "ttft_p50_ns"), 2304);
	assert_int_equal(number(stats, "ttft_ns"), 2100);
	assert_int_equal(number(stats, "itl_p99_ns"), 638);
	assert_false(json_object_object_get_ex(stats, "queue_wait_hist", &hist));
	json_object_put(array);

	assert_int_equal(run("vdev show beta --json"), 0);
	vdev = json_tokener_parse(out);
	stats = json_object_object_get(vdev, "stats");
	assert_true(json_object_object_get_ex(stats, "queue_wait_hist", &hist));
	assert_int_equal(json_object_array_length(hist), INFINI_HIST_BUCKETS);
	assert_int_equal(json_object_get_int(json_object_array_get_idx(hist, 40)), 4);
	json_object_put(vdev);
}

static void test_device_json(void **state)
{
	struct json_object *device, *kinds;

	(void)state;
	fake_fill();
	fake.devices[0].nr_kinds = 1;
	fake.devices[0].floors_ppm = 600000;
	strcpy((char *)fake.devices[0].kinds[0].name, "CPU_REPACK");
	fake.devices[0].kinds[0].flags = INFINI_MEMORY_F_WEIGHTS;
	assert_int_equal(run("device show cpu0 --json"), 0);
	device = json_tokener_parse(out);
	assert_int_equal(number(device, "memory_bytes"), 8 * GIB);
	assert_int_equal(number(device, "floors_ppm"), 600000);
	kinds = json_object_object_get(device, "memory_kinds");
	assert_int_equal(json_object_array_length(kinds), 1);
	json_object_put(device);
}

/* Between the two looks the vdevs ran: alpha three times as long as beta. */
static void progress(void)
{
	if (fake.nr_lists != 2)
		return;
	fake.vdevs[0].stats.occupancy_ns += 30000000;
	fake.vdevs[1].stats.occupancy_ns += 10000000;
	fake.devices[0].occupancy_ns += 40000000;
	fake.vdevs[0].stats.tokens_generated += 30;
	fake.vdevs[0].queue_wait_hist[40] += 8;
}

static void test_rates(void **state)
{
	struct json_object *line, *vdevs, *alpha;
	double seconds;

	(void)state;
	fake_fill();
	fake.vdevs[0].stats.occupancy_ns = 7000000000;
	fake.vdevs[0].stats.tokens_generated = 1000;
	fake.vdevs[0].queue_wait_hist[80] = 1000;
	fake.on_list = progress;
	/* 4 J, of which alpha had three parts of four for its 30 tokens. */
	fake.energy_uj = 1000000;
	fake.energy_step_uj = 4000000;
	assert_int_equal(run("stats --interval 100ms --json"), 0);
	line = json_tokener_parse(out);
	seconds = number(line, "interval_ns") / 1e9;
	assert_true(seconds >= 0.1);
	vdevs = json_object_object_get(line, "vdevs");
	assert_int_equal(json_object_array_length(vdevs), 2);
	alpha = json_object_array_get_idx(vdevs, 0);
	assert_int_equal(number(alpha, "occupancy_ns"), 30000000);
	assert_int_equal(number(alpha, "share_percent"), 75);
	assert_true(json_object_get_double(json_object_object_get(alpha, "device_percent")) <= 30);
	assert_int_equal(number(alpha, "tokens_generated"), 30);
	assert_true(json_object_get_double(json_object_object_get(alpha, "tokens_per_s")) <= 300);
	assert_true(json_object_get_double(json_object_object_get(alpha, "joules_per_token")) ==
		    0.1);
	assert_null(json_object_object_get(json_object_array_get_idx(vdevs, 1), "joules_per_token"));
	/* Waits before the interval do not count. */
	assert_int_equal(number(alpha, "queue_wait_p50_ns"), 1152);
	json_object_put(line);
}

/* Unknown without a meter, and when infinid began again in between: a dash, never a guess. */
static void test_rates_without_energy(void **state)
{
	static const struct {
		uint64_t uj, step;
	} rows[] = { { 0, 0 }, { 5000000, (uint64_t)-4000000 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct json_object *line, *alpha;

		fake_fill();
		fake.on_list = progress;
		fake.energy_uj = rows[i].uj;
		fake.energy_step_uj = rows[i].step;
		assert_int_equal(run("stats --interval 100ms --json"), 0);
		line = json_tokener_parse(out);
		alpha = json_object_array_get_idx(json_object_object_get(line, "vdevs"), 0);
		assert_int_equal(number(alpha, "tokens_generated"), 30);
		assert_null(json_object_object_get(alpha, "joules_per_token"));
		json_object_put(line);
	}
	fake_fill();
	fake.on_list = progress;
	assert_int_equal(run("stats --interval 100ms"), 0);
	assert_non_null(strstr(out, "J/TOKEN"));
}

static void interrupt_later(void)
{
	if (fake.nr_lists == 3)
		raise(SIGINT);
}

static void test_watch_ends_cleanly(void **state)
{
	int lines = 0;

	(void)state;
	fake_fill();
	fake.on_list = interrupt_later;
	assert_int_equal(run("stats --watch --interval 50ms --json"), 0);
	for (const char *c = out; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 2);
	assert_string_equal(err, "");
}

static void arrange_events(void)
{
	fake_fill();
	fake.events[0] = (struct infini_admin_event){
		.type = INFINI_EVENT_EXECUTOR_ATTACHED, .device_id = 1, .vdev_id = 2, .pid = 77,
		.name = "beta", .time_ns = 5,
	};
	fake.events[1] = (struct infini_admin_event){
		.type = INFINI_EVENT_DEVICE_OFFLINE, .device_id = 1, .name = "cpu0",
	};
	fake.events[2] = (struct infini_admin_event){ .type = 999, .name = "later" };
	fake.nr_events = 3;
}

static void test_events_text(void **state)
{
	(void)state;
	arrange_events();
	assert_int_equal(run("events"), 0);
	assert_non_null(strstr(out, "executor-attached  vdev beta  pid 77\n"));
	assert_non_null(strstr(out, "device-offline     device cpu0\n"));
	assert_non_null(strstr(out, "unknown            device later\n"));
	assert_string_equal(err, "");
}

static void test_events_json(void **state)
{
	struct json_object *event;

	(void)state;
	arrange_events();
	assert_int_equal(run("events --json"), 0);
	*strchr(out, '\n') = '\0';
	event = json_tokener_parse(out);
	assert_string_equal(json_object_get_string(json_object_object_get(event, "vdev")), "beta");
	assert_int_equal(number(event, "pid"), 77);
	assert_int_equal(number(event, "time_ns"), 5);
	json_object_put(event);
}

static const struct CMUnitTest other_tests[] = {
	cmocka_unit_test(test_create_asks),
	cmocka_unit_test(test_create_access),
	cmocka_unit_test(test_set_asks),
	cmocka_unit_test(test_set_limits),
	cmocka_unit_test(test_note),
	cmocka_unit_test(test_delete_asks),
	cmocka_unit_test(test_nothing_there),
	cmocka_unit_test(test_vdev_json),
	cmocka_unit_test(test_device_json),
	cmocka_unit_test(test_rates), cmocka_unit_test(test_rates_without_energy),
	cmocka_unit_test(test_watch_ends_cleanly),
	cmocka_unit_test(test_events_text),
	cmocka_unit_test(test_events_json),
};

int main(void)
{
	struct CMUnitTest tests[NR_ROWS + sizeof(other_tests) / sizeof(*other_tests)];
	int status;

	for (size_t i = 0; i < NR_ROWS; i++)
		tests[i] = (struct CMUnitTest){ rows[i].name, test_row, NULL, NULL,
						(void *)&rows[i] };
	memcpy(&tests[NR_ROWS], other_tests, sizeof(other_tests));
	status = cmocka_run_group_tests_name("commands", tests, NULL, NULL);
	free(out);
	free(err);
	return status;
}
