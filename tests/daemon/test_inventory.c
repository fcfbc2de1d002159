// SPDX-License-Identifier: GPL-2.0-or-later
/* The inventory against hardware of the test's own: a sysfs, a libdrm and workers' fdinfo. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "inventory.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xf86drm.h>

#define GIB	(1ULL << 30)
#define S	1000000000LL

static char root[] = "/tmp/infinid-inventory-XXXXXX";
static char dev[64], proc[64];
static const struct infini_inventory_where where = { .sysfs = root, .dev = dev, .proc = proc };
static struct infini_inventory inventory;
static struct infini_config config;
static unsigned int came, gone;

/* What stands in one machine. @pci is where its folder is, unless @bus is another. */
struct hardware {
	const char *node;		/* "renderD128", "accel0" */
	const char *driver, *version;
	const char *pci, *vendor, *device;
	enum { PCI, VIRTIO_IN_PCI, PLATFORM, FAUX } bus;
	const char *memory, *temperature, *power;
	int open_error;
};

static const struct hardware *machine[4];

#define AMD	{ .node = "renderD128", .driver = "amdgpu", .version = "3.57.0", \
		  .pci = "0000:03:00.0", .vendor = "0x1002", .device = "0x744c", \
		  .memory = "mem_info_vram_total:25753026560\n", .temperature = "54000\n", \
		  .power = "power1_average:87000000\n" }

static const struct hardware amd = AMD;
static const struct hardware intel_gpu = {
	.node = "renderD129", .driver = "i915", .version = "1.6.0", .pci = "0000:00:02.0",
	.vendor = "0x8086", .device = "0x46a6",
};
static const struct hardware intel_card = {
	.node = "renderD128", .driver = "i915", .version = "1.6.0", .pci = "0000:04:00.0",
	.vendor = "0x8086", .device = "0x56a0",
	.memory = "drm/card0/lmem_total_bytes:17079205888\n", .power = "power1_input:30500000\n",
};
static const struct hardware npu = {
	.node = "accel0", .driver = "intel_vpu", .version = "1.0.0", .pci = "0000:00:0b.0",
	.vendor = "0x8086", .device = "0x7d1d",
};
static const struct hardware vgem = {
	.node = "renderD128", .driver = "vgem", .version = "1.0.0", .bus = PLATFORM,
};
static const struct hardware faux_vgem = {
	.node = "renderD128", .driver = "vgem", .version = "1.0.0", .bus = FAUX,
};
static const struct hardware virtio = {
	.node = "renderD129", .driver = "virtio_gpu", .version = "0.1.0", .pci = "0000:00:05.0",
	.vendor = "0x1af4", .device = "0x1050", .bus = VIRTIO_IN_PCI,
};
static const struct hardware twin = {
	.node = "renderD129", .driver = "amdgpu", .version = "3.57.0", .pci = "0000:83:00.0",
	.vendor = "0x1002", .device = "0x744c",
	.memory = "mem_info_vram_total:25753026560\n", .temperature = "61000\n",
};
static const struct hardware forbidden = {
	.node = "renderD128", .driver = "nouveau", .version = "", .pci = "0000:01:00.0",
	.vendor = "0x10de", .device = "0x2684", .open_error = EACCES,
};
static const struct hardware filtered = {
	.node = "renderD128", .driver = "nouveau", .version = "", .pci = "0000:01:00.0",
	.vendor = "0x10de", .device = "0x2684", .open_error = EPERM,
};
static const struct hardware broken = {
	.node = "renderD128", .driver = "xe", .version = "", .pci = "0000:01:00.0",
	.vendor = "0x8086", .device = "0x56a0", .open_error = ENODEV,
};

static const struct hardware *hardware_of(const char *node)
{
	for (size_t i = 0; i < 4; i++) {
		if (machine[i] && !strcmp(machine[i]->node, node))
			return machine[i];
	}
	return NULL;
}

/* ---- what stands for libdrm, udev and the driver ------------------------------------ */

static bool drm_absent;

static void fake_device(const struct hardware *hardware, drmDevicePtr *out)
{
	unsigned int domain, bus, slot, function;
	drmDevicePtr device = calloc(1, sizeof(*device));

	device->nodes = calloc(DRM_NODE_MAX, sizeof(char *));
	if (asprintf(&device->nodes[DRM_NODE_RENDER], "%s/dri/%s", dev, hardware->node) < 0)
		fail();
	device->available_nodes = 1 << DRM_NODE_RENDER;
	device->bustype = hardware->bus == PLATFORM ? DRM_BUS_PLATFORM : DRM_BUS_PCI;
	device->businfo.pci = calloc(1, sizeof(*device->businfo.pci));
	if (hardware->pci &&
	    sscanf(hardware->pci, "%x:%x:%x.%x", &domain, &bus, &slot, &function) == 4)
		*device->businfo.pci = (drmPciBusInfo){ (uint16_t)domain, (uint8_t)bus,
							(uint8_t)slot, (uint8_t)function };
	*out = device;
}

