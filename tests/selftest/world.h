/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What most tests need around them: a device, a vdev on it, a client, and somebody who executes:
 * the test itself, step by step, or a process that does what the null backend does.
 */
#ifndef SELFTEST_WORLD_H
#define SELFTEST_WORLD_H

#include "harness.h"

enum world_executor {
	WORLD_NOBODY,		/* no executor */
	WORLD_PROCESS,		/* a process of its own, see struct fake */
	WORLD_BY_HAND,		/* this process, by hand_take() and hand_give() */
};

struct setup {
	enum world_executor executor;
	uint32_t window;		/* 1 when 0 */
	uint32_t slots;			/* 1 when 0 */
	uint32_t mode;			/* of the vdev, 0600 when 0 */
	uint64_t memory;		/* of the vdev, 64 MiB when 0 */
	uint64_t device_memory;		/* 1 GiB when 0 */
};

/* What the executor process tells and is told, in shared memory. */
struct fake {
	_Atomic uint32_t generation;	/* 0 until attached */
	_Atomic uint32_t hold;		/* take jobs but do not begin them */
	_Atomic uint32_t deaf;		/* do not look at the yield word */
	_Atomic int32_t alloc_status;	/* answer to ALLOC */
	_Atomic uint32_t alloc_ms;	/* how long that takes */
	_Atomic int32_t status;		/* answer to everything else */
	_Atomic uint32_t held;
	_Atomic uint64_t held_bytes;
	_Atomic uint64_t taken;		/* dispatches */
	_Atomic uint64_t yielded;	/* given back as PREEMPTED */
	_Atomic uint64_t buffers_freed;
	_Atomic uint64_t programs_freed;
	_Atomic uint64_t last_dispatch;
	_Atomic int32_t ended;		/* how its EXCHANGE ended, a positive errno */
};

struct world {
	int control;
	int device;
	int client;
	int executor;			/* WORLD_BY_HAND: the attached file */
	pid_t process;			/* WORLD_PROCESS */
	struct fake *fake;
	uint32_t device_id;
	uint32_t vdev;
	uint64_t generation;
	const uint64_t *yield_word;	/* WORLD_BY_HAND */
	void *payload;
	size_t payload_bytes;
	char vdev_name[INFINI_NAME_MAX];
	char device_name[INFINI_NAME_MAX];
};

/* Kinds of the device that world_make() registers. */
#define WORLD_KIND_UNIFIED	0
#define WORLD_KIND_HELD		1	/* the executor allocates */
#define WORLD_KIND_SMALL	2	/* UNIFIED, at most 64 KiB in one buffer */
#define WORLD_KINDS		3

void world_make(struct world *world, const struct setup *setup);
/* A registration that is right, for tests that make it wrong. */
void world_device(struct infini_device_register *reg, struct infini_memory_kind *kinds,
		  const char *name);
uint32_t world_vdev(const char *name, const char *device, uint64_t memory, uint32_t mode);
int world_client(struct world *world);
/* Open and close a vdev by its node and by VDEV_OPEN, which must agree: 0 or -errno. */
int world_try_open(uint32_t vdev);
/* Another executor for a vdev; returns its process. */
pid_t world_executor_start(struct world *world, uint32_t vdev, uint32_t window, struct fake **fake);
/* This process becomes the one behind @executor, for its steps by hand. */
void world_attach(struct world *world, int executor, uint32_t window);
struct genl *world_genl(void);

/* ---- a client's steps; they fail the test ---- */

uint32_t queue_make(int fd, uint32_t depth);
uint32_t queue_make_mapped(int fd, uint32_t depth, const struct infini_timeline **timeline);
uint32_t buffer_make(int fd, uint32_t type, uint32_t kind, uint64_t bytes);
uint32_t buffer_make_mapped(int fd, uint64_t bytes, uint8_t **at);
uint32_t program_make(int fd, uint32_t flags, uint64_t segments, uint64_t segment_ns);
int destroy(int fd, unsigned long cmd, uint32_t handle);
void stats_get(int fd, struct infini_vdev_stats *stats);

/* 0 or -errno; how many were taken and the last seqno. */
int submit(int fd, uint32_t queue, const struct infini_job *jobs, uint32_t nr, uint32_t *accepted,
	   uint64_t *seqno);
/* One job that must be taken; its seqno. */
uint64_t submit_one(int fd, uint32_t queue, const struct infini_job *job);
/* One job, waited for; its status. */
int submit_wait(int fd, uint32_t queue, const struct infini_job *job, uint64_t *value);
/* 0 or -errno of WAIT; @status of the job. */
int wait_for(int fd, uint32_t queue, uint64_t seqno, int64_t deadline, int *status);

struct infini_job job_nop(void);
struct infini_job job_fill(uint32_t dst, uint64_t offset, uint64_t bytes, uint32_t value);
struct infini_job job_copy(uint32_t dst, uint64_t dst_offset, uint32_t src, uint64_t src_offset,
			   uint64_t bytes);
struct infini_job job_program(uint32_t program);

/* ---- an executor's steps by hand ---- */

int hand_exchange(struct world *world, const struct infini_result *results, uint32_t nr_results,
		  struct infini_dispatch *dispatches, uint32_t room, int64_t deadline,
		  uint32_t *returned);
/* The next dispatch, which must be there; notices are skipped. */
void hand_take(struct world *world, struct infini_dispatch *dispatch);
/* How many dispatches are there now, up to @room, without waiting. */
uint32_t hand_look(struct world *world, struct infini_dispatch *dispatches, uint32_t room);
int hand_give(struct world *world, uint64_t dispatch, int status, uint64_t value);
int hand_preempt(struct world *world, uint64_t dispatch, uint64_t segment);

/* In executor.c: the executor's whole life, in its own process. */
void executor_serve(int fd, uint32_t window, struct fake *fake) __attribute__((noreturn));

#endif /* SELFTEST_WORLD_H */
