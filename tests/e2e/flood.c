// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client that asks for all it can get and waits for nothing: flood VDEV QUEUES JOBS.
 *
 * It opens the vdev until it is refused, tries to make QUEUES queues in all, fills the vdev's memory with
 * buffers and maps them, and submits JOBS jobs in the largest batches, wherever there is room. Then it says
 * what it had, with what it was refused how often, and stays until it is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <infini.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define CLIENTS_MAX	1024
#define QUEUES_MAX	200000
#define BUFFER_BYTES	(64 * 1024)
#define DEPTH		64
#define ERRNOS		256

struct queue {
	int fd;
	uint32_t handle;
};

static struct queue queues[QUEUES_MAX];
static int clients[CLIENTS_MAX];
static size_t nr_queues, nr_clients, nr_buffers;
static unsigned long refused[ERRNOS];

static int refuse(int err)
{
	if (err < 0 && err > -ERRNOS)
		refused[-err]++;
	return err;
}

static void open_clients(const char *vdev)
{
	int fd;

	while (nr_clients < CLIENTS_MAX) {
		fd = refuse(infini_client_open(NULL, vdev));
		if (fd < 0)
			break;
		clients[nr_clients++] = fd;
	}
}

static void make_queues(size_t tries)
{
	struct infini_queue_create create;
	const struct infini_timeline *timeline;

	for (size_t i = 0; i < tries && nr_queues < QUEUES_MAX; i++) {
		create = (struct infini_queue_create){ .depth = DEPTH };
		if (refuse(infini_queue_create(clients[i % nr_clients], &create)))
			continue;
		queues[nr_queues++] = (struct queue){ clients[i % nr_clients], create.handle };
		infini_timeline_map(clients[i % nr_clients], create.map_offset, &timeline);
	}
}

/* Until one is refused on each client; all mapped and written. */
static void make_buffers(void)
{
	struct infini_buffer_create create;
	void *at;

	for (size_t i = 0; i < nr_clients; i++) {
		do {
			create = (struct infini_buffer_create){
				.type = INFINI_BUFFER_SHARED, .bytes = BUFFER_BYTES,
			};
			if (refuse(infini_buffer_create(clients[i], &create)))
				break;
			nr_buffers++;
			at = mmap(NULL, BUFFER_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
				  clients[i], (off_t)create.map_offset);
			if (at != MAP_FAILED)
				memset(at, 1, BUFFER_BYTES);
		} while (1);
	}
}

static unsigned long submit_all(unsigned long jobs)
{
	static struct infini_job batch[DEPTH];	/* of zeroes: NOP */
	unsigned long submitted = 0;
	struct infini_submit submit;
	int ret;

	for (size_t i = 0; submitted < jobs; i++) {
		submit = (struct infini_submit){
			.queue = queues[i % nr_queues].handle,
			.nr_jobs = DEPTH,
			.jobs = (uintptr_t)batch,
			.jobs_stride = sizeof(batch[0]),
		};
		ret = refuse(infini_submit(queues[i % nr_queues].fd, &submit));
		if (!ret)
			submitted += submit.accepted;
		else if (ret != -EAGAIN && ret != -EBUSY && ret != -ENOMEM)
			break;
	}
	return submitted;
}

int main(int argc, char **argv)
{
	unsigned long submitted;

	if (argc != 4) {
		fputs("usage: flood VDEV QUEUES JOBS\n", stderr);
		return 2;
	}
	open_clients(argv[1]);
	if (!nr_clients) {
		fprintf(stderr, "flood: %s cannot be opened\n", argv[1]);
		return 1;
	}
	make_queues(strtoul(argv[2], NULL, 10));
	make_buffers();
	submitted = submit_all(strtoul(argv[3], NULL, 10));
	printf("clients %zu queues %zu buffers %zu jobs %lu", nr_clients, nr_queues, nr_buffers,
	       submitted);
	for (int i = 0; i < ERRNOS; i++) {
		if (refused[i])
			printf(" %s %lu", strerrorname_np(i), refused[i]);
	}
	printf("\n");
	fflush(stdout);
	for (;;)
		pause();
}
