/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The objects of the module, who owns whom, and the locks.
 *
 * Ownership: a client holds its vdev, queues, buffers and programs; a vdev holds its device. A job
 * in flight holds what it names. The registry holds every vdev, and a device while it is online
 * or has vdevs. Everything is counted; nothing is freed while someone can still reach it.
 *
 * Locks, outermost first:
 *	infini_registry_lock	mutex: names, ids, creation and deletion of devices and vdevs
 *	vdev->lock		mutex: the list of clients, limits, who may open
 *	queue->submit_lock	mutex: one submitter at a time; job slots that are IDLE
 *	executor->lock		mutex: what an EXCHANGE has in its hands; not while it sleeps
 *	client->lock		mutex: the list of queues
 *	map_sem			rwsem of a mapper: faults read, revocation writes
 *	device->lock		spinlock, irqsave: the scheduler, queues' job states, executors' held
 *				jobs, a vdev's counters and notices
 *
 * No user memory is touched under a spinlock or under map_sem.
 */
#ifndef INFINI_H
#define INFINI_H

#include <linux/build_bug.h>
#include <linux/cred.h>
#include <linux/fs.h>
#include <linux/hrtimer.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/ratelimit.h>
#include <linux/refcount.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uidgid.h>
#include <linux/uuid.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <linux/infini.h>
#include <linux/infini_netlink.h>

#include "compat.h"
#include "core/hist.h"
#include "core/job.h"
#include "core/limits.h"
#include "core/sched.h"
#include "core/spin.h"
#include "core/stream.h"

/* Counts a client can raise; QUERY reports them. */
#define INFINI_DEVICES_MAX	256
#define INFINI_VDEVS_MAX	1023		/* minors 1..1023, minor 0 is the control node */
#define INFINI_CLIENTS_MAX	256		/* of a vdev */
#define INFINI_QUEUES_MAX	64		/* of a client */
#define INFINI_BUFFERS_MAX	16384		/* of a client */
#define INFINI_FILE_BYTES_MAX	(1ULL << 40)	/* of a vdev: what a worker has to find addresses for */
#define INFINI_PROGRAMS_MAX	4096		/* of a client */
#define INFINI_OBJECT_IDS	(1u << 20)	/* live buffers or programs of a vdev */
#define INFINI_QUEUE_DEPTH_MAX	INFINI_TIMELINE_RECORDS
#define INFINI_BATCH_MAX	64
#define INFINI_BINDINGS_MAX	64
#define INFINI_COPIES_MAX	64
#define INFINI_INLINE_MAX	(1u << 20)
#define INFINI_PROGRAM_MAX	(64u << 20)
#define INFINI_WINDOW_MAX	16
#define INFINI_PAYLOAD_MAX	(INFINI_INLINE_MAX + 16384)
#define INFINI_TOKENS_MAX	(1u << 20)	/* one job cannot carry more */

/*
 * mmap offsets. The ones we give out count in pages and are small, so that a 32-bit program can
 * say them: the id of a buffer, and from INFINI_MMAP_OWN on pages of ours. A mapping is then moved
 * to where its object has a range to itself, so that it can be zapped apart: what it is in the
 * high bits, the id above the largest buffer.
 */
#define INFINI_MMAP_OWN		INFINI_OBJECT_IDS
#define INFINI_MMAP_BUFFER_SHIFT 40
#define INFINI_MMAP_PAGE	(1ULL << 61)	/* timelines of a client, yield word of an executor */
#define INFINI_BUFFER_BYTES_MAX	(1ULL << INFINI_MMAP_BUFFER_SHIFT)
static_assert(BITS_PER_LONG == 64);	/* page numbers of such offsets do not fit in less */
#define INFINI_MMAP_PAGE_MASK	((1UL << (INFINI_MMAP_BUFFER_SHIFT - PAGE_SHIFT)) - 1)

extern struct mutex infini_registry_lock;
extern struct workqueue_struct *infini_wq;

/* Module parameters. */
extern unsigned int infini_default_timeout_ms;
extern unsigned int infini_max_timeout_ms;
extern unsigned int infini_grace_ms;
extern unsigned int infini_executor_wait_ms;
extern unsigned int infini_executor_start_ms;
extern unsigned int infini_spin_us;

