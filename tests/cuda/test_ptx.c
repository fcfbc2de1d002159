// SPDX-License-Identifier: GPL-2.0-or-later
/* What the backend reads of a stranger's PTX, and what it refuses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "cuda_ptx.h"

#include <stdlib.h>
#include <string.h>

#define HEAD	".version 6.0\n.target sm_50\n.address_size 64\n"
#define BODY	"{ ret; }\n"

static const struct {
	const char *name, *text;
	uint32_t nr_params;
	struct cuda_ptx_param params[4];
	uint32_t param_bytes;
	uint64_t static_bytes;
} taken[] = {
	{ "no parameters", HEAD ".entry k" BODY, 0, { { 0 } }, 0, 0 },
	{ "an empty list", HEAD ".entry k()" BODY, 0, { { 0 } }, 0, 0 },
	{ "natural alignment",
	  HEAD ".entry k(.param .u8 a, .param .u64 b, .param .f32 c, .param .s16 d)" BODY,
	  4, { { 0, 1 }, { 8, 8 }, { 16, 4 }, { 20, 2 } }, 22, 0 },
	{ "arrays and alignments",
	  HEAD ".entry k(.param .align 4 .b8 a[12], .param .align 16 .b8 b[0x20])" BODY,
	  2, { { 0, 12 }, { 16, 32 } }, 48, 0 },
	{ "what pointers point to",
	  HEAD ".entry k(.param .u64 .ptr .global .align 32 a, .param .u32 b)" BODY,
	  2, { { 0, 8 }, { 8, 4 } }, 12, 0 },
	{ "a visible kernel among others",
	  HEAD ".entry other(.param .u32 a)" BODY ".visible .entry k(.param .u64 a)" BODY
	  ".entry kk(.param .b8 a[100])" BODY,
	  1, { { 0, 8 } }, 8, 0 },
	{ "comments between", HEAD "/* .entry k(.param .u8 a) { } */ .entry // x\nk ( .param /**/ "
	  ".u32 a // , .param .u32 b\n )" BODY, 1, { { 0, 4 } }, 4, 0 },
	{ "variables", HEAD ".global .align 4 .b8 t[1024];\n.const .f32 c[2][3] = { {1,2,3}, "
	  "{4,5,6} };\n.visible .global .v4 .f32 v;\n.visible.global .u64 w;\n.entry k" BODY, 0,
	  { { 0 } }, 0, 1024 + 24 + 16 + 8 },
	{ "memory instructions are no variables",
	  HEAD ".entry k { ld.global.f32 %f1, [%rd1]; st.global.v4.f32 [%rd1], {%f1}; "
	  "cvta.to.global.u64 %rd1, %rd2; ret; }", 0, { { 0 } }, 0, 0 },
	{ "functions, one declared before",
	  HEAD ".func (.param .b32 r) f (.param .b64 .ptr .global p);\n.func g .noreturn " BODY
	  ".visible .func (.param .b32 r) f (.param .b64 .ptr .global p)" BODY
	  ".entry k .maxntid 16, 1, 1" BODY, 0, { { 0 } }, 0, 0 },
	{ "names that begin or end like the driver's",
	  HEAD ".global .u32 mallocs;\n.func my_free" BODY ".entry k { .reg .b32 %free; ret; }", 0,
	  { { 0 } }, 0, 4 },
	{ "shared memory from outside",
	  HEAD ".extern .shared .align 16 .b8 all[];\n.entry k" BODY, 0, { { 0 } }, 0, 0 },
};

static void declarations_are_read(void **state)
{
	struct cuda_ptx ptx;
	const char *why;

	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		why = cuda_ptx_read(taken[i].text, strlen(taken[i].text), "k", &ptx);
		if (why)
			fail_msg("%s: %s", taken[i].name, why);
		if (ptx.nr_params != taken[i].nr_params || ptx.param_bytes != taken[i].param_bytes ||
		    ptx.static_bytes != taken[i].static_bytes ||
		    memcmp(ptx.params, taken[i].params,
			   ptx.nr_params * sizeof(ptx.params[0])))
			fail_msg("%s: %u parameters of %u bytes, variables of %llu", taken[i].name,
				 ptx.nr_params, ptx.param_bytes,
				 (unsigned long long)ptx.static_bytes);
	}
}

