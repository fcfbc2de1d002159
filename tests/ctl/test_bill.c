// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl bill over ledgers that a test wrote down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <json-c/json.h>
#include <sqlite3.h>

#include "capture.h"
#include "ctl.h"

static char path[] = "/tmp/infini-bill-XXXXXX";

static int run(const char *options)
{
	char line[512];

	snprintf(line, sizeof(line), "bill --ledger %s %s", path, options);
	return capture_run(line);
}

static void sql(const char *statements)
{
	char *message = NULL;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, statements, NULL, NULL, &message) != SQLITE_OK)
		fail_msg("%s", message);
	sqlite3_close(db);
}

/* Minute 29000000 is on the 19th of February 2025, 21:20 UTC. */
static int start(void **state)
{
	(void)state;
	setenv("TZ", "UTC", 1);
	assert_int_equal(truncate(path, 0), 0);
	sql("CREATE TABLE tariff (id INTEGER PRIMARY KEY, currency TEXT, per_kwh INTEGER,"
	    " per_million_tokens INTEGER);"
	    "CREATE TABLE usage (minute INTEGER, device TEXT, vdev TEXT, tariff INTEGER,"
	    " evaluated INTEGER, generated INTEGER, occupancy_ns INTEGER, unmetered_ns INTEGER,"
	    " energy_mj INTEGER);"
	    "CREATE TABLE total (minute INTEGER, device TEXT, evaluated INTEGER, generated INTEGER,"
	    " occupancy_ns INTEGER, energy_mj INTEGER);"
	    "PRAGMA user_version = 1;"
	    "INSERT INTO tariff VALUES (1, 'EUR', 300000, 0), (2, 'EUR', 600000, 2000000),"
	    " (3, '', 0, 0);"
	    "INSERT INTO usage VALUES"
	    " (29000000, 'cpu0', 'alpha', 1, 1000, 900, 6000000000, 0, 3600001),"
	    " (29000000, 'cpu0', 'beta', 1, 10, 9, 3000000000, 0, 1800000),"
	    " (29000000, 'cpu0', '', 1, 0, 0, 0, 0, 7),"
	    " (29000001, 'cpu0', 'alpha', 2, 500000, 100, 2000000000, 0, 3600000),"
	    " (29000001, 'gpu0', 'gamma', 3, 50, 40, 2000000000, 2000000000, 0);"
	    "INSERT INTO total VALUES (29000000, 'cpu0', 1010, 909, 9000000000, 5400008),"
	    " (29000001, 'cpu0', 500000, 100, 2000000000, 3600000),"
	    " (29000001, 'gpu0', 50, 40, 2000000000, 0);");
	return 0;
}

static void assert_rows(const char *options, const char *expected)
{
	if (run(options))
		fail_msg("%s", err);
	assert_string_equal(out, expected);
}

static void table_has_rows_and_totals(void **state)
{
	(void)state;
	/* 1 Wh of 0.30 EUR, then 1 Wh of 0.60 EUR and half a million tokens of 2 EUR. */
	assert_rows("--since 2025-02-19",
		    "DEVICE  VDEV       EVAL  TOKENS  HELD    JOULES      COST    COST/MTOK  \n"
		    "cpu0    (idle)        0       0   0ns     0.007  0.000000            -  EUR\n"
		    "cpu0    alpha    501000    1000    8s  7200.001  1.000900  1000.900000  EUR\n"
		    "cpu0    beta         10       9    3s  1800.000  0.000150    16.666666  EUR\n"
		    "gpu0    gamma        50      40    2s         -         -            -  \n"
		    "cpu0    (total)  501010    1009   11s  9000.008  1.001050   992.120911  EUR\n"
		    "gpu0    (total)      50      40    2s         -         -            -  \n"
		    "There was no energy reading for a part of this; what it used is not in JOULES.\n");
}

static void csv_is_in_whole_units(void **state)
{
	(void)state;
	assert_rows("--since 2025-02-19T21:20 --until 2025-02-19T21:21 --csv",
		    "device,vdev,tokens_evaluated,tokens_generated,occupancy_ns,energy_mj,"
		    "unmetered_ns,cost_millionths,currency\n"
		    "cpu0,,0,0,0,7,0,0,EUR\n"
		    "cpu0,alpha,1000,900,6000000000,3600001,0,300,EUR\n"
		    "cpu0,beta,10,9,3000000000,1800000,0,150,EUR\n");
}

