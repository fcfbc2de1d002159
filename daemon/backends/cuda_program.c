// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Programs of format "ptx": loaded, launched, and cut where they allow it.
 *
 * The driver takes the kernel's parameters on trust: how many there are and how large is read from the
 * text, compared with what the program says, and asked of the driver where it tells. What a kernel does
 * with them stays in the vdev's own context, which the GPU's memory management keeps from others.
 */
#include "cuda_program.h"

#include "cuda_memory.h"
#include "cuda_ptx.h"
#include "kernel_layout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#define CUDA_KINDS	(1U << INFINI_KERNEL_BUFFER | 1U << INFINI_KERNEL_SCALAR | \
			 1U << INFINI_KERNEL_OFFSET)
#define CUDA_JIT_LOG	1024

/* A long text is long in the compiler. */
#define CUDA_TEXT_BYTES_MAX	(1U << 20)

/*
 * Of one thread; the driver sets it aside for every thread that the GPU can run at once, and it is known
 * and counted only when the kernel has been compiled: 132 MiB on a GPU with 132 processors.
 */
#define CUDA_LOCAL_BYTES_MAX	512

struct infini_backend_program {
	struct kernel_layout layout;
	struct cuda_ptx ptx;
	cuda_module module;
	cuda_function function;
	uint32_t shared_bytes;		/* that the kernel has by itself */
	uint32_t group_items_max;
	uint64_t part;			/* of a cut launch: how much of the axis at once */
	char *text;			/* with a NUL, for the compiler */
};

static int refuse(const struct infini_backend *b, const char *why)
{
	b->log(LOG_WARNING, why);
	return -EINVAL;
}

/* ---- loading ----------------------------------------------------------------------- */

/* The program's parameters are those of the kernel's text, one by one. */
static const char *params_refusal(const struct kernel_layout *layout, const struct cuda_ptx *ptx)
{
	const struct infini_kernel_param *param;
	unsigned int offsets = 0;
	uint32_t bytes;

	if (layout->head->nr_params != ptx->nr_params)
		return "ptx: the program and the kernel differ in the number of parameters";
	for (uint32_t i = 0; i < ptx->nr_params; i++) {
		param = &layout->params[i];
		offsets += param->kind == INFINI_KERNEL_OFFSET;
		bytes = param->kind == INFINI_KERNEL_BUFFER ? sizeof(cuda_address) :
			param->kind == INFINI_KERNEL_OFFSET ? 3 * sizeof(uint32_t) : param->bytes;
		if (bytes != ptx->params[i].bytes)
			return "ptx: the program and the kernel differ in the size of a parameter";
		if (param->kind == INFINI_KERNEL_OFFSET &&
		    ptx->params[i].offset % sizeof(uint32_t))
			return "ptx: the offset is not aligned to 4 bytes";
	}
	if (offsets > 1)
		return "ptx: more than one parameter for the offset";
	if (!!offsets != !!(layout->head->flags & INFINI_KERNEL_F_CUTTABLE))
		return "ptx: a kernel can be cut if, and only if, it takes its offset";
	return NULL;
}

/* The first line of the compiler's, for the log. */
static void log_compiler(const struct infini_backend *b, const char *said)
{
	char message[256] = "ptx: ";
	size_t at = strlen(message);

	for (; *said && *said != '\n' && at < sizeof(message) - 1; said++)
		message[at++] = *said >= ' ' && *said <= '~' ? *said : '?';
	message[at] = '\0';
	b->log(LOG_WARNING, message);
}

static int compile(struct infini_backend *b, struct infini_backend_program *p)
{
	static const int options[] = { CUDA_JIT_ERROR_LOG, CUDA_JIT_ERROR_LOG_BYTES };
	char said[CUDA_JIT_LOG] = "";
	void *values[] = { said, (void *)(uintptr_t)sizeof(said) };
	cuda_result error;
	int ret;

	error = b->driver->module_load(&p->module, p->text, 2, (int *)options, values);
	ret = cuda_device_check(b, "compiling", error);
	if (!ret)
		return cuda_device_check(b, "the kernel",
					 b->driver->module_function(&p->function, p->module,
						(const char *)p->layout.head->name));
	p->module = NULL;
	said[sizeof(said) - 1] = '\0';
	if (said[0])
		log_compiler(b, said);
	return ret;
}

static int attribute(struct infini_backend *b, const struct infini_backend_program *p, int which,
		     uint64_t *value)
{
	int got = 0, ret;

	ret = cuda_device_check(b, "the kernel's needs",
				b->driver->function_get(&got, which, p->function));
	*value = got < 0 ? 0 : (uint64_t)got;
	return ret;
}

