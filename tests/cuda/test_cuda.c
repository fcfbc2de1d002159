// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The CUDA backend, driven as a worker drives it. On the fake driver everything runs; on a real one, those
 * cases that need neither its injected failures nor its counters.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend.h"

#include <dlfcn.h>
#include <errno.h>
#include <infini/kernel.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define KIB	1024ULL
#define MIB	(1ULL << 20)
#define HEAD	".version 6.0\n.target sm_50\n.address_size 64\n"
#define R	INFINI_ACCESS_READ
#define W	INFINI_ACCESS_WRITE

extern const struct infini_backend_ops infini_backend_ops;
static const struct infini_backend_ops *const ops = &infini_backend_ops;
static struct infini_backend *backend;
static char said[512];
static int (*fake_live)(void);		/* NULL on a real driver */
static int control = -1;		/* what the fake takes for the list of lost GPUs */

static void note(int priority, const char *message)
{
	(void)priority;
	snprintf(said, sizeof(said), "%s", message);
}

static struct infini_backend *open_device(const char *name, const char *pci, uint32_t segment_us)
{
	const struct infini_backend_open open = {
		.device = name, .pci = pci, .threads_max = 1, .segment_us = segment_us,
		.log = note,
	};
	struct infini_backend *opened = NULL;
	int ret = ops->open(&open, &opened);

	if (ret)
		fail_msg("cannot open %s: %s: %s", name, strerror(-ret), said);
	return opened;
}

static int setup(void **state)
{
	(void)state;
	said[0] = '\0';
	backend = open_device("cuda0", "", 400);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	ops->close(backend);
	/* All that was made is gone, whatever the case did. */
	if (fake_live)
		assert_int_equal(fake_live(), 0);
	return 0;
}

#define NEED_FAKE() \
	do { \
		if (!fake_live) \
			skip(); \
	} while (0)

/* ---- devices ----------------------------------------------------------------------- */

static struct infini_backend_device devices[8];
static int nr_devices;

static int keep(const struct infini_backend_device *device, void *arg)
{
	(void)arg;
	devices[nr_devices++] = *device;
	return nr_devices == 8;
}

static int probe(void)
{
	nr_devices = 0;
	return ops->probe(keep, NULL, note);
}

static void devices_are_described(void **state)
{
	static const char *const pci[] = { "0000:03:00.0", "0000:0a:00.0" };

	(void)state;
	assert_int_equal(probe(), 0);
	assert_true(nr_devices);
	for (int i = 0; i < nr_devices; i++) {
		const struct infini_backend_device *d = &devices[i];
		char name[16];

		snprintf(name, sizeof(name), "cuda%d", i);
		assert_string_equal(d->name, name);
		assert_non_null(strstr(d->description, ", compute "));
		assert_int_equal(d->device_class, INFINI_CLASS_GPU);
		assert_int_equal(d->level, INFINI_LEVEL_LAUNCH);
		assert_int_equal(d->nr_kinds, 1);
		assert_int_equal(d->kinds[0].flags, 0);
		if (fake_live) {
			assert_string_equal(d->pci, pci[i]);
			/* Less what contexts and code take. */
			assert_int_equal(d->memory_bytes, 60 * MIB);
		}
	}
	if (fake_live)
		assert_int_equal(nr_devices, 2);
}

static void address_goes_before_the_number(void **state)
{
	const struct infini_backend_open gone = {
		.device = "cuda0", .pci = "0000:ff:00.0", .threads_max = 1, .log = note,
	}, none = { .device = "cuda99", .pci = "", .threads_max = 1, .log = note };
	struct infini_backend *other = NULL;

	(void)state;
	NEED_FAKE();
	other = open_device("cuda0", "0000:0a:00.0", 400);
	ops->close(other);
	assert_int_equal(ops->open(&gone, &other), -ENODEV);
	assert_int_equal(ops->open(&none, &other), -ENODEV);
}

/* In a process of its own: the driver is loaded once. */
static void probe_in_child(const char *name, const char *value, int want, int want_devices,
			   const char *want_said)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		int ret;

		setenv(name, value, 1);
		said[0] = '\0';
		ret = probe();
		if (ret != want || nr_devices != want_devices || !strstr(said, want_said)) {
			fprintf(stderr, "%s=%s: %d, %d devices, \"%s\"\n", name, value, ret,
				nr_devices, said);
			_exit(1);
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
}

static void machines_without_a_gpu_of_use_say_why(void **state)
{
	(void)state;
	NEED_FAKE();
	probe_in_child("FAKE_CUDA_DEVICES", "0", 0, 0, "");
	probe_in_child("FAKE_CUDA_MODE", "2", 0, 0, "compute mode is Prohibited");
	probe_in_child("FAKE_CUDA_MODE", "3", 0, 0, "one process");
	probe_in_child("INFINI_CUDA_LIBRARY", "/nonexistent/libcuda.so.1", -ENOENT, 0,
		       "no driver: /nonexistent/libcuda.so.1");
	probe_in_child("INFINI_CUDA_LIBRARY", "libm.so.6", -EPROTO, 0, "has no cuInit");
}

/* ---- buffers ----------------------------------------------------------------------- */

static void add(struct infini_backend_buffer *buffer, uint64_t bytes, void *addr)
{
	static uint64_t id;

	*buffer = (struct infini_backend_buffer){
		.id = ++id, .bytes = bytes, .addr = addr,
		.type = addr ? INFINI_BUFFER_SHARED : INFINI_BUFFER_DEVICE,
	};
	if (ops->buffer_add(backend, buffer))
		fail_msg("buffer of %llu bytes: %s", (unsigned long long)bytes, said);
}

static void drop(struct infini_backend_buffer *buffer)
{
	ops->buffer_remove(backend, buffer);
}

