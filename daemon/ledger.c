// SPDX-License-Identifier: GPL-2.0-or-later
/* Who used what, minute by minute, in a SQLite file. */
#include "ledger.h"

#include "energy_file.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SECONDS_PER_MINUTE	60
#define UJ_PER_MJ		1000
#define BUSY_MS			2000

/*
 * usage: of a vdev; '' is the device while no vdev held it. total: of a device, entered apart, so
 * that a bill can show that its rows are complete. unmetered_ns: the part of occupancy_ns for which
 * nothing measured energy. seen: what the counters of a module stood at; the row with id 0 says
 * which module.
 */
static const char schema[] =
	"CREATE TABLE IF NOT EXISTS tariff (id INTEGER PRIMARY KEY, currency TEXT NOT NULL,"
	" per_kwh INTEGER NOT NULL, per_million_tokens INTEGER NOT NULL,"
	" UNIQUE (currency, per_kwh, per_million_tokens));"
	"CREATE TABLE IF NOT EXISTS usage (minute INTEGER NOT NULL, device TEXT NOT NULL,"
	" vdev TEXT NOT NULL, tariff INTEGER NOT NULL, evaluated INTEGER NOT NULL,"
	" generated INTEGER NOT NULL, occupancy_ns INTEGER NOT NULL, unmetered_ns INTEGER NOT NULL,"
	" energy_mj INTEGER NOT NULL, PRIMARY KEY (minute, device, vdev, tariff)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS total (minute INTEGER NOT NULL, device TEXT NOT NULL,"
	" evaluated INTEGER NOT NULL, generated INTEGER NOT NULL, occupancy_ns INTEGER NOT NULL,"
	" energy_mj INTEGER NOT NULL, PRIMARY KEY (minute, device)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS seen (epoch TEXT NOT NULL, id INTEGER NOT NULL,"
	" evaluated INTEGER NOT NULL, generated INTEGER NOT NULL, occupancy_ns INTEGER NOT NULL,"
	" PRIMARY KEY (epoch, id)) WITHOUT ROWID;"
	"PRAGMA user_version = 1;";

enum statement {
	BEGIN, COMMIT, ROLLBACK, TARIFF_ADD, TARIFF_FIND, SEEN_ANY, SEEN_GET, SEEN_CLEAR, SEEN_PUT,
	USAGE_ADD, TOTAL_ADD, NR_STATEMENTS
};

static const char *const statements[] = {
	[BEGIN] = "BEGIN IMMEDIATE",
	[COMMIT] = "COMMIT",
	[ROLLBACK] = "ROLLBACK",
	[TARIFF_ADD] = "INSERT OR IGNORE INTO tariff (currency, per_kwh, per_million_tokens)"
		       " VALUES (?1, ?2, ?3)",
	[TARIFF_FIND] = "SELECT id FROM tariff WHERE currency = ?1 AND per_kwh = ?2"
			" AND per_million_tokens = ?3",
	[SEEN_ANY] = "SELECT 1 FROM seen LIMIT 1",
	[SEEN_GET] = "SELECT evaluated, generated, occupancy_ns FROM seen"
		     " WHERE epoch = ?1 AND id = ?2",
	[SEEN_CLEAR] = "DELETE FROM seen",
	[SEEN_PUT] = "INSERT INTO seen VALUES (?1, ?2, ?3, ?4, ?5)",
	[USAGE_ADD] = "INSERT INTO usage VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
		      " ON CONFLICT DO UPDATE SET evaluated = evaluated + excluded.evaluated,"
		      " generated = generated + excluded.generated,"
		      " occupancy_ns = occupancy_ns + excluded.occupancy_ns,"
		      " unmetered_ns = unmetered_ns + excluded.unmetered_ns,"
		      " energy_mj = energy_mj + excluded.energy_mj",
	[TOTAL_ADD] = "INSERT INTO total VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
		      " ON CONFLICT DO UPDATE SET evaluated = evaluated + excluded.evaluated,"
		      " generated = generated + excluded.generated,"
		      " occupancy_ns = occupancy_ns + excluded.occupancy_ns,"
		      " energy_mj = energy_mj + excluded.energy_mj",
};

/* Energy of a device up to where it has been entered, in the total of its meter. */
struct entered {
	char device[INFINI_NAME_MAX];
	uint64_t mj;
};

struct infini_ledger {
	sqlite3 *db;
	sqlite3_stmt *statements[NR_STATEMENTS];
	struct entered entered[INFINI_ENERGY_METERS_MAX];
	size_t nr_entered;
};

/* What a vdev, or a device, did in an interval. */
struct usage {
	uint64_t evaluated;
	uint64_t generated;
	uint64_t occupancy_ns;
};

/* ---- SQLite ------------------------------------------------------------------------ */