static const struct {
	const char *name, *text, *why;
} refused[] = {
	{ "nothing", " ", ".version" },
	{ "machine code", "\177ELF\2\1", "no text" },
	{ "letters of another alphabet", HEAD "// \303\244\n.entry k" BODY, "no text" },
	{ "a comment without an end", HEAD ".entry k" BODY "/* ", "comment" },
	{ "a string without an end", HEAD ".entry k" BODY ".file 1 \"x", "string" },
	{ "a preprocessor", HEAD "#define k x\n.entry k" BODY, "preprocessor" },
	{ "a spliced line", HEAD "// \\\n.entry k" BODY, "backslash" },
	{ "a bare carriage return", HEAD "// \r.entry k" BODY, "carriage return" },
	{ "another kernel", HEAD ".entry kk" BODY, "no kernel of that name" },
	{ "a kernel in a comment", HEAD "// .entry k" BODY, "no kernel of that name" },
	{ "the kernel twice", HEAD ".entry k(.param .u64 a)" BODY ".entry k(.param .u8 a)" BODY,
	  "twice" },
	{ "a list without an end", HEAD ".entry k(.param .u64 a", "list of parameters" },
	{ "a parameter without a type", HEAD ".entry k(.param a)" BODY, "without a type" },
	{ "a parameter of a texture", HEAD ".entry k(.param .texref a)" BODY, "unknown type" },
	{ "an array of nothing", HEAD ".entry k(.param .b8 a[0])" BODY, "array" },
	{ "an array without size", HEAD ".entry k(.param .b8 a[])" BODY, "number" },
	{ "an array larger than memory", HEAD ".entry k(.param .u64 a[4294967296])" BODY,
	  "array" },
	{ "sizes that wrap", HEAD ".entry k(.param .u64 a[4294967295][4294967295][8])" BODY,
	  "array" },
	{ "too large parameters", HEAD ".entry k(.param .b8 a[4097])" BODY, "4096 bytes" },
	{ "an alignment of 3", HEAD ".entry k(.param .align 3 .b8 a[3])" BODY, "alignment" },
	{ "too large variables", HEAD ".global .b8 a[16777217];\n.entry k" BODY, "16 MiB" },
	{ "too large variables together",
	  HEAD ".global .b8 a[16777216];\n.const .b8 b[1];\n.entry k" BODY, "16 MiB" },
	{ "a variable behind a suffix", HEAD ".visible.global .b8 a[1000000000];\n.entry k" BODY,
	  "16 MiB" },
	{ "a variable behind a number", HEAD ".entry k { .loc 1 1 5.global .b8 a[99999999]; }",
	  "16 MiB" },
	{ "a variable in a kernel", HEAD ".entry k { .global .b8 a[99999999]; ret; }", "16 MiB" },
	{ "two variables in one", HEAD ".global .u32 a, b[99999999];\n.entry k" BODY, "two" },
	{ "two variables, the first with values",
	  HEAD ".global .b8 x[2] = {1,2}, hog[1073741824];\n.entry k" BODY, "two" },
	{ "two variables, spread out",
	  HEAD ".visible .global .align 4 .b8 y[2]\n={3,4} // ;\n, hog[4294967000];\n.entry k" BODY,
	  "two" },
	{ "two variables, the first with a value", HEAD ".const .u32 a = 1, b[99999999];\n.entry k" BODY,
	  "two" },
	{ "thirty thousand variables", HEAD ".global .b8 h<30000>;\n.entry k" BODY, "two" },
	{ "thirty thousand arrays", HEAD ".global .b8 h<30000>[1024];\n.entry k" BODY, "two" },
	{ "values without an end", HEAD ".global .b8 x[2] = {1, 2; .entry k" BODY, "values" },
	{ "a variable without an end", HEAD ".entry k" BODY ".global .b8 x[2] = {1, 2}",
	  "without an end" },
	{ "a variable behind the target", ".version 6.0\n.target sm_50.global .b8 a[1000000000];\n"
	  ".entry k" BODY, "16 MiB" },
	{ "managed memory", HEAD ".global .attribute(.managed) .u32 a;\n.entry k" BODY,
	  "unknown type" },
	{ "printf", HEAD ".extern .func (.param .b32 r) vprintf (.param .b64 a, .param .b64 b);\n"
	  ".entry k" BODY, "extern" },
	{ "the driver's malloc",
	  HEAD ".visible .func (.param .b64 r) malloc (.param .b64 x);\n.entry k" BODY, "malloc" },
	{ "the driver's malloc, weak",
	  HEAD ".weak .func (.param .b64 r) malloc (.param .b64 x);\n.entry k" BODY, "malloc" },
	{ "the driver's malloc, by itself",
	  HEAD ".func (.param .b64 r) malloc (.param .b64 x);\n.entry k" BODY, "malloc" },
	{ "the driver's free", HEAD ".func free (.param .b64 x);\n.entry k" BODY, "free" },
	{ "the driver's printf", HEAD ".func (.param .b32 r) vprintf (.param .b64 f, .param .b64 a);\n"
	  ".entry k" BODY, "printf" },
	{ "the driver's assert", HEAD ".entry k { call.uni __assertfail; ret; }", "assert" },
	{ "a launch of the device's",
	  HEAD ".func (.param .b32 r) cudaLaunchDeviceV2 (.param .b64 p);\n.entry k" BODY,
	  "launches" },
	{ "parameters of such a launch", HEAD ".entry k { call.uni cudaGetParameterBufferV2; ret; }",
	  "launches" },
	{ "a function of nobody", HEAD ".func f (.param .b64 x);\n.entry k" BODY, "without a body" },
	{ "a function of nobody's, to the end", HEAD ".entry k" BODY ".visible .func f",
	  "without a body" },
	{ "a function that swallows another", HEAD ".func f .func g" BODY ".entry k" BODY,
	  "without a body" },
	{ "a function behind the target", ".version 6.0\n.target sm_50.func f;\n.entry k" BODY,
	  "without a body" },
	{ "a function with another's body", HEAD ".func f;\n.func ff" BODY ".entry k" BODY,
	  "without a body" },
	{ "a function without a name", HEAD ".func (.param .b32 r);\n.entry k" BODY,
	  "without a name" },
	{ "a kernel without a body", HEAD ".entry k(.param .u64 a);", "without a body" },
	{ "another kernel without a body", HEAD ".entry other(.param .u64 a);\n.entry k" BODY,
	  "without a body" },
	{ "a variable from outside", HEAD ".extern .global .u32 a;\n.entry k" BODY, "extern" },
};

