// SPDX-License-Identifier: GPL-2.0-or-later
/* libinfini-admin against a fake family: requests, answers, errors with their sentences, events. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_family.h"
#include "infini-admin.h"

static struct infini_admin *admin;

static int setup(void **state)
{
	(void)state;
	family_reset();
	return infini_admin_open(&admin);
}

static int teardown(void **state)
{
	(void)state;
	infini_admin_close(admin);
	return 0;
}

static const struct open_row {
	const char *name;
	int connect_err, resolve_err;
	int result;
} open_rows[] = {
	{ "open: module not loaded", 0, -NLE_OBJ_NOTFOUND, -ENOENT },
	{ "open: a kernel without netlink", -NLE_AF_NOSUPPORT, 0, -EPROTONOSUPPORT },
	{ "open: no memory", -NLE_NOMEM, 0, -ENOMEM },
	{ "open: forbidden", 0, -NLE_PERM, -EPERM },
};

static void test_open_fails(void **state)
{
	const struct open_row *row = *state;
	struct infini_admin *none = NULL;

	family_reset();
	family.connect_err = row->connect_err;
	family.resolve_err = row->resolve_err;
	assert_int_equal(infini_admin_open(&none), row->result);
	assert_null(none);
	assert_int_equal(infini_admin_events_open(&none), row->result);
	assert_null(none);
}

static void test_close_nothing(void **state)
{
	(void)state;
	infini_admin_close(NULL);
}

static void test_asks_for_sentences(void **state)
{
	(void)state;
	assert_true(family.ext_ack);
	assert_true(family.cap_ack);
	assert_string_equal(infini_admin_error(admin), "");
}

/* The request as the module would see it. */
static int request(struct nlattr **tb, int *flags)
{
	struct nlmsghdr *hdr = (struct nlmsghdr *)family.request;

	assert_int_equal(hdr->nlmsg_type, FAMILY_ID);
	*flags = hdr->nlmsg_flags;
	assert_int_equal(genlmsg_parse(hdr, 0, tb, INFINI_A_VDEV_MAX, NULL), 0);
	return genlmsg_hdr(hdr)->cmd;
}

static void test_create(void **state)
{
	const struct infini_admin_vdev_config config = {
		.set = INFINI_VDEV_SET_WEIGHT | INFINI_VDEV_SET_QUANTUM | INFINI_VDEV_SET_MEMORY |
		       INFINI_VDEV_SET_OWNER | INFINI_VDEV_SET_MODE | INFINI_VDEV_SET_CLASS |
		       INFINI_VDEV_SET_CAP | INFINI_VDEV_SET_FLOOR | INFINI_VDEV_SET_RATE |
		       INFINI_VDEV_SET_BURST | INFINI_VDEV_SET_UUID,
		.uuid = { 0xfe, [15] = 1 },
		.weight = 300, .uid = 1000, .gid = 1001, .mode = 0660, .no_node = true,
		.quantum_ns = 1000000, .memory_limit_bytes = 1ull << 33, .overcommit = true,
		.vdev_class = INFINI_VDEV_CLASS_BATCH, .cap_ppm = 200000, .floor_ppm = 100000,
		.tokens_per_s = 1000000, .token_burst = 500000000,
	};
	struct nlattr *tb[INFINI_A_VDEV_MAX + 1];
	struct nl_msg *reply = family_element(INFINI_CMD_VDEV_NEW, 0);
	uint32_t id = 0;
	int flags;

	(void)state;
	nla_put_u32(reply, INFINI_A_VDEV_ID, 12);
	family_add(reply);
	family_next();
	family_add(family_ack(0, NULL, true));
	assert_int_equal(infini_admin_vdev_create(admin, "a", "cpu0", &config, &id), 0);
	assert_int_equal(id, 12);
	assert_int_equal(request(tb, &flags), INFINI_CMD_VDEV_NEW);
	assert_true(flags & NLM_F_ACK);
	assert_string_equal(nla_get_string(tb[INFINI_A_VDEV_NAME]), "a");
	assert_string_equal(nla_get_string(tb[INFINI_A_VDEV_DEVICE_NAME]), "cpu0");
	assert_int_equal(nla_get_u32(tb[INFINI_A_VDEV_WEIGHT]), 300);
	assert_int_equal(nla_get_u64(tb[INFINI_A_VDEV_QUANTUM_NS]), 1000000);
	assert_int_equal(nla_get_u64(tb[INFINI_A_VDEV_MEMORY_LIMIT_BYTES]), 1ull << 33);
	assert_int_equal(nla_get_u32(tb[INFINI_A_VDEV_UID]), 1000);
	assert_int_equal(nla_get_u32(tb[INFINI_A_VDEV_GID]), 1001);
	assert_int_equal(nla_get_u32(tb[INFINI_A_VDEV_MODE]), 0660);
	assert_non_null(tb[INFINI_A_VDEV_NO_NODE]);
	assert_int_equal(nla_get_u32(tb[INFINI_A_VDEV_CLASS]), INFINI_VDEV_CLASS_BATCH);
	assert_int_equal(nla_get_u32(tb[INFINI_A_VDEV_CAP_PPM]), 200000);
	assert_int_equal(nla_get_u32(tb[INFINI_A_VDEV_FLOOR_PPM]), 100000);
	assert_int_equal(nla_get_u64(tb[INFINI_A_VDEV_TOKENS_PER_S]), 1000000);
	assert_int_equal(nla_get_u64(tb[INFINI_A_VDEV_TOKEN_BURST]), 500000000);
	assert_non_null(tb[INFINI_A_VDEV_OVERCOMMIT]);
	assert_int_equal(nla_len(tb[INFINI_A_VDEV_UUID]), 16);
	assert_memory_equal(nla_data(tb[INFINI_A_VDEV_UUID]), config.uuid, 16);
	assert_null(tb[INFINI_A_VDEV_CGROUP_FD]);
	assert_null(tb[INFINI_A_VDEV_EXCLUSIVE]);
}

