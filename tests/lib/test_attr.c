// SPDX-License-Identifier: GPL-2.0-or-later
/* libinfini-admin: messages of the module become structs, malformed ones an error. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin.h"

#define FAMILY	30

static struct nl_msg *message(int cmd)
{
	struct nl_msg *msg = nlmsg_alloc_size(8192);

	assert_non_null(msg);
	assert_non_null(genlmsg_put(msg, 0, 1, FAMILY, 0, 0, cmd, INFINI_GENL_VERSION));
	return msg;
}

static void put_kind(struct nl_msg *msg, const char *name, uint32_t flags)
{
	struct nlattr *nest = nla_nest_start(msg, INFINI_A_DEVICE_KIND);

	nla_put_string(msg, INFINI_A_KIND_NAME, name);
	nla_put_u32(msg, INFINI_A_KIND_FLAGS, flags);
	nla_put_u64(msg, INFINI_A_KIND_ALIGNMENT, 64);
	nla_put_u64(msg, INFINI_A_KIND_MAX_BYTES, 1ull << 33);
	nla_nest_end(msg, nest);
}

static void test_device(void **state)
{
	struct nl_msg *msg = message(INFINI_CMD_DEVICE_GET);
	struct infini_admin_device device;

	(void)state;
	nla_put_u32(msg, INFINI_A_DEVICE_ID, 2);
	nla_put_string(msg, INFINI_A_DEVICE_NAME, "cpu0");
	nla_put_string(msg, INFINI_A_DEVICE_BACKEND, "ggml");
	nla_put_string(msg, INFINI_A_DEVICE_DESCRIPTION, "a processor");
	nla_put_u32(msg, INFINI_A_DEVICE_CLASS, INFINI_CLASS_NPU);
	nla_put_u32(msg, INFINI_A_DEVICE_LEVEL, INFINI_LEVEL_SEGMENT);
	nla_put_u32(msg, INFINI_A_DEVICE_SLOTS, 3);
	nla_put_u32(msg, INFINI_A_DEVICE_NR_VDEVS, 4);
	nla_put_u8(msg, INFINI_A_DEVICE_ONLINE, 1);
	nla_put_u64(msg, INFINI_A_DEVICE_MEMORY_BYTES, 1ull << 40);
	nla_put_u64(msg, INFINI_A_DEVICE_MEMORY_PROMISED_BYTES, 5);
	nla_put_u64(msg, INFINI_A_DEVICE_MEMORY_USED_BYTES, 6);
	nla_put_u64(msg, INFINI_A_DEVICE_OCCUPANCY_NS, 7);
	nla_put_u32(msg, INFINI_A_DEVICE_FLOORS_PPM, 600000);
	put_kind(msg, "CPU", INFINI_MEMORY_F_UNIFIED);
	put_kind(msg, "CPU_REPACK", INFINI_MEMORY_F_WEIGHTS);
	assert_int_equal(infini_device_parse(nlmsg_hdr(msg), &device), 0);
	assert_int_equal(device.id, 2);
	assert_string_equal(device.name, "cpu0");
	assert_string_equal(device.backend, "ggml");
	assert_string_equal(device.description, "a processor");
	assert_int_equal(device.device_class, INFINI_CLASS_NPU);
	assert_int_equal(device.level, INFINI_LEVEL_SEGMENT);
	assert_int_equal(device.slots, 3);
	assert_int_equal(device.nr_vdevs, 4);
	assert_true(device.online);
	assert_int_equal(device.memory_bytes, 1ull << 40);
	assert_int_equal(device.memory_promised_bytes, 5);
	assert_int_equal(device.memory_used_bytes, 6);
	assert_int_equal(device.occupancy_ns, 7);
	assert_int_equal(device.floors_ppm, 600000);
	assert_int_equal(device.nr_kinds, 2);
	assert_string_equal((char *)device.kinds[1].name, "CPU_REPACK");
	assert_int_equal(device.kinds[1].flags, INFINI_MEMORY_F_WEIGHTS);
	assert_int_equal(device.kinds[1].alignment, 64);
	assert_int_equal(device.kinds[1].max_bytes, 1ull << 33);
	nlmsg_free(msg);
}

static void test_device_too_many_kinds(void **state)
{
	struct nl_msg *msg = message(INFINI_CMD_DEVICE_GET);
	struct infini_admin_device device;

	(void)state;
	for (int i = 0; i <= INFINI_MEMORY_KINDS_MAX; i++)
		put_kind(msg, "x", 0);
	assert_int_equal(infini_device_parse(nlmsg_hdr(msg), &device), -EBADMSG);
	nlmsg_free(msg);
}

static bool is_hist(int attr)
{
	return attr == INFINI_A_STATS_QUEUE_WAIT_HIST || attr == INFINI_A_STATS_TTFT_HIST ||
	       attr == INFINI_A_STATS_ITL_HIST;
}

/* Every counter gets a number of its own, so that no two can be swapped. */
static void test_vdev(void **state)
{
	static const size_t first = offsetof(struct infini_vdev_stats, occupancy_ns);
	static const uint8_t uuid[16] = { 0xfe, [15] = 1 };
	struct nl_msg *msg = message(INFINI_CMD_VDEV_GET);
	uint64_t hist[INFINI_HIST_BUCKETS];
	struct infini_admin_vdev vdev;
	struct nlattr *nest;

	(void)state;
	nla_put_u32(msg, INFINI_A_VDEV_ID, 9);
	nla_put_string(msg, INFINI_A_VDEV_NAME, "tenant");
	nla_put_u32(msg, INFINI_A_VDEV_DEVICE_ID, 2);
	nla_put_string(msg, INFINI_A_VDEV_DEVICE_NAME, "cpu0");
	nla_put_u32(msg, INFINI_A_VDEV_WEIGHT, 300);
	nla_put_u64(msg, INFINI_A_VDEV_QUANTUM_NS, 2000000);
	nla_put_u64(msg, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 1ull << 35);
	nla_put_u32(msg, INFINI_A_VDEV_UID, 1000);
	nla_put_u32(msg, INFINI_A_VDEV_GID, 1001);
	nla_put_u32(msg, INFINI_A_VDEV_MODE, 0660);
	nla_put_s32(msg, INFINI_A_VDEV_MINOR, -1);
	nla_put_u32(msg, INFINI_A_VDEV_EXECUTOR, INFINI_EXECUTOR_ATTACHED);
	nla_put_u32(msg, INFINI_A_VDEV_EXECUTOR_PID, 4242);
	nla_put_u32(msg, INFINI_A_VDEV_CLASS, INFINI_VDEV_CLASS_LATENCY);
	nla_put_u32(msg, INFINI_A_VDEV_CAP_PPM, 500000);
	nla_put_u32(msg, INFINI_A_VDEV_FLOOR_PPM, 250000);
	nla_put_u64(msg, INFINI_A_VDEV_TOKENS_PER_S, 100);
	nla_put_u64(msg, INFINI_A_VDEV_TOKEN_BURST, 200);
	nla_put(msg, INFINI_A_VDEV_UUID, sizeof(uuid), uuid);
	nla_put_u8(msg, INFINI_A_VDEV_EXCLUSIVE, 1);
	nla_put_u64(msg, INFINI_A_VDEV_CGROUP_ID, 1ull << 40);
	nla_put_u64(msg, INFINI_A_VDEV_CLIENT_CGROUP_ID, 1ull << 41);
	nla_put_u64(msg, INFINI_A_VDEV_CLIENT_CGROUP_ID, 7);
	nest = nla_nest_start(msg, INFINI_A_VDEV_STATS);
	for (int attr = INFINI_A_STATS_OCCUPANCY_NS; attr <= INFINI_A_STATS_MAX; attr++)
		if (!is_hist(attr))
			nla_put_u64(msg, attr, 1000 + attr);
	for (int i = 0; i < INFINI_HIST_BUCKETS; i++)
		hist[i] = i;
	nla_put(msg, INFINI_A_STATS_QUEUE_WAIT_HIST, sizeof(hist), hist);
	hist[7] = 4711;
	nla_put(msg, INFINI_A_STATS_TTFT_HIST, sizeof(hist), hist);
	hist[7] = 4712;
	nla_put(msg, INFINI_A_STATS_ITL_HIST, sizeof(hist), hist);
	nla_nest_end(msg, nest);

	assert_int_equal(infini_vdev_parse(nlmsg_hdr(msg), &vdev), 0);
	assert_int_equal(vdev.id, 9);
	assert_string_equal(vdev.name, "tenant");
	assert_int_equal(vdev.device_id, 2);
	assert_string_equal(vdev.device_name, "cpu0");
	assert_int_equal(vdev.weight, 300);
	assert_int_equal(vdev.quantum_ns, 2000000);
	assert_int_equal(vdev.memory_limit_bytes, 1ull << 35);
	assert_int_equal(vdev.uid, 1000);
	assert_int_equal(vdev.gid, 1001);
	assert_int_equal(vdev.mode, 0660);
	assert_int_equal(vdev.minor, -1);
	assert_int_equal(vdev.executor, INFINI_EXECUTOR_ATTACHED);
	assert_int_equal(vdev.executor_pid, 4242);
	assert_int_equal(vdev.vdev_class, INFINI_VDEV_CLASS_LATENCY);
	assert_int_equal(vdev.cap_ppm, 500000);
	assert_int_equal(vdev.floor_ppm, 250000);
	assert_int_equal(vdev.tokens_per_s, 100);
	assert_int_equal(vdev.token_burst, 200);
	assert_memory_equal(vdev.uuid, uuid, sizeof(uuid));
	assert_true(vdev.exclusive);
	assert_int_equal(vdev.cgroup_id, 1ull << 40);
	assert_int_equal(vdev.nr_client_cgroups, 2);
	assert_int_equal(vdev.client_cgroups[0], 1ull << 41);
	assert_int_equal(vdev.client_cgroups[1], 7);
	assert_int_equal(vdev.ttft.sum_ns, 1000 + INFINI_A_STATS_TTFT_NS);
	assert_int_equal(vdev.itl.sum_ns, 1000 + INFINI_A_STATS_ITL_NS);
	assert_memory_equal(vdev.itl.hist, hist, sizeof(hist));
	hist[7] = 4711;
	assert_memory_equal(vdev.ttft.hist, hist, sizeof(hist));
	hist[7] = 7;
	assert_memory_equal(vdev.queue_wait_hist, hist, sizeof(hist));
	/* The contract lists the counters in the order of struct infini_vdev_stats. */
	for (int attr = INFINI_A_STATS_OCCUPANCY_NS; attr <= INFINI_A_STATS_THROTTLES; attr++) {
		size_t offset = first + 8 * (attr - INFINI_A_STATS_OCCUPANCY_NS);
		uint64_t value;

		if (attr == INFINI_A_STATS_QUEUE_WAIT_HIST)
			continue;
		memcpy(&value, (char *)&vdev.stats + offset, sizeof(value));
		assert_int_equal(value, 1000 + attr);
	}
	assert_int_equal(vdev.stats.tokens_generated, 1000 + INFINI_A_STATS_TOKENS_GENERATED);
	assert_int_equal(vdev.stats.queue_wait_hist, 0);
	nlmsg_free(msg);
}