static void device_memory_is_zeroed_and_kept(void **state)
{
	uint8_t data[100], zeros[100] = { 0 };
	struct infini_backend_buffer b;

	(void)state;
	add(&b, 100, NULL);
	memset(data, 1, sizeof(data));
	assert_int_equal(ops->read(backend, &b, 0, data, 100), 0);
	assert_memory_equal(data, zeros, 100);
	assert_int_equal(ops->write(backend, &b, 7, "seven", 5), 0);
	assert_int_equal(ops->fill(backend, &b, 99, 0x63, 1), 0);
	assert_int_equal(ops->finish(backend), 0);
	assert_int_equal(ops->read(backend, &b, 6, data, 94), 0);
	assert_memory_equal(data, "\0seven\0", 7);
	assert_int_equal(data[93], 0x63);
	drop(&b);
}

static void more_than_there_is_is_enomem(void **state)
{
	struct infini_backend_buffer b, c = { .bytes = 40 * MIB, .type = INFINI_BUFFER_DEVICE };

	(void)state;
	NEED_FAKE();
	add(&b, 40 * MIB, NULL);
	assert_int_equal(ops->buffer_add(backend, &c), -ENOMEM);
	assert_non_null(strstr(said, "CUDA_ERROR_OUT_OF_MEMORY"));
	/* That is no fault: the same fits when there is room. */
	drop(&b);
	assert_int_equal(ops->buffer_add(backend, &c), 0);
	drop(&c);
}

static void foreign_kinds_are_refused(void **state)
{
	struct infini_backend_buffer b = { .bytes = 64, .type = INFINI_BUFFER_DEVICE, .kind = 1 };

	(void)state;
	assert_int_equal(ops->buffer_add(backend, &b), -EINVAL);
	b = (struct infini_backend_buffer){ .type = INFINI_BUFFER_DEVICE };
	assert_int_equal(ops->buffer_add(backend, &b), -EINVAL);
}

/* A copy runs after the call, in order, and reads shared pages when it runs. */
static void copies_are_queued_in_order(void **state)
{
	static uint8_t one[4096], two[4096];
	struct infini_backend_buffer a, b, device;

	(void)state;
	add(&a, sizeof(one), one);
	add(&b, sizeof(two), two);
	add(&device, 4096, NULL);
	memset(one, 11, sizeof(one));
	assert_int_equal(ops->copy(backend, &device, 0, &a, 0, 4096), 0);
	assert_int_equal(ops->fill(backend, &device, 100, 22, 100), 0);
	assert_int_equal(ops->copy(backend, &b, 0, &device, 0, 2048), 0);
	/* On the way from shared to shared pages it all has to be there. */
	assert_int_equal(ops->copy(backend, &b, 2048, &b, 0, 2048), 0);
	assert_int_equal(ops->finish(backend), 0);
	assert_int_equal(two[99], 11);
	assert_int_equal(two[100], 22);
	assert_int_equal(two[2048 + 199], 22);
	assert_int_equal(two[2048 + 200], 11);
	drop(&device);
	drop(&b);
	drop(&a);
}

/* Longer than the bounce buffer, by distances shorter and longer than it. */
static void overlapping_ranges_are_moved(void **state)
{
	static const uint64_t distances[] = { 1, 4097, 5 * MIB };
	const uint64_t bytes = 9 * MIB + 123;
	uint8_t *want = malloc(16 * MIB), *have = malloc(16 * MIB);
	struct infini_backend_buffer b;

	(void)state;
	for (uint64_t i = 0; i < 16 * MIB; i++)
		want[i] = (uint8_t)(i * 2654435761U >> 13);
	add(&b, 16 * MIB, NULL);
	assert_int_equal(ops->write(backend, &b, 0, want, 16 * MIB), 0);
	/* It reads what it was given until then. */
	assert_int_equal(ops->finish(backend), 0);
	for (int i = 0; i < 6; i++) {
		uint64_t to = i & 1 ? distances[i / 2] : 0, from = i & 1 ? 0 : distances[i / 2];

		assert_int_equal(ops->copy(backend, &b, to, &b, from, bytes), 0);
		memmove(want + to, want + from, bytes);
		assert_int_equal(ops->read(backend, &b, 0, have, 16 * MIB), 0);
		if (memcmp(want, have, 16 * MIB))
			fail_msg("from %llu to %llu", (unsigned long long)from,
				 (unsigned long long)to);
	}
	assert_true(ops->held_bytes(backend) >= 4 * MIB);
	drop(&b);
	free(want);
	free(have);
}

/* ---- programs ---------------------------------------------------------------------- */

static uint8_t image[64 * KIB];

/* Lays a program out; the caller may then spoil it. */
static size_t make(const char *name, const char *text, uint32_t nr_bindings,
		   const struct infini_kernel_param *params, uint32_t nr_params, uint32_t flags)
{
	struct infini_kernel_program *head = (struct infini_kernel_program *)image;
	uint8_t *at = image + sizeof(*head);

	memset(head, 0, sizeof(*head));
	head->magic = INFINI_KERNEL_MAGIC;
	head->version = INFINI_KERNEL_VERSION;
	head->flags = flags;
	head->nr_params = nr_params;
	head->nr_bindings = nr_bindings;
	head->text_bytes = (uint32_t)strlen(text);
	strcpy((char *)head->name, name);
	if (nr_params)
		memcpy(at, params, nr_params * sizeof(*params));
	at += nr_params * sizeof(*params);
	memcpy(at, text, head->text_bytes);
	return (size_t)(at + head->text_bytes - image);
}

static struct infini_backend_program *load(size_t bytes)
{
	struct infini_backend_program *program = NULL;
	int ret = ops->program_load(backend, image, bytes, &program);

