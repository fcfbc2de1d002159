/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The shared objects that this process has loaded since some moment, and whether their files are still those. */
#ifndef INFINI_DAEMON_LOADED_H
#define INFINI_DAEMON_LOADED_H

#include <stdbool.h>
#include <stddef.h>

struct infini_loaded_file;

struct infini_loaded {
	struct infini_loaded_file *files;
	size_t nr, room;
};

/* How many objects there are. */
size_t infini_loaded_count(void);

/*
 * Remember the files of all but the first @from objects. 0; -ESTALE when one of them has been replaced already;
 * -ENOMEM. What is remembered stays for the life of the process.
 */
int infini_loaded_remember(struct infini_loaded *loaded, size_t from);

/* Whether none of them has been replaced since: it costs a stat(2) for each. */
bool infini_loaded_is_current(const struct infini_loaded *loaded);

#endif /* INFINI_DAEMON_LOADED_H */
