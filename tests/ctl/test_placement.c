// SPDX-License-Identifier: GPL-2.0-or-later
/* Where vdevs are put that name no device: what is asked of the module, and the words about it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>

#include "capture.h"
#include "fake_admin.h"

#define GIB		(1ull << 30)
#define CREATE		"vdev create c --memory 2G "
#define CREATED(device)	"vdev \"c\" (id 3) created on device " device ": /dev/infini3\n"

/* vulkan1 was found and left out; cpu0 is the processor. */
#define INVENTORY								\
	"{ \"time\": 1, \"cpu\": { \"vendor\": \"GenuineIntel\", \"model\": \"Xeon of a test\" },"	\
	"  \"nodes\": [ { \"node\": \"/dev/dri/renderD128\", \"pci\": \"0000:03:00.0\","		\
	"    \"pci_id\": \"1002:744c\", \"vendor\": \"AMD\", \"device\": \"gpu0\" } ],"			\
	"  \"devices\": ["									\
	"    { \"device\": \"cpu0\", \"backend\": \"ggml\", \"pci\": null, \"why\": null,"		\
	"      \"pools\": [ \"lab\" ] },"							\
	"    { \"device\": \"gpu0\", \"backend\": \"ggml\", \"pci\": \"0000:03:00.0\","			\
	"      \"why\": null, \"pools\": [ \"lab\", \"quick\" ] },"					\
	"    { \"device\": \"gpu1\", \"backend\": \"cuda\", \"pci\": null,"				\
	"      \"why\": \"the device is lost\", \"pools\": [] },"					\
	"    { \"device\": \"cl0\", \"backend\": \"opencl\", \"pci\": null,"				\
	"      \"why\": \"left out, as configured\", \"pools\": [] } ],"				\
	"  \"pools\": [ \"lab\", \"quick\", \"empty\" ] }\n"

static char path[] = "/tmp/infinictl-placement-XXXXXX";

static void device(unsigned int i, const char *name, uint32_t device_class, uint64_t memory)
{
	struct infini_admin_device *d = &fake.devices[i];

	*d = fake.devices[1];
	d->id = i + 1;
	d->device_class = device_class;
	d->memory_bytes = memory;
	d->memory_promised_bytes = 0;
	d->online = true;
	snprintf(d->name, sizeof(d->name), "%s", name);
	snprintf(d->description, sizeof(d->description), "%s of a test", name);
	fake.nr_devices = i + 1;
}

/* cpu0: 4 of 8 GiB promised; gpu0: 24 GiB, empty. */
static void fill(void)
{
	fake_fill();
	snprintf(fake.devices[0].description, sizeof(fake.devices[0].description), "Xeon of a test");
	fake.devices[0].nr_kinds = 1;
	fake.devices[0].kinds[0].flags = INFINI_MEMORY_F_UNIFIED;
}

static void second_gpu(void)
{
	device(2, "gpu1", INFINI_CLASS_GPU, 8 * GIB);
	fake.devices[2].memory_promised_bytes = 4 * GIB;
}

static void twins(void)
{
	device(2, "gpu1", INFINI_CLASS_GPU, 24 * GIB);
}

static void gpu1_offline(void)
{
	second_gpu();
	fake.devices[2].online = false;
}

static void all_offline(void)
{
	fake.devices[0].online = false;
	fake.devices[1].online = false;
}

static void first_is_full(void)
{
	second_gpu();
	fake.refuse_err[1] = -ENOSPC;
	fake.refusal = "memory 2.00 GiB of device gpu0: 1.00 GiB is left";
}

static void first_is_gone(void)
{
	second_gpu();
	fake.refuse_err[1] = -ENODEV;
}

static void every_gpu_is_full(void)
{
	first_is_full();
	fake.refuse_err[2] = -ENOSPC;
}

static void name_is_taken(void)
{
	second_gpu();
	fake.change_err = -EEXIST;
}

static void floors(void)
{
	fake.devices[0].floors_ppm = 900000;
	fake.devices[1].slots = 4;
}

static void opencl(void)
{
	snprintf(fake.devices[0].backend, sizeof(fake.devices[0].backend), "opencl");
}

static void no_device(void)
{
	fake.nr_devices = 0;
}

