// SPDX-License-Identifier: GPL-2.0-or-later
/* infinictl bill */
#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "json.h"
#include "table.h"
#include "units.h"

#define LEDGER_PATH		"/var/lib/infini/ledger.db"
#define LEDGER_VERSION		1
#define MINUTE_S		60
#define BUSY_MS			2000
#define MJ_PER_KWH		UINT64_C(3600000000)
#define MILLION			UINT64_C(1000000)
#define CURRENCY_BYTES		8

/**
 * struct infini_bill_row - what one vdev used, or a device
 * @vdev: "" for a device while no vdev held it, and for a device as a whole
 * @unmetered_ns: of @occupancy_ns, without an energy reading
 * @cost: in millionths of @currency; rounded down
 * @currency: "" when there was no tariff
 */
struct infini_bill_row {
	char device[INFINI_NAME_MAX];
	char vdev[INFINI_NAME_MAX];
	char currency[CURRENCY_BYTES];
	uint64_t evaluated;
	uint64_t generated;
	uint64_t occupancy_ns;
	uint64_t unmetered_ns;
	uint64_t energy_mj;
	uint64_t cost;
};

struct infini_bill_rows {
	struct infini_bill_row *row;
	size_t nr;
};

struct infini_bill {
	const char *ledger;
	int64_t since_s, until_s;
	bool json, csv;
	sqlite3 *db;
	struct infini_bill_rows vdevs;
	struct infini_bill_rows devices;
};

/* ---- reading ----------------------------------------------------------------------- */

static const char usage_query[] =
	"SELECT device, vdev, currency, sum(evaluated), sum(generated), sum(occupancy_ns),"
	" sum(unmetered_ns), sum(energy_mj), per_kwh, per_million_tokens"
	" FROM usage JOIN tariff ON tariff = tariff.id WHERE minute >= ?1 AND minute < ?2"
	" GROUP BY device, vdev, currency, per_kwh, per_million_tokens ORDER BY device, vdev, currency";
static const char total_query[] =
	"SELECT device, '', '', sum(evaluated), sum(generated), sum(occupancy_ns), 0,"
	" sum(energy_mj), 0, 0 FROM total WHERE minute >= ?1 AND minute < ?2"
	" GROUP BY device ORDER BY device";

static int infini_fail_ledger(struct infini_ctl *ctl, const struct infini_bill *bill)
{
	return infini_fail(ctl, INFINI_EXIT_FAILURE, "ledger %s: %s", bill->ledger,
			   bill->db ? sqlite3_errmsg(bill->db) : "out of memory");
}

static void infini_bill_text(sqlite3_stmt *query, int column, char *text, size_t size)
{
	const unsigned char *value = sqlite3_column_text(query, column);

	snprintf(text, size, "%s", value ? (const char *)value : "");
}

/* The row of that vdev and currency: the last one, as they come in order, or a new one. */
static struct infini_bill_row *infini_bill_row(struct infini_bill_rows *rows,
					       const struct infini_bill_row *like)
{
	struct infini_bill_row *row = rows->nr ? &rows->row[rows->nr - 1] : NULL;

	if (row && !strcmp(row->device, like->device) && !strcmp(row->vdev, like->vdev) &&
	    !strcmp(row->currency, like->currency))
		return row;
	row = reallocarray(rows->row, rows->nr + 1, sizeof(*row));
	if (!row)
		return NULL;
	rows->row = row;
	row = &rows->row[rows->nr++];
	memset(row, 0, sizeof(*row));
	memcpy(row->device, like->device, sizeof(row->device));
	memcpy(row->vdev, like->vdev, sizeof(row->vdev));
	memcpy(row->currency, like->currency, sizeof(row->currency));
	return row;
}

static void infini_bill_add(struct infini_bill_row *row, const struct infini_bill_row *more)
{
	row->evaluated += more->evaluated;
	row->generated += more->generated;
	row->occupancy_ns += more->occupancy_ns;
	row->unmetered_ns += more->unmetered_ns;
	row->energy_mj += more->energy_mj;
	row->cost += more->cost;
}

