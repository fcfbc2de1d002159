/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * The ioctl contract of /dev/infini.
 *
 * Extension rules
 * ---------------
 * - A struct that an ioctl takes starts with its own size. Older programs pass a smaller one,
 *   whose missing tail the module takes as zero; a newer program's non-zero tail is E2BIG.
 *   Elements of arrays carry no size of their own: an array travels as {pointer, count, stride}
 *   and the stride plays that part.
 * - Unknown flags and non-zero padding are EINVAL, always. Every addition gets a feature bit.
 * - Sizes are multiples of 8, there are no unions, pointers are __u64: a 32-bit program on a
 *   64-bit kernel passes the very same bytes.
 * - Waits take an absolute CLOCK_MONOTONIC time in nanoseconds; 0 does not wait and
 *   INFINI_FOREVER waits until interrupted.
 *
 * Errno contract
 * --------------
 *  ENOTTY      this file does not know the command (also: a command of another kind of file)
 *  E2BIG       the struct is newer than the module and uses what the module does not know
 *  EINVAL      malformed: size too small, unknown flag, padding set, value out of range
 *  EFAULT      a pointer does not lead to memory of the caller
 *  EOPNOTSUPP  well-formed, but this device or backend does not do it
 *  ENOENT      no such handle, vdev or device
 *  EACCES      the vdev is not the caller's to open, or the buffer or file not to be used so
 *  EBADF       no open file stands behind a descriptor
 *  EPERM       needs CAP_SYS_ADMIN, or another process owns this executor
 *  ENOSPC      over the memory limit of the vdev or of the device, or over a count limit
 *  ENOMEM      the kernel or the memory cgroup has no memory
 *  EDQUOT      over the token rate when asked not to wait
 *  EBUSY       in use
 *  EEXIST      the name is taken
 *  EAGAIN      the queue is full, or nothing is there and the caller did not want to wait
 *  EINTR       a signal came before anything was done
 *  ETIMEDOUT   the wait's deadline passed, or the job ran longer than its timeout
 *  ECANCELED   the object was destroyed under the call or the job
 *  EHOSTDOWN   no executor took the vdev's work in time
 *  EOWNERDEAD  the executor died with the job, or with the memory the job names
 *  ENODATA     the file behind a buffer was truncated or cannot be read: what the job made is lost
 *  ENODEV      the device is gone, or the vdev was deleted by force
 *  ESTALE      an answer to a dispatch that is no longer this executor's
 *  EPROTO      an executor speaks another protocol version or broke it
 */
#ifndef _UAPI_LINUX_INFINI_H
#define _UAPI_LINUX_INFINI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define INFINI_IOC_TYPE		0xBB
#define INFINI_PROTOCOL_VERSION	1

#define INFINI_NAME_MAX		32	/* of vdevs, devices and memory kinds, with the final NUL */
#define INFINI_END_REASON_MAX	120	/* of why a device or an executor ends, likewise */
#define INFINI_FOREVER		0x7fffffffffffffffLL
#define INFINI_MEMORY_KINDS_MAX	8

/* What kind of file QUERY was asked on. */
enum infini_role {
	INFINI_ROLE_CONTROL	= 0,	/* /dev/infini on the host */
	INFINI_ROLE_CLIENT	= 1,	/* an open vdev */
	INFINI_ROLE_DEVICE	= 2,	/* a registered device, held by the daemon */
	INFINI_ROLE_EXECUTOR	= 3,	/* one worker's channel */
};

/* Feature bits of struct infini_query. A bit not listed here is not known to this header. */
#define INFINI_FEAT_SHARED_BUFFER	(1ULL << 0)
#define INFINI_FEAT_DEVICE_BUFFER	(1ULL << 1)
#define INFINI_FEAT_SUBMIT_WAIT		(1ULL << 2)
#define INFINI_FEAT_EVENTFD		(1ULL << 3)
#define INFINI_FEAT_TIMELINE_PAGE	(1ULL << 4)
#define INFINI_FEAT_INLINE_INPUTS	(1ULL << 5)
#define INFINI_FEAT_OUTPUTS		(1ULL << 6)
#define INFINI_FEAT_ASK			(1ULL << 7)
#define INFINI_FEAT_DMABUF		(1ULL << 8)	/* reserved, never set so far */
#define INFINI_FEAT_LIMITS		(1ULL << 9)	/* VDEV_INFO and VDEV_STATS know class, cap,
							 * floor, token rate and throttling */
#define INFINI_FEAT_RATE_NOWAIT		(1ULL << 10)	/* INFINI_SUBMIT_F_RATE_NOWAIT */
#define INFINI_FEAT_TOKEN_KINDS		(1ULL << 11)	/* results and VDEV_STATS tell kinds
							 * of tokens apart */
#define INFINI_FEAT_END_REASON		(1ULL << 12)	/* END_REASON */
#define INFINI_FEAT_FILE_BUFFER		(1ULL << 13)	/* INFINI_BUFFER_FILE, BUFFER_RECEIVE */

