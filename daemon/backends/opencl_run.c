// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs of a kernel. A range whose program may be cut is launched in parts: so many work-groups of the
 * last dimension that has more than one as take about a segment, by what the last part took. A part
 * begins at a global offset, so that get_global_id() is what it is in the whole; get_group_id(),
 * get_num_groups(), get_global_size() and get_global_offset() are the part's, which is why only the
 * author can say that a kernel may be cut. A segment is one work-group of that dimension.
 */
#include <errno.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "opencl_buffer.h"
#include "opencl_files.h"
#include "opencl_program.h"

#define GROWTH_MAX	8		/* of a part against the one before */
#define ITEMS_MAX	(1ULL << 62)

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

/* ---- what is launched -------------------------------------------------------------- */

static int refuse(const struct infini_backend *backend, const char *why)
{
	infini_opencl_log(backend->log, LOG_WARNING, "opencl-c job refused: %s", why);
	return -EINVAL;
}

static const char *range_refusal(const struct infini_backend *backend,
				 const struct infini_backend_program *program,
				 const struct infini_kernel_run *range)
{
	uint64_t all = 1, in_group = 1, length;
	size_t most = 0;

	for (int i = 0; i < INFINI_KERNEL_DIMS; i++) {
		if (range->items[i] > backend->items_max[i])
			return "a work-group longer than the device takes";
		in_group *= range->items[i];
		length = (uint64_t)range->groups[i] * range->items[i];
		if (__builtin_mul_overflow(all, length, &all) || all > ITEMS_MAX)
			return "more work-items than can be counted";
	}
	clGetKernelWorkGroupInfo(program->entry, backend->device, CL_KERNEL_WORK_GROUP_SIZE,
				 sizeof(most), &most, NULL);
	if (!most || most > backend->group_items_max)
		most = backend->group_items_max;
	return in_group > most ? "more work-items in a group than the device takes" : NULL;
}

static int set_params(const struct infini_backend *backend, struct infini_backend_program *program,
		      const struct kernel_run *job,
		      const struct infini_backend_run *run)
{
	const struct infini_kernel_param *param;
	struct infini_opencl_memory *memory;
	const void *value;
	size_t bytes;
	cl_int error;

	for (cl_uint i = 0; i < program->layout.head->nr_params; i++) {
		param = &program->layout.params[i];
		bytes = param->bytes;
		value = NULL;
		if (param->kind == INFINI_KERNEL_SCALAR) {
			value = job->scalars + param->index;
		} else if (param->kind == INFINI_KERNEL_BUFFER) {
			memory = run->bindings[param->index].buffer->priv;
			value = &memory->memory;
			bytes = sizeof(memory->memory);
		}
		error = clSetKernelArg(program->entry, i, bytes, value);
		if (error != CL_SUCCESS)
			return infini_opencl_error(backend, "a parameter", error);
	}
	return 0;
}

/* Pages that the kernel's parameters lie in, to the device or back. All are tried; the first error. */
static int move_pages(struct infini_backend *backend, const struct infini_backend_program *program,
		      const struct infini_backend_run *run,
		      int (*move)(struct infini_backend *, struct infini_backend_buffer *))
{
	const struct infini_kernel_param *param;
	int ret = 0, one;

	for (uint32_t i = 0; i < program->layout.head->nr_params; i++) {
		param = &program->layout.params[i];
		if (param->kind != INFINI_KERNEL_BUFFER)
			continue;
		one = move(backend, run->bindings[param->index].buffer);
		if (!ret)
			ret = one;
	}
	return ret;
}

/* ---- parts ------------------------------------------------------------------------- */

/* Where a range is cut: @rows work-groups along @dim, each with @row_groups of the other two. */
struct cut {
	int dim;
	uint64_t rows, row_groups;
};

static struct cut cut_of(const struct infini_kernel_run *range)
{
	struct cut cut = { .dim = INFINI_KERNEL_DIMS - 1, .row_groups = 1 };

	while (cut.dim && range->groups[cut.dim] == 1)
		cut.dim--;
	cut.rows = range->groups[cut.dim];
	for (int i = 0; i < cut.dim; i++)
		cut.row_groups *= range->groups[i];
	return cut;
}

