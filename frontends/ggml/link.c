// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The way to the vdev: opening it, knowing it, its queue, and what to tell a user when it fails.
 */
#include "frontend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INFINI_LINK_FEATURES \
	(INFINI_FEAT_SHARED_BUFFER | INFINI_FEAT_DEVICE_BUFFER | INFINI_FEAT_SUBMIT_WAIT | \
	 INFINI_FEAT_TIMELINE_PAGE | INFINI_FEAT_INLINE_INPUTS | INFINI_FEAT_OUTPUTS | \
	 INFINI_FEAT_ASK)

static const char *infini_link_node(void)
{
	const char *node = secure_getenv("INFINI_DEVICE");

	return node && *node ? node : INFINI_NODE;
}

static const char *infini_link_wanted(void)
{
	const char *vdev = secure_getenv("INFINI_VDEV");

	return vdev ? vdev : "";
}

const char *infini_link_name(const struct infini_link *link)
{
	return (const char *)link->vdev.name;
}

bool infini_link_weights_only(const struct infini_link *link, uint32_t kind)
{
	return link->kinds[kind].flags & INFINI_MEMORY_F_WEIGHTS;
}

const char *infini_link_reason(int err)
{
	switch (-err) {
	case EOWNERDEAD:
		return "the executor died with the job or its memory; see the log of infinid";
	case EHOSTDOWN:
		return "no executor took the work; is infinid running?";
	case ENODEV:
		return "the device is gone or the vdev was deleted";
	case ETIMEDOUT:
		return "the job ran longer than the vdev's timeout allows";
	case ECANCELED:
		return "the job was cancelled";
	case ENOMEM:
		return "the device is out of memory, or the machine; see the log of infinid";
	case ENOSPC:
		return "over the vdev's memory limit or a count limit";
	case ENODATA:
		return "a file behind a buffer was truncated or cannot be read";
	case EFAULT:
		return "the program's memory cannot be read: a file there was cut short, or failed";
	case EINVAL:
		return "the executor refused it as malformed; see the log of infinid";
	case EOPNOTSUPP:
		return "this device does not do that";
	default:
		return strerror(-err);
	}
}

/* ENOSPC with numbers, anything else with its reason. */
void infini_link_no_memory(struct infini_link *link, uint64_t bytes, const char *what, int err)
{
	struct infini_vdev_info info = { 0 };
	double mib = 1 << 20;

	if (err != -ENOSPC || infini_link_info_locked(link, &info)) {
		infini_say("vdev \"%s\": %s of %.1f MiB: %s", infini_link_name(link), what,
			   bytes / mib, infini_link_reason(err));
		return;
	}
	infini_say("vdev \"%s\": memory limit exceeded: %s needs %.1f MiB, %.1f of %.1f MiB are "
		   "used; raise it (infinictl vdev set %s --memory SIZE) or use less (-ngl, -c)",
		   infini_link_name(link), what, bytes / mib, info.memory_used_bytes / mib,
		   info.memory_limit_bytes / mib, infini_link_name(link));
}

/*
 * Installed in ggml's folder the plugin is loaded by every program there is: on a machine without
 * the module it keeps quiet unless the user named it or a vdev.
 */
static bool infini_link_asked_for(void)
{
	return *infini_link_wanted() || getenv("GGML_BACKEND_PATH");
}

static void infini_link_say_closed(int err)
{
	const char *node = infini_link_node();
	const char *vdev = infini_link_wanted();

	switch (-err) {
	case ENOENT:
	case ENXIO:
		if (access(node, F_OK) < 0 && !infini_link_asked_for())
			break;
		if (access(node, F_OK) < 0)
			infini_say_once("%s is missing: load the module (modprobe infini), or "
					"give this container a vdev", node);
		else
			infini_say_once("no vdev \"%s\": see infinictl vdev list, then set "
					"INFINI_VDEV", vdev);
		break;
	case EDESTADDRREQ:
		infini_say_once("no vdev chosen: set INFINI_VDEV to one of infinictl vdev list");
		break;
	case EACCES:
	case EPERM:
		infini_say_once("vdev \"%s\" at %s is not yours to open; its owner is set with "
				"infinictl vdev set", vdev, node);
		break;
	case ENOSPC:
		infini_say_once("vdev \"%s\" has as many clients as it may have", vdev);
		break;
	case ENODEV:
		infini_say_once("vdev \"%s\" is being deleted", vdev);
		break;
	default:
		infini_say_once("vdev \"%s\" at %s cannot be opened: %s", vdev, node,
				strerror(-err));
	}
}

/* What is wrong with a vdev that did open, or NULL. */
static const char *infini_link_unfit(const struct infini_link *link)
{
	if (link->query.protocol != INFINI_PROTOCOL_VERSION ||
	    (link->query.features & INFINI_LINK_FEATURES) != INFINI_LINK_FEATURES)
		return "the module is older or newer than this plugin";
	if (strcmp((const char *)link->vdev.backend, "ggml") != 0)
		return "its device is not driven by the ggml backend";
	if (!link->vdev.nr_kinds || link->vdev.nr_kinds > INFINI_MEMORY_KINDS_MAX)
		return "its device names no kind of memory";
	if (!link->vdev.device_online)
		return "its device is offline; is infinid running?";
	return NULL;
}