int __wrap_drmGetDevices2(uint32_t flags, drmDevicePtr devices[], int max);
int __wrap_drmGetDevices2(uint32_t flags, drmDevicePtr devices[], int max)
{
	int nr = 0;

	assert_int_equal(flags, 0);
	if (drm_absent)
		return -ENOENT;
	for (size_t i = 0; i < 4; i++) {
		if (!machine[i] || machine[i]->bus == FAUX || machine[i]->node[0] == 'a')
			continue;
		if (devices && nr < max)
			fake_device(machine[i], &devices[nr]);
		nr++;
	}
	return nr;
}

void __wrap_drmFreeDevices(drmDevicePtr devices[], int count);
void __wrap_drmFreeDevices(drmDevicePtr devices[], int count)
{
	for (int i = 0; i < count; i++) {
		free(devices[i]->nodes[DRM_NODE_RENDER]);
		free(devices[i]->nodes);
		free(devices[i]->businfo.pci);
		free(devices[i]);
	}
}

/* The driver, asked through the file it was opened as. */
drmVersionPtr __wrap_drmGetVersion(int fd);
drmVersionPtr __wrap_drmGetVersion(int fd)
{
	char link[32], path[PATH_MAX] = "";
	const struct hardware *hardware;
	drmVersionPtr version;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	assert_true(readlink(link, path, sizeof(path) - 1) > 0);
	hardware = hardware_of(strrchr(path, '/') + 1);
	assert_non_null(hardware);
	version = calloc(1, sizeof(*version));
	/* Without a terminator, as the interface has it. */
	version->name_len = (int)strlen(hardware->driver);
	version->name = memcpy(malloc(strlen(hardware->driver)), hardware->driver,
			       strlen(hardware->driver));
	assert_int_equal(sscanf(hardware->version, "%d.%d.%d", &version->version_major,
				&version->version_minor, &version->version_patchlevel), 3);
	return version;
}

void __wrap_drmFreeVersion(drmVersionPtr version);
void __wrap_drmFreeVersion(drmVersionPtr version)
{
	free(version->name);
	free(version);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	const struct hardware *hardware = NULL;

	if (!strncmp(path, dev, strlen(dev)))
		hardware = hardware_of(strrchr(path, '/') + 1);
	if (!hardware || !hardware->open_error)
		return __real_open(path, flags, 0600);
	errno = hardware->open_error;
	return -1;
}

void infini_inventory_names(const char *modalias, struct infini_inventory_node *node)
{
	if (strncmp(modalias, "pci:v00001002d0000744C", 22))
		return;
	snprintf(node->vendor, sizeof(node->vendor), "Advanced Micro Devices, Inc. [AMD/ATI]");
	snprintf(node->model, sizeof(node->model), "Navi 31 [Radeon RX 7900 XTX]");
}

/* ---- a sysfs ----------------------------------------------------------------------- */

static void make_folders(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(path, 0755);
		*slash = '/';
	}
}

static void __attribute__((format(printf, 2, 3))) put(const char *text, const char *format, ...)
{
	char name[256], path[PATH_MAX];
	va_list args;
	FILE *out;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "%s/%s", root, name);
	make_folders(path);
	out = fopen(path, "w");
	assert_non_null(out);
	fputs(text, out);
	fclose(out);
}