/*
 * SQLITE_ROW, SQLITE_DONE, or an error; the caller resets after a row. @format only names the kinds
 * of the values, for the compiler to check: %s and %lld.
 */
static int __attribute__((format(printf, 3, 4)))
step(struct infini_ledger *ledger, enum statement statement, const char *format, ...)
{
	sqlite3_stmt *prepared = ledger->statements[statement];
	int index = 1, ret = SQLITE_OK;
	va_list values;

	sqlite3_reset(prepared);
	va_start(values, format);
	for (; *format && ret == SQLITE_OK; format++) {
		if (*format == 's')
			ret = sqlite3_bind_text(prepared, index++, va_arg(values, const char *), -1,
						SQLITE_TRANSIENT);
		else if (*format == 'd')
			ret = sqlite3_bind_int64(prepared, index++, va_arg(values, long long));
	}
	va_end(values);
	if (ret != SQLITE_OK)
		return ret;
	ret = sqlite3_step(prepared);
	if (ret != SQLITE_ROW)
		sqlite3_reset(prepared);
	return ret;
}

/* One without values. */
static int plain(struct infini_ledger *ledger, enum statement statement)
{
	int ret;

	sqlite3_reset(ledger->statements[statement]);
	ret = sqlite3_step(ledger->statements[statement]);
	if (ret != SQLITE_ROW)
		sqlite3_reset(ledger->statements[statement]);
	return ret;
}

static uint64_t column(struct infini_ledger *ledger, enum statement statement, int i)
{
	return (uint64_t)sqlite3_column_int64(ledger->statements[statement], i);
}

static int explain(struct infini_ledger *ledger, char *why, size_t why_bytes)
{
	snprintf(why, why_bytes, "%s", ledger->db ? sqlite3_errmsg(ledger->db) : "out of memory");
	return -EIO;
}

void infini_ledger_close(struct infini_ledger *ledger)
{
	if (!ledger)
		return;
	for (int i = 0; i < NR_STATEMENTS; i++)
		sqlite3_finalize(ledger->statements[i]);
	sqlite3_close(ledger->db);
	free(ledger);
}

static int check_version(struct infini_ledger *ledger, char *why, size_t why_bytes)
{
	sqlite3_stmt *query;
	int version = -1;

	if (sqlite3_prepare_v2(ledger->db, "PRAGMA user_version", -1, &query, NULL) != SQLITE_OK)
		return explain(ledger, why, why_bytes);
	if (sqlite3_step(query) == SQLITE_ROW)
		version = sqlite3_column_int(query, 0);
	sqlite3_finalize(query);
	if (version == 0 || version == 1)
		return 0;
	if (version < 0)
		return explain(ledger, why, why_bytes);
	snprintf(why, why_bytes, "written by another release (version %d, this one writes 1)",
		 version);
	return -EPROTO;
}

static int prepare(struct infini_ledger *ledger, const char *path, char *why, size_t why_bytes)
{
	mode_t mask = umask(0177);
	int ret = sqlite3_open(path, &ledger->db);

	umask(mask);
	if (ret != SQLITE_OK)
		return explain(ledger, why, why_bytes);
	sqlite3_busy_timeout(ledger->db, BUSY_MS);
	ret = check_version(ledger, why, why_bytes);
	if (ret)
		return ret;
	mask = umask(0177);
	ret = sqlite3_exec(ledger->db, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;", NULL,
			   NULL, NULL);
	if (ret == SQLITE_OK)
		ret = sqlite3_exec(ledger->db, schema, NULL, NULL, NULL);
	umask(mask);
	for (int i = 0; i < NR_STATEMENTS && ret == SQLITE_OK; i++)
		ret = sqlite3_prepare_v3(ledger->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
					 &ledger->statements[i], NULL);
	return ret == SQLITE_OK ? 0 : explain(ledger, why, why_bytes);
}

static int make_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *folder;
	int ret;

	if (!slash || slash == path)
		return 0;
	folder = strndup(path, (size_t)(slash - path));
	if (!folder)
		return -ENOMEM;
	ret = mkdir(folder, 0755) && errno != EEXIST ? -errno : 0;
	free(folder);
	return ret;
}

int infini_ledger_open(struct infini_ledger **out, const char *path, char *why, size_t why_bytes)
{
	struct infini_ledger *ledger = calloc(1, sizeof(*ledger));
	int ret = ledger ? make_folder(path) : -ENOMEM;

	*out = NULL;
	if (ret)
		snprintf(why, why_bytes, "%s", strerror(-ret));
	else
		ret = prepare(ledger, path, why, why_bytes);
	if (ret)
		infini_ledger_close(ledger);
	else
		*out = ledger;
	return ret;
}

/* ---- an interval ------------------------------------------------------------------- */

static uint64_t since(uint64_t now, uint64_t before)
{
	return now > before ? now - before : 0;
}

