// SPDX-License-Identifier: GPL-2.0-or-later
/* The administrator: makes, changes, lists and deletes vdevs, listens to events, looks around. */
#include <errno.h>
#include <fcntl.h>
#include <linux/infini_netlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../../selftest/genl.h"
#include "actor.h"

#define MIB	(1 << 20)

static struct genl genl, events;

/* ---- what the answers say ---- */

static void take_vdev(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	const struct genl_attr *name = &attrs[INFINI_A_VDEV_NAME];
	const char *text = name->data;

	(void)cmd;
	(void)arg;
	if (name->bytes == 3 && text[0] == 'v' && text[1] >= '0' && text[1] < '0' + VDEVS)
		shared->vdevs[text[1] - '0'] = genl_u32(&attrs[INFINI_A_VDEV_ID]);
}

static void take_new(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	(void)cmd;
	*(uint32_t *)arg = genl_u32(&attrs[INFINI_A_VDEV_ID]);
}

/* ---- requests ---- */

static void wrong_attribute(struct genl_request *request)
{
	uint64_t values[4] = { random_odd(), random_odd(), random_odd(), random_odd() };

	shared->mangled++;
	genl_put(request, random_below(64) | (one_in(16) ? random_odd() & 0xc000 : 0), values,
		 random_below(sizeof(values)));
}

/* Now and then an attribute is wrong, too many, or another command's. */
static int talk(enum call call, struct genl_request *request, bool dump, genl_fn fn, void *arg)
{
	while (one_in(8) && request->used < 1024)
		wrong_attribute(request);
	if (one_in(64) && request->used > 24)
		request->bytes[20 + random_below(request->used - 20)] ^= 1 << random_below(8);
	call_begin(call);
	return call_end(call, genl_talk(&genl, request, dump, fn, arg));
}

static void put_limits(struct genl_request *request)
{
	if (one_in(2))
		genl_put_u32(request, INFINI_A_VDEV_WEIGHT, 1 + random_below(10000));
	if (one_in(4))
		genl_put_u64(request, INFINI_A_VDEV_QUANTUM_NS, 100000 + random_below(5000000));
	if (one_in(2))
		genl_put_u32(request, INFINI_A_VDEV_CLASS, random_below(one_in(8) ? 5 : 3));
	if (one_in(4))
		genl_put_u32(request, INFINI_A_VDEV_CAP_PPM, 200000 + random_below(800001));
	if (one_in(4))
		genl_put_u32(request, INFINI_A_VDEV_FLOOR_PPM, random_below(200000));
	/* A rate holds waiters up for long; mostly there is none, and never for long. */
	genl_put_u64(request, INFINI_A_VDEV_TOKENS_PER_S, one_in(4) ? 1000 + random_below(100000) : 0);
	if (one_in(4))
		genl_put_u64(request, INFINI_A_VDEV_TOKEN_BURST, random_below(10000));
	if (one_in(4))
		genl_put(request, INFINI_A_VDEV_OVERCOMMIT, NULL, 0);
	if (one_in(8)) {
		uint8_t exclusive = one_in(4);

		genl_put(request, INFINI_A_VDEV_EXCLUSIVE, &exclusive, sizeof(exclusive));
	}
	if (one_in(16)) {
		int32_t fd = one_in(2) ? -1 : (int32_t)random_odd();

		genl_put(request, INFINI_A_VDEV_CGROUP_FD, &fd, sizeof(fd));
	}
}

static void put_owner(struct genl_request *request)
{
	uint32_t uid = one_in(2) ? NOBODY : 0;

	genl_put_u32(request, INFINI_A_VDEV_UID, uid);
	genl_put_u32(request, INFINI_A_VDEV_GID, uid);
	genl_put_u32(request, INFINI_A_VDEV_MODE, one_in(4) ? 0600 : 0666);
}

static void put_name(struct genl_request *request, unsigned int index)
{
	char name[8];

	snprintf(name, sizeof(name), "v%u", index);
	genl_put_string(request, INFINI_A_VDEV_NAME, name);
}

static void do_new(void)
{
	unsigned int index = random_below(VDEVS);
	struct genl_request request;
	char device[8];
	uint32_t id = 0;

	snprintf(device, sizeof(device), "fuzz%u", index % DEVICES);
	genl_begin(&request, INFINI_CMD_VDEV_NEW);
	put_name(&request, index);
	genl_put_string(&request, INFINI_A_VDEV_DEVICE_NAME, device);
	genl_put_u64(&request, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, MIB * (4ULL + random_below(24)));
	put_owner(&request);
	put_limits(&request);
	if (one_in(8))
		genl_put(&request, INFINI_A_VDEV_NO_NODE, NULL, 0);
	if (one_in(8)) {
		uint64_t uuid[2] = { random_below(4), random_odd() };

		genl_put(&request, INFINI_A_VDEV_UUID, uuid, sizeof(uuid));
	}
	if (!talk(CALL_NL_VDEV_NEW, &request, false, take_new, &id) && id)
		shared->vdevs[index] = id;
}

