// SPDX-License-Identifier: LGPL-2.1-or-later
/* Programs of one kernel, and the arguments of their jobs. */
#include "infini-kernel.h"

#include <stdlib.h>

#include "ioctl.h"

#define TEXT_BYTES_MAX	(1U << 30)

/* Each scalar begins at a multiple of this. */
#define SCALAR_ALIGNMENT	8

static uint32_t scalar_room(const struct infini_kernel_param *param)
{
	return (param->bytes + SCALAR_ALIGNMENT - 1) / SCALAR_ALIGNMENT * SCALAR_ALIGNMENT;
}

size_t infini_kernel_args_bytes(const struct infini_kernel *kernel)
{
	size_t bytes = sizeof(struct infini_kernel_run);

	for (uint32_t i = 0; i < kernel->nr_params; i++) {
		if (kernel->params[i].kind == INFINI_KERNEL_SCALAR)
			bytes += scalar_room(&kernel->params[i]);
	}
	return bytes;
}

void infini_kernel_args(const struct infini_kernel *kernel, const struct infini_kernel_run *range,
			const void *const *scalars, void *args)
{
	uint8_t *at = args;

	memset(at, 0, infini_kernel_args_bytes(kernel));
	memcpy(at, range, sizeof(*range));
	at += sizeof(*range);
	for (uint32_t i = 0; i < kernel->nr_params; i++) {
		if (kernel->params[i].kind != INFINI_KERNEL_SCALAR)
			continue;
		memcpy(at, *scalars++, kernel->params[i].bytes);
		at += scalar_room(&kernel->params[i]);
	}
}

static void write_params(const struct infini_kernel *kernel, struct infini_kernel_param *params,
			 uint32_t *nr_bindings)
{
	uint32_t scalars = 0;

	for (uint32_t i = 0; i < kernel->nr_params; i++) {
		params[i] = kernel->params[i];
		if (params[i].kind == INFINI_KERNEL_SCALAR) {
			params[i].index = scalars;
			scalars += scalar_room(&params[i]);
		} else if (params[i].kind == INFINI_KERNEL_BUFFER && params[i].index >= *nr_bindings) {
			*nr_bindings = params[i].index + 1;
		}
	}
}

static int write_program(const struct infini_kernel *kernel, struct infini_kernel_program *program,
			 size_t options_bytes, size_t text_bytes)
{
	struct infini_kernel_param *params = (struct infini_kernel_param *)(program + 1);
	char *text = (char *)(params + kernel->nr_params);
	size_t name_bytes = strlen(kernel->name);

	*program = (struct infini_kernel_program){
		.magic = INFINI_KERNEL_MAGIC,
		.version = INFINI_KERNEL_VERSION,
		.flags = kernel->flags,
		.nr_params = kernel->nr_params,
		.shared_bytes = kernel->shared_bytes,
		.options_bytes = (uint32_t)options_bytes,
		.text_bytes = (uint32_t)text_bytes,
	};
	if (name_bytes >= sizeof(program->name))
		return -ENAMETOOLONG;
	memcpy(program->name, kernel->name, name_bytes);
	write_params(kernel, params, &program->nr_bindings);
	if (options_bytes)
		memcpy(text, kernel->options, options_bytes);
	memcpy(text + options_bytes, kernel->text, text_bytes);
	return 0;
}

int infini_kernel_create(int fd, const struct infini_kernel *kernel, uint32_t *handle)
{
	size_t options_bytes = kernel->options ? strlen(kernel->options) : 0;
	size_t text_bytes = strlen(kernel->text), bytes;
	struct infini_kernel_program *program;
	int err;

	if (kernel->nr_params > INFINI_KERNEL_PARAMS_MAX || options_bytes > TEXT_BYTES_MAX ||
	    text_bytes > TEXT_BYTES_MAX)
		return -E2BIG;
	bytes = sizeof(*program) + kernel->nr_params * sizeof(*kernel->params) + options_bytes +
		text_bytes;
	program = malloc(bytes);
	if (!program)
		return -ENOMEM;
	err = write_program(kernel, program, options_bytes, text_bytes);
	if (!err)
		err = infini_program_create(fd, kernel->format, program, bytes, handle);
	free(program);
	return err;
}