static int infini_bill_take(struct infini_bill_rows *rows, sqlite3_stmt *query)
{
	struct infini_bill_row more = { 0 }, *row;
	uint64_t per_kwh, per_million_tokens;

	infini_bill_text(query, 0, more.device, sizeof(more.device));
	infini_bill_text(query, 1, more.vdev, sizeof(more.vdev));
	infini_bill_text(query, 2, more.currency, sizeof(more.currency));
	more.evaluated = sqlite3_column_int64(query, 3);
	more.generated = sqlite3_column_int64(query, 4);
	more.occupancy_ns = sqlite3_column_int64(query, 5);
	more.unmetered_ns = sqlite3_column_int64(query, 6);
	more.energy_mj = sqlite3_column_int64(query, 7);
	per_kwh = sqlite3_column_int64(query, 8);
	per_million_tokens = sqlite3_column_int64(query, 9);
	more.cost = (unsigned __int128)more.energy_mj * per_kwh / MJ_PER_KWH +
		    (unsigned __int128)more.evaluated * per_million_tokens / MILLION;
	row = infini_bill_row(rows, &more);
	if (!row)
		return -ENOMEM;
	infini_bill_add(row, &more);
	return 0;
}

static int infini_bill_query(struct infini_ctl *ctl, struct infini_bill *bill, const char *text,
			     struct infini_bill_rows *rows)
{
	sqlite3_stmt *query;
	int err = 0, ret;

	if (sqlite3_prepare_v2(bill->db, text, -1, &query, NULL) != SQLITE_OK)
		return infini_fail_ledger(ctl, bill);
	sqlite3_bind_int64(query, 1, bill->since_s / MINUTE_S);
	sqlite3_bind_int64(query, 2, bill->until_s / MINUTE_S);
	while ((ret = sqlite3_step(query)) == SQLITE_ROW && !err)
		err = infini_bill_take(rows, query);
	sqlite3_finalize(query);
	if (err)
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "ledger %s: %s", bill->ledger,
				   strerror(-err));
	return ret == SQLITE_DONE ? 0 : infini_fail_ledger(ctl, bill);
}

static int infini_bill_version(struct infini_ctl *ctl, struct infini_bill *bill)
{
	sqlite3_stmt *query;
	int version = -1;

	if (sqlite3_prepare_v2(bill->db, "PRAGMA user_version", -1, &query, NULL) != SQLITE_OK)
		return infini_fail_ledger(ctl, bill);
	if (sqlite3_step(query) == SQLITE_ROW)
		version = sqlite3_column_int(query, 0);
	else
		infini_fail_ledger(ctl, bill);
	sqlite3_finalize(query);
	if (version == LEDGER_VERSION)
		return 0;
	if (version < 0)
		return INFINI_EXIT_FAILURE;
	return infini_fail(ctl, INFINI_EXIT_FAILURE,
			   "ledger %s: not written by this release's infinid", bill->ledger);
}