	if (ret)
		fail_msg("program: %s: %s", strerror(-ret), said);
	return program;
}

static char *read_example(const char *name)
{
	const char *dir = getenv("INFINI_EXAMPLES");
	static char text[16 * KIB];
	char path[512];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", dir ? dir : "examples/ptx", name);
	file = fopen(path, "r");
	if (!file)
		fail_msg("cannot open %s", path);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	return text;
}

static bool never(const struct infini_backend_run *run)
{
	(void)run;
	return false;
}

static bool always(const struct infini_backend_run *run)
{
	(void)run;
	return true;
}

/* The range and 32 bytes of scalars. */
struct job {
	struct infini_kernel_run range;
	uint32_t scalars[8];
};

static int run(struct infini_backend_program *program, const struct job *job,
	       const struct infini_backend_binding *bindings, uint32_t nr, uint64_t *segment,
	       bool (*should_yield)(const struct infini_backend_run *))
{
	struct infini_backend_run r = {
		.bindings = bindings, .nr_bindings = nr, .args = job, .args_bytes = sizeof(*job),
		.segment = *segment, .should_yield = should_yield,
	};
	int ret = ops->program_run(backend, program, &r);

	*segment = r.segment;
	return ret;
}

static int run_all(struct infini_backend_program *program, const struct job *job,
		   const struct infini_backend_binding *bindings, uint32_t nr)
{
	uint64_t segment = 0;
	int ret = run(program, job, bindings, nr, &segment, never);
	int late = ops->finish(backend);

	return ret ? ret : late;
}

static const struct infini_kernel_param saxpy_params[] = {
	{ INFINI_KERNEL_BUFFER, 0, 0, R },
	{ INFINI_KERNEL_BUFFER, 1, 0, R | W },
	{ INFINI_KERNEL_SCALAR, 0, 4, 0 },
	{ INFINI_KERNEL_SCALAR, 4, 4, 0 },
	{ INFINI_KERNEL_OFFSET, 0, 0, 0 },
};

static size_t make_saxpy(void)
{
	return make("saxpy", read_example("saxpy.ptx"), 2, saxpy_params, 5,
		    INFINI_KERNEL_F_CUTTABLE);
}

static uint32_t bits(float value)
{
	uint32_t out;

	memcpy(&out, &value, sizeof(out));
	return out;
}

/* The GPU reads shared pages, the device's memory, or both. */
static void saxpy_is_right(void **state)
{
	enum { N = 1000 };
	static float x[1024], y[1024], out[N];
	const struct job job = {
		.range = { .groups = { 16, 1, 1 }, .items = { 64, 1, 1 } },
		.scalars = { bits(2.5F), N },
	};
	struct infini_backend_program *program;
	struct infini_backend_buffer a, b;
	struct infini_backend_binding bindings[2] = { { &a, R }, { &b, R | W } };

	(void)state;
	for (int shared = 0; shared < 2; shared++) {
		for (int i = 0; i < N; i++) {
			x[i] = (float)i;
			y[i] = (float)(N - i);
		}
		program = load(make_saxpy());
		add(&a, sizeof(x), shared ? x : NULL);
		add(&b, sizeof(y), NULL);
		assert_int_equal(ops->write(backend, &a, 0, x, sizeof(x)), 0);
		assert_int_equal(ops->write(backend, &b, 0, y, sizeof(y)), 0);
		assert_int_equal(run_all(program, &job, bindings, 2), 0);
		assert_int_equal(ops->read(backend, &b, 0, out, sizeof(out)), 0);
		for (int i = 0; i < N; i++) {
			if (out[i] != 2.5F * x[i] + y[i])
				fail_msg("element %d is %g", i, (double)out[i]);
		}
		ops->program_free(backend, program);
		drop(&a);
		drop(&b);
	}
}

enum { SGEMM_M = 70, SGEMM_N = 45, SGEMM_K = 33 };

static struct infini_backend_program *load_sgemm(void)
{
	static const struct infini_kernel_param params[] = {
		{ INFINI_KERNEL_BUFFER, 0, SGEMM_M * SGEMM_K * 4, R },
		{ INFINI_KERNEL_BUFFER, 1, SGEMM_K * SGEMM_N * 4, R },
		{ INFINI_KERNEL_BUFFER, 2, SGEMM_M * SGEMM_N * 4, W },
		{ INFINI_KERNEL_SCALAR, 0, 4, 0 },
		{ INFINI_KERNEL_SCALAR, 4, 4, 0 },
		{ INFINI_KERNEL_SCALAR, 8, 4, 0 },
		{ INFINI_KERNEL_OFFSET, 0, 0, 0 },
	};

	return load(make("sgemm", read_example("sgemm.ptx"), 3, params, 7,
			 INFINI_KERNEL_F_CUTTABLE));
}

static const struct job sgemm_job = {
	.range = { .groups = { (SGEMM_N + 15) / 16, (SGEMM_M + 15) / 16, 1 },
		   .items = { 16, 16, 1 } },
	.scalars = { SGEMM_M, SGEMM_N, SGEMM_K },
};

