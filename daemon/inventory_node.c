// SPDX-License-Identifier: GPL-2.0-or-later
/* One DRM or accel node: driver, address, memory, and the sensors of its hardware. */
#include "inventory.h"

#include "energy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>

/* Drivers that say how much memory a GPU has of its own. The size of a BAR says something else. */
static const char *const memory_files[] = {
	"mem_info_vram_total",			/* amdgpu */
	"drm/card*/lmem_total_bytes",		/* i915, where it has local memory */
};

static const char *base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* @file may be a pattern; the first file that it fits. */
static int path_below(const char *dir, const char *file, char *path, size_t bytes)
{
	char pattern[PATH_MAX + 64];
	glob_t found;
	int ret;

	if (!dir[0])
		return -ENOENT;
	snprintf(pattern, sizeof(pattern), "%s/%s", dir, file);
	if (glob(pattern, 0, NULL, &found))
		return -ENOENT;
	ret = (size_t)snprintf(path, bytes, "%s", found.gl_pathv[0]) < bytes ? 0 : -ENAMETOOLONG;
	globfree(&found);
	return ret;
}

static int number_below(const char *dir, const char *file, uint64_t *value)
{
	char path[PATH_MAX];
	int ret = path_below(dir, file, path, sizeof(path));

	return ret ? ret : infini_energy_file_u64(path, value);
}

static int text_below(const char *dir, const char *file, char *text, size_t bytes)
{
	char path[PATH_MAX];
	int ret = path_below(dir, file, path, sizeof(path));

	return ret ? ret : infini_energy_file_text(path, text, bytes);
}

/* "../../bus/pci" -> "pci" */
static bool on_bus(const char *dir, const char *bus)
{
	char path[PATH_MAX + 16], target[PATH_MAX];
	ssize_t length;

	snprintf(path, sizeof(path), "%s/subsystem", dir);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return !strcmp(base(target), bus);
}

/* Of the hardware: a virtio GPU's node belongs to a virtio device in a PCI device. */
static void find_hardware(struct infini_inventory_node *node,
			  const struct infini_inventory_where *where)
{
	char path[PATH_MAX], *slash;

	snprintf(path, sizeof(path), "%s/class/%s/%s/device", where->sysfs,
		 node->accel ? "accel" : "drm", base(node->node));
	if (!realpath(path, node->dir)) {
		node->dir[0] = '\0';
		return;
	}
	slash = strrchr(node->dir, '/');
	if (on_bus(node->dir, "virtio") && slash)
		*slash = '\0';
	if (!node->pci[0] && on_bus(node->dir, "pci"))
		snprintf(node->pci, sizeof(node->pci), "%.15s", base(node->dir));
}

static void read_driver(struct infini_inventory_node *node)
{
	char path[PATH_MAX + 16], target[PATH_MAX];
	ssize_t length;

	snprintf(path, sizeof(path), "%s/driver", node->dir);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return;
	target[length] = '\0';
	snprintf(node->driver, sizeof(node->driver), "%.31s", base(target));
}

/* The driver's own word, which needs the node opened. */
static void read_version(struct infini_inventory_node *node)
{
	int fd = open(node->node, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	drmVersionPtr version;

	if (fd < 0) {
		node->error = -errno;
		return;
	}
	version = drmGetVersion(fd);
	if (version) {
		snprintf(node->driver, sizeof(node->driver), "%.*s", version->name_len,
			 version->name);
		snprintf(node->version, sizeof(node->version), "%d.%d.%d", version->version_major,
			 version->version_minor, version->version_patchlevel);
		drmFreeVersion(version);
	}
	close(fd);
}

static void read_names(struct infini_inventory_node *node)
{
	char vendor[16] = "", device[16] = "", modalias[256];

	if (!node->pci[0])
		return;
	if (!text_below(node->dir, "vendor", vendor, sizeof(vendor)) &&
	    !text_below(node->dir, "device", device, sizeof(device)))
		snprintf(node->pci_id, sizeof(node->pci_id), "%.4s:%.4s",
			 vendor + (strncmp(vendor, "0x", 2) ? 0 : 2),
			 device + (strncmp(device, "0x", 2) ? 0 : 2));
	if (!text_below(node->dir, "modalias", modalias, sizeof(modalias)))
		infini_inventory_names(modalias, node);
}

void infini_inventory_node_read(struct infini_inventory_node *node,
				const struct infini_inventory_where *where)
{
	find_hardware(node, where);
	read_driver(node);
	read_version(node);
	read_names(node);
	for (size_t i = 0; i < sizeof(memory_files) / sizeof(memory_files[0]); i++) {
		if (!number_below(node->dir, memory_files[i], &node->memory_bytes))
			break;
	}
}

/* Reading a sensor would wake it. */
static bool sleeps(const struct infini_inventory_node *node)
{
	char status[32];

	return !text_below(node->dir, "power/runtime_status", status, sizeof(status)) &&
	       !strcmp(status, "suspended");
}

void infini_inventory_node_sense(struct infini_inventory_node *node)
{
	struct infini_inventory_reading *reading = &node->reading;

	reading->known &= ~(INFINI_READING_TEMPERATURE | INFINI_READING_POWER);
	if (sleeps(node))
		return;
	if (!number_below(node->dir, "hwmon/hwmon*/temp1_input", &reading->temperature_mc))
		reading->known |= INFINI_READING_TEMPERATURE;
	if (!number_below(node->dir, "hwmon/hwmon*/power1_average", &reading->power_uw) ||
	    !number_below(node->dir, "hwmon/hwmon*/power1_input", &reading->power_uw))
		reading->known |= INFINI_READING_POWER;
}
