/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Programs of one kernel (uapi/infini/kernel.h): what is in them, and whether a job fits. */
#ifndef INFINI_DAEMON_BACKENDS_KERNEL_LAYOUT_H
#define INFINI_DAEMON_BACKENDS_KERNEL_LAYOUT_H

#include "../backend.h"

#include <infini/kernel.h>

/* Parts of a program's bytes, which must outlive this. */
struct kernel_layout {
	const struct infini_kernel_program *head;
	const struct infini_kernel_param *params;
	const char *options;			/* @head->options_bytes of them, no NUL */
	const char *text;			/* @head->text_bytes, no NUL */
};

/* One job: its range, and where its scalars are. */
struct kernel_run {
	struct infini_kernel_run range;
	const uint8_t *scalars;
	uint32_t scalars_bytes;
};

/*
 * Both check all that does not take a device: NULL, or why not. @kinds has bit k for each enum
 * infini_kernel_param_kind k that the format takes.
 */
const char *kernel_layout_read(const void *data, size_t bytes, uint32_t kinds,
			       struct kernel_layout *layout);
const char *kernel_layout_run(const struct kernel_layout *layout,
			      const struct infini_backend_run *run, struct kernel_run *out);

#endif /* INFINI_DAEMON_BACKENDS_KERNEL_LAYOUT_H */
