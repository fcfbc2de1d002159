// SPDX-License-Identifier: GPL-2.0-only
/* infinisnoop: lines of text and of JSON. */
#include "snoop.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <linux/infini.h>
#include <stdio.h>
#include <string.h>

#include "cgroup.h"
#include "quantile.h"

/* ---- names ---- */

static const char *snoop_op(uint32_t op)
{
	static const char *const ops[] = {
		[INFINI_OP_NOP] = "nop", [INFINI_OP_COPY] = "copy", [INFINI_OP_FILL] = "fill",
		[INFINI_OP_PROGRAM] = "program", [INFINI_OP_ASK] = "ask",
		[INFINI_OP_ALLOC] = "alloc",
	};

	return op < sizeof(ops) / sizeof(*ops) && ops[op] ? ops[op] : "unknown";
}

static const char *snoop_status(int status)
{
	const char *name = status ? strerrorname_np(-status) : "ok";

	return name ? name : "failed";
}

const struct snoop_client *snoop_client_of(struct snoop *snoop, const struct snoop_job *job)
{
	struct snoop_client *client = &snoop->client[job->client % SNOOP_CLIENTS];
	struct infini_admin_vdev vdev;

	if (client->id == job->client)
		return client;
	client->id = job->client;
	snprintf(client->vdev, sizeof(client->vdev), "#%u", job->vdev);
	snprintf(client->device, sizeof(client->device), "#%u", job->device);
	if (!infini_admin_vdev_get(snoop->admin, NULL, job->vdev, &vdev)) {
		snprintf(client->vdev, sizeof(client->vdev), "%s", vdev.name);
		snprintf(client->device, sizeof(client->device), "%s", vdev.device_name);
	}
	infini_cgroup_name(job->cgroup, client->cgroup, sizeof(client->cgroup));
	process_name(job->pid, client->comm);
	return client;
}

/* The wait before the first dispatch; false if there was none, or nobody saw it. */
static bool snoop_first(const struct snoop_job *job, const struct snoop_work *work,
			uint64_t *first_ns)
{
	*first_ns = job->before.preempted ? job->before.first_ns : job->wait_ns;
	if (job->before.preempted)
		return job->before.first_ns;
	return job->run_ns && !work->unseen_ns;
}

/* ---- text ---- */

static void snoop_text_head(bool requests)
{
	printf("%12s %-12s %7s %-15s ", "ARRIVE", "VDEV", "PID", "COMM");
	if (requests)
		printf("%16s %6s %6s %7s %7s %7s", "REQUEST", "PROMPT", "GEN", "TTFT", "ITL",
		       "ITLMAX");
	else
		printf("%-7s %6s %6s %8s", "OP", "EVAL", "GEN", "DISPATCH");
	printf(" %7s %5s %7s %7s %7s  %s\n", "DONE", "YIELD", "PREEMPT", "WAIT", "RUN", "STATUS");
}

static const char *snoop_text(bool known, uint64_t ns, char text[HIST_TEXT])
{
	return known && !ns ? strcpy(text, "0ns") : hist_text(known ? ns : 0, text);
}

static void snoop_print_who(struct snoop *snoop, const struct snoop_job *job, uint64_t arrived_ns)
{
	const struct snoop_client *client = snoop_client_of(snoop, job);

	printf("%12.6f %-12.12s %7d %-15.15s ",
	       ((double)arrived_ns - (double)snoop->began_ns) / 1e9, client->vdev, job->pid,
	       client->comm);
}

/* A "+" says that more of it went by before anybody looked. */
static void snoop_print_work(uint64_t total_ns, const struct snoop_work *work)
{
	char text[3][HIST_TEXT];

	printf(" %7s %5u %6u%c %7s %7s  %s\n", hist_text(total_ns, text[0]), work->asked,
	       work->preempted, work->unseen_ns ? '+' : ' ', hist_text(work->wait_ns, text[1]),
	       hist_text(work->run_ns, text[2]), snoop_status(work->status));
}

static void snoop_text_job(struct snoop *snoop, const struct snoop_job *job,
			   const struct snoop_work *work)
{
	uint64_t first_ns;
	bool known = snoop_first(job, work, &first_ns);
	char text[HIST_TEXT];

	snoop_print_who(snoop, job, work->arrived_ns);
	printf("%-7s %6u %6u %8s", snoop_op(job->op), job->evaluated, job->generated,
	       snoop_text(known, first_ns, text));
	snoop_print_work(job->total_ns, work);
}

static void snoop_text_request(struct snoop *snoop, const struct snoop_request *request)
{
	const struct snoop_work *work = &request->work;
	char text[3][HIST_TEXT];

	snoop_print_who(snoop, &request->last, work->arrived_ns);
	printf("%16" PRIu64 " %6" PRIu64 " %6" PRIu64 " %7s %7s %7s",
	       (uint64_t)request->last.request, request->prompt, request->generated,
	       hist_text(request->first_ns ? request->first_ns - work->arrived_ns : 0, text[0]),
	       hist_text(request->itls ? request->itl_sum_ns / request->itls : 0, text[1]),
	       hist_text(request->itl_max_ns, text[2]));
	snoop_print_work(request->last_ns - work->arrived_ns, work);
}

/* ---- JSON ---- */

static void snoop_json_u64(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static void snoop_json_string(struct json_object *object, const char *key, const char *text)
{
	json_object_object_add(object, key, json_object_new_string(text));
}

static void snoop_json_put(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN));
	json_object_put(object);
}

