// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Which options a stranger may give to the OpenCL compiler: those of the standard that change how a
 * kernel computes, and macros. None that names a file or is a driver's own.
 */
#include "opencl_options.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Without it nobody could check that parameters are what the program says. */
#define ALWAYS		"-cl-kernel-arg-info"

static const char *const words[] = {
	"-cl-std=CL1.1", "-cl-std=CL1.2", "-cl-std=CL2.0", "-cl-std=CL3.0",
	"-cl-single-precision-constant", "-cl-denorms-are-zero",
	"-cl-fp32-correctly-rounded-divide-sqrt", "-cl-opt-disable", "-cl-mad-enable",
	"-cl-no-signed-zeros", "-cl-unsafe-math-optimizations", "-cl-finite-math-only",
	"-cl-fast-relaxed-math", "-cl-uniform-work-group-size", "-w",
};

/* -DNAME or -DNAME=VALUE, without anything that a shell or an option parser could take apart. */
static bool is_macro(const char *word, size_t length)
{
	size_t i = 2;

	if (length < 3 || memcmp(word, "-D", 2) || isdigit((unsigned char)word[2]))
		return false;
	while (i < length && (isalnum((unsigned char)word[i]) || word[i] == '_'))
		i++;
	if (i == 2 || (i < length && word[i] != '='))
		return false;
	for (i++; i < length; i++) {
		if (!isalnum((unsigned char)word[i]) && !strchr("_.+-", word[i]))
			return false;
	}
	return true;
}

static bool is_allowed(const char *word, size_t length)
{
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i]) == length && !memcmp(word, words[i], length))
			return true;
	}
	return is_macro(word, length);
}

bool infini_opencl_options(const char *options, size_t bytes, char out[INFINI_OPENCL_OPTIONS_MAX],
			   char *bad, size_t bad_bytes)
{
	const char *blank;
	size_t at, length;

	if (bytes > INFINI_OPENCL_OPTIONS_MAX - sizeof(ALWAYS) - 1) {
		snprintf(bad, bad_bytes, "%zu bytes of them", bytes);
		return false;
	}
	for (at = 0; at < bytes; at += length + 1) {
		blank = memchr(options + at, ' ', bytes - at);
		length = blank ? (size_t)(blank - options) - at : bytes - at;
		if (!is_allowed(options + at, length)) {
			snprintf(bad, bad_bytes, "\"%.*s\"", (int)length, options + at);
			return false;
		}
	}
	snprintf(out, INFINI_OPENCL_OPTIONS_MAX, "%s %.*s", ALWAYS, (int)bytes, options);
	return true;
}
