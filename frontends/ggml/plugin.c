// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What ggml finds in libggml-infini.so: a registration with one device, or none with the reason.
 */
#include "frontend.h"

#include <string.h>

#define INFINI_EXPORT	__attribute__((visibility("default")))

INFINI_EXPORT int ggml_backend_score(void);
INFINI_EXPORT ggml_backend_reg_t ggml_backend_init(void);

/* Of libggml, which every program that loads plugins has; libggml-base has no list of them. */
extern ggml_backend_reg_t ggml_backend_reg_by_name(const char *name) __attribute__((weak));

static struct infini_link infini_plugin_link = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.fd = -1,
};

static const char *infini_reg_name(ggml_backend_reg_t reg)
{
	(void)reg;
	return "INFINI";
}

static size_t infini_reg_count(ggml_backend_reg_t reg)
{
	(void)reg;
	return 1;
}

static ggml_backend_dev_t infini_reg_device(ggml_backend_reg_t reg, size_t index)
{
	return index ? NULL : reg->context;
}

static void *infini_reg_proc(ggml_backend_reg_t reg, const char *name)
{
	(void)reg;
	if (!strcmp(name, "ggml_backend_set_n_threads"))
		return infini_stream_set_threads;
	if (!strcmp(name, "ggml_backend_dev_get_extra_bufts"))
		return infini_device_extra_types;
	return NULL;
}

static struct ggml_backend_reg infini_reg = {
	.api_version = INFINI_ABI_API_VERSION,
	.iface = {
		.get_name = infini_reg_name,
		.get_device_count = infini_reg_count,
		.get_device = infini_reg_device,
		.get_proc_address = infini_reg_proc,
	},
};

/* Checked again on every call until it holds. */
static bool infini_plugin_ready(void)
{
	char problem[160];
	int err;

	if (infini_abi_problem(problem, sizeof(problem))) {
		infini_say_once("%s; no device offered", problem);
		return false;
	}
	pthread_mutex_lock(&infini_plugin_link.lock);
	err = infini_link_open_locked(&infini_plugin_link);
	pthread_mutex_unlock(&infini_plugin_link.lock);
	return !err;
}

/* Asked when ggml looks through its folder of plugins: 0 means not on this machine. */
int ggml_backend_score(void)
{
	return infini_plugin_ready() ? 1 : 0;
}

ggml_backend_reg_t ggml_backend_init(void)
{
	ggml_backend_reg_t known = ggml_backend_reg_by_name ? ggml_backend_reg_by_name("INFINI") :
							      NULL;

	/* In ggml's folder and named by GGML_BACKEND_PATH too, or loaded twice: one is enough. */
	if (known)
		return known;
	if (!infini_plugin_ready())
		return NULL;
	infini_reg.context = infini_device_create(&infini_reg, &infini_plugin_link);
	return &infini_reg;
}

/* The object is never unloaded (-z nodelete). At exit a thread may still be computing. */
static void __attribute__((destructor)) infini_plugin_unload(void)
{
	if (pthread_mutex_trylock(&infini_plugin_link.lock))
		return;
	if (!infini_plugin_link.users)
		infini_link_close_locked(&infini_plugin_link);
	pthread_mutex_unlock(&infini_plugin_link.lock);
}
