/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What code that has taken over a worker could try; infinid-rogue.so runs it, the client attempt asks for it. */
#ifndef INFINI_E2E_ATTEMPTS_H
#define INFINI_E2E_ATTEMPTS_H

#include <stdint.h>
#include <sys/types.h>

#define ROGUE_MAGIC	0x4555474f52ULL		/* "ROGUE" */
#define ROGUE_SECRET	0x5ec2e7c0ffeeULL	/* what another vdev's memory is full of */

enum rogue_what {
	ROGUE_ATTEMPT,		/* @number of the table, on the process @value; the value is its errno */
	ROGUE_TAKE,		/* @value MiB, touched and kept */
	ROGUE_THREADS,		/* up to @value of them; the value is how many */
};

/* A program. */
struct rogue_program {
	uint64_t magic;
	uint32_t what;
	uint32_t number;
	uint64_t value;
};

/* @run returns an errno, or 0 when it was let; @target: another vdev's worker. */
struct attempt {
	const char *name;
	int (*run)(pid_t target);
};

extern const struct attempt attempts[];
extern const unsigned int nr_attempts;

#endif /* INFINI_E2E_ATTEMPTS_H */