int infini_link_info_locked(struct infini_link *link, struct infini_vdev_info *info)
{
	infini_trace_add(INFINI_TRACE_SYSCALLS, 1);
	return infini_vdev_info(link->fd, info);
}

static int infini_link_meet(struct infini_link *link)
{
	int err;

	infini_trace_add(INFINI_TRACE_SYSCALLS, 1);
	err = infini_query(link->fd, &link->query);
	if (err)
		return err;
	link->vdev = (struct infini_vdev_info){
		.kinds = (uintptr_t)link->kinds,
		.kinds_capacity = INFINI_MEMORY_KINDS_MAX,
		.kinds_stride = sizeof(link->kinds[0]),
	};
	return infini_link_info_locked(link, &link->vdev);
}

/* Says itself what is wrong. */
int infini_link_open_locked(struct infini_link *link)
{
	const char *unfit;
	int err, fd;

	if (link->fd >= 0)
		return 0;
	infini_trace_add(INFINI_TRACE_SYSCALLS, 1);
	fd = infini_client_open(NULL, NULL);
	if (fd < 0) {
		infini_link_say_closed(fd);
		return fd;
	}
	link->fd = fd;
	err = infini_link_meet(link);
	if (err) {
		infini_say_once("vdev \"%s\" cannot be asked: %s", infini_link_wanted(),
				strerror(-err));
		infini_link_close_locked(link);
		return err;
	}
	unfit = infini_link_unfit(link);
	if (unfit) {
		infini_say_once("vdev \"%s\" cannot be used: %s", infini_link_name(link), unfit);
		infini_link_close_locked(link);
		return -ENODEV;
	}
	return 0;
}

static int infini_link_queue(struct infini_link *link)
{
	uint32_t depth = link->query.max_queue_depth;
	struct infini_queue_create create = {
		.depth = depth < INFINI_LINK_DEPTH ? depth : INFINI_LINK_DEPTH,
	};
	int err;

	infini_trace_add(INFINI_TRACE_SYSCALLS, 2);
	err = infini_queue_create(link->fd, &create);
	if (err)
		return err;
	err = infini_timeline_map(link->fd, create.map_offset, &link->timeline);
	if (err) {
		infini_queue_destroy(link->fd, create.handle);
		return err;
	}
	link->queue = create.handle;
	link->batch = create.depth < link->query.max_batch ? create.depth : link->query.max_batch;
	link->submitted = 0;
	link->looked = 0;
	return 0;
}

static void infini_link_unqueue(struct infini_link *link)
{
	infini_trace_add(INFINI_TRACE_SYSCALLS, 2);
	infini_unmap(link->timeline, sizeof(*link->timeline));
	link->timeline = NULL;
	infini_queue_destroy(link->fd, link->queue);
}

/*
 * From here on the vdev is really used, and an executor wanted. Says itself what is wrong, once:
 * ggml asks on, thousands of times, whatever we answer.
 */
int infini_link_start_locked(struct infini_link *link)
{
	int err;

	if (link->broken)
		return link->broken;
	if (link->started)
		return 0;
	err = infini_link_open_locked(link);
	if (err) {
		link->broken = err;
		return err;
	}
	err = infini_link_queue(link);
	if (err)
		goto fail;
	err = infini_stage_create_locked(link);
	if (err)
		goto fail_queue;
	err = infini_graphs_create_locked(link);
	if (err)
		goto fail_stage;
	link->started = true;
	return 0;

fail_stage:
	infini_stage_destroy_locked(link);
fail_queue:
	infini_link_unqueue(link);
fail:
	infini_link_no_memory(link, infini_stage_first_bytes(link->vdev.memory_limit_bytes),
			      "a staging buffer", err);
	link->broken = err;
	return err;
}

void infini_link_close_locked(struct infini_link *link)
{
	if (link->started) {
		infini_graphs_destroy_locked(link);
		infini_stage_destroy_locked(link);
		infini_link_unqueue(link);
		infini_answers_free(&link->answers);
		link->nr_jobs = 0;
		link->nr_deferred = 0;
		link->inline_used = 0;
		link->nr_mirrors = 0;
		link->started = false;
	}
	if (link->fd >= 0) {
		infini_trace_add(INFINI_TRACE_SYSCALLS, 1);
		close(link->fd);
		link->fd = -1;
	}
	link->imports_tried = false;
	link->imports_work = false;
	link->broken = 0;
}

/* A process that gave back all that was lost may try again with a new client. */
void infini_link_get_locked(struct infini_link *link)
{
	if (!link->users++ && link->broken)
		infini_link_close_locked(link);
}

void infini_link_put_locked(struct infini_link *link)
{
	link->users--;
}
