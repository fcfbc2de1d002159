// SPDX-License-Identifier: GPL-2.0-or-later
/* Every netlink command: right, wrong, without rights; events. */
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "genl.h"
#include "infini.h"
#include "world.h"

static struct genl_request request;
static struct infini_device_register reg;
static struct infini_memory_kind kinds[WORLD_KINDS];

/* A device only; the test is the administrator. */
static void setup(void)
{
	int control = infini_open(NULL);

	test_need_root();
	CHECK(control >= 0);
	world_device(&reg, kinds, "testdev");
	CHECK_ERR(infini_device_register(control, &reg), 0);
}

/* One attribute beside or instead of those that are right. */
struct attr_row {
	const char *name;
	uint16_t type;		/* 0: nothing is added */
	uint8_t bytes;
	uint64_t value;
	const char *string;	/* instead of @value */
	uint16_t without;	/* this one is left out */
	int want;
};

#define U32(type, value)	type, 4, value, NULL, type
#define U64(type, value)	type, 8, value, NULL, type
#define STRING(type, value)	type, 0, 0, value, type

static void put_row(const struct attr_row *row)
{
	if (!row->type)
		return;
	if (row->string)
		genl_put_string(&request, row->type, row->string);
	else
		genl_put(&request, row->type, &row->value, row->bytes);
}

static void take_id(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	(void)cmd;
	*(uint32_t *)arg = genl_u32(&attrs[INFINI_A_VDEV_ID]);
}

static const char name_31[] = "a234567890123456789012345678901";
static const char name_32[] = "a2345678901234567890123456789012";

static void vdev_new(void)
{
	static const struct attr_row rows[] = {
		{ .name = "as it should be" },
		{ "no name", 0, 0, 0, NULL, INFINI_A_VDEV_NAME, -EINVAL },
		{ "no device", 0, 0, 0, NULL, INFINI_A_VDEV_DEVICE_NAME, -EINVAL },
		{ "no memory limit", 0, 0, 0, NULL, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, -EINVAL },
		{ "empty name", STRING(INFINI_A_VDEV_NAME, ""), -EINVAL },
		{ "name that is a number", STRING(INFINI_A_VDEV_NAME, "42"), -EINVAL },
		{ "name with a slash", STRING(INFINI_A_VDEV_NAME, "a/b"), -EINVAL },
		{ "name with a space", STRING(INFINI_A_VDEV_NAME, "a b"), -EINVAL },
		{ "name that begins with a dash", STRING(INFINI_A_VDEV_NAME, "-a"), -EINVAL },
		{ "name that begins with a dot", STRING(INFINI_A_VDEV_NAME, ".a"), -EINVAL },
		{ "name with all that may be", STRING(INFINI_A_VDEV_NAME, "A9._-z"), 0 },
		{ "name of 31 bytes", STRING(INFINI_A_VDEV_NAME, name_31), 0 },
		{ "name of 32 bytes", STRING(INFINI_A_VDEV_NAME, name_32), -EINVAL },
		{ "unknown device", STRING(INFINI_A_VDEV_DEVICE_NAME, "nodev"), -ENODEV },
		{ "weight 0", U32(INFINI_A_VDEV_WEIGHT, 0), -EINVAL },
		{ "weight 1", U32(INFINI_A_VDEV_WEIGHT, 1), 0 },
		{ "weight 10000", U32(INFINI_A_VDEV_WEIGHT, 10000), 0 },
		{ "weight 10001", U32(INFINI_A_VDEV_WEIGHT, 10001), -EINVAL },
		{ "weight of 8 bytes", U64(INFINI_A_VDEV_WEIGHT, 1), -EINVAL },
		{ "quantum too small", U64(INFINI_A_VDEV_QUANTUM_NS, 99999), -EINVAL },
		{ "smallest quantum", U64(INFINI_A_VDEV_QUANTUM_NS, 100000), 0 },
		{ "largest quantum", U64(INFINI_A_VDEV_QUANTUM_NS, 1000000000), 0 },
		{ "quantum too large", U64(INFINI_A_VDEV_QUANTUM_NS, 1000000001), -EINVAL },
		{ "memory 0", U64(INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 0), -EINVAL },
		{ "less memory than a page", U64(INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 4095), -EINVAL },
		{ "memory of a page", U64(INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 4096), 0 },
		{ "memory of the device", U64(INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 1024 * MIB), 0 },
		{ "memory beyond the device",
		  U64(INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 1024 * MIB + 1), -ENOSPC },
		{ "memory beyond measure", U64(INFINI_A_VDEV_MEMORY_LIMIT_BYTES, UINT64_MAX),
		  -EINVAL },
		{ "mode 0777", U32(INFINI_A_VDEV_MODE, 0777), 0 },
		{ "mode 01000", U32(INFINI_A_VDEV_MODE, 01000), -EINVAL },
		{ "mode that is small in 16 bits", U32(INFINI_A_VDEV_MODE, 0x10180), -EINVAL },
		{ "class latency", U32(INFINI_A_VDEV_CLASS, INFINI_VDEV_CLASS_LATENCY), 0 },
		{ "class batch", U32(INFINI_A_VDEV_CLASS, INFINI_VDEV_CLASS_BATCH), 0 },
		{ "class 3", U32(INFINI_A_VDEV_CLASS, 3), -EINVAL },
		{ "class -1", U32(INFINI_A_VDEV_CLASS, UINT32_MAX), -EINVAL },
		{ "class of 8 bytes", U64(INFINI_A_VDEV_CLASS, 1), -EINVAL },
		{ "cap 0", U32(INFINI_A_VDEV_CAP_PPM, 0), -EINVAL },
		{ "cap just below a quantum", U32(INFINI_A_VDEV_CAP_PPM, 1999), -EINVAL },
		{ "cap of a quantum", U32(INFINI_A_VDEV_CAP_PPM, 2000), 0 },
		{ "cap of everything", U32(INFINI_A_VDEV_CAP_PPM, 1000000), 0 },
		{ "cap above everything", U32(INFINI_A_VDEV_CAP_PPM, 1000001), -EINVAL },
		{ "cap -1", U32(INFINI_A_VDEV_CAP_PPM, UINT32_MAX), -EINVAL },
		{ "floor 0", U32(INFINI_A_VDEV_FLOOR_PPM, 0), 0 },
		{ "smallest floor", U32(INFINI_A_VDEV_FLOOR_PPM, 1), 0 },
		{ "floor of everything", U32(INFINI_A_VDEV_FLOOR_PPM, 1000000), 0 },
		{ "floor above everything", U32(INFINI_A_VDEV_FLOOR_PPM, 1000001), -EINVAL },
		{ "floor -1", U32(INFINI_A_VDEV_FLOOR_PPM, UINT32_MAX), -EINVAL },
		{ "rate 0", U64(INFINI_A_VDEV_TOKENS_PER_S, 0), 0 },
		{ "rate 1", U64(INFINI_A_VDEV_TOKENS_PER_S, 1), 0 },
		{ "largest rate", U64(INFINI_A_VDEV_TOKENS_PER_S, 10000000), 0 },
		{ "rate too large", U64(INFINI_A_VDEV_TOKENS_PER_S, 10000001), -EINVAL },
		{ "rate -1", U64(INFINI_A_VDEV_TOKENS_PER_S, UINT64_MAX), -EINVAL },
		{ "rate of 4 bytes", U32(INFINI_A_VDEV_TOKENS_PER_S, 1), -EINVAL },
		{ "burst 0 without a rate", U64(INFINI_A_VDEV_TOKEN_BURST, 0), 0 },
		{ "burst without a rate", U64(INFINI_A_VDEV_TOKEN_BURST, 1), -EINVAL },
		{ "burst -1", U64(INFINI_A_VDEV_TOKEN_BURST, UINT64_MAX), -EINVAL },
		{ "overcommit", INFINI_A_VDEV_OVERCOMMIT, 0, 0, NULL, 0, 0 },
		{ "overcommit with a value", U32(INFINI_A_VDEV_OVERCOMMIT, 1), -ERANGE },
		{ "uid without gid", U32(INFINI_A_VDEV_UID, 1), -EINVAL },
		{ "gid without uid", U32(INFINI_A_VDEV_GID, 1), -EINVAL },
		{ "an attribute that is only read", U32(INFINI_A_VDEV_MINOR, 1), -EINVAL },
		{ "an attribute that nobody knows", U32(60, 1), -EINVAL },
	};
	uint32_t id;
	size_t i;

	setup();
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		int err;

		genl_begin(&request, INFINI_CMD_VDEV_NEW);
		if (rows[i].without != INFINI_A_VDEV_NAME)
			genl_put_string(&request, INFINI_A_VDEV_NAME, "row");
		if (rows[i].without != INFINI_A_VDEV_DEVICE_NAME)
			genl_put_string(&request, INFINI_A_VDEV_DEVICE_NAME, "testdev");
		if (rows[i].without != INFINI_A_VDEV_MEMORY_LIMIT_BYTES)
			genl_put_u64(&request, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, MIB);
		put_row(&rows[i]);
		id = 0;
		err = genl_talk(world_genl(), &request, false, take_id, &id);
		test_row_err(rows[i].name, err, rows[i].want);
		test_row(rows[i].name, !!world_genl()->message[0], !!err);
		if (!err)
			CHECK_ERR(genl_vdev_delete(world_genl(), id, false), 0);
	}
}

