// SPDX-License-Identifier: GPL-2.0-only
/* Virtual devices: creation, limits, owner, charge, deletion, and a look at their counters. */

#include <linux/ctype.h>
#include <linux/hashtable.h>
#include <linux/jhash.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/stringhash.h>
#include <linux/uidgid.h>

#include "infini.h"
#include "trace.h"

DEFINE_XARRAY_ALLOC1(infini_vdevs);
/* The same by what is one vdev's alone, under the registry lock. */
static DEFINE_HASHTABLE(infini_vdevs_by_name, 8);
static DEFINE_HASHTABLE(infini_vdevs_by_uuid, 8);
static u32 infini_vdev_next;

/* ---- references and look-up ---- */

struct infini_vdev *infini_vdev_get(struct infini_vdev *vdev)
{
	refcount_inc(&vdev->refs);
	return vdev;
}

void infini_vdev_put(struct infini_vdev *vdev)
{
	if (!refcount_dec_and_test(&vdev->refs))
		return;
	WARN_ON_ONCE(atomic64_read(&vdev->memory_used_bytes) || atomic64_read(&vdev->file_bytes) ||
		     !xa_empty(&vdev->buffers) || !xa_empty(&vdev->programs));
	infini_device_put(vdev->device);
	kfree(vdev);
}

static u32 infini_name_hash(const char *name)
{
	return full_name_hash(NULL, name, strlen(name));
}

static u32 infini_uuid_hash(const uuid_t *uuid)
{
	return jhash(uuid, sizeof(*uuid), 0);
}

static struct infini_vdev *infini_vdev_named_locked(const char *name)
{
	struct infini_vdev *vdev;

	lockdep_assert_held(&infini_registry_lock);
	hash_for_each_possible(infini_vdevs_by_name, vdev, by_name, infini_name_hash(name))
		if (!strcmp(vdev->name, name))
			return vdev;
	return NULL;
}

static struct infini_vdev *infini_vdev_of_uuid_locked(const uuid_t *uuid)
{
	struct infini_vdev *vdev;

	lockdep_assert_held(&infini_registry_lock);
	hash_for_each_possible(infini_vdevs_by_uuid, vdev, by_uuid, infini_uuid_hash(uuid))
		if (uuid_equal(&vdev->uuid, uuid))
			return vdev;
	return NULL;
}

/* By name, or by id when @name is NULL. Takes a reference. */
struct infini_vdev *infini_vdev_find(const char *name, u32 id)
{
	struct infini_vdev *found;

	mutex_lock(&infini_registry_lock);
	found = name ? infini_vdev_named_locked(name) : xa_load(&infini_vdevs, id);
	if (found)
		infini_vdev_get(found);
	mutex_unlock(&infini_registry_lock);
	return found;
}

/* A name is for people and paths, and no number, since numbers are ids. */
bool infini_name_valid(const char *name)
{
	bool number = true;
	const char *c;

	for (c = name; *c; c++) {
		if (!isascii(*c) || !(isalnum(*c) || strchr("._-", *c)))
			return false;
		number &= isdigit(*c);
	}
	return !number && *name != '-' && *name != '.';
}

/* ---- charge ---- */

static void infini_vdev_peak(struct infini_vdev *vdev, s64 used)
{
	s64 peak = atomic64_read(&vdev->memory_peak_bytes);

	while (used > peak)
		if (atomic64_try_cmpxchg(&vdev->memory_peak_bytes, &peak, used))
			break;
}

/* Add @bytes to what is @used, unless that is more than @limit then. */
static bool infini_charge(atomic64_t *used, u64 limit, u64 bytes, s64 *now)
{
	s64 before = atomic64_read(used);

	do {
		if (bytes > limit || before > (s64)(limit - bytes))
			return false;
	} while (!atomic64_try_cmpxchg(used, &before, before + (s64)bytes));
	*now = before + (s64)bytes;
	return true;
}

