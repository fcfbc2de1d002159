// SPDX-License-Identifier: LGPL-2.1-or-later
/* Opening nodes and vdevs, and the commands of the control file. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "ioctl.h"

#define INFINI_NODE_DEFAULT	"/dev/infini"

/* The value of an environment variable, NULL when it is unset, empty or not to be trusted. */
static const char *infini_env(const char *name)
{
	const char *value = secure_getenv(name);

	return value && *value ? value : NULL;
}

int infini_open(const char *path)
{
	int fd;

	if (!path)
		path = infini_env("INFINI_DEVICE");
	fd = open(path ? path : INFINI_NODE_DEFAULT, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int infini_query(int fd, struct infini_query *query)
{
	query->size = sizeof(*query);
	return infini_ioctl(fd, INFINI_IOC_QUERY, query);
}

int infini_vdev_open(int fd, const char *name, uint32_t id)
{
	struct infini_vdev_open vdev = { .size = sizeof(vdev), .id = id };
	int err = name ? infini_name_copy(vdev.name, name) : 0;

	if (!err)
		err = infini_ioctl(fd, INFINI_IOC_VDEV_OPEN, &vdev);
	return err ? err : vdev.fd;
}

int infini_device_register(int fd, struct infini_device_register *reg)
{
	reg->size = sizeof(*reg);
	return infini_ioctl(fd, INFINI_IOC_DEVICE_REGISTER, reg);
}

/* Numbers are ids: the module takes none as a name. */
static int infini_vdev_open_any(int fd, const char *vdev)
{
	unsigned long id;

	if (vdev[strspn(vdev, "0123456789")])
		return infini_vdev_open(fd, vdev, 0);
	errno = 0;
	id = strtoul(vdev, NULL, 10);
	if (errno || id > UINT32_MAX)
		return -ENOENT;
	return infini_vdev_open(fd, NULL, id);
}

static int infini_client_from(int fd, const char *vdev)
{
	if (!vdev)
		vdev = infini_env("INFINI_VDEV");
	if (!vdev || !*vdev)
		return -EDESTADDRREQ;
	return infini_vdev_open_any(fd, vdev);
}

int infini_client_open(const char *path, const char *vdev)
{
	struct infini_query query = { 0 };
	int fd = infini_open(path);
	int client;

	if (fd < 0)
		return fd;
	client = infini_query(fd, &query);
	if (!client && query.role == INFINI_ROLE_CLIENT && (!vdev || !*vdev))
		return fd;
	if (!client)
		client = query.role == INFINI_ROLE_CONTROL ? infini_client_from(fd, vdev) : -EINVAL;
	close(fd);
	return client;
}