struct infini_vdev;
struct infini_client;
struct infini_queue;
struct infini_executor;

/**
 * struct infini_mapper - one opener's mappings
 * @inode: anonymous inode whose mapping holds them, so that they can be zapped apart
 * @sem: read by faults, written by revocation
 * @revoked: no fault is served from an object any more
 * @placeholder: what a revoked mapping shows instead, or NULL for SIGBUS
 */
struct infini_mapper {
	struct inode *inode;
	struct rw_semaphore sem;
	bool revoked;
	struct page *placeholder;
};

/**
 * struct infini_notice - tells the executor that an object is gone
 * @link: in vdev->notices, executor->told, or empty
 * @op: INFINI_OP_BUFFER_FREE or INFINI_OP_PROGRAM_FREE
 * @id: of the object
 * @work: releases the object when its last reference goes in atomic context
 */
struct infini_notice {
	struct list_head link;
	u32 op;
	u64 id;
	struct work_struct work;
};

/**
 * struct infini_device - one accelerator as a backend sees it
 * @refs: registry, vdevs, the device file
 * @lock: see above
 * @sched: who runs; under @lock
 * @timer: quantum, job timeouts, grace; one per device
 * @running: executors that hold a slot; under @lock
 * @online: the device file is open; written under registry lock and @lock
 * @memory_bytes: what there is; written under registry lock
 * @memory_used_bytes: what its vdevs use of it, see infini_vdev_charge()
 * @promised_bytes: sum of the vdevs' limits; registry lock
 * @floors_ppm: sum of the vdevs' floors; registry lock
 * @nr_vdevs: registry lock
 * @past_occupancy_ns: of vdevs that are deleted; @lock
 * @end_reason: why it is going off line, or ""; registry lock
 */
struct infini_device {
	refcount_t refs;
	u32 id;
	char name[INFINI_NAME_MAX];
	char backend[INFINI_NAME_MAX];
	char description[64];
	u32 device_class;
	u32 level;
	u64 memory_bytes;
	u32 nr_kinds;
	struct infini_memory_kind kinds[INFINI_MEMORY_KINDS_MAX];

	atomic64_t memory_used_bytes;
	u64 promised_bytes;
	u32 floors_ppm;
	u32 nr_vdevs;
	bool online;

	spinlock_t lock;
	struct infini_sched sched;
	struct hrtimer timer;
	struct list_head running;
	u64 past_occupancy_ns;
	char end_reason[INFINI_END_REASON_MAX];
};

/* Counters under device->lock, beside those the scheduler keeps. */
struct infini_vdev_counters {
	u64 queue_wait_ns;
	u64 jobs_submitted;
	u64 jobs_completed;
	u64 jobs_failed;
	u64 jobs_timed_out;
	u64 dispatches;
	u64 preemptions;
	u64 tokens_evaluated;
	u64 tokens_generated;
	u64 tokens_prompt;
	u64 tokens_scored;
	u64 tokens_embedded;
	u64 prompts;
	u64 bytes_in;
	u64 bytes_out;
	u64 queue_wait_hist[INFINI_HIST_BUCKETS];
	struct infini_token_times times;
};

/**
 * struct infini_vdev - a slice of a device
 * @refs: registry, clients, executor, buffers
 * @id: also the minor of its node
 * @node: device node, or NULL
 * @dead: deleted; nothing is opened or begun any more. Written under registry lock, @lock and
 *	device->lock
 * @uuid: unique; never changes
 * @by_name: in the table of names, under the registry lock, as long as the vdev is not deleted
 * @by_uuid: in the table of uuids, likewise
 * @lock: clients, limits, who may open
 * @cgroup_id: of the control group (v2) that an opener must be in, or 0; @lock
 * @exclusive: one client at a time; @lock
 * @clients: list of struct infini_client; @lock
 * @memory_used_bytes: charged
 * @memory_peak_bytes: highest so far
 * @memory_failed: refused
 * @held_bytes: what the worker said it holds, part of @memory_used_bytes; executor->lock
 * @held_device_bytes: what of it counts for the device; executor->lock
 * @file_bytes: of files behind its FILE buffers, which are not charged
 * @nr_queues: counts for statistics; likewise the two below
 * @buffers: by id, for the executor
 * @programs: by id, for the executor
 * @next_buffer: for cyclic ids; so that an id is not reused soon
 * @sched: device->lock
 * @count: device->lock
 * @throttles_told: of @sched.throttles, by the tracepoint; device->lock
 * @executor: the present one, or NULL; device->lock
 * @generation: executors attached so far; device->lock
 * @wanted: EXECUTOR_WANTED has been announced; device->lock
 * @awaited_calls: how often @executor had come to EXCHANGE when it was last expected, or U64_MAX
 *	when nobody had attached; device->lock
 * @notices: for the executor; device->lock
 * @no_executor_work: fails what waits when no executor comes
 * @refusals: bounds what the log says of its clients' refused calls
 * @full_told: the log has that it is full; @lock
 */