/**
 * struct infini_query - what this module can do; on every kind of file
 * @size: sizeof(struct infini_query)
 * @flags: 0
 * @features: out: INFINI_FEAT_*
 * @role: out: enum infini_role of this file
 * @protocol: out: INFINI_PROTOCOL_VERSION of the module
 * @max_queues: out: per client
 * @max_buffers: out: per client
 * @max_programs: out: per client
 * @max_queue_depth: out: jobs in flight on one queue
 * @max_batch: out: jobs in one SUBMIT
 * @max_bindings: out: of one job
 * @max_copies: out: inputs and outputs of one job, each
 * @max_clients: out: open files of one vdev
 * @max_inline_bytes: out: arguments and inputs of one job, together
 * @max_program_bytes: out: of one program
 * @max_timeout_ns: out: ceiling of a job's timeout, set by the administrator
 * @default_timeout_ns: out: what a job gets that asks for 0
 * @size_job: out: sizeof(struct infini_job) as the module knows it
 * @size_completion: out: sizeof(struct infini_completion)
 * @size_dispatch: out: sizeof(struct infini_dispatch)
 * @size_result: out: sizeof(struct infini_result)
 * @max_file_bytes: out: of all FILE buffers of one vdev, together
 */
struct infini_query {
	__u32 size;
	__u32 flags;
	__aligned_u64 features;
	__u32 role;
	__u32 protocol;
	__u32 max_queues;
	__u32 max_buffers;
	__u32 max_programs;
	__u32 max_queue_depth;
	__u32 max_batch;
	__u32 max_bindings;
	__u32 max_copies;
	__u32 max_clients;
	__aligned_u64 max_inline_bytes;
	__aligned_u64 max_program_bytes;
	__aligned_u64 max_timeout_ns;
	__aligned_u64 default_timeout_ns;
	__u32 size_job;
	__u32 size_completion;
	__u32 size_dispatch;
	__u32 size_result;
	__aligned_u64 max_file_bytes;
};

/**
 * struct infini_vdev_open - the file of a vdev, on the control file
 * @size: sizeof(struct infini_vdev_open)
 * @flags: 0
 * @id: the vdev's id; used when @name is empty
 * @fd: out: a new O_CLOEXEC file, a client of the vdev
 * @name: the vdev's name, NUL-terminated, or empty
 *
 * Errors: ENOENT no such vdev; EACCES not yours; ENODEV being deleted; ENOSPC max_clients.
 */
struct infini_vdev_open {
	__u32 size;
	__u32 flags;
	__u32 id;
	__s32 fd;
	__u8 name[INFINI_NAME_MAX];
};

/* ---- a client: an open vdev ---------------------------------------------------------- */

enum infini_device_class {
	INFINI_CLASS_CPU	= 0,
	INFINI_CLASS_GPU	= 1,
	INFINI_CLASS_NPU	= 2,
	INFINI_CLASS_OTHER	= 3,
};

/* Memory kinds: what a DEVICE buffer may be made of on a device. */
#define INFINI_MEMORY_F_UNIFIED	(1 << 0)	/* module pages; else the executor allocates */
#define INFINI_MEMORY_F_WEIGHTS	(1 << 1)	/* the backend lays the contents out itself
						 * (repacked); filled by ASK, not by COPY */
#define INFINI_MEMORY_F_FILE	(1 << 2)	/* of UNIFIED: programs read FILE buffers in place */

/**
 * struct infini_memory_kind - one kind of memory of a device
 * @name: as the backend calls it ("CPU", "CPU_REPACK", "Vulkan0")
 * @flags: INFINI_MEMORY_F_*
 * @pad: 0
 * @alignment: of offsets in bytes, a power of two
 * @max_bytes: largest single buffer, 0 for no bound but the memory limit
 */
struct infini_memory_kind {
	__u8 name[INFINI_NAME_MAX];
	__u32 flags;
	__u32 pad;
	__aligned_u64 alignment;
	__aligned_u64 max_bytes;
};

/**
 * struct infini_vdev_info - this vdev and the device under it; on a client file
 * @size: sizeof(struct infini_vdev_info)
 * @flags: 0
 * @id: out: vdev id
 * @device_id: out
 * @device_class: out: enum infini_device_class
 * @device_online: out: 1 while an executor can be had
 * @weight: out
 * @nr_kinds: out: memory kinds of the device; kind 0 is the default
 * @quantum_ns: out
 * @memory_limit_bytes: out
 * @memory_used_bytes: out: charged now, the worker's share included
 * @kinds: pointer to struct infini_memory_kind[@kinds_capacity], or 0
 * @kinds_capacity: elements @kinds can take; @nr_kinds tells how many there are
 * @kinds_stride: sizeof(struct infini_memory_kind)
 * @name: out: of the vdev
 * @device_name: out
 * @backend: out: "ggml", "null", …
 * @description: out: of the device, for people
 * @vdev_class: out: 0 latency, 1 normal, 2 batch: enum infini_vdev_class of infini_netlink.h
 * @cap_ppm: out: most of the device's time that the vdev gets, in millionths; 1000000 for no cap
 * @floor_ppm: out: least that it gets while it has work; 0 for none
 * @pad: out: 0
 * @tokens_per_s: out: of each job the larger of evaluated and generated; 0 for no limit
 * @token_burst: out: tokens beyond the rate after a pause; 0 for one second's
 */
