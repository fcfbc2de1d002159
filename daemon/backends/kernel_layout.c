// SPDX-License-Identifier: GPL-2.0-or-later
/* Programs of one kernel (uapi/infini/kernel.h): what is in them, and whether a job fits. */
#include "kernel_layout.h"

#include <string.h>

/* What C, OpenCL C and PTX call an identifier, together; it is printed, too. */
static bool name_valid(const struct infini_kernel_program *head)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_$";
	const char *name = (const char *)head->name;
	size_t length = strnlen(name, sizeof(head->name));

	if (!length || length == sizeof(head->name) || !strchr(letters, name[0]))
		return false;
	for (size_t i = 1; i < length; i++) {
		if (!strchr(letters, name[i]) && (name[i] < '0' || name[i] > '9'))
			return false;
	}
	for (size_t i = length; i < sizeof(head->name); i++) {
		if (name[i])
			return false;
	}
	return true;
}

static const char *param_refusal(const struct infini_kernel_program *head,
				 const struct infini_kernel_param *p, uint32_t kinds)
{
	const uint32_t access = INFINI_ACCESS_READ | INFINI_ACCESS_WRITE;

	if (p->kind >= 32 || !(kinds & 1U << p->kind))
		return "kernel program: a parameter of an unknown kind";
	if (p->kind == INFINI_KERNEL_BUFFER) {
		if (p->index >= head->nr_bindings)
			return "kernel program: a parameter of a binding that it does not have";
		if (!p->access || p->access & ~access)
			return "kernel program: a buffer without access, or with an unknown one";
		return NULL;
	}
	if (p->access || (p->kind != INFINI_KERNEL_SCALAR && p->index))
		return "kernel program: unused members of a parameter are not 0";
	if (p->kind == INFINI_KERNEL_OFFSET)
		return p->bytes ? "kernel program: unused members of a parameter are not 0" : NULL;
	if (!p->bytes)
		return "kernel program: a parameter of no bytes";
	if (p->kind == INFINI_KERNEL_SCALAR && p->bytes > INFINI_KERNEL_SCALAR_BYTES_MAX)
		return "kernel program: a scalar is too large";
	return NULL;
}

/* The first word of a module, in either byte order. */
static bool is_spirv(const char *text, size_t bytes)
{
	return bytes >= 4 && (!memcmp(text, "\x03\x02\x23\x07", 4) ||
			      !memcmp(text, "\x07\x23\x02\x03", 4));
}

const char *kernel_layout_read(const void *data, size_t bytes, uint32_t kinds,
			       struct kernel_layout *layout)
{
	const struct infini_kernel_program *head = data;
	const char *why;
	uint64_t rest;

	if (bytes < sizeof(*head))
		return "kernel program: shorter than its header";
	if (head->magic != INFINI_KERNEL_MAGIC || head->version != INFINI_KERNEL_VERSION)
		return "kernel program: wrong magic number or version";
	if (head->flags & ~(uint32_t)INFINI_KERNEL_F_CUTTABLE)
		return "kernel program: unknown flag";
	if (!name_valid(head))
		return "kernel program: the kernel's name is no identifier";
	if (head->nr_params > INFINI_KERNEL_PARAMS_MAX ||
	    head->nr_bindings > INFINI_KERNEL_PARAMS_MAX)
		return "kernel program: too many parameters or bindings";
	rest = (uint64_t)head->nr_params * sizeof(*layout->params) + head->options_bytes +
	       (uint64_t)head->text_bytes;
	if (rest != bytes - sizeof(*head))
		return "kernel program: its size is not that of its parts";
	if (!head->text_bytes)
		return "kernel program: no text";
	layout->head = head;
	layout->params = (const struct infini_kernel_param *)(head + 1);
	layout->options = (const char *)(layout->params + head->nr_params);
	layout->text = layout->options + head->options_bytes;
	if (is_spirv(layout->text, head->text_bytes))
		return "kernel program: its text is SPIR-V, which is not taken: send the source";
	if (memchr(layout->options, '\0', (size_t)head->options_bytes + head->text_bytes))
		return "kernel program: a NUL in its text";
	for (uint32_t i = 0; i < head->nr_params; i++) {
		why = param_refusal(head, &layout->params[i], kinds);
		if (why)
			return why;
	}
	return NULL;
}

static const char *argument_refusal(const struct infini_kernel_param *p,
				    const struct infini_backend_run *run,
				    const struct kernel_run *out)
{
	if (p->kind == INFINI_KERNEL_BUFFER) {
		if (p->access & ~run->bindings[p->index].access)
			return "kernel job: a binding lacks the access that the kernel declares";
		if (p->bytes > run->bindings[p->index].buffer->bytes)
			return "kernel job: a binding is smaller than the kernel declares";
	}
	if (p->kind == INFINI_KERNEL_SCALAR &&
	    (p->index > out->scalars_bytes || p->bytes > out->scalars_bytes - p->index))
		return "kernel job: a scalar lies outside the arguments";
	return NULL;
}

const char *kernel_layout_run(const struct kernel_layout *layout,
			      const struct infini_backend_run *run, struct kernel_run *out)
{
	const struct infini_kernel_program *head = layout->head;
	const char *why;

	if (run->args_bytes < sizeof(out->range))
		return "kernel job: arguments are shorter than their header";
	if (run->nr_bindings != head->nr_bindings)
		return "kernel job: not as many bindings as the program has";
	memcpy(&out->range, run->args, sizeof(out->range));
	out->scalars = (const uint8_t *)run->args + sizeof(out->range);
	out->scalars_bytes = run->args_bytes - (uint32_t)sizeof(out->range);
	if (out->range.pad)
		return "kernel job: padding set";
	if (out->range.shared_bytes > head->shared_bytes)
		return "kernel job: more shared memory than the program declares";
	for (int i = 0; i < INFINI_KERNEL_DIMS; i++) {
		if (!out->range.groups[i] || !out->range.items[i])
			return "kernel job: a range of nothing";
	}
	for (uint32_t i = 0; i < head->nr_params; i++) {
		why = argument_refusal(&layout->params[i], run, out);
		if (why)
			return why;
	}
	return NULL;
}
