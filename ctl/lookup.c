// SPDX-License-Identifier: GPL-2.0-or-later
/* Finding devices and vdevs by what people type, and saying what comes near. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "units.h"

static int infini_device_add(const struct infini_admin_device *device, void *arg)
{
	struct infini_devices *devices = arg;
	struct infini_admin_device *more;

	more = reallocarray(devices->device, devices->nr + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	devices->device = more;
	devices->device[devices->nr++] = *device;
	return 0;
}

int infini_devices_list(struct infini_ctl *ctl, struct infini_devices *devices)
{
	int err;

	*devices = (struct infini_devices){ 0 };
	err = infini_admin_device_list(ctl->admin, infini_device_add, devices);
	if (!err)
		return 0;
	free(devices->device);
	*devices = (struct infini_devices){ 0 };
	return err;
}

int infini_devices_load(struct infini_ctl *ctl, struct infini_devices *devices)
{
	int err = infini_devices_list(ctl, devices);

	return err ? infini_fail_request(ctl, err, "listing devices") : 0;
}

static int infini_vdev_add(const struct infini_admin_vdev *vdev, void *arg)
{
	struct infini_vdevs *vdevs = arg;
	struct infini_admin_vdev *more = reallocarray(vdevs->vdev, vdevs->nr + 1, sizeof(*more));

	if (!more)
		return -ENOMEM;
	vdevs->vdev = more;
	vdevs->vdev[vdevs->nr++] = *vdev;
	return 0;
}

int infini_vdevs_list(struct infini_ctl *ctl, struct infini_vdevs *vdevs)
{
	int err;

	*vdevs = (struct infini_vdevs){ 0 };
	err = infini_admin_vdev_list(ctl->admin, infini_vdev_add, vdevs);
	if (!err)
		return 0;
	free(vdevs->vdev);
	*vdevs = (struct infini_vdevs){ 0 };
	return err;
}

int infini_vdevs_load(struct infini_ctl *ctl, struct infini_vdevs *vdevs)
{
	int err = infini_vdevs_list(ctl, vdevs);

	return err ? infini_fail_request(ctl, err, "listing vdevs") : 0;
}

void infini_vdevs_none_print(void)
{
	fputs("infinictl: there is no vdev yet (infinictl vdev create NAME --memory SIZE)\n", stderr);
}

int infini_key_parse(struct infini_ctl *ctl, const char *noun, const char *word, const char **name,
		     uint32_t *id)
{
	uint64_t value;

	*id = 0;
	*name = word;
	if (!*word)
		return infini_fail(ctl, INFINI_EXIT_USAGE, "the name of the %s is empty", noun);
	if (!word[strspn(word, "0123456789")]) {
		if (infini_number_parse(word, &value) || value > UINT32_MAX)
			return infini_fail(ctl, INFINI_EXIT_FAILURE, "no %s has id %s", noun, word);
		*name = NULL;
		*id = value;
	} else if (strlen(word) > INFINI_NAME_LEN_MAX) {
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "%s \"%s\": a name has at most %d characters", noun, word,
				   INFINI_NAME_LEN_MAX);
	}
	return 0;
}

/* What there is, best matches first, as far as there is room. */
struct infini_names {
	char list[256];
	const char *near;
	size_t near_distance;
	size_t nr;
};

static void infini_names_add(struct infini_names *names, const char *name, const char *word)
{
	size_t distance = infini_near_distance(word, name);
	size_t len = strlen(names->list);

	if (distance < names->near_distance) {
		names->near_distance = distance;
		names->near = name;
	}
	names->nr++;
	if (len + strlen(name) + 6 < sizeof(names->list))
		sprintf(names->list + len, "%s%s", len ? ", " : "", name);
	else if (names->list[len - 1] != '.')
		strcpy(names->list + len, " ...");
}

static int infini_fail_unknown(struct infini_ctl *ctl, const char *noun, const char *word,
			       const struct infini_names *names)
{
	if (names->near)
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "no %s \"%s\": did you mean \"%s\"? (%ss: %s)", noun, word,
				   names->near, noun, names->list);
	return infini_fail(ctl, INFINI_EXIT_FAILURE, "no %s \"%s\" (%ss: %s)", noun, word, noun,
			   names->list);
}

int infini_fail_unknown_device(struct infini_ctl *ctl, const char *word)
{
	struct infini_names names = { .near_distance = infini_near_bound(word) };
	struct infini_devices devices;
	int status = infini_devices_load(ctl, &devices);

	for (size_t i = 0; i < devices.nr; i++)
		infini_names_add(&names, devices.device[i].name, word);
	if (!status && !devices.nr)
		status = infini_fail(ctl, INFINI_EXIT_FAILURE,
				     "no device is registered: is infinid running? (systemctl start infinid)");
	else if (!status)
		status = infini_fail_unknown(ctl, "device", word, &names);
	free(devices.device);
	return status;
}

int infini_fail_unknown_vdev(struct infini_ctl *ctl, const char *word)
{
	struct infini_names names = { .near_distance = infini_near_bound(word) };
	struct infini_vdevs vdevs;
	int status = infini_vdevs_load(ctl, &vdevs);

	for (size_t i = 0; i < vdevs.nr; i++)
		infini_names_add(&names, vdevs.vdev[i].name, word);
	if (!status && !vdevs.nr)
		status = infini_fail(ctl, INFINI_EXIT_FAILURE,
				     "no vdev \"%s\": there are none yet (infinictl vdev create %s --memory SIZE)",
				     word, word);
	else if (!status)
		status = infini_fail_unknown(ctl, "vdev", word, &names);
	free(vdevs.vdev);
	return status;
}

int infini_fail_unknown_pool(struct infini_ctl *ctl, const char *word, char *pools)
{
	struct infini_names names = { .near_distance = infini_near_bound(word) };
	char *rest = NULL;

	for (char *name = strtok_r(pools, " ", &rest); name; name = strtok_r(NULL, " ", &rest))
		infini_names_add(&names, name, word);
	if (names.nr)
		return infini_fail_unknown(ctl, "pool", word, &names);
	return infini_fail(ctl, INFINI_EXIT_FAILURE,
			   "no pool \"%s\": infinid.conf has no section [pool %s]", word, word);
}

int infini_device_lookup(struct infini_ctl *ctl, const char *word,
			 struct infini_admin_device *device)
{
	const char *name;
	uint32_t id;
	int err = infini_key_parse(ctl, "device", word, &name, &id);

	if (err)
		return err;
	err = infini_admin_device_get(ctl->admin, name, id, device);
	if (err == -ENOENT)
		return infini_fail_unknown_device(ctl, word);
	return err ? infini_fail_request(ctl, err, "device \"%s\"", word) : 0;
}

int infini_vdev_lookup(struct infini_ctl *ctl, const char *word, struct infini_admin_vdev *vdev)
{
	const char *name;
	uint32_t id;
	int err = infini_key_parse(ctl, "vdev", word, &name, &id);

	if (err)
		return err;
	err = infini_admin_vdev_get(ctl->admin, name, id, vdev);
	if (err == -ENOENT)
		return infini_fail_unknown_vdev(ctl, word);
	return err ? infini_fail_request(ctl, err, "vdev \"%s\"", word) : 0;
}

bool infini_daemon_runs(const char *run_dir, pid_t *pid)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];
	int fd, ret;

	*pid = 0;
	snprintf(path, sizeof(path), "%s/infinid.pid", run_dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ret = fcntl(fd, F_GETLK, &lock);
	close(fd);
	if (ret || lock.l_type == F_UNLCK)
		return false;
	*pid = lock.l_pid;
	return true;
}