struct infini_vdev {
	refcount_t refs;
	u32 id;
	char name[INFINI_NAME_MAX];
	uuid_t uuid;
	struct hlist_node by_name;
	struct hlist_node by_uuid;
	struct infini_device *device;
	struct device *node;
	bool dead;

	struct mutex lock;
	struct list_head clients;
	u32 nr_clients;
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	u64 cgroup_id;
	bool exclusive;
	u64 memory_limit_bytes;

	atomic64_t memory_used_bytes;
	atomic64_t memory_peak_bytes;
	atomic64_t memory_failed;
	atomic64_t file_bytes;
	u64 held_bytes;
	u64 held_device_bytes;
	atomic_t nr_queues;
	atomic_t nr_buffers;
	atomic_t nr_programs;

	struct xarray buffers;
	struct xarray programs;
	u32 next_buffer;
	u32 next_program;

	struct infini_sched_vdev sched;
	struct infini_vdev_counters count;
	u64 throttles_told;
	struct infini_executor *executor;
	u64 generation;
	bool wanted;
	u64 awaited_calls;
	struct list_head notices;
	struct delayed_work no_executor_work;
	struct ratelimit_state refusals;
	bool full_told;
};

/**
 * struct infini_client - an open file of a vdev
 * @refs: the file, its queues
 * @link: in vdev->clients; vdev->lock
 * @lock: @queue_list, @alloc_queue
 * @queues: by handle; likewise @buffers and @programs, which hold one reference each
 * @wait: one wait queue for everything a client waits for
 * @ended: jobs that ended since the last read()
 * @pid: of the process that opened it; likewise @comm
 * @refusal_told: the log has a call of its that was refused
 * @cgroup_id: of its control group (v2) then; 0 where there are none
 * @alloc_queue: internal, for ALLOC jobs; made when first needed
 * @streams: its requests; device->lock
 */
struct infini_client {
	refcount_t refs;
	u32 id;
	struct infini_vdev *vdev;
	struct infini_mapper mapper;
	struct list_head link;
	struct mutex lock;
	struct list_head queue_list;
	struct xarray queues;
	struct xarray buffers;
	struct xarray programs;
	atomic_t nr_buffers;
	atomic_t nr_programs;
	u32 nr_queues;
	wait_queue_head_t wait;
	atomic64_t ended;
	pid_t pid;
	bool refusal_told;
	char comm[TASK_COMM_LEN];
	u64 cgroup_id;
	struct infini_queue *alloc_queue;
	struct infini_streams streams;
};

/**
 * struct infini_buffer - memory
 * @refs: the handle, jobs, client mappings
 * @pages: SHARED and UNIFIED; NULL when the executor allocates and for FILE
 * @file: FILE: opened by us, for reading; the buffer begins at @file_offset
 * @id: unique on the vdev; in vdev->buffers until the executor knows it is gone
 * @known_generation: newest executor that has seen it; device->lock
 * @held_generation: executor that allocated it; 0 none, device->lock
 * @rcu: executor faults look it up without a lock
 */
struct infini_buffer {
	refcount_t refs;
	struct infini_vdev *vdev;
	u32 type;
	u32 kind;
	u32 id;
	u64 bytes;
	unsigned long nr_pages;
	struct page **pages;
	struct file *file;
	u64 file_offset;
	u64 known_generation;
	u64 held_generation;
	struct infini_notice notice;
	struct rcu_head rcu;
};

