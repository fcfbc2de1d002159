// SPDX-License-Identifier: GPL-2.0-or-later
/* Buffers: each case is tried with every kind of memory that the device has. */
#include "world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BIG		((3ULL << 20) + 4096)	/* more than anyone copies at once, and a page */
#define HUGE_BYTES	(1ULL << 50)
#define EQUAL(a, b, bytes) (!memcmp(a, b, bytes))

static uint8_t *pattern(uint64_t bytes, uint64_t seed)
{
	uint8_t *data = malloc(bytes);

	for (uint64_t i = 0; i < bytes; i++)
		data[i] = (uint8_t)next_random(&seed);
	return data;
}

/* @memory can hold what a client writes. */
static void each_memory(struct world *world,
			void (*run)(struct world *world, const struct memory *memory))
{
	world_open(world);
	for (uint32_t i = 0; i < world->nr_memories; i++)
		if (!world->memories[i].is_weights)
			run(world, &world->memories[i]);
	world_is_as_before(world);
	world_close(world);
}

static void make(struct world *world, const struct memory *memory, uint64_t bytes,
		 struct infini_backend_buffer *buffer)
{
	int ret = buffer_make(world, memory, bytes, buffer);

	CHECK(!ret, "%s: a buffer of %llu bytes: %s", memory->name, (unsigned long long)bytes,
	      strerror(-ret));
}

/* ---- what a buffer holds ---- */

static void zeroed_in(struct world *world, const struct memory *memory)
{
	static const uint64_t sizes[] = { 4096, 8192, BIG };
	struct infini_backend_buffer buffer;

	for (int i = 0; i < 9; i++) {
		uint64_t bytes = sizes[i % 3];
		uint8_t *data = pattern(bytes, 1), *zeros = calloc(1, bytes);

		make(world, memory, bytes, &buffer);
		buffer_get(world, &buffer, 0, data, bytes);
		CHECK(EQUAL(data, zeros, bytes), "%s: %llu new bytes are not zero", memory->name,
		      (unsigned long long)bytes);
		/* The next buffer may well get the same memory. */
		memset(data, 0x5a, bytes);
		buffer_put(world, &buffer, 0, data, bytes);
		buffer_drop(world, &buffer);
		free(data);
		free(zeros);
	}
}

static void zeroed(struct world *world)
{
	each_memory(world, zeroed_in);
}

static const struct {
	uint64_t offset, bytes;
} ranges[] = {
	{ 0, 0 }, { 0, 1 }, { 1, 1 }, { 3, 5 }, { 63, 66 }, { 4095, 2 }, { 4096, 4096 },
	{ 1, 1 << 20 }, { (1 << 20) - 1, (1 << 20) + 3 }, { 0, BIG }, { 7, BIG - 14 },
	{ BIG - 1, 1 }, { BIG, 0 },
};

#define NR_RANGES (sizeof(ranges) / sizeof(ranges[0]))

static void written_in(struct world *world, const struct memory *memory)
{
	uint8_t *expected = calloc(1, BIG), *found = malloc(BIG), *part;
	struct infini_backend_buffer buffer;
	int ret;

	make(world, memory, BIG, &buffer);
	for (size_t i = 0; i < NR_RANGES; i++) {
		uint64_t offset = ranges[i].offset, bytes = ranges[i].bytes;

		part = pattern(bytes + 1, i);
		memcpy(expected + offset, part, bytes);
		ret = finished(world, world->ops->write(world->backend, &buffer, offset, part,
							bytes));
		CHECK(!ret, "%s: write: %s", memory->name, strerror(-ret));
		buffer_get(world, &buffer, 0, found, BIG);
		CHECK(EQUAL(expected, found, BIG), "%s: %llu bytes written at %llu", memory->name,
		      (unsigned long long)bytes, (unsigned long long)offset);
		memset(part, 0, bytes);
		ret = world->ops->read(world->backend, &buffer, offset, part, bytes);
		CHECK(!ret && EQUAL(expected + offset, part, bytes), "%s: %llu bytes read at %llu",
		      memory->name, (unsigned long long)bytes, (unsigned long long)offset);
		free(part);
	}
	buffer_drop(world, &buffer);
	free(expected);
	free(found);
}