/*
 * -ENOSPC when the limit would be passed, or the device has no room: its vdevs' limits may add up
 * to more than it has, and then who comes first is served first.
 */
int infini_vdev_charge(struct infini_vdev *vdev, u64 bytes)
{
	struct infini_device *device = vdev->device;
	s64 used, on_device;

	if (!infini_charge(&vdev->memory_used_bytes, READ_ONCE(vdev->memory_limit_bytes), bytes,
			   &used))
		goto err_failed;
	if (!infini_charge(&device->memory_used_bytes, READ_ONCE(device->memory_bytes), bytes,
			   &on_device))
		goto err_vdev;
	infini_vdev_peak(vdev, used);
	return 0;

err_vdev:
	atomic64_sub(bytes, &vdev->memory_used_bytes);
err_failed:
	atomic64_inc(&vdev->memory_failed);
	return -ENOSPC;
}

void infini_vdev_uncharge(struct infini_vdev *vdev, u64 bytes)
{
	atomic64_sub(bytes, &vdev->memory_used_bytes);
	atomic64_sub(bytes, &vdev->device->memory_used_bytes);
}

/*
 * The worker says that it holds @bytes beside its buffers: the vdev's, whatever the limit says. Of
 * the device they count up to the limit: what one worker says takes nothing that another vdev was
 * promised.
 */
void infini_vdev_charge_held(struct infini_vdev *vdev, u64 bytes)
{
	u64 other = atomic64_read(&vdev->memory_used_bytes) - (s64)vdev->held_bytes;
	u64 limit = READ_ONCE(vdev->memory_limit_bytes);
	u64 on_device = min(bytes, limit > other ? limit - other : 0);

	/* An executor says so with every EXCHANGE; as a rule nothing has changed. */
	if (on_device != vdev->held_device_bytes)
		atomic64_add((s64)on_device - (s64)vdev->held_device_bytes,
			     &vdev->device->memory_used_bytes);
	vdev->held_device_bytes = on_device;
	if (bytes == vdev->held_bytes)
		return;
	infini_vdev_peak(vdev, atomic64_add_return((s64)bytes - (s64)vdev->held_bytes,
						   &vdev->memory_used_bytes));
	vdev->held_bytes = bytes;
}

/* ---- token rate, throttling ---- */

bool infini_vdev_over_rate(struct infini_vdev *vdev)
{
	unsigned long flags;
	bool over;

	spin_lock_irqsave(&vdev->device->lock, flags);
	over = infini_sched_over_rate(&vdev->sched, ktime_get_ns());
	spin_unlock_irqrestore(&vdev->device->lock, flags);
	return over;
}

/* To be called where a vdev with work may just have come to be kept from running. */
void infini_vdev_tell_throttle_locked(struct infini_vdev *vdev)
{
	lockdep_assert_held(&vdev->device->lock);
	if (vdev->throttles_told == vdev->sched.throttles)
		return;
	vdev->throttles_told = vdev->sched.throttles;
	trace_infini_vdev_throttle(vdev);
}

/* ---- who may open ---- */

static bool infini_vdev_mode_allows_locked(const struct infini_vdev *vdev)
{
	umode_t bits;

	lockdep_assert_held(&vdev->lock);
	if (uid_eq(vdev->uid, current_fsuid()))
		bits = vdev->mode >> 6;
	else if (in_group_p(vdev->gid))
		bits = vdev->mode >> 3;
	else
		bits = vdev->mode;
	return (bits & 06) == 06;
}

/*
 * Root of the initial user namespace passes by owner and mode as everywhere. A bond to a control
 * group holds for root too: in containers without user namespaces root is that root.
 */
