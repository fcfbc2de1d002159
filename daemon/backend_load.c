// SPDX-License-Identifier: GPL-2.0-or-later
/* Finds a backend's shared object and what it exports. */
#include "backend_load.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int path_of(const char *dir, const char *name, char *path, size_t bytes, char *why,
		   size_t why_bytes)
{
	if ((size_t)snprintf(path, bytes, "%s/infinid-%s.so", dir, name) < bytes)
		return 0;
	snprintf(why, why_bytes, "backend %s: the path of backend_dir is too long", name);
	return -ENAMETOOLONG;
}

int infini_backend_present(const char *dir, const char *name, char *why, size_t why_bytes)
{
	char path[PATH_MAX];
	int ret = path_of(dir, name, path, sizeof(path), why, why_bytes);

	if (ret)
		return ret;
	if (access(path, R_OK) == 0)
		return 0;
	ret = -errno;
	snprintf(why, why_bytes, "backend %s: %s: %s; install it, or set \"enabled = no\" under "
		 "[backend %s]", name, path, strerror(-ret), name);
	return ret;
}

/* "libX.so.1: cannot open shared object file: No such file or directory" -> what is missing. */
static int explain(const char *name, const char *path, const char *error, char *why, size_t bytes)
{
	const char *colon = strchr(error, ':');

	if (colon && strstr(error, "cannot open shared object file")) {
		snprintf(why, bytes, "backend %s: needs %.*s, which is not installed", name,
			 (int)(colon - error), error);
		return -ENOENT;
	}
	if (strncmp(error, path, strlen(path)) == 0)
		snprintf(why, bytes, "backend %s: %s", name, error);
	else
		snprintf(why, bytes, "backend %s: %s: %s", name, path, error);
	return -ENOEXEC;
}

/* Everything that is not optional is there. */
static bool ops_complete(const struct infini_backend_ops *ops)
{
	return ops->name && ops->probe && ops->open && ops->close && ops->buffer_add &&
	       ops->buffer_remove && ops->program_load && ops->program_run && ops->write &&
	       ops->read && ops->copy && ops->fill && ops->held_bytes;
}

int infini_backend_load(const char *dir, const char *name, const struct infini_backend_ops **ops,
			char *why, size_t why_bytes)
{
	const struct infini_backend_ops *found;
	char path[PATH_MAX];
	void *module;
	int ret;

	ret = path_of(dir, name, path, sizeof(path), why, why_bytes);
	if (!ret)
		ret = infini_backend_present(dir, name, why, why_bytes);
	if (ret)
		return ret;
	module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!module)
		return explain(name, path, dlerror(), why, why_bytes);
	found = dlsym(module, INFINI_BACKEND_SYMBOL);
	if (!found) {
		ret = -ENOEXEC;
		snprintf(why, why_bytes, "backend %s: %s exports no %s: it is no backend", name,
			 path, INFINI_BACKEND_SYMBOL);
	} else if (found->abi != INFINI_BACKEND_ABI) {
		ret = -EPROTO;
		snprintf(why, why_bytes,
			 "backend %s: %s speaks backend ABI %u, infinid %d; install both from one "
			 "build", name, path, found->abi, INFINI_BACKEND_ABI);
	} else if (!ops_complete(found) || strcmp(found->name, name)) {
		ret = -ENOEXEC;
		snprintf(why, why_bytes, "backend %s: %s is not the backend \"%s\" or lacks "
			 "functions", name, path, name);
	} else {
		*ops = found;
		return 0;
	}
	dlclose(module);
	return ret;
}