/**
 * struct infini_program - immutable bytes in a named format
 * @refs: the handle, jobs
 */
struct infini_program {
	refcount_t refs;
	struct infini_vdev *vdev;
	u32 format;
	u32 id;
	u64 bytes;
	void *data;
	u64 known_generation;
	struct infini_notice notice;
	struct rcu_head rcu;
};

/**
 * struct infini_kjob - a job slot of a queue; preallocated, reused
 * @link: in executor->held while DISPATCHED or DOOMED
 * @state: device->lock; only the submitter turns IDLE into QUEUED
 * @buffers: what bindings name, referenced; @nr_bindings of them, room for @bindings_room
 * @access: of each binding, behind @buffers
 * @payload: the job's part of the executor's payload area; @payload_room bytes are allocated
 * @inputs_at: where the inputs are in @payload; likewise @outputs_at and @args_at
 * @dispatch: number of the present dispatch
 * @status: of a DOOMED or DONE job
 * @tokens_prompt: known when it is done, as the three below it
 * @submitted_ns: when it was handed in
 * @queued_ns: when it last began to wait
 * @started_ns: when it was last dispatched
 * @occupancy_ns: slot time so far
 */
struct infini_kjob {
	struct list_head link;
	struct infini_queue *queue;
	u64 seqno;
	enum infini_job_state state;
	u32 op;
	u32 format;
	struct infini_program *program;
	struct infini_buffer **buffers;
	u8 *access;
	u32 bindings_room;
	u32 nr_bindings;
	u32 nr_inputs;
	u32 nr_outputs;
	u32 args_bytes;
	void *payload;
	u32 payload_bytes;
	u32 payload_room;
	u32 inputs_at;
	u32 outputs_at;
	u32 args_at;
	u64 dst_offset;
	u64 src_offset;
	u64 bytes;
	u32 value;
	u64 timeout_ns;
	u64 request_id;
	u32 tokens_evaluated;
	u32 tokens_generated;
	u32 tokens_prompt;
	u32 tokens_scored;
	u32 tokens_embedded;
	u32 prompts;
	struct infini_stream_times times;

	u64 segment;
	u64 dispatch;
	int status;
	u64 result;
	u64 submitted_ns;
	u64 queued_ns;
	u64 started_ns;
	u64 occupancy_ns;
	u64 bytes_in;
	u64 bytes_out;
};

/**
 * struct infini_queue - an ordered stream of jobs
 * @refs: the client's handle, callers, and one while jobs are in flight
 * @link: in client->queue_list; client->lock
 * @submit_lock: one submitter at a time
 * @jobs: ring of @depth slots, seqno n at n % depth
 * @timeline: the page that the client maps; written under device->lock, never read
 * @submitted: last seqno handed out; device->lock, as all below
 * @next: lowest seqno that is or may be QUEUED
 * @completed: every job up to here has ended
 * @held_last: highest seqno ever handed to the executor in this stretch
 * @nr_held: jobs the executor holds
 * @dead: destroyed
 * @signals: eventfd signals not sent yet; not 0: in somebody's struct infini_wakeups
 * @spin: for those who wait for its jobs; no lock
 * @wake_next: there; of whom @signals are
 * @charged_bytes: what its slots and payloads cost the vdev; @submit_lock
 * @values: of the last jobs, seqno n at n % INFINI_TIMELINE_RECORDS; the client's page is written,
 *	never believed
 * @statuses: likewise
 */
struct infini_queue {
	refcount_t refs;
	struct infini_client *client;
	u32 handle;
	u32 depth;
	struct list_head link;
	struct mutex submit_lock;
	struct eventfd_ctx *eventfd;
	struct infini_kjob *jobs;
	struct infini_timeline *timeline;
	struct infini_sched_queue sched;
	u64 submitted;
	u64 next;
	u64 completed;
	u64 held_last;
	u32 nr_held;
	bool dead;
	atomic_t signals;
	struct infini_spin spin;
	struct infini_queue *wake_next;
	u64 charged_bytes;
	u64 values[INFINI_TIMELINE_RECORDS];
	s16 statuses[INFINI_TIMELINE_RECORDS];
};