struct seen {
	uint32_t nr, id, weight, uid, gid, mode, device_id, vdev_class, cap_ppm, floor_ppm;
	int32_t minor;
	uint64_t quantum_ns, memory_limit_bytes, tokens_per_s, token_burst;
	char name[32];
};

static void take_vdev(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	struct seen *seen = arg;

	CHECK_EQ(cmd, INFINI_CMD_VDEV_GET);
	seen->nr++;
	seen->id = genl_u32(&attrs[INFINI_A_VDEV_ID]);
	seen->weight = genl_u32(&attrs[INFINI_A_VDEV_WEIGHT]);
	seen->uid = genl_u32(&attrs[INFINI_A_VDEV_UID]);
	seen->gid = genl_u32(&attrs[INFINI_A_VDEV_GID]);
	seen->mode = genl_u32(&attrs[INFINI_A_VDEV_MODE]);
	seen->device_id = genl_u32(&attrs[INFINI_A_VDEV_DEVICE_ID]);
	seen->minor = genl_u32(&attrs[INFINI_A_VDEV_MINOR]);
	seen->quantum_ns = genl_u64(&attrs[INFINI_A_VDEV_QUANTUM_NS]);
	seen->memory_limit_bytes = genl_u64(&attrs[INFINI_A_VDEV_MEMORY_LIMIT_BYTES]);
	seen->vdev_class = genl_u32(&attrs[INFINI_A_VDEV_CLASS]);
	seen->cap_ppm = genl_u32(&attrs[INFINI_A_VDEV_CAP_PPM]);
	seen->floor_ppm = genl_u32(&attrs[INFINI_A_VDEV_FLOOR_PPM]);
	seen->tokens_per_s = genl_u64(&attrs[INFINI_A_VDEV_TOKENS_PER_S]);
	seen->token_burst = genl_u64(&attrs[INFINI_A_VDEV_TOKEN_BURST]);
	snprintf(seen->name, sizeof(seen->name), "%s", (char *)attrs[INFINI_A_VDEV_NAME].data);
	CHECK(attrs[INFINI_A_VDEV_STATS].bytes);
	CHECK(attrs[INFINI_A_VDEV_DEVICE_NAME].data);
}