/* One moment of the ledger for both queries. */
static int infini_bill_read(struct infini_ctl *ctl, struct infini_bill *bill)
{
	int status;

	if (access(bill->ledger, R_OK))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "ledger %s: %s%s", bill->ledger,
				   strerror(errno), errno == ENOENT ?
				   ": infinid makes it when it starts" : ": run infinictl as root");
	if (sqlite3_open_v2(bill->ledger, &bill->db, SQLITE_OPEN_READONLY, NULL) != SQLITE_OK)
		return infini_fail_ledger(ctl, bill);
	sqlite3_busy_timeout(bill->db, BUSY_MS);
	status = infini_bill_version(ctl, bill);
	if (!status && sqlite3_exec(bill->db, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
		status = infini_fail_ledger(ctl, bill);
	if (!status)
		status = infini_bill_query(ctl, bill, usage_query, &bill->vdevs);
	if (!status)
		status = infini_bill_query(ctl, bill, total_query, &bill->devices);
	return status;
}

/* Costs in two currencies have no sum. */
static void infini_bill_currency(struct infini_bill_row *device, const struct infini_bill_row *row,
				 bool first)
{
	if (first)
		memcpy(device->currency, row->currency, sizeof(device->currency));
	else if (strcmp(device->currency, row->currency))
		device->currency[0] = '\0';
}

/* A bill whose rows are not what the devices did is none. Costs are then those of the rows. */
static int infini_bill_check(struct infini_ctl *ctl, struct infini_bill *bill)
{
	struct infini_bill_row *device = bill->devices.row, sum;
	size_t matched = 0, before;

	for (; device < bill->devices.row + bill->devices.nr; device++) {
		before = matched;
		memset(&sum, 0, sizeof(sum));
		for (size_t i = 0; i < bill->vdevs.nr; i++) {
			if (strcmp(bill->vdevs.row[i].device, device->device))
				continue;
			infini_bill_add(&sum, &bill->vdevs.row[i]);
			infini_bill_currency(device, &bill->vdevs.row[i], matched++ == before);
		}
		if (sum.evaluated != device->evaluated || sum.generated != device->generated ||
		    sum.occupancy_ns != device->occupancy_ns || sum.energy_mj != device->energy_mj)
			return infini_fail(ctl, INFINI_EXIT_FAILURE,
					   "ledger %s: damaged: the rows of device %s do not add up",
					   bill->ledger, device->device);
		device->unmetered_ns = sum.unmetered_ns;
		device->cost = sum.cost;
	}
	if (matched != bill->vdevs.nr)
		return infini_fail(ctl, INFINI_EXIT_FAILURE,
				   "ledger %s: damaged: rows of a device that has no total",
				   bill->ledger);
	return 0;
}

/* ---- printing ---------------------------------------------------------------------- */

/* Nothing measured it: not 0. */
static bool infini_bill_metered(const struct infini_bill_row *row)
{
	return row->energy_mj || row->unmetered_ns < row->occupancy_ns || !row->occupancy_ns;
}

static struct infini_text infini_joules_text(const struct infini_bill_row *row)
{
	struct infini_text text;

	if (infini_bill_metered(row))
		snprintf(text.s, sizeof(text.s), "%" PRIu64 ".%03u", row->energy_mj / 1000,
			 (unsigned int)(row->energy_mj % 1000));
	else
		snprintf(text.s, sizeof(text.s), "-");
	return text;
}

static struct infini_text infini_cost_text(uint64_t cost, const char *currency)
{
	struct infini_text text;

	if (*currency)
		snprintf(text.s, sizeof(text.s), "%" PRIu64 ".%06u", cost / MILLION,
			 (unsigned int)(cost % MILLION));
	else
		snprintf(text.s, sizeof(text.s), "-");
	return text;
}

/* Of a million tokens generated. */
static uint64_t infini_bill_per_million(const struct infini_bill_row *row)
{
	unsigned __int128 cost = (unsigned __int128)row->cost * MILLION;

	return row->generated ? cost / row->generated : 0;
}

static int infini_bill_table(struct infini_ctl *ctl, const struct infini_bill *bill)
{
	static const char *const columns[] = {
		"DEVICE", "VDEV", ">EVAL", ">TOKENS", ">HELD", ">JOULES", ">COST", ">COST/MTOK", "",
	};
	struct infini_table table = INFINI_TABLE(columns);
	bool unmetered = false;

	for (size_t i = 0; i < bill->vdevs.nr + bill->devices.nr; i++) {
		bool whole = i >= bill->vdevs.nr;
		const struct infini_bill_row *row = whole ? &bill->devices.row[i - bill->vdevs.nr] :
							    &bill->vdevs.row[i];

		unmetered |= row->unmetered_ns;
		infini_table_cell(&table, "%s", row->device);
		infini_table_cell(&table, "%s", whole ? "(total)" : *row->vdev ? row->vdev :
				  "(idle)");
		infini_table_cell(&table, "%" PRIu64, row->evaluated);
		infini_table_cell(&table, "%" PRIu64, row->generated);
		infini_table_cell(&table, "%s", infini_duration_text(row->occupancy_ns).s);
		infini_table_cell(&table, "%s", infini_joules_text(row).s);
		infini_table_cell(&table, "%s", infini_cost_text(row->cost, row->currency).s);
		infini_table_cell(&table, "%s", row->generated ?
				  infini_cost_text(infini_bill_per_million(row), row->currency).s :
				  "-");
		infini_table_cell(&table, "%s", row->currency);
	}
	if (infini_table_print(&table, stdout))
		return infini_fail(ctl, INFINI_EXIT_FAILURE, "no memory for the table");
	if (unmetered)
		puts("There was no energy reading for a part of this; what it used is not in JOULES.");
	return 0;
}

static int infini_bill_csv(const struct infini_bill *bill)
{
	puts("device,vdev,tokens_evaluated,tokens_generated,occupancy_ns,energy_mj,unmetered_ns,"
	     "cost_millionths,currency");
	for (size_t i = 0; i < bill->vdevs.nr; i++) {
		const struct infini_bill_row *row = &bill->vdevs.row[i];

		printf("%s,%s,%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64 ",%" PRIu64
		       ",%s\n", row->device, row->vdev, row->evaluated, row->generated,
		       row->occupancy_ns, row->energy_mj, row->unmetered_ns, row->cost,
		       row->currency);
	}
	return 0;
}

static struct json_object *infini_bill_object(const struct infini_bill_row *row, bool whole)
{
	struct json_object *object = json_object_new_object();

	infini_json_set_string(object, "device", row->device);
	if (!whole && *row->vdev)
		infini_json_set_string(object, "vdev", row->vdev);
	else if (!whole)
		json_object_object_add(object, "vdev", NULL);
	infini_json_set_u64(object, "tokens_evaluated", row->evaluated);
	infini_json_set_u64(object, "tokens_generated", row->generated);
	infini_json_set_u64(object, "occupancy_ns", row->occupancy_ns);
	if (infini_bill_metered(row))
		infini_json_set_u64(object, "energy_mj", row->energy_mj);
	else
		json_object_object_add(object, "energy_mj", NULL);
	infini_json_set_u64(object, "unmetered_ns", row->unmetered_ns);
	if (*row->currency) {
		infini_json_set_u64(object, "cost_millionths", row->cost);
		infini_json_set_string(object, "currency", row->currency);
	}
	return object;
}

static int infini_bill_json(struct infini_ctl *ctl, const struct infini_bill *bill)
{
	struct json_object *object = json_object_new_object();
	struct json_object *vdevs = json_object_new_array(), *devices = json_object_new_array();

	infini_json_set_u64(object, "since_s", bill->since_s);
	infini_json_set_u64(object, "until_s", bill->until_s);
	for (size_t i = 0; i < bill->vdevs.nr; i++)
		json_object_array_add(vdevs, infini_bill_object(&bill->vdevs.row[i], false));
	for (size_t i = 0; i < bill->devices.nr; i++)
		json_object_array_add(devices, infini_bill_object(&bill->devices.row[i], true));
	json_object_object_add(object, "vdevs", vdevs);
	json_object_object_add(object, "devices", devices);
	return infini_json_print(ctl, object);
}

/* ---- the command ------------------------------------------------------------------- */

/* "7d" and "90min" are ago; else a day or a minute of the local calendar. */
static int infini_bill_time(struct infini_ctl *ctl, const char *option, const char *word,
			    int64_t *time_s)
{
	static const char *const forms[] = { "%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M" };
	uint64_t number, ns;
	size_t len = strspn(word, "0123456789");
	const char *end;
	char digits[24];

	if (len && len < sizeof(digits) && (!strcmp(word + len, "d") || !strcmp(word + len, "h"))) {
		memcpy(digits, word, len);
		digits[len] = '\0';
		if (!infini_number_parse(digits, &number) && number <= 100000) {
			*time_s = time(NULL) - (int64_t)number * (word[len] == 'd' ? 86400 : 3600);
			return 0;
		}
	}
	if (!infini_duration_parse(word, 0, &ns)) {
		*time_s = time(NULL) - (int64_t)(ns / 1000000000);
		return 0;
	}
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct tm tm = { .tm_isdst = -1 };

		end = strptime(word, forms[i], &tm);
		if (!end || *end)
			continue;
		*time_s = mktime(&tm);
		if (*time_s >= 0)
			return 0;
	}
	return infini_fail(ctl, INFINI_EXIT_USAGE,
			   "--%s %s: not a time: write 2026-11-30, 2026-11-30T18:00, or 90min, 24h or 7d for that long ago",
			   option, word);
}