/* Whole, or cut at every row of blocks and begun again each time. */
static void sgemm_is_right_and_the_same_when_cut(void **state)
{
	static float a[SGEMM_M * SGEMM_K], b[SGEMM_K * SGEMM_N];
	static float c[2][SGEMM_M * SGEMM_N];
	struct infini_backend_buffer buffers[3];
	const struct infini_backend_binding bindings[3] = {
		{ &buffers[0], R }, { &buffers[1], R }, { &buffers[2], R | W },
	};
	struct infini_backend_program *program;

	(void)state;
	for (size_t i = 0; i < SGEMM_M * SGEMM_K; i++)
		a[i] = (float)(i * 37 % 101) / 50 - 1;
	for (size_t i = 0; i < SGEMM_K * SGEMM_N; i++)
		b[i] = (float)(i * 53 % 97) / 48 - 1;
	for (int cut = 0; cut < 2; cut++) {
		uint64_t segment = 0, rounds = 0, before;
		int ret;

		/* Whole: so long a segment that the parts grow. Cut: parts of one row. */
		ops->close(backend);
		backend = open_device("cuda0", "", cut ? 1 : 10000000);
		program = load_sgemm();
		add(&buffers[0], sizeof(a), NULL);
		add(&buffers[1], sizeof(b), NULL);
		add(&buffers[2], sizeof(c[0]), NULL);
		assert_int_equal(ops->write(backend, &buffers[0], 0, a, sizeof(a)), 0);
		assert_int_equal(ops->write(backend, &buffers[1], 0, b, sizeof(b)), 0);
		do {
			before = segment;
			ret = run(program, &sgemm_job, bindings, 3, &segment,
				  cut ? always : never);
			assert_int_equal(ops->finish(backend), 0);
			rounds++;
			if (ret == INFINI_BACKEND_PREEMPTED)
				assert_true(segment > before);
		} while (ret == INFINI_BACKEND_PREEMPTED);
		assert_int_equal(ret, 0);
		if (cut && fake_live)
			assert_int_equal(rounds, (SGEMM_M + 15) / 16);
		assert_int_equal(ops->read(backend, &buffers[2], 0, c[cut], sizeof(c[0])), 0);
		ops->program_free(backend, program);
		for (int i = 0; i < 3; i++)
			drop(&buffers[i]);
	}
	assert_memory_equal(c[0], c[1], sizeof(c[0]));
	for (size_t row = 0; row < SGEMM_M; row++) {
		for (size_t column = 0; column < SGEMM_N; column++) {
			double sum = 0;

			for (size_t i = 0; i < SGEMM_K; i++)
				sum += (double)a[row * SGEMM_K + i] * b[i * SGEMM_N + column];
			if (fabs(sum - c[0][row * SGEMM_N + column]) > 1e-4)
				fail_msg("element %zu,%zu is %g, not %g", row, column,
					 (double)c[0][row * SGEMM_N + column], sum);
		}
	}
}

/* Each block writes where it thinks it stands: x + 8 y + 64 z. */
static const char blocks_text[] = HEAD
	".entry blocks(.param .u64 out, .param .align 4 .b8 first[12]) {\n"
	".reg .b32 %r<8>; .reg .b64 %d<3>;\n"
	"ld.param.u32 %r0, [first]; mov.u32 %r1, %ctaid.x; add.u32 %r0, %r0, %r1;\n"
	"ld.param.u32 %r2, [first+4]; mov.u32 %r3, %ctaid.y; add.u32 %r2, %r2, %r3;\n"
	"ld.param.u32 %r4, [first+8]; mov.u32 %r5, %ctaid.z; add.u32 %r4, %r4, %r5;\n"
	"mad.lo.u32 %r6, %r2, 8, %r0; mad.lo.u32 %r6, %r4, 64, %r6;\n"
	"ld.param.u64 %d0, [out]; mul.wide.u32 %d1, %r6, 4; add.u64 %d0, %d0, %d1;\n"
	"ld.global.u32 %r7, [%d0]; add.u32 %r7, %r7, 1; st.global.u32 [%d0], %r7; ret; }";

static const struct infini_kernel_param blocks_params[] = {
	{ INFINI_KERNEL_BUFFER, 0, 512 * 4, R | W }, { INFINI_KERNEL_OFFSET, 0, 0, 0 },
};

/* Along z, else y, else x; each block once, however it is cut. */
static void every_block_runs_once_however_cut(void **state)
{
	static const uint32_t grids[][3] = { { 8, 8, 8 }, { 3, 5, 7 }, { 8, 8, 1 }, { 7, 1, 1 } };
	struct infini_backend_program *program;
	uint32_t counts[512];
	struct infini_backend_buffer b;
	const struct infini_backend_binding binding = { &b, R | W };

	(void)state;
	ops->close(backend);
	backend = open_device("cuda0", "", 1);
	program = load(make("blocks", blocks_text, 1, blocks_params, 2, INFINI_KERNEL_F_CUTTABLE));
	for (size_t g = 0; g < sizeof(grids) / sizeof(grids[0]); g++) {
		const uint32_t *n = grids[g];
		const struct job job = {
			.range = { .groups = { n[0], n[1], n[2] }, .items = { 1, 1, 1 } },
		};
		const uint32_t axis = n[2] > 1 ? n[2] : n[1] > 1 ? n[1] : n[0];
		uint64_t segment = 0;
		int ret;

		add(&b, sizeof(counts), NULL);
		do {
			ret = run(program, &job, &binding, 1, &segment, always);
			assert_int_equal(ops->finish(backend), 0);
			assert_true(segment < axis);
		} while (ret == INFINI_BACKEND_PREEMPTED);
		assert_int_equal(ret, 0);
		assert_int_equal(ops->read(backend, &b, 0, counts, sizeof(counts)), 0);
		for (uint32_t i = 0; i < 512; i++) {
			uint32_t want = i % 8 < n[0] && i / 8 % 8 < n[1] && i / 64 < n[2];

			if (counts[i] != want)
				fail_msg("grid %zu: block %u ran %u times", g, i, counts[i]);
		}
		drop(&b);
		segment = axis;
		add(&b, sizeof(counts), NULL);
		assert_int_equal(run(program, &job, &binding, 1, &segment, never), -EINVAL);
		drop(&b);
	}
	ops->program_free(backend, program);
}

/* ---- hostile programs -------------------------------------------------------------- */