static void __attribute__((format(printf, 2, 3))) link_to(const char *target, const char *format, ...)
{
	char name[256], path[PATH_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(name, sizeof(name), format, args);
	va_end(args);
	snprintf(path, sizeof(path), "%s/%s", root, name);
	make_folders(path);
	assert_int_equal(symlink(target, path), 0);
}

static void plug(const struct hardware *hardware)
{
	static const char *const buses[] = { "pci", "virtio", "platform", "faux" };
	const char *class = hardware->node[0] == 'a' ? "accel" : "drm";
	char below[128], target[PATH_MAX], modalias[64], file[64], where_it_is[64];
	const char *colon;
	size_t i = 0;

	while (machine[i])
		i++;
	machine[i] = hardware;
	snprintf(where_it_is, sizeof(where_it_is), "devices/%s",
		 hardware->pci ? hardware->pci : hardware->node);
	snprintf(below, sizeof(below), "%s%s", where_it_is,
		 hardware->bus == VIRTIO_IN_PCI ? "/virtio3" : "");
	put("", "dev/%s/%s", hardware->node[0] == 'a' ? "accel" : "dri", hardware->node);
	put("226:128\n", "class/%s/%s/dev", class, hardware->node);
	snprintf(target, sizeof(target), "%s/%s", root, below);
	link_to(target, "class/%s/%s/device", class, hardware->node);
	snprintf(target, sizeof(target), "../../bus/%s", buses[hardware->bus]);
	link_to(target, "%s/subsystem", below);
	if (hardware->bus == VIRTIO_IN_PCI)
		link_to("../../bus/pci", "%s/subsystem", where_it_is);
	snprintf(target, sizeof(target), "../../drivers/%s", hardware->driver);
	link_to(target, "%s/driver", where_it_is);
	if (hardware->vendor) {
		snprintf(modalias, sizeof(modalias), "pci:v0000%.4sd0000%.4s\n", hardware->vendor + 2,
			 hardware->device + 2);
		for (char *c = modalias + 5; *c; c++)
			*c = *c >= 'a' && *c <= 'f' ? (char)(*c - 32) : *c;
		*strrchr(modalias, 'D') = 'd';
		put(hardware->vendor, "%s/vendor", where_it_is);
		put(hardware->device, "%s/device", where_it_is);
		put(modalias, "%s/modalias", where_it_is);
	}
	if (hardware->memory) {
		colon = strchr(hardware->memory, ':');
		snprintf(file, sizeof(file), "%.*s", (int)(colon - hardware->memory),
			 hardware->memory);
		put(colon + 1, "%s/%s", where_it_is, file);
	}
	if (hardware->temperature)
		put(hardware->temperature, "%s/hwmon/hwmon3/temp1_input", where_it_is);
	if (hardware->power) {
		colon = strchr(hardware->power, ':');
		snprintf(file, sizeof(file), "%.*s", (int)(colon - hardware->power),
			 hardware->power);
		put(colon + 1, "%s/hwmon/hwmon3/%s", where_it_is, file);
	}
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
	(void)info;
	(void)type;
	return at->level ? remove(path) : 0;
}

static void unplug(const struct hardware *hardware)
{
	char path[PATH_MAX];

	for (size_t i = 0; i < 4; i++) {
		if (machine[i] == hardware)
			machine[i] = NULL;
	}
	snprintf(path, sizeof(path), "%s/class/%s/%s", root,
		 hardware->node[0] == 'a' ? "accel" : "drm", hardware->node);
	assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	assert_int_equal(rmdir(path), 0);
}

static int start(void **state)
{
	(void)state;
	infini_log_level(-1);
	memset(&inventory, 0, sizeof(inventory));
	assert_int_equal(infini_config_defaults(&config), 0);
	memset(machine, 0, sizeof(machine));
	came = gone = 0;
	drm_absent = false;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void on_come(const struct infini_inventory_node *node, void *arg)
{
	assert_ptr_equal(arg, &inventory);
	assert_non_null(node->node);
	came++;
}

static void on_gone(const struct infini_inventory_node *node, void *arg)
{
	assert_ptr_equal(arg, &inventory);
	assert_non_null(node->node);
	gone++;
}

static void scan(void)
{
	came = gone = 0;
	assert_int_equal(infini_inventory_scan(&inventory, &where, on_gone, on_come, &inventory), 0);
}

static struct infini_inventory_node *only(const struct hardware *hardware)
{
	plug(hardware);
	scan();
	assert_int_equal(inventory.nr_nodes, 1);
	return &inventory.nodes[0];
}

/* ---- one node ---------------------------------------------------------------------- */

/* What is known of each; 0 and "" where it is not. */
static const struct {
	const char *name;
	const struct hardware *hardware;
	const char *driver, *version, *pci, *pci_id, *model;
	uint64_t memory_bytes, temperature_mc, power_uw;
	int error;
} nodes[] = {
	{ "amdgpu tells all", &amd, "amdgpu", "3.57.0", "0000:03:00.0", "1002:744c",
	  "Navi 31 [Radeon RX 7900 XTX]", 25753026560, 54000, 87000000, 0 },
	{ "i915 without memory of its own or sensors", &intel_gpu, "i915", "1.6.0",
	  "0000:00:02.0", "8086:46a6", "", 0, 0, 0, 0 },
	{ "i915 with both", &intel_card, "i915", "1.6.0", "0000:04:00.0", "8086:56a0", "",
	  17079205888, 0, 30500000, 0 },
	{ "an accel node, which libdrm does not list", &npu, "intel_vpu", "1.0.0", "0000:00:0b.0",
	  "8086:7d1d", "", 0, 0, 0, 0 },
	{ "vgem has no PCI address", &vgem, "vgem", "1.0.0", "", "", "", 0, 0, 0, 0 },
	{ "vgem on a bus that libdrm does not know", &faux_vgem, "vgem", "1.0.0", "", "", "", 0, 0,
	  0, 0 },
	{ "virtio-gpu is in a PCI device", &virtio, "virtio_gpu", "0.1.0", "0000:00:05.0",
	  "1af4:1050", "", 0, 0, 0, 0 },
	{ "no permission: the driver is known, its version not", &forbidden, "nouveau", "",
	  "0000:01:00.0", "10de:2684", "", 0, 0, 0, -EACCES },
};

static void each_kind_of_node(void **state)
{
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++) {
		const struct infini_inventory_node *node;

		start(state);
		node = only(nodes[i].hardware);
		infini_inventory_refresh(&inventory, S);
		if (strcmp(strrchr(node->node, '/') + 1, nodes[i].hardware->node) ||
		    strcmp(node->driver, nodes[i].driver) ||
		    strcmp(node->version, nodes[i].version) || strcmp(node->pci, nodes[i].pci) ||
		    strcmp(node->pci_id, nodes[i].pci_id) || strcmp(node->model, nodes[i].model))
			fail_msg("%s: %s, %s %s, at %s, id %s, %s", nodes[i].name, node->node,
				 node->driver, node->version, node->pci, node->pci_id, node->model);
		if (node->memory_bytes != nodes[i].memory_bytes || node->error != nodes[i].error ||
		    node->accel != (nodes[i].hardware == &npu))
			fail_msg("%s: %llu bytes, error %d", nodes[i].name,
				 (unsigned long long)node->memory_bytes, node->error);
		if (!(node->reading.known & INFINI_READING_TEMPERATURE) !=
			    !nodes[i].temperature_mc ||
		    !(node->reading.known & INFINI_READING_POWER) != !nodes[i].power_uw ||
		    (nodes[i].temperature_mc &&
		     node->reading.temperature_mc != nodes[i].temperature_mc) ||
		    (nodes[i].power_uw && node->reading.power_uw != nodes[i].power_uw))
			fail_msg("%s: known %x", nodes[i].name, node->reading.known);
	}
}

static void sleeping_device_is_let_sleep(void **state)
{
	const struct infini_inventory_node *node;

	(void)state;
	node = only(&amd);
	put("suspended\n", "devices/0000:03:00.0/power/runtime_status");
	infini_inventory_refresh(&inventory, S);
	assert_int_equal(node->reading.known, 0);
	put("active\n", "devices/0000:03:00.0/power/runtime_status");
	infini_inventory_refresh(&inventory, 2 * S);
	assert_int_equal(node->reading.known, INFINI_READING_TEMPERATURE | INFINI_READING_POWER);
}

/* ---- what there is ----------------------------------------------------------------- */

static void machine_without_any(void **state)
{
	(void)state;
	drm_absent = true;
	scan();
	assert_int_equal(inventory.nr_nodes, 0);
	infini_inventory_refresh(&inventory, S);
}

static void libdrm_and_sysfs_tell_of_one_node_once(void **state)
{
	(void)state;
	plug(&amd);
	plug(&npu);
	plug(&virtio);
	scan();
	assert_int_equal(inventory.nr_nodes, 3);
	assert_int_equal(came, 3);
}

static void nodes_come_and_go(void **state)
{
	(void)state;
	plug(&amd);
	plug(&npu);
	scan();
	scan();
	assert_int_equal(came + gone, 0);
	unplug(&amd);
	scan();
	assert_int_equal(gone, 1);
	assert_int_equal(came, 0);
	assert_int_equal(inventory.nr_nodes, 1);
	assert_true(inventory.nodes[0].accel);
}

/* Between two looks: another object in sysfs has the name. */
static void device_that_was_replaced_is_a_new_one(void **state)
{
	char kept[PATH_MAX], path[PATH_MAX];

	(void)state;
	plug(&vgem);
	scan();
	snprintf(path, sizeof(path), "%s/class/drm/renderD128", root);
	snprintf(kept, sizeof(kept), "%s/old", root);
	assert_int_equal(rename(path, kept), 0);
	put("226:128\n", "class/drm/renderD128/dev");
	scan();
	assert_int_equal(gone, 1);
	assert_int_equal(came, 1);
}

static void more_nodes_than_there_is_room_for(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < INFINI_INVENTORY_NODES_MAX + 3; i++)
		put("", "class/accel/accel%u/dev", i);
	scan();
	assert_int_equal(inventory.nr_nodes, INFINI_INVENTORY_NODES_MAX);
}

