// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client of a rogue backend's vdev, the one in $INFINI_VDEV:
 *	attempt FROM PID	the attempts from number FROM on, until one ends the worker, against PID's
 *				process: "NUMBER NAME: let", "...: refused, ERRNO" or "...: killed"
 *	attempt take MIB	lets the worker take so much memory
 *	attempt threads N	lets it start so many threads, and says how many
 *	attempt hold		fills memory and a program with a secret, says "held", stays until its input ends
 */
#include "attempts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <infini.h>

struct client {
	int fd;
	struct infini_queue_create queue;
};

static int open_client(struct client *client)
{
	client->fd = infini_client_open(NULL, NULL);
	client->queue = (struct infini_queue_create){ .depth = 1 };
	return client->fd < 0 ? client->fd : infini_queue_create(client->fd, &client->queue);
}

/* The job's status, and its value in @value; @buffer may be 0. */
static int run(struct client *client, const struct rogue_program *code, uint32_t buffer,
	       uint64_t *value)
{
	struct infini_binding binding = {
		.buffer = buffer, .access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE,
	};
	struct infini_job job = {
		.op = INFINI_OP_PROGRAM,
		.nr_bindings = !!buffer,
		.bindings = buffer ? (uintptr_t)&binding : 0,
		.timeout_ns = 120000000000,
	};
	struct infini_submit submit = {
		.flags = INFINI_SUBMIT_F_WAIT,
		.queue = client->queue.handle,
		.nr_jobs = 1,
		.jobs = (uintptr_t)&job,
		.jobs_stride = sizeof(job),
		.deadline_ns = INFINI_FOREVER,
	};
	int err = infini_program_create(client->fd, INFINI_FORMAT_NULL, code, sizeof(*code),
					&job.program);

	if (err)
		return err;
	err = infini_submit(client->fd, &submit);
	if (!err)
		err = submit.status;
	*value = submit.value;
	if (!buffer)
		infini_program_destroy(client->fd, job.program);
	return err;
}

static int try_from(struct client *client, unsigned int number, pid_t target)
{
	struct rogue_program code = { .magic = ROGUE_MAGIC, .what = ROGUE_ATTEMPT };
	uint64_t value;
	int status;

	for (; number < nr_attempts; number++) {
		code.number = number;
		code.value = (uint64_t)target;
		status = run(client, &code, 0, &value);
		printf("%u %s: ", number, attempts[number].name);
		if (status == -EOWNERDEAD) {
			puts("killed");
			return 0;
		}
		if (status)
			printf("failed, %s\n", strerrorname_np(-status));
		else if (value)
			printf("refused, %s\n", strerrorname_np((int)value));
		else
			puts("let");
	}
	return 0;
}

static int hold(struct client *client)
{
	const struct rogue_program code = {
		.magic = ROGUE_MAGIC, .what = ROGUE_THREADS, .value = ROGUE_SECRET,
	};
	const struct rogue_program none = { .magic = ROGUE_MAGIC, .what = ROGUE_THREADS };
	struct infini_buffer_create buffer = { .type = INFINI_BUFFER_SHARED, .bytes = 1 << 20 };
	uint64_t value, *words;
	uint32_t program;
	void *addr;
	int err;

	err = infini_buffer_create(client->fd, &buffer);
	if (!err)
		err = infini_buffer_map(client->fd, buffer.map_offset, buffer.bytes, &addr);
	if (err)
		return err;
	words = addr;
	for (size_t i = 0; i < buffer.bytes / sizeof(*words); i++)
		words[i] = ROGUE_SECRET;
	err = infini_program_create(client->fd, INFINI_FORMAT_NULL, &code, sizeof(code), &program);
	if (!err)
		err = run(client, &none, buffer.handle, &value);
	if (err)
		return err;
	puts("held");
	fflush(stdout);
	return read(STDIN_FILENO, &value, 1) < 0 ? -errno : 0;
}

static int one(struct client *client, uint32_t what, uint64_t value)
{
	const struct rogue_program code = { .magic = ROGUE_MAGIC, .what = what, .value = value };
	uint64_t got;
	int status = run(client, &code, 0, &got);

	if (status)
		puts(strerrorname_np(-status));
	else
		printf("done, %llu\n", (unsigned long long)got);
	return 0;
}

int main(int argc, char **argv)
{
	struct client client;
	int err;

	if (argc < 2 || (argc < 3 && strcmp(argv[1], "hold"))) {
		fprintf(stderr, "usage: attempt FROM PID | take MIB | threads N | hold\n");
		return 2;
	}
	err = open_client(&client);
	if (!err) {
		if (!strcmp(argv[1], "take"))
			err = one(&client, ROGUE_TAKE, strtoull(argv[2], NULL, 10));
		else if (!strcmp(argv[1], "threads"))
			err = one(&client, ROGUE_THREADS, strtoull(argv[2], NULL, 10));
		else if (!strcmp(argv[1], "hold"))
			err = hold(&client);
		else
			err = try_from(&client, (unsigned int)atoi(argv[1]), atoi(argv[2]));
	}
	if (err)
		fprintf(stderr, "attempt: %s\n", strerror(-err));
	return err ? 1 : 0;
}
