// SPDX-License-Identifier: GPL-2.0-or-later
/* What the CUDA backend reads of a text in PTX before the driver's compiler does: kernel "k" of it. */
#include "fuzz.h"

#include <backends/cuda_ptx.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD	".version 6.0\n.target sm_50\n.address_size 64\n"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	struct cuda_ptx ptx;
	uint32_t end = 0;

	if (cuda_ptx_read((const char *)data, bytes, "k", &ptx))
		return 0;
	/* In order, without overlap, inside what is handed over, whatever the text says. */
	if (ptx.nr_params > CUDA_PTX_PARAMS_MAX || ptx.param_bytes > CUDA_PTX_PARAM_BYTES_MAX ||
	    ptx.static_bytes > CUDA_PTX_STATIC_BYTES_MAX)
		abort();
	for (uint32_t i = 0; i < ptx.nr_params; i++) {
		if (ptx.params[i].offset < end || !ptx.params[i].bytes ||
		    ptx.params[i].bytes > ptx.param_bytes - ptx.params[i].offset)
			abort();
		end = ptx.params[i].offset + ptx.params[i].bytes;
	}
	if (end != ptx.param_bytes)
		abort();
	return 0;
}

void fuzz_begin(void)
{
}

/* Of examples/ptx, its kernel with the name that is asked for here. */
static void seed_example(const char *name)
{
	char text[16384], path[64], *at;
	FILE *file;
	size_t bytes;

	snprintf(path, sizeof(path), "examples/ptx/%s.ptx", name);
	file = fopen(path, "r");
	bytes = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	text[bytes] = '\0';
	at = strstr(text, ".entry ");
	if (!at || strncmp(at + strlen(".entry "), name, strlen(name))) {
		fprintf(stderr, "%s: no kernel %s\n", path, name);
		exit(1);
	}
	fclose(file);
	at += strlen(".entry ");
	*at++ = 'k';
	memmove(at, at + strlen(name) - 1, strlen(at + strlen(name) - 1) + 1);
	fuzz_seed(text, strlen(text));
}

void fuzz_seeds(void)
{
	static const char *const texts[] = {
		HEAD ".visible .entry k(.param .u64 .ptr .global .align 16 a, .param .f32 b,\n"
		".param .align 4 .b8 c[12]) { .reg .pred %p; ld.global.f32 %f1, [%rd1+0x4]; ret; }",
		HEAD ".global .align 4 .b8 t[2][1024] = { 1, 2 };\n.extern .shared .b8 s[];\n"
		".const .v4 .f32 v;\n/* text */ .entry k() { @%p bra L; // more\nL: trap; }",
		HEAD ".file 1 \"a.cu\"\n.entry other(.param .u32 x) { ret; } .entry k { ret; }",
		HEAD ".func (.param .b32 r) f (.param .b64 .ptr .global p);\n"
		".visible .func (.param .b32 r) f (.param .b64 .ptr .global p) { ret; }\n"
		".global .u64 v = generic(w), x;\n.entry k .maxntid 16, 1, 1 { call (r), f, (p); ret; }",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		fuzz_seed(texts[i], strlen(texts[i]));
	seed_example("saxpy");
	seed_example("sgemm");
}
