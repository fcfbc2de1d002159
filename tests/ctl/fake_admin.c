// SPDX-License-Identifier: GPL-2.0-or-later
/* libinfini-admin for tests of infinictl: devices and vdevs that a test wrote down. */
#include "fake_admin.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GIB	(1ull << 30)

struct fake_admin fake;

struct infini_admin {
	int fd;
};

static void fake_device(unsigned int i, const char *name, uint32_t device_class, uint64_t memory)
{
	struct infini_admin_device *device = &fake.devices[i];

	device->id = i + 1;
	snprintf(device->name, sizeof(device->name), "%s", name);
	snprintf(device->backend, sizeof(device->backend), "ggml");
	snprintf(device->description, sizeof(device->description), "the %s of a test", name);
	device->device_class = device_class;
	device->level = INFINI_LEVEL_SEGMENT;
	device->slots = 1;
	device->online = true;
	device->memory_bytes = memory;
}

static void fake_vdev(unsigned int i, const char *name, uint32_t weight)
{
	struct infini_admin_vdev *vdev = &fake.vdevs[i];

	vdev->id = i + 1;
	vdev->device_id = 1;
	vdev->weight = weight;
	vdev->mode = 0600;
	vdev->minor = i + 1;
	vdev->quantum_ns = 2000000;
	vdev->vdev_class = INFINI_VDEV_CLASS_NORMAL;
	vdev->cap_ppm = INFINI_VDEV_PPM_MAX;
	vdev->memory_limit_bytes = 2 * GIB;
	snprintf(vdev->name, sizeof(vdev->name), "%s", name);
	snprintf(vdev->device_name, sizeof(vdev->device_name), "cpu0");
}

void fake_fill(void)
{
	memset(&fake, 0, sizeof(fake));
	fake_device(0, "cpu0", INFINI_CLASS_CPU, 8 * GIB);
	fake_device(1, "gpu0", INFINI_CLASS_GPU, 24 * GIB);
	fake.devices[0].nr_vdevs = 2;
	fake.devices[0].memory_promised_bytes = 4 * GIB;
	fake.nr_devices = 2;
	fake_vdev(0, "alpha", 300);
	fake_vdev(1, "beta", 100);
	fake.nr_vdevs = 2;
}

int infini_admin_open(struct infini_admin **admin)
{
	struct infini_admin *new;

	if (fake.open_err)
		return fake.open_err;
	new = malloc(sizeof(*new));
	if (!new)
		return -ENOMEM;
	/* Always readable: there is an event, or the end of them. */
	new->fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	*admin = new;
	return 0;
}

void infini_admin_close(struct infini_admin *admin)
{
	if (!admin)
		return;
	close(admin->fd);
	free(admin);
}

const char *infini_admin_error(const struct infini_admin *admin)
{
	const char *sentence = fake.refused ? fake.refusal : fake.sentence;

	(void)admin;
	return sentence ? sentence : "";
}

int infini_admin_device_list(struct infini_admin *admin, infini_admin_device_fn fn, void *arg)
{
	int err = fake.list_err;

	(void)admin;
	for (unsigned int i = 0; i < fake.nr_devices && !err; i++)
		err = fn(&fake.devices[i], arg);
	return err;
}

int infini_admin_vdev_list(struct infini_admin *admin, infini_admin_vdev_fn fn, void *arg)
{
	int err = fake.list_err;

	(void)admin;
	fake.nr_lists++;
	if (fake.on_list)
		fake.on_list();
	for (unsigned int i = 0; i < fake.nr_vdevs && !err; i++)
		err = fn(&fake.vdevs[i], arg);
	return err;
}

int infini_admin_energy_read(const char *path, struct infini_admin_energy *energy, size_t room,
			     size_t *nr)
{
	(void)path;
	*nr = 0;
	if (!fake.energy_uj)
		return -ENOENT;
	assert(room);
	snprintf(energy->device, sizeof(energy->device), "cpu0");
	energy->uj = fake.energy_uj;
	fake.energy_uj += fake.energy_step_uj;
	*nr = 1;
	return 0;
}

int infini_admin_device_get(struct infini_admin *admin, const char *name, uint32_t id,
			    struct infini_admin_device *device)
{
	(void)admin;
	if (fake.list_err)
		return fake.list_err;
	for (unsigned int i = 0; i < fake.nr_devices; i++)
		if (name ? !strcmp(fake.devices[i].name, name) : fake.devices[i].id == id) {
			*device = fake.devices[i];
			return 0;
		}
	return -ENOENT;
}

int infini_admin_vdev_get(struct infini_admin *admin, const char *name, uint32_t id,
			  struct infini_admin_vdev *vdev)
{
	(void)admin;
	if (fake.list_err)
		return fake.list_err;
	for (unsigned int i = 0; i < fake.nr_vdevs; i++)
		if (name ? !strcmp(fake.vdevs[i].name, name) : fake.vdevs[i].id == id) {
			*vdev = fake.vdevs[i];
			return 0;
		}
	return -ENOENT;
}

static int fake_change(const char *name, uint32_t id)
{
	snprintf(fake.name, sizeof(fake.name), "%s", name ? name : "");
	fake.id = id;
	fake.nr_changes++;
	return fake.change_err;
}

int infini_admin_vdev_create(struct infini_admin *admin, const char *name, const char *device,
			     const struct infini_admin_vdev_config *config, uint32_t *id)
{
	int err = 0;

	(void)admin;
	fake.config = *config;
	for (unsigned int i = 0; i < fake.nr_devices; i++)
		if (!strcmp(fake.devices[i].name, device))
			err = fake.refuse_err[i];
	snprintf(fake.tried + strlen(fake.tried), sizeof(fake.tried) - strlen(fake.tried), "%s%s",
		 *fake.tried ? " " : "", device);
	snprintf(fake.device, sizeof(fake.device), "%s", device);
	*id = 3;
	fake.refused = err;
	return err ? err : fake_change(name, 0);
}

int infini_admin_vdev_set(struct infini_admin *admin, const char *name, uint32_t id,
			  const struct infini_admin_vdev_config *config)
{
	(void)admin;
	fake.config = *config;
	return fake_change(name, id);
}

int infini_admin_vdev_delete(struct infini_admin *admin, const char *name, uint32_t id, bool force)
{
	(void)admin;
	fake.force = force;
	return fake_change(name, id);
}

int infini_admin_events_open(struct infini_admin **events)
{
	return infini_admin_open(events);
}

int infini_admin_events_fd(const struct infini_admin *events)
{
	return events->fd;
}

int infini_admin_event_read(struct infini_admin *events, struct infini_admin_event *event)
{
	(void)events;
	if (fake.next_event < fake.nr_events) {
		*event = fake.events[fake.next_event++];
		return 0;
	}
	raise(SIGINT);
	return -EAGAIN;
}