static void test_vdev_client_cgroups(void **state)
{
	struct nl_msg *msg = message(INFINI_CMD_VDEV_GET);
	struct infini_admin_vdev vdev;

	(void)state;
	/* A newer module may tell more. */
	for (int i = 0; i < INFINI_VDEV_CLIENT_CGROUPS_MAX + 3; i++)
		nla_put_u64(msg, INFINI_A_VDEV_CLIENT_CGROUP_ID, 100 + i);
	assert_int_equal(infini_vdev_parse(nlmsg_hdr(msg), &vdev), 0);
	assert_int_equal(vdev.nr_client_cgroups, INFINI_VDEV_CLIENT_CGROUPS_MAX);
	for (int i = 0; i < INFINI_VDEV_CLIENT_CGROUPS_MAX; i++)
		assert_int_equal(vdev.client_cgroups[i], 100 + i);
	nla_put_u32(msg, INFINI_A_VDEV_CLIENT_CGROUP_ID, 1);
	assert_int_equal(infini_vdev_parse(nlmsg_hdr(msg), &vdev), -EBADMSG);
	nlmsg_free(msg);
}

static void test_vdev_unknown_attribute(void **state)
{
	struct nl_msg *msg = message(INFINI_CMD_VDEV_GET);
	struct infini_admin_vdev vdev;

	(void)state;
	nla_put_u32(msg, INFINI_A_VDEV_ID, 9);
	nla_put_u32(msg, INFINI_A_VDEV_MAX + 7, 1);
	assert_int_equal(infini_vdev_parse(nlmsg_hdr(msg), &vdev), 0);
	assert_int_equal(vdev.id, 9);
	assert_int_equal(vdev.minor, -1);
	/* A module that knows no limits has none. */
	assert_int_equal(vdev.vdev_class, INFINI_VDEV_CLASS_NORMAL);
	assert_int_equal(vdev.cap_ppm, INFINI_VDEV_PPM_MAX);
	nlmsg_free(msg);
}

