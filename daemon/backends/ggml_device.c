// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Finding and opening the devices that libggml offers.
 */
#include "ggml_device.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <syslog.h>

#include "ggml_remote.h"
#include "ggml_speed.h"

/* Longest idle spin of a compute thread, in pauses of some 50 ns: see quieten(). */
#define SPIN_COUNT	"1000"

/*
 * By default libgomp's threads spin for up to 16 ms after each parallel region. With several
 * workers on one CPU that is stolen from whoever holds the slot; the gap between two segments is
 * a few microseconds. libgomp reads its environment in a constructor, so this one has to run
 * before it: the object is linked with -z initfirst.
 */
__attribute__((constructor)) static void quieten(void)
{
	setenv("GOMP_SPINCOUNT", SPIN_COUNT, 0);
}

void infini_ggml_log(infini_backend_log_fn log, int priority, const char *format, ...)
{
	char line[200];
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	log(priority, line);
}

/* libggml has one log for the process, and a worker has one backend. */
static infini_backend_log_fn library_log;

/* What ggml says may contain names that clients chose: only its warnings, made printable. */
static void relay(enum ggml_log_level level, const char *text, void *user_data)
{
	char line[200];
	size_t i;

	(void)user_data;
	if (!library_log || (level != GGML_LOG_LEVEL_WARN && level != GGML_LOG_LEVEL_ERROR))
		return;
	for (i = 0; text[i] && i < sizeof(line) - 1; i++)
		line[i] = isprint((unsigned char)text[i]) ? text[i] : ' ';
	while (i && line[i - 1] == ' ')
		i--;
	line[i] = '\0';
	if (i)
		infini_ggml_log(library_log, level == GGML_LOG_LEVEL_ERROR ? LOG_ERR : LOG_WARNING,
				"libggml: %s", line);
}

static void last_words(const char *message)
{
	if (library_log)
		infini_ggml_log(library_log, LOG_CRIT, "libggml aborts: %s", message);
}

static void library_start(infini_backend_log_fn log)
{
	/* A plugin named there would be a client of ours, or anything else. */
	unsetenv("GGML_BACKEND_PATH");
	library_log = log;
	ggml_log_set(relay, NULL);
	ggml_set_abort_callback(last_words);
}

/* What ggml can load has this function; what is linked into it is there already. */
static bool is_loadable(const char *library)
{
	void *handle = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
	bool found = handle && dlsym(handle, "ggml_backend_init");

	if (handle)
		dlclose(handle);
	return found;
}

/* The file that ggml took @reg from; "" where that is not known. */
static void library_of(ggml_backend_reg_t reg, char *library, size_t bytes)
{
	Dl_info info;

	if (!dladdr(reg, &info) || !info.dli_fname || info.dli_fname[0] != '/' || !is_loadable(info.dli_fname) ||
	    (size_t)snprintf(library, bytes, "%s", info.dli_fname) >= bytes)
		library[0] = '\0';
}

/* ---- what a device is ---- */

/* Why this device is not offered, or NULL. */
static const char *unfit(ggml_backend_dev_t device)
{
	const char *reg = ggml_backend_reg_name(ggml_backend_dev_backend_reg(device));

	if (!strcasecmp(reg, "rpc"))
		return "another machine's devices have a section [remote NAME]";
	if (!strncasecmp(reg, "infini", 6))
		return "that is a vdev";
	switch (ggml_backend_dev_type(device)) {
	case GGML_BACKEND_DEVICE_TYPE_CPU:
	case GGML_BACKEND_DEVICE_TYPE_GPU:
	case GGML_BACKEND_DEVICE_TYPE_IGPU:
		return NULL;
	case GGML_BACKEND_DEVICE_TYPE_ACCEL:
		return "it only helps the CPU, and would change its results";
	default:
		return "it stands for other devices";
	}
}

/* "vulkan0": the registry's name in lower case, and the number in that registry. */
static bool device_name(ggml_backend_dev_t device, char *name, size_t bytes)
{
	ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(device);
	const char *from = ggml_backend_reg_name(reg);
	size_t i, n = ggml_backend_reg_dev_count(reg), at = 0;

	for (i = 0; from[i] && at < bytes - 1; i++)
		if (isalnum((unsigned char)from[i]))
			name[at++] = (char)tolower((unsigned char)from[i]);
	for (i = 0; i < n && ggml_backend_reg_dev_get(reg, i) != device; i++)
		;
	return (size_t)snprintf(name + at, bytes - at, "%zu", i) < bytes - at;
}