static struct json_object *snoop_json_who(struct snoop *snoop, const char *type,
					  const struct snoop_job *job)
{
	const struct snoop_client *client = snoop_client_of(snoop, job);
	struct json_object *object = json_object_new_object();

	snoop_json_string(object, "type", type);
	snoop_json_string(object, "vdev", client->vdev);
	snoop_json_string(object, "device", client->device);
	snoop_json_u64(object, "vdev_id", job->vdev);
	snoop_json_u64(object, "pid", job->pid);
	snoop_json_string(object, "comm", client->comm);
	snoop_json_string(object, "cgroup", client->cgroup);
	snoop_json_u64(object, "client", job->client);
	snoop_json_u64(object, "request", job->request);
	return object;
}

static void snoop_json_work(struct json_object *object, const struct snoop_work *work)
{
	snoop_json_u64(object, "yields_asked", work->asked);
	snoop_json_u64(object, "preemptions", work->preempted);
	snoop_json_u64(object, "queue_wait_ns", work->wait_ns);
	snoop_json_u64(object, "run_ns", work->run_ns);
	snoop_json_u64(object, "occupancy_ns", work->occupancy_ns);
	snoop_json_u64(object, "unseen_ns", work->unseen_ns);
	snoop_json_string(object, "status", snoop_status(work->status));
}

static void snoop_json_job(struct snoop *snoop, const struct snoop_job *job,
			   const struct snoop_work *work)
{
	struct json_object *object = snoop_json_who(snoop, "job", job);
	uint64_t first_ns;

	snoop_json_u64(object, "queue", job->queue);
	snoop_json_u64(object, "seqno", job->seqno);
	snoop_json_string(object, "op", snoop_op(job->op));
	snoop_json_u64(object, "arrived_ns", work->arrived_ns);
	if (snoop_first(job, work, &first_ns))
		snoop_json_u64(object, "dispatched_ns", work->arrived_ns + first_ns);
	snoop_json_u64(object, "done_ns", job->done_ns);
	snoop_json_u64(object, "total_ns", job->total_ns);
	snoop_json_u64(object, "tokens_evaluated", job->evaluated);
	snoop_json_u64(object, "tokens_generated", job->generated);
	snoop_json_u64(object, "tokens_prompt", job->prompt);
	snoop_json_u64(object, "tokens_scored", job->scored);
	snoop_json_u64(object, "tokens_embedded", job->embedded);
	snoop_json_u64(object, "prompts", job->prompts);
	snoop_json_work(object, work);
	snoop_json_put(object);
}

static void snoop_json_request(struct snoop *snoop, const struct snoop_request *request)
{
	const struct snoop_work *work = &request->work;
	struct json_object *object = snoop_json_who(snoop, "request", &request->last);

	json_object_object_add(object, "whole", json_object_new_boolean(request->whole));
	snoop_json_u64(object, "arrived_ns", work->arrived_ns);
	snoop_json_u64(object, "done_ns", request->last_ns);
	snoop_json_u64(object, "total_ns", request->last_ns - work->arrived_ns);
	snoop_json_u64(object, "jobs", work->jobs);
	snoop_json_u64(object, "tokens_evaluated", request->evaluated);
	snoop_json_u64(object, "tokens_generated", request->generated);
	snoop_json_u64(object, "tokens_prompt", request->prompt);
	snoop_json_u64(object, "tokens_scored", request->scored);
	snoop_json_u64(object, "tokens_embedded", request->embedded);
	snoop_json_u64(object, "prompts", request->prompts);
	if (request->first_ns)
		snoop_json_u64(object, "ttft_ns", request->first_ns - work->arrived_ns);
	if (request->itls) {
		snoop_json_u64(object, "itl_mean_ns", request->itl_sum_ns / request->itls);
		snoop_json_u64(object, "itl_max_ns", request->itl_max_ns);
	}
	snoop_json_work(object, work);
	snoop_json_put(object);
}

static void snoop_json_head(const struct snoop *snoop)
{
	struct json_object *object = json_object_new_object();

	snoop_json_string(object, "type", "start");
	snoop_json_u64(object, "time_ns", snoop->began_ns);
	snoop_json_put(object);
}

/* ---- both ---- */

void snoop_print_head(const struct snoop *snoop, bool requests)
{
	if (snoop->json)
		snoop_json_head(snoop);
	else
		snoop_text_head(requests);
}

void snoop_print_job(struct snoop *snoop, const struct snoop_job *job)
{
	const struct snoop_work work = snoop_work_of(job);

	snoop->shown++;
	if (snoop->json)
		snoop_json_job(snoop, job, &work);
	else
		snoop_text_job(snoop, job, &work);
}

void snoop_print_request(struct snoop *snoop, const struct snoop_request *request)
{
	snoop->shown++;
	if (snoop->json)
		snoop_json_request(snoop, request);
	else
		snoop_text_request(snoop, request);
}

void snoop_print_end(const struct snoop *snoop, uint64_t lost)
{
	struct json_object *object;

	if (!snoop->json) {
		if (lost)
			printf("%" PRIu64 " jobs lost: no room for them; see --buffer\n", lost);
		return;
	}
	object = json_object_new_object();
	snoop_json_string(object, "type", "end");
	snoop_json_u64(object, "shown", snoop->shown);
	snoop_json_u64(object, "lost", lost);
	snoop_json_put(object);
}