/* ---- whose device it is ------------------------------------------------------------ */

static void two_identical_cards_are_told_apart(void **state)
{
	const struct infini_inventory_claim *claim;

	(void)state;
	plug(&amd);
	plug(&twin);
	scan();
	infini_inventory_ask(&inventory, "ggml");
	infini_inventory_claim(&inventory, "ggml", "vulkan0", "0000:83:00.0", "");
	infini_inventory_claim(&inventory, "ggml", "vulkan1", "0000:03:00.0", "");
	infini_inventory_claim(&inventory, "ggml", "cpu0", "", "");
	infini_inventory_refresh(&inventory, S);
	claim = infini_inventory_claim_of(&inventory, &inventory.nodes[0]);
	assert_string_equal(claim->device, "vulkan1");
	assert_int_equal(inventory.nodes[0].reading.temperature_mc, 54000);
	claim = infini_inventory_claim_of(&inventory, &inventory.nodes[1]);
	assert_string_equal(claim->device, "vulkan0");
	assert_int_equal(inventory.nodes[1].reading.temperature_mc, 61000);
}

static void backend_that_has_it_comes_before_one_that_has_not(void **state)
{
	const struct infini_inventory_node *node;

	(void)state;
	node = only(&amd);
	infini_inventory_claim(&inventory, "opencl", "cl0", amd.pci, "left out");
	infini_inventory_claim(&inventory, "ggml", "vulkan0", amd.pci, "");
	infini_inventory_claim(&inventory, "opencl", "cl0", amd.pci, "");
	assert_int_equal(inventory.nr_claims, 2);
	assert_string_equal(infini_inventory_claim_of(&inventory, node)->backend, "ggml");
	infini_inventory_ask(&inventory, "ggml");
	assert_string_equal(infini_inventory_claim_of(&inventory, node)->backend, "opencl");
	infini_inventory_ask(&inventory, "opencl");
	assert_null(infini_inventory_claim_of(&inventory, node));
}

