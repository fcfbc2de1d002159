// SPDX-License-Identifier: GPL-2.0-or-later
/* The null backend: programs that count their segments. */
#include "kit.h"

#include <infini/null.h>
#include <string.h>

#define SEGMENTS	24

static size_t put(uint8_t *data, const struct infini_null_program *program)
{
	memcpy(data, program, sizeof(*program));
	return sizeof(*program);
}

static size_t make_tokens(uint8_t *data)
{
	return put(data, &(struct infini_null_program){
		.magic = INFINI_NULL_MAGIC, .segments = 1, .tokens_evaluated = 7,
		.tokens_generated = 2, .prompts = 1, .tokens_scored = 3, .tokens_embedded = 4,
	});
}

static size_t make_count(uint8_t *data)
{
	return put(data, &(struct infini_null_program){
		.magic = INFINI_NULL_MAGIC, .flags = INFINI_NULL_F_COUNT, .segments = SEGMENTS,
	});
}

static const char *counted(uint8_t *const *before, uint8_t *const *after)
{
	uint64_t from, to;

	memcpy(&from, before[0], sizeof(from));
	memcpy(&to, after[0], sizeof(to));
	return to - from == SEGMENTS ? NULL : "it did not count each segment once";
}

static const uint64_t no_time;

static const struct kit_program programs[] = {
	{ .name = "tokens", .make = make_tokens, .value = 1 },
	{ .name = "segments, counted", .make = make_count, .segments_min = SEGMENTS,
	  .args = &no_time, .args_bytes = sizeof(no_time), .value = SEGMENTS,
	  .bindings = { { sizeof(uint64_t), INFINI_ACCESS_WRITE } }, .nr_bindings = 1,
	  .wrong = counted },
};

/* Not one that crashes on purpose, or sleeps for long. */
static bool may_run(const uint8_t *data, size_t bytes)
{
	struct infini_null_program program = { 0 };

	memcpy(&program, data, bytes);
	return !(program.flags & INFINI_NULL_F_CRASH) && program.segment_ns < 1000 &&
	       (!(program.flags & INFINI_NULL_F_DEAF) || program.segments < 1000);
}

const struct backend_kit backend_kit = {
	.name = "null",
	.format = INFINI_FORMAT_NULL,
	.programs = programs,
	.nr_programs = sizeof(programs) / sizeof(programs[0]),
	.may_run = may_run,
	.prefixes_accepted = 1,		/* without the counts of tokens, as older clients send it */
};