/* @out and @err: all that is printed there; @tried: the module was asked for these, in order. */
static const struct row {
	const char *name, *line;
	int status;
	const char *out, *err, *tried;
	void (*arrange)(void);
} rows[] = {
	{ "the only gpu", CREATE "--class gpu", 0,
	  CREATED("gpu0") "placed on gpu0: the only gpu with 2G free; cpu0: class cpu\n", "", "gpu0", NULL },
	{ "any class: the emptiest", CREATE "--class any", 0,
	  CREATED("gpu0") "placed on gpu0: the emptiest of 2 devices with 2G free, 8% promised with it; "
	  "cpu0: 75%\n", "", "gpu0", NULL },
	{ "spread is the default, and says so with any option", CREATE "--spread", 0,
	  CREATED("gpu0") "placed on gpu0: the emptiest of 2 devices with 2G free, 8% promised with it; "
	  "cpu0: 75%\n", "", "gpu0", NULL },
	{ "packed", CREATE "--pack", 0,
	  CREATED("cpu0") "placed on cpu0: the fullest of 2 devices with 2G free, 75% promised with it; "
	  "gpu0: 8%\n", "", "cpu0", NULL },
	{ "packed, where the fullest has too little left", "vdev create c --memory 6G --pack", 0,
	  CREATED("gpu0") "placed on gpu0: the only device with 6G free; cpu0: 4G of 8G free\n", "", "gpu0", NULL },
	{ "a tie is broken by name, and told", CREATE "--class gpu", 0,
	  CREATED("gpu0") "placed on gpu0: the emptiest of 2 gpus with 2G free, 8% promised with it as on "
	  "gpu1, the first by name; gpu1: 8%; cpu0: class cpu\n", "", "gpu0", twins },
	{ "no device of that class", CREATE "--class npu", 1, "",
	  "infinictl: cpu0: class cpu\ninfinictl: gpu0: class gpu\n"
	  "infinictl: gpu1: not registered: cuda: the device is lost\n"
	  "infinictl: cl0: not registered: opencl: left out, as configured\n"
	  "infinictl: vdev \"c\": none of 2 devices fits: asked for npu with 2G free\n", "", NULL },
	{ "both classes", CREATE "--class gpu --class latency", 0,
	  CREATED("gpu0") "placed on gpu0: the only gpu with 2G free; cpu0: class cpu\n", "", "gpu0", NULL },
	{ "a class of vdevs alone describes no device", CREATE "--class latency", 2, "",
	  "infinictl: there are 2 devices: choose one with --device (cpu0, gpu0), or describe it: --class gpu\n",
	  "", NULL },
	{ "a class of neither", CREATE "--class tpu", 2, "",
	  "infinictl: --class tpu: must be latency, normal or batch, or for a new vdev a class of devices: "
	  "gpu, npu, cpu, other or any\n",
	  "", NULL },
	{ "a vdev has its device for good", "vdev set alpha --class gpu", 2, "",
	  "infinictl: --class gpu: a vdev stays on its device: must be latency, normal or batch\n", "", NULL },

	{ "an offline device", CREATE "--class gpu", 0,
	  CREATED("gpu0") "placed on gpu0: the only gpu with 2G free; cpu0: class cpu; gpu1: offline: the "
	  "device is lost\n", "", "gpu0", gpu1_offline },
	{ "all are offline", CREATE "--class any", 1, "",
	  "infinictl: cpu0: offline\ninfinictl: gpu0: offline\n"
	  "infinictl: gpu1: not registered: cuda: the device is lost\n"
	  "infinictl: cl0: not registered: opencl: left out, as configured\n"
	  "infinictl: vdev \"c\": none of 2 devices fits: asked for device with 2G free\n", "", all_offline },
	{ "no device at all", CREATE "--class any", 1, "",
	  "infinictl: no device is registered: is infinid running? (systemctl start infinid)\n", "", no_device },

	{ "memory kind: unified", CREATE "--memory-kind unified", 0,
	  CREATED("cpu0") "placed on cpu0: the only device with 2G of unified memory free; gpu0: its memory is "
	  "discrete\n", "", "cpu0", NULL },
	{ "an unfit memory kind", CREATE "--class gpu --memory-kind unified", 1, "",
	  "infinictl: cpu0: class cpu\ninfinictl: gpu0: its memory is discrete\n"
	  "infinictl: gpu1: not registered: cuda: the device is lost\n"
	  "infinictl: cl0: not registered: opencl: left out, as configured\n"
	  "infinictl: vdev \"c\": none of 2 devices fits: asked for gpu with 2G of unified memory free\n", "", NULL },
	{ "a memory kind that is none", CREATE "--memory-kind fast", 2, "",
	  "infinictl: --memory-kind fast: must be unified or discrete\n", "", NULL },

	{ "a backend", CREATE "--class any --backend opencl", 0,
	  CREATED("cpu0") "placed on cpu0: the only device of backend opencl with 2G free; gpu0: backend ggml\n",
	  "", "cpu0", opencl },
	{ "a backend of no device", CREATE "--backend cuda", 1, "",
	  "infinictl: cpu0: backend opencl\ninfinictl: gpu0: backend ggml\n"
	  "infinictl: gpu1: not registered: cuda: the device is lost\n"
	  "infinictl: cl0: not registered: opencl: left out, as configured\n"
	  "infinictl: vdev \"c\": none of 2 devices fits: asked for device of backend cuda with 2G free\n", "",
	  opencl },
	{ "a vendor of a node", CREATE "--vendor amd", 0,
	  CREATED("gpu0") "placed on gpu0: the only device of vendor amd with 2G free; cpu0: vendor "
	  "GenuineIntel\n", "", "gpu0", NULL },
	{ "the vendor of the processor", CREATE "--vendor intel", 0,
	  CREATED("cpu0") "placed on cpu0: the only device of vendor intel with 2G free; gpu0: vendor AMD\n",
	  "", "cpu0", NULL },
	{ "a vendor by its PCI id", CREATE "--vendor 1002", 0,
	  CREATED("gpu0") "placed on gpu0: the only device of vendor 1002 with 2G free; cpu0: vendor "
	  "GenuineIntel\n", "", "gpu0", NULL },
	{ "a vendor that nobody tells: what the device calls itself", CREATE "--vendor GPU1", 0,
	  CREATED("gpu1") "placed on gpu1: the only device of vendor GPU1 with 2G free; cpu0: vendor "
	  "GenuineIntel; gpu0: vendor AMD\n", "", "gpu1", second_gpu },
	{ "an empty vendor", "vdev create c --memory 2G --vendor=", 2, "",
	  "infinictl: --vendor: the name is empty\n", "", NULL },

	{ "a pool", CREATE "--pool quick", 0,
	  CREATED("gpu0") "placed on gpu0: the only device of pool quick with 2G free; cpu0: not in pool "
	  "quick\n", "", "gpu0", NULL },
	{ "a cpu of a pool", CREATE "--class cpu --pool lab", 0,
	  CREATED("cpu0") "placed on cpu0: the only cpu of pool lab with 2G free; gpu0: class gpu\n", "", "cpu0", NULL },
	{ "an unknown pool", CREATE "--pool quik", 1, "",
	  "infinictl: no pool \"quik\": did you mean \"quick\"? (pools: lab, quick, empty)\n", "", NULL },
	{ "a pool of no device", CREATE "--pool empty", 1, "",
	  "infinictl: cpu0: not in pool empty\ninfinictl: gpu0: not in pool empty\n"
	  "infinictl: gpu1: not registered: cuda: the device is lost\n"
	  "infinictl: cl0: not registered: opencl: left out, as configured\n"
	  "infinictl: vdev \"c\": none of 2 devices fits: asked for device of pool empty with 2G free\n", "", NULL },

	{ "a floor above what is left, and above a slot",
	  CREATE "--class any --floor 30%", 1, "",
	  "infinictl: cpu0: floors of 90% are promised\n"
	  "infinictl: gpu0: a floor of 30% is more than one of its 4 slots gives\n"
	  "infinictl: gpu1: not registered: cuda: the device is lost\n"
	  "infinictl: cl0: not registered: opencl: left out, as configured\n"
	  "infinictl: vdev \"c\": none of 2 devices fits: asked for device with 2G free and a floor of 30%\n",
	  "", floors },
	{ "more memory than any has", "vdev create c --memory 30G --class any --overcommit", 1, "",
	  "infinictl: cpu0: has 8G\ninfinictl: gpu0: has 24G\n"
	  "infinictl: gpu1: not registered: cuda: the device is lost\n"
	  "infinictl: cl0: not registered: opencl: left out, as configured\n"
	  "infinictl: vdev \"c\": none of 2 devices fits: asked for device with 30G\n", "", NULL },

	{ "the module refuses the first and admits the second", CREATE "--class gpu", 0,
	  CREATED("gpu1") "placed on gpu1: the next emptiest of 2 gpus with 2G free, 75% promised with "
	  "it; gpu0: refused by the module: memory 2.00 GiB of device gpu0: 1.00 GiB is left; cpu0: class cpu\n",
	  "", "gpu0 gpu1", first_is_full },
	{ "the first is gone", CREATE "--class gpu", 0,
	  CREATED("gpu1") "placed on gpu1: the next emptiest of 2 gpus with 2G free, 75% promised with "
	  "it; gpu0: refused by the module: No such device; cpu0: class cpu\n", "", "gpu0 gpu1", first_is_gone },
	{ "the module refuses all", CREATE "--class gpu", 1, "",
	  "infinictl: gpu0: refused by the module: memory 2.00 GiB of device gpu0: 1.00 GiB is left\n"
	  "infinictl: gpu1: refused by the module: memory 2.00 GiB of device gpu0: 1.00 GiB is left\n"
	  "infinictl: cpu0: class cpu\n"
	  "infinictl: cl0: not registered: opencl: left out, as configured\n"
	  "infinictl: vdev \"c\": none of 3 devices fits: asked for gpu with 2G free\n", "gpu0 gpu1",
	  every_gpu_is_full },
	{ "a name that is taken is so everywhere", CREATE "--class gpu", 1, "",
	  "infinictl: vdev \"c\" exists already: change it with infinictl vdev set c\n", "gpu0", name_is_taken },

	{ "named and described", CREATE "--device gpu0 --class gpu", 2, "",
	  "infinictl: --device names the device and --class describes one: give one of both\n", "", NULL },
	{ "named and packed", CREATE "--device gpu0 --pack", 2, "",
	  "infinictl: --device names the device and --pack describes one: give one of both\n", "", NULL },
	{ "spread and packed", CREATE "--spread --pack", 2, "",
	  "infinictl: --spread and --pack exclude each other\n", "", NULL },
	{ "without memory", "vdev create c --class gpu", 2, "",
	  "infinictl: vdev \"c\": say how much memory it may use: --memory SIZE\n", "", NULL },
	{ "a dry run", CREATE "--class gpu --dry-run", 0,
	  "would be placed on gpu0: the only gpu with 2G free; cpu0: class cpu\n", "", "", NULL },
	{ "a dry run on a device that is named", CREATE "--device gpu0 --dry-run", 2, "",
	  "infinictl: --dry-run says where a vdev would go: describe the device, as with --class gpu\n", "", NULL },
	{ "a command, on no device", "run --memory 2G --class npu -- true", 1, "",
	  "infinictl: cpu0: class cpu\ninfinictl: gpu0: class gpu\n"
	  "infinictl: gpu1: not registered: cuda: the device is lost\n"
	  "infinictl: cl0: not registered: opencl: left out, as configured\n"
	  "infinictl: vdev \"n\": none of 2 devices fits: asked for npu with 2G free\n", "", NULL },
	{ "a command, named and described", "run --memory 2G --device cpu0 --vendor amd -- true", 2, "",
	  "infinictl: --device names the device and --vendor describes one: give one of both\n", "", NULL },
};