static struct infini_kernel_program *head(void)
{
	return (struct infini_kernel_program *)image;
}

static struct infini_kernel_param *param(int i)
{
	return (struct infini_kernel_param *)(image + sizeof(*head())) + i;
}

static size_t spoil_nothing(size_t bytes) { return bytes; }
static size_t spoil_short(size_t bytes) { (void)bytes; return sizeof(*head()) - 1; }
static size_t spoil_end(size_t bytes) { return bytes - 1; }
static size_t spoil_more(size_t bytes) { image[bytes] = ' '; return bytes + 1; }
static size_t spoil_magic(size_t bytes) { head()->magic++; return bytes; }
static size_t spoil_version(size_t bytes) { head()->version++; return bytes; }
static size_t spoil_flags(size_t bytes) { head()->flags |= 2; return bytes; }
static size_t spoil_uncut(size_t bytes) { head()->flags = 0; return bytes; }
static size_t spoil_params(size_t bytes) { head()->nr_params = UINT32_MAX; return bytes; }
static size_t spoil_bindings(size_t bytes) { head()->nr_bindings = 1; return bytes; }
static size_t spoil_text(size_t bytes) { head()->text_bytes = UINT32_MAX; return bytes; }
static size_t spoil_nul(size_t bytes) { image[bytes - 3] = '\0'; return bytes; }
static size_t spoil_name(size_t bytes) { head()->name[0] = '%'; return bytes; }
static size_t spoil_other(size_t bytes) { head()->name[0] = 'S'; return bytes; }
static size_t spoil_endless(size_t bytes) { memset(head()->name, 'a', 128); return bytes; }
static size_t spoil_tail(size_t bytes) { head()->name[127] = 1; return bytes; }
static size_t spoil_shared(size_t bytes) { head()->shared_bytes = 1 << 20; return bytes; }
static size_t spoil_kind(size_t bytes) { param(0)->kind = 99; return bytes; }
static size_t spoil_local(size_t bytes)
{
	*param(0) = (struct infini_kernel_param){ INFINI_KERNEL_LOCAL, 0, 8, 0 };
	return bytes;
}
static size_t spoil_index(size_t bytes) { param(0)->index = 2; return bytes; }
static size_t spoil_access(size_t bytes) { param(0)->access = 4; return bytes; }
static size_t spoil_no_access(size_t bytes) { param(0)->access = 0; return bytes; }
static size_t spoil_size(size_t bytes) { param(2)->bytes = 8; return bytes; }
static size_t spoil_large(size_t bytes) { param(2)->bytes = UINT32_MAX; return bytes; }
static size_t spoil_pointer(size_t bytes)
{
	*param(2) = (struct infini_kernel_param){ INFINI_KERNEL_BUFFER, 0, 0, R };
	return bytes;
}
static size_t spoil_offset(size_t bytes) { param(4)->bytes = 12; return bytes; }
static size_t spoil_options(size_t bytes)
{
	head()->options_bytes = 4;
	head()->text_bytes -= 4;
	return bytes;
}

static const struct {
	const char *name;
	size_t (*spoil)(size_t bytes);
	const char *said;
} hostile[] = {
	{ "shorter than its header", spoil_short, "shorter" },
	{ "without its last byte", spoil_end, "size" },
	{ "with a byte behind", spoil_more, "size" },
	{ "another magic number", spoil_magic, "magic" },
	{ "another version", spoil_version, "version" },
	{ "an unknown flag", spoil_flags, "flag" },
	{ "an offset, and not to be cut", spoil_uncut, "takes its offset" },
	{ "four thousand million parameters", spoil_params, "too many" },
	{ "a binding that is not there", spoil_bindings, "binding" },
	{ "a text of 4 GiB", spoil_text, "size" },
	{ "a NUL", spoil_nul, "NUL" },
	{ "a name that is none", spoil_name, "identifier" },
	{ "a name of no kernel", spoil_other, "no kernel of that name" },
	{ "a name without an end", spoil_endless, "identifier" },
	{ "bytes behind the name", spoil_tail, "identifier" },
	{ "more shared memory than there is", spoil_shared, "shared memory" },
	{ "an unknown kind", spoil_kind, "unknown kind" },
	{ "OpenCL's kind", spoil_local, "unknown kind" },
	{ "a binding behind the last", spoil_index, "binding" },
	{ "an unknown access", spoil_access, "access" },
	{ "no access", spoil_no_access, "access" },
	{ "a scalar of another size", spoil_size, "size of a parameter" },
	{ "a scalar of 4 GiB", spoil_large, "too large" },
	{ "a pointer for a scalar", spoil_pointer, "size of a parameter" },
	{ "an offset with a size", spoil_offset, "not 0" },
	{ "compiler options", spoil_options, "options" },
};

static void hostile_programs_are_refused(void **state)
{
	struct infini_backend_program *program;

	(void)state;
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		size_t bytes = hostile[i].spoil(make_saxpy());
		void *copy = malloc(bytes);
		int ret;

		said[0] = '\0';
		memcpy(copy, image, bytes);
		ret = ops->program_load(backend, copy, bytes, &program);
		free(copy);
		if (ret != -EINVAL || !strstr(said, hostile[i].said))
			fail_msg("%s: %d, \"%s\"", hostile[i].name, ret, said);
	}
	ops->program_free(backend, load(spoil_nothing(make_saxpy())));
}

