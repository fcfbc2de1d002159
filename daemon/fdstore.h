/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What outlives the supervisor: open files that the service manager keeps for the next one
 * (FileDescriptorStoreMax= of systemd). Each has a name that says what it is, and what else the next
 * supervisor has to know of it: a word, and then KEY=VALUE, separated by blanks.
 *
 * Without a service manager nothing is kept, and nothing of this is an error.
 */
#ifndef INFINI_DAEMON_FDSTORE_H
#define INFINI_DAEMON_FDSTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INFINI_FDSTORE_NAME_BYTES	256

struct infini_fdstore_file {
	int fd;
	char name[INFINI_FDSTORE_NAME_BYTES];
};

/* Whether somebody keeps files; it may refuse them still, or let them go. */
bool infini_fdstore_present(void);

/* Have a copy of @fd kept as @name. */
int infini_fdstore_put(const char *name, int fd);

/* The file is not needed any more. */
int infini_fdstore_forget(const char *name);

/* The same, and the manager has heard it when this returns 0; some close it a moment later. */
int infini_fdstore_remove(const char *name);

/*
 * What an earlier supervisor has left: *@nr files, of which the caller becomes the owner, in an array
 * to free. They are found once.
 */
int infini_fdstore_take(struct infini_fdstore_file **files, uint32_t *nr);

/* Whether the first word of @name is @what. */
bool infini_fdstore_is(const char *name, const char *what);

/* The value of @key in @name; false, and "", when it has none that fits. */
bool infini_fdstore_text(const char *name, const char *key, char *value, size_t bytes);

/* The same for a number; false, and 0. */
bool infini_fdstore_number(const char *name, const char *key, uint32_t *value);

#endif /* INFINI_DAEMON_FDSTORE_H */