static int vdev_get(const char *name, uint32_t id, struct seen *seen)
{
	memset(seen, 0, sizeof(*seen));
	genl_begin(&request, INFINI_CMD_VDEV_GET);
	if (name)
		genl_put_string(&request, INFINI_A_VDEV_NAME, name);
	if (id)
		genl_put_u32(&request, INFINI_A_VDEV_ID, id);
	return genl_talk(world_genl(), &request, false, take_vdev, seen);
}

static void vdev_get_and_set(void)
{
	static const struct attr_row rows[] = {
		{ .name = "nothing" },
		{ "weight", U32(INFINI_A_VDEV_WEIGHT, 300), 0 },
		{ "weight 0", U32(INFINI_A_VDEV_WEIGHT, 0), -EINVAL },
		{ "quantum", U64(INFINI_A_VDEV_QUANTUM_NS, 5000000), 0 },
		{ "quantum 0", U64(INFINI_A_VDEV_QUANTUM_NS, 0), -EINVAL },
		{ "memory", U64(INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 2 * MIB), 0 },
		{ "memory beyond the device",
		  U64(INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 2048 * MIB), -ENOSPC },
		{ "mode", U32(INFINI_A_VDEV_MODE, 0660), 0 },
		{ "mode 01000", U32(INFINI_A_VDEV_MODE, 01000), -EINVAL },
		{ "class", U32(INFINI_A_VDEV_CLASS, INFINI_VDEV_CLASS_BATCH), 0 },
		{ "class 3", U32(INFINI_A_VDEV_CLASS, 3), -EINVAL },
		{ "cap", U32(INFINI_A_VDEV_CAP_PPM, 200000), 0 },
		{ "cap below the quantum", U32(INFINI_A_VDEV_CAP_PPM, 4999), -EINVAL },
		{ "quantum above the cap", U64(INFINI_A_VDEV_QUANTUM_NS, 200000001), -EINVAL },
		{ "floor", U32(INFINI_A_VDEV_FLOOR_PPM, 100000), 0 },
		{ "floor above the cap", U32(INFINI_A_VDEV_FLOOR_PPM, 200001), -EINVAL },
		{ "cap below the floor", U32(INFINI_A_VDEV_CAP_PPM, 99999), -EINVAL },
		{ "burst before the rate", U64(INFINI_A_VDEV_TOKEN_BURST, 50), -EINVAL },
		{ "rate", U64(INFINI_A_VDEV_TOKENS_PER_S, 100), 0 },
		{ "burst", U64(INFINI_A_VDEV_TOKEN_BURST, 50), 0 },
		{ "largest burst but one", U64(INFINI_A_VDEV_TOKEN_BURST, 1000000001), -EINVAL },
		{ "overcommit", INFINI_A_VDEV_OVERCOMMIT, 0, 0, NULL, 0, 0 },
		{ "uid without gid", U32(INFINI_A_VDEV_UID, 5), -EINVAL },
		{ "another device", STRING(INFINI_A_VDEV_DEVICE_NAME, "testdev"), -EINVAL },
	};
	struct seen seen;
	uint32_t id;
	size_t i;

	setup();
	id = world_vdev("one", "testdev", MIB, 0600);
	CHECK_ERR(vdev_get("one", 0, &seen), 0);
	CHECK_EQ(seen.nr, 1);
	CHECK_EQ(seen.id, id);
	CHECK_EQ(seen.device_id, reg.id);
	CHECK_EQ(seen.weight, 100);
	CHECK_EQ(seen.quantum_ns, 2000000);
	CHECK_EQ(seen.vdev_class, INFINI_VDEV_CLASS_NORMAL);
	CHECK_EQ(seen.cap_ppm, 1000000);
	CHECK_EQ(seen.floor_ppm, 0);
	CHECK_EQ(seen.tokens_per_s, 0);
	CHECK_EQ(seen.token_burst, 0);
	CHECK_EQ(seen.minor, (int)id);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		genl_begin(&request, INFINI_CMD_VDEV_SET);
		genl_put_string(&request, INFINI_A_VDEV_NAME, "one");
		put_row(&rows[i]);
		test_row_err(rows[i].name, genl_talk(world_genl(), &request, false, NULL, NULL),
			     rows[i].want);
	}
	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, id);
	genl_put_u32(&request, INFINI_A_VDEV_UID, 12);
	genl_put_u32(&request, INFINI_A_VDEV_GID, 13);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), 0);
	CHECK_ERR(vdev_get(NULL, id, &seen), 0);
	CHECK_EQ(seen.weight, 300);
	CHECK_EQ(seen.quantum_ns, 5000000);
	CHECK_EQ(seen.memory_limit_bytes, 2 * MIB);
	CHECK_EQ(seen.mode, 0660);
	CHECK_EQ(seen.uid, 12);
	CHECK_EQ(seen.gid, 13);
	CHECK_EQ(seen.vdev_class, INFINI_VDEV_CLASS_BATCH);
	CHECK_EQ(seen.cap_ppm, 200000);
	CHECK_EQ(seen.floor_ppm, 100000);
	CHECK_EQ(seen.tokens_per_s, 100);
	CHECK_EQ(seen.token_burst, 50);
	CHECK_ERR(vdev_get("two", 0, &seen), -ENOENT);
	CHECK_ERR(vdev_get(NULL, 999, &seen), -ENOENT);
	CHECK_ERR(vdev_get(NULL, 0, &seen), -EINVAL);
	/* A name goes before an id. */
	CHECK_ERR(vdev_get("one", 999, &seen), 0);
}