static void no_backend(void)
{
}

static void ggml_without_it(void)
{
	infini_inventory_ask(&inventory, "ggml");
	infini_inventory_claim(&inventory, "ggml", "cpu0", "", "");
}

static void ggml_is_missing(void)
{
	infini_inventory_ask(&inventory, "ggml");
	infini_inventory_backend(&inventory, "ggml",
				 "backend ggml: needs libggml.so.0, which is not installed");
}

static void null_is_disabled(void)
{
	ggml_is_missing();
	infini_inventory_ask(&inventory, "null");
	infini_inventory_backend(&inventory, "null", "disabled in the configuration");
	infini_inventory_ask(&inventory, "opencl");
}

static void ggml_has_it(void)
{
	infini_inventory_ask(&inventory, "ggml");
	infini_inventory_claim(&inventory, "ggml", "vulkan0", amd.pci, "");
}

static void ggml_may_not_have_it(void)
{
	infini_inventory_ask(&inventory, "ggml");
	infini_inventory_claim(&inventory, "ggml", "vulkan0", amd.pci,
			       "\"devices\" under [backend ggml] leaves vulkan0 out");
}

static void forty_backends(void)
{
	char name[INFINI_NAME_MAX], why[INFINI_INVENTORY_WHY_BYTES];

	memset(why, 'x', sizeof(why) - 1);
	why[sizeof(why) - 1] = '\0';
	for (unsigned int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "backend%u", i);
		infini_inventory_backend(&inventory, name, why);
	}
}

static const struct {
	const char *name;
	const struct hardware *hardware;
	void (*backends)(void);
	const char *why;
} reasons[] = {
	{ "on line", &amd, ggml_has_it, "" },
	{ "no backend", &amd, no_backend, "no backend drives it: none is configured" },
	{ "no backend drives it", &virtio, ggml_without_it,
	  "no backend drives it: ggml: no device at 0000:00:05.0" },
	{ "library missing", &amd, ggml_is_missing,
	  "no backend drives it: ggml: needs libggml.so.0, which is not installed" },
	{ "each backend has its reason", &amd, null_is_disabled,
	  "no backend drives it: ggml: needs libggml.so.0, which is not installed; null: disabled in "
	  "the configuration; opencl: no device at 0000:03:00.0" },
	{ "left out by the operator", &amd, ggml_may_not_have_it,
	  "\"devices\" under [backend ggml] leaves vulkan0 out" },
	{ "no PCI address", &vgem, ggml_without_it,
	  "on no PCI bus, by which backends tell their devices" },
	{ "no PCI address and no library", &vgem, ggml_is_missing,
	  "on no PCI bus, by which backends tell their devices: ggml: needs libggml.so.0, which is "
	  "not installed" },
	{ "owner and mode", &forbidden, ggml_without_it, "no permission: Permission denied" },
	{ "a device filter", &filtered, ggml_without_it, "no permission: Operation not permitted" },
	{ "a dead device", &broken, ggml_without_it, "cannot be opened: No such device" },
};

static void each_reason(void **state)
{
	char why[INFINI_INVENTORY_WHY_BYTES];

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		const struct infini_inventory_node *node;

		start(state);
		node = only(reasons[i].hardware);
		reasons[i].backends();
		infini_inventory_why(&inventory, node, why, sizeof(why));
		if (strcmp(why, reasons[i].why))
			fail_msg("%s: \"%s\"", reasons[i].name, why);
	}
	start(state);
	forty_backends();
	infini_inventory_why(&inventory, only(&amd), why, sizeof(why));
	assert_int_equal(strlen(why), sizeof(why) - 1);
}