static int infini_bill_options(struct infini_ctl *ctl, int argc, char **argv,
			       struct infini_bill *bill, bool *help)
{
	static const struct option options[] = {
		{ "since", required_argument, NULL, 's' },
		{ "until", required_argument, NULL, 'u' },
		{ "ledger", required_argument, NULL, 'l' },
		{ "csv", no_argument, NULL, 'c' },
		{ "json", no_argument, NULL, 'j' },
		{ "help", no_argument, NULL, INFINI_OPTION_HELP },
		{ 0 }
	};
	int option, status = 0;

	while (!status && (option = infini_options_next(ctl, argc, argv, options)) >= 0) {
		*help |= option == INFINI_OPTION_HELP;
		bill->csv |= option == 'c';
		bill->json |= option == 'j';
		if (option == 'l')
			bill->ledger = optarg;
		else if (option == 's')
			status = infini_bill_time(ctl, "since", optarg, &bill->since_s);
		else if (option == 'u')
			status = infini_bill_time(ctl, "until", optarg, &bill->until_s);
	}
	if (status || option == INFINI_OPTIONS_FAILED)
		return INFINI_EXIT_USAGE;
	if (*help)
		return 0;
	if (bill->since_s < 0)
		return infini_fail(ctl, INFINI_EXIT_USAGE,
				   "bill needs --since: a day such as 2026-11-01, or 24h or 7d for that long ago");
	if (bill->csv && bill->json)
		return infini_fail(ctl, INFINI_EXIT_USAGE, "--csv and --json: only one of them");
	if (bill->until_s <= bill->since_s)
		return infini_fail(ctl, INFINI_EXIT_USAGE, "--until is not after --since");
	return infini_options_words(ctl, argc, 0, "nothing");
}