/* The file goes behind the command's first word, before what "--" ends. */
static int run(const char *line)
{
	const char *dashes = strstr(line, " -- ");
	char whole[512];
	size_t length = dashes ? (size_t)(dashes - line) : strlen(line);

	if (!strncmp(line, "vdev set", 8))
		return capture_run(line);
	snprintf(whole, sizeof(whole), "%.*s%s --inventory %s%s", (int)length, line,
		 dashes ? " --name n" : "", path, dashes ? dashes : "");
	return capture_run(whole);
}

static void test_row(void **state)
{
	const struct row *row = *state;
	int status;

	fill();
	if (row->arrange)
		row->arrange();
	status = run(row->line);
	if (status != row->status || strcmp(out, row->out) || strcmp(err, row->err) ||
	    strcmp(fake.tried, row->tried))
		fail_msg("infinictl %s: status %d, asked for \"%s\"\n%s%swanted %d, \"%s\"\n%s%s", row->line,
			 status, fake.tried, out, err, row->status, row->tried, row->out, row->err);
}

/* ---- infinid tells nothing ---- */

static void without_an_inventory(void **state)
{
	(void)state;
	fill();
	assert_int_equal(capture_run(CREATE "--class gpu --inventory /nonexistent"), 0);
	assert_non_null(strstr(out, "placed on gpu0: the only gpu with 2G free; cpu0: class cpu\n"));
	assert_int_equal(capture_run(CREATE "--pool lab --inventory /nonexistent"), 1);
	assert_string_equal(err, "infinictl: --pool lab: infinid tells no pools in /nonexistent: is it "
			    "running? (systemctl start infinid)\n");
	assert_int_equal(capture_run(CREATE "--vendor xeon --inventory /nonexistent"), 0);
	assert_non_null(strstr(out, "; gpu0: vendor unknown, described as the gpu0 of a test\n"));
}

