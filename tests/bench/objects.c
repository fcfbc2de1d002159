// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What vdevs, queues, jobs and buffers take of the kernel's memory, and how long vdevs take to come, to work
 * and to go.
 *
 * objects memory DEVICE	"WHAT BYTES" for each kind of object
 * objects many DEVICE		"create NANOSECONDS" and "delete NANOSECONDS" of each hundred of 900 vdevs
 * objects first DEVICE ROUNDS	"first NANOSECONDS", from no vdev to the end of its first job, and "exec
 *				NANOSECONDS", of a program that does nothing, in turns
 */
#include <errno.h>
#include <infini-admin.h>
#include <infini.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MANY	900
#define BLOCK	100
#define VDEVS	500		/* whose memory is measured; with nodes, too */
#define CLIENTS	200
#define EACH	8		/* queues and buffers of a client */
#define LIMIT	(1 << 20)

static struct infini_admin *admin;
static const char *device;

static _Noreturn void die(const char *what, int err)
{
	const char *why = admin ? infini_admin_error(admin) : "";

	fprintf(stderr, "objects: %s: %s\n", what, why[0] ? why : strerror(abs(err)));
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void create(const char *prefix, int number, bool node)
{
	const struct infini_admin_vdev_config config = {
		.set = INFINI_VDEV_SET_MEMORY, .memory_limit_bytes = LIMIT, .no_node = !node,
	};
	char name[INFINI_NAME_MAX];
	uint32_t id;
	int err;

	snprintf(name, sizeof(name), "%s%d", prefix, number);
	err = infini_admin_vdev_create(admin, name, device, &config, &id);
	if (err)
		die(name, err);
}

static void delete(const char *prefix, int number)
{
	char name[INFINI_NAME_MAX];
	int err;

	snprintf(name, sizeof(name), "%s%d", prefix, number);
	err = infini_admin_vdev_delete(admin, name, 0, true);
	if (err)
		die(name, err);
}

static int client_open(const char *prefix, int number)
{
	char name[INFINI_NAME_MAX];
	int fd;

	snprintf(name, sizeof(name), "%s%d", prefix, number);
	fd = infini_client_open(NULL, name);
	if (fd < 0)
		die(name, fd);
	return fd;
}

/* ---- memory ------------------------------------------------------------------------ */

/* What is neither free nor a program's nor of a file. */
static int64_t kernel_bytes_now(void)
{
	static const struct {
		const char *name;
		int sign;
	} fields[] = {
		{ "MemTotal:", 1 }, { "MemFree:", -1 }, { "Buffers:", -1 }, { "Cached:", -1 },
		{ "Shmem:", 1 }, { "AnonPages:", -1 },
	};
	FILE *file = fopen("/proc/meminfo", "re");
	int64_t bytes = 0;
	long long kib;
	char name[64];

	if (!file)
		die("/proc/meminfo", errno);
	while (fscanf(file, "%63s %lld%*[^\n]", name, &kib) == 2) {
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			if (!strcmp(name, fields[i].name))
				bytes += fields[i].sign * 1024 * kib;
	}
	fclose(file);
	return bytes;
}

/* What was given up before is freed after a while, behind RCU and in work queues. */
static int64_t kernel_bytes(void)
{
	const struct timespec pause = { .tv_nsec = 100000000 };
	int64_t bytes = kernel_bytes_now(), was;

	do {
		was = bytes;
		for (int i = 0; i < 5; i++)
			nanosleep(&pause, NULL);
		bytes = kernel_bytes_now();
	} while (llabs(bytes - was) > 65536);
	return bytes;
}

static void say(const char *what, int64_t before, int number)
{
	printf("%s %" PRId64 "\n", what, (kernel_bytes() - before) / number);
}

static void queues(int fd, uint32_t number, uint32_t depth)
{
	for (uint32_t i = 0; i < number; i++) {
		struct infini_queue_create queue = { .depth = depth };
		int err = infini_queue_create(fd, &queue);

		if (err)
			die("queue", err);
	}
}

static void buffers(int fd, uint32_t number)
{
	for (uint32_t i = 0; i < number; i++) {
		struct infini_buffer_create buffer = { .type = INFINI_BUFFER_SHARED, .bytes = 4096 };
		int err = infini_buffer_create(fd, &buffer);

		if (err)
			die("buffer", err);
	}
}

/* Of a thousand and more each, so that rounding of slabs to pages is lost in it. */
static void memory(void)
{
	int clients[CLIENTS], err;
	struct infini_query query = { 0 };
	int64_t before = kernel_bytes();

	for (int i = 0; i < VDEVS; i++)
		create("bare", i, false);
	say("vdev", before, VDEVS);
	for (int i = 0; i < VDEVS; i++)
		delete("bare", i);
	before = kernel_bytes();
	for (int i = 0; i < VDEVS; i++)
		create("noded", i, true);
	say("vdev-with-node", before, VDEVS);
	for (int i = CLIENTS; i < VDEVS; i++)
		delete("noded", i);
	before = kernel_bytes();
	for (int i = 0; i < CLIENTS; i++)
		clients[i] = client_open("noded", i);
	say("client", before, CLIENTS);
	err = infini_query(clients[0], &query);
	if (err)
		die("query", err);
	before = kernel_bytes();
	for (int i = 0; i < CLIENTS; i++)
		queues(clients[i], EACH, 1);
	say("queue", before, CLIENTS * EACH);
	before = kernel_bytes();
	for (int i = 0; i < CLIENTS; i++)
		queues(clients[i], EACH, query.max_queue_depth);
	say("deep-queue", before, CLIENTS * EACH);
	printf("depth %u\n", query.max_queue_depth);
	before = kernel_bytes();
	for (int i = 0; i < CLIENTS; i++)
		buffers(clients[i], EACH);
	say("buffer", before, CLIENTS * EACH);
	for (int i = 0; i < CLIENTS; i++) {
		close(clients[i]);
		delete("noded", i);
	}
}

/* ---- times ------------------------------------------------------------------------- */

static void many(void)
{
	uint64_t began;

	for (int i = 0; i < MANY; i += BLOCK) {
		began = now_ns();
		for (int j = i; j < i + BLOCK; j++)
			create("many", j, false);
		printf("create %" PRIu64 "\n", (now_ns() - began) / BLOCK);
	}
	for (int i = 0; i < MANY; i += BLOCK) {
		began = now_ns();
		for (int j = i; j < i + BLOCK; j++)
			delete("many", j);
		printf("delete %" PRIu64 "\n", (now_ns() - began) / BLOCK);
	}
}

static void exec_nothing(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execl("/bin/true", "true", NULL);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		die("/bin/true", errno);
}

static void first_job(int number)
{
	struct infini_queue_create queue = { .depth = 1 };
	const struct infini_job job = { .op = INFINI_OP_NOP };
	struct infini_submit submit = {
		.flags = INFINI_SUBMIT_F_WAIT,
		.nr_jobs = 1,
		.jobs = (uintptr_t)&job,
		.jobs_stride = sizeof(job),
		.deadline_ns = INFINI_FOREVER,
	};
	int fd, err;

	create("first", number, true);
	fd = client_open("first", number);
	err = infini_queue_create(fd, &queue);
	submit.queue = queue.handle;
	if (!err)
		err = infini_submit(fd, &submit);
	if (err || submit.status)
		die("first job", err ? err : submit.status);
	close(fd);
}

static void first(int rounds)
{
	uint64_t began;

	for (int i = 0; i < rounds; i++) {
		began = now_ns();
		first_job(i);
		printf("first %" PRIu64 "\n", now_ns() - began);
		delete("first", i);
		began = now_ns();
		exec_nothing();
		printf("exec %" PRIu64 "\n", now_ns() - began);
	}
}

int main(int argc, char **argv)
{
	int err;

	if (argc < 3)
		return 2;
	device = argv[2];
	err = infini_admin_open(&admin);
	if (err)
		die("netlink", err);
	if (!strcmp(argv[1], "memory"))
		memory();
	else if (!strcmp(argv[1], "many"))
		many();
	else if (!strcmp(argv[1], "first") && argc == 4)
		first(atoi(argv[3]));
	else
		return 2;
	infini_admin_close(admin);
	return 0;
}
