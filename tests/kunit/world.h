/* SPDX-License-Identifier: GPL-2.0-only */
/* A device, vdevs, clients and executors made of the module's own types, for the suites. */
#ifndef INFINI_KUNIT_WORLD_H
#define INFINI_KUNIT_WORLD_H

#include <kunit/test.h>

#include "infini.h"

#define WORLD_MS	((u64)NSEC_PER_MSEC)
#define WORLD_MEMORY	(16ull << 20)

/* An executor and what it was handed. */
struct world_executor {
	struct file *file;
	struct infini_executor *executor;
	struct infini_dispatch dispatches[INFINI_WINDOW_MAX];
	u32 nr;
};

struct world {
	struct file *device_file;
	struct infini_device *device;
	struct infini_vdev *vdev;
	struct file *client_file;
	struct infini_client *client;
	struct world_executor executor;
	void *payload;
	struct infini_memory_kind kinds[2];	/* 0 UNIFIED, 1 the executor's own */
};

/* kunit_suite.init and .exit: a world in test->priv with one device, vdev and client. */
int world_init(struct kunit *test);
void world_exit(struct kunit *test);

long world_call(struct file *file, unsigned int cmd, void *arg);

int world_register(struct world *world, const char *name, u32 slots, struct file **file);
struct infini_vdev *world_vdev(struct kunit *test, const char *name, u32 weight);
struct file *world_client(struct kunit *test, struct infini_vdev *vdev);
void world_attach(struct kunit *test, struct infini_vdev *vdev, u32 window,
		  struct world_executor *executor);
/* The file is closed, as when its process ends. */
void world_detach(struct world_executor *executor);

u32 world_queue(struct kunit *test, struct file *client, u32 depth);
u32 world_buffer(struct kunit *test, struct file *client, u64 bytes);
int world_submit(struct file *client, u32 queue, const struct infini_job *jobs, u32 nr,
		 u32 *accepted);
/* The status of a job, or -EINPROGRESS. */
int world_status(struct file *client, u32 queue, u64 seqno);
struct infini_queue *world_queue_of(struct file *client, u32 handle);

/* Hand @results in and take what is there, without waiting. */
int world_exchange(struct kunit *test, struct world_executor *executor,
		   const struct infini_result *results, u32 nr_results, u32 room);
int world_done(struct kunit *test, struct world_executor *executor, u64 dispatch, int status);
int world_preempted(struct kunit *test, struct world_executor *executor, u64 dispatch,
		    u64 segment);

static inline struct infini_client *world_client_of(struct file *file)
{
	return file->private_data;
}

#endif /* INFINI_KUNIT_WORLD_H */
