// SPDX-License-Identifier: GPL-2.0-or-later
/* The shared objects that this process has loaded since some moment, and whether their files are still those. */
#include "loaded.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct infini_loaded_file {
	char *path;
	dev_t device;
	ino_t inode;
	struct timespec changed;
};

static int count(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	(void)info;
	(void)bytes;
	++*(size_t *)arg;
	return 0;
}

size_t infini_loaded_count(void)
{
	size_t nr = 0;

	dl_iterate_phdr(count, &nr);
	return nr;
}

/* ---- remembering -------------------------------------------------------------------- */

static int add(struct infini_loaded *loaded, const char *path)
{
	struct infini_loaded_file *grown;
	struct stat now;

	/* What is no file, such as the vDSO, is not replaced. */
	if (path[0] != '/')
		return 0;
	if (loaded->nr == loaded->room) {
		grown = realloc(loaded->files, (2 * loaded->room + 16) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		loaded->files = grown;
		loaded->room = 2 * loaded->room + 16;
	}
	if (stat(path, &now))
		return -ESTALE;
	loaded->files[loaded->nr] = (struct infini_loaded_file){
		.path = strdup(path), .device = now.st_dev, .inode = now.st_ino, .changed = now.st_ctim,
	};
	return loaded->files[loaded->nr++].path ? 0 : -ENOMEM;
}

struct walk {
	struct infini_loaded *loaded;
	size_t skip;
};

/* They are told in the order in which they were loaded. */
static int remember(struct dl_phdr_info *info, size_t bytes, void *arg)
{
	struct walk *walk = arg;

	(void)bytes;
	if (walk->skip) {
		walk->skip--;
		return 0;
	}
	return add(walk->loaded, info->dlpi_name);
}

/* By the name that the kernel has for it, which is none of a link. */
static bool is_ours(const struct infini_loaded *loaded, const char *path, size_t length)
{
	char real[PATH_MAX];

	for (size_t i = 0; i < loaded->nr; i++) {
		if (realpath(loaded->files[i].path, real) && strlen(real) == length && !memcmp(real, path, length))
			return true;
	}
	return false;
}

/* A file that was replaced before it was looked at is one that the kernel calls deleted. */
static bool is_any_deleted(const struct infini_loaded *loaded)
{
	static const char mark[] = " (deleted)\n";
	FILE *maps = fopen("/proc/self/maps", "re");
	size_t bytes = 0, length;
	bool found = false;
	char *line = NULL, *path;

	while (maps && !found && getline(&line, &bytes, maps) > 0) {
		path = strchr(line, '/');
		length = path ? strlen(path) : 0;
		if (length >= sizeof(mark) && !strcmp(path + length - (sizeof(mark) - 1), mark))
			found = is_ours(loaded, path, length - (sizeof(mark) - 1));
	}
	free(line);
	if (maps)
		fclose(maps);
	return found;
}

int infini_loaded_remember(struct infini_loaded *loaded, size_t from)
{
	struct walk walk = { loaded, from };
	int ret = dl_iterate_phdr(remember, &walk);

	if (!ret && is_any_deleted(loaded))
		ret = -ESTALE;
	return ret;
}

bool infini_loaded_is_current(const struct infini_loaded *loaded)
{
	const struct infini_loaded_file *file = loaded->files;
	struct stat now;

	for (; file < loaded->files + loaded->nr; file++) {
		if (stat(file->path, &now) || now.st_dev != file->device || now.st_ino != file->inode ||
		    now.st_ctim.tv_sec != file->changed.tv_sec || now.st_ctim.tv_nsec != file->changed.tv_nsec)
			return false;
	}
	return true;
}