struct infini_vdev_info {
	__u32 size;
	__u32 flags;
	__u32 id;
	__u32 device_id;
	__u32 device_class;
	__u32 device_online;
	__u32 weight;
	__u32 nr_kinds;
	__aligned_u64 quantum_ns;
	__aligned_u64 memory_limit_bytes;
	__aligned_u64 memory_used_bytes;
	__aligned_u64 kinds;
	__u32 kinds_capacity;
	__u32 kinds_stride;
	__u8 name[INFINI_NAME_MAX];
	__u8 device_name[INFINI_NAME_MAX];
	__u8 backend[INFINI_NAME_MAX];
	__u8 description[64];
	__u32 vdev_class;
	__u32 cap_ppm;
	__u32 floor_ppm;
	__u32 pad;
	__aligned_u64 tokens_per_s;
	__aligned_u64 token_burst;
};

/*
 * Queue waits are counted in four buckets of equal width to an octave: with o = i / 4 and
 * s = i % 4, bucket i counts waits of [2^o * (4 + s) / 4, 2^o * (5 + s) / 4) nanoseconds.
 */
#define INFINI_HIST_BUCKETS	160

/**
 * struct infini_vdev_stats - counters of this vdev since its creation; on a client file
 * @size: sizeof(struct infini_vdev_stats)
 * @flags: 0
 * @occupancy_ns: out: time an executor of the vdev held a slot
 * @runnable_ns: out: time the vdev had a job that could run or ran
 * @queue_wait_ns: out: sum over jobs from submission (or preemption) to dispatch
 * @jobs_submitted: out
 * @jobs_completed: out: with status 0
 * @jobs_failed: out: with any other status
 * @jobs_timed_out: out: those of them with ETIMEDOUT
 * @dispatches: out: jobs handed to an executor, again after each preemption
 * @slices: out: stays in a slot
 * @preemptions: out: jobs that came back PREEMPTED
 * @tokens_evaluated: out: rows of hidden state computed
 * @tokens_generated: out: rows of logits of which each makes a sequence's next token
 * @bytes_in: out: inline inputs, arguments and COPYs from SHARED and FILE buffers
 * @bytes_out: out: outputs and COPYs to SHARED buffers
 * @memory_used_bytes: out
 * @memory_peak_bytes: out
 * @memory_failed: out: allocations refused by the limit or by a device without room
 * @clients: out: now
 * @queues: out: now
 * @buffers: out: now; buffers still mapped after their handle is gone count
 * @programs: out: now
 * @executor_generation: out: how many executors have attached so far
 * @queue_wait_hist: out: pointer to __u64[INFINI_HIST_BUCKETS] or 0
 * @throttled_ns: out: time a cap or a token rate kept the vdev from running though it had work
 * @throttles: out: how often
 * @tokens_prompt: out: evaluated, of prompts
 * @tokens_scored: out: evaluated to score a text, or to draft and verify tokens; generate nothing
 * @tokens_embedded: out: evaluated into embeddings; generate nothing
 * @prompts: out: that came to their end; the last row of each made a first token
 * @file_bytes: out: of files that stand behind FILE buffers now; no part of @memory_used_bytes
 */
struct infini_vdev_stats {
	__u32 size;
	__u32 flags;
	__aligned_u64 occupancy_ns;
	__aligned_u64 runnable_ns;
	__aligned_u64 queue_wait_ns;
	__aligned_u64 jobs_submitted;
	__aligned_u64 jobs_completed;
	__aligned_u64 jobs_failed;
	__aligned_u64 jobs_timed_out;
	__aligned_u64 dispatches;
	__aligned_u64 slices;
	__aligned_u64 preemptions;
	__aligned_u64 tokens_evaluated;
	__aligned_u64 tokens_generated;
	__aligned_u64 bytes_in;
	__aligned_u64 bytes_out;
	__aligned_u64 memory_used_bytes;
	__aligned_u64 memory_peak_bytes;
	__aligned_u64 memory_failed;
	__aligned_u64 clients;
	__aligned_u64 queues;
	__aligned_u64 buffers;
	__aligned_u64 programs;
	__aligned_u64 executor_generation;
	__aligned_u64 queue_wait_hist;
	__aligned_u64 throttled_ns;
	__aligned_u64 throttles;
	__aligned_u64 tokens_prompt;
	__aligned_u64 tokens_scored;
	__aligned_u64 tokens_embedded;
	__aligned_u64 prompts;
	__aligned_u64 file_bytes;
};

#define INFINI_QUEUE_F_EVENTFD	(1 << 0)	/* signal @eventfd once per completed job */

/**
 * struct infini_queue_create - an ordered stream of jobs
 * @size: sizeof(struct infini_queue_create)
 * @flags: INFINI_QUEUE_F_*
 * @depth: jobs in flight, 1..max_queue_depth; they are preallocated and charged now, the room for
 *	bindings and payloads with the first job that needs it
 * @weight: 1..10000, against the other queues of the vdev; 0 means 100
 * @eventfd: with INFINI_QUEUE_F_EVENTFD, else 0
 * @handle: out
 * @map_offset: out: mmap offset of the queue's read-only struct infini_timeline, one page
 *
 * Errors: ENOSPC max_queues; EBADF @eventfd is no open file; EINVAL it is no eventfd.
 */