static int set_u32(uint32_t id, uint16_t type, uint32_t value)
{
	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, id);
	genl_put_u32(&request, type, value);
	return genl_talk(world_genl(), &request, false, NULL, NULL);
}

static int set_u64(uint32_t id, uint16_t type, uint64_t value)
{
	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, id);
	genl_put_u64(&request, type, value);
	return genl_talk(world_genl(), &request, false, NULL, NULL);
}

/* What a refusal says: the thing, the value, what would be right or what is left. */
static void sentences(void)
{
	static const struct {
		struct attr_row row;
		const char *words;
	} rows[] = {
		{ { "weight", U32(INFINI_A_VDEV_WEIGHT, 0), -EINVAL },
		  "weight 0 is not in 1..10000" },
		{ { "class", U32(INFINI_A_VDEV_CLASS, 7), -EINVAL },
		  "class 7 is not in 0..2 (latency, normal, batch)" },
		{ { "quantum", U64(INFINI_A_VDEV_QUANTUM_NS, 5), -EINVAL },
		  "quantum 5 is not in 100000..1000000000 ns" },
		{ { "cap", U32(INFINI_A_VDEV_CAP_PPM, 1000), -EINVAL },
		  "cap 0.1% is 1 ms a second, less than the quantum of 2 ms: at least 0.2%" },
		{ { "floor", U32(INFINI_A_VDEV_FLOOR_PPM, 600000), -ENOSPC },
		  "floor 60% of device testdev: 40% is left" },
		{ { "rate", U64(INFINI_A_VDEV_TOKENS_PER_S, 10000001), -EINVAL },
		  "token rate 10000001 is not in 0..10000000" },
		{ { "memory", U64(INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 1024 * MIB), -ENOSPC },
		  "memory 1.00 GiB of device testdev: 1023 MiB is left" },
	};
	uint32_t one;
	size_t i;

	setup();
	one = world_vdev("one", "testdev", MIB, 0600);
	world_vdev("two", "testdev", MIB, 0600);
	CHECK_ERR(set_u32(one, INFINI_A_VDEV_FLOOR_PPM, 600000), 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		genl_begin(&request, INFINI_CMD_VDEV_SET);
		genl_put_string(&request, INFINI_A_VDEV_NAME, "two");
		put_row(&rows[i].row);
		test_row_err(rows[i].row.name,
			     genl_talk(world_genl(), &request, false, NULL, NULL),
			     rows[i].row.want);
		test_row(rows[i].row.name, !!world_genl()->message[0], 1);
		if (genl_has_sentences() && strcmp(world_genl()->message, rows[i].words))
			test_fail(__FILE__, __LINE__, "\"%s\", not \"%s\"",
				  world_genl()->message, rows[i].words);
	}
}

/* One thing that is wrong, and nothing changes; not even what came before it. */
static void nothing_half_way(void)
{
	static const struct attr_row rows[] = {
		{ "cap", U32(INFINI_A_VDEV_CAP_PPM, 1), -EINVAL },
		{ "floor", U32(INFINI_A_VDEV_FLOOR_PPM, 1000001), -EINVAL },
		{ "floor of others", U32(INFINI_A_VDEV_FLOOR_PPM, 500001), -ENOSPC },
		{ "class", U32(INFINI_A_VDEV_CLASS, 3), -EINVAL },
		{ "rate", U64(INFINI_A_VDEV_TOKENS_PER_S, UINT64_MAX), -EINVAL },
		{ "burst", U64(INFINI_A_VDEV_TOKEN_BURST, 1), -EINVAL },
		{ "quantum", U64(INFINI_A_VDEV_QUANTUM_NS, 1), -EINVAL },
		{ "mode", U32(INFINI_A_VDEV_MODE, 01000), -EINVAL },
		{ "memory", U64(INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 2048 * MIB), -ENOSPC },
		{ "gid alone", U32(INFINI_A_VDEV_GID, 3), -EINVAL },
	};
	struct seen before, seen;
	uint32_t one, two;
	size_t i;

	setup();
	one = world_vdev("one", "testdev", MIB, 0600);
	two = world_vdev("two", "testdev", MIB, 0600);
	CHECK_ERR(set_u32(two, INFINI_A_VDEV_FLOOR_PPM, 500000), 0);
	CHECK_ERR(vdev_get(NULL, one, &before), 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		genl_begin(&request, INFINI_CMD_VDEV_SET);
		genl_put_u32(&request, INFINI_A_VDEV_ID, one);
		genl_put_u32(&request, INFINI_A_VDEV_WEIGHT, 7);
		if (rows[i].type != INFINI_A_VDEV_MEMORY_LIMIT_BYTES)
			genl_put_u64(&request, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 3 * MIB);
		put_row(&rows[i]);
		test_row_err(rows[i].name, genl_talk(world_genl(), &request, false, NULL, NULL),
			     rows[i].want);
		CHECK_ERR(vdev_get(NULL, one, &seen), 0);
		test_row(rows[i].name, memcmp(&seen, &before, sizeof(seen)), 0);
	}
	/* Nor does a vdev come to be. */
	genl_begin(&request, INFINI_CMD_VDEV_NEW);
	genl_put_string(&request, INFINI_A_VDEV_NAME, "three");
	genl_put_string(&request, INFINI_A_VDEV_DEVICE_NAME, "testdev");
	genl_put_u64(&request, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, MIB);
	genl_put_u32(&request, INFINI_A_VDEV_FLOOR_PPM, 500001);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), -ENOSPC);
	CHECK_ERR(vdev_get("three", 0, &seen), -ENOENT);
}

static void take_floors(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	(void)cmd;
	*(uint32_t *)arg = genl_u32(&attrs[INFINI_A_DEVICE_FLOORS_PPM]);
}