static void written(struct world *world)
{
	each_memory(world, written_in);
}

static void filled_in(struct world *world, const struct memory *memory)
{
	uint8_t *expected = calloc(1, BIG), *found = malloc(BIG);
	struct infini_backend_buffer buffer;
	int ret;

	make(world, memory, BIG, &buffer);
	for (size_t i = 0; i < NR_RANGES; i++) {
		memset(expected + ranges[i].offset, (int)(0xf1 + i), ranges[i].bytes);
		ret = finished(world, world->ops->fill(world->backend, &buffer, ranges[i].offset,
						       (uint8_t)(0xf1 + i), ranges[i].bytes));
		CHECK(!ret, "%s: fill: %s", memory->name, strerror(-ret));
		buffer_get(world, &buffer, 0, found, BIG);
		CHECK(EQUAL(expected, found, BIG), "%s: %llu bytes filled at %llu", memory->name,
		      (unsigned long long)ranges[i].bytes, (unsigned long long)ranges[i].offset);
	}
	buffer_drop(world, &buffer);
	free(expected);
	free(found);
}

static void filled(struct world *world)
{
	each_memory(world, filled_in);
}

/* ---- copies ---- */

static void overlapping_in(struct world *world, const struct memory *memory)
{
	static const struct { uint64_t to, from, bytes; } moves[] = {
		{ 0, 1, 100 }, { 1, 0, 100 }, { 5, 5, 100 }, { 0, 4096, 1 << 20 },
		{ 4096, 0, 1 << 20 }, { 1, 0, BIG - 1 }, { 0, 1, BIG - 1 },
		{ 1 << 20, 3, 2 << 20 }, { 3, 1 << 20, 2 << 20 }, { 0, 0, 0 },
	};
	uint8_t *expected = pattern(BIG, 2), *found = malloc(BIG);
	struct infini_backend_buffer buffer;
	int ret;

	make(world, memory, BIG, &buffer);
	buffer_put(world, &buffer, 0, expected, BIG);
	for (size_t i = 0; i < sizeof(moves) / sizeof(moves[0]); i++) {
		memmove(expected + moves[i].to, expected + moves[i].from, moves[i].bytes);
		ret = finished(world, world->ops->copy(world->backend, &buffer, moves[i].to,
						       &buffer, moves[i].from, moves[i].bytes));
		CHECK(!ret, "%s: copy: %s", memory->name, strerror(-ret));
		buffer_get(world, &buffer, 0, found, BIG);
		CHECK(EQUAL(expected, found, BIG), "%s: %llu bytes from %llu to %llu",
		      memory->name, (unsigned long long)moves[i].bytes,
		      (unsigned long long)moves[i].from, (unsigned long long)moves[i].to);
	}
	buffer_drop(world, &buffer);
	free(expected);
	free(found);
}

static void overlapping(struct world *world)
{
	each_memory(world, overlapping_in);
}

static void copy_between(struct world *world, const struct memory *to, const struct memory *from)
{
	uint8_t *source = pattern(BIG, 3), *expected = pattern(BIG, 4), *found = malloc(BIG);
	struct infini_backend_buffer dst, src;
	int ret;

	make(world, to, BIG, &dst);
	make(world, from, BIG, &src);
	buffer_put(world, &dst, 0, expected, BIG);
	buffer_put(world, &src, 0, source, BIG);
	for (size_t i = 0; i < NR_RANGES; i++) {
		uint64_t bytes = ranges[i].bytes, at = ranges[NR_RANGES - 1 - i].offset;

		if (bytes > BIG - at)
			bytes = BIG - at;
		memcpy(expected + at, source + ranges[i].offset, bytes);
		ret = world->ops->copy(world->backend, &dst, at, &src, ranges[i].offset, bytes);
		CHECK(!ret, "%s to %s: %s", from->name, to->name, strerror(-ret));
	}
	CHECK(!finished(world, 0), "%s to %s: it failed late", from->name, to->name);
	buffer_get(world, &dst, 0, found, BIG);
	CHECK(EQUAL(expected, found, BIG), "%s to %s", from->name, to->name);
	buffer_get(world, &src, 0, found, BIG);
	CHECK(EQUAL(source, found, BIG), "%s to %s: the source changed", from->name, to->name);
	buffer_drop(world, &src);
	buffer_drop(world, &dst);
	free(source);
	free(expected);
	free(found);
}

