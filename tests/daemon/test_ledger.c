// SPDX-License-Identifier: GPL-2.0-or-later
/* The ledger: what is entered, once, whatever becomes of the daemon, the module and the vdevs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "counted.h"
#include "ledger.h"

#include <errno.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[] = "/tmp/infinid-ledger-XXXXXX";
static char path[64];
static struct infini_ledger *ledger;
static struct infini_energy energy;
static const char *epoch;
static int64_t now_s;
static const struct infini_config_tariff tariff = { "EUR", 310000, 0 };

static int no_reading(void *state, uint64_t *uj)
{
	(void)state;
	*uj = 0;
	return 0;
}

static const struct infini_energy_ops hand_moved = { .name = "test", .read = no_reading };

static void open_ledger(void)
{
	char why[256];

	if (infini_ledger_open(&ledger, path, why, sizeof(why)))
		fail_msg("%s", why);
}

static void close_ledger(void)
{
	infini_ledger_close(ledger);
	ledger = NULL;
}

static struct infini_admin_vdev gone;

static int enter(void)
{
	struct infini_sample sample;
	struct infini_ledger_interval interval = {
		.time_s = now_s, .epoch = epoch, .tariff = &tariff, .sample = &sample,
		.energy = &energy,
	};
	char why[256];
	int ret;

	assert_int_equal(infini_sample_take(&sample, NULL), 0);
	if (gone.id)
		assert_int_equal(infini_sample_add_gone(&sample, &gone), 0);
	ret = infini_ledger_enter(ledger, &interval, why, sizeof(why));
	infini_sample_free(&sample);
	return ret;
}

/* One number, as another process reads it. */
static long long ask(const char *query)
{
	sqlite3_stmt *statement;
	long long value;
	sqlite3 *db;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return value;
}

static void assert_adds_up(void)
{
	static const char *const columns[] = { "evaluated", "generated", "occupancy_ns", "energy_mj" };
	char query[128];

	for (size_t i = 0; i < 4; i++) {
		snprintf(query, sizeof(query), "SELECT (SELECT sum(%s) FROM usage) -"
			 " (SELECT sum(%s) FROM total)", columns[i], columns[i]);
		assert_int_equal(ask(query), 0);
	}
}

static void work(unsigned int vdev, uint64_t tokens, uint64_t occupancy_ns)
{
	counted.vdevs[vdev].stats.tokens_evaluated += 2 * tokens;
	counted.vdevs[vdev].stats.tokens_generated += tokens;
	counted.vdevs[vdev].stats.occupancy_ns += occupancy_ns;
}

static void use_energy(uint64_t uj)
{
	energy.meters[0].total_uj += uj;
}

/* A ledger that has seen vdevs alpha and beta of cpu0 once. */
static int start(void **state)
{
	(void)state;
	counted_fill();
	memset(&energy, 0, sizeof(energy));
	energy.nr_meters = 1;
	energy.meters[0].ops = &hand_moved;
	snprintf(energy.meters[0].device, sizeof(energy.meters[0].device), "cpu0");
	epoch = "boot.1";
	now_s = 6000;
	open_ledger();
	return enter();
}

static int end(void **state)
{
	char name[80];

	(void)state;
	close_ledger();
	unlink(path);
	snprintf(name, sizeof(name), "%s-wal", path);
	unlink(name);
	snprintf(name, sizeof(name), "%s-shm", path);
	unlink(name);
	return 0;
}

static void what_was_before_is_nobodys(void **state)
{
	struct stat info;

	(void)state;
	assert_int_equal(ask("SELECT count(*) FROM usage"), 0);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
}