/* "" where ggml does not know it, as for the CPU and Vulkan in software. */
static void device_pci(ggml_backend_dev_t device, char *pci, size_t bytes)
{
	struct ggml_backend_dev_props props = { 0 };

	ggml_backend_dev_get_props(device, &props);
	if (!props.device_id || (size_t)snprintf(pci, bytes, "%s", props.device_id) >= bytes)
		pci[0] = '\0';
}

static void describe_kind(struct infini_ggml_kind *kind, ggml_backend_buffer_type_t type,
			  uint32_t flags)
{
	size_t most = ggml_backend_buft_get_max_size(type);

	kind->type = type;
	kind->info.flags = flags;
	kind->info.alignment = ggml_backend_buft_get_alignment(type);
	kind->info.max_bytes = most >= SIZE_MAX / 2 ? 0 : most;
	snprintf((char *)kind->info.name, sizeof(kind->info.name), "%s",
		 ggml_backend_buft_name(type));
	/* It weaves groups of 4 to 16 rows; others, such as AMX, have formats of their own. */
	kind->keeps_rows = !(flags & INFINI_MEMORY_F_WEIGHTS) ||
			   !strcmp(ggml_backend_buft_name(type), "CPU_REPACK");
}

static uint32_t describe_kinds(ggml_backend_dev_t device, struct infini_ggml_kind *kinds)
{
	bool is_cpu = ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU;
	ggml_backend_dev_get_extra_bufts_t extra;
	ggml_backend_buffer_type_t *types;
	uint32_t nr = 1;

	describe_kind(&kinds[0], ggml_backend_dev_buffer_type(device),
		      is_cpu ? INFINI_MEMORY_F_UNIFIED | INFINI_MEMORY_F_FILE : 0);
	extra = (ggml_backend_dev_get_extra_bufts_t)ggml_backend_reg_get_proc_address(
		ggml_backend_dev_backend_reg(device), "ggml_backend_dev_get_extra_bufts");
	for (types = extra ? extra(device) : NULL; types && *types; types++)
		if (nr < INFINI_MEMORY_KINDS_MAX)
			describe_kind(&kinds[nr++], *types, INFINI_MEMORY_F_WEIGHTS);
	return nr;
}

static void describe(ggml_backend_dev_t device, struct infini_backend_device *out)
{
	bool is_cpu = ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_CPU;
	struct infini_ggml_kind kinds[INFINI_MEMORY_KINDS_MAX] = { 0 };
	size_t available, total;
	uint32_t i;

	snprintf(out->description, sizeof(out->description), "%s",
		 ggml_backend_dev_description(device));
	device_pci(device, out->pci, sizeof(out->pci));
	out->device_class = is_cpu ? INFINI_CLASS_CPU : INFINI_CLASS_GPU;
	out->level = INFINI_LEVEL_SEGMENT;
	out->slots = 1;
	ggml_backend_dev_memory(device, &available, &total);
	out->memory_bytes = total;
	out->nr_kinds = describe_kinds(device, kinds);
	for (i = 0; i < out->nr_kinds; i++)
		out->kinds[i] = kinds[i].info;
}

int infini_ggml_device_probe(infini_backend_found_fn found, void *arg, infini_backend_log_fn log)
{
	const char *problem;
	size_t i;
	int ret;

	library_start(log);
	ggml_backend_load_all();
	for (i = 0; i < ggml_backend_dev_count(); i++) {
		ggml_backend_dev_t device = ggml_backend_dev_get(i);
		struct infini_backend_device out = { 0 };

		problem = unfit(device);
		if (!problem && !device_name(device, out.name, sizeof(out.name)))
			problem = "its name is too long";
		if (problem) {
			infini_ggml_log(log, LOG_INFO, "ggml device %s is left out: %s",
					ggml_backend_dev_name(device), problem);
			continue;
		}
		describe(device, &out);
		library_of(ggml_backend_dev_backend_reg(device), out.library, sizeof(out.library));
		/* Where it is not known, all libraries are loaded, and theirs are other ways. */
		out.forks = out.device_class == INFINI_CLASS_CPU && out.library[0];
		ret = found(&out, arg);
		if (ret)
			return ret;
	}
	return 0;
}