static void what_cannot_be_read_is_refused(void **state)
{
	struct cuda_ptx ptx;
	const char *why;
	size_t bytes;
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		/* Not a byte more, for the address sanitizer. */
		bytes = strlen(refused[i].text);
		text = malloc(bytes);
		memcpy(text, refused[i].text, bytes);
		why = cuda_ptx_read(text, bytes, "k", &ptx);
		free(text);
		if (!why || !strstr(why, refused[i].why))
			fail_msg("%s: %s", refused[i].name, why ? why : "taken");
	}
}

static void too_many_parameters_are_refused(void **state)
{
	char text[8192] = HEAD ".entry k(.param .u8 p0";
	struct cuda_ptx ptx;

	(void)state;
	for (int i = 1; i < CUDA_PTX_PARAMS_MAX; i++)
		strcat(text, ", .param .u8 p");
	strcat(text, ")" BODY);
	assert_null(cuda_ptx_read(text, strlen(text), "k", &ptx));
	assert_int_equal(ptx.nr_params, CUDA_PTX_PARAMS_MAX);
	text[strlen(text) - strlen(")" BODY)] = '\0';
	strcat(text, ", .param .u8 p)" BODY);
	assert_non_null(strstr(cuda_ptx_read(text, strlen(text), "k", &ptx), "64 parameters"));
}

/* Every prefix and every damaged byte is read to its end, and no further. */
static void damaged_texts_are_read_safely(void **state)
{
	uint64_t seed = 1;
	struct cuda_ptx ptx;

	(void)state;
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		size_t all = strlen(taken[i].text);

		for (size_t bytes = 0; bytes <= all; bytes++) {
			char *text = malloc(bytes + 1);

			memcpy(text, taken[i].text, bytes);
			text = realloc(text, bytes ? bytes : 1);
			cuda_ptx_read(text, bytes, "k", &ptx);
			for (int n = 0; n < 20 && bytes; n++) {
				seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
				text[(seed >> 33) % bytes] = " .,()[]{}\";/*#:ku0\n"[seed >> 40 & 15];
				cuda_ptx_read(text, bytes, "k", &ptx);
			}
			free(text);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(declarations_are_read),
		cmocka_unit_test(what_cannot_be_read_is_refused),
		cmocka_unit_test(too_many_parameters_are_refused),
		cmocka_unit_test(damaged_texts_are_read_safely),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