static void copied(struct world *world)
{
	world_open(world);
	for (uint32_t i = 0; i < world->nr_memories; i++)
		for (uint32_t j = 0; j < world->nr_memories; j++)
			if (!world->memories[i].is_weights && !world->memories[j].is_weights)
				copy_between(world, &world->memories[i], &world->memories[j]);
	world_is_as_before(world);
	world_close(world);
}

/* ---- anything at all ---- */

#define MIXED		8
#define MIXED_BYTES	70000ULL

/* What was written stays until the backend has finished. */
struct pending {
	uint8_t *data[16];
	uint32_t nr;
};

static void pending_end(struct world *world, struct pending *pending)
{
	CHECK(!finished(world, 0), "an operation failed late");
	while (pending->nr)
		free(pending->data[--pending->nr]);
}

static void mixed_step(struct world *world, struct infini_backend_buffer *buffers,
		       uint8_t *const *shadows, struct pending *pending, uint64_t *seed)
{
	uint32_t to = next_random(seed) % MIXED, from = next_random(seed) % MIXED;
	uint64_t at = next_random(seed) % MIXED_BYTES, start = next_random(seed) % MIXED_BYTES;
	uint64_t most = MIXED_BYTES - (at > start ? at : start);
	uint64_t bytes = next_random(seed) % (most + 1);
	uint8_t value = (uint8_t)next_random(seed), *data;
	int ret;

	switch (next_random(seed) % 3) {
	case 0:
		data = pattern(bytes + 1, *seed);
		memcpy(shadows[to] + at, data, bytes);
		ret = world->ops->write(world->backend, &buffers[to], at, data, bytes);
		pending->data[pending->nr++] = data;
		if (pending->nr == sizeof(pending->data) / sizeof(pending->data[0]))
			pending_end(world, pending);
		break;
	case 1:
		memset(shadows[to] + at, value, bytes);
		ret = world->ops->fill(world->backend, &buffers[to], at, value, bytes);
		break;
	default:
		memmove(shadows[to] + at, shadows[from] + start, bytes);
		ret = world->ops->copy(world->backend, &buffers[to], at, &buffers[from], start,
				       bytes);
	}
	CHECK(!ret, "seed %llu: %s", (unsigned long long)*seed, strerror(-ret));
}

static void mixed(struct world *world)
{
	struct infini_backend_buffer buffers[MIXED];
	uint8_t *shadows[MIXED], *found = malloc(MIXED_BYTES);
	struct pending pending = { .nr = 0 };
	uint64_t seed = 1;

	world_open(world);
	for (uint32_t i = 0, j = 0; i < MIXED; j++) {
		const struct memory *memory = &world->memories[j % world->nr_memories];

		if (memory->is_weights)
			continue;
		make(world, memory, MIXED_BYTES, &buffers[i]);
		shadows[i++] = calloc(1, MIXED_BYTES);
	}
	for (int i = 0; i < 1000; i++)
		mixed_step(world, buffers, shadows, &pending, &seed);
	pending_end(world, &pending);
	for (uint32_t i = 0; i < MIXED; i++) {
		buffer_get(world, &buffers[i], 0, found, MIXED_BYTES);
		CHECK(EQUAL(shadows[i], found, MIXED_BYTES), "buffer %u", i);
		buffer_drop(world, &buffers[i]);
		free(shadows[i]);
	}
	free(found);
	world_is_as_before(world);
	world_close(world);
}

/* ---- limits ---- */

static void refused_in(struct world *world, const struct memory *memory, uint64_t bytes)
{
	struct infini_backend_buffer buffer;
	uint8_t byte = 1;
	int ret = buffer_make(world, memory, bytes, &buffer);

	CHECK(ret == -ENOMEM || (ret == -EINVAL && memory->max_bytes), "%s: %llu bytes: %s",
	      memory->name, (unsigned long long)bytes, ret ? strerror(-ret) : "it has them");
	if (memory->is_weights)
		return;
	make(world, memory, 1, &buffer);
	buffer_put(world, &buffer, 0, &byte, 1);
	buffer_get(world, &buffer, 0, &byte, 1);
	CHECK(byte == 1, "%s: the next buffer does not hold a byte", memory->name);
	buffer_drop(world, &buffer);
}

