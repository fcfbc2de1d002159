// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A libcuda.so.1 of our own, for machines without a GPU. Streams are threads: what is queued runs later
 * and in order, reads the host's memory when it runs, and its faults come out of later calls. Kernels are
 * PTX, run by fake_ptx.c. What no driver would forgive (a dead handle, another context's memory) aborts
 * with a sentence.
 *
 * Environment: FAKE_CUDA_DEVICES, how many GPUs, 2; FAKE_CUDA_MEMORY, bytes of each in this process,
 * 64 MiB; FAKE_CUDA_MODE, compute mode; FAKE_CUDA_CONTROL, a file whose words are numbers of GPUs that are
 * lost now; FAKE_CUDA_REFUSE, "CALL NUMBER", a call that ends with this error, to nobody's harm;
 * FAKE_CUDA_DELAY_US, how long a stream sleeps before each piece of work, and that a query
 * takes a microsecond.
 */
#include "fake_ptx.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXPORT		__attribute__((visibility("default")))
#define DEVICES_MAX	8
#define RANGES_MAX	4096
#define ADDRESS_FIRST	0x0a0000000000ULL

enum {
	SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, UNAVAILABLE = 46,
	NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200, INVALID_CONTEXT = 201,
	INVALID_PTX = 218, NOT_FOUND = 500, NOT_READY = 600, ILLEGAL_ADDRESS = 700,
	ALREADY_REGISTERED = 712, NOT_REGISTERED = 713, MISALIGNED = 716, LAUNCH_FAILED = 719,
	UNKNOWN = 999,
};

#define MAGIC_CONTEXT	0xc0ffee01U
#define MAGIC_STREAM	0xc0ffee02U
#define MAGIC_EVENT	0xc0ffee03U
#define MAGIC_MODULE	0xc0ffee04U
#define MAGIC_FUNCTION	0xc0ffee05U

/* Memory of a GPU, or pages of the host that it was given. */
struct range {
	uint64_t address, bytes;	/* 0 bytes: free */
	uint8_t *host;
	bool registered;
	struct context *context;
};

struct context {
	uint32_t magic;
	int device, fault;
	struct context *below;		/* on this thread's stack */
	struct stream *streams;
	struct module *modules;
};

struct event {
	uint32_t magic;
	struct context *context;
	bool recorded, pending;
	struct timespec when;
};

struct work {
	enum { COPY, FILL, LAUNCH, RECORD } what;
	void *dst;
	const void *src;
	size_t bytes;
	uint8_t value;
	struct event *event;
	struct function *function;
	struct fake_ptx_grid grid;
	uint8_t *params;
	struct work *next;
};

struct stream {
	uint32_t magic;
	struct context *context;
	pthread_t thread;
	struct work *first, **last;
	bool busy, ending;
	struct stream *next;
};

struct function {
	uint32_t magic;
	struct module *module;
	const struct fake_ptx_kernel *kernel;
	int dynamic_max;
	struct function *next;
};

struct module {
	uint32_t magic;
	struct context *context;
	struct fake_ptx_kernel *kernels;
	struct function *functions;
	struct module *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct range ranges[RANGES_MAX];
static uint64_t next_address = ADDRESS_FIRST, memory_bytes, used[DEVICES_MAX];
static int nr_devices, mode, control = -1, delay_us, live;
static bool initialised;
static _Thread_local struct context *current;

static _Noreturn void __attribute__((format(printf, 1, 2))) die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("fake libcuda: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	abort();
}

/* For tests: handles and memory that are still there. */
EXPORT int fake_cuda_live(void);
EXPORT int fake_cuda_live(void)
{
	return live;
}

/* ---- GPUs -------------------------------------------------------------------------- */

static uint64_t setting(const char *name, uint64_t otherwise)
{
	const char *value = getenv(name);

	return value ? strtoull(value, NULL, 0) : otherwise;
}

static bool is_lost(int device)
{
	char text[64] = "", *at = text;
	ssize_t got;

	got = control >= 0 ? pread(control, text, sizeof(text) - 1, 0) : 0;
	if (got <= 0)
		return false;
	text[got] = '\0';
	for (char *end; ; at = end) {
		long lost = strtol(at, &end, 10);

		if (end == at)
			return false;
		if (lost == device)
			return true;
	}
}

EXPORT int cuInit(unsigned int flags)
{
	const char *path = getenv("FAKE_CUDA_CONTROL");

	if (flags)
		return INVALID_VALUE;
	nr_devices = (int)setting("FAKE_CUDA_DEVICES", 2);
	if (nr_devices > DEVICES_MAX)
		die("%d devices are more than %d", nr_devices, DEVICES_MAX);
	memory_bytes = setting("FAKE_CUDA_MEMORY", 64 << 20);
	mode = (int)setting("FAKE_CUDA_MODE", 0);
	delay_us = (int)setting("FAKE_CUDA_DELAY_US", 0);
	/* Opened once: later the file may be out of a sandbox's reach. */
	if (path && control < 0)
		control = open(path, O_RDONLY | O_CLOEXEC);
	if (path && control < 0)
		die("FAKE_CUDA_CONTROL: cannot open %s", path);
	initialised = nr_devices > 0;
	return initialised ? SUCCESS : NO_DEVICE;
}

EXPORT int cuGetErrorName(int error, const char **name)
{
	static const struct {
		int error;
		const char *name;
	} names[] = {
		{ SUCCESS, "CUDA_SUCCESS" }, { INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE" },
		{ OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY" },
		{ NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED" },
		{ UNAVAILABLE, "CUDA_ERROR_DEVICE_UNAVAILABLE" },
		{ NO_DEVICE, "CUDA_ERROR_NO_DEVICE" },
		{ INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE" },
		{ INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE" },
		{ INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT" },
		{ INVALID_PTX, "CUDA_ERROR_INVALID_PTX" }, { NOT_FOUND, "CUDA_ERROR_NOT_FOUND" },
		{ NOT_READY, "CUDA_ERROR_NOT_READY" },
		{ ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS" },
		{ ALREADY_REGISTERED, "CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED" },
		{ NOT_REGISTERED, "CUDA_ERROR_HOST_MEMORY_NOT_REGISTERED" },
		{ MISALIGNED, "CUDA_ERROR_MISALIGNED_ADDRESS" },
		{ LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED" }, { UNKNOWN, "CUDA_ERROR_UNKNOWN" },
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].error == error) {
			*name = names[i].name;
			return SUCCESS;
		}
	}
	return INVALID_VALUE;
}

EXPORT int cuDeviceGetCount(int *count)
{
	*count = nr_devices;
	return initialised ? SUCCESS : NOT_INITIALIZED;
}

EXPORT int cuDeviceGet(int *device, int ordinal)
{
	*device = ordinal;
	return !initialised ? NOT_INITIALIZED :
		ordinal < 0 || ordinal >= nr_devices ? INVALID_DEVICE : SUCCESS;
}

static void known(int device)
{
	if (!initialised || device < 0 || device >= nr_devices)
		die("device %d is none", device);
}

EXPORT int cuDeviceGetName(char *name, int bytes, int device)
{
	known(device);
	snprintf(name, (size_t)bytes, "Fake GPU %d", device);
	return SUCCESS;
}

EXPORT int cuDeviceTotalMem_v2(size_t *bytes, int device)
{
	known(device);
	*bytes = memory_bytes;
	return SUCCESS;
}

EXPORT int cuDeviceGetPCIBusId(char *pci, int bytes, int device)
{
	known(device);
	snprintf(pci, (size_t)bytes, "0000:%02X:00.0", device ? 9 + device : 3);
	return SUCCESS;
}

EXPORT int cuDeviceGetAttribute(int *value, int attribute, int device)
{
	static const int values[128] = {
		[1] = 1024, [2] = 1024, [3] = 1024, [4] = 64, [5] = 0x7fffffff, [6] = 65535,
		[7] = 65535, [8] = 49152, [16] = 2, [39] = 2048, [75] = 5, [97] = 65536,
	};

	known(device);
	if (attribute < 1 || attribute > 127)
		return INVALID_VALUE;
	*value = attribute == 20 ? mode : values[attribute];
	return SUCCESS;
}

/* ---- contexts ---------------------------------------------------------------------- */

EXPORT int cuCtxCreate_v2(struct context **context, unsigned int flags, int device)
{
	struct context *c;

	known(device);
	if (flags & ~0x1fU)
		return INVALID_VALUE;
	if (mode == 2 || is_lost(device))
		return UNAVAILABLE;
	c = calloc(1, sizeof(*c));
	c->magic = MAGIC_CONTEXT;
	c->device = device;
	c->below = current;
	current = *context = c;
	__atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
	return SUCCESS;
}

/* The current one, which every call below needs; its fault is every call's. */
static int enter(const char *call)
{
	if (!current || current->magic != MAGIC_CONTEXT)
		die("%s: no context is current", call);
	if (!current->fault && is_lost(current->device))
		current->fault = UNKNOWN;
	return current->fault;
}

/* What a driver refuses that understands more than this one. */
static int refusal(const char *call)
{
	const char *refuse = getenv("FAKE_CUDA_REFUSE");
	size_t length = strlen(call);

	return refuse && !strncmp(refuse, call, length) && refuse[length] == ' ' ?
		atoi(refuse + length) : SUCCESS;
}

#define ENTER() \
	do { \
		int fault = enter(__func__); \
		if (!fault) \
			fault = refusal(__func__); \
		if (fault) \
			return fault; \
	} while (0)

EXPORT int cuCtxSetCurrent(struct context *context)
{
	if (context && context->magic != MAGIC_CONTEXT)
		die("cuCtxSetCurrent: a context that is gone");
	if (context != current && context)
		context->below = NULL;
	current = context;
	return SUCCESS;
}

static void drain(struct stream *stream)
{
	while (stream->first || stream->busy)
		pthread_cond_wait(&changed, &lock);
}

static void free_module(struct module *module)
{
	struct module **at = &module->context->modules;
	struct function *f;

	while (*at != module)
		at = &(*at)->next;
	*at = module->next;
	while ((f = module->functions)) {
		module->functions = f->next;
		f->magic = 0;
		free(f);
	}
	fake_ptx_free(module->kernels);
	module->magic = 0;
	__atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
	free(module);
}

EXPORT int cuCtxDestroy_v2(struct context *context)
{
	if (!context || context->magic != MAGIC_CONTEXT)
		die("cuCtxDestroy: a context that is gone");
	pthread_mutex_lock(&lock);
	if (context->streams)
		die("cuCtxDestroy: a stream is left");
	while (context->modules)
		free_module(context->modules);
	for (int i = 0; i < RANGES_MAX; i++) {
		struct range *r = &ranges[i];

		if (!r->bytes || r->context != context)
			continue;
		if (!r->registered) {
			used[context->device] -= r->bytes;
			free(r->host);
		}
		r->bytes = 0;
		live--;
	}
	pthread_mutex_unlock(&lock);
	if (current == context)
		current = context->below;
	context->magic = 0;
	__atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
	free(context);
	return SUCCESS;
}

/* ---- memory ------------------------------------------------------------------------ */

static struct range *add_range(uint64_t bytes, uint8_t *host, bool registered)
{
	for (int i = 0; i < RANGES_MAX; i++) {
		struct range *r = &ranges[i];

		if (r->bytes)
			continue;
		*r = (struct range){ next_address, 0, host, registered, current };
		/* A gap: what runs over the end finds nothing. */
		next_address += (bytes + 0x1ffff) & ~0xffffULL;
		__atomic_store_n(&r->bytes, bytes, __ATOMIC_RELEASE);
		live++;
		return r;
	}
	die("more than %d ranges of memory", RANGES_MAX);
}

/* Whose memory @bytes at @address are, in @context. */
static struct range *find_range(const struct context *context, uint64_t address, uint64_t bytes)
{
	for (int i = 0; i < RANGES_MAX; i++) {
		struct range *r = &ranges[i];
		uint64_t have = __atomic_load_n(&r->bytes, __ATOMIC_ACQUIRE);

		if (have && r->context == context && address >= r->address &&
		    address - r->address <= have && bytes <= have - (address - r->address))
			return r;
	}
	return NULL;
}

EXPORT int cuMemAlloc_v2(uint64_t *address, size_t bytes)
{
	uint8_t *host;
	int device;

	ENTER();
	if (!bytes)
		return INVALID_VALUE;
	device = current->device;
	pthread_mutex_lock(&lock);
	if (bytes > memory_bytes || used[device] > memory_bytes - bytes) {
		pthread_mutex_unlock(&lock);
		return OUT_OF_MEMORY;
	}
	host = malloc(bytes);
	/* Somebody's contents, as on a GPU. */
	memset(host, 0xa5, bytes);
	used[device] += bytes;
	*address = add_range(bytes, host, false)->address;
	pthread_mutex_unlock(&lock);
	return SUCCESS;
}

EXPORT int cuMemFree_v2(uint64_t address)
{
	struct range *r;

	ENTER();
	pthread_mutex_lock(&lock);
	for (struct stream *s = current->streams; s; s = s->next)
		drain(s);
	r = find_range(current, address, 1);
	if (!r || r->address != address || r->registered)
		die("cuMemFree: 0x%llx is no allocation of this context",
		    (unsigned long long)address);
	used[current->device] -= r->bytes;
	free(r->host);
	r->bytes = 0;
	live--;
	pthread_mutex_unlock(&lock);
	return SUCCESS;
}

EXPORT int cuMemHostRegister_v2(void *host, size_t bytes, unsigned int flags)
{
	const uint8_t *start = host;
	int ret = SUCCESS;

	ENTER();
	if (!host || !bytes || flags & ~0xfU || getenv("FAKE_CUDA_NO_REGISTER"))
		return INVALID_VALUE;
	pthread_mutex_lock(&lock);
	for (int i = 0; i < RANGES_MAX; i++) {
		if (ranges[i].bytes && ranges[i].registered && ranges[i].context == current &&
		    start < ranges[i].host + ranges[i].bytes && ranges[i].host < start + bytes)
			ret = ALREADY_REGISTERED;
	}
	if (!ret)
		add_range(bytes, host, true);
	pthread_mutex_unlock(&lock);
	return ret;
}

static struct range *registered(const void *host)
{
	for (int i = 0; i < RANGES_MAX; i++) {
		if (ranges[i].bytes && ranges[i].registered && ranges[i].context == current &&
		    ranges[i].host == host)
			return &ranges[i];
	}
	return NULL;
}

EXPORT int cuMemHostUnregister(void *host)
{
	struct range *r;

	if (!current)
		die("cuMemHostUnregister: no context is current");
	pthread_mutex_lock(&lock);
	r = registered(host);
	if (!r)
		die("cuMemHostUnregister: these pages are not registered");
	r->bytes = 0;
	live--;
	pthread_mutex_unlock(&lock);
	return current->fault;
}

EXPORT int cuMemHostGetDevicePointer_v2(uint64_t *address, void *host, unsigned int flags)
{
	struct range *r;

	ENTER();
	r = registered(host);
	if (!r || flags)
		return INVALID_VALUE;
	*address = r->address;
	return SUCCESS;
}

/* ---- streams ----------------------------------------------------------------------- */

static _Thread_local struct context *running;

static void *memory_of_kernel(uint64_t address, uint64_t bytes)
{
	static _Thread_local struct range *last;
	uint64_t have = last ? __atomic_load_n(&last->bytes, __ATOMIC_ACQUIRE) : 0;

	if (!have || last->context != running || address < last->address ||
	    address - last->address > have || bytes > have - (address - last->address))
		last = find_range(running, address, bytes);
	return last ? last->host + (address - last->address) : NULL;
}

static void execute(struct stream *stream, struct work *w)
{
	static const int faults[] = {
		[FAKE_PTX_DONE] = SUCCESS, [FAKE_PTX_ILLEGAL_ADDRESS] = ILLEGAL_ADDRESS,
		[FAKE_PTX_MISALIGNED] = MISALIGNED, [FAKE_PTX_TRAP] = LAUNCH_FAILED,
	};
	struct context *c = stream->context;

	if (delay_us)
		usleep((useconds_t)delay_us);
	if (!c->fault && is_lost(c->device))
		c->fault = UNKNOWN;
	if (c->fault && w->what != RECORD)
		return;
	running = c;
	if (w->what == COPY)
		memcpy(w->dst, w->src, w->bytes);
	else if (w->what == FILL)
		memset(w->dst, w->value, w->bytes);
	else if (w->what == LAUNCH)
		c->fault = faults[fake_ptx_run(w->function->kernel, &w->grid)];
}

static void *serve(void *arg)
{
	struct stream *stream = arg;
	struct work *w;

	pthread_mutex_lock(&lock);
	for (;;) {
		while (!stream->first && !stream->ending)
			pthread_cond_wait(&changed, &lock);
		w = stream->first;
		if (!w)
			break;
		stream->first = w->next;
		if (!stream->first)
			stream->last = &stream->first;
		stream->busy = true;
		pthread_mutex_unlock(&lock);
		execute(stream, w);
		pthread_mutex_lock(&lock);
		if (w->what == RECORD) {
			clock_gettime(CLOCK_MONOTONIC, &w->event->when);
			w->event->pending = false;
		}
		free(w->params);
		free(w);
		stream->busy = false;
		pthread_cond_broadcast(&changed);
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void check_stream(const char *call, const struct stream *stream)
{
	if (!stream || stream->magic != MAGIC_STREAM || stream->context != current)
		die("%s: a stream that is gone or another context's", call);
}

static int queue(struct stream *stream, const struct work *work)
{
	struct work *w = malloc(sizeof(*w));

	*w = *work;
	pthread_mutex_lock(&lock);
	w->next = NULL;
	*stream->last = w;
	stream->last = &w->next;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return SUCCESS;
}

EXPORT int cuStreamCreate(struct stream **out, unsigned int flags)
{
	struct stream *stream;

	ENTER();
	if (flags & ~1U)
		return INVALID_VALUE;
	stream = calloc(1, sizeof(*stream));
	stream->magic = MAGIC_STREAM;
	stream->context = current;
	stream->last = &stream->first;
	stream->next = current->streams;
	current->streams = stream;
	if (pthread_create(&stream->thread, NULL, serve, stream))
		die("no thread for a stream");
	__atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
	*out = stream;
	return SUCCESS;
}

EXPORT int cuStreamDestroy_v2(struct stream *stream)
{
	struct stream **at = &current->streams;

	check_stream(__func__, stream);
	pthread_mutex_lock(&lock);
	stream->ending = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	pthread_join(stream->thread, NULL);
	while (*at != stream)
		at = &(*at)->next;
	*at = stream->next;
	stream->magic = 0;
	__atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
	free(stream);
	return current->fault;
}

static uint8_t *on_device(const char *call, uint64_t address, size_t bytes)
{
	struct range *r = find_range(current, address, bytes);

	if (!r)
		die("%s: %zu bytes at 0x%llx are no memory of this context", call, bytes,
		    (unsigned long long)address);
	return r->host + (address - r->address);
}

EXPORT int cuMemcpyHtoDAsync_v2(uint64_t dst, const void *src, size_t bytes,
				struct stream *stream)
{
	ENTER();
	check_stream(__func__, stream);
	return queue(stream, &(struct work){ .what = COPY, .dst = on_device(__func__, dst, bytes),
					     .src = src, .bytes = bytes });
}

EXPORT int cuMemcpyDtoHAsync_v2(void *dst, uint64_t src, size_t bytes, struct stream *stream)
{
	ENTER();
	check_stream(__func__, stream);
	return queue(stream, &(struct work){ .what = COPY, .dst = dst, .bytes = bytes,
					     .src = on_device(__func__, src, bytes) });
}

EXPORT int cuMemcpyDtoDAsync_v2(uint64_t dst, uint64_t src, size_t bytes, struct stream *stream)
{
	ENTER();
	check_stream(__func__, stream);
	if (dst < src ? src - dst < bytes : dst - src < bytes)
		die("cuMemcpyDtoDAsync: the ranges overlap, which is not defined");
	return queue(stream, &(struct work){ .what = COPY, .bytes = bytes,
					     .dst = on_device(__func__, dst, bytes),
					     .src = on_device(__func__, src, bytes) });
}

EXPORT int cuMemsetD8Async(uint64_t dst, unsigned char value, size_t bytes,
			   struct stream *stream)
{
	ENTER();
	check_stream(__func__, stream);
	return queue(stream, &(struct work){ .what = FILL, .dst = on_device(__func__, dst, bytes),
					     .value = value, .bytes = bytes });
}

/* ---- events ------------------------------------------------------------------------ */

static void check_event(const char *call, const struct event *event)
{
	if (!event || event->magic != MAGIC_EVENT || event->context != current)
		die("%s: an event that is gone or another context's", call);
}

EXPORT int cuEventCreate(struct event **out, unsigned int flags)
{
	ENTER();
	if (flags & ~7U)
		return INVALID_VALUE;
	*out = calloc(1, sizeof(**out));
	(*out)->magic = MAGIC_EVENT;
	(*out)->context = current;
	__atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
	return SUCCESS;
}

EXPORT int cuEventDestroy_v2(struct event *event)
{
	check_event(__func__, event);
	pthread_mutex_lock(&lock);
	while (event->pending)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	event->magic = 0;
	__atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
	free(event);
	return current->fault;
}

EXPORT int cuEventRecord(struct event *event, struct stream *stream)
{
	ENTER();
	check_stream(__func__, stream);
	check_event(__func__, event);
	pthread_mutex_lock(&lock);
	if (event->pending)
		die("cuEventRecord: it is still pending, and nobody has waited");
	event->recorded = event->pending = true;
	pthread_mutex_unlock(&lock);
	return queue(stream, &(struct work){ .what = RECORD, .event = event });
}

EXPORT int cuEventQuery(struct event *event)
{
	bool pending;

	ENTER();
	check_event(__func__, event);
	pthread_mutex_lock(&lock);
	pending = event->pending;
	pthread_mutex_unlock(&lock);
	/* Where only sleep lets time pass, whoever polls for a while would never be done. */
	if (pending && delay_us)
		usleep(1);
	/* The fault came before the event, so it is known here. */
	return current->fault ? current->fault : pending ? NOT_READY : SUCCESS;
}

EXPORT int cuEventSynchronize(struct event *event)
{
	ENTER();
	check_event(__func__, event);
	pthread_mutex_lock(&lock);
	while (event->pending)
		pthread_cond_wait(&changed, &lock);
	pthread_mutex_unlock(&lock);
	return current->fault;
}

EXPORT int cuEventElapsedTime(float *ms, struct event *start, struct event *end)
{
	ENTER();
	check_event(__func__, start);
	check_event(__func__, end);
	if (!start->recorded || !end->recorded || start->pending || end->pending)
		return NOT_READY;
	*ms = (float)(end->when.tv_sec - start->when.tv_sec) * 1e3F +
	      (float)(end->when.tv_nsec - start->when.tv_nsec) / 1e6F;
	return SUCCESS;
}

/* ---- programs ---------------------------------------------------------------------- */

EXPORT int cuModuleLoadDataEx(struct module **out, const void *image, unsigned int nr_options,
			      int *options, void **values)
{
	char nowhere[256], *said = nowhere;
	size_t said_bytes = sizeof(nowhere);
	struct fake_ptx_kernel *kernels;

	ENTER();
	for (unsigned int i = 0; i < nr_options; i++) {
		if (options[i] == 5)
			said = values[i];
		else if (options[i] == 6)
			said_bytes = (size_t)(uintptr_t)values[i];
		else
			die("cuModuleLoadDataEx: option %d is not known here", options[i]);
	}
	if (!memcmp(image, "\177ELF", 4))
		return INVALID_IMAGE;
	said[0] = '\0';
	kernels = fake_ptx_compile(image, said, said_bytes);
	if (!kernels)
		return INVALID_PTX;
	*out = calloc(1, sizeof(**out));
	(*out)->magic = MAGIC_MODULE;
	(*out)->context = current;
	(*out)->kernels = kernels;
	(*out)->next = current->modules;
	current->modules = *out;
	__atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
	return SUCCESS;
}

EXPORT int cuModuleUnload(struct module *module)
{
	ENTER();
	if (!module || module->magic != MAGIC_MODULE || module->context != current)
		die("cuModuleUnload: a module that is gone or another context's");
	for (struct stream *s = current->streams; s; s = s->next) {
		if (s->first || s->busy)
			die("cuModuleUnload: its kernels may still be running");
	}
	free_module(module);
	return SUCCESS;
}

EXPORT int cuModuleGetFunction(struct function **out, struct module *module, const char *name)
{
	ENTER();
	if (!module || module->magic != MAGIC_MODULE)
		die("cuModuleGetFunction: a module that is gone");
	for (struct fake_ptx_kernel *k = module->kernels; k; k = k->next) {
		struct function *f;

		if (strcmp(k->name, name))
			continue;
		f = calloc(1, sizeof(*f));
		*f = (struct function){ MAGIC_FUNCTION, module, k, 49152, module->functions };
		module->functions = *out = f;
		return SUCCESS;
	}
	return NOT_FOUND;
}

static void check_function(const char *call, const struct function *f)
{
	if (!f || f->magic != MAGIC_FUNCTION || f->module->context != current)
		die("%s: a kernel that is gone or another context's", call);
}

EXPORT int cuFuncGetAttribute(int *value, int attribute, struct function *f)
{
	ENTER();
	check_function(__func__, f);
	if (attribute == 0)
		*value = 1024;
	else if (attribute == 1)
		*value = (int)f->kernel->shared_bytes;
	else if (attribute == 3)
		*value = (int)f->kernel->local_bytes;
	else
		return INVALID_VALUE;
	return SUCCESS;
}

EXPORT int cuFuncSetAttribute(struct function *f, int attribute, int value)
{
	ENTER();
	check_function(__func__, f);
	if (attribute != 8 || value < 0 || value + (int)f->kernel->shared_bytes > 65536)
		return INVALID_VALUE;
	f->dynamic_max = value;
	return SUCCESS;
}

EXPORT int cuFuncGetParamInfo(struct function *f, size_t index, size_t *offset, size_t *bytes)
{
	ENTER();
	check_function(__func__, f);
	if (index >= f->kernel->nr_params)
		return INVALID_VALUE;
	*offset = f->kernel->params[index].offset;
	*bytes = f->kernel->params[index].bytes;
	return SUCCESS;
}

/* The parameters in one buffer: the only way that infinid has. */
static uint8_t *take_params(const struct function *f, void **params, void **extra)
{
	const void *buffer = NULL;
	uint8_t *copy;
	size_t bytes = 0;

	if (params || !extra)
		die("cuLaunchKernel: parameters belong into one buffer here");
	for (; *extra; extra += 2) {
		if (*extra == (void *)1)
			buffer = extra[1];
		else if (*extra == (void *)2)
			bytes = *(size_t *)extra[1];
		else
			die("cuLaunchKernel: unknown extra %p", *extra);
	}
	if (bytes != f->kernel->param_bytes || !buffer)
		die("cuLaunchKernel: %zu bytes of parameters, and %s takes %u", bytes,
		    f->kernel->name, f->kernel->param_bytes);
	copy = malloc(bytes + 1);
	memcpy(copy, buffer, bytes);
	return copy;
}

EXPORT int cuLaunchKernel(struct function *f, unsigned int gx, unsigned int gy, unsigned int gz,
			  unsigned int bx, unsigned int by, unsigned int bz, unsigned int shared,
			  struct stream *stream, void **params, void **extra)
{
	struct work w = {
		.what = LAUNCH, .function = f,
		.grid = { .groups = { gx, gy, gz }, .items = { bx, by, bz },
			  .shared_bytes = shared, .memory = memory_of_kernel },
	};

	ENTER();
	check_stream(__func__, stream);
	check_function(__func__, f);
	if (!gx || !gy || !gz || gx > 0x7fffffff || gy > 65535 || gz > 65535 || !bx || !by ||
	    !bz || bx > 1024 || by > 1024 || bz > 64 || (uint64_t)bx * by * bz > 1024 ||
	    (int)shared > f->dynamic_max)
		return INVALID_VALUE;
	w.params = take_params(f, params, extra);
	w.grid.params = w.params;
	return queue(stream, &w);
}
