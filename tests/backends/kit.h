/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the conformance suite has to be told of a backend, because it is the format's own: some
 * programs and what they compute. tests/backends/kit_NAME.c defines backend_kit for infinid-NAME.so.
 */
#ifndef INFINI_TESTS_BACKENDS_KIT_H
#define INFINI_TESTS_BACKENDS_KIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/infini.h>

#define KIT_BINDINGS_MAX	8
#define KIT_PROGRAM_BYTES	(1 << 20)

/* What the program needs, to the byte: with one byte or one right less it has to be refused. */
struct kit_binding {
	uint64_t bytes;
	uint32_t access;			/* INFINI_ACCESS_* */
};

/* A program, its arguments, and what a run of it does. No state: bytes come out the same always. */
struct kit_program {
	const char *name;
	/* Writes the program to @data, which has KIT_PROGRAM_BYTES. Returns how many it has. */
	size_t (*make)(uint8_t *data);
	struct kit_binding bindings[KIT_BINDINGS_MAX];
	uint32_t nr_bindings;
	const void *args;
	uint32_t args_bytes;
	/*
	 * Of the shortest segments: at least so many, if the device's level is SEGMENT or higher.
	 * One program of a kit has ten or more.
	 */
	uint32_t segments_min;
	uint64_t value;				/* what the run says */
	/* What binding @i holds before, where that is not zeros; optional. */
	void (*fill)(uint32_t i, uint8_t *bytes);
	/* NULL, or what is wrong: the bytes of every binding @before and @after. */
	const char *(*wrong)(uint8_t *const *before, uint8_t *const *after);
};

struct backend_kit {
	const char *name;			/* of infinid-NAME.so */
	uint32_t format;
	/* Set before the library is loaded: name, value, ... and NULL; optional. */
	const char *const *environment;
	const struct kit_program *programs;
	uint32_t nr_programs;
	/*
	 * Whether the suite may run a damaged program that was accepted, on memory of its own;
	 * optional: none. No for formats that are a chip's code, which nobody can validate.
	 */
	bool (*may_run)(const uint8_t *data, size_t bytes);
	uint32_t damaged;			/* programs to make of each; 0: 2000 */
	const char *slow;			/* devices named so: a fifth of that; optional */
	/* How many proper prefixes of a program may be programs; source text has many. */
	uint32_t prefixes_accepted;
	uint32_t loads;				/* to look for leaks with; 0: 1000 */
	/* What the vendor's library may keep of that, in bytes; as a rule 0. */
	uint64_t keeps_bytes;
	/* What held_bytes() may say more than at first when all is freed: scratch kept for next time. */
	uint64_t scratch_bytes;
};

extern const struct backend_kit backend_kit;

#endif /* INFINI_TESTS_BACKENDS_KIT_H */