static void too_large(struct world *world)
{
	world_open(world);
	for (uint32_t i = 0; i < world->nr_memories; i++) {
		const struct memory *memory = &world->memories[i];

		if (memory->is_mapped)
			continue;
		refused_in(world, memory, HUGE_BYTES);
		if (memory->max_bytes)
			refused_in(world, memory, memory->max_bytes + 1);
	}
	world_is_as_before(world);
	world_close(world);
}

static void unknown_kind(struct world *world)
{
	struct infini_backend_buffer buffer = {
		.id = 1, .type = INFINI_BUFFER_DEVICE, .kind = world->device.nr_kinds,
		.bytes = 4096,
	};
	int ret;

	world_open(world);
	ret = world->ops->buffer_add(world->backend, &buffer);
	CHECK(ret == -EINVAL, "kind %u of %u: %d", buffer.kind, world->device.nr_kinds, ret);
	world_is_as_before(world);
	world_close(world);
}

/* They take tensors, not bytes; whatever they say to bytes, they stay usable. */
static void weights(struct world *world)
{
	struct infini_backend_buffer buffer;
	uint32_t tried = 0;
	uint8_t byte = 0;
	int ret;

	world_open(world);
	for (uint32_t i = 0; i < world->nr_memories; i++) {
		if (!world->memories[i].is_weights)
			continue;
		tried++;
		make(world, &world->memories[i], 4096, &buffer);
		ret = world->ops->write(world->backend, &buffer, 1, &byte, 1);
		CHECK(!ret || ret == -EOPNOTSUPP, "%s: write: %d", world->memories[i].name, ret);
		ret = world->ops->read(world->backend, &buffer, 1, &byte, 1);
		CHECK(!ret || ret == -EOPNOTSUPP, "%s: read: %d", world->memories[i].name, ret);
		ret = finished(world, world->ops->fill(world->backend, &buffer, 0, 0, 4096));
		CHECK(!ret, "%s: clear: %d", world->memories[i].name, ret);
		buffer_drop(world, &buffer);
	}
	world_is_as_before(world);
	world_close(world);
	if (!tried)
		skip("the device has no memory for weights");
}

static void a_thousand_in(struct world *world, const struct memory *memory)
{
	struct infini_backend_buffer *buffers = calloc(100, sizeof(*buffers));
	size_t before = allocated_bytes(), grown;

	for (uint32_t i = 0; i < 1000; i++) {
		if (i >= 100)
			buffer_drop(world, &buffers[i * 7 % 100]);
		make(world, memory, 4096, &buffers[i * 7 % 100]);
		if (i == 199)
			before = allocated_bytes();
	}
	grown = allocated_bytes() > before ? allocated_bytes() - before : 0;
	CHECK(grown <= 800 * 8 + backend_kit.keeps_bytes, "%s: %zu bytes are kept of 800 buffers",
	      memory->name, grown);
	for (uint32_t i = 0; i < 100; i++)
		buffer_drop(world, &buffers[i]);
	free(buffers);
}

static void a_thousand(struct world *world)
{
	each_memory(world, a_thousand_in);
}

const struct row memory_rows[] = {
	{ "buffers begin as zeros, also where others were before", zeroed },
	{ "bytes are written and read at any offset", written },
	{ "bytes are filled at any offset", filled },
	{ "ranges of one buffer that overlap are moved", overlapping },
	{ "bytes are copied from every kind of memory to every other", copied },
	{ "a thousand writes, fills and copies at random", mixed },
	{ "too large a buffer is refused, and the next one is not", too_large },
	{ "memory of an unknown kind is refused", unknown_kind },
	{ "memory for weights takes no bytes, or keeps them", weights },
	{ "a thousand buffers leave nothing", a_thousand },
	{ NULL, NULL },
};