/* Each bit alone brings its attribute along, and no other. */
static const struct set_row {
	uint32_t set;
	int attr, other;
	uint64_t value;
} set_rows[] = {
	{ INFINI_VDEV_SET_WEIGHT, INFINI_A_VDEV_WEIGHT, 0, 1 },
	{ INFINI_VDEV_SET_QUANTUM, INFINI_A_VDEV_QUANTUM_NS, 0, 2 },
	{ INFINI_VDEV_SET_MEMORY, INFINI_A_VDEV_MEMORY_LIMIT_BYTES, 0, 3 },
	{ INFINI_VDEV_SET_OWNER, INFINI_A_VDEV_UID, INFINI_A_VDEV_GID, 4 },
	{ INFINI_VDEV_SET_MODE, INFINI_A_VDEV_MODE, 0, 5 },
	{ INFINI_VDEV_SET_CLASS, INFINI_A_VDEV_CLASS, 0, 6 },
	{ INFINI_VDEV_SET_CAP, INFINI_A_VDEV_CAP_PPM, 0, 7 },
	{ INFINI_VDEV_SET_FLOOR, INFINI_A_VDEV_FLOOR_PPM, 0, 8 },
	{ INFINI_VDEV_SET_RATE, INFINI_A_VDEV_TOKENS_PER_S, 0, 9 },
	{ INFINI_VDEV_SET_BURST, INFINI_A_VDEV_TOKEN_BURST, 0, 10 },
	{ INFINI_VDEV_SET_EXCLUSIVE, INFINI_A_VDEV_EXCLUSIVE, 0, 1 },
	{ INFINI_VDEV_SET_CGROUP, INFINI_A_VDEV_CGROUP_FD, 0, 11 },
	{ 0, 0, 0, 0 },
};

static uint64_t number(struct nlattr *attr)
{
	switch (nla_len(attr)) {
	case 1:
		return nla_get_u8(attr);
	case 4:
		return nla_get_u32(attr);
	default:
		return nla_get_u64(attr);
	}
}

static void test_set_sends_only_what_is_set(void **state)
{
	struct infini_admin_vdev_config config = {
		.weight = 1, .quantum_ns = 2, .memory_limit_bytes = 3, .uid = 4, .gid = 4,
		.mode = 5, .vdev_class = 6, .cap_ppm = 7, .floor_ppm = 8, .tokens_per_s = 9,
		.token_burst = 10, .exclusive = true, .cgroup_fd = 11,
	};
	struct nlattr *tb[INFINI_A_VDEV_MAX + 1];
	int flags;

	(void)state;
	for (size_t i = 0; i < sizeof(set_rows) / sizeof(*set_rows); i++) {
		const struct set_row *row = &set_rows[i];

		family_reset();
		family_add(family_ack(0, NULL, true));
		config.set = row->set;
		assert_int_equal(infini_admin_vdev_set(admin, NULL, 7, &config), 0);
		assert_int_equal(request(tb, &flags), INFINI_CMD_VDEV_SET);
		assert_int_equal(nla_get_u32(tb[INFINI_A_VDEV_ID]), 7);
		for (int attr = INFINI_A_VDEV_ID + 1; attr <= INFINI_A_VDEV_MAX; attr++)
			assert_int_equal(!!tb[attr], attr == row->attr || attr == row->other);
		if (row->attr)
			assert_int_equal(number(tb[row->attr]), row->value);
	}
}