static_assert(MAX_ERRNO <= S16_MAX);

enum infini_executor_state {
	INFINI_EXECUTOR_FREE,		/* created, nobody attached */
	INFINI_EXECUTOR_SERVING,
	INFINI_EXECUTOR_REVOKED,	/* told to die; the slot is quarantined */
	INFINI_EXECUTOR_GONE,
};

/* Results on their way in, then jobs and notices on their way out: too much for a stack. */
struct infini_bounce {
	struct infini_result results[INFINI_WINDOW_MAX];
	struct infini_dispatch dispatches[INFINI_WINDOW_MAX];
	struct infini_kjob *jobs[INFINI_WINDOW_MAX];
};

/**
 * struct infini_executor - one worker's channel
 * @refs: the file, the vdev's pointer, revocation
 * @lock: one EXCHANGE at a time, and none of it while the executor is ended
 * @asleep: an EXCHANGE sleeps, which has dropped @lock for it: not the time for another one; @lock
 * @spin: for the EXCHANGE that sleeps; no lock
 * @state: device->lock, as everything below
 * @tgid: of the process that attached, compared by reference
 * @granted: holds a slot
 * @fresh: has taken no job in this slice yet
 * @waiting: inside EXCHANGE, can take work
 * @calls: how often it came to EXCHANGE
 * @held: jobs handed out, oldest first; only the first runs
 * @running_link: in device->running while granted
 * @head_since_ns: since when the first held job has had the slot
 * @grace_until_ns: revoke then; 0 for no
 * @ending: revocation is on its way; time does nothing to it any more
 * @told: notices handed out and not confirmed by the next EXCHANGE yet
 * @word: the yield word, in a page of its own
 * @bounce: what an EXCHANGE has in its hands; @lock
 * @end_reason: why it is going to end, or ""; device->lock
 */
struct infini_executor {
	refcount_t refs;
	struct infini_vdev *vdev;
	struct infini_mapper mapper;
	struct mutex lock;
	bool asleep;
	wait_queue_head_t wait;
	struct infini_spin spin;
	enum infini_executor_state state;
	struct pid *tgid;
	u64 generation;
	u32 window;
	bool granted;
	bool fresh;
	bool waiting;
	u64 calls;
	struct list_head held;
	u32 nr_held;
	struct list_head running_link;
	u64 head_since_ns;
	u64 next_dispatch;
	u64 grace_until_ns;
	bool ending;
	struct list_head told;
	u64 *word;
	struct work_struct revoke_work;
	struct infini_bounce *bounce;
	char end_reason[INFINI_END_REASON_MAX];
};

/*
 * Queues whose waiters are woken once the device lock is dropped; holds a reference each. A queue is in
 * one such list at a time, and whoever finds it in another's has device->lock alone.
 */
struct infini_wakeups {
	struct infini_queue *first;
};

/* One ioctl on its way: the struct is copied in before and out after the handler. */
struct infini_ucmd {
	struct file *file;
	void __user *user;
	u32 user_size;
	void *cmd;
};

struct infini_ioctl {
	u32 nr;
	u32 size;
	u32 min_size;
	int (*execute)(struct infini_ucmd *ucmd);
};

#define INFINI_IOCTL(_ioc, _fn, _struct, _last)					\
	{ .nr = _IOC_NR(_ioc), .size = sizeof(struct _struct),			\
	  .min_size = offsetofend(struct _struct, _last), .execute = _fn }

/* chardev.c */
long infini_ioctl(struct file *file, unsigned int cmd, unsigned long arg,
		  const struct infini_ioctl *table, unsigned int nr);
int infini_ucmd_respond(struct infini_ucmd *ucmd);
int infini_query_fill(struct infini_query *query, enum infini_role role);
int infini_end_reason_check(const struct infini_end_reason *cmd);
int infini_chardev_init(void);
void infini_chardev_exit(void);
struct device *infini_node_create(struct infini_vdev *vdev);
void infini_node_destroy(struct infini_vdev *vdev);
int infini_copy_array(void *to, u64 from, u32 stride, size_t size, u32 index);
int infini_copy_array_back(u64 to, u32 stride, const void *from, size_t size, u32 index);