static void put_key(struct genl_request *request)
{
	unsigned int index = random_below(VDEVS);

	if (one_in(2))
		put_name(request, index);
	else
		genl_put_u32(request, INFINI_A_VDEV_ID,
			     one_in(16) ? random_odd() : shared->vdevs[index]);
}

static void do_set(void)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_VDEV_SET);
	put_key(&request);
	put_limits(&request);
	if (one_in(4))
		put_owner(&request);
	if (one_in(4))
		genl_put_u64(&request, INFINI_A_VDEV_MEMORY_LIMIT_BYTES,
			     one_in(8) ? random_odd() : MIB * (4ULL + random_below(24)));
	talk(CALL_NL_VDEV_SET, &request, false, NULL, NULL);
}

static void do_del(void)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_VDEV_DEL);
	put_key(&request);
	if (one_in(2))
		genl_put(&request, INFINI_A_VDEV_FORCE, NULL, 0);
	talk(CALL_NL_VDEV_DEL, &request, false, NULL, NULL);
}

static void do_get(void)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_VDEV_GET);
	put_key(&request);
	talk(CALL_NL_VDEV_GET, &request, false, take_vdev, NULL);
}

static void do_list(void)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_VDEV_GET);
	talk(CALL_NL_VDEV_LIST, &request, true, take_vdev, NULL);
}

static void do_device_get(void)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_DEVICE_GET);
	genl_put_string(&request, INFINI_A_DEVICE_NAME, one_in(2) ? "fuzz0" : "fuzz1");
	talk(CALL_NL_DEVICE_GET, &request, false, NULL, NULL);
}

static void do_device_list(void)
{
	struct genl_request request;

	genl_begin(&request, INFINI_CMD_DEVICE_GET);
	talk(CALL_NL_DEVICE_LIST, &request, true, NULL, NULL);
}

/* A command that there is not, or with nothing in it. */
static void do_stray(void)
{
	struct genl_request request;

	genl_begin(&request, random_below(16));
	talk(CALL_STRAY, &request, one_in(2), NULL, NULL);
}

static void do_event(void)
{
	uint32_t type, vdev, pid;
	int err, most = 64;

	do {
		call_begin(CALL_NL_EVENT);
		err = call_end(CALL_NL_EVENT, genl_event(&events, &type, &vdev, &pid));
	} while (!err && most--);
}

static void do_file(enum call call, const char *path)
{
	static char text[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	memset(text, 0, sizeof(text));
	CALL(call, read(fd, text, sizeof(text)));
	close(fd);
}

static void do_look(void)
{
	static const char *const files[] = { "memory_limit_bytes", "device_name", "weight", "uuid" };
	char path[96];

	if (one_in(2)) {
		do_file(CALL_DEBUGFS, "/sys/kernel/debug/infini/jobs");
		return;
	}
	snprintf(path, sizeof(path), "/sys/class/infini/infini%u/%s",
		 shared->vdevs[random_below(VDEVS)], files[random_below(ARRAY_SIZE(files))]);
	do_file(CALL_SYSFS, path);
}

static const struct {
	void (*step)(void);
	unsigned int weight;
} steps[] = {
	{ do_new, 8 }, { do_set, 20 }, { do_del, 3 }, { do_get, 4 }, { do_list, 2 },
	{ do_device_get, 2 }, { do_device_list, 3 }, { do_stray, 2 }, { do_event, 4 },
	{ do_look, 3 },
};

static void do_something(void)
{
	unsigned int i, at = 0;

	for (i = 0; i < ARRAY_SIZE(steps); i++)
		at += steps[i].weight;
	at = random_below(at);
	for (i = 0; at >= steps[i].weight; i++)
		at -= steps[i].weight;
	steps[i].step();
}

void admin_run(unsigned int turn)
{
	/* An answer that could not be made is none: not waited for. */
	struct timeval most = { .tv_sec = 10 };
	struct timespec pause = { .tv_nsec = 1000000 };
	unsigned int i;
	int nth;

	actor_begin(ACTOR_ADMIN, turn);
	if (genl_open(&genl) || genl_open(&events) || genl_join(&events))
		_exit(1);
	setsockopt(genl.fd, SOL_SOCKET, SO_RCVTIMEO, &most, sizeof(most));
	/* Nothing fails before the memory for answers has been touched. */
	nth = me.fail_nth;
	me.fail_nth = -1;
	for (i = 0; i < 2 * VDEVS; i++)
		do_new();
	for (i = 0; i < 4; i++)
		do_list();
	me.fail_nth = nth;
	while (!shared->stop) {
		do_something();
		nanosleep(&pause, NULL);
	}
	_exit(0);
}