static void backends_that_left_the_configuration_are_forgotten(void **state)
{
	(void)state;
	infini_inventory_ask(&inventory, "null");
	infini_inventory_claim(&inventory, "null", "null0", "", "");
	ggml_has_it();
	infini_inventory_filter(&inventory, &config);
	assert_int_equal(inventory.nr_backends, 1);
	assert_int_equal(inventory.nr_claims, 1);
	assert_string_equal(inventory.claims[0].backend, "ggml");
}

/* ---- what workers do there --------------------------------------------------------- */

#define AMD_FDINFO(_id, _gfx, _dec, _vram)						\
	"pos:\t0\nflags:\t02100002\nmnt_id:\t24\nino:\t512\ndrm-driver:\tamdgpu\n"	\
	"drm-client-id:\t" _id "\ndrm-pdev:\t0000:03:00.0\npasid:\t32770\n"		\
	"drm-engine-gfx:\t" _gfx " ns\ndrm-engine-dec:\t" _dec " ns\n"			\
	"drm-engine-capacity-dec:\t2\ndrm-total-vram:\t" _vram " KiB\n"			\
	"drm-cycles-gfx:\t999999999\ndrm-shared-vram:\t77 KiB\n"

#define XE_FDINFO(_id, _cycles, _total)							\
	"drm-driver:\txe\ndrm-client-id:\t" _id "\ndrm-pdev:\t0000:03:00.0\n"		\
	"drm-cycles-ccs:\t" _cycles "\ndrm-total-cycles-ccs:\t" _total "\n"		\
	"drm-engine-capacity-ccs:\t4\ndrm-total-vram0:\t2 MiB\n"

static void round_at(int64_t ns)
{
	infini_inventory_count(&inventory, &where, 100);
	infini_inventory_count(&inventory, &where, 200);
	infini_inventory_refresh(&inventory, ns);
}

static void workers_are_added_up(void **state)
{
	const struct infini_inventory_node *node;

	(void)state;
	node = only(&amd);
	put("pos:\t0\nflags:\t02\n", "proc/100/fdinfo/0");
	put(AMD_FDINFO("7", "1000000000", "0", "1024"), "proc/100/fdinfo/5");
	put(AMD_FDINFO("7", "1000000000", "0", "1024"), "proc/100/fdinfo/6");
	put(AMD_FDINFO("9", "500000000", "0", "2048"), "proc/200/fdinfo/5");
	round_at(S);
	assert_false(node->reading.known & INFINI_READING_UTILISATION);
	assert_int_equal(node->reading.workers_memory_bytes, 3072 << 10);
	put(AMD_FDINFO("7", "3000000000", "0", "1024"), "proc/100/fdinfo/5");
	put(AMD_FDINFO("7", "3000000000", "0", "1024"), "proc/100/fdinfo/6");
	put(AMD_FDINFO("9", "1500000000", "1000000", "2048"), "proc/200/fdinfo/5");
	round_at(11 * S);
	assert_true(node->reading.known & INFINI_READING_UTILISATION);
	assert_int_equal(node->reading.utilisation_ppm, 300000);
}

static void busiest_kind_of_engine_counts_and_how_many_there_are(void **state)
{
	const struct infini_inventory_node *node;

	(void)state;
	node = only(&amd);
	put(AMD_FDINFO("7", "0", "0", "1"), "proc/100/fdinfo/5");
	round_at(S);
	put(AMD_FDINFO("7", "1000000000", "16000000000", "1"), "proc/100/fdinfo/5");
	round_at(11 * S);
	assert_int_equal(node->reading.utilisation_ppm, 800000);
}

static void drivers_that_count_cycles(void **state)
{
	const struct infini_inventory_node *node;

	(void)state;
	node = only(&amd);
	put(XE_FDINFO("1", "1000", "100000"), "proc/100/fdinfo/5");
	put(XE_FDINFO("2", "5000", "100010"), "proc/200/fdinfo/5");
	round_at(S);
	assert_int_equal(node->reading.workers_memory_bytes, 4 << 20);
	put(XE_FDINFO("1", "41000", "300000"), "proc/100/fdinfo/5");
	put(XE_FDINFO("2", "45000", "300010"), "proc/200/fdinfo/5");
	round_at(11 * S);
	/* 80000 of 200000 on 4 engines. */
	assert_int_equal(node->reading.utilisation_ppm, 100000);
	put("", "proc/100/fdinfo/5");
	put("", "proc/200/fdinfo/5");
	round_at(21 * S);
	assert_int_equal(node->reading.utilisation_ppm, 0);
}