/* ---- json ---- */

static struct json_object *parsed;

static const char *text_at(const char *pointer)
{
	struct json_object *value;

	assert_int_equal(json_pointer_get(parsed, pointer, &value), 0);
	return value ? json_object_get_string(value) : "null";
}

static void json_of_a_placement(void **state)
{
	(void)state;
	fill();
	assert_int_equal(run(CREATE "--class gpu --json"), 0);
	parsed = json_tokener_parse(out);
	assert_string_equal(text_at("/name"), "c");
	assert_string_equal(text_at("/id"), "3");
	assert_string_equal(text_at("/device"), "gpu0");
	assert_string_equal(text_at("/node"), "/dev/infini3");
	assert_string_equal(text_at("/placement/order"), "spread");
	assert_string_equal(text_at("/placement/why"), "the only gpu with 2G free");
	assert_string_equal(text_at("/placement/candidates/0/device"), "gpu0");
	assert_string_equal(text_at("/placement/candidates/0/fits"), "true");
	assert_string_equal(text_at("/placement/candidates/0/promised_ppm"), "83333");
	assert_string_equal(text_at("/placement/candidates/0/why"), "null");
	assert_string_equal(text_at("/placement/candidates/1/device"), "cpu0");
	assert_string_equal(text_at("/placement/candidates/1/fits"), "false");
	assert_string_equal(text_at("/placement/candidates/1/why"), "class cpu");
	json_object_put(parsed);
}

