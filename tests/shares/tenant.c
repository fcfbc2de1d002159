// SPDX-License-Identifier: GPL-2.0-or-later
/* Tenants: their open vdevs, their queues, and what becomes of their jobs. */
#include "load.h"

#include <errno.h>
#include <infini-kernel.h>
#include <infini/null.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH_MAX	64
#define PPM		1000000ULL
#define TEXT_MAX	65536
#define TURN_NS		2	/* a turn of turn.cl, about */

/* ---- opening ---- */

static void open_buffer(struct client *client)
{
	/* An element for each block of a kernel. */
	struct infini_buffer_create create = { .type = INFINI_BUFFER_SHARED,
					       .bytes = 4096 + 4 * client->tenant->segments };
	void *addr;
	int err = infini_buffer_create(client->fd, &create);

	if (!err)
		err = infini_buffer_map(client->fd, create.map_offset, create.bytes, &addr);
	if (err)
		die("buffer", err);
	client->buffer = create.handle;
	client->work = addr;
}

static int create_null(struct client *client)
{
	const struct tenant *tenant = client->tenant;
	const struct infini_null_program program = {
		.magic = INFINI_NULL_MAGIC,
		.flags = INFINI_NULL_F_COUNT,
		.segments = tenant->segments,
		.segment_ns = tenant->segment_ns,
		.tokens_generated = tenant->tokens,
	};

	return infini_program_create(client->fd, INFINI_FORMAT_NULL, &program, sizeof(program),
				     &client->program);
}

static char *text_of(const char *path)
{
	char *text = must(calloc(1, TEXT_MAX));
	FILE *file = fopen(path, "re");

	if (!file || !fread(text, 1, TEXT_MAX - 1, file))
		die(path, errno);
	fclose(file);
	return text;
}

/* Upload @kernel; its jobs have as many groups of one thread as segments. */
static int create_kernel(struct client *client, struct infini_kernel *kernel, const char *path,
			 const void *const *scalars)
{
	const uint32_t n = (uint32_t)client->tenant->segments;
	const struct infini_kernel_run range = { .groups = { n, 1, 1 }, .items = { 1, 1, 1 } };
	char *text = text_of(path);
	int err;

	kernel->text = text;
	kernel->flags = client->tenant->whole ? 0 : INFINI_KERNEL_F_CUTTABLE;
	err = infini_kernel_create(client->fd, kernel, &client->program);
	client->args_bytes = (uint32_t)infini_kernel_args_bytes(kernel);
	if (client->args_bytes > sizeof(client->args))
		die("arguments", E2BIG);
	infini_kernel_args(kernel, &range, scalars, client->args);
	free(text);
	return err;
}

/* y = 0 x + y, with x and y in one buffer: blocks of one thread, which may be cut apart. */
static int create_ptx(struct client *client)
{
	static const struct infini_kernel_param params[] = {
		INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ),
		INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ | INFINI_ACCESS_WRITE),
		INFINI_PARAM_SCALAR(sizeof(float)),
		INFINI_PARAM_SCALAR(sizeof(uint32_t)),
		INFINI_PARAM_OFFSET,
	};
	struct infini_kernel kernel = {
		.format = INFINI_FORMAT_PTX, .name = "saxpy", .params = params,
		.nr_params = sizeof(params) / sizeof(params[0]),
	};
	const uint32_t n = (uint32_t)client->tenant->segments;
	const float a = 0;
	const void *const scalars[] = { &a, &n };

	return create_kernel(client, &kernel, client->tenant->ptx, scalars);
}

static int create_cl(struct client *client)
{
	static const struct infini_kernel_param params[] = {
		INFINI_PARAM_BUFFER(0, INFINI_ACCESS_READ | INFINI_ACCESS_WRITE),
		INFINI_PARAM_SCALAR(sizeof(uint32_t)),
	};
	struct infini_kernel kernel = {
		.format = INFINI_FORMAT_OPENCL_C, .name = "turn", .params = params,
		.nr_params = sizeof(params) / sizeof(params[0]),
	};
	const uint32_t turns = (uint32_t)(client->tenant->segment_ns / TURN_NS);
	const void *const scalars[] = { &turns };

	return create_kernel(client, &kernel, client->tenant->cl, scalars);
}

static int create_program(struct client *client)
{
	if (client->tenant->ptx)
		return create_ptx(client);
	return client->tenant->cl ? create_cl(client) : create_null(client);
}

static void open_program(struct client *client)
{
	int err = create_program(client);

	if (err)
		die("program", err);
}

static void open_queue(struct queue *queue, struct client *client)
{
	struct infini_queue_create create = { .depth = client->tenant->inflight };
	int err = infini_queue_create(client->fd, &create);

	if (!err)
		err = infini_timeline_map(client->fd, create.map_offset, &queue->timeline);
	if (err)
		die("queue", err);
	queue->client = client;
	queue->handle = create.handle;
}

/* A first job starts the worker and is not part of what is measured. */
static void warm(struct queue *queue)
{
	struct infini_job job = { .op = INFINI_OP_NOP };
	struct infini_submit submit = {
		.flags = INFINI_SUBMIT_F_WAIT,
		.queue = queue->handle,
		.nr_jobs = 1,
		.jobs = (uintptr_t)&job,
		.jobs_stride = sizeof(job),
		.deadline_ns = INFINI_FOREVER,
	};
	int err = infini_submit(queue->client->fd, &submit);

	if (err || submit.status)
		die(queue->client->tenant->vdev, err ? err : submit.status);
	queue->last = submit.last_seqno;
	queue->seen = submit.last_seqno;
}