/* The server says neither what its devices are nor whether they share memory with anybody. */
int infini_ggml_device_probe_remote(const struct infini_backend_remote *remote,
				    infini_backend_found_fn found, void *arg,
				    infini_backend_log_fn log)
{
	ggml_backend_reg_t reg;
	size_t i;
	int ret = 0;

	library_start(log);
	ggml_backend_load_all();
	reg = infini_ggml_remote_connect(remote, log);
	if (!reg)
		return -ENODEV;
	for (i = 0; i < ggml_backend_reg_dev_count(reg) && !ret; i++) {
		struct infini_backend_device out = { 0 };

		if (!infini_ggml_remote_name(remote, i, out.name, sizeof(out.name))) {
			infini_ggml_log(log, LOG_WARNING, "device %zu of remote machine %s is left "
					"out: its name is too long", i, remote->name);
			continue;
		}
		describe(ggml_backend_reg_dev_get(reg, i), &out);
		snprintf(out.description, sizeof(out.description), "remote at %s", remote->endpoint);
		snprintf(out.remote, sizeof(out.remote), "%s", remote->name);
		out.device_class = remote->device_class;
		ret = found(&out, arg);
	}
	return ret;
}

/* ---- threads ---- */

/* Without a pool, as without memory for one, ggml makes one for every segment. */
static void pool_open(struct infini_backend *backend)
{
	struct infini_ggml_threads *t = &backend->threads;
	struct ggml_threadpool_params params;

	t->pool_opened = true;
	if (!t->use || !t->create || !t->destroy)
		return;
	/* poll = 0: sleep, never spin. */
	ggml_threadpool_params_init(&params, (int)t->most);
	params.poll = 0;
	t->pool = t->create(&params);
	if (t->pool)
		t->use(backend->stream, t->pool);
	else
		infini_ggml_log(backend->log, LOG_WARNING, "no pool of %u threads: each segment starts its own",
				t->most);
}

void infini_ggml_threads_set(struct infini_backend *backend, uint32_t threads)
{
	struct infini_ggml_threads *t = &backend->threads;

	if (!t->set)
		return;
	if (!t->pool_opened)
		pool_open(backend);
	if (!threads || threads > t->most)
		threads = t->most;
	if (threads == t->current)
		return;
	t->set(backend->stream, (int)threads);
	t->current = threads;
}

/* One, the caller's, until threads are set. */
static void threads_open(struct infini_backend *backend, uint32_t most)
{
	ggml_backend_reg_t reg = ggml_backend_dev_backend_reg(backend->device);
	struct infini_ggml_threads *t = &backend->threads;

	if (!backend->is_cpu)
		return;
	t->set = (ggml_backend_set_n_threads_t)ggml_backend_reg_get_proc_address(
		reg, "ggml_backend_set_n_threads");
	if (!t->set)
		return;
	t->most = most < 1 ? 1 : most > GGML_MAX_N_THREADS ? GGML_MAX_N_THREADS : most;
	*(void **)&t->use = ggml_backend_reg_get_proc_address(reg,
							      "ggml_backend_cpu_set_threadpool");
	*(void **)&t->create = ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_new");
	*(void **)&t->destroy = ggml_backend_reg_get_proc_address(reg, "ggml_threadpool_free");
	t->current = 1;
	t->set(backend->stream, 1);
}

/* ---- opening ---- */

/* "vulkan0" and "vulkan1"; a GPU may stand in two registries. */
static bool same_registry(const char *a, const char *b)
{
	size_t length = strcspn(a, "0123456789");

	return length == strcspn(b, "0123456789") && !strncmp(a, b, length);
}

/* Numbers, and so names, move when another device comes or goes; addresses do not. */
static ggml_backend_dev_t find(const char *name, const char *pci)
{
	char other[INFINI_NAME_MAX], address[INFINI_PCI_BYTES];
	bool addressed = pci && pci[0];
	size_t i;

	for (i = 0; i < ggml_backend_dev_count(); i++) {
		ggml_backend_dev_t device = ggml_backend_dev_get(i);

		if (unfit(device) || !device_name(device, other, sizeof(other)))
			continue;
		device_pci(device, address, sizeof(address));
		if (addressed && address[0] ?
		    !strcmp(address, pci) && same_registry(other, name) : !strcmp(other, name))
			return device;
	}
	return NULL;
}