/* What @vdev did since it was seen last; all it did when it is new in a module seen before. */
static int vdev_usage(struct infini_ledger *ledger, const struct infini_ledger_interval *interval,
		      const struct infini_admin_vdev *vdev, bool first, struct usage *usage)
{
	const struct infini_vdev_stats *now = &vdev->stats;
	int ret = step(ledger, SEEN_GET, "%s%lld", interval->epoch, (long long)vdev->id);

	*usage = (struct usage){ 0 };
	if (ret == SQLITE_ROW) {
		usage->evaluated = since(now->tokens_evaluated, column(ledger, SEEN_GET, 0));
		usage->generated = since(now->tokens_generated, column(ledger, SEEN_GET, 1));
		usage->occupancy_ns = since(now->occupancy_ns, column(ledger, SEEN_GET, 2));
		sqlite3_reset(ledger->statements[SEEN_GET]);
		return SQLITE_DONE;
	}
	if (ret == SQLITE_DONE && !first) {
		usage->evaluated = now->tokens_evaluated;
		usage->generated = now->tokens_generated;
		usage->occupancy_ns = now->occupancy_ns;
	}
	return ret;
}

static int put_usage(struct infini_ledger *ledger, const struct infini_ledger_interval *interval,
		     long long tariff, const char *device, const char *vdev,
		     const struct usage *usage, bool metered, uint64_t mj)
{
	if (!usage->evaluated && !usage->generated && !usage->occupancy_ns && !mj)
		return SQLITE_DONE;
	return step(ledger, USAGE_ADD, "%lld%s%s%lld%lld%lld%lld%lld%lld",
		    (long long)(interval->time_s / SECONDS_PER_MINUTE), device, vdev, tariff,
		    (long long)usage->evaluated, (long long)usage->generated,
		    (long long)usage->occupancy_ns, metered ? 0 : (long long)usage->occupancy_ns,
		    (long long)mj);
}

static struct entered *entered_of(struct infini_ledger *ledger, const char *device)
{
	struct entered *entered = ledger->entered;

	for (; entered < ledger->entered + ledger->nr_entered; entered++) {
		if (!strcmp(entered->device, device))
			return entered;
	}
	if (ledger->nr_entered == INFINI_ENERGY_METERS_MAX)
		return NULL;
	ledger->nr_entered++;
	snprintf(entered->device, sizeof(entered->device), "%s", device);
	return entered;
}

/* Rows of one device. @usages and @parts have room for all vdevs of the sample. */
static int enter_device(struct infini_ledger *ledger, const struct infini_ledger_interval *interval,
			long long tariff, const struct infini_admin_device *device,
			const struct usage *usages, uint64_t *weights, uint64_t *parts)
{
	struct infini_energy_meter *meter = infini_energy_find(interval->energy, device->name);
	struct entered *entered = meter ? entered_of(ledger, device->name) : NULL;
	const struct infini_sample *sample = interval->sample;
	uint64_t mj = entered ? since(meter->total_uj / UJ_PER_MJ, entered->mj) : 0;
	struct usage total = { 0 };
	int ret = SQLITE_DONE;

	for (size_t i = 0; i < sample->nr_vdevs; i++) {
		weights[i] = 0;
		parts[i] = 0;
		if (sample->vdevs[i].device_id != device->id)
			continue;
		weights[i] = usages[i].occupancy_ns;
		total.evaluated += usages[i].evaluated;
		total.generated += usages[i].generated;
		total.occupancy_ns += usages[i].occupancy_ns;
	}
	if (!infini_energy_divide(mj, weights, sample->nr_vdevs, parts))
		ret = put_usage(ledger, interval, tariff, device->name, "", &(struct usage){ 0 },
				true, mj);
	for (size_t i = 0; i < sample->nr_vdevs && ret == SQLITE_DONE; i++) {
		if (sample->vdevs[i].device_id == device->id)
			ret = put_usage(ledger, interval, tariff, device->name,
					sample->vdevs[i].name, &usages[i], entered, parts[i]);
	}
	if (ret != SQLITE_DONE || (!total.evaluated && !total.generated && !total.occupancy_ns && !mj))
		return ret;
	return step(ledger, TOTAL_ADD, "%lld%s%lld%lld%lld%lld",
		    (long long)(interval->time_s / SECONDS_PER_MINUTE), device->name,
		    (long long)total.evaluated, (long long)total.generated,
		    (long long)total.occupancy_ns, (long long)mj);
}