static int infini_bill_run(struct infini_ctl *ctl, int argc, char **argv)
{
	struct infini_bill bill = { .ledger = LEDGER_PATH, .since_s = -1 };
	bool help = false;
	int status;

	/* The minute that has begun included. */
	bill.until_s = time(NULL) + MINUTE_S;
	status = infini_bill_options(ctl, argc, argv, &bill, &help);
	if (help && !status)
		return infini_help_print(ctl);
	if (!status)
		status = infini_bill_read(ctl, &bill);
	if (!status)
		status = infini_bill_check(ctl, &bill);
	if (!status)
		status = bill.json ? infini_bill_json(ctl, &bill) : bill.csv ?
			 infini_bill_csv(&bill) : infini_bill_table(ctl, &bill);
	sqlite3_close(bill.db);
	free(bill.vdevs.row);
	free(bill.devices.row);
	return status;
}

const struct infini_command infini_bill_command = {
	.name = "bill",
	.args = "--since TIME [--until TIME] [--csv | --json] [--ledger FILE]",
	.summary = "Show what each vdev used, in energy and money",
	.help = "  --since TIME   from then on: 2026-11-01, 2026-11-01T18:00, or 90min, 24h, 7d ago\n"
		"  --until TIME   up to then (default: now)\n"
		"  --csv          a line per vdev, in whole units\n"
		"  --json         JSON, with the totals of devices\n"
		"  --ledger FILE  another file than " LEDGER_PATH "\n"
		"The ledger counts by the minute, which times are rounded down to. The energy of a device\n"
		"is divided over the vdevs that held it, by how long; (idle) is what it used while none\n"
		"did. JOULES is - where nothing measures it. COST is by the tariff of the time, see [tariff]\n"
		"in infinid.conf(5); COST/MTOK of a million tokens generated. Rows of a device add up to\n"
		"its total.\n",
	.run = infini_bill_run,
};
