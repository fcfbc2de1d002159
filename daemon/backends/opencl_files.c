// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What drivers keep and leave in the scratch directory, which is memory. PoCL removes a program's files
 * with the program, but not those of a build that fails, and a client may have as many of those as it
 * likes.
 */
#include "opencl_files.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define OPEN_MAX_DEPTH	8

void infini_opencl_files_list(const struct infini_backend *backend,
			      struct infini_opencl_files *files)
{
	files->nr = backend->scratch[0] ? scandir(backend->scratch, &files->entries, NULL, alphasort) :
					  -1;
}

void infini_opencl_files_release(struct infini_opencl_files *files)
{
	if (files->nr < 0)
		return;
	while (files->nr)
		free(files->entries[--files->nr]);
	free(files->entries);
}

static bool is_listed(const struct infini_opencl_files *files, const struct dirent *entry)
{
	for (int i = 0; i < files->nr; i++) {
		if (!strcmp(files->entries[i]->d_name, entry->d_name))
			return true;
	}
	return false;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	remove(path);
	return 0;
}

void infini_opencl_files_restore(const struct infini_backend *backend,
				 const struct infini_opencl_files *files)
{
	char path[sizeof(backend->scratch) + sizeof(files->entries[0]->d_name) + 1];
	struct infini_opencl_files now;

	if (files->nr < 0)
		return;
	infini_opencl_files_list(backend, &now);
	for (int i = 0; i < now.nr; i++) {
		if (is_listed(files, now.entries[i]))
			continue;
		snprintf(path, sizeof(path), "%s/%s", backend->scratch, now.entries[i]->d_name);
		nftw(path, remove_one, OPEN_MAX_DEPTH, FTW_DEPTH | FTW_PHYS);
	}
	infini_opencl_files_release(&now);
}

/* nftw() takes no argument for its function; a worker has one backend and one thread that calls it. */
static uint64_t files_bytes;

static int add_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)path;
	(void)at;
	if (type == FTW_F)
		files_bytes += (uint64_t)st->st_blocks * 512;
	return 0;
}

void infini_opencl_files_count(struct infini_backend *backend)
{
	files_bytes = 0;
	if (backend->scratch[0])
		nftw(backend->scratch, add_file, OPEN_MAX_DEPTH, FTW_PHYS);
	backend->held_bytes = files_bytes;
}