/* refusal.c: the log of who was refused what is not his */
void infini_refused(const char *what, const char *name);
void infini_client_refused(struct infini_client *client, const char *call, long err);

/* file.c: files and inodes of our own */
int infini_fs_init(void);
void infini_fs_exit(void);
struct inode *infini_inode_new(void);
int infini_file_new(const char *name, struct inode *inode, const struct file_operations *fops,
		    void *priv, struct file **file);
int infini_mapper_init(struct infini_mapper *mapper, bool placeholder);
void infini_mapper_fini(struct infini_mapper *mapper);
void infini_mapper_revoke(struct infini_mapper *mapper);
void infini_mapper_zap(struct infini_mapper *mapper, u64 offset, u64 bytes);
vm_fault_t infini_mapper_insert(struct infini_mapper *mapper, struct vm_fault *vmf,
				struct page **pages, unsigned long nr_pages, unsigned long index);

/* device.c */
extern struct xarray infini_devices;
int infini_device_register_ioctl(struct infini_ucmd *ucmd);
struct infini_device *infini_device_find(const char *name, u32 id);
void infini_device_put(struct infini_device *device);
void infini_device_vdev_gone(struct infini_device *device);
void infini_device_schedule_locked(struct infini_device *device, u64 now);
void infini_device_get(struct infini_device *device);
bool infini_name_valid(const char *name);

/* vdev.c */
extern struct xarray infini_vdevs;

/* What an administrator asks for; fields count when their INFINI_VDEV_HAS_* bit is set. */
#define INFINI_VDEV_HAS_WEIGHT	(1u << 0)
#define INFINI_VDEV_HAS_QUANTUM	(1u << 1)
#define INFINI_VDEV_HAS_MEMORY	(1u << 2)
#define INFINI_VDEV_HAS_OWNER	(1u << 3)
#define INFINI_VDEV_HAS_MODE	(1u << 4)
#define INFINI_VDEV_HAS_CLASS	(1u << 5)
#define INFINI_VDEV_HAS_CAP	(1u << 6)
#define INFINI_VDEV_HAS_FLOOR	(1u << 7)
#define INFINI_VDEV_HAS_RATE	(1u << 8)
#define INFINI_VDEV_HAS_BURST	(1u << 9)
#define INFINI_VDEV_HAS_UUID	(1u << 10)
#define INFINI_VDEV_HAS_EXCLUSIVE (1u << 11)
#define INFINI_VDEV_HAS_CGROUP	(1u << 12)
struct infini_vdev_config {
	u32 set;
	u32 weight;
	u32 sched_class;
	u32 cap_ppm;
	u32 floor_ppm;
	u64 quantum_ns;
	u64 tokens_per_s;
	u64 token_burst;
	u64 memory_limit_bytes;
	bool overcommit;
	kuid_t uid;
	kgid_t gid;
	u32 mode;
	bool no_node;
	uuid_t uuid;
	bool exclusive;
	u64 cgroup_id;
};

/* A consistent look at a vdev, for netlink, fdinfo and the ioctl. */
struct infini_vdev_snapshot {
	u32 id;
	u32 device_id;
	struct infini_sched_limits limits;
	u64 memory_limit_bytes;
	kuid_t uid;
	kgid_t gid;
	umode_t mode;
	u64 cgroup_id;
	bool exclusive;
	bool has_node;
	u32 executor;			/* as enum infini_admin_executor of libinfini-admin:
					 * 0 none 1 wanted 2 created 3 attached 4 quarantined */
	pid_t executor_pid;		/* in the initial pid namespace, 0 for none */
	struct infini_vdev_stats stats;
	u64 queue_wait_hist[INFINI_HIST_BUCKETS];
	struct infini_token_times times;
	u64 client_cgroups[INFINI_VDEV_CLIENT_CGROUPS_MAX];
	u32 nr_client_cgroups;
};

/*
 * Why an administrative call failed, or what to know though it did not, in words; copied into the
 * netlink extended ack.
 */
struct infini_reason {
	const char *plain;
	char text[128];
};

