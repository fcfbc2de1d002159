// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An empty job, handed in and waited for in one call: by an executor that does nothing else than
 * EXCHANGE, as the other peers' servers, and by infinid's worker with the null backend.
 */
#include <errno.h>
#include <infini-admin.h>
#include <infini.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"

#define DEVICE	"bench"
#define VDEV	"bench"

struct channel {
	int fd;
	uint32_t queue;
};

static struct {
	struct channel channel;		/* the first member: what trips are made with */
	struct infini_admin *admin;
	int device;
	int executor;
} infini;

static struct channel infinid;

static int device_make(void)
{
	struct infini_memory_kind kind = {
		.name = "CPU",
		.flags = INFINI_MEMORY_F_UNIFIED,
		.alignment = 64,
	};
	struct infini_device_register reg = {
		.name = DEVICE,
		.backend = "null",
		.description = "does nothing",
		.device_class = INFINI_CLASS_CPU,
		.level = INFINI_LEVEL_SEGMENT,
		.slots = 1,
		.nr_kinds = 1,
		.memory_bytes = 1 << 30,
		.kinds = (uintptr_t)&kind,
		.kinds_stride = sizeof(kind),
	};
	int control = infini_open(NULL), err;

	if (control < 0)
		return control;
	err = infini_device_register(control, &reg);
	close(control);
	infini.device = reg.fd;
	return err;
}

static int infini_make(void *own)
{
	const struct infini_admin_vdev_config config = {
		.set = INFINI_VDEV_SET_MEMORY,
		.memory_limit_bytes = 64 << 20,
	};
	uint32_t id;
	int err;

	(void)own;
	err = infini_admin_open(&infini.admin);
	if (!err)
		err = device_make();
	if (!err)
		err = infini_admin_vdev_create(infini.admin, VDEV, DEVICE, &config, &id);
	if (err)
		return err;
	infini.executor = infini_executor_create(infini.device, id);
	return infini.executor < 0 ? infini.executor : 0;
}

static void infini_serve(void *own)
{
	struct infini_executor_attach attach = { .protocol = INFINI_PROTOCOL_VERSION, .window = 1 };
	struct infini_result result = { .state = INFINI_RESULT_DONE };
	struct infini_dispatch dispatch;
	struct infini_exchange exchange = {
		.results = (uintptr_t)&result,
		.results_stride = sizeof(result),
		.dispatches = (uintptr_t)&dispatch,
		.nr_dispatches = 1,
		.dispatches_stride = sizeof(dispatch),
		.deadline_ns = INFINI_FOREVER,
	};
	void *payload;
	int err = infini_executor_attach(infini.executor, &attach);

	(void)own;
	if (err)
		die("attach", err);
	payload = mmap(NULL, attach.payload_bytes, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (payload == MAP_FAILED)
		die("payload", errno);
	exchange.payload = (uintptr_t)payload;
	exchange.payload_bytes = attach.payload_bytes;
	for (;;) {
		err = infini_exchange(infini.executor, &exchange);
		if (err)
			die("exchange", err);
		exchange.nr_results = exchange.returned;
		result.dispatch = dispatch.dispatch;
	}
}

static int channel_open(struct channel *channel, const char *vdev)
{
	struct infini_queue_create queue = { .depth = 1 };
	int err;

	channel->fd = infini_client_open(NULL, vdev);
	if (channel->fd < 0)
		return channel->fd;
	err = infini_queue_create(channel->fd, &queue);
	channel->queue = queue.handle;
	return err;
}

static int infini_reach(void *own)
{
	close(infini.executor);
	return channel_open(own, VDEV);
}

static void channel_trip(void *own)
{
	const struct channel *channel = own;
	const struct infini_job job = { .op = INFINI_OP_NOP };
	struct infini_submit submit = {
		.flags = INFINI_SUBMIT_F_WAIT,
		.queue = channel->queue,
		.nr_jobs = 1,
		.jobs = (uintptr_t)&job,
		.jobs_stride = sizeof(job),
		.deadline_ns = INFINI_FOREVER,
	};
	int err = infini_submit(channel->fd, &submit);

	if (err || submit.status)
		die("submit", err ? err : submit.status);
}

static void infini_end(void *own)
{
	int err;

	close(((struct channel *)own)->fd);
	err = infini_admin_vdev_delete(infini.admin, VDEV, 0, true);
	if (err)
		die("delete " VDEV, err);
	infini_admin_close(infini.admin);
	close(infini.device);
}

const struct peer peer_infini = {
	.name = "infini",
	.own = &infini.channel,
	.make = infini_make,
	.serve = infini_serve,
	.reach = infini_reach,
	.trip = channel_trip,
	.end = infini_end,
};

/* ---- infinid's, on the vdev "a" of whoever started infinid ---- */

static int infinid_make(void *own)
{
	(void)own;
	return 0;
}

static int infinid_reach(void *own)
{
	return channel_open(own, "a");
}

static void infinid_end(void *own)
{
	close(((struct channel *)own)->fd);
}

const struct peer peer_infinid = {
	.name = "infinid",
	.own = &infinid,
	.make = infinid_make,
	.reach = infinid_reach,
	.trip = channel_trip,
	.end = infinid_end,
};
