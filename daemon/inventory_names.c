// SPDX-License-Identifier: GPL-2.0-or-later
/* Names of hardware, out of udev's hardware database, where that is installed. */
#include "inventory.h"

#include <libudev.h>
#include <stdio.h>
#include <string.h>

void infini_inventory_names(const char *modalias, struct infini_inventory_node *node)
{
	struct udev *udev = udev_new();
	struct udev_hwdb *hwdb = udev ? udev_hwdb_new(udev) : NULL;
	struct udev_list_entry *entry;

	if (!hwdb)
		goto out;
	udev_list_entry_foreach(entry, udev_hwdb_get_properties_list_entry(hwdb, modalias, 0)) {
		if (!strcmp(udev_list_entry_get_name(entry), "ID_VENDOR_FROM_DATABASE"))
			snprintf(node->vendor, sizeof(node->vendor), "%s",
				 udev_list_entry_get_value(entry));
		if (!strcmp(udev_list_entry_get_name(entry), "ID_MODEL_FROM_DATABASE"))
			snprintf(node->model, sizeof(node->model), "%s",
				 udev_list_entry_get_value(entry));
	}
	udev_hwdb_unref(hwdb);
out:
	if (udev)
		udev_unref(udev);
}