int infini_vdev_create(const char *name, const char *device, const struct infini_vdev_config *config,
		       struct infini_vdev **vdev, struct infini_reason *reason);
int infini_vdev_set(struct infini_vdev *vdev, const struct infini_vdev_config *config,
		    struct infini_reason *reason);
int infini_vdev_delete(struct infini_vdev *vdev, bool force, struct infini_reason *reason);
struct infini_vdev *infini_vdev_find(const char *name, u32 id);
struct infini_vdev *infini_vdev_get(struct infini_vdev *vdev);
void infini_vdev_put(struct infini_vdev *vdev);
int infini_vdev_may_open_locked(struct infini_vdev *vdev);
int infini_vdev_charge(struct infini_vdev *vdev, u64 bytes);
void infini_vdev_uncharge(struct infini_vdev *vdev, u64 bytes);
bool infini_vdev_over_rate(struct infini_vdev *vdev);
void infini_vdev_tell_throttle_locked(struct infini_vdev *vdev);
void infini_vdev_charge_held(struct infini_vdev *vdev, u64 bytes);
void infini_vdev_limits(struct infini_vdev *vdev, struct infini_sched_limits *limits);
void infini_vdev_snapshot(struct infini_vdev *vdev, struct infini_vdev_snapshot *snap);
void infini_vdev_cancel_waiting(struct infini_vdev *vdev, int status);
void infini_vdev_want_executor(struct infini_vdev *vdev);
void infini_vdev_expect_executor(struct infini_vdev *vdev);
bool infini_vdev_served_locked(const struct infini_vdev *vdev);
bool infini_vdev_has_work(struct infini_vdev *vdev);
void infini_vdev_delete_all(void);
void infini_vdev_fail(struct infini_vdev *vdev, int status);

/* admission.c: what may be asked of a vdev, and what of it a device can promise */

/* What a vdev has been promised. */
struct infini_promise {
	struct infini_sched_limits limits;
	u64 memory_bytes;
};

int infini_admit(const struct infini_device *device, const struct infini_vdev_config *config,
		 const struct infini_promise *from, struct infini_promise *to,
		 struct infini_reason *reason);
void infini_promise_move(struct infini_device *device, const struct infini_promise *from,
			 const struct infini_promise *to);
__printf(3, 4) void infini_say(struct infini_reason *reason, const char *plain,
			       const char *format, ...);
void infini_say_lowered(u64 limit, u64 used, struct infini_reason *reason);

/* cgroup.c */
u64 infini_cgroup_current(void);
bool infini_cgroup_has_current(u64 id);
int infini_cgroup_from_fd(int fd, u64 *id, struct infini_reason *reason);

/* client.c */
extern const struct file_operations infini_client_fops;
int infini_client_create(struct infini_vdev *vdev, struct infini_client **client);
int infini_client_open_file(struct infini_vdev *vdev, struct file **file);
void infini_client_put(struct infini_client *client);
int infini_client_release(struct infini_client *client);

/* queue.c */
int infini_queue_create_ioctl(struct infini_ucmd *ucmd);
int infini_queue_destroy_ioctl(struct infini_ucmd *ucmd);
struct infini_queue *infini_queue_new(struct infini_client *client, u32 depth, u32 weight,
				      struct eventfd_ctx *eventfd);
struct infini_queue *infini_queue_find(struct infini_client *client, u32 handle);
void infini_queue_put(struct infini_queue *queue);
void infini_queue_destroy(struct infini_queue *queue, int status);
void infini_queue_cancel_waiting(struct infini_queue *queue, int status);
void infini_queue_update_locked(struct infini_queue *queue, u64 now);
bool infini_queue_reached(struct infini_queue *queue, u64 seqno);
void infini_wakeups_add_locked(struct infini_wakeups *wakeups, struct infini_queue *queue);
void infini_wakeups_run(struct infini_wakeups *wakeups);

/* job.c */
int infini_submit_ioctl(struct infini_ucmd *ucmd);
int infini_wait_ioctl(struct infini_ucmd *ucmd);
void infini_job_step_locked(struct infini_kjob *job, enum infini_job_event event);
void infini_job_end_locked(struct infini_kjob *job, int status, u64 now,
			   struct infini_wakeups *wakeups);