static void put_short_id(struct nl_msg *msg)
{
	nla_put_u8(msg, INFINI_A_VDEV_ID, 1);
}

static void put_short_counter(struct nl_msg *msg)
{
	struct nlattr *nest = nla_nest_start(msg, INFINI_A_VDEV_STATS);

	nla_put_u32(msg, INFINI_A_STATS_OCCUPANCY_NS, 1);
	nla_nest_end(msg, nest);
}

static void put_short_hist(struct nl_msg *msg)
{
	struct nlattr *nest = nla_nest_start(msg, INFINI_A_VDEV_STATS);

	nla_put(msg, INFINI_A_STATS_QUEUE_WAIT_HIST, 8, "\0\0\0\0\0\0\0");
	nla_nest_end(msg, nest);
}

static void put_short_rate(struct nl_msg *msg)
{
	nla_put_u32(msg, INFINI_A_VDEV_TOKENS_PER_S, 1);
}

static void put_unterminated_name(struct nl_msg *msg)
{
	nla_put(msg, INFINI_A_VDEV_NAME, 3, "abc");
}

static const struct bad_row {
	const char *name;
	void (*put)(struct nl_msg *msg);
} bad_rows[] = {
	{ "malformed: an id of one byte", put_short_id },
	{ "malformed: a counter of four bytes", put_short_counter },
	{ "malformed: a histogram of one bucket", put_short_hist },
	{ "malformed: a token rate of four bytes", put_short_rate },
	{ "malformed: a name without an end", put_unterminated_name },
};

