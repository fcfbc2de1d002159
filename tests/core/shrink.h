/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Makes a workload that fails smaller for as long as it still fails. */
#ifndef INFINI_TESTS_CORE_SHRINK_H
#define INFINI_TESTS_CORE_SHRINK_H

#include "workload.h"

typedef bool (*shrink_fails)(const struct sim_workload *load, void *context);

/*
 * @load fails: whoever and whatever can go goes, the run gets shorter, and numbers become zero or
 * round. @fails is asked at most @tries times. Returns how often it was.
 */
u32 workload_shrink(struct sim_workload *load, shrink_fails fails, void *context, u32 tries);

#endif /* INFINI_TESTS_CORE_SHRINK_H */