static uint64_t number(struct json_object *object, const char *key)
{
	struct json_object *value;

	assert_true(json_object_object_get_ex(object, key, &value));
	return json_object_get_uint64(value);
}

static void json_has_rows_and_totals_that_add_up(void **state)
{
	struct json_object *bill, *vdevs, *devices, *gpu, *value;
	uint64_t sum = 0;

	(void)state;
	assert_int_equal(run("--since 2025-02-19 --json"), 0);
	bill = json_tokener_parse(out);
	assert_non_null(bill);
	assert_true(json_object_object_get_ex(bill, "vdevs", &vdevs));
	assert_true(json_object_object_get_ex(bill, "devices", &devices));
	assert_int_equal(json_object_array_length(vdevs), 4);
	for (size_t i = 0; i < 3; i++)
		sum += number(json_object_array_get_idx(vdevs, i), "energy_mj");
	assert_int_equal(sum, number(json_object_array_get_idx(devices, 0), "energy_mj"));
	gpu = json_object_array_get_idx(devices, 1);
	assert_true(json_object_object_get_ex(gpu, "energy_mj", &value));
	assert_null(value);
	assert_int_equal(number(gpu, "unmetered_ns"), 2000000000);
	assert_false(json_object_object_get_ex(gpu, "cost_millionths", &value));
	json_object_put(bill);
}

static void nothing_used_is_an_empty_bill(void **state)
{
	(void)state;
	assert_rows("--since 1h", "DEVICE  VDEV  EVAL  TOKENS  HELD  JOULES  COST  COST/MTOK  \n");
}

static void damage_is_found(void **state)
{
	(void)state;
	sql("UPDATE usage SET energy_mj = energy_mj + 1 WHERE vdev = 'beta'");
	assert_int_equal(run("--since 2025-02-19"), INFINI_EXIT_FAILURE);
	assert_non_null(strstr(err, "damaged: the rows of device cpu0 do not add up\n"));
	sql("DELETE FROM total");
	assert_int_equal(run("--since 2025-02-19"), INFINI_EXIT_FAILURE);
	assert_non_null(strstr(err, "damaged: rows of a device that has no total\n"));
}

static const struct {
	const char *options;
	int status;
	const char *text;
} mistakes[] = {
	{ "", INFINI_EXIT_USAGE, "bill needs --since: a day such as 2026-11-01, or 24h" },
	{ "--since yesterday", INFINI_EXIT_USAGE, "--since yesterday: not a time: write" },
	{ "--since 2025-02-19x", INFINI_EXIT_USAGE, "not a time" },
	{ "--since 7", INFINI_EXIT_USAGE, "not a time" },
	{ "--since 2025-02-19 --until 2025-02-18", INFINI_EXIT_USAGE, "not after --since" },
	{ "--since 1h --csv --json", INFINI_EXIT_USAGE, "only one of them" },
	{ "--since 1h more", INFINI_EXIT_USAGE, "takes no arguments" },
	{ "--sinse 1h", INFINI_EXIT_USAGE, "did you mean \"--since\"?" },
	{ "--since 1h --ledger /nonexistent/l", INFINI_EXIT_FAILURE,
	  "ledger /nonexistent/l: No such file or directory: infinid makes it when it starts" },
};

static void mistakes_are_explained(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
		assert_int_equal(run(mistakes[i].options), mistakes[i].status);
		if (!strstr(err, mistakes[i].text))
			fail_msg("%s: %s", mistakes[i].options, err);
	}
	sql("PRAGMA user_version = 2");
	assert_int_equal(run("--since 1h"), INFINI_EXIT_FAILURE);
	assert_non_null(strstr(err, "not written by this release's infinid"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(table_has_rows_and_totals, start),
		cmocka_unit_test_setup(csv_is_in_whole_units, start),
		cmocka_unit_test_setup(json_has_rows_and_totals_that_add_up, start),
		cmocka_unit_test_setup(nothing_used_is_an_empty_bill, start),
		cmocka_unit_test_setup(damage_is_found, start),
		cmocka_unit_test_setup(mistakes_are_explained, start),
	};
	int fd = mkstemp(path), failed;

	if (fd < 0)
		return 1;
	close(fd);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	free(out);
	free(err);
	return failed;
}