static void energy_follows_occupancy_to_the_millijoule(void **state)
{
	(void)state;
	work(0, 10, 2000);
	work(1, 5, 1000);
	use_energy(10001900);
	assert_int_equal(enter(), 0);
	assert_int_equal(ask("SELECT energy_mj FROM usage WHERE vdev = 'alpha'"), 6667);
	assert_int_equal(ask("SELECT energy_mj FROM usage WHERE vdev = 'beta'"), 3334);
	assert_int_equal(ask("SELECT generated FROM usage WHERE vdev = 'alpha'"), 10);
	/* What is less than a millijoule is entered with the next. */
	use_energy(100);
	now_s += 60;
	assert_int_equal(enter(), 0);
	assert_int_equal(ask("SELECT energy_mj FROM usage WHERE vdev = ''"), 1);
	assert_int_equal(ask("SELECT energy_mj FROM total WHERE minute = 100"), 10001);
	assert_int_equal(ask("SELECT energy_mj FROM total WHERE minute = 101"), 1);
	assert_adds_up();
}

static void without_a_meter_occupancy_is_unmetered(void **state)
{
	(void)state;
	energy.nr_meters = 0;
	work(0, 10, 2000);
	assert_int_equal(enter(), 0);
	assert_int_equal(ask("SELECT unmetered_ns FROM usage"), 2000);
	assert_int_equal(ask("SELECT energy_mj FROM usage"), 0);
}

static void idle_intervals_enter_nothing(void **state)
{
	(void)state;
	assert_int_equal(enter(), 0);
	assert_int_equal(enter(), 0);
	assert_int_equal(ask("SELECT count(*) FROM usage"), 0);
	assert_int_equal(ask("SELECT count(*) FROM total"), 0);
}

static void restarts_change_nothing(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) {
		work(0, 3, 500);
		assert_int_equal(enter(), 0);
		close_ledger();
		open_ledger();
		/* What the module counted meanwhile is there afterwards. */
		work(1, 1, 100);
	}
	assert_int_equal(enter(), 0);
	assert_int_equal(ask("SELECT sum(generated) FROM usage WHERE vdev = 'alpha'"), 60);
	assert_int_equal(ask("SELECT sum(generated) FROM usage WHERE vdev = 'beta'"), 20);
	assert_adds_up();
}

/* A child enters interval after interval until it is killed, at any moment. */
static void kill_loses_and_doubles_nothing(void **state)
{
	uint64_t before = counted.vdevs[0].stats.tokens_generated;

	(void)state;
	close_ledger();
	for (int round = 0; round < 25; round++) {
		pid_t child = fork();

		if (!child) {
			open_ledger();
			for (;;) {
				work(0, 1, 10);
				use_energy(1000);
				if (enter())
					_exit(1);
			}
		}
		usleep(3000 + 1700 * round);
		kill(child, SIGKILL);
		assert_int_equal(waitpid(child, NULL, 0), child);
		/* The module stands where it stood at the last entry, or a little further. */
		open_ledger();
		counted.vdevs[0].stats.tokens_generated =
			(uint64_t)ask("SELECT generated FROM seen WHERE id = 1") + 1;
		counted.vdevs[0].stats.tokens_evaluated =
			(uint64_t)ask("SELECT evaluated FROM seen WHERE id = 1") + 2;
		assert_int_equal(enter(), 0);
		assert_int_equal(ask("SELECT sum(generated) FROM usage"),
				 counted.vdevs[0].stats.tokens_generated - before);
		assert_adds_up();
		close_ledger();
	}
	assert_true(counted.vdevs[0].stats.tokens_generated - before > 25);
}

static void reloaded_module_counts_from_zero(void **state)
{
	(void)state;
	epoch = "boot.2";
	memset(&counted.vdevs[0].stats, 0, sizeof(counted.vdevs[0].stats));
	/* More than the vdev of that id and name had before: only the epoch tells. */
	work(0, 5000, 90000000000);
	assert_int_equal(enter(), 0);
	assert_int_equal(ask("SELECT generated FROM usage WHERE vdev = 'alpha'"), 5000);
	assert_int_equal(ask("SELECT occupancy_ns FROM usage WHERE vdev = 'alpha'"), 90000000000);
}

static void vdev_created_again_counts_from_zero(void **state)
{
	(void)state;
	work(0, 7, 100);
	assert_int_equal(enter(), 0);
	counted.vdevs[0].id = 9;
	memset(&counted.vdevs[0].stats, 0, sizeof(counted.vdevs[0].stats));
	work(0, 2000, 100);
	assert_int_equal(enter(), 0);
	assert_int_equal(ask("SELECT generated FROM usage WHERE vdev = 'alpha'"), 2007);
	assert_int_equal(ask("SELECT count(*) FROM seen"), 3);
}