static void first_line_of_the_compiler_is_logged(void **state)
{
	struct infini_backend_program *program;
	size_t bytes = make("k", HEAD ".entry k {\n  frobnicate.u32 %r1;\n}", 0, NULL, 0, 0);

	(void)state;
	assert_int_equal(ops->program_load(backend, image, bytes, &program), -EINVAL);
	assert_int_equal(strncmp(said, "ptx: ", 5), 0);
	assert_null(strchr(said, '\n'));
	if (fake_live)
		assert_string_equal(said, "ptx: fake ptxas, line 5: error: unknown instruction "
				    "'frobnicate.u32'");
	/* That is the program's fault alone. */
	ops->program_free(backend, load(make_saxpy()));
}

/* That may be more work for the compiler than a job is worth. */
static void long_texts_are_refused(void **state)
{
	static const char body[] = HEAD ".entry k { ret; }";
	const size_t most = 1 << 20, head = sizeof(struct infini_kernel_program);
	struct infini_backend_program *program;
	char *long_image = malloc(head + most + 1);

	(void)state;
	make("k", body, 0, NULL, 0, 0);
	memcpy(long_image, image, head);
	memset(long_image + head, '\n', most + 1);
	memcpy(long_image + head, body, sizeof(body) - 1);
	((struct infini_kernel_program *)long_image)->text_bytes = (uint32_t)most + 1;
	assert_int_equal(ops->program_load(backend, long_image, head + most + 1, &program), -EINVAL);
	assert_non_null(strstr(said, "1 MiB"));
	((struct infini_kernel_program *)long_image)->text_bytes = (uint32_t)most;
	assert_int_equal(ops->program_load(backend, long_image, head + most, &program), 0);
	ops->program_free(backend, program);
	free(long_image);
}

static void local_memory_is_bounded_and_counted(void **state)
{
	static const char text[] = HEAD ".entry k { .local .align 4 .b8 stack[%u]; ret; }";
	struct infini_backend_program *program;
	uint64_t before = ops->held_bytes(backend);
	char whole[256];

	(void)state;
	NEED_FAKE();
	snprintf(whole, sizeof(whole), text, 516);
	assert_int_equal(ops->program_load(backend, image, make("k", whole, 0, NULL, 0, 0),
					   &program), -EINVAL);
	assert_non_null(strstr(said, "local memory"));
	snprintf(whole, sizeof(whole), text, 512);
	program = load(make("k", whole, 0, NULL, 0, 0));
	assert_int_equal(ops->held_bytes(backend) - before, 512 * 2 * 2048);
	ops->program_free(backend, program);
	program = load(make("k", HEAD ".global .b8 t[4096];\n.entry k { ret; }", 0, NULL, 0, 0));
	assert_int_equal(ops->held_bytes(backend) - before, 512 * 2 * 2048 + 4096);
	ops->program_free(backend, program);
	assert_int_equal(ops->held_bytes(backend) - before, 512 * 2 * 2048);
}

/* ---- hostile jobs ------------------------------------------------------------------ */

static const struct {
	const char *name;
	uint32_t groups[3], items[3], shared_bytes, pad, args_bytes, nr_bindings, access, bytes;
	const char *said;
} jobs[] = {
	{ "no arguments", { 1, 1, 1 }, { 1, 1, 1 }, 0, 0, 0, 1, R | W, 2048, "arguments" },
	{ "half a header", { 1, 1, 1 }, { 1, 1, 1 }, 0, 0, 16, 1, R | W, 2048, "arguments" },
	{ "no bindings", { 1, 1, 1 }, { 1, 1, 1 }, 0, 0, 32, 0, R | W, 2048, "bindings" },
	{ "a binding too many", { 1, 1, 1 }, { 1, 1, 1 }, 0, 0, 32, 2, R | W, 2048, "bindings" },
	{ "no right to write", { 1, 1, 1 }, { 1, 1, 1 }, 0, 0, 32, 1, R, 2048, "access" },
	{ "a small buffer", { 1, 1, 1 }, { 1, 1, 1 }, 0, 0, 32, 1, R | W, 2047, "smaller" },
	{ "padding", { 1, 1, 1 }, { 1, 1, 1 }, 0, 1, 32, 1, R | W, 2048, "padding" },
	{ "no blocks", { 1, 0, 1 }, { 1, 1, 1 }, 0, 0, 32, 1, R | W, 2048, "nothing" },
	{ "no threads", { 1, 1, 1 }, { 1, 1, 0 }, 0, 0, 32, 1, R | W, 2048, "nothing" },
	{ "too many blocks", { 1, 65536, 1 }, { 1, 1, 1 }, 0, 0, 32, 1, R | W, 2048, "blocks" },
	{ "too many threads", { 1, 1, 1 }, { 2048, 1, 1 }, 0, 0, 32, 1, R | W, 2048, "threads" },
	{ "too many threads together", { 1, 1, 1 }, { 1024, 2, 1 }, 0, 0, 32, 1, R | W, 2048,
	  "threads" },
	{ "threads that wrap", { 1, 1, 1 }, { 65536, 65536, 1 }, 0, 0, 32, 1, R | W, 2048,
	  "threads" },
	{ "undeclared shared memory", { 1, 1, 1 }, { 1, 1, 1 }, 1, 0, 32, 1, R | W, 2048,
	  "shared memory" },
};