/* Rows that take about a segment; few where nothing is known yet. */
static uint64_t rows_of_part(const struct infini_backend *backend,
			     const struct infini_backend_program *program, const struct cut *cut,
			     uint64_t left, uint64_t before)
{
	uint64_t row_ps, rows = 1, most = before * GROWTH_MAX;

	if (program->group_ps && !__builtin_mul_overflow(program->group_ps, cut->row_groups, &row_ps))
		rows = backend->segment_ns * 1000 / row_ps;
	if (before && rows > most)
		rows = most;
	if (!rows)
		rows = 1;
	return rows < left ? rows : left;
}

static int launch_part(struct infini_backend *backend, struct infini_backend_program *program,
		       const struct infini_kernel_run *range, int dim, uint64_t first,
		       uint64_t rows)
{
	size_t offset[INFINI_KERNEL_DIMS] = { 0 }, global[INFINI_KERNEL_DIMS];
	size_t local[INFINI_KERNEL_DIMS];
	cl_event ended;
	cl_int error;

	for (int i = 0; i < INFINI_KERNEL_DIMS; i++) {
		local[i] = range->items[i];
		global[i] = local[i] * (i == dim ? rows : range->groups[i]);
	}
	offset[dim] = first * local[dim];
	error = clEnqueueNDRangeKernel(backend->queue, program->entry, INFINI_KERNEL_DIMS, offset,
				       global, local, 0, NULL, &ended);
	if (error != CL_SUCCESS)
		return infini_opencl_error(backend, "a launch", error);
	/* clFinish() need not tell of a command that failed; its event has to. */
	error = clWaitForEvents(1, &ended);
	clReleaseEvent(ended);
	if (error == CL_SUCCESS)
		return 0;
	infini_opencl_error(backend, "a kernel", error);
	return INFINI_BACKEND_LOST;
}

static int run_parts(struct infini_backend *backend, struct infini_backend_program *program,
		     const struct infini_kernel_run *range, struct infini_backend_run *run)
{
	const struct cut cut = cut_of(range);
	uint64_t at, rows = 0, begin, took;
	int ret;

	if (run->segment >= cut.rows)
		return refuse(backend, "a segment beyond its range");
	for (at = run->segment; at < cut.rows; at += rows) {
		if (at > run->segment && run->should_yield(run)) {
			run->segment = at;
			return INFINI_BACKEND_PREEMPTED;
		}
		rows = rows_of_part(backend, program, &cut, cut.rows - at, rows);
		begin = now_ns();
		ret = launch_part(backend, program, range, cut.dim, at, rows);
		if (ret)
			return ret;
		took = now_ns() - begin;
		program->group_ps = took * 1000 / rows / cut.row_groups;
		if (!program->group_ps)
			program->group_ps = 1;
	}
	return 0;
}

static int run_whole(struct infini_backend *backend, struct infini_backend_program *program,
		     const struct infini_kernel_run *range, const struct infini_backend_run *run)
{
	if (run->segment)
		return refuse(backend, "a segment of what is not cut");
	return launch_part(backend, program, range, 0, 0, range->groups[0]);
}

int infini_opencl_program_run(struct infini_backend *backend,
			      struct infini_backend_program *program,
			      struct infini_backend_run *run)
{
	struct kernel_run job;
	const char *why = kernel_layout_run(&program->layout, run, &job);
	int ret, back;

	if (!why)
		why = range_refusal(backend, program, &job.range);
	if (why)
		return refuse(backend, why);
	ret = set_params(backend, program, &job, run);
	if (ret)
		return ret;
	ret = move_pages(backend, program, run, infini_opencl_buffer_lend);
	if (!ret && program->layout.head->flags & INFINI_KERNEL_F_CUTTABLE)
		ret = run_parts(backend, program, &job.range, run);
	else if (!ret)
		ret = run_whole(backend, program, &job.range, run);
	if (ret == INFINI_BACKEND_LOST)
		return ret;
	if (memcmp(program->items, job.range.items, sizeof(program->items))) {
		memcpy(program->items, job.range.items, sizeof(program->items));
		infini_opencl_files_count(backend);
	}
	back = move_pages(backend, program, run, infini_opencl_buffer_take_back);
	return back ? back : ret;
}