/* It is listed no more; what it did last came with the news of its end. */
static void deleted_vdev_is_entered_to_its_end(void **state)
{
	(void)state;
	work(1, 7, 100);
	assert_int_equal(enter(), 0);
	work(1, 5, 50);
	work(0, 1, 50);
	use_energy(2000);
	gone = counted.vdevs[--counted.nr_vdevs];
	assert_int_equal(enter(), 0);
	gone.id = 0;
	assert_int_equal(ask("SELECT generated FROM usage WHERE vdev = 'beta'"), 12);
	assert_int_equal(ask("SELECT energy_mj FROM usage WHERE vdev = 'beta'"), 1);
	assert_int_equal(enter(), 0);
	assert_int_equal(ask("SELECT generated FROM usage WHERE vdev = 'beta'"), 12);
	assert_adds_up();
}

static void failed_entry_is_made_up_for(void **state)
{
	sqlite3 *db;

	(void)state;
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	work(0, 4, 100);
	use_energy(5000);
	assert_int_equal(enter(), -EIO);
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(enter(), 0);
	assert_int_equal(ask("SELECT sum(generated) FROM usage"), 4);
	assert_int_equal(ask("SELECT sum(energy_mj) FROM usage"), 5);
}

static void another_file_is_refused(void **state)
{
	struct infini_ledger *other;
	char name[64], why[256];
	FILE *file;

	(void)state;
	snprintf(name, sizeof(name), "%s/other", dir);
	file = fopen(name, "w");
	fputs("this is no database, and long enough for one to be looked for in it", file);
	fclose(file);
	assert_int_equal(infini_ledger_open(&other, name, why, sizeof(why)), -EIO);
	assert_string_equal(why, "file is not a database");
	assert_null(other);
	unlink(name);
}

static void epochs_tell_loads_of_the_module(void **state)
{
	char first[INFINI_LEDGER_EPOCH_BYTES], second[INFINI_LEDGER_EPOCH_BYTES], sysfs[80], name[96];

	(void)state;
	assert_int_equal(infini_ledger_epoch("/proc", dir, first, sizeof(first)), -ENOENT);
	snprintf(sysfs, sizeof(sysfs), "%s/module", dir);
	snprintf(name, sizeof(name), "%s/infini", sysfs);
	mkdir(sysfs, 0755);
	mkdir(name, 0755);
	assert_int_equal(infini_ledger_epoch("/proc", dir, first, sizeof(first)), 0);
	assert_int_equal(infini_ledger_epoch("/proc", dir, second, sizeof(second)), 0);
	assert_string_equal(first, second);
	assert_true(strlen(first) > 36);
	rmdir(name);
	rmdir(sysfs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_before_is_nobodys, start, end),
		cmocka_unit_test_setup_teardown(energy_follows_occupancy_to_the_millijoule, start, end),
		cmocka_unit_test_setup_teardown(without_a_meter_occupancy_is_unmetered, start, end),
		cmocka_unit_test_setup_teardown(idle_intervals_enter_nothing, start, end),
		cmocka_unit_test_setup_teardown(restarts_change_nothing, start, end),
		cmocka_unit_test_setup_teardown(kill_loses_and_doubles_nothing, start, end),
		cmocka_unit_test_setup_teardown(reloaded_module_counts_from_zero, start, end),
		cmocka_unit_test_setup_teardown(vdev_created_again_counts_from_zero, start, end),
		cmocka_unit_test_setup_teardown(deleted_vdev_is_entered_to_its_end, start, end),
		cmocka_unit_test_setup_teardown(failed_entry_is_made_up_for, start, end),
		cmocka_unit_test(another_file_is_refused),
		cmocka_unit_test(epochs_tell_loads_of_the_module),
	};
	int failed;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof(path), "%s/ledger.db", dir);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return failed;
}