static void test_delete_force(void **state)
{
	struct nlattr *tb[INFINI_A_VDEV_MAX + 1];
	int flags;

	(void)state;
	family_add(family_ack(0, NULL, true));
	assert_int_equal(infini_admin_vdev_delete(admin, "a", 0, true), 0);
	assert_int_equal(request(tb, &flags), INFINI_CMD_VDEV_DEL);
	assert_non_null(tb[INFINI_A_VDEV_FORCE]);
	family_reset();
	family_add(family_ack(0, NULL, true));
	assert_int_equal(infini_admin_vdev_delete(admin, "a", 0, false), 0);
	request(tb, &flags);
	assert_null(tb[INFINI_A_VDEV_FORCE]);
}

static void test_refused_here(void **state)
{
	static const struct infini_admin_vdev_config none = { 0 };
	static const struct infini_admin_vdev_config memory = {
		.set = INFINI_VDEV_SET_MEMORY, .memory_limit_bytes = 4096,
	};
	static const struct infini_admin_vdev_config no_node = { .no_node = true };
	char name[INFINI_NAME_MAX + 1];
	struct infini_admin_vdev vdev;
	uint32_t id;

	(void)state;
	memset(name, 'x', INFINI_NAME_MAX);
	name[INFINI_NAME_MAX] = '\0';
	assert_int_equal(infini_admin_vdev_create(admin, "a", "cpu0", &none, &id), -EINVAL);
	assert_int_equal(infini_admin_vdev_create(admin, NULL, "cpu0", &memory, &id), -EINVAL);
	assert_int_equal(infini_admin_vdev_create(admin, "a", NULL, &memory, &id), -EINVAL);
	assert_int_equal(infini_admin_vdev_create(admin, name, "cpu0", &memory, &id),
			 -ENAMETOOLONG);
	assert_int_equal(infini_admin_vdev_create(admin, "a", name, &memory, &id), -ENAMETOOLONG);
	assert_int_equal(infini_admin_vdev_set(admin, "a", 0, &no_node), -EINVAL);
	assert_int_equal(infini_admin_vdev_get(admin, name, 0, &vdev), -ENAMETOOLONG);
	assert_int_equal(infini_admin_vdev_delete(admin, name, 0, false), -ENAMETOOLONG);
	assert_int_equal(family.request_len, 0);
}

static const struct error_row {
	const char *name;
	int err;
	const char *sentence;
	bool capped;
} error_rows[] = {
	{ "error: with a sentence", -ENOSPC, "memory 12 MiB exceeds the 8 MiB left", true },
	{ "error: with a sentence behind the request", -EBUSY, "2 clients have it open", false },
	{ "error: without a sentence", -EPERM, NULL, true },
	{ "error: an errno that libnl has no word for", -EOWNERDEAD, NULL, true },
	{ "error: device gone", -ENODEV, "no device \"x\"", true },
};

static void test_error(void **state)
{
	const struct error_row *row = *state;
	struct infini_admin_vdev vdev;

	family_add(family_ack(row->err, row->sentence, row->capped));
	assert_int_equal(infini_admin_vdev_get(admin, "a", 0, &vdev), row->err);
	assert_string_equal(infini_admin_error(admin), row->sentence ? row->sentence : "");
}

static void test_sentence_is_forgotten(void **state)
{
	(void)state;
	family_add(family_ack(-EBUSY, "2 clients have it open", true));
	assert_int_equal(infini_admin_vdev_delete(admin, "a", 0, false), -EBUSY);
	family.nr_datagrams = 0;
	family.next = 0;
	memset(family.datagrams, 0, sizeof(family.datagrams));
	family_add(family_ack(0, NULL, true));
	assert_int_equal(infini_admin_vdev_delete(admin, "a", 0, true), 0);
	assert_string_equal(infini_admin_error(admin), "");
}

/* What the module did, it may have had something to say about. */
static void test_warning(void **state)
{
	static const struct infini_admin_vdev_config config = {
		.set = INFINI_VDEV_SET_MEMORY, .memory_limit_bytes = 1 << 20,
	};
	static const char warning[] = "memory limit 1.00 MiB is below the 4.00 MiB in use";

	(void)state;
	family_add(family_ack(0, warning, true));
	assert_int_equal(infini_admin_vdev_set(admin, "a", 0, &config), 0);
	assert_string_equal(infini_admin_error(admin), warning);
	family_reset();
	family_add(family_ack(0, NULL, true));
	assert_int_equal(infini_admin_vdev_set(admin, "a", 0, &config), 0);
	assert_string_equal(infini_admin_error(admin), "");
}