static void worker_that_ended_takes_its_time_with_it(void **state)
{
	const struct infini_inventory_node *node;

	(void)state;
	node = only(&amd);
	put(AMD_FDINFO("7", "9000000000", "0", "1024"), "proc/100/fdinfo/5");
	put(AMD_FDINFO("9", "1000000000", "0", "1024"), "proc/200/fdinfo/5");
	round_at(S);
	put("", "proc/100/fdinfo/5");
	round_at(11 * S);
	assert_int_equal(node->reading.utilisation_ppm, 0);
	assert_int_equal(node->reading.workers_memory_bytes, 1 << 20);
	put(AMD_FDINFO("9", "6000000000", "0", "1024"), "proc/200/fdinfo/5");
	round_at(21 * S);
	assert_int_equal(node->reading.utilisation_ppm, 500000);
}

static void other_devices_and_drivers_without_keys_say_nothing(void **state)
{
	const struct infini_inventory_node *node;

	(void)state;
	node = only(&virtio);
	put(AMD_FDINFO("7", "1", "1", "1"), "proc/100/fdinfo/5");
	put("drm-driver:\tvirtio_gpu\ndrm-client-id:\t4\ndrm-pdev:\t0000:00:05.0\n",
	    "proc/200/fdinfo/5");
	round_at(S);
	round_at(2 * S);
	assert_int_equal(node->reading.known, 0);
}

/* ---- the file ---------------------------------------------------------------------- */

static struct json_object *written(void)
{
	char path[64], new[72];
	struct json_object *object;
	struct stat info;

	snprintf(path, sizeof(path), "%s/inventory.json", root);
	snprintf(new, sizeof(new), "%s.new", path);
	assert_int_equal(infini_inventory_write(&inventory, &config, path), 0);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0644);
	assert_int_equal(access(new, F_OK), -1);
	object = json_object_from_file(path);
	assert_non_null(object);
	return object;
}

static const char *text_of(struct json_object *node, const char *key)
{
	struct json_object *value;

	assert_true(json_object_object_get_ex(node, key, &value));
	return value ? json_object_get_string(value) : "null";
}

static void file_says_what_is_known(void **state)
{
	struct json_object *object, *nodes_array, *node;
	mode_t mask = umask(077);

	(void)state;
	plug(&amd);
	plug(&virtio);
	scan();
	ggml_has_it();
	infini_inventory_refresh(&inventory, S);
	object = written();
	umask(mask);
	nodes_array = json_object_object_get(object, "nodes");
	assert_int_equal(json_object_array_length(nodes_array), 2);
	node = json_object_array_get_idx(nodes_array, 0);
	assert_string_equal(text_of(node, "vendor"), "Advanced Micro Devices, Inc. [AMD/ATI]");
	assert_string_equal(text_of(node, "memory_bytes"), "25753026560");
	assert_string_equal(text_of(node, "temperature_mc"), "54000");
	assert_string_equal(text_of(node, "power_uw"), "87000000");
	assert_string_equal(text_of(node, "utilisation_ppm"), "null");
	assert_string_equal(text_of(node, "device"), "vulkan0");
	assert_string_equal(text_of(node, "why"), "null");
	node = json_object_array_get_idx(nodes_array, 1);
	assert_string_equal(text_of(node, "memory_bytes"), "null");
	assert_string_equal(text_of(node, "temperature_mc"), "null");
	assert_string_equal(text_of(node, "device"), "null");
	assert_string_equal(text_of(node, "kind"), "render");
	assert_string_equal(text_of(node, "why"),
			    "no backend drives it: ggml: no device at 0000:00:05.0");
	json_object_put(object);
}

static void file_of_an_empty_machine(void **state)
{
	struct json_object *object;

	(void)state;
	object = written();
	assert_int_equal(json_object_array_length(json_object_object_get(object, "nodes")), 0);
	assert_true(json_object_get_int64(json_object_object_get(object, "time")) > 0);
	json_object_put(object);
}

static void pool(const char *name, const char *devices)
{
	struct infini_config_pool *entry = &config.pools[config.nr_pools++];

	snprintf(entry->name, sizeof(entry->name), "%s", name);
	snprintf(entry->devices, sizeof(entry->devices), "%s", devices);
}