static ggml_backend_dev_t find_remote(const struct infini_backend_open *open)
{
	ggml_backend_reg_t reg = infini_ggml_remote_connect(open->remote, open->log);
	char name[INFINI_NAME_MAX];
	size_t i;

	for (i = 0; reg && i < ggml_backend_reg_dev_count(reg); i++)
		if (infini_ggml_remote_name(open->remote, i, name, sizeof(name)) &&
		    !strcmp(name, open->device))
			return ggml_backend_reg_dev_get(reg, i);
	return NULL;
}

/*
 * Other chips' libraries cost time and memory. All are looked through where the one is not known or has moved;
 * and for a remote device, which needs those of RPC and of the CPU.
 */
static ggml_backend_dev_t load_and_find(const struct infini_backend_open *open)
{
	ggml_backend_dev_t device = NULL;

	if (open->library && open->library[0] && ggml_backend_load(open->library))
		device = find(open->device, open->pci);
	if (device)
		return device;
	/* The Vulkan loader would start every driver only to be ignored. */
	if (open->remote || strncmp(open->device, "vulkan", 6))
		setenv("VK_LOADER_DRIVERS_DISABLE", "*", 1);
	ggml_backend_load_all();
	return open->remote ? find_remote(open) : find(open->device, open->pci);
}

static int kinds_open(struct infini_backend *backend)
{
	uint32_t i;

	backend->nr_kinds = describe_kinds(backend->device, backend->kinds);
	for (i = 0; i < backend->nr_kinds; i++) {
		backend->kinds[i].blank = ggml_backend_buft_alloc_buffer(backend->kinds[i].type, 0);
		if (!backend->kinds[i].blank)
			return -ENOMEM;
	}
	return 0;
}

static void segments_open(struct infini_backend *backend, uint32_t segment_us)
{
	uint32_t slowness;

	if (!backend->is_cpu)
		return;
	slowness = infini_ggml_speed_slowness(backend);
	backend->segment_ns = 1000ULL * segment_us / slowness;
	if (!backend->segment_ns)
		backend->segment_ns = 1;
	if (slowness > 1)
		infini_ggml_log(backend->log, LOG_INFO, "this CPU is some %u times slower than "
				"usual: segments are that much shorter", slowness);
}

int infini_ggml_device_open(const struct infini_backend_open *open,
			    struct infini_backend **backend)
{
	struct infini_backend *b;
	int ret = -ENOMEM;

	library_start(open->log);
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	b->log = open->log;
	b->is_remote = open->remote;
	b->device = load_and_find(open);
	if (!b->device) {
		infini_ggml_log(open->log, LOG_ERR, "libggml has no device \"%s\" any more",
				open->device);
		ret = -ENODEV;
		goto fail;
	}
	b->is_cpu = ggml_backend_dev_type(b->device) == GGML_BACKEND_DEVICE_TYPE_CPU;
	b->stream = ggml_backend_dev_init(b->device, NULL);
	if (!b->stream) {
		infini_ggml_log(open->log, LOG_ERR, "libggml cannot start device \"%s\"",
				open->device);
		ret = -EIO;
		goto fail;
	}
	ret = kinds_open(b);
	if (ret)
		goto fail;
	threads_open(b, open->threads_max);
	segments_open(b, open->segment_us);
	/* The memory kinds keep the connection from here on. */
	if (b->is_remote)
		infini_ggml_remote_watch();
	*backend = b;
	return 0;
fail:
	infini_ggml_device_close(b);
	return ret;
}

bool infini_ggml_device_supports(const struct infini_backend *backend, const struct ggml_tensor *op)
{
	return ggml_backend_dev_supports_op(backend->device, op) &&
	       (!backend->is_remote || infini_ggml_remote_supports(op));
}

void infini_ggml_device_close(struct infini_backend *backend)
{
	uint32_t i;

	for (i = 0; i < backend->nr_kinds; i++)
		ggml_backend_buffer_free(backend->kinds[i].blank);
	if (backend->stream)
		ggml_backend_free(backend->stream);
	if (backend->threads.pool)
		backend->threads.destroy(backend->threads.pool);
	free(backend->scratch);
	free(backend->formed);
	free(backend);
}