struct infini_queue_create {
	__u32 size;
	__u32 flags;
	__u32 depth;
	__u32 weight;
	__s32 eventfd;
	__u32 handle;
	__aligned_u64 map_offset;
};

/**
 * struct infini_handle - names one object; for the DESTROY commands
 * @size: sizeof(struct infini_handle)
 * @flags: 0
 * @handle: the object
 * @pad: 0
 *
 * Destroying is allowed at any time. A queue's waiting jobs end with ECANCELED and a running one
 * is asked to yield and dropped; a buffer or program lives on, without a handle, as long as jobs
 * or mappings use it.
 */
struct infini_handle {
	__u32 size;
	__u32 flags;
	__u32 handle;
	__u32 pad;
};

enum infini_buffer_type {
	INFINI_BUFFER_SHARED	= 0,	/* module pages; client and executor map them */
	INFINI_BUFFER_DEVICE	= 1,	/* the accelerator's; never mapped by a client */
	INFINI_BUFFER_FILE	= 2,	/* read-only: a part of a file that the client has open */
};

/**
 * struct infini_buffer_create - memory, zeroed, charged to the vdev and the caller's cgroup
 * @size: sizeof(struct infini_buffer_create)
 * @flags: 0
 * @type: enum infini_buffer_type
 * @kind: memory kind of a DEVICE buffer, 0..nr_kinds-1, or of one with F_FILE; 0 for SHARED
 * @bytes: rounded up to pages
 * @handle: out
 * @fd: FILE: a regular file, open for reading and not for writing; else 0
 * @map_offset: out: mmap offset of a SHARED buffer; 0 for the others
 * @file_offset: FILE: where in the file, a multiple of the page size; else 0
 *
 * A DEVICE buffer of a kind that is not UNIFIED is allocated by the executor: the call then waits
 * for it, at most until EHOSTDOWN.
 *
 * A FILE buffer holds the file open, without @fd, and is not charged: its pages are the page cache's.
 * The executor maps it and gets it as a descriptor of its own, for reading. Writing to a FILE buffer
 * is EACCES. Whoever may write the file may do so at any time, and jobs see it; a job that needs what
 * a truncation has taken ends with ENODATA, and so does every later one that names the buffer.
 *
 * Errors: ENOSPC over the vdev's memory limit, over what an overcommitted device has left, over
 * max_buffers or over max_file_bytes; ENOMEM. FILE: EBADF; EINVAL no regular file, or the range is
 * not within it; EACCES not open for reading alone; EOPNOTSUPP @kind takes no files, or not those of
 * this file system: one that answers from user space, as FUSE does, that a user may have mounted, or
 * that has no page cache.
 */
struct infini_buffer_create {
	__u32 size;
	__u32 flags;
	__u32 type;
	__u32 kind;
	__aligned_u64 bytes;
	__u32 handle;
	__s32 fd;
	__aligned_u64 map_offset;
	__aligned_u64 file_offset;
};

/* Program formats. What a format means is said in the header beside it. */
enum infini_program_format {
	INFINI_FORMAT_NULL	= 1,	/* uapi/infini/null.h */
	INFINI_FORMAT_GGML	= 2,	/* uapi/infini/ggml.h */
	INFINI_FORMAT_OPENCL_C	= 3,	/* uapi/infini/kernel.h */
	INFINI_FORMAT_PTX	= 4,	/* uapi/infini/kernel.h */
	/* This and all above: nobody's. For a site's own backend and its own clients. */
	INFINI_FORMAT_PRIVATE	= 0x40000000,
};

/**
 * struct infini_program_create - upload an immutable program
 * @size: sizeof(struct infini_program_create)
 * @flags: 0
 * @format: enum infini_program_format; the executor refuses what it does not know
 * @handle: out
 * @data: pointer to the program
 * @bytes: 1..max_program_bytes
 *
 * The module does not look into a program. The executor validates it when a job first names it;
 * a program that does not hold up fails that job with EINVAL.
 */
struct infini_program_create {
	__u32 size;
	__u32 flags;
	__u32 format;
	__u32 handle;
	__aligned_u64 data;
	__aligned_u64 bytes;
};

enum infini_op {
	INFINI_OP_NOP		= 0,	/* nothing, in order */
	INFINI_OP_COPY		= 1,	/* @bytes from @src+@src_offset to @dst+@dst_offset */
	INFINI_OP_FILL		= 2,	/* @bytes of the byte @value at @dst+@dst_offset */
	INFINI_OP_PROGRAM	= 3,	/* run @program */
	INFINI_OP_ASK		= 4,	/* put a question (@args) of format @program_format to the
					 * backend: what it supports, how much room a tensor needs */
	/* Only in struct infini_dispatch: */
	INFINI_OP_ALLOC		= 16,	/* allocate the executor's side of bindings[0], zeroed */
	INFINI_OP_BUFFER_FREE	= 17,	/* notice: buffer @object is gone; no result expected */
	INFINI_OP_PROGRAM_FREE	= 18,	/* notice: program @object is gone; no result expected */
};