static uint32_t device_floors(void)
{
	uint32_t floors = UINT32_MAX;

	genl_begin(&request, INFINI_CMD_DEVICE_GET);
	genl_put_string(&request, INFINI_A_DEVICE_NAME, "testdev");
	CHECK_ERR(genl_talk(world_genl(), &request, false, take_floors, &floors), 0);
	return floors;
}

/* Together at most everything; a vdev gives its own back, even when it is deleted by force. */
static void floors(void)
{
	uint32_t one, two;
	int client;

	setup();
	CHECK_EQ(device_floors(), 0);
	one = world_vdev("one", "testdev", MIB, 0600);
	two = world_vdev("two", "testdev", MIB, 0600);
	CHECK_ERR(set_u32(one, INFINI_A_VDEV_FLOOR_PPM, 600000), 0);
	CHECK_ERR(set_u32(two, INFINI_A_VDEV_FLOOR_PPM, 400001), -ENOSPC);
	CHECK_ERR(set_u32(two, INFINI_A_VDEV_FLOOR_PPM, 400000), 0);
	CHECK_EQ(device_floors(), 1000000);
	CHECK_ERR(set_u32(one, INFINI_A_VDEV_FLOOR_PPM, 600001), -ENOSPC);
	CHECK_ERR(set_u32(one, INFINI_A_VDEV_FLOOR_PPM, 600000), 0);
	client = infini_client_open(NULL, "one");
	CHECK(client >= 0);
	CHECK_ERR(genl_vdev_delete(world_genl(), one, false), -EBUSY);
	CHECK_EQ(device_floors(), 1000000);
	CHECK_ERR(genl_vdev_delete(world_genl(), one, true), 0);
	CHECK_EQ(device_floors(), 400000);
	CHECK_ERR(set_u32(two, INFINI_A_VDEV_FLOOR_PPM, 1000000), 0);
	CHECK_ERR(set_u32(two, INFINI_A_VDEV_FLOOR_PPM, 0), 0);
	CHECK_EQ(device_floors(), 0);
	close(client);
}

/* A rate that goes takes its burst along. */
static void rate_and_burst(void)
{
	struct seen seen;
	uint32_t one;

	setup();
	one = world_vdev("one", "testdev", MIB, 0600);
	CHECK_ERR(set_u64(one, INFINI_A_VDEV_TOKENS_PER_S, 100), 0);
	CHECK_ERR(set_u64(one, INFINI_A_VDEV_TOKEN_BURST, 1000000000), 0);
	CHECK_ERR(set_u64(one, INFINI_A_VDEV_TOKENS_PER_S, 50), 0);
	CHECK_ERR(vdev_get(NULL, one, &seen), 0);
	CHECK_EQ(seen.tokens_per_s, 50);
	CHECK_EQ(seen.token_burst, 1000000000);
	CHECK_ERR(set_u64(one, INFINI_A_VDEV_TOKENS_PER_S, 0), 0);
	CHECK_ERR(vdev_get(NULL, one, &seen), 0);
	CHECK_EQ(seen.tokens_per_s, 0);
	CHECK_EQ(seen.token_burst, 0);
	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, one);
	genl_put_u64(&request, INFINI_A_VDEV_TOKENS_PER_S, 0);
	genl_put_u64(&request, INFINI_A_VDEV_TOKEN_BURST, 5);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), -EINVAL);
}

static void vdev_del(void)
{
	struct seen seen;
	uint32_t id;

	setup();
	id = world_vdev("one", "testdev", MIB, 0600);
	CHECK_ERR(genl_vdev_create(world_genl(), "one", "testdev", MIB, 0, 0600, &id), -EEXIST);
	genl_begin(&request, INFINI_CMD_VDEV_DEL);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), -EINVAL);
	genl_put_string(&request, INFINI_A_VDEV_NAME, "two");
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), -ENOENT);
	genl_begin(&request, INFINI_CMD_VDEV_DEL);
	genl_put_string(&request, INFINI_A_VDEV_NAME, "one");
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), 0);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), -ENOENT);
	CHECK_ERR(vdev_get("one", 0, &seen), -ENOENT);
	/* The name and the memory are free again; the id is not soon. */
	CHECK(world_vdev("one", "testdev", 1024 * MIB, 0600) != id);
}

static void without_node(void)
{
	struct seen seen;
	char path[32];
	uint32_t id;

	setup();
	genl_begin(&request, INFINI_CMD_VDEV_NEW);
	genl_put_string(&request, INFINI_A_VDEV_NAME, "hidden");
	genl_put_string(&request, INFINI_A_VDEV_DEVICE_NAME, "testdev");
	genl_put_u64(&request, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, MIB);
	genl_put(&request, INFINI_A_VDEV_NO_NODE, NULL, 0);
	CHECK_ERR(genl_talk(world_genl(), &request, false, take_id, &id), 0);
	CHECK_ERR(vdev_get("hidden", 0, &seen), 0);
	CHECK_EQ(seen.minor, -1);
	snprintf(path, sizeof(path), "/dev/infini%u", id);
	CHECK_EQ(access(path, F_OK), -1);
	CHECK(infini_client_open(NULL, "hidden") >= 0);
	world_vdev("shown", "testdev", MIB, 0600);
	CHECK_ERR(vdev_get("shown", 0, &seen), 0);
	snprintf(path, sizeof(path), "/dev/infini%d", seen.minor);
	CHECK_EQ(access(path, F_OK), 0);
}

/* More vdevs than one message holds. */
static void long_dump(void)
{
	struct genl_list list;
	char name[32];
	uint32_t i;

	setup();
	for (i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "vdev-with-a-long-name-%u", i);
		world_vdev(name, "testdev", MIB, 0600);
	}
	CHECK_ERR(genl_vdevs(world_genl(), &list), 0);
	CHECK_EQ(list.nr, 60);
	for (i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "vdev-with-a-long-name-%u", i);
		CHECK(!strcmp(list.vdevs[i].name, name));
	}
}

