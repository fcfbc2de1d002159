/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who used what, minute by minute, in a SQLite file that outlives the daemon, the module and the
 * vdevs. What the module counted before is kept beside it, in the same transaction: whenever the
 * daemon ends, nothing is entered twice, and what the module still counts is entered later.
 */
#ifndef INFINI_DAEMON_LEDGER_H
#define INFINI_DAEMON_LEDGER_H

#include "config.h"
#include "energy.h"
#include "sample.h"

#define INFINI_LEDGER_EPOCH_BYTES	80

struct infini_ledger;

/* Make the file if it is missing, for root alone. 0 or -errno with a sentence in @why. */
int infini_ledger_open(struct infini_ledger **out, const char *path, char *why,
		       size_t why_bytes);
void infini_ledger_close(struct infini_ledger *ledger);

/* What one interval ends with. */
struct infini_ledger_interval {
	int64_t time_s;				/* CLOCK_REALTIME */
	/* Counters of one module, loaded once: ids of vdevs are unique in it. */
	const char *epoch;
	const struct infini_config_tariff *tariff;	/* both of its prices add up */
	const struct infini_sample *sample;
	struct infini_energy *energy;		/* read just before @sample */
};

/*
 * Enter all that was counted since the last call, also one of an earlier daemon. The energy of a
 * device is divided over its vdevs by occupancy. 0, or -EIO with a sentence in @why and nothing
 * entered: the next call has it all.
 */
int infini_ledger_enter(struct infini_ledger *ledger, const struct infini_ledger_interval *interval,
			char *why, size_t why_bytes);

/* An epoch: this boot of the kernel at @proc, and this load of the module in @sysfs. 0 or -errno. */
int infini_ledger_epoch(const char *proc, const char *sysfs, char *epoch, size_t bytes);

#endif /* INFINI_DAEMON_LEDGER_H */