static void json_of_a_dry_run(void **state)
{
	(void)state;
	fill();
	assert_int_equal(run(CREATE "--class cpu --json --dry-run --pack"), 0);
	parsed = json_tokener_parse(out);
	assert_string_equal(text_at("/id"), "null");
	assert_string_equal(text_at("/node"), "null");
	assert_string_equal(text_at("/device"), "cpu0");
	assert_string_equal(text_at("/placement/order"), "pack");
	assert_string_equal(fake.tried, "");
	json_object_put(parsed);
}

static void json_of_a_refusal(void **state)
{
	(void)state;
	fill();
	every_gpu_is_full();
	assert_int_equal(run(CREATE "--class gpu --json"), 1);
	assert_non_null(strstr(err, "devices fits"));
	parsed = json_tokener_parse(out);
	assert_string_equal(text_at("/id"), "null");
	assert_string_equal(text_at("/device"), "null");
	assert_string_equal(text_at("/placement/why"), "null");
	assert_string_equal(text_at("/placement/candidates/0/why"),
			    "refused by the module: memory 2.00 GiB of device gpu0: 1.00 GiB is left");
	json_object_put(parsed);
}

static void json_of_a_device_that_was_named(void **state)
{
	(void)state;
	fill();
	assert_int_equal(run(CREATE "--device gpu0 --no-node --json"), 0);
	parsed = json_tokener_parse(out);
	assert_string_equal(text_at("/device"), "gpu0");
	assert_string_equal(text_at("/node"), "null");
	assert_string_equal(text_at("/placement"), "null");
	json_object_put(parsed);
}

#define NR_ROWS	(sizeof(rows) / sizeof(*rows))

int main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(without_an_inventory),
		cmocka_unit_test(json_of_a_placement),
		cmocka_unit_test(json_of_a_dry_run),
		cmocka_unit_test(json_of_a_refusal),
		cmocka_unit_test(json_of_a_device_that_was_named),
	};
	struct CMUnitTest tests[NR_ROWS + sizeof(others) / sizeof(*others)];
	int fd = mkstemp(path), status;

	if (fd < 0 || write(fd, INVENTORY, strlen(INVENTORY)) != (ssize_t)strlen(INVENTORY))
		return 1;
	close(fd);
	for (size_t i = 0; i < NR_ROWS; i++)
		tests[i] = (struct CMUnitTest){ rows[i].name, test_row, NULL, NULL, (void *)&rows[i] };
	memcpy(&tests[NR_ROWS], others, sizeof(others));
	status = cmocka_run_group_tests_name("placement", tests, NULL, NULL);
	unlink(path);
	free(out);
	free(err);
	return status;
}