static void take_device(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	struct genl_attr kind[GENL_ATTRS];

	CHECK_EQ(cmd, INFINI_CMD_DEVICE_GET);
	++*(uint32_t *)arg;
	CHECK_EQ(genl_u32(&attrs[INFINI_A_DEVICE_ID]), reg.id);
	CHECK(!strcmp(attrs[INFINI_A_DEVICE_NAME].data, "testdev"));
	CHECK(!strcmp(attrs[INFINI_A_DEVICE_BACKEND].data, "null"));
	CHECK(!strcmp(attrs[INFINI_A_DEVICE_DESCRIPTION].data, "a device that is a test"));
	CHECK_EQ(genl_u32(&attrs[INFINI_A_DEVICE_CLASS]), INFINI_CLASS_CPU);
	CHECK_EQ(genl_u32(&attrs[INFINI_A_DEVICE_LEVEL]), INFINI_LEVEL_SEGMENT);
	CHECK_EQ(genl_u32(&attrs[INFINI_A_DEVICE_SLOTS]), 1);
	CHECK_EQ(genl_u32(&attrs[INFINI_A_DEVICE_NR_VDEVS]), 2);
	CHECK_EQ(*(uint8_t *)attrs[INFINI_A_DEVICE_ONLINE].data, 1);
	CHECK_EQ(genl_u64(&attrs[INFINI_A_DEVICE_MEMORY_BYTES]), 1024 * MIB);
	CHECK_EQ(genl_u64(&attrs[INFINI_A_DEVICE_MEMORY_PROMISED_BYTES]), 3 * MIB);
	CHECK_EQ(genl_u64(&attrs[INFINI_A_DEVICE_MEMORY_USED_BYTES]), 0);
	CHECK_EQ(genl_u32(&attrs[INFINI_A_DEVICE_FLOORS_PPM]), 0);
	/* Of several kinds the table holds the last. */
	genl_parse(attrs[INFINI_A_DEVICE_KIND].data, attrs[INFINI_A_DEVICE_KIND].bytes, kind);
	CHECK(!strcmp(kind[INFINI_A_KIND_NAME].data, "Small"));
	CHECK_EQ(genl_u64(&kind[INFINI_A_KIND_MAX_BYTES]), 65536);
	CHECK_EQ(genl_u64(&kind[INFINI_A_KIND_ALIGNMENT]), 1);
}

static void device_get(void)
{
	uint32_t nr = 0;

	setup();
	world_vdev("one", "testdev", MIB, 0600);
	world_vdev("two", "testdev", 2 * MIB, 0600);
	genl_begin(&request, INFINI_CMD_DEVICE_GET);
	CHECK_ERR(genl_talk(world_genl(), &request, true, take_device, &nr), 0);
	CHECK_EQ(nr, 1);
	CHECK_ERR(genl_talk(world_genl(), &request, false, take_device, &nr), -EINVAL);
	genl_put_string(&request, INFINI_A_DEVICE_NAME, "testdev");
	CHECK_ERR(genl_talk(world_genl(), &request, false, take_device, &nr), 0);
	CHECK_EQ(nr, 2);
	genl_begin(&request, INFINI_CMD_DEVICE_GET);
	genl_put_u32(&request, INFINI_A_DEVICE_ID, reg.id);
	CHECK_ERR(genl_talk(world_genl(), &request, false, take_device, &nr), 0);
	genl_begin(&request, INFINI_CMD_DEVICE_GET);
	genl_put_string(&request, INFINI_A_DEVICE_NAME, "nodev");
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), -ENOENT);
}

static void no_such_command(void)
{
	setup();
	genl_begin(&request, 99);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), -EOPNOTSUPP);
	genl_begin(&request, INFINI_CMD_EVENT_NTF);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), -EOPNOTSUPP);
}

/* Every command, by somebody who may not. */
static int unprivileged(void *arg)
{
	static const uint8_t cmds[] = {
		INFINI_CMD_DEVICE_GET, INFINI_CMD_VDEV_GET, INFINI_CMD_VDEV_NEW,
		INFINI_CMD_VDEV_SET, INFINI_CMD_VDEV_DEL,
	};
	const bool new_namespace = *(bool *)arg;
	struct genl genl;
	size_t i;
	int err;

	if (new_namespace && unshare(CLONE_NEWUSER))
		return -EPERM;
	if (genl_open(&genl))
		return -EIO;
	for (i = 0; i < ARRAY_SIZE(cmds); i++) {
		genl_begin(&request, cmds[i]);
		genl_put_string(&request, INFINI_A_VDEV_NAME, "one");
		err = genl_talk(&genl, &request, false, NULL, NULL);
		if (err != -EPERM)
			return -100 - (int)i;
	}
	if (genl_vdevs(&genl, &(struct genl_list){ 0 }) != -EPERM)
		return -110;
	return genl_join(&genl) == -EPERM ? -EPERM : -111;
}

static void nobody_may(void)
{
	bool new_namespace = false;

	setup();
	world_vdev("one", "testdev", MIB, 0600);
	CHECK_ERR(test_as_user(SELFTEST_NOBODY, unprivileged, &new_namespace), -EPERM);
	/* Root of a user namespace of one's own is nobody here. */
	new_namespace = true;
	CHECK_ERR(test_as_user(SELFTEST_NOBODY, unprivileged, &new_namespace), -EPERM);
}