int infini_vdev_may_open_locked(struct infini_vdev *vdev)
{
	lockdep_assert_held(&vdev->lock);
	if (vdev->cgroup_id && !infini_cgroup_has_current(vdev->cgroup_id))
		return -EACCES;
	if (infini_vdev_mode_allows_locked(vdev) || capable(CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

/* ---- executors ---- */

/* Say once that a client is there and nobody serves it. */
void infini_vdev_want_executor(struct infini_vdev *vdev)
{
	struct infini_device *device = vdev->device;
	unsigned long flags;
	bool announce = false;

	spin_lock_irqsave(&device->lock, flags);
	if (!vdev->executor && !vdev->wanted && !vdev->dead && device->online) {
		vdev->wanted = true;
		announce = true;
	}
	spin_unlock_irqrestore(&device->lock, flags);
	if (announce)
		infini_netlink_event(INFINI_EVENT_EXECUTOR_WANTED, device, vdev, 0);
}

static bool infini_vdev_attached_locked(const struct infini_vdev *vdev)
{
	lockdep_assert_held(&vdev->device->lock);
	return vdev->executor && vdev->executor->state == INFINI_EXECUTOR_SERVING;
}

/* An executor waits for work or has some. Between two calls of EXCHANGE it may seem not to. */
bool infini_vdev_served_locked(const struct infini_vdev *vdev)
{
	return infini_vdev_attached_locked(vdev) &&
	       (vdev->executor->waiting || vdev->executor->nr_held);
}

/* Is something ready to be dispatched? */
bool infini_vdev_has_work(struct infini_vdev *vdev)
{
	unsigned long flags;
	bool work;

	spin_lock_irqsave(&vdev->device->lock, flags);
	work = vdev->sched.nr_ready;
	spin_unlock_irqrestore(&vdev->device->lock, flags);
	return work;
}

/* Vendor libraries may take long to start, so one that attached gets more time for it. */
static unsigned int infini_vdev_patience_locked(const struct infini_vdev *vdev)
{
	return infini_vdev_attached_locked(vdev) && !vdev->executor->calls ?
	       READ_ONCE(infini_executor_start_ms) : READ_ONCE(infini_executor_wait_ms);
}

/* What work waits for: that the executor calls once more, or that one comes. */
static u64 infini_vdev_awaited_locked(const struct infini_vdev *vdev)
{
	return infini_vdev_attached_locked(vdev) ? vdev->executor->calls : U64_MAX;
}

/*
 * There is work and nobody serves it: say so, and fail it when nobody comes in time. What was awaited
 * before, and has come or never will, does not lend its time to what is awaited now.
 */
void infini_vdev_expect_executor(struct infini_vdev *vdev)
{
	struct infini_device *device = vdev->device;
	bool queued = false;
	unsigned long flags;
	u64 awaited;

	infini_vdev_want_executor(vdev);
	infini_vdev_get(vdev);
	/* Under the lock: deletion, which cancels the work, either sees it or is seen. */
	spin_lock_irqsave(&device->lock, flags);
	awaited = infini_vdev_awaited_locked(vdev);
	if (!vdev->dead && (awaited != vdev->awaited_calls ||
			    !delayed_work_pending(&vdev->no_executor_work))) {
		vdev->awaited_calls = awaited;
		queued = !mod_delayed_work(infini_wq, &vdev->no_executor_work,
					   msecs_to_jiffies(infini_vdev_patience_locked(vdev)));
	}
	spin_unlock_irqrestore(&device->lock, flags);
	if (!queued)
		infini_vdev_put(vdev);
}

void infini_vdev_cancel_waiting(struct infini_vdev *vdev, int status)
{
	struct infini_client *client;
	struct infini_queue *queue;

	mutex_lock(&vdev->lock);
	list_for_each_entry(client, &vdev->clients, link) {
		mutex_lock(&client->lock);
		list_for_each_entry(queue, &client->queue_list, link)
			infini_queue_cancel_waiting(queue, status);
		mutex_unlock(&client->lock);
		wake_up_all(&client->wait);
	}
	mutex_unlock(&vdev->lock);
}

static void infini_vdev_no_executor(struct work_struct *work)
{
	struct infini_vdev *vdev = container_of(to_delayed_work(work), struct infini_vdev,
						no_executor_work);
	struct infini_executor *absent = NULL;
	unsigned long flags;
	bool attached, again = false;

	spin_lock_irqsave(&vdev->device->lock, flags);
	attached = infini_vdev_attached_locked(vdev);
	/* Expected anew since this began to run, it has its time before it. */
	if (attached && !infini_vdev_served_locked(vdev) &&
	    !delayed_work_pending(&vdev->no_executor_work)) {
		if (vdev->executor->calls == vdev->awaited_calls) {
			absent = vdev->executor;
			refcount_inc(&absent->refs);
		} else {
			again = vdev->sched.nr_ready;
		}
	}
	/* Nobody heard of it: the next job says so again. */
	if (!vdev->executor)
		vdev->wanted = false;
	spin_unlock_irqrestore(&vdev->device->lock, flags);
	if (absent) {
		/* What waits may still be served by the next one. */
		infini_executor_revoke(absent);
		infini_executor_put(absent);
	} else if (again) {
		infini_vdev_expect_executor(vdev);
	} else if (!attached) {
		infini_vdev_cancel_waiting(vdev, -EHOSTDOWN);
	}
	infini_vdev_put(vdev);
}

/* The device went away or the vdev is being deleted: nothing of it goes on. */
void infini_vdev_fail(struct infini_vdev *vdev, int status)
{
	struct infini_executor *executor;
	struct infini_kjob *job;
	unsigned long flags;

	spin_lock_irqsave(&vdev->device->lock, flags);
	executor = vdev->executor;
	vdev->wanted = false;
	if (executor) {
		refcount_inc(&executor->refs);
		list_for_each_entry(job, &executor->held, link)
			infini_executor_doom_locked(executor, job, status, INFINI_JOB_EV_CANCEL);
	}
	spin_unlock_irqrestore(&vdev->device->lock, flags);
	if (executor) {
		infini_executor_revoke(executor);
		infini_executor_put(executor);
	}
	infini_vdev_cancel_waiting(vdev, status);
}

/* ---- administration ---- */

static void infini_vdev_promised(const struct infini_vdev *vdev, struct infini_promise *promise)
{
	promise->limits = vdev->sched.limits;
	promise->memory_bytes = vdev->memory_limit_bytes;
}

static struct infini_vdev *infini_vdev_new(const char *name, struct infini_device *device,
					   const struct infini_vdev_config *config,
					   const struct infini_promise *promise)
{
	struct infini_vdev *vdev = kzalloc(sizeof(*vdev), GFP_KERNEL_ACCOUNT);

	if (!vdev)
		return NULL;
	refcount_set(&vdev->refs, 1);
	strscpy(vdev->name, name, sizeof(vdev->name));
	vdev->device = device;
	mutex_init(&vdev->lock);
	ratelimit_state_init(&vdev->refusals, 60 * HZ, 10);
	INIT_LIST_HEAD(&vdev->clients);
	vdev->uid = config->set & INFINI_VDEV_HAS_OWNER ? config->uid : GLOBAL_ROOT_UID;
	vdev->gid = config->set & INFINI_VDEV_HAS_OWNER ? config->gid : GLOBAL_ROOT_GID;
	vdev->mode = config->set & INFINI_VDEV_HAS_MODE ? config->mode : 0600;
	vdev->cgroup_id = config->cgroup_id;
	vdev->exclusive = config->exclusive;
	if (config->set & INFINI_VDEV_HAS_UUID)
		vdev->uuid = config->uuid;
	else
		uuid_gen(&vdev->uuid);
	vdev->memory_limit_bytes = promise->memory_bytes;
	xa_init_flags(&vdev->buffers, XA_FLAGS_ALLOC1);
	xa_init_flags(&vdev->programs, XA_FLAGS_ALLOC1);
	INIT_LIST_HEAD(&vdev->notices);
	INIT_DELAYED_WORK(&vdev->no_executor_work, infini_vdev_no_executor);
	infini_sched_vdev_init(&device->sched, &vdev->sched, &promise->limits);
	return vdev;
}

static struct infini_device *infini_vdev_device_locked(const char *name)
{
	struct infini_device *device;
	unsigned long index;

	lockdep_assert_held(&infini_registry_lock);
	xa_for_each(&infini_devices, index, device)
		if (!strcmp(device->name, name))
			return device;
	return NULL;
}

/* A name and a uuid are one vdev's. */
static int infini_vdev_unique_locked(const char *name, const struct infini_vdev_config *config,
				     struct infini_reason *reason)
{
	struct infini_vdev *other;

	if (infini_vdev_named_locked(name)) {
		infini_say(reason, "a vdev of that name exists", "vdev \"%s\" exists", name);
		return -EEXIST;
	}
	other = config->set & INFINI_VDEV_HAS_UUID ?
		infini_vdev_of_uuid_locked(&config->uuid) : NULL;
	if (other) {
		infini_say(reason, "another vdev has that uuid", "uuid %pU is vdev \"%s\"'s",
			   &config->uuid, other->name);
		return -ENOTUNIQ;
	}
	return 0;
}

static int infini_vdev_create_locked(const char *name, const char *device_name,
				     const struct infini_vdev_config *config,
				     struct infini_vdev **out, struct infini_reason *reason)
{
	struct infini_promise nothing = { }, promise;
	struct infini_device *device;
	struct infini_vdev *vdev;
	int err;

	device = infini_vdev_device_locked(device_name);
	if (!device) {
		infini_say(reason, "no such device", "no device \"%s\"", device_name);
		return -ENODEV;
	}
	err = infini_vdev_unique_locked(name, config, reason);
	if (err)
		return err;
	infini_limits_default(&nothing.limits);
	err = infini_admit(device, config, &nothing, &promise, reason);
	if (err)
		return err;
	vdev = infini_vdev_new(name, device, config, &promise);
	if (!vdev)
		return -ENOMEM;
	/* Reserved first: a vdev is visible once it is complete. */
	err = xa_alloc_cyclic(&infini_vdevs, &vdev->id, NULL, XA_LIMIT(1, INFINI_VDEVS_MAX),
			      &infini_vdev_next, GFP_KERNEL_ACCOUNT);
	if (err < 0) {
		err = err == -EBUSY ? -ENOSPC : err;
		goto err_vdev;
	}
	if (!config->no_node) {
		vdev->node = infini_node_create(vdev);
		if (IS_ERR(vdev->node)) {
			err = PTR_ERR(vdev->node);
			goto err_id;
		}
	}
	infini_device_get(device);
	device->nr_vdevs++;
	infini_promise_move(device, NULL, &promise);
	hash_add(infini_vdevs_by_name, &vdev->by_name, infini_name_hash(vdev->name));
	hash_add(infini_vdevs_by_uuid, &vdev->by_uuid, infini_uuid_hash(&vdev->uuid));
	xa_store(&infini_vdevs, vdev->id, vdev, GFP_KERNEL_ACCOUNT);
	*out = infini_vdev_get(vdev);
	return 0;

err_id:
	xa_erase(&infini_vdevs, vdev->id);
err_vdev:
	kfree(vdev);
	return err;
}

/**
 * infini_vdev_create - a new slice of a device
 * @name: unique
 * @device: name of the device
 * @config: INFINI_VDEV_HAS_MEMORY must be set
 * @vdev: out, referenced
 * @reason: out: words for a refusal
 *
 * Return: 0; -EEXIST, -ENOTUNIQ the uuid, -ENODEV no such device, -ENOSPC more memory or floor than
 * the device has left, -EINVAL, -ENOMEM.
 */
int infini_vdev_create(const char *name, const char *device,
		       const struct infini_vdev_config *config, struct infini_vdev **vdev,
		       struct infini_reason *reason)
{
	int err;

	if (!infini_name_valid(name)) {
		infini_say(reason, "a name takes letters, digits and . _ - and is no number",
			   "name \"%s\": takes letters, digits and . _ - and is no number", name);
		return -EINVAL;
	}
	if (!(config->set & INFINI_VDEV_HAS_MEMORY)) {
		infini_say(reason, "a memory limit is needed", "a memory limit is needed");
		return -EINVAL;
	}
	mutex_lock(&infini_registry_lock);
	err = infini_vdev_create_locked(name, device, config, vdev, reason);
	mutex_unlock(&infini_registry_lock);
	if (!err)
		infini_netlink_event(INFINI_EVENT_VDEV_CREATED, (*vdev)->device, *vdev, 0);
	return err;
}

static void infini_vdev_change(struct infini_vdev *vdev, const struct infini_vdev_config *config,
			       const struct infini_promise *promise)
{
	struct infini_device *device = vdev->device;
	unsigned long flags;
	u64 now;

	lockdep_assert_held(&vdev->lock);
	WRITE_ONCE(vdev->memory_limit_bytes, promise->memory_bytes);
	/* Read in sysfs without the lock. */
	if (config->set & INFINI_VDEV_HAS_OWNER) {
		WRITE_ONCE(vdev->uid, config->uid);
		WRITE_ONCE(vdev->gid, config->gid);
	}
	if (config->set & INFINI_VDEV_HAS_MODE)
		WRITE_ONCE(vdev->mode, config->mode);
	if (config->set & INFINI_VDEV_HAS_CGROUP)
		WRITE_ONCE(vdev->cgroup_id, config->cgroup_id);
	if (config->set & INFINI_VDEV_HAS_EXCLUSIVE)
		WRITE_ONCE(vdev->exclusive, config->exclusive);

	spin_lock_irqsave(&device->lock, flags);
	now = ktime_get_ns();
	if (memcmp(&promise->limits, &vdev->sched.limits, sizeof(promise->limits))) {
		infini_sched_vdev_set(&device->sched, &vdev->sched, &promise->limits, now);
		infini_vdev_tell_throttle_locked(vdev);
		infini_device_schedule_locked(device, now);
	}
	spin_unlock_irqrestore(&device->lock, flags);
}

/**
 * infini_vdev_set - change a live vdev
 * @vdev: which
 * @config: what is set holds from the next dispatch, allocation or open
 * @reason: out: words for a refusal, or what to know though it was done
 *
 * Return: 0; -ENOENT deleted, -ENOSPC, -EINVAL: then nothing has changed.
 */
int infini_vdev_set(struct infini_vdev *vdev, const struct infini_vdev_config *config,
		    struct infini_reason *reason)
{
	struct infini_device *device = vdev->device;
	struct infini_promise from, to;
	u64 used;
	int err;

	mutex_lock(&infini_registry_lock);
	mutex_lock(&vdev->lock);
	if (vdev->dead) {
		err = -ENOENT;
		goto out;
	}
	infini_vdev_promised(vdev, &from);
	err = infini_admit(device, config, &from, &to, reason);
	if (err)
		goto out;
	infini_promise_move(device, &from, &to);
	infini_vdev_change(vdev, config, &to);
	used = atomic64_read(&vdev->memory_used_bytes);
	if ((config->set & INFINI_VDEV_HAS_MEMORY) && to.memory_bytes < used)
		infini_say_lowered(to.memory_bytes, used, reason);
out:
	mutex_unlock(&vdev->lock);
	mutex_unlock(&infini_registry_lock);
	if (!err)
		infini_netlink_event(INFINI_EVENT_VDEV_CHANGED, device, vdev, 0);
	return err;
}

static void infini_vdev_revoke_clients(struct infini_vdev *vdev)
{
	struct infini_client *client;

	mutex_lock(&vdev->lock);
	list_for_each_entry(client, &vdev->clients, link) {
		infini_mapper_revoke(&client->mapper);
		wake_up_all(&client->wait);
	}
	mutex_unlock(&vdev->lock);
}

/* Take the vdev out of sight: no open, no look-up, no new work. */
static int infini_vdev_unlink(struct infini_vdev *vdev, bool force, struct infini_reason *reason)
{
	struct infini_device *device = vdev->device;
	struct infini_promise promise;
	unsigned long flags;
	int err = 0;

	mutex_lock(&infini_registry_lock);
	mutex_lock(&vdev->lock);
	if (vdev->dead) {
		err = -ENOENT;
	} else if (vdev->nr_clients && !force) {
		infini_say(reason, "clients have it open", "%u clients have it open",
			   vdev->nr_clients);
		err = -EBUSY;
	} else {
		spin_lock_irqsave(&device->lock, flags);
		WRITE_ONCE(vdev->dead, true);
		spin_unlock_irqrestore(&device->lock, flags);
		xa_erase(&infini_vdevs, vdev->id);
		hash_del(&vdev->by_name);
		hash_del(&vdev->by_uuid);
		infini_vdev_promised(vdev, &promise);
		infini_promise_move(device, &promise, NULL);
	}
	mutex_unlock(&vdev->lock);
	mutex_unlock(&infini_registry_lock);
	return err;
}

/* -EBUSY with clients unless @force, which cancels their jobs and takes their mappings. */
int infini_vdev_delete(struct infini_vdev *vdev, bool force, struct infini_reason *reason)
{
	struct infini_device *device = vdev->device;
	unsigned long flags;
	int err;

	err = infini_vdev_unlink(vdev, force, reason);
	if (err)
		return err;
	if (vdev->node)
		infini_node_destroy(vdev);
	infini_vdev_fail(vdev, -ECANCELED);
	infini_vdev_revoke_clients(vdev);
	if (cancel_delayed_work_sync(&vdev->no_executor_work))
		infini_vdev_put(vdev);

	/* As much as the event is going to say, though a slice is not over yet. */
	spin_lock_irqsave(&device->lock, flags);
	if (vdev->sched.running)
		infini_sched_charge(&device->sched, &vdev->sched, ktime_get_ns());
	device->past_occupancy_ns += vdev->sched.occupancy_ns;
	spin_unlock_irqrestore(&device->lock, flags);
	infini_netlink_event(INFINI_EVENT_VDEV_DELETED, device, vdev, 0);
	infini_device_vdev_gone(device);
	infini_vdev_put(vdev);
	return 0;
}

/* ---- a look at it ---- */

static void infini_vdev_snapshot_executor(struct infini_vdev *vdev,
					  struct infini_vdev_snapshot *snap)
{
	struct infini_executor *executor = vdev->executor;

	lockdep_assert_held(&vdev->device->lock);
	if (!executor) {
		snap->executor = vdev->wanted ? 1 : 0;
		return;
	}
	snap->executor = executor->state == INFINI_EXECUTOR_FREE ? 2 :
			 executor->state == INFINI_EXECUTOR_SERVING ? 3 : 4;
	if (executor->tgid)
		snap->executor_pid = pid_nr(executor->tgid);
}

void infini_vdev_limits(struct infini_vdev *vdev, struct infini_sched_limits *limits)
{
	unsigned long flags;

	spin_lock_irqsave(&vdev->device->lock, flags);
	*limits = vdev->sched.limits;
	spin_unlock_irqrestore(&vdev->device->lock, flags);
}

/* Where the clients came from, each group once; of more than fit, those who came first. */
static void infini_vdev_snapshot_cgroups_locked(struct infini_vdev *vdev,
						struct infini_vdev_snapshot *snap)
{
	struct infini_client *client;
	u32 i;

	lockdep_assert_held(&vdev->lock);
	list_for_each_entry(client, &vdev->clients, link) {
		if (!client->cgroup_id)
			continue;
		for (i = 0; i < snap->nr_client_cgroups; i++)
			if (snap->client_cgroups[i] == client->cgroup_id)
				break;
		if (i < snap->nr_client_cgroups)
			continue;
		snap->client_cgroups[snap->nr_client_cgroups++] = client->cgroup_id;
		if (snap->nr_client_cgroups == ARRAY_SIZE(snap->client_cgroups))
			break;
	}
}

void infini_vdev_snapshot(struct infini_vdev *vdev, struct infini_vdev_snapshot *snap)
{
	struct infini_device *device = vdev->device;
	struct infini_vdev_counters *count = &vdev->count;
	struct infini_vdev_stats *stats = &snap->stats;
	unsigned long flags;
	u64 now;

	memset(snap, 0, sizeof(*snap));
	snap->id = vdev->id;
	snap->device_id = device->id;
	snap->has_node = vdev->node;
	mutex_lock(&vdev->lock);
	snap->memory_limit_bytes = vdev->memory_limit_bytes;
	snap->uid = vdev->uid;
	snap->gid = vdev->gid;
	snap->mode = vdev->mode;
	snap->cgroup_id = vdev->cgroup_id;
	snap->exclusive = vdev->exclusive;
	stats->clients = vdev->nr_clients;
	infini_vdev_snapshot_cgroups_locked(vdev, snap);
	mutex_unlock(&vdev->lock);

	spin_lock_irqsave(&device->lock, flags);
	now = ktime_get_ns();
	if (vdev->sched.running)
		infini_sched_charge(&device->sched, &vdev->sched, now);
	snap->limits = vdev->sched.limits;
	infini_vdev_snapshot_executor(vdev, snap);
	stats->occupancy_ns = vdev->sched.occupancy_ns;
	stats->runnable_ns = infini_sched_runnable_ns(&vdev->sched, now);
	stats->slices = vdev->sched.slices;
	stats->throttled_ns = infini_sched_throttled_ns(&vdev->sched, now);
	stats->throttles = vdev->sched.throttles;
	stats->queue_wait_ns = count->queue_wait_ns;
	stats->jobs_submitted = count->jobs_submitted;
	stats->jobs_completed = count->jobs_completed;
	stats->jobs_failed = count->jobs_failed;
	stats->jobs_timed_out = count->jobs_timed_out;
	stats->dispatches = count->dispatches;
	stats->preemptions = count->preemptions;
	stats->tokens_evaluated = count->tokens_evaluated;
	stats->tokens_generated = count->tokens_generated;
	stats->tokens_prompt = count->tokens_prompt;
	stats->tokens_scored = count->tokens_scored;
	stats->tokens_embedded = count->tokens_embedded;
	stats->prompts = count->prompts;
	stats->bytes_in = count->bytes_in;
	stats->bytes_out = count->bytes_out;
	stats->executor_generation = vdev->generation;
	memcpy(snap->queue_wait_hist, count->queue_wait_hist, sizeof(snap->queue_wait_hist));
	snap->times = count->times;
	spin_unlock_irqrestore(&device->lock, flags);

	stats->memory_used_bytes = atomic64_read(&vdev->memory_used_bytes);
	stats->memory_peak_bytes = atomic64_read(&vdev->memory_peak_bytes);
	stats->memory_failed = atomic64_read(&vdev->memory_failed);
	stats->file_bytes = atomic64_read(&vdev->file_bytes);
	stats->queues = atomic_read(&vdev->nr_queues);
	stats->buffers = atomic_read(&vdev->nr_buffers);
	stats->programs = atomic_read(&vdev->nr_programs);
}

/* Module exit: no file of ours is open any more, so nobody minds. */
void infini_vdev_delete_all(void)
{
	struct infini_reason reason;
	struct infini_vdev *vdev;
	unsigned long index;

	xa_for_each(&infini_vdevs, index, vdev)
		infini_vdev_delete(vdev, true, &reason);
}