#define INFINI_ACCESS_READ	(1 << 0)
#define INFINI_ACCESS_WRITE	(1 << 1)

/**
 * struct infini_binding - a buffer a job uses; programs name buffers by index into these
 * @buffer: handle
 * @access: INFINI_ACCESS_*
 */
struct infini_binding {
	__u32 buffer;
	__u32 access;
};

/**
 * struct infini_input - bytes that ride inside the submission
 * @binding: index of the binding that takes them before the job's first segment
 * @bytes: how many
 * @offset: in that buffer
 * @data: pointer; the bytes are copied during SUBMIT
 */
struct infini_input {
	__u32 binding;
	__u32 bytes;
	__aligned_u64 offset;
	__aligned_u64 data;
};

/**
 * struct infini_output - bytes copied between two bindings after the job's last segment
 * @src_binding: index
 * @dst_binding: index, of a SHARED buffer as a rule
 * @src_offset: bytes
 * @dst_offset: bytes
 * @bytes: how many
 */
struct infini_output {
	__u32 src_binding;
	__u32 dst_binding;
	__aligned_u64 src_offset;
	__aligned_u64 dst_offset;
	__aligned_u64 bytes;
};

/**
 * struct infini_job - one submission
 * @op: enum infini_op, up to INFINI_OP_ASK
 * @flags: 0
 * @program: PROGRAM: handle
 * @program_format: ASK: enum infini_program_format of the question
 * @nr_bindings: PROGRAM, ASK
 * @nr_inputs: PROGRAM, ASK
 * @nr_outputs: PROGRAM, ASK
 * @args_bytes: PROGRAM, ASK: bytes at @args
 * @bindings: pointer to struct infini_binding[]
 * @inputs: pointer to struct infini_input[]
 * @outputs: pointer to struct infini_output[]
 * @args: pointer to arguments in the format's own layout, copied during SUBMIT
 * @dst: COPY, FILL: buffer handle
 * @src: COPY: buffer handle
 * @dst_offset: COPY, FILL: bytes
 * @src_offset: COPY: bytes
 * @bytes: COPY, FILL
 * @value: FILL: 0..255
 * @tokens_evaluated: what the client says the job carries
 * @tokens_generated: likewise; the module charges the larger of this and the backend's count
 * @pad: 0
 * @timeout_ns: occupancy the job may use since its first dispatch; 0 for the default
 * @request_id: what a client calls one request; 0 for none
 *
 * Fields that do not belong to @op must be zero.
 */
struct infini_job {
	__u32 op;
	__u32 flags;
	__u32 program;
	__u32 program_format;
	__u32 nr_bindings;
	__u32 nr_inputs;
	__u32 nr_outputs;
	__u32 args_bytes;
	__aligned_u64 bindings;
	__aligned_u64 inputs;
	__aligned_u64 outputs;
	__aligned_u64 args;
	__u32 dst;
	__u32 src;
	__aligned_u64 dst_offset;
	__aligned_u64 src_offset;
	__aligned_u64 bytes;
	__u32 value;
	__u32 tokens_evaluated;
	__u32 tokens_generated;
	__u32 pad;
	__aligned_u64 timeout_ns;
	__aligned_u64 request_id;
};

#define INFINI_SUBMIT_F_WAIT	(1 << 0)	/* wait for the last job accepted */
#define INFINI_SUBMIT_F_RATE_NOWAIT (1 << 1)	/* EDQUOT at once, nothing accepted, while the vdev
						 * has used more tokens than its rate allows */

/**
 * struct infini_submit - hand a batch of jobs to a queue
 * @size: sizeof(struct infini_submit)
 * @flags: INFINI_SUBMIT_F_*
 * @queue: handle
 * @nr_jobs: 1..max_batch
 * @jobs: pointer to struct infini_job[]
 * @jobs_stride: bytes between elements
 * @accepted: out: how many were queued, in order; written also when waiting for them failed
 * @deadline_ns: with INFINI_SUBMIT_F_WAIT
 * @last_seqno: out: of the last job accepted; seqnos of a queue count from 1 without gaps
 * @status: out, with INFINI_SUBMIT_F_WAIT: 0, or the first -errno among the accepted jobs
 * @pad: 0
 * @value: out, with INFINI_SUBMIT_F_WAIT: result of the last job
 *
 * The call returns 0 when at least one job was accepted. A job that is malformed ends the batch
 * before itself; its error is returned if it was the first. A full queue does the same with
 * EAGAIN. With INFINI_SUBMIT_F_WAIT the call may return EINTR or ETIMEDOUT after jobs have been
 * accepted: @accepted and @last_seqno say so, and WAIT goes on from there. It is not restarted.
 */
struct infini_submit {
	__u32 size;
	__u32 flags;
	__u32 queue;
	__u32 nr_jobs;
	__aligned_u64 jobs;
	__u32 jobs_stride;
	__u32 accepted;
	__s64 deadline_ns;
	__aligned_u64 last_seqno;
	__s32 status;
	__u32 pad;
	__aligned_u64 value;
};