/* The driver is asked once more where it tells: its word counts. */
static int check_params(const struct infini_backend *b, const struct infini_backend_program *p)
{
	size_t offset, bytes;

	if (!b->driver->function_param)
		return 0;
	for (uint32_t i = 0; i < p->ptx.nr_params; i++) {
		if (b->driver->function_param(p->function, i, &offset, &bytes) ||
		    offset != p->ptx.params[i].offset || bytes != p->ptx.params[i].bytes)
			return refuse(b, "ptx: the compiler finds other parameters");
	}
	if (!b->driver->function_param(p->function, p->ptx.nr_params, &offset, &bytes))
		return refuse(b, "ptx: the compiler finds other parameters");
	return 0;
}

static int check_needs(struct infini_backend *b, struct infini_backend_program *p)
{
	const uint32_t dynamic = p->layout.head->shared_bytes;
	uint64_t shared, local, items;
	int ret;

	ret = attribute(b, p, CUDA_FUNCTION_SHARED_BYTES, &shared);
	if (!ret)
		ret = attribute(b, p, CUDA_FUNCTION_LOCAL_BYTES, &local);
	if (!ret)
		ret = attribute(b, p, CUDA_FUNCTION_THREADS_PER_BLOCK, &items);
	if (ret)
		return ret;
	if (shared + dynamic > b->limits.shared_bytes_max)
		return refuse(b, "ptx: more shared memory than the GPU has for a block");
	if (local > CUDA_LOCAL_BYTES_MAX)
		return refuse(b, "ptx: more than 512 bytes of local memory for a thread");
	if (shared + dynamic > b->limits.shared_bytes)
		ret = cuda_device_check(b, "the kernel's shared memory",
					b->driver->function_set(p->function,
								CUDA_FUNCTION_DYNAMIC_SHARED,
								(int)dynamic));
	p->shared_bytes = (uint32_t)shared;
	p->group_items_max = (uint32_t)items;
	if (!ret && local * b->limits.resident_items > b->local_bytes)
		b->local_bytes = local * b->limits.resident_items;
	return ret;
}

static int load(struct infini_backend *b, struct infini_backend_program *p)
{
	int ret = compile(b, p);

	if (!ret)
		ret = check_params(b, p);
	if (!ret)
		ret = check_needs(b, p);
	if (ret && p->module && ret != INFINI_BACKEND_LOST)
		b->driver->module_unload(p->module);
	return ret;
}

int cuda_program_load(struct infini_backend *b, const void *data, size_t bytes,
		      struct infini_backend_program **program)
{
	struct infini_backend_program *p;
	const char *why;
	int ret = cuda_device_enter(b);

	if (ret)
		return ret;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	why = kernel_layout_read(data, bytes, CUDA_KINDS, &p->layout);
	if (!why && p->layout.head->options_bytes)
		why = "ptx: there are no compiler options";
	if (!why && p->layout.head->text_bytes > CUDA_TEXT_BYTES_MAX)
		why = "ptx: the text is longer than 1 MiB";
	if (!why)
		why = cuda_ptx_read(p->layout.text, p->layout.head->text_bytes,
				    (const char *)p->layout.head->name, &p->ptx);
	if (!why)
		why = params_refusal(&p->layout, &p->ptx);
	if (why) {
		free(p);
		return refuse(b, why);
	}
	p->part = 1;
	p->text = strndup(p->layout.text, p->layout.head->text_bytes);
	ret = p->text ? load(b, p) : -ENOMEM;
	free(p->text);
	p->text = NULL;
	if (ret) {
		free(p);
		return ret;
	}
	b->program_bytes += p->ptx.static_bytes;
	*program = p;
	return 0;
}

void cuda_program_free(struct infini_backend *b, struct infini_backend_program *p)
{
	if (!cuda_device_enter(b) && !cuda_device_finish(b))
		b->driver->module_unload(p->module);
	b->program_bytes -= p->ptx.static_bytes;
	free(p);
}

/* ---- running ----------------------------------------------------------------------- */

static const char *range_refusal(const struct infini_backend *b,
				 const struct infini_backend_program *p,
				 const struct infini_kernel_run *range)
{
	const struct cuda_limits *l = &b->limits;
	uint64_t items = 1;

	for (int i = 0; i < 3; i++) {
		if (range->groups[i] > l->groups[i])
			return "ptx: more blocks than a grid of the GPU has";
		if (range->items[i] > l->items[i])
			return "ptx: more threads than a block of the GPU has";
		items *= range->items[i];
	}
	if (items > l->group_items || items > p->group_items_max)
		return "ptx: more threads than the kernel has registers for in a block";
	if ((uint64_t)p->shared_bytes + range->shared_bytes > l->shared_bytes_max)
		return "ptx: more shared memory than the GPU has for a block";
	return NULL;
}