static void hostile_jobs_are_refused(void **state)
{
	struct infini_backend_program *program;
	struct infini_backend_buffer large, small;

	(void)state;
	program = load(make("blocks", blocks_text, 1, blocks_params, 2, INFINI_KERNEL_F_CUTTABLE));
	add(&large, 2048, NULL);
	add(&small, 2047, NULL);
	for (size_t i = 0; i < sizeof(jobs) / sizeof(jobs[0]); i++) {
		struct infini_backend_buffer *b = jobs[i].bytes < 2048 ? &small : &large;
		const struct infini_backend_binding bindings[] = {
			{ b, jobs[i].access }, { b, R | W },
		};
		struct infini_kernel_run *args = malloc(jobs[i].args_bytes + 1);
		struct infini_kernel_run range = {
			.shared_bytes = jobs[i].shared_bytes, .pad = jobs[i].pad,
		};
		struct infini_backend_run r = {
			.bindings = bindings, .nr_bindings = jobs[i].nr_bindings, .args = args,
			.args_bytes = jobs[i].args_bytes, .should_yield = never,
		};
		int ret;

		memcpy(range.groups, jobs[i].groups, sizeof(range.groups));
		memcpy(range.items, jobs[i].items, sizeof(range.items));
		memcpy(args, &range, jobs[i].args_bytes);
		said[0] = '\0';
		ret = ops->program_run(backend, program, &r);
		free(args);
		if (ret != -EINVAL || !strstr(said, jobs[i].said))
			fail_msg("%s: %d, \"%s\"", jobs[i].name, ret, said);
	}
	assert_int_equal(ops->finish(backend), 0);
	ops->program_free(backend, program);
	drop(&small);
	drop(&large);
}

static void scalars_lie_inside_the_arguments(void **state)
{
	static const struct {
		uint32_t index, bytes;
		int ret;
	} rows[] = { { 28, 4, 0 }, { 29, 4, -EINVAL }, { 32, 4, -EINVAL },
		     { UINT32_MAX, 4, -EINVAL } };
	static const char text[] = HEAD ".entry k(.param .u32 a) { ret; }";
	const struct job job = { .range = { .groups = { 1, 1, 1 }, .items = { 1, 1, 1 } } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct infini_kernel_param p = {
			INFINI_KERNEL_SCALAR, rows[i].index, rows[i].bytes, 0
		};
		struct infini_backend_program *program = load(make("k", text, 0, &p, 1, 0));

		assert_int_equal(run_all(program, &job, NULL, 0), rows[i].ret);
		ops->program_free(backend, program);
	}
}

static void pages_out_of_reach_are_copied_all_the_same(void **state)
{
	static uint8_t pages[4096];
	struct infini_backend_program *program;
	struct infini_backend_buffer b, device;
	const struct infini_backend_binding binding = { &b, R | W };
	const struct job job = { .range = { .groups = { 1, 1, 1 }, .items = { 1, 1, 1 } } };

	(void)state;
	NEED_FAKE();
	setenv("FAKE_CUDA_NO_REGISTER", "1", 1);
	add(&b, sizeof(pages), pages);
	unsetenv("FAKE_CUDA_NO_REGISTER");
	add(&device, sizeof(pages), NULL);
	memset(pages, 7, sizeof(pages));
	assert_int_equal(ops->copy(backend, &device, 0, &b, 0, 2048), 0);
	assert_int_equal(ops->copy(backend, &b, 2048, &device, 1024, 2048), 0);
	assert_int_equal(ops->finish(backend), 0);
	assert_int_equal(pages[3071], 7);
	assert_int_equal(pages[3072], 0);
	program = load(make("blocks", blocks_text, 1, blocks_params, 2, INFINI_KERNEL_F_CUTTABLE));
	assert_int_equal(run_all(program, &job, &binding, 1), -EOPNOTSUPP);
	ops->program_free(backend, program);
	drop(&device);
	drop(&b);
}

static const struct {
	const char *refuse;
	int load, launch;
} refusals[] = {
	{ "cuModuleLoadDataEx 225", -EOPNOTSUPP, 0 },	/* cudaDeviceSynchronize() in a kernel */
	{ "cuModuleLoadDataEx 218", -EINVAL, 0 },
	{ "cuModuleLoadDataEx 222", -EINVAL, 0 },
	{ "cuLaunchKernel 912", 0, -EINVAL },		/* the cluster of .reqnctapercluster */
	{ "cuLaunchKernel 811", 0, -EOPNOTSUPP },	/* launches by a kernel */
	{ "cuLaunchKernel 812", 0, -EOPNOTSUPP },
	{ "cuLaunchKernel 701", 0, -EINVAL },
};

/* What a client brings about is refused to it, and the context goes on. */
static void refusals_are_no_losses(void **state)
{
	const struct job job = { .range = { .groups = { 1, 1, 1 }, .items = { 1, 1, 1 } } };
	static const char text[] = HEAD ".entry k { ret; }";
	static uint8_t pages[4096];
	struct infini_backend_program *program;
	struct infini_backend_buffer b;
	int got;

	(void)state;
	NEED_FAKE();
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		setenv("FAKE_CUDA_REFUSE", refusals[i].refuse, 1);
		got = ops->program_load(backend, image, make("k", text, 0, NULL, 0, 0), &program);
		if (got != refusals[i].load)
			fail_msg("%s: loading gives %d", refusals[i].refuse, got);
		if (!got) {
			got = run_all(program, &job, NULL, 0);
			if (got != refusals[i].launch)
				fail_msg("%s: launching gives %d", refusals[i].refuse, got);
			ops->program_free(backend, program);
		}
	}
	/* Pages that cannot be pinned. */
	setenv("FAKE_CUDA_REFUSE", "cuMemHostRegister_v2 304", 1);
	add(&b, sizeof(pages), pages);
	unsetenv("FAKE_CUDA_REFUSE");
	drop(&b);
	program = load(make("k", text, 0, NULL, 0, 0));
	assert_int_equal(run_all(program, &job, NULL, 0), 0);
	ops->program_free(backend, program);
}

/* ---- faults and losses ------------------------------------------------------------- */

