// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs of format opencl-c: checked and compiled. */
#include "opencl_program.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "opencl_files.h"
#include "opencl_options.h"
#include "opencl_signature.h"

#define TEXT_BYTES_MAX	(1 << 20)
#define BUILD_LOG_MAX	(1 << 20)

static int refuse(const struct infini_backend *backend, const char *why)
{
	infini_opencl_log(backend->log, LOG_WARNING, "opencl-c program refused: %s", why);
	return -EINVAL;
}

/* The first line of @text that says "error", or the first one at all, cut and printable. */
static void first_complaint(const char *text, char *line, size_t bytes)
{
	const char *error = strstr(text, "error"), *start = error ? error : text;
	size_t i;

	while (start > text && start[-1] != '\n')
		start--;
	start += strspn(start, " \t\r\n");
	for (i = 0; i < bytes - 1 && start[i] && start[i] != '\n'; i++)
		line[i] = isprint((unsigned char)start[i]) ? start[i] : '?';
	line[i] = '\0';
}

static void log_build_failure(const struct infini_backend *backend, cl_program built)
{
	char line[240] = "the compiler does not say why";
	size_t bytes = 0;
	char *text;

	clGetProgramBuildInfo(built, backend->device, CL_PROGRAM_BUILD_LOG, 0, NULL, &bytes);
	text = bytes && bytes <= BUILD_LOG_MAX ? calloc(1, bytes + 1) : NULL;
	if (text && !clGetProgramBuildInfo(built, backend->device, CL_PROGRAM_BUILD_LOG, bytes,
					   text, NULL) && text[strspn(text, " \t\r\n")])
		first_complaint(text, line, sizeof(line));
	free(text);
	infini_opencl_log(backend->log, LOG_WARNING, "opencl-c program does not build: %s", line);
}

static int build(const struct infini_backend *backend, struct infini_backend_program *program,
		 const char *options)
{
	const char *text = program->layout.text;
	size_t bytes = program->layout.head->text_bytes;
	cl_int error;

	program->built = clCreateProgramWithSource(backend->context, 1, &text, &bytes, &error);
	if (!program->built)
		return infini_opencl_error(backend, "a program", error);
	error = clBuildProgram(program->built, 1, &backend->device, options, NULL, NULL);
	if (error == CL_BUILD_PROGRAM_FAILURE || error == CL_INVALID_BUILD_OPTIONS) {
		log_build_failure(backend, program->built);
		return -EINVAL;
	}
	return error == CL_SUCCESS ? 0 : infini_opencl_error(backend, "compiling", error);
}

static int find_entry(const struct infini_backend *backend, struct infini_backend_program *program)
{
	char why[200];
	cl_int error;

	program->entry = clCreateKernel(program->built, (const char *)program->layout.head->name, &error);
	if (error == CL_INVALID_KERNEL_NAME) {
		snprintf(why, sizeof(why), "it has no kernel \"%s\"", program->layout.head->name);
		return refuse(backend, why);
	}
	if (!program->entry)
		return infini_opencl_error(backend, "a kernel", error);
	return infini_opencl_signature_check(program, why, sizeof(why)) ? refuse(backend, why) : 0;
}

/* What the layout's own rules leave open. */
static const char *program_refusal(const struct infini_backend *backend,
				   const struct kernel_layout *layout)
{
	uint64_t local = 0;

	if (layout->head->shared_bytes)
		return "opencl-c has no shared_bytes";
	if (layout->head->text_bytes > TEXT_BYTES_MAX)
		return "more than a MiB of source";
	for (uint32_t i = 0; i < layout->head->nr_params; i++) {
		if (layout->params[i].kind == INFINI_KERNEL_LOCAL)
			local += layout->params[i].bytes;
	}
	return local > backend->local_bytes ? "more local memory than the device has" : NULL;
}

static int load(struct infini_backend *backend, struct infini_backend_program *program,
		const void *data, size_t bytes)
{
	const uint32_t kinds = 1U << INFINI_KERNEL_BUFFER | 1U << INFINI_KERNEL_SCALAR |
			       1U << INFINI_KERNEL_LOCAL;
	char options[INFINI_OPENCL_OPTIONS_MAX], reason[160], bad[100];
	struct kernel_layout *layout = &program->layout;
	const char *why;
	int ret;

	why = kernel_layout_read(data, bytes, kinds, layout);
	if (!why)
		why = program_refusal(backend, layout);
	if (why)
		return refuse(backend, why);
	if (!infini_opencl_options(layout->options, layout->head->options_bytes, options, bad,
				   sizeof(bad))) {
		snprintf(reason, sizeof(reason), "options: %s is not allowed", bad);
		return refuse(backend, reason);
	}
	ret = build(backend, program, options);
	return ret ? ret : find_entry(backend, program);
}

int infini_opencl_program_load(struct infini_backend *backend, const void *data, size_t bytes,
			       struct infini_backend_program **program)
{
	struct infini_backend_program *new = calloc(1, sizeof(*new));
	struct infini_opencl_files files;
	int ret;

	if (!new)
		return -ENOMEM;
	infini_opencl_files_list(backend, &files);
	ret = load(backend, new, data, bytes);
	if (ret) {
		infini_opencl_program_free(backend, new);
		infini_opencl_files_restore(backend, &files);
	} else {
		*program = new;
	}
	infini_opencl_files_release(&files);
	infini_opencl_files_count(backend);
	return ret;
}

void infini_opencl_program_free(struct infini_backend *backend,
				struct infini_backend_program *program)
{
	if (program->entry)
		clReleaseKernel(program->entry);
	if (program->built)
		clReleaseProgram(program->built);
	infini_opencl_files_count(backend);
	free(program);
}
