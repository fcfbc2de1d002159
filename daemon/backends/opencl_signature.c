// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether a compiled kernel's parameters are what its program says. clSetKernelArg takes bytes: those
 * of an image or a sampler would be a stranger's address that the driver follows, so that scalars are
 * of the types that are known here, and no others.
 */
#include "opencl_signature.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#ifndef CL_KERNEL_ARG_TYPE_PIPE			/* OpenCL 2.0 */
#define CL_KERNEL_ARG_TYPE_PIPE	(1 << 3)
#endif

#define refuse(...) (snprintf(why, why_bytes, __VA_ARGS__), -EINVAL)

static const struct {
	const char *name;
	uint32_t bytes;
} scalars[] = {
	{ "char", 1 }, { "uchar", 1 }, { "unsigned char", 1 }, { "short", 2 }, { "ushort", 2 },
	{ "unsigned short", 2 }, { "int", 4 }, { "uint", 4 }, { "unsigned int", 4 },
	{ "long", 8 }, { "ulong", 8 }, { "unsigned long", 8 }, { "float", 4 },
};

/* Their vectors are declared where the device has them, and elsewhere a name that anybody may take. */
static const struct {
	const char *name;
	uint32_t bytes;
} lone_scalars[] = {
	{ "half", 2 }, { "double", 8 },
};

/* A vector of 3 has the room of 4. */
static const struct {
	const char *name;
	uint32_t lanes;
} vectors[] = {
	{ "", 1 }, { "2", 2 }, { "3", 4 }, { "4", 4 }, { "8", 8 }, { "16", 16 },
};

/*
 * "float" or "float4": its bytes, or 0 when it is none of them. The whole name counts: a stranger may
 * call anything at all "float02".
 */
static uint32_t bytes_of_type(const char *type)
{
	size_t length;

	for (size_t i = 0; i < sizeof(lone_scalars) / sizeof(lone_scalars[0]); i++) {
		if (!strcmp(type, lone_scalars[i].name))
			return lone_scalars[i].bytes;
	}
	for (size_t i = 0; i < sizeof(scalars) / sizeof(scalars[0]); i++) {
		length = strlen(scalars[i].name);
		for (size_t v = 0; v < sizeof(vectors) / sizeof(vectors[0]); v++) {
			if (!strncmp(type, scalars[i].name, length) &&
			    !strcmp(type + length, vectors[v].name))
				return scalars[i].bytes * vectors[v].lanes;
		}
	}
	return 0;
}

struct signature {
	cl_kernel_arg_address_qualifier place;
	cl_kernel_arg_type_qualifier qualifiers;
	char type[64];
};

/* A type whose name does not fit is none that we take by value; of a pointer the name is not asked. */
static bool signature_of(cl_kernel entry, cl_uint i, struct signature *s)
{
	memset(s, 0, sizeof(*s));
	if (clGetKernelArgInfo(entry, i, CL_KERNEL_ARG_ADDRESS_QUALIFIER, sizeof(s->place),
			       &s->place, NULL) ||
	    clGetKernelArgInfo(entry, i, CL_KERNEL_ARG_TYPE_QUALIFIER, sizeof(s->qualifiers),
			       &s->qualifiers, NULL))
		return false;
	if (clGetKernelArgInfo(entry, i, CL_KERNEL_ARG_TYPE_NAME, sizeof(s->type) - 1, s->type,
			       NULL))
		snprintf(s->type, sizeof(s->type), "%s", "?");
	return true;
}

static bool is_handle(const char *type)
{
	return !strncmp(type, "image", 5) || !strncmp(type, "pipe", 4) ||
	       (strlen(type) > 2 && !strcmp(type + strlen(type) - 2, "_t") && !strchr(type, '*'));
}

static int check_one(const struct infini_kernel_param *param, const struct signature *s, cl_uint i,
		     char *why, size_t why_bytes)
{
	bool in_buffer = s->place == CL_KERNEL_ARG_ADDRESS_GLOBAL ||
			 s->place == CL_KERNEL_ARG_ADDRESS_CONSTANT;
	bool constant = s->place == CL_KERNEL_ARG_ADDRESS_CONSTANT ||
			s->qualifiers & CL_KERNEL_ARG_TYPE_CONST;

	if (s->qualifiers & CL_KERNEL_ARG_TYPE_PIPE || is_handle(s->type))
		return refuse("parameter %u: \"%s\" is no type that a job can bring", i, s->type);
	switch (param->kind) {
	case INFINI_KERNEL_BUFFER:
		if (!in_buffer)
			return refuse("parameter %u: a buffer, but the kernel's is \"%s\"", i,
				      s->type);
		if (!constant && !(param->access & INFINI_ACCESS_WRITE))
			return refuse("parameter %u: read only, but the kernel's is not const", i);
		return 0;
	case INFINI_KERNEL_LOCAL:
		if (s->place != CL_KERNEL_ARG_ADDRESS_LOCAL)
			return refuse("parameter %u: local memory, but the kernel's is \"%s\"", i,
				      s->type);
		return 0;
	default:
		if (s->place != CL_KERNEL_ARG_ADDRESS_PRIVATE ||
		    bytes_of_type(s->type) != param->bytes)
			return refuse("parameter %u: a scalar of %u bytes, but the kernel's is "
				      "\"%s\"", i, param->bytes, s->type);
		return 0;
	}
}

int infini_opencl_signature_check(const struct infini_backend_program *program, char *why,
				  size_t why_bytes)
{
	cl_uint nr = 0;
	struct signature s;
	int ret = 0;

	clGetKernelInfo(program->entry, CL_KERNEL_NUM_ARGS, sizeof(nr), &nr, NULL);
	if (nr != program->layout.head->nr_params)
		return refuse("%u parameters, but the kernel has %u",
			      program->layout.head->nr_params, nr);
	for (cl_uint i = 0; i < nr && !ret; i++) {
		if (!signature_of(program->entry, i, &s))
			return refuse("parameter %u: the driver does not say what it is", i);
		ret = check_one(&program->layout.params[i], &s, i, why, why_bytes);
	}
	return ret;
}
