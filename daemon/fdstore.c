// SPDX-License-Identifier: GPL-2.0-or-later
/* Open files that the service manager keeps for the next supervisor: sd_listen_fds(3), by hand. */
#include "fdstore.h"

#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the files begin that a service manager hands over. */
#define FIRST_FD	3
#define FILES_MAX	65536
/* In which it must have done what it was told. */
#define BARRIER_MS	5000

bool infini_fdstore_present(void)
{
	const char *path = getenv("NOTIFY_SOCKET"), *room = getenv("FDSTORE");

	/* systemd tells how many it keeps since version 254. */
	return path && path[0] && (!room || strcmp(room, "0"));
}

int infini_fdstore_put(const char *name, int fd)
{
	return infini_fdstore_present() ? infini_notify_fd(fd, "FDSTORE=1\nFDNAME=%s\n", name) : 0;
}

int infini_fdstore_forget(const char *name)
{
	return infini_fdstore_present() ? infini_notify("FDSTOREREMOVE=1\nFDNAME=%s\n", name) : 0;
}

int infini_fdstore_remove(const char *name)
{
	int ret = infini_fdstore_forget(name);

	return ret || !infini_fdstore_present() ? ret : infini_notify_barrier(BARRIER_MS);
}

/* ---- taking over ------------------------------------------------------------------- */

static unsigned long number_of(const char *variable)
{
	const char *text = getenv(variable);
	char *end;
	unsigned long value;

	if (!text || text[0] < '0' || text[0] > '9')
		return 0;
	value = strtoul(text, &end, 10);
	return *end ? 0 : value;
}

/* The next of names that colons separate. */
static void next_name(const char **names, char *name)
{
	size_t length = strcspn(*names, ":");

	snprintf(name, INFINI_FDSTORE_NAME_BYTES, "%.*s", (int)length, *names);
	*names += length + ((*names)[length] == ':');
}

int infini_fdstore_take(struct infini_fdstore_file **files, uint32_t *nr)
{
	unsigned long count = number_of("LISTEN_FDS");
	const char *names = getenv("LISTEN_FDNAMES");
	int ret = 0;

	*files = NULL;
	*nr = 0;
	/* They may be meant for another process, which started this one. */
	if (number_of("LISTEN_PID") == (unsigned long)getpid() && count && count <= FILES_MAX) {
		*files = calloc(count, sizeof(**files));
		ret = *files ? 0 : -ENOMEM;
	}
	for (; *files && *nr < count; (*nr)++) {
		(*files)[*nr].fd = FIRST_FD + (int)*nr;
		fcntl((*files)[*nr].fd, F_SETFD, FD_CLOEXEC);
		if (names)
			next_name(&names, (*files)[*nr].name);
	}
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return ret;
}

/* ---- names ------------------------------------------------------------------------- */

bool infini_fdstore_is(const char *name, const char *what)
{
	size_t length = strlen(what);

	return !strncmp(name, what, length) && (!name[length] || name[length] == ' ');
}

bool infini_fdstore_text(const char *name, const char *key, char *value, size_t bytes)
{
	size_t length = strlen(key), value_length;

	value[0] = '\0';
	while ((name = strchr(name, ' '))) {
		name++;
		if (strncmp(name, key, length) || name[length] != '=')
			continue;
		name += length + 1;
		value_length = strcspn(name, " ");
		if (value_length >= bytes)
			return false;
		memcpy(value, name, value_length);
		value[value_length] = '\0';
		return true;
	}
	return false;
}

bool infini_fdstore_number(const char *name, const char *key, uint32_t *value)
{
	char text[16], *end;
	unsigned long number;

	*value = 0;
	if (!infini_fdstore_text(name, key, text, sizeof(text)) || text[0] < '0' || text[0] > '9')
		return false;
	number = strtoul(text, &end, 10);
	if (*end || number > UINT32_MAX)
		return false;
	*value = (uint32_t)number;
	return true;
}