int infini_job_alloc_buffer(struct infini_client *client, struct infini_buffer *buffer);
int infini_queue_wait(struct infini_queue *queue, u64 seqno, s64 deadline_ns, int *status,
		      u64 *value);

/* buffer.c */
int infini_buffer_create_ioctl(struct infini_ucmd *ucmd);
int infini_buffer_destroy_ioctl(struct infini_ucmd *ucmd);
struct infini_buffer *infini_buffer_find(struct infini_client *client, u32 handle);
struct infini_buffer *infini_buffer_find_id(struct infini_vdev *vdev, u32 id);
void infini_buffer_put(struct infini_buffer *buffer);
void infini_buffer_put_now(struct infini_buffer *buffer);
void infini_buffer_end(struct infini_buffer *buffer);
bool infini_buffer_executor_held(const struct infini_buffer *buffer);
u64 infini_buffer_map_offset(u32 id);
u64 infini_buffer_range(u32 id);

/* buffer-file.c */
struct file *infini_buffer_file_open(int fd, u64 offset, u64 bytes);
int infini_buffer_file_count(struct infini_vdev *vdev, u64 bytes);
void infini_buffer_file_uncount(struct infini_vdev *vdev, u64 bytes);
int infini_buffer_receive_ioctl(struct infini_ucmd *ucmd);

/* program.c */
int infini_program_create_ioctl(struct infini_ucmd *ucmd);
int infini_program_destroy_ioctl(struct infini_ucmd *ucmd);
int infini_program_read_ioctl(struct infini_ucmd *ucmd);
struct infini_program *infini_program_find(struct infini_client *client, u32 handle);
void infini_program_put(struct infini_program *program);
void infini_program_put_now(struct infini_program *program);
void infini_program_end(struct infini_program *program);

/* object.c: what buffers and programs have in common: the executor must hear of their end */
void infini_notice_init(struct infini_notice *notice, u32 op, u64 id);
bool infini_notice_post(struct infini_vdev *vdev, struct infini_notice *notice,
			u64 known_generation);
void infini_notices_done(struct list_head *notices);
int infini_object_id(struct xarray *xa, void *object, u32 *id, u32 *next);

/* executor.c */
int infini_executor_create_ioctl(struct infini_ucmd *ucmd);
void infini_executor_raise_locked(struct infini_executor *executor);
void infini_executor_doom_locked(struct infini_executor *executor, struct infini_kjob *job,
				 int status, enum infini_job_event event);
void infini_executor_put(struct infini_executor *executor);

/* watchdog.c: quantum, timeouts, grace, revocation */
void infini_watchdog_init(struct infini_device *device);
void infini_watchdog_arm_locked(struct infini_device *device, u64 now);
void infini_watchdog_stop(struct infini_device *device);
void infini_executor_revoke(struct infini_executor *executor);
void infini_executor_lost(struct infini_executor *executor);

/* sysfs.c */
struct device *infini_sysfs_add(struct infini_vdev *vdev, dev_t devt);
void infini_sysfs_remove(dev_t devt);
int infini_sysfs_init(void);
void infini_sysfs_exit(void);

/* debugfs.c */
extern const char *const infini_class_words[];
void infini_debugfs_init(void);
void infini_debugfs_exit(void);
void infini_client_fdinfo(struct seq_file *m, struct file *file);

/* netlink.c: reads and changes what is there only through the functions above */

/*
 * Tell the "events" group. Process context, may sleep, no lock but mutexes held. @vdev is NULL for
 * an event of the device alone; @pid is the executor's in the initial pid namespace, or 0. @reason
 * is NULL or empty where there is none to tell.
 */
void infini_netlink_event_why(enum infini_event type, const struct infini_device *device,
			      struct infini_vdev *vdev, pid_t pid, const char *reason);

static inline void infini_netlink_event(enum infini_event type, const struct infini_device *device,
					struct infini_vdev *vdev, pid_t pid)
{
	infini_netlink_event_why(type, device, vdev, pid, NULL);
}

int infini_netlink_init(void);
void infini_netlink_exit(void);

#endif /* INFINI_H */