static void file_says_which_pools_a_device_is_in(void **state)
{
	static const struct {
		const char *device, *backend, *pools, *pci, *why;
	} want[] = {
		{ "vulkan0", "ggml", "[ \"lab\", \"quick\" ]", "0000:03:00.0", "null" },
		{ "cpu0", "ggml", "[ \"lab\" ]", "null", "null" },
		{ "cl0", "opencl", "[ ]", "null", "left out" },
	};
	struct json_object *object, *devices;

	(void)state;
	pool("lab", "cpu0 vulkan*");
	pool("quick", "vulkan0");
	pool("empty", "hip*");
	infini_inventory_ask(&inventory, "ggml");
	infini_inventory_claim(&inventory, "ggml", "vulkan0", "0000:03:00.0", "");
	infini_inventory_claim(&inventory, "ggml", "cpu0", "", "");
	infini_inventory_claim(&inventory, "opencl", "cl0", "", "left out");
	object = written();
	assert_string_equal(text_of(object, "pools"), "[ \"lab\", \"quick\", \"empty\" ]");
	devices = json_object_object_get(object, "devices");
	assert_int_equal(json_object_array_length(devices), 3);
	for (size_t i = 0; i < 3; i++) {
		struct json_object *device = json_object_array_get_idx(devices, i);

		assert_string_equal(text_of(device, "device"), want[i].device);
		assert_string_equal(text_of(device, "backend"), want[i].backend);
		assert_string_equal(text_of(device, "pools"), want[i].pools);
		assert_string_equal(text_of(device, "pci"), want[i].pci);
		assert_string_equal(text_of(device, "why"), want[i].why);
	}
	json_object_put(object);
}

/* What stands in /proc/cpuinfo, and what is made of it. */
static const struct {
	const char *name, *cpuinfo, *vendor, *model;
} processors[] = {
	{ "two processors of a PC", "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\n"
	  "model\t\t: 143\nmodel name\t: Intel(R) Xeon(R) Gold\n\nprocessor\t: 1\n"
	  "vendor_id\t: Other\n", "GenuineIntel", "Intel(R) Xeon(R) Gold" },
	{ "an ARM", "processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\n", "null", "null" },
	{ "a mainframe", "vendor_id       : IBM/S390\n", "IBM/S390", "null" },
	{ "no colon", "vendor_id GenuineIntel\nmodel name", "null", "null" },
	{ "nothing", "", "null", "null" },
};

static void processor_says_who_made_it(void **state)
{
	for (size_t i = 0; i < sizeof(processors) / sizeof(processors[0]); i++) {
		struct json_object *object, *cpu;

		start(state);
		put(processors[i].cpuinfo, "proc/cpuinfo");
		scan();
		object = written();
		cpu = json_object_object_get(object, "cpu");
		if (strcmp(text_of(cpu, "vendor"), processors[i].vendor) ||
		    strcmp(text_of(cpu, "model"), processors[i].model))
			fail_msg("%s: %s", processors[i].name, json_object_to_json_string(cpu));
		json_object_put(object);
	}
}

static void folder_that_is_not_there(void **state)
{
	char path[PATH_MAX];

	(void)state;
	snprintf(path, sizeof(path), "%s/absent/inventory.json", root);
	assert_int_equal(infini_inventory_write(&inventory, &config, path), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_kind_of_node, start),
		cmocka_unit_test_setup(sleeping_device_is_let_sleep, start),
		cmocka_unit_test_setup(machine_without_any, start),
		cmocka_unit_test_setup(libdrm_and_sysfs_tell_of_one_node_once, start),
		cmocka_unit_test_setup(nodes_come_and_go, start),
		cmocka_unit_test_setup(device_that_was_replaced_is_a_new_one, start),
		cmocka_unit_test_setup(more_nodes_than_there_is_room_for, start),
		cmocka_unit_test_setup(two_identical_cards_are_told_apart, start),
		cmocka_unit_test_setup(backend_that_has_it_comes_before_one_that_has_not, start),
		cmocka_unit_test_setup(each_reason, start),
		cmocka_unit_test_setup(backends_that_left_the_configuration_are_forgotten, start),
		cmocka_unit_test_setup(workers_are_added_up, start),
		cmocka_unit_test_setup(busiest_kind_of_engine_counts_and_how_many_there_are, start),
		cmocka_unit_test_setup(drivers_that_count_cycles, start),
		cmocka_unit_test_setup(worker_that_ended_takes_its_time_with_it, start),
		cmocka_unit_test_setup(other_devices_and_drivers_without_keys_say_nothing, start),
		cmocka_unit_test_setup(file_says_what_is_known, start),
		cmocka_unit_test_setup(file_of_an_empty_machine, start),
		cmocka_unit_test_setup(file_says_which_pools_a_device_is_in, start),
		cmocka_unit_test_setup(processor_says_who_made_it, start),
		cmocka_unit_test_setup(folder_that_is_not_there, start),
	};
	int status;

	if (!mkdtemp(root))
		return 1;
	snprintf(dev, sizeof(dev), "%s/dev", root);
	snprintf(proc, sizeof(proc), "%s/proc", root);
	status = cmocka_run_group_tests(tests, NULL, NULL);
	start(NULL);
	rmdir(root);
	return status;
}
