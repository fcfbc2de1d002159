// SPDX-License-Identifier: GPL-2.0-or-later
/* The example backend of docs/backends.md. */
#include "kit.h"

#include "../../daemon/backends/example.h"

#include <string.h>

#define FEW	100ULL
#define MANY	50001ULL		/* 49 segments of the shortest */

static size_t put(uint8_t *data, uint32_t op, uint64_t bytes, uint8_t operand)
{
	const struct example_program program = {
		.magic = EXAMPLE_MAGIC, .op = op, .bytes = bytes, .operand = operand,
	};

	memcpy(data, &program, sizeof(program));
	return sizeof(program);
}

static size_t make_add(uint8_t *data)
{
	return put(data, EXAMPLE_ADD, FEW, 200);
}

static size_t make_xor(uint8_t *data)
{
	return put(data, EXAMPLE_XOR, MANY, 0x55);
}

static void fill_few(uint32_t i, uint8_t *bytes)
{
	for (uint64_t j = 0; !i && j < FEW; j++)
		bytes[j] = (uint8_t)(j * 3);
}

static void fill_many(uint32_t i, uint8_t *bytes)
{
	for (uint64_t j = 0; !i && j < MANY; j++)
		bytes[j] = (uint8_t)(j * 7 + j / 256);
}

static const char *wrong_add(uint8_t *const *before, uint8_t *const *after)
{
	for (uint64_t j = 0; j < FEW; j++)
		if (after[1][j] != (uint8_t)(before[0][j] + 200))
			return "a byte is not the sum";
	return NULL;
}

static const char *wrong_xor(uint8_t *const *before, uint8_t *const *after)
{
	for (uint64_t j = 0; j < MANY; j++)
		if (after[1][j] != (before[0][j] ^ 0x55))
			return "a byte is not the exclusive or";
	return NULL;
}

static const struct kit_program programs[] = {
	{ .name = "add", .make = make_add, .fill = fill_few, .wrong = wrong_add, .value = FEW,
	  .bindings = { { FEW, INFINI_ACCESS_READ }, { FEW, INFINI_ACCESS_WRITE } },
	  .nr_bindings = 2 },
	{ .name = "exclusive or", .make = make_xor, .fill = fill_many, .wrong = wrong_xor,
	  .value = MANY, .segments_min = 49,
	  .bindings = { { MANY, INFINI_ACCESS_READ }, { MANY, INFINI_ACCESS_WRITE } },
	  .nr_bindings = 2 },
};

static bool may_run(const uint8_t *data, size_t bytes)
{
	(void)data;
	(void)bytes;
	return true;
}

const struct backend_kit backend_kit = {
	.name = "example",
	.format = EXAMPLE_FORMAT,
	.programs = programs,
	.nr_programs = sizeof(programs) / sizeof(programs[0]),
	.may_run = may_run,
};