static void test_send_fails(void **state)
{
	struct infini_admin_vdev vdev;

	(void)state;
	family.send_err = -NLE_NOMEM;
	assert_int_equal(infini_admin_vdev_get(admin, "a", 0, &vdev), -ENOMEM);
}

static void add_vdev(uint32_t id)
{
	struct nl_msg *msg = family_element(INFINI_CMD_VDEV_GET, NLM_F_MULTI);

	nla_put_u32(msg, INFINI_A_VDEV_ID, id);
	family_add(msg);
}

/* Two datagrams of elements, then the end. */
static void add_dump(int err, const char *sentence)
{
	add_vdev(1);
	add_vdev(2);
	family_next();
	add_vdev(3);
	family_next();
	family_add(family_done(err, sentence));
}

static int collect(const struct infini_admin_vdev *vdev, void *arg)
{
	uint32_t *sum = arg;

	*sum = *sum * 10 + vdev->id;
	return 0;
}

static void test_list(void **state)
{
	struct nlattr *tb[INFINI_A_VDEV_MAX + 1];
	uint32_t seen = 0;
	int flags;

	(void)state;
	add_dump(0, NULL);
	assert_int_equal(infini_admin_vdev_list(admin, collect, &seen), 0);
	assert_int_equal(seen, 123);
	assert_int_equal(request(tb, &flags), INFINI_CMD_VDEV_GET);
	assert_int_equal(flags & NLM_F_DUMP, NLM_F_DUMP);
}

static void test_list_ends_with_an_error(void **state)
{
	uint32_t seen = 0;

	(void)state;
	add_dump(-EPERM, "needs CAP_SYS_ADMIN");
	assert_int_equal(infini_admin_vdev_list(admin, collect, &seen), -EPERM);
	assert_string_equal(infini_admin_error(admin), "needs CAP_SYS_ADMIN");
}

static int stop_at_two(const struct infini_admin_vdev *vdev, void *arg)
{
	unsigned int *calls = arg;

	(*calls)++;
	return vdev->id == 2 ? 42 : 0;
}

/* The rest is read all the same: the next request must not find it. */
static void test_list_stops(void **state)
{
	unsigned int calls = 0;

	(void)state;
	add_dump(0, NULL);
	assert_int_equal(infini_admin_vdev_list(admin, stop_at_two, &calls), 42);
	assert_int_equal(calls, 2);
	assert_int_equal(family.next, family.nr_datagrams);
}

static int count_devices(const struct infini_admin_device *device, void *arg)
{
	(void)device;
	(*(unsigned int *)arg)++;
	return 0;
}

static void test_list_nothing(void **state)
{
	unsigned int seen = 0;

	(void)state;
	family_add(family_done(0, NULL));
	assert_int_equal(infini_admin_device_list(admin, count_devices, &seen), 0);
	assert_int_equal(seen, 0);
}

static void test_device_get(void **state)
{
	struct nl_msg *reply = family_element(INFINI_CMD_DEVICE_GET, 0);
	struct infini_admin_device device;

	(void)state;
	nla_put_u32(reply, INFINI_A_DEVICE_ID, 4);
	nla_put_string(reply, INFINI_A_DEVICE_NAME, "gpu0");
	family_add(reply);
	family_next();
	family_add(family_ack(0, NULL, true));
	assert_int_equal(infini_admin_device_get(admin, "gpu0", 0, &device), 0);
	assert_int_equal(device.id, 4);
	assert_string_equal(device.name, "gpu0");
}

static void add_event(uint32_t type, const char *name, uint32_t vdev, uint32_t from)
{
	struct nl_msg *msg = family_element(INFINI_CMD_EVENT_NTF, 0);

	nla_put_u32(msg, INFINI_A_EVENT_TYPE, type);
	nla_put_u32(msg, INFINI_A_EVENT_DEVICE_ID, 1);
	if (vdev)
		nla_put_u32(msg, INFINI_A_EVENT_VDEV_ID, vdev);
	nla_put_u32(msg, INFINI_A_EVENT_PID, 77);
	nla_put_u64(msg, INFINI_A_EVENT_TIME_NS, 123456789);
	nla_put_string(msg, INFINI_A_EVENT_NAME, name);
	if (type == INFINI_EVENT_DEVICE_OFFLINE)
		nla_put_string(msg, INFINI_A_EVENT_REASON, "pulled out");
	family_next();
	family_add(msg);
	family.datagrams[family.nr_datagrams - 1].from = from;
}

