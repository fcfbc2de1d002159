/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What drivers keep and leave in the scratch directory. */
#ifndef INFINI_OPENCL_FILES_H
#define INFINI_OPENCL_FILES_H

#include <dirent.h>

#include "opencl_device.h"

/* Names in the directory at one moment. */
struct infini_opencl_files {
	struct dirent **entries;
	int nr;
};

void infini_opencl_files_list(const struct infini_backend *backend,
			      struct infini_opencl_files *files);
void infini_opencl_files_release(struct infini_opencl_files *files);

/* Remove what has come since. */
void infini_opencl_files_restore(const struct infini_backend *backend,
				 const struct infini_opencl_files *files);

/* The compiler may have run: what its files take now counts as held. */
void infini_opencl_files_count(struct infini_backend *backend);

#endif /* INFINI_OPENCL_FILES_H */