/* All parameters but the offset, which each part of a cut launch has its own of. */
static int pack(const struct infini_backend *b, const struct infini_backend_program *p,
		const struct infini_backend_run *run, const struct kernel_run *job,
		uint8_t *packed, uint32_t **offset)
{
	const struct infini_kernel_param *param;
	cuda_address address;
	uint8_t *at;

	for (uint32_t i = 0; i < p->ptx.nr_params; i++) {
		param = &p->layout.params[i];
		at = packed + p->ptx.params[i].offset;
		if (param->kind == INFINI_KERNEL_OFFSET) {
			*offset = (uint32_t *)at;
		} else if (param->kind == INFINI_KERNEL_SCALAR) {
			memcpy(at, job->scalars + param->index, param->bytes);
		} else {
			address = cuda_buffer_address(run->bindings[param->index].buffer);
			if (!address) {
				b->log(LOG_WARNING, "ptx: the GPU cannot reach shared pages here: "
				       "copy them into a buffer of the device first");
				return -EOPNOTSUPP;
			}
			memcpy(at, &address, sizeof(address));
		}
	}
	return 0;
}

static int launch(struct infini_backend *b, const struct infini_backend_program *p,
		  const struct infini_kernel_run *range, const uint32_t groups[3], void *packed)
{
	size_t bytes = p->ptx.param_bytes;
	void *extra[] = {
		CUDA_LAUNCH_BUFFER, packed, CUDA_LAUNCH_BUFFER_BYTES, &bytes, CUDA_LAUNCH_END,
	};
	cuda_result error;

	error = b->driver->launch(p->function, groups[0], groups[1], groups[2], range->items[0],
				  range->items[1], range->items[2], range->shared_bytes, b->stream,
				  NULL, extra);
	b->queued = true;
	return cuda_device_check(b, "a launch", error);
}

/* Twice as much next time when it took less than half of what a segment may take, half when more. */
static int adapt(struct infini_backend *b, struct infini_backend_program *p)
{
	float ms = 0;
	int ret;

	ret = cuda_device_check(b, "timing",
				b->driver->event_elapsed(&ms, b->begun, b->done));
	if (ret)
		return ret;
	if (ms * 1000 > (float)b->segment_us && p->part > 1)
		p->part /= 2;
	else if (ms * 2000 < (float)b->segment_us && p->part < UINT32_MAX)
		p->part *= 2;
	return 0;
}

/* The slowest axis: cutting it keeps together what is near in memory. */
static int axis_of(const struct infini_kernel_run *range)
{
	return range->groups[2] > 1 ? 2 : range->groups[1] > 1 ? 1 : 0;
}

static int launch_parts(struct infini_backend *b, struct infini_backend_program *p,
			struct infini_backend_run *run, const struct infini_kernel_run *range,
			void *packed, uint32_t *offset)
{
	uint32_t groups[3] = { range->groups[0], range->groups[1], range->groups[2] };
	const int axis = axis_of(range);
	const uint32_t all = range->groups[axis];
	uint64_t at, part;
	int ret;

	if (run->segment >= all)
		return -EINVAL;
	for (at = run->segment; at < all; at += part) {
		if (at > run->segment && run->should_yield(run)) {
			run->segment = at;
			return INFINI_BACKEND_PREEMPTED;
		}
		part = all - at < p->part ? all - at : p->part;
		groups[axis] = (uint32_t)part;
		offset[axis] = (uint32_t)at;
		ret = cuda_device_check(b, "timing", b->driver->event_record(b->begun, b->stream));
		if (!ret)
			ret = launch(b, p, range, groups, packed);
		/* The last part is waited for at the job's end, with what is copied behind it. */
		if (!ret && at + part < all) {
			ret = cuda_device_finish(b);
			if (!ret)
				ret = adapt(b, p);
		}
		if (ret)
			return ret;
	}
	return 0;
}

int cuda_program_run(struct infini_backend *b, struct infini_backend_program *p,
		     struct infini_backend_run *run)
{
	_Alignas(256) uint8_t packed[CUDA_PTX_PARAM_BYTES_MAX];
	uint32_t *offset = NULL;
	struct kernel_run job;
	const char *why;
	int ret = cuda_device_enter(b);

	if (ret)
		return ret;
	why = kernel_layout_run(&p->layout, run, &job);
	if (!why)
		why = range_refusal(b, p, &job.range);
	if (why)
		return refuse(b, why);
	memset(packed, 0, sizeof(packed));
	ret = pack(b, p, run, &job, packed, &offset);
	if (ret)
		return ret;
	if (offset)
		return launch_parts(b, p, run, &job.range, packed, offset);
	if (run->segment)
		return -EINVAL;
	return launch(b, p, &job.range, job.range.groups, packed);
}