static void test_malformed(void **state)
{
	const struct bad_row *row = *state;
	struct nl_msg *msg = message(INFINI_CMD_VDEV_GET);
	struct infini_admin_vdev vdev;

	row->put(msg);
	assert_int_equal(infini_vdev_parse(nlmsg_hdr(msg), &vdev), -EBADMSG);
	nlmsg_free(msg);
}

static void test_long_name_is_cut(void **state)
{
	struct nl_msg *msg = message(INFINI_CMD_VDEV_GET);
	char name[INFINI_NAME_MAX + 20];
	struct infini_admin_vdev vdev;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	nla_put_string(msg, INFINI_A_VDEV_NAME, name);
	assert_int_equal(infini_vdev_parse(nlmsg_hdr(msg), &vdev), 0);
	assert_int_equal(strlen(vdev.name), INFINI_NAME_MAX - 1);
	nlmsg_free(msg);
}

#define NR_BAD	(sizeof(bad_rows) / sizeof(*bad_rows))

static const struct CMUnitTest other_tests[] = {
	cmocka_unit_test(test_device),
	cmocka_unit_test(test_device_too_many_kinds),
	cmocka_unit_test(test_vdev),
	cmocka_unit_test(test_vdev_client_cgroups),
	cmocka_unit_test(test_vdev_unknown_attribute),
	cmocka_unit_test(test_long_name_is_cut),
};

int main(void)
{
	struct CMUnitTest tests[NR_BAD + sizeof(other_tests) / sizeof(*other_tests)];

	for (size_t i = 0; i < NR_BAD; i++)
		tests[i] = (struct CMUnitTest){ bad_rows[i].name, test_malformed, NULL, NULL,
						(void *)&bad_rows[i] };
	memcpy(&tests[NR_BAD], other_tests, sizeof(other_tests));
	return cmocka_run_group_tests_name("attr", tests, NULL, NULL);
}