/**
 * struct infini_wait - wait for a queue to reach a seqno
 * @size: sizeof(struct infini_wait)
 * @flags: 0
 * @queue: handle
 * @status: out: 0 or -errno of that job, when the queue still remembers it, else 0
 * @seqno: one that SUBMIT has handed out
 * @deadline_ns: absolute
 * @value: out: result of that job
 *
 * Restarted after a signal. Errors: ETIMEDOUT; EINVAL a seqno not handed out yet; ECANCELED the
 * queue was destroyed meanwhile.
 */
struct infini_wait {
	__u32 size;
	__u32 flags;
	__u32 queue;
	__s32 status;
	__aligned_u64 seqno;
	__s64 deadline_ns;
	__aligned_u64 value;
};

#define INFINI_TIMELINE_RECORDS	64	/* also the largest queue depth */

/**
 * struct infini_completion - how one job ended
 * @seqno: of the job; a reader that finds another number came too late
 * @value: result, as the backend or the op defines it
 * @occupancy_ns: slot time the job used
 * @status: 0 or -errno
 * @flags: 0
 */
struct infini_completion {
	__aligned_u64 seqno;
	__aligned_u64 value;
	__aligned_u64 occupancy_ns;
	__s32 status;
	__u32 flags;
};

/**
 * struct infini_timeline - the page of a queue that its client maps read-only
 * @completed: every job up to this seqno has ended; load with acquire semantics
 * @submitted: every seqno up to this has been handed out
 * @pad: 0
 * @records: of seqno n at index n % INFINI_TIMELINE_RECORDS
 *
 * poll() on the client's file reports POLLIN when a job has ended since the last read();
 * read() takes 8 bytes: the number of jobs that ended since the read before.
 */
struct infini_timeline {
	__aligned_u64 completed;
	__aligned_u64 submitted;
	__aligned_u64 pad[6];
	struct infini_completion records[INFINI_TIMELINE_RECORDS];
};

/* ---- the daemon's side ---------------------------------------------------------------- */

/* How much a backend can do when asked to yield (levels as in XSched, OSDI'25). */
enum infini_yield_level {
	INFINI_LEVEL_LAUNCH	= 1,	/* between jobs */
	INFINI_LEVEL_SEGMENT	= 2,	/* between segments of a program */
	INFINI_LEVEL_INTERRUPT	= 3,	/* inside a running kernel */
};

/**
 * struct infini_device_register - bring a device; on the control file, CAP_SYS_ADMIN
 * @size: sizeof(struct infini_device_register)
 * @flags: 0
 * @device_class: enum infini_device_class
 * @level: enum infini_yield_level
 * @slots: executors that run at once, 1..64
 * @nr_kinds: 1..INFINI_MEMORY_KINDS_MAX
 * @memory_bytes: what vdevs may be given, together
 * @kinds: pointer to struct infini_memory_kind[]
 * @kinds_stride: sizeof(struct infini_memory_kind)
 * @id: out
 * @fd: out: the device file, O_CLOEXEC; the device is online until its last reference is closed
 * @pad: 0
 * @name: unique, [A-Za-z0-9._-]+
 * @backend: which backend drives it
 * @description: for people
 *
 * A device that went offline keeps its vdevs; registering its name again brings it and them back
 * under the same id. Errors: EEXIST the name is online; ENOSPC @memory_bytes is less than before
 * and less than its vdevs were promised; EPERM.
 */
struct infini_device_register {
	__u32 size;
	__u32 flags;
	__u32 device_class;
	__u32 level;
	__u32 slots;
	__u32 nr_kinds;
	__aligned_u64 memory_bytes;
	__aligned_u64 kinds;
	__u32 kinds_stride;
	__u32 id;
	__s32 fd;
	__u32 pad;
	__u8 name[INFINI_NAME_MAX];
	__u8 backend[INFINI_NAME_MAX];
	__u8 description[64];
};

/**
 * struct infini_executor_create - a channel for one vdev's worker; on the device file
 * @size: sizeof(struct infini_executor_create)
 * @flags: 0
 * @vdev_id: which vdev
 * @fd: out: the executor file, O_CLOEXEC; it serves nobody until a process attaches itself
 *
 * Errors: ENOENT no such vdev on this device; EBUSY the vdev has an executor, or the slot of a
 * dead one is still quarantined.
 */
struct infini_executor_create {
	__u32 size;
	__u32 flags;
	__u32 vdev_id;
	__s32 fd;
};

/**
 * struct infini_executor_attach - become the executor; on the executor file, once
 * @size: sizeof(struct infini_executor_attach)
 * @flags: 0
 * @protocol: INFINI_PROTOCOL_VERSION of the caller; EPROTO when the module speaks another
 * @window: jobs the caller wants to hold at once, 1..16
 * @generation: out: counts the executors of this vdev, from 1
 * @yield_offset: out: mmap offset of the page that starts with the yield word, read-only
 * @payload_bytes: out: smallest payload area EXCHANGE accepts
 * @vdev_id: out
 * @pad: 0
 *
 * From here on only the calling process may use this file (others: EPERM), and its death is the
 * executor's.
 *
 * The yield word is one __u64 that only the module writes and that never falls: "yield every
 * dispatch up to N". A backend loads it between segments and, when it covers the running
 * dispatch, returns the job as INFINI_RESULT_PREEMPTED.
 */
