// SPDX-License-Identifier: GPL-2.0-or-later
/* What container runtimes are told about the vdevs, kept true while the daemon runs. */
#include "spec.h"

#include "log.h"

#include <cdi.h>
#include <errno.h>
#include <string.h>

static void explain(const struct infini_config *config, struct infini_admin *admin, int error)
{
	const char *why = infini_admin_error(admin);

	infini_warn("%s/" INFINI_CDI_FILE ": containers may get no virtual device, or a wrong one: %s",
		    config->cdi_dir, *why ? why : strerror(-error));
}

void infini_spec_refresh(const struct infini_config *config, struct infini_admin *admin)
{
	const struct infini_cdi cdi = {
		.dir = config->cdi_dir,
		.plugin = config->cdi_plugin,
		.library = config->cdi_library,
	};
	struct infini_cdi_result result;
	static bool failing;
	int ret;

	if (!config->cdi)
		return;
	ret = infini_cdi_update(&cdi, admin, &result);
	if (ret && !failing)
		explain(config, admin, ret);
	else if (!ret && result.changed)
		infini_debug("%s/" INFINI_CDI_FILE ": %u virtual devices", config->cdi_dir,
			     result.nr_vdevs);
	failing = ret;
}
