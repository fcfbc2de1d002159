/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Container Device Interface: the file in which container runtimes find the vdevs of this machine.
 * For infinid and infinictl, which are linked with the archive; not part of the library's interface.
 */
#ifndef INFINI_LIB_CDI_H
#define INFINI_LIB_CDI_H

#include <linux/limits.h>

#include "infini-admin.h"

#define INFINI_CDI_KIND		"infini.dev/vdev"
#define INFINI_CDI_FILE		"infini.dev-vdev.json"
#define INFINI_CDI_DIR		"/var/run/cdi"
/* Where containers find what they need of ours. */
#define INFINI_CDI_INSIDE	"/usr/lib/infini"

/**
 * struct infini_cdi - where the file is, and what containers get besides their node
 * @dir: absolute; made when it is not there
 * @plugin: libggml-infini.so on the host; NULL or a missing file: containers get none
 * @library: libinfini.so.0 on the host, likewise
 */
struct infini_cdi {
	const char *dir;
	const char *plugin;
	const char *library;
};

/**
 * struct infini_cdi_result - what a file says
 * @nr_vdevs: in it; those without a node are not
 * @nr_unnamed: of those, known to runtimes by id alone, because CDI knows no such name
 * @changed: it said something else before
 */
struct infini_cdi_result {
	unsigned int nr_vdevs;
	unsigned int nr_unnamed;
	bool changed;
};

/* Letters, digits and "._-:" between two letters or digits. */
bool infini_cdi_name_valid(const char *name);

/*
 * Make the file say what there is: whole, or not at all. Writers wait for each other, and each lists
 * the vdevs while the others wait, so that the last one is right. Without a vdev there is no file.
 * 0 or -errno, of the listing too.
 */
int infini_cdi_update(const struct infini_cdi *cdi, struct infini_admin *admin,
		      struct infini_cdi_result *result);

/* Take the file away; -ENOENT when there was none. */
int infini_cdi_remove(const char *path);

/* The path of the file in @dir; -ENAMETOOLONG. */
int infini_cdi_path(const char *dir, char path[PATH_MAX]);

#endif /* INFINI_LIB_CDI_H */
