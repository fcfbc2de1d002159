// SPDX-License-Identifier: GPL-2.0-or-later
/* Makes and deletes vdevs, one after the other: DEVICE COUNT. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infini-admin.h"

int main(int argc, char **argv)
{
	const struct infini_admin_vdev_config config = {
		.set = INFINI_VDEV_SET_MEMORY, .memory_limit_bytes = 1 << 20, .no_node = true,
	};
	int count = argc == 3 ? atoi(argv[2]) : 0, ret = 0;
	struct infini_admin *admin;
	char name[INFINI_NAME_MAX];
	uint32_t id;

	if (!count || infini_admin_open(&admin))
		return 2;
	for (int i = 0; i < count && !ret; i++) {
		snprintf(name, sizeof(name), "churn-%d", i);
		ret = infini_admin_vdev_create(admin, name, argv[1], &config, &id);
		if (!ret)
			ret = infini_admin_vdev_delete(admin, name, 0, false);
	}
	if (ret)
		fprintf(stderr, "%s: %s %s\n", name, strerror(-ret), infini_admin_error(admin));
	infini_admin_close(admin);
	return ret ? 1 : 0;
}