struct infini_executor_attach {
	__u32 size;
	__u32 flags;
	__u32 protocol;
	__u32 window;
	__aligned_u64 generation;
	__aligned_u64 yield_offset;
	__aligned_u64 payload_bytes;
	__u32 vdev_id;
	__u32 pad;
};

/**
 * struct infini_dispatch_binding - a buffer as the executor knows it; in the payload
 * @buffer: id, unique among the vdev's live buffers; named again by INFINI_OP_BUFFER_FREE
 * @bytes: size
 * @map_offset: mmap offset on the executor file, 0 when the executor allocated it and for FILE
 * @type: enum infini_buffer_type
 * @kind: memory kind
 * @access: INFINI_ACCESS_*
 * @pad: 0
 */
struct infini_dispatch_binding {
	__aligned_u64 buffer;
	__aligned_u64 bytes;
	__aligned_u64 map_offset;
	__u32 type;
	__u32 kind;
	__u32 access;
	__u32 pad;
};

/**
 * struct infini_dispatch - a job as it is handed to the executor
 * @dispatch: number of this dispatch, rising from 1 for one executor; 0 for a notice
 * @op: enum infini_op
 * @program_format: PROGRAM, ASK
 * @object: PROGRAM: program id; notices: what is gone
 * @program_bytes: PROGRAM: size, for EXECUTOR_PROGRAM_READ
 * @segment: where to go on; 0 at first, else what PREEMPTED said
 * @nr_bindings: COPY has dst and src, FILL and ALLOC have dst, in this order
 * @nr_inputs: apply only when @segment is 0
 * @nr_outputs: apply when the last segment is done
 * @args_bytes: of @args
 * @bindings: payload offset of struct infini_dispatch_binding[]
 * @inputs: payload offset of struct infini_input[], whose data are payload offsets
 * @outputs: payload offset of struct infini_output[]
 * @args: payload offset
 * @dst_offset: COPY, FILL
 * @src_offset: COPY
 * @bytes: COPY, FILL
 * @value: FILL
 * @pad: 0
 * @request_id: as submitted
 *
 * Ranges of COPY, FILL, inputs and outputs lie inside their buffers: the module has checked.
 */
struct infini_dispatch {
	__aligned_u64 dispatch;
	__u32 op;
	__u32 program_format;
	__aligned_u64 object;
	__aligned_u64 program_bytes;
	__aligned_u64 segment;
	__u32 nr_bindings;
	__u32 nr_inputs;
	__u32 nr_outputs;
	__u32 args_bytes;
	__aligned_u64 bindings;
	__aligned_u64 inputs;
	__aligned_u64 outputs;
	__aligned_u64 args;
	__aligned_u64 dst_offset;
	__aligned_u64 src_offset;
	__aligned_u64 bytes;
	__u32 value;
	__u32 pad;
	__aligned_u64 request_id;
};

enum infini_result_state {
	INFINI_RESULT_DONE	= 0,
	INFINI_RESULT_PREEMPTED	= 1,
};

/**
 * struct infini_result - what became of a dispatch
 * @dispatch: its number
 * @state: enum infini_result_state
 * @status: DONE: 0 or -errno, -1..-4095
 * @segment: PREEMPTED: where to go on, not below where this dispatch began
 * @value: DONE: handed to the client
 * @tokens_evaluated: DONE: counted by the backend in the program it validated
 * @tokens_generated: likewise
 * @prompts: DONE: prompts that end with the job, at most @tokens_generated
 * @tokens_scored: DONE: of @tokens_evaluated, those that score a text, draft or verify tokens
 * @tokens_embedded: DONE: of @tokens_evaluated, those that become embeddings
 * @pad: 0
 *
 * What is evaluated and neither scored, embedded nor the one row before a generated token within
 * a sequence belongs to a prompt.
 *
 * A job that was held in the window but not begun is returned as PREEMPTED too, with the segment
 * it came with.
 */
struct infini_result {
	__aligned_u64 dispatch;
	__u32 state;
	__s32 status;
	__aligned_u64 segment;
	__aligned_u64 value;
	__u32 tokens_evaluated;
	__u32 tokens_generated;
	__u32 prompts;
	__u32 tokens_scored;
	__u32 tokens_embedded;
	__u32 pad;
};

/**
 * struct infini_exchange - hand results in, take jobs out; on the executor file
 * @size: sizeof(struct infini_exchange)
 * @flags: 0
 * @results: pointer to struct infini_result[]
 * @nr_results: how many
 * @results_stride: bytes between them
 * @dispatches: pointer to struct infini_dispatch[]
 * @nr_dispatches: room there; 0 only hands results in
 * @dispatches_stride: bytes between them
 * @payload: pointer to the payload area
 * @payload_bytes: its size, at least what ATTACH said
 * @deadline_ns: how long to wait for a job while the executor holds none
 * @held_bytes: memory the worker holds for the vdev beside its buffers, charged to the vdev
 * @accepted: out: results taken; written also when waiting for jobs failed
 * @returned: out: dispatches handed out; a short count, also 0, after a signal or the deadline
 *
 * While the executor still holds jobs the call does not sleep. Results that are late (their job
 * was cancelled or timed out) are taken and dropped. Errors: EPERM not the attached process;
 * EBUSY another thread waits in it; ESTALE a dispatch that never was this executor's; EPROTO a
 * result out of range; ENODEV the vdev or the device is gone and the worker should exit.
 */
