// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A backend that runs what somebody could run who has taken over a worker: one device for each kind of
 * worker there is. Built a second time as the backend of remote machines.
 */
#include "../../daemon/backend.h"
#include "attempts.h"

#include <errno.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB	(1ULL << 20)

struct infini_backend {
	uint64_t held_bytes;
};

struct infini_backend_program {
	struct rogue_program code;
};

static const struct {
	const char *name;
	uint32_t device_class, needs;
} devices[] = {
	{ "rogue-cpu", INFINI_CLASS_CPU, 0 },
	{ "rogue-gpu", INFINI_CLASS_GPU, 0 },
	{ "rogue-compiler", INFINI_CLASS_CPU, INFINI_BACKEND_NEEDS_COMPILER },
};

static void describe(const char *name, uint32_t device_class, uint32_t needs,
		     struct infini_backend_device *device)
{
	memset(device, 0, sizeof(*device));
	strncpy(device->name, name, sizeof(device->name) - 1);
	strcpy(device->description, "runs anything");
	device->device_class = device_class;
	device->needs = needs;
	device->level = INFINI_LEVEL_LAUNCH;
	device->slots = 4;
	device->memory_bytes = 1024 * MIB;
	device->nr_kinds = 1;
	strcpy((char *)device->kinds[0].name, "rogue");
	device->kinds[0].flags = INFINI_MEMORY_F_UNIFIED;
	device->kinds[0].alignment = 64;
}

static int rogue_probe(infini_backend_found_fn found, void *arg, infini_backend_log_fn log)
{
	struct infini_backend_device device;

	(void)log;
	for (size_t i = 0; !REMOTE && i < sizeof(devices) / sizeof(devices[0]); i++) {
		describe(devices[i].name, devices[i].device_class, devices[i].needs, &device);
		if (found(&device, arg))
			break;
	}
	return 0;
}

static int rogue_probe_remote(const struct infini_backend_remote *remote,
			      infini_backend_found_fn found, void *arg, infini_backend_log_fn log)
{
	struct infini_backend_device device;

	(void)log;
	describe(remote->name, remote->device_class, 0, &device);
	strncpy(device.remote, remote->name, sizeof(device.remote) - 1);
	found(&device, arg);
	return 0;
}

/* As a backend of remote machines does, before the sandbox closes: on the loopback device. */
static int connect_to(const char *endpoint)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(strchr(endpoint, ':') + 1)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	return fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) ? -errno : 0;
}

static int rogue_open(const struct infini_backend_open *open, struct infini_backend **backend)
{
	int ret = open->remote ? connect_to(open->remote->endpoint) : 0;

	if (ret)
		return ret;
	*backend = calloc(1, sizeof(**backend));
	return *backend ? 0 : -ENOMEM;
}

static void rogue_close(struct infini_backend *backend)
{
	free(backend);
}

/* ---- memory ------------------------------------------------------------------------ */

static int rogue_buffer_add(struct infini_backend *backend, struct infini_backend_buffer *buffer)
{
	(void)backend;
	return buffer->addr ? 0 : -EINVAL;
}

static void rogue_buffer_remove(struct infini_backend *backend,
				struct infini_backend_buffer *buffer)
{
	(void)backend;
	(void)buffer;
}

static int rogue_write(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		       uint64_t offset, const void *data, uint64_t bytes)
{
	(void)backend;
	memcpy((char *)buffer->addr + offset, data, bytes);
	return 0;
}

static int rogue_read(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		      uint64_t offset, void *data, uint64_t bytes)
{
	(void)backend;
	memcpy(data, (char *)buffer->addr + offset, bytes);
	return 0;
}

static int rogue_copy(struct infini_backend *backend, struct infini_backend_buffer *dst,
		      uint64_t dst_offset, struct infini_backend_buffer *src, uint64_t src_offset,
		      uint64_t bytes)
{
	(void)backend;
	memmove((char *)dst->addr + dst_offset, (char *)src->addr + src_offset, bytes);
	return 0;
}

static int rogue_fill(struct infini_backend *backend, struct infini_backend_buffer *buffer,
		      uint64_t offset, uint8_t value, uint64_t bytes)
{
	(void)backend;
	memset((char *)buffer->addr + offset, value, bytes);
	return 0;
}

static uint64_t rogue_held_bytes(struct infini_backend *backend)
{
	(void)backend;
	return 0;		/* it does not say */
}

/* ---- programs ---------------------------------------------------------------------- */

static int rogue_program_load(struct infini_backend *backend, const void *data, size_t bytes,
			      struct infini_backend_program **program)
{
	const struct rogue_program *code = data;

	(void)backend;
	if (bytes != sizeof(*code) || code->magic != ROGUE_MAGIC ||
	    (code->what == ROGUE_ATTEMPT && code->number >= nr_attempts))
		return -EINVAL;
	*program = malloc(sizeof(**program));
	if (!*program)
		return -ENOMEM;
	(*program)->code = *code;
	return 0;
}

static void rogue_program_free(struct infini_backend *backend,
			       struct infini_backend_program *program)
{
	(void)backend;
	free(program);
}

static int take(uint64_t mib)
{
	char *memory = malloc(mib * MIB);

	if (!memory)
		return -ENOMEM;
	for (uint64_t i = 0; i < mib * MIB; i += 4096)
		((volatile char *)memory)[i] = 1;
	return 0;
}

static void *sleep_for_ever(void *arg)
{
	for (;;)
		sleep(1000);
	return arg;
}

static uint64_t start_threads(uint64_t most)
{
	pthread_attr_t small;
	pthread_t thread;
	uint64_t count = 0;

	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 65536);
	while (count < most && !pthread_create(&thread, &small, sleep_for_ever, NULL))
		count++;
	return count;
}

static int rogue_program_run(struct infini_backend *backend, struct infini_backend_program *program,
			     struct infini_backend_run *run)
{
	const struct rogue_program *code = &program->code;

	(void)backend;
	switch (code->what) {
	case ROGUE_ATTEMPT:
		run->value = (uint64_t)attempts[code->number].run((pid_t)code->value);
		return 0;
	case ROGUE_TAKE:
		return take(code->value);
	case ROGUE_THREADS:
		run->value = start_threads(code->value);
		return 0;
	default:
		return -EINVAL;
	}
}

__attribute__((visibility("default")))
const struct infini_backend_ops infini_backend_ops = {
	.abi = INFINI_BACKEND_ABI,
	.name = REMOTE ? "ggml" : "rogue",
	.format = INFINI_FORMAT_NULL,
	.probe = rogue_probe,
	.probe_remote = REMOTE ? rogue_probe_remote : NULL,
	.open = rogue_open,
	.close = rogue_close,
	.buffer_add = rogue_buffer_add,
	.buffer_remove = rogue_buffer_remove,
	.program_load = rogue_program_load,
	.program_free = rogue_program_free,
	.program_run = rogue_program_run,
	.write = rogue_write,
	.read = rogue_read,
	.copy = rogue_copy,
	.fill = rogue_fill,
	.held_bytes = rogue_held_bytes,
};
