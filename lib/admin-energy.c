// SPDX-License-Identifier: LGPL-2.1-or-later
/* What devices have used in energy, as infinid measures it and tells on its metrics socket. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "infini-admin.h"

#define INFINI_ENERGY_PATIENCE_S	2
#define INFINI_ENERGY_BYTES		16384	/* 64 meters, a line of some 100 bytes each */
#define INFINI_ENERGY_VALUE		"infini_device_energy_joules_total{"

static int infini_energy_connect(const char *path)
{
	const struct timeval patience = { .tv_sec = INFINI_ENERGY_PATIENCE_S };
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, err;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (!connect(fd, (struct sockaddr *)&address, sizeof(address)))
		return fd;
	err = -errno;
	close(fd);
	return err;
}

/* An answer up to its end. */
static int infini_energy_fetch(int fd, char *answer, size_t bytes)
{
	static const char request[] = "GET /metrics/energy HTTP/1.0\r\nHost: infinid\r\n\r\n";
	size_t used = 0;
	ssize_t got;

	if (send(fd, request, sizeof(request) - 1, MSG_NOSIGNAL) != sizeof(request) - 1)
		return -EIO;
	while ((got = recv(fd, answer + used, bytes - 1 - used, 0)) > 0)
		used += got;
	if (got < 0)
		return errno == EAGAIN ? -ETIMEDOUT : -errno;
	if (used == bytes - 1)
		return -EMSGSIZE;
	answer[used] = '\0';
	return 0;
}

/* "12.5" in microjoules; decimals beyond the sixth are not there. */
static bool infini_energy_uj(const char *text, uint64_t *uj)
{
	unsigned long long joules;
	char decimals[7] = "";
	unsigned int rest = 0;
	size_t i;

	if (sscanf(text, "%20llu.%6[0-9]", &joules, decimals) < 1)
		return false;
	for (i = 0; i < 6; i++)
		rest = rest * 10 + (i < strlen(decimals) ? decimals[i] - '0' : 0);
	*uj = joules * 1000000 + rest;
	return true;
}

/* Names of devices have no character that would be escaped. */
static bool infini_energy_parse(const char *line, struct infini_admin_energy *energy)
{
	const char *value = strstr(line, "} ");
	const char *name = strstr(line, "device=\"");
	size_t bytes;

	if (strncmp(line, INFINI_ENERGY_VALUE, strlen(INFINI_ENERGY_VALUE)) || !value || !name)
		return false;
	name += strlen("device=\"");
	bytes = strcspn(name, "\"");
	if (bytes >= sizeof(energy->device))
		return false;
	memcpy(energy->device, name, bytes);
	energy->device[bytes] = '\0';
	return infini_energy_uj(value + 2, &energy->uj);
}

int infini_admin_energy_read(const char *path, struct infini_admin_energy *energy, size_t room,
			     size_t *nr)
{
	char answer[INFINI_ENERGY_BYTES], *line, *rest = NULL;
	int fd = infini_energy_connect(path ? path : INFINI_METRICS_SOCKET);
	int err;

	*nr = 0;
	if (fd < 0)
		return fd;
	err = infini_energy_fetch(fd, answer, sizeof(answer));
	close(fd);
	if (err)
		return err;
	if (!strstr(answer, " 200 "))
		return -EPROTO;
	for (line = strtok_r(answer, "\n", &rest); line && *nr < room;
	     line = strtok_r(NULL, "\n", &rest))
		*nr += infini_energy_parse(line, &energy[*nr]);
	return 0;
}