static void test_events(void **state)
{
	struct infini_admin_event event;
	struct infini_admin *events;

	(void)state;
	family_reset();
	assert_int_equal(infini_admin_events_open(&events), 0);
	assert_int_equal(family.joined, FAMILY_GROUP);
	add_event(INFINI_EVENT_EXECUTOR_WANTED, "a", 3, 0);
	add_event(INFINI_EVENT_DEVICE_OFFLINE, "cpu0", 0, 0);
	assert_int_equal(infini_admin_event_read(events, &event), 0);
	assert_int_equal(event.type, INFINI_EVENT_EXECUTOR_WANTED);
	assert_int_equal(event.vdev_id, 3);
	assert_int_equal(event.device_id, 1);
	assert_int_equal(event.pid, 77);
	assert_int_equal(event.time_ns, 123456789);
	assert_string_equal(event.name, "a");
	assert_string_equal(event.reason, "");
	assert_int_equal(infini_admin_event_read(events, &event), 0);
	assert_int_equal(event.vdev_id, 0);
	assert_string_equal(event.name, "cpu0");
	assert_string_equal(event.reason, "pulled out");
	assert_int_equal(infini_admin_event_read(events, &event), -EAGAIN);
	family.recv_errno = ENOBUFS;
	assert_int_equal(infini_admin_event_read(events, &event), -ENOBUFS);
	infini_admin_close(events);
}

static void test_events_of_others_are_ignored(void **state)
{
	struct infini_admin_event event;
	struct infini_admin *events;

	(void)state;
	family_reset();
	assert_int_equal(infini_admin_events_open(&events), 0);
	add_event(INFINI_EVENT_VDEV_DELETED, "forged", 3, 999);
	add_event(INFINI_EVENT_VDEV_CREATED, "a", 3, 0);
	assert_int_equal(infini_admin_event_read(events, &event), 0);
	assert_string_equal(event.name, "a");
	infini_admin_close(events);
}

static void test_events_truncated(void **state)
{
	struct infini_admin_event event;
	struct infini_admin *events;

	(void)state;
	family_reset();
	assert_int_equal(infini_admin_events_open(&events), 0);
	add_event(INFINI_EVENT_VDEV_CREATED, "a", 3, 0);
	family.datagrams[0].len = 20;
	assert_int_equal(infini_admin_event_read(events, &event), -EBADMSG);
	infini_admin_close(events);
}

static void test_events_forbidden(void **state)
{
	struct infini_admin *events = NULL;

	(void)state;
	family_reset();
	family.join_errno = EPERM;
	assert_int_equal(infini_admin_events_open(&events), -EPERM);
	assert_null(events);
}

#define NR_OPEN		(sizeof(open_rows) / sizeof(*open_rows))
#define NR_ERROR	(sizeof(error_rows) / sizeof(*error_rows))

#define WITH_ADMIN(_test)	cmocka_unit_test_setup_teardown(_test, setup, teardown)

static const struct CMUnitTest other_tests[] = {
	cmocka_unit_test(test_close_nothing),
	WITH_ADMIN(test_asks_for_sentences),
	WITH_ADMIN(test_create),
	WITH_ADMIN(test_set_sends_only_what_is_set),
	WITH_ADMIN(test_delete_force),
	WITH_ADMIN(test_refused_here),
	WITH_ADMIN(test_sentence_is_forgotten),
	WITH_ADMIN(test_warning),
	WITH_ADMIN(test_send_fails),
	WITH_ADMIN(test_list),
	WITH_ADMIN(test_list_ends_with_an_error),
	WITH_ADMIN(test_list_stops),
	WITH_ADMIN(test_list_nothing),
	WITH_ADMIN(test_device_get),
	cmocka_unit_test(test_events),
	cmocka_unit_test(test_events_of_others_are_ignored),
	cmocka_unit_test(test_events_truncated),
	cmocka_unit_test(test_events_forbidden),
};

int main(void)
{
	struct CMUnitTest tests[NR_OPEN + NR_ERROR + sizeof(other_tests) / sizeof(*other_tests)];

	for (size_t i = 0; i < NR_OPEN; i++)
		tests[i] = (struct CMUnitTest){ open_rows[i].name, test_open_fails, NULL, NULL,
						(void *)&open_rows[i] };
	for (size_t i = 0; i < NR_ERROR; i++)
		tests[NR_OPEN + i] = (struct CMUnitTest){ error_rows[i].name, test_error, setup,
							  teardown, (void *)&error_rows[i] };
	memcpy(&tests[NR_OPEN + NR_ERROR], other_tests, sizeof(other_tests));
	return cmocka_run_group_tests_name("admin", tests, NULL, NULL);
}