static void expect_lost(const struct infini_backend_buffer *buffer)
{
	struct infini_backend_buffer more = { .bytes = 64, .type = INFINI_BUFFER_DEVICE };
	struct infini_backend_program *program;
	uint8_t byte;

	assert_int_equal(ops->read(backend, (void *)buffer, 0, &byte, 1), INFINI_BACKEND_LOST);
	assert_int_equal(ops->fill(backend, (void *)buffer, 0, 0, 1), INFINI_BACKEND_LOST);
	assert_int_equal(ops->buffer_add(backend, &more), INFINI_BACKEND_LOST);
	assert_int_equal(ops->program_load(backend, image, make_saxpy(), &program),
			 INFINI_BACKEND_LOST);
	assert_int_equal(ops->finish(backend), INFINI_BACKEND_LOST);
}

static const struct {
	const char *name, *body, *error;
} faults[] = {
	{ "an address of nobody", "mov.u64 %d, 64; st.global.u32 [%d], 1;", "ILLEGAL_ADDRESS" },
	{ "a crooked address", "ld.param.u64 %d, [out]; st.global.u32 [%d+1], 1;",
	  "MISALIGNED_ADDRESS" },
	{ "a trap", "trap;", "LAUNCH_FAILED" },
};

static void faults_lose_the_context_and_a_new_one_works(void **state)
{
	const struct job job = { .range = { .groups = { 1, 1, 1 }, .items = { 1, 1, 1 } } };
	const struct infini_kernel_param p = { INFINI_KERNEL_BUFFER, 0, 0, R | W };
	static uint8_t pages[4096];

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct infini_backend_program *program;
		struct infini_backend_buffer b, shared;
		const struct infini_backend_binding binding = { &b, R | W };
		char text[512];
		int ret;

		snprintf(text, sizeof(text), HEAD ".entry k(.param .u64 out) { .reg .b64 %%d; %s "
			 "ret; }", faults[i].body);
		add(&b, 4096, NULL);
		add(&shared, sizeof(pages), pages);
		program = load(make("k", text, 1, &p, 1, 0));
		ret = run_all(program, &job, &binding, 1);
		if (ret != INFINI_BACKEND_LOST || (fake_live && !strstr(said, faults[i].error)))
			fail_msg("%s: %d, \"%s\"", faults[i].name, ret, said);
		expect_lost(&b);
		ops->program_free(backend, program);
		drop(&b);
		drop(&shared);
		/* As the next worker does. */
		ops->close(backend);
		backend = open_device("cuda0", "", 400);
		add(&b, 4096, NULL);
		drop(&b);
	}
}

static void lose(const char *numbers)
{
	assert_int_equal(ftruncate(control, 0), 0);
	assert_int_equal(pwrite(control, numbers, strlen(numbers), 0), strlen(numbers));
}

static void lost_gpu_takes_its_vdevs_alone(void **state)
{
	const struct infini_backend_open again = {
		.device = "cuda0", .pci = "", .threads_max = 1, .log = note,
	};
	struct infini_backend *first = backend, *second, *other;
	struct infini_backend_buffer a, b;

	(void)state;
	NEED_FAKE();
	add(&a, 64, NULL);
	second = backend = open_device("cuda1", "", 400);
	add(&b, 64, NULL);
	lose("0");
	backend = first;
	expect_lost(&a);
	drop(&a);
	assert_int_equal(ops->open(&again, &other), -EIO);
	backend = second;
	assert_int_equal(ops->fill(backend, &b, 0, 1, 64), 0);
	assert_int_equal(ops->finish(backend), 0);
	drop(&b);
	lose("");
	ops->close(first);
	ops->close(second);
	backend = open_device("cuda0", "", 400);
	add(&a, 64, NULL);
	drop(&a);
}

/* A loss while work is queued comes out when it is waited for. */
static void loss_comes_out_of_the_wait(void **state)
{
	struct infini_backend_buffer a;

	(void)state;
	NEED_FAKE();
	add(&a, 64, NULL);
	assert_int_equal(ops->fill(backend, &a, 0, 1, 64), 0);
	lose("0 1");
	assert_int_equal(ops->finish(backend), INFINI_BACKEND_LOST);
	assert_non_null(strstr(said, "the work of a job: CUDA_ERROR_UNKNOWN"));
	lose("");
	drop(&a);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(machines_without_a_gpu_of_use_say_why),
		ROW(devices_are_described),
		ROW(address_goes_before_the_number),
		ROW(device_memory_is_zeroed_and_kept),
		ROW(more_than_there_is_is_enomem),
		ROW(foreign_kinds_are_refused),
		ROW(copies_are_queued_in_order),
		ROW(overlapping_ranges_are_moved),
		ROW(saxpy_is_right),
		ROW(sgemm_is_right_and_the_same_when_cut),
		ROW(every_block_runs_once_however_cut),
		ROW(hostile_programs_are_refused),
		ROW(first_line_of_the_compiler_is_logged),
		ROW(long_texts_are_refused),
		ROW(local_memory_is_bounded_and_counted),
		ROW(hostile_jobs_are_refused),
		ROW(scalars_lie_inside_the_arguments),
		ROW(pages_out_of_reach_are_copied_all_the_same),
		ROW(refusals_are_no_losses),
		ROW(faults_lose_the_context_and_a_new_one_works),
		ROW(lost_gpu_takes_its_vdevs_alone),
		ROW(loss_comes_out_of_the_wait),
	};
	const char *library = getenv("INFINI_CUDA_LIBRARY");
	void *loaded = dlopen(library && *library ? library : "libcuda.so.1", RTLD_NOW);
	char path[] = "/tmp/fake-cuda-XXXXXX";

	if (!loaded) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	*(void **)&fake_live = dlsym(loaded, "fake_cuda_live");
	control = mkstemp(path);
	setenv("FAKE_CUDA_CONTROL", path, 1);
	/* Long enough that a call that should wait and does not is found out. */
	setenv("FAKE_CUDA_DELAY_US", "200", 1);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	unlink(path);
	return failed;
}