/* A socket of another network namespace does not find the family. */
static void other_network(void)
{
	struct genl genl;
	int status;
	pid_t pid;

	setup();
	pid = fork();
	if (!pid) {
		if (unshare(CLONE_NEWNET))
			_exit(77);
		_exit(-genl_open(&genl));
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (WEXITSTATUS(status) == 77)
		test_skip("no network namespaces here");
	CHECK_EQ(WEXITSTATUS(status), ENOENT);
}

static void expect(struct genl *events, uint32_t type, uint32_t vdev, uint32_t pid)
{
	uint32_t got_type, got_vdev, got_pid;
	int err;

	AWAIT((err = genl_event(events, &got_type, &got_vdev, &got_pid)) != -EAGAIN);
	CHECK_ERR(err, 0);
	CHECK_EQ(got_type, type);
	CHECK_EQ(got_vdev, vdev);
	CHECK_EQ(got_pid, pid);
}

static void events(void)
{
	struct genl events;
	struct world world = { .client = -1 };
	uint32_t vdev, dummy, queue;
	struct infini_job job;
	int client;

	setup();
	world.device = reg.fd;
	world.control = infini_open(NULL);
	CHECK_ERR(genl_open(&events), 0);
	CHECK_ERR(genl_join(&events), 0);
	vdev = world.vdev = world_vdev("one", "testdev", MIB, 0600);
	expect(&events, INFINI_EVENT_VDEV_CREATED, vdev, 0);
	client = world.client = world_client(&world);
	expect(&events, INFINI_EVENT_EXECUTOR_WANTED, vdev, 0);
	world.process = world_executor_start(&world, vdev, 1, &world.fake);
	expect(&events, INFINI_EVENT_EXECUTOR_ATTACHED, vdev, world.process);
	genl_begin(&request, INFINI_CMD_VDEV_SET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, vdev);
	genl_put_u32(&request, INFINI_A_VDEV_WEIGHT, 7);
	CHECK_ERR(genl_talk(world_genl(), &request, false, NULL, NULL), 0);
	expect(&events, INFINI_EVENT_VDEV_CHANGED, vdev, 0);
	queue = queue_make(client, 1);
	job = job_program(program_make(client, 0, 1000000, 1000000));
	job.timeout_ns = 1000000;
	CHECK_ERR(submit_wait(client, queue, &job, NULL), -ETIMEDOUT);
	expect(&events, INFINI_EVENT_JOB_TIMEOUT, vdev, world.process);
	close(client);
	CHECK_ERR(genl_vdev_delete(world_genl(), vdev, false), 0);
	AWAIT(world.fake->ended || waitpid(world.process, NULL, WNOHANG));
	/* The vdev is deleted and its executor lost, in either order. */
	AWAIT(genl_event(&events, &dummy, &vdev, &queue) == 0);
	CHECK(dummy == INFINI_EVENT_VDEV_DELETED || dummy == INFINI_EVENT_EXECUTOR_LOST);
	AWAIT(genl_event(&events, &dummy, &vdev, &queue) == 0);
	close(reg.fd);
	expect(&events, INFINI_EVENT_DEVICE_OFFLINE, 0, 0);
	CHECK_ERR(infini_device_register(world.control, &reg), 0);
	expect(&events, INFINI_EVENT_DEVICE_ONLINE, 0, 0);
	CHECK_ERR(genl_event(&events, &dummy, &dummy, &dummy), -EAGAIN);
}

/* The next event of @type, whatever comes before, says why. */
static void expect_why(struct genl *events, uint32_t type, const char *reason)
{
	uint32_t got = 0, vdev, pid;
	int err;

	while (got != type) {
		AWAIT((err = genl_event(events, &got, &vdev, &pid)) != -EAGAIN);
		CHECK_ERR(err, 0);
	}
	CHECK(!strcmp(events->reason, reason));
}

static int executor_by_hand(uint32_t vdev)
{
	struct infini_executor_attach attach = {
		.protocol = INFINI_PROTOCOL_VERSION, .window = 1,
	};
	int fd = infini_executor_create(reg.fd, vdev);

	CHECK(fd >= 0);
	CHECK_ERR(infini_executor_attach(fd, &attach), 0);
	return fd;
}

static void interrupted(int signal)
{
	(void)signal;
}

static void *sleep_in_exchange(void *fd)
{
	static char payload[1 << 20];
	struct infini_dispatch dispatch;
	struct infini_exchange arg = {
		.dispatches = (uintptr_t)&dispatch,
		.nr_dispatches = 1,
		.dispatches_stride = sizeof(dispatch),
		.payload = (uintptr_t)payload,
		.payload_bytes = sizeof(payload),
	};

	infini_exchange(*(int *)fd, &arg);
	return NULL;
}

/* Whichever thread dies can say why, while another waits for work. */
static void end_reason_of_another_thread(struct genl *events, uint32_t vdev)
{
	struct sigaction action = { .sa_handler = interrupted };
	int fd = executor_by_hand(vdev);
	pthread_t thread;

	CHECK_EQ(sigaction(SIGUSR1, &action, NULL), 0);
	CHECK_EQ(pthread_create(&thread, NULL, sleep_in_exchange, &fd), 0);
	usleep(100000);
	/* It sleeps until it is interrupted: who had to wait for it would be ended here. */
	alarm(60);
	CHECK_ERR(infini_end_reason(fd, "a thread gave up"), 0);
	alarm(0);
	CHECK_EQ(pthread_kill(thread, SIGUSR1), 0);
	CHECK_EQ(pthread_join(thread, NULL), 0);
	close(fd);
	expect_why(events, INFINI_EVENT_EXECUTOR_LOST, "a thread gave up");
}

static void end_reasons(void)
{
	char longest[INFINI_END_REASON_MAX + 40];
	struct world world = { .client = -1 };
	struct genl events;
	uint32_t vdev;
	int fd;

	setup();
	world.device = reg.fd;
	world.control = infini_open(NULL);
	CHECK_ERR(genl_open(&events), 0);
	CHECK_ERR(genl_join(&events), 0);
	vdev = world_vdev("one", "testdev", MIB, 0600);
	fd = executor_by_hand(vdev);
	CHECK_ERR(infini_end_reason(fd, "too hot"), 0);
	CHECK_ERR(infini_end_reason(fd, "on fire\n\x9b"), 0);
	close(fd);
	expect_why(&events, INFINI_EVENT_EXECUTOR_LOST, "on fire??");
	close(executor_by_hand(vdev));
	expect_why(&events, INFINI_EVENT_EXECUTOR_LOST, "");
	fd = executor_by_hand(vdev);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	CHECK_ERR(infini_end_reason(fd, longest), 0);
	close(fd);
	longest[INFINI_END_REASON_MAX - 1] = '\0';
	expect_why(&events, INFINI_EVENT_EXECUTOR_LOST, longest);
	end_reason_of_another_thread(&events, vdev);
	world.process = world_executor_start(&world, vdev, 1, &world.fake);
	kill(world.process, SIGKILL);
	expect_why(&events, INFINI_EVENT_EXECUTOR_LOST, "killed by signal 9");
	CHECK_ERR(genl_vdev_delete(world_genl(), vdev, false), 0);
	CHECK_ERR(infini_end_reason(reg.fd, "pulled out"), 0);
	close(reg.fd);
	expect_why(&events, INFINI_EVENT_DEVICE_OFFLINE, "pulled out");
	CHECK_ERR(infini_device_register(world.control, &reg), 0);
	close(reg.fd);
	expect_why(&events, INFINI_EVENT_DEVICE_OFFLINE, "");
}

/* Sums and counts of a vdev's token times. */
struct times {
	uint64_t ttft_ns, first_tokens, itl_ns, next_tokens;
};

static uint64_t count(const struct genl_attr *hist)
{
	uint64_t bucket, sum = 0;
	size_t i;

	CHECK_EQ(hist->bytes, INFINI_HIST_BUCKETS * sizeof(bucket));
	for (i = 0; i < INFINI_HIST_BUCKETS; i++) {
		memcpy(&bucket, (const char *)hist->data + i * sizeof(bucket), sizeof(bucket));
		sum += bucket;
	}
	return sum;
}

static void take_times(uint8_t cmd, const struct genl_attr *attrs, void *arg)
{
	struct genl_attr stats[GENL_ATTRS];
	struct times *times = arg;

	(void)cmd;
	genl_parse(attrs[INFINI_A_VDEV_STATS].data, attrs[INFINI_A_VDEV_STATS].bytes, stats);
	times->ttft_ns = genl_u64(&stats[INFINI_A_STATS_TTFT_NS]);
	times->first_tokens = count(&stats[INFINI_A_STATS_TTFT_HIST]);
	times->itl_ns = genl_u64(&stats[INFINI_A_STATS_ITL_NS]);
	times->next_tokens = count(&stats[INFINI_A_STATS_ITL_HIST]);
}

/* A job of request 7 that takes 2 ms and brings these tokens. */
static void bring(struct world *world, uint32_t queue, uint32_t evaluated, uint32_t generated,
		  uint32_t prompts)
{
	struct infini_result result = {
		.tokens_evaluated = evaluated, .tokens_generated = generated, .prompts = prompts,
	};
	struct infini_exchange arg = {
		.results = (uintptr_t)&result, .nr_results = 1, .results_stride = sizeof(result),
	};
	struct infini_job job = job_nop();
	struct infini_dispatch dispatch;

	job.request_id = 7;
	submit_one(world->client, queue, &job);
	hand_take(world, &dispatch);
	result.dispatch = dispatch.dispatch;
	usleep(2000);
	CHECK_ERR(infini_exchange(world->executor, &arg), 0);
}

/* A prompt in two parts, a token, one more beside two prompts that end, one more of all three. */
static void token_times(void)
{
	struct times times;
	struct world world;
	uint32_t queue;

	world_make(&world, &(struct setup){ .executor = WORLD_BY_HAND });
	queue = queue_make(world.client, 4);
	bring(&world, queue, 512, 0, 0);
	bring(&world, queue, 88, 1, 1);
	bring(&world, queue, 1, 1, 0);
	bring(&world, queue, 21, 3, 2);
	bring(&world, queue, 3, 3, 0);
	genl_begin(&request, INFINI_CMD_VDEV_GET);
	genl_put_u32(&request, INFINI_A_VDEV_ID, world.vdev);
	CHECK_ERR(genl_talk(world_genl(), &request, false, take_times, &times), 0);
	CHECK_EQ(times.first_tokens, 3);
	CHECK_EQ(times.next_tokens, 1 + 1 + 3);
	/* The first prompt took two jobs, the others one: 2 ms each, at least. */
	CHECK(times.ttft_ns >= 8000000);
	CHECK(times.itl_ns >= 10000000);
}

static const struct test tests[] = {
	{ "VDEV_NEW: right and wrong", vdev_new },
	{ "VDEV_GET and VDEV_SET: right and wrong", vdev_get_and_set },
	{ "what a refusal says", sentences },
	{ "nothing changes half-way", nothing_half_way },
	{ "floors are promised together and given back", floors },
	{ "a token rate and its burst", rate_and_burst },
	{ "VDEV_DEL: right and wrong", vdev_del },
	{ "a vdev without a node", without_node },
	{ "a list longer than a message", long_dump },
	{ "DEVICE_GET", device_get },
	{ "commands that are none", no_such_command },
	{ "nothing without CAP_SYS_ADMIN", nobody_may },
	{ "nothing in another network namespace", other_network },
	{ "events, in order", events },
	{ "why an executor was lost, or a device", end_reasons },
	{ "times to first tokens and between tokens", token_times },
};

TEST_MAIN(tests)
