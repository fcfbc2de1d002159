// SPDX-License-Identifier: GPL-2.0-or-later
/* Which events of udev make infinid look for hardware. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "hotplug.h"

#include <errno.h>
#include <libudev.h>
#include <string.h>

struct udev {
	int references;
};

struct udev_monitor {
	const char *source;
	bool drm, accel, receiving;
};

struct udev_device {
	const char *action, *name;
};

static struct udev context;
static struct udev_monitor monitor;
static struct udev_device waiting[4];
static unsigned int next;
static int end_errno;
static bool udev_runs, no_netlink;
static struct infini_hotplug *hotplug;

/* ---- what stands for udev ---------------------------------------------------------- */

struct udev *__wrap_udev_new(void);
struct udev *__wrap_udev_new(void)
{
	context.references++;
	return &context;
}

struct udev *__wrap_udev_unref(struct udev *udev);
struct udev *__wrap_udev_unref(struct udev *udev)
{
	udev->references--;
	return NULL;
}

struct udev_monitor *__wrap_udev_monitor_new_from_netlink(struct udev *udev, const char *source);
struct udev_monitor *__wrap_udev_monitor_new_from_netlink(struct udev *udev, const char *source)
{
	assert_ptr_equal(udev, &context);
	if (no_netlink)
		return NULL;
	monitor = (struct udev_monitor){ .source = source };
	return &monitor;
}

struct udev_monitor *__wrap_udev_monitor_unref(struct udev_monitor *m);
struct udev_monitor *__wrap_udev_monitor_unref(struct udev_monitor *m)
{
	m->receiving = false;
	return NULL;
}

int __wrap_udev_monitor_filter_add_match_subsystem_devtype(struct udev_monitor *m,
							   const char *subsystem, const char *type);
int __wrap_udev_monitor_filter_add_match_subsystem_devtype(struct udev_monitor *m,
							   const char *subsystem, const char *type)
{
	assert_null(type);
	m->drm |= !strcmp(subsystem, "drm");
	m->accel |= !strcmp(subsystem, "accel");
	return 0;
}

int __wrap_udev_monitor_enable_receiving(struct udev_monitor *m);
int __wrap_udev_monitor_enable_receiving(struct udev_monitor *m)
{
	m->receiving = true;
	return 0;
}

int __wrap_udev_monitor_get_fd(struct udev_monitor *m);
int __wrap_udev_monitor_get_fd(struct udev_monitor *m)
{
	assert_ptr_equal(m, &monitor);
	return 33;
}

struct udev_device *__wrap_udev_monitor_receive_device(struct udev_monitor *m);
struct udev_device *__wrap_udev_monitor_receive_device(struct udev_monitor *m)
{
	assert_true(m->receiving);
	if (next < 4 && waiting[next].name)
		return &waiting[next++];
	errno = end_errno;
	return NULL;
}

const char *__wrap_udev_device_get_action(struct udev_device *device);
const char *__wrap_udev_device_get_action(struct udev_device *device)
{
	return device->action;
}

const char *__wrap_udev_device_get_sysname(struct udev_device *device);
const char *__wrap_udev_device_get_sysname(struct udev_device *device)
{
	return device->name;
}

struct udev_device *__wrap_udev_device_unref(struct udev_device *device);
struct udev_device *__wrap_udev_device_unref(struct udev_device *device)
{
	device->name = NULL;
	return NULL;
}

int __wrap_access(const char *path, int mode);
int __wrap_access(const char *path, int mode)
{
	(void)mode;
	assert_string_equal(path, "/run/udev/control");
	return udev_runs ? 0 : -1;
}

static int reset(void **state)
{
	(void)state;
	memset(waiting, 0, sizeof(waiting));
	next = 0;
	end_errno = EAGAIN;
	udev_runs = true;
	no_netlink = false;
	context.references = 0;
	return 0;
}

/* ---- cases ------------------------------------------------------------------------- */

static void udev_is_listened_to(void **state)
{
	(void)state;
	assert_int_equal(infini_hotplug_start(&hotplug), 0);
	assert_string_equal(monitor.source, "udev");
	assert_true(monitor.drm && monitor.accel && monitor.receiving);
	assert_int_equal(infini_hotplug_fd(hotplug), 33);
	infini_hotplug_stop(hotplug);
	assert_false(monitor.receiving);
	assert_int_equal(context.references, 0);
}

static void kernel_is_listened_to_without_udev(void **state)
{
	(void)state;
	udev_runs = false;
	assert_int_equal(infini_hotplug_start(&hotplug), 0);
	assert_string_equal(monitor.source, "kernel");
	infini_hotplug_stop(hotplug);
}

static void nobody_to_listen_to(void **state)
{
	(void)state;
	no_netlink = true;
	assert_int_equal(infini_hotplug_start(&hotplug), -EPROTONOSUPPORT);
	assert_null(hotplug);
	assert_int_equal(context.references, 0);
	infini_hotplug_stop(hotplug);
}

static const struct {
	const char *what;
	struct udev_device events[3];
	int end_errno;
	bool changed;
} cases[] = {
	{ "nothing", { { NULL, NULL } }, EAGAIN, false },
	{ "a GPU comes", { { "add", "renderD128" } }, EAGAIN, true },
	{ "a GPU goes", { { "remove", "renderD129" } }, EAGAIN, true },
	{ "an NPU comes", { { "add", "accel0" } }, EAGAIN, true },
	{ "a card without a render node", { { "add", "card0" } }, EAGAIN, false },
	{ "a screen is plugged in", { { "change", "card0" }, { "add", "card0-HDMI-A-1" } }, EAGAIN,
	  false },
	{ "a render node changes", { { "change", "renderD128" } }, EAGAIN, false },
	{ "a GPU among others", { { "add", "card1" }, { "add", "renderD128" },
				  { "add", "card1-DP-1" } }, EAGAIN, true },
	{ "an event without an action", { { NULL, "renderD128" } }, EAGAIN, false },
	{ "events were lost", { { NULL, NULL } }, ENOBUFS, true },
};

static void each_event(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		reset(state);
		memcpy(waiting, cases[i].events, sizeof(cases[i].events));
		end_errno = cases[i].end_errno;
		assert_int_equal(infini_hotplug_start(&hotplug), 0);
		if (infini_hotplug_read(hotplug) != cases[i].changed)
			fail_msg("%s", cases[i].what);
		for (unsigned int k = 0; k < 3; k++) {
			if (waiting[k].name)
				fail_msg("%s: event %u was not read", cases[i].what, k);
		}
		infini_hotplug_stop(hotplug);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(udev_is_listened_to, reset),
		cmocka_unit_test_setup(kernel_is_listened_to_without_udev, reset),
		cmocka_unit_test_setup(nobody_to_listen_to, reset),
		cmocka_unit_test_setup(each_event, reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