struct infini_exchange {
	__u32 size;
	__u32 flags;
	__aligned_u64 results;
	__u32 nr_results;
	__u32 results_stride;
	__aligned_u64 dispatches;
	__u32 nr_dispatches;
	__u32 dispatches_stride;
	__aligned_u64 payload;
	__aligned_u64 payload_bytes;
	__s64 deadline_ns;
	__aligned_u64 held_bytes;
	__u32 accepted;
	__u32 returned;
};

/**
 * struct infini_program_read - fetch a program; on the executor file
 * @size: sizeof(struct infini_program_read)
 * @flags: 0
 * @program: id from a dispatch that the executor holds
 * @offset: in the program
 * @bytes: how many
 * @data: pointer
 */
struct infini_program_read {
	__u32 size;
	__u32 flags;
	__aligned_u64 program;
	__aligned_u64 offset;
	__aligned_u64 bytes;
	__aligned_u64 data;
};

/**
 * struct infini_buffer_receive - fetch the file behind a FILE buffer; on the executor file
 * @size: sizeof(struct infini_buffer_receive)
 * @flags: 0
 * @buffer: id from a binding
 * @offset: out: where in the file the buffer begins
 * @fd: out: O_CLOEXEC, open for reading alone, its position and flags nobody else's
 * @pad: 0
 *
 * Errors: ENOENT no such buffer; EINVAL not a FILE one; EMFILE.
 */
struct infini_buffer_receive {
	__u32 size;
	__u32 flags;
	__aligned_u64 buffer;
	__aligned_u64 offset;
	__s32 fd;
	__u32 pad;
};

/**
 * struct infini_end_reason - why this file is about to be closed; on device and executor files
 * @size: sizeof(struct infini_end_reason)
 * @flags: 0
 * @reason: at least one printable character of ASCII (0x20..0x7e), NUL-terminated, the rest 0
 *
 * Administrators are told with the event of its end, device-offline or executor-lost; the last call
 * counts. Errors: EINVAL another text; EPERM not the attached process.
 */
struct infini_end_reason {
	__u32 size;
	__u32 flags;
	__u8 reason[INFINI_END_REASON_MAX];
};

/*
 * The number does not carry the struct's size (as in iommufd): a struct that grows keeps its
 * command. Each takes a pointer to the struct of its name; the DESTROY commands take
 * struct infini_handle.
 */
#define INFINI_IOC_QUERY	   _IO(INFINI_IOC_TYPE, 0x00)
#define INFINI_IOC_VDEV_OPEN	   _IO(INFINI_IOC_TYPE, 0x01)
#define INFINI_IOC_DEVICE_REGISTER _IO(INFINI_IOC_TYPE, 0x02)

#define INFINI_IOC_VDEV_INFO	   _IO(INFINI_IOC_TYPE, 0x10)
#define INFINI_IOC_VDEV_STATS	   _IO(INFINI_IOC_TYPE, 0x11)
#define INFINI_IOC_QUEUE_CREATE	   _IO(INFINI_IOC_TYPE, 0x12)
#define INFINI_IOC_QUEUE_DESTROY   _IO(INFINI_IOC_TYPE, 0x13)
#define INFINI_IOC_BUFFER_CREATE   _IO(INFINI_IOC_TYPE, 0x14)
#define INFINI_IOC_BUFFER_DESTROY  _IO(INFINI_IOC_TYPE, 0x15)
#define INFINI_IOC_PROGRAM_CREATE  _IO(INFINI_IOC_TYPE, 0x16)
#define INFINI_IOC_PROGRAM_DESTROY _IO(INFINI_IOC_TYPE, 0x17)
#define INFINI_IOC_SUBMIT	   _IO(INFINI_IOC_TYPE, 0x18)
#define INFINI_IOC_WAIT		   _IO(INFINI_IOC_TYPE, 0x19)

#define INFINI_IOC_EXECUTOR_CREATE _IO(INFINI_IOC_TYPE, 0x20)
#define INFINI_IOC_EXECUTOR_ATTACH _IO(INFINI_IOC_TYPE, 0x21)
#define INFINI_IOC_EXCHANGE	   _IO(INFINI_IOC_TYPE, 0x22)
#define INFINI_IOC_PROGRAM_READ	   _IO(INFINI_IOC_TYPE, 0x23)
#define INFINI_IOC_END_REASON	   _IO(INFINI_IOC_TYPE, 0x24)
#define INFINI_IOC_BUFFER_RECEIVE  _IO(INFINI_IOC_TYPE, 0x25)

#endif /* _UAPI_LINUX_INFINI_H */