static void open_client(struct client *client, struct tenant *tenant, int epoll_fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };

	client->tenant = tenant;
	client->fd = infini_client_open(NULL, tenant->vdev);
	if (client->fd < 0)
		die(tenant->vdev, client->fd);
	open_buffer(client);
	open_program(client);
	client->queues = must(calloc(tenant->nr_queues, sizeof(*client->queues)));
	for (uint64_t i = 0; i < tenant->nr_queues; i++)
		open_queue(&client->queues[i], client);
	if (client == tenant->clients)
		warm(&client->queues[0]);
	if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, client->fd, &event))
		die("epoll", errno);
}

void tenant_open(struct tenant *tenant, struct load *load, int epoll_fd)
{
	tenant->load = load;
	tenant->clients = must(calloc(tenant->nr_clients, sizeof(*tenant->clients)));
	for (uint64_t i = 0; i < tenant->nr_clients; i++)
		open_client(&tenant->clients[i], tenant, epoll_fd);
}

/* ---- jobs ---- */

void queue_submit(struct queue *queue, uint32_t nr, uint64_t now)
{
	struct client *client = queue->client;
	struct tenant *tenant = client->tenant;
	struct infini_binding binding = { .buffer = client->buffer,
					  .access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE };
	struct infini_job jobs[BATCH_MAX];
	struct infini_submit submit = {
		.queue = queue->handle,
		.jobs = (uintptr_t)jobs,
		.jobs_stride = sizeof(jobs[0]),
	};
	int err;

	if (tenant->jobs && tenant->submitted + nr > tenant->jobs)
		nr = (uint32_t)(tenant->jobs - tenant->submitted);
	if (!nr)
		return;
	for (uint32_t i = 0; i < nr; i++) {
		jobs[i] = (struct infini_job){
			.op = INFINI_OP_PROGRAM,
			.program = client->program,
			.nr_bindings = 1,
			.bindings = (uintptr_t)&binding,
			.args = (uintptr_t)client->args,
			.args_bytes = client->args_bytes,
			.request_id = 1,
			.tokens_generated = tenant->claims,
			.timeout_ns = tenant->timeout_ns,
		};
		queue->submitted_ns[++queue->last % INFINI_TIMELINE_RECORDS] = now;
	}
	submit.nr_jobs = nr;
	err = infini_submit(client->fd, &submit);
	if (err || submit.accepted != nr)
		die("submit", err ? err : EAGAIN);
	tenant->submitted += nr;
}

static uint64_t think(struct tenant *tenant)
{
	uint64_t swing = tenant->think_ns / PPM * tenant->spread_ppm;

	if (!swing)
		return tenant->think_ns;
	/* xorshift64 */
	tenant->random ^= tenant->random << 13;
	tenant->random ^= tenant->random >> 7;
	tenant->random ^= tenant->random << 17;
	return tenant->think_ns - swing + tenant->random % (2 * swing + 1);
}

static void keep_wait(struct tenant *tenant, uint64_t wait_ns)
{
	if (tenant->nr_waits == tenant->room_waits) {
		tenant->room_waits = tenant->room_waits ? 2 * tenant->room_waits : 1024;
		tenant->waits = must(realloc(tenant->waits,
					     tenant->room_waits * sizeof(*tenant->waits)));
	}
	tenant->waits[tenant->nr_waits++] = wait_ns;
}

static void job_ended(struct queue *queue, uint64_t seqno, uint64_t now)
{
	uint32_t at = seqno % INFINI_TIMELINE_RECORDS;
	const struct infini_completion *done = &queue->timeline->records[at];
	uint64_t took = now - queue->submitted_ns[at];
	struct tenant *tenant = queue->client->tenant;

	if (done->seqno != seqno || done->status != -(int32_t)tenant->ends)
		die(tenant->vdev, done->status ? done->status : ESTALE);
	if (done->occupancy_ns > tenant->longest_ns)
		tenant->longest_ns = done->occupancy_ns;
	keep_wait(tenant, took > done->occupancy_ns ? took - done->occupancy_ns : 0);
}

static void queue_look(struct queue *queue, uint64_t now)
{
	uint64_t completed = __atomic_load_n(&queue->timeline->completed, __ATOMIC_ACQUIRE);
	struct tenant *tenant = queue->client->tenant;
	uint32_t nr = (uint32_t)(completed - queue->seen);

	while (queue->seen != completed)
		job_ended(queue, ++queue->seen, now);
	if (!nr)
		return;
	if (!tenant->think_ns) {
		queue_submit(queue, nr, now);
		return;
	}
	while (nr--)
		events_add(&tenant->load->events, (struct event){
			.at_ns = now + think(tenant), .kind = EVENT_SUBMIT, .queue = queue });
}

void client_look(struct client *client)
{
	uint64_t ended, now = now_ns();

	if (read(client->fd, &ended, sizeof(ended)) < 0 && errno != EAGAIN)
		die("read", errno);
	for (uint64_t i = 0; i < client->tenant->nr_queues; i++)
		queue_look(&client->queues[i], now);
}

void tenant_start(struct tenant *tenant)
{
	uint64_t now = now_ns();

	for (uint64_t i = 0; i < tenant->nr_clients; i++)
		for (uint64_t j = 0; j < tenant->nr_queues; j++)
			queue_submit(&tenant->clients[i].queues[j], tenant->inflight, now);
}

uint64_t tenant_work_ns(const struct tenant *tenant)
{
	uint64_t segments = 0;

	for (uint64_t i = 0; i < tenant->nr_clients && !tenant->ptx && !tenant->cl; i++)
		segments += *(volatile const uint64_t *)tenant->clients[i].work;
	return segments * tenant->segment_ns;
}