static int find_tariff(struct infini_ledger *ledger, const struct infini_config_tariff *tariff,
		       long long *id)
{
	int ret = step(ledger, TARIFF_ADD, "%s%lld%lld", tariff->currency,
		       (long long)tariff->per_kwh, (long long)tariff->per_million_tokens);

	if (ret == SQLITE_DONE)
		ret = step(ledger, TARIFF_FIND, "%s%lld%lld", tariff->currency,
			   (long long)tariff->per_kwh, (long long)tariff->per_million_tokens);
	if (ret != SQLITE_ROW)
		return ret;
	*id = (long long)column(ledger, TARIFF_FIND, 0);
	sqlite3_reset(ledger->statements[TARIFF_FIND]);
	return SQLITE_DONE;
}

static int put_seen(struct infini_ledger *ledger, const struct infini_ledger_interval *interval)
{
	const struct infini_sample *sample = interval->sample;
	int ret = plain(ledger, SEEN_CLEAR);

	if (ret == SQLITE_DONE)
		ret = step(ledger, SEEN_PUT, "%s%lld%lld%lld%lld", interval->epoch, 0LL, 0LL, 0LL,
			   0LL);
	for (size_t i = 0; i < sample->nr_vdevs && ret == SQLITE_DONE; i++) {
		const struct infini_vdev_stats *stats = &sample->vdevs[i].stats;

		ret = step(ledger, SEEN_PUT, "%s%lld%lld%lld%lld", interval->epoch,
			   (long long)sample->vdevs[i].id, (long long)stats->tokens_evaluated,
			   (long long)stats->tokens_generated, (long long)stats->occupancy_ns);
	}
	return ret;
}

static int enter_all(struct infini_ledger *ledger, const struct infini_ledger_interval *interval,
		     struct usage *usages, uint64_t *weights, uint64_t *parts)
{
	const struct infini_sample *sample = interval->sample;
	long long tariff = 0;
	int ret = find_tariff(ledger, interval->tariff, &tariff);
	bool first = false;

	/* What was counted before there was a ledger is nobody's bill. */
	if (ret == SQLITE_DONE) {
		ret = plain(ledger, SEEN_ANY);
		first = ret == SQLITE_DONE;
		if (ret == SQLITE_ROW)
			ret = SQLITE_DONE;
		sqlite3_reset(ledger->statements[SEEN_ANY]);
	}
	for (size_t i = 0; i < sample->nr_vdevs && ret == SQLITE_DONE; i++)
		ret = vdev_usage(ledger, interval, &sample->vdevs[i], first, &usages[i]);
	for (size_t i = 0; i < sample->nr_devices && ret == SQLITE_DONE; i++)
		ret = enter_device(ledger, interval, tariff, &sample->devices[i], usages, weights,
				   parts);
	return ret == SQLITE_DONE ? put_seen(ledger, interval) : ret;
}

static void energy_entered(struct infini_ledger *ledger,
			   const struct infini_ledger_interval *interval)
{
	for (size_t i = 0; i < interval->sample->nr_devices; i++) {
		const char *device = interval->sample->devices[i].name;
		struct infini_energy_meter *meter = infini_energy_find(interval->energy, device);
		struct entered *entered = meter ? entered_of(ledger, device) : NULL;

		if (entered)
			entered->mj = meter->total_uj / UJ_PER_MJ;
	}
}

int infini_ledger_enter(struct infini_ledger *ledger, const struct infini_ledger_interval *interval,
			char *why, size_t why_bytes)
{
	size_t nr = interval->sample->nr_vdevs + 1;
	struct usage *usages = calloc(nr, sizeof(*usages));
	uint64_t *numbers = calloc(2 * nr, sizeof(*numbers));
	int ret = SQLITE_NOMEM;

	if (usages && numbers)
		ret = plain(ledger, BEGIN);
	if (ret == SQLITE_DONE)
		ret = enter_all(ledger, interval, usages, numbers, numbers + nr);
	if (ret == SQLITE_DONE)
		ret = plain(ledger, COMMIT);
	if (ret == SQLITE_DONE) {
		energy_entered(ledger, interval);
		ret = 0;
	} else {
		ret = explain(ledger, why, why_bytes);
		if (!sqlite3_get_autocommit(ledger->db))
			plain(ledger, ROLLBACK);
	}
	free(numbers);
	free(usages);
	return ret;
}

/* ---- epochs ------------------------------------------------------------------------ */

/* Inodes of sysfs are not used twice in one boot: another load of the module has another one. */
int infini_ledger_epoch(const char *proc, const char *sysfs, char *epoch, size_t bytes)
{
	char path[512], boot[64];
	struct stat module;
	int ret;

	snprintf(path, sizeof(path), "%s/sys/kernel/random/boot_id", proc);
	ret = infini_energy_file_text(path, boot, sizeof(boot));
	if (ret)
		return ret;
	snprintf(path, sizeof(path), "%s/module/infini", sysfs);
	if (stat(path, &module))
		return -errno;
	snprintf(epoch, bytes, "%s.%llu", boot, (unsigned long long)module.st_ino);
	return 0;
}
